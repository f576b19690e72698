/* What the files of kernel/ share. */
#ifndef INS_KERNEL_KERNEL_PRIVATE_H
#define INS_KERNEL_KERNEL_PRIVATE_H

#include <stdbool.h>
#include <string.h>

#include "kernel/kernel.h"

/* A sum runs in f32 for at most so many values and the partial sums are added in double. With 16
 * accumulators that is 128 roundings in a row, 128 * 2^-24 = 7.6e-6 of the sum of magnitudes at
 * worst; so the promised 1e-5 holds for any input, not for lucky ones. */
#define KERNEL_BLOCK 2048u

/* Exact: the exponent is moved by a product, so denormals need no case of their own. */
static inline float half_to_float(uint16_t half) {
    const float scale = 0x1p112f;
    uint32_t bits = (uint32_t)(half & 0x7fffu) << 13;
    float value;
    memcpy(&value, &bits, sizeof(value));
    value *= scale;
    memcpy(&bits, &value, sizeof(bits));
    bits |= (half & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0; /* infinity and NaN */
    bits |= (uint32_t)(half & 0x8000u) << 16;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The kernels of compressed rows lie in files of their own, codes_*.c. */
#define CODE_KERNELS(isa)                                                                          \
    void kernel_code4_dots_##isa(const int8_t *query, const uint8_t *const *codes, size_t count,   \
                                 size_t padded, int32_t *out);                                     \
    void kernel_code1_bounds_##isa(const struct code1_query *query, const void *blocks,            \
                                   size_t block_count, size_t words, float *out);                  \
    void kernel_code_list_##isa(const struct code_list_query *query, const void *list,             \
                                size_t padded, float *out);                                        \
    void kernel_list_table_##isa(const float *query, size_t padded, float inverse,                 \
                                 uint8_t *table);                                                  \
    float kernel_rest_dot_##isa(const float *query, const uint8_t *code, const void *rest,         \
                                size_t padded);                                                    \
    float kernel_rest_l2_##isa(const float *query, const uint8_t *code, const void *rest,          \
                               size_t padded);                                                     \
    void kernel_rest_values_##isa(const uint8_t *code, const void *rest, size_t padded,            \
                                  float *out);                                                     \
    struct code_list_sums kernel_list_add_##isa(const float *from, const float *to, size_t padded, \
                                                uint32_t row, uint8_t *list);                      \
    void kernel_hadamard_f32_##isa(float *values, size_t size);

extern const struct kernels kernels_scalar;
CODE_KERNELS(scalar)
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_avx512vnni; /* and VPOPCNTDQ: every CPU with one has both */
CODE_KERNELS(avx2)
CODE_KERNELS(avx512)
CODE_KERNELS(avx512vnni)
#endif
#if defined(__aarch64__)
extern const struct kernels kernels_neon;
CODE_KERNELS(neon)
#endif

#endif
