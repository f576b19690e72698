/* Scanning a run by its 1-bit codes: lower bounds of the distances of all rows, a tile after the
 * other; then the values of the rows that their bounds leave in doubt.
 *
 * Path of a tile: the filter's verdict and bounds, by pieces of one chunk and one group of rows (of
 * a group where few pass all those are in doubt instead);
 * while the heap is not full, the first ones by bound are ranked, for a distance to beat; then, in
 * order, a few at a time, every row whose bound is below what is to beat at that moment. Where
 * there are 4-bit codes these are looked at before (search_codes_fine.c): few are left to be
 * ranked. Ranking is that of scanned rows (search_take_batch), so what is found is right, dead rows
 * and the filter included; what is missed is missed by chance, as rarely as its certainty says.
 * Failure: codes that cannot be read, or contradict the values, cost nothing but time: rows without
 * bounds are compared. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "index/graph_filter.h"
#include "query/explain.h"
#include "query/search_private.h"

#define LIMIT_MAX 1024u /* hits; where more are wanted most rows are compared anyway */
#define ROWS_A_HIT 16u  /* the same: at least so many rows for each */
#define SEEDS_MIN 32u
#define SEEDS_MAX CODES_SEEDS_MAX
#define SEEDS_A_HIT_FINE 4u /* that get a second look */
#define SEEDS_MIN_FINE 64u
#define SEEDS_MORE_FINE 6u          /* of them are ranked, beyond one and a half a hit */
#define ROUND 64u                   /* rows that are ranked between two looks at what is to beat */
#define ROUND_FINE CODE4_BOUND_ROWS /* the same of rows that get a second look */
#define SELECT 1024u                /* rows that are looked at in one go */
#define COST_PARTS 16u              /* codes that take as long as one row of floats */
#define HALF_SLACK                                                                                 \
    2e-3f                 /* by which the square of a length of one is off in half floats, at most \
                           */
#define FLOAT_SLACK 1e-5f /* and in floats */

_Static_assert(SEEDS_MAX == 2 * LIMIT_MAX, "room for two seeds a hit");
_Static_assert(CODES_TILE % ROW_GROUP == 0, "a verdict of a group stands in one tile");
_Static_assert(ROW_GROUP % CODE1_ROWS == 0, "a group has whole blocks of codes");

/* ---- Deciding ---- */

/* What is kept over the runs of a search. */
static bool make_room(struct search *search) {
    if (search->tile == NULL) {
        search->tile = pool_alloc(search->pool, sizeof(*search->tile));
    }
    if (search->codes_query == NULL) {
        search->codes_query = pool_alloc(search->pool, scan_query_bytes(search->vector->shape.dim));
    }
    return search->tile != NULL && search->codes_query != NULL &&
           search_candidate_room(search, SEEDS_MAX);
}

void codes_enter(struct search *search) {
    const struct extent *extent = &search->reader->runs[search->run].extent;
    struct search_codes *codes = &search->codes;
    uint64_t hits = search->topk.capacity;
    *codes = (struct search_codes){.on = false};
    if (!search->has_vector || search->exact || search->ignore_codes || hits > LIMIT_MAX ||
        (search->reader->runs[search->run].run.flags & RUN_DAMAGED) != 0 ||
        !extent_scan(extent, search->vector->shape.id, &codes->slots)) {
        return;
    }
    uint64_t rows = search->run_vector.multi ? extent->row_count : search->run_vector.count;
    bool worth = hits * ROWS_A_HIT <= rows || search->codes_always;
    codes->on = worth && (search->run_vector.multi ? multi_codes_room(search) : make_room(search));
}

/* ---- Beginning ---- */

void codes_scan_instead(struct search *search, const char *why) {
    search->codes.on = false;
    trace_look(reader_trace(search->reader), explain_scan_look(search), why);
}

static void next_tile(struct search *search, uint32_t first) {
    struct search_codes *codes = &search->codes;
    uint32_t left = search->run_vector.count - first;
    codes->first = first;
    codes->rows = left < CODES_TILE ? left : CODES_TILE;
    codes->bounded = codes->next = codes->count = codes->ranked = 0;
    codes->seeded = false;
    search->position = first; /* where a scan of rows would go on */
}

ins_status codes_head(struct search *search, struct scan_head *out, ins_error *error) {
    const struct search_codes *codes = &search->codes;
    const struct extent *extent = &search->reader->runs[search->run].extent;
    const uint8_t *data;
    bool unit, cosine_bytes = search->vector->distance == INS_DISTANCE_COSINE &&
                              search->vector->shape.datatype == INS_UINT8;
    ins_status status =
        reader_chunk(search->reader, search->run, codes->slots.head, 0, &data, error);
    if (status != INS_OK) {
        return status;
    }
    struct slice bytes = {.data = data,
                          .size = (size_t)extent_slot_section(extent, codes->slots.head).size};
    enum index_metric metric = search->vector->distance == INS_DISTANCE_DOT ? INDEX_DOT : INDEX_L2;
    bool right =
        scan_head_parse(bytes, search->vector->shape.dim, search->run_vector.count, out, &unit) &&
        out->metric == metric && unit == cosine_bytes;
    return right ? INS_OK
                 : ins_fail(error, INS_CORRUPT,
                            "file %llu, extent at %llu: the head of codes contradicts its values",
                            (unsigned long long)extent->file, (unsigned long long)extent->offset);
}

float codes_certainty(const struct search *search) {
    float certainty = search->graph.certainty > 0 ? search->graph.certainty : CODE1_SURE;
    return search->rough && certainty > CODE1_ROUGH ? CODE1_ROUGH : certainty;
}

void codes_head_done(struct search *search) {
    struct search_codes *codes = &search->codes;
    codes->begun = true;
    codes->layout = scan_layout_of(search->vector->shape.dim, codes->slots.both);
    reader_release_chunks(search->reader, search->run, codes->slots.head, UINT32_MAX);
    search->reader->context->codes.searches += codes->on;
}

static ins_status begin(struct search *search, ins_error *error) {
    struct search_codes *codes = &search->codes;
    struct scan_head head;
    ins_status status = codes_head(search, &head, error);
    if (status != INS_OK) {
        return status;
    }
    const float *query = search_float_query(search);
    if (query == NULL || !scan_query_make(&head, query, codes_certainty(search),
                                          search->codes_query, &codes->query)) {
        codes_scan_instead(search, CODES_NO_QUERY);
    } else if (codes->slots.both) {
        scan_query_refine(&codes->query, head.dim, CODE1_SURE, search->codes_query);
        codes->fine = true;
    }
    codes_head_done(search);
    next_tile(search, 0);
    return INS_OK;
}

/* ---- Bounds ---- */

void codes_note_damage(struct search *search, ins_status status, const ins_error *error) {
    struct search_codes *codes = &search->codes;
    search->reader->context->codes.fallbacks += !codes->damaged;
    if (status == INS_CORRUPT && !codes->damaged) {
        reader_note_damage(search->reader, search->run, error->message);
    }
    codes->damaged = true;
}

static void put_verdict(struct search *search, uint32_t at) {
    struct codes_tile *tile = search->tile;
    size_t bytes = ROW_GROUP_WORDS * sizeof(uint64_t);
    memcpy(tile->may_pass + at / 64, search->plan.verdict.maybe.words, bytes);
    memcpy(tile->is_sure + at / 64, search->plan.verdict.sure.words, bytes);
}

static void fill(float *bounds, uint32_t count, float with) {
    for (uint32_t i = 0; i < count; i++) {
        bounds[i] = with;
    }
}

/* Of the tile's rows from `at` on, within one chunk and one group. `count`: whole blocks but at the
 * end. */
static ins_status bound_piece(struct search *search, uint32_t at, uint32_t count,
                              ins_error *error) {
    struct search_codes *codes = &search->codes;
    float *bounds = search->tile->bounds + at;
    uint32_t row = codes->first + at, chunk = row / codes->layout.chunk_rows;
    const uint64_t *allowed = search->plan.useful ? search->tile->may_pass : NULL;
    const uint8_t *data;
    ins_status status = codes->damaged ? INS_CORRUPT
                                       : reader_chunk(search->reader, search->run,
                                                      codes->slots.codes, chunk, &data, error);
    if (status == INS_OK) {
        reader_release_chunks(search->reader, search->run, codes->slots.codes, chunk);
        uint32_t block = row % codes->layout.chunk_rows / CODE1_ROWS;
        scan_query_bounds(&codes->query, data + (size_t)block * codes->layout.block_bytes,
                          (count + CODE1_ROWS - 1) / CODE1_ROWS, allowed, at, bounds);
    } else if (status == INS_CORRUPT || status == INS_IO) {
        codes_note_damage(search, status, error);
        fill(bounds, count, -FLT_MAX); /* every row is compared */
    } else {
        return status;
    }
    return INS_OK;
}

/* So few of the group's rows pass that they are not looked at by their signs: all are in doubt. */
static void pick_group(struct search *search, uint32_t at, uint32_t count) {
    struct search_codes *codes = &search->codes;
    const uint64_t *passing = search->tile->may_pass + at / 64;
    float *bounds = search->tile->bounds + at;
    fill(bounds, count, INFINITY);
    for (uint32_t word = 0; word < (count + 63) / 64; word++) {
        for (uint64_t left = passing[word]; left != 0; left &= left - 1) {
            uint32_t row = word * 64 + (uint32_t)__builtin_ctzll(left);
            if (row < count) {
                bounds[row] = -FLT_MAX;
            }
        }
    }
    codes->bounded += count;
    trace_look(reader_trace(search->reader), INS_LOOK_PICKS, NULL);
}

/* The filter's verdict on the next group. *out_picked: it is dealt with. */
static ins_status judge_group(struct search *search, uint32_t at, uint32_t count, uint64_t *cost,
                              bool *out_picked, ins_error *error) {
    struct search_codes *codes = &search->codes;
    ins_status status = plan_group(&search->plan, (codes->first + at) / ROW_GROUP, error);
    if (status == INS_OK) {
        put_verdict(search, at);
        *cost += plan_group_cost(&search->plan);
        *out_picked = graph_filter_picks(search->vector->shape.dim, search->run_vector.row_bytes,
                                         count, plan_count(&search->plan));
        if (*out_picked) {
            pick_group(search, at, count);
        }
    }
    return status;
}

/* Bounds of the next piece of the tile. */
static ins_status bound_next(struct search *search, uint64_t *budget, ins_error *error) {
    struct search_codes *codes = &search->codes;
    uint32_t at = codes->bounded, left = codes->rows - at;
    uint32_t piece = codes->layout.chunk_rows < ROW_GROUP ? codes->layout.chunk_rows : ROW_GROUP;
    uint32_t group = left < ROW_GROUP ? left : ROW_GROUP, count = left < piece ? left : piece;
    uint64_t cost = 1;
    bool picked = false;
    ins_status status = INS_OK;
    if (search->plan.useful && at % ROW_GROUP == 0) {
        status = judge_group(search, at, group, &cost, &picked, error);
    }
    if (status == INS_OK && !picked) {
        status = bound_piece(search, at, count, error);
        cost += count / COST_PARTS;
        if (status == INS_OK) {
            codes->bounded += count;
            search->reader->context->codes.rows += count;
            TRACE_COUNT(reader_trace(search->reader), walked, count);
        }
    }
    if (status == INS_OK) {
        search->rows_scanned += cost;
        budget_charge(budget, cost);
    }
    return status;
}

/* ---- Candidates ---- */

static int order_rows(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* Of `count` rows of the tile from `at` on, a multiple of 64, those that may pass and whose bounds
 * are not above `bound`, into out[count]. */
static uint32_t select_below(const struct search *search, uint32_t at, uint32_t count, float bound,
                             uint16_t *out) {
    const struct kernels *kernels = search->flat.kernels;
    const struct codes_tile *tile = search->tile;
    return search->plan.useful ? kernels->select_kept_f32(tile->bounds + at, count, bound,
                                                          tile->may_pass + at / 64, out)
                               : kernels->select_f32(tile->bounds + at, count, bound, out);
}

/* The tile's first ones by bound become candidates; their bounds go to infinity, so that they come
 * once. */
static void take_seeds(struct search *search) {
    struct search_codes *codes = &search->codes;
    float *bounds = search->tile->bounds;
    struct topk_hit memory[SEEDS_MAX], evicted;
    uint32_t a_hit = codes->fine ? SEEDS_A_HIT_FINE : 2;
    uint32_t least = codes->fine ? SEEDS_MIN_FINE : SEEDS_MIN;
    uint32_t wanted = a_hit * search->topk.capacity;
    wanted = wanted < least ? least : wanted < SEEDS_MAX ? wanted : SEEDS_MAX;
    struct topk seeds;
    topk_init(&seeds, memory, wanted);
    for (uint32_t at = 0; at < codes->rows; at += FLAT_BATCH) {
        uint16_t found[FLAT_BATCH];
        uint32_t size = codes->rows - at < FLAT_BATCH ? codes->rows - at : FLAT_BATCH;
        float bound = topk_bound(&seeds);
        uint32_t count = select_below(search, at, size, bound < FLT_MAX ? bound : FLT_MAX, found);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t row = at + found[i];
            bool was_full;
            struct topk_hit hit = {.distance = bounds[row], .slot = row, .key = row};
            (void)topk_offer(&seeds, hit, &evicted, &was_full);
        }
    }
    for (uint32_t i = 0; i < seeds.count; i++) {
        bounds[memory[i].slot] = INFINITY;
        search->candidates[i] = codes->first + memory[i].slot;
    }
    qsort(search->candidates, seeds.count, sizeof(uint32_t), order_rows);
    codes->count = seeds.count;
    codes->ranked = 0;
}

float codes_distance(const struct search *search, float distance, float rows) {
    if (search->vector->distance != INS_DISTANCE_COSINE) {
        return distance;
    }
    /* |r - q|^2 = 2 - 2 <r, q>, and <r, q> is what is compared, negated. */
    bool half = search->vector->shape.datatype == INS_FLOAT16;
    return 2 * rows + 2 * distance + rows * (half ? HALF_SLACK : FLOAT_SLACK);
}

/* What a bound has to be at most, now. */
static float to_beat(const struct search *search) {
    return scan_query_to_beat(&search->codes.query,
                              codes_distance(search, search_bound(search), 1));
}

/* Of the tile's rows the next few whose bound says that they may be near enough. */
static void take_doubtful(struct search *search) {
    struct search_codes *codes = &search->codes;
    float *bounds = search->tile->bounds, bound = to_beat(search);
    codes->count = codes->ranked = 0;
    const uint32_t round = codes->fine ? ROUND_FINE : ROUND;
    while (codes->next < codes->rows && codes->count < round) {
        uint16_t found[SELECT];
        uint32_t at = codes->next / 64 * 64, left = codes->rows - at;
        uint32_t size = left < SELECT ? left : SELECT;
        uint32_t count = select_below(search, at, size, bound, found);
        uint32_t taken = count < round - codes->count ? count : round - codes->count;
        for (uint32_t i = 0; i < taken; i++) {
            bounds[at + found[i]] = INFINITY; /* it comes once */
            search->candidates[codes->count++] = codes->first + at + found[i];
        }
        codes->next = taken < count ? at + found[taken] : at + size;
    }
}

/* The tile is bounded, and no candidate waits: what is ranked next, or the next tile. */
static void go_on(struct search *search) {
    struct search_codes *codes = &search->codes;
    codes->seeding = !codes->seeded && search->topk.count < search->topk.capacity;
    codes->seeded = true;
    if (codes->seeding) {
        take_seeds(search);
    } else {
        take_doubtful(search);
    }
    codes_refine_begin(search);
    if (!codes->refining) {
        search->reader->context->codes.rows_exact += codes->count;
    }
    if (codes->count == 0 && !codes->seeding) {
        uint32_t end = codes->first + codes->rows;
        if (end == search->run_vector.count) {
            codes->on = false;
            search->position = end; /* nothing is left to scan */
        } else {
            next_tile(search, end);
        }
    }
}

/* The second look. While too few are known, the first ones by it are ranked. */
static ins_status refine(struct search *search, uint64_t *budget, ins_error *error) {
    struct search_codes *codes = &search->codes;
    uint32_t hits = search->topk.capacity;
    ins_status status =
        codes_refine(search, codes->seeding ? FLT_MAX : to_beat(search), budget, error);
    if (status == INS_OK) {
        if (codes->seeding) {
            codes_choose_seeds(search, hits + hits / 2 + SEEDS_MORE_FINE);
        }
        search->reader->context->codes.rows_exact += codes->count;
    }
    return status;
}

/* ---- The whole ---- */

static ins_status step(struct search *search, uint64_t *budget, ins_error *error) {
    struct search_codes *codes = &search->codes;
    ins_error wrong = {0};
    ins_status status = INS_OK;
    if (!codes->begun) {
        status = begin(search, &wrong);
    } else if (codes->bounded < codes->rows) {
        status = bound_next(search, budget, &wrong);
    } else if (codes->refining) {
        status = refine(search, budget, &wrong);
    } else if (codes->ranked < codes->count) {
        return search_rank(search, codes->count, &codes->ranked, budget, error);
    } else {
        go_on(search);
    }
    if (!codes->begun && (status == INS_CORRUPT || status == INS_IO)) {
        codes_note_damage(search, status, &wrong);
        codes_scan_instead(search, "its codes are damaged");
        return INS_OK;
    }
    if (status != INS_OK && error != NULL) {
        *error = wrong;
    }
    return status;
}

ins_status codes_run(struct search *search, uint64_t *budget, ins_error *error) {
    ins_status status = INS_OK;
    while (status == INS_OK && *budget > 0 && search->codes.on) {
        status = step(search, budget, error);
    }
    if (status == INS_OK && !search->codes.on) {
        reader_release_chunks(search->reader, search->run, search->codes.slots.codes, UINT32_MAX);
    }
    return status;
}
