/* Strings of valid JSON: escapes decoded, and compared without decoding. */
#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"

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
