/* Walks the text of JSON that json_parse has accepted: raw slices with numbers verbatim.
 * Nothing here checks grammar; on text that was not validated the results are unspecified but
 * never outside the slice. */
#ifndef INS_BASE_JSON_TEXT_H
#define INS_BASE_JSON_TEXT_H

#include "insula.h"

struct json_text_iterator {
    const char *at, *end;
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
/* True when the raw key (escapes undecoded) names `key`. */
bool json_text_key_equal(ins_text raw_key, ins_text key);
/* Decodes the text of a JSON string (with its quotes) into out[size of text]; returns the length. */
size_t json_text_decode(ins_text quoted, char *out);
/* Copies without white space outside strings into out[size]; returns the length. */
size_t json_text_compact(ins_text text, char *out);

#endif
