/* Goal: the writer writes valid JSON with commas where they belong, escapes what must be escaped,
 * keeps its maximum and survives a failing allocator.
 * Method: known texts; growth through an allocator that counts and can be made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"

struct allocator {
    int calls, fail_at; /* fail_at: this call gives NULL; 0 = never */
};

static void *grow(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    struct allocator *allocator = context;
    assert_true(new_capacity > old_capacity);
    if (++allocator->calls == allocator->fail_at) {
        return NULL;
    }
    return realloc(old, new_capacity);
}

static void assert_written(const struct json_writer *writer, const char *expected) {
    assert_false(writer->failed);
    if (writer->size != strlen(expected) || memcmp(writer->data, expected, writer->size) != 0) {
        fail_msg("got %.*s, expected %s", (int)writer->size, writer->data, expected);
    }
}

/* Goal: all kinds of values, nested. */
static void test_values(void **state) {
    (void)state;
    struct allocator allocator = {0};
    struct json_writer writer;
    json_write_init(&writer, 1u << 20, &allocator, grow);
    json_write_begin_object(&writer);
    json_write_key(&writer, "a");
    json_write_begin_array(&writer);
    json_write_null(&writer);
    json_write_bool(&writer, true);
    json_write_bool(&writer, false);
    json_write_u64(&writer, UINT64_MAX);
    json_write_u64(&writer, 0);
    json_write_i64(&writer, INT64_MIN);
    json_write_i64(&writer, -1);
    json_write_i64(&writer, 42);
    json_write_begin_array(&writer);
    json_write_end_array(&writer);
    json_write_float(&writer, 0.1f);
    json_write_float(&writer, NAN);
    json_write_double(&writer, 0.1);
    json_write_double(&writer, -INFINITY);
    json_write_end_array(&writer);
    json_write_key(&writer, "b");
    json_write_begin_object(&writer);
    json_write_end_object(&writer);
    json_write_key_text(&writer, (ins_text){"c\"\n", 3});
    json_write_value(&writer, (ins_text){"{\"x\": 1}", 8});
    json_write_key(&writer, "ids");
    json_write_begin_array(&writer);
    json_write_id(&writer, &(ins_id){.low = 7});
    json_write_id(&writer, &(ins_id){.high = 1, .low = 2, .is_uuid = true});
    json_write_end_array(&writer);
    json_write_key(&writer, "v");
    json_write_floats(&writer, (float[]){1, -2.5f, 1e20f}, 3);
    json_write_key(&writer, "e");
    json_write_floats(&writer, NULL, 0);
    json_write_end_object(&writer);
    assert_written(&writer,
                   "{\"a\":[null,true,false,18446744073709551615,0,-9223372036854775808,-1,42,[],"
                   "0.1,null,0.1,null],\"b\":{},\"c\\\"\\n\":{\"x\": 1},"
                   "\"ids\":[7,\"00000000-0000-0001-0000-000000000002\"],"
                   "\"v\":[1,-2.5,1e+20],\"e\":[]}");
    free(writer.data);
}

/* Goal: every byte below 0x80 comes back through the parser. */
static void test_escapes(void **state) {
    (void)state;
    char bytes[130];
    for (size_t i = 0; i < 128; i++) {
        bytes[i] = (char)i;
    }
    memcpy(bytes + 128, "\xc3\xa9", 2);
    struct allocator allocator = {0};
    struct json_writer writer;
    json_write_init(&writer, 4096, &allocator, grow);
    json_write_text(&writer, (ins_text){bytes, sizeof(bytes)});
    assert_false(writer.failed);
    struct json_parser *parser = json_parser_create(4096, 4);
    struct json_value root;
    assert_int_equal(json_parse(parser, writer.data, writer.size, &root, NULL), INS_OK);
    ins_text text = json_string(root);
    assert_int_equal(text.size, sizeof(bytes));
    assert_memory_equal(text.data, bytes, sizeof(bytes));
    json_parser_destroy(parser);
    free(writer.data);

    json_write_init(&writer, 4096, &allocator, grow);
    json_write_string(&writer, "");
    json_write_string(&writer, "x\x01");
    json_write_text(&writer, (ins_text){NULL, 0});
    assert_written(&writer, "\"\",\"x\\u0001\",\"\"");
    free(writer.data);
}

/* Goal: up to `max` bytes and not one more; what was written stays. Method: every maximum. */
static void test_maximum(void **state) {
    (void)state;
    for (size_t max = 0; max < 1200; max++) {
        struct allocator allocator = {0};
        struct json_writer writer;
        json_write_init(&writer, max, &allocator, grow);
        for (int i = 0; i < 200; i++) {
            json_write_u64(&writer, 12345);
        }
        assert_int_equal(writer.failed, max < 200 * 6 - 1);
        assert_true(writer.size <= max);
        assert_true(writer.capacity <= max);
        if (writer.failed) { /* and stays so: nothing more is written */
            size_t size = writer.size;
            json_write_raw(&writer, ",", 1);
            assert_int_equal(writer.size, size);
        }
        free(writer.data);
    }
}

/* Goal: a failing allocation sets failed. Method: each one in turn. */
static void test_no_memory(void **state) {
    (void)state;
    for (int fail_at = 1; fail_at < 5; fail_at++) {
        struct allocator allocator = {.fail_at = fail_at};
        struct json_writer writer;
        json_write_init(&writer, 1u << 20, &allocator, grow);
        for (int i = 0; i < 1000; i++) {
            json_write_u64(&writer, 12345);
        }
        assert_true(writer.failed);
        assert_int_equal(allocator.calls, fail_at);
        free(writer.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
