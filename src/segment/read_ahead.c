#include "segment/read_ahead.h"

#include <string.h>

#include "base/status.h"

void read_ahead_init(struct read_ahead *ahead, ins_store *store, struct arena *arena) {
    *ahead = (struct read_ahead){.store = store, .arena = arena};
}

void read_ahead_fini(struct read_ahead *ahead) {
    for (uint32_t i = 0; i < READ_AHEAD_FILES; i++) {
        if (ahead->windows[i].buffer != NULL) {
            arena_free(ahead->arena, INS_MEM_JOB, ahead->windows[i].buffer, READ_AHEAD_BYTES);
        }
    }
    *ahead = (struct read_ahead){0};
}

/* The file's window, or the one that served longest ago. */
static struct read_ahead_window *window_for(struct read_ahead *ahead, uint64_t file) {
    struct read_ahead_window *oldest = &ahead->windows[0];
    for (uint32_t i = 0; i < READ_AHEAD_FILES; i++) {
        struct read_ahead_window *window = &ahead->windows[i];
        if (window->size > 0 && window->file == file) {
            return window;
        }
        oldest = window->used < oldest->used ? window : oldest;
    }
    return oldest;
}

/* Reads as much from `begin` on as fits the window and the file has. */
static ins_status window_fill(struct read_ahead *ahead, struct read_ahead_window *window,
                              const char *name, uint64_t file, uint64_t begin, ins_error *error) {
    uint64_t file_size;
    window->size = 0;
    ins_status status = ahead->store->ops->size(ahead->store, name, &file_size, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t left = begin < file_size ? file_size - begin : 0;
    uint32_t size = left < READ_AHEAD_BYTES ? (uint32_t)left : READ_AHEAD_BYTES;
    size &= ~(STORE_ALIGN - 1); /* files are multiples of it */
    if (size == 0) {
        return INS_OK;
    }
    status = store_get(ahead->store, name, begin, window->buffer, size, error);
    if (status == INS_OK) {
        window->file = file;
        window->begin = begin;
        window->size = size;
    }
    return status;
}

static bool window_has(const struct read_ahead_window *window, uint64_t file, uint64_t begin,
                       size_t size) {
    return window->size >= size && window->file == file && begin >= window->begin &&
           begin - window->begin <= window->size - size;
}

ins_status read_ahead_get(struct read_ahead *ahead, uint64_t file, uint64_t begin, size_t size,
                          uint8_t *out, ins_error *error) {
    char name[SEGMENT_NAME_MAX];
    segment_name(file, name);
    struct read_ahead_window *window = window_for(ahead, file);
    if (window->buffer == NULL) {
        window->buffer = arena_alloc(ahead->arena, INS_MEM_JOB, READ_AHEAD_BYTES);
    }
    if (window->buffer == NULL || size > READ_AHEAD_BYTES / 4) {
        return store_get(ahead->store, name, begin, out, size, error);
    }
    window->used = ++ahead->clock;
    if (!window_has(window, file, begin, size)) {
        ins_status status = window_fill(ahead, window, name, file, begin, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (!window_has(window, file, begin, size)) {
        return store_get(ahead->store, name, begin, out, size, error); /* says what is missing */
    }
    memcpy(out, window->buffer + (begin - window->begin), size);
    return INS_OK;
}

ins_status segment_read_block(ins_store *store, struct read_ahead *ahead,
                              const struct block_key *key, uint8_t *buffer, const uint8_t **out,
                              ins_error *error) {
    char name[SEGMENT_NAME_MAX];
    segment_name(key->file, name);
    uint64_t begin = key->offset & ~(uint64_t)(STORE_ALIGN - 1);
    size_t lead = (size_t)(key->offset - begin);
    size_t size = (size_t)align_up(lead + key->size, STORE_ALIGN);
    ins_status status = ahead != NULL ? read_ahead_get(ahead, key->file, begin, size, buffer, error)
                                      : store_get(store, name, begin, buffer, size, error);
    if (status != INS_OK) {
        return status;
    }
    if (hash64(buffer + lead, key->size) != key->hash) {
        return ins_fail(error, INS_CORRUPT,
                        "%s: the %u bytes at offset %llu do not match their checksum", name,
                        key->size, (unsigned long long)key->offset);
    }
    *out = buffer + lead;
    return INS_OK;
}
