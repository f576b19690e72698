/* Examples of a ranking: fetched by id, normalised as stored vectors are, averaged. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/points_rank.h"

static bool needs_vectors(ins_rank_kind kind) {
    return kind < INS_RANK_ORDER;
}

static size_t example_count(const ins_rank_request *request) {
    return request->positive_count + request->negative_count + (request->target != NULL);
}

/* In the order of self->vectors: positive, negative, target. */
static const ins_example *example_at(const ins_rank_request *request, size_t index) {
    if (index < request->positive_count) {
        return &request->positive[index];
    }
    index -= request->positive_count;
    return index < request->negative_count ? &request->negative[index] : request->target;
}

static ins_status check_counts(const ins_rank_request *request, ins_error *error) {
    bool pairs = request->kind == INS_RANK_DISCOVER || request->kind == INS_RANK_CONTEXT;
    bool wants_target = request->kind == INS_RANK_DISCOVER;
    if (example_count(request) > INS_RANK_EXAMPLES_MAX) {
        return ins_fail(error, INS_INVALID, "%zu examples, the limit is %u", example_count(request),
                        INS_RANK_EXAMPLES_MAX);
    }
    if (pairs && request->positive_count != request->negative_count) {
        return ins_fail(error, INS_INVALID, "context: every pair has a positive and a negative");
    }
    if (wants_target && request->target == NULL) {
        return ins_fail(error, INS_INVALID, "discover: there is no target");
    }
    if ((request->kind == INS_RANK_AVERAGE || request->kind == INS_RANK_NEAREST) &&
        request->positive_count == 0) {
        return ins_fail(error, INS_INVALID,
                        "At least one positive vector ID required with this strategy");
    }
    if ((request->kind == INS_RANK_BEST || request->kind == INS_RANK_SUM) &&
        request->positive_count + request->negative_count == 0) {
        return ins_fail(error, INS_INVALID, "No positive or negative vector or id was given");
    }
    return INS_OK;
}

static ins_status check_vector(const struct points_rank *self, const ins_example *example,
                               ins_error *error) {
    uint32_t numbers;
    size_t at;
    ins_status status =
        vector_check_dim(self->vector, example->dim, example->rows, &numbers, error);
    return status != INS_OK || kernel_all_finite_f32(example->vector, numbers, &at)
               ? status
               : ins_fail(error, INS_INVALID, "Vector value error: example[%zu] is not finite", at);
}

static void want_ids(struct points_rank *self) {
    const ins_rank_request *request = self->request;
    self->inner_request = (ins_points_request){.collection = request->points.collection,
                                               .shard_keys = request->points.shard_keys,
                                               .shard_key_count = request->points.shard_key_count,
                                               .shard_fallback = request->points.shard_fallback,
                                               .ids = self->ids,
                                               .id_count = self->id_count,
                                               .with_vector = true,
                                               .vector_names = &self->vector->name,
                                               .vector_name_count = 1};
}

ins_status rank_examples_begin(struct points_rank *self, ins_error *error) {
    const ins_rank_request *request = self->request;
    struct pool *pool = &self->operation.pool;
    if (!needs_vectors(request->kind)) {
        return INS_OK;
    }
    ins_text name = request->points.vector_name;
    self->vector = schema_vector_named(self->schema, name);
    if (self->vector == NULL) {
        return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s", (int)name.size,
                        name.size == 0 ? "" : name.data);
    }
    ins_status status = check_counts(request, error);
    size_t count = example_count(request);
    if (status == INS_OK) {
        self->ids = pool_alloc(pool, (count + 1) * sizeof(ins_id));
        self->vectors = pool_alloc_zero(pool, (count + 1) * sizeof(*self->vectors));
        status = self->ids == NULL || self->vectors == NULL
                     ? ins_fail(error, INS_FULL, "no memory for %zu examples", count)
                     : INS_OK;
    }
    for (size_t i = 0; i < count && status == INS_OK; i++) {
        const ins_example *example = example_at(request, i);
        if (example->by_id) {
            INS_ASSERT(self->ids != NULL);
            self->ids[self->id_count++] = example->id;
        } else {
            status = check_vector(self, example, error);
        }
    }
    if (status == INS_OK && self->id_count > 0) {
        want_ids(self);
    }
    return status;
}

/* ---- When those by id have come ---- */

static ins_status absent(const ins_id *id, const ins_point *point, ins_error *error) {
    char text[ID_TEXT_MAX];
    (void)id_format(id, text);
    return point == NULL
               ? ins_fail(error, INS_NOT_FOUND, "No point with id %s found", text)
               : ins_fail(error, INS_NOT_FOUND, "Point %s does not have the vector", text);
}

/* The answer has the points in the order of the ids, without those that are not there. */
static ins_status take_example(struct points_rank *self, const ins_example *example, size_t *at,
                               struct score_vector *out, ins_error *error) {
    if (!example->by_id) {
        *out = (struct score_vector){example->vector, example->rows > 0 ? example->rows : 1};
        return INS_OK;
    }
    const ins_points *got = &self->inner.points;
    const ins_point *point = *at < got->count ? &got->items[*at] : NULL;
    if (point == NULL || !id_equal(&point->id, &example->id)) {
        return absent(&example->id, NULL, error);
    }
    (*at)++;
    ins_vector got_vector = {.values = point->vector, .dim = point->dim, .rows = point->rows};
    if (point->vector == NULL && point->vector_count > 0) {
        got_vector = point->vectors[0];
    }
    *out = (struct score_vector){got_vector.values, got_vector.rows > 0 ? got_vector.rows : 1};
    return out->values == NULL || got_vector.dim != self->vector->shape.dim
               ? absent(&example->id, point, error)
               : INS_OK;
}

static void average(const struct points_rank *self, float *out) {
    const ins_rank_request *request = self->request;
    const struct score_vector *negative = self->vectors + request->positive_count;
    for (uint32_t d = 0; d < self->vector->shape.dim; d++) {
        double mean = 0, away = 0;
        for (size_t i = 0; i < request->positive_count; i++) {
            mean += (double)self->vectors[i].values[d];
        }
        for (size_t i = 0; i < request->negative_count; i++) {
            away += (double)negative[i].values[d];
        }
        mean /= (double)request->positive_count;
        if (request->negative_count > 0) {
            mean += mean - away / (double)request->negative_count;
        }
        out[d] = (float)mean;
    }
}

/* Of multivectors: all rows of the positive examples, and those of the negative turned round. */
static void gather(const struct points_rank *self, float *out) {
    const ins_rank_request *request = self->request;
    uint32_t dim = self->vector->shape.dim;
    for (size_t i = 0; i < request->positive_count + request->negative_count; i++) {
        const struct score_vector *example = &self->vectors[i];
        float sign = i < request->positive_count ? 1.0F : -1.0F;
        for (size_t at = 0; at < (size_t)example->rows * dim; at++) {
            *out++ = sign * example->values[at];
        }
    }
}

/* A copy as stored vectors are; values NULL when memory is out. */
static struct score_vector as_stored(struct points_rank *self, const float *values, uint32_t rows) {
    struct pool *pool = &self->operation.pool;
    const struct vector_shape *shape = &self->vector->shape;
    size_t dim = shape->dim;
    float *copy = pool_alloc_aligned(pool, rows * dim * sizeof(float), 64);
    void *stored = pool_alloc(pool, vector_room(shape));
    if (copy == NULL || stored == NULL) {
        return (struct score_vector){NULL, 0};
    }
    for (uint32_t i = 0; i < rows; i++) {
        vector_store(shape, self->vector->distance, values + i * dim, stored);
        vector_load(shape, stored, copy + i * dim);
    }
    score_direct(self->vector, copy, rows);
    return (struct score_vector){copy, rows};
}

/* The examples as one query. */
static ins_status keep_one(struct points_rank *self, ins_error *error) {
    bool multi = self->vector->shape.multi != 0;
    uint64_t rows = multi ? self->scorer.rows : 1;
    uint64_t numbers = rows * self->vector->shape.dim;
    float *values = numbers > INS_MULTI_NUMBERS_MAX
                        ? NULL
                        : pool_alloc_aligned(&self->operation.pool, numbers * sizeof(float), 64);
    if (values != NULL) {
        (multi ? gather : average)(self, values);
        self->scorer.target = as_stored(self, values, (uint32_t)rows);
        self->scorer.rows = rows;
    }
    return self->scorer.target.values != NULL
               ? INS_OK
               : ins_fail(error, INS_FULL, "no memory for examples of %llu numbers together",
                          (unsigned long long)numbers);
}

static ins_status keep_vectors(struct points_rank *self, ins_error *error) {
    const ins_rank_request *request = self->request;
    size_t count = example_count(request);
    for (size_t i = 0; i < count; i++) {
        self->scorer.rows += self->vectors[i].rows;
    }
    if (request->kind == INS_RANK_AVERAGE || request->kind == INS_RANK_NEAREST) {
        return keep_one(self, error);
    }
    for (size_t i = 0; i < count; i++) {
        self->vectors[i] = as_stored(self, self->vectors[i].values, self->vectors[i].rows);
        if (self->vectors[i].values == NULL) {
            return ins_fail(error, INS_FULL, "no memory for %zu examples", count);
        }
    }
    if (request->target != NULL) {
        self->scorer.target = self->vectors[count - 1];
    }
    return INS_OK;
}

ins_status rank_examples_end(struct points_rank *self, ins_error *error) {
    const ins_rank_request *request = self->request;
    self->scorer = (struct scorer){.kind = request->kind};
    if (self->vector == NULL) {
        return INS_OK;
    }
    size_t at = 0;
    for (size_t i = 0; i < example_count(request); i++) {
        ins_status status =
            take_example(self, example_at(request, i), &at, &self->vectors[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    flat_init(&self->scorer.flat, kernels_get(), self->vector->distance, INS_FLOAT32,
              self->vector->shape.dim, NULL);
    self->scorer.positive = self->vectors;
    self->scorer.positive_count = (uint32_t)request->positive_count;
    self->scorer.negative = self->vectors + request->positive_count;
    self->scorer.negative_count = (uint32_t)request->negative_count;
    return keep_vectors(self, error);
}
