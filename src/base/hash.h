/* Checksums and hashes: XXH3 for blocks and tables, CRC32C for log records. */
#ifndef INS_BASE_HASH_H
#define INS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t low, high;
};

uint64_t hash64(const void *data, size_t size);
uint64_t hash64_seed(const void *data, size_t size, uint64_t seed);
struct hash128 hash128(const void *data, size_t size);
uint32_t crc32c(const void *data, size_t size);

/* A good mix of one word (splitmix64's finaliser): table slots, seeds. */
static inline uint64_t hash_u64(uint64_t value) {
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9ull;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

#endif
