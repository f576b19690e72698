/* Goal: group commit with real lanes over both stores. Method: a producer on the request lane keeps
 * 1,000 records outstanding; the model is the order of LSNs. */
#include <semaphore.h>
#include <unistd.h>

#include "../store/fixture.h"
#include "rig.h"

#define RECORDS 30000
#define OUTSTANDING 1000

struct producer {
    ins_task task; /* first */
    const ins_runtime *runtime;
    struct wal *wal;
    uint64_t appended, durable, durable_calls;
    sem_t done;
};

static void produce(ins_task *task) {
    struct producer *producer = (struct producer *)(void *)task;
    while (producer->appended < RECORDS && producer->appended - producer->durable < OUTSTANDING) {
        struct wal_record *record =
            record_make(producer->appended + 1, 500 + (uint32_t)(producer->appended % 200));
        assert_int_equal(wal_reserve(producer->wal, record->size, NULL), INS_OK);
        wal_append(producer->wal, record);
        assert_int_equal(record->lsn, ++producer->appended);
    }
}

static void on_durable(void *context, uint64_t lsn, struct wal_record *released) {
    struct producer *producer = context;
    assert_true(lsn > producer->durable);
    while (released != NULL) {
        struct wal_record *next = released->next;
        assert_int_equal(released->lsn, ++producer->durable);
        free(released->data);
        free(released);
        released = next;
    }
    assert_int_equal(producer->durable, lsn);
    producer->durable_calls++;
    if (lsn == RECORDS) {
        (void)sem_post(&producer->done);
    } else {
        produce(&producer->task);
    }
}

static void on_failed(void *context, const ins_error *error, struct wal_record *released) {
    (void)context;
    (void)released;
    print_error("%s\n", error->message);
    abort();
}

struct stop {
    ins_task task; /* first */
    struct producer *producer;
};

static void on_stopped(void *context) {
    struct producer *producer = context;
    (void)sem_post(&producer->done);
}

static void stop_run(ins_task *task) {
    struct stop *stop = (struct stop *)(void *)task;
    wal_stop(stop->producer->wal, on_stopped, stop->producer);
}

static void run_task(const ins_runtime *runtime, ins_task *task) {
    runtime->post(runtime->context, INS_LANE_REQUEST, task);
    runtime->wake(runtime->context, INS_LANE_REQUEST);
}

static void test_group_commit(void **state) {
    /* Goal: all records durable in order, far fewer batches than records, all there after a
     * restart, also of a second life. Method: as said above. */
    struct place *place = *state;
    struct arena *arena;
    struct arena_options arena_options = {.limit_bytes = 8u << 20, .plain_pages = true};
    arena_options.purpose_limit_bytes[INS_MEM_LOG] = 8u << 20;
    assert_int_equal(arena_open(&arena_options, &arena, NULL), INS_OK);
    struct producer producer = {.task.run = produce};
    (void)sem_init(&producer.done, 0, 0);
    ins_runtime *runtime;
    assert_int_equal(ins_runtime_open_threads(place->store, &runtime, NULL), INS_OK);
    struct log_sink *sink = place->store->ops->log_sink(place->store);
    struct wal_options options = {
        .runtime = runtime,
        .arena = arena,
        .sink = sink,
        .file_bytes = 4u << 20,
        .pending_bytes_max = 16u << 20,
        .callbacks = {.context = &producer, .durable = on_durable, .failed = on_failed},
    };
    struct wal_replay_result result;
    ins_error error;
    assert_int_equal(wal_open(&options, 0, NULL, NULL, &result, &producer.wal, &error), INS_OK);
    producer.runtime = runtime;
    run_task(runtime, &producer.task);
    (void)sem_wait(&producer.done);
    struct wal_stats stats;
    wal_get_stats(producer.wal, &stats);
    assert_int_equal(stats.records, RECORDS);
    assert_true(stats.batches < RECORDS / 10);
    assert_true(producer.durable_calls <= stats.batches);
    assert_true(stats.syncs >= stats.batches);
    struct stop stop = {.task.run = stop_run, .producer = &producer};
    run_task(runtime, &stop.task);
    (void)sem_wait(&producer.done);
    wal_close(producer.wal);
    ins_runtime_close_threads(runtime);

    place_reopen(place);
    sink = place->store->ops->log_sink(place->store);
    struct rig reader = {0};
    assert_int_equal(wal_check(sink, 0, rig_visit, &reader, &result, &error), INS_OK);
    assert_int_equal(reader.replayed, RECORDS);
    assert_int_equal(result.last_lsn, RECORDS);
    assert_false(result.torn_tail);
    arena_close(arena);
}

static void test_idle(void **state) {
    /* Goal: the empty batch comes by itself on the thread runtime. Method: records, then 1.3 s of
     * quiet. */
    struct place *place = *state;
    struct rig rig;
    struct producer producer = {.task.run = produce};
    (void)sem_init(&producer.done, 0, 0);
    rig_init(&rig, place->store, 1);
    ins_runtime *runtime;
    assert_int_equal(ins_runtime_open_threads(place->store, &runtime, NULL), INS_OK);
    rig.options.runtime = runtime;
    rig.options.callbacks =
        (struct wal_callbacks){.context = &producer, .durable = on_durable, .failed = on_failed};
    ins_error error;
    assert_int_equal(wal_open(&rig.options, 0, NULL, NULL, &rig.result, &producer.wal, &error),
                     INS_OK);
    run_task(runtime, &producer.task);
    (void)sem_wait(&producer.done);
    struct wal_stats before, after;
    wal_get_stats(producer.wal, &before);
    after = before;
    for (int tries = 0; after.batches == before.batches; tries++) { /* a second, and some more */
        assert_true(tries < 6000);
        (void)usleep(10000);
        wal_get_stats(producer.wal, &after);
    }
    assert_int_equal(after.batches, before.batches + 1);
    struct stop stop = {.task.run = stop_run, .producer = &producer};
    run_task(runtime, &stop.task);
    (void)sem_wait(&producer.done);
    wal_get_stats(producer.wal, &before);
    assert_int_equal(after.batches, before.batches);
    wal_close(producer.wal);
    ins_runtime_close_threads(runtime);
    rig_fini(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_ALL(test_group_commit),
        {"test_idle", test_idle, place_setup_directory, place_teardown, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
