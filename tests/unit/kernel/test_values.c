/* Goal: normalising gives unit vectors of the same direction; what is not finite is found.
 * Method: comparison with double precision over lengths; one bad value at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/kernel.h"

static float values[70000], normal[70000];

static void fill(size_t count, float scale) {
    static uint64_t seed = 5;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        values[i] = ((float)(seed >> 40) / 16777216.0f - 0.5f) * scale;
    }
}

static void check_normal(size_t dim) {
    double norm = 0, length = 0;
    for (size_t i = 0; i < dim; i++) {
        norm += (double)values[i] * (double)values[i];
    }
    norm = sqrt(norm);
    kernel_normalize_f32(values, dim, normal);
    for (size_t i = 0; i < dim; i++) {
        double wanted = (double)values[i] / norm;
        assert_true(fabs((double)normal[i] - wanted) <= fabs(wanted) * 1.2e-7 + 1e-45);
        length += (double)normal[i] * (double)normal[i];
    }
    assert_true(fabs(length - 1) < 1e-6);
    kernel_normalize_f32(values, dim, values); /* in place */
    assert_memory_equal(values, normal, dim * sizeof(float));
}

/* Goal: unit length at any scale. Method: lengths 1 .. 70 and large; from denormal to huge. */
static void test_normalize(void **state) {
    (void)state;
    static const float scales[] = {1, 1e-20f, 1e30f, 3e38f};
    for (size_t s = 0; s < sizeof(scales) / sizeof(scales[0]); s++) {
        for (size_t dim = 1; dim <= 70; dim++) {
            fill(dim, scales[s]);
            check_normal(dim);
        }
        fill(65536, scales[s]);
        check_normal(65536);
    }
    values[0] = FLT_TRUE_MIN;
    kernel_normalize_f32(values, 1, normal);
    assert_true(normal[0] == 1.0f);
    values[0] = -FLT_MAX;
    kernel_normalize_f32(values, 1, normal);
    assert_true(normal[0] == -1.0f);
}

/* Goal: a zero vector stays what it is. Method: bytes; with minus zero inside. */
static void test_normalize_zero(void **state) {
    (void)state;
    static const float zeros[5] = {0.0f, -0.0f, 0.0f, 0.0f, -0.0f};
    memset(normal, 0x55, sizeof(zeros));
    kernel_normalize_f32(zeros, 5, normal);
    assert_memory_equal(normal, zeros, sizeof(zeros));
    kernel_normalize_f32(zeros, 0, normal);
}

/* Goal: the first bad position. Method: every place of every length, three kinds; a second later.
 */
static void test_all_finite(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t dim = 0; dim <= 200; dim++) {
        size_t at = 9999;
        fill(dim, 3e38f);
        assert_int_equal(kernel_all_finite_f32(values, dim, &at), 1);
        assert_int_equal(at, 9999);
        for (size_t place = 0; place < dim; place++) {
            float kept = values[place], last = values[dim - 1];
            values[dim - 1] = NAN;
            values[place] = bad[place % 3];
            assert_int_equal(kernel_all_finite_f32(values, dim, &at), 0);
            assert_int_equal(at, place);
            values[dim - 1] = last;
            values[place] = kept;
        }
    }
    values[0] = FLT_MAX;
    values[1] = FLT_TRUE_MIN;
    values[2] = -0.0f;
    size_t at;
    assert_int_equal(kernel_all_finite_f32(values, 3, &at), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_normalize_zero),
        cmocka_unit_test(test_all_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
