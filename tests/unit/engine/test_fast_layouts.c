/* Goal: a graph that is searched much, or whose settings ask for it, gets its fast layout; searches
 * by it find what others find, through filters and over dead rows; it goes with its run, and when
 * the settings say so.
 * Method: the database of test_graphs.c; answers against exact ones; what explain tells. */
#include "tests/unit/engine/graph_world.h"

#define ASKS_MAX 100000u    /* until a layout is there */
#define UNSUITED_ASKS 2000u /* some hundred of them would pay for a layout that is asked for */

static enum ins_look look_of(struct fixture *fixture, const ins_filter *filter) {
    static ins_explain explain;
    float query[DIM];
    vector_of(77, query);
    explain = (ins_explain){0};
    ins_points_request request = {.collection = text("c"),
                                  .vector = query,
                                  .dim = DIM,
                                  .limit = LIMIT,
                                  .graph_effort = 60,
                                  .filter = filter};
    ins_call call = {.explain = &explain};
    assert_int_equal(ins_wait(fixture->db, ins_points_query, &request, &call), INS_OK);
    ins_call_release(&call);
    assert_true(explain.place_count > 0);
    return explain.places[explain.place_count - 1].look; /* the oldest run */
}

/* Asks until so many layouts were made; how often. */
static uint32_t ask_until_made(struct fixture *fixture, uint64_t made) {
    uint32_t asks = 0;
    struct answer answer;
    while (stats_of(fixture).layouts_made < made) {
        assert_true(asks < ASKS_MAX);
        ask(fixture, 5000000 + asks++ % QUERIES, false, &answer);
    }
    return asks;
}

static void set(struct fixture *fixture, const char *settings) {
    ins_collection_request request = {.collection = text("c"), .settings = text(settings)};
    do_ok(fixture, ins_collection_update, &request);
}

static void begin_with(struct fixture *fixture, ins_distance distance, const char *settings) {
    begin(fixture);
    create_with(fixture, distance, settings);
    fill(fixture, 1, COUNT + 1, 0);
    assert_int_equal(settle(fixture), COUNT);
}

#define ALWAYS "{\"hnsw_config\":{\"inline_storage\":true}}"
#define NEVER "{\"hnsw_config\":{\"inline_storage\":false}}"

static void distance_works(ins_distance distance) {
    struct fixture fixture;
    begin_with(&fixture, distance, ALWAYS);
    assert_int_equal(stats_of(&fixture).layouts, 0); /* nobody has searched */
    (void)ask_until_made(&fixture, 1);
    assert_int_equal(look_of(&fixture, NULL), INS_LOOK_FAST_GRAPH);
    uint64_t before = stats_of(&fixture).layout_searches;
    assert_true(recall_of(&fixture) >= 0.97);
    assert_int_equal(stats_of(&fixture).layout_searches, before + QUERIES);
    assert_int_equal(stats_of(&fixture).layouts, 1);
    assert_true(stats_of(&fixture).layout_bytes > (uint64_t)COUNT * DIM * 4);
    fill(&fixture, 1, COUNT / 3, 1); /* overwritten in the memtable */
    assert_true(recall_of(&fixture) >= 0.97);
    assert_true(stats_of(&fixture).layout_searches > before + QUERIES);
    fixture_stop(&fixture); /* it is in memory alone */
    open_small(&fixture);
    assert_int_equal(stats_of(&fixture).layouts, 0);
    (void)ask_until_made(&fixture, 1);
    assert_true(recall_of(&fixture) >= 0.97);
    fixture_close(&fixture);
}

static void test_distances(void **state) {
    (void)state;
    distance_works(INS_DISTANCE_COSINE);
    distance_works(INS_DISTANCE_DOT);
    distance_works(INS_DISTANCE_EUCLID);
}

/* Goal: without a setting, walks pay first; a setting changes at once, both ways. */
static void test_settings(void **state) {
    (void)state;
    struct fixture fixture;
    begin_with(&fixture, INS_DISTANCE_EUCLID, NEVER);
    struct answer answer;
    for (uint32_t i = 0; i < 20; i++) {
        ask(&fixture, 5000000 + i, false, &answer);
    }
    set(&fixture, "{\"hnsw_config\":{\"inline_storage\":null}}");
    assert_true(ask_until_made(&fixture, 1) > 100);
    assert_int_equal(look_of(&fixture, NULL), INS_LOOK_FAST_GRAPH);
    set(&fixture, NEVER);
    assert_int_equal(look_of(&fixture, NULL), INS_LOOK_GRAPH);
    assert_int_equal(stats_of(&fixture).layouts, 0);
    assert_int_equal(stats_of(&fixture).layout_bytes, 0);
    set(&fixture, ALWAYS);
    (void)ask_until_made(&fixture, 2); /* it costs as much again, but not as many walks */
    assert_int_equal(look_of(&fixture, NULL), INS_LOOK_FAST_GRAPH);
    fixture_close(&fixture);
}

/* Goal: a layout goes with its run. Method: a merge of all rows. */
static void test_run_gone(void **state) {
    (void)state;
    struct fixture fixture;
    begin_with(&fixture, INS_DISTANCE_EUCLID, ALWAYS);
    (void)ask_until_made(&fixture, 1);
    for (uint64_t version = 1; stats_of(&fixture).layouts > 0; version++) {
        assert_true(version < 50);
        fill(&fixture, 1, COUNT + 1, version);
        (void)settle(&fixture);
    }
    assert_int_equal(stats_of(&fixture).layout_bytes, 0);
    (void)ask_until_made(&fixture, 2);
    assert_true(recall_of(&fixture) >= 0.97);
    ins_collection_request request = {.collection = text("c")};
    do_ok(&fixture, ins_collection_delete, &request);
    do_ok(&fixture, ins_flush, NULL);
    while (stats_of(&fixture).layouts > 0) {
    }
    assert_int_equal(stats_of(&fixture).layout_bytes, 0);
    fixture_close(&fixture);
}

static void test_filters(void **state) {
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, ALWAYS);
    create_groups(&fixture);
    assert_int_equal(settle(&fixture), COUNT);
    (void)ask_until_made(&fixture, 1);
    static const int64_t ranges[] = {5, 20, 50, 90, 100};
    for (size_t range = 0; range < sizeof(ranges) / sizeof(ranges[0]); range++) {
        uint64_t before = stats_of(&fixture).layout_searches;
        uint64_t walks = 0;
        assert_true(recall_below(&fixture, ranges[range], &walks) >= 0.97);
        uint64_t fast = stats_of(&fixture).layout_searches - before;
        assert_true(fast >= (ranges[range] >= 50 ? QUERIES : 0)); /* tight ones: two links a step */
        assert_true(ranges[range] >= 50 || fast == 0);
    }
    fixture_close(&fixture);
}

/* Goal: walks through a filter that a layout does not suit ask for none, and beside one that is
 * there for no second one. */
static void test_unsuited(void **state) {
    (void)state;
    struct fixture fixture;
    struct answer answer;
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, ALWAYS);
    create_groups(&fixture);
    assert_int_equal(settle(&fixture), COUNT);
    for (uint32_t made = 0; made < 2; made++) {
        uint64_t walks = stats_of(&fixture).graph_searches;
        for (uint32_t i = 0; i < UNSUITED_ASKS; i++) {
            ask_below(&fixture, 5000000 + i % QUERIES, 20, false, &answer);
        }
        assert_int_equal(stats_of(&fixture).graph_searches, walks + UNSUITED_ASKS);
        assert_int_equal(stats_of(&fixture).layouts_made, made);
        if (made == 0) {
            (void)ask_until_made(&fixture, 1);
        }
    }
    assert_int_equal(stats_of(&fixture).layouts, 1);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_run_gone),  cmocka_unit_test(test_filters),
        cmocka_unit_test(test_unsuited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
