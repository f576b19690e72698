/* What the tests of filters share: short forms of conditions. */
#ifndef INS_TESTS_FILTER_TEST_H
#define INS_TESTS_FILTER_TEST_H

#include "payload_test.h"

static inline ins_value text_value(const char *text) {
    return (ins_value){.kind = INS_VALUE_TEXT, .text = text_of(text)};
}

static inline ins_value integer_value(int64_t integer) {
    return (ins_value){.kind = INS_VALUE_INTEGER, .integer = integer};
}

static inline ins_value bool_value(bool boolean) {
    return (ins_value){.kind = INS_VALUE_BOOL, .boolean = boolean};
}

static inline ins_condition match_any(const char *key, const ins_value *values, size_t count) {
    return (ins_condition){
        .kind = INS_MATCH_ANY, .key = text_of(key), .values = values, .value_count = count};
}

static inline struct filter *compile(const ins_filter *source,
                                     const struct payload_path *tenant_path) {
    struct filter *filter = NULL;
    ins_error error = {0};
    ins_status status = filter_compile(&test_pool, source, tenant_path, &filter, &error);
    if (status != INS_OK) {
        fail_msg("%s", error.message);
    }
    return filter;
}

/* Whether a filter of one must condition takes a row with this payload. */
static inline bool takes(const ins_condition *condition, const char *payload) {
    ins_filter source = {.must = condition, .must_count = 1};
    struct filter *filter = compile(&source, NULL);
    struct filter_row row = {.payload = text_of(payload)};
    bool taken = filter_match(filter, NULL, &row);
    ins_filter inverse = {.must_not = condition, .must_not_count = 1};
    assert_int_equal(filter_match(compile(&inverse, NULL), NULL, &row), !taken);
    ins_filter either = {.should = condition, .should_count = 1};
    assert_int_equal(filter_match(compile(&either, NULL), NULL, &row), taken);
    ins_filter some = {.min_should = condition, .min_should_count = 1, .min_count = 1};
    assert_int_equal(filter_match(compile(&some, NULL), NULL, &row), taken);
    return taken;
}

static inline ins_bound number_bound(double number) {
    return (ins_bound){.kind = INS_BOUND_NUMBER, .number = number};
}

static inline ins_bound integer_bound(int64_t integer) {
    return (ins_bound){.kind = INS_BOUND_INTEGER, .integer = integer};
}

static inline ins_bound moment_bound(const char *text) {
    return (ins_bound){.kind = INS_BOUND_DATETIME, .datetime = text_of(text)};
}

struct pinned {
    bool pinned;
    ins_text *values;
    size_t count;
    struct filter *residual;
};

static inline struct pinned pins_of(const ins_filter *source, const struct payload_path *path,
                                    bool uuid) {
    struct pinned result = {false, NULL, 0, NULL};
    ins_error error = {0};
    ins_status status = filter_pins(&test_pool, source, path, uuid, &result.pinned, &result.values,
                                    &result.count, &result.residual, &error);
    if (status != INS_OK) {
        fail_msg("%s", error.message);
    }
    return result;
}

#endif
