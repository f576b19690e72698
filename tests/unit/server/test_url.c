#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/api_private.h"

static ins_status decode(const char *raw, bool plus, char *out) {
    size_t size = 0;
    ins_error error;
    ins_status status = percent_decode((ins_text){raw, strlen(raw)}, plus, out, &size, &error);
    out[status == INS_OK ? size : 0] = '\0';
    return status;
}

/* Goal: escapes decode, and what is no escape, NUL or no UTF-8 is refused. Method: a table. */
static void test_percent(void **state) {
    (void)state;
    static const struct {
        const char *raw, *decoded; /* NULL: refused */
    } cases[] = {
        {"plain", "plain"},
        {"a%20b", "a b"},
        {"%41%6a%4A", "AjJ"},
        {"a+b", "a+b"},
        {"%2F", "/"},
        {"%C3%A9", "\xc3\xa9"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"", ""},
        {"%", NULL},
        {"%2", NULL},
        {"%2x", NULL},
        {"%00", NULL},
        {"%C3", NULL},
        {"\xff", NULL},
        {"%ED%A0%80", NULL},
        {"%c0%af", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        ins_status status = decode(cases[i].raw, false, out);
        assert_int_equal(status, cases[i].decoded == NULL ? INS_INVALID : INS_OK);
        if (status == INS_OK) {
            assert_string_equal(out, cases[i].decoded);
        }
    }
    char out[16];
    assert_int_equal(decode("a+b", true, out), INS_OK);
    assert_string_equal(out, "a b");
}

/* Goal: UTF-8 as Unicode defines it. Method: the first and last of each length, overlong forms,
 * surrogates, above U+10FFFF, cut sequences. */
static void test_utf8(void **state) {
    (void)state;
    static const char *const right[] = {"",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
    static const char *const wrong[] = {"\x80",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xc2",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xe1\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xfe",
                                        "a\xc2z"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_true(utf8_valid(right[i], strlen(right[i])));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(utf8_valid(wrong[i], strlen(wrong[i])));
    }
}

static ins_status parse(const char *text, struct query_params *params, ins_error *error) {
    return query_params_parse((ins_text){text, strlen(text)}, params, error);
}

/* Goal: the four parameters of Qdrant, unknown ones ignored, wrong ones named. Method: a table. */
static void test_query(void **state) {
    (void)state;
    struct query_params params;
    ins_error error;
    assert_int_equal(parse("", &params, &error), INS_OK);
    assert_false(params.wait);
    assert_false(params.has_timeout);
    assert_int_equal(
        parse("wait=true&x=1&&timeout=5&ordering=strong&consistency=2", &params, &error), INS_OK);
    assert_true(params.wait);
    assert_true(params.has_timeout);
    assert_int_equal(params.timeout_s, 5);
    assert_int_equal(parse("wait=%74rue", &params, &error), INS_OK);
    assert_true(params.wait);
    assert_int_equal(parse("timeout=99999999999999", &params, &error), INS_OK);
    assert_int_equal(params.timeout_s, TIMEOUT_S_MAX);
    static const struct {
        const char *query;
        ins_status status;
        const char *says;
    } cases[] = {
        {"wait=yes", INS_INVALID, "wait: `yes`"},
        {"wait", INS_INVALID, "wait: ``"},
        {"timeout=x", INS_INVALID, "timeout: `x`"},
        {"timeout=-1", INS_INVALID, "timeout: `-1`"},
        {"timeout=0", INS_UNPROCESSABLE, "timeout: value 0 invalid"},
        {"ordering=fast", INS_INVALID, "ordering: `fast`"},
        {"consistency=0", INS_INVALID, "consistency: `0`"},
        {"a=%zz", INS_INVALID, "hex digits"},
        {"wait=ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt",
         INS_INVALID, "wait: `tttt"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].query, &params, &error), cases[i].status);
        assert_non_null(strstr(error.message, cases[i].says));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
