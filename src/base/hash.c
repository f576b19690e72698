#include "base/hash.h"

#include <isa-l.h>
#include <xxhash.h>

uint64_t hash64(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

uint64_t hash64_seed(const void *data, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash128 hash128(const void *data, size_t size) {
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (struct hash128){.low = hash.low64, .high = hash.high64};
}

/* Castagnoli over any size; the library takes an int, so long input goes in pieces. */
uint32_t crc32c(const void *data, size_t size) {
    const unsigned char *at = data;
    unsigned int state = 0xffffffffu;
    while (size > 0) {
        size_t piece = size < (1u << 30) ? size : (1u << 30);
        /* The library's prototype lacks const; it only reads. */
        state = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)piece, state);
        at += piece;
        size -= piece;
    }
    return ~state;
}
