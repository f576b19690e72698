/* Searching the fast layout. Made by graph_fast_make.c. */
#include "index/graph_fast.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "index/graph_fast_private.h"

#define STARTS 4u       /* rows of the sample from which a walk begins */
#define AHEAD_BLOCKS 1u /* what is to be one of the next so many is fetched before it is taken */
#define LINE_BYTES 64u
#define SHIFTED_MAX 96u /* beams up to this find a place from their end, entry by entry */

/* ---- Scratch ---- */

static void *take(struct arena *arena, size_t size) {
    return arena_alloc(arena, INS_MEM_QUERY, size);
}

static size_t entries_bytes(uint32_t effort_max) {
    return (FAST_BEAM_TIMES * (size_t)effort_max + 1) * sizeof(struct beam_entry);
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
    scratch->entries = take(arena, entries_bytes(effort_max));
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
    arena_free(arena, INS_MEM_QUERY, scratch->entries, entries_bytes(effort));
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

/* ---- The beam ---- */

/* Rows in the order of their estimates. A row may be in it several times, each time estimated from
 * another row: what one estimate puts too far another one may not. */
struct fast_beam {
    struct beam_entry *entries; /* [capacity + 1] */
    uint32_t count, capacity, next;
    uint32_t counted, effort; /* of the entries those that are not PASSED, at most so many */
    bool once; /* each row at most once: where there is room for all of them, none is missed */
};

static inline float fast_bound(const struct fast_beam *beam) {
    bool full = beam->counted >= beam->effort || beam->count >= beam->capacity;
    return full ? beam->entries[beam->count - 1].distance : INFINITY;
}

/* Takes out the last ones while there are too many, and those behind the last that counts when
 * enough do. */
static inline void fast_cut(struct fast_beam *beam) {
    const struct beam_entry *entries = beam->entries;
    while (beam->counted > beam->effort || beam->count > beam->capacity) {
        beam->counted -= (entries[--beam->count].id & PASSED) == 0;
    }
    while (beam->counted == beam->effort && (entries[beam->count - 1].id & PASSED) != 0) {
        beam->count--;
    }
}

/* Where the entry came to stand; the last one may have left for it. */
static inline uint32_t fast_put(struct fast_beam *beam, float distance, uint32_t id) {
    struct beam_entry *entries = beam->entries;
    uint32_t end = beam->count++, at = end;
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
    beam->counted += (id & PASSED) == 0;
    beam->next = at < beam->next ? at : beam->next;
    fast_cut(beam);
    return at;
}

/* ---- Searching ---- */

static inline void fetch_block(const struct fast_graph *fast, uint32_t row) {
    const char *block = row_at(&fast->blocks, row);
    for (size_t at = 0; at < fast->blocks.stride; at += LINE_BYTES) {
        __builtin_prefetch(block + at);
    }
}

static float distance_to(const struct fast_graph *fast, const struct fast_scratch *scratch,
                         const uint8_t *block) {
    enum kernel_metric form = fast->metric == INDEX_DOT ? KERNEL_DOT : KERNEL_L2;
    float distance = 0;
    if (fast->type == ROW_U8) {
        fast->kernels->u8_rows[form](scratch->bytes, block + fast->row_at, fast->dim, 1, fast->dim,
                                     &distance);
    } else {
        distance = fast->kernels->code_rest[form](scratch->rotated, block + fast->code_at,
                                                  block + fast->row_at, scratch->padded);
    }
    return (form == KERNEL_DOT ? -distance : distance) + scratch->added;
}

/* scratch->rotated is made; for products `at_centre` is the centre's distance. */
static void prepare(const struct fast_graph *fast, struct fast_scratch *scratch, float at_centre) {
    uint32_t padded = scratch->padded;
    const float *rotated = scratch->rotated;
    code_list_query_make(rotated, padded, scratch->table, &scratch->query);
    bool dot = fast->metric == INDEX_DOT;
    scratch->from_centre = dot ? at_centre : fast->kernels->dot_f32(rotated, rotated, padded);
    scratch->added = dot && fast->type != ROW_U8 ? at_centre : 0; /* rests are of moved rows */
}

/* The places of the sample from which the walk begins, whether they count or not. */
static void begin_walk(const struct fast_graph *fast, struct fast_scratch *scratch,
                       const struct graph_filter *filter, struct fast_beam *beam) {
    struct beam_entry places[GRAPH_SAMPLE_MAX + 1];
    uint32_t wanted = beam->once ? fast->sample_count : STARTS;
    struct fast_beam starts = {.entries = places, .capacity = wanted, .effort = wanted};
    for (uint32_t at = 0; at < fast->sample_count; at += CODE_LIST_ROWS) {
        float distances[CODE_LIST_ROWS];
        uint32_t left = fast->sample_count - at;
        fast->kernels->code_list(&scratch->query, row_at(&fast->sample_lists, at / CODE_LIST_ROWS),
                                 scratch->padded, distances);
        for (uint32_t i = 0; i < CODE_LIST_ROWS && i < left; i++) {
            float distance = distances[i] + scratch->from_centre;
            if (distance < fast_bound(&starts)) {
                (void)fast_put(&starts, distance, fast->sample[at + i]);
            }
        }
    }
    for (uint32_t i = 0; i < starts.count; i++) {
        uint32_t row = places[i].id;
        if (beam->once && !visit(scratch, row)) {
            continue;
        }
        bool passed = filter != NULL && !filter->accept(filter->context, row);
        (void)fast_put(beam, places[i].distance, row | (passed ? PASSED : 0));
    }
}

static void expand(const struct fast_graph *fast, struct fast_scratch *scratch,
                   const struct graph_filter *filter, struct fast_beam *beam, const uint8_t *block,
                   float distance) {
    float apart[CODE_LIST_ROWS], bound = fast_bound(beam);
    uint32_t links[GRAPH_DEGREE];
    uint16_t near[GRAPH_DEGREE];
    fast->kernels->code_list(&scratch->query, block, scratch->padded, apart);
    links_load(block + fast->links_at, links);
    uint32_t found = fast->kernels->select_f32(apart, GRAPH_DEGREE, bound - distance, near);
    for (uint32_t i = 0; i < found; i++) {
        uint32_t row = links[near[i]];
        float estimate = distance + apart[near[i]];
        if (row < fast->count && estimate < bound &&
            (beam->once ? visit(scratch, row) : !visited(scratch, row))) {
            bool passed = filter != NULL && !filter->accept(filter->context, row);
            uint32_t at = fast_put(beam, estimate, row | (passed ? PASSED : 0));
            bound = fast_bound(beam);
            if (at <= beam->next + AHEAD_BLOCKS) {
                fetch_block(fast, row);
            }
        }
    }
}

/* The block that comes next if no nearer row is found: it is on its way meanwhile. */
static void fetch_next(const struct fast_graph *fast, const struct fast_scratch *scratch,
                       const struct fast_beam *beam) {
    for (uint32_t i = beam->next + 1; i < beam->count; i++) {
        uint32_t row = beam->entries[i].id & BEAM_ID;
        if ((beam->entries[i].id & EXPANDED) == 0 && (beam->once || !visited(scratch, row))) {
            fetch_block(fast, row);
            return;
        }
    }
}

/* From what prepare() has left. */
static uint32_t walk(const struct fast_graph *fast, struct fast_scratch *scratch, uint32_t limit,
                     uint32_t effort, const struct graph_filter *filter, struct graph_hit *out) {
    struct fast_beam beam = {.entries = scratch->entries,
                             .capacity = filter == NULL ? effort : FAST_BEAM_TIMES * effort,
                             .effort = effort,
                             .once = effort >= fast->count};
    struct topk topk;
    topk_init(&topk, scratch->heap, limit);
    scratch->hops = 0;
    begin_walk(fast, scratch, filter, &beam);
    while (beam.next < beam.count) {
        struct beam_entry *entry = &beam.entries[beam.next];
        uint32_t row = entry->id & BEAM_ID;
        bool counts = (entry->id & PASSED) == 0;
        if ((entry->id & EXPANDED) != 0 || (!beam.once && !visit(scratch, row))) {
            entry->id |= EXPANDED;
            beam.next++;
            continue;
        }
        entry->id |= EXPANDED;
        const uint8_t *block = row_at(&fast->blocks, row);
        fetch_next(fast, scratch, &beam);
        float distance = distance_to(fast, scratch, block);
        struct topk_hit evicted;
        bool was_full;
        if (counts) {
            (void)topk_offer(&topk,
                             (struct topk_hit){.distance = distance, .slot = row, .key = row},
                             &evicted, &was_full);
        }
        expand(fast, scratch, filter, &beam, block, distance);
        scratch->hops++;
    }
    forget(scratch);
    if (beam.count >= beam.capacity && 2 * beam.counted < effort) {
        return 0;
    }
    topk_sort(&topk);
    for (uint32_t i = 0; i < topk.count; i++) {
        out[i] = (struct graph_hit){.distance = topk.heap[i].distance, .id = topk.heap[i].slot};
    }
    return topk.count;
}

uint32_t fast_graph_search(const struct fast_graph *fast, struct fast_scratch *scratch,
                           const float *query, uint32_t limit, uint32_t effort,
                           const struct graph_filter *filter, struct graph_hit *out) {
    INS_ASSERT(effort >= limit);
    INS_ASSERT(effort <= scratch->effort_max);
    bool dot = fast->metric == INDEX_DOT;
    rotation_apply(&fast->rotation, query, dot ? NULL : fast->centre, scratch->rotated);
    if (fast->type == ROW_U8) {
        kernel_u8_from_f32(query, fast->dim, scratch->bytes);
    }
    prepare(fast, scratch, dot ? -fast->kernels->dot_f32(fast->centre, query, fast->dim) : 0);
    return walk(fast, scratch, limit, effort, filter, out);
}

uint32_t fast_search_row(const struct fast_graph *fast, struct fast_scratch *scratch, uint32_t row,
                         float *values, float *rotated, uint32_t limit, uint32_t effort,
                         struct graph_hit *out) {
    uint32_t padded = scratch->padded;
    float at_centre = 0;
    fast_rotated_row(fast, row, values, scratch->rotated);
    if (fast->metric == INDEX_DOT) {
        rotation_apply(&fast->rotation, fast->centre, NULL, rotated);
        for (uint32_t i = 0; i < padded; i++) {
            scratch->rotated[i] += rotated[i];
        }
        at_centre = -fast->kernels->dot_f32(rotated, scratch->rotated, padded);
    }
    if (fast->type == ROW_U8) {
        memcpy(scratch->bytes, (const uint8_t *)row_at(&fast->blocks, row) + fast->row_at,
               fast->dim);
    }
    prepare(fast, scratch, at_centre);
    (void)visit(scratch, row);
    return walk(fast, scratch, limit, effort, NULL, out);
}

uint64_t fast_graph_hops(const struct fast_scratch *scratch) {
    return scratch->hops;
}
