/* Compressed rows on NEON: 16 codes or 4 floats a register. */
#include <arm_neon.h>

#include "kernel/code_list.h"
#include "kernel/code_list_add.h"
#include "kernel/code_rest.h"
#include "kernel/hadamard.h"
#include "kernel/kernel_private.h"

#define INLINE inline __attribute__((always_inline))

/* The 32 dimensions whose codes are these 16 bytes. A lane of 16 bits gets four products of at most
 * 15 * 128. */
static INLINE int32x4_t add_codes(int32x4_t sums, uint8x16_t codes, const int8_t *query) {
    int8x16_t low = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15)));
    int8x16_t top = vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
    int8x16_t q_low = vld1q_s8(query), q_top = vld1q_s8(query + 64);
    int16x8_t products = vmull_s8(vget_low_s8(low), vget_low_s8(q_low));
    products = vmlal_s8(products, vget_high_s8(low), vget_high_s8(q_low));
    products = vmlal_s8(products, vget_low_s8(top), vget_low_s8(q_top));
    products = vmlal_s8(products, vget_high_s8(top), vget_high_s8(q_top));
    return vpadalq_s16(sums, products);
}

static INLINE int32_t code4_dot(const int8_t *query, const uint8_t *code, size_t padded) {
    int32x4_t sums = vdupq_n_s32(0);
    size_t at = 0;
    for (; at + 128 <= padded; at += 128) {
        for (size_t i = 0; i < 64; i += 16) {
            sums = add_codes(sums, vld1q_u8(code + at / 2 + i), query + at + i);
        }
    }
    if (at < padded) {
        uint8_t last[64] = {0};
        memcpy(last, code + at / 2, (padded - at) / 2);
        for (size_t i = 0; i < 64; i += 16) {
            sums = add_codes(sums, vld1q_u8(last + i), query + at + i);
        }
    }
    return vaddvq_s32(sums);
}

void kernel_code4_dots_neon(const int8_t *query, const uint8_t *const *codes, size_t count,
                            size_t padded, int32_t *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = code4_dot(query, codes[i], padded);
    }
}

/* ---- 1-bit codes ---- */

/* Two rows' words: sums a byte, -64 .. 56, then of each row. */
static INLINE int64x2_t word_sums(uint8x16_t bits, const uint64_t planes[CODE1_PLANES]) {
    uint8x16_t counts[CODE1_PLANES];
    for (size_t p = 0; p < CODE1_PLANES; p++) {
        counts[p] = vcntq_u8(vandq_u8(bits, vreinterpretq_u8_u64(vdupq_n_u64(planes[p]))));
    }
    uint8x16_t low = vaddq_u8(counts[0], vshlq_n_u8(counts[1], 1));
    uint8x16_t top = vsubq_u8(vshlq_n_u8(counts[2], 2), vshlq_n_u8(counts[3], 3));
    return vpaddlq_s32(vpaddlq_s16(vpaddlq_s8(vreinterpretq_s8_u8(vaddq_u8(low, top)))));
}

static INLINE void rows_bounds(const struct code1_query *query, const uint64_t *words_at,
                               const float *factors, size_t words, float *out) {
    int64x2_t left = vdupq_n_s64(0), right = left;
    for (size_t w = 0; w < words; w++) {
        const uint64_t *here = words_at + CODE1_ROWS * w, *planes = query->planes + 4 * w;
        left = vaddq_s64(left, word_sums(vreinterpretq_u8_u64(vld1q_u64(here)), planes));
        right = vaddq_s64(right, word_sums(vreinterpretq_u8_u64(vld1q_u64(here + 2)), planes));
    }
    float32x4_t sums = vcvtq_f32_s32(vcombine_s32(vmovn_s64(left), vmovn_s64(right)));
    float32x4_t product = vfmaq_n_f32(vdupq_n_f32(query->offset), sums, query->step);
    float32x4_t bounds = vfmaq_f32(vld1q_f32(factors), vld1q_f32(factors + CODE1_ROWS), product);
    vst1q_f32(out, vfmsq_n_f32(bounds, vld1q_f32(factors + 2 * CODE1_ROWS), query->slack));
}

void kernel_code1_bounds_neon(const struct code1_query *query, const void *blocks,
                              size_t block_count, size_t words, float *out) {
    const uint8_t *block = blocks;
    for (size_t b = 0; b < block_count; b++, block += code1_block_bytes(words)) {
        const uint64_t *words_at = (const uint64_t *)(const void *)block;
        const float *factors = (const float *)(const void *)(words_at + CODE1_ROWS * words);
        for (size_t row = 0; row < CODE1_ROWS; row += 4) {
            rows_bounds(query, words_at + row, factors + row, words, out + CODE1_ROWS * b + row);
        }
    }
}

void kernel_code_list_neon(const struct code_list_query *query, const void *list, size_t padded,
                           float *out) {
    const uint8_t *codes = list, *table = query->table;
    uint32_t sums[CODE_LIST_ROWS] = {0};
    size_t groups = padded / 4;
    while (groups > 0) {
        size_t part = groups < LIST_PART ? groups : LIST_PART;
        uint16x8_t parts[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
        groups -= part;
        for (; part > 0; part--, codes += 16, table += 16) {
            uint8x16_t code = vld1q_u8(codes), values = vld1q_u8(table);
            uint8x16_t low = vqtbl1q_u8(values, vandq_u8(code, vdupq_n_u8(15)));
            uint8x16_t top = vqtbl1q_u8(values, vshrq_n_u8(code, 4));
            parts[0] = vaddw_u8(parts[0], vget_low_u8(low));
            parts[1] = vaddw_high_u8(parts[1], low);
            parts[2] = vaddw_u8(parts[2], vget_low_u8(top));
            parts[3] = vaddw_high_u8(parts[3], top);
        }
        for (uint32_t i = 0; i < CODE_LIST_ROWS; i += 8) {
            uint16_t of[8];
            vst1q_u16(of, parts[i / 8]);
            for (uint32_t j = 0; j < 8; j++) {
                sums[i + j] += of[j];
            }
        }
    }
    list_finish(query, codes, sums, out);
}

void kernel_list_table_neon(const float *query, size_t padded, float inverse, uint8_t *table) {
    list_table(query, padded, inverse, table);
}

float kernel_rest_dot_neon(const float *query, const uint8_t *code, const void *rest,
                           size_t padded) {
    return rest_sum(query, code, rest, padded, false);
}

float kernel_rest_l2_neon(const float *query, const uint8_t *code, const void *rest,
                          size_t padded) {
    return rest_sum(query, code, rest, padded, true);
}

void kernel_rest_values_neon(const uint8_t *code, const void *rest, size_t padded, float *out) {
    rest_decode(code, rest, padded, out);
}

struct code_list_sums kernel_list_add_neon(const float *from, const float *to, size_t padded,
                                           uint32_t row, uint8_t *list) {
    return list_add(from, to, padded, row, list);
}

/* ---- Rotation ---- */

void kernel_hadamard_f32_neon(float *values, size_t size) {
    hadamard(values, size);
}
