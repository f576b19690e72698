/* Insula's own: the tenants of a collection as a table. */
#include "api/api_private.h"

#define LIMIT_DEFAULT 100u

static void write_tenant(const ins_tenant *tenant, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "tenant");
    json_write_text(writer, tenant->name);
    write_count(writer, "points_max", tenant->points_max);
    write_count(writer, "memory_rows", tenant->memory_rows);
    write_count(writer, "runs", tenant->runs);
    write_count(writer, "disk_bytes", tenant->disk_bytes);
    json_write_end_object(writer);
}

static void encode_tenants(struct job *job, struct json_writer *writer) {
    const ins_call *call = &job->call;
    json_write_begin_object(writer);
    json_write_key(writer, "tenants");
    json_write_begin_array(writer);
    for (size_t i = 0; i < call->tenant_count; i++) {
        write_tenant(&call->tenants[i], writer);
    }
    json_write_end_array(writer);
    json_write_key(writer, "next_page_offset");
    if (call->found) {
        json_write_text(writer, call->tenants[call->tenant_count - 1].name);
    } else {
        json_write_null(writer);
    }
    json_write_end_object(writer);
}

static void encode_tenant(struct job *job, struct json_writer *writer) {
    write_tenant(&job->call.tenants[0], writer);
}

ins_status tenants_list(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job->tenants = (ins_tenants_request){.collection = job->params[0], .limit = LIMIT_DEFAULT};
    job_start(job, ins_tenants_list, &job->tenants, encode_tenants);
    return INS_OK;
}

static ins_status field_text(struct job *job, struct json_value body, const char *key,
                             ins_text *out, ins_error *error) {
    struct json_value value;
    if (!field_get(body, key, &value)) {
        return INS_OK;
    }
    if (json_type_of(value) != JSON_STRING) {
        return type_error(error, key, "a string", value);
    }
    return job_copy_text(job, json_string(value), out, error);
}

/* {"prefix": text, "offset": the last name of the page before, "limit": 1 .. 1000} */
ins_status tenants_scroll(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    uint64_t limit = LIMIT_DEFAULT;
    ins_tenants_request tenants = {.collection = job->params[0]};
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = field_text(job, body, "prefix", &tenants.prefix, error);
    }
    if (status == INS_OK) {
        status = field_text(job, body, "offset", &tenants.after, error);
    }
    if (status == INS_OK) {
        status = field_u64(body, "limit", "limit", 1, INS_TENANTS_LIMIT_MAX, &limit, error);
    }
    if (status == INS_OK) {
        tenants.limit = (uint32_t)limit;
        job->tenants = tenants;
        job_start(job, ins_tenants_list, &job->tenants, encode_tenants);
    }
    return status;
}

ins_status tenant_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job->tenants = (ins_tenants_request){.collection = job->params[0], .name = job->params[1]};
    job_start(job, ins_tenant_get, &job->tenants, encode_tenant);
    return INS_OK;
}

ins_status tenant_delete(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job->tenants = (ins_tenants_request){.collection = job->params[0], .name = job->params[1]};
    job_start(job, ins_tenant_delete, &job->tenants, encode_update);
    return INS_OK;
}

/* {"to": text} */
ins_status tenant_rename(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_tenants_request tenants = {.collection = job->params[0], .name = job->params[1]};
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = field_text(job, body, "to", &tenants.to, error);
    }
    if (status == INS_OK && tenants.to.data == NULL) {
        return ins_fail(error, INS_INVALID, "Format error in JSON body: missing field `to`");
    }
    if (status == INS_OK) {
        job->tenants = tenants;
        job_start(job, ins_tenant_rename, &job->tenants, encode_update);
    }
    return status;
}
