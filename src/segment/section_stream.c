/* Sections of large extents on their way to the file, and the header behind them.
 *
 * Path: stream_begin, stream_put as often as it takes, stream_end; then extent_finish_large. The
 * header stands last, so one pass over the data gives both the bytes and their hashes.
 * Invariant: one section is open at a time; it owns writer->build. */
#include "segment/segment_private.h"

static ins_status hashes_add(struct segment_writer *writer, uint64_t hash, ins_error *error) {
    if (writer->hash_count == writer->hash_capacity) {
        if (writer->hash_capacity >= EXTENT_HASHES_MAX) {
            return ins_fail(error, INS_FULL, "an extent of more than %zu chunks",
                            (size_t)EXTENT_HASHES_MAX);
        }
        uint32_t capacity = writer->hash_capacity == 0 ? 512 : writer->hash_capacity * 2;
        capacity = capacity < EXTENT_HASHES_MAX ? capacity : (uint32_t)EXTENT_HASHES_MAX;
        uint64_t *hashes = arena_alloc(writer->arena, INS_MEM_JOB, capacity * sizeof(*hashes));
        if (hashes == NULL) {
            return segment_out_of_memory(capacity * sizeof(*hashes), error);
        }
        if (writer->hashes != NULL) {
            memcpy(hashes, writer->hashes, writer->hash_count * sizeof(*hashes));
            arena_free(writer->arena, INS_MEM_JOB, writer->hashes,
                       writer->hash_capacity * sizeof(*hashes));
        }
        writer->hashes = hashes;
        writer->hash_capacity = capacity;
    }
    writer->hashes[writer->hash_count++] = hash;
    return INS_OK;
}

ins_status stream_begin(struct section_stream *stream, struct segment_writer *writer,
                        uint64_t extent_start, const struct section *section, uint64_t size,
                        ins_error *error) {
    INS_ASSERT(section->chunk_bytes <= INS_CHUNK_BYTES);
    bool page = size == 0 || size > INS_SMALL_EXTENT_BYTES;
    ins_status status =
        sink_zero_to(writer, align_up(writer->end, page ? SEGMENT_PAGE : 64), error);
    *stream = (struct section_stream){.writer = writer, .section = *section};
    stream->section.present = true;
    stream->section.offset = writer->end - extent_start;
    stream->section.first_hash = writer->hash_count;
    return status;
}

static ins_status stream_flush(struct section_stream *stream, ins_error *error) {
    struct segment_writer *writer = stream->writer;
    ins_status status = hashes_add(writer, hash64(writer->build, stream->used), error);
    if (status != INS_OK) {
        return status;
    }
    if (stream->pieces != NULL) {
        piece_write_chunk(stream->pieces, writer->build, stream->used);
    }
    stream->section.size += stream->used;
    stream->section.chunk_count++;
    size_t size = stream->used;
    stream->used = 0;
    return sink_put(writer, writer->build, size, error);
}

ins_status stream_put(struct section_stream *stream, const void *data, size_t size,
                      ins_error *error) {
    const uint8_t *from = data;
    uint32_t chunk_bytes = stream->section.chunk_bytes;
    while (size > 0) {
        if (stream->used == chunk_bytes) {
            ins_status status = stream_flush(stream, error);
            if (status != INS_OK) {
                return status;
            }
        }
        size_t room = chunk_bytes - stream->used;
        size_t part = size < room ? size : room;
        memcpy(stream->writer->build + stream->used, from, part);
        stream->used += (uint32_t)part;
        from += part;
        size -= part;
    }
    return INS_OK;
}

ins_status stream_zero(struct section_stream *stream, size_t size, ins_error *error) {
    static const uint8_t zeros[16];
    INS_ASSERT(size <= sizeof(zeros));
    return stream_put(stream, zeros, size, error);
}

ins_status stream_end(struct section_stream *stream, ins_error *error) {
    ins_status status = stream->used == 0 ? INS_OK : stream_flush(stream, error);
    if (status == INS_OK && stream->section.size != 0) {
        section_list_add(&stream->writer->sections, &stream->section);
    }
    return status;
}

/* ---- Header ---------------------------------------------------------------------------------- */

static uint32_t section_order(const struct section *section) {
    return (uint32_t)section->kind << 16 | section->number;
}

void section_list_add(struct section_list *list, const struct section *section) {
    uint32_t at = list->count;
    INS_ASSERT(list->count < EXTENT_SECTION_COUNT_MAX);
    for (; at > 0 && section_order(&list->items[at - 1]) > section_order(section); at--) {
        list->items[at] = list->items[at - 1];
    }
    INS_ASSERT(at == 0 || section_order(&list->items[at - 1]) < section_order(section));
    list->items[at] = *section;
    list->count++;
}

static void section_put(uint8_t *to, const struct section *section, bool small) {
    memset(to, 0, EXTENT_SECTION_BYTES);
    store_u16(to, section->kind);
    store_u16(to + 2, section->number);
    store_u16(to + 4, section->encoding);
    store_u16(to + 6, section->multi ? SECTION_FLAG_MULTI : 0);
    store_u64(to + 8, section->offset);
    store_u64(to + 16, section->size);
    store_u32(to + 32, small ? 0 : section->chunk_bytes);
    store_u32(to + 36, small ? 0 : section->first_hash);
}

size_t extent_header_put(uint8_t *out, const struct extent_source *source,
                         const struct extent_counts *counts, const struct section_list *sections,
                         bool small, uint32_t hash_count, uint64_t extent_size) {
    uint8_t *table = out + EXTENT_HEADER_BYTES;
    for (uint32_t i = 0; i < sections->count; i++) {
        section_put(table + (size_t)i * EXTENT_SECTION_BYTES, &sections->items[i], small);
    }
    memset(out, 0, EXTENT_HEADER_BYTES);
    store_u32(out, EXTENT_MAGIC);
    store_u16(out + 4, SEGMENT_FORMAT);
    store_u16(out + 6, (uint16_t)((small ? EXTENT_SMALL : 0u) |
                                  (extent_is_wide(source) ? EXTENT_WIDE_VERSIONS : 0u) |
                                  (source->directory ? EXTENT_DIRECTORY : 0u)));
    store_u64(out + 8, source->incarnation);
    store_u64(out + 16, source->version_low);
    store_u64(out + 24, source->version_high);
    store_u32(out + 32, source->partition_version);
    store_u32(out + 36, source->schema_version);
    store_u32(out + 44, counts->rows);
    store_u32(out + 48, counts->numbers);
    store_u32(out + 52, counts->tombstones);
    store_u32(out + 56, counts->tombstone_numbers);
    store_u32(out + 60, counts->patches);
    store_u32(out + 64, hash_count);
    store_u16(out + 68, (uint16_t)sections->count);
    store_u64(out + 72, extent_size);
    return EXTENT_HEADER_BYTES + sections->count * EXTENT_SECTION_BYTES;
}

/* The header holds the hashes in the order of its table, which need not be the file's: each section
 * learns its new first one. */
static uint8_t *put_hashes(struct segment_writer *writer, uint8_t *at) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < writer->sections.count; s++) {
        struct section *section = &writer->sections.items[s];
        for (uint32_t i = 0; i < section->chunk_count; i++) {
            store_u64(at, writer->hashes[section->first_hash + i]);
            at += 8;
        }
        section->first_hash = count;
        count += section->chunk_count;
    }
    INS_ASSERT(count == writer->hash_count);
    return at;
}

ins_status extent_finish_large(struct segment_writer *writer, const struct extent_source *source,
                               const struct extent_counts *counts, uint64_t start,
                               struct run *out_run, ins_error *error) {
    uint32_t section_count = writer->sections.count, hash_count = writer->hash_count;
    ins_status status = sink_zero_to(writer, align_up(writer->end, 64), error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t header_size = align_up(layout_header_bytes(section_count, hash_count), 64);
    INS_ASSERT(header_size <= EXTENT_HEADER_BYTES_MAX);
    uint64_t size = writer->end - start + header_size;
    uint8_t *header = writer->build;
    uint8_t *end = put_hashes(writer, header + layout_header_bytes(section_count, 0));
    (void)extent_header_put(header, source, counts, &writer->sections, false, hash_count, size);
    memset(end, 0, header_size - (size_t)(end - header));
    writer->hash_count = 0;
    INS_ASSERT(start % 64 == 0);
    INS_ASSERT((start + size) / 64 <= UINT32_MAX);
    *out_run = (struct run){
        .offset_64 = (uint32_t)(start / 64),
        .size_64 = (uint32_t)(size / 64),
        .rows = counts->rows,
        .tombstones = counts->tombstones,
        .flags = (source->directory ? RUN_DIRECTORY : 0u) |
                 (source->graph_count > 0 ? RUN_GRAPH : 0u) |
                 (uint32_t)(header_size / 64) << RUN_HEADER_SHIFT,
        .hash = hash64(header, header_size),
    };
    return sink_put(writer, header, header_size, error);
}

ins_status extent_finish_small(struct segment_writer *writer, const struct extent_source *source,
                               const struct extent_counts *counts, uint64_t size,
                               struct run *out_run, ins_error *error) {
    INS_ASSERT(size % 64 == 0);
    INS_ASSERT(size <= INS_SMALL_EXTENT_BYTES_MAX);
    uint64_t start = layout_place(writer->end, size, true);
    ins_status status = sink_zero_to(writer, start, error);
    if (status != INS_OK) {
        return status;
    }
    *out_run = (struct run){
        .offset_64 = (uint32_t)(start / 64),
        .size_64 = (uint32_t)(size / 64),
        .rows = counts->rows,
        .tombstones = counts->tombstones,
        .flags = RUN_SMALL | (source->directory ? RUN_DIRECTORY : 0u),
        .hash = hash64(writer->build, size),
    };
    return sink_put(writer, writer->build, size, error);
}
