#include "engine/recovery.h"

#include "engine/graph_job.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/copy.h"
#include "engine/flush.h"
#include "engine/jobs.h"
#include "engine/move.h"
#include "engine/points.h"
#include "engine/record.h"
#include "engine/run_set.h"
#include "engine/write.h"
#include "segment/row_stream.h"

/* ---- Manifest ---- */

static ins_status create_manifest(struct ins_db *db, ins_error *error) {
    uint8_t id[16];
    db->runtime->random(db->runtime->context, id, sizeof(id));
    memcpy(db->manifest.database_id, id, sizeof(id));
    db->manifest.next_file = 1;
    return manifest_land(db, NULL, NULL, 0, 0, 0, error);
}

static ins_status load_manifest(struct ins_db *db, ins_error *error) {
    ins_store *store = db->runtime->store;
    size_t size;
    ins_error damage = {0};
    ins_status status =
        store->ops->cell_load(store, MANIFEST_CELL, db->manifest_buffer, MANIFEST_BYTES_MAX, &size,
                              &db->manifest_version, &damage, error);
    if (status != INS_OK) {
        return status;
    }
    if (db->manifest_version == 0) {
        return create_manifest(db, error);
    }
    struct segment_info *files = db->manifest.files;
    return manifest_decode(db->manifest_buffer, size, files, INS_FILES_MAX, &db->manifest, error);
}

/* Objects that the manifest does not name: output of a job that did not land. */
struct orphans {
    struct ins_db *db;
    char names[64][SEGMENT_NAME_MAX];
    uint32_t count;
};

static ins_status note_orphan(void *context, const char *name, uint64_t size) {
    (void)size;
    struct orphans *orphans = context;
    const struct manifest *manifest = &orphans->db->manifest;
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        char known[SEGMENT_NAME_MAX];
        segment_name(manifest->files[i].file, known);
        if (strcmp(known, name) == 0) {
            return INS_OK;
        }
    }
    if (orphans->count < 64 && strlen(name) < SEGMENT_NAME_MAX) {
        (void)strcpy(orphans->names[orphans->count++], name); /* NOLINT: length checked */
    }
    return INS_OK;
}

static ins_status remove_orphans(struct ins_db *db, ins_error *error) {
    ins_store *store = db->runtime->store;
    struct orphans orphans = {.db = db};
    ins_status status = store->ops->list(store, "segments/", note_orphan, &orphans, error);
    for (uint32_t i = 0; i < orphans.count && status == INS_OK; i++) {
        status = store_remove(store, orphans.names[i], error);
    }
    return status;
}

/* ---- Runs ---- */

struct run_visit {
    struct ins_db *db;
    uint32_t slot;
    bool system; /* only the catalog's, or all but the catalog's */
};

static ins_status runs_full(ins_error *error) {
    return ins_fail(
        error, INS_FULL,
        "the run lists do not fit the catalog's share of the memory budget: start with a "
        "larger --memory-budget");
}

static ins_status visit_entry(void *context, const struct run_entry *entry, ins_error *error) {
    struct run_visit *visit = context;
    bool system = entry->scope == SYSTEM_SCOPE;
    if (visit->system) { /* the first of the two passes */
        files_at(&visit->db->files, visit->slot)->extent_bytes += run_bytes(&entry->run);
    }
    if (system != visit->system) {
        return INS_OK;
    }
    struct island *island = islands_find(&visit->db->islands, entry->incarnation);
    if (island == NULL) {
        return INS_OK; /* of an island that the catalog lacks: garbage */
    }
    struct run_entry placed = *entry;
    placed.run.file_slot = visit->slot;
    if (run_set_add(&visit->db->islands, island, &placed) != INS_OK) {
        return runs_full(error);
    }
    return INS_OK;
}

static ins_status load_runs(struct ins_db *db, bool system, ins_error *error) {
    for (uint32_t i = 0; i < db->manifest.file_count; i++) {
        struct run_visit visit = {.db = db, .slot = i, .system = system};
        ins_status status = segment_read_directory(
            db->runtime->store, db->arena, &db->manifest.files[i], visit_entry, &visit, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

static ins_status settle_runs(struct ins_db *db, ins_error *error) {
    struct table *table = &db->islands.by_incarnation;
    for (uint64_t bucket = 0; bucket < table->bucket_count; bucket++) {
        for (struct table_node *node = table_bucket(table, bucket); node != NULL;
             node = node->next) {
            struct island *island = (struct island *)(void *)node; /* node is the first member */
            uint64_t newest = 0;
            if (run_set_settle(&db->islands, island, &newest) != INS_OK) {
                return runs_full(error);
            }
            if (newest != 0) {
                expiry_note_flushed(db, island, newest);
            }
        }
    }
    return INS_OK;
}

/* ---- Catalog ---- */

/* One pass over the rows of a run: tombstones and schemas, or all others. A schema may have got
 * another key in it, and tombstones have the smaller ones. */
static ins_status apply_rows(struct ins_db *db, struct row_stream *rows, bool first,
                             ins_error *error) {
    ins_status status = INS_OK;
    row_stream_rewind(rows, EXTENT_NEED_PAYLOAD, 0);
    for (bool end = false; status == INS_OK && !end;) {
        struct extent_row row;
        status = row_stream_next(rows, &row, &end, error);
        if (status != INS_OK || end) {
            return status;
        }
        ins_text payload = {.data = (const char *)row.payload.data, .size = row.payload.size};
        uint64_t scope;
        bool schema = !row.tombstone && catalog_row_kind(payload, &scope) == CATALOG_ROW_SCHEMA;
        if ((row.tombstone || schema) == first) {
            status =
                catalog_apply(&db->catalog, db->parser, row.id.low, payload, row.tombstone, error);
        }
    }
    return status;
}

static ins_status apply_run(struct ins_db *db, const struct island *system, uint32_t index,
                            ins_error *error) {
    const struct run *run = &system->runs[index];
    if (run->size_64 == 0) {
        return INS_OK;
    }
    struct row_stream *rows;
    uint64_t file = files_at(&db->files, run->file_slot)->info.file;
    ins_status status = row_stream_open(db->runtime->store, db->arena, NULL, run, file,
                                        system->incarnation, NULL, 0, &rows, error);
    if (status != INS_OK) {
        return status;
    }
    status = apply_rows(db, rows, true, error);
    if (status == INS_OK) {
        status = apply_rows(db, rows, false, error);
    }
    row_stream_close(rows);
    return status;
}

/* Oldest run first, so that newer rows are applied over older ones. */
static ins_status load_catalog(struct ins_db *db, ins_error *error) {
    struct island *system = islands_find(&db->islands, SYSTEM_INCARNATION);
    ins_status status = load_runs(db, true, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t ignored;
    if (run_set_settle(&db->islands, system, &ignored) != INS_OK) {
        return runs_full(error);
    }
    for (uint32_t i = 0; i < system->run_count && status == INS_OK; i++) {
        status = apply_run(db, system, i, error);
    }
    return status;
}

/* ---- Log ---- */

struct replay {
    struct ins_db *db;
    uint64_t lsn;
    uint64_t garbage; /* rows of islands that are gone */
};

/* Both memtables take rows before anything is flushed: what they held at the end of the last life
 * fits again, so that a start on a full disk need not write. */
static ins_status make_room(struct ins_db *db, uint64_t bytes, ins_error *error) {
    struct read_context *reading = &db->reading;
    if (generation_fits(reading->generations[reading->active_slot], bytes)) {
        return INS_OK;
    }
    if (reading->generations[1 - reading->active_slot] != NULL) {
        ins_error reason = {0};
        ins_status status = flush_now(db, &reason);
        if (status != INS_OK) {
            return ins_fail(error, status,
                            "what the log holds does not fit the memtables, and a flush failed: "
                            "%.300s. Free some space, or start with a larger --memory-budget",
                            reason.message);
        }
    }
    return flush_freeze(db) ? INS_OK
                            : ins_fail(error, INS_FULL, "no memory for a memtable in recovery");
}

static ins_status replay_row(void *context, uint64_t incarnation, const struct record_row *row,
                             ins_error *error) {
    struct replay *replay = context;
    struct ins_db *db = replay->db;
    if (incarnation == SYSTEM_INCARNATION) {
        ins_status status = catalog_apply(&db->catalog, db->parser, row->id.low, row->payload,
                                          row->kind == MEMROW_TOMBSTONE, error);
        if (status != INS_OK) {
            return status;
        }
    }
    struct island *island = islands_find(&db->islands, incarnation);
    if (island == NULL) {
        replay->garbage++; /* its collection is dropped by a later record, or was by then */
        return INS_OK;
    }
    bool directory = (island->flags & ISLAND_DIRECTORY) != 0;
    if ((row->kind == MEMROW_DIRECTORY) != directory ||
        (incarnation == SYSTEM_INCARNATION && row->kind == MEMROW_PATCH) ||
        !schema_has_packed(island->scope->schema, row->vectors, row->vector_count)) {
        return ins_fail(error, INS_CORRUPT,
                        "log: record %llu has a row that island %llu cannot have",
                        (unsigned long long)replay->lsn, (unsigned long long)incarnation);
    }
    struct read_context *reading = &db->reading;
    uint32_t slot = reading->active_slot;
    struct memrow *memrow = memtable_prepare(reading->generations[slot], island, &island->mem[slot],
                                             row->kind, &row->id, row->vector_count,
                                             row->vector_bytes, row->payload, row->incarnation);
    if (memrow == NULL) {
        return ins_fail(error, INS_FULL,
                        "the log to replay does not fit the memtables' share of the memory budget: "
                        "start with a larger --memory-budget");
    }
    if (row->vector_bytes > 0) {
        memcpy(memrow_vectors(memrow), row->vectors, row->vector_bytes);
    }
    memtable_link(memrow, replay->lsn);
    return INS_OK;
}

static ins_status replay_record(void *context, uint64_t lsn, uint16_t type, uint64_t scope,
                                struct slice data, ins_error *error) {
    (void)scope;
    struct replay *replay = context;
    replay->lsn = lsn;
    if (type != WAL_RECORD_EFFECTS) {
        return ins_fail(error, INS_CORRUPT, "log: record %llu has an unknown type %u",
                        (unsigned long long)lsn, type);
    }
    /* Rows take more in memory than in the log, small ones most: their header and table slot. */
    ins_status status = make_room(replay->db, data.size, error);
    replay->db->replayed++;
    return status == INS_OK ? record_decode(data, replay_row, replay, error) : status;
}

static ins_status open_log(struct ins_db *db, ins_error *error) {
    struct arena_usage usage;
    arena_get_usage(db->arena, &usage);
    struct replay replay = {.db = db};
    struct wal_options options = {
        .runtime = db->runtime,
        .arena = db->arena,
        .sink = db->runtime->store->ops->log_sink(db->runtime->store),
        .file_bytes = db->options.log_file_bytes != 0 ? db->options.log_file_bytes
                                                      : INS_LOG_FILE_BYTES_DEFAULT,
        .pending_bytes_max = usage.purpose_limit[INS_MEM_LOG] / 2,
        .drop = db->options.drop_log,
        .callbacks = {.context = db, .durable = write_durable, .failed = write_failed}};
    struct wal_replay_result result;
    ins_status status = wal_open(&options, db->manifest.flushed_lsn, replay_record, &replay,
                                 &result, &db->wal, error);
    if (status == INS_OK && result.last_lsn < db->manifest.log_lsn && !db->options.drop_log) {
        /* Files of a collection that a lost record had dropped are gone already. */
        status =
            ins_fail(error, INS_CORRUPT,
                     "the log ends at record %llu, but the manifest was written when record "
                     "%llu was in it: its last batch is damaged",
                     (unsigned long long)result.last_lsn, (unsigned long long)db->manifest.log_lsn);
    }
    if (status == INS_OK) {
        db->reading.durable_lsn = result.last_lsn;
    }
    return status;
}

/* The request lane's first task: what it begins ends there, while ins_db_open may still run. */
static void begin_work(ins_task *task) {
    struct ins_db *db = container_of(task, struct ins_db, housekeeping);
    db->housekeeping_posted = false;
    tidy_want(db);
    tidy_want_erasure(db);
    jobs_kick(db);
    points_filters_start(db);
    moves_kick(db);
    budget_start(db);
    copies_resume(db);
    expiry_kick(db);
}

ins_status recovery_run(struct ins_db *db, ins_error *error) {
    ins_status status = load_manifest(db, error);
    if (status == INS_OK) {
        status = remove_orphans(db, error);
    }
    for (uint32_t i = 0; i < db->manifest.file_count && status == INS_OK; i++) {
        uint32_t slot;
        status = files_add(&db->files, &db->manifest.files[i], &slot, error);
        INS_ASSERT(status != INS_OK || slot == i);
    }
    if (status == INS_OK) {
        status = load_catalog(db, error);
    }
    if (status == INS_OK) {
        status = load_runs(db, false, error);
    }
    if (status == INS_OK) {
        status = settle_runs(db, error);
    }
    if (status != INS_OK) {
        return status;
    }
    db->flushed_lsn = db->manifest.flushed_lsn;
    db->landed_lsn = db->manifest.flushed_lsn;
    db->tidy.erased_lsn = db->manifest.erased_lsn;
    db->reading.durable_lsn = db->manifest.flushed_lsn;
    status = open_log(db, error);
    for (struct change_row *row = db->catalog.changes; row != NULL && status == INS_OK;
         row = row->next) {
        status = points_filter_resume(db, row, error);
    }
    changes_forget(&db->catalog);
    if (status == INS_OK) {
        island_note_dead(islands_find(&db->islands, SYSTEM_INCARNATION), db->catalog.garbage_rows);
        db->catalog.garbage_rows = 0;
        db->files.garbage = true;
        db->log_garbage = true;
        graph_want_all(db);
        db->housekeeping_posted = true;
        db->housekeeping.run = begin_work;
        db_run(db, INS_LANE_REQUEST, &db->housekeeping); /* the last thing: it runs from here on */
    }
    return status;
}
