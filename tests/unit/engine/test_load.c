/* Many callers at once on the thread runtime: goal, no races (run it under TSan) and nothing lost.
 * Method: four threads upsert, overwrite, move and delete points of their own tenants while a fifth
 * flushes all the time; after each round each thread's count must be right, and again after a
 * restart. Small memtables make flushes and merges overlap with everything. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "insula.h"
#include "store/store.h"

enum { THREADS = 4, ROUNDS = 30, POINTS = 40 };

struct rig {
    ins_store *store;
    ins_runtime *runtime;
    ins_db *db;
    _Atomic bool stop;
    _Atomic int failures;
};

struct worker {
    struct rig *rig;
    int number;
};

static ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

static void rig_start(struct rig *rig) {
    ins_error error = {0};
    ins_options options = {.memory_budget = INS_MEMORY_BUDGET_MIN,
                           .log_file_bytes = 1u << 20,
                           .generation_bytes = 1u << 20};
    assert_int_equal(ins_runtime_open_threads(rig->store, &rig->runtime, &error), INS_OK);
    assert_int_equal(ins_db_open(&options, rig->runtime, &rig->db, &error), INS_OK);
}

static void rig_stop(struct rig *rig) {
    ins_runtime_close_threads(rig->runtime);
    ins_db_close(rig->db);
}

/* A refusal for now (both memtables full) is tried again, as a client would. */
static ins_status run(struct rig *rig, ins_start start, const void *request, uint64_t *out_count) {
    ins_status status;
    do {
        ins_call call = {0};
        status = ins_wait(rig->db, start, request, &call);
        if (out_count != NULL) {
            *out_count = call.count;
        }
        if (status != INS_OK && status != INS_EXHAUSTED) {
            print_message("[%d] %s\n", status, call.error.message);
            rig->failures++;
        }
        ins_call_release(&call);
    } while (status == INS_EXHAUSTED);
    return status;
}

static uint64_t count_tenant(struct rig *rig, int tenant) {
    char name[16];
    (void)snprintf(name, sizeof(name), "t%d", tenant);
    ins_value value = {.kind = INS_VALUE_TEXT, .text = text(name)};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text("who"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = text("docs"), .filter = &filter};
    uint64_t count = 0;
    (void)run(rig, ins_points_count, &request, &count);
    return count;
}

static void put(struct rig *rig, uint64_t id, int tenant, float value) {
    char payload[64];
    (void)snprintf(payload, sizeof(payload), "{\"who\":\"t%d\"}", tenant);
    float vector[16] = {value, 1};
    ins_point point = {.id = {.low = id}, .vector = vector, .dim = 16, .payload = text(payload)};
    ins_points_request request = {.collection = text("docs"), .points = &point, .point_count = 1};
    (void)run(rig, ins_points_upsert, &request, NULL);
}

/* Each worker has two tenants; points move from the first to the second and back. */
static void *work(void *argument) {
    struct worker *worker = argument;
    struct rig *rig = worker->rig;
    int home = 2 * worker->number;
    uint64_t base = 1000u * (unsigned)worker->number;
    for (int round = 0; round < ROUNDS; round++) {
        int tenant = home + round % 2;
        for (unsigned i = 0; i < POINTS; i++) {
            put(rig, base + i, tenant, (float)round);
        }
        ins_id ids[2] = {{.low = base}, {.low = base + 1}};
        ins_points_request gone = {.collection = text("docs"), .ids = ids, .id_count = 2};
        (void)run(rig, ins_points_delete, &gone, NULL);
        bool right = count_tenant(rig, tenant) == POINTS - 2 &&
                     count_tenant(rig, home + (round + 1) % 2) == 0;
        rig->failures += !right;
    }
    return NULL;
}

static void *flush(void *argument) {
    struct rig *rig = argument;
    while (!rig->stop) {
        (void)run(rig, ins_flush, NULL, NULL);
    }
    return NULL;
}

static void test_load(void **state) {
    (void)state;
    struct rig rig = {0};
    struct store_memory_options options = {.seed = 7};
    assert_int_equal(store_memory_open(&options, &rig.store), INS_OK);
    rig_start(&rig);
    ins_collection_request collection = {
        .collection = text("docs"), .dim = 16, .distance = INS_DISTANCE_DOT};
    assert_int_equal(run(&rig, ins_collection_create, &collection, NULL), INS_OK);
    collection.field = text("who");
    collection.schema = text("{\"type\":\"keyword\",\"is_tenant\":true}");
    collection.is_tenant = true;
    assert_int_equal(run(&rig, ins_index_create, &collection, NULL), INS_OK);

    pthread_t threads[THREADS], flusher;
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.rig = &rig, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    assert_int_equal(pthread_create(&flusher, NULL, flush, &rig), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    rig.stop = true;
    assert_int_equal(pthread_join(flusher, NULL), 0);
    assert_int_equal(rig.failures, 0);

    rig_stop(&rig);
    store_memory_kill(rig.store);
    rig_start(&rig);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(count_tenant(&rig, 2 * i + (ROUNDS - 1) % 2), POINTS - 2);
    }
    rig_stop(&rig);
    ins_store_close(rig.store);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
