/* Settings of a new collection.
 *
 * Path: each known member of the body is checked by a table (settings_known.c), then kept as it was
 * written. Kept settings are one JSON object; those of a vector (but for size and distance) are
 * another one, kept with it. */
#include "api/settings.h"

ins_status vector_settings_check(struct json_value params, const char *name, ins_error *error) {
    return settings_check(vector_settings, name, params, error);
}

ins_status vector_settings_text(struct job *job, struct json_value params, ins_text text,
                                ins_text *out, ins_error *error) {
    struct json_writer writer;
    job_writer_init(job, &writer);
    json_write_begin_object(&writer);
    ins_status status = settings_write(job, vector_settings, params, text, &writer, error);
    json_write_end_object(&writer);
    if (status == INS_OK && writer.failed) {
        return job_no_memory(error);
    }
    *out = (ins_text){writer.data, writer.size};
    return status;
}

/* Limits that are asked for must hold, so a strict mode that is switched on cannot just be kept. */
ins_status strict_mode_check(struct json_value body, ins_error *error) {
    struct json_value strict;
    bool enabled = false;
    if (!field_get(body, "strict_mode_config", &strict) || json_type_of(strict) != JSON_OBJECT) {
        return INS_OK;
    }
    ins_status status = field_bool(strict, "enabled", &enabled, error);
    return status == INS_OK && enabled ? unsupported_error(error, "strict_mode_config.enabled")
                                       : status;
}

ins_status sparse_check(struct json_value body, ins_error *error) {
    struct json_value sparse;
    if (!field_get(body, "sparse_vectors", &sparse)) {
        return INS_OK;
    }
    bool empty = json_type_of(sparse) == JSON_OBJECT && json_count(sparse) == 0;
    return empty ? INS_OK : unsupported_error(error, "sparse_vectors");
}

ins_status metadata_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value metadata;
    ins_text raw;
    if (!field_get(body, "metadata", &metadata) ||
        !json_text_get_last(job->body, (ins_text){"metadata", 8}, &raw)) {
        return INS_OK;
    }
    if (json_type_of(metadata) != JSON_OBJECT) {
        return type_error(error, "metadata", "an object", metadata);
    }
    char *compact = job_alloc_aligned(job, raw.size, 1);
    if (compact == NULL) {
        return job_no_memory(error);
    }
    job->collection.metadata = (ins_text){compact, json_text_compact(raw, compact)};
    return INS_OK;
}

/* `quantization` is another name of `quantization_config`, of a creation only. */
static ins_status quantization_alias(struct job *job, struct json_value body,
                                     struct json_writer *writer, ins_error *error) {
    struct json_value value;
    ins_text raw;
    if (field_get(body, "quantization_config", &value) ||
        !field_get(body, "quantization", &value) ||
        !json_text_get_last(job->body, (ins_text){"quantization", 12}, &raw)) {
        return INS_OK;
    }
    ins_status status = quantization_check(value, "quantization", error);
    if (status != INS_OK) {
        return status;
    }
    char *compact = job_alloc_aligned(job, raw.size, 1);
    if (compact == NULL) {
        return job_no_memory(error);
    }
    json_write_key(writer, "quantization_config");
    json_write_value(writer, (ins_text){compact, json_text_compact(raw, compact)});
    return INS_OK;
}

static ins_status settings_collect(struct job *job, struct json_value body, ins_error *error) {
    struct json_writer writer;
    job_writer_init(job, &writer);
    json_write_begin_object(&writer);
    ins_status status = settings_write(job, collection_settings, body, job->body, &writer, error);
    if (status == INS_OK) {
        status = quantization_alias(job, body, &writer, error);
    }
    json_write_end_object(&writer);
    if (status == INS_OK && writer.failed) {
        return job_no_memory(error);
    }
    job->collection.settings = (ins_text){writer.data, writer.size};
    return status;
}

ins_status decode_collection(struct job *job, struct json_value body, ins_error *error) {
    ins_status status = decode_vectors_config(job, body, error);
    if (status == INS_OK) {
        status = sparse_check(body, error);
    }
    if (status == INS_OK) {
        status = settings_check(collection_settings, "", body, error);
    }
    if (status == INS_OK) {
        status = strict_mode_check(body, error);
    }
    if (status == INS_OK) {
        status = metadata_decode(job, body, error);
    }
    struct json_value method;
    job->collection.sharded = status == INS_OK && field_get(body, "sharding_method", &method) &&
                              text_equal(json_string(method), "custom");
    return status == INS_OK ? settings_collect(job, body, error) : status;
}
