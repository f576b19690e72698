/* Layouts of compressed rows, which the kernels of kernel.h read.
 *
 * A 4-bit code of `padded` dimensions (a multiple of 16) takes padded / 2 bytes: of each 128
 * dimensions 64 bytes, byte j holding dimension j in its low and 64 + j in its high half; the last
 * t < 128 take t / 2 bytes in the same way. Values 0 .. 15.
 * Its query has a byte a slot: dimensions in order, but for the last t, whose second half begins 64
 * slots behind the first; slots between and behind are zero.
 *
 * What a 4-bit code's rounding left, its rest, has 10 bits a dimension behind a struct code_rest:
 * the upper 8 as bytes in the order of dimensions, then the lower 2, four dimensions a byte, the
 * first in the lowest bits. Code and rest together are a number x = 1024 * code + rest - 8191.5,
 * and the dimension's value is step * x, and beyond |x| = 7168 reach for each more of x.
 *
 * 1-bit codes lie in blocks of 16 rows: by 64 dimensions the 16 rows' words (dimension d is bit d %
 * 64, in the machine's order of bytes), then 16 floats each of `norm`, `scale` and `error`. Their
 * query has values -8 .. 7, as four planes of bits: planes[4 * (d / 64) + p], bit d % 64, of weight
 * 1, 2, 4, -8.
 *
 * The 1-bit codes of a list of 32 rows lie by 4 dimensions: 16 bytes, byte j holding row j in its
 * low and row 16 + j in its high half, the first dimension in the lowest bit. Behind them u16
 * norms[32] and scales[32], in 65535ths, and the upper halves of three floats: the norm that 0
 * means, how much more 65535 does, and the scale that 65535 means. Their query is a table: by 4
 * dimensions the 16 sums of its values, each with the sign of its bit, in steps from the least of
 * them. */
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

struct code_list_sums { /* of what leads from one row to another */
    float norm;         /* squared */
    float sizes;        /* of its values without their signs */
    float signs;        /* of the first row's values, with its signs */
};

struct code_rest {
    float step, reach; /* reach: added to step */
};

static inline size_t code_rest_bytes(size_t padded) {
    return sizeof(struct code_rest) + padded + padded / 4;
}

#define CODE1_ROWS 16u
#define CODE1_PLANES 4u
#define CODE1_FACTORS 3u

static inline size_t code1_words(size_t padded) {
    return (padded + 63) / 64;
}

static inline size_t code1_block_bytes(size_t words) {
    return CODE1_ROWS * (words * sizeof(uint64_t) + CODE1_FACTORS * sizeof(float));
}

struct code1_query {
    const uint64_t *planes; /* [CODE1_PLANES * words] */
    uint32_t first_plane;   /* 1: the planes of weight 1 are all zeros and need not be looked at */
    float step, offset;     /* of what is multiplied by a row's scale: step * sum + offset */
    float slack;            /* what a row's error is multiplied by */
};

#define CODE_LIST_ROWS 32u
#define CODE_LIST_FACTORS (2 * CODE_LIST_ROWS + 3)

static inline size_t code_list_bytes(size_t padded) {
    return padded / 4 * 16 + CODE_LIST_FACTORS * sizeof(uint16_t);
}

struct code_list_query {
    const uint8_t *table; /* [padded / 4][16] */
    float step, offset;   /* a row's sum of signed values is near step * sum + offset */
};

#endif
