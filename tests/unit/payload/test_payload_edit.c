/* Changes of payloads. Goal: what Qdrant's set_payload and delete_payload make of a payload, within
 * the limits. Method: tables of text, change and result; each allocation fails once. */
#include "payload_test.h"

static ins_status merge(const char *text, const char *change, const char *path, ins_text *out,
                        ins_error *error) {
    struct payload_stored members;
    struct payload_patch *patch = NULL;
    struct payload_path at;
    if (path != NULL) {
        at = path_of(path);
    }
    ins_status status =
        payload_store(test_parser, &test_pool, text_of(change), NULL, false, &members, error);
    if (status == INS_OK) {
        status = payload_patch_create(&test_pool, members.text, path == NULL ? NULL : &at, &patch,
                                      error);
    }
    return status == INS_OK ? payload_merge(&test_pool, text_of(text), patch, out, error) : status;
}

static void test_merge(void **state) {
    (void)state;
    static const struct {
        const char *text, *change, *path, *result;
    } cases[] = {
        {"", "{\"a\":1}", NULL, "{\"a\":1}"},
        {"{\"a\":1,\"b\":2}", "{\"b\":{\"c\":3},\"d\":4}", NULL,
         "{\"a\":1,\"b\":{\"c\":3},\"d\":4}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":null,\"x\":null}", NULL, "{\"b\":2}"},
        {"{\"\\u0061\":1}", "{\"a\":2}", NULL, "{\"\\u0061\":2}"},
        {"{\"a\":1}", "{\"\\u0061\":2,\"a\":3}", NULL, "{\"a\":3}"},
        {"{\"a\":{\"b\":1}}", "{\"b\":null,\"c\":2}", "a", "{\"a\":{\"c\":2}}"},
        {"{\"a\":[7]}", "{\"c\":2}", "a", "{\"a\":{\"c\":2}}"},
        {"{}", "{\"c\":2}", "a.\"b.d\".e", "{\"a\":{\"b.d\":{\"e\":{\"c\":2}}}}"},
        {"{}", "{}", "a", "{\"a\":{}}"},
        {"{\"a\":[1,{\"b\":2}]}", "{\"c\":3}", "a[]", "{\"a\":[{\"c\":3},{\"b\":2,\"c\":3}]}"},
        {"{\"a\":[1,{\"b\":2}]}", "{\"c\":3}", "a[1]", "{\"a\":[1,{\"b\":2,\"c\":3}]}"},
        {"{\"a\":[1]}", "{\"c\":3}", "a[5].x", "{\"a\":[1]}"},
        {"{\"a\":1}", "{\"c\":3}", "a[0]", "{\"a\":[]}"},
        {"{\"a\":1.50,\"b\":18446744073709551615}", "{\"c\":1e3}", NULL,
         "{\"a\":1.50,\"b\":18446744073709551615,\"c\":1e3}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ins_text out;
        assert_int_equal(merge(cases[i].text, cases[i].change, cases[i].path, &out, NULL), INS_OK);
        assert_text(out, cases[i].result);
    }
}

static void test_remove(void **state) {
    (void)state;
    static const struct {
        const char *text, *paths[3], *result;
    } cases[] = {
        {"", {"a"}, "{}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", {"a", "c"}, "{\"b\":2}"},
        {"{\"a\":{\"b\":1,\"c\":2}}", {"a.b"}, "{\"a\":{\"c\":2}}"},
        {"{\"a\":{\"b\":1}}", {"a.b", "a"}, "{}"},
        {"{\"a\":{\"b\":1}}", {"a.b.c", "b", "a.x"}, "{\"a\":{\"b\":1}}"},
        {"{\"a\":[{\"b\":1,\"c\":2},3,{\"b\":4}]}", {"a[].b"}, "{\"a\":[{\"c\":2},3,{}]}"},
        {"{\"a\":[{\"b\":1},{\"b\":2}]}", {"a[1].b"}, "{\"a\":[{\"b\":1},{}]}"},
        {"{\"a\":[1,2]}", {"a[0]"}, "{\"a\":[1,2]}"},
        {"{\"a\":[1,2]}", {"a[]", "a[0]"}, "{\"a\":[]}"},
        {"{\"a\":[[1,2],[3]]}", {"a[0][]"}, "{\"a\":[[],[3]]}"},
        {"{\"a\":{\"0\":1}}", {"a[0]"}, "{\"a\":{\"0\":1}}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct payload_path paths[3];
        size_t count = 0;
        for (; count < 3 && cases[i].paths[count] != NULL; count++) {
            paths[count] = path_of(cases[i].paths[count]);
        }
        ins_text out;
        assert_int_equal(
            payload_remove(&test_pool, text_of(cases[i].text), paths, count, &out, NULL), INS_OK);
        assert_text(out, cases[i].result);
    }
}

/* A change of every element may make much of little. */
static void test_limits(void **state) {
    (void)state;
    enum { ELEMENTS = 2000 };
    char *text = malloc(ELEMENTS * 2 + 10), *change = malloc(2000);
    size_t at = (size_t)sprintf(text, "{\"a\":[0");
    for (int i = 1; i < ELEMENTS; i++) {
        at += (size_t)sprintf(text + at, ",0");
    }
    (void)sprintf(text + at, "]}");
    (void)sprintf(change, "{\"x\":\"%01000d\"}", 7);
    ins_text out;
    ins_error error = {0};
    assert_int_equal(merge(text, change, "a[]", &out, &error), INS_TOO_LARGE);
    assert_non_null(strstr(error.message, "1048576"));
    assert_int_equal(merge(text, change, "a[5]", &out, &error), INS_OK);
    free(text);
    free(change);

    char *many = malloc(40000 * 12);
    at = (size_t)sprintf(many, "{\"k\":0");
    for (int i = 1; i < 40000; i++) {
        at += (size_t)sprintf(many + at, ",\"%d\":0", i);
    }
    (void)sprintf(many + at, "}");
    assert_int_equal(merge("{}", many, NULL, &out, &error), INS_TOO_LARGE);
    assert_non_null(strstr(error.message, "32768"));
    free(many);
}

static void test_no_memory(void **state) {
    (void)state;
    struct payload_path paths[] = {path_of("a"), path_of("b.c")};
    ins_text text = text_of("{\"a\":1,\"b\":{\"c\":2,\"d\":3}}"), out;
    for (uint64_t nth = 1; nth < 8; nth++) {
        struct pool pool;
        struct payload_patch *patch;
        pool_init(&pool, test_arena, INS_MEM_QUERY, TEST_ARENA_BYTES);
        arena_fail_at(test_arena, nth);
        ins_status status = payload_patch_create(&pool, text, NULL, &patch, NULL);
        if (status == INS_OK) {
            status = payload_merge(&pool, text, patch, &out, NULL);
        }
        if (status == INS_OK) {
            status = payload_remove(&pool, text, paths, 2, &out, NULL);
        }
        assert_true(status == INS_OK || status == INS_EXHAUSTED);
        arena_fail_at(test_arena, 0);
        pool_fini(&pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
