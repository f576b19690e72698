#include "rig.h"

/* ---- Queue
 * ----------------------------------------------------------------------------------------- */

static uint64_t queue_now(void *context) {
    return ((struct queue *)context)->now_ns;
}

static void queue_random(void *context, void *out, size_t size) {
    struct queue *queue = context;
    uint8_t *at = out;
    for (size_t i = 0; i < size; i++) {
        queue->random = queue->random * 6364136223846793005ull + 1442695040888963407ull;
        at[i] = (uint8_t)(queue->random >> 56);
    }
}

static void queue_post(void *context, uint32_t lane, ins_task *task) {
    struct queue *queue = context;
    assert_true(lane < INS_LANE_COUNT);
    task->next = NULL;
    *queue->last = task;
    queue->last = &task->next;
}

static void queue_wake(void *context, uint32_t lane) {
    (void)context;
    assert_true(lane < INS_LANE_COUNT);
}

static void queue_timer_stop(void *context, uint32_t lane, ins_timer *timer) {
    struct queue *queue = context;
    (void)lane;
    for (ins_timer **link = &queue->timers; *link != NULL; link = &(*link)->next) {
        if (*link == timer) {
            *link = timer->next;
            timer->armed = false;
            return;
        }
    }
    assert_false(timer->armed);
}

static void queue_timer(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns) {
    struct queue *queue = context;
    queue_timer_stop(context, lane, timer);
    timer->due_ns = queue->now_ns + delay_ns;
    timer->armed = true;
    timer->next = queue->timers;
    queue->timers = timer;
}

void queue_init(struct queue *queue, ins_store *store, uint64_t seed) {
    *queue = (struct queue){.now_ns = 1000, .random = seed};
    queue->last = &queue->first;
    queue->runtime = (ins_runtime){
        .context = queue,
        .store = store,
        .now_ns = queue_now,
        .random = queue_random,
        .post = queue_post,
        .wake = queue_wake,
        .timer = queue_timer,
        .timer_stop = queue_timer_stop,
    };
}

bool queue_step(struct queue *queue) {
    ins_task *task = queue->first;
    if (task == NULL) {
        return false;
    }
    queue->first = task->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    task->next = NULL;
    queue->tasks_run++;
    task->run(task);
    return true;
}

void queue_pump(struct queue *queue) {
    size_t steps = 0;
    while (queue_step(queue)) {
        assert_true(++steps < 10000000);
    }
}

void queue_advance(struct queue *queue, uint64_t ns) {
    queue->now_ns += ns;
    for (bool fired = true; fired;) {
        fired = false;
        for (ins_timer *timer = queue->timers; timer != NULL; timer = timer->next) {
            if (timer->due_ns <= queue->now_ns) {
                queue_timer_stop(queue, 0, timer);
                timer->run(timer);
                fired = true;
                break;
            }
        }
        queue_pump(queue);
    }
}

size_t queue_timers(const struct queue *queue) {
    size_t count = 0;
    for (const ins_timer *timer = queue->timers; timer != NULL; timer = timer->next) {
        count++;
    }
    return count;
}

/* ---- Records
 * ---------------------------------------------------------------------------------------- */

/* The first 8 bytes carry the seed and the size, the rest follows; shorter ones carry what fits. */
static void record_fill(uint8_t *out, uint32_t size, uint64_t seed) {
    uint64_t state = hash_u64(seed + 1);
    for (uint32_t i = 0; i < size; i += 8) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        memcpy(out + i, &state, size - i < 8 ? size - i : 8);
    }
}

struct wal_record *record_make(uint64_t seed, uint32_t size) {
    struct wal_record *record = calloc(1, sizeof(*record));
    record->data = malloc(size + 1);
    record->size = size;
    record->scope = seed * 3;
    record->type = WAL_RECORD_EFFECTS;
    record_fill(record->data, size, seed);
    record->crc = crc32c(record->data, size);
    return record;
}

static size_t records_free(struct wal_record *record, uint64_t *last_lsn) {
    size_t count = 0;
    while (record != NULL) {
        struct wal_record *next = record->next;
        assert_true(record->lsn > *last_lsn);
        *last_lsn = record->lsn;
        for (struct wal_record *piece = record; piece != NULL;) {
            struct wal_record *more = piece->more;
            free(piece->data);
            free(piece);
            piece = more;
        }
        record = next;
        count++;
    }
    return count;
}

ins_status rig_visit(void *context, uint64_t lsn, uint16_t type, uint64_t scope, struct slice data,
                     ins_error *error) {
    struct rig *rig = context;
    (void)error;
    assert_int_equal(type, WAL_RECORD_EFFECTS);
    assert_int_equal(lsn, rig->replayed_lsn + 1);
    uint8_t *expected = malloc(data.size + 1);
    record_fill(expected, (uint32_t)data.size, scope / 3);
    assert_memory_equal(data.data, expected, data.size);
    free(expected);
    rig->replayed_lsn = lsn;
    rig->replayed++;
    return INS_OK;
}

/* ---- Rig
 * -------------------------------------------------------------------------------------------- */

static void on_durable(void *context, uint64_t lsn, struct wal_record *released) {
    struct rig *rig = context;
    assert_int_equal(rig->failed_calls, 0);
    assert_true(lsn > rig->durable_lsn);
    assert_int_equal(wal_durable_lsn(rig->wal), lsn);
    uint64_t last = rig->durable_lsn;
    size_t count = records_free(released, &last);
    assert_int_equal(last, lsn);
    assert_int_equal(count, lsn - rig->durable_lsn);
    rig->durable_lsn = lsn;
    rig->durable_calls++;
    rig->outstanding -= count;
}

static void on_failed(void *context, const ins_error *error, struct wal_record *released) {
    struct rig *rig = context;
    assert_int_equal(rig->failed_calls, 0);
    assert_int_not_equal(error->status, INS_OK);
    rig->failed_calls++;
    rig->failure = *error;
    uint64_t last = rig->durable_lsn;
    size_t count = records_free(released, &last);
    assert_int_equal(last, rig->durable_lsn + count);
    assert_int_equal(count, rig->outstanding);
    rig->outstanding = 0;
}

void rig_init(struct rig *rig, ins_store *store, uint64_t seed) {
    *rig = (struct rig){.store = store, .sink = store->ops->log_sink(store)};
    queue_init(&rig->queue, store, seed);
    struct arena_options arena = {.limit_bytes = 16u << 20, .plain_pages = true};
    for (size_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        arena.purpose_limit_bytes[i] = i == INS_MEM_LOG ? 16u << 20 : 0;
    }
    assert_int_equal(arena_open(&arena, &rig->arena, NULL), INS_OK);
    rig->options = (struct wal_options){
        .runtime = &rig->queue.runtime,
        .arena = rig->arena,
        .sink = rig->sink,
        .file_bytes = 1u << 20,
        .pending_bytes_max = 64u << 20,
        .callbacks = {.context = rig, .durable = on_durable, .failed = on_failed},
    };
}

void rig_fini(struct rig *rig) {
    assert_null(rig->wal);
    arena_close(rig->arena);
}

ins_status rig_open(struct rig *rig, uint64_t after_lsn, ins_error *error) {
    assert_null(rig->wal);
    rig->durable_lsn = 0;
    rig->durable_calls = rig->failed_calls = rig->outstanding = rig->replayed = 0;
    rig->replayed_lsn = after_lsn;
    ins_status status =
        wal_open(&rig->options, after_lsn, rig_visit, rig, &rig->result, &rig->wal, error);
    if (status != INS_OK) {
        assert_null(rig->wal);
        return status;
    }
    assert_int_equal(rig->result.records, rig->replayed);
    assert_int_equal(rig->result.last_lsn, rig->replayed_lsn);
    assert_int_equal(wal_next_lsn(rig->wal), rig->replayed_lsn + 1);
    assert_int_equal(wal_durable_lsn(rig->wal), rig->replayed_lsn);
    rig->durable_lsn = rig->replayed_lsn;
    rig->generation++;
    return INS_OK;
}

/* The records that the log still has are lost with it, as in a crash: the queue is thrown away, and
 * their memory is leaked to a list that nobody reads. So that checkers stay quiet: fail them first.
 */
void rig_drop(struct rig *rig) {
    if (rig->wal == NULL) {
        return;
    }
    if (rig->outstanding > 0) {
        /* Nothing reaches the disk any more; the records come back. */
        store_memory_fail_at(rig->store, 1, true, INS_IO, true);
        queue_pump(&rig->queue);
        assert_int_equal(rig->outstanding, 0);
    }
    rig->queue.first = NULL;
    rig->queue.last = &rig->queue.first;
    rig->queue.timers = NULL;
    wal_close(rig->wal);
    rig->wal = NULL;
}

static void on_stopped(void *context) {
    struct rig *rig = context;
    assert_null(rig->queue.timers);
    wal_close(rig->wal);
    rig->wal = NULL;
}

void rig_stop(struct rig *rig) {
    wal_stop(rig->wal, on_stopped, rig);
    queue_pump(&rig->queue);
    assert_null(rig->wal);
    assert_int_equal(rig->outstanding, 0);
}

uint64_t rig_write(struct rig *rig, uint32_t size, ins_error *error) {
    if (wal_reserve(rig->wal, size, error) != INS_OK) {
        return 0;
    }
    uint64_t lsn = wal_next_lsn(rig->wal);
    struct wal_record *record = record_make(lsn + rig->generation * 1000003, size);
    wal_append(rig->wal, record);
    assert_int_equal(record->lsn, lsn);
    rig->outstanding++;
    return lsn;
}

void rig_write_many(struct rig *rig, size_t count, uint32_t size_max) {
    for (size_t i = 0; i < count; i++) {
        uint64_t draw = hash_u64(i * 31 + count + rig->generation * 7777);
        (void)rig_write(rig, (uint32_t)(draw % size_max), NULL);
    }
}

uint64_t rig_write_pieces(struct rig *rig, const uint32_t *sizes, size_t count) {
    uint32_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += sizes[i];
    }
    assert_int_equal(wal_reserve(rig->wal, size, NULL), INS_OK);
    uint64_t lsn = wal_next_lsn(rig->wal);
    struct wal_record *whole = record_make(lsn, size), *first = NULL, **link = &first;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct wal_record *piece = calloc(1, sizeof(*piece));
        *piece = (struct wal_record){.size = sizes[i], .type = whole->type, .scope = whole->scope};
        piece->data = malloc(sizes[i] + 1);
        memcpy(piece->data, whole->data + at, sizes[i]);
        piece->crc = crc32c(piece->data, sizes[i]);
        *link = piece;
        link = &piece->more;
        at += sizes[i];
    }
    free(whole->data);
    free(whole);
    wal_append(rig->wal, first);
    rig->outstanding++;
    return lsn;
}

/* ---- Image
 * ------------------------------------------------------------------------------------------ */

static ins_status image_files_op(struct log_sink *sink, struct log_file *out_files, size_t capacity,
                                 size_t *out_count, ins_error *error) {
    struct image *image = (struct image *)(void *)sink;
    (void)error;
    for (size_t i = 0; i < image->count && i < capacity; i++) {
        out_files[i] = image->files[i];
    }
    *out_count = image->count;
    return INS_OK;
}

static ins_status image_read_op(struct log_sink *sink, uint64_t file_id, uint64_t offset, void *out,
                                size_t size, ins_error *error) {
    struct image *image = (struct image *)(void *)sink;
    (void)error;
    for (size_t i = 0; i < image->count; i++) {
        if (image->files[i].file_id == file_id) {
            assert_true(offset + size <= image->files[i].size_bytes);
            memcpy(out, image->bytes[i] + offset, size);
            return INS_OK;
        }
    }
    fail();
    return INS_INTERNAL;
}

static const struct log_sink_ops image_ops = {.files = image_files_op, .read = image_read_op};

void image_take(struct image *image, struct log_sink *from) {
    *image = (struct image){.sink.ops = &image_ops};
    assert_int_equal(from->ops->files(from, image->files, IMAGE_FILES_MAX, &image->count, NULL),
                     INS_OK);
    assert_true(image->count <= IMAGE_FILES_MAX);
    for (size_t i = 0; i < image->count; i++) {
        size_t size = (size_t)image->files[i].size_bytes;
        image->bytes[i] = malloc(size);
        assert_int_equal(
            from->ops->read(from, image->files[i].file_id, 0, image->bytes[i], size, NULL), INS_OK);
    }
}

void image_fini(struct image *image) {
    for (size_t i = 0; i < image->count; i++) {
        free(image->bytes[i]);
    }
}

ins_status image_check(struct image *image, uint64_t after_lsn, struct wal_replay_result *result,
                       ins_error *error) {
    struct rig rig = {.replayed_lsn = after_lsn};
    *error = (ins_error){0};
    ins_status status = wal_check(&image->sink, after_lsn, rig_visit, &rig, result, error);
    if (status == INS_OK) {
        assert_int_equal(result->records, rig.replayed);
        assert_int_equal(result->last_lsn, rig.replayed_lsn);
    } else {
        assert_int_equal(error->status, status);
    }
    return status;
}

void image_frames(const struct image *image, size_t file, struct frames *out) {
    out->count = 0;
    struct wal_file_header header;
    assert_null(wal_file_header_decode(image->bytes[file], &header));
    size_t at = WAL_FILE_HEADER_BYTES, size;
    while (at + INS_LOG_PAGE <= image->files[file].size_bytes) {
        struct wal_batch_header batch;
        struct hash128 hash;
        struct slice records;
        if (wal_frame_peek(image->bytes[file] + at, &header, image->files[file].size_bytes - at,
                           &size) != WAL_FRAME_BEGUN ||
            size == 0 ||
            !wal_frame_verify(image->bytes[file] + at, size, &batch, &hash, &records)) {
            return;
        }
        assert_true(out->count < 1024);
        out->at[out->count] = at;
        out->size[out->count++] = size;
        at += size;
    }
}
