/* What making and searching the fast layout share. */
#ifndef INS_INDEX_GRAPH_FAST_PRIVATE_H
#define INS_INDEX_GRAPH_FAST_PRIVATE_H

#include "index/code_list.h"
#include "index/graph_fast.h"
#include "index/graph_private.h"

_Static_assert(CODE_LIST_ROWS == GRAPH_DEGREE, "a list of codes is a row's");

struct fast_graph {
    struct arena *arena;
    enum ins_mem_purpose purpose;
    const struct kernels *kernels;
    enum index_metric metric;
    enum row_type type; /* ROW_U8, or ROW_REST */
    uint32_t dim, count;
    struct rotation rotation;
    float *signs, *centre;
    /* In a block, behind the codes: the row is bytes, or a rest and its code. */
    size_t links_at, row_at, code_at;
    struct row_blocks blocks;
    uint32_t sample[GRAPH_SAMPLE_MAX];
    uint32_t sample_count;
    struct row_blocks sample_lists; /* codes of the sample, from the centre */
    uint32_t widening;              /* fast_graph_widening() */
};

struct fast_scratch {
    struct arena *arena;
    uint32_t effort_max, padded;
    struct beam_entry *entries; /* [FAST_BEAM_TIMES * effort_max + 1] */
    uint64_t *visited;          /* a bit a row that was expanded; all zero between searches */
    uint32_t visited_words;
    uint32_t *met; /* rows whose bit is set, [met_capacity]; beyond it they are cleared whole */
    uint32_t met_count, met_capacity;
    float *rotated;        /* [padded] */
    uint8_t *bytes;        /* [padded] */
    uint8_t *table;        /* [4 * padded] */
    struct topk_hit *heap; /* [effort_max] */
    struct code_list_query query;
    float from_centre; /* the query's distance from it */
    float added;       /* to what code and rest give, for products */
    uint64_t hops;     /* of the last search */
};

/* The row as it lies from the centre, rotated: out [padded]. `values` [dim] is scratch for rows of
 * bytes. */
void fast_rotated_row(const struct fast_graph *fast, uint32_t row, float *values, float *out);
/* As fast_graph_search, near a row of the graph, which is not found itself. `values` [dim] and
 * `rotated` [padded] are scratch. */
uint32_t fast_search_row(const struct fast_graph *fast, struct fast_scratch *scratch, uint32_t row,
                         float *values, float *rotated, uint32_t limit, uint32_t effort,
                         struct graph_hit *out);

#endif
