#ifndef INS_KERNEL_CODES_PRIVATE_H
#define INS_KERNEL_CODES_PRIVATE_H

#include "kernel/codes.h"

extern const struct code_kernels code_kernels_scalar, code_kernels_avx2, code_kernels_avx512;

#endif
