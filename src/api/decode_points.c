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

ins_status decode_payload(struct job *job, struct json_value value, ins_text text, const char *name,
                          ins_text *out, ins_error *error) {
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
    return json_count(value) == 0 ? INS_OK : job_copy_text(job, text, out, error);
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
    return decode_payload(job, value, text, element_name(name, "points", index, "payload"),
                          &point->payload, error);
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

ins_status decode_points(struct job *job, struct json_value array, ins_text text,
                         ins_points_request *request, ins_error *error) {
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
    request->points = points;
    request->point_count = count;
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
        status = decode_payload(job, value, raw, name, &points[i].payload, error);
    }
    return status;
}

static ins_status points_columns_decode(struct job *job, struct json_value batch, ins_text text,
                                        ins_points_request *request, ins_error *error) {
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
    request->points = points;
    request->point_count = count;
    return status;
}

static ins_status update_mode_decode(struct json_value body, ins_update_mode *out,
                                     ins_error *error) {
    static const char *const modes[] = {[INS_MODE_UPSERT] = "upsert",
                                        [INS_MODE_INSERT_ONLY] = "insert_only",
                                        [INS_MODE_UPDATE_ONLY] = "update_only"};
    struct json_value mode;
    if (!field_get(body, "update_mode", &mode)) {
        return INS_OK;
    }
    for (int i = 0; i < 3 && json_type_of(mode) == JSON_STRING; i++) {
        if (text_equal(json_string(mode), modes[i])) {
            *out = (ins_update_mode)i;
            return INS_OK;
        }
    }
    return type_error(error, "update_mode", "\"upsert\", \"insert_only\" or \"update_only\"", mode);
}

ins_status decode_upsert(struct job *job, struct json_value body, ins_text body_text,
                         ins_points_request *request, ins_error *error) {
    struct json_value value;
    ins_text text;
    ins_status status = decode_shard_keys(job, body, request, error);
    if (status == INS_OK) {
        status = decode_filter_field(job, body, "update_filter", &request->update_filter, error);
    }
    if (status == INS_OK) {
        status = update_mode_decode(body, &request->update_mode, error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (field_get(body, "points", &value) &&
        json_text_get_last(body_text, (ins_text){"points", 6}, &text)) {
        return decode_points(job, value, text, request, error);
    }
    if (field_get(body, "batch", &value) &&
        json_text_get_last(body_text, (ins_text){"batch", 5}, &text)) {
        return points_columns_decode(job, value, text, request, error);
    }
    return missing_error(error, "points");
}
