/* Goal: match, range and has_id decide rows as Qdrant does, pins name every island that can hold
 * hits, limits are kept.
 * Method: known rows for each rule. */
#include "filter_test.h"

#include <math.h>

#include "base/id.h"
#include "base/json_text.h"

/* ---- Rules --------------------------------------------------------------------------------- */

/* Goal: keywords match strings only, integers integers only, bools bools only; arrays by element;
 * not deeper. */
static void test_match(void **state) {
    (void)state;
    ins_value one = integer_value(1);
    ins_value text = text_value("x\n");
    ins_value yes = bool_value(true);
    ins_value no = bool_value(false);
    ins_condition condition = match_any("a", &one, 1);
    assert_true(takes(&condition, "{\"a\":1}"));
    assert_false(takes(&condition, "{\"a\":1.0}"));
    assert_false(takes(&condition, "{\"a\":\"1\"}"));
    assert_false(takes(&condition, "{\"a\":true}"));
    assert_false(takes(&condition, "{\"a\":null}"));
    assert_false(takes(&condition, "{\"b\":1}"));
    assert_false(takes(&condition, ""));
    assert_false(takes(&condition, "{\"a\":[]}"));
    assert_true(takes(&condition, "{\"a\":[\"x\",1]}"));
    assert_false(takes(&condition, "{\"a\":[[1]]}"));
    assert_false(takes(&condition, "{\"a\":{\"a\":1}}"));
    assert_true(takes(&condition, "{\"\\u0061\":1}"));
    condition = match_any("a", &text, 1);
    assert_true(takes(&condition, "{\"a\":\"x\\n\"}"));
    assert_true(takes(&condition, "{\"a\":[\"\",\"\\u0078\\u000a\"]}"));
    assert_false(takes(&condition, "{\"a\":\"x\"}"));
    assert_false(takes(&condition, "{\"a\":\"x\\\\n\"}"));
    condition = match_any("a", &yes, 1);
    assert_true(takes(&condition, "{\"a\":true}"));
    assert_false(takes(&condition, "{\"a\":false}"));
    condition = match_any("a", &no, 1);
    assert_false(takes(&condition, "{\"a\":true}"));
    assert_true(takes(&condition, "{\"a\":[1,false]}"));
    ins_value mixed[] = {integer_value(-5), text_value("y"), bool_value(true)};
    condition = match_any("a.b", mixed, 3);
    assert_true(takes(&condition, "{\"a\":{\"b\":-5}}"));
    assert_true(takes(&condition, "{\"a\":{\"b\":\"y\"}}"));
    assert_true(takes(&condition, "{\"a\":{\"b\":true}}"));
    assert_false(takes(&condition, "{\"a\":{\"b\":5}}"));
    assert_false(takes(&condition, "{\"a.b\":-5}"));
    assert_false(takes(&condition, "{\"a\":[{\"b\":-5}]}"));
    condition = match_any("\"a.b\"", mixed, 3);
    assert_true(takes(&condition, "{\"a.b\":-5}"));
    condition = match_any("a", NULL, 0);
    assert_false(takes(&condition, "{\"a\":1}"));
    ins_value limit = integer_value(INT64_MAX);
    condition = match_any("a", &limit, 1);
    assert_true(takes(&condition, "{\"a\":9223372036854775807}"));
    assert_false(takes(&condition, "{\"a\":9223372036854775808}"));
}

/* Goal: large sets find what they hold. Method: 1,000 values of each kind, hits and misses. */
static void test_match_many(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    static char names[COUNT][16];
    static ins_value values[2 * COUNT];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%d", i * 2);
        values[2 * i] = text_value(names[i]);
        values[2 * i + 1] = integer_value(i * 2);
    }
    ins_condition condition = match_any("a", values, 2 * COUNT);
    ins_filter source = {.must = &condition, .must_count = 1};
    struct filter *filter = compile(&source, NULL);
    for (int i = -2; i < 2 * COUNT + 2; i++) {
        for (int f = 0; f < 3; f++) {
            char payload[64];
            (void)snprintf(payload, sizeof(payload),
                           f == 0   ? "{\"a\":%d}"
                           : f == 1 ? "{\"a\":\"n%d\"}"
                                    : "{\"a\":\"\\u006e%d\"}",
                           i);
            struct filter_row row = {.payload = text_of(payload)};
            assert_int_equal(filter_match(filter, NULL, &row),
                             i >= 0 && i < 2 * COUNT && i % 2 == 0);
        }
    }
}

/* Goal: ranges take numbers, compare integers exactly, and NaN holds nothing. */
static void test_range(void **state) {
    (void)state;
    ins_condition range = {
        .kind = INS_RANGE, .key = text_of("a"), .gte = integer_bound(2), .lt = number_bound(5.5)};
    assert_true(takes(&range, "{\"a\":2}"));
    assert_true(takes(&range, "{\"a\":2.0}"));
    assert_true(takes(&range, "{\"a\":5}"));
    assert_true(takes(&range, "{\"a\":5.4999}"));
    assert_false(takes(&range, "{\"a\":5.5}"));
    assert_false(takes(&range, "{\"a\":1.9999}"));
    assert_false(takes(&range, "{\"a\":6}"));
    assert_false(takes(&range, "{\"a\":\"3\"}"));
    assert_false(takes(&range, "{\"a\":true}"));
    assert_true(takes(&range, "{\"a\":[1,\"x\",3e0]}"));
    assert_false(takes(&range, "{\"a\":[1,9]}"));
    range = (ins_condition){.kind = INS_RANGE, .key = text_of("a")};
    assert_true(takes(&range, "{\"a\":-1e300}")); /* no bounds: any number */
    assert_false(takes(&range, "{\"a\":null}"));
    range.gt = number_bound(9007199254740992.0); /* 2^53: the next integer is no double */
    assert_true(takes(&range, "{\"a\":9007199254740993}"));
    assert_false(takes(&range, "{\"a\":9007199254740992}"));
    range.gt = number_bound(0x1p63);
    assert_false(takes(&range, "{\"a\":9223372036854775807}"));
    assert_true(takes(&range, "{\"a\":18446744073709551615}"));
    range = (ins_condition){.kind = INS_RANGE, .key = text_of("a"), .lte = number_bound(-2.5)};
    assert_true(takes(&range, "{\"a\":-3}"));
    assert_false(takes(&range, "{\"a\":-2}"));
    range.lte = number_bound(-0x1p63);
    assert_true(takes(&range, "{\"a\":-9223372036854775808}"));
    assert_false(takes(&range, "{\"a\":-9223372036854775807}"));
    range.lte = number_bound(-1e300);
    assert_false(takes(&range, "{\"a\":-9223372036854775808}"));
    range.lte = number_bound((double)NAN);
    assert_false(takes(&range, "{\"a\":1}"));
    assert_false(takes(&range, "{\"a\":1.5}"));
}

/* Goal: has_id finds numbers and UUIDs, in lists of any length. */
static void test_has_id(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    ins_id *ids = malloc(COUNT * sizeof(*ids));
    assert_non_null(ids);
    for (uint64_t i = 0; i < COUNT; i++) {
        ids[i] = (ins_id){
            .low = (i * 7919) % COUNT * 2, .high = i % 2 == 0 ? 0 : 5, .is_uuid = i % 2 != 0};
    }
    for (size_t count = 1; count <= COUNT; count = count == 1 ? 8 : count == 8 ? 9 : COUNT) {
        ins_condition condition = {.kind = INS_HAS_ID, .ids = ids, .id_count = count};
        ins_filter source = {.must = &condition, .must_count = 1};
        struct filter *filter = compile(&source, NULL);
        assert_false(filter_needs_payload(filter));
        for (size_t i = 0; i < count; i++) {
            struct filter_row row = {.id = ids[i]};
            assert_true(filter_match(filter, NULL, &row));
            row.id.low++;
            assert_false(filter_match(filter, NULL, &row));
            row.id = ids[i];
            row.id.is_uuid = !row.id.is_uuid;
            row.id.high = row.id.is_uuid ? 6 : 0;
            row.id.low++;
            assert_false(filter_match(filter, NULL, &row));
        }
        if (count == COUNT) {
            break;
        }
    }
    free(ids);
    ins_condition none = {.kind = INS_HAS_ID};
    ins_filter source = {.must = &none, .must_count = 1};
    assert_false(
        filter_match(compile(&source, NULL), NULL, &(struct filter_row){.id = {.low = 0}}));
}

/* Goal: all of must, none of must_not, one of should; an empty filter takes everything. */
static void test_lists(void **state) {
    (void)state;
    ins_value one = integer_value(1);
    ins_condition a = match_any("a", &one, 1);
    ins_condition bc[] = {match_any("b", &one, 1), match_any("c", &one, 1)};
    ins_condition d = match_any("d", &one, 1);
    ins_filter source = {.must = &a,
                         .must_count = 1,
                         .should = bc,
                         .should_count = 2,
                         .must_not = &d,
                         .must_not_count = 1};
    struct filter *filter = compile(&source, NULL);
    assert_true(filter_needs_payload(filter));
    for (int bits = 0; bits < 16; bits++) {
        char payload[64];
        (void)snprintf(payload, sizeof(payload), "{\"a\":%d,\"b\":%d,\"c\":%d,\"d\":%d}", bits & 1,
                       bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1);
        struct filter_row row = {.payload = text_of(payload)};
        bool expected = (bits & 1) != 0 && (bits & 6) != 0 && (bits & 8) == 0;
        assert_int_equal(filter_match(filter, NULL, &row), expected);
        ins_condition nested = {.kind = INS_NESTED_FILTER, .filter = &source};
        assert_int_equal(takes(&nested, payload), expected);
    }
    ins_filter empty = {.must = NULL};
    filter = compile(&empty, NULL);
    assert_false(filter_needs_payload(filter));
    assert_true(filter_match(filter, NULL, &(struct filter_row){.id = {.low = 0}}));
}

/* Goal: when ids or tenants decide, the payload is not looked at. Method: its bytes must not be
 * read: they are an address that faults. */
static void test_cheap_first(void **state) {
    (void)state;
    ins_id id = {.low = 1};
    ins_value one = integer_value(1);
    ins_value name = text_value("acme");
    ins_condition must[] = {match_any("a", &one, 1),
                            {.kind = INS_HAS_ID, .ids = &id, .id_count = 1}};
    ins_filter source = {.must = must, .must_count = 2};
    struct filter_row row = {.id = {.low = 2}, .payload = {(const char *)16, 100}};
    assert_false(filter_match(compile(&source, NULL), NULL, &row));
    ins_condition must_not[] = {match_any("a", &one, 1),
                                {.kind = INS_HAS_ID, .ids = &row.id, .id_count = 1}};
    source = (ins_filter){.must_not = must_not, .must_not_count = 2};
    assert_false(filter_match(compile(&source, NULL), NULL, &row));
    struct payload_path path = path_of("t");
    ins_condition tenant = match_any("t", &name, 1);
    source = (ins_filter){.must = &tenant, .must_count = 1};
    row.has_tenant = true;
    row.tenant = text_of("acme");
    assert_true(filter_match(compile(&source, &path), NULL, &row));
    row.tenant = text_of("acm");
    assert_false(filter_match(compile(&source, &path), NULL, &row));
    ins_condition range = {.kind = INS_RANGE, .key = text_of("t")};
    source = (ins_filter){.must = &range, .must_count = 1};
    assert_false(filter_match(compile(&source, &path), NULL, &row));
}

/* Goal: filters past a limit, or malformed, are refused by name; at the limit they pass. */
static void test_limits(void **state) {
    (void)state;
    struct filter *filter = NULL;
    ins_value one = integer_value(1);
    static ins_condition many[INS_FILTER_CONDITIONS_MAX + 1];
    for (size_t i = 0; i <= INS_FILTER_CONDITIONS_MAX; i++) {
        many[i] = match_any("a", &one, 1);
    }
    ins_error error = {0};
    ins_filter source = {.must = many, .must_count = INS_FILTER_CONDITIONS_MAX};
    assert_int_equal(filter_compile(&test_pool, &source, NULL, &filter, &error), INS_OK);
    source.must_count++;
    assert_int_equal(filter_compile(&test_pool, &source, NULL, &filter, &error), INS_INVALID);
    assert_non_null(strstr(error.message, "more than 4096 conditions"));
    source = (ins_filter){.must = many,
                          .must_count = 2000,
                          .should = many,
                          .should_count = 2000,
                          .must_not = many,
                          .must_not_count = 97};
    assert_int_equal(filter_compile(&test_pool, &source, NULL, &filter, &error), INS_INVALID);

    ins_filter levels[INS_FILTER_DEPTH_MAX + 1];
    ins_condition links[INS_FILTER_DEPTH_MAX + 1];
    for (size_t i = 0; i <= INS_FILTER_DEPTH_MAX; i++) {
        levels[i] = (ins_filter){.should = i == 0 ? many : &links[i - 1], .should_count = 1};
        links[i] = (ins_condition){.kind = INS_NESTED_FILTER, .filter = &levels[i]};
    }
    assert_int_equal(
        filter_compile(&test_pool, &levels[INS_FILTER_DEPTH_MAX - 1], NULL, &filter, &error),
        INS_OK);
    assert_true(filter_match(filter, NULL, &(struct filter_row){.payload = text_of("{\"a\":1}")}));
    assert_int_equal(
        filter_compile(&test_pool, &levels[INS_FILTER_DEPTH_MAX], NULL, &filter, &error),
        INS_INVALID);
    assert_non_null(strstr(error.message, "nested deeper than 16"));

    ins_value absent = {.kind = INS_VALUE_TEXT};
    static ins_condition unknown;
    int kind = 99;
    memcpy(&unknown.kind, &kind, sizeof(unknown.kind));
    ins_value odd = one;
    memcpy(&odd.kind, &kind, sizeof(odd.kind));
    const struct {
        ins_condition condition;
        ins_status status;
        const char *reason;
    } rows[] = {
        {match_any("", &one, 1), INS_INVALID, "empty part"},
        {match_any("a[x]", &one, 1), INS_INVALID, "a[x]"},
        {{.kind = INS_RANGE, .key = {"a..b", 4}}, INS_INVALID, "a..b"},
        {match_any("a", NULL, 1), INS_INVALID, "must_not[1]: a match without values"},
        {match_any("a", &absent, 1), INS_INVALID, "must_not[1]: a match value"},
        {match_any("a", &odd, 1), INS_INVALID, "must_not[1]: a match value"},
        {{.kind = INS_HAS_ID, .id_count = 1}, INS_INVALID, "has_id without ids"},
        {{.kind = INS_NESTED_FILTER}, INS_INVALID, "nested filter that is absent"},
        {unknown, INS_UNSUPPORTED, "must_not[1]: a condition of unknown kind"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ins_condition pair[] = {many[0], rows[i].condition};
        source = (ins_filter){.must_not = pair, .must_not_count = 2};
        assert_int_equal(filter_compile(&test_pool, &source, NULL, &filter, &error),
                         rows[i].status);
        if (strstr(error.message, rows[i].reason) == NULL) {
            fail_msg("%zu: %s", i, error.message);
        }
    }
    source = (ins_filter){.should_count = 3};
    assert_int_equal(filter_compile(&test_pool, &source, NULL, &filter, &error), INS_INVALID);
    assert_non_null(strstr(error.message, "should"));
}

/* ---- Pins ---------------------------------------------------------------------------------- */

/* Goal: what pins, what does not, and what is left to check. */
static void test_pins(void **state) {
    (void)state;
    struct payload_path path = path_of("t");
    ins_value acme = text_value("acme");
    ins_value many[] = {text_value("b"), text_value("a"), text_value("b"), integer_value(5),
                        text_value("")};
    ins_value others[] = {text_value("c"), text_value("b")};
    ins_value one = integer_value(1);
    ins_condition tenant = match_any("t", &acme, 1);
    ins_condition field = match_any("x", &one, 1);

    ins_filter source = {.must = &tenant, .must_count = 1};
    struct pinned pins = pins_of(&source, &path, false);
    assert_true(pins.pinned);
    assert_int_equal(pins.count, 1);
    assert_text(pins.values[0], "acme");
    assert_null(pins.residual);

    ins_condition both[] = {match_any("t", many, 5), field, match_any("\"t\"", others, 2)};
    source = (ins_filter){.must = both, .must_count = 2};
    pins = pins_of(&source, &path, false);
    assert_true(pins.pinned);
    assert_int_equal(pins.count, 3);
    assert_text(pins.values[0], "");
    assert_text(pins.values[1], "a");
    assert_text(pins.values[2], "b");
    assert_non_null(pins.residual);
    struct filter_row row = {
        .payload = text_of("{\"x\":1}"), .has_tenant = true, .tenant = text_of("b")};
    assert_true(filter_match(pins.residual, NULL, &row));
    row.payload = text_of("{\"x\":2}");
    assert_false(filter_match(pins.residual, NULL, &row));

    source.must_count = 3; /* intersected */
    pins = pins_of(&source, &path, false);
    assert_int_equal(pins.count, 1);
    assert_text(pins.values[0], "b");

    ins_condition apart[] = {tenant, match_any("t", others, 2)};
    source = (ins_filter){.must = apart, .must_count = 2};
    pins = pins_of(&source, &path, false);
    assert_true(pins.pinned);
    assert_int_equal(pins.count, 0);

    ins_condition integer = match_any("t", &one, 1);
    source = (ins_filter){.must = &integer, .must_count = 1};
    pins = pins_of(&source, &path, false);
    assert_true(pins.pinned); /* to the common island alone */
    assert_int_equal(pins.count, 0);

    ins_filter inner = {.must = both, .must_count = 1};
    ins_condition nested[] = {{.kind = INS_NESTED_FILTER, .filter = &inner}, field};
    source = (ins_filter){.must = nested, .must_count = 1};
    pins = pins_of(&source, &path, false);
    assert_true(pins.pinned);
    assert_int_equal(pins.count, 3);
    assert_null(pins.residual);
    source.must_count = 2;
    pins = pins_of(&source, &path, false);
    assert_non_null(pins.residual);
    row.payload = text_of("{\"x\":1}");
    assert_true(filter_match(pins.residual, NULL, &row));

    source = (ins_filter){.should = &tenant, .should_count = 1};
    assert_false(pins_of(&source, &path, false).pinned);
    source = (ins_filter){.must_not = &tenant, .must_not_count = 1};
    assert_false(pins_of(&source, &path, false).pinned);
    source = (ins_filter){.must = &field, .must_count = 1};
    assert_false(pins_of(&source, &path, false).pinned);
    ins_filter inner_should = {.should = &tenant, .should_count = 1};
    ins_condition nested_should = {.kind = INS_NESTED_FILTER, .filter = &inner_should};
    source = (ins_filter){.must = &nested_should, .must_count = 1};
    assert_false(pins_of(&source, &path, false).pinned);

    char longer[257];
    memset(longer, 'x', 256);
    longer[256] = '\0';
    ins_value sizes[] = {text_value(longer), text_value(longer + 1)};
    ins_condition by_size = match_any("t", sizes, 2);
    source = (ins_filter){.must = &by_size, .must_count = 1};
    pins = pins_of(&source, &path, false);
    assert_int_equal(pins.count, 1);
    assert_int_equal(pins.values[0].size, 255);
}

/* Goal: UUID tenants pin in their one spelling; other texts name no island. */
static void test_pins_uuid(void **state) {
    (void)state;
    struct payload_path path = path_of("t");
    ins_value values[] = {text_value("F47AC10B-58CC-4372-A567-0E02B2C3D479"),
                          text_value("f47ac10b58cc4372a5670e02b2c3d479"), text_value("acme")};
    ins_condition condition = match_any("t", values, 3);
    ins_filter source = {.must = &condition, .must_count = 1};
    struct pinned pins = pins_of(&source, &path, true);
    assert_true(pins.pinned);
    assert_int_equal(pins.count, 1);
    assert_text(pins.values[0], "f47ac10b-58cc-4372-a567-0e02b2c3d479");
}

/* Goal: bad filters are refused by filter_pins too; too many values do not pin. */
static void test_pins_refused(void **state) {
    (void)state;
    struct payload_path path = path_of("t");
    ins_value one = integer_value(1);
    ins_condition bad = match_any("a..b", &one, 1);
    ins_filter source = {.must = &bad, .must_count = 1};
    struct pinned pins = {true, NULL, 7, NULL};
    assert_int_equal(filter_pins(&test_pool, &source, &path, false, &pins.pinned, &pins.values,
                                 &pins.count, &pins.residual, NULL),
                     INS_INVALID);
    assert_true(pins.pinned);
    assert_int_equal(pins.count, 7);
    enum { COUNT = 65537 };
    ins_value *values = malloc(COUNT * sizeof(*values));
    assert_non_null(values);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = text_value("x");
    }
    ins_condition many = match_any("t", values, COUNT);
    source = (ins_filter){.must = &many, .must_count = 1};
    assert_false(pins_of(&source, &path, false).pinned);
    many.value_count--;
    pins = pins_of(&source, &path, false);
    assert_true(pins.pinned);
    assert_int_equal(pins.count, 1);
    free(values);
}

/* Goal: out of memory is INS_EXHAUSTED at every step. Method: each allocation fails in turn. */
static void test_no_memory(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static ins_value values[COUNT];
    static ins_id ids[COUNT];
    static char names[COUNT][64];
    static ins_condition conditions[COUNT];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "name%032d", i);
        values[i] = text_value(names[i]);
        ids[i] = (ins_id){.low = (uint64_t)i};
        conditions[i] = match_any(names[i], values, 2);
    }
    conditions[0] = match_any("t", values, COUNT);
    conditions[1] = (ins_condition){.kind = INS_HAS_ID, .ids = ids, .id_count = COUNT};
    ins_filter source = {.must = conditions, .must_count = COUNT};
    struct payload_path path = path_of("t");
    for (int pinning = 0; pinning < 2; pinning++) {
        bool failed = true;
        for (uint64_t countdown = 1; failed; countdown++) {
            struct pool pool;
            pool_init(&pool, test_arena, INS_MEM_QUERY, TEST_ARENA_BYTES);
            arena_fail_at(test_arena, countdown);
            struct filter *filter = NULL;
            struct pinned pins;
            ins_status status = pinning == 0
                                    ? filter_compile(&pool, &source, &path, &filter, NULL)
                                    : filter_pins(&pool, &source, &path, false, &pins.pinned,
                                                  &pins.values, &pins.count, &pins.residual, NULL);
            failed = status != INS_OK;
            assert_true(status == INS_OK || status == INS_EXHAUSTED);
            assert_true(failed || countdown > 5);
            arena_fail_at(test_arena, 0);
            pool_fini(&pool);
            assert_true(countdown < 200);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_match, setup, teardown),
        cmocka_unit_test_setup_teardown(test_match_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_range, setup, teardown),
        cmocka_unit_test_setup_teardown(test_has_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cheap_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pins_uuid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pins_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
