/* Decoding of bodies: fields with their type and range, ids, vectors. What a field is called in a
 * message is its full path, so that the caller can find it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"
#include "base/id.h"

#define FORMAT_ERROR "Format error in JSON body: "
#define NAME_MAX_SHOWN 200

#define DUPLICATES_CHECKED 32u /* members; no body that Qdrant documents has as many */

ins_status refuse_duplicates(struct json_value object, ins_error *error) {
    ins_text keys[DUPLICATES_CHECKED];
    struct json_iterator iterator = json_begin(object);
    struct json_value value;
    size_t count = 0;
    while (count < DUPLICATES_CHECKED && json_next_member(&iterator, &keys[count], &value)) {
        for (size_t i = 0; i < count; i++) {
            if (keys[i].size == keys[count].size &&
                memcmp(keys[i].data, keys[count].data, keys[i].size) == 0) {
                return ins_fail(error, INS_INVALID, FORMAT_ERROR "duplicate field `%.*s`",
                                (int)(keys[i].size < 64 ? keys[i].size : 0), keys[i].data);
            }
        }
        count++;
    }
    return INS_OK;
}

/* What the parser may need beyond what every loop has is counted in the budget before it is
 * touched; the body itself is counted already. */
static ins_status hold_parser(struct api *api, ins_text body, ins_error *error) {
    size_t most = (size_t)ins_db_hold_max(api->db);
    if (body.size * 16 <= PARSER_KEEP_BYTES) {
        return INS_OK; /* even with a number in every other byte */
    }
    size_t needed = json_parse_bytes_max(body.data, body.size);
    if (needed <= PARSER_KEEP_BYTES) {
        return INS_OK;
    }
    if (needed + body.size > most) {
        return ins_fail(error, INS_TOO_LARGE,
                        "Payload too large: a body of %zu bytes like this one takes %zu to be "
                        "read, and this memory budget allows %zu; send less at once",
                        body.size, needed + body.size, most);
    }
    /* Held already: a search's body was parsed without its vector, which was of no use. */
    size_t more = needed > api->parser_held ? needed - api->parser_held : 0;
    if (!ins_db_hold(api->db, more)) {
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "Rate limiting exceeded: reading this body takes %zu bytes, and of "
                              "the %zu for large bodies and answers others hold %llu now",
                              needed, most, (unsigned long long)ins_db_held(api->db));
    }
    api->parser_held += more;
    if (api->lane == INS_LANE_REQUEST) {
        ins_db_make_room(api->db);
    }
    return INS_OK;
}

ins_status body_parse(struct job *job, const struct api_request *request,
                      struct json_value *out_root, ins_error *error) {
    struct api *api = job->api;
    job->body = request->body;
    ins_status held = hold_parser(api, job->body, error);
    if (held != INS_OK) {
        return held;
    }
    if (api->parser == NULL) {
        api->parser = json_parser_create(API_BODY_BYTES_MAX, INS_JSON_DEPTH_MAX);
        if (api->parser == NULL) {
            return job_no_memory(error);
        }
    }
    ins_error cause = {.status = INS_OK};
    ins_status status = json_parse(api->parser, job->body.data == NULL ? "" : job->body.data,
                                   job->body.size, out_root, &cause);
    if (status == INS_EXHAUSTED || status == INS_FULL) {
        return job_no_memory(error);
    }
    if (status != INS_OK) {
        return ins_fail(error, status, FORMAT_ERROR "%.400s", cause.message);
    }
    if (json_type_of(*out_root) != JSON_OBJECT) {
        return type_error(error, "body", "an object", *out_root);
    }
    return refuse_duplicates(*out_root, error);
}

/* "a string \"abc\"" or "an array": what was there instead. */
static void describe(struct json_value value, char out[static 80]) {
    enum json_type type = json_type_of(value);
    if (type == JSON_STRING) {
        ins_text text = json_string(value);
        size_t shown = text.size < 40 ? text.size : 40;
        while (shown != text.size && shown != 0 && ((uint8_t)text.data[shown] & 0xc0) == 0x80) {
            shown--; /* never half of a character */
        }
        (void)snprintf(out, 80, "the string \"%.*s%s\"", (int)shown, text.data,
                       shown < text.size ? "..." : "");
    } else if (json_is_number(value)) {
        (void)snprintf(out, 80, "the number %.17g", json_number(value));
    } else {
        (void)snprintf(out, 80, "%s", json_type_text(type));
    }
}

ins_status type_error(ins_error *error, const char *name, const char *expected,
                      struct json_value got) {
    char shown[80];
    describe(got, shown);
    return ins_fail(error, INS_INVALID, FORMAT_ERROR "%.*s: expected %s, got %s", NAME_MAX_SHOWN,
                    name, expected, shown);
}

ins_status missing_error(ins_error *error, const char *name) {
    return ins_fail(error, INS_INVALID, FORMAT_ERROR "missing field `%.*s`", NAME_MAX_SHOWN, name);
}

ins_status unsupported_error(ins_error *error, const char *name) {
    return ins_fail(error, INS_UNSUPPORTED,
                    "Not implemented: `%.*s` is not in this version of Insula", NAME_MAX_SHOWN,
                    name);
}

ins_status range_error(ins_error *error, const char *name, uint64_t value, uint64_t min,
                       uint64_t max) {
    if (max >= INT64_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [%.*s: value %llu invalid, "
                        "must be %llu or larger]",
                        NAME_MAX_SHOWN, name, (unsigned long long)value, (unsigned long long)min);
    }
    return ins_fail(error, INS_UNPROCESSABLE,
                    "Validation error in JSON body: [%.*s: value %llu invalid, "
                    "must be from %llu to %llu]",
                    NAME_MAX_SHOWN, name, (unsigned long long)value, (unsigned long long)min,
                    (unsigned long long)max);
}

ins_status field_refuse(struct json_value object, const char *key, ins_error *error) {
    struct json_value value;
    return field_get(object, key, &value) ? unsupported_error(error, key) : INS_OK;
}

ins_status field_u64(struct json_value object, const char *key, const char *name, uint64_t min,
                     uint64_t max, uint64_t *out, ins_error *error) {
    struct json_value value;
    if (!field_get(object, key, &value)) {
        return INS_OK;
    }
    if (!json_is_unsigned(value)) {
        return type_error(error, name, "an unsigned integer", value);
    }
    uint64_t number = json_unsigned(value);
    if (number < min || number > max) {
        /* A bound of our own shows only to who exceeds it: below, the message is Qdrant's. */
        return range_error(error, name, number, min, number > max ? max : UINT64_MAX);
    }
    *out = number;
    return INS_OK;
}

ins_status field_bool(struct json_value object, const char *key, bool *out, ins_error *error) {
    struct json_value value;
    if (!field_get(object, key, &value)) {
        return INS_OK;
    }
    if (json_type_of(value) != JSON_BOOL) {
        return type_error(error, key, "true or false", value);
    }
    *out = json_bool(value);
    return INS_OK;
}

ins_status field_number(struct json_value object, const char *key, const char *name, bool *out_has,
                        double *out, ins_error *error) {
    struct json_value value;
    if (!field_get(object, key, &value)) {
        return INS_OK;
    }
    if (!json_is_number(value)) {
        return type_error(error, name, "a number", value);
    }
    *out_has = true;
    *out = json_number(value);
    return INS_OK;
}

ins_status decode_id(struct json_value value, const char *name, ins_id *out_id, ins_error *error) {
    if (json_is_unsigned(value)) {
        *out_id = id_number(json_unsigned(value));
        return INS_OK;
    }
    if (json_type_of(value) == JSON_STRING) {
        ins_text text = json_string(value);
        if (id_parse_uuid(text.data, text.size, out_id)) {
            return INS_OK;
        }
    }
    return type_error(error, name, "a point id (an unsigned 64-bit integer or a UUID)", value);
}

ins_status decode_ids(struct job *job, struct json_value array, const char *name,
                      const ins_id **out_ids, size_t *out_count, ins_error *error) {
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(error, name, "an array of point ids", array);
    }
    size_t capacity = json_count(array);
    ins_id *ids = job_alloc(job, (capacity + 1) * sizeof(*ids));
    if (ids == NULL) {
        return job_no_memory(error);
    }
    size_t count = 0;
    struct json_iterator iterator = json_begin(array);
    struct json_value value;
    while (count < capacity && json_next(&iterator, &value)) {
        ins_status status = decode_id(value, name, &ids[count], error);
        if (status != INS_OK) {
            return status;
        }
        count++;
    }
    *out_ids = ids;
    *out_count = count;
    return INS_OK;
}

static ins_status vector_element_error(struct json_value array, size_t index, const char *name,
                                       ins_error *error) {
    struct json_iterator iterator = json_begin(array);
    struct json_value value = array;
    for (size_t i = 0; i <= index && json_next(&iterator, &value); i++) {
    }
    char element[NAME_MAX_SHOWN + 32];
    (void)snprintf(element, sizeof(element), "%.*s[%zu]", NAME_MAX_SHOWN, name, index);
    return type_error(error, element, "a number", value);
}

/* The numbers of an array, which has `count`, into `out`. */
static ins_status numbers_decode(struct json_value array, const char *name, size_t count,
                                 float *out, ins_error *error) {
    size_t got = 0;
    if (!json_floats(array, out, count, &got)) {
        return vector_element_error(array, got, name, error);
    }
    INS_ASSERT(got == count);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(out[i])) {
            return ins_fail(error, INS_INVALID,
                            "Wrong input: %.*s[%zu] is beyond the range of 32-bit floats",
                            NAME_MAX_SHOWN, name, i);
        }
    }
    return INS_OK;
}

/* One row of a multivector: an array as long as the first one. */
static ins_status row_check(struct json_value row, const char *name, size_t index, size_t dim,
                            ins_error *error) {
    if (json_type_of(row) != JSON_ARRAY) {
        char element[NAME_MAX_SHOWN + 32];
        (void)snprintf(element, sizeof(element), "%.*s[%zu]", NAME_MAX_SHOWN, name, index);
        return type_error(error, element, "an array of numbers, as the first of the multivector",
                          row);
    }
    size_t count = json_count(row);
    if (count == 0) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [%.*s[%zu]: all vectors must be non-empty]",
                        NAME_MAX_SHOWN, name, index);
    }
    return count == dim ? INS_OK
                        : ins_fail(error, INS_UNPROCESSABLE,
                                   "Validation error in JSON body: [%.*s[%zu]: all vectors must "
                                   "have the same dimension, found vector with dimension %zu "
                                   "behind one with %zu]",
                                   NAME_MAX_SHOWN, name, index, count, dim);
}

/* An array of arrays, of which `first` is the first. */
static ins_status rows_decode(struct job *job, struct json_value array, struct json_value first,
                              const char *name, struct decoded_vector *out, ins_error *error) {
    size_t rows = json_count(array), dim = json_count(first);
    if (dim > INS_MULTI_NUMBERS_MAX || rows * dim > INS_MULTI_NUMBERS_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: %.*s has %zu vectors of %zu numbers, a multivector may have "
                        "%u numbers",
                        NAME_MAX_SHOWN, name, rows, dim, INS_MULTI_NUMBERS_MAX);
    }
    float *values = job_alloc_aligned(job, (rows * dim + 1) * sizeof(*values), 64);
    if (values == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator iterator = json_begin(array);
    struct json_value row;
    ins_status status = INS_OK;
    for (size_t i = 0; status == INS_OK && i < rows && json_next(&iterator, &row); i++) {
        char element[NAME_MAX_SHOWN + 32];
        status = row_check(row, name, i, dim, error);
        if (status == INS_OK) {
            (void)snprintf(element, sizeof(element), "%.*s[%zu]", NAME_MAX_SHOWN, name, i);
            status = numbers_decode(row, element, dim, values + i * dim, error);
        }
    }
    *out = (struct decoded_vector){values, (uint32_t)dim, (uint32_t)rows};
    return status;
}

ins_status decode_vector(struct job *job, struct json_value array, const char *name,
                         struct decoded_vector *out, ins_error *error) {
    INS_ASSERT(json_type_of(array) == JSON_ARRAY);
    struct json_iterator iterator = json_begin(array);
    struct json_value first;
    if (json_next(&iterator, &first) && json_type_of(first) == JSON_ARRAY) {
        return rows_decode(job, array, first, name, out, error);
    }
    size_t count = json_count(array);
    if (count > INS_DIM_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: %.*s has %zu dimensions, at most %u are allowed",
                        NAME_MAX_SHOWN, name, count, INS_DIM_MAX);
    }
    float *vector = job_alloc_aligned(job, (count + 1) * sizeof(*vector), 64);
    if (vector == NULL) {
        return job_no_memory(error);
    }
    *out = (struct decoded_vector){vector, (uint32_t)count, 0};
    return numbers_decode(array, name, count, vector, error);
}

ins_status decode_texts(struct job *job, struct json_value array, const char *name,
                        const ins_text **out_texts, size_t *out_count, ins_error *error) {
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(error, name, "an array of strings", array);
    }
    size_t capacity = json_count(array);
    ins_text *texts = job_alloc(job, (capacity + 1) * sizeof(*texts));
    if (texts == NULL) {
        return job_no_memory(error);
    }
    size_t count = 0;
    struct json_iterator iterator = json_begin(array);
    struct json_value value;
    while (count < capacity && json_next(&iterator, &value)) {
        if (json_type_of(value) != JSON_STRING) {
            return type_error(error, name, "an array of strings with nothing else in it", value);
        }
        ins_status status = job_copy_text(job, json_string(value), &texts[count], error);
        if (status != INS_OK) {
            return status;
        }
        count++;
    }
    *out_texts = texts;
    *out_count = count;
    return INS_OK;
}

static ins_status decode_selector_object(struct job *job, struct json_value object,
                                         ins_selector *selector, ins_error *error) {
    struct json_value keys;
    const char *name = "with_payload.include";
    selector->kind = INS_SELECT_INCLUDE;
    if (!field_get(object, "include", &keys)) {
        name = "with_payload.exclude";
        selector->kind = INS_SELECT_EXCLUDE;
        if (!field_get(object, "exclude", &keys)) {
            return type_error(error, "with_payload", "an object with `include` or `exclude`",
                              object);
        }
    }
    return decode_texts(job, keys, name, &selector->keys, &selector->key_count, error);
}

static ins_status decode_with_payload(struct job *job, struct json_value value,
                                      ins_selector *selector, ins_error *error) {
    enum json_type type = json_type_of(value);
    if (type == JSON_BOOL) {
        selector->kind = json_bool(value) ? INS_SELECT_ALL : INS_SELECT_NONE;
        return INS_OK;
    }
    if (type == JSON_ARRAY) {
        selector->kind = INS_SELECT_INCLUDE;
        return decode_texts(job, value, "with_payload", &selector->keys, &selector->key_count,
                            error);
    }
    if (type == JSON_OBJECT) {
        return decode_selector_object(job, value, selector, error);
    }
    return type_error(error, "with_payload", "true, false, an array of keys or an object", value);
}

static ins_status decode_with_vector(struct job *job, struct json_value value, ins_error *error) {
    enum json_type type = json_type_of(value);
    if (type == JSON_BOOL) {
        job->points.with_vector = json_bool(value);
        return INS_OK;
    }
    if (type == JSON_ARRAY) {
        job->points.with_vector = true;
        return decode_texts(job, value, "with_vector", &job->points.vector_names,
                            &job->points.vector_name_count, error);
    }
    return type_error(error, "with_vector", "true, false or an array of names", value);
}

ins_status decode_with(struct job *job, struct json_value object, bool payload_default,
                       ins_error *error) {
    struct json_value value;
    ins_status status = INS_OK;
    job->points.payload.kind = payload_default ? INS_SELECT_ALL : INS_SELECT_NONE;
    if (field_get(object, "with_payload", &value)) {
        status = decode_with_payload(job, value, &job->points.payload, error);
    }
    if (status == INS_OK &&
        (field_get(object, "with_vector", &value) || field_get(object, "with_vectors", &value))) {
        status = decode_with_vector(job, value, error);
    }
    return status;
}
