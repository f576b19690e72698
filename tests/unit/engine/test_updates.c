/* Order of updates. Goal: a change by filter that works for many steps takes effect at its place
 * among the writes that came before and after it. Method: all are started in one step of the
 * request lane, in their order; each point's end tells who came last. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine/fixture.h"

enum { POINTS = 6000, STEP = 1000, UPDATES = 9 };

struct many {
    ins_start starts[UPDATES];
    ins_points_request requests[UPDATES];
    ins_call calls[UPDATES];
    size_t count, ended;
    ins_call *whole;
};

static void one_done(ins_call *call) {
    struct many *many = call->user;
    assert_int_equal(call->status, INS_OK);
    ins_call_release(call);
    if (++many->ended == many->count) {
        many->whole->done(many->whole);
    }
}

static void start_many(ins_db *db, const void *request, ins_call *call) {
    struct many *many = *(struct many *const *)request;
    many->whole = call;
    for (size_t i = 0; i < many->count; i++) {
        many->calls[i] = (ins_call){.done = one_done, .user = many, .lane = INS_LANE_REQUEST};
        many->starts[i](db, &many->requests[i], &many->calls[i]);
    }
}

static ins_points_request *add(struct many *many, ins_start start) {
    assert_true(many->count < UPDATES);
    many->starts[many->count] = start;
    many->requests[many->count] = (ins_points_request){.collection = text("notes")};
    return &many->requests[many->count++];
}

static void load(struct fixture *fixture) {
    static float vector[4] = {1, 2, 3, 4};
    ins_point *points = calloc(STEP, sizeof(*points));
    for (uint64_t first = 0; first < POINTS; first += STEP) {
        for (uint64_t i = 0; i < STEP; i++) {
            static const char *const payloads[] = {
                "{\"who\":\"a\",\"n\":1}", "{\"who\":\"b\",\"n\":1}", "{\"who\":\"c\",\"n\":1}"};
            points[i] = (ins_point){.id = {.low = first + i},
                                    .vector = vector,
                                    .dim = 4,
                                    .payload = text(payloads[i % 3])};
        }
        ins_points_request request = {
            .collection = text("notes"), .points = points, .point_count = STEP};
        do_ok(fixture, ins_points_upsert, &request);
    }
    free(points);
}

/* The point's "mark", "-" when it has none, "" when it is not there. */
static void assert_mark(struct fixture *fixture, uint64_t number, const char *expected) {
    ins_id id = {.low = number};
    ins_points_request request = {.collection = text("notes"),
                                  .ids = &id,
                                  .id_count = 1,
                                  .payload = {.kind = INS_SELECT_ALL}};
    ins_call call;
    assert_int_equal(run(fixture, ins_points_get, &request, &call), INS_OK);
    char got[64] = "";
    if (call.points.count > 0) {
        ins_text payload = call.points.items[0].payload;
        char copy[256];
        (void)snprintf(copy, sizeof(copy), "%.*s", (int)payload.size, payload.data);
        const char *mark = strstr(copy, "\"mark\":\"");
        (void)snprintf(got, sizeof(got), "%.*s", mark == NULL ? 1 : (int)strcspn(mark + 8, "\""),
                       mark == NULL ? "-" : mark + 8);
    }
    ins_call_release(&call);
    assert_string_equal(got, expected);
}

static void test_order(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    create(&fixture, "notes", true);
    load(&fixture);
    for (int flushed = 0; flushed < 2; flushed++) {
        static const ins_value one = {.kind = INS_VALUE_INTEGER, .integer = 1};
        static const ins_value tenant = {.kind = INS_VALUE_TEXT, .text = {"c", 1}};
        ins_condition ns = {
            .kind = INS_MATCH_ANY, .key = text("n"), .values = &one, .value_count = 1};
        ins_condition whos = {
            .kind = INS_MATCH_ANY, .key = text("who"), .values = &tenant, .value_count = 1};
        ins_id ids[5];
        for (size_t i = 0; i < 5; i++) {
            ids[i] = (ins_id){.low = POINTS - 1 - i};
        }
        ins_condition second = {.kind = INS_HAS_ID, .ids = &ids[3], .id_count = 1};
        ins_filter by_n = {.must = &ns, .must_count = 1};
        ins_filter by_who = {.must = &whos, .must_count = 1};
        ins_filter by_id = {.must = &second, .must_count = 1};
        float vector[4] = {1, 1, 1, 1};
        ins_point late = {
            .id = ids[1], .vector = vector, .dim = 4, .payload = text("{\"who\":\"b\",\"n\":1}")};
        ins_point fresh = late, reborn = late;
        fresh.id = (ins_id){.low = 7000 + (uint64_t)flushed};
        reborn.id = (ins_id){.low = 8000 + (uint64_t)flushed};
        reborn.payload = text("{\"who\":\"c\",\"n\":1}");

        struct many *many = calloc(1, sizeof(*many));
        ins_points_request *request = add(many, ins_points_set_payload);
        request->filter = &by_n;
        request->change = text("{\"mark\":\"filter\"}");
        request = add(many, ins_points_set_payload);
        request->ids = &ids[0];
        request->id_count = 1;
        request->change = text("{\"other\":1}"); /* of what the first one leaves */
        request = add(many, ins_points_upsert);
        request->points = &late;
        request->point_count = 1;
        request = add(many, ins_points_delete);
        request->ids = &ids[2];
        request->id_count = 1;
        request = add(many, ins_points_upsert);
        request->points = &fresh;
        request->point_count = 1;
        request = add(many, ins_points_set_payload);
        request->filter = &by_id;
        request->change = text("{\"mark\":\"second\"}");
        request = add(many, ins_points_clear_payload);
        request->ids = &ids[4];
        request->id_count = 1;
        request = add(many, ins_points_delete);
        request->filter = &by_who;
        request = add(many, ins_points_upsert);
        request->points = &reborn;
        request->point_count = 1;
        ins_call call;
        assert_int_equal(run(&fixture, start_many, &many, &call), INS_OK);
        assert_int_equal(many->ended, UPDATES);
        free(many);

        assert_mark(&fixture, 0, "filter");
        assert_mark(&fixture, ids[0].low, "filter");
        assert_mark(&fixture, ids[1].low, "-");
        assert_mark(&fixture, ids[2].low, "");
        assert_mark(&fixture, ids[3].low, "second");
        assert_mark(&fixture, ids[4].low, "-");
        assert_mark(&fixture, fresh.id.low, "-");
        assert_mark(&fixture, 2, "");
        assert_mark(&fixture, reborn.id.low, "-");
        assert_int_equal(count_where(&fixture, "notes", "c"), 1);
        fixture_restart(&fixture);
        assert_int_equal(count_where(&fixture, "notes", "c"), 1);
        assert_mark(&fixture, ids[0].low, "filter");
        load(&fixture);
        do_ok(&fixture, ins_flush, NULL);
    }
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
