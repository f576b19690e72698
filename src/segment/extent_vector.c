/* One vector's sections of an extent: which rows have it, and where its values lie. */
#include "segment/segment_private.h"

bool extent_vector(const struct extent *extent, uint32_t id, struct extent_vector *out) {
    uint32_t slot = extent_slot(extent, SECTION_DENSE, id);
    if (slot == SLOT_NONE) {
        return false;
    }
    uint32_t rows_slot = extent_slot(extent, SECTION_VECTOR_ROWS, id);
    struct section values = extent_slot_section(extent, slot);
    uint32_t count = extent->row_count;
    if (rows_slot != SLOT_NONE) {
        count = (uint32_t)(extent_slot_section(extent, rows_slot).size / 4);
    }
    uint32_t row_bytes = (uint32_t)(values.size / count); /* extent_parse has seen to it */
    *out = (struct extent_vector){.slot = slot,
                                  .rows_slot = rows_slot,
                                  .count = count,
                                  .row_bytes = row_bytes,
                                  .multi = values.multi,
                                  .rows_per_chunk =
                                      extent->small ? count : values.chunk_bytes / row_bytes};
    return true;
}

static uint32_t row_at(const struct chunks *rows, uint32_t position) {
    uint64_t offset = (uint64_t)position * 4;
    uint64_t chunk = offset / rows->chunk_bytes;
    INS_ASSERT(chunk < rows->chunk_count);
    return load_u32(rows->chunks[chunk] + offset % rows->chunk_bytes);
}

uint32_t extent_vector_row(const struct extent *extent, const struct extent_vector *vector,
                           const struct chunks *rows, uint32_t position) {
    INS_ASSERT(position < vector->count);
    if (vector->rows_slot == SLOT_NONE) {
        return position;
    }
    uint32_t row = row_at(rows, position);
    return row < extent->row_count ? row : extent->row_count;
}

/* The first position from `begin` on whose row number is `row` or above. */
static uint32_t lower_bound(const struct extent_vector *vector, const struct chunks *rows,
                            uint32_t begin, uint64_t row) {
    uint32_t end = vector->count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (row_at(rows, middle) < row) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

bool extent_vector_position(const struct extent_vector *vector, const struct chunks *rows,
                            uint32_t row, uint32_t *out_position) {
    if (vector->rows_slot == SLOT_NONE) {
        *out_position = row;
        return row < vector->count;
    }
    *out_position = lower_bound(vector, rows, 0, row);
    return *out_position < vector->count && row_at(rows, *out_position) == row;
}

uint32_t extent_vector_run(const struct extent_vector *vector, const struct chunks *rows,
                           uint32_t position) {
    INS_ASSERT(position < vector->count);
    if (!vector->multi) {
        return 1;
    }
    uint64_t row = row_at(rows, position);
    uint32_t end = lower_bound(vector, rows, position, row + 1);
    return end > position ? end - position : 1; /* of bytes that are no row numbers: some */
}
