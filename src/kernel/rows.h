/* One query to many rows, for the instruction sets. Included by avx2.c and avx512.c, after they
 * define
 *   vector, WIDTH                         the widest register and its number of floats
 *   load(from), add(left, right)          vector
 *   add_terms(metric, sums, left, right)  vector: sums + the terms of two vectors
 *   row_sums(metric, query, row, dim)     vector whose lanes add up to the sum of the terms
 *   four_sums(sums)                       __m128: the lanes of four vectors added up
 *   one_sum(sums)                         float: the lanes of one vector added up
 * Everything here is inlined into the kernels, one copy for each metric.
 *
 * Rows are read strictly one after the other, by the same few instructions. That is what hardware
 * prefetchers follow: four rows side by side read DRAM at 9 GB/s where this order reads at 26, and
 * prefetch instructions make either one slower. The lanes of four rows are added up together,
 * transposed, which costs little more than adding up one. */
#ifndef INS_KERNEL_ROWS_H
#define INS_KERNEL_ROWS_H

#include <stdbool.h>

#define GROUP 4u /* rows of one transposed sum */
#define LINE_FLOATS 16u
#define AHEAD_ROWS 4u       /* of rows elsewhere, which no hardware foresees */
#define AHEAD_LINES_MAX 16u /* of one such row; the rest is a stream of its own */
#define SHORT_DIM_MAX 128u  /* the query of such rows stays in registers, as far as they reach */

/* Any dimension; see KERNEL_BLOCK. */
static INLINE float single(enum kernel_metric metric, const float *left, const float *right,
                           size_t dim) {
    if (dim <= KERNEL_BLOCK) {
        return one_sum(row_sums(metric, left, right, dim));
    }
    double sum = 0;
    for (size_t at = 0; at < dim; at += KERNEL_BLOCK) {
        size_t size = dim - at < KERNEL_BLOCK ? dim - at : KERNEL_BLOCK;
        sum += (double)one_sum(row_sums(metric, left + at, right + at, size));
    }
    return (float)sum;
}

/* Keeps the sums of row `at`; when it ends a group of four or all, adds up and writes out. */
static INLINE void keep_sums(vector kept[GROUP], vector sums, size_t at, size_t count, float *out) {
    kept[at % GROUP] = sums;
    if (at % GROUP == GROUP - 1) {
        _mm_storeu_ps(out + at - (GROUP - 1), four_sums(kept));
        return;
    }
    if (at + 1 == count) {
        float last[GROUP];
        _mm_storeu_ps(last, four_sums(kept)); /* the lanes behind are of earlier rows or zeros */
        for (size_t i = 0; i <= at % GROUP; i++) {
            out[at - at % GROUP + i] = last[i];
        }
    }
}

/* `dim` is a multiple of 2 * WIDTH and a constant at every call, so the loops over parts unroll. A
 * row then costs one load a register instead of two. */
static INLINE void rows_of_parts(enum kernel_metric metric, const float *query, const float *rows,
                                 size_t stride, size_t count, size_t dim, float *out) {
    vector parts[SHORT_DIM_MAX / WIDTH];
    for (size_t at = 0; at < dim; at += WIDTH) {
        parts[at / WIDTH] = load(query + at);
    }
    vector kept[GROUP] = {0};
    for (size_t i = 0; i < count; i++) {
        const float *row = rows + i * stride;
        vector even = {0}, odd = {0};
        for (size_t at = 0; at < dim; at += 2 * WIDTH) {
            even = add_terms(metric, even, parts[at / WIDTH], load(row + at));
            odd = add_terms(metric, odd, parts[at / WIDTH + 1], load(row + at + WIDTH));
        }
        keep_sums(kept, add(even, odd), i, count, out);
    }
}

#define SHORT_CASE(dim)                                                                            \
    case dim:                                                                                      \
        rows_of_parts(metric, query, rows, stride, count, dim, out);                               \
        return true;

/* The usual short dimensions. Others would need a mask, and a compiler moves a masked load to the
 * front, out of the order that prefetchers follow; row_sums serves them well enough. */
static INLINE bool short_rows(enum kernel_metric metric, const float *query, const float *rows,
                              size_t stride, size_t count, size_t dim, float *out) {
    switch (dim) {
        SHORT_CASE(32)
        SHORT_CASE(64)
        SHORT_CASE(96)
        SHORT_CASE(128)
    default:
        return false;
    }
}

static INLINE void rows_at_stride(enum kernel_metric metric, const float *query, const float *rows,
                                  size_t stride, size_t count, size_t dim, float *out) {
    if (dim > KERNEL_BLOCK) {
        for (size_t i = 0; i < count; i++) {
            out[i] = single(metric, query, rows + i * stride, dim);
        }
        return;
    }
    if (short_rows(metric, query, rows, stride, count, dim, out)) {
        return;
    }
    vector kept[GROUP] = {0};
    for (size_t i = 0; i < count; i++) {
        keep_sums(kept, row_sums(metric, query, rows + i * stride, dim), i, count, out);
    }
}

static INLINE void prefetch_row(const float *row, size_t dim) {
    size_t end = dim < AHEAD_LINES_MAX * LINE_FLOATS ? dim : AHEAD_LINES_MAX * LINE_FLOATS;
    for (size_t at = 0; at < end; at += LINE_FLOATS) {
        _mm_prefetch((const char *)(row + at), _MM_HINT_T0);
    }
}

static INLINE void rows_anywhere(enum kernel_metric metric, const float *query,
                                 const void *const *rows, size_t count, size_t dim, float *out) {
    vector kept[GROUP] = {0};
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD_ROWS < count) {
            prefetch_row(rows[i + AHEAD_ROWS], dim);
        }
        if (dim > KERNEL_BLOCK) {
            out[i] = single(metric, query, rows[i], dim);
        } else {
            keep_sums(kept, row_sums(metric, query, rows[i], dim), i, count, out);
        }
    }
}

#endif
