/* Reading the usual bodies in one pass (decode_plain.c, decode_plain_search.c). Functions say false
 * for what they do not expect: the body is parsed then. */
#ifndef INS_API_DECODE_PLAIN_H
#define INS_API_DECODE_PLAIN_H

#include "api/api_private.h"
#include "base/json_read.h"

struct plain {
    struct job *job;
    struct json_cursor cursor;
    bool no_memory; /* why it ended */
};

static inline bool plain_text_is(ins_text text, const char *other, size_t size) {
    return text.size == size && __builtin_memcmp(text.data, other, size) == 0;
}

static inline bool plain_key(struct json_cursor *cursor, ins_text *out) {
    return json_read_plain_string(cursor, out) && json_read_byte(cursor, ':');
}

/* Between two elements: true and *more false behind the last one. */
static inline bool plain_next(struct json_cursor *cursor, char close, bool *more) {
    *more = json_read_byte(cursor, ',');
    return *more || json_read_byte(cursor, close);
}

void *plain_take(struct plain *plain, size_t size, size_t alignment);
/* A copy that lives as long as the job. */
bool plain_keep(struct plain *plain, ins_text text, ins_text *out);
/* An array of numbers, aligned to 64 bytes. */
bool plain_values(struct plain *plain, const float **out, uint32_t *out_dim);

/* The usual upsert, {"points": [...]} of points with id, one vector or named ones, and payload.
 * INS_AGAIN: nothing is decided, the body must be parsed. */
ins_status decode_plain_upsert(struct job *job, ins_text body, ins_points_request *request,
                               ins_error *error);

/* The usual search: the nearest to a vector, which stands under `vector_key`. True: job->points has
 * all of the body but the collection. False: the body must be parsed, and job->cut may have the
 * vector, so that it need not be read again. */
bool decode_plain_search(struct job *job, ins_text body, const char *vector_key);

#endif
