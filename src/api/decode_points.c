/* Points of an upsert, as a list or as columns.
 *
 * Path: the parsed body and its text are walked side by side, so that a payload goes to the engine
 * as it was written (numbers verbatim), while vectors are read from the parsed numbers. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"

#define ELEMENT_NAME_MAX 64

/* "points[17].vector"; made only for messages. */
static const char *element_name(char out[static ELEMENT_NAME_MAX], const char *array, size_t index,
                                const char *field) {
    (void)snprintf(out, ELEMENT_NAME_MAX, "%s[%zu]%s%s", array, index, field[0] == '\0' ? "" : ".",
                   field);
    return out;
}

static bool text_equal(ins_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

static ins_status point_payload_decode(struct job *job, struct json_value value, ins_text text,
                                       const char *name, ins_point *point, ins_error *error) {
    enum json_type type = json_type_of(value);
    if (type == JSON_NULL) {
        return INS_OK;
    }
    if (type != JSON_OBJECT) {
        return type_error(error, name, "an object", value);
    }
    if (text.size > INS_PAYLOAD_BYTES_MAX) {
        return ins_fail(error, INS_TOO_LARGE,
                        "Wrong input: %s has %zu bytes, a payload may have at most %u", name,
                        text.size, INS_PAYLOAD_BYTES_MAX);
    }
    return json_count(value) == 0 ? INS_OK : job_copy_text(job, text, &point->payload, error);
}

enum point_field { POINT_ID = 1, POINT_VECTOR = 2, POINT_PAYLOAD = 4 };

static enum point_field point_field_of(ins_text key) {
    if (text_equal(key, "id")) {
        return POINT_ID;
    }
    if (text_equal(key, "vector")) {
        return POINT_VECTOR;
    }
    return text_equal(key, "payload") ? POINT_PAYLOAD : 0;
}

static ins_status point_field_decode(struct job *job, enum point_field field,
                                     struct json_value value, ins_text text, size_t index,
                                     ins_point *point, ins_error *error) {
    char name[ELEMENT_NAME_MAX];
    if (field == POINT_ID) {
        return decode_id(value, element_name(name, "points", index, "id"), &point->id, error);
    }
    if (field == POINT_VECTOR) {
        return decode_point_vectors(job, value, element_name(name, "points", index, "vector"),
                                    index == 0 ? NULL : point - 1, point, error);
    }
    return point_payload_decode(job, value, text, element_name(name, "points", index, "payload"),
                                point, error);
}

static ins_status point_decode(struct job *job, struct json_value object, ins_text text,
                               size_t index, ins_point *point, ins_error *error) {
    char name[ELEMENT_NAME_MAX];
    *point = (ins_point){0};
    if (json_type_of(object) != JSON_OBJECT) {
        return type_error(error, element_name(name, "points", index, ""), "an object", object);
    }
    struct json_iterator members = json_begin(object);
    struct json_text_iterator texts = json_text_begin(text);
    struct json_value value;
    ins_text key, raw_key, raw;
    unsigned seen = 0;
    while (json_next_member(&members, &key, &value)) {
        INS_ASSERT(json_text_next_member(&texts, &raw_key, &raw));
        enum point_field field = point_field_of(key);
        if (field == 0 || (json_type_of(value) == JSON_NULL && field != POINT_PAYLOAD)) {
            continue;
        }
        if ((seen & field) != 0) {
            return ins_fail(error, INS_INVALID,
                            "Format error in JSON body: points[%zu]: duplicate field `%.*s`", index,
                            (int)key.size, key.data);
        }
        seen |= field;
        ins_status status = point_field_decode(job, field, value, raw, index, point, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if ((seen & POINT_ID) == 0) {
        return missing_error(error, element_name(name, "points", index, "id"));
    }
    if ((seen & POINT_VECTOR) == 0) {
        return missing_error(error, element_name(name, "points", index, "vector"));
    }
    return INS_OK;
}

static ins_status points_alloc(struct job *job, size_t count, const char *name,
                               ins_point **out_points, ins_error *error) {
    if (count > INS_BATCH_POINTS_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: %s has %zu points, one request may have at most %u", name,
                        count, INS_BATCH_POINTS_MAX);
    }
    *out_points = job_alloc(job, (count + 1) * sizeof(**out_points));
    return *out_points == NULL ? job_no_memory(error) : INS_OK;
}

static ins_status points_list_decode(struct job *job, struct json_value array, ins_text text,
                                     ins_error *error) {
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(error, "points", "an array of points", array);
    }
    size_t count = json_count(array);
    ins_point *points = NULL;
    ins_status status = points_alloc(job, count, "points", &points, error);
    struct json_iterator iterator = json_begin(array);
    struct json_text_iterator texts = json_text_begin(text);
    struct json_value value;
    ins_text raw;
    for (size_t i = 0; status == INS_OK && i < count; i++) {
        bool both = json_next(&iterator, &value);
        INS_ASSERT(both);
        both = json_text_next(&texts, &raw);
        INS_ASSERT(both && points != NULL);
        status = point_decode(job, value, raw, i, &points[i], error);
    }
    job->points.points = points;
    job->points.point_count = count;
    return status;
}

static ins_status column_ids(struct job *job, struct json_value batch, ins_point **out_points,
                             size_t *out_count, ins_error *error) {
    struct json_value array;
    const ins_id *ids = NULL;
    if (!field_get(batch, "ids", &array)) {
        return missing_error(error, "batch.ids");
    }
    ins_status status = decode_ids(job, array, "batch.ids", &ids, out_count, error);
    if (status == INS_OK) {
        status = points_alloc(job, *out_count, "batch.ids", out_points, error);
    }
    for (size_t i = 0; status == INS_OK && i < *out_count; i++) {
        INS_ASSERT(*out_points != NULL);
        (*out_points)[i] = (ins_point){.id = ids[i]};
    }
    return status;
}

ins_status column_length(const char *name, size_t length, size_t ids, ins_error *error) {
    return length == ids ? INS_OK
                         : ins_fail(error, INS_UNPROCESSABLE,
                                    "Validation error in JSON body: [%s: has %zu elements, must "
                                    "have as many as batch.ids, which has %zu]",
                                    name, length, ids);
}

static ins_status column_vectors(struct job *job, struct json_value batch, ins_point *points,
                                 size_t count, ins_error *error) {
    struct json_value columns;
    return field_get(batch, "vectors", &columns)
               ? decode_vector_columns(job, columns, "batch.vectors", points, count, error)
               : missing_error(error, "batch.vectors");
}

static ins_status column_payloads(struct job *job, struct json_value batch, ins_text text,
                                  ins_point *points, size_t count, ins_error *error) {
    struct json_value array, value;
    ins_text column, raw;
    if (!field_get(batch, "payloads", &array)) {
        return INS_OK;
    }
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(error, "batch.payloads", "an array of objects", array);
    }
    if (!json_text_get_last(text, (ins_text){"payloads", 8}, &column)) {
        return missing_error(error, "batch.payloads");
    }
    ins_status status = column_length("batch.payloads", json_count(array), count, error);
    struct json_iterator iterator = json_begin(array);
    struct json_text_iterator texts = json_text_begin(column);
    for (size_t i = 0; status == INS_OK && i < count; i++) {
        char name[ELEMENT_NAME_MAX];
        if (!json_next(&iterator, &value) || !json_text_next(&texts, &raw)) {
            return missing_error(error, element_name(name, "batch.payloads", i, ""));
        }
        element_name(name, "batch.payloads", i, "");
        status = point_payload_decode(job, value, raw, name, &points[i], error);
    }
    return status;
}

static ins_status points_columns_decode(struct job *job, struct json_value batch, ins_text text,
                                        ins_error *error) {
    ins_point *points = NULL;
    size_t count = 0;
    if (json_type_of(batch) != JSON_OBJECT) {
        return type_error(error, "batch", "an object", batch);
    }
    ins_status status = refuse_duplicates(batch, error);
    if (status == INS_OK) {
        status = column_ids(job, batch, &points, &count, error);
    }
    if (status == INS_OK) {
        status = column_vectors(job, batch, points, count, error);
    }
    if (status == INS_OK) {
        status = column_payloads(job, batch, text, points, count, error);
    }
    job->points.points = points;
    job->points.point_count = count;
    return status;
}

static ins_status upsert_options_check(struct json_value body, ins_error *error) {
    struct json_value mode;
    ins_status status = field_refuse(body, "shard_key", error);
    if (status == INS_OK) {
        status = field_refuse(body, "update_filter", error);
    }
    if (status == INS_OK && field_get(body, "update_mode", &mode)) {
        if (json_type_of(mode) != JSON_STRING) {
            return type_error(error, "update_mode", "a string", mode);
        }
        status = text_equal(json_string(mode), "upsert") ? INS_OK
                                                         : unsupported_error(error, "update_mode");
    }
    return status;
}

ins_status points_upsert(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body, value;
    ins_text text;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = upsert_options_check(body, error);
    }
    if (status != INS_OK) {
        return status;
    }
    job->points.collection = job->params[0];
    if (field_get(body, "points", &value) &&
        json_text_get_last(job->body, (ins_text){"points", 6}, &text)) {
        status = points_list_decode(job, value, text, error);
    } else if (field_get(body, "batch", &value) &&
               json_text_get_last(job->body, (ins_text){"batch", 5}, &text)) {
        status = points_columns_decode(job, value, text, error);
    } else {
        status = missing_error(error, "points");
    }
    if (status == INS_OK) {
        job_start(job, ins_points_upsert, &job->points, encode_update);
    }
    return status;
}
