/* Insula's own: the tenants of a collection as a table. */
#include <time.h>

#include "api/api_private.h"

#define LIMIT_DEFAULT 100u

static void write_members(const ins_tenant *tenant, struct json_writer *writer) {
    json_write_key(writer, "tenant");
    json_write_text(writer, tenant->name);
    write_count(writer, "incarnation", tenant->incarnation);
    write_count(writer, "points_max", tenant->points_max);
    write_count(writer, "memory_rows", tenant->memory_rows);
    write_count(writer, "runs", tenant->runs);
    write_count(writer, "disk_bytes", tenant->disk_bytes);
}

static void encode_tenants(struct job *job, struct json_writer *writer) {
    const ins_call *call = &job->call;
    json_write_begin_object(writer);
    json_write_key(writer, "tenants");
    json_write_begin_array(writer);
    for (size_t i = 0; i < call->tenant_count; i++) {
        json_write_begin_object(writer);
        write_members(&call->tenants[i], writer);
        json_write_end_object(writer);
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
    const ins_tenant *tenant = &job->call.tenants[0];
    json_write_begin_object(writer);
    write_members(tenant, writer);
    json_write_key(writer, "expires_in_s");
    if (tenant->expires) {
        json_write_u64(writer, tenant->expires_in_s);
    } else {
        json_write_null(writer);
    }
    json_write_end_object(writer);
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

static ins_tenants_request named(const struct job *job) {
    return (ins_tenants_request){.collection = job->params[0],
                                 .name = job->params[1],
                                 .incarnation = job->query.incarnation};
}

ins_status tenant_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job->tenants = named(job);
    job_start(job, ins_tenant_get, &job->tenants, encode_tenant);
    return INS_OK;
}

/* With the receipt: GET /insula/erasures/{erasure} says when the bytes are gone. */
void encode_deleted(struct job *job, struct json_writer *writer) {
    const ins_call *call = &job->call;
    json_write_begin_object(writer);
    write_count(writer, "operation_id", call->lsn);
    json_write_key(writer, "status");
    json_write_string(writer, "completed");
    json_write_key(writer, "receipt");
    json_write_begin_object(writer);
    write_count(writer, "erasure", call->lsn);
    json_write_key(writer, "incarnation");
    if (call->tenants[0].incarnation == 0) {
        json_write_null(writer); /* no point had that value */
    } else {
        json_write_u64(writer, call->tenants[0].incarnation);
    }
    write_count(writer, "time", (uint64_t)time(NULL));
    json_write_end_object(writer);
    json_write_end_object(writer);
}

ins_status tenant_delete(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job->tenants = named(job);
    job_start(job, ins_tenant_delete, &job->tenants, encode_deleted);
    return INS_OK;
}

/* {"to": text} */
ins_status tenant_rename(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    ins_tenants_request tenants = named(job);
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

/* ---- Receipts ---- */

ins_status erasure_begin(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job_start(job, ins_erase, NULL, encode_true);
    return INS_OK;
}

static void encode_erasure(struct job *job, struct json_writer *writer) {
    const ins_call *call = &job->call;
    json_write_begin_object(writer);
    write_count(writer, "erasure", job->erasure.lsn);
    json_write_key(writer, "status");
    json_write_string(writer, call->found ? "done" : "pending");
    write_count(writer, "erased_up_to", call->lsn);
    write_count(writer, "deadline_s", call->count);
    json_write_end_object(writer);
}

ins_status erasure_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_text text = job->params[0];
    if (!url_number(text, &job->erasure.lsn)) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: erasure: `%.*s` is not the number of an operation",
                        (int)(text.size < 64 ? text.size : 64), text.data);
    }
    job_start(job, ins_erasure_get, &job->erasure, encode_erasure);
    return INS_OK;
}
