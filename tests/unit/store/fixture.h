/* Stores for tests: the simulator's, and a directory of its own under the build directory. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

enum place_kind { PLACE_MEMORY, PLACE_OBJECTS, PLACE_DIRECTORY };

struct place { /* a test's state */
    enum place_kind kind;
    char path[64]; /* of the directory store */
    ins_store *store;
};

/* Removes the two levels that a store makes. */
static inline void place_remove(const char *path) {
    char name[600];
    for (int level = 0; level < 2; level++) {
        const char *parts[] = {"objects", "tmp", "cells", "log"};
        for (size_t i = 0; i < 4; i++) {
            (void)snprintf(name, sizeof(name), "%s/%s", path, parts[i]);
            DIR *stream = opendir(name);
            for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
                (void)snprintf(name, sizeof(name), "%s/%s/%s", path, parts[i], entry->d_name);
                (void)unlink(name);
            }
            if (stream != NULL) {
                (void)closedir(stream);
            }
            (void)snprintf(name, sizeof(name), "%s/%s", path, parts[i]);
            (void)rmdir(name);
        }
    }
    (void)rmdir(path);
}

static inline void place_open(struct place *place) {
    ins_error error = {0};
    if (place->kind != PLACE_DIRECTORY) {
        struct store_memory_options options = {.seed = 1,
                                               .objects_only = place->kind == PLACE_OBJECTS};
        assert_int_equal(store_memory_open(&options, &place->store), INS_OK);
        return;
    }
    ins_status status = ins_store_open_directory(place->path, false, &place->store, &error);
    if (status != INS_OK) {
        print_error("%s\n", error.message);
    }
    assert_int_equal(status, INS_OK);
}

/* Closes and opens again; the simulator's store is killed instead. */
static inline void place_reopen(struct place *place) {
    if (place->kind != PLACE_DIRECTORY) {
        store_memory_kill(place->store);
        return;
    }
    ins_store_close(place->store);
    place_open(place);
}

static inline int place_setup(void **state, enum place_kind kind) {
    struct place *place = calloc(1, sizeof(*place));
    place->kind = kind;
    (void)snprintf(place->path, sizeof(place->path), "test-store-XXXXXX");
    if (kind == PLACE_DIRECTORY && mkdtemp(place->path) == NULL) {
        return -1;
    }
    place_open(place);
    *state = place;
    return 0;
}

static inline int place_setup_memory(void **state) {
    return place_setup(state, PLACE_MEMORY);
}

static inline int place_setup_objects(void **state) {
    return place_setup(state, PLACE_OBJECTS);
}

static inline int place_setup_directory(void **state) {
    return place_setup(state, PLACE_DIRECTORY);
}

static inline int place_teardown(void **state) {
    struct place *place = *state;
    ins_store_close(place->store);
    if (place->kind == PLACE_DIRECTORY) {
        place_remove(place->path);
    }
    free(place);
    return 0;
}

#define ON_ALL(test)                                                                               \
    {#test " (memory)", test, place_setup_memory, place_teardown, NULL},                           \
        {#test " (objects)", test, place_setup_objects, place_teardown, NULL}, {                   \
#test " (directory)", test, place_setup_directory, place_teardown, NULL                    \
    }

static inline ins_status put_object(ins_store *store, const char *name, const void *data,
                                    size_t size, ins_error *error) {
    struct store_writer *writer = NULL;
    ins_status status = store->ops->put_begin(store, name, &writer, error);
    if (status == INS_OK) {
        status = store->ops->put_append(writer, data, size, error);
        if (status == INS_OK) {
            return store->ops->put_commit(writer, error);
        }
        store->ops->put_abort(writer);
    }
    return status;
}

/* Repeatable bytes. */
static inline void fill(uint8_t *out, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        out[i] = (uint8_t)(seed >> 56);
    }
}

#endif
