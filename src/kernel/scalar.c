/* Plain C: the reference that every instruction set is compared with, and what runs elsewhere.
 *
 * Accumulator: 16 x f32, so the compiler may use whatever vectors the target always has; the tail
 * goes to the first ones. */
#include "kernel/kernel_private.h"

#define LANES 16u

enum metric { METRIC_DOT, METRIC_L2 };

static inline float term(enum metric metric, float left, float right) {
    float difference = left - right;
    return metric == METRIC_L2 ? difference * difference : left * right;
}

static inline float sum_block(enum metric metric, const float *left, const float *right,
                              size_t dim) {
    float sums[LANES] = {0};
    size_t at = 0;
    for (; at + LANES <= dim; at += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            sums[lane] += term(metric, left[at + lane], right[at + lane]);
        }
    }
    for (size_t lane = 0; at + lane < dim; lane++) {
        sums[lane] += term(metric, left[at + lane], right[at + lane]);
    }
    for (size_t width = LANES / 2; width != 0; width /= 2) {
        for (size_t lane = 0; lane < width; lane++) {
            sums[lane] += sums[lane + width];
        }
    }
    return sums[0];
}

static inline float sum_one(enum metric metric, const float *left, const float *right, size_t dim) {
    if (dim <= KERNEL_BLOCK) {
        return sum_block(metric, left, right, dim);
    }
    double sum = 0;
    for (size_t at = 0; at < dim; at += KERNEL_BLOCK) {
        size_t size = dim - at < KERNEL_BLOCK ? dim - at : KERNEL_BLOCK;
        sum += (double)sum_block(metric, left + at, right + at, size);
    }
    return (float)sum;
}

static float kernel_dot_f32_scalar(const float *left, const float *right, size_t dim) {
    return sum_one(METRIC_DOT, left, right, dim);
}

static float kernel_l2_f32_scalar(const float *left, const float *right, size_t dim) {
    return sum_one(METRIC_L2, left, right, dim);
}

static void kernel_dot_f32_rows_scalar(const float *query, const float *rows, size_t stride,
                                       size_t count, size_t dim, float *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = sum_one(METRIC_DOT, query, rows + i * stride, dim);
    }
}

static void kernel_l2_f32_rows_scalar(const float *query, const float *rows, size_t stride,
                                      size_t count, size_t dim, float *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = sum_one(METRIC_L2, query, rows + i * stride, dim);
    }
}

static void kernel_dot_f32_gather_scalar(const float *query, const float *const *rows, size_t count,
                                         size_t dim, float *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = sum_one(METRIC_DOT, query, rows[i], dim);
    }
}

static void kernel_l2_f32_gather_scalar(const float *query, const float *const *rows, size_t count,
                                        size_t dim, float *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = sum_one(METRIC_L2, query, rows[i], dim);
    }
}

static uint32_t kernel_select_f32_scalar(const float *values, uint32_t count, float bound,
                                         uint16_t *out) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] <= bound) {
            out[found++] = (uint16_t)i;
        }
    }
    return found;
}

const struct kernels kernels_scalar = {
    .isa = "scalar",
    .dot_f32 = kernel_dot_f32_scalar,
    .l2_f32 = kernel_l2_f32_scalar,
    .dot_f32_rows = kernel_dot_f32_rows_scalar,
    .l2_f32_rows = kernel_l2_f32_rows_scalar,
    .dot_f32_gather = kernel_dot_f32_gather_scalar,
    .l2_f32_gather = kernel_l2_f32_gather_scalar,
    .select_f32 = kernel_select_f32_scalar,
};
