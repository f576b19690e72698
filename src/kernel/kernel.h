/* Distance kernels: scalar reference, AVX2, AVX-512, NEON, chosen once at run time.
 *
 * Values: dot = sum a*b; l2 = squared Euclidean distance, sum (a-b)^2; l1 = Manhattan distance, sum
 * |a-b|; cosine (of bytes alone) = dot / sqrt(|a|^2 |b|^2), 0 when either is 0. Cosine of floats is
 * dot of vectors that were normalised when they were stored.
 * Rows are f32, f16 (IEEE binary16) or u8. The query is f32 for floats of both widths, bytes for
 * bytes.
 * Floats: accumulators are f32, several per register width, so the sum is a short tree; a kernel
 * differs from the double-precision sum by at most 1e-5 * (sum |a*b|) (l2: of the squares, l1: of
 * the differences) for dim <= 65536. NaN and infinity go through as IEEE says.
 * Bytes: sums are exact, since 65536 * 255^2 < 2^32, and rounded once, to f32.
 * No alignment is needed beyond a value's own; no allocation. Any thread. */
#ifndef INS_KERNEL_KERNEL_H
#define INS_KERNEL_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/codes.h"

enum kernel_metric { KERNEL_DOT, KERNEL_L2, KERNEL_L1, KERNEL_COSINE };
#define KERNEL_FLOAT_METRICS 3u /* those before KERNEL_COSINE */
#define KERNEL_METRICS 4u

struct kernels {
    const char *isa; /* "scalar", "avx2", "avx512", "avx512vnni", "neon" */
    float (*dot_f32)(const float *left, const float *right, size_t dim);
    float (*l2_f32)(const float *left, const float *right, size_t dim);
    float (*l1_f32)(const float *left, const float *right, size_t dim);
    /* By metric: one query to `count` rows that lie `stride` values apart (stride >= dim): out[i]
     * for row i. */
    void (*f32_rows[KERNEL_FLOAT_METRICS])(const float *query, const float *rows, size_t stride,
                                           size_t count, size_t dim, float *out);
    void (*f16_rows[KERNEL_FLOAT_METRICS])(const float *query, const uint16_t *rows, size_t stride,
                                           size_t count, size_t dim, float *out);
    void (*u8_rows[KERNEL_METRICS])(const uint8_t *query, const uint8_t *rows, size_t stride,
                                    size_t count, size_t dim, float *out);
    /* One query to `count` rows anywhere. */
    void (*f32_gather[KERNEL_FLOAT_METRICS])(const float *query, const void *const *rows,
                                             size_t count, size_t dim, float *out);
    void (*f16_gather[KERNEL_FLOAT_METRICS])(const float *query, const void *const *rows,
                                             size_t count, size_t dim, float *out);
    void (*u8_gather[KERNEL_METRICS])(const uint8_t *query, const void *const *rows, size_t count,
                                      size_t dim, float *out);
    /* Positions i with values[i] <= bound, ascending, into out[count]; returns how many. NaN never
     * passes. count <= 65536. */
    uint32_t (*select_f32)(const float *values, uint32_t count, float bound, uint16_t *out);
    /* The same of those whose bit is set in `kept`: i % 64 of kept[i / 64]. Other values may be
     * anything. */
    uint32_t (*select_kept_f32)(const float *values, uint32_t count, float bound,
                                const uint64_t *kept, uint16_t *out);
    /* 4-bit codes (codes.h) anywhere: out[i] = sum of query * code_i over `padded` dimensions,
     * exact; padded <= 65536. `query`: [code4_slots(padded)]. */
    void (*code4_dots)(const int8_t *query, const uint8_t *const *codes, size_t count,
                       size_t padded, int32_t *out);
    /* A 4-bit code with its rest (codes.h) and a query of `padded` floats: their dot product or
     * squared Euclidean distance, as floats' kernels sum. By metric, KERNEL_L1 not among them. */
    float (*code_rest[2])(const float *query, const uint8_t *code, const void *rest, size_t padded);
    /* The values of such a row: out [padded]. */
    void (*code_rest_values)(const uint8_t *code, const void *rest, size_t padded, float *out);
    /* 1-bit codes in blocks (codes.h), aligned to 64: for each of their rows norm + scale * (step *
     * sum + offset) - error * slack, where sum is that of the query's values at the row's bits,
     * exact. `out`: [CODE1_ROWS * block_count], aligned to 64. */
    void (*code1_bounds)(const struct code1_query *query, const void *blocks, size_t block_count,
                         size_t words, float *out);
    /* 1-bit codes of a list (codes.h): of each of its rows norm - scale * (step * sum + offset).
     * `padded` <= 65536; out: [CODE_LIST_ROWS]. */
    void (*code_list)(const struct code_list_query *query, const void *list, size_t padded,
                      float *out);
    /* The table of a query [padded] for that: (sum - least sum of its four) * inverse, rounded. */
    void (*code_list_table)(const float *query, size_t padded, float inverse, uint8_t *table);
    /* What leads from one row to another, both [padded]: its signs into the list as those of its
     * row `row`, whose bits are 0; returns its sums. */
    struct code_list_sums (*code_list_add)(const float *from, const float *to, size_t padded,
                                           uint32_t row, uint8_t *list);
    /* Fast Walsh-Hadamard transform of `size` (a power of two) values in place, scaled to keep
     * norms; the same bits on every instruction set. */
    void (*hadamard_f32)(float *values, size_t size);
};

/* The best set that this CPU runs; INSULA_ISA=scalar|avx2|avx512|avx512vnni|neon in the environment
 * lowers it. */
const struct kernels *kernels_get(void);
/* A named set, or NULL when this CPU lacks it. */
const struct kernels *kernels_for(const char *isa);

/* out[i] = in[i] / |in|; copies when |in| is 0. `out` may be `in`. Norm accumulated in double. */
void kernel_normalize_f32(const float *in, size_t dim, float *out);
/* True when no value is NaN or infinite; else *out_at is the first bad position. */
int kernel_all_finite_f32(const float *in, size_t dim, size_t *out_at);

/* The same, rounded to halves. */
void kernel_normalize_f16(const float *in, size_t dim, uint16_t *out);
/* Halves: rounded to the nearest, ties to even, too large ones to infinity; and back, exactly. */
void kernel_halves_from_floats(const float *in, size_t dim, uint16_t *out);
void kernel_floats_from_halves(const uint16_t *in, size_t dim, float *out);
/* Bytes: cut towards zero, to 0 .. 255; `in` is finite. */
void kernel_u8_from_f32(const float *in, size_t dim, uint8_t *out);

#endif
