/* Ids as text. Goal: what is formatted parses back, and every form of a UUID that Qdrant takes is
 * taken. Method: tables of texts and edges of numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        uint64_t number;
        const char *text;
    } rows[] = {{0, "0"}, {7, "7"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ins_id id = id_number(rows[i].number);
        char text[ID_TEXT_MAX];
        assert_int_equal(id_format(&id, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

static void test_uuids(void **state) {
    (void)state;
    static const char canonical[] = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    static const char *const same[] = {
        "f47ac10b-58cc-4372-a567-0e02b2c3d479", "F47AC10B-58CC-4372-A567-0E02B2C3D479",
        "f47ac10b58cc4372a5670e02b2c3d479", "{f47ac10b-58cc-4372-a567-0e02b2c3d479}",
        "urn:uuid:f47ac10b-58cc-4372-a567-0e02b2c3d479"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        ins_id id;
        char text[ID_TEXT_MAX];
        assert_true(id_parse_uuid(same[i], strlen(same[i]), &id));
        assert_int_equal(id_format(&id, text), sizeof(canonical) - 1);
        assert_string_equal(text, canonical);
    }
    static const char *const wrong[] = {"", "1", "f47ac10b-58cc-4372-a567-0e02b2c3d47",
                                        "f47ac10b-58cc-4372-a567-0e02b2c3d47g",
                                        "f47ac10b58cc-4372-a567-0e02b2c3d4790"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ins_id id;
        assert_false(id_parse_uuid(wrong[i], strlen(wrong[i]), &id));
    }
}

static void test_order(void **state) {
    (void)state;
    ins_id small = id_number(2), large = id_number(10), uuid = {.is_uuid = true};
    assert_true(id_compare(&small, &large) < 0);
    assert_true(id_compare(&large, &uuid) < 0); /* numbers before UUIDs, the nil one too */
    assert_int_equal(id_compare(&uuid, &uuid), 0);
    ins_id zero = id_number(0);
    assert_false(id_equal(&zero, &uuid));
    assert_true(id_hash(&zero) != id_hash(&uuid));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_uuids),
                                       cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
