/* Copying an extent into another file, byte for byte: every block is verified on the way, and what
 * lies between blocks is zero in both. Places inside an extent count from its start, so nothing in
 * it changes. */
#include "segment/extent_copy.h"

#include "segment/segment_private.h"

/* One section, chunk by chunk. `table` is its entry in the header's table. */
static ins_status copy_section(struct extent_copy *copy, struct segment_writer *writer,
                               const struct extent *extent, const uint8_t *table, uint64_t start,
                               ins_error *error) {
    uint64_t offset = load_u64(table + 8), size = load_u64(table + 16);
    uint32_t chunk_bytes = load_u32(table + 32), first_hash = load_u32(table + 36);
    ins_status status = sink_zero_to(writer, start + offset, error);
    for (uint64_t at = 0; at < size && status == INS_OK; at += chunk_bytes) {
        uint64_t left = size - at;
        struct block_key key = {.file = extent->file,
                                .offset = extent->offset + offset + at,
                                .size = left < chunk_bytes ? (uint32_t)left : chunk_bytes,
                                .hash =
                                    load_u64(extent->hashes + 8 * (first_hash + at / chunk_bytes))};
        const uint8_t *bytes;
        if (copy->between != NULL) {
            copy->between(copy->context);
        }
        status = segment_read_block(copy->store, copy->ahead, &key, copy->chunk, &bytes, error);
        if (status == INS_OK) {
            status = sink_put(writer, bytes, key.size, error);
        }
    }
    return status;
}

/* The section that begins first at `from` or behind; NULL: none. */
static const uint8_t *next_section(const uint8_t *header, uint64_t from) {
    const uint8_t *next = NULL;
    for (uint32_t i = 0; i < load_u16(header + 68); i++) {
        const uint8_t *table = header + EXTENT_HEADER_BYTES + (size_t)i * EXTENT_SECTION_BYTES;
        uint64_t offset = load_u64(table + 8);
        if (offset >= from && (next == NULL || offset < load_u64(next + 8))) {
            next = table;
        }
    }
    return next;
}

static ins_status copy_large(struct extent_copy *copy, struct segment_writer *writer,
                             const struct extent *extent, uint32_t header_bytes, uint64_t start,
                             ins_error *error) {
    uint64_t from = 0;
    ins_status status = INS_OK;
    const uint8_t *table = next_section(extent->header, 0);
    for (; table != NULL && status == INS_OK; table = next_section(extent->header, from)) {
        status = copy_section(copy, writer, extent, table, start, error);
        from = load_u64(table + 8) + load_u64(table + 16);
    }
    if (status == INS_OK) {
        status = sink_zero_to(writer, start + extent->size - header_bytes, error);
    }
    return status == INS_OK ? sink_put(writer, extent->header, header_bytes, error) : status;
}

ins_status extent_copy(struct extent_copy *copy, struct segment_writer *writer,
                       const struct run_entry *entry, uint64_t file, struct run *out_run,
                       ins_error *error) {
    struct block_key key;
    struct run run = entry->run;
    run.offset_64 = 0;
    if (!run_first_block(&entry->run, file, &key)) {
        *out_run = run;
        return segment_writer_entry(writer, entry, &run, error);
    }
    const uint8_t *bytes;
    struct extent extent;
    ins_status status =
        segment_read_block(copy->store, copy->ahead, &key, copy->first, &bytes, error);
    if (status == INS_OK) {
        status = extent_parse(&entry->run, file, (struct slice){.data = bytes, .size = key.size},
                              entry->incarnation, &extent, error);
    }
    if (status != INS_OK) {
        return status;
    }
    uint64_t start = layout_place(writer->end, extent.size, extent.small);
    status = sink_zero_to(writer, start, error);
    if (status == INS_OK) {
        status = extent.small ? sink_put(writer, bytes, key.size, error)
                              : copy_large(copy, writer, &extent, key.size, start, error);
    }
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(writer->end == start + extent.size);
    run.offset_64 = (uint32_t)(start / 64);
    *out_run = run;
    return segment_writer_entry(writer, entry, &run, error);
}

ins_status extent_copy_init(struct extent_copy *copy, ins_store *store, struct arena *arena,
                            struct read_ahead *ahead, ins_error *error) {
    *copy = (struct extent_copy){.store = store, .arena = arena, .ahead = ahead};
    copy->first = arena_alloc(arena, INS_MEM_JOB, EXTENT_COPY_FIRST_BYTES);
    copy->chunk = arena_alloc(arena, INS_MEM_JOB, EXTENT_COPY_CHUNK_BYTES);
    if (copy->first == NULL || copy->chunk == NULL) {
        extent_copy_fini(copy);
        return segment_out_of_memory(EXTENT_COPY_FIRST_BYTES, error);
    }
    return INS_OK;
}

void extent_copy_fini(struct extent_copy *copy) {
    arena_free(copy->arena, INS_MEM_JOB, copy->first, EXTENT_COPY_FIRST_BYTES);
    arena_free(copy->arena, INS_MEM_JOB, copy->chunk, EXTENT_COPY_CHUNK_BYTES);
    copy->first = NULL;
    copy->chunk = NULL;
}
_Static_assert(EXTENT_COPY_FIRST_BYTES >= INS_SMALL_EXTENT_BYTES_MAX + SEGMENT_READ_SLACK, "");
_Static_assert(EXTENT_COPY_FIRST_BYTES >= EXTENT_HEADER_BYTES_MAX + SEGMENT_READ_SLACK, "");
_Static_assert(EXTENT_COPY_CHUNK_BYTES >= INS_CHUNK_BYTES + SEGMENT_READ_SLACK, "");
