/* Building a graph: rows are kept, encoded, then inserted one by one in random order. Those whose
 * neighbours an older graph tells stand before them (graph_elder.h).
 *
 * Path: graph_build_add; encode; insert: walk to the row, rank what was met exactly, keep those
 * that graph_prune.c chooses, link back; where a list is full it is pruned. Lists
 * have twice the degree while they grow, so that one pruning serves many insertions; the end prunes
 * all to the degree. Building for dot products adds a dimension that makes all rows equally long,
 * so that nearest means largest product (Bachrach et al., RecSys 2014). Everything is taken at the
 * beginning; what only building needs goes at the end. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "index/graph_build_private.h"
#include "index/graph_elder_private.h"

#define EFFORT_DEFAULT 96u
#define ALPHA_DEFAULT 1.0f /* strict: lists are filled anyway */
#define STARTS 64u         /* rows among which an insertion looks for its beginning */
#define CENTRE_ROWS 4096u  /* rows that the centre is made of */
#define LINE_BYTES 64u
#define AHEAD_ROWS 6u
#define AHEAD_BYTES 512u /* of a row; what follows is a stream of its own */
#define LIGHT_ROWS 16u   /* rows that are encoded, or pruned, in the time of an insertion */

/* ---- Memory ---- */

static size_t row_stride(const struct graph_options *options) {
    static const size_t sizes[] = {[ROW_F32] = 4, [ROW_F16] = 2, [ROW_U8] = 1};
    return options->dim * sizes[build_type(options)];
}

static size_t rest_stride(const struct graph_options *options) {
    return options->type == ROW_REST ? code_rest_bytes(padded_dim(options->dim)) : 0;
}

uint32_t graph_build_effort(const struct graph_options *options) {
    return options->build_effort == 0 ? EFFORT_DEFAULT : options->build_effort;
}

uint64_t graph_build_bytes(const struct graph_options *options, uint64_t count) {
    const size_t strides[] = {row_stride(options),
                              code4_bytes(options->dim),
                              sizeof(struct code_factors),
                              LINKS_BYTES,
                              sizeof(struct growing),
                              sizeof(uint32_t),
                              options->metric == INDEX_DOT ? sizeof(float) : 0,
                              rest_stride(options)};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof(strides) / sizeof(strides[0]) && count > 0; i++) {
        if (strides[i] > 0) {
            uint32_t rows = count < GRAPH_ROWS_MAX ? (uint32_t)count : GRAPH_ROWS_MAX;
            struct row_blocks plan = row_blocks_plan(strides[i], rows);
            bytes += (arena_class_size(plan.block_bytes) + sizeof(void *)) * plan.block_count;
        }
    }
    return bytes + (uint64_t)options->dim * sizeof(float) * (GRAPH_DEGREE + 16);
}

void graph_free(struct graph *graph) {
    if (graph == NULL) {
        return;
    }
    struct arena *arena = graph->arena;
    struct row_blocks *all[] = {&graph->rows, &graph->codes, &graph->factors, &graph->links};
    for (int i = 0; i < 4; i++) {
        row_blocks_free(arena, graph->purpose, all[i]);
    }
    uint32_t dim = graph->options.dim;
    arena_free(arena, graph->purpose, graph->signs, rotation_signs(dim) * sizeof(float));
    arena_free(arena, graph->purpose, graph->own_centre, dim * sizeof(float));
    arena_free(arena, graph->purpose, graph, sizeof(*graph));
}

void graph_drop_rows(struct graph *graph) {
    row_blocks_free(graph->arena, graph->purpose, &graph->rows);
}

static struct graph *graph_make(const struct graph_options *options, uint32_t count,
                                struct arena *arena, enum ins_mem_purpose purpose) {
    struct graph *graph = arena_alloc_zero(arena, purpose, sizeof(*graph));
    if (graph == NULL) {
        return NULL;
    }
    graph->options = *options;
    graph->arena = arena;
    graph->purpose = purpose;
    graph->kernels = kernels_get();
    graph->capacity = count;
    uint32_t dim = options->dim;
    graph->signs = arena_alloc(arena, purpose, rotation_signs(dim) * sizeof(float));
    graph->own_centre = arena_alloc_zero(arena, purpose, dim * sizeof(float));
    graph->centre = graph->own_centre;
    if (graph->signs == NULL || graph->centre == NULL ||
        !row_blocks_make(arena, purpose, row_stride(options), count, &graph->rows) ||
        !row_blocks_make(arena, purpose, code4_bytes(dim), count, &graph->codes) ||
        !row_blocks_make(arena, purpose, sizeof(struct code_factors), count, &graph->factors) ||
        !row_blocks_make(arena, purpose, LINKS_BYTES, count, &graph->links)) {
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
    switch (build_type(&graph->options)) {
    case ROW_F32:
    case ROW_REST:
        memcpy(stored, values, dim * sizeof(float));
        return;
    case ROW_F16:
        kernel_halves_from_floats(values, dim, stored);
        return;
    case ROW_U8:
        kernel_u8_from_f32(values, dim, stored);
        return;
    }
}

void graph_stored_row(const struct graph *graph, uint32_t row, float *out) {
    const void *stored = row_at(&graph->rows, row);
    uint32_t dim = graph->options.dim;
    switch (build_type(&graph->options)) {
    case ROW_F32:
    case ROW_REST:
        memcpy(out, stored, dim * sizeof(float));
        return;
    case ROW_F16:
        kernel_floats_from_halves(stored, dim, out);
        return;
    case ROW_U8:
        for (uint32_t i = 0; i < dim; i++) {
            out[i] = ((const uint8_t *)stored)[i];
        }
        return;
    }
}

static void make_centre(struct graph_builder *build) {
    const struct graph *graph = build->graph;
    uint32_t dim = graph->options.dim, count = graph->capacity;
    uint32_t used = count < CENTRE_ROWS ? count : CENTRE_ROWS;
    for (uint32_t i = 0; i < used; i++) {
        graph_stored_row(graph, (uint32_t)((uint64_t)i * count / used), build->decoded);
        for (uint32_t d = 0; d < dim; d++) {
            graph->own_centre[d] += build->decoded[d] / (float)used;
        }
    }
}

static void take_norm(struct graph_builder *build, uint32_t row) {
    const struct graph *graph = build->graph;
    graph_stored_row(graph, row, build->decoded);
    float norm = graph->kernels->dot_f32(build->decoded, build->decoded, graph->options.dim);
    *(float *)row_at(&build->augment, row) = norm;
    build->norm_most = norm > build->norm_most ? norm : build->norm_most;
}

static void encode(struct graph_builder *build, uint32_t row) {
    const struct graph *graph = build->graph;
    float *rotated = build->scratch->rotated;
    uint32_t padded = graph->rotation.padded;
    struct code_factors factors;
    graph_stored_row(graph, row, build->decoded);
    rotation_apply(&graph->rotation, build->decoded, graph->centre, rotated);
    float inverse = code4_encode(rotated, padded, row_at(&graph->codes, row), &factors);
    if (build->rests.blocks != NULL) {
        code_rest_encode(rotated, padded, row_at(&graph->codes, row), inverse,
                         row_at(&build->rests, row));
    }
    factors.scale *= -2; /* |r - q|^2 = |r|^2 - 2 <r, q> + |q|^2 */
    memcpy(row_at(&graph->factors, row), &factors, sizeof(factors));
    if (build->augment.blocks != NULL) {
        float *augment = row_at(&build->augment, row);
        *augment = sqrtf(build->norm_most - *augment);
    }
}

/* ---- Lists ---- */

/* What a walk reads: the newest GRAPH_DEGREE of the list. */
static void publish_list(const struct graph_builder *build, uint32_t row) {
    const struct growing *list = graph_list_of(build, row);
    uint32_t first = list->count > GRAPH_DEGREE ? list->count - GRAPH_DEGREE : 0;
    links_store(links_of(build->graph, row), list->ids + first, list->count - first);
}

static void add_link(struct graph_builder *build, uint32_t from, uint32_t to) {
    struct growing *list = graph_list_of(build, from);
    uint32_t same = 0;
    for (uint32_t i = 0; i < list->count; i++) { /* to the end: no branch to be foretold */
        same += list->ids[i] == to;
    }
    if (same > 0) {
        return;
    }
    if (list->count == GROWING) {
        graph_prune_list(build, from);
    }
    list->ids[list->count++] = to;
}

/* ---- Inserting ---- */

static inline void fetch(const void *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += LINE_BYTES) {
        __builtin_prefetch((const char *)from + at);
    }
}

/* The row of an entry of the beam, which is ranked soon. */
static void fetch_row(const struct graph *graph, const struct beam *beam, uint32_t entry) {
    size_t bytes = graph->rows.stride < AHEAD_BYTES ? graph->rows.stride : AHEAD_BYTES;
    if (entry < beam->count) {
        fetch(row_at(&graph->rows, beam->entries[entry].id & BEAM_ID), bytes);
    }
}

/* The lists that a row is about to be added to. */
static void fetch_lists(const struct graph_builder *build, const uint32_t *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        fetch(graph_list_of(build, rows[i]), sizeof(struct growing));
        fetch(links_of(build->graph, rows[i]), LINKS_BYTES);
    }
}

static void insert(struct graph_builder *build, uint32_t number) {
    struct graph *graph = build->graph;
    uint32_t row = *(const uint32_t *)row_at(&build->order, number);
    uint32_t kept[GRAPH_DEGREE] = {0}, count = 0;
    graph_stored_row(graph, row, build->decoded);
    if (number > 0) {
        struct graph_scratch *scratch = build->scratch;
        scratch->query_augment =
            build->augment.blocks == NULL ? 0 : augment_of(&build->augment, row);
        rotation_apply(&graph->rotation, build->decoded, graph->centre, scratch->rotated);
        code_query_make(scratch->rotated, graph->rotation.padded, &scratch->query);
        graph_walk(graph, scratch, row_at(&build->order, 0), number < STARTS ? number : STARTS,
                   graph->options.build_effort, NULL);
        for (uint32_t i = 0; i < scratch->beam.count; i++) {
            uint32_t id = scratch->beam.entries[i].id & BEAM_ID;
            fetch_row(graph, &scratch->beam, i + AHEAD_ROWS);
            if (id != row) {
                build->candidates[count++] = (struct graph_hit){
                    .id = id, .distance = graph_build_distance(build, build->decoded, row, id)};
            }
        }
        count = graph_prune(build, build->candidates, count, kept);
    }
    fetch_lists(build, kept, count);
    for (uint32_t i = 0; i < count; i++) {
        add_link(build, row, kept[i]); /* beside rows that were linked to it before it came */
    }
    publish_list(build, row);
    for (uint32_t i = 0; i < count; i++) {
        add_link(build, kept[i], row);
        publish_list(build, kept[i]);
    }
}

static uint32_t *ordered(const struct graph_builder *build, uint32_t number) {
    return row_at(&build->order, number);
}

static void shuffle(struct graph_builder *build) {
    uint32_t count = build->graph->capacity;
    for (uint32_t i = 0; i < count; i++) {
        *ordered(build, i) = i;
    }
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)(hash_u64(build->graph->options.seed ^ i) % i);
        uint32_t swapped = *ordered(build, i - 1);
        *ordered(build, i - 1) = *ordered(build, j);
        *ordered(build, j) = swapped;
    }
}

/* Rows that are linked come first; each part stays in random order. The others are met by walks
 * over links to them before they have any. */
static void order_linked(struct graph_builder *build) {
    uint32_t first = 0;
    for (uint32_t i = 0; i < build->graph->capacity; i++) {
        uint32_t row = *ordered(build, i);
        if (graph_list_of(build, row)->count > 0) {
            *ordered(build, i) = *ordered(build, first);
            *ordered(build, first++) = row;
        } else {
            publish_list(build, row);
        }
    }
}

/* Row `old` of the elder. */
static void inherit(struct graph_builder *build, uint32_t old) {
    uint32_t row = elder_row(build->elder, old);
    if (row != GRAPH_NONE) {
        struct growing *list = graph_list_of(build, row);
        list->count = elder_list(build->elder, old, list->ids);
        build->linked += list->count > 0;
        publish_list(build, row);
    }
}

static void finish_row(struct graph_builder *build, uint32_t row) {
    struct graph *graph = build->graph;
    if (graph_list_of(build, row)->count > GRAPH_DEGREE) {
        graph_prune_list(build, row);
    }
    publish_list(build, row);
    if (graph->options.metric == INDEX_DOT) { /* estimates of -<r, q> from here on */
        struct code_factors *factors = row_at(&graph->factors, row);
        factors->norm = 0;
        factors->scale /= 2;
    }
}

static void finish(struct graph_builder *build) {
    struct graph *graph = build->graph;
    graph->count = graph->capacity;
    graph->sample_count = graph->count < GRAPH_SAMPLE_MAX ? graph->count : GRAPH_SAMPLE_MAX;
    for (uint32_t i = 0; i < graph->sample_count; i++) { /* linked rows and others alike */
        uint64_t number = (uint64_t)i * graph->count / graph->sample_count;
        graph->sample[i] = *ordered(build, (uint32_t)number);
    }
    if (build->rests.blocks != NULL) {
        row_blocks_free(graph->arena, graph->purpose, &graph->rows);
        graph->rows = build->rests;
        build->rests = (struct row_blocks){0};
    }
}
_Static_assert(GRAPH_SAMPLE_MAX * sizeof(uint32_t) <= GRAPH_BLOCK_BYTES, "one block holds them");

/* ---- The whole ---- */

static ins_status begin_memory(struct graph_builder *build, ins_error *error) {
    struct graph *graph = build->graph;
    struct arena *arena = graph->arena;
    enum ins_mem_purpose purpose = graph->purpose;
    uint32_t count = graph->capacity, dim = graph->options.dim;
    bool dot = graph->options.metric == INDEX_DOT;
    ins_status status =
        graph_scratch_make(graph, graph->options.build_effort, &build->scratch, error);
    if (status != INS_OK) {
        return status;
    }
    build->candidate_max = graph->options.build_effort;
    build->candidates =
        arena_alloc(arena, purpose, build->candidate_max * sizeof(struct graph_hit));
    build->decoded = arena_alloc(arena, purpose, dim * sizeof(float));
    build->candidate = arena_alloc(arena, purpose, dim * sizeof(float));
    bool rows = true;
    for (uint32_t i = 0; i < GRAPH_DEGREE / KEPT_GROUP && rows; i++) {
        build->kept[i] = arena_alloc(arena, purpose, KEPT_GROUP * dim * sizeof(float));
        rows = build->kept[i] != NULL;
    }
    bool blocks = row_blocks_make(arena, purpose, sizeof(struct growing), count, &build->lists) &&
                  row_blocks_make(arena, purpose, sizeof(uint32_t), count, &build->order) &&
                  (!dot || row_blocks_make(arena, purpose, sizeof(float), count, &build->augment));
    size_t rest = rest_stride(&graph->options);
    blocks = blocks && (rest == 0 || row_blocks_make(arena, purpose, rest, count, &build->rests));
    if (build->candidates == NULL || build->decoded == NULL || build->candidate == NULL || !rows ||
        !blocks) {
        return ins_fail(error, INS_FULL, "no memory to build a graph of %u rows", count);
    }
    for (uint32_t row = 0; row < count; row++) {
        graph_list_of(build, row)->count = 0;
    }
    shuffle(build);
    return INS_OK;
}

/* All but the graph itself. */
static void give_back(struct graph_builder *build, const struct graph *graph) {
    struct arena *arena = graph->arena;
    enum ins_mem_purpose purpose = graph->purpose;
    size_t row_bytes = graph->options.dim * sizeof(float);
    struct row_blocks *all[] = {&build->lists, &build->order, &build->augment, &build->rests};
    graph_scratch_free(build->scratch);
    arena_free(arena, purpose, build->candidates, build->candidate_max * sizeof(struct graph_hit));
    arena_free(arena, purpose, build->decoded, row_bytes);
    arena_free(arena, purpose, build->candidate, row_bytes);
    for (uint32_t i = 0; i < GRAPH_DEGREE / KEPT_GROUP; i++) {
        arena_free(arena, purpose, build->kept[i], KEPT_GROUP * row_bytes);
    }
    for (int i = 0; i < 4; i++) {
        row_blocks_free(arena, purpose, all[i]);
    }
    arena_free(arena, purpose, build, sizeof(*build));
}

void graph_build_free(struct graph_builder *build) {
    if (build != NULL) {
        struct graph *graph = build->graph;
        graph_elder_free(build->elder);
        give_back(build, graph);
        graph_free(graph);
    }
}

ins_status graph_build_begin(const struct graph_options *options, uint32_t count,
                             struct arena *arena, enum ins_mem_purpose purpose,
                             struct graph_builder **out_builder, ins_error *error) {
    INS_ASSERT(count > 0);
    INS_ASSERT(options->dim > 0);
    struct graph *graph =
        count <= GRAPH_ROWS_MAX ? graph_make(options, count, arena, purpose) : NULL;
    struct graph_builder *build =
        graph == NULL ? NULL : arena_alloc_zero(arena, purpose, sizeof(*build));
    if (build == NULL) {
        graph_free(graph);
        return ins_fail(error, INS_FULL, "no memory for a graph of %u rows of %u dimensions", count,
                        options->dim);
    }
    build->graph = graph;
    graph->options.build_effort = graph_build_effort(options);
    float alpha = options->alpha == 0 ? ALPHA_DEFAULT : options->alpha;
    build->alpha_squared = alpha * alpha;
    ins_status status = begin_memory(build, error);
    if (status != INS_OK) {
        graph_build_free(build);
        return status;
    }
    *out_builder = build;
    return INS_OK;
}

void graph_build_add(struct graph_builder *build, const float *row) {
    INS_ASSERT(build->stage == BUILD_ADD);
    INS_ASSERT(build->next < build->graph->capacity);
    store_row(build->graph, build->next++, row);
}

void graph_build_elder(struct graph_builder *build, struct graph_elder *elder) {
    INS_ASSERT(build->stage == BUILD_ADD);
    INS_ASSERT(build->elder == NULL);
    build->elder = elder;
}

/* Whether there is anything to inherit. */
static bool is_worth(const struct graph_builder *build) {
    return build->elder != NULL && graph_elder_worth(build->elder, build->graph->capacity);
}

static void end_inheriting(struct graph_builder *build) {
    if (build->linked > 0) {
        bool same = build->linked == build->graph->capacity;
        build->graph->turns = build->elder->turns + !same;
        order_linked(build);
    }
    graph_elder_free(build->elder);
    build->elder = NULL;
}

static void begin_stage(struct graph_builder *build, enum build_stage stage) {
    build->stage = stage;
    build->next = stage == BUILD_INSERT ? build->linked : 0;
}

/* One row of the stage. */
static void build_row(struct graph_builder *build, uint32_t row) {
    switch (build->stage) {
    case BUILD_INHERIT:
        inherit(build, row);
        return;
    case BUILD_NORMS:
        take_norm(build, row);
        return;
    case BUILD_ENCODE:
        encode(build, row);
        return;
    case BUILD_INSERT:
        insert(build, row);
        return;
    case BUILD_FINISH:
        finish_row(build, row);
        return;
    case BUILD_ADD:
    case BUILD_DONE:
        return;
    }
}

static void end_stage(struct graph_builder *build) {
    switch (build->stage) {
    case BUILD_ADD:
        make_centre(build);
        begin_stage(build, BUILD_INHERIT);
        return;
    case BUILD_INHERIT:
        end_inheriting(build);
        begin_stage(build, build->augment.blocks != NULL ? BUILD_NORMS : BUILD_ENCODE);
        return;
    case BUILD_NORMS:
        begin_stage(build, BUILD_ENCODE);
        return;
    case BUILD_ENCODE:
        build->scratch->augment = build->augment.blocks != NULL ? &build->augment : NULL;
        begin_stage(build, BUILD_INSERT);
        return;
    case BUILD_INSERT:
        begin_stage(build, BUILD_FINISH);
        return;
    case BUILD_FINISH:
        finish(build);
        begin_stage(build, BUILD_DONE);
        return;
    case BUILD_DONE:
        return;
    }
}

static uint32_t stage_rows(const struct graph_builder *build) {
    if (build->stage == BUILD_INHERIT) {
        return is_worth(build) ? build->elder->count : 0;
    }
    return build->graph->capacity;
}

bool graph_build_step(struct graph_builder *build, uint32_t rows) {
    uint64_t budget = (uint64_t)rows * LIGHT_ROWS;
    INS_ASSERT(build->stage != BUILD_ADD || build->next == build->graph->capacity);
    while (build->stage != BUILD_DONE && budget > 0) {
        if (build->next == stage_rows(build)) {
            end_stage(build);
            continue;
        }
        build_row(build, build->next++);
        uint64_t cost = build->stage == BUILD_INSERT ? LIGHT_ROWS : 1;
        budget -= cost < budget ? cost : budget;
    }
    return build->stage == BUILD_DONE;
}

uint32_t graph_build_progress(const struct graph_builder *build) {
    if (build->stage != BUILD_INSERT) {
        return build->stage > BUILD_INSERT ? 1000 : 0;
    }
    return (uint32_t)(1000ull * build->next / build->graph->capacity);
}

struct graph *graph_build_take(struct graph_builder *build) {
    INS_ASSERT(build->stage == BUILD_DONE);
    struct graph *graph = build->graph;
    give_back(build, graph);
    return graph;
}

ins_status graph_build(const struct graph_options *options, uint32_t count, graph_row row,
                       void *context, struct arena *arena, struct graph **out_graph,
                       ins_error *error) {
    struct graph_builder *build = NULL;
    ins_status status = graph_build_begin(options, count, arena, INS_MEM_CACHE, &build, error);
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(build != NULL);
    for (uint32_t i = 0; i < count; i++) {
        graph_build_add(build, row(context, i));
    }
    while (!graph_build_step(build, UINT32_MAX)) {
    }
    *out_graph = graph_build_take(build);
    return INS_OK;
}
