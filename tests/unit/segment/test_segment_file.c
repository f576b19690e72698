/* Files: many extents, their places, the directory in pieces; failures of store, memory, source. */
#include "segment_kit.h"

#include <string.h>

#include "segment/segment_private.h"

static const uint8_t random_id[16] = {9, 8, 7};

struct seen {
    const struct run *runs; /* as the writer gave them */
    uint32_t count, capacity;
    uint64_t end;
    uint32_t scopes;
    uint64_t last_scope;
};

static ins_status visit(void *context, const struct run_entry *entry, ins_error *error) {
    struct seen *seen = context;
    (void)error;
    assert_true(seen->count < seen->capacity);
    assert_memory_equal(&seen->runs[seen->count], &entry->run, sizeof(entry->run));
    assert_int_equal(entry->incarnation, 1000 + seen->count);
    assert_int_equal(entry->scope, seen->count / 7);
    assert_int_equal(entry->shard, seen->count / 7 / 100);
    uint64_t offset = (uint64_t)entry->run.offset_64 * 64;
    uint64_t size = (uint64_t)entry->run.size_64 * 64;
    if (size != 0) {
        assert_true(offset >= seen->end);
        if (size < 4096) {
            assert_int_equal(offset / 4096, (offset + size - 1) / 4096);
        }
        seen->end = offset + size;
    }
    seen->count++;
    return INS_OK;
}

/* Goal: a file of thousands of islands reads back in order, each within its page; a tenant of one
 * 128-d point with 80 bytes of payload costs well under 1.5 KiB. Method: 3,000 islands in 429
 * scopes; every fifth empty but for tombstones or quite. */
static void test_many_extents(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    struct kit kit;
    kit_open(&kit);
    static struct run runs[COUNT];
    struct segment_writer *writer;
    struct segment_info info;
    ins_error error = {0};
    assert_int_equal(segment_writer_begin(kit.store, kit.arena, 3, random_id, &writer, &error),
                     INS_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct kit_row rows[2] = {
            {.id = id_number(i), .version = 101 + i, .payload_size = 80},
            {.id = id_number(1ull << 40), .version = 101, .tombstone = true},
        };
        struct kit_source source;
        kit_source_init(&source, rows, i % 50 == 7 ? 0 : i % 50 == 8 ? 2 : 1, 128);
        source.source.scope = i / 7;
        source.source.shard = i / 7 / 100;
        source.source.incarnation = 1000 + i;
        assert_int_equal(segment_writer_extent(writer, &source.source, &runs[i], &error), INS_OK);
        kit_source_fini(&source);
    }
    assert_true(segment_writer_size(writer) > COUNT * 900);
    assert_int_equal(segment_writer_commit(writer, &info, &error), INS_OK);
    assert_int_equal(info.extent_count, COUNT);
    assert_int_equal(info.size_bytes % 4096, 0);
    print_message("%.0f bytes a tenant of one point\n", (double)info.size_bytes / COUNT);
    assert_true(info.size_bytes / COUNT < 1200);

    struct seen seen = {.runs = runs, .capacity = COUNT, .end = 4096};
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &info, visit, &seen, &error),
                     INS_OK);
    assert_int_equal(seen.count, COUNT);
    assert_int_equal(kit_job_bytes(&kit), 0);
    char text[256];
    if (kit_check(&kit, &info, text, sizeof(text)) != INS_OK) {
        fail_msg("%s", text);
    }
    kit_close(&kit);
}

/* Goal: a file without extents is a file. Method: begin, commit, read, check. */
static void test_no_extents(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct segment_writer *writer;
    struct segment_info info;
    assert_int_equal(segment_writer_begin(kit.store, kit.arena, 3, random_id, &writer, NULL),
                     INS_OK);
    assert_int_equal(segment_writer_commit(writer, &info, NULL), INS_OK);
    struct seen seen = {0};
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &info, visit, &seen, NULL),
                     INS_OK);
    assert_int_equal(kit_check(&kit, &info, NULL, 0), INS_OK);
    kit_close(&kit);
}

static ins_status write_mixed(struct kit *kit, uint64_t file, const struct kit_row *rows,
                              uint32_t count, uint32_t fail_after, struct segment_info *out_info) {
    struct kit_source source;
    struct segment_writer *writer;
    struct run run;
    ins_error error = {0};
    ins_status status =
        segment_writer_begin(kit->store, kit->arena, file, random_id, &writer, &error);
    if (status != INS_OK) {
        return status;
    }
    kit_source_init(&source, rows, count, 4);
    source.fail_after = fail_after;
    for (uint32_t i = 0; i < 3 && status == INS_OK; i++) {
        source.source.scope = i;
        source.count = i == 1 ? count : 3; /* small, large, small */
        status = segment_writer_extent(writer, &source.source, &run, &error);
    }
    kit_source_fini(&source);
    if (status != INS_OK) {
        assert_int_not_equal(error.message[0], 0);
        segment_writer_abort(writer);
        return status;
    }
    return segment_writer_commit(writer, out_info, &error);
}

/* Goal: each failure of store, memory and source is passed on, leaks nothing and leaves nothing to
 * be seen before the commit. Method: count what a good run does, then make each fail in turn. */
static void test_failures(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct kit_shape shape = {.numbers = 9000,
                              .dead_numbers = 50,
                              .payload_max = 300,
                              .version_low = 100,
                              .version_high = 1000};
    uint32_t count;
    struct kit_row *rows = kit_rows(&shape, 5, &count);
    struct segment_info info;
    uint64_t before = store_memory_calls(kit.store, true);
    assert_int_equal(write_mixed(&kit, 1, rows, count, 0, &info), INS_OK);
    uint64_t calls = store_memory_calls(kit.store, true) - before;
    assert_true(calls >= 3);
    for (uint64_t call = 1; call <= calls; call++) {
        store_memory_fail_at(kit.store, call, true, INS_FULL, false);
        assert_int_equal(write_mixed(&kit, 1 + call, rows, count, 0, &info), INS_FULL);
        /* A store whose sync failed stays down until it is opened again. */
        kit_close(&kit);
        kit_open(&kit);
    }
    assert_int_equal(write_mixed(&kit, 1, rows, count, 0, &info), INS_OK);
    uint32_t refused = 0;
    for (uint32_t countdown = 1; countdown < 12; countdown++) {
        arena_fail_at(kit.arena, countdown);
        ins_status status = write_mixed(&kit, 100 + countdown, rows, count, 0, &info);
        assert_true(status == INS_OK || status == INS_EXHAUSTED);
        refused += status == INS_OK ? 0 : 1;
        arena_fail_at(kit.arena, 0);
        assert_int_equal(kit_job_bytes(&kit), 0);
    }
    assert_true(refused >= 5); /* writer, two buffers, hashes, two tables */
    uint32_t fail_after = 1;
    while (write_mixed(&kit, 1000 + fail_after, rows, count, fail_after, &info) == INS_IO) {
        assert_int_equal(kit_job_bytes(&kit), 0);
        fail_after += fail_after < 60 ? 1 : 1237;
    }
    assert_true(fail_after > 6 * count); /* seven passes over the large extent */
    /* The name is taken. */
    assert_int_equal(write_mixed(&kit, 1, rows, count, 0, &info), INS_EXISTS);
    assert_int_equal(kit_job_bytes(&kit), 0);
    free(rows);
    kit_close(&kit);
}

/* Goal: reading fails cleanly. Method: each read and allocation fails in turn; a visitor's error is
 * passed on; the manifest's words of another file are refused. */
static ins_status stop(void *context, const struct run_entry *entry, ins_error *error) {
    (void)context;
    (void)entry;
    return ins_fail(error, INS_TIMEOUT, "stop");
}

static ins_status pass(void *context, const struct run_entry *entry, ins_error *error) {
    (void)context;
    (void)entry;
    (void)error;
    return INS_OK;
}

static void test_read_failures(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct kit_shape shape = {.numbers = 2000, .version_low = 100, .version_high = 1000};
    uint32_t count;
    struct kit_row *rows = kit_rows(&shape, 5, &count);
    struct segment_info info;
    assert_int_equal(write_mixed(&kit, 1, rows, count, 0, &info), INS_OK);
    free(rows);
    for (uint64_t call = 1; call <= 4; call++) {
        store_memory_fail_at(kit.store, call, false, INS_IO, false);
        assert_int_equal(segment_read_directory(kit.store, kit.arena, &info, pass, NULL, NULL),
                         INS_IO);
        store_memory_fail_off(kit.store);
        arena_fail_at(kit.arena, call);
        assert_int_equal(segment_read_directory(kit.store, kit.arena, &info, pass, NULL, NULL),
                         INS_EXHAUSTED);
        arena_fail_at(kit.arena, 0);
        assert_int_equal(kit_job_bytes(&kit), 0);
    }
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &info, stop, NULL, NULL),
                     INS_TIMEOUT);
    struct segment_info other = info;
    other.trailer_hash++;
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &other, pass, NULL, NULL),
                     INS_CORRUPT);
    other = info;
    other.random_id[3]++;
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &other, pass, NULL, NULL),
                     INS_CORRUPT);
    other = info;
    other.extent_count++;
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &other, pass, NULL, NULL),
                     INS_CORRUPT);
    other = info;
    other.size_bytes += 4096;
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &other, pass, NULL, NULL),
                     INS_CORRUPT);
    other.size_bytes = 17;
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &other, pass, NULL, NULL),
                     INS_CORRUPT);
    other = info;
    other.file = 2;
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &other, pass, NULL, NULL),
                     INS_NOT_FOUND);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_extents),
        cmocka_unit_test(test_no_extents),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_read_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
