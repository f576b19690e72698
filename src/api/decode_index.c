/* The index of a payload field: its path and its schema, a word or an object with parameters. */
#include "api/settings.h"

static bool field_type_known(ins_text type) {
    static const char *const types[] = {"keyword", "integer", "float",    "geo",
                                        "text",    "bool",    "datetime", "uuid"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (text_equal(type, types[i])) {
            return true;
        }
    }
    return false;
}

static ins_status index_params_check(struct job *job, struct json_value schema, ins_text type,
                                     ins_error *error) {
    bool lookup = true, range = true;
    ins_status status = field_bool(schema, "is_tenant", &job->collection.is_tenant, error);
    if (status == INS_OK) {
        status = field_bool(schema, "lookup", &lookup, error);
    }
    if (status == INS_OK) {
        status = field_bool(schema, "range", &range, error);
    }
    if (status == INS_OK && text_equal(type, "integer") && !lookup && !range) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [field_schema: Validation error: the "
                        "'lookup' and 'range' capabilities can't be both disabled]");
    }
    job->collection.is_uuid = text_equal(type, "uuid");
    job->collection.is_tenant &= text_equal(type, "keyword") || job->collection.is_uuid;
    return status;
}

ins_status decode_index(struct job *job, struct json_value body, ins_error *error) {
    struct json_value name, schema, type;
    ins_text raw;
    if (!field_get(body, "field_name", &name)) {
        return missing_error(error, "field_name");
    }
    if (json_type_of(name) != JSON_STRING || json_string(name).size == 0) {
        return type_error(error, "field_name", "the path of a payload field", name);
    }
    if (!field_get(body, "field_schema", &schema) ||
        !json_text_get_last(job->body, (ins_text){"field_schema", 12}, &raw)) {
        return missing_error(error, "field_schema");
    }
    type = schema;
    bool by_object = json_type_of(schema) == JSON_OBJECT;
    if (by_object && !field_get(schema, "type", &type)) {
        return missing_error(error, "field_schema.type");
    }
    if (json_type_of(type) != JSON_STRING || !field_type_known(json_string(type))) {
        return type_error(error, "field_schema",
                          "keyword, integer, float, geo, text, bool, datetime or uuid", type);
    }
    ins_status status = job_copy_text(job, json_string(name), &job->collection.field, error);
    if (status == INS_OK && by_object) {
        status = index_params_check(job, schema, json_string(type), error);
    }
    char *compact = job_alloc_aligned(job, raw.size, 1);
    if (compact == NULL) {
        return job_no_memory(error);
    }
    job->collection.schema = (ins_text){compact, json_text_compact(raw, compact)};
    return status;
}
