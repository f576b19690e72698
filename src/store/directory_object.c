/* Objects of the directory store: put, list, remove. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/directory_private.h"

#define TMP_NAME_MAX 24

struct store_writer {
    struct directory_store *store;
    char name[STORE_NAME_MAX + 1];
    char tmp_name[TMP_NAME_MAX];
    int fd;
    bool direct;
    bool ended; /* the last, unaligned piece was written */
    uint64_t size;
};

/* A '+' stands for the '/': the names stay readable and the directory flat, so that one sync of one
 * directory makes any rename durable. */
void object_file_name(const char *name, char out[static DIRECTORY_FILE_NAME_MAX]) {
    INS_ASSERT(store_name_valid(name));
    (void)snprintf(out, DIRECTORY_FILE_NAME_MAX, "%s", name);
    char *slash = strchr(out, '/');
    if (slash != NULL) {
        *slash = '+';
    }
}

ins_status object_put_begin(ins_store *handle, const char *name, struct store_writer **out_writer,
                            ins_error *error) {
    struct directory_store *store = directory_of(handle);
    INS_ASSERT(!handle->read_only);
    INS_ASSERT(out_writer != NULL);

    char file_name[DIRECTORY_FILE_NAME_MAX];
    object_file_name(name, file_name);
    ins_status status = directory_usable(store, error);
    if (status != INS_OK) {
        return status;
    }
    if (faccessat(store->objects_fd, file_name, F_OK, 0) == 0) {
        return ins_fail(error, INS_EXISTS, "object %s exists", name);
    }
    struct store_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return ins_fail(error, INS_FULL, "no memory to write object %s", name);
    }
    writer->store = store;
    (void)snprintf(writer->name, sizeof(writer->name), "%s", name);
    (void)snprintf(writer->tmp_name, sizeof(writer->tmp_name), "%llu",
                   (unsigned long long)store->next_tmp++);
    writer->fd = file_open(store->tmp_fd, writer->tmp_name, O_WRONLY | O_CREAT | O_EXCL, true,
                           &writer->direct);
    if (writer->fd < 0) {
        status = ins_fail_errno(error, errno, "cannot begin object %s", name);
        free(writer);
        return status;
    }
    *out_writer = writer;
    return INS_OK;
}

/* What is left over from whole pages, and memory that is not aligned, goes through the page cache.
 */
static int write_buffered(struct store_writer *writer, const void *data, size_t size,
                          uint64_t offset) {
    if (writer->direct) {
        int flags = fcntl(writer->fd, F_GETFL);
        if (flags < 0 || fcntl(writer->fd, F_SETFL, flags & ~O_DIRECT) != 0) {
            return errno;
        }
        writer->direct = false;
    }
    return file_write(writer->fd, data, size, offset);
}

ins_status object_put_append(struct store_writer *writer, const void *data, size_t size,
                             ins_error *error) {
    INS_ASSERT(writer != NULL);
    INS_ASSERT(!writer->ended); /* only the last piece may be unaligned */
    INS_ASSERT(data != NULL || size == 0);

    size_t whole = size & ~(size_t)(STORE_ALIGN - 1);
    writer->ended = whole != size;
    if (((uintptr_t)data & (STORE_ALIGN - 1)) != 0) {
        whole = 0;
    }
    int result = 0;
    if (whole > 0) {
        result = file_write(writer->fd, data, whole, writer->size);
        if (result == EINVAL && writer->direct) { /* opened, but does not take direct writes */
            result = write_buffered(writer, data, whole, writer->size);
        }
    }
    if (result == 0 && whole < size) {
        result = write_buffered(writer, (const uint8_t *)data + whole, size - whole,
                                writer->size + whole);
    }
    if (result != 0) {
        return ins_fail_errno(error, result, "cannot write object %s at offset %llu", writer->name,
                              (unsigned long long)writer->size);
    }
    writer->size += size;
    writer->store->store.write_bytes += size;
    return INS_OK;
}

void object_put_abort(struct store_writer *writer) {
    if (writer == NULL) {
        return;
    }
    (void)unlinkat(writer->store->tmp_fd, writer->tmp_name, 0); /* else it goes at the next open */
    (void)close(writer->fd);
    free(writer);
}

ins_status object_put_commit(struct store_writer *writer, ins_error *error) {
    INS_ASSERT(writer != NULL);
    struct directory_store *store = writer->store;
    char file_name[DIRECTORY_FILE_NAME_MAX];
    object_file_name(writer->name, file_name);

    ins_status status = directory_usable(store, error);
    if (status != INS_OK) {
        goto done;
    }
    store->store.sync_count++;
    if (fdatasync(writer->fd) != 0) {
        status = ins_fail_errno(error, errno, "cannot sync object %s", writer->name);
        goto done;
    }
    int result = file_rename_new(store->tmp_fd, writer->tmp_name, store->objects_fd, file_name);
    if (result == EEXIST) {
        status = ins_fail(error, INS_EXISTS, "object %s exists", writer->name);
        goto done;
    }
    if (result != 0) {
        status = ins_fail_errno(error, result, "cannot name object %s", writer->name);
        goto done;
    }
    status = directory_sync(store, store->objects_fd, "objects", &store->store.sync_count, error);

done:
    object_put_abort(
        writer); /* after the rename its tmp name is gone, and the unlink finds nothing */
    return status;
}

struct list_context {
    struct directory_store *store;
    const char *prefix;
    ins_status (*visit)(void *context, const char *name, uint64_t size);
    void *context;
};

static ins_status list_one(void *opaque, const char *file_name, ins_error *error) {
    const struct list_context *list = opaque;
    char name[DIRECTORY_FILE_NAME_MAX];
    if (strlen(file_name) > STORE_NAME_MAX) {
        return INS_OK; /* not ours */
    }
    (void)snprintf(name, sizeof(name), "%s", file_name);
    char *plus = strchr(name, '+');
    if (plus != NULL) {
        *plus = '/';
    }
    if (!store_name_valid(name) || strncmp(name, list->prefix, strlen(list->prefix)) != 0) {
        return INS_OK;
    }
    struct stat info;
    if (fstatat(list->store->objects_fd, file_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) {
            return INS_OK; /* removed meanwhile */
        }
        return ins_fail_errno(error, errno, "cannot look at object %s", name);
    }
    if (!S_ISREG(info.st_mode)) {
        return INS_OK;
    }
    return list->visit(list->context, name, (uint64_t)info.st_size);
}

ins_status object_list(ins_store *store, const char *prefix,
                       ins_status (*visit)(void *context, const char *name, uint64_t size),
                       void *context, ins_error *error) {
    INS_ASSERT(prefix != NULL);
    INS_ASSERT(visit != NULL);
    struct list_context list = {directory_of(store), prefix, visit, context};
    return directory_each(list.store->objects_fd, list_one, &list, error);
}

/* Not synced: a removal that a crash undoes leaves a file that no manifest names. */
ins_status object_remove(ins_store *handle, const char *name, ins_error *error) {
    struct directory_store *store = directory_of(handle);
    INS_ASSERT(!handle->read_only);
    char file_name[DIRECTORY_FILE_NAME_MAX];
    object_file_name(name, file_name);
    if (unlinkat(store->objects_fd, file_name, 0) != 0 && errno != ENOENT) {
        return ins_fail_errno(error, errno, "cannot remove object %s", name);
    }
    fd_cache_forget(&store->cache, name);
    return INS_OK;
}
