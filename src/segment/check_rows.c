/* Checking an island's extent: ids ascend and are live or dead but not both, versions lie in the
 * interval, payload offsets rise to the payload's size, and every chunk has its hash. */
#include "segment/segment_private.h"

static void damage(struct check *check, const struct extent *extent, const char *what,
                   uint64_t row) {
    check_damage(check, "extent at %llu: %s, row %llu", (unsigned long long)extent->offset, what,
                 (unsigned long long)row);
}

/* Ids of rows or of tombstones, in order. */
struct id_walk {
    struct section_cursor cursor;
    uint32_t count, numbers;
    uint32_t next;
    ins_id id; /* of `next` - 1 */
    bool live; /* `id` is one */
};

static bool id_walk_padding(struct id_walk *walk) {
    if (walk->next != walk->numbers || walk->numbers % 2 == 0) {
        return true;
    }
    const uint8_t *padding = section_cursor_at(&walk->cursor, (uint64_t)walk->numbers * 8, 8);
    return padding == NULL || load_u64(padding) == 0;
}

/* Moves to the next id; `live` is false at the end and when the section is damaged. */
static void id_walk_next(struct id_walk *walk) {
    ins_id before = walk->id;
    bool any = walk->live;
    walk->live = false;
    if (walk->next == walk->count) {
        return;
    }
    bool uuid = walk->next >= walk->numbers;
    const struct extent *extent = walk->cursor.extent;
    if (!id_walk_padding(walk)) {
        damage(walk->cursor.check, extent, "padding between ids is not zero", walk->next);
    }
    const uint8_t *at = section_cursor_at(
        &walk->cursor, layout_id_offset(walk->numbers, walk->next), uuid ? 16 : 8);
    if (at == NULL) {
        return;
    }
    walk->id = uuid ? (ins_id){.high = load_u64(at), .low = load_u64(at + 8), .is_uuid = true}
                    : (ins_id){.low = load_u64(at)};
    if (any && id_compare(&before, &walk->id) >= 0) {
        damage(walk->cursor.check, extent, "ids do not ascend", walk->next);
        return;
    }
    walk->next++;
    walk->live = true;
}

static ins_status check_ids(struct check *check, const struct extent *extent, ins_error *error) {
    struct id_walk rows = {.count = extent->row_count, .numbers = extent->number_count};
    struct id_walk dead = {.count = extent->tombstone_count,
                           .numbers = extent->tombstone_number_count};
    ins_status status = section_cursor_open(&rows.cursor, check, extent, SECTION_IDS, "ids", error);
    if (status != INS_OK) {
        return status;
    }
    status =
        section_cursor_open(&dead.cursor, check, extent, SECTION_TOMBSTONES, "tombstones", error);
    if (status == INS_OK) {
        id_walk_next(&rows);
        id_walk_next(&dead);
        while (rows.live || dead.live) {
            int order = !rows.live ? 1 : !dead.live ? -1 : id_compare(&rows.id, &dead.id);
            if (order == 0) {
                damage(check, extent, "id is both a row and a tombstone", rows.next - 1);
            }
            if (order <= 0) {
                id_walk_next(&rows);
            }
            if (order >= 0) {
                id_walk_next(&dead);
            }
        }
        section_cursor_close(&dead.cursor);
    }
    section_cursor_close(&rows.cursor);
    return status;
}

/* `count` versions from `begin` of the section on. */
static ins_status check_versions(struct check *check, const struct extent *extent,
                                 enum section_kind kind, uint64_t begin, uint32_t count,
                                 ins_error *error) {
    uint32_t width = extent->wide_versions ? 8 : 4;
    uint64_t most = extent->version_high - extent->version_low;
    struct section_cursor cursor;
    ins_status status = section_cursor_open(&cursor, check, extent, kind, "versions", error);
    if (status != INS_OK) {
        return status;
    }
    /* The chunks before `begin` hold ids, which check_ids has seen. */
    for (uint32_t row = 0; row < count; row++) {
        const uint8_t *at = section_cursor_at(&cursor, begin + (uint64_t)row * width, width);
        if (at == NULL) {
            break;
        }
        uint64_t version = width == 8 ? load_u64(at) : load_u32(at);
        if (version == 0 || version > most) {
            damage(check, extent, "version outside the extent's interval", row);
            break;
        }
    }
    section_cursor_close(&cursor);
    return INS_OK;
}

static ins_status check_offsets(struct check *check, const struct extent *extent,
                                ins_error *error) {
    uint32_t width = extent->sections[SECTION_PAYLOAD_OFFSETS].encoding;
    uint64_t payload_bytes = extent->sections[SECTION_PAYLOAD].size;
    struct section_cursor cursor;
    ins_status status = section_cursor_open(&cursor, check, extent, SECTION_PAYLOAD_OFFSETS,
                                            "payload offsets", error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t before = 0;
    for (uint64_t row = 0; row <= extent->row_count; row++) {
        const uint8_t *at = section_cursor_at(&cursor, row * width, width);
        if (at == NULL) {
            break;
        }
        uint64_t offset = width == 8 ? load_u64(at) : load_u32(at);
        bool first_wrong = row == 0 && offset != 0;
        bool last_wrong = row == extent->row_count && offset != payload_bytes;
        if (offset < before || first_wrong || last_wrong) {
            damage(check, extent, "payload offsets do not rise from 0 to the payload's size", row);
            break;
        }
        before = offset;
    }
    section_cursor_close(&cursor);
    return INS_OK;
}

/* Hashes alone. */
static ins_status check_bytes(struct check *check, const struct extent *extent, uint32_t slot,
                              const char *what, ins_error *error) {
    struct section_cursor cursor;
    ins_status status = section_cursor_open(&cursor, check, extent, slot, what, error);
    if (status == INS_OK) {
        section_cursor_close(&cursor);
    }
    return status;
}

/* Numbers of rows (`what`) ascend and are rows of the extent; one comes `most` times or less. */
static ins_status check_row_numbers(struct check *check, const struct extent *extent, uint32_t slot,
                                    uint32_t most, const char *what, ins_error *error) {
    struct section_cursor cursor;
    ins_status status = section_cursor_open(&cursor, check, extent, slot, what, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t least = 0, same = 0, count = cursor.section.size / 4;
    for (uint64_t position = 0; position < count; position++) {
        const uint8_t *at = section_cursor_at(&cursor, position * 4, 4);
        if (at == NULL) {
            break;
        }
        uint32_t row = load_u32(at);
        same = position > 0 && row + 1 == least ? same + 1 : 1;
        if (row + 1 < least || row >= extent->row_count || same > most) {
            check_damage(check, "extent at %llu: %s do not ascend, row %u",
                         (unsigned long long)extent->offset, what, row);
            break;
        }
        least = (uint64_t)row + 1;
    }
    section_cursor_close(&cursor);
    return INS_OK;
}

/* Of a vector: how many values a row may have. */
static uint32_t values_most(const struct extent *extent, uint32_t number) {
    struct extent_vector vector;
    return extent_vector(extent, number, &vector) && vector.multi
               ? INS_VECTOR_BYTES_MAX / vector.row_bytes
               : 1;
}

static ins_status check_vectors(struct check *check, const struct extent *extent,
                                ins_error *error) {
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < extent->section_count && status == INS_OK; i++) {
        uint32_t slot = SECTION_SLOTS + i;
        struct section section = extent_slot_section(extent, slot);
        if (section.kind == SECTION_DENSE) {
            status = check_bytes(check, extent, slot, "vectors", error);
        } else if (section.kind == SECTION_VECTOR_ROWS) {
            status = check_row_numbers(check, extent, slot, values_most(extent, section.number),
                                       "rows of a vector", error);
        }
    }
    return status;
}

ins_status check_rows(struct check *check, const struct extent *extent, ins_error *error) {
    ins_status status = check_ids(check, extent, error);
    if (status == INS_OK && extent->row_count != 0) {
        status = check_versions(check, extent, SECTION_VERSIONS, 0, extent->row_count, error);
    }
    if (status == INS_OK && extent->tombstone_count != 0) {
        uint64_t begin =
            align_up(layout_ids_bytes(extent->tombstone_count, extent->tombstone_number_count), 8);
        status = check_versions(check, extent, SECTION_TOMBSTONES, begin, extent->tombstone_count,
                                error);
    }
    if (status == INS_OK && extent->patch_count != 0) {
        status = check_row_numbers(check, extent, SECTION_PATCHES, 1, "patches", error);
    }
    if (status == INS_OK) {
        status = check_vectors(check, extent, error);
    }
    if (status == INS_OK && extent->sections[SECTION_PAYLOAD].present) {
        status = check_offsets(check, extent, error);
    }
    if (status == INS_OK && extent->sections[SECTION_PAYLOAD].present) {
        status = check_bytes(check, extent, SECTION_PAYLOAD, "payload", error);
    }
    if (status == INS_OK) {
        status = check_graphs(check, extent, error);
    }
    if (status == INS_OK) {
        status = check_scans(check, extent, error);
    }
    if (status == INS_OK) {
        status = check_pieces(check, extent, error);
    }
    return status == INS_OK ? check_fields(check, extent, error) : status;
}
