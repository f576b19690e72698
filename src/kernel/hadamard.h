/* The fast Walsh-Hadamard transform, compiled for each instruction set by the file that includes
 * it. Sums and differences alone, then one product each: every set gives the same bits. */
#ifndef INS_KERNEL_HADAMARD_H
#define INS_KERNEL_HADAMARD_H

#include <math.h>
#include <stddef.h>

/* Steps 1 and 2 at once. */
static inline void hadamard_four(float *values) {
    float a = values[0] + values[1], b = values[0] - values[1];
    float c = values[2] + values[3], d = values[2] - values[3];
    values[0] = a + c;
    values[1] = b + d;
    values[2] = a - c;
    values[3] = b - d;
}

static inline void hadamard_step(float *restrict left, float *restrict right, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float a = left[i], b = right[i];
        left[i] = a + b;
        right[i] = a - b;
    }
}

static inline void hadamard(float *values, size_t size) {
    size_t step = 1;
    if (size >= 4) {
        for (size_t at = 0; at < size; at += 4) {
            hadamard_four(values + at);
        }
        step = 4;
    }
    for (; step < size; step *= 2) {
        for (size_t at = 0; at < size; at += 2 * step) {
            hadamard_step(values + at, values + at + step, step);
        }
    }
    float scale = 1.0f / sqrtf((float)size);
    for (size_t i = 0; i < size; i++) {
        values[i] *= scale;
    }
}

#endif
