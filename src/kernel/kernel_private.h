/* What the files of kernel/ share. */
#ifndef INS_KERNEL_KERNEL_PRIVATE_H
#define INS_KERNEL_KERNEL_PRIVATE_H

#include "kernel/kernel.h"

/* A sum runs in f32 for at most so many values and the partial sums are added in double. With 16
 * accumulators that is 128 roundings in a row, 128 * 2^-24 = 7.6e-6 of the sum of magnitudes at
 * worst; so the promised 1e-5 holds for any input, not for lucky ones. */
#define KERNEL_BLOCK 2048u

extern const struct kernels kernels_scalar;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
#endif

#endif
