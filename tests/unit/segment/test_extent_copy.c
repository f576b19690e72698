/* Copying extents between files. Goal: a copy is the original byte for byte at another place, a
 * file of copies passes the check, and damage is found on the way, not carried on. Method: files of
 * small and large extents, an id directory and an entry without bytes, copied and read back. */
#include "segment_kit.h"

#include <string.h>

#include "segment/extent_copy.h"
#include "segment/segment_private.h"

#define ENTRIES_MAX 8u

static const uint8_t random_id[16] = {4, 5, 6};

struct entries {
    struct run_entry entries[ENTRIES_MAX];
    uint32_t count;
};

static ins_status collect(void *context, const struct run_entry *entry, ins_error *error) {
    struct entries *entries = context;
    (void)error;
    assert_true(entries->count < ENTRIES_MAX);
    entries->entries[entries->count++] = *entry;
    return INS_OK;
}

/* Rows of extent number `i`; 3 has none. */
static struct kit_row *rows_of(uint32_t i, uint32_t *out_count) {
    static const struct kit_shape shapes[] = {
        {.numbers = 5, .uuids = 3, .dead_numbers = 2, .payload_max = 90},
        {.numbers = 9000, .uuids = 500, .dead_uuids = 40, .payload_max = 300},
        {.numbers = 30000, .uuids = 2000},
        {.numbers = 0},
        {.numbers = 1, .payload_max = 20},
    };
    struct kit_shape shape = shapes[i];
    shape.version_low = 100;
    shape.version_high = 1000000;
    return kit_rows(&shape, 70 + i, out_count);
}

enum { EXTENTS = 5, DIRECTORY = 2 };

static void write_original(struct kit *kit, struct segment_info *out_info, struct entries *out) {
    struct segment_writer *writer;
    ins_error error = {0};
    assert_int_equal(segment_writer_begin(kit->store, kit->arena, 5, random_id, &writer, &error),
                     INS_OK);
    for (uint32_t i = 0; i < EXTENTS; i++) {
        uint32_t count;
        struct run run;
        struct kit_row *rows = rows_of(i, &count);
        struct kit_source source;
        kit_source_init(&source, rows, count, i == DIRECTORY ? 0 : 24);
        source.source.incarnation = 500 + i;
        source.source.directory = i == DIRECTORY;
        assert_int_equal(segment_writer_extent(writer, &source.source, &run, &error), INS_OK);
        kit_source_fini(&source);
        free(rows);
    }
    assert_int_equal(segment_writer_commit(writer, out_info, &error), INS_OK);
    assert_int_equal(segment_read_directory(kit->store, kit->arena, out_info, collect, out, &error),
                     INS_OK);
    assert_int_equal(out->count, EXTENTS);
}

/* Copies extents `first` and on into file `file`. */
static ins_status copy_all(struct kit *kit, const struct entries *entries, uint32_t first,
                           uint64_t file, struct segment_info *out_info, struct run *out_runs,
                           ins_error *error) {
    struct read_ahead ahead;
    struct extent_copy copy;
    struct segment_writer *writer;
    read_ahead_init(&ahead, kit->store, kit->arena);
    assert_int_equal(extent_copy_init(&copy, kit->store, kit->arena, &ahead, error), INS_OK);
    assert_int_equal(segment_writer_begin(kit->store, kit->arena, file, random_id, &writer, error),
                     INS_OK);
    ins_status status = INS_OK;
    for (uint32_t i = first; i < entries->count && status == INS_OK; i++) {
        status = extent_copy(&copy, writer, &entries->entries[i], 5, &out_runs[i], error);
    }
    if (status == INS_OK) {
        status = segment_writer_commit(writer, out_info, error);
    } else {
        segment_writer_abort(writer);
    }
    extent_copy_fini(&copy);
    read_ahead_fini(&ahead);
    assert_int_equal(kit_job_bytes(kit), 0);
    return status;
}

static void expect_rows(struct kit *kit, const struct run *run, uint64_t file, uint32_t i) {
    struct kit_extent loaded;
    ins_error error = {0};
    uint32_t count;
    assert_int_equal(kit_load(kit, run, file, 500 + i, &loaded, &error), INS_OK);
    struct kit_row *rows = rows_of(i, &count);
    kit_expect_rows(&loaded, rows, count);
    free(rows);
    kit_unload(&loaded);
}

static void test_copy(void **state) {
    (void)state;
    struct kit kit;
    struct segment_info info, copied;
    struct entries entries = {0};
    struct run runs[ENTRIES_MAX];
    ins_error error = {0};
    kit_open(&kit);
    write_original(&kit, &info, &entries);
    /* From the second on, so that every place moves. */
    assert_int_equal(copy_all(&kit, &entries, 1, 6, &copied, runs, &error), INS_OK);
    char text[256];
    if (kit_check(&kit, &copied, text, sizeof(text)) != INS_OK) {
        fail_msg("%s", text);
    }
    struct entries again = {0};
    assert_int_equal(segment_read_directory(kit.store, kit.arena, &copied, collect, &again, &error),
                     INS_OK);
    assert_int_equal(again.count, EXTENTS - 1);
    for (uint32_t i = 1; i < EXTENTS; i++) {
        const struct run_entry *was = &entries.entries[i], *is = &again.entries[i - 1];
        assert_int_equal(is->incarnation, was->incarnation);
        assert_int_equal(is->version_low, was->version_low);
        assert_int_equal(is->version_high, was->version_high);
        assert_int_equal(is->run.hash, was->run.hash);
        assert_memory_equal(&is->run, &runs[i], sizeof(runs[i]));
    }
    expect_rows(&kit, &runs[1], 6, 1);
    expect_rows(&kit, &runs[4], 6, 4);
    kit_close(&kit);
}

/* Goal: no damaged byte reaches the copy. Method: one bit at a time all over the file; what the
 * extents' hashes cover fails, the rest (gaps, tables of the original) is not copied at all. */
static void test_damage(void **state) {
    (void)state;
    struct kit kit;
    struct segment_info info, copied;
    struct entries entries = {0};
    struct run runs[ENTRIES_MAX];
    kit_open(&kit);
    write_original(&kit, &info, &entries);
    char name[SEGMENT_NAME_MAX], text[256];
    segment_name(5, name);
    uint32_t found = 0, tried = 0;
    for (uint64_t at = 4200; at < info.size_bytes; at += info.size_bytes / 61 + 17) {
        ins_error error = {0};
        uint64_t file = 100 + tried++;
        assert_true(store_memory_flip(kit.store, name, at, 0x10));
        ins_status status = copy_all(&kit, &entries, 0, file, &copied, runs, &error);
        assert_true(status == INS_OK || status == INS_CORRUPT);
        found += status == INS_CORRUPT;
        if (status == INS_OK && kit_check(&kit, &copied, text, sizeof(text)) != INS_OK) {
            fail_msg("byte %llu: %s", (unsigned long long)at, text);
        }
        assert_true(store_memory_flip(kit.store, name, at, 0x10));
    }
    assert_true(found > tried / 2);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copy), cmocka_unit_test(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
