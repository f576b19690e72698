/* Whole-vector helpers of the write path, the same on every instruction set: what is stored must
 * not depend on the machine that stored it. */
#include <math.h>
#include <string.h>

#include "kernel/kernel_private.h"

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

static double scale_of(const float *in, size_t dim) {
    double norm = sqrt(square_sum(in, dim));
    return norm == 0.0 ? 1.0 : 1.0 / norm; /* a float's square cannot vanish in double */
}

void kernel_normalize_f32(const float *in, size_t dim, float *out) {
    double scale = scale_of(in, dim);
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

/* ---- Halves and bytes ---- */

static uint16_t half_of(float value) {
    uint32_t bits = bits_of(&value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) { /* infinity; NaN stays one */
        return (uint16_t)(sign | 0x7c00u | (magnitude > 0x7f800000u ? 0x200u : 0));
    }
    if (magnitude >= 0x477ff000u) { /* from 65520 on the nearest is infinity */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: counted in units of 2^-24 */
        float scaled;
        memcpy(&scaled, &magnitude, sizeof(scaled));
        return (uint16_t)(sign | (uint16_t)lrintf(scaled * 0x1p24f)); /* ties to even */
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

void kernel_normalize_f16(const float *in, size_t dim, uint16_t *out) {
    double scale = scale_of(in, dim);
    for (size_t i = 0; i < dim; i++) {
        out[i] = half_of((float)((double)in[i] * scale));
    }
}

void kernel_halves_from_floats(const float *in, size_t dim, uint16_t *out) {
    for (size_t i = 0; i < dim; i++) {
        out[i] = half_of(in[i]);
    }
}

void kernel_floats_from_halves(const uint16_t *in, size_t dim, float *out) {
    for (size_t i = 0; i < dim; i++) {
        out[i] = half_to_float(in[i]);
    }
}

void kernel_u8_from_f32(const float *in, size_t dim, uint8_t *out) {
    for (size_t i = 0; i < dim; i++) {
        float value = in[i] < 0 ? 0 : in[i] > 255 ? 255 : in[i];
        out[i] = (uint8_t)value;
    }
}
