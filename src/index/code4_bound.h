/* Rotated 4-bit codes of rows with a bound of their error: the second look of a scan by 1-bit codes
 * (code1.h), at the rows that those leave in doubt.
 *
 * The levels are those of code4_encode, and the factors mean what a 1-bit code's do: its estimate
 * is unbiased, and how well the levels keep the row's direction gives the standard deviation of the
 * estimate, over random rotations. That is a seventh of a 1-bit code's.
 * Source: Gao et al., "Practical and Asymptotically Optimal Quantization of High-Dimensional
 * Vectors" (SIGMOD 2025). */
#ifndef INS_INDEX_CODE4_BOUND_H
#define INS_INDEX_CODE4_BOUND_H

#include "index/code1.h"

/* Behind the levels. */
struct code4_bound {
    float norm, scale, error;
};

static inline uint32_t code4_bound_bytes(uint32_t dim) {
    return code4_bytes(dim) + (uint32_t)sizeof(struct code4_bound);
}

/* Writes a row of code4_bound_bytes, aligned to 4, from `rotated` [padded]. A row above
 * CODE1_NORM_MAX is never left out. */
void code4_bound_encode(const float *rotated, uint32_t padded, enum index_metric metric, void *row);

struct code4_bound_query {
    struct code_query query;
    float slack; /* what a row's error is multiplied by */
};
/* `values` [code4_slots(padded)] is filled and kept. `certainty`: by how many standard deviations
 * estimates are lowered. */
void code4_bound_query_make(const float *rotated, uint32_t padded, float certainty, int8_t *values,
                            struct code4_bound_query *out);
/* As code1_bounds, of rows anywhere. */
#define CODE4_BOUND_ROWS 512u /* at once, at most */
void code4_bounds(const struct kernels *kernels, const struct code4_bound_query *query,
                  const uint8_t *const *rows, uint32_t count, uint32_t padded, float *out);

#endif
