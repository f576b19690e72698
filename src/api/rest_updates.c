/* Updates of points: upsert, delete, changes of payloads and vectors, and batches of them. */
#include "api/decode_plain.h"

/* For the statistics. */
static void upsert_count(struct job *job) {
    count_add(&job->api->counts.upserts, 1);
    count_add(&job->api->counts.upsert_points, job->points.point_count);
}

static ins_status update_start(struct job *job, const struct api_request *request,
                               enum update_kind kind, ins_error *error) {
    struct json_value body;
    ins_update update = {0};
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_update(job, kind, body, job->body, &update, error);
    }
    if (status == INS_OK) {
        job->points = update.request;
        job->points.incarnation_max = job->query.incarnation;
        if (kind == UPDATE_UPSERT) {
            upsert_count(job);
        }
        job_start(job, update.start, &job->points, encode_update);
    }
    return status;
}

ins_status points_upsert(struct job *job, const struct api_request *request, ins_error *error) {
    ins_status status = decode_plain_upsert(job, request->body, &job->points, error);
    if (status == INS_AGAIN) {
        return update_start(job, request, UPDATE_UPSERT, error);
    }
    if (status == INS_OK) {
        job->points.collection = job->params[0];
        job->points.tenant = job->tenant;
        job->points.incarnation_max = job->query.incarnation;
        upsert_count(job);
        job_start(job, ins_points_upsert, &job->points, encode_update);
    }
    return status;
}

ins_status points_delete(struct job *job, const struct api_request *request, ins_error *error) {
    return update_start(job, request, UPDATE_DELETE, error);
}

ins_status payload_set(struct job *job, const struct api_request *request, ins_error *error) {
    return update_start(job, request, UPDATE_SET_PAYLOAD, error);
}

ins_status payload_overwrite(struct job *job, const struct api_request *request, ins_error *error) {
    return update_start(job, request, UPDATE_OVERWRITE_PAYLOAD, error);
}

ins_status payload_delete(struct job *job, const struct api_request *request, ins_error *error) {
    return update_start(job, request, UPDATE_DELETE_PAYLOAD, error);
}

ins_status payload_clear(struct job *job, const struct api_request *request, ins_error *error) {
    return update_start(job, request, UPDATE_CLEAR_PAYLOAD, error);
}

ins_status vectors_update(struct job *job, const struct api_request *request, ins_error *error) {
    return update_start(job, request, UPDATE_VECTORS, error);
}

ins_status vectors_delete(struct job *job, const struct api_request *request, ins_error *error) {
    return update_start(job, request, UPDATE_DELETE_VECTORS, error);
}

ins_status points_batch(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_batch_request *batch = job_alloc(job, sizeof(*batch));
    if (batch == NULL) {
        return job_no_memory(error);
    }
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_update_batch(job, body, batch, error);
    }
    if (status == INS_OK) {
        job_start(job, ins_points_batch, batch, encode_updates);
    }
    return status;
}
