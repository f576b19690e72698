/* AVX2, FMA and F16C: 32 codes or 8 floats a register. */
#include <immintrin.h>
#include <string.h>

#include "kernel/codes_private.h"
#include "kernel/hadamard.h"

#define INLINE inline __attribute__((always_inline))

enum metric { METRIC_DOT, METRIC_L2 };

/* The 64 dimensions whose codes are these 32 bytes. Products of a pair are at most 2 * 15 * 128: 16
 * bits hold them. */
static INLINE __m256i add_codes(__m256i sums, __m256i codes, const int8_t *query) {
    const __m256i low_mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i low = _mm256_and_si256(codes, low_mask);
    __m256i top = _mm256_and_si256(_mm256_srli_epi16(codes, 4), low_mask);
    __m256i q_low = _mm256_loadu_si256((const __m256i *)(const void *)query);
    __m256i q_top = _mm256_loadu_si256((const __m256i *)(const void *)(query + 64));
    __m256i pairs =
        _mm256_add_epi16(_mm256_maddubs_epi16(low, q_low), _mm256_maddubs_epi16(top, q_top));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, ones));
}

static INLINE int32_t code4_dot(const int8_t *query, const uint8_t *code, size_t padded) {
    __m256i sums = _mm256_setzero_si256();
    const __m256i *from = (const __m256i *)(const void *)code;
    size_t at = 0;
    for (; at + 128 <= padded; at += 128) {
        sums = add_codes(sums, _mm256_loadu_si256(from++), query + at);
        sums = add_codes(sums, _mm256_loadu_si256(from++), query + at + 32);
    }
    if (at < padded) {
        uint8_t last[64] = {0};
        memcpy(last, from, (padded - at) / 2);
        from = (const __m256i *)(const void *)last;
        sums = add_codes(sums, _mm256_loadu_si256(from), query + at);
        sums = add_codes(sums, _mm256_loadu_si256(from + 1), query + at + 32);
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}

static void code4_dots_avx2(const int8_t *query, const uint8_t *const *codes, size_t count,
                            size_t padded, int32_t *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = code4_dot(query, codes[i], padded);
    }
}

static INLINE __m256 load_f16(const uint16_t *from) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static INLINE __m256 load_u8(const uint8_t *from) {
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

static INLINE __m256 add_terms(enum metric metric, __m256 sums, __m256 left, __m256 right) {
    if (metric == METRIC_L2) {
        __m256 difference = _mm256_sub_ps(left, right);
        return _mm256_fmadd_ps(difference, difference, sums);
    }
    return _mm256_fmadd_ps(left, right, sums);
}

static INLINE float add_up(__m256 sums) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

static INLINE float one_term(enum metric metric, float left, float right) {
    return metric == METRIC_L2 ? (left - right) * (left - right) : left * right;
}

#define ROW_KERNEL(name, metric, type, load_row, to_float)                                         \
    static float name##_avx2(const float *query, const type *row, size_t dim) {                    \
        __m256 even = _mm256_setzero_ps(), odd = even;                                             \
        size_t at = 0;                                                                             \
        for (; at + 16 <= dim; at += 16) {                                                         \
            even = add_terms(metric, even, _mm256_loadu_ps(query + at), load_row(row + at));       \
            odd = add_terms(metric, odd, _mm256_loadu_ps(query + at + 8), load_row(row + at + 8)); \
        }                                                                                          \
        float sum = add_up(_mm256_add_ps(even, odd));                                              \
        for (; at < dim; at++) {                                                                   \
            sum += one_term(metric, query[at], to_float(row[at]));                                 \
        }                                                                                          \
        return sum;                                                                                \
    }

#define FROM_U8(byte) ((float)(byte))
ROW_KERNEL(dot_f16, METRIC_DOT, uint16_t, load_f16, kernel_f32_from_f16)
ROW_KERNEL(l2_f16, METRIC_L2, uint16_t, load_f16, kernel_f32_from_f16)
ROW_KERNEL(dot_u8, METRIC_DOT, uint8_t, load_u8, FROM_U8)
ROW_KERNEL(l2_u8, METRIC_L2, uint8_t, load_u8, FROM_U8)

static void hadamard_avx2(float *values, size_t size) {
    hadamard(values, size);
}

const struct code_kernels code_kernels_avx2 = {
    .isa = "avx2",
    .code4_dots = code4_dots_avx2,
    .hadamard_f32 = hadamard_avx2,
    .dot_f16 = dot_f16_avx2,
    .l2_f16 = l2_f16_avx2,
    .dot_u8 = dot_u8_avx2,
    .l2_u8 = l2_u8_avx2,
};
