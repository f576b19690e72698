/* Checking field indexes: every offset, every block, values ascending, rows ascending and of the
 * group, gaps zero. */
#include "segment/fields.h"
#include "segment/segment_private.h"

struct fields_check {
    struct check *check;
    const struct extent *extent;
    uint32_t column_count, group_count, offsets_at;
    enum payload_domain domains[FIELD_COLUMNS_MAX];
    struct section_cursor table, blocks;
    uint64_t blocks_size;
};

static void damage(const struct fields_check *fields, const char *what, uint32_t group,
                   uint32_t column) {
    check_damage(fields->check, "extent at %llu: field index: %s, group %u, column %u",
                 (unsigned long long)fields->extent->offset, what, group, column);
}

static bool rows_ascend(const struct field_block *block, uint32_t from, uint32_t to) {
    bool good = from <= to && to <= block->posting_count + block->undecided_count;
    uint32_t before = 0;
    for (uint32_t i = from; good && i < to; i++) {
        uint32_t row = load_u16(block->rows + (size_t)i * 2);
        good = row < block->row_count && (i == from || row > before);
        before = row;
    }
    return good;
}

static ins_text text_of(const struct field_block *block, uint32_t key) {
    uint32_t begin = key == 0 ? 0 : load_u32(block->keys + (size_t)(key - 1) * 4);
    return (ins_text){(const char *)block->heap + begin,
                      load_u32(block->keys + (size_t)key * 4) - begin};
}

static bool texts_ascend(const struct field_block *block) {
    uint32_t end = 0;
    for (uint32_t i = 0; i < block->key_count; i++) {
        uint32_t next = load_u32(block->keys + (size_t)i * 4);
        if (next < end || next > block->heap_bytes) {
            return false;
        }
        end = next;
    }
    for (uint32_t i = 1; i < block->key_count; i++) {
        ins_text a = text_of(block, i - 1);
        ins_text b = text_of(block, i);
        size_t common = a.size < b.size ? a.size : b.size;
        int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
        if (order > 0 || (order == 0 && a.size >= b.size)) {
            return false;
        }
    }
    return end == block->heap_bytes;
}

static bool keys_ascend(const struct field_block *block) {
    bool good = true;
    for (uint32_t i = 1; good && i < block->key_count; i++) {
        good = load_u64(block->keys + (size_t)(i - 1) * 8) < load_u64(block->keys + (size_t)i * 8);
    }
    return good;
}

/* Why the block is wrong, or NULL. */
static const char *block_fault(struct slice bytes, enum payload_domain domain, uint32_t row_count) {
    struct field_block block;
    if (!field_block_parse(bytes, domain, row_count, &block)) {
        return "a block longer than its place";
    }
    struct field_block_layout layout = field_block_layout(&block, domain);
    size_t used = bytes.size < FIELD_BLOCK_HEADER ? 0 : (size_t)layout.size;
    if (!bytes_all_zero(bytes.data + used, bytes.size - used)) {
        return "a gap that is not zero";
    }
    if (domain == DOMAIN_TEXT ? !texts_ascend(&block) : !keys_ascend(&block)) {
        return "values that do not ascend";
    }
    uint32_t begin = 0;
    for (uint32_t key = 0; key < block.key_count; key++) {
        uint32_t end = load_u32(block.postings + (size_t)key * 4);
        if (end <= begin || end > block.posting_count || !rows_ascend(&block, begin, end)) {
            return "rows of a value that do not ascend";
        }
        begin = end;
    }
    if (begin != block.posting_count ||
        !rows_ascend(&block, begin, begin + block.undecided_count)) {
        return "rows that belong to no value";
    }
    return NULL;
}

/* An offset of the table; false and reported when its chunk is damaged. */
static bool offset_at(struct fields_check *fields, uint64_t index, uint64_t *out) {
    const uint8_t *at = section_cursor_at(&fields->table, fields->offsets_at + index * 4, 4);
    *out = at == NULL ? 0 : (uint64_t)load_u32(at) * 8;
    return at != NULL;
}

static bool check_one_block(struct fields_check *fields, uint64_t begin, uint64_t end,
                            uint32_t group, uint32_t column) {
    uint32_t left = fields->extent->row_count - group * ROW_GROUP;
    if (begin > end || end > fields->blocks_size ||
        (end > begin && begin / INS_CHUNK_BYTES != (end - 1) / INS_CHUNK_BYTES)) {
        damage(fields, "a block outside of its chunk", group, column);
        return false;
    }
    if (begin == end) {
        return true;
    }
    const uint8_t *bytes = section_cursor_at(&fields->blocks, begin, (uint32_t)(end - begin));
    if (bytes == NULL) {
        return false;
    }
    const char *fault = block_fault((struct slice){.data = bytes, .size = end - begin},
                                    fields->domains[column], left < ROW_GROUP ? left : ROW_GROUP);
    if (fault != NULL) {
        damage(fields, fault, group, column);
    }
    return fault == NULL;
}

static bool check_table(struct fields_check *fields) {
    const struct section *section = &fields->table.section;
    uint32_t first = section->size < INS_CHUNK_BYTES ? (uint32_t)section->size : INS_CHUNK_BYTES;
    const uint8_t *bytes = section_cursor_at(&fields->table, 0, first);
    struct field_table table;
    if (bytes == NULL) {
        return false;
    }
    if (!field_table_parse((struct slice){.data = bytes, .size = first}, section->size,
                           fields->extent->row_count, &table)) {
        damage(fields, "a table that contradicts itself", 0, 0);
        return false;
    }
    fields->column_count = table.column_count;
    fields->group_count = table.group_count;
    fields->offsets_at = table.offsets_at;
    for (uint32_t i = 0; i < table.column_count; i++) {
        fields->domains[i] = table.columns[i].domain;
    }
    return true;
}

static void check_blocks(struct fields_check *fields) {
    uint64_t begin;
    uint64_t end;
    bool good = offset_at(fields, 0, &begin);
    for (uint32_t group = 0; good && group < fields->group_count; group++) {
        for (uint32_t column = 0; good && column < fields->column_count; column++) {
            uint64_t next = (uint64_t)group * fields->column_count + column + 1;
            good =
                offset_at(fields, next, &end) && check_one_block(fields, begin, end, group, column);
            begin = end;
        }
    }
}

static ins_status check_one(struct check *check, const struct extent *extent, uint32_t table_slot,
                            uint32_t blocks_slot, ins_error *error) {
    struct fields_check fields = {.check = check,
                                  .extent = extent,
                                  .blocks_size = extent_slot_section(extent, blocks_slot).size};
    ins_status status =
        section_cursor_open(&fields.table, check, extent, table_slot, "field table", error);
    if (status != INS_OK) {
        return status;
    }
    status = section_cursor_open(&fields.blocks, check, extent, blocks_slot, "field blocks", error);
    if (status == INS_OK) {
        if (check_table(&fields)) {
            check_blocks(&fields);
        }
        section_cursor_close(&fields.blocks);
    }
    section_cursor_close(&fields.table);
    return status;
}

ins_status check_fields(struct check *check, const struct extent *extent, ins_error *error) {
    ins_status status = INS_OK;
    for (uint32_t i = 0; status == INS_OK && i < FIELD_TABLES_MAX; i++) {
        uint32_t table = extent_slot(extent, SECTION_FIELD, field_table_number(i));
        uint32_t blocks = extent_slot(extent, SECTION_FIELD, field_blocks_number(i));
        if (table == SLOT_NONE || blocks == SLOT_NONE) {
            break; /* the parser saw that neither comes without the other, and none is skipped */
        }
        status = check_one(check, extent, table, blocks, error);
    }
    return status;
}
