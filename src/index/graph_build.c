/* Building a graph: rows are encoded, then inserted one by one in random order.
 *
 * Path: encode_all; insert: walk to the row, rank what was met exactly, keep those that are not
 * nearer to a kept one (prune), link back; where a list is full it is pruned.
 * Lists have twice the degree while they grow, so that one pruning serves many insertions; the end
 * prunes all to the degree. Building for dot products adds a dimension that makes all rows equally
 * long, so that nearest means largest product (Bachrach et al., RecSys 2014).
 * Memory: lists and augment are INS_MEM_JOB until the end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "index/graph_private.h"

#define EFFORT_DEFAULT 96u
#define ALPHA_DEFAULT 1.04f
#define FILLED                                                                                     \
    (GRAPH_DEGREE * 3 / 4) /* lists are filled up so far with the nearest that pruning left */
#define SLACK 2u           /* lists hold so many times the degree while they grow */
#define GROWING (SLACK * GRAPH_DEGREE)
#define STARTS 64u        /* rows among which an insertion looks for its beginning */
#define CENTRE_ROWS 4096u /* rows that the centre is made of */

struct growing { /* a list under construction */
    uint32_t count;
    uint32_t ids[GROWING];
};

struct build {
    struct graph *graph;
    graph_row row;
    void *context;
    struct row_blocks lists; /* struct growing */
    struct graph_scratch *scratch;
    float *augment;  /* [count], for dot products; else NULL */
    uint32_t *order; /* [count] */
    struct graph_hit *candidates;
    uint32_t candidate_max;
    float *decoded; /* [dim] of the row being inserted or pruned */
    float *kept;    /* [GRAPH_DEGREE][dim] of the neighbours kept so far */
    float alpha_squared;
};

/* ---- Memory ---- */

static void blocks_free(struct arena *arena, enum ins_mem_purpose purpose,
                        struct row_blocks *rows) {
    for (uint32_t i = 0; rows->blocks != NULL && i < rows->block_count; i++) {
        arena_free(arena, purpose, rows->blocks[i], rows->block_bytes);
    }
    arena_free(arena, purpose, (void *)rows->blocks, rows->block_count * sizeof(*rows->blocks));
    *rows = (struct row_blocks){0};
}

static bool blocks_make(struct arena *arena, enum ins_mem_purpose purpose, size_t stride,
                        uint32_t count, struct row_blocks *out) {
    uint32_t shift = 0;
    while (shift < 31 && (stride << (shift + 1)) <= INS_BLOCK_BYTES_MAX && (1u << shift) < count) {
        shift++;
    }
    uint32_t per_block = 1u << shift;
    uint32_t block_count = count / per_block + (count % per_block != 0);
    *out = (struct row_blocks){.block_count = block_count,
                               .shift = shift,
                               .stride = stride,
                               .block_bytes = stride << shift};
    out->blocks = arena_alloc_zero(arena, purpose, block_count * sizeof(*out->blocks));
    for (uint32_t i = 0; out->blocks != NULL && i < block_count; i++) {
        out->blocks[i] = arena_alloc(arena, purpose, out->block_bytes);
        if (out->blocks[i] == NULL) {
            blocks_free(arena, purpose, out);
            return false;
        }
    }
    return out->blocks != NULL;
}

static size_t row_stride(const struct graph_options *options) {
    static const size_t sizes[] = {[ROW_F32] = 4, [ROW_F16] = 2, [ROW_U8] = 1};
    return options->dim * sizes[options->type];
}

void graph_free(struct graph *graph) {
    if (graph == NULL) {
        return;
    }
    struct arena *arena = graph->arena;
    struct row_blocks *all[] = {&graph->rows, &graph->codes, &graph->factors, &graph->links};
    for (int i = 0; i < 4; i++) {
        if (all[i]->blocks != NULL) {
            blocks_free(arena, INS_MEM_CACHE, all[i]);
        }
    }
    uint32_t dim = graph->options.dim;
    arena_free(arena, INS_MEM_CACHE, graph->signs, rotation_signs(dim) * sizeof(float));
    arena_free(arena, INS_MEM_CACHE, graph->centre, dim * sizeof(float));
    arena_free(arena, INS_MEM_CACHE, graph, sizeof(*graph));
}

static struct graph *graph_make(const struct graph_options *options, uint32_t count,
                                struct arena *arena) {
    struct graph *graph = arena_alloc_zero(arena, INS_MEM_CACHE, sizeof(*graph));
    if (graph == NULL) {
        return NULL;
    }
    graph->options = *options;
    graph->arena = arena;
    graph->kernels = kernels_get();
    graph->code_kernels = code_kernels_get();
    graph->capacity = count;
    uint32_t dim = options->dim;
    graph->signs = arena_alloc(arena, INS_MEM_CACHE, rotation_signs(dim) * sizeof(float));
    graph->centre = arena_alloc_zero(arena, INS_MEM_CACHE, dim * sizeof(float));
    if (graph->signs == NULL || graph->centre == NULL ||
        !blocks_make(arena, INS_MEM_CACHE, row_stride(options), count, &graph->rows) ||
        !blocks_make(arena, INS_MEM_CACHE, code4_bytes(dim), count, &graph->codes) ||
        !blocks_make(arena, INS_MEM_CACHE, sizeof(struct code_factors), count, &graph->factors) ||
        !blocks_make(arena, INS_MEM_CACHE, GRAPH_DEGREE * sizeof(uint32_t), count, &graph->links)) {
        graph_free(graph);
        return NULL;
    }
    rotation_init(&graph->rotation, dim, options->seed, graph->signs);
    return graph;
}

/* ---- Rows and codes ---- */

static void store_row(const struct graph *graph, uint32_t row, const float *values) {
    void *stored = row_at(&graph->rows, row);
    uint32_t dim = graph->options.dim;
    switch (graph->options.type) {
    case ROW_F32:
        memcpy(stored, values, dim * sizeof(float));
        return;
    case ROW_F16:
        for (uint32_t i = 0; i < dim; i++) {
            ((uint16_t *)stored)[i] = kernel_f16_from_f32(values[i]);
        }
        return;
    case ROW_U8:
        for (uint32_t i = 0; i < dim; i++) {
            float value = values[i] < 0 ? 0 : values[i] > 255 ? 255 : values[i];
            ((uint8_t *)stored)[i] = (uint8_t)(value + 0.5f);
        }
        return;
    }
}

static void load_row(const struct graph *graph, uint32_t row, float *out) {
    const void *stored = row_at(&graph->rows, row);
    uint32_t dim = graph->options.dim;
    switch (graph->options.type) {
    case ROW_F32:
        memcpy(out, stored, dim * sizeof(float));
        return;
    case ROW_F16:
        for (uint32_t i = 0; i < dim; i++) {
            out[i] = kernel_f32_from_f16(((const uint16_t *)stored)[i]);
        }
        return;
    case ROW_U8:
        for (uint32_t i = 0; i < dim; i++) {
            out[i] = ((const uint8_t *)stored)[i];
        }
        return;
    }
}

static void make_centre(struct build *build) {
    struct graph *graph = build->graph;
    uint32_t dim = graph->options.dim, count = graph->capacity;
    uint32_t used = count < CENTRE_ROWS ? count : CENTRE_ROWS;
    for (uint32_t i = 0; i < used; i++) {
        const float *values = build->row(build->context, (uint32_t)((uint64_t)i * count / used));
        for (uint32_t d = 0; d < dim; d++) {
            graph->centre[d] += values[d] / (float)used;
        }
    }
}

static void encode_all(struct build *build) {
    struct graph *graph = build->graph;
    float *rotated = build->scratch->rotated;
    for (uint32_t row = 0; row < graph->capacity; row++) {
        const float *values = build->row(build->context, row);
        struct code_factors factors;
        store_row(graph, row, values);
        rotation_apply(&graph->rotation, values, graph->centre, rotated);
        code4_encode(rotated, graph->rotation.padded, row_at(&graph->codes, row), &factors);
        factors.scale *= -2; /* |r - q|^2 = |r|^2 - 2 <r, q> + |q|^2 */
        memcpy(row_at(&graph->factors, row), &factors, sizeof(factors));
    }
}

/* ---- Pruning ---- */

static int order_candidates(const void *left, const void *right) {
    const struct graph_hit *a = left, *b = right;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

/* Squared Euclidean, with the added dimension where there is one. */
static float build_distance(const struct build *build, const float *values, uint32_t of,
                            uint32_t row) {
    float distance = row_distance(build->graph, INDEX_L2, values, row);
    if (build->augment != NULL) {
        float added = build->augment[of] - build->augment[row];
        distance += added * added;
    }
    return distance;
}

static bool covered(const struct build *build, const uint32_t *kept, uint32_t kept_count,
                    const struct graph_hit *candidate) {
    uint32_t dim = build->graph->options.dim;
    for (uint32_t i = 0; i < kept_count; i++) {
        float between =
            build_distance(build, build->kept + (size_t)i * dim, kept[i], candidate->id);
        if (between * build->alpha_squared < candidate->distance) {
            return true;
        }
    }
    return false;
}

/* Of candidates (sorted here, their ids used up) those that no kept one covers, at most
 * GRAPH_DEGREE; then the nearest of the rest, up to FILLED: a full list makes up for pruning that
 * was right for one query and wrong for another. */
static uint32_t prune(struct build *build, struct graph_hit *candidates, uint32_t count,
                      uint32_t *out) {
    uint32_t kept = 0, dim = build->graph->options.dim;
    qsort(candidates, count, sizeof(*candidates), order_candidates);
    for (uint32_t i = 0; i < count && kept < GRAPH_DEGREE; i++) {
        if (!covered(build, out, kept, &candidates[i])) {
            load_row(build->graph, candidates[i].id, build->kept + (size_t)kept * dim);
            out[kept++] = candidates[i].id;
            candidates[i].id = GRAPH_NONE;
        }
    }
    for (uint32_t i = 0; i < count && kept < FILLED; i++) {
        if (candidates[i].id != GRAPH_NONE) {
            out[kept++] = candidates[i].id;
        }
    }
    return kept;
}

static struct growing *list_of(const struct build *build, uint32_t row) {
    return row_at(&build->lists, row);
}

static void prune_list(struct build *build, uint32_t row) {
    struct growing *list = list_of(build, row);
    struct graph_hit candidates[GROWING];
    uint32_t kept[GRAPH_DEGREE];
    load_row(build->graph, row, build->decoded);
    for (uint32_t i = 0; i < list->count; i++) {
        candidates[i] = (struct graph_hit){
            .id = list->ids[i],
            .distance = build_distance(build, build->decoded, row, list->ids[i])};
    }
    list->count = prune(build, candidates, list->count, kept);
    memcpy(list->ids, kept, list->count * sizeof(uint32_t));
}

/* What a walk reads: the newest GRAPH_DEGREE of the list. */
static void publish_list(const struct build *build, uint32_t row) {
    const struct growing *list = list_of(build, row);
    uint32_t *links = links_of(build->graph, row);
    uint32_t first = list->count > GRAPH_DEGREE ? list->count - GRAPH_DEGREE : 0;
    uint32_t count = list->count - first;
    memcpy(links, list->ids + first, count * sizeof(uint32_t));
    for (uint32_t i = count; i < GRAPH_DEGREE; i++) {
        links[i] = GRAPH_NONE;
    }
}

static void link_back(struct build *build, uint32_t from, uint32_t to) {
    struct growing *list = list_of(build, from);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->ids[i] == to) {
            return;
        }
    }
    if (list->count == GROWING) {
        prune_list(build, from);
    }
    list->ids[list->count++] = to;
    publish_list(build, from);
}

/* ---- Inserting ---- */

static void insert(struct build *build, uint32_t number) {
    struct graph *graph = build->graph;
    uint32_t row = build->order[number];
    uint32_t kept[GRAPH_DEGREE] = {0}, count = 0;
    load_row(graph, row, build->decoded);
    if (number > 0) {
        struct graph_scratch *scratch = build->scratch;
        scratch->query_augment = build->augment == NULL ? 0 : build->augment[row];
        rotation_apply(&graph->rotation, build->decoded, graph->centre, scratch->rotated);
        code_query_make(scratch->rotated, graph->rotation.padded, &scratch->query);
        graph_walk(graph, scratch, build->order, number < STARTS ? number : STARTS,
                   graph->options.build_effort);
        for (uint32_t i = 0; i < scratch->beam.count; i++) {
            uint32_t id = scratch->beam.entries[i].id & ~EXPANDED;
            if (id != row) {
                build->candidates[count++] = (struct graph_hit){
                    .id = id, .distance = build_distance(build, build->decoded, row, id)};
            }
        }
        count = prune(build, build->candidates, count, kept);
    }
    struct growing *list = list_of(build, row);
    list->count = count;
    memcpy(list->ids, kept, count * sizeof(uint32_t));
    publish_list(build, row);
    for (uint32_t i = 0; i < count; i++) {
        link_back(build, kept[i], row);
    }
}

static void shuffle(struct build *build) {
    uint32_t count = build->graph->capacity;
    for (uint32_t i = 0; i < count; i++) {
        build->order[i] = i;
    }
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)(hash_u64(build->graph->options.seed ^ i) % i);
        uint32_t swapped = build->order[i - 1];
        build->order[i - 1] = build->order[j];
        build->order[j] = swapped;
    }
}

static void make_augment(struct build *build) {
    struct graph *graph = build->graph;
    float most = 0;
    for (uint32_t row = 0; row < graph->capacity; row++) {
        const float *values = build->row(build->context, row);
        float norm = graph->kernels->dot_f32(values, values, graph->options.dim);
        build->augment[row] = norm;
        most = norm > most ? norm : most;
    }
    for (uint32_t row = 0; row < graph->capacity; row++) {
        build->augment[row] = sqrtf(most - build->augment[row]);
    }
    build->scratch->augment = build->augment;
}

static void finish(struct build *build) {
    struct graph *graph = build->graph;
    for (uint32_t row = 0; row < graph->capacity; row++) {
        if (list_of(build, row)->count > GRAPH_DEGREE) {
            prune_list(build, row);
        }
        publish_list(build, row);
        if (graph->options.metric == INDEX_DOT) { /* estimates of -<r, q> from here on */
            struct code_factors *factors = row_at(&graph->factors, row);
            factors->norm = 0;
            factors->scale /= 2;
        }
    }
    graph->count = graph->capacity;
    graph->sample_count = graph->count < GRAPH_SAMPLE_MAX ? graph->count : GRAPH_SAMPLE_MAX;
    memcpy(graph->sample, build->order, graph->sample_count * sizeof(uint32_t));
}

/* ---- The whole ---- */

static ins_status build_begin(struct build *build, ins_error *error) {
    struct graph *graph = build->graph;
    struct arena *arena = graph->arena;
    uint32_t count = graph->capacity, dim = graph->options.dim;
    ins_status status =
        graph_scratch_make(graph, graph->options.build_effort, &build->scratch, error);
    if (status != INS_OK) {
        return status;
    }
    build->candidate_max = graph->options.build_effort;
    build->order = calloc(count, sizeof(uint32_t));
    build->augment = graph->options.metric == INDEX_DOT ? malloc(count * sizeof(float)) : NULL;
    build->candidates =
        arena_alloc(arena, INS_MEM_JOB, build->candidate_max * sizeof(struct graph_hit));
    build->decoded = arena_alloc(arena, INS_MEM_JOB, dim * sizeof(float));
    build->kept = arena_alloc(arena, INS_MEM_JOB, (size_t)GRAPH_DEGREE * dim * sizeof(float));
    bool lists = blocks_make(arena, INS_MEM_JOB, sizeof(struct growing), count, &build->lists);
    if (build->order == NULL || build->candidates == NULL || build->decoded == NULL ||
        build->kept == NULL || !lists ||
        (graph->options.metric == INDEX_DOT && build->augment == NULL)) {
        return ins_fail(error, INS_FULL, "no memory to build a graph of %u rows", count);
    }
    for (uint32_t row = 0; row < count; row++) {
        list_of(build, row)->count = 0;
    }
    return INS_OK;
}

static void build_end(struct build *build) {
    struct arena *arena = build->graph->arena;
    uint32_t dim = build->graph->options.dim;
    graph_scratch_free(build->scratch);
    free(build->order);
    free(build->augment);
    arena_free(arena, INS_MEM_JOB, build->candidates,
               build->candidate_max * sizeof(struct graph_hit));
    arena_free(arena, INS_MEM_JOB, build->decoded, dim * sizeof(float));
    arena_free(arena, INS_MEM_JOB, build->kept, (size_t)GRAPH_DEGREE * dim * sizeof(float));
    if (build->lists.blocks != NULL) {
        blocks_free(arena, INS_MEM_JOB, &build->lists);
    }
}

ins_status graph_build(const struct graph_options *options, uint32_t count, graph_row row,
                       void *context, struct arena *arena, struct graph **out_graph,
                       ins_error *error) {
    INS_ASSERT(count > 0);
    INS_ASSERT(options->dim > 0);
    struct graph *graph = graph_make(options, count, arena);
    if (graph == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a graph of %u rows of %u dimensions", count,
                        options->dim);
    }
    if (graph->options.build_effort == 0) {
        graph->options.build_effort = EFFORT_DEFAULT;
    }
    float alpha = options->alpha == 0 ? ALPHA_DEFAULT : options->alpha;
    struct build build = {
        .graph = graph, .row = row, .context = context, .alpha_squared = alpha * alpha};
    ins_status status = build_begin(&build, error);
    if (status == INS_OK) {
        make_centre(&build);
        if (build.augment != NULL) {
            make_augment(&build);
        }
        encode_all(&build);
        shuffle(&build);
        for (uint32_t number = 0; number < count; number++) {
            insert(&build, number);
        }
        finish(&build);
    }
    build_end(&build);
    if (status != INS_OK) {
        graph_free(graph);
        return status;
    }
    *out_graph = graph;
    return INS_OK;
}
