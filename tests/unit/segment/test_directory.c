/* The id directory: blocks, index and filter of runs of 1 to 300,000 ids; groups of UUIDs with one
 * high word; malformed blocks. */
#include "segment_kit.h"

#include <string.h>

#include "segment/segment_private.h"

/* Looks an id up as the engine does: filter, index, one block. */
static bool lookup(const struct kit_extent *loaded, const ins_id *id, uint64_t *out_incarnation) {
    const struct extent *extent = &loaded->extent;
    uint64_t hash = id_hash(id);
    uint32_t chunk = directory_filter_chunk(extent, hash);
    assert_true(chunk < extent->sections[SECTION_FILTER].chunk_count);
    if (!directory_filter_test(extent, loaded->chunks[SECTION_FILTER][chunk], hash)) {
        return false;
    }
    uint32_t block;
    if (!directory_block_of(extent, &loaded->views[SECTION_DIRECTORY_INDEX], id, &block)) {
        return false;
    }
    uint32_t offset;
    uint32_t block_chunk = directory_block_chunk(extent, block, &offset);
    uint64_t begin =
        (uint64_t)block_chunk * extent->sections[SECTION_DIRECTORY].chunk_bytes + offset;
    uint64_t left = extent->sections[SECTION_DIRECTORY].size - begin;
    size_t size = left < INS_DIRECTORY_BLOCK ? (size_t)left : INS_DIRECTORY_BLOCK;
    uint8_t *exact = malloc(size); /* so that a sanitizer sees a read behind the block */
    memcpy(exact, loaded->chunks[SECTION_DIRECTORY][block_chunk] + offset, size);
    bool found = false;
    ins_error error = {0};
    assert_int_equal(directory_block_find(exact, size, id, &found, out_incarnation, &error),
                     INS_OK);
    free(exact);
    return found;
}

static uint64_t walk_all(const struct kit_extent *loaded, const struct kit_row *rows) {
    const struct extent *extent = &loaded->extent;
    uint64_t seen = 0;
    for (uint32_t block = 0; block < directory_block_count(extent); block++) {
        uint32_t offset;
        uint32_t chunk = directory_block_chunk(extent, block, &offset);
        uint64_t begin = (uint64_t)block * INS_DIRECTORY_BLOCK;
        uint64_t left = extent->sections[SECTION_DIRECTORY].size - begin;
        struct directory_cursor cursor;
        struct directory_entry entry;
        ins_status status = directory_block_begin(
            loaded->chunks[SECTION_DIRECTORY][chunk] + offset,
            left < INS_DIRECTORY_BLOCK ? (size_t)left : INS_DIRECTORY_BLOCK, &cursor, NULL);
        assert_int_equal(status, INS_OK);
        while (directory_block_next(&cursor, &entry, &status)) {
            assert_true(id_equal(&entry.id, &rows[seen].id));
            assert_int_equal(entry.incarnation, rows[seen].incarnation);
            seen++;
        }
        assert_int_equal(status, INS_OK);
    }
    return seen;
}

/* Writes the rows as a directory run, checks it and looks up each id and as many that are not
 * there. Returns the bits an id that must be at hand: header, index, filter. */
static double round_trip(const struct kit_row *rows, uint32_t count, bool small,
                         double *out_disk_bytes) {
    struct kit kit;
    kit_open(&kit);
    struct kit_source source;
    kit_source_init(&source, rows, count, 0);
    source.source.directory = true;
    struct segment_info info;
    struct run run;
    kit_write_one(&kit, 11, &source, &info, &run);
    assert_int_equal((run.flags & RUN_SMALL) != 0, small);
    assert_true((run.flags & RUN_DIRECTORY) != 0);
    char text[256];
    if (kit_check(&kit, &info, text, sizeof(text)) != INS_OK) {
        fail_msg("%s", text);
    }
    struct kit_extent loaded;
    ins_error error = {0};
    assert_int_equal(kit_load(&kit, &run, 11, 9, &loaded, &error), INS_OK);
    assert_int_equal(walk_all(&loaded, rows), count);
    uint32_t step = count < 20000 ? 1 : 7;
    for (uint32_t i = 0; i < count; i += step) {
        uint64_t incarnation = 0;
        assert_true(lookup(&loaded, &rows[i].id, &incarnation));
        assert_int_equal(incarnation, rows[i].incarnation);
        ins_id absent = rows[i].id;
        absent.low++;
        if (absent.low != 0 && (i + 1 == count || !id_equal(&absent, &rows[i + 1].id))) {
            assert_false(lookup(&loaded, &absent, &incarnation));
        }
        absent = rows[i].id;
        absent.low--;
        if (absent.low != UINT64_MAX && (i == 0 || !id_equal(&absent, &rows[i - 1].id))) {
            assert_false(lookup(&loaded, &absent, &incarnation));
        }
    }
    const struct section *sections = loaded.extent.sections;
    uint64_t header = (run.flags >> RUN_HEADER_SHIFT) * 64ull;
    double resident =
        8 *
        (double)(header + sections[SECTION_DIRECTORY_INDEX].size + sections[SECTION_FILTER].size) /
        (double)count;
    *out_disk_bytes = (double)sections[SECTION_DIRECTORY].size / (double)count;
    kit_unload(&loaded);
    kit_source_fini(&source);
    kit_close(&kit);
    return resident;
}

static double round_trip_shape(uint32_t numbers, uint32_t uuids, bool small, double *out_disk) {
    struct kit_shape shape = {.numbers = numbers, .uuids = uuids, .version_high = 9};
    uint32_t count;
    struct kit_row *rows = kit_rows(&shape, 17, &count);
    double bits = round_trip(rows, count, small, out_disk);
    free(rows);
    return bits;
}

/* Goal: runs of all sizes and kinds work. Method: write, check, look up. */
static void test_sizes(void **state) {
    (void)state;
    double disk;
    (void)round_trip_shape(1, 0, true, &disk);
    (void)round_trip_shape(0, 1, true, &disk);
    (void)round_trip_shape(1, 1, true, &disk);
    (void)round_trip_shape(1000, 0, true, &disk);
    (void)round_trip_shape(0, 1000, true, &disk);
    (void)round_trip_shape(700, 900, true, &disk);
    (void)round_trip_shape(3000, 3000, false, &disk);
}

/* Goal: at most 16 bits an id at hand from 10,000 ids on; 6 to 10.1 bytes a number and about 18 a
 * UUID on disk. Method: random ids, the costliest, of 50,000 tenants. */
static void test_cost(void **state) {
    (void)state;
    static const uint32_t counts[] = {10000, 10079, 27531, 131072, 131073, 300000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        double number_disk;
        double uuid_disk;
        double number_bits = round_trip_shape(counts[i], 0, false, &number_disk);
        double uuid_bits = round_trip_shape(0, counts[i], false, &uuid_disk);
        print_message("%u ids: numbers %.2f bits at hand, %.2f bytes on disk; UUIDs %.2f, %.2f\n",
                      counts[i], number_bits, number_disk, uuid_bits, uuid_disk);
        assert_true(number_bits <= 16.0);
        assert_true(uuid_bits <= 16.0);
        assert_true(number_disk <= 10.1);
        assert_true(uuid_disk <= 18.5);
    }
}

static struct kit_row *plain_rows(uint32_t count) {
    struct kit_row *rows = calloc(count, sizeof(*rows));
    assert_non_null(rows);
    return rows;
}

/* Goal: ids 1, 2, 3 ... of few tenants cost some bits. Method: sequence; the fullest blocks that
 * there can be (one tenant), a dictionary (far apart incarnations), extremes of incarnations. */
static void test_dense_numbers(void **state) {
    (void)state;
    enum { COUNT = 50000 };
    double disk;
    struct kit_row *rows = plain_rows(COUNT);
    for (uint32_t kind = 0; kind < 4; kind++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            uint64_t random = hash_u64(i);
            rows[i].id = id_number(i);
            rows[i].incarnation = kind == 0   ? 77
                                  : kind == 1 ? random % 40 * 0x0001000000000001ull
                                  : kind == 2 ? random
                                              : (random % 2 == 0 ? 0 : UINT64_MAX);
        }
        (void)round_trip(rows, COUNT, false, &disk);
        print_message("incarnations of kind %u: %.2f bytes an id\n", kind, disk);
        assert_true(disk < (kind == 0 ? 1.6 : kind == 1 ? 2.4 : kind == 2 ? 9.6 : 1.7));
    }
    free(rows);
    /* The ends of the number range. */
    rows = plain_rows(4);
    rows[1].id = id_number(1);
    rows[2].id = id_number(UINT64_MAX - 1);
    rows[3].id = id_number(UINT64_MAX);
    (void)round_trip(rows, 4, true, &disk);
    free(rows);
}

/* Goal: a guess by even spread may be wrong by any distance. Method: numbers whose gaps double
 * again and again, both ways, and clusters far apart. */
static void test_uneven_numbers(void **state) {
    (void)state;
    enum { COUNT = 12000 };
    double disk;
    struct kit_row *rows = plain_rows(COUNT);
    for (uint32_t kind = 0; kind < 3; kind++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t back = COUNT - 1 - i;
            uint64_t id = kind == 0   ? ((uint64_t)i % 64 + 64) << (i / 64 % 50)
                          : kind == 1 ? i / 37 * 1000000000ull + i % 37
                                      : UINT64_MAX - (((uint64_t)back % 240 + 240) << (back / 240));
            rows[i].id = id_number(kind == 0 ? id + ((uint64_t)(i / 3200) << 58) : id);
            rows[i].incarnation = 3 + hash_u64(i) % 3;
            assert_true(i == 0 || id_compare(&rows[i - 1].id, &rows[i].id) < 0);
        }
        (void)round_trip(rows, COUNT, false, &disk);
    }
    free(rows);
}

/* Goal: UUIDs that share their high word are found, within a block and over many. Method: groups of
 * sizes around the block's capacity, between numbers and random UUIDs; the check verifies the
 * index. */
static void test_groups(void **state) {
    (void)state;
    double disk;
    for (uint32_t group_size = 1; group_size <= 4000; group_size = group_size * 5 / 2 + 1) {
        enum { COUNT = 12000 };
        struct kit_row *rows = plain_rows(COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            bool number = i < 100;
            uint64_t high = i / group_size * 3;
            rows[i].id =
                number ? id_number(i * 5) : (ins_id){.high = high, .low = i * 10, .is_uuid = true};
            rows[i].incarnation = 5 + hash_u64(i) % 300;
        }
        (void)round_trip(rows, COUNT, false, &disk);
        free(rows);
    }
    /* One group alone: UUIDs made from integers, as people do. */
    struct kit_row *rows = plain_rows(9000);
    for (uint32_t i = 0; i < 9000; i++) {
        rows[i].id = (ins_id){.low = i * 3, .is_uuid = true};
        rows[i].incarnation = 1 + i % 2;
    }
    (void)round_trip(rows, 9000, false, &disk);
    free(rows);
}

/* Goal: no block makes the cursor read outside or loop. Method: a good block and all its one-byte
 * changes, in a buffer of exact size; then random ones. */
static void walk_hostile(const uint8_t *bytes, size_t size) {
    struct directory_cursor cursor;
    struct directory_entry entry;
    ins_status status = directory_block_begin(bytes, size, &cursor, NULL);
    uint32_t entries = 0;
    while (status == INS_OK && directory_block_next(&cursor, &entry, &status)) {
        entries++;
        assert_true(entries <= UINT16_MAX);
    }
    ins_id id = id_number(3000);
    bool found;
    uint64_t incarnation;
    status = directory_block_find(bytes, size, &id, &found, &incarnation, NULL);
    assert_true(status == INS_OK || status == INS_CORRUPT);
}

static void test_hostile_block(void **state) {
    (void)state;
    for (uint32_t uuid = 0; uuid < 2; uuid++) {
        struct kit_shape shape = {
            .numbers = uuid != 0 ? 0 : 60, .uuids = uuid != 0 ? 60 : 0, .version_high = 9};
        uint32_t count;
        struct kit kit;
        kit_open(&kit);
        struct kit_row *rows = kit_rows(&shape, 17, &count);
        struct kit_source source;
        kit_source_init(&source, rows, count, 0);
        source.source.directory = true;
        struct segment_info info;
        struct run run;
        struct kit_extent loaded;
        kit_write_one(&kit, 1, &source, &info, &run);
        assert_int_equal(kit_load(&kit, &run, 1, 9, &loaded, NULL), INS_OK);
        size_t size = loaded.extent.sections[SECTION_DIRECTORY].size;
        uint8_t *bytes = loaded.chunks[SECTION_DIRECTORY][0];
        for (size_t at = 0; at < size; at++) {
            uint8_t kept = bytes[at];
            for (uint32_t value = 0; value < 256; value++) {
                bytes[at] = (uint8_t)value;
                walk_hostile(bytes, size);
            }
            bytes[at] = kept;
        }
        for (uint32_t round = 0; round < 20000; round++) {
            for (size_t i = 0; i < size; i += 8) {
                store_u64(bytes + i, hash_u64(round * 1000ull + i));
            }
            store_u16(bytes + 6, (uint16_t)(size - round % 3 * 8));
            bytes[2] &= 1;
            bytes[3] %= 70;
            store_u16(bytes + 4, (uint16_t)(round % 70));
            walk_hostile(bytes, size);
        }
        kit_unload(&loaded);
        kit_source_fini(&source);
        free(rows);
        kit_close(&kit);
    }
}

/* Goal: a hostile index stays inside itself. Method: random words; every answer is a block. */
static void test_hostile_index(void **state) {
    (void)state;
    uint8_t bytes[30 * DIRECTORY_INDEX_BYTES];
    const uint8_t *chunk = bytes;
    struct chunks index = {.chunks = &chunk, .chunk_bytes = sizeof(bytes), .chunk_count = 1};
    struct extent extent = {.small = true};
    extent.sections[SECTION_DIRECTORY].size = 30 * INS_DIRECTORY_BLOCK;
    for (uint32_t round = 0; round < 50000; round++) {
        for (uint32_t i = 0; i < 30; i++) {
            store_u64(bytes + i * 12, hash_u64(round * 100ull + i));
            store_u32(bytes + i * 12 + 8, (uint32_t)hash_u64(round * 100ull + i + 50) &
                                              (round % 2 == 0 ? 0xc000001fu : UINT32_MAX));
        }
        ins_id id = {.high = hash_u64(round), .low = round, .is_uuid = round % 3 != 0};
        uint32_t block;
        if (directory_block_of(&extent, &index, &id, &block)) {
            assert_true(block < 30);
        }
    }
}

/* Goal: want of memory and a failing source are told, and leak nothing. Method: each allocation
 * and each row of each pass fails in turn (a sample of the rows). */
static void test_failures(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct kit_shape shape = {.numbers = 9000, .version_high = 9};
    uint32_t count;
    struct kit_row *rows = kit_rows(&shape, 17, &count);
    static const uint8_t random_id[16];
    uint32_t refused = 0;
    for (uint32_t step = 1;; step++) {
        struct kit_source source;
        struct segment_writer *writer;
        struct run run;
        ins_error error = {0};
        kit_source_init(&source, rows, count, 0);
        source.source.directory = true;
        assert_int_equal(
            segment_writer_begin(kit.store, kit.arena, step, random_id, &writer, &error), INS_OK);
        if (step <= 20) {
            arena_fail_at(kit.arena, step);
        } else {
            source.fail_after = (step - 20) * 997;
        }
        ins_status status = segment_writer_extent(writer, &source.source, &run, &error);
        arena_fail_at(kit.arena, 0);
        segment_writer_abort(writer);
        assert_int_equal(kit_job_bytes(&kit), 0);
        bool done = source.fail_after != 0; /* it never came to the failing row */
        kit_source_fini(&source);
        if (step <= 20) {
            assert_true(status == INS_OK || status == INS_EXHAUSTED);
            refused += status == INS_OK ? 0 : 1;
        } else if (status == INS_OK) {
            assert_true(done);
            break;
        } else {
            assert_int_equal(status, INS_IO);
        }
    }
    assert_true(refused >= 9);
    free(rows);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),         cmocka_unit_test(test_cost),
        cmocka_unit_test(test_dense_numbers), cmocka_unit_test(test_uneven_numbers),
        cmocka_unit_test(test_groups),        cmocka_unit_test(test_hostile_block),
        cmocka_unit_test(test_hostile_index), cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
