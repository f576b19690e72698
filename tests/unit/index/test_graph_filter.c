/* Goal: of walking, scanning and picking the way is taken that the costs say, and what a walk is
 * told holds together. Method: cases whose answer is plain; then every mix of sizes, against what
 * must always hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/graph_filter.h"

static struct graph_filter_ask usual(void) {
    return (struct graph_filter_ask){
        .rows = 100000, .passing = 50000, .scan_cost = 6506, .effort = 20, .effort_max = 2048};
}

static void test_few_are_picked(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    for (ask.passing = 1; ask.passing <= 500; ask.passing++) {
        assert_false(graph_filter_plan(&ask).walk);
    }
    ask.always = true;
    ask.passing = ask.effort; /* a walk would keep them all */
    assert_false(graph_filter_plan(&ask).walk);
    ask.passing = 20000;
    assert_true(graph_filter_plan(&ask).walk);
}

static void test_rare_ones_need_width(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    assert_int_equal(graph_filter_plan(&ask).effort, 20);
    ask.passing = 4000;
    assert_int_equal(graph_filter_plan(&ask).effort, 20);
    ask.passing = 2000;
    ask.always = true;
    assert_int_equal(graph_filter_plan(&ask).effort, 80);
}

/* The scan serves where it costs about as much as the walk that is wide enough, or where there is
 * no such walk; among very many rows it does not. */
static void test_far(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    struct graph_filter_plan plan = graph_filter_plan(&ask);
    assert_true(plan.walk);
    assert_true(plan.scan_far);
    ask.rows = 10000000;
    ask.passing = 5000000;
    ask.scan_cost = 625256;
    plan = graph_filter_plan(&ask);
    assert_true(plan.walk);
    assert_false(plan.scan_far);
    assert_int_equal(plan.effort_far, 120);
    ask.scan_cost = GRAPH_FILTER_NO_SCAN;
    assert_false(graph_filter_plan(&ask).scan_far);
    ask = usual();
    ask.scan_cost = GRAPH_FILTER_NO_SCAN;
    ask.passing = 9000; /* they can be picked */
    assert_true(graph_filter_plan(&ask).scan_far);
    ask.always = true; /* tests walk wide as well */
    assert_false(graph_filter_plan(&ask).scan_far);
}

static void test_all_mixes(void **state) {
    (void)state;
    static const uint64_t sizes[] = {1, 2, 63, 1000, 4096, 99999, 1000000, UINT32_MAX};
    static const uint32_t efforts[] = {1, 10, 168, 2047, 2048};
    for (uint32_t mix = 0; mix < 8 * 8 * 5 * 3 * 2; mix++) {
        struct graph_filter_ask ask = {.rows = sizes[mix % 8],
                                       .passing = sizes[mix / 8 % 8],
                                       .effort = efforts[mix / 64 % 5],
                                       .effort_max = 2048,
                                       .always = mix / 960 != 0};
        uint64_t scans[] = {0, ask.rows / 16 + 256, GRAPH_FILTER_NO_SCAN};
        ask.scan_cost = scans[mix / 320 % 3];
        if (ask.passing > ask.rows) {
            continue;
        }
        struct graph_filter_plan plan = graph_filter_plan(&ask);
        assert_true(plan.walk || !plan.scan_far);
        if (plan.walk) {
            assert_true(plan.effort >= ask.effort);
            assert_true(plan.effort_far >= plan.effort);
            assert_true(plan.effort_far <= ask.effort_max);
            assert_true(ask.passing > ask.effort);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_picked),
        cmocka_unit_test(test_rare_ones_need_width),
        cmocka_unit_test(test_far),
        cmocka_unit_test(test_all_mixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
