/* Blocks of a tenant's file: points, with their vectors as they are stored. */
#include <math.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/portable.h"
#include "kernel/kernel.h"

enum { KEY_NONE, KEY_TEXT, KEY_NUMBER };

#define POINT_UUID 1u
/* How far from 1 the length of a normalised vector may be: halves round each of its numbers by up
 * to 2^-11. */
#define LENGTH_ERROR 1e-3

/* ---- Writing ---- */

static bool has_key(const struct scope *scope) {
    return scope->collection != NULL;
}

void portable_block_head(struct bytes_writer *writer, const struct scope *scope, uint32_t count) {
    ins_shard_key key = {0};
    uint8_t kind = KEY_NONE;
    if (has_key(scope)) {
        key = scope_shard_key(scope);
        kind = key.text.data != NULL ? KEY_TEXT : KEY_NUMBER;
    }
    bytes_put_u32(writer, count);
    bytes_put_u8(writer, kind);
    bytes_put_u8(writer, 0);
    bytes_put_u16(writer, (uint16_t)key.text.size);
    bytes_put_u64(writer, key.number);
    if (kind == KEY_TEXT) {
        bytes_put(writer, key.text.data, key.text.size);
    }
}

void portable_point(struct bytes_writer *writer, const struct schema *schema, const ins_id *id,
                    const struct vector_ref *refs, uint32_t count, ins_text payload) {
    bytes_put_u8(writer, id->is_uuid ? POINT_UUID : 0);
    bytes_put_u8(writer, 0);
    bytes_put_u16(writer, (uint16_t)count);
    bytes_put_u32(writer, (uint32_t)payload.size);
    bytes_put_u64(writer, id->high);
    bytes_put_u64(writer, id->low);
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_vector *vector = schema_vector_of(schema, refs[i].shape.id);
        INS_ASSERT(vector != NULL);
        const struct vector_shape *shape = &vector->shape;
        bytes_put_u16(writer, (uint16_t)(vector - schema->vectors));
        bytes_put_u16(writer, 0);
        bytes_put_u32(writer, shape->multi != 0 ? vector_row_count(shape, refs[i].shape.dim) : 0);
        bytes_put(writer, refs[i].data, vector_bytes(&refs[i].shape));
    }
    if (payload.size > 0) {
        bytes_put(writer, payload.data, payload.size);
    }
}

/* ---- Reading ---- */

static ins_status damaged(const struct portable_block *block, const char *what, ins_error *error) {
    return ins_fail(error, INS_INVALID, "tenant file: block %u, point %u of %u: %s", block->number,
                    block->next, block->count, what);
}

ins_status portable_block_begin(struct portable_block *block, const struct portable_head *head,
                                uint32_t number, struct slice body, ins_error *error) {
    *block = (struct portable_block){
        .head = head, .reader = {.data = body.data, .size = body.size}, .number = number};
    struct bytes_reader *reader = &block->reader;
    block->count = bytes_take_u32(reader);
    uint8_t kind = bytes_take_u8(reader);
    bool zero = bytes_take_u8(reader) == 0;
    uint16_t text_size = bytes_take_u16(reader);
    uint64_t key_number = bytes_take_u64(reader);
    const uint8_t *text = bytes_take(reader, text_size);
    bool fits = kind == KEY_TEXT
                    ? text_size > 0 && text_size <= INS_NAME_BYTES_MAX && key_number == 0
                    : text_size == 0 && (kind == KEY_NUMBER || key_number == 0);
    if (reader->short_read || !zero || kind > KEY_NUMBER || !fits) {
        return ins_fail(error, INS_INVALID, "tenant file: block %u: its shard key is damaged",
                        number);
    }
    block->has_key = kind != KEY_NONE;
    if (kind == KEY_TEXT) {
        block->key.text = (ins_text){(const char *)text, text_size};
    }
    block->key.number = key_number;
    return INS_OK;
}

/* Numbers of a cosine's float rows are stored normalised, or all zero. */
static bool is_normalised(const struct portable_vector *vector, const float *values,
                          uint32_t rows) {
    if (vector->distance != INS_DISTANCE_COSINE || vector->shape.datatype == INS_UINT8) {
        return true;
    }
    for (uint32_t row = 0; row < rows; row++) {
        double sum = 0;
        for (uint32_t i = 0; i < vector->shape.dim; i++) {
            double value = (double)values[(size_t)row * vector->shape.dim + i];
            sum += value * value;
        }
        if (sum != 0 && !(fabs(sqrt(sum) - 1) <= LENGTH_ERROR)) {
            return false;
        }
    }
    return true;
}

static ins_status take_vector(struct portable_block *block, struct pool *pool, uint64_t *seen,
                              ins_vector *out, ins_error *error) {
    struct bytes_reader *reader = &block->reader;
    uint16_t index = bytes_take_u16(reader);
    bool zero = bytes_take_u16(reader) == 0;
    uint32_t rows = bytes_take_u32(reader);
    if (reader->short_read || !zero || index >= block->head->vector_count ||
        (*seen >> index & 1) != 0) {
        return damaged(block, "it has a vector that the file's head does not have", error);
    }
    *seen |= (uint64_t)1 << index;
    const struct portable_vector *vector = &block->head->vectors[index];
    uint32_t dim = vector->shape.dim, row_count = vector->shape.multi != 0 ? rows : 1;
    if ((vector->shape.multi != 0) != (rows > 0) || row_count > INS_MULTI_NUMBERS_MAX / dim) {
        return damaged(block, "a vector has a wrong number of rows", error);
    }
    struct vector_shape shape = vector->shape;
    shape.dim = dim * row_count;
    const uint8_t *data = bytes_take(reader, vector_bytes(&shape));
    if (data == NULL) {
        return damaged(block, "its vectors do not fit the block", error);
    }
    float *values = pool_alloc_aligned(pool, shape.dim * sizeof(float), 64);
    if (values == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a vector of %u numbers", shape.dim);
    }
    if ((uintptr_t)data % sizeof(float) != 0) { /* values are loaded from where they may lie */
        void *copy = pool_copy(pool, data, vector_bytes(&shape));
        if (copy == NULL) {
            return ins_fail(error, INS_FULL, "no memory for a vector of %u numbers", shape.dim);
        }
        data = copy;
    }
    vector_load(&shape, data, values);
    size_t at;
    if (!kernel_all_finite_f32(values, shape.dim, &at)) {
        return damaged(block, "a vector has a value that is not finite", error);
    }
    if (!is_normalised(vector, values, row_count)) {
        return damaged(block, "a vector of a cosine is not normalised", error);
    }
    *out = (ins_vector){.name = vector->name, .values = values, .dim = dim, .rows = rows};
    return INS_OK;
}

ins_status portable_block_next(struct portable_block *block, struct pool *pool, ins_point *out,
                               ins_error *error) {
    struct bytes_reader *reader = &block->reader;
    INS_ASSERT(block->next < block->count);
    block->next++; /* messages count from 1 */
    uint8_t flags = bytes_take_u8(reader);
    bool zero = bytes_take_u8(reader) == 0;
    uint16_t vector_count = bytes_take_u16(reader);
    uint32_t payload_bytes = bytes_take_u32(reader);
    ins_id id = {.is_uuid = flags == POINT_UUID};
    id.high = bytes_take_u64(reader);
    id.low = bytes_take_u64(reader);
    if (reader->short_read || !zero || flags > POINT_UUID || (!id.is_uuid && id.high != 0) ||
        vector_count > block->head->vector_count || payload_bytes > INS_PAYLOAD_BYTES_MAX) {
        return damaged(block, "its id, or its number of vectors, is damaged", error);
    }
    ins_vector *vectors = pool_alloc(pool, (vector_count + 1u) * sizeof(*vectors));
    if (vectors == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a point's vectors");
    }
    uint64_t seen = 0;
    for (uint32_t i = 0; i < vector_count; i++) {
        ins_status status = take_vector(block, pool, &seen, &vectors[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    const uint8_t *payload = bytes_take(reader, payload_bytes);
    if (payload == NULL && payload_bytes > 0) {
        return damaged(block, "its payload does not fit the block", error);
    }
    *out = (ins_point){.id = id, .vectors = vectors, .vector_count = vector_count};
    out->payload = (ins_text){payload_bytes > 0 ? (const char *)payload : NULL, payload_bytes};
    return INS_OK;
}

ins_status portable_block_end(const struct portable_block *block, ins_error *error) {
    INS_ASSERT(block->next == block->count);
    return block->reader.at == block->reader.size && !block->reader.short_read
               ? INS_OK
               : ins_fail(error, INS_INVALID, "tenant file: block %u: bytes follow its last point",
                          block->number);
}
