/* Filters: must, should, must_not and min_should, and the conditions that are not on one field
 * (decode_condition.c has those). Depth and number of conditions are bounded, so the recursion is.
 */
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

/* ---- Conditions ---------------------------------------------------------------------------- */

/* Members of a condition's object that are there and not null. */
struct members {
    struct json_value key, is_empty, is_null, has_id, has_vector, slice, nested;
    bool has_key, has_is_empty, has_is_null, has_has_id, has_has_vector, has_slice, has_nested;
};

static ins_status members_find(struct filter_decoder *decoder, struct json_value object,
                               struct members *out) {
    const struct {
        const char *name;
        size_t size;
        struct json_value *value;
        bool *has;
    } known[] = {
        {"key", 3, &out->key, &out->has_key},
        {"is_empty", 8, &out->is_empty, &out->has_is_empty},
        {"is_null", 7, &out->is_null, &out->has_is_null},
        {"has_id", 6, &out->has_id, &out->has_has_id},
        {"has_vector", 10, &out->has_vector, &out->has_has_vector},
        {"slice", 5, &out->slice, &out->has_slice},
        {"nested", 6, &out->nested, &out->has_nested},
    };
    struct json_iterator iterator = json_begin(object);
    ins_text name;
    struct json_value value;
    while (json_next_member(&iterator, &name, &value)) {
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            if (name.size != known[i].size || memcmp(name.data, known[i].name, name.size) != 0) {
                continue;
            }
            if (*known[i].has) {
                return ins_fail(decoder->error, INS_INVALID,
                                "Format error in JSON body: filter: duplicate field `%s`",
                                known[i].name);
            }
            *known[i].has = json_type_of(value) != JSON_NULL;
            *known[i].value = value;
        }
    }
    return INS_OK;
}

/* {"is_empty": {"key": ...}} and its like. */
static ins_status payload_field_decode(struct filter_decoder *decoder, struct json_value object,
                                       const char *name, ins_text *out_key) {
    struct json_value key;
    char full[64];
    (void)snprintf(full, sizeof(full), "filter: %s", name);
    if (json_type_of(object) != JSON_OBJECT) {
        return type_error(decoder->error, full, "an object with `key`", object);
    }
    (void)snprintf(full, sizeof(full), "filter: %s.key", name);
    if (!field_get(object, "key", &key)) {
        return missing_error(decoder->error, full);
    }
    if (json_type_of(key) != JSON_STRING) {
        return type_error(decoder->error, full, "a string", key);
    }
    return job_copy_text(decoder->job, json_string(key), out_key, decoder->error);
}

static ins_status slice_decode(struct filter_decoder *decoder, struct json_value object,
                               ins_condition *out) {
    uint64_t total = UINT64_MAX;
    uint64_t index = UINT64_MAX;
    if (json_type_of(object) != JSON_OBJECT) {
        return type_error(decoder->error, "filter: slice", "an object with `total` and `index`",
                          object);
    }
    ins_status status =
        field_u64(object, "total", "filter.slice.total", 0, UINT32_MAX, &total, decoder->error);
    if (status == INS_OK) {
        status =
            field_u64(object, "index", "filter.slice.index", 0, UINT32_MAX, &index, decoder->error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (total == UINT64_MAX || index == UINT64_MAX) {
        return missing_error(decoder->error,
                             total == UINT64_MAX ? "filter: slice.total" : "filter: slice.index");
    }
    if (total == 0) { /* a number of the wrong type to Qdrant: 400, where the index is 422 */
        return ins_fail(decoder->error, INS_INVALID,
                        "Format error in JSON body: filter: slice.total: 0, must be 1 or larger");
    }
    if (index >= total) {
        return range_error(decoder->error, "filter.slice.index", index, 0, total - 1);
    }
    out->kind = INS_SLICE;
    out->slice_total = (uint32_t)total;
    out->slice_index = (uint32_t)index;
    return INS_OK;
}

static ins_status subfilter_decode(struct filter_decoder *decoder, struct json_value object,
                                   ins_condition *out) {
    ins_filter *filter = job_alloc(decoder->job, sizeof(*filter));
    if (filter == NULL) {
        return job_no_memory(decoder->error);
    }
    out->filter = filter;
    return filter_decode(decoder, object, filter);
}

static ins_status nested_decode(struct filter_decoder *decoder, struct json_value object,
                                ins_condition *out) {
    struct json_value filter;
    ins_status status = payload_field_decode(decoder, object, "nested", &out->key);
    if (status != INS_OK) {
        return status;
    }
    if (!field_get(object, "filter", &filter)) {
        return missing_error(decoder->error, "filter: nested.filter");
    }
    out->kind = INS_NESTED_ELEMENT;
    return subfilter_decode(decoder, filter, out);
}

static ins_status has_vector_decode(struct filter_decoder *decoder, struct json_value name,
                                    ins_condition *out) {
    if (json_type_of(name) != JSON_STRING) {
        return type_error(decoder->error, "filter: has_vector", "a vector's name", name);
    }
    out->kind = INS_HAS_VECTOR;
    return job_copy_text(decoder->job, json_string(name), &out->vector, decoder->error);
}

static ins_status condition_decode(struct filter_decoder *decoder, struct json_value object,
                                   ins_condition *out) {
    struct members members = {.has_key = false};
    if (json_type_of(object) != JSON_OBJECT) {
        return type_error(decoder->error, "filter: condition", "an object", object);
    }
    if (++decoder->condition_count > INS_FILTER_CONDITIONS_MAX) {
        return ins_fail(decoder->error, INS_INVALID, "Wrong input: filter: more than %u conditions",
                        INS_FILTER_CONDITIONS_MAX);
    }
    *out = (ins_condition){.kind = INS_NESTED_FILTER};
    ins_status status = members_find(decoder, object, &members);
    if (status != INS_OK) {
        return status;
    }
    if (members.has_key) {
        return decode_field_condition(decoder->job, object, members.key, out, decoder->error);
    }
    if (members.has_is_empty || members.has_is_null) {
        out->kind = members.has_is_empty ? INS_IS_EMPTY : INS_IS_NULL;
        return members.has_is_empty
                   ? payload_field_decode(decoder, members.is_empty, "is_empty", &out->key)
                   : payload_field_decode(decoder, members.is_null, "is_null", &out->key);
    }
    if (members.has_has_id) {
        out->kind = INS_HAS_ID;
        return decode_ids(decoder->job, members.has_id, "filter: has_id", &out->ids, &out->id_count,
                          decoder->error);
    }
    if (members.has_has_vector) {
        return has_vector_decode(decoder, members.has_vector, out);
    }
    if (members.has_slice) {
        return slice_decode(decoder, members.slice, out);
    }
    return members.has_nested ? nested_decode(decoder, members.nested, out)
                              : subfilter_decode(decoder, object, out);
}

/* ---- Filters ------------------------------------------------------------------------------- */

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

static ins_status min_should_decode(struct filter_decoder *decoder, struct json_value object,
                                    ins_filter *filter) {
    struct json_value conditions;
    uint64_t min_count = 0;
    if (filter->min_count != 0) {
        return ins_fail(decoder->error, INS_INVALID,
                        "Format error in JSON body: filter: duplicate field `min_should`");
    }
    if (json_type_of(object) != JSON_OBJECT) {
        return type_error(decoder->error, "filter: min_should",
                          "an object with `conditions` and `min_count`", object);
    }
    ins_status status = field_u64(object, "min_count", "filter.min_should.min_count", 1, UINT64_MAX,
                                  &min_count, decoder->error);
    if (status != INS_OK) {
        return status;
    }
    if (min_count == 0) {
        return missing_error(decoder->error, "filter: min_should.min_count");
    }
    if (!field_get(object, "conditions", &conditions)) {
        return missing_error(decoder->error, "filter: min_should.conditions");
    }
    filter->min_count = min_count;
    return clause_decode(decoder, conditions, &filter->min_should, &filter->min_should_count);
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
        return json_type_of(value) == JSON_NULL ? INS_OK
                                                : min_should_decode(decoder, value, filter);
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

ins_status decode_filter_field(struct job *job, struct json_value object, const char *key,
                               const ins_filter **out_filter, ins_error *error) {
    struct filter_decoder decoder = {.job = job, .error = error};
    struct json_value value;
    *out_filter = NULL;
    if (!field_get(object, key, &value)) {
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

ins_status decode_filter(struct job *job, struct json_value object, const ins_filter **out_filter,
                         ins_error *error) {
    return decode_filter_field(job, object, "filter", out_filter, error);
}
