/* 1-bit codes of large extents: for one vector a head and blocks of 16 rows' codes with factors.
 * Format: docs/FORMATS.md "Scan codes".
 *
 * Row i of the codes belongs to value i of the vector's dense section. Blocks lie in chunks of a
 * power of two of them. Damage of codes hides no row: who meets it scans the values. */
#ifndef INS_SEGMENT_SCANS_H
#define INS_SEGMENT_SCANS_H

#include "index/scan_view.h"
#include "segment/segment.h"

/* Which codes a source wants; whether they come depends on how many rows have the vector. */
struct extent_scan {
    uint32_t vector; /* of source->vectors */
    enum index_metric metric;
    bool unit;          /* values are brought to a length of one before: bytes of a cosine */
    uint64_t bytes_min; /* of the values: below it there are no codes */
    uint64_t seed;      /* of the rotation */
};

/* Slots of one vector's codes. */
struct scan_slots {
    uint32_t head, codes;
};
/* False when the extent has no codes of the vector. */
bool extent_scan(const struct extent *extent, uint32_t vector_id, struct scan_slots *out);

#define SCAN_HEAD_BYTES 32u
static inline uint32_t scan_head_bytes(uint32_t dim) {
    return SCAN_HEAD_BYTES + dim * 4;
}
static inline uint32_t scan_block_bytes(uint32_t dim) {
    return (uint32_t)code1_block_bytes(code1_words(padded_dim(dim)));
}
/* Blocks in one chunk, a power of two. */
uint32_t scan_blocks_per_chunk(uint32_t dim);
/* `bytes` is the section, aligned to 4, and borrowed. False when it is no head of codes of `count`
 * values of `dim` finite numbers. */
bool scan_head_parse(struct slice bytes, uint32_t dim, uint32_t count, struct scan_head *out,
                     bool *out_unit);

#endif
