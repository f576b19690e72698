/* Objects of the simulator's store. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/memory_private.h"

static struct memory_object *object_find(struct memory_store *store, const char *name) {
    for (struct memory_object *object = store->objects; object != NULL; object = object->next) {
        if (!object->removed && strcmp(object->name, name) == 0) {
            return object;
        }
    }
    return NULL;
}

static void object_free(struct memory_object *object) {
    memory_bytes_fini(&object->bytes);
    free(object);
}

static void writer_unlink(struct store_writer *writer) {
    struct store_writer **link = &writer->store->writers;
    while (*link != writer) {
        INS_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = writer->next;
}

static void writer_free(struct store_writer *writer) {
    free(writer->data);
    free(writer);
}

static ins_status usable(const struct memory_store *store, ins_error *error) {
    return store->sync_failed
               ? ins_fail(error, INS_IO,
                          "an earlier sync of a directory failed; nothing more is written until a "
                          "restart")
               : INS_OK;
}

static ins_status begin_locked(struct memory_store *store, const char *name,
                               struct store_writer **out_writer, ins_error *error) {
    ins_status status = usable(store, error);
    if (status == INS_OK) {
        status = memory_call(store, true, "put_begin", error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (object_find(store, name) != NULL) {
        return ins_fail(error, INS_EXISTS, "object %s exists", name);
    }
    struct store_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return ins_fail(error, INS_FULL, "no memory to write object %s", name);
    }
    (void)snprintf(writer->name, sizeof(writer->name), "%s", name);
    writer->store = store;
    writer->next = store->writers;
    store->writers = writer;
    *out_writer = writer;
    return INS_OK;
}

ins_status memory_put_begin(ins_store *handle, const char *name, struct store_writer **out_writer,
                            ins_error *error) {
    struct memory_store *store = memory_of(handle);
    INS_ASSERT(!handle->read_only);
    INS_ASSERT(store_name_valid(name));
    INS_ASSERT(out_writer != NULL);
    memory_lock(store);
    ins_status status = begin_locked(store, name, out_writer, error);
    memory_unlock(store);
    return status;
}

static ins_status append_locked(struct store_writer *writer, const void *data, size_t size,
                                ins_error *error) {
    struct memory_store *store = writer->store;
    ins_status status = memory_call(store, true, "put_append", error);
    if (status != INS_OK) {
        return status; /* a prefix may be there; nobody can see it before commit */
    }
    size_t need = writer->size + size;
    if (need > writer->capacity) {
        size_t capacity = need + need / 2;
        uint8_t *larger = realloc(writer->data, capacity);
        if (larger == NULL) {
            return ins_fail(error, INS_FULL, "no memory to write object %s", writer->name);
        }
        writer->data = larger;
        writer->capacity = capacity;
    }
    if (size > 0) {
        memcpy(writer->data + writer->size, data, size);
    }
    writer->size = need;
    store->store.write_bytes += size;
    return INS_OK;
}

ins_status memory_put_append(struct store_writer *writer, const void *data, size_t size,
                             ins_error *error) {
    INS_ASSERT(writer != NULL);
    INS_ASSERT(!writer->ended); /* only the last piece may be unaligned */
    INS_ASSERT(data != NULL || size == 0);
    struct memory_store *store = writer->store;
    memory_lock(store);
    writer->ended = size % STORE_ALIGN != 0;
    ins_status status =
        writer->dead
            ? ins_fail(error, INS_IO, "the store was restarted under object %s", writer->name)
            : append_locked(writer, data, size, error);
    memory_unlock(store);
    return status;
}

/* Frees objects that `dead` names. */
static void objects_sweep(struct memory_store *store, bool (*dead)(const struct memory_object *)) {
    struct memory_object **link = &store->objects;
    while (*link != NULL) {
        struct memory_object *object = *link;
        if (dead(object)) {
            *link = object->next;
            object_free(object);
        } else {
            link = &object->next;
        }
    }
}

static bool object_removed(const struct memory_object *object) {
    return object->removed;
}

/* A synced directory: removals are final, names stay. */
static void objects_sync(struct memory_store *store) {
    objects_sweep(store, object_removed);
    for (struct memory_object *object = store->objects; object != NULL; object = object->next) {
        object->name_durable = true;
    }
}

static ins_status object_add(struct memory_store *store, const struct store_writer *writer,
                             ins_error *error) {
    struct memory_object *object = calloc(1, sizeof(*object));
    if (object == NULL || !memory_bytes_init(&object->bytes, writer->size)) {
        free(object);
        return ins_fail(error, INS_FULL, "no memory to write object %s", writer->name);
    }
    (void)snprintf(object->name, sizeof(object->name), "%s", writer->name);
    memory_bytes_write(&object->bytes, 0, writer->data, writer->size);
    object->next = store->objects;
    store->objects = object;
    return INS_OK;
}

static ins_status commit_locked(struct store_writer *writer, ins_error *error) {
    struct memory_store *store = writer->store;
    if (writer->dead) {
        return ins_fail(error, INS_IO, "the store was restarted under object %s", writer->name);
    }
    ins_status status = usable(store, error);
    if (status != INS_OK) {
        return status;
    }
    if (object_find(store, writer->name) != NULL) {
        return ins_fail(error, INS_EXISTS, "object %s exists", writer->name);
    }
    ins_status failure = memory_call(store, true, "put_commit", error);
    /* For want of space an object storage puts nothing. */
    bool never = store->objects_only && failure == INS_FULL;
    if (failure != INS_OK && (never || memory_random(store, 2) == 0)) {
        return failure; /* the sync of the object failed: it was never named */
    }
    status = object_add(store, writer, error);
    if (status != INS_OK) {
        return status;
    }
    store->store.sync_count += 2;
    if (failure != INS_OK && !store->objects_only) { /* the sync of its directory failed */
        store->sync_failed = true;
        return failure;
    }
    objects_sync(store);
    return failure; /* of an object storage: it happened, and the answer was lost */
}

ins_status memory_put_commit(struct store_writer *writer, ins_error *error) {
    INS_ASSERT(writer != NULL);
    struct memory_store *store = writer->store;
    memory_lock(store);
    ins_status status = commit_locked(writer, error);
    writer_unlink(writer);
    memory_unlock(store);
    writer_free(writer);
    return status;
}

void memory_put_abort(struct store_writer *writer) {
    if (writer == NULL) {
        return;
    }
    struct memory_store *store = writer->store;
    memory_lock(store);
    writer_unlink(writer);
    memory_unlock(store);
    writer_free(writer);
}

ins_status memory_get(ins_store *handle, const char *name, uint64_t offset, void *out, size_t size,
                      ins_error *error) {
    struct memory_store *store = memory_of(handle);
    memory_lock(store);
    ins_status status = memory_call(store, false, "get", error);
    const struct memory_object *object = status == INS_OK ? object_find(store, name) : NULL;
    if (status == INS_OK && object == NULL) {
        status = ins_fail(error, INS_NOT_FOUND, "object %s is not there", name);
    } else if (status == INS_OK &&
               (offset > object->bytes.size || size > object->bytes.size - offset)) {
        status = ins_fail(error, INS_CORRUPT, "object %s ends before offset %llu", name,
                          (unsigned long long)(offset + size));
    } else if (status == INS_OK && size > 0) {
        memcpy(out, object->bytes.seen + offset, size);
    }
    memory_unlock(store);
    return status;
}

ins_status memory_size(ins_store *handle, const char *name, uint64_t *out_size, ins_error *error) {
    struct memory_store *store = memory_of(handle);
    memory_lock(store);
    ins_status status = memory_call(store, false, "size", error);
    const struct memory_object *object = status == INS_OK ? object_find(store, name) : NULL;
    if (object != NULL) {
        *out_size = object->bytes.size;
    } else if (status == INS_OK) {
        status = ins_fail(error, INS_NOT_FOUND, "object %s is not there", name);
    }
    memory_unlock(store);
    return status;
}

struct listed {
    char name[STORE_NAME_MAX + 1];
    uint64_t size;
};

/* Copies the names first, so that visit may call the store. */
ins_status memory_list(ins_store *handle, const char *prefix,
                       ins_status (*visit)(void *context, const char *name, uint64_t size),
                       void *context, ins_error *error) {
    INS_ASSERT(prefix != NULL);
    struct memory_store *store = memory_of(handle);
    memory_lock(store);
    ins_status status = memory_call(store, false, "list", error);
    size_t count = 0, filled = 0;
    for (struct memory_object *object = store->objects; object != NULL; object = object->next) {
        count++;
    }
    struct listed *all = status == INS_OK ? calloc(count + 1, sizeof(*all)) : NULL;
    if (status == INS_OK && all == NULL) {
        status = ins_fail(error, INS_FULL, "no memory to list objects");
    }
    for (struct memory_object *object = store->objects; all != NULL && object != NULL;
         object = object->next) {
        if (!object->removed && strncmp(object->name, prefix, strlen(prefix)) == 0) {
            memcpy(all[filled].name, object->name, sizeof(object->name));
            all[filled++].size = object->bytes.size;
        }
    }
    memory_unlock(store);
    for (size_t i = 0; status == INS_OK && i < filled; i++) {
        status = visit(context, all[i].name, all[i].size);
    }
    free(all);
    return status;
}

ins_status memory_remove(ins_store *handle, const char *name, ins_error *error) {
    struct memory_store *store = memory_of(handle);
    memory_lock(store);
    ins_status status = memory_call(store, true, "remove", error);
    /* A failed unlink may have happened all the same. */
    if (status == INS_OK || memory_random(store, 2) == 0) {
        struct memory_object *object = object_find(store, name);
        if (object != NULL) {
            object->removed = true;
        }
        if (store->objects_only) {
            objects_sync(store);
        }
    }
    memory_unlock(store);
    return status;
}

/* ---- Restart
 * ------------------------------------------------------------------------------------------ */

void memory_objects_restart(struct memory_store *store, bool power_cut) {
    for (struct store_writer *writer = store->writers; writer != NULL; writer = writer->next) {
        writer->dead = true;
    }
    for (struct memory_object *object = store->objects; object != NULL; object = object->next) {
        if (!power_cut) {
            continue;
        }
        if (object->removed) { /* the removal was not synced: it holds or not */
            object->removed = memory_random(store, 2) == 0;
        }
        if (!object->name_durable && memory_random(store, 2) == 0) {
            object->removed = true;
        }
    }
    objects_sync(store); /* as open does */
}

void memory_objects_free(struct memory_store *store) {
    while (store->writers != NULL) {
        struct store_writer *writer = store->writers;
        store->writers = writer->next;
        writer_free(writer);
    }
    while (store->objects != NULL) {
        struct memory_object *object = store->objects;
        store->objects = object->next;
        object_free(object);
    }
}
