#include "index/scan_view.h"

#include <float.h>
#include <math.h>

#include "base/assert.h"

static size_t plane_bytes(uint32_t padded) {
    return CODE1_PLANES * code1_words(padded) * sizeof(uint64_t);
}

size_t scan_query_bytes(uint32_t dim) {
    uint32_t padded = padded_dim(dim);
    return plane_bytes(padded) + (rotation_signs(dim) + padded) * sizeof(float);
}

size_t scan_query_kept_bytes(uint32_t dim) {
    return plane_bytes(padded_dim(dim));
}

bool scan_query_make(const struct scan_head *head, const float *values, float certainty,
                     void *memory, struct scan_query *out) {
    uint32_t dim = head->dim, padded = padded_dim(dim);
    uint64_t *planes = memory;
    float *rotated = (float *)(void *)((char *)memory + plane_bytes(padded));
    struct rotation rotation;
    const struct kernels *kernels = kernels_get();
    bool l2 = head->metric == INDEX_L2;
    rotation_init(&rotation, dim, head->seed, rotated + padded);
    rotation_apply(&rotation, values, l2 ? head->centre : NULL, rotated);
    *out = (struct scan_query){.kernels = kernels, .words = code1_words(padded)};
    code1_query_make(rotated, padded, certainty, planes, &out->code);
    float norm = kernels->dot_f32(rotated, rotated, padded);
    out->shift = l2 ? norm : -kernels->dot_f32(values, head->centre, dim);
    return norm <= CODE1_NORM_MAX && fabsf(out->shift) <= CODE1_NORM_MAX;
}

void scan_query_bounds(const struct scan_query *query, const void *blocks, uint32_t block_count,
                       const uint64_t *allowed, uint32_t first, float *out) {
    code1_bounds_allowed(query->kernels, &query->code, blocks, block_count, query->words, allowed,
                         first, out);
}

/* The signs are not needed any more: their place has the query's bytes. */
_Static_assert(ROTATION_ROUNDS * sizeof(float) * 16 >= 16 + 127, "room for the query's slots");

void scan_query_refine(struct scan_query *query, uint32_t dim, float certainty, void *memory) {
    uint32_t padded = padded_dim(dim);
    const float *rotated = (const float *)(void *)((char *)memory + plane_bytes(padded));
    int8_t *values = (int8_t *)memory + plane_bytes(padded) + padded * sizeof(float);
    code4_bound_query_make(rotated, padded, certainty, values, &query->fine);
}

void scan_query_fine_bounds(const struct scan_query *query, const uint8_t *const *rows,
                            uint32_t count, uint32_t dim, float *out) {
    code4_bounds(query->kernels, &query->fine, rows, count, padded_dim(dim), out);
}

float scan_query_to_beat(const struct scan_query *query, float distance) {
    float bound = distance - query->shift;
    return bound < FLT_MAX ? bound : FLT_MAX;
}
