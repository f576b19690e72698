#include "tenant/directory.h"

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "tenant/page.h"

static struct chunks index_chunks(const struct reader_run *run) {
    const struct reader_chunks *section = &run->sections[SECTION_DIRECTORY_INDEX];
    return (struct chunks){.chunks = section->chunks,
                           .chunk_bytes = run->extent.sections[SECTION_DIRECTORY_INDEX].chunk_bytes,
                           .chunk_count = section->count};
}

/* One 4 KiB block of a run, pinned. */
static ins_status block_bytes(struct reader *reader, uint32_t run, uint32_t block,
                              const uint8_t **out_data, size_t *out_size, ins_error *error) {
    const struct extent *extent = &reader->runs[run].extent;
    const struct section *section = &extent->sections[SECTION_DIRECTORY];
    uint32_t offset;
    uint32_t chunk = directory_block_chunk(extent, block, &offset);
    const uint8_t *data = NULL;
    ins_status status = reader_chunk(reader, run, SECTION_DIRECTORY, chunk, &data, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t left = section->size - (uint64_t)block * INS_DIRECTORY_BLOCK;
    *out_data = data + offset;
    *out_size = left < INS_DIRECTORY_BLOCK ? left : INS_DIRECTORY_BLOCK;
    return INS_OK;
}

static ins_status find_in_run(struct reader *reader, uint32_t run, const ins_id *id, uint64_t hash,
                              bool *out_found, uint64_t *out_incarnation, ins_error *error) {
    const struct reader_run *reader_run = &reader->runs[run];
    *out_found = false;
    if (!reader_run->loaded || reader_run->extent.row_count == 0) {
        return INS_OK;
    }
    const uint8_t *filter;
    uint32_t chunk = directory_filter_chunk(&reader_run->extent, hash);
    ins_status status = reader_chunk(reader, run, SECTION_FILTER, chunk, &filter, error);
    if (status != INS_OK) {
        return status;
    }
    if (!directory_filter_test(&reader_run->extent, filter, hash)) {
        return INS_OK;
    }
    struct chunks index = index_chunks(reader_run);
    uint32_t block;
    if (!directory_block_of(&reader_run->extent, &index, id, &block)) {
        return INS_OK;
    }
    const uint8_t *data = NULL;
    size_t size;
    status = block_bytes(reader, run, block, &data, &size, error);
    if (status != INS_OK) {
        return status;
    }
    return directory_block_find(data, size, id, out_found, out_incarnation, error);
}

ins_status directory_find(struct reader *reader, const ins_id *id, uint64_t *out_incarnation,
                          ins_error *error) {
    for (int which = 0; which < 2; which++) {
        const struct memrow *row = memtable_find(reader->mem[which], id, reader->lsn);
        if (row != NULL) {
            *out_incarnation = memrow_incarnation(row);
            return INS_OK;
        }
    }
    ins_status status = reader_load(reader, error);
    uint64_t hash = id_hash(id);
    for (uint32_t run = 0; run < reader->run_count && status == INS_OK; run++) {
        bool found;
        status = find_in_run(reader, run, id, hash, &found, out_incarnation, error);
        if (status == INS_OK && found) {
            return INS_OK;
        }
    }
    *out_incarnation = 0;
    return status;
}

void directory_prefetch(const struct reader *reader, const ins_id *id) {
    for (int which = 0; which < 2; which++) {
        memtable_prefetch(reader->mem[which], id);
    }
    uint64_t hash = id_hash(id);
    for (uint32_t i = 0; i < reader->run_count; i++) {
        const struct reader_run *run = &reader->runs[i];
        const struct reader_chunks *filter = &run->sections[SECTION_FILTER];
        if (!run->loaded || run->extent.row_count == 0 || filter->chunks == NULL) {
            continue;
        }
        const uint8_t *chunk = filter->chunks[directory_filter_chunk(&run->extent, hash)];
        if (chunk != NULL) {
            directory_filter_prefetch(&run->extent, chunk, hash);
        }
    }
}

/* ---- Pages ---- */

struct page_run {
    struct directory_entry *entries;
    uint32_t count, at;
};

/* Entries of one run with id >= start, at most `capacity`, ascending. */
static ins_status page_of_run(struct reader *reader, uint32_t run, const ins_id *start,
                              uint32_t capacity, struct page_run *out, ins_error *error) {
    const struct extent *extent = &reader->runs[run].extent;
    struct chunks index = index_chunks(&reader->runs[run]);
    uint32_t block;
    if (!directory_block_of(extent, &index, start, &block)) {
        block = 0;
    }
    out->count = 0;
    uint32_t last_chunk = UINT32_MAX;
    for (; block < directory_block_count(extent) && out->count < capacity; block++) {
        const uint8_t *data = NULL;
        size_t size;
        uint32_t offset, chunk = directory_block_chunk(extent, block, &offset);
        if (chunk != last_chunk) {
            reader_release_chunks(reader, run, SECTION_DIRECTORY, chunk);
            last_chunk = chunk;
        }
        ins_status status = block_bytes(reader, run, block, &data, &size, error);
        struct directory_cursor cursor;
        if (status == INS_OK) {
            status = directory_block_begin(data, size, &cursor, error);
        }
        if (status != INS_OK) {
            return status;
        }
        struct directory_entry entry;
        while (out->count < capacity && directory_block_next(&cursor, &entry, &status)) {
            if (id_compare(&entry.id, start) >= 0) {
                out->entries[out->count++] = entry;
            }
        }
        if (status != INS_OK) {
            return ins_fail(error, status, "file %llu: a block of the id directory is malformed",
                            (unsigned long long)extent->file);
        }
    }
    return INS_OK;
}

static ins_status page_sources(struct reader *reader, const ins_id *start, uint32_t capacity,
                               struct page_run *sources, uint32_t *out_count, ins_error *error) {
    uint32_t count = 0;
    for (uint32_t which = 0; which < 2; which++) {
        const struct memrow **rows = reader->page_rows[which];
        struct page_run *source = &sources[count];
        source->entries = reader->page_entries + (size_t)count++ * reader->page_room;
        source->count = page_memtable(reader, which, start, false, rows, capacity);
        for (uint32_t i = 0; i < source->count; i++) {
            source->entries[i] = (struct directory_entry){
                .id = memrow_id(rows[i]), .incarnation = memrow_incarnation(rows[i])};
        }
    }
    for (uint32_t run = 0; run < reader->run_count; run++) {
        if (!reader->runs[run].loaded || reader->runs[run].extent.row_count == 0) {
            continue;
        }
        struct page_run *source = &sources[count];
        source->entries = reader->page_entries + (size_t)count++ * reader->page_room;
        ins_status status = page_of_run(reader, run, start, capacity, source, error);
        if (status != INS_OK) {
            return status;
        }
    }
    *out_count = count;
    return INS_OK;
}

ins_status directory_page(struct reader *reader, const ins_id *start, struct directory_entry *out,
                          uint32_t capacity, uint32_t *out_count, ins_error *error) {
    struct page_run sources[2 + 2 * INS_RUNS_MAX] = {0};
    uint32_t source_count = 0, count = 0;
    ins_status status = reader_load(reader, error);
    if (status == INS_OK) {
        status = page_reserve(reader, capacity, true, error);
    }
    if (status == INS_OK) {
        status = page_sources(reader, start, capacity, sources, &source_count, error);
    }
    while (status == INS_OK && count < capacity) {
        /* Sources stand newest first, so of equal ids the first one found wins. */
        const struct directory_entry *least = NULL;
        for (uint32_t i = 0; i < source_count; i++) {
            const struct page_run *source = &sources[i];
            INS_ASSERT(source->count == 0 || source->entries != NULL);
            if (source->at < source->count &&
                (least == NULL || id_compare(&source->entries[source->at].id, &least->id) < 0)) {
                least = &source->entries[source->at];
            }
        }
        if (least == NULL) {
            break;
        }
        out[count++] = *least;
        ins_id id = least->id;
        for (uint32_t i = 0; i < source_count; i++) {
            if (sources[i].at < sources[i].count &&
                id_equal(&sources[i].entries[sources[i].at].id, &id)) {
                sources[i].at++;
            }
        }
    }
    *out_count = count;
    return status;
}
