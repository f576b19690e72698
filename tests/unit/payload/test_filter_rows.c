/* Goal: what columns know of a filter is true: rows that pass for sure pass, rows that cannot pass
 * do not; and where columns decide everything there is no doubt left. Method: random filters over
 * groups of random payloads, with random columns, against filter_match; the columns' values are
 * kept as they are visited. */
#include "filter_random.h"

#include "base/status.h"
#include "payload/fields.h"

enum { ROWS = 70, COLUMNS_MAX = 64, VALUES_MAX = 40000 };

struct kept_value {
    uint32_t row;
    struct payload_value value;
};

struct index {
    struct payload_column columns[COLUMNS_MAX];
    uint32_t column_count, row;
    struct kept_value values[VALUES_MAX];
    size_t value_count;
    struct filter_probe *probes;
};

static struct index index_of; /* large */

static void keep(void *context, const struct payload_value *value) {
    struct index *index = context;
    assert_true(index->value_count < VALUES_MAX);
    struct kept_value *kept = &index->values[index->value_count++];
    kept->row = index->row;
    kept->value = *value;
    if (value->text.size > 0) {
        kept->value.text.data = pool_copy(&test_pool, value->text.data, value->text.size);
        assert_non_null(kept->value.text.data);
    }
}

static bool has_column(const struct index *index, ins_text path, enum payload_domain domain,
                       uint32_t *out) {
    for (uint32_t i = 0; i < index->column_count; i++) {
        if (index->columns[i].domain == domain && index->columns[i].path.size == path.size &&
            memcmp(index->columns[i].path.data, path.data, path.size) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool probe_takes(const struct filter_probe *probe, enum payload_domain domain,
                        const struct payload_value *value) {
    size_t at = 0;
    uint64_t low;
    uint64_t high;
    ins_text text;
    if (domain == DOMAIN_TEXT && probe_is_except(probe)) {
        return !probe_has_text(probe, value->text);
    }
    if (domain == DOMAIN_TEXT) {
        while (probe_next_text(probe, &at, &text)) {
            if (text.size == value->text.size &&
                (text.size == 0 || memcmp(text.data, value->text.data, text.size) == 0)) {
                return true;
            }
        }
        return false;
    }
    while (probe_next_keys(probe, domain, &at, &low, &high)) {
        if (value->key >= low && value->key <= high) {
            return true;
        }
    }
    return false;
}

static ins_status lookup(void *context, uint32_t number, struct row_verdict *out, bool *out_known,
                         ins_error *error) {
    (void)error;
    const struct index *index = context;
    const struct filter_probe *probe = &index->probes[number];
    *out_known = !probe->too_large;
    for (enum payload_domain domain = DOMAIN_TEXT; domain <= DOMAIN_LAST; domain++) {
        uint32_t column;
        if (!*out_known || !probe_asks(probe, domain)) {
            continue;
        }
        if (!has_column(index, probe->path, domain, &column)) {
            *out_known = false;
            return INS_OK;
        }
        for (size_t i = 0; i < index->value_count; i++) {
            const struct kept_value *kept = &index->values[i];
            if (kept->value.column != column) {
                continue;
            }
            if (kept->value.unknown) {
                row_bits_set(&out->maybe, kept->row);
            } else if (probe_takes(probe, domain, &kept->value)) {
                row_bits_set(&out->sure, kept->row);
                row_bits_set(&out->maybe, kept->row);
            }
        }
    }
    return INS_OK;
}

static ins_status no_lookup(void *context, uint32_t number, struct row_verdict *out,
                            bool *out_known, ins_error *error) {
    (void)context;
    (void)number;
    (void)out;
    *out_known = false;
    return ins_fail(error, INS_AGAIN, "not at hand");
}

static void random_columns(struct draws *draws) {
    index_of.column_count = 0;
    for (size_t k = 0; k < KEY_COUNT; k++) {
        for (enum payload_domain domain = DOMAIN_TEXT; domain <= DOMAIN_LAST; domain++) {
            if (index_of.column_count < COLUMNS_MAX && draw(draws, 2) == 0) {
                struct payload_path path = path_of(keys[k]);
                index_of.columns[index_of.column_count++] = (struct payload_column){
                    .path = payload_path_text(&path, &test_pool), .domain = domain};
            }
        }
    }
}

/* Goal: see the file. Method: 1,500 filters over 70 rows each, with and without a tenant. */
static void test_random(void **state) {
    (void)state;
    struct draws draws = {.seed = 77};
    size_t sure = 0, maybe = 0, no = 0, waited = 0;
    for (int i = 0; i < 1500; i++) {
        static struct filter_store store;
        static char payloads[ROWS][4096];
        memset(&store, 0, sizeof(store));
        struct payload_path tenant_path = path_of("t");
        ins_text tenant = text_of("p");
        bool has_tenant = draw(&draws, 3) == 0;
        random_columns(&draws);
        struct payload_columns *columns;
        assert_int_equal(payload_columns_create(&test_pool, index_of.columns, index_of.column_count,
                                                &columns, NULL),
                         INS_OK);
        ins_filter *source = random_filter(&draws, &store, 2);
        struct filter *filter = compile(source, &tenant_path);
        assert_int_equal(filter_probes(filter, &test_pool, &index_of.probes, NULL), INS_OK);
        index_of.value_count = 0;
        for (uint32_t row = 0; row < ROWS; row++) {
            do {
                random_value(&draws, payloads[row], sizeof(payloads[row]), 4);
            } while (payloads[row][0] != '{');
            struct payload_stored stored;
            assert_int_equal(payload_store(test_parser, &test_pool, text_of(payloads[row]), NULL,
                                           false, &stored, NULL),
                             INS_OK);
            assert_true(stored.text.size < sizeof(payloads[row]));
            if (stored.text.size > 0) { /* the writer sees stored forms */
                memcpy(payloads[row], stored.text.data, stored.text.size);
            }
            payloads[row][stored.text.size] = 0;
            index_of.row = row;
            payload_columns_visit(columns, text_of(payloads[row]), keep, &index_of);
        }
        struct row_verdict verdict;
        struct filter_row about = {.has_tenant = has_tenant, .tenant = tenant};
        ins_status status = filter_rows(filter, &about, ROWS, no_lookup, NULL, &verdict, NULL);
        assert_true(status == INS_AGAIN || status == INS_OK);
        waited += status == INS_AGAIN;
        assert_int_equal(filter_rows(filter, &about, ROWS, lookup, &index_of, &verdict, NULL),
                         INS_OK);
        for (uint32_t row = 0; row < ROWS; row++) {
            struct filter_row one = about;
            one.payload = text_of(payloads[row]);
            bool match = filter_match(filter, NULL, &one);
            bool is_sure = row_bits_has(&verdict.sure, row);
            bool is_maybe = row_bits_has(&verdict.maybe, row);
            if ((is_sure && !match) || (!is_maybe && match) || (is_sure && !is_maybe)) {
                fail_msg("filter %d, row %u: match %d, sure %d, maybe %d: %s", i, row, match,
                         is_sure, is_maybe, payloads[row]);
            }
            sure += is_sure;
            maybe += is_maybe && !is_sure;
            no += !is_maybe;
        }
        assert_false(row_bits_has(&verdict.maybe, ROWS));
        pool_fini(&test_pool);
    }
    assert_true(sure > 3000);
    assert_true(maybe > 3000);
    assert_true(no > 3000);
    assert_true(waited > 300);
}

/* Goal: keys are in the order of the values. */
static void test_keys(void **state) {
    (void)state;
    static const int64_t integers[] = {INT64_MIN, -5, -1, 0, 1, 7, INT64_MAX};
    static const double reals[] = {-1e308, -1.5, -1e-300, 0, 1e-300, 0.5, 1e308};
    for (int i = 1; i < 7; i++) {
        assert_true(payload_key_integer(integers[i - 1]) < payload_key_integer(integers[i]));
        assert_true(payload_key_real(reals[i - 1]) < payload_key_real(reals[i]));
    }
    assert_true(payload_key_real(-0.0) == payload_key_real(0.0));
}

/* Goal: paths are written one way, and that way reads as the same path. */
static void test_path_text(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"a", "a"},
        {"\"a\".b", "a.b"},
        {"\"a.b\"", "\"a.b\""},
        {"a[][07].b", "a[][7].b"},
        {"\"x[0]\"[0]", "\"x[0]\"[0]"},
        {"a.\"\"", "a.\"\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct payload_path path = path_of(rows[i][0]);
        ins_text text = payload_path_text(&path, &test_pool);
        assert_text(text, rows[i][1]);
        struct payload_path again;
        assert_int_equal(payload_path_parse(text, NULL, &again, NULL), INS_OK);
        assert_true(payload_path_equal(&path, &again));
    }
}

static void count_values(void *context, const struct payload_value *value) {
    size_t *counts = context;
    counts[value->unknown]++;
}

/* Goal: too many and too long values are told, not given. */
static void test_unknown(void **state) {
    (void)state;
    struct payload_column column = {.path = text_of("a[]"), .domain = DOMAIN_TEXT};
    struct payload_columns *columns;
    assert_int_equal(payload_columns_create(&test_pool, &column, 1, &columns, NULL), INS_OK);
    assert_int_equal(payload_columns_count(columns), 1);
    assert_int_equal(payload_columns_at(columns, 0)->domain, DOMAIN_TEXT);
    for (size_t values = 254; values < 260; values++) {
        char text[4096] = "{\"a\":[";
        size_t counts[2] = {0, 0};
        for (size_t i = 0; i < values; i++) {
            (void)strcat(text, i == 0 ? "\"x\"" : ",\"y\"");
        }
        (void)strcat(text, "]}");
        payload_columns_visit(columns, text_of(text), count_values, counts);
        assert_int_equal(counts[0], values < 256 ? values : 256);
        assert_int_equal(counts[1], values > 256);
    }
    for (size_t size = 253; size < 260; size++) {
        char text[4096] = "{\"a\":[\"b\",\"";
        size_t counts[2] = {0, 0};
        memset(text + strlen(text), 'x', size);
        (void)strcat(text, "\",\"c\"]}");
        payload_columns_visit(columns, text_of(text), count_values, counts);
        assert_int_equal(counts[0], size <= 255 ? 3 : 1);
        assert_int_equal(counts[1], size > 255);
    }
    struct payload_column bad = {.path = text_of("a..b"), .domain = DOMAIN_TEXT};
    assert_int_equal(payload_columns_create(&test_pool, &bad, 1, &columns, NULL), INS_INVALID);
    for (uint64_t countdown = 1; countdown < 2; countdown++) {
        struct pool pool;
        pool_init(&pool, test_arena, INS_MEM_QUERY, TEST_ARENA_BYTES);
        arena_fail_at(test_arena, countdown);
        assert_int_equal(payload_columns_create(&pool, &column, 1, &columns, NULL), INS_EXHAUSTED);
        arena_fail_at(test_arena, 0);
        pool_fini(&pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_path_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
