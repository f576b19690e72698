/* Goal: the simulator's store fails, crashes and is damaged as store.h says, the same each time. */
#include "fixture.h"

static ins_store *store_open(uint64_t seed) {
    struct store_memory_options options = {.seed = seed};
    ins_store *store;
    assert_int_equal(store_memory_open(&options, &store), INS_OK);
    return store;
}

static bool is_there(ins_store *store, const char *name) {
    uint64_t size;
    return store->ops->size(store, name, &size, NULL) == INS_OK;
}

static void test_fail_at(void **state) {
    /* Goal: exactly the call that was asked for fails, once or from then on; reads count apart when
     * only writes are counted. Method: count calls around each. */
    (void)state;
    ins_store *store = store_open(1);
    char out;
    ins_error error;
    assert_int_equal(put_object(store, "a", "x", 1, NULL), INS_OK);
    assert_int_equal(store_memory_calls(store, true), 3);
    store_memory_fail_at(store, 2, false, INS_IO, false);
    assert_int_equal(store_get(store, "a", 0, &out, 1, NULL), INS_OK);
    assert_int_equal(store_get(store, "a", 0, &out, 1, &error), INS_IO);
    assert_non_null(strstr(error.message, "injected"));
    assert_int_equal(store_get(store, "a", 0, &out, 1, NULL), INS_OK);
    store_memory_fail_at(store, 1, true, INS_FULL, true);
    assert_int_equal(store_get(store, "a", 0, &out, 1, NULL), INS_OK);
    assert_int_equal(put_object(store, "b", "x", 1, NULL), INS_FULL);
    assert_int_equal(put_object(store, "b", "x", 1, NULL), INS_FULL);
    store_memory_fail_off(store);
    assert_int_equal(put_object(store, "b", "x", 1, NULL), INS_OK);
    assert_int_equal(store_memory_calls(store, false), store_memory_calls(store, true) + 4);
    ins_store_close(store);
}

static void test_object_crash(void **state) {
    /* Goal: committed survives, unfinished vanishes, a failed commit and a removal go either way,
     * and after a failed sync of the directory nothing is committed. Method: 200 seeds; both ways
     * must occur. */
    (void)state;
    size_t half_there = 0, removed_back = 0, blocked = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        ins_store *store = store_open(seed);
        struct store_writer *unfinished;
        assert_int_equal(put_object(store, "kept", "x", 1, NULL), INS_OK);
        assert_int_equal(put_object(store, "removed", "x", 1, NULL), INS_OK);
        assert_int_equal(store->ops->put_begin(store, "unfinished", &unfinished, NULL), INS_OK);
        assert_int_equal(store_remove(store, "removed", NULL), INS_OK);
        assert_false(is_there(store, "removed"));
        store_memory_fail_at(store, 3, true, INS_IO, false);
        assert_int_equal(put_object(store, "half", "x", 1, NULL), INS_IO);
        blocked += put_object(store, "later", "x", 1, NULL) == INS_OK ? 0 : 1;
        store_memory_crash(store);
        assert_true(is_there(store, "kept"));
        assert_false(is_there(store, "unfinished"));
        half_there += is_there(store, "half") ? 1 : 0;
        removed_back += is_there(store, "removed") ? 1 : 0;
        assert_int_equal(store->ops->put_append(unfinished, "x", 1, NULL), INS_IO);
        assert_int_equal(store->ops->put_commit(unfinished, NULL), INS_IO);
        assert_int_equal(put_object(store, "after", "x", 1, NULL), INS_OK);
        ins_store_close(store);
    }
    assert_in_range(half_there, 10, 100);
    assert_in_range(removed_back, 10, 100);
    assert_in_range(blocked, 50, 150);
}

static void test_cell_crash(void **state) {
    /* Goal: a swap that failed leaves the old version, or the new one whole; when it was torn the
     * text says so; after a crash swaps go on. Method: 300 seeds; all three must occur. */
    (void)state;
    size_t old = 0, new = 0, torn = 0;
    uint8_t data[3000], out[4000];
    for (uint64_t seed = 0; seed < 300; seed++) {
        ins_store *store = store_open(seed);
        fill(data, sizeof(data), seed);
        for (uint64_t version = 0; version < 3; version++) {
            assert_int_equal(store->ops->cell_swap(store, "m", version, data, 2000, NULL), INS_OK);
        }
        store_memory_fail_at(store, 1, true, INS_IO, false);
        assert_int_equal(store->ops->cell_swap(store, "m", 3, data, 3000, NULL), INS_IO);
        assert_int_equal(store->ops->cell_swap(store, "m", 3, data, 3000, NULL), INS_IO);
        if (seed % 3 == 0) {
            store_memory_kill(store);
        } else {
            store_memory_crash(store);
        }
        size_t size;
        uint64_t version;
        ins_error damage = {0};
        assert_int_equal(
            store->ops->cell_load(store, "m", out, sizeof(out), &size, &version, &damage, NULL),
            INS_OK);
        assert_true((version == 3 && size == 2000) || (version == 4 && size == 3000));
        assert_memory_equal(out, data, size);
        assert_true(version == 3 || damage.status == INS_OK);
        old += version == 3 && damage.status == INS_OK ? 1 : 0;
        new += version == 4 ? 1 : 0;
        torn += damage.status == INS_CORRUPT ? 1 : 0;
        assert_int_equal(store->ops->cell_swap(store, "m", version, data, 5, NULL), INS_OK);
        ins_store_close(store);
    }
    assert_true(old > 20);
    assert_true(new > 20);
    assert_true(torn > 20);
}

static void test_first_swap_crash(void **state) {
    /* Goal: a cell's first version is there whole or not at all. Method: 100 seeds; both must
     * occur. */
    (void)state;
    size_t there = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        ins_store *store = store_open(seed);
        store_memory_fail_at(store, 1, true, INS_IO, false);
        assert_int_equal(store->ops->cell_swap(store, "m", 0, "abc", 3, NULL), INS_IO);
        store_memory_crash(store);
        uint8_t out[8];
        size_t size;
        uint64_t version;
        ins_error damage = {0};
        assert_int_equal(
            store->ops->cell_load(store, "m", out, sizeof(out), &size, &version, &damage, NULL),
            INS_OK);
        assert_int_equal(damage.status, INS_OK);
        assert_true(version == 0 || (version == 1 && size == 3));
        there += (size_t)version;
        ins_store_close(store);
    }
    assert_in_range(there, 5, 95);
}

static void test_log_crash(void **state) {
    /* Goal: an append that failed is there, absent or torn in sectors; what returned stays; a
     * failed rotate leaves the file or not. Method: 200 seeds, compare sector by sector. */
    (void)state;
    size_t whole = 0, absent = 0, torn = 0, rotated = 0;
    uint8_t *page = aligned_alloc(4096, 16384), *out = malloc(65536);
    fill(page, 16384, 5);
    for (uint64_t seed = 0; seed < 200; seed++) {
        ins_store *store = store_open(seed);
        struct log_sink *sink = store->ops->log_sink(store);
        assert_int_equal(sink->ops->rotate(sink, 1, 65536, page, NULL), INS_OK);
        assert_int_equal(sink->ops->append(sink, 4096, page, 4096, NULL), INS_OK);
        store_memory_fail_at(store, 1, true, INS_IO, true);
        assert_int_equal(sink->ops->append(sink, 8192, page, 16384, NULL), INS_IO);
        assert_int_equal(sink->ops->rotate(sink, 2, 65536, page, NULL), INS_IO);
        store_memory_crash(store);
        assert_int_equal(sink->ops->read(sink, 1, 0, out, 65536, NULL), INS_OK);
        assert_memory_equal(out, page, 4096);
        assert_memory_equal(out + 4096, page, 4096);
        size_t sectors = 0;
        for (size_t at = 0; at < 16384; at += 512) {
            bool same = memcmp(out + 8192 + at, page + at, 512) == 0;
            sectors += same ? 1 : 0;
            assert_true(same || out[8192 + at] == 0);
        }
        whole += sectors == 32 ? 1 : 0;
        absent += sectors == 0 ? 1 : 0;
        torn += sectors > 0 && sectors < 32 ? 1 : 0;
        size_t count;
        assert_int_equal(sink->ops->files(sink, NULL, 0, &count, NULL), INS_OK);
        rotated += count - 1;
        ins_store_close(store);
    }
    assert_true(absent > 10);
    assert_true(torn > 50);
    assert_in_range(rotated, 10, 190);
    (void)whole; /* all 32 sectors by chance: not in 200 seeds */
    free(page);
    free(out);
}

static void count_raw(void *context, const char *name, uint64_t size) {
    size_t *counts = context;
    if (strncmp(name, "cell:m:", 7) == 0) {
        counts[1] += 1;
    } else if (strcmp(name, "log:1") == 0) {
        assert_int_equal(size, 65536);
        counts[2] += 1;
    } else {
        assert_string_equal(name, "seg/a");
        assert_int_equal(size, 3);
        counts[0] += 1;
    }
}

static void test_damage(void **state) {
    /* Goal: raw names reach objects, cells and log files; flips and cuts are seen. Method: one
     * each. */
    (void)state;
    ins_store *store = store_open(1);
    struct log_sink *sink = store->ops->log_sink(store);
    uint8_t page[4096] = {7};
    assert_int_equal(put_object(store, "seg/a", "abc", 3, NULL), INS_OK);
    assert_int_equal(store->ops->cell_swap(store, "m", 0, "abc", 3, NULL), INS_OK);
    assert_int_equal(sink->ops->rotate(sink, 1, 65536, page, NULL), INS_OK);
    size_t counts[3] = {0};
    assert_int_equal(store_memory_list_raw(store, count_raw, counts), INS_OK);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 2);
    assert_int_equal(counts[2], 1);
    uint8_t out[4];
    assert_true(store_memory_flip(store, "seg/a", 1, 0x80));
    assert_int_equal(store_get(store, "seg/a", 1, out, 1, NULL), INS_OK);
    assert_int_equal(out[0], 'b' ^ 0x80);
    assert_false(store_memory_flip(store, "seg/a", 3, 1));
    assert_false(store_memory_flip(store, "seg/b", 0, 1));
    assert_true(store_memory_truncate(store, "seg/a", 2));
    assert_int_equal(store_get(store, "seg/a", 1, out, 2, NULL), INS_CORRUPT);
    assert_false(store_memory_truncate(store, "seg/a", 5));
    assert_true(store_memory_flip(store, "log:1", 0, 1));
    assert_int_equal(sink->ops->read(sink, 1, 0, out, 1, NULL), INS_OK);
    assert_int_equal(out[0], 6);
    assert_true(store_memory_flip(store, "cell:m:1", 4096, 1));
    size_t size;
    uint64_t version;
    ins_error damage;
    assert_int_equal(store->ops->cell_load(store, "m", out, 4, &size, &version, &damage, NULL),
                     INS_CORRUPT);
    ins_store_close(store);
}

static uint64_t story(uint64_t seed) {
    ins_store *store = store_open(seed);
    struct log_sink *sink = store->ops->log_sink(store);
    uint8_t *page = aligned_alloc(4096, 65536);
    fill(page, 65536, seed);
    uint64_t sum = 0;
    (void)sink->ops->rotate(sink, 1, 65536, page, NULL);
    store_memory_fail_at(store, 1, true, INS_IO, true);
    (void)sink->ops->append(sink, 4096, page, 32768, NULL);
    store_memory_crash(store);
    (void)sink->ops->read(sink, 1, 0, page, 65536, NULL);
    for (size_t i = 0; i < 65536; i++) {
        sum = sum * 31 + page[i];
    }
    free(page);
    ins_store_close(store);
    return sum;
}

static void test_deterministic(void **state) {
    /* Goal: a seed says everything. Method: the same story twice, and another seed. */
    (void)state;
    assert_int_equal(story(11), story(11));
    assert_int_not_equal(story(11), story(12));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_at),       cmocka_unit_test(test_object_crash),
        cmocka_unit_test(test_cell_crash),    cmocka_unit_test(test_first_swap_crash),
        cmocka_unit_test(test_log_crash),     cmocka_unit_test(test_damage),
        cmocka_unit_test(test_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
