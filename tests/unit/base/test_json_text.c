/* Goal: walking the text gives the same values as the parser; escapes, white space and long arrays
 * included.
 * Method: known texts; then random JSON whose walk is compared with the DOM, member by member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

static ins_text text_of(const char *text) {
    return (ins_text){text, strlen(text)};
}

static void assert_text(ins_text text, const char *expected) {
    if (text.size != strlen(expected) || memcmp(text.data, expected, text.size) != 0) {
        fail_msg("got %.*s, expected %s", (int)text.size, text.data, expected);
    }
}

/* Goal: elements come raw, without the white space around them. */
static void test_elements(void **state) {
    (void)state;
    struct json_text_iterator iterator = json_text_begin(
        text_of(" [ 1 ,-2.50e3,\"a]\\\"[\" , {\"x\":[1,2]} ,[ [\"]\"],3 ],null ] "));
    const char *expected[] = {"1",   "-2.50e3", "\"a]\\\"[\"", "{\"x\":[1,2]}", "[ [\"]\"],3 ]",
                              "null"};
    ins_text value;
    for (size_t i = 0; i < 6; i++) {
        assert_true(json_text_next(&iterator, &value));
        assert_text(value, expected[i]);
    }
    assert_false(json_text_next(&iterator, &value));
    assert_false(json_text_next(&iterator, &value));
    iterator = json_text_begin(text_of("[]"));
    assert_false(json_text_next(&iterator, &value));
    iterator = json_text_begin(text_of("7"));
    assert_false(json_text_next(&iterator, &value));
    iterator = json_text_begin(text_of(""));
    assert_false(json_text_next(&iterator, &value));
}

/* Goal: members come with raw keys and say whether these have escapes. */
static void test_members(void **state) {
    (void)state;
    struct json_text_iterator iterator =
        json_text_begin(text_of("{ \"a\" : 1 ,\"b\\\"c\":{ } , \"\" :\"\"}"));
    ins_text key;
    ins_text value;
    assert_true(json_text_next_member(&iterator, &key, &value));
    assert_text(key, "a");
    assert_text(value, "1");
    assert_false(iterator.key_escaped);
    assert_true(json_text_next_member(&iterator, &key, &value));
    assert_text(key, "b\\\"c");
    assert_text(value, "{ }");
    assert_true(iterator.key_escaped);
    assert_true(json_text_next_member(&iterator, &key, &value));
    assert_text(key, "");
    assert_text(value, "\"\"");
    assert_false(json_text_next_member(&iterator, &key, &value));
}

/* Goal: the last of equal keys is found, however they are written. */
static void test_get_last(void **state) {
    (void)state;
    ins_text object = text_of("{\"a\":1,\"b\":2,\"\\u0061\":3,\"ab\":4,\"\\n\":5,\"\\\\n\":6}");
    ins_text value;
    assert_true(json_text_get_last(object, text_of("a"), &value));
    assert_text(value, "3");
    assert_true(json_text_get_last(object, text_of("b"), &value));
    assert_text(value, "2");
    assert_true(json_text_get_last(object, text_of("\n"), &value));
    assert_text(value, "5");
    assert_true(json_text_get_last(object, text_of("\\n"), &value));
    assert_text(value, "6");
    assert_false(json_text_get_last(object, text_of("c"), &value));
    assert_false(json_text_get_last(object, text_of(""), &value));
}

/* Goal: decoding, ordering and equality of raw strings agree. Method: pairs of raw and decoded. */
static void test_escapes(void **state) {
    (void)state;
    static const char *const raws[][2] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20ac\\uD83D\\ude00z\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"},
        {"\"\\uffff\\u07ff\\u0800\"", "\xef\xbf\xbf\xdf\xbf\xe0\xa0\x80"},
        {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"},
    };
    size_t count = sizeof(raws) / sizeof(raws[0]);
    for (size_t i = 0; i < count; i++) {
        char out[128];
        size_t size = json_text_decode(text_of(raws[i][0]), out);
        assert_text((ins_text){out, size}, raws[i][1]);
        ins_text raw = json_text_unquote(text_of(raws[i][0]));
        assert_true(json_text_key_equal(raw, text_of(raws[i][1])));
        for (size_t j = 0; j < count; j++) {
            int expected = strcmp(raws[i][1], raws[j][1]);
            int order = json_text_compare(raw, text_of(raws[j][1]));
            assert_int_equal((order > 0) - (order < 0), (expected > 0) - (expected < 0));
            ins_text other = json_text_unquote(text_of(raws[j][0]));
            assert_int_equal(json_text_keys_equal(raw, other), i == j);
        }
    }
    assert_true(json_text_keys_equal(text_of("a\\u0062c"), text_of("\\u0061bc")));
    assert_false(json_text_keys_equal(text_of("a\\u0062c"), text_of("\\u0061b")));
    assert_false(json_text_key_equal(text_of("ab"), text_of("a")));
    char zero[8];
    assert_int_equal(json_text_decode(text_of("\"\\u0000\""), zero), 1);
    assert_int_equal(zero[0], 0);
}

/* Goal: types and numbers are read from text as the parser reads them. */
static void test_scalars(void **state) {
    (void)state;
    assert_int_equal(json_text_type(text_of("null")), JSON_NULL);
    assert_int_equal(json_text_type(text_of("true")), JSON_BOOL);
    assert_int_equal(json_text_type(text_of("false")), JSON_BOOL);
    assert_int_equal(json_text_type(text_of("\"\"")), JSON_STRING);
    assert_int_equal(json_text_type(text_of("[")), JSON_ARRAY);
    assert_int_equal(json_text_type(text_of("{")), JSON_OBJECT);
    assert_int_equal(json_text_type(text_of("-9223372036854775808")), JSON_INTEGER);
    assert_int_equal(json_text_type(text_of("9223372036854775808")), JSON_UNSIGNED);
    assert_int_equal(json_text_type(text_of("1.0")), JSON_DOUBLE);
    assert_int_equal(json_text_type(text_of("1E5")), JSON_DOUBLE);
    int64_t integer = 0;
    assert_true(json_text_integer(text_of("-12"), &integer));
    assert_true(integer == -12);
    assert_false(json_text_integer(text_of("1.0"), &integer));
    assert_false(json_text_integer(text_of("true"), &integer));
    assert_false(json_text_integer(text_of(""), &integer));
    double number = 0;
    assert_true(json_text_number(text_of("-1.25e2"), &number));
    assert_true(number == -125.0);
    assert_true(json_text_number(text_of("18446744073709551615"), &number));
    assert_true(number == 0x1p64);
    assert_true(json_text_number(text_of("1e-400"), &number));
    assert_true(number == 0);
    assert_true(json_text_number(text_of("0.0000000001E-99999999999999999999"), &number));
    assert_true(number == 0);
    assert_false(json_text_number(text_of("1e400"), &number));
    assert_false(json_text_number(text_of("1E+99999999999999999999"), &number));
    assert_false(json_text_number(text_of("-100000e305"), &number));
    assert_false(json_text_number(text_of("\"1\""), &number));
}

/* Goal: compacting drops white space outside strings only. Method: lengths around the block of 16.
 */
static void test_compact(void **state) {
    (void)state;
    char out[256];
    ins_text text = text_of(" { \"a b\" :\t[ 1 ,\n2 ] , \"c\\\" \" : \" x \" ,\r\"d\":{} } ");
    size_t size = json_text_compact(text, out);
    assert_text((ins_text){out, size}, "{\"a b\":[1,2],\"c\\\" \":\" x \",\"d\":{}}");
    for (size_t pad = 0; pad < 40; pad++) {
        char padded[128];
        char plain[128];
        (void)snprintf(padded, sizeof(padded), "[%*s\"%*s\" ,%*s1 ]", (int)pad, "", (int)pad, "",
                       (int)pad, "");
        (void)snprintf(plain, sizeof(plain), "[\"%*s\",1]", (int)pad, "");
        size = json_text_compact(text_of(padded), out);
        assert_text((ins_text){out, size}, plain);
    }
}

/* Goal: what was not validated never leads outside the slice (for ASan) and always ends.
 * Method: random bytes from JSON's alphabet in blocks of exact size. */
static void test_garbage(void **state) {
    (void)state;
    static const char bytes[] = "{}[]\",:\\u d0a1\xff";
    uint64_t seed = 7;
    for (int i = 0; i < 50000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        size_t size = (size_t)(seed >> 58);
        char *data = malloc(size + 1);
        char *out = malloc(size + 1);
        assert_non_null(data);
        assert_non_null(out);
        data = realloc(data, size == 0 ? 1 : size);
        for (size_t b = 0; b < size; b++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            data[b] = bytes[(size_t)(seed >> 33) % (sizeof(bytes) - 1)];
        }
        ins_text text = {data, size};
        struct json_text_iterator iterator = json_text_begin(text);
        ins_text key;
        ins_text value;
        size_t steps = 0;
        while (json_text_next(&iterator, &value)) {
            assert_true(++steps <= size);
        }
        iterator = json_text_begin(text);
        while (json_text_next_member(&iterator, &key, &value)) {
            assert_true(++steps <= 2 * size);
            (void)json_text_key_equal(key, text_of("a"));
            (void)json_text_decode(value, out);
        }
        (void)json_text_get_last(text, text_of("d"), &value);
        assert_true(json_text_compact(text, out) <= size);
        free(data);
        free(out);
    }
}

/* ---- Against the DOM ----------------------------------------------------------------------- */

struct maker {
    char *out;
    size_t size, capacity;
    uint64_t seed;
};

static uint32_t draw(struct maker *maker, uint32_t bound) {
    maker->seed = maker->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(maker->seed >> 33) % bound;
}

static void make(struct maker *maker, const char *text) {
    size_t size = strlen(text);
    assert_true(size <= maker->capacity - maker->size);
    memcpy(maker->out + maker->size, text, size);
    maker->size += size;
}

static void make_space(struct maker *maker) {
    static const char *const spaces[] = {"", "", "", " ", "\n\t", "                    "};
    make(maker, spaces[draw(maker, 6)]);
}

static void make_string(struct maker *maker) {
    static const char *const pieces[] = {"a",
                                         "key",
                                         "\\\"",
                                         "\\\\",
                                         "\\u00e9",
                                         "[{",
                                         "}]",
                                         ",:",
                                         "\\ud83d\\ude00",
                                         "\xc3\xa9",
                                         "0123456789abcdefghij"};
    make(maker, "\"");
    for (uint32_t i = draw(maker, 4); i > 0; i--) {
        make(maker, pieces[draw(maker, 11)]);
    }
    make(maker, "\"");
}

static void make_value(struct maker *maker, uint32_t depth) {
    static const char *const scalars[] = {
        "null", "true", "false", "0", "-17", "1.5e-3", "18446744073709551615"};
    uint32_t kind = draw(maker, depth == 0 ? 2 : 5);
    make_space(maker);
    if (kind == 0) {
        make(maker, scalars[draw(maker, 7)]);
    } else if (kind == 1) {
        make_string(maker);
    } else {
        bool object = kind == 2;
        uint32_t count = kind == 4 ? draw(maker, 40) : draw(maker, 5);
        make(maker, object ? "{" : "[");
        for (uint32_t i = 0; i < count; i++) {
            make(maker, i == 0 ? "" : ",");
            make_space(maker);
            if (object) {
                make_string(maker);
                make_space(maker);
                make(maker, ":");
            }
            if (kind == 4) {
                make(maker, scalars[3 + draw(maker, 4)]); /* a long array of numbers */
            } else {
                make_value(maker, depth - 1);
            }
        }
        make_space(maker);
        make(maker, object ? "}" : "]");
    }
    make_space(maker);
}

/* ---- Looking for one key ------------------------------------------------------------------- */

static void assert_found(const char *object, const char *key, enum json_text_found expected,
                         const char *expected_value) {
    ins_text value = {"", 0};
    assert_int_equal(json_text_find(text_of(object), text_of(key), &value), expected);
    assert_text(value, expected_value);
}

/* Goal: one member is found, or is certainly not there, or nothing is said. Method: known texts,
 * the long ones so that the key stands at every place in a block; then random objects, against the
 * walk. */
static void test_find(void **state) {
    (void)state;
    assert_found("{}", "a", JSON_TEXT_ABSENT, "");
    assert_found("{\"a\":1}", "a", JSON_TEXT_FOUND, "1");
    assert_found("{\"b\":[\"a\",\"a\"],\"c\":\"a\"}", "a", JSON_TEXT_ABSENT, "");
    assert_found("{\"b\":[\"a\"], \"a\" : {\"x\":[]} }", "a", JSON_TEXT_FOUND, "{\"x\":[]}");
    assert_found("{\"b\":{\"a\":1},\"a\":2}", "a", JSON_TEXT_UNSURE, "");
    assert_found("{\"b\":\"\\\"\",\"a\":2}", "a", JSON_TEXT_UNSURE, "");
    assert_found("{\"a\":2,\"b\":\"\\n\"}", "a", JSON_TEXT_FOUND, "2");
    assert_found("{\"abcdefghij\\/\":1}", "abcdefghij/", JSON_TEXT_UNSURE, "");
    assert_found("{\"\\u0061bcdefghijklmnopqrstuvwxyz\":1}", "abcdefghijklmnopqrstuvwxyz",
                 JSON_TEXT_UNSURE, "");
    static const char *const keys[] = {":", ",", "a,b", "\"", "\\", ""};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_false(json_text_can_find(text_of(keys[i])));
    }
    assert_found("[\"a\"]", "a", JSON_TEXT_UNSURE, "");
    char text[256], value[16];
    for (int before = 0; before < 40; before++) {
        for (int behind = 0; behind < 40; behind++) {
            (void)snprintf(text, sizeof(text), "{\"%.*s\":1,\"tenant\":%d,\"%.*s\":2}", before,
                           "bcdefghijklmnopqrstuvwxyzbcdefghijklmnopqrst", before + behind, behind,
                           "BCDEFGHIJKLMNOPQRSTUVWXYZBCDEFGHIJKLMNOPQRST");
            (void)snprintf(value, sizeof(value), "%d", before + behind);
            assert_found(text, "tenant", JSON_TEXT_FOUND, value);
            assert_found(text, "tenan", JSON_TEXT_ABSENT, "");
        }
    }
}

static void test_find_random(void **state) {
    (void)state;
    static const char *const keys[] = {"a",
                                       "key",
                                       "b.c",
                                       ",",
                                       ":",
                                       "}",
                                       "true",
                                       "null",
                                       "",
                                       "0",
                                       " ",
                                       "[",
                                       "a longer key than one block"};
    enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
    static char text[1u << 16];
    struct maker maker = {.out = text, .capacity = sizeof(text), .seed = 5};
    uint32_t decided = 0;
    for (int turn = 0; turn < 20000; turn++) {
        bool first = true;
        maker.size = 0;
        make(&maker, "{");
        for (uint32_t i = 0, skip = draw(&maker, KEYS); i < KEYS; i++) {
            if (draw(&maker, 3) != 0) {
                continue;
            }
            make(&maker, first ? "\"" : ",\"");
            make(&maker, keys[(i + skip) % KEYS]);
            make(&maker, "\":");
            make_value(&maker, draw(&maker, 2));
            first = false;
        }
        make(&maker, "}");
        for (uint32_t i = 0; i < KEYS; i++) {
            ins_text object = {text, maker.size}, one = {"", 0}, other = {"", 0};
            enum json_text_found found = json_text_can_find(text_of(keys[i]))
                                             ? json_text_find(object, text_of(keys[i]), &one)
                                             : JSON_TEXT_UNSURE;
            if (found == JSON_TEXT_UNSURE) {
                continue;
            }
            decided++;
            assert_int_equal(found == JSON_TEXT_FOUND,
                             json_text_get_last(object, text_of(keys[i]), &other));
            assert_true(one.data == other.data || one.size + other.size == 0);
            assert_int_equal(one.size, other.size);
        }
    }
    assert_true(decided > 60000);
}

static void assert_same(struct json_value value, ins_text text);

static void assert_same_container(struct json_value value, ins_text text, bool object) {
    struct json_iterator dom = json_begin(value);
    struct json_text_iterator walk = json_text_begin(text);
    struct json_value dom_value;
    ins_text dom_key;
    ins_text key;
    ins_text element;
    while (object ? json_next_member(&dom, &dom_key, &dom_value) : json_next(&dom, &dom_value)) {
        if (object) {
            assert_true(json_text_next_member(&walk, &key, &element));
            assert_true(json_text_key_equal(key, dom_key));
            assert_int_equal(walk.key_escaped, memchr(key.data, '\\', key.size) != NULL);
        } else {
            assert_true(json_text_next(&walk, &element));
        }
        assert_same(dom_value, element);
    }
    assert_false(object ? json_text_next_member(&walk, &key, &element)
                        : json_text_next(&walk, &element));
}

static void assert_same(struct json_value value, ins_text text) {
    enum json_type type = json_type_of(value);
    assert_int_equal(json_text_type(text), type);
    double number;
    switch (type) {
    case JSON_ARRAY:
    case JSON_OBJECT:
        assert_same_container(value, text, type == JSON_OBJECT);
        break;
    case JSON_STRING:
        assert_true(json_text_compare(json_text_unquote(text), json_string(value)) == 0);
        break;
    case JSON_INTEGER:
    case JSON_UNSIGNED:
    case JSON_DOUBLE:
        assert_true(json_text_number(text, &number));
        assert_true(number == json_number(value));
        break;
    case JSON_BOOL:
    case JSON_NULL:
        assert_int_equal(text.data[0], type == JSON_NULL ? 'n' : json_bool(value) ? 't' : 'f');
        break;
    }
}

/* Goal: walk and DOM agree on random JSON, and on its compacted form. */
static void test_against_dom(void **state) {
    (void)state;
    struct json_parser *parser = json_parser_create(1u << 20, 64);
    assert_non_null(parser);
    static char text[1u << 20];
    static char compact[1u << 20];
    struct maker maker = {.out = text, .capacity = sizeof(text), .seed = 1};
    for (int i = 0; i < 5000; i++) {
        maker.size = 0;
        make_value(&maker, 5);
        struct json_value root;
        ins_error error = {0};
        assert_int_equal(json_parse(parser, text, maker.size, &root, &error), INS_OK);
        size_t from = 0;
        while (strchr(" \n\t", text[from]) != NULL) {
            from++;
        }
        size_t size = json_text_compact((ins_text){text, maker.size}, compact);
        ins_text trimmed = {text + from, maker.size - from};
        while (strchr(" \n\t", trimmed.data[trimmed.size - 1]) != NULL) {
            trimmed.size--;
        }
        assert_same(root, trimmed);
        assert_same(root, (ins_text){compact, size});
    }
    json_parser_destroy(parser);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),    cmocka_unit_test(test_members),
        cmocka_unit_test(test_get_last),    cmocka_unit_test(test_find),
        cmocka_unit_test(test_find_random), cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_scalars),     cmocka_unit_test(test_compact),
        cmocka_unit_test(test_garbage),     cmocka_unit_test(test_against_dom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
