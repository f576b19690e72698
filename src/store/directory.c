/* A store in a directory of a local file system.
 *
 * Path: an object is written under a number in tmp/, fdatasync'ed, renamed into objects/ without
 * replacing, and objects/ is synced; only then it exists. What a crash leaves in tmp/ goes at open.
 * Failure: INS_UNAVAILABLE when another process holds the lock. Nothing that was found at open is
 * trusted before it was synced: what a killed process wrote may still be in the page cache alone.
 * Invariants: I1 a committed object never changes.  I2 descriptors are bounded, whatever is stored.
 * Threads: any; see directory_private.h for the locks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/directory_private.h"

static struct log_sink *directory_log_sink(ins_store *store) {
    return &directory_of(store)->log.sink;
}

static void close_fd(int fd) {
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void directory_close(ins_store *handle) {
    struct directory_store *store = directory_of(handle);
    directory_log_close(store);
    cell_files_close(store);
    read_queue_fini(&store->reads);
    fd_cache_fini(&store->cache);
    (void)pthread_mutex_destroy(&store->cells_lock);
    close_fd(store->objects_fd);
    close_fd(store->tmp_fd);
    close_fd(store->cells_fd);
    close_fd(store->log_fd);
    close_fd(store->root_fd); /* gives the lock back */
    free(store->path);
    free(store);
}

static const struct store_ops directory_ops = {
    .put_begin = object_put_begin,
    .put_append = object_put_append,
    .put_commit = object_put_commit,
    .put_abort = object_put_abort,
    .get = object_get,
    .get_many = object_get_many,
    .size = object_size,
    .list = object_list,
    .remove = object_remove,
    .cell_load = cell_file_load,
    .cell_swap = cell_file_swap,
    .log_sink = directory_log_sink,
    .close = directory_close,
};

static struct directory_store *directory_alloc(const char *path, bool read_only) {
    struct directory_store *store = calloc(1, sizeof(*store));
    char *copy = strdup(path);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return NULL;
    }
    store->store.ops = &directory_ops;
    store->store.read_only = read_only;
    store->path = copy;
    store->root_fd = store->objects_fd = store->tmp_fd = store->cells_fd = store->log_fd = -1;
    store->log.current_fd = store->log.read_fd = -1;
    (void)pthread_mutex_init(&store->cells_lock, NULL);
    (void)pthread_mutex_init(&store->log.lock, NULL);
    fd_cache_init(&store->cache);
    read_queue_init(&store->reads);
    return store;
}

/* Opens PATH and takes the lock: exclusive to write, shared to read. */
static ins_status root_open(struct directory_store *store, ins_error *error) {
    bool made = !store->store.read_only && mkdir(store->path, 0750) == 0;
    store->root_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->root_fd < 0) {
        return ins_fail_errno(error, errno, "cannot open data directory %s", store->path);
    }
    int operation = store->store.read_only ? LOCK_SH : LOCK_EX;
    if (flock(store->root_fd, operation | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return ins_fail(error, INS_UNAVAILABLE,
                            "data directory %s is in use by another process; stop that one first",
                            store->path);
        }
        return ins_fail_errno(error, errno, "cannot lock data directory %s", store->path);
    }
    if (made) {
        int parent_fd = openat(store->root_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int result = parent_fd < 0 ? -1 : fsync(parent_fd);
        int reason = errno;
        close_fd(parent_fd);
        if (result != 0) {
            return ins_fail_errno(error, reason, "cannot sync the directory above %s", store->path);
        }
    }
    return INS_OK;
}

static ins_status part_open(struct directory_store *store, const char *name, int *out_fd,
                            ins_error *error) {
    if (!store->store.read_only && mkdirat(store->root_fd, name, 0750) != 0 && errno != EEXIST) {
        return ins_fail_errno(error, errno, "cannot make directory %s/%s", store->path, name);
    }
    *out_fd = openat(store->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out_fd < 0) {
        return ins_fail_errno(error, errno, "cannot open directory %s/%s", store->path, name);
    }
    if (!store->store.read_only && fsync(*out_fd) != 0) {
        return ins_fail_errno(error, errno, "cannot sync directory %s/%s", store->path, name);
    }
    return INS_OK;
}

static ins_status tmp_remove(void *context, const char *name, ins_error *error) {
    const struct directory_store *store = context;
    if (unlinkat(store->tmp_fd, name, 0) != 0) {
        return ins_fail_errno(error, errno, "cannot remove %s/tmp/%s", store->path, name);
    }
    return INS_OK;
}

static ins_status parts_open(struct directory_store *store, ins_error *error) {
    const struct {
        const char *name;
        int *fd;
    } parts[] = {{"objects", &store->objects_fd},
                 {"tmp", &store->tmp_fd},
                 {"cells", &store->cells_fd},
                 {"log", &store->log_fd}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        ins_status status = part_open(store, parts[i].name, parts[i].fd, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (store->store.read_only) {
        return INS_OK;
    }
    if (fsync(store->root_fd) != 0) {
        return ins_fail_errno(error, errno, "cannot sync data directory %s", store->path);
    }
    return directory_each(store->tmp_fd, tmp_remove, store, error);
}

ins_status ins_store_open_directory(const char *path, bool read_only, ins_store **out_store,
                                    ins_error *error) {
    INS_ASSERT(path != NULL);
    INS_ASSERT(out_store != NULL);

    struct directory_store *store = directory_alloc(path, read_only);
    if (store == NULL) {
        return ins_fail(error, INS_FULL, "no memory to open %s", path);
    }
    ins_status status = root_open(store, error);
    if (status != INS_OK) {
        goto fail;
    }
    status = parts_open(store, error);
    if (status != INS_OK) {
        goto fail;
    }
    status = directory_log_open(store, error);
    if (status != INS_OK) {
        goto fail;
    }
    *out_store = &store->store;
    return INS_OK;

fail:
    directory_close(&store->store);
    return status;
}
