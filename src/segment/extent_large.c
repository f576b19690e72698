/* A large extent: section after section, each from a pass over the source of its own.
 *
 * Passes: ids, versions, tombstones, patches, each vector's values (and hashes of their pieces),
 * rows and, where they are wanted, its values again for 1-bit codes, graphs (which the source has
 * made), payload, offsets, field indexes. Payload stands before its offsets, since their width
 * follows from its size. */
#include "segment/segment_private.h"

#define PAYLOAD_SIZES_BYTES (1u << 20)

struct large_write {
    struct segment_writer *writer;
    const struct extent_source *source;
    const struct extent_counts *counts;
    bool wide;
    uint64_t payload_bytes;
    uint64_t start;  /* of the extent in the file */
    uint32_t *sizes; /* [rows] of payloads; NULL when there are too many rows to keep them */
};

enum key_part { PART_IDS, PART_VERSIONS };

/* One pass: ids or versions, of rows or of tombstones, into the stream. */
static ins_status put_keys(struct large_write *write, struct section_stream *stream,
                           bool tombstones, enum key_part part, ins_error *error) {
    const struct extent_counts *counts = write->counts;
    uint32_t expected = tombstones ? counts->tombstones : counts->rows;
    uint32_t numbers = tombstones ? counts->tombstone_numbers : counts->numbers;
    uint32_t seen = 0;
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, 0, error);
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

static ins_status section_begin(struct large_write *write, struct section_stream *stream,
                                enum section_kind kind, uint16_t encoding, uint64_t size,
                                ins_error *error) {
    struct section section = {
        .kind = (uint16_t)kind, .encoding = encoding, .chunk_bytes = layout_chunk_bytes(kind)};
    return stream_begin(stream, write->writer, write->start, &section, size, error);
}

static ins_status large_keys(struct large_write *write, ins_error *error) {
    const struct extent_counts *counts = write->counts;
    uint16_t encoding = write->wide ? ENCODING_U64 : ENCODING_U32;
    struct section_stream stream;
    uint64_t size = layout_ids_bytes(counts->rows, counts->numbers);
    ins_status status = section_begin(write, &stream, SECTION_IDS, ENCODING_PLAIN, size, error);
    if (status == INS_OK) {
        status = put_keys(write, &stream, false, PART_IDS, error);
    }
    if (status == INS_OK) {
        status = stream_end(&stream, error);
    }
    if (status == INS_OK) {
        size = (uint64_t)counts->rows * encoding;
        status = section_begin(write, &stream, SECTION_VERSIONS, encoding, size, error);
    }
    if (status == INS_OK) {
        status = put_keys(write, &stream, false, PART_VERSIONS, error);
    }
    if (status == INS_OK) {
        status = stream_end(&stream, error);
    }
    return status;
}

static ins_status large_tombstones(struct large_write *write, ins_error *error) {
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
        status = stream_end(&stream, error);
    }
    return status;
}

static ins_status large_patches(struct large_write *write, ins_error *error) {
    uint32_t put = 0;
    struct section_stream stream;
    struct source_walk walk;
    ins_status status = section_begin(write, &stream, SECTION_PATCHES, ENCODING_U32,
                                      (uint64_t)write->counts->patches * 4, error);
    if (status == INS_OK) {
        status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, 0, error);
    }
    for (uint32_t row = 0; status == INS_OK; row++) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        if (walk.row.patch) {
            uint8_t word[4];
            store_u32(word, row);
            status = stream_put(&stream, word, sizeof(word), error);
            put++;
        }
    }
    INS_ASSERT(status != INS_OK || put == write->counts->patches);
    return status == INS_OK ? stream_end(&stream, error) : status;
}

/* Values of the vector number `which` of the source. */
static ins_status vector_values(struct large_write *write, uint32_t which, struct scan_write *scan,
                                struct piece_write *pieces, ins_error *error) {
    const struct vector_shape *shape = &write->source->vectors[which];
    uint32_t row_bytes = vector_bytes(shape), put = 0;
    struct section section = {.kind = SECTION_DENSE,
                              .number = shape->id,
                              .encoding = layout_encoding_of(shape->datatype),
                              .multi = shape->multi != 0,
                              .chunk_bytes = layout_vector_chunk_bytes(row_bytes)};
    struct section_stream stream;
    ins_status status = stream_begin(&stream, write->writer, write->start, &section,
                                     (uint64_t)write->counts->vectors[which] * row_bytes, error);
    stream.pieces = pieces;
    struct source_walk walk;
    if (status == INS_OK) {
        status = walk_begin(&walk, write->source, EXTENT_NEED_VECTOR, which, error);
    }
    while (status == INS_OK) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        if (walk.row.vector != NULL) {
            INS_ASSERT(walk.row.vector_rows <= write->counts->vectors[which] - put);
            scan_write_see(scan, walk.row.vector, walk.row.vector_rows);
            status = stream_put(&stream, walk.row.vector, (size_t)walk.row.vector_rows * row_bytes,
                                error);
            put += walk.row.vector_rows;
        }
    }
    INS_ASSERT(status != INS_OK || put == write->counts->vectors[which]);
    return status == INS_OK ? stream_end(&stream, error) : status;
}

/* The row of each value. */
static ins_status vector_rows(struct large_write *write, uint32_t which, ins_error *error) {
    struct section section = {.kind = SECTION_VECTOR_ROWS,
                              .number = write->source->vectors[which].id,
                              .encoding = ENCODING_U32,
                              .chunk_bytes = layout_chunk_bytes(SECTION_VECTOR_ROWS)};
    struct section_stream stream;
    ins_status status = stream_begin(&stream, write->writer, write->start, &section,
                                     (uint64_t)write->counts->vectors[which] * 4, error);
    struct source_walk walk;
    if (status == INS_OK) {
        status = walk_begin(&walk, write->source, EXTENT_NEED_PRESENCE, which, error);
    }
    for (uint32_t row = 0; status == INS_OK; row++) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        uint8_t word[4];
        store_u32(word, row);
        for (uint32_t i = 0; i < walk.row.vector_rows && status == INS_OK; i++) {
            status = stream_put(&stream, word, sizeof(word), error);
        }
    }
    return status == INS_OK ? stream_end(&stream, error) : status;
}

static ins_status large_vector(struct large_write *write, uint32_t which, ins_error *error) {
    uint32_t count = write->counts->vectors[which];
    struct scan_write scan;
    struct piece_write pieces;
    const struct vector_shape *shape = &write->source->vectors[which];
    uint32_t row_bytes = vector_bytes(shape);
    scan_write_begin(&scan, write->writer->arena, write->source, which, count);
    piece_write_begin(&pieces, write->writer->arena, row_bytes, (uint64_t)count * row_bytes,
                      write->source->piece_bytes_min);
    ins_status status = vector_values(write, which, &scan, &pieces, error);
    if (status == INS_OK) {
        status = piece_write_section(&pieces, write->writer, write->start, shape->id, error);
    }
    piece_write_end(&pieces);
    if (status == INS_OK && counts_need_rows(write->source, write->counts, which)) {
        status = vector_rows(write, which, error);
    }
    if (status == INS_OK && scan.scan != NULL) {
        status = scan_write_codes(&scan, write->writer, write->start, write->source, error);
    }
    scan_write_end(&scan);
    return status;
}

static ins_status large_vectors(struct large_write *write, ins_error *error) {
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < write->source->vector_count && status == INS_OK; i++) {
        if (write->counts->vectors[i] != 0) {
            status = large_vector(write, i, error);
        }
    }
    return status;
}

static ins_status large_payload(struct large_write *write, ins_error *error) {
    struct section_stream stream;
    ins_status status = section_begin(write, &stream, SECTION_PAYLOAD, ENCODING_PLAIN, 0, error);
    struct source_walk walk;
    if (status == INS_OK) {
        status = walk_begin(&walk, write->source, EXTENT_NEED_PAYLOAD, 0, error);
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
    return status == INS_OK ? stream_end(&stream, error) : status;
}

/* The sizes of the rows' payloads in order: kept, or from one more pass. */
struct payload_sizes {
    const uint32_t *kept;
    uint32_t row, count;
    struct source_walk walk;
};

static ins_status sizes_begin(struct payload_sizes *sizes, const struct large_write *write,
                              ins_error *error) {
    sizes->kept = write->sizes;
    sizes->row = 0;
    sizes->count = write->counts->rows;
    return sizes->kept != NULL
               ? INS_OK
               : walk_begin(&sizes->walk, write->source, EXTENT_NEED_PAYLOAD, 0, error);
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

static ins_status large_offsets(struct large_write *write, ins_error *error) {
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
    return status == INS_OK ? stream_end(&stream, error) : status;
}

/* Sizes are kept while they cost at most 1 MiB and memory is there, so that payloads, which a merge
 * reads from files, are read once. */
static ins_status large_payloads(struct large_write *write, ins_error *error) {
    struct arena *arena = write->writer->arena;
    size_t size = write->counts->rows * sizeof(uint32_t);
    write->sizes = size <= PAYLOAD_SIZES_BYTES ? arena_alloc(arena, INS_MEM_JOB, size) : NULL;
    ins_status status = large_payload(write, error);
    if (status == INS_OK && write->payload_bytes != 0) {
        status = large_offsets(write, error);
    }
    arena_free(arena, INS_MEM_JOB, write->sizes, size);
    write->sizes = NULL;
    return status;
}

/* Field indexes, as far as there is memory to make them. */
static ins_status large_fields(struct large_write *write, ins_error *error) {
    const struct extent_source *source = write->source;
    ins_status status = INS_OK;
    bool written = true;
    for (uint32_t i = 0; i < source->column_table_count && written && status == INS_OK; i++) {
        status = fields_write(write->writer, write->start, source, write->counts->rows, i, &written,
                              error);
    }
    return status;
}

ins_status large_rows_write(struct segment_writer *writer, const struct extent_source *source,
                            const struct extent_counts *counts, struct run *out_run,
                            ins_error *error) {
    struct large_write write = {.writer = writer,
                                .source = source,
                                .counts = counts,
                                .wide = extent_is_wide(source),
                                .start = layout_place(writer->end, 0, false)};
    writer->sections.count = 0;
    writer->hash_count = 0;
    ins_status status = sink_zero_to(writer, write.start, error);
    if (status == INS_OK && counts->rows != 0) {
        status = large_keys(&write, error);
    }
    if (status == INS_OK && counts->tombstones != 0) {
        status = large_tombstones(&write, error);
    }
    if (status == INS_OK && counts->patches != 0) {
        status = large_patches(&write, error);
    }
    if (status == INS_OK && counts->rows != 0) {
        status = large_vectors(&write, error);
    }
    if (status == INS_OK) {
        status = graphs_write(writer, write.start, source, counts, error);
    }
    if (status == INS_OK && counts->rows != 0) {
        status = large_payloads(&write, error);
    }
    if (status == INS_OK && write.payload_bytes != 0) {
        status = large_fields(&write, error);
    }
    if (status != INS_OK) {
        return status;
    }
    return extent_finish_large(writer, source, counts, write.start, out_run, error);
}
