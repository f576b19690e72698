#include "index/codes.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

#define LEVELS 16
#define REST_STEPS 1024 /* of a level */
#define MIDDLE 7.5f     /* level u stands for u - 7.5 */
#define SCALE_TRIES 8   /* steps between the smallest and the largest scale that is tried */
#define SCALE_FIRST                                                                                \
    0.26f                /* of the root mean square: the best step for a normal distribution is    \
                          */
#define SCALE_LAST 0.46f /* 0.335 (Max, "Quantizing for minimum distortion") */

/* ---- Rotation ---- */

void rotation_init(struct rotation *rotation, uint32_t dim, uint64_t seed, float *signs) {
    INS_ASSERT(dim > 0);
    INS_ASSERT(dim <= ROTATION_DIM_MAX);
    uint32_t padded = padded_dim(dim);
    for (uint32_t i = 0; i < rotation_signs(dim); i++) {
        uint64_t bits = hash_u64(seed + (i / 64 + 1) * 0x9e3779b97f4a7c15ull);
        signs[i] = (bits >> (i % 64) & 1) != 0 ? -1.0f : 1.0f;
    }
    *rotation = (struct rotation){.dim = dim,
                                  .padded = padded,
                                  .block = 1u << (31 - __builtin_clz(padded)),
                                  .kernels = kernels_get(),
                                  .signs = signs};
}

static void flip(float *restrict values, uint32_t padded, const float *restrict signs) {
    for (uint32_t i = 0; i < padded; i++) {
        values[i] *= signs[i];
    }
}

/* Sums and differences of the two halves, scaled: carries what one end holds to the other. */
static void mix_halves(float *values, uint32_t padded) {
    float *right = values + padded / 2;
    for (uint32_t i = 0; i < padded / 2; i++) {
        float a = values[i], b = right[i];
        values[i] = (a + b) * (float)M_SQRT1_2;
        right[i] = (a - b) * (float)M_SQRT1_2;
    }
}

void rotation_apply(const struct rotation *rotation, const float *in, const float *centre,
                    float *out) {
    uint32_t padded = rotation->padded, block = rotation->block;
    for (uint32_t i = 0; i < rotation->dim; i++) {
        out[i] = centre == NULL ? in[i] : in[i] - centre[i];
    }
    memset(out + rotation->dim, 0, (padded - rotation->dim) * sizeof(float));
    for (uint32_t round = 0; round < ROTATION_ROUNDS; round++) {
        flip(out, padded, rotation->signs + (size_t)round * padded);
        rotation->kernels->hadamard_f32(out + (round % 2 == 0 ? 0 : padded - block), block);
        if (block != padded) {
            mix_halves(out, padded);
        }
    }
}

/* ---- Codes ---- */

static int level_of(float value) {
    int level = (int)(value + (float)LEVELS / 2);
    return level < 0 ? 0 : level >= LEVELS ? LEVELS - 1 : level;
}

/* Sums of level * value and level^2 at one scale: their quotient tells how well the direction is
 * kept. */
static void sums_at(const float *values, uint32_t padded, float inverse, float *out_product,
                    float *out_square) {
    float products = 0, squares = 0;
    for (uint32_t i = 0; i < padded; i++) {
        float scaled = values[i] * inverse + (float)LEVELS / 2;
        scaled = scaled < 0 ? 0 : scaled > LEVELS - 1 ? LEVELS - 1 : scaled;
        float level = (float)(int)scaled - MIDDLE;
        products += level * values[i];
        squares += level * level;
    }
    *out_product = products;
    *out_square = squares;
}

static void put_levels(const float *values, uint32_t padded, float inverse, uint8_t *code) {
    for (uint32_t at = 0; at < padded; at += 128) {
        uint32_t half = padded - at < 128 ? (padded - at) / 2 : 64;
        for (uint32_t j = 0; j < half; j++) {
            int low = level_of(values[at + j] * inverse);
            int high = level_of(values[at + half + j] * inverse);
            code[at / 2 + j] = (uint8_t)(low | high << 4);
        }
    }
}

float code4_encode(const float *rotated, uint32_t padded, uint8_t *code,
                   struct code_factors *out_factors) {
    double norm = 0;
    for (uint32_t i = 0; i < padded; i++) {
        norm += (double)rotated[i] * (double)rotated[i];
    }
    float spread = (float)sqrt(norm / padded), best = -1, best_inverse = 0, best_product = 0;
    for (int i = 0; i < SCALE_TRIES && spread > 0; i++) {
        float step = SCALE_FIRST + (SCALE_LAST - SCALE_FIRST) * (float)i / (SCALE_TRIES - 1);
        float product, square;
        sums_at(rotated, padded, 1.0f / (step * spread), &product, &square);
        float quality = product / sqrtf(square);
        if (quality > best) {
            best = quality;
            best_inverse = 1.0f / (step * spread);
            best_product = product;
        }
    }
    put_levels(rotated, padded, best_inverse, code);
    *out_factors = (struct code_factors){
        .norm = (float)norm, .scale = best_product > 0 ? (float)norm / best_product : 0};
    return best_inverse;
}

/* The level of a dimension. */
static int level_at(const uint8_t *code, uint32_t padded, uint32_t dimension) {
    uint32_t at = dimension / 128 * 128, in = dimension - at;
    uint32_t half = padded - at < 128 ? (padded - at) / 2 : 64;
    return in < half ? code[at / 2 + in] & 15 : code[at / 2 + in - half] >> 4;
}

void code_rest_encode(const float *rotated, uint32_t padded, const uint8_t *code, float inverse,
                      uint8_t *rest) {
    const float middle = LEVELS * 0.5f,
                kept = middle - 1; /* levels farther from the middle are stretched */
    float most = kept + 1;
    for (uint32_t i = 0; i < padded; i++) {
        float size = fabsf(rotated[i] * inverse);
        most = size > most ? size : most;
    }
    float stretch = most - kept, step = inverse > 0 ? 1 / (inverse * REST_STEPS) : 0;
    struct code_rest scale = {.step = step, .reach = step * (stretch - 1)};
    uint8_t *high = rest + sizeof(scale), *low = high + padded;
    memcpy(rest, &scale, sizeof(scale));
    memset(low, 0, padded / 4);
    for (uint32_t i = 0; i < padded; i++) {
        float size = fabsf(rotated[i] * inverse);
        size = size > kept ? kept + (size - kept) / stretch : size;
        int all = (int)((copysignf(size, rotated[i]) + middle) * REST_STEPS);
        int own = all - level_at(code, padded, i) * REST_STEPS;
        own = own < 0 ? 0 : own >= REST_STEPS ? REST_STEPS - 1 : own;
        high[i] = (uint8_t)(own >> 2);
        low[i / 4] = (uint8_t)(low[i / 4] | (own & 3) << i % 4 * 2);
    }
}

/* As bits, sizes of floats are in the order of the floats; so the loop needs no order of its own.
 */
static float largest(const float *values, uint32_t count) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof(bits));
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    float result;
    memcpy(&result, &most, sizeof(result));
    return result;
}

static int32_t round_bytes(const float *restrict from, uint32_t count, float scale,
                           int8_t *restrict to) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        float scaled = from[i] * scale;
        int32_t value = (int32_t)(scaled + (scaled < 0 ? -0.5f : 0.5f));
        to[i] = (int8_t)value;
        sum += value;
    }
    return sum;
}

void code_query_make(const float *rotated, uint32_t padded, struct code_query *out) {
    float most = largest(rotated, padded), scale = most > 0 ? 127.0f / most : 0;
    uint32_t last = padded / 128 * 128, first = last + (padded - last) / 2;
    memset(out->values + last, 0, code4_slots(padded) - last);
    int32_t sum = round_bytes(rotated, first, scale, out->values);
    if (first < padded) {
        int8_t *rest = out->values + code4_slot(padded, first);
        sum += round_bytes(rotated + first, padded - first, scale, rest);
    }
    out->step = most / 127.0f;
    out->offset = -MIDDLE * out->step * (float)sum;
}
