/* Field indexes of large extents: for each group of ROW_GROUP rows and each column its values in
 * order, with the rows that have them. Format: docs/FORMATS.md "Field index".
 *
 * Writing: field_writer takes payloads row by row and makes a block a group and column. Reading: a
 * table names the columns and says where each block lies; a block sets the bits of the rows that a
 * value or a range has. Every bound is checked where it is used: bytes that pass their hash may
 * still be hostile, and give false. */
#ifndef INS_SEGMENT_FIELDS_H
#define INS_SEGMENT_FIELDS_H

#include "payload/fields.h"
#include "segment/segment.h"

#define FIELD_COLUMNS_MAX 16u      /* of one table; an extent has as many tables as it takes */
#define FIELD_PATH_BYTES_MAX 1024u /* of an indexed path: the columns' names fit a chunk */
/* A number has three columns. */
#define FIELD_TABLES_MAX ((3u * INS_FIELDS_MAX + FIELD_COLUMNS_MAX - 1) / FIELD_COLUMNS_MAX)

/* Section numbers of table `index`. */
static inline uint32_t field_table_number(uint32_t index) {
    return 2 * index;
}
static inline uint32_t field_blocks_number(uint32_t index) {
    return 2 * index + 1;
}

struct field_table {
    uint32_t column_count, group_count;
    uint32_t offsets_at;                              /* in the section */
    struct payload_column columns[FIELD_COLUMNS_MAX]; /* borrow the first chunk */
};

/* `first` is the first chunk of a table's section of `size` bytes. */
bool field_table_parse(struct slice first, uint64_t size, uint32_t row_count,
                       struct field_table *out);
/* Where the block of a group and column lies in the blocks' section of `blocks_size` bytes: within
 * one chunk. *out_size may be 0. All chunks of the table at hand. */
bool field_block_place(const struct field_table *table, const struct chunks *chunks, uint32_t group,
                       uint32_t column, uint64_t blocks_size, uint64_t *out_begin,
                       uint32_t *out_size);

struct field_block {
    uint32_t key_count, posting_count, undecided_count, heap_bytes;
    uint32_t row_count;      /* rows of the group */
    const uint8_t *keys;     /* u64 each, or u32 ends of texts */
    const uint8_t *postings; /* u32 ends */
    const uint8_t *rows;     /* u16 each; then those of rows that must be looked at */
    const uint8_t *heap;
};

bool field_block_parse(struct slice bytes, enum payload_domain domain, uint32_t row_count,
                       struct field_block *out);
/* Sets the rows that have a key within [low, high]; not for texts. */
bool field_block_keys(const struct field_block *block, uint64_t low, uint64_t high,
                      struct row_bits *bits);
bool field_block_text(const struct field_block *block, ins_text text, struct row_bits *bits);
/* Sets the rows that have a text for which `wanted` says true. Cost: all texts of the block. */
bool field_block_texts(const struct field_block *block,
                       bool (*wanted)(const void *context, ins_text text), const void *context,
                       struct row_bits *bits);
/* Sets the rows whose values are not all there. */
bool field_block_undecided(const struct field_block *block, struct row_bits *bits);

/* Background lane. *out_lacks: the extent lacks one of the columns of wanted[table_count], or its
 * tables are damaged. Cost: a read of the first chunk of each table. */
INS_MUST_USE ins_status extent_lacks_columns(ins_store *store, struct arena *arena,
                                             const struct extent *extent,
                                             struct payload_columns *const *wanted,
                                             uint32_t table_count, bool *out_lacks,
                                             ins_error *error);

#endif
