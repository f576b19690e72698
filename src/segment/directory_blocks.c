/* Reading the id directory: which block may hold an id, and the block's entries.
 *
 * Path: directory_filter_test (fuse_filter.c) says no, or directory_block_of names one block, and
 * directory_block_find walks it: some thousand entries at most, a few ns each.
 * Failure: a malformed block is INS_CORRUPT; no byte outside it is read, whatever it holds.
 * Format: docs/FORMATS.md "Id directory". Encoder: directory_encode.c. */
#include "segment/segment_private.h"

uint32_t directory_filter_chunk(const struct extent *extent, uint64_t id_hash) {
    return fuse_partition_of(id_hash, extent->sections[SECTION_FILTER].chunk_count);
}

bool directory_filter_test(const struct extent *extent, const uint8_t *chunk, uint64_t id_hash) {
    return fuse_test(chunk, extent->sections[SECTION_FILTER].chunk_bytes, id_hash);
}

uint32_t directory_block_count(const struct extent *extent) {
    uint64_t size = extent->sections[SECTION_DIRECTORY].size;
    return (uint32_t)((size + INS_DIRECTORY_BLOCK - 1) / INS_DIRECTORY_BLOCK);
}

uint32_t directory_block_chunk(const struct extent *extent, uint32_t block, uint32_t *out_offset) {
    INS_ASSERT(block < directory_block_count(extent));
    if (extent->small) {
        *out_offset = block * INS_DIRECTORY_BLOCK;
        return 0;
    }
    uint32_t per_chunk = extent->sections[SECTION_DIRECTORY].chunk_bytes / INS_DIRECTORY_BLOCK;
    *out_offset = block % per_chunk * INS_DIRECTORY_BLOCK;
    return block / per_chunk;
}

/* ---- Index --------------------------------------------------------------------------------- */

static struct directory_index_entry index_at(const struct chunks *index, uint32_t block) {
    uint64_t offset = (uint64_t)block * DIRECTORY_INDEX_BYTES;
    uint64_t chunk = offset / index->chunk_bytes;
    INS_ASSERT(chunk < index->chunk_count);
    const uint8_t *at = index->chunks[chunk] + offset % index->chunk_bytes;
    return (struct directory_index_entry){.key = load_u64(at), .word = load_u32(at + 8)};
}

/* The smallest id that may lie in `block` by the index. */
static ins_id index_id(const struct chunks *index, uint32_t block) {
    struct directory_index_entry entry = index_at(index, block);
    if ((entry.word & DIRECTORY_INDEX_UUID) == 0) {
        return (ins_id){.low = entry.key};
    }
    uint32_t back = entry.word & DIRECTORY_INDEX_BACK;
    if ((entry.word & DIRECTORY_INDEX_GROUP) == 0 || back > block) {
        return (ins_id){.high = entry.key, .is_uuid = true};
    }
    uint64_t high = index_at(index, block - back).key;
    return (ins_id){.high = high, .low = entry.key, .is_uuid = true};
}

bool directory_block_of(const struct extent *extent, const struct chunks *index, const ins_id *id,
                        uint32_t *out_block) {
    uint32_t begin = 0;
    uint32_t end = directory_block_count(extent);
    while (begin < end) { /* the first block that begins behind `id` */
        uint32_t middle = begin + (end - begin) / 2;
        ins_id first = index_id(index, middle);
        if (id_compare(&first, id) <= 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    if (begin == 0) {
        return false;
    }
    *out_block = begin - 1;
    return true;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

ins_status directory_block_begin(const uint8_t *block, size_t size, struct directory_cursor *out,
                                 ins_error *error) {
    if (size < DIRECTORY_BLOCK_HEADER || size > INS_DIRECTORY_BLOCK) {
        return ins_fail(error, INS_CORRUPT, "id directory block of %zu bytes", size);
    }
    uint32_t count = load_u16(block);
    uint32_t kind = block[2];
    uint32_t width = block[3];
    uint32_t dictionary_count = load_u16(block + 4);
    uint32_t used = load_u16(block + 6);
    uint32_t codes = DIRECTORY_BLOCK_HEADER + dictionary_count * 8;
    uint32_t ids = codes + (count * width + 7) / 8; /* 65,535 * 64 bits fit */
    if (count == 0 || kind > 1 || (width > 57 && width != 64) ||
        dictionary_count > DIRECTORY_DICTIONARY_MAX || used > size || ids > used ||
        (dictionary_count != 0 && width > 6)) {
        return ins_fail(error, INS_CORRUPT, "id directory block with a malformed head");
    }
    *out = (struct directory_cursor){
        .block = block,
        .at = block + ids,
        .end = block + used,
        .left = count,
        .codes = codes,
        .width = width,
        .dictionary_count = dictionary_count,
        .first = true,
        .last = {.id = {.is_uuid = kind == 1}},
    };
    return INS_OK;
}

/* LEB128 of at most 64 bits. Eight bytes at a time while the block has so many: stop bits say how
 * long it is, and three shifts press the groups of seven together. */
static bool take_varint(struct directory_cursor *cursor, uint64_t *out) {
    if (cursor->end - cursor->at >= 8) {
        uint64_t word = load_u64(cursor->at);
        uint64_t stops = ~word & 0x8080808080808080ull;
        if (stops != 0) {
            unsigned bits = (unsigned)__builtin_ctzll(stops) + 1;
            word &= UINT64_MAX >> (64 - bits) & 0x7f7f7f7f7f7f7f7full;
            word = (word & 0x007f007f007f007full) | (word & 0x7f007f007f007f00ull) >> 1;
            word = (word & 0x00003fff00003fffull) | (word & 0x3fff00003fff0000ull) >> 2;
            *out = (word & 0x000000000fffffffull) | (word & 0x0fffffff00000000ull) >> 4;
            cursor->at += bits / 8;
            return true;
        }
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (cursor->at == cursor->end) {
            return false;
        }
        uint64_t byte = *cursor->at++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* The delta to the word before; false when the block ends early or the word would wrap. */
static bool take_delta(struct directory_cursor *cursor, uint64_t before, uint64_t extra,
                       uint64_t *out) {
    uint64_t delta;
    if (!take_varint(cursor, &delta) || __builtin_add_overflow(before, delta, out)) {
        return false;
    }
    return !__builtin_add_overflow(*out, extra, out);
}

static bool next_number(struct directory_cursor *cursor, ins_id *out) {
    *out = (ins_id){.low = load_u64(cursor->block + 16)};
    return cursor->first || take_delta(cursor, cursor->last.id.low, 1, &out->low);
}

static bool next_uuid(struct directory_cursor *cursor, ins_id *out) {
    *out = (ins_id){.high = load_u64(cursor->block + 16), .is_uuid = true};
    if (!cursor->first && !take_delta(cursor, cursor->last.id.high, 0, &out->high)) {
        return false;
    }
    if (cursor->end - cursor->at < 8) {
        return false;
    }
    out->low = load_u64(cursor->at);
    cursor->at += 8;
    return cursor->first || id_compare(&cursor->last.id, out) < 0;
}

static bool next_incarnation(struct directory_cursor *cursor, uint64_t *out) {
    uint64_t code = 0;
    if (cursor->width != 0) {
        const uint8_t *codes = cursor->block + cursor->codes;
        uint64_t bit = (uint64_t)cursor->index * cursor->width;
        const uint8_t *from = codes + bit / 8;
        /* `end` lies behind the codes, so these bytes are the block's. */
        size_t left = (size_t)(cursor->end - from);
        memcpy(&code, from, left < sizeof(code) ? left : sizeof(code));
        code >>= bit % 8;
        if (cursor->width < 64) {
            code &= (1ull << cursor->width) - 1;
        }
    }
    if (cursor->dictionary_count == 0) {
        *out = load_u64(cursor->block + 8) + code;
        return true;
    }
    if (code >= cursor->dictionary_count) {
        return false;
    }
    *out = load_u64(cursor->block + DIRECTORY_BLOCK_HEADER + code * 8);
    return true;
}

bool directory_block_next(struct directory_cursor *cursor, struct directory_entry *out,
                          ins_status *out_status) {
    *out_status = INS_OK;
    if (cursor->left == 0) {
        return false;
    }
    struct directory_entry entry;
    bool good =
        cursor->last.id.is_uuid ? next_uuid(cursor, &entry.id) : next_number(cursor, &entry.id);
    if (!good || !next_incarnation(cursor, &entry.incarnation)) {
        cursor->left = 0;
        *out_status = INS_CORRUPT;
        return false;
    }
    cursor->left--;
    cursor->index++;
    cursor->first = false;
    cursor->last = entry;
    *out = entry;
    return true;
}

/* Moves to the first id >= `id`; false when there is none or the ids are malformed. Looks at ids
 * alone: an incarnation has its place by its index. */
static bool seek_id(struct directory_cursor *cursor, const ins_id *id, ins_status *out_status) {
    while (cursor->left > 0) {
        ins_id at;
        if (!(id->is_uuid ? next_uuid(cursor, &at) : next_number(cursor, &at))) {
            *out_status = INS_CORRUPT;
            return false;
        }
        cursor->first = false;
        cursor->last.id = at;
        if (id_compare(&at, id) >= 0) {
            return true;
        }
        cursor->left--;
        cursor->index++;
    }
    return false;
}

ins_status directory_block_find(const uint8_t *block, size_t size, const ins_id *id,
                                bool *out_found, uint64_t *out_incarnation, ins_error *error) {
    struct directory_cursor cursor = {0};
    ins_status status = directory_block_begin(block, size, &cursor, error);
    if (status != INS_OK) {
        return status;
    }
    bool found = cursor.last.id.is_uuid == id->is_uuid && seek_id(&cursor, id, &status) &&
                 id_equal(&cursor.last.id, id);
    uint64_t incarnation = 0;
    if (found && !next_incarnation(&cursor, &incarnation)) {
        status = INS_CORRUPT;
    }
    if (status != INS_OK) {
        return ins_fail(error, status, "id directory block with malformed entries");
    }
    *out_found = found;
    if (found) {
        *out_incarnation = incarnation;
    }
    return INS_OK;
}
