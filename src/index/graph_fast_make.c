/* Making the fast layout: first rows and links come into their blocks, then every row gets the
 * codes of its neighbours, which are taken out of their blocks again: what 14 bits a dimension lose
 * is nothing beside a code of one bit, and no second copy of the rows is needed. Rows that are kept
 * as bytes have one until all lists are made: to rotate each row for each list that it is in would
 * be most of the work. */
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "index/graph_fast_private.h"

struct fast_builder {
    struct fast_graph *fast;
    uint32_t rows, links, lists; /* so many are in their blocks */
    struct row_blocks rotated;   /* [ROTATED_ROWS]: from, to ... */
    struct row_blocks rests;     /* of rows that are kept as bytes: rest and code; else empty */
};

#define ROTATED_ROWS (CODE_LIST_ROWS + 1)
#define SAMPLE_LISTS (GRAPH_SAMPLE_MAX / CODE_LIST_ROWS)

static float *rotated_at(const struct fast_builder *build, uint32_t index) {
    return row_at(&build->rotated, index);
}

void fast_graph_free(struct fast_graph *fast) {
    if (fast == NULL) {
        return;
    }
    struct arena *arena = fast->arena;
    uint32_t dim = fast->dim;
    row_blocks_free(arena, fast->purpose, &fast->blocks);
    arena_free(arena, fast->purpose, fast->signs, rotation_signs(dim) * sizeof(float));
    arena_free(arena, fast->purpose, fast->centre, dim * sizeof(float));
    row_blocks_free(arena, fast->purpose, &fast->sample_lists);
    arena_free(arena, fast->purpose, fast, sizeof(*fast));
}

uint64_t fast_graph_bytes(const struct fast_graph *fast) {
    return (uint64_t)fast->count * fast->blocks.stride;
}

uint32_t fast_graph_widening(const struct fast_graph *fast) {
    return fast->widening;
}

static size_t rest_stride(const struct fast_graph *fast) {
    return fast->type == ROW_U8 ? code_rest_bytes(padded_dim(fast->dim)) + code4_bytes(fast->dim)
                                : 0;
}

static size_t stride_of(struct fast_graph *fast) {
    uint32_t padded = padded_dim(fast->dim);
    bool bytes = fast->type == ROW_U8;
    fast->links_at = code_list_bytes(padded);
    fast->row_at = fast->links_at + LINKS_BYTES;
    fast->code_at = fast->row_at + (bytes ? fast->dim : code_rest_bytes(padded));
    return fast->code_at + (bytes ? 0 : code4_bytes(fast->dim));
}

static enum row_type kept_type(enum row_type type) {
    return type == ROW_U8 ? ROW_U8 : ROW_REST;
}

static uint64_t bytes_of(size_t stride, uint32_t count) {
    struct row_blocks plan = row_blocks_plan(stride, count);
    return plan.block_count * (uint64_t)(arena_class_size(plan.block_bytes) + sizeof(uint8_t *));
}

uint64_t fast_build_bytes(uint32_t dim, enum row_type type, uint64_t count) {
    struct fast_graph fast = {.dim = dim, .type = kept_type(type)};
    uint32_t padded = padded_dim(dim);
    uint64_t rests = rest_stride(&fast) > 0 ? bytes_of(rest_stride(&fast), (uint32_t)count) : 0;
    return bytes_of(stride_of(&fast), (uint32_t)count) + rests +
           bytes_of(code_list_bytes(padded), SAMPLE_LISTS) +
           bytes_of(padded * sizeof(float), ROTATED_ROWS) +
           (rotation_signs(dim) + (uint64_t)dim) * sizeof(float) + sizeof(fast);
}

static bool allocate(struct fast_builder *build, size_t stride) {
    struct fast_graph *fast = build->fast;
    struct arena *arena = fast->arena;
    uint32_t dim = fast->dim, padded = padded_dim(dim);
    fast->signs = arena_alloc(arena, fast->purpose, rotation_signs(dim) * sizeof(float));
    fast->centre = arena_alloc(arena, fast->purpose, dim * sizeof(float));
    size_t rest = rest_stride(fast);
    return fast->signs != NULL && fast->centre != NULL &&
           (rest == 0 || row_blocks_make(arena, fast->purpose, rest, fast->count, &build->rests)) &&
           row_blocks_make(arena, fast->purpose, code_list_bytes(padded), SAMPLE_LISTS,
                           &fast->sample_lists) &&
           row_blocks_make(arena, fast->purpose, padded * sizeof(float), ROTATED_ROWS,
                           &build->rotated) &&
           row_blocks_make(arena, fast->purpose, stride, fast->count, &fast->blocks);
}

ins_status fast_build_begin(const struct graph_head *head, enum row_type type, struct arena *arena,
                            enum ins_mem_purpose purpose, struct fast_builder **out_builder,
                            ins_error *error) {
    const char *fault = graph_head_fault(head);
    if (fault != NULL) {
        return ins_fail(error, INS_INVALID, "the %s of a graph's head", fault);
    }
    struct fast_builder *build = arena_alloc_zero(arena, purpose, sizeof(*build));
    struct fast_graph *fast = arena_alloc_zero(arena, purpose, sizeof(*fast));
    if (build == NULL || fast == NULL) {
        arena_free(arena, purpose, build, sizeof(*build));
        arena_free(arena, purpose, fast, sizeof(*fast));
        return ins_fail(error, INS_FULL, "no memory for a graph with codes of neighbours");
    }
    *fast = (struct fast_graph){.arena = arena,
                                .purpose = purpose,
                                .kernels = kernels_get(),
                                .metric = head->metric,
                                .type = kept_type(type),
                                .dim = head->dim,
                                .count = head->count,
                                .sample_count = head->sample_count,
                                .widening = FAST_WIDENING_USUAL};
    build->fast = fast;
    if (!allocate(build, stride_of(fast))) {
        fast_build_free(build);
        return ins_fail(error, INS_FULL,
                        "no memory for a graph with codes of neighbours, of %u rows", head->count);
    }
    memcpy(fast->sample, head->sample, head->sample_count * sizeof(uint32_t));
    memcpy(fast->centre, head->centre, head->dim * sizeof(float));
    rotation_init(&fast->rotation, head->dim, head->seed, fast->signs);
    *out_builder = build;
    return INS_OK;
}

void fast_build_free(struct fast_builder *build) {
    if (build != NULL) {
        fast_graph_free(fast_build_take(build));
    }
}

struct fast_graph *fast_build_take(struct fast_builder *build) {
    struct fast_graph *fast = build->fast;
    struct arena *arena = fast->arena;
    row_blocks_free(arena, fast->purpose, &build->rests);
    row_blocks_free(arena, fast->purpose, &build->rotated);
    arena_free(arena, fast->purpose, build, sizeof(*build));
    return fast;
}

void fast_build_row(struct fast_builder *build, const float *row) {
    const struct fast_graph *fast = build->fast;
    INS_ASSERT(build->rows < fast->count);
    uint32_t padded = fast->rotation.padded;
    uint8_t *block = row_at(&fast->blocks, build->rows);
    uint8_t *rest = block + fast->row_at, *code = block + fast->code_at;
    if (fast->type == ROW_U8) {
        kernel_u8_from_f32(row, fast->dim, block + fast->row_at);
        rest = row_at(&build->rests, build->rows);
        code = rest + code_rest_bytes(padded);
    }
    struct code_factors ignored;
    float *rotated = rotated_at(build, 0);
    rotation_apply(&fast->rotation, row, fast->centre, rotated);
    float inverse = code4_encode(rotated, padded, code, &ignored);
    code_rest_encode(rotated, padded, code, inverse, rest);
    build->rows++;
}

void fast_build_links(struct fast_builder *build, const void *links, uint32_t count) {
    const struct fast_graph *fast = build->fast;
    INS_ASSERT(count <= fast->count - build->links);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *block = row_at(&fast->blocks, build->links++);
        memcpy(block + fast->links_at, (const uint8_t *)links + (size_t)i * LINKS_BYTES,
               LINKS_BYTES);
    }
}

void fast_rotated_row(const struct fast_graph *fast, uint32_t row, float *values, float *out) {
    const uint8_t *block = row_at(&fast->blocks, row);
    if (fast->type == ROW_U8) {
        for (uint32_t i = 0; i < fast->dim; i++) {
            values[i] = block[fast->row_at + i];
        }
        rotation_apply(&fast->rotation, values, fast->centre, out);
        return;
    }
    fast->kernels->code_rest_values(block + fast->code_at, block + fast->row_at,
                                    fast->rotation.padded, out);
}

/* As fast_rotated_row, without rotating. */
static void decode(const struct fast_builder *build, uint32_t row, float *out) {
    const struct fast_graph *fast = build->fast;
    if (fast->type == ROW_U8) {
        uint32_t padded = fast->rotation.padded;
        const uint8_t *rest = row_at(&build->rests, row);
        fast->kernels->code_rest_values(rest + code_rest_bytes(padded), rest, padded, out);
    } else {
        fast_rotated_row(fast, row, NULL, out);
    }
}

/* The list of `count` rows as they lie from rotated_at(0). */
static void fill_list(struct fast_builder *build, const uint32_t *rows, uint32_t count,
                      uint8_t *list) {
    const struct fast_graph *fast = build->fast;
    uint32_t padded = fast->rotation.padded;
    const float *to[CODE_LIST_ROWS];
    for (uint32_t i = 0; i < count; i++) {
        float *one = rotated_at(build, i + 1);
        decode(build, rows[i], one);
        to[i] = one;
    }
    code_list_encode(rotated_at(build, 0), to, count, padded, fast->metric == INDEX_DOT, list);
}

/* A list ends with the first link that leads nowhere. */
static void fill_row(struct fast_builder *build, uint32_t row) {
    const struct fast_graph *fast = build->fast;
    uint32_t links[GRAPH_DEGREE], count = 0;
    uint8_t *block = row_at(&fast->blocks, row);
    links_load(block + fast->links_at, links);
    while (count < GRAPH_DEGREE && links[count] < fast->count) {
        count++;
    }
    links_store(block + fast->links_at, links, count);
    decode(build, row, rotated_at(build, 0));
    fill_list(build, links, count, block);
}

static void fill_sample(struct fast_builder *build) {
    struct fast_graph *fast = build->fast;
    memset(rotated_at(build, 0), 0, fast->rotation.padded * sizeof(float));
    for (uint32_t at = 0; at < fast->sample_count; at += CODE_LIST_ROWS) {
        uint32_t left = fast->sample_count - at;
        fill_list(build, fast->sample + at, left < CODE_LIST_ROWS ? left : CODE_LIST_ROWS,
                  row_at(&fast->sample_lists, at / CODE_LIST_ROWS));
    }
}

bool fast_build_step(struct fast_builder *build, uint32_t rows) {
    const struct fast_graph *fast = build->fast;
    INS_ASSERT(build->rows == fast->count);
    INS_ASSERT(build->links == fast->count);
    if (build->lists == 0) {
        fill_sample(build);
    }
    for (uint32_t i = 0; i < rows && build->lists < fast->count; i++) {
        fill_row(build, build->lists++);
    }
    return build->lists == fast->count;
}

ins_status fast_graph_make(const struct graph *graph, graph_row row, void *context,
                           struct fast_graph **out_fast, ins_error *error) {
    struct graph_head head;
    struct fast_builder *build = NULL;
    graph_head_of(graph, &head);
    ins_status status =
        fast_build_begin(&head, graph->options.type, graph->arena, graph->purpose, &build, error);
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(build != NULL);
    for (uint32_t i = 0; i < graph->count; i++) {
        fast_build_row(build, row(context, i));
        fast_build_links(build, links_of(graph, i), 1);
    }
    while (!fast_build_step(build, graph->count)) {
    }
    *out_fast = fast_build_take(build);
    return INS_OK;
}
