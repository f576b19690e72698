/* Conditions on payload fields: match, range, values_count, is_empty, is_null.
 *
 * Qdrant joins several of them in one object by "or": so does a nested filter with `should`.
 * A condition that this version lacks is 501 with its name, never silently true or false. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

#define NAME_BYTES 64u

static bool text_is(ins_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

static ins_status unsupported_condition(ins_error *error, const char *prefix, ins_text name) {
    char full[NAME_BYTES];
    (void)snprintf(full, sizeof(full), "filter: %s%.*s", prefix, (int)name.size, name.data);
    return unsupported_error(error, full);
}

static bool is_one_of(ins_text name, const char *const names[], size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (text_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* ---- match --------------------------------------------------------------------------------- */

static ins_status value_decode(struct job *job, struct json_value value, const char *name,
                               ins_value *out, ins_error *error) {
    switch (json_type_of(value)) {
    case JSON_STRING:
        out->kind = INS_VALUE_TEXT;
        return job_copy_text(job, json_string(value), &out->text, error);
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
    return type_error(error, name, "a string, a 64-bit integer or a boolean", value);
}

static ins_status values_decode(struct job *job, struct json_value array, const char *name,
                                ins_condition *out, ins_error *error) {
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(error, name, "an array", array);
    }
    size_t capacity = json_count(array);
    ins_value *values = job_alloc(job, (capacity + 1) * sizeof(*values));
    if (values == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator iterator = json_begin(array);
    struct json_value value;
    size_t count = 0;
    while (count < capacity && json_next(&iterator, &value)) {
        values[count] = (ins_value){0};
        ins_status status = value_decode(job, value, name, &values[count], error);
        if (status != INS_OK) {
            return status;
        }
        if (values[count].kind == INS_VALUE_BOOL || values[count].kind != values[0].kind) {
            return type_error(error, name, "either strings or integers throughout", value);
        }
        count++;
    }
    out->values = values;
    out->value_count = count;
    return INS_OK;
}

static ins_status match_value_decode(struct job *job, struct json_value value, ins_condition *out,
                                     ins_error *error) {
    ins_value *one = job_alloc(job, sizeof(*one));
    if (one == NULL) {
        return job_no_memory(error);
    }
    *one = (ins_value){0};
    out->values = one;
    out->value_count = 1;
    return value_decode(job, value, "filter: match.value", one, error);
}

static ins_status match_decode(struct job *job, struct json_value match, ins_condition *out,
                               ins_error *error) {
    static const char *const later[] = {"text", "text_any", "phrase", "prefix"};
    if (json_type_of(match) != JSON_OBJECT) {
        return type_error(error, "filter: match", "an object", match);
    }
    struct json_iterator iterator = json_begin(match);
    ins_text name;
    struct json_value value;
    while (json_next_member(&iterator, &name, &value)) {
        if (text_is(name, "value")) {
            out->kind = INS_MATCH_ANY;
            return match_value_decode(job, value, out, error);
        }
        if (text_is(name, "any")) {
            out->kind = INS_MATCH_ANY;
            return values_decode(job, value, "filter: match.any", out, error);
        }
        if (text_is(name, "except")) {
            out->kind = INS_MATCH_EXCEPT;
            return values_decode(job, value, "filter: match.except", out, error);
        }
        if (is_one_of(name, later, sizeof(later) / sizeof(later[0]))) {
            return unsupported_condition(error, "match.", name);
        }
    }
    return type_error(error, "filter: match", "an object with `value`, `any` or `except`", match);
}

/* ---- Bounds -------------------------------------------------------------------------------- */

static ins_status range_bound_decode(struct job *job, struct json_value value, const char *name,
                                     ins_bound *out, ins_error *error) {
    switch (json_type_of(value)) {
    case JSON_INTEGER:
        *out = (ins_bound){.kind = INS_BOUND_INTEGER, .integer = json_integer(value)};
        return INS_OK;
    case JSON_UNSIGNED:
    case JSON_DOUBLE:
        *out = (ins_bound){.kind = INS_BOUND_NUMBER, .number = json_number(value)};
        return INS_OK;
    case JSON_STRING:
        out->kind = INS_BOUND_DATETIME; /* what the text means is the engine's to say */
        return job_copy_text(job, json_string(value), &out->datetime, error);
    case JSON_NULL:
        return INS_OK;
    case JSON_BOOL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return type_error(error, name, "a number or a datetime", value);
}

static ins_status count_bound_decode(struct job *job, struct json_value value, const char *name,
                                     ins_bound *out, ins_error *error) {
    (void)job;
    enum json_type type = json_type_of(value);
    if (type == JSON_NULL) {
        return INS_OK;
    }
    if (!json_is_unsigned(value)) {
        return type_error(error, name, "an unsigned integer", value);
    }
    *out = (ins_bound){.kind = INS_BOUND_INTEGER, .integer = INT64_MAX};
    if (type == JSON_INTEGER) {
        out->integer = json_integer(value);
    }
    return INS_OK;
}

typedef ins_status (*bound_decode)(struct job *job, struct json_value value, const char *name,
                                   ins_bound *out, ins_error *error);

static ins_status bounds_decode(struct job *job, struct json_value object, const char *prefix,
                                bound_decode decode, ins_condition *out, ins_error *error) {
    char name[NAME_BYTES];
    if (json_type_of(object) != JSON_OBJECT) {
        (void)snprintf(name, sizeof(name), "filter: %s", prefix);
        return type_error(error, name, "an object", object);
    }
    struct json_iterator iterator = json_begin(object);
    ins_text key;
    struct json_value value;
    while (json_next_member(&iterator, &key, &value)) {
        ins_bound *bound = text_is(key, "gt")    ? &out->gt
                           : text_is(key, "gte") ? &out->gte
                           : text_is(key, "lt")  ? &out->lt
                           : text_is(key, "lte") ? &out->lte
                                                 : NULL;
        if (bound == NULL) {
            continue; /* Qdrant passes over what it does not know here */
        }
        (void)snprintf(name, sizeof(name), "filter: %s.%.*s", prefix, (int)key.size, key.data);
        ins_status status = decode(job, value, name, bound, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

/* ---- One condition ------------------------------------------------------------------------- */

/* is_empty and is_null of a field condition are booleans; `false` asks for the opposite. */
static ins_status flag_decode(struct job *job, struct json_value value, const char *name,
                              ins_condition *out, ins_error *error) {
    if (json_type_of(value) != JSON_BOOL) {
        return type_error(error, name, "a boolean", value);
    }
    if (json_bool(value)) {
        return INS_OK;
    }
    ins_condition *positive = job_alloc(job, sizeof(*positive));
    ins_filter *filter = job_alloc(job, sizeof(*filter));
    if (positive == NULL || filter == NULL) {
        return job_no_memory(error);
    }
    *positive = *out;
    *filter = (ins_filter){.must_not = positive, .must_not_count = 1};
    *out = (ins_condition){.kind = INS_NESTED_FILTER, .filter = filter};
    return INS_OK;
}

/* *out_known: the member is a condition and was decoded. */
static ins_status member_decode(struct job *job, ins_text name, struct json_value value,
                                ins_condition *out, bool *out_known, ins_error *error) {
    static const char *const later[] = {"geo_bounding_box", "geo_radius", "geo_polygon"};
    *out_known = true;
    if (text_is(name, "match")) {
        return match_decode(job, value, out, error);
    }
    if (text_is(name, "range")) {
        out->kind = INS_RANGE;
        return bounds_decode(job, value, "range", range_bound_decode, out, error);
    }
    if (text_is(name, "values_count")) {
        out->kind = INS_VALUES_COUNT;
        return bounds_decode(job, value, "values_count", count_bound_decode, out, error);
    }
    if (text_is(name, "is_empty")) {
        out->kind = INS_IS_EMPTY;
        return flag_decode(job, value, "filter: is_empty", out, error);
    }
    if (text_is(name, "is_null")) {
        out->kind = INS_IS_NULL;
        return flag_decode(job, value, "filter: is_null", out, error);
    }
    if (is_one_of(name, later, sizeof(later) / sizeof(later[0]))) {
        return unsupported_condition(error, "", name);
    }
    *out_known = false;
    return INS_OK;
}

#define FIELD_CONDITIONS_MAX 5u /* match, range, values_count, is_empty, is_null */

static ins_status one_of_them(struct job *job, const ins_condition conditions[], size_t count,
                              ins_condition *out, ins_error *error) {
    ins_condition *copies = job_alloc(job, count * sizeof(*copies));
    ins_filter *filter = job_alloc(job, sizeof(*filter));
    if (copies == NULL || filter == NULL) {
        return job_no_memory(error);
    }
    memcpy(copies, conditions, count * sizeof(*copies));
    *filter = (ins_filter){.should = copies, .should_count = count};
    *out = (ins_condition){.kind = INS_NESTED_FILTER, .filter = filter};
    return INS_OK;
}

ins_status decode_field_condition(struct job *job, struct json_value object, struct json_value key,
                                  ins_condition *out, ins_error *error) {
    ins_condition conditions[FIELD_CONDITIONS_MAX];
    size_t count = 0;
    ins_text path;
    if (json_type_of(key) != JSON_STRING) {
        return type_error(error, "filter: key", "a string", key);
    }
    ins_status status = job_copy_text(job, json_string(key), &path, error);
    struct json_iterator iterator = json_begin(object);
    ins_text name;
    struct json_value value;
    while (status == INS_OK && json_next_member(&iterator, &name, &value)) {
        bool known = false;
        if (json_type_of(value) == JSON_NULL) {
            continue;
        }
        if (count == FIELD_CONDITIONS_MAX) {
            break; /* nothing more can be known: members come once */
        }
        conditions[count] = (ins_condition){.key = path};
        status = member_decode(job, name, value, &conditions[count], &known, error);
        count += known;
    }
    if (status != INS_OK) {
        return status;
    }
    if (count == 0) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [filter: the condition on `%.*s`: At least "
                        "one field condition must be specified: `match`, `range`, `values_count`, "
                        "`is_empty` or `is_null`]",
                        path.size < 100 ? (int)path.size : 100, path.data);
    }
    *out = conditions[0];
    return count == 1 ? INS_OK : one_of_them(job, conditions, count, out, error);
}
