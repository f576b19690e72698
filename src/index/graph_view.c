/* A graph whose codes, factors and links lie elsewhere, such as in chunks of a file. */
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "index/graph_private.h"

void graph_head_of(const struct graph *graph, struct graph_head *out) {
    *out = (struct graph_head){.dim = graph->options.dim,
                               .count = graph->count,
                               .sample_count = graph->sample_count,
                               .metric = graph->options.metric,
                               .turns = graph->turns,
                               .build_effort = graph->options.build_effort,
                               .seed = graph->options.seed,
                               .centre = graph->centre,
                               .sample = graph->sample};
}

static struct row_blocks borrow(const uint8_t *const *blocks, size_t stride) {
    /* Nothing writes to the blocks of a graph that is searched. */
    return (struct row_blocks){.blocks = (uint8_t **)(uintptr_t)blocks,
                               .shift = row_blocks_shift(stride),
                               .stride = stride};
}

const char *graph_head_fault(const struct graph_head *head) {
    if (head->dim == 0 || head->dim > ROTATION_DIM_MAX) {
        return "dimensions";
    }
    if (head->count == 0 || head->count > GRAPH_ROWS_MAX) {
        return "rows";
    }
    if (head->metric != INDEX_DOT && head->metric != INDEX_L2) {
        return "metric";
    }
    if (head->sample_count == 0 || head->sample_count > GRAPH_SAMPLE_MAX) {
        return "size of the sample";
    }
    for (uint32_t i = 0; i < head->sample_count; i++) {
        if (head->sample[i] >= head->count) {
            return "sample";
        }
    }
    return NULL;
}

ins_status graph_view(const struct graph_head *head, const struct graph_blocks *blocks,
                      struct arena *arena, struct graph **out_graph, ins_error *error) {
    const char *fault = graph_head_fault(head);
    if (fault != NULL) {
        return ins_fail(error, INS_INVALID, "the %s of a graph's head", fault);
    }
    struct graph *graph = arena_alloc_zero(arena, INS_MEM_QUERY, sizeof(*graph));
    size_t signs_bytes = rotation_signs(head->dim) * sizeof(float);
    float *signs = graph == NULL ? NULL : arena_alloc(arena, INS_MEM_QUERY, signs_bytes);
    if (signs == NULL) {
        arena_free(arena, INS_MEM_QUERY, graph, sizeof(*graph));
        return ins_fail(error, INS_FULL, "no memory to look at a graph");
    }
    *graph = (struct graph){
        .options = {.dim = head->dim, .metric = head->metric, .seed = head->seed},
        .arena = arena,
        .purpose = INS_MEM_QUERY,
        .kernels = kernels_get(),
        .signs = signs,
        .centre = head->centre,
        .count = head->count,
        .capacity = head->count,
        .codes = borrow(blocks->codes, code4_bytes(head->dim)),
        .factors = borrow(blocks->factors, sizeof(struct code_factors)),
        .links = borrow(blocks->links, LINKS_BYTES),
        .sample_count = head->sample_count,
    };
    memcpy(graph->sample, head->sample, head->sample_count * sizeof(uint32_t));
    rotation_init(&graph->rotation, head->dim, head->seed, signs);
    *out_graph = graph;
    return INS_OK;
}
