/* The settings that Qdrant documents, as tables, and the checks that follow them: type, range,
 * members. What changes answers and is not supported is refused by name; unknown members are
 * ignored, as Qdrant does. */
#include <stdio.h>

#include "api/settings.h"

#define NAME_MAX 96

static const char *const memory_words[] = {"cold", "cached", "pinned", NULL, NULL, NULL};
/* Vectors and payload have no form that stays in memory. */
static const char *const stored_words[] = {"cold", "cached", NULL, NULL, "pinned", NULL};
static const char *const sharding_words[] = {"auto", "custom", NULL, NULL, NULL};
static const char *const datatype_words[] = {"float32", "float16", "uint8", NULL,
                                             "turbo4",  NULL,      NULL};

static const char *const point_ids_words[] = {"tenant", "collection", NULL, NULL, NULL};

static const struct setting insula_settings[] = {
    {"point_ids", SETTING_TEXT, 0, 0, point_ids_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

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

static const char *const comparator_words[] = {"max_sim", NULL, NULL, NULL};
static const struct setting multivector_settings[] = {
    {"comparator", SETTING_TEXT, 0, 0, comparator_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

const struct setting vector_settings[] = {
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"quantization_config", SETTING_QUANTIZATION, 0, 0, NULL, NULL},
    {"on_disk", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, stored_words, NULL},
    {"datatype", SETTING_TEXT, 0, 0, datatype_words, NULL},
    {"multivector_config", SETTING_OBJECT, 0, 0, NULL, multivector_settings},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

/* What an update may give a vector. */
const struct setting vector_update_settings[] = {
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"on_disk", SETTING_BOOL, 0, 0, NULL, NULL},
    {"memory", SETTING_TEXT, 0, 0, stored_words, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

/* An update's `params`; kept beside the other settings. */
const struct setting params_settings[] = {
    {"replication_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"write_consistency_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"read_fan_out_factor", SETTING_COUNT, 0, UINT32_MAX, NULL, NULL},
    {"read_fan_out_delay_ms", SETTING_COUNT, 0, UINT64_MAX, NULL, NULL},
    {"on_disk_payload", SETTING_BOOL, 0, 0, NULL, NULL},
    {"payload", SETTING_OBJECT, 0, 0, NULL, payload_settings},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

const struct setting update_settings[] = {
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"optimizers_config", SETTING_OBJECT, 0, 0, NULL, optimizer_settings},
    {"strict_mode_config", SETTING_OBJECT, 0, 0, NULL, NULL},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

const struct setting collection_settings[] = {
    {"shard_number", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"sharding_method", SETTING_TEXT, 0, 0, sharding_words, NULL},
    {"replication_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"write_consistency_factor", SETTING_COUNT, 1, UINT32_MAX, NULL, NULL},
    {"on_disk_payload", SETTING_BOOL, 0, 0, NULL, NULL},
    {"payload", SETTING_OBJECT, 0, 0, NULL, payload_settings},
    {"hnsw_config", SETTING_OBJECT, 0, 0, NULL, hnsw_settings},
    {"wal_config", SETTING_OBJECT, 0, 0, NULL, wal_settings},
    {"optimizers_config", SETTING_OBJECT, 0, 0, NULL, optimizer_settings},
    {"quantization_config", SETTING_QUANTIZATION, 0, 0, NULL, NULL},
    {"strict_mode_config", SETTING_OBJECT, 0, 0, NULL, NULL},
    {"insula", SETTING_OBJECT, 0, 0, NULL, insula_settings},
    {NULL, SETTING_BOOL, 0, 0, NULL, NULL},
};

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
    case SETTING_QUANTIZATION:
        return quantization_check(value, name, error);
    case SETTING_OPEN:
        break;
    }
    return json_type_of(value) == JSON_STRING
               ? INS_OK
               : field_u64(object, setting->key, name, 0, UINT64_MAX, &number, error);
}

ins_status settings_check(const struct setting *settings, const char *prefix,
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

bool setting_get(const struct setting *setting, struct json_value object, ins_text text,
                 struct json_value *out, ins_text *out_raw) {
    return field_get(object, setting->key, out) &&
           json_text_get_last(text, (ins_text){setting->key, strlen(setting->key)}, out_raw);
}

ins_status setting_write(struct job *job, const struct setting *setting, ins_text raw,
                         struct json_writer *writer, ins_error *error) {
    char *compact = job_alloc_aligned(job, raw.size, 1);
    if (compact == NULL) {
        return job_no_memory(error);
    }
    json_write_key(writer, setting->key);
    json_write_value(writer, (ins_text){compact, json_text_compact(raw, compact)});
    return INS_OK;
}

ins_status settings_write(struct job *job, const struct setting *settings, struct json_value object,
                          ins_text text, struct json_writer *writer, ins_error *error) {
    ins_status status = INS_OK;
    for (const struct setting *setting = settings; setting->key != NULL && status == INS_OK;
         setting++) {
        struct json_value value;
        ins_text raw;
        if (setting_get(setting, object, text, &value, &raw)) {
            status = setting_write(job, setting, raw, writer, error);
        }
    }
    return status;
}
