/* Slices of the id space: SipHash-2-4 (Aumasson and Bernstein) with key 0 over the bytes of an id,
 * as Qdrant defines them: 8 little-endian bytes of a number, 16 bytes of a UUID. */
#include "payload/payload_private.h"

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, unsigned bits) {
    return word << bits | word >> (64 - bits);
}

static void sip_rounds(struct sip *sip, int rounds) {
    for (int i = 0; i < rounds; i++) {
        sip->a += sip->b;
        sip->b = rotate(sip->b, 13) ^ sip->a;
        sip->a = rotate(sip->a, 32);
        sip->c += sip->d;
        sip->d = rotate(sip->d, 16) ^ sip->c;
        sip->a += sip->d;
        sip->d = rotate(sip->d, 21) ^ sip->a;
        sip->c += sip->b;
        sip->b = rotate(sip->b, 17) ^ sip->c;
        sip->c = rotate(sip->c, 32);
    }
}

static void sip_word(struct sip *sip, uint64_t word) {
    sip->d ^= word;
    sip_rounds(sip, 2);
    sip->a ^= word;
}

uint32_t id_slice(const ins_id *id, uint32_t total) {
    struct sip sip = {0x736f6d6570736575ull, 0x646f72616e646f6dull, 0x6c7967656e657261ull,
                      0x7465646279746573ull};
    if (id->is_uuid) { /* its words are big-endian values */
        sip_word(&sip, __builtin_bswap64(id->high));
        sip_word(&sip, __builtin_bswap64(id->low));
        sip_word(&sip, 16ull << 56);
    } else {
        sip_word(&sip, id->low);
        sip_word(&sip, 8ull << 56);
    }
    sip.c ^= 0xff;
    sip_rounds(&sip, 4);
    return (uint32_t)((sip.a ^ sip.b ^ sip.c ^ sip.d) % total);
}
