/* Making and searching the fast layout. */
#include "index/graph_fast.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "index/code_list.h"
#include "index/graph_private.h"

#define STARTS 4u       /* rows of the sample from which a walk begins */
#define AHEAD_BLOCKS 1u /* what is to be one of the next so many is fetched before it is taken */
#define LINE_BYTES 64u
#define SHIFTED_MAX 96u /* beams up to this find a place from their end, entry by entry */
_Static_assert(CODE_LIST_ROWS == GRAPH_DEGREE, "a list of codes is a row's");

struct fast_graph {
    struct graph_options options;
    struct arena *arena;
    enum ins_mem_purpose purpose;
    const struct kernels *kernels;
    struct rotation rotation;
    float *signs, *centre;
    uint32_t count;
    size_t links_at, row_at,
        code_at; /* in a block, behind the codes: the row is bytes, or a rest */
    struct row_blocks blocks;
    uint32_t sample[GRAPH_SAMPLE_MAX];
    uint32_t sample_count;
    uint8_t *sample_lists; /* codes of the sample, from the centre */
};

struct fast_scratch {
    struct arena *arena;
    uint32_t effort_max, padded;
    struct beam_entry *entries; /* [effort_max] */
    uint64_t *visited;          /* a bit a row that was expanded; all zero between searches */
    uint32_t visited_words;
    uint32_t *met; /* rows whose bit is set, [met_capacity]; beyond it they are cleared whole */
    uint32_t met_count, met_capacity;
    float *rotated;        /* [padded] */
    uint8_t *bytes;        /* [padded] */
    uint8_t *table;        /* [4 * padded] */
    struct topk_hit *heap; /* [effort_max] */
    struct code_list_query query;
};

/* ---- Making ---- */

static size_t sample_bytes(uint32_t padded) {
    return GRAPH_SAMPLE_MAX / CODE_LIST_ROWS * code_list_bytes(padded);
}

void fast_graph_free(struct fast_graph *fast) {
    if (fast == NULL) {
        return;
    }
    struct arena *arena = fast->arena;
    uint32_t dim = fast->options.dim;
    row_blocks_free(arena, fast->purpose, &fast->blocks);
    arena_free(arena, fast->purpose, fast->signs, rotation_signs(dim) * sizeof(float));
    arena_free(arena, fast->purpose, fast->centre, dim * sizeof(float));
    arena_free(arena, fast->purpose, fast->sample_lists, sample_bytes(padded_dim(dim)));
    arena_free(arena, fast->purpose, fast, sizeof(*fast));
}

uint64_t fast_graph_bytes(const struct fast_graph *fast) {
    return (uint64_t)fast->count * fast->blocks.stride;
}

static ins_status out_of_memory(const struct graph *graph, ins_error *error) {
    return ins_fail(error, INS_FULL, "no memory for a graph with codes of neighbours, of %u rows",
                    graph->count);
}

static ins_status fast_make_empty(const struct graph *graph, struct fast_graph **out,
                                  ins_error *error) {
    uint32_t dim = graph->options.dim, padded = padded_dim(dim);
    struct arena *arena = graph->arena;
    struct fast_graph *fast = arena_alloc_zero(arena, graph->purpose, sizeof(*fast));
    if (fast == NULL) {
        return out_of_memory(graph, error);
    }
    bool bytes = graph->options.type == ROW_U8;
    fast->options = graph->options;
    fast->arena = arena;
    fast->purpose = graph->purpose;
    fast->kernels = graph->kernels;
    fast->count = graph->count;
    fast->links_at = code_list_bytes(padded);
    fast->row_at = fast->links_at + LINKS_BYTES;
    fast->code_at = fast->row_at + (bytes ? dim : code_rest_bytes(padded));
    size_t stride = fast->code_at + (bytes ? 0 : code4_bytes(dim));
    fast->signs = arena_alloc(arena, fast->purpose, rotation_signs(dim) * sizeof(float));
    fast->centre = arena_alloc(arena, fast->purpose, dim * sizeof(float));
    fast->sample_lists = arena_alloc(arena, fast->purpose, sample_bytes(padded));
    if (fast->signs == NULL || fast->centre == NULL || fast->sample_lists == NULL ||
        !row_blocks_make(arena, fast->purpose, stride, fast->count, &fast->blocks)) {
        fast_graph_free(fast);
        return out_of_memory(graph, error);
    }
    memcpy(fast->centre, graph->centre, dim * sizeof(float));
    rotation_init(&fast->rotation, dim, graph->options.seed, fast->signs);
    *out = fast;
    return INS_OK;
}

static void store_row(const struct fast_graph *fast, uint8_t *block, const float *row,
                      const float *rotated) {
    if (fast->options.type == ROW_U8) {
        kernel_u8_from_f32(row, fast->options.dim, block + fast->row_at);
        return;
    }
    struct code_factors ignored;
    uint8_t *code = block + fast->code_at;
    float inverse = code4_encode(rotated, fast->rotation.padded, code, &ignored);
    code_rest_encode(rotated, fast->rotation.padded, code, inverse, block + fast->row_at);
}

/* `rotated`: of all rows; `zeros`, `moved`: [padded]. */
static void fill_blocks(struct fast_graph *fast, const struct graph *graph,
                        const struct row_blocks *rotated, float *zeros, float *moved) {
    uint32_t padded = fast->rotation.padded;
    const float *to[CODE_LIST_ROWS];
    for (uint32_t row = 0; row < fast->count; row++) {
        uint32_t links[GRAPH_DEGREE], count = 0;
        uint8_t *block = row_at(&fast->blocks, row);
        links_load(links_of(graph, row), links);
        while (count < GRAPH_DEGREE && links[count] != LINK_NONE) {
            to[count] = row_at(rotated, links[count]);
            count++;
        }
        code_list_encode(row_at(rotated, row), to, count, padded, moved, block);
        memcpy(block + fast->links_at, links_of(graph, row), LINKS_BYTES);
    }
    fast->sample_count = graph->sample_count;
    memcpy(fast->sample, graph->sample, sizeof(fast->sample));
    memset(zeros, 0, padded * sizeof(float));
    for (uint32_t at = 0; at < fast->sample_count; at += CODE_LIST_ROWS) {
        uint32_t left = fast->sample_count - at;
        uint32_t count = left < CODE_LIST_ROWS ? left : CODE_LIST_ROWS;
        for (uint32_t i = 0; i < count; i++) {
            to[i] = row_at(rotated, fast->sample[at + i]);
        }
        code_list_encode(zeros, to, count, padded, moved,
                         fast->sample_lists + at / CODE_LIST_ROWS * code_list_bytes(padded));
    }
}

ins_status fast_graph_make(const struct graph *graph, graph_row row, void *context,
                           struct fast_graph **out_fast, ins_error *error) {
    if (graph->options.metric != INDEX_L2) {
        return ins_fail(error, INS_INVALID, "no codes of neighbours for products");
    }
    struct fast_graph *fast = NULL;
    struct row_blocks rotated;
    ins_status status = fast_make_empty(graph, &fast, error);
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(fast != NULL);
    size_t bytes = fast->rotation.padded * sizeof(float);
    struct arena *arena = fast->arena;
    float *zeros = arena_alloc(arena, fast->purpose, bytes);
    float *moved = arena_alloc(arena, fast->purpose, bytes);
    bool memory = row_blocks_make(arena, fast->purpose, bytes, fast->count, &rotated);
    if (zeros != NULL && moved != NULL && memory) {
        for (uint32_t i = 0; i < fast->count; i++) {
            const float *one = row(context, i);
            rotation_apply(&fast->rotation, one, fast->centre, row_at(&rotated, i));
            store_row(fast, row_at(&fast->blocks, i), one, row_at(&rotated, i));
        }
        fill_blocks(fast, graph, &rotated, zeros, moved);
    } else {
        status = out_of_memory(graph, error);
    }
    arena_free(arena, fast->purpose, zeros, bytes);
    arena_free(arena, fast->purpose, moved, bytes);
    row_blocks_free(arena, fast->purpose, &rotated);
    if (status != INS_OK) {
        fast_graph_free(fast);
        return status;
    }
    *out_fast = fast;
    return INS_OK;
}

/* ---- Scratch ---- */

static void *take(struct arena *arena, size_t size) {
    return arena_alloc(arena, INS_MEM_QUERY, size);
}

ins_status fast_scratch_make(const struct fast_graph *fast, uint32_t effort_max,
                             struct fast_scratch **out_scratch, ins_error *error) {
    INS_ASSERT(effort_max > 0);
    INS_ASSERT(effort_max <= GRAPH_EFFORT_MAX);
    struct arena *arena = fast->arena;
    struct fast_scratch *scratch = arena_alloc_zero(arena, INS_MEM_QUERY, sizeof(*scratch));
    if (scratch == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a search in a graph");
    }
    scratch->arena = arena;
    scratch->effort_max = effort_max;
    scratch->padded = fast->rotation.padded;
    scratch->visited_words = fast->count / 64 + 1;
    scratch->met_capacity = 4 * effort_max;
    scratch->entries = take(arena, effort_max * sizeof(*scratch->entries));
    scratch->visited =
        arena_alloc_zero(arena, INS_MEM_QUERY, scratch->visited_words * sizeof(uint64_t));
    scratch->met = take(arena, scratch->met_capacity * sizeof(uint32_t));
    scratch->rotated = take(arena, scratch->padded * sizeof(float));
    scratch->bytes = take(arena, scratch->padded);
    scratch->table = take(arena, 4 * (size_t)scratch->padded);
    scratch->heap = take(arena, effort_max * sizeof(*scratch->heap));
    if (scratch->entries == NULL || scratch->visited == NULL || scratch->met == NULL ||
        scratch->rotated == NULL || scratch->bytes == NULL || scratch->table == NULL ||
        scratch->heap == NULL) {
        fast_scratch_free(scratch);
        return ins_fail(error, INS_FULL, "no memory for a search of effort %u", effort_max);
    }
    *out_scratch = scratch;
    return INS_OK;
}

void fast_scratch_free(struct fast_scratch *scratch) {
    if (scratch == NULL) {
        return;
    }
    struct arena *arena = scratch->arena;
    uint32_t effort = scratch->effort_max;
    arena_free(arena, INS_MEM_QUERY, scratch->entries, effort * sizeof(*scratch->entries));
    arena_free(arena, INS_MEM_QUERY, scratch->visited, scratch->visited_words * sizeof(uint64_t));
    arena_free(arena, INS_MEM_QUERY, scratch->met, scratch->met_capacity * sizeof(uint32_t));
    arena_free(arena, INS_MEM_QUERY, scratch->rotated, scratch->padded * sizeof(float));
    arena_free(arena, INS_MEM_QUERY, scratch->bytes, scratch->padded);
    arena_free(arena, INS_MEM_QUERY, scratch->table, 4 * (size_t)scratch->padded);
    arena_free(arena, INS_MEM_QUERY, scratch->heap, effort * sizeof(*scratch->heap));
    arena_free(arena, INS_MEM_QUERY, scratch, sizeof(*scratch));
}

/* True when the row is expanded for the first time. */
static bool visit(struct fast_scratch *scratch, uint32_t row) {
    uint64_t *word = &scratch->visited[row / 64], bit = 1ull << (row % 64);
    if ((*word & bit) != 0) {
        return false;
    }
    *word |= bit;
    if (scratch->met_count < scratch->met_capacity) {
        scratch->met[scratch->met_count] = row;
    }
    scratch->met_count++;
    return true;
}

static bool visited(const struct fast_scratch *scratch, uint32_t row) {
    return (scratch->visited[row / 64] >> (row % 64) & 1) != 0;
}

static void forget(struct fast_scratch *scratch) {
    if (scratch->met_count > scratch->met_capacity) {
        memset(scratch->visited, 0, scratch->visited_words * sizeof(uint64_t));
    } else {
        for (uint32_t i = 0; i < scratch->met_count; i++) {
            scratch->visited[scratch->met[i] / 64] = 0;
        }
    }
    scratch->met_count = 0;
}

/* ---- Searching ---- */

/* Rows in the order of their estimates. A row may be in it several times, each time estimated from
 * another row: what one estimate puts too far another one may not. */
struct fast_beam {
    struct beam_entry *entries; /* [capacity] */
    uint32_t count, capacity, next;
};

static inline float fast_bound(const struct fast_beam *beam) {
    return beam->count < beam->capacity ? INFINITY : beam->entries[beam->count - 1].distance;
}

/* Where the entry came to stand; the last one may have left for it. */
static inline uint32_t fast_put(struct fast_beam *beam, float distance, uint32_t id) {
    struct beam_entry *entries = beam->entries;
    uint32_t end = beam->count < beam->capacity ? beam->count++ : beam->count - 1, at = end;
    if (end <= SHIFTED_MAX) {
        for (; at > 0 && entries[at - 1].distance > distance; at--) {
            entries[at] = entries[at - 1];
        }
    } else {
        uint32_t begin = 0;
        while (begin < at) {
            uint32_t middle = (begin + at) / 2;
            if (entries[middle].distance <= distance) {
                begin = middle + 1;
            } else {
                at = middle;
            }
        }
        memmove(&entries[at + 1], &entries[at], (end - at) * sizeof(*entries));
    }
    entries[at] = (struct beam_entry){distance, id};
    beam->next = at < beam->next ? at : beam->next;
    return at;
}

static inline void fetch_block(const struct fast_graph *fast, uint32_t row) {
    const char *block = row_at(&fast->blocks, row);
    for (size_t at = 0; at < fast->blocks.stride; at += LINE_BYTES) {
        __builtin_prefetch(block + at);
    }
}

static float distance_to(const struct fast_graph *fast, const struct fast_scratch *scratch,
                         const uint8_t *block) {
    uint32_t dim = fast->options.dim;
    float distance = 0;
    if (fast->options.type == ROW_U8) {
        fast->kernels->u8_rows[KERNEL_L2](scratch->bytes, block + fast->row_at, dim, 1, dim,
                                          &distance);
        return distance;
    }
    return fast->kernels->code_rest[KERNEL_L2](scratch->rotated, block + fast->code_at,
                                               block + fast->row_at, scratch->padded);
}

static void begin_walk(const struct fast_graph *fast, struct fast_scratch *scratch,
                       const float *query, struct fast_beam *beam) {
    uint32_t padded = scratch->padded, effort = beam->capacity;
    rotation_apply(&fast->rotation, query, fast->centre, scratch->rotated);
    code_list_query_make(scratch->rotated, padded, scratch->table, &scratch->query);
    if (fast->options.type == ROW_U8) {
        kernel_u8_from_f32(query, fast->options.dim, scratch->bytes);
    }
    float norm = fast->kernels->dot_f32(scratch->rotated, scratch->rotated, padded);
    beam->capacity = effort < STARTS ? effort : STARTS;
    for (uint32_t at = 0; at < fast->sample_count; at += CODE_LIST_ROWS) {
        float distances[CODE_LIST_ROWS];
        uint32_t left = fast->sample_count - at;
        fast->kernels->code_list(&scratch->query,
                                 fast->sample_lists + at / CODE_LIST_ROWS * code_list_bytes(padded),
                                 padded, distances);
        for (uint32_t i = 0; i < CODE_LIST_ROWS && i < left; i++) {
            if (distances[i] + norm < fast_bound(beam)) {
                (void)fast_put(beam, distances[i] + norm, fast->sample[at + i]);
            }
        }
    }
    beam->capacity = effort;
}

static void expand(const struct fast_graph *fast, struct fast_scratch *scratch,
                   struct fast_beam *beam, const uint8_t *block, float distance) {
    float apart[CODE_LIST_ROWS], bound = fast_bound(beam);
    uint32_t links[GRAPH_DEGREE];
    uint16_t near[GRAPH_DEGREE];
    fast->kernels->code_list(&scratch->query, block, scratch->padded, apart);
    links_load(block + fast->links_at, links);
    uint32_t found = fast->kernels->select_f32(apart, GRAPH_DEGREE, bound - distance, near);
    for (uint32_t i = 0; i < found; i++) {
        uint32_t row = links[near[i]];
        float estimate = distance + apart[near[i]];
        if (row < fast->count && estimate < bound && !visited(scratch, row)) {
            uint32_t at = fast_put(beam, estimate, row);
            bound = fast_bound(beam);
            if (at <= beam->next + AHEAD_BLOCKS) {
                fetch_block(fast, row);
            }
        }
    }
}

uint32_t fast_graph_search(const struct fast_graph *fast, struct fast_scratch *scratch,
                           const float *query, uint32_t limit, uint32_t effort,
                           struct graph_hit *out) {
    INS_ASSERT(effort >= limit);
    INS_ASSERT(effort <= scratch->effort_max);
    struct fast_beam beam = {.entries = scratch->entries, .capacity = effort};
    struct topk topk;
    topk_init(&topk, scratch->heap, limit);
    begin_walk(fast, scratch, query, &beam);
    while (beam.next < beam.count) {
        struct beam_entry *entry = &beam.entries[beam.next];
        uint32_t row = entry->id & BEAM_ID;
        if ((entry->id & EXPANDED) != 0 || !visit(scratch, row)) {
            entry->id |= EXPANDED;
            beam.next++;
            continue;
        }
        entry->id |= EXPANDED;
        const uint8_t *block = row_at(&fast->blocks, row);
        float distance = distance_to(fast, scratch, block);
        struct topk_hit evicted;
        bool was_full;
        (void)topk_offer(&topk, (struct topk_hit){.distance = distance, .slot = row, .key = row},
                         &evicted, &was_full);
        expand(fast, scratch, &beam, block, distance);
    }
    forget(scratch);
    topk_sort(&topk);
    for (uint32_t i = 0; i < topk.count; i++) {
        out[i] = (struct graph_hit){.distance = topk.heap[i].distance, .id = topk.heap[i].slot};
    }
    return topk.count;
}
