#include "tenant/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "kernel/kernel.h"

const struct schema_vector *schema_vector_named(const struct schema *schema, ins_text name) {
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        const struct schema_vector *vector = &schema->vectors[i];
        if (vector->name.size == name.size &&
            (name.size == 0 || memcmp(vector->name.data, name.data, name.size) == 0)) {
            return vector;
        }
    }
    return NULL;
}

const struct schema_vector *schema_vector_of(const struct schema *schema, uint32_t id) {
    uint32_t count = schema == NULL ? 0 : schema->vector_count;
    for (uint32_t i = 0; i < count; i++) {
        if (schema->vectors[i].shape.id == id) {
            return &schema->vectors[i];
        }
    }
    return NULL;
}

bool schema_has_packed(const struct schema *schema, const uint8_t *packed, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct vector_shape shape;
        memcpy(&shape, packed + i * sizeof(shape), sizeof(shape));
        const struct schema_vector *vector = schema_vector_of(schema, shape.id);
        if (vector == NULL || !vector_allows(&vector->shape, &shape)) {
            return false;
        }
    }
    return true;
}

uint32_t schema_packed_bytes_max(const struct schema *schema) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        bytes += vector_packed_bytes(&schema->vectors[i].shape);
    }
    return bytes;
}

uint32_t schema_value_bytes_max(const struct schema *schema, const struct schema_vector *vector) {
    uint32_t multis = 0, left = INS_VECTOR_BYTES_MAX - schema_packed_bytes_max(schema);
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        multis += schema->vectors[i].shape.multi;
    }
    INS_ASSERT(multis > 0 || vector->shape.multi == 0);
    uint32_t share = vector->shape.multi != 0 && multis > 0 ? left / multis & ~3u : 0;
    return vector_room(&vector->shape) + share;
}

/* ---- Rows to be written ---- */

void row_vectors_begin(struct row_vectors *row, const struct schema *schema) {
    row->schema = schema;
    row->count = 0;
    row->bytes = 0;
    row->as_stored = false;
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        row->items[i] = (struct row_vector){0};
    }
}

/* The shape of the item's value. */
static struct vector_shape item_shape(const struct row_vectors *row, uint32_t index,
                                      const struct row_vector *item) {
    struct vector_shape shape = row->schema->vectors[index].shape;
    shape.dim = item->dim;
    return shape;
}

static bool item_has(const struct row_vector *item) {
    return item->stored != NULL || item->values != NULL;
}

static uint32_t item_bytes(const struct row_vectors *row, uint32_t index,
                           const struct row_vector *item) {
    struct vector_shape shape = item_shape(row, index, item);
    return item_has(item) ? vector_packed_bytes(&shape) : 0;
}

static void set_item(struct row_vectors *row, uint32_t index, struct row_vector item) {
    struct row_vector *at = &row->items[index];
    row->count = row->count + item_has(&item) - item_has(at);
    row->bytes = row->bytes + item_bytes(row, index, &item) - item_bytes(row, index, at);
    *at = item;
}

void row_vectors_keep(struct row_vectors *row, const struct vector_ref *old, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_vector *vector = schema_vector_of(row->schema, old[i].shape.id);
        if (vector != NULL) {
            set_item(row, (uint32_t)(vector - row->schema->vectors),
                     (struct row_vector){.stored = old[i].data, .dim = old[i].shape.dim});
        }
    }
}

void row_vectors_set(struct row_vectors *row, const struct schema_vector *vector,
                     const float *values, uint32_t dim) {
    set_item(row, (uint32_t)(vector - row->schema->vectors),
             (struct row_vector){.values = values, .dim = dim});
}

ins_status row_vectors_check(const struct row_vectors *row, ins_error *error) {
    return row->bytes <= INS_VECTOR_BYTES_MAX
               ? INS_OK
               : ins_fail(error, INS_INVALID,
                          "Vector size error: a point would have %u bytes of vectors, the limit "
                          "is %u",
                          row->bytes, INS_VECTOR_BYTES_MAX);
}

/* A name for messages. */
static ins_text shown_name(const struct schema_vector *vector) {
    return vector->name.size == 0 ? (ins_text){"", 0} : vector->name;
}

ins_status vector_check_dim(const struct schema_vector *vector, uint32_t dim, uint32_t rows,
                            uint32_t *out_dim, ins_error *error) {
    ins_text name = shown_name(vector);
    if (rows > 0 && vector->shape.multi == 0) {
        return ins_fail(error, INS_INVALID,
                        "Conversion between multi and regular vectors failed: vector `%.*s` has "
                        "no multivector_config",
                        (int)name.size, name.data);
    }
    if (dim != vector->shape.dim) {
        return ins_fail(error, INS_INVALID, "Vector dimension error: expected dim: %u, got %u",
                        vector->shape.dim, dim);
    }
    uint64_t numbers = (uint64_t)dim * (rows > 0 ? rows : 1);
    if (numbers > INS_MULTI_NUMBERS_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Multivector size error: vector `%.*s` has %u rows of %u, the limit is %u "
                        "numbers",
                        (int)name.size, name.data, rows, dim, INS_MULTI_NUMBERS_MAX);
    }
    *out_dim = (uint32_t)numbers;
    return INS_OK;
}

static ins_status take_one(struct row_vectors *row, ins_text name, const float *values,
                           uint32_t dim, uint32_t rows, ins_error *error) {
    const struct schema_vector *vector = schema_vector_named(row->schema, name);
    uint32_t numbers = 0;
    if (vector == NULL) {
        return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s", (int)name.size,
                        name.size == 0 ? "" : name.data);
    }
    ins_status status = vector_check_dim(vector, dim, rows, &numbers, error);
    if (status != INS_OK) {
        return status;
    }
    uint32_t most = schema_value_bytes_max(row->schema, vector);
    uint32_t bytes = numbers * datatype_bytes(vector->shape.datatype);
    if (bytes > most) {
        return ins_fail(error, INS_INVALID,
                        "Multivector size error: vector `%.*s` has %u rows of %u, which are %u "
                        "bytes; in this collection the limit is %u",
                        (int)name.size, name.size == 0 ? "" : name.data, rows, dim, bytes, most);
    }
    row_vectors_set(row, vector, values, numbers);
    return INS_OK;
}

ins_status row_vectors_take(struct row_vectors *row, const ins_point *point, ins_error *error) {
    ins_status status = INS_OK;
    if (point->vector != NULL) {
        status = take_one(row, (ins_text){0}, point->vector, point->dim, point->rows, error);
    }
    for (uint32_t i = 0; i < point->vector_count && status == INS_OK; i++) {
        const ins_vector *vector = &point->vectors[i];
        status = take_one(row, vector->name, vector->values, vector->dim, vector->rows, error);
    }
    return status;
}

static ins_status check_values(const struct schema *schema, const ins_id *id, ins_text name,
                               const float *values, uint32_t dim, uint32_t rows, ins_error *error) {
    size_t at;
    const struct schema_vector *vector = schema_vector_named(schema, name);
    INS_ASSERT(vector != NULL); /* row_vectors_take has seen to it */
    struct vector_shape shape = vector->shape;
    shape.dim = rows > 0 ? dim * rows : dim;
    bool finite = kernel_all_finite_f32(values, shape.dim, &at);
    if (finite && vector_fits(&shape, vector->distance, values, &at)) {
        return INS_OK;
    }
    char text[ID_TEXT_MAX], row[16] = "";
    (void)id_format(id, text);
    if (rows > 0) {
        (void)snprintf(row, sizeof(row), "[%zu]", at / dim);
    }
    return ins_fail(error, INS_INVALID, "Vector value error: point %s, vector%s%.*s%s[%zu] is %s",
                    text, name.size == 0 ? "" : ".", (int)name.size,
                    name.size == 0 ? "" : name.data, row, at % dim,
                    finite              ? "beyond the range of float16"
                    : isnan(values[at]) ? "NaN, every value must be finite"
                                        : "infinite, every value must be finite");
}

ins_status point_vectors_check(const struct schema *schema, const ins_point *point,
                               ins_error *error) {
    ins_status status = INS_OK;
    if (point->vector != NULL) {
        status = check_values(schema, &point->id, (ins_text){0}, point->vector, point->dim,
                              point->rows, error);
    }
    for (uint32_t i = 0; i < point->vector_count && status == INS_OK; i++) {
        const ins_vector *vector = &point->vectors[i];
        status = check_values(schema, &point->id, vector->name, vector->values, vector->dim,
                              vector->rows, error);
    }
    return status;
}

void row_vectors_put(const struct row_vectors *row, void *out) {
    struct vector_shape *shapes = out;
    uint8_t *data = (uint8_t *)(shapes + row->count);
    uint32_t put = 0;
    for (uint32_t i = 0; i < row->schema->vector_count; i++) {
        const struct schema_vector *vector = &row->schema->vectors[i];
        const struct row_vector *item = &row->items[i];
        struct vector_shape shape = item_shape(row, i, item);
        uint32_t bytes = vector_bytes(&shape), room = vector_room(&shape);
        if (item->stored != NULL) {
            memcpy(data, item->stored, bytes);
        } else if (item->values != NULL) {
            vector_store_rows(&vector->shape, row->as_stored ? INS_DISTANCE_DOT : vector->distance,
                              item->values, vector_row_count(&vector->shape, item->dim), data);
        } else {
            continue;
        }
        memset(data + bytes, 0, room - bytes);
        shapes[put++] = shape;
        data += room;
    }
    INS_ASSERT(put == row->count);
    INS_ASSERT(data == (uint8_t *)out + row->bytes);
}
