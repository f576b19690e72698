/* The reference: what the other sets must agree with. */
#include "kernel/code_list.h"
#include "kernel/code_list_add.h"
#include "kernel/code_rest.h"
#include "kernel/hadamard.h"
#include "kernel/kernel_private.h"

static int32_t code4_dot(const int8_t *query, const uint8_t *code, size_t padded) {
    int32_t sum = 0;
    for (size_t at = 0; at < padded; at += 128) {
        size_t half = padded - at < 128 ? (padded - at) / 2 : 64;
        for (size_t j = 0; j < half; j++) {
            uint8_t byte = code[at / 2 + j];
            sum += query[at + j] * (byte & 15) + query[at + 64 + j] * (byte >> 4);
        }
    }
    return sum;
}

void kernel_code4_dots_scalar(const int8_t *query, const uint8_t *const *codes, size_t count,
                              size_t padded, int32_t *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = code4_dot(query, codes[i], padded);
    }
}

void kernel_code1_bounds_scalar(const struct code1_query *query, const void *blocks,
                                size_t block_count, size_t words, float *out) {
    const uint8_t *block = blocks;
    for (size_t b = 0; b < block_count; b++, block += code1_block_bytes(words)) {
        const float *factors = (const float *)(const void *)(block + CODE1_ROWS * words * 8);
        for (size_t row = 0; row < CODE1_ROWS; row++) {
            int sum = 0;
            for (size_t w = 0; w < words; w++) {
                const uint64_t *planes = query->planes + CODE1_PLANES * w;
                uint64_t bits = ((const uint64_t *)(const void *)block)[CODE1_ROWS * w + row];
                sum += __builtin_popcountll(bits & planes[0]) +
                       2 * __builtin_popcountll(bits & planes[1]) +
                       4 * __builtin_popcountll(bits & planes[2]) -
                       8 * __builtin_popcountll(bits & planes[3]);
            }
            float product = query->step * (float)sum + query->offset;
            out[CODE1_ROWS * b + row] = factors[row] + factors[CODE1_ROWS + row] * product -
                                        factors[2 * CODE1_ROWS + row] * query->slack;
        }
    }
}

void kernel_code_list_scalar(const struct code_list_query *query, const void *list, size_t padded,
                             float *out) {
    const uint8_t *codes = list;
    uint32_t sums[CODE_LIST_ROWS] = {0};
    for (size_t group = 0; group < padded / 4; group++, codes += 16) {
        const uint8_t *table = query->table + group * 16;
        for (uint32_t j = 0; j < 16; j++) {
            sums[j] += table[codes[j] & 15];
            sums[16 + j] += table[codes[j] >> 4];
        }
    }
    list_finish(query, codes, sums, out);
}

void kernel_list_table_scalar(const float *query, size_t padded, float inverse, uint8_t *table) {
    list_table(query, padded, inverse, table);
}

float kernel_rest_dot_scalar(const float *query, const uint8_t *code, const void *rest,
                             size_t padded) {
    return rest_sum(query, code, rest, padded, false);
}

float kernel_rest_l2_scalar(const float *query, const uint8_t *code, const void *rest,
                            size_t padded) {
    return rest_sum(query, code, rest, padded, true);
}

void kernel_rest_values_scalar(const uint8_t *code, const void *rest, size_t padded, float *out) {
    rest_decode(code, rest, padded, out);
}

struct code_list_sums kernel_list_add_scalar(const float *from, const float *to, size_t padded,
                                             uint32_t row, uint8_t *list) {
    return list_add(from, to, padded, row, list);
}

void kernel_hadamard_f32_scalar(float *values, size_t size) {
    hadamard(values, size);
}
