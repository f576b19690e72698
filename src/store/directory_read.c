/* Reading of objects, through a bounded cache of open descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/directory_private.h"

void fd_cache_init(struct fd_cache *cache) {
    (void)pthread_mutex_init(&cache->lock, NULL);
}

void fd_cache_fini(struct fd_cache *cache) {
    for (size_t i = 0; i < FD_CACHE_SLOTS; i++) {
        struct open_file *file = &cache->slots[i];
        INS_ASSERT(file->readers == 0);
        if (file->name[0] != '\0') {
            (void)close(file->fd);
        }
    }
    (void)pthread_mutex_destroy(&cache->lock);
}

static void slot_close(struct open_file *file) {
    (void)close(file->fd);
    *file = (struct open_file){.fd = -1};
}

static struct open_file *slot_find(struct fd_cache *cache, const char *name) {
    for (size_t i = 0; i < FD_CACHE_SLOTS; i++) {
        struct open_file *file = &cache->slots[i];
        if (!file->removed && strcmp(file->name, name) == 0) {
            return file;
        }
    }
    return NULL;
}

/* A free slot, or the one that nobody reads and that was used longest ago; NULL when all are read.
 */
static struct open_file *slot_take(struct fd_cache *cache) {
    struct open_file *oldest = NULL;
    for (size_t i = 0; i < FD_CACHE_SLOTS; i++) {
        struct open_file *file = &cache->slots[i];
        if (file->name[0] == '\0') {
            return file;
        }
        if (file->readers == 0 && (oldest == NULL || file->used_at < oldest->used_at)) {
            oldest = file;
        }
    }
    if (oldest != NULL) {
        slot_close(oldest);
    }
    return oldest;
}

void fd_cache_forget(struct fd_cache *cache, const char *name) {
    (void)pthread_mutex_lock(&cache->lock);
    cache->removal_count++;
    struct open_file *file = slot_find(cache, name);
    if (file != NULL) {
        if (file->readers == 0) {
            slot_close(file);
        } else {
            file->removed = true;
        }
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

/* The cached file with one more reader, or NULL. */
static struct open_file *cache_get(struct fd_cache *cache, const char *name,
                                   uint64_t *out_removal_count) {
    (void)pthread_mutex_lock(&cache->lock);
    struct open_file *file = slot_find(cache, name);
    if (file != NULL) {
        file->readers++;
        file->used_at = ++cache->tick;
    }
    *out_removal_count = cache->removal_count;
    (void)pthread_mutex_unlock(&cache->lock);
    return file;
}

/* Puts what the caller opened into the cache; its own copy stays the caller's when there is no
 * room, another thread was faster, or a removal came between. */
static struct open_file *cache_put(struct fd_cache *cache, struct open_file *own,
                                   uint64_t removal_count) {
    (void)pthread_mutex_lock(&cache->lock);
    struct open_file *file = NULL;
    if (cache->removal_count == removal_count && slot_find(cache, own->name) == NULL) {
        file = slot_take(cache);
    }
    if (file != NULL) {
        own->cached = true;
        own->readers = 1;
        own->used_at = ++cache->tick;
        *file = *own;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return file != NULL ? file : own;
}

static void file_release(struct fd_cache *cache, struct open_file *file) {
    if (!file->cached) {
        (void)close(file->fd);
        return;
    }
    (void)pthread_mutex_lock(&cache->lock);
    INS_ASSERT(file->readers > 0);
    file->readers--;
    if (file->removed && file->readers == 0) {
        slot_close(file);
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

static ins_status object_open(struct directory_store *store, const char *name,
                              struct open_file *own, ins_error *error) {
    char file_name[DIRECTORY_FILE_NAME_MAX];
    object_file_name(name, file_name);
    *own = (struct open_file){.fd = -1};
    (void)snprintf(own->name, sizeof(own->name), "%s", name);
    own->fd = file_open(store->objects_fd, file_name, O_RDONLY | O_NOFOLLOW, true, &own->direct);
    if (own->fd >= 0) {
        return INS_OK;
    }
    if (errno == ENOENT) {
        return ins_fail(error, INS_NOT_FOUND, "object %s is not there", name);
    }
    return ins_fail_errno(error, errno, "cannot open object %s", name);
}

ins_status object_file_take(struct directory_store *store, const char *name, struct open_file *own,
                            struct open_file **out, ins_error *error) {
    uint64_t removal_count;
    *out = cache_get(&store->cache, name, &removal_count);
    if (*out != NULL) {
        return INS_OK;
    }
    ins_status status = object_open(store, name, own, error);
    if (status == INS_OK) {
        *out = cache_put(&store->cache, own, removal_count);
    }
    return status;
}

void object_file_release(struct directory_store *store, struct open_file *file) {
    file_release(&store->cache, file);
}

ins_status object_read_status(int result, const char *name, uint64_t offset, size_t size,
                              ins_error *error) {
    if (result == -1) {
        return ins_fail(error, INS_CORRUPT, "object %s ends before offset %llu", name,
                        (unsigned long long)(offset + size));
    }
    if (result != 0) {
        return ins_fail_errno(error, result, "cannot read object %s at offset %llu", name,
                              (unsigned long long)offset);
    }
    return INS_OK;
}

ins_status object_get(ins_store *handle, const char *name, uint64_t offset, void *out, size_t size,
                      ins_error *error) {
    struct directory_store *store = directory_of(handle);
    struct open_file own, *file;
    ins_status status = object_file_take(store, name, &own, &file, error);
    if (status != INS_OK) {
        return status;
    }
    int result = file_read(file->fd, file->direct, out, size, offset);
    file_release(&store->cache, file);
    return object_read_status(result, name, offset, size, error);
}

ins_status object_size(ins_store *handle, const char *name, uint64_t *out_size, ins_error *error) {
    struct directory_store *store = directory_of(handle);
    char file_name[DIRECTORY_FILE_NAME_MAX];
    object_file_name(name, file_name);
    struct stat info;
    if (fstatat(store->objects_fd, file_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        *out_size = (uint64_t)info.st_size;
        return INS_OK;
    }
    if (errno == ENOENT) {
        return ins_fail(error, INS_NOT_FOUND, "object %s is not there", name);
    }
    return ins_fail_errno(error, errno, "cannot look at object %s", name);
}
