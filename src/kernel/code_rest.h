/* Distances to rows by their codes and what rounding left (codes.h), compiled for each instruction
 * set by the file that includes it: eight dimensions at a time, in the compiler's vectors. */
#ifndef INS_KERNEL_CODE_REST_H
#define INS_KERNEL_CODE_REST_H

#include <stdbool.h>

#include "kernel/kernel_private.h"

typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef float floats8 __attribute__((vector_size(32)));

#define REST_KEPT 7168.0f /* values farther from 0 are stretched */
#define REST_INLINE static inline __attribute__((always_inline))

/* Of eight dimensions the values; `shift` is 0 or 4, which half of the code's bytes. */
REST_INLINE void rest_values(const uint8_t *code, int shift, const uint8_t *high,
                             const uint8_t *low, const struct code_rest *scale, floats8 *out) {
    const ints8 none = {0}, shifts = {0, 2, 4, 6, 8, 10, 12, 14};
    bytes8 levels, rests;
    uint16_t pairs;
    memcpy(&levels, code, sizeof(levels));
    memcpy(&rests, high, sizeof(rests));
    memcpy(&pairs, low, sizeof(pairs));
    ints8 level = __builtin_convertvector(levels, ints8) >> shift & 15;
    ints8 rest = __builtin_convertvector(rests, ints8) << 2 | ((none + pairs) >> shifts & 3);
    floats8 value = __builtin_convertvector((level << 10 | rest) - 8192, floats8) + 0.5f;
    floats8 above = value - REST_KEPT, below = value + REST_KEPT; /* masks are all ones or zeros */
    floats8 beyond = (floats8)(((ints8)above & (above > 0)) | ((ints8)below & (below < 0)));
    *out = value * scale->step + beyond * scale->reach;
}

/* Adds what they give to `sums`. */
REST_INLINE void rest_add(const float *query, const floats8 *values, bool l2, floats8 *sums) {
    floats8 from, value = *values;
    memcpy(&from, query, sizeof(from));
    if (l2) {
        value -= from;
        *sums += value * value;
    } else {
        *sums += value * from;
    }
}

REST_INLINE float rest_sum(const float *query, const uint8_t *code, const void *row, size_t padded,
                           bool l2) {
    struct code_rest scale;
    memcpy(&scale, row, sizeof(scale));
    const uint8_t *high = (const uint8_t *)row + sizeof(scale), *low = high + padded;
    double total = 0;
    for (size_t at = 0; at < padded; at += 128) {
        size_t half = padded - at < 128 ? (padded - at) / 2 : 64;
        floats8 left = {0}, right = {0};
        for (size_t j = 0; j < half; j += 8) {
            size_t a = at + j, b = a + half;
            const uint8_t *levels = code + at / 2 + j;
            floats8 first, second;
            rest_values(levels, 0, high + a, low + a / 4, &scale, &first);
            rest_values(levels, 4, high + b, low + b / 4, &scale, &second);
            rest_add(query + a, &first, l2, &left);
            rest_add(query + b, &second, l2, &right);
        }
        left += right;
        total += (double)(((left[0] + left[1]) + (left[2] + left[3])) +
                          ((left[4] + left[5]) + (left[6] + left[7])));
    }
    return (float)total;
}

REST_INLINE void rest_decode(const uint8_t *code, const void *row, size_t padded, float *out) {
    struct code_rest scale;
    memcpy(&scale, row, sizeof(scale));
    const uint8_t *high = (const uint8_t *)row + sizeof(scale), *low = high + padded;
    for (size_t at = 0; at < padded; at += 128) {
        size_t half = padded - at < 128 ? (padded - at) / 2 : 64;
        for (size_t j = 0; j < half; j += 8) {
            size_t a = at + j, b = a + half;
            const uint8_t *levels = code + at / 2 + j;
            floats8 left, right;
            rest_values(levels, 0, high + a, low + a / 4, &scale, &left);
            rest_values(levels, 4, high + b, low + b / 4, &scale, &right);
            memcpy(out + a, &left, sizeof(left));
            memcpy(out + b, &right, sizeof(right));
        }
    }
}

#endif
