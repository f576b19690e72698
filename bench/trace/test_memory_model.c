/* Goal: walks and lines are counted as memory_model.h says. Method: made accesses whose counts are
 * known by arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "memory_model.h"

#define PAGE 4096u
#define AT 0x10000000ull

static int setup(void **state) {
    *state = model_make();
    return *state == NULL;
}

static int teardown(void **state) {
    model_free(*state);
    return 0;
}

static void query(struct model *model, uint64_t begin, uint64_t step, uint32_t count) {
    model_begin(model);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(model_access(model, begin + i * step, 8));
    }
    model_end(model);
}

static void each_page_walks_once_while_it_fits(void **state) {
    struct model *model = *state;
    query(model, AT, PAGE, 1536);
    query(model, AT, PAGE, 1536);
    struct model_counts counts = model_counts(model);
    assert_int_equal(counts.queries, 2);
    assert_int_equal(counts.accesses, 2 * 1536);
    assert_int_equal(counts.walks[MODEL_SMALL_PAGES], 1536);
    assert_int_equal(counts.first_misses[MODEL_SMALL_PAGES], 2 * 1536);
    assert_int_equal(counts.pages, 2 * 1536);
    assert_int_equal(counts.lines, 2 * 1536);
    assert_int_equal(counts.index_lines, 0);
}

static void the_first_level_keeps_64_pages(void **state) {
    struct model *model = *state;
    query(model, AT, PAGE, 64);
    query(model, AT, PAGE, 64);
    assert_int_equal(model_counts(model).first_misses[MODEL_SMALL_PAGES], 64);
    query(model, AT + 64 * PAGE, PAGE, 64);
    query(model, AT, PAGE, 64);
    struct model_counts counts = model_counts(model);
    assert_int_equal(counts.first_misses[MODEL_SMALL_PAGES], 3 * 64);
    assert_int_equal(counts.walks[MODEL_SMALL_PAGES], 2 * 64);
}

/* Least recently used, and one more than there are ways, in a circle: nothing is ever found. */
static void a_circle_of_more_pages_walks_each_time(void **state) {
    struct model *model = *state;
    query(model, AT, PAGE, 1536 + 128);
    query(model, AT, PAGE, 1536 + 128);
    assert_int_equal(model_counts(model).walks[MODEL_SMALL_PAGES], 2 * (1536 + 128));
}

static void huge_pages_are_counted_beside(void **state) {
    struct model *model = *state;
    assert_true(model_range(model, MODEL_HUGE, AT, AT + (4u << 20)));
    query(model, AT, PAGE, 1024);
    struct model_counts counts = model_counts(model);
    assert_int_equal(counts.walks[MODEL_SMALL_PAGES], 1024);
    assert_int_equal(counts.walks[MODEL_HUGE_PAGES], 2);
    query(model, AT + (4u << 20), PAGE, 3);
    assert_int_equal(model_counts(model).walks[MODEL_HUGE_PAGES], 2 + 3);
}

static void an_access_across_lines_and_pages_is_both(void **state) {
    struct model *model = *state;
    model_begin(model);
    assert_true(model_access(model, AT + PAGE - 4, 8));
    assert_true(model_access(model, AT + PAGE - 64, 64));
    model_end(model);
    struct model_counts counts = model_counts(model);
    assert_int_equal(counts.lines, 2);
    assert_int_equal(counts.pages, 2);
    assert_int_equal(counts.walks[MODEL_SMALL_PAGES], 2);
}

/* 3 GiB of index: two copies, so every other query finds the pages again; what is scratch always
 * does. */
static void each_query_goes_to_the_next_copy(void **state) {
    struct model *model = *state;
    uint64_t bytes = 3ull << 30;
    assert_true(model_range(model, MODEL_INDEX, AT, AT + bytes));
    assert_true(model_range(model, MODEL_SCRATCH, AT + bytes - 10 * PAGE, AT + bytes));
    assert_int_equal(model_copies(model), 2);
    model_size(model, 1ull << 30);
    assert_int_equal(model_copies(model), 6);
    model_size(model, bytes);
    for (int i = 0; i < 4; i++) {
        model_begin(model);
        for (uint32_t page = 0; page < 100; page++) {
            assert_true(model_access(model, AT + page * PAGE, 8));
        }
        for (uint32_t page = 1; page <= 10; page++) {
            assert_true(model_access(model, AT + bytes - page * PAGE, 8));
        }
        model_end(model);
    }
    struct model_counts counts = model_counts(model);
    assert_int_equal(counts.walks[MODEL_SMALL_PAGES], 2 * 100 + 10);
    assert_int_equal(counts.index_lines, 4 * 100);
    assert_int_equal(counts.lines, 4 * 110);
}

static void between_queries_nothing_is_counted(void **state) {
    struct model *model = *state;
    assert_true(model_access(model, AT, 8));
    query(model, AT, 8, 8);
    assert_true(model_access(model, AT + PAGE, 8));
    struct model_counts counts = model_counts(model);
    assert_int_equal(counts.accesses, 8);
    assert_int_equal(counts.lines, 1);
    assert_int_equal(counts.walks[MODEL_SMALL_PAGES], 0); /* it was there already */
}

static void there_are_limits(void **state) {
    struct model *model = *state;
    assert_false(model_range(model, MODEL_INDEX, 8, 8));
    for (uint32_t i = 0; i < MODEL_RANGES_MAX; i++) {
        assert_true(model_range(model, MODEL_SCRATCH, i, i + 1));
    }
    assert_false(model_range(model, MODEL_SCRATCH, 100, 101));
    model_begin(model);
    for (uint64_t i = 0; i < MODEL_LINES_MAX; i++) {
        assert_true(model_access(model, AT + i * 64, 8));
    }
    assert_false(model_access(model, AT + (uint64_t)MODEL_LINES_MAX * 64, 8));
    assert_true(model_access(model, AT, 8));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_page_walks_once_while_it_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_level_keeps_64_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(a_circle_of_more_pages_walks_each_time, setup, teardown),
        cmocka_unit_test_setup_teardown(huge_pages_are_counted_beside, setup, teardown),
        cmocka_unit_test_setup_teardown(an_access_across_lines_and_pages_is_both, setup, teardown),
        cmocka_unit_test_setup_teardown(each_query_goes_to_the_next_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(between_queries_nothing_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(there_are_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
