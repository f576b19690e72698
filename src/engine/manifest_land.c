/* The manifest in memory belongs to the background lane; this is all that changes it. */
#include "base/assert.h"
#include "base/status.h"
#include "engine/jobs.h"

uint64_t manifest_next_file(struct ins_db *db, uint8_t out_random_id[16]) {
    db->runtime->random(db->runtime->context, out_random_id, 16);
    return db->manifest.next_file++;
}

static bool listed(uint64_t file, const uint64_t *remove, uint32_t remove_count) {
    for (uint32_t i = 0; i < remove_count; i++) {
        if (remove[i] == file) {
            return true;
        }
    }
    return false;
}

/* In order of the numbers: a flush in the middle of a merge lands before it, with a higher one. */
static void insert(struct manifest *manifest, const struct segment_info *add) {
    uint32_t at = manifest->file_count++;
    for (; at > 0 && manifest->files[at - 1].file > add->file; at--) {
        manifest->files[at] = manifest->files[at - 1];
    }
    manifest->files[at] = *add;
}

ins_status manifest_land(struct ins_db *db, const struct segment_info *add, const uint64_t *remove,
                         uint32_t remove_count, uint64_t flushed_lsn, uint64_t log_lsn,
                         ins_error *error) {
    struct manifest *manifest = &db->manifest;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        if (!listed(manifest->files[i].file, remove, remove_count)) {
            manifest->files[kept++] = manifest->files[i];
        }
    }
    manifest->file_count = kept;
    if (add != NULL) {
        if (manifest->file_count == INS_FILES_MAX) {
            return ins_fail(error, INS_FULL, "the manifest names %u files, the limit",
                            INS_FILES_MAX);
        }
        insert(manifest, add);
    }
    manifest->flushed_lsn = flushed_lsn != 0 ? flushed_lsn : manifest->flushed_lsn;
    manifest->log_lsn = log_lsn != 0 ? log_lsn : manifest->log_lsn;
    size_t size = manifest_size(manifest);
    INS_ASSERT(size <= MANIFEST_BYTES_MAX);
    manifest_encode(manifest, db->manifest_buffer);
    ins_store *store = db->runtime->store;
    ins_status status = store->ops->cell_swap(store, MANIFEST_CELL, db->manifest_version,
                                              db->manifest_buffer, size, error);
    if (status == INS_OK) {
        db->manifest_version++;
    }
    return status;
}
