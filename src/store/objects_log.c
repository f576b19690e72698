/* The log's sink as objects: an append is one object, put if absent, which is durable and whole.
 *
 * Path: rotate puts the head; append puts what it was given under its offset; read puts together
 * what is there. Nothing lies ready beforehand and nothing is used again.
 * Release removes heads in rising order, so that those left follow each other, then the appends
 * of files without a head, whoever left them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/objects_private.h"

#define HEADER_BYTES STORE_ALIGN
#define HEAD_BYTES (sizeof(uint64_t) + HEADER_BYTES)
#define FILES_MAX 65536u /* as many as are replayed */

static struct objects_store *store_of(struct log_sink *sink) {
    struct objects_log *log = (struct objects_log *)(void *)sink;
    return (struct objects_store *)(void *)((uint8_t *)log - offsetof(struct objects_store, log));
}

static void head_name(uint64_t file_id, char out[STORE_NAME_MAX + 1]) {
    (void)snprintf(out, STORE_NAME_MAX + 1, "l-%016" PRIx64 "/head", file_id);
}

/* "l-<file id>/<rest>": false when the name is anything else. */
static bool parse_name(const char *name, uint64_t *out_file_id, const char **out_rest) {
    char digits[17];
    if (strncmp(name, "l-", 2) != 0 || strlen(name) < 20 || name[18] != '/') {
        return false;
    }
    memcpy(digits, name + 2, 16);
    digits[16] = '\0';
    *out_rest = name + 19;
    return objects_parse_number(digits, out_file_id);
}

/* ---- Files ---- */

struct heads {
    uint64_t *ids; /* [capacity] */
    size_t count, capacity;
    uint64_t below; /* only ids below it */
};

static ins_status note_head(void *context, const char *name, uint64_t size) {
    struct heads *heads = context;
    uint64_t file_id;
    const char *rest;
    (void)size;
    if (!parse_name(name, &file_id, &rest) || strcmp(rest, "head") != 0 ||
        file_id >= heads->below) {
        return INS_OK;
    }
    if (heads->count == heads->capacity) {
        size_t capacity = heads->capacity * 2 + 16;
        uint64_t *ids =
            heads->count < FILES_MAX ? realloc(heads->ids, capacity * sizeof(*heads->ids)) : NULL;
        if (ids == NULL) {
            return INS_FULL;
        }
        heads->ids = ids;
        heads->capacity = capacity;
    }
    heads->ids[heads->count++] = file_id;
    return INS_OK;
}

static int compare_ids(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Ascending; the ids are the caller's, also on failure. */
static ins_status heads_list(struct objects_store *store, uint64_t below, struct heads *out_heads,
                             ins_error *error) {
    *out_heads = (struct heads){.below = below};
    ins_status status = store->below->ops->list(store->below, "l-", note_head, out_heads, error);
    if (status == INS_FULL && out_heads->count == out_heads->capacity) {
        return ins_fail(error, INS_FULL, "no memory to list the log's files, or more than %u",
                        FILES_MAX);
    }
    if (out_heads->count > 0) {
        qsort(out_heads->ids, out_heads->count, sizeof(*out_heads->ids), compare_ids);
    }
    return status;
}

/* The size of a file; 0 when its head is shorter than it must be. */
static ins_status file_bytes_read(struct objects_store *store, uint64_t file_id,
                                  uint64_t *out_bytes, ins_error *error) {
    char name[STORE_NAME_MAX + 1];
    uint8_t bytes[sizeof(uint64_t)];
    uint64_t size;
    head_name(file_id, name);
    ins_status status = store->below->ops->size(store->below, name, &size, error);
    if (status == INS_NOT_FOUND) {
        return ins_fail(error, INS_NOT_FOUND, "log file %016" PRIx64 " is not there", file_id);
    }
    if (status != INS_OK || size != HEAD_BYTES) {
        *out_bytes = 0;
        return status;
    }
    status = store_get(store->below, name, 0, bytes, sizeof(bytes), error);
    if (status == INS_OK) {
        *out_bytes = load_u64(bytes);
    }
    return status;
}

static ins_status files_op(struct log_sink *sink, struct log_file *out_files, size_t capacity,
                           size_t *out_count, ins_error *error) {
    struct objects_store *store = store_of(sink);
    struct heads heads;
    ins_status status = heads_list(store, UINT64_MAX, &heads, error);
    for (size_t i = 0; status == INS_OK && i < heads.count && i < capacity; i++) {
        out_files[i].file_id = heads.ids[i];
        status = file_bytes_read(store, heads.ids[i], &out_files[i].size_bytes, error);
    }
    if (status == INS_OK) {
        *out_count = heads.count;
    }
    free(heads.ids);
    return status;
}

/* ---- Reading ---- */

struct gather {
    struct objects_store *store;
    uint64_t offset;
    uint8_t *out; /* [size] */
    size_t size;
    ins_error *error;
};

/* Bytes [at, at + size) of the file are those of object `name` from `skip` on: what of them was
 * asked for is read. */
static ins_status gather_piece(const struct gather *gather, const char *name, uint64_t skip,
                               uint64_t at, uint64_t size) {
    uint64_t end = gather->offset + gather->size;
    if (at >= end || size <= (gather->offset > at ? gather->offset - at : 0)) {
        return INS_OK;
    }
    uint64_t from = at > gather->offset ? at : gather->offset;
    uint64_t to = size < end - at ? at + size : end;
    return store_get(gather->store->below, name, skip + (from - at),
                     gather->out + (from - gather->offset), (size_t)(to - from), gather->error);
}

static ins_status gather_one(void *context, const char *name, uint64_t size) {
    const struct gather *gather = context;
    uint64_t file_id, at;
    const char *rest;
    if (!parse_name(name, &file_id, &rest)) {
        return INS_OK;
    }
    if (strcmp(rest, "head") == 0) {
        uint64_t header = size < sizeof(uint64_t) ? 0 : size - sizeof(uint64_t);
        return gather_piece(gather, name, sizeof(uint64_t), 0, header);
    }
    if (!objects_parse_number(rest, &at)) {
        return INS_OK;
    }
    /* Puts are whole or did not happen: a short one is no torn tail. */
    if (size == 0 || size % STORE_ALIGN != 0) {
        return ins_fail(gather->error, INS_CORRUPT, "log object %s has %" PRIu64 " bytes", name,
                        size);
    }
    return gather_piece(gather, name, 0, at, size);
}

static ins_status read_op(struct log_sink *sink, uint64_t file_id, uint64_t offset, void *out,
                          size_t size, ins_error *error) {
    struct objects_store *store = store_of(sink);
    uint64_t file_bytes = 0;
    ins_status status = file_bytes_read(store, file_id, &file_bytes, error);
    if (status == INS_OK && (offset > file_bytes || size > file_bytes - offset)) {
        status = ins_fail(error, INS_CORRUPT, "log file %016" PRIx64 " ends before offset %" PRIu64,
                          file_id, offset + size);
    }
    if (status != INS_OK || size == 0) {
        return status;
    }
    char prefix[STORE_NAME_MAX + 1];
    (void)snprintf(prefix, sizeof(prefix), "l-%016" PRIx64 "/", file_id);
    struct gather gather = {store, offset, out, size, error};
    memset(out, 0, size);
    return store->below->ops->list(store->below, prefix, gather_one, &gather, error);
}

/* ---- Writing ---- */

static ins_status prepare_op(struct log_sink *sink, uint64_t file_bytes, ins_error *error) {
    (void)sink;
    (void)file_bytes;
    (void)error;
    return INS_OK;
}

static ins_status rotate_op(struct log_sink *sink, uint64_t file_id, uint64_t file_bytes,
                            const void *header, ins_error *error) {
    struct objects_store *store = store_of(sink);
    struct objects_log *log = &store->log;
    INS_ASSERT(file_bytes >= 2 * (uint64_t)HEADER_BYTES && file_bytes % STORE_ALIGN == 0);
    if (log->failed) {
        return ins_fail(error, INS_IO, "an earlier log file may have begun or not");
    }
    char name[STORE_NAME_MAX + 1];
    uint8_t *head = aligned_alloc(STORE_ALIGN, 2 * (size_t)STORE_ALIGN);
    if (head == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a log file's head");
    }
    store_u64(head, file_bytes);
    memcpy(head + sizeof(uint64_t), header, HEADER_BYTES);
    head_name(file_id, name);
    ins_status status = objects_put(store, name, head, HEAD_BYTES, error);
    free(head);
    if (status == INS_OK) {
        sink->sync_count++;
        log->current_id = file_id;
        log->current_bytes = file_bytes;
    } else if (status == INS_EXISTS) {
        return ins_fail(error, INS_EXISTS, "log file %016" PRIx64 " exists", file_id);
    } else if (status != INS_FULL) { /* for want of space nothing was put */
        log->failed = true;
    }
    return status;
}

static ins_status append_op(struct log_sink *sink, uint64_t offset, const void *data, size_t size,
                            ins_error *error) {
    struct objects_store *store = store_of(sink);
    const struct objects_log *log = &store->log;
    INS_ASSERT(size > 0 && size % STORE_ALIGN == 0);
    INS_ASSERT(((uintptr_t)data & (STORE_ALIGN - 1)) == 0);
    INS_ASSERT(offset % STORE_ALIGN == 0 && offset >= HEADER_BYTES);
    INS_ASSERT(log->current_bytes != 0);
    INS_ASSERT(offset + size <= log->current_bytes);
    char name[STORE_NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "l-%016" PRIx64 "/%016" PRIx64, log->current_id, offset);
    ins_status status = objects_put(store, name, data, size, error);
    sink->sync_count++;
    if (status == INS_OK) {
        sink->write_bytes += size;
    } else if (status == INS_EXISTS) {
        return ins_fail(error, INS_EXISTS,
                        "offset %" PRIu64 " of log file %016" PRIx64
                        " was written by somebody else: this node was replaced",
                        offset, log->current_id);
    }
    return status;
}

/* ---- Release ---- */

struct sweep {
    struct objects_store *store;
    uint64_t below;
    ins_error *error;
};

static ins_status sweep_one(void *context, const char *name, uint64_t size) {
    const struct sweep *sweep = context;
    uint64_t file_id;
    const char *rest;
    (void)size;
    if (!parse_name(name, &file_id, &rest) || file_id >= sweep->below) {
        return INS_OK;
    }
    return store_remove(sweep->store->below, name, sweep->error);
}

static ins_status release_op(struct log_sink *sink, uint64_t file_id, ins_error *error) {
    struct objects_store *store = store_of(sink);
    struct heads heads;
    char name[STORE_NAME_MAX + 1];
    ins_status status = heads_list(store, file_id, &heads, error);
    for (size_t i = 0; status == INS_OK && i < heads.count; i++) {
        head_name(heads.ids[i], name);
        status = store_remove(store->below, name, error);
    }
    free(heads.ids);
    if (status == INS_OK) {
        struct sweep sweep = {store, file_id, error};
        status = store->below->ops->list(store->below, "l-", sweep_one, &sweep, error);
    }
    return status;
}

/* There are no spares: what was released is gone. */
static ins_status forget_op(struct log_sink *sink, ins_error *error) {
    (void)sink;
    (void)error;
    return INS_OK;
}

const struct log_sink_ops objects_log_ops = {
    .files = files_op,
    .read = read_op,
    .prepare = prepare_op,
    .rotate = rotate_op,
    .append = append_op,
    .release = release_op,
    .forget = forget_op,
};
