/* The one function of isa-l that the code uses, from its definition: the distribution's library is
 * for the host alone. CRC-32C, bits reversed, without the final complement. */
#ifndef INS_TESTS_CROSS_ISA_L_H
#define INS_TESTS_CROSS_ISA_L_H

static inline unsigned int crc32_iscsi(unsigned char *data, int size, unsigned int state) {
    for (int i = 0; i < size; i++) {
        state ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            state = state >> 1 ^ (state & 1 ? 0x82f63b78u : 0);
        }
    }
    return state;
}

#endif
