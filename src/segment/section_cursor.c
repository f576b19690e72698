/* A section read from front to back for the check, one verified chunk at a time. */
#include "segment/segment_private.h"

#define CURSOR_BUFFER_BYTES (INS_CHUNK_BYTES + SEGMENT_READ_SLACK)

ins_status section_cursor_open(struct section_cursor *cursor, struct check *check,
                               const struct extent *extent, uint32_t slot, const char *what,
                               ins_error *error) {
    *cursor = (struct section_cursor){.check = check,
                                      .extent = extent,
                                      .slot = slot,
                                      .section = extent_slot_section(extent, slot),
                                      .what = what,
                                      .chunk = UINT32_MAX};
    if (extent->small || !cursor->section.present) {
        return INS_OK;
    }
    cursor->buffer = arena_alloc(check->arena, INS_MEM_JOB, CURSOR_BUFFER_BYTES);
    return cursor->buffer == NULL ? segment_out_of_memory(CURSOR_BUFFER_BYTES, error) : INS_OK;
}

/* The chunk at hand; NULL and reported when it is damaged. */
static const uint8_t *cursor_load(struct section_cursor *cursor, uint32_t chunk) {
    if (cursor->chunk == chunk) {
        return cursor->bytes;
    }
    cursor->chunk = chunk;
    if (cursor->extent->small) {
        cursor->bytes = extent_section(cursor->extent, cursor->slot).data;
        return cursor->bytes;
    }
    struct block_key key = extent_chunk(cursor->extent, cursor->slot, chunk);
    if (!check_block(cursor->check, &key, cursor->what, cursor->buffer, &cursor->bytes)) {
        cursor->bytes = NULL;
        cursor->failed = true;
    }
    return cursor->bytes;
}

const uint8_t *section_cursor_at(struct section_cursor *cursor, uint64_t offset, uint32_t size) {
    const struct section *section = &cursor->section;
    INS_ASSERT(offset + size <= section->size);
    uint32_t chunk = (uint32_t)(offset / section->chunk_bytes);
    uint32_t in_chunk = (uint32_t)(offset % section->chunk_bytes);
    INS_ASSERT(in_chunk + size <= section->chunk_bytes);
    const uint8_t *bytes = cursor_load(cursor, chunk);
    return bytes == NULL ? NULL : bytes + in_chunk;
}

/* Chunks that the walk has not come to, because it stopped at damage or looks at none, are verified
 * now; so all of them have been. */
void section_cursor_close(struct section_cursor *cursor) {
    const struct section *section = &cursor->section;
    bool readable = section->present && (cursor->extent->small || cursor->buffer != NULL);
    if (readable) {
        uint32_t next = cursor->chunk == UINT32_MAX ? 0 : cursor->chunk + 1;
        for (uint32_t chunk = next; chunk < section->chunk_count; chunk++) {
            (void)cursor_load(cursor, chunk);
        }
    }
    arena_free(cursor->check->arena, INS_MEM_JOB, cursor->buffer, CURSOR_BUFFER_BYTES);
}
