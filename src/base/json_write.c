/* Writing JSON. One flag says whether the next value needs a comma: it is false behind an opening
 * bracket or a key and true behind a value, so that no stack of levels is kept. */
#include "base/json_write.h"

#include <string.h>

#include "base/assert.h"
#include "base/digits.h"
#include "base/id.h"

#define WRITER_BYTES_MIN 256u
#define PLAIN_TEXT_MAX 64u

void json_write_init(struct json_writer *writer, size_t max, void *context,
                     void *(*grow)(void *context, void *old, size_t old_capacity,
                                   size_t new_capacity)) {
    INS_ASSERT(grow != NULL);
    *writer = (struct json_writer){.max = max, .context = context, .grow = grow};
}

/* Room for `size` more bytes; false, and failed for good, when there is none. */
static bool reserve_slow(struct json_writer *writer, size_t size) {
    if (writer->failed || size > writer->max - writer->size) {
        writer->failed = true;
        return false;
    }
    size_t needed = writer->size + size;
    size_t doubled = writer->capacity < writer->max / 2 ? writer->capacity * 2 : writer->max;
    size_t capacity = doubled < WRITER_BYTES_MIN ? WRITER_BYTES_MIN : doubled;
    capacity = capacity < needed ? needed : capacity;
    capacity = capacity > writer->max ? writer->max : capacity;
    char *data = writer->grow(writer->context, writer->data, writer->capacity, capacity);
    if (data == NULL) {
        writer->failed = true;
        return false;
    }
    writer->data = data;
    writer->capacity = capacity;
    return true;
}

static inline bool reserve(struct json_writer *writer, size_t size) {
    bool fits = !writer->failed && size <= writer->capacity - writer->size;
    return fits || reserve_slow(writer, size);
}

void json_write_raw(struct json_writer *writer, const char *data, size_t size) {
    if (size != 0 && reserve(writer, size)) {
        memcpy(writer->data + writer->size, data, size);
        writer->size += size;
    }
}

/* Room for `size` bytes and the comma that the next value needs, which is written: where the value
 * goes; NULL when there is none. */
static inline char *value_begin(struct json_writer *writer, size_t size) {
    if (!reserve(writer, size + writer->comma)) {
        return NULL;
    }
    char *at = writer->data + writer->size;
    if (writer->comma) {
        *at++ = ',';
    }
    return at;
}

/* The value, or a part of it, ends before `end`. */
static inline void value_end(struct json_writer *writer, const char *end, bool comma) {
    writer->size = (size_t)(end - writer->data);
    writer->comma = comma;
}

static inline void put_value(struct json_writer *writer, const char *data, size_t size) {
    char *at = value_begin(writer, size);
    if (at != NULL) {
        if (size != 0) {
            memcpy(at, data, size);
        }
        value_end(writer, at + size, true);
    }
}

static inline void open_level(struct json_writer *writer, char bracket) {
    char *at = value_begin(writer, 1);
    if (at != NULL) {
        *at = bracket;
        value_end(writer, at + 1, false);
    }
}

static inline void close_level(struct json_writer *writer, char bracket) {
    writer->comma = false;
    char *at = value_begin(writer, 1);
    if (at != NULL) {
        *at = bracket;
        value_end(writer, at + 1, true);
    }
}

void json_write_begin_object(struct json_writer *writer) {
    open_level(writer, '{');
}

void json_write_end_object(struct json_writer *writer) {
    close_level(writer, '}');
}

void json_write_begin_array(struct json_writer *writer) {
    open_level(writer, '[');
}

void json_write_end_array(struct json_writer *writer) {
    close_level(writer, ']');
}

/* What a byte must be written as: 0 as it is, 'u' as \u00XX, else behind a backslash. */
static char escape_of(unsigned char byte) {
    switch (byte) {
    case '"':
    case '\\':
        return (char)byte;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return byte < 0x20 ? 'u' : '\0';
    }
}

static void put_escape(struct json_writer *writer, unsigned char byte, char escape) {
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', escape, '0', '0', hex[byte >> 4], hex[byte & 15]};
    json_write_raw(writer, text, escape == 'u' ? 6 : 2);
}

/* Texts are mostly short and plain: those are copied byte by byte, with one look at each. */
static bool put_plain(struct json_writer *writer, ins_text text) {
    char *at = text.size > PLAIN_TEXT_MAX ? NULL : value_begin(writer, text.size + 2);
    if (at == NULL) {
        return false;
    }
    *at++ = '"';
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            return false;
        }
        at[i] = (char)byte;
    }
    at[text.size] = '"';
    value_end(writer, at + text.size + 1, true);
    return true;
}

static void put_quoted(struct json_writer *writer, ins_text text) {
    if (put_plain(writer, text)) {
        return;
    }
    put_value(writer, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        char escape = escape_of(byte);
        if (escape != '\0') {
            json_write_raw(writer, text.data + from, i - from);
            put_escape(writer, byte, escape);
            from = i + 1;
        }
    }
    if (from < text.size) {
        json_write_raw(writer, text.data + from, text.size - from);
    }
    json_write_raw(writer, "\"", 1);
}

void json_write_key_sized(struct json_writer *writer, const char *key, size_t size) {
    char *at = value_begin(writer, size + 3);
    if (at != NULL) {
        *at++ = '"';
        memcpy(at, key, size); /* NOLINT(bugprone-not-null-terminated-result): the text goes on */
        at += size;
        memcpy(at, "\":", 2); /* NOLINT(bugprone-not-null-terminated-result) */
        value_end(writer, at + 2, false);
    }
}

void json_write_key_text(struct json_writer *writer, ins_text key) {
    put_quoted(writer, key);
    json_write_raw(writer, ":", 1);
    writer->comma = false;
}

void json_write_null(struct json_writer *writer) {
    put_value(writer, "null", 4);
}

void json_write_bool(struct json_writer *writer, bool value) {
    put_value(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_write_u64(struct json_writer *writer, uint64_t value) {
    char text[DIGITS_TEXT_MAX];
    const char *begin = digits_before(value, text + sizeof(text));
    put_value(writer, begin, (size_t)(text + sizeof(text) - begin));
}

void json_write_i64(struct json_writer *writer, int64_t value) {
    if (value >= 0) {
        json_write_u64(writer, (uint64_t)value);
        return;
    }
    put_value(writer, "-", 1);
    writer->comma = false;
    json_write_u64(writer, 0 - (uint64_t)value);
}

void json_write_float(struct json_writer *writer, float value) {
    char text[JSON_NUMBER_TEXT_MAX];
    put_value(writer, text, json_format_float(value, text));
}

void json_write_double(struct json_writer *writer, double value) {
    char text[JSON_NUMBER_TEXT_MAX];
    put_value(writer, text, json_format_double(value, text));
}

void json_write_text(struct json_writer *writer, ins_text text) {
    put_quoted(writer, text);
}

void json_write_string(struct json_writer *writer, const char *text) {
    json_write_text(writer, (ins_text){text, strlen(text)});
}

void json_write_value(struct json_writer *writer, ins_text json) {
    put_value(writer, json.data, json.size);
}

void json_write_floats(struct json_writer *writer, const float *values, size_t count) {
    json_write_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        json_write_float(writer, values[i]);
    }
    json_write_end_array(writer);
}

void json_write_id(struct json_writer *writer, const ins_id *id) {
    if (!id->is_uuid) {
        json_write_u64(writer, id->low);
        return;
    }
    char text[ID_TEXT_MAX + 2];
    size_t size = id_format(id, text + 1); /* nothing of it needs an escape */
    text[0] = text[size + 1] = '"';
    put_value(writer, text, size + 2);
}
