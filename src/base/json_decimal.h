/* Decimal numbers of JSON's grammar, read from text: what json_read.c and json_floats.c share.
 *
 * Eight digits are taken from one word at a time (the well-known multiply-and-shift). */
#ifndef INS_BASE_JSON_DECIMAL_H
#define INS_BASE_JSON_DECIMAL_H

#include "base/bytes.h"
#include "base/json_read.h"

#define DIGITS_MAX 19u /* any such number fits 64 bits */
#define EXPONENT_DIGITS_MAX 3u

static const uint32_t word_powers[9] = {1,      10,      100,      1000,     10000,
                                        100000, 1000000, 10000000, 100000000};

static inline const char *pass_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) {
        at++;
    }
    return at;
}

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

static inline const char *take_exponent(const char *at, const char *end, struct decimal *out) {
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

/* Tests: arrays are read without wide instructions, whatever the machine has. */
void json_floats_narrow(bool only);

#endif
