/* A call: what the caller sets, and the answer. Part of insula.h: include that. */
#ifndef INSULA_CALL_H
#define INSULA_CALL_H

#include "insula/database.h"
#include "insula/explain.h"
#include "insula/runtime.h"
#include "insula/status.h"
#include "insula/values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ins_points {
    const ins_point *items;
    size_t count;
    bool has_next;
    ins_id next;                           /* scroll: where the next page begins */
    const struct ins_number *order_values; /* [count] of INS_RANK_ORDER, else NULL */
} ins_points;

typedef struct ins_group {
    ins_value value;
    ins_points points;
} ins_group;

typedef struct ins_facet {
    ins_value value;
    uint64_t count; /* points that have it */
} ins_facet;

typedef struct ins_field_info {
    ins_text name;
    ins_text schema;   /* JSON as given: "keyword" or {"type": "keyword", ...} */
    bool is_tenant;    /* asked for */
    bool islands;      /* and in force: this field partitions the collection */
    bool late;         /* made on a collection with files: some large extents lack it yet */
    uint64_t points;   /* that have the field */
    bool points_exact; /* else it is the number of all points, an upper bound */
} ins_field_info;

typedef struct ins_shard_info {
    ins_shard_key key;
    uint64_t id; /* never used twice */
    uint64_t points;
    bool points_exact; /* else an upper bound */
} ins_shard_info;

/* One vector of a collection. */
typedef struct ins_vector_params {
    ins_text name; /* "" = the unnamed one */
    uint32_t dim;
    ins_distance distance;
    ins_datatype datatype;
    ins_text settings; /* JSON object: kept and returned; or absent */
    /* A point's value is one row of `dim` numbers or more. Its similarity to a query, of rows as
     * well, is the sum over the query's rows of the best over the point's (max_sim). A plain vector
     * counts as one row. */
    bool multi;
} ins_vector_params;

typedef struct ins_collection_info {
    ins_text name;
    uint32_t dim; /* of the unnamed vector; 0 = there is none */
    ins_distance distance;
    const ins_vector_params *vectors; /* all, the unnamed one (name "") included */
    size_t vector_count;
    ins_text settings; /* JSON object as given at creation, without vectors and metadata */
    ins_text metadata; /* JSON object, or absent */
    const ins_field_info *fields;
    size_t field_count;
    uint64_t point_count;
    bool point_count_exact;
    uint64_t indexed_vectors;   /* values that lie in a graph, about: in extents that have one */
    uint64_t unindexed_islands; /* that are to get a graph, or field indexes */
    /* Large extents; those without all field indexes, and their rows: they are written anew, one
     * after the other. */
    uint64_t large_runs, late_runs, late_rows;
    uint64_t run_count, tenant_count;
    ins_text writes_stopped; /* why writes are refused; absent: they are not */
    uint64_t queued_islands, queued_runs, queued_rows; /* that wait for a merge or are in one */
    uint64_t changes;                                  /* by filter, under way */
    /* An is_tenant index was made on a full collection: of about so many points (0: none are moved)
     * so many are copied to the islands of their tenants. */
    uint64_t moving_points, moved_points;
    bool sharded;
    const ins_shard_info *shards; /* when they were asked for, in the order of their creation */
    size_t shard_count;           /* always */
} ins_collection_info;

struct ins_call { /* all zero but for what the caller sets */
    /* Set by the caller. */
    void (*done)(ins_call *call);
    void *user;
    uint32_t lane; /* where done runs: INS_LANE_REQUEST, or a lane from INS_LANE_COUNT on */
    uint64_t
        deadline_ns; /* on the runtime's clock; 0 = none. Reads only; a write runs to its end */
    ins_explain *explain; /* NULL, or zeroed: reads of points say there what they did; the caller's
                             until done has run */
    /* Set by the engine before done. */
    ins_status status;
    ins_error error;
    uint64_t lsn;         /* of a write */
    const uint64_t *lsns; /* of a batch: [count] */
    uint64_t count;
    bool found; /* exists, delete collection: was there */
    ins_points points;
    const ins_collection_info *info;
    const ins_text *names;
    size_t name_count;
    const struct ins_alias *aliases;
    size_t alias_count;
    const ins_group *groups;
    size_t group_count;
    const ins_facet *facets;
    size_t facet_count;
    const struct ins_tenant *tenants;
    size_t tenant_count;
    const struct ins_quota *quota;
    const struct ins_tenant_usage *usage;
    ins_text bytes; /* of an export */
    const struct ins_warmed *warmed;
    /* The engine's own. */
    void *owner;
    ins_task task; /* brings done to another lane */
    bool cancelled;
};

/* The answer is wanted no longer: a read ends soon, with INS_TIMEOUT; a write runs to its end. Any
 * thread, until done has run. */
INS_API void ins_call_cancel(ins_call *call);

/* Gives the answer's memory back; call once after done, also on failure. Any thread. */
INS_API void ins_call_release(ins_call *call);

/* Runs `start(db, request, call)` on the request lane and waits for its completion: the blocking
 * form for embedders and tests on the thread runtime. Sets call->done, user and lane itself.
 * Any thread but a lane's own. Returns call->status. */
typedef void (*ins_start)(ins_db *db, const void *request, ins_call *call);
INS_API ins_status ins_wait(ins_db *db, ins_start start, const void *request, ins_call *call);

#ifdef __cplusplus
}
#endif
#endif
