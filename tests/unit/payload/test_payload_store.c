/* Goal: the stored form is compact, without duplicate keys, without the tenant; restoring gives the
 * payload back; a selection keeps what was asked for.
 * Method: known texts, limits met exactly, allocations that fail in turn. */
#include "payload_test.h"

/* As queries do it: the member is made once; and as it is always right. */
static ins_text restore(ins_text text, const struct payload_path *path, ins_text tenant) {
    ins_text member = payload_tenant_member(&test_pool, path, tenant), restored = {NULL, 0};
    ins_text whole = payload_restore(&test_pool, text, path, tenant);
    if (payload_restore_member(&test_pool, text, path->parts[0], member, &restored)) {
        assert_int_equal(restored.size, whole.size);
        assert_memory_equal(restored.data, whole.data, whole.size);
    }
    return whole;
}

static struct payload_stored store(const char *payload, const char *tenant_path) {
    struct payload_stored stored;
    struct payload_path path;
    ins_error error = {0};
    if (tenant_path != NULL) {
        path = path_of(tenant_path);
    }
    ins_status status = payload_store(test_parser, &test_pool, text_of(payload),
                                      tenant_path == NULL ? NULL : &path, false, &stored, &error);
    if (status != INS_OK) {
        fail_msg("%s: %s", payload, error.message);
    }
    return stored;
}

/* Goal: white space goes, numbers and escapes stay as written, equal keys fold at every level. */
static void test_stored_form(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"{}", ""},
        {" { } ", ""},
        {"null", ""},
        {"", ""},
        {"{\"a\":1}", "{\"a\":1}"},
        {" { \"a\" : [ 1.50 , -0 , 1E+2 ] ,\n\"b\" : \" x \" } ",
         "{\"a\":[1.50,-0,1E+2],\"b\":\" x \"}"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
        {"{\"a\":1,\"\\u0061\":{\"x\":1,\"y\":2,\"x\":3},\"\\u00e9\":1,\"\xc3\xa9\":2}",
         "{\"a\":{\"x\":3,\"y\":2},\"\\u00e9\":2}"},
        {"{\"a\":[[{\"x\":1,\"x\":2}, 3]]}", "{\"a\":[[{\"x\":2},3]]}"},
        {"{\"a\":{},\"b\":[],\"a\":[ ]}", "{\"a\":[],\"b\":[]}"},
        /* e with acute as one character and as two: equal when normalised, different keys here */
        {"{\"\xc3\xa9\":1,\"e\xcc\x81\":2}", "{\"\xc3\xa9\":1,\"e\xcc\x81\":2}"},
        {"{\"\":1,\"\":2}", "{\"\":2}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct payload_stored stored = store(rows[i][0], NULL);
        assert_false(stored.has_tenant);
        if (rows[i][1][0] == '\0') {
            assert_int_equal(stored.text.size, 0);
        } else {
            assert_text(stored.text, rows[i][1]);
        }
    }
}

/* Goal: objects with many members fold the same way. Method: n keys, each written three times in
 * other orders and spellings. */
static void test_many_members(void **state) {
    (void)state;
    static char payload[1 << 20];
    static char expected[1 << 20];
    for (size_t count = 15; count <= 20000; count = count * 2 - 13) {
        size_t size = 0;
        size_t expected_size = 0;
        for (size_t i = 0; i < count * 3; i++) {
            size_t key = i < count ? i : (i * 7919) % count;
            size += (size_t)snprintf(payload + size, sizeof(payload) - size,
                                     i % 2 == 0 ? "%s\"k%zu\":%d" : "%s\"\\u006b%zu\": %d",
                                     i == 0 ? "{" : ",", key, i < count ? 1 : 2);
        }
        size += (size_t)snprintf(payload + size, sizeof(payload) - size, ",\"k0\":{\"z\":1}}");
        for (size_t key = 0; key < count; key++) {
            bool again = false;
            for (size_t i = count; i < count * 3 && !again; i++) {
                again = (i * 7919) % count == key;
            }
            expected_size += (size_t)snprintf(
                expected + expected_size, sizeof(expected) - expected_size, "%s\"%s%zu\":%s",
                key == 0 ? "{" : ",", key % 2 == 0 ? "k" : "\\u006b", key,
                key == 0 ? "{\"z\":1}"
                : again  ? "2"
                         : "1");
        }
        expected[expected_size++] = '}';
        expected[expected_size] = '\0';
        if (size > INS_PAYLOAD_BYTES_MAX || count > 5000) {
            break;
        }
        assert_text(store(payload, NULL).text, expected);
    }
}

/* Goal: the largest payloads that hash tables and tables of places must hold. Method: the shortest
 * members; one long value under a key that comes a hundred thousand times. Also a time limit: were
 * either quadratic, this test would not end. */
static void test_hostile_objects(void **state) {
    (void)state;
    size_t size = INS_PAYLOAD_BYTES_MAX;
    char *payload = malloc(size);
    assert_non_null(payload);
    payload[0] = '{';
    size_t at = 1;
    while (at + 6 < size) {
        memcpy(payload + at, "\"\":0,", 5);
        at += 5;
    }
    memcpy(payload + at - 1, "}", 1);
    struct payload_stored stored;
    assert_int_equal(
        payload_store(test_parser, &test_pool, (ins_text){payload, at}, NULL, false, &stored, NULL),
        INS_OK);
    assert_text(stored.text, "{\"\":0}");

    at = (size_t)snprintf(payload, size, "{\"a\":\"");
    memset(payload + at, 'x', 500000);
    at += 500000;
    memcpy(payload + at, "\"", 1);
    at++;
    for (size_t i = 0; i < 80000; i++) {
        memcpy(payload + at, ",\"a\":1", 6);
        at += 6;
    }
    payload[at++] = '}';
    assert_int_equal(
        payload_store(test_parser, &test_pool, (ins_text){payload, at}, NULL, false, &stored, NULL),
        INS_OK);
    assert_text(stored.text, "{\"a\":1}");

    payload[0] = '{'; /* as many different keys as fit */
    at = 1;
    for (unsigned i = 0; at + 16 < size; i++) {
        at += (size_t)snprintf(payload + at, size - at, "\"%x\":1,", i);
    }
    payload[at - 1] = '}';
    assert_int_equal(
        payload_store(test_parser, &test_pool, (ins_text){payload, at}, NULL, false, &stored, NULL),
        INS_OK);
    assert_int_equal(stored.text.size, at);
    assert_memory_equal(stored.text.data, payload, at);
    free(payload);
}

struct tenant_row {
    const char *payload, *path, *tenant; /* tenant NULL: none */
    const char *text;                    /* "" = size 0 */
    const char *restored;                /* NULL: the stored text */
};

/* Goal: the tenant field is taken out when it is one string and comes back as last key. */
static void test_tenant(void **state) {
    (void)state;
    static const struct tenant_row rows[] = {
        {"{\"t\":\"x\"}", "t", "x", "", "{\"t\":\"x\"}"},
        {"{\"t\":\"\"}", "t", "", "", "{\"t\":\"\"}"},
        {"{\"t\":\"x\",\"a\":1}", "t", "x", "{\"a\":1}", "{\"a\":1,\"t\":\"x\"}"},
        {"{\"a\":1,\"t\":\"x\",\"b\":2}", "t", "x", "{\"a\":1,\"b\":2}",
         "{\"a\":1,\"b\":2,\"t\":\"x\"}"},
        {"{\"a\":1,\"\\u0074\":\"\\u0078\\n\"}", "t", "x\n", "{\"a\":1}",
         "{\"a\":1,\"t\":\"x\\n\"}"},
        {"{\"t\":\"x\",\"t\":\"y\"}", "t", "y", "", "{\"t\":\"y\"}"},
        {"{\"t\":\"x\",\"t\":5}", "t", NULL, "{\"t\":5}", NULL},
        {"{\"t\":5,\"t\":\"x\"}", "t", "x", "", "{\"t\":\"x\"}"},
        {"{\"t\":5}", "t", NULL, "{\"t\":5}", NULL},
        {"{\"t\":[\"x\"]}", "t", NULL, "{\"t\":[\"x\"]}", NULL},
        {"{\"t\":{\"t\":\"x\"}}", "t", NULL, "{\"t\":{\"t\":\"x\"}}", NULL},
        {"{\"t\":null,\"a\":true}", "t", NULL, "{\"t\":null,\"a\":true}", NULL},
        {"{\"a\":1}", "t", NULL, "{\"a\":1}", NULL},
        {"{}", "t", NULL, "", NULL},
        {"{\"a\":{\"b\":\"x\"}}", "a.b", "x", "{\"a\":{}}", "{\"a\":{\"b\":\"x\"}}"},
        {"{\"a\":{\"b\":\"x\",\"c\":1},\"d\":2}", "a.b", "x", "{\"a\":{\"c\":1},\"d\":2}",
         "{\"a\":{\"c\":1,\"b\":\"x\"},\"d\":2}"},
        {"{\"a\":{\"b\":\"x\"},\"a\":{\"c\":1}}", "a.b", NULL, "{\"a\":{\"c\":1}}", NULL},
        {"{\"a\":{\"c\":1},\"a\":{\"b\":\"x\"}}", "a.b", "x", "{\"a\":{}}",
         "{\"a\":{\"b\":\"x\"}}"},
        {"{\"a\":[{\"b\":\"x\"}]}", "a.b", NULL, "{\"a\":[{\"b\":\"x\"}]}", NULL},
        {"{\"a.b\":\"x\"}", "a.b", NULL, "{\"a.b\":\"x\"}", NULL},
        {"{\"a.b\":\"x\"}", "\"a.b\"", "x", "", "{\"a.b\":\"x\"}"},
        {"{\"b\":\"x\",\"c\":{\"a\":{\"b\":\"x\"}}}", "a.b", NULL,
         "{\"b\":\"x\",\"c\":{\"a\":{\"b\":\"x\"}}}", NULL},
        {"{\"a\":{\"b\":{\"c\":\"x\"}}}", "a.b.c", "x", "{\"a\":{\"b\":{}}}",
         "{\"a\":{\"b\":{\"c\":\"x\"}}}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct payload_path path = path_of(rows[i].path);
        struct payload_stored stored = store(rows[i].payload, rows[i].path);
        assert_int_equal(stored.has_tenant, rows[i].tenant != NULL);
        assert_int_equal(stored.text.size, strlen(rows[i].text));
        if (stored.text.size > 0) {
            assert_text(stored.text, rows[i].text);
        }
        if (stored.has_tenant) {
            assert_text(stored.tenant, rows[i].tenant);
            assert_text(restore(stored.text, &path, stored.tenant), rows[i].restored);
        }
    }
}

/* Goal: 255 decoded bytes are a tenant, 256 are not, however they are written. */
static void test_tenant_size(void **state) {
    (void)state;
    char payload[2048];
    for (size_t size = 254; size <= 257; size++) {
        for (int escaped = 0; escaped < 2; escaped++) {
            size_t at = (size_t)snprintf(payload, sizeof(payload), "{\"t\":\"");
            for (size_t i = 0; i < size; i++) {
                at += (size_t)snprintf(payload + at, sizeof(payload) - at, "%s",
                                       escaped ? "\\u0001" : "x");
            }
            (void)snprintf(payload + at, sizeof(payload) - at, "\"}");
            struct payload_stored stored = store(payload, "t");
            assert_int_equal(stored.has_tenant, size <= 255);
            if (stored.has_tenant) {
                assert_int_equal(stored.tenant.size, size);
                struct payload_path path = path_of("t");
                assert_text(restore(stored.text, &path, stored.tenant), payload);
            } else {
                assert_text(stored.text, payload);
            }
        }
    }
}

/* Goal: UUID tenants are taken in one spelling, other strings are none. */
static void test_uuid_tenant(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"F47AC10B-58CC-4372-A567-0E02B2C3D479", "f47ac10b-58cc-4372-a567-0e02b2c3d479"},
        {"f47ac10b58cc4372a5670e02b2c3d479", "f47ac10b-58cc-4372-a567-0e02b2c3d479"},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d47", NULL},
        {"", NULL},
    };
    struct payload_path path = path_of("t");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char payload[100];
        (void)snprintf(payload, sizeof(payload), "{\"t\":\"%s\"}", rows[i][0]);
        struct payload_stored stored;
        assert_int_equal(
            payload_store(test_parser, &test_pool, text_of(payload), &path, true, &stored, NULL),
            INS_OK);
        assert_int_equal(stored.has_tenant, rows[i][1] != NULL);
        assert_text(stored.has_tenant ? stored.tenant : stored.text,
                    stored.has_tenant ? rows[i][1] : payload);
    }
}

/* Goal: restoring makes missing objects, and does not touch what stands at the path. */
static void test_restore(void **state) {
    (void)state;
    struct payload_path path = path_of("a.\"q\\\".c");
    assert_text(restore((ins_text){NULL, 0}, &path, text_of("x\"")),
                "{\"a\":{\"q\\\\\":{\"c\":\"x\\\"\"}}}");
    path = path_of("tenant");
    assert_text(restore((ins_text){NULL, 0}, &path, text_of("x")), "{\"tenant\":\"x\"}");
    assert_text(restore(text_of("{\"a\":1}"), &path, text_of("x\"y")),
                "{\"a\":1,\"tenant\":\"x\\\"y\"}");
    assert_text(restore(text_of("{\"tenant\":5}"), &path, text_of("x")), "{\"tenant\":5}");
    assert_text(restore(text_of("{\"\\u0074enant\":5}"), &path, text_of("x")),
                "{\"\\u0074enant\":5}");
    assert_text(restore(text_of("{\"a\":{\"tenant\":5}}"), &path, text_of("x")),
                "{\"a\":{\"tenant\":5},\"tenant\":\"x\"}");
    path = path_of("a.b");
    assert_text(restore(text_of("{\"c\":1}"), &path, text_of("x")),
                "{\"c\":1,\"a\":{\"b\":\"x\"}}");
    assert_text(restore(text_of("{\"a\":5}"), &path, text_of("x")), "{\"a\":5}");
    assert_text(restore(text_of("{\"a\":{\"b\":5}}"), &path, text_of("x")), "{\"a\":{\"b\":5}}");
    arena_fail_at(test_arena, 1);
    char *large = calloc(1, 500000);
    assert_non_null(large);
    (void)memset(large, 'x', 499999);
    assert_null(payload_restore(&test_pool, (ins_text){NULL, 0}, &path, text_of(large)).data);
    arena_fail_at(test_arena, 0);
    free(large);
}

/* Goal: what is no payload is refused with its reason. */
static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *payload, *reason;
        ins_status status;
    } rows[] = {
        {"[]", "an array", INS_INVALID},
        {"5", "an integer", INS_INVALID},
        {"\"x\"", "a string", INS_INVALID},
        {"true", "a bool", INS_INVALID},
        {"1.5", "a float", INS_INVALID},
        {"{\"a\":}", "line 1 column 6", INS_INVALID},
        {"{\"a\":\"\xff\"}", "UTF-8", INS_INVALID},
        {"   ", "ends", INS_INVALID},
        {"{\"a\":1e999}", "range", INS_INVALID},
    };
    struct payload_stored stored;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ins_error error = {0};
        assert_int_equal(payload_store(test_parser, &test_pool, text_of(rows[i].payload), NULL,
                                       false, &stored, &error),
                         rows[i].status);
        assert_non_null(strstr(error.message, rows[i].reason));
    }
    char *large = malloc(INS_PAYLOAD_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, ' ', INS_PAYLOAD_BYTES_MAX + 1);
    memcpy(large, "{}", 2);
    ins_error error = {0};
    assert_int_equal(payload_store(test_parser, &test_pool,
                                   (ins_text){large, INS_PAYLOAD_BYTES_MAX}, NULL, false, &stored,
                                   &error),
                     INS_OK);
    assert_int_equal(payload_store(test_parser, &test_pool,
                                   (ins_text){large, INS_PAYLOAD_BYTES_MAX + 1}, NULL, false,
                                   &stored, &error),
                     INS_TOO_LARGE);
    assert_non_null(strstr(error.message, "1048577"));
    free(large);
}

static void make_nested(char *out, size_t size, size_t levels) {
    size_t at = 0;
    for (size_t i = 0; i < levels; i++) {
        at += (size_t)snprintf(out + at, size - at, "{\"a\":");
    }
    at += (size_t)snprintf(out + at, size - at, "1");
    for (size_t i = 0; i < levels; i++) {
        at += (size_t)snprintf(out + at, size - at, "}");
    }
}

/* Goal: 64 levels pass and 65 do not, whatever the parser would take. */
static void test_depth(void **state) {
    (void)state;
    struct json_parser *deep = json_parser_create(INS_PAYLOAD_BYTES_MAX, 500);
    assert_non_null(deep);
    char payload[2048];
    struct payload_stored stored;
    for (size_t levels = 63; levels <= 66; levels++) {
        make_nested(payload, sizeof(payload), levels);
        ins_status expected = levels <= INS_JSON_DEPTH_MAX ? INS_OK : INS_INVALID;
        ins_error error = {0};
        assert_int_equal(
            payload_store(deep, &test_pool, text_of(payload), NULL, false, &stored, &error),
            expected);
        assert_int_equal(
            payload_store(test_parser, &test_pool, text_of(payload), NULL, false, &stored, &error),
            expected);
        if (expected == INS_OK) {
            assert_text(stored.text, payload);
        } else {
            assert_non_null(strstr(error.message, "deeper than 64"));
        }
    }
    json_parser_destroy(deep);
}

/* Goal: out of memory is INS_EXHAUSTED at every step. Method: pools of every small size. */
static void test_no_memory(void **state) {
    (void)state;
    static char payload[300000];
    size_t at = 0;
    for (unsigned i = 0; i < 20000; i++) {
        at += (size_t)snprintf(payload + at, sizeof(payload) - at, "%s\"%u\":1", i == 0 ? "{" : ",",
                               i);
    }
    (void)snprintf(payload + at, sizeof(payload) - at, ",\"t\":\"x\"}");
    struct payload_path path = path_of("t");
    bool failed = true;
    for (uint64_t countdown = 1; failed; countdown++) {
        struct pool pool;
        pool_init(&pool, test_arena, INS_MEM_QUERY, TEST_ARENA_BYTES);
        arena_fail_at(test_arena, countdown);
        struct payload_stored stored;
        ins_error error = {0};
        ins_status status =
            payload_store(test_parser, &pool, text_of(payload), &path, false, &stored, &error);
        failed = status != INS_OK;
        if (failed) {
            assert_int_equal(status, INS_EXHAUSTED);
            assert_true(error.retry_after_s > 0);
        }
        arena_fail_at(test_arena, 0);
        pool_fini(&pool);
        assert_true(countdown < 10);
        assert_true(failed || countdown > 3);
    }
}

struct select_row {
    int kind;
    const char *keys[3];
    const char *expected;
};

/* Goal: selectors keep and drop as Qdrant's do. */
static void test_select(void **state) {
    (void)state;
    const char *text = "{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":[{\"f\":3}],\"g.h\":4,\"i\":5}";
    static const struct select_row rows[] = {
        {INS_SELECT_NONE, {NULL}, ""},
        {INS_SELECT_ALL,
         {NULL},
         "{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":[{\"f\":3}],\"g.h\":4,\"i\":5}"},
        {INS_SELECT_INCLUDE, {NULL}, "{}"},
        {INS_SELECT_INCLUDE, {"i"}, "{\"i\":5}"},
        {INS_SELECT_INCLUDE, {"i", "a.b"}, "{\"a\":{\"b\":1},\"i\":5}"},
        {INS_SELECT_INCLUDE, {"a.c", "absent"}, "{\"a\":{\"c\":{\"d\":2}}}"},
        {INS_SELECT_INCLUDE, {"a", "a.b"}, "{\"a\":{\"b\":1,\"c\":{\"d\":2}}}"},
        {INS_SELECT_INCLUDE, {"a.x"}, "{\"a\":{}}"},
        {INS_SELECT_INCLUDE, {"i.x"}, "{\"i\":5}"}, /* a scalar above the path stays */
        {INS_SELECT_INCLUDE, {"e.f"}, "{\"e\":[]}"},
        {INS_SELECT_INCLUDE, {"\"g.h\""}, "{\"g.h\":4}"},
        {INS_SELECT_INCLUDE, {"g.h", "a[0", ""}, "{}"},
        {INS_SELECT_INCLUDE, {"e[].f", "a[]"}, "{\"a\":{},\"e\":[{\"f\":3}]}"},
        {INS_SELECT_INCLUDE, {"e[]", "i[]"}, "{\"e\":[{\"f\":3}],\"i\":5}"},
        {INS_SELECT_INCLUDE, {"e[].x", "a[0]"}, "{\"a\":{},\"e\":[{}]}"},
        {INS_SELECT_INCLUDE, {"e[0].f"}, "{\"e\":[]}"},
        {INS_SELECT_EXCLUDE,
         {"e[].f", "a[]", "i[]"},
         "{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":[{}],\"g.h\":4,\"i\":5}"},
        {INS_SELECT_EXCLUDE, {"e[]", "a.b", "i"}, "{\"a\":{\"c\":{\"d\":2}},\"e\":[],\"g.h\":4}"},
        {INS_SELECT_EXCLUDE, {"e[0]", "a", "i"}, "{\"e\":[{\"f\":3}],\"g.h\":4}"},
        {INS_SELECT_EXCLUDE,
         {NULL},
         "{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":[{\"f\":3}],\"g.h\":4,\"i\":5}"},
        {INS_SELECT_EXCLUDE, {"a", "e"}, "{\"g.h\":4,\"i\":5}"},
        {INS_SELECT_EXCLUDE,
         {"a.c.d", "e.f", "i.x"},
         "{\"a\":{\"b\":1,\"c\":{}},\"e\":[{\"f\":3}],\"g.h\":4,\"i\":5}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ins_text keys[3];
        ins_selector selector = {.keys = keys};
        switch (rows[i].kind) {
        case INS_SELECT_NONE:
            selector.kind = INS_SELECT_NONE;
            break;
        case INS_SELECT_ALL:
            selector.kind = INS_SELECT_ALL;
            break;
        case INS_SELECT_INCLUDE:
            selector.kind = INS_SELECT_INCLUDE;
            break;
        default:
            selector.kind = INS_SELECT_EXCLUDE;
            break;
        }
        while (selector.key_count < 3 && rows[i].keys[selector.key_count] != NULL) {
            keys[selector.key_count] = text_of(rows[i].keys[selector.key_count]);
            selector.key_count++;
        }
        assert_text(payload_select(&test_pool, text_of(text), &selector), rows[i].expected);
        assert_text(payload_select(&test_pool, (ins_text){NULL, 0}, &selector),
                    rows[i].kind == INS_SELECT_NONE ? "" : "{}");
    }
    ins_text key = text_of("i");
    ins_selector selector = {.kind = INS_SELECT_INCLUDE, .keys = &key, .key_count = 1};
    struct pool pool;
    pool_init(&pool, test_arena, INS_MEM_QUERY, TEST_ARENA_BYTES);
    arena_fail_at(test_arena, 1);
    assert_null(payload_select(&pool, text_of(text), &selector).data);
    pool_fini(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stored_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tenant, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tenant_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uuid_tenant, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_select, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
