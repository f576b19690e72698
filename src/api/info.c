/* Collection info in the shape that Qdrant's clients parse: what was given at creation, over the
 * defaults of Qdrant's configuration. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

struct config_default {
    const char *key;
    const char *value; /* JSON; NULL = shown only when it was given */
};

static const struct config_default hnsw_defaults[] = {
    {"m", "16"},
    {"ef_construct", "100"},
    {"full_scan_threshold", "10000"},
    {"max_indexing_threads", "0"},
    {"on_disk", "false"},
    {"memory", NULL},
    {"payload_m", NULL},
    {"inline_storage", NULL},
    {NULL, NULL},
};

static const struct config_default optimizer_defaults[] = {
    {"deleted_threshold", "0.2"},    {"vacuum_min_vector_number", "1000"},
    {"default_segment_number", "0"}, {"max_segment_size", "null"},
    {"memmap_threshold", "null"},    {"indexing_threshold", "10000"},
    {"flush_interval_sec", "5"},     {"max_optimization_threads", "null"},
    {"prevent_unoptimized", NULL},   {NULL, NULL},
};

static const struct config_default wal_defaults[] = {
    {"wal_capacity_mb", "32"},
    {"wal_segments_ahead", "0"},
    {"wal_retain_closed", "1"},
    {NULL, NULL},
};

static const struct config_default params_defaults[] = {
    {"shard_number", "1"},
    {"sharding_method", NULL},
    {"replication_factor", "1"},
    {"write_consistency_factor", "1"},
    {"read_fan_out_factor", NULL},
    {"read_fan_out_delay_ms", NULL},
    {"on_disk_payload", "true"},
    {"payload", NULL},
    {NULL, NULL},
};

static const struct config_default vector_defaults[] = {
    {"hnsw_config", NULL}, {"quantization_config", NULL}, {"on_disk", NULL}, {"memory", NULL},
    {"datatype", NULL},    {"multivector_config", NULL},  {NULL, NULL},
};

static bool text_get(ins_text object, const char *key, ins_text *out) {
    return object.data != NULL && json_text_get_last(object, (ins_text){key, strlen(key)}, out);
}

static ins_text text_of(const char *text) {
    return (ins_text){text, strlen(text)};
}

/* Members of `given`, or their defaults. "auto" threads are Qdrant's null. */
static void write_merged(const struct config_default *defaults, ins_text given,
                         struct json_writer *writer) {
    for (const struct config_default *each = defaults; each->key != NULL; each++) {
        ins_text value;
        bool has = text_get(given, each->key, &value);
        if (has && value.data[0] == '"' && strcmp(each->key, "max_optimization_threads") == 0) {
            has = false;
        }
        if (has || each->value != NULL) {
            json_write_key(writer, each->key);
            json_write_value(writer, has ? value : text_of(each->value));
        }
    }
}

static void write_section(const char *key, const struct config_default *defaults, ins_text settings,
                          const char *settings_key, struct json_writer *writer) {
    ins_text given = {NULL, 0};
    (void)text_get(settings, settings_key, &given);
    json_write_key(writer, key);
    json_write_begin_object(writer);
    write_merged(defaults, given, writer);
    json_write_end_object(writer);
}

static const char *distance_text(ins_distance distance) {
    switch (distance) {
    case INS_DISTANCE_COSINE:
        return "Cosine";
    case INS_DISTANCE_DOT:
        return "Dot";
    case INS_DISTANCE_MANHATTAN:
        return "Manhattan";
    case INS_DISTANCE_EUCLID:
        break;
    }
    return "Euclid";
}

static void write_vector(const ins_vector_params *vector, struct json_writer *writer) {
    json_write_key(writer, "size");
    json_write_u64(writer, vector->dim);
    json_write_key(writer, "distance");
    json_write_string(writer, distance_text(vector->distance));
    write_merged(vector_defaults, vector->settings, writer);
}

/* The unnamed vector's parameters alone, or all by name. */
static void write_vectors(const ins_collection_info *info, struct json_writer *writer) {
    bool alone = info->vector_count == 1 && info->vectors[0].name.size == 0;
    json_write_key(writer, "vectors");
    json_write_begin_object(writer);
    for (size_t i = 0; i < info->vector_count; i++) {
        if (alone) {
            write_vector(&info->vectors[i], writer);
            continue;
        }
        json_write_key_text(writer, info->vectors[i].name);
        json_write_begin_object(writer);
        write_vector(&info->vectors[i], writer);
        json_write_end_object(writer);
    }
    json_write_end_object(writer);
}

static void write_given(const char *key, ins_text value, bool has, struct json_writer *writer) {
    json_write_key(writer, key);
    json_write_value(writer, has ? value : text_of("null"));
}

static void write_config(const ins_collection_info *info, struct json_writer *writer) {
    ins_text value;
    json_write_key(writer, "config");
    json_write_begin_object(writer);
    json_write_key(writer, "params");
    json_write_begin_object(writer);
    write_vectors(info, writer);
    write_merged(params_defaults, info->settings, writer);
    json_write_end_object(writer);
    write_section("hnsw_config", hnsw_defaults, info->settings, "hnsw_config", writer);
    write_section("optimizer_config", optimizer_defaults, info->settings, "optimizers_config",
                  writer);
    write_section("wal_config", wal_defaults, info->settings, "wal_config", writer);
    bool has = text_get(info->settings, "quantization_config", &value);
    write_given("quantization_config", value, has, writer);
    if (text_get(info->settings, "strict_mode_config", &value)) {
        write_given("strict_mode_config", value, true, writer);
    }
    if (text_get(info->settings, "insula", &value)) {
        write_given("insula", value, true, writer);
    }
    if (info->metadata.data != NULL) {
        write_given("metadata", info->metadata, true, writer);
    }
    json_write_end_object(writer);
}

static void write_schema(const ins_collection_info *info, struct json_writer *writer) {
    json_write_key(writer, "payload_schema");
    json_write_begin_object(writer);
    for (size_t i = 0; i < info->field_count; i++) {
        const ins_field_info *field = &info->fields[i];
        ins_text type = field->schema;
        bool by_object = type.size != 0 && type.data[0] == '{';
        json_write_key_text(writer, field->name);
        json_write_begin_object(writer);
        json_write_key(writer, "data_type");
        if (by_object && !text_get(field->schema, "type", &type)) {
            type = text_of("\"keyword\"");
        }
        json_write_value(writer, type);
        if (by_object) {
            json_write_key(writer, "params");
            json_write_value(writer, field->schema);
        }
        json_write_key(writer, "points");
        json_write_u64(writer, field->points);
        json_write_end_object(writer);
    }
    json_write_end_object(writer);
}

static void write_warning(const char *about, ins_text field, const char *what,
                          struct json_writer *writer) {
    char message[600];
    int shown = field.size <= INS_NAME_BYTES_MAX ? (int)field.size : 0;
    (void)snprintf(message, sizeof(message), "%s `%.*s` %s", about, shown, field.data, what);
    json_write_begin_object(writer);
    json_write_key(writer, "message");
    json_write_string(writer, message);
    json_write_end_object(writer);
}

static bool field_warns(const ins_field_info *field) {
    return !field->islands && (field->is_tenant || field->late);
}

/* The member is absent when there are none, as in Qdrant. */
static void write_warnings(const ins_collection_info *info, struct json_writer *writer) {
    bool any = false;
    for (size_t i = 0; i < info->field_count; i++) {
        any = any || field_warns(&info->fields[i]);
    }
    if (!any) {
        return;
    }
    json_write_key(writer, "warnings");
    json_write_begin_array(writer);
    for (size_t i = 0; i < info->field_count; i++) {
        const ins_field_info *field = &info->fields[i];
        if (field->is_tenant && !field->islands && info->moving_points > 0) {
            char what[200];
            (void)snprintf(what, sizeof(what),
                           "is being brought into force: %llu of about %llu points were moved to "
                           "the places of their tenants. Answers are right meanwhile.",
                           (unsigned long long)info->moved_points,
                           (unsigned long long)info->moving_points);
            write_warning("The index on", field->name, what, writer);
        } else if (field->is_tenant && !field->islands) {
            write_warning("The index on", field->name,
                          "asked for is_tenant but does not set tenants apart: another "
                          "field came first, or it was made when shard keys already had points. "
                          "Answers are right; searches in one tenant read more than they need.",
                          writer);
        } else if (field->late && !field->islands) {
            char what[200];
            (void)snprintf(what, sizeof(what),
                           "was made when the collection already had files: %llu of %llu large "
                           "extents, with %llu points, are searched without it until they are "
                           "written anew. Answers are right.",
                           (unsigned long long)info->late_runs,
                           (unsigned long long)info->large_runs,
                           (unsigned long long)info->late_rows);
            write_warning("The index on", field->name, what, writer);
        }
    }
    json_write_end_array(writer);
}

/* Red with the reason when the log has failed, yellow while islands wait for a merge or a graph. */
static void write_status(const ins_collection_info *info, struct json_writer *writer) {
    bool stopped = info->writes_stopped.data != NULL;
    json_write_key(writer, "status");
    bool busy = info->queued_islands > 0 || info->unindexed_islands > 0;
    json_write_string(writer, stopped ? "red" : busy ? "yellow" : "green");
    json_write_key(writer, "optimizer_status");
    if (!stopped) {
        json_write_string(writer, "ok");
        return;
    }
    json_write_begin_object(writer);
    json_write_key(writer, "error");
    json_write_text(writer, info->writes_stopped);
    json_write_end_object(writer);
}

void encode_collection_info(struct job *job, struct json_writer *writer) {
    const ins_collection_info *info = job->call.info;
    json_write_begin_object(writer);
    write_status(info, writer);
    write_warnings(info, writer);
    json_write_key(writer, "indexed_vectors_count");
    json_write_u64(writer, info->indexed_vectors);
    json_write_key(writer, "points_count");
    json_write_u64(writer, info->point_count);
    json_write_key(writer, "segments_count");
    json_write_u64(writer, info->run_count);
    write_config(info, writer);
    write_schema(info, writer);
    json_write_key(writer, "update_queue"); /* what waits to be applied: changes by filter alone */
    json_write_begin_object(writer);
    json_write_key(writer, "length");
    json_write_u64(writer, info->changes);
    json_write_end_object(writer);
    json_write_end_object(writer);
}

/* ---- Other views of a collection ---- */

/* A merge of an island is an optimization, and so is a graph or an index for a run, which is a
 * segment. Which of the queue is under way now, the engine does not say: all stand in the queue. */
void encode_optimizations(struct job *job, struct json_writer *writer) {
    const ins_collection_info *info = job->call.info;
    json_write_begin_object(writer);
    json_write_key(writer, "summary");
    json_write_begin_object(writer);
    write_count(writer, "queued_optimizations", info->queued_islands + info->unindexed_islands);
    write_count(writer, "queued_segments", info->queued_runs);
    write_count(writer, "queued_points", info->queued_rows);
    write_count(writer, "idle_segments", info->run_count - info->queued_runs);
    json_write_end_object(writer);
    json_write_key(writer, "running");
    json_write_begin_array(writer);
    json_write_end_array(writer);
    json_write_end_object(writer);
}

static void write_shard(uint64_t id, const ins_shard_key *key, uint64_t points,
                        struct json_writer *writer) {
    json_write_begin_object(writer);
    write_count(writer, "shard_id", id);
    if (key != NULL) {
        json_write_key(writer, "shard_key");
        encode_shard_key(key, writer);
    }
    write_count(writer, "points_count", points);
    json_write_key(writer, "state");
    json_write_string(writer, "Active");
    json_write_end_object(writer);
}

/* One peer. One shard; with custom sharding one a shard key, whatever number was asked for. */
void encode_collection_cluster(struct job *job, struct json_writer *writer) {
    const ins_collection_info *info = job->call.info;
    json_write_begin_object(writer);
    write_count(writer, "peer_id", 0);
    write_count(writer, "shard_count", info->sharded ? info->shard_count : 1);
    json_write_key(writer, "local_shards");
    json_write_begin_array(writer);
    if (!info->sharded) {
        write_shard(0, NULL, info->point_count, writer);
    }
    for (size_t i = 0; i < info->shard_count; i++) {
        const ins_shard_info *shard = &info->shards[i];
        write_shard((uint32_t)shard->id, &shard->key, shard->points, writer);
    }
    json_write_end_array(writer);
    json_write_key(writer, "remote_shards");
    json_write_begin_array(writer);
    json_write_end_array(writer);
    json_write_key(writer, "shard_transfers");
    json_write_begin_array(writer);
    json_write_end_array(writer);
    json_write_end_object(writer);
}
