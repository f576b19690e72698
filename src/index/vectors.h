/* The vectors of one point, packed into one run of bytes: what memtables and the log hold.
 *
 * An entry of 8 bytes a vector, ascending by id, then the values of each, padded with zeros to a
 * multiple of 4 ("Packed vectors" in docs/FORMATS.md). A point lacks a vector when it has no entry
 * for it, so a row stays readable whatever happens to its collection's schema.
 * A multivector's value is one row of numbers or more, one behind the other, all of the size that
 * its collection's schema has.
 * The in-memory struct of an entry is what is stored. */
#ifndef INS_INDEX_VECTORS_H
#define INS_INDEX_VECTORS_H

#include "base/bytes.h"
#include "base/limits.h"
#include "insula.h"

struct vector_shape {
    uint16_t id; /* in its collection, never reused */
    uint8_t datatype;
    uint8_t multi; /* 0 or 1 */
    uint32_t dim;  /* numbers; of a multivector a schema says those of a row, a value all it has */
};
_Static_assert(sizeof(struct vector_shape) == 8, "as it is stored");

struct vector_ref { /* one vector of a point, wherever it lies; 4-byte aligned */
    struct vector_shape shape;
    const void *data;
};

/* 0 for what is no datatype. */
static inline uint32_t datatype_bytes(uint32_t datatype) {
    static const uint8_t bytes[] = {[INS_FLOAT32] = 4, [INS_FLOAT16] = 2, [INS_UINT8] = 1};
    return datatype < sizeof(bytes) ? bytes[datatype] : 0;
}

static inline uint32_t vector_bytes(const struct vector_shape *shape) {
    return shape->dim * datatype_bytes(shape->datatype);
}

/* With its padding. */
static inline uint32_t vector_room(const struct vector_shape *shape) {
    return (vector_bytes(shape) + 3) & ~3u;
}

/* What a vector of that shape adds to a packed run. */
static inline uint32_t vector_packed_bytes(const struct vector_shape *shape) {
    return (uint32_t)sizeof(*shape) + vector_room(shape);
}

/* `packed` holds `count` vectors and is aligned to 8. NULL when the id is not among them; else
 * *out_dim: the numbers that the value has. */
static inline const void *vectors_find(const void *packed, uint32_t count, uint16_t id,
                                       uint32_t *out_dim) {
    const struct vector_shape *shapes = packed;
    const uint8_t *data = (const uint8_t *)(shapes + count);
    for (uint32_t i = 0; i < count; i++) {
        if (shapes[i].id == id) {
            *out_dim = shapes[i].dim;
            return data;
        }
        data += vector_room(&shapes[i]);
    }
    return NULL;
}

uint32_t vectors_packed_bytes(const struct vector_ref *refs, uint32_t count);
/* `refs` ascend by id. out[vectors_packed_bytes]; aligned to 8, not where the refs lie. */
void vectors_pack(const struct vector_ref *refs, uint32_t count, void *out);
/* The vectors of a packed run: out[count]. */
void vectors_unpack(const void *packed, uint32_t count, struct vector_ref *out);
/* Bytes from outside: true when they begin with `count` vectors, packed as above; *out_bytes. */
bool vectors_check(const uint8_t *bytes, size_t size, uint32_t count, uint32_t *out_bytes);

/* Values of one row to what is stored: normalised when the distance is cosine (bytes: not). The
 * values are finite, and small enough for halves. out[vector_bytes]. */
void vector_store(const struct vector_shape *shape, ins_distance distance, const float *values,
                  void *out);
/* And back: out[dim]. */
void vector_load(const struct vector_shape *shape, const void *data, float *out);
/* True when the type holds every value; else *out_at is the first that it does not. Values are
 * finite; those of a cosine are normalised first. */
bool vector_fits(const struct vector_shape *shape, ins_distance distance, const float *values,
                 size_t *out_at);

/* The rows of a value of the schema's vector `shape` that has `dim` numbers: 1, but of
 * multivectors.
 */
static inline uint32_t vector_row_count(const struct vector_shape *shape, uint32_t dim) {
    return dim / shape->dim;
}
/* True when the schema's vector may have a value of that shape. */
static inline bool vector_allows(const struct vector_shape *shape,
                                 const struct vector_shape *value) {
    return shape->id == value->id && shape->datatype == value->datatype &&
           shape->multi == value->multi && value->dim >= shape->dim &&
           (shape->multi != 0 ? value->dim % shape->dim == 0 : value->dim == shape->dim);
}
/* vector_store of `rows` rows, one behind the other. */
void vector_store_rows(const struct vector_shape *shape, ins_distance distance, const float *values,
                       uint32_t rows, void *out);

/* A query's row, as kernels want it, from values or from a stored vector: out[vector_query_bytes].
 */
static inline uint32_t vector_query_bytes(const struct vector_shape *shape) {
    return shape->dim * (shape->datatype == INS_UINT8 ? 1u : (uint32_t)sizeof(float));
}
void vector_query(const struct vector_shape *shape, ins_distance distance, const float *values,
                  void *out);
void vector_query_stored(const struct vector_shape *shape, const void *data, void *out);

#endif
