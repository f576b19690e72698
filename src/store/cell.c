#include "store/cell.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"

#define CELL_MAGIC 0x314c4c4543534e49ull /* "INSCELL1" */
#define CELL_FORMAT 1u

/* Header: magic u64, format u32, slot u32, version u64, size u64, XXH3-128 of the data, XXH3-64 of
 * the 48 bytes before it; zero up to 4 KiB. */
enum {
    AT_MAGIC = 0,
    AT_FORMAT = 8,
    AT_SLOT = 12,
    AT_VERSION = 16,
    AT_SIZE = 24,
    AT_DATA_HASH = 32,
    AT_HEADER_HASH = 48,
    HEADER_USED = 56
};

bool bytes_are_zero(const uint8_t *data, size_t size) {
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

void cell_header_encode(uint64_t version, const void *data, size_t size,
                        uint8_t out[static CELL_HEADER_BYTES]) {
    INS_ASSERT(version > 0);
    INS_ASSERT(size <= STORE_CELL_BYTES_MAX);
    memset(out, 0, CELL_HEADER_BYTES);
    store_u64(out + AT_MAGIC, CELL_MAGIC);
    store_u32(out + AT_FORMAT, CELL_FORMAT);
    store_u32(out + AT_SLOT, cell_slot_of(version));
    store_u64(out + AT_VERSION, version);
    store_u64(out + AT_SIZE, size);
    struct hash128 hash = hash128(data, size);
    store_u64(out + AT_DATA_HASH, hash.low);
    store_u64(out + AT_DATA_HASH + 8, hash.high);
    store_u64(out + AT_HEADER_HASH, hash64(out, AT_HEADER_HASH));
}

static bool header_verify(uint32_t slot, const uint8_t *image, uint64_t *out_version,
                          uint64_t *out_size) {
    *out_version = load_u64(image + AT_VERSION);
    *out_size = load_u64(image + AT_SIZE);
    return load_u64(image + AT_HEADER_HASH) == hash64(image, AT_HEADER_HASH) &&
           load_u64(image + AT_MAGIC) == CELL_MAGIC && load_u32(image + AT_FORMAT) == CELL_FORMAT &&
           load_u32(image + AT_SLOT) == slot && *out_version > 0 &&
           cell_slot_of(*out_version) == slot && *out_size <= STORE_CELL_BYTES_MAX &&
           bytes_are_zero(image + HEADER_USED, CELL_HEADER_BYTES - HEADER_USED);
}

enum cell_slot_state cell_slot_verify(uint32_t slot, const uint8_t *image, size_t image_size,
                                      uint64_t *out_version, size_t *out_size) {
    INS_ASSERT(slot < CELL_SLOTS);
    INS_ASSERT(image_size <= CELL_SLOT_BYTES);
    if (bytes_are_zero(image, image_size)) {
        return CELL_EMPTY;
    }
    uint64_t version, size;
    if (image_size < CELL_HEADER_BYTES || !header_verify(slot, image, &version, &size) ||
        size > image_size - CELL_HEADER_BYTES) {
        return CELL_DAMAGED;
    }
    const uint8_t *data = image + CELL_HEADER_BYTES;
    struct hash128 hash = hash128(data, size);
    if (hash.low != load_u64(image + AT_DATA_HASH) ||
        hash.high != load_u64(image + AT_DATA_HASH + 8) ||
        !bytes_are_zero(data + size, image_size - CELL_HEADER_BYTES - size)) {
        return CELL_DAMAGED;
    }
    *out_version = version;
    *out_size = size;
    return CELL_WHOLE;
}

bool cell_choice_add(struct cell_choice *choice, uint32_t slot, const uint8_t *image,
                     size_t image_size) {
    uint64_t version = 0;
    size_t size = 0;
    choice->state[slot] = cell_slot_verify(slot, image, image_size, &version, &size);
    if (choice->state[slot] != CELL_WHOLE || version <= choice->version) {
        return false;
    }
    choice->version = version;
    choice->size = size;
    choice->slot = slot;
    return true;
}

ins_status cell_choice_end(const struct cell_choice *choice, const char *name,
                           ins_error *out_damage, ins_error *error) {
    if (choice->version == 0) { /* a cell comes into being with its first version in it */
        return ins_fail(error, INS_CORRUPT, "cell %s: neither of its two copies verifies", name);
    }
    uint32_t other = 1 - choice->slot;
    /* Slots are written in turn: behind the first version both have been. */
    bool wiped = choice->state[other] == CELL_EMPTY && choice->version > 1;
    if (choice->state[other] == CELL_DAMAGED || wiped) {
        (void)ins_fail(out_damage, INS_CORRUPT,
                       "cell %s: copy %u does not verify; it may have held a version newer than "
                       "%llu, which copy %u holds",
                       name, other, (unsigned long long)choice->version, choice->slot);
    }
    return INS_OK;
}
