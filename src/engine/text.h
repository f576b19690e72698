/* Small helpers for texts and for JSON written into a pool. */
#ifndef INS_ENGINE_TEXT_H
#define INS_ENGINE_TEXT_H

#include <string.h>

#include "base/json_text.h"
#include "base/json_write.h"
#include "mem/mem.h"

#define TEXT_MAX (1u << 20) /* a collection's settings and metadata together */

static inline ins_text text_of(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

static inline bool text_equal(ins_text left, ins_text right) {
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static inline bool text_is(ins_text text, const char *string) {
    return text_equal(text, text_of(string));
}

/* NULL data when memory is out. */
static inline ins_text text_copy(struct pool *pool, ins_text text) {
    return (ins_text){.data = pool_copy(pool, text.data, text.size), .size = text.size};
}

/* A JSON writer whose text lies in the pool. */
void text_writer(struct json_writer *writer, struct pool *pool);
/* A member: the text, or null when it is absent. */
void text_write_or_null(struct json_writer *writer, const char *key, ins_text text);
/* What was written; NULL data when memory was out or the text passed TEXT_MAX. */
static inline ins_text text_written(const struct json_writer *writer) {
    return (ins_text){.data = writer->failed ? NULL : writer->data,
                      .size = writer->failed ? 0 : writer->size};
}

/* The JSON object `base` (may be absent) with the members of `patch` in it: null takes a member
 * out; with depth > 1 a member that is an object on both sides is merged alike, else the patch's
 * replaces it. Both were validated. NULL data when memory is out. Cost: every member of one with
 * every member of the other: callers bound the sizes. */
ins_text text_merge(struct pool *pool, ins_text base, ins_text patch, uint32_t depth);

#endif
