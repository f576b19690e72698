/* One pass over JSON of an expected shape.
 *
 * Numbers: eight digits are taken from one word at a time (the well-known multiply-and-shift). A
 * decimal of up to 2^53 over a power of ten up to 10^22 is one exact division, so it is the double
 * that a full parse gives. A longer one is off by at most two units of the double's last place,
 * which changes the float only close to the middle between two floats: there, and beyond those
 * powers, the text is read by json_text_number.
 * Arrays: in blocks of 64 bytes, the ends of all numbers of a block at once.
 * Bounds: every step goes forward and stops at the end; recursion is as deep as the JSON. */
#include "base/json_read.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/assert.h"
#include "base/bytes.h"
#include "base/json_check.h"
#include "base/json_text.h"

#define DIGITS_MAX 19u /* any such number fits 64 bits */
#define POWER_MAX 22   /* 10^22 is the last power of ten that a double holds exactly */
#define EXPONENT_DIGITS_MAX 3u
#define FLOAT_MAX 3.4e38 /* a little below the largest float: beyond, the full parse decides */

static const double powers[POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
static const uint32_t word_powers[9] = {1,      10,      100,      1000,     10000,
                                        100000, 1000000, 10000000, 100000000};

static inline const char *pass_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) {
        at++;
    }
    return at;
}

void json_read_space(struct json_cursor *cursor) {
    cursor->at = pass_space(cursor->at, cursor->end);
}

bool json_read_byte(struct json_cursor *cursor, char byte) {
    const char *at = pass_space(cursor->at, cursor->end);
    if (at == cursor->end || *at != byte) {
        return false;
    }
    cursor->at = at + 1;
    return true;
}

bool json_read_word(struct json_cursor *cursor, const char *word, size_t size) {
    const char *at = pass_space(cursor->at, cursor->end);
    cursor->at = at;
    if ((size_t)(cursor->end - at) < size || memcmp(at, word, size) != 0) {
        return false;
    }
    cursor->at = at + size;
    return true;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static inline bool is_digit(char byte) {
    return (unsigned char)(byte - '0') <= 9;
}

/* The number that the bytes of `values`, 0 to 9 each, the first lowest, are the digits of. */
static inline uint64_t word_of_digits(uint64_t values) {
    values = values * 10 + (values >> 8); /* pairs, in every second byte */
    uint64_t first = (values & 0x000000ff000000ffull) * 0x000f424000000064ull;
    uint64_t second = (values >> 16 & 0x000000ff000000ffull) * 0x0000271000000001ull;
    return (first + second) >> 32;
}

/* Takes all digits at `at`; *value and *count go on from what they are. `value` is of no use once
 * `count` is above DIGITS_MAX. */
static inline const char *take_digits(const char *at, const char *end, uint64_t *value,
                                      uint32_t *count) {
    while (end - at >= 8) {
        uint64_t values = load_u64(at) ^ 0x3030303030303030ull;
        /* The lowest byte that is no digit has its high bit set; those above it may be wrong. */
        uint64_t others = ((values + 0x7676767676767676ull) | values) & 0x8080808080808080ull;
        unsigned digits = others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
        if (digits == 0) {
            return at;
        }
        *value = *value * word_powers[digits] + word_of_digits(values << (64 - 8 * digits));
        *count += digits;
        at += digits;
        if (digits < 8) {
            return at;
        }
    }
    for (; at < end && is_digit(*at); at++, (*count)++) {
        *value = *value * 10 + (uint64_t)(*at - '0');
    }
    return at;
}

/* A number's parts: value = (negative ? -1 : 1) * digits * 10^power. */
struct decimal {
    uint64_t digits;
    uint32_t digit_count; /* above DIGITS_MAX: `digits` is of no use */
    int32_t power;
    bool negative, whole;
};

static const char *take_exponent(const char *at, const char *end, struct decimal *out) {
    uint64_t value = 0;
    uint32_t count = 0;
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    at = take_digits(at, end, &value, &count);
    if (count == 0 || count > EXPONENT_DIGITS_MAX) {
        return NULL;
    }
    out->power += negative ? -(int32_t)value : (int32_t)value;
    out->whole = false;
    return at;
}

/* Behind the number, or NULL. */
static inline const char *take_decimal(const char *at, const char *end, struct decimal *out) {
    *out = (struct decimal){.whole = true};
    if (at == end) {
        return NULL;
    }
    out->negative = *at == '-';
    at += out->negative;
    if (end - at >= 2 && at[1] == '.' && is_digit(at[0])) { /* what a vector's numbers look like */
        out->digits = (uint64_t)(at[0] - '0');
        out->digit_count = 1;
        at++;
    } else {
        bool zero = at < end && *at == '0';
        at = take_digits(at, end, &out->digits, &out->digit_count);
        if (out->digit_count == 0 || (zero && out->digit_count > 1)) {
            return NULL;
        }
    }
    if (at < end && *at == '.') {
        uint32_t before = out->digit_count;
        at = take_digits(at + 1, end, &out->digits, &out->digit_count);
        if (out->digit_count == before) {
            return NULL;
        }
        out->power = -(int32_t)(out->digit_count - before);
        out->whole = false;
    }
    return at < end && (*at == 'e' || *at == 'E') ? take_exponent(at + 1, end, out) : at;
}

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

bool json_read_unsigned(struct json_cursor *cursor, uint64_t *out) {
    const char *at = pass_space(cursor->at, cursor->end);
    struct decimal decimal;
    const char *next = take_decimal(at, cursor->end, &decimal);
    if (next == NULL || !decimal.whole || decimal.negative) {
        return false;
    }
    cursor->at = next;
    if (decimal.digit_count > DIGITS_MAX) {
        return json_text_unsigned((ins_text){at, (size_t)(next - at)}, out);
    }
    *out = decimal.digits;
    return true;
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

/* A number of one digit, a point and some digits up to `stop`, without the branches of
 * take_decimal; false: it is not of this kind. */
static inline bool take_fraction(const char *at, const char *stop, float *out) {
    at += *at == ' ';
    uint64_t negative = *at == '-';
    at += negative;
    size_t count = (size_t)(stop - at) - 2; /* wraps when there are fewer */
    if (count - 1 >= FRACTION_MAX || at[1] != '.' || !is_digit(at[0])) {
        return false;
    }
    uint64_t digits = (uint64_t)(at[0] - '0'), others = 0, values;
    size_t left = count;
    for (at += 2; left > 8; left -= 8, at += 8) {
        values = load_u64(at) ^ 0x3030303030303030ull;
        others |= (values + 0x7676767676767676ull) | values;
        digits = digits * word_powers[8] + word_of_digits(values);
    }
    values = (load_u64(at) ^ 0x3030303030303030ull) << (64 - 8 * left);
    others |= (values + 0x7676767676767676ull) | values;
    digits = digits * word_powers[left] + word_of_digits(values);
    double value = (double)(int64_t)digits / powers[count];
    bool certain = digits >> 53 == 0 || (digits >> 63 == 0 && float_is_certain(value));
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bits |= negative << 63;
    memcpy(&value, &bits, sizeof(value));
    *out = (float)value;
    return certain && (others & 0x8080808080808080ull) == 0;
}

/* Takes numbers while whole blocks are there. Where numbers end is seen in the block's mask, so
 * that no number waits for the one before it. Where it stopped, or NULL. */
static const char *take_blocks(const char *at, const char *end, struct floats *floats) {
    for (const char *block = at; end - block >= BLOCK_BYTES + READ_BEYOND; block += BLOCK_BYTES) {
        uint64_t mask = delimiters(block);
        for (; mask != 0; mask &= mask - 1) {
            const char *stop = block + __builtin_ctzll(mask);
            if (floats->count < floats->capacity &&
                take_fraction(at, stop, &floats->out[floats->count])) {
                floats->count++;
                floats->closed = *stop == ']';
                at = stop + 1;
            } else {
                at = take_float(at, end, floats);
            }
            if (at == NULL || floats->closed) {
                return at;
            }
            INS_ASSERT(at == stop + 1);
        }
    }
    return at;
}

#else

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
    const char *at = take_blocks(cursor->at, cursor->end, &floats);
    while (at != NULL && !floats.closed) {
        at = take_float(at, cursor->end, &floats);
    }
    if (at == NULL) {
        return false;
    }
    cursor->at = at;
    *out_count = floats.count;
    return true;
}

/* ---- Strings ------------------------------------------------------------------------------- */

typedef uint8_t byte16 __attribute__((vector_size(16)));

/* First quote, backslash or control byte, or `end`. */
static inline const char *find_special(const char *at, const char *end) {
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        byte16 bytes;
        memcpy(&bytes, at, sizeof(bytes));
        byte16 hits = (byte16)(bytes == '"') | (byte16)(bytes == '\\') | (byte16)(bytes < 0x20);
        unsigned mask = (unsigned)_mm_movemask_epi8((__m128i)hits);
        if (mask != 0) {
            return at + __builtin_ctz(mask);
        }
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
        at++;
    }
    return at;
}

static bool hex4(const char *at, const char *end, uint32_t *out) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, at++) {
        unsigned char byte = at < end ? (unsigned char)*at : 0;
        unsigned char letter = byte | 0x20;
        if (is_digit((char)byte)) {
            value = value << 4 | (uint32_t)(byte - '0');
        } else if (letter >= 'a' && letter <= 'f') {
            value = value << 4 | (uint32_t)(letter - 'a' + 10);
        } else {
            return false;
        }
    }
    *out = value;
    return true;
}

/* From a backslash to behind its escape, or NULL. A surrogate must have its partner. */
static const char *take_escape(const char *at, const char *end) {
    uint32_t unit;
    if (end - at < 2) {
        return NULL;
    }
    if (at[1] != 'u') {
        return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? at + 2 : NULL;
    }
    if (!hex4(at + 2, end, &unit) || (unit >= 0xdc00 && unit <= 0xdfff)) {
        return NULL;
    }
    at += 6;
    if (unit < 0xd800 || unit > 0xdfff) {
        return at;
    }
    bool pair = end - at >= 6 && at[0] == '\\' && at[1] == 'u' && hex4(at + 2, end, &unit) &&
                unit >= 0xdc00 && unit <= 0xdfff;
    return pair ? at + 6 : NULL;
}

/* From behind the opening quote to the closing one, or NULL. */
static inline const char *take_string(const char *at, const char *end) {
    for (;;) {
        at = find_special(at, end);
        if (at == end) {
            return NULL;
        }
        if (*at == '"') {
            return at;
        }
        at = *at == '\\' ? take_escape(at, end) : NULL;
        if (at == NULL) {
            return NULL;
        }
    }
}

bool json_read_plain_string(struct json_cursor *cursor, ins_text *out) {
    if (!json_read_byte(cursor, '"')) {
        return false;
    }
    const char *end = find_special(cursor->at, cursor->end);
    if (end == cursor->end || *end != '"') {
        return false;
    }
    *out = (ins_text){cursor->at, (size_t)(end - cursor->at)};
    cursor->at = end + 1;
    return true;
}

/* ---- Objects ------------------------------------------------------------------------------- */

static const char *take_container(const char *at, const char *end, uint32_t depth_max);

/* A number that is certainly one for the parser too: none that it might find too large. */
static const char *take_number(const char *at, const char *end) {
    struct decimal decimal;
    const char *next = take_decimal(at, end, &decimal);
    bool plain = next != NULL && decimal.digit_count < DIGITS_MAX && decimal.power > -300 &&
                 decimal.power < 280;
    return plain ? next : NULL;
}

static const char *take_word(const char *at, const char *end, const char *word, size_t size) {
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0 ? at + size : NULL;
}

/* Behind the value that begins at `at`, or NULL. */
static const char *take_value(const char *at, const char *end, uint32_t depth_max) {
    if (at == end) {
        return NULL;
    }
    switch (*at) {
    case '"':
        at = take_string(at + 1, end);
        return at == NULL ? NULL : at + 1;
    case '{':
    case '[':
        return depth_max == 0 ? NULL : take_container(at, end, depth_max - 1);
    case 't':
        return take_word(at, end, "true", 4);
    case 'f':
        return take_word(at, end, "false", 5);
    case 'n':
        return take_word(at, end, "null", 4);
    default:
        return take_number(at, end);
    }
}

/* A key and its colon: to the value's first byte, or NULL. */
static inline const char *take_key(const char *at, const char *end) {
    if (at == end || *at != '"') {
        return NULL;
    }
    at = take_string(at + 1, end);
    if (at == NULL) {
        return NULL;
    }
    at = pass_space(at + 1, end);
    return at < end && *at == ':' ? pass_space(at + 1, end) : NULL;
}

static const char *take_container(const char *at, const char *end, uint32_t depth_max) {
    bool object = *at == '{';
    char close = object ? '}' : ']';
    at = pass_space(at + 1, end);
    if (at < end && *at == close) {
        return at + 1;
    }
    for (;;) {
        at = object ? take_key(at, end) : at;
        at = at == NULL ? NULL : take_value(at, end, depth_max);
        if (at == NULL) {
            return NULL;
        }
        at = pass_space(at, end);
        if (at == end || (*at != ',' && *at != close)) {
            return NULL;
        }
        if (*at == close) {
            return at + 1;
        }
        at = pass_space(at + 1, end);
    }
}

bool json_read_object(struct json_cursor *cursor, uint32_t depth_max, ins_text *out) {
    INS_ASSERT(depth_max <= JSON_DEPTH_LIMIT);
    const char *from = pass_space(cursor->at, cursor->end);
    if (from == cursor->end || *from != '{' || depth_max == 0) {
        return false;
    }
    const char *end = take_container(from, cursor->end, depth_max - 1);
    if (end == NULL) {
        return false;
    }
    *out = (ins_text){from, (size_t)(end - from)};
    cursor->at = end;
    return true;
}

bool json_read_value(struct json_cursor *cursor, uint32_t depth_max) {
    INS_ASSERT(depth_max <= JSON_DEPTH_LIMIT);
    const char *next = take_value(pass_space(cursor->at, cursor->end), cursor->end, depth_max);
    if (next == NULL) {
        return false;
    }
    cursor->at = next;
    return true;
}
