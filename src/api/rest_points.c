/* Reads of points: get, scroll, count. */
#include "api/api_private.h"
#include "base/id.h"

#define SCROLL_LIMIT_DEFAULT 10u

ins_status point_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_text text = job->params[1];
    ins_id *id = job_alloc(job, sizeof(*id));
    if (id == NULL) {
        return job_no_memory(error);
    }
    uint64_t number = 0;
    bool is_number = text.size != 0 && text.size <= 20;
    for (size_t i = 0; is_number && i < text.size; i++) {
        char digit = text.data[i];
        is_number = digit >= '0' && digit <= '9' && !__builtin_mul_overflow(number, 10, &number) &&
                    !__builtin_add_overflow(number, (uint64_t)(digit - '0'), &number);
    }
    *id = id_number(number);
    if (!is_number && !id_parse_uuid(text.data, text.size, id)) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: `%.*s` is not a point id (an unsigned 64-bit integer or a "
                        "UUID)",
                        (int)(text.size < 64 ? text.size : 0), text.data);
    }
    job->points.collection = job->params[0];
    job->points.tenant = job->tenant;
    job->points.ids = id;
    job->points.id_count = 1;
    job->points.payload.kind = INS_SELECT_ALL;
    job->points.with_vector = true;
    job_start(job, ins_points_get, &job->points, encode_record);
    return INS_OK;
}

ins_status points_get(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body, ids;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_shard_keys(job, body, &job->points, error);
    }
    if (status == INS_OK) {
        status = field_get(body, "ids", &ids)
                     ? decode_ids(job, ids, "ids", &job->points.ids, &job->points.id_count, error)
                     : missing_error(error, "ids");
    }
    if (status == INS_OK) {
        status = decode_with(job, body, true, error);
    }
    if (status == INS_OK) {
        status = explain_decode(job, body, error);
    }
    if (status == INS_OK) {
        job->points.collection = job->params[0];
        job->points.tenant = job->tenant;
        job_start(job, ins_points_get, &job->points, encode_records);
    }
    return status;
}

static ins_status scroll_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value value;
    uint64_t limit = SCROLL_LIMIT_DEFAULT;
    ins_status status = decode_shard_keys(job, body, &job->points, error);
    if (status == INS_OK) {
        status = explain_decode(job, body, error);
    }
    if (status == INS_OK && field_get(body, "order_by", &value)) {
        status = order_by_decode(job, value, "order_by", error);
        if (status == INS_OK && field_get(body, "offset", &value)) {
            status = ins_fail(error, INS_INVALID,
                              "Wrong input: `offset` does not go with `order_by`: go on with "
                              "`order_by.start_from` and a filter without the points seen");
        }
    }
    if (status == INS_OK) {
        status = field_u64(body, "limit", "scroll_request.limit", 1, INS_LIMIT_MAX, &limit, error);
    }
    if (status == INS_OK && field_get(body, "offset", &value)) {
        job->points.has_start = true;
        status = decode_id(value, "offset", &job->points.start, error);
    }
    if (status == INS_OK) {
        status = decode_filter(job, body, &job->points.filter, error);
    }
    job->points.limit = (uint32_t)limit;
    return status == INS_OK ? decode_with(job, body, true, error) : status;
}

ins_status points_scroll(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = scroll_decode(job, body, error);
    }
    if (status == INS_OK) {
        job->points.collection = job->params[0];
        job->start = ins_points_scroll;
        job->request = &job->points;
        if (job->rank.kind == INS_RANK_ORDER) {
            rank_prepare(job, INS_RANK_ORDER, encode_scroll);
        }
        job_start(job, job->start, job->request, encode_scroll);
    }
    return status;
}

ins_status points_count(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    bool exact = true; /* an estimate is allowed to be exact */
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_shard_keys(job, body, &job->points, error);
    }
    if (status == INS_OK) {
        status = field_bool(body, "exact", &exact, error);
    }
    if (status == INS_OK) {
        status = explain_decode(job, body, error);
    }
    if (status == INS_OK) {
        status = decode_filter(job, body, &job->points.filter, error);
    }
    if (status == INS_OK) {
        job->points.collection = job->params[0];
        job_start(job, ins_points_count, &job->points, encode_count);
    }
    return status;
}
