/* Random payloads and random filters of every condition, for tests that compare two ways to match.
 */
#ifndef INS_TESTS_FILTER_RANDOM_H
#define INS_TESTS_FILTER_RANDOM_H

#include "filter_test.h"

static const char *const keys[] = {"a",     "b",   "a.b",   "t",      "\"x.y\"",
                                   "b.a.b", "u.t", "a[].b", "b[0].a", "a[][].b",
                                   "u",     "a[]", "t[]",   "u[].t",  "b[].a[]"};
enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

/* `depth` -1: a string. */
static inline void random_value(struct draws *draws, char *out, size_t size, int depth) {
    static const char *const scalars[] = {"0",
                                          "1",
                                          "2",
                                          "1.0",
                                          "2.5",
                                          "-1",
                                          "\"p\"",
                                          "\"q\"",
                                          "\"\\u0070\"",
                                          "\"\"",
                                          "true",
                                          "false",
                                          "null",
                                          "\"r\\n\"",
                                          "[]",
                                          "\"2020-01-02\"",
                                          "\"2020-01-0\\u0034\""};
    uint32_t kind = depth <= 0 ? 0 : draw(draws, 8);
    size_t at = 0;
    if (kind < 4) {
        (void)snprintf(out, size, "%s",
                       depth < 0 ? scalars[6 + draw(draws, 4)] : scalars[draw(draws, 17)]);
        return;
    }
    static const char *const members[] = {"a", "b", "t", "u", "x.y", "\\u0061", "zz"};
    bool object = kind >= 6;
    at += (size_t)snprintf(out, size, object ? "{" : "[");
    uint32_t count = draw(draws, object && depth == 4 ? 9 : 4);
    for (uint32_t i = 0; i < count; i++) {
        at += (size_t)snprintf(out + at, size - at, "%s", i == 0 ? "" : " , ");
        const char *key = members[draw(draws, 7)];
        if (object) {
            at += (size_t)snprintf(out + at, size - at, "\"%s\" : ", key);
        }
        bool tenant = object && key[0] == 't' && draw(draws, 2) == 0;
        random_value(draws, out + at, size - at, tenant ? -1 : key[0] == 'u' ? 1 : depth - 1);
        at += strlen(out + at);
    }
    (void)snprintf(out + at, size - at, object ? "}" : "]");
}

struct filter_store { /* what random filters are made of */
    ins_filter filters[64];
    ins_condition conditions[512];
    ins_value values[2048];
    ins_id ids[2048];
    size_t filter_count, condition_count, value_count, id_count;
};

static inline ins_value random_match(struct draws *draws) {
    static const char *const texts[] = {"p", "q", "", "r\n", "none"};
    switch (draw(draws, 3)) {
    case 0:
        return integer_value((int64_t)draw(draws, 4) - 1);
    case 1:
        return bool_value(draw(draws, 2) == 0);
    default:
        return text_value(texts[draw(draws, 5)]);
    }
}

static inline ins_filter *random_filter(struct draws *draws, struct filter_store *store, int depth);

static inline ins_bound random_bound(struct draws *draws, bool moments) {
    static const char *const texts[] = {"2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"};
    uint32_t kind = draw(draws, 4);
    if (kind < 2) {
        return (ins_bound){.kind = INS_BOUND_NONE};
    }
    if (moments) {
        return moment_bound(texts[draw(draws, 4)]);
    }
    return kind == 2 ? integer_bound((int64_t)draw(draws, 4) - 1)
                     : number_bound((double)draw(draws, 8) / 2 - 1);
}

static inline void random_range(struct draws *draws, ins_condition *condition) {
    bool moments = draw(draws, 3) == 0;
    condition->kind = INS_RANGE;
    condition->gt = random_bound(draws, moments);
    condition->gte = random_bound(draws, moments);
    condition->lt = random_bound(draws, moments);
    condition->lte = random_bound(draws, moments);
}

static inline void random_count(struct draws *draws, ins_condition *condition) {
    condition->kind = INS_VALUES_COUNT;
    ins_bound *bounds[] = {&condition->gt, &condition->gte, &condition->lt, &condition->lte};
    *bounds[draw(draws, 4)] = integer_bound(draw(draws, 4));
    *bounds[draw(draws, 4)] = integer_bound(draw(draws, 3));
}

static inline void random_ids(struct draws *draws, struct filter_store *store,
                              ins_condition *condition) {
    condition->kind = INS_HAS_ID;
    condition->id_count = draw(draws, 12);
    condition->ids = &store->ids[store->id_count];
    for (size_t i = 0; i < condition->id_count; i++) {
        store->ids[store->id_count++] =
            (ins_id){.low = draw(draws, 10), .is_uuid = draw(draws, 2) == 0};
    }
}

static inline ins_condition random_condition(struct draws *draws, struct filter_store *store,
                                             int depth) {
    ins_condition condition = {.kind = INS_MATCH_ANY, .key = text_of(keys[draw(draws, KEY_COUNT)])};
    uint32_t kind = draw(draws, depth == 0 ? 11 : 14);
    if (kind == 0) {
        random_range(draws, &condition);
    } else if (kind == 1) {
        random_ids(draws, store, &condition);
    } else if (kind == 2) {
        random_count(draws, &condition);
    } else if (kind == 3) {
        condition.kind = draw(draws, 2) == 0 ? INS_IS_EMPTY : INS_IS_NULL;
    } else if (kind == 4) {
        condition.kind = INS_SLICE;
        condition.slice_total = 1 + draw(draws, 3);
        condition.slice_index = draw(draws, condition.slice_total);
    } else if (kind > 10) {
        condition.kind = kind == 11 ? INS_NESTED_FILTER : INS_NESTED_ELEMENT;
        condition.filter = random_filter(draws, store, depth - 1);
    } else {
        condition.kind = kind < 6 ? INS_MATCH_EXCEPT : INS_MATCH_ANY;
        condition.value_count = draw(draws, 8) == 0 ? 12 : draw(draws, 3);
        condition.values = &store->values[store->value_count];
        for (size_t i = 0; i < condition.value_count; i++) {
            store->values[store->value_count++] = random_match(draws);
        }
    }
    return condition;
}

static inline const ins_condition *random_list(struct draws *draws, struct filter_store *store,
                                               int depth, size_t *out_count) {
    size_t count = draw(draws, 3);
    ins_condition *items = &store->conditions[store->condition_count];
    store->condition_count += count;
    *out_count = count;
    for (size_t i = 0; i < count; i++) {
        items[i] = random_condition(draws, store, depth);
    }
    return items;
}

static inline ins_filter *random_filter(struct draws *draws, struct filter_store *store,
                                        int depth) {
    ins_filter *filter = &store->filters[store->filter_count++];
    assert_true(store->filter_count < 64);
    filter->must = random_list(draws, store, depth, &filter->must_count);
    filter->should = random_list(draws, store, depth, &filter->should_count);
    filter->must_not = random_list(draws, store, depth, &filter->must_not_count);
    if (draw(draws, 4) == 0) {
        filter->min_should = random_list(draws, store, depth, &filter->min_should_count);
        filter->min_count = 1 + draw(draws, 2);
    }
    return filter;
}

#endif
