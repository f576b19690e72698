/* A plain JSON checker that knows where it is.
 *
 * The fast parser says that a text is bad but not where. This one is run on bad texts only, walks
 * byte by byte and stops at the first fault. Nesting is a bit a level (array or object), no
 * recursion. Invariant: it accepts exactly the texts that the fast parser accepts (fuzz_json). */
#include "base/json_check.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"

struct checker {
    const char *begin, *at, *end;
    const char *fault_at; /* NULL: none so far */
    char *reason;         /* [reason_size] */
    size_t reason_size;
    uint32_t depth, depth_max;
    uint64_t is_object[JSON_DEPTH_LIMIT / 64]; /* a bit a level */
};

static bool fault(struct checker *checker, const char *at, const char *reason) {
    checker->fault_at = at;
    (void)snprintf(checker->reason, checker->reason_size, "%s", reason);
    return false;
}

static bool fault_byte(struct checker *checker, const char *expected) {
    if (checker->at == checker->end) {
        (void)snprintf(checker->reason, checker->reason_size, "the text ends where %s is expected",
                       expected);
    } else {
        unsigned char byte = (unsigned char)*checker->at;
        bool printable = byte > 0x20 && byte < 0x7f;
        (void)snprintf(checker->reason, checker->reason_size,
                       printable ? "found '%c' where %s is expected"
                                 : "found byte 0x%02x where %s is expected",
                       byte, expected);
    }
    checker->fault_at = checker->at;
    return false;
}

static void skip_space(struct checker *checker) {
    while (checker->at < checker->end && (*checker->at == ' ' || *checker->at == '\t' ||
                                          *checker->at == '\n' || *checker->at == '\r')) {
        checker->at++;
    }
}

static char peek(const struct checker *checker) {
    return (char)(checker->at < checker->end ? *checker->at : '\0');
}

static bool is_digit(const struct checker *checker, const char *at) {
    return at < checker->end && *at >= '0' && *at <= '9';
}

/* Four hex digits at `at`; -1 when they are not. */
static int32_t hex4(const struct checker *checker, const char *at) {
    if (checker->end - at < 4) {
        return -1;
    }
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char digit = at[i];
        int32_t nibble = digit >= '0' && digit <= '9'   ? digit - '0'
                         : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                         : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                        : -1;
        if (nibble < 0) {
            return -1;
        }
        value = value * 16 + nibble;
    }
    return value;
}

/* At the 'u' of an escape. */
static bool check_unicode_escape(struct checker *checker) {
    const char *start = checker->at - 1;
    int32_t unit = hex4(checker, checker->at + 1);
    if (unit < 0) {
        return fault(checker, start, "\\u is not followed by four hex digits");
    }
    checker->at += 5;
    if (unit < 0xd800 || unit > 0xdfff) {
        return true;
    }
    bool paired = unit < 0xdc00 && checker->end - checker->at >= 6 && checker->at[0] == '\\' &&
                  checker->at[1] == 'u';
    int32_t low = paired ? hex4(checker, checker->at + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff) {
        return fault(checker, start, "half of a surrogate pair");
    }
    checker->at += 6;
    return true;
}

static bool check_escape(struct checker *checker) {
    checker->at++;
    if (checker->at == checker->end) {
        return fault_byte(checker, "the rest of an escape");
    }
    if (*checker->at == 'u') {
        return check_unicode_escape(checker);
    }
    if (strchr("\"\\/bfnrt", *checker->at) == NULL || *checker->at == '\0') {
        return fault(checker, checker->at - 1, "an escape that JSON does not have");
    }
    checker->at++;
    return true;
}

/* One character of two to four bytes: no overlong forms, no surrogates, at most U+10FFFF. */
static bool check_utf8(struct checker *checker) {
    const unsigned char *bytes = (const unsigned char *)checker->at;
    size_t left = (size_t)(checker->end - checker->at);
    size_t length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    switch (bytes[0]) {
    case 0xe0:
        low = 0xa0;
        break;
    case 0xed:
        high = 0x9f;
        break;
    case 0xf0:
        low = 0x90;
        break;
    case 0xf4:
        high = 0x8f;
        break;
    default:
        break;
    }
    bool good = bytes[0] >= 0xc2 && bytes[0] <= 0xf4 && left >= length && bytes[1] >= low &&
                bytes[1] <= high;
    for (size_t i = 2; good && i < length; i++) {
        good = (bytes[i] & 0xc0) == 0x80;
    }
    if (!good) {
        return fault(checker, checker->at, "bytes that are not UTF-8");
    }
    checker->at += length;
    return true;
}

static bool check_string(struct checker *checker) {
    const char *start = checker->at++;
    while (checker->at < checker->end) {
        unsigned char byte = (unsigned char)*checker->at;
        bool good = true;
        if (byte == '"') {
            checker->at++;
            return true;
        }
        if (byte == '\\') {
            good = check_escape(checker);
        } else if (byte < 0x20) {
            good = fault(checker, checker->at, "a control character that is not escaped");
        } else if (byte >= 0x80) {
            good = check_utf8(checker);
        } else {
            checker->at++;
        }
        if (!good) {
            return false;
        }
    }
    return fault(checker, start, "a string without its closing quote");
}

static void skip_digits(struct checker *checker) {
    while (is_digit(checker, checker->at)) {
        checker->at++;
    }
}

/* The range of a number whose grammar is good. */
static bool check_range(struct checker *checker, const char *start, bool is_integer) {
    ins_text text = {start, (size_t)(checker->at - start)};
    if (is_integer) {
        int64_t integer;
        uint64_t natural;
        if (!json_text_integer(text, &integer) && !json_text_unsigned(text, &natural)) {
            return fault(checker, start,
                         "an integer that does not fit 64 bits (write it as a float or a string)");
        }
        return true;
    }
    double number;
    if (!json_text_number(text, &number)) {
        return fault(checker, start, "a number beyond the range of a double");
    }
    return true;
}

static bool check_number(struct checker *checker) {
    const char *start = checker->at;
    bool is_integer = true;
    checker->at += *checker->at == '-';
    if (!is_digit(checker, checker->at)) {
        return fault_byte(checker, "a digit");
    }
    if (*checker->at == '0' && is_digit(checker, checker->at + 1)) {
        return fault(checker, start, "a number that begins with 0");
    }
    skip_digits(checker);
    if (checker->at < checker->end && *checker->at == '.') {
        is_integer = false;
        checker->at++;
        if (!is_digit(checker, checker->at)) {
            return fault_byte(checker, "a digit");
        }
        skip_digits(checker);
    }
    if (checker->at < checker->end && (*checker->at == 'e' || *checker->at == 'E')) {
        is_integer = false;
        checker->at++;
        checker->at += checker->at < checker->end && (*checker->at == '+' || *checker->at == '-');
        if (!is_digit(checker, checker->at)) {
            return fault_byte(checker, "a digit");
        }
        skip_digits(checker);
    }
    return check_range(checker, start, is_integer);
}

static bool check_word(struct checker *checker, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(checker->end - checker->at) < length || memcmp(checker->at, word, length) != 0) {
        return fault(checker, checker->at, "a word that is not true, false or null");
    }
    checker->at += length;
    return true;
}

static bool open_level(struct checker *checker, bool is_object) {
    if (checker->depth == checker->depth_max) {
        (void)snprintf(checker->reason, checker->reason_size, "nesting deeper than %u",
                       checker->depth_max);
        checker->fault_at = checker->at;
        return false;
    }
    uint64_t bit = 1ull << (checker->depth % 64);
    uint64_t *word = &checker->is_object[checker->depth / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    checker->depth++;
    checker->at++;
    return true;
}

static bool in_object(const struct checker *checker) {
    uint32_t level = checker->depth - 1;
    return (checker->is_object[level / 64] >> (level % 64)) & 1;
}

static bool check_scalar(struct checker *checker) {
    if (checker->at == checker->end) {
        return fault_byte(checker, "a value");
    }
    switch (*checker->at) {
    case '"':
        return check_string(checker);
    case 't':
        return check_word(checker, "true");
    case 'f':
        return check_word(checker, "false");
    case 'n':
        return check_word(checker, "null");
    case '-':
        return check_number(checker);
    default:
        return is_digit(checker, checker->at) ? check_number(checker)
                                              : fault_byte(checker, "a value");
    }
}

static bool check_key(struct checker *checker) {
    skip_space(checker);
    if (checker->at == checker->end || *checker->at != '"') {
        return fault_byte(checker, "a key in quotes");
    }
    if (!check_string(checker)) {
        return false;
    }
    skip_space(checker);
    if (checker->at == checker->end || *checker->at != ':') {
        return fault_byte(checker, "':'");
    }
    checker->at++;
    return true;
}

/* An empty array or object, which is no level. */
static bool take_empty(struct checker *checker) {
    const char *open = checker->at++;
    skip_space(checker);
    if (checker->at < checker->end && *checker->at == (*open == '{' ? '}' : ']')) {
        checker->at++;
        return true;
    }
    checker->at = open;
    return false;
}

/* A value's beginning: a scalar whole, a container up to its first value. *out_open: a value must
 * follow. */
static bool check_value(struct checker *checker, bool *out_open) {
    *out_open = false;
    skip_space(checker);
    char first = peek(checker);
    if (first != '[' && first != '{') {
        return check_scalar(checker);
    }
    if (take_empty(checker)) {
        return true;
    }
    *out_open = true;
    return open_level(checker, first == '{') && (first == '[' || check_key(checker));
}

/* After a value: closes levels, up to a comma or the end of the text. */
static bool check_after_value(struct checker *checker, bool *out_open) {
    *out_open = false;
    while (checker->depth > 0) {
        skip_space(checker);
        bool object = in_object(checker);
        char next = peek(checker);
        if (next == ',') {
            checker->at++;
            *out_open = true;
            return !object || check_key(checker);
        }
        if (next != (object ? '}' : ']')) {
            return fault_byte(checker, object ? "',' or '}'" : "',' or ']'");
        }
        checker->at++;
        checker->depth--;
    }
    return true;
}

static bool check_text(struct checker *checker) {
    bool open = true;
    while (open) { /* each turn consumes at least a byte */
        if (!check_value(checker, &open)) {
            return false;
        }
        if (!open && !check_after_value(checker, &open)) {
            return false;
        }
    }
    skip_space(checker);
    return checker->at == checker->end || fault_byte(checker, "the end of the text");
}

static void locate(const struct checker *checker, struct json_fault *out_fault) {
    out_fault->offset = (size_t)(checker->fault_at - checker->begin);
    out_fault->line = 1;
    const char *line_start = checker->begin;
    for (const char *at = checker->begin; at < checker->fault_at; at++) {
        if (*at == '\n') {
            out_fault->line++;
            line_start = at + 1;
        }
    }
    out_fault->column = (size_t)(checker->fault_at - line_start) + 1;
}

bool json_check(const char *text, size_t size, uint32_t depth_max, struct json_fault *out_fault) {
    INS_ASSERT(text != NULL || size == 0);
    INS_ASSERT(depth_max <= JSON_DEPTH_LIMIT);
    INS_ASSERT(out_fault != NULL);

    const char *begin = text == NULL ? "" : text;
    struct checker checker = {
        .begin = begin,
        .at = begin,
        .end = begin + size,
        .reason = out_fault->reason,
        .reason_size = sizeof(out_fault->reason),
        .depth_max = depth_max,
    };
    bool good = check_text(&checker);
    if (!good) {
        locate(&checker, out_fault);
    }
    return good;
}
