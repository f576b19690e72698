/* Goal: what is large enough gets a graph, searches find by it what a scan finds, dead rows take no
 * place, and a damaged graph costs an answer nothing.
 * Method: a database on the memory store whose extents get graphs from 4 KiB of vectors on; answers
 * against brute force; flips in the parts of a graph; settings that want none. */
#include "tests/unit/engine/graph_world.h"

#define RANKED (2 * LIMIT + 24) /* of those in view, at most: decisions 0042, 0064 */

static void ignore(void *context, bool damage, const char *message) {
    (void)context;
    if (damage) {
        print_message("%s\n", message);
    }
}

static void distance_works(ins_distance distance) {
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, distance, "{}");
    fill(&fixture, 1, COUNT + 1, 0);
    assert_int_equal(settle(&fixture), COUNT);
    assert_int_equal(stats_of(&fixture).graphs_built, 1);
    assert_int_equal(stats_of(&fixture).mem_used[INS_MEM_GRAPH], 0);
    assert_int_equal(stats_of(&fixture).mem_limit[INS_MEM_GRAPH], 0);
    assert_true(recall_of(&fixture) >= 0.97);
    fixture_stop(&fixture);
    open_small(&fixture); /* what the directory says survives, and is not built again */
    assert_int_equal(settle(&fixture), COUNT);
    assert_int_equal(stats_of(&fixture).graphs_built, 0);
    assert_true(recall_of(&fixture) >= 0.97);
    ins_error error;
    fixture_stop(&fixture);
    assert_int_equal(ins_check(fixture.store, ignore, NULL, &error), INS_OK);
    ins_store_close(fixture.store);
}

/* Goal: what a search tells of its walk. Method: one walked, one exact. */
static void test_explains(void **state) {
    (void)state;
    struct fixture fixture;
    float query[DIM];
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, "{}");
    fill(&fixture, 1, COUNT + 1, 0);
    assert_int_equal(settle(&fixture), COUNT);
    vector_of(77, query);
    for (int exact = 0; exact < 2; exact++) {
        ins_points_request request = {.collection = text("c"),
                                      .vector = query,
                                      .dim = DIM,
                                      .limit = LIMIT,
                                      .graph_effort = 60,
                                      .exact = exact != 0};
        ins_explain explain = {.filtered = false};
        ins_call call = {.explain = &explain};
        assert_int_equal(ins_wait(fixture.db, ins_points_query, &request, &call), INS_OK);
        ins_call_release(&call);
        assert_int_equal(explain.place_count, 1);
        const ins_explain_place *place = &explain.places[0];
        assert_int_equal(place->look, exact != 0 ? INS_LOOK_SCAN : INS_LOOK_GRAPH);
        assert_int_equal(explain.looks[place->look], 1);
        assert_int_equal(place->rows, COUNT);
        assert_in_range(place->scanned, exact != 0 ? COUNT : LIMIT,
                        exact != 0 ? COUNT : RANKED - 1);
        assert_true((place->walked > 60) == (exact == 0));
        assert_true(place->walked < COUNT);
        assert_int_equal(place->why != NULL, exact != 0);
        assert_int_equal(explain.bytes_compared, place->scanned * DIM * sizeof(float));
        assert_true(explain.ended_ns > explain.begun_ns);
        uint64_t sum = 0;
        for (int stage = 0; stage < INS_STAGE_COUNT; stage++) {
            sum += explain.stage_ns[stage];
        }
        assert_int_equal(sum, explain.ended_ns - explain.begun_ns);
    }
    fixture_close(&fixture);
}

static void test_distances(void **state) {
    (void)state;
    distance_works(INS_DISTANCE_COSINE);
    distance_works(INS_DISTANCE_DOT);
    distance_works(INS_DISTANCE_EUCLID);
}

/* Rows that a newer run, or the memtable, has overwritten or deleted. */
static void test_dead_rows(void **state) {
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, "{}");
    fill(&fixture, 1, COUNT + 1, 0);
    assert_int_equal(settle(&fixture), COUNT);
    fill(&fixture, 1, COUNT / 3, 1); /* in the memtable */
    assert_true(recall_of(&fixture) >= 0.97);
    ins_id ids[COUNT / 3];
    for (uint32_t i = 0; i < COUNT / 3; i++) {
        ids[i] = (ins_id){.low = COUNT / 3 + 1 + i};
    }
    ins_points_request request = {.collection = text("c"), .ids = ids, .id_count = COUNT / 3};
    do_ok(&fixture, ins_points_delete, &request);
    assert_true(recall_of(&fixture) >= 0.97);
    assert_true(settle(&fixture) >= COUNT - COUNT / 3); /* and in runs */
    assert_true(recall_of(&fixture) >= 0.97);
    fixture_close(&fixture);
}

static uint64_t walked_with(struct fixture *fixture, double oversampling) {
    float query[DIM];
    vector_of(77, query);
    static ins_explain explain;
    explain = (ins_explain){0};
    ins_points_request request = {.collection = text("c"),
                                  .vector = query,
                                  .dim = DIM,
                                  .limit = LIMIT,
                                  .graph_effort = 60,
                                  .oversampling = oversampling};
    ins_call call = {.explain = &explain};
    assert_int_equal(ins_wait(fixture->db, ins_points_query, &request, &call), INS_OK);
    ins_call_release(&call);
    return explain.total.scanned;
}

/* Oversampling widens a walk that is narrower, whatever it is asked for. */
static void test_oversampling(void **state) {
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, "{}");
    fill(&fixture, 1, COUNT + 1, 0);
    assert_int_equal(settle(&fixture), COUNT);
    uint64_t usual = walked_with(&fixture, 0);
    assert_in_range(usual, LIMIT, RANKED - 1);
    assert_int_equal(walked_with(&fixture, 2.4), usual);
    assert_int_equal(walked_with(&fixture, 5), 50);
    assert_int_equal(walked_with(&fixture, 20), 200);
    assert_int_equal(walked_with(&fixture, 1e300), COUNT); /* a scan */
    fixture_close(&fixture);
}

/* Nothing of what the settings rule out gets a graph. */
static void none_with(ins_distance distance, const char *settings) {
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, distance, settings);
    fill(&fixture, 1, 301, 0);
    assert_int_equal(settle(&fixture), 0);
    assert_int_equal(stats_of(&fixture).graphs_built, 0);
    fixture_close(&fixture);
}

static void test_not_wanted(void **state) {
    (void)state;
    none_with(INS_DISTANCE_EUCLID, "{\"hnsw_config\":{\"m\":0,\"payload_m\":16}}");
    none_with(INS_DISTANCE_EUCLID, "{\"optimizers_config\":{\"indexing_threshold\":0}}");
    none_with(INS_DISTANCE_MANHATTAN, "{}");
}

static void test_settings_change(void **state) {
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, "{\"hnsw_config\":{\"m\":0}}");
    fill(&fixture, 1, 301, 0);
    assert_int_equal(settle(&fixture), 0);
    ins_collection_request request = {.collection = text("c"),
                                      .settings = text("{\"hnsw_config\":{\"m\":8}}")};
    do_ok(&fixture, ins_collection_update, &request);
    assert_int_equal(settle(&fixture), 300);
    fixture_close(&fixture);
}

/* ---- Filters ---- */

/* Goal: rows that do not pass take no place, whatever share passes. Method: a field with values 0
 * .. 99, indexed, and ranges of it; every point that passes may be found. */
static void test_filters(void **state) {
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, "{}");
    create_groups(&fixture);
    assert_int_equal(settle(&fixture), COUNT);
    static const int64_t ranges[] = {0, 1, 5, 20, 50, 90, 100};
    for (int range = 0; range < 7; range++) {
        uint64_t walks;
        assert_true(recall_below(&fixture, ranges[range], &walks) >= 0.97);
        /* Where fewer pass than a walk keeps in view, or so few that links lead past them, they are
         * picked: the right answer, whatever was asked for. */
        assert_true(walks >= (ranges[range] >= 20 ? QUERIES : 0));
        assert_true(ranges[range] > 1 || walks == 0);
    }
    fixture_close(&fixture);
}

/* ---- Damage ---- */

/* Until what is damaged was written anew: answers are right meanwhile, and the damage is told once.
 */
static void renew(struct fixture *fixture, const char *name) {
    warnings = 0;
    for (uint64_t q = 0; q == 0 || stats_of(fixture).extents_renewed == 0; q++) {
        struct answer near, exact;
        ask(fixture, 5000000 + q % 50, false, &near);
        ask(fixture, 5000000 + q % 50, true, &exact);
        assert_int_equal(near.count, LIMIT);
        if (stats_of(fixture).extents_renewed == 0) { /* scanned until then */
            assert_memory_equal(near.ids, exact.ids, sizeof(near.ids));
        }
    }
    ins_stats stats = stats_of(fixture);
    assert_int_equal(stats.extents_damaged, 1);
    assert_int_equal(stats.graph_fallbacks, 1);
    assert_non_null(strstr(stats.graph_damage, name));
    assert_int_equal(warnings, 1);
    assert_string_equal(warning, stats.graph_damage);
    erase(fixture); /* the damaged one is garbage in its file */
}

/* Goal: damage of any part of a graph is found by the first search that meets it, told, costs no
 * answer, and goes when the extent was written anew. Method: a flip in each part; a new database on
 * the store, whose cache does not know it; the check before and after. */
static void test_damage(void **state) {
    (void)state;
    static const uint16_t kinds[] = {13, 14, 18, 19}; /* codes, links, factors, head */
    struct fixture fixture;
    begin(&fixture);
    create_with(&fixture, INS_DISTANCE_EUCLID, "{}");
    fill(&fixture, 1, COUNT + 1, 0);
    assert_int_equal(settle(&fixture), COUNT);
    for (int i = 0; i < 4; i++) {
        char name[64];
        fixture_stop(&fixture); /* the cache must not know it */
        uint64_t at = find_section(fixture.store, kinds[i], name);
        assert_true(store_memory_flip(fixture.store, name, at + 100, 1));
        ins_error error;
        assert_int_equal(ins_check(fixture.store, ignore, NULL, &error), INS_CORRUPT);
        open_small(&fixture);
        renew(&fixture, name);
        assert_int_equal(settle(&fixture), COUNT);
        fixture_stop(&fixture);
        assert_int_equal(ins_check(fixture.store, ignore, NULL, &error), INS_OK);
        open_small(&fixture);
    }
    assert_true(recall_of(&fixture) >= 0.97);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),       cmocka_unit_test(test_dead_rows),
        cmocka_unit_test(test_explains),        cmocka_unit_test(test_not_wanted),
        cmocka_unit_test(test_settings_change), cmocka_unit_test(test_filters),
        cmocka_unit_test(test_oversampling),    cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
