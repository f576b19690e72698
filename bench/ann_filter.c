/* `insula-bench ann --filters`: searches with a filter, by stepping over rows that do not pass and
 * by picking those that pass.
 *
 * Filters are bits a row: across the clusters (rows drawn by hash), with them (the rows nearest to
 * one of them, and queries near it) and against them (the same rows, queries far away). Truth is
 * the comparison of all rows that pass. Times are CPU of this thread; what ranks is floats. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ann_private.h"
#include "base/hash.h"

#define QUERIES 60u   /* of a case */
#define ANCHORS 6u    /* rows whose neighbourhoods pass */
#define RANK_MAX 256u /* rows compared in one call */
#define FAR_TIMES 6u  /* the effort where the query lies apart from what passes */
#define ROW_SKEW 1e-5f

enum way { STEP_OVER, PICK, WAYS };
enum kind { ACROSS, WITH, AGAINST, KINDS };
static const char *const kind_names[] = {"across", "with", "against"};
static const char *const way_names[] = {[STEP_OVER] = "two links", [PICK] = "pick"};
static const double shares[] = {1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.003, 0.001};

struct nearness {
    float distance;
    uint32_t id;
};

struct filters {
    const struct ann *ann;
    uint64_t *bits;
    uint32_t passing;
    struct nearness *rows, *queries, *found;
    uint32_t *ids; /* [GRAPH_EFFORT_MAX], then of all rows */
};

/* Of a way in a case. */
struct outcome {
    double us[QUERIES];
    uint32_t count, right, wanted;
};

static int order_nearness(const void *left, const void *right) {
    const struct nearness *a = left, *b = right;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

static const float *row_at_of(const struct matrix *matrix, uint32_t row) {
    return matrix->values + (size_t)row * matrix->dim;
}

static void rank(const struct filters *filters, const float *query, const uint32_t *ids,
                 uint32_t count, struct nearness *out) {
    const struct ann *ann = filters->ann;
    bool dot = ann->metric == INDEX_DOT;
    const void *rows[RANK_MAX];
    float distances[RANK_MAX];
    for (uint32_t at = 0; at < count; at += RANK_MAX) {
        uint32_t some = count - at < RANK_MAX ? count - at : RANK_MAX;
        for (uint32_t i = 0; i < some; i++) {
            rows[i] = row_at_of(&ann->rows_in, ids[at + i]);
        }
        kernels_get()->f32_gather[dot ? KERNEL_DOT : KERNEL_L2](query, rows, some, ann->rows_in.dim,
                                                                distances);
        for (uint32_t i = 0; i < some; i++) {
            out[at + i] = (struct nearness){dot ? -distances[i] : distances[i], ids[at + i]};
        }
    }
    qsort(out, count, sizeof(*out), order_nearness);
}

static bool passes(void *context, uint32_t row) {
    const uint64_t *bits = context;
    return (bits[row / 64] >> (row % 64) & 1) != 0;
}

static uint32_t pick(const struct filters *filters, uint32_t *out) {
    uint32_t count = 0, words = (filters->ann->rows_in.count + 63) / 64;
    for (uint32_t word = 0; word < words; word++) {
        for (uint64_t left = filters->bits[word]; left != 0; left &= left - 1) {
            out[count++] = 64 * word + (uint32_t)__builtin_ctzll(left);
        }
    }
    return count;
}

static uint32_t search(const struct filters *filters, enum way way, const float *query,
                       uint32_t effort) {
    const struct ann *ann = filters->ann;
    struct graph_filter filter = {.accept = passes,
                                  .context = filters->bits,
                                  .passing = filters->bits,
                                  .effort_far = effort * FAR_TIMES};
    uint32_t count;
    if (way == PICK) {
        count = pick(filters, filters->ids);
    } else {
        count = graph_candidates(ann->graph, ann->scratch, query, effort, &filter, filters->ids);
    }
    rank(filters, query, filters->ids, count, filters->found);
    return count;
}

/* The distance that a right answer has at most. */
static float bound_of(const struct filters *filters, const float *query) {
    uint32_t count = search(filters, PICK, query, 0), limit = filters->ann->limit;
    float last = filters->found[(count < limit ? count : limit) - 1].distance;
    return last + fabsf(last) * ROW_SKEW;
}

static void run(const struct filters *filters, enum way way, uint32_t query_id, uint32_t effort,
                float bound, struct outcome *out) {
    const struct ann *ann = filters->ann;
    const float *query = row_at_of(&ann->queries, query_id);
    double begin = ann_cpu_s();
    uint32_t count = search(filters, way, query, effort);
    out->us[out->count++] = (ann_cpu_s() - begin) * 1e6;
    uint32_t wanted = filters->passing < ann->limit ? filters->passing : ann->limit;
    for (uint32_t i = 0; i < count && i < wanted; i++) {
        out->right += filters->found[i].distance <= bound;
    }
    out->wanted += wanted;
}

/* ---- Filters ---- */

static void let_pass(struct filters *filters, uint32_t row) {
    filters->passing += (filters->bits[row / 64] >> (row % 64) & 1) == 0;
    filters->bits[row / 64] |= 1ull << (row % 64);
}

static void sort_by_distance(const struct filters *filters, const struct matrix *matrix,
                             const float *from, struct nearness *out) {
    for (uint32_t i = 0; i < matrix->count; i++) {
        float distance;
        kernels_get()->f32_rows[KERNEL_L2](from, row_at_of(matrix, i), matrix->dim, 1, matrix->dim,
                                           &distance);
        out[i] = (struct nearness){distance, i};
    }
    (void)filters;
    qsort(out, matrix->count, sizeof(*out), order_nearness);
}

/* Fills the bits; *out_queries: the first of QUERIES / ANCHORS in filters->queries. */
static void make(struct filters *filters, enum kind kind, double share, uint32_t anchor) {
    const struct ann *ann = filters->ann;
    uint32_t rows = ann->rows_in.count, queries = ann->queries.count;
    memset(filters->bits, 0, (rows / 64 + 1) * sizeof(uint64_t));
    filters->passing = 0;
    const float *from = row_at_of(&ann->rows_in, (uint32_t)(hash_u64(anchor + 1) % rows));
    sort_by_distance(filters, &ann->queries, from, filters->queries);
    if (kind != ACROSS) {
        sort_by_distance(filters, &ann->rows_in, from, filters->rows);
    }
    uint32_t count = (uint32_t)(share * rows);
    for (uint32_t i = 0; i < rows; i++) {
        bool in = kind == ACROSS ? (double)(hash_u64(i + 77) >> 11) * 0x1p-53 < share : i < count;
        if (in) {
            let_pass(filters, kind == ACROSS ? i : filters->rows[i].id);
        }
    }
    if (kind == AGAINST) {
        for (uint32_t i = 0; i < queries / 2; i++) {
            struct nearness swapped = filters->queries[i];
            filters->queries[i] = filters->queries[queries - 1 - i];
            filters->queries[queries - 1 - i] = swapped;
        }
    }
}

/* ---- The whole ---- */

static int order_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print(enum way way, struct outcome *outcome) {
    double sum = 0;
    for (uint32_t i = 0; i < outcome->count; i++) {
        sum += outcome->us[i];
    }
    qsort(outcome->us, outcome->count, sizeof(double), order_doubles);
    (void)printf("  %s %.4f %.0f/%.0f us", way_names[way],
                 outcome->wanted == 0 ? 1.0 : (double)outcome->right / outcome->wanted,
                 sum / outcome->count, outcome->us[outcome->count - 1]);
}

static void one_case(struct filters *filters, uint32_t effort, enum kind kind, double share) {
    static struct outcome outcomes[WAYS];
    const struct ann *ann = filters->ann;
    uint32_t each = QUERIES / ANCHORS < ann->queries.count ? QUERIES / ANCHORS : ann->queries.count;
    memset(outcomes, 0, sizeof(outcomes));
    for (uint32_t anchor = 0; anchor < ANCHORS; anchor++) {
        make(filters, kind, share, anchor);
        for (uint32_t i = 0; i < each && filters->passing > 0; i++) {
            uint32_t id = filters->queries[i].id;
            float bound = bound_of(filters, row_at_of(&ann->queries, id));
            for (uint32_t way = 0; way < WAYS; way++) { /* none is always the first */
                enum way one = (enum way)((way + i) % WAYS);
                run(filters, one, id, effort, bound, &outcomes[one]);
            }
        }
    }
    (void)printf("effort %4u %-7s %5.1f %%", effort, kind_names[kind], share * 100);
    for (uint32_t way = 0; way < WAYS; way++) {
        if (outcomes[way].count > 0) {
            print((enum way)way, &outcomes[way]);
        }
    }
    (void)printf("\n");
}

int ann_filters(const struct ann *ann, const uint32_t *efforts, uint32_t effort_count) {
    uint32_t rows = ann->rows_in.count;
    uint32_t room = rows > GRAPH_EFFORT_MAX ? rows : GRAPH_EFFORT_MAX;
    struct filters filters = {.ann = ann,
                              .bits = calloc(rows / 64 + 1, sizeof(uint64_t)),
                              .rows = calloc(rows, sizeof(struct nearness)),
                              .queries = calloc(ann->queries.count, sizeof(struct nearness)),
                              .found = calloc(room, sizeof(struct nearness)),
                              .ids = calloc(room, sizeof(uint32_t))};
    bool room_made = filters.bits != NULL && filters.rows != NULL && filters.queries != NULL &&
                     filters.found != NULL && filters.ids != NULL;
    for (uint32_t i = 0; i < effort_count && room_made; i++) {
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            for (size_t share = 0; share < sizeof(shares) / sizeof(shares[0]); share++) {
                one_case(&filters, efforts[i], (enum kind)kind, shares[share]);
            }
        }
    }
    free(filters.bits);
    free(filters.rows);
    free(filters.queries);
    free(filters.found);
    free(filters.ids);
    return room_made ? 0 : ann_complain("no memory", "--filters");
}
