/* Opening and closing a database. Part of insula.h: include that. */
#ifndef INSULA_DATABASE_H
#define INSULA_DATABASE_H

#include "insula/runtime.h"
#include "insula/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ins_db ins_db;

#define INS_MEMORY_BUDGET_MIN (256ull << 20)

typedef struct ins_options {
    uint64_t memory_budget; /* bytes of the whole process; 0 = half of the machine or cgroup */
    /* What ins_budget_set() may raise it to: address space, no memory; 0 = the machine's memory. */
    uint64_t memory_budget_max;
    uint64_t log_file_bytes;   /* 0 = 64 MiB; a multiple of 4 KiB, at least 256 KiB */
    uint64_t generation_bytes; /* 0 = min(128 MiB, budget/16); tests make it small */
    /* What is deleted or overwritten is gone from all files after so long; 0 = 24 h. */
    uint64_t erase_after_ns;
    /* A change by filter of more points than this takes several records, and goes on after a crash;
     * 0 = 4,096, the most. Tests make it small. */
    uint32_t change_points;
    bool no_moves; /* tests: an is_tenant index on a full collection makes no islands */
    /* Bytes of vectors from which on an extent gets a graph, which searches then walk whatever it
     * costs; 0 = by each collection's settings, and by cost; tests make it small. */
    uint64_t graph_bytes_min;
    /* Bytes of vectors from which on an extent gets 1-bit codes, which searches then scan whatever
     * it costs; 0 = 1 MiB, and by cost; tests make it small. */
    uint64_t scan_bytes_min;
    /* Bytes of vectors above which pages of them can be read one by one; 0 = 1 MiB; tests make it
     * small. */
    uint64_t piece_bytes_min;
    /* Something that an operator should know and that no answer tells: damage on the disk that was
     * found and can be done without, once for each extent; a tenant that expired. One line of text;
     * on the request lane; NULL: nobody wants to know. */
    void (*warn)(void *context, const char *text);
    void *warn_context;
    bool drop_log; /* an ablation for measurements: acknowledges without a log */
} ins_options;

/* Recovers and opens. Blocks; runs on the calling thread, which counts as the request lane until
 * it returns. INS_CORRUPT names the damaged file and place. */
INS_API INS_MUST_USE ins_status ins_db_open(const ins_options *options, const ins_runtime *runtime,
                                            ins_db **out_db, ins_error *error);
/* Starts a clean shutdown: refuses new work, flushes, then calls done. */
typedef struct ins_call ins_call;
INS_API void ins_db_shutdown(ins_db *db, ins_call *call);
/* Frees everything. After ins_db_shutdown() has completed (clean), or at any time at which no lane
 * runs a task of this database (like a crash: recovery will replay the log). Takes NULL. */
INS_API void ins_db_close(ins_db *db);

#ifdef __cplusplus
}
#endif
#endif
