/* Checking the hashes of pieces: each is that of its part of the values. */
#include "base/hash.h"
#include "segment/segment_private.h"

static void check_hashes(struct check *check, const struct extent *extent,
                         const struct extent_vector *vector, struct section_cursor *values,
                         struct section_cursor *hashes) {
    const struct section *section = &values->section;
    uint32_t bytes = layout_piece_bytes(vector->row_bytes, section->size);
    uint64_t piece = 0;
    for (uint64_t at = 0; at < section->size; piece++) {
        uint64_t left = section->chunk_bytes - at % section->chunk_bytes; /* of its chunk */
        left = left < section->size - at ? left : section->size - at;
        uint32_t size = left < bytes ? (uint32_t)left : bytes;
        const uint8_t *data = section_cursor_at(values, at, size);
        const uint8_t *hash = section_cursor_at(hashes, piece * 8, 8);
        if (data == NULL || hash == NULL) {
            return; /* the cursor has told */
        }
        if (hash64(data, size) != load_u64(hash)) {
            check_damage(check, "extent at %llu: vector %u: piece %llu has another hash",
                         (unsigned long long)extent->offset, section->number,
                         (unsigned long long)piece);
            return;
        }
        at += size;
    }
}

static ins_status check_vector(struct check *check, const struct extent *extent, uint32_t slot,
                               ins_error *error) {
    struct extent_vector vector;
    bool known = extent_vector(extent, extent_slot_section(extent, slot).number, &vector);
    INS_ASSERT(known); /* the parser saw to it */
    struct section_cursor values, hashes;
    ins_status status = section_cursor_open(&values, check, extent, vector.slot, "vectors", error);
    if (status != INS_OK) {
        return status;
    }
    status = section_cursor_open(&hashes, check, extent, slot, "hashes of pieces", error);
    if (status == INS_OK) {
        check_hashes(check, extent, &vector, &values, &hashes);
        section_cursor_close(&hashes);
    }
    section_cursor_close(&values);
    return status;
}

ins_status check_pieces(struct check *check, const struct extent *extent, ins_error *error) {
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < extent->section_count && status == INS_OK; i++) {
        if (extent_slot_section(extent, SECTION_SLOTS + i).kind == SECTION_PIECES) {
            status = check_vector(check, extent, SECTION_SLOTS + i, error);
        }
    }
    return status;
}
