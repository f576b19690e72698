/* The time that a server has seen. Goal: of every record it is told when it was written, never
 * earlier, and at most a part of its age later, in bounded memory; its row comes back as it was;
 * rows that make no sense are refused. Method: years of random ticks against all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "engine/seen.h"

#define TICKS 200000u
#define SECOND 1000000000ull

struct fixture {
    struct arena *arena;
    struct pool pool;
    struct json_parser *parser;
};

static int fixture_open(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct arena_options options = {.limit_bytes = 16 * INS_PAGE_BYTES};
    options.purpose_limit_bytes[INS_MEM_QUERY] = 8 * INS_PAGE_BYTES;
    assert_int_equal(arena_open(&options, &fixture->arena, NULL), INS_OK);
    pool_init(&fixture->pool, fixture->arena, INS_MEM_QUERY, INS_PAGE_BYTES);
    fixture->parser = json_parser_create(1u << 20, 16);
    *state = fixture;
    return 0;
}

static int fixture_close(void **state) {
    struct fixture *fixture = *state;
    json_parser_destroy(fixture->parser);
    pool_fini(&fixture->pool);
    arena_close(fixture->arena);
    free(fixture);
    return 0;
}

static void test_ages(void **state) {
    (void)state;
    static uint64_t at[TICKS]; /* tick i wrote record i + 1 */
    struct seen seen = {0};
    double worst = 0;
    assert_int_equal(seen_of(&seen, 5), 0);
    for (uint64_t i = 0; i < TICKS; i++) {
        at[i] = seen.seconds;
        seen_pass(&seen, (1 + hash_u64(i) % 3000) * SECOND / 2); /* nine years in all */
        seen_mark(&seen, i + 1);
        assert_true(seen.count <= SEEN_MARKS_MAX);
    }
    for (uint64_t i = 0; i < TICKS; i++) {
        uint64_t told = seen_of(&seen, i + 1);
        assert_true(told >= at[i]);
        double age = (double)(seen.seconds - at[i]), late = (double)(told - at[i]) - 1501;
        worst = late / age > worst ? late / age : worst;
    }
    assert_true(worst < 1.0 / 6);
    assert_int_equal(seen_of(&seen, TICKS + 1), seen.seconds + (seen.rest_ns > 0));
}

static void test_few(void **state) {
    (void)state;
    struct seen seen = {0};
    seen_pass(&seen, 10 * SECOND);
    seen_mark(&seen, 7);
    seen_mark(&seen, 7); /* nothing was written since */
    seen_pass(&seen, SECOND / 2);
    seen_mark(&seen, 9);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen_of(&seen, 1), 10);
    assert_int_equal(seen_of(&seen, 7), 10);
    assert_int_equal(seen_of(&seen, 8), 11); /* rounded up */
    seen_pass(&seen, SECOND / 2);
    assert_int_equal(seen.seconds, 11);
    assert_int_equal(seen_of(&seen, 100), 11);
}

static bool apply(struct fixture *fixture, ins_text row, struct seen *seen) {
    struct json_value root;
    assert_int_equal(json_parse(fixture->parser, row.data, row.size, &root, NULL), INS_OK);
    return seen_apply(seen, root);
}

static void test_row(void **state) {
    struct fixture *fixture = *state;
    struct seen seen = {0}, back = {.seconds = 5};
    for (uint64_t i = 1; i <= 3 * SEEN_MARKS_MAX; i++) {
        seen_pass(&seen, UINT32_MAX * SECOND);
        seen_mark(&seen, UINT64_MAX / 2 + i);
        pool_fini(&fixture->pool);
        pool_init(&fixture->pool, fixture->arena, INS_MEM_QUERY, INS_PAGE_BYTES);
        ins_text row = seen_row(&fixture->pool, &seen);
        assert_non_null(row.data);
        assert_true(row.size <= SEEN_ROW_BYTES_MAX);
        assert_true(apply(fixture, row, &back));
        assert_memory_equal(&seen.seconds, &back.seconds, sizeof(seen.seconds));
        assert_int_equal(seen.count, back.count);
        assert_memory_equal(seen.marks, back.marks, seen.count * sizeof(seen.marks[0]));
    }
}

static void test_damaged(void **state) {
    struct fixture *fixture = *state;
    static const char *const rows[] = {
        "{\"k\":\"e\",\"m\":[]}",
        "{\"k\":\"e\",\"n\":-1,\"m\":[]}",
        "{\"k\":\"e\",\"n\":5}",
        "{\"k\":\"e\",\"n\":5,\"m\":{}}",
        "{\"k\":\"e\",\"n\":5,\"m\":[1]}",
        "{\"k\":\"e\",\"n\":5,\"m\":[1,7]}",
        "{\"k\":\"e\",\"n\":5,\"m\":[0,1]}",
        "{\"k\":\"e\",\"n\":5,\"m\":[2,2,2,3]}",
        "{\"k\":\"e\",\"n\":5,\"m\":[2,3,3,2]}",
        "{\"k\":\"e\",\"n\":5,\"m\":[1,\"2\"]}",
    };
    struct seen seen = {.seconds = 77};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(apply(fixture, (ins_text){rows[i], strlen(rows[i])}, &seen));
        assert_int_equal(seen.seconds, 77);
    }
    char many[16 * (SEEN_MARKS_MAX + 2)] = "{\"n\":9,\"m\":[";
    size_t at = strlen(many);
    for (uint32_t i = 1; i <= SEEN_MARKS_MAX + 1; i++) {
        at += (size_t)snprintf(many + at, sizeof(many) - at, "%s%u,%u", i > 1 ? "," : "", i, 9);
    }
    (void)snprintf(many + at, sizeof(many) - at, "]}");
    assert_false(apply(fixture, (ins_text){many, strlen(many)}, &seen));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_few),
        cmocka_unit_test_setup_teardown(test_row, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_damaged, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
