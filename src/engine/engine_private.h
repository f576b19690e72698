/* The database: what the engine's files share. Everything belongs to the request lane unless a
 * comment says otherwise. */
#ifndef INS_ENGINE_ENGINE_PRIVATE_H
#define INS_ENGINE_ENGINE_PRIVATE_H

#include "engine/accounts.h"
#include "engine/budget.h"
#include "engine/catalog.h"
#include "engine/elders.h"
#include "engine/expiry.h"
#include "engine/graph_queue.h"
#include "engine/heavy.h"
#include "engine/points_burst.h"
#include "engine/room.h"
#include "engine/slices.h"
#include "engine/tidy.h"
#include "payload/payload.h"
#include "query/query.h"
#include "segment/segment.h"
#include "tenant/tenant.h"
#include "wal/wal.h"

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define SYSTEM_SCOPE 0u
#define SYSTEM_INCARNATION 1u /* the catalog's island */

struct operation;
struct flush;
struct merge;
struct clean;
struct removal;
struct graph_job;
struct layout_job;
struct directory_view;
struct move;

#define DIRECTORY_VIEWS 4u       /* scopes whose id directory stays open between writes */
#define DIRECTORY_TRIM_EVERY 64u /* look-ups: what they pinned is looked at */

struct ins_db {
    ins_options options;
    const ins_runtime *runtime;
    struct arena *arena;
    struct cache *cache;
    struct wal *wal;
    struct files files;
    struct islands islands;
    struct catalog catalog;
    struct read_context reading; /* generations, durable LSN */
    struct json_parser *parser;  /* scratch of one step */
    uint64_t generation_bytes;
    uint64_t record_bytes_max; /* a request that needs more can never be admitted */
    uint64_t operation_bytes_max;

    /* Writes sequenced and not yet durable complete through wal callbacks. */
    struct table holds; /* ids that are being resolved */
    uint64_t hold_tickets;
    struct holds *holders;      /* every write that holds ids */
    struct gate *gates;         /* of changes by filter under way, oldest first */
    struct operation *resumed;  /* changes by filter that recovery found, until it is over */
    struct operation *settling; /* writes of nothing that wait for the log */
    uint64_t operations;        /* under way */
    struct directory_view *directory_views[DIRECTORY_VIEWS];
    uint32_t directory_view_next; /* the one that gives way */
    uint32_t changes;             /* by filter and of many records: at most INS_CHANGES_MAX */
    uint64_t directory_finds;
    struct move *move;           /* the one that is under way (move.h) */
    uint32_t copies;             /* of tenants, under way (copy.h) */
    struct tenant_copy *copying; /* those, in any order */

    /* Background work, one job at a time but for a flush in the middle of another job; a job's own
     * fields belong to the background lane meanwhile. */
    struct flush *flush;
    _Atomic(struct flush *) flush_waiting; /* begun, for the background lane to take */
    ins_task flush_task;                   /* takes it, if no other job has */
    struct merge *merge;
    struct clean *clean;
    struct removal *removal;
    struct graph_job *graph_job; /* beside the others (graph_job.h) */
    struct graph_queue graph_queue;
    struct graph_denied graph_denied;
    struct elders elders;          /* runs whose graphs theirs go on from */
    struct layout_job *layout_job; /* likewise (layout_job.h) */
    uint64_t layouts_looked; /* islands.runs_gone when those of runs that went were forgotten */
    struct {
        uint64_t built, refused, renewed, inherited;
    } graphs;
    bool merge_turn;   /* a flush was the last job: a merge may go before the next one, and */
    bool remove_turn;  /* then a removal, and */
    bool clean_turn;   /* a cleaning */
    bool merge_open;   /* the queue is worked off; else it waits for the next flush, or for quiet */
    bool merge_urgent; /* an island has INS_RUNS_MAX runs: no flush before the queue is empty */
    struct island *merge_first, *merge_last; /* islands with too many runs */
    uint32_t clean_total;                    /* percent of what runs name that files may take */
    struct tidy tidy;
    struct expiry expiry;
    struct room room;
    struct budget budget;
    struct slices slices;
    struct heavy heavy;
    struct points_burst burst;
    struct accounts accounts;
    struct operation *flush_waiters; /* ins_flush calls */
    bool flush_wanted;
    ins_error put_off;         /* a job found no room and is tried again; else status INS_OK */
    uint64_t put_off_until_ns; /* no job begins before that */
    uint32_t put_offs;         /* one after the other */
    bool log_garbage;          /* log files of earlier openings may hold nothing that is wanted */

    /* The manifest belongs to the background lane (recovery before it runs). */
    struct manifest manifest;
    uint64_t manifest_version;
    /* manifest.files: [INS_FILES_MAX]; encode buffer: [STORE_CELL_BYTES_MAX]; INS_MEM_JOB */
    uint8_t *manifest_buffer;

    ins_task commit_task; /* background lane: pages ahead of use */
    ins_timer retry_timer;
    ins_task housekeeping;
    /* The background lane looks at them too. */
    _Atomic bool commit_wanted, commit_posted, flush_posted;
    bool housekeeping_posted;
    _Atomic bool stopping; /* the commit task looks at it too */
    uint32_t warmings;     /* in the background */
    bool writes_stopped;
    ins_error failure;
    uint64_t schema_lsn;  /* of the newest change of a collection's schema */
    uint64_t flushed_lsn; /* high end of the newest flush that was begun, and */
    uint64_t landed_lsn;  /* of the newest one that has landed */
    uint64_t flush_count, merge_count, clean_count, erasure_count, replayed;
    uint64_t flush_bytes, merge_bytes, clean_bytes; /* of the files that they wrote */
    uint64_t worked_ns;                             /* background lane: by jobs, in all (work.h) */
};

/* Posts a task and wakes its lane. */
static inline void db_run(const ins_db *db, uint32_t lane, ins_task *task) {
    db->runtime->post(db->runtime->context, lane, task);
    db->runtime->wake(db->runtime->context, lane);
}

/* What writes files must not leave out a vector whose drop the log may lose yet: after a restart it
 * would be missed. */
static inline bool db_schemas_durable(const struct ins_db *db) {
    return db->schema_lsn <= db->reading.durable_lsn;
}

static inline uint64_t db_now(const ins_db *db) {
    return db->runtime->now_ns(db->runtime->context);
}

#endif
