/* AVX2 and FMA: 8 floats a register.
 *
 * Accumulator: f32, two registers for short rows, else four; rounding as in kernel_private.h.
 * Overflow: as IEEE says, to infinity. The tail is loaded with masks, which touch no byte outside
 * of the row. */
#include <immintrin.h>

#include "kernel/kernel_private.h"

#define INLINE inline __attribute__((always_inline))
#define WIDTH 8u

typedef __m256 vector;

enum metric { METRIC_DOT, METRIC_L2 };

static INLINE __m256 load(const float *from) {
    return _mm256_loadu_ps(from);
}

static INLINE __m256 add(__m256 left, __m256 right) {
    return _mm256_add_ps(left, right);
}

static INLINE __m256 add_terms(enum metric metric, __m256 sums, __m256 left, __m256 right) {
    if (metric == METRIC_L2) {
        __m256 difference = _mm256_sub_ps(left, right);
        return _mm256_fmadd_ps(difference, difference, sums);
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

static INLINE __m256 row_sums(enum metric metric, const float *query, const float *row,
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

static float kernel_dot_f32_avx2(const float *left, const float *right, size_t dim) {
    return single(METRIC_DOT, left, right, dim);
}

static float kernel_l2_f32_avx2(const float *left, const float *right, size_t dim) {
    return single(METRIC_L2, left, right, dim);
}

static void kernel_dot_f32_rows_avx2(const float *query, const float *rows, size_t stride,
                                     size_t count, size_t dim, float *out) {
    rows_at_stride(METRIC_DOT, query, rows, stride, count, dim, out);
}

static void kernel_l2_f32_rows_avx2(const float *query, const float *rows, size_t stride,
                                    size_t count, size_t dim, float *out) {
    rows_at_stride(METRIC_L2, query, rows, stride, count, dim, out);
}

static void kernel_dot_f32_gather_avx2(const float *query, const float *const *rows, size_t count,
                                       size_t dim, float *out) {
    rows_anywhere(METRIC_DOT, query, rows, count, dim, out);
}

static void kernel_l2_f32_gather_avx2(const float *query, const float *const *rows, size_t count,
                                      size_t dim, float *out) {
    rows_anywhere(METRIC_L2, query, rows, count, dim, out);
}

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

const struct kernels kernels_avx2 = {
    .isa = "avx2",
    .dot_f32 = kernel_dot_f32_avx2,
    .l2_f32 = kernel_l2_f32_avx2,
    .dot_f32_rows = kernel_dot_f32_rows_avx2,
    .l2_f32_rows = kernel_l2_f32_rows_avx2,
    .dot_f32_gather = kernel_dot_f32_gather_avx2,
    .l2_f32_gather = kernel_l2_f32_gather_avx2,
    .select_f32 = kernel_select_f32_avx2,
};
