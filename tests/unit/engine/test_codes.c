/* Goal: extents of a middling size are scanned by their 1-bit codes: where they are large enough,
 * whose metric has bounds, unless a search wants every row compared; and damaged codes cost an
 * answer nothing. Recall is tests/recall's.
 * Method: a database on the memory store, sizes around the border, flips in both sections. */
#include "tests/unit/engine/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define DIM 64u
#define LIMIT 10u
#define BATCH 500u

static void begin(struct fixture *fixture, uint64_t scan_bytes_min) {
    struct store_memory_options options = {.seed = 1};
    ins_error error = {0};
    if (fixture->store == NULL) {
        assert_int_equal(store_memory_open(&options, &fixture->store), INS_OK);
    }
    ins_options db = {.memory_budget = INS_MEMORY_BUDGET_MIN,
                      .log_file_bytes = 1u << 20,
                      .scan_bytes_min = scan_bytes_min};
    assert_int_equal(ins_runtime_open_threads(fixture->store, &fixture->runtime, &error), INS_OK);
    assert_int_equal(ins_db_open(&db, fixture->runtime, &fixture->db, &error), INS_OK);
}

static float number(uint64_t seed) {
    return (float)(hash_u64(seed * 0x9e3779b97f4a7c15ull) >> 40) * 0x1p-24f - 0.5f;
}

static void fill(struct fixture *fixture, const char *name, uint64_t count, float times) {
    static float values[BATCH * DIM];
    static ins_point points[BATCH];
    for (uint64_t first = 0; first < count; first += BATCH) {
        uint32_t size = (uint32_t)(count - first < BATCH ? count - first : BATCH);
        for (uint32_t i = 0; i < size * DIM; i++) {
            values[i] = times * number(first * DIM + i);
        }
        for (uint32_t i = 0; i < size; i++) {
            points[i] = (ins_point){
                .id = {.low = first + i}, .vector = values + (size_t)i * DIM, .dim = DIM};
        }
        ins_points_request request = {
            .collection = text(name), .points = points, .point_count = size};
        do_ok(fixture, ins_points_upsert, &request);
    }
}

static void make_with(struct fixture *fixture, const char *name, ins_distance distance,
                      uint64_t count, float times, const char *settings) {
    ins_collection_request request = {
        .collection = text(name), .dim = DIM, .distance = distance, .settings = text(settings)};
    do_ok(fixture, ins_collection_create, &request);
    fill(fixture, name, count, times);
    do_ok(fixture, ins_flush, NULL);
}

static void make(struct fixture *fixture, const char *name, ins_distance distance, uint64_t count,
                 float times) {
    make_with(fixture, name, distance, count, times, "{}");
}

struct want {
    bool exact, ignore_codes;
    ins_rescore rescore;
    uint32_t limit;
};

/* Asks, and returns how many scans of codes that took. `out` [LIMIT] ids. */
static uint64_t ask(struct fixture *fixture, const char *name, uint64_t seed, float times,
                    const struct want *want, uint64_t *out) {
    float query[DIM];
    for (uint32_t i = 0; i < DIM; i++) {
        query[i] = times * number(900000000 + seed * DIM + i);
    }
    uint64_t before = stats_of(fixture).code_scans;
    ins_points_request request = {.collection = text(name),
                                  .vector = query,
                                  .dim = DIM,
                                  .limit = want->limit == 0 ? LIMIT : want->limit,
                                  .exact = want->exact,
                                  .ignore_codes = want->ignore_codes,
                                  .rescore = want->rescore};
    ins_call call;
    assert_int_equal(run(fixture, ins_points_query, &request, &call), INS_OK);
    for (uint32_t i = 0; i < LIMIT; i++) {
        out[i] = i < call.points.count ? call.points.items[i].id.low : UINT64_MAX;
    }
    ins_call_release(&call);
    return stats_of(fixture).code_scans - before;
}

/* Answers to ten queries, of `scans` scans of codes each, are the exact ones: these points are the
 * same in each run, and none of theirs is missed. */
static void expect_same(struct fixture *fixture, const char *name, float times, uint64_t scans) {
    for (uint64_t q = 0; q < 10; q++) {
        uint64_t near[LIMIT], exact[LIMIT];
        assert_int_equal(ask(fixture, name, q, times, &(struct want){0}, near), scans);
        assert_int_equal(ask(fixture, name, q, times, &(struct want){.exact = true}, exact), 0);
        assert_memory_equal(near, exact, sizeof(near));
    }
}

/* By default 1 MiB of vectors: 4,096 rows of 64 floats. */
static void test_size(void **state) {
    (void)state;
    struct fixture fixture = {0};
    begin(&fixture, 0);
    make(&fixture, "below", INS_DISTANCE_EUCLID, 4095, 1);
    make(&fixture, "at", INS_DISTANCE_EUCLID, 4096, 1);
    expect_same(&fixture, "below", 1, 0);
    expect_same(&fixture, "at", 1, 1);
    uint64_t ids[LIMIT];
    assert_int_equal(ask(&fixture, "at", 1, 1, &(struct want){.ignore_codes = true}, ids), 0);
    assert_int_equal(ask(&fixture, "at", 1, 1, &(struct want){.limit = 300}, ids), 0);
    assert_int_equal(ask(&fixture, "at", 1, 1, &(struct want){.limit = 200}, ids), 1);
    ins_stats stats = stats_of(&fixture);
    assert_true(stats.code_rows >= 11ull * 4096);
    assert_true(stats.code_rows_exact < stats.code_rows);
    fixture_close(&fixture);
}

static void test_metrics(void **state) {
    (void)state;
    struct fixture fixture = {0};
    begin(&fixture, 4096);
    make(&fixture, "cosine", INS_DISTANCE_COSINE, 1000, 1);
    make(&fixture, "dot", INS_DISTANCE_DOT, 1000, 1);
    make(&fixture, "euclid", INS_DISTANCE_EUCLID, 1000, 1);
    make(&fixture, "manhattan", INS_DISTANCE_MANHATTAN, 1000, 1);
    expect_same(&fixture, "cosine", 1, 1);
    expect_same(&fixture, "dot", 1, 1);
    expect_same(&fixture, "euclid", 1, 1);
    expect_same(&fixture, "manhattan", 1, 0);
    fixture_close(&fixture);
}

/* Numbers so large, or so small, that their squares leave the range of floats, or come near. */
static void test_extremes(void **state) {
    (void)state;
    static const float times[] = {1e-30f, 1e-18f, 1e13f, 1e16f};
    static const char *const names[] = {"a", "b", "c", "d"};
    struct fixture fixture = {0};
    begin(&fixture, 4096);
    for (int i = 0; i < 4; i++) {
        make(&fixture, names[i], INS_DISTANCE_EUCLID, 1000, times[i]);
        for (uint64_t q = 0; q < 5; q++) {
            uint64_t near[LIMIT], exact[LIMIT];
            (void)ask(&fixture, names[i], q, times[i], &(struct want){0}, near);
            (void)ask(&fixture, names[i], q, times[i], &(struct want){.exact = true}, exact);
            assert_memory_equal(near, exact, sizeof(near));
        }
    }
    fixture_close(&fixture);
}

/* Rows that ten queries compare. */
static uint64_t rows_in_doubt(struct fixture *fixture, const char *name, ins_rescore rescore) {
    uint64_t before = stats_of(fixture).code_rows_fine;
    for (uint64_t q = 0; q < 10; q++) {
        uint64_t near[LIMIT], exact[LIMIT];
        assert_int_equal(ask(fixture, name, q, 1, &(struct want){.rescore = rescore}, near), 1);
        (void)ask(fixture, name, q, 1, &(struct want){.exact = true}, exact);
        assert_int_equal(near[0], exact[0]);
    }
    return stats_of(fixture).code_rows_fine - before;
}

/* Few bits, or no rescoring, leave fewer rows in doubt; to ask for rescoring takes that back. */
static void test_rough(void **state) {
    (void)state;
    struct fixture fixture = {0};
    static const char *const rough[] = {
        "{\"quantization_config\":{\"binary\":{}}}",
        "{\"quantization_config\":{\"product\":{\"compression\":\"x16\"}}}",
        "{\"quantization_config\":{\"turbo\":{\"bits\":\"bits1_5\"}}}"};
    static const char *const sure[] = {
        "{\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}}",
        "{\"quantization_config\":{\"product\":{\"compression\":\"x8\"}}}",
        "{\"quantization_config\":{\"turbo\":{}}}"};
    begin(&fixture, 4096);
    make(&fixture, "plain", INS_DISTANCE_EUCLID, 2000, 1);
    uint64_t usual = rows_in_doubt(&fixture, "plain", INS_RESCORE_DEFAULT);
    uint64_t fewer = rows_in_doubt(&fixture, "plain", INS_RESCORE_NO);
    assert_true(fewer < usual);
    assert_int_equal(rows_in_doubt(&fixture, "plain", INS_RESCORE_YES), usual);
    for (int i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i), 0}, other[2] = {(char)('x' + i), 0};
        make_with(&fixture, name, INS_DISTANCE_EUCLID, 2000, 1, rough[i]);
        make_with(&fixture, other, INS_DISTANCE_EUCLID, 2000, 1, sure[i]);
        uint64_t few = rows_in_doubt(&fixture, name, INS_RESCORE_DEFAULT);
        assert_true(few < rows_in_doubt(&fixture, name, INS_RESCORE_YES));
        assert_int_equal(rows_in_doubt(&fixture, other, INS_RESCORE_DEFAULT),
                         rows_in_doubt(&fixture, other, INS_RESCORE_YES));
    }
    fixture_close(&fixture);
}

static void ignore(void *context, bool damage, const char *message) {
    (void)context;
    (void)damage;
    (void)message;
}

static void test_damage(void **state) {
    (void)state;
    static const uint16_t kinds[] = {23, 21}; /* codes, head */
    struct fixture fixture = {0};
    begin(&fixture, 4096);
    make(&fixture, "c", INS_DISTANCE_EUCLID, 1500, 1);
    expect_same(&fixture, "c", 1, 1);
    for (int i = 0; i < 2; i++) {
        char name[64];
        fixture_stop(&fixture); /* the cache must not know it */
        uint64_t at = find_section(fixture.store, kinds[i], name);
        assert_true(store_memory_flip(fixture.store, name, at + 100, 1));
        ins_error error;
        assert_int_equal(ins_check(fixture.store, ignore, NULL, &error), INS_CORRUPT);
        begin(&fixture, 4096);
        for (uint64_t q = 0; q < 5 || stats_of(&fixture).extents_renewed == 0; q++) {
            uint64_t near[LIMIT], exact[LIMIT];
            (void)ask(&fixture, "c", q, 1, &(struct want){0}, near);
            (void)ask(&fixture, "c", q, 1, &(struct want){.exact = true}, exact);
            assert_memory_equal(near, exact, sizeof(near));
        }
        ins_stats stats = stats_of(&fixture);
        assert_int_equal(stats.code_fallbacks, 1);
        assert_int_equal(stats.extents_damaged, 1);
        erase(&fixture); /* the damaged one is garbage in its file */
        fixture_stop(&fixture);
        assert_int_equal(ins_check(fixture.store, ignore, NULL, &error), INS_OK);
        begin(&fixture, 4096);
    }
    expect_same(&fixture, "c", 1, 1);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),     cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_rough),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
