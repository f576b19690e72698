/* What is read of an extent beside what is asked for, and how long it stays. */
#include "tenant/reader_private.h"

enum cache_class reader_class(const struct reader *reader, uint32_t slot) {
    if (reader_keeps(reader)) {
        return CACHE_KEPT;
    }
    bool index = (reader->island->flags & ISLAND_DIRECTORY) != 0 && slot != SECTION_DIRECTORY;
    return index ? CACHE_INDEX : CACHE_DATA;
}

enum cache_class reader_chunk_class(const struct reader *reader, const struct extent *extent,
                                    uint32_t slot) {
    if (reader_keeps(reader)) {
        return CACHE_KEPT;
    }
    switch (extent_slot_section(extent, slot).kind) {
    case SECTION_DENSE:
    case SECTION_PAYLOAD:
        return CACHE_RAW;
    case SECTION_PIECES:
        return CACHE_INDEX;
    default:
        return reader_class(reader, slot);
    }
}

/* An extent of so many bytes is read whole when its header was not at hand: one more read (of some
 * 70 us, and as long again until two threads were woken) takes longer than these bytes. */
#define WHOLE_BYTES (256u << 10)

static bool is_payload(enum section_kind kind) {
    return kind == SECTION_PAYLOAD || kind == SECTION_PAYLOAD_OFFSETS;
}

bool reader_bring_rest(struct reader *reader, const struct extent *extent) {
    struct cache *cache = reader->context->cache;
    bool directory = (reader->island->flags & ISLAND_DIRECTORY) != 0; /* one block answers there */
    if (extent->small || extent->size > WHOLE_BYTES || directory || reader->waiter == NULL) {
        return false;
    }
    bool brought = false, is_short = cache_is_short(cache);
    reader->waiter->owns = reader_owns(reader);
    for (uint32_t i = 0; i < extent->section_count; i++) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
        enum section_kind kind = (enum section_kind)section.kind;
        uint32_t slot = extent_slot(extent, kind, section.number);
        for (uint32_t chunk = 0; chunk < section.chunk_count; chunk++) {
            struct block_key key = extent_chunk(extent, slot, chunk);
            if (!is_short || !is_payload(kind)) {
                brought |= cache_bring(cache, &key, reader_chunk_class(reader, extent, slot),
                                       reader->waiter);
            }
        }
    }
    return brought;
}
