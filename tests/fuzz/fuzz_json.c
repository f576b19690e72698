/* Goal: on any bytes, the parser and the checker agree on what JSON is, and the text walk on what
 * the parser accepted agrees with its DOM, as does what is read in one pass.
 * Method: parse and check; if good, compare DOM and text value by value, compact the text, parse
 * and compare again; if bad, walk it anyway: nothing may leave the slice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_check.h"
#include "base/json_read.h"
#include "base/json_text.h"

#define DEPTH_MAX 64u
#define TEXT_BYTES_MAX ((size_t)1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_parser *parser;

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void same_value(struct json_value value, ins_text text);

static void same_array(struct json_value array, ins_text text) {
    struct json_iterator dom = json_begin(array);
    struct json_text_iterator walk = json_text_begin(text);
    struct json_value value;
    ins_text element;
    while (json_next(&dom, &value)) {
        require(json_text_next(&walk, &element));
        same_value(value, element);
    }
    require(!json_text_next(&walk, &element));
}

static void same_object(struct json_value object, ins_text text) {
    struct json_iterator dom = json_begin(object);
    struct json_text_iterator walk = json_text_begin(text);
    struct json_value value;
    ins_text name;
    ins_text key;
    ins_text element;
    size_t count = 0;
    while (json_next_member(&dom, &name, &value)) {
        require(json_text_next_member(&walk, &key, &element));
        require(json_text_key_equal(key, name));
        require(json_text_keys_equal(key, key));
        if (count++ < 16) { /* the last of the name is there, and decodes to the name */
            ins_text last, found = {"", 0};
            require(json_text_get_last(text, name, &last));
            require(!json_text_can_find(name) ||
                    json_text_find(text, name, &found) != JSON_TEXT_ABSENT);
        }
        same_value(value, element);
    }
    require(!json_text_next_member(&walk, &key, &element));
}

static void same_string(struct json_value value, ins_text text) {
    ins_text decoded = json_string(value);
    char *out = malloc(text.size);
    require(out != NULL);
    size_t size = json_text_decode(text, out);
    require(size == decoded.size);
    require(memcmp(out, decoded.data, size) == 0);
    require(json_text_compare(json_text_unquote(text), decoded) == 0);
    free(out);
}

static void same_value(struct json_value value, ins_text text) {
    enum json_type type = json_type_of(value);
    require(json_text_type(text) == type);
    double number;
    int64_t integer;
    switch (type) {
    case JSON_ARRAY:
        same_array(value, text);
        break;
    case JSON_OBJECT:
        same_object(value, text);
        break;
    case JSON_STRING:
        same_string(value, text);
        break;
    case JSON_INTEGER:
        require(json_text_integer(text, &integer) && integer == json_integer(value));
        break;
    case JSON_UNSIGNED:
    case JSON_DOUBLE:
        require(json_text_number(text, &number) && number == json_number(value));
        break;
    case JSON_BOOL:
        require(text.data[0] == (json_bool(value) ? 't' : 'f'));
        break;
    case JSON_NULL:
        break;
    }
}

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static ins_text trim(ins_text text) {
    while (text.size > 0 && is_space(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_space(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static void walk_anyway(ins_text text) {
    struct json_text_iterator iterator = json_text_begin(text);
    ins_text key = {"", 0};
    ins_text value;
    while (json_text_next_member(&iterator, &key, &value)) {
        (void)json_text_type(value);
    }
    iterator = json_text_begin(text);
    while (json_text_next(&iterator, &value)) {
        (void)json_text_key_equal(value, key);
    }
}

/* What one pass accepts the parser accepts, and finds the same numbers. */
static void read_plain(ins_text text, bool good, struct json_value root) {
    static float one[TEXT_BYTES_MAX / 2 + 1], other[TEXT_BYTES_MAX / 2 + 1];
    size_t capacity = sizeof(one) / sizeof(one[0]), one_count = 0, other_count = 0;
    struct json_cursor cursor = {text.data, text.data + text.size};
    ins_text object;
    if (json_read_object(&cursor, DEPTH_MAX, &object)) {
        json_read_space(&cursor);
        if (cursor.at == cursor.end && json_utf8_valid(text.data, text.size)) {
            require(good && json_type_of(root) == JSON_OBJECT);
        }
    }
    cursor = (struct json_cursor){text.data, text.data + text.size};
    if (json_read_floats(&cursor, one, capacity, &one_count)) {
        json_read_space(&cursor);
        if (cursor.at == cursor.end) {
            require(good && json_type_of(root) == JSON_ARRAY);
            require(json_floats(root, other, capacity, &other_count) && one_count == other_count);
            require(memcmp(one, other, one_count * sizeof(one[0])) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > TEXT_BYTES_MAX) {
        return 0;
    }
    if (parser == NULL) {
        parser = json_parser_create(TEXT_BYTES_MAX, DEPTH_MAX);
        require(parser != NULL);
    }
    ins_text text = {(const char *)data, size};
    struct json_value root = {0};
    struct json_fault fault;
    ins_error error;
    ins_status status = json_parse(parser, text.data, text.size, &root, &error);
    bool checked = json_check(text.data, text.size, DEPTH_MAX, &fault);
    require(checked == (status == INS_OK));
    read_plain(text, checked, root);
    char *compact = malloc(size + 1);
    require(compact != NULL);
    size_t compact_size = size == 0 ? 0 : json_text_compact(text, compact);
    require(compact_size <= size);
    if (checked) {
        same_value(root, trim(text));
        same_value(root, (ins_text){compact, compact_size});
        require(json_parse(parser, compact, compact_size, &root, NULL) == INS_OK);
        same_value(root, trim(text));
    } else {
        require(fault.offset <= size && fault.line >= 1 && fault.column >= 1);
        require(strstr(error.message, "line ") != NULL);
        if (size > 0) {
            walk_anyway(text);
        }
    }
    free(compact);
    return 0;
}
