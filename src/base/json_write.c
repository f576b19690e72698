/* Writing JSON. One flag says whether the next value needs a comma: it is false behind an opening
 * bracket or a key and true behind a value, so that no stack of levels is kept. */
#include "base/json_write.h"

#include <string.h>

#include "base/assert.h"
#include "base/id.h"

#define WRITER_BYTES_MIN 256u

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

static void put_comma(struct json_writer *writer) {
    if (writer->comma) {
        json_write_raw(writer, ",", 1);
    }
}

static void put_value(struct json_writer *writer, const char *data, size_t size) {
    put_comma(writer);
    json_write_raw(writer, data, size);
    writer->comma = true;
}

static void open_level(struct json_writer *writer, const char *bracket) {
    put_comma(writer);
    json_write_raw(writer, bracket, 1);
    writer->comma = false;
}

static void close_level(struct json_writer *writer, const char *bracket) {
    json_write_raw(writer, bracket, 1);
    writer->comma = true;
}

void json_write_begin_object(struct json_writer *writer) {
    open_level(writer, "{");
}

void json_write_end_object(struct json_writer *writer) {
    close_level(writer, "}");
}

void json_write_begin_array(struct json_writer *writer) {
    open_level(writer, "[");
}

void json_write_end_array(struct json_writer *writer) {
    close_level(writer, "]");
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

static void put_quoted(struct json_writer *writer, ins_text text) {
    json_write_raw(writer, "\"", 1);
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

/* Each hit of an answer has some keys, so this asks for room once. */
void json_write_key(struct json_writer *writer, const char *key) {
    size_t size = strlen(key);
    bool comma = writer->comma;
    writer->comma = false;
    if (!reserve(writer, size + 3 + comma)) {
        return;
    }
    char *at = writer->data + writer->size;
    if (comma) {
        *at++ = ',';
    }
    *at++ = '"';
    memcpy(at, key, size); /* NOLINT(bugprone-not-null-terminated-result): the text goes on */
    at += size;
    *at++ = '"';
    *at++ = ':';
    writer->size += size + 3 + comma;
}

void json_write_key_text(struct json_writer *writer, ins_text key) {
    put_comma(writer);
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
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_value(writer, text + at, sizeof(text) - at);
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
    put_comma(writer);
    put_quoted(writer, text);
    writer->comma = true;
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
