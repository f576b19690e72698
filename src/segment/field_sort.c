#include "segment/field_sort.h"

#include <stdlib.h>

#include "base/assert.h"
#include "segment/fields.h"

#define FEW 32u /* so many are sorted by insertion */
#define DIGITS 8u
#define DIGIT_VALUES 256u

static int entry_order(const void *left, const void *right, void *heap) {
    const struct field_entry *a = left;
    const struct field_entry *b = right;
    int order = field_value_order(a, b, heap);
    return order != 0 ? order : (a->row > b->row) - (a->row < b->row);
}

static void sort_few(struct field_entry *entries, uint32_t count, const uint8_t *heap) {
    for (uint32_t i = 1; i < count; i++) {
        struct field_entry entry = entries[i];
        uint32_t at = i;
        for (; at > 0 && field_value_order(&entries[at - 1], &entry, heap) > 0; at--) {
            entries[at] = entries[at - 1];
        }
        entries[at] = entry;
    }
}

static inline uint8_t digit_of(const struct field_entry *entry, uint32_t digit) {
    return (uint8_t)(entry->key >> 8 * digit);
}

static void scatter(const struct field_entry *from, struct field_entry *to, uint32_t count,
                    uint32_t digit, const uint32_t sizes[static DIGIT_VALUES]) {
    uint32_t places[DIGIT_VALUES];
    uint32_t place = 0;
    for (uint32_t i = 0; i < DIGIT_VALUES; i++) {
        places[i] = place;
        place += sizes[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        to[places[digit_of(&from[i], digit)]++] = from[i];
    }
}

/* Moves from[count] into to[count] by key, entries of one key in the order that they have. */
static void sort_keys(struct field_entry *from, struct field_entry *to, uint32_t count) {
    uint32_t sizes[DIGITS][DIGIT_VALUES] = {{0}};
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t digit = 0; digit < DIGITS; digit++) {
            sizes[digit][digit_of(&from[i], digit)]++;
        }
    }
    struct field_entry *wanted = to;
    for (uint32_t digit = 0; digit < DIGITS; digit++) {
        if (sizes[digit][digit_of(&from[0], digit)] == count) {
            continue; /* all have the same */
        }
        scatter(from, to, count, digit, sizes[digit]);
        struct field_entry *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != wanted) {
        memcpy(wanted, from, count * sizeof(*wanted));
    }
}

/* Entries of one key whose texts may differ behind their first 8 bytes. */
static void sort_texts(struct field_entry *entries, uint32_t count, const uint8_t *heap) {
    for (uint32_t from = 0, to; from < count; from = to) {
        bool same = true;
        for (to = from + 1; to < count && entries[to].key == entries[from].key; to++) {
            same = same && entries[to].text_size == entries[from].text_size;
        }
        if (to - from > 1 && (!same || entries[from].text_size > 8)) {
            qsort_r(entries + from, to - from, sizeof(*entries), entry_order, (void *)heap);
        }
    }
}

static void sort_column(struct field_entry *from, struct field_entry *to, uint32_t count,
                        const uint8_t *heap) {
    if (count <= FEW) {
        memcpy(to, from, count * sizeof(*to));
        sort_few(to, count, heap);
        return;
    }
    sort_keys(from, to, count);
    sort_texts(to, count, heap);
}

static uint32_t drop_repeats(struct field_entry *entries, uint32_t count, const uint8_t *heap) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || entries[kept - 1].row != entries[i].row ||
            field_value_order(&entries[kept - 1], &entries[i], heap) != 0) {
            entries[kept++] = entries[i];
        }
    }
    return kept;
}

uint32_t field_sort(struct field_entry *entries, uint32_t count, struct field_entry *spare,
                    uint32_t column_count, const uint8_t *heap) {
    uint32_t ends[FIELD_COLUMNS_MAX + 1] = {0};
    INS_ASSERT(column_count <= FIELD_COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        INS_ASSERT(entries[i].column < column_count);
        ends[entries[i].column + 1]++;
    }
    for (uint32_t i = 0; i < column_count; i++) {
        ends[i + 1] += ends[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        spare[ends[entries[i].column]++] = entries[i]; /* now each is the end of its column */
    }
    for (uint32_t i = 0, from = 0; i < column_count; from = ends[i], i++) {
        if (ends[i] > from) {
            sort_column(spare + from, entries + from, ends[i] - from, heap);
        }
    }
    return drop_repeats(entries, count, heap);
}
