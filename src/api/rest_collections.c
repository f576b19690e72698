/* Collections and their field indexes. */
#include <string.h>

#include "api/api_private.h"

/* Only new names are checked: one that exists must stay reachable. */
ins_status name_length_check(ins_text name, ins_error *error) {
    if (name.size > 0 && name.size <= INS_NAME_BYTES_MAX) {
        return INS_OK;
    }
    return ins_fail(error, INS_UNPROCESSABLE,
                    "Validation error in path parameters: [name: has %zu bytes, must be from 1 to "
                    "%u characters]",
                    name.size, INS_NAME_BYTES_MAX);
}

static ins_status name_check(ins_text name, ins_error *error) {
    static const char forbidden[] = {'<', '>', ':', '"', '/', '\\', '|', '?', '*', '\x1f'};
    for (size_t i = 0; i < sizeof(forbidden); i++) {
        if (memchr(name.data, forbidden[i], name.size) != NULL) {
            return ins_fail(error, INS_UNPROCESSABLE,
                            "Validation error in path parameters: [name: collection name cannot "
                            "contain \"%c\" char]",
                            forbidden[i]);
        }
    }
    return INS_OK;
}

ins_status collections_list(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job_start(job, ins_collection_list, NULL, encode_names);
    return INS_OK;
}

static ins_status collection_start(struct job *job, ins_start start, job_encode encode) {
    job->collection.collection = job->params[0];
    job_start(job, start, &job->collection, encode);
    return INS_OK;
}

ins_status collection_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    return collection_start(job, ins_collection_get, encode_collection_info);
}

ins_status collection_optimizations(struct job *job, const struct api_request *request,
                                    ins_error *error) {
    (void)request;
    return job->query.has_with ? unsupported_error(error, "with")
                               : collection_start(job, ins_collection_get, encode_optimizations);
}

ins_status collection_cluster(struct job *job, const struct api_request *request,
                              ins_error *error) {
    (void)request;
    (void)error;
    job->collection.with_shards = true;
    return collection_start(job, ins_collection_get, encode_collection_cluster);
}

ins_status collection_exists(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    return collection_start(job, ins_collection_exists, encode_exists);
}

ins_status collection_delete(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    return collection_start(job, ins_collection_delete, encode_found);
}

ins_status collection_create(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = name_check(job->params[0], error);
    if (status == INS_OK) {
        status = body_parse(job, request, &body, error);
    }
    if (status == INS_OK) {
        status = decode_collection(job, body, error);
    }
    return status == INS_OK ? collection_start(job, ins_collection_create, encode_true) : status;
}

ins_status collection_update(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_collection_update(job, body, error);
    }
    return status == INS_OK ? collection_start(job, ins_collection_update, encode_true) : status;
}

ins_status vector_create(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_vector_params(job, body, job->params[1], error);
    }
    return status == INS_OK ? collection_start(job, ins_vector_create, encode_update) : status;
}

ins_status vector_delete(struct job *job, const struct api_request *request, ins_error *error) {
    ins_vector_params *params = job_alloc(job, sizeof(*params));
    (void)request;
    if (params == NULL) {
        return job_no_memory(error);
    }
    *params = (ins_vector_params){.name = job->params[1]};
    job->collection.vectors = params;
    job->collection.vector_count = 1;
    return collection_start(job, ins_vector_delete, encode_update);
}

ins_status index_create(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = decode_index(job, body, error);
    }
    return status == INS_OK ? collection_start(job, ins_index_create, encode_update) : status;
}

ins_status index_delete(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job->collection.field = job->params[1];
    return collection_start(job, ins_index_delete, encode_update);
}
