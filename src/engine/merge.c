#include "engine/merge.h"

#include "engine/directory_view.h"
#include "engine/field_columns.h"
#include "engine/flush.h"
#include "engine/graph_job.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/jobs.h"
#include "engine/merge_private.h"
#include "engine/work.h"

/* One job writes about this much at most, so that the next flush never waits long. */
#define MERGE_GENERATIONS 2u
#define MERGE_ISLANDS_MAX 4096u

struct merge {
    ins_task task;
    struct ins_db *db;
    struct pool pool;
    struct merge_item **items; /* [item_count], in the order of the file */
    uint32_t item_count;
    struct segment_info info; /* file 0: nothing was worth a file */
    struct work work;
    bool landing; /* the manifest may name the file */
    ins_status status;
    ins_error error;
    /* Background lane. */
    struct segment_writer *writer; /* NULL until something is to be written */
    struct read_ahead ahead;
    struct merge_rows rows;
    struct field_columns columns;
};

/* ---- Background lane ---- */

static uint64_t window_bytes(const struct merge_item *item, struct merge_window window) {
    uint64_t bytes = 0;
    for (uint32_t i = window.first; i < window.first + window.count; i++) {
        bytes += run_bytes(&item->runs[i]);
    }
    return bytes;
}

/* How many rows count, all versions of all runs considered. */
static ins_status count_live(struct merge_rows *rows, uint64_t *out_live, ins_error *error) {
    *out_live = 0;
    rows->keep_tombstones = false;
    ins_status status = merge_rows_rewind(rows, EXTENT_NEED_KEYS, 0, error);
    for (bool end = false; status == INS_OK && !end;) {
        struct extent_row row;
        status = merge_rows_next(rows, &row, &end, error);
        *out_live += status == INS_OK && !end;
    }
    return status;
}

/* Decides between the plan's windows: reads ids, writes nothing. The rows stay open. */
static ins_status choose_window(struct merge *merge, struct merge_item *item, ins_error *error) {
    struct merge_rows *rows = &merge->rows;
    item->window = item->plan.some;
    if (item->plan.counted.count == 0) {
        return INS_OK;
    }
    ins_status status = merge_rows_open(rows, item, item->plan.counted, error);
    uint64_t live = 0;
    if (status == INS_OK) {
        status = count_live(rows, &live, error);
    }
    if (status != INS_OK) {
        return status;
    }
    uint64_t dead = rows->rows_in - live;
    if (item->whole) {
        item->counted = true;
        item->dead = (uint32_t)dead;
    }
    if (merge_plan_worth(item->plan.reason, item->plan.share, dead, rows->rows_in)) {
        item->window = item->plan.all;
    }
    merge_rows_close(rows);
    return INS_OK;
}

static ins_status open_writer(struct merge *merge, ins_error *error) {
    struct ins_db *db = merge->db;
    uint8_t random_id[16];
    if (merge->writer != NULL) {
        return INS_OK;
    }
    uint64_t file = manifest_next_file(db, random_id);
    return segment_writer_begin(db->runtime->store, db->arena, file, random_id, &merge->writer,
                                error);
}

static ins_status write_window(struct merge *merge, struct merge_item *item, ins_error *error) {
    struct merge_rows *rows = &merge->rows;
    ins_status status = open_writer(merge, error);
    if (status == INS_OK) {
        status = merge_rows_open(rows, item, item->window, error);
    }
    if (status != INS_OK) {
        return status;
    }
    struct extent_source source = merge_rows_source(rows, &merge->columns);
    item->rows_in = rows->rows_in;
    status = segment_writer_extent(merge->writer, &source, &item->merged, error);
    item->rows_out = (uint64_t)item->merged.rows + item->merged.tombstones;
    return status;
}

static ins_status write_item(struct merge *merge, struct merge_item *item, ins_error *error) {
    ins_status status = choose_window(merge, item, error);
    if (status == INS_OK && item->window.count > 0) {
        status = write_window(merge, item, error);
    }
    merge_rows_close(&merge->rows);
    return status;
}

static ins_status write_islands(struct merge *merge, ins_error *error) {
    for (uint32_t i = 0; i < merge->item_count; i++) {
        merge->db->room.other_done = 1000 * i / merge->item_count;
        flush_yield(merge->db);
        ins_status status = write_item(merge, merge->items[i], error);
        if (status != INS_OK) {
            segment_writer_abort(merge->writer);
            return status;
        }
    }
    return merge->writer == NULL ? INS_OK
                                 : segment_writer_commit(merge->writer, &merge->info, error);
}

static ins_status write_file(struct merge *merge, ins_error *error) {
    field_columns_init(&merge->columns, merge->db->arena);
    ins_status status = write_islands(merge, error);
    field_columns_fini(&merge->columns);
    return status;
}

/* ---- Landing ---- */

static uint64_t item_bytes(const struct merge_item *item) {
    return window_bytes(item, item->window.count > 0 ? item->window : item->plan.counted);
}

/* The window's runs are still where they were: nothing else replaces runs, but the island may have
 * gone, or a cleaning may have moved them. */
static bool unchanged(const struct merge_item *item) {
    const struct island *island = item->island;
    const struct merge_window *window = &item->window;
    if ((island->flags & ISLAND_DROPPED) != 0 ||
        island->run_count < window->first + window->count) {
        return false;
    }
    for (uint32_t i = window->first; i < window->first + window->count; i++) {
        const struct run *now = &island->runs[i];
        if (now->file_slot != item->runs[i].file_slot ||
            now->offset_64 != item->runs[i].offset_64) {
            return false;
        }
    }
    return true;
}

/* Rows that were flushed meanwhile may have killed as many as they are: that part of the bound
 * stays. */
static void note_dead(const struct merge_item *item) {
    struct island *island = item->island;
    INS_ASSERT(island->dead_most >= item->dead_before);
    uint32_t since = island->dead_most - item->dead_before;
    uint32_t before = item->counted ? item->dead : item->dead_before;
    uint64_t gone = item->window.count > 0 ? item->rows_in - item->rows_out : 0;
    island->dead_most = since + (before > gone ? before - (uint32_t)gone : 0);
}

/* By what was read of each: that of what is not worth a file was read too. */
static void charge_work(const struct merge *merge) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < merge->item_count; i++) {
        all += item_bytes(merge->items[i]);
    }
    for (uint32_t i = 0; i < merge->item_count; i++) {
        const struct merge_item *item = merge->items[i];
        uint64_t written = item->window.count > 0 ? run_bytes(&item->merged) : 0;
        work_charge(merge->db, &merge->work, item->island, item_bytes(item), all, written);
    }
}

static ins_status land(struct merge *merge) {
    struct ins_db *db = merge->db;
    uint32_t slot = 0;
    bool written = merge->info.file != 0;
    directory_views_close(db);
    ins_status status =
        written ? files_add(&db->files, &merge->info, &slot, &merge->error) : INS_OK;
    for (uint32_t i = 0; i < merge->item_count && status == INS_OK; i++) {
        struct merge_item *item = merge->items[i];
        if (item->window.count > 0) {
            files_at(&db->files, slot)->extent_bytes += run_bytes(&item->merged);
        }
        if (!unchanged(item)) {
            continue;
        }
        note_dead(item);
        if (item->window.count > 0) {
            item->merged.file_slot = slot;
            island_replace_runs(&db->islands, item->island, item->window.first, item->window.count,
                                &item->merged);
            elders_note(db, item);
        }
        island_note_dead(item->island,
                         0); /* a tombstone counts twice in a bound: no more than all */
    }
    db->files.garbage = true;
    return status;
}

static void merge_landed(ins_task *task) {
    struct merge *merge = container_of(task, struct merge, task);
    struct ins_db *db = merge->db;
    bool again = false;
    if (merge->status == INS_OK) {
        charge_work(merge);
        merge->status = land(merge);
    }
    if (merge->status == INS_OK) {
        db->merge_count += merge->info.file != 0;
        db->merge_bytes += merge->info.size_bytes;
        db->merge_turn = false;
        jobs_went_well(db);
    } else if (!merge->landing && jobs_put_off(db, merge->status, &merge->error)) {
        again = true;
    } else {
        jobs_failed(db, "a merge", &merge->error);
    }
    for (uint32_t i = 0; i < merge->item_count; i++) {
        struct merge_item *item = merge->items[i];
        for (uint32_t run = 0; run < item->run_count; run++) {
            files_unpin(&db->files, item->runs[run].file_slot);
        }
        schema_release(&db->catalog, item->schema);
        item->island->flags &= (uint8_t) ~(ISLAND_MERGING | ISLAND_READ);
        if (merge->status == INS_OK || again) {
            merge_want(db, item->island, MERGE_NONE); /* more runs may have come meanwhile */
            graph_want(db, item->island);
        }
        island_unpin(&db->islands, item->island);
    }
    pool_fini(&merge->pool);
    db->merge = NULL;
    arena_free(db->arena, INS_MEM_JOB, merge, sizeof(*merge));
    jobs_kick(db);
}

static void merge_run(ins_task *task) {
    struct merge *merge = container_of(task, struct merge, task);
    struct ins_db *db = merge->db;
    work_begin(db, &merge->work);
    read_ahead_init(&merge->ahead, db->runtime->store, db->arena);
    merge->rows = (struct merge_rows){.db = db, .ahead = &merge->ahead};
    merge->status = write_file(merge, &merge->error);
    read_ahead_fini(&merge->ahead);
    merge->landing = merge->status == INS_OK;
    if (merge->status == INS_OK && merge->info.file != 0) {
        merge->status = manifest_land(db, &merge->info, NULL, 0, 0, 0, &merge->error);
    }
    work_end(db, &merge->work);
    merge->task.run = merge_landed;
    db_run(db, INS_LANE_REQUEST, &merge->task);
}

/* ---- Beginning ---- */

/* About: all runs are merged when half of their rows are dead. */
static uint64_t most_written(const struct merge_item *item) {
    uint64_t all = window_bytes(item, item->plan.all) / 2;
    uint64_t some = window_bytes(item, item->plan.some);
    return all > some ? all : some;
}

static struct merge_item *make_item(struct merge *merge, struct island *island,
                                    uint64_t *out_bytes) {
    struct ins_db *db = merge->db;
    struct merge_item *item = pool_alloc_zero(&merge->pool, sizeof(*item));
    if (item == NULL) {
        return NULL;
    }
    item->island = island;
    item->scope = island->scope->key;
    item->incarnation = island->incarnation;
    item->schema = island->scope->schema == NULL ? NULL : schema_hold(island->scope->schema);
    item->directory = (island->flags & ISLAND_DIRECTORY) != 0;
    item->dead_before = island->dead_most;
    merge_plan_make(island, (enum merge_reason)island->merge_reason, db->tidy.share, &item->plan);
    item->whole = item->plan.counted.count == island->run_count;
    uint32_t some = item->plan.some.first + item->plan.some.count;
    item->run_count = some > item->plan.counted.count ? some : item->plan.counted.count;
    for (uint32_t i = 0; i < item->run_count; i++) {
        item->runs[i] = island->runs[i];
        struct file_slot *file = files_at(&db->files, item->runs[i].file_slot);
        item->files[i] = file->info.file;
        file->pins++;
    }
    *out_bytes += most_written(item);
    return item;
}

static int order_items(const void *left, const void *right) {
    const struct merge_item *a = *(struct merge_item *const *)left;
    const struct merge_item *b = *(struct merge_item *const *)right;
    if (a->scope != b->scope) {
        return a->scope < b->scope ? -1 : 1;
    }
    return (a->incarnation > b->incarnation) - (a->incarnation < b->incarnation);
}

static void take_items(struct merge *merge) {
    struct ins_db *db = merge->db;
    uint64_t bytes = 0;
    while (bytes < MERGE_GENERATIONS * db->generation_bytes &&
           merge->item_count < MERGE_ISLANDS_MAX) {
        struct island *island = merge_queue_take(db);
        if (island == NULL) {
            return;
        }
        bool dropped = (island->flags & ISLAND_DROPPED) != 0;
        struct merge_item *item = dropped ? NULL : make_item(merge, island, &bytes);
        if (item != NULL) {
            merge->items[merge->item_count++] = item;
        } else if (dropped) {
            island->flags &= (uint8_t)~ISLAND_MERGING;
            island_unpin(&db->islands, island);
        } else {
            merge_queue_untake(db, island);
            return; /* no memory for more in one job */
        }
    }
}

bool merge_begin(struct ins_db *db) {
    if (db->merge_first == NULL || db->writes_stopped || !db_schemas_durable(db)) {
        return false;
    }
    struct merge *merge = arena_alloc_zero(db->arena, INS_MEM_JOB, sizeof(*merge));
    if (merge == NULL) {
        return false;
    }
    merge->db = db;
    pool_init(&merge->pool, db->arena, INS_MEM_JOB, 8u << 20);
    merge->items = pool_alloc(&merge->pool, MERGE_ISLANDS_MAX * sizeof(*merge->items));
    if (merge->items != NULL) {
        take_items(merge);
    }
    if (merge->items == NULL || merge->item_count == 0) {
        pool_fini(&merge->pool);
        arena_free(db->arena, INS_MEM_JOB, merge, sizeof(*merge));
        return false;
    }
    qsort(merge->items, merge->item_count, sizeof(*merge->items), order_items);
    db->merge = merge;
    merge->task.run = merge_run;
    db_run(db, INS_LANE_BACKGROUND, &merge->task);
    return true;
}
