/* Goal: memory that the caller holds outside of the arena is the cache's loss while it is held, no
 * more than a share of the budget, and given back. Method: limits before, during and after; the
 * request lane has seen what was posted before a call that comes after it. */
#include "tests/unit/engine/fixture.h"

#include "base/limits.h"

static uint64_t cache_limit_of(struct fixture *fixture) {
    return stats_of(fixture).mem_limit[INS_MEM_CACHE];
}

static void test_held(void **state) {
    (void)state;
    struct fixture fixture = {0};
    fixture_open(&fixture);
    uint64_t before = cache_limit_of(&fixture), most = ins_db_hold_max(fixture.db);
    assert_int_equal(most, INS_MEMORY_BUDGET_MIN / 4);
    assert_true(ins_db_hold(fixture.db, 9 * INS_MIB));
    assert_int_equal(cache_limit_of(&fixture), before - 10 * INS_MIB); /* whole pages */
    assert_false(ins_db_hold(fixture.db, most - 9 * INS_MIB + 1));
    assert_false(ins_db_hold(fixture.db, UINT64_MAX));
    assert_int_equal(ins_db_held(fixture.db), 9 * INS_MIB);
    assert_true(ins_db_hold(fixture.db, most - 9 * INS_MIB));
    uint64_t least = cache_limit_of(&fixture);
    assert_in_range(least, 16 * INS_MIB, 18 * INS_MIB); /* it pays no more than it can */
    ins_db_let_go(fixture.db, most - INS_MIB);
    assert_int_equal(cache_limit_of(&fixture), before - 2 * INS_MIB);
    ins_db_let_go(fixture.db, INS_MIB);
    assert_int_equal(cache_limit_of(&fixture), before);
    assert_int_equal(ins_db_held(fixture.db), 0);
    fixture_close(&fixture);
}

/* Another budget while something is held is divided with it. */
static void test_budget(void **state) {
    (void)state;
    struct fixture fixture = {0};
    fixture_open(&fixture);
    uint64_t before = cache_limit_of(&fixture);
    assert_true(ins_db_hold(fixture.db, 20 * INS_MIB));
    ins_budget_request request = {.bytes = INS_MEMORY_BUDGET_MIN + 64 * INS_MIB};
    do_ok(&fixture, ins_budget_set, &request);
    uint64_t larger = cache_limit_of(&fixture);
    ins_db_let_go(fixture.db, 20 * INS_MIB);
    assert_int_equal(cache_limit_of(&fixture), larger + 20 * INS_MIB);
    request.bytes = INS_MEMORY_BUDGET_MIN;
    do_ok(&fixture, ins_budget_set, &request);
    assert_int_equal(cache_limit_of(&fixture), before);
    fixture_close(&fixture);
}

#define DIM 512u
#define ROWS 20000u /* 40 MB of values; building takes some 10 MB */
#define BATCH 500u

static void fill(struct fixture *fixture) {
    static float values[BATCH][DIM];
    static ins_point points[BATCH];
    uint32_t random = 1;
    ins_collection_request request = {
        .collection = text("c"), .dim = DIM, .distance = INS_DISTANCE_EUCLID};
    do_ok(fixture, ins_collection_create, &request);
    for (uint32_t first = 0; first < ROWS; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            for (uint32_t at = 0; at < DIM; at++) {
                random = random * 1664525u + 1013904223u;
                values[i][at] = (float)(random >> 16);
            }
            points[i] = (ins_point){.id = {.low = first + i}, .vector = values[i], .dim = DIM};
        }
        ins_points_request put = {.collection = text("c"), .points = points, .point_count = BATCH};
        do_ok(fixture, ins_points_upsert, &put);
    }
    do_ok(fixture, ins_flush, NULL);
}

/* Goal: a graph that was denied memory while others held it is made when they let it go. */
static void test_graph(void **state) {
    (void)state;
    struct fixture fixture = {0};
    fixture_open(&fixture);
    uint64_t most = ins_db_hold_max(fixture.db);
    assert_true(ins_db_hold(fixture.db, most));
    fill(&fixture);
    do {
        do_ok(&fixture, ins_flush, NULL);
    } while (stats_of(&fixture).graphs_refused == 0);
    uint64_t built = stats_of(&fixture).graphs_built;
    ins_db_let_go(fixture.db, most);
    while (stats_of(&fixture).graphs_built == built) {
    }
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
