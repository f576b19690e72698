/* Goal: every condition beyond match, range of numbers and has_id decides rows as Qdrant does.
 * Method: known rows for each rule, with the condition in must, must_not, should and min_should
 * (`takes` of filter_test.h asks all of them). */
#include "filter_test.h"

#include <math.h>

#include "payload/payload_private.h"

/* ---- Moments ------------------------------------------------------------------------------- */

/* Goal: what is a moment, and which. Method: a table; the numbers are from `date -u +%s`. */
static void test_moments(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t micros;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"2024-02-29T12:34:56Z", 1709210096000000},
        {"2024-02-29T12:34:56.5+02:00", 1709202896500000},
        {"2024-02-29T12:34:56.123456789-0130", 1709215496123456},
        {"2024-02-29 12:34:56.1 +02", 1709202896100000},
        {"  2024-02-29t12:34:56z", 1709210096000000},
        {"2024-02-29 12:34:56 UTC", 1709210096000000},
        {"2024-02-29T12:34:56", 1709210096000000},
        {"2024-02-29T12:34", 1709210040000000},
        {"2024-02-29 12:34", 1709210040000000},
        {"2024-2-29", 1709164800000000},
        {"2000-02-29", 951782400000000},
        {"0000-01-01", -62167219200000000},
        {"9999-12-31T23:59:59Z", 253402300799000000},
        {"2016-12-31T23:59:60Z", 1483228800000000},
    };
    static const char *const bad[] = {
        "",
        "2024",
        "2024-02",
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-00-01",
        "2024-01-32",
        "24-01-01",
        "12024-01-01",
        "2024-01-01T",
        "2024-01-01T12",
        "2024-01-01T24:00",
        "2024-01-01T12:60",
        "2024-01-01T12:00:61",
        "2024-01-01T12:00:00.",
        "2024-01-01T12:00:00 ",
        "2024-01-01T12:00Z",
        "2024-01-01T12:00:00+2",
        "2024-01-01T12:00:00+24:00",
        "2024-01-01T12:00:00+02:",
        "2024-01-01T12:00:00+02:60",
        "2024-01-01T12:00:00+02:00x",
        "2024-01-01x",
        "2024-01-01Z",
        "yesterday",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t micros = 7;
        if (!payload_moment_parse(text_of(good[i].text), &micros) || micros != good[i].micros) {
            fail_msg("%s: %lld", good[i].text, (long long)micros);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t micros = 7;
        if (payload_moment_parse(text_of(bad[i]), &micros)) {
            fail_msg("%s: %lld", bad[i], (long long)micros);
        }
        assert_int_equal(micros, 7);
    }
}

/* Goal: every day of 800 years has its place. Method: count the days one by one. */
static void test_calendar(void **state) {
    (void)state;
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t expected;
    assert_true(payload_moment_parse(text_of("1600-01-01"), &expected));
    for (int year = 1600; year < 2400; year++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= days[month - 1] + (month == 2 && leap); day++) {
                char text[32];
                int64_t micros;
                (void)snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
                assert_true(payload_moment_parse(text_of(text), &micros));
                assert_true(micros == expected);
                expected += 86400000000;
            }
        }
    }
}

/* Goal: ranges of moments look at strings that are moments, in any form, to the microsecond. */
static void test_range_of_moments(void **state) {
    (void)state;
    ins_condition range = {.kind = INS_RANGE,
                           .key = text_of("a"),
                           .gte = moment_bound("2024-01-01"),
                           .lt = moment_bound("2024-01-02T00:00:00+01:00")};
    assert_true(takes(&range, "{\"a\":\"2024-01-01\"}"));
    assert_true(takes(&range, "{\"a\":\"2023-12-31T22:00:00-02:00\"}"));
    assert_true(takes(&range, "{\"a\":\"2024-01-01T22:59:59.999999Z\"}"));
    assert_true(takes(&range, "{\"a\":[1,\"x\",\"2024\\u002d01-01\"]}"));
    assert_false(takes(&range, "{\"a\":\"2024-01-01T23:00:00Z\"}"));
    assert_false(takes(&range, "{\"a\":\"2023-12-31T23:59:59.999999Z\"}"));
    assert_false(takes(&range, "{\"a\":1704067200}"));
    assert_false(takes(&range, "{\"a\":\"1704067200\"}"));
    assert_false(takes(&range, "{\"a\":null}"));
    assert_false(takes(&range, "{}"));
    range = (ins_condition){
        .kind = INS_RANGE, .key = text_of("a"), .gt = moment_bound("2024-01-01T00:00:00.5Z")};
    assert_false(takes(&range, "{\"a\":\"2024-01-01T00:00:00.500000Z\"}"));
    assert_true(takes(&range, "{\"a\":\"2024-01-01T00:00:00.500001Z\"}"));
    range.lte = moment_bound("2024-01-01T00:00:00.5Z");
    assert_false(takes(&range, "{\"a\":\"2024-01-01T00:00:00.5Z\"}")); /* above and not above */
}

/* ---- Numbers ------------------------------------------------------------------------------- */

/* Goal: integers are compared as integers whatever kind the bound has, and fractions to the last
 * bit. Method: bounds and values around 2^53 and the ends of 64 bits, against long double. */
static void test_range_exact(void **state) {
    (void)state;
    static const int64_t near[] = {INT64_MIN,
                                   INT64_MIN + 1,
                                   INT64_MIN + 1024,
                                   -9007199254740993,
                                   -9007199254740992,
                                   -1,
                                   0,
                                   1,
                                   9007199254740991,
                                   9007199254740992,
                                   9007199254740993,
                                   9007199254740994,
                                   9007199254740995,
                                   INT64_MAX - 1024,
                                   INT64_MAX - 1,
                                   INT64_MAX};
    enum { COUNT = sizeof(near) / sizeof(near[0]) };
    _Static_assert(__LDBL_MANT_DIG__ >= 64, "the reference holds 64-bit integers");
    for (int b = 0; b < 2 * COUNT; b++) {
        bool whole = b < COUNT;
        ins_bound bound = whole ? integer_bound(near[b]) : number_bound((double)near[b - COUNT]);
        long double limit = whole ? (long double)near[b] : (long double)(double)near[b - COUNT];
        for (int v = 0; v < 2 * COUNT; v++) {
            char payload[64];
            long double value = (long double)near[v % COUNT];
            if (v < COUNT) {
                (void)snprintf(payload, sizeof(payload), "{\"a\":%lld}", (long long)near[v]);
            } else {
                value = (long double)(double)near[v - COUNT];
                (void)snprintf(payload, sizeof(payload), "{\"a\":%.1f}", (double)near[v - COUNT]);
            }
            ins_condition range = {.kind = INS_RANGE, .key = text_of("a"), .gt = bound};
            assert_int_equal(takes(&range, payload), value > limit);
            range = (ins_condition){.kind = INS_RANGE, .key = text_of("a"), .gte = bound};
            assert_int_equal(takes(&range, payload), value >= limit);
            range = (ins_condition){.kind = INS_RANGE, .key = text_of("a"), .lt = bound};
            assert_int_equal(takes(&range, payload), value < limit);
            range = (ins_condition){.kind = INS_RANGE, .key = text_of("a"), .lte = bound};
            assert_int_equal(takes(&range, payload), value <= limit);
        }
    }
}

/* ---- What is there ------------------------------------------------------------------------- */

static ins_condition on(ins_condition_kind kind, const char *key) {
    return (ins_condition){.kind = kind, .key = text_of(key)};
}

/* Goal: except holds for values that are there and are none of the list, whatever their kind. */
static void test_except(void **state) {
    (void)state;
    ins_value texts[] = {text_value("x"), text_value("y")};
    ins_condition except = on(INS_MATCH_EXCEPT, "a");
    except.values = texts;
    except.value_count = 2;
    assert_true(takes(&except, "{\"a\":\"z\"}"));
    assert_false(takes(&except, "{\"a\":\"x\"}"));
    assert_false(takes(&except, "{\"a\":\"\\u0079\"}"));
    assert_true(takes(&except, "{\"a\":1}"));
    assert_true(takes(&except, "{\"a\":false}"));
    assert_true(takes(&except, "{\"a\":{}}"));
    assert_true(takes(&except, "{\"a\":[\"x\",\"z\"]}"));
    assert_true(takes(&except, "{\"a\":[[\"x\"]]}"));
    assert_false(takes(&except, "{\"a\":[\"x\",\"y\",null]}"));
    assert_false(takes(&except, "{\"a\":[]}"));
    assert_false(takes(&except, "{\"a\":null}"));
    assert_false(takes(&except, "{\"b\":1}"));
    ins_value one = integer_value(1);
    except.values = &one;
    except.value_count = 1;
    assert_false(takes(&except, "{\"a\":1}"));
    assert_true(takes(&except, "{\"a\":1.0}"));
    assert_true(takes(&except, "{\"a\":\"1\"}"));
    except.value_count = 0;
    assert_true(takes(&except, "{\"a\":1}"));
    assert_false(takes(&except, "{\"a\":null}"));
}

/* Goal: elements are counted; null and nothing are none, other values one. */
static void test_values_count(void **state) {
    (void)state;
    ins_condition count = on(INS_VALUES_COUNT, "a");
    count.gte = integer_bound(2);
    assert_true(takes(&count, "{\"a\":[1,null]}"));
    assert_true(takes(&count, "{\"a\":[[],{},\"]\"]}"));
    assert_false(takes(&count, "{\"a\":[[1,2,3]]}"));
    assert_false(takes(&count, "{\"a\":{\"b\":1,\"c\":2}}"));
    count = on(INS_VALUES_COUNT, "a");
    count.lt = integer_bound(1);
    assert_true(takes(&count, "{}"));
    assert_true(takes(&count, ""));
    assert_true(takes(&count, "{\"a\":null}"));
    assert_true(takes(&count, "{\"a\":[]}"));
    assert_false(takes(&count, "{\"a\":0}"));
    assert_false(takes(&count, "{\"a\":[null]}"));
    count = on(INS_VALUES_COUNT, "a[].b");
    count.gt = integer_bound(0);
    count.lte = integer_bound(2);
    assert_true(takes(&count, "{\"a\":[{\"b\":[1,2,3]},{\"b\":[1,2]}]}"));
    assert_false(takes(&count, "{\"a\":[{\"b\":[1,2,3]},{\"b\":[]}]}")); /* not one by each */
    count.gt = integer_bound(2);
    count.lte = integer_bound(2);
    assert_false(takes(&count, "{\"a\":[{\"b\":[1,2]}]}"));
    count = on(INS_VALUES_COUNT, "a");
    assert_true(takes(&count, "{}"));
}

/* Goal: empty is nothing but null and []; null is null or an array with null. */
static void test_empty_and_null(void **state) {
    (void)state;
    static const struct {
        const char *key, *payload;
        bool empty, null;
    } rows[] = {
        {"a", "{}", true, false},
        {"a", "", true, false},
        {"a", "{\"a\":null}", true, true},
        {"a", "{\"a\":[]}", true, false},
        {"a", "{\"a\":[null]}", false, true},
        {"a", "{\"a\":[[null]]}", false, false},
        {"a", "{\"a\":{}}", false, false},
        {"a", "{\"a\":\"\"}", false, false},
        {"a", "{\"a\":false}", false, false},
        {"a.b", "{\"a\":null}", true, false},
        {"a.b", "{\"a\":{\"b\":null}}", true, true},
        {"a.b", "{\"a\":[{\"b\":1}]}", true, false},
        {"a[]", "{\"a\":[]}", true, false},
        {"a[]", "{\"a\":[null,[]]}", true, true},
        {"a[]", "{\"a\":[1,null]}", false, true},
        {"a[].b", "{\"a\":[{\"b\":null},{}]}", true, true},
        {"a[].b", "{\"a\":[{\"b\":null},{\"b\":0}]}", false, true},
        {"a[1]", "{\"a\":[null]}", true, false},
        {"a[0]", "{\"a\":[null]}", true, true},
        {"a[][0].b", "{\"a\":[1,[{\"b\":[null,2]}]]}", false, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ins_condition empty = on(INS_IS_EMPTY, rows[i].key);
        ins_condition null = on(INS_IS_NULL, rows[i].key);
        if (takes(&empty, rows[i].payload) != rows[i].empty ||
            takes(&null, rows[i].payload) != rows[i].null) {
            fail_msg("%s in %s", rows[i].key, rows[i].payload);
        }
    }
}

/* ---- Places in arrays ---------------------------------------------------------------------- */

/* Goal: paths go into arrays at every level, and a selected array passes by its elements. */
static void test_places(void **state) {
    (void)state;
    static const struct {
        const char *key, *payload;
        bool taken;
    } rows[] = {
        {"a[]", "{\"a\":[1]}", true},
        {"a[]", "{\"a\":1}", false},
        {"a[]", "{\"a\":[[2,1]]}", true},
        {"a[]", "{\"a\":[[[1]]]}", false},
        {"a[][]", "{\"a\":[[[1]]]}", true},
        {"a[0]", "{\"a\":[1,2]}", true},
        {"a[1]", "{\"a\":[1,2]}", false},
        {"a[1]", "{\"a\":[2,[1]]}", true},
        {"a[9]", "{\"a\":[1]}", false},
        {"a[0]", "{\"a\":{\"0\":1}}", false},
        {"a[].b", "{\"a\":[{\"b\":2},{\"b\":1}]}", true},
        {"a[].b", "{\"a\":[{\"b\":2},3,{\"c\":1}]}", false},
        {"a[].b", "{\"a\":{\"b\":1}}", false},
        {"a[].b", "{\"a\":[{\"\\u0062\":1}]}", true},
        {"a[].\"x.y\"[]", "{\"a\":[{\"x.y\":[3,1]}]}", true},
        {"c.a[].b.a[0].b", "{\"c\":{\"a\":[{\"b\":{\"a\":[{\"b\":1}]}}]}}", true},
        {"c.a[].b.a[1].b", "{\"c\":{\"a\":[{\"b\":{\"a\":[{\"b\":1}]}}]}}", false},
    };
    ins_value one = integer_value(1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ins_condition match = match_any(rows[i].key, &one, 1);
        if (takes(&match, rows[i].payload) != rows[i].taken) {
            fail_msg("%s in %s", rows[i].key, rows[i].payload);
        }
    }
}

/* Goal: a nested filter holds when one element passes the whole of it; ids, vectors and slices pass
 * nothing there. */
static void test_nested(void **state) {
    (void)state;
    ins_value one = integer_value(1);
    ins_value two = integer_value(2);
    ins_condition both[] = {match_any("x", &one, 1), match_any("y", &two, 1)};
    ins_filter inner = {.must = both, .must_count = 2};
    ins_condition nested = on(INS_NESTED_ELEMENT, "a");
    nested.filter = &inner;
    for (int form = 0; form < 2; form++) {
        nested.key = text_of(form == 0 ? "a" : "a[]");
        assert_true(takes(&nested, "{\"a\":[{\"x\":1},{\"y\":2,\"x\":1}]}"));
        assert_false(takes(&nested, "{\"a\":[{\"x\":1},{\"y\":2}]}"));
        assert_false(takes(&nested, "{\"a\":{\"x\":1,\"y\":2}}"));
        assert_false(takes(&nested, "{\"a\":[[{\"x\":1,\"y\":2}]]}"));
        assert_false(takes(&nested, "{\"a\":[]}"));
        assert_false(takes(&nested, "{\"x\":1,\"y\":2}"));
    }
    nested.key = text_of("a[].b");
    assert_true(takes(&nested, "{\"a\":[{},{\"b\":[{\"x\":1,\"y\":2}]}]}"));
    assert_false(takes(&nested, "{\"a\":[{\"b\":{\"x\":1,\"y\":2}}]}"));

    ins_condition empty = on(INS_IS_EMPTY, "z");
    ins_filter lacks = {.must = &empty, .must_count = 1};
    nested = on(INS_NESTED_ELEMENT, "a");
    nested.filter = &lacks;
    assert_true(takes(&nested, "{\"a\":[{\"z\":1},{}]}"));
    assert_false(takes(&nested, "{\"a\":[{\"z\":1},null]}"));

    ins_condition deep = on(INS_NESTED_ELEMENT, "b"); /* in each element of a again */
    deep.filter = &inner;
    ins_filter outer = {.must_not = &deep, .must_not_count = 1};
    nested.filter = &outer;
    assert_true(takes(&nested, "{\"a\":[{\"b\":[{\"x\":1,\"y\":2}]},{\"b\":[{\"x\":1}]}]}"));
    assert_false(takes(&nested, "{\"a\":[{\"b\":[{\"x\":1,\"y\":2}]}]}"));

    ins_id id = {.low = 0};
    ins_condition never[] = {{.kind = INS_HAS_ID, .ids = &id, .id_count = 1},
                             {.kind = INS_HAS_VECTOR, .vector = text_of("")},
                             {.kind = INS_SLICE, .slice_total = 1}};
    for (int i = 0; i < 3; i++) {
        ins_filter alone = {.must = &never[i], .must_count = 1};
        nested.filter = &alone;
        assert_false(takes(&nested, "{\"a\":[{}]}"));
    }
}

/* ---- Points -------------------------------------------------------------------------------- */

/* Goal: slices are what Qdrant's are. Method: hashes of its client's local mode. */
static void test_slices(void **state) {
    (void)state;
    static const struct {
        ins_id id;
        uint32_t total, index;
    } rows[] = {
        {{.low = 0ull}, 1u, 0u},
        {{.low = 0ull}, 2u, 1u},
        {{.low = 1ull}, 7u, 2u},
        {{.low = 42ull}, 1000u, 819u},
        {{.low = 18446744073709551615ull}, 4294967295u, 3944387305u},
        {{.low = 123456789ull}, 65536u, 47837u},
        {{.high = 0xf47ac10b58cc4372ull, .low = 0xa5670e02b2c3d479ull, .is_uuid = true},
         4294967291u,
         4046057717u},
        {{.high = 0x0ull, .low = 0x0ull, .is_uuid = true}, 10u, 2u},
        {{.high = 0x11223344556677ull, .low = 0x8899aabbccddeeffull, .is_uuid = true}, 1000u, 740u},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(id_slice(&rows[i].id, rows[i].total), rows[i].index);
        ins_condition slice = {
            .kind = INS_SLICE, .slice_total = rows[i].total, .slice_index = rows[i].index};
        ins_filter source = {.must = &slice, .must_count = 1};
        struct filter *filter = compile(&source, NULL);
        assert_false(filter_needs_payload(filter));
        struct filter_row row = {.id = rows[i].id};
        assert_true(filter_match(filter, NULL, &row));
        slice.slice_index = (slice.slice_index + 1) % slice.slice_total;
        assert_int_equal(filter_match(compile(&source, NULL), NULL, &row), rows[i].total == 1);
    }
}

/* Goal: a vector is asked for by name. */
static void test_has_vector(void **state) {
    (void)state;
    ins_text names[] = {text_of(""), text_of("image")};
    ins_condition has = {.kind = INS_HAS_VECTOR, .vector = text_of("image")};
    ins_filter source = {.must = &has, .must_count = 1};
    struct filter *filter = compile(&source, NULL);
    assert_true(filter_needs_vectors(filter));
    assert_false(filter_needs_payload(filter));
    struct filter_row row = {.vectors = names, .vector_count = 2};
    assert_true(filter_match(filter, NULL, &row));
    row.vector_count = 1;
    assert_false(filter_match(filter, NULL, &row));
    has.vector = text_of("");
    filter = compile(&source, NULL);
    assert_true(filter_match(filter, NULL, &row));
    row.vector_count = 0;
    assert_false(filter_match(filter, NULL, &row));
}

/* Goal: at least so many of min_should. Method: all subsets of four, all counts. */
static void test_min_should(void **state) {
    (void)state;
    ins_value one = integer_value(1);
    ins_condition some[] = {match_any("a", &one, 1), match_any("b", &one, 1),
                            match_any("c", &one, 1), match_any("d", &one, 1)};
    for (size_t least = 1; least <= 5; least++) {
        ins_filter source = {.min_should = some, .min_should_count = 4, .min_count = least};
        struct filter *filter = compile(&source, NULL);
        for (int bits = 0; bits < 16; bits++) {
            char payload[64];
            (void)snprintf(payload, sizeof(payload), "{\"a\":%d,\"b\":%d,\"c\":%d,\"d\":%d}",
                           bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1);
            struct filter_row row = {.payload = text_of(payload)};
            assert_int_equal(filter_match(filter, NULL, &row),
                             (size_t)__builtin_popcount((unsigned)bits) >= least);
        }
    }
    ins_filter none = {.min_count = 1};
    assert_false(filter_match(compile(&none, NULL), NULL, &(struct filter_row){.id = {.low = 1}}));
}

/* ---- Tenants, faults, work ----------------------------------------------------------------- */

/* Goal: the tenant field, which is no part of the text, answers every condition as if it were. */
static void test_tenant_field(void **state) {
    (void)state;
    struct payload_path path = path_of("u.t");
    ins_value acme = text_value("acme");
    ins_value other = text_value("other");
    ins_condition rows[] = {
        match_any("u.t", &acme, 1),
        match_any("u.t", &other, 1),
        {.kind = INS_MATCH_EXCEPT, .key = text_of("u.t"), .values = &acme, .value_count = 1},
        {.kind = INS_MATCH_EXCEPT, .key = text_of("u.t"), .values = &other, .value_count = 1},
        {.kind = INS_RANGE, .key = text_of("u.t")},
        {.kind = INS_RANGE, .key = text_of("u.t"), .gt = moment_bound("2000-01-01")},
        {.kind = INS_VALUES_COUNT, .key = text_of("u.t"), .gte = integer_bound(1)},
        {.kind = INS_VALUES_COUNT, .key = text_of("u.t[]"), .lt = integer_bound(1)},
        on(INS_IS_EMPTY, "u.t"),
        on(INS_IS_EMPTY, "u.t[]"),
        on(INS_IS_EMPTY, "u.t.x"),
        on(INS_IS_EMPTY, "u"),
        on(INS_IS_NULL, "u.t"),
        on(INS_IS_NULL, "u.t[0]"),
        match_any("u.t[]", &acme, 1),
        match_any("u[].t", &acme, 1),
    };
    static const char *const payloads[] = {"{\"u\":{\"t\":\"acme\"}}",
                                           "{\"u\":{\"t\":\"2020-02-02\"}}"};
    for (size_t p = 0; p < 2; p++) {
        struct payload_stored stored;
        assert_int_equal(payload_store(test_parser, &test_pool, text_of(payloads[p]), &path, false,
                                       &stored, NULL),
                         INS_OK);
        assert_true(stored.has_tenant);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            ins_filter source = {.must = &rows[i], .must_count = 1};
            struct filter_row in_row = {
                .payload = stored.text, .has_tenant = true, .tenant = stored.tenant};
            struct filter_row in_text = {.payload = text_of(payloads[p])};
            bool expected = filter_match(compile(&source, NULL), NULL, &in_text);
            if (filter_match(compile(&source, &path), NULL, &in_row) != expected) {
                fail_msg("condition %zu on %s", i, payloads[p]);
            }
        }
    }
}

/* Goal: incomplete conditions are refused by name. */
static void test_faults(void **state) {
    (void)state;
    ins_filter inner = {.min_should_count = 0};
    const struct {
        ins_condition condition;
        const char *reason;
    } rows[] = {
        {{.kind = INS_RANGE, .key = text_of("a"), .gt = moment_bound("soon")},
         "range.gt: \"soon\" is not an RFC 3339 datetime"},
        {{.kind = INS_RANGE,
          .key = text_of("a"),
          .gt = moment_bound("2020-01-01"),
          .lte = integer_bound(5)},
         "range.lte: numbers and datetimes are mixed"},
        {{.kind = INS_RANGE, .key = text_of("a"), .gt = {.kind = INS_BOUND_DATETIME}}, "range.gt"},
        {{.kind = INS_RANGE, .key = text_of("a"), .gt = {.kind = 99}}, "bound of unknown kind"},
        {{.kind = INS_VALUES_COUNT, .key = text_of("a"), .gt = integer_bound(-1)}, "natural"},
        {{.kind = INS_VALUES_COUNT, .key = text_of("a"), .lt = number_bound(1)}, "natural"},
        {{.kind = INS_IS_EMPTY}, "empty part"},
        {{.kind = INS_IS_NULL, .key = text_of("a.")}, "empty part"},
        {{.kind = INS_HAS_VECTOR}, "has_vector without a name"},
        {{.kind = INS_SLICE}, "slice.index must be below slice.total"},
        {{.kind = INS_SLICE, .slice_total = 3, .slice_index = 3}, "below slice.total"},
        {{.kind = INS_NESTED_ELEMENT, .key = text_of("a")}, "filter that is absent"},
        {{.kind = INS_NESTED_ELEMENT, .filter = &inner}, "empty part"},
        {{.kind = INS_MATCH_EXCEPT, .key = text_of("a"), .value_count = 1}, "without values"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ins_filter source = {
            .min_should = &rows[i].condition, .min_should_count = 1, .min_count = 1};
        struct filter *filter;
        ins_error error = {0};
        assert_int_equal(filter_compile(&test_pool, &source, NULL, &filter, &error), INS_INVALID);
        if (strstr(error.message, rows[i].reason) == NULL) {
            fail_msg("%zu: %s", i, error.message);
        }
    }
    ins_value one = integer_value(1);
    ins_condition match = match_any("a", &one, 1);
    ins_filter source = {.min_should = &match, .min_should_count = 1};
    struct filter *filter;
    ins_error error = {0};
    assert_int_equal(filter_compile(&test_pool, &source, NULL, &filter, &error), INS_INVALID);
    assert_non_null(strstr(error.message, "min_count"));
}

/* Goal: the work for one row is counted and bounded. Method: many conditions over a large array. */
static void test_work(void **state) {
    (void)state;
    enum { ELEMENTS = 200000, CONDITIONS = 1000 };
    char *payload = malloc(ELEMENTS * 4 + 16);
    static ins_condition conditions[CONDITIONS];
    ins_value nine = integer_value(9);
    assert_non_null(payload);
    size_t at = (size_t)sprintf(payload, "{\"a\":[0");
    for (int i = 1; i < ELEMENTS; i++) {
        at += (size_t)sprintf(payload + at, ",%d", i % 9);
    }
    (void)sprintf(payload + at, "]}");
    for (int i = 0; i < CONDITIONS; i++) {
        conditions[i] = match_any(i % 2 == 0 ? "a" : "a[]", &nine, 1);
    }
    ins_filter source = {.should = conditions, .should_count = 10};
    struct filter *filter = compile(&source, NULL);
    struct filter_row row = {.payload = text_of(payload)};
    assert_false(filter_match(filter, NULL, &row));
    uint64_t work = filter_take_work(filter);
    assert_true(work > 10 * ELEMENTS && work < 40 * ELEMENTS);
    assert_int_equal(filter_take_work(filter), 0);
    source = (ins_filter){.must_not = conditions, .must_not_count = CONDITIONS};
    filter = compile(&source, NULL);
    assert_false(filter_match(filter, NULL, &row)); /* unknown: never taken */
    work = filter_take_work(filter);
    assert_true(work > INS_FILTER_ROW_BYTES_MAX && work < INS_FILTER_ROW_BYTES_MAX + (1u << 21));
    free(payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calendar, setup, teardown),
        cmocka_unit_test_setup_teardown(test_range_of_moments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_range_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_except, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_and_null, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nested, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_has_vector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_min_should, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tenant_field, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_work, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
