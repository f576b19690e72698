/* Compressed rows on AVX-512 without its extensions for them: transforms, rests and lists of codes
 * 16 floats or 64 bytes at a time; other codes as on AVX2, whose instructions for bytes are there
 * and whose clock is not lower. */
#include <immintrin.h>
#include <stdbool.h>

#include "kernel/code_list.h"
#include "kernel/hadamard.h"
#include "kernel/kernel_private.h"

#define INLINE inline __attribute__((always_inline))

void kernel_code4_dots_avx512(const int8_t *query, const uint8_t *const *codes, size_t count,
                              size_t padded, int32_t *out) {
    kernel_code4_dots_avx2(query, codes, count, padded, out);
}

void kernel_code1_bounds_avx512(const struct code1_query *query, const void *blocks,
                                size_t block_count, size_t words, float *out) {
    kernel_code1_bounds_avx2(query, blocks, block_count, words, out);
}

void kernel_hadamard_f32_avx512(float *values, size_t size) {
    hadamard(values, size);
}

/* ---- Rests ---- */

#define REST_KEPT 7168.0f /* values farther from 0 are stretched (codes.h) */

/* Adds what the dimensions of `mask` give to the sums: their levels are in `level`, their rests at
 * `high` and `pairs`. Accumulator: floats, a block of 128 dimensions long. */
static INLINE __m512 rest_add(__m512 sums, __mmask16 mask, const float *query, __m512i level,
                              const uint8_t *high, uint32_t pairs, __m512 step, __m512 reach,
                              bool l2) {
    const __m512i shifts =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    __m512i rest =
        _mm512_cvtepu8_epi32(_mm512_castsi512_si128(_mm512_maskz_loadu_epi8(mask, high)));
    __m512i low = _mm512_srlv_epi32(_mm512_set1_epi32((int)pairs), shifts);
    low = _mm512_and_si512(low, _mm512_set1_epi32(3));
    rest = _mm512_or_si512(_mm512_slli_epi32(rest, 2), low);
    __m512i whole = _mm512_add_epi32(_mm512_slli_epi32(level, 10), rest);
    __m512 value = _mm512_add_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(0.5f - 8192.0f));
    __m512 kept = _mm512_set1_ps(REST_KEPT);
    __m512 beyond = _mm512_sub_ps(
        value, _mm512_max_ps(_mm512_min_ps(value, kept), _mm512_sub_ps(_mm512_setzero_ps(), kept)));
    value = _mm512_fmadd_ps(beyond, reach, _mm512_mul_ps(value, step));
    __m512 from = _mm512_maskz_loadu_ps(mask, query);
    if (l2) {
        value = _mm512_maskz_sub_ps(mask, value, from);
        return _mm512_fmadd_ps(value, value, sums);
    }
    return _mm512_fmadd_ps(value, from, sums);
}

/* The next 16 or 8 dimensions of both halves of a block. */
static INLINE void rest_step(__m512 sums[2], __mmask16 mask, const float *query,
                             const uint8_t *code, const uint8_t *high, const uint8_t *low,
                             size_t half, __m512 step, __m512 reach, bool l2) {
    __m512i levels =
        _mm512_cvtepu8_epi32(_mm512_castsi512_si128(_mm512_maskz_loadu_epi8(mask, code)));
    uint32_t first = 0, second = 0;
    memcpy(&first, low, mask == 0xffff ? 4 : 2);
    memcpy(&second, low + half / 4, mask == 0xffff ? 4 : 2);
    sums[0] = rest_add(sums[0], mask, query, _mm512_and_si512(levels, _mm512_set1_epi32(15)), high,
                       first, step, reach, l2);
    sums[1] = rest_add(sums[1], mask, query + half, _mm512_srli_epi32(levels, 4), high + half,
                       second, step, reach, l2);
}

static INLINE float rest_sum(const float *query, const uint8_t *code, const void *row,
                             size_t padded, bool l2) {
    struct code_rest scale;
    memcpy(&scale, row, sizeof(scale));
    const uint8_t *high = (const uint8_t *)row + sizeof(scale), *low = high + padded;
    __m512 step = _mm512_set1_ps(scale.step), reach = _mm512_set1_ps(scale.reach);
    double total = 0;
    for (size_t at = 0; at < padded; at += 128) {
        size_t half = padded - at < 128 ? (padded - at) / 2 : 64, j = 0;
        __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        for (; j + 16 <= half; j += 16) {
            rest_step(sums, 0xffff, query + at + j, code + at / 2 + j, high + at + j,
                      low + (at + j) / 4, half, step, reach, l2);
        }
        if (j < half) { /* a multiple of 8 */
            rest_step(sums, 0xff, query + at + j, code + at / 2 + j, high + at + j,
                      low + (at + j) / 4, half, step, reach, l2);
        }
        total += (double)_mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
    }
    return (float)total;
}

float kernel_rest_dot_avx512(const float *query, const uint8_t *code, const void *rest,
                             size_t padded) {
    return rest_sum(query, code, rest, padded, false);
}

float kernel_rest_l2_avx512(const float *query, const uint8_t *code, const void *rest,
                            size_t padded) {
    return rest_sum(query, code, rest, padded, true);
}

/* ---- Lists ---- */

/* As on AVX2, each quarter of a register with groups of its own: at most 64 of LIST_PART in one, so
 * that the sum of all fits 16 bits. */
struct byte_sums {
    __m512i all, upper;
};

static INLINE void add_bytes(struct byte_sums *sums, __m512i bytes) {
    sums->all = _mm512_add_epi16(sums->all, bytes);
    sums->upper = _mm512_add_epi16(sums->upper, _mm512_srli_epi16(bytes, 8));
}

static INLINE __m128i fold(__m512i quarters) {
    __m256i halves =
        _mm256_add_epi16(_mm512_castsi512_si256(quarters), _mm512_extracti64x4_epi64(quarters, 1));
    return _mm_add_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

static INLINE void take_sums(const struct byte_sums *sums, uint32_t *out) {
    __m128i even = fold(_mm512_sub_epi16(sums->all, _mm512_slli_epi16(sums->upper, 8)));
    __m128i odd = fold(sums->upper);
    __m256i words = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(even, odd)),
                                            _mm_unpackhi_epi16(even, odd), 1);
    __m512i *to = (__m512i *)(void *)out;
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(to), _mm512_cvtepu16_epi32(words)));
}

void kernel_code_list_avx512(const struct code_list_query *query, const void *list, size_t padded,
                             float *out) {
    const __m512i low_mask = _mm512_set1_epi8(15), none = _mm512_setzero_si512();
    const __m512i *codes = list, *table = (const __m512i *)(const void *)query->table;
    uint32_t sums[CODE_LIST_ROWS] = {0};
    size_t groups = padded / 4; /* a multiple of 4 */
    while (groups > 0) {
        size_t part = groups < LIST_PART ? groups : LIST_PART;
        struct byte_sums low = {none, none}, top = {none, none};
        groups -= part;
        for (; part > 0; part -= 4) {
            __m512i code = _mm512_loadu_si512(codes++), values = _mm512_loadu_si512(table++);
            __m512i high = _mm512_and_si512(_mm512_srli_epi16(code, 4), low_mask);
            code = _mm512_and_si512(code, low_mask);
            add_bytes(&low, _mm512_shuffle_epi8(values, code));
            add_bytes(&top, _mm512_shuffle_epi8(values, high));
        }
        take_sums(&low, sums);
        take_sums(&top, sums + 16);
    }
    list_finish(query, (const uint8_t *)codes, sums, out);
}

void kernel_list_table_avx512(const float *query, size_t padded, float inverse, uint8_t *table) {
    list_table(query, padded, inverse, table);
}
