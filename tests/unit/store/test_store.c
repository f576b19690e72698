/* Goal: all stores keep the contract of store.h. Method: each test runs over the simulator's store,
 * over objects alone, and over the directory store, with a restart (kill or close and open) where
 * durability shows. */
#include "fixture.h"

static void test_names(void **state) {
    /* Goal: exactly the names of the contract are valid. Method: the edges of each rule. */
    (void)state;
    char longest[STORE_NAME_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[STORE_NAME_MAX] = '\0';
    assert_true(store_name_valid(longest));
    longest[STORE_NAME_MAX] = 'a';
    longest[STORE_NAME_MAX + 1] = '\0';
    assert_false(store_name_valid(longest));
    assert_true(store_name_valid("seg/0012.seg"));
    assert_true(store_name_valid("a_b-c.9"));
    const char *bad[] = {"", "/a", "a/", "a/b/c", ".a", "a/.b", "..", "a//b", "A", "a b", "a+b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(store_name_valid(bad[i]));
    }
}

static void test_put_get(void **state) {
    /* Goal: what was put comes back, whatever the alignment of the read. Method: an object of three
     * pieces with an odd end; aligned, unaligned, empty, last and too long reads. */
    struct place *place = *state;
    ins_store *store = place->store;
    size_t size = 3 * 4096 + 100003;
    uint8_t *data = aligned_alloc(4096, 32 * 4096), *out = aligned_alloc(4096, 32 * 4096);
    fill(data, size, 7);
    struct store_writer *writer;
    uint64_t syncs = store->sync_count;
    assert_int_equal(store->ops->put_begin(store, "seg/one", &writer, NULL), INS_OK);
    assert_int_equal(store->ops->put_append(writer, data, 4096, NULL), INS_OK);
    assert_int_equal(store->ops->put_append(writer, data + 4096, 8192, NULL), INS_OK);
    assert_int_equal(store->ops->put_append(writer, data + 12288, size - 12288, NULL), INS_OK);
    uint64_t seen;
    assert_int_equal(store->ops->size(store, "seg/one", &seen, NULL), INS_NOT_FOUND);
    assert_int_equal(store->ops->put_commit(writer, NULL), INS_OK);
    bool objects = place->kind == PLACE_OBJECTS; /* a put is one request */
    assert_int_equal(store->sync_count - syncs, objects ? 1 : 2);
    assert_int_equal(store->write_bytes, size);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(store->ops->size(store, "seg/one", &seen, NULL), INS_OK);
        assert_int_equal(seen, size);
        const size_t cases[][2] = {{0, 4096},  {4096, 8192},         {1, 4095}, {4095, 2},
                                   {0, size},  {size - 1, 1},        {size, 0}, {5000, 90000},
                                   {8192, 99}, {12288, size - 12288}};
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            memset(out, 0, 32 * 4096);
            assert_int_equal(
                store_get(store, "seg/one", cases[i][0], out + (i % 3), cases[i][1], NULL), INS_OK);
            assert_memory_equal(out + (i % 3), data + cases[i][0], cases[i][1]);
        }
        ins_error error;
        assert_int_equal(store_get(store, "seg/one", size - 1, out, 2, &error), INS_CORRUPT);
        assert_non_null(strstr(error.message, "seg/one"));
        assert_int_equal(store_get(store, "seg/one", 0, out, size + 1, NULL), INS_CORRUPT);
        assert_int_equal(store_get(store, "seg/one", size + 9000, out, 4096, NULL), INS_CORRUPT);
        assert_int_equal(store_get(store, "seg/two", 0, out, 1, &error), INS_NOT_FOUND);
        assert_non_null(strstr(error.message, "seg/two"));
        place_reopen(place);
        store = place->store;
    }
    free(data);
    free(out);
}

static void test_get_many(void **state) {
    /* Goal: each range of a call gets its bytes, or a status of its own. Method: aligned ranges out
     * of order, an unaligned one, one beyond the end, one of an object that is not there; twice,
     * the second time with files at hand; of the simulator's store one read fails in the middle. */
    struct place *place = *state;
    ins_store *store = place->store;
    enum { PAGES = 40, RANGES = 34 };
    uint8_t *data = aligned_alloc(4096, PAGES * 4096), *out = aligned_alloc(4096, RANGES * 4096);
    fill(data, PAGES * 4096, 11);
    assert_int_equal(put_object(store, "seg/one", data, PAGES * 4096, NULL), INS_OK);
    assert_int_equal(put_object(store, "seg/two", data, 20000, NULL), INS_OK);
    for (int round = 0; round < 3; round++) {
        struct store_range ranges[RANGES];
        ins_error errors[RANGES] = {0};
        for (uint32_t i = 0; i < RANGES; i++) {
            ranges[i] = (struct store_range){.name = i < 30 ? "seg/one" : "seg/two",
                                             .offset = (i < 30 ? i * 7 % PAGES : i - 30) * 4096ull,
                                             .out = out + (size_t)i * 4096,
                                             .size = 4096,
                                             .error = &errors[i]};
        }
        ranges[3].offset = 4097;
        ranges[3].size = 100;
        ranges[5].offset = PAGES * 4096ull - 4096 + 1;
        ranges[9].name = "seg/none";
        ranges[10].name = "seg/none";
        ranges[33].offset = 16384; /* the object ends within the page */
        memset(out, 0, RANGES * 4096);
        bool fails = round == 2 && place->kind != PLACE_DIRECTORY;
        if (fails) {
            store_memory_fail_at(store, 3, false, INS_IO, false);
        }
        store_get_many(store, ranges, RANGES);
        uint32_t failed = 0;
        for (uint32_t i = 0; i < RANGES; i++) {
            const struct store_range *range = &ranges[i];
            if (fails && range->status == INS_IO) {
                failed++;
                continue;
            }
            ins_status expected = i == 9 || i == 10   ? INS_NOT_FOUND
                                  : i == 5 || i == 33 ? INS_CORRUPT
                                                      : INS_OK;
            assert_int_equal(range->status, expected);
            if (expected == INS_OK) {
                assert_memory_equal(range->out, data + range->offset, range->size);
            } else {
                assert_non_null(strstr(errors[i].message, range->name));
            }
        }
        assert_int_equal(failed, fails);
    }
    store_get_many(store, NULL, 0);
    free(out);
    free(data);
}

static void test_put_if_absent(void **state) {
    /* Goal: a name is put once. Method: a second put fails at the beginning; of two at the same
     * time the second commit fails, and the first one's bytes stay. */
    struct place *place = *state;
    ins_store *store = place->store;
    struct store_writer *first, *second;
    assert_int_equal(store->ops->put_begin(store, "a", &first, NULL), INS_OK);
    assert_int_equal(store->ops->put_begin(store, "a", &second, NULL), INS_OK);
    assert_int_equal(store->ops->put_append(first, "1", 1, NULL), INS_OK);
    assert_int_equal(store->ops->put_append(second, "2", 1, NULL), INS_OK);
    assert_int_equal(store->ops->put_commit(first, NULL), INS_OK);
    assert_int_equal(store->ops->put_commit(second, NULL), INS_EXISTS);
    ins_error error;
    assert_int_equal(put_object(store, "a", "3", 1, &error), INS_EXISTS);
    assert_non_null(
        strstr(error.message, place->kind == PLACE_OBJECTS ? "object o-a" : "object a"));
    char out;
    assert_int_equal(store_get(store, "a", 0, &out, 1, NULL), INS_OK);
    assert_int_equal(out, '1');
}

struct names {
    size_t count;
    uint64_t size_sum;
    bool stop;
};

static ins_status names_visit(void *context, const char *name, uint64_t size) {
    struct names *names = context;
    assert_true(store_name_valid(name));
    names->count++;
    names->size_sum += size;
    return names->stop ? INS_AGAIN : INS_OK;
}

static void test_list_remove(void **state) {
    /* Goal: list shows committed objects of a prefix alone; remove takes them out and may be
     * repeated; a removed name can be put again and reads anew. Method: as said, also with a
     * reader's descriptor in the cache. */
    struct place *place = *state;
    ins_store *store = place->store;
    assert_int_equal(put_object(store, "seg/a", "123", 3, NULL), INS_OK);
    assert_int_equal(put_object(store, "seg/b", "12345", 5, NULL), INS_OK);
    assert_int_equal(put_object(store, "other", "1", 1, NULL), INS_OK);
    assert_int_equal(put_object(store, "empty", "", 0, NULL), INS_OK);
    assert_int_equal(store->ops->cell_swap(store, "seg", 0, "x", 1, NULL), INS_OK);
    struct store_writer *open_writer;
    assert_int_equal(store->ops->put_begin(store, "seg/c", &open_writer, NULL), INS_OK);
    struct names names = {0};
    assert_int_equal(store->ops->list(store, "seg/", names_visit, &names, NULL), INS_OK);
    assert_int_equal(names.count, 2);
    assert_int_equal(names.size_sum, 8);
    names = (struct names){0};
    assert_int_equal(store->ops->list(store, "", names_visit, &names, NULL), INS_OK);
    assert_int_equal(names.count, 4);
    names = (struct names){.stop = true};
    assert_int_equal(store->ops->list(store, "", names_visit, &names, NULL), INS_AGAIN);
    assert_int_equal(names.count, 1);
    store->ops->put_abort(open_writer);

    char out[5];
    assert_int_equal(store_get(store, "seg/a", 0, out, 3, NULL), INS_OK);
    assert_int_equal(store_remove(store, "seg/a", NULL), INS_OK);
    assert_int_equal(store_remove(store, "seg/a", NULL), INS_OK);
    assert_int_equal(store_get(store, "seg/a", 0, out, 3, NULL), INS_NOT_FOUND);
    assert_int_equal(put_object(store, "seg/a", "xyz", 3, NULL), INS_OK);
    assert_int_equal(store_get(store, "seg/a", 0, out, 3, NULL), INS_OK);
    assert_memory_equal(out, "xyz", 3);
    place_reopen(place);
    names = (struct names){0};
    assert_int_equal(place->store->ops->list(place->store, "seg/", names_visit, &names, NULL),
                     INS_OK);
    assert_int_equal(names.count, 2);
}

static void test_many_objects(void **state) {
    /* Goal: more objects than cached descriptors are read right. Method: 150 objects, three rounds.
     */
    struct place *place = *state;
    ins_store *store = place->store;
    char name[20];
    for (uint32_t i = 0; i < 150; i++) {
        (void)snprintf(name, sizeof(name), "o/%u", i);
        assert_int_equal(put_object(store, name, &i, sizeof(i), NULL), INS_OK);
    }
    for (uint32_t i = 0; i < 450; i++) {
        uint32_t out;
        (void)snprintf(name, sizeof(name), "o/%u", i * 7 % 150);
        assert_int_equal(store_get(store, name, 0, &out, sizeof(out), NULL), INS_OK);
        assert_int_equal(out, i * 7 % 150);
    }
}

static void test_cells(void **state) {
    /* Goal: a cell is replaced by compare-and-swap, one sync each, and survives. Method: versions
     * of changing size, wrong expectations, a small buffer, restarts. */
    struct place *place = *state;
    ins_store *store = place->store;
    size_t capacity = STORE_CELL_BYTES_MAX, size;
    uint8_t *data = malloc(capacity), *out = malloc(capacity);
    uint64_t version;
    ins_error damage = {0};
    assert_int_equal(
        store->ops->cell_load(store, "m", out, capacity, &size, &version, &damage, NULL), INS_OK);
    assert_int_equal(version, 0);
    assert_int_equal(size, 0);
    const size_t sizes[] = {10, 5000, capacity, 0, 4096, 3, 1u << 20};
    for (uint64_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(data, sizes[i], i);
        ins_error error;
        assert_int_equal(store->ops->cell_swap(store, "m", i + 1, data, sizes[i], &error),
                         INS_EXISTS);
        uint64_t syncs = store->sync_count;
        assert_int_equal(store->ops->cell_swap(store, "m", i, data, sizes[i], NULL), INS_OK);
        assert_int_equal(store->sync_count - syncs, i == 0 && place->kind != PLACE_OBJECTS ? 2 : 1);
        if (i % 2 == 1) {
            place_reopen(place);
            store = place->store;
        }
        assert_int_equal(
            store->ops->cell_load(store, "m", out, capacity, &size, &version, &damage, NULL),
            INS_OK);
        assert_int_equal(version, i + 1);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(out, data, size);
        assert_int_equal(damage.status, INS_OK);
        if (size > 0) {
            assert_int_equal(
                store->ops->cell_load(store, "m", out, size - 1, &size, &version, &damage, &error),
                INS_TOO_LARGE);
        }
    }
    free(data);
    free(out);
}

#define FILE_BYTES (64u << 10)

static void test_log_sink(void **state) {
    /* Goal: files of the log come, take appends, are listed and read, and go. Method: four files,
     * one prepared, restarts, a release in two steps, a recycled file that still has its old bytes.
     */
    struct place *place = *state;
    struct log_sink *sink = place->store->ops->log_sink(place->store);
    uint8_t *page = aligned_alloc(4096, 8192), *out = malloc(FILE_BYTES);
    struct log_file files[8];
    size_t count;
    bool objects = place->kind == PLACE_OBJECTS;
    assert_int_equal(sink->ops->files(sink, files, 8, &count, NULL), INS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(sink->ops->prepare(sink, FILE_BYTES, NULL), INS_OK);
    for (uint64_t id = 1; id <= 4; id++) {
        fill(page, 4096, id);
        uint64_t syncs = sink->sync_count;
        assert_int_equal(sink->ops->rotate(sink, id, FILE_BYTES, page, NULL), INS_OK);
        /* The first had a spare. Over objects a put is one request, and nothing lies ready. */
        uint64_t rotate_syncs = objects ? 1 : id == 1 ? 2 : 3;
        assert_int_equal(sink->sync_count - syncs, rotate_syncs);
        fill(page, 8192, id + 100);
        assert_int_equal(sink->ops->append(sink, 4096, page, 8192, NULL), INS_OK);
        assert_int_equal(sink->sync_count - syncs, rotate_syncs + 1);
    }
    assert_int_equal(sink->write_bytes, 4 * 8192);
    place_reopen(place);
    sink = place->store->ops->log_sink(place->store);
    assert_int_equal(sink->ops->files(sink, files, 2, &count, NULL), INS_OK);
    assert_int_equal(count, 4);
    assert_int_equal(files[0].file_id, 1);
    assert_int_equal(files[1].file_id, 2);
    assert_int_equal(sink->ops->files(sink, files, 8, &count, NULL), INS_OK);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(files[id - 1].file_id, id);
        assert_int_equal(files[id - 1].size_bytes, FILE_BYTES);
        assert_int_equal(sink->ops->read(sink, id, 0, out, FILE_BYTES, NULL), INS_OK);
        fill(page, 4096, id);
        assert_memory_equal(out, page, 4096);
        fill(page, 8192, id + 100);
        assert_memory_equal(out + 4096, page, 8192);
        for (size_t i = 12288; i < FILE_BYTES; i++) {
            assert_int_equal(out[i], 0);
        }
    }
    assert_int_equal(sink->ops->read(sink, 1, FILE_BYTES - 10, out, 11, NULL), INS_CORRUPT);
    assert_int_equal(sink->ops->read(sink, 9, 0, out, 1, NULL), INS_NOT_FOUND);

    assert_int_equal(sink->ops->release(sink, 2, NULL), INS_OK);
    assert_int_equal(sink->ops->release(sink, 4, NULL), INS_OK);
    assert_int_equal(sink->ops->files(sink, files, 8, &count, NULL), INS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(sink->ops->read(sink, 1, 0, out, 1, NULL), INS_NOT_FOUND);
    uint64_t syncs = sink->sync_count;
    assert_int_equal(sink->ops->prepare(sink, FILE_BYTES, NULL), INS_OK);
    assert_int_equal(sink->sync_count, syncs); /* released files lie ready */
    assert_int_equal(sink->ops->rotate(sink, 5, FILE_BYTES, page, NULL), INS_OK);
    assert_int_equal(sink->ops->read(sink, 5, 0, out, FILE_BYTES, NULL), INS_OK);
    assert_memory_equal(out, page, 4096);
    bool stale = false;
    for (size_t i = 4096; i < 12288; i++) {
        stale = stale || out[i] != 0;
    }
    assert_int_equal(stale, !objects);
    assert_int_equal(sink->ops->rotate(sink, 6, 2 * FILE_BYTES, page, NULL), INS_OK);
    assert_int_equal(sink->ops->files(sink, files, 8, &count, NULL), INS_OK);
    assert_int_equal(count, 3);
    assert_int_equal(files[2].size_bytes, 2 * FILE_BYTES);
    free(page);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), ON_ALL(test_put_get),     ON_ALL(test_get_many),
        ON_ALL(test_put_if_absent),   ON_ALL(test_list_remove), ON_ALL(test_many_objects),
        ON_ALL(test_cells),           ON_ALL(test_log_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
