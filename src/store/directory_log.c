/* The log's files in a directory store.
 *
 * Path: prepare fills a spare with zeros ahead of need, so that an append never allocates; rotate
 * writes the header into it, syncs, renames it to its id and syncs the directory; append is one
 * direct synchronous write; release turns old files into spares.
 * Invariants: I1 a released file is renamed, and the directory synced, before it can be used again:
 * else a crash could show an old id over a new header.  I2 spares are whole: they get their name
 * when their last zero is synced. A recycled file is not zeroed again; the salt in header and
 * frames makes its old bytes invalid. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/directory_private.h"

#define LOG_NAME_MAX 32
#define HEADER_BYTES STORE_ALIGN

static struct directory_store *store_of(struct log_sink *sink) {
    struct directory_log *log = (struct directory_log *)(void *)sink;
    return (struct directory_store *)(void *)((uint8_t *)log -
                                              offsetof(struct directory_store, log));
}

static void log_name(uint64_t file_id, char out[static LOG_NAME_MAX]) {
    (void)snprintf(out, LOG_NAME_MAX, "%016llx.log", (unsigned long long)file_id);
}

static void spare_name(uint64_t number, char out[static LOG_NAME_MAX]) {
    (void)snprintf(out, LOG_NAME_MAX, "spare-%llu", (unsigned long long)number);
}

/* "<16 hex digits>.log" and nothing else. */
static bool log_name_parse(const char *name, uint64_t *out_id) {
    uint64_t id = 0;
    for (size_t i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9') {
            id = id << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            id = id << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *out_id = id;
    return strcmp(name + 16, ".log") == 0;
}

/* ---- Listing and reading
 * ---------------------------------------------------------------------------- */

struct files_context {
    struct directory_store *store;
    struct log_file *files;
    size_t capacity, count;
};

static ins_status files_one(void *opaque, const char *name, ins_error *error) {
    struct files_context *context = opaque;
    uint64_t id;
    if (!log_name_parse(name, &id)) {
        return INS_OK;
    }
    struct stat info;
    if (fstatat(context->store->log_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return ins_fail_errno(error, errno, "cannot look at log file %s", name);
    }
    /* Kept ascending by insertion: there are few files. */
    size_t filled = context->count < context->capacity ? context->count : context->capacity;
    size_t at = filled;
    while (at > 0 && context->files[at - 1].file_id > id) {
        at--;
    }
    if (at < context->capacity) {
        size_t kept = filled < context->capacity ? filled : context->capacity - 1;
        memmove(&context->files[at + 1], &context->files[at],
                (kept - at) * sizeof(context->files[0]));
        context->files[at] = (struct log_file){id, (uint64_t)info.st_size};
    }
    context->count++;
    return INS_OK;
}

static ins_status log_files(struct log_sink *sink, struct log_file *out_files, size_t capacity,
                            size_t *out_count, ins_error *error) {
    struct files_context context = {store_of(sink), out_files, capacity, 0};
    ins_status status = directory_each(context.store->log_fd, files_one, &context, error);
    if (status == INS_OK) {
        *out_count = context.count;
    }
    return status;
}

/* Under lock: the descriptor to read `file_id` by; it is synced first, since what a killed process
 * wrote may not be on the disk yet. -1 and errno on failure. */
static int read_fd_of(struct directory_store *store, uint64_t file_id) {
    struct directory_log *log = &store->log;
    if (log->read_fd >= 0 && log->read_id == file_id) {
        return log->read_fd;
    }
    if (log->read_fd >= 0) {
        (void)close(log->read_fd);
    }
    char name[LOG_NAME_MAX];
    log_name(file_id, name);
    log->read_fd = openat(store->log_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    log->read_id = file_id;
    if (log->read_fd >= 0 && !store->store.read_only && fdatasync(log->read_fd) != 0) {
        int reason = errno;
        (void)close(log->read_fd);
        log->read_fd = -1;
        errno = reason;
    }
    return log->read_fd;
}

static ins_status log_read(struct log_sink *sink, uint64_t file_id, uint64_t offset, void *out,
                           size_t size, ins_error *error) {
    struct directory_store *store = store_of(sink);
    (void)pthread_mutex_lock(&store->log.lock);
    int fd = read_fd_of(store, file_id);
    int result = fd < 0 ? errno : file_read(fd, false, out, size, offset);
    (void)pthread_mutex_unlock(&store->log.lock);
    if (result == -1) {
        return ins_fail(error, INS_CORRUPT, "log file %016llx ends before offset %llu",
                        (unsigned long long)file_id, (unsigned long long)(offset + size));
    }
    if (result == ENOENT) {
        return ins_fail(error, INS_NOT_FOUND, "log file %016llx is not there",
                        (unsigned long long)file_id);
    }
    return result == 0 ? INS_OK
                       : ins_fail_errno(error, result, "cannot read log file %016llx",
                                        (unsigned long long)file_id);
}

/* ---- Spares
 * -------------------------------------------------------------------------------------------- */

/* Makes a zero-filled file under a name that no one else has; *out_number is its spare's. */
static ins_status spare_make(struct directory_store *store, uint64_t file_bytes,
                             uint64_t *out_number, ins_error *error) {
    struct directory_log *log = &store->log;
    (void)pthread_mutex_lock(&log->lock);
    uint64_t number = log->next_spare++;
    (void)pthread_mutex_unlock(&log->lock);
    char raw_name[LOG_NAME_MAX + 8], name[LOG_NAME_MAX];
    spare_name(number, name);
    (void)snprintf(raw_name, sizeof(raw_name), "raw-%s", name);
    int fd = openat(store->log_fd, raw_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) {
        return ins_fail_errno(error, errno, "cannot make a file for the log in %s", store->path);
    }
    int result = file_write_zeros(fd, 0, file_bytes);
    if (result == 0) {
        log->sink.sync_count++;
        result = fdatasync(fd) == 0 ? 0 : errno;
    }
    (void)close(fd);
    if (result == 0) {
        result = file_rename_new(store->log_fd, raw_name, store->log_fd, name);
    }
    if (result != 0) {
        (void)unlinkat(store->log_fd, raw_name, 0);
        return ins_fail_errno(error, result, "cannot fill a file of %llu bytes for the log in %s",
                              (unsigned long long)file_bytes, store->path);
    }
    *out_number = number;
    return INS_OK;
}

/* A spare becomes ready, or goes when there are enough. */
static void spare_keep(struct directory_store *store, uint64_t number) {
    struct directory_log *log = &store->log;
    (void)pthread_mutex_lock(&log->lock);
    bool kept = log->spare_count < LOG_SPARES_MAX;
    if (kept) {
        log->spares[log->spare_count++] = number;
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (!kept) {
        char name[LOG_NAME_MAX];
        spare_name(number, name);
        (void)unlinkat(store->log_fd, name, 0);
    }
}

/* Takes any spare out of the table; false: there is none. */
static bool spare_pop(struct directory_store *store, uint64_t *out_number) {
    struct directory_log *log = &store->log;
    (void)pthread_mutex_lock(&log->lock);
    bool some = log->spare_count > 0;
    *out_number = some ? log->spares[--log->spare_count] : 0;
    (void)pthread_mutex_unlock(&log->lock);
    return some;
}

/* Takes a spare of exactly `file_bytes` out of the table; others go. False when there is none. */
static bool spare_take(struct directory_store *store, uint64_t file_bytes, uint64_t *out_number) {
    uint64_t number;
    while (spare_pop(store, &number)) {
        char name[LOG_NAME_MAX];
        spare_name(number, name);
        struct stat info;
        if (fstatat(store->log_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            (uint64_t)info.st_size == file_bytes) {
            *out_number = number;
            return true;
        }
        (void)unlinkat(store->log_fd, name, 0); /* of another file size */
    }
    return false;
}

static ins_status log_prepare(struct log_sink *sink, uint64_t file_bytes, ins_error *error) {
    struct directory_store *store = store_of(sink);
    INS_ASSERT(!store->store.read_only);
    uint64_t number = 0;
    if (!spare_take(store, file_bytes, &number)) {
        ins_status status = spare_make(store, file_bytes, &number, error);
        if (status != INS_OK) {
            return status;
        }
    }
    spare_keep(store, number);
    return INS_OK;
}

/* ---- Writing
 * ------------------------------------------------------------------------------------------- */

/* Writes the header into the spare durably. *out_fd stays open to append by; 0 or errno. */
static int header_write(struct directory_store *store, const char *name, bool direct, int *out_fd,
                        bool *out_direct) {
    struct directory_log *log = &store->log;
    int fd = file_open(store->log_fd, name, O_RDWR | (direct ? O_DSYNC : 0), direct, out_direct);
    if (fd < 0) {
        return errno;
    }
    if (direct && !*out_direct) { /* without O_DSYNC, then: one sync an append, not two */
        (void)close(fd);
        return EINVAL;
    }
    log->sink.sync_count++;
    int result = file_write(fd, log->header_page, HEADER_BYTES, 0);
    if (result == 0 && !*out_direct && fdatasync(fd) != 0) {
        result = errno;
    }
    if (result != 0) {
        (void)close(fd);
        return result;
    }
    *out_fd = fd;
    return 0;
}

static ins_status log_rotate(struct log_sink *sink, uint64_t file_id, uint64_t file_bytes,
                             const void *header, ins_error *error) {
    struct directory_store *store = store_of(sink);
    struct directory_log *log = &store->log;
    INS_ASSERT(!store->store.read_only);
    INS_ASSERT(file_bytes >= 2 * (uint64_t)HEADER_BYTES && file_bytes % STORE_ALIGN == 0);

    ins_status status = directory_usable(store, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t number = 0;
    if (!spare_take(store, file_bytes, &number)) {
        status = spare_make(store, file_bytes, &number, error);
        if (status != INS_OK) {
            return status;
        }
    }
    char from[LOG_NAME_MAX], to[LOG_NAME_MAX];
    spare_name(number, from);
    log_name(file_id, to);
    memcpy(log->header_page, header, HEADER_BYTES);
    int fd = -1;
    bool direct = false;
    int result = header_write(store, from, true, &fd, &direct);
    if (result == EINVAL) { /* no direct writes on this file system */
        result = header_write(store, from, false, &fd, &direct);
    }
    if (result == 0) {
        result = file_rename_new(store->log_fd, from, store->log_fd, to);
    }
    if (result != 0) {
        (void)unlinkat(store->log_fd, from, 0);
        if (fd >= 0) {
            (void)close(fd);
        }
        return ins_fail_errno(error, result, "cannot begin log file %s", to);
    }
    status = directory_sync(store, store->log_fd, "log", &sink->sync_count, error);
    if (status != INS_OK) {
        (void)close(fd);
        return status;
    }
    if (log->current_fd >= 0) {
        (void)close(log->current_fd);
    }
    log->current_fd = fd;
    log->current_direct = direct;
    log->current_bytes = file_bytes;
    return INS_OK;
}

static ins_status log_append(struct log_sink *sink, uint64_t offset, const void *data, size_t size,
                             ins_error *error) {
    struct directory_log *log = &store_of(sink)->log;
    INS_ASSERT(log->current_fd >= 0);
    INS_ASSERT(size > 0 && size % STORE_ALIGN == 0);
    INS_ASSERT(((uintptr_t)data & (STORE_ALIGN - 1)) == 0);
    INS_ASSERT(offset % STORE_ALIGN == 0 && offset >= HEADER_BYTES);
    INS_ASSERT(offset + size <= log->current_bytes); /* what was filled with zeros; never grows */

    int result = file_write(log->current_fd, data, size, offset);
    if (result == 0 && !log->current_direct && fdatasync(log->current_fd) != 0) {
        result = errno;
    }
    sink->sync_count++;
    if (result != 0) {
        return ins_fail_errno(error, result, "cannot write the log at offset %llu",
                              (unsigned long long)offset);
    }
    sink->write_bytes += size;
    return INS_OK;
}

/* Renames one file to a spare's name, or deletes it; *io_recycled counts the spares. 0 or errno. */
static int release_one(struct directory_store *store, uint64_t file_id, uint64_t *numbers,
                       uint32_t *io_recycled) {
    struct directory_log *log = &store->log;
    char from[LOG_NAME_MAX], to[LOG_NAME_MAX];
    log_name(file_id, from);
    (void)pthread_mutex_lock(&log->lock);
    bool keep = log->spare_count + *io_recycled < LOG_SPARES_MAX;
    uint64_t number = keep ? log->next_spare++ : 0;
    if (log->read_fd >= 0 && log->read_id == file_id) {
        (void)close(log->read_fd);
        log->read_fd = -1;
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (!keep) {
        return unlinkat(store->log_fd, from, 0) == 0 ? 0 : errno;
    }
    spare_name(number, to);
    int result = file_rename_new(store->log_fd, from, store->log_fd, to);
    if (result == 0) {
        numbers[(*io_recycled)++] = number;
    }
    return result;
}

#define RELEASE_AT_ONCE 64

static ins_status log_release(struct log_sink *sink, uint64_t file_id, ins_error *error) {
    struct directory_store *store = store_of(sink);
    INS_ASSERT(!store->store.read_only);
    ins_status status = directory_usable(store, error);
    if (status != INS_OK) {
        return status;
    }
    for (;;) {
        struct log_file files[RELEASE_AT_ONCE];
        size_t count;
        status = log_files(sink, files, RELEASE_AT_ONCE, &count, error);
        if (status != INS_OK) {
            return status;
        }
        uint64_t numbers[LOG_SPARES_MAX];
        uint32_t recycled = 0;
        size_t released = 0;
        size_t seen = count < RELEASE_AT_ONCE ? count : RELEASE_AT_ONCE;
        for (; released < seen && files[released].file_id < file_id; released++) {
            int result = release_one(store, files[released].file_id, numbers, &recycled);
            if (result != 0) {
                return ins_fail_errno(error, result, "cannot release log file %016llx",
                                      (unsigned long long)files[released].file_id);
            }
        }
        if (released == 0) {
            return INS_OK;
        }
        status = directory_sync(store, store->log_fd, "log", &sink->sync_count, error);
        if (status != INS_OK) {
            return status;
        }
        for (uint32_t i = 0; i < recycled; i++) {
            spare_keep(store, numbers[i]);
        }
    }
}

static ins_status log_forget(struct log_sink *sink, ins_error *error) {
    struct directory_store *store = store_of(sink);
    INS_ASSERT(!store->store.read_only);
    uint64_t number;
    while (spare_pop(store, &number)) {
        char name[LOG_NAME_MAX];
        spare_name(number, name);
        if (unlinkat(store->log_fd, name, 0) != 0 && errno != ENOENT) {
            return ins_fail_errno(error, errno, "cannot delete %s of the log", name);
        }
    }
    return directory_sync(store, store->log_fd, "log", &sink->sync_count, error);
}

static const struct log_sink_ops directory_log_ops = {
    .files = log_files,
    .read = log_read,
    .prepare = log_prepare,
    .rotate = log_rotate,
    .append = log_append,
    .release = log_release,
    .forget = log_forget,
};

/* ---- Opening and closing
 * -------------------------------------------------------------------------------- */

/* "spare-" and a number as spare_name writes it. */
static bool spare_name_parse(const char *name, uint64_t *out_number) {
    if (strncmp(name, "spare-", 6) != 0) {
        return false;
    }
    char again[LOG_NAME_MAX];
    *out_number = strtoull(name + 6, NULL, 10);
    spare_name(*out_number, again);
    return strcmp(name, again) == 0 && *out_number < UINT64_MAX / 2;
}

/* Spares of an earlier run: whole ones are kept, half-made ones go. */
static ins_status leftover_one(void *opaque, const char *name, ins_error *error) {
    struct directory_store *store = opaque;
    struct directory_log *log = &store->log;
    uint64_t number;
    if (spare_name_parse(name, &number)) {
        log->next_spare = number >= log->next_spare ? number + 1 : log->next_spare;
        spare_keep(store, number);
        return INS_OK;
    }
    if (strncmp(name, "raw-spare-", 10) == 0 && unlinkat(store->log_fd, name, 0) != 0) {
        return ins_fail_errno(error, errno, "cannot remove %s/log/%s", store->path, name);
    }
    return INS_OK;
}

ins_status directory_log_open(struct directory_store *store, ins_error *error) {
    struct directory_log *log = &store->log;
    log->sink.ops = &directory_log_ops;
    log->header_page = aligned_alloc(STORE_ALIGN, HEADER_BYTES);
    if (log->header_page == NULL) {
        return ins_fail(error, INS_FULL, "no memory to open the log in %s", store->path);
    }
    if (store->store.read_only) {
        return INS_OK;
    }
    return directory_each(store->log_fd, leftover_one, store, error);
}

void directory_log_close(struct directory_store *store) {
    struct directory_log *log = &store->log;
    if (log->current_fd >= 0) {
        (void)close(log->current_fd);
    }
    if (log->read_fd >= 0) {
        (void)close(log->read_fd);
    }
    free(log->header_page);
    (void)pthread_mutex_destroy(&log->lock);
}
