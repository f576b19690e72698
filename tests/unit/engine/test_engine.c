/* The engine through insula.h alone, on the thread runtime and the simulator's store. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine/fixture.h"

/* Nearest id to (value, 0, 0, 0) by dot: the largest first coordinate. */
static uint64_t nearest(struct fixture *fixture, const char *name, const char *tenant,
                        char *payload, size_t capacity) {
    float query[4] = {1, 0, 0, 0};
    ins_value value = {.kind = INS_VALUE_TEXT, .text = text(tenant != NULL ? tenant : "")};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text("who"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = text(name),
                                  .vector = query,
                                  .dim = 4,
                                  .limit = 3,
                                  .filter = tenant != NULL ? &filter : NULL,
                                  .payload = {.kind = INS_SELECT_ALL},
                                  .with_vector = true};
    ins_call call;
    assert_int_equal(run(fixture, ins_points_query, &request, &call), INS_OK);
    uint64_t id = call.points.count == 0 ? 0 : call.points.items[0].id.low;
    if (payload != NULL && call.points.count > 0) {
        (void)snprintf(payload, capacity, "%.*s", (int)call.points.items[0].payload.size,
                       call.points.items[0].payload.data);
    }
    ins_call_release(&call);
    return id;
}

/* Goal: a point lives through memtable, log replay, flush and restart; the newest version wins.
 * Method: the same questions after each step. */
static void test_one_collection(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", false);
    upsert(&fixture, "docs", 1, 1.0F, "{\"a\":1}");
    upsert(&fixture, "docs", 2, 2.0F, "{\"a\":2}");
    upsert(&fixture, "docs", 1, 3.0F, "{\"a\":3}");
    for (int round = 0; round < 4; round++) {
        char payload[64];
        assert_int_equal(count_where(&fixture, "docs", NULL), 2);
        assert_int_equal(nearest(&fixture, "docs", NULL, payload, sizeof(payload)), 1);
        assert_string_equal(payload, "{\"a\":3}");
        if (round == 1) {
            do_ok(&fixture, ins_flush, NULL);
        } else {
            fixture_restart(&fixture);
        }
    }
    ins_id id = {.low = 1};
    ins_points_request request = {.collection = text("docs"), .ids = &id, .id_count = 1};
    do_ok(&fixture, ins_points_delete, &request);
    assert_int_equal(count_where(&fixture, "docs", NULL), 1);
    assert_int_equal(nearest(&fixture, "docs", NULL, NULL, 0), 2);
    do_ok(&fixture, ins_flush, NULL);
    assert_int_equal(count_where(&fixture, "docs", NULL), 1);
    fixture_restart(&fixture);
    assert_int_equal(count_where(&fixture, "docs", NULL), 1);
    fixture_close(&fixture);
}

/* Goal: tenants are islands; an id is one point in the collection, and moves when its tenant does.
 * Method: move a point there and back, with flushes and restarts between. */
static void test_tenants_and_moves(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", true);
    upsert(&fixture, "docs", 1, 1.0F, "{\"who\":\"ann\",\"n\":1}");
    upsert(&fixture, "docs", 2, 2.0F, "{\"who\":\"bob\",\"n\":2}");
    upsert(&fixture, "docs", 3, 9.0F, "{\"n\":3}");
    for (int round = 0; round < 4; round++) {
        char payload[64];
        assert_int_equal(count_where(&fixture, "docs", NULL), 3);
        assert_int_equal(count_where(&fixture, "docs", "ann"), 1);
        assert_int_equal(count_where(&fixture, "docs", "eve"), 0);
        assert_int_equal(nearest(&fixture, "docs", "ann", payload, sizeof(payload)), 1);
        assert_string_equal(payload, "{\"n\":1,\"who\":\"ann\"}");
        assert_int_equal(nearest(&fixture, "docs", NULL, NULL, 0), 3);
        round % 2 == 0 ? do_ok(&fixture, ins_flush, NULL) : fixture_restart(&fixture);
    }
    for (int round = 0; round < 4; round++) {
        bool away = round % 2 == 0;
        upsert(&fixture, "docs", 1, 5.0F, away ? "{\"who\":\"bob\"}" : "{\"who\":\"ann\"}");
        assert_int_equal(count_where(&fixture, "docs", NULL), 3);
        assert_int_equal(count_where(&fixture, "docs", "ann"), away ? 0 : 1);
        assert_int_equal(count_where(&fixture, "docs", "bob"), away ? 2 : 1);
        round < 2 ? do_ok(&fixture, ins_flush, NULL) : fixture_restart(&fixture);
        assert_int_equal(count_where(&fixture, "docs", NULL), 3);
        assert_int_equal(count_where(&fixture, "docs", "ann"), away ? 0 : 1);
    }
    fixture_close(&fixture);
}

/* Goal: hits of a search over all tenants come in order of nearness (a bug that the comparison with
 * Qdrant's local mode found). Method: 60 points of 9 tenants, the best 20 must be 60, 59, ... */
static void test_search_over_tenants(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", true);
    for (uint64_t id = 1; id <= 60; id++) {
        char payload[64];
        (void)snprintf(payload, sizeof(payload), "{\"who\":\"t%u\"}", (unsigned)(id * 7919 % 9));
        upsert(&fixture, "docs", id, (float)id, payload);
    }
    float query[4] = {1, 0, 0, 0};
    ins_points_request request = {
        .collection = text("docs"), .vector = query, .dim = 4, .limit = 20, .offset = 1};
    ins_call call;
    assert_int_equal(run(&fixture, ins_points_query, &request, &call), INS_OK);
    assert_int_equal(call.points.count, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(call.points.items[i].id.low, 59 - i);
    }
    ins_call_release(&call);
    fixture_close(&fixture);
}

/* Goal: scroll walks all ids in order whatever their tenant, in pages.
 * Method: 300 points of 7 tenants, half flushed, pages of 7. */
static void test_scroll(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", true);
    for (uint64_t id = 1; id <= 300; id++) {
        char payload[64];
        (void)snprintf(payload, sizeof(payload), "{\"who\":\"t%u\"}", (unsigned)(id * 7919 % 7));
        upsert(&fixture, "docs", id, (float)id, payload);
        if (id == 150) {
            do_ok(&fixture, ins_flush, NULL);
        }
    }
    ins_points_request request = {
        .collection = text("docs"), .limit = 7, .payload = {.kind = INS_SELECT_ALL}};
    uint64_t expect = 1;
    for (bool more = true; more;) {
        ins_call call;
        assert_int_equal(run(&fixture, ins_points_scroll, &request, &call), INS_OK);
        for (size_t i = 0; i < call.points.count; i++) {
            assert_int_equal(call.points.items[i].id.low, expect++);
        }
        more = call.points.has_next;
        request.has_start = true;
        request.start = call.points.next;
        ins_call_release(&call);
    }
    assert_int_equal(expect, 301);
    fixture_close(&fixture);
}

/* Goal: an island never has many runs for long, and merging loses nothing.
 * Method: 40 flushes of one point each among overwrites, then count, then restart, then check. */
static void note(void *context, bool is_damage, const char *finding) {
    (void)context;
    if (is_damage) {
        print_message("damage: %s\n", finding);
    }
}

/* Statistics are the request lane's to read. */
static void stats_start(ins_db *db, const void *out_stats, ins_call *call) {
    ins_db_stats(db, (ins_stats *)(uintptr_t)out_stats);
    call->done(call);
}

static void test_merge(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", true);
    for (uint64_t i = 0; i < 40; i++) {
        char payload[64];
        (void)snprintf(payload, sizeof(payload), "{\"who\":\"ann\",\"i\":%u}", (unsigned)i);
        upsert(&fixture, "docs", i % 10, (float)i, payload);
        do_ok(&fixture, ins_flush, NULL);
    }
    ins_stats stats;
    do_ok(&fixture, stats_start, &stats);
    assert_true(stats.merges > 0);
    assert_int_equal(count_where(&fixture, "docs", "ann"), 10);
    fixture_restart(&fixture);
    assert_int_equal(count_where(&fixture, "docs", "ann"), 10);
    assert_int_equal(nearest(&fixture, "docs", "ann", NULL, 0), 9);
    fixture_stop(&fixture);
    ins_error error = {0};
    assert_int_equal(ins_check(fixture.store, note, NULL, &error), INS_OK);
    ins_store_close(fixture.store);
}

/* Goal: a request of several MiB is one record, all or nothing, and comes back after a restart.
 * Method: 1,500 points of 600 dimensions (3.6 MB) in one upsert; restart; count and compare. */
static void test_large_request(void **state) {
    (void)state;
    enum { COUNT = 1500, DIM = 600 };
    static float vectors[COUNT][DIM];
    static ins_point points[COUNT];
    struct fixture fixture;
    fixture_open(&fixture);
    ins_collection_request request = {
        .collection = text("big"), .dim = DIM, .distance = INS_DISTANCE_EUCLID};
    do_ok(&fixture, ins_collection_create, &request);
    for (uint32_t i = 0; i < COUNT; i++) {
        for (uint32_t j = 0; j < DIM; j++) {
            vectors[i][j] = (float)(i * DIM + j);
        }
        points[i] = (ins_point){.id = {.low = i}, .vector = vectors[i], .dim = DIM};
    }
    ins_points_request upsert_request = {
        .collection = text("big"), .points = points, .point_count = COUNT};
    do_ok(&fixture, ins_points_upsert, &upsert_request);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(count_where(&fixture, "big", NULL), COUNT);
        ins_id id = {.low = COUNT - 1};
        ins_points_request get = {
            .collection = text("big"), .ids = &id, .id_count = 1, .with_vector = true};
        ins_call call;
        assert_int_equal(run(&fixture, ins_points_get, &get, &call), INS_OK);
        assert_int_equal(call.points.count, 1);
        assert_memory_equal(call.points.items[0].vector, vectors[COUNT - 1], DIM * sizeof(float));
        ins_call_release(&call);
        fixture_restart(&fixture);
    }
    fixture_close(&fixture);
}

/* Goal: after a clean shutdown nothing is left to replay.
 * Method: shut down, look at what check says of the log. */
static void note_log(void *context, bool is_damage, const char *finding) {
    assert_false(is_damage);
    *(bool *)context |= strstr(finding, "log: 0 records to replay") != NULL;
}

static void shutdown_start(ins_db *db, const void *request, ins_call *call) {
    (void)request;
    ins_db_shutdown(db, call);
}

static void test_shutdown(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", false);
    upsert(&fixture, "docs", 1, 1.0F, "{}");
    do_ok(&fixture, shutdown_start, NULL);
    fixture_stop(&fixture);
    ins_error error = {0};
    bool clean = false;
    assert_int_equal(ins_check(fixture.store, note_log, &clean, &error), INS_OK);
    assert_true(clean);
    fixture_start(&fixture);
    assert_int_equal(count_where(&fixture, "docs", NULL), 1);
    fixture_close(&fixture);
}

static void start_cancelled(ins_db *db, const void *request, ins_call *call) {
    ins_call_cancel(call);
    ins_points_count(db, request, call);
}

static void start_cancelled_upsert(ins_db *db, const void *request, ins_call *call) {
    ins_call_cancel(call);
    ins_points_upsert(db, request, call);
}

/* Goal: a cancelled read ends with TIMEOUT, a cancelled write takes effect. Method: calls that are
 * cancelled before their first step. */
static void test_cancel(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "docs", false);
    ins_call call = {0};
    ins_points_request request = {.collection = text("docs")};
    assert_int_equal(run(&fixture, start_cancelled, &request, &call), INS_TIMEOUT);
    ins_call_release(&call);
    float vector[4] = {1, 0, 0, 0};
    ins_point point = {.id = {.low = 1}, .vector = vector, .dim = 4};
    request.points = &point;
    request.point_count = 1;
    assert_int_equal(run(&fixture, start_cancelled_upsert, &request, &call), INS_OK);
    ins_call_release(&call);
    assert_int_equal(count_where(&fixture, "docs", NULL), 1);
    fixture_close(&fixture);
}

static size_t alias_count(struct fixture *fixture, const char *collection) {
    ins_alias_request request = {.collection =
                                     collection != NULL ? text(collection) : (ins_text){0}};
    ins_call call;
    assert_int_equal(run(fixture, ins_aliases_list, &request, &call), INS_OK);
    size_t count = call.alias_count;
    ins_call_release(&call);
    return count;
}

/* Goal: aliases are as durable as collections, from the log, from segments and after merges.
 * Method: chains of renames with flushes between, so that rows and tombstones lie in many runs. */
static void test_aliases(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "one", false);
    create(&fixture, "two", false);
    upsert(&fixture, "two", 1, 1.0F, "{}");
    ins_alias_change first[] = {{INS_ALIAS_CREATE, text("a"), text("one")},
                                {INS_ALIAS_CREATE, text("b"), text("two")}};
    do_ok(&fixture, ins_aliases_change, &(ins_alias_request){.changes = first, .change_count = 2});
    for (int round = 0; round < 24; round++) {
        /* "a" and "b" change places, "c" comes and goes. */
        ins_alias_change swap[] = {
            {INS_ALIAS_CREATE, text("a"), text(round % 2 == 0 ? "two" : "one")},
            {INS_ALIAS_CREATE, text("b"), text(round % 2 == 0 ? "one" : "two")},
            {round % 3 == 0 ? INS_ALIAS_CREATE : INS_ALIAS_DELETE, text("c"), text("one")}};
        do_ok(&fixture, ins_aliases_change,
              &(ins_alias_request){.changes = swap, .change_count = 3});
        if (round % 2 == 0) {
            do_ok(&fixture, ins_flush, NULL);
        }
        if (round % 4 == 1) {
            fixture_restart(&fixture);
        }
        assert_int_equal(count_where(&fixture, "a", NULL), round % 2 == 0 ? 1 : 0);
        assert_int_equal(count_where(&fixture, "b", NULL), round % 2 == 0 ? 0 : 1);
        assert_int_equal(alias_count(&fixture, NULL), round % 3 == 0 ? 3 : 2);
    }
    do_ok(&fixture, ins_collection_delete, &(ins_collection_request){.collection = text("two")});
    assert_int_equal(alias_count(&fixture, NULL), 1);
    for (int round = 0; round < 2; round++) {
        fixture_restart(&fixture);
        assert_int_equal(alias_count(&fixture, NULL), 1);
        assert_int_equal(alias_count(&fixture, "one"), 1);
        do_ok(&fixture, ins_flush, NULL);
    }
    fixture_close(&fixture);
}

/* Goal: one collection has at most INS_ALIASES_MAX aliases, so that its drop is one record. */
static void test_aliases_limit(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "one", false);
    static char names[1280][8];
    static ins_alias_change changes[1280];
    for (int i = 0; i < 1280; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%d", i);
        changes[i] = (ins_alias_change){INS_ALIAS_CREATE, text(names[i]), text("one")};
    }
    for (int i = 0; i < 1024; i += 256) {
        do_ok(&fixture, ins_aliases_change,
              &(ins_alias_request){.changes = changes + i, .change_count = 256});
    }
    ins_call call;
    ins_alias_request more = {.changes = changes + 1024, .change_count = 1};
    assert_int_equal(run(&fixture, ins_aliases_change, &more, &call), INS_INVALID);
    assert_non_null(strstr(call.error.message, "1024"));
    ins_call_release(&call);
    more.change_count = 257;
    more.changes = changes;
    assert_int_equal(run(&fixture, ins_aliases_change, &more, &call), INS_INVALID);
    ins_call_release(&call);
    assert_int_equal(alias_count(&fixture, "one"), 1024);
    do_ok(&fixture, ins_collection_delete, &(ins_collection_request){.collection = text("one")});
    assert_int_equal(alias_count(&fixture, NULL), 0);
    fixture_restart(&fixture);
    assert_int_equal(alias_count(&fixture, NULL), 0);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_collection),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_tenants_and_moves),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_aliases_limit),
        cmocka_unit_test(test_search_over_tenants),
        cmocka_unit_test(test_scroll),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_large_request),
        cmocka_unit_test(test_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
