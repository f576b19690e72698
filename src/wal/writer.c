/* The log lane: one batch from what waits, one frame, one sync, one message to the request lane.
 *
 * Path: wal_append posts the drain when none is posted; the drain takes the whole queue into its
 * own backlog, fills one frame from it, writes it, hands the records that are durable whole to the
 * request lane, and posts itself again when something is left or arrived meanwhile. So no batch
 * ever waits for more records, and the next one forms while this one is written. Failure: the first
 * error of the sink, or a record whose bytes changed in memory, stops the lane for good: nothing is
 * written again. */
#include "base/assert.h"
#include "base/status.h"
#include "wal/wal_private.h"

#define FRAGMENT_BYTES_MIN (64u << 10)
#define IDLE_NS 1000000000ull /* this long without a batch: an empty one closes the tail */

static struct wal *wal_of_task(ins_task *task, size_t offset) {
    return (struct wal *)(void *)((uint8_t *)task - offset);
}

static void wake_with(struct wal *wal, uint32_t lane, ins_task *task) {
    wal->runtime->post(wal->runtime->context, lane, task);
    wal->runtime->wake(wal->runtime->context, lane);
}

/* ---- Files
 * --------------------------------------------------------------------------------------- */

ins_status wal_begin_file(struct wal *wal, uint64_t file_id, uint64_t first_lsn, ins_error *error) {
    struct wal_file_header header = {
        .boot = wal->boot,
        .file_id = file_id,
        .first_lsn = first_lsn,
        .first_batch = wal->next_batch,
        .previous_id = wal->file_id,
        .previous_hash = wal->previous_hash,
        .file_bytes = wal->file_bytes,
    };
    wal->runtime->random(wal->runtime->context, &header.salt, sizeof(header.salt));
    if (!wal->drop) {
        _Alignas(INS_LOG_PAGE) uint8_t bytes[WAL_FILE_HEADER_BYTES];
        wal_file_header_encode(&header, bytes);
        ins_status status =
            wal->sink->ops->rotate(wal->sink, file_id, wal->file_bytes, bytes, error);
        if (status != INS_OK) {
            return status;
        }
    }
    wal->file_id = file_id;
    wal->file_salt = header.salt;
    wal->file_at = WAL_FILE_HEADER_BYTES;
    wal->file_room = wal->file_bytes - wal->file_at;
    return INS_OK;
}

void wal_post_prepare(struct wal *wal) {
    if (wal->drop) {
        return;
    }
    wal_lock(wal);
    bool post = !wal->prepare_posted;
    wal->prepare_posted = true;
    wal_unlock(wal);
    if (post) {
        wake_with(wal, INS_LANE_BACKGROUND, &wal->prepare_task);
    }
}

/* Background lane. A full disk shows here, ahead of need: reserve then refuses writes in time. */
void wal_prepare_run(ins_task *task) {
    struct wal *wal = wal_of_task(task, offsetof(struct wal, prepare_task));
    ins_error error = {0};
    ins_status status = wal->sink->ops->prepare(wal->sink, wal->file_bytes, &error);
    wal_lock(wal);
    wal->prepare_posted = false;
    if (status != INS_OK) {
        wal->spare_failure = error;
    }
    wal->spare_failed = status != INS_OK;
    wal_unlock(wal);
}

static ins_status rotate(struct wal *wal, uint64_t first_lsn, ins_error *error) {
    uint64_t old_id = wal->file_id, old_lsn = wal->written_lsn;
    ins_status status = wal_begin_file(wal, old_id + 1, first_lsn, error);
    if (status != INS_OK) {
        return status;
    }
    wal_lock(wal);
    if (!wal->no_file) { /* else replay has counted it */
        wal_spans_add(&wal->spans, old_id, old_lsn);
    }
    wal->no_file = false;
    wal_unlock(wal);
    wal_post_prepare(wal);
    return INS_OK;
}

/* ---- One batch
 * ----------------------------------------------------------------------------------- */

/* What a frame took from the backlog. */
struct taken {
    struct wal_record *last_whole; /* NULL: none ended in this frame */
    struct wal_record *next;       /* the first that is not durable whole after it */
    struct wal_record *piece;      /* of `next`: the one that goes on */
    uint32_t cursor;               /* bytes of `piece` that are in this frame or before */
    uint64_t first_lsn, last_lsn;  /* of records and fragments */
    uint64_t whole_count, whole_bytes;
};

static ins_status changed_in_memory(const struct wal_record *record, ins_error *error) {
    return ins_fail(error, INS_INTERNAL,
                    "the bytes of record %llu changed in memory before they reached the log",
                    (unsigned long long)record->lsn);
}

/* How much of `piece` from `at` on goes into the frame now; false: nothing of it. Small pieces go
 * whole. Of a large one a part fills what is left, unless that is hardly worth a header. */
static bool part_size(const struct wal *wal, const struct wal_frame *frame,
                      const struct wal_record *piece, uint32_t at, uint32_t *out_size) {
    size_t size = piece->size - at;
    if (at == 0 && size <= wal->fragment_bytes_max) {
        *out_size = (uint32_t)size;
        return wal_frame_fits(frame, size);
    }
    size_t room = wal_frame_room(frame);
    size = size < wal->fragment_bytes_max ? size : wal->fragment_bytes_max;
    if (room < size && room < FRAGMENT_BYTES_MIN) {
        return false;
    }
    *out_size = (uint32_t)(size < room ? size : room);
    return true;
}

/* Adds bytes [at, at + size) of a piece of `record`. */
static ins_status part_add(const struct wal *wal, struct wal_frame *frame,
                           const struct wal_record *record, const struct wal_record *piece,
                           uint32_t at, uint32_t size, ins_error *error) {
    bool all_of_piece = size == piece->size && size <= wal->fragment_bytes_max;
    bool whole = all_of_piece && piece == record && piece->more == NULL;
    struct wal_record_header header = {
        .size = size,
        .crc = piece->crc,
        .type = record->type,
        .lsn = record->lsn,
        .scope = record->scope,
    };
    if (!whole) {
        bool first = piece == record && at == 0;
        bool last = piece->more == NULL && at + size == piece->size;
        header.flags = (uint16_t)(WAL_FRAGMENT | (first ? WAL_FIRST : 0) | (last ? WAL_LAST : 0));
    }
    if (!all_of_piece) {
        header.crc = crc32c(piece->data + at, size);
        if (at == 0 && crc32c(piece->data, piece->size) != piece->crc) {
            return changed_in_memory(record, error);
        }
    }
    /* The pair of the maker's checksum: of the copy, so that the copying is covered too. */
    const uint8_t *copy = wal_frame_add(frame, &header, size == 0 ? NULL : piece->data + at);
    return crc32c(copy, size) == header.crc ? INS_OK : changed_in_memory(record, error);
}

/* Past a part that was added; past the piece or the record when that was its last. */
static void taken_pass(struct taken *taken, uint32_t size) {
    struct wal_record *record = taken->next;
    taken->last_lsn = record->lsn;
    taken->cursor += size;
    if (taken->cursor < taken->piece->size) {
        return;
    }
    taken->cursor = 0;
    taken->piece = taken->piece->more;
    if (taken->piece == NULL) {
        taken->last_whole = record;
        taken->whole_count++;
        taken->whole_bytes += wal_record_charge(record);
        taken->next = record->next;
        taken->piece = record->next;
    }
}

static ins_status frame_fill(const struct wal *wal, struct wal_frame *frame, struct taken *taken,
                             ins_error *error) {
    *taken = (struct taken){.next = wal->backlog_first, .cursor = wal->cursor};
    taken->piece = wal->piece != NULL ? wal->piece : taken->next;
    taken->first_lsn = taken->next->lsn;
    uint32_t size;
    while (taken->next != NULL && part_size(wal, frame, taken->piece, taken->cursor, &size)) {
        ins_status status =
            part_add(wal, frame, taken->next, taken->piece, taken->cursor, size, error);
        if (status != INS_OK) {
            return status;
        }
        taken_pass(taken, size);
    }
    INS_ASSERT(frame->record_count > 0); /* an empty frame takes any part */
    return INS_OK;
}

/* Seals the frame and makes it durable; begins the next file when this one has no room for it. */
static ins_status frame_write(struct wal *wal, struct wal_frame *frame, uint64_t first_lsn,
                              ins_error *error) {
    size_t bytes = wal_frame_bytes(frame);
    if (bytes > wal->file_bytes - wal->file_at || wal->renew) {
        wal->renew = false;
        ins_status status = rotate(wal, first_lsn, error);
        if (status != INS_OK) {
            return status;
        }
    }
    struct wal_batch_header batch = {
        .boot = wal->boot,
        .number = wal->next_batch,
        .first_lsn = first_lsn,
        .previous_hash = wal->previous_hash,
    };
    struct hash128 hash = wal_frame_seal(frame, wal->file_id, wal->file_salt, &batch);
    uint64_t begun_ns = wal->runtime->now_ns(wal->runtime->context);
    if (!wal->drop) {
        ins_status status =
            wal->sink->ops->append(wal->sink, wal->file_at, frame->data, bytes, error);
        if (status != INS_OK) {
            return status;
        }
    }
    wal->previous_hash = hash;
    wal->next_batch++;
    wal->file_at += bytes;
    wal->file_room = wal->file_bytes - wal->file_at;
    wal->last_batch_ns = wal->runtime->now_ns(wal->runtime->context);
    histogram_note(&wal->writes, wal->last_batch_ns - begun_ns);
    wal->batch_count++;
    wal->byte_count += bytes;
    return INS_OK;
}

/* ---- Telling the request lane
 * -------------------------------------------------------------------- */

/* Under lock: true when the caller must post the completion. */
static bool complete_needs_post(struct wal *wal) {
    bool post = !wal->complete_posted;
    wal->complete_posted = true;
    return post;
}

/* The records up to taken->last_whole leave the backlog and go to the request lane. */
static void release(struct wal *wal, const struct taken *taken) {
    wal->cursor = taken->cursor;
    wal->piece = taken->piece == taken->next ? NULL : taken->piece;
    wal->written_lsn = taken->last_lsn;
    if (taken->last_whole == NULL) {
        return;
    }
    struct wal_record *first = wal->backlog_first;
    wal->backlog_first = taken->next;
    if (wal->backlog_first == NULL) {
        wal->backlog_last = &wal->backlog_first;
    }
    taken->last_whole->next = NULL;
    wal->whole_lsn = taken->last_whole->lsn;
    wal->record_count += taken->whole_count;
    wal_lock(wal);
    *wal->released_last = first;
    wal->released_last = &taken->last_whole->next;
    wal->released_lsn = taken->last_whole->lsn;
    wal->released_bytes += taken->whole_bytes;
    bool post = complete_needs_post(wal);
    wal_unlock(wal);
    if (post) {
        wake_with(wal, INS_LANE_REQUEST, &wal->complete_task);
    }
}

/* For good. What the backlog holds goes back to the head of the queue, where the request lane takes
 * it from when it is told. */
static void fail(struct wal *wal, const ins_error *error) {
    wal->runtime->timer_stop(wal->runtime->context, INS_LANE_LOG, &wal->idle_timer);
    wal_lock(wal);
    wal->failed = true;
    wal->failure = *error;
    if (wal->backlog_first != NULL) {
        *wal->backlog_last = wal->queue_first;
        if (wal->queue_first == NULL) {
            wal->queue_last = wal->backlog_last;
        }
        wal->queue_first = wal->backlog_first;
        wal->backlog_first = NULL;
        wal->backlog_last = &wal->backlog_first;
    }
    bool post = complete_needs_post(wal);
    wal_unlock(wal);
    if (post) {
        wake_with(wal, INS_LANE_REQUEST, &wal->complete_task);
    }
}

/* ---- Tasks
 * ----------------------------------------------------------------------------------------- */

/* Moves the queue to the end of the backlog. False: nothing to do, and the drain is posted no more.
 */
static bool take_queue(struct wal *wal) {
    wal_lock(wal);
    if (!wal->failed && wal->queue_first != NULL) {
        *wal->backlog_last = wal->queue_first;
        wal->backlog_last = wal->queue_last;
        wal->queue_first = NULL;
        wal->queue_last = &wal->queue_first;
    }
    bool some = !wal->failed && wal->backlog_first != NULL;
    wal->drain_posted = some;
    wal_unlock(wal);
    return some;
}

static void idle_arm(struct wal *wal, uint64_t delay_ns) {
    if (!wal->drop) {
        wal->runtime->timer(wal->runtime->context, INS_LANE_LOG, &wal->idle_timer, delay_ns);
    }
}

void wal_drain_run(ins_task *task) {
    struct wal *wal = wal_of_task(task, offsetof(struct wal, drain_task));
    if (!take_queue(wal)) {
        return;
    }
    struct wal_frame frame;
    wal_frame_begin(&frame, wal->frame_data, wal->frame_bytes_max);
    struct taken taken;
    ins_error error = {0};
    ins_status status = frame_fill(wal, &frame, &taken, &error);
    if (status == INS_OK) {
        status = frame_write(wal, &frame, taken.first_lsn, &error);
    }
    if (status != INS_OK) {
        fail(wal, &error);
        return;
    }
    release(wal, &taken);
    wal->tail_open = true;
    if (!wal->idle_timer.armed) { /* it looks at the time itself: not moved for each batch */
        idle_arm(wal, IDLE_NS);
    }
    /* What is left, or came meanwhile, is the next task's: timers and others get their turn. The
     * task that finds nothing ends the drain. */
    wake_with(wal, INS_LANE_LOG, &wal->drain_task);
}

/* An empty batch: behind it, damage of the last records can be told from a torn tail. */
static void tail_close(struct wal *wal) {
    if (!wal->tail_open || wal->drop) {
        return;
    }
    struct wal_frame frame;
    wal_frame_begin(&frame, wal->frame_data, wal->frame_bytes_max);
    ins_error error = {0};
    wal->tail_open = false;
    ins_status status = frame_write(wal, &frame, wal->whole_lsn + 1, &error);
    if (status != INS_OK) {
        fail(wal, &error);
    }
}

static bool stopped_or_busy(struct wal *wal, bool *out_failed) {
    wal_lock(wal);
    *out_failed = wal->failed;
    bool busy = wal->drain_posted;
    wal_unlock(wal);
    return *out_failed || busy;
}

bool wal_renew(struct wal *wal) {
    bool failed;
    bool busy = stopped_or_busy(wal, &failed);
    if (failed || wal->drop) {
        return wal->drop;
    }
    ins_error error = {0};
    ins_status status = wal->sink->ops->forget(wal->sink, &error);
    if (status == INS_OK) { /* the file that is to come: a full disk must not end the log */
        status = wal->sink->ops->prepare(wal->sink, wal->file_bytes, &error);
    }
    if (status != INS_OK) {
        return false; /* the next pass tries again */
    }
    wal->renew = true;
    if (!busy && wal->backlog_first == NULL) {
        wal->tail_open = true; /* an empty batch carries the log over */
        tail_close(wal);
    }
    return true;
}

bool wal_forget(struct wal *wal) {
    ins_error error;
    if (wal->drop || wal->sink->ops->forget(wal->sink, &error) != INS_OK) {
        return false;
    }
    wal_post_prepare(wal);
    return true;
}

/* Log lane, a second after a batch. When batches went on, it waits for the rest of the second since
 * the last one; when the log is quiet it stays disarmed: idleness costs no wake-up. */
void wal_idle_run(ins_timer *timer) {
    struct wal *wal = (struct wal *)(void *)((uint8_t *)timer - offsetof(struct wal, idle_timer));
    bool failed;
    bool busy = stopped_or_busy(wal, &failed);
    if (failed) {
        return;
    }
    uint64_t quiet_ns = wal->runtime->now_ns(wal->runtime->context) - wal->last_batch_ns;
    if (busy || quiet_ns < IDLE_NS) {
        idle_arm(wal, busy ? IDLE_NS : IDLE_NS - quiet_ns);
        return;
    }
    tail_close(wal);
}

/* ---- Stopping
 * -------------------------------------------------------------------------------------- */

static void stop_run_background(ins_task *task) {
    struct wal *wal = wal_of_task(task, offsetof(struct wal, stop_task));
    /* A preparation posted before has run. */
    wal->stop_task.run = wal_stop_run_request;
    wake_with(wal, INS_LANE_REQUEST, &wal->stop_task);
}

void wal_stop_run_log(ins_task *task) {
    struct wal *wal = wal_of_task(task, offsetof(struct wal, stop_task));
    bool failed;
    if (stopped_or_busy(wal, &failed) && !failed) {
        wake_with(wal, INS_LANE_LOG,
                  &wal->stop_task); /* behind the drain, which gets on each time */
        return;
    }
    if (!failed) {
        tail_close(wal);
    }
    wal->runtime->timer_stop(wal->runtime->context, INS_LANE_LOG, &wal->idle_timer);
    wal->stop_task.run = stop_run_background;
    wake_with(wal, INS_LANE_BACKGROUND, &wal->stop_task);
}
