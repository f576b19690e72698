/* Goal: a compiled filter decides rows as Qdrant does, pins name every island that can hold hits,
 * limits are kept.
 * Method: known rows for each rule; then random filters over random payloads against a plain
 * evaluator that works on the parsed payload as received. */
#include "payload_test.h"

#include <math.h>

#include "base/id.h"
#include "base/json_text.h"

/* ---- Short forms --------------------------------------------------------------------------- */

static ins_value text_value(const char *text) {
    return (ins_value){.kind = INS_VALUE_TEXT, .text = text_of(text)};
}

static ins_value integer_value(int64_t integer) {
    return (ins_value){.kind = INS_VALUE_INTEGER, .integer = integer};
}

static ins_value bool_value(bool boolean) {
    return (ins_value){.kind = INS_VALUE_BOOL, .boolean = boolean};
}

static ins_condition match_any(const char *key, const ins_value *values, size_t count) {
    return (ins_condition){
        .kind = INS_MATCH_ANY, .key = text_of(key), .values = values, .value_count = count};
}

static struct filter *compile(const ins_filter *source, const struct payload_path *tenant_path) {
    struct filter *filter = NULL;
    ins_error error = {0};
    ins_status status = filter_compile(&test_pool, source, tenant_path, &filter, &error);
    if (status != INS_OK) {
        fail_msg("%s", error.message);
    }
    return filter;
}

/* Whether a filter of one must condition takes a row with this payload. */
static bool takes(const ins_condition *condition, const char *payload) {
    ins_filter source = {.must = condition, .must_count = 1};
    struct filter *filter = compile(&source, NULL);
    struct filter_row row = {.payload = text_of(payload)};
    bool taken = filter_match(filter, NULL, &row);
    ins_filter inverse = {.must_not = condition, .must_not_count = 1};
    assert_int_equal(filter_match(compile(&inverse, NULL), NULL, &row), !taken);
    ins_filter either = {.should = condition, .should_count = 1};
    assert_int_equal(filter_match(compile(&either, NULL), NULL, &row), taken);
    return taken;
}

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
    ins_condition range = {.kind = INS_RANGE,
                           .key = text_of("a"),
                           .has_gte = true,
                           .gte = 2,
                           .has_lt = true,
                           .lt = 5.5};
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
    range.has_gt = true;
    range.gt = 9007199254740992.0; /* 2^53: the next integer is no double */
    assert_true(takes(&range, "{\"a\":9007199254740993}"));
    assert_false(takes(&range, "{\"a\":9007199254740992}"));
    range.gt = 0x1p63;
    assert_false(takes(&range, "{\"a\":9223372036854775807}"));
    assert_true(takes(&range, "{\"a\":18446744073709551615}"));
    range = (ins_condition){.kind = INS_RANGE, .key = text_of("a"), .has_lte = true, .lte = -2.5};
    assert_true(takes(&range, "{\"a\":-3}"));
    assert_false(takes(&range, "{\"a\":-2}"));
    range.lte = -0x1p63;
    assert_true(takes(&range, "{\"a\":-9223372036854775808}"));
    assert_false(takes(&range, "{\"a\":-9223372036854775807}"));
    range.lte = -1e300;
    assert_false(takes(&range, "{\"a\":-9223372036854775808}"));
    range.lte = (double)NAN;
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
        {match_any("a[]", &one, 1), INS_UNSUPPORTED, "a[]"},
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

struct pinned {
    bool pinned;
    ins_text *values;
    size_t count;
    struct filter *residual;
};

static struct pinned pins_of(const ins_filter *source, const struct payload_path *path, bool uuid) {
    struct pinned result = {false, NULL, 0, NULL};
    ins_error error = {0};
    ins_status status = filter_pins(&test_pool, source, path, uuid, &result.pinned, &result.values,
                                    &result.count, &result.residual, &error);
    if (status != INS_OK) {
        fail_msg("%s", error.message);
    }
    return result;
}

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

/* ---- Against a plain evaluator ------------------------------------------------------------- */

/* Of equal keys the last. */
static bool plain_get(struct json_value object, ins_text key, struct json_value *out) {
    struct json_iterator iterator = json_begin(object);
    ins_text name;
    struct json_value value;
    bool found = false;
    while (json_next_member(&iterator, &name, &value)) {
        if (name.size == key.size && memcmp(name.data, key.data, key.size) == 0) {
            *out = value;
            found = true;
        }
    }
    return found;
}

static bool plain_value(const ins_condition *condition, struct json_value value) {
    enum json_type type = json_type_of(value);
    if (condition->kind == INS_RANGE) {
        if (!json_is_number(value)) {
            return false;
        }
        double number = json_number(value); /* the test's numbers are small: exact */
        return (!condition->has_gt || number > condition->gt) &&
               (!condition->has_gte || number >= condition->gte) &&
               (!condition->has_lt || number < condition->lt) &&
               (!condition->has_lte || number <= condition->lte);
    }
    for (size_t i = 0; i < condition->value_count; i++) {
        const ins_value *wanted = &condition->values[i];
        bool equal = false;
        if (wanted->kind == INS_VALUE_TEXT && type == JSON_STRING) {
            ins_text text = json_string(value);
            equal = text.size == wanted->text.size &&
                    memcmp(text.data, wanted->text.data, text.size) == 0;
        } else if (wanted->kind == INS_VALUE_INTEGER && type == JSON_INTEGER) {
            equal = json_integer(value) == wanted->integer;
        } else if (wanted->kind == INS_VALUE_BOOL && type == JSON_BOOL) {
            equal = json_bool(value) == wanted->boolean;
        }
        if (equal) {
            return true;
        }
    }
    return false;
}

static bool plain_filter(const ins_filter *filter, struct json_value payload, ins_id id);

static bool plain_condition(const ins_condition *condition, struct json_value payload, ins_id id) {
    if (condition->kind == INS_NESTED_FILTER) {
        return plain_filter(condition->filter, payload, id);
    }
    if (condition->kind == INS_HAS_ID) {
        for (size_t i = 0; i < condition->id_count; i++) {
            if (id_equal(&condition->ids[i], &id)) {
                return true;
            }
        }
        return false;
    }
    struct payload_path path;
    assert_int_equal(payload_path_parse(condition->key, NULL, &path, NULL), INS_OK);
    struct json_value value = payload;
    for (uint32_t i = 0; i < path.part_count; i++) {
        if (json_type_of(value) != JSON_OBJECT || !plain_get(value, path.parts[i], &value)) {
            return false;
        }
    }
    if (json_type_of(value) != JSON_ARRAY) {
        return plain_value(condition, value);
    }
    struct json_iterator iterator = json_begin(value);
    struct json_value element;
    while (json_next(&iterator, &element)) {
        if (plain_value(condition, element)) {
            return true;
        }
    }
    return false;
}

static bool plain_filter(const ins_filter *filter, struct json_value payload, ins_id id) {
    bool must = true;
    bool should = filter->should_count == 0;
    bool must_not = false;
    for (size_t i = 0; i < filter->must_count; i++) {
        must = plain_condition(&filter->must[i], payload, id) && must;
    }
    for (size_t i = 0; i < filter->should_count; i++) {
        should = plain_condition(&filter->should[i], payload, id) || should;
    }
    for (size_t i = 0; i < filter->must_not_count; i++) {
        must_not = plain_condition(&filter->must_not[i], payload, id) || must_not;
    }
    return must && should && !must_not;
}

static const char *const keys[] = {"a", "b", "a.b", "t", "\"x.y\"", "b.a.b", "u.t"};

/* `depth` -1: a string. */
static void random_value(struct draws *draws, char *out, size_t size, int depth) {
    static const char *const scalars[] = {"0",    "1",     "2",     "1.0",         "2.5",
                                          "-1",   "\"p\"", "\"q\"", "\"\\u0070\"", "\"\"",
                                          "true", "false", "null",  "\"r\\n\""};
    uint32_t kind = depth <= 0 ? 0 : draw(draws, 8);
    size_t at = 0;
    if (kind < 4) {
        (void)snprintf(out, size, "%s",
                       depth < 0 ? scalars[6 + draw(draws, 4)] : scalars[draw(draws, 14)]);
        return;
    }
    static const char *const members[] = {"a", "b", "t", "u", "x.y", "\\u0061", "zz"};
    bool object = kind >= 6;
    at += (size_t)snprintf(out, size, object ? "{" : "[");
    uint32_t count = draw(draws, object && depth == 4 ? 9 : 4);
    for (uint32_t i = 0; i < count; i++) {
        at += (size_t)snprintf(out + at, size - at, "%s", i == 0 ? "" : " , ");
        const char *key = members[draw(draws, 7)];
        if (object) {
            at += (size_t)snprintf(out + at, size - at, "\"%s\" : ", key);
        }
        bool tenant = object && key[0] == 't' && draw(draws, 2) == 0;
        random_value(draws, out + at, size - at, tenant ? -1 : key[0] == 'u' ? 1 : depth - 1);
        at += strlen(out + at);
    }
    (void)snprintf(out + at, size - at, object ? "}" : "]");
}

struct filter_store { /* what random filters are made of */
    ins_filter filters[32];
    ins_condition conditions[256];
    ins_value values[1024];
    ins_id ids[256];
    size_t filter_count, condition_count, value_count, id_count;
};

static ins_value random_match(struct draws *draws) {
    static const char *const texts[] = {"p", "q", "", "r\n", "none"};
    switch (draw(draws, 3)) {
    case 0:
        return integer_value((int64_t)draw(draws, 4) - 1);
    case 1:
        return bool_value(draw(draws, 2) == 0);
    default:
        return text_value(texts[draw(draws, 5)]);
    }
}

static ins_filter *random_filter(struct draws *draws, struct filter_store *store, int depth);

static ins_condition random_condition(struct draws *draws, struct filter_store *store, int depth) {
    ins_condition condition = {.kind = INS_MATCH_ANY, .key = text_of(keys[draw(draws, 7)])};
    switch (draw(draws, depth == 0 ? 5 : 7)) {
    case 0:
        condition.kind = INS_RANGE;
        condition.has_gt = draw(draws, 2) == 0;
        condition.gt = (double)draw(draws, 3) - 1;
        condition.has_lte = draw(draws, 2) == 0;
        condition.lte = (double)draw(draws, 6) / 2;
        return condition;
    case 1:
        condition.kind = INS_HAS_ID;
        condition.id_count = draw(draws, 12);
        condition.ids = &store->ids[store->id_count];
        for (size_t i = 0; i < condition.id_count; i++) {
            store->ids[store->id_count++] =
                (ins_id){.low = draw(draws, 10), .is_uuid = draw(draws, 2) == 0};
        }
        return condition;
    case 5:
    case 6:
        condition.kind = INS_NESTED_FILTER;
        condition.filter = random_filter(draws, store, depth - 1);
        return condition;
    default:
        condition.value_count = draw(draws, 8) == 0 ? 12 : draw(draws, 3);
        condition.values = &store->values[store->value_count];
        for (size_t i = 0; i < condition.value_count; i++) {
            store->values[store->value_count++] = random_match(draws);
        }
        return condition;
    }
}

static const ins_condition *random_list(struct draws *draws, struct filter_store *store, int depth,
                                        size_t *out_count) {
    size_t count = draw(draws, 3);
    ins_condition *items = &store->conditions[store->condition_count];
    store->condition_count += count;
    *out_count = count;
    for (size_t i = 0; i < count; i++) {
        items[i] = random_condition(draws, store, depth);
    }
    return items;
}

static ins_filter *random_filter(struct draws *draws, struct filter_store *store, int depth) {
    ins_filter *filter = &store->filters[store->filter_count++];
    assert_true(store->filter_count < 32);
    filter->must = random_list(draws, store, depth, &filter->must_count);
    filter->should = random_list(draws, store, depth, &filter->should_count);
    filter->must_not = random_list(draws, store, depth, &filter->must_not_count);
    return filter;
}

static bool has_value(const struct pinned *pins, ins_text value) {
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->values[i].size == value.size &&
            memcmp(pins->values[i].data, value.data, value.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Counts of what the random test met, so that it cannot be empty. */
struct met {
    size_t taken, refused, tenants, pinned, residuals;
};

static void check_row(const ins_filter *source, const char *tenant_key, struct filter *filter,
                      const struct pinned *pins, struct draws *draws, struct met *met) {
    char payload[4096] = "{}";
    do {
        random_value(draws, payload, sizeof(payload), 4);
    } while (payload[0] != '{');
    struct payload_path path = path_of(tenant_key);
    ins_id id = {.low = draw(draws, 10), .is_uuid = draw(draws, 2) == 0};
    struct payload_stored stored;
    assert_int_equal(
        payload_store(test_parser, &test_pool, text_of(payload), &path, false, &stored, NULL),
        INS_OK);
    struct json_value root;
    assert_int_equal(json_parse(test_parser, payload, strlen(payload), &root, NULL), INS_OK);
    bool expected = plain_filter(source, root, id);
    struct filter_row row = {
        .id = id, .payload = stored.text, .has_tenant = stored.has_tenant, .tenant = stored.tenant};
    if (filter_match(filter, test_parser, &row) != expected) {
        fail_msg("expected %d: %s", expected, payload);
    }
    met->taken += expected;
    met->refused += !expected;
    met->tenants += stored.has_tenant;
    if (pins->pinned && stored.has_tenant) {
        bool inside = has_value(pins, stored.tenant);
        assert_true(inside || !expected);
        met->pinned += inside;
        if (inside) {
            bool left = pins->residual == NULL || filter_match(pins->residual, NULL, &row);
            assert_int_equal(left, expected);
            met->residuals += pins->residual != NULL;
        }
    }
}

/* Goal: match, pins and residual agree with the plain evaluator. Method: 4,000 filters, each over
 * 25 payloads, with a flat and a nested tenant path. */
static void test_random(void **state) {
    (void)state;
    struct draws draws = {.seed = 20240607};
    struct met met = {0};
    static struct filter_store store;
    for (int i = 0; i < 4000; i++) {
        const char *tenant_key = i % 2 == 0 ? "t" : "u.t";
        struct payload_path path = path_of(tenant_key);
        memset(&store, 0, sizeof(store));
        ins_filter *source = random_filter(&draws, &store, 2);
        ins_condition with_tenant[4];
        ins_value tenants[] = {text_value("p"), text_value(""), integer_value(1)};
        if (i % 4 < 2) { /* often enough a pin */
            for (size_t c = 0; c < source->must_count; c++) {
                with_tenant[c] = source->must[c];
            }
            with_tenant[source->must_count] = match_any(tenant_key, tenants, 1 + draw(&draws, 3));
            source->must = with_tenant;
            source->must_count++;
        }
        struct filter *filter = compile(source, &path);
        struct pinned pins = pins_of(source, &path, false);
        assert_true(pins.pinned || i % 4 >= 2);
        for (int r = 0; r < 25; r++) {
            check_row(source, tenant_key, filter, &pins, &draws, &met);
        }
        pool_fini(&test_pool);
    }
    assert_true(met.taken > 5000);
    assert_true(met.refused > 5000);
    assert_true(met.tenants > 5000);
    assert_true(met.pinned > 500);
    assert_true(met.residuals > 300);
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
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
