/* Windows over files that are read front to back. Goal: what comes out is what the files hold, for
 * any order, size and number of files, at the end of a file, without memory, and with a failing
 * store; and a file read in rising order costs one read a window. Method: files whose bytes follow
 * from their place, ranges at random. */
#include "segment_kit.h"

#include <string.h>

#include "segment/read_ahead.h"

#define FILE_BYTES (1u << 20)
#define PAGE 4096u

static uint8_t byte_at(uint64_t file, uint64_t offset) {
    return (uint8_t)(hash_u64(file * 1000003 + offset / 8) >> (offset % 8 * 8));
}

static void write_file(struct kit *kit, uint64_t file) {
    char name[SEGMENT_NAME_MAX];
    struct store_writer *put;
    static uint8_t bytes[FILE_BYTES];
    segment_name(file, name);
    for (uint32_t i = 0; i < FILE_BYTES; i++) {
        bytes[i] = byte_at(file, i);
    }
    assert_int_equal(kit->store->ops->put_begin(kit->store, name, &put, NULL), INS_OK);
    assert_int_equal(kit->store->ops->put_append(put, bytes, FILE_BYTES, NULL), INS_OK);
    assert_int_equal(kit->store->ops->put_commit(put, NULL), INS_OK);
}

static void expect(struct read_ahead *ahead, uint64_t file, uint64_t begin, size_t size) {
    static uint8_t out[FILE_BYTES];
    ins_error error = {0};
    assert_int_equal(read_ahead_get(ahead, file, begin, size, out, &error), INS_OK);
    for (size_t i = 0; i < size; i += 61) {
        assert_int_equal(out[i], byte_at(file, begin + i));
    }
    assert_int_equal(out[size - 1], byte_at(file, begin + size - 1));
}

static uint64_t reads_of(struct kit *kit) {
    return store_memory_calls(kit->store, false);
}

static void test_rising(void **state) {
    (void)state;
    struct kit kit;
    struct read_ahead ahead;
    kit_open(&kit);
    write_file(&kit, 1);
    write_file(&kit, 2);
    read_ahead_init(&ahead, kit.store, kit.arena);
    uint64_t before = reads_of(&kit);
    for (uint64_t at = 0; at < FILE_BYTES; at += PAGE) {
        expect(&ahead, 1, at, PAGE);
        expect(&ahead, 2, at, PAGE);
    }
    uint64_t windows = 2 * FILE_BYTES / READ_AHEAD_BYTES;
    assert_true(reads_of(&kit) - before <= 2 * windows); /* the size, and the bytes */
    read_ahead_fini(&ahead);
    assert_int_equal(kit_job_bytes(&kit), 0);
    kit_close(&kit);
}

static void test_any_order(void **state) {
    (void)state;
    enum { FILES = READ_AHEAD_FILES + 5 };
    struct kit kit;
    struct read_ahead ahead;
    kit_open(&kit);
    for (uint64_t file = 1; file <= FILES; file++) {
        write_file(&kit, file);
    }
    read_ahead_init(&ahead, kit.store, kit.arena);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t chance = hash_u64(i);
        uint64_t file = 1 + chance % FILES;
        size_t size = PAGE * (1 + (chance >> 16) % (i % 10 == 0 ? 100 : 4));
        uint64_t begin = (chance >> 32) % ((FILE_BYTES - size) / PAGE + 1) * PAGE;
        expect(&ahead, file, begin, size);
    }
    expect(&ahead, 3, FILE_BYTES - PAGE, PAGE); /* a window cut short by the end */
    read_ahead_fini(&ahead);
    assert_int_equal(kit_job_bytes(&kit), 0);
    kit_close(&kit);
}

/* A range that the file has not: the store's own error; what is at hand is served before and after.
 */
static void test_failures(void **state) {
    (void)state;
    struct kit kit;
    struct read_ahead ahead;
    uint8_t out[2 * PAGE];
    ins_error error = {0};
    kit_open(&kit);
    write_file(&kit, 1);
    read_ahead_init(&ahead, kit.store, kit.arena);
    expect(&ahead, 1, 0, PAGE);
    assert_int_equal(read_ahead_get(&ahead, 1, FILE_BYTES, PAGE, out, &error), INS_CORRUPT);
    assert_int_equal(read_ahead_get(&ahead, 1, FILE_BYTES - PAGE, (size_t)2 * PAGE, out, &error),
                     INS_CORRUPT);
    assert_int_equal(read_ahead_get(&ahead, 9, 0, PAGE, out, &error), INS_NOT_FOUND);
    expect(&ahead, 1, 0, PAGE);
    for (uint64_t call = 1; call <= 2; call++) {
        store_memory_fail_at(kit.store, call, false, INS_IO, false);
        assert_int_equal(
            read_ahead_get(&ahead, 1, READ_AHEAD_BYTES * (1 + call), PAGE, out, &error), INS_IO);
        store_memory_fail_off(kit.store);
        expect(&ahead, 1, READ_AHEAD_BYTES * (1 + call), PAGE);
    }
    read_ahead_fini(&ahead);
    read_ahead_init(&ahead, kit.store, kit.arena);
    arena_fail_at(kit.arena, 1); /* no window: read directly */
    expect(&ahead, 1, PAGE, PAGE);
    read_ahead_fini(&ahead);
    assert_int_equal(kit_job_bytes(&kit), 0);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rising),
                                       cmocka_unit_test(test_any_order),
                                       cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
