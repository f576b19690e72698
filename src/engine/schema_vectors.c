/* A schema's vectors: their text, and the draft of a collection's first or next ones. */
#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"
#include "base/status.h"
#include "engine/schema_text.h"
#include "engine/text.h"

static const char *const distance_names[] = {[INS_DISTANCE_COSINE] = "Cosine",
                                             [INS_DISTANCE_DOT] = "Dot",
                                             [INS_DISTANCE_EUCLID] = "Euclid",
                                             [INS_DISTANCE_MANHATTAN] = "Manhattan"};
static const char *const datatype_names[] = {
    [INS_FLOAT32] = "float32", [INS_FLOAT16] = "float16", [INS_UINT8] = "uint8"};

#define NAMES(array) (array), sizeof(array) / sizeof((array)[0])

/* The number of `value` in a table whose place 0 is empty; 0 when it is none of its names. */
static uint32_t name_number(struct json_value value, const char *const *names, size_t count) {
    ins_text text = json_type_of(value) == JSON_STRING ? json_string(value) : (ins_text){0};
    for (uint32_t i = 1; i < count; i++) {
        if (text_is(text, names[i])) {
            return i;
        }
    }
    return 0;
}

const char *schema_distance_name(ins_distance distance) {
    return distance_names[distance];
}

const char *schema_datatype_name(uint32_t datatype) {
    return datatype_names[datatype];
}

uint32_t schema_distance_number(struct json_value name) {
    return name_number(name, NAMES(distance_names));
}

uint32_t schema_datatype_number(struct json_value name) {
    return name_number(name, NAMES(datatype_names));
}

static void write_vector(struct json_writer *writer, const struct schema_vector *vector) {
    json_write_begin_object(writer);
    json_write_key(writer, "id");
    json_write_u64(writer, vector->shape.id);
    json_write_key(writer, "name");
    json_write_text(writer, vector->name);
    json_write_key(writer, "size");
    json_write_u64(writer, vector->shape.dim);
    json_write_key(writer, "distance");
    json_write_string(writer, distance_names[vector->distance]);
    json_write_key(writer, "datatype");
    json_write_string(writer, datatype_names[vector->shape.datatype]);
    if (vector->shape.multi != 0) {
        json_write_key(writer, "multi");
        json_write_bool(writer, true);
    }
    json_write_key(writer, "settings");
    json_write_value(writer, vector->settings.size > 0 ? vector->settings : text_of("{}"));
    json_write_end_object(writer);
}

void schema_write_vectors(struct json_writer *writer, const struct schema_draft *draft) {
    json_write_key(writer, "vectors");
    json_write_begin_array(writer);
    for (uint32_t i = 0; i < draft->vector_count; i++) {
        write_vector(writer, &draft->vectors[i]);
    }
    json_write_end_array(writer);
    json_write_key(writer, "vector_next");
    json_write_u64(writer, draft->vector_next);
}

/* ---- Parsing ---- */

static bool integer_member(struct json_value object, const char *key, int64_t max, int64_t *out) {
    struct json_value value;
    if (!json_get(object, key, &value) || json_type_of(value) != JSON_INTEGER) {
        return false;
    }
    *out = json_integer(value);
    return *out >= 0 && *out <= max;
}

/* Why it is wrong, or NULL. */
static const char *parse_vector(struct json_value root, struct json_value object, ins_text raw,
                                char **at, struct schema_vector *out) {
    struct json_value name, distance, datatype, multi;
    int64_t id, size;
    if (json_type_of(object) != JSON_OBJECT ||
        !integer_member(object, "id", VECTOR_IDS_MAX - 1, &id)) {
        return "vectors[].id";
    }
    if (!integer_member(object, "size", INS_DIM_MAX, &size) || size == 0) {
        return "vectors[].size";
    }
    if (!json_get(object, "name", &name) || json_type_of(name) != JSON_STRING) {
        return "vectors[].name";
    }
    uint32_t distance_number = 0, datatype_number = 0;
    if (json_get(object, "distance", &distance)) {
        distance_number = schema_distance_number(distance);
    }
    if (json_get(object, "datatype", &datatype)) {
        datatype_number = schema_datatype_number(datatype);
    }
    if (distance_number == 0 || datatype_number == 0) {
        return "vectors[].distance or datatype";
    }
    if (!json_text_get_last(raw, text_of("settings"), &out->settings)) {
        return "vectors[].settings";
    }
    out->shape = (struct vector_shape){
        .id = (uint16_t)id, .datatype = (uint8_t)datatype_number, .dim = (uint32_t)size};
    if (json_get(object, "multi", &multi)) {
        if (json_type_of(multi) != JSON_BOOL) {
            return "vectors[].multi";
        }
        out->shape.multi = json_bool(multi);
    }
    out->distance = (ins_distance)distance_number;
    out->name = schema_keep(at, json_string(name));
    schema_parse_graph(root, object, out);
    return NULL;
}

ins_status schema_parse_vectors(struct schema *schema, struct json_value root, ins_text text,
                                char **at, ins_error *error) {
    struct json_value list, object;
    ins_text raw_list, raw;
    int64_t next, past = 0;
    if (!integer_member(root, "vector_next", VECTOR_IDS_MAX, &next) ||
        !json_get(root, "vectors", &list) ||
        !json_text_get_last(text, text_of("vectors"), &raw_list)) {
        return schema_damaged(error, "vector_next");
    }
    schema->vector_next = (uint32_t)next;
    struct json_iterator iterator = json_begin(list);
    struct json_text_iterator raws = json_text_begin(raw_list);
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        struct schema_vector *vector = &schema->vectors[i];
        if (!json_next(&iterator, &object) || !json_text_next(&raws, &raw)) {
            return schema_damaged(error, "vectors");
        }
        const char *wrong = parse_vector(root, object, raw, at, vector);
        if (wrong == NULL && (vector->shape.id < past || vector->shape.id >= next)) {
            wrong = "vectors[].id";
        }
        if (wrong != NULL) {
            return schema_damaged(error, wrong);
        }
        past = vector->shape.id + 1;
    }
    return schema_packed_bytes_max(schema) <= INS_VECTOR_BYTES_MAX
               ? INS_OK
               : schema_damaged(error, "vectors[].size");
}

/* ---- Drafts ---- */

static ins_status check_params(const ins_vector_params *params, ins_error *error) {
    int name_size = (int)(params->name.size < 64 ? params->name.size : 64);
    const char *name = params->name.size == 0 ? "" : params->name.data;
    const char *dot = params->name.size == 0 ? "" : ".";
    if (params->name.size > INS_VECTOR_NAME_BYTES_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "vectors.%.*s...: the name has %zu bytes, the limit is %u", name_size, name,
                        params->name.size, INS_VECTOR_NAME_BYTES_MAX);
    }
    if (params->dim == 0 || params->dim > INS_DIM_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "vectors%s%.*s.size: value %u invalid, must be from 1 to %u", dot,
                        name_size, name, params->dim, INS_DIM_MAX);
    }
    if (params->distance < INS_DISTANCE_COSINE || params->distance > INS_DISTANCE_MANHATTAN ||
        datatype_bytes(params->datatype) == 0) {
        return ins_fail(error, INS_INVALID, "vectors%s%.*s: unknown distance or datatype", dot,
                        name_size, name);
    }
    return INS_OK;
}

ins_status draft_add_vector(struct schema_draft *draft, const ins_vector_params *params,
                            struct pool *pool, ins_error *error) {
    ins_status status = check_params(params, error);
    if (status != INS_OK) {
        return status;
    }
    uint32_t count = draft->vector_count;
    if (count == INS_VECTORS_MAX || draft->vector_next == VECTOR_IDS_MAX) {
        return count == INS_VECTORS_MAX
                   ? ins_fail(error, INS_INVALID,
                              "vectors: a collection may have at most %u vectors", INS_VECTORS_MAX)
                   : ins_fail(error, INS_INVALID,
                              "vectors: %u vectors were added to this collection and dropped; no "
                              "more can be",
                              VECTOR_IDS_MAX);
    }
    struct schema_vector *vectors = pool_alloc(pool, (count + 1) * sizeof(*vectors));
    if (vectors == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u vectors", count + 1);
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        vectors[i] = draft->vectors[i];
        bytes += vector_packed_bytes(&vectors[i].shape);
        if (text_equal(vectors[i].name, params->name)) {
            return ins_fail(error, INS_INVALID, "vectors: two are named `%.*s`",
                            (int)params->name.size,
                            params->name.size == 0 ? "" : params->name.data);
        }
    }
    vectors[count] = (struct schema_vector){.shape = {.id = (uint16_t)draft->vector_next,
                                                      .datatype = (uint8_t)params->datatype,
                                                      .multi = params->multi,
                                                      .dim = params->dim},
                                            .distance = params->distance,
                                            .name = params->name,
                                            .settings = params->settings};
    bytes += vector_packed_bytes(&vectors[count].shape);
    if (bytes > INS_VECTOR_BYTES_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "vectors: a point with all of them has %llu bytes, the limit is %u",
                        (unsigned long long)bytes, INS_VECTOR_BYTES_MAX);
    }
    draft->vectors = vectors;
    draft->vector_count = count + 1;
    draft->vector_next++;
    return INS_OK;
}
