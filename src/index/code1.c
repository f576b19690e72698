#include "index/code1.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"

/* A query is rounded to -7 .. 7, or from COARSE_DIM on to the even ones of -6 .. 6: three planes of
 * bits are read instead of four, and where rows are long their bounds are tight enough for that.
 * The steps are the best ones for a normal distribution (Max, "Quantizing for minimum distortion"),
 * as parts of the root mean square. */
#define COARSE_DIM 512u
#define STEP_FINE 0.35
#define STEP_COARSE 0.65
/* Rounding the query costs as much as rounding the row does, by squares of what is lost: the row's
 * signs lose 0.57 of 1.57 parts, of the mean row. */
#define ROUNDED_WEIGHT (1.57 / 0.57)
#define FEW_PARTS 12u /* where one row in so many is allowed a quarter of the blocks has none */

void code1_encode(const float *rotated, uint32_t padded, enum index_metric metric, void *block,
                  uint32_t row) {
    INS_ASSERT(row < CODE1_ROWS);
    size_t words = code1_words(padded);
    uint64_t *bits = block;
    float *factors = (float *)(void *)(bits + CODE1_ROWS * words);
    double norm = 0, sizes = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t word = 0;
        for (uint32_t d = (uint32_t)w * 64; d < padded && d < w * 64 + 64; d++) {
            double value = (double)rotated[d];
            word |= (uint64_t)(value > 0) << (d % 64);
            norm += value * value;
            sizes += fabs(value);
        }
        bits[CODE1_ROWS * w + row] = word;
    }
    if (!(norm <= (double)CODE1_NORM_MAX)) {
        factors[row] = -FLT_MAX;
        factors[CODE1_ROWS + row] = 0;
        factors[2 * CODE1_ROWS + row] = 0;
        return;
    }
    double scale = sizes > 0 ? norm / sizes : 0;
    /* What the signs, so scaled, have beside the row's own direction; it meets the query at a
     * random angle. */
    double aside = scale * scale * padded - norm;
    double deviation = padded > 1 && aside > 0 ? sqrt(aside / (padded - 1)) : 0;
    double times = metric == INDEX_L2 ? 2 : 1; /* |r - q|^2 = |r|^2 - 2 <r, q> + |q|^2 */
    factors[row] = metric == INDEX_L2 ? (float)norm : 0;
    factors[CODE1_ROWS + row] = (float)(-times * scale);
    factors[2 * CODE1_ROWS + row] = (float)(times * deviation);
}

static int32_t level_of(float value, float inverse, int32_t most) {
    float scaled = value * inverse;
    int32_t level = (int32_t)(scaled + (scaled < 0 ? -0.5f : 0.5f));
    return level < -most ? -most : level > most ? most : level;
}

/* The sum of signs times values is twice that of the values at the bits less that of all. */
void code1_query_make(const float *rotated, uint32_t padded, float certainty, uint64_t *planes,
                      struct code1_query *out) {
    bool coarse = padded >= COARSE_DIM;
    int32_t unit = coarse ? 2 : 1, most = coarse ? 3 : 7, all = 0;
    double norm = 0, product = 0, square = 0;
    for (uint32_t d = 0; d < padded; d++) {
        norm += (double)rotated[d] * (double)rotated[d];
    }
    float step = (float)((coarse ? STEP_COARSE : STEP_FINE) * sqrt(norm / padded));
    float inverse = step > 0 ? 1 / step : 0;
    memset(planes, 0, CODE1_PLANES * code1_words(padded) * sizeof(*planes));
    for (uint32_t d = 0; d < padded; d++) {
        int32_t level = level_of(rotated[d], inverse, most);
        uint64_t *of = planes + (size_t)CODE1_PLANES * (d / 64);
        product += (double)rotated[d] * level;
        square += (double)level * level;
        level *= unit;
        for (uint32_t p = 0; p < CODE1_PLANES; p++) { /* two's complement */
            of[p] |= (uint64_t)((uint32_t)level >> p & 1) << (d % 64);
        }
        all += level;
    }
    /* Cutting the ends off makes the query shorter along itself; this gives it its length back. */
    double inflated = product > 0 ? norm / product : 0;
    double lost = fmax(0, square * inflated * inflated - norm);
    step = (float)(inflated / unit);
    *out = (struct code1_query){.planes = planes,
                                .first_plane = coarse ? 1 : 0,
                                .step = 2 * step,
                                .offset = -step * (float)all,
                                .slack = certainty * (float)sqrt(norm + ROUNDED_WEIGHT * lost)};
}

static bool any_allowed(const uint64_t *allowed, uint32_t row) {
    return (allowed[row / 64] >> (row % 64) & 0xffff) != 0;
}

/* Whether enough blocks can be left out to pay for asking, which is often foretold wrongly. */
static bool are_few(const uint64_t *allowed, uint32_t first, uint32_t rows) {
    uint32_t count = 0;
    for (uint32_t word = first / 64; word <= (first + rows - 1) / 64; word++) {
        count += (uint32_t)__builtin_popcountll(allowed[word]);
    }
    return count * FEW_PARTS <= rows;
}

void code1_bounds_allowed(const struct kernels *kernels, const struct code1_query *query,
                          const void *blocks, uint32_t block_count, size_t words,
                          const uint64_t *allowed, uint32_t first, float *out) {
    INS_ASSERT(first % CODE1_ROWS == 0);
    if (allowed == NULL || block_count == 0 || !are_few(allowed, first, block_count * CODE1_ROWS)) {
        kernels->code1_bounds(query, blocks, block_count, words, out);
        return;
    }
    size_t stride = code1_block_bytes(words);
    for (uint32_t block = 0; block < block_count; block++) {
        uint32_t row = block * CODE1_ROWS;
        if (any_allowed(allowed, first + row)) {
            kernels->code1_bounds(query, (const char *)blocks + block * stride, 1, words,
                                  out + row);
        }
    }
}
