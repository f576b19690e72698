/* What building and searching a graph share. */
#ifndef INS_INDEX_GRAPH_PRIVATE_H
#define INS_INDEX_GRAPH_PRIVATE_H

#include "index/graph.h"

/* In beam_entry.id: */
#define EXPANDED 0x80000000u /* its neighbours were looked at */
#define PASSED 0x40000000u   /* it is walked over, but does not count */
#define BEAM_ID 0x3fffffffu
_Static_assert(GRAPH_ROWS_MAX <= BEAM_ID, "flags and row fit a word");

struct beam_entry {
    float distance; /* estimated */
    uint32_t id;
};

static inline bool beam_counts(const struct beam_entry *entry) {
    return (entry->id & PASSED) == 0;
}

/* The nearest rows met so far, ascending by estimated distance. */
struct beam {
    struct beam_entry *entries; /* [capacity + 1] */
    uint32_t count, capacity;
    uint32_t counted; /* of the entries: all that are not PASSED */
    uint32_t next;    /* the first that may not be expanded */
};

struct graph_scratch {
    struct arena *arena;
    uint32_t effort_max, padded;
    struct beam beam;  /* capacity: above effort_max, for rows that do not count */
    uint64_t *visited; /* a bit a row; all zero between searches */
    uint32_t visited_words;
    uint32_t
        *met; /* rows whose bit is set, [met_capacity]; beyond that the bits are cleared whole */
    uint32_t met_count, met_capacity;
    float *rotated; /* [padded] */
    uint8_t *bytes; /* [padded]: the query, where rows are bytes */
    struct code_query query;
    struct graph_hit *hits;           /* [effort_max] */
    const struct row_blocks *augment; /* building for dot products: the dimension added to each
                                         row, or NULL */
    float query_augment;
    /* Of the last search: */
    uint64_t hops, distances;
    bool far; /* what passes lies apart from the query */
};

/* Fills scratch->beam with rows near the prepared query, among those linked so far. `starts`: rows
 * to begin from, at least one. */
void graph_walk(const struct graph *graph, struct graph_scratch *scratch, const uint32_t *starts,
                uint32_t start_count, uint32_t effort, const struct graph_filter *filter);
/* Rotates and rounds `query`, moved by the centre for Euclidean distances. */
void graph_prepare(const struct graph *graph, struct graph_scratch *scratch, const float *query);

/* Why the head is wrong, or NULL. */
const char *graph_head_fault(const struct graph_head *head);

static inline float augment_of(const struct row_blocks *augment, uint32_t row) {
    return *(const float *)row_at(augment, row);
}

static inline uint8_t *links_of(const struct graph *graph, uint32_t row) {
    return row_at(&graph->links, row);
}

/* As rows are kept while the graph is built. */
static inline enum row_type build_type(const struct graph_options *options) {
    return options->type == ROW_REST ? ROW_F32 : options->type;
}

/* Exact: squared Euclidean distance, or the negated dot product. `query`: floats, but bytes for
 * rows of bytes. Not of rows that are rests by now. */
static inline float row_distance(const struct graph *graph, enum index_metric metric,
                                 const void *query, uint32_t row) {
    const struct kernels *kernels = graph->kernels;
    const void *stored = row_at(&graph->rows, row);
    uint32_t dim = graph->options.dim;
    enum kernel_metric form = metric == INDEX_DOT ? KERNEL_DOT : KERNEL_L2;
    float distance = 0;
    switch (build_type(&graph->options)) {
    case ROW_F32:
    case ROW_REST:
        kernels->f32_rows[form](query, stored, dim, 1, dim, &distance);
        break;
    case ROW_F16:
        kernels->f16_rows[form](query, stored, dim, 1, dim, &distance);
        break;
    case ROW_U8:
        kernels->u8_rows[form](query, stored, dim, 1, dim, &distance);
        break;
    }
    return metric == INDEX_DOT ? -distance : distance;
}

#endif
