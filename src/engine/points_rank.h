/* What the files of ins_points_rank share. */
#ifndef INS_ENGINE_POINTS_RANK_H
#define INS_ENGINE_POINTS_RANK_H

#include "engine/points.h"
#include "engine/walk_sweep.h"
#include "query/score.h"
#include "query/tally.h"

struct points_rank {
    struct operation operation;
    const ins_rank_request *request;
    struct scopes scopes;
    struct schema *schema;              /* held */
    ins_text tenant;                    /* where ids are within tenants: of the filter */
    const struct schema_vector *vector; /* NULL: the kind asks for none */
    struct walk_sweep over;
    enum { RANK_BEGIN, RANK_EXAMPLES, RANK_SWEEP, RANK_PICK, RANK_FETCH, RANK_END } stage;
    /* Examples: their ids are left out of the answer. */
    ins_id *ids;
    size_t id_count;
    struct score_vector *vectors; /* positive, negative, target */
    struct scorer scorer;
    uint64_t random;
    /* The row being looked at. */
    struct payload_path key, group_key;
    uint64_t points; /* looked at so far */
    bool uuid_key;   /* values at `key` are UUIDs, told apart and shown in their canonical form */
    bool group_refused, no_memory;
    struct rank_hit hit;
    float *row; /* [row_room] its vector as floats */
    uint32_t row_room;
    ins_text payload; /* when the kind asks for it */
    char *scratch;
    size_t scratch_size;
    /* Results. */
    enum rank_order order;
    struct rank_heap heap;
    struct tally tally;
    struct tally_value **chosen; /* groups of the answer */
    uint32_t chosen_count, lost; /* lost: points of groups that went before they were fetched */
    uint32_t repeats;
    ins_id *fetch_ids;
    uint64_t *fetch_scopes; /* where each of them lies */
    uint32_t fetch_count;
    /* A call of its own for examples, then for the points of the answer. */
    ins_call inner;
    ins_points_request inner_request;
    bool starting, inner_busy;
};

/* points_rank_examples.c: which vectors are needed, and what they come to. */
INS_MUST_USE ins_status rank_examples_begin(struct points_rank *self, ins_error *error);
INS_MUST_USE ins_status rank_examples_end(struct points_rank *self, ins_error *error);
/* points_rank_row.c: one row of the sweep. */
INS_MUST_USE ins_status rank_row(void *context, const ins_id *id, ins_error *error);

#endif
