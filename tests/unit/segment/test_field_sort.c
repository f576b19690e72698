/* Goal: entries come out by column, value and row, a value of a row once, whatever the values are.
 * Method: random groups of every size around the limits of insertion, with few and many values,
 * keys that share bytes, and texts with common beginnings; compared with the C library's sort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "segment/field_sort.h"
#include "segment/fields.h"

#define ENTRIES 9000u
#define HEAP (ENTRIES * 24u)

static uint64_t seed = 1;

static uint64_t draw(void) {
    seed = hash_u64(seed + 0x9e3779b97f4a7c15ull);
    return seed;
}

static int order(const void *left, const void *right, void *heap) {
    const struct field_entry *a = left, *b = right;
    const uint8_t *texts = heap;
    if (a->column != b->column) {
        return a->column < b->column ? -1 : 1;
    }
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    size_t common = a->text_size < b->text_size ? a->text_size : b->text_size;
    int by_text = memcmp(texts + a->text, texts + b->text, common);
    if (by_text != 0 || a->text_size != b->text_size) {
        return by_text != 0 ? by_text : (int)a->text_size - (int)b->text_size;
    }
    return (int)a->row - (int)b->row;
}

/* Column 0 has texts; of the others each has keys of its own spread. */
static void make(struct field_entry *entries, uint32_t count, uint32_t columns, uint8_t *heap) {
    uint32_t used = 0, row = 0;
    for (uint32_t i = 0; i < count; i++) {
        row += (uint32_t)(draw() % 3 == 0);
        entries[i] =
            (struct field_entry){.row = (uint16_t)row, .column = (uint8_t)(draw() % columns)};
        if (entries[i].column > 0) {
            entries[i].key = draw() >> entries[i].column * 9 % 64 << entries[i].column % 5 * 3;
            continue;
        }
        uint8_t bytes[8] = {0};
        uint32_t size = (uint32_t)(draw() % 16);
        entries[i].text = used;
        entries[i].text_size = (uint8_t)size;
        for (uint32_t at = 0; at < size; at++) { /* zeros too: they look like the padding */
            heap[used + at] = at == 4 || at > 11 ? (uint8_t)(draw() % 3) : 'a';
        }
        memcpy(bytes, heap + used, size < 8 ? size : 8);
        for (int at = 0; at < 8; at++) {
            entries[i].key = entries[i].key << 8 | bytes[at];
        }
        used += size;
    }
}

static void test_sort(void **state) {
    (void)state;
    struct field_entry *one = malloc(ENTRIES * sizeof(*one));
    struct field_entry *other = malloc(ENTRIES * sizeof(*other));
    struct field_entry *spare = malloc(ENTRIES * sizeof(*spare));
    uint8_t *heap = malloc(HEAP);
    assert_true(one != NULL && other != NULL && spare != NULL && heap != NULL);
    for (uint32_t turn = 0; turn < 400; turn++) {
        uint32_t count = (uint32_t)(draw() % (turn % 8 == 0 ? ENTRIES : 80));
        uint32_t columns = (uint32_t)(draw() % FIELD_COLUMNS_MAX) + 1;
        make(one, count, columns, heap);
        memcpy(other, one, count * sizeof(*one));
        uint32_t left = field_sort(one, count, spare, columns, heap);
        qsort_r(other, count, sizeof(*other), order, heap);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (kept > 0 && order(&other[kept - 1], &other[i], heap) == 0) {
                continue;
            }
            assert_true(kept < left);
            assert_int_equal(order(&one[kept], &other[i], heap), 0);
            other[kept++] = other[i];
        }
        assert_int_equal(kept, left);
    }
    free(one);
    free(other);
    free(spare);
    free(heap);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sort)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
