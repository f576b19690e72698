/* Changes of a collection's settings: checked like new ones, then written as the engine merges them
 * into what is there. */
#include "api/settings.h"
#include "base/assert.h"

/* Members of `object` that are not null, as the engine merges them: null would take one out. Of
 * members that are objects with known members, those. */
static ins_status patch_write(struct job *job, const struct setting *settings,
                              struct json_value object, ins_text text, struct json_writer *writer,
                              ins_error *error) {
    ins_status status = INS_OK;
    for (const struct setting *setting = settings; setting->key != NULL && status == INS_OK;
         setting++) {
        struct json_value value;
        ins_text raw;
        if (!setting_get(setting, object, text, &value, &raw)) {
            continue;
        }
        if (setting->members == NULL) {
            status = setting_write(job, setting, raw, writer, error);
            continue;
        }
        json_write_key(writer, setting->key);
        json_write_begin_object(writer);
        status = patch_write(job, setting->members, value, raw, writer, error);
        json_write_end_object(writer);
    }
    return status;
}

/* "Disabled" takes the quantization out, an object with one kind stands instead of what was. */
static ins_status quantization_patch(struct job *job, struct json_value object, ins_text text,
                                     const char *name, struct json_writer *writer,
                                     ins_error *error) {
    static const char *const kinds[] = {"scalar", "product", "binary", "turbo"};
    struct json_value value, kind;
    ins_text raw, member;
    if (!field_get(object, "quantization_config", &value) ||
        !json_text_get_last(text, (ins_text){"quantization_config", 19}, &raw)) {
        return INS_OK;
    }
    json_write_key(writer, "quantization_config");
    if (json_type_of(value) == JSON_STRING && text_equal(json_string(value), "Disabled")) {
        json_write_null(writer);
        return INS_OK;
    }
    ins_status status = quantization_check(value, name, error);
    if (status != INS_OK) {
        return status;
    }
    json_write_begin_object(writer);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool has = field_get(value, kinds[i], &kind) &&
                   json_text_get_last(raw, (ins_text){kinds[i], strlen(kinds[i])}, &member);
        char *compact = has ? job_alloc_aligned(job, member.size, 1) : NULL;
        if (has && compact == NULL) {
            return job_no_memory(error);
        }
        json_write_key(writer, kinds[i]);
        if (has) {
            json_write_value(writer, (ins_text){compact, json_text_compact(member, compact)});
        } else {
            json_write_null(writer);
        }
    }
    json_write_end_object(writer);
    return INS_OK;
}

static ins_status vector_patch(struct job *job, struct json_value object, ins_text text,
                               ins_vector_params *out, ins_error *error) {
    struct json_writer writer;
    struct json_value hnsw;
    ins_status status = settings_check(vector_update_settings, "vectors", object, error);
    if (status != INS_OK) {
        return status;
    }
    job_writer_init(job, &writer);
    json_write_begin_object(&writer);
    bool unset = field_get(object, "hnsw_config", &hnsw) && json_count(hnsw) == 0;
    if (unset) {
        json_write_key(&writer, "hnsw_config");
        json_write_null(&writer);
    }
    status = patch_write(job, unset ? vector_update_settings + 1 : vector_update_settings, object,
                         text, &writer, error);
    if (status == INS_OK) {
        status =
            quantization_patch(job, object, text, "vectors.quantization_config", &writer, error);
    }
    json_write_end_object(&writer);
    if (status == INS_OK && writer.failed) {
        status = job_no_memory(error);
    }
    out->settings = (ins_text){writer.data, writer.size};
    return status;
}

static ins_status vectors_patch(struct job *job, struct json_value body, ins_error *error) {
    struct json_value vectors, value;
    ins_text text, key, raw_key, raw;
    if (!field_get(body, "vectors", &vectors) ||
        !json_text_get_last(job->body, (ins_text){"vectors", 7}, &text)) {
        return INS_OK;
    }
    size_t count = json_type_of(vectors) == JSON_OBJECT ? json_count(vectors) : 0;
    if (json_type_of(vectors) != JSON_OBJECT || count > INS_VECTORS_MAX + 1) {
        return type_error(error, "vectors", "an object of vectors by name (\"\": the unnamed one)",
                          vectors);
    }
    ins_vector_params *params = job_alloc(job, (count + 1) * sizeof(*params));
    if (params == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator members = json_begin(vectors);
    struct json_text_iterator texts = json_text_begin(text);
    for (size_t i = 0; i < count && json_next_member(&members, &key, &value); i++) {
        INS_ASSERT(json_text_next_member(&texts, &raw_key, &raw));
        params[i] = (ins_vector_params){0};
        if (json_type_of(value) != JSON_OBJECT) {
            return type_error(error, "vectors", "an object of vectors by name", value);
        }
        ins_status status = job_copy_text(job, key, &params[i].name, error);
        if (status == INS_OK) {
            status = vector_patch(job, value, raw, &params[i], error);
        }
        if (status != INS_OK) {
            return status;
        }
    }
    job->collection.vectors = params;
    job->collection.vector_count = count;
    return INS_OK;
}

static ins_status settings_patch(struct job *job, struct json_value body, ins_error *error) {
    struct json_writer writer;
    struct json_value params;
    ins_text text;
    job_writer_init(job, &writer);
    json_write_begin_object(&writer);
    ins_status status = patch_write(job, update_settings, body, job->body, &writer, error);
    if (status == INS_OK && field_get(body, "params", &params) &&
        json_text_get_last(job->body, (ins_text){"params", 6}, &text)) {
        status = json_type_of(params) == JSON_OBJECT
                     ? settings_check(params_settings, "params", params, error)
                     : type_error(error, "params", "an object", params);
        if (status == INS_OK) {
            status = patch_write(job, params_settings, params, text, &writer, error);
        }
    }
    if (status == INS_OK) {
        status = quantization_patch(job, body, job->body, "quantization_config", &writer, error);
    }
    json_write_end_object(&writer);
    if (status == INS_OK && writer.failed) {
        return job_no_memory(error);
    }
    job->collection.settings = (ins_text){writer.data, writer.size};
    return status;
}

/* What a collection keeps from its creation on. */
static ins_status fixed_check(struct json_value body, ins_error *error) {
    struct json_value own;
    return field_get(body, "insula", &own)
               ? ins_fail(error, INS_INVALID,
                          "Wrong input: insula: a collection keeps the point_ids it was made with")
               : INS_OK;
}

ins_status decode_collection_update(struct job *job, struct json_value body, ins_error *error) {
    ins_status status = sparse_check(body, error);
    if (status == INS_OK) {
        status = settings_check(update_settings, "", body, error);
    }
    if (status == INS_OK) {
        status = strict_mode_check(body, error);
    }
    if (status == INS_OK) {
        status = fixed_check(body, error);
    }
    if (status == INS_OK) {
        status = metadata_decode(job, body, error);
    }
    if (status == INS_OK) {
        status = vectors_patch(job, body, error);
    }
    return status == INS_OK ? settings_patch(job, body, error) : status;
}
