/* Goal: the log does what wal.h says while nothing is damaged: group commit, rotation, fragments,
 * truncation, idleness, limits, failures. Method: a deterministic runtime of one queue over the
 * simulator's store. */
#include "rig.h"

static ins_store *store_open(uint64_t seed) {
    struct store_memory_options options = {.seed = seed};
    ins_store *store;
    assert_int_equal(store_memory_open(&options, &store), INS_OK);
    return store;
}

static int setup(void **state) {
    struct rig *rig = malloc(sizeof(*rig));
    rig_init(rig, store_open(1), 1);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    rig_drop(rig);
    rig_fini(rig);
    ins_store_close(rig->store);
    free(rig);
    return 0;
}

static void must_open(struct rig *rig, uint64_t after_lsn) {
    ins_error error = {0};
    ins_status status = rig_open(rig, after_lsn, &error);
    if (status != INS_OK) {
        print_error("%s\n", error.message);
    }
    assert_int_equal(status, INS_OK);
}

static size_t file_count(struct rig *rig) {
    size_t count;
    assert_int_equal(rig->sink->ops->files(rig->sink, NULL, 0, &count, NULL), INS_OK);
    return count;
}

static void test_group(void **state) {
    /* Goal: what was appended together is one batch and one sync, durable is told once a batch, and
     * a restart gives every record back. Method: 5,000 records before the log lane runs: two
     * batches (4,096 records at most). */
    struct rig *rig = *state;
    rig->options.file_bytes = 8u << 20;
    must_open(rig, 0);
    queue_pump(&rig->queue);
    uint64_t syncs = rig->sink->sync_count;
    rig_write_many(rig, 5000, 300);
    assert_int_equal(rig->durable_lsn, 0);
    queue_pump(&rig->queue);
    assert_int_equal(rig->durable_lsn, 5000);
    assert_int_equal(rig->sink->sync_count - syncs, 2);
    assert_int_equal(rig->durable_calls, 2);
    struct wal_stats stats;
    wal_get_stats(rig->wal, &stats);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(stats.records, 5000);
    assert_int_equal(stats.bytes, rig->sink->write_bytes);
    assert_int_equal(stats.syncs, rig->sink->sync_count);
    rig_drop(rig);
    store_memory_crash(rig->store);
    must_open(rig, 0);
    assert_int_equal(rig->replayed, 5000);
    assert_false(rig->result.torn_tail);
    assert_int_equal(rig->result.last_file_id, 1);
    rig_write_many(rig, 10, 300);
    rig_stop(rig);
    must_open(rig, 4000);
    assert_int_equal(rig->replayed, 1010);
}

static void test_sizes(void **state) {
    /* Goal: records of every awkward size come back: empty, odd, one below, at and above what goes
     * whole, several frames long. Method: all of them, several openings. */
    struct rig *rig = *state;
    const uint64_t file_bytes[] = {256u << 10, 1u << 20, 4u << 20};
    const uint32_t sizes[] = {0,       1,       7,        8,       4096,         200000,
                              261992,  262000,  300000,   1048575, 1048576,      1048577,
                              2097152, 3145728, 10000000, 0,       258048 - 200, 5,
                              3000001, 63};
    uint64_t lsn = 0;
    for (size_t f = 0; f < 3; f++) {
        rig->options.file_bytes = file_bytes[f];
        must_open(rig, lsn);
        uint64_t before = lsn;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            lsn = rig_write(rig, sizes[i], NULL);
            assert_int_not_equal(lsn, 0);
            if (i % 4 == 3) {
                queue_pump(&rig->queue);
            }
        }
        queue_pump(&rig->queue);
        assert_int_equal(rig->durable_lsn, lsn);
        rig_drop(rig);
        must_open(rig, before);
        assert_int_equal(rig->replayed, lsn - before);
        rig_stop(rig);
    }
}

static void test_pieces(void **state) {
    /* Goal: a record in pieces is one record: one LSN, joined when read, all or nothing. Method:
     * pieces of awkward sizes among small records, in files small enough to cut the pieces too;
     * then one whose second frame fails. */
    struct rig *rig = *state;
    const uint32_t sizes[] = {1048576, 7, 0, 300001, 1048576, 1};
    const uint64_t file_bytes[] = {256u << 10, 8u << 20};
    uint64_t lsn = 0;
    for (size_t f = 0; f < 2; f++) {
        rig->options.file_bytes = file_bytes[f];
        must_open(rig, lsn);
        uint64_t before = lsn;
        for (size_t count = 1; count <= 6; count++) {
            (void)rig_write(rig, 10, NULL);
            (void)rig_write_pieces(rig, sizes, count);
            lsn = rig_write(rig, 300, NULL);
            if (count % 2 == 0) {
                queue_pump(&rig->queue);
            }
        }
        assert_int_equal(rig->durable_lsn, lsn);
        (void)rig_write_pieces(rig, sizes, 6);
        store_memory_fail_at(rig->store, 2, true, INS_IO, true);
        queue_pump(&rig->queue);
        assert_int_equal(rig->durable_lsn, lsn);
        assert_int_equal(rig->outstanding, 0);
        rig_drop(rig);
        store_memory_crash(rig->store);
        must_open(rig, before);
        assert_int_equal(rig->replayed, lsn - before);
        rig_stop(rig);
    }
}

static void test_rotation_and_truncation(void **state) {
    /* Goal: files follow each other, go when nothing in them is wanted, and are used again; their
     * old bytes never pass for new ones. Method: 40 rounds of records, truncation to what is
     * durable, restart every fifth. */
    struct rig *rig = *state;
    rig->options.file_bytes = 256u << 10;
    must_open(rig, 0);
    uint64_t flushed = 0;
    size_t most = 0;
    for (size_t round = 0; round < 40; round++) {
        rig_write_many(rig, 300, 4000);
        for (int i = 0; i < 3; i++) {
            (void)queue_step(&rig->queue);
        }
        rig_write_many(rig, 100, 4000);
        queue_pump(&rig->queue);
        most = file_count(rig) > most ? file_count(rig) : most;
        flushed = rig->durable_lsn - 50;
        assert_int_equal(wal_truncate(rig->wal, flushed, NULL), INS_OK);
        if (round % 5 == 4) {
            rig_drop(rig);
            store_memory_crash(rig->store);
            must_open(rig, flushed);
            assert_int_equal(rig->replayed, 50);
        }
    }
    assert_true(most > 3);
    assert_in_range(file_count(rig), 1, 8);
    /* All flushed: every file but the current one goes, also over restarts without a record. */
    for (int i = 0; i < 5; i++) {
        flushed = rig->durable_lsn;
        assert_int_equal(wal_truncate(rig->wal, flushed, NULL), INS_OK);
        assert_int_equal(file_count(rig), 1);
        rig_stop(rig);
        must_open(rig, flushed);
        assert_int_equal(rig->replayed, 0);
        assert_int_equal(file_count(rig), 2);
    }
    /* What was released is missing to one who wants it. */
    rig_stop(rig);
    ins_error error;
    assert_int_equal(rig_open(rig, flushed - 1, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "missing"));
}

static void test_prepared_ahead(void **state) {
    /* Goal: a rotation finds its file ready: no zero-filling in the log lane. Method: count calls
     * of the background lane's prepare by the syncs of a rotation: 2, not 3. */
    struct rig *rig = *state;
    rig->options.file_bytes = 256u << 10;
    must_open(rig, 0);
    queue_pump(&rig->queue); /* prepares */
    for (int i = 0; i < 5; i++) {
        (void)rig_write(rig, 200000, NULL);
        uint64_t syncs = rig->sink->sync_count;
        assert_true(queue_step(&rig->queue)); /* the request lane hands the record over */
        assert_int_equal(rig->sink->sync_count, syncs);
        assert_true(queue_step(&rig->queue)); /* the drain: header, directory, frame */
        assert_in_range(rig->sink->sync_count - syncs, 1, 3);
        queue_pump(&rig->queue);
    }
}

static void test_fragment_truncation(void **state) {
    /* Goal: a record over several files keeps all of them until it is flushed; with its first file
     * released and the record flushed, replay steps over its rest; unflushed, that is damage.
     * Method: 600 KB over files of 256 KiB. */
    struct rig *rig = *state;
    rig->options.file_bytes = 256u << 10;
    must_open(rig, 0);
    (void)rig_write(rig, 100, NULL);
    uint64_t big = rig_write(rig, 600000, NULL);
    uint64_t after = rig_write(rig, 100, NULL);
    queue_pump(&rig->queue);
    assert_int_equal(rig->durable_lsn, after);
    size_t files = file_count(rig);
    assert_true(files >= 3);
    assert_int_equal(wal_truncate(rig->wal, big - 1, NULL), INS_OK);
    assert_int_equal(file_count(rig), files); /* the first file holds a piece of the big one */
    assert_int_equal(wal_truncate(rig->wal, big, NULL), INS_OK);
    assert_true(file_count(rig) < files);
    rig_drop(rig);
    must_open(rig, big);
    assert_int_equal(rig->replayed, 1);
    rig_drop(rig);
    ins_error error;
    assert_int_equal(rig_open(rig, big - 1, &error), INS_CORRUPT);
}

static void test_torn_fragments(void **state) {
    /* Goal: a record whose last fragments were lost is not there, and its LSN is used again.
     * Method: fail the third append of a big record, crash, write another, and read all of it
     * twice. */
    struct rig *rig = *state;
    rig->options.file_bytes = 4u << 20;
    must_open(rig, 0);
    (void)rig_write(rig, 10, NULL);
    queue_pump(&rig->queue);
    uint64_t big = rig_write(rig, 6000000, NULL);
    store_memory_fail_at(rig->store, 3, true, INS_IO, true);
    queue_pump(&rig->queue);
    assert_int_equal(rig->failed_calls, 1);
    assert_int_equal(rig->durable_lsn, big - 1);
    rig_drop(rig);
    store_memory_crash(rig->store);
    must_open(rig, 0);
    assert_int_equal(rig->replayed, 1);
    assert_int_equal(rig_write(rig, 2000000, NULL), big);
    assert_int_equal(rig_write(rig, 20, NULL), big + 1);
    queue_pump(&rig->queue);
    assert_int_equal(rig->durable_lsn, big + 1);
    for (int i = 0; i < 2; i++) {
        rig_drop(rig);
        store_memory_crash(rig->store);
        must_open(rig, 0);
        assert_int_equal(rig->replayed, 3);
    }
}

static void test_idle(void **state) {
    /* Goal: a second after the last batch one empty batch, then silence; not while batches go on;
     * none on an empty log. Method: a clock moved by hand, batches and timers counted. */
    struct rig *rig = *state;
    struct wal_stats stats;
    must_open(rig, 0);
    queue_pump(&rig->queue);
    assert_int_equal(queue_timers(&rig->queue), 0);
    (void)rig_write(rig, 10, NULL);
    queue_pump(&rig->queue);
    assert_int_equal(queue_timers(&rig->queue), 1);
    queue_advance(&rig->queue, 700000000);
    (void)rig_write(rig, 10, NULL);
    queue_pump(&rig->queue);
    queue_advance(&rig->queue, 700000000); /* fires, looks at the clock, waits for the rest */
    wal_get_stats(rig->wal, &stats);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(queue_timers(&rig->queue), 1);
    queue_advance(&rig->queue, 310000000);
    wal_get_stats(rig->wal, &stats);
    assert_int_equal(stats.batches, 3);
    assert_int_equal(stats.records, 2);
    assert_int_equal(queue_timers(&rig->queue), 0);
    size_t tasks = rig->queue.tasks_run;
    queue_advance(&rig->queue, 100000000000);
    assert_int_equal(rig->queue.tasks_run, tasks);
    (void)rig_write(rig, 10, NULL);
    queue_pump(&rig->queue);
    assert_int_equal(queue_timers(&rig->queue), 1);
    /* The empty batch makes damage of the one before it found. */
    queue_advance(&rig->queue, 1000000000);
    rig_drop(rig);
    must_open(rig, 0);
    assert_int_equal(rig->replayed, 3);
    rig_drop(rig);
    assert_true(store_memory_flip(rig->store, "log:1", 4096 * 4 + 200, 1));
    ins_error error;
    assert_int_equal(rig_open(rig, 0, &error), INS_CORRUPT);
    assert_non_null(strstr(error.message, "0000000000000001"));
    assert_non_null(strstr(error.message, "offset 16384"));
}

static void test_limits(void **state) {
    /* Goal: what waits is bounded, a big record gets through alone, records have a maximum. Method:
     * a limit of 10,000 bytes. */
    struct rig *rig = *state;
    rig->options.pending_bytes_max = 10000;
    must_open(rig, 0);
    ins_error error;
    assert_int_equal(wal_reserve(rig->wal, INS_LOG_RECORD_BYTES_MAX + 1ull, &error), INS_TOO_LARGE);
    assert_int_not_equal(rig_write(rig, 50000, &error), 0);
    assert_int_equal(rig_write(rig, 1, &error), 0);
    assert_int_equal(error.status, INS_EXHAUSTED);
    assert_true(error.retry_after_s > 0);
    assert_non_null(strstr(error.message, "10000"));
    queue_pump(&rig->queue);
    size_t count = 0;
    while (rig_write(rig, 1000 - 32, &error) != 0) {
        count++;
    }
    assert_int_equal(count, 10);
    queue_pump(&rig->queue);
    assert_int_not_equal(rig_write(rig, 8000, &error), 0);
    queue_pump(&rig->queue);
}

static void test_changed_in_memory(void **state) {
    /* Goal: a record whose bytes changed after its checksum never reaches the log. Method: change
     * one, small and large. */
    struct rig *rig = *state;
    for (uint32_t size = 100; size <= 2000100; size += 2000000) {
        must_open(rig, 0);
        queue_pump(&rig->queue);
        struct wal_record *record = record_make(1, size);
        assert_int_equal(wal_reserve(rig->wal, size, NULL), INS_OK);
        record->data[size - 1] ^= 4;
        wal_append(rig->wal, record);
        rig->outstanding++;
        queue_pump(&rig->queue);
        assert_int_equal(rig->failed_calls, 1);
        assert_int_equal(rig->failure.status, INS_INTERNAL);
        assert_int_equal(rig->durable_lsn, 0);
        rig_drop(rig);
    }
}

static void test_drop(void **state) {
    /* Goal: the ablation acknowledges without a file. Method: no call reaches the sink. */
    struct rig *rig = *state;
    rig->options.drop = true;
    must_open(rig, 0);
    uint64_t calls = store_memory_calls(rig->store, true);
    rig_write_many(rig, 3000, 3000);
    queue_pump(&rig->queue);
    assert_int_equal(rig->durable_lsn, 3000);
    assert_int_equal(store_memory_calls(rig->store, true), calls);
    assert_int_equal(queue_timers(&rig->queue), 0);
    assert_int_equal(wal_truncate(rig->wal, 3000, NULL), INS_OK);
    rig_stop(rig);
    assert_int_equal(file_count(rig), 0);
    must_open(rig, 3000);
    rig_stop(rig);
    /* Without it, a log that is gone is damage. */
    rig->options.drop = false;
    ins_error error;
    assert_int_equal(rig_open(rig, 3000, &error), INS_CORRUPT);
}

static void test_failure(void **state) {
    /* Goal: after a failed write the log is stopped for good: failed once, everything given back,
     * reserve refuses with the reason, no further call of the sink, also when the store works
     * again. Method: fail one append, with records in the frame, behind it, and appended before the
     * news. */
    struct rig *rig = *state;
    must_open(rig, 0);
    queue_pump(&rig->queue);
    rig_write_many(rig, 6000, 100);
    store_memory_fail_at(rig->store, 2, true, INS_IO, false);
    assert_true(queue_step(&rig->queue));
    (void)rig_write(rig, 10, NULL);
    assert_true(queue_step(&rig->queue));
    while (rig->failed_calls == 0 && rig->durable_lsn < 4096) {
        (void)rig_write(rig, 10, NULL);
        assert_true(queue_step(&rig->queue));
    }
    queue_pump(&rig->queue);
    assert_int_equal(rig->durable_lsn, 4096);
    assert_int_equal(rig->failed_calls, 1);
    assert_int_equal(rig->outstanding, 0);
    ins_error error;
    assert_int_equal(wal_reserve(rig->wal, 1, &error), INS_UNAVAILABLE);
    assert_non_null(strstr(error.message, "injected"));
    uint64_t calls = store_memory_calls(rig->store, true);
    queue_advance(&rig->queue, 5000000000);
    rig_stop(rig);
    assert_int_equal(store_memory_calls(rig->store, true), calls);
}

static void test_full_disk(void **state) {
    /* Goal: when the next file cannot be made, writes are refused while the current one still takes
     * what is pending, the log does not die, and goes on when there is space. Method: prepare fails
     * with INS_FULL until the refusal comes. */
    struct rig *rig = *state;
    rig->options.file_bytes = 256u << 10;
    store_memory_fail_at(rig->store, 2, true, INS_FULL, false); /* 1 is the first rotate */
    must_open(rig, 0);
    queue_pump(&rig->queue);
    store_memory_fail_off(rig->store);
    ins_error error;
    size_t count = 0;
    for (;;) {
        store_memory_fail_at(rig->store, 1, true, INS_FULL, true);
        ins_status status = wal_reserve(rig->wal, 3000, &error);
        queue_pump(&rig->queue); /* another try to prepare */
        store_memory_fail_off(rig->store);
        if (status != INS_OK) {
            break;
        }
        assert_int_not_equal(rig_write(rig, 3000, &error), 0);
        queue_pump(&rig->queue);
        rig->queue.now_ns += 2000000000;
        count++;
    }
    assert_in_range(count, 10, 60);
    assert_int_equal(error.status, INS_FULL);
    assert_true(error.retry_after_s > 0);
    assert_int_equal(rig->failed_calls, 0);
    rig->queue.now_ns += 2000000000;
    assert_int_equal(wal_reserve(rig->wal, 3000, &error), INS_FULL); /* asks for a try */
    queue_pump(&rig->queue);
    rig_write_many(rig, 100, 3000);
    queue_pump(&rig->queue);
    assert_int_equal(rig->durable_lsn, count + 100);
}

static void test_open_on_full_disk(void **state) {
    /* Goal: a log opens when there is no space for its next file: what it holds is replayed, writes
     * are refused, truncation keeps what a start needs, and with space it goes on; all of it is
     * there at the next start. Method: the store has no space from the open on. */
    struct rig *rig = *state;
    rig->options.file_bytes = 256u << 10;
    must_open(rig, 0);
    rig_write_many(rig, 50, 3000);
    queue_pump(&rig->queue);
    rig_drop(rig);
    store_memory_fail_at(rig->store, 1, true, INS_FULL, true);
    must_open(rig, 0);
    assert_int_equal(rig->result.last_lsn, 50);
    ins_error error;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wal_reserve(rig->wal, 100, &error), INS_FULL);
        queue_advance(&rig->queue, 2000000000);
    }
    assert_int_equal(wal_truncate(rig->wal, 50, &error), INS_OK);
    assert_false(wal_renew(rig->wal));
    queue_pump(&rig->queue);
    assert_int_equal(rig->failed_calls, 0);
    rig_drop(rig);
    must_open(rig, 0);
    assert_int_equal(rig->result.last_lsn, 50);
    store_memory_fail_off(rig->store);
    assert_int_equal(wal_reserve(rig->wal, 100, &error), INS_FULL); /* asks for a try */
    queue_pump(&rig->queue);
    rig_write_many(rig, 500, 3000); /* into several files */
    queue_pump(&rig->queue);
    assert_int_equal(rig->durable_lsn, 550);
    assert_true(wal_renew(rig->wal));
    queue_pump(&rig->queue);
    assert_int_equal(wal_truncate(rig->wal, 40, &error), INS_OK);
    rig_stop(rig);
    must_open(rig, 40);
    assert_int_equal(rig->result.last_lsn, 550);
}

static void test_stop(void **state) {
    /* Goal: stop writes what waits, closes the tail, leaves no timer and no task. Method: stop with
     * a long queue; the last batch is empty; stop on an untouched log writes nothing. */
    struct rig *rig = *state;
    rig->options.file_bytes = 8u << 20;
    must_open(rig, 0);
    rig_write_many(rig, 10000, 200);
    rig_stop(rig);
    assert_int_equal(rig->durable_lsn, 10000);
    struct image image;
    struct frames frames;
    image_take(&image, rig->sink);
    image_frames(&image, 0, &frames);
    assert_int_equal(frames.count, 4);
    assert_int_equal(frames.size[3], 4096);
    image_fini(&image);
    must_open(rig, 0);
    uint64_t bytes = rig->sink->write_bytes;
    rig_stop(rig);
    assert_int_equal(rig->sink->write_bytes, bytes);
}

static void test_no_memory(void **state) {
    /* Goal: opening without memory fails cleanly. Method: each allocation of the open in turn. */
    struct rig *rig = *state;
    ins_error error;
    for (uint64_t n = 1; n <= 2; n++) {
        arena_fail_at(rig->arena, n);
        assert_int_equal(rig_open(rig, 0, &error), INS_FULL);
    }
    arena_fail_at(rig->arena, 0);
    must_open(rig, 0);
}

static void test_every_call_fails(void **state) {
    /* Goal: whichever call of the store fails, once or for good, with or without a power cut after:
     * what was told durable is there after a restart, in order, and nothing is made up; an open
     * that fails can be repeated. Method: every call of a short life, in turn; the model is the
     * durable LSN. */
    (void)state;
    for (int manner = 0; manner < 4; manner++) {
        bool sticky = (manner & 1) != 0, power_cut = (manner & 2) != 0;
        for (uint64_t n = 1;; n++) {
            struct rig rig;
            rig_init(&rig, store_open(n * 4 + (uint64_t)manner), n);
            rig.options.file_bytes = 256u << 10;
            uint64_t durable = 0, appended = 0, flushed = 0;
            store_memory_fail_at(rig.store, n, false, INS_IO, sticky);
            bool all_lived = true;
            for (int life = 0; life < 2; life++) {
                if (rig_open(&rig, flushed, NULL) != INS_OK) {
                    all_lived = false;
                    break;
                }
                for (int i = 0; i < 6 && rig.failed_calls == 0; i++) {
                    rig_write_many(&rig, 30, 4000);
                    (void)rig_write(&rig, i == 3 ? 300000 : 10, NULL);
                    queue_pump(&rig.queue);
                }
                appended = wal_next_lsn(rig.wal) - 1;
                durable = rig.durable_lsn;
                if (rig.failed_calls > 0 || durable < 20) {
                    all_lived = false;
                    break;
                }
                flushed = durable - 20; /* as a manifest would say before the truncation */
                ins_status truncated = wal_truncate(rig.wal, flushed, NULL);
                assert_true(truncated == INS_OK || truncated == INS_IO);
                rig_drop(&rig);
            }
            bool reached = store_memory_calls(rig.store, false) >= n;
            rig_drop(&rig);
            if (power_cut) {
                store_memory_crash(rig.store);
            } else {
                store_memory_kill(rig.store);
            }
            ins_error error = {0};
            ins_status status = rig_open(&rig, flushed, &error);
            if (status != INS_OK) {
                print_error("call %llu: %s\n", (unsigned long long)n, error.message);
            }
            assert_int_equal(status, INS_OK);
            assert_in_range(rig.durable_lsn, durable, appended > durable ? appended : durable);
            rig_stop(&rig);
            rig_fini(&rig);
            ins_store_close(rig.store);
            if (!reached) {
                assert_true(all_lived);
                assert_in_range(n, 30, 200);
                break;
            }
        }
    }
}

static void test_crashes(void **state) {
    /* Goal: at any moment, a power cut loses nothing that was told durable. Method: 400 seeds of
     * four lives each: records of mixed sizes, some tasks run, an append that fails at random,
     * truncation, crash or kill. */
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct rig rig;
        uint64_t random = seed;
        rig_init(&rig, store_open(seed), seed);
        rig.options.file_bytes = (256u << 10) << (seed % 3);
        uint64_t durable = 0, appended = 0, flushed = 0;
        for (int life = 0; life < 4; life++) {
            ins_error error = {0};
            ins_status status = rig_open(&rig, flushed, &error);
            if (status != INS_OK) {
                print_error("seed %llu: %s\n", (unsigned long long)seed, error.message);
            }
            assert_int_equal(status, INS_OK);
            assert_true(rig.durable_lsn >= durable);
            assert_true(rig.durable_lsn <= appended || appended < durable);
            random = hash_u64(random + seed);
            store_memory_fail_at(rig.store, 1 + random % 40, true, INS_IO, random % 3 == 0);
            for (uint64_t i = 0; i < random % 60 && rig.failed_calls == 0; i++) {
                uint64_t draw = hash_u64(random + i);
                (void)rig_write(&rig, (uint32_t)(draw % 16 == 0 ? draw % 900000 : draw % 5000),
                                NULL);
                for (uint64_t steps = draw % 4; steps > 0 && queue_step(&rig.queue); steps--) {
                }
                if (draw % 23 == 0 && rig.durable_lsn > flushed + 10) {
                    flushed = rig.durable_lsn - 10;
                    ins_status truncated = wal_truncate(rig.wal, flushed, NULL);
                    assert_true(truncated == INS_OK || truncated == INS_IO);
                }
            }
            durable = rig.durable_lsn;
            appended = wal_next_lsn(rig.wal) - 1;
            rig_drop(&rig);
            if (random % 5 == 0) {
                store_memory_kill(rig.store);
            } else {
                store_memory_crash(rig.store);
            }
        }
        rig_fini(&rig);
        ins_store_close(rig.store);
    }
}

#define ON_RIG(test)                                                                               \
    { #test, test, setup, teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_RIG(test_group),
        ON_RIG(test_sizes),
        ON_RIG(test_pieces),
        ON_RIG(test_rotation_and_truncation),
        ON_RIG(test_prepared_ahead),
        ON_RIG(test_fragment_truncation),
        ON_RIG(test_torn_fragments),
        ON_RIG(test_idle),
        ON_RIG(test_limits),
        ON_RIG(test_changed_in_memory),
        ON_RIG(test_drop),
        ON_RIG(test_failure),
        ON_RIG(test_full_disk),
        ON_RIG(test_open_on_full_disk),
        ON_RIG(test_stop),
        ON_RIG(test_no_memory),
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
