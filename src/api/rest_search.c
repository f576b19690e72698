/* The two forms of a search: points/query (Qdrant's universal query) and the older points/search.
 * Of the queries this version has "nearest", by vector or by id, and none (a scroll by id). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

#define LIMIT_DEFAULT 10u

/* nearest to: an array of numbers, or the id of a stored point */
static ins_status target_decode(struct job *job, struct json_value value, const char *name,
                                ins_error *error) {
    enum json_type type = json_type_of(value);
    if (type == JSON_ARRAY) {
        return decode_vector(job, value, name, &job->points.vector, &job->points.dim, error);
    }
    if (type == JSON_OBJECT) {
        char named[64];
        (void)snprintf(named, sizeof(named), "%s (sparse or inferred)", name);
        return unsupported_error(error, named);
    }
    job->points.by_id = true;
    return decode_id(value, name, &job->points.query_id, error);
}

static ins_status query_object_decode(struct job *job, struct json_value query, ins_error *error) {
    static const char *const later[] = {
        "recommend", "discover",           "context", "order_by", "fusion", "rrf",   "formula",
        "sample",    "relevance_feedback", "indices", "text",     "image",  "object"};
    struct json_value value;
    if (field_get(query, "nearest", &value)) {
        struct json_value mmr;
        return field_get(query, "mmr", &mmr) ? unsupported_error(error, "query.mmr")
                                             : target_decode(job, value, "query.nearest", error);
    }
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (field_get(query, later[i], &value)) {
            char name[64];
            (void)snprintf(name, sizeof(name), "query.%s", later[i]);
            return unsupported_error(error, name);
        }
    }
    return type_error(error, "query",
                      "a vector, a point id or an object such as {\"nearest\": ...}", query);
}

/* Search parameters change how, not what this version finds: their types are checked, no more. */
static ins_status params_check(struct json_value body, ins_error *error) {
    struct json_value params;
    uint64_t unused_number = 0;
    bool unused = false;
    if (!field_get(body, "params", &params)) {
        return INS_OK;
    }
    if (json_type_of(params) != JSON_OBJECT) {
        return type_error(error, "params", "an object", params);
    }
    ins_status status =
        field_u64(params, "hnsw_ef", "params.hnsw_ef", 1, UINT64_MAX, &unused_number, error);
    if (status == INS_OK) {
        status = field_bool(params, "exact", &unused, error);
    }
    return status == INS_OK ? field_bool(params, "indexed_only", &unused, error) : status;
}

/* What both forms share: filter, params, threshold, offset, payload and vector. */
static ins_status search_decode(struct job *job, struct json_value body, const char *offset_name,
                                ins_error *error) {
    double threshold = 0.0;
    uint64_t offset = 0;
    ins_status status = field_refuse(body, "shard_key", error);
    if (status == INS_OK) {
        status = params_check(body, error);
    }
    if (status == INS_OK) {
        status = field_number(body, "score_threshold", "score_threshold",
                              &job->points.has_score_threshold, &threshold, error);
    }
    if (status == INS_OK) {
        status = field_u64(body, "offset", offset_name, 0, INS_LIMIT_MAX, &offset, error);
    }
    if (status == INS_OK) {
        status = decode_filter(job, body, &job->points.filter, error);
    }
    job->points.score_threshold = (float)threshold;
    job->points.offset = (uint32_t)offset;
    job->points.collection = job->params[0];
    return status == INS_OK ? decode_with(job, body, false, error) : status;
}

static ins_status query_fields_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value value;
    if (field_get(body, "prefetch", &value) &&
        (json_type_of(value) != JSON_ARRAY || json_count(value) != 0)) {
        return unsupported_error(error, "prefetch");
    }
    ins_status status = field_refuse(body, "lookup_from", error);
    return status == INS_OK
               ? decode_vector_name(job, body, "using", "using", &job->points.vector_name, error)
               : status;
}

/* No query: points in the order of their ids, with score 0. The offset counts points, which a
 * scroll does not know, so that many more are read and left out. */
static void query_start_scroll(struct job *job) {
    job->skip = job->points.offset;
    job->points.limit += job->points.offset; /* each <= INS_LIMIT_MAX */
    job->points.offset = 0;
    job_start(job, ins_points_scroll, &job->points, encode_query);
}

ins_status points_query(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body, query;
    uint64_t limit = LIMIT_DEFAULT;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = query_fields_decode(job, body, error);
    }
    bool has_query = status == INS_OK && field_get(body, "query", &query);
    if (has_query) {
        status = json_type_of(query) == JSON_OBJECT ? query_object_decode(job, query, error)
                                                    : target_decode(job, query, "query", error);
    }
    if (status == INS_OK) {
        status = field_u64(body, "limit", "internal.limit", 1, INS_LIMIT_MAX, &limit, error);
    }
    job->points.limit = (uint32_t)limit;
    if (status == INS_OK) {
        status = search_decode(job, body, "internal.offset", error);
    }
    if (status == INS_OK && has_query) {
        job_start(job, ins_points_query, &job->points, encode_query);
    } else if (status == INS_OK) {
        query_start_scroll(job);
    }
    return status;
}

/* vector: an array, or {"name": ..., "vector": [...]} */
static ins_status search_vector_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value value;
    if (!field_get(body, "vector", &value)) {
        return missing_error(error, "vector");
    }
    if (json_type_of(value) == JSON_OBJECT) {
        struct json_value named = value;
        ins_status status =
            decode_vector_name(job, named, "name", "vector.name", &job->points.vector_name, error);
        if (status != INS_OK) {
            return status;
        }
        if (!field_get(named, "vector", &value)) {
            return missing_error(error, "vector.vector");
        }
    }
    if (json_type_of(value) == JSON_OBJECT) {
        return unsupported_error(error, "vector (sparse)");
    }
    if (json_type_of(value) != JSON_ARRAY) {
        return type_error(error, "vector", "an array of numbers", value);
    }
    return decode_vector(job, value, "vector", &job->points.vector, &job->points.dim, error);
}

ins_status points_search(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body, value;
    uint64_t limit = 0;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = search_vector_decode(job, body, error);
    }
    if (status == INS_OK) {
        const char *key = field_get(body, "limit", &value) ? "limit" : "top";
        status = field_get(body, key, &value)
                     ? field_u64(body, key, "search_request.limit", 1, INS_LIMIT_MAX, &limit, error)
                     : missing_error(error, "limit");
    }
    job->points.limit = (uint32_t)limit;
    if (status == INS_OK) {
        status = search_decode(job, body, "search_request.offset", error);
    }
    if (status == INS_OK) {
        job_start(job, ins_points_query, &job->points, encode_hits);
    }
    return status;
}
