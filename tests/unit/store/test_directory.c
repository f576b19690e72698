/* Goal: what only a directory on a file system has: lock, leftovers, damage on disk, real failures.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "fixture.h"

static void path_of(const struct place *place, const char *rest, char out[static 200]) {
    (void)snprintf(out, 200, "%s/%s", place->path, rest);
}

static size_t entries(const struct place *place, const char *part) {
    char path[200];
    path_of(place, part, path);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(stream);
    return count;
}

static void touch(const struct place *place, const char *rest, size_t size) {
    char path[200];
    path_of(place, rest, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++) {
        (void)fputc('x', file);
    }
    (void)fclose(file);
}

static void test_lock(void **state) {
    /* Goal: one writer, or many readers. Method: flock works between descriptors, so a second open
     * in this process stands for a second process. */
    struct place *place = *state;
    ins_store *second = NULL, *third = NULL;
    ins_error error;
    assert_int_equal(ins_store_open_directory(place->path, false, &second, &error),
                     INS_UNAVAILABLE);
    assert_non_null(strstr(error.message, place->path));
    assert_non_null(strstr(error.message, "another process"));
    assert_int_equal(ins_store_open_directory(place->path, true, &second, &error), INS_UNAVAILABLE);
    assert_null(second);
    assert_int_equal(put_object(place->store, "a", "1", 1, NULL), INS_OK);
    ins_store_close(place->store);
    assert_int_equal(ins_store_open_directory(place->path, true, &second, NULL), INS_OK);
    assert_int_equal(ins_store_open_directory(place->path, true, &third, NULL), INS_OK);
    assert_true(second->read_only);
    char out;
    assert_int_equal(store_get(third, "a", 0, &out, 1, NULL), INS_OK);
    assert_int_equal(ins_store_open_directory(place->path, false, &place->store, &error),
                     INS_UNAVAILABLE);
    ins_store_close(second);
    ins_store_close(third);
    place_open(place);
}

static void test_open_failures(void **state) {
    /* Goal: a path that cannot be opened is named. Method: read-only on nothing, a file as a path.
     */
    struct place *place = *state;
    ins_store *store;
    ins_error error;
    assert_int_equal(ins_store_open_directory("no-such-place", true, &store, &error), INS_IO);
    assert_non_null(strstr(error.message, "no-such-place"));
    touch(place, "file", 1);
    char path[200];
    path_of(place, "file", path);
    assert_int_equal(ins_store_open_directory(path, false, &store, &error), INS_IO);
    (void)unlink(path);
    /* A directory that is no store, read only: named too, and left alone. */
    path_of(place, "other", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ins_store_open_directory(path, true, &store, &error), INS_IO);
    assert_non_null(strstr(error.message, "objects"));
    assert_int_equal(rmdir(path), 0);
}

static void test_leftovers(void **state) {
    /* Goal: what a crash leaves half-made goes at open; what is whole stays. Method: files put
     * there by hand; foreign names in objects/ and log/ are neither listed nor removed. */
    struct place *place = *state;
    struct log_sink *sink = place->store->ops->log_sink(place->store);
    assert_int_equal(sink->ops->prepare(sink, 64u << 10, NULL), INS_OK);
    touch(place, "tmp/7", 10);
    touch(place, "log/raw-spare-9", 10);
    touch(place, "log/notes", 10);
    touch(place, "objects/NOT OURS", 10);
    place_reopen(place);
    assert_int_equal(entries(place, "tmp"), 0);
    assert_int_equal(entries(place, "log"), 2);
    assert_int_equal(entries(place, "objects"), 1);
    sink = place->store->ops->log_sink(place->store);
    uint8_t header[4096] = {1};
    uint64_t syncs = sink->sync_count;
    assert_int_equal(sink->ops->rotate(sink, 1, 64u << 10, header, NULL), INS_OK);
    assert_int_equal(sink->sync_count - syncs, 2); /* the spare was kept */
    size_t count;
    assert_int_equal(sink->ops->files(sink, NULL, 0, &count, NULL), INS_OK);
    assert_int_equal(count, 1);
    /* The tmp file of an aborted put goes at once. */
    struct store_writer *writer;
    assert_int_equal(place->store->ops->put_begin(place->store, "x", &writer, NULL), INS_OK);
    assert_int_equal(entries(place, "tmp"), 1);
    place->store->ops->put_abort(writer);
    assert_int_equal(entries(place, "tmp"), 0);
}

static void poke(const struct place *place, const char *rest, off_t offset, bool zero_page) {
    char path[200];
    path_of(place, rest, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t page[4096] = {0};
    if (!zero_page) {
        assert_int_equal(pread(fd, page, 1, offset), 1);
        page[0] ^= 1;
    }
    size_t size = zero_page ? sizeof(page) : 1;
    assert_int_equal(pwrite(fd, page, size, offset), (ssize_t)size);
    (void)close(fd);
}

static void test_cell_damage(void **state) {
    /* Goal: any flipped byte of a cell is found and the older copy used; swaps go on from it.
     * Method: a flip in each region of each slot of the file, flipped back after. */
    struct place *place = *state;
    const size_t slot = STORE_CELL_BYTES_MAX + 4096;
    uint8_t data[5000], out[6000];
    fill(data, sizeof(data), 1);
    for (uint64_t version = 0; version < 4; version++) {
        data[0] = (uint8_t)version;
        assert_int_equal(place->store->ops->cell_swap(place->store, "m", version, data,
                                                      5000 - version * 10, NULL),
                         INS_OK);
    }
    const size_t regions[] = {0,    8,    12,       16,   24,          32,   47,    48,      56,
                              4095, 4096, 4096 + 5, 8192, 4096 + 4969, 9100, 20000, slot - 1};
    size_t size;
    uint64_t version;
    ins_error damage, error;
    for (size_t i = 0; i < 2 * sizeof(regions) / sizeof(regions[0]); i++) {
        size_t offset =
            regions[i / 2] + slot * (i % 2); /* slot 0 holds version 4, slot 1 version 3 */
        damage = (ins_error){0};
        poke(place, "cells/m", (off_t)offset, false);
        place_reopen(place);
        assert_int_equal(place->store->ops->cell_load(place->store, "m", out, sizeof(out), &size,
                                                      &version, &damage, &error),
                         INS_OK);
        assert_int_equal(version, i % 2 == 0 ? 3 : 4);
        assert_int_equal(out[0], version - 1);
        assert_int_equal(damage.status, INS_CORRUPT);
        assert_non_null(strstr(damage.message, i % 2 == 0 ? "copy 0" : "copy 1"));
        poke(place, "cells/m", (off_t)offset, false);
    }
    /* The torn copy is written over, and is whole again after it. */
    poke(place, "cells/m", 4096, false);
    place_reopen(place);
    assert_int_equal(place->store->ops->cell_swap(place->store, "m", 3, data, 100, NULL), INS_OK);
    damage = (ins_error){0};
    assert_int_equal(place->store->ops->cell_load(place->store, "m", out, sizeof(out), &size,
                                                  &version, &damage, NULL),
                     INS_OK);
    assert_int_equal(version, 4);
    assert_int_equal(size, 100);
    assert_int_equal(damage.status, INS_OK);
    /* Both: nothing is made up. */
    poke(place, "cells/m", 4096, false);
    poke(place, "cells/m", (off_t)slot + 4096, false);
    place_reopen(place);
    assert_int_equal(place->store->ops->cell_load(place->store, "m", out, sizeof(out), &size,
                                                  &version, &damage, &error),
                     INS_CORRUPT);
    assert_non_null(strstr(error.message, "cell m"));
    assert_int_equal(place->store->ops->cell_swap(place->store, "m", 4, data, 1, NULL),
                     INS_CORRUPT);
    /* A cut file, and one of zeros. */
    char path[200];
    path_of(place, "cells/m", path);
    assert_int_equal(truncate(path, 100), 0);
    place_reopen(place);
    assert_int_equal(place->store->ops->cell_load(place->store, "m", out, sizeof(out), &size,
                                                  &version, &damage, &error),
                     INS_CORRUPT);
    poke(place, "cells/m", 0, true);
    place_reopen(place);
    assert_int_equal(place->store->ops->cell_load(place->store, "m", out, sizeof(out), &size,
                                                  &version, &damage, &error),
                     INS_CORRUPT);
}

static void test_too_many_cells(void **state) {
    /* Goal: cells are bounded. Method: one more than eight. */
    struct place *place = *state;
    char name[8];
    for (int i = 0; i < 9; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i);
        ins_error error;
        assert_int_equal(place->store->ops->cell_swap(place->store, name, 0, "x", 1, &error),
                         i < 8 ? INS_OK : INS_FULL);
    }
}

/* A limit on the size of files makes real writes fail (EFBIG); it is lifted again after. */
static void size_limit(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_write_failures(void **state) {
    /* Goal: a failed write is told with the name; an object can be tried again, a cell and the log
     * are not written again; nothing half-made stays. Method: RLIMIT_FSIZE. */
    struct place *place = *state;
    ins_store *store = place->store;
    struct log_sink *sink = store->ops->log_sink(store);
    (void)signal(SIGXFSZ, SIG_IGN);
    uint8_t *page = aligned_alloc(4096, 65536);
    fill(page, 65536, 3);
    assert_int_equal(store->ops->cell_swap(store, "m", 0, page, 10, NULL), INS_OK);
    size_limit(8192);
    ins_error error;
    assert_int_equal(put_object(store, "big", page, 65536, &error), INS_IO);
    assert_non_null(strstr(error.message, "big"));
    assert_int_equal(store->ops->cell_swap(store, "n", 0, page, 10, &error), INS_IO);
    assert_int_equal(sink->ops->prepare(sink, 65536, &error), INS_IO);
    assert_int_equal(sink->ops->rotate(sink, 1, 65536, page, &error), INS_IO);
    assert_int_equal(store->ops->cell_swap(store, "m", 1, page, 20000, &error), INS_IO);
    assert_non_null(strstr(error.message, "cell m"));
    size_limit(RLIM_INFINITY);
    assert_int_equal(entries(place, "tmp"), 0);
    assert_int_equal(entries(place, "log"), 0);
    assert_int_equal(put_object(store, "big", page, 65536, NULL), INS_OK);
    assert_int_equal(store->ops->cell_swap(store, "m", 1, page, 10, &error), INS_IO);
    assert_non_null(strstr(error.message, "restart"));
    /* A restart finds the older version. */
    place_reopen(place);
    store = place->store;
    uint8_t out[100];
    size_t size;
    uint64_t version;
    assert_int_equal(
        store->ops->cell_load(store, "m", out, sizeof(out), &size, &version, &error, NULL), INS_OK);
    assert_int_equal(version, 1);
    assert_int_equal(store->ops->cell_swap(store, "m", 1, page, 10, NULL), INS_OK);
    /* The log's current file. */
    sink = store->ops->log_sink(store);
    assert_int_equal(sink->ops->rotate(sink, 1, 65536, page, NULL), INS_OK);
    size_limit(8192);
    assert_int_equal(sink->ops->append(sink, 4096, page, 8192, &error), INS_IO);
    size_limit(RLIM_INFINITY);
    free(page);
}

static size_t descriptors(void) {
    DIR *stream = opendir("/proc/self/fd");
    size_t count = 0;
    while (readdir(stream) != NULL) {
        count++;
    }
    (void)closedir(stream);
    return count;
}

static void test_descriptors(void **state) {
    /* Goal: descriptors do not grow with objects. Method: read 300 objects, count; removal closes.
     */
    struct place *place = *state;
    size_t before = descriptors();
    char name[20], out;
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "o/%d", i);
        assert_int_equal(put_object(place->store, name, "x", 1, NULL), INS_OK);
        assert_int_equal(store_get(place->store, name, 0, &out, 1, NULL), INS_OK);
    }
    assert_int_equal(descriptors(), before + 64);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "o/%d", i);
        assert_int_equal(store_remove(place->store, name, NULL), INS_OK);
    }
    assert_int_equal(descriptors(), before);
}

#define ON_DIRECTORY(test)                                                                         \
    { #test, test, place_setup_directory, place_teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_DIRECTORY(test_lock),           ON_DIRECTORY(test_open_failures),
        ON_DIRECTORY(test_leftovers),      ON_DIRECTORY(test_cell_damage),
        ON_DIRECTORY(test_too_many_cells), ON_DIRECTORY(test_write_failures),
        ON_DIRECTORY(test_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
