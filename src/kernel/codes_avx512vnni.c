/* Compressed rows on AVX-512 with VNNI and VPOPCNTDQ: products of bytes are added up, and bits of
 * words counted, by one instruction. */
#include <immintrin.h>

#include "kernel/kernel_private.h"

#define INLINE inline __attribute__((always_inline))
#define GROUP 4u

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

void kernel_code4_dots_avx512vnni(const int8_t *query, const uint8_t *const *codes, size_t count,
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

/* ---- 1-bit codes ---- */

struct counts { /* by plane, of the 8 rows of a register */
    __m512i of[CODE1_PLANES];
};

static INLINE void count_word(struct counts *counts, __m512i bits, const __m512i *planes,
                              size_t first) {
    for (size_t p = first; p < CODE1_PLANES; p++) {
        __m512i found = _mm512_popcnt_epi64(_mm512_and_si512(bits, planes[p]));
        counts->of[p] = _mm512_add_epi64(counts->of[p], found);
    }
}

static INLINE __m256i sums_of(const struct counts *counts) {
    __m512i low = _mm512_add_epi64(counts->of[0], _mm512_slli_epi64(counts->of[1], 1));
    __m512i top =
        _mm512_sub_epi64(_mm512_slli_epi64(counts->of[2], 2), _mm512_slli_epi64(counts->of[3], 3));
    return _mm512_cvtepi64_epi32(_mm512_add_epi64(low, top));
}

static INLINE __m512 to_floats(__m256i left, __m256i right) {
    return _mm512_cvtepi32_ps(_mm512_inserti64x4(_mm512_castsi256_si512(left), right, 1));
}

#define AHEAD_BYTES 4096u
/* `first` is a constant, and `words` where the loop over them is to unroll. */
static INLINE void bounds_of(const struct code1_query *query, const uint8_t *block,
                             size_t block_count, size_t words, size_t first, float *out) {
    const __m512 step = _mm512_set1_ps(query->step), offset = _mm512_set1_ps(query->offset);
    const __m512 slack = _mm512_set1_ps(query->slack);
    for (size_t b = 0; b < block_count; b++, block += code1_block_bytes(words)) {
        struct counts left = {0}, right = {0};
        for (size_t line = 0; line < code1_block_bytes(words); line += 64) {
            __builtin_prefetch(block + AHEAD_BYTES + line);
        }
        for (size_t w = 0; w < words; w++) {
            __m512i planes[CODE1_PLANES];
            for (size_t p = first; p < CODE1_PLANES; p++) {
                planes[p] = _mm512_set1_epi64((long long)query->planes[CODE1_PLANES * w + p]);
            }
            count_word(&left, _mm512_loadu_si512(block + 128 * w), planes, first);
            count_word(&right, _mm512_loadu_si512(block + 128 * w + 64), planes, first);
        }
        const float *factors = (const float *)(const void *)(block + 128 * words);
        __m512 sums = to_floats(sums_of(&left), sums_of(&right));
        __m512 bounds =
            _mm512_fmadd_ps(_mm512_loadu_ps(factors + CODE1_ROWS),
                            _mm512_fmadd_ps(step, sums, offset), _mm512_loadu_ps(factors));
        bounds = _mm512_fnmadd_ps(_mm512_loadu_ps(factors + 2 * CODE1_ROWS), slack, bounds);
        _mm512_storeu_ps(out + CODE1_ROWS * b, bounds);
    }
}

void kernel_code1_bounds_avx512vnni(const struct code1_query *query, const void *blocks,
                                    size_t block_count, size_t words, float *out) {
    if (query->first_plane != 0) {
        bounds_of(query, blocks, block_count, words, 1, out);
    } else if (words == 2) { /* the planes of up to 128 dimensions stay in registers */
        bounds_of(query, blocks, block_count, 2, 0, out);
    } else {
        bounds_of(query, blocks, block_count, words, 0, out);
    }
}
