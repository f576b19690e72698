/* AVX-512F: 16 floats a register, masked loads for the tail.
 *
 * Accumulator: f32, two registers for short rows, else four; rounding as in
 * kernel_private.h. Overflow: as IEEE says, to infinity. */
#include <immintrin.h>

#include "kernel/kernel_private.h"

#define INLINE inline __attribute__((always_inline))
#define WIDTH 16u

typedef __m512 vector;

enum metric { METRIC_DOT, METRIC_L2 };

static INLINE __m512 load(const float *from) {
    return _mm512_loadu_ps(from);
}

static INLINE __m512 add(__m512 left, __m512 right) {
    return _mm512_add_ps(left, right);
}

static INLINE __m512 add_terms(enum metric metric, __m512 sums, __m512 left, __m512 right) {
    if (metric == METRIC_L2) {
        __m512 difference = _mm512_sub_ps(left, right);
        return _mm512_fmadd_ps(difference, difference, sums);
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

static INLINE __m512 row_sums(enum metric metric, const float *query, const float *row,
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

static float kernel_dot_f32_avx512(const float *left, const float *right, size_t dim) {
    return single(METRIC_DOT, left, right, dim);
}

static float kernel_l2_f32_avx512(const float *left, const float *right, size_t dim) {
    return single(METRIC_L2, left, right, dim);
}

static void kernel_dot_f32_rows_avx512(const float *query, const float *rows, size_t stride,
                                       size_t count, size_t dim, float *out) {
    rows_at_stride(METRIC_DOT, query, rows, stride, count, dim, out);
}

static void kernel_l2_f32_rows_avx512(const float *query, const float *rows, size_t stride,
                                      size_t count, size_t dim, float *out) {
    rows_at_stride(METRIC_L2, query, rows, stride, count, dim, out);
}

static void kernel_dot_f32_gather_avx512(const float *query, const float *const *rows, size_t count,
                                         size_t dim, float *out) {
    rows_anywhere(METRIC_DOT, query, rows, count, dim, out);
}

static void kernel_l2_f32_gather_avx512(const float *query, const float *const *rows, size_t count,
                                        size_t dim, float *out) {
    rows_anywhere(METRIC_L2, query, rows, count, dim, out);
}

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

const struct kernels kernels_avx512 = {
    .isa = "avx512",
    .dot_f32 = kernel_dot_f32_avx512,
    .l2_f32 = kernel_l2_f32_avx512,
    .dot_f32_rows = kernel_dot_f32_rows_avx512,
    .l2_f32_rows = kernel_l2_f32_rows_avx512,
    .dot_f32_gather = kernel_dot_f32_gather_avx512,
    .l2_f32_gather = kernel_l2_f32_gather_avx512,
    .select_f32 = kernel_select_f32_avx512,
};
