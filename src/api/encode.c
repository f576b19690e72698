/* Results of operations, in Qdrant's shapes. */
#include "api/api_private.h"

void encode_true(struct job *job, struct json_writer *writer) {
    (void)job;
    json_write_bool(writer, true);
}

void encode_found(struct job *job, struct json_writer *writer) {
    json_write_bool(writer, job->call.found);
}

void encode_exists(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "exists");
    json_write_bool(writer, job->call.found);
    json_write_end_object(writer);
}

void encode_names(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "collections");
    json_write_begin_array(writer);
    for (size_t i = 0; i < job->call.name_count; i++) {
        json_write_begin_object(writer);
        json_write_key(writer, "name");
        json_write_text(writer, job->call.names[i]);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
    json_write_end_object(writer);
}

static void encode_lsn(const struct job *job, uint64_t lsn, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "operation_id");
    json_write_u64(writer, lsn);
    json_write_key(writer, "status");
    json_write_string(writer, job->query.wait ? "completed" : "acknowledged");
    json_write_end_object(writer);
}

void encode_update(struct job *job, struct json_writer *writer) {
    encode_lsn(job, job->call.lsn, writer);
}

void encode_updates(struct job *job, struct json_writer *writer) {
    json_write_begin_array(writer);
    for (uint64_t i = 0; i < job->call.count; i++) {
        encode_lsn(job, job->call.lsns[i], writer);
    }
    json_write_end_array(writer);
}

void encode_count(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "count");
    json_write_u64(writer, job->call.count);
    json_write_end_object(writer);
}

/* An array when there is the unnamed vector alone, else an object by names. */
static void encode_vectors(const ins_point *point, struct json_writer *writer) {
    if (point->vector != NULL && point->vector_count == 0) {
        json_write_floats(writer, point->vector, point->dim);
        return;
    }
    json_write_begin_object(writer);
    if (point->vector != NULL) {
        json_write_key(writer, "");
        json_write_floats(writer, point->vector, point->dim);
    }
    for (uint32_t i = 0; i < point->vector_count; i++) {
        json_write_key_text(writer, point->vectors[i].name);
        json_write_floats(writer, point->vectors[i].values, point->vectors[i].dim);
    }
    json_write_end_object(writer);
}

/* Payload and vector as asked for; a point without payload shows an empty object. */
static void encode_point_rest(const struct job *job, const ins_point *point,
                              struct json_writer *writer) {
    if (job->points.payload.kind != INS_SELECT_NONE) {
        static const ins_text empty = {"{}", 2};
        json_write_key(writer, "payload");
        json_write_value(writer, point->payload.data == NULL ? empty : point->payload);
    }
    if (job->points.with_vector) {
        json_write_key(writer, "vector");
        encode_vectors(point, writer);
    }
}

static void encode_point(const struct job *job, const ins_point *point,
                         struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "id");
    json_write_id(writer, &point->id);
    encode_point_rest(job, point, writer);
    json_write_end_object(writer);
}

void encode_record(struct job *job, struct json_writer *writer) {
    encode_point(job, &job->call.points.items[0], writer);
}

void encode_records(struct job *job, struct json_writer *writer) {
    json_write_begin_array(writer);
    for (size_t i = 0; i < job->call.points.count; i++) {
        encode_point(job, &job->call.points.items[i], writer);
    }
    json_write_end_array(writer);
}

void encode_scroll(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "points");
    encode_records(job, writer);
    json_write_key(writer, "next_page_offset");
    if (job->call.points.has_next) {
        json_write_id(writer, &job->call.points.next);
    } else {
        json_write_null(writer);
    }
    json_write_end_object(writer);
}

void encode_hits(struct job *job, struct json_writer *writer) {
    json_write_begin_array(writer);
    for (size_t i = job->skip; i < job->call.points.count; i++) {
        const ins_point *point = &job->call.points.items[i];
        json_write_begin_object(writer);
        json_write_key(writer, "id");
        json_write_id(writer, &point->id);
        json_write_key(writer, "version");
        json_write_u64(writer, point->version);
        json_write_key(writer, "score");
        json_write_float(writer, point->score);
        encode_point_rest(job, point, writer);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
}

void encode_query(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "points");
    encode_hits(job, writer);
    json_write_end_object(writer);
}
