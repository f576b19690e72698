/* The usual body of a search, read in one pass.
 *
 * Path: the members of the body, in any order: a vector, limit and offset, with_payload and
 * with_vector true or false, a filter that is a list of `must` with matches of one value each, and
 * null for anything else that a search may have. At whatever is not of this kind the rest is passed
 * over, up to the vector: its numbers are kept (job->cut), and the body is parsed without them.
 * So this file has no message, and takes only what rest_search.c takes, with the same outcome. */
#include <string.h>

#include "api/decode_plain.h"

#define CONDITIONS_MAX 4u /* more are parsed */

enum member {
    MEMBER_VECTOR, /* `query` or `vector` */
    MEMBER_LIMIT,
    MEMBER_OFFSET,
    MEMBER_WITH_PAYLOAD,
    MEMBER_WITH_VECTOR,
    MEMBER_WITH_VECTORS,
    MEMBER_FILTER,
    MEMBER_NULL_FIRST, /* from here on only null is usual */
    MEMBER_NULL_LAST = MEMBER_NULL_FIRST + 6,
    MEMBER_COUNT
};

static const ins_text names[MEMBER_COUNT] = {
    {"", 0},
    {"limit", 5},
    {"offset", 6},
    {"with_payload", 12},
    {"with_vector", 11},
    {"with_vectors", 12},
    {"filter", 6},
    {"params", 6},
    {"score_threshold", 15},
    {"shard_key", 9},
    {"prefetch", 8},
    {"using", 5},
    {"lookup_from", 11},
    {"explain", 7},
};

struct search_body {
    struct plain plain;
    const char *begin;
    ins_text vector_key;
    ins_points_request read;
    uint32_t seen; /* bit of each member */
};

static bool read_null(struct json_cursor *cursor) {
    return json_read_word(cursor, "null", 4);
}

static bool read_bool(struct json_cursor *cursor, bool *out) {
    *out = json_read_word(cursor, "true", 4);
    return *out || json_read_word(cursor, "false", 5);
}

static bool read_u32(struct json_cursor *cursor, uint64_t min, uint64_t max, uint32_t *out) {
    uint64_t number;
    if (!json_read_unsigned(cursor, &number) || number < min || number > max) {
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

/* ---- The vector ---- */

static bool read_array(struct search_body *body) {
    struct json_cursor *cursor = &body->plain.cursor;
    struct job_cut cut;
    json_read_space(cursor);
    cut.from = (size_t)(cursor->at - body->begin);
    if (!plain_values(&body->plain, &cut.values, &cut.dim)) {
        return false;
    }
    cut.to = (size_t)(cursor->at - body->begin);
    body->plain.job->cut = cut;
    body->read.vector = cut.values;
    body->read.dim = cut.dim;
    return true;
}

/* An array, or {"nearest": array}. */
static bool read_vector(struct search_body *body) {
    struct json_cursor *cursor = &body->plain.cursor;
    ins_text key;
    if (!json_read_byte(cursor, '{')) {
        return read_array(body);
    }
    return plain_text_is(body->vector_key, "query", 5) && plain_key(cursor, &key) &&
           plain_text_is(key, "nearest", 7) && read_array(body) && json_read_byte(cursor, '}');
}

/* ---- The filter ---- */

static bool read_value(struct search_body *body, ins_condition *condition) {
    struct json_cursor *cursor = &body->plain.cursor;
    ins_value *value = plain_take(&body->plain, sizeof(*value), 16);
    uint64_t number;
    ins_text text;
    if (value == NULL) {
        return false;
    }
    *value = (ins_value){.kind = INS_VALUE_TEXT};
    condition->values = value;
    condition->value_count = 1;
    json_read_space(cursor);
    if (cursor->at < cursor->end && *cursor->at == '"') {
        return json_read_plain_string(cursor, &text) &&
               plain_keep(&body->plain, text, &value->text);
    }
    if (read_bool(cursor, &value->boolean)) {
        value->kind = INS_VALUE_BOOL;
        return true;
    }
    value->kind = INS_VALUE_INTEGER;
    bool good = json_read_unsigned(cursor, &number) && number <= INT64_MAX;
    value->integer = good ? (int64_t)number : 0;
    return good;
}

/* {"value": ...} and nothing else. */
static bool read_match(struct search_body *body, ins_condition *condition) {
    struct json_cursor *cursor = &body->plain.cursor;
    ins_text key;
    condition->kind = INS_MATCH_ANY;
    return json_read_byte(cursor, '{') && plain_key(cursor, &key) &&
           plain_text_is(key, "value", 5) && read_value(body, condition) &&
           json_read_byte(cursor, '}');
}

/* {"key": ..., "match": {...}}; clients may send what else a condition can have as null. */
static bool read_condition(struct search_body *body, ins_condition *out) {
    struct json_cursor *cursor = &body->plain.cursor;
    bool key = false, match = false, good = json_read_byte(cursor, '{');
    *out = (ins_condition){0};
    for (bool more = true; good && more;) {
        ins_text name, text;
        if (!plain_key(cursor, &name)) {
            return false;
        }
        if (!key && plain_text_is(name, "key", 3)) {
            key = good =
                json_read_plain_string(cursor, &text) && plain_keep(&body->plain, text, &out->key);
        } else if (!match && plain_text_is(name, "match", 5)) {
            match = good = read_match(body, out);
        } else {
            bool other = !plain_text_is(name, "key", 3) && !plain_text_is(name, "match", 5);
            good = other && read_null(cursor);
        }
        good = good && plain_next(cursor, '}', &more);
    }
    return good && key && match;
}

static bool read_must(struct search_body *body, ins_filter *filter) {
    struct json_cursor *cursor = &body->plain.cursor;
    ins_condition *conditions = plain_take(&body->plain, CONDITIONS_MAX * sizeof(*conditions), 16);
    size_t count = 0;
    bool good = conditions != NULL && json_read_byte(cursor, '[');
    for (bool more = true; good && more; count++) {
        good = count < CONDITIONS_MAX && read_condition(body, &conditions[count]) &&
               plain_next(cursor, ']', &more);
    }
    filter->must = conditions;
    filter->must_count = count;
    return good;
}

static bool is_other_clause(ins_text name) {
    return plain_text_is(name, "should", 6) || plain_text_is(name, "must_not", 8) ||
           plain_text_is(name, "min_should", 10);
}

static bool read_filter(struct search_body *body) {
    struct json_cursor *cursor = &body->plain.cursor;
    ins_filter *filter = plain_take(&body->plain, sizeof(*filter), 16);
    bool good = filter != NULL && json_read_byte(cursor, '{');
    if (!good) {
        return false;
    }
    *filter = (ins_filter){0};
    for (bool more = true; good && more;) {
        ins_text name;
        good = plain_key(cursor, &name);
        if (good && filter->must == NULL && plain_text_is(name, "must", 4)) {
            good = read_must(body, filter);
        } else {
            good = good && is_other_clause(name) && read_null(cursor);
        }
        good = good && plain_next(cursor, '}', &more);
    }
    body->read.filter = filter;
    return good && filter->must != NULL;
}

/* ---- Members ---- */

static enum member find_member(const struct search_body *body, ins_text name) {
    if (plain_text_is(name, body->vector_key.data, body->vector_key.size)) {
        return MEMBER_VECTOR;
    }
    uint32_t i = MEMBER_LIMIT;
    while (i < MEMBER_COUNT && !plain_text_is(name, names[i].data, names[i].size)) {
        i++;
    }
    return (enum member)i;
}

static bool read_usual(struct search_body *body, enum member member) {
    struct json_cursor *cursor = &body->plain.cursor;
    ins_points_request *read = &body->read;
    bool all;
    switch (member) {
    case MEMBER_VECTOR:
        return read_vector(body);
    case MEMBER_LIMIT:
        return read_u32(cursor, 1, INS_LIMIT_MAX, &read->limit);
    case MEMBER_OFFSET:
        return read_u32(cursor, 0, INS_LIMIT_MAX, &read->offset);
    case MEMBER_WITH_PAYLOAD:
        all = false;
        if (!read_bool(cursor, &all)) {
            return false;
        }
        read->payload.kind = all ? INS_SELECT_ALL : INS_SELECT_NONE;
        return true;
    case MEMBER_WITH_VECTOR:
    case MEMBER_WITH_VECTORS:
        return read_bool(cursor, &read->with_vector);
    case MEMBER_FILTER:
        return read_filter(body);
    case MEMBER_NULL_FIRST:
    case MEMBER_NULL_LAST:
    case MEMBER_COUNT:
        break;
    }
    return false;
}

/* True: the member is of the usual kind. */
static bool read_member(struct search_body *body, ins_text name) {
    enum member member = find_member(body, name);
    uint32_t bit = 1u << member;
    uint32_t both = 1u << MEMBER_WITH_VECTOR | 1u << MEMBER_WITH_VECTORS;
    bool again = (body->seen & ((bit & both) != 0 ? both : bit)) != 0;
    if (member == MEMBER_COUNT || again) {
        return false;
    }
    body->seen |= bit;
    return (member != MEMBER_VECTOR && read_null(&body->plain.cursor)) || read_usual(body, member);
}

/* What is left of the body is not the usual: only the vector is looked for. */
static void find_vector(struct search_body *body, const char *value) {
    struct json_cursor *cursor = &body->plain.cursor;
    bool more = true;
    ins_text key;
    cursor->at = value;
    while (body->plain.job->cut.values == NULL && json_read_value(cursor, INS_JSON_DEPTH_MAX) &&
           plain_next(cursor, '}', &more) && more && plain_key(cursor, &key)) {
        value = cursor->at;
        if (find_member(body, key) == MEMBER_VECTOR && !read_vector(body)) {
            cursor->at = value;
        }
    }
}

/* UTF-8 matters for the strings, not for the vector's numbers. */
static bool rest_is_utf8(const struct search_body *body, ins_text text) {
    const struct job_cut *cut = &body->plain.job->cut;
    return json_utf8_valid(text.data, cut->from) &&
           json_utf8_valid(text.data + cut->to, text.size - cut->to);
}

bool decode_plain_search(struct job *job, ins_text text, const char *vector_key) {
    if (text.size == 0) {
        return false;
    }
    struct search_body body = {.plain = {.job = job, .cursor = {text.data, text.data + text.size}},
                               .begin = text.data,
                               .vector_key = {vector_key, strlen(vector_key)},
                               .read = job->points};
    struct json_cursor *cursor = &body.plain.cursor;
    bool legacy = plain_text_is(body.vector_key, "vector", 6);
    body.read.limit = legacy ? 0 : SEARCH_LIMIT_DEFAULT; /* the older form must name one */
    body.read.payload.kind = INS_SELECT_NONE;
    if (!json_read_byte(cursor, '{')) {
        return false;
    }
    for (bool more = true; more;) {
        ins_text name;
        if (!plain_key(cursor, &name)) {
            return false;
        }
        const char *value = cursor->at;
        if (!read_member(&body, name)) {
            find_vector(&body, value);
            return false;
        }
        if (!plain_next(cursor, '}', &more)) {
            return false;
        }
    }
    json_read_space(cursor);
    if (cursor->at != cursor->end || body.read.vector == NULL || body.read.limit == 0 ||
        !rest_is_utf8(&body, text) || !explain_attach(job)) {
        return false;
    }
    job->points = body.read;
    return true;
}
