/* Goal: whatever the filter and the payload, match, pins and residual agree with Qdrant's rules.
 * Method: random filters of all conditions over random payloads, against a plain evaluator that
 * works on the parsed payload as received. */
#include "filter_random.h"

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
