/* Walking the text of valid JSON without a parse.
 *
 * Path: find the next byte that matters sixteen at a time (quotes and escapes inside strings;
 * quotes and brackets inside containers), step over what lies between. Arrays of numbers hold no
 * such byte, so they are passed at the speed of the compare.
 * Bounds: every step goes forward and stops at the slice's end; nothing recurses. */
#include "base/json_text.h"

#include <stddef.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/assert.h"

typedef uint8_t byte16 __attribute__((vector_size(16)));

/* Index of the first byte of all ones, or 16 when all are zero. */
static inline size_t first_hit(byte16 hits) {
#ifdef __SSE2__
    unsigned mask = (unsigned)_mm_movemask_epi8((__m128i)hits);
    return (size_t)__builtin_ctz(mask | 1u << 16);
#else
    uint64_t words[2];
    memcpy(words, &hits, sizeof(words));
    if (words[0] != 0) {
        return (size_t)__builtin_ctzll(words[0]) / 8;
    }
    return words[1] != 0 ? 8 + (size_t)__builtin_ctzll(words[1]) / 8 : 16;
#endif
}

static inline byte16 load16(const char *at) {
    byte16 bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return bytes;
}

/* In valid JSON no other byte up to ' ' stands outside strings. */
static inline bool is_space(char byte) {
    return (unsigned char)byte <= ' ';
}

static inline const char *skip_space(const char *at, const char *end) {
    while (at < end && is_space(*at)) {
        at++;
    }
    return at;
}

/* First quote or backslash, or `end`. */
static inline const char *find_quote_or_escape(const char *at, const char *end) {
    for (; end - at >= 16; at += 16) {
        byte16 bytes = load16(at);
        size_t hit = first_hit((byte16)(bytes == '"') | (byte16)(bytes == '\\'));
        if (hit < 16) {
            return at + hit;
        }
    }
    while (at < end && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/* From behind the opening quote to the closing one (or `end`). */
static inline const char *find_string_end(const char *at, const char *end, bool *out_escaped) {
    *out_escaped = false;
    for (;;) {
        at = find_quote_or_escape(at, end);
        if (at == end || *at == '"') {
            return at;
        }
        *out_escaped = true;
        at = end - at > 2 ? at + 2 : end;
    }
}

/* First quote or bracket, or `end`. The four brackets, and no other byte that valid JSON has
 * outside strings, become 0x7f when the bits 0x26 are set. */
static inline const char *find_structure(const char *at, const char *end) {
    for (; end - at >= 16; at += 16) {
        byte16 bytes = load16(at);
        size_t hit = first_hit((byte16)(bytes == '"') | (byte16)((bytes | 0x26) == 0x7f));
        if (hit < 16) {
            return at + hit;
        }
    }
    while (at < end && *at != '"' && (*at | 0x26) != 0x7f) {
        at++;
    }
    return at;
}

/* From a '[' or '{' to behind its partner. */
static const char *skip_container(const char *at, const char *end) {
    size_t depth = 0;
    bool escaped;
    while ((at = find_structure(at, end)) < end) {
        char byte = *at++;
        if (byte == '"') {
            at = find_string_end(at, end, &escaped);
            at += at < end;
        } else if (byte == '[' || byte == '{') {
            depth++;
        } else if (byte == ']' || byte == '}') {
            if (depth <= 1) {
                return at;
            }
            depth--;
        }
    }
    return end;
}

/* A number or a word. Goes at least one byte forward. Both closing brackets are '}' with 0x20. */
static inline const char *skip_scalar(const char *at, const char *end) {
    do {
        at++;
    } while (at < end && *at != ',' && !is_space(*at) && (*at | 0x20) != '}');
    return at;
}

static inline const char *skip_value(const char *at, const char *end) {
    if (*at == '"') {
        bool escaped;
        at = find_string_end(at + 1, end, &escaped);
        return at + (at < end);
    }
    return *at == '[' || *at == '{' ? skip_container(at, end) : skip_scalar(at, end);
}

struct json_text_iterator json_text_begin(ins_text container) {
    const char *end = container.data + container.size;
    const char *at = skip_space(container.data, end);
    bool is_container = at < end && (*at == '[' || *at == '{');
    return (struct json_text_iterator){.at = is_container ? at + 1 : end, .end = end};
}

/* To the next element's first byte; false at the container's end. */
static inline bool next_start(struct json_text_iterator *iterator) {
    const char *at = iterator->at;
    while (at < iterator->end && (is_space(*at) || *at == ',')) {
        at++;
    }
    iterator->at = at;
    return at < iterator->end && *at != ']' && *at != '}';
}

bool json_text_next(struct json_text_iterator *iterator, ins_text *out_value) {
    if (!next_start(iterator)) {
        return false;
    }
    const char *end = skip_value(iterator->at, iterator->end);
    *out_value = (ins_text){iterator->at, (size_t)(end - iterator->at)};
    iterator->at = end;
    return true;
}

bool json_text_next_member(struct json_text_iterator *iterator, ins_text *out_raw_key,
                           ins_text *out_value) {
    if (!next_start(iterator) || *iterator->at != '"') {
        return false;
    }
    const char *end = iterator->end;
    const char *key = iterator->at + 1;
    const char *at = find_string_end(key, end, &iterator->key_escaped);
    *out_raw_key = (ins_text){key, (size_t)(at - key)};
    at = skip_space(at + (at < end), end);
    at = skip_space(at + (at < end && *at == ':'), end);
    const char *value = at;
    at = at < end ? skip_value(at, end) : end;
    *out_value = (ins_text){value, (size_t)(at - value)};
    iterator->at = at;
    return true;
}

bool json_text_get_last(ins_text object, ins_text key, ins_text *out_value) {
    struct json_text_iterator iterator = json_text_begin(object);
    ins_text raw_key;
    ins_text value;
    bool found = false;
    while (json_text_next_member(&iterator, &raw_key, &value)) {
        bool equal = iterator.key_escaped ? json_text_key_equal(raw_key, key)
                                          : raw_key.size == key.size &&
                                                memcmp(raw_key.data, key.data, key.size) == 0;
        if (equal) {
            *out_value = value;
            found = true;
        }
    }
    return found;
}

/* ---- Looking for one key ------------------------------------------------------------------ */

/* Where no escape and no inner object came before, a quote, the key and a quote are a string of
 * the object or of an array in it, unless the key has what stands between two strings. Before a
 * colon it is a key of the object. */
bool json_text_can_find(ins_text key) {
    return key.size > 0 && memchr(key.data, ',', key.size) == NULL &&
           memchr(key.data, ':', key.size) == NULL && memchr(key.data, '"', key.size) == NULL &&
           memchr(key.data, '\\', key.size) == NULL;
}

/* A quote is at `at`. */
static inline bool is_member(const char *at, const char *end, ins_text key, ins_text *out_value) {
    if (memcmp(at + 1, key.data, key.size) != 0) {
        return false;
    }
    at = skip_space(at + key.size + 2, end);
    if (at == end || *at != ':') {
        return false;
    }
    at = skip_space(at + 1, end);
    const char *behind = at < end ? skip_value(at, end) : end;
    *out_value = (ins_text){at, (size_t)(behind - at)};
    return true;
}

/* From `at` on, byte by byte. */
static enum json_text_found find_slowly(const char *at, const char *end, ins_text key,
                                        ins_text *out_value) {
    for (; end - at > (ptrdiff_t)key.size + 1; at++) {
        if (*at == '\\' || *at == '{') {
            return JSON_TEXT_UNSURE;
        }
        if (*at == '"' && at[key.size + 1] == '"' && is_member(at, end, key, out_value)) {
            return JSON_TEXT_FOUND;
        }
    }
    /* No room for the key, but for the end of one that is written longer. */
    bool escaped = at < end && memchr(at, '\\', (size_t)(end - at)) != NULL;
    return escaped ? JSON_TEXT_UNSURE : JSON_TEXT_ABSENT;
}

enum json_text_found json_text_find(ins_text object, ins_text key, ins_text *out_value) {
    const char *end = object.data + object.size;
    const char *at = skip_space(object.data, end);
    if (at == end || *at != '{') {
        return JSON_TEXT_UNSURE;
    }
    at++;
#ifdef __SSE2__
    const byte16 quotes = (byte16){0} + '"', escapes = (byte16){0} + '\\',
                 opens = (byte16){0} + '{';
    for (; end - at >= (ptrdiff_t)key.size + 17; at += 16) {
        byte16 here = load16(at), behind = load16(at + key.size + 1);
        byte16 both = (byte16)(here == quotes) & (byte16)(behind == quotes);
        byte16 stop = (byte16)(here == escapes) | (byte16)(here == opens);
        unsigned hits = (unsigned)_mm_movemask_epi8((__m128i)(both | stop));
        for (; hits != 0; hits &= hits - 1) {
            const char *hit = at + __builtin_ctz(hits);
            if (*hit != '"') {
                return JSON_TEXT_UNSURE;
            }
            if (is_member(hit, end, key, out_value)) {
                return JSON_TEXT_FOUND;
            }
        }
    }
#endif
    return find_slowly(at, end, key, out_value);
}

enum json_type json_text_type(ins_text value) {
    int64_t integer;
    uint64_t natural;
    switch (value.size == 0 ? 'n' : value.data[0]) {
    case 'n':
        return JSON_NULL;
    case 't':
    case 'f':
        return JSON_BOOL;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return json_text_integer(value, &integer)    ? JSON_INTEGER
               : json_text_unsigned(value, &natural) ? JSON_UNSIGNED
                                                     : JSON_DOUBLE;
    }
}

/* First quote or byte up to ' ', or `end`. */
static const char *find_quote_or_space(const char *at, const char *end) {
    for (; end - at >= 16; at += 16) {
        byte16 bytes = load16(at);
        size_t hit = first_hit((byte16)(bytes == '"') | (byte16)(bytes <= ' '));
        if (hit < 16) {
            return at + hit;
        }
    }
    while (at < end && *at != '"' && (unsigned char)*at > ' ') {
        at++;
    }
    return at;
}

size_t json_text_compact(ins_text text, char *out) {
    const char *end = text.data + text.size;
    const char *at = text.data;
    size_t size = 0;
    bool escaped;
    while (at < end) {
        const char *from = at;
        at = find_quote_or_space(at, end);
        if (at < end && *at == '"') { /* the run and the string behind it in one copy */
            at = find_string_end(at + 1, end, &escaped);
            at += at < end;
        }
        if (at > from) {
            memcpy(out + size, from, (size_t)(at - from));
            size += (size_t)(at - from);
        }
        while (at < end && (unsigned char)*at <= ' ') {
            at++;
        }
    }
    return size;
}
