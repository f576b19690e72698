/* Plain C: the reference that every instruction set is compared with, and what runs elsewhere.
 *
 * Accumulator: 16 x f32, so the compiler may use whatever vectors the target always has; the tail
 * goes to the first ones. */
#include "kernel/kernel_private.h"

#define INLINE inline
#define ISA scalar
#define FORMS_F32
#define LANES 16u

static inline float term(enum kernel_metric metric, float left, float right) {
    float difference = left - right;
    if (metric == KERNEL_L1) {
        return difference < 0 ? -difference : difference;
    }
    return metric == KERNEL_L2 ? difference * difference : left * right;
}

static inline float add_lanes(float sums[LANES]) {
    for (size_t width = LANES / 2; width != 0; width /= 2) {
        for (size_t lane = 0; lane < width; lane++) {
            sums[lane] += sums[lane + width];
        }
    }
    return sums[0];
}

static inline float sum_f32(enum kernel_metric metric, const float *left, const float *right,
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
    return add_lanes(sums);
}

static inline float sum_f16(enum kernel_metric metric, const float *query, const uint16_t *row,
                            size_t dim) {
    float sums[LANES] = {0};
    size_t at = 0;
    for (; at + LANES <= dim; at += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            sums[lane] += term(metric, query[at + lane], half_to_float(row[at + lane]));
        }
    }
    for (size_t lane = 0; at + lane < dim; lane++) {
        sums[lane] += term(metric, query[at + lane], half_to_float(row[at + lane]));
    }
    return add_lanes(sums);
}

static inline uint32_t term_u8(enum kernel_metric metric, uint32_t left, uint32_t right) {
    uint32_t difference = left > right ? left - right : right - left;
    if (metric == KERNEL_L1) {
        return difference;
    }
    return metric == KERNEL_L2 ? difference * difference : left * right;
}

static inline uint32_t sum_u8(enum kernel_metric metric, const uint8_t *query, const uint8_t *row,
                              size_t dim) {
    uint32_t sum = 0;
    for (size_t i = 0; i < dim; i++) {
        sum += term_u8(metric, query[i], row[i]);
    }
    return sum;
}

static inline uint32_t cosine_sums_u8(const uint8_t *query, const uint8_t *row, size_t dim,
                                      uint32_t *out_norm) {
    *out_norm = sum_u8(KERNEL_DOT, row, row, dim);
    return sum_u8(KERNEL_DOT, query, row, dim);
}

#include "kernel/forms.h"

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

static uint32_t kernel_select_kept_f32_scalar(const float *values, uint32_t count, float bound,
                                              const uint64_t *kept, uint16_t *out) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if ((kept[i / 64] >> (i % 64) & 1) != 0 && values[i] <= bound) {
            out[found++] = (uint16_t)i;
        }
    }
    return found;
}

const struct kernels kernels_scalar = {
    .isa = "scalar",
    .select_f32 = kernel_select_f32_scalar,
    .select_kept_f32 = kernel_select_kept_f32_scalar,
    .code4_dots = kernel_code4_dots_scalar,
    .code1_bounds = kernel_code1_bounds_scalar,
    .code_rest = {kernel_rest_dot_scalar, kernel_rest_l2_scalar},
    .code_list = kernel_code_list_scalar,
    .code_list_table = kernel_list_table_scalar,
    .code_list_add = kernel_list_add_scalar,
    .code_rest_values = kernel_rest_values_scalar,
    .hadamard_f32 = kernel_hadamard_f32_scalar,
    KERNEL_FORMS,
};
