#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/memory_private.h"

uint64_t memory_random(struct memory_store *store, uint64_t bound) {
    INS_ASSERT(bound > 0);
    store->random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    return hash_u64(store->random_state) % bound;
}

ins_status memory_call(struct memory_store *store, bool is_write, const char *what,
                       ins_error *error) {
    struct memory_faults *faults = &store->faults;
    faults->calls++;
    faults->write_calls += is_write ? 1 : 0;
    if (faults->fail_call == 0 || (faults->only_writes && !is_write)) {
        return INS_OK;
    }
    uint64_t call = faults->only_writes ? faults->write_calls : faults->calls;
    if (call < faults->fail_call || (call > faults->fail_call && !faults->sticky)) {
        return INS_OK;
    }
    return ins_fail(error, faults->status, "injected failure of call %llu: %s",
                    (unsigned long long)call, what);
}

bool memory_bytes_init(struct memory_bytes *bytes, size_t size) {
    *bytes = (struct memory_bytes){.size = size};
    if (size == 0) {
        return true;
    }
    bytes->seen = calloc(1, size);
    bytes->durable = calloc(1, size);
    if (bytes->seen == NULL || bytes->durable == NULL) {
        memory_bytes_fini(bytes);
        return false;
    }
    return true;
}

void memory_bytes_fini(struct memory_bytes *bytes) {
    free(bytes->seen);
    free(bytes->durable);
    *bytes = (struct memory_bytes){0};
}

bool memory_bytes_grow(struct memory_bytes *bytes, size_t size) {
    if (size <= bytes->size) {
        return true;
    }
    struct memory_bytes larger;
    if (!memory_bytes_init(&larger, size)) {
        return false;
    }
    if (bytes->size > 0) {
        memcpy(larger.seen, bytes->seen, bytes->size);
        memcpy(larger.durable, bytes->durable, bytes->size);
    }
    memory_bytes_fini(bytes);
    *bytes = larger;
    return true;
}

void memory_bytes_write(struct memory_bytes *bytes, size_t offset, const void *data, size_t size) {
    INS_ASSERT(offset <= bytes->size && size <= bytes->size - offset);
    if (size > 0) {
        memcpy(bytes->seen + offset, data, size);
        memcpy(bytes->durable + offset, data, size);
    }
}

void memory_bytes_tear(struct memory_store *store, struct memory_bytes *bytes, size_t offset,
                       const void *data, size_t size) {
    INS_ASSERT(offset <= bytes->size && size <= bytes->size - offset);
    const uint8_t *from = data;
    /* All, nothing, a prefix (a short write), or any choice. */
    uint64_t manner = memory_random(store, 4);
    size_t sectors = (size + SECTOR_BYTES - 1) / SECTOR_BYTES;
    size_t prefix = sectors == 0 ? 0 : (size_t)memory_random(store, sectors + 1);
    for (size_t i = 0; i < sectors; i++) {
        bool arrives = manner == 0 || (manner == 2 && i < prefix) ||
                       (manner == 3 && memory_random(store, 2) == 0);
        if (arrives) {
            size_t at = i * SECTOR_BYTES;
            size_t piece = size - at < SECTOR_BYTES ? size - at : SECTOR_BYTES;
            memcpy(bytes->seen + offset + at, from + at, piece);
        }
    }
}

void memory_bytes_crash(struct memory_store *store, struct memory_bytes *bytes, size_t unit) {
    for (size_t at = 0; at < bytes->size; at += unit) {
        size_t piece = bytes->size - at < unit ? bytes->size - at : unit;
        if (memcmp(bytes->seen + at, bytes->durable + at, piece) == 0) {
            continue;
        }
        if (memory_random(store, 2) == 0) {
            memcpy(bytes->durable + at, bytes->seen + at, piece);
        } else {
            memcpy(bytes->seen + at, bytes->durable + at, piece);
        }
    }
}

void memory_bytes_settle(struct memory_bytes *bytes) {
    if (bytes->size > 0) {
        memcpy(bytes->durable, bytes->seen, bytes->size);
    }
}

bool memory_bytes_flip(struct memory_bytes *bytes, uint64_t offset, uint8_t mask) {
    if (offset >= bytes->size) {
        return false;
    }
    bytes->seen[offset] ^= mask;
    bytes->durable[offset] ^= mask;
    return true;
}

bool memory_bytes_cut(struct memory_bytes *bytes, uint64_t size) {
    if (size > bytes->size) {
        return false;
    }
    bytes->size = (size_t)size;
    return true;
}
