/* Writing an island's extent: small ones are made whole in memory, large ones section by section.
 *
 * Path: the counts are known. What cannot be small goes to write_large; else the payload is
 * measured, and the extent built in place when it is small after all. Passes over the source:
 * keys, (payload), ids with versions and tombstones or one pass each, vectors, payload, offsets.
 * Payload stands before its offsets in a large extent, since their width follows from its size. */
#include "segment/segment_private.h"

#define PAYLOAD_SIZES_BYTES (1u << 20)

struct rows_write {
    struct segment_writer *writer;
    const struct extent_source *source;
    const struct extent_counts *counts;
    bool wide;
    uint64_t payload_bytes;
    uint64_t start; /* of a large extent in the file */
    struct section sections[SECTION_SLOTS];
    uint32_t *sizes; /* [rows] of payloads; NULL when there are too many rows to keep them */
};

/* ---- Small ------------------------------------------------------------------------------------
 */

static void small_section(struct rows_write *write, enum section_kind kind, uint16_t encoding,
                          uint64_t size, uint64_t alignment, uint64_t *end) {
    uint64_t offset = align_up(*end, alignment);
    write->sections[kind] =
        (struct section){.present = true, .encoding = encoding, .offset = offset, .size = size};
    *end = offset + size;
}

/* Where everything lies when the extent is small; returns its size. */
static uint64_t small_layout(struct rows_write *write) {
    const struct extent_counts *counts = write->counts;
    uint32_t dim = write->source->dim;
    bool rows = counts->rows != 0;
    bool vectors = rows && dim != 0;
    bool payload = write->payload_bytes != 0;
    uint16_t version_encoding = write->wide ? ENCODING_U64 : ENCODING_U32;
    uint32_t section_count = (rows ? 2u : 0u) + (counts->tombstones != 0 ? 1u : 0u) +
                             (vectors ? 1u : 0u) + (payload ? 2u : 0u);
    uint64_t end = layout_header_bytes(section_count, 0);
    memset(write->sections, 0, sizeof(write->sections));
    if (rows) {
        small_section(write, SECTION_IDS, ENCODING_PLAIN,
                      layout_ids_bytes(counts->rows, counts->numbers), 8, &end);
        small_section(write, SECTION_VERSIONS, version_encoding,
                      (uint64_t)counts->rows * version_encoding, 8, &end);
    }
    if (counts->tombstones != 0) {
        uint64_t size =
            layout_tombstones_bytes(counts->tombstones, counts->tombstone_numbers, write->wide);
        small_section(write, SECTION_TOMBSTONES, version_encoding, size, 8, &end);
    }
    if (vectors) {
        small_section(write, SECTION_DENSE, ENCODING_F32,
                      (uint64_t)counts->rows * dim * sizeof(float), 64, &end);
    }
    if (payload) {
        small_section(write, SECTION_PAYLOAD_OFFSETS, ENCODING_U32,
                      ((uint64_t)counts->rows + 1) * ENCODING_U32, 8, &end);
        small_section(write, SECTION_PAYLOAD, ENCODING_PLAIN, write->payload_bytes, 8, &end);
    }
    return align_up(end, 64);
}

static void put_id_at(uint8_t *at, const ins_id *id) {
    if (id->is_uuid) {
        store_u64(at, id->high);
        at += 8;
    }
    store_u64(at, id->low);
}

static void put_version_at(uint8_t *base, bool wide, uint32_t index, uint64_t version) {
    if (wide) {
        store_u64(base + (uint64_t)index * 8, version);
    } else {
        store_u32(base + (uint64_t)index * 4, (uint32_t)version);
    }
}

static ins_status small_keys(struct rows_write *write, ins_error *error) {
    const struct extent_counts *counts = write->counts;
    uint8_t *build = write->writer->build;
    uint8_t *ids = build + write->sections[SECTION_IDS].offset;
    uint8_t *versions = build + write->sections[SECTION_VERSIONS].offset;
    uint8_t *dead = build + write->sections[SECTION_TOMBSTONES].offset;
    uint8_t *dead_versions =
        dead + align_up(layout_ids_bytes(counts->tombstones, counts->tombstone_numbers), 8);
    struct source_walk walk;
    uint32_t rows = 0;
    uint32_t tombstones = 0;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, error);
    while (status == INS_OK) {
        status = walk_next(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        uint64_t version = walk.row.version - write->source->version_low;
        if (walk.row.tombstone) {
            INS_ASSERT(tombstones < counts->tombstones);
            put_id_at(dead + layout_id_offset(counts->tombstone_numbers, tombstones), &walk.row.id);
            put_version_at(dead_versions, write->wide, tombstones++, version);
        } else {
            INS_ASSERT(rows < counts->rows);
            put_id_at(ids + layout_id_offset(counts->numbers, rows), &walk.row.id);
            put_version_at(versions, write->wide, rows++, version);
        }
    }
    if (status == INS_OK) {
        INS_ASSERT(rows == counts->rows);
        INS_ASSERT(tombstones == counts->tombstones);
    }
    return status;
}

/* The next row that is no tombstone. */
static ins_status walk_live(struct source_walk *walk, ins_error *error) {
    ins_status status;
    do {
        status = walk_next(walk, error);
    } while (status == INS_OK && !walk->end && walk->row.tombstone);
    return status;
}

static ins_status small_vectors(struct rows_write *write, ins_error *error) {
    size_t row_bytes = write->source->dim * sizeof(float);
    uint8_t *to = write->writer->build + write->sections[SECTION_DENSE].offset;
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_VECTOR, error);
    for (uint32_t row = 0; status == INS_OK; row++) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            INS_ASSERT(status != INS_OK || row == write->counts->rows);
            break;
        }
        INS_ASSERT(row < write->counts->rows);
        INS_ASSERT(walk.row.vector != NULL);
        memcpy(to + row * row_bytes, walk.row.vector, row_bytes);
    }
    return status;
}

static ins_status small_payload(struct rows_write *write, ins_error *error) {
    uint8_t *offsets = write->writer->build + write->sections[SECTION_PAYLOAD_OFFSETS].offset;
    uint8_t *to = write->writer->build + write->sections[SECTION_PAYLOAD].offset;
    uint64_t used = 0;
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_PAYLOAD, error);
    for (uint32_t row = 0; status == INS_OK; row++) {
        store_u32(offsets + (uint64_t)row * 4, (uint32_t)used);
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            INS_ASSERT(status != INS_OK || row == write->counts->rows);
            break;
        }
        struct slice payload = walk.row.payload;
        INS_ASSERT(row < write->counts->rows);
        INS_ASSERT(payload.size <= write->payload_bytes - used);
        if (payload.size != 0) {
            memcpy(to + used, payload.data, payload.size);
        }
        used += payload.size;
    }
    INS_ASSERT(status != INS_OK || used == write->payload_bytes);
    return status;
}

static ins_status write_small(struct rows_write *write, uint64_t size, struct run *out_run,
                              ins_error *error) {
    struct segment_writer *writer = write->writer;
    memset(writer->build, 0, size);
    (void)extent_header_put(writer->build, write->source, write->counts, write->sections, true, 0,
                            size);
    ins_status status = small_keys(write, error);
    if (status == INS_OK && write->sections[SECTION_DENSE].present) {
        status = small_vectors(write, error);
    }
    if (status == INS_OK && write->payload_bytes != 0) {
        status = small_payload(write, error);
    }
    if (status != INS_OK) {
        return status;
    }
    return extent_finish_small(writer, write->source, write->counts, size, out_run, error);
}

/* ---- Large ------------------------------------------------------------------------------------
 */

enum key_part { PART_IDS, PART_VERSIONS };

/* One pass: ids or versions, of rows or of tombstones, into the stream. */
static ins_status put_keys(struct rows_write *write, struct section_stream *stream, bool tombstones,
                           enum key_part part, ins_error *error) {
    const struct extent_counts *counts = write->counts;
    uint32_t expected = tombstones ? counts->tombstones : counts->rows;
    uint32_t numbers = tombstones ? counts->tombstone_numbers : counts->numbers;
    uint32_t seen = 0;
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, error);
    while (status == INS_OK) {
        status = walk_next(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        if (walk.row.tombstone != tombstones) {
            continue;
        }
        INS_ASSERT(seen < expected);
        uint8_t word[16];
        size_t size = write->wide ? 8 : 4;
        if (part == PART_IDS) {
            INS_ASSERT(walk.row.id.is_uuid == (seen >= numbers));
            if (seen == numbers && numbers % 2 != 0) {
                status = stream_zero(stream, 8, error);
            }
            put_id_at(word, &walk.row.id);
            size = walk.row.id.is_uuid ? 16 : 8;
        } else {
            put_version_at(word, write->wide, 0, walk.row.version - write->source->version_low);
        }
        if (status == INS_OK) {
            status = stream_put(stream, word, size, error);
        }
        seen++;
    }
    INS_ASSERT(status != INS_OK || seen == expected);
    return status;
}

static ins_status section_begin(struct rows_write *write, struct section_stream *stream,
                                enum section_kind kind, uint16_t encoding, uint64_t size,
                                ins_error *error) {
    uint32_t chunk_bytes = layout_chunk_bytes(kind, write->source->dim);
    return stream_begin(stream, write->writer, write->start, encoding, chunk_bytes, size, error);
}

static ins_status large_keys(struct rows_write *write, ins_error *error) {
    const struct extent_counts *counts = write->counts;
    uint16_t encoding = write->wide ? ENCODING_U64 : ENCODING_U32;
    struct section_stream stream;
    uint64_t size = layout_ids_bytes(counts->rows, counts->numbers);
    ins_status status = section_begin(write, &stream, SECTION_IDS, ENCODING_PLAIN, size, error);
    if (status == INS_OK) {
        status = put_keys(write, &stream, false, PART_IDS, error);
    }
    if (status == INS_OK) {
        status = stream_end(&stream, &write->sections[SECTION_IDS], error);
    }
    if (status == INS_OK) {
        size = (uint64_t)counts->rows * encoding;
        status = section_begin(write, &stream, SECTION_VERSIONS, encoding, size, error);
    }
    if (status == INS_OK) {
        status = put_keys(write, &stream, false, PART_VERSIONS, error);
    }
    if (status == INS_OK) {
        status = stream_end(&stream, &write->sections[SECTION_VERSIONS], error);
    }
    return status;
}

static ins_status large_tombstones(struct rows_write *write, ins_error *error) {
    const struct extent_counts *counts = write->counts;
    uint16_t encoding = write->wide ? ENCODING_U64 : ENCODING_U32;
    uint64_t size =
        layout_tombstones_bytes(counts->tombstones, counts->tombstone_numbers, write->wide);
    struct section_stream stream;
    ins_status status = section_begin(write, &stream, SECTION_TOMBSTONES, encoding, size, error);
    if (status == INS_OK) {
        status = put_keys(write, &stream, true, PART_IDS, error);
    }
    if (status == INS_OK) {
        status = put_keys(write, &stream, true, PART_VERSIONS, error);
    }
    if (status == INS_OK) {
        status = stream_end(&stream, &write->sections[SECTION_TOMBSTONES], error);
    }
    return status;
}

static ins_status large_vectors(struct rows_write *write, ins_error *error) {
    size_t row_bytes = write->source->dim * sizeof(float);
    struct section_stream stream;
    ins_status status = section_begin(write, &stream, SECTION_DENSE, ENCODING_F32,
                                      write->counts->rows * row_bytes, error);
    struct source_walk walk;
    if (status == INS_OK) {
        status = walk_begin(&walk, write->source, EXTENT_NEED_VECTOR, error);
    }
    for (uint32_t row = 0; status == INS_OK; row++) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            INS_ASSERT(status != INS_OK || row == write->counts->rows);
            break;
        }
        INS_ASSERT(row < write->counts->rows);
        INS_ASSERT(walk.row.vector != NULL);
        status = stream_put(&stream, walk.row.vector, row_bytes, error);
    }
    return status == INS_OK ? stream_end(&stream, &write->sections[SECTION_DENSE], error) : status;
}

static ins_status large_payload(struct rows_write *write, ins_error *error) {
    struct section_stream stream;
    ins_status status = section_begin(write, &stream, SECTION_PAYLOAD, ENCODING_PLAIN, 0, error);
    struct source_walk walk;
    if (status == INS_OK) {
        status = walk_begin(&walk, write->source, EXTENT_NEED_PAYLOAD, error);
    }
    write->payload_bytes = 0;
    for (uint32_t row = 0; status == INS_OK; row++) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        if (write->sizes != NULL) {
            INS_ASSERT(row < write->counts->rows);
            INS_ASSERT(walk.row.payload.size <= UINT32_MAX);
            write->sizes[row] = (uint32_t)walk.row.payload.size;
        }
        write->payload_bytes += walk.row.payload.size;
        status = stream_put(&stream, walk.row.payload.data, walk.row.payload.size, error);
    }
    return status == INS_OK ? stream_end(&stream, &write->sections[SECTION_PAYLOAD], error)
                            : status;
}

/* The sizes of the rows' payloads in order: kept, or from one more pass. */
struct payload_sizes {
    const uint32_t *kept;
    uint32_t row, count;
    struct source_walk walk;
};

static ins_status sizes_begin(struct payload_sizes *sizes, const struct rows_write *write,
                              ins_error *error) {
    sizes->kept = write->sizes;
    sizes->row = 0;
    sizes->count = write->counts->rows;
    return sizes->kept != NULL
               ? INS_OK
               : walk_begin(&sizes->walk, write->source, EXTENT_NEED_PAYLOAD, error);
}

static ins_status sizes_next(struct payload_sizes *sizes, uint64_t *out_size, ins_error *error) {
    INS_ASSERT(sizes->row < sizes->count);
    if (sizes->kept != NULL) {
        *out_size = sizes->kept[sizes->row++];
        return INS_OK;
    }
    ins_status status = walk_live(&sizes->walk, error);
    if (status == INS_OK) {
        INS_ASSERT(!sizes->walk.end);
        sizes->row++;
        *out_size = sizes->walk.row.payload.size;
    }
    return status;
}

static ins_status large_offsets(struct rows_write *write, ins_error *error) {
    uint32_t rows = write->counts->rows;
    uint16_t encoding = write->payload_bytes <= UINT32_MAX ? ENCODING_U32 : ENCODING_U64;
    struct section_stream stream;
    struct payload_sizes sizes;
    ins_status status = section_begin(write, &stream, SECTION_PAYLOAD_OFFSETS, encoding,
                                      ((uint64_t)rows + 1) * encoding, error);
    if (status == INS_OK) {
        status = sizes_begin(&sizes, write, error);
    }
    uint64_t offset = 0;
    for (uint64_t row = 0; row <= rows && status == INS_OK; row++) {
        uint8_t word[8]; /* low bytes first: the first four are the u32 */
        store_u64(word, offset);
        status = stream_put(&stream, word, encoding, error);
        uint64_t size = 0;
        if (row < rows && status == INS_OK) {
            status = sizes_next(&sizes, &size, error);
        }
        offset += size;
    }
    INS_ASSERT(status != INS_OK || offset == write->payload_bytes);
    return status == INS_OK ? stream_end(&stream, &write->sections[SECTION_PAYLOAD_OFFSETS], error)
                            : status;
}

/* Sizes are kept while they cost at most 1 MiB and memory is there, so that payloads, which a merge
 * reads from files, are read once. */
static ins_status large_payloads(struct rows_write *write, ins_error *error) {
    struct arena *arena = write->writer->arena;
    size_t size = write->counts->rows * sizeof(uint32_t);
    write->sizes = size <= PAYLOAD_SIZES_BYTES ? arena_alloc(arena, INS_MEM_JOB, size) : NULL;
    ins_status status = large_payload(write, error);
    if (status == INS_OK && write->sections[SECTION_PAYLOAD].present) {
        status = large_offsets(write, error);
    }
    arena_free(arena, INS_MEM_JOB, write->sizes, size);
    write->sizes = NULL;
    return status;
}

static ins_status write_large(struct rows_write *write, struct run *out_run, ins_error *error) {
    struct segment_writer *writer = write->writer;
    const struct extent_counts *counts = write->counts;
    memset(write->sections, 0, sizeof(write->sections));
    writer->hash_count = 0;
    write->start = layout_place(writer->end, 0, false);
    ins_status status = sink_zero_to(writer, write->start, error);
    if (status == INS_OK && counts->rows != 0) {
        status = large_keys(write, error);
    }
    if (status == INS_OK && counts->tombstones != 0) {
        status = large_tombstones(write, error);
    }
    if (status == INS_OK && counts->rows != 0 && write->source->dim != 0) {
        status = large_vectors(write, error);
    }
    if (status == INS_OK && counts->rows != 0) {
        status = large_payloads(write, error);
    }
    if (status != INS_OK) {
        return status;
    }
    return extent_finish_large(writer, write->source, counts, write->sections, write->start,
                               out_run, error);
}

/* ---- Choice ------------------------------------------------------------------------------------
 */

/* Payload bytes of all rows, or some number above INS_SMALL_EXTENT_BYTES_MAX. */
static ins_status measure_payload(struct rows_write *write, ins_error *error) {
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_PAYLOAD, error);
    write->payload_bytes = 0;
    while (status == INS_OK && write->payload_bytes <= INS_SMALL_EXTENT_BYTES_MAX) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        write->payload_bytes += walk.row.payload.size;
    }
    return status;
}

ins_status extent_write_rows(struct segment_writer *writer, const struct extent_source *source,
                             const struct extent_counts *counts, struct run *out_run,
                             ins_error *error) {
    struct rows_write write = {
        .writer = writer,
        .source = source,
        .counts = counts,
        .wide = extent_is_wide(source),
    };
    uint64_t row_count = (uint64_t)counts->rows + counts->tombstones;
    uint64_t size = small_layout(&write);
    if (layout_is_small(size, row_count) && counts->rows != 0) {
        ins_status status = measure_payload(&write, error);
        if (status != INS_OK) {
            return status;
        }
        size = small_layout(&write);
    }
    return layout_is_small(size, row_count) ? write_small(&write, size, out_run, error)
                                            : write_large(&write, out_run, error);
}
