/* Kernels for compressed rows: 4-bit codes, half floats, bytes. Chosen at run time as kernel.h's.
 *
 * A 4-bit code of `padded` dimensions (a multiple of 16) takes padded / 2 bytes: of each 128
 * dimensions 64 bytes, byte j holding dimension j in its low and 64 + j in its high half; the last
 * t < 128 take t / 2 bytes in the same way. Values 0 .. 15.
 * Its query has a byte a slot: dimensions in order, but for the last t, whose second half begins 64
 * slots behind the first; slots between and behind are zero.
 * No alignment is needed, no allocation; any thread. */
#ifndef INS_KERNEL_CODES_H
#define INS_KERNEL_CODES_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t code4_slots(uint32_t padded) {
    return (padded + 127) / 128 * 128;
}

static inline uint32_t code4_slot(uint32_t padded, uint32_t dimension) {
    uint32_t last = padded / 128 * 128, half = (padded - last) / 2;
    return dimension < last + half ? dimension : dimension + (padded > last ? 64 - half : 0);
}

struct code_kernels {
    const char *isa; /* "scalar", "avx2", "avx512" */
    /* out[i] = sum of query * code_i over `padded` dimensions, exact; padded <= 65536. `query`:
     * [code4_slots(padded)]. */
    void (*code4_dots)(const int8_t *query, const uint8_t *const *codes, size_t count,
                       size_t padded, int32_t *out);
    /* Fast Walsh-Hadamard transform of `size` (a power of two) values in place, scaled to keep
     * norms; the same bits on every instruction set. */
    void (*hadamard_f32)(float *values, size_t size);
    /* One f32 query to one row of half floats or bytes; accuracy as in kernel.h. */
    float (*dot_f16)(const float *query, const uint16_t *row, size_t dim);
    float (*l2_f16)(const float *query, const uint16_t *row, size_t dim);
    float (*dot_u8)(const float *query, const uint8_t *row, size_t dim);
    float (*l2_u8)(const float *query, const uint8_t *row, size_t dim);
};

/* The best set that this CPU runs; INSULA_ISA in the environment lowers it, as in kernel.h. */
const struct code_kernels *code_kernels_get(void);
/* A named set, or NULL when this CPU lacks it. */
const struct code_kernels *code_kernels_for(const char *isa);

/* IEEE half floats; rounds to nearest even, overflows to infinity. */
uint16_t kernel_f16_from_f32(float value);
float kernel_f32_from_f16(uint16_t half);

#endif
