/* The manifest: which files the database is made of. Small, replaced whole by compare-and-swap.
 * Failure: INS_CORRUPT names what is wrong; nothing is believed before the hash over all of it.
 * Format: docs/FORMATS.md "Manifest". */
#include "segment/segment_private.h"

#define MANIFEST_MAGIC 0x4e414d4c55534e49ull /* "INSULMAN" */
#define MANIFEST_FORMAT 1u
#define MANIFEST_HEADER_BYTES ((size_t)64)
#define MANIFEST_FILE_BYTES ((size_t)48)
#define MANIFEST_HASH_BYTES ((size_t)16)

_Static_assert(MANIFEST_HEADER_BYTES + INS_FILES_MAX * MANIFEST_FILE_BYTES + MANIFEST_HASH_BYTES <=
                   STORE_CELL_BYTES_MAX,
               "the largest manifest fits a cell");

size_t manifest_size(const struct manifest *manifest) {
    INS_ASSERT(manifest->file_count <= INS_FILES_MAX);
    return MANIFEST_HEADER_BYTES + (size_t)manifest->file_count * MANIFEST_FILE_BYTES +
           MANIFEST_HASH_BYTES;
}

void manifest_encode(const struct manifest *manifest, uint8_t *out) {
    size_t size = manifest_size(manifest);
    store_u64(out, MANIFEST_MAGIC);
    store_u32(out + 8, MANIFEST_FORMAT);
    store_u32(out + 12, manifest->file_count);
    memcpy(out + 16, manifest->database_id, 16);
    store_u64(out + 32, manifest->flushed_lsn);
    store_u64(out + 40, manifest->next_file);
    store_u64(out + 48, manifest->log_lsn);
    store_u64(out + 56, manifest->erased_lsn);
    uint8_t *at = out + MANIFEST_HEADER_BYTES;
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        const struct segment_info *file = &manifest->files[i];
        INS_ASSERT(file->file < manifest->next_file);
        INS_ASSERT(i == 0 || manifest->files[i - 1].file < file->file);
        store_u64(at, file->file);
        memcpy(at + 8, file->random_id, 16);
        store_u64(at + 24, file->size_bytes);
        store_u64(at + 32, file->trailer_hash);
        store_u32(at + 40, file->extent_count);
        store_u32(at + 44, 0);
        at += MANIFEST_FILE_BYTES;
    }
    struct hash128 hash = hash128(out, size - MANIFEST_HASH_BYTES);
    store_u64(at, hash.low);
    store_u64(at + 8, hash.high);
}

/* Why entry `index` is wrong, or NULL. */
static const char *decode_file(const uint8_t *at, uint64_t next_file, struct segment_info *files,
                               uint32_t index) {
    struct segment_info *file = &files[index];
    file->file = load_u64(at);
    memcpy(file->random_id, at + 8, 16);
    file->size_bytes = load_u64(at + 24);
    file->trailer_hash = load_u64(at + 32);
    file->extent_count = load_u32(at + 40);
    if (file->file >= next_file || (index > 0 && files[index - 1].file >= file->file)) {
        return "file numbers do not ascend or are above the next one";
    }
    if (file->size_bytes % SEGMENT_PAGE != 0 || file->size_bytes < SEGMENT_FILE_BYTES_MIN ||
        file->size_bytes > SEGMENT_FILE_BYTES_MAX) {
        return "a file of impossible size";
    }
    if (file->extent_count > SEGMENT_EXTENTS_MAX || load_u32(at + 44) != 0) {
        return "a file with impossible counts or flags";
    }
    return NULL;
}

ins_status manifest_decode(const uint8_t *data, size_t size, struct segment_info *files,
                           uint32_t capacity, struct manifest *out, ins_error *error) {
    if (size < MANIFEST_HEADER_BYTES + MANIFEST_HASH_BYTES) {
        return ins_fail(error, INS_CORRUPT, "manifest: %zu bytes are too few", size);
    }
    size_t body = size - MANIFEST_HASH_BYTES;
    struct hash128 hash = hash128(data, body);
    if (load_u64(data + body) != hash.low || load_u64(data + body + 8) != hash.high) {
        return ins_fail(error, INS_CORRUPT, "manifest: its hash does not match its %zu bytes",
                        size);
    }
    if (load_u64(data) != MANIFEST_MAGIC || load_u32(data + 8) != MANIFEST_FORMAT) {
        return ins_fail(error, INS_CORRUPT, "manifest: not of format %u", MANIFEST_FORMAT);
    }
    struct manifest manifest = {
        .flushed_lsn = load_u64(data + 32),
        .next_file = load_u64(data + 40),
        .log_lsn = load_u64(data + 48),
        .erased_lsn = load_u64(data + 56),
        .files = files,
        .file_count = load_u32(data + 12),
    };
    memcpy(manifest.database_id, data + 16, 16);
    if (manifest.erased_lsn > manifest.flushed_lsn) {
        return ins_fail(
            error, INS_CORRUPT, "manifest: erased up to record %llu, flushed up to record %llu",
            (unsigned long long)manifest.erased_lsn, (unsigned long long)manifest.flushed_lsn);
    }
    if (manifest.file_count > capacity || manifest.file_count > INS_FILES_MAX ||
        size != manifest_size(&manifest)) {
        return ins_fail(error, INS_CORRUPT, "manifest: %u files do not match its %zu bytes",
                        manifest.file_count, size);
    }
    for (uint32_t i = 0; i < manifest.file_count; i++) {
        const uint8_t *at = data + MANIFEST_HEADER_BYTES + (size_t)i * MANIFEST_FILE_BYTES;
        const char *wrong = decode_file(at, manifest.next_file, files, i);
        if (wrong != NULL) {
            return ins_fail(error, INS_CORRUPT, "manifest: entry %u: %s", i, wrong);
        }
    }
    *out = manifest;
    return INS_OK;
}
