/* Copies an extent as it is into another file: for cleaning. */
#ifndef INS_SEGMENT_EXTENT_COPY_H
#define INS_SEGMENT_EXTENT_COPY_H

#include "segment/read_ahead.h"
#include "segment/segment.h"

#define EXTENT_COPY_FIRST_BYTES ((1u << 20) + (8u << 10)) /* a small extent, or a header */
#define EXTENT_COPY_CHUNK_BYTES (INS_CHUNK_BYTES + (8u << 10))

struct extent_copy {
    ins_store *store;
    struct arena *arena;
    struct read_ahead *ahead;
    uint8_t *first, *chunk;
    void (*between)(void *context); /* chunks of a large extent: others may go first; or NULL */
    void *context;
};

/* Buffers of 1.5 MiB, INS_MEM_JOB. INS_EXHAUSTED without. */
INS_MUST_USE ins_status extent_copy_init(struct extent_copy *copy, ins_store *store,
                                         struct arena *arena, struct read_ahead *ahead,
                                         ins_error *error);
void extent_copy_fini(struct extent_copy *copy); /* takes one whose init failed */
/* The extent of `entry` in file `file` becomes the writer's next one, in the writer's order. An
 * entry without bytes stays one. *out_run: its new place (file_slot 0). INS_CORRUPT when a block
 * does not match its hash. */
INS_MUST_USE ins_status extent_copy(struct extent_copy *copy, struct segment_writer *writer,
                                    const struct run_entry *entry, uint64_t file,
                                    struct run *out_run, ins_error *error);

#endif
