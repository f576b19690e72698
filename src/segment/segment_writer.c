/* Writing a segment: one file for many islands, appended front to back, durable at the commit.
 *
 * Path: begin writes the header page; each extent goes through `build` (a small extent whole, a
 * large one chunk by chunk) into `out`, which reaches the store in pieces of 1 MiB; its directory
 * entry waits in a table. Commit appends the tables, their hashes and the trailer.
 * Failure: after any failed call the caller aborts; nothing of the file can be seen.
 * Memory: 2 MiB of buffers, and the tables in pieces of 64 KiB; all INS_MEM_JOB. */
#include <stdio.h>

#include "segment/segment_private.h"

void segment_name(uint64_t file, char out[static SEGMENT_NAME_MAX]) {
    (void)snprintf(out, SEGMENT_NAME_MAX, "segments/%016llx.seg", (unsigned long long)file);
}

ins_status segment_out_of_memory(size_t size, ins_error *error) {
    return ins_fail(error, INS_EXHAUSTED,
                    "no memory for a job of the segments: %zu bytes asked for", size);
}

/* ---- Sink ---------------------------------------------------------------------------------- */

ins_status sink_put(struct segment_writer *writer, const void *data, size_t size,
                    ins_error *error) {
    const uint8_t *from = data;
    if (size > SEGMENT_FILE_BYTES_MAX - writer->end) {
        return ins_fail(error, INS_FULL, "segment %016llx would grow above %llu bytes",
                        (unsigned long long)writer->file,
                        (unsigned long long)SEGMENT_FILE_BYTES_MAX);
    }
    writer->end += size;
    while (size > 0) {
        size_t room = SINK_BYTES - writer->out_used;
        size_t part = size < room ? size : room;
        memcpy(writer->out + writer->out_used, from, part);
        writer->out_used += part;
        from += part;
        size -= part;
        if (writer->out_used == SINK_BYTES) {
            ins_status status =
                writer->store->ops->put_append(writer->put, writer->out, SINK_BYTES, error);
            if (status != INS_OK) {
                return status;
            }
            writer->out_used = 0;
        }
    }
    return INS_OK;
}

ins_status sink_zero_to(struct segment_writer *writer, uint64_t end, ins_error *error) {
    static const uint8_t zeros[SEGMENT_PAGE];
    INS_ASSERT(end >= writer->end);
    ins_status status = INS_OK;
    while (writer->end < end && status == INS_OK) {
        uint64_t left = end - writer->end;
        size_t part = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
        status = sink_put(writer, zeros, part, error);
    }
    return status;
}

/* ---- Tables that wait for the end of the file -------------------------------------------------
 */

/* Room for one more entry; NULL when memory is used up. */
static uint8_t *table_add(struct arena *arena, struct table *table) {
    struct table_piece *piece = table->last;
    if (piece == NULL || piece->size == table->entry_bytes * table->entries_per_piece) {
        piece = arena_alloc(arena, INS_MEM_JOB, sizeof(*piece));
        if (piece == NULL) {
            return NULL;
        }
        piece->next = NULL;
        piece->size = 0;
        if (table->last == NULL) {
            table->first = piece;
        } else {
            table->last->next = piece;
        }
        table->last = piece;
    }
    uint8_t *entry = piece->bytes + piece->size;
    piece->size += table->entry_bytes;
    table->entry_count++;
    memset(entry, 0, table->entry_bytes);
    return entry;
}

static uint8_t *table_last(const struct table *table) {
    return table->last->bytes + table->last->size - table->entry_bytes;
}

static void table_free(struct arena *arena, struct table *table) {
    for (struct table_piece *piece = table->first, *next; piece != NULL; piece = next) {
        next = piece->next;
        arena_free(arena, INS_MEM_JOB, piece, sizeof(*piece));
    }
    *table = (struct table){0};
}

/* Appends the table's pieces and their hashes to `hashes`. */
static ins_status table_write(struct segment_writer *writer, const struct table *table,
                              uint64_t *hashes, uint32_t *hash_count, ins_error *error) {
    ins_status status = sink_zero_to(writer, align_up(writer->end, 64), error);
    for (struct table_piece *piece = table->first; piece != NULL && status == INS_OK;
         piece = piece->next) {
        hashes[(*hash_count)++] = hash64(piece->bytes, piece->size);
        status = sink_put(writer, piece->bytes, piece->size, error);
    }
    return status;
}

/* ---- Begin and end ----------------------------------------------------------------------------
 */

static void writer_free(struct segment_writer *writer) {
    struct arena *arena = writer->arena;
    table_free(arena, &writer->directory);
    table_free(arena, &writer->scopes);
    arena_free(arena, INS_MEM_JOB, writer->out, SINK_BYTES);
    arena_free(arena, INS_MEM_JOB, writer->build, INS_SMALL_EXTENT_BYTES_MAX);
    arena_free(arena, INS_MEM_JOB, writer->hashes, writer->hash_capacity * sizeof(uint64_t));
    arena_free(arena, INS_MEM_JOB, writer, sizeof(*writer));
}

void segment_writer_abort(struct segment_writer *writer) {
    if (writer == NULL) {
        return;
    }
    writer->store->ops->put_abort(writer->put);
    writer_free(writer);
}

static ins_status write_header_page(struct segment_writer *writer, ins_error *error) {
    uint8_t *page = writer->build;
    memset(page, 0, SEGMENT_PAGE);
    store_u64(page, SEGMENT_HEADER_MAGIC);
    store_u32(page + SEGMENT_MAGIC_BYTES, SEGMENT_FORMAT);
    store_u64(page + PAGE_FILE, writer->file);
    memcpy(page + PAGE_RANDOM, writer->random_id, sizeof(writer->random_id));
    store_u64(page + PAGE_HASH, hash64(page, PAGE_HASH));
    writer->page_hash = hash64(page, SEGMENT_PAGE);
    return sink_put(writer, page, SEGMENT_PAGE, error);
}

ins_status segment_writer_begin(ins_store *store, struct arena *arena, uint64_t file,
                                const uint8_t random_id[16], struct segment_writer **out_writer,
                                ins_error *error) {
    INS_ASSERT(store != NULL);
    INS_ASSERT(out_writer != NULL);
    char name[SEGMENT_NAME_MAX];
    segment_name(file, name);
    struct segment_writer *writer = arena_alloc_zero(arena, INS_MEM_JOB, sizeof(*writer));
    if (writer == NULL) {
        return segment_out_of_memory(sizeof(*writer), error);
    }
    writer->store = store;
    writer->arena = arena;
    writer->file = file;
    memcpy(writer->random_id, random_id, sizeof(writer->random_id));
    writer->directory = (struct table){.entry_bytes = SEGMENT_ENTRY_BYTES,
                                       .entries_per_piece = SEGMENT_ENTRIES_PER_PIECE};
    writer->scopes = (struct table){.entry_bytes = SEGMENT_SCOPE_BYTES,
                                    .entries_per_piece = SEGMENT_SCOPES_PER_PIECE};
    ins_status status = INS_OK;
    writer->out = arena_alloc(arena, INS_MEM_JOB, SINK_BYTES);
    writer->build = arena_alloc(arena, INS_MEM_JOB, INS_SMALL_EXTENT_BYTES_MAX);
    if (writer->out == NULL || writer->build == NULL) {
        status = segment_out_of_memory(SINK_BYTES, error);
        goto fail;
    }
    status = store->ops->put_begin(store, name, &writer->put, error);
    if (status != INS_OK) {
        writer->put = NULL;
        goto fail;
    }
    status = write_header_page(writer, error);
    if (status != INS_OK) {
        goto fail;
    }
    *out_writer = writer;
    return INS_OK;

fail:
    segment_writer_abort(writer);
    return status;
}

uint64_t segment_writer_size(const struct segment_writer *writer) {
    return writer->end;
}

/* Trailer at the end of a last page; `directory` and `scope_index` are where the tables begin. */
static ins_status write_trailer(struct segment_writer *writer, uint64_t directory,
                                uint64_t scope_index, uint64_t table_hashes, uint64_t table_hash,
                                struct segment_info *out_info, ins_error *error) {
    uint64_t size = align_up(writer->end + SEGMENT_TRAILER_BYTES, SEGMENT_PAGE);
    ins_status status = sink_zero_to(writer, size - SEGMENT_TRAILER_BYTES, error);
    if (status != INS_OK) {
        return status;
    }
    uint8_t trailer[SEGMENT_TRAILER_BYTES] = {0};
    store_u64(trailer, SEGMENT_TRAILER_MAGIC);
    store_u32(trailer + SEGMENT_MAGIC_BYTES, SEGMENT_FORMAT);
    store_u64(trailer + TRAILER_FILE, writer->file);
    memcpy(trailer + TRAILER_RANDOM, writer->random_id, sizeof(writer->random_id));
    store_u64(trailer + TRAILER_SIZE, size);
    store_u64(trailer + TRAILER_DIRECTORY, directory);
    store_u32(trailer + TRAILER_ENTRIES, writer->directory.entry_count);
    store_u32(trailer + TRAILER_SCOPES, writer->scopes.entry_count);
    store_u64(trailer + TRAILER_SCOPE_INDEX, scope_index);
    store_u64(trailer + TRAILER_TABLE_HASHES, table_hashes);
    store_u64(trailer + TRAILER_TABLE_HASH, table_hash);
    store_u64(trailer + TRAILER_PAGE_HASH, writer->page_hash);
    store_u64(trailer + TRAILER_HASH, hash64(trailer, TRAILER_HASH));
    *out_info = (struct segment_info){
        .file = writer->file,
        .size_bytes = size,
        .trailer_hash = hash64(trailer, sizeof(trailer)),
        .extent_count = writer->directory.entry_count,
    };
    memcpy(out_info->random_id, writer->random_id, sizeof(writer->random_id));
    return sink_put(writer, trailer, sizeof(trailer), error);
}

static ins_status write_tables(struct segment_writer *writer, struct segment_info *out_info,
                               ins_error *error) {
    /* `build` is free by now; 16 M extents in as many scopes give 192 KiB of hashes. */
    uint64_t *hashes = (uint64_t *)(void *)writer->build;
    uint32_t hash_count = 0;
    uint64_t directory = align_up(writer->end, 64);
    ins_status status = table_write(writer, &writer->directory, hashes, &hash_count, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t scope_index = align_up(writer->end, 64);
    status = table_write(writer, &writer->scopes, hashes, &hash_count, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t table_hashes = align_up(writer->end, 64);
    status = sink_zero_to(writer, table_hashes, error);
    if (status != INS_OK) {
        return status;
    }
    size_t size = hash_count * sizeof(uint64_t);
    status = sink_put(writer, hashes, size, error);
    if (status != INS_OK) {
        return status;
    }
    return write_trailer(writer, directory, scope_index, table_hashes, hash64(hashes, size),
                         out_info, error);
}
_Static_assert((SEGMENT_EXTENTS_MAX / SEGMENT_ENTRIES_PER_PIECE +
                SEGMENT_EXTENTS_MAX / SEGMENT_SCOPES_PER_PIECE + 2) *
                       sizeof(uint64_t) <=
                   INS_SMALL_EXTENT_BYTES_MAX,
               "the table hashes fit the build buffer");

ins_status segment_writer_commit(struct segment_writer *writer, struct segment_info *out_info,
                                 ins_error *error) {
    struct segment_info info;
    ins_status status = write_tables(writer, &info, error);
    if (status == INS_OK && writer->out_used != 0) {
        INS_ASSERT(writer->out_used % STORE_ALIGN == 0);
        status = writer->store->ops->put_append(writer->put, writer->out, writer->out_used, error);
    }
    if (status != INS_OK) {
        segment_writer_abort(writer);
        return status;
    }
    INS_ASSERT(writer->end == info.size_bytes);
    status = writer->store->ops->put_commit(writer->put, error);
    writer_free(writer);
    if (status == INS_OK) {
        *out_info = info;
    }
    return status;
}

/* ---- Extents ----------------------------------------------------------------------------------
 */

static void assert_order(const struct segment_writer *writer, const struct extent_source *source) {
    INS_ASSERT(source->shard <= UINT16_MAX);
    INS_ASSERT(source->version_low <= source->version_high);
    INS_ASSERT(source->vector_count <= INS_VECTORS_MAX);
    if (!writer->any_extent || source->shard > writer->last_shard) {
        return;
    }
    INS_ASSERT(source->shard == writer->last_shard);
    INS_ASSERT(source->scope >= writer->last_scope);
    if (source->scope == writer->last_scope) {
        INS_ASSERT(source->incarnation >= writer->last_incarnation);
    }
}

static ins_status add_scope(struct segment_writer *writer, const struct extent_source *source,
                            ins_error *error) {
    bool same = writer->any_extent && source->shard == writer->last_shard &&
                source->scope == writer->last_scope;
    if (same) {
        uint8_t *entry = table_last(&writer->scopes);
        store_u32(entry + 16, load_u32(entry + 16) + 1);
        return INS_OK;
    }
    uint8_t *entry = table_add(writer->arena, &writer->scopes);
    if (entry == NULL) {
        return segment_out_of_memory(sizeof(struct table_piece), error);
    }
    store_u64(entry, source->scope);
    store_u16(entry + 8, (uint16_t)source->shard);
    store_u32(entry + 12, writer->directory.entry_count);
    store_u32(entry + 16, 1);
    return INS_OK;
}

static ins_status add_entry(struct segment_writer *writer, const struct extent_source *source,
                            const struct run *run, ins_error *error) {
    ins_status status = add_scope(writer, source, error);
    if (status != INS_OK) {
        return status;
    }
    uint8_t *entry = table_add(writer->arena, &writer->directory);
    if (entry == NULL) {
        return segment_out_of_memory(sizeof(struct table_piece), error);
    }
    store_u64(entry, source->incarnation);
    store_u64(entry + 8, source->version_low);
    store_u64(entry + 16, source->version_high);
    store_u64(entry + 24, (uint64_t)run->offset_64 * 64);
    store_u64(entry + 32, (uint64_t)run->size_64 * 64);
    store_u32(entry + 40, run->rows);
    store_u32(entry + 44, run->tombstones);
    store_u32(entry + 52, run->flags);
    store_u64(entry + 56, run->hash);
    writer->any_extent = true;
    writer->last_shard = source->shard;
    writer->last_scope = source->scope;
    writer->last_incarnation = source->incarnation;
    return INS_OK;
}

static ins_status too_many_extents(const struct segment_writer *writer, ins_error *error) {
    return ins_fail(error, INS_FULL, "segment %016llx has %u extents, which is the limit",
                    (unsigned long long)writer->file, SEGMENT_EXTENTS_MAX);
}

ins_status segment_writer_entry(struct segment_writer *writer, const struct run_entry *entry,
                                const struct run *run, ins_error *error) {
    struct extent_source source = {.shard = entry->shard,
                                   .scope = entry->scope,
                                   .incarnation = entry->incarnation,
                                   .version_low = entry->version_low,
                                   .version_high = entry->version_high};
    assert_order(writer, &source);
    if (writer->directory.entry_count >= SEGMENT_EXTENTS_MAX) {
        return too_many_extents(writer, error);
    }
    return add_entry(writer, &source, run, error);
}

ins_status segment_writer_extent(struct segment_writer *writer, const struct extent_source *source,
                                 struct run *out_run, ins_error *error) {
    INS_ASSERT(writer->put != NULL);
    assert_order(writer, source);
    if (writer->directory.entry_count >= SEGMENT_EXTENTS_MAX) {
        return too_many_extents(writer, error);
    }
    struct extent_counts counts;
    ins_status status = walk_count(source, &counts, error);
    if (status != INS_OK) {
        return status;
    }
    struct run run = {.flags = source->directory ? RUN_DIRECTORY : 0};
    if (counts.rows != 0 || counts.tombstones != 0) {
        status = source->directory ? extent_write_directory(writer, source, &counts, &run, error)
                                   : extent_write_rows(writer, source, &counts, &run, error);
    }
    if (status == INS_OK) {
        status = add_entry(writer, source, &run, error);
    }
    if (status == INS_OK) {
        *out_run = run;
    }
    return status;
}
