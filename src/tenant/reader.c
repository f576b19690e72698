#include "tenant/reader.h"

#include <string.h>

#include "base/assert.h"
#include "base/id.h"
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

ins_status reader_open(struct reader *reader, struct read_context *context, struct island *island,
                       uint64_t lsn, const struct pool *like, struct cache_waiter *waiter,
                       ins_error *error) {
    INS_ASSERT(!reader->open);
    *reader = (struct reader){.context = context,
                              .waiter = waiter,
                              .island = island,
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
    return INS_OK;
}

static void release_section(struct reader *reader, struct reader_chunks *section, uint32_t keep) {
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
    island_unpin(context->islands, reader->island);
    pool_fini(&reader->pool);
    reader->open = false;
}

/* ---- Bringing bytes ---- */

static enum cache_class class_of(const struct reader *reader, uint32_t slot) {
    bool index = (reader->island->flags & ISLAND_DIRECTORY) != 0 && slot != SECTION_DIRECTORY;
    return index ? CACHE_INDEX : CACHE_DATA;
}

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
    ins_status status = cache_pin(reader->context->cache, &key, class_of(reader, SECTION_IDS),
                                  reader->waiter, &block, &data, error);
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
    }
    return status;
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

ins_status reader_chunk(struct reader *reader, uint32_t run_index, uint32_t slot, uint32_t chunk,
                        const uint8_t **out_data, ins_error *error) {
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
        status = cache_pin(reader->context->cache, &key, class_of(reader, slot), reader->waiter,
                           &section->blocks[chunk], &section->chunks[chunk], error);
        if (status != INS_OK) {
            section->blocks[chunk] = NULL;
            section->chunks[chunk] = NULL;
            return status;
        }
        section->pinned++;
    }
    *out_data = section->chunks[chunk];
    return INS_OK;
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

static struct chunks chunks_of(const struct reader_run *run, enum section_kind kind) {
    const struct reader_chunks *section = &run->sections[kind];
    return (struct chunks){.chunks = section->chunks,
                           .chunk_bytes = run->extent.sections[kind].chunk_bytes,
                           .chunk_count = section->count};
}

/* Of the row numbers of a vector; none when every row has it. */
static struct chunks vector_rows_of(const struct reader_run *run,
                                    const struct extent_vector *vector) {
    if (vector->rows_slot == SLOT_NONE) {
        return (struct chunks){0};
    }
    INS_ASSERT(run->more != NULL);
    const struct reader_chunks *section = &run->more[vector->rows_slot - SECTION_SLOTS];
    uint32_t chunk_bytes = extent_slot_section(&run->extent, vector->rows_slot).chunk_bytes;
    return (struct chunks){
        .chunks = section->chunks, .chunk_bytes = chunk_bytes, .chunk_count = section->count};
}

static bool run_has_row(const struct reader_run *run, const ins_id *id, uint32_t *out_row) {
    if (!run->loaded || run->extent.row_count == 0) {
        return false;
    }
    struct chunks ids = chunks_of(run, SECTION_IDS);
    return extent_find(&run->extent, &ids, id, out_row);
}

static bool run_has_tombstone(const struct reader_run *run, const ins_id *id) {
    if (!run->loaded || run->extent.tombstone_count == 0) {
        return false;
    }
    struct chunks tombstones = chunks_of(run, SECTION_TOMBSTONES);
    return extent_find_tombstone(&run->extent, &tombstones, id);
}

static bool memtables_have(const struct reader *reader, const ins_id *id) {
    return memtable_find(reader->mem[0], id, reader->lsn) != NULL ||
           memtable_find(reader->mem[1], id, reader->lsn) != NULL;
}

bool reader_superseded(const struct reader *reader, uint32_t run, const ins_id *id) {
    if (memtables_have(reader, id)) {
        return true;
    }
    uint32_t newer = (uint32_t)((1ull << run) - 1);
    if (run < reader->run_count && reader->runs[run].overlaps_known) {
        newer &= reader->runs[run].overlaps;
    }
    for (; newer != 0; newer &= newer - 1) {
        const struct reader_run *other = &reader->runs[__builtin_ctz(newer)];
        uint32_t row;
        if (run_has_row(other, id, &row) || run_has_tombstone(other, id)) {
            return true;
        }
    }
    return false;
}

/* First and last id of what a run has, rows or tombstones. False: it has nothing. */
static bool id_range(const struct reader_run *run, ins_id *out_first, ins_id *out_last) {
    bool any = run->loaded && run->extent.row_count > 0;
    if (any) {
        struct chunks ids = chunks_of(run, SECTION_IDS);
        *out_first = extent_id(&run->extent, &ids, 0);
        *out_last = extent_id(&run->extent, &ids, run->extent.row_count - 1);
    }
    if (run->loaded && run->extent.tombstone_count > 0) {
        struct chunks dead = chunks_of(run, SECTION_TOMBSTONES);
        ins_id first = extent_tombstone_id(&run->extent, &dead, 0);
        ins_id last = extent_tombstone_id(&run->extent, &dead, run->extent.tombstone_count - 1);
        *out_first = !any || id_compare(&first, out_first) < 0 ? first : *out_first;
        *out_last = !any || id_compare(&last, out_last) > 0 ? last : *out_last;
        any = true;
    }
    return any;
}

void reader_find_overlaps(struct reader *reader, uint32_t run_index) {
    struct reader_run *run = &reader->runs[run_index];
    ins_id first, last, other_first, other_last;
    if (run->overlaps_known || !id_range(run, &first, &last)) {
        return;
    }
    INS_ASSERT(reader->run_count <= 32);
    run->overlaps = 0;
    for (uint32_t newer = 0; newer < run_index; newer++) {
        bool any = id_range(&reader->runs[newer], &other_first, &other_last);
        if (any && id_compare(&other_first, &last) <= 0 && id_compare(&first, &other_last) <= 0) {
            run->overlaps |= 1u << newer;
        }
    }
    run->overlaps_known = true;
}

bool reader_row_counts(const struct reader *reader, uint32_t which, const struct memrow *row) {
    if (!memrow_is_point(row) || !memrow_visible(row, reader->lsn)) {
        return false;
    }
    if (which == 1 && reader->mem[0] != NULL) {
        ins_id id = memrow_id(row);
        return memtable_find(reader->mem[0], &id, reader->lsn) == NULL;
    }
    return true;
}

/* The newest version in the sources from `source` on: memtables 0 and 1, then runs from 2 on. */
static bool find_from(const struct reader *reader, const ins_id *id, uint32_t source,
                      struct place *out) {
    for (uint32_t which = source; which < 2; which++) {
        const struct memrow *row = memtable_find(reader->mem[which], id, reader->lsn);
        if (row != NULL) {
            *out = (struct place){.row = row};
            return memrow_is_point(row);
        }
    }
    for (uint32_t run = source < 2 ? 0 : source - 2; run < reader->run_count; run++) {
        uint32_t row;
        if (run_has_row(&reader->runs[run], id, &row)) {
            *out = (struct place){.run = run, .run_row = row};
            return true;
        }
        if (run_has_tombstone(&reader->runs[run], id)) {
            return false;
        }
    }
    return false;
}

bool reader_find(const struct reader *reader, const ins_id *id, struct place *out) {
    return find_from(reader, id, 0, out);
}

bool reader_is_patch(const struct reader *reader, const struct place *place) {
    if (place->row != NULL) {
        return place->row->kind == MEMROW_PATCH;
    }
    const struct reader_run *run = &reader->runs[place->run];
    if (run->extent.patch_count == 0) {
        return false;
    }
    struct chunks patches = chunks_of(run, SECTION_PATCHES);
    return extent_is_patch(&run->extent, &patches, place->run_row);
}

bool reader_older(const struct reader *reader, struct place *place) {
    ins_id id = reader_id(reader, place);
    if (place->row == NULL) {
        return find_from(reader, &id, 2 + place->run + 1, place);
    }
    const struct memrow *base = memrow_base(place->row);
    if (base != NULL) {
        *place = (struct place){.row = base};
        return memrow_is_point(base);
    }
    bool active = place->row->owner == reader->mem[0];
    return find_from(reader, &id, active ? 1 : 2, place);
}

/* ---- Taking ---- */

struct chunks reader_ids(const struct reader *reader, uint32_t run) {
    return chunks_of(&reader->runs[run], SECTION_IDS);
}

ins_id reader_id(const struct reader *reader, const struct place *place) {
    if (place->row != NULL) {
        return memrow_id(place->row);
    }
    const struct reader_run *run = &reader->runs[place->run];
    struct chunks ids = chunks_of(run, SECTION_IDS);
    return extent_id(&run->extent, &ids, place->run_row);
}

ins_status reader_run_vector(struct reader *reader, uint32_t run, const struct vector_shape *shape,
                             struct extent_vector *out, bool *out_has, ins_error *error) {
    const struct extent *extent = &reader->runs[run].extent;
    *out_has = reader->runs[run].loaded && extent_vector(extent, shape->id, out);
    if (!*out_has) {
        return INS_OK;
    }
    if (out->row_bytes != vector_bytes(shape)) {
        return ins_fail(error, INS_CORRUPT,
                        "file %llu, extent at %llu: vector %u has %u bytes a row, not %u",
                        (unsigned long long)extent->file, (unsigned long long)extent->offset,
                        shape->id, out->row_bytes, vector_bytes(shape));
    }
    return out->rows_slot == SLOT_NONE ? INS_OK
                                       : reader_load_slot(reader, run, out->rows_slot, error);
}

ins_status reader_vector_row(const struct reader *reader, uint32_t run,
                             const struct extent_vector *vector, uint32_t position,
                             uint32_t *out_row, ins_error *error) {
    const struct extent *extent = &reader->runs[run].extent;
    struct chunks rows = vector_rows_of(&reader->runs[run], vector);
    *out_row = extent_vector_row(extent, vector, &rows, position);
    return *out_row < extent->row_count
               ? INS_OK
               : ins_fail(error, INS_CORRUPT,
                          "file %llu, extent at %llu: a vector of a row that is not there",
                          (unsigned long long)extent->file, (unsigned long long)extent->offset);
}

/* Where the vector of a run's row lies among its values; *out_has false: the row lacks it. */
static ins_status find_value(struct reader *reader, const struct place *place,
                             const struct vector_shape *shape, struct extent_vector *vector,
                             uint32_t *out_position, bool *out_has, ins_error *error) {
    ins_status status = reader_run_vector(reader, place->run, shape, vector, out_has, error);
    if (status == INS_OK && *out_has) {
        struct chunks rows = vector_rows_of(&reader->runs[place->run], vector);
        *out_has = extent_vector_position(vector, &rows, place->run_row, out_position);
    }
    return status;
}

static ins_status lost_vectors(const struct reader *reader, const struct place *place,
                               ins_error *error) {
    ins_id id = reader_id(reader, place);
    char text[ID_TEXT_MAX];
    (void)id_format(&id, text);
    return ins_fail(error, INS_CORRUPT,
                    "island %llu: point %s is a patch without the row that has its vectors",
                    (unsigned long long)reader->island->incarnation, text);
}

/* A vector of a place: where it was found, its own or inherited. */
struct found_vector {
    const void *stored;          /* in a memtable; else: */
    struct place place;          /* in a run */
    struct extent_vector vector; /* there */
    uint32_t position;
    bool has;
};

/* Goes down the versions of a patch until one has the vector, or is whole. At most a handful of
 * rows in each memtable and one a run are looked at. */
static ins_status find_vector(struct reader *reader, const struct place *place,
                              const struct vector_shape *shape, struct found_vector *out,
                              ins_error *error) {
    struct place at = *place;
    out->stored = NULL;
    for (;;) {
        ins_status status = INS_OK;
        if (at.row != NULL) {
            out->stored = memrow_own_vector(at.row, shape->id);
            out->has = out->stored != NULL;
        } else {
            status = find_value(reader, &at, shape, &out->vector, &out->position, &out->has, error);
        }
        out->place = at;
        if (status != INS_OK || out->has || !reader_is_patch(reader, &at)) {
            return status;
        }
        if (!reader_older(reader, &at)) {
            return lost_vectors(reader, place, error);
        }
    }
}

ins_status reader_has_vector(struct reader *reader, const struct place *place,
                             const struct vector_shape *shape, bool *out, ins_error *error) {
    struct found_vector found;
    ins_status status = find_vector(reader, place, shape, &found, error);
    *out = status == INS_OK && found.has;
    return status;
}

ins_status reader_vector(struct reader *reader, const struct place *place,
                         const struct vector_shape *shape, const void **out, ins_error *error) {
    struct found_vector found;
    ins_status status = find_vector(reader, place, shape, &found, error);
    *out = status == INS_OK ? found.stored : NULL;
    if (status != INS_OK || !found.has || found.stored != NULL) {
        return status;
    }
    const uint8_t *data = NULL;
    uint32_t per_chunk = found.vector.rows_per_chunk;
    status = reader_chunk(reader, found.place.run, found.vector.slot, found.position / per_chunk,
                          &data, error);
    if (status == INS_OK) {
        *out = data + (size_t)(found.position % per_chunk) * found.vector.row_bytes;
    }
    return status;
}

/* Goes over all of them even when one has to wait, so that one wait brings them all. */
ins_status reader_vectors(struct reader *reader, const struct place *place,
                          const struct schema *schema, struct vector_ref *out, uint32_t *out_count,
                          ins_error *error) {
    ins_status result = INS_OK;
    *out_count = 0;
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        const struct vector_shape *shape = &schema->vectors[i].shape;
        const void *data;
        ins_status status = reader_vector(reader, place, shape, &data, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
        if (status == INS_OK && data != NULL) {
            out[(*out_count)++] = (struct vector_ref){.shape = *shape, .data = data};
        }
    }
    return result;
}

ins_status reader_version(struct reader *reader, const struct place *place, uint64_t *out,
                          ins_error *error) {
    if (place->row != NULL) {
        *out = place->row->lsn;
        return INS_OK;
    }
    const struct reader_run *run = &reader->runs[place->run];
    uint32_t per_chunk = extent_rows_per_chunk(&run->extent, SECTION_VERSIONS);
    const uint8_t *data = NULL;
    ins_status status = reader_chunk(reader, place->run, SECTION_VERSIONS,
                                     place->run_row / per_chunk, &data, error);
    if (status == INS_OK) {
        struct chunks versions = chunks_of(run, SECTION_VERSIONS);
        *out = extent_version(&run->extent, &versions, place->run_row);
    }
    return status;
}

/* Chunks of the payload section that [begin, end) touches; all of them are pinned on INS_OK. */
static ins_status pin_payload(struct reader *reader, uint32_t run, uint64_t begin, uint64_t end,
                              ins_error *error) {
    uint32_t chunk_bytes = reader->runs[run].extent.sections[SECTION_PAYLOAD].chunk_bytes;
    ins_status result = INS_OK;
    for (uint64_t chunk = begin / chunk_bytes; chunk <= (end - 1) / chunk_bytes; chunk++) {
        const uint8_t *data = NULL;
        ins_status status =
            reader_chunk(reader, run, SECTION_PAYLOAD, (uint32_t)chunk, &data, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

static ins_status copy_payload(struct reader *reader, uint32_t run_index, uint64_t begin,
                               uint64_t end, ins_text *out, ins_error *error) {
    const struct reader_run *run = &reader->runs[run_index];
    const uint8_t **chunks = run->sections[SECTION_PAYLOAD].chunks;
    uint32_t chunk_bytes = run->extent.sections[SECTION_PAYLOAD].chunk_bytes;
    INS_ASSERT(chunks != NULL); /* its chunks are pinned */
    if (run->extent.small || begin / chunk_bytes == (end - 1) / chunk_bytes) {
        uint64_t chunk = run->extent.small ? 0 : begin / chunk_bytes;
        *out = (ins_text){.data = (const char *)chunks[chunk] + (begin - chunk * chunk_bytes),
                          .size = end - begin};
        return INS_OK;
    }
    if (end - begin > reader->payload_room) {
        uint32_t room = 2 * reader->payload_room; /* doubling bounds what earlier ones took */
        room = room > end - begin ? room : (uint32_t)(end - begin);
        reader->payload_copy = pool_alloc(&reader->pool, room);
        reader->payload_room = reader->payload_copy == NULL ? 0 : room;
    }
    char *copy = reader->payload_copy;
    if (copy == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a payload of %llu bytes",
                        (unsigned long long)(end - begin));
    }
    for (uint64_t at = begin; at < end;) {
        uint64_t chunk = at / chunk_bytes;
        uint64_t stop = (chunk + 1) * chunk_bytes < end ? (chunk + 1) * chunk_bytes : end;
        memcpy(copy + (at - begin), chunks[chunk] + (at - chunk * chunk_bytes), stop - at);
        at = stop;
    }
    *out = (ins_text){.data = copy, .size = end - begin};
    return INS_OK;
}

ins_status reader_payload(struct reader *reader, const struct place *place, ins_text *out,
                          ins_error *error) {
    if (place->row != NULL) {
        *out = memrow_payload(place->row);
        return INS_OK;
    }
    *out = (ins_text){0};
    const struct reader_run *run = &reader->runs[place->run];
    if (!run->extent.sections[SECTION_PAYLOAD].present) {
        return INS_OK;
    }
    uint32_t per_chunk = extent_rows_per_chunk(&run->extent, SECTION_PAYLOAD_OFFSETS);
    uint32_t first = place->run_row / per_chunk, last = (place->run_row + 1) / per_chunk;
    const uint8_t *data = NULL;
    ins_status status =
        reader_chunk(reader, place->run, SECTION_PAYLOAD_OFFSETS, first, &data, error);
    ins_status second = first == last ? INS_OK
                                      : reader_chunk(reader, place->run, SECTION_PAYLOAD_OFFSETS,
                                                     last, &data, error);
    if (status != INS_OK || second != INS_OK) {
        return status != INS_OK && status != INS_AGAIN ? status
               : second != INS_OK                      ? second
                                                       : status;
    }
    INS_ASSERT(data != NULL);
    struct chunks offsets = chunks_of(run, SECTION_PAYLOAD_OFFSETS);
    uint64_t begin, end;
    status = extent_payload_range(&run->extent, &offsets, place->run_row, &begin, &end);
    if (status != INS_OK) {
        return ins_fail(error, status, "file %llu, extent at %llu: payload of row %u out of bounds",
                        (unsigned long long)run->extent.file,
                        (unsigned long long)run->extent.offset, place->run_row);
    }
    if (begin == end) {
        return INS_OK;
    }
    status = run->extent.small ? reader_chunk(reader, place->run, SECTION_PAYLOAD, 0, &data, error)
                               : pin_payload(reader, place->run, begin, end, error);
    return status != INS_OK ? status : copy_payload(reader, place->run, begin, end, out, error);
}

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
