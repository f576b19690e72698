/* Scanning a run of multivectors by their 1-bit codes: of every point a lower bound of its max_sim,
 * then the points that their bounds leave in doubt are compared.
 *
 * Bound: of each of the query's rows the least lowered estimate over the point's rows, added up.
 * Errors of a sum are smaller, beside it, than those of its terms; how much so depends on which
 * terms err alike. Two rows of the query that meet one row of the point err with the correlation of
 * their directions, two that meet different ones independently, so the variance of the sum is at
 * most what pairs in acute angles make it. Each row's estimate is lowered by that share of the
 * certainty (decision 0048). That least estimates are chosen lowers a bound further, never lifts
 * it. Path of a tile of points: their places and the filter's verdict; bounds, a piece of one chunk
 * of codes after the other; then, as in search_codes.c, the first ones by bound for a distance to
 * beat, and in order all whose bound is below what is to beat at that moment. Where few points of a
 * tile pass, these are compared without bounds. Failure: codes that cannot be read, or contradict
 * the values, cost nothing but time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "query/explain.h"
#include "query/search_private.h"

#define TILE 2048u       /* points */
#define PIECE 1024u      /* values whose bounds are held at once: whole blocks */
#define QUERY_ROWS 128u  /* above, it is exact: the angles of all pairs of them are looked at */
#define COST_PARTS 16u   /* codes that take as long as comparing two rows */
#define DIRECT_PARTS 12u /* where at most one point in so many passes, they are compared */
#define SEEDS_MIN 16u
#define DOUBT_QUARTERS 3u /* of a tile are compared in spite of their bounds: codes do not pay */
#define KEPT_BYTES_MAX (128u * 1024) /* what codes keep of a query, an eighth of its floats */

_Static_assert(PIECE % CODE1_ROWS == 0, "whole blocks");

/* Of the tile at hand. In the pool, over the runs of a search. */
struct multi_codes {
    uint32_t query_rows;
    struct scan_query *queries; /* [query_rows] */
    float *carry;         /* [query_rows] least bounds of a point that goes on in the next piece */
    float *rows;          /* [query_rows][dim] */
    uint8_t *planes;      /* what scan_query_make uses, of all rows */
    double shift;         /* exact distance = estimate + shift */
    uint32_t begin, end;  /* positions of the tile's values */
    uint32_t seen, count; /* points in it; and those that may pass, which are listed */
    bool listed;
    uint32_t bounded;  /* points that have bounds */
    uint32_t at;       /* values before are part of them */
    uint32_t next;     /* point that is looked at next, once seeds are ranked */
    uint32_t compared; /* of those that have bounds */
    struct multi_point points[TILE];
    double bounds[TILE]; /* NAN: it was compared */
    float estimates[PIECE];
};

/* ---- Deciding ---- */

/* Row `i` of the query as codes know rows: moved by the centre where distances are. out[dim]. */
static void load_row(const struct search *search, uint32_t i, float *out) {
    const struct vector_shape *shape = &search->vector->shape;
    const struct max_sim *sim = &search->max_sim;
    const uint8_t *row = sim->query + (size_t)i * sim->query_bytes;
    if (shape->datatype == INS_UINT8) {
        vector_load(shape, row, out);
    } else {
        memcpy(out, row, shape->dim * sizeof(float));
    }
    if (shape->datatype == INS_UINT8 && search->vector->distance == INS_DISTANCE_COSINE) {
        kernel_normalize_f32(out, shape->dim, out);
    }
}

/* NULL: no memory. */
static struct multi_codes *make_room(struct search *search, uint32_t rows) {
    uint32_t dim = search->vector->shape.dim;
    size_t planes = rows * scan_query_kept_bytes(dim) + scan_query_bytes(dim);
    struct multi_codes *codes = pool_alloc(search->pool, sizeof(*codes));
    if (codes == NULL) {
        return NULL;
    }
    codes->query_rows = rows;
    codes->queries = pool_alloc(search->pool, rows * sizeof(*codes->queries));
    codes->carry = pool_alloc(search->pool, rows * sizeof(*codes->carry));
    codes->rows = pool_alloc(search->pool, (size_t)rows * dim * sizeof(float));
    codes->planes = pool_alloc(search->pool, planes);
    if (codes->queries == NULL || codes->carry == NULL || codes->rows == NULL ||
        codes->planes == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < rows; i++) {
        load_row(search, i, codes->rows + (size_t)i * dim);
    }
    return codes;
}

bool multi_codes_room(struct search *search) {
    uint32_t rows = search->max_sim.query_rows;
    bool small = rows <= QUERY_ROWS &&
                 rows * scan_query_kept_bytes(search->vector->shape.dim) <= KEPT_BYTES_MAX;
    if (search->multi_codes == NULL && small) {
        search->multi_codes = make_room(search, rows);
    }
    return search->multi_codes != NULL && search_candidate_room(search, CODES_SEEDS_MAX);
}

static void charge(struct search *search, uint64_t *budget, uint64_t rows) {
    search->rows_scanned += rows;
    budget_charge(budget, rows);
}

/* ---- Beginning ---- */

/* Which share of the certainty of a row is that of the sum, from 1 / sqrt(rows) for rows at right
 * angles to 1 for equal ones. Uses codes->carry. */
static float certainty_share(struct multi_codes *codes, const struct scan_head *head) {
    const struct kernels *kernels = kernels_get();
    uint32_t dim = head->dim;
    bool moved = head->metric == INDEX_L2; /* rows less the centre are what is multiplied */
    float *by_centre = codes->carry;
    float centre_self = moved ? kernels->dot_f32(head->centre, head->centre, dim) : 0;
    double variance = 0, deviations = 0;
    for (uint32_t i = 0; i < codes->query_rows; i++) {
        const float *row = codes->rows + (size_t)i * dim;
        by_centre[i] = moved ? kernels->dot_f32(row, head->centre, dim) : 0;
        for (uint32_t j = 0; j <= i; j++) {
            float product = kernels->dot_f32(row, codes->rows + (size_t)j * dim, dim) +
                            centre_self - by_centre[i] - by_centre[j];
            double part = product > 0 ? (double)product : 0;
            variance += i == j ? part : 2 * part;
            deviations += i == j ? sqrt(part) : 0;
        }
    }
    double share = deviations > 0 ? sqrt(variance) / deviations : 1;
    return share < 1 ? (float)share : 1.0f;
}

/* False: numbers are too large for bounds. */
static bool make_queries(struct search *search, const struct scan_head *head) {
    struct multi_codes *codes = search->multi_codes;
    uint32_t dim = head->dim;
    const float *rows = codes->rows;
    float certainty = codes_certainty(search) * certainty_share(codes, head);
    codes->shift = 0;
    for (uint32_t i = 0; i < codes->query_rows; i++) {
        uint8_t *memory = codes->planes + i * scan_query_kept_bytes(dim);
        if (!scan_query_make(head, rows + (size_t)i * dim, certainty, memory, &codes->queries[i])) {
            return false;
        }
        codes->shift += (double)codes->queries[i].shift;
    }
    return true;
}

static void next_tile(struct search *search, uint32_t begin) {
    struct multi_codes *codes = search->multi_codes;
    codes->begin = codes->end = codes->at = begin;
    codes->seen = codes->count = codes->bounded = codes->next = codes->compared = 0;
    codes->listed = false;
    search->codes.seeded = false;
    search->codes.count = search->codes.ranked = 0;
    search->position = begin;
}

static ins_status begin(struct search *search, uint64_t *budget, ins_error *error) {
    uint32_t rows = search->multi_codes->query_rows;
    struct scan_head head;
    ins_status status = codes_head(search, &head, error);
    if (status != INS_OK) {
        return status;
    }
    if (!make_queries(search, &head)) {
        codes_scan_instead(search, CODES_NO_QUERY);
    }
    codes_head_done(search);
    charge(search, budget, rows * (rows + 1u) / 2);
    next_tile(search, 0);
    return INS_OK;
}

/* ---- Listing ---- */

/* The tile is listed. Its points have no bounds where few pass, or codes are damaged. */
static void end_list(struct search *search) {
    struct multi_codes *codes = search->multi_codes;
    codes->listed = true;
    if (search->codes.damaged || codes->count * DIRECT_PARTS <= codes->seen) {
        for (uint32_t i = 0; i < codes->count; i++) {
            codes->bounds[i] = -INFINITY;
        }
        codes->bounded = codes->count;
    }
}

/* The next points, until the tile is full or the budget used up. */
static ins_status list_points(struct search *search, uint64_t *budget, ins_error *error) {
    struct multi_codes *codes = search->multi_codes;
    const struct extent_vector *vector = &search->run_vector;
    while (*budget > 0 && codes->seen < TILE && codes->end < vector->count) {
        struct multi_point point = {.at = codes->end};
        uint32_t count;
        bool may = true;
        ins_status status =
            reader_vector_row(search->reader, search->run, vector, point.at, &point.row, error);
        if (status == INS_OK) {
            status =
                reader_vector_run(search->reader, search->run, vector, point.at, &count, error);
        }
        if (status == INS_OK && search->plan.useful) {
            status = multi_ask_plan(search, point.row, budget, &may, &point.sure, error);
        }
        if (status != INS_OK) {
            return status;
        }
        codes->end += count;
        point.end = codes->end;
        codes->bounds[codes->count] = 0;
        codes->points[codes->count] = point;
        codes->count += may;
        codes->seen++;
        charge(search, budget, 1);
    }
    if (codes->seen == TILE || codes->end == vector->count) {
        end_list(search);
    }
    return INS_OK;
}

/* ---- Bounds ---- */

static float least(const float *values, uint32_t count) {
    float lanes[4] = {INFINITY, INFINITY, INFINITY, INFINITY};
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (uint32_t lane = 0; lane < 4; lane++) {
            lanes[lane] = values[i + lane] < lanes[lane] ? values[i + lane] : lanes[lane];
        }
    }
    for (; i < count; i++) {
        lanes[0] = values[i] < lanes[0] ? values[i] : lanes[0];
    }
    float left = lanes[0] < lanes[1] ? lanes[0] : lanes[1];
    float right = lanes[2] < lanes[3] ? lanes[2] : lanes[3];
    return left < right ? left : right;
}

/* Adds what row `i` of the query says of the points from codes->bounded on, of their values from
 * codes->at to `end`, whose bounds stand in codes->estimates from position `first` on. Returns the
 * first point that goes on behind. */
static uint32_t add_row(struct multi_codes *codes, uint32_t i, uint32_t first, uint32_t end) {
    uint32_t p = codes->bounded;
    for (; p < codes->count && codes->points[p].at < end; p++) {
        const struct multi_point *point = &codes->points[p];
        bool begun = point->at < codes->at;
        uint32_t from = begun ? codes->at : point->at, to = point->end < end ? point->end : end;
        float bound = least(codes->estimates + (from - first), to - from);
        bound = begun && codes->carry[i] < bound ? codes->carry[i] : bound;
        if (point->end > end) {
            codes->carry[i] = bound;
            break;
        }
        codes->bounds[p] += (double)bound;
    }
    return p;
}

/* Of the tile's points from codes->bounded on: what one piece of one chunk of codes says. */
static ins_status bound_piece(struct search *search, uint64_t *budget, ins_error *error) {
    struct multi_codes *codes = search->multi_codes;
    uint32_t chunk_rows = search->codes.layout.chunk_rows, start = codes->points[codes->bounded].at;
    codes->at = start > codes->at ? start : codes->at;
    uint32_t first = codes->at / CODE1_ROWS * CODE1_ROWS, chunk = first / chunk_rows;
    uint32_t left = chunk_rows - first % chunk_rows, room = left < PIECE ? left : PIECE;
    uint32_t end = codes->end - first < room ? codes->end : first + room, next = 0;
    const uint8_t *data;
    ins_status status =
        reader_chunk(search->reader, search->run, search->codes.slots.codes, chunk, &data, error);
    if (status != INS_OK) {
        return status;
    }
    reader_release_chunks(search->reader, search->run, search->codes.slots.codes, chunk);
    data += (size_t)(first % chunk_rows / CODE1_ROWS) * scan_block_bytes(search->vector->shape.dim);
    uint32_t blocks = (end - first + CODE1_ROWS - 1) / CODE1_ROWS;
    for (uint32_t i = 0; i < codes->query_rows; i++) {
        scan_query_bounds(&codes->queries[i], data, blocks, NULL, 0, codes->estimates);
        next = add_row(codes, i, first, end);
    }
    codes->bounded = next;
    codes->at = end;
    uint64_t compared = (uint64_t)(end - first) * codes->query_rows;
    search->reader->context->codes.rows += end - first;
    TRACE_COUNT(reader_trace(search->reader), walked, end - first);
    charge(search, budget, 1 + compared / COST_PARTS);
    return INS_OK;
}

static ins_status bound_next(struct search *search, uint64_t *budget, ins_error *error) {
    ins_status status = bound_piece(search, budget, error);
    if (status != INS_CORRUPT && status != INS_IO) {
        return status;
    }
    codes_note_damage(search, status, error);
    end_list(search); /* every point is compared */
    return INS_OK;
}

/* ---- Candidates ---- */

static int order_points(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* The tile's first ones by bound become candidates. */
static void take_seeds(struct search *search) {
    struct multi_codes *codes = search->multi_codes;
    struct topk_hit memory[CODES_SEEDS_MAX], evicted;
    uint32_t wanted = 2 * search->topk.capacity;
    struct topk seeds;
    topk_init(&seeds, memory, wanted > SEEDS_MIN ? wanted : SEEDS_MIN);
    for (uint32_t p = 0; p < codes->count; p++) {
        bool was_full;
        struct topk_hit hit = {.distance = (float)codes->bounds[p], .slot = p, .key = p};
        (void)topk_offer(&seeds, hit, &evicted, &was_full);
    }
    for (uint32_t i = 0; i < seeds.count; i++) {
        search->candidates[i] = memory[i].slot;
    }
    qsort(search->candidates, seeds.count, sizeof(uint32_t), order_points);
    search->codes.count = seeds.count;
}

/* Compares point `p` of the tile; *out_done false: the budget is used up. */
static ins_status rank(struct search *search, uint32_t p, uint64_t *budget, bool *out_done,
                       ins_error *error) {
    struct multi_codes *codes = search->multi_codes;
    ins_status status = multi_rank(search, &codes->points[p], budget, out_done, error);
    if (status == INS_OK && *out_done) {
        codes->compared += isfinite(codes->bounds[p]) != 0;
        codes->bounds[p] = NAN; /* it comes once */
        search->reader->context->codes.rows_exact += codes->points[p].end - codes->points[p].at;
        budget_charge(budget, 1);
    }
    return status;
}

static ins_status rank_seeds(struct search *search, uint64_t *budget, ins_error *error) {
    struct search_codes *at = &search->codes;
    if (!at->seeded && at->count == 0 && search->topk.count < search->topk.capacity) {
        take_seeds(search);
    }
    ins_status status = INS_OK;
    while (status == INS_OK && *budget > 0 && at->ranked < at->count) {
        bool done;
        status = rank(search, search->candidates[at->ranked], budget, &done, error);
        at->ranked += status == INS_OK && done;
    }
    at->seeded = status == INS_OK && at->ranked == at->count;
    return status;
}

/* In order, all whose bound says that they may be near enough; then the next tile. */
static ins_status rank_doubtful(struct search *search, uint64_t *budget, ins_error *error) {
    struct multi_codes *codes = search->multi_codes;
    while (*budget > 0 && codes->next < codes->count) {
        double distance =
            (double)codes_distance(search, search_bound(search), (float)codes->query_rows);
        bool done = true;
        /* A point that is open was near enough when it was. */
        if (search->value.open || codes->bounds[codes->next] <= distance - codes->shift) {
            ins_status status = rank(search, codes->next, budget, &done, error);
            if (status != INS_OK) {
                return status;
            }
        }
        codes->next += done;
    }
    if (codes->next == codes->count) {
        uint32_t end = codes->end;
        search->codes.on = end < search->run_vector.count;
        if (search->codes.on &&
            (uint64_t)codes->compared * 4 > (uint64_t)codes->seen * DOUBT_QUARTERS) {
            codes_scan_instead(search, "its codes leave too many points in doubt");
        }
        next_tile(search, end);
    }
    return INS_OK;
}

/* ---- The whole ---- */

static ins_status step(struct search *search, uint64_t *budget, ins_error *error) {
    const struct multi_codes *codes = search->multi_codes;
    ins_error wrong = {0};
    ins_status status;
    if (!search->codes.begun) {
        status = begin(search, budget, &wrong);
        if (status == INS_CORRUPT || status == INS_IO) {
            codes_note_damage(search, status, &wrong);
            codes_scan_instead(search, "its codes are damaged");
            return INS_OK;
        }
    } else if (!codes->listed) {
        status = list_points(search, budget, &wrong);
    } else if (codes->bounded < codes->count) {
        status = bound_next(search, budget, &wrong);
    } else if (!search->codes.seeded) {
        status = rank_seeds(search, budget, &wrong);
    } else {
        status = rank_doubtful(search, budget, &wrong);
    }
    if (status != INS_OK && error != NULL) {
        *error = wrong;
    }
    return status;
}

ins_status multi_codes_run(struct search *search, uint64_t *budget, ins_error *error) {
    ins_status status = INS_OK;
    while (status == INS_OK && *budget > 0 && search->codes.on) {
        status = step(search, budget, error);
    }
    if (status == INS_OK && !search->codes.on) {
        reader_release_chunks(search->reader, search->run, search->codes.slots.codes, UINT32_MAX);
    }
    return status;
}
