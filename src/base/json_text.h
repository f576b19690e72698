/* Walks the text of JSON that json_parse has accepted: raw slices with numbers verbatim.
 * Nothing here checks grammar; on text that was not validated the results are unspecified but
 * never outside the slice. */
#ifndef INS_BASE_JSON_TEXT_H
#define INS_BASE_JSON_TEXT_H

#include "base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_text_iterator {
    const char *at, *end;
    bool key_escaped; /* the last key that was given has an escape */
};

/* Over the elements of an array or the members of an object (`text` may begin with white space). */
struct json_text_iterator json_text_begin(ins_text container);
/* Next element's text, without white space around it. Long arrays of numbers are skipped fast. */
bool json_text_next(struct json_text_iterator *iterator, ins_text *out_value);
/* Next member: the key's raw text between its quotes (escapes undecoded) and the value's text. */
bool json_text_next_member(struct json_text_iterator *iterator, ins_text *out_raw_key,
                           ins_text *out_value);
/* Value of the last member whose decoded key equals `key`; false when there is none. */
bool json_text_get_last(ins_text object, ins_text key, ins_text *out_value);
/* What a quick look at an object says of the member `key`: one of its own members, of objects
 * whose keys all differ. */
enum json_text_found { JSON_TEXT_ABSENT, JSON_TEXT_FOUND, JSON_TEXT_UNSURE };
/* True when such a look can find the key, which is asked once. */
bool json_text_can_find(ins_text key);
/* Looks for the text of a key for which that is true, sixteen bytes at a time, and gives up at an
 * escape or an inner object before it. *out_value is set when it is found. */
enum json_text_found json_text_find(ins_text object, ins_text key, ins_text *out_value);
/* True when the raw key (escapes undecoded) names `key`. */
bool json_text_key_equal(ins_text raw_key, ins_text key);
/* True when two raw keys name the same. */
bool json_text_keys_equal(ins_text left, ins_text right);
/* Orders a raw string (between its quotes, escapes undecoded) against a text, by decoded bytes. */
int json_text_compare(ins_text raw, ins_text text);
/* The raw string between the quotes of a value that is a string. */
ins_text json_text_unquote(ins_text quoted);
/* What a value's text is, by its first byte; a number is JSON_INTEGER when it fits i64,
 * JSON_UNSIGNED when it fits only u64, else JSON_DOUBLE. */
enum json_type json_text_type(ins_text value);
/* False when the text is not an integer or does not fit. */
bool json_text_integer(ins_text number, int64_t *out);
bool json_text_unsigned(ins_text number, uint64_t *out);
/* False when the text is not a number or is beyond the range of a double. */
bool json_text_number(ins_text number, double *out);
/* Decodes the text of a JSON string (with its quotes) into out[size of text]; returns the length.
 */
size_t json_text_decode(ins_text quoted, char *out);
/* Copies without white space outside strings into out[size]; returns the length. */
size_t json_text_compact(ins_text text, char *out);

#ifdef __cplusplus
}
#endif

#endif
