/* The log's files in the simulator's store. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/memory_private.h"

#define HEADER_BYTES STORE_ALIGN

static struct memory_store *store_of(struct log_sink *sink) {
    struct memory_log *log = (struct memory_log *)(void *)sink;
    return (struct memory_store *)(void *)((uint8_t *)log - offsetof(struct memory_store, log));
}

static struct memory_log_file *file_find(struct memory_log *log, uint64_t file_id) {
    struct memory_log_file *file = log->files;
    while (file != NULL && (file->removed || file->id != file_id)) {
        file = file->next;
    }
    return file;
}

static ins_status files_op(struct log_sink *sink, struct log_file *out_files, size_t capacity,
                           size_t *out_count, ins_error *error) {
    struct memory_store *store = store_of(sink);
    memory_lock(store);
    ins_status status = memory_call(store, false, "log files", error);
    size_t count = 0;
    for (struct memory_log_file *file = store->log.files; file != NULL; file = file->next) {
        if (file->removed) {
            continue;
        }
        if (status == INS_OK && count < capacity) {
            out_files[count] = (struct log_file){file->id, file->bytes.size};
        }
        count++;
    }
    if (status == INS_OK) {
        *out_count = count;
    }
    memory_unlock(store);
    return status;
}

static ins_status read_op(struct log_sink *sink, uint64_t file_id, uint64_t offset, void *out,
                          size_t size, ins_error *error) {
    struct memory_store *store = store_of(sink);
    memory_lock(store);
    ins_status status = memory_call(store, false, "log read", error);
    const struct memory_log_file *file = file_find(&store->log, file_id);
    if (status == INS_OK && file == NULL) {
        status = ins_fail(error, INS_NOT_FOUND, "log file %016llx is not there",
                          (unsigned long long)file_id);
    } else if (status == INS_OK &&
               (offset > file->bytes.size || size > file->bytes.size - offset)) {
        status = ins_fail(error, INS_CORRUPT, "log file %016llx ends before offset %llu",
                          (unsigned long long)file_id, (unsigned long long)(offset + size));
    } else if (status == INS_OK && size > 0) {
        memcpy(out, file->bytes.seen + offset, size);
    }
    memory_unlock(store);
    return status;
}

/* Makes sure that the last spare in the table has `file_bytes`. */
static bool spare_ready(struct memory_log *log, uint64_t file_bytes) {
    while (log->spare_count > 0) {
        if (log->spares[log->spare_count - 1].size == file_bytes) {
            return true;
        }
        memory_bytes_fini(&log->spares[--log->spare_count]);
    }
    if (!memory_bytes_init(&log->spares[0], (size_t)file_bytes)) {
        return false;
    }
    log->sink.sync_count++;
    log->spare_count = 1;
    return true;
}

static ins_status prepare_op(struct log_sink *sink, uint64_t file_bytes, ins_error *error) {
    struct memory_store *store = store_of(sink);
    memory_lock(store);
    ins_status status = memory_call(store, true, "log prepare", error);
    if (status == INS_OK && !spare_ready(&store->log, file_bytes)) {
        status = ins_fail(error, INS_FULL, "no memory for a spare log file");
    }
    memory_unlock(store);
    return status;
}

/* Names the last spare `file_id`; files stay in ascending order. */
static struct memory_log_file *file_add(struct memory_log *log, uint64_t file_id) {
    struct memory_log_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return NULL;
    }
    file->id = file_id;
    file->bytes = log->spares[--log->spare_count];
    struct memory_log_file **link = &log->files;
    while (*link != NULL && (*link)->id < file_id) {
        link = &(*link)->next;
    }
    file->next = *link;
    *link = file;
    return file;
}

static ins_status rotate_locked(struct memory_store *store, uint64_t file_id, uint64_t file_bytes,
                                const void *header, ins_error *error) {
    struct memory_log *log = &store->log;
    if (store->sync_failed) {
        return ins_fail(error, INS_IO, "an earlier sync of a directory failed");
    }
    ins_status failure = memory_call(store, true, "log rotate", error);
    if (file_find(log, file_id) != NULL) {
        return ins_fail(error, INS_EXISTS, "log file %016llx exists", (unsigned long long)file_id);
    }
    if (!spare_ready(log, file_bytes)) {
        return ins_fail(error, INS_FULL, "no memory for a log file");
    }
    struct memory_bytes *spare = &log->spares[log->spare_count - 1];
    if (failure != INS_OK && memory_random(store, 2) == 0) {
        memory_bytes_tear(store, spare, 0, header, HEADER_BYTES);
        return failure; /* the header was not synced: no rename */
    }
    memory_bytes_write(spare, 0, header, HEADER_BYTES);
    struct memory_log_file *file = file_add(log, file_id);
    if (file == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a log file");
    }
    log->sink.sync_count += 2;
    if (failure != INS_OK) {
        store->sync_failed = true;
        return failure;
    }
    file->name_durable = true;
    log->current = file;
    return INS_OK;
}

static ins_status rotate_op(struct log_sink *sink, uint64_t file_id, uint64_t file_bytes,
                            const void *header, ins_error *error) {
    struct memory_store *store = store_of(sink);
    INS_ASSERT(file_bytes >= 2 * (uint64_t)HEADER_BYTES && file_bytes % STORE_ALIGN == 0);
    memory_lock(store);
    ins_status status = rotate_locked(store, file_id, file_bytes, header, error);
    memory_unlock(store);
    return status;
}

static ins_status append_op(struct log_sink *sink, uint64_t offset, const void *data, size_t size,
                            ins_error *error) {
    struct memory_store *store = store_of(sink);
    INS_ASSERT(size > 0 && size % STORE_ALIGN == 0);
    INS_ASSERT(((uintptr_t)data & (STORE_ALIGN - 1)) == 0);
    INS_ASSERT(offset % STORE_ALIGN == 0 && offset >= HEADER_BYTES);
    memory_lock(store);
    struct memory_log_file *file = store->log.current;
    INS_ASSERT(file != NULL);
    INS_ASSERT(offset + size <= file->bytes.size);
    ins_status status = memory_call(store, true, "log append", error);
    sink->sync_count++;
    if (status == INS_OK) {
        memory_bytes_write(&file->bytes, (size_t)offset, data, size);
        sink->write_bytes += size;
    } else {
        memory_bytes_tear(store, &file->bytes, (size_t)offset, data, size);
    }
    memory_unlock(store);
    return status;
}

static void file_free(struct memory_log_file *file) {
    memory_bytes_fini(&file->bytes);
    free(file);
}

/* Files marked removed go; their bytes become spares where there is room. */
static void files_sweep(struct memory_log *log, bool recycle) {
    struct memory_log_file **link = &log->files;
    while (*link != NULL) {
        struct memory_log_file *file = *link;
        if (!file->removed) {
            link = &file->next;
            continue;
        }
        *link = file->next;
        if (recycle && log->spare_count < MEMORY_SPARES_MAX) {
            memory_bytes_settle(&file->bytes);
            log->spares[log->spare_count++] = file->bytes;
            file->bytes = (struct memory_bytes){0};
        }
        file_free(file);
    }
}

static ins_status release_op(struct log_sink *sink, uint64_t file_id, ins_error *error) {
    struct memory_store *store = store_of(sink);
    memory_lock(store);
    ins_status status = memory_call(store, true, "log release", error);
    size_t released = 0;
    for (struct memory_log_file *file = store->log.files; file != NULL && file->id < file_id;
         file = file->next) {
        INS_ASSERT(file != store->log.current);
        released += file->removed ? 0 : 1;
        /* A failure on the way: some are renamed, and no sync says so. */
        file->removed = file->removed || status == INS_OK || memory_random(store, 2) == 0;
    }
    if (status == INS_OK && released > 0) {
        sink->sync_count++;
        files_sweep(&store->log, true);
    }
    memory_unlock(store);
    return status;
}

static ins_status forget_op(struct log_sink *sink, ins_error *error) {
    struct memory_store *store = store_of(sink);
    memory_lock(store);
    ins_status status = memory_call(store, true, "log forget", error);
    while (status == INS_OK && store->log.spare_count > 0) {
        memory_bytes_fini(&store->log.spares[--store->log.spare_count]);
    }
    memory_unlock(store);
    return status;
}

const struct log_sink_ops memory_log_ops = {
    .files = files_op,
    .read = read_op,
    .prepare = prepare_op,
    .rotate = rotate_op,
    .append = append_op,
    .release = release_op,
    .forget = forget_op,
};

void memory_log_restart(struct memory_store *store, bool power_cut) {
    struct memory_log *log = &store->log;
    log->current = NULL;
    for (struct memory_log_file *file = log->files; file != NULL; file = file->next) {
        if (power_cut && file->removed) { /* the removal was not synced: it holds or not */
            file->removed = memory_random(store, 2) == 0;
        }
        if (power_cut && !file->name_durable && memory_random(store, 2) == 0) {
            file->removed = true;
        }
        file->name_durable = true;
        if (power_cut) {
            memory_bytes_crash(store, &file->bytes, SECTOR_BYTES);
        } else {
            memory_bytes_settle(&file->bytes);
        }
    }
    files_sweep(log, false);
    for (uint32_t i = 0; i < log->spare_count; i++) {
        memory_bytes_settle(&log->spares[i]);
    }
}

void memory_log_free(struct memory_store *store) {
    struct memory_log *log = &store->log;
    while (log->files != NULL) {
        struct memory_log_file *file = log->files;
        log->files = file->next;
        file_free(file);
    }
    while (log->spare_count > 0) {
        memory_bytes_fini(&log->spares[--log->spare_count]);
    }
}
