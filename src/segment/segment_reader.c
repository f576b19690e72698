/* Reading a segment's directory: trailer, table hashes, then both tables piece by piece.
 *
 * Path: the manifest's words verify the trailer, the trailer the table hashes, those the pieces; so
 * nothing is looked at before it is verified, and memory is bounded: one piece of each table and
 * the hashes (at most 192 KiB), INS_MEM_JOB.
 * Failure: INS_CORRUPT with file and offset. */
#include "segment/segment_private.h"

ins_status segment_read(ins_store *store, const char *name, uint64_t file_bytes, uint64_t offset,
                        size_t size, uint8_t *buffer, const uint8_t **out, ins_error *error) {
    INS_ASSERT(file_bytes % SEGMENT_PAGE == 0);
    INS_ASSERT(offset <= file_bytes);
    INS_ASSERT(size <= file_bytes - offset);
    uint64_t begin = offset & ~(uint64_t)(SEGMENT_PAGE - 1);
    uint64_t end = align_up(offset + size, SEGMENT_PAGE);
    *out = buffer + (offset - begin);
    return store_get(store, name, begin, buffer, (size_t)(end - begin), error);
}

bool bytes_all_zero(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (data[i] != 0) {
            return false;
        }
    }
    return true;
}

/* ---- Trailer --------------------------------------------------------------------------------- */

/* Why the trailer is wrong, or NULL. */
static const char *parse_trailer(const struct segment_info *info, const uint8_t *from,
                                 struct segment_trailer *out) {
    if (hash64(from, SEGMENT_TRAILER_BYTES) != info->trailer_hash) {
        return "hash differs from the manifest's";
    }
    if (load_u64(from) != SEGMENT_TRAILER_MAGIC ||
        load_u32(from + SEGMENT_MAGIC_BYTES) != SEGMENT_FORMAT) {
        return "not of format 1";
    }
    if (load_u64(from + TRAILER_HASH) != hash64(from, TRAILER_HASH)) {
        return "its own hash does not match";
    }
    if (load_u64(from + TRAILER_FILE) != info->file ||
        memcmp(from + TRAILER_RANDOM, info->random_id, 16) != 0 ||
        load_u64(from + TRAILER_SIZE) != info->size_bytes) {
        return "belongs to another file";
    }
    *out = (struct segment_trailer){
        .directory = load_u64(from + TRAILER_DIRECTORY),
        .scope_index = load_u64(from + TRAILER_SCOPE_INDEX),
        .table_hashes = load_u64(from + TRAILER_TABLE_HASHES),
        .entry_count = load_u32(from + TRAILER_ENTRIES),
        .scope_count = load_u32(from + TRAILER_SCOPES),
        .table_hash = load_u64(from + TRAILER_TABLE_HASH),
        .page_hash = load_u64(from + TRAILER_PAGE_HASH),
    };
    if (out->entry_count != info->extent_count || out->entry_count > SEGMENT_EXTENTS_MAX ||
        out->scope_count > out->entry_count || (out->entry_count != 0) != (out->scope_count != 0)) {
        return "counts contradict each other";
    }
    uint64_t entries = (uint64_t)out->entry_count * SEGMENT_ENTRY_BYTES;
    uint64_t scopes = (uint64_t)out->scope_count * SEGMENT_SCOPE_BYTES;
    uint64_t hashes = 8ull * (segment_piece_count(out->entry_count, SEGMENT_ENTRIES_PER_PIECE) +
                              segment_piece_count(out->scope_count, SEGMENT_SCOPES_PER_PIECE));
    uint64_t size = info->size_bytes;
    if (out->directory % 64 != 0 || out->directory < SEGMENT_PAGE || out->directory > size ||
        out->scope_index != align_up(out->directory + entries, 64) ||
        out->table_hashes != align_up(out->scope_index + scopes, 64) ||
        size != align_up(out->table_hashes + hashes + SEGMENT_TRAILER_BYTES, SEGMENT_PAGE)) {
        return "tables outside the file";
    }
    if (load_u32(from + 12) != 0 ||
        !bytes_all_zero(from + TRAILER_ZERO, TRAILER_HASH - TRAILER_ZERO)) {
        return "reserved fields are not zero";
    }
    return NULL;
}

ins_status segment_read_trailer(ins_store *store, const struct segment_info *info, uint8_t *buffer,
                                struct segment_trailer *out, ins_error *error) {
    char name[SEGMENT_NAME_MAX];
    segment_name(info->file, name);
    if (info->size_bytes % SEGMENT_PAGE != 0 || info->size_bytes < SEGMENT_FILE_BYTES_MIN) {
        return ins_fail(error, INS_CORRUPT, "%s: impossible size of %llu bytes in the manifest",
                        name, (unsigned long long)info->size_bytes);
    }
    uint64_t offset = info->size_bytes - SEGMENT_TRAILER_BYTES;
    const uint8_t *from;
    ins_status status = segment_read(store, name, info->size_bytes, offset, SEGMENT_TRAILER_BYTES,
                                     buffer, &from, error);
    if (status != INS_OK) {
        return status;
    }
    const char *wrong = parse_trailer(info, from, out);
    if (wrong != NULL) {
        return ins_fail(error, INS_CORRUPT, "%s: trailer at %llu: %s", name,
                        (unsigned long long)offset, wrong);
    }
    return INS_OK;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* One table read in order, one verified piece at a time. */
struct table_reader {
    ins_store *store;
    const struct segment_info *info;
    const char *name;
    const char *what;
    uint64_t offset;
    uint32_t entry_bytes, entries_per_piece, entry_count;
    const uint8_t *hashes;
    uint32_t next;   /* entry */
    uint8_t *buffer; /* [SEGMENT_PIECE_BYTES_MAX + SEGMENT_READ_SLACK] */
    const uint8_t *piece;
};

/* The next entry; the caller knows that there is one. */
static ins_status table_next(struct table_reader *table, const uint8_t **out, ins_error *error) {
    INS_ASSERT(table->next < table->entry_count);
    uint32_t in_piece = table->next % table->entries_per_piece;
    if (in_piece == 0) {
        uint32_t left = table->entry_count - table->next;
        uint32_t count = left < table->entries_per_piece ? left : table->entries_per_piece;
        size_t size = (size_t)count * table->entry_bytes;
        uint64_t offset = table->offset + (uint64_t)table->next * table->entry_bytes;
        ins_status status = segment_read(table->store, table->name, table->info->size_bytes, offset,
                                         size, table->buffer, &table->piece, error);
        uint32_t piece = table->next / table->entries_per_piece;
        if (status == INS_OK &&
            hash64(table->piece, size) != load_u64(table->hashes + (size_t)piece * 8)) {
            status = ins_fail(error, INS_CORRUPT, "%s: %s at %llu: hash does not match",
                              table->name, table->what, (unsigned long long)offset);
        }
        if (status != INS_OK) {
            return status;
        }
    }
    *out = table->piece + (size_t)in_piece * table->entry_bytes;
    table->next++;
    return INS_OK;
}

/* The scope that the entries now belong to. */
struct scope_place {
    uint64_t scope;
    uint32_t shard;
    uint32_t begin, end; /* directory entries */
    uint64_t last_incarnation;
    bool any;
};

/* Why the scope index entry is wrong, or NULL. */
static const char *parse_scope(const uint8_t *from, uint32_t entry_count,
                               struct scope_place *place) {
    uint64_t scope = load_u64(from);
    uint32_t shard = load_u16(from + 8);
    uint32_t first = load_u32(from + 12);
    uint32_t count = load_u32(from + 16);
    if (load_u16(from + 10) != 0 || load_u32(from + 20) != 0) {
        return "reserved fields are not zero";
    }
    if (first != place->end || count == 0 || count > entry_count - first) {
        return "scopes do not tile the directory";
    }
    if (place->any && (shard < place->shard || (shard == place->shard && scope <= place->scope))) {
        return "scopes do not ascend";
    }
    *place = (struct scope_place){
        .scope = scope, .shard = shard, .begin = first, .end = first + count, .any = true};
    return NULL;
}

/* Why the run of a directory entry is impossible, or NULL. */
static const char *check_run(const struct run_entry *entry, uint64_t offset, uint64_t bytes) {
    const struct run *run = &entry->run;
    uint32_t header = run->flags >> RUN_HEADER_SHIFT;
    bool small = (run->flags & RUN_SMALL) != 0;
    if ((run->flags & 0xffu & ~(uint32_t)(RUN_SMALL | RUN_DIRECTORY | RUN_GRAPH)) != 0) {
        return "unknown flags";
    }
    if ((run->flags & RUN_GRAPH) != 0 && (run->flags & (RUN_SMALL | RUN_DIRECTORY)) != 0) {
        return "a graph where none can be";
    }
    if (bytes == 0) {
        bool empty = offset == 0 && run->rows == 0 && run->tombstones == 0 && !small &&
                     header == 0 && run->hash == 0 && (run->flags & RUN_GRAPH) == 0;
        return empty ? NULL : "an entry without bytes that holds something";
    }
    if (run->rows == 0 && run->tombstones == 0) {
        return "an extent without rows";
    }
    if (small ? header != 0 || bytes > INS_SMALL_EXTENT_BYTES_MAX
              : header == 0 || header > run->size_64 || header > EXTENT_HEADER_BYTES_MAX / 64) {
        return "impossible header size";
    }
    return NULL;
}

static const char *parse_entry(const uint8_t *from, uint64_t directory,
                               const struct scope_place *place, struct run_entry *out) {
    uint64_t offset = load_u64(from + 24);
    uint64_t bytes = load_u64(from + 32);
    *out = (struct run_entry){
        .scope = place->scope,
        .shard = place->shard,
        .incarnation = load_u64(from),
        .version_low = load_u64(from + 8),
        .version_high = load_u64(from + 16),
        .run = {.rows = load_u32(from + 40),
                .tombstones = load_u32(from + 44),
                .flags = load_u32(from + 52),
                .hash = load_u64(from + 56)},
    };
    if (load_u32(from + 48) != 0) {
        return "sealed with a key that this version does not know";
    }
    if (out->version_low > out->version_high) {
        return "versions run backwards";
    }
    if (offset % 64 != 0 || bytes % 64 != 0 || offset > directory || bytes > directory - offset ||
        (bytes != 0 && offset < SEGMENT_PAGE)) {
        return "extent outside the file";
    }
    out->run.offset_64 = (uint32_t)(offset / 64);
    out->run.size_64 = (uint32_t)(bytes / 64);
    return check_run(out, offset, bytes);
}

typedef ins_status (*visit_entry)(void *context, const struct run_entry *entry, ins_error *error);

static ins_status walk_tables(struct table_reader *entries, struct table_reader *scopes,
                              const struct segment_trailer *trailer, visit_entry visit,
                              void *context, ins_error *error) {
    struct scope_place place = {0};
    for (uint32_t i = 0; i < trailer->entry_count; i++) {
        const uint8_t *from;
        const char *wrong = NULL;
        ins_status status;
        if (i == place.end) {
            if (scopes->next == scopes->entry_count) {
                return ins_fail(error, INS_CORRUPT, "%s: scope index ends before the directory",
                                entries->name);
            }
            status = table_next(scopes, &from, error);
            if (status != INS_OK) {
                return status;
            }
            wrong = parse_scope(from, trailer->entry_count, &place);
            if (wrong != NULL) {
                return ins_fail(error, INS_CORRUPT, "%s: scope index entry %u: %s", entries->name,
                                scopes->next - 1, wrong);
            }
        }
        status = table_next(entries, &from, error);
        if (status != INS_OK) {
            return status;
        }
        struct run_entry entry;
        wrong = parse_entry(from, trailer->directory, &place, &entry);
        if (wrong == NULL && i > place.begin && entry.incarnation < place.last_incarnation) {
            wrong = "incarnations do not ascend";
        }
        if (wrong != NULL) {
            return ins_fail(error, INS_CORRUPT, "%s: directory entry %u: %s", entries->name, i,
                            wrong);
        }
        place.last_incarnation = entry.incarnation;
        status = visit(context, &entry, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (scopes->next != scopes->entry_count) {
        return ins_fail(error, INS_CORRUPT, "%s: scope index goes on behind the directory",
                        entries->name);
    }
    return INS_OK;
}

/* Reads and verifies the hashes of the tables' pieces into `buffer`. */
static ins_status read_hashes(ins_store *store, const struct segment_info *info, const char *name,
                              const struct segment_trailer *trailer, size_t size, uint8_t *buffer,
                              const uint8_t **out, ins_error *error) {
    ins_status status = segment_read(store, name, info->size_bytes, trailer->table_hashes, size,
                                     buffer, out, error);
    if (status == INS_OK && hash64(*out, size) != trailer->table_hash) {
        return ins_fail(error, INS_CORRUPT, "%s: table hashes at %llu: hash does not match", name,
                        (unsigned long long)trailer->table_hashes);
    }
    return status;
}

static ins_status read_tables(ins_store *store, struct arena *arena,
                              const struct segment_info *info,
                              const struct segment_trailer *trailer, visit_entry visit,
                              void *context, ins_error *error) {
    char name[SEGMENT_NAME_MAX];
    segment_name(info->file, name);
    uint32_t pieces = segment_piece_count(trailer->entry_count, SEGMENT_ENTRIES_PER_PIECE);
    size_t hash_bytes =
        ((size_t)pieces + segment_piece_count(trailer->scope_count, SEGMENT_SCOPES_PER_PIECE)) * 8;
    size_t buffer_bytes = SEGMENT_PIECE_BYTES_MAX + SEGMENT_READ_SLACK;
    size_t hash_buffer_bytes = hash_bytes + SEGMENT_READ_SLACK;
    uint8_t *entry_buffer = arena_alloc(arena, INS_MEM_JOB, buffer_bytes);
    uint8_t *scope_buffer = arena_alloc(arena, INS_MEM_JOB, buffer_bytes);
    uint8_t *hash_buffer = arena_alloc(arena, INS_MEM_JOB, hash_buffer_bytes);
    const uint8_t *hashes = NULL;
    ins_status status = INS_OK;
    if (entry_buffer == NULL || scope_buffer == NULL || hash_buffer == NULL) {
        status = segment_out_of_memory(buffer_bytes, error);
        goto done;
    }
    status = read_hashes(store, info, name, trailer, hash_bytes, hash_buffer, &hashes, error);
    if (status == INS_OK) {
        struct table_reader entries = {
            .store = store,
            .info = info,
            .name = name,
            .what = "directory",
            .offset = trailer->directory,
            .entry_bytes = SEGMENT_ENTRY_BYTES,
            .entries_per_piece = SEGMENT_ENTRIES_PER_PIECE,
            .entry_count = trailer->entry_count,
            .hashes = hashes,
            .buffer = entry_buffer,
        };
        struct table_reader scopes = {
            .store = store,
            .info = info,
            .name = name,
            .what = "scope index",
            .offset = trailer->scope_index,
            .entry_bytes = SEGMENT_SCOPE_BYTES,
            .entries_per_piece = SEGMENT_SCOPES_PER_PIECE,
            .entry_count = trailer->scope_count,
            .hashes = hashes + (size_t)pieces * 8,
            .buffer = scope_buffer,
        };
        status = walk_tables(&entries, &scopes, trailer, visit, context, error);
    }

done:
    arena_free(arena, INS_MEM_JOB, hash_buffer, hash_buffer_bytes);
    arena_free(arena, INS_MEM_JOB, scope_buffer, buffer_bytes);
    arena_free(arena, INS_MEM_JOB, entry_buffer, buffer_bytes);
    return status;
}

ins_status segment_read_directory(ins_store *store, struct arena *arena,
                                  const struct segment_info *info, visit_entry visit, void *context,
                                  ins_error *error) {
    uint8_t *buffer = arena_alloc(arena, INS_MEM_JOB, SEGMENT_PAGE);
    if (buffer == NULL) {
        return segment_out_of_memory(SEGMENT_PAGE, error);
    }
    struct segment_trailer trailer = {0};
    ins_status status = segment_read_trailer(store, info, buffer, &trailer, error);
    arena_free(arena, INS_MEM_JOB, buffer, SEGMENT_PAGE);
    if (status != INS_OK || trailer.entry_count == 0) {
        return status;
    }
    return read_tables(store, arena, info, &trailer, visit, context, error);
}
