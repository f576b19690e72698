/* `insula-bench ann --filters`: searches with a filter, by every way that there is: a walk that
 * steps over rows that do not pass, a scan over the 1-bit codes of all rows, comparing all that
 * pass, and the way that a search takes (index/graph_filter.h); at the efforts that give recalls of
 * 0.95 and 0.99 without a filter.
 *
 * Filters are bits a row: across the clusters (rows drawn by hash), with them (the rows nearest to
 * one of them, and queries near it) and against them (the same rows, queries far away). Truth is
 * the comparison of all rows that pass. Times are CPU of this thread, of each query the median of
 * ROUNDS; the queries of a case follow each other, as those without a filter do. What ranks is
 * floats. A case is `ok` when its recall is at most RECALL_LESS below that without a filter, and
 * its 99th percentile at most TIMES_MORE that (gate 3.6). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ann_private.h"
#include "base/hash.h"
#include "index/graph_filter.h"

#define ANCHORS 6u /* rows whose neighbourhoods pass */
#define GROUP 20u  /* queries that follow each other */
#define QUERIES (ANCHORS * GROUP)
#define ROUNDS 3u
#define RANK_MAX 256u /* rows compared in one call */
#define ROW_SKEW 1e-5f
#define CERTAINTY 3.0f /* of a search's scan, and of one in place of a walk */
#define CERTAINTY_FAR 2.0f
#define EFFORT_MOST 2048u /* as in a search */
#define PICK_PARTS 24u
#define RECALL_LESS 0.02
#define TIMES_MORE 3.0

enum way { WALK, SCAN, PICK, TAKEN, WAYS };
enum kind { ACROSS, WITH, AGAINST, KINDS };
static const char *const kind_names[] = {"across", "with", "against"};
static const char *const way_names[] = {
    [WALK] = "walk", [SCAN] = "scan", [PICK] = "pick", [TAKEN] = "taken"};
static const double shares[] = {1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.003, 0.001};

struct nearness {
    float distance;
    uint32_t id;
};

struct filters {
    const struct ann *ann;
    uint64_t *bits;
    uint32_t passing;
    uint32_t effort; /* of a walk without a filter: its recall, and 99th percentile */
    double recall, us;
    struct graph_filter_plan plan;
    struct nearness *rows, *queries, *found;
    uint32_t *ids; /* [GRAPH_EFFORT_MAX], then of all rows */
};

/* Of a way in a case. */
struct outcome {
    double us[QUERIES];
    uint32_t count, right, wanted;
    uint32_t scans; /* of searches that took their way */
};

static int order_nearness(const void *left, const void *right) {
    const struct nearness *a = left, *b = right;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

static const float *row_at_of(const struct matrix *matrix, uint32_t row) {
    return matrix->values + (size_t)row * matrix->dim;
}

/* The nearest `limit` of the rows, ascending, into filters->found; returns how many. */
static uint32_t rank(const struct filters *filters, const float *query, const uint32_t *ids,
                     uint32_t count) {
    const struct ann *ann = filters->ann;
    bool dot = ann->metric == INDEX_DOT;
    const void *rows[RANK_MAX];
    float distances[RANK_MAX];
    struct topk_hit hits[LIMIT_MAX], evicted;
    struct topk topk;
    bool was_full;
    topk_init(&topk, hits, ann->limit);
    for (uint32_t at = 0; at < count; at += RANK_MAX) {
        uint32_t some = count - at < RANK_MAX ? count - at : RANK_MAX;
        for (uint32_t i = 0; i < some; i++) {
            rows[i] = row_at_of(&ann->rows_in, ids[at + i]);
        }
        kernels_get()->f32_gather[dot ? KERNEL_DOT : KERNEL_L2](query, rows, some, ann->rows_in.dim,
                                                                distances);
        for (uint32_t i = 0; i < some; i++) {
            float distance = dot ? -distances[i] : distances[i];
            struct topk_hit hit = {.distance = distance, .slot = ids[at + i], .key = ids[at + i]};
            if (distance <= topk_bound(&topk)) {
                (void)topk_offer(&topk, hit, &evicted, &was_full);
            }
        }
    }
    topk_sort(&topk);
    for (uint32_t i = 0; i < topk.count; i++) {
        filters->found[i] = (struct nearness){hits[i].distance, hits[i].slot};
    }
    return topk.count;
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

static uint64_t scan_cost(const struct filters *filters) {
    return filters->ann->rows_in.count / 16 + 256; /* as in a search */
}

/* As a search has it that is asked to walk with the effort. */
static void plan(struct filters *filters) {
    const struct graph_filter_ask ask = {.rows = filters->ann->rows_in.count,
                                         .passing = filters->passing,
                                         .scan_cost = scan_cost(filters),
                                         .effort = filters->effort,
                                         .effort_max = EFFORT_MOST};
    filters->plan = graph_filter_plan(&ask);
}

/* *out_far: what passes lies apart, and `stop_far` ended it. */
static uint32_t walk(const struct filters *filters, const float *query, bool stop_far,
                     bool *out_far) {
    const struct ann *ann = filters->ann;
    bool planned = filters->plan.walk;
    uint32_t effort = planned ? filters->plan.effort : filters->effort;
    struct graph_filter filter = {.accept = passes,
                                  .context = filters->bits,
                                  .passing = filters->bits,
                                  .effort_far = planned ? filters->plan.effort_far : effort,
                                  .stop_far = stop_far};
    uint32_t count =
        graph_candidates(ann->graph, ann->scratch, query, effort, &filter, filters->ids);
    *out_far = stop_far && graph_was_far(ann->scratch);
    return count;
}

/* Where few pass they are picked, as in a scan over codes. */
static uint32_t look_at_all(const struct filters *filters, const float *query, bool far) {
    return filters->passing * PICK_PARTS <= filters->ann->rows_in.count
               ? pick(filters, filters->ids)
               : ann_scan_filtered(filters->ann, query, filters->bits,
                                   far ? CERTAINTY_FAR : CERTAINTY, filters->ids);
}

static uint32_t find(const struct filters *filters, enum way way, const float *query,
                     struct outcome *out) {
    uint32_t count = 0;
    bool far = false;
    switch (way) {
    case WALK:
        count = walk(filters, query, false, &far);
        break;
    case SCAN:
        count = ann_scan_filtered(filters->ann, query, filters->bits, CERTAINTY, filters->ids);
        break;
    case TAKEN:
        count = filters->plan.walk ? walk(filters, query, filters->plan.scan_far, &far) : 0;
        if (far || !filters->plan.walk) {
            count = look_at_all(filters, query, far);
            out->scans++;
        }
        break;
    case PICK:
    case WAYS:
        count = pick(filters, filters->ids);
        break;
    }
    return count;
}

static int order_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median_us(double *us) {
    qsort(us, ROUNDS, sizeof(double), order_doubles);
    return us[ROUNDS / 2];
}

/* The worst of the right answers to the query, found by comparing all. */
static float truth(const struct filters *filters, uint32_t query_id, struct outcome *out) {
    const float *query = row_at_of(&filters->ann->queries, query_id);
    double begin = ann_cpu_s();
    uint32_t count = find(filters, PICK, query, out);
    count = rank(filters, query, filters->ids, count);
    out->us[out->count++] = (ann_cpu_s() - begin) * 1e6;
    float last = filters->found[count - 1].distance;
    return last + fabsf(last) * ROW_SKEW;
}

/* The first queries in turn, again in each round: as rows of each have to be fetched anew. */
static void run(const struct filters *filters, enum way way, const float *bounds, uint32_t each,
                struct outcome *out) {
    uint32_t limit = filters->ann->limit;
    uint32_t wanted = filters->passing < limit ? filters->passing : limit;
    double us[GROUP][ROUNDS];
    for (uint32_t at = 0; at < each * ROUNDS; at++) {
        uint32_t q = at % each;
        const float *query = row_at_of(&filters->ann->queries, filters->queries[q].id);
        double begin = ann_cpu_s();
        uint32_t count = find(filters, way, query, out);
        count = rank(filters, query, filters->ids, count);
        us[q][at / each] = (ann_cpu_s() - begin) * 1e6;
        for (uint32_t i = 0; i < count && i < wanted; i++) {
            out->right += filters->found[i].distance <= bounds[q];
        }
        out->wanted += wanted;
    }
    for (uint32_t q = 0; q < each; q++) {
        out->us[out->count++] = median_us(us[q]);
    }
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

/* Fills the bits; *out_queries: the first of GROUP in filters->queries. */
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

/* ---- Without a filter ---- */

static double percentile(double *us, uint32_t count, double *out_mean) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += us[i];
    }
    *out_mean = sum / count;
    qsort(us, count, sizeof(double), order_doubles);
    return us[(count * 99 + 99) / 100 - 1];
}

static uint32_t search(const struct ann *ann, uint32_t query, uint32_t effort) {
    struct graph_hit hits[LIMIT_MAX];
    uint32_t ids[LIMIT_MAX];
    uint32_t count = graph_search(ann->graph, ann->scratch, row_at_of(&ann->queries, query),
                                  ann->limit, effort, (uint32_t)graph_rerank(ann->limit), hits);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = hits[i].id;
    }
    return ann_right_ones(ann, query, ids, count);
}

static double recall_at(const struct ann *ann, uint32_t effort) {
    uint64_t right = 0;
    for (uint32_t q = 0; q < ann->queries.count; q++) {
        right += search(ann, q, effort);
    }
    return (double)right / ((double)ann->queries.count * ann->limit);
}

/* As a case is timed. */
static void time_plain(const struct ann *ann, uint32_t effort, struct outcome *out) {
    uint32_t most = ann->queries.count < QUERIES ? ann->queries.count : QUERIES;
    for (uint32_t first = 0; first < most; first += GROUP) {
        uint32_t each = most - first < GROUP ? most - first : GROUP;
        double us[GROUP][ROUNDS];
        for (uint32_t at = 0; at < each * ROUNDS; at++) {
            double begin = ann_cpu_s();
            (void)search(ann, first + at % each, effort);
            us[at % each][at / each] = (ann_cpu_s() - begin) * 1e6;
        }
        for (uint32_t q = 0; q < each; q++) {
            out->us[out->count++] = median_us(us[q]);
        }
    }
}

/* The smallest effort that gives the recall, about. */
static void find_effort(struct filters *filters, double wanted) {
    static struct outcome outcome;
    const struct ann *ann = filters->ann;
    uint32_t effort = ann->limit;
    while (effort < EFFORT_MOST && recall_at(ann, effort) < wanted) {
        effort += effort / 8 + 1;
    }
    double mean;
    filters->effort = effort;
    filters->recall = recall_at(ann, effort);
    outcome.count = 0;
    time_plain(ann, effort, &outcome);
    filters->us = percentile(outcome.us, outcome.count, &mean);
    (void)printf("no filter: effort %u, recall %.4f, %.0f us, p99 %.0f us\n", effort,
                 filters->recall, mean, filters->us);
}

/* ---- The whole ---- */

static void print(const struct filters *filters, enum way way, struct outcome *outcome) {
    double mean, last = percentile(outcome->us, outcome->count, &mean);
    double recall = outcome->wanted == 0 ? 1.0 : (double)outcome->right / outcome->wanted;
    (void)printf("  %s %.4f %.0f/%.0f us", way_names[way], recall, mean, last);
    if (way == TAKEN) {
        bool right = recall >= filters->recall - RECALL_LESS;
        bool soon = last <= filters->us * TIMES_MORE;
        (void)printf(" %3u %% not walked %s", 100 * outcome->scans / (ROUNDS * outcome->count),
                     !right ? "MISSES"
                     : soon ? "ok"
                            : "SLOW");
    }
}

static void one_case(struct filters *filters, enum kind kind, double share) {
    static struct outcome outcomes[WAYS];
    const struct ann *ann = filters->ann;
    uint32_t each = GROUP < ann->queries.count ? GROUP : ann->queries.count;
    memset(outcomes, 0, sizeof(outcomes));
    for (uint32_t anchor = 0; anchor < ANCHORS; anchor++) {
        float bounds[GROUP];
        make(filters, kind, share, anchor);
        if (filters->passing == 0) {
            continue;
        }
        plan(filters);
        for (uint32_t i = 0; i < each; i++) {
            bounds[i] = truth(filters, filters->queries[i].id, &outcomes[PICK]);
        }
        for (uint32_t at = 0; at < WAYS; at++) { /* none is always the first */
            enum way way = (enum way)((at + anchor) % WAYS);
            if (way != PICK) {
                run(filters, way, bounds, each, &outcomes[way]);
            }
        }
    }
    if (outcomes[PICK].count == 0) {
        return;
    }
    (void)printf("effort %4u %-7s %5.1f %%", filters->effort, kind_names[kind], share * 100);
    for (uint32_t way = 0; way < WAYS; way++) {
        print(filters, (enum way)way, &outcomes[way]);
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

int ann_filters(const struct ann *ann) {
    static const double recalls[] = {0.95, 0.99};
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
    for (size_t i = 0; i < sizeof(recalls) / sizeof(recalls[0]) && room_made; i++) {
        find_effort(&filters, recalls[i]);
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            for (size_t share = 0; share < sizeof(shares) / sizeof(shares[0]); share++) {
                one_case(&filters, (enum kind)kind, shares[share]);
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
