/* What building a graph and pruning its lists share. */
#ifndef INS_INDEX_GRAPH_BUILD_PRIVATE_H
#define INS_INDEX_GRAPH_BUILD_PRIVATE_H

#include "index/graph_elder_private.h"
#include "index/graph_private.h"

#define KEPT_GROUP 4u /* rows that a candidate is compared with at once */

struct growing { /* a list under construction */
    uint32_t count;
    uint32_t ids[GROWING];
};

enum build_stage {
    BUILD_ADD,
    BUILD_INHERIT,
    BUILD_NORMS,
    BUILD_ENCODE,
    BUILD_INSERT,
    BUILD_FINISH,
    BUILD_DONE
};

struct graph_builder {
    struct graph *graph;
    enum build_stage stage;
    uint32_t next;             /* row, or number of the order, that the stage comes to */
    uint32_t linked;           /* rows that have their links of the elder: first of the order */
    struct graph_elder *elder; /* until its links are taken, or NULL */
    struct row_blocks lists;   /* struct growing */
    struct row_blocks augment; /* float, for dot products; else empty */
    struct row_blocks order;   /* uint32_t: rows as they are inserted */
    struct row_blocks rests;   /* the graph's rows in the end, where they are to be rests */
    struct graph_scratch *scratch;
    float *centre; /* the graph's */
    struct graph_hit *candidates;
    uint32_t candidate_max;
    float *candidate; /* [dim] of the row that graph_prune compares */
    float *decoded;   /* [dim] of the row being inserted or pruned */
    /* Of the links that graph_prune has chosen, KEPT_GROUP rows each, dim values apart: bytes where
     * rows are bytes, else floats. */
    void *kept[GRAPH_DEGREE / KEPT_GROUP];
    float alpha_squared;
    float norm_most; /* of all rows, squared */
};

static inline struct growing *graph_list_of(const struct graph_builder *build, uint32_t row) {
    return row_at(&build->lists, row);
}

/* The values of a row, as they came: out [dim]. */
void graph_stored_row(const struct graph *graph, uint32_t row, float *out);

/* ---- Pruning (graph_prune.c) ---- */

/* Squared Euclidean, with the added dimension where there is one; `values` are those of row `of`,
 * as floats. */
float graph_build_distance(const struct graph_builder *build, const float *values, uint32_t of,
                           uint32_t row);
/* Of `count` candidates for the links of a row (sorted here, used up) the best: out [GRAPH_DEGREE],
 * returns how many: all where they are no more. */
uint32_t graph_prune(struct graph_builder *build, struct graph_hit *candidates, uint32_t count,
                     uint32_t *out);
/* The list of `row` becomes the best of it. */
void graph_prune_list(struct graph_builder *build, uint32_t row);

#endif
