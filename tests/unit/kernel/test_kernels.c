/* Goal: every instruction set agrees with the scalar reference and with double precision.
 * Method: lengths 1 .. 4 * 16 + 1 and odd large ones, at odd addresses that end right before a page
 * without access, so that a read past the end is a crash; NaN, infinity, denormals, strides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/kernel.h"

#define DIM_MAX 65536u
#define ROWS_MAX 19u
#define GUARDED_BYTES (8u << 20)
#define PAGE_BYTES 4096u
#define TOLERANCE 1e-5

static const char *const isas[] = {"scalar", "avx2", "avx512", "avx512vnni", "neon"};
static uint8_t *guarded[2]; /* GUARDED_BYTES each, then a page without access */

static int setup(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        guarded[i] = mmap(NULL, GUARDED_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (guarded[i] == MAP_FAILED ||
            mprotect(guarded[i] + GUARDED_BYTES, PAGE_BYTES, PROT_NONE) != 0) {
            return -1;
        }
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (munmap(guarded[i], GUARDED_BYTES + PAGE_BYTES) != 0) {
            return -1;
        }
    }
    return 0;
}

/* `count` floats that end with the last byte before the guard: aligned to 4 bytes, no more. */
static float *floats_at_end(int which, size_t count) {
    assert_true(count * sizeof(float) <= GUARDED_BYTES);
    return (float *)(void *)(guarded[which] + GUARDED_BYTES - count * sizeof(float));
}

static float next_value(void) {
    static uint64_t seed = 3;
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return ((float)(seed >> 40) / 16777216.0f - 0.5f) * 4.0f;
}

static void fill(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        values[i] = next_value();
    }
}

struct reference {
    double dot, dot_magnitude, l2, l1;
};

static struct reference reference_of(const float *left, const float *right, size_t dim) {
    struct reference sums = {0};
    for (size_t i = 0; i < dim; i++) {
        double product = (double)left[i] * (double)right[i];
        double difference = (double)left[i] - (double)right[i];
        sums.dot += product;
        sums.dot_magnitude += fabs(product);
        sums.l2 += difference * difference;
        sums.l1 += fabs(difference);
    }
    return sums;
}

static void assert_near(double found, double wanted, double magnitude) {
    if (!(fabs(found - wanted) <= TOLERANCE * magnitude + 1e-38)) {
        print_error("%.9g is not near %.9g (of %.9g)\n", found, wanted, magnitude);
        fail();
    }
}

static void check_pair(const struct kernels *kernels, const float *left, const float *right,
                       size_t dim) {
    struct reference wanted = reference_of(left, right, dim);
    const struct kernels *scalar = kernels_for("scalar");
    double dot = (double)kernels->dot_f32(left, right, dim);
    double l2 = (double)kernels->l2_f32(left, right, dim);
    assert_near(dot, wanted.dot, wanted.dot_magnitude);
    assert_near(l2, wanted.l2, wanted.l2);
    assert_near((double)kernels->l1_f32(left, right, dim), wanted.l1, wanted.l1);
    assert_near(dot, (double)scalar->dot_f32(left, right, dim), 2 * wanted.dot_magnitude);
    assert_near(l2, (double)scalar->l2_f32(left, right, dim), 2 * wanted.l2);
}

/* Lengths 1 .. 4 * width + 1 of the widest set, then around every border in the code. */
static size_t next_dim(size_t dim) {
    static const size_t large[] = {96,   100,  112,  127,  128,   129,   255,   384,
                                   500,  768,  1023, 1536, 2047,  2048,  2049,  4095,
                                   4096, 4099, 6151, 9973, 16384, 32771, 65535, DIM_MAX};
    if (dim <= 80) {
        return dim + 1;
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        if (large[i] > dim) {
            return large[i];
        }
    }
    return 0;
}

/* Runs `check` for every instruction set that this machine has. */
static void for_each_isa(void (*check)(const struct kernels *kernels)) {
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const struct kernels *kernels = kernels_for(isas[i]);
        if (kernels == NULL) {
            print_message("%s: not on this machine\n", isas[i]);
            continue;
        }
        assert_string_equal(kernels->isa, isas[i]);
        check(kernels);
    }
}

static void check_lengths(const struct kernels *kernels) {
    for (size_t dim = 1; dim != 0; dim = next_dim(dim)) {
        float *left = floats_at_end(0, dim), *right = floats_at_end(1, dim);
        fill(left, dim);
        fill(right, dim);
        check_pair(kernels, left, right, dim);
        check_pair(kernels, left, left, dim);
        assert_true(kernels->l2_f32(left, left, dim) == 0.0f);
    }
    float value = 1;
    assert_true(kernels->dot_f32(&value, &value, 0) == 0.0f);
    assert_true(kernels->l2_f32(&value, &value, 0) == 0.0f);
}

static void test_lengths(void **state) {
    (void)state; /* Goal: one pair, every length. Method: see the top; both arguments guarded. */
    for_each_isa(check_lengths);
}

/* Equal values round the same way at every step: the worst case of a long f32 sum. */
static void check_bias(const struct kernels *kernels) {
    static const float values[] = {0.1f, 0.7f, 1.0f / 3.0f, 1.1f};
    for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
        for (size_t dim = 1000; dim != 0; dim = next_dim(dim)) {
            float *left = floats_at_end(0, dim), *right = floats_at_end(1, dim);
            for (size_t i = 0; i < dim; i++) {
                left[i] = values[v];
                right[i] = -values[v] * 0.9f;
            }
            check_pair(kernels, left, right, dim);
        }
    }
}

static void test_bias(void **state) {
    (void)state; /* Goal: the promised error for unlucky inputs too. Method: constant vectors. */
    for_each_isa(check_bias);
}

static void check_many(const struct kernels *kernels, size_t dim, size_t stride, size_t count) {
    size_t floats = count == 0 ? 0 : (count - 1) * stride + dim;
    float *query = floats_at_end(0, dim), *rows = floats_at_end(1, floats);
    fill(query, dim);
    fill(rows, floats);
    const void *where[ROWS_MAX];
    for (size_t i = 0; i < count; i++) {
        where[i] = rows + (i * 7 % count) * stride; /* another order; 7 is prime to most counts */
    }
    float out[6][ROWS_MAX + 1];
    for (int k = 0; k < 6; k++) {
        out[k][count] = 42; /* nothing is written behind the last */
    }
    kernels->f32_rows[KERNEL_DOT](query, rows, stride, count, dim, out[0]);
    kernels->f32_rows[KERNEL_L2](query, rows, stride, count, dim, out[1]);
    kernels->f32_gather[KERNEL_DOT](query, where, count, dim, out[2]);
    kernels->f32_gather[KERNEL_L2](query, where, count, dim, out[3]);
    kernels->f32_rows[KERNEL_L1](query, rows, stride, count, dim, out[4]);
    kernels->f32_gather[KERNEL_L1](query, where, count, dim, out[5]);
    for (size_t i = 0; i < count; i++) {
        struct reference at_stride = reference_of(query, rows + i * stride, dim);
        struct reference anywhere = reference_of(query, where[i], dim);
        assert_near((double)out[0][i], at_stride.dot, at_stride.dot_magnitude);
        assert_near((double)out[1][i], at_stride.l2, at_stride.l2);
        assert_near((double)out[2][i], anywhere.dot, anywhere.dot_magnitude);
        assert_near((double)out[3][i], anywhere.l2, anywhere.l2);
        assert_near((double)out[4][i], at_stride.l1, at_stride.l1);
        assert_near((double)out[5][i], anywhere.l1, anywhere.l1);
    }
    for (int k = 0; k < 6; k++) {
        assert_true(out[k][count] == 42.0f);
    }
}

static void check_rows(const struct kernels *kernels) {
    for (size_t dim = 1; dim != 0; dim = next_dim(dim)) {
        for (size_t count = 0; count <= 9; count++) {
            check_many(kernels, dim, dim, count);
            if (dim < 3000) {
                check_many(kernels, dim, dim + 1 + count % 3, count);
            }
        }
        if (dim < 3000) {
            check_many(kernels, dim, dim + 64, ROWS_MAX);
        }
    }
}

static void test_rows(void **state) {
    (void)state; /* Goal: rows at a stride and anywhere. Method: counts 0 .. 9 and 19, strides. */
    for_each_isa(check_rows);
}

static void test_rows_are_like_pairs(void **state) {
    (void)state; /* Goal: a row's distance does not depend on its neighbours or its place, so ties
                  * stay ties. Method: equal rows at all places, bit for bit. */
    for (size_t s = 0; s < sizeof(isas) / sizeof(isas[0]); s++) {
        const struct kernels *kernels = kernels_for(isas[s]);
        for (size_t dim = 1; kernels != NULL && dim != 0 && dim < 5000; dim = next_dim(dim)) {
            float *query = floats_at_end(0, dim), *rows = floats_at_end(1, 11 * dim);
            fill(query, dim);
            fill(rows, dim);
            for (size_t i = 1; i < 11; i++) {
                memcpy(rows + i * dim, rows, dim * sizeof(float));
            }
            float out[2][11];
            kernels->f32_rows[KERNEL_DOT](query, rows, dim, 11, dim, out[0]);
            kernels->f32_rows[KERNEL_L2](query, rows, dim, 11, dim, out[1]);
            for (size_t i = 1; i < 11; i++) {
                assert_memory_equal(&out[0][i], &out[0][0], sizeof(float));
                assert_memory_equal(&out[1][i], &out[1][0], sizeof(float));
            }
        }
    }
}

/* The sums with one odd value in `left` at `at`, all else 1. */
static void check_odd_value(const struct kernels *kernels, size_t dim, size_t at, float odd) {
    float *left = floats_at_end(0, dim), *right = floats_at_end(1, dim);
    for (size_t i = 0; i < dim; i++) {
        left[i] = right[i] = 1;
    }
    left[at] = odd;
    float rows_dot, rows_l2;
    kernels->f32_rows[KERNEL_DOT](left, right, dim, 1, dim, &rows_dot);
    kernels->f32_rows[KERNEL_L2](left, right, dim, 1, dim, &rows_l2);
    float dots[] = {kernels->dot_f32(left, right, dim), rows_dot};
    float l2s[] = {kernels->l2_f32(left, right, dim), rows_l2};
    for (int i = 0; i < 2; i++) {
        if (isnan(odd)) {
            assert_true(isnan(dots[i]));
            assert_true(isnan(l2s[i]));
        } else {
            assert_true(dots[i] == odd);
            assert_true(l2s[i] == INFINITY);
        }
    }
    right[at] = odd; /* infinity - infinity, NaN - NaN */
    assert_true(isnan(kernels->l2_f32(left, right, dim)));
}

static void check_odd_values(const struct kernels *kernels) {
    for (size_t dim = 1; dim <= 130; dim++) {
        for (size_t at = 0; at < dim; at += dim < 20 ? 1 : 7) {
            check_odd_value(kernels, dim, at, NAN);
            check_odd_value(kernels, dim, at, INFINITY);
            check_odd_value(kernels, dim, at, -INFINITY);
        }
        check_odd_value(kernels, dim, dim - 1, NAN);
    }
    float huge[40];
    for (int i = 0; i < 40; i++) {
        huge[i] = 3e38f;
    }
    assert_true(kernels->dot_f32(huge, huge, 40) == INFINITY);
}

static void test_odd_values(void **state) {
    (void)state; /* Goal: NaN and infinity go through. Method: one at every place; overflow. */
    for_each_isa(check_odd_values);
}

static void check_denormals(const struct kernels *kernels) {
    for (size_t dim = 1; dim <= 70; dim++) {
        float *left = floats_at_end(0, dim), *right = floats_at_end(1, dim);
        double wanted = 0;
        for (size_t i = 0; i < dim; i++) {
            left[i] = 1e-40f * (float)(i + 1);
            right[i] = i % 2 == 0 ? 1.0f : 2.0f;
            wanted += (double)left[i] * (double)right[i];
        }
        double found = (double)kernels->dot_f32(left, right, dim);
        assert_true(found > 0);
        assert_true(fabs(found - wanted) <= 1e-44 * (double)dim); /* a denormal's own step */
    }
}

static void test_denormals(void **state) {
    (void)state; /* Goal: denormals are not flushed. Method: sums that are denormal themselves. */
    for_each_isa(check_denormals);
}

static void check_select(const struct kernels *kernels) {
    static const float bounds[] = {-10, -1, 0, 0.5f, 10, INFINITY, -INFINITY, NAN};
    const struct kernels *scalar = kernels_for("scalar");
    for (uint32_t count = 0; count <= 300; count++) {
        float *values = floats_at_end(0, count);
        fill(values, count);
        for (uint32_t i = 0; i < count; i += 13) {
            values[i] = i % 2 == 0 ? NAN : 0.5f; /* equal to a bound: passes */
        }
        for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
            uint16_t found[301], wanted[301];
            found[count] = 9999;
            uint32_t found_count = kernels->select_f32(values, count, bounds[b], found);
            assert_int_equal(found_count, scalar->select_f32(values, count, bounds[b], wanted));
            assert_memory_equal(found, wanted, found_count * sizeof(found[0]));
            assert_int_equal(found[count], 9999);
            uint32_t passing = 0;
            for (uint32_t i = 0; i < count; i++) {
                passing += values[i] <= bounds[b];
            }
            assert_int_equal(found_count, passing);
        }
    }
}

static void test_select(void **state) {
    (void)
        state; /* Goal: positions at or below a bound. Method: every count; NaN and ties inside. */
    for_each_isa(check_select);
}

static void check_select_kept(const struct kernels *kernels) {
    for (uint32_t count = 0; count <= 300; count++) {
        float values[300];
        uint64_t kept[5];
        uint16_t found[301], all[300];
        for (uint32_t i = 0; i < 5; i++) {
            kept[i] = 0x9e3779b97f4a7c15ull * (count + 7 * i + 1);
        }
        for (uint32_t i = 0; i < count; i++) {
            values[i] = i % 11 == 3 ? NAN : (float)(i * 37 % 101);
        }
        found[count] = 9999;
        uint32_t found_count = kernels->select_kept_f32(values, count, 50, kept, found);
        uint32_t all_count = kernels->select_f32(values, count, 50, all), at = 0;
        for (uint32_t i = 0; i < all_count; i++) {
            if ((kept[all[i] / 64] >> (all[i] % 64) & 1) != 0) {
                assert_true(at < found_count);
                assert_int_equal(found[at++], all[i]);
            }
        }
        assert_int_equal(at, found_count);
        assert_int_equal(found[count], 9999);
    }
}

static void test_select_kept(void **state) {
    (void)state; /* Goal: of those at or below a bound the ones with a bit. Method: every count. */
    for_each_isa(check_select_kept);
}

/* Goal: the environment lowers the choice, and nothing else changes it. Method: what this process
 * was started with; the tests run once with each value. */
static void test_choice(void **state) {
    (void)state;
    const char *wish = getenv("INSULA_ISA");
    const struct kernels *best = kernels_for("scalar");
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        best = kernels_for(isas[i]) != NULL ? kernels_for(isas[i]) : best;
    }
    const struct kernels *wished = wish == NULL ? NULL : kernels_for(wish);
    assert_ptr_equal(kernels_get(), wished != NULL ? wished : best);
    assert_ptr_equal(kernels_get(), kernels_get());
    assert_null(kernels_for("sse9"));
    assert_null(kernels_for(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),    cmocka_unit_test(test_bias),
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_rows_are_like_pairs),
        cmocka_unit_test(test_odd_values), cmocka_unit_test(test_denormals),
        cmocka_unit_test(test_select),     cmocka_unit_test(test_select_kept),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
