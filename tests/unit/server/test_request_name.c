/* Goal: ids and traceparents of clients are taken where they are well-formed, and never else.
 * Method: good ones, and good ones with each byte made wrong; made ids differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/request_name.h"

static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static struct request_name named(const char *id, const char *traceparent) {
    struct request_names names = {.next = 7};
    struct request_name name;
    memset(&name, 0xee, sizeof(name));
    request_name_set(&names, (ins_text){id, strlen(id)},
                     (ins_text){traceparent, strlen(traceparent)}, &name);
    assert_int_equal(name.size, strlen(name.id));
    assert_int_equal(names.next, strcmp(name.id, id) == 0 ? 7 : 8);
    return name;
}

static void test_ids(void **state) {
    (void)state;
    char id[REQUEST_ID_MAX + 2];
    for (size_t size = 1; size <= REQUEST_ID_MAX + 1; size++) {
        memset(id, 'x', size);
        id[size] = '\0';
        struct request_name name = named(id, "");
        assert_int_equal(name.size, size <= REQUEST_ID_MAX ? size : 16);
        assert_false(name.traced);
    }
    for (int byte = 1; byte < 256; byte++) {
        char text[] = {'a', (char)byte, 'b', '\0'};
        bool plain = byte > ' ' && byte <= '~' && byte != '"' && byte != '\\';
        assert_int_equal(named(text, "").size, plain ? 3 : 16);
    }
    assert_int_equal(named("", "").size, 16);
}

static void test_made(void **state) {
    (void)state;
    struct request_names names = {.next = UINT64_MAX};
    char seen[64][REQUEST_ID_MAX + 1];
    for (int i = 0; i < 64; i++) {
        struct request_name name;
        request_name_set(&names, (ins_text){NULL, 0}, (ins_text){NULL, 0}, &name);
        strcpy(seen[i], name.id);
        assert_int_equal(strspn(name.id, "0123456789abcdef"), 16);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(seen[i], seen[j]);
        }
    }
}

static void test_traceparent(void **state) {
    (void)state;
    struct request_name name = named("a", good);
    assert_true(name.traced);
    assert_int_equal(request_traceparent(&name).size, TRACEPARENT_SIZE);
    assert_memory_equal(name.traceparent, good, TRACEPARENT_SIZE);
    for (size_t i = 0; i < TRACEPARENT_SIZE; i++) {
        for (const char *wrong = "gA-\n"; *wrong != '\0'; wrong++) {
            char text[sizeof(good)];
            strcpy(text, good);
            text[i] = *wrong;
            assert_int_equal(named("a", text).traced, strcmp(text, good) == 0);
        }
    }
    static const char *const bad[] = {"",
                                      "00",
                                      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(named("a", bad[i]).traced);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_made),
                                       cmocka_unit_test(test_traceparent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
