/* A row's signs into a list of 1-bit codes (codes.h), compiled for each instruction set by the file
 * that includes it: eight dimensions at a time, in the compiler's vectors. Included after
 * code_rest.h. */
#ifndef INS_KERNEL_CODE_LIST_ADD_H
#define INS_KERNEL_CODE_LIST_ADD_H

#include "kernel/code_rest.h"

#define NIBBLE_BITS 0x10204080u /* brings the lowest bits of four bytes to the highest four */

REST_INLINE float lanes_sum(const floats8 *lanes) {
    floats8 v = *lanes;
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

REST_INLINE struct code_list_sums list_add(const float *from, const float *to, size_t padded,
                                           uint32_t row, uint8_t *list) {
    const int shift = row < 16 ? 0 : 4;
    floats8 norm = {0}, sizes = {0}, signs = {0};
    for (size_t at = 0; at < padded; at += 8) {
        floats8 here, there;
        uint32_t positive[2];
        memcpy(&here, from + at, sizeof(here));
        memcpy(&there, to + at, sizeof(there));
        floats8 moved = there - here;
        ints8 above = moved > 0; /* all ones or zeros */
        norm += moved * moved;
        sizes += (floats8)((ints8)moved & 0x7fffffff);
        signs += (floats8)((ints8)here ^ (~above & INT32_MIN));
        bytes8 bits = __builtin_convertvector(above & 1, bytes8);
        memcpy(positive, &bits, sizeof(positive));
        uint8_t *groups = list + at / 4 * 16 + row % 16;
        groups[0] |= (uint8_t)(positive[0] * NIBBLE_BITS >> 28 << shift);
        groups[16] |= (uint8_t)(positive[1] * NIBBLE_BITS >> 28 << shift);
    }
    return (struct code_list_sums){
        .norm = lanes_sum(&norm), .sizes = lanes_sum(&sizes), .signs = lanes_sum(&signs)};
}

#endif
