#include "query/score.h"

#include <math.h>

#define CONTEXT_MARGIN 1.1920929e-7 /* what a row must be nearer by to count as nearer */

/* The least distance of the rows to one of an example's. */
static double nearest(const struct flat *flat, const struct score_vector *row) {
    float distances[FLAT_BATCH], least = INFINITY;
    for (uint32_t at = 0; at < row->rows; at += FLAT_BATCH) {
        uint32_t count = row->rows - at < FLAT_BATCH ? row->rows - at : FLAT_BATCH;
        flat_distances(flat, row->values + (size_t)at * flat->dim, flat->dim, count, distances);
        for (uint32_t i = 0; i < count; i++) {
            least = distances[i] < least ? distances[i] : least;
        }
    }
    return (double)least;
}

static double similarity(const struct scorer *scorer, const struct score_vector *example,
                         const struct score_vector *row) {
    struct flat flat = scorer->flat;
    double sum = 0;
    for (uint32_t i = 0; i < example->rows; i++) {
        flat.query = example->values + (size_t)i * flat.dim;
        sum += nearest(&flat, row);
    }
    return -sum;
}

static double fast_sigmoid(double x) {
    return isfinite(x) ? x / (1.0 + fabs(x)) : x;
}

void score_direct(const struct schema_vector *vector, float *values, uint32_t rows) {
    bool direct = vector->shape.datatype == INS_UINT8 && vector->distance == INS_DISTANCE_COSINE;
    for (uint32_t i = 0; direct && i < rows; i++) {
        float *row = values + (size_t)i * vector->shape.dim;
        kernel_normalize_f32(row, vector->shape.dim, row);
    }
}

/* Into 0 .. 1. */
static double scaled_sigmoid(double x) {
    return 0.5 * (fast_sigmoid(x) + 1.0);
}

static double best_of(const struct scorer *scorer, const struct score_vector *examples,
                      uint32_t count, const struct score_vector *row) {
    double best = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        best = fmax(best, similarity(scorer, &examples[i], row));
    }
    return best;
}

static double sum_of(const struct scorer *scorer, const struct score_vector *examples,
                     uint32_t count, const struct score_vector *row) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += similarity(scorer, &examples[i], row);
    }
    return sum;
}

/* Pairs whose positive is nearer less those whose negative is. */
static double pair_ranks(const struct scorer *scorer, const struct score_vector *row) {
    int64_t ranks = 0;
    for (uint32_t i = 0; i < scorer->positive_count; i++) {
        double positive = similarity(scorer, &scorer->positive[i], row);
        double negative = similarity(scorer, &scorer->negative[i], row);
        ranks += (positive > negative) - (positive < negative);
    }
    return (double)ranks;
}

static double context_loss(const struct scorer *scorer, const struct score_vector *row) {
    double sum = 0;
    for (uint32_t i = 0; i < scorer->positive_count; i++) {
        double positive = similarity(scorer, &scorer->positive[i], row);
        double negative = similarity(scorer, &scorer->negative[i], row);
        sum += fast_sigmoid(fmin(positive - negative - CONTEXT_MARGIN, 0.0));
    }
    return sum;
}

static double best_score(const struct scorer *scorer, const struct score_vector *row) {
    double positive = best_of(scorer, scorer->positive, scorer->positive_count, row);
    double negative = best_of(scorer, scorer->negative, scorer->negative_count, row);
    return positive > negative ? scaled_sigmoid(positive) : -scaled_sigmoid(negative);
}

double score_row(const struct scorer *scorer, const struct score_vector *row) {
    switch (scorer->kind) {
    case INS_RANK_NEAREST:
    case INS_RANK_AVERAGE:
        return similarity(scorer, &scorer->target, row);
    case INS_RANK_BEST:
        return best_score(scorer, row);
    case INS_RANK_SUM:
        return sum_of(scorer, scorer->positive, scorer->positive_count, row) -
               sum_of(scorer, scorer->negative, scorer->negative_count, row);
    case INS_RANK_DISCOVER:
        return pair_ranks(scorer, row) + scaled_sigmoid(similarity(scorer, &scorer->target, row));
    case INS_RANK_CONTEXT:
        return context_loss(scorer, row);
    case INS_RANK_ORDER:
    case INS_RANK_SAMPLE:
    case INS_RANK_ID:
    case INS_RANK_FACET:
        break;
    }
    return 0;
}

static bool shows_distance(const struct scorer *scorer) {
    bool one = scorer->kind == INS_RANK_NEAREST || scorer->kind == INS_RANK_AVERAGE;
    return one && scorer->flat.metric != KERNEL_DOT;
}

float score_shown(const struct scorer *scorer, double score) {
    if (!shows_distance(scorer)) {
        return (float)score;
    }
    return (float)(scorer->flat.metric == KERNEL_L2 ? sqrt(-score) : -score);
}

bool score_passes(const struct scorer *scorer, float shown, float threshold) {
    return shows_distance(scorer) ? shown <= threshold : shown >= threshold;
}
