/* Checking graphs: heads, links within bounds and leading nowhere twice, rows that the walk can
 * reach, factors that are numbers, and codes of a sample of rows made anew from their values. */
#include <math.h>

#include "segment/graphs.h"
#include "segment/segment_private.h"

#define SAMPLE_ROWS 64u       /* whose codes are made anew */
#define REACH_PASSES 8u       /* over all links; after some three nothing is new */
#define REACH_PERCENT_MIN 90u /* of the rows: a graph loses some, by how lists are pruned */
#define CODE_TOLERANCE 0.02f  /* of levels and factors: compilers differ in the last bit */

struct graph_check {
    struct check *check;
    const struct extent *extent;
    uint32_t vector_id, dim, count, width;
    struct extent_vector vector;
    struct graph_slots slots;
    struct graph_head head;
    enum row_type type;
    float *values, *rotated, *signs; /* INS_MEM_JOB */
    uint8_t *code;
};

static void damage(const struct graph_check *graph, const char *what, uint64_t row) {
    check_damage(graph->check, "extent at %llu: graph of vector %u: %s, row %llu",
                 (unsigned long long)graph->extent->offset, graph->vector_id, what,
                 (unsigned long long)row);
}

/* ---- Links ---- */

static const char *links_fault(const uint32_t *links, uint32_t row, uint32_t count) {
    uint32_t used = 0;
    while (used < GRAPH_DEGREE && links[used] != LINK_NONE) {
        if (links[used] >= count) {
            return "a link out of range";
        }
        if (links[used] == row) {
            return "a link to itself";
        }
        for (uint32_t i = 0; i < used; i++) {
            if (links[i] == links[used]) {
                return "a link twice";
            }
        }
        used++;
    }
    for (uint32_t i = used; i < GRAPH_DEGREE; i++) {
        if (links[i] != LINK_NONE) {
            return "a link behind the end of its list";
        }
    }
    return NULL;
}

static bool load_links(struct section_cursor *cursor, uint32_t row, uint32_t *out) {
    const uint8_t *at = section_cursor_at(cursor, (uint64_t)row * LINKS_BYTES, LINKS_BYTES);
    if (at != NULL) {
        links_load(at, out);
    }
    return at != NULL;
}

/* One pass over the links in the rows' order: what a row that was reached links to is reached.
 * Returns how many rows became so; a list that is wrong ends the check. */
static bool reach_pass(struct graph_check *graph, struct section_cursor *cursor, uint64_t *reached,
                       uint32_t *out_new) {
    uint32_t links[GRAPH_DEGREE];
    *out_new = 0;
    for (uint32_t row = 0; row < graph->count; row++) {
        if (!load_links(cursor, row, links)) {
            return false;
        }
        const char *fault = links_fault(links, row, graph->count);
        if (fault != NULL) {
            damage(graph, fault, row);
            return false;
        }
        if ((reached[row / 64] >> (row % 64) & 1) == 0) {
            continue;
        }
        for (uint32_t i = 0; i < GRAPH_DEGREE && links[i] != LINK_NONE; i++) {
            uint64_t bit = 1ull << (links[i] % 64);
            *out_new += (reached[links[i] / 64] & bit) == 0;
            reached[links[i] / 64] |= bit;
        }
    }
    return true;
}

static void check_reach(struct graph_check *graph, struct section_cursor *cursor,
                        uint64_t *reached) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < graph->head.sample_count; i++) {
        uint32_t row = graph->head.sample[i];
        total += (reached[row / 64] >> (row % 64) & 1) == 0;
        reached[row / 64] |= 1ull << (row % 64);
    }
    uint32_t fresh = 1;
    for (uint32_t pass = 0; pass < REACH_PASSES && fresh > 0; pass++) {
        if (!reach_pass(graph, cursor, reached, &fresh)) {
            return;
        }
        total += fresh;
    }
    if (total * 100 < (uint64_t)graph->count * REACH_PERCENT_MIN) {
        damage(graph, "most rows cannot be reached; those that can", total);
    }
}

static ins_status check_links(struct graph_check *graph, ins_error *error) {
    size_t bytes = ((size_t)graph->count / 64 + 1) * sizeof(uint64_t);
    uint64_t *reached = arena_alloc_zero(graph->check->arena, INS_MEM_JOB, bytes);
    struct section_cursor cursor;
    if (reached == NULL) {
        return segment_out_of_memory(bytes, error);
    }
    ins_status status = section_cursor_open(&cursor, graph->check, graph->extent,
                                            graph->slots.links, "links", error);
    if (status == INS_OK) {
        check_reach(graph, &cursor, reached);
        section_cursor_close(&cursor);
    }
    arena_free(graph->check->arena, INS_MEM_JOB, reached, bytes);
    return status;
}

/* ---- Codes ---- */

/* The row's values as the graph was built of them: bytes of a cosine with a length of one, and most
 * as halves. */
static bool load_value(const struct graph_check *graph, struct section_cursor *dense,
                       uint32_t row) {
    uint32_t per_chunk = graph->vector.rows_per_chunk, dim = graph->dim;
    uint64_t offset = (uint64_t)(row / per_chunk) * dense->section.chunk_bytes +
                      (uint64_t)(row % per_chunk) * graph->vector.row_bytes;
    const uint8_t *at = section_cursor_at(dense, offset, graph->vector.row_bytes);
    if (at == NULL) {
        return false;
    }
    struct vector_shape shape = {.dim = dim,
                                 .datatype = graph->width == 1   ? INS_UINT8
                                             : graph->width == 2 ? INS_FLOAT16
                                                                 : INS_FLOAT32};
    vector_load(&shape, at, graph->values);
    if (graph->width == 1 && graph->type != ROW_U8) {
        kernel_normalize_f32(graph->values, dim, graph->values);
    }
    if (graph->type == ROW_F16) {
        uint16_t *halves = (uint16_t *)(void *)graph->rotated;
        kernel_halves_from_floats(graph->values, dim, halves);
        kernel_floats_from_halves(halves, dim, graph->values);
    }
    return true;
}

static bool near(float left, float right) {
    float size = fabsf(left) + fabsf(right);
    return fabsf(left - right) <= CODE_TOLERANCE * size + 1e-6f;
}

/* True when the codes are the same but for a few levels by one. */
static bool codes_equal(const uint8_t *left, const uint8_t *right, uint32_t bytes) {
    uint32_t off = 0;
    for (uint32_t i = 0; i < 2 * bytes; i++) {
        int a = i % 2 == 0 ? left[i / 2] & 15 : left[i / 2] >> 4;
        int b = i % 2 == 0 ? right[i / 2] & 15 : right[i / 2] >> 4;
        if (a - b > 1 || b - a > 1) {
            return false;
        }
        off += a != b;
    }
    return (float)off <= 4 + CODE_TOLERANCE * 2 * (float)bytes;
}

static bool factors_right(const struct graph_check *graph, const uint8_t *at,
                          const struct code_factors *own) {
    struct code_factors stored;
    bool dot = graph->head.metric == INDEX_DOT;
    memcpy(&stored, at, sizeof(stored));
    return near(stored.norm, dot ? 0 : own->norm) &&
           near(stored.scale, dot ? -own->scale : -2 * own->scale);
}

static void check_sample(struct graph_check *graph, const struct rotation *rotation,
                         struct section_cursor *dense, struct section_cursor *codes,
                         struct section_cursor *factors) {
    uint32_t bytes = code4_bytes(graph->dim);
    uint32_t rows = graph->count < SAMPLE_ROWS ? graph->count : SAMPLE_ROWS;
    uint32_t per_chunk = codes->section.chunk_bytes / bytes;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = (uint32_t)((uint64_t)i * graph->count / rows);
        uint64_t at = (uint64_t)(row / per_chunk) * codes->section.chunk_bytes +
                      (uint64_t)(row % per_chunk) * bytes;
        const uint8_t *code = section_cursor_at(codes, at, bytes);
        const uint8_t *factor = section_cursor_at(factors, (uint64_t)row * 8, 8);
        if (code == NULL || factor == NULL || !load_value(graph, dense, row)) {
            return;
        }
        struct code_factors own;
        rotation_apply(rotation, graph->values, graph->head.centre, graph->rotated);
        (void)code4_encode(graph->rotated, rotation->padded, graph->code, &own);
        if (!codes_equal(code, graph->code, bytes) || !factors_right(graph, factor, &own)) {
            damage(graph, "a code that is not that of its values", row);
            return;
        }
    }
}

static ins_status check_codes(struct graph_check *graph, ins_error *error) {
    struct section_cursor cursors[3];
    const uint32_t slots[3] = {graph->vector.slot, graph->slots.codes, graph->slots.factors};
    static const char *const names[3] = {"vectors", "codes", "factors"};
    struct rotation rotation;
    ins_status status = INS_OK;
    int open = 0;
    rotation_init(&rotation, graph->dim, graph->head.seed, graph->signs);
    while (open < 3 && status == INS_OK) {
        status = section_cursor_open(&cursors[open], graph->check, graph->extent, slots[open],
                                     names[open], error);
        open += status == INS_OK;
    }
    if (status == INS_OK) {
        check_sample(graph, &rotation, &cursors[0], &cursors[1], &cursors[2]);
    }
    while (open > 0) {
        section_cursor_close(&cursors[--open]);
    }
    return status;
}

/* ---- The whole ---- */

static const char *head_fault(const struct graph_check *graph) {
    for (uint32_t i = 0; i < graph->dim; i++) {
        if (!isfinite(graph->head.centre[i])) {
            return "a centre that is no number";
        }
    }
    for (uint32_t i = 0; i < graph->head.sample_count; i++) {
        if (graph->head.sample[i] >= graph->count) {
            return "a sample out of range";
        }
    }
    return NULL;
}

static ins_status check_parts(struct graph_check *graph, ins_error *error) {
    struct arena *arena = graph->check->arena;
    size_t values = graph->dim * sizeof(float), rotated = padded_dim(graph->dim) * sizeof(float);
    size_t signs = rotation_signs(graph->dim) * sizeof(float), code = code4_bytes(graph->dim);
    graph->values = arena_alloc(arena, INS_MEM_JOB, values);
    graph->rotated = arena_alloc(arena, INS_MEM_JOB, rotated);
    graph->signs = arena_alloc(arena, INS_MEM_JOB, signs);
    graph->code = arena_alloc(arena, INS_MEM_JOB, code);
    ins_status status = INS_OK;
    if (graph->values == NULL || graph->rotated == NULL || graph->signs == NULL ||
        graph->code == NULL) {
        status = segment_out_of_memory(signs, error);
    }
    if (status == INS_OK) {
        status = check_links(graph, error);
    }
    if (status == INS_OK) {
        status = check_codes(graph, error);
    }
    arena_free(arena, INS_MEM_JOB, graph->values, values);
    arena_free(arena, INS_MEM_JOB, graph->rotated, rotated);
    arena_free(arena, INS_MEM_JOB, graph->signs, signs);
    arena_free(arena, INS_MEM_JOB, graph->code, code);
    return status;
}

static ins_status check_one(struct check *check, const struct extent *extent, uint32_t vector_id,
                            ins_error *error) {
    struct graph_check graph = {.check = check, .extent = extent, .vector_id = vector_id};
    bool known = extent_graph(extent, vector_id, &graph.slots) &&
                 extent_vector(extent, vector_id, &graph.vector);
    INS_ASSERT(known); /* the parser saw to it */
    graph.count = graph.vector.count;
    graph.width = layout_encoding_bytes(extent_slot_section(extent, graph.vector.slot).encoding);
    graph.dim = graph.vector.row_bytes / graph.width;
    struct section_cursor cursor;
    ins_status status =
        section_cursor_open(&cursor, check, extent, graph.slots.head, "graph head", error);
    if (status != INS_OK) {
        return status;
    }
    uint32_t size = (uint32_t)cursor.section.size; /* one chunk: the parser bounds it */
    const uint8_t *bytes = section_cursor_at(&cursor, 0, size);
    if (bytes != NULL && !graph_head_parse((struct slice){.data = bytes, .size = size}, graph.dim,
                                           graph.count, &graph.head, &graph.type)) {
        damage(&graph, "a head that contradicts its values", 0);
        bytes = NULL;
    }
    const char *fault = bytes == NULL ? NULL : head_fault(&graph);
    if (fault != NULL) {
        damage(&graph, fault, 0);
    } else if (bytes != NULL) {
        status = check_parts(&graph, error);
    }
    section_cursor_close(&cursor);
    return status;
}

ins_status check_graphs(struct check *check, const struct extent *extent, ins_error *error) {
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < extent->section_count && status == INS_OK; i++) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
        if (section.kind == SECTION_GRAPH_HEAD) {
            status = check_one(check, extent, section.number, error);
        }
    }
    return status;
}
