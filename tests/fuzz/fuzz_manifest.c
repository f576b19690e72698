/* Feeds bytes to the manifest's decoder: as they are, and with their hash made right, so that what
 * lies behind the hash is reached. What is accepted must encode to the same bytes. */
#include <stdlib.h>

#include "base/assert.h"
#include "segment/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES_MAX 1024u

static void decode(const uint8_t *data, size_t size) {
    static struct segment_info files[FILES_MAX];
    struct manifest manifest;
    ins_error error;
    if (manifest_decode(data, size, files, FILES_MAX, &manifest, &error) != INS_OK) {
        INS_ASSERT(error.status == INS_CORRUPT);
        INS_ASSERT(error.message[0] != '\0');
        return;
    }
    INS_ASSERT(manifest_size(&manifest) == size);
    uint8_t *again = malloc(size);
    if (again != NULL) {
        manifest_encode(&manifest, again);
        INS_ASSERT(memcmp(again, data, size) == 0);
    }
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size);
    uint8_t *sealed = malloc(size + 1);
    if (sealed != NULL && size >= 72) {
        memcpy(sealed, data, size);
        memcpy(sealed, "INSULMAN\1\0\0\0", 12);
        store_u32(sealed + 12, (uint32_t)((size - 72) / 48));
        struct hash128 hash = hash128(sealed, size - 16);
        store_u64(sealed + size - 16, hash.low);
        store_u64(sealed + size - 8, hash.high);
        decode(sealed, size);
    }
    free(sealed);
    return 0;
}
