/* Checking scan codes: the head, and codes of a sample of rows made anew from their values; what
 * the last block has beside rows is zero. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "segment/scans.h"
#include "segment/segment_private.h"

#define SAMPLE_ROWS 64u      /* whose codes are made anew */
#define CODE_TOLERANCE 0.01f /* of factors: compilers differ in the last bits */
#define SIGNS_DIFFER_PARTS                                                                         \
    50u /* values near zero may fall to either side: one of so many, and 2                         \
         */

struct scan_check {
    struct check *check;
    const struct extent *extent;
    uint32_t vector_id, count;
    struct vector_shape shape;
    struct extent_vector vector;
    struct scan_slots slots;
    struct scan_head head;
    bool unit;
    float *values, *rotated, *signs; /* one piece of INS_MEM_JOB, from `values` on */
    size_t memory_bytes;
    uint8_t *block; /* the same; behind it a 4-bit code */
    struct scan_layout layout;
};

static void damage(const struct scan_check *scan, const char *what, uint64_t row) {
    check_damage(scan->check, "extent at %llu: scan codes of vector %u: %s, row %llu",
                 (unsigned long long)scan->extent->offset, scan->vector_id, what,
                 (unsigned long long)row);
}

static bool near(float left, float right) {
    return fabsf(left - right) <= CODE_TOLERANCE * (fabsf(left) + fabsf(right)) + 1e-6f;
}

/* Row `row` of two blocks: `own` was made now. */
static bool codes_equal(const uint8_t *stored, const uint8_t *own, uint32_t words, uint32_t row) {
    uint32_t differ = 0;
    for (uint32_t w = 0; w < words; w++) {
        size_t at = ((size_t)w * CODE1_ROWS + row) * 8;
        differ += (uint32_t)__builtin_popcountll(load_u64(stored + at) ^ load_u64(own + at));
    }
    bool equal = differ <= 2 + words * 64 / SIGNS_DIFFER_PARTS;
    for (uint32_t f = 0; f < CODE1_FACTORS; f++) {
        size_t at = (size_t)words * CODE1_ROWS * 8 + ((size_t)f * CODE1_ROWS + row) * 4;
        float left, right;
        memcpy(&left, stored + at, sizeof(left));
        memcpy(&right, own + at, sizeof(right));
        equal = equal && near(left, right);
    }
    return equal;
}

static const uint8_t *block_at(const struct scan_check *scan, struct section_cursor *codes,
                               uint32_t block) {
    const struct scan_layout *layout = &scan->layout;
    uint32_t per_chunk = layout->chunk_rows / CODE1_ROWS;
    uint64_t at = (uint64_t)(block / per_chunk) * layout->chunk_bytes +
                  (uint64_t)(block % per_chunk) * layout->block_bytes;
    return section_cursor_at(codes, at, layout->block_bytes);
}

static const uint8_t *fine_at(const struct scan_check *scan, struct section_cursor *codes,
                              uint32_t row) {
    const struct scan_layout *layout = &scan->layout;
    uint32_t chunk = row / layout->chunk_rows, left = scan->count - chunk * layout->chunk_rows;
    uint32_t rows = left < layout->chunk_rows ? left : layout->chunk_rows;
    uint64_t at = (uint64_t)chunk * layout->chunk_bytes +
                  scan_layout_fine(layout, rows, row % layout->chunk_rows);
    return section_cursor_at(codes, at, layout->fine_bytes);
}

/* Levels of values near the edge between two may differ by one. */
static bool fine_equal(const uint8_t *stored, const uint8_t *own, uint32_t padded) {
    struct code4_bound left, right;
    uint32_t differ = 0;
    bool equal = true;
    for (uint32_t i = 0; i < padded / 2; i++) {
        int low = abs((stored[i] & 15) - (own[i] & 15)),
            high = abs((stored[i] >> 4) - (own[i] >> 4));
        differ += (uint32_t)(low + high);
        equal = equal && low < 2 && high < 2;
    }
    memcpy(&left, stored + padded / 2, sizeof(left));
    memcpy(&right, own + padded / 2, sizeof(right));
    return equal && differ <= 2 + padded / SIGNS_DIFFER_PARTS && near(left.norm, right.norm) &&
           near(left.scale, right.scale) && near(left.error, right.error);
}

static void check_row(struct scan_check *scan, const struct rotation *rotation,
                      const uint8_t *stored, const uint8_t *fine, const uint8_t *value,
                      uint32_t row) {
    vector_load(&scan->shape, value, scan->values);
    if (scan->unit) {
        kernel_normalize_f32(scan->values, scan->shape.dim, scan->values);
    }
    rotation_apply(rotation, scan->values, scan->head.centre, scan->rotated);
    code1_encode(scan->rotated, rotation->padded, scan->head.metric, scan->block, row % CODE1_ROWS);
    if (!codes_equal(stored, scan->block, (uint32_t)code1_words(rotation->padded),
                     row % CODE1_ROWS)) {
        damage(scan, "a code that is not that of its values", row);
    }
    uint8_t *own = scan->block + scan->layout.block_bytes;
    if (fine != NULL) {
        code4_bound_encode(scan->rotated, rotation->padded, scan->head.metric, own);
    }
    if (fine != NULL && !fine_equal(fine, own, rotation->padded)) {
        damage(scan, "a 4-bit code that is not that of its values", row);
    }
}

static void check_sample(struct scan_check *scan, struct section_cursor *dense,
                         struct section_cursor *codes) {
    uint32_t rows = scan->count < SAMPLE_ROWS ? scan->count : SAMPLE_ROWS;
    uint32_t per_chunk = scan->vector.rows_per_chunk;
    struct rotation rotation;
    rotation_init(&rotation, scan->shape.dim, scan->head.seed, scan->signs);
    for (uint32_t i = 0; i < rows && !scan->check->damaged; i++) {
        uint32_t row = (uint32_t)((uint64_t)i * scan->count / rows);
        uint64_t offset = (uint64_t)(row / per_chunk) * dense->section.chunk_bytes +
                          (uint64_t)(row % per_chunk) * scan->vector.row_bytes;
        const uint8_t *value = section_cursor_at(dense, offset, scan->vector.row_bytes);
        const uint8_t *stored = block_at(scan, codes, row / CODE1_ROWS);
        const uint8_t *fine = scan->slots.both ? fine_at(scan, codes, row) : NULL;
        if (value == NULL || stored == NULL || (scan->slots.both && fine == NULL)) {
            return;
        }
        check_row(scan, &rotation, stored, fine, value, row);
    }
}

/* Places of the last block that no row has. */
static void check_tail(struct scan_check *scan, struct section_cursor *codes) {
    uint32_t words = (uint32_t)code1_words(padded_dim(scan->shape.dim));
    const uint8_t *block = block_at(scan, codes, (scan->count - 1) / CODE1_ROWS);
    for (uint32_t row = (scan->count - 1) % CODE1_ROWS + 1; block != NULL && row < CODE1_ROWS;
         row++) {
        bool zero = true;
        for (uint32_t w = 0; w < words; w++) {
            zero = zero && load_u64(block + ((size_t)w * CODE1_ROWS + row) * 8) == 0;
        }
        const uint8_t *factors = block + (size_t)words * CODE1_ROWS * 8;
        for (uint32_t f = 0; f < CODE1_FACTORS; f++) {
            zero = zero && load_u32(factors + ((size_t)f * CODE1_ROWS + row) * 4) == 0;
        }
        if (!zero) {
            damage(scan, "a code behind the last row", scan->count);
            return;
        }
    }
}

static ins_status check_codes(struct scan_check *scan, ins_error *error) {
    struct section_cursor dense, codes;
    ins_status status =
        section_cursor_open(&dense, scan->check, scan->extent, scan->vector.slot, "vectors", error);
    if (status != INS_OK) {
        return status;
    }
    status = section_cursor_open(&codes, scan->check, scan->extent, scan->slots.codes, "scan codes",
                                 error);
    if (status == INS_OK) {
        check_sample(scan, &dense, &codes);
        check_tail(scan, &codes);
        section_cursor_close(&codes);
    }
    section_cursor_close(&dense);
    return status;
}

static ins_status check_with_memory(struct scan_check *scan, ins_error *error) {
    uint32_t dim = scan->shape.dim, padded = padded_dim(dim);
    scan->layout = scan_layout_of(dim, scan->slots.both);
    uint32_t block = scan->layout.block_bytes + (scan->layout.fine_bytes + 7) / 8 * 8;
    size_t floats = padded + padded + rotation_signs(dim);
    scan->memory_bytes = block + floats * sizeof(float);
    scan->block = arena_alloc_zero(scan->check->arena, INS_MEM_JOB, scan->memory_bytes);
    if (scan->block == NULL) {
        return segment_out_of_memory(scan->memory_bytes, error);
    }
    scan->values = (float *)(void *)(scan->block + block);
    scan->rotated = scan->values + padded;
    scan->signs = scan->rotated + padded;
    ins_status status = check_codes(scan, error);
    arena_free(scan->check->arena, INS_MEM_JOB, scan->block, scan->memory_bytes);
    return status;
}

static ins_status check_one(struct check *check, const struct extent *extent, uint32_t vector_id,
                            ins_error *error) {
    struct scan_check scan = {.check = check, .extent = extent, .vector_id = vector_id};
    bool known = extent_scan(extent, vector_id, &scan.slots) &&
                 extent_vector(extent, vector_id, &scan.vector);
    INS_ASSERT(known); /* the parser saw to it */
    uint32_t width = layout_encoding_bytes(extent_slot_section(extent, scan.vector.slot).encoding);
    scan.count = scan.vector.count;
    scan.shape.dim = scan.vector.row_bytes / width;
    scan.shape.datatype = width == 1 ? INS_UINT8 : width == 2 ? INS_FLOAT16 : INS_FLOAT32;
    struct section_cursor cursor;
    ins_status status =
        section_cursor_open(&cursor, check, extent, scan.slots.head, "scan head", error);
    if (status != INS_OK) {
        return status;
    }
    uint32_t size = (uint32_t)cursor.section.size; /* one chunk: the parser bounds it */
    const uint8_t *bytes = section_cursor_at(&cursor, 0, size);
    if (bytes != NULL && !scan_head_parse((struct slice){.data = bytes, .size = size},
                                          scan.shape.dim, scan.count, &scan.head, &scan.unit)) {
        damage(&scan, "a head that contradicts its values", 0);
    } else if (bytes != NULL) {
        status = check_with_memory(&scan, error);
    }
    section_cursor_close(&cursor);
    return status;
}

ins_status check_scans(struct check *check, const struct extent *extent, ins_error *error) {
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < extent->section_count && status == INS_OK; i++) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
        if (section.kind == SECTION_SCAN_HEAD) {
            status = check_one(check, extent, section.number, error);
        }
    }
    return status;
}
