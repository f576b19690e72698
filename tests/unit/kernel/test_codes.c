/* Goal: kernels for compressed rows agree with the scalar reference on every instruction set.
 * Method: all code lengths up to 272 dimensions and some large ones, extreme values, buffers that
 * end right before a page without access; transforms against their definition. */
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
#include "kernel/kernel.h"

#define GUARDED_BYTES (1u << 20)
#define PAGE_BYTES 4096u
#define CODES 7u

static const char *const isas[] = {"avx2", "avx512", "avx512vnni", "neon"};
static const char *const all_isas[] = {"scalar", "avx2", "avx512", "avx512vnni", "neon"};
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

static void check_codes(const struct kernels *set, uint32_t padded, uint32_t kind) {
    const struct kernels *reference = kernels_for("scalar");
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
        const struct kernels *set = kernels_for(isas[i]);
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
    const struct kernels *set = kernels_get();
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

static float upper_half(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void check_list(const struct kernels *set, uint32_t padded) {
    size_t bytes = code_list_bytes(padded), groups = padded / 4;
    uint8_t *list = at_end(bytes), *table = guarded;
    uint16_t factors[CODE_LIST_FACTORS];
    float out[CODE_LIST_ROWS];
    for (size_t i = 0; i < groups * 16; i++) {
        list[i] = (uint8_t)hash_u64(i);
        table[i] = padded % 32 == 0 ? 255 : (uint8_t)hash_u64(i + 7); /* sums at their most */
    }
    for (uint32_t i = 0; i < CODE_LIST_FACTORS; i++) {
        factors[i] = (uint16_t)hash_u64(i + 70);
    }
    uint16_t *wholes = factors + 2 * CODE_LIST_ROWS;
    wholes[0] = 0xc0a0; /* -5 */
    wholes[1] = 0x4120; /* 10 */
    wholes[2] = 0x3f80; /* 1 */
    memcpy(list + groups * 16, factors, sizeof(factors));
    struct code_list_query query = {.table = table, .step = 0.25f, .offset = -3};
    set->code_list(&query, list, padded, out);
    for (uint32_t row = 0; row < CODE_LIST_ROWS; row++) {
        uint64_t sum = 0;
        for (size_t g = 0; g < groups; g++) {
            uint8_t both = list[g * 16 + row % 16];
            sum += table[g * 16 + (row < 16 ? both & 15 : both >> 4)];
        }
        double product = 0.25 * (double)sum - 3;
        double scale = (double)upper_half(wholes[2]) * factors[CODE_LIST_ROWS + row] / 65535;
        double want = -5 + 10.0 * factors[row] / 65535 - scale * product;
        if (fabs((double)out[row] - want) > 1e-5 * (15 + fabs(scale * product))) {
            fail_msg("%s, %u dimensions, row %u: %f, not %f", set->isa, padded, row,
                     (double)out[row], want);
        }
    }
}

/* Goal: the table is the sums of the header. Method: each in double, to half a step and a bit. */
static void check_table(const struct kernels *set, uint32_t padded) {
    float *query = calloc(padded, sizeof(float));
    uint8_t *table = at_end(4ul * padded);
    assert_non_null(query);
    for (uint32_t d = 0; d < padded; d++) {
        query[d] = (float)(int64_t)hash_u64(d + 5) * 0x1p-63f;
    }
    set->code_list_table(query, padded, 255.0f / 8, table);
    for (uint32_t at = 0; at < padded; at += 4) {
        for (uint32_t i = 0; i < 16; i++) {
            double sum = 0, least = 0;
            for (uint32_t d = 0; d < 4; d++) {
                double value = (double)query[at + d];
                sum += (i >> d & 1) != 0 ? value : -value;
                least -= fabs(value);
            }
            assert_true(fabs((sum - least) * 255 / 8 - table[at * 4 + i]) < 0.501);
        }
    }
    free(query);
}

/* Goal: signs stand where the header says, and the sums are those of the signs. Method: rows in
 * both halves of a list that holds others already, which stay; sums in double. */
static void check_add(const struct kernels *set, uint32_t padded) {
    float *from = malloc(2 * padded * sizeof(float)), *to = from + padded;
    uint8_t *list = at_end(padded / 4 * 16);
    assert_non_null(from);
    for (uint32_t d = 0; d < 2 * padded; d++) {
        from[d] = (float)(int64_t)hash_u64(d + 9) * 0x1p-63f;
    }
    to[0] = from[0]; /* what does not move has the bit 0 */
    memset(list, 0, padded / 4 * 16);
    for (uint32_t row = 3; row < CODE_LIST_ROWS; row += 16) {
        struct code_list_sums got = set->code_list_add(from, to, padded, row, list);
        double norm = 0, sizes = 0, signs = 0;
        for (uint32_t d = 0; d < padded; d++) {
            double moved = (double)to[d] - (double)from[d];
            uint8_t both = list[d / 4 * 16 + row % 16], bits = row < 16 ? both & 15 : both >> 4;
            assert_int_equal(bits >> d % 4 & 1, moved > 0);
            norm += moved * moved;
            sizes += fabs(moved);
            signs += moved > 0 ? (double)from[d] : -(double)from[d];
        }
        assert_true(fabs((double)got.norm - norm) <= 1e-5 * norm);
        assert_true(fabs((double)got.sizes - sizes) <= 1e-5 * sizes);
        assert_true(fabs((double)got.signs - signs) <= 1e-5 * sizes);
    }
    for (uint32_t i = 0; i < padded / 4 * 16; i++) {
        assert_true(i % 16 == 3 || list[i] == 0);
    }
    free(from);
}

static void test_list(void **state) {
    (void)state;
    static const uint32_t large[] = {512, 784, 1024, 1040, 2080, 65536};
    for (size_t i = 0; i < sizeof(all_isas) / sizeof(all_isas[0]); i++) {
        const struct kernels *set = kernels_for(all_isas[i]);
        for (uint32_t padded = 16; padded <= 272 && set != NULL; padded += 16) {
            check_list(set, padded);
            check_table(set, padded);
            check_add(set, padded);
        }
        for (size_t j = 0; j < sizeof(large) / sizeof(large[0]) && set != NULL; j++) {
            check_list(set, large[j]);
            check_table(set, large[j]);
            check_add(set, large[j]);
        }
    }
}

/* The value that code and rest give dimension d, as the header says it. */
static double rest_value(const uint8_t *code, const uint8_t *rest, uint32_t padded, uint32_t d) {
    uint32_t block = d / 128 * 128, in = d % 128;
    uint32_t half = padded - block < 128 ? (padded - block) / 2 : 64;
    uint32_t level = in < half ? code[block / 2 + in] & 15 : code[block / 2 + in - half] >> 4;
    const uint8_t *high = rest + sizeof(struct code_rest), *low = high + padded;
    double x = 1024.0 * level + (high[d] << 2 | (low[d / 4] >> d % 4 * 2 & 3)) - 8191.5;
    double beyond = fabs(x) > 7168 ? copysign(fabs(x) - 7168, x) : 0;
    struct code_rest scale;
    memcpy(&scale, rest, sizeof(scale));
    return (double)scale.step * x + (double)scale.reach * beyond;
}

static void check_rest(const struct kernels *set, uint32_t padded) {
    size_t bytes = code_rest_bytes(padded);
    uint8_t *rest = at_end(bytes), *code = guarded;
    float *query = calloc(padded, sizeof(float));
    assert_non_null(query);
    for (uint32_t d = 0; d < padded; d++) {
        query[d] = (float)(int64_t)hash_u64(d + 5) * 0x1p-63f;
        code[d / 2] = (uint8_t)hash_u64(d);
    }
    for (size_t i = 0; i < bytes; i++) {
        rest[i] = (uint8_t)hash_u64(i + 99);
    }
    memcpy(rest, &(struct code_rest){.step = 1e-4f, .reach = 3e-4f}, sizeof(struct code_rest));
    double dot = 0, l2 = 0, size = 0;
    float *values = malloc(padded * sizeof(float));
    assert_non_null(values);
    set->code_rest_values(code, rest, padded, values);
    for (uint32_t d = 0; d < padded; d++) {
        double value = rest_value(code, rest, padded, d), from = (double)query[d];
        assert_true(fabs((double)values[d] - value) <= 1e-6 * fabs(value));
        dot += value * from;
        size += fabs(value * from);
        l2 += (value - from) * (value - from);
    }
    double got = (double)set->code_rest[KERNEL_DOT](query, code, rest, padded);
    assert_true(fabs(got - dot) <= 1e-5 * size);
    got = (double)set->code_rest[KERNEL_L2](query, code, rest, padded);
    assert_true(fabs(got - l2) <= 1e-5 * l2);
    free(values);
    free(query);
}

static void test_rest(void **state) {
    (void)state;
    static const uint32_t large[] = {512, 784, 1040, 65536};
    for (size_t i = 0; i < sizeof(all_isas) / sizeof(all_isas[0]); i++) {
        const struct kernels *set = kernels_for(all_isas[i]);
        for (uint32_t padded = 16; padded <= 272 && set != NULL; padded += 16) {
            check_rest(set, padded);
        }
        for (size_t j = 0; j < sizeof(large) / sizeof(large[0]) && set != NULL; j++) {
            check_rest(set, large[j]);
        }
    }
}

/* A block of rows with all factors, and what its bounds should be, in double. */
#define BLOCKS 3u

static void check_code1(const struct kernels *set, uint32_t words, uint32_t kind) {
    size_t bytes = code1_block_bytes(words);
    uint8_t *blocks = at_end(bytes * BLOCKS);
    uint64_t *planes = malloc(words * CODE1_PLANES * sizeof(uint64_t));
    float *out = aligned_alloc(64, BLOCKS * CODE1_ROWS * sizeof(float));
    assert_non_null(planes);
    assert_non_null(out);
    for (uint32_t i = 0; i < words * CODE1_PLANES; i++) {
        planes[i] = i % CODE1_PLANES == 0 && kind == 3 ? 0
                    : kind % 3 == 0                    ? hash_u64(i + 3)
                    : kind == 1                        ? ~0ull
                    : i % 4 == 3                       ? ~0ull
                                                       : 0;
    }
    struct code1_query query = {
        .planes = planes, .first_plane = kind == 3, .step = 0.37f, .offset = -11.5f, .slack = 1.9f};
    for (uint32_t b = 0; b < BLOCKS; b++) {
        uint64_t *bits = (uint64_t *)(void *)(blocks + b * bytes);
        float *factors = (float *)(void *)(bits + (size_t)CODE1_ROWS * words);
        for (uint32_t i = 0; i < CODE1_ROWS * words; i++) {
            bits[i] = kind % 3 == 0 ? hash_u64(i * 7 + b) : ~0ull;
        }
        for (uint32_t i = 0; i < CODE1_ROWS * CODE1_FACTORS; i++) {
            factors[i] = (float)(hash_u64(i + b) % 1000) / 100.0f;
        }
    }
    set->code1_bounds(&query, blocks, BLOCKS, words, out);
    for (uint32_t row = 0; row < BLOCKS * CODE1_ROWS; row++) {
        const uint64_t *bits = (const uint64_t *)(void *)(blocks + row / CODE1_ROWS * bytes);
        const float *factors = (const float *)(bits + (size_t)CODE1_ROWS * words);
        uint32_t in = row % CODE1_ROWS;
        int64_t sum = 0;
        for (uint32_t d = 0; d < words * 64; d++) {
            const uint64_t *of = planes + (size_t)CODE1_PLANES * (d / 64);
            for (uint32_t p = 0; p < CODE1_PLANES; p++) {
                uint64_t both = bits[CODE1_ROWS * (d / 64) + in] & of[p];
                sum += (both >> d % 64 & 1) != 0 ? (p == 3 ? -8 : 1 << p) : 0;
            }
        }
        double product = 0.37 * (double)sum - 11.5;
        double scaled = (double)factors[CODE1_ROWS + in] * product;
        double want = (double)factors[in] + scaled - (double)factors[2 * CODE1_ROWS + in] * 1.9;
        if (fabs((double)out[row] - want) > 1e-5 * (fabs(scaled) + 50)) {
            fail_msg("%s, %u words, row %u: %f, not %f", set->isa, words, row, (double)out[row],
                     want);
        }
    }
    free(planes);
    free(out);
}

static void test_code1(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 13, 64, 1024};
    for (size_t i = 0; i < sizeof(all_isas) / sizeof(all_isas[0]); i++) {
        const struct kernels *set = kernels_for(all_isas[i]);
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]) && set != NULL; j++) {
            for (uint32_t kind = 0; kind < 4; kind++) {
                check_code1(set, sizes[j], kind);
            }
        }
    }
}

/* Goal: the transform is its matrix, and the same bits everywhere. Method: entries
 * (-1)^popcount(i & j), scaled; random values on every set. */
static void test_hadamard(void **state) {
    (void)state;
    const struct kernels *reference = kernels_for("scalar");
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
        const struct kernels *set = kernels_for(isas[s]);
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
        cmocka_unit_test(test_code4), cmocka_unit_test(test_layout),
        cmocka_unit_test(test_rest),  cmocka_unit_test(test_list),
        cmocka_unit_test(test_code1), cmocka_unit_test(test_hadamard),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
