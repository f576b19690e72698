/* The usual body of an upsert, read in one pass: no parse of the whole, no tape, no text walked
 * twice.
 *
 * Path: {"points": [{"id", "vector", "payload"}, ...]}, members of a point in any order; a vector
 * is an array of numbers or an object of such. Whatever else comes (another member, an escape in a
 * key, a mistake) ends it: then the body is parsed (decode_upsert), which knows all of it and says
 * what is wrong. So this file has no message, and takes only what that one takes, with the same
 * outcome. */
#include <string.h>

#include "api/decode_plain.h"
#include "base/id.h"

#define POINTS_FIRST 64u
#define PLAIN_VECTORS_MAX 8u /* named ones of a point */
#define LEVELS_OUTSIDE 3u    /* around a payload: the body, its points, the point */

static bool text_is(ins_text text, const char *other) {
    return plain_text_is(text, other, strlen(other));
}

static bool read_id(struct json_cursor *cursor, ins_id *out) {
    ins_text text;
    uint64_t number;
    if (json_read_plain_string(cursor, &text)) {
        return id_parse_uuid(text.data, text.size, out);
    }
    if (!json_read_unsigned(cursor, &number)) {
        return false;
    }
    *out = id_number(number);
    return true;
}

void *plain_take(struct plain *plain, size_t size, size_t alignment) {
    void *memory = job_alloc_aligned(plain->job, size, alignment);
    plain->no_memory = plain->no_memory || memory == NULL;
    return memory;
}

bool plain_keep(struct plain *plain, ins_text text, ins_text *out) {
    plain->no_memory = job_copy_text(plain->job, text, out, NULL) != INS_OK;
    return !plain->no_memory;
}

/* Memory for as many numbers as the text can hold is taken, and what is left given back. */
bool plain_values(struct plain *plain, const float **out, uint32_t *out_dim) {
    size_t left = (size_t)(plain->cursor.end - plain->cursor.at), count;
    const char *close = memchr(plain->cursor.at, ']', left);
    size_t capacity = close == NULL ? 0 : (size_t)(close - plain->cursor.at) / 2 + 1;
    capacity = capacity < INS_DIM_MAX ? capacity : INS_DIM_MAX;
    float *values = plain_take(plain, capacity * sizeof(*values), 64);
    if (values == NULL || !json_read_floats(&plain->cursor, values, capacity, &count)) {
        return false;
    }
    job_trim(plain->job, values + count);
    if (count == 0) {
        return false; /* refused, with words */
    }
    *out = values;
    *out_dim = (uint32_t)count;
    return true;
}

/* Texts of names are shared by points that follow each other. */
static bool keep_name(struct plain *plain, ins_text name, const ins_point *like, uint32_t index,
                      ins_text *out) {
    if (like != NULL && index < like->vector_count) {
        *out = like->vectors[index].name;
        if (out->size == name.size && memcmp(out->data, name.data, name.size) == 0) {
            return true;
        }
    }
    return plain_keep(plain, name, out);
}

static bool name_is_new(const ins_vector *vectors, uint32_t count, ins_text name) {
    for (uint32_t i = 0; i < count; i++) {
        /* cppcheck-suppress uninitvar ; those below `count` are set */
        if (vectors[i].name.size == name.size &&
            memcmp(vectors[i].name.data, name.data, name.size) == 0) {
            return false;
        }
    }
    return name.size > 0;
}

static bool read_named(struct plain *plain, const ins_point *like, ins_point *point) {
    ins_vector vectors[PLAIN_VECTORS_MAX];
    uint32_t count = 0;
    ins_text name;
    for (bool more = true; more; count++) {
        if (count == PLAIN_VECTORS_MAX || !plain_key(&plain->cursor, &name) ||
            !name_is_new(vectors, count, name)) {
            return false;
        }
        ins_vector *vector = &vectors[count];
        *vector = (ins_vector){0};
        if (!keep_name(plain, name, like, count, &vector->name) ||
            !plain_values(plain, &vector->values, &vector->dim) ||
            !plain_next(&plain->cursor, '}', &more)) {
            return false;
        }
    }
    ins_vector *kept = plain_take(plain, count * sizeof(*kept), 16);
    if (kept == NULL) {
        return false;
    }
    memcpy(kept, vectors, count * sizeof(*kept));
    point->vectors = kept;
    point->vector_count = count;
    return true;
}

static bool read_vector(struct plain *plain, const ins_point *like, ins_point *point) {
    return json_read_byte(&plain->cursor, '{') ? read_named(plain, like, point)
                                               : plain_values(plain, &point->vector, &point->dim);
}

static bool read_payload(struct plain *plain, ins_text *out) {
    ins_text text;
    return json_read_object(&plain->cursor, INS_JSON_DEPTH_MAX - LEVELS_OUTSIDE, &text) &&
           text.size <= INS_PAYLOAD_BYTES_MAX && plain_keep(plain, text, out);
}

/* `point` is zeroed; `like` is the one before, or NULL. */
static bool read_point(struct plain *plain, const ins_point *like, ins_point *point) {
    bool id = false, vector = false, payload = false, good = json_read_byte(&plain->cursor, '{');
    ins_text key;
    for (bool more = true; good && more;) {
        if (!plain_key(&plain->cursor, &key)) {
            return false;
        }
        if (!id && text_is(key, "id")) {
            id = good = read_id(&plain->cursor, &point->id);
        } else if (!vector && text_is(key, "vector")) {
            vector = good = read_vector(plain, like, point);
        } else if (!payload && text_is(key, "payload")) {
            payload = good = read_payload(plain, &point->payload);
        } else {
            return false;
        }
        good = good && plain_next(&plain->cursor, '}', &more);
    }
    return good && id && vector;
}

/* An array with room for one point more. */
static ins_point *points_reserve(struct plain *plain, ins_point *points, size_t count,
                                 size_t *capacity) {
    if (count < *capacity) {
        return points;
    }
    size_t wanted = *capacity == 0 ? POINTS_FIRST : 4 * *capacity;
    ins_point *larger = plain_take(plain, wanted * sizeof(*larger), 16);
    if (larger != NULL) {
        if (count > 0) {
            memcpy(larger, points, count * sizeof(*larger));
        }
        *capacity = wanted;
    }
    return larger; /* the old one goes with the job */
}

static bool read_points(struct plain *plain, ins_points_request *request) {
    ins_point *points = NULL;
    size_t count = 0, capacity = 0;
    for (bool more = true; more; count++) {
        points = points_reserve(plain, points, count, &capacity);
        if (points == NULL || count == INS_BATCH_POINTS_MAX) {
            return false;
        }
        points[count] = (ins_point){0};
        if (!read_point(plain, count == 0 ? NULL : &points[count - 1], &points[count]) ||
            !plain_next(&plain->cursor, ']', &more)) {
            return false;
        }
    }
    request->points = points;
    request->point_count = count;
    return true;
}

static bool read_body(struct plain *plain, ins_points_request *request) {
    ins_text key;
    bool good = json_read_byte(&plain->cursor, '{') && plain_key(&plain->cursor, &key) &&
                text_is(key, "points") && json_read_byte(&plain->cursor, '[') &&
                read_points(plain, request) && json_read_byte(&plain->cursor, '}');
    json_read_space(&plain->cursor);
    return good && plain->cursor.at == plain->cursor.end;
}

ins_status decode_plain_upsert(struct job *job, ins_text body, ins_points_request *request,
                               ins_error *error) {
    if (body.size == 0 || !json_utf8_valid(body.data, body.size)) {
        return INS_AGAIN;
    }
    struct plain plain = {.job = job, .cursor = {body.data, body.data + body.size}};
    struct job_mark mark = job_mark(job);
    ins_points_request read = *request;
    if (read_body(&plain, &read)) {
        *request = read;
        return INS_OK;
    }
    job_release(job, mark);
    return plain.no_memory ? job_no_memory(error) : INS_AGAIN;
}
