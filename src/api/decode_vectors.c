/* Vectors in requests: the parameters of a collection's, and those of points.
 *
 * Everywhere an array is the unnamed vector, and an object has vectors by name, "" among them. What
 * is sparse or to be inferred is refused by name. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"

#define VECTOR_FIELD_MAX 288 /* "points[17].vector.", a name and what comes behind it */

static bool text_is(ins_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

/* "vectors.title.size"; the unnamed vector has no part of its own. Made for messages. */
static const char *field_name(char out[static VECTOR_FIELD_MAX], const char *parent, ins_text name,
                              const char *field) {
    int shown =
        (int)(name.size < INS_VECTOR_NAME_BYTES_MAX ? name.size : INS_VECTOR_NAME_BYTES_MAX);
    (void)snprintf(out, VECTOR_FIELD_MAX, "%s%s%.*s%s%s", parent, name.size == 0 ? "" : ".", shown,
                   name.size == 0 ? "" : name.data, field[0] == '\0' ? "" : ".", field);
    return out;
}

/* ---- A collection's vectors ---- */

static ins_status name_check(ins_text name, ins_error *error) {
    static const char forbidden[] = {'<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\x1f'};
    if (name.size > INS_VECTOR_NAME_BYTES_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [vectors: the name `%.64s...` has %zu "
                        "bytes, must have at most %u]",
                        name.data, name.size, INS_VECTOR_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < sizeof(forbidden) && name.size > 0; i++) {
        if (memchr(name.data, forbidden[i], name.size) != NULL) {
            return ins_fail(error, INS_UNPROCESSABLE,
                            "Validation error in JSON body: [vectors.%.*s: vector name cannot "
                            "contain \"%c\" char]",
                            (int)name.size, name.data, forbidden[i] == '\0' ? '0' : forbidden[i]);
        }
    }
    return INS_OK;
}

static ins_status distance_decode(struct json_value params, const char *name,
                                  ins_distance *out_distance, ins_error *error) {
    struct json_value value;
    if (!field_get(params, "distance", &value)) {
        return missing_error(error, name);
    }
    ins_text text = json_type_of(value) == JSON_STRING ? json_string(value) : (ins_text){"", 0};
    if (text_is(text, "Cosine")) {
        *out_distance = INS_DISTANCE_COSINE;
    } else if (text_is(text, "Dot")) {
        *out_distance = INS_DISTANCE_DOT;
    } else if (text_is(text, "Euclid")) {
        *out_distance = INS_DISTANCE_EUCLID;
    } else if (text_is(text, "Manhattan")) {
        *out_distance = INS_DISTANCE_MANHATTAN;
    } else {
        return type_error(error, name, "Cosine, Euclid, Dot or Manhattan", value);
    }
    return INS_OK;
}

/* Other words were refused by the settings' table. */
static ins_datatype datatype_decode(struct json_value params) {
    struct json_value value;
    ins_text text = field_get(params, "datatype", &value) ? json_string(value) : (ins_text){"", 0};
    if (text_is(text, "float16")) {
        return INS_FLOAT16;
    }
    return text_is(text, "uint8") ? INS_UINT8 : INS_FLOAT32;
}

/* `text` is that of `params`. */
static ins_status params_decode(struct job *job, struct json_value params, ins_text text,
                                ins_text name, ins_vector_params *out, ins_error *error) {
    struct json_value value;
    char field[VECTOR_FIELD_MAX];
    uint64_t size = 0;
    *out = (ins_vector_params){0};
    field_name(field, "vectors", name, "size");
    if (!field_get(params, "size", &value)) {
        return missing_error(error, field);
    }
    ins_status status = field_u64(params, "size", field, 0, UINT64_MAX, &size, error);
    if (status == INS_OK && (size == 0 || size > INS_DIM_MAX)) {
        status = range_error(error, field, size, 1, INS_DIM_MAX);
    }
    if (status == INS_OK) {
        status = distance_decode(params, field_name(field, "vectors", name, "distance"),
                                 &out->distance, error);
    }
    if (status == INS_OK) {
        status = vector_settings_check(params, field_name(field, "vectors", name, ""), error);
    }
    if (status == INS_OK && field_get(params, "multivector_config", &value)) {
        out->multi = true;
        status = field_get(value, "comparator", &value)
                     ? INS_OK
                     : missing_error(error, field_name(field, "vectors", name,
                                                       "multivector_config.comparator"));
    }
    if (status == INS_OK) {
        out->datatype = datatype_decode(params);
        status = vector_settings_text(job, params, text, &out->settings, error);
    }
    out->dim = (uint32_t)size;
    return status == INS_OK ? job_copy_text(job, name, &out->name, error) : status;
}

/* Vectors by name: every member is an object. */
static bool vectors_are_named(struct json_value vectors) {
    struct json_iterator members = json_begin(vectors);
    struct json_value value;
    ins_text key;
    while (json_next_member(&members, &key, &value)) {
        if (json_type_of(value) != JSON_OBJECT) {
            return false;
        }
    }
    return true;
}

static ins_status named_decode(struct job *job, struct json_value vectors, ins_text text,
                               ins_vector_params *out, ins_error *error) {
    struct json_iterator members = json_begin(vectors);
    struct json_text_iterator texts = json_text_begin(text);
    struct json_value value;
    ins_text key, raw_key, raw;
    ins_status status = refuse_duplicates(vectors, error);
    for (size_t i = 0; status == INS_OK && json_next_member(&members, &key, &value); i++) {
        INS_ASSERT(json_text_next_member(&texts, &raw_key, &raw));
        status = name_check(key, error);
        if (status == INS_OK) {
            status = params_decode(job, value, raw, key, &out[i], error);
        }
    }
    return status;
}

ins_status decode_vectors_config(struct job *job, struct json_value body, ins_error *error) {
    struct json_value vectors;
    ins_text text;
    if (!field_get(body, "vectors", &vectors) ||
        !json_text_get_last(job->body, (ins_text){"vectors", 7}, &text)) {
        return INS_OK;
    }
    if (json_type_of(vectors) != JSON_OBJECT) {
        return type_error(error, "vectors", "an object", vectors);
    }
    size_t count = json_count(vectors);
    if (count == 0) {
        return INS_OK; /* a collection without vectors */
    }
    bool named = vectors_are_named(vectors);
    count = named ? count : 1;
    if (count > INS_VECTORS_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [vectors: has %zu, must have at most %u]",
                        count, INS_VECTORS_MAX);
    }
    ins_vector_params *params = job_alloc(job, count * sizeof(*params));
    if (params == NULL) {
        return job_no_memory(error);
    }
    job->collection.vectors = params;
    job->collection.vector_count = count;
    return named ? named_decode(job, vectors, text, params, error)
                 : params_decode(job, vectors, text, (ins_text){0}, params, error);
}

ins_status decode_vector_params(struct job *job, struct json_value body, ins_text name,
                                ins_error *error) {
    struct json_value dense;
    ins_text text;
    ins_status status = field_refuse(body, "sparse", error);
    if (status == INS_OK) {
        status = name_check(name, error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (!field_get(body, "dense", &dense) ||
        !json_text_get_last(job->body, (ins_text){"dense", 5}, &text)) {
        return missing_error(error, "dense");
    }
    if (json_type_of(dense) != JSON_OBJECT) {
        return type_error(error, "dense", "an object", dense);
    }
    ins_vector_params *params = job_alloc(job, sizeof(*params));
    if (params == NULL) {
        return job_no_memory(error);
    }
    job->collection.vectors = params;
    job->collection.vector_count = 1;
    return params_decode(job, dense, text, name, params, error);
}

/* ---- Vectors of points ---- */

/* The values of one vector, whose kind is known by its shape. */
static ins_status values_decode(struct job *job, struct json_value value, const char *name,
                                struct decoded_vector *out, ins_error *error) {
    char field[VECTOR_FIELD_MAX + 32];
    if (json_type_of(value) == JSON_OBJECT || json_type_of(value) == JSON_STRING) {
        (void)snprintf(field, sizeof(field), "%.*s (sparse or inferred)", VECTOR_FIELD_MAX - 1,
                       name);
        return unsupported_error(error, field);
    }
    if (json_type_of(value) != JSON_ARRAY) {
        return type_error(error, name, "an array of numbers", value);
    }
    return json_count(value) > 0
               ? decode_vector(job, value, name, out, error)
               : ins_fail(error, INS_UNPROCESSABLE,
                          "Validation error in JSON body: [%s: dense vector must not be empty]",
                          name);
}

static ins_status unnamed_decode(struct job *job, struct json_value value, const char *name,
                                 ins_point *point, ins_error *error) {
    struct decoded_vector vector = {.rows = 0};
    ins_status status = values_decode(job, value, name, &vector, error);
    if (status == INS_OK) {
        point->vector = vector.values;
        point->dim = vector.dim;
        point->rows = vector.rows;
    }
    return status;
}

/* All but its name. */
static ins_status named_decode_values(struct job *job, struct json_value value, const char *name,
                                      ins_vector *out, ins_error *error) {
    struct decoded_vector vector;
    ins_status status = values_decode(job, value, name, &vector, error);
    if (status == INS_OK) {
        *out = (ins_vector){.values = vector.values, .dim = vector.dim, .rows = vector.rows};
    }
    return status;
}

/* Texts of names are shared by points that follow each other. */
static ins_status vector_name_keep(struct job *job, ins_text name, const ins_point *like,
                                   uint32_t index, ins_text *out, ins_error *error) {
    if (like != NULL && index < like->vector_count) {
        ins_text same = like->vectors[index].name;
        if (same.size == name.size && memcmp(same.data, name.data, name.size) == 0) {
            *out = same;
            return INS_OK;
        }
    }
    return job_copy_text(job, name, out, error);
}

static ins_status named_values_decode(struct job *job, struct json_value object, const char *name,
                                      const ins_point *like, ins_point *point, ins_error *error) {
    size_t count = json_count(object);
    if (count == 0) {
        return INS_OK;
    }
    if (count > INS_VECTORS_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: %s has %zu vectors, at most %u are allowed", name, count,
                        INS_VECTORS_MAX);
    }
    ins_vector *vectors = job_alloc(job, count * sizeof(*vectors));
    if (vectors == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator members = json_begin(object);
    struct json_value value;
    ins_text key;
    ins_status status = refuse_duplicates(object, error);
    point->vectors = vectors;
    while (status == INS_OK && json_next_member(&members, &key, &value)) {
        char field[VECTOR_FIELD_MAX];
        field_name(field, name, key, "");
        if (key.size == 0) {
            status = unnamed_decode(job, value, field, point, error);
            continue;
        }
        ins_vector *vector = &vectors[point->vector_count];
        status = named_decode_values(job, value, field, vector, error);
        if (status == INS_OK) {
            status = vector_name_keep(job, key, like, point->vector_count, &vector->name, error);
            point->vector_count++;
        }
    }
    return status;
}

ins_status decode_point_vectors(struct job *job, struct json_value value, const char *name,
                                const ins_point *like, ins_point *point, ins_error *error) {
    if (json_type_of(value) == JSON_ARRAY) {
        return unnamed_decode(job, value, name, point, error);
    }
    if (json_type_of(value) != JSON_OBJECT) {
        return type_error(error, name, "an array of numbers or an object of them", value);
    }
    return named_values_decode(job, value, name, like, point, error);
}

/* One column: the vectors `key` of all points. */
static ins_status named_column(struct job *job, struct json_value column, ins_text key,
                               const char *name, ins_point *points, size_t count, uint32_t number,
                               ins_vector *vectors, uint32_t stride, ins_error *error) {
    char field[VECTOR_FIELD_MAX], element[VECTOR_FIELD_MAX + 24];
    ins_text kept;
    field_name(field, name, key, "");
    if (json_type_of(column) != JSON_ARRAY) {
        return type_error(error, field, "an array of vectors", column);
    }
    ins_status status = column_length(field, json_count(column), count, error);
    if (status == INS_OK) {
        status = job_copy_text(job, key, &kept, error);
    }
    struct json_iterator iterator = json_begin(column);
    struct json_value value;
    for (size_t i = 0; status == INS_OK && i < count && json_next(&iterator, &value); i++) {
        ins_vector *vector = &vectors[i * stride + number];
        (void)snprintf(element, sizeof(element), "%s[%zu]", field, i);
        status = named_decode_values(job, value, element, vector, error);
        vector->name = kept;
        points[i].vectors = &vectors[i * stride];
        points[i].vector_count = number + 1;
    }
    return status;
}

static ins_status named_columns(struct job *job, struct json_value columns, const char *name,
                                ins_point *points, size_t count, ins_error *error) {
    uint32_t stride = (uint32_t)json_count(columns);
    if (stride == 0) {
        return INS_OK;
    }
    if (stride > INS_VECTORS_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: %s has %u vectors, at most %u are allowed", name, stride,
                        INS_VECTORS_MAX);
    }
    ins_vector *vectors = job_alloc(job, (count * stride + 1) * sizeof(*vectors));
    if (vectors == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator members = json_begin(columns);
    struct json_value column;
    ins_text key;
    ins_status status = refuse_duplicates(columns, error);
    for (uint32_t i = 0; status == INS_OK && json_next_member(&members, &key, &column); i++) {
        status = named_column(job, column, key, name, points, count, i, vectors, stride, error);
    }
    return status;
}

ins_status decode_vector_columns(struct job *job, struct json_value columns, const char *name,
                                 ins_point *points, size_t count, ins_error *error) {
    if (json_type_of(columns) == JSON_OBJECT) {
        return named_columns(job, columns, name, points, count, error);
    }
    if (json_type_of(columns) != JSON_ARRAY) {
        return type_error(error, name, "an array of vectors or an object of such arrays", columns);
    }
    ins_status status = column_length(name, json_count(columns), count, error);
    struct json_iterator iterator = json_begin(columns);
    struct json_value value;
    for (size_t i = 0; status == INS_OK && i < count && json_next(&iterator, &value); i++) {
        char element[64];
        (void)snprintf(element, sizeof(element), "%s[%zu]", name, i);
        status = decode_point_vectors(job, value, element, i == 0 ? NULL : &points[i - 1],
                                      &points[i], error);
    }
    return status;
}

/* ---- Names ---- */

ins_status decode_vector_name(struct job *job, struct json_value object, const char *key,
                              const char *name, ins_text *out_name, ins_error *error) {
    struct json_value value;
    if (!field_get(object, key, &value)) {
        return INS_OK;
    }
    if (json_type_of(value) != JSON_STRING) {
        return type_error(error, name, "a string", value);
    }
    return job_copy_text(job, json_string(value), out_name, error);
}
