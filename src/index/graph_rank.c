/* The last word of a search over a graph that keeps rows: what the walk found nearest, ranked by
 * them. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "index/graph_private.h"

#define LINE_BYTES 64u
#define AHEAD_LINES 8u /* of a row that is ranked soon; what follows is a stream of its own */
#define AHEAD_ROWS 4u

static int order_hits(const void *left, const void *right) {
    const struct graph_hit *a = left, *b = right;
    if (a->distance != b->distance) {
        return a->distance < b->distance ? -1 : 1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

static void prefetch_exact(const struct graph *graph, const struct graph_hit *hits, uint32_t at,
                           uint32_t count) {
    size_t bytes = at < count ? graph->rows.stride : 0;
    bytes = bytes < AHEAD_LINES * LINE_BYTES ? bytes : AHEAD_LINES * LINE_BYTES;
    for (size_t line = 0; line < bytes; line += LINE_BYTES) {
        __builtin_prefetch((const char *)row_at(&graph->rows, hits[at].id) + line);
    }
}

/* What is added to the distance of a row that is a rest: such rows, and for products the query too,
 * are moved by the centre. */
static float rest_offset(const struct graph *graph, const float *query) {
    return graph->options.metric == INDEX_L2
               ? 0
               : -graph->kernels->dot_f32(graph->centre, query, graph->options.dim);
}

static float rest_distance(const struct graph *graph, const struct graph_scratch *scratch,
                           uint32_t row) {
    bool dot = graph->options.metric == INDEX_DOT;
    float distance = graph->kernels->code_rest[dot ? KERNEL_DOT : KERNEL_L2](
        scratch->rotated, row_at(&graph->codes, row), row_at(&graph->rows, row),
        graph->rotation.padded);
    return dot ? -distance : distance;
}

/* Exact distances in place of the estimates. */
static void rank(const struct graph *graph, struct graph_scratch *scratch, const float *query,
                 struct graph_hit *hits, uint32_t count) {
    const void *exact = query;
    if (graph->options.type == ROW_U8) {
        kernel_u8_from_f32(query, graph->options.dim, scratch->bytes);
        exact = scratch->bytes;
    }
    bool rests = graph->options.type == ROW_REST;
    float offset = rests ? rest_offset(graph, query) : 0;
    for (uint32_t i = 0; i < AHEAD_ROWS; i++) {
        prefetch_exact(graph, hits, i, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        prefetch_exact(graph, hits, i + AHEAD_ROWS, count);
        hits[i].distance = rests ? rest_distance(graph, scratch, hits[i].id) + offset
                                 : row_distance(graph, graph->options.metric, exact, hits[i].id);
    }
}

uint32_t graph_search(const struct graph *graph, struct graph_scratch *scratch, const float *query,
                      uint32_t limit, uint32_t effort, uint32_t rerank,
                      const struct graph_filter *filter, struct graph_hit *out) {
    INS_ASSERT(effort >= limit);
    INS_ASSERT(effort <= scratch->effort_max);
    INS_ASSERT(filter == NULL || filter->effort_far <= scratch->effort_max);
    if (graph->count == 0 || limit == 0) {
        return 0;
    }
    graph_prepare(graph, scratch, query);
    graph_walk(graph, scratch, graph->sample, graph->sample_count, effort, filter);
    const struct beam *beam = &scratch->beam;
    uint32_t most = rerank == 0 ? scratch->effort_max : rerank, count = 0;
    for (uint32_t i = 0; i < beam->count && count < most; i++) {
        if (beam_counts(&beam->entries[i])) {
            scratch->hits[count++].id = beam->entries[i].id & BEAM_ID;
        }
    }
    rank(graph, scratch, query, scratch->hits, count);
    qsort(scratch->hits, count, sizeof(*scratch->hits), order_hits);
    count = count < limit ? count : limit;
    memcpy(out, scratch->hits, count * sizeof(*out));
    return count;
}
