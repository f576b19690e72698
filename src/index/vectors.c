#include "index/vectors.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "kernel/kernel.h"

#define DIM_MULTI_MAX INS_VECTOR_BYTES_MAX /* of all rows; a number has a byte or more */

uint32_t vectors_packed_bytes(const struct vector_ref *refs, uint32_t count) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += vector_packed_bytes(&refs[i].shape);
    }
    return bytes;
}

void vectors_pack(const struct vector_ref *refs, uint32_t count, void *out) {
    struct vector_shape *shapes = out;
    uint8_t *data = (uint8_t *)(shapes + count);
    for (uint32_t i = 0; i < count; i++) {
        INS_ASSERT(i == 0 || refs[i - 1].shape.id < refs[i].shape.id);
        shapes[i] = refs[i].shape;
        uint32_t bytes = vector_bytes(&refs[i].shape), room = vector_room(&refs[i].shape);
        memcpy(data, refs[i].data, bytes);
        memset(data + bytes, 0, room - bytes);
        data += room;
    }
}

void vectors_unpack(const void *packed, uint32_t count, struct vector_ref *out) {
    const struct vector_shape *shapes = packed;
    const uint8_t *data = (const uint8_t *)(shapes + count);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (struct vector_ref){.shape = shapes[i], .data = data};
        data += vector_room(&shapes[i]);
    }
}

static bool padding_is_zero(const uint8_t *bytes, uint32_t count) {
    const uint8_t *data = bytes + count * sizeof(struct vector_shape);
    uint8_t any = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct vector_shape shape;
        memcpy(&shape, bytes + i * sizeof(shape), sizeof(shape));
        for (uint32_t at = vector_bytes(&shape); at < vector_room(&shape); at++) {
            any |= data[at];
        }
        data += vector_room(&shape);
    }
    return any == 0;
}

bool vectors_check(const uint8_t *bytes, size_t size, uint32_t count, uint32_t *out_bytes) {
    uint64_t need = (uint64_t)count * sizeof(struct vector_shape);
    uint32_t next_id = 0;
    if (count > INS_VECTORS_MAX || need > size) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct vector_shape shape;
        memcpy(&shape, bytes + i * sizeof(shape), sizeof(shape));
        if (shape.id < next_id || shape.multi > 1 || datatype_bytes(shape.datatype) == 0 ||
            shape.dim == 0 || shape.dim > (shape.multi != 0 ? DIM_MULTI_MAX : INS_DIM_MAX)) {
            return false;
        }
        next_id = shape.id + 1u;
        need += vector_room(&shape);
    }
    if (need > size || need > INS_VECTOR_BYTES_MAX || !padding_is_zero(bytes, count)) {
        return false;
    }
    *out_bytes = (uint32_t)need;
    return true;
}

/* ---- Datatypes ---- */

#define HALF_BEYOND 65520.0f /* from here on the nearest half is infinity */
#define BLOCK 256u           /* values that are normalised and rounded at a time */

void vector_store(const struct vector_shape *shape, ins_distance distance, const float *values,
                  void *out) {
    bool normalise = distance == INS_DISTANCE_COSINE;
    switch ((ins_datatype)shape->datatype) {
    case INS_FLOAT32:
        if (normalise) {
            kernel_normalize_f32(values, shape->dim, out);
        } else {
            memcpy(out, values, vector_bytes(shape));
        }
        break;
    case INS_FLOAT16:
        if (normalise) {
            kernel_normalize_f16(values, shape->dim, out);
        } else {
            kernel_halves_from_floats(values, shape->dim, out);
        }
        break;
    case INS_UINT8:
        kernel_u8_from_f32(values, shape->dim, out);
        break;
    }
}

void vector_store_rows(const struct vector_shape *shape, ins_distance distance, const float *values,
                       uint32_t rows, void *out) {
    for (uint32_t i = 0; i < rows; i++) {
        vector_store(shape, distance, values + (size_t)i * shape->dim,
                     (uint8_t *)out + (size_t)i * vector_bytes(shape));
    }
}

void vector_load(const struct vector_shape *shape, const void *data, float *out) {
    const uint8_t *bytes = data;
    switch ((ins_datatype)shape->datatype) {
    case INS_FLOAT32:
        memcpy(out, data, vector_bytes(shape));
        break;
    case INS_FLOAT16:
        kernel_floats_from_halves(data, shape->dim, out);
        break;
    case INS_UINT8:
        for (uint32_t i = 0; i < shape->dim; i++) {
            out[i] = bytes[i];
        }
        break;
    }
}

bool vector_fits(const struct vector_shape *shape, ins_distance distance, const float *values,
                 size_t *out_at) {
    if (shape->datatype != INS_FLOAT16 || distance == INS_DISTANCE_COSINE) {
        return true;
    }
    for (uint32_t i = 0; i < shape->dim; i++) {
        if (!(fabsf(values[i]) < HALF_BEYOND)) {
            *out_at = i;
            return false;
        }
    }
    return true;
}

void vector_query(const struct vector_shape *shape, ins_distance distance, const float *values,
                  void *out) {
    if (shape->datatype != INS_FLOAT16) {
        vector_store(shape, distance, values, out);
        return;
    }
    float *floats = out; /* rounded as stored ones are */
    if (distance == INS_DISTANCE_COSINE) {
        kernel_normalize_f32(values, shape->dim, floats);
        values = floats;
    }
    for (uint32_t at = 0; at < shape->dim; at += BLOCK) {
        uint16_t halves[BLOCK];
        uint32_t count = shape->dim - at < BLOCK ? shape->dim - at : BLOCK;
        kernel_halves_from_floats(values + at, count, halves);
        kernel_floats_from_halves(halves, count, floats + at);
    }
}

void vector_query_stored(const struct vector_shape *shape, const void *data, void *out) {
    if (shape->datatype == INS_FLOAT16) {
        kernel_floats_from_halves(data, shape->dim, out);
    } else {
        memcpy(out, data, vector_bytes(shape));
    }
}
