#include "tenant/reader_private.h"

#include "base/assert.h"
#include "base/status.h"

/* ---- Opening and closing ---- */

static void open_memtables(struct reader *reader) {
    struct read_context *context = reader->context;
    for (uint32_t which = 0; which < 2; which++) {
        uint32_t slot = which == 0 ? context->active_slot : 1 - context->active_slot;
        struct island_mem *mem = reader->island->mem[slot];
        if (mem == NULL) {
            continue;
        }
        reader->mem[which] = mem;
        reader->generations[which] = mem->generation;
        generation_pin(mem->generation);
    }
}

static void count_view(const struct reader *reader) {
    struct trace *trace = reader_trace(reader);
    bool directory = (reader->island->flags & ISLAND_DIRECTORY) != 0;
    TRACE_ADD(trace, directories, directory);
    if (trace != NULL && !directory) {
        trace->several |= trace->only != 0 && trace->only != reader->island->incarnation;
        trace->only = reader->island->incarnation;
    }
    if (!directory) {
        TRACE_ADD(trace, islands, 1);
        TRACE_ADD(trace, extents, reader->run_count);
        TRACE_ADD(trace, memtables, (uint64_t)(reader->mem[0] != NULL) + (reader->mem[1] != NULL));
        TRACE_ADD(trace, rows_held, reader_row_bound(reader));
    }
}

ins_status reader_open(struct reader *reader, struct read_context *context, struct island *island,
                       uint64_t lsn, const struct pool *like, struct cache_waiter *waiter,
                       ins_error *error) {
    INS_ASSERT(!reader->open);
    *reader =
        (struct reader){.context = context,
                        .waiter = waiter,
                        .island = island,
                        .tenant = lsn == UINT64_MAX ? island_newest_name(context->islands, island)
                                                    : island_name(island),
                        .lsn = lsn,
                        .run_count = island->run_count};
    pool_init(&reader->pool, like->arena, like->purpose, like->max_bytes);
    if (island->run_count > 0) {
        reader->runs =
            pool_alloc_zero(&reader->pool, island->run_count * sizeof(struct reader_run));
        if (reader->runs == NULL) {
            pool_fini(&reader->pool);
            return ins_fail(error, INS_FULL, "no memory for a view of %u runs", island->run_count);
        }
    }
    for (uint32_t i = 0; i < island->run_count; i++) {
        reader->runs[i].run = island->runs[island->run_count - 1 - i];
        files_at(context->islands->files, reader->runs[i].run.file_slot)->pins++;
    }
    island_pin(island);
    open_memtables(reader);
    reader->open = true;
    count_view(reader);
    return INS_OK;
}

static void release_section(struct reader *reader, struct reader_chunks *section, uint32_t keep) {
    reader->span.count = 0;
    for (uint32_t chunk = 0; chunk < section->count && section->pinned > 0; chunk++) {
        if (section->blocks[chunk] != NULL && chunk != keep) {
            cache_unpin(reader->context->cache, section->blocks[chunk]);
            section->blocks[chunk] = NULL;
            section->chunks[chunk] = NULL;
            section->pinned--;
        }
    }
}

static void release_run(struct reader *reader, struct reader_run *run) {
    for (uint32_t slot = 0; slot < SECTION_SLOTS; slot++) {
        release_section(reader, &run->sections[slot], UINT32_MAX);
    }
    for (uint32_t i = 0; run->more != NULL && i < run->extent.section_count; i++) {
        release_section(reader, &run->more[i], UINT32_MAX);
    }
}

void reader_close(struct reader *reader) {
    if (!reader->open) {
        return;
    }
    struct read_context *context = reader->context;
    for (uint32_t i = 0; i < reader->run_count; i++) {
        struct reader_run *run = &reader->runs[i];
        release_run(reader, run);
        if (run->first != NULL) {
            cache_unpin(context->cache, run->first);
        }
        files_unpin(context->islands->files, run->run.file_slot);
    }
    for (int which = 0; which < 2; which++) {
        if (reader->generations[which] != NULL) {
            generation_unpin(reader->generations[which]);
        }
    }
    reader_release_pieces(reader);
    island_unpin(context->islands, reader->island);
    pool_fini(&reader->pool);
    reader->open = false;
}

/* ---- Bringing bytes ---- */

static uint64_t file_number(const struct reader *reader, const struct run *run) {
    return files_at(reader->context->islands->files, run->file_slot)->info.file;
}

static ins_status load_header(struct reader *reader, struct reader_run *run, ins_error *error) {
    struct block_key key;
    uint64_t file = file_number(reader, &run->run);
    if (run->loaded || !run_first_block(&run->run, file, &key)) {
        return INS_OK;
    }
    const uint8_t *data = NULL;
    struct block *block;
    ins_status status = reader_pin(reader, &key, reader_class(reader, SECTION_IDS), reader->waiter,
                                   &block, &data, error);
    run->cold |= status == INS_AGAIN;
    if (status != INS_OK) {
        return status;
    }
    run->first = block;
    status = extent_parse(&run->run, file, (struct slice){.data = data, .size = key.size},
                          reader->island->incarnation, &run->extent, error);
    run->loaded = status == INS_OK;
    if (status != INS_OK) {
        cache_unpin(reader->context->cache, block);
        run->first = NULL;
        return status;
    }
    return run->cold && reader_bring_rest(reader, &run->extent) ? INS_AGAIN : INS_OK;
}

/* Goes over all runs even when one has to wait, so that one wait brings them all. */
ins_status reader_load_headers(struct reader *reader, ins_error *error) {
    ins_status result = INS_OK;
    for (uint32_t i = 0; i < reader->run_count; i++) {
        ins_status status = load_header(reader, &reader->runs[i], error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

/* The chunks of a slot; NULL when memory is out. */
static struct reader_chunks *chunks_at(struct reader *reader, struct reader_run *run,
                                       uint32_t slot) {
    if (slot < SECTION_SLOTS) {
        return &run->sections[slot];
    }
    INS_ASSERT(slot < extent_slot_count(&run->extent));
    if (run->more == NULL) {
        run->more = pool_alloc_zero(&reader->pool,
                                    run->extent.section_count * sizeof(struct reader_chunks));
    }
    return run->more == NULL ? NULL : &run->more[slot - SECTION_SLOTS];
}

static ins_status prepare_chunks(struct reader *reader, struct reader_run *run, uint32_t slot,
                                 struct reader_chunks **out, ins_error *error) {
    struct reader_chunks *chunks = chunks_at(reader, run, slot);
    if (chunks != NULL && chunks->chunks != NULL) {
        *out = chunks;
        return INS_OK;
    }
    struct section section = extent_slot_section(&run->extent, slot);
    uint32_t count = run->extent.small ? 1 : section.chunk_count;
    if (chunks != NULL && count > 0) {
        chunks->chunks = pool_alloc_zero(&reader->pool, count * sizeof(*chunks->chunks));
        chunks->blocks = pool_alloc_zero(&reader->pool, count * sizeof(struct block *));
    }
    if (chunks == NULL || (count > 0 && (chunks->chunks == NULL || chunks->blocks == NULL))) {
        if (chunks != NULL) {
            chunks->chunks = NULL;
        }
        return ins_fail(error, INS_FULL, "no memory for a view of %u chunks", count);
    }
    chunks->count = count;
    if (run->extent.small) {
        chunks->chunks[0] = extent_section(&run->extent, slot).data;
    }
    *out = chunks;
    return INS_OK;
}

/* `waiter` NULL: only when it is at hand. */
static ins_status pin_chunk(struct reader *reader, uint32_t run_index, uint32_t slot,
                            uint32_t chunk, struct cache_waiter *waiter, const uint8_t **out_data,
                            ins_error *error) {
    struct reader_run *run = &reader->runs[run_index];
    INS_ASSERT(run->loaded);
    struct reader_chunks *section = NULL;
    ins_status status = prepare_chunks(reader, run, slot, &section, error);
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(section != NULL);
    if (chunk >= section->count) {
        return ins_fail(error, INS_CORRUPT, "file %llu, extent at %llu: section %u has no chunk %u",
                        (unsigned long long)run->extent.file,
                        (unsigned long long)run->extent.offset, slot, chunk);
    }
    INS_ASSERT(section->chunks != NULL);
    if (section->chunks[chunk] == NULL) {
        struct block_key key = extent_chunk(&run->extent, slot, chunk);
        status = reader_pin(reader, &key, reader_chunk_class(reader, &run->extent, slot), waiter,
                            &section->blocks[chunk], &section->chunks[chunk], error);
        if (status != INS_OK) {
            section->blocks[chunk] = NULL;
            section->chunks[chunk] = NULL;
            return status;
        }
        section->pinned++;
        reader->pinned_more = true;
    }
    *out_data = section->chunks[chunk];
    return INS_OK;
}

ins_status reader_chunk(struct reader *reader, uint32_t run, uint32_t slot, uint32_t chunk,
                        const uint8_t **out_data, ins_error *error) {
    return pin_chunk(reader, run, slot, chunk, reader->waiter, out_data, error);
}

ins_status reader_chunk_at_hand(struct reader *reader, uint32_t run, uint32_t slot, uint32_t chunk,
                                const uint8_t **out_data, ins_error *error) {
    return pin_chunk(reader, run, slot, chunk, NULL, out_data, error);
}

static void release_slot(struct reader *reader, struct reader_run *run, uint32_t slot,
                         uint32_t keep) {
    if (slot < SECTION_SLOTS) {
        release_section(reader, &run->sections[slot], keep);
    } else if (run->more != NULL) {
        release_section(reader, &run->more[slot - SECTION_SLOTS], keep);
    }
}

void reader_release_chunks(struct reader *reader, uint32_t run, uint32_t slot, uint32_t keep) {
    if (!reader->runs[run].extent.small) {
        release_slot(reader, &reader->runs[run], slot, keep);
    }
}

/* ---- Trimming ---- */

static void trim_slot(struct reader *reader, uint32_t run, uint32_t slot,
                      const struct reader_chunks *chunks) {
    if (chunks->pinned > READER_CHUNKS_KEPT) {
        reader_release_chunks(reader, run, slot, UINT32_MAX);
    }
}

static void trim_run(struct reader *reader, uint32_t number) {
    static const enum section_kind kinds[] = {SECTION_VERSIONS, SECTION_DENSE,
                                              SECTION_PAYLOAD_OFFSETS, SECTION_PAYLOAD};
    struct reader_run *run = &reader->runs[number];
    for (int i = 0; i < 4; i++) {
        trim_slot(reader, number, kinds[i], &run->sections[kinds[i]]);
    }
    for (uint32_t i = 0; run->more != NULL && i < run->extent.section_count; i++) {
        if (extent_slot_section(&run->extent, SECTION_SLOTS + i).kind == SECTION_DENSE) {
            trim_slot(reader, number, SECTION_SLOTS + i, &run->more[i]);
        }
    }
}

void reader_trim(struct reader *reader, const struct place *place) {
    if (!reader->pinned_more) {
        return;
    }
    reader->pinned_more = false;
    if (reader->piece_count > READER_PIECES_KEPT) {
        reader_release_pieces(reader);
    }
    uint32_t first = place->row != NULL ? 0 : place->run;
    if (place->row == NULL) {
        trim_run(reader, first++);
    }
    bool inherits = reader_is_patch(reader, place);
    for (uint32_t run = first; inherits && run < reader->run_count; run++) {
        trim_run(reader, run);
    }
}

ins_status reader_load_slot(struct reader *reader, uint32_t run_index, uint32_t slot,
                            ins_error *error) {
    struct reader_run *run = &reader->runs[run_index];
    struct section section = extent_slot_section(&run->extent, slot);
    if (!section.present) {
        return INS_OK;
    }
    uint32_t count = run->extent.small ? 1 : section.chunk_count;
    ins_status result = INS_OK;
    for (uint32_t chunk = 0; chunk < count; chunk++) {
        const uint8_t *data = NULL;
        ins_status status = reader_chunk(reader, run_index, slot, chunk, &data, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

ins_status reader_load(struct reader *reader, ins_error *error) {
    ins_status status = reader_load_headers(reader, error);
    if (status != INS_OK) {
        return status;
    }
    static const enum section_kind island_kinds[] = {SECTION_IDS, SECTION_TOMBSTONES,
                                                     SECTION_PATCHES};
    static const enum section_kind directory_kinds[] = {SECTION_DIRECTORY_INDEX};
    bool directory = (reader->island->flags & ISLAND_DIRECTORY) != 0;
    const enum section_kind *kinds = directory ? directory_kinds : island_kinds;
    const int kind_count = directory ? 1 : 3;
    ins_status result = INS_OK;
    for (uint32_t run = 0; run < reader->run_count; run++) {
        for (int i = 0; i < kind_count && reader->runs[run].loaded; i++) {
            status = reader_load_slot(reader, run, kinds[i], error);
            if (status != INS_OK && status != INS_AGAIN) {
                return status;
            }
            result = status == INS_AGAIN ? INS_AGAIN : result;
        }
    }
    return result;
}

/* ---- Looking ---- */

/* NULL when nothing of the section was ever asked for. */
static const struct reader_chunks *held_chunks(const struct reader_run *run, uint32_t slot) {
    if (slot < SECTION_SLOTS) {
        return &run->sections[slot];
    }
    return run->more == NULL ? NULL : &run->more[slot - SECTION_SLOTS];
}

struct chunks reader_slot_chunks(const struct reader *reader, uint32_t run, uint32_t slot) {
    const struct reader_chunks *held = held_chunks(&reader->runs[run], slot);
    if (held == NULL) {
        return (struct chunks){.chunks = NULL};
    }
    return (struct chunks){.chunks = held->chunks,
                           .chunk_bytes =
                               extent_slot_section(&reader->runs[run].extent, slot).chunk_bytes,
                           .chunk_count = held->count};
}

uint32_t reader_slot_pinned(const struct reader *reader, uint32_t run, uint32_t slot) {
    const struct reader_chunks *held = held_chunks(&reader->runs[run], slot);
    return held == NULL ? 0 : held->pinned;
}

/* ---- Counting ---- */

uint64_t reader_row_bound(const struct reader *reader) {
    uint64_t bound = 0;
    for (uint32_t run = 0; run < reader->run_count; run++) {
        bound += reader->runs[run].run.rows;
    }
    for (int which = 0; which < 2; which++) {
        bound += reader->mem[which] != NULL ? reader->mem[which]->row_count : 0;
    }
    return bound;
}

bool reader_count_known(const struct reader *reader, uint64_t *out_count) {
    uint64_t with_rows = 0, count = 0;
    for (uint32_t run = 0; run < reader->run_count; run++) {
        with_rows += reader->runs[run].run.rows > 0 || reader->runs[run].run.tombstones > 0;
        count += reader->runs[run].run.rows;
    }
    if (reader->mem[0] != NULL || reader->mem[1] != NULL || with_rows > 1) {
        return false;
    }
    *out_count = count;
    return true;
}
