/* Whose request a body is, as cheaply as it can be told: before it waits, and without the schema.
 */
#include <string.h>

#include "api/decode_plain.h"
#include "base/hash.h"

#define WHOSE_DEPTH_MAX 16u

/* {"must": [{...}, ...]}, which may have other members before it: the first condition's text. */
static bool first_condition(struct json_cursor *cursor, ins_text *out) {
    ins_text key;
    bool more = json_read_byte(cursor, '{');
    while (more && plain_key(cursor, &key)) {
        if (plain_text_is(key, "must", 4)) {
            (void)json_read_byte(cursor, '[');
            return json_read_object(cursor, WHOSE_DEPTH_MAX, out);
        }
        if (!json_read_value(cursor, WHOSE_DEPTH_MAX) || !plain_next(cursor, '}', &more)) {
            return false;
        }
    }
    return false;
}

/* Any value. A vector, which is most of a body, is not looked at: up to the bracket that ends it.
 */
static bool pass_value(struct json_cursor *cursor) {
    struct json_cursor inner = *cursor;
    if (json_read_byte(&inner, '[')) {
        json_read_space(&inner);
        bool is_number =
            inner.at < inner.end && (*inner.at == '-' || (*inner.at >= '0' && *inner.at <= '9'));
        const char *close =
            is_number ? memchr(inner.at, ']', (size_t)(inner.end - inner.at)) : NULL;
        if (close != NULL) {
            cursor->at = close + 1;
            return true;
        }
    }
    return json_read_value(cursor, WHOSE_DEPTH_MAX);
}

uint64_t api_tenant_of(ins_text body) {
    struct json_cursor cursor = {body.data, body.data + body.size};
    ins_text key, name;
    bool more = json_read_byte(&cursor, '{');
    while (more && plain_key(&cursor, &key)) {
        bool is_filter = plain_text_is(key, "filter", 6);
        if (is_filter || plain_text_is(key, "shard_key", 9)) {
            bool found = is_filter ? first_condition(&cursor, &name)
                                   : json_read_plain_string(&cursor, &name);
            return found ? hash64(name.data, name.size) : 0;
        }
        if (!pass_value(&cursor) || !plain_next(&cursor, '}', &more)) {
            return 0;
        }
    }
    return 0;
}
