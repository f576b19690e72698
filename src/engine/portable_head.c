/* The head of a tenant's file: an object of JSON, so that what a later version adds is passed over
 * by this one. */
#include <string.h>

#include "base/status.h"
#include "engine/portable.h"
#include "engine/schema_text.h"
#include "engine/text.h"

static void write_vectors(struct json_writer *writer, const struct schema *schema) {
    json_write_key(writer, "vectors");
    json_write_begin_array(writer);
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        const struct schema_vector *vector = &schema->vectors[i];
        json_write_begin_object(writer);
        json_write_key(writer, "name");
        json_write_text(writer, vector->name);
        json_write_key(writer, "size");
        json_write_u64(writer, vector->shape.dim);
        json_write_key(writer, "distance");
        json_write_string(writer, schema_distance_name(vector->distance));
        json_write_key(writer, "datatype");
        json_write_string(writer, schema_datatype_name(vector->shape.datatype));
        json_write_key(writer, "multi");
        json_write_bool(writer, vector->shape.multi != 0);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
}

ins_text portable_head_text(struct pool *pool, const struct schema *schema,
                            const struct portable_head *head) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    text_write_or_null(&writer, "collection", head->collection);
    text_write_or_null(&writer, "tenant", head->tenant);
    text_write_or_null(&writer, "tenant_field", head->field);
    json_write_key(&writer, "incarnation");
    json_write_u64(&writer, head->incarnation);
    json_write_key(&writer, "lsn");
    json_write_u64(&writer, head->lsn);
    write_vectors(&writer, schema);
    json_write_end_object(&writer);
    return text_written(&writer);
}

static ins_status wrong(ins_error *error, const char *member) {
    return ins_fail(error, INS_INVALID, "tenant file: block 0: its head lacks a valid \"%s\"",
                    member);
}

static ins_status no_memory(ins_error *error) {
    return ins_fail(error, INS_FULL, "no memory for the head of a tenant's file");
}

/* A text or null; `shown`: its name in an error. */
static ins_status read_text(struct json_value root, const char *key, const char *shown,
                            struct pool *pool, ins_text *out, ins_error *error) {
    struct json_value value;
    if (!json_get(root, key, &value) || json_type_of(value) == JSON_NULL) {
        return INS_OK;
    }
    if (json_type_of(value) != JSON_STRING) {
        return wrong(error, shown);
    }
    *out = text_copy(pool, json_string(value));
    return out->data != NULL ? INS_OK : no_memory(error);
}

static ins_status read_vector(struct json_value value, struct pool *pool,
                              struct portable_vector *out, ins_error *error) {
    struct json_value distance, datatype, multi;
    uint64_t size;
    if (json_type_of(value) != JSON_OBJECT) {
        return wrong(error, "vectors[].name");
    }
    ins_status status = read_text(value, "name", "vectors[].name", pool, &out->name, error);
    if (status != INS_OK) {
        return status;
    }
    if (out->name.data == NULL || out->name.size > INS_VECTOR_NAME_BYTES_MAX) {
        return wrong(error, "vectors[].name");
    }
    if (!json_get_u64(value, "size", &size) || size == 0 || size > INS_DIM_MAX) {
        return wrong(error, "vectors[].size");
    }
    if (!json_get(value, "distance", &distance) || schema_distance_number(distance) == 0) {
        return wrong(error, "vectors[].distance");
    }
    if (!json_get(value, "datatype", &datatype) || schema_datatype_number(datatype) == 0) {
        return wrong(error, "vectors[].datatype");
    }
    if (!json_get(value, "multi", &multi) || json_type_of(multi) != JSON_BOOL) {
        return wrong(error, "vectors[].multi");
    }
    out->shape = (struct vector_shape){.datatype = (uint8_t)schema_datatype_number(datatype),
                                       .multi = json_bool(multi),
                                       .dim = (uint32_t)size};
    out->distance = (ins_distance)schema_distance_number(distance);
    return INS_OK;
}

static bool is_repeated(const struct portable_head *head, uint32_t index) {
    for (uint32_t i = 0; i < index; i++) {
        if (text_equal(head->vectors[i].name, head->vectors[index].name)) {
            return true;
        }
    }
    return false;
}

static ins_status read_vectors(struct json_value root, struct pool *pool,
                               struct portable_head *head, ins_error *error) {
    struct json_value list, value;
    if (!json_get(root, "vectors", &list) || json_type_of(list) != JSON_ARRAY ||
        json_count(list) > INS_VECTORS_MAX) {
        return wrong(error, "vectors");
    }
    head->vectors = pool_alloc_zero(pool, (json_count(list) + 1) * sizeof(*head->vectors));
    if (head->vectors == NULL) {
        return no_memory(error);
    }
    struct json_iterator iterator = json_begin(list);
    while (json_next(&iterator, &value)) {
        ins_status status = read_vector(value, pool, &head->vectors[head->vector_count], error);
        if (status != INS_OK) {
            return status;
        }
        if (is_repeated(head, head->vector_count)) {
            return wrong(error, "vectors[].name");
        }
        head->vector_count++;
    }
    return INS_OK;
}

ins_status portable_head_read(ins_text text, struct json_parser *parser, struct pool *pool,
                              struct portable_head *out, ins_error *error) {
    struct json_value root;
    ins_error reason;
    *out = (struct portable_head){0};
    ins_status status = json_parse(parser, text.data, text.size, &root, &reason);
    if (status == INS_EXHAUSTED) {
        *error = reason;
        return status;
    }
    if (status != INS_OK) {
        return ins_fail(error, INS_INVALID, "tenant file: block 0: its head is not JSON: %.200s",
                        reason.message);
    }
    if (json_type_of(root) != JSON_OBJECT) {
        return ins_fail(error, INS_INVALID, "tenant file: block 0: its head is not an object");
    }
    status = read_text(root, "collection", "collection", pool, &out->collection, error);
    if (status == INS_OK) {
        status = read_text(root, "tenant", "tenant", pool, &out->tenant, error);
    }
    if (status == INS_OK) {
        status = read_text(root, "tenant_field", "tenant_field", pool, &out->field, error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (out->tenant.size > INS_TENANT_BYTES_MAX) {
        return wrong(error, "tenant");
    }
    if (out->field.data != NULL && out->tenant.data == NULL) {
        return wrong(error, "tenant_field");
    }
    if (!json_get_u64(root, "incarnation", &out->incarnation) ||
        !json_get_u64(root, "lsn", &out->lsn)) {
        return wrong(error, "incarnation");
    }
    return read_vectors(root, pool, out, error);
}

ins_status portable_head_fits(const struct portable_head *head, const struct schema *schema,
                              ins_error *error) {
    for (uint32_t i = 0; i < head->vector_count; i++) {
        const struct portable_vector *vector = &head->vectors[i];
        const struct schema_vector *own = schema_vector_named(schema, vector->name);
        if (own == NULL) {
            return ins_fail(error, INS_INVALID,
                            "Wrong input: the file has a vector `%.*s` (%u numbers, %s, %s), the "
                            "collection has none of that name",
                            (int)vector->name.size, vector->name.data, vector->shape.dim,
                            schema_distance_name(vector->distance),
                            schema_datatype_name(vector->shape.datatype));
        }
        if (own->shape.dim != vector->shape.dim || own->distance != vector->distance ||
            own->shape.datatype != vector->shape.datatype ||
            own->shape.multi != vector->shape.multi) {
            return ins_fail(
                error, INS_INVALID,
                "Wrong input: the file's vector `%.*s` has %u numbers, %s, %s%s; the collection's "
                "has %u, %s, %s%s",
                (int)vector->name.size, vector->name.data, vector->shape.dim,
                schema_distance_name(vector->distance),
                schema_datatype_name(vector->shape.datatype),
                vector->shape.multi != 0 ? ", multivector" : "", own->shape.dim,
                schema_distance_name(own->distance), schema_datatype_name(own->shape.datatype),
                own->shape.multi != 0 ? ", multivector" : "");
        }
    }
    return INS_OK;
}
