/* NEON, which every 64-bit Arm CPU has: 4 floats a register.
 *
 * Accumulator: f32, four registers; rounding as in kernel_private.h. Overflow: as IEEE says, to
 * infinity. The tail is copied behind zeros, so no byte outside of a row is read. */
#include <arm_neon.h>

#include "kernel/kernel_private.h"

#define ISA neon
#define INLINE inline __attribute__((always_inline))
#define FORMS_F32
#define WIDTH 4u
#define BYTES 16u

/* ---- Floats ---- */

static INLINE float32x4_t add_terms(enum kernel_metric metric, float32x4_t sums, float32x4_t left,
                                    float32x4_t right) {
    if (metric == KERNEL_L1) {
        return vaddq_f32(sums, vabdq_f32(left, right));
    }
    if (metric == KERNEL_L2) {
        float32x4_t difference = vsubq_f32(left, right);
        return vfmaq_f32(sums, difference, difference);
    }
    return vfmaq_f32(sums, left, right);
}

/* The last `count` < 4 of a row, zeros behind. */
static INLINE float32x4_t load_tail(const float *from, size_t count) {
    float tail[WIDTH] = {0};
    memcpy(tail, from, count * sizeof(float));
    return vld1q_f32(tail);
}

static INLINE float sum_f32(enum kernel_metric metric, const float *left, const float *right,
                            size_t dim) {
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
    size_t at = 0;
    for (; at + 4 * WIDTH <= dim; at += 4 * WIDTH) {
        const float *l = left + at, *r = right + at;
        s0 = add_terms(metric, s0, vld1q_f32(l), vld1q_f32(r));
        s1 = add_terms(metric, s1, vld1q_f32(l + WIDTH), vld1q_f32(r + WIDTH));
        s2 = add_terms(metric, s2, vld1q_f32(l + 2 * WIDTH), vld1q_f32(r + 2 * WIDTH));
        s3 = add_terms(metric, s3, vld1q_f32(l + 3 * WIDTH), vld1q_f32(r + 3 * WIDTH));
    }
    for (; at + WIDTH <= dim; at += WIDTH) {
        s0 = add_terms(metric, s0, vld1q_f32(left + at), vld1q_f32(right + at));
    }
    if (at < dim) {
        s1 = add_terms(metric, s1, load_tail(left + at, dim - at), load_tail(right + at, dim - at));
    }
    return vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
}

/* ---- Halves: widened four at a time ---- */

static INLINE float32x4_t load_half(const uint16_t *from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
}

static INLINE float32x4_t load_half_tail(const uint16_t *from, size_t count) {
    uint16_t tail[WIDTH] = {0};
    memcpy(tail, from, count * sizeof(uint16_t));
    return load_half(tail);
}

static INLINE float sum_f16(enum kernel_metric metric, const float *query, const uint16_t *row,
                            size_t dim) {
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
    size_t at = 0;
    for (; at + 4 * WIDTH <= dim; at += 4 * WIDTH) {
        const float *q = query + at;
        const uint16_t *r = row + at;
        s0 = add_terms(metric, s0, vld1q_f32(q), load_half(r));
        s1 = add_terms(metric, s1, vld1q_f32(q + WIDTH), load_half(r + WIDTH));
        s2 = add_terms(metric, s2, vld1q_f32(q + 2 * WIDTH), load_half(r + 2 * WIDTH));
        s3 = add_terms(metric, s3, vld1q_f32(q + 3 * WIDTH), load_half(r + 3 * WIDTH));
    }
    for (; at + WIDTH <= dim; at += WIDTH) {
        s0 = add_terms(metric, s0, vld1q_f32(query + at), load_half(row + at));
    }
    if (at < dim) {
        s1 = add_terms(metric, s1, load_tail(query + at, dim - at),
                       load_half_tail(row + at, dim - at));
    }
    return vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
}

/* ---- Bytes: products of 16 bits, added in pairs to 32 ---- */

static INLINE uint32x4_t add_terms_u8(enum kernel_metric metric, uint32x4_t sums, uint8x16_t left,
                                      uint8x16_t right) {
    if (metric == KERNEL_L1) {
        return vpadalq_u16(sums, vpaddlq_u8(vabdq_u8(left, right)));
    }
    if (metric == KERNEL_L2) {
        left = vabdq_u8(left, right);
        right = left;
    }
    sums = vpadalq_u16(sums, vmull_u8(vget_low_u8(left), vget_low_u8(right)));
    return vpadalq_u16(sums, vmull_u8(vget_high_u8(left), vget_high_u8(right)));
}

/* `count` <= 16 bytes, zeros behind. */
static INLINE uint8x16_t load_u8(const uint8_t *from, size_t count) {
    uint8_t tail[BYTES] = {0};
    if (count == BYTES) {
        return vld1q_u8(from);
    }
    memcpy(tail, from, count);
    return vld1q_u8(tail);
}

static INLINE uint32_t sum_u8(enum kernel_metric metric, const uint8_t *query, const uint8_t *row,
                              size_t dim) {
    uint32x4_t s0 = vdupq_n_u32(0), s1 = s0;
    size_t at = 0;
    for (; at + 2 * BYTES <= dim; at += 2 * BYTES) {
        s0 = add_terms_u8(metric, s0, vld1q_u8(query + at), vld1q_u8(row + at));
        s1 = add_terms_u8(metric, s1, vld1q_u8(query + at + BYTES), vld1q_u8(row + at + BYTES));
    }
    for (; at < dim; at += BYTES) {
        size_t count = dim - at < BYTES ? dim - at : BYTES;
        s0 = add_terms_u8(metric, s0, load_u8(query + at, count), load_u8(row + at, count));
    }
    return vaddvq_u32(vaddq_u32(s0, s1));
}

static INLINE uint32_t cosine_sums_u8(const uint8_t *query, const uint8_t *row, size_t dim,
                                      uint32_t *out_norm) {
    uint32x4_t dot = vdupq_n_u32(0), norm = dot;
    for (size_t at = 0; at < dim; at += BYTES) {
        size_t count = dim - at < BYTES ? dim - at : BYTES;
        uint8x16_t q = load_u8(query + at, count), r = load_u8(row + at, count);
        dot = add_terms_u8(KERNEL_DOT, dot, q, r);
        norm = add_terms_u8(KERNEL_DOT, norm, r, r);
    }
    *out_norm = vaddvq_u32(norm);
    return vaddvq_u32(dot);
}

#include "kernel/forms.h"

/* ---- Selecting ---- */

/* Few values pass in a long scan, so 16 of them without one cost four compares and a branch. */
static uint32_t kernel_select_f32_neon(const float *values, uint32_t count, float bound,
                                       uint16_t *out) {
    float32x4_t bounds = vdupq_n_f32(bound);
    uint32_t found = 0, at = 0;
    for (; at + 4 * WIDTH <= count; at += 4 * WIDTH) {
        const float *here = values + at;
        uint32x4_t any = vorrq_u32(vorrq_u32(vcleq_f32(vld1q_f32(here), bounds),
                                             vcleq_f32(vld1q_f32(here + WIDTH), bounds)),
                                   vorrq_u32(vcleq_f32(vld1q_f32(here + 2 * WIDTH), bounds),
                                             vcleq_f32(vld1q_f32(here + 3 * WIDTH), bounds)));
        for (uint32_t i = 0; vmaxvq_u32(any) != 0 && i < 4 * WIDTH; i++) {
            if (here[i] <= bound) {
                out[found++] = (uint16_t)(at + i);
            }
        }
    }
    for (; at < count; at++) {
        if (values[at] <= bound) {
            out[found++] = (uint16_t)at;
        }
    }
    return found;
}

static uint32_t kernel_select_kept_f32_neon(const float *values, uint32_t count, float bound,
                                            const uint64_t *kept, uint16_t *out) {
    uint32_t found = 0;
    for (uint32_t at = 0; at < count; at += 64) {
        uint32_t some = count - at < 64 ? count - at : 64;
        uint16_t below[64];
        uint32_t below_count = kernel_select_f32_neon(values + at, some, bound, below);
        for (uint32_t i = 0; i < below_count; i++) {
            if ((kept[at / 64] >> below[i] & 1) != 0) {
                out[found++] = (uint16_t)(at + below[i]);
            }
        }
    }
    return found;
}

const struct kernels kernels_neon = {
    .isa = "neon",
    .select_f32 = kernel_select_f32_neon,
    .select_kept_f32 = kernel_select_kept_f32_neon,
    .code4_dots = kernel_code4_dots_neon,
    .code1_bounds = kernel_code1_bounds_neon,
    .code_rest = {kernel_rest_dot_neon, kernel_rest_l2_neon},
    .code_list = kernel_code_list_neon,
    .code_list_table = kernel_list_table_neon,
    .code_list_add = kernel_list_add_neon,
    .code_rest_values = kernel_rest_values_neon,
    .hadamard_f32 = kernel_hadamard_f32_neon,
    KERNEL_FORMS,
};
