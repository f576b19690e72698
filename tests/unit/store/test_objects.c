/* Goal: cells and the log need nothing of a storage but put-if-absent, ranged get, list and delete,
 * and whoever comes second loses. Method: the twin of object storage with all other calls taken
 * away; somebody else's puts, damage, requests that fail though they happened. */
#include "fixture.h"

#include "store/objects.h"

#define FILE_BYTES (64u << 10)

struct scene {
    struct place *place;
    struct store_ops only; /* the calls for objects; the rest is NULL */
    ins_store *store, *below;
};

static int setup(void **state) {
    struct scene *scene = calloc(1, sizeof(*scene));
    void *place;
    if (scene == NULL || place_setup_objects(&place) != 0) {
        free(scene);
        return -1;
    }
    scene->place = place;
    scene->store = scene->place->store;
    scene->below = store_over_objects_below(scene->store);
    scene->only = *scene->below->ops;
    scene->only.cell_load = NULL;
    scene->only.cell_swap = NULL;
    scene->only.log_sink = NULL;
    scene->below->ops = &scene->only;
    *state = scene;
    return 0;
}

static int teardown(void **state) {
    struct scene *scene = *state;
    void *place = scene->place;
    int result = place_teardown(&place);
    free(scene);
    return result;
}

struct names {
    const char *prefix;
    size_t count;
};

static ins_status count_one(void *context, const char *name, uint64_t size) {
    (void)size;
    struct names *names = context;
    assert_int_equal(strncmp(name, names->prefix, strlen(names->prefix)), 0);
    names->count++;
    return INS_OK;
}

static size_t count_below(const struct scene *scene, const char *prefix) {
    struct names names = {.prefix = prefix};
    assert_int_equal(scene->only.list(scene->below, prefix, count_one, &names, NULL), INS_OK);
    return names.count;
}

static uint64_t load(const struct scene *scene, uint8_t *out, ins_error *out_damage) {
    size_t size;
    uint64_t version;
    assert_int_equal(scene->store->ops->cell_load(scene->store, "m", out, STORE_CELL_BYTES_MAX,
                                                  &size, &version, out_damage, NULL),
                     INS_OK);
    return version;
}

static ins_status swap(const struct scene *scene, uint64_t expected, const char *data) {
    return scene->store->ops->cell_swap(scene->store, "m", expected, data, strlen(data), NULL);
}

static void test_cell_versions(void **state) {
    /* Goal: a cell is two objects at most; somebody else's version wins. Method: ten swaps; then
     * the next version's name is taken by another writer, whole and damaged. */
    struct scene *scene = *state;
    uint8_t *out = malloc(STORE_CELL_BYTES_MAX);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(swap(scene, i, "data"), INS_OK);
        assert_int_equal(count_below(scene, "c-m/"), i == 0 ? 1 : 2);
    }
    /* Another node is faster. */
    assert_int_equal(swap(scene, 10, "theirs"), INS_OK);
    assert_int_equal(swap(scene, 10, "ours"), INS_EXISTS);
    ins_error damage = {0};
    assert_int_equal(load(scene, out, &damage), 11);
    assert_memory_equal(out, "theirs", 6);
    assert_int_equal(damage.status, INS_OK);

    assert_true(store_memory_flip(scene->store, "cell:m/000000000000000b", 4097, 1));
    assert_int_equal(load(scene, out, &damage), 10);
    assert_int_equal(damage.status, INS_CORRUPT);
    assert_non_null(strstr(damage.message, "version 11"));
    assert_int_equal(swap(scene, 11, "late"), INS_EXISTS);
    assert_int_equal(swap(scene, 10, "again"), INS_OK); /* in the damaged one's place */
    damage = (ins_error){0};
    assert_int_equal(load(scene, out, &damage), 11);
    assert_memory_equal(out, "again", 5);
    assert_int_equal(damage.status, INS_OK);
    free(out);
}

static void test_cell_unsure(void **state) {
    /* Goal: after a request whose answer was lost a cell is not written again until a restart, and
     * then holds the old version or the new one. Method: each call of a swap fails in turn. */
    struct scene *scene = *state;
    uint8_t *out = malloc(STORE_CELL_BYTES_MAX);
    uint64_t version = 0;
    assert_int_equal(swap(scene, version++, "0"), INS_OK);
    uint32_t kept = 0, lost = 0;
    for (uint64_t call = 1; call <= 60; call++) {
        store_memory_fail_at(scene->store, call % 6 + 1, false, INS_IO, false);
        ins_status status = swap(scene, version, "1");
        store_memory_fail_off(scene->store);
        if (status == INS_OK) { /* what failed was the removal of an old version */
            version++;
            continue;
        }
        assert_int_equal(status, INS_IO);
        place_reopen(scene->place);
        ins_error damage = {0};
        uint64_t found = load(scene, out, &damage);
        assert_true(found == version || found == version + 1);
        kept += found == version + 1;
        lost += found == version;
        version = found;
    }
    assert_true(kept > 0 && lost > 0);
    assert_true(count_below(scene, "c-m/") <= 4); /* what could not be removed goes later */
    assert_int_equal(swap(scene, version, "2"), INS_OK);
    assert_int_equal(count_below(scene, "c-m/"), 2);
    free(out);
}

static void test_log_of_two_nodes(void **state) {
    /* Goal: a node that was replaced cannot write the log. Method: its successor puts the next
     * append, and the next file, first. */
    struct scene *scene = *state;
    struct log_sink *sink = scene->store->ops->log_sink(scene->store);
    uint8_t *page = aligned_alloc(4096, 4096);
    fill(page, 4096, 1);
    assert_int_equal(sink->ops->rotate(sink, 7, FILE_BYTES, page, NULL), INS_OK);
    assert_int_equal(sink->ops->append(sink, 4096, page, 4096, NULL), INS_OK);
    assert_int_equal(
        put_object(scene->below, "l-0000000000000007/0000000000002000", page, 4096, NULL), INS_OK);
    ins_error error;
    assert_int_equal(sink->ops->append(sink, 8192, page, 4096, &error), INS_EXISTS);
    assert_non_null(strstr(error.message, "replaced"));
    assert_int_equal(put_object(scene->below, "l-0000000000000008/head", page, 4096, NULL), INS_OK);
    assert_int_equal(sink->ops->rotate(sink, 8, FILE_BYTES, page, &error), INS_EXISTS);
    assert_non_null(strstr(error.message, "0000000000000008"));
    free(page);
}

static void test_log_release(void **state) {
    /* Goal: a release that was cut short leaves files that follow each other, and the next one
     * takes what is left of it. Method: each call of a release fails in turn. */
    struct scene *scene = *state;
    struct log_sink *sink = scene->store->ops->log_sink(scene->store);
    uint8_t *page = aligned_alloc(4096, 4096);
    fill(page, 4096, 1);
    uint64_t next = 1;
    for (uint64_t call = 1; call <= 12; call++) {
        for (int i = 0; i < 3; i++, next++) {
            assert_int_equal(sink->ops->rotate(sink, next, FILE_BYTES, page, NULL), INS_OK);
            assert_int_equal(sink->ops->append(sink, 4096, page, 4096, NULL), INS_OK);
            assert_int_equal(sink->ops->append(sink, 8192, page, 4096, NULL), INS_OK);
        }
        store_memory_fail_at(scene->store, call, false, INS_IO, false);
        (void)sink->ops->release(sink, next - 1, NULL);
        store_memory_fail_off(scene->store);
        struct log_file files[8];
        size_t count;
        assert_int_equal(sink->ops->files(sink, files, 8, &count, NULL), INS_OK);
        assert_true(count >= 1 && count <= 8);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(files[i].file_id, next - count + i);
            assert_int_equal(files[i].size_bytes, FILE_BYTES);
        }
        assert_int_equal(sink->ops->release(sink, next - 1, NULL), INS_OK);
        assert_int_equal(count_below(scene, "l-"), 3);
    }
    free(page);
}

static void test_log_damage(void **state) {
    /* Goal: what cannot come of a put is named. Method: a head and an append that are cut. */
    struct scene *scene = *state;
    struct log_sink *sink = scene->store->ops->log_sink(scene->store);
    uint8_t *page = aligned_alloc(4096, 4096);
    fill(page, 4096, 1);
    assert_int_equal(sink->ops->rotate(sink, 1, FILE_BYTES, page, NULL), INS_OK);
    assert_int_equal(sink->ops->append(sink, 4096, page, 4096, NULL), INS_OK);
    ins_error error;
    assert_true(store_memory_truncate(scene->store, "log:0000000000000001/0000000000001000", 100));
    assert_int_equal(sink->ops->read(sink, 1, 0, page, 4096, NULL), INS_CORRUPT);
    assert_int_equal(sink->ops->read(sink, 1, 4096, page, 4096, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "has 100 bytes"));
    assert_true(store_memory_truncate(scene->store, "log:0000000000000001/head", 9));
    struct log_file file;
    size_t count;
    assert_int_equal(sink->ops->files(sink, &file, 1, &count, NULL), INS_OK);
    assert_int_equal(file.size_bytes, 0); /* which no header says */
    free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cell_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cell_unsure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_of_two_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_release, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_damage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
