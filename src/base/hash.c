#include "base/hash.h"

#include <isa-l.h>
#include <xxhash.h>

/* XXH3_64bits and the like are compiled for the oldest processor of the architecture. Where the
 * library also has them for newer ones, those take input for which it pays: the values are equal.
 * They are declared here, not by the library's header: that renames the plain ones. */
#ifdef INS_XXH3_DISPATCH
#define WIDE_BYTES_MIN 512u /* up to 240 XXH3 uses no vectors; a call more costs what they save */
XXH64_hash_t XXH3_64bits_dispatch(const void *input, size_t size);
XXH128_hash_t XXH3_128bits_dispatch(const void *input, size_t size);
#endif

uint64_t hash64(const void *data, size_t size) {
#ifdef INS_XXH3_DISPATCH
    if (size >= WIDE_BYTES_MIN) {
        return XXH3_64bits_dispatch(data, size);
    }
#endif
    return XXH3_64bits(data, size);
}

uint64_t hash64_seed(const void *data, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash128 hash128(const void *data, size_t size) {
    XXH128_hash_t hash;
#ifdef INS_XXH3_DISPATCH
    hash = size >= WIDE_BYTES_MIN ? XXH3_128bits_dispatch(data, size) : XXH3_128bits(data, size);
#else
    hash = XXH3_128bits(data, size);
#endif
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
