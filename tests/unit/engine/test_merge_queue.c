/* The rules of what to merge. Goal: the numbers of merge_queue.h. Method: run lists made by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/merge_queue.h"

/* Runs of so many KiB, oldest first, of one row a KiB. */
static struct island island_of(struct run *runs, const uint32_t *sizes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        runs[i] = (struct run){.size_64 = sizes[i] * 16, .rows = sizes[i], .flags = RUN_SMALL};
    }
    return (struct island){.runs = runs, .run_count = (uint8_t)count};
}

static void expect_some(const uint32_t *sizes, uint32_t count, uint32_t first, uint32_t length) {
    struct run runs[2 * INS_RUNS_MAX];
    struct island island = island_of(runs, sizes, count);
    struct merge_plan plan;
    assert_int_equal(merge_reason_of(&island, MERGE_NONE, 8), MERGE_RUNS);
    merge_plan_make(&island, MERGE_RUNS, 8, &plan);
    assert_int_equal(plan.all.count, 0);
    assert_int_equal(plan.some.first, first);
    assert_int_equal(plan.some.count, length);
}

static void test_windows(void **state) {
    (void)state;
    const uint32_t equal[INS_RUNS_MERGE + 1] = {4, 4, 4, 4, 4, 4, 4, 4, 4};
    expect_some(equal, INS_RUNS_MERGE + 1, 0, INS_RUNS_MERGE + 1);
    /* A large old run is left alone, */
    const uint32_t old[INS_RUNS_MERGE + 1] = {900, 4, 4, 4, 4, 4, 4, 4, 4};
    expect_some(old, INS_RUNS_MERGE + 1, 1, INS_RUNS_MERGE);
    /* and so are tiers that have grown; */
    const uint32_t tiers[INS_RUNS_MERGE + 1] = {900, 90, 80, 90, 3, 4, 3, 4, 3};
    expect_some(tiers, INS_RUNS_MERGE + 1, 4, 5);
    /* but a tier goes along when little is above it: 25 / 4^2 is less than 4 / 1^2. */
    const uint32_t late[INS_RUNS_MERGE + 1] = {900, 200, 100, 50, 10, 7, 4, 2, 2};
    expect_some(late, INS_RUNS_MERGE + 1, 4, 5);
    /* What a recovery may leave: more than one merge can read. */
    uint32_t many[2 * INS_RUNS_MAX];
    for (uint32_t i = 0; i < 2 * INS_RUNS_MAX; i++) {
        many[i] = 4;
    }
    expect_some(many, 2 * INS_RUNS_MAX, 0, MERGE_RUNS_MAX);
}

/* Large inputs have buffers: no window has more than MERGE_LARGE_MAX. */
static void test_large(void **state) {
    (void)state;
    struct run runs[INS_RUNS_MAX];
    const uint32_t sizes[INS_RUNS_MAX] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    struct island island = island_of(runs, sizes, INS_RUNS_MAX);
    struct merge_plan plan;
    for (uint32_t i = 0; i < INS_RUNS_MAX; i++) {
        runs[i].flags = 1u << RUN_HEADER_SHIFT;
    }
    island.dead_most = 100;
    merge_plan_make(&island, MERGE_DEAD, 8, &plan);
    assert_int_equal(plan.counted.count, INS_RUNS_MAX);
    assert_int_equal(plan.all.first, 0);
    assert_int_equal(plan.all.count, MERGE_LARGE_MAX);
    assert_true(plan.some.count <= MERGE_LARGE_MAX);
}

static void test_dead(void **state) {
    (void)state;
    struct run runs[3];
    const uint32_t sizes[3] = {100, 50, 50};
    struct island island = island_of(runs, sizes, 3);
    assert_int_equal(island_dead_bound(&island), 100); /* each newer row may kill an older one */
    runs[2].tombstones = 10;
    assert_int_equal(island_dead_bound(&island), 120);
    island.dead_most = 105; /* of 210: as many as live */
    assert_int_equal(merge_reason_of(&island, MERGE_NONE, 8), MERGE_NONE);
    island.dead_most = 106;
    assert_int_equal(merge_reason_of(&island, MERGE_NONE, 8), MERGE_DEAD);
    assert_int_equal(merge_dead_share(&island), 16);
    island.dead_most = 52; /* less than 8 of 32 parts of 210 */
    assert_int_equal(merge_reason_of(&island, MERGE_SETTLE, 8), MERGE_NONE);
    assert_int_equal(merge_reason_of(&island, MERGE_ERASE, 8), MERGE_ERASE);
    assert_int_equal(merge_dead_share(&island), 7);
    island.dead_most = 53;
    assert_int_equal(merge_dead_share(&island), 8);
    assert_int_equal(merge_reason_of(&island, MERGE_SETTLE, 8), MERGE_SETTLE);
    island.dead_most = 0;
    assert_int_equal(merge_reason_of(&island, MERGE_ERASE, 8), MERGE_NONE);
}

static void test_searched(void **state) {
    (void)state;
    struct run runs[INS_RUNS_MERGE + 1];
    const uint32_t sizes[INS_RUNS_MERGE + 1] = {9, 9, 9, 9, 9, 9, 9, 9, 9};
    struct island island = island_of(runs, sizes, INS_RUNS_MERGE + 1);
    assert_int_equal(merge_reason_of(&island, MERGE_NONE, 8), MERGE_RUNS);
    island.run_count = INS_RUNS_MERGE;
    assert_int_equal(merge_reason_of(&island, MERGE_NONE, 8), MERGE_NONE);
    assert_int_equal(merge_reason_of(&island, MERGE_SETTLE, 8), MERGE_NONE);
    island.flags = ISLAND_READ;
    assert_int_equal(merge_reason_of(&island, MERGE_NONE, 8), MERGE_NONE);
    island.run_count = INS_RUNS_SEARCHED + 1;
    assert_int_equal(merge_reason_of(&island, MERGE_SETTLE, 8), MERGE_SETTLE);
    island.run_count = INS_RUNS_SEARCHED;
    assert_int_equal(merge_reason_of(&island, MERGE_SETTLE, 8), MERGE_NONE);
    /* In quiet few runs are left, but the large old one is not written again. */
    runs[0].size_64 = 9000 * 16;
    island.run_count = 6;
    struct merge_plan plan;
    merge_plan_make(&island, MERGE_SETTLE, 8, &plan);
    assert_int_equal(plan.some.first, 1);
    assert_int_equal(plan.some.count, 5);
    island.flags = ISLAND_DIRECTORY;
    island.run_count = INS_RUNS_DIRECTORY + 1;
    assert_int_equal(merge_reason_of(&island, MERGE_NONE, 8), MERGE_RUNS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows), cmocka_unit_test(test_large),
                                       cmocka_unit_test(test_dead),
                                       cmocka_unit_test(test_searched)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
