/* Who is read for next: tenants take turns, new ones first, and none starves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tenant/cache_private.h"

#define MANY 4000u
#define ALL UINT64_MAX

static struct block blocks[2 * MANY];

static struct block *wait_for(struct load_lines *lines, uint32_t number, uint64_t who,
                              uint32_t size) {
    struct block *block = &blocks[number];
    *block = (struct block){.key = {.file = who, .offset = (uint64_t)number << 20, .size = size}};
    load_lines_add(lines, block, who, 100 + number);
    return block;
}

/* Goal: a tenant with nine pages is served at once, though another waits for thousands. */
static void few_before_many(void **state) {
    (void)state;
    static struct load_lines lines;
    load_lines_init(&lines);
    for (uint32_t i = 0; i < MANY; i++) {
        (void)wait_for(&lines, i, 1, 4096);
    }
    for (uint32_t i = 0; i < 20; i++) { /* its turn is under way */
        assert_int_equal(load_lines_take(&lines, ALL)->key.file, 1);
    }
    for (uint32_t i = 0; i < 9; i++) {
        (void)wait_for(&lines, MANY + i, 2, 4096);
    }
    uint32_t before = 0, got = 0;
    while (got < 9) {
        struct block *block = load_lines_take(&lines, ALL);
        got += block->key.file == 2;
        before += block->key.file == 1;
    }
    assert_in_range(before, 0, LOAD_TURN_BYTES / LOAD_READ_BYTES);
    while (load_lines_take(&lines, ALL) != NULL) {
        before++;
    }
    assert_int_equal(before + 20, MANY); /* every block once */
    assert_int_equal(lines.count, 0);
}

/* Goal: tenants that come anew all the time do not keep those from their turns who wait. Each turn
 * of a new one is one block. */
static void many_not_starved(void **state) {
    (void)state;
    static struct load_lines lines;
    load_lines_init(&lines);
    for (uint32_t i = 0; i < MANY; i++) {
        (void)wait_for(&lines, i, 1, 512u << 10);
    }
    assert_int_equal(load_lines_take(&lines, ALL)->key.file, 1); /* now it is an old one */
    uint32_t old = 0;
    for (uint32_t i = 0; i < 100; i++) {
        (void)wait_for(&lines, MANY + 2 * i, 2 + 2 * i, 4096);
        (void)wait_for(&lines, MANY + 2 * i + 1, 3 + 2 * i, 4096);
        old += load_lines_take(&lines, ALL)->key.file == 1;
        old += load_lines_take(&lines, ALL)->key.file == 1;
    }
    assert_in_range(old, 99, 101);
}

/* Goal: turns are of bytes, so that a tenant of chunks gets no more than one of pages; alone it
 * gets all. */
static void turns_by_bytes(void **state) {
    (void)state;
    static struct load_lines lines;
    load_lines_init(&lines);
    for (uint32_t i = 0; i < MANY; i++) {
        (void)wait_for(&lines, i, 1, 512u << 10);
        (void)wait_for(&lines, MANY + i, 2, 4096);
    }
    uint64_t bytes[2] = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        const struct block *block = load_lines_take(&lines, ALL);
        bytes[block->key.file - 1] += load_pages_bytes(block) + LOAD_READ_BYTES;
    }
    assert_true(bytes[0] < 2 * bytes[1]);
    assert_true(bytes[1] < 2 * bytes[0]);
}

/* Goal: what does not fit stays the next one, and since when a line waits is told. */
static void room_and_age(void **state) {
    (void)state;
    static struct load_lines lines;
    load_lines_init(&lines);
    assert_null(load_lines_take(&lines, ALL));
    assert_true(load_lines_since(&lines, 7) == UINT64_MAX);
    struct block *large = wait_for(&lines, 0, 7, 512u << 10);
    struct block *small = wait_for(&lines, 1, 7, 4096);
    assert_int_equal(load_lines_since(&lines, 7), 100);
    assert_null(load_lines_take(&lines, (512u << 10) - 1));
    assert_ptr_equal(load_lines_take(&lines, 512u << 10), large);
    assert_int_equal(load_lines_since(&lines, 7), 101);
    assert_ptr_equal(load_lines_take(&lines, 4096), small);
    assert_true(load_lines_since(&lines, 7) == UINT64_MAX);
    assert_null(load_lines_take(&lines, ALL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_before_many),
        cmocka_unit_test(many_not_starved),
        cmocka_unit_test(turns_by_bytes),
        cmocka_unit_test(room_and_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
