/* Goal: of walking, scanning and picking the way is taken that the costs say, and what a walk is
 * told holds together. Method: cases whose answer is plain; then every mix of sizes, against what
 * must always hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/code1.h"
#include "index/graph_filter.h"

static struct graph_filter_ask usual(void) {
    return (struct graph_filter_ask){.rows = 100000,
                                     .passing = 50000,
                                     .dim = 128,
                                     .row_bytes = 512,
                                     .codes = true,
                                     .effort = 20,
                                     .effort_max = 2048};
}

static void test_few_are_picked(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    for (ask.passing = 1; ask.passing <= 1000; ask.passing++) {
        assert_false(graph_filter_plan(&ask).walk);
    }
    assert_true(graph_filter_picks(128, 512, 100000, 1000));
    assert_false(graph_filter_picks(128, 512, 100000, 10000));
    assert_true(graph_filter_picks(128, 128, 100000, 8000)); /* rows of bytes are cheaper */
    ask.always = true;
    ask.passing = ask.effort; /* a walk would keep them all */
    assert_false(graph_filter_plan(&ask).walk);
    ask.passing = 20000;
    assert_true(graph_filter_plan(&ask).walk);
}

static void test_rare_ones_need_width(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    assert_int_equal(graph_filter_plan(&ask).effort, 25);
    ask.passing = 4000;
    assert_int_equal(graph_filter_plan(&ask).effort, 25);
    ask.passing = 2000;
    ask.always = true;
    assert_int_equal(graph_filter_plan(&ask).effort, 100);
}

/* A walk is taken where it costs less than looking at all rows, however much is asked of it. */
static void test_walks_that_pay(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    assert_true(graph_filter_plan(&ask).walk);
    ask.effort = 208;
    assert_false(graph_filter_plan(&ask).walk);
    ask.rows *= 10;
    ask.passing *= 10;
    assert_true(graph_filter_plan(&ask).walk);
    ask = usual();
    ask.rows = 20000; /* codes of so few are scanned at once */
    ask.passing = 10000;
    assert_false(graph_filter_plan(&ask).walk);
    ask.codes = false;
    assert_true(graph_filter_plan(&ask).walk);
}

/* The scan serves where it costs about as much as the walk that is wide enough, or where there is
 * no such walk; among very many rows it does not. */
static void test_far(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    ask.effort = 30;
    struct graph_filter_plan plan = graph_filter_plan(&ask);
    assert_true(plan.walk);
    assert_true(plan.scan_far);
    ask.rows = 10000000;
    ask.passing = 5000000;
    plan = graph_filter_plan(&ask);
    assert_true(plan.walk);
    assert_false(plan.scan_far);
    assert_int_equal(plan.effort_far, 180);
    ask.codes = false;
    assert_false(graph_filter_plan(&ask).scan_far);
    ask = usual();
    ask.codes = false;
    ask.passing = 4000; /* they can be picked */
    assert_true(graph_filter_plan(&ask).scan_far);
    ask.always = true; /* tests walk wide as well */
    assert_false(graph_filter_plan(&ask).scan_far);
}

/* Who asks for little gets a scan that is as little sure, and more than a walk would find. */
static void test_certainty(void **state) {
    (void)state;
    struct graph_filter_ask ask = usual();
    assert_true(graph_filter_plan(&ask).certainty == CODE1_ROUGHER);
    ask.effort = 200;
    assert_true(graph_filter_plan(&ask).certainty == CODE1_ROUGH);
    ask.effort = 800;
    assert_true(graph_filter_plan(&ask).certainty == CODE1_SURE);
}

static void test_all_mixes(void **state) {
    (void)state;
    static const uint64_t sizes[] = {1, 2, 63, 1000, 4096, 99999, 1000000, UINT32_MAX};
    static const uint32_t efforts[] = {1, 10, 168, 2047, 2048};
    for (uint32_t mix = 0; mix < 8 * 8 * 5 * 2 * 2 * 2; mix++) {
        struct graph_filter_ask ask = {.rows = sizes[mix % 8],
                                       .passing = sizes[mix / 8 % 8],
                                       .dim = mix / 320 % 2 == 0 ? 2 : 65536,
                                       .row_bytes = 8,
                                       .effort = efforts[mix / 64 % 5],
                                       .effort_max = 2048,
                                       .codes = mix / 640 % 2 != 0,
                                       .always = mix / 1280 != 0};
        if (ask.passing > ask.rows) {
            continue;
        }
        struct graph_filter_plan plan = graph_filter_plan(&ask);
        assert_true(plan.walk || !plan.scan_far);
        assert_true(plan.certainty >= CODE1_ROUGHER);
        if (plan.walk) {
            assert_true(plan.effort >= ask.effort);
            assert_true(plan.effort_far >= plan.effort);
            assert_true(plan.effort_far <= ask.effort_max);
            assert_true(ask.passing > ask.effort);
        }
    }
}

/* Goal: rows that pass and are drawn like all others do not lie apart but by chance; those of which
 * none, or too few, are among the near ones do. Method: distances 0 .. 1, evenly drawn; those that
 * pass beyond a tenth, a quarter, or one in eight of them before a half. */
static uint64_t drawn_so_far;

static float draw(void) {
    return (float)(hash_u64(++drawn_so_far) >> 40) * 0x1p-24f;
}

static int order_floats(const void *left, const void *right) {
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

/* Times of 1,000 that 100 rows, each kept below `from` once in `every`, lie apart. */
static uint32_t times_far(float from, uint32_t every) {
    uint32_t times = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        float sample[256], rows[100];
        for (uint32_t row = 0; row < 256; row++) {
            sample[row] = draw();
        }
        for (uint32_t row = 0; row < 100;) {
            rows[row] = draw();
            row += rows[row] >= from || (every > 0 && row % every == 0);
        }
        qsort(rows, 100, sizeof(float), order_floats);
        times += graph_filter_far(sample, 256, rows, GRAPH_FILTER_NEAREST, 100);
    }
    return times;
}

static void test_what_lies_apart(void **state) {
    (void)state;
    assert_in_range(times_far(0, 0), 0, 60);
    assert_in_range(times_far(0.1f, 0), 900, 1000);
    assert_in_range(times_far(0.25f, 0), 995, 1000);
    assert_in_range(times_far(0.5f, 8), 900, 1000);
    assert_false(graph_filter_far(NULL, 0, NULL, 0, 0)); /* nothing is known */
}

static void test_starts(void **state) {
    (void)state;
    uint64_t bits[1000] = {0};
    uint32_t rows[GRAPH_FILTER_STARTS];
    assert_int_equal(graph_filter_starts(bits, 63990, rows), 0);
    bits[999] = 1ull << 53;
    assert_int_equal(graph_filter_starts(bits, 63990, rows), 1);
    assert_int_equal(rows[0], 999 * 64 + 53);
    memset(bits, 0xff, sizeof(bits));
    assert_int_equal(graph_filter_starts(bits, 63990, rows), GRAPH_FILTER_STARTS);
    assert_int_equal(graph_filter_starts(bits, 130, rows), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_picked),  cmocka_unit_test(test_rare_ones_need_width),
        cmocka_unit_test(test_walks_that_pay),  cmocka_unit_test(test_far),
        cmocka_unit_test(test_certainty),       cmocka_unit_test(test_all_mixes),
        cmocka_unit_test(test_what_lies_apart), cmocka_unit_test(test_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
