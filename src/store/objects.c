#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/objects_private.h"

/* A writer of the storage below under another name; `below` is of the storage's own kind. */
struct store_writer {
    struct objects_store *store;
    struct store_writer *below;
};

static void name_below(const char *name, char out[STORE_NAME_MAX + 1]) {
    int size = snprintf(out, STORE_NAME_MAX + 1, "o-%s", name);
    INS_ASSERT(size > 0 && size <= STORE_NAME_MAX);
}

bool objects_parse_number(const char *text, uint64_t *out_number) {
    uint64_t number = 0;
    size_t i = 0;
    for (; i < 16; i++) {
        char c = text[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out_number = number;
    return text[16] == '\0';
}

/* ---- Objects ---- */

static ins_status put_begin(ins_store *handle, const char *name, struct store_writer **out_writer,
                            ins_error *error) {
    struct objects_store *store = objects_of(handle);
    char below[STORE_NAME_MAX + 1];
    name_below(name, below);
    struct store_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return ins_fail(error, INS_FULL, "no memory to write object %s", name);
    }
    writer->store = store;
    ins_status status = store->below->ops->put_begin(store->below, below, &writer->below, error);
    if (status != INS_OK) {
        free(writer);
        return status;
    }
    *out_writer = writer;
    return INS_OK;
}

static ins_status put_append(struct store_writer *writer, const void *data, size_t size,
                             ins_error *error) {
    struct objects_store *store = writer->store;
    ins_status status = store->below->ops->put_append(writer->below, data, size, error);
    if (status == INS_OK) {
        store->store.write_bytes += size;
    }
    return status;
}

static ins_status put_commit(struct store_writer *writer, ins_error *error) {
    struct objects_store *store = writer->store;
    ins_status status = store->below->ops->put_commit(writer->below, error);
    if (status == INS_OK) {
        store->store.sync_count++;
    }
    free(writer);
    return status;
}

static void put_abort(struct store_writer *writer) {
    if (writer != NULL) {
        writer->store->below->ops->put_abort(writer->below);
        free(writer);
    }
}

ins_status objects_put(struct objects_store *store, const char *name, const void *data, size_t size,
                       ins_error *error) {
    const struct store_ops *ops = store->below->ops;
    struct store_writer *writer = NULL;
    ins_status status = ops->put_begin(store->below, name, &writer, error);
    if (status != INS_OK) {
        return status;
    }
    status = ops->put_append(writer, data, size, error);
    if (status != INS_OK) {
        ops->put_abort(writer);
        return status;
    }
    return ops->put_commit(writer, error);
}

static ins_status get(ins_store *handle, const char *name, uint64_t offset, void *out, size_t size,
                      ins_error *error) {
    char below[STORE_NAME_MAX + 1];
    name_below(name, below);
    return store_get(objects_of(handle)->below, below, offset, out, size, error);
}

static ins_status size_of(ins_store *handle, const char *name, uint64_t *out_size,
                          ins_error *error) {
    struct objects_store *store = objects_of(handle);
    char below[STORE_NAME_MAX + 1];
    name_below(name, below);
    return store->below->ops->size(store->below, below, out_size, error);
}

struct visitor {
    ins_status (*visit)(void *context, const char *name, uint64_t size);
    void *context;
};

static ins_status visit_below(void *context, const char *name, uint64_t size) {
    const struct visitor *visitor = context;
    return visitor->visit(visitor->context, name + OBJECTS_PREFIX_BYTES, size);
}

static ins_status list(ins_store *handle, const char *prefix,
                       ins_status (*visit)(void *context, const char *name, uint64_t size),
                       void *context, ins_error *error) {
    struct objects_store *store = objects_of(handle);
    char below[STORE_NAME_MAX + 1];
    struct visitor visitor = {visit, context};
    name_below(prefix, below);
    return store->below->ops->list(store->below, below, visit_below, &visitor, error);
}

static ins_status remove_object(ins_store *handle, const char *name, ins_error *error) {
    char below[STORE_NAME_MAX + 1];
    name_below(name, below);
    return store_remove(objects_of(handle)->below, below, error);
}

/* ---- The store ---- */

static struct log_sink *log_sink_of(ins_store *handle) {
    return &objects_of(handle)->log.sink;
}

static void close_store(ins_store *handle) {
    ins_store_close(objects_of(handle)->below);
    free(objects_of(handle));
}

static const struct store_ops objects_ops = {
    .put_begin = put_begin,
    .put_append = put_append,
    .put_commit = put_commit,
    .put_abort = put_abort,
    .get = get,
    .size = size_of,
    .list = list,
    .remove = remove_object,
    .cell_load = objects_cell_load,
    .cell_swap = objects_cell_swap,
    .log_sink = log_sink_of,
    .close = close_store,
};

ins_status store_over_objects_open(ins_store *objects, ins_store **out_store) {
    INS_ASSERT(objects != NULL);
    INS_ASSERT(out_store != NULL);
    struct objects_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        ins_store_close(objects);
        return INS_FULL;
    }
    store->store.ops = &objects_ops;
    store->store.read_only = objects->read_only;
    store->below = objects;
    store->log.sink.ops = &objects_log_ops;
    *out_store = &store->store;
    return INS_OK;
}

bool store_is_over_objects(const ins_store *store) {
    return store->ops == &objects_ops;
}

ins_store *store_over_objects_below(ins_store *store) {
    INS_ASSERT(store_is_over_objects(store));
    return objects_of(store)->below;
}

void store_over_objects_restart(ins_store *handle) {
    INS_ASSERT(store_is_over_objects(handle));
    struct objects_store *store = objects_of(handle);
    store->cells_failed = false;
    store->log.current_id = store->log.current_bytes = 0;
    store->log.failed = false;
}
