/* Paths to payload fields. The grammar is Qdrant's, but keys may have any byte that means nothing
 * else without quotes. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "payload/payload_private.h"

#define INDEX_DIGITS_MAX 19u /* fits u64; no array is as long */

ins_status payload_no_memory(ins_error *error, const char *what) {
    return ins_fail_retry(error, INS_EXHAUSTED, 1, "no memory for %s", what);
}

static bool text_equal(ins_text left, ins_text right) {
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static ins_status path_invalid(ins_text text, size_t at, const char *reason, ins_error *error) {
    int shown = text.size > 100 ? 100 : (int)text.size;
    return ins_fail(error, INS_INVALID, "field path \"%.*s\": %s at character %zu", shown,
                    text.data, reason, at + 1);
}

/* The part at *at, without its quotes; *at goes behind it. */
static ins_status take_part(ins_text text, size_t *at, ins_text *out_part, ins_error *error) {
    size_t from = *at;
    if (from < text.size && text.data[from] == '"') {
        const char *close = memchr(text.data + from + 1, '"', text.size - from - 1);
        if (close == NULL) {
            return path_invalid(text, from, "a quote that is not closed", error);
        }
        size_t end = (size_t)(close - text.data);
        *out_part = (ins_text){text.data + from + 1, end - from - 1};
        *at = end + 1;
        return INS_OK;
    }
    size_t end = from;
    while (end < text.size && text.data[end] != '.' && text.data[end] != '[') {
        if (text.data[end] == '"' || text.data[end] == ']') {
            return path_invalid(text, end, "a stray quote or bracket", error);
        }
        end++;
    }
    if (end == from) {
        return path_invalid(text, from, "an empty part", error);
    }
    *out_part = (ins_text){text.data + from, end - from};
    *at = end;
    return INS_OK;
}

static ins_status add_part(struct payload_path *path, ins_text text, size_t at, ins_text part,
                           enum payload_part kind, ins_error *error) {
    if (path->part_count == PAYLOAD_PATH_PARTS_MAX) {
        return path_invalid(text, at, "more than 16 parts", error);
    }
    path->parts[path->part_count] = part;
    path->kinds[path->part_count] = (uint8_t)kind;
    path->part_count++;
    return INS_OK;
}
_Static_assert(PAYLOAD_PATH_PARTS_MAX == 16, "the message above says 16");

/* "[]" and "[12]" at *at, any number of them. */
static ins_status take_places(ins_text text, size_t *at, struct payload_path *path,
                              ins_error *error) {
    while (*at < text.size && text.data[*at] == '[') {
        size_t from = *at + 1;
        size_t end = from;
        while (end < text.size && text.data[end] >= '0' && text.data[end] <= '9') {
            end++;
        }
        if (end == text.size || text.data[end] != ']') {
            return path_invalid(text, end, "neither a digit nor the end of a place in an array",
                                error);
        }
        enum payload_part kind = end == from ? PART_ALL : PART_INDEX;
        while (end - from > 1 && text.data[from] == '0') {
            from++; /* so that equal places are equal texts */
        }
        if (end - from > INDEX_DIGITS_MAX) {
            return path_invalid(text, from, "a place of more than 19 digits", error);
        }
        ins_text part = {text.data + from, end - from};
        ins_status status = add_part(path, text, from, part, kind, error);
        if (status != INS_OK) {
            return status;
        }
        *at = end + 1;
    }
    return INS_OK;
}

/* A key with the places behind it. */
static ins_status take_key(ins_text text, size_t *at, struct payload_path *path, ins_error *error) {
    ins_text part = {NULL, 0};
    size_t from = *at;
    ins_status status = take_part(text, at, &part, error);
    if (status == INS_OK) {
        status = add_part(path, text, from, part, PART_KEY, error);
    }
    if (status == INS_OK && path->key_count == path->part_count - 1) {
        path->key_count++;
    }
    return status == INS_OK ? take_places(text, at, path, error) : status;
}

ins_status payload_path_parse(ins_text text, struct pool *pool, struct payload_path *out_path,
                              ins_error *error) {
    INS_ASSERT(out_path != NULL);
    struct payload_path path;
    path.part_count = path.key_count = 0;
    if (text.data == NULL || text.size == 0) {
        return path_invalid((ins_text){"", 0}, 0, "an empty part", error);
    }
    if (text.size > INS_PAYLOAD_BYTES_MAX) {
        return path_invalid(text, INS_PAYLOAD_BYTES_MAX, "too long", error);
    }
    if (pool != NULL) {
        text.data = pool_copy(pool, text.data, text.size);
        if (text.data == NULL) {
            return payload_no_memory(error, "a field path");
        }
    }
    size_t at = 0;
    for (;;) {
        ins_status status = take_key(text, &at, &path, error);
        if (status != INS_OK) {
            return status;
        }
        if (at == text.size) {
            *out_path = path;
            return INS_OK;
        }
        if (text.data[at] != '.') {
            return path_invalid(text, at, "something other than a dot behind a quote or bracket",
                                error);
        }
        at++;
    }
}

ins_status payload_path_parse_keys(ins_text text, struct pool *pool, struct payload_path *out_path,
                                   ins_error *error) {
    struct payload_path path = {.part_count = 0};
    ins_status status = payload_path_parse(text, pool, &path, error);
    if (status == INS_OK && path.key_count < path.part_count) {
        int shown = text.size > 100 ? 100 : (int)text.size;
        return ins_fail(error, INS_UNSUPPORTED,
                        "field path \"%.*s\": places in arrays are not supported here", shown,
                        text.data);
    }
    if (status == INS_OK) {
        *out_path = path;
    }
    return status;
}

bool payload_path_equal(const struct payload_path *left, const struct payload_path *right) {
    bool equal = left->part_count == right->part_count;
    for (uint32_t i = 0; equal && i < left->part_count; i++) {
        equal = left->kinds[i] == right->kinds[i] && text_equal(left->parts[i], right->parts[i]);
    }
    return equal;
}
