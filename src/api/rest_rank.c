/* Rankings: recommend, discover, context, order_by and sample, of queries and in their older forms,
 * and facets. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

#define FACET_LIMIT_DEFAULT 10u

static bool text_is(ins_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

void rank_prepare(struct job *job, ins_rank_kind kind, job_encode encode) {
    job->rank.kind = kind;
    job->rank.points = job->points;
    job->unscored = kind == INS_RANK_ORDER || kind == INS_RANK_SAMPLE || kind == INS_RANK_ID;
    job->start = ins_points_rank;
    job->request = &job->rank;
    job->encode = encode;
}

/* ---- Examples ---- */

static ins_status example_decode(struct job *job, struct json_value value, const char *name,
                                 ins_example *out, ins_error *error) {
    *out = (ins_example){0};
    if (json_type_of(value) == JSON_ARRAY) {
        struct decoded_vector vector;
        ins_status status = decode_vector(job, value, name, &vector, error);
        if (status == INS_OK) {
            *out = (ins_example){.vector = vector.values, .dim = vector.dim, .rows = vector.rows};
        }
        return status;
    }
    if (json_type_of(value) == JSON_OBJECT) {
        char named[96];
        (void)snprintf(named, sizeof(named), "%s (sparse or inferred)", name);
        return unsupported_error(error, named);
    }
    out->by_id = true;
    return decode_id(value, name, &out->id, error);
}

static ins_status examples_decode(struct job *job, struct json_value object, const char *key,
                                  const ins_example **out, size_t *out_count, ins_error *error) {
    struct json_value array, value;
    if (!field_get(object, key, &array)) {
        return INS_OK;
    }
    if (json_type_of(array) != JSON_ARRAY) {
        return type_error(error, key, "an array of vectors and point ids", array);
    }
    size_t count = json_count(array);
    if (count > INS_RANK_EXAMPLES_MAX) {
        return range_error(error, key, count, 0, INS_RANK_EXAMPLES_MAX);
    }
    ins_example *examples = job_alloc(job, (count + 1) * sizeof(*examples));
    if (examples == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator iterator = json_begin(array);
    for (size_t i = 0; i < count && json_next(&iterator, &value); i++) {
        ins_status status = example_decode(job, value, key, &examples[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    *out = examples;
    *out_count = count;
    return INS_OK;
}

ins_status recommend_prepare(struct job *job, struct json_value body, ins_error *error) {
    static const struct {
        const char *name;
        ins_rank_kind kind;
    } strategies[] = {{"average_vector", INS_RANK_AVERAGE},
                      {"best_score", INS_RANK_BEST},
                      {"sum_scores", INS_RANK_SUM}};
    struct json_value strategy;
    if (json_type_of(body) != JSON_OBJECT) {
        return type_error(error, "recommend", "an object", body);
    }
    ins_status status = examples_decode(job, body, "positive", &job->rank.positive,
                                        &job->rank.positive_count, error);
    if (status == INS_OK) {
        status = examples_decode(job, body, "negative", &job->rank.negative,
                                 &job->rank.negative_count, error);
    }
    job->rank.kind = INS_RANK_AVERAGE;
    if (status != INS_OK || !field_get(body, "strategy", &strategy)) {
        return status;
    }
    for (size_t i = 0; i < sizeof(strategies) / sizeof(strategies[0]); i++) {
        if (json_type_of(strategy) == JSON_STRING &&
            text_is(json_string(strategy), strategies[i].name)) {
            job->rank.kind = strategies[i].kind;
            return INS_OK;
        }
    }
    return type_error(error, "strategy", "average_vector, best_score or sum_scores", strategy);
}

/* ---- Pairs ---- */

static ins_status pair_decode(struct job *job, struct json_value pair, ins_example *positive,
                              ins_example *negative, ins_error *error) {
    struct json_value value;
    if (json_type_of(pair) != JSON_OBJECT) {
        return type_error(error, "context", "a pair of `positive` and `negative`", pair);
    }
    if (!field_get(pair, "positive", &value)) {
        return missing_error(error, "context.positive");
    }
    ins_status status = example_decode(job, value, "context.positive", positive, error);
    if (status == INS_OK && !field_get(pair, "negative", &value)) {
        status = missing_error(error, "context.negative");
    }
    return status == INS_OK ? example_decode(job, value, "context.negative", negative, error)
                            : status;
}

/* One pair, or an array of them. */
static ins_status context_decode(struct job *job, struct json_value context, ins_error *error) {
    struct json_value pair = context;
    bool many = json_type_of(context) == JSON_ARRAY;
    size_t count = many ? json_count(context) : 1;
    if (count > INS_RANK_EXAMPLES_MAX / 2) {
        return range_error(error, "context", count, 0, INS_RANK_EXAMPLES_MAX / 2);
    }
    ins_example *positive = job_alloc(job, (count + 1) * sizeof(*positive));
    ins_example *negative = job_alloc(job, (count + 1) * sizeof(*negative));
    if (positive == NULL || negative == NULL) {
        return job_no_memory(error);
    }
    struct json_iterator iterator = many ? json_begin(context) : (struct json_iterator){0};
    for (size_t i = 0; i < count && (!many || json_next(&iterator, &pair)); i++) {
        ins_status status = pair_decode(job, pair, &positive[i], &negative[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    job->rank.positive = positive;
    job->rank.negative = negative;
    job->rank.positive_count = job->rank.negative_count = count;
    return INS_OK;
}

/* With a target, without pairs: the nearest to it, by its distance below a sigmoid; without a
 * target: the pairs alone. */
ins_status discover_prepare(struct job *job, struct json_value body, ins_error *error) {
    struct json_value value;
    if (json_type_of(body) != JSON_OBJECT) {
        return type_error(error, "discover", "an object", body);
    }
    job->rank.kind = INS_RANK_CONTEXT;
    if (field_get(body, "target", &value)) {
        ins_example *target = job_alloc(job, sizeof(*target));
        if (target == NULL) {
            return job_no_memory(error);
        }
        ins_status status = example_decode(job, value, "target", target, error);
        if (status != INS_OK) {
            return status;
        }
        job->rank.kind = INS_RANK_DISCOVER;
        job->rank.target = target;
    }
    if (field_get(body, "context", &value)) {
        return context_decode(job, value, error);
    }
    return job->rank.target != NULL ? INS_OK : missing_error(error, "target");
}

/* ---- Orders ---- */

static ins_status start_decode(struct job *job, struct json_value object, ins_error *error) {
    struct json_value value;
    ins_number *start = &job->rank.start;
    if (!field_get(object, "start_from", &value)) {
        return INS_OK;
    }
    job->rank.has_start = true;
    if (json_type_of(value) == JSON_INTEGER) {
        start->integer = json_integer(value);
        return INS_OK;
    }
    if (json_is_number(value)) {
        start->is_real = true;
        start->real = json_number(value);
        return INS_OK;
    }
    if (json_type_of(value) == JSON_STRING &&
        ins_moment_parse(json_string(value), &start->integer)) {
        return INS_OK;
    }
    return type_error(error, "order_by.start_from", "a number or a moment as RFC 3339 has it",
                      value);
}

/* A key, or {key, direction, start_from}. */
ins_status order_by_decode(struct job *job, struct json_value value, const char *name,
                           ins_error *error) {
    struct json_value key = value, direction;
    bool by_object = json_type_of(value) == JSON_OBJECT;
    if (by_object && !field_get(value, "key", &key)) {
        return missing_error(error, "order_by.key");
    }
    if (json_type_of(key) != JSON_STRING || json_string(key).size == 0) {
        return type_error(error, name, "the path of a payload field", key);
    }
    ins_status status = job_copy_text(job, json_string(key), &job->rank.key, error);
    if (status == INS_OK && by_object && field_get(value, "direction", &direction)) {
        bool text = json_type_of(direction) == JSON_STRING;
        job->rank.descending = text && text_is(json_string(direction), "desc");
        if (!job->rank.descending && !(text && text_is(json_string(direction), "asc"))) {
            return type_error(error, "order_by.direction", "asc or desc", direction);
        }
    }
    job->rank.kind = INS_RANK_ORDER;
    return status == INS_OK && by_object ? start_decode(job, value, error) : status;
}

ins_status rank_query_decode(struct job *job, struct json_value query, bool *out_found,
                             ins_error *error) {
    struct json_value value;
    *out_found = true;
    if (field_get(query, "recommend", &value)) {
        ins_status status = recommend_prepare(job, value, error);
        return status == INS_OK && job->rank.positive_count + job->rank.negative_count == 0
                   ? ins_fail(error, INS_UNPROCESSABLE,
                              "Validation error in JSON body: [query.recommend: needs an example, "
                              "positive or negative]")
                   : status;
    }
    if (field_get(query, "discover", &value)) {
        ins_status status = discover_prepare(job, value, error);
        return status == INS_OK && job->rank.target == NULL
                   ? missing_error(error, "discover.target")
                   : status;
    }
    if (field_get(query, "context", &value)) {
        job->rank.kind = INS_RANK_CONTEXT;
        return context_decode(job, value, error);
    }
    if (field_get(query, "order_by", &value)) {
        return order_by_decode(job, value, "query.order_by", error);
    }
    if (field_get(query, "sample", &value)) {
        job->rank.kind = INS_RANK_SAMPLE;
        return json_type_of(value) == JSON_STRING && text_is(json_string(value), "random")
                   ? INS_OK
                   : type_error(error, "query.sample", "random", value);
    }
    *out_found = false;
    return INS_OK;
}

/* ---- Facets ---- */

ins_status points_facet(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body, key;
    uint64_t limit = FACET_LIMIT_DEFAULT;
    bool exact = true; /* an estimate is allowed to be exact */
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_shard_keys(job, body, &job->points, error);
    }
    if (status == INS_OK && !field_get(body, "key", &key)) {
        status = missing_error(error, "key");
    }
    if (status == INS_OK && (json_type_of(key) != JSON_STRING || json_string(key).size == 0)) {
        status = type_error(error, "key", "the path of a payload field", key);
    }
    if (status == INS_OK) {
        status = job_copy_text(job, json_string(key), &job->rank.key, error);
    }
    if (status == INS_OK) {
        status = field_u64(body, "limit", "limit", 1, INS_RANK_LIMIT_MAX, &limit, error);
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
        job->points.limit = (uint32_t)limit;
        rank_prepare(job, INS_RANK_FACET, encode_facets);
        job_start(job, job->start, job->request, job->encode);
    }
    return status;
}
