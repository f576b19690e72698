#include "tenant/schema.h"

#include <math.h>
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
        if (vector == NULL || memcmp(&vector->shape, &shape, sizeof(shape)) != 0) {
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

/* ---- Rows to be written ---- */

void row_vectors_begin(struct row_vectors *row, const struct schema *schema) {
    row->schema = schema;
    row->count = 0;
    row->bytes = 0;
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        row->items[i] = (struct row_vector){0};
    }
}

static void set_item(struct row_vectors *row, uint32_t index, struct row_vector item) {
    uint32_t bytes = vector_packed_bytes(&row->schema->vectors[index].shape);
    struct row_vector *at = &row->items[index];
    bool had = at->stored != NULL || at->values != NULL;
    bool has = item.stored != NULL || item.values != NULL;
    row->count = row->count + has - had;
    row->bytes = row->bytes + (has ? bytes : 0) - (had ? bytes : 0);
    *at = item;
}

void row_vectors_keep(struct row_vectors *row, const struct vector_ref *old, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_vector *vector = schema_vector_of(row->schema, old[i].shape.id);
        if (vector != NULL) {
            set_item(row, (uint32_t)(vector - row->schema->vectors),
                     (struct row_vector){.stored = old[i].data});
        }
    }
}

void row_vectors_set(struct row_vectors *row, const struct schema_vector *vector,
                     const float *values) {
    set_item(row, (uint32_t)(vector - row->schema->vectors), (struct row_vector){.values = values});
}

static ins_status take_one(struct row_vectors *row, ins_text name, const float *values,
                           uint32_t dim, ins_error *error) {
    const struct schema_vector *vector = schema_vector_named(row->schema, name);
    if (vector == NULL) {
        return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s", (int)name.size,
                        name.size == 0 ? "" : name.data);
    }
    if (dim != vector->shape.dim) {
        return ins_fail(error, INS_INVALID, "Vector dimension error: expected dim: %u, got %u",
                        vector->shape.dim, dim);
    }
    row_vectors_set(row, vector, values);
    return INS_OK;
}

ins_status row_vectors_take(struct row_vectors *row, const ins_point *point, ins_error *error) {
    ins_status status = INS_OK;
    if (point->vector != NULL) {
        status = take_one(row, (ins_text){0}, point->vector, point->dim, error);
    }
    for (uint32_t i = 0; i < point->vector_count && status == INS_OK; i++) {
        const ins_vector *vector = &point->vectors[i];
        status = take_one(row, vector->name, vector->values, vector->dim, error);
    }
    return status;
}

static ins_status check_values(const struct schema *schema, const ins_id *id, ins_text name,
                               const float *values, uint32_t dim, ins_error *error) {
    size_t at;
    const struct schema_vector *vector = schema_vector_named(schema, name);
    INS_ASSERT(vector != NULL); /* row_vectors_take has seen to it */
    bool finite = kernel_all_finite_f32(values, dim, &at);
    if (finite && vector_fits(&vector->shape, vector->distance, values, &at)) {
        return INS_OK;
    }
    char text[ID_TEXT_MAX];
    (void)id_format(id, text);
    return ins_fail(error, INS_INVALID, "Vector value error: point %s, vector%s%.*s[%zu] is %s",
                    text, name.size == 0 ? "" : ".", (int)name.size,
                    name.size == 0 ? "" : name.data, at,
                    finite              ? "beyond the range of float16"
                    : isnan(values[at]) ? "NaN, every value must be finite"
                                        : "infinite, every value must be finite");
}

ins_status point_vectors_check(const struct schema *schema, const ins_point *point,
                               ins_error *error) {
    ins_status status = INS_OK;
    if (point->vector != NULL) {
        status = check_values(schema, &point->id, (ins_text){0}, point->vector, point->dim, error);
    }
    for (uint32_t i = 0; i < point->vector_count && status == INS_OK; i++) {
        const ins_vector *vector = &point->vectors[i];
        status = check_values(schema, &point->id, vector->name, vector->values, vector->dim, error);
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
        if (item->stored != NULL) {
            memcpy(data, item->stored, vector_bytes(&vector->shape));
        } else if (item->values != NULL) {
            vector_store(&vector->shape, vector->distance, item->values, data);
        } else {
            continue;
        }
        uint32_t bytes = vector_bytes(&vector->shape), room = vector_room(&vector->shape);
        memset(data + bytes, 0, room - bytes);
        shapes[put++] = vector->shape;
        data += room;
    }
    INS_ASSERT(put == row->count);
    INS_ASSERT(data == (uint8_t *)out + row->bytes);
}
