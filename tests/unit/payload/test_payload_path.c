/* Goal: paths are split as Qdrant splits them, bad ones are refused by name, and a tree finds every
 * path that it was given.
 * Method: tables of texts; a tree with thousands of paths against a plain search. */
#include "payload_test.h"

#include "payload/payload_private.h"

/* Goal: good paths give their parts. */
static void test_good(void **state) {
    (void)state;
    static const struct {
        const char *text, *parts[3];
        uint32_t count;
    } rows[] = {
        {"a", {"a"}, 1},
        {"a.b", {"a", "b"}, 2},
        {"\"a.b\".c", {"a.b", "c"}, 2},
        {"a.\"\".c", {"a", "", "c"}, 3},
        {"\"[]\"", {"[]"}, 1},
        {"a b-c_\xc3\xa9", {"a b-c_\xc3\xa9"}, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct payload_path borrowed = path_of(rows[i].text);
        struct payload_path copied;
        assert_int_equal(payload_path_parse(text_of(rows[i].text), &test_pool, &copied, NULL),
                         INS_OK);
        assert_int_equal(borrowed.part_count, rows[i].count);
        assert_true(payload_path_equal(&borrowed, &copied));
        for (uint32_t part = 0; part < rows[i].count; part++) {
            assert_text(borrowed.parts[part], rows[i].parts[part]);
        }
        assert_true(copied.parts[0].data < rows[i].text ||
                    copied.parts[0].data > rows[i].text + strlen(rows[i].text));
    }
    assert_int_equal(path_of("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p").part_count, 16);
    struct payload_path left = path_of("a.b");
    struct payload_path right = path_of("\"a.b\"");
    assert_false(payload_path_equal(&left, &right));
    right = path_of("a.c");
    assert_false(payload_path_equal(&left, &right));
}

/* Goal: places in arrays are parts of their own; leading zeros mean nothing. */
static void test_places(void **state) {
    (void)state;
    struct payload_path path = path_of("a.\"b\"[][007].c[0]");
    static const char *const parts[] = {"a", "b", "", "7", "c", "0"};
    static const enum payload_part kinds[] = {PART_KEY,   PART_KEY, PART_ALL,
                                              PART_INDEX, PART_KEY, PART_INDEX};
    assert_int_equal(path.part_count, 6);
    assert_int_equal(path.key_count, 2);
    for (int i = 0; i < 6; i++) {
        assert_text(path.parts[i], parts[i]);
        assert_int_equal(path.kinds[i], kinds[i]);
    }
    struct payload_path same = path_of("a.b[][7].c[00]");
    assert_true(payload_path_equal(&path, &same));
    struct payload_path other = path_of("a.b[][7].c.\"0\"");
    assert_false(payload_path_equal(&path, &other));
    ins_error error = {0};
    assert_int_equal(payload_path_parse_keys(text_of("a[]"), NULL, &path, &error), INS_UNSUPPORTED);
    assert_non_null(strstr(error.message, "\"a[]\": places in arrays"));
    assert_int_equal(path.part_count, 6);
    assert_int_equal(payload_path_parse_keys(text_of("a.b"), NULL, &path, &error), INS_OK);
    assert_int_equal(path.key_count, 2);
}

/* Goal: bad paths are refused, the output untouched, the path named. */
static void test_bad(void **state) {
    (void)state;
    static const struct {
        const char *text;
        ins_status status;
        const char *reason;
    } rows[] = {
        {"", INS_INVALID, "empty part"},
        {".a", INS_INVALID, "empty part at character 1"},
        {"a.", INS_INVALID, "empty part at character 3"},
        {"a..b", INS_INVALID, "empty part at character 3"},
        {"\"a", INS_INVALID, "not closed"},
        {"\"a\"b", INS_INVALID, "other than a dot"},
        {"a\"b", INS_INVALID, "stray"},
        {"a]", INS_INVALID, "stray"},
        {"[0]", INS_INVALID, "empty part"},
        {"a[", INS_INVALID, "neither a digit"},
        {"a[1", INS_INVALID, "neither a digit"},
        {"a[-1]", INS_INVALID, "neither a digit nor the end of a place in an array at character 3"},
        {"a[0]b", INS_INVALID, "other than a dot"},
        {"a[].", INS_INVALID, "empty part"},
        {"a.[0]", INS_INVALID, "empty part"},
        {"a[12345678901234567890]", INS_INVALID, "19 digits"},
        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", INS_INVALID, "more than 16"},
        {"a[][][][][][][][][][][][][][][][]", INS_INVALID, "more than 16"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct payload_path path = {.part_count = 77};
        ins_error error = {0};
        ins_status status = payload_path_parse(text_of(rows[i].text), NULL, &path, &error);
        assert_int_equal(status, rows[i].status);
        assert_int_equal(path.part_count, 77);
        if (strstr(error.message, rows[i].reason) == NULL) {
            fail_msg("%s: %s", rows[i].text, error.message);
        }
    }
    assert_int_equal(payload_path_parse((ins_text){NULL, 0}, &test_pool,
                                        &(struct payload_path){.part_count = 0}, NULL),
                     INS_INVALID);
    arena_fail_at(test_arena, 1);
    assert_int_equal(
        payload_path_parse(text_of("a"), &test_pool, &(struct payload_path){.part_count = 0}, NULL),
        INS_EXHAUSTED);
}

/* Goal: a tree of any width finds each key once, raw or escaped, and no other. */
static void test_tree(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static char names[COUNT][24];
    struct path_node root = {.field = PATH_FIELD_NONE};
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "key%u.sub%u", i, i % 7);
        struct payload_path path = path_of(names[i]);
        struct path_node *node = path_tree_add(&root, &path, path.part_count, &test_pool);
        assert_non_null(node);
        assert_int_equal(node->field, PATH_FIELD_NONE);
        node->field = i;
        assert_ptr_equal(path_tree_add(&root, &path, path.part_count, &test_pool), node);
    }
    assert_int_equal(root.child_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        char quoted[64];
        struct payload_path path = path_of(names[i]);
        const struct path_node *child = path_tree_child(&root, path.parts[0], false);
        assert_non_null(child);
        const struct path_node *leaf = path_tree_child(child, path.parts[1], false);
        assert_non_null(leaf);
        assert_int_equal(leaf->field, i);
        int size = snprintf(quoted, sizeof(quoted), "\"\\u006bey%u\"", i);
        assert_ptr_equal(path_tree_child(&root, (ins_text){quoted + 1, (size_t)size - 2}, true),
                         child);
    }
    assert_null(path_tree_child(&root, text_of("key3000"), false));
    assert_null(path_tree_child(&root, text_of(""), false));

    static char longkey[2002]; /* an escaped key longer than what is decoded on the stack */
    memset(longkey, 'x', 2000);
    struct payload_path path = {.parts = {{longkey, 2000}}, .part_count = 1};
    const struct path_node *node = path_tree_add(&root, &path, path.part_count, &test_pool);
    static char raw[2010];
    (void)snprintf(raw, sizeof(raw), "\\u0078%.1999s", longkey);
    assert_ptr_equal(path_tree_child(&root, text_of(raw), true), node);
    raw[5] = '9';
    assert_null(path_tree_child(&root, text_of(raw), true));
}

/* Goal: a tree without memory says so. Method: each allocation fails once. */
static void test_tree_no_memory(void **state) {
    (void)state;
    bool failed = true;
    for (uint64_t countdown = 1; failed; countdown++) {
        struct pool pool;
        pool_init(&pool, test_arena, INS_MEM_QUERY, TEST_ARENA_BYTES);
        arena_fail_at(test_arena, countdown);
        struct path_node root = {.field = PATH_FIELD_NONE};
        static char names[500][8];
        failed = false;
        for (uint32_t i = 0; i < 500 && !failed; i++) {
            (void)snprintf(names[i], sizeof(names[i]), "k%u", i);
            struct payload_path path = path_of(names[i]);
            failed = path_tree_add(&root, &path, path.part_count, &pool) == NULL;
        }
        arena_fail_at(test_arena, 0);
        pool_fini(&pool);
        assert_true(countdown < 100);
    }
}

static int integer_order(const void *left, const void *right) {
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

/* Goal: a set has what was added, over several blocks, and nothing else. */
static void test_value_set(void **state) {
    (void)state;
    static const size_t counts[] = {0,
                                    1,
                                    8,
                                    9,
                                    VALUE_SET_BLOCK_ITEMS,
                                    VALUE_SET_BLOCK_ITEMS + 1,
                                    3 * VALUE_SET_BLOCK_ITEMS + 5};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct value_set set;
        assert_true(value_set_init(&set, &test_pool, counts[c], sizeof(int64_t)));
        for (size_t i = 0; i < counts[c]; i++) {
            int64_t value = (int64_t)((i * 7919) % counts[c]) * 2 - 1000;
            value_set_add(&set, &value);
        }
        value_set_sort(&set, integer_order);
        for (int64_t value = -1001; value < (int64_t)counts[c] * 2 - 999; value++) {
            bool expected =
                value % 2 == 0 && value >= -1000 && value < (int64_t)counts[c] * 2 - 1000;
            assert_int_equal(value_set_has(&set, &value, integer_order), expected);
        }
    }
    struct value_set set;
    arena_fail_at(test_arena, 1);
    assert_false(value_set_init(&set, &test_pool, 200000, 8));
    arena_fail_at(test_arena, 2);
    assert_false(value_set_init(&set, &test_pool, 200000, 8));
    arena_fail_at(test_arena, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tree_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_value_set, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
