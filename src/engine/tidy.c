#include "engine/tidy.h"

#include "engine/engine_private.h"
#include "engine/jobs.h"
#include "engine/merge_queue.h"

#define SWEEP_BUCKETS 2000u /* of islands in one step: some 200 us */

static uint64_t sequenced(const struct ins_db *db) {
    return wal_next_lsn(db->wal) - 1;
}

static void arm(struct ins_db *db) {
    db->tidy.stage = TIDY_WAIT;
    db->tidy.lsn = sequenced(db);
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &db->tidy.timer, TIDY_QUIET_NS);
}

static void ring(ins_timer *timer) {
    struct tidy *tidy = container_of(timer, struct tidy, timer);
    struct ins_db *db = container_of(tidy, struct ins_db, tidy);
    if (tidy->lsn != sequenced(db)) {
        arm(db);
        return;
    }
    tidy->stage = TIDY_SWEEP;
    tidy->bucket = 0;
    db->merge_open = true;
    jobs_kick(db);
}

void tidy_want(struct ins_db *db) {
    bool recovering = db->wal == NULL; /* it asks again at its end */
    if (!db->tidy.timer.armed && !db->stopping && !recovering) {
        db->clean_percent = CLEAN_PERCENT_BUSY;
        db->tidy.timer.run = ring;
        arm(db);
    }
}

void tidy_stop(struct ins_db *db) {
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->tidy.timer);
    db->tidy.stage = TIDY_DONE;
}

static void sweep(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    const struct table *table = &db->islands.by_incarnation;
    uint64_t stop = tidy->bucket + SWEEP_BUCKETS;
    for (; tidy->bucket < table->bucket_count && tidy->bucket < stop; tidy->bucket++) {
        for (struct table_node *node = table_bucket(table, tidy->bucket); node != NULL;
             node = node->next) {
            merge_want(db, (struct island *)(void *)node, MERGE_SETTLE); /* the first member */
        }
    }
    if (tidy->bucket >= table->bucket_count) {
        tidy->stage = TIDY_MERGE;
    }
}

bool tidy_step(struct ins_db *db) {
    struct tidy *tidy = &db->tidy;
    bool quiet = tidy->stage >= TIDY_SWEEP;
    if (quiet && tidy->lsn != sequenced(db)) {
        tidy_want(db); /* written to again */
        return false;
    }
    if (tidy->stage == TIDY_SWEEP) {
        sweep(db);
        return true;
    }
    if (tidy->stage == TIDY_MERGE && db->merge_first == NULL && jobs_idle(db)) {
        tidy->stage = TIDY_CLEAN;
        db->clean_percent = CLEAN_PERCENT_QUIET;
        db->files.dropped_runs = true;
        return true;
    }
    if (tidy->stage == TIDY_CLEAN && !db->files.dropped_runs && jobs_idle(db)) {
        tidy->stage = TIDY_DONE;
    }
    return false;
}
