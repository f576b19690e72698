/* What a review of the engine found: each test failed before its defect was mended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine/fixture.h"

static uint64_t count_filtered(struct fixture *fixture, const char *name, const char *key,
                               const char *text_value) {
    ins_value value = {.kind = INS_VALUE_TEXT, .text = text(text_value)};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text(key), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = text(name), .filter = &filter};
    ins_call call;
    assert_int_equal(run(fixture, ins_points_count, &request, &call), INS_OK);
    uint64_t count = call.count;
    ins_call_release(&call);
    return count;
}

/* Goal: requests that are refused for their size leave room for those that fit.
 * Method: after a flush the memtable is empty; refuse many; then write a small one. */
static void test_refused_writes_leave_room(void **state) {
    (void)state;
    enum { COUNT = 1000, DIM = 1000 };
    static float vector[DIM];
    static ins_point points[COUNT];
    struct fixture fixture;
    fixture_open(&fixture);
    ins_collection_request request = {
        .collection = text("big"), .dim = DIM, .distance = INS_DISTANCE_EUCLID};
    do_ok(&fixture, ins_collection_create, &request);
    do_ok(&fixture, ins_flush, NULL);
    for (uint32_t i = 0; i < COUNT; i++) {
        points[i] = (ins_point){.id = {.low = i}, .vector = vector, .dim = DIM};
    }
    ins_points_request upsert_request = {
        .collection = text("big"), .points = points, .point_count = COUNT};
    for (int i = 0; i < 8; i++) {
        ins_call call;
        assert_int_equal(run(&fixture, ins_points_upsert, &upsert_request, &call), INS_TOO_LARGE);
        ins_call_release(&call);
    }
    upsert_request.point_count = 1;
    do_ok(&fixture, ins_points_upsert, &upsert_request);
    fixture_close(&fixture);
}

/* Goal: a collection whose only write was refused is empty.
 * Method: the disk is fast, so fill the log's share: one upsert above it; then an is_tenant index.
 */
static void test_index_after_refused_write(void **state) {
    (void)state;
    enum { COUNT = 16384 };
    static ins_point points[COUNT];
    struct fixture fixture;
    fixture_open(&fixture);
    ins_collection_request request = {.collection = text("docs")};
    do_ok(&fixture, ins_collection_create, &request);
    for (uint32_t i = 0; i < COUNT; i++) {
        points[i] =
            (ins_point){.id = {.high = 1, .low = i, .is_uuid = true},
                        .payload = text("{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,"
                                        "19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,"
                                        "37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,"
                                        "55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71]}")};
    }
    ins_points_request upsert_request = {
        .collection = text("docs"), .points = points, .point_count = COUNT};
    ins_call call;
    assert_int_equal(run(&fixture, ins_points_upsert, &upsert_request, &call), INS_TOO_LARGE);
    ins_call_release(&call);
    request.field = text("who");
    request.schema = text("\"keyword\"");
    request.is_tenant = true;
    do_ok(&fixture, ins_index_create, &request);
    assert_int_equal(run(&fixture, ins_collection_get, &request, &call), INS_OK);
    assert_int_equal(call.info->field_count, 1);
    assert_true(call.info->fields[0].islands);
    ins_call_release(&call);
    fixture_close(&fixture);
}

/* Goal: a read over all tenants takes memory for one of them at a time.
 * Method: 30,000 tenants of one point, flushed; count, count with a filter, query, scroll with a
 * filter that passes nothing. */
static void test_many_islands(void **state) {
    (void)state;
    enum { TENANTS = 30000, BATCH = 2000 };
    static float vector[4] = {1, 2, 3, 4};
    static ins_point points[BATCH];
    static char payloads[BATCH][48];
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", true);
    for (uint32_t begin = 0; begin < TENANTS; begin += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            (void)snprintf(payloads[i], sizeof(payloads[i]), "{\"who\":\"t%u\",\"x\":\"a\"}",
                           begin + i);
            points[i] = (ins_point){
                .id = {.low = begin + i}, .vector = vector, .dim = 4, .payload = text(payloads[i])};
        }
        ins_points_request request = {
            .collection = text("docs"), .points = points, .point_count = BATCH};
        ins_call call;
        ins_status status;
        while ((status = run(&fixture, ins_points_upsert, &request, &call)) == INS_EXHAUSTED) {
            ins_call_release(&call);
            do_ok(&fixture, ins_flush, NULL);
        }
        assert_int_equal(status, INS_OK);
        ins_call_release(&call);
    }
    for (int round = 0; round < 2; round++) {
        assert_int_equal(count_where(&fixture, "docs", NULL), TENANTS);
        assert_int_equal(count_filtered(&fixture, "docs", "x", "a"), TENANTS);
        ins_points_request request = {
            .collection = text("docs"), .vector = vector, .dim = 4, .limit = 3};
        ins_call call;
        assert_int_equal(run(&fixture, ins_points_query, &request, &call), INS_OK);
        assert_int_equal(call.points.count, 3);
        ins_call_release(&call);
        ins_value value = {.kind = INS_VALUE_TEXT, .text = text("none")};
        ins_condition condition = {
            .kind = INS_MATCH_ANY, .key = text("x"), .values = &value, .value_count = 1};
        ins_filter filter = {.must = &condition, .must_count = 1};
        request = (ins_points_request){.collection = text("docs"), .filter = &filter, .limit = 10};
        assert_int_equal(run(&fixture, ins_points_scroll, &request, &call), INS_OK);
        assert_int_equal(call.points.count, 0);
        ins_call_release(&call);
        do_ok(&fixture, ins_flush, NULL);
        fixture_restart(&fixture);
    }
    fixture_close(&fixture);
}

/* Goal: large payloads are read, filtered and merged at the smallest budget.
 * Method: 10 flushes of 14 payloads of 900 KB, more than the cache; a filter in count, query,
 * scroll. */
static void test_large_payloads(void **state) {
    (void)state;
    enum { FLUSHES = 10, ROWS = 14, SIZE = 900000 };
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", false);
    char *payload = malloc(SIZE + 64);
    assert_non_null(payload);
    for (uint32_t i = 0; i < FLUSHES; i++) {
        for (uint32_t j = 0; j < ROWS; j++) {
            int at = snprintf(payload, 64, "{\"x\":\"a\",\"i\":%u,\"text\":\"", i);
            memset(payload + at, 'a' + (int)(i % 26), SIZE - (size_t)at - 3);
            memcpy(payload + SIZE - 3, "\"}", 3);
            upsert(&fixture, "docs", i * ROWS + j, (float)i, payload);
        }
        do_ok(&fixture, ins_flush, NULL);
    }
    free(payload);
    upsert(&fixture, "docs", 1000000, 1, "{\"x\":\"b\"}");
    assert_int_equal(count_filtered(&fixture, "docs", "x", "a"), FLUSHES * ROWS);
    float vector[4] = {1, 0, 0, 0};
    ins_value value = {.kind = INS_VALUE_TEXT, .text = text("a")};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text("x"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {
        .collection = text("docs"), .vector = vector, .dim = 4, .limit = 1000, .filter = &filter};
    ins_call call;
    assert_int_equal(run(&fixture, ins_points_query, &request, &call), INS_OK);
    assert_int_equal(call.points.count, FLUSHES * ROWS);
    ins_call_release(&call);
    ins_text key = text("i");
    request.payload = (ins_selector){.kind = INS_SELECT_INCLUDE, .keys = &key, .key_count = 1};
    assert_int_equal(run(&fixture, ins_points_query, &request, &call), INS_OK);
    assert_int_equal(call.points.count, FLUSHES * ROWS);
    assert_memory_equal(call.points.items[0].payload.data, "{\"i\":9}", 7);
    ins_call_release(&call);
    assert_int_equal(run(&fixture, ins_points_scroll, &request, &call), INS_OK);
    assert_int_equal(call.points.count, FLUSHES * ROWS);
    ins_call_release(&call);
    fixture_close(&fixture);
}

static void stats_start(ins_db *db, const void *request, ins_call *call) {
    ins_db_stats(db, *(ins_stats *const *)request);
    call->status = INS_OK;
    call->done(call);
}

/* Goal: islands of many small rows are merged at the smallest budget.
 * Method: 10 times 120,000 points of one dimension with a small payload, as much as a
 * generation takes. */
static void test_merge_of_many_rows(void **state) {
    (void)state;
    enum { FLUSHES = 10, BATCH = 10000, BATCHES = 12 };
    static const float vector[1] = {1};
    static ins_point points[BATCH];
    struct fixture fixture;
    fixture_open(&fixture);
    ins_collection_request create_request = {
        .collection = text("tiny"), .dim = 1, .distance = INS_DISTANCE_DOT};
    do_ok(&fixture, ins_collection_create, &create_request);
    for (uint32_t flush = 0; flush < FLUSHES; flush++) {
        for (uint32_t batch = 0; batch < BATCHES; batch++) {
            for (uint32_t i = 0; i < BATCH; i++) {
                points[i] =
                    (ins_point){.id = {.low = (uint64_t)(batch * BATCH + i) * FLUSHES + flush},
                                .vector = vector,
                                .dim = 1,
                                .payload = text("{\"n\":1234567}")};
            }
            ins_points_request request = {
                .collection = text("tiny"), .points = points, .point_count = BATCH};
            ins_call call;
            ins_status status;
            while ((status = run(&fixture, ins_points_upsert, &request, &call)) == INS_EXHAUSTED) {
                ins_call_release(&call);
            }
            assert_int_equal(status, INS_OK);
            ins_call_release(&call);
        }
        do_ok(&fixture, ins_flush, NULL);
    }
    do_ok(&fixture, ins_flush, NULL);
    assert_int_equal(count_where(&fixture, "tiny", NULL), FLUSHES * BATCH * BATCHES);
    do_ok(&fixture, ins_collection_delete, &create_request);
    ins_stats stats;
    ins_stats *out = &stats;
    do_ok(&fixture, stats_start, &out);
    assert_true(stats.merges > 0);
    assert_false(stats.writes_stopped);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_writes_leave_room),
        cmocka_unit_test(test_index_after_refused_write),
        cmocka_unit_test(test_many_islands),
        cmocka_unit_test(test_large_payloads),
        cmocka_unit_test(test_merge_of_many_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
