/* Small blocks of a few files, read in rising order: a merge of many small islands visits each of
 * its input files from front to back, and one read of 256 KiB serves some hundred of them. */
#ifndef INS_SEGMENT_READ_AHEAD_H
#define INS_SEGMENT_READ_AHEAD_H

#include "segment/segment.h"

#define READ_AHEAD_BYTES (256u << 10)
#define READ_AHEAD_FILES                                                                           \
    20u /* a merge takes up to 17 runs of an island; those of its like lie in the same files */

struct read_ahead {
    ins_store *store;
    struct arena *arena;
    struct read_ahead_window {
        uint64_t file, begin;
        uint32_t size; /* bytes at hand; 0 = none */
        uint64_t used; /* when it served last */
        uint8_t *buffer;
    } windows[READ_AHEAD_FILES];
    uint64_t clock;
};

void read_ahead_init(struct read_ahead *ahead, ins_store *store, struct arena *arena);
void read_ahead_fini(struct read_ahead *ahead);
/* `size` bytes at `begin` (both multiples of STORE_ALIGN) into `out`. Large pieces, and all when
 * there is no memory for a window (INS_MEM_JOB), are read directly. */
INS_MUST_USE ins_status read_ahead_get(struct read_ahead *ahead, uint64_t file, uint64_t begin,
                                       size_t size, uint8_t *out, ins_error *error);
/* Reads a block through `ahead` (NULL: by itself) into `buffer`, which holds its size and two pages
 * more, and verifies it: *out points into buffer. */
INS_MUST_USE ins_status segment_read_block(ins_store *store, struct read_ahead *ahead,
                                           const struct block_key *key, uint8_t *buffer,
                                           const uint8_t **out, ins_error *error);

#endif
