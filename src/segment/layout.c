/* Layout: where things lie in an extent and how large they are, as functions of counts alone. The
 * writer follows them and the reader demands them, so the two cannot drift apart. */
#include "segment/graphs.h"
#include "segment/segment_private.h"

_Static_assert(GRAPH_BLOCK_BYTES == INS_CHUNK_BYTES, "a graph walks over chunks");

uint64_t layout_id_offset(uint32_t numbers, uint32_t index) {
    if (index < numbers) {
        return (uint64_t)index * 8;
    }
    return align_up((uint64_t)numbers * 8, 16) + (uint64_t)(index - numbers) * 16;
}

uint64_t layout_ids_bytes(uint32_t count, uint32_t numbers) {
    INS_ASSERT(numbers <= count);
    return count == numbers ? (uint64_t)numbers * 8 : layout_id_offset(numbers, count);
}

uint64_t layout_tombstones_bytes(uint32_t count, uint32_t numbers, bool wide) {
    return align_up(layout_ids_bytes(count, numbers), 8) + (uint64_t)count * (wide ? 8 : 4);
}

uint32_t layout_chunk_bytes(enum section_kind kind) {
    INS_ASSERT(kind != SECTION_DENSE);
    if (kind == SECTION_DIRECTORY_INDEX) {
        return INS_CHUNK_BYTES / DIRECTORY_INDEX_BYTES * DIRECTORY_INDEX_BYTES;
    }
    return INS_CHUNK_BYTES;
}

uint32_t layout_vector_chunk_bytes(uint32_t row_bytes) {
    INS_ASSERT(row_bytes > 0);
    INS_ASSERT(row_bytes <= INS_CHUNK_BYTES);
    return INS_CHUNK_BYTES / row_bytes * row_bytes;
}

static uint64_t piece_count(uint32_t bytes, uint32_t chunk_bytes, uint64_t size) {
    uint64_t per_chunk = (chunk_bytes + bytes - 1) / bytes;
    return size / chunk_bytes * per_chunk + (size % chunk_bytes + bytes - 1) / bytes;
}

uint32_t layout_piece_bytes(uint32_t row_bytes, uint64_t size) {
    uint32_t chunk_bytes = layout_vector_chunk_bytes(row_bytes);
    uint32_t bytes = row_bytes < PIECE_BYTES ? PIECE_BYTES / row_bytes * row_bytes : row_bytes;
    while (bytes < chunk_bytes && piece_count(bytes, chunk_bytes, size) > PIECE_COUNT_MAX) {
        bytes = bytes * 2 < chunk_bytes ? bytes * 2 : chunk_bytes;
    }
    return bytes;
}

uint64_t layout_piece_count(uint32_t row_bytes, uint64_t size) {
    return piece_count(layout_piece_bytes(row_bytes, size), layout_vector_chunk_bytes(row_bytes),
                       size);
}

uint32_t layout_graph_chunk_bytes(uint32_t row_bytes) {
    return row_bytes << row_blocks_shift(row_bytes);
}

uint16_t layout_encoding_of(uint32_t datatype) {
    return (uint16_t)datatype_bytes(datatype);
}

uint32_t layout_encoding_bytes(uint16_t encoding) {
    bool known = encoding == datatype_bytes(INS_FLOAT32) ||
                 encoding == datatype_bytes(INS_FLOAT16) || encoding == datatype_bytes(INS_UINT8);
    return known ? encoding : 0;
}

/* Small chunks, since a lookup reads one; but few enough for the header's table of hashes. */
uint32_t layout_directory_chunk_bytes(uint32_t row_count) {
    uint32_t chunk_bytes = 16u << 10;
    while (chunk_bytes < INS_CHUNK_BYTES && (uint64_t)row_count * 24 / chunk_bytes > 65536) {
        chunk_bytes *= 2;
    }
    return chunk_bytes;
}

bool layout_is_small(uint64_t size, uint64_t rows_and_tombstones) {
    return size <= INS_SMALL_EXTENT_BYTES ||
           (rows_and_tombstones < INS_SMALL_EXTENT_ROWS && size <= INS_SMALL_EXTENT_BYTES_MAX);
}

uint64_t layout_place(uint64_t end, uint64_t size, bool small) {
    if (!small) {
        return align_up(end, SEGMENT_PAGE);
    }
    uint64_t place = align_up(end, 64);
    bool crosses = place / SEGMENT_PAGE != (place + size - 1) / SEGMENT_PAGE;
    return size < SEGMENT_PAGE && crosses ? align_up(place, SEGMENT_PAGE) : place;
}

uint64_t layout_header_bytes(uint32_t section_count, uint32_t hash_count) {
    return EXTENT_HEADER_BYTES + (uint64_t)section_count * EXTENT_SECTION_BYTES +
           (uint64_t)hash_count * 8;
}
