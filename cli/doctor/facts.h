/* What was seen at one moment, as numbers and short texts; what could not be seen is UNKNOWN or "".
 * A comparison with UNKNOWN is false, so a rule says nothing about what it does not know. */
#ifndef INS_CLI_DOCTOR_FACTS_H
#define INS_CLI_DOCTOR_FACTS_H

#include <math.h>

#include "cli/doctor/source.h"

#define UNKNOWN ((double)NAN)

/* X(NAME, "name and unit") */
#define DOCTOR_MACHINE_FACTS(X)                                                                    \
    X(CLOCK, "clock_seconds")                                                                      \
    X(CPUS, "cpus")                                                                                \
    X(CPU_AVX2, "cpu_has_avx2")                                                                    \
    X(CPU_AVX512, "cpu_has_avx512")                                                                \
    X(MEMORY_TOTAL, "memory_bytes")                                                                \
    X(MEMORY_AVAILABLE, "memory_available_bytes")                                                  \
    X(SWAP_TOTAL, "swap_bytes")                                                                    \
    X(SWAP_FREE, "swap_free_bytes")                                                                \
    X(HUGE_TOTAL, "huge_pages_reserved")                                                           \
    X(HUGE_FREE, "huge_pages_reserved_free")                                                       \
    X(SWAPPINESS, "vm_swappiness")                                                                 \
    X(OVERCOMMIT, "vm_overcommit_memory")                                                          \
    X(COMMIT_LIMIT, "commit_limit_bytes")                                                          \
    X(MAP_LIMIT, "vm_max_map_count")                                                               \
    X(DIRTY_RATIO, "vm_dirty_ratio_percent")                                                       \
    X(DIRTY_BYTES, "vm_dirty_bytes")                                                               \
    X(THREAD_LIMIT, "threads_max")                                                                 \
    X(FILE_LIMIT, "file_max")                                                                      \
    X(BACKLOG, "somaxconn")                                                                        \
    X(BACKLOG_DROPS, "listen_overflows")                                                           \
    X(NUMA_NODES, "numa_nodes")                                                                    \
    X(NUMA_BALANCING, "numa_balancing")                                                            \
    X(PSI_CPU, "pressure_cpu_percent")                                                             \
    X(PSI_MEMORY, "pressure_memory_percent")                                                       \
    X(PSI_IO, "pressure_io_percent")                                                               \
    X(SWAPPED_IN, "pages_swapped_in")                                                              \
    X(CGROUP_VERSION, "cgroup_version")                                                            \
    X(CGROUP_MEMORY_MAX, "cgroup_memory_max_bytes")                                                \
    X(CGROUP_MEMORY_NOW, "cgroup_memory_bytes")                                                    \
    X(CGROUP_OOM_KILLS, "cgroup_oom_kills")                                                        \
    X(CGROUP_CPUS, "cgroup_cpu_limit")                                                             \
    X(CGROUP_PERIODS, "cgroup_cpu_periods")                                                        \
    X(CGROUP_THROTTLED, "cgroup_cpu_throttled_periods")                                            \
    X(CGROUP_PIDS_MAX, "cgroup_pids_max")                                                          \
    X(CGROUP_PIDS_NOW, "cgroup_pids")

#define DOCTOR_PROCESS_FACTS(X)                                                                    \
    X(PID, "pid")                                                                                  \
    X(RESIDENT, "resident_bytes")                                                                  \
    X(HUGE, "resident_in_huge_pages_bytes")                                                        \
    X(SWAPPED, "swapped_bytes")                                                                    \
    X(PAGE_TABLES, "page_table_bytes")                                                             \
    X(THREADS, "threads")                                                                          \
    X(MAPS, "mappings")                                                                            \
    X(DESCRIPTORS, "descriptors")                                                                  \
    X(DESCRIPTOR_LIMIT, "descriptor_limit")                                                        \
    X(SWITCHES, "context_switches")                                                                \
    X(SWITCHES_FORCED, "context_switches_forced")                                                  \
    X(FAULTS, "page_faults_minor")                                                                 \
    X(FAULTS_MAJOR, "page_faults_major")                                                           \
    X(RUN_NS, "run_ns")                                                                            \
    X(RUN_WAIT_NS, "run_queue_wait_ns")                                                            \
    X(TRACER, "tracer_pid")                                                                        \
    X(TLB_LOADS, "tlb_loads")                                                                      \
    X(TLB_MISSES, "tlb_misses")

#define DOCTOR_DISK_FACTS(X)                                                                       \
    X(DISK_BYTES, "disk_bytes")                                                                    \
    X(DISK_FREE, "disk_free_bytes")                                                                \
    X(INODES, "inodes")                                                                            \
    X(INODES_FREE, "inodes_free")                                                                  \
    X(ROTATIONAL, "disk_rotates")                                                                  \
    X(DISK_READS, "disk_reads")                                                                    \
    X(DISK_READ_MS, "disk_read_ms")                                                                \
    X(DISK_WRITES, "disk_writes")                                                                  \
    X(DISK_WRITE_MS, "disk_write_ms")                                                              \
    X(DISK_BUSY_MS, "disk_busy_ms")                                                                \
    X(DISK_QUEUE_MS, "disk_queue_ms")                                                              \
    X(DISK_FLUSHES, "disk_flushes")                                                                \
    X(DISK_FLUSH_MS, "disk_flush_ms")

/* X(NAME, "name", "metric of the server", "label it must have, or empty") */
#define DOCTOR_SERVER_FACTS(X)                                                                     \
    X(BUDGET, "budget_bytes", "insula_memory_budget_bytes", "")                                    \
    X(ARENA_USED, "arena_used_bytes", "memory_allocated_bytes", "")                                \
    X(ARENA_COMMITTED, "arena_committed_bytes", "memory_active_bytes", "")                         \
    X(MEMTABLE_USED, "memtable_bytes", "insula_memory_used_bytes", "purpose=\"memtable\"")         \
    X(MEMTABLE_LIMIT, "memtable_limit_bytes", "insula_memory_limit_bytes", "purpose=\"memtable\"") \
    X(CACHE_USED, "cache_bytes", "insula_memory_used_bytes", "purpose=\"cache\"")                  \
    X(CACHE_LIMIT, "cache_limit_bytes", "insula_memory_limit_bytes", "purpose=\"cache\"")          \
    X(COLLECTIONS, "collections", "collections_total", "")                                         \
    X(TENANTS, "tenants", "insula_tenants", "")                                                    \
    X(RUNS, "runs", "insula_runs", "")                                                             \
    X(COLD_READS, "cold_reads", "insula_cold_reads_total", "")                                     \
    X(CACHE_HITS, "cache_hits", "insula_cache_hits_total", "")                                     \
    X(LOG_SYNCS, "log_syncs", "insula_log_syncs_total", "")                                        \
    X(LOG_RECORDS, "log_records", "insula_log_records_total", "")                                  \
    X(WRITES_STOPPED, "writes_stopped", "insula_writes_stopped", "")                               \
    X(EXTENTS_DAMAGED, "extents_damaged", "insula_extents_damaged_total", "")                      \
    X(CONNECTIONS_MADE, "connections_made", "insula_connections_total", "")                        \
    X(REQUESTS, "requests", "insula_requests_total", "")                                           \
    X(UPSERTS, "upserts", "insula_upserts_total", "")                                              \
    X(UPSERT_POINTS, "points_upserted", "insula_upsert_points_total", "")                          \
    X(FILTERED_READS, "filtered_reads", "insula_filtered_reads_total", "")                         \
    X(FILTERED_ROWS, "rows_filtered_one_by_one", "insula_filtered_rows_total", "")

#define DOCTOR_TEXTS(X)                                                                            \
    X(THP, "transparent_huge_pages")                                                               \
    X(THP_DEFRAG, "transparent_huge_pages_defrag")                                                 \
    X(CLOCK_SOURCE, "clock_source")                                                                \
    X(GOVERNOR, "cpu_governor")                                                                    \
    X(COMMAND, "command")                                                                          \
    X(DATA, "data_directory")                                                                      \
    X(FILESYSTEM, "filesystem")                                                                    \
    X(MOUNT_OPTIONS, "mount_options")                                                              \
    X(DEVICE, "device")                                                                            \
    X(SCHEDULER, "io_scheduler")                                                                   \
    X(WRITE_CACHE, "write_cache")                                                                  \
    X(TLB_REASON, "tlb_counters")                                                                  \
    X(CGROUP, "cgroup")                                                                            \
    X(ISA, "instructions")                                                                         \
    X(ARENA_PAGES, "arena_pages")

enum fact {
#define FACT_NAME(name, text) FACT_##name,
#define FACT_METRIC(name, text, metric, label) FACT_##name,
    DOCTOR_MACHINE_FACTS(FACT_NAME) DOCTOR_PROCESS_FACTS(FACT_NAME) DOCTOR_DISK_FACTS(FACT_NAME)
        DOCTOR_SERVER_FACTS(FACT_METRIC)
#undef FACT_NAME
#undef FACT_METRIC
            FACT_COUNT
};

enum fact_text {
#define FACT_NAME(name, text) TEXT_##name,
    DOCTOR_TEXTS(FACT_NAME)
#undef FACT_NAME
        TEXT_COUNT
};

/* Other engines' processes on the machine, those of one name together. */
struct engine_group {
    char name[32];
    unsigned processes, logs; /* logs: open files that look like a log or journal */
    double resident, page_tables, maps, maps_max, descriptors, threads, switches;
};

#define ENGINE_GROUPS_MAX 16u
#define FACT_TEXT_MAX 256

struct facts {
    double of[FACT_COUNT];
    char text[TEXT_COUNT][FACT_TEXT_MAX];
    struct engine_group groups[ENGINE_GROUPS_MAX];
    unsigned group_count;
};

/* `data` and `pid` may be NULL and 0: then they are the server's, as far as it can be asked. */
void facts_read(struct source *source, const char *data, int pid, struct facts *out);
const char *fact_name(enum fact fact);
const char *fact_text_name(enum fact_text text);
/* The process that a server says it is, when it runs on this machine; else 0. */
int facts_server_pid(struct source *source);

/* Parts, each of a file of its own. */
void facts_machine(struct source *source, struct facts *out);
void facts_cgroup(struct source *source, struct facts *out);
void facts_process(struct source *source, int pid, struct facts *out);
void facts_disk(struct source *source, const char *data, struct facts *out);
void facts_server(struct source *source, struct facts *out);
void facts_engines(struct source *source, int own_pid, struct facts *out);

/* "Key:  123 kB" anywhere at a line's start; UNKNOWN when the text is NULL or lacks it. */
double text_number(const char *text, const char *key);
/* The text's first number; UNKNOWN when there is none ("max"). */
double text_first(const char *text);
/* Number `index` (from 0) of a line of numbers and words. */
double text_column(const char *line, unsigned index);
void text_copy_line(char out[static FACT_TEXT_MAX], const char *text);

#endif
