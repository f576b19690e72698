/* What is left of the kernels for codes of lists when the sums are there: the same on every
 * instruction set. */
#ifndef INS_KERNEL_CODE_LIST_H
#define INS_KERNEL_CODE_LIST_H

#include <math.h>

#include "kernel/kernel_private.h"

#define LIST_PART 256u /* groups of 4 dimensions whose sums fit 16 bits */

static inline float upper_half(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* `factors`: behind the codes. */
static inline void list_finish(const struct code_list_query *query, const uint8_t *factors,
                               const uint32_t sums[CODE_LIST_ROWS], float *out) {
    uint16_t values[CODE_LIST_FACTORS];
    memcpy(values, factors, sizeof(values));
    const uint16_t *norms = values, *scales = values + CODE_LIST_ROWS;
    const uint16_t *wholes = scales + CODE_LIST_ROWS;
    float least = upper_half(wholes[0]), norm = upper_half(wholes[1]) / 65535;
    float scale = upper_half(wholes[2]) / 65535, step = query->step, offset = query->offset;
    for (uint32_t i = 0; i < CODE_LIST_ROWS; i++) {
        float product = step * (float)(int32_t)sums[i] + offset;
        out[i] = least + norm * (float)norms[i] - scale * (float)scales[i] * product;
    }
}

/* Sums of four values by the signs of the bits of i. */
static const float list_signs[4][16] = {
    {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1},
    {-1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1},
    {-1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1},
    {-1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1},
};

/* In loops over 16, which become vectors. */
static inline void list_table(const float *values, size_t padded, float inverse, uint8_t *table) {
    for (size_t at = 0; at < padded; at += 4, table += 16) {
        float a = values[at], b = values[at + 1], c = values[at + 2], d = values[at + 3];
        float least = fabsf(a) + fabsf(b) + fabsf(c) + fabsf(d);
        int32_t steps[16];
        for (uint32_t i = 0; i < 16; i++) {
            float sum = a * list_signs[0][i] + b * list_signs[1][i] + c * list_signs[2][i] +
                        d * list_signs[3][i];
            steps[i] = (int32_t)((sum + least) * inverse + 0.5f);
        }
        for (uint32_t i = 0; i < 16; i++) {
            table[i] = (uint8_t)(steps[i] > 255 ? 255 : steps[i] < 0 ? 0 : steps[i]);
        }
    }
}

#endif
