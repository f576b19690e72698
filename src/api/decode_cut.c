/* A search's body is mostly one vector. Where that comes first, as clients send it, its numbers are
 * read straight from the text, and what is left to parse is the body without them.
 *
 * Path: {"query": [numbers] ...}, {"query": {"nearest": [numbers] ...} ...} or {"vector": [numbers]
 * ...}: the array becomes an empty one in a copy of the body; who decodes the query finds the
 * numbers in job->cut. Any other body, and one that does not parse without its vector, is parsed as
 * it came: messages speak of what was sent. */
#include <string.h>

#include "api/api_private.h"
#include "base/json_read.h"

static bool read_key(struct json_cursor *cursor, const char *key) {
    ins_text name;
    return json_read_plain_string(cursor, &name) && name.size == strlen(key) &&
           memcmp(name.data, key, name.size) == 0 && json_read_byte(cursor, ':');
}

/* Stands before the array's bracket afterwards. */
static bool find_array(struct json_cursor *cursor, const char *key) {
    bool found = json_read_byte(cursor, '{') && read_key(cursor, key);
    if (found && json_read_byte(cursor, '{')) {
        found = read_key(cursor, "nearest");
    }
    if (found) {
        json_read_space(cursor);
    }
    return found && cursor->at < cursor->end && *cursor->at == '[';
}

static bool read_numbers(struct job *job, struct json_cursor *cursor) {
    size_t count, left = (size_t)(cursor->end - cursor->at);
    const char *close = memchr(cursor->at, ']', left);
    size_t capacity = close == NULL ? 0 : (size_t)(close - cursor->at) / 2 + 1;
    capacity = capacity < INS_DIM_MAX ? capacity : INS_DIM_MAX;
    float *values = job_alloc_aligned(job, capacity * sizeof(*values), 64);
    if (values == NULL || !json_read_floats(cursor, values, capacity, &count)) {
        return false;
    }
    job_trim(job, values + count);
    job->cut = (struct job_cut){values, (uint32_t)count};
    return true;
}

/* The body with an empty array between `from` and `to`. */
static bool copy_rest(struct job *job, ins_text body, size_t from, size_t to, ins_text *out) {
    size_t size = from + 2 + (body.size - to);
    char *copy = job_alloc_aligned(job, size, 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, body.data, from);
    copy[from] = '[';
    copy[from + 1] = ']';
    memcpy(copy + from + 2, body.data + to, body.size - to);
    *out = (ins_text){copy, size};
    return true;
}

static bool cut_vector(struct job *job, const char *key, ins_text body, ins_text *out) {
    struct json_cursor cursor = {body.data, body.data + body.size};
    if (key == NULL || body.size == 0 || !find_array(&cursor, key)) {
        return false;
    }
    size_t from = (size_t)(cursor.at - body.data);
    return read_numbers(job, &cursor) &&
           copy_rest(job, body, from, (size_t)(cursor.at - body.data), out);
}

ins_status body_parse_search(struct job *job, const struct api_request *request, const char *key,
                             struct json_value *out_root, ins_error *error) {
    struct api_request cut = *request;
    struct job_mark mark = job_mark(job);
    if (cut_vector(job, key, request->body, &cut.body) &&
        body_parse(job, &cut, out_root, NULL) == INS_OK) {
        return INS_OK;
    }
    job->cut = (struct job_cut){0};
    job_release(job, mark);
    return body_parse(job, request, out_root, error);
}

bool take_cut_vector(struct job *job, struct json_value array) {
    if (job->cut.values == NULL || json_count(array) != 0) {
        return false;
    }
    job->points.vector = job->cut.values;
    job->points.dim = job->cut.dim;
    return true;
}
