/* Goal: halves and bytes are compared right by every instruction set.
 * Method: every length up to 4 * 32 + 1 and larger ones, rows at strides and anywhere, that end
 * right before a page without access; against sums in double, and exactly in 64 bits for bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/kernel.h"

#define GUARDED_BYTES (4u << 20)
#define PAGE_BYTES 4096u
#define ROWS 7u
#define DIM_MAX 65536u

static const char *const isas[] = {"scalar", "avx2", "avx512", "avx512vnni", "neon"};
static uint8_t *guarded[2]; /* GUARDED_BYTES each, then a page without access */
static uint64_t seed = 5;

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

static uint32_t next_random(void) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33);
}

static void *at_end(int which, size_t bytes) {
    assert_true(bytes <= GUARDED_BYTES);
    return guarded[which] + GUARDED_BYTES - bytes;
}

static size_t next_dim(size_t dim) {
    static const size_t large[] = {160, 255, 256, 384, 1000, 2047, 2049, 4099, 9973, DIM_MAX};
    if (dim <= 130) {
        return dim + 1;
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        if (large[i] > dim) {
            return large[i];
        }
    }
    return 0;
}

static void for_each_isa(void (*check)(const struct kernels *kernels)) {
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const struct kernels *kernels = kernels_for(isas[i]);
        if (kernels != NULL) {
            check(kernels);
        }
    }
}

/* ---- Halves ---- */

static void expect_half(enum kernel_metric metric, const float *query, const uint16_t *row,
                        size_t dim, float found) {
    double sum = 0, magnitude = 0;
    for (size_t i = 0; i < dim; i++) {
        float wide;
        kernel_floats_from_halves(row + i, 1, &wide);
        double l = (double)query[i], r = (double)wide;
        double term = metric == KERNEL_DOT  ? l * r
                      : metric == KERNEL_L2 ? (l - r) * (l - r)
                                            : fabs(l - r);
        sum += term;
        magnitude += fabs(term);
    }
    assert_true(fabs((double)found - sum) <= 1e-5 * magnitude + 1e-38);
}

static void check_halves(const struct kernels *kernels) {
    for (size_t dim = 1; dim != 0; dim = next_dim(dim)) {
        size_t rows = dim > 10000 ? 2 : ROWS, stride = dim + dim % 3;
        float *query = at_end(0, dim * sizeof(float)), out[ROWS + 1];
        uint16_t *halves = at_end(1, ((rows - 1) * stride + dim) * sizeof(uint16_t));
        const void *where[ROWS];
        for (size_t i = 0; i < dim; i++) {
            query[i] = (float)next_random() / 1e9f - 1.0f;
        }
        for (size_t i = 0; i < (rows - 1) * stride + dim; i++) {
            halves[i] = (uint16_t)(next_random() & 0xbfffu); /* finite, some denormal */
        }
        for (size_t i = 0; i < rows; i++) {
            where[i] = halves + (rows - 1 - i) * stride;
        }
        for (uint32_t m = 0; m < KERNEL_FLOAT_METRICS; m++) {
            out[rows] = 42;
            kernels->f16_rows[m](query, halves, stride, rows, dim, out);
            for (size_t i = 0; i < rows; i++) {
                expect_half((enum kernel_metric)m, query, halves + i * stride, dim, out[i]);
            }
            kernels->f16_gather[m](query, where, rows, dim, out);
            for (size_t i = 0; i < rows; i++) {
                expect_half((enum kernel_metric)m, query, where[i], dim, out[i]);
            }
            assert_true(out[rows] == 42.0f);
        }
    }
}

static void test_halves(void **state) {
    (void)state;
    for_each_isa(check_halves);
}

/* ---- Bytes ---- */

static void expect_bytes(enum kernel_metric metric, const uint8_t *query, const uint8_t *row,
                         size_t dim, float found) {
    uint64_t dot = 0, left = 0, right = 0, l1 = 0, l2 = 0;
    for (size_t i = 0; i < dim; i++) {
        int64_t l = query[i], r = row[i];
        dot += (uint64_t)(l * r);
        left += (uint64_t)(l * l);
        right += (uint64_t)(r * r);
        l2 += (uint64_t)((l - r) * (l - r));
        l1 += (uint64_t)(l < r ? r - l : l - r);
    }
    if (metric == KERNEL_COSINE) {
        double norms = sqrt((double)left * (double)right);
        double wanted = norms == 0 ? 0 : (double)dot / norms;
        assert_true(fabs((double)found - wanted) <= 1e-6);
        return;
    }
    uint64_t wanted = metric == KERNEL_DOT ? dot : metric == KERNEL_L2 ? l2 : l1;
    assert_true(found == (float)wanted);
}

static void check_bytes(const struct kernels *kernels) {
    for (size_t dim = 1; dim != 0; dim = next_dim(dim)) {
        size_t rows = dim > 10000 ? 3 : ROWS, stride = dim + dim % 3;
        uint8_t *query = at_end(0, dim), *bytes = at_end(1, (rows - 1) * stride + dim);
        const void *where[ROWS];
        float out[ROWS + 1];
        for (size_t i = 0; i < (rows - 1) * stride + dim; i++) {
            /* The first row is the largest there is, the second zero. */
            bytes[i] = i < dim ? 255 : i < stride + dim ? 0 : (uint8_t)next_random();
        }
        for (size_t i = 0; i < rows; i++) {
            where[i] = bytes + (rows - 1 - i) * stride;
        }
        for (int kind = 0; kind < 3; kind++) {
            for (size_t i = 0; i < dim; i++) {
                query[i] = kind == 0 ? (uint8_t)next_random() : kind == 1 ? 255 : 0;
            }
            for (uint32_t m = 0; m < KERNEL_METRICS; m++) {
                out[rows] = 42;
                kernels->u8_rows[m](query, bytes, stride, rows, dim, out);
                for (size_t i = 0; i < rows; i++) {
                    expect_bytes((enum kernel_metric)m, query, bytes + i * stride, dim, out[i]);
                }
                kernels->u8_gather[m](query, where, rows, dim, out);
                for (size_t i = 0; i < rows; i++) {
                    expect_bytes((enum kernel_metric)m, query, where[i], dim, out[i]);
                }
                assert_true(out[rows] == 42.0f);
            }
        }
    }
}

static void test_bytes(void **state) {
    (void)state; /* sums up to 65,536 * 255^2, which fit 32 bits and no sign */
    for_each_isa(check_bytes);
}

/* ---- Rounding ---- */

/* Goal: every half is widened exactly and comes back; between two neighbours the nearer one is
 * taken, of two equally near ones the even one. Method: all 65,536, their middles, and a step to
 * either side of each middle. */
static void test_rounding(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x7c00; bits++) {
        uint16_t half = (uint16_t)bits, next = (uint16_t)(bits + 1), back;
        float value, upper;
        kernel_floats_from_halves(&half, 1, &value);
        int exponent = bits < 0x400 ? 1 : (int)(bits >> 10);
        double exact = ldexp((double)(bits < 0x400 ? bits : (bits & 0x3ff) | 0x400), exponent - 25);
        assert_true((double)value == exact);
        kernel_halves_from_floats(&value, 1, &back);
        assert_int_equal(back, half);
        kernel_floats_from_halves(&next, 1, &upper);
        upper = next == 0x7c00 ? 65536.0f : upper; /* what comes behind the largest */
        float middle = (value + upper) / 2;
        kernel_halves_from_floats(&middle, 1, &back);
        assert_int_equal(back, bits % 2 == 0 ? half : next);
        float below = nextafterf(middle, 0), above = nextafterf(middle, INFINITY);
        kernel_halves_from_floats(&below, 1, &back);
        assert_int_equal(back, half);
        kernel_halves_from_floats(&above, 1, &back);
        assert_int_equal(back, next);
        value = -value;
        kernel_halves_from_floats(&value, 1, &back);
        assert_int_equal(back, half | 0x8000u);
    }
    static const float odd[] = {INFINITY, -INFINITY, 1e30f, NAN, 1e-30f};
    uint16_t out[5];
    float wide[5];
    kernel_halves_from_floats(odd, 5, out);
    kernel_floats_from_halves(out, 5, wide);
    assert_true(wide[0] == INFINITY);
    assert_true(wide[1] == -INFINITY);
    assert_true(wide[2] == INFINITY);
    assert_true(isnan(wide[3]));
    assert_true(wide[4] == 0.0f);
}

static void test_cutting(void **state) {
    (void)state; /* Goal: bytes are cut, not rounded, and end at 0 and 255. Method: by hand. */
    static const float in[] = {0, 0.99f, 1, 254.9f, 255, 256, 1e30f, -0.5f, -7, -1e30f};
    static const uint8_t wanted[] = {0, 0, 1, 254, 255, 255, 255, 0, 0, 0};
    uint8_t out[sizeof(wanted)];
    kernel_u8_from_f32(in, sizeof(wanted), out);
    assert_memory_equal(out, wanted, sizeof(wanted));
}

static void test_normalising(void **state) {
    (void)state; /* Goal: normalised halves are the rounded normalised floats. Method: random. */
    float in[100], floats[100];
    uint16_t halves[100], wanted[100];
    for (size_t i = 0; i < 100; i++) {
        in[i] = (float)next_random() / 1e6f - 1000.0f;
    }
    kernel_normalize_f32(in, 100, floats);
    kernel_halves_from_floats(floats, 100, wanted);
    kernel_normalize_f16(in, 100, halves);
    assert_memory_equal(halves, wanted, sizeof(wanted));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves),      cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_rounding),    cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_normalising),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
