/* AVX2 and FMA: 8 floats a register.
 *
 * Accumulator: f32, two registers for short rows, else four; rounding as in kernel_private.h.
 * Overflow: as IEEE says, to infinity. The tail is loaded with masks, which touch no byte outside
 * of the row. */
#include <immintrin.h>

#include "kernel/kernel_private.h"

#define ISA avx2
#define INLINE inline __attribute__((always_inline))
#define WIDTH 8u

typedef __m256 vector;

static INLINE __m256 load(const float *from) {
    return _mm256_loadu_ps(from);
}

static INLINE __m256 add(__m256 left, __m256 right) {
    return _mm256_add_ps(left, right);
}

static INLINE __m256 add_terms(enum kernel_metric metric, __m256 sums, __m256 left, __m256 right) {
    __m256 difference = _mm256_sub_ps(left, right);
    if (metric == KERNEL_L2) {
        return _mm256_fmadd_ps(difference, difference, sums);
    }
    if (metric == KERNEL_L1) {
        return _mm256_add_ps(sums, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), difference));
    }
    return _mm256_fmadd_ps(left, right, sums);
}

/* Transposed, so that four sums cost little more than one. */
static INLINE __m128 four_sums(const __m256 s[4]) {
    __m256 s01 = _mm256_add_ps(_mm256_unpacklo_ps(s[0], s[1]), _mm256_unpackhi_ps(s[0], s[1]));
    __m256 s23 = _mm256_add_ps(_mm256_unpacklo_ps(s[2], s[3]), _mm256_unpackhi_ps(s[2], s[3]));
    __m256 sums =
        _mm256_add_ps(_mm256_shuffle_ps(s01, s23, 0x44), _mm256_shuffle_ps(s01, s23, 0xee));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static INLINE float one_sum(__m256 sums) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* The first `count` <= 8 lanes. */
static INLINE __m256i tail_mask(size_t count) {
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lanes);
}

static INLINE __m256 row_sums(enum kernel_metric metric, const float *query, const float *row,
                              size_t dim) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
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
        __m256i mask = tail_mask(dim - at);
        s1 = add_terms(metric, s1, _mm256_maskload_ps(query + at, mask),
                       _mm256_maskload_ps(row + at, mask));
    }
    return add(add(s0, s1), add(s2, s3));
}

#include "kernel/rows.h"

/* ---- Halves: widened eight at a time ---- */

static INLINE __m256 load_half(const uint16_t *from) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from));
}

/* The last `count` < 8 of a row, zeros behind. */
static INLINE __m256 load_half_tail(const uint16_t *from, size_t count) {
    uint16_t tail[WIDTH] = {0};
    for (size_t i = 0; i < count; i++) {
        tail[i] = from[i];
    }
    return load_half(tail);
}

static INLINE float sum_f16(enum kernel_metric metric, const float *query, const uint16_t *row,
                            size_t dim) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
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
        s1 = add_terms(metric, s1, _mm256_maskload_ps(query + at, tail_mask(dim - at)),
                       load_half_tail(row + at, dim - at));
    }
    return one_sum(add(s0, s1));
}

/* ---- Bytes: widened to 16 bits, multiplied and added in pairs to 32 ---- */

static INLINE __m256i load_u8(const uint8_t *from) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static INLINE __m256i add_terms_u8(enum kernel_metric metric, __m256i sums, __m256i left,
                                   __m256i right) {
    __m256i difference = _mm256_sub_epi16(left, right);
    if (metric == KERNEL_L2) {
        return _mm256_add_epi32(sums, _mm256_madd_epi16(difference, difference));
    }
    if (metric == KERNEL_L1) {
        __m256i ones = _mm256_set1_epi16(1);
        return _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_abs_epi16(difference), ones));
    }
    return _mm256_add_epi32(sums, _mm256_madd_epi16(left, right));
}

static INLINE uint32_t one_sum_u8(__m256i sums) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

#define BYTES 16u

static INLINE uint32_t sum_u8(enum kernel_metric metric, const uint8_t *query, const uint8_t *row,
                              size_t dim) {
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t at = 0;
    for (; at + 2 * BYTES <= dim; at += 2 * BYTES) {
        s0 = add_terms_u8(metric, s0, load_u8(query + at), load_u8(row + at));
        s1 = add_terms_u8(metric, s1, load_u8(query + at + BYTES), load_u8(row + at + BYTES));
    }
    for (; at < dim; at += BYTES) {
        size_t left = dim - at < BYTES ? dim - at : BYTES;
        uint8_t tails[2][BYTES] = {{0}};
        memcpy(tails[0], query + at, left);
        memcpy(tails[1], row + at, left);
        s0 = add_terms_u8(metric, s0, load_u8(tails[0]), load_u8(tails[1]));
    }
    return one_sum_u8(_mm256_add_epi32(s0, s1));
}

static INLINE uint32_t cosine_sums_u8(const uint8_t *query, const uint8_t *row, size_t dim,
                                      uint32_t *out_norm) {
    __m256i dot = _mm256_setzero_si256(), norm = dot;
    for (size_t at = 0; at < dim; at += BYTES) {
        __m256i q, r;
        if (dim - at >= BYTES) {
            q = load_u8(query + at);
            r = load_u8(row + at);
        } else {
            uint8_t tails[2][BYTES] = {{0}};
            memcpy(tails[0], query + at, dim - at);
            memcpy(tails[1], row + at, dim - at);
            q = load_u8(tails[0]);
            r = load_u8(tails[1]);
        }
        dot = add_terms_u8(KERNEL_DOT, dot, q, r);
        norm = add_terms_u8(KERNEL_DOT, norm, r, r);
    }
    *out_norm = one_sum_u8(norm);
    return one_sum_u8(dot);
}

#include "kernel/forms.h"

/* ---- Selecting ---- */

static INLINE uint32_t bits_below(const float *values, __m256 bounds) {
    __m256 is_below = _mm256_cmp_ps(_mm256_loadu_ps(values), bounds, _CMP_LE_OQ);
    return (uint32_t)_mm256_movemask_ps(is_below);
}

/* Few values pass in a long scan, so 32 of them without one cost four compares and a branch. */
static uint32_t kernel_select_f32_avx2(const float *values, uint32_t count, float bound,
                                       uint16_t *out) {
    __m256 bounds = _mm256_set1_ps(bound);
    uint32_t found = 0, at = 0;
    for (; at + 4 * WIDTH <= count; at += 4 * WIDTH) {
        const float *here = values + at;
        uint32_t bits = bits_below(here, bounds) | bits_below(here + WIDTH, bounds) << 8 |
                        bits_below(here + 2 * WIDTH, bounds) << 16 |
                        bits_below(here + 3 * WIDTH, bounds) << 24;
        for (; bits != 0; bits &= bits - 1) {
            out[found++] = (uint16_t)(at + (uint32_t)__builtin_ctz(bits));
        }
    }
    for (; at < count; at++) {
        if (values[at] <= bound) {
            out[found++] = (uint16_t)at;
        }
    }
    return found;
}

static uint32_t kernel_select_kept_f32_avx2(const float *values, uint32_t count, float bound,
                                            const uint64_t *kept, uint16_t *out) {
    __m256 bounds = _mm256_set1_ps(bound);
    uint32_t found = 0, at = 0;
    for (; at + 4 * WIDTH <= count; at += 4 * WIDTH) {
        const float *here = values + at;
        uint32_t bits = bits_below(here, bounds) | bits_below(here + WIDTH, bounds) << 8 |
                        bits_below(here + 2 * WIDTH, bounds) << 16 |
                        bits_below(here + 3 * WIDTH, bounds) << 24;
        bits &= (uint32_t)(kept[at / 64] >> (at % 64));
        for (; bits != 0; bits &= bits - 1) {
            out[found++] = (uint16_t)(at + (uint32_t)__builtin_ctz(bits));
        }
    }
    for (; at < count; at++) {
        if ((kept[at / 64] >> (at % 64) & 1) != 0 && values[at] <= bound) {
            out[found++] = (uint16_t)at;
        }
    }
    return found;
}

const struct kernels kernels_avx2 = {
    .isa = "avx2",
    .select_f32 = kernel_select_f32_avx2,
    .select_kept_f32 = kernel_select_kept_f32_avx2,
    .code4_dots = kernel_code4_dots_avx2,
    .code1_bounds = kernel_code1_bounds_avx2,
    .code_rest = {kernel_rest_dot_avx2, kernel_rest_l2_avx2},
    .code_list = kernel_code_list_avx2,
    .code_list_table = kernel_list_table_avx2,
    .code_list_add = kernel_list_add_avx2,
    .code_rest_values = kernel_rest_values_avx2,
    .hadamard_f32 = kernel_hadamard_f32_avx2,
    KERNEL_FORMS,
};
