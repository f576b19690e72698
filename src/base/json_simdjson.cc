/* JSON parsing on simdjson: the only C++ of the tree, built without exceptions and RTTI.
 *
 * Path: json_parse copies the text into a padded buffer, simdjson writes its tape (one word a
 * value, two for numbers), the walk reads the tape. A json_value is (document, place on the tape).
 * Failure: simdjson says that a text is bad, json_check says where.
 * Memory: from malloc, 13.7 bytes reserved for a byte of text; what is touched is far less and is
 * what json_parser_bytes tells. After a large text it is given back at the next small one.
 * Invariants: I1 capacity is that of the buffer, the document and the implementation alike.
 *   I2 I1 holds or capacity is 0.
 * The tape: simdjson's doc/tape.md. */
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

#include "base/json.h"

extern "C" {
#include "base/assert.h"
#include "base/json_check.h"
#include "base/json_read.h"
#include "base/json_text.h"
#include "base/status.h"
}

namespace {

constexpr size_t capacity_min = 4096;
/* Above this a parser gives memory back when the next text needs under a sixteenth of it. */
constexpr size_t capacity_keep = 1u << 20;

using simdjson::dom::document;
using simdjson::internal::tape_ref;
using simdjson::internal::tape_type;

} // namespace

struct json_parser {
    size_t size_max;
    uint32_t depth_max;
    size_t capacity; /* bytes of text that fit without growing */
    size_t touched;  /* bytes of memory written since it was taken */
    std::unique_ptr<simdjson::internal::dom_parser_implementation> implementation;
    document tape;
    std::unique_ptr<uint8_t[]> padded; /* [capacity + SIMDJSON_PADDING] */
};

namespace {

tape_ref at(struct json_value value) {
    return tape_ref(static_cast<const document *>(value.document), value.index);
}

void parser_release(struct json_parser *parser) {
    parser->capacity = 0;
    parser->touched = 0;
    parser->implementation.reset();
    parser->tape = document();
    parser->padded.reset();
}

bool parser_reserve(struct json_parser *parser, size_t size) {
    bool far_too_large = parser->capacity > capacity_keep && size < parser->capacity / 16;
    if (parser->padded != nullptr && size <= parser->capacity && !far_too_large) {
        return true;
    }
    parser_release(parser); /* before taking: the two are never held together */
    size_t capacity = capacity_min;
    while (capacity < size) {
        capacity *= 2;
    }
    parser->padded.reset(new (std::nothrow) uint8_t[capacity + simdjson::SIMDJSON_PADDING]);
    bool good = parser->padded != nullptr && parser->tape.allocate(capacity) == simdjson::SUCCESS &&
                simdjson::get_active_implementation()->create_dom_parser_implementation(
                    capacity, parser->depth_max + 1, parser->implementation) == simdjson::SUCCESS;
    if (!good) {
        parser_release(parser);
        return false;
    }
    parser->capacity = capacity;
    return true;
}

/* Text, structural indexes, tape, strings (at most 5/3 of the text) and the stack of levels. */
size_t bytes_touched(const struct json_parser *parser, size_t size, bool parsed) {
    size_t tape_words = parsed ? static_cast<size_t>(parser->tape.tape[0] & 0xffffffffu) : size;
    return size + simdjson::SIMDJSON_PADDING +
           4 * static_cast<size_t>(parser->implementation->n_structural_indexes) + 8 * tape_words +
           size / 3 * 5 + 16 * static_cast<size_t>(parser->depth_max);
}

ins_status parse_failed(const struct json_parser *parser, const char *text, size_t size,
                        simdjson::error_code code, ins_error *error) {
    if (code == simdjson::MEMALLOC) {
        return ins_fail_retry(error, INS_EXHAUSTED, 1, "no memory to parse %zu bytes of JSON",
                              size);
    }
    struct json_fault fault;
    if (json_check(text, size, parser->depth_max, &fault)) {
        return ins_fail(error, INS_INVALID, "bad JSON: %s", simdjson::error_message(code));
    }
    return ins_fail(error, INS_INVALID, "bad JSON at line %zu column %zu: %s", fault.line,
                    fault.column, fault.reason);
}

} // namespace

struct json_parser *json_parser_create(size_t size_max, uint32_t depth_max) {
    INS_ASSERT(size_max < simdjson::SIMDJSON_MAXSIZE_BYTES);
    INS_ASSERT(depth_max > 0);
    INS_ASSERT(depth_max <= JSON_DEPTH_LIMIT);
    auto *parser = new (std::nothrow) json_parser();
    if (parser != nullptr) {
        parser->size_max = size_max;
        parser->depth_max = depth_max;
    }
    return parser;
}

void json_parser_destroy(struct json_parser *parser) {
    delete parser;
}

size_t json_parser_bytes(const struct json_parser *parser) {
    return sizeof(*parser) + parser->touched;
}

ins_status json_parse(struct json_parser *parser, const char *text, size_t size,
                      struct json_value *out_root, ins_error *error) {
    INS_ASSERT(parser != nullptr);
    INS_ASSERT(text != nullptr || size == 0);
    INS_ASSERT(out_root != nullptr);

    if (size > parser->size_max) {
        return ins_fail(error, INS_TOO_LARGE, "%zu bytes of JSON are above the limit of %zu", size,
                        parser->size_max);
    }
    if (!parser_reserve(parser, size)) {
        return parse_failed(parser, text, size, simdjson::MEMALLOC, error);
    }
    if (size != 0) {
        std::memcpy(parser->padded.get(), text, size);
    }
    std::memset(parser->padded.get() + size, ' ', simdjson::SIMDJSON_PADDING);
    simdjson::error_code code =
        parser->implementation->parse(parser->padded.get(), size, parser->tape);
    size_t touched = bytes_touched(parser, size, code == simdjson::SUCCESS);
    parser->touched = touched > parser->touched ? touched : parser->touched;
    if (code != simdjson::SUCCESS) {
        return parse_failed(parser, text, size, code, error);
    }
    out_root->document = &parser->tape;
    out_root->index = 1;
    return INS_OK;
}

bool json_utf8_valid(const char *text, size_t size) {
    return simdjson::validate_utf8(text, size);
}

enum json_type json_type_of(struct json_value value) {
    switch (at(value).tape_ref_type()) {
    case tape_type::START_ARRAY:
        return JSON_ARRAY;
    case tape_type::START_OBJECT:
        return JSON_OBJECT;
    case tape_type::STRING:
        return JSON_STRING;
    case tape_type::INT64:
        return JSON_INTEGER;
    case tape_type::UINT64:
        return JSON_UNSIGNED;
    case tape_type::DOUBLE:
        return JSON_DOUBLE;
    case tape_type::TRUE_VALUE:
    case tape_type::FALSE_VALUE:
        return JSON_BOOL;
    case tape_type::ROOT:
    case tape_type::END_ARRAY:
    case tape_type::END_OBJECT:
    case tape_type::NULL_VALUE:
        break;
    }
    return JSON_NULL;
}

const char *json_type_text(enum json_type type) {
    switch (type) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "a bool";
    case JSON_INTEGER:
    case JSON_UNSIGNED:
        return "an integer";
    case JSON_DOUBLE:
        return "a float";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "an array";
    case JSON_OBJECT:
        return "an object";
    }
    return "an unknown type";
}

bool json_bool(struct json_value value) {
    INS_ASSERT(json_type_of(value) == JSON_BOOL);
    return at(value).is_true();
}

int64_t json_integer(struct json_value value) {
    INS_ASSERT(json_type_of(value) == JSON_INTEGER);
    return at(value).next_tape_value<int64_t>();
}

uint64_t json_unsigned(struct json_value value) {
    enum json_type type = json_type_of(value);
    INS_ASSERT(type == JSON_INTEGER || type == JSON_UNSIGNED);
    uint64_t number = at(value).next_tape_value<uint64_t>();
    INS_ASSERT(type == JSON_UNSIGNED || number <= INT64_MAX);
    return number;
}

double json_number(struct json_value value) {
    tape_ref ref = at(value);
    switch (json_type_of(value)) {
    case JSON_INTEGER:
        return static_cast<double>(ref.next_tape_value<int64_t>());
    case JSON_UNSIGNED:
        return static_cast<double>(ref.next_tape_value<uint64_t>());
    case JSON_DOUBLE:
        return ref.next_tape_value<double>();
    default:
        break;
    }
    INS_ASSERT(json_is_number(value));
    return 0;
}

ins_text json_string(struct json_value value) {
    INS_ASSERT(json_type_of(value) == JSON_STRING);
    tape_ref ref = at(value);
    return ins_text{ref.get_c_str(), ref.get_string_length()};
}

bool json_is_number(struct json_value value) {
    enum json_type type = json_type_of(value);
    return type == JSON_INTEGER || type == JSON_UNSIGNED || type == JSON_DOUBLE;
}

bool json_get_text(struct json_value object, ins_text key, struct json_value *out) {
    INS_ASSERT(json_type_of(object) == JSON_OBJECT);
    struct json_iterator iterator = json_begin(object);
    ins_text name;
    struct json_value value;
    while (json_next_member(&iterator, &name, &value)) {
        if (name.size == key.size && std::memcmp(name.data, key.data, key.size) == 0) {
            *out = value;
            return true;
        }
    }
    return false;
}

bool json_get(struct json_value object, const char *key, struct json_value *out) {
    return json_get_text(object, ins_text{key, std::strlen(key)}, out);
}

size_t json_count(struct json_value container) {
    INS_ASSERT(json_type_of(container) == JSON_ARRAY || json_type_of(container) == JSON_OBJECT);
    return at(container).scope_count();
}

struct json_iterator json_begin(struct json_value container) {
    INS_ASSERT(json_type_of(container) == JSON_ARRAY || json_type_of(container) == JSON_OBJECT);
    return json_iterator{{container.document, container.index + 1},
                         {container.document, at(container).after_element() - 1}};
}

bool json_next(struct json_iterator *iterator, struct json_value *out) {
    if (iterator->at.index >= iterator->end.index) {
        return false;
    }
    *out = iterator->at;
    iterator->at.index = at(iterator->at).after_element();
    return true;
}

bool json_next_member(struct json_iterator *iterator, ins_text *out_key, struct json_value *out) {
    struct json_value key;
    if (!json_next(iterator, &key)) {
        return false;
    }
    *out_key = json_string(key);
    bool has_value = json_next(iterator, out);
    INS_ASSERT(has_value);
    return true;
}

bool json_floats(struct json_value array, float *out, size_t capacity, size_t *out_count) {
    INS_ASSERT(json_type_of(array) == JSON_ARRAY);
    const uint64_t *tape = static_cast<const document *>(array.document)->tape.get();
    size_t end = at(array).after_element() - 1;
    size_t count = 0;
    for (size_t index = array.index + 1; index < end; index += 2) {
        double value = 0;
        switch (static_cast<tape_type>(tape[index] >> 56)) {
        case tape_type::DOUBLE:
            std::memcpy(&value, &tape[index + 1], sizeof(value));
            break;
        case tape_type::INT64:
            value = static_cast<double>(static_cast<int64_t>(tape[index + 1]));
            break;
        case tape_type::UINT64:
            value = static_cast<double>(tape[index + 1]);
            break;
        default:
            *out_count = count;
            return false;
        }
        if (count < capacity) {
            out[count] = static_cast<float>(value);
        }
        count++;
    }
    *out_count = count;
    return true;
}

namespace {

/* to_chars writes -0 as "-0", which reads back as the integer 0. */
template <typename number> size_t format_number(number value, char *out) {
    if (!std::isfinite(value)) {
        std::memcpy(out, "null", 4);
        return 4;
    }
    if (value == 0 && std::signbit(value)) {
        std::memcpy(out, "-0.0", 4);
        return 4;
    }
    return static_cast<size_t>(std::to_chars(out, out + JSON_NUMBER_TEXT_MAX, value).ptr - out);
}

/* True when the number (of good grammar) is at least 1; tells an overflow from an underflow. */
bool is_large(ins_text text) {
    const char *at = text.data + (text.size > 0 && text.data[0] == '-' ? 1 : 0);
    const char *end = text.data + text.size;
    int64_t point = 0; /* decimal places that the leading digit is left of the units */
    bool fraction = false;
    bool found = false;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        found = found || *at != '0';
        if (found && fraction) {
            break;
        }
        point += fraction ? -1 : (found ? 1 : 0);
    }
    const char *exponent_at = static_cast<const char *>(
        std::memchr(text.data, 'e', text.size) != nullptr ? std::memchr(text.data, 'e', text.size)
                                                          : std::memchr(text.data, 'E', text.size));
    int64_t exponent = 0;
    if (exponent_at != nullptr) {
        exponent_at += exponent_at + 1 < end && exponent_at[1] == '+' ? 2 : 1;
        bool beyond =
            std::from_chars(exponent_at, end, exponent).ec == std::errc::result_out_of_range;
        if (beyond || exponent > INT32_MAX || exponent < -INT32_MAX) {
            return *exponent_at != '-'; /* no text has as many digits */
        }
    }
    return point + exponent > 0;
}

template <typename number> bool whole_number(ins_text text, number *out) {
    number value = 0;
    std::from_chars_result result = std::from_chars(text.data, text.data + text.size, value);
    if (result.ec != std::errc() || result.ptr != text.data + text.size) {
        return false;
    }
    *out = value;
    return true;
}

} // namespace

size_t json_format_float(float value, char out[]) {
    return format_number(value, out);
}

size_t json_format_double(double value, char out[]) {
    return format_number(value, out);
}

bool json_text_integer(ins_text number, int64_t *out) {
    return whole_number(number, out);
}

bool json_text_unsigned(ins_text number, uint64_t *out) {
    return whole_number(number, out);
}

bool json_text_number(ins_text number, double *out) {
    double value = 0;
    std::from_chars_result result = std::from_chars(number.data, number.data + number.size, value);
    if (result.ec == std::errc::result_out_of_range) {
        value = 0; /* too small: zero, as the parser reads it */
        if (is_large(number)) {
            return false;
        }
    } else if (result.ec != std::errc() || result.ptr != number.data + number.size) {
        return false;
    }
    *out = value;
    return true;
}
