/* How much memory reading a text can take, before it is read.
 *
 * The parser notes where each operator, string and other scalar begins (4 bytes), and writes one
 * word for each bracket and string and two for each number; strings are copied. What counts here is
 * all of that outside and inside of strings alike, so it is an upper bound, and one that vectors,
 * which have none, do not exceed.
 * In blocks of a fixed size, which the compiler makes vector code of. */
#include "base/json.h"

#define BLOCK 64u /* counts of one fit a byte */
#define PADDING 64u

struct counts {
    size_t brackets, separators, starts, quotes;
};

static inline uint8_t is_bracket(uint8_t byte) {
    uint8_t folded = byte | 0x20; /* [ and {, ] and } differ in that bit */
    return (uint8_t)((folded == '{') | (folded == '}'));
}

static inline uint8_t is_separator(uint8_t byte) {
    return (uint8_t)((byte == ',') | (byte == ':'));
}

static inline uint8_t is_scalar(uint8_t byte) {
    return (uint8_t)((byte > ' ') & !is_bracket(byte) & !is_separator(byte));
}

/* text[-1] is there. */
static void count_block(const uint8_t *text, struct counts *counts) {
    uint8_t brackets = 0, separators = 0, starts = 0, quotes = 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        uint8_t byte = text[i], before = text[(int)i - 1];
        brackets = (uint8_t)(brackets + is_bracket(byte));
        separators = (uint8_t)(separators + is_separator(byte));
        starts = (uint8_t)(starts + (is_scalar(byte) & !is_scalar(before)));
        quotes = (uint8_t)(quotes + (byte == '"'));
    }
    counts->brackets += brackets;
    counts->separators += separators;
    counts->starts += starts;
    counts->quotes += quotes;
}

size_t json_parse_bytes_max(const char *text, size_t size) {
    struct counts counts = {0};
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = size == 0 ? 0 : 1; /* the first byte may begin whatever it likes */
    for (; size - at >= BLOCK; at += BLOCK) {
        count_block(bytes + at, &counts);
    }
    size_t rest = 1 + size - at; /* of which everything may be something */
    size_t noted = counts.brackets + counts.separators + counts.starts + counts.quotes + rest;
    size_t words = counts.brackets + 2 * counts.starts + counts.quotes + 2 * rest;
    size_t strings = counts.quotes == 0 ? 0 : size + 5 * counts.quotes;
    return size + PADDING + 4 * noted + 8 * words + strings;
}
