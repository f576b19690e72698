/* Little-endian loads and stores, slices, and a writer that knows its end. */
#ifndef INS_BASE_BYTES_H
#define INS_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "formats are little-endian, loads are copies");

struct slice {
    const uint8_t *data;
    size_t size;
};

static inline uint16_t load_u16(const void *from) {
    uint16_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t load_u32(const void *from) {
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint64_t load_u64(const void *from) {
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline void store_u16(void *to, uint16_t value) {
    memcpy(to, &value, sizeof(value));
}

static inline void store_u32(void *to, uint32_t value) {
    memcpy(to, &value, sizeof(value));
}

static inline void store_u64(void *to, uint64_t value) {
    memcpy(to, &value, sizeof(value));
}

/* Rounds up to a multiple of `unit`, a power of two. The caller bounds `value`. */
static inline uint64_t align_up(uint64_t value, uint64_t unit) {
    return (value + unit - 1) & ~(unit - 1);
}

/* Appends to a buffer of fixed capacity. Past the end nothing is written and `overflow` is set;
 * `size` goes on counting, so that a first pass over a NULL buffer measures. */
struct bytes_writer {
    uint8_t *data; /* [capacity]; may be NULL with capacity 0 */
    size_t capacity, size;
    bool overflow;
};

static inline void bytes_put(struct bytes_writer *writer, const void *from, size_t size) {
    if (size <= writer->capacity && writer->size <= writer->capacity - size) {
        if (size != 0) {
            memcpy(writer->data + writer->size, from, size);
        }
    } else {
        writer->overflow = true;
    }
    writer->size += size;
}

static inline void bytes_put_u8(struct bytes_writer *writer, uint8_t value) {
    bytes_put(writer, &value, sizeof(value));
}

static inline void bytes_put_u16(struct bytes_writer *writer, uint16_t value) {
    bytes_put(writer, &value, sizeof(value));
}

static inline void bytes_put_u32(struct bytes_writer *writer, uint32_t value) {
    bytes_put(writer, &value, sizeof(value));
}

static inline void bytes_put_u64(struct bytes_writer *writer, uint64_t value) {
    bytes_put(writer, &value, sizeof(value));
}

/* Takes from a slice of untrusted bytes. Past the end gives zeros and sets `short_read`. */
struct bytes_reader {
    const uint8_t *data;
    size_t size, at;
    bool short_read;
};

static inline const uint8_t *bytes_take(struct bytes_reader *reader, size_t size) {
    if (reader->short_read || size > reader->size - reader->at) {
        reader->short_read = true;
        return NULL;
    }
    const uint8_t *from = reader->data + reader->at;
    reader->at += size;
    return from;
}

static inline uint8_t bytes_take_u8(struct bytes_reader *reader) {
    const uint8_t *from = bytes_take(reader, 1);
    return from == NULL ? 0 : *from;
}

static inline uint16_t bytes_take_u16(struct bytes_reader *reader) {
    const uint8_t *from = bytes_take(reader, sizeof(uint16_t));
    return from == NULL ? 0 : load_u16(from);
}

static inline uint32_t bytes_take_u32(struct bytes_reader *reader) {
    const uint8_t *from = bytes_take(reader, sizeof(uint32_t));
    return from == NULL ? 0 : load_u32(from);
}

static inline uint64_t bytes_take_u64(struct bytes_reader *reader) {
    const uint8_t *from = bytes_take(reader, sizeof(uint64_t));
    return from == NULL ? 0 : load_u64(from);
}

#endif
