/* Cells of the directory store: one file of two slots each; a swap writes the slot that does not
 * hold the newest version and syncs once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/directory_private.h"

static uint64_t slot_offset(uint32_t slot) {
    return (uint64_t)slot * CELL_SLOT_BYTES;
}

/* The table's entry for `name`; a new one has fd -1. NULL when the table is full. */
static struct directory_cell *cell_entry(struct directory_store *store, const char *name) {
    struct directory_cell *free_entry = NULL;
    for (size_t i = 0; i < CELLS_MAX; i++) {
        struct directory_cell *cell = &store->cells[i];
        if (strcmp(cell->name, name) == 0) {
            return cell;
        }
        if (cell->name[0] == '\0' && free_entry == NULL) {
            free_entry = cell;
        }
    }
    if (free_entry != NULL) {
        *free_entry = (struct directory_cell){.fd = -1};
        (void)snprintf(free_entry->name, sizeof(free_entry->name), "%s", name);
    }
    return free_entry;
}

/* Reads and verifies both slots into cell->version and cell->used; the newest data go to `out`,
 * when they fit `capacity`. An absent cell has version 0. */
static ins_status cell_read(struct directory_store *store, struct directory_cell *cell,
                            uint8_t *scratch, uint8_t *out, size_t capacity,
                            struct cell_choice *choice, ins_error *out_damage, ins_error *error) {
    *choice = (struct cell_choice){0};
    bool read_only = store->store.read_only;
    cell->fd = openat(store->cells_fd, cell->name,
                      (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW);
    if (cell->fd < 0) {
        return errno == ENOENT ? INS_OK
                               : ins_fail_errno(error, errno, "cannot open cell %s", cell->name);
    }
    if (!read_only && fdatasync(cell->fd) != 0) { /* a killed process may not have come to it */
        return ins_fail_errno(error, errno, "cannot sync cell %s", cell->name);
    }
    for (uint32_t slot = 0; slot < CELL_SLOTS; slot++) {
        /* A cut file reads as zeros behind its end, which do not verify. */
        memset(scratch, 0, CELL_SLOT_BYTES);
        ssize_t got = pread(cell->fd, scratch, CELL_SLOT_BYTES, (off_t)slot_offset(slot));
        if (got < 0) {
            return ins_fail_errno(error, errno, "cannot read cell %s", cell->name);
        }
        cell->used[slot] = CELL_SLOT_BYTES;
        if (cell_choice_add(choice, slot, scratch, CELL_SLOT_BYTES) && choice->size > 0 &&
            choice->size <= capacity) {
            memcpy(out, scratch + CELL_HEADER_BYTES, choice->size);
        }
        if (choice->state[slot] == CELL_EMPTY) {
            cell->used[slot] = 0;
        }
    }
    cell->version = choice->version;
    return cell_choice_end(choice, cell->name, out_damage, error);
}

static void cell_close(struct directory_cell *cell) {
    if (cell->name[0] != '\0' && cell->fd >= 0) {
        (void)close(cell->fd);
    }
    *cell = (struct directory_cell){.fd = -1};
}

void cell_files_close(struct directory_store *store) {
    for (size_t i = 0; i < CELLS_MAX; i++) {
        cell_close(&store->cells[i]);
    }
}

/* Under cells_lock: loads afresh and keeps the descriptor for swaps. */
static ins_status cell_open(struct directory_store *store, const char *name, uint8_t *out,
                            size_t capacity, struct cell_choice *choice,
                            struct directory_cell **out_cell, ins_error *out_damage,
                            ins_error *error) {
    struct directory_cell *cell = cell_entry(store, name);
    if (cell == NULL) {
        return ins_fail(error, INS_FULL, "cell %s would be one more than %d", name, CELLS_MAX);
    }
    bool failed = cell->failed;
    cell_close(cell);
    cell = cell_entry(store, name);
    INS_ASSERT(cell != NULL);
    cell->failed = failed;
    uint8_t *scratch = malloc(CELL_SLOT_BYTES);
    ins_status status =
        scratch == NULL ? ins_fail(error, INS_FULL, "no memory to read cell %s", name)
                        : cell_read(store, cell, scratch, out, capacity, choice, out_damage, error);
    free(scratch);
    if (status != INS_OK && !failed) {
        cell_close(cell);
        return status;
    }
    *out_cell = cell;
    return status;
}

ins_status cell_file_load(ins_store *handle, const char *name, uint8_t *out, size_t capacity,
                          size_t *out_size, uint64_t *out_version, ins_error *out_damage,
                          ins_error *error) {
    struct directory_store *store = directory_of(handle);
    INS_ASSERT(store_name_valid(name) && strchr(name, '/') == NULL);
    INS_ASSERT(out_size != NULL);
    INS_ASSERT(out_version != NULL);

    struct directory_cell *cell = NULL;
    struct cell_choice choice = {0};
    (void)pthread_mutex_lock(&store->cells_lock);
    ins_status status = cell_open(store, name, out, capacity, &choice, &cell, out_damage, error);
    (void)pthread_mutex_unlock(&store->cells_lock);
    if (status != INS_OK) {
        return status;
    }
    if (choice.size > capacity) {
        return ins_fail(error, INS_TOO_LARGE, "cell %s has %zu bytes, the buffer takes %zu", name,
                        choice.size, capacity);
    }
    *out_size = choice.size;
    *out_version = choice.version;
    return INS_OK;
}

/* Header, data, and zeros over what an earlier, longer version left behind, so that every byte of a
 * slot is either hashed or zero. 0 or errno. */
static int slot_write(int fd, struct directory_cell *cell, uint64_t version, const void *data,
                      size_t size) {
    uint8_t header[CELL_HEADER_BYTES];
    cell_header_encode(version, data, size, header);
    uint32_t slot = cell_slot_of(version);
    uint64_t offset = slot_offset(slot);
    int result = file_write(fd, header, sizeof(header), offset);
    if (result == 0) {
        result = file_write(fd, data, size, offset + CELL_HEADER_BYTES);
    }
    uint32_t end = CELL_HEADER_BYTES + (uint32_t)size;
    if (result == 0 && end < cell->used[slot]) {
        result = file_write_zeros(fd, offset + end, cell->used[slot] - end);
    }
    cell->used[slot] = end;
    return result;
}

/* The file comes into being with its first version in it: made in tmp/, synced, renamed. */
static ins_status cell_create(struct directory_store *store, struct directory_cell *cell,
                              const void *data, size_t size, ins_error *error) {
    char tmp_name[24];
    (void)snprintf(tmp_name, sizeof(tmp_name), "%llu", (unsigned long long)store->next_tmp++);
    int fd = openat(store->tmp_fd, tmp_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) {
        return ins_fail_errno(error, errno, "cannot make cell %s", cell->name);
    }
    int result = file_write_zeros(fd, 0, CELL_SLOTS * (uint64_t)CELL_SLOT_BYTES);
    if (result == 0) {
        result = slot_write(fd, cell, 1, data, size);
    }
    if (result == 0) {
        store->store.sync_count++;
        result = fdatasync(fd) == 0 ? 0 : errno;
    }
    if (result == 0) {
        result = file_rename_new(store->tmp_fd, tmp_name, store->cells_fd, cell->name);
    }
    if (result != 0) {
        (void)unlinkat(store->tmp_fd, tmp_name, 0);
        (void)close(fd);
        return ins_fail_errno(error, result, "cannot make cell %s", cell->name);
    }
    cell->fd = fd;
    return directory_sync(store, store->cells_fd, "cells", &store->store.sync_count, error);
}

static ins_status cell_write(struct directory_store *store, struct directory_cell *cell,
                             const void *data, size_t size, ins_error *error) {
    if (cell->version == 0) {
        return cell_create(store, cell, data, size, error);
    }
    int result = slot_write(cell->fd, cell, cell->version + 1, data, size);
    if (result == 0) {
        store->store.sync_count++;
        result = fdatasync(cell->fd) == 0 ? 0 : errno;
    }
    return result == 0 ? INS_OK : ins_fail_errno(error, result, "cannot write cell %s", cell->name);
}

static ins_status cell_swap_locked(struct directory_store *store, const char *name,
                                   uint64_t expected, const void *data, size_t size,
                                   ins_error *error) {
    struct directory_cell *cell = cell_entry(store, name);
    if (cell == NULL) {
        return ins_fail(error, INS_FULL, "cell %s would be one more than %d", name, CELLS_MAX);
    }
    if (cell->failed) {
        return ins_fail(error, INS_IO,
                        "an earlier write of cell %s failed; it is not written again until a "
                        "restart",
                        name);
    }
    if (cell->fd < 0) { /* not seen yet in this process */
        struct cell_choice choice;
        ins_status status = cell_open(store, name, NULL, 0, &choice, &cell, NULL, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (cell->version != expected) {
        return ins_fail(error, INS_EXISTS, "cell %s has version %llu, not %llu", name,
                        (unsigned long long)cell->version, (unsigned long long)expected);
    }
    ins_status status = cell_write(store, cell, data, size, error);
    if (status != INS_OK) {
        cell->failed = true;
        return status;
    }
    cell->version++;
    store->store.write_bytes += size;
    return INS_OK;
}

ins_status cell_file_swap(ins_store *handle, const char *name, uint64_t expected, const void *data,
                          size_t size, ins_error *error) {
    struct directory_store *store = directory_of(handle);
    INS_ASSERT(!handle->read_only);
    INS_ASSERT(store_name_valid(name) && strchr(name, '/') == NULL);
    INS_ASSERT(size <= STORE_CELL_BYTES_MAX);
    INS_ASSERT(data != NULL || size == 0);

    ins_status status = directory_usable(store, error);
    if (status != INS_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&store->cells_lock);
    status = cell_swap_locked(store, name, expected, data, size, error);
    (void)pthread_mutex_unlock(&store->cells_lock);
    return status;
}
