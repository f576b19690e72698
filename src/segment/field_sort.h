/* The values of a group of rows, column by column, in order.
 *
 * Entries come in the order of their rows and are sorted by (column, value, row): a scatter by
 * column, then a radix sort of the keys by those bytes in which they differ, which keeps rows of
 * one value in order. Texts that agree in their first 8 bytes are compared whole. Cost: some passes
 * over 16 bytes a value, whatever the values are; long texts with a common beginning n log n
 * comparisons. */
#ifndef INS_SEGMENT_FIELD_SORT_H
#define INS_SEGMENT_FIELD_SORT_H

#include "base/bytes.h"

struct field_entry {
    uint64_t key;  /* of a text its first 8 bytes, as a number */
    uint32_t text; /* in the heap */
    uint16_t row;  /* in the group */
    uint8_t column, text_size;
};
_Static_assert(sizeof(struct field_entry) == 16, "131,072 of them fill a block");

/* Orders by value within a column. Entries of other domains than text have no text, so all of
 * theirs are equal. */
static inline int field_value_order(const struct field_entry *a, const struct field_entry *b,
                                    const uint8_t *heap) {
    if (a->column != b->column) {
        return a->column < b->column ? -1 : 1;
    }
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    size_t common = a->text_size < b->text_size ? a->text_size : b->text_size;
    int order = common > 8 ? memcmp(heap + a->text + 8, heap + b->text + 8, common - 8) : 0;
    return order != 0 ? order : (a->text_size > b->text_size) - (a->text_size < b->text_size);
}

/* Sorts entries[count]; `spare` has as much room; columns are below `column_count` <=
 * FIELD_COLUMNS_MAX. The same value of the same row is left once. Returns how many are left. */
uint32_t field_sort(struct field_entry *entries, uint32_t count, struct field_entry *spare,
                    uint32_t column_count, const uint8_t *heap);

#endif
