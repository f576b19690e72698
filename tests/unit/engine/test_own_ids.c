/* Ids within tenants: the same id in two tenants is two points, whatever is done to one of them. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine/fixture.h"

enum { TENANTS = 3, IDS = 40 };

static const char *const names[TENANTS] = {"anna", "berta", "clara"};

static void make(struct fixture *fixture, const char *name) {
    ins_collection_request request = {.collection = text(name),
                                      .dim = 4,
                                      .distance = INS_DISTANCE_DOT,
                                      .settings = text("{\"insula\":{\"point_ids\":\"tenant\"}}")};
    do_ok(fixture, ins_collection_create, &request);
    request.field = text("who");
    request.schema = text("{\"type\":\"keyword\",\"is_tenant\":true}");
    request.is_tenant = true;
    do_ok(fixture, ins_index_create, &request);
}

static void put(struct fixture *fixture, const char *name, const char *tenant, uint64_t id,
                int value) {
    char payload[64];
    (void)snprintf(payload, sizeof(payload), "{\"who\":\"%s\",\"v\":%d}", tenant, value);
    upsert(fixture, name, id, (float)value, payload);
}

static void fill(struct fixture *fixture, const char *name) {
    for (uint64_t id = 0; id < IDS; id++) {
        for (int t = 0; t < TENANTS; t++) {
            put(fixture, name, names[t], id, 1000 * (t + 1) + (int)id);
        }
    }
}

/* The point's value, or -1 when it is not there. */
static int value_of(struct fixture *fixture, const char *name, const char *tenant, uint64_t id) {
    ins_id wanted = {.low = id};
    ins_points_request request = {.collection = text(name),
                                  .tenant = text(tenant),
                                  .ids = &wanted,
                                  .id_count = 1,
                                  .payload = {.kind = INS_SELECT_ALL}};
    ins_call call;
    int value = -1;
    char payload[128], who[64];
    assert_int_equal(run(fixture, ins_points_get, &request, &call), INS_OK);
    if (call.points.count == 1) {
        ins_text found = call.points.items[0].payload;
        (void)snprintf(payload, sizeof(payload), "%.*s", (int)found.size, found.data);
        (void)snprintf(who, sizeof(who), "\"who\":\"%s\"", tenant);
        assert_non_null(strstr(payload, who));
        assert_int_equal(sscanf(strstr(payload, "\"v\":"), "\"v\":%d", &value), 1);
    }
    ins_call_release(&call);
    return value;
}

static void assert_refused(struct fixture *fixture, ins_start start, const void *request,
                           const char *words) {
    ins_call call;
    assert_int_equal(run(fixture, start, request, &call), INS_INVALID);
    assert_non_null(strstr(call.error.message, words));
    ins_call_release(&call);
}

struct condition {
    ins_value value;
    ins_condition match;
    ins_filter filter;
};

static const ins_filter *of_tenant(struct condition *condition, const char *tenant) {
    condition->value = (ins_value){.kind = INS_VALUE_TEXT, .text = text(tenant)};
    condition->match = (ins_condition){
        .kind = INS_MATCH_ANY, .key = text("who"), .values = &condition->value, .value_count = 1};
    condition->filter = (ins_filter){.must = &condition->match, .must_count = 1};
    return &condition->filter;
}

/* Goal: writes to one tenant's point leave the others' of that id alone: by ids, by filter, in
 * memory, in segments and after a restart. */
static void test_writes(void **state) {
    (void)state;
    struct fixture fixture;
    struct condition condition;
    fixture_open(&fixture);
    make(&fixture, "c");
    fill(&fixture, "c");
    do_ok(&fixture, ins_flush, NULL);
    put(&fixture, "c", "berta", 3, 77);
    ins_id ids[] = {{.low = 3}, {.low = 4}, {.low = 999}};
    ins_points_request request = {
        .collection = text("c"), .tenant = text("anna"), .ids = ids, .id_count = 3};
    do_ok(&fixture, ins_points_delete, &request);
    request.tenant = text("clara");
    request.id_count = 2;
    request.change = text("{\"v\":5}");
    do_ok(&fixture, ins_points_set_payload, &request);
    float vector[4] = {9, 9, 9, 9};
    ins_vector named = {.values = vector, .dim = 4};
    ins_point moved = {.id = {.low = 4}, .vectors = &named, .vector_count = 1};
    ins_points_request vectors = {
        .collection = text("c"), .tenant = text("berta"), .points = &moved, .point_count = 1};
    do_ok(&fixture, ins_points_update_vectors, &vectors);
    ins_points_request by_filter = {.collection = text("c"), .change = text("{\"seen\":true}")};
    for (int t = 0; t < TENANTS; t++) {
        by_filter.filter = of_tenant(&condition, names[t]);
        do_ok(&fixture, ins_points_set_payload, &by_filter);
    }
    /* Of all of them at once. */
    by_filter.filter = &(ins_filter){0};
    assert_refused(&fixture, ins_points_set_payload, &by_filter, "name one");
    by_filter.keys = &(ins_text){"", 0};
    by_filter.key_count = 1;
    do_ok(&fixture, ins_points_delete_vectors, &by_filter);
    for (int turn = 0; turn < 3; turn++) {
        for (uint64_t id = 0; id < IDS; id++) {
            bool gone = id == 3 || id == 4;
            assert_int_equal(value_of(&fixture, "c", "anna", id), gone ? -1 : 1000 + (int)id);
            assert_int_equal(value_of(&fixture, "c", "berta", id), id == 3 ? 77 : 2000 + (int)id);
            assert_int_equal(value_of(&fixture, "c", "clara", id), gone ? 5 : 3000 + (int)id);
        }
        assert_int_equal(count_where(&fixture, "c", NULL), TENANTS * IDS - 2);
        if (turn == 0) {
            do_ok(&fixture, ins_flush, NULL);
            erase(&fixture);
        } else {
            fixture_restart(&fixture);
        }
    }
    ins_points_request drop = {.collection = text("c"), .filter = of_tenant(&condition, "berta")};
    do_ok(&fixture, ins_points_delete, &drop);
    assert_int_equal(count_where(&fixture, "c", NULL), 2 * IDS - 2);
    assert_int_equal(value_of(&fixture, "c", "clara", 9), 3009);
    assert_int_equal(value_of(&fixture, "c", "berta", 9), -1);
    ins_tenants_request tenant = {
        .collection = text("c"), .name = text("clara"), .to = text("berta")};
    do_ok(&fixture, ins_tenant_rename, &tenant);
    fixture_restart(&fixture);
    assert_int_equal(value_of(&fixture, "c", "berta", 9), 3009);
    assert_int_equal(value_of(&fixture, "c", "clara", 9), -1);
    fixture_close(&fixture);
}

/* Goal: what one request has of several tenants keeps apart: the same id twice is two points, twice
 * of one tenant the last one. */
static void test_batch(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    make(&fixture, "c");
    ins_point points[6];
    char payloads[6][64];
    for (int i = 0; i < 6; i++) {
        (void)snprintf(payloads[i], sizeof(payloads[i]), "{\"who\":\"%s\",\"v\":%d}", names[i % 3],
                       i);
        points[i] = (ins_point){.id = {.low = 7}, .payload = text(payloads[i])};
    }
    ins_points_request request = {.collection = text("c"), .points = points, .point_count = 6};
    do_ok(&fixture, ins_points_upsert, &request);
    for (int t = 0; t < TENANTS; t++) {
        assert_int_equal(value_of(&fixture, "c", names[t], 7), 3 + t);
    }
    assert_int_equal(count_where(&fixture, "c", NULL), 3);
    request.update_mode = INS_MODE_INSERT_ONLY;
    do_ok(&fixture, ins_points_upsert, &request);
    request.tenant = text("anna");
    assert_refused(&fixture, ins_points_upsert, &request, "is not ?tenant=anna");
    request.point_count = 1;
    request.update_mode = INS_MODE_UPSERT;
    do_ok(&fixture, ins_points_upsert, &request);
    assert_int_equal(value_of(&fixture, "c", "anna", 7), 0);
    assert_int_equal(value_of(&fixture, "c", "berta", 7), 4);
    fixture_close(&fixture);
}

/* Goal: who does not say whose ids are meant is told how to; nothing has changed then. */
static void test_refusals(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    ins_collection_request bad = {.collection = text("s"),
                                  .dim = 4,
                                  .distance = INS_DISTANCE_DOT,
                                  .sharded = true,
                                  .settings = text("{\"insula\":{\"point_ids\":\"tenant\"}}")};
    assert_refused(&fixture, ins_collection_create, &bad, "shard keys");
    bad.sharded = false;
    do_ok(&fixture, ins_collection_create, &bad);
    ins_point point = {.id = {.low = 1}, .payload = text("{\"who\":\"anna\",\"v\":1}")};
    ins_points_request early = {.collection = text("s"), .points = &point, .point_count = 1};
    assert_refused(&fixture, ins_points_upsert, &early, "make an index with is_tenant");
    bad.settings = text("{\"insula\":null}");
    bad.dim = 0;
    assert_refused(&fixture, ins_collection_update, &bad, "keeps what it was made with");

    make(&fixture, "c");
    create(&fixture, "plain", true);
    fill(&fixture, "c");
    ins_id id = {.low = 5};
    ins_points_request request = {.collection = text("c"), .ids = &id, .id_count = 1};
    request.change = text("{\"v\":1}");
    static const ins_start by_ids[] = {ins_points_get,
                                       ins_points_delete,
                                       ins_points_set_payload,
                                       ins_points_overwrite_payload,
                                       ins_points_delete_payload,
                                       ins_points_clear_payload};
    for (size_t i = 0; i < sizeof(by_ids) / sizeof(by_ids[0]); i++) {
        assert_refused(&fixture, by_ids[i], &request, "?tenant=");
    }
    request.tenant = text("anna");
    assert_refused(&fixture, ins_points_clear_payload, &request, "cannot be changed");
    assert_refused(&fixture, ins_points_overwrite_payload, &request, "cannot be changed");
    request.change = text("{\"who\":\"berta\"}");
    assert_refused(&fixture, ins_points_set_payload, &request, "cannot be changed");
    request.change = text("{\"who\":[\"anna\"]}");
    assert_refused(&fixture, ins_points_set_payload, &request, "cannot be changed");
    point.payload = text("{\"v\":1}");
    early.collection = text("c");
    assert_refused(&fixture, ins_points_upsert, &early, "forms no tenant");
    request.collection = text("plain");
    request.change = text("{\"v\":1}");
    assert_refused(&fixture, ins_points_set_payload, &request, "are not within");
    assert_refused(&fixture, ins_points_get, &request, "are not within");

    ins_points_request read = {.collection = text("c"), .limit = 5};
    float vector[4] = {1, 0, 0, 0};
    read.vector = vector;
    read.dim = 4;
    assert_refused(&fixture, ins_points_query, &read, "name one");
    assert_refused(&fixture, ins_points_scroll, &read, "name one");
    ins_rank_request sample = {.points = read, .kind = INS_RANK_SAMPLE};
    assert_refused(&fixture, ins_points_rank, &sample, "name one");
    for (int t = 0; t < TENANTS; t++) {
        assert_int_equal(value_of(&fixture, "c", names[t], 5), 1000 * (t + 1) + 5);
    }
    assert_int_equal(count_where(&fixture, "c", NULL), TENANTS * IDS);
    fixture_close(&fixture);
}

static void assert_all_of(ins_points points, size_t count, const char *tenant) {
    char who[64], payload[128];
    assert_int_equal(points.count, count);
    (void)snprintf(who, sizeof(who), "\"who\":\"%s\"", tenant);
    for (size_t i = 0; i < points.count; i++) {
        (void)snprintf(payload, sizeof(payload), "%.*s", (int)points.items[i].payload.size,
                       points.items[i].payload.data);
        assert_non_null(strstr(payload, who));
    }
}

/* Goal: searches, examples by id, pages and orders see the tenant's own points of an id. */
static void test_reads(void **state) {
    (void)state;
    struct fixture fixture;
    struct condition condition;
    fixture_open(&fixture);
    make(&fixture, "c");
    fill(&fixture, "c");
    do_ok(&fixture, ins_flush, NULL);
    put(&fixture, "c", "anna", 1, 1);
    for (int turn = 0; turn < 2; turn++) {
        ins_points_request read = {.collection = text("c"),
                                   .filter = of_tenant(&condition, "berta"),
                                   .limit = 10,
                                   .by_id = true,
                                   .query_id = {.low = 1},
                                   .payload = {.kind = INS_SELECT_ALL}};
        ins_call call;
        assert_int_equal(run(&fixture, ins_points_query, &read, &call), INS_OK);
        assert_all_of(call.points, 10, "berta");
        /* By the dot product with berta's own point 1, not with anna's or clara's. */
        assert_true(call.points.items[0].score > 2001.0f * 2039.0f - 100.0f);
        assert_true(call.points.items[0].score < 2001.0f * 2039.0f + 100.0f);
        ins_call_release(&call);
        ins_example example = {.by_id = true, .id = {.low = 1}};
        ins_rank_request rank = {
            .points = read, .kind = INS_RANK_BEST, .positive = &example, .positive_count = 1};
        assert_int_equal(run(&fixture, ins_points_rank, &rank, &call), INS_OK);
        assert_all_of(call.points, 10, "berta");
        ins_call_release(&call);
        rank = (ins_rank_request){.points = read, .kind = INS_RANK_ORDER, .key = text("v")};
        assert_int_equal(run(&fixture, ins_points_rank, &rank, &call), INS_OK);
        assert_all_of(call.points, 10, "berta");
        assert_int_equal(call.points.items[9].id.low, 9);
        ins_call_release(&call);
        read.has_start = true;
        read.start = (ins_id){.low = 35};
        assert_int_equal(run(&fixture, ins_points_scroll, &read, &call), INS_OK);
        assert_all_of(call.points, 5, "berta");
        ins_call_release(&call);
        fixture_restart(&fixture);
    }
    fixture_close(&fixture);
}

/* Goal: a tenant can be copied, and its file imported, within its collection; to a collection whose
 * ids are its own what clashes is told. */
static void test_copies(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    make(&fixture, "c");
    create(&fixture, "plain", true);
    fill(&fixture, "c");
    ins_copy_request copy = {.collection = text("c"), .name = text("anna"), .to = text("dora")};
    do_ok(&fixture, ins_tenant_copy, &copy);
    for (uint64_t id = 0; id < IDS; id++) {
        assert_int_equal(value_of(&fixture, "c", "dora", id), 1000 + (int)id);
        assert_int_equal(value_of(&fixture, "c", "anna", id), 1000 + (int)id);
    }
    copy.to = text("anna");
    ins_call call;
    assert_int_equal(run(&fixture, ins_tenant_copy, &copy, &call), INS_EXISTS);
    ins_call_release(&call);
    copy.to_collection = text("plain");
    do_ok(&fixture, ins_tenant_copy, &copy);
    copy.name = copy.to = text("berta");
    assert_int_equal(run(&fixture, ins_tenant_copy, &copy, &call), INS_EXISTS);
    assert_non_null(strstr(call.error.message, "point_ids"));
    ins_call_release(&call);
    assert_int_equal(count_where(&fixture, "plain", "anna"), IDS);
    fixture_restart(&fixture);
    assert_int_equal(count_where(&fixture, "c", NULL), (TENANTS + 1) * IDS);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes),   cmocka_unit_test(test_batch),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_reads),
        cmocka_unit_test(test_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
