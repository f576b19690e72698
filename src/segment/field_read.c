/* Reading field indexes: tables, and blocks of one column and one group of rows. */
#include "segment/fields.h"

#include "segment/segment_private.h"

bool field_table_parse(struct slice first, uint64_t size, uint32_t row_count,
                       struct field_table *out) {
    struct field_table table = {.column_count = 0};
    if (first.size < FIELD_TABLE_HEADER || size < first.size) {
        return false;
    }
    table.column_count = load_u32(first.data);
    table.group_count = load_u32(first.data + 4);
    if (table.column_count == 0 || table.column_count > FIELD_COLUMNS_MAX ||
        table.group_count != field_group_count(row_count) ||
        load_u32(first.data + 8) != ROW_GROUP || load_u32(first.data + 12) != 0) {
        return false;
    }
    size_t at = FIELD_TABLE_HEADER;
    for (uint32_t i = 0; i < table.column_count; i++) {
        if (first.size - at < 4) {
            return false;
        }
        uint32_t domain = first.data[at];
        uint32_t path_bytes = load_u16(first.data + at + 2);
        at += 4;
        if (domain < DOMAIN_TEXT || domain > DOMAIN_LAST || first.data[at - 3] != 0 ||
            path_bytes == 0 || path_bytes > FIELD_PATH_BYTES_MAX || path_bytes > first.size - at) {
            return false;
        }
        table.columns[i] =
            (struct payload_column){.path = {(const char *)first.data + at, path_bytes},
                                    .domain = (enum payload_domain)domain};
        at += path_bytes;
    }
    table.offsets_at = (uint32_t)align_up(at, 8);
    uint64_t offsets = (uint64_t)table.column_count * table.group_count + 1;
    if (size != table.offsets_at + align_up(offsets * 4, 8)) {
        return false;
    }
    *out = table;
    return true;
}

static uint32_t offset_at(const struct field_table *table, const struct chunks *chunks,
                          uint64_t index) {
    uint64_t at = table->offsets_at + index * 4;
    uint64_t chunk = at / chunks->chunk_bytes;
    INS_ASSERT(chunk < chunks->chunk_count);
    return load_u32(chunks->chunks[chunk] + at % chunks->chunk_bytes);
}

bool field_block_place(const struct field_table *table, const struct chunks *chunks, uint32_t group,
                       uint32_t column, uint64_t blocks_size, uint64_t *out_begin,
                       uint32_t *out_size) {
    INS_ASSERT(group < table->group_count);
    INS_ASSERT(column < table->column_count);
    uint64_t index = (uint64_t)group * table->column_count + column;
    uint64_t begin = (uint64_t)offset_at(table, chunks, index) * 8;
    uint64_t end = (uint64_t)offset_at(table, chunks, index + 1) * 8;
    if (begin > end || end > blocks_size ||
        (end > begin && begin / INS_CHUNK_BYTES != (end - 1) / INS_CHUNK_BYTES)) {
        return false;
    }
    *out_begin = begin;
    *out_size = (uint32_t)(end - begin);
    return true;
}

bool field_block_parse(struct slice bytes, enum payload_domain domain, uint32_t row_count,
                       struct field_block *out) {
    *out = (struct field_block){.row_count = row_count};
    if (bytes.size < FIELD_BLOCK_HEADER) {
        return true; /* only padding: no values */
    }
    struct field_block block = {
        .key_count = load_u32(bytes.data),
        .posting_count = load_u32(bytes.data + 4),
        .undecided_count = load_u32(bytes.data + 8),
        .heap_bytes = load_u32(bytes.data + 12),
        .row_count = row_count,
    };
    struct field_block_layout layout = field_block_layout(&block, domain);
    if (layout.size > bytes.size || (domain != DOMAIN_TEXT && block.heap_bytes != 0)) {
        return false;
    }
    block.keys = bytes.data + FIELD_BLOCK_HEADER;
    block.postings = bytes.data + layout.postings;
    block.rows = bytes.data + layout.rows;
    block.heap = bytes.data + layout.heap;
    *out = block;
    return true;
}

/* Rows number from .. to of the block's list. */
static bool set_rows(const struct field_block *block, uint32_t from, uint32_t to,
                     struct row_bits *bits) {
    bool good = from <= to && to <= block->posting_count + block->undecided_count;
    for (uint32_t i = from; good && i < to; i++) {
        uint32_t row = load_u16(block->rows + (size_t)i * 2);
        good = row < block->row_count;
        if (good) {
            row_bits_set(bits, row);
        }
    }
    return good;
}

static uint32_t posting_begin(const struct field_block *block, uint32_t key) {
    return key == 0 ? 0 : load_u32(block->postings + (size_t)(key - 1) * 4);
}

/* First key at or above `key`. */
static uint32_t lower_key(const struct field_block *block, uint64_t key) {
    uint32_t below = 0;
    uint32_t count = block->key_count;
    while (count > 0) {
        uint32_t half = count / 2;
        bool less = load_u64(block->keys + (size_t)(below + half) * 8) < key;
        below = less ? below + half + 1 : below;
        count = less ? count - half - 1 : half;
    }
    return below;
}

bool field_block_keys(const struct field_block *block, uint64_t low, uint64_t high,
                      struct row_bits *bits) {
    if (low > high || block->key_count == 0) {
        return true;
    }
    uint32_t from = lower_key(block, low);
    uint32_t to = high == UINT64_MAX ? block->key_count : lower_key(block, high + 1);
    if (from >= to) {
        return true;
    }
    uint32_t end = posting_begin(block, to);
    return end <= block->posting_count && set_rows(block, posting_begin(block, from), end, bits);
}

/* False when the bytes are no heap's. */
static bool text_at(const struct field_block *block, uint32_t key, ins_text *out) {
    uint32_t begin = key == 0 ? 0 : load_u32(block->keys + (size_t)(key - 1) * 4);
    uint32_t end = load_u32(block->keys + (size_t)key * 4);
    if (begin > end || end > block->heap_bytes) {
        return false;
    }
    *out = (ins_text){(const char *)block->heap + begin, end - begin};
    return true;
}

static int text_compare(ins_text left, ins_text right) {
    size_t common = left.size < right.size ? left.size : right.size;
    int order = common == 0 ? 0 : memcmp(left.data, right.data, common);
    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

bool field_block_text(const struct field_block *block, ins_text text, struct row_bits *bits) {
    uint32_t below = 0;
    uint32_t count = block->key_count;
    while (count > 0) {
        uint32_t half = count / 2;
        ins_text at;
        if (!text_at(block, below + half, &at)) {
            return false;
        }
        int order = text_compare(at, text);
        if (order == 0) {
            uint32_t end = posting_begin(block, below + half + 1);
            return end <= block->posting_count &&
                   set_rows(block, posting_begin(block, below + half), end, bits);
        }
        below = order < 0 ? below + half + 1 : below;
        count = order < 0 ? count - half - 1 : half;
    }
    return true;
}

bool field_block_texts(const struct field_block *block,
                       bool (*wanted)(const void *context, ins_text text), const void *context,
                       struct row_bits *bits) {
    bool good = true;
    for (uint32_t key = 0; good && key < block->key_count; key++) {
        ins_text text;
        good = text_at(block, key, &text);
        if (good && wanted(context, text)) {
            uint32_t end = posting_begin(block, key + 1);
            good = end <= block->posting_count &&
                   set_rows(block, posting_begin(block, key), end, bits);
        }
    }
    return good;
}

bool field_block_undecided(const struct field_block *block, struct row_bits *bits) {
    return set_rows(block, block->posting_count, block->posting_count + block->undecided_count,
                    bits);
}
