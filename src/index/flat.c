/* Flat search in batches: distances of up to FLAT_BATCH rows, then the few that pass the bound.
 *
 * The caller's loop: flat_distances -> flat_select with topk_bound() -> topk_offer of what is left.
 * A batch of 256 distances stays in L1, and the bound is read once a batch instead of once a row.
 */
#include <math.h>

#include "base/assert.h"
#include "index/index.h"

_Static_assert(FLAT_BATCH <= 65536, "a position fits 16 bits");

static enum kernel_metric metric_of(ins_distance distance, ins_datatype datatype) {
    switch (distance) {
    case INS_DISTANCE_EUCLID:
        return KERNEL_L2;
    case INS_DISTANCE_MANHATTAN:
        return KERNEL_L1;
    case INS_DISTANCE_COSINE:
        /* Floats were normalised when they were stored; bytes cannot be. */
        return datatype == INS_UINT8 ? KERNEL_COSINE : KERNEL_DOT;
    case INS_DISTANCE_DOT:
        break;
    }
    return KERNEL_DOT;
}

void flat_init(struct flat *flat, const struct kernels *kernels, ins_distance distance,
               ins_datatype datatype, uint32_t dim, const void *query) {
    *flat = (struct flat){.kernels = kernels,
                          .metric = metric_of(distance, datatype),
                          .datatype = datatype,
                          .dim = dim,
                          .query = query};
}

static bool is_negated(const struct flat *flat) {
    return flat->metric == KERNEL_DOT || flat->metric == KERNEL_COSINE;
}

static void negate(const struct flat *flat, float *values, uint32_t count) {
    for (uint32_t i = 0; i < count && is_negated(flat); i++) {
        values[i] = -values[i];
    }
}

void flat_distances(const struct flat *flat, const void *rows, size_t stride, uint32_t count,
                    float *out) {
    const struct kernels *kernels = flat->kernels;
    INS_ASSERT(count <= FLAT_BATCH);
    INS_ASSERT(stride >= flat->dim);
    switch (flat->datatype) {
    case INS_FLOAT32:
        kernels->f32_rows[flat->metric](flat->query, rows, stride, count, flat->dim, out);
        break;
    case INS_FLOAT16:
        kernels->f16_rows[flat->metric](flat->query, rows, stride, count, flat->dim, out);
        break;
    case INS_UINT8:
        kernels->u8_rows[flat->metric](flat->query, rows, stride, count, flat->dim, out);
        break;
    }
    negate(flat, out, count);
}

void flat_distances_gather(const struct flat *flat, const void *const *rows, uint32_t count,
                           float *out) {
    const struct kernels *kernels = flat->kernels;
    INS_ASSERT(count <= FLAT_BATCH);
    switch (flat->datatype) {
    case INS_FLOAT32:
        kernels->f32_gather[flat->metric](flat->query, rows, count, flat->dim, out);
        break;
    case INS_FLOAT16:
        kernels->f16_gather[flat->metric](flat->query, rows, count, flat->dim, out);
        break;
    case INS_UINT8:
        kernels->u8_gather[flat->metric](flat->query, rows, count, flat->dim, out);
        break;
    }
    negate(flat, out, count);
}

float flat_score(const struct flat *flat, float distance) {
    if (flat->metric == KERNEL_L2) {
        return sqrtf(distance);
    }
    return flat->metric == KERNEL_L1 ? distance : -distance;
}

float flat_distance_of(const struct flat *flat, float score) {
    if (flat->metric == KERNEL_L2) {
        return score < 0 ? -1.0F : score * score;
    }
    return flat->metric == KERNEL_L1 ? score : -score;
}

uint32_t flat_select(const float *distances, uint32_t count, float bound, uint16_t *out) {
    INS_ASSERT(count <= FLAT_BATCH);
    return kernels_get()->select_f32(distances, count, bound, out);
}
