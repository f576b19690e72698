/* Walking the text of valid JSON without a parse.
 *
 * Path: find the next byte that matters sixteen at a time (quotes and escapes inside strings;
 * quotes and brackets inside containers), step over what lies between. Arrays of numbers hold no
 * such byte, so they are passed at the speed of the compare.
 * Bounds: every step goes forward and stops at the slice's end; nothing recurses. */
#include "base/json_text.h"

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

/* ---- Escapes ----------------------------------------------------------------------------- */

static uint32_t hex4(const char *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char digit = (unsigned char)at[i];
        value = value << 4 | ((digit & 0x0fu) + (digit >= 'A' ? 9u : 0u));
    }
    return value & 0xffff;
}

/* Code point of the \uXXXX at `*at` (a pair of them for one beyond U+FFFF); goes past it. */
static uint32_t take_unicode(const char **at, const char *end) {
    if (end - *at < 6) {
        *at = end;
        return 0xfffd;
    }
    uint32_t unit = hex4(*at + 2);
    *at += 6;
    if (unit < 0xd800 || unit > 0xdfff) {
        return unit;
    }
    if (unit > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') {
        return 0xfffd; /* not in valid JSON */
    }
    uint32_t low = hex4(*at + 2);
    *at += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + ((low - 0xdc00) & 0x3ff);
}

static size_t put_utf8(uint32_t point, char out[4]) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

/* Decodes the escape at `*at` into out; returns its bytes, fewer than the escape has. */
static size_t take_escape(const char **at, const char *end, char out[4]) {
    if (end - *at < 2) {
        *at = end;
        return 0;
    }
    char kind = (*at)[1];
    if (kind == 'u') {
        return put_utf8(take_unicode(at, end), out);
    }
    *at += 2;
    switch (kind) {
    case 'b':
        out[0] = '\b';
        break;
    case 'f':
        out[0] = '\f';
        break;
    case 'n':
        out[0] = '\n';
        break;
    case 'r':
        out[0] = '\r';
        break;
    case 't':
        out[0] = '\t';
        break;
    default: /* a quote, a slash, a backslash */
        out[0] = kind;
        break;
    }
    return 1;
}

/* Gives a raw string's decoded bytes in pieces: a run of plain bytes or one escape. */
struct decoder {
    const char *at, *end;
    char escape[4];
};

static bool next_piece(struct decoder *decoder, ins_text *out) {
    if (decoder->at >= decoder->end) {
        return false;
    }
    if (*decoder->at == '\\') {
        size_t size = take_escape(&decoder->at, decoder->end, decoder->escape);
        *out = (ins_text){decoder->escape, size};
        return true;
    }
    const char *from = decoder->at;
    const char *stop = memchr(from, '\\', (size_t)(decoder->end - from));
    decoder->at = stop == NULL ? decoder->end : stop;
    *out = (ins_text){from, (size_t)(decoder->at - from)};
    return true;
}

int json_text_compare(ins_text raw, ins_text text) {
    struct decoder decoder = {.at = raw.data, .end = raw.data + raw.size};
    ins_text piece;
    while (next_piece(&decoder, &piece)) {
        size_t common = piece.size < text.size ? piece.size : text.size;
        int order = common == 0 ? 0 : memcmp(piece.data, text.data, common);
        if (order != 0) {
            return order;
        }
        if (piece.size > text.size) {
            return 1;
        }
        text.data += common;
        text.size -= common;
    }
    return text.size == 0 ? 0 : -1;
}

bool json_text_key_equal(ins_text raw_key, ins_text key) {
    return raw_key.size >= key.size && json_text_compare(raw_key, key) == 0;
}

bool json_text_keys_equal(ins_text left, ins_text right) {
    struct decoder one = {.at = left.data, .end = left.data + left.size};
    struct decoder two = {.at = right.data, .end = right.data + right.size};
    ins_text a = {"", 0};
    ins_text b = {"", 0};
    for (;;) {
        bool more_a = a.size > 0 || next_piece(&one, &a);
        bool more_b = b.size > 0 || next_piece(&two, &b);
        if (!more_a || !more_b) {
            return more_a == more_b;
        }
        size_t common = a.size < b.size ? a.size : b.size;
        if (common > 0 && memcmp(a.data, b.data, common) != 0) {
            return false;
        }
        a = (ins_text){a.data + common, a.size - common};
        b = (ins_text){b.data + common, b.size - common};
    }
}

ins_text json_text_unquote(ins_text quoted) {
    bool whole = quoted.size >= 2 && quoted.data[0] == '"';
    return whole ? (ins_text){quoted.data + 1, quoted.size - 2} : (ins_text){"", 0};
}

size_t json_text_decode(ins_text quoted, char *out) {
    ins_text raw = json_text_unquote(quoted);
    struct decoder decoder = {.at = raw.data, .end = raw.data + raw.size};
    ins_text piece;
    size_t size = 0;
    while (next_piece(&decoder, &piece)) {
        if (piece.size > 0) {
            memcpy(out + size, piece.data, piece.size);
        }
        size += piece.size;
    }
    INS_ASSERT(size <= quoted.size);
    return size;
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
