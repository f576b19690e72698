/* One pass over JSON of an expected shape: words, strings, whole numbers, objects. Arrays of
 * numbers: json_floats.c. Bounds: every step goes forward and stops at the end; recursion is as
 * deep as the JSON. */
#include "base/json_read.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/assert.h"
#include "base/json_check.h"
#include "base/json_decimal.h"
#include "base/json_text.h"

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
