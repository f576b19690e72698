/* Running it: flush, erasure, memory, counters, the check of what is on disk. Part of insula.h:
 * include that. */
#ifndef INSULA_OPERATION_H
#define INSULA_OPERATION_H

#include "insula/call.h"
#include "insula/database.h"
#include "insula/runtime.h"
#include "insula/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Operation --------------------------------------------------------------------------- */

/* Flushes every memtable; done when the manifest that names the new file is on disk. */
INS_API void ins_flush(ins_db *db, const void *unused, ins_call *call);

/* ---- Erasure ----------------------------------------------------------------------------- */

/* What was deleted, overwritten or dropped leaves every file, the log's included. */

/* A pass begins now instead of at its time (half of erase_after_ns after a write, or the start):
 * answered at once. It flushes, and merges and cleans as far as anything is dead. */
INS_API void ins_erase(ins_db *db, const void *unused, ins_call *call);

typedef struct ins_erasure_request {
    uint64_t lsn; /* of the deletion: its call->lsn */
} ins_erasure_request;

/* call->found: what was dead at that LSN is in no file of the store any more. call->lsn: that is
 * known up to here; 0 = of nothing since the start. call->count: seconds that it takes at most,
 * when the machine keeps up and no read lasts longer. INS_NOT_FOUND: no such LSN yet. */
INS_API void ins_erasure_get(ins_db *db, const void *erasure_request, ins_call *call);

#define INS_MEM_PURPOSES(X)                                                                        \
    X(CATALOG, "catalog")       /* names, islands, run lists */                                    \
    X(MEMTABLE, "memtable")     /* rows not yet flushed */                                         \
    X(LOG, "log")               /* records on their way to disk */                                 \
    X(CONNECTION, "connection") /* sockets' buffers, request bodies */                             \
    X(QUERY, "query")           /* operations under way and their answers */                       \
    X(JOB, "job")               /* flush, merge, recovery */                                       \
    X(CACHE, "cache")           /* bytes of segments */                                            \
    X(GRAPH, "graph")           /* graphs being built: lent by the cache, else nothing */

enum ins_mem_purpose {
#define INS_MEM_ENUM(name, text) INS_MEM_##name,
    INS_MEM_PURPOSES(INS_MEM_ENUM)
#undef INS_MEM_ENUM
        INS_MEM_PURPOSE_COUNT
};

/* Durations by bucket: up to 100, 250, 500 us, 1, 2.5, 5 ms ... 10 s, and above. */
#define INS_DURATION_BUCKETS 16u

typedef struct ins_durations {
    uint64_t counts[INS_DURATION_BUCKETS];
    uint64_t count, sum_ns;
} ins_durations;

typedef struct ins_stats {
    uint64_t collections, tenants, runs, files;
    uint64_t lsn_sequenced, lsn_durable, lsn_flushed;
    uint64_t log_syncs, log_batches, log_bytes, log_records; /* since start */
    ins_durations log_writes; /* of batches: the write and its sync */
    uint64_t file_syncs;      /* of segments, directory, manifest */
    uint64_t flushes, merges, cleanings, erasures;
    uint64_t tenants_expired; /* deleted since their time to live had passed */
    uint64_t lsn_erased;      /* as ins_erasure_get tells it */
    uint64_t flush_bytes, merge_bytes, clean_bytes; /* of files written */
    uint64_t segment_bytes, live_bytes; /* of all files; of it, what some run list names */
    uint64_t cold_reads, cold_bytes, cache_hits, cache_evictions; /* blocks, and their bytes */
    uint64_t kept_bytes; /* of the cache, read by pinned tenants; within floors */
    uint64_t floor_bytes;
    uint64_t device_reads, device_bytes; /* for them: neighbours are read together, in pages */
    /* Graphs: written; of them begun with the links of an older one; not made for lack of memory or
     * since reading failed; searches that walked one; and that could not and scanned instead. */
    uint64_t graphs_built, graphs_inherited, graphs_refused, graph_searches, graph_fallbacks;
    uint64_t graphs_waiting; /* islands that wait for a graph, and the one whose is being built */
    /* Fast layouts of graphs in memory: now; so far; useless: their walks would be too wide;
     * dropped: for room. */
    uint64_t layouts, layout_bytes;
    uint64_t layouts_made, layouts_useless, layouts_dropped, layout_searches;
    /* Extents whose codes or graph were found damaged since the start: they are scanned until they
     * are written anew. `graph_damage` says of the last one where. Extents that were written anew
     * for that, or since they lacked field indexes. */
    uint64_t extents_damaged, extents_renewed;
    char graph_damage[INS_ERROR_MESSAGE_MAX];
    /* Scans over 1-bit codes: runs that were searched by them; that were read row by row instead,
     * since their codes were damaged; rows whose bound was made; of these, those whose 4-bit code
     * was looked at, and those compared exactly. */
    uint64_t code_scans, code_fallbacks, code_rows, code_rows_fine, code_rows_exact;
    uint64_t filtered_reads, filtered_rows; /* with a filter; rows that these looked at singly */
    uint64_t timers;                        /* armed now */
    /* In force; asked for (0: half of the machine's); what it can be changed to. While it settles
     * writes wait for the bytes `above`. machine_bytes: the machine's or its control group's. */
    uint64_t memory_budget_asked, memory_budget_least, memory_budget_most;
    uint64_t memory_above, machine_bytes;
    uint64_t memory_held, memory_hold_most; /* by ins_db_hold, beside the arena; and at most */
    bool memory_settling;
    uint64_t memory_budget, arena_limit, arena_used, arena_committed;
    uint64_t mem_used[INS_MEM_PURPOSE_COUNT], mem_limit[INS_MEM_PURPOSE_COUNT];
    const char *arena_pages; /* "reserved 2 MiB", "transparent 2 MiB", "4 KiB" */
    const char *isa;
    bool writes_stopped; /* the log failed; `reason` says how */
    char reason[INS_ERROR_MESSAGE_MAX];
} ins_stats;

/* On the request lane. */
INS_API void ins_db_stats(ins_db *db, ins_stats *out_stats);

/* What tenants, and collections without tenants, take of the engine. */
enum ins_heavy_resource {
    INS_HEAVY_TIME,   /* ns of the engine's lane in reads, ranking and fetching */
    INS_HEAVY_ROWS,   /* scanned or walked over by reads */
    INS_HEAVY_COLD,   /* bytes that reads brought from disk */
    INS_HEAVY_READS,  /* of one island */
    INS_HEAVY_WRITES, /* rows written: points, changes, deletions */
    INS_HEAVY_WORK,   /* ns of the background lane in flushes, merges and graphs */
    INS_HEAVY_RESOURCES
};

#define INS_HEAVY_SHOWN 16u
#define INS_HEAVY_NAME_MAX 255u

typedef struct ins_heavy {
    char collection[INS_HEAVY_NAME_MAX + 1], shard[INS_HEAVY_NAME_MAX + 1];
    char tenant[INS_HEAVY_NAME_MAX + 1];
    bool common;                /* points without a tenant: `tenant` is empty */
    uint64_t count, error_most; /* at most `count`, at least count - error_most, since the start */
} ins_heavy;

/* The heaviest of each resource, the most first. Reads count whose call asked for an explanation;
 * those of several islands count in the totals alone. */
typedef struct ins_heaviest {
    uint64_t totals[INS_HEAVY_RESOURCES];
    uint32_t counts[INS_HEAVY_RESOURCES];
    ins_heavy items[INS_HEAVY_RESOURCES][INS_HEAVY_SHOWN];
} ins_heaviest;

typedef struct ins_stats_request {
    ins_stats *out_stats;       /* filled when done runs */
    ins_heaviest *out_heaviest; /* so is this; or NULL */
} ins_stats_request;

/* The same as a call, for other lanes. Never fails. */
INS_API void ins_stats_read(ins_db *db, const void *stats_request, ins_call *call);

/* ---- The memory budget ---- */

typedef struct ins_budget_request {
    uint64_t bytes;       /* 0: half of the machine's memory, or the control group's, from now on */
    ins_stats *out_stats; /* filled when done runs and the call went well; or NULL */
} ins_budget_request;

/* Another budget for the process that runs, until it ends. Answered at once; memory is given back
 * in steps (ins_stats.memory_settling): reads go on, writes wait meanwhile, INS_FULL when that
 * takes too long. INS_INVALID names the smallest or the largest that is possible. */
INS_API void ins_budget_set(ins_db *db, const void *budget_request, ins_call *call);
/* The budget in force. Any thread. */
INS_API uint64_t ins_db_memory_budget(const ins_db *db);

/* Resident set of this process as the kernel counts it. Any thread; reads a file. */
INS_API uint64_t ins_resident_bytes(void);

/* Memory for the caller's own connections and requests, charged to the same budget:
 * INS_MEM_CONNECTION. At most 2 MiB a piece; NULL when the share is used up. Any thread. */
INS_API void *ins_db_alloc(ins_db *db, size_t size);
INS_API void ins_db_free(ins_db *db, void *memory, size_t size);

/* Memory that the caller takes from the system itself for requests: larger pieces, a parser's. It
 * counts in the budget, and the cache gives way to it as far as it can. False: with it more than
 * ins_db_hold_max() would be held. Any thread; on the request lane ins_db_make_room() has the cache
 * give way now rather than in a few milliseconds. */
INS_API INS_MUST_USE bool ins_db_hold(ins_db *db, uint64_t bytes);
INS_API void ins_db_let_go(ins_db *db, uint64_t bytes);
INS_API void ins_db_make_room(ins_db *db);
INS_API uint64_t ins_db_held(const ins_db *db);
INS_API uint64_t ins_db_hold_max(const ins_db *db);

/* Verifies every checksum and invariant of a database that is not open; changes nothing.
 * Calls `report(context, is_damage, text)` for each finding. INS_CORRUPT when any is damage. */
typedef void (*ins_check_report)(void *context, bool is_damage, const char *text);
INS_API INS_MUST_USE ins_status ins_check(ins_store *store, ins_check_report report, void *context,
                                          ins_error *error);

#ifdef __cplusplus
}
#endif
#endif
