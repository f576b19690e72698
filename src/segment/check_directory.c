/* Checking an id directory run: blocks well formed, ids ascending over all of them, the index in
 * step with the blocks, and the filter saying yes to each id.
 *
 * Path: one walk over blocks and index; then, for each group of filter partitions that memory
 * holds, a walk over the blocks. */
#include "segment/segment_private.h"

#define FILTER_GROUP_MAX 16u

static void damage(struct check *check, const struct extent *extent, uint32_t block,
                   const char *what) {
    check_damage(check, "id directory at %llu: block %u: %s", (unsigned long long)extent->offset,
                 block, what);
}

/* The blocks of a run, one after the other. */
struct block_walk {
    struct section_cursor cursor;
    uint32_t next, count;
    const uint8_t *bytes; /* of block `next` - 1 */
    uint32_t size;
};

/* False at the end and when a chunk is damaged. */
static bool block_walk_next(struct block_walk *walk) {
    if (walk->next == walk->count) {
        return false;
    }
    uint64_t offset = (uint64_t)walk->next * INS_DIRECTORY_BLOCK;
    uint64_t left = walk->cursor.extent->sections[SECTION_DIRECTORY].size - offset;
    walk->size = left < INS_DIRECTORY_BLOCK ? (uint32_t)left : INS_DIRECTORY_BLOCK;
    walk->bytes = section_cursor_at(&walk->cursor, offset, walk->size);
    walk->next++;
    return walk->bytes != NULL;
}

static ins_status block_walk_open(struct block_walk *walk, struct check *check,
                                  const struct extent *extent, ins_error *error) {
    *walk = (struct block_walk){.count = directory_block_count(extent)};
    return section_cursor_open(&walk->cursor, check, extent, SECTION_DIRECTORY, "id directory",
                               error);
}

/* What one block leaves to the next. */
struct order {
    ins_id last;
    bool any;
    uint64_t rows, numbers;
    uint32_t group_block; /* where the group of the block before began */
    uint64_t group_high;
};

/* Why the index entry does not fit the block's first id, or NULL. */
static const char *check_index(const uint8_t *index, uint32_t block, const ins_id *first,
                               struct order *order) {
    uint64_t key = load_u64(index);
    uint32_t word = load_u32(index + 8);
    if (!first->is_uuid) {
        return key == first->low && word == 0 ? NULL : "index entry differs";
    }
    bool goes_on = order->any && order->last.is_uuid && order->last.high == first->high;
    if (!goes_on) {
        order->group_block = block;
        order->group_high = first->high;
        return key == first->high && word == DIRECTORY_INDEX_UUID ? NULL : "index entry differs";
    }
    uint32_t expected = DIRECTORY_INDEX_UUID | DIRECTORY_INDEX_GROUP | (block - order->group_block);
    bool good = order->group_high == first->high && key == first->low && word == expected;
    return good ? NULL : "index entry of a group differs";
}

/* Why the block is wrong, or NULL. */
static const char *check_block_entries(const uint8_t *bytes, uint32_t size, const uint8_t *index,
                                       uint32_t block, struct order *order) {
    struct directory_cursor cursor;
    struct directory_entry entry;
    ins_status status = directory_block_begin(bytes, size, &cursor, NULL);
    if (status != INS_OK) {
        return "malformed head";
    }
    uint32_t used = load_u16(bytes + 6);
    if (used % 8 != 0 || !bytes_all_zero(bytes + used, size - used)) {
        return "padding is not zero";
    }
    bool first = true;
    while (directory_block_next(&cursor, &entry, &status)) {
        if (order->any && id_compare(&order->last, &entry.id) >= 0) {
            return "ids do not ascend";
        }
        const char *wrong = first ? check_index(index, block, &entry.id, order) : NULL;
        if (wrong != NULL) {
            return wrong;
        }
        first = false;
        order->last = entry.id;
        order->any = true;
        order->rows++;
        order->numbers += entry.id.is_uuid ? 0 : 1;
    }
    if (status != INS_OK) {
        return "malformed entries";
    }
    size_t behind = used - (size_t)(cursor.end - bytes);
    return behind < 8 && bytes_all_zero(cursor.end, behind) ? NULL : "bytes behind the entries";
}

static void check_blocks(struct check *check, const struct extent *extent, struct block_walk *walk,
                         struct section_cursor *index) {
    struct order order = {0};
    while (block_walk_next(walk)) {
        uint32_t block = walk->next - 1;
        const uint8_t *entry = section_cursor_at(index, (uint64_t)block * DIRECTORY_INDEX_BYTES,
                                                 DIRECTORY_INDEX_BYTES);
        if (entry == NULL) {
            return;
        }
        const char *wrong = check_block_entries(walk->bytes, walk->size, entry, block, &order);
        if (wrong != NULL) {
            damage(check, extent, block, wrong);
            return;
        }
    }
    if (!walk->cursor.failed &&
        (order.rows != extent->row_count || order.numbers != extent->number_count)) {
        damage(check, extent, walk->count, "fewer or more ids than the header says");
    }
}

/* ---- Filter
 * -------------------------------------------------------------------------------------- */

struct filter_group {
    uint32_t first, count;
    uint8_t *buffers[FILTER_GROUP_MAX];
    const uint8_t *chunks[FILTER_GROUP_MAX]; /* NULL: damaged */
    size_t buffer_bytes;
};

static void filter_load(struct check *check, const struct extent *extent,
                        struct filter_group *group) {
    for (uint32_t i = 0; i < group->count; i++) {
        if (extent->small) {
            group->chunks[i] = extent_section(extent, SECTION_FILTER).data;
            continue;
        }
        struct block_key key = extent_chunk(extent, SECTION_FILTER, group->first + i);
        if (!check_block(check, &key, "filter", group->buffers[i], &group->chunks[i])) {
            group->chunks[i] = NULL;
        }
    }
}

static void filter_test_block(struct check *check, const struct extent *extent,
                              const struct filter_group *group, const struct block_walk *walk) {
    struct directory_cursor cursor;
    struct directory_entry entry;
    ins_status status = directory_block_begin(walk->bytes, walk->size, &cursor, NULL);
    while (status == INS_OK && directory_block_next(&cursor, &entry, &status)) {
        uint64_t hash = id_hash(&entry.id);
        uint32_t slot = directory_filter_chunk(extent, hash) - group->first;
        if (slot < group->count && group->chunks[slot] != NULL &&
            !directory_filter_test(extent, group->chunks[slot], hash)) {
            damage(check, extent, walk->next - 1, "the filter denies an id");
            return;
        }
    }
}

static ins_status check_filter_group(struct check *check, const struct extent *extent,
                                     struct filter_group *group, ins_error *error) {
    filter_load(check, extent, group);
    struct block_walk walk;
    ins_status status = block_walk_open(&walk, check, extent, error);
    if (status != INS_OK) {
        return status;
    }
    while (block_walk_next(&walk)) {
        filter_test_block(check, extent, group, &walk);
    }
    section_cursor_close(&walk.cursor);
    return INS_OK;
}

static ins_status check_filter(struct check *check, const struct extent *extent, ins_error *error) {
    const struct section *filter = &extent->sections[SECTION_FILTER];
    struct filter_group group = {.buffer_bytes = filter->chunk_bytes + SEGMENT_READ_SLACK};
    uint32_t wanted =
        filter->chunk_count < FILTER_GROUP_MAX ? filter->chunk_count : FILTER_GROUP_MAX;
    uint32_t held = 0;
    while (!extent->small && held < wanted) {
        group.buffers[held] = arena_alloc(check->arena, INS_MEM_JOB, group.buffer_bytes);
        if (group.buffers[held] == NULL) {
            break;
        }
        held++;
    }
    uint32_t step = extent->small ? 1 : held;
    ins_status status = step == 0 ? segment_out_of_memory(group.buffer_bytes, error) : INS_OK;
    while (status == INS_OK && group.first < filter->chunk_count) {
        uint32_t left = filter->chunk_count - group.first;
        group.count = left < step ? left : step;
        status = check_filter_group(check, extent, &group, error);
        group.first += group.count;
    }
    for (uint32_t i = 0; i < held; i++) {
        arena_free(check->arena, INS_MEM_JOB, group.buffers[i], group.buffer_bytes);
    }
    return status;
}

ins_status check_directory_run(struct check *check, const struct extent *extent, ins_error *error) {
    bool damaged_before = check->damaged;
    struct block_walk walk;
    ins_status status = block_walk_open(&walk, check, extent, error);
    if (status != INS_OK) {
        return status;
    }
    struct section_cursor index;
    status = section_cursor_open(&index, check, extent, SECTION_DIRECTORY_INDEX,
                                 "id directory index", error);
    if (status == INS_OK) {
        check->damaged = false;
        check_blocks(check, extent, &walk, &index);
        section_cursor_close(&index);
    }
    section_cursor_close(&walk.cursor);
    bool damaged = check->damaged;
    check->damaged = damaged || damaged_before;
    if (status != INS_OK) {
        return status;
    }
    if (damaged) { /* the ids are not to be believed, but the filter's bytes have hashes */
        struct section_cursor filter;
        status = section_cursor_open(&filter, check, extent, SECTION_FILTER, "filter", error);
        if (status == INS_OK) {
            section_cursor_close(&filter);
        }
        return status;
    }
    return check_filter(check, extent, error);
}
