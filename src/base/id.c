#include "base/id.h"

#include <string.h>

#include "base/digits.h"

const char digits_pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

static const char hex_digits[] = "0123456789abcdef";

static char *format_bytes(uint64_t word, int first, int last, char *out) {
    for (int byte = first; byte <= last; byte++) {
        uint64_t value = word >> (56 - 8 * byte);
        *out++ = hex_digits[value >> 4 & 0xf];
        *out++ = hex_digits[value & 0xf];
    }
    return out;
}

/* Groups of 4, 2, 2, 2 and 6 bytes. */
static size_t format_uuid(const ins_id *id, char *out) {
    char *at = format_bytes(id->high, 0, 3, out);
    *at++ = '-';
    at = format_bytes(id->high, 4, 5, at);
    *at++ = '-';
    at = format_bytes(id->high, 6, 7, at);
    *at++ = '-';
    at = format_bytes(id->low, 0, 1, at);
    *at++ = '-';
    at = format_bytes(id->low, 2, 7, at);
    return (size_t)(at - out);
}

size_t id_format(const ins_id *id, char out[static ID_TEXT_MAX]) {
    size_t size = id->is_uuid ? format_uuid(id, out) : (size_t)(digits_put(id->low, out) - out);
    out[size] = 0;
    return size;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool id_parse_uuid(const char *text, size_t size, ins_id *out) {
    static const char urn[] = "urn:uuid:";
    if (size == 45 && memcmp(text, urn, sizeof(urn) - 1) == 0) {
        text += sizeof(urn) - 1;
        size -= sizeof(urn) - 1;
    } else if (size == 38 && text[0] == '{' && text[37] == '}') {
        text += 1;
        size -= 2;
    }
    if (size != 36 && size != 32) {
        return false;
    }
    uint64_t words[2] = {0, 0};
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        bool hyphen_place = size == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (hyphen_place) {
            if (text[i] != '-') {
                return false;
            }
            continue;
        }
        int digit = hex_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        words[digits / 16] = words[digits / 16] << 4 | (uint64_t)digit;
        digits++;
    }
    *out = (ins_id){.high = words[0], .low = words[1], .is_uuid = true};
    return true;
}

bool id_after(const ins_id *id, ins_id *out) {
    *out = *id;
    if (++out->low != 0) {
        return true;
    }
    if (id->is_uuid) {
        return ++out->high != 0;
    }
    *out = (ins_id){.is_uuid = true};
    return true;
}
