/* Compressed rows on AVX-512 without its extensions for them: transforms 16 floats at a time; codes
 * as on AVX2, whose instructions for bytes are there and whose clock is not lower. */
#include "kernel/hadamard.h"
#include "kernel/kernel_private.h"

void kernel_code4_dots_avx512(const int8_t *query, const uint8_t *const *codes, size_t count,
                              size_t padded, int32_t *out) {
    kernel_code4_dots_avx2(query, codes, count, padded, out);
}

void kernel_code1_bounds_avx512(const struct code1_query *query, const void *blocks,
                                size_t block_count, size_t words, float *out) {
    kernel_code1_bounds_avx2(query, blocks, block_count, words, out);
}

void kernel_hadamard_f32_avx512(float *values, size_t size) {
    hadamard(values, size);
}
