/* Goal: json_parse accepts JSON and nothing else, says where a text is bad, keeps its limits, and
 * the walk gives back what was written.
 * Method: small texts with known answers; each limit met exactly and passed by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_check.h"

#define SIZE_MAX_TEST ((size_t)1 << 20)
#define DEPTH_MAX_TEST 64u

static struct json_parser *parser;

static int setup(void **state) {
    (void)state;
    parser = json_parser_create(SIZE_MAX_TEST, DEPTH_MAX_TEST);
    return parser != NULL ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    json_parser_destroy(parser);
    return 0;
}

static struct json_value parse(const char *text) {
    struct json_value root;
    ins_error error = {0};
    ins_status status = json_parse(parser, text, strlen(text), &root, &error);
    if (status != INS_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return root;
}

static struct json_value member(struct json_value object, const char *key) {
    struct json_value value;
    assert_true(json_get(object, key, &value));
    return value;
}

/* Goal: every type is told apart and read. Method: one object with each. */
static void test_types(void **state) {
    (void)state;
    struct json_value root =
        parse(" {\"n\":null,\"t\":true,\"f\":false,\"i\":-9223372036854775808,"
              "\"u\":18446744073709551615,\"d\":-1.5e3,\"s\":\"a\\u00e9\\n\\\"\\ud83d\\ude00\","
              "\"a\":[1,[2],{}],\"o\":{\"k\":1,\"k\":2}} ");
    assert_int_equal(json_type_of(root), JSON_OBJECT);
    assert_int_equal(json_count(root), 9);
    assert_int_equal(json_type_of(member(root, "n")), JSON_NULL);
    assert_true(json_bool(member(root, "t")));
    assert_false(json_bool(member(root, "f")));
    assert_int_equal(json_type_of(member(root, "i")), JSON_INTEGER);
    assert_true(json_integer(member(root, "i")) == INT64_MIN);
    assert_int_equal(json_type_of(member(root, "u")), JSON_UNSIGNED);
    assert_true(json_unsigned(member(root, "u")) == UINT64_MAX);
    assert_int_equal(json_type_of(member(root, "d")), JSON_DOUBLE);
    assert_true(json_number(member(root, "d")) == -1500.0);
    assert_true(json_number(member(root, "i")) == -0x1p63);
    assert_true(json_number(member(root, "u")) == 0x1p64);
    ins_text text = json_string(member(root, "s"));
    assert_int_equal(text.size, 9);
    assert_memory_equal(text.data, "a\xc3\xa9\n\"\xf0\x9f\x98\x80", 9);
    assert_int_equal(json_type_of(member(root, "a")), JSON_ARRAY);
    assert_int_equal(json_count(member(root, "a")), 3);
    assert_true(json_integer(member(member(root, "o"), "k")) == 1); /* the first of equal keys */
    struct json_value absent;
    assert_false(json_get(root, "absent", &absent));
}

/* Goal: iteration meets every element and member once, in order, past nested ones. */
static void test_iteration(void **state) {
    (void)state;
    struct json_value root = parse("[[1,2,[3]],{\"a\":[4]},\"x\",5]");
    struct json_iterator iterator = json_begin(root);
    struct json_value value;
    enum json_type types[] = {JSON_ARRAY, JSON_OBJECT, JSON_STRING, JSON_INTEGER};
    for (size_t i = 0; i < 4; i++) {
        assert_true(json_next(&iterator, &value));
        assert_int_equal(json_type_of(value), types[i]);
    }
    assert_false(json_next(&iterator, &value));
    assert_false(json_next(&iterator, &value));

    root = parse("{\"a\":{\"x\":[1]},\"b\":2,\"\":3}");
    iterator = json_begin(root);
    ins_text key;
    const char *keys[] = {"a", "b", ""};
    for (size_t i = 0; i < 3; i++) {
        assert_true(json_next_member(&iterator, &key, &value));
        assert_int_equal(key.size, strlen(keys[i]));
        assert_memory_equal(key.data, keys[i], key.size);
    }
    assert_false(json_next_member(&iterator, &key, &value));
    iterator = json_begin(parse("[]"));
    assert_false(json_next(&iterator, &value));
}

/* Goal: scalars may be a whole text. */
static void test_scalar_roots(void **state) {
    (void)state;
    assert_int_equal(json_type_of(parse("null")), JSON_NULL);
    assert_true(json_integer(parse(" 7\n")) == 7);
    assert_int_equal(json_string(parse("\"\\u0000\"")).size, 1);
    assert_true(json_integer(parse("-0")) == 0);
    assert_true(json_number(parse("-0.0")) == 0);
    assert_true(signbit(json_number(parse("-0.0"))) != 0);
    assert_true(json_number(parse("1e-400")) == 0);
    assert_true(json_number(parse("0.1e-9223372036854775808")) == 0);
    assert_true(json_number(parse("123456789012345678901234567890.5")) > 1e29);
}

struct bad {
    const char *text;
    size_t line, column;
    const char *reason; /* part of the message */
};

/* Goal: a bad text is refused with its place and a reason. Method: a table; every row's place was
 * counted by hand. */
static void test_bad_texts(void **state) {
    (void)state;
    static const struct bad rows[] = {
        {"", 1, 1, "ends where a value"},
        {"  ", 1, 3, "ends where a value"},
        {"{\"a\":1,}", 1, 8, "found '}' where a key"},
        {"[1,]", 1, 4, "found ']' where a value"},
        {"[1 2]", 1, 4, "found '2' where ',' or ']'"},
        {"{\"a\" 1}", 1, 6, "found '1' where ':'"},
        {"{\"a\":1 \"b\":2}", 1, 8, "',' or '}'"},
        {"{a:1}", 1, 2, "a key in quotes"},
        {"[1,\n 2,\n  x]", 3, 3, "found 'x' where a value"},
        {"[1] []", 1, 5, "the end of the text"},
        {"[1", 1, 3, "ends where ',' or ']'"},
        {"{\"a", 1, 2, "without its closing quote"},
        {"nul", 1, 1, "true, false or null"},
        {"01", 1, 1, "begins with 0"},
        {"-", 1, 2, "a digit"},
        {"1.", 1, 3, "a digit"},
        {"[1.x]", 1, 4, "found 'x' where a digit"},
        {"1e", 1, 3, "a digit"},
        {"[18446744073709551616]", 1, 2, "does not fit 64 bits"},
        {"[-9223372036854775809]", 1, 2, "does not fit 64 bits"},
        {"[0,1e400]", 1, 4, "range of a double"},
        {"[0,-1.7976931348623159e308]", 1, 4, "range of a double"},
        {"[1e09223372036854775807]", 1, 2, "range of a double"},
        {"[10E+99999999999999999999]", 1, 2, "range of a double"},
        {"\"\t\"", 1, 2, "control character"},
        {"\"\\x\"", 1, 2, "an escape that JSON does not have"},
        {"\"\\u12g4\"", 1, 2, "four hex digits"},
        {"\"a\\ud800b\"", 1, 3, "surrogate"},
        {"\"\\udc00\"", 1, 2, "surrogate"},
        {"\"\\ud800\\u0041\"", 1, 2, "surrogate"},
        {"{\"a\":\n\"\xc0\x80\"}", 2, 2, "not UTF-8"},
        {"\"\xed\xa0\x80\"", 1, 2, "not UTF-8"},
        {"\"\xf4\x90\x80\x80\"", 1, 2, "not UTF-8"},
        {"\"\xe2\x82\"", 1, 2, "not UTF-8"},
        {"\"\xff\"", 1, 2, "not UTF-8"},
        {"\xef\xbb\xbf[1]", 1, 1, "byte 0xef where a value"},
        {"[\"\\u00e9\",\x01]", 1, 11, "byte 0x01 where a value"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct json_value root = {NULL, 77};
        ins_error error = {0};
        ins_status status = json_parse(parser, rows[i].text, strlen(rows[i].text), &root, &error);
        assert_int_equal(status, INS_INVALID);
        assert_int_equal(error.status, INS_INVALID);
        assert_int_equal(root.index, 77); /* untouched */
        char place[64];
        (void)snprintf(place, sizeof(place), "line %zu column %zu:", rows[i].line, rows[i].column);
        if (strstr(error.message, place) == NULL || strstr(error.message, rows[i].reason) == NULL) {
            fail_msg("%s: got \"%s\", expected %s ...%s", rows[i].text, error.message, place,
                     rows[i].reason);
        }
    }
}

/* Goal: error may be NULL, and a parser goes on after a bad text. */
static void test_after_an_error(void **state) {
    (void)state;
    struct json_value root;
    assert_int_equal(json_parse(parser, "[", 1, &root, NULL), INS_INVALID);
    assert_int_equal(json_parse(parser, NULL, 0, &root, NULL), INS_INVALID);
    assert_true(json_integer(parse("5")) == 5);
}

static size_t nested(char *out, size_t levels, char open, char close) {
    memset(out, open, levels);
    memset(out + levels, close, levels);
    return levels * 2;
}

/* Goal: depth_max levels pass, one more does not; objects count as arrays do. */
static void test_depth(void **state) {
    (void)state;
    char text[1024];
    struct json_value root;
    ins_error error = {0};
    size_t size = nested(text, DEPTH_MAX_TEST + 1, '[', ']'); /* the innermost is empty */
    assert_int_equal(json_parse(parser, text, size, &root, &error), INS_OK);
    size = nested(text, DEPTH_MAX_TEST + 2, '[', ']');
    assert_int_equal(json_parse(parser, text, size, &root, &error), INS_INVALID);
    assert_non_null(strstr(error.message, "line 1 column 65: nesting deeper than 64"));
    size = 0;
    for (size_t i = 0; i < DEPTH_MAX_TEST + 1; i++) {
        memcpy(text + size, "{\"a\":", 5);
        size += 5;
    }
    text[size++] = '1';
    memset(text + size, '}', DEPTH_MAX_TEST + 1);
    assert_int_equal(json_parse(parser, text, size + DEPTH_MAX_TEST + 1, &root, &error),
                     INS_INVALID);
    assert_non_null(strstr(error.message, "nesting deeper than 64"));
    for (size_t levels = DEPTH_MAX_TEST; levels < DEPTH_MAX_TEST + 2; levels++) {
        memset(text, '[', levels);
        text[levels] = '1';
        memset(text + levels + 1, ']', levels);
        ins_status expected = levels == DEPTH_MAX_TEST ? INS_OK : INS_INVALID;
        assert_int_equal(json_parse(parser, text, levels * 2 + 1, &root, &error), expected);
    }
}

/* Goal: size_max bytes pass, one more is INS_TOO_LARGE; growth keeps working and shrinks again. */
static void test_size(void **state) {
    (void)state;
    char *text = malloc(SIZE_MAX_TEST + 1);
    assert_non_null(text);
    memset(text, ' ', SIZE_MAX_TEST + 1);
    text[0] = '7';
    struct json_value root;
    ins_error error = {0};
    size_t before = json_parser_bytes(parser);
    assert_int_equal(json_parse(parser, text, SIZE_MAX_TEST, &root, &error), INS_OK);
    assert_true(json_integer(root) == 7);
    assert_true(json_parser_bytes(parser) > before + SIZE_MAX_TEST);
    assert_int_equal(json_parse(parser, text, SIZE_MAX_TEST + 1, &root, &error), INS_TOO_LARGE);
    assert_non_null(strstr(error.message, "1048577"));
    free(text);

    struct json_parser *large = json_parser_create((size_t)8 << 20, 8);
    assert_non_null(large);
    size_t size = (size_t)4 << 20;
    text = malloc(size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i += 2) { /* the most tape a byte: "[0,0,0" */
        memcpy(text + i, i == 0 ? "[0" : ",0", 2);
    }
    text[size - 1] = ']';
    text[size - 2] = ' ';
    text[size - 3] = '1';
    text[size - 4] = ',';
    assert_int_equal(json_parse(large, text, size, &root, &error), INS_OK);
    size_t count = 0;
    float last[1];
    assert_true(json_floats(root, last, 1, &count));
    assert_int_equal(count, size / 2 - 1);
    assert_true(json_parser_bytes(large) > size * 9);
    assert_in_range(json_parse_bytes_max(text, size), size * 13 - 64, size * 13 + 4096);
    assert_int_equal(json_parse(large, "[1]", 3, &root, &error), INS_OK);
    assert_true(json_parser_bytes(large) < 16384); /* given back */
    free(text);
    json_parser_destroy(large);
    json_parser_destroy(NULL);
}

/* Goal: what a text takes to be read is never more than was foretold, and of vectors not much less.
 * Method: texts of every kind, repeated; what the parser says without its allowance for strings. */
static void test_bytes_max(void **state) {
    (void)state;
    static const char *const parts[] = {"0.123456789,", "1 ,\n", "{\"a\":\"b c\",\"d\":[]},",
                                        "[[[]]],",      "\"\",", "true,null,"};
    size_t size_max = (size_t)1 << 18;
    char *text = malloc(size_max + 64);
    assert_non_null(text);
    for (size_t kind = 0; kind < sizeof(parts) / sizeof(parts[0]); kind++) {
        size_t size = 1;
        text[0] = '[';
        while (size < size_max) {
            memcpy(text + size, parts[kind], strlen(parts[kind]));
            size += strlen(parts[kind]);
        }
        memcpy(text + size, "0]", 2);
        size += 2;
        struct json_parser *fresh = json_parser_create((size_t)1 << 20, DEPTH_MAX_TEST);
        assert_non_null(fresh);
        size_t before = json_parser_bytes(fresh);
        struct json_value root;
        assert_int_equal(json_parse(fresh, text, size, &root, NULL), INS_OK);
        size_t strings = size / 3 * 5 + 16 * (size_t)DEPTH_MAX_TEST;
        size_t held = json_parser_bytes(fresh) - before - strings, most;
        most = json_parse_bytes_max(text, size);
        assert_true(held <= most);
        assert_true(kind > 1 || most <= held + 4096);
        json_parser_destroy(fresh);
    }
    free(text);
    assert_true(json_parse_bytes_max("", 0) < 256);
}

/* Goal: floats of all number kinds come out; capacity is kept; a wrong element is named. */
static void test_floats(void **state) {
    (void)state;
    float out[4] = {9, 9, 9, 9};
    size_t count = 99;
    assert_true(json_floats(parse("[1, -2.5, 18446744073709551615, 1e39, 5]"), out, 4, &count));
    assert_int_equal(count, 5);
    assert_true(out[0] == 1.0f);
    assert_true(out[1] == -2.5f);
    assert_true(out[2] == 0x1p64f);
    assert_true(isinf(out[3]));
    assert_true(json_floats(parse("[]"), out, 4, &count));
    assert_int_equal(count, 0);
    assert_false(json_floats(parse("[1,2,\"3\",4]"), out, 4, &count));
    assert_int_equal(count, 2);
    assert_false(json_floats(parse("[[1]]"), out, 4, &count));
    assert_int_equal(count, 0);
    assert_false(json_floats(parse("[1,null]"), out, 4, &count));
    assert_int_equal(count, 1);
}

/* Goal: a printed float reads back as the same bits and is the shortest that does.
 * Method: 200,000 random bit patterns, and the edges. */
static void test_format(void **state) {
    (void)state;
    char text[JSON_NUMBER_TEXT_MAX + 1];
    uint64_t seed = 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t bits = (uint32_t)(seed >> 32);
        float value;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) {
            continue;
        }
        size_t size = json_format_float(value, text);
        assert_true(size <= 16);
        text[size] = '\0';
        float back = strtof(text, NULL);
        assert_memory_equal(&back, &value, sizeof(value));
        struct json_fault fault;
        assert_true(json_check(text, size, 1, &fault));
        double wide;
        memcpy(&wide, &seed, sizeof(wide));
        if (isfinite(wide)) {
            size = json_format_double(wide, text);
            text[size] = '\0';
            double wide_back = strtod(text, NULL);
            assert_memory_equal(&wide_back, &wide, sizeof(wide));
        }
    }
    text[json_format_float(0.1f, text)] = '\0';
    assert_string_equal(text, "0.1");
    text[json_format_float(-0.0f, text)] = '\0';
    assert_string_equal(text, "-0.0");
    text[json_format_double(DBL_MAX, text)] = '\0';
    assert_string_equal(text, "1.7976931348623157e+308");
    text[json_format_double((double)NAN, text)] = '\0';
    assert_string_equal(text, "null");
    text[json_format_float(INFINITY, text)] = '\0';
    assert_string_equal(text, "null");
}

/* Goal: the checker accepts what the parser accepts and nothing else.
 * Method: 300,000 mutations of a text with everything in it. */
static void test_checker_agrees(void **state) {
    (void)state;
    static const char base[] = "{\"a\":[1,-2.5e+3,true,null,\"\\u00e9\\ud83d\\ude00\xc3\xa9\"],"
                               "\"b\":{\"c\":18446744073709551615,\"d\":[[],{}]},\"e\":1e308}";
    static const char bytes[] = "{}[]\",:\\ \n0123456789eE+-.tfnul\x80\xc3\xa9\xed\xf0\x01";
    uint64_t seed = 42;
    size_t good = 0;
    for (int i = 0; i < 300000; i++) {
        char text[sizeof(base)];
        memcpy(text, base, sizeof(base));
        size_t size = sizeof(base) - 1;
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        size_t changes = 1 + (seed >> 61) % 3;
        for (size_t c = 0; c < changes; c++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            size_t at = (size_t)(seed >> 33) % size;
            text[at] = bytes[(size_t)(seed >> 20) % (sizeof(bytes) - 1)];
        }
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        if (seed >> 60 == 0) {
            size = (size_t)(seed >> 33) % size;
        }
        struct json_value root;
        struct json_fault fault;
        bool parsed = json_parse(parser, text, size, &root, NULL) == INS_OK;
        bool checked = json_check(text, size, DEPTH_MAX_TEST, &fault);
        if (parsed != checked) {
            fail_msg("parser %d checker %d: %.*s", parsed, checked, (int)size, text);
        }
        good += parsed;
    }
    assert_true(good > 10000);
    assert_true(good < 200000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_iteration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scalar_roots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
        cmocka_unit_test(test_bytes_max),
        cmocka_unit_test_setup_teardown(test_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_floats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checker_agrees, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
