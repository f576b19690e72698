/* Reads JSON of an expected shape in one pass, without a tape: what is hot and plain, such as the
 * vectors of an upsert.
 *
 * Each function says false for what it does not expect, even when that is good JSON: the caller
 * then has the whole text parsed (json_parse), which accepts it or says what is wrong. What is
 * accepted here, json_parse accepts too, and finds the same in it; for strings and objects that
 * holds when the text is UTF-8 (json_utf8_valid), which is checked once for all of it.
 * After false the cursor stands anywhere within the text. */
#ifndef INS_BASE_JSON_READ_H
#define INS_BASE_JSON_READ_H

#include "base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_cursor {
    const char *at, *end;
};

/* Passes white space. */
void json_read_space(struct json_cursor *cursor);
/* Passes white space and then `byte`. */
bool json_read_byte(struct json_cursor *cursor, char byte);
/* Passes white space and then `word`, whose last byte the caller's next step delimits. Nothing but
 * the white space is passed when it is not there. */
bool json_read_word(struct json_cursor *cursor, const char *word, size_t size);
/* A string without escapes: what is between its quotes. */
bool json_read_plain_string(struct json_cursor *cursor, ins_text *out);
/* A whole number of 64 bits, without sign. */
bool json_read_unsigned(struct json_cursor *cursor, uint64_t *out);
/* An array of numbers, none of them beyond f32's range: the values that json_floats gives. False
 * also when there are more than `capacity`. */
bool json_read_floats(struct json_cursor *cursor, float *out, size_t capacity, size_t *out_count);
/* A whole object nested at most `depth_max` <= JSON_DEPTH_LIMIT levels: its text. */
bool json_read_object(struct json_cursor *cursor, uint32_t depth_max, ins_text *out);
/* Passes any value nested at most `depth_max` <= JSON_DEPTH_LIMIT levels. */
bool json_read_value(struct json_cursor *cursor, uint32_t depth_max);

bool json_utf8_valid(const char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
