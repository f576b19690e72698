/* As much of cmocka as the tests that are cross-built use: the distribution's library is for the
 * host alone. A failed check prints its place and ends the program. */
#ifndef INS_TESTS_CROSS_CMOCKA_H
#define INS_TESTS_CROSS_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(function)                                                                 \
    { #function, function }
#define fail_msg(...) (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), exit(1))
#define fail() fail_msg("failed\n")
#define assert_true(what) ((what) ? (void)0 : fail_msg("not so: %s\n", #what))
#define assert_false(what) assert_true(!(what))
#define assert_non_null(what) assert_true((what) != NULL)
#define assert_null(what) assert_true((what) == NULL)
#define assert_int_equal(left, right) assert_true((long long)(left) == (long long)(right))
#define assert_int_not_equal(left, right) assert_true((long long)(left) != (long long)(right))
#define assert_ptr_equal(left, right) assert_true((left) == (right))
#define assert_string_equal(left, right) assert_true(strcmp(left, right) == 0)
#define assert_memory_equal(left, right, size) assert_true(memcmp(left, right, size) == 0)
#define assert_in_range(what, low, high)                                                           \
    assert_true((unsigned long long)(what) >= (unsigned long long)(low) &&                         \
                (unsigned long long)(what) <= (unsigned long long)(high))
#define print_error(...) printf(__VA_ARGS__)
#define print_message(...) printf(__VA_ARGS__)

static inline int cmocka_run_all(const struct CMUnitTest *tests, size_t count,
                                 int (*setup)(void **state), int (*teardown)(void **state)) {
    void *state = NULL;
    if (setup != NULL && setup(&state) != 0) {
        fail_msg("the tests' setup failed\n");
    }
    for (size_t i = 0; i < count; i++) {
        tests[i].run(&state);
        printf("%s: ok\n", tests[i].name);
    }
    return teardown == NULL ? 0 : teardown(&state);
}
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_run_all(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
