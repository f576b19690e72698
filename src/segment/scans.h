/* 1-bit codes of large extents: for one vector a head and blocks of 16 rows' codes with factors; of
 * most vectors 4-bit codes too, for a second look. Format: docs/FORMATS.md "Scan codes".
 *
 * Row i of the codes belongs to value i of the vector's dense section. Blocks lie in chunks of a
 * power of two of them; behind a chunk's blocks lie the 4-bit codes of its rows. Damage of codes
 * hides no row: who meets it scans the values. */
#ifndef INS_SEGMENT_SCANS_H
#define INS_SEGMENT_SCANS_H

#include "index/code4_bound.h"
#include "index/scan_view.h"
#include "segment/segment.h"

/* Which codes a source wants; whether they come depends on how many rows have the vector. */
struct extent_scan {
    uint32_t vector; /* of source->vectors */
    enum index_metric metric;
    bool unit;          /* values are brought to a length of one before: bytes of a cosine */
    bool both;          /* 4-bit codes too */
    uint64_t bytes_min; /* of the values: below it there are no codes */
    uint64_t seed;      /* of the rotation */
};

/* Slots of one vector's codes. */
struct scan_slots {
    uint32_t head, codes;
    bool both; /* 4-bit codes too */
};
/* False when the extent has no codes of the vector. */
bool extent_scan(const struct extent *extent, uint32_t vector_id, struct scan_slots *out);

/* Above, 4-bit codes of 16 rows are no small part of a chunk. */
#define SCAN_BOTH_DIM_MAX 8192u
#define SCAN_HEAD_BYTES 32u
static inline uint32_t scan_head_bytes(uint32_t dim) {
    return SCAN_HEAD_BYTES + dim * 4;
}
static inline uint32_t scan_block_bytes(uint32_t dim) {
    return (uint32_t)code1_block_bytes(code1_words(padded_dim(dim)));
}
/* How codes lie in the chunks of their section. */
struct scan_layout {
    uint32_t block_bytes; /* of CODE1_ROWS rows */
    uint32_t fine_bytes;  /* of a row's 4-bit code; 0: there are none */
    uint32_t chunk_rows;  /* a power of two of blocks */
    uint32_t chunk_bytes; /* of all chunks but the last */
};
struct scan_layout scan_layout_of(uint32_t dim, bool both);
/* Of the whole section, of so many rows. */
uint64_t scan_layout_bytes(const struct scan_layout *layout, uint64_t rows);
/* Where the 4-bit code of row `row` of a chunk of `rows` rows begins. */
static inline uint32_t scan_layout_fine(const struct scan_layout *layout, uint32_t rows,
                                        uint32_t row) {
    return (rows + CODE1_ROWS - 1) / CODE1_ROWS * layout->block_bytes + row * layout->fine_bytes;
}
/* `bytes` is the section, aligned to 4, and borrowed. False when it is no head of codes of `count`
 * values of `dim` finite numbers. */
bool scan_head_parse(struct slice bytes, uint32_t dim, uint32_t count, struct scan_head *out,
                     bool *out_unit);

#endif
