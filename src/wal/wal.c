/* The log as the request lane sees it: open, reserve, append, completion, truncation. */
#include "wal/wal.h"

#include "base/assert.h"
#include "base/status.h"
#include "wal/wal_private.h"

/* A long burst is handed over in pieces, so that the log lane works while it goes on. Cut by time:
 * by size alone, batches and syncs would become as much rarer as a write gets dearer. They still
 * do become rarer, only less so: decision 0007 has what was measured. */
#define PUBLISH_NS 1000000u
#define PUBLISH_BYTES (1u << 20) /* and by size, of what a frame can hold */
#define PUBLISH_LOOK 16u         /* records between two looks at the clock */
/* Refuse writes on a full disk while this much of the current file is left beyond what is pending:
 * frames of a few small records are mostly padding. */
#define LOW_ROOM_BYTES (64u << 10)
#define RETRY_S 1u

void wal_lock(struct wal *wal) {
    int result = pthread_mutex_lock(&wal->lock);
    INS_ASSERT(result == 0);
}

void wal_unlock(struct wal *wal) {
    int result = pthread_mutex_unlock(&wal->lock);
    INS_ASSERT(result == 0);
}

/* ---- Spans
 * --------------------------------------------------------------------------------------- */

void wal_spans_add(struct wal_file_spans *spans, uint64_t file_id, uint64_t last_lsn) {
    struct wal_file_span *last = spans->count == 0 ? NULL : &spans->items[spans->count - 1];
    if (last != NULL) {
        INS_ASSERT(file_id > last->file_id);
        last_lsn = last_lsn > last->last_lsn ? last_lsn : last->last_lsn;
    }
    if (spans->count == WAL_FILE_SPANS_MAX) {
        *last = (struct wal_file_span){file_id, last_lsn};
        return;
    }
    spans->items[spans->count++] = (struct wal_file_span){file_id, last_lsn};
}

uint64_t wal_spans_take(struct wal_file_spans *spans, uint64_t lsn) {
    uint32_t taken = 0;
    uint64_t file_id = 0;
    while (taken < spans->count && spans->items[taken].last_lsn <= lsn) {
        file_id = spans->items[taken++].file_id;
    }
    memmove(spans->items, spans->items + taken, (spans->count - taken) * sizeof(spans->items[0]));
    spans->count -= taken;
    return file_id;
}

/* ---- Open and close
 * ------------------------------------------------------------------------------- */

static struct wal *wal_alloc(const struct wal_options *options) {
    struct wal *wal = arena_alloc_zero(options->arena, INS_MEM_LOG, sizeof(*wal));
    if (wal == NULL) {
        return NULL;
    }
    wal->runtime = options->runtime;
    wal->arena = options->arena;
    wal->sink = options->sink;
    wal->file_bytes = options->file_bytes;
    wal->pending_bytes_max = options->pending_bytes_max;
    wal->drop = options->drop;
    wal->callbacks = options->callbacks;
    uint64_t room = options->file_bytes - WAL_FILE_HEADER_BYTES;
    wal->frame_bytes_max = room < INS_LOG_FRAME_BYTES_MAX ? (size_t)room : INS_LOG_FRAME_BYTES_MAX;
    size_t piece =
        (wal->frame_bytes_max - WAL_FRAME_OVERHEAD - WAL_RECORD_HEADER_BYTES) & ~(size_t)7;
    wal->fragment_bytes_max =
        piece < INS_LOG_FRAGMENT_BYTES_MAX ? piece : INS_LOG_FRAGMENT_BYTES_MAX;
    wal->queue_last = &wal->queue_first;
    wal->backlog_last = &wal->backlog_first;
    wal->released_last = &wal->released_first;
    wal->staged_last = &wal->staged_first;
    wal->publish_task.run = wal_publish_run;
    wal->drain_task.run = wal_drain_run;
    wal->complete_task.run = wal_complete_run;
    wal->prepare_task.run = wal_prepare_run;
    wal->idle_timer.run = wal_idle_run;
    (void)pthread_mutex_init(&wal->lock, NULL);
    return wal;
}

void wal_close(struct wal *wal) {
    if (wal == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&wal->lock);
    arena_free(wal->arena, INS_MEM_LOG, wal->frame_data, wal->frame_bytes_max);
    arena_free(wal->arena, INS_MEM_LOG, wal, sizeof(*wal));
}

/* On a full disk what is in the log can be read all the same, and writes are refused as they would
 * be if the disk had become full later: the file before this life's first counts as used up. */
static void start_without_file(struct wal *wal, const ins_error *reason) {
    wal->file_at = wal->file_bytes;
    wal->file_room = 0;
    wal->no_file = true;
    wal->spare_failure = *reason;
    wal->spare_failed = true;
}

static ins_status wal_start(struct wal *wal, const struct wal_end *end, ins_error *error) {
    if (end->next_lsn == UINT64_MAX || end->last_file_id == UINT64_MAX || end->boot == UINT32_MAX) {
        return ins_fail(error, INS_CORRUPT, "the log's numbers are used up");
    }
    wal->next_lsn = end->next_lsn;
    wal->durable_lsn = end->next_lsn - 1;
    wal->whole_lsn = wal->written_lsn = wal->durable_lsn;
    wal->next_batch = end->next_batch;
    wal->previous_hash = end->previous_hash;
    wal->file_id = end->last_file_id;
    wal->boot = end->boot + 1;
    ins_error reason = {0};
    bool may_be_full = !wal->drop && end->last_file_id > 0;
    if (may_be_full && wal->sink->ops->prepare(wal->sink, wal->file_bytes, &reason) == INS_FULL) {
        start_without_file(wal, &reason);
        return INS_OK;
    }
    ins_status status = wal_begin_file(wal, end->last_file_id + 1, end->next_lsn, error);
    if (status == INS_OK) {
        wal_post_prepare(wal);
    }
    return status;
}

ins_status wal_open(const struct wal_options *options, uint64_t after_lsn, wal_visit visit,
                    void *visit_context, struct wal_replay_result *out_result, struct wal **out_wal,
                    ins_error *error) {
    INS_ASSERT(options->file_bytes >= INS_LOG_FILE_BYTES_MIN);
    INS_ASSERT(options->file_bytes % INS_LOG_PAGE == 0);
    INS_ASSERT(options->callbacks.durable != NULL);
    INS_ASSERT(options->callbacks.failed != NULL);
    INS_ASSERT(out_result != NULL);
    INS_ASSERT(out_wal != NULL);

    struct wal *wal = wal_alloc(options);
    if (wal == NULL) {
        return ins_fail(error, INS_FULL, "no memory to open the log: %zu bytes", sizeof(*wal));
    }
    ins_status status = INS_OK;
    wal->frame_data = arena_alloc(options->arena, INS_MEM_LOG, wal->frame_bytes_max);
    if (wal->frame_data == NULL) {
        status = ins_fail(error, INS_FULL, "no memory to open the log: a frame of %zu bytes",
                          wal->frame_bytes_max);
        goto fail;
    }
    struct wal_replay_options replay = {
        .sink = options->sink,
        .after_lsn = after_lsn,
        .may_be_none = options->drop,
        .visit = visit,
        .visit_context = visit_context,
    };
    struct wal_replay_result result;
    struct wal_end end;
    status = wal_replay(&replay, &result, &end, &wal->spans, error);
    if (status != INS_OK) {
        goto fail;
    }
    status = wal_start(wal, &end, error);
    if (status != INS_OK) {
        goto fail;
    }
    *out_result = result;
    *out_wal = wal;
    return INS_OK;

fail:
    wal_close(wal);
    return status;
}

void wal_stop_run_request(ins_task *task) {
    struct wal *wal = (struct wal *)(void *)((uint8_t *)task - offsetof(struct wal, stop_task));
    wal->stop_done(wal->stop_context); /* may close the log */
}

/* Hands the log lane what was appended since the last time. As a task of its own it runs behind the
 * requests that had arrived already, so that their records go into one batch, with one wake-up; a
 * log lane that took each record as it came would write many small frames instead. */
static void publish(struct wal *wal) {
    if (wal->staged_first == NULL) {
        return;
    }
    wal_lock(wal);
    *wal->queue_last = wal->staged_first;
    wal->queue_last = wal->staged_last;
    bool post = !wal->drain_posted && !wal->failed;
    wal->drain_posted = wal->drain_posted || post;
    wal_unlock(wal);
    wal->staged_first = NULL;
    wal->staged_last = &wal->staged_first;
    wal->staged_bytes = 0;
    wal->staged_count = 0;
    if (post) {
        wal->runtime->post(wal->runtime->context, INS_LANE_LOG, &wal->drain_task);
        wal->runtime->wake(wal->runtime->context, INS_LANE_LOG);
    }
}

void wal_stop(struct wal *wal, void (*done)(void *context), void *context) {
    INS_ASSERT(done != NULL);
    publish(wal);
    INS_ASSERT(wal->stop_done == NULL); /* once */
    wal->stop_done = done;
    wal->stop_context = context;
    wal->stop_task.run = wal_stop_run_log;
    wal->runtime->post(wal->runtime->context, INS_LANE_LOG, &wal->stop_task);
    wal->runtime->wake(wal->runtime->context, INS_LANE_LOG);
}

/* ---- Writing
 * --------------------------------------------------------------------------------------- */

/* The next file could not be made: the current one must take what is pending, or nothing new comes.
 * Asks for another try, so that writes go on by themselves when there is space again. */
static ins_status room_check(struct wal *wal, uint64_t bytes, ins_error *error) {
    if (!wal->spare_failed) {
        return INS_OK;
    }
    uint64_t now_ns = wal->runtime->now_ns(wal->runtime->context);
    if (now_ns >= wal->prepare_again_ns) {
        wal->prepare_again_ns = now_ns + RETRY_S * 1000000000ull;
        wal_post_prepare(wal);
    }
    uint64_t need = 2 * (wal->pending_bytes + wal_charge(bytes)) + LOW_ROOM_BYTES;
    if (need <= wal->file_room) {
        return INS_OK;
    }
    wal_lock(wal);
    ins_error failure = wal->spare_failure;
    wal_unlock(wal);
    return ins_fail_retry(error, INS_FULL, RETRY_S, "no space for the log: %.300s",
                          failure.message);
}

void wal_set_pending_max(struct wal *wal, uint64_t bytes) {
    wal->pending_bytes_max = bytes;
}

ins_status wal_reserve(struct wal *wal, uint64_t bytes, ins_error *error) {
    if (wal->stopped) {
        return ins_fail(error, INS_UNAVAILABLE, "writes are stopped: %.400s", wal->failure.message);
    }
    if (bytes > INS_LOG_RECORD_BYTES_MAX) {
        return ins_fail(error, INS_TOO_LARGE, "a log record of %llu bytes is above the limit of %u",
                        (unsigned long long)bytes, INS_LOG_RECORD_BYTES_MAX);
    }
    uint64_t charge = wal_charge(bytes);
    if (wal->pending_bytes > 0 && wal->pending_bytes + charge > wal->pending_bytes_max) {
        return ins_fail_retry(
            error, INS_EXHAUSTED, RETRY_S, "%llu bytes wait for the log, the limit is %llu",
            (unsigned long long)wal->pending_bytes, (unsigned long long)wal->pending_bytes_max);
    }
    return room_check(wal, bytes, error);
}

static bool burst_is_long(struct wal *wal) {
    if (wal->staged_bytes >= PUBLISH_BYTES) {
        return true;
    }
    if (wal->staged_count % PUBLISH_LOOK != 1) {
        return false;
    }
    uint64_t now_ns = wal->runtime->now_ns(wal->runtime->context);
    if (wal->staged_count == 1) {
        wal->staged_ns = now_ns;
    }
    return now_ns - wal->staged_ns >= PUBLISH_NS;
}

void wal_append(struct wal *wal, struct wal_record *record) {
    INS_ASSERT(!wal->stopped);
    INS_ASSERT(wal->stop_done == NULL);
    INS_ASSERT(wal_record_bytes(record) <= INS_LOG_RECORD_BYTES_MAX);
    INS_ASSERT(record->data != NULL || record->size == 0);
    record->lsn = wal->next_lsn++;
    record->next = NULL;
    wal->pending_bytes += wal_record_charge(record);
    *wal->staged_last = record;
    wal->staged_last = &record->next;
    wal->staged_bytes += wal_record_charge(record);
    wal->staged_count++;
    if (burst_is_long(wal)) {
        publish(wal);
    } else if (!wal->publish_posted) {
        wal->publish_posted = true;
        wal->runtime->post(wal->runtime->context, INS_LANE_REQUEST, &wal->publish_task);
        wal->runtime->wake(wal->runtime->context, INS_LANE_REQUEST);
    }
}

void wal_publish_run(ins_task *task) {
    struct wal *wal = (struct wal *)(void *)((uint8_t *)task - offsetof(struct wal, publish_task));
    wal->publish_posted = false;
    publish(wal);
}

/* Takes what will never be durable and tells; once. */
static void tell_failure(struct wal *wal) {
    publish(wal);
    wal_lock(wal);
    struct wal_record *left = wal->queue_first;
    wal->queue_first = NULL;
    wal->queue_last = &wal->queue_first;
    wal_unlock(wal);
    wal->stopped = true;
    wal->pending_bytes = 0;
    wal->callbacks.failed(wal->callbacks.context, &wal->failure, left);
}

void wal_complete_run(ins_task *task) {
    struct wal *wal = (struct wal *)(void *)((uint8_t *)task - offsetof(struct wal, complete_task));
    wal_lock(wal);
    struct wal_record *released = wal->released_first;
    uint64_t lsn = wal->released_lsn, bytes = wal->released_bytes;
    bool failed = wal->failed;
    wal->released_first = NULL;
    wal->released_last = &wal->released_first;
    wal->released_bytes = 0;
    wal->complete_posted = false;
    wal_unlock(wal);
    if (released != NULL) {
        INS_ASSERT(lsn > wal->durable_lsn);
        INS_ASSERT(lsn < wal->next_lsn);
        INS_ASSERT(bytes <= wal->pending_bytes);
        wal->durable_lsn = lsn;
        wal->pending_bytes -= bytes;
        wal->callbacks.durable(wal->callbacks.context, lsn, released);
    }
    if (failed && !wal->stopped) {
        tell_failure(wal);
    }
}

uint64_t wal_next_lsn(const struct wal *wal) {
    return wal->next_lsn;
}

uint64_t wal_durable_lsn(const struct wal *wal) {
    return wal->durable_lsn;
}

/* ---- Truncation and figures
 * -------------------------------------------------------------------------- */

ins_status wal_truncate(struct wal *wal, uint64_t lsn, ins_error *error) {
    wal_lock(wal);
    /* The last of them is what a start without any would miss. */
    uint64_t file_id = wal->no_file ? 0 : wal_spans_take(&wal->spans, lsn);
    wal_unlock(wal);
    if (file_id == 0 || wal->drop) {
        return INS_OK;
    }
    /* After a failure the files are tried again at the next opening, which finds them. */
    return wal->sink->ops->release(wal->sink, file_id + 1, error);
}

void wal_get_stats(const struct wal *wal, struct wal_stats *out_stats) {
    *out_stats = (struct wal_stats){
        .batches = wal->batch_count,
        .records = wal->record_count,
        .bytes = wal->byte_count,
        .syncs = wal->sink->sync_count,
    };
    histogram_add_to(&wal->writes, &out_stats->writes);
}
