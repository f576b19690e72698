/* Compressed rows on AVX2: 32 codes or 8 floats a register. */
#include <immintrin.h>

#include "kernel/code_list.h"
#include "kernel/code_list_add.h"
#include "kernel/code_rest.h"
#include "kernel/hadamard.h"
#include "kernel/kernel_private.h"

#define INLINE inline __attribute__((always_inline))

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

void kernel_code4_dots_avx2(const int8_t *query, const uint8_t *const *codes, size_t count,
                            size_t padded, int32_t *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = code4_dot(query, codes[i], padded);
    }
}

/* ---- 1-bit codes ---- */

/* Counts of bits in halves of bytes, times the plane's weight; 8 * (4 - count) for the plane of
 * weight -8, so that every value of a byte's sum, 0 .. 120, fits and is 64 too large. */
#define BIAS 512 /* 64 a byte, of the 8 bytes of a word */
static const uint8_t weighed[CODE1_PLANES][16] = {
    {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4},
    {0, 2, 2, 4, 2, 4, 4, 6, 2, 4, 4, 6, 4, 6, 6, 8},
    {0, 4, 4, 8, 4, 8, 8, 12, 4, 8, 8, 12, 8, 12, 12, 16},
    {32, 24, 24, 16, 24, 16, 16, 8, 24, 16, 16, 8, 16, 8, 8, 0},
};

/* Sums of four rows' words, BIAS too large. */
static INLINE __m256i word_sums(__m256i bits, const uint64_t planes[CODE1_PLANES], size_t first) {
    const __m256i low_mask = _mm256_set1_epi8(15);
    __m256i low = _mm256_and_si256(bits, low_mask);
    __m256i top = _mm256_and_si256(_mm256_srli_epi16(bits, 4), low_mask);
    __m256i sums = _mm256_setzero_si256();
    for (size_t p = first; p < CODE1_PLANES; p++) {
        __m256i table =
            _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)weighed[p]));
        __m256i plane = _mm256_set1_epi64x((long long)planes[p]);
        __m256i q_top = _mm256_and_si256(_mm256_srli_epi16(plane, 4), low_mask);
        sums = _mm256_add_epi8(sums, _mm256_shuffle_epi8(table, _mm256_and_si256(low, plane)));
        sums = _mm256_add_epi8(sums, _mm256_shuffle_epi8(table, _mm256_and_si256(top, q_top)));
    }
    return _mm256_sad_epu8(sums, _mm256_setzero_si256());
}

/* `first` is a constant at every call, so the loop over planes unrolls. */
static INLINE void bounds_of(const struct code1_query *query, const void *blocks,
                             size_t block_count, size_t words, size_t first, float *out) {
    const uint8_t *block = blocks;
    for (size_t b = 0; b < block_count; b++, block += code1_block_bytes(words)) {
        const float *factors = (const float *)(const void *)(block + CODE1_ROWS * words * 8);
        const __m256i *from = (const __m256i *)(const void *)block;
        __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                           _mm256_setzero_si256()};
        for (size_t w = 0; w < words; w++) {
            for (size_t i = 0; i < 4; i++) {
                __m256i bits = _mm256_loadu_si256(from + 4 * w + i);
                sums[i] = _mm256_add_epi64(sums[i], word_sums(bits, query->planes + 4 * w, first));
            }
        }
        __m128 step = _mm_set1_ps(query->step), offset = _mm_set1_ps(query->offset);
        for (size_t i = 0; i < 4; i++) {
            __m256 even = _mm256_castsi256_ps(sums[i]); /* the low halves of four sums, together */
            __m128i four = _mm_castps_si128(
                _mm_shuffle_ps(_mm256_castps256_ps128(even), _mm256_extractf128_ps(even, 1), 0x88));
            four = _mm_sub_epi32(four, _mm_set1_epi32((int)words * BIAS));
            __m128 product = _mm_fmadd_ps(step, _mm_cvtepi32_ps(four), offset);
            const float *at = factors + 4 * i;
            __m128 bounds = _mm_fmadd_ps(_mm_loadu_ps(at + CODE1_ROWS), product, _mm_loadu_ps(at));
            bounds =
                _mm_fnmadd_ps(_mm_loadu_ps(at + 2 * CODE1_ROWS), _mm_set1_ps(query->slack), bounds);
            _mm_storeu_ps(out + CODE1_ROWS * b + 4 * i, bounds);
        }
    }
}

void kernel_code1_bounds_avx2(const struct code1_query *query, const void *blocks,
                              size_t block_count, size_t words, float *out) {
    if (query->first_plane == 0) {
        bounds_of(query, blocks, block_count, words, 0, out);
    } else {
        bounds_of(query, blocks, block_count, words, 1, out);
    }
}

void kernel_list_table_avx2(const float *query, size_t padded, float inverse, uint8_t *table) {
    list_table(query, padded, inverse, table);
}

float kernel_rest_dot_avx2(const float *query, const uint8_t *code, const void *rest,
                           size_t padded) {
    return rest_sum(query, code, rest, padded, false);
}

float kernel_rest_l2_avx2(const float *query, const uint8_t *code, const void *rest,
                          size_t padded) {
    return rest_sum(query, code, rest, padded, true);
}

void kernel_rest_values_avx2(const uint8_t *code, const void *rest, size_t padded, float *out) {
    rest_decode(code, rest, padded, out);
}

struct code_list_sums kernel_list_add_avx2(const float *from, const float *to, size_t padded,
                                           uint32_t row, uint8_t *list) {
    return list_add(from, to, padded, row, list);
}

/* ---- Lists ---- */

/* Sums of bytes, kept as 16 bits: `all` of both bytes, the upper times 256, and `upper` alone. */
struct byte_sums {
    __m256i all, upper;
};

static INLINE void add_bytes(struct byte_sums *sums, __m256i bytes) {
    sums->all = _mm256_add_epi16(sums->all, bytes);
    sums->upper = _mm256_add_epi16(sums->upper, _mm256_srli_epi16(bytes, 8));
}

/* Those of 16 rows; each half of a register has its own groups of dimensions. */
static INLINE void take_sums(const struct byte_sums *sums, uint32_t *out) {
    __m256i even = _mm256_sub_epi16(sums->all, _mm256_slli_epi16(sums->upper, 8));
    __m128i a = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    __m128i b = _mm_add_epi16(_mm256_castsi256_si128(sums->upper),
                              _mm256_extracti128_si256(sums->upper, 1));
    __m256i *to = (__m256i *)(void *)out;
    __m256i first = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(a, b));
    __m256i second = _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(a, b));
    _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), first));
    _mm256_storeu_si256(to + 1, _mm256_add_epi32(_mm256_loadu_si256(to + 1), second));
}

void kernel_code_list_avx2(const struct code_list_query *query, const void *list, size_t padded,
                           float *out) {
    const __m256i low_mask = _mm256_set1_epi8(15), none = _mm256_setzero_si256();
    const __m256i *codes = list, *table = (const __m256i *)(const void *)query->table;
    uint32_t sums[CODE_LIST_ROWS] = {0};
    size_t groups = padded / 4; /* a multiple of 4 */
    while (groups > 0) {
        size_t part = groups < LIST_PART ? groups : LIST_PART;
        struct byte_sums low = {none, none}, top = {none, none};
        groups -= part;
        for (; part > 0; part -= 2) {
            __m256i code = _mm256_loadu_si256(codes++), values = _mm256_loadu_si256(table++);
            __m256i high = _mm256_and_si256(_mm256_srli_epi16(code, 4), low_mask);
            code = _mm256_and_si256(code, low_mask);
            add_bytes(&low, _mm256_shuffle_epi8(values, code));
            add_bytes(&top, _mm256_shuffle_epi8(values, high));
        }
        take_sums(&low, sums);
        take_sums(&top, sums + 16);
    }
    list_finish(query, (const uint8_t *)codes, sums, out);
}

/* ---- Rotation ---- */

void kernel_hadamard_f32_avx2(float *values, size_t size) {
    hadamard(values, size);
}
