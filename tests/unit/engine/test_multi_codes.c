/* Goal: large runs of multivectors are scanned by their 1-bit codes, unless a search wants every
 * row compared; what is found is what an exact search finds, for all metrics that have codes, with
 * filters, newer versions and deleted points; damaged codes cost an answer nothing.
 * Method: a database on the memory store; answers against those of `exact`, recall counted; flips
 * in both sections. */
#include "tests/unit/engine/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

#define DIM_MAX 128u
#define ROWS_MAX 32u
#define QUERY_ROWS 12u
#define LIMIT 10u
#define BATCH 100u
#define ASKS 20u
#define FLOOR 0.99 /* recall of LIMIT */

struct shape {
    uint32_t dim, rows_max; /* points have 1 .. rows_max rows */
    ins_distance distance;
    ins_datatype datatype;
    bool apart; /* rows are of no topic */
};

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

/* Rows that lie around one of 50 topics; bytes are 0 .. 255. */
static void rows_of(const struct shape *shape, uint64_t seed, uint32_t rows, float *out) {
    for (uint32_t i = 0; i < rows * shape->dim; i++) {
        uint64_t topic = (seed + i / shape->dim * 7) % 50;
        float own = number((seed << 20) + i);
        float value =
            shape->apart ? own : 0.5f * number(topic * DIM_MAX + i % shape->dim) + 0.5f * own;
        out[i] = shape->datatype == INS_UINT8 ? (float)(int)(value * 255 + 127.5f) : value;
    }
}

static void put(struct fixture *fixture, const struct shape *shape, uint64_t first, uint64_t count,
                uint64_t salt) {
    static float values[BATCH][ROWS_MAX * DIM_MAX];
    static char payloads[BATCH][64];
    static ins_point points[BATCH];
    for (uint64_t at = first; at < first + count; at += BATCH) {
        uint32_t size = (uint32_t)(first + count - at < BATCH ? first + count - at : BATCH);
        for (uint32_t i = 0; i < size; i++) {
            uint64_t id = at + i;
            uint32_t rows = 1 + (uint32_t)(hash_u64(id + salt) % shape->rows_max);
            rows_of(shape, id + salt, rows, values[i]);
            (void)snprintf(payloads[i], sizeof(payloads[i]), "{\"part\":%u,\"plain\":%u}",
                           (uint32_t)(id % 100), (uint32_t)(id % 3));
            points[i] = (ins_point){.id = {.low = id},
                                    .vector = values[i],
                                    .dim = shape->dim,
                                    .rows = rows,
                                    .payload = text(payloads[i])};
        }
        ins_points_request request = {
            .collection = text("c"), .points = points, .point_count = size};
        do_ok(fixture, ins_points_upsert, &request);
    }
}

static void make(struct fixture *fixture, const struct shape *shape, uint64_t count) {
    ins_vector_params vector = {.name = text(""),
                                .dim = shape->dim,
                                .distance = shape->distance,
                                .datatype = shape->datatype,
                                .multi = true};
    ins_collection_request request = {
        .collection = text("c"), .vectors = &vector, .vector_count = 1};
    do_ok(fixture, ins_collection_create, &request);
    ins_collection_request field = {
        .collection = text("c"), .field = text("part"), .schema = text("{\"type\":\"integer\"}")};
    do_ok(fixture, ins_index_create, &field);
    put(fixture, shape, 0, count, 0);
    do_ok(fixture, ins_flush, NULL);
}

struct answer {
    uint64_t ids[LIMIT];
    float scores[LIMIT];
    uint32_t count;
    uint64_t scans; /* of codes */
};

static void ask(struct fixture *fixture, const struct shape *shape, uint64_t seed,
                const ins_points_request *how, struct answer *out) {
    float query[QUERY_ROWS * DIM_MAX];
    rows_of(shape, 7000000 + seed, QUERY_ROWS, query);
    uint64_t before = stats_of(fixture).code_scans;
    ins_points_request request = *how;
    request.collection = text("c");
    request.vector = query;
    request.dim = shape->dim;
    request.rows = QUERY_ROWS;
    request.limit = LIMIT;
    ins_call call;
    assert_int_equal(run(fixture, ins_points_query, &request, &call), INS_OK);
    *out = (struct answer){.count = (uint32_t)call.points.count};
    for (uint32_t i = 0; i < out->count; i++) {
        out->ids[i] = call.points.items[i].id.low;
        out->scores[i] = call.points.items[i].score;
    }
    ins_call_release(&call);
    out->scans = stats_of(fixture).code_scans - before;
}

/* Recall over ASKS queries; each takes a scan of codes, and every score is that of `exact`. */
static double recall(struct fixture *fixture, const struct shape *shape, const ins_filter *filter,
                     bool scanned) {
    uint32_t found = 0, wanted = 0;
    for (uint64_t q = 0; q < ASKS; q++) {
        struct answer near, exact;
        ask(fixture, shape, q, &(ins_points_request){.filter = filter}, &near);
        ask(fixture, shape, q, &(ins_points_request){.filter = filter, .exact = true}, &exact);
        assert_true((near.scans > 0) == scanned);
        assert_int_equal(exact.scans, 0);
        assert_int_equal(near.count, exact.count);
        wanted += exact.count;
        for (uint32_t i = 0; i < exact.count; i++) {
            for (uint32_t j = 0; j < near.count; j++) {
                if (near.ids[j] == exact.ids[i]) {
                    found++;
                    assert_true(near.scores[j] == exact.scores[i]);
                }
            }
        }
    }
    return (double)found / wanted;
}

static void expect_recall(const struct shape *shape, uint64_t count, bool scanned) {
    struct fixture fixture = {0};
    begin(&fixture);
    make(&fixture, shape, count);
    double share = recall(&fixture, shape, NULL, scanned);
    ins_stats stats = stats_of(&fixture);
    print_message("dim %u, 1 to %u rows, metric %d, type %d: recall %.3f, compared %.3f\n",
                  shape->dim, shape->rows_max, (int)shape->distance, (int)shape->datatype, share,
                  stats.code_rows == 0 ? 1.0
                                       : (double)stats.code_rows_exact / (double)stats.code_rows);
    assert_true(share >= FLOOR);
    assert_true(!scanned || stats.code_rows_exact < stats.code_rows);
    fixture_close(&fixture);
}

static void test_recall(void **state) {
    (void)state;
    static const ins_distance metrics[] = {INS_DISTANCE_COSINE, INS_DISTANCE_DOT,
                                           INS_DISTANCE_EUCLID};
    for (uint32_t dim = 32; dim <= DIM_MAX; dim *= 2) {
        for (int m = 0; m < 3; m++) {
            expect_recall(&(struct shape){dim, 8, metrics[m], INS_FLOAT32, false}, 2000, true);
        }
    }
    expect_recall(&(struct shape){64, 1, INS_DISTANCE_COSINE, INS_FLOAT32, false}, 2000, true);
    expect_recall(&(struct shape){64, 32, INS_DISTANCE_COSINE, INS_FLOAT32, false}, 2500, true);
    expect_recall(&(struct shape){64, 8, INS_DISTANCE_COSINE, INS_FLOAT16, false}, 2000, true);
    expect_recall(&(struct shape){64, 8, INS_DISTANCE_COSINE, INS_UINT8, false}, 2000, true);
    expect_recall(&(struct shape){64, 8, INS_DISTANCE_EUCLID, INS_UINT8, false}, 2000, true);
    expect_recall(&(struct shape){64, 8, INS_DISTANCE_MANHATTAN, INS_FLOAT32, false}, 500, false);
    expect_recall(&(struct shape){24, 8, INS_DISTANCE_COSINE, INS_FLOAT32, false}, 500, false);
}

/* Scans of codes that a query of so many rows takes. */
static uint64_t scans_of_rows(struct fixture *fixture, const struct shape *shape, uint32_t rows) {
    static float query[200 * DIM_MAX];
    rows_of(shape, 5, rows, query);
    uint64_t before = stats_of(fixture).code_scans;
    ins_points_request request = {
        .collection = text("c"), .vector = query, .dim = shape->dim, .rows = rows, .limit = LIMIT};
    do_ok(fixture, ins_points_query, &request);
    return stats_of(fixture).code_scans - before;
}

static void test_ignored(void **state) {
    (void)state;
    struct shape shape = {64, 8, INS_DISTANCE_COSINE, INS_FLOAT32, false};
    struct fixture fixture = {0};
    struct answer answer;
    begin(&fixture);
    make(&fixture, &shape, 1000);
    ask(&fixture, &shape, 1, &(ins_points_request){.ignore_codes = true}, &answer);
    assert_int_equal(answer.scans, 0);
    assert_int_equal(scans_of_rows(&fixture, &shape, 128), 1);
    assert_int_equal(scans_of_rows(&fixture, &shape, 129), 0);
    uint64_t usual = stats_of(&fixture).code_rows_exact;
    for (uint64_t q = 0; q < ASKS; q++) {
        ask(&fixture, &shape, q, &(ins_points_request){0}, &answer);
        assert_int_equal(answer.scans, 1);
    }
    usual = stats_of(&fixture).code_rows_exact - usual;
    uint64_t rough = stats_of(&fixture).code_rows_exact;
    for (uint64_t q = 0; q < ASKS; q++) {
        ask(&fixture, &shape, q, &(ins_points_request){.rescore = INS_RESCORE_NO}, &answer);
    }
    rough = stats_of(&fixture).code_rows_exact - rough;
    assert_true(rough < usual);
    fixture_close(&fixture);
}

/* Where the first tile's codes leave nearly all points in doubt, the others' are not looked at. */
static void test_in_doubt(void **state) {
    (void)state;
    struct shape shape = {32, 32, INS_DISTANCE_DOT, INS_FLOAT32, true};
    struct fixture fixture = {0};
    begin(&fixture);
    make(&fixture, &shape, 6000);
    double share = recall(&fixture, &shape, NULL, true);
    assert_true(share >= FLOOR);
    assert_true(stats_of(&fixture).code_rows < 2ull * ASKS * 2048 * (1 + 32) / 2);
    fixture_close(&fixture);
}

/* Filters that few, some, most and no points pass, by an index, without one, and by both; dead
 * rows in the run, newer versions in the memtable and in a second run. */
static void test_filters(void **state) {
    (void)state;
    struct shape shape = {32, 8, INS_DISTANCE_COSINE, INS_FLOAT32, false};
    struct fixture fixture = {0};
    begin(&fixture);
    make(&fixture, &shape, 5000);
    for (int turn = 0; turn < 3; turn++) {
        static const double parts[] = {0, 1, 5, 30, 90};
        ins_value zero = {.kind = INS_VALUE_INTEGER, .integer = 0};
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            ins_condition both[2] = {
                {.kind = INS_RANGE,
                 .key = text("part"),
                 .lt = {.kind = INS_BOUND_NUMBER, .number = parts[i]}},
                {.kind = INS_MATCH_ANY, .key = text("plain"), .values = &zero, .value_count = 1}};
            ins_filter indexed = {.must = both, .must_count = 1};
            ins_filter mixed = {.must = both, .must_count = 2};
            if (parts[i] > 0) {
                assert_true(recall(&fixture, &shape, &indexed, true) >= FLOOR);
                assert_true(recall(&fixture, &shape, &mixed, true) >= FLOOR);
            }
            ins_filter plain = {.must = both + 1, .must_count = 1};
            assert_true(recall(&fixture, &shape, &plain, true) >= FLOOR);
        }
        if (turn == 0) {
            put(&fixture, &shape, 100, 700, 990000); /* newer versions, and points that go */
            ins_id gone[300];
            for (uint64_t i = 0; i < 300; i++) {
                gone[i] = (ins_id){.low = 3000 + i};
            }
            ins_points_request request = {.collection = text("c"), .ids = gone, .id_count = 300};
            do_ok(&fixture, ins_points_delete, &request);
        } else if (turn == 1) {
            do_ok(&fixture, ins_flush, NULL);
        }
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
    static const uint16_t kinds[] = {20, 21}; /* codes, head */
    struct shape shape = {64, 8, INS_DISTANCE_EUCLID, INS_FLOAT32, false};
    struct fixture fixture = {0};
    begin(&fixture);
    make(&fixture, &shape, 1500);
    for (int i = 0; i < 2; i++) {
        char name[64];
        ins_error error;
        fixture_stop(&fixture); /* the cache must not know it */
        assert_int_equal(ins_check(fixture.store, ignore, NULL, &error), INS_OK);
        uint64_t at = find_section(fixture.store, kinds[i], name);
        assert_true(store_memory_flip(fixture.store, name, at + 100, 1));
        assert_int_equal(ins_check(fixture.store, ignore, NULL, &error), INS_CORRUPT);
        begin(&fixture);
        for (uint64_t q = 0; q < 5 || stats_of(&fixture).extents_renewed == 0; q++) {
            struct answer near, exact;
            ask(&fixture, &shape, q, &(ins_points_request){0}, &near);
            ask(&fixture, &shape, q, &(ins_points_request){.exact = true}, &exact);
            assert_memory_equal(near.ids, exact.ids, sizeof(near.ids));
        }
        assert_int_equal(stats_of(&fixture).code_fallbacks, 1);
        assert_int_equal(stats_of(&fixture).extents_damaged, 1);
        erase(&fixture); /* the damaged one is garbage in its file */
    }
    assert_true(recall(&fixture, &shape, NULL, true) >= FLOOR);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall), cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_in_doubt), cmocka_unit_test(test_filters),
        cmocka_unit_test(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
