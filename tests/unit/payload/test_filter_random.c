/* Goal: whatever the filter and the payload, match, pins and residual agree with Qdrant's rules.
 * Method: random filters of all conditions over random payloads, against a plain evaluator that
 * works on the parsed payload as received. */
#include "filter_test.h"

#include "base/id.h"
#include "payload/payload_private.h"

/* Of equal keys the last. */
static bool plain_get(struct json_value object, ins_text key, struct json_value *out) {
    struct json_iterator iterator = json_begin(object);
    ins_text name;
    struct json_value value;
    bool found = false;
    while (json_next_member(&iterator, &name, &value)) {
        if (name.size == key.size && memcmp(name.data, key.data, key.size) == 0) {
            *out = value;
            found = true;
        }
    }
    return found;
}

static bool plain_number_in(const ins_condition *condition, double number) {
    double bounds[4];
    const ins_bound *given[] = {&condition->gt, &condition->gte, &condition->lt, &condition->lte};
    for (int i = 0; i < 4; i++) { /* the test's numbers are small: exact */
        bounds[i] = given[i]->kind == INS_BOUND_NUMBER    ? given[i]->number
                    : given[i]->kind == INS_BOUND_INTEGER ? (double)given[i]->integer
                    : i < 2                               ? -1e300
                                                          : 1e300;
    }
    return number > bounds[0] && number >= bounds[1] && number < bounds[2] && number <= bounds[3];
}

/* The test's moments are all "2020-01-0N", and so are the bounds. */
static bool plain_moment_in(const ins_condition *condition, ins_text text) {
    const ins_bound *given[] = {&condition->gt, &condition->gte, &condition->lt, &condition->lte};
    if (text.size != 10) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        if (given[i]->kind == INS_BOUND_NONE) {
            continue;
        }
        int order = memcmp(text.data, given[i]->datetime.data, 10);
        if (!(i == 0 ? order > 0 : i == 1 ? order >= 0 : i == 2 ? order < 0 : order <= 0)) {
            return false;
        }
    }
    return true;
}

static bool plain_among(const ins_condition *condition, struct json_value value) {
    enum json_type type = json_type_of(value);
    for (size_t i = 0; i < condition->value_count; i++) {
        const ins_value *wanted = &condition->values[i];
        bool equal = false;
        if (wanted->kind == INS_VALUE_TEXT && type == JSON_STRING) {
            ins_text text = json_string(value);
            equal = text.size == wanted->text.size &&
                    memcmp(text.data, wanted->text.data, text.size) == 0;
        } else if (wanted->kind == INS_VALUE_INTEGER && type == JSON_INTEGER) {
            equal = json_integer(value) == wanted->integer;
        } else if (wanted->kind == INS_VALUE_BOOL && type == JSON_BOOL) {
            equal = json_bool(value) == wanted->boolean;
        }
        if (equal) {
            return true;
        }
    }
    return false;
}

static bool is_moments(const ins_condition *condition) {
    return condition->gt.kind == INS_BOUND_DATETIME || condition->gte.kind == INS_BOUND_DATETIME ||
           condition->lt.kind == INS_BOUND_DATETIME || condition->lte.kind == INS_BOUND_DATETIME;
}

static bool plain_scalar(const ins_condition *condition, struct json_value value) {
    switch (condition->kind) {
    case INS_MATCH_ANY:
        return plain_among(condition, value);
    case INS_MATCH_EXCEPT:
        return json_type_of(value) != JSON_NULL && !plain_among(condition, value);
    case INS_IS_NULL:
        return json_type_of(value) == JSON_NULL;
    case INS_RANGE:
        if (is_moments(condition)) {
            return json_type_of(value) == JSON_STRING &&
                   plain_moment_in(condition, json_string(value));
        }
        return json_is_number(value) && plain_number_in(condition, json_number(value));
    case INS_VALUES_COUNT:
    case INS_IS_EMPTY:
    case INS_HAS_ID:
    case INS_HAS_VECTOR:
    case INS_SLICE:
    case INS_NESTED_FILTER:
    case INS_NESTED_ELEMENT:
        break;
    }
    fail_msg("kind %d asks nothing of a scalar", (int)condition->kind);
    return false;
}

/* What a path selects. */
struct selected {
    struct json_value values[512];
    size_t count;
};

static void plain_select(const struct payload_path *path, uint32_t part, struct json_value value,
                         struct selected *out) {
    struct json_value next;
    if (part == path->part_count) {
        assert_true(out->count < 512);
        out->values[out->count++] = value;
    } else if (path->kinds[part] == PART_KEY) {
        if (json_type_of(value) == JSON_OBJECT && plain_get(value, path->parts[part], &next)) {
            plain_select(path, part + 1, next, out);
        }
    } else if (json_type_of(value) == JSON_ARRAY) {
        uint64_t wanted =
            path->kinds[part] == PART_ALL ? UINT64_MAX : strtoull(path->parts[part].data, NULL, 10);
        struct json_iterator iterator = json_begin(value);
        for (uint64_t i = 0; json_next(&iterator, &next); i++) {
            if (wanted == UINT64_MAX || wanted == i) {
                plain_select(path, part + 1, next, out);
            }
        }
    }
}

static double plain_count(struct json_value value) {
    enum json_type type = json_type_of(value);
    return type == JSON_ARRAY ? (double)json_count(value) : type == JSON_NULL ? 0 : 1;
}

static bool plain_filter(const ins_filter *filter, struct json_value payload, const ins_id *id);

static bool plain_element(const ins_condition *condition, struct json_value value) {
    if (json_type_of(value) != JSON_ARRAY) {
        return false;
    }
    struct json_iterator iterator = json_begin(value);
    struct json_value element;
    while (json_next(&iterator, &element)) {
        if (json_type_of(element) == JSON_OBJECT &&
            plain_filter(condition->filter, element, NULL)) {
            return true;
        }
    }
    return false;
}

static bool plain_value(const ins_condition *condition, struct json_value value) {
    if (condition->kind == INS_NESTED_ELEMENT) {
        return plain_element(condition, value);
    }
    if (condition->kind == INS_VALUES_COUNT) {
        return plain_number_in(condition, plain_count(value));
    }
    if (json_type_of(value) != JSON_ARRAY) {
        return plain_scalar(condition, value);
    }
    struct json_iterator iterator = json_begin(value);
    struct json_value element;
    while (json_next(&iterator, &element)) {
        if (plain_scalar(condition, element)) {
            return true;
        }
    }
    return false;
}

static bool plain_field(const ins_condition *condition, struct json_value payload) {
    struct payload_path path = {.part_count = 0};
    struct selected selected = {.count = 0};
    assert_int_equal(payload_path_parse(condition->key, NULL, &path, NULL), INS_OK);
    if (condition->kind == INS_NESTED_ELEMENT && path.kinds[path.part_count - 1] == PART_ALL) {
        path.part_count--;
    }
    plain_select(&path, 0, payload, &selected);
    if (condition->kind == INS_VALUES_COUNT && selected.count == 0) {
        return plain_number_in(condition, 0);
    }
    bool any = false;
    bool empty = true;
    for (size_t i = 0; i < selected.count; i++) {
        empty = empty && plain_count(selected.values[i]) < 1;
        any =
            any || (condition->kind != INS_IS_EMPTY && plain_value(condition, selected.values[i]));
    }
    return condition->kind == INS_IS_EMPTY ? empty : any;
}

/* `id` NULL: the payload is an element of an array. */
static bool plain_condition(const ins_condition *condition, struct json_value payload,
                            const ins_id *id) {
    if (condition->kind == INS_NESTED_FILTER) {
        return plain_filter(condition->filter, payload, id);
    }
    if (condition->kind == INS_SLICE) {
        return id != NULL && id_slice(id, condition->slice_total) == condition->slice_index;
    }
    for (size_t i = 0; condition->kind == INS_HAS_ID && i < condition->id_count; i++) {
        if (id != NULL && id_equal(&condition->ids[i], id)) {
            return true;
        }
    }
    return condition->kind != INS_HAS_ID && plain_field(condition, payload);
}

static bool plain_filter(const ins_filter *filter, struct json_value payload, const ins_id *id) {
    bool must = true;
    bool should = filter->should_count == 0;
    bool must_not = false;
    for (size_t i = 0; i < filter->must_count; i++) {
        must = plain_condition(&filter->must[i], payload, id) && must;
    }
    for (size_t i = 0; i < filter->should_count; i++) {
        should = plain_condition(&filter->should[i], payload, id) || should;
    }
    for (size_t i = 0; i < filter->must_not_count; i++) {
        must_not = plain_condition(&filter->must_not[i], payload, id) || must_not;
    }
    size_t some = 0;
    for (size_t i = 0; i < filter->min_should_count; i++) {
        some += plain_condition(&filter->min_should[i], payload, id);
    }
    return must && should && !must_not && some >= filter->min_count;
}

static const char *const keys[] = {"a",     "b",   "a.b",   "t",      "\"x.y\"",
                                   "b.a.b", "u.t", "a[].b", "b[0].a", "a[][].b",
                                   "u",     "a[]", "t[]",   "u[].t",  "b[].a[]"};
enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

/* `depth` -1: a string. */
static void random_value(struct draws *draws, char *out, size_t size, int depth) {
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

static ins_value random_match(struct draws *draws) {
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

static ins_filter *random_filter(struct draws *draws, struct filter_store *store, int depth);

static ins_bound random_bound(struct draws *draws, bool moments) {
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

static void random_range(struct draws *draws, ins_condition *condition) {
    bool moments = draw(draws, 3) == 0;
    condition->kind = INS_RANGE;
    condition->gt = random_bound(draws, moments);
    condition->gte = random_bound(draws, moments);
    condition->lt = random_bound(draws, moments);
    condition->lte = random_bound(draws, moments);
}

static void random_count(struct draws *draws, ins_condition *condition) {
    condition->kind = INS_VALUES_COUNT;
    ins_bound *bounds[] = {&condition->gt, &condition->gte, &condition->lt, &condition->lte};
    *bounds[draw(draws, 4)] = integer_bound(draw(draws, 4));
    *bounds[draw(draws, 4)] = integer_bound(draw(draws, 3));
}

static void random_ids(struct draws *draws, struct filter_store *store, ins_condition *condition) {
    condition->kind = INS_HAS_ID;
    condition->id_count = draw(draws, 12);
    condition->ids = &store->ids[store->id_count];
    for (size_t i = 0; i < condition->id_count; i++) {
        store->ids[store->id_count++] =
            (ins_id){.low = draw(draws, 10), .is_uuid = draw(draws, 2) == 0};
    }
}

static ins_condition random_condition(struct draws *draws, struct filter_store *store, int depth) {
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

static const ins_condition *random_list(struct draws *draws, struct filter_store *store, int depth,
                                        size_t *out_count) {
    size_t count = draw(draws, 3);
    ins_condition *items = &store->conditions[store->condition_count];
    store->condition_count += count;
    *out_count = count;
    for (size_t i = 0; i < count; i++) {
        items[i] = random_condition(draws, store, depth);
    }
    return items;
}

static ins_filter *random_filter(struct draws *draws, struct filter_store *store, int depth) {
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

static bool has_value(const struct pinned *pins, ins_text value) {
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->values[i].size == value.size &&
            memcmp(pins->values[i].data, value.data, value.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Counts of what the random test met, so that it cannot be empty. */
struct met {
    size_t taken, refused, tenants, pinned, residuals;
};

static void check_row(const ins_filter *source, const char *tenant_key, struct filter *filter,
                      const struct pinned *pins, struct draws *draws, struct met *met) {
    char payload[4096] = "{}";
    do {
        random_value(draws, payload, sizeof(payload), 4);
    } while (payload[0] != '{');
    struct payload_path path = path_of(tenant_key);
    ins_id id = {.low = draw(draws, 10), .is_uuid = draw(draws, 2) == 0};
    struct payload_stored stored;
    assert_int_equal(
        payload_store(test_parser, &test_pool, text_of(payload), &path, false, &stored, NULL),
        INS_OK);
    struct json_value root;
    assert_int_equal(json_parse(test_parser, payload, strlen(payload), &root, NULL), INS_OK);
    bool expected = plain_filter(source, root, &id);
    struct filter_row row = {
        .id = id, .payload = stored.text, .has_tenant = stored.has_tenant, .tenant = stored.tenant};
    if (filter_match(filter, test_parser, &row) != expected) {
        fail_msg("expected %d: %s", expected, payload);
    }
    met->taken += expected;
    met->refused += !expected;
    met->tenants += stored.has_tenant;
    if (pins->pinned && stored.has_tenant) {
        bool inside = has_value(pins, stored.tenant);
        assert_true(inside || !expected);
        met->pinned += inside;
        if (inside) {
            bool left = pins->residual == NULL || filter_match(pins->residual, NULL, &row);
            assert_int_equal(left, expected);
            met->residuals += pins->residual != NULL;
        }
    }
}

/* Goal: match, pins and residual agree with the plain evaluator. Method: 4,000 filters, each over
 * 25 payloads, with a flat and a nested tenant path. */
static void test_random(void **state) {
    (void)state;
    struct draws draws = {.seed = 20240607};
    struct met met = {0};
    static struct filter_store store;
    for (int i = 0; i < 4000; i++) {
        const char *tenant_key = i % 2 == 0 ? "t" : "u.t";
        struct payload_path path = path_of(tenant_key);
        memset(&store, 0, sizeof(store));
        ins_filter *source = random_filter(&draws, &store, 2);
        ins_condition with_tenant[4];
        ins_value tenants[] = {text_value("p"), text_value(""), integer_value(1)};
        if (i % 4 < 2) { /* often enough a pin */
            for (size_t c = 0; c < source->must_count; c++) {
                with_tenant[c] = source->must[c];
            }
            with_tenant[source->must_count] = match_any(tenant_key, tenants, 1 + draw(&draws, 3));
            source->must = with_tenant;
            source->must_count++;
        }
        struct filter *filter = compile(source, &path);
        struct pinned pins = pins_of(source, &path, false);
        assert_true(pins.pinned || i % 4 >= 2);
        for (int r = 0; r < 25; r++) {
            check_row(source, tenant_key, filter, &pins, &draws, &met);
        }
        pool_fini(&test_pool);
    }
    assert_true(met.taken > 5000);
    assert_true(met.refused > 5000);
    assert_true(met.tenants > 5000);
    assert_true(met.pinned > 500);
    assert_true(met.residuals > 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
