#include "index/code_list.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

#define WHOLE 65535.0f

/* The upper half of a float at or above `value`, or at or below it. */
static uint16_t half_above(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bool exact = (bits & 0xffff) == 0;
    return (uint16_t)((bits >> 16) + (value > 0 && !exact));
}

static uint16_t half_below(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bool exact = (bits & 0xffff) == 0;
    return (uint16_t)((bits >> 16) + (value < 0 && !exact));
}

static float float_of(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint16_t part_of(float value, float whole) {
    float part = whole > 0 ? value / whole * WHOLE + 0.5f : 0;
    return (uint16_t)(part < 0 ? 0 : part > WHOLE ? WHOLE : part);
}

/* |to - q|^2 - |from - q|^2 = |m|^2 - 2 <m, q - from>, m = to - from, and <m, v> is about |m|^2 /
 * sum |m_i| * sum of sign(m_i) * v_i: without bias over rotations. Of products -<m, q> alone. */
static void encode_one(const float *from, const float *to, uint32_t padded, bool dot, uint8_t *list,
                       uint32_t row, float *out_norm, float *out_scale) {
    struct code_list_sums sums = kernels_get()->code_list_add(from, to, padded, row, list);
    *out_scale = sums.sizes > 0 ? (dot ? 1 : 2) * sums.norm / sums.sizes : 0;
    *out_norm = dot ? 0 : sums.norm + *out_scale * sums.signs;
}

void code_list_encode(const float *from, const float *const *to, uint32_t count, uint32_t padded,
                      bool dot, uint8_t *list) {
    float norms[CODE_LIST_ROWS], scales[CODE_LIST_ROWS], least = 0, most = 0, scale_most = 0;
    uint16_t factors[CODE_LIST_FACTORS] = {0};
    INS_ASSERT(count <= CODE_LIST_ROWS);
    memset(list, 0, padded / 4 * 16);
    for (uint32_t i = 0; i < count; i++) {
        encode_one(from, to[i], padded, dot, list, i, &norms[i], &scales[i]);
        least = i == 0 || norms[i] < least ? norms[i] : least;
        most = i == 0 || norms[i] > most ? norms[i] : most;
        scale_most = scales[i] > scale_most ? scales[i] : scale_most;
    }
    uint16_t *norm_parts = factors, *scale_parts = factors + CODE_LIST_ROWS;
    uint16_t *wholes = scale_parts + CODE_LIST_ROWS;
    wholes[0] = half_below(least);
    least = float_of(wholes[0]);
    wholes[1] = half_above(most - least);
    wholes[2] = half_above(scale_most);
    for (uint32_t i = 0; i < count; i++) {
        norm_parts[i] = part_of(norms[i] - least, float_of(wholes[1]));
        scale_parts[i] = part_of(scales[i], float_of(wholes[2]));
    }
    memcpy(list + padded / 4 * 16, factors, sizeof(factors));
}

void code_list_query_make(const float *rotated, uint32_t padded, uint8_t *table,
                          struct code_list_query *out) {
    float widest = 0, offset = 0;
    for (uint32_t at = 0; at < padded; at += 4) {
        const float *v = rotated + at;
        float width = fabsf(v[0]) + fabsf(v[1]) + fabsf(v[2]) + fabsf(v[3]);
        widest = width > widest ? width : widest;
        offset -= width;
    }
    kernels_get()->code_list_table(rotated, padded, widest > 0 ? 255 / (2 * widest) : 0, table);
    *out = (struct code_list_query){.table = table, .step = 2 * widest / 255, .offset = offset};
}
