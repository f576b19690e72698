/* AVX-512F: 16 floats a register, masked loads for the tail.
 *
 * Accumulator: f32, two registers for short rows, else four; rounding as in
 * kernel_private.h. Overflow: as IEEE says, to infinity. */
#include <immintrin.h>

#include "kernel/kernel_private.h"

#define ISA avx512
#define INLINE inline __attribute__((always_inline))
#define WIDTH 16u

typedef __m512 vector;

static INLINE __m512 load(const float *from) {
    return _mm512_loadu_ps(from);
}

static INLINE __m512 add(__m512 left, __m512 right) {
    return _mm512_add_ps(left, right);
}

static INLINE __m512 add_terms(enum kernel_metric metric, __m512 sums, __m512 left, __m512 right) {
    __m512 difference = _mm512_sub_ps(left, right);
    if (metric == KERNEL_L2) {
        return _mm512_fmadd_ps(difference, difference, sums);
    }
    if (metric == KERNEL_L1) {
        return _mm512_add_ps(sums, _mm512_abs_ps(difference));
    }
    return _mm512_fmadd_ps(left, right, sums);
}

static INLINE __m256 fold_to_256(__m512 value) {
    __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(value), 1));
    return _mm256_add_ps(_mm512_castps512_ps256(value), high);
}

/* Transposed, so that four sums cost little more than one. */
static INLINE __m128 four_sums(const __m512 s[4]) {
    __m512 s01 = _mm512_add_ps(_mm512_unpacklo_ps(s[0], s[1]), _mm512_unpackhi_ps(s[0], s[1]));
    __m512 s23 = _mm512_add_ps(_mm512_unpacklo_ps(s[2], s[3]), _mm512_unpackhi_ps(s[2], s[3]));
    __m512 sums =
        _mm512_add_ps(_mm512_shuffle_ps(s01, s23, 0x44), _mm512_shuffle_ps(s01, s23, 0xee));
    __m256 half = fold_to_256(sums);
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

static INLINE float one_sum(__m512 sums) {
    return _mm512_reduce_add_ps(sums);
}

static INLINE __mmask16 tail_mask(size_t count) {
    return (__mmask16)((1u << count) - 1u);
}

static INLINE __m512 row_sums(enum kernel_metric metric, const float *query, const float *row,
                              size_t dim) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t at = 0;
    for (; at + 4 * WIDTH <= dim; at += 4 * WIDTH) {
        const float *q = query + at, *r = row + at;
        s0 = add_terms(metric, s0, load(q), load(r));
        s1 = add_terms(metric, s1, load(q + WIDTH), load(r + WIDTH));
        s2 = add_terms(metric, s2, load(q + 2 * WIDTH), load(r + 2 * WIDTH));
        s3 = add_terms(metric, s3, load(q + 3 * WIDTH), load(r + 3 * WIDTH));
    }
    for (; at + WIDTH <= dim; at += WIDTH) {
        s0 = add_terms(metric, s0, load(query + at), load(row + at));
    }
    if (at < dim) {
        __mmask16 mask = tail_mask(dim - at);
        s1 = add_terms(metric, s1, _mm512_maskz_loadu_ps(mask, query + at),
                       _mm512_maskz_loadu_ps(mask, row + at));
    }
    return add(add(s0, s1), add(s2, s3));
}

#include "kernel/rows.h"

/* ---- Halves: widened sixteen at a time ---- */

static INLINE __m512 load_half(const uint16_t *from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

/* The last `count` < 16 of a row, zeros behind. */
static INLINE __m512 load_half_tail(const uint16_t *from, size_t count) {
    __m512i tail = _mm512_maskz_loadu_epi16((__mmask32)((1u << count) - 1u), from);
    return _mm512_cvtph_ps(_mm512_castsi512_si256(tail));
}

static INLINE float sum_f16(enum kernel_metric metric, const float *query, const uint16_t *row,
                            size_t dim) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t at = 0;
    for (; at + 2 * WIDTH <= dim; at += 2 * WIDTH) {
        s0 = add_terms(metric, s0, load(query + at), load_half(row + at));
        s1 = add_terms(metric, s1, load(query + at + WIDTH), load_half(row + at + WIDTH));
    }
    if (at + WIDTH <= dim) {
        s0 = add_terms(metric, s0, load(query + at), load_half(row + at));
        at += WIDTH;
    }
    if (at < dim) {
        s1 = add_terms(metric, s1, _mm512_maskz_loadu_ps(tail_mask(dim - at), query + at),
                       load_half_tail(row + at, dim - at));
    }
    return one_sum(add(s0, s1));
}

/* ---- Bytes: widened to 16 bits, multiplied and added in pairs to 32 ---- */

#define BYTES 32u

static INLINE __m512i load_u8(const uint8_t *from) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

/* The last `count` < 32 of a row, zeros behind. */
static INLINE __m512i load_u8_tail(const uint8_t *from, size_t count) {
    __m512i tail = _mm512_maskz_loadu_epi8((__mmask64)((1ull << count) - 1u), from);
    return _mm512_cvtepu8_epi16(_mm512_castsi512_si256(tail));
}

static INLINE __m512i add_terms_u8(enum kernel_metric metric, __m512i sums, __m512i left,
                                   __m512i right) {
    __m512i difference = _mm512_sub_epi16(left, right);
    if (metric == KERNEL_L2) {
        return _mm512_add_epi32(sums, _mm512_madd_epi16(difference, difference));
    }
    if (metric == KERNEL_L1) {
        __m512i ones = _mm512_set1_epi16(1);
        return _mm512_add_epi32(sums, _mm512_madd_epi16(_mm512_abs_epi16(difference), ones));
    }
    return _mm512_add_epi32(sums, _mm512_madd_epi16(left, right));
}

/* Up to 65536 * 255^2, which is above the int that the intrinsic for 32 bits adds up in. */
static INLINE uint32_t one_sum_u8(__m512i sums) {
    __m512i low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(sums));
    __m512i high = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(sums, 1));
    return (uint32_t)_mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
}

static INLINE uint32_t sum_u8(enum kernel_metric metric, const uint8_t *query, const uint8_t *row,
                              size_t dim) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0;
    size_t at = 0;
    for (; at + 2 * BYTES <= dim; at += 2 * BYTES) {
        s0 = add_terms_u8(metric, s0, load_u8(query + at), load_u8(row + at));
        s1 = add_terms_u8(metric, s1, load_u8(query + at + BYTES), load_u8(row + at + BYTES));
    }
    if (at + BYTES <= dim) {
        s0 = add_terms_u8(metric, s0, load_u8(query + at), load_u8(row + at));
        at += BYTES;
    }
    if (at < dim) {
        s1 = add_terms_u8(metric, s1, load_u8_tail(query + at, dim - at),
                          load_u8_tail(row + at, dim - at));
    }
    return one_sum_u8(_mm512_add_epi32(s0, s1));
}

static INLINE uint32_t cosine_sums_u8(const uint8_t *query, const uint8_t *row, size_t dim,
                                      uint32_t *out_norm) {
    __m512i dot = _mm512_setzero_si512(), norm = dot;
    for (size_t at = 0; at < dim; at += BYTES) {
        bool whole = dim - at >= BYTES;
        __m512i q = whole ? load_u8(query + at) : load_u8_tail(query + at, dim - at);
        __m512i r = whole ? load_u8(row + at) : load_u8_tail(row + at, dim - at);
        dot = add_terms_u8(KERNEL_DOT, dot, q, r);
        norm = add_terms_u8(KERNEL_DOT, norm, r, r);
    }
    *out_norm = one_sum_u8(norm);
    return one_sum_u8(dot);
}

#include "kernel/forms.h"

/* ---- Selecting ---- */

static INLINE uint64_t bits_below(const float *values, __m512 bounds) {
    return _mm512_cmp_ps_mask(_mm512_loadu_ps(values), bounds, _CMP_LE_OQ);
}

static INLINE uint32_t write_positions(uint64_t bits, uint32_t first, uint16_t *out) {
    uint32_t found = 0;
    for (; bits != 0; bits &= bits - 1) {
        out[found++] = (uint16_t)(first + (uint32_t)__builtin_ctzll(bits));
    }
    return found;
}

/* Few values pass in a long scan, so 64 of them without one cost four compares and a branch. */
static uint32_t kernel_select_f32_avx512(const float *values, uint32_t count, float bound,
                                         uint16_t *out) {
    __m512 bounds = _mm512_set1_ps(bound);
    uint32_t found = 0, at = 0;
    for (; at + 4 * WIDTH <= count; at += 4 * WIDTH) {
        const float *here = values + at;
        uint64_t bits = bits_below(here, bounds) | bits_below(here + WIDTH, bounds) << 16 |
                        bits_below(here + 2 * WIDTH, bounds) << 32 |
                        bits_below(here + 3 * WIDTH, bounds) << 48;
        found += write_positions(bits, at, out + found);
    }
    for (; at < count; at += WIDTH) {
        __mmask16 mask = tail_mask(count - at < WIDTH ? count - at : WIDTH);
        __m512 block = _mm512_maskz_loadu_ps(mask, values + at);
        uint64_t bits = _mm512_mask_cmp_ps_mask(mask, block, bounds, _CMP_LE_OQ);
        found += write_positions(bits, at, out + found);
    }
    return found;
}

static uint32_t kernel_select_kept_f32_avx512(const float *values, uint32_t count, float bound,
                                              const uint64_t *kept, uint16_t *out) {
    __m512 bounds = _mm512_set1_ps(bound);
    uint32_t found = 0, at = 0;
    for (; at + 4 * WIDTH <= count; at += 4 * WIDTH) {
        const float *here = values + at;
        uint64_t bits = bits_below(here, bounds) | bits_below(here + WIDTH, bounds) << 16 |
                        bits_below(here + 2 * WIDTH, bounds) << 32 |
                        bits_below(here + 3 * WIDTH, bounds) << 48;
        found += write_positions(bits & kept[at / 64], at, out + found);
    }
    for (; at < count; at += WIDTH) {
        __mmask16 mask = tail_mask(count - at < WIDTH ? count - at : WIDTH);
        __m512 block = _mm512_maskz_loadu_ps(mask, values + at);
        uint64_t bits = _mm512_mask_cmp_ps_mask(mask, block, bounds, _CMP_LE_OQ);
        found += write_positions(bits & kept[at / 64] >> (at % 64), at, out + found);
    }
    return found;
}

const struct kernels kernels_avx512 = {
    .isa = "avx512",
    .select_f32 = kernel_select_f32_avx512,
    .select_kept_f32 = kernel_select_kept_f32_avx512,
    .code4_dots = kernel_code4_dots_avx512,
    .code1_bounds = kernel_code1_bounds_avx512,
    .code_rest = {kernel_rest_dot_avx512, kernel_rest_l2_avx512},
    .code_list = kernel_code_list_avx512,
    .code_list_table = kernel_list_table_avx512,
    .code_list_add = kernel_list_add_avx2,
    .code_rest_values = kernel_rest_values_avx2,
    .hadamard_f32 = kernel_hadamard_f32_avx512,
    KERNEL_FORMS,
};

const struct kernels kernels_avx512vnni = {
    .isa = "avx512vnni",
    .select_f32 = kernel_select_f32_avx512,
    .select_kept_f32 = kernel_select_kept_f32_avx512,
    .code4_dots = kernel_code4_dots_avx512vnni,
    .code1_bounds = kernel_code1_bounds_avx512vnni,
    .code_rest = {kernel_rest_dot_avx512, kernel_rest_l2_avx512},
    .code_list = kernel_code_list_avx512,
    .code_list_table = kernel_list_table_avx512,
    .code_list_add = kernel_list_add_avx2,
    .code_rest_values = kernel_rest_values_avx2,
    .hadamard_f32 = kernel_hadamard_f32_avx512,
    KERNEL_FORMS,
};
