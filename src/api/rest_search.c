/* The two forms of a search: points/query (Qdrant's universal query) and the older points/search.
 * Queries other than "nearest" and none (a scroll by id) are rankings: rest_rank.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/decode_plain.h"

#define GROUP_SIZE_DEFAULT 3u

ins_status decode_query_vector(struct job *job, struct json_value array, const char *name,
                               ins_error *error) {
    struct decoded_vector vector;
    if (take_cut_vector(job, array)) {
        return INS_OK;
    }
    ins_status status = decode_vector(job, array, name, &vector, error);
    if (status == INS_OK) {
        job->points.vector = vector.values;
        job->points.dim = vector.dim;
        job->points.rows = vector.rows;
    }
    return status;
}

/* nearest to: an array of numbers or of rows of them, or the id of a stored point */
static ins_status target_decode(struct job *job, struct json_value value, const char *name,
                                ins_error *error) {
    enum json_type type = json_type_of(value);
    if (type == JSON_ARRAY) {
        return decode_query_vector(job, value, name, error);
    }
    if (type == JSON_OBJECT) {
        char named[64];
        (void)snprintf(named, sizeof(named), "%s (sparse or inferred)", name);
        return unsupported_error(error, named);
    }
    job->points.by_id = true;
    return decode_id(value, name, &job->points.query_id, error);
}

static ins_status query_object_decode(struct job *job, struct json_value query, bool *out_ranked,
                                      ins_error *error) {
    static const char *const later[] = {"fusion",  "rrf",  "formula", "relevance_feedback",
                                        "indices", "text", "image",   "object"};
    struct json_value value;
    if (field_get(query, "nearest", &value)) {
        struct json_value mmr;
        return field_get(query, "mmr", &mmr) ? unsupported_error(error, "query.mmr")
                                             : target_decode(job, value, "query.nearest", error);
    }
    ins_status status = rank_query_decode(job, query, out_ranked, error);
    if (status != INS_OK || *out_ranked) {
        return status;
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

static ins_status quantization_params(struct job *job, struct json_value params, ins_error *error) {
    struct json_value value, rescore;
    bool has = false, wanted = false;
    double oversampling = 0;
    if (!field_get(params, "quantization", &value)) {
        return INS_OK;
    }
    if (json_type_of(value) != JSON_OBJECT) {
        return type_error(error, "params.quantization", "an object", value);
    }
    ins_status status = field_bool(value, "ignore", &job->points.ignore_codes, error);
    if (status == INS_OK && field_get(value, "rescore", &rescore)) {
        status = field_bool(value, "rescore", &wanted, error);
        job->points.rescore = wanted ? INS_RESCORE_YES : INS_RESCORE_NO;
    }
    if (status == INS_OK) {
        status = field_number(value, "oversampling", "params.quantization.oversampling", &has,
                              &oversampling, error);
    }
    if (status == INS_OK && has && !(oversampling >= 1)) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [params.quantization.oversampling: value "
                        "%g invalid, must be 1.0 or larger]",
                        oversampling);
    }
    job->points.oversampling = oversampling;
    return status;
}

/* Steps over two links are always among the ways to search with a filter, and the cheapest is
 * taken: what is asked for is checked, and changes nothing. */
static ins_status acorn_params(struct json_value params, ins_error *error) {
    struct json_value acorn;
    double most = 0;
    bool has = false, enable = false;
    if (!field_get(params, "acorn", &acorn)) {
        return INS_OK;
    }
    if (json_type_of(acorn) != JSON_OBJECT) {
        return type_error(error, "params.acorn", "an object", acorn);
    }
    ins_status status = field_bool(acorn, "enable", &enable, error);
    if (status == INS_OK) {
        status = field_number(acorn, "max_selectivity", "params.acorn.max_selectivity", &has, &most,
                              error);
    }
    if (status == INS_OK && has && !(most >= 0 && most <= 1)) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "Validation error in JSON body: [params.acorn.max_selectivity: value %g "
                        "invalid, must be from 0.0 to 1.0]",
                        most);
    }
    return status;
}

/* How the nearest are looked for. Orders by something else than nearness are exact anyway. */
static ins_status params_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value params;
    uint64_t effort = 0;
    if (!field_get(body, "params", &params)) {
        return INS_OK;
    }
    if (json_type_of(params) != JSON_OBJECT) {
        return type_error(error, "params", "an object", params);
    }
    ins_status status =
        field_u64(params, "hnsw_ef", "params.hnsw_ef", 1, UINT64_MAX, &effort, error);
    job->points.graph_effort = effort < UINT32_MAX ? (uint32_t)effort : UINT32_MAX;
    if (status == INS_OK) {
        status = field_bool(params, "exact", &job->points.exact, error);
    }
    if (status == INS_OK) {
        status = quantization_params(job, params, error);
    }
    if (status == INS_OK) {
        status = acorn_params(params, error);
    }
    return status == INS_OK ? field_bool(params, "indexed_only", &job->points.indexed_only, error)
                            : status;
}

/* What both forms share: filter, params, threshold, offset, payload and vector. */
ins_status search_decode(struct job *job, struct json_value body, const char *offset_name,
                         ins_error *error) {
    double threshold = 0.0;
    uint64_t offset = 0;
    ins_status status = decode_shard_keys(job, body, &job->points, error);
    if (status == INS_OK) {
        status = explain_decode(job, body, error);
    }
    if (status == INS_OK) {
        status = params_decode(job, body, error);
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

static void prepare(struct job *job, ins_start start, job_encode encode) {
    job->start = start;
    job->request = &job->points;
    job->encode = encode;
}

/* No query: points in the order of their ids. The offset counts points, which a
 * scroll does not know, so that many more are read and left out. */
static void prepare_scroll(struct job *job) {
    job->skip = job->points.offset;
    job->points.limit += job->points.offset; /* each <= INS_LIMIT_MAX */
    job->points.offset = 0;
    job->unscored = true;
    prepare(job, ins_points_scroll, encode_query);
}

/* What query and query/groups share. *out_ranked: job->rank has what is asked for. */
static ins_status query_decode(struct job *job, struct json_value body, bool *out_query,
                               bool *out_ranked, ins_error *error) {
    struct json_value query;
    uint64_t limit = SEARCH_LIMIT_DEFAULT;
    *out_ranked = false;
    ins_status status = query_fields_decode(job, body, error);
    *out_query = status == INS_OK && field_get(body, "query", &query);
    if (*out_query) {
        status = json_type_of(query) == JSON_OBJECT
                     ? query_object_decode(job, query, out_ranked, error)
                     : target_decode(job, query, "query", error);
    }
    if (status == INS_OK) {
        status = field_u64(body, "limit", "internal.limit", 1, INS_LIMIT_MAX, &limit, error);
    }
    job->points.limit = (uint32_t)limit;
    return status == INS_OK ? search_decode(job, body, "internal.offset", error) : status;
}

ins_status query_prepare(struct job *job, struct json_value body, ins_error *error) {
    bool has_query, ranked;
    ins_status status = query_decode(job, body, &has_query, &ranked, error);
    if (status != INS_OK) {
        return status;
    }
    if (ranked) {
        rank_prepare(job, job->rank.kind, encode_query);
    } else if (has_query) {
        prepare(job, ins_points_query, encode_query);
    } else {
        prepare_scroll(job);
    }
    return INS_OK;
}

static ins_status search_start(struct job *job, const struct api_request *request,
                               search_prepare decode, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse_search(job, request, &body, error);
    if (status == INS_OK) {
        status = decode(job, body, error);
    }
    if (status == INS_OK) {
        job_start(job, job->start, job->request, job->encode);
    }
    return status;
}

/* Only the vector is read beforehand. `key`: where it stands. */
static ins_status cut_start(struct job *job, const struct api_request *request, const char *key,
                            search_prepare decode, ins_error *error) {
    if (decode_plain_search(job, request->body, key)) {
        job->points = (ins_points_request){0};
    }
    return search_start(job, request, decode, error);
}

/* The usual bodies are read in one pass. `key`: of the vector that the search is by. */
static ins_status nearest_start(struct job *job, const struct api_request *request, const char *key,
                                search_prepare decode, job_encode encode, ins_error *error) {
    if (!decode_plain_search(job, request->body, key)) {
        return search_start(job, request, decode, error);
    }
    job->points.collection = job->params[0];
    job_start(job, ins_points_query, &job->points, encode);
    return INS_OK;
}

ins_status points_query(struct job *job, const struct api_request *request, ins_error *error) {
    return nearest_start(job, request, "query", query_prepare, encode_query, error);
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
    return decode_query_vector(job, value, "vector", error);
}

/* `limit`, or its older name. */
static ins_status limit_decode(struct job *job, struct json_value body, ins_error *error) {
    struct json_value value;
    uint64_t limit = 0;
    const char *key = field_get(body, "limit", &value) ? "limit" : "top";
    ins_status status = field_get(body, key, &value) ? field_u64(body, key, "search_request.limit",
                                                                 1, INS_LIMIT_MAX, &limit, error)
                                                     : missing_error(error, "limit");
    job->points.limit = (uint32_t)limit;
    return status;
}

ins_status legacy_search_prepare(struct job *job, struct json_value body, ins_error *error) {
    ins_status status = search_vector_decode(job, body, error);
    if (status == INS_OK) {
        status = limit_decode(job, body, error);
    }
    if (status == INS_OK) {
        status = search_decode(job, body, "search_request.offset", error);
    }
    prepare(job, ins_points_query, encode_hits);
    return status;
}

ins_status points_search(struct job *job, const struct api_request *request, ins_error *error) {
    return nearest_start(job, request, "vector", legacy_search_prepare, encode_hits, error);
}

/* Recommend and discover in their older form. */
static ins_status legacy_rank_decode(struct job *job, struct json_value body, ins_error *error) {
    ins_status status = field_refuse(body, "lookup_from", error);
    if (status == INS_OK) {
        status = decode_vector_name(job, body, "using", "using", &job->points.vector_name, error);
    }
    if (status == INS_OK) {
        status = limit_decode(job, body, error);
    }
    return status == INS_OK ? search_decode(job, body, "search_request.offset", error) : status;
}

static ins_status legacy_recommend_prepare(struct job *job, struct json_value body,
                                           ins_error *error) {
    ins_status status = recommend_prepare(job, body, error);
    if (status == INS_OK) {
        status = legacy_rank_decode(job, body, error);
    }
    rank_prepare(job, job->rank.kind, encode_hits);
    return status;
}

static ins_status legacy_discover_prepare(struct job *job, struct json_value body,
                                          ins_error *error) {
    ins_status status = discover_prepare(job, body, error);
    if (status == INS_OK) {
        status = legacy_rank_decode(job, body, error);
    }
    rank_prepare(job, job->rank.kind, encode_hits);
    return status;
}

ins_status points_recommend(struct job *job, const struct api_request *request, ins_error *error) {
    return search_start(job, request, legacy_recommend_prepare, error);
}

ins_status points_discover(struct job *job, const struct api_request *request, ins_error *error) {
    return search_start(job, request, legacy_discover_prepare, error);
}

/* ---- Groups ---- */

/* The search in job->points as a ranking; none ranks by id. */
static ins_status nearest_as_rank(struct job *job, bool has_query, ins_error *error) {
    if (!has_query) {
        job->rank.kind = INS_RANK_ID;
        return INS_OK;
    }
    ins_example *example = job_alloc(job, sizeof(*example));
    if (example == NULL) {
        return job_no_memory(error);
    }
    *example = (ins_example){.by_id = job->points.by_id,
                             .id = job->points.query_id,
                             .vector = job->points.vector,
                             .dim = job->points.dim,
                             .rows = job->points.rows};
    job->points.by_id = false;
    job->rank.kind = INS_RANK_NEAREST;
    job->rank.positive = example;
    job->rank.positive_count = 1;
    return INS_OK;
}

static ins_status groups_decode(struct job *job, struct json_value body, uint64_t group_size,
                                ins_error *error) {
    struct json_value value;
    ins_status status = field_refuse(body, "with_lookup", error);
    if (status == INS_OK && !field_get(body, "group_by", &value)) {
        status = missing_error(error, "group_by");
    }
    if (status == INS_OK && (json_type_of(value) != JSON_STRING || json_string(value).size == 0)) {
        status = type_error(error, "group_by", "the path of a payload field", value);
    }
    if (status == INS_OK) {
        status = job_copy_text(job, json_string(value), &job->rank.group_key, error);
    }
    if (status == INS_OK) {
        status =
            field_u64(body, "group_size", "group_size", 1, INS_RANK_LIMIT_MAX, &group_size, error);
    }
    if (status == INS_OK && group_size == 0) {
        status = missing_error(error, "group_size");
    }
    job->rank.group_size = (uint32_t)group_size;
    return status;
}

static ins_status query_groups_prepare(struct job *job, struct json_value body, ins_error *error) {
    bool has_query, ranked;
    ins_status status = query_decode(job, body, &has_query, &ranked, error);
    if (status == INS_OK && !ranked) {
        status = nearest_as_rank(job, has_query, error);
    }
    if (status == INS_OK) {
        status = groups_decode(job, body, GROUP_SIZE_DEFAULT, error);
    }
    job->points.offset = 0; /* groups have none */
    rank_prepare(job, job->rank.kind, encode_groups);
    return status;
}

static ins_status search_groups_prepare(struct job *job, struct json_value body, ins_error *error) {
    ins_status status = legacy_search_prepare(job, body, error);
    if (status == INS_OK) {
        status = nearest_as_rank(job, true, error);
    }
    if (status == INS_OK) {
        status = groups_decode(job, body, 0, error);
    }
    job->points.offset = 0;
    rank_prepare(job, job->rank.kind, encode_groups);
    return status;
}

static ins_status recommend_groups_prepare(struct job *job, struct json_value body,
                                           ins_error *error) {
    ins_status status = legacy_recommend_prepare(job, body, error);
    if (status == INS_OK) {
        status = groups_decode(job, body, 0, error);
    }
    job->points.offset = 0;
    rank_prepare(job, job->rank.kind, encode_groups);
    return status;
}

ins_status points_query_groups(struct job *job, const struct api_request *request,
                               ins_error *error) {
    return cut_start(job, request, "query", query_groups_prepare, error);
}

ins_status points_search_groups(struct job *job, const struct api_request *request,
                                ins_error *error) {
    return cut_start(job, request, "vector", search_groups_prepare, error);
}

ins_status points_recommend_groups(struct job *job, const struct api_request *request,
                                   ins_error *error) {
    return search_start(job, request, recommend_groups_prepare, error);
}

/* ---- Batches ---- */

static ins_status batch_start(struct job *job, const struct api_request *request,
                              search_prepare decode, ins_error *error) {
    struct json_value body, searches, each;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK && !field_get(body, "searches", &searches)) {
        status = missing_error(error, "searches");
    }
    if (status == INS_OK && json_type_of(searches) != JSON_ARRAY) {
        status = type_error(error, "searches", "an array of searches", searches);
    }
    if (status != INS_OK) {
        return status;
    }
    status = job_add_parts(job, json_count(searches), error);
    struct json_iterator iterator = json_begin(searches);
    for (size_t i = 0; status == INS_OK && i < job->part_count && json_next(&iterator, &each);
         i++) {
        status = json_type_of(each) == JSON_OBJECT ? decode(job->parts[i], each, error)
                                                   : type_error(error, "searches",
                                                                "an array of "
                                                                "objects",
                                                                each);
    }
    if (status == INS_OK) {
        job_start_parts(job);
    }
    return status;
}

ins_status points_query_batch(struct job *job, const struct api_request *request,
                              ins_error *error) {
    return batch_start(job, request, query_prepare, error);
}

ins_status points_search_batch(struct job *job, const struct api_request *request,
                               ins_error *error) {
    return batch_start(job, request, legacy_search_prepare, error);
}

ins_status points_recommend_batch(struct job *job, const struct api_request *request,
                                  ins_error *error) {
    return batch_start(job, request, legacy_recommend_prepare, error);
}

ins_status points_discover_batch(struct job *job, const struct api_request *request,
                                 ins_error *error) {
    return batch_start(job, request, legacy_discover_prepare, error);
}
