/* `insula-bench ann`, rows of its own: a scan over 1-bit codes that ranks what its bounds leave,
 * one query at a time and eight in a pass, beside the exact scan over the same rows as floats. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ann_private.h"
#include "index/scan.h"

#define CERTAINTIES 10
#define BATCH 8u
#define EXACT_QUERIES_MAX 100u /* an exact scan takes milliseconds */
#define PASSES 4u              /* over the codes alone */

static const float certainties[CERTAINTIES] = {-0.5f, 0, 0.25f, 0.5f, 0.75f, 1, 1.5f, 2, 3, 4};

struct ann_scan {
    struct scan *scan;
    struct scan_scratch *scratch;
    struct curve one, batch; /* effort: 100 times the certainty, moved to be positive */
    uint64_t ranked[CERTAINTIES];
    double build_s, exact_us[ROUNDS_MAX], pass_us[ROUNDS_MAX];
};

/* Rows are ranked as they were given: bytes, which the graph keeps, or floats. */
struct ranking {
    const struct ann *ann;
    struct flat flats[BATCH];
    uint8_t *bytes; /* [BATCH][dim], queries, where rows are bytes */
};

static void rank(void *context, uint32_t query, const uint32_t *rows, uint32_t count, float *out) {
    const struct ranking *ranking = context;
    const struct graph *graph = ranking->ann->graph;
    const struct matrix *floats = &ranking->ann->rows_in;
    bool bytes = graph->options.type == ROW_U8;
    size_t stride = floats->dim * (bytes ? 1 : sizeof(float));
    const void *at[SCAN_RANK_MAX];
    for (uint32_t i = 0; i < count; i++) {
        at[i] = bytes ? row_at(&graph->rows, rows[i])
                      : (void *)(floats->values + (size_t)rows[i] * floats->dim);
        for (size_t byte = 0; byte < stride && byte < 512; byte += 64) {
            __builtin_prefetch((const char *)at[i] + byte);
        }
    }
    flat_distances_gather(&ranking->flats[query], at, count, out);
}

static void ready(struct ranking *ranking, uint32_t query, const float *values) {
    const struct graph_options *options = &ranking->ann->graph->options;
    const void *exact = values;
    if (options->type == ROW_U8) {
        uint8_t *bytes = ranking->bytes + (size_t)query * options->dim;
        kernel_u8_from_f32(values, options->dim, bytes);
        exact = bytes;
    }
    flat_init(&ranking->flats[query], kernels_get(),
              options->metric == INDEX_DOT ? INS_DISTANCE_DOT : INS_DISTANCE_EUCLID,
              options->type == ROW_U8 ? INS_UINT8 : INS_FLOAT32, options->dim, exact);
}

bool ann_scan_build(struct ann *ann) {
    ann->scan = calloc(1, sizeof(*ann->scan));
    ins_error error;
    struct scan_options options = {.dim = ann->rows_in.dim, .metric = ann->metric, .seed = 1};
    if (ann->scan == NULL) {
        return false;
    }
    double begin = ann_cpu_s();
    if (scan_open(&options, ann->rows_in.count, ann->graph->centre, ann->arena, INS_MEM_CACHE,
                  &ann->scan->scan, &error) != INS_OK ||
        scan_scratch_make(ann->scan->scan, BATCH, ann->limit, &ann->scan->scratch, &error) !=
            INS_OK) {
        (void)ann_complain(error.message, "scan");
        return false;
    }
    for (uint32_t row = 0; row < ann->rows_in.count; row++) {
        scan_add(ann->scan->scan, ann->rows_in.values + (size_t)row * ann->rows_in.dim);
    }
    ann->scan->build_s = ann_cpu_s() - begin;
    ann->scan->one = (struct curve){.name = "scan", .count = CERTAINTIES};
    ann->scan->batch = (struct curve){.name = "scan by 8", .count = CERTAINTIES};
    return true;
}

void ann_scan_free(struct ann *ann) {
    if (ann->scan != NULL) {
        scan_scratch_free(ann->scan->scratch);
        scan_close(ann->scan->scan);
        free(ann->scan);
    }
}

uint32_t ann_scan_filtered(const struct ann *ann, const float *query, const uint64_t *allowed,
                           float certainty, uint32_t *out_ids) {
    struct topk_hit hits[LIMIT_MAX];
    uint32_t count = 0;
    struct ranking ranking = {.ann = ann, .bytes = malloc(ann->queries.dim)};
    struct scan_ask ask = {.queries = &query,
                           .query_count = 1,
                           .limit = ann->limit,
                           .certainty = certainty,
                           .allowed = allowed,
                           .rank = rank,
                           .context = &ranking,
                           .out = hits,
                           .out_counts = &count};
    if (ranking.bytes != NULL) {
        ready(&ranking, 0, query);
        scan_search(ann->scan->scan, ann->scan->scratch, &ask);
    }
    for (uint32_t i = 0; i < count; i++) {
        out_ids[i] = hits[i].slot;
    }
    free(ranking.bytes);
    return count;
}

uint32_t ann_scan_rank(const struct ann *ann, const float *query, const uint32_t *rows,
                       uint32_t count, uint32_t *out_ids) {
    struct topk_hit hits[LIMIT_MAX], evicted;
    struct topk topk;
    struct ranking ranking = {.ann = ann, .bytes = malloc(ann->queries.dim)};
    topk_init(&topk, hits, ann->limit);
    if (ranking.bytes != NULL) {
        ready(&ranking, 0, query);
    }
    for (uint32_t at = 0; ranking.bytes != NULL && at < count; at += SCAN_RANK_MAX) {
        uint32_t some = count - at < SCAN_RANK_MAX ? count - at : SCAN_RANK_MAX;
        float distances[SCAN_RANK_MAX];
        rank(&ranking, 0, rows + at, some, distances);
        for (uint32_t i = 0; i < some; i++) {
            struct topk_hit hit = {
                .distance = distances[i], .slot = rows[at + i], .key = rows[at + i]};
            bool was_full;
            if (distances[i] <= topk_bound(&topk)) {
                (void)topk_offer(&topk, hit, &evicted, &was_full);
            }
        }
    }
    topk_sort(&topk);
    for (uint32_t i = 0; i < topk.count; i++) {
        out_ids[i] = hits[i].slot;
    }
    free(ranking.bytes);
    return topk.count;
}

/* All queries, `batch` in a pass. */
static void search(struct ann *ann, struct curve *curve, uint32_t at, uint32_t batch,
                   uint32_t round) {
    struct ann_scan *self = ann->scan;
    uint32_t count = ann->queries.count, dim = ann->queries.dim;
    struct topk_hit *hits = malloc((size_t)count * ann->limit * sizeof(*hits));
    uint32_t *counts = malloc(count * sizeof(uint32_t)), ids[LIMIT_MAX];
    struct ranking ranking = {.ann = ann, .bytes = malloc((size_t)BATCH * dim)};
    uint64_t ranked = 0;
    double begin = ann_cpu_s();
    for (uint32_t q = 0; q < count; q += batch) {
        const float *queries[BATCH];
        uint32_t some = count - q < batch ? count - q : batch;
        for (uint32_t i = 0; i < some; i++) {
            queries[i] = ann->queries.values + (size_t)(q + i) * dim;
            ready(&ranking, i, queries[i]);
        }
        struct scan_ask ask = {.queries = queries,
                               .query_count = some,
                               .limit = ann->limit,
                               .certainty = certainties[at],
                               .rank = rank,
                               .context = &ranking,
                               .out = hits + (size_t)q * ann->limit,
                               .out_counts = counts + q};
        scan_search(self->scan, self->scratch, &ask);
        ranked += scan_ranked(self->scratch);
    }
    struct point_of_curve *point = &curve->points[at];
    point->us[round] = (ann_cpu_s() - begin) * 1e6 / count;
    point->effort = at;
    self->ranked[at] = ranked / count;
    uint64_t right = 0;
    for (uint32_t q = 0; q < count && round == 0; q++) {
        for (uint32_t i = 0; i < counts[q]; i++) {
            ids[i] = hits[(size_t)q * ann->limit + i].slot;
        }
        right += ann_right_ones(ann, q, ids, counts[q]);
    }
    if (round == 0) {
        point->recall = (double)right / ((double)count * ann->limit);
    }
    free(ranking.bytes);
    free(counts);
    free(hits);
}

/* What is exact today: all rows as floats, in batches. */
static void exact(struct ann *ann, uint32_t round) {
    uint32_t dim = ann->rows_in.dim, count = ann->queries.count;
    count = count < EXACT_QUERIES_MAX ? count : EXACT_QUERIES_MAX;
    volatile float sink = 0;
    double begin = ann_cpu_s();
    for (uint32_t q = 0; q < count; q++) {
        struct topk_hit hits[LIMIT_MAX];
        struct topk topk;
        struct flat flat;
        float distances[FLAT_BATCH];
        uint16_t found[FLAT_BATCH];
        topk_init(&topk, hits, ann->limit);
        flat_init(&flat, kernels_get(),
                  ann->metric == INDEX_DOT ? INS_DISTANCE_DOT : INS_DISTANCE_EUCLID, INS_FLOAT32,
                  dim, ann->queries.values + (size_t)q * dim);
        for (uint32_t at = 0; at < ann->rows_in.count; at += FLAT_BATCH) {
            uint32_t rows = ann->rows_in.count - at;
            rows = rows < FLAT_BATCH ? rows : FLAT_BATCH;
            flat_distances(&flat, ann->rows_in.values + (size_t)at * dim, dim, rows, distances);
            uint32_t passed = flat_select(distances, rows, topk_bound(&topk), found);
            for (uint32_t i = 0; i < passed; i++) {
                struct topk_hit evicted, hit = {distances[found[i]], at + found[i], at + found[i]};
                bool full;
                (void)topk_offer(&topk, hit, &evicted, &full);
            }
        }
        sink = topk_bound(&topk);
    }
    (void)sink;
    ann->scan->exact_us[round] = (ann_cpu_s() - begin) * 1e6 / count;
}

/* The codes alone, read and bounded, without looking at the bounds. */
static void pass(struct ann *ann, uint32_t round) {
    const struct scan *scan = ann->scan->scan;
    static _Alignas(64) float bounds[4096];
    size_t words = code1_words(scan->rotation.padded);
    uint64_t *planes = calloc(CODE1_PLANES * words, sizeof(uint64_t));
    struct code1_query query = {.planes = planes, .first_plane = ann->rows_in.dim >= 512};
    uint32_t blocks = (scan->count + CODE1_ROWS - 1) / CODE1_ROWS, part = 16;
    double begin = ann_cpu_s();
    for (uint32_t i = 0; i < PASSES; i++) {
        for (uint32_t at = 0; at < blocks; at += part) {
            scan->kernels->code1_bounds(&query, row_at(&scan->codes, at),
                                        blocks - at < part ? blocks - at : part, words, bounds);
        }
    }
    ann->scan->pass_us[round] = (ann_cpu_s() - begin) * 1e6 / PASSES;
    free(planes);
}

void ann_scan_round(struct ann *ann, uint32_t round) {
    exact(ann, round);
    pass(ann, round);
    for (uint32_t i = 0; i < CERTAINTIES; i++) {
        search(ann, &ann->scan->one, i, 1, round);
        search(ann, &ann->scan->batch, i, BATCH, round);
    }
}

void ann_scan_print(const struct ann *ann) {
    static const double recalls[] = {0.95, 0.99, 0.999};
    const struct ann_scan *self = ann->scan;
    double exact_us = ann_median(self->exact_us, ann->rounds);
    double pass_us = ann_median(self->pass_us, ann->rounds);
    (void)printf(
        "scan: %.2f s of CPU to encode, %.1f bytes a row beside the rows; codes alone %.1f "
        "us, %.2f ns a row; exact over floats %.1f us, %.2f ns a row\n",
        self->build_s, (double)scan_bytes(self->scan) / ann->rows_in.count, pass_us,
        pass_us * 1e3 / ann->rows_in.count, exact_us, exact_us * 1e3 / ann->rows_in.count);
    for (uint32_t i = 0; i < CERTAINTIES; i++) {
        (void)printf("  certainty %5.2f  recall@%u %.4f  %8.1f us, by 8 %8.1f us, %6llu ranked\n",
                     (double)certainties[i], ann->limit, self->one.points[i].recall,
                     ann_median(self->one.points[i].us, ann->rounds),
                     ann_median(self->batch.points[i].us, ann->rounds),
                     (unsigned long long)self->ranked[i]);
    }
    for (size_t i = 0; i < sizeof(recalls) / sizeof(recalls[0]); i++) {
        double one = ann_us_at(&self->one, recalls[i], ann->rounds);
        double batch = ann_us_at(&self->batch, recalls[i], ann->rounds);
        (void)printf("scan at recall %.3f: %.1f us, %.4f of exact; by 8 %.1f us, %.4f\n",
                     recalls[i], one, one / exact_us, batch, batch / exact_us);
    }
}

void ann_scan_write(FILE *out, const struct ann *ann) {
    const struct ann_scan *self = ann->scan;
    (void)fprintf(out,
                  "\"scan\":{\"encode_cpu_s\":%.3f,\"code_bytes\":%llu,\"pass_us\":%.2f,"
                  "\"exact_us\":%.2f,\"curve\":[",
                  self->build_s, (unsigned long long)scan_bytes(self->scan),
                  ann_median(self->pass_us, ann->rounds), ann_median(self->exact_us, ann->rounds));
    for (uint32_t i = 0; i < CERTAINTIES; i++) {
        (void)fprintf(out,
                      "%s{\"certainty\":%.2f,\"recall\":%.5f,\"cpu_us\":%.2f,\"by_8_us\":%.2f}",
                      i == 0 ? "" : ",", (double)certainties[i], self->one.points[i].recall,
                      ann_median(self->one.points[i].us, ann->rounds),
                      ann_median(self->batch.points[i].us, ann->rounds));
    }
    (void)fprintf(out, "]}");
}
