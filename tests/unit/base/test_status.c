/* Goal: the message of an error is UTF-8, wherever names in it, and the message itself, are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/json_check.h"
#include "base/status.h"

/* Characters of one to four bytes. */
static const char *const characters[] = {"a", "\u00e9", "\u20ac", "\U0001f600"};

static void test_cuts(void **state) {
    (void)state;
    char name[4096];
    for (size_t c = 0; c < 4; c++) {
        for (size_t before = 0; before < 4; before++) {
            size_t size = before;
            memset(name, 'x', before);
            while (size + 5 < sizeof(name)) {
                memcpy(name + size, characters[c], strlen(characters[c]));
                size += strlen(characters[c]);
            }
            name[size] = 0;
            ins_error error;
            assert_int_equal(ins_fail(&error, INS_INVALID, "`%.*s` and `%s`", 60, name, name),
                             INS_INVALID);
            assert_in_range(strlen(error.message), sizeof(error.message) - 8,
                            sizeof(error.message) - 1); /* two cuts */
            char quoted[sizeof(error.message) + 2];
            size_t length = strlen(error.message);
            quoted[0] = quoted[length + 1] = '"';
            memcpy(quoted + 1, error.message, length);
            struct json_fault fault;
            assert_true(json_check(quoted, length + 2, 1, &fault));
        }
    }
}

static void test_whole(void **state) {
    (void)state;
    ins_error error;
    assert_int_equal(
        ins_fail_retry(&error, INS_EXHAUSTED, 7, "%s \u00e9\u20ac\U0001f600 100 %%", "a"),
        INS_EXHAUSTED);
    assert_string_equal(error.message, "a \u00e9\u20ac\U0001f600 100 %");
    assert_int_equal(error.status, INS_EXHAUSTED);
    assert_int_equal(error.retry_after_s, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
