/* Rotated 4-bit codes of rows: short, made without training, with an unbiased estimate of
 * distances.
 *
 * A row is moved by the centre, turned by a random rotation (which spreads its energy over all
 * dimensions, so one grid fits every dimension whatever the data), and rounded to 16 levels a
 * dimension at the scale that keeps its direction best. Factors of the row make the estimate
 * unbiased and keep its norm.
 * Source: Gao, Long, "RaBitQ" (SIGMOD 2024), and Gao et al., "Practical and Asymptotically Optimal
 * Quantization of High-Dimensional Vectors" (SIGMOD 2025); the rotation by Hadamard transforms
 * after Ailon, Chazelle, "Fast Johnson-Lindenstrauss Transform".
 * Threads: any; a rotation is read-only once made. */
#ifndef INS_INDEX_CODES_H
#define INS_INDEX_CODES_H

#include "kernel/kernel.h"

#define ROTATION_ROUNDS 4u
#define ROTATION_DIM_MAX 65536u

/* Codes have whole 16 dimensions; the added ones are zero before the rotation. */
static inline uint32_t padded_dim(uint32_t dim) {
    return (dim + 15) / 16 * 16;
}

/* An orthogonal map, a function of (dim, seed) alone: rounds of signs and Hadamard transforms. */
struct rotation {
    uint32_t dim, padded;
    uint32_t block; /* the largest power of two <= padded */
    const struct kernels *kernels;
    const float *signs; /* [ROTATION_ROUNDS][padded], 1 or -1 */
};

static inline uint32_t rotation_signs(uint32_t dim) {
    return ROTATION_ROUNDS * padded_dim(dim);
}
/* `signs` [rotation_signs(dim)] is filled and kept. */
void rotation_init(struct rotation *rotation, uint32_t dim, uint64_t seed, float *signs);
/* out [padded] = rotated (in [dim] - centre [dim]); centre may be NULL. */
void rotation_apply(const struct rotation *rotation, const float *in, const float *centre,
                    float *out);

struct code_factors {
    float norm;  /* squared length of the row, moved by the centre */
    float scale; /* what the sum of products with the code's levels is multiplied by */
};

static inline uint32_t code4_bytes(uint32_t dim) {
    return padded_dim(dim) / 2;
}
/* `rotated` [padded]; `code` [padded / 2]. scale = |r|^2 / <levels, r>, 0 for a zero row. Returns
 * the number of levels in 1. */
float code4_encode(const float *rotated, uint32_t padded, uint8_t *code,
                   struct code_factors *out_factors);
/* What the code leaves (kernel/codes.h): `inverse` as code4_encode returned it; `rest`
 * [code_rest_bytes(padded)]. Code and rest are 14 bits a dimension: rounding moves a row by 1e-4 of
 * its length, half floats by 2e-4. kernels->code_rest_values gives the rotated row again. */
void code_rest_encode(const float *rotated, uint32_t padded, const uint8_t *code, float inverse,
                      uint8_t *rest);

/* A rotated query in 8 bits: <row, query> is near scale_row * (step * sum + offset), where sum =
 * code4_dots of the two. */
struct code_query {
    int8_t *values; /* [code4_slots(padded)], the caller's */
    float step, offset;
};
void code_query_make(const float *rotated, uint32_t padded, struct code_query *out);

#endif
