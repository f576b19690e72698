#include "index/scan.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"

#define PART_BYTES (16u << 10) /* codes that stay in L1 while all queries pass over them */
#define SEEDS_MIN 32u          /* rows ranked first: at least so many, twice the limit else */
#define ROWS_A_SEED 32u /* of so many rows one is ranked before there is a distance to beat */
#define BATCH 1024u     /* rows between two looks at the distance to beat */

/* One query of a search. */
struct scan_state {
    uint64_t *planes;
    float *bounds; /* [tile_rows], of the tile's rows */
    struct code1_query code;
    float shift; /* exact distance = estimate + shift */
    struct topk topk;
};

struct scan_scratch {
    struct arena *arena;
    uint32_t query_max, limit_max, tile_rows, padded;
    float *rotated;
    struct topk_hit *seeds; /* [seed_max] */
    uint32_t seed_max;
    struct scan_state states[SCAN_QUERIES_MAX];
    uint64_t ranked;
};

/* ---- Codes ---- */

ins_status scan_open(const struct scan_options *options, uint32_t capacity, const float *centre,
                     struct arena *arena, enum ins_mem_purpose purpose, struct scan **out_scan,
                     ins_error *error) {
    INS_ASSERT(capacity > 0);
    INS_ASSERT(options->dim > 0);
    uint32_t dim = options->dim, padded = padded_dim(dim);
    struct scan *scan = arena_alloc_zero(arena, purpose, sizeof(*scan));
    if (scan == NULL) {
        return ins_fail(error, INS_FULL, "no memory for codes of %u rows", capacity);
    }
    scan->options = *options;
    scan->arena = arena;
    scan->purpose = purpose;
    scan->kernels = kernels_get();
    scan->capacity = capacity;
    scan->signs = arena_alloc(arena, purpose, rotation_signs(dim) * sizeof(float));
    scan->rotated = arena_alloc(arena, purpose, padded * sizeof(float));
    scan->centre = centre == NULL ? NULL : arena_alloc(arena, purpose, dim * sizeof(float));
    bool codes =
        row_blocks_make(arena, purpose, code1_block_bytes(code1_words(padded)),
                        capacity / CODE1_ROWS + (capacity % CODE1_ROWS != 0), &scan->codes);
    if (scan->signs == NULL || scan->rotated == NULL || !codes ||
        (centre != NULL && scan->centre == NULL)) {
        scan_close(scan);
        return ins_fail(error, INS_FULL, "no memory for codes of %u rows of %u dimensions",
                        capacity, dim);
    }
    if (centre != NULL) {
        memcpy(scan->centre, centre, dim * sizeof(float));
    }
    rotation_init(&scan->rotation, dim, options->seed, scan->signs);
    *out_scan = scan;
    return INS_OK;
}

void scan_close(struct scan *scan) {
    if (scan == NULL) {
        return;
    }
    uint32_t dim = scan->options.dim;
    row_blocks_free(scan->arena, scan->purpose, &scan->codes);
    arena_free(scan->arena, scan->purpose, scan->signs, rotation_signs(dim) * sizeof(float));
    arena_free(scan->arena, scan->purpose, scan->rotated, padded_dim(dim) * sizeof(float));
    arena_free(scan->arena, scan->purpose, scan->centre, dim * sizeof(float));
    arena_free(scan->arena, scan->purpose, scan, sizeof(*scan));
}

void scan_add(struct scan *scan, const float *row) {
    INS_ASSERT(scan->count < scan->capacity);
    void *block = row_at(&scan->codes, scan->count / CODE1_ROWS);
    if (scan->count % CODE1_ROWS == 0) {
        memset(block, 0, scan->codes.stride); /* rows that never come are read all the same */
    }
    rotation_apply(&scan->rotation, row, scan->centre, scan->rotated);
    code1_encode(scan->rotated, scan->rotation.padded, scan->options.metric, block,
                 scan->count % CODE1_ROWS);
    scan->count++;
}

uint64_t scan_bytes(const struct scan *scan) {
    uint64_t blocks = (scan->count + CODE1_ROWS - 1) / CODE1_ROWS;
    return blocks * scan->codes.stride;
}

/* ---- Scratch ---- */

static uint32_t seeds_for(uint32_t limit) {
    return 2 * limit > SEEDS_MIN ? 2 * limit : SEEDS_MIN;
}

/* Whole words of bits. */
static uint32_t tile_rows(uint32_t limit) {
    uint64_t rows = (uint64_t)seeds_for(limit) * ROWS_A_SEED;
    rows = rows < SCAN_TILE_MIN ? SCAN_TILE_MIN : rows;
    return rows < SCAN_TILE_MAX ? (uint32_t)rows : SCAN_TILE_MAX;
}

static bool states_make(struct scan_scratch *scratch) {
    struct arena *arena = scratch->arena;
    size_t planes = CODE1_PLANES * code1_words(scratch->padded) * sizeof(uint64_t);
    for (uint32_t i = 0; i < scratch->query_max; i++) {
        struct scan_state *state = &scratch->states[i];
        state->planes = arena_alloc(arena, INS_MEM_QUERY, planes);
        state->bounds = arena_alloc(arena, INS_MEM_QUERY, scratch->tile_rows * sizeof(float));
        if (state->planes == NULL || state->bounds == NULL) {
            return false;
        }
    }
    return true;
}

ins_status scan_scratch_make(const struct scan *scan, uint32_t query_max, uint32_t limit_max,
                             struct scan_scratch **out_scratch, ins_error *error) {
    INS_ASSERT(query_max > 0);
    INS_ASSERT(query_max <= SCAN_QUERIES_MAX);
    INS_ASSERT(limit_max <= SCAN_LIMIT_MAX);
    struct arena *arena = scan->arena;
    struct scan_scratch *scratch = arena_alloc_zero(arena, INS_MEM_QUERY, sizeof(*scratch));
    if (scratch == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a search over codes");
    }
    uint32_t whole = (scan->capacity + CODE1_ROWS - 1) / CODE1_ROWS * CODE1_ROWS;
    scratch->arena = arena;
    scratch->query_max = query_max;
    scratch->limit_max = limit_max;
    scratch->padded = scan->rotation.padded;
    scratch->tile_rows = tile_rows(limit_max) < whole ? tile_rows(limit_max) : whole;
    scratch->seed_max = seeds_for(limit_max);
    scratch->rotated = arena_alloc(arena, INS_MEM_QUERY, scratch->padded * sizeof(float));
    scratch->seeds = arena_alloc(arena, INS_MEM_QUERY, scratch->seed_max * sizeof(*scratch->seeds));
    if (scratch->rotated == NULL || scratch->seeds == NULL || !states_make(scratch)) {
        scan_scratch_free(scratch);
        return ins_fail(error, INS_FULL, "no memory for a search of %u queries over codes",
                        query_max);
    }
    *out_scratch = scratch;
    return INS_OK;
}

void scan_scratch_free(struct scan_scratch *scratch) {
    if (scratch == NULL) {
        return;
    }
    struct arena *arena = scratch->arena;
    size_t planes = CODE1_PLANES * code1_words(scratch->padded) * sizeof(uint64_t);
    for (uint32_t i = 0; i < scratch->query_max; i++) {
        arena_free(arena, INS_MEM_QUERY, scratch->states[i].planes, planes);
        arena_free(arena, INS_MEM_QUERY, scratch->states[i].bounds,
                   scratch->tile_rows * sizeof(float));
    }
    arena_free(arena, INS_MEM_QUERY, scratch->rotated, scratch->padded * sizeof(float));
    arena_free(arena, INS_MEM_QUERY, scratch->seeds, scratch->seed_max * sizeof(*scratch->seeds));
    arena_free(arena, INS_MEM_QUERY, scratch, sizeof(*scratch));
}

uint64_t scan_ranked(const struct scan_scratch *scratch) {
    return scratch->ranked;
}

/* ---- Bounds of a tile ---- */

struct tile {
    uint32_t first, count; /* rows; first is a multiple of 64 */
};

static bool any_allowed(const uint64_t *allowed, struct tile tile) {
    uint64_t any = allowed == NULL;
    for (uint32_t row = tile.first; any == 0 && row < tile.first + tile.count; row += 64) {
        any = allowed[row / 64];
    }
    return any != 0;
}

/* Bounds of the tile's rows for all queries, a part of the codes after the other. */
static void bound_tile(const struct scan *scan, struct scan_scratch *scratch,
                       const struct scan_ask *ask, struct tile tile) {
    size_t words = code1_words(scan->rotation.padded);
    uint32_t part = PART_BYTES / (uint32_t)scan->codes.stride, end = tile.first + tile.count;
    part = CODE1_ROWS * (part == 0 ? 1 : part);
    for (uint32_t row = tile.first, count; row < end; row += count) {
        uint32_t block = row / CODE1_ROWS;
        uint32_t in_memory = (1u << scan->codes.shift) - (block & ((1u << scan->codes.shift) - 1));
        count = end - row < part ? end - row : part;
        count = count > in_memory * CODE1_ROWS ? in_memory * CODE1_ROWS : count;
        for (uint32_t q = 0; q < ask->query_count; q++) {
            struct scan_state *state = &scratch->states[q];
            code1_bounds_allowed(scan->kernels, &state->code, row_at(&scan->codes, block),
                                 (count + CODE1_ROWS - 1) / CODE1_ROWS, words, ask->allowed, row,
                                 state->bounds + (row - tile.first));
        }
    }
}

/* ---- Ranking ---- */

static void rank(struct scan_scratch *scratch, const struct scan_ask *ask, uint32_t query,
                 const uint32_t *rows, uint32_t count) {
    float distances[SCAN_RANK_MAX];
    struct topk_hit evicted;
    bool was_full;
    ask->rank(ask->context, query, rows, count, distances);
    struct topk *topk = &scratch->states[query].topk;
    for (uint32_t i = 0; i < count; i++) {
        struct topk_hit hit = {.distance = distances[i], .slot = rows[i], .key = rows[i]};
        if (distances[i] <= topk_bound(topk)) {
            (void)topk_offer(topk, hit, &evicted, &was_full);
        }
    }
    scratch->ranked += count;
}

/* What a bound has to be at most. Never infinity, where the rows are that are left out. */
static float to_beat(const struct scan_state *state) {
    float bound = topk_bound(&state->topk) - state->shift;
    return bound < FLT_MAX ? bound : FLT_MAX;
}

/* Of `count` rows from `first` on, a multiple of 64, those that are allowed and whose bounds are
 * not above `bound`, into out[count]. */
static uint32_t select_below(const struct scan *scan, const struct scan_ask *ask,
                             const float *bounds, uint32_t first, uint32_t count, float bound,
                             uint16_t *out) {
    return ask->allowed == NULL ? scan->kernels->select_f32(bounds, count, bound, out)
                                : scan->kernels->select_kept_f32(bounds, count, bound,
                                                                 ask->allowed + first / 64, out);
}

/* Ranks the tile's first ones by bound, so that there is a distance to beat; their bounds go to
 * infinity. */
static void rank_seeds(const struct scan *scan, struct scan_scratch *scratch,
                       const struct scan_ask *ask, uint32_t query, struct tile tile) {
    struct scan_state *state = &scratch->states[query];
    uint32_t wanted = seeds_for(ask->limit);
    uint16_t found[FLAT_BATCH];
    uint32_t rows[SCAN_RANK_MAX], count = 0;
    struct topk seeds;
    topk_init(&seeds, scratch->seeds, wanted);
    for (uint32_t at = 0; at < tile.count; at += FLAT_BATCH) {
        uint32_t size = tile.count - at < FLAT_BATCH ? tile.count - at : FLAT_BATCH;
        float bound = topk_bound(&seeds);
        uint32_t found_count = select_below(scan, ask, state->bounds + at, tile.first + at, size,
                                            bound < FLT_MAX ? bound : FLT_MAX, found);
        for (uint32_t i = 0; i < found_count; i++) {
            uint32_t in_tile = at + found[i];
            struct topk_hit evicted,
                hit = {.distance = state->bounds[in_tile], .slot = in_tile, .key = in_tile};
            bool was_full;
            (void)topk_offer(&seeds, hit, &evicted, &was_full);
        }
    }
    for (uint32_t i = 0; i < seeds.count; i++) {
        state->bounds[seeds.heap[i].slot] = INFINITY;
        rows[count++] = tile.first + seeds.heap[i].slot;
        if (count == SCAN_RANK_MAX || i + 1 == seeds.count) {
            rank(scratch, ask, query, rows, count);
            count = 0;
        }
    }
}

static void rank_tile(const struct scan *scan, struct scan_scratch *scratch,
                      const struct scan_ask *ask, uint32_t query, struct tile tile) {
    struct scan_state *state = &scratch->states[query];
    uint16_t found[BATCH];
    uint32_t rows[SCAN_RANK_MAX];
    if (state->topk.count < ask->limit) {
        rank_seeds(scan, scratch, ask, query, tile);
    }
    for (uint32_t at = 0; at < tile.count; at += BATCH) {
        uint32_t size = tile.count - at < BATCH ? tile.count - at : BATCH;
        uint32_t found_count = select_below(scan, ask, state->bounds + at, tile.first + at, size,
                                            to_beat(state), found);
        for (uint32_t i = 0; i < found_count;) {
            uint32_t count = 0;
            float bound = to_beat(state);
            for (; i < found_count && count < SCAN_RANK_MAX; i++) {
                if (state->bounds[at + found[i]] <= bound) {
                    rows[count++] = tile.first + at + found[i];
                }
            }
            rank(scratch, ask, query, rows, count);
        }
    }
}

/* ---- The whole ---- */

static void prepare(const struct scan *scan, struct scan_scratch *scratch,
                    const struct scan_ask *ask, uint32_t query) {
    struct scan_state *state = &scratch->states[query];
    const float *values = ask->queries[query];
    uint32_t padded = scan->rotation.padded;
    bool l2 = scan->options.metric == INDEX_L2;
    rotation_apply(&scan->rotation, values, l2 ? scan->centre : NULL, scratch->rotated);
    code1_query_make(scratch->rotated, padded, ask->certainty, state->planes, &state->code);
    state->shift = 0;
    if (l2) {
        state->shift = scan->kernels->dot_f32(scratch->rotated, scratch->rotated, padded);
    } else if (scan->centre != NULL) {
        state->shift = -scan->kernels->dot_f32(values, scan->centre, scan->options.dim);
    }
    topk_init(&state->topk, ask->out + (size_t)query * ask->limit, ask->limit);
}

void scan_search(const struct scan *scan, struct scan_scratch *scratch,
                 const struct scan_ask *ask) {
    INS_ASSERT(ask->query_count <= scratch->query_max);
    INS_ASSERT(ask->limit > 0);
    INS_ASSERT(ask->limit <= scratch->limit_max);

    scratch->ranked = 0;
    for (uint32_t q = 0; q < ask->query_count; q++) {
        prepare(scan, scratch, ask, q);
    }
    uint32_t whole = tile_rows(ask->limit);
    for (uint32_t first = 0; first < scan->count; first += whole) {
        struct tile tile = {first, scan->count - first < whole ? scan->count - first : whole};
        if (!any_allowed(ask->allowed, tile)) {
            continue;
        }
        bound_tile(scan, scratch, ask, tile);
        for (uint32_t q = 0; q < ask->query_count; q++) {
            rank_tile(scan, scratch, ask, q, tile);
        }
    }
    for (uint32_t q = 0; q < ask->query_count; q++) {
        topk_sort(&scratch->states[q].topk);
        ask->out_counts[q] = scratch->states[q].topk.count;
    }
}
