/* Goal: kernels for compressed rows agree with the scalar reference on every instruction set.
 * Method: all code lengths up to 272 dimensions and some large ones, extreme values, buffers that
 * end right before a page without access; all 65,536 half floats; transforms against their
 * definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "kernel/codes.h"

#define GUARDED_BYTES (1u << 20)
#define PAGE_BYTES 4096u
#define CODES 7u

static const char *const isas[] = {"avx2", "avx512"};
static uint8_t *guarded;

static int setup(void **state) {
    (void)state;
    guarded = mmap(NULL, GUARDED_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return guarded == MAP_FAILED || mprotect(guarded + GUARDED_BYTES, PAGE_BYTES, PROT_NONE) != 0;
}

static int teardown(void **state) {
    (void)state;
    return munmap(guarded, GUARDED_BYTES + PAGE_BYTES);
}

static void *at_end(size_t size) {
    return guarded + GUARDED_BYTES - size;
}

static void check_codes(const struct code_kernels *set, uint32_t padded, uint32_t kind) {
    const struct code_kernels *reference = code_kernels_for("scalar");
    size_t bytes = padded / 2, slots = code4_slots(padded);
    uint8_t *all = at_end(bytes * CODES);
    int8_t *query = calloc(slots, 1);
    assert_non_null(query);
    const uint8_t *codes[CODES];
    for (uint32_t i = 0; i < CODES; i++) {
        codes[i] = all + i * bytes;
    }
    for (size_t i = 0; i < bytes * CODES; i++) {
        all[i] = kind == 0 ? (uint8_t)hash_u64(i) : 255;
    }
    for (uint32_t d = 0; d < padded; d++) {
        int8_t value = kind == 0 ? (int8_t)hash_u64(d + 77) : kind == 1 ? 127 : -128;
        query[code4_slot(padded, d)] = value;
    }
    for (uint32_t count = 1; count <= CODES; count++) {
        int32_t want[CODES], got[CODES];
        reference->code4_dots(query, codes, count, padded, want);
        set->code4_dots(query, codes + CODES - count, count, padded, got);
        reference->code4_dots(query, codes + CODES - count, count, padded, want);
        assert_memory_equal(want, got, count * sizeof(int32_t));
    }
    free(query);
}

static void test_code4(void **state) {
    (void)state;
    static const uint32_t large[] = {512, 784, 1024, 1040, 4096, 65536};
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const struct code_kernels *set = code_kernels_for(isas[i]);
        for (uint32_t kind = 0; kind < 3 && set != NULL; kind++) {
            for (uint32_t padded = 16; padded <= 272; padded += 16) {
                check_codes(set, padded, kind);
            }
            for (size_t j = 0; j < sizeof(large) / sizeof(large[0]); j++) {
                check_codes(set, large[j], kind);
            }
        }
    }
}

/* Goal: the layout is the one in the header. Method: one dimension after the other. */
static void test_layout(void **state) {
    (void)state;
    static const uint32_t sizes[] = {16, 112, 128, 208, 784};
    const struct code_kernels *set = code_kernels_get();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t padded = sizes[i];
        for (uint32_t d = 0; d < padded; d++) {
            uint8_t code[392] = {0};
            int8_t query[896] = {0};
            uint32_t block = d / 128 * 128, in = d % 128;
            uint32_t half = padded - block < 128 ? (padded - block) / 2 : 64;
            code[block / 2 + in % half] = (uint8_t)(in < half ? 9 : 9 << 4);
            query[code4_slot(padded, d)] = -3;
            const uint8_t *codes[1] = {code};
            int32_t sum;
            set->code4_dots(query, codes, 1, padded, &sum);
            assert_int_equal(sum, -27);
        }
    }
}

static void test_halves(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float value = kernel_f32_from_f16((uint16_t)half);
        uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
        if (exponent == 31 && fraction != 0) {
            assert_true(isnan(value));
            assert_true(isnan(kernel_f32_from_f16(kernel_f16_from_f32(value))));
            continue;
        }
        double want = exponent == 31  ? (double)INFINITY
                      : exponent == 0 ? fraction * 0x1p-24
                                      : (1024 + fraction) * ldexp(1, (int)exponent - 25);
        assert_true((double)value == (half >= 32768 ? -want : want));
        assert_int_equal(kernel_f16_from_f32(value), half);
        if (exponent < 30) { /* between two halves: to the nearer one, ties to even */
            float next = kernel_f32_from_f16((uint16_t)(half + 1));
            float middle = (value + next) / 2;
            assert_int_equal(kernel_f16_from_f32(middle), half + (half & 1));
            assert_int_equal(kernel_f16_from_f32(nextafterf(middle, value)), half);
            assert_int_equal(kernel_f16_from_f32(nextafterf(middle, next)), half + 1);
        }
    }
    assert_int_equal(kernel_f16_from_f32(65519.0f), 0x7bff);
    assert_int_equal(kernel_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(kernel_f16_from_f32(1e30f), 0x7c00);
}

static void check_row(const char *what, double want, float got, double scale) {
    if (fabs(want - (double)got) > 1e-5 * scale + 1e-30) {
        fail_msg("%s: %.9g instead of %.9g", what, (double)got, want);
    }
}

static void check_rows(const struct code_kernels *set, uint32_t dim) {
    uint16_t *halves = at_end(dim * sizeof(uint16_t));
    float *query = malloc(dim * sizeof(float));
    assert_non_null(query);
    double dot = 0, l2 = 0, sizes = 0;
    for (uint32_t i = 0; i < dim; i++) {
        query[i] = (float)(int32_t)(hash_u64(i) >> 40) / 65536.0f - 128.0f;
        halves[i] = kernel_f16_from_f32((float)(hash_u64(i + 5) % 2001) / 100.0f - 10.0f);
        double value = (double)kernel_f32_from_f16(halves[i]),
               difference = (double)query[i] - value;
        dot += (double)query[i] * value;
        l2 += difference * difference;
        sizes += fabs((double)query[i] * value);
    }
    check_row("dot_f16", dot, set->dot_f16(query, halves, dim), sizes);
    check_row("l2_f16", l2, set->l2_f16(query, halves, dim), l2);
    uint8_t *bytes = at_end(dim);
    dot = l2 = sizes = 0;
    for (uint32_t i = 0; i < dim; i++) {
        bytes[i] = (uint8_t)hash_u64(i + 9);
        double difference = (double)query[i] - bytes[i];
        dot += (double)query[i] * bytes[i];
        l2 += difference * difference;
        sizes += fabs((double)query[i] * bytes[i]);
    }
    check_row("dot_u8", dot, set->dot_u8(query, bytes, dim), sizes);
    check_row("l2_u8", l2, set->l2_u8(query, bytes, dim), l2);
    free(query);
}

static void test_rows(void **state) {
    (void)state;
    static const char *const all[] = {"scalar", "avx2", "avx512"};
    for (size_t i = 0; i < 3; i++) {
        const struct code_kernels *set = code_kernels_for(all[i]);
        for (uint32_t dim = 1; dim <= 130 && set != NULL; dim++) {
            check_rows(set, dim);
        }
        if (set != NULL) {
            check_rows(set, 784);
            check_rows(set, 1537);
            check_rows(set, 65536);
        }
    }
}

/* Goal: the transform is its matrix, and the same bits everywhere. Method: entries
 * (-1)^popcount(i & j), scaled; random values on every set. */
static void test_hadamard(void **state) {
    (void)state;
    const struct code_kernels *reference = code_kernels_for("scalar");
    for (uint32_t size = 1; size <= 64; size *= 2) {
        for (uint32_t j = 0; j < size; j++) {
            float values[64] = {0};
            values[j] = 1;
            reference->hadamard_f32(values, size);
            for (uint32_t i = 0; i < size; i++) {
                double want = (__builtin_popcount(i & j) % 2 == 0 ? 1 : -1) / sqrt(size);
                assert_true(fabs((double)values[i] - want) < 1e-6);
            }
        }
    }
    for (size_t s = 0; s < sizeof(isas) / sizeof(isas[0]); s++) {
        const struct code_kernels *set = code_kernels_for(isas[s]);
        for (uint32_t size = 1; size <= 4096 && set != NULL; size *= 2) {
            static float want[4096], got[4096];
            for (uint32_t i = 0; i < size; i++) {
                want[i] = got[i] = (float)(int64_t)hash_u64(i + size) * 1e-15f;
            }
            reference->hadamard_f32(want, size);
            set->hadamard_f32(got, size);
            assert_memory_equal(want, got, size * sizeof(float));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code4),    cmocka_unit_test(test_layout),
        cmocka_unit_test(test_halves),   cmocka_unit_test(test_rows),
        cmocka_unit_test(test_hadamard),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
