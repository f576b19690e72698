/* JSON: parse and walk (simdjson behind a C face), walk the text of valid JSON, write.
 *
 * Parsing checks the whole text: grammar, UTF-8, size, depth. Of duplicate keys json_get finds the
 * first; what must follow the last one works on the text (json_text.h).
 * Threads: a parser belongs to one thread at a time; values live until its next parse. */
#ifndef INS_BASE_JSON_H
#define INS_BASE_JSON_H

#include <stdint.h>

#include "insula.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_parser;

/* Text of up to `size_max` bytes, nesting up to `depth_max` (an empty
 * container is no level). Memory is taken as texts need it. NULL
 * when memory is out. */
struct json_parser *json_parser_create(size_t size_max, uint32_t depth_max);
void json_parser_destroy(struct json_parser *parser); /* takes NULL */
/* What parsing `text` makes a fresh parser hold at most; a few bytes a clock cycle. */
size_t json_parse_bytes_max(const char *text, size_t size);
/* Bytes that the parser holds now. */
size_t json_parser_bytes(const struct json_parser *parser);

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INTEGER /* fits i64 */,
    JSON_UNSIGNED /* only u64 */,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value { /* by value; points into the parser */
    const void *document;
    size_t index;
};

struct json_iterator {
    struct json_value at, end;
};

/* `text` need not be padded or terminated. INS_INVALID with position ("line 1 column 17") and
 * reason; INS_TOO_LARGE over size_max. */
INS_MUST_USE ins_status json_parse(struct json_parser *parser, const char *text, size_t size,
                                   struct json_value *out_root, ins_error *error);

enum json_type json_type_of(struct json_value value);
const char *json_type_text(enum json_type type); /* "a string", "an array", ... for messages */
bool json_bool(struct json_value value);         /* asserts the type */
int64_t json_integer(struct json_value value);   /* JSON_INTEGER */
uint64_t json_unsigned(struct json_value value); /* JSON_INTEGER >= 0 or JSON_UNSIGNED */
double json_number(struct json_value value);     /* any of the three number types */
ins_text json_string(struct json_value value);   /* decoded; lives with the parser */
bool json_is_number(struct json_value value);
static inline bool json_is_unsigned(struct json_value value) { /* a whole number from 0 on */
    enum json_type type = json_type_of(value);
    return type == JSON_UNSIGNED || (type == JSON_INTEGER && json_integer(value) >= 0);
}

/* Member by key; false when absent. A member that is null counts as present: see json_type_of. */
bool json_get(struct json_value object, const char *key, struct json_value *out);
bool json_get_text(struct json_value object, ins_text key, struct json_value *out);
/* Member of that kind; false when it is absent or of another. */
static inline bool json_get_u64(struct json_value object, const char *key, uint64_t *out) {
    struct json_value value;
    if (!json_get(object, key, &value) || !json_is_unsigned(value)) {
        return false;
    }
    *out = json_unsigned(value);
    return true;
}
static inline bool json_get_string(struct json_value object, const char *key, ins_text *out) {
    struct json_value value;
    if (!json_get(object, key, &value) || json_type_of(value) != JSON_STRING) {
        return false;
    }
    *out = json_string(value);
    return true;
}
size_t json_count(struct json_value array_or_object); /* elements or members; exact below 2^24 */
struct json_iterator json_begin(struct json_value array_or_object);
bool json_next(struct json_iterator *iterator, struct json_value *out); /* of an array */
bool json_next_member(struct json_iterator *iterator, ins_text *out_key, struct json_value *out);

/* Numbers of an array as floats: writes up to `capacity`, returns the array's length in *out_count.
 * False when an element is not a number: *out_count is its position. Values beyond f32's range
 * become infinite (the caller's finiteness check finds them). */
bool json_floats(struct json_value array, float *out, size_t capacity, size_t *out_count);

#define JSON_NUMBER_TEXT_MAX 40
/* Shortest text that reads back as the same value; returns its length, not terminated. */
size_t json_format_float(float value, char out[]);
size_t json_format_double(double value, char out[]);

#ifdef __cplusplus
}
#endif
#endif
