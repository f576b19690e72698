#include "engine/jobs.h"

#include "engine/directory_view.h"

#include "base/assert.h"
#include "base/status.h"
#include "engine/clean.h"
#include "engine/flush.h"
#include "engine/graph_job.h"
#include "engine/layout_job.h"
#include "engine/merge.h"
#include "engine/operation.h"

#define REMOVE_MAX 64u /* files in one step */
#define PUT_OFF_NS 1000000000ull
#define PUT_OFF_DOUBLED_MAX 3u /* so at most 8 s */
#define RETRY_NS 10000000ull   /* what could not begin is tried again; some calls each time */
#define REAP_ISLANDS 2000u     /* islands of dropped collections freed in one step: some 200 us */

struct removal {
    ins_task task;
    struct ins_db *db;
    uint64_t files[REMOVE_MAX];
    uint32_t slots[REMOVE_MAX];
    uint32_t count;
    uint64_t log_lsn; /* drops up to it made these files garbage */
    bool log;         /* let go of log files that a recovery left */
    ins_status status;
    ins_error error;
};

void jobs_failed(struct ins_db *db, const char *what, const ins_error *error) {
    if (!db->writes_stopped) {
        db->writes_stopped = true;
        (void)ins_fail(&db->failure, error->status, "%s failed: %.400s", what, error->message);
    }
}

/* Nothing has changed but time: 1 s, then twice as long each time, since a job may write much
 * before it finds that there is no room. */
bool jobs_put_off(struct ins_db *db, ins_status status, const ins_error *error) {
    if ((status != INS_FULL && status != INS_EXHAUSTED) || db->stopping) {
        return false;
    }
    elders_drop_all(db); /* their files are room */
    db->put_off = *error;
    db->put_off.status = status;
    db->put_off_until_ns = db_now(db) + (PUT_OFF_NS << db->put_offs);
    db->put_offs += db->put_offs < PUT_OFF_DOUBLED_MAX;
    return true;
}

void jobs_went_well(struct ins_db *db) {
    db->put_off = (ins_error){0};
    db->put_off_until_ns = 0;
    db->put_offs = 0;
}

bool jobs_idle(const struct ins_db *db) {
    return db->flush == NULL && db->merge == NULL && db->clean == NULL && db->removal == NULL &&
           !db->tidy.task_posted;
}

/* ---- Removing files that nobody names ---- */

static void removal_landed(ins_task *task) {
    struct removal *removal = container_of(task, struct removal, task);
    struct ins_db *db = removal->db;
    for (uint32_t i = 0; i < removal->count; i++) {
        files_free(&db->files, removal->slots[i]);
    }
    if (removal->status != INS_OK) {
        jobs_failed(db, "letting go of old files", &removal->error);
    }
    db->removal = NULL;
    db->remove_turn = false;
    arena_free(db->arena, INS_MEM_JOB, removal, sizeof(*removal));
    jobs_kick(db);
}

/* First the manifest forgets them, then they go: the other way round a crash would leave a manifest
 * that names files which are not there. */
static void removal_run(ins_task *task) {
    struct removal *removal = container_of(task, struct removal, task);
    struct ins_db *db = removal->db;
    if (removal->log) {
        removal->status = wal_truncate(db->wal, db->manifest.flushed_lsn, &removal->error);
    }
    if (removal->count > 0 && removal->status == INS_OK) {
        removal->status = manifest_land(db, NULL, removal->files, removal->count, 0,
                                        removal->log_lsn, &removal->error);
    }
    for (uint32_t i = 0; i < removal->count && removal->status == INS_OK; i++) {
        char name[SEGMENT_NAME_MAX];
        segment_name(removal->files[i], name);
        /* One that stays is an orphan, which the next start removes. */
        (void)store_remove(db->runtime->store, name, NULL);
    }
    removal->task.run = removal_landed;
    db_run(db, INS_LANE_REQUEST, &removal->task);
}

static bool removal_begin(struct ins_db *db) {
    if (!(db->files.garbage || db->log_garbage) || db->writes_stopped) {
        return false;
    }
    struct removal *removal = arena_alloc_zero(db->arena, INS_MEM_JOB, sizeof(*removal));
    if (removal == NULL) {
        return false;
    }
    removal->db = db;
    removal->log_lsn = db->options.drop_log ? 0 : db->reading.durable_lsn;
    removal->log = db->log_garbage;
    db->log_garbage = false;
    db->files.garbage = false;
    for (uint32_t slot = 0; slot < db->files.slot_count; slot++) {
        struct file_slot *file = files_at(&db->files, slot);
        if (!file->used || file->runs > 0 || file->pins > 0 || file->removing) {
            continue;
        }
        if (removal->count == REMOVE_MAX) {
            db->files.garbage = true;
            break;
        }
        file->removing = true;
        removal->files[removal->count] = file->info.file;
        removal->slots[removal->count++] = slot;
    }
    if (removal->count == 0 && !removal->log) {
        arena_free(db->arena, INS_MEM_JOB, removal, sizeof(*removal));
        return false;
    }
    db->removal = removal;
    removal->task.run = removal_run;
    db_run(db, INS_LANE_BACKGROUND, &removal->task);
    return true;
}

/* ---- Who waits for a flush ---- */

static void wake_flush_waiters(struct ins_db *db) {
    struct operation *operation = db->flush_waiters;
    db->flush_waiters = NULL;
    while (operation != NULL) {
        struct operation *next = operation->next_waiting;
        operation->parked = false;
        db_run(db, INS_LANE_REQUEST, &operation->waiter.task);
        operation = next;
    }
}

/* ---- Pages ahead of use ---- */

#define COMMIT_STEP_BYTES                                                                          \
    (2ull * INS_PAGE_BYTES) /* some milliseconds; then others get the lane                         \
                             */

#define COMMIT_LOW_MAX (32ull << 20) /* half of the most that is kept ready */

bool jobs_commit_step(struct ins_db *db) {
    if (!db->commit_wanted) {
        return false;
    }
    /* The last step of a shutdown goes through this lane, behind what was posted before it. */
    bool more = !db->stopping && arena_commit_ahead(db->arena, COMMIT_STEP_BYTES) > 0;
    db->commit_wanted = more;
    return more;
}

static void commit_run(ins_task *task) {
    struct ins_db *db = container_of(task, struct ins_db, commit_task);
    if (jobs_commit_step(db)) {
        db_run(db, INS_LANE_BACKGROUND, task);
    } else {
        db->commit_posted = false;
    }
}

void jobs_commit_ahead(struct ins_db *db) {
    struct arena_usage usage;
    arena_get_usage(db->arena, &usage);
    uint64_t half = usage.used / 16 < COMMIT_LOW_MAX ? usage.used / 16 : COMMIT_LOW_MAX;
    if (db->stopping || arena_commit_ahead(db->arena, 0) <= half) {
        return;
    }
    db->commit_wanted = true;
    if (!db->commit_posted) {
        db->commit_posted = true;
        db->commit_task.run = commit_run;
        db_run(db, INS_LANE_BACKGROUND, &db->commit_task);
    }
}

/* ---- What next ---- */

static void housekeeping(ins_task *task) {
    struct ins_db *db = container_of(task, struct ins_db, housekeeping);
    db->housekeeping_posted = false;
    jobs_kick(db);
}

static void post_housekeeping(struct ins_db *db) {
    if (!db->housekeeping_posted) {
        db->housekeeping_posted = true;
        db->housekeeping.run = housekeeping;
        db_run(db, INS_LANE_REQUEST, &db->housekeeping);
    }
}

/* Flush, merge, removal and cleaning take turns: when 50,000 islands come to need a merge at once,
 * as they do when all of them are written to, writers would wait for all of it. What bounds the
 * runs of an island is that nothing is flushed any more when one has INS_RUNS_MAX, before the queue
 * is empty. Between flushes the queue waits: islands that come to need a merge one by one, since
 * they are read, share one file. */
static void begin_job(struct ins_db *db) {
    if (db->put_off.status != INS_OK && db_now(db) < db->put_off_until_ns) {
        return;
    }
    bool merges = db->merge_first != NULL && !db->stopping;
    db->merge_urgent = db->merge_urgent && merges;
    db->merge_open = db->merge_open && merges;
    bool merge_now = merges && ((db->merge_turn && db->merge_open) || db->merge_urgent);
    if (merge_now && merge_begin(db)) {
        return;
    }
    if (!db->merge_urgent && ((db->remove_turn && removal_begin(db)) ||
                              (db->clean_turn && !db->stopping && clean_begin(db)))) {
        return;
    }
    if (!db->merge_urgent && flush_begin(db)) {
        return;
    }
    if (merges && db->merge_open && merge_begin(db)) {
        return;
    }
    (void)(removal_begin(db) || (!db->stopping && clean_begin(db)));
}

/* Something is wanted, and nothing is under way whose end would look again: a job had no memory to
 * begin, or rows that are wanted in a file wait for memory that views hold. */
static bool is_stuck(struct ins_db *db) {
    bool frozen = db->reading.generations[1 - db->reading.active_slot] != NULL;
    bool merges = db->merge_first != NULL && db->merge_open && !db->stopping;
    bool tidies = db->tidy.stage >= TIDY_RENEW;
    return jobs_idle(db) && !db->writes_stopped && !db->housekeeping_posted &&
           (db->flush_wanted || frozen || merges || tidies);
}

static void try_again(ins_timer *timer) {
    jobs_kick(container_of(timer, struct ins_db, retry_timer));
}

static void arm_retry(struct ins_db *db) {
    if (!db->retry_timer.armed && is_stuck(db)) {
        db->retry_timer.run = try_again;
        db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &db->retry_timer, RETRY_NS);
    }
}

void jobs_kick(struct ins_db *db) {
    if (db->catalog.dropped != NULL) {
        directory_views_close(db);
    }
    if (catalog_reap(&db->catalog, db->reading.durable_lsn, REAP_ISLANDS)) {
        post_housekeeping(db);
    }
    if (db->flush_wanted && (flush_freeze(db) || flush_nothing_left(db))) {
        db->flush_wanted = false;
    }
    if (jobs_idle(db)) {
        begin_job(db);
    } else if ((db->merge != NULL || db->clean != NULL) && !db->merge_urgent) {
        (void)flush_begin(db); /* in the middle of it */
    }
    if (tidy_step(db)) { /* behind begin_job, which finds out that nothing is left to clean */
        post_housekeeping(db);
    }
    graph_job_kick(db);
    layout_job_kick(db);
    room_kick(db);
    jobs_commit_ahead(db);
    arm_retry(db);
    if (db->flush_waiters != NULL) {
        wake_flush_waiters(db);
    }
}

/* ---- ins_flush and ins_db_shutdown ---- */

struct flush_call {
    struct operation operation;
    uint64_t target_lsn;
    bool begun, shutdown, log_stopped;
};

static ins_status park(struct operation *operation) {
    struct ins_db *db = operation->db;
    operation->next_waiting = db->flush_waiters;
    db->flush_waiters = operation;
    operation->parked = true;
    return INS_AGAIN;
}

static void log_stopped(void *context) {
    struct flush_call *self = context;
    self->log_stopped = true;
    self->operation.parked = false;
    db_run(self->operation.db, INS_LANE_REQUEST, &self->operation.waiter.task);
}

/* A shutdown waits for the operations and jobs that are under way as well, then for the log. */
static ins_status shutdown_step(struct flush_call *self) {
    struct ins_db *db = self->operation.db;
    db->stopping = true;
    tidy_stop(db);
    expiry_stop(db);
    bool looks = !budget_stop(db);
    if (db->room.first == NULL) {
        room_stop(db);
    }
    if (self->log_stopped) {
        return INS_OK;
    }
    if (db->operations > 1 || !jobs_idle(db) || db->graph_job != NULL || db->layout_job != NULL ||
        looks) {
        return park(&self->operation);
    }
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->retry_timer);
    self->operation.parked = true;
    wal_stop(db->wal, log_stopped, self);
    return INS_AGAIN;
}

static ins_status flush_step(struct operation *operation, ins_error *error) {
    struct flush_call *self = container_of(operation, struct flush_call, operation);
    struct ins_db *db = operation->db;
    if (!self->begun) {
        self->begun = true;
        self->target_lsn = wal_next_lsn(db->wal) - 1;
        /* Once: it stays wanted until the rows are frozen, and whatever the flush waits for kicks.
         */
        db->flush_wanted = true;
        post_housekeeping(db); /* not from inside this step: the kick posts those who wait */
    }
    bool flushed = db->landed_lsn >= self->target_lsn;
    if (self->shutdown && (flushed || db->writes_stopped || db->put_off.status != INS_OK)) {
        return shutdown_step(self); /* what is in no file is in the log */
    }
    if (flushed) {
        return INS_OK;
    }
    if (db->writes_stopped) {
        return ins_fail(error, INS_UNAVAILABLE, "writes are stopped until a restart: %s",
                        db->failure.message);
    }
    if (db->put_off.status != INS_OK) {
        return ins_fail_retry(error, INS_FULL, 1,
                              "a flush or merge found no room and is tried again: %s",
                              db->put_off.message);
    }
    return park(operation);
}

static void flush_start(ins_db *db, ins_call *call, bool shutdown) {
    struct flush_call *self = operation_create(db, call, sizeof(*self), flush_step, NULL, false);
    if (self != NULL) {
        self->shutdown = shutdown;
        operation_run(&self->operation);
    }
}

void ins_flush(ins_db *db, const void *unused, ins_call *call) {
    (void)unused;
    flush_start(db, call, false);
}

void ins_db_shutdown(ins_db *db, ins_call *call) {
    flush_start(db, call, true);
}
