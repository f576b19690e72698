/* Point ids: numbers before UUIDs, each in ascending order. */
#ifndef INS_BASE_ID_H
#define INS_BASE_ID_H

#include "base/hash.h"
#include "insula.h"

static inline int id_compare(const ins_id *left, const ins_id *right) {
    if (left->is_uuid != right->is_uuid) {
        return left->is_uuid ? 1 : -1;
    }
    if (left->high != right->high) {
        return left->high < right->high ? -1 : 1;
    }
    if (left->low != right->low) {
        return left->low < right->low ? -1 : 1;
    }
    return 0;
}

static inline bool id_equal(const ins_id *left, const ins_id *right) {
    return left->low == right->low && left->high == right->high && left->is_uuid == right->is_uuid;
}

static inline ins_id id_number(uint64_t number) {
    return (ins_id){.low = number};
}

/* The smallest id behind `id`: numbers before UUIDs. False behind the last UUID. */
bool id_after(const ins_id *id, ins_id *out);

/* The same value in every process and version: filters on disk are built from it. */
static inline uint64_t id_hash(const ins_id *id) {
    return hash_u64(id->low + hash_u64(id->high + (id->is_uuid ? 0x9e3779b97f4a7c15ull : 0)));
}

#define ID_TEXT_MAX 40

/* "42" or "f47ac10b-58cc-4372-a567-0e02b2c3d479", terminated; returns its length. */
size_t id_format(const ins_id *id, char out[static ID_TEXT_MAX]);

/* A UUID as Qdrant takes it: hyphenated, 32 hex digits, "urn:uuid:..." or in braces. */
bool id_parse_uuid(const char *text, size_t size, ins_id *out);

#endif
