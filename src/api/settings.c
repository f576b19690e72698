/* Settings of a new collection and of a field index.
 *
 * Path: each known member of the body is checked by a table (type, range, members), then kept as it
 * was written. What changes answers and is not supported is refused by name; unknown members are
 * ignored, as Qdrant does. Kept settings are one JSON object; those of a vector (but for size and
 * distance) are another one, kept with it. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"

enum setting_kind {
    SETTING_COUNT, /* an unsigned integer, min .. max */
    SETTING_SHARE, /* a number, 0 .. 1 */
    SETTING_BOOL,
    SETTING_TEXT,   /* one of `words` */
    SETTING_OBJECT, /* `members` checked, NULL = anything */
    SETTING_OPEN,   /* an unsigned integer or a string: "auto" */
};

struct setting {
    const char *key;
    enum setting_kind kind;
    uint64_t min, max;
    const char *const *words; /* three runs, each ended by NULL: taken, 501, 422 */
    const struct setting *members;
};

static const char *const memory_words[] = {"cold", "cached", "pinned", NULL, NULL, NULL};
/* Vectors and payload have no form that stays in memory. */
static const char *const stored_words[] = {"cold", "cached", NULL, NULL, "pinned", NULL};
static const char *const sharding_words[] = {"auto", "custom", NULL, NULL, NULL};
static const char *const datatype_words[] = {"float32", "float16", "uint8", NULL,
                                             "turbo4",  NULL,      NULL};

static const struct setting hnsw_settings[] = {
    {"m", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"ef_construct", SETTING_COUNT, 4, UINT64_MAX, NULL, NULL},
    {"full_scan_threshold", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"max_indexing_threads", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"on_disk", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, memory_words, NULL},
    {"payload_m", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"inline_storage", SETTING_BOOL, 0, 0, NULL, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

static const struct setting wal_settings[] = {
    {"wal_capacity_mb", SETTING_COUNT, 1, UINT64_MAX, NULL, NULL},
    {"wal_segments_ahead", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"wal_retain_closed", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

static const struct setting optimizer_settings[] = {
    {"deleted_threshold", SETTING_SHARE, 0, 0, NULL, NULL},
    {"vacuum_min_vector_number", SETTING_COUNT, 100, UINT64_MAX, NULL, NULL},
    {"default_segment_number", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"max_segment_size", SETTING_COUNT, 1, UINT64_MAX, NULL, NULL},
    {"memmap_threshold", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"indexing_threshold", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"flush_interval_sec", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"max_optimization_threads", SETTING_OPEN, 0, 0, NULL, NULL},
    {"prevent_unoptimized", SETTING_BOOL, 0, 0, NULL, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

static const struct setting payload_settings[] = {
    {"memory", SETTING_TEXT, 0, 0, stored_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

static const struct setting vector_settings[] = {
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"quantization_config", SETTING_OBJECT, 0, 0, NULL, NULL},
    {"on_disk", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, stored_words, NULL},
    {"datatype", SETTING_TEXT, 0, 0, datatype_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

/* What an update may give a vector. */
static const struct setting vector_update_settings[] = {
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"on_disk", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, stored_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

/* An update's `params`; kept beside the other settings. */
static const struct setting params_settings[] = {
    {"replication_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"write_consistency_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"read_fan_out_factor", SETTING_COUNT, 0, UINT32_MAX, NULL, NULL},
    {"read_fan_out_delay_ms", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"on_disk_payload", SETTING_BOOL, 0, 0, NULL, NULL},
    {"payload", SETTING_OBJECT, 0, 0, NULL, payload_settings},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

static const struct setting update_settings[] = {
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"optimizers_config", SETTING_OBJECT, 0, 0, NULL, optimizer_settings},
    {"strict_mode_config", SETTING_OBJECT, 0, 0, NULL, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

static const struct setting collection_settings[] = {
    {"shard_number", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"sharding_method", SETTING_TEXT, 0, 0, sharding_words, NULL},
    {"replication_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"write_consistency_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"on_disk_payload", SETTING_BOOL, 0, 0, NULL, NULL},
    {"payload", SETTING_OBJECT, 0, 0, NULL, payload_settings},
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"wal_config", SETTING_OBJECT, 0, 0, NULL, wal_settings},
    {"optimizers_config", SETTING_OBJECT, 0, 0, NULL, optimizer_settings},
    {"quantization_config", SETTING_OBJECT, 0, 0, NULL, NULL},
    {"strict_mode_config", SETTING_OBJECT, 0, 0, NULL, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

#define NAME_MAX 96

static bool text_equal(ins_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

/* Sets of words come in three runs, each ended by NULL: taken; known but not in this version;
 * known, but not for this. */
static ins_status word_check(const struct setting *setting, const char *name,
                             struct json_value value, ins_error *error) {
    if (json_type_of(value) != JSON_STRING) {
        return type_error(error, name, "a string", value);
    }
    ins_text text = json_string(value);
    const char *const *word = setting->words;
    for (; *word != NULL; word++) {
        if (text_equal(text, *word)) {
            return INS_OK;
        }
    }
    for (word++; *word != NULL; word++) {
        if (text_equal(text, *word)) {
            return unsupported_error(error, name);
        }
    }
    for (word++; *word != NULL; word++) {
        if (text_equal(text, *word)) {
            return ins_fail(error, INS_UNPROCESSABLE,
                            "Validation error in JSON body: [%s: `%s` is not for this]", name,
                            *word);
        }
    }
    return type_error(error, name, "one of the words that Qdrant documents", value);
}

static ins_status settings_check(const struct setting *settings, const char *prefix,
                                 struct json_value object, ins_error *error);

static ins_status setting_check(const struct setting *setting, const char *name,
                                struct json_value object, struct json_value value,
                                ins_error *error) {
    uint64_t number = 0;
    bool has = false;
    double share = 0.0;
    bool flag = false;
    ins_status status = INS_OK;
    switch (setting->kind) {
    case SETTING_COUNT:
        return field_u64(object, setting->key, name, setting->min, setting->max, &number, error);
    case SETTING_SHARE:
        status = field_number(object, setting->key, name, &has, &share, error);
        if (status == INS_OK && (share < 0.0 || share > 1.0)) {
            return ins_fail(error, INS_UNPROCESSABLE,
                            "Validation error in JSON body: [%s: value %g invalid, must be from "
                            "0.0 to 1.0]",
                            name, share);
        }
        return status;
    case SETTING_BOOL:
        return field_bool(object, setting->key, &flag, error);
    case SETTING_TEXT:
        return word_check(setting, name, value, error);
    case SETTING_OBJECT:
        if (json_type_of(value) != JSON_OBJECT) {
            return type_error(error, name, "an object", value);
        }
        return setting->members == NULL ? INS_OK
                                        : settings_check(setting->members, name, value, error);
    case SETTING_OPEN:
        break;
    }
    return json_type_of(value) == JSON_STRING
               ? INS_OK
               : field_u64(object, setting->key, name, 0, UINT64_MAX, &number, error);
}

static ins_status settings_check(const struct setting *settings, const char *prefix,
                                 struct json_value object, ins_error *error) {
    for (const struct setting *setting = settings; setting->key != NULL; setting++) {
        struct json_value value;
        char name[NAME_MAX];
        if (!field_get(object, setting->key, &value)) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".",
                       setting->key);
        ins_status status = setting_check(setting, name, object, value, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

/* Writes the members of `object` that `settings` knows, as they stand in its text. */
static ins_status settings_write(struct job *job, const struct setting *settings,
                                 struct json_value object, ins_text text,
                                 struct json_writer *writer, ins_error *error) {
    for (const struct setting *setting = settings; setting->key != NULL; setting++) {
        struct json_value value;
        ins_text raw;
        if (!field_get(object, setting->key, &value) ||
            !json_text_get_last(text, (ins_text){setting->key, strlen(setting->key)}, &raw)) {
            continue;
        }
        char *compact = job_alloc_aligned(job, raw.size, 1);
        if (compact == NULL) {
            return job_no_memory(error);
        }
        json_write_key(writer, setting->key);
        json_write_value(writer, (ins_text){compact, json_text_compact(raw, compact)});
    }
    return INS_OK;
}

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
static ins_status strict_mode_check(struct json_value body, ins_error *error) {
    struct json_value strict;
    bool enabled = false;
    if (!field_get(body, "strict_mode_config", &strict) || json_type_of(strict) != JSON_OBJECT) {
        return INS_OK;
    }
    ins_status status = field_bool(strict, "enabled", &enabled, error);
    return status == INS_OK && enabled ? unsupported_error(error, "strict_mode_config.enabled")
                                       : status;
}

static ins_status sparse_check(struct json_value body, ins_error *error) {
    struct json_value sparse;
    if (!field_get(body, "sparse_vectors", &sparse)) {
        return INS_OK;
    }
    bool empty = json_type_of(sparse) == JSON_OBJECT && json_count(sparse) == 0;
    return empty ? INS_OK : unsupported_error(error, "sparse_vectors");
}

static ins_status metadata_decode(struct job *job, struct json_value body, ins_error *error) {
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
    if (json_type_of(value) != JSON_OBJECT) {
        return type_error(error, "quantization", "an object", value);
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

/* ---- Updates ---- */

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
        if (!field_get(object, setting->key, &value) ||
            !json_text_get_last(text, (ins_text){setting->key, strlen(setting->key)}, &raw)) {
            continue;
        }
        char *compact = job_alloc_aligned(job, raw.size, 1);
        if (compact == NULL) {
            return job_no_memory(error);
        }
        json_write_key(writer, setting->key);
        if (setting->members == NULL) {
            json_write_value(writer, (ins_text){compact, json_text_compact(raw, compact)});
            continue;
        }
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
    bool known = false;
    if (!field_get(object, "quantization_config", &value) ||
        !json_text_get_last(text, (ins_text){"quantization_config", 19}, &raw)) {
        return INS_OK;
    }
    json_write_key(writer, "quantization_config");
    if (json_type_of(value) == JSON_STRING && text_equal(json_string(value), "Disabled")) {
        json_write_null(writer);
        return INS_OK;
    }
    json_write_begin_object(writer);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool has = json_type_of(value) == JSON_OBJECT && field_get(value, kinds[i], &kind) &&
                   json_type_of(kind) == JSON_OBJECT &&
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
        known = known || has;
    }
    json_write_end_object(writer);
    return known ? INS_OK
                 : type_error(error, name,
                              "\"Disabled\" or an object with scalar, product, binary or turbo",
                              value);
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

ins_status decode_collection_update(struct job *job, struct json_value body, ins_error *error) {
    ins_status status = sparse_check(body, error);
    if (status == INS_OK) {
        status = settings_check(update_settings, "", body, error);
    }
    if (status == INS_OK) {
        status = strict_mode_check(body, error);
    }
    if (status == INS_OK) {
        status = metadata_decode(job, body, error);
    }
    if (status == INS_OK) {
        status = vectors_patch(job, body, error);
    }
    return status == INS_OK ? settings_patch(job, body, error) : status;
}

/* ---- Indexes ---- */

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
