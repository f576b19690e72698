/* Cells as objects: a version is an object of its own, put if absent; that is the compare-and-swap.
 *
 * Path of a swap: list → verify the newest → put version + 1 → remove what is older than
 * `expected`. An object has the bytes of a cell's slot (cell.h), so a damaged one is known, and the
 * version before it is still there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "store/cell.h"
#include "store/objects_private.h"

#define VERSIONS_MAX 32u /* listed at once: two, and what interrupted swaps left */

struct versions {
    size_t skip; /* bytes of a name before its number */
    uint64_t all[VERSIONS_MAX];
    uint64_t newest, older; /* 0 = none */
    uint32_t count;
};

struct image { /* a version's bytes */
    uint8_t *bytes;
    size_t data_size;
    enum cell_slot_state state;
};

static void version_name(const char *cell, uint64_t version, char out[STORE_NAME_MAX + 1]) {
    int size = snprintf(out, STORE_NAME_MAX + 1, "c-%s/%016" PRIx64, cell, version);
    INS_ASSERT(size > 0 && size <= STORE_NAME_MAX);
}

static ins_status note_version(void *context, const char *name, uint64_t size) {
    struct versions *versions = context;
    uint64_t version;
    (void)size;
    if (!objects_parse_number(name + versions->skip, &version) || version == 0) {
        return INS_OK; /* not ours */
    }
    if (versions->count < VERSIONS_MAX) {
        versions->all[versions->count++] = version;
    }
    if (version > versions->newest) {
        versions->older = versions->newest;
        versions->newest = version;
    } else if (version > versions->older) {
        versions->older = version;
    }
    return INS_OK;
}

static ins_status versions_list(struct objects_store *store, const char *cell,
                                struct versions *out_versions, ins_error *error) {
    char prefix[STORE_NAME_MAX + 1];
    int size = snprintf(prefix, sizeof(prefix), "c-%s/", cell);
    INS_ASSERT(size > 0 && size + 16 <= STORE_NAME_MAX);
    *out_versions = (struct versions){.skip = (size_t)size};
    return store->below->ops->list(store->below, prefix, note_version, out_versions, error);
}

/* Reads version `version`; a damaged one is no failure. The image's bytes are the caller's. */
static ins_status version_read(struct objects_store *store, const char *cell, uint64_t version,
                               struct image *out_image, ins_error *error) {
    char name[STORE_NAME_MAX + 1];
    uint64_t size, found = 0;
    *out_image = (struct image){.state = CELL_DAMAGED};
    version_name(cell, version, name);
    ins_status status = store->below->ops->size(store->below, name, &size, error);
    if (status != INS_OK || size > CELL_SLOT_BYTES) {
        return status;
    }
    out_image->bytes = malloc((size_t)size + 1);
    if (out_image->bytes == NULL) {
        return ins_fail(error, INS_FULL, "no memory to read cell %s", cell);
    }
    status = store_get(store->below, name, 0, out_image->bytes, (size_t)size, error);
    if (status != INS_OK) {
        free(out_image->bytes);
        out_image->bytes = NULL;
        return status;
    }
    out_image->state = cell_slot_verify(cell_slot_of(version), out_image->bytes, (size_t)size,
                                        &found, &out_image->data_size);
    if (out_image->state != CELL_WHOLE || found != version) {
        out_image->state = CELL_DAMAGED;
    }
    return INS_OK;
}

/* The newest version that verifies: 0 = the cell is not there. Its image is the caller's. Tells in
 * *out_damage (may be NULL) of one that does not. */
static ins_status newest_read(struct objects_store *store, const char *cell,
                              const struct versions *versions, uint64_t *out_version,
                              struct image *out_image, ins_error *out_damage, ins_error *error) {
    const uint64_t order[] = {versions->newest, versions->older};
    struct image images[2] = {{0}};
    ins_status status = INS_OK;
    uint32_t chosen = 2;
    for (uint32_t i = 0; i < 2 && order[i] != 0 && status == INS_OK; i++) {
        status = version_read(store, cell, order[i], &images[i], error);
        bool whole = status == INS_OK && images[i].state == CELL_WHOLE;
        if (whole && chosen == 2) {
            chosen = i;
        }
        if (status == INS_OK && !whole) {
            (void)ins_fail(out_damage, INS_CORRUPT, "cell %s: version %" PRIu64 " does not verify",
                           cell, order[i]);
        }
    }
    if (status == INS_OK && chosen == 2 && order[0] != 0) {
        status = ins_fail(error, INS_CORRUPT, "cell %s: none of its versions verifies", cell);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (status != INS_OK || i != chosen) {
            free(images[i].bytes);
        }
    }
    if (status == INS_OK) {
        *out_version = chosen == 2 ? 0 : order[chosen];
        *out_image = (struct image){0};
        if (chosen < 2) {
            *out_image = images[chosen];
        }
    }
    return status;
}

ins_status objects_cell_load(ins_store *handle, const char *name, uint8_t *out, size_t capacity,
                             size_t *out_size, uint64_t *out_version, ins_error *out_damage,
                             ins_error *error) {
    struct objects_store *store = objects_of(handle);
    INS_ASSERT(store_name_valid(name) && strchr(name, '/') == NULL);
    struct versions versions;
    struct image image = {0};
    uint64_t version = 0;
    ins_status status = versions_list(store, name, &versions, error);
    if (status == INS_OK) {
        status = newest_read(store, name, &versions, &version, &image, out_damage, error);
    }
    if (status == INS_OK && image.data_size > capacity) {
        status = ins_fail(error, INS_TOO_LARGE, "cell %s has %zu bytes, the buffer takes %zu", name,
                          image.data_size, capacity);
    }
    if (status == INS_OK) {
        if (image.data_size > 0) {
            memcpy(out, image.bytes + CELL_HEADER_BYTES, image.data_size);
        }
        *out_size = image.data_size;
        *out_version = version;
    }
    free(image.bytes);
    return status;
}

/* Removes a version that is in the way or no longer wanted. What cannot be removed now is at the
 * next swap; a name that is in the way makes the put fail. */
static void version_drop(struct objects_store *store, const char *cell, uint64_t version) {
    char name[STORE_NAME_MAX + 1];
    version_name(cell, version, name);
    (void)store_remove(store->below, name, NULL);
}

static ins_status version_put(struct objects_store *store, const char *cell, uint64_t version,
                              const void *data, size_t size, ins_error *error) {
    char name[STORE_NAME_MAX + 1];
    size_t bytes = CELL_HEADER_BYTES + size;
    uint8_t *image =
        aligned_alloc(STORE_ALIGN, (bytes + STORE_ALIGN - 1) / STORE_ALIGN * STORE_ALIGN);
    if (image == NULL) {
        return ins_fail(error, INS_FULL, "no memory to write cell %s", cell);
    }
    cell_header_encode(version, data, size, image);
    if (size > 0) {
        memcpy(image + CELL_HEADER_BYTES, data, size);
    }
    version_name(cell, version, name);
    ins_status status = objects_put(store, name, image, bytes, error);
    free(image);
    if (status == INS_OK) {
        store->store.sync_count++;
        store->store.write_bytes += size;
    } else if (status != INS_EXISTS) {
        store->cells_failed = true;
    }
    return status;
}

ins_status objects_cell_swap(ins_store *handle, const char *name, uint64_t expected,
                             const void *data, size_t size, ins_error *error) {
    struct objects_store *store = objects_of(handle);
    INS_ASSERT(!handle->read_only);
    INS_ASSERT(store_name_valid(name) && strchr(name, '/') == NULL);
    INS_ASSERT(size <= STORE_CELL_BYTES_MAX);
    if (store->cells_failed) {
        return ins_fail(error, INS_IO,
                        "an earlier write of a cell failed; %s is not written until a restart",
                        name);
    }
    struct versions versions;
    struct image image = {0};
    uint64_t version = 0;
    ins_status status = versions_list(store, name, &versions, error);
    if (status == INS_OK) {
        status = newest_read(store, name, &versions, &version, &image, NULL, error);
    }
    free(image.bytes);
    if (status != INS_OK) {
        return status;
    }
    if (version != expected) {
        return ins_fail(error, INS_EXISTS, "cell %s has version %" PRIu64 ", not %" PRIu64, name,
                        version, expected);
    }
    if (versions.newest > expected) { /* it does not verify, and the next version has its name */
        version_drop(store, name, versions.newest);
    }
    status = version_put(store, name, expected + 1, data, size, error);
    for (uint32_t i = 0; status == INS_OK && i < versions.count; i++) {
        if (versions.all[i] < expected) {
            version_drop(store, name, versions.all[i]);
        }
    }
    return status;
}
