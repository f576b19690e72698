/* Goal: rotations keep products, codes estimate them without bias and as well as 4 bits can.
 * Method: many random pairs of several dimensions and distributions, heavy tails among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/codes.h"

#define DIM_MAX 1024u
#define PAIRS 400u

static double uniform(uint64_t *seed) {
    *seed = hash_u64(*seed + 1);
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

/* kind 0: normal; 1: normal cubed, a heavy tail; 2: mostly zero. */
static void draw(float *out, uint32_t dim, uint32_t kind, uint64_t *seed) {
    for (uint32_t i = 0; i < dim; i++) {
        double normal = sqrt(-2 * log(uniform(seed))) * cos(2 * M_PI * uniform(seed));
        bool zero = kind == 2 && uniform(seed) < 0.95;
        out[i] = (float)(zero ? 0 : kind == 1 ? normal * normal * normal : normal);
    }
}

static double dot(const float *a, const float *b, uint32_t dim) {
    double sum = 0;
    for (uint32_t i = 0; i < dim; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static const uint32_t dims[] = {1, 2, 7, 16, 25, 100, 112, 128, 200, 512, 768, 784, 1000};

static void test_rotation(void **state) {
    (void)state;
    float signs[ROTATION_ROUNDS * DIM_MAX];
    uint64_t seed = 1;
    for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++) {
        uint32_t dim = dims[d];
        float a[DIM_MAX], b[DIM_MAX], ra[DIM_MAX], rb[DIM_MAX];
        struct rotation rotation;
        rotation_init(&rotation, dim, 42, signs);
        for (uint32_t i = 0; i < 20; i++) {
            draw(a, dim, i % 3, &seed);
            draw(b, dim, i % 3, &seed);
            rotation_apply(&rotation, a, NULL, ra);
            rotation_apply(&rotation, b, NULL, rb);
            double size = sqrt(dot(a, a, dim) * dot(b, b, dim));
            assert_true(fabs(dot(a, b, dim) - dot(ra, rb, rotation.padded)) <= 1e-5 * size + 1e-9);
        }
    }
}

static void estimate_pairs(uint32_t dim, uint32_t kind, uint64_t *seed, double *out_mean,
                           double *out_deviation) {
    float signs[ROTATION_ROUNDS * DIM_MAX];
    float row[DIM_MAX], query[DIM_MAX], centre[DIM_MAX], rotated[DIM_MAX];
    uint8_t code[DIM_MAX / 2];
    int8_t values[DIM_MAX + 128];
    struct rotation rotation;
    double sum = 0, squares = 0;
    draw(centre, dim, 0, seed);
    for (uint32_t i = 0; i < PAIRS; i++) {
        rotation_init(&rotation, dim, i, signs);
        draw(row, dim, kind, seed);
        draw(query, dim, kind, seed);
        struct code_factors factors;
        struct code_query prepared = {.values = values};
        rotation_apply(&rotation, row, centre, rotated);
        (void)code4_encode(rotated, rotation.padded, code, &factors);
        rotation_apply(&rotation, query, NULL, rotated);
        code_query_make(rotated, rotation.padded, &prepared);
        const uint8_t *codes[1] = {code};
        int32_t product;
        kernels_get()->code4_dots(values, codes, 1, rotation.padded, &product);
        double got = (double)(factors.scale * (prepared.step * (float)product + prepared.offset));
        double want = dot(row, query, dim) - dot(centre, query, dim);
        double size = sqrt((double)factors.norm * dot(query, query, dim));
        double error = size == 0 ? 0 : (got - want) / size * sqrt(rotation.padded);
        sum += error;
        squares += error * error;
    }
    *out_mean = sum / PAIRS;
    *out_deviation = sqrt(squares / PAIRS);
}

/* The best 4-bit grid for a normal distribution leaves 1.15 % of the variance (Max): deviation
 * 0.107; the query's 8 bits add little. */
static void test_estimates(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (size_t d = 4; d < sizeof(dims) / sizeof(dims[0]); d++) {
        for (uint32_t kind = 0; kind < 3; kind++) {
            double mean, deviation;
            estimate_pairs(dims[d], kind, &seed, &mean, &deviation);
            if (fabs(mean) > 4 * deviation / sqrt(PAIRS) || deviation > 0.13) {
                fail_msg("dim %u, kind %u: mean %.4f, deviation %.4f", dims[d], kind, mean,
                         deviation);
            }
        }
    }
}

/* Goal: with the rest a row is what it was, to 14 bits a dimension. Method: its distance to itself,
 * and products with others. */
static void test_rests(void **state) {
    (void)state;
    uint64_t seed = 9;
    float signs[ROTATION_ROUNDS * DIM_MAX];
    float row[DIM_MAX], query[DIM_MAX], rotated[DIM_MAX], other[DIM_MAX];
    uint8_t code[DIM_MAX / 2], rest[DIM_MAX * 5 / 4 + sizeof(struct code_rest)];
    const struct kernels *kernels = kernels_get();
    for (size_t i = 0; i < 3 * PAIRS; i++) {
        uint32_t dim = dims[i % (sizeof(dims) / sizeof(dims[0]))], kind = (uint32_t)(i % 3);
        struct rotation rotation;
        struct code_factors factors;
        rotation_init(&rotation, dim, i, signs);
        draw(row, dim, kind, &seed);
        draw(query, dim, kind, &seed);
        rotation_apply(&rotation, row, NULL, rotated);
        rotation_apply(&rotation, query, NULL, other);
        float inverse = code4_encode(rotated, rotation.padded, code, &factors);
        code_rest_encode(rotated, rotation.padded, code, inverse, rest);
        double size = sqrt((double)factors.norm);
        double off =
            sqrt((double)kernels->code_rest[KERNEL_L2](rotated, code, rest, rotation.padded));
        double product = (double)kernels->code_rest[KERNEL_DOT](other, code, rest, rotation.padded);
        double wrong = fabs(product - dot(row, query, dim)) / sqrt(dot(query, query, dim) + 1e-30);
        if (off > 2.5e-4 * size || wrong > 2.5e-4 * size) {
            fail_msg("dim %u, kind %u: off by %.2e, product by %.2e", dim, kind, off / size,
                     wrong / size);
        }
    }
}

static void test_zero(void **state) {
    (void)state;
    float zeros[16] = {0};
    uint8_t code[8];
    int8_t values[128];
    struct code_factors factors;
    struct code_query query = {.values = values};
    uint8_t rest[28];
    float inverse = code4_encode(zeros, 16, code, &factors);
    code_query_make(zeros, 16, &query);
    code_rest_encode(zeros, 16, code, inverse, rest);
    assert_true(kernels_get()->code_rest[KERNEL_L2](zeros, code, rest, 16) == 0);
    assert_true(factors.norm == 0 && factors.scale == 0);
    assert_true(query.step == 0 && query.offset == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_rests),
        cmocka_unit_test(test_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
