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

/* Two steps at once, of `count` values in each of four parts: half the passes over memory, the same
 * sums. Inlined with a constant where parts are shorter than registers. */
static inline void hadamard_parts(float *restrict values, size_t part, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float *at = values + i;
        float a = at[0] + at[part], b = at[0] - at[part];
        float c = at[2 * part] + at[3 * part], d = at[2 * part] - at[3 * part];
        at[0] = a + c;
        at[part] = b + d;
        at[2 * part] = a - c;
        at[3 * part] = b - d;
    }
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
    if (size >= 16) {
        for (size_t at = 0; at < size; at += 16) {
            hadamard_parts(values + at, 4, 4);
        }
        step = 16;
    }
    for (; 4 * step <= size; step *= 4) {
        for (size_t at = 0; at < size; at += 4 * step) {
            for (size_t i = 0; i < step; i += 16) {
                hadamard_parts(values + at + i, step, 16);
            }
        }
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
