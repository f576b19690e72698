#include "engine/flush.h"

#include "engine/graph_job.h"

#include <stdatomic.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/directory_view.h"
#include "engine/field_columns.h"
#include "engine/jobs.h"
#include "engine/merge_queue.h"
#include "engine/scan_codes.h"
#include "engine/work.h"
#include "tenant/memtable_sort.h"

#define FLUSH_ROOM (20u << 20) /* of INS_MEM_JOB: a writer, an id directory, columns, the list */

/* One entry an island, as the background lane wrote it. */
struct flushed_run {
    struct flushed_run *next;
    struct island_mem *mem;
    struct run run;
};

struct flush {
    ins_task task;
    struct ins_db *db;
    struct generation *generation;
    uint32_t slot;
    uint64_t version_low, version_high;
    struct pool pool; /* of flushed_run; background lane, then request lane */
    struct flushed_run *runs, **tail;
    struct segment_info info;
    struct work work;
    bool landing; /* the manifest may name the file: from here on nothing can be tried again */
    ins_status status;
    ins_error error;
    /* The writer's cursor over one island. */
    const struct island_mem *mem;
    const struct memrow *next;
    uint32_t next_index;
    struct row_order order;                      /* background lane */
    struct vector_shape shapes[INS_VECTORS_MAX]; /* what the island's schema has */
    uint32_t shape_count;
    struct field_columns columns; /* background lane */
    enum extent_need need;
    uint32_t vector; /* that the pass is about */
};

bool flush_freeze(struct ins_db *db) {
    struct read_context *reading = &db->reading;
    uint32_t slot = reading->active_slot;
    struct generation *active = reading->generations[slot];
    if (reading->generations[1 - slot] != NULL || active->row_count == 0) {
        return false;
    }
    struct generation *fresh;
    if (generation_create(db->arena, db->generation_bytes, active->row_count, &fresh, NULL) !=
        INS_OK) {
        return false;
    }
    directory_views_close(db);
    for (struct island_mem *mem = active->islands; mem != NULL; mem = mem->next) {
        mem->oldest = mem->island == NULL || mem->island->run_count == 0;
    }
    active->frozen = true;
    db->catalog.frozen_garbage_rows += db->catalog.garbage_rows;
    db->catalog.garbage_rows = 0;
    room_frozen(db);
    reading->generations[1 - slot] = fresh;
    reading->active_slot = 1 - slot;
    return true;
}

bool flush_recycle(struct ins_db *db) {
    struct read_context *reading = &db->reading;
    uint32_t slot = reading->active_slot;
    struct generation *active = reading->generations[slot], *fresh;
    if (active->row_count > 0 ||
        generation_create(db->arena, db->generation_bytes, 0, &fresh, NULL) != INS_OK) {
        return false;
    }
    directory_views_close(db);
    for (struct island_mem *mem = active->islands; mem != NULL; mem = mem->next) {
        if (mem->island != NULL) {
            mem->island->mem[slot] = NULL;
        }
    }
    reading->generations[slot] = fresh;
    generation_unpin(active);
    return true;
}

bool flush_nothing_left(const struct ins_db *db) {
    return db->reading.generations[db->reading.active_slot]->row_count == 0;
}

/* ---- Background lane ---- */

static ins_status source_rewind(void *context, enum extent_need need, uint32_t vector,
                                ins_error *error) {
    (void)error; /* everything is in memory */
    struct flush *flush = context;
    flush->next = flush->mem->sorted;
    flush->next_index = 0;
    flush->need = need;
    flush->vector = vector;
    return INS_OK;
}

static uint64_t present_of(const struct flush *flush, const struct memrow *row) {
    uint64_t present = 0;
    for (uint32_t i = 0; i < flush->shape_count; i++) {
        uint32_t dim;
        bool has = memrow_vector(row, flush->shapes[i].id, &dim) != NULL;
        present |= (uint64_t)has << i;
    }
    return present;
}

static ins_status source_next(void *context, struct extent_row *out, bool *out_end,
                              ins_error *error) {
    (void)error;
    struct flush *flush = context;
    const struct memrow *row = flush->next;
    *out_end = row == NULL;
    if (row == NULL) {
        return INS_OK;
    }
    row_order_prefetch(&flush->order, flush->next_index++);
    ins_text payload = memrow_payload(row);
    *out = (struct extent_row){
        .id = memrow_id(row),
        .version = row->lsn,
        .tombstone = row->kind == MEMROW_TOMBSTONE,
        .patch = memrow_is_open(row),
        .incarnation = memrow_incarnation(row),
        .payload = {.data = (const uint8_t *)payload.data, .size = payload.size}};
    if (flush->need == EXTENT_NEED_KEYS || flush->need == EXTENT_NEED_PRESENCE) {
        out->present = present_of(flush, row);
    }
    if (flush->need == EXTENT_NEED_VECTOR || flush->need == EXTENT_NEED_PRESENCE) {
        const struct vector_shape *shape = &flush->shapes[flush->vector];
        uint32_t dim = 0;
        out->vector = memrow_vector(row, shape->id, &dim);
        out->vector_rows = out->vector == NULL ? 0 : vector_row_count(shape, dim);
    }
    flush->next = row->sort_next;
    return INS_OK;
}

static void take_shapes(struct flush *flush, const struct island_mem *mem) {
    flush->shape_count = mem->schema == NULL || mem->directory ? 0 : mem->schema->vector_count;
    for (uint32_t i = 0; i < flush->shape_count; i++) {
        flush->shapes[i] = mem->schema->vectors[i].shape;
    }
}

static ins_status write_island_extent(struct flush *flush, struct segment_writer *writer,
                                      struct island_mem *mem, ins_error *error) {
    struct flushed_run *flushed = pool_alloc(&flush->pool, sizeof(*flushed));
    if (flushed == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the list of %u flushed islands",
                        flush->generation->island_count);
    }
    flush->mem = mem;
    take_shapes(flush, mem);
    field_columns_of(&flush->columns, mem->directory ? NULL : mem->schema);
    struct extent_scan scans[INS_VECTORS_MAX];
    uint32_t scan_count = scan_codes_wanted(flush->db, mem->schema, mem->incarnation, flush->shapes,
                                            flush->shape_count, scans);
    struct extent_source source = {.context = flush,
                                   .scans = scans,
                                   .scan_count = scan_count,
                                   .piece_bytes_min = flush->db->options.piece_bytes_min,
                                   .scope = mem->scope,
                                   .incarnation = mem->incarnation,
                                   .version_low = flush->version_low,
                                   .version_high = flush->version_high,
                                   .vectors = flush->shapes,
                                   .vector_count = flush->shape_count,
                                   .columns = flush->columns.tables,
                                   .column_table_count = flush->columns.table_count,
                                   .directory = mem->directory,
                                   .rewind = source_rewind,
                                   .next = source_next};
    ins_status status = segment_writer_extent(writer, &source, &flushed->run, error);
    if (status == INS_OK) {
        flushed->mem = mem;
        flushed->next = NULL;
        *flush->tail = flushed;
        flush->tail = &flushed->next;
    }
    return status;
}

static ins_status write_islands(struct flush *flush, ins_error *error) {
    struct ins_db *db = flush->db;
    uint8_t random_id[16];
    uint64_t file = manifest_next_file(db, random_id);
    struct segment_writer *writer;
    ins_status status =
        segment_writer_begin(db->runtime->store, db->arena, file, random_id, &writer, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t rows = 0;
    for (struct island_mem *mem = flush->generation->islands; mem != NULL; mem = mem->next) {
        rows += mem->row_count;
        db->room.flush_done = (uint32_t)(1000 * rows / flush->generation->row_count);
        island_mem_sort(mem, &flush->order);
        if (mem->sorted == NULL) {
            continue; /* only needless tombstones, or rows of a write that was refused */
        }
        status = write_island_extent(flush, writer, mem, error);
        if (status != INS_OK) {
            segment_writer_abort(writer);
            return status;
        }
    }
    return segment_writer_commit(writer, &flush->info, error);
}

static ins_status write_file(struct flush *flush, ins_error *error) {
    field_columns_init(&flush->columns, flush->db->arena);
    row_order_init(&flush->order, flush->db->arena);
    ins_status status = write_islands(flush, error);
    row_order_fini(&flush->order);
    field_columns_fini(&flush->columns);
    return status;
}

static void flush_write(struct flush *flush) {
    struct ins_db *db = flush->db;
    work_begin(db, &flush->work);
    generation_sort(flush->generation);
    bool empty = true;
    for (struct island_mem *mem = flush->generation->islands; mem != NULL && empty;
         mem = mem->next) {
        empty = !island_mem_has_rows(mem);
    }
    flush->status = empty ? INS_OK : write_file(flush, &flush->error);
    if (flush->status == INS_OK) {
        flush->landing = true;
        flush->status = manifest_land(db, empty ? NULL : &flush->info, NULL, 0, flush->version_high,
                                      0, &flush->error);
    }
    if (flush->status == INS_OK && db->wal != NULL) {
        flush->status = wal_truncate(db->wal, flush->version_high, &flush->error);
    }
    work_end(db, &flush->work);
}

/* ---- Landing ---- */

static ins_status land(struct flush *flush) {
    struct ins_db *db = flush->db;
    uint32_t slot = 0;
    ins_status status = INS_OK;
    if (flush->runs != NULL) {
        status = files_add(&db->files, &flush->info, &slot, &flush->error);
    }
    for (struct flushed_run *flushed = flush->runs; flushed != NULL && status == INS_OK;
         flushed = flushed->next) {
        struct island *island = flushed->mem->island;
        uint64_t bytes = run_bytes(&flushed->run);
        files_at(&db->files, slot)->extent_bytes += bytes;
        work_charge(db, &flush->work, island, bytes, flush->info.size_bytes, bytes);
        if (island == NULL) {
            continue; /* dropped meanwhile: its extent is garbage */
        }
        status = island_reserve_run(&db->islands, island);
        if (status == INS_OK) {
            flushed->run.file_slot = slot;
            island_note_flushed(island, &flushed->run);
            island_add_run(&db->islands, island, &flushed->run);
            expiry_note_flushed(db, island, flushed->mem->last->lsn);
            merge_want(db, island, MERGE_NONE);
            graph_want(db, island);
            db->merge_urgent |= island->run_count >= INS_RUNS_MAX;
        } else {
            (void)ins_fail(&flush->error, status,
                           "the catalog's share of the memory budget is used up");
        }
    }
    return status;
}

/* Rows of vectors that were dropped meanwhile are not written. */
static void hold_schemas(struct flush *flush) {
    for (struct island_mem *mem = flush->generation->islands; mem != NULL; mem = mem->next) {
        struct schema *schema = mem->island == NULL ? NULL : mem->island->scope->schema;
        mem->schema = schema == NULL ? NULL : schema_hold(schema);
    }
}

static void release_schemas(struct flush *flush) {
    for (struct island_mem *mem = flush->generation->islands; mem != NULL; mem = mem->next) {
        schema_release(&flush->db->catalog, mem->schema);
        mem->schema = NULL;
    }
}

static void drop_generation(struct flush *flush) {
    for (struct island_mem *mem = flush->generation->islands; mem != NULL; mem = mem->next) {
        if (mem->island != NULL) {
            mem->island->mem[flush->slot] = NULL;
        }
    }
    flush->db->reading.generations[flush->slot] = NULL;
    generation_unpin(flush->generation);
}

static void note_catalog_garbage(struct ins_db *db) {
    struct island *system = islands_find(&db->islands, SYSTEM_INCARNATION);
    island_note_dead(system, db->catalog.frozen_garbage_rows);
    db->catalog.frozen_garbage_rows = 0;
    merge_want(db, system, MERGE_NONE);
}

static void flush_finish(struct flush *flush) {
    struct ins_db *db = flush->db;
    directory_views_close(db);
    release_schemas(flush);
    if (flush->status == INS_OK) {
        flush->status = land(flush);
    }
    if (flush->status == INS_OK) {
        jobs_went_well(db);
        drop_generation(flush);
        db->flush_count++;
        db->flush_bytes += flush->info.size_bytes;
        db->landed_lsn = flush->version_high;
        note_catalog_garbage(db);
        db->merge_turn = true;
        db->remove_turn = true;
        db->clean_turn = true;
        db->merge_open = true;
        tidy_want(db);
        if (flush->runs != NULL) {
            db->files.garbage = true; /* every island may have been dropped meanwhile */
        }
    } else if (!flush->landing && jobs_put_off(db, flush->status, &flush->error)) {
        db->flushed_lsn = flush->version_low; /* the rows stay where they are */
    } else {
        jobs_failed(db, "a flush", &flush->error);
    }
    pool_fini(&flush->pool);
    db->flush = NULL;
    arena_free(db->arena, INS_MEM_JOB, flush, sizeof(*flush));
}

static void flush_landed(ins_task *task) {
    struct flush *flush = container_of(task, struct flush, task);
    struct ins_db *db = flush->db;
    flush_finish(flush);
    jobs_kick(db);
}

static void write_waiting(struct ins_db *db) {
    struct flush *flush = atomic_exchange(&db->flush_waiting, NULL);
    if (flush != NULL) {
        flush_write(flush);
        flush->task.run = flush_landed;
        db_run(db, INS_LANE_REQUEST, &flush->task);
    }
}

static void flush_run(ins_task *task) {
    struct ins_db *db = container_of(task, struct ins_db, flush_task);
    db->flush_posted = false; /* before it looks: a flush that begins now is seen, or posts again */
    write_waiting(db);
}

void flush_yield(struct ins_db *db) {
    (void)jobs_commit_step(db);
    if (atomic_load_explicit(&db->flush_waiting, memory_order_relaxed) != NULL &&
        arena_room(db->arena, INS_MEM_JOB) >= FLUSH_ROOM) {
        write_waiting(db);
    }
}

static struct flush *flush_create(struct ins_db *db) {
    struct read_context *reading = &db->reading;
    uint32_t slot = 1 - reading->active_slot;
    struct flush *flush = arena_alloc_zero(db->arena, INS_MEM_JOB, sizeof(*flush));
    if (flush == NULL) {
        return NULL;
    }
    flush->db = db;
    flush->slot = slot;
    flush->generation = reading->generations[slot];
    flush->tail = &flush->runs;
    flush->version_low = db->flushed_lsn;
    flush->version_high = flush->generation->last_lsn;
    db->flushed_lsn = flush->version_high;
    struct arena_usage usage;
    arena_get_usage(db->arena, &usage);
    pool_init(&flush->pool, db->arena, INS_MEM_JOB, usage.purpose_limit[INS_MEM_JOB] / 2);
    hold_schemas(flush);
    db->flush = flush;
    return flush;
}

bool flush_begin(struct ins_db *db) {
    struct read_context *reading = &db->reading;
    struct generation *frozen = reading->generations[1 - reading->active_slot];
    if (db->flush != NULL || frozen == NULL || frozen->last_lsn > reading->durable_lsn ||
        db->writes_stopped || !db_schemas_durable(db)) {
        return false;
    }
    struct flush *flush = flush_create(db);
    if (flush == NULL) {
        return false;
    }
    atomic_store(&db->flush_waiting, flush);
    if (!atomic_exchange(&db->flush_posted, true)) {
        db->flush_task.run = flush_run;
        db_run(db, INS_LANE_BACKGROUND, &db->flush_task);
    }
    return true;
}

ins_status flush_now(struct ins_db *db, ins_error *error) {
    INS_ASSERT(db->reading.generations[1 - db->reading.active_slot] != NULL);
    struct flush *flush = flush_create(db);
    if (flush == NULL) {
        return ins_fail(error, INS_FULL, "no memory to flush during recovery");
    }
    flush_write(flush);
    ins_status status = flush->status;
    if (error != NULL) {
        *error = flush->error;
    }
    flush_finish(flush);
    return db->writes_stopped && status == INS_OK
               ? ins_fail(error, INS_FULL, "%s", db->failure.message)
               : status;
}
