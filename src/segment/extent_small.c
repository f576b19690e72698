/* A small extent: its layout follows from the counts, it is built whole in writer->build. */
#include "segment/segment_private.h"

struct small_write {
    struct segment_writer *writer;
    const struct extent_source *source;
    const struct extent_counts *counts;
    bool wide;
};

/* ---- Layout ---- */

static void place(struct section_list *list, enum section_kind kind, uint32_t number,
                  uint16_t encoding, uint64_t size, uint64_t alignment, uint64_t *end) {
    uint64_t offset = align_up(*end, alignment);
    INS_ASSERT(list->count < EXTENT_SECTION_COUNT_MAX);
    list->items[list->count++] = (struct section){.present = true,
                                                  .kind = (uint16_t)kind,
                                                  .number = (uint16_t)number,
                                                  .encoding = encoding,
                                                  .offset = offset,
                                                  .size = size};
    *end = offset + size;
}

static void count_sections(const struct extent_source *source, const struct extent_counts *counts,
                           bool payload, uint32_t *out_count) {
    uint32_t count = (counts->rows != 0 ? 2u : 0u) + (counts->tombstones != 0 ? 1u : 0u) +
                     (payload ? 2u : 0u) + (counts->patches != 0 ? 1u : 0u);
    for (uint32_t i = 0; i < source->vector_count; i++) {
        count += counts->vectors[i] != 0;
        count += counts_need_rows(source, counts, i);
    }
    *out_count = count;
}

static void place_keys(struct section_list *list, const struct extent_counts *counts, bool wide,
                       uint64_t *end) {
    uint16_t version_encoding = wide ? ENCODING_U64 : ENCODING_U32;
    if (counts->rows != 0) {
        place(list, SECTION_IDS, 0, ENCODING_PLAIN, layout_ids_bytes(counts->rows, counts->numbers),
              8, end);
        place(list, SECTION_VERSIONS, 0, version_encoding,
              (uint64_t)counts->rows * version_encoding, 8, end);
    }
    if (counts->tombstones != 0) {
        uint64_t size =
            layout_tombstones_bytes(counts->tombstones, counts->tombstone_numbers, wide);
        place(list, SECTION_TOMBSTONES, 0, version_encoding, size, 8, end);
    }
}

uint64_t small_rows_layout(struct section_list *list, const struct extent_source *source,
                           const struct extent_counts *counts, uint64_t payload_bytes) {
    uint32_t section_count;
    count_sections(source, counts, payload_bytes != 0, &section_count);
    uint64_t end = layout_header_bytes(section_count, 0);
    list->count = 0;
    place_keys(list, counts, extent_is_wide(source), &end);
    for (uint32_t i = 0; i < source->vector_count; i++) {
        const struct vector_shape *shape = &source->vectors[i];
        if (counts->vectors[i] != 0) {
            place(list, SECTION_DENSE, shape->id, layout_encoding_of(shape->datatype),
                  (uint64_t)counts->vectors[i] * vector_bytes(shape), 64, &end);
            list->items[list->count - 1].multi = shape->multi != 0;
        }
    }
    if (payload_bytes != 0) {
        place(list, SECTION_PAYLOAD_OFFSETS, 0, ENCODING_U32,
              ((uint64_t)counts->rows + 1) * ENCODING_U32, 8, &end);
        place(list, SECTION_PAYLOAD, 0, ENCODING_PLAIN, payload_bytes, 8, &end);
    }
    if (counts->patches != 0) {
        place(list, SECTION_PATCHES, 0, ENCODING_U32, (uint64_t)counts->patches * 4, 8, &end);
    }
    for (uint32_t i = 0; i < source->vector_count; i++) {
        if (counts_need_rows(source, counts, i)) {
            place(list, SECTION_VECTOR_ROWS, source->vectors[i].id, ENCODING_U32,
                  (uint64_t)counts->vectors[i] * 4, 8, &end);
        }
    }
    INS_ASSERT(list->count == section_count);
    return align_up(end, 64);
}

/* ---- Contents ---- */

/* Where the section begins in writer->build; NULL when there is none. */
static uint8_t *place_of(const struct small_write *write, enum section_kind kind, uint32_t number) {
    const struct section_list *list = &write->writer->sections;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].kind == kind && list->items[i].number == number) {
            return write->writer->build + list->items[i].offset;
        }
    }
    return NULL;
}

static ins_status small_keys(const struct small_write *write, ins_error *error) {
    const struct extent_counts *counts = write->counts;
    uint8_t *ids = place_of(write, SECTION_IDS, 0);
    uint8_t *versions = place_of(write, SECTION_VERSIONS, 0);
    uint8_t *dead = place_of(write, SECTION_TOMBSTONES, 0);
    uint8_t *patched = place_of(write, SECTION_PATCHES, 0);
    uint64_t dead_ids_bytes =
        align_up(layout_ids_bytes(counts->tombstones, counts->tombstone_numbers), 8);
    struct source_walk walk;
    uint32_t rows = 0;
    uint32_t tombstones = 0;
    uint32_t patches = 0;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_KEYS, 0, error);
    while (status == INS_OK) {
        status = walk_next(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        uint64_t version = walk.row.version - write->source->version_low;
        if (walk.row.tombstone) {
            INS_ASSERT(tombstones < counts->tombstones);
            put_id_at(dead + layout_id_offset(counts->tombstone_numbers, tombstones), &walk.row.id);
            put_version_at(dead + dead_ids_bytes, write->wide, tombstones++, version);
        } else {
            INS_ASSERT(rows < counts->rows);
            if (walk.row.patch) {
                INS_ASSERT(patches < counts->patches);
                store_u32(patched + (size_t)patches++ * 4, rows);
            }
            put_id_at(ids + layout_id_offset(counts->numbers, rows), &walk.row.id);
            put_version_at(versions, write->wide, rows++, version);
        }
    }
    if (status == INS_OK) {
        INS_ASSERT(rows == counts->rows);
        INS_ASSERT(tombstones == counts->tombstones);
        INS_ASSERT(patches == counts->patches);
    }
    return status;
}

/* The values of the vector number `which` of the source, and the rows that have it. */
static ins_status small_vector(const struct small_write *write, uint32_t which, ins_error *error) {
    const struct vector_shape *shape = &write->source->vectors[which];
    uint32_t row_bytes = vector_bytes(shape), count = write->counts->vectors[which], put = 0;
    uint8_t *to = place_of(write, SECTION_DENSE, shape->id);
    uint8_t *rows = place_of(write, SECTION_VECTOR_ROWS, shape->id);
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_VECTOR, which, error);
    for (uint32_t row = 0; status == INS_OK; row++) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        if (walk.row.vector == NULL) {
            continue;
        }
        INS_ASSERT(walk.row.vector_rows <= count - put);
        memcpy(to + (size_t)put * row_bytes, walk.row.vector,
               (size_t)walk.row.vector_rows * row_bytes);
        for (uint32_t i = 0; rows != NULL && i < walk.row.vector_rows; i++) {
            store_u32(rows + (size_t)(put + i) * 4, row);
        }
        put += walk.row.vector_rows;
    }
    INS_ASSERT(status != INS_OK || put == count);
    return status;
}

static ins_status small_payload(const struct small_write *write, ins_error *error) {
    uint8_t *offsets = place_of(write, SECTION_PAYLOAD_OFFSETS, 0);
    uint8_t *to = place_of(write, SECTION_PAYLOAD, 0);
    uint64_t used = 0;
    struct source_walk walk;
    ins_status status = walk_begin(&walk, write->source, EXTENT_NEED_PAYLOAD, 0, error);
    for (uint32_t row = 0; status == INS_OK; row++) {
        store_u32(offsets + (uint64_t)row * 4, (uint32_t)used);
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            INS_ASSERT(status != INS_OK || row == write->counts->rows);
            break;
        }
        struct slice payload = walk.row.payload;
        INS_ASSERT(row < write->counts->rows);
        if (payload.size != 0) {
            memcpy(to + used, payload.data, payload.size);
        }
        used += payload.size;
    }
    return status;
}

ins_status small_rows_write(struct segment_writer *writer, const struct extent_source *source,
                            const struct extent_counts *counts, uint64_t size, struct run *out_run,
                            ins_error *error) {
    struct small_write write = {
        .writer = writer, .source = source, .counts = counts, .wide = extent_is_wide(source)};
    memset(writer->build, 0, size);
    (void)extent_header_put(writer->build, source, counts, &writer->sections, true, 0, size);
    ins_status status = small_keys(&write, error);
    for (uint32_t i = 0; i < source->vector_count && status == INS_OK; i++) {
        if (counts->vectors[i] != 0) {
            status = small_vector(&write, i, error);
        }
    }
    if (status == INS_OK && place_of(&write, SECTION_PAYLOAD, 0) != NULL) {
        status = small_payload(&write, error);
    }
    if (status != INS_OK) {
        return status;
    }
    return extent_finish_small(writer, source, counts, size, out_run, error);
}
