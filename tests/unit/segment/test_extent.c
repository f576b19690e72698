/* Extents: what is written is read back, small and large, for every mix of ids, rows, tombstones,
 * vectors and payloads; headers that lie are refused. */
#include "segment_kit.h"

#include <string.h>

#include "segment/segment_private.h"

struct more_vector {
    uint16_t id;
    uint32_t dim, every;
    bool multi;
};

/* With an unnamed vector of `dim` > 0 and further ones; ends with id 0. */
static void round_trip_vectors(const struct kit_shape *shape, uint32_t dim,
                               const struct more_vector *more, bool small) {
    struct kit kit;
    kit_open(&kit);
    uint32_t count;
    struct kit_row *rows = kit_rows(shape, 42, &count);
    struct kit_source source;
    kit_source_init(&source, rows, count, dim);
    for (; more != NULL && more->id != 0; more++) {
        kit_source_add(&source, more->id, more->dim, more->every);
        if (more->multi) {
            kit_source_make_multi(&source);
        }
    }
    source.source.version_low = shape->version_low;
    source.source.version_high = shape->version_high;
    struct segment_info info;
    struct run run;
    kit_write_one(&kit, 5, &source, &info, &run);
    assert_int_equal((run.flags & RUN_SMALL) != 0, small);
    assert_int_equal(run.rows, shape->numbers + shape->uuids);
    assert_int_equal(run.tombstones, shape->dead_numbers + shape->dead_uuids);

    struct kit_extent loaded;
    ins_error error = {0};
    assert_int_equal(kit_load(&kit, &run, 5, 9, &loaded, &error), INS_OK);
    assert_int_equal(loaded.extent.number_count, shape->numbers);
    assert_int_equal(loaded.extent.version_low, shape->version_low);
    assert_int_equal(loaded.extent.version_high, shape->version_high);
    kit_expect_rows(&loaded, rows, count);
    kit_expect_vectors(&loaded, &source);
    kit_unload(&loaded);

    char text[256];
    if (kit_check(&kit, &info, text, sizeof(text)) != INS_OK) {
        fail_msg("%s", text);
    }
    kit_source_fini(&source);
    free(rows);
    kit_close(&kit);
}

static void round_trip(const struct kit_shape *shape, uint32_t dim, bool small) {
    round_trip_vectors(shape, dim, NULL, small);
}

/* Goal: every kind of small extent survives. Method: write, read back, compare, check. */
static void test_small(void **state) {
    (void)state;
    struct kit_shape shapes[] = {
        {.numbers = 1, .payload_max = 80},
        {.numbers = 1},
        {.uuids = 1, .payload_max = 200},
        {.numbers = 3, .uuids = 4, .payload_max = 100},
        {.numbers = 4, .uuids = 4, .dead_numbers = 3, .dead_uuids = 2, .payload_max = 100},
        {.dead_numbers = 5},
        {.dead_uuids = 1},
        {.dead_numbers = 3, .dead_uuids = 3},
        {.numbers = 50, .uuids = 50, .dead_numbers = 31, .payload_max = 60},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        shapes[i].version_low = 100;
        shapes[i].version_high = 1000;
        round_trip(&shapes[i], 0, true);
        round_trip(&shapes[i], 16, true);
        round_trip(&shapes[i], 3, true);
        shapes[i].version_high = 100 + (1ull << 40); /* wide versions */
        round_trip(&shapes[i], 5, true);
    }
}

/* Goal: the bounds of "small" are those of the format. Method: extents just below and above. */
static void test_small_bounds(void **state) {
    (void)state;
    struct kit_shape few = {.numbers = 3, .version_high = 9};
    round_trip(&few, 65536, true); /* 3 rows, 768 KiB */
    few.numbers = 4;
    round_trip(&few, 65536, false); /* 1 MiB and a header */
    struct kit_shape rows = {.numbers = 63, .version_high = 99};
    round_trip(&rows, 1024, true); /* 63 rows of 4 KiB */
    rows.dead_numbers = 1;
    round_trip(&rows, 1024, false); /* 64 with the tombstone, above 64 KiB */
    rows.numbers = 100;
    round_trip(&rows, 128, true); /* 100 rows, below 64 KiB */
    rows.payload_max = 1000;
    round_trip(&rows, 128, false);
}

/* Goal: large extents survive, over chunk borders in every section. Method: as above, with sizes
 * that make several chunks of ids, versions, vectors, offsets, payload and tombstones. */
static void test_large(void **state) {
    (void)state;
    struct kit_shape many = {.numbers = 100001,
                             .uuids = 60000,
                             .payload_max = 20,
                             .version_low = 5,
                             .version_high = 4000000};
    round_trip(&many, 0, false);
    round_trip(&many, 7, false);
    struct kit_shape dead = {.dead_numbers = 100001, .dead_uuids = 40000, .version_high = 700};
    round_trip(&dead, 0, false);
    round_trip(&dead, 128, false);
    struct kit_shape wide = {.numbers = 70001,
                             .uuids = 1,
                             .dead_numbers = 40000,
                             .dead_uuids = 20001,
                             .payload_max = 30,
                             .version_high = 1ull << 50};
    round_trip(&wide, 1, false);
    struct kit_shape texts = {.uuids = 70, .payload_max = 100000, .version_high = 700};
    round_trip(&texts, 2, false);
    struct kit_shape rows = {.numbers = 262200, .payload_max = 3, .version_high = 700};
    round_trip(&rows, 0, false); /* more payload sizes than the writer keeps */
    struct kit_shape long_rows = {.numbers = 64, .version_high = 700};
    round_trip(&long_rows, 65536, false);
    round_trip(&long_rows, 65535, false);
}

/* Goal: several vectors survive, with rows that lack them: none, some, most, all of them.
 * Method: small and large extents; in large ones row numbers and values take several chunks. */
static void test_vectors(void **state) {
    (void)state;
    static const struct more_vector more[] = {
        {.id = 2, .dim = 3, .every = 2},      {.id = 3, .dim = 5, .every = 1},
        {.id = 9, .dim = 1, .every = 7},      {.id = 300, .dim = 2, .every = 1u << 30},
        {.id = 65534, .dim = 40, .every = 1}, {0}};
    struct kit_shape shapes[] = {
        {.numbers = 1},
        {.numbers = 30, .uuids = 4, .dead_numbers = 3, .payload_max = 60},
        {.dead_numbers = 5},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        shapes[i].version_high = 1000;
        round_trip_vectors(&shapes[i], 0, more, true);
        round_trip_vectors(&shapes[i], 4, more, true);
    }
    struct kit_shape large = {.numbers = 300001,
                              .uuids = 1000,
                              .dead_numbers = 500,
                              .payload_max = 5,
                              .version_high = 700};
    round_trip_vectors(&large, 0, more, false);
    round_trip_vectors(&large, 4, more, false);
}

/* Goal: multivectors survive, beside plain vectors, with rows that lack them and where every row
 * has one. Method: as test_vectors; values cross chunks in the large extents. */
static void test_multivectors(void **state) {
    (void)state;
    static const struct more_vector more[] = {{.id = 2, .dim = 3, .every = 2, .multi = true},
                                              {.id = 5, .dim = 4, .every = 1},
                                              {.id = 7, .dim = 99, .every = 1, .multi = true},
                                              {0}};
    struct kit_shape shapes[] = {
        {.numbers = 1},
        {.numbers = 30, .uuids = 4, .dead_numbers = 3, .payload_max = 60},
        {.dead_numbers = 5},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        shapes[i].version_high = 1000;
        round_trip_vectors(&shapes[i], 0, more, true);
        round_trip_vectors(&shapes[i], 4, more, true);
    }
    struct kit_shape large = {
        .numbers = 20001, .uuids = 100, .dead_numbers = 50, .payload_max = 5, .version_high = 700};
    round_trip_vectors(&large, 0, more, false);
}

/* Goal: an extent without rows costs an entry and no bytes. Method: write none, read the run. */
static void test_empty(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct kit_source source;
    kit_source_init(&source, NULL, 0, 8);
    struct segment_info info;
    struct run run;
    struct block_key key;
    kit_write_one(&kit, 1, &source, &info, &run);
    assert_int_equal(run.size_64, 0);
    assert_false(run_first_block(&run, 1, &key));
    assert_int_equal(info.extent_count, 1);
    assert_int_equal(kit_check(&kit, &info, NULL, 0), INS_OK);
    kit_source_fini(&source);
    kit_close(&kit);
}

/* Goal: lower bounds are right for ids that are not there. Method: probe between and around. */
static void test_lower_bound(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct kit_row rows[4] = {
        {.id = {.low = 10}, .version = 101},
        {.id = {.low = 20}, .version = 102},
        {.id = {.high = 5, .low = 5, .is_uuid = true}, .version = 103},
        {.id = {.high = 5, .low = 7, .is_uuid = true}, .version = 104},
    };
    struct kit_source source;
    kit_source_init(&source, rows, 4, 0);
    struct segment_info info;
    struct run run;
    struct kit_extent loaded;
    kit_write_one(&kit, 1, &source, &info, &run);
    assert_int_equal(kit_load(&kit, &run, 1, 9, &loaded, NULL), INS_OK);
    const struct {
        ins_id id;
        uint32_t row;
    } probes[] = {
        {{.low = 0}, 0},
        {{.low = 10}, 0},
        {{.low = 11}, 1},
        {{.low = 21}, 2},
        {{.low = UINT64_MAX}, 2},
        {{.is_uuid = true}, 2},
        {{.high = 5, .low = 6, .is_uuid = true}, 3},
        {{.high = 5, .low = 8, .is_uuid = true}, 4},
        {{.high = UINT64_MAX, .low = UINT64_MAX, .is_uuid = true}, 4},
    };
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        const struct chunks *ids = &loaded.views[SECTION_IDS];
        assert_int_equal(extent_lower_bound(&loaded.extent, ids, &probes[i].id), probes[i].row);
    }
    kit_unload(&loaded);
    kit_source_fini(&source);
    kit_close(&kit);
}

/* Goal: a header that contradicts itself or its run is refused, and whatever is accepted can be
 * used. Method: a header whose every 16-bit word takes hostile values; accepted ones are used in
 * full over buffers of exact size (the sanitizers watch). */
static void use_vectors(const struct extent *extent) {
    for (uint32_t i = 0; i < extent->section_count; i++) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
        struct extent_vector vector;
        if (section.kind != SECTION_DENSE) {
            continue;
        }
        assert_true(extent_vector(extent, section.number, &vector));
        struct slice rows = vector.rows_slot == SLOT_NONE
                                ? (struct slice){0}
                                : extent_section(extent, vector.rows_slot);
        struct chunks chunks = {
            .chunks = &rows.data, .chunk_bytes = (uint32_t)rows.size, .chunk_count = 1};
        for (uint32_t position = 0; position < vector.count; position++) {
            uint32_t found;
            uint32_t row = extent_vector_row(extent, &vector, &chunks, position);
            assert_true(row <= extent->row_count);
            (void)extent_vector_position(&vector, &chunks, row, &found);
            uint32_t run = rows.data == NULL ? 1 : extent_vector_run(&vector, &chunks, position);
            assert_true(run >= 1 && run <= vector.count - position);
        }
        assert_int_equal(extent_section(extent, vector.slot).size,
                         (size_t)vector.count * vector.row_bytes);
    }
}

static void use_everything(const struct extent *extent, const uint8_t *bytes) {
    struct chunks views[SECTION_SLOTS];
    const uint8_t *firsts[SECTION_SLOTS];
    use_vectors(extent);
    for (uint32_t kind = 1; kind < SECTION_SLOTS; kind++) {
        firsts[kind] = bytes + extent->sections[kind].offset;
        views[kind] = (struct chunks){.chunks = &firsts[kind],
                                      .chunk_bytes = extent->sections[kind].chunk_bytes,
                                      .chunk_count = extent->sections[kind].chunk_count};
    }
    uint64_t sum = 0;
    for (uint32_t row = 0; row < extent->row_count; row++) {
        ins_id id = extent_id(extent, &views[SECTION_IDS], row);
        uint64_t begin = 0;
        uint64_t end = 0;
        sum += extent_version(extent, &views[SECTION_VERSIONS], row);
        if (extent_payload_range(extent, &views[SECTION_PAYLOAD_OFFSETS], row, &begin, &end) ==
            INS_OK) {
            assert_true(begin <= end);
            assert_true(end <= extent->sections[SECTION_PAYLOAD].size);
        }
        sum += extent_lower_bound(extent, &views[SECTION_IDS], &id);
    }
    for (uint32_t i = 0; i < extent->tombstone_count; i++) {
        ins_id id = extent_tombstone_id(extent, &views[SECTION_TOMBSTONES], i);
        sum += extent_tombstone_version(extent, &views[SECTION_TOMBSTONES], i);
        sum += extent_find_tombstone(extent, &views[SECTION_TOMBSTONES], &id) ? 1 : 0;
    }
    (void)sum;
}

static void test_hostile_header(void **state) {
    (void)state;
    struct kit kit;
    kit_open(&kit);
    struct kit_shape shape = {.numbers = 3,
                              .uuids = 2,
                              .dead_numbers = 2,
                              .dead_uuids = 1,
                              .payload_max = 9,
                              .version_low = 100,
                              .version_high = 1000000};
    uint32_t count;
    struct kit_row *rows = kit_rows(&shape, 3, &count);
    struct kit_source source;
    kit_source_init(&source, rows, count, 4);
    kit_source_add(&source, 1, 2, 2);
    struct segment_info info;
    struct run run;
    struct kit_extent loaded;
    kit_write_one(&kit, 1, &source, &info, &run);
    assert_int_equal(kit_load(&kit, &run, 1, 9, &loaded, NULL), INS_OK);
    size_t size = (size_t)run.size_64 * 64;
    uint8_t *bytes = malloc(size);
    static const uint16_t hostile[] = {0, 1, 7, 8, 0x40, 0x7fff, 0x8000, 0xfff8, 0xffff};
    uint32_t refused = 0;
    for (size_t at = 0; at + 2 <= size; at += 2) {
        for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
            memcpy(bytes, loaded.first, size);
            store_u16(bytes + at, hostile[i]);
            struct extent extent;
            struct slice slice = {.data = bytes, .size = size};
            if (extent_parse(&run, 1, slice, 9, &extent, NULL) == INS_OK) {
                use_everything(&extent, bytes);
            } else {
                refused++;
            }
        }
    }
    assert_true(refused > 100);
    /* The run's words count too. */
    struct extent extent;
    struct slice slice = {.data = loaded.first, .size = size};
    ins_error error = {0};
    assert_int_equal(extent_parse(&run, 1, slice, 10, &extent, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "another island"));
    struct run other = run;
    other.rows++;
    assert_int_equal(extent_parse(&other, 1, slice, 9, &extent, &error), INS_CORRUPT);
    slice.size -= 64;
    assert_int_equal(extent_parse(&run, 1, slice, 9, &extent, &error), INS_CORRUPT);
    free(bytes);
    kit_unload(&loaded);
    kit_source_fini(&source);
    free(rows);
    kit_close(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),       cmocka_unit_test(test_small_bounds),
        cmocka_unit_test(test_large),       cmocka_unit_test(test_empty),
        cmocka_unit_test(test_lower_bound), cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_vectors),     cmocka_unit_test(test_multivectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
