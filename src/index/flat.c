/* Flat search in batches: distances of up to FLAT_BATCH rows, then the few that pass the bound.
 *
 * The caller's loop: flat_distances -> flat_select with topk_bound() -> topk_offer of what is left.
 * A batch of 256 distances stays in L1, and the bound is read once a batch instead of once a row.
 */
#include "base/assert.h"
#include "index/index.h"

_Static_assert(FLAT_BATCH <= 65536, "a position fits 16 bits");

static void negate(float *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        values[i] = -values[i];
    }
}

void flat_distances(const struct kernels *kernels, enum index_metric metric, const float *query,
                    const float *rows, size_t stride, uint32_t count, uint32_t dim, float *out) {
    INS_ASSERT(count <= FLAT_BATCH);
    INS_ASSERT(stride >= dim);
    if (metric == INDEX_L2) {
        kernels->l2_f32_rows(query, rows, stride, count, dim, out);
        return;
    }
    kernels->dot_f32_rows(query, rows, stride, count, dim, out);
    negate(out, count);
}

void flat_distances_gather(const struct kernels *kernels, enum index_metric metric,
                           const float *query, const float *const *rows, uint32_t count,
                           uint32_t dim, float *out) {
    INS_ASSERT(count <= FLAT_BATCH);
    if (metric == INDEX_L2) {
        kernels->l2_f32_gather(query, rows, count, dim, out);
        return;
    }
    kernels->dot_f32_gather(query, rows, count, dim, out);
    negate(out, count);
}

uint32_t flat_select(const float *distances, uint32_t count, float bound, uint16_t *out) {
    INS_ASSERT(count <= FLAT_BATCH);
    return kernels_get()->select_f32(distances, count, bound, out);
}
