/* The simulator's store: the directory store's twin in memory, which fails on purpose.
 *
 * Deterministic: what a failed call leaves behind, and what a power cut takes, follow from the seed
 * and the order of calls alone. One conformance test runs over this and the directory store. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "store/memory_private.h"
#include "store/objects.h"

/* The memory behind a handle of store_memory_open. */
static struct memory_store *twin_of(ins_store *handle) {
    return memory_of(store_is_over_objects(handle) ? store_over_objects_below(handle) : handle);
}

void memory_lock(struct memory_store *store) {
    int result = pthread_mutex_lock(&store->lock);
    INS_ASSERT(result == 0);
}

void memory_unlock(struct memory_store *store) {
    int result = pthread_mutex_unlock(&store->lock);
    INS_ASSERT(result == 0);
}

static struct log_sink *memory_log_sink(ins_store *store) {
    return &memory_of(store)->log.sink;
}

static void memory_close(ins_store *handle) {
    struct memory_store *store = memory_of(handle);
    memory_objects_free(store);
    memory_cells_free(store);
    memory_log_free(store);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

static const struct store_ops memory_ops = {
    .put_begin = memory_put_begin,
    .put_append = memory_put_append,
    .put_commit = memory_put_commit,
    .put_abort = memory_put_abort,
    .get = memory_get,
    .size = memory_size,
    .list = memory_list,
    .remove = memory_remove,
    .cell_load = memory_cell_load,
    .cell_swap = memory_cell_swap,
    .log_sink = memory_log_sink,
    .close = memory_close,
};

ins_status store_memory_open(const struct store_memory_options *options, ins_store **out_store) {
    INS_ASSERT(options != NULL);
    INS_ASSERT(out_store != NULL);
    struct memory_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return INS_FULL;
    }
    store->store.ops = &memory_ops;
    store->random_state = options->seed;
    store->log.sink.ops = &memory_log_ops;
    (void)pthread_mutex_init(&store->lock, NULL);
    store->objects_only = options->objects_only;
    if (options->objects_only) {
        return store_over_objects_open(&store->store, out_store);
    }
    *out_store = &store->store;
    return INS_OK;
}

static void restart(ins_store *handle, bool power_cut) {
    struct memory_store *store = twin_of(handle);
    memory_lock(store);
    store->sync_failed = false;
    store->faults.fail_call = 0;
    memory_objects_restart(store, power_cut);
    memory_cells_restart(store, power_cut);
    memory_log_restart(store, power_cut);
    memory_unlock(store);
    if (store_is_over_objects(handle)) {
        store_over_objects_restart(handle);
    }
}

void store_memory_crash(ins_store *store) {
    restart(store, true);
}

void store_memory_kill(ins_store *store) {
    restart(store, false);
}

void store_memory_fail_at(ins_store *handle, uint64_t countdown, bool only_writes,
                          ins_status status, bool sticky) {
    INS_ASSERT(countdown > 0);
    INS_ASSERT(status != INS_OK);
    struct memory_store *store = twin_of(handle);
    memory_lock(store);
    struct memory_faults *faults = &store->faults;
    faults->fail_call = (only_writes ? faults->write_calls : faults->calls) + countdown;
    faults->only_writes = only_writes;
    faults->status = status;
    faults->sticky = sticky;
    memory_unlock(store);
}

void store_memory_fail_off(ins_store *handle) {
    struct memory_store *store = twin_of(handle);
    memory_lock(store);
    store->faults.fail_call = 0;
    memory_unlock(store);
}

uint64_t store_memory_calls(ins_store *handle, bool only_writes) {
    struct memory_store *store = twin_of(handle);
    memory_lock(store);
    uint64_t calls = only_writes ? store->faults.write_calls : store->faults.calls;
    memory_unlock(store);
    return calls;
}

/* ---- Damage
 * ------------------------------------------------------------------------------------------- */

typedef bool (*raw_visit)(void *context, const char *raw_name, struct memory_bytes *bytes);

#define RAW_NAME_MAX (STORE_NAME_MAX + 16)

/* Of cells and logs made of objects: as without them, with the rest of their names behind. */
static void raw_object_name(const struct memory_store *store, const struct memory_object *object,
                            char out[RAW_NAME_MAX]) {
    static const char *const kinds[][2] = {{"o-", ""}, {"c-", "cell:"}, {"l-", "log:"}};
    (void)snprintf(out, RAW_NAME_MAX, "%s", object->name);
    for (size_t i = 0; store->objects_only && i < 3; i++) {
        if (strncmp(object->name, kinds[i][0], 2) == 0) {
            (void)snprintf(out, RAW_NAME_MAX, "%s%s", kinds[i][1], object->name + 2);
        }
    }
}

/* Calls visit for everything that rests, until it returns false. Under lock. */
static void raw_each(struct memory_store *store, raw_visit visit, void *context) {
    char name[RAW_NAME_MAX];
    for (struct memory_object *object = store->objects; object != NULL; object = object->next) {
        raw_object_name(store, object, name);
        if (!object->removed && !visit(context, name, &object->bytes)) {
            return;
        }
    }
    for (struct memory_cell *cell = store->cells; cell != NULL; cell = cell->next) {
        for (uint32_t slot = 0; slot < CELL_SLOTS; slot++) {
            (void)snprintf(name, sizeof(name), "cell:%s:%u", cell->name, slot);
            if (!visit(context, name, &cell->slots[slot])) {
                return;
            }
        }
    }
    for (struct memory_log_file *file = store->log.files; file != NULL; file = file->next) {
        (void)snprintf(name, sizeof(name), "log:%llu", (unsigned long long)file->id);
        if (!file->removed && !visit(context, name, &file->bytes)) {
            return;
        }
    }
}

struct raw_find {
    const char *name;
    struct memory_bytes *found;
};

static bool raw_match(void *context, const char *raw_name, struct memory_bytes *bytes) {
    struct raw_find *find = context;
    if (strcmp(find->name, raw_name) == 0) {
        find->found = bytes;
    }
    return find->found == NULL;
}

bool store_memory_flip(ins_store *handle, const char *name, uint64_t offset, uint8_t mask) {
    struct memory_store *store = twin_of(handle);
    struct raw_find find = {name, NULL};
    memory_lock(store);
    raw_each(store, raw_match, &find);
    bool done = find.found != NULL && memory_bytes_flip(find.found, offset, mask);
    memory_unlock(store);
    return done;
}

bool store_memory_truncate(ins_store *handle, const char *name, uint64_t size) {
    struct memory_store *store = twin_of(handle);
    struct raw_find find = {name, NULL};
    memory_lock(store);
    raw_each(store, raw_match, &find);
    bool done = find.found != NULL && memory_bytes_cut(find.found, size);
    memory_unlock(store);
    return done;
}

bool store_memory_read_raw(ins_store *handle, const char *name, uint64_t offset, void *out,
                           size_t size) {
    struct memory_store *store = twin_of(handle);
    struct raw_find find = {name, NULL};
    memory_lock(store);
    raw_each(store, raw_match, &find);
    bool done =
        find.found != NULL && offset <= find.found->size && size <= find.found->size - offset;
    if (done && size > 0) {
        memcpy(out, find.found->seen + offset, size);
    }
    memory_unlock(store);
    return done;
}

struct raw_list {
    void (*visit)(void *context, const char *name, uint64_t size);
    void *context;
};

static bool raw_tell(void *context, const char *raw_name, struct memory_bytes *bytes) {
    struct raw_list *list = context;
    list->visit(list->context, raw_name, bytes->size);
    return true;
}

ins_status store_memory_list_raw(ins_store *handle,
                                 void (*visit)(void *context, const char *name, uint64_t size),
                                 void *context) {
    struct memory_store *store = twin_of(handle);
    struct raw_list list = {visit, context};
    memory_lock(store); /* visit may not call the store */
    raw_each(store, raw_tell, &list);
    memory_unlock(store);
    return INS_OK;
}
