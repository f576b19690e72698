/* Searching a graph. Built by graph_build.c. */
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "index/graph_filter.h"
#include "index/graph_private.h"

#define LINE_BYTES 64u
#define AHEAD_CODE_BYTES 128u /* codes from here on are fetched a hop ahead; less gains nothing */
#define AHEAD_LINES 8u /* of a row that is ranked soon; what follows is a stream of its own */
#define AHEAD_LISTS 4u
#define PASSING_SEEN                                                                               \
    32u /* rows that pass a filter that one step looks at, before it leaves the                    \
           other links */

/* ---- Scratch ---- */

static void *take(struct arena *arena, size_t size) {
    return arena_alloc(arena, INS_MEM_QUERY, size);
}

static size_t beam_bytes(const struct graph_scratch *scratch) {
    return ((size_t)scratch->beam.capacity + 1) * sizeof(struct beam_entry);
}

ins_status graph_scratch_make(const struct graph *graph, uint32_t effort_max,
                              struct graph_scratch **out_scratch, ins_error *error) {
    INS_ASSERT(effort_max > 0);
    INS_ASSERT(effort_max <= GRAPH_EFFORT_MAX);
    struct graph_scratch *scratch = arena_alloc_zero(graph->arena, INS_MEM_QUERY, sizeof(*scratch));
    if (scratch == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a search in a graph");
    }
    scratch->arena = graph->arena;
    scratch->effort_max = effort_max;
    scratch->padded = graph->rotation.padded;
    scratch->visited_words = graph->capacity / 64 + 1;
    scratch->met_capacity = 64 * effort_max < 65536 ? 64 * effort_max : 65536;
    scratch->beam.capacity = effort_max > GRAPH_BEAM_MAX ? effort_max : GRAPH_BEAM_MAX;
    if (scratch->beam.capacity > graph->capacity) {
        scratch->beam.capacity = graph->capacity;
    }
    scratch->beam.entries = take(graph->arena, beam_bytes(scratch));
    scratch->visited =
        arena_alloc_zero(graph->arena, INS_MEM_QUERY, scratch->visited_words * sizeof(uint64_t));
    scratch->met = take(graph->arena, scratch->met_capacity * sizeof(uint32_t));
    scratch->rotated = take(graph->arena, scratch->padded * sizeof(float));
    scratch->bytes = take(graph->arena, scratch->padded);
    scratch->query.values = take(graph->arena, code4_slots(scratch->padded));
    scratch->hits = take(graph->arena, effort_max * sizeof(*scratch->hits));
    if (scratch->beam.entries == NULL || scratch->visited == NULL || scratch->met == NULL ||
        scratch->rotated == NULL || scratch->bytes == NULL || scratch->query.values == NULL ||
        scratch->hits == NULL) {
        graph_scratch_free(scratch);
        return ins_fail(error, INS_FULL, "no memory for a search of effort %u", effort_max);
    }
    *out_scratch = scratch;
    return INS_OK;
}

void graph_scratch_free(struct graph_scratch *scratch) {
    if (scratch == NULL) {
        return;
    }
    struct arena *arena = scratch->arena;
    uint32_t effort = scratch->effort_max;
    arena_free(arena, INS_MEM_QUERY, scratch->beam.entries, beam_bytes(scratch));
    arena_free(arena, INS_MEM_QUERY, scratch->visited, scratch->visited_words * sizeof(uint64_t));
    arena_free(arena, INS_MEM_QUERY, scratch->met, scratch->met_capacity * sizeof(uint32_t));
    arena_free(arena, INS_MEM_QUERY, scratch->rotated, scratch->padded * sizeof(float));
    arena_free(arena, INS_MEM_QUERY, scratch->bytes, scratch->padded);
    arena_free(arena, INS_MEM_QUERY, scratch->query.values, code4_slots(scratch->padded));
    arena_free(arena, INS_MEM_QUERY, scratch->hits, effort * sizeof(*scratch->hits));
    arena_free(arena, INS_MEM_QUERY, scratch, sizeof(*scratch));
}

/* ---- Visited rows ---- */

/* True when the row is met for the first time. No branch asks that: half of the links lead to rows
 * that were met, and which do cannot be foretold. */
static inline bool meet(struct graph_scratch *scratch, uint32_t row) {
    uint64_t *word = &scratch->visited[row / 64], old = *word;
    bool first = (old >> (row % 64) & 1) == 0;
    *word = old | 1ull << (row % 64);
    if (scratch->met_count < scratch->met_capacity) {
        scratch->met[scratch->met_count] = row;
    }
    scratch->met_count += first;
    return first;
}

static void forget(struct graph_scratch *scratch) {
    if (scratch->met_count > scratch->met_capacity) {
        memset(scratch->visited, 0, scratch->visited_words * sizeof(uint64_t));
    } else {
        for (uint32_t i = 0; i < scratch->met_count; i++) {
            scratch->visited[scratch->met[i] / 64] = 0;
        }
    }
    scratch->met_count = 0;
}

/* ---- Estimates ---- */

void graph_prepare(const struct graph *graph, struct graph_scratch *scratch, const float *query) {
    const float *centre = graph->options.metric == INDEX_L2 ? graph->centre : NULL;
    rotation_apply(&graph->rotation, query, centre, scratch->rotated);
    code_query_make(scratch->rotated, graph->rotation.padded, &scratch->query);
}

/* Estimated distances of at most GRAPH_DEGREE rows, but for a constant of the query. */
static void estimate(const struct graph *graph, struct graph_scratch *scratch, const uint32_t *rows,
                     uint32_t count, float *out) {
    const uint8_t *codes[GRAPH_DEGREE];
    codes[0] = NULL; /* where `count` is 0; to clear all of it at each hop would be felt */
    int32_t sums[GRAPH_DEGREE];
    for (uint32_t i = 0; i < count; i++) {
        codes[i] = row_at(&graph->codes, rows[i]);
    }
    graph->kernels->code4_dots(scratch->query.values, codes, count, graph->rotation.padded, sums);
    float step = scratch->query.step, offset = scratch->query.offset;
    for (uint32_t i = 0; i < count; i++) {
        const struct code_factors *factors = row_at(&graph->factors, rows[i]);
        out[i] = factors->norm + factors->scale * (step * (float)sums[i] + offset);
    }
    if (scratch->augment != NULL) {
        for (uint32_t i = 0; i < count; i++) {
            float added = augment_of(scratch->augment, rows[i]) - scratch->query_augment;
            out[i] += added * added;
        }
    }
    scratch->distances += count;
}

/* ---- The beam ---- */

/* Until `effort` rows that count are in it, and as long as there is room, every row may enter. */
static inline float beam_bound(const struct beam *beam, uint32_t effort) {
    bool full = beam->counted >= effort || beam->count >= beam->capacity;
    return full ? beam->entries[beam->count - 1].distance : __builtin_inff();
}

/* Takes out the last ones while there are too many, and those behind the last that counts when
 * enough do: they are farther than everything that will be found. */
static inline void beam_cut(struct beam *beam, uint32_t effort) {
    while (beam->counted > effort || beam->count > beam->capacity) {
        beam->count--;
        beam->counted -= beam_counts(&beam->entries[beam->count]);
    }
    while (beam->counted == effort && !beam_counts(&beam->entries[beam->count - 1])) {
        beam->count--;
    }
    beam->next = beam->next < beam->count ? beam->next : beam->count;
}

/* How many entries are at most so far: by halves, without a branch that would be foretold wrongly
 * every other time. */
static inline uint32_t beam_place(const struct beam *beam, float distance) {
    uint32_t begin = 0, left = beam->count;
    while (left > 0) {
        uint32_t half = (left + 1) / 2;
        uint32_t skipped = beam->entries[begin + half - 1].distance <= distance ? half : 0;
        begin += skipped;
        left -= half;
    }
    return begin;
}

static inline void beam_put(struct beam *beam, uint32_t effort, float distance, uint32_t id) {
    uint32_t begin = beam_place(beam, distance);
    memmove(&beam->entries[begin + 1], &beam->entries[begin],
            (beam->count - begin) * sizeof(*beam->entries));
    beam->entries[begin] = (struct beam_entry){distance, id};
    beam->count++;
    beam->counted += (id & PASSED) == 0;
    beam->next = begin < beam->next ? begin : beam->next;
    beam_cut(beam, effort);
}

static void offer(struct beam *beam, uint32_t effort, const struct graph_filter *filter,
                  const uint32_t *rows, const float *distances, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (distances[i] < beam_bound(beam, effort)) {
            bool passed = filter != NULL && !filter->accept(filter->context, rows[i]);
            beam_put(beam, effort, distances[i], rows[i] | (passed ? PASSED : 0));
        }
    }
}

static inline void prefetch_lines(const void *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += LINE_BYTES) {
        __builtin_prefetch((const char *)from + at);
    }
}

/* The next entry to expand, GRAPH_NONE when all are. */
static uint32_t beam_take(struct beam *beam) {
    while (beam->next < beam->count && (beam->entries[beam->next].id & EXPANDED) != 0) {
        beam->next++;
    }
    if (beam->next == beam->count) {
        return GRAPH_NONE;
    }
    uint32_t id = beam->entries[beam->next].id;
    beam->entries[beam->next].id |= EXPANDED;
    return id & BEAM_ID;
}

/* What the next two hops will read first. */
static void look_ahead(const struct graph *graph, const struct beam *beam) {
    uint32_t found = 0;
    for (uint32_t i = beam->next; i < beam->count && found < 2; i++) {
        if ((beam->entries[i].id & EXPANDED) == 0) {
            prefetch_lines(links_of(graph, beam->entries[i].id & BEAM_ID), LINKS_BYTES);
            found++;
        }
    }
}

static inline void prefetch_code(const struct graph *graph, uint32_t row) {
    size_t bytes = graph->codes.stride;
    prefetch_lines(row_at(&graph->codes, row),
                   bytes < AHEAD_LINES * LINE_BYTES ? bytes : AHEAD_LINES * LINE_BYTES);
    __builtin_prefetch(row_at(&graph->factors, row));
}

/* What the next hop will read if no nearer row is found: it is on its way meanwhile. */
static void fetch_next(const struct graph *graph, const struct graph_scratch *scratch) {
    const struct beam *beam = &scratch->beam;
    uint32_t links[GRAPH_DEGREE], at = beam->next;
    while (at < beam->count && (beam->entries[at].id & EXPANDED) != 0) {
        at++;
    }
    if (at == beam->count) {
        return;
    }
    links_load(links_of(graph, beam->entries[at].id & BEAM_ID), links);
    for (uint32_t i = 0; i < GRAPH_DEGREE && links[i] < graph->capacity; i++) {
        if ((scratch->visited[links[i] / 64] >> (links[i] % 64) & 1) == 0) {
            prefetch_code(graph, links[i]);
        }
    }
}

static inline bool passes(const uint64_t *passing, uint32_t row) {
    return (passing[row / 64] >> (row % 64) & 1) != 0;
}

/* A list ends with the first link that leads nowhere: what lies in a file may say anything. */
static uint32_t take_new(const struct graph *graph, struct graph_scratch *scratch, uint32_t row,
                         uint32_t *out) {
    uint32_t links[GRAPH_DEGREE], count = 0;
    links_load(links_of(graph, row), links);
    for (uint32_t i = 0; i < GRAPH_DEGREE && links[i] < graph->capacity; i++) {
        prefetch_code(graph, links[i]); /* of one that was met it is there, and costs little */
        out[count] = links[i];
        count += meet(scratch, links[i]);
    }
    return count;
}

/* Of `count` links those to rows that pass; no branch asks which. */
static inline uint32_t keep_passing(const struct graph *graph, const uint64_t *passing,
                                    const uint32_t links[static GRAPH_DEGREE], uint32_t *out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < GRAPH_DEGREE && links[i] < graph->capacity; i++) {
        out[count] = links[i];
        count += passes(passing, links[i]);
    }
    return count;
}

/* The same of rows with their bit set; where a link leads to another one, of that one's links. */
static uint32_t take_passing(const struct graph *graph, struct graph_scratch *scratch,
                             const uint64_t *passing, uint32_t row, uint32_t *out) {
    uint32_t links[GRAPH_DEGREE], near[GRAPH_DEGREE] = {0}, over[GRAPH_DEGREE];
    uint32_t over_count = 0, count = 0, seen = 0;
    links_load(links_of(graph, row), links);
    for (uint32_t i = 0; i < GRAPH_DEGREE && links[i] < graph->capacity; i++) {
        bool pass = passes(passing, links[i]), first = meet(scratch, links[i]);
        out[count] = over[over_count] = links[i];
        count += first && pass;
        over_count += first && !pass;
        seen += pass;
    }
    for (uint32_t i = 0; i < over_count && i < AHEAD_LISTS && seen < PASSING_SEEN; i++) {
        prefetch_lines(links_of(graph, over[i]), LINKS_BYTES);
    }
    for (uint32_t i = 0; i < count; i++) {
        prefetch_code(graph, out[i]);
    }
    for (uint32_t i = 0; i < over_count && seen < PASSING_SEEN; i++) {
        if (i + AHEAD_LISTS < over_count) {
            prefetch_lines(links_of(graph, over[i + AHEAD_LISTS]), LINKS_BYTES);
        }
        links_load(links_of(graph, over[i]), links);
        uint32_t near_count = keep_passing(graph, passing, links, near);
        for (uint32_t j = 0; j < near_count && count < GRAPH_DEGREE; j++) {
            prefetch_code(graph, near[j]);
            out[count] = near[j];
            count += meet(scratch, near[j]);
        }
        seen += near_count;
    }
    return count;
}

static void offer_rows(const struct graph *graph, struct graph_scratch *scratch, uint32_t effort,
                       const struct graph_filter *filter, const uint32_t *rows, uint32_t count) {
    float distances[GRAPH_DEGREE];
    estimate(graph, scratch, rows, count, distances);
    offer(&scratch->beam, effort, filter, rows, distances, count);
}

/* Those of the starts that are new. */
static void offer_starts(const struct graph *graph, struct graph_scratch *scratch,
                         const uint32_t *starts, uint32_t start_count, uint32_t effort,
                         const struct graph_filter *filter) {
    uint32_t fresh[GRAPH_DEGREE], count = 0;
    for (uint32_t i = 0; i < start_count; i++) {
        if (meet(scratch, starts[i])) {
            fresh[count++] = starts[i];
        }
        if (count == GRAPH_DEGREE || i + 1 == start_count) {
            offer_rows(graph, scratch, effort, filter, fresh, count);
            count = 0;
        }
    }
}

/* Of the random rows `starts` those that pass, and others that do. Returns the effort: another one
 * where the query lies apart from what passes. */
static uint32_t start_at_passing(const struct graph *graph, struct graph_scratch *scratch,
                                 const uint32_t *starts, uint32_t start_count, uint32_t effort,
                                 const struct graph_filter *filter) {
    uint32_t own[GRAPH_FILTER_STARTS], own_count, count = 0, found = 0;
    float distances[GRAPH_SAMPLE_MAX], nearest[GRAPH_FILTER_NEAREST];
    struct beam *beam = &scratch->beam;
    own_count = graph_filter_starts(filter->passing, graph->capacity, own);
    for (uint32_t i = 0; i < own_count; i++) {
        prefetch_code(graph, own[i]);
    }
    for (uint32_t at = 0; at < start_count; at += GRAPH_DEGREE) {
        uint32_t some = start_count - at < GRAPH_DEGREE ? start_count - at : GRAPH_DEGREE;
        estimate(graph, scratch, starts + at, some, distances + at);
    }
    for (uint32_t i = 0; i < start_count; i++) {
        if (passes(filter->passing, starts[i]) && meet(scratch, starts[i])) {
            offer(beam, effort, filter, &starts[i], &distances[i], 1);
            count++;
        }
    }
    offer_starts(graph, scratch, own, own_count, effort, filter);
    for (; found < beam->count && found < GRAPH_FILTER_NEAREST; found++) {
        nearest[found] = beam->entries[found].distance;
    }
    scratch->far = graph_filter_far(distances, start_count, nearest, found, count + own_count);
    if (scratch->far && filter->stop_far) {
        beam->count = beam->counted = 0;
    }
    return scratch->far && filter->effort_far > effort ? filter->effort_far : effort;
}

void graph_walk(const struct graph *graph, struct graph_scratch *scratch, const uint32_t *starts,
                uint32_t start_count, uint32_t effort, const struct graph_filter *filter) {
    struct beam *beam = &scratch->beam;
    const uint64_t *passing = filter != NULL ? filter->passing : NULL;
    uint32_t fresh[GRAPH_DEGREE];
    beam->count = beam->counted = beam->next = 0;
    scratch->hops = scratch->distances = 0;
    scratch->far = false;
    if (passing != NULL) {
        effort = start_at_passing(graph, scratch, starts, start_count, effort, filter);
    } else {
        offer_starts(graph, scratch, starts, start_count, effort, filter);
    }
    for (uint32_t id = beam_take(beam); id != GRAPH_NONE; id = beam_take(beam)) {
        uint32_t count = passing == NULL ? take_new(graph, scratch, id, fresh)
                                         : take_passing(graph, scratch, passing, id, fresh);
        if (passing == NULL && graph->codes.stride >= AHEAD_CODE_BYTES) {
            fetch_next(graph, scratch);
        }
        offer_rows(graph, scratch, effort, filter, fresh, count);
        look_ahead(graph, beam);
        scratch->hops++;
    }
    forget(scratch);
}

/* ---- The whole ---- */

uint32_t graph_candidates(const struct graph *graph, struct graph_scratch *scratch,
                          const float *query, uint32_t effort, const struct graph_filter *filter,
                          uint32_t *out) {
    INS_ASSERT(effort > 0);
    INS_ASSERT(effort <= scratch->effort_max);
    INS_ASSERT(filter == NULL || filter->effort_far <= scratch->effort_max);
    uint32_t found = 0;
    graph_prepare(graph, scratch, query);
    graph_walk(graph, scratch, graph->sample, graph->sample_count, effort, filter);
    const struct beam *beam = &scratch->beam;
    for (uint32_t i = 0; i < beam->count; i++) {
        if (beam_counts(&beam->entries[i])) {
            out[found++] = beam->entries[i].id & BEAM_ID;
        }
    }
    INS_ASSERT(found <= scratch->effort_max);
    return found;
}

bool graph_was_far(const struct graph_scratch *scratch) {
    return scratch->far;
}

uint64_t graph_cost(const struct graph_scratch *scratch) {
    return scratch->distances;
}

uint64_t graph_bytes(const struct graph *graph) {
    const struct row_blocks *all[] = {&graph->rows, &graph->codes, &graph->factors, &graph->links};
    uint64_t bytes = 0;
    for (int i = 0; i < 4; i++) {
        bytes += (uint64_t)graph->count * all[i]->stride;
    }
    return bytes;
}
