/* Goal: what is read in one pass is what a parse of the whole finds, to the bit, and nothing is
 * read that a parse would refuse. Method: random numbers in many notations, long ones close to the
 * middle between two floats among them, each array read both ways; then texts that must be refused,
 * cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json_check.h"
#include "base/json_decimal.h"
#include "base/json_read.h"

#define DEPTH_MAX 16u
#define COUNT 64u
#define TEXT_MAX 8192u

static struct json_parser *parser;
static uint64_t seed = 1;

static uint64_t draw(void) {
    seed = hash_u64(seed + 0x9e3779b97f4a7c15ull);
    return seed;
}

static struct json_cursor cursor_of(const char *text, size_t size) {
    return (struct json_cursor){text, text + size};
}

/* One number in one of the notations that clients send, and some that they should not. */
static size_t put_number(char *out, size_t room) {
    float value;
    uint32_t bits = (uint32_t)draw();
    memcpy(&value, &bits, sizeof(value));
    value = isfinite(value) ? value : 0.5F;
    double small = ((double)(draw() >> 11) * 0x1p-53 - 0.5) * 2.0;
    int size = 0;
    switch (draw() % 10) {
    case 0:
        size = snprintf(out, room, "%.9g", (double)value);
        break;
    case 1:
        size = snprintf(out, room, "%.17g", small);
        break;
    case 2:
        size = snprintf(out, room, "%.*f", (int)(draw() % 25) + 1, small);
        break;
    case 3:
        size = snprintf(out, room, "%.17e", (double)(float)small);
        break;
    case 4:
        size = snprintf(out, room, "%lld", (long long)(draw() >> draw() % 64));
        break;
    case 5: { /* the middle between two floats, and close to it */
        float near = (float)small, next = nextafterf(near, 2.0F);
        double middle = ((double)near + (double)next) / 2.0;
        size = snprintf(out, room, "%.*f", 16 + (int)(draw() % 30), middle);
        break;
    }
    case 6:
        size = snprintf(out, room, "-0%s", draw() % 2 == 0 ? "" : ".0");
        break;
    case 7:
        size = snprintf(out, room, "%u.%u", (unsigned)(draw() % 1000), (unsigned)(draw() % 100000));
        break;
    default:
        size = snprintf(out, room, "%.6f", small);
        break;
    }
    return (size_t)size;
}

static size_t put_array(char *out) {
    static const char *const spaces[] = {"", "", " ", "\n\t "};
    size_t at = 0;
    size_t count = draw() % COUNT + 1;
    at += (size_t)snprintf(out, TEXT_MAX, "%s[", spaces[draw() % 4]);
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s%s", i == 0 ? "" : ",",
                               spaces[draw() % 4]);
        at += put_number(out + at, TEXT_MAX - at);
        at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s", spaces[draw() % 4]);
    }
    at += (size_t)snprintf(out + at, TEXT_MAX - at, "]");
    return at;
}

/* Reads from a copy of exactly `size` bytes, so that a step beyond is found under ASan. */
static bool read_exact(const char *text, size_t size, float *out, size_t *out_count) {
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    struct json_cursor cursor = cursor_of(copy, size);
    bool good = json_read_floats(&cursor, out, COUNT, out_count);
    assert_true(cursor.at <= copy + size);
    good = good && cursor.at == copy + size;
    free(copy);
    return good;
}

/* Goal: floats are those of json_floats, and close to all arrays are read. */
static void test_floats(void **state) {
    (void)state;
    static char text[TEXT_MAX];
    uint32_t read = 0, parsed = 0;
    for (uint32_t turn = 0; turn < 20000; turn++) {
        float one[COUNT], other[COUNT];
        size_t size = put_array(text), one_count = 0, other_count = 0;
        struct json_value root;
        bool whole = json_parse(parser, text, size, &root, NULL) == INS_OK &&
                     json_floats(root, other, COUNT, &other_count);
        parsed += whole;
        if (!read_exact(text, size, one, &one_count)) {
            continue;
        }
        read++;
        assert_true(whole);
        assert_int_equal(one_count, other_count);
        if (memcmp(one, other, one_count * sizeof(float)) != 0) {
            fail_msg("%.*s is read in two ways", (int)size, text);
        }
    }
    assert_true(parsed > 10000);
    assert_true(read >= parsed - parsed / 20);
}

/* The same where the machine has no wide instructions. */
static void test_floats_narrow(void **state) {
    json_floats_narrow(true);
    test_floats(state);
    json_floats_narrow(false);
}

/* Goal: numbers that are none, or beyond the range, are refused. */
static void test_bad_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {"[]",
                                        "[01]",
                                        "[1.]",
                                        "[.5]",
                                        "[-]",
                                        "[+1]",
                                        "[1e]",
                                        "[1e+]",
                                        "[0x1]",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "[1",
                                        "[1,",
                                        "[",
                                        "",
                                        "[null]",
                                        "[\"1\"]",
                                        "[[1]]",
                                        "[1e99]",
                                        "[3.5e38]",
                                        "[-3.5e38]",
                                        "[1e400]",
                                        "[NaN]",
                                        "[-.5]",
                                        "[00.5]",
                                        "[1.5.5]",
                                        "[--1]",
                                        "[1e5e5]",
                                        "[99999999999999999999]",
                                        "[-9999999999999999999]"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        float values[COUNT];
        size_t count;
        if (read_exact(texts[i], strlen(texts[i]), values, &count)) {
            fail_msg("%s was read", texts[i]);
        }
    }
}

/* Goal: more numbers than there is room for are refused, and nothing is written beyond. */
static void test_capacity(void **state) {
    (void)state;
    float values[3] = {0, 0, 7};
    size_t count = 0;
    struct json_cursor cursor = cursor_of("[1,2]", 5);
    assert_true(json_read_floats(&cursor, values, 2, &count));
    assert_int_equal(count, 2);
    cursor = cursor_of("[1,2,3]", 7);
    assert_false(json_read_floats(&cursor, values, 2, &count));
    assert_true(values[2] == 7.0F);
}

static void test_unsigned(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {{"0", true, 0},
                 {" 42,", true, 42},
                 {"9999999999999999999", true, 9999999999999999999ull},
                 {"18446744073709551615", true, UINT64_MAX},
                 {"18446744073709551616", false, 0},
                 {"00000000000000000001", false, 0},
                 {"100000000000000000000", false, 0},
                 {"-1", false, 0},
                 {"-0", false, 0},
                 {"1.0", false, 0},
                 {"1e2", false, 0},
                 {"007", false, 0},
                 {"", false, 0},
                 {"x", false, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_cursor cursor = cursor_of(cases[i].text, strlen(cases[i].text));
        uint64_t value = 0;
        assert_int_equal(json_read_unsigned(&cursor, &value), cases[i].good);
        assert_true(value == cases[i].value);
    }
}

static bool read_object(const char *text, size_t size, uint32_t depth_max) {
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    struct json_cursor cursor = cursor_of(copy, size);
    ins_text object;
    bool good = json_read_object(&cursor, depth_max, &object);
    json_read_space(&cursor);
    good = good && cursor.at == cursor.end;
    free(copy);
    return good;
}

/* Goal: usual objects are read whole; of each, no prefix and no copy with one byte changed is read
 * that the parser refuses. */
static void test_objects(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}", " { } ", "{\"a\":1}", "{ \"a\" : [ 1 , -2.5e-3 , true , false , null ] , \"b\":{} }",
        "{\"tenant\":\"t1\",\"tags\":[\"g1\",\"g2\"],\"text\":\"a \\\"b\\\" \\\\ \\u00e4 "
        "\\ud83d\\ude00 \xc3\xa4, and some more text that is "
        "long\",\"x\":[[],{}],\"price\":12.50}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t size = strlen(texts[i]);
        char copy[256];
        struct json_value root;
        memcpy(copy, texts[i], size);
        assert_true(read_object(copy, size, DEPTH_MAX));
        for (size_t cut = 0; cut < size; cut++) {
            if (read_object(copy, cut, DEPTH_MAX)) { /* white space at the end */
                assert_int_equal(json_parse(parser, copy, cut, &root, NULL), INS_OK);
            }
        }
        for (size_t turn = 0; turn < 20000; turn++) {
            size_t at = draw() % size;
            char was = copy[at];
            uint64_t any = draw();
            char letter = "\"\\{}[],:0-eu \n\x01\x80tn"[any / 2 % 18];
            copy[at] = any % 2 == 0 ? letter : (char)(any >> 8);
            if (json_utf8_valid(copy, size) && read_object(copy, size, DEPTH_MAX)) {
                assert_int_equal(json_parse(parser, copy, size, &root, NULL), INS_OK);
                assert_int_equal(json_type_of(root), JSON_OBJECT);
            }
            copy[at] = was;
        }
    }
}

static void test_depth(void **state) {
    (void)state;
    assert_true(read_object("{\"a\":[1]}", 9, 2));
    assert_false(read_object("{\"a\":[1]}", 9, 1));
    assert_false(read_object("{}", 2, 0));
    assert_false(read_object("[1]", 3, 2));
}

static void test_strings(void **state) {
    (void)state;
    struct json_cursor cursor = cursor_of(" \"0123456789abcdef01\" x", 23);
    ins_text text;
    assert_true(json_read_plain_string(&cursor, &text));
    assert_int_equal(text.size, 18);
    assert_true(json_read_byte(&cursor, 'x'));
    static const char *const bad[] = {"\"a", "\"a\\n\"", "\"a\n\"", "a\"", "", "\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cursor = cursor_of(bad[i], strlen(bad[i]));
        assert_false(json_read_plain_string(&cursor, &text));
    }
}

static void test_words(void **state) {
    (void)state;
    struct json_cursor cursor = cursor_of(" true,nul", 9);
    assert_false(json_read_word(&cursor, "false", 5));
    assert_true(json_read_word(&cursor, "true", 4));
    assert_true(json_read_byte(&cursor, ','));
    assert_false(json_read_word(&cursor, "null", 4));
    assert_true(json_read_word(&cursor, "nul", 3));
    assert_false(json_read_word(&cursor, "x", 1));
}

static void test_values(void **state) {
    (void)state;
    static const char text[] = " {\"a\":[1,2]} , \"x\\n\" ,-1.5e3,null,[[],[]]";
    struct json_cursor cursor = cursor_of(text, sizeof(text) - 1);
    for (int i = 0; i < 5; i++) {
        assert_true(json_read_value(&cursor, 2));
        assert_int_equal(json_read_byte(&cursor, ','), i < 4);
    }
    assert_true(cursor.at == cursor.end);
    static const char *const bad[] = {"", " ", "x", "[[1]]", "{\"a\":}", "\"a", "tru", "]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cursor = cursor_of(bad[i], strlen(bad[i]));
        assert_false(json_read_value(&cursor, 1));
    }
}

static void test_utf8(void **state) {
    (void)state;
    assert_true(json_utf8_valid("", 0));
    assert_true(json_utf8_valid("\xc3\xa4", 2));
    assert_false(json_utf8_valid("\xc3", 1));
    assert_false(json_utf8_valid("\xed\xa0\x80", 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),      cmocka_unit_test(test_floats_narrow),
        cmocka_unit_test(test_words),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_numbers), cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_unsigned),    cmocka_unit_test(test_objects),
        cmocka_unit_test(test_depth),       cmocka_unit_test(test_strings),
        cmocka_unit_test(test_utf8),
    };
    parser = json_parser_create(TEXT_MAX, DEPTH_MAX);
    int failed = parser == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    json_parser_destroy(parser);
    return failed;
}
