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
#include "index/vectors.h"

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

#define BYTES 4u /* of the largest value */

static uint8_t stored[ROWS * STRIDE * BYTES], prepared[STRIDE * BYTES];
static float loaded[ROWS * STRIDE], asked[STRIDE];

/* Rows and query as `datatype` holds them, and as floats again. */
static void store(ins_distance distance, ins_datatype datatype, uint32_t dim) {
    struct vector_shape shape = {.datatype = (uint8_t)datatype, .dim = dim};
    for (uint32_t i = 0; i < ROWS; i++) {
        float scaled[STRIDE];
        void *to = stored + (size_t)i * STRIDE * datatype_bytes(datatype);
        for (uint32_t at = 0; at < dim; at++) {
            float value = rows[i * STRIDE + at];
            scaled[at] = datatype == INS_UINT8 ? (value + 0.5f) * 255 : value;
        }
        vector_store(&shape, distance, scaled, to);
        vector_load(&shape, to, loaded + i * STRIDE);
    }
    float scaled[STRIDE];
    uint32_t padding[STRIDE];
    for (uint32_t at = 0; at < dim; at++) {
        scaled[at] = datatype == INS_UINT8 ? (query[at] + 0.5f) * 255 : query[at];
    }
    vector_query(&shape, distance, scaled, prepared);
    vector_store(&shape, distance, scaled, padding);
    vector_load(&shape, padding, asked);
}

static double exact(ins_distance distance, ins_datatype datatype, uint32_t row, uint32_t dim) {
    double dot = 0, l2 = 0, l1 = 0, norms[2] = {0};
    for (uint32_t i = 0; i < dim; i++) {
        double left = (double)asked[i], right = (double)loaded[row * STRIDE + i];
        dot += left * right;
        l2 += (left - right) * (left - right);
        l1 += fabs(left - right);
        norms[0] += left * left;
        norms[1] += right * right;
    }
    if (distance == INS_DISTANCE_COSINE && datatype == INS_UINT8) {
        return norms[0] * norms[1] == 0 ? 0 : -dot / sqrt(norms[0] * norms[1]);
    }
    return distance == INS_DISTANCE_EUCLID ? l2 : distance == INS_DISTANCE_MANHATTAN ? l1 : -dot;
}

static void search(const struct flat *flat, bool gathered, struct topk *topk) {
    float distances[FLAT_BATCH];
    const void *where[FLAT_BATCH];
    size_t row_bytes = STRIDE * datatype_bytes(flat->datatype);
    uint16_t found[FLAT_BATCH];
    for (uint32_t at = 0; at < ROWS; at += FLAT_BATCH) {
        uint32_t count = ROWS - at < FLAT_BATCH ? ROWS - at : FLAT_BATCH;
        for (uint32_t i = 0; i < count; i++) {
            where[i] = stored + (at + i) * row_bytes;
        }
        if (gathered) {
            flat_distances_gather(flat, where, count, distances);
        } else {
            flat_distances(flat, where[0], STRIDE, count, distances);
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

static void check(ins_distance distance, ins_datatype datatype, uint32_t dim, bool gathered) {
    struct flat flat;
    store(distance, datatype, dim);
    flat_init(&flat, kernels_get(), distance, datatype, dim, prepared);
    struct topk_hit hits[TOP_K];
    struct topk topk;
    topk_init(&topk, hits, TOP_K);
    search(&flat, gathered, &topk);
    static double all[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        all[i] = exact(distance, datatype, i, dim);
    }
    for (uint32_t i = 0; i < TOP_K; i++) { /* the row named has the distance said */
        assert_true(fabs((double)hits[i].distance - all[hits[i].slot]) <
                    1e-5 * (1 + fabs(all[hits[i].slot])));
    }
    qsort(all, ROWS, sizeof(all[0]), compare_doubles);
    assert_int_equal(topk.count, TOP_K);
    for (uint32_t i = 0; i < TOP_K; i++) {
        assert_true(fabs((double)hits[i].distance - all[i]) < 1e-5 * (1 + fabs(all[i])));
    }
}

static void test_search(void **state) {
    (void)state; /* Goal: exact hits. Method: metrics, datatypes, dimensions, rows in place and
                    gathered. */
    static const uint32_t dims[] = {1, 3, 8, 32, 33, 60};
    for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++) {
        for (int distance = INS_DISTANCE_COSINE; distance <= INS_DISTANCE_MANHATTAN; distance++) {
            for (int type = INS_FLOAT32; type <= INS_UINT8; type++) {
                check((ins_distance)distance, (ins_datatype)type, dims[d], false);
                check((ins_distance)distance, (ins_datatype)type, dims[d], true);
            }
        }
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

static void test_score(void **state) {
    (void)state; /* Goal: distances and scores are turned into each other. Method: each metric. */
    for (int distance = INS_DISTANCE_COSINE; distance <= INS_DISTANCE_MANHATTAN; distance++) {
        struct flat flat;
        flat_init(&flat, kernels_get(), (ins_distance)distance, INS_FLOAT32, 1, query);
        bool nearer_is_less = distance >= INS_DISTANCE_EUCLID;
        assert_true(flat_score(&flat, flat_distance_of(&flat, 3)) == 3.0f);
        assert_true((flat_distance_of(&flat, 4) > flat_distance_of(&flat, 3)) == nearer_is_less);
        /* No distance is below 0: nothing passes such a threshold. */
        assert_true(!nearer_is_less || flat_distance_of(&flat, -1) < 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_score),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
