/* AVX-512 with VNNI and BW: 64 codes or 16 floats a register, masked loads for the tail. */
#include <immintrin.h>

#include "kernel/codes_private.h"
#include "kernel/hadamard.h"

#define INLINE inline __attribute__((always_inline))
#define GROUP 4u

enum metric { METRIC_DOT, METRIC_L2 };

static INLINE __m512i add_codes(__m512i sums, __m512i codes, __m512i q_low, __m512i q_top) {
    const __m512i low_mask = _mm512_set1_epi8(15);
    __m512i low = _mm512_and_si512(codes, low_mask);
    __m512i top = _mm512_and_si512(_mm512_srli_epi16(codes, 4), low_mask);
    return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sums, low, q_low), top, q_top);
}

static INLINE __m128i quarter(__m512i sums) {
    __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* Four sums at once, transposed. */
static INLINE __m128i four_sums(const __m512i sums[GROUP]) {
    __m128i s0 = quarter(sums[0]), s1 = quarter(sums[1]), s2 = quarter(sums[2]),
            s3 = quarter(sums[3]);
    return _mm_hadd_epi32(_mm_hadd_epi32(s0, s1), _mm_hadd_epi32(s2, s3));
}

static INLINE void four_codes(const int8_t *query, const uint8_t *const codes[GROUP], size_t padded,
                              int32_t *out) {
    __m512i sums[GROUP] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                           _mm512_setzero_si512()};
    size_t at = 0;
    for (; at + 128 <= padded; at += 128) {
        __m512i q_low = _mm512_loadu_si512(query + at), q_top = _mm512_loadu_si512(query + at + 64);
        for (size_t i = 0; i < GROUP; i++) {
            sums[i] = add_codes(sums[i], _mm512_loadu_si512(codes[i] + at / 2), q_low, q_top);
        }
    }
    if (at < padded) {
        __mmask64 mask = (1ull << (padded - at) / 2) - 1;
        __m512i q_low = _mm512_loadu_si512(query + at), q_top = _mm512_loadu_si512(query + at + 64);
        for (size_t i = 0; i < GROUP; i++) {
            __m512i last = _mm512_maskz_loadu_epi8(mask, codes[i] + at / 2);
            sums[i] = add_codes(sums[i], last, q_low, q_top);
        }
    }
    _mm_storeu_si128((__m128i *)(void *)out, four_sums(sums));
}

static void code4_dots_avx512(const int8_t *query, const uint8_t *const *codes, size_t count,
                              size_t padded, int32_t *out) {
    size_t at = 0;
    for (; at + GROUP <= count; at += GROUP) {
        four_codes(query, codes + at, padded, out + at);
    }
    if (at < count) { /* the last code again in the places that are left */
        const uint8_t *last[GROUP];
        int32_t sums[GROUP];
        for (size_t i = 0; i < GROUP; i++) {
            last[i] = codes[at + i < count ? at + i : count - 1];
        }
        four_codes(query, last, padded, sums);
        for (size_t i = 0; at + i < count; i++) {
            out[at + i] = sums[i];
        }
    }
}

static INLINE __mmask16 tail_mask(size_t count) {
    return (__mmask16)((1u << count) - 1u);
}

static INLINE __m512 load_f16(const uint16_t *from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

static INLINE __m512 load_f16_tail(__mmask16 mask, const uint16_t *from) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from));
}

static INLINE __m512 load_u8(const uint8_t *from) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
}

static INLINE __m512 load_u8_tail(__mmask16 mask, const uint8_t *from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from)));
}

static INLINE __m512 add_terms(enum metric metric, __m512 sums, __m512 left, __m512 right) {
    if (metric == METRIC_L2) {
        __m512 difference = _mm512_sub_ps(left, right);
        return _mm512_fmadd_ps(difference, difference, sums);
    }
    return _mm512_fmadd_ps(left, right, sums);
}

#define ROW_KERNEL(name, metric, type, load_row)                                                   \
    static float name##_avx512(const float *query, const type *row, size_t dim) {                  \
        __m512 even = _mm512_setzero_ps(), odd = even;                                             \
        size_t at = 0;                                                                             \
        for (; at + 32 <= dim; at += 32) {                                                         \
            even = add_terms(metric, even, _mm512_loadu_ps(query + at), load_row(row + at));       \
            odd =                                                                                  \
                add_terms(metric, odd, _mm512_loadu_ps(query + at + 16), load_row(row + at + 16)); \
        }                                                                                          \
        for (; at < dim; at += 16) {                                                               \
            __mmask16 mask = tail_mask(dim - at < 16 ? dim - at : 16);                             \
            even = add_terms(metric, even, _mm512_maskz_loadu_ps(mask, query + at),                \
                             load_row##_tail(mask, row + at));                                     \
        }                                                                                          \
        return _mm512_reduce_add_ps(_mm512_add_ps(even, odd));                                     \
    }

ROW_KERNEL(dot_f16, METRIC_DOT, uint16_t, load_f16)
ROW_KERNEL(l2_f16, METRIC_L2, uint16_t, load_f16)
ROW_KERNEL(dot_u8, METRIC_DOT, uint8_t, load_u8)
ROW_KERNEL(l2_u8, METRIC_L2, uint8_t, load_u8)

static void hadamard_avx512(float *values, size_t size) {
    hadamard(values, size);
}

const struct code_kernels code_kernels_avx512 = {
    .isa = "avx512",
    .code4_dots = code4_dots_avx512,
    .hadamard_f32 = hadamard_avx512,
    .dot_f16 = dot_f16_avx512,
    .l2_f16 = l2_f16_avx512,
    .dot_u8 = dot_u8_avx512,
    .l2_u8 = l2_u8_avx512,
};
