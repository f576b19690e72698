/* Arrays of numbers, as vectors are sent, read as floats in one pass.
 *
 * A decimal of up to 2^53 over a power of ten up to 10^22 is one exact division, so it is the
 * double that a full parse gives. A longer one is off by at most two units of the double's last
 * place, which changes the float only close to the middle between two floats: there, and beyond
 * those powers, the text is read by json_text_number. Arrays go in blocks of 64 bytes, the ends of
 * all numbers of a block at once. */
#include <stddef.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "base/assert.h"
#include "base/json_decimal.h"
#include "base/json_text.h"

#define POWER_MAX 22     /* 10^22 is the last power of ten that a double holds exactly */
#define ODD_MAX 8u       /* when so many blocks were tried in vain, the numbers are not fractions */
#define FLOAT_MAX 3.4e38 /* a little below the largest float: beyond, the full parse decides */

static const double powers[POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool float_of_text(const char *at, const char *end, float *out) {
    double value;
    if (!json_text_number((ins_text){at, (size_t)(end - at)}, &value) || value > FLOAT_MAX ||
        value < -FLOAT_MAX) {
        return false;
    }
    *out = (float)value;
    return true;
}

/* Where the double may be off by two units: is the float certain? */
static inline bool float_is_certain(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    int64_t beyond = (int64_t)(bits & 0x1fffffff) - 0x10000000; /* of what the float drops */
    return beyond < -4 || beyond > 4;
}

static inline bool float_of(const struct decimal *decimal, const char *at, const char *end,
                            float *out) {
    int32_t power = decimal->power;
    if (decimal->digit_count > DIGITS_MAX || power < -POWER_MAX || power > POWER_MAX) {
        return !decimal->whole && float_of_text(at, end, out);
    }
    double value = (double)decimal->digits;
    value = power <= 0 ? value / powers[-power] : value * powers[power];
    if (decimal->digits >> 53 != 0 && !decimal->whole && !float_is_certain(value)) {
        return float_of_text(at, end, out);
    }
    if (decimal->whole) { /* an integer: no negative zero, and below zero not beyond 64 bits */
        bool fits = !decimal->negative || decimal->digits <= INT64_MAX;
        *out = (float)(decimal->negative ? 0.0 - value : value);
        return fits;
    }
    *out = (float)(decimal->negative ? -value : value);
    return value <= FLOAT_MAX;
}

/* ---- Arrays of numbers --------------------------------------------------------------------- */

struct floats {
    float *out;
    size_t capacity, count;
    bool closed; /* the array's end was passed */
};

/* The number at `at` and what follows it, a comma or the array's end: behind that, or NULL. */
static inline const char *take_float(const char *at, const char *end, struct floats *floats) {
    struct decimal decimal;
    at = pass_space(at, end);
    const char *next = take_decimal(at, end, &decimal);
    if (next == NULL || floats->count == floats->capacity ||
        !float_of(&decimal, at, next, &floats->out[floats->count])) {
        return NULL;
    }
    floats->count++;
    next = pass_space(next, end);
    if (next == end || (*next != ',' && *next != ']')) {
        return NULL;
    }
    floats->closed = *next == ']';
    return next + 1;
}

#ifdef __SSE2__

#define BLOCK_BYTES 64
#define FRACTION_MAX 18u /* digits behind the point, so that with the one before it all fit */
#define READ_BEYOND 32   /* bytes behind a number's end that may be loaded */
#define READ_BEFORE 16   /* and before it: of the array */

/* A bit for each comma and closing bracket of the block. */
static inline uint64_t delimiters(const char *block) {
    uint64_t mask = 0;
    for (int i = 0; i < BLOCK_BYTES / 16; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i));
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(',')),
                                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(']')));
        mask |= (uint64_t)(unsigned)_mm_movemask_epi8(hits) << 16 * i;
    }
    return mask;
}

/* A number of one digit, a point and `count` digits up to `stop`: what stands before those. */
struct fraction {
    uint64_t first, negative;
    size_t count;
};

/* False: it is not of this kind. */
static inline bool take_first(const char *at, const char *stop, struct fraction *out) {
    at += *at == ' ';
    out->negative = *at == '-';
    at += out->negative;
    out->first = (uint64_t)(unsigned char)(at[0] - '0');
    out->count = (size_t)(stop - at) - 2; /* wraps when there are fewer */
    return out->count - 1 < FRACTION_MAX && at[1] == '.' && out->first <= 9;
}

/* digits / 10^count as a float; false when that is not certain. */
static inline bool float_of_fraction(uint64_t digits, const struct fraction *fraction, float *out) {
    double value = (double)(int64_t)digits / powers[fraction->count];
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bool certain = digits >> 53 == 0 || (digits >> 63 == 0 && float_is_certain(value));
    bits |= fraction->negative << 63;
    memcpy(&value, &bits, sizeof(value));
    *out = (float)value;
    return certain;
}

/* Such a number, without the branches of take_decimal; false: it is not of this kind. */
static inline bool take_fraction(const char *at, const char *stop, float *out) {
    struct fraction fraction;
    if (!take_first(at, stop, &fraction)) {
        return false;
    }
    uint64_t digits = fraction.first, others = 0, values;
    size_t left = fraction.count;
    for (at = stop - left; left > 8; left -= 8, at += 8) {
        values = load_u64(at) ^ 0x3030303030303030ull;
        others |= (values + 0x7676767676767676ull) | values;
        digits = digits * word_powers[8] + word_of_digits(values);
    }
    values = (load_u64(at) ^ 0x3030303030303030ull) << (64 - 8 * left);
    others |= (values + 0x7676767676767676ull) | values;
    digits = digits * word_powers[left] + word_of_digits(values);
    return float_of_fraction(digits, &fraction, out) && (others & 0x8080808080808080ull) == 0;
}

typedef bool (*fraction_reader)(const char *at, const char *stop, float *out);

/* Takes such numbers while whole blocks are there, up to one that is of another kind: where it
 * stopped. Where numbers end is seen in the block's mask, so that none waits for the one before. */
static inline __attribute__((always_inline)) const char *
take_blocks_by(fraction_reader reader, uint64_t (*ends)(const char *block), const char *at,
               const char *end, struct floats *floats) {
    float *out = floats->out + floats->count;
    const float *limit = floats->out + floats->capacity;
    bool going = true;
    for (const char *block = at; going && end - block >= BLOCK_BYTES + READ_BEYOND;
         block += BLOCK_BYTES) {
        for (uint64_t mask = ends(block); mask != 0; mask &= mask - 1) {
            const char *stop = block + __builtin_ctzll(mask);
            going = out < limit && reader(at, stop, out);
            if (!going) {
                break;
            }
            out++;
            at = stop + 1;
            if (*stop == ']') {
                floats->closed = true;
                going = false;
                break;
            }
        }
    }
    floats->count = (size_t)(out - floats->out);
    return at;
}

static const char *take_blocks_narrow(const char *at, const char *end, struct floats *floats) {
    return take_blocks_by(take_fraction, delimiters, at, end, floats);
}

#define WIDE __attribute__((target("avx2,bmi,bmi2")))
#define WIDE_DIGITS 16u

WIDE static inline uint64_t delimiters_wide(const char *block) {
    uint64_t mask = 0;
    for (int i = 0; i < BLOCK_BYTES / 32; i++) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(block + 32 * i));
        __m256i hits = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(',')),
                                       _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(']')));
        mask |= (uint64_t)(unsigned)_mm256_movemask_epi8(hits) << 32 * i;
    }
    return mask;
}

/* As take_fraction, all of the last sixteen digits at once: pairs, fours, eights. */
WIDE static inline bool take_fraction_wide(const char *at, const char *stop, float *out) {
    static const uint8_t kept_bytes[2 * WIDE_DIGITS] = {[WIDE_DIGITS] = 255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255,
                                                        255};
    static const uint64_t shift[WIDE_DIGITS + 1] = {1ull,
                                                    10ull,
                                                    100ull,
                                                    1000ull,
                                                    10000ull,
                                                    100000ull,
                                                    1000000ull,
                                                    10000000ull,
                                                    100000000ull,
                                                    1000000000ull,
                                                    10000000000ull,
                                                    100000000000ull,
                                                    1000000000000ull,
                                                    10000000000000ull,
                                                    100000000000000ull,
                                                    1000000000000000ull,
                                                    10000000000000000ull};
    struct fraction fraction;
    if (!take_first(at, stop, &fraction)) {
        return false;
    }
    size_t kept = fraction.count;
    uint64_t before = fraction.first;
    for (; kept > WIDE_DIGITS; kept--) {
        if (!is_digit(stop[-(ptrdiff_t)kept])) {
            return false;
        }
        before = before * 10 + (uint64_t)(stop[-(ptrdiff_t)kept] - '0');
    }
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(stop - WIDE_DIGITS));
    __m128i mask = _mm_loadu_si128((const __m128i *)(const void *)(kept_bytes + kept));
    __m128i values = _mm_and_si128(_mm_sub_epi8(bytes, _mm_set1_epi8('0')), mask);
    __m128i others = _mm_subs_epu8(values, _mm_set1_epi8(9));
    __m128i pairs = _mm_maddubs_epi16(values, _mm_set1_epi16(0x010a));
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064));
    fours = _mm_packus_epi32(fours, fours);
    __m128i eights = _mm_madd_epi16(fours, _mm_set1_epi32(0x00012710));
    uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
    uint64_t digits = before * shift[kept] + (both & UINT32_MAX) * 100000000u + (both >> 32);
    return _mm_testz_si128(others, others) && float_of_fraction(digits, &fraction, out);
}

WIDE static const char *take_blocks_wide(const char *at, const char *end, struct floats *floats) {
    return take_blocks_by(take_fraction_wide, delimiters_wide, at, end, floats);
}

static bool narrow_only;

void json_floats_narrow(bool only) {
    narrow_only = only;
}

static const char *take_blocks(const char *at, const char *end, struct floats *floats) {
    bool wide = !narrow_only && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    return wide ? take_blocks_wide(at, end, floats) : take_blocks_narrow(at, end, floats);
}

#else

#define READ_BEFORE 0

void json_floats_narrow(bool only) {
    (void)only;
}

static const char *take_blocks(const char *at, const char *end, struct floats *floats) {
    (void)end;
    (void)floats;
    return at;
}

#endif

bool json_read_floats(struct json_cursor *cursor, float *out, size_t capacity, size_t *out_count) {
    struct floats floats = {.out = out, .capacity = capacity};
    if (!json_read_byte(cursor, '[')) {
        return false;
    }
    const char *first = cursor->at, *at = first;
    uint32_t odd = 0; /* blocks that began with a number of another kind */
    while (at != NULL && !floats.closed) {
        if (at - first >= READ_BEFORE && odd < ODD_MAX) {
            const char *before = at;
            at = take_blocks(at, cursor->end, &floats);
            odd += at == before;
        }
        if (!floats.closed) {
            at = take_float(at, cursor->end, &floats);
        }
    }
    if (at == NULL) {
        return false;
    }
    cursor->at = at;
    *out_count = floats.count;
    return true;
}
