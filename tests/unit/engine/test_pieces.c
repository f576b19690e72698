/* Goal: few values of a large extent are read without the chunks around them; they are verified;
 * what fails or is damaged costs those alone who need it; and what is asked for often comes whole.
 * Method: a database on the memory store, restarted so that nothing is at hand; bytes counted;
 * flips in values and in hashes, and each of the store's first reads made to fail. */
#include "tests/unit/engine/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define DIM 64u
#define COUNT 40000u /* 10 MB of values: 20 chunks */
#define LIMIT 10u
#define BATCH 500u
#define DENSE 4
#define PIECES 22

static void begin(struct fixture *fixture) {
    struct store_memory_options options = {.seed = 1};
    ins_error error = {0};
    if (fixture->store == NULL) {
        assert_int_equal(store_memory_open(&options, &fixture->store), INS_OK);
    }
    ins_options db = {
        .memory_budget = INS_MEMORY_BUDGET_MIN, .log_file_bytes = 1u << 20, .scan_bytes_min = 4096};
    assert_int_equal(ins_runtime_open_threads(fixture->store, &fixture->runtime, &error), INS_OK);
    assert_int_equal(ins_db_open(&db, fixture->runtime, &fixture->db, &error), INS_OK);
}

static float number(uint64_t seed) {
    return (float)(hash_u64(seed * 0x9e3779b97f4a7c15ull) >> 40) * 0x1p-24f - 0.5f;
}

/* 40 near each of a thousand centres, ids of one far apart. */
static void vector_of(uint64_t id, float *out) {
    for (uint32_t i = 0; i < DIM; i++) {
        out[i] = number(900000000 + id % 1000 * DIM + i) + 0.2f * number(id * DIM + i);
    }
}

static void fill(struct fixture *fixture) {
    static float values[BATCH][DIM];
    static ins_point points[BATCH];
    ins_collection_request request = {
        .collection = text("c"), .dim = DIM, .distance = INS_DISTANCE_EUCLID};
    do_ok(fixture, ins_collection_create, &request);
    request.field = text("k");
    request.schema = text("{\"type\":\"keyword\"}");
    do_ok(fixture, ins_index_create, &request);
    for (uint64_t first = 0; first < COUNT; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            vector_of(first + i, values[i]);
            points[i] = (ins_point){
                .id = {.low = first + i},
                .vector = values[i],
                .dim = DIM,
                .payload = text((first + i) % 1000 == 3 ? "{\"k\":\"few\"}" : "{\"k\":\"many\"}")};
        }
        ins_points_request upsert_request = {
            .collection = text("c"), .points = points, .point_count = BATCH};
        do_ok(fixture, ins_points_upsert, &upsert_request);
    }
    do_ok(fixture, ins_flush, NULL);
}

static void forget(struct fixture *fixture) {
    fixture_stop(fixture);
    begin(fixture);
}

/* Nearest to point `id`'s vector; *out_bytes: what that read. */
static ins_status ask(struct fixture *fixture, uint64_t id, uint64_t *out_ids,
                      uint64_t *out_bytes) {
    float query[DIM];
    vector_of(id, query);
    uint64_t before = stats_of(fixture).cold_bytes;
    ins_points_request request = {
        .collection = text("c"), .vector = query, .dim = DIM, .limit = LIMIT};
    ins_call call;
    ins_status status = run(fixture, ins_points_query, &request, &call);
    for (uint32_t i = 0; i < LIMIT; i++) {
        out_ids[i] =
            status == INS_OK && i < call.points.count ? call.points.items[i].id.low : UINT64_MAX;
    }
    if (status != INS_OK) {
        assert_true(strlen(call.error.message) > 0);
    }
    ins_call_release(&call);
    *out_bytes = stats_of(fixture).cold_bytes - before;
    return status;
}

static void test_bytes(void **state) {
    (void)state;
    struct fixture fixture = {0};
    begin(&fixture);
    fill(&fixture);
    uint64_t ids[LIMIT], warm[LIMIT], bytes, first, last = 0;
    forget(&fixture);
    ins_stats before = stats_of(&fixture);
    assert_int_equal(ask(&fixture, 7, ids, &first), INS_OK);
    assert_int_equal(ids[0], 7);
    ins_stats after = stats_of(&fixture);
    /* Ids 320 KB, codes and factors 800 KB, hashes 20 KB; of 10 MB of values some pages. */
    assert_in_range(first, 1000000, 4000000);
    uint64_t blocks = after.cold_reads - before.cold_reads;
    assert_true(after.device_reads - before.device_reads <= blocks);
    assert_int_equal(ask(&fixture, 7, warm, &bytes), INS_OK);
    assert_int_equal(bytes, 0); /* what it needs is at hand */
    assert_memory_equal(ids, warm, sizeof(ids));
    /* In the end all of it is there, and nothing is read any more. */
    for (uint64_t q = 0; q < 400; q++) {
        assert_int_equal(ask(&fixture, q * 97 % COUNT, ids, &last), INS_OK);
        assert_int_equal(ids[0], q * 97 % COUNT);
    }
    assert_true(last < 100000);
    fixture_close(&fixture);
}

static void test_by_id(void **state) {
    (void)state;
    struct fixture fixture = {0};
    begin(&fixture);
    fill(&fixture);
    forget(&fixture);
    uint64_t before = stats_of(&fixture).cold_bytes;
    ins_id id = {.low = 31007};
    ins_points_request request = {
        .collection = text("c"), .ids = &id, .id_count = 1, .with_vector = true};
    ins_call call;
    assert_int_equal(run(&fixture, ins_points_get, &request, &call), INS_OK);
    assert_int_equal(call.points.count, 1);
    float vector[DIM];
    vector_of(id.low, vector);
    assert_memory_equal(call.points.items[0].vector, vector, sizeof(vector));
    ins_call_release(&call);
    assert_true(stats_of(&fixture).cold_bytes - before < 600000); /* ids, hashes, one page */
    fixture_close(&fixture);
}

/* The nearest to point 3 whose field `k` is that; what it read, of a database that has just begun.
 */
static uint64_t ask_where(struct fixture *fixture, const char *k, bool exact, uint64_t *out_ids) {
    float query[DIM];
    vector_of(3, query);
    ins_value value = {.kind = INS_VALUE_TEXT, .text = text(k)};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text("k"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = text("c"),
                                  .vector = query,
                                  .dim = DIM,
                                  .limit = LIMIT,
                                  .exact = exact,
                                  .filter = &filter};
    ins_call call;
    forget(fixture);
    uint64_t before = stats_of(fixture).cold_bytes;
    assert_int_equal(run(fixture, ins_points_query, &request, &call), INS_OK);
    for (uint32_t i = 0; i < LIMIT; i++) {
        out_ids[i] = i < call.points.count ? call.points.items[i].id.low : UINT64_MAX;
    }
    ins_call_release(&call);
    return stats_of(fixture).cold_bytes - before;
}

/* Goal: of a filter that lets 40 of 40,000 rows pass, no chunk of values or codes is read but pages
 * of those rows; where none pass nothing of them is, be the search exact or not. */
static void test_filtered(void **state) {
    (void)state;
    struct fixture fixture = {0};
    uint64_t found[LIMIT], exact[LIMIT];
    begin(&fixture);
    fill(&fixture);
    uint64_t bytes = ask_where(&fixture, "few", false, found);
    (void)ask_where(&fixture, "few", true, exact);
    assert_int_equal(found[0], 3);
    assert_memory_equal(found, exact, sizeof(found));
    assert_true(bytes < 1500000); /* ids 320 KB, field index, hashes 20 KB, 40 pages */
    for (int i = 0; i < 2; i++) {
        bytes = ask_where(&fixture, "none", i != 0, found);
        assert_int_equal(found[0], UINT64_MAX);
        assert_true(bytes < 1000000);
    }
    fixture_close(&fixture);
}

static void ignore(void *context, bool damage, const char *message) {
    (void)context;
    (void)damage;
    (void)message;
}

static void flip(struct fixture *fixture, uint16_t kind, uint64_t at, bool damaged) {
    char name[64];
    fixture_stop(fixture);
    uint64_t begins = find_section(fixture->store, kind, name);
    assert_true(store_memory_flip(fixture->store, name, begins + at, 1));
    ins_error error;
    assert_int_equal(ins_check(fixture->store, ignore, NULL, &error),
                     damaged ? INS_CORRUPT : INS_OK);
    begin(fixture);
}

static void test_damage(void **state) {
    (void)state;
    struct fixture fixture = {0};
    begin(&fixture);
    fill(&fixture);
    uint64_t ids[LIMIT], bytes;
    for (uint64_t id = 5; id < COUNT; id += 9001) { /* a value's last byte */
        flip(&fixture, DENSE, id * DIM * 4 + DIM * 4 - 1, true);
        assert_int_equal(ask(&fixture, id, ids, &bytes), INS_CORRUPT);
        assert_int_equal(ask(&fixture, id, ids, &bytes), INS_CORRUPT); /* nor is it kept */
        forget(&fixture); /* else the chunk may be worth reading whole by now, damage and all */
        assert_int_equal(ask(&fixture, (id + 12345) % COUNT, ids, &bytes), INS_OK);
        assert_int_equal(ids[0], (id + 12345) % COUNT);
        flip(&fixture, DENSE, id * DIM * 4 + DIM * 4 - 1, false);
        assert_int_equal(ask(&fixture, id, ids, &bytes), INS_OK);
        assert_int_equal(ids[0], id);
    }
    flip(&fixture, PIECES, 11, true); /* a hash: chunks have their own */
    for (uint64_t q = 0; q < 3; q++) {
        assert_int_equal(ask(&fixture, q, ids, &bytes), INS_OK);
        assert_int_equal(ids[0], q);
    }
    fixture_close(&fixture);
}

static void test_failures(void **state) {
    (void)state;
    struct fixture fixture = {0};
    begin(&fixture);
    fill(&fixture);
    uint64_t ids[LIMIT], bytes;
    uint32_t failed = 0;
    for (uint64_t n = 1; n <= 40; n++) {
        forget(&fixture);
        store_memory_fail_at(fixture.store, n, false, INS_IO, false);
        ins_status status = ask(&fixture, n, ids, &bytes);
        store_memory_fail_off(fixture.store);
        assert_true(status == INS_OK || status == INS_IO);
        failed += status == INS_IO;
        if (status == INS_OK) {
            assert_int_equal(ids[0], n);
        }
        assert_int_equal(ask(&fixture, n, ids, &bytes), INS_OK);
        assert_int_equal(ids[0], n);
    }
    assert_true(failed > 0);
    for (uint64_t n = 1; n <= 12; n++) {
        forget(&fixture);
        store_memory_fail_at(fixture.store, n, false, INS_IO, true); /* the device is gone */
        assert_int_equal(ask(&fixture, 1, ids, &bytes), INS_IO);
        store_memory_fail_off(fixture.store);
        assert_int_equal(ask(&fixture, 1, ids, &bytes), INS_OK);
    }
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),    cmocka_unit_test(test_by_id),
        cmocka_unit_test(test_filtered), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
