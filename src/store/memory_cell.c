/* Cells of the simulator's store: the directory store's slots, byte for byte. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/memory_private.h"

static struct memory_cell *cell_find(struct memory_store *store, const char *name) {
    struct memory_cell *cell = store->cells;
    while (cell != NULL && strcmp(cell->name, name) != 0) {
        cell = cell->next;
    }
    return cell;
}

/* An absent cell has version 0. */
static ins_status cell_read(const struct memory_cell *cell, const char *name,
                            struct cell_choice *choice, ins_error *out_damage, ins_error *error) {
    *choice = (struct cell_choice){0};
    if (cell == NULL) {
        return INS_OK;
    }
    for (uint32_t slot = 0; slot < CELL_SLOTS; slot++) {
        (void)cell_choice_add(choice, slot, cell->slots[slot].seen, cell->slots[slot].size);
    }
    return cell_choice_end(choice, name, out_damage, error);
}

ins_status memory_cell_load(ins_store *handle, const char *name, uint8_t *out, size_t capacity,
                            size_t *out_size, uint64_t *out_version, ins_error *out_damage,
                            ins_error *error) {
    struct memory_store *store = memory_of(handle);
    INS_ASSERT(store_name_valid(name) && strchr(name, '/') == NULL);
    memory_lock(store);
    struct cell_choice choice = {0};
    const struct memory_cell *cell = cell_find(store, name);
    ins_status status = memory_call(store, false, "cell_load", error);
    if (status == INS_OK) {
        status = cell_read(cell, name, &choice, out_damage, error);
    }
    if (status == INS_OK && choice.size > capacity) {
        status = ins_fail(error, INS_TOO_LARGE, "cell %s has %zu bytes, the buffer takes %zu", name,
                          choice.size, capacity);
    }
    if (status == INS_OK) {
        if (choice.size > 0) {
            memcpy(out, cell->slots[choice.slot].seen + CELL_HEADER_BYTES, choice.size);
        }
        *out_size = choice.size;
        *out_version = choice.version;
    }
    memory_unlock(store);
    return status;
}

/* What slot `slot` holds after a swap: header, data, and zeros over what was longer. */
static uint8_t *slot_image(const struct memory_bytes *slot, uint64_t version, const void *data,
                           size_t size, size_t *out_size) {
    size_t image_size = CELL_HEADER_BYTES + size;
    image_size = image_size > slot->size ? image_size : slot->size;
    uint8_t *image = calloc(1, image_size);
    if (image != NULL) {
        cell_header_encode(version, data, size, image);
        if (size > 0) {
            memcpy(image + CELL_HEADER_BYTES, data, size);
        }
        *out_size = image_size;
    }
    return image;
}

static struct memory_cell *cell_make(struct memory_store *store, const char *name) {
    struct memory_cell *cell = calloc(1, sizeof(*cell));
    if (cell != NULL) {
        (void)snprintf(cell->name, sizeof(cell->name), "%s", name);
        cell->next = store->cells;
        store->cells = cell;
    }
    return cell;
}

/* The first version comes with the file, by rename: there, or not there, or there until a crash. */
static ins_status cell_create(struct memory_store *store, const char *name, const uint8_t *image,
                              size_t image_size, ins_status failure) {
    if (failure != INS_OK && memory_random(store, 2) == 0) {
        return failure;
    }
    struct memory_cell *cell = cell_make(store, name);
    if (cell == NULL || !memory_bytes_grow(&cell->slots[cell_slot_of(1)], image_size)) {
        return INS_FULL;
    }
    memory_bytes_write(&cell->slots[cell_slot_of(1)], 0, image, image_size);
    store->store.sync_count += 2;
    cell->name_durable = failure == INS_OK;
    cell->failed = failure != INS_OK;
    store->sync_failed = store->sync_failed || failure != INS_OK;
    return failure;
}

static ins_status swap_locked(struct memory_store *store, const char *name, uint64_t expected,
                              const void *data, size_t size, ins_error *error) {
    struct memory_cell *cell = cell_find(store, name);
    if (store->sync_failed || (cell != NULL && cell->failed)) {
        return ins_fail(error, INS_IO,
                        "an earlier write of cell %s failed; it is not written again until a "
                        "restart",
                        name);
    }
    struct cell_choice choice;
    ins_status status = cell_read(cell, name, &choice, NULL, error);
    if (status != INS_OK) {
        return status;
    }
    if (choice.version != expected) {
        return ins_fail(error, INS_EXISTS, "cell %s has version %llu, not %llu", name,
                        (unsigned long long)choice.version, (unsigned long long)expected);
    }
    static const struct memory_bytes nothing;
    uint32_t slot_index = cell_slot_of(expected + 1);
    size_t image_size = 0;
    uint8_t *image = slot_image(cell == NULL ? &nothing : &cell->slots[slot_index], expected + 1,
                                data, size, &image_size);
    if (image == NULL ||
        (cell != NULL && !memory_bytes_grow(&cell->slots[slot_index], image_size))) {
        free(image);
        return ins_fail(error, INS_FULL, "no memory to write cell %s", name);
    }
    ins_status failure = memory_call(store, true, "cell_swap", error);
    if (cell == NULL) {
        status = cell_create(store, name, image, image_size, failure);
    } else if (failure != INS_OK) {
        memory_bytes_tear(store, &cell->slots[slot_index], 0, image, image_size);
        cell->failed = true;
        status = failure;
    } else {
        memory_bytes_write(&cell->slots[slot_index], 0, image, image_size);
        store->store.sync_count++;
    }
    free(image);
    return status;
}

ins_status memory_cell_swap(ins_store *handle, const char *name, uint64_t expected,
                            const void *data, size_t size, ins_error *error) {
    struct memory_store *store = memory_of(handle);
    INS_ASSERT(!handle->read_only);
    INS_ASSERT(store_name_valid(name) && strchr(name, '/') == NULL);
    INS_ASSERT(size <= STORE_CELL_BYTES_MAX);
    memory_lock(store);
    ins_status status = swap_locked(store, name, expected, data, size, error);
    if (status == INS_OK) {
        store->store.write_bytes += size;
    }
    memory_unlock(store);
    return status;
}

static void cell_free(struct memory_cell *cell) {
    for (uint32_t slot = 0; slot < CELL_SLOTS; slot++) {
        memory_bytes_fini(&cell->slots[slot]);
    }
    free(cell);
}

void memory_cells_restart(struct memory_store *store, bool power_cut) {
    struct memory_cell **link = &store->cells;
    while (*link != NULL) {
        struct memory_cell *cell = *link;
        if (power_cut && !cell->name_durable && memory_random(store, 2) == 0) {
            *link = cell->next;
            cell_free(cell);
            continue;
        }
        cell->name_durable = true;
        cell->failed = false;
        for (uint32_t slot = 0; slot < CELL_SLOTS; slot++) {
            if (power_cut) {
                memory_bytes_crash(store, &cell->slots[slot], SECTOR_BYTES);
            } else {
                memory_bytes_settle(&cell->slots[slot]);
            }
        }
        link = &cell->next;
    }
}

void memory_cells_free(struct memory_store *store) {
    while (store->cells != NULL) {
        struct memory_cell *cell = store->cells;
        store->cells = cell->next;
        cell_free(cell);
    }
}
