/* Opening and closing. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/directory_view.h"
#include "engine/engine.h"
#include "engine/graph_job.h"
#include "engine/jobs.h"
#include "engine/layout_job.h"
#include "engine/recovery.h"
#include "engine/write.h"

static ins_status open_tables(struct ins_db *db, ins_error *error) {
    files_init(&db->files, db->arena);
    db->manifest.files =
        arena_alloc(db->arena, INS_MEM_JOB, INS_FILES_MAX * sizeof(struct segment_info));
    db->manifest_buffer = arena_alloc(db->arena, INS_MEM_JOB, MANIFEST_BYTES_MAX);
    db->parser = json_parser_create(INS_PAYLOAD_BYTES_MAX + 1024, INS_JSON_DEPTH_MAX);
    struct generation *generation;
    if (db->manifest.files == NULL || db->manifest_buffer == NULL || db->parser == NULL ||
        islands_init(&db->islands, db->arena, &db->files) != INS_OK ||
        catalog_init(&db->catalog, db->arena, &db->islands) != INS_OK ||
        table_init(&db->holds, db->arena, INS_MEM_QUERY) != INS_OK) {
        return ins_fail(error, INS_FULL, "no memory for the tables of the database");
    }
    ins_status status = cache_open(db->runtime, db->arena, &db->cache, error);
    if (status == INS_OK) {
        status = generation_create(db->arena, db->generation_bytes, 0, &generation, error);
    }
    if (status != INS_OK) {
        return status;
    }
    db->reading = (struct read_context){.arena = db->arena,
                                        .cache = db->cache,
                                        .islands = &db->islands,
                                        .generations = {generation, NULL},
                                        .damage = {.found = graph_note_damage, .context = db},
                                        .layouts = {.wanted = layout_wanted, .context = db}};
    return INS_OK;
}

static ins_status open_system(struct ins_db *db, ins_error *error) {
    struct scope *scope = scope_create(&db->catalog, SYSTEM_SCOPE, (ins_text){0}, NULL);
    if (scope == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the catalog");
    }
    scope->common =
        island_create(&db->islands, scope, SYSTEM_INCARNATION, (ins_text){0}, ISLAND_COMMON);
    db->catalog.next_key = CATALOG_KEY_FIRST;
    db->catalog.reserved_key = CATALOG_KEY_FIRST;
    return scope->common == NULL ? ins_fail(error, INS_FULL, "no memory for the catalog") : INS_OK;
}

ins_status ins_db_open(const ins_options *options, const ins_runtime *runtime, ins_db **out_db,
                       ins_error *error) {
    /* The one piece that is not in the arena: it holds the arena. */
    struct ins_db *db = calloc(1, sizeof(*db));
    if (db == NULL) {
        return ins_fail(error, INS_FULL, "no memory");
    }
    slices_init(&db->slices);
    points_burst_init(&db->burst);
    db->options = *options;
    db->runtime = runtime;
    ins_status status = budget_open(db, error);
    if (status == INS_OK) {
        status = open_tables(db, error);
    }
    if (status == INS_OK) {
        status = open_system(db, error);
    }
    if (status == INS_OK) {
        status = recovery_run(db, error);
    }
    if (status != INS_OK) {
        ins_db_close(db);
        return status;
    }
    *out_db = db;
    return INS_OK;
}

void ins_db_close(ins_db *db) {
    if (db == NULL) {
        return;
    }
    if (db->cache != NULL) {
        cache_abandon(db->cache); /* letting go of blocks must post nothing */
    }
    directory_views_free(db);
    wal_close(db->wal);
    if (db->cache != NULL) {
        cache_drop_all(db->cache);
    }
    json_parser_destroy(db->parser);
    arena_close(db->arena); /* with everything in it */
    free(db);
}

/* ---- Statistics and memory for callers ---- */

void ins_db_stats(ins_db *db, ins_stats *out_stats) {
    struct arena_usage usage;
    struct wal_stats log;
    struct cache_stats cache;
    struct layouts_stats layouts;
    arena_get_usage(db->arena, &usage);
    wal_get_stats(db->wal, &log);
    cache_get_stats(db->cache, &cache);
    layouts_get_stats(db->cache, &layouts);
    *out_stats = (ins_stats){
        .collections = db->catalog.collection_count - db->catalog.hidden_count,
        .tenants = db->catalog.tenant_count,
        .runs = db->islands.run_count,
        .files = db->files.used_count,
        .lsn_sequenced = wal_next_lsn(db->wal) - 1,
        .lsn_durable = db->reading.durable_lsn,
        .lsn_flushed = db->landed_lsn,
        .log_syncs = log.syncs,
        .log_batches = log.batches,
        .log_bytes = log.bytes,
        .log_records = log.records,
        .file_syncs = db->runtime->store->sync_count,
        .flushes = db->flush_count,
        .merges = db->merge_count,
        .cleanings = db->clean_count,
        .erasures = db->erasure_count,
        .tenants_expired = db->expiry.expired,
        .lsn_erased = db->tidy.erased_lsn,
        .flush_bytes = db->flush_bytes,
        .merge_bytes = db->merge_bytes,
        .clean_bytes = db->clean_bytes,
        .segment_bytes = db->files.bytes,
        .live_bytes = db->files.live_bytes,
        .cold_reads = cache.loads,
        .cold_bytes = cache.load_bytes,
        .kept_bytes = cache.kept_bytes,
        .floor_bytes = cache.floor_bytes,
        .device_reads = cache.reads,
        .device_bytes = cache.read_bytes,
        .cache_hits = cache.hits,
        .cache_evictions = cache.evictions,
        .log_writes = log.writes,
        .filtered_reads = db->reading.filtered_reads,
        .filtered_rows = db->reading.filtered_rows,
        .graphs_built = db->graphs.built,
        .graphs_inherited = db->graphs.inherited,
        .graphs_refused = db->graphs.refused,
        .graphs_waiting = db->graph_queue.count + (db->graph_job != NULL),
        .graph_searches = db->reading.graphs.searches,
        .graph_fallbacks = db->reading.graphs.fallbacks,
        .layouts = layouts.count,
        .layout_bytes = layouts.bytes,
        .layouts_made = layouts.made,
        .layouts_useless = layouts.useless,
        .layouts_dropped = layouts.dropped,
        .layout_searches = layouts.searches,
        .extents_damaged = db->reading.damage.runs,
        .extents_renewed = db->graphs.renewed,
        .code_scans = db->reading.codes.searches,
        .code_fallbacks = db->reading.codes.fallbacks,
        .code_rows = db->reading.codes.rows,
        .code_rows_fine = db->reading.codes.rows_fine,
        .code_rows_exact = db->reading.codes.rows_exact,
        .timers = cache.timers + db->retry_timer.armed + db->tidy.timer.armed +
                  db->tidy.erase_timer.armed + db->room.timer.armed + db->expiry.timer.armed +
                  budget_timers(db) + 1, /* and the log's own, for its empty batch */
        .memory_budget = ins_db_memory_budget(db),
        .memory_budget_asked = db->budget.asked,
        .memory_budget_least = budget_least(db),
        .memory_budget_most = db->budget.most,
        .memory_above = db->budget.above,
        .memory_held = ins_db_held(db),
        .memory_hold_most = ins_db_hold_max(db),
        .memory_settling = db->budget.settling,
        .machine_bytes = db->budget.machine_bytes,
        .arena_limit = usage.limit,
        .arena_used = usage.used,
        .arena_committed = usage.committed,
        .arena_pages = arena_pages_text(usage.pages),
        .isa = kernels_get()->isa,
        .writes_stopped = db->writes_stopped,
    };
    for (int purpose = 0; purpose < INS_MEM_PURPOSE_COUNT; purpose++) {
        out_stats->mem_used[purpose] = usage.purpose_used[purpose];
        out_stats->mem_limit[purpose] = usage.purpose_limit[purpose];
    }
    memcpy(out_stats->graph_damage, db->reading.damage.last, sizeof(out_stats->graph_damage));
    if (db->writes_stopped) {
        memcpy(out_stats->reason, db->failure.message, sizeof(out_stats->reason));
    }
}

void *ins_db_alloc(ins_db *db, size_t size) {
    return size == 0 || size > INS_BLOCK_BYTES_MAX
               ? NULL
               : arena_alloc(db->arena, INS_MEM_CONNECTION, size);
}

void ins_db_free(ins_db *db, void *memory, size_t size) {
    arena_free(db->arena, INS_MEM_CONNECTION, memory, size);
}
