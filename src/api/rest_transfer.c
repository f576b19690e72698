/* Insula's own: a tenant as a file, out and in. */
#include <string.h>

#include "api/api_private.h"

struct export_job {
    ins_export state;
    ins_export_request request;
};

/* As it is; the engine keeps nothing while it is on its way. */
static bool take_piece(struct job *job, struct api_response *out) {
    ins_text bytes = job->call.bytes;
    size_t capacity = API_HEAD_SPACE + bytes.size + API_TAIL_SPACE;
    char *memory = heap_alloc(job->api->heap, capacity);
    if (memory == NULL) {
        return false;
    }
    memcpy(memory + API_HEAD_SPACE, bytes.data, bytes.size);
    out->memory = memory;
    out->capacity = capacity;
    out->body = memory + API_HEAD_SPACE;
    out->size = bytes.size;
    return true;
}

ins_status tenant_export(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    struct export_job *export_job = job_alloc(job, sizeof(*export_job));
    if (export_job == NULL) {
        return job_no_memory(error);
    }
    *export_job = (struct export_job){.request = {.collection = job->params[0],
                                                  .name = job->params[1],
                                                  .incarnation = job->query.incarnation,
                                                  .state = &export_job->state}};
    return job_stream(job, ins_tenant_export, &export_job->request, take_piece, error);
}

static void encode_import(struct job *job, struct json_writer *writer) {
    const ins_call *call = &job->call;
    json_write_begin_object(writer);
    write_count(writer, "points", call->count);
    json_write_key(writer, "tenant");
    if (call->tenants[0].name.data != NULL) {
        json_write_text(writer, call->tenants[0].name);
    } else {
        json_write_null(writer);
    }
    write_count(writer, "incarnation", call->tenants[0].incarnation);
    json_write_end_object(writer);
}

/* The body is a tenant's file, or a part of it, as its bytes are. */
ins_status tenant_import(struct job *job, const struct api_request *request, ins_error *error) {
    ins_import_request *import = job_alloc(job, sizeof(*import));
    if (import == NULL) {
        return job_no_memory(error);
    }
    *import = (ins_import_request){.collection = job->params[0],
                                   .name = job->params[1],
                                   .merge = job->query.merge,
                                   .part = job->query.part,
                                   .incarnation = job->query.incarnation};
    ins_status status = job_copy_text(job, request->body, &import->bytes, error);
    if (status == INS_OK) {
        job_start(job, ins_tenant_import, import, encode_import);
    }
    return status;
}

static void encode_copy(struct job *job, struct json_writer *writer) {
    const ins_call *call = &job->call;
    json_write_begin_object(writer);
    write_count(writer, "operation_id", call->lsn);
    json_write_key(writer, "status");
    json_write_string(writer, call->tenant_count > 0 ? "completed" : "acknowledged");
    if (call->tenant_count > 0) {
        write_count(writer, "points", call->count);
        write_count(writer, "incarnation", call->tenants[0].incarnation);
    }
    json_write_end_object(writer);
}

/* A name, null, or nothing: then *out stays. */
static ins_status name_member(struct job *job, struct json_value body, const char *key,
                              ins_text *out, bool *out_there, ins_error *error) {
    struct json_value value;
    *out_there = json_get(body, key, &value);
    if (!*out_there) {
        return INS_OK;
    }
    *out = (ins_text){0};
    if (json_type_of(value) == JSON_NULL) {
        return INS_OK;
    }
    if (json_type_of(value) != JSON_STRING) {
        return type_error(error, key, "a string or null", value);
    }
    return job_copy_text(job, json_string(value), out, error);
}

/* {"to": text, "collection": text}: one of them at least. `to` absent: of the same name; null: the
 * collection as a whole. */
ins_status tenant_copy(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    bool has_to = false, has_collection = false;
    ins_copy_request *copy = job_alloc(job, sizeof(*copy));
    if (copy == NULL) {
        return job_no_memory(error);
    }
    *copy = (ins_copy_request){.collection = job->params[0],
                               .name = job->params[1],
                               .to = job->params[1],
                               .incarnation = job->query.incarnation,
                               .no_wait = !job->query.wait};
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = name_member(job, body, "to", &copy->to, &has_to, error);
    }
    if (status == INS_OK) {
        status = name_member(job, body, "collection", &copy->to_collection, &has_collection, error);
    }
    if (status == INS_OK && !has_to && !has_collection) {
        status = ins_fail(error, INS_INVALID,
                          "Format error in JSON body: missing field `to` or `collection`");
    }
    if (status == INS_OK) {
        job_start(job, ins_tenant_copy, copy, encode_copy);
    }
    return status;
}
