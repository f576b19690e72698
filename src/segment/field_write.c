/* Writing field indexes of a large extent.
 *
 * Path: one pass over the payloads for each table of at most 16 columns. The values of a group of
 * rows are collected, sorted (field_sort.h), and written as a block a column; where the blocks lie
 * is kept for the table, which is written when the blocks are. What does not fit makes rows
 * undecided, never wrong: too long texts, too many values of a row, too many of a group. Who asks
 * looks at the payload of those. Invariants: a block lies within one chunk. Memory: 6.5 MiB of
 * INS_MEM_JOB while it lasts. */
#include "segment/field_sort.h"
#include "segment/fields.h"
#include "segment/segment_private.h"

#define ENTRIES_MAX (INS_BLOCK_BYTES_MAX / (uint32_t)sizeof(struct field_entry))
#define HEAP_BYTES INS_BLOCK_BYTES_MAX
/* What entries of one column may come to, so that the block fits a chunk with all rows undecided.
 */
#define COLUMN_BYTES_MAX (INS_CHUNK_BYTES - FIELD_BLOCK_HEADER - 2u * ROW_GROUP - 64u)

_Static_assert(PAYLOAD_COLUMN_TEXT_MAX <= UINT8_MAX, "a text's size is kept in a byte");

#define OFFSETS_A_PIECE 16380u

struct offsets_piece {
    struct offsets_piece *next;
    uint32_t count;
    uint32_t items[OFFSETS_A_PIECE];
};

struct field_writer {
    struct arena *arena;
    const struct payload_columns *columns;
    uint32_t column_count;
    struct section_stream stream;       /* of blocks */
    uint64_t written;                   /* bytes of the stream */
    struct offsets_piece *first, *last; /* room for all; the one that is being filled */
    /* the group being collected */
    struct field_entry *entries; /* [ENTRIES_MAX] */
    struct field_entry *spare;   /* [ENTRIES_MAX] for sorting */
    uint8_t *heap;               /* [HEAP_BYTES] */
    uint8_t *block;              /* [INS_CHUNK_BYTES] */
    uint32_t entry_count, heap_used, row_count;
    uint32_t column_bytes[FIELD_COLUMNS_MAX];
    struct row_bits undecided[FIELD_COLUMNS_MAX];
};

struct field_block_layout field_block_layout(const struct field_block *block,
                                             enum payload_domain domain) {
    struct field_block_layout layout;
    uint64_t key_bytes = domain == DOMAIN_TEXT ? 4 : 8;
    layout.postings = align_up(FIELD_BLOCK_HEADER + block->key_count * key_bytes, 8);
    layout.rows = align_up(layout.postings + (uint64_t)block->key_count * 4, 8);
    layout.heap =
        align_up(layout.rows + ((uint64_t)block->posting_count + block->undecided_count) * 2, 8);
    layout.size = align_up(layout.heap + block->heap_bytes, 8);
    return layout;
}

uint32_t field_group_count(uint32_t row_count) {
    return row_count / ROW_GROUP + (row_count % ROW_GROUP != 0);
}

/* ---- Collecting ---------------------------------------------------------------------------- */

static uint64_t text_key(ins_text text) {
    uint8_t bytes[8] = {0};
    uint64_t key;
    memcpy(bytes, text.data, text.size < 8 ? text.size : 8);
    memcpy(&key, bytes, 8);
    return __builtin_bswap64(key);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte counts most");

static void take_value(void *context, const struct payload_value *value) {
    struct field_writer *writer = context;
    uint32_t row = writer->row_count;
    bool is_text = payload_columns_at(writer->columns, value->column)->domain == DOMAIN_TEXT;
    uint32_t cost = is_text ? 10 + (uint32_t)value->text.size : 14;
    bool fits = !value->unknown && writer->entry_count < ENTRIES_MAX &&
                value->text.size <= HEAP_BYTES - writer->heap_used &&
                writer->column_bytes[value->column] + cost <= COLUMN_BYTES_MAX;
    if (!fits) {
        row_bits_set(&writer->undecided[value->column], row);
        return;
    }
    writer->column_bytes[value->column] += cost;
    struct field_entry *entry = &writer->entries[writer->entry_count++];
    *entry = (struct field_entry){
        .key = value->key, .row = (uint16_t)row, .column = (uint8_t)value->column};
    if (is_text) {
        entry->key = text_key(value->text);
        entry->text = writer->heap_used;
        entry->text_size = (uint8_t)value->text.size;
        memcpy(writer->heap + writer->heap_used, value->text.data, value->text.size);
        writer->heap_used += (uint32_t)value->text.size;
    }
}

/* ---- Blocks -------------------------------------------------------------------------------- */

static void measure(const struct field_writer *writer, uint32_t from, uint32_t to,
                    struct field_block *out) {
    for (uint32_t i = from; i < to; i++) {
        const struct field_entry *entry = &writer->entries[i];
        if (i == from || field_value_order(entry - 1, entry, writer->heap) != 0) {
            out->key_count++;
            out->heap_bytes += entry->text_size;
        }
        out->posting_count++;
    }
}

static uint32_t put_undecided(const struct row_bits *bits, uint8_t *at) {
    uint32_t count = 0;
    for (uint32_t row = 0; row < ROW_GROUP; row++) {
        if (row_bits_has(bits, row)) {
            if (at != NULL) {
                store_u16(at + (size_t)count * 2, (uint16_t)row);
            }
            count++;
        }
    }
    return count;
}

static void put_entries(const struct field_writer *writer, uint32_t from, uint32_t to,
                        enum payload_domain domain, const struct field_block_layout *layout) {
    uint8_t *out = writer->block;
    uint32_t key = UINT32_MAX;
    uint32_t heap_end = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct field_entry *entry = &writer->entries[i];
        if (i == from || field_value_order(entry - 1, entry, writer->heap) != 0) {
            key++;
            memcpy(out + layout->heap + heap_end, writer->heap + entry->text, entry->text_size);
            heap_end += entry->text_size;
        }
        if (domain == DOMAIN_TEXT) {
            store_u32(out + FIELD_BLOCK_HEADER + (size_t)key * 4, heap_end);
        } else {
            store_u64(out + FIELD_BLOCK_HEADER + (size_t)key * 8, entry->key);
        }
        store_u32(out + layout->postings + (size_t)key * 4, i - from + 1);
        store_u16(out + layout->rows + (size_t)(i - from) * 2, entry->row);
    }
}

static ins_status keep_offset(struct field_writer *writer, ins_error *error) {
    struct offsets_piece *piece = writer->last;
    if (writer->written / 8 > UINT32_MAX) {
        return ins_fail(error, INS_FULL, "a field index of more than 32 GiB");
    }
    if (piece->count == OFFSETS_A_PIECE) {
        piece = piece->next;
        writer->last = piece;
    }
    INS_ASSERT(piece != NULL);
    piece->items[piece->count++] = (uint32_t)(writer->written / 8);
    return INS_OK;
}

static ins_status put_zeros(struct field_writer *writer, uint64_t size, ins_error *error) {
    ins_status status = INS_OK;
    writer->written += size;
    while (status == INS_OK && size > 0) {
        size_t part = size < 16 ? (size_t)size : 16;
        status = stream_zero(&writer->stream, part, error);
        size -= part;
    }
    return status;
}

/* The entries from .. to are the column's. */
static ins_status write_block(struct field_writer *writer, uint32_t column, uint32_t from,
                              uint32_t to, ins_error *error) {
    enum payload_domain domain = payload_columns_at(writer->columns, column)->domain;
    struct field_block block = {.key_count = 0};
    measure(writer, from, to, &block);
    block.undecided_count = put_undecided(&writer->undecided[column], NULL);
    bool empty = block.posting_count + block.undecided_count == 0;
    struct field_block_layout layout = field_block_layout(&block, domain);
    INS_ASSERT(layout.size <= INS_CHUNK_BYTES);
    uint64_t room = INS_CHUNK_BYTES - writer->written % INS_CHUNK_BYTES;
    ins_status status = INS_OK;
    if (!empty && layout.size > room) {
        status = put_zeros(writer, room, error);
    }
    if (status == INS_OK) {
        status = keep_offset(writer, error);
    }
    if (status != INS_OK || empty) {
        return status;
    }
    memset(writer->block, 0, layout.size);
    store_u32(writer->block, block.key_count);
    store_u32(writer->block + 4, block.posting_count);
    store_u32(writer->block + 8, block.undecided_count);
    store_u32(writer->block + 12, block.heap_bytes);
    put_entries(writer, from, to, domain, &layout);
    (void)put_undecided(&writer->undecided[column],
                        writer->block + layout.rows + (size_t)block.posting_count * 2);
    writer->written += layout.size;
    return stream_put(&writer->stream, writer->block, layout.size, error);
}

static ins_status write_group(struct field_writer *writer, ins_error *error) {
    ins_status status = INS_OK;
    writer->entry_count = field_sort(writer->entries, writer->entry_count, writer->spare,
                                     writer->column_count, writer->heap);
    uint32_t from = 0;
    for (uint32_t column = 0; status == INS_OK && column < writer->column_count; column++) {
        uint32_t to = from;
        while (to < writer->entry_count && writer->entries[to].column == column) {
            to++;
        }
        status = write_block(writer, column, from, to, error);
        from = to;
    }
    writer->entry_count = writer->heap_used = writer->row_count = 0;
    memset(writer->column_bytes, 0, sizeof(writer->column_bytes));
    memset(writer->undecided, 0, sizeof(writer->undecided));
    return status;
}

/* ---- Sections ------------------------------------------------------------------------------ */

static ins_status blocks_write(struct field_writer *writer, const struct extent_source *source,
                               ins_error *error) {
    struct source_walk walk;
    ins_status status = walk_begin(&walk, source, EXTENT_NEED_PAYLOAD, 0, error);
    while (status == INS_OK) {
        status = walk_live(&walk, error);
        if (status != INS_OK || walk.end) {
            break;
        }
        ins_text payload = {(const char *)walk.row.payload.data, walk.row.payload.size};
        payload_columns_visit(writer->columns, payload, take_value, writer);
        if (++writer->row_count == ROW_GROUP) {
            status = write_group(writer, error);
        }
    }
    if (status == INS_OK && writer->row_count > 0) {
        status = write_group(writer, error);
    }
    if (status == INS_OK) {
        status = keep_offset(writer, error); /* where the last block ends */
    }
    if (status == INS_OK && writer->written == 0) {
        status = put_zeros(writer, 8, error); /* no value anywhere; a section is never empty */
    }
    return status == INS_OK ? stream_end(&writer->stream, error) : status;
}

static ins_status table_put_columns(const struct field_writer *writer,
                                    struct section_stream *stream, uint32_t row_count,
                                    ins_error *error) {
    uint8_t head[FIELD_TABLE_HEADER] = {0};
    uint64_t size = FIELD_TABLE_HEADER;
    store_u32(head, writer->column_count);
    store_u32(head + 4, field_group_count(row_count));
    store_u32(head + 8, ROW_GROUP);
    ins_status status = stream_put(stream, head, sizeof(head), error);
    for (uint32_t i = 0; status == INS_OK && i < writer->column_count; i++) {
        const struct payload_column *column = payload_columns_at(writer->columns, i);
        uint8_t word[4] = {(uint8_t)column->domain, 0};
        store_u16(word + 2, (uint16_t)column->path.size);
        status = stream_put(stream, word, sizeof(word), error);
        if (status == INS_OK) {
            status = stream_put(stream, column->path.data, column->path.size, error);
        }
        size += sizeof(word) + column->path.size;
    }
    return status == INS_OK ? stream_zero(stream, (size_t)(align_up(size, 8) - size), error)
                            : status;
}

static ins_status table_write(const struct field_writer *writer, struct section_stream *stream,
                              uint32_t row_count, ins_error *error) {
    ins_status status = table_put_columns(writer, stream, row_count, error);
    uint64_t count = 0;
    const struct offsets_piece *piece = writer->first;
    for (; status == INS_OK && piece != NULL; piece = piece->next) {
        for (uint32_t i = 0; status == INS_OK && i < piece->count; i++) {
            uint8_t word[4];
            store_u32(word, piece->items[i]);
            status = stream_put(stream, word, sizeof(word), error);
        }
        count += piece->count;
    }
    if (status == INS_OK && count % 2 != 0) {
        status = stream_zero(stream, 4, error);
    }
    return status == INS_OK ? stream_end(stream, error) : status;
}

static void field_writer_fini(struct field_writer *writer) {
    struct arena *arena = writer->arena;
    arena_free(arena, INS_MEM_JOB, writer->entries, INS_BLOCK_BYTES_MAX);
    arena_free(arena, INS_MEM_JOB, writer->spare, INS_BLOCK_BYTES_MAX);
    arena_free(arena, INS_MEM_JOB, writer->heap, HEAP_BYTES);
    arena_free(arena, INS_MEM_JOB, writer->block, INS_CHUNK_BYTES);
    while (writer->first != NULL) {
        struct offsets_piece *next = writer->first->next;
        arena_free(arena, INS_MEM_JOB, writer->first, sizeof(*writer->first));
        writer->first = next;
    }
    arena_free(arena, INS_MEM_JOB, writer, sizeof(*writer));
}

/* Room for the offset of every block, and of the end. */
static bool make_offsets(struct field_writer *writer, uint32_t row_count) {
    uint64_t count = (uint64_t)field_group_count(row_count) * writer->column_count + 1;
    for (uint64_t room = 0; room < count; room += OFFSETS_A_PIECE) {
        struct offsets_piece *piece = arena_alloc(writer->arena, INS_MEM_JOB, sizeof(*piece));
        if (piece == NULL) {
            return false;
        }
        piece->count = 0;
        piece->next = writer->first;
        writer->first = piece;
    }
    writer->last = writer->first;
    return true;
}

static struct field_writer *field_writer_create(struct arena *arena, uint32_t row_count,
                                                const struct payload_columns *columns) {
    struct field_writer *writer = arena_alloc_zero(arena, INS_MEM_JOB, sizeof(*writer));
    if (writer == NULL) {
        return NULL;
    }
    writer->arena = arena;
    writer->columns = columns;
    writer->column_count = payload_columns_count(columns);
    writer->entries = arena_alloc(arena, INS_MEM_JOB, INS_BLOCK_BYTES_MAX);
    writer->spare = arena_alloc(arena, INS_MEM_JOB, INS_BLOCK_BYTES_MAX);
    writer->heap = arena_alloc(arena, INS_MEM_JOB, HEAP_BYTES);
    writer->block = arena_alloc(arena, INS_MEM_JOB, INS_CHUNK_BYTES);
    if (writer->entries == NULL || writer->spare == NULL || writer->heap == NULL ||
        writer->block == NULL || !make_offsets(writer, row_count)) {
        field_writer_fini(writer);
        return NULL;
    }
    return writer;
}

ins_status fields_write(struct segment_writer *to, uint64_t extent_start,
                        const struct extent_source *source, uint32_t row_count, uint32_t table,
                        bool *out_written, ins_error *error) {
    struct section blocks = {.kind = SECTION_FIELD,
                             .number = (uint16_t)field_blocks_number(table),
                             .encoding = ENCODING_PLAIN,
                             .chunk_bytes = layout_chunk_bytes(SECTION_FIELD)};
    struct section names = blocks;
    names.number = (uint16_t)field_table_number(table);
    struct field_writer *writer = field_writer_create(to->arena, row_count, source->columns[table]);
    *out_written = writer != NULL;
    if (writer == NULL) {
        return INS_OK;
    }
    ins_status status = stream_begin(&writer->stream, to, extent_start, &blocks, 0, error);
    if (status == INS_OK) {
        status = blocks_write(writer, source, error);
    }
    struct section_stream stream;
    if (status == INS_OK) {
        status = stream_begin(&stream, to, extent_start, &names, 0, error);
    }
    if (status == INS_OK) {
        status = table_write(writer, &stream, row_count, error);
    }
    field_writer_fini(writer);
    return status;
}
