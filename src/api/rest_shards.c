/* Shard keys: create, delete, list; and how requests on points name them. */
#include <string.h>

#include "api/api_private.h"

#define KEY_WORDS "a shard key (a string or an unsigned integer)"

void encode_shard_key(const ins_shard_key *key, struct json_writer *writer) {
    if (key->text.data == NULL) {
        json_write_u64(writer, key->number);
    } else {
        json_write_text(writer, key->text);
    }
}

static ins_status key_decode(struct job *job, struct json_value value, const char *name,
                             ins_shard_key *out, ins_error *error) {
    *out = (ins_shard_key){0};
    if (json_type_of(value) == JSON_STRING) {
        return job_copy_text(job, json_string(value), &out->text, error);
    }
    if (json_is_unsigned(value)) {
        out->number = json_unsigned(value);
        return INS_OK;
    }
    return type_error(error, name, KEY_WORDS, value);
}

/* ---- Selectors: a key, an array of keys, or {"target": key, "fallback": key} ---- */

static ins_status fallback_decode(struct job *job, struct json_value object, ins_shard_key *keys,
                                  ins_error *error) {
    struct json_value target, fallback;
    if (!field_get(object, "target", &target)) {
        return missing_error(error, "shard_key.target");
    }
    if (!field_get(object, "fallback", &fallback)) {
        return missing_error(error, "shard_key.fallback");
    }
    ins_status status = key_decode(job, target, "shard_key.target", &keys[0], error);
    return status == INS_OK ? key_decode(job, fallback, "shard_key.fallback", &keys[1], error)
                            : status;
}

ins_status decode_shard_keys(struct job *job, struct json_value body, ins_points_request *request,
                             ins_error *error) {
    struct json_value value, each;
    if (!field_get(body, "shard_key", &value)) {
        return INS_OK;
    }
    enum json_type type = json_type_of(value);
    size_t count = type == JSON_ARRAY ? json_count(value) : type == JSON_OBJECT ? 2 : 1;
    ins_shard_key *keys = job_alloc(job, (count + 1) * sizeof(*keys));
    if (keys == NULL) {
        return job_no_memory(error);
    }
    request->shard_keys = keys;
    request->shard_key_count = count;
    request->shard_fallback = type == JSON_OBJECT;
    if (type == JSON_OBJECT) {
        return fallback_decode(job, value, keys, error);
    }
    if (type != JSON_ARRAY) {
        return key_decode(job, value, "shard_key", keys, error);
    }
    struct json_iterator iterator = json_begin(value);
    ins_status status = INS_OK;
    for (size_t i = 0; i < count && status == INS_OK && json_next(&iterator, &each); i++) {
        status = key_decode(job, each, "shard_key[]", &keys[i], error);
    }
    return status;
}

/* ---- Create, delete, list ---- */

static ins_status key_member_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value key;
    return field_get(body, "shard_key", &key)
               ? key_decode(job, key, "shard_key", &job->collection.shard_key, error)
               : missing_error(error, "shard_key");
}

/* Where replicas lie and how many there are changes no answer on one node; peers must be there. */
static ins_status placement_check(struct json_value body, ins_error *error) {
    struct json_value placement, peer;
    if (!field_get(body, "placement", &placement)) {
        return INS_OK;
    }
    if (json_type_of(placement) != JSON_ARRAY) {
        return type_error(error, "placement", "an array of peer ids", placement);
    }
    if (json_count(placement) == 0) {
        return ins_fail(error, INS_INVALID,
                        "Bad request: placement cannot be empty; without it any peer may be taken");
    }
    struct json_iterator iterator = json_begin(placement);
    while (json_next(&iterator, &peer)) {
        if (json_type_of(peer) != JSON_UNSIGNED && json_type_of(peer) != JSON_INTEGER) {
            return type_error(error, "placement", "an array of peer ids", peer);
        }
        if (json_type_of(peer) == JSON_INTEGER ? json_integer(peer) != 0
                                               : json_unsigned(peer) != 0) {
            return ins_fail(error, INS_INVALID,
                            "Bad request: placement: the only peer has the id 0");
        }
    }
    return INS_OK;
}

static ins_status create_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value state;
    uint64_t ignored;
    ins_status status = key_member_decode(job, body, error);
    if (status == INS_OK) {
        status = field_u64(body, "shards_number", "shards_number", 1, UINT32_MAX, &ignored, error);
    }
    if (status == INS_OK) {
        status = field_u64(body, "replication_factor", "replication_factor", 1, UINT32_MAX,
                           &ignored, error);
    }
    if (status == INS_OK) {
        status = placement_check(body, error);
    }
    if (status == INS_OK && field_get(body, "initial_state", &state)) {
        if (json_type_of(state) != JSON_STRING) {
            return type_error(error, "initial_state", "the name of a state", state);
        }
        /* A shard key that is not active takes no reads: nothing here makes one active later. */
        ins_text name = json_string(state);
        if (name.size != 6 || memcmp(name.data, "Active", 6) != 0) {
            return unsupported_error(error, "initial_state other than Active");
        }
    }
    return status;
}

static ins_status start(struct job *job, ins_start operation) {
    job->collection.collection = job->params[0];
    job_start(job, operation, &job->collection, encode_true);
    return INS_OK;
}

ins_status shard_key_create(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = create_decode(job, body, error);
    }
    return status == INS_OK ? start(job, ins_shard_key_create) : status;
}

ins_status shard_key_delete(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = key_member_decode(job, body, error);
    }
    return status == INS_OK ? start(job, ins_shard_key_delete) : status;
}

static void encode_shard_keys(struct job *job, struct json_writer *writer) {
    const ins_collection_info *info = job->call.info;
    json_write_begin_object(writer);
    json_write_key(writer, "shard_keys");
    if (!info->sharded) {
        json_write_null(writer);
        json_write_end_object(writer);
        return;
    }
    json_write_begin_array(writer);
    for (size_t i = 0; i < info->shard_count; i++) {
        json_write_begin_object(writer);
        json_write_key(writer, "key");
        encode_shard_key(&info->shards[i].key, writer);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
    json_write_end_object(writer);
}

ins_status shard_keys_list(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job->collection.collection = job->params[0];
    job->collection.with_shards = true;
    job_start(job, ins_collection_get, &job->collection, encode_shard_keys);
    return INS_OK;
}

/* ---- POST .../cluster: the two changes that one node knows ---- */

ins_status cluster_change(struct job *job, const struct api_request *request, ins_error *error) {
    static const char *const others[] = {"move_shard",       "replicate_shard",  "abort_transfer",
                                         "drop_replica",     "restart_transfer", "start_resharding",
                                         "abort_resharding", "replicate_points"};
    struct json_value body, change;
    ins_status status = body_parse(job, request, &body, error);
    if (status != INS_OK) {
        return status;
    }
    bool create = field_get(body, "create_sharding_key", &change);
    if (create || field_get(body, "drop_sharding_key", &change)) {
        if (json_type_of(change) != JSON_OBJECT) {
            return type_error(error, create ? "create_sharding_key" : "drop_sharding_key",
                              "an object", change);
        }
        status = create ? create_decode(job, change, error) : key_member_decode(job, change, error);
        return status == INS_OK ? start(job, create ? ins_shard_key_create : ins_shard_key_delete)
                                : status;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && status == INS_OK; i++) {
        status = field_refuse(body, others[i], error);
    }
    return status == INS_OK ? type_error(error, "body",
                                         "an object with `create_sharding_key` or "
                                         "`drop_sharding_key`",
                                         body)
                            : status;
}
