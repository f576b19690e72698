/* Writing and finding the sections of 1-bit codes. */
#include "segment/scans.h"

#include <math.h>
#include <string.h>

#include "index/row_blocks.h"
#include "segment/segment_private.h"

/* ---- Writing ---- */

static uint32_t values_bytes(uint32_t dim) {
    return (dim * (uint32_t)sizeof(float) + 7) & ~7u;
}

/* One piece of memory for all: some 40 bytes a dimension, and a chunk's 4-bit codes. */
static bool take_memory(struct scan_write *write) {
    uint32_t dim = write->shape->dim, padded = padded_dim(dim);
    const struct scan_layout *layout = &write->layout;
    size_t sums = dim * sizeof(double), block = layout->block_bytes;
    size_t fine = (size_t)layout->chunk_rows * layout->fine_bytes;
    write->memory_bytes = sums + 2 * (size_t)values_bytes(dim) + padded * sizeof(float) +
                          rotation_signs(dim) * sizeof(float) + block + fine;
    uint8_t *at = arena_alloc_zero(write->arena, INS_MEM_JOB, write->memory_bytes);
    if (at == NULL) {
        return false;
    }
    write->sums = (double *)(void *)at;
    at += sums;
    write->block = at; /* of whole 8 bytes */
    at += block;
    write->values = (float *)(void *)at;
    at += values_bytes(dim);
    write->centre = (float *)(void *)at;
    at += values_bytes(dim);
    write->rotated = (float *)(void *)at;
    write->signs = write->rotated + padded;
    write->fine = (uint8_t *)(write->signs + rotation_signs(dim));
    return true;
}

void scan_write_begin(struct scan_write *write, struct arena *arena,
                      const struct extent_source *source, uint32_t vector, uint32_t count) {
    *write = (struct scan_write){.shape = &source->vectors[vector], .arena = arena, .count = count};
    uint64_t bytes = (uint64_t)count * vector_bytes(write->shape);
    for (uint32_t i = 0; i < source->scan_count; i++) {
        const struct extent_scan *scan = &source->scans[i];
        if (scan->vector != vector || bytes < scan->bytes_min) {
            continue;
        }
        write->layout = scan_layout_of(write->shape->dim, scan->both);
        if (take_memory(write)) {
            write->scan = scan;
        }
    }
}

void scan_write_end(struct scan_write *write) {
    arena_free(write->arena, INS_MEM_JOB, write->sums, write->memory_bytes);
    write->sums = NULL;
    write->scan = NULL;
}

static void load(struct scan_write *write, const void *stored) {
    vector_load(write->shape, stored, write->values);
    if (write->scan->unit) {
        kernel_normalize_f32(write->values, write->shape->dim, write->values);
    }
}

void scan_write_see(struct scan_write *write, const void *stored, uint32_t rows) {
    uint32_t row_bytes = vector_bytes(write->shape);
    for (uint32_t row = 0; write->scan != NULL && row < rows; row++) {
        load(write, (const uint8_t *)stored + (size_t)row * row_bytes);
        for (uint32_t i = 0; i < write->shape->dim; i++) {
            write->sums[i] += (double)write->values[i];
        }
    }
}

static ins_status write_head(const struct scan_write *write, struct segment_writer *to,
                             uint64_t extent_start, ins_error *error) {
    uint32_t dim = write->shape->dim;
    struct section section = {.kind = SECTION_SCAN_HEAD,
                              .number = write->shape->id,
                              .encoding = ENCODING_PLAIN,
                              .chunk_bytes = layout_chunk_bytes(SECTION_SCAN_HEAD)};
    struct section_stream stream;
    uint8_t bytes[SCAN_HEAD_BYTES] = {0};
    store_u32(bytes, dim);
    store_u32(bytes + 4, write->count);
    store_u32(bytes + 8, (uint32_t)write->scan->metric);
    store_u32(bytes + 12, write->scan->unit);
    store_u64(bytes + 16, write->scan->seed);
    ins_status status =
        stream_begin(&stream, to, extent_start, &section, scan_head_bytes(dim), error);
    if (status == INS_OK) {
        status = stream_put(&stream, bytes, sizeof(bytes), error);
    }
    if (status == INS_OK) {
        status = stream_put(&stream, write->centre, (size_t)dim * 4, error);
    }
    return status == INS_OK ? stream_end(&stream, error) : status;
}

/* The codes of value number `at`; with a full block, or the last, that is written, and with a full
 * chunk, or the last, its 4-bit codes. */
static ins_status put_code(struct scan_write *write, const struct rotation *rotation,
                           struct section_stream *stream, const void *stored, uint32_t at,
                           ins_error *error) {
    const struct scan_layout *layout = &write->layout;
    uint32_t in_chunk = at % layout->chunk_rows;
    bool last = at + 1 == write->count;
    load(write, stored);
    rotation_apply(rotation, write->values, write->centre, write->rotated);
    code1_encode(write->rotated, rotation->padded, write->scan->metric, write->block,
                 at % CODE1_ROWS);
    if (layout->fine_bytes != 0) {
        code4_bound_encode(write->rotated, rotation->padded, write->scan->metric,
                           write->fine + (size_t)in_chunk * layout->fine_bytes);
    }
    if ((at + 1) % CODE1_ROWS != 0 && !last) {
        return INS_OK;
    }
    ins_status status = stream_put(stream, write->block, layout->block_bytes, error);
    memset(write->block, 0, layout->block_bytes);
    bool full = last || in_chunk + 1 == layout->chunk_rows;
    if (status == INS_OK && full && layout->fine_bytes != 0) {
        status =
            stream_put(stream, write->fine, (size_t)(in_chunk + 1) * layout->fine_bytes, error);
    }
    return status;
}

static ins_status put_codes(struct scan_write *write, struct section_stream *stream,
                            const struct extent_source *source, ins_error *error) {
    uint32_t at = 0, row_bytes = vector_bytes(write->shape);
    struct rotation rotation;
    struct source_walk walk;
    ins_status status = walk_begin(&walk, source, EXTENT_NEED_VECTOR, write->scan->vector, error);
    rotation_init(&rotation, write->shape->dim, write->scan->seed, write->signs);
    while (status == INS_OK) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        uint32_t rows = walk.row.vector != NULL ? walk.row.vector_rows : 0;
        for (uint32_t i = 0; i < rows && status == INS_OK; i++, at++) {
            const uint8_t *stored = (const uint8_t *)walk.row.vector + (size_t)i * row_bytes;
            status = put_code(write, &rotation, stream, stored, at, error);
        }
    }
    INS_ASSERT(status != INS_OK || at == write->count);
    return status;
}

ins_status scan_write_codes(struct scan_write *write, struct segment_writer *to,
                            uint64_t extent_start, const struct extent_source *source,
                            ins_error *error) {
    uint32_t dim = write->shape->dim;
    const struct scan_layout *layout = &write->layout;
    struct section section = {.kind = write->scan->both ? SECTION_SCAN_BOTH : SECTION_SCAN,
                              .number = write->shape->id,
                              .encoding = ENCODING_PLAIN,
                              .chunk_bytes = layout->chunk_bytes};
    struct section_stream stream;
    for (uint32_t i = 0; i < dim; i++) {
        write->centre[i] = (float)(write->sums[i] / write->count);
    }
    ins_status status = write_head(write, to, extent_start, error);
    if (status != INS_OK) {
        return status;
    }
    status = stream_begin(&stream, to, extent_start, &section,
                          scan_layout_bytes(layout, write->count), error);
    if (status == INS_OK) {
        status = put_codes(write, &stream, source, error);
    }
    return status == INS_OK ? stream_end(&stream, error) : status;
}

/* ---- Finding ---- */

bool extent_scan(const struct extent *extent, uint32_t vector_id, struct scan_slots *out) {
    uint32_t head = extent_slot(extent, SECTION_SCAN_HEAD, vector_id);
    if (head == SLOT_NONE) {
        return false;
    }
    uint32_t codes = extent_slot(extent, SECTION_SCAN, vector_id);
    bool both = codes == SLOT_NONE;
    *out = (struct scan_slots){.head = head, /* extent_parse: they come together */
                               .codes =
                                   both ? extent_slot(extent, SECTION_SCAN_BOTH, vector_id) : codes,
                               .both = both};
    return true;
}

struct scan_layout scan_layout_of(uint32_t dim, bool both) {
    struct scan_layout layout = {.block_bytes = scan_block_bytes(dim),
                                 .fine_bytes = both ? code4_bound_bytes(dim) : 0};
    uint32_t bytes = layout.block_bytes + CODE1_ROWS * layout.fine_bytes; /* a block's */
    uint32_t shift = row_blocks_shift(bytes);
    layout.chunk_rows = CODE1_ROWS << shift;
    layout.chunk_bytes = bytes << shift;
    return layout;
}

uint64_t scan_layout_bytes(const struct scan_layout *layout, uint64_t rows) {
    return (rows + CODE1_ROWS - 1) / CODE1_ROWS * layout->block_bytes + rows * layout->fine_bytes;
}

bool scan_head_parse(struct slice bytes, uint32_t dim, uint32_t count, struct scan_head *out,
                     bool *out_unit) {
    if (bytes.size != scan_head_bytes(dim)) {
        return false;
    }
    uint32_t metric = load_u32(bytes.data + 8), unit = load_u32(bytes.data + 12);
    const float *centre = (const float *)(const void *)(bytes.data + SCAN_HEAD_BYTES);
    if (load_u32(bytes.data) != dim || load_u32(bytes.data + 4) != count ||
        (metric != INDEX_DOT && metric != INDEX_L2) || unit > 1 || load_u64(bytes.data + 24) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < dim; i++) {
        if (!isfinite(centre[i])) {
            return false;
        }
    }
    *out = (struct scan_head){.dim = dim,
                              .count = count,
                              .metric = (enum index_metric)metric,
                              .seed = load_u64(bytes.data + 16),
                              .centre = centre};
    *out_unit = unit == 1;
    return true;
}

/* ---- What extent_parse demands ---- */

static const char *parse_scan(const struct extent *extent, uint32_t vector_id) {
    struct scan_slots slots;
    struct extent_vector vector;
    if (!extent_scan(extent, vector_id, &slots) || slots.codes == SLOT_NONE) {
        return "a part of scan codes without the other";
    }
    if (!extent_vector(extent, vector_id, &vector)) {
        return "scan codes without values";
    }
    uint32_t width = layout_encoding_bytes(extent_slot_section(extent, vector.slot).encoding);
    uint32_t dim = vector.row_bytes / width;
    if (slots.both && dim > SCAN_BOTH_DIM_MAX) {
        return "scan codes of 4 bits of too many dimensions";
    }
    if (!slots.both && extent_slot(extent, SECTION_SCAN_BOTH, vector_id) != SLOT_NONE) {
        return "scan codes twice";
    }
    struct scan_layout layout = scan_layout_of(dim, slots.both);
    struct section codes = extent_slot_section(extent, slots.codes);
    if (extent_slot_section(extent, slots.head).size != scan_head_bytes(dim) ||
        codes.size != scan_layout_bytes(&layout, vector.count) ||
        codes.chunk_bytes != layout.chunk_bytes) {
        return "scan codes that contradict their values";
    }
    return NULL;
}

const char *scans_parse(const struct extent *extent) {
    const char *wrong = NULL;
    for (uint32_t i = 0; extent->numbered && i < extent->section_count && wrong == NULL; i++) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
        if (section.kind == SECTION_SCAN_HEAD || section.kind == SECTION_SCAN ||
            section.kind == SECTION_SCAN_BOTH) {
            wrong = parse_scan(extent, section.number);
        }
    }
    return wrong;
}
