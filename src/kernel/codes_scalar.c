/* The reference: what the other sets must agree with. */
#include <string.h>

#include "kernel/codes_private.h"
#include "kernel/hadamard.h"

static int32_t code4_dot(const int8_t *query, const uint8_t *code, size_t padded) {
    int32_t sum = 0;
    for (size_t at = 0; at < padded; at += 128) {
        size_t half = padded - at < 128 ? (padded - at) / 2 : 64;
        for (size_t j = 0; j < half; j++) {
            uint8_t byte = code[at / 2 + j];
            sum += query[at + j] * (byte & 15) + query[at + 64 + j] * (byte >> 4);
        }
    }
    return sum;
}

static void code4_dots_scalar(const int8_t *query, const uint8_t *const *codes, size_t count,
                              size_t padded, int32_t *out) {
    for (size_t i = 0; i < count; i++) {
        out[i] = code4_dot(query, codes[i], padded);
    }
}

uint16_t kernel_f16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) { /* infinity, NaN */
        return (uint16_t)(sign | 0x7c00u | (magnitude > 0x7f800000u ? 0x200u : 0));
    }
    if (magnitude >= 0x477ff000u) { /* rounds above the largest half */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* subnormal or zero: adding 0.5 aligns and rounds */
        float small;
        memcpy(&small, &magnitude, sizeof(small));
        small += 0.5f;
        memcpy(&magnitude, &small, sizeof(magnitude));
        return (uint16_t)(sign | (magnitude - 0x3f000000u));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000u + 0xfffu + odd) >> 13);
}

float kernel_f32_from_f16(uint16_t half) {
    uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u, fraction = half & 0x3ffu;
    uint32_t bits;
    if (exponent == 0) {
        float value = (float)fraction * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float dot_f16_scalar(const float *query, const uint16_t *row, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        sum += (double)query[i] * (double)kernel_f32_from_f16(row[i]);
    }
    return (float)sum;
}

static float l2_f16_scalar(const float *query, const uint16_t *row, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double difference = (double)query[i] - (double)kernel_f32_from_f16(row[i]);
        sum += difference * difference;
    }
    return (float)sum;
}

static float dot_u8_scalar(const float *query, const uint8_t *row, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        sum += (double)query[i] * row[i];
    }
    return (float)sum;
}

static float l2_u8_scalar(const float *query, const uint8_t *row, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double difference = (double)query[i] - row[i];
        sum += difference * difference;
    }
    return (float)sum;
}

static void hadamard_scalar(float *values, size_t size) {
    hadamard(values, size);
}

const struct code_kernels code_kernels_scalar = {
    .isa = "scalar",
    .code4_dots = code4_dots_scalar,
    .hadamard_f32 = hadamard_scalar,
    .dot_f16 = dot_f16_scalar,
    .l2_f16 = l2_f16_scalar,
    .dot_u8 = dot_u8_scalar,
    .l2_u8 = l2_u8_scalar,
};
