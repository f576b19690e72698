/* `insula-bench ann --filters`: searches with a filter, by every way that there is: a walk that
 * steps over rows that do not pass, a scan over the 1-bit codes of all rows, comparing all that
 * pass, and the way that a search takes (index/graph_filter.h); at the efforts that give recalls of
 * 0.95 and 0.99 without a filter.
 *
 * Filters are bits a row: across the clusters (rows drawn by hash), with them (the rows nearest to
 * one of them, and queries near it) and against them (the same rows, queries far away). Truth is
 * the comparison of all rows that pass, as floats. Times are CPU of this thread, of each query the
 * median of ROUNDS; the queries of a case follow each other, and take turns with the same ones
 * without a filter (`plain`). What a walk finds is ranked by the graph's rows, with a filter and
 * without, other rows as they were given. A case is `ok` when its recall is at most RECALL_LESS
 * below that of all queries without a filter, and its 99th percentile at most TIMES_MORE that of
 * the queries so far without (gate 3.6). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ann_private.h"
#include "base/hash.h"
#include "index/code1.h"
#include "index/graph_filter.h"

#define ANCHORS 6u /* rows whose neighbourhoods pass */
#define GROUP 20u  /* queries that follow each other */
#define QUERIES (ANCHORS * GROUP)
#define ROUNDS 3u
#define ROW_SKEW 1e-5f
#define EFFORT_MOST 2048u /* as in a search */
#define RECALL_LESS 0.02
#define TIMES_MORE 3.0

enum way { PLAIN, WALK, SCAN, PICK, TAKEN, WAYS };
enum kind { ACROSS, WITH, AGAINST, KINDS };
static const char *const kind_names[] = {"across", "with", "against"};
static const char *const way_names[] = {
    [PLAIN] = "plain", [WALK] = "walk", [SCAN] = "scan", [PICK] = "pick", [TAKEN] = "taken"};
static const double shares[] = {1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.003, 0.001};
#define CASES (KINDS * sizeof(shares) / sizeof(shares[0]))

struct nearness {
    float distance;
    uint32_t id;
};

struct filters {
    const struct ann *ann;
    uint64_t *bits;
    uint32_t passing;
    uint32_t effort; /* of a walk without a filter, and its recall */
    double recall;
    double *plain; /* of queries without a filter that were timed so far, [plain_count] */
    uint32_t plain_count;
    struct graph_filter_plan plan;
    struct nearness *rows, *queries;
    uint32_t *ids; /* of all rows */
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

static uint32_t row_bytes(const struct ann *ann) {
    return ann->rows_in.dim * (ann->graph->options.type == ROW_U8 ? 1 : (uint32_t)sizeof(float));
}

/* As a search has it that is asked to walk with the effort. */
static void plan(struct filters *filters) {
    const struct ann *ann = filters->ann;
    const struct graph_filter_ask ask = {.rows = ann->rows_in.count,
                                         .passing = filters->passing,
                                         .dim = ann->rows_in.dim,
                                         .row_bytes = row_bytes(ann),
                                         .codes = true,
                                         .effort = filters->effort,
                                         .effort_max = EFFORT_MOST};
    filters->plan = graph_filter_plan(&ask);
}

static uint32_t ids_of(const struct graph_hit *hits, uint32_t count, uint32_t *out) {
    for (uint32_t i = 0; i < count; i++) {
        out[i] = hits[i].id;
    }
    return count;
}

/* *out_far: what passes lies apart, and `stop_far` ended it. */
static uint32_t walk(const struct filters *filters, const float *query, bool stop_far,
                     bool *out_far, uint32_t *out) {
    const struct ann *ann = filters->ann;
    bool planned = filters->plan.walk;
    uint32_t effort = planned ? filters->plan.effort : filters->effort;
    struct graph_hit hits[LIMIT_MAX];
    struct graph_filter filter = {.accept = passes,
                                  .context = filters->bits,
                                  .passing = filters->bits,
                                  .effort_far = planned ? filters->plan.effort_far : effort,
                                  .stop_far = stop_far};
    uint32_t count = graph_search(ann->graph, ann->scratch, query, ann->limit, effort,
                                  (uint32_t)graph_rerank(ann->limit, effort), &filter, hits);
    *out_far = stop_far && graph_was_far(ann->scratch);
    return ids_of(hits, count, out);
}

static uint32_t walk_plain(const struct ann *ann, const float *query, uint32_t effort,
                           uint32_t *out) {
    struct graph_hit hits[LIMIT_MAX];
    uint32_t count = graph_search(ann->graph, ann->scratch, query, ann->limit, effort,
                                  (uint32_t)graph_rerank(ann->limit, effort), NULL, hits);
    return ids_of(hits, count, out);
}

static uint32_t compare(const struct filters *filters, const float *query, uint32_t *out) {
    return ann_scan_rank(filters->ann, query, filters->ids, pick(filters, filters->ids), out);
}

/* Where few pass they are picked, as in a scan over codes. */
static uint32_t look_at_all(const struct filters *filters, const float *query, uint32_t *out) {
    const struct ann *ann = filters->ann;
    bool few =
        graph_filter_picks(ann->rows_in.dim, row_bytes(ann), ann->rows_in.count, filters->passing);
    return few ? compare(filters, query, out)
               : ann_scan_filtered(ann, query, filters->bits, filters->plan.certainty, out);
}

/* The nearest that pass: `found` [limit]; returns how many. */
static uint32_t find(const struct filters *filters, enum way way, const float *query,
                     struct outcome *out, uint32_t *found) {
    uint32_t count = 0;
    bool far = false;
    switch (way) {
    case PLAIN:
        count = walk_plain(filters->ann, query, filters->effort, found);
        break;
    case WALK:
        count = walk(filters, query, false, &far, found);
        break;
    case SCAN:
        count = ann_scan_filtered(filters->ann, query, filters->bits, CODE1_SURE, found);
        break;
    case TAKEN:
        count = filters->plan.walk ? walk(filters, query, filters->plan.scan_far, &far, found) : 0;
        if (far || !filters->plan.walk) {
            count = look_at_all(filters, query, found);
            out->scans++;
        }
        break;
    case PICK:
    case WAYS:
        count = compare(filters, query, found);
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

static float distance_to(const struct ann *ann, const float *query, uint32_t row) {
    bool dot = ann->metric == INDEX_DOT;
    float distance;
    kernels_get()->f32_rows[dot ? KERNEL_DOT : KERNEL_L2](
        query, row_at_of(&ann->rows_in, row), ann->rows_in.dim, 1, ann->rows_in.dim, &distance);
    return dot ? -distance : distance;
}

/* The worst of the right answers to the query, found by comparing all. */
static float truth(const struct filters *filters, uint32_t query_id) {
    const struct ann *ann = filters->ann;
    const float *query = row_at_of(&ann->queries, query_id);
    struct topk_hit hits[LIMIT_MAX], evicted;
    struct topk topk;
    bool was_full;
    topk_init(&topk, hits, ann->limit);
    for (uint32_t i = 0, count = pick(filters, filters->ids); i < count; i++) {
        uint32_t row = filters->ids[i];
        struct topk_hit hit = {.distance = distance_to(ann, query, row), .slot = row, .key = row};
        (void)topk_offer(&topk, hit, &evicted, &was_full);
    }
    topk_sort(&topk);
    float last = hits[topk.count - 1].distance;
    return last + fabsf(last) * ROW_SKEW;
}

static void judge(const struct filters *filters, enum way way, uint32_t query, float bound,
                  const uint32_t *found, uint32_t count, struct outcome *out) {
    const struct ann *ann = filters->ann;
    if (way == PLAIN) {
        out->right += ann_right_ones(ann, query, found, count);
        out->wanted += ann->limit;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        out->right += distance_to(ann, row_at_of(&ann->queries, query), found[i]) <= bound;
    }
    out->wanted += filters->passing < ann->limit ? filters->passing : ann->limit;
}

/* The first queries in turn, again in each round: as rows of each have to be fetched anew. */
static void run(const struct filters *filters, enum way way, const float *bounds, uint32_t each,
                struct outcome *out) {
    double us[GROUP][ROUNDS];
    for (uint32_t at = 0; at < each * ROUNDS; at++) {
        uint32_t q = at % each, id = filters->queries[q].id, found[LIMIT_MAX];
        const float *query = row_at_of(&filters->ann->queries, id);
        double begin = ann_cpu_s();
        uint32_t count = find(filters, way, query, out, found);
        us[q][at / each] = (ann_cpu_s() - begin) * 1e6;
        if (at < each) {
            judge(filters, way, id, bounds[q], found, count, out);
        }
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

static double recall_at(const struct ann *ann, uint32_t effort) {
    uint64_t right = 0;
    for (uint32_t q = 0; q < ann->queries.count; q++) {
        uint32_t found[LIMIT_MAX];
        uint32_t count = walk_plain(ann, row_at_of(&ann->queries, q), effort, found);
        right += ann_right_ones(ann, q, found, count);
    }
    return (double)right / ((double)ann->queries.count * ann->limit);
}

/* The smallest effort that gives the recall, about. */
static void find_effort(struct filters *filters, double wanted) {
    const struct ann *ann = filters->ann;
    uint32_t effort = ann->limit;
    while (effort < EFFORT_MOST && recall_at(ann, effort) < wanted) {
        effort += effort / 8 + 1;
    }
    filters->effort = effort;
    filters->recall = recall_at(ann, effort);
    (void)printf("no filter: effort %u, recall %.4f\n", effort, filters->recall);
}

/* ---- The whole ---- */

static void print(const struct filters *filters, enum way way, struct outcome *outcomes) {
    struct outcome *outcome = &outcomes[way];
    double mean, last = percentile(outcome->us, outcome->count, &mean);
    double recall = outcome->wanted == 0 ? 1.0 : (double)outcome->right / outcome->wanted;
    (void)printf("  %s %.4f %.0f/%.0f us", way_names[way], recall, mean, last);
    if (way == TAKEN) { /* the last one */
        double plain = percentile(filters->plain, filters->plain_count, &mean);
        bool right = recall >= filters->recall - RECALL_LESS;
        bool soon = last <= plain * TIMES_MORE;
        (void)printf(" %3u %% not walked, %.2f times %s",
                     100 * outcome->scans / (ROUNDS * outcome->count), last / plain,
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
            bounds[i] = truth(filters, filters->queries[i].id);
        }
        for (uint32_t at = 0; at < WAYS; at++) { /* none is always the first */
            enum way way = (enum way)((at + anchor) % WAYS);
            run(filters, way, bounds, each, &outcomes[way]);
        }
    }
    if (outcomes[PICK].count == 0) {
        return;
    }
    memcpy(filters->plain + filters->plain_count, outcomes[PLAIN].us,
           outcomes[PLAIN].count * sizeof(double));
    filters->plain_count += outcomes[PLAIN].count;
    (void)printf("effort %4u %-7s %5.1f %%", filters->effort, kind_names[kind], share * 100);
    for (uint32_t way = 0; way < WAYS; way++) {
        print(filters, (enum way)way, outcomes);
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

int ann_filters(const struct ann *ann) {
    static const double recalls[] = {0.95, 0.99};
    uint32_t rows = ann->rows_in.count;
    struct filters filters = {.ann = ann,
                              .bits = calloc(rows / 64 + 1, sizeof(uint64_t)),
                              .rows = calloc(rows, sizeof(struct nearness)),
                              .queries = calloc(ann->queries.count, sizeof(struct nearness)),
                              .plain = calloc(CASES * QUERIES, sizeof(double)),
                              .ids = calloc(rows, sizeof(uint32_t))};
    bool room_made = filters.bits != NULL && filters.rows != NULL && filters.queries != NULL &&
                     filters.plain != NULL && filters.ids != NULL;
    for (size_t i = 0; i < sizeof(recalls) / sizeof(recalls[0]) && room_made; i++) {
        find_effort(&filters, recalls[i]);
        filters.plain_count = 0;
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            for (size_t share = 0; share < sizeof(shares) / sizeof(shares[0]); share++) {
                one_case(&filters, (enum kind)kind, shares[share]);
            }
        }
    }
    free(filters.bits);
    free(filters.rows);
    free(filters.queries);
    free(filters.plain);
    free(filters.ids);
    return room_made ? 0 : ann_complain("no memory", "--filters");
}
