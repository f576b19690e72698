/* Rows of one size in blocks of a power of two of them, from the arena or borrowed. */
#ifndef INS_INDEX_ROW_BLOCKS_H
#define INS_INDEX_ROW_BLOCKS_H

#include "mem/mem.h"

#define ROW_BLOCK_BYTES (512u << 10) /* rows lie in blocks of at most this: chunks of a file */

struct row_blocks {
    uint8_t **blocks;
    uint32_t block_count, shift;
    size_t stride, block_bytes; /* block_bytes 0: borrowed */
};

/* The most rows of `stride` bytes that a block holds: a power of two; of its binary logarithm. */
static inline uint32_t row_blocks_shift(size_t stride) {
    uint32_t shift = 0;
    while (shift < 31 && (stride << (shift + 1)) <= ROW_BLOCK_BYTES) {
        shift++;
    }
    return shift;
}

static inline void *row_at(const struct row_blocks *rows, uint32_t row) {
    size_t in_block = row & ((1u << rows->shift) - 1);
    return rows->blocks[row >> rows->shift] + in_block * rows->stride;
}

/* How `count` rows lie: in one block where they fit, else in blocks of the usual size. */
struct row_blocks row_blocks_plan(size_t stride, uint32_t count);
/* False, and nothing taken, when memory is short. Not zeroed. */
bool row_blocks_make(struct arena *arena, enum ins_mem_purpose purpose, size_t stride,
                     uint32_t count, struct row_blocks *out);
/* Takes empty and borrowed ones, which it leaves alone. */
void row_blocks_free(struct arena *arena, enum ins_mem_purpose purpose, struct row_blocks *rows);

#endif
