/* Goal: a flat search in batches finds the exact nearest rows by either metric.
 * Method: the loop that a query runs, against a sort of double-precision distances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/index.h"

#define ROWS 1000u
#define STRIDE 60u
#define TOP_K 10u

static float rows[ROWS * STRIDE], query[STRIDE];

static int setup(void **state) {
    (void)state;
    uint64_t seed = 17;
    for (size_t i = 0; i < ROWS * STRIDE + STRIDE; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        float value = (float)(seed >> 40) / 16777216.0f - 0.5f;
        if (i < STRIDE) {
            query[i] = value;
        } else {
            rows[i - STRIDE] = value;
        }
    }
    return 0;
}

static double exact(enum index_metric metric, uint32_t row, uint32_t dim) {
    double sum = 0;
    for (uint32_t i = 0; i < dim; i++) {
        double left = (double)query[i], right = (double)rows[row * STRIDE + i];
        sum += metric == INDEX_L2 ? (left - right) * (left - right) : -left * right;
    }
    return sum;
}

static void search(enum index_metric metric, uint32_t dim, bool gathered, struct topk *topk) {
    float distances[FLAT_BATCH];
    const float *where[FLAT_BATCH];
    uint16_t found[FLAT_BATCH];
    for (uint32_t at = 0; at < ROWS; at += FLAT_BATCH) {
        uint32_t count = ROWS - at < FLAT_BATCH ? ROWS - at : FLAT_BATCH;
        for (uint32_t i = 0; i < count; i++) {
            where[i] = rows + (at + i) * STRIDE;
        }
        if (gathered) {
            flat_distances_gather(kernels_get(), metric, query, where, count, dim, distances);
        } else {
            flat_distances(kernels_get(), metric, query, where[0], STRIDE, count, dim, distances);
        }
        uint32_t found_count = flat_select(distances, count, topk_bound(topk), found);
        for (uint32_t i = 0; i < found_count; i++) {
            struct topk_hit evicted, hit = {distances[found[i]], at + found[i], at + found[i]};
            bool was_full;
            (void)topk_offer(topk, hit, &evicted, &was_full);
        }
    }
    topk_sort(topk);
}

static int compare_doubles(const void *left, const void *right) {
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static void check(enum index_metric metric, uint32_t dim, bool gathered) {
    struct topk_hit hits[TOP_K];
    struct topk topk;
    topk_init(&topk, hits, TOP_K);
    search(metric, dim, gathered, &topk);
    static double all[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        all[i] = exact(metric, i, dim);
    }
    for (uint32_t i = 0; i < TOP_K; i++) { /* the row named has the distance said */
        assert_true(fabs((double)hits[i].distance - all[hits[i].slot]) < 1e-5);
    }
    qsort(all, ROWS, sizeof(all[0]), compare_doubles);
    assert_int_equal(topk.count, TOP_K);
    for (uint32_t i = 0; i < TOP_K; i++) {
        assert_true(fabs((double)hits[i].distance - all[i]) < 1e-5);
    }
}

static void test_search(void **state) {
    (void)
        state; /* Goal: exact hits. Method: two metrics, dimensions, rows in place and gathered. */
    static const uint32_t dims[] = {1, 3, 8, 32, 33, 60};
    for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++) {
        check(INDEX_DOT, dims[d], false);
        check(INDEX_DOT, dims[d], true);
        check(INDEX_L2, dims[d], false);
        check(INDEX_L2, dims[d], true);
    }
}

static void test_select(void **state) {
    (void)state; /* Goal: <= bound, NaN out, nothing of nothing. Method: by hand. */
    static const float distances[] = {3, 1, NAN, 2, -INFINITY, INFINITY};
    uint16_t found[6];
    assert_int_equal(flat_select(distances, 6, 2, found), 3);
    assert_int_equal(found[0], 1);
    assert_int_equal(found[1], 3);
    assert_int_equal(found[2], 4);
    assert_int_equal(flat_select(distances, 6, INFINITY, found), 5);
    assert_int_equal(flat_select(distances, 6, -INFINITY, found), 1);
    assert_int_equal(flat_select(distances, 0, INFINITY, found), 0);
}

static void test_metric(void **state) {
    (void)state; /* Goal: only Euclid is L2. Method: the inline function itself. */
    assert_int_equal(index_metric_of(INS_DISTANCE_EUCLID), INDEX_L2);
    assert_int_equal(index_metric_of(INS_DISTANCE_COSINE), INDEX_DOT);
    assert_int_equal(index_metric_of(INS_DISTANCE_DOT), INDEX_DOT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_metric),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
