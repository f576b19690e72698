/* Rows of a parsed extent: ids, versions, places of payloads, in chunks that the caller holds.
 * Every address is chunk + offset with both bounded by the section's size, which extent_parse
 * derived from the counts; so nothing here can read outside. */
#include "segment/segment_private.h"

/* Words never cross chunks: chunk bytes are multiples of 16 and offsets multiples of the word. */
static const uint8_t *chunk_at(const struct chunks *chunks, uint64_t offset) {
    if (offset < chunks->chunk_bytes) {
        INS_ASSERT_SLOW(chunks->chunks[0] != NULL);
        return chunks->chunks[0] + offset;
    }
    uint64_t chunk = offset / chunks->chunk_bytes;
    INS_ASSERT(chunk < chunks->chunk_count);
    INS_ASSERT_SLOW(chunks->chunks[chunk] != NULL);
    return chunks->chunks[chunk] + offset % chunks->chunk_bytes;
}

static ins_id id_at(const struct chunks *chunks, uint32_t numbers, uint32_t index) {
    const uint8_t *at = chunk_at(chunks, layout_id_offset(numbers, index));
    if (index < numbers) {
        return (ins_id){.low = load_u64(at)};
    }
    return (ins_id){.high = load_u64(at), .low = load_u64(at + 8), .is_uuid = true};
}

ins_id extent_id(const struct extent *extent, const struct chunks *ids, uint32_t row) {
    INS_ASSERT(row < extent->row_count);
    return id_at(ids, extent->number_count, row);
}

ins_id extent_tombstone_id(const struct extent *extent, const struct chunks *tombstones,
                           uint32_t index) {
    INS_ASSERT(index < extent->tombstone_count);
    return id_at(tombstones, extent->tombstone_number_count, index);
}

uint64_t extent_version(const struct extent *extent, const struct chunks *versions, uint32_t row) {
    INS_ASSERT(row < extent->row_count);
    if (extent->wide_versions) {
        return extent->version_low + load_u64(chunk_at(versions, (uint64_t)row * 8));
    }
    return extent->version_low + load_u32(chunk_at(versions, (uint64_t)row * 4));
}

uint64_t extent_tombstone_version(const struct extent *extent, const struct chunks *tombstones,
                                  uint32_t index) {
    INS_ASSERT(index < extent->tombstone_count);
    uint64_t begin =
        align_up(layout_ids_bytes(extent->tombstone_count, extent->tombstone_number_count), 8);
    if (extent->wide_versions) {
        return extent->version_low + load_u64(chunk_at(tombstones, begin + (uint64_t)index * 8));
    }
    return extent->version_low + load_u32(chunk_at(tombstones, begin + (uint64_t)index * 4));
}

/* First of [0, end) with a number >= `number`: the last chunk that begins below it, then inside. */
static uint32_t lower_number(const struct chunks *chunks, uint32_t end, uint64_t number) {
    uint32_t per_chunk = chunks->chunk_bytes / 8;
    if (end == 0) {
        return 0;
    }
    uint32_t chunk = 0;
    uint32_t chunk_end = (end - 1) / per_chunk + 1;
    while (chunk_end - chunk > 1) {
        uint32_t middle = chunk + (chunk_end - chunk) / 2;
        if (load_u64(chunks->chunks[middle]) < number) {
            chunk = middle;
        } else {
            chunk_end = middle;
        }
    }
    uint32_t first = chunk * per_chunk;
    uint32_t count = end - first < per_chunk ? end - first : per_chunk;
    const uint8_t *base = chunks->chunks[chunk];
    uint32_t below = 0; /* numbers below it */
    while (count > 0) {
        uint32_t half = count / 2;
        bool less = load_u64(base + (size_t)(below + half) * 8) < number;
        below = less ? below + half + 1 : below;
        count = less ? count - half - 1 : half;
    }
    return first + below;
}

static uint32_t lower_bound(const struct chunks *chunks, uint32_t numbers, uint32_t count,
                            const ins_id *id) {
    if (!id->is_uuid) {
        return lower_number(chunks, numbers, id->low);
    }
    uint32_t begin = numbers;
    uint32_t end = count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        ins_id at = id_at(chunks, numbers, middle);
        if (id_compare(&at, id) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

uint32_t extent_lower_bound(const struct extent *extent, const struct chunks *ids,
                            const ins_id *id) {
    return lower_bound(ids, extent->number_count, extent->row_count, id);
}

bool extent_find(const struct extent *extent, const struct chunks *ids, const ins_id *id,
                 uint32_t *out_row) {
    uint32_t row = lower_bound(ids, extent->number_count, extent->row_count, id);
    if (row == extent->row_count) {
        return false;
    }
    ins_id found = id_at(ids, extent->number_count, row);
    if (!id_equal(&found, id)) {
        return false;
    }
    *out_row = row;
    return true;
}

bool extent_find_tombstone(const struct extent *extent, const struct chunks *tombstones,
                           const ins_id *id) {
    uint32_t numbers = extent->tombstone_number_count;
    uint32_t index = lower_bound(tombstones, numbers, extent->tombstone_count, id);
    if (index == extent->tombstone_count) {
        return false;
    }
    ins_id found = id_at(tombstones, numbers, index);
    return id_equal(&found, id);
}

uint32_t extent_patch_row(const struct chunks *patches, uint32_t index) {
    return load_u32(chunk_at(patches, (uint64_t)index * 4));
}

bool extent_is_patch(const struct extent *extent, const struct chunks *patches, uint32_t row) {
    uint32_t begin = 0, end = extent->patch_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (extent_patch_row(patches, middle) < row) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin < extent->patch_count && extent_patch_row(patches, begin) == row;
}

static uint64_t payload_offset(const struct extent *extent, const struct chunks *offsets,
                               uint64_t index) {
    if (extent->sections[SECTION_PAYLOAD_OFFSETS].encoding == ENCODING_U32) {
        return load_u32(chunk_at(offsets, index * 4));
    }
    return load_u64(chunk_at(offsets, index * 8));
}

ins_status extent_payload_range(const struct extent *extent, const struct chunks *offsets,
                                uint32_t row, uint64_t *out_begin, uint64_t *out_end) {
    INS_ASSERT(row < extent->row_count);
    if (!extent->sections[SECTION_PAYLOAD].present) {
        *out_begin = 0;
        *out_end = 0;
        return INS_OK;
    }
    uint64_t begin = payload_offset(extent, offsets, row);
    uint64_t end = payload_offset(extent, offsets, (uint64_t)row + 1);
    if (begin > end || end > extent->sections[SECTION_PAYLOAD].size) {
        return INS_CORRUPT;
    }
    *out_begin = begin;
    *out_end = end;
    return INS_OK;
}
