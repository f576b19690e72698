/* Filters: must, should and must_not over match, range, has_id and nested filters.
 *
 * A condition that this version lacks is 501 with its name, never silently true or false. Depth and
 * number of conditions are bounded, so the recursion is. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

struct filter_decoder {
    struct job *job;
    ins_error *error;
    uint32_t depth, condition_count;
};

static ins_status filter_decode(struct filter_decoder *decoder, struct json_value object,
                                ins_filter *out_filter);

static bool text_equal(ins_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

static ins_status value_decode(struct filter_decoder *decoder, struct json_value value,
                               const char *name, ins_value *out) {
    switch (json_type_of(value)) {
    case JSON_STRING:
        out->kind = INS_VALUE_TEXT;
        return job_copy_text(decoder->job, json_string(value), &out->text, decoder->error);
    case JSON_INTEGER:
        out->kind = INS_VALUE_INTEGER;
        out->integer = json_integer(value);
        return INS_OK;
    case JSON_BOOL:
        out->kind = INS_VALUE_BOOL;
        out->boolean = json_bool(value);
        return INS_OK;
    case JSON_NULL:
    case JSON_UNSIGNED:
    case JSON_DOUBLE:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return type_error(decoder->error, name, "a string, a 64-bit integer or a boolean", value);
}

static ins_status match_any_decode(struct filter_decoder *decoder, struct json_value array,
                                   ins_condition *out) {
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(decoder->error, "filter: match.any", "an array", array);
    }
    size_t capacity = json_count(array);
    ins_value *values = job_alloc(decoder->job, (capacity + 1) * sizeof(*values));
    if (values == NULL) {
        return job_no_memory(decoder->error);
    }
    struct json_iterator iterator = json_begin(array);
    struct json_value value;
    size_t count = 0;
    while (count < capacity && json_next(&iterator, &value)) {
        values[count] = (ins_value){0};
        ins_status status = value_decode(decoder, value, "filter: match.any", &values[count]);
        if (status != INS_OK) {
            return status;
        }
        if (values[count].kind == INS_VALUE_BOOL || values[count].kind != values[0].kind) {
            return type_error(decoder->error, "filter: match.any",
                              "either strings or integers throughout", value);
        }
        count++;
    }
    out->values = values;
    out->value_count = count;
    return INS_OK;
}

static ins_status match_decode(struct filter_decoder *decoder, struct json_value match,
                               ins_condition *out) {
    static const char *const later[] = {"text", "text_any", "phrase", "prefix", "except"};
    struct json_value value;
    out->kind = INS_MATCH_ANY;
    if (json_type_of(match) != JSON_OBJECT) {
        return type_error(decoder->error, "filter: match", "an object", match);
    }
    if (field_get(match, "value", &value)) {
        ins_value *one = job_alloc(decoder->job, sizeof(*one));
        if (one == NULL) {
            return job_no_memory(decoder->error);
        }
        *one = (ins_value){0};
        out->values = one;
        out->value_count = 1;
        return value_decode(decoder, value, "filter: match.value", one);
    }
    if (field_get(match, "any", &value)) {
        return match_any_decode(decoder, value, out);
    }
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (field_get(match, later[i], &value)) {
            char name[64];
            (void)snprintf(name, sizeof(name), "filter: match.%s", later[i]);
            return unsupported_error(decoder->error, name);
        }
    }
    return type_error(decoder->error, "filter: match", "an object with `value` or `any`", match);
}

static ins_status bound_decode(struct filter_decoder *decoder, struct json_value range,
                               const char *key, bool *out_has, double *out) {
    struct json_value value;
    char name[64];
    (void)snprintf(name, sizeof(name), "filter: range.%s", key);
    if (field_get(range, key, &value) && json_type_of(value) == JSON_STRING) {
        return unsupported_error(decoder->error, "filter: range of datetimes");
    }
    return field_number(range, key, name, out_has, out, decoder->error);
}

static ins_status range_decode(struct filter_decoder *decoder, struct json_value range,
                               ins_condition *out) {
    out->kind = INS_RANGE;
    if (json_type_of(range) != JSON_OBJECT) {
        return type_error(decoder->error, "filter: range", "an object", range);
    }
    ins_status status = bound_decode(decoder, range, "gt", &out->has_gt, &out->gt);
    if (status == INS_OK) {
        status = bound_decode(decoder, range, "gte", &out->has_gte, &out->gte);
    }
    if (status == INS_OK) {
        status = bound_decode(decoder, range, "lt", &out->has_lt, &out->lt);
    }
    if (status == INS_OK) {
        status = bound_decode(decoder, range, "lte", &out->has_lte, &out->lte);
    }
    return status;
}

static ins_status refuse_any(struct filter_decoder *decoder, struct json_value object,
                             const char *const names[], size_t count) {
    struct json_value value;
    for (size_t i = 0; i < count; i++) {
        if (field_get(object, names[i], &value)) {
            char name[64];
            (void)snprintf(name, sizeof(name), "filter: %s", names[i]);
            return unsupported_error(decoder->error, name);
        }
    }
    return INS_OK;
}

/* Qdrant joins `match` and `range` of one condition by "or": a nested filter says the same. */
static ins_status match_or_range(struct filter_decoder *decoder, const ins_condition *match,
                                 const ins_condition *range, ins_condition *out) {
    ins_condition *both = job_alloc(decoder->job, 2 * sizeof(*both));
    ins_filter *filter = job_alloc(decoder->job, sizeof(*filter));
    if (both == NULL || filter == NULL) {
        return job_no_memory(decoder->error);
    }
    both[0] = *match;
    both[1] = *range;
    *filter = (ins_filter){.should = both, .should_count = 2};
    *out = (ins_condition){.kind = INS_NESTED_FILTER, .filter = filter};
    return INS_OK;
}

static ins_status field_condition_decode(struct filter_decoder *decoder, struct json_value object,
                                         struct json_value key, ins_condition *out) {
    static const char *const later[] = {"geo_bounding_box", "geo_radius", "geo_polygon",
                                        "values_count",     "is_empty",   "is_null"};
    struct json_value match, range;
    ins_condition by_match = {0}, by_range = {0};
    if (json_type_of(key) != JSON_STRING) {
        return type_error(decoder->error, "filter: key", "a string", key);
    }
    ins_status status =
        job_copy_text(decoder->job, json_string(key), &by_match.key, decoder->error);
    by_range.key = by_match.key;
    if (status == INS_OK) {
        status = refuse_any(decoder, object, later, sizeof(later) / sizeof(later[0]));
    }
    bool has_match = field_get(object, "match", &match);
    bool has_range = field_get(object, "range", &range);
    if (status == INS_OK && has_match) {
        status = match_decode(decoder, match, &by_match);
    }
    if (status == INS_OK && has_range) {
        status = range_decode(decoder, range, &by_range);
    }
    if (status != INS_OK) {
        return status;
    }
    if (has_match && has_range) {
        return match_or_range(decoder, &by_match, &by_range, out);
    }
    if (!has_match && !has_range) {
        return ins_fail(decoder->error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [filter: the condition on `%.100s` says "
                        "nothing, `match` or `range` is needed]",
                        by_match.key.data);
    }
    *out = has_match ? by_match : by_range;
    return INS_OK;
}

static ins_status condition_decode(struct filter_decoder *decoder, struct json_value object,
                                   ins_condition *out) {
    static const char *const later[] = {"is_empty", "is_null", "has_vector", "slice", "nested"};
    struct json_value value;
    if (json_type_of(object) != JSON_OBJECT) {
        return type_error(decoder->error, "filter: condition", "an object", object);
    }
    if (++decoder->condition_count > INS_FILTER_CONDITIONS_MAX) {
        return ins_fail(decoder->error, INS_INVALID, "Wrong input: filter: more than %u conditions",
                        INS_FILTER_CONDITIONS_MAX);
    }
    *out = (ins_condition){0};
    if (field_get(object, "key", &value)) {
        return field_condition_decode(decoder, object, value, out);
    }
    if (field_get(object, "has_id", &value)) {
        out->kind = INS_HAS_ID;
        return decode_ids(decoder->job, value, "filter: has_id", &out->ids, &out->id_count,
                          decoder->error);
    }
    ins_status status = refuse_any(decoder, object, later, sizeof(later) / sizeof(later[0]));
    if (status != INS_OK) {
        return status;
    }
    ins_filter *filter = job_alloc(decoder->job, sizeof(*filter));
    if (filter == NULL) {
        return job_no_memory(decoder->error);
    }
    out->kind = INS_NESTED_FILTER;
    out->filter = filter;
    return filter_decode(decoder, object, filter);
}

/* One condition or an array of them. */
static ins_status clause_decode(struct filter_decoder *decoder, struct json_value value,
                                const ins_condition **out, size_t *out_count) {
    bool many = json_type_of(value) == JSON_ARRAY;
    size_t capacity = many ? json_count(value) : 1;
    if (capacity > INS_FILTER_CONDITIONS_MAX) {
        return ins_fail(decoder->error, INS_INVALID,
                        "Wrong input: filter: %zu conditions, at most %u are allowed", capacity,
                        INS_FILTER_CONDITIONS_MAX);
    }
    ins_condition *conditions = job_alloc(decoder->job, (capacity + 1) * sizeof(*conditions));
    if (conditions == NULL) {
        return job_no_memory(decoder->error);
    }
    struct json_iterator iterator = {0};
    if (many) {
        iterator = json_begin(value);
    }
    size_t count = 0;
    while (count < capacity && (!many || json_next(&iterator, &value))) {
        ins_status status = condition_decode(decoder, value, &conditions[count]);
        if (status != INS_OK) {
            return status;
        }
        count++;
    }
    *out = conditions;
    *out_count = count;
    return INS_OK;
}

static ins_status clause_once(struct filter_decoder *decoder, ins_text key, struct json_value value,
                              const ins_condition **out, size_t *out_count) {
    if (json_type_of(value) == JSON_NULL) {
        return INS_OK;
    }
    if (*out != NULL) {
        return ins_fail(decoder->error, INS_INVALID,
                        "Format error in JSON body: filter: duplicate field `%.*s`", (int)key.size,
                        key.data);
    }
    return clause_decode(decoder, value, out, out_count);
}

static ins_status member_decode(struct filter_decoder *decoder, ins_text key,
                                struct json_value value, ins_filter *filter) {
    if (text_equal(key, "must")) {
        return clause_once(decoder, key, value, &filter->must, &filter->must_count);
    }
    if (text_equal(key, "should")) {
        return clause_once(decoder, key, value, &filter->should, &filter->should_count);
    }
    if (text_equal(key, "must_not")) {
        return clause_once(decoder, key, value, &filter->must_not, &filter->must_not_count);
    }
    if (text_equal(key, "min_should")) {
        return json_type_of(value) == JSON_NULL
                   ? INS_OK
                   : unsupported_error(decoder->error, "filter: min_should");
    }
    return ins_fail(decoder->error, INS_INVALID,
                    "Format error in JSON body: filter: unknown field `%.*s`, expected must, "
                    "should, must_not or min_should",
                    (int)(key.size < 64 ? key.size : 0), key.data);
}

static ins_status filter_decode(struct filter_decoder *decoder, struct json_value object,
                                ins_filter *out_filter) {
    *out_filter = (ins_filter){0};
    if (json_type_of(object) != JSON_OBJECT) {
        return type_error(decoder->error, "filter", "an object", object);
    }
    if (decoder->depth == INS_FILTER_DEPTH_MAX) {
        return ins_fail(decoder->error, INS_INVALID,
                        "Wrong input: filter: nested more than %u deep", INS_FILTER_DEPTH_MAX);
    }
    decoder->depth++;
    struct json_iterator iterator = json_begin(object);
    ins_text key;
    struct json_value value;
    while (json_next_member(&iterator, &key, &value)) {
        ins_status status = member_decode(decoder, key, value, out_filter);
        if (status != INS_OK) {
            return status;
        }
    }
    decoder->depth--;
    return INS_OK;
}

ins_status decode_filter(struct job *job, struct json_value object, const ins_filter **out_filter,
                         ins_error *error) {
    struct filter_decoder decoder = {.job = job, .error = error};
    struct json_value value;
    *out_filter = NULL;
    if (!field_get(object, "filter", &value)) {
        return INS_OK;
    }
    ins_filter *filter = job_alloc(job, sizeof(*filter));
    if (filter == NULL) {
        return job_no_memory(error);
    }
    ins_status status = filter_decode(&decoder, value, filter);
    *out_filter = status == INS_OK ? filter : NULL;
    return status;
}
