/* The forms of kernels that a file of one instruction set makes from its sums. Included after
 *   ISA                                        avx2: the end of the functions' names
 *   INLINE
 *   sum_f16(metric, query, row, dim)           float: of at most KERNEL_BLOCK values
 *   sum_u8(metric, query, row, dim)            uint32_t: exact
 *   cosine_sums_u8(query, row, dim, out_norm)  uint32_t: the dot product, and the row's with itself
 * and, where FORMS_F32 is defined (else the file has its own for f32),
 *   sum_f32(metric, query, row, dim)           float: of at most KERNEL_BLOCK values
 * Rows are read strictly one after the other, which is what hardware prefetchers follow. */
#ifndef INS_KERNEL_FORMS_H
#define INS_KERNEL_FORMS_H

#include <math.h>

#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)

static INLINE float half_sum(enum kernel_metric metric, const float *query, const uint16_t *row,
                             size_t dim) {
    if (dim <= KERNEL_BLOCK) {
        return sum_f16(metric, query, row, dim);
    }
    double sum = 0;
    for (size_t at = 0; at < dim; at += KERNEL_BLOCK) {
        size_t size = dim - at < KERNEL_BLOCK ? dim - at : KERNEL_BLOCK;
        sum += (double)sum_f16(metric, query + at, row + at, size);
    }
    return (float)sum;
}

/* 0 when either has no direction, as Qdrant has it. */
static INLINE float cosine_of(uint32_t dot, uint32_t left_norm, uint32_t right_norm) {
    double norms = (double)left_norm * (double)right_norm;
    return norms == 0 ? 0.0f : (float)((double)dot / sqrt(norms));
}

#define F16_FORMS(name, metric)                                                                    \
    static void PASTE(kernel, name##_f16_rows, ISA)(const float *query, const uint16_t *rows,      \
                                                    size_t stride, size_t count, size_t dim,       \
                                                    float *out) {                                  \
        for (size_t i = 0; i < count; i++) {                                                       \
            out[i] = half_sum(metric, query, rows + i * stride, dim);                              \
        }                                                                                          \
    }                                                                                              \
    static void PASTE(kernel, name##_f16_gather, ISA)(const float *query, const void *const *rows, \
                                                      size_t count, size_t dim, float *out) {      \
        for (size_t i = 0; i < count; i++) {                                                       \
            out[i] = half_sum(metric, query, rows[i], dim);                                        \
        }                                                                                          \
    }

#define U8_FORMS(name, metric)                                                                     \
    static void PASTE(kernel, name##_u8_rows, ISA)(const uint8_t *query, const uint8_t *rows,      \
                                                   size_t stride, size_t count, size_t dim,        \
                                                   float *out) {                                   \
        for (size_t i = 0; i < count; i++) {                                                       \
            out[i] = (float)sum_u8(metric, query, rows + i * stride, dim);                         \
        }                                                                                          \
    }                                                                                              \
    static void PASTE(kernel, name##_u8_gather, ISA)(                                              \
        const uint8_t *query, const void *const *rows, size_t count, size_t dim, float *out) {     \
        for (size_t i = 0; i < count; i++) {                                                       \
            out[i] = (float)sum_u8(metric, query, rows[i], dim);                                   \
        }                                                                                          \
    }

F16_FORMS(dot, KERNEL_DOT)
F16_FORMS(l2, KERNEL_L2)
F16_FORMS(l1, KERNEL_L1)
U8_FORMS(dot, KERNEL_DOT)
U8_FORMS(l2, KERNEL_L2)
U8_FORMS(l1, KERNEL_L1)

static void PASTE(kernel, cosine_u8_rows, ISA)(const uint8_t *query, const uint8_t *rows,
                                               size_t stride, size_t count, size_t dim,
                                               float *out) {
    uint32_t query_norm = sum_u8(KERNEL_DOT, query, query, dim);
    for (size_t i = 0; i < count; i++) {
        uint32_t norm, dot = cosine_sums_u8(query, rows + i * stride, dim, &norm);
        out[i] = cosine_of(dot, query_norm, norm);
    }
}

static void PASTE(kernel, cosine_u8_gather, ISA)(const uint8_t *query, const void *const *rows,
                                                 size_t count, size_t dim, float *out) {
    uint32_t query_norm = sum_u8(KERNEL_DOT, query, query, dim);
    for (size_t i = 0; i < count; i++) {
        uint32_t norm, dot = cosine_sums_u8(query, rows[i], dim, &norm);
        out[i] = cosine_of(dot, query_norm, norm);
    }
}

#ifdef FORMS_F32

static INLINE float float_sum(enum kernel_metric metric, const float *left, const float *right,
                              size_t dim) {
    if (dim <= KERNEL_BLOCK) {
        return sum_f32(metric, left, right, dim);
    }
    double sum = 0;
    for (size_t at = 0; at < dim; at += KERNEL_BLOCK) {
        size_t size = dim - at < KERNEL_BLOCK ? dim - at : KERNEL_BLOCK;
        sum += (double)sum_f32(metric, left + at, right + at, size);
    }
    return (float)sum;
}

#define F32_FORMS(name, metric)                                                                    \
    static float PASTE(kernel, name##_f32, ISA)(const float *left, const float *right,             \
                                                size_t dim) {                                      \
        return float_sum(metric, left, right, dim);                                                \
    }                                                                                              \
    static void PASTE(kernel, name##_f32_rows, ISA)(const float *query, const float *rows,         \
                                                    size_t stride, size_t count, size_t dim,       \
                                                    float *out) {                                  \
        for (size_t i = 0; i < count; i++) {                                                       \
            out[i] = float_sum(metric, query, rows + i * stride, dim);                             \
        }                                                                                          \
    }                                                                                              \
    static void PASTE(kernel, name##_f32_gather, ISA)(const float *query, const void *const *rows, \
                                                      size_t count, size_t dim, float *out) {      \
        for (size_t i = 0; i < count; i++) {                                                       \
            out[i] = float_sum(metric, query, rows[i], dim);                                       \
        }                                                                                          \
    }

#else

#define F32_FORMS(name, metric)                                                                    \
    static float PASTE(kernel, name##_f32, ISA)(const float *left, const float *right,             \
                                                size_t dim) {                                      \
        return single(metric, left, right, dim);                                                   \
    }                                                                                              \
    static void PASTE(kernel, name##_f32_rows, ISA)(const float *query, const float *rows,         \
                                                    size_t stride, size_t count, size_t dim,       \
                                                    float *out) {                                  \
        rows_at_stride(metric, query, rows, stride, count, dim, out);                              \
    }                                                                                              \
    static void PASTE(kernel, name##_f32_gather, ISA)(const float *query, const void *const *rows, \
                                                      size_t count, size_t dim, float *out) {      \
        rows_anywhere(metric, query, rows, count, dim, out);                                       \
    }

#endif

F32_FORMS(dot, KERNEL_DOT)
F32_FORMS(l2, KERNEL_L2)
F32_FORMS(l1, KERNEL_L1)

#define FLOAT_TABLE(type, form)                                                                    \
    {                                                                                              \
        [KERNEL_DOT] = PASTE(kernel, dot_##type##_##form, ISA),                                    \
        [KERNEL_L2] = PASTE(kernel, l2_##type##_##form, ISA),                                      \
        [KERNEL_L1] = PASTE(kernel, l1_##type##_##form, ISA),                                      \
    }
#define U8_TABLE(form)                                                                             \
    {                                                                                              \
        [KERNEL_DOT] = PASTE(kernel, dot_u8_##form, ISA),                                          \
        [KERNEL_L2] = PASTE(kernel, l2_u8_##form, ISA),                                            \
        [KERNEL_L1] = PASTE(kernel, l1_u8_##form, ISA),                                            \
        [KERNEL_COSINE] = PASTE(kernel, cosine_u8_##form, ISA),                                    \
    }

/* All of a set but its name and what selects. */
#define KERNEL_FORMS                                                                               \
    .dot_f32 = PASTE(kernel, dot_f32, ISA), .l2_f32 = PASTE(kernel, l2_f32, ISA),                  \
    .l1_f32 = PASTE(kernel, l1_f32, ISA), .f32_rows = FLOAT_TABLE(f32, rows),                      \
    .f32_gather = FLOAT_TABLE(f32, gather), .f16_rows = FLOAT_TABLE(f16, rows),                    \
    .f16_gather = FLOAT_TABLE(f16, gather), .u8_rows = U8_TABLE(rows),                             \
    .u8_gather = U8_TABLE(gather)

#endif
