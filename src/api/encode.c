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

static void encode_operation(const uint64_t *lsn, const char *status, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "operation_id");
    if (lsn == NULL) {
        json_write_null(writer);
    } else {
        json_write_u64(writer, *lsn);
    }
    json_write_key(writer, "status");
    json_write_string(writer, status);
    json_write_end_object(writer);
}

static const char *update_status(const struct job *job) {
    return job->query.wait ? "completed" : "acknowledged";
}

void encode_update(struct job *job, struct json_writer *writer) {
    encode_operation(&job->call.lsn, update_status(job), writer);
}

void encode_updates(struct job *job, struct json_writer *writer) {
    json_write_begin_array(writer);
    for (uint64_t i = 0; i < job->call.count; i++) {
        encode_operation(&job->call.lsns[i], update_status(job), writer);
    }
    json_write_end_array(writer);
}

/* Of updates whose end was not seen: they may still take effect. The call is the engine's yet, so
 * nothing of it is read. */
void encode_wait_timeout(struct job *job, struct json_writer *writer) {
    if (job->encode == encode_update || job->encode == encode_deleted) {
        encode_operation(NULL, "wait_timeout", writer);
        return;
    }
    const ins_batch_request *batch = job->request;
    json_write_begin_array(writer);
    for (size_t i = 0; i < batch->update_count; i++) {
        encode_operation(NULL, "wait_timeout", writer);
    }
    json_write_end_array(writer);
}

void encode_count(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "count");
    json_write_u64(writer, job->call.count);
    json_write_end_object(writer);
}

/* A multivector's is an array of rows. */
static void encode_values(const float *values, uint32_t dim, uint32_t rows,
                          struct json_writer *writer) {
    if (rows == 0) {
        json_write_floats(writer, values, dim);
        return;
    }
    json_write_begin_array(writer);
    for (uint32_t i = 0; i < rows; i++) {
        json_write_floats(writer, values + (size_t)i * dim, dim);
    }
    json_write_end_array(writer);
}

/* An array when there is the unnamed vector alone, else an object by names. */
static void encode_vectors(const ins_point *point, struct json_writer *writer) {
    if (point->vector != NULL && point->vector_count == 0) {
        encode_values(point->vector, point->dim, point->rows, writer);
        return;
    }
    json_write_begin_object(writer);
    if (point->vector != NULL) {
        json_write_key(writer, "");
        encode_values(point->vector, point->dim, point->rows, writer);
    }
    for (uint32_t i = 0; i < point->vector_count; i++) {
        json_write_key_text(writer, point->vectors[i].name);
        const ins_vector *vector = &point->vectors[i];
        encode_values(vector->values, vector->dim, vector->rows, writer);
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
    if (point->shard_key != NULL) {
        json_write_key(writer, "shard_key");
        encode_shard_key(point->shard_key, writer);
    }
}

/* The value that it was ordered by. */
static void encode_order(const ins_points *points, size_t index, struct json_writer *writer) {
    if (points->order_values == NULL) {
        return;
    }
    const ins_number *value = &points->order_values[index];
    json_write_key(writer, "order_value");
    if (value->is_real) {
        json_write_double(writer, value->real);
    } else {
        json_write_i64(writer, value->integer);
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
    const ins_points *points = &job->call.points;
    json_write_begin_array(writer);
    for (size_t i = 0; i < points->count; i++) {
        json_write_begin_object(writer);
        json_write_key(writer, "id");
        json_write_id(writer, &points->items[i].id);
        encode_point_rest(job, &points->items[i], writer);
        encode_order(points, i, writer);
        json_write_end_object(writer);
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

static void encode_scored(const struct job *job, const ins_points *points, size_t from,
                          struct json_writer *writer) {
    json_write_begin_array(writer);
    for (size_t i = from; i < points->count; i++) {
        const ins_point *point = &points->items[i];
        json_write_begin_object(writer);
        json_write_key(writer, "id");
        json_write_id(writer, &point->id);
        json_write_key(writer, "version");
        json_write_u64(writer, point->version);
        json_write_key(writer, "score");
        json_write_float(writer, job->unscored ? 1.0F : point->score);
        encode_point_rest(job, point, writer);
        encode_order(points, i, writer);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
}

void encode_hits(struct job *job, struct json_writer *writer) {
    encode_scored(job, &job->call.points, job->skip, writer);
}

void encode_query(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "points");
    encode_hits(job, writer);
    json_write_end_object(writer);
}

static void encode_value(const ins_value *value, struct json_writer *writer) {
    if (value->kind == INS_VALUE_TEXT) {
        json_write_text(writer, value->text);
    } else if (value->kind == INS_VALUE_BOOL) {
        json_write_bool(writer, value->boolean);
    } else {
        json_write_i64(writer, value->integer);
    }
}

void encode_groups(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "groups");
    json_write_begin_array(writer);
    for (size_t i = 0; i < job->call.group_count; i++) {
        const ins_group *group = &job->call.groups[i];
        json_write_begin_object(writer);
        json_write_key(writer, "hits");
        encode_scored(job, &group->points, 0, writer);
        json_write_key(writer, "id");
        encode_value(&group->value, writer);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
    json_write_end_object(writer);
}

void encode_facets(struct job *job, struct json_writer *writer) {
    json_write_begin_object(writer);
    json_write_key(writer, "hits");
    json_write_begin_array(writer);
    for (size_t i = 0; i < job->call.facet_count; i++) {
        const ins_facet *facet = &job->call.facets[i];
        json_write_begin_object(writer);
        json_write_key(writer, "value");
        encode_value(&facet->value, writer);
        json_write_key(writer, "count");
        json_write_u64(writer, facet->count);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
    json_write_end_object(writer);
}
