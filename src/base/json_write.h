/* Writes JSON (or any bytes) into a chain-free buffer that grows through a caller's allocator up to
 * a maximum. After an overflow nothing more is written and `failed` stays set. */
#ifndef INS_BASE_JSON_WRITE_H
#define INS_BASE_JSON_WRITE_H

#include "base/json.h"

struct json_writer {
    char *data;
    size_t size, capacity, max;
    bool failed;
    /* Gives a larger block holding the same first `size` bytes, or NULL: then failed is set. */
    void *context;
    void *(*grow)(void *context, void *old, size_t old_capacity, size_t new_capacity);
    bool comma; /* a value was written at this level, so the next needs a comma */
};

void json_write_init(struct json_writer *writer, size_t max, void *context,
                     void *(*grow)(void *context, void *old, size_t old_capacity,
                                   size_t new_capacity));
void json_write_raw(struct json_writer *writer, const char *data, size_t size); /* no comma logic */
/* Values; each adds the comma that it needs. */
void json_write_begin_object(struct json_writer *writer);
void json_write_end_object(struct json_writer *writer);
void json_write_begin_array(struct json_writer *writer);
void json_write_end_array(struct json_writer *writer);
void json_write_key_sized(struct json_writer *writer, const char *key, size_t size);
/* Plain ASCII that needs no escapes. Inline, so that the length of a literal is known. */
static inline void json_write_key(struct json_writer *writer, const char *key) {
    json_write_key_sized(writer, key, __builtin_strlen(key));
}
void json_write_key_text(struct json_writer *writer, ins_text key); /* escapes */
void json_write_null(struct json_writer *writer);
void json_write_bool(struct json_writer *writer, bool value);
void json_write_u64(struct json_writer *writer, uint64_t value);
void json_write_i64(struct json_writer *writer, int64_t value);
void json_write_float(struct json_writer *writer, float value);   /* NaN and infinity: null */
void json_write_double(struct json_writer *writer, double value); /* the same */
void json_write_text(struct json_writer *writer, ins_text text);  /* escapes; text is UTF-8 */
void json_write_string(struct json_writer *writer, const char *text);
void json_write_value(struct json_writer *writer, ins_text json); /* valid JSON, verbatim */
void json_write_floats(struct json_writer *writer, const float *values, size_t count);
void json_write_id(struct json_writer *writer, const ins_id *id);

#endif
