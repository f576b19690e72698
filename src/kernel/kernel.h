/* Distance kernels for f32 vectors: scalar reference, AVX2, AVX-512, chosen once at run time.
 *
 * Values: `dot` = sum a*b; `l2` = squared Euclidean distance, sum (a-b)^2. Cosine = dot of vectors
 * that were normalised when they were stored.
 * Accumulators are f32, several per register width, so the sum is a short tree; a kernel differs
 * from the double-precision sum by at most 1e-5 * (sum |a*b|) (l2: of the squares) for dim <=
 * 65536. NaN and infinity go through as IEEE says. No alignment is needed; no allocation. Any
 * thread. */
#ifndef INS_KERNEL_KERNEL_H
#define INS_KERNEL_KERNEL_H

#include <stddef.h>
#include <stdint.h>

struct kernels {
    const char *isa; /* "scalar", "avx2", "avx512" */
    float (*dot_f32)(const float *left, const float *right, size_t dim);
    float (*l2_f32)(const float *left, const float *right, size_t dim);
    /* One query to `count` rows that lie `stride` floats apart (stride >= dim): out[i] for row i.
     */
    void (*dot_f32_rows)(const float *query, const float *rows, size_t stride, size_t count,
                         size_t dim, float *out);
    void (*l2_f32_rows)(const float *query, const float *rows, size_t stride, size_t count,
                        size_t dim, float *out);
    /* One query to `count` rows anywhere. */
    void (*dot_f32_gather)(const float *query, const float *const *rows, size_t count, size_t dim,
                           float *out);
    void (*l2_f32_gather)(const float *query, const float *const *rows, size_t count, size_t dim,
                          float *out);
    /* Positions i with values[i] <= bound, ascending, into out[count]; returns how many. NaN never
     * passes. count <= 65536. */
    uint32_t (*select_f32)(const float *values, uint32_t count, float bound, uint16_t *out);
};

/* The best set that this CPU runs; INSULA_ISA=scalar|avx2|avx512 in the environment lowers it. */
const struct kernels *kernels_get(void);
/* A named set, or NULL when this CPU lacks it. */
const struct kernels *kernels_for(const char *isa);

/* out[i] = in[i] / |in|; copies when |in| is 0. `out` may be `in`. Norm accumulated in double. */
void kernel_normalize_f32(const float *in, size_t dim, float *out);
/* True when no value is NaN or infinite; else *out_at is the first bad position. */
int kernel_all_finite_f32(const float *in, size_t dim, size_t *out_at);

#endif
