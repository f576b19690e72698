/* Bodies of updates of points. Each is the body of its own route and, under its name, an operation
 * of a batch; the names stand here once. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"

#define OPERATION_NAME_MAX 64

/* ---- What several have in common ---- */

/* Which points: `points` or `filter`. Both at once could mean either or both: refused, since a
 * delete of the wrong ones cannot be taken back. */
static ins_status selector_decode(struct job *job, struct json_value body,
                                  ins_points_request *request, ins_error *error) {
    struct json_value value;
    bool by_filter = field_get(body, "filter", &value);
    bool by_ids = field_get(body, "points", &value);
    ins_status status = decode_shard_keys(job, body, request, error);
    if (status != INS_OK) {
        return status;
    }
    if (by_ids && by_filter) {
        return ins_fail(error, INS_INVALID,
                        "Format error in JSON body: both `points` and `filter` are given; the "
                        "points are selected by one of them");
    }
    if (by_filter) {
        return decode_filter(job, body, &request->filter, error);
    }
    return by_ids ? decode_ids(job, value, "points", &request->ids, &request->id_count, error)
                  : missing_error(error, "points");
}

static ins_status change_decode(struct job *job, struct json_value body, ins_text text,
                                ins_points_request *request, ins_error *error) {
    struct json_value payload;
    ins_text payload_text;
    if (!field_get(body, "payload", &payload) ||
        !json_text_get_last(text, (ins_text){"payload", 7}, &payload_text)) {
        return missing_error(error, "payload");
    }
    return decode_payload(job, payload, payload_text, "payload", &request->change, error);
}

/* An array of strings that must not be empty. */
static ins_status names_decode(struct job *job, struct json_value body, const char *key,
                               bool may_be_empty, ins_points_request *request, ins_error *error) {
    struct json_value value;
    if (!field_get(body, key, &value)) {
        return missing_error(error, key);
    }
    ins_status status = decode_texts(job, value, key, &request->keys, &request->key_count, error);
    if (status == INS_OK && request->key_count == 0 && !may_be_empty) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [%s: has no element, must have at least 1]",
                        key);
    }
    return status;
}

/* ---- Each kind ---- */

static ins_status delete_decode(struct job *job, struct json_value body, ins_text text,
                                ins_points_request *request, ins_error *error) {
    (void)text;
    return selector_decode(job, body, request, error);
}

static ins_status set_decode(struct job *job, struct json_value body, ins_text text,
                             ins_points_request *request, ins_error *error) {
    struct json_value key;
    ins_status status = change_decode(job, body, text, request, error);
    if (status == INS_OK && field_get(body, "key", &key)) {
        status = json_type_of(key) == JSON_STRING
                     ? job_copy_text(job, json_string(key), &request->change_path, error)
                     : type_error(error, "key", "a string", key);
    }
    return status == INS_OK ? selector_decode(job, body, request, error) : status;
}

static ins_status overwrite_decode(struct job *job, struct json_value body, ins_text text,
                                   ins_points_request *request, ins_error *error) {
    struct json_value key;
    if (field_get(body, "key", &key)) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: `key`: an overwrite replaces the whole payload; set the "
                        "payload to change what lies at a key");
    }
    ins_status status = change_decode(job, body, text, request, error);
    return status == INS_OK ? selector_decode(job, body, request, error) : status;
}

static ins_status delete_keys_decode(struct job *job, struct json_value body, ins_text text,
                                     ins_points_request *request, ins_error *error) {
    (void)text;
    ins_status status = names_decode(job, body, "keys", true, request, error);
    return status == INS_OK ? selector_decode(job, body, request, error) : status;
}

static ins_status delete_vectors_decode(struct job *job, struct json_value body, ins_text text,
                                        ins_points_request *request, ins_error *error) {
    (void)text;
    ins_status status = names_decode(job, body, "vector", false, request, error);
    return status == INS_OK ? selector_decode(job, body, request, error) : status;
}

/* An update of vectors has points, and each has a vector. */
static ins_status updated_check(const ins_points_request *request, ins_error *error) {
    if (request->point_count == 0) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [points: must specify points to update]");
    }
    for (size_t i = 0; i < request->point_count; i++) {
        if (request->points[i].vector == NULL && request->points[i].vector_count == 0) {
            return ins_fail(error, INS_UNPROCESSABLE,
                            "Validation error in JSON body: [points[%zu].vector: must specify "
                            "vectors to update for point]",
                            i);
        }
    }
    return INS_OK;
}

static ins_status vectors_decode(struct job *job, struct json_value body, ins_text text,
                                 ins_points_request *request, ins_error *error) {
    struct json_value points;
    ins_text points_text;
    ins_status status = decode_shard_keys(job, body, request, error);
    if (status == INS_OK) {
        status = decode_filter_field(job, body, "update_filter", &request->update_filter, error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (!field_get(body, "points", &points) ||
        !json_text_get_last(text, (ins_text){"points", 6}, &points_text)) {
        return missing_error(error, "points");
    }
    status = decode_points(job, points, points_text, request, error);
    return status == INS_OK ? updated_check(request, error) : status;
}

/* ---- One update ---- */

static const struct {
    const char *name;
    ins_start start;
    ins_status (*decode)(struct job *job, struct json_value body, ins_text text,
                         ins_points_request *request, ins_error *error);
} kinds[UPDATE_KINDS] = {
    [UPDATE_UPSERT] = {"upsert", ins_points_upsert, decode_upsert},
    [UPDATE_DELETE] = {"delete", ins_points_delete, delete_decode},
    [UPDATE_SET_PAYLOAD] = {"set_payload", ins_points_set_payload, set_decode},
    [UPDATE_OVERWRITE_PAYLOAD] = {"overwrite_payload", ins_points_overwrite_payload,
                                  overwrite_decode},
    [UPDATE_DELETE_PAYLOAD] = {"delete_payload", ins_points_delete_payload, delete_keys_decode},
    [UPDATE_CLEAR_PAYLOAD] = {"clear_payload", ins_points_clear_payload, delete_decode},
    [UPDATE_VECTORS] = {"update_vectors", ins_points_update_vectors, vectors_decode},
    [UPDATE_DELETE_VECTORS] = {"delete_vectors", ins_points_delete_vectors, delete_vectors_decode},
};

ins_status decode_update(struct job *job, enum update_kind kind, struct json_value body,
                         ins_text text, ins_update *out, ins_error *error) {
    *out = (ins_update){.start = kinds[kind].start,
                        .request = {.collection = job->params[0],
                                    .tenant = job->tenant,
                                    .no_wait = !job->query.wait}};
    return kinds[kind].decode(job, body, text, &out->request, error);
}

/* ---- Batches ---- */

static ins_status operation_error(ins_error *error, size_t index) {
    return ins_fail(error, INS_INVALID,
                    "Format error in JSON body: operations[%zu]: expected an object with one "
                    "member, which is upsert, delete, set_payload, overwrite_payload, "
                    "delete_payload, clear_payload, update_vectors or delete_vectors",
                    index);
}

/* Messages of an operation's body say which one it is. */
static ins_status name_operation(ins_error *error, size_t index, ins_status status) {
    char message[INS_ERROR_MESSAGE_MAX];
    memcpy(message, error->message, sizeof(message));
    return ins_fail_retry(error, status, error->retry_after_s, "%.400s (operations[%zu])", message,
                          index);
}

static ins_status operation_decode(struct job *job, struct json_value operation, ins_text text,
                                   size_t index, ins_update *out, ins_error *error) {
    if (json_type_of(operation) != JSON_OBJECT || json_count(operation) != 1) {
        return operation_error(error, index);
    }
    struct json_iterator members = json_begin(operation);
    struct json_text_iterator texts = json_text_begin(text);
    struct json_value body;
    ins_text key, raw_key, body_text;
    bool both = json_next_member(&members, &key, &body) &&
                json_text_next_member(&texts, &raw_key, &body_text);
    INS_ASSERT(both);
    for (int kind = 0; kind < UPDATE_KINDS; kind++) {
        if (key.size != strlen(kinds[kind].name) ||
            memcmp(key.data, kinds[kind].name, key.size) != 0) {
            continue;
        }
        if (json_type_of(body) != JSON_OBJECT) {
            return operation_error(error, index);
        }
        ins_status status = refuse_duplicates(body, error);
        if (status == INS_OK) {
            status = decode_update(job, (enum update_kind)kind, body, body_text, out, error);
        }
        return status == INS_OK ? INS_OK : name_operation(error, index, status);
    }
    return operation_error(error, index);
}

ins_status decode_update_batch(struct job *job, struct json_value body, ins_batch_request *out,
                               ins_error *error) {
    struct json_value operations, operation;
    ins_text text, operation_text;
    if (!field_get(body, "operations", &operations) ||
        !json_text_get_last(job->body, (ins_text){"operations", 10}, &text)) {
        return missing_error(error, "operations");
    }
    if (json_type_of(operations) != JSON_ARRAY) {
        return type_error(error, "operations", "an array", operations);
    }
    size_t count = json_count(operations);
    if (count > INS_BATCH_UPDATES_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: operations has %zu elements, one request may have at most %u",
                        count, INS_BATCH_UPDATES_MAX);
    }
    ins_update *updates = job_alloc(job, (count + 1) * sizeof(*updates));
    if (updates == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator iterator = json_begin(operations);
    struct json_text_iterator texts = json_text_begin(text);
    for (size_t i = 0; i < count; i++) {
        bool both = json_next(&iterator, &operation) && json_text_next(&texts, &operation_text);
        INS_ASSERT(both);
        ins_status status = operation_decode(job, operation, operation_text, i, &updates[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    *out = (ins_batch_request){.updates = updates, .update_count = count};
    return INS_OK;
}
