#include "index/code4_bound.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"

#define MIDDLE 7.5
/* A query is rounded to 8 bits. That adds to the error what is, by squares, less than so much of
 * the row's length: its largest value is some 3.5 times the root mean square. */
#define ROUNDED 6e-5

static double levels_square(const uint8_t *code, uint32_t padded) {
    double sum = 0;
    for (uint32_t i = 0; i < padded / 2; i++) {
        double low = (code[i] & 15) - MIDDLE, high = (code[i] >> 4) - MIDDLE;
        sum += low * low + high * high;
    }
    return sum;
}

void code4_bound_encode(const float *rotated, uint32_t padded, enum index_metric metric,
                        void *row) {
    struct code_factors own;
    struct code4_bound bound = {.norm = -FLT_MAX};
    uint8_t *code = row;
    double norm = 0, times = metric == INDEX_L2 ? 2 : 1;
    for (uint32_t i = 0; i < padded; i++) {
        norm += (double)rotated[i] * (double)rotated[i];
    }
    if (norm <= (double)CODE1_NORM_MAX) {
        (void)code4_encode(rotated, padded, code, &own);
        /* What the levels, so scaled, have beside the row's own direction. */
        double scale = (double)own.scale, square = levels_square(code, padded);
        double aside = fmax(0, scale * scale * square - norm) + ROUNDED * norm;
        bound.norm = metric == INDEX_L2 ? (float)norm : 0;
        bound.scale = (float)(-times * scale);
        bound.error = (float)(times * sqrt(aside / (padded > 1 ? padded - 1 : 1)));
    } else {
        memset(code, 0, padded / 2);
    }
    memcpy(code + padded / 2, &bound, sizeof(bound));
}

void code4_bound_query_make(const float *rotated, uint32_t padded, float certainty, int8_t *values,
                            struct code4_bound_query *out) {
    double norm = 0;
    for (uint32_t i = 0; i < padded; i++) {
        norm += (double)rotated[i] * (double)rotated[i];
    }
    *out =
        (struct code4_bound_query){.query.values = values, .slack = certainty * (float)sqrt(norm)};
    code_query_make(rotated, padded, &out->query);
}

void code4_bounds(const struct kernels *kernels, const struct code4_bound_query *query,
                  const uint8_t *const *rows, uint32_t count, uint32_t padded, float *out) {
    int32_t sums[CODE4_BOUND_ROWS];
    INS_ASSERT(count <= CODE4_BOUND_ROWS);
    kernels->code4_dots(query->query.values, rows, count, padded, sums);
    for (uint32_t i = 0; i < count; i++) {
        struct code4_bound bound;
        memcpy(&bound, rows[i] + padded / 2, sizeof(bound));
        float product = query->query.step * (float)sums[i] + query->query.offset;
        out[i] = bound.norm + bound.scale * product - bound.error * query->slack;
    }
}
