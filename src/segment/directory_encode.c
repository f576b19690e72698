/* Encoding the id directory: entries in id order become blocks of 4 KiB and index entries.
 *
 * Path: add collects entries while the block that they would make still fits, else seals it first.
 * An incarnation costs the bits of its distance to the block's smallest, or those of its place in a
 * dictionary of the block: whichever is less; an id the bits of its distance to the first one. All
 * have a fixed width in a block, so that a reader can halve it. The index holds 8 bytes of an id,
 * so UUIDs of one high word ("group") are kept in one block; a group larger than a block begins
 * one, and the blocks that go on with it are told apart by their first low word. Deterministic: a
 * second pass over the same entries gives the same blocks. */
#include "segment/segment_private.h"

static uint32_t bit_width(uint64_t value) {
    uint32_t bits = value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
    return bits > 57 ? 64 : bits; /* so that a code lies in one 8-byte load */
}

static void pending_clear(struct directory_encoder *encoder) {
    encoder->count = 0;
    encoder->incarnation_min = UINT64_MAX;
    encoder->incarnation_max = 0;
    encoder->dictionary_count = 0;
}

void directory_encoder_init(struct directory_encoder *encoder, struct directory_entry *pending,
                            bool want_blocks) {
    encoder->pending = pending;
    encoder->want_blocks = want_blocks;
    encoder->group_back = 0;
    encoder->block_count = 0;
    pending_clear(encoder);
}

/* ---- Costs --------------------------------------------------------------------------------- */

static uint64_t id_word(const ins_id *id) {
    return id->is_uuid ? id->high : id->low;
}

static uint32_t array_bytes(uint32_t count, uint32_t width) {
    return (count * width + 7) / 8;
}

/* Bytes of `count` ids from `first` to `last`. */
static uint32_t ids_bytes(const ins_id *first, const ins_id *last, uint32_t count) {
    return array_bytes(count, bit_width(id_word(last) - id_word(first))) +
           (last->is_uuid ? count * 8 : 0);
}

/* Place of `incarnation` in the dictionary, or its count when it is not there. */
static uint32_t dictionary_find(const struct directory_encoder *encoder, uint64_t incarnation) {
    uint32_t count = encoder->dictionary_count;
    for (uint32_t i = 0; i < count; i++) {
        if (encoder->dictionary[i] == incarnation) {
            return i;
        }
    }
    return count;
}

struct code_plan {
    uint32_t width, dictionary_count;
    uint32_t bytes; /* dictionary and codes */
};

static struct code_plan plan_codes(uint32_t count, uint64_t spread, uint32_t dictionary_count) {
    uint32_t width = bit_width(spread);
    struct code_plan plan = {.width = width, .bytes = array_bytes(count, width)};
    if (dictionary_count != 0 && dictionary_count <= DIRECTORY_DICTIONARY_MAX) {
        uint32_t short_width = bit_width(dictionary_count - 1);
        uint32_t bytes = dictionary_count * 8 + array_bytes(count, short_width);
        if (bytes < plan.bytes) {
            plan = (struct code_plan){
                .width = short_width, .dictionary_count = dictionary_count, .bytes = bytes};
        }
    }
    return plan;
}

/* ---- Sealing a block ------------------------------------------------------------------------ */

static void put_bits(uint8_t *array, uint32_t index, uint32_t width, uint64_t value) {
    uint64_t bit = (uint64_t)index * width;
    for (uint32_t done = 0; done < width;) {
        uint32_t shift = (uint32_t)((bit + done) % 8);
        array[(bit + done) / 8] |= (uint8_t)((value >> done) << shift);
        done += 8 - shift;
    }
}

/* The pending entries as a block in encoder->block; returns its used bytes. */
static uint32_t block_put(struct directory_encoder *encoder) {
    const struct directory_entry *entries = encoder->pending;
    uint32_t count = encoder->count;
    struct code_plan plan = plan_codes(count, encoder->incarnation_max - encoder->incarnation_min,
                                       encoder->dictionary_count);
    uint64_t base = plan.dictionary_count == 0 ? encoder->incarnation_min : 0;
    uint8_t *block = encoder->block;
    const ins_id *first_id = &entries[0].id, *last_id = &entries[count - 1].id;
    uint32_t id_width = bit_width(id_word(last_id) - id_word(first_id));

    memset(block, 0, INS_DIRECTORY_BLOCK);
    store_u16(block, (uint16_t)count);
    block[2] = first_id->is_uuid ? 1 : 0;
    block[3] = (uint8_t)plan.width;
    block[4] = (uint8_t)plan.dictionary_count;
    block[5] = (uint8_t)id_width;
    store_u64(block + 8, base);
    store_u64(block + 16, id_word(first_id));
    uint8_t *codes = block + DIRECTORY_BLOCK_HEADER + (size_t)plan.dictionary_count * 8;
    for (uint32_t i = 0; i < plan.dictionary_count; i++) {
        store_u64(block + DIRECTORY_BLOCK_HEADER + (size_t)i * 8, encoder->dictionary[i]);
    }
    uint8_t *ids = block + DIRECTORY_BLOCK_HEADER + plan.bytes;
    uint8_t *lows = ids + array_bytes(count, id_width);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t incarnation = entries[i].incarnation;
        uint64_t code =
            plan.dictionary_count == 0 ? incarnation - base : dictionary_find(encoder, incarnation);
        put_bits(codes, i, plan.width, code);
        put_bits(ids, i, id_width, id_word(&entries[i].id) - id_word(first_id));
        if (first_id->is_uuid) {
            store_u64(lows + (size_t)i * 8, entries[i].id.low);
        }
    }
    uint8_t *at = block + DIRECTORY_BLOCK_HEADER + plan.bytes + ids_bytes(first_id, last_id, count);
    uint32_t used = (uint32_t)align_up((uint64_t)(at - block), 8);
    INS_ASSERT(used <= INS_DIRECTORY_BLOCK);
    store_u16(block + 6, (uint16_t)used);
    return used;
}

/* Emits the pending entries as one block. `group_next`: the next block goes on with the group that
 * this one is made of. */
static ins_status seal(struct directory_encoder *encoder, bool last, bool group_next,
                       ins_error *error) {
    const ins_id *first = &encoder->pending[0].id;
    struct directory_index_entry index = {.key = first->is_uuid ? first->high : first->low};
    if (first->is_uuid) {
        index.word = DIRECTORY_INDEX_UUID;
        if (encoder->group_back != 0) {
            index.key = first->low;
            index.word |= DIRECTORY_INDEX_GROUP | encoder->group_back;
        }
    }
    uint32_t used = encoder->want_blocks ? block_put(encoder) : 0;
    uint32_t size = last ? used : INS_DIRECTORY_BLOCK;
    ins_status status = encoder->emit(
        encoder->context, encoder->want_blocks ? encoder->block : NULL, size, &index, error);
    encoder->block_count++;
    encoder->group_back = group_next ? encoder->group_back + 1 : 0;
    INS_ASSERT(encoder->group_back <= DIRECTORY_INDEX_BACK);
    pending_clear(encoder);
    return status;
}

/* ---- Adding -------------------------------------------------------------------------------- */

/* Appends when the block still fits. */
static bool pending_add(struct directory_encoder *encoder, const struct directory_entry *entry) {
    uint64_t low = encoder->incarnation_min;
    uint64_t high = encoder->incarnation_max;
    low = entry->incarnation < low ? entry->incarnation : low;
    high = entry->incarnation > high ? entry->incarnation : high;
    uint32_t place = DIRECTORY_DICTIONARY_MAX + 1;
    uint32_t dictionary_count = encoder->dictionary_count;
    if (dictionary_count <= DIRECTORY_DICTIONARY_MAX) {
        place = dictionary_find(encoder, entry->incarnation);
        dictionary_count += place == dictionary_count ? 1 : 0;
    }
    uint32_t count = encoder->count + 1;
    const ins_id *first = encoder->count == 0 ? &entry->id : &encoder->pending[0].id;
    struct code_plan plan = plan_codes(count, high - low, dictionary_count);
    if (DIRECTORY_BLOCK_HEADER + plan.bytes + ids_bytes(first, &entry->id, count) >
        INS_DIRECTORY_BLOCK) {
        return false;
    }
    INS_ASSERT(encoder->count < DIRECTORY_BLOCK_ENTRIES_MAX);
    if (dictionary_count != encoder->dictionary_count &&
        dictionary_count <= DIRECTORY_DICTIONARY_MAX) {
        encoder->dictionary[place] = entry->incarnation;
    }
    encoder->dictionary_count = dictionary_count;
    encoder->incarnation_min = low;
    encoder->incarnation_max = high;
    encoder->pending[encoder->count++] = *entry;
    return true;
}

/* The full block cannot take `next`. Seals it, or what lies before the group that `next` goes on
 * with; the group's beginning then becomes the start of the next block. */
static ins_status make_room(struct directory_encoder *encoder, const ins_id *next,
                            ins_error *error) {
    uint32_t count = encoder->count;
    const ins_id *last = &encoder->pending[count - 1].id;
    if (!next->is_uuid || !last->is_uuid || last->high != next->high) {
        return seal(encoder, false, false, error);
    }
    uint32_t cut = count;
    while (cut > 0 && encoder->pending[cut - 1].id.high == next->high) {
        cut--;
    }
    if (cut == 0) {
        return seal(encoder, false, true, error);
    }
    /* Costs are of the entries as a whole: count those before the cut again, seal, then the rest.
     */
    struct directory_entry *entries = encoder->pending;
    pending_clear(encoder);
    for (uint32_t i = 0; i < cut; i++) {
        struct directory_entry entry = entries[i];
        bool fits = pending_add(encoder, &entry);
        INS_ASSERT(fits);
    }
    ins_status status = seal(encoder, false, false, error);
    for (uint32_t i = cut; i < count && status == INS_OK; i++) {
        struct directory_entry entry = entries[i];
        bool fits = pending_add(encoder, &entry);
        INS_ASSERT(fits);
    }
    return status;
}

ins_status directory_encoder_add(struct directory_encoder *encoder,
                                 const struct directory_entry *entry, ins_error *error) {
    ins_status status = INS_OK;
    if (encoder->count != 0) {
        const ins_id *last = &encoder->pending[encoder->count - 1].id;
        INS_ASSERT(id_compare(last, &entry->id) < 0);
        if (last->is_uuid != entry->id.is_uuid) {
            status = seal(encoder, false, false, error);
        }
    }
    if (status != INS_OK || pending_add(encoder, entry)) {
        return status;
    }
    status = make_room(encoder, &entry->id, error);
    if (status == INS_OK) {
        bool fits = pending_add(encoder, entry);
        INS_ASSERT(fits);
    }
    return status;
}

ins_status directory_encoder_finish(struct directory_encoder *encoder, ins_error *error) {
    INS_ASSERT(encoder->count != 0);
    return seal(encoder, true, false, error);
}
