#include "engine/tidy.h"

#include <string.h>

#include "engine/engine_private.h"
#include "engine/flush.h"
#include "engine/jobs.h"
#include "engine/merge_queue.h"

#define SWEEP_BUCKETS 2000u /* of islands in one step: some 200 us */

static uint64_t sequenced(const struct ins_db *db) {
    return wal_next_lsn(db->wal) - 1;
}

/* All but the ticks of what expires (expiry.h): they leave nothing to tidy, and do not end quiet.
 */
static uint64_t changes(const struct ins_db *db) {
    return sequenced(db) - db->expiry.records;
}

/* ---- In quiet ---- */

static void arm(struct ins_db *db) {
    db->tidy.stage = TIDY_WAIT;
    db->tidy.changes = changes(db);
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &db->tidy.timer, TIDY_QUIET_NS);
}

_Static_assert(TIDY_SHARES == MERGE_SHARES, "the same shares");

static void begin_weighing(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    tidy->stage = TIDY_WEIGH;
    tidy->bucket = 0;
    tidy->named_bytes = 0;
    memset(tidy->dead_bytes, 0, sizeof(tidy->dead_bytes));
}

static void begin_sweep(struct ins_db *db) {
    db->tidy.stage = TIDY_SWEEP;
    db->tidy.bucket = 0;
    db->tidy.found = db->tidy.missed = 0;
    db->merge_open = true;
}

static void ring(ins_timer *timer) {
    struct tidy *tidy = container_of(timer, struct tidy, timer);
    struct ins_db *db = container_of(tidy, struct ins_db, tidy);
    if (tidy->changes != changes(db)) {
        arm(db);
        return;
    }
    tidy->sweeps = 0;
    begin_weighing(db);
    jobs_kick(db);
}

void tidy_want(struct ins_db *db) {
    bool recovering = db->wal == NULL; /* it asks again at its end */
    if (!db->tidy.timer.armed && !db->stopping && !recovering && !db->tidy.erasing) {
        db->clean_total = CLEAN_TOTAL_BUSY;
        db->tidy.timer.run = ring;
        arm(db);
    }
}

void tidy_stop(struct ins_db *db) {
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->tidy.timer);
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->tidy.erase_timer);
    db->tidy.stage = TIDY_DONE;
    db->tidy.erasing = false;
}

/* ---- Erasure ---- */

static void task_done(ins_task *task) {
    struct tidy *tidy = container_of(task, struct tidy, task);
    struct ins_db *db = container_of(tidy, struct ins_db, tidy);
    tidy->task_posted = false;
    jobs_kick(db);
}

/* Log lane: from here on records go to a file that never held any. */
static void renew_log(ins_task *task) {
    struct tidy *tidy = container_of(task, struct tidy, task);
    struct ins_db *db = container_of(tidy, struct ins_db, tidy);
    tidy->log_renewed = wal_renew(db->wal);
    tidy->task.run = task_done;
    db_run(db, INS_LANE_REQUEST, &tidy->task);
}

/* Everything that was dead when the pass began was in its reach. */
static bool pass_was_whole(const struct tidy *tidy) {
    return tidy->missed == 0 && tidy->files_erased && tidy->log_renewed && tidy->log_forgotten;
}

/* Background lane. What fails here is tried again by the next pass. */
static void forget_log(ins_task *task) {
    struct tidy *tidy = container_of(task, struct tidy, task);
    struct ins_db *db = container_of(tidy, struct ins_db, tidy);
    tidy->log_forgotten =
        wal_truncate(db->wal, db->manifest.flushed_lsn, NULL) == INS_OK && wal_forget(db->wal);
    if (pass_was_whole(tidy)) {                      /* so that a restart knows it as well */
        uint64_t flushed = db->manifest.flushed_lsn; /* above it are only rows of what is gone */
        db->manifest.erased_lsn = tidy->lsn < flushed ? tidy->lsn : flushed;
        tidy->noted = manifest_land(db, NULL, NULL, 0, 0, 0, &tidy->error);
    }
    tidy->task.run = task_done;
    db_run(db, INS_LANE_REQUEST, &tidy->task);
}

static void post(struct ins_db *db, uint32_t lane, void (*run)(ins_task *task)) {
    db->tidy.task_posted = true;
    db->tidy.task.run = run;
    db_run(db, lane, &db->tidy.task);
}

static void ring_erase(ins_timer *timer) {
    struct tidy *tidy = container_of(timer, struct tidy, erase_timer);
    struct ins_db *db = container_of(tidy, struct ins_db, tidy);
    if (db->writes_stopped || db->stopping) {
        return;
    }
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &tidy->timer);
    tidy->erasing = true;
    tidy->stage = TIDY_RENEW;
    tidy->lsn = sequenced(db);
    tidy->changes = changes(db);
    tidy->sweeps = 0;
    tidy->again = tidy->files_erased = tidy->log_renewed = tidy->log_forgotten = false;
    tidy->noted = INS_OK;
    post(db, INS_LANE_LOG, renew_log);
}

void tidy_want_erasure(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    bool open = !tidy->erase_timer.armed && !tidy->erasing && !db->stopping && !db->writes_stopped;
    if (open && changes(db) != tidy->erased_changes) {
        uint64_t after = db->options.erase_after_ns;
        tidy->erase_timer.run = ring_erase;
        db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &tidy->erase_timer,
                           (after != 0 ? after : ERASE_AFTER_NS_DEFAULT) / 2);
    }
}

void tidy_erase_now(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    if (tidy->erasing) {
        tidy->again = true;
        return;
    }
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &tidy->erase_timer);
    ring_erase(&tidy->erase_timer);
}

static void end_erasure(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    bool whole = pass_was_whole(tidy) && tidy->noted == INS_OK && !db->writes_stopped;
    if (tidy->noted != INS_OK) {
        jobs_failed(db, "a note of an erasure", &tidy->error);
    }
    tidy->erased_lsn = whole ? tidy->lsn : tidy->erased_lsn;
    tidy->erased_changes = whole ? tidy->changes : tidy->erased_changes;
    tidy->erasing = false;
    tidy->stage = TIDY_DONE;
    db->clean_total = CLEAN_TOTAL_BUSY;
    db->erasure_count++;
    if (tidy->changes != changes(db)) {
        tidy_want(db);
    }
    if (tidy->changes != changes(db) || !whole) {
        tidy_want_erasure(db);
    }
    if (tidy->again && !db->stopping) {
        tidy_erase_now(db);
    }
}

/* ---- Stages ---- */

/* A slice of all islands; true when it was the last one. */
static bool walk(struct ins_db *db, void (*visit)(struct ins_db *db, struct island *island)) {
    struct tidy *tidy = &db->tidy;
    const struct table *table = &db->islands.by_incarnation;
    uint64_t stop = tidy->bucket + SWEEP_BUCKETS;
    for (; tidy->bucket < table->bucket_count && tidy->bucket < stop; tidy->bucket++) {
        for (struct table_node *node = table_bucket(table, tidy->bucket); node != NULL;
             node = node->next) {
            visit(db, (struct island *)(void *)node); /* the first member */
        }
    }
    return tidy->bucket >= table->bucket_count;
}

static void weigh_island(struct ins_db *db, struct island *island) {
    uint64_t bytes = 0, rows = island_row_count(island);
    for (uint32_t i = 0; i < island->run_count; i++) {
        bytes += run_bytes(&island->runs[i]);
    }
    db->tidy.named_bytes += bytes;
    if (rows > 0) {
        double share = (double)island->dead_most / (double)rows;
        db->tidy.dead_bytes[merge_dead_share(island)] += (uint64_t)((double)bytes * share);
    }
}

/* The largest shares go first: for a byte that goes they copy least. */
static uint32_t choose_share(const struct tidy *tidy) {
    uint64_t dead = 0;
    for (uint32_t share = 0; share <= TIDY_SHARES; share++) {
        dead += tidy->dead_bytes[share];
    }
    uint32_t share = TIDY_SHARES + 1;
    while (share > 1 && 100 * dead > TIDY_DEAD_PERCENT * (tidy->named_bytes - dead)) {
        dead -= tidy->dead_bytes[--share];
    }
    return share;
}

/* The merge for which it stands in the queue takes all of its runs, for erasure. */
static bool merges_whole(const struct island *island) {
    struct merge_plan plan;
    if ((island->flags & ISLAND_MERGING) == 0 || island->merge_reason != MERGE_ERASE) {
        return false;
    }
    merge_plan_make(island, MERGE_ERASE, 0, &plan);
    return plan.all.count == island->run_count;
}

static void sweep_island(struct ins_db *db, struct island *island) {
    merge_want(db, island, db->tidy.erasing ? MERGE_ERASE : MERGE_SETTLE);
    db->tidy.found += (island->flags & ISLAND_MERGING) != 0;
    db->tidy.missed += db->tidy.erasing && island->dead_most > 0 && !merges_whole(island);
}

/* A file without runs waits for the views that read it, or for its removal. */
static bool files_are_erased(const struct ins_db *db) {
    for (uint32_t slot = 0; slot < db->files.slot_count; slot++) {
        const struct file_slot *file = files_at(&db->files, slot);
        bool dead = file->used && file->info.file <= db->tidy.last_file &&
                    (file->runs == 0 || file->live_bytes < file->extent_bytes);
        if (dead) {
            return false;
        }
    }
    return true;
}

static uint64_t newest_file(const struct ins_db *db) {
    uint64_t newest = 0;
    for (uint32_t slot = 0; slot < db->files.slot_count; slot++) {
        const struct file_slot *file = files_at(&db->files, slot);
        newest = file->used && file->info.file > newest ? file->info.file : newest;
    }
    return newest;
}

static bool all_flushed(const struct ins_db *db) {
    const struct read_context *reading = &db->reading;
    bool none = flush_nothing_left(db) && reading->generations[1 - reading->active_slot] == NULL;
    return none || db->landed_lsn >= db->tidy.lsn;
}

static bool merged(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    uint32_t passes = tidy->erasing ? ERASE_SWEEPS_MAX : TIDY_PASSES_MAX;
    if (tidy->found > 0 && tidy->sweeps < passes) {
        (tidy->erasing ? begin_sweep : begin_weighing)(db);
        return true;
    }
    tidy->stage = TIDY_CLEAN;
    tidy->last_file = newest_file(db);
    db->clean_total = tidy->erasing ? CLEAN_TOTAL_ERASE : CLEAN_TOTAL_QUIET;
    db->files.dropped_runs = true;
    return true;
}

static bool cleaned(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    tidy->stage = TIDY_DONE;
    if (tidy->erasing) {
        tidy->stage = TIDY_FORGET;
        tidy->files_erased = files_are_erased(db);
        post(db, INS_LANE_BACKGROUND, forget_log);
    }
    return false;
}

bool tidy_step(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    if (!tidy->erasing && tidy->stage >= TIDY_WEIGH && tidy->changes != changes(db)) {
        tidy_want(db); /* written to again */
        return false;
    }
    if (tidy->task_posted) {
        return false;
    }
    switch (tidy->stage) {
    case TIDY_DONE:
    case TIDY_WAIT:
        return false;
    case TIDY_RENEW:
        tidy->stage = TIDY_FLUSH;
        db->flush_wanted = true;
        return true;
    case TIDY_FLUSH:
        if (all_flushed(db) && db->graph_job == NULL) { /* whose runs no merge would take */
            begin_sweep(db);
            return true;
        }
        return false;
    case TIDY_WEIGH:
        if (walk(db, weigh_island)) {
            tidy->share = choose_share(tidy);
            begin_sweep(db);
        }
        return true;
    case TIDY_SWEEP:
        if (walk(db, sweep_island)) {
            tidy->stage = TIDY_MERGE;
            tidy->sweeps++;
        }
        return true;
    case TIDY_MERGE:
        if (db->merge_first == NULL) {
            return jobs_idle(db) ? merged(db) : false;
        }
        if (!db->merge_open) {
            db->merge_open = true;
            return true;
        }
        return false;
    case TIDY_CLEAN:
        return !db->files.dropped_runs && jobs_idle(db) ? cleaned(db) : false;
    case TIDY_FORGET:
        end_erasure(db);
        return false;
    }
    return false;
}
