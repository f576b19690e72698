/* Reads and writes of points. Part of insula.h: include that. */
#ifndef INSULA_POINTS_H
#define INSULA_POINTS_H

#include "insula/call.h"
#include "insula/database.h"
#include "insula/values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Points ------------------------------------------------------------------------------ */

typedef enum ins_update_mode {
    INS_MODE_UPSERT = 0,
    INS_MODE_INSERT_ONLY, /* a point that is there stays as it is */
    INS_MODE_UPDATE_ONLY, /* a point that is not there is not made */
} ins_update_mode;

/* Distances in answers are always those of stored values. What codes leave out unseen is missed by
 * chance: of the rows that are just near enough one in some 700, or, without rescoring or where the
 * vector's quantization has fewer than 4 bits, one in some 40. */
typedef enum ins_rescore { INS_RESCORE_DEFAULT, INS_RESCORE_YES, INS_RESCORE_NO } ins_rescore;

typedef struct ins_points_request {
    ins_text collection;
    /* Of a sharded collection. Reads: in these, NULL = in all. Writes: in each of these, one after
     * the other, each all or nothing; INS_INVALID without any. */
    const ins_shard_key *shard_keys;
    size_t shard_key_count;
    bool shard_fallback; /* shard_keys are two, and stand for the first of them that is there */
    /* upsert, update vectors: all or nothing */
    const ins_point *points;
    size_t point_count;
    const ins_filter *update_filter; /* a point that is there and does not pass stays as it is */
    /* get; delete and changes of payload or vectors by ids */
    const ins_id *ids;
    size_t id_count;
    /* Whose ids these are, in a collection whose ids are within tenants (docs/tenants.md): get, and
     * writes by ids, which INS_INVALID refuses without it there, and with it elsewhere. Of an
     * upsert it may be absent; else its points have to be this tenant's. */
    ins_text tenant;
    /* changes of payload */
    ins_text change;      /* set, overwrite: a JSON object */
    ins_text change_path; /* set: of the object that takes the members; absent = the payload */
    const ins_text *keys; /* delete payload: paths; delete vectors: names */
    size_t key_count;
    /* Writes, as a fence: INS_EXISTS, and nothing is changed in that collection or shard key, when
     * a tenant whose points are to be written, or deleted, was made later than this incarnation or
     * would be made now. By filter: INS_INVALID unless it names tenants. 0 = any. */
    uint64_t incarnation_max;
    /* delete by a filter that names tenants alone: INS_EXISTS, and nothing is changed in that
     * collection or shard key, when the time to live of one of them has not passed. */
    bool if_expired;
    /* delete and changes by filter; scroll, count, query */
    const ins_filter *filter; /* NULL = all; of a delete or a change: by ids */
    /* scroll, query, get */
    ins_id start;         /* scroll: first id */
    const float *vector;  /* query: [dim], or [rows][dim] near a multivector, or */
    ins_text vector_name; /* query: which vector is searched; absent or "" = the unnamed one */
    ins_id query_id;
    ins_selector payload;
    const ins_text *vector_names; /* answers carry these [vector_name_count]; NULL = all */
    size_t vector_name_count;
    uint32_t limit;
    uint32_t offset;    /* query */
    uint32_t dim, rows; /* of `vector`, as ins_vector has them */
    float score_threshold;
    ins_update_mode update_mode; /* upsert */
    bool has_start;              /* scroll */
    bool by_id; /* query: nearest to the stored vector of query_id, which is left out */
    bool has_score_threshold;
    bool with_vector; /* answers carry vectors */
    /* A change by filter that takes more than one record answers as soon as it cannot be lost: it
     * goes on by itself, also after a restart. */
    bool no_wait;
    /* query: how the nearest are looked for */
    bool exact;            /* every row is compared, whatever has a graph */
    bool ignore_codes;     /* rows are compared themselves where no graph is walked */
    ins_rescore rescore;   /* how sure codes must be that a row cannot be one of the nearest */
    double oversampling;   /* a walk keeps so many rows in view for each hit, at least; 0 = any */
    bool indexed_only;     /* extents that are to have a graph and have none yet are passed over */
    uint32_t graph_effort; /* rows that a walk keeps in view, more find more; 0 = by the limit */
} ins_points_request;

/* ---- Points by other orders than nearness, values, groups ---- */

typedef enum ins_rank_kind {
    INS_RANK_NEAREST,  /* to positive[0] */
    INS_RANK_AVERAGE,  /* to the mean of positive, moved away from the mean of negative; of
                          multivectors: to all rows of positive and those of negative turned round */
    INS_RANK_BEST,     /* by the best of the positive, or of the negative where that is nearer */
    INS_RANK_SUM,      /* by the sum over positive less the sum over negative */
    INS_RANK_DISCOVER, /* by pairs (positive[i], negative[i]), then by nearness to target */
    INS_RANK_CONTEXT,  /* by how little it is nearer to negative[i] than to positive[i] */
    INS_RANK_ORDER,    /* by the value at `key`: numbers or moments; others do not come */
    INS_RANK_SAMPLE,   /* at random */
    INS_RANK_ID,       /* by id */
    INS_RANK_FACET     /* no points: the values at `key` and how many points have each */
} ins_rank_kind;

typedef struct ins_example { /* a vector, or the stored one of a point, which is left out then */
    bool by_id;
    ins_id id;
    const float *vector; /* [dim], or [rows][dim] as ins_vector has them */
    uint32_t dim, rows;
} ins_example;

typedef struct ins_number {
    bool is_real;
    int64_t integer;
    double real;
} ins_number;

/* A moment (RFC 3339 and what Qdrant takes beside it) as microseconds since 1970, as
 * INS_RANK_ORDER compares it. False: no such text. Any thread. */
INS_API bool ins_moment_parse(ins_text text, int64_t *out_micros);

#define INS_RANK_LIMIT_MAX 16384u   /* limit + offset; limit * group_size */
#define INS_RANK_EXAMPLES_MAX 1024u /* of all lists together */

typedef struct ins_rank_request {
    /* collection, filter, limit, offset, score threshold, vector_name, what answers carry */
    ins_points_request points;
    ins_rank_kind kind;
    const ins_example *positive, *negative, *target;
    size_t positive_count, negative_count;
    ins_text key;
    bool descending, has_start; /* ORDER: from `start` on, itself included */
    ins_number start;
    /* Not 0: the best `limit` groups of points with equal values at `group_key`, of each the best
     * `group_size`. Integers and strings make groups; of an array each element does. */
    uint32_t group_size;
    ins_text group_key;
} ins_rank_request;

/* Exact over every island that the filter does not rule out. call->points (ORDER: with
 * order_values), call->groups or call->facets, best first. */
INS_API void ins_points_rank(ins_db *db, const void *rank_request, ins_call *call);

INS_API void ins_points_upsert(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_delete(ins_db *db, const void *points_request, ins_call *call);
/* By filter: what passed when the change took its place among the writes; what is written later
 * stays. One record holds up to 4,096 points, all or nothing. More take one record each, seen one
 * after the other; from the first one on the change is kept in the catalog, so that it is whole in
 * the end, whatever happens to the process: INS_EXHAUSTED when 16 such are under way. Only a point
 * that cannot be changed (its payload would become too large), or memory that is short for 10 s,
 * ends it before, with its error.
 *
 * Changes of points that are there, by ids or by filter. An id that is not there: INS_NOT_FOUND,
 * and nothing has changed. Set: members of `change` replace those of the same name, null removes
 * one. The payload that results has at most 1 MiB. A change of the tenant field moves the point. */
INS_API void ins_points_set_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_overwrite_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_delete_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_clear_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_update_vectors(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_delete_vectors(ins_db *db, const void *points_request, ins_call *call);

typedef struct ins_update {
    ins_start start; /* one of the functions above */
    ins_points_request request;
} ins_update;

typedef struct ins_batch_request {
    const ins_update *updates;
    size_t update_count;
} ins_batch_request;

/* Updates in their order: each takes effect behind the one before, all wait for the disk together.
 * Not all or nothing: the first that fails ends the batch with its error, those before it stand.
 * Answer: call->lsns, one an update. */
INS_API void ins_points_batch(ins_db *db, const void *batch_request, ins_call *call);
INS_API void ins_points_get(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_scroll(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_count(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_query(ins_db *db, const void *points_request, ins_call *call);

#ifdef __cplusplus
}
#endif
#endif
