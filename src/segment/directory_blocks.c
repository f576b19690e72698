/* Reading the id directory: which block may hold an id, and the block's entries.
 *
 * Path: directory_filter_test (fuse_filter.c) says no, or directory_block_of names one block, and
 * directory_block_find guesses and halves: its arrays have a fixed width, so every entry is at
 * hand. Failure: a malformed block is INS_CORRUPT; no byte outside it is read, whatever it holds.
 * Format: docs/FORMATS.md "Id directory". Encoder: directory_encode.c. */
#include "segment/segment_private.h"

uint32_t directory_filter_chunk(const struct extent *extent, uint64_t id_hash) {
    return fuse_partition_of(id_hash, extent->sections[SECTION_FILTER].chunk_count);
}

bool directory_filter_test(const struct extent *extent, const uint8_t *chunk, uint64_t id_hash) {
    return fuse_test(chunk, extent->sections[SECTION_FILTER].chunk_bytes, id_hash);
}

void directory_filter_prefetch(const struct extent *extent, const uint8_t *chunk,
                               uint64_t id_hash) {
    fuse_prefetch(chunk, extent->sections[SECTION_FILTER].chunk_bytes, id_hash);
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
    uint32_t count = load_u16(block), kind = block[2], width = block[3];
    uint32_t dictionary_count = block[4], id_width = block[5], used = load_u16(block + 6);
    uint32_t codes = DIRECTORY_BLOCK_HEADER + dictionary_count * 8;
    uint32_t ids = codes + (count * width + 7) / 8; /* 65,535 * 64 bits fit */
    uint32_t lows = ids + (count * id_width + 7) / 8;
    uint32_t end = lows + (kind == 1 ? count * 8 : 0);
    if (count == 0 || kind > 1 || (width > 57 && width != 64) ||
        (id_width > 57 && id_width != 64) || dictionary_count > DIRECTORY_DICTIONARY_MAX ||
        used > size || end > used || (dictionary_count != 0 && width > 6)) {
        return ins_fail(error, INS_CORRUPT, "id directory block with a malformed head");
    }
    *out = (struct directory_cursor){
        .block = block,
        .end = block + end,
        .count = count,
        .uuids = kind == 1,
        .codes = codes,
        .width = width,
        .dictionary_count = dictionary_count,
        .ids = ids,
        .id_width = id_width,
        .lows = lows,
    };
    return INS_OK;
}

/* Number `index` of an array of `width` bits each that begins at byte `offset` of the block. Bytes
 * from `end` on are not read. */
static inline uint64_t bits_at(const struct directory_cursor *cursor, uint32_t offset,
                               uint32_t width, uint32_t index) {
    if (width == 0) {
        return 0;
    }
    uint64_t bit = (uint64_t)index * width;
    const uint8_t *from = cursor->block + offset + bit / 8;
    uint64_t word = 0;
    if (cursor->end - from >= 8) {
        word = load_u64(from);
    } else {
        memcpy(&word, from, (size_t)(cursor->end - from));
    }
    word >>= bit % 8;
    return width == 64 ? word : word & ((1ull << width) - 1);
}

/* Words may wrap in a malformed block: then ids do not ascend, which is noticed where they are
 * walked, and found as damage by the block's hash before that. */
static inline uint64_t word_at(const struct directory_cursor *cursor, uint32_t index) {
    return load_u64(cursor->block + 16) + bits_at(cursor, cursor->ids, cursor->id_width, index);
}

static inline ins_id id_at(const struct directory_cursor *cursor, uint32_t index) {
    uint64_t word = word_at(cursor, index);
    if (!cursor->uuids) {
        return (ins_id){.low = word};
    }
    uint64_t low = load_u64(cursor->block + cursor->lows + (size_t)index * 8);
    return (ins_id){.high = word, .low = low, .is_uuid = true};
}

static bool incarnation_at(const struct directory_cursor *cursor, uint32_t index, uint64_t *out) {
    uint64_t code = bits_at(cursor, cursor->codes, cursor->width, index);
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
    if (cursor->index == cursor->count) {
        return false;
    }
    struct directory_entry entry = {.id = id_at(cursor, cursor->index)};
    bool ascends = cursor->index == 0 || id_compare(&cursor->last, &entry.id) < 0;
    if (!ascends || !incarnation_at(cursor, cursor->index, &entry.incarnation)) {
        cursor->index = cursor->count;
        *out_status = INS_CORRUPT;
        return false;
    }
    cursor->index++;
    cursor->last = entry.id;
    *out = entry;
    return true;
}

#define NARROW_STEPS 2u /* then halving is as good */
#define NARROW_MARGIN 16u
#define NARROW_MIN 64u /* entries: fewer lie in a few lines of the cache anyway */

/* Makes [*inout_begin, + *inout_count) a piece of the array around where `id` would lie if the
 * first words of ids were spread evenly, as hashes, UUIDs and counters are; less where they are
 * not. So a look-up reads some four lines of the cache, not one for each halving. */
static void narrow(const struct directory_cursor *cursor, const ins_id *id, uint32_t *inout_begin,
                   uint32_t *inout_count) {
    uint32_t begin = 0, end = cursor->count - 1;
    uint64_t low = word_at(cursor, begin), high = word_at(cursor, end);
    uint64_t word = id->is_uuid ? id->high : id->low;
    if (word < low || word >= high) {
        return;
    }
    /* From here on low <= word < high: the words of entries `begin` and `end`. An entry with the
     * same word may be a UUID on either side of `id`: it bounds nothing. */
    for (uint32_t step = 0; step < NARROW_STEPS && end - begin > NARROW_MIN; step++) {
        double part = (double)(word - low) / (double)(high - low);
        uint32_t guess = begin + (uint32_t)(part * (double)(end - begin));
        uint32_t left = guess - begin > NARROW_MARGIN ? guess - NARROW_MARGIN : begin;
        uint32_t right = end - guess > NARROW_MARGIN ? guess + NARROW_MARGIN : end;
        uint64_t left_word = word_at(cursor, left), right_word = word_at(cursor, right);
        if (left_word > word) {
            end = left;
            high = left_word;
        } else if (right_word < word) {
            begin = right;
            low = right_word;
        } else {
            bool above = left_word < word;
            bool below = right_word > word;
            begin = above ? left : begin;
            low = above ? left_word : low;
            end = below ? right : end;
            high = below ? right_word : high;
        }
    }
    *inout_begin = begin;
    *inout_count = end - begin;
}

ins_status directory_block_find(const uint8_t *block, size_t size, const ins_id *id,
                                bool *out_found, uint64_t *out_incarnation, ins_error *error) {
    struct directory_cursor cursor = {0};
    ins_status status = directory_block_begin(block, size, &cursor, error);
    *out_found = false;
    if (status != INS_OK || cursor.uuids != id->is_uuid) {
        return status;
    }
    INS_ASSERT(cursor.block != NULL);
    uint32_t begin = 0, count = cursor.count;
    narrow(&cursor, id, &begin, &count);
    while (count > 1) { /* the last entry <= id lies in [begin, begin + count), if there is one */
        uint32_t half = count / 2;
        ins_id middle = id_at(&cursor, begin + half);
        begin += id_compare(&middle, id) <= 0 ? half : 0;
        count -= half;
    }
    ins_id at = id_at(&cursor, begin);
    if (!id_equal(&at, id)) {
        return INS_OK;
    }
    if (!incarnation_at(&cursor, begin, out_incarnation)) {
        return ins_fail(error, INS_CORRUPT, "id directory block with malformed entries");
    }
    *out_found = true;
    return INS_OK;
}
