/* Whole-vector helpers of the write path, the same on every instruction set: what is stored must
 * not depend on the machine that stored it. */
#include <math.h>
#include <string.h>

#include "kernel/kernel.h"

#define LANES 8u
#define FINITE_BLOCK 64u
#define EXPONENT_BITS 0x7f800000u

/* Accumulator: 8 x double; cannot overflow below dim 2^700. */
static double square_sum(const float *in, size_t dim) {
    double sums[LANES] = {0};
    size_t at = 0;
    for (; at + LANES <= dim; at += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            sums[lane] += (double)in[at + lane] * (double)in[at + lane];
        }
    }
    for (size_t lane = 0; at + lane < dim; lane++) {
        sums[lane] += (double)in[at + lane] * (double)in[at + lane];
    }
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

void kernel_normalize_f32(const float *in, size_t dim, float *out) {
    double norm = sqrt(square_sum(in, dim));
    double scale = norm == 0.0 ? 1.0 : 1.0 / norm; /* a float's square cannot vanish in double */
    for (size_t i = 0; i < dim; i++) {
        out[i] = (float)((double)in[i] * scale);
    }
}

static inline uint32_t bits_of(const float *value) {
    uint32_t bits;
    memcpy(&bits, value, sizeof(bits));
    return bits;
}

static inline int is_finite(const float *value) {
    return (bits_of(value) & EXPONENT_BITS) != EXPONENT_BITS;
}

int kernel_all_finite_f32(const float *in, size_t dim, size_t *out_at) {
    size_t at = 0;
    for (; at + FINITE_BLOCK <= dim; at += FINITE_BLOCK) { /* no branch a value: the usual case */
        uint32_t bad = 0;
        for (size_t i = 0; i < FINITE_BLOCK; i++) {
            bad |= (uint32_t)((bits_of(in + at + i) & EXPONENT_BITS) == EXPONENT_BITS);
        }
        if (bad != 0) {
            break;
        }
    }
    for (; at < dim; at++) {
        if (!is_finite(in + at)) {
            *out_at = at;
            return 0;
        }
    }
    return 1;
}
