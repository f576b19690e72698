/* Sorted sets in blocks: a condition may name more values than one allocation holds. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "payload/payload_private.h"

#define LINEAR_MAX 8u /* smaller sets are compared one by one */

bool value_set_init(struct value_set *set, struct pool *pool, size_t capacity, size_t item_size) {
    *set = (struct value_set){.item_size = item_size};
    size_t block_count = (capacity + VALUE_SET_BLOCK_ITEMS - 1) / VALUE_SET_BLOCK_ITEMS;
    if (block_count == 0) {
        return true;
    }
    set->blocks = pool_alloc(pool, block_count * sizeof(uint8_t *));
    bool good = set->blocks != NULL;
    for (size_t i = 0; good && i < block_count; i++) {
        size_t left = capacity - i * VALUE_SET_BLOCK_ITEMS;
        size_t items = left < VALUE_SET_BLOCK_ITEMS ? left : VALUE_SET_BLOCK_ITEMS;
        set->blocks[i] = pool_alloc(pool, items * item_size);
        good = set->blocks[i] != NULL;
    }
    return good;
}

void value_set_add(struct value_set *set, const void *item) {
    size_t place = set->count % VALUE_SET_BLOCK_ITEMS;
    memcpy(set->blocks[set->count / VALUE_SET_BLOCK_ITEMS] + place * set->item_size, item,
           set->item_size);
    set->count++;
}

static size_t block_items(const struct value_set *set, size_t from) {
    size_t left = set->count - from;
    return left < VALUE_SET_BLOCK_ITEMS ? left : VALUE_SET_BLOCK_ITEMS;
}

void value_set_sort(struct value_set *set, value_order order) {
    for (size_t from = 0; from < set->count; from += VALUE_SET_BLOCK_ITEMS) {
        qsort(set->blocks[from / VALUE_SET_BLOCK_ITEMS], block_items(set, from), set->item_size,
              order);
    }
}

static bool block_has(const uint8_t *items, size_t count, size_t item_size, const void *key,
                      value_order order) {
    if (count > LINEAR_MAX) {
        return bsearch(key, items, count, item_size, order) != NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (order(key, items + i * item_size) == 0) {
            return true;
        }
    }
    return false;
}

bool value_set_has(const struct value_set *set, const void *key, value_order order) {
    bool found = false;
    for (size_t from = 0; !found && from < set->count; from += VALUE_SET_BLOCK_ITEMS) {
        found = block_has(set->blocks[from / VALUE_SET_BLOCK_ITEMS], block_items(set, from),
                          set->item_size, key, order);
    }
    return found;
}

const void *value_set_at(const struct value_set *set, size_t index) {
    INS_ASSERT(index < set->count);
    return set->blocks[index / VALUE_SET_BLOCK_ITEMS] +
           index % VALUE_SET_BLOCK_ITEMS * set->item_size;
}

int text_order(const void *left, const void *right) {
    const ins_text *a = left;
    const ins_text *b = right;
    size_t common = a->size < b->size ? a->size : b->size;
    int order = common == 0 ? 0 : memcmp(a->data, b->data, common);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}
