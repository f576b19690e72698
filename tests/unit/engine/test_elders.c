/* Goal: a graph made after a merge, or anew, goes on from the links of the one before, and finds
 * what one made from nothing finds; whatever happens to the older one costs no answer.
 * Method: a database whose extents get graphs from 4 KiB of vectors on; rows are added, overwritten
 * and deleted beside searches until merges take the oldest run; answers against brute force, the
 * check of all files after it. */
#include "tests/unit/engine/graph_world.h"

#define ROUNDS_MAX 40u
#define ADDED 250u

static void ignore(void *context, bool damage, const char *message) {
    (void)context;
    if (damage) {
        print_message("%s\n", message);
    }
}

static void stop_and_check(struct fixture *fixture) {
    ins_error error;
    fixture_stop(fixture);
    assert_int_equal(ins_check(fixture->store, ignore, NULL, &error), INS_OK);
}

static void begin_filled(struct fixture *fixture, ins_distance distance) {
    begin(fixture);
    create_with(fixture, distance, "{}");
    fill(fixture, 1, COUNT + 1, 0);
    assert_int_equal(settle(fixture), COUNT);
    assert_int_equal(stats_of(fixture).graphs_inherited, 0);
}

static void delete_some(struct fixture *fixture, uint64_t first, uint64_t end) {
    for (uint64_t id = first; id < end; id++) {
        ins_id one = {.low = id};
        ins_points_request request = {.collection = text("c"), .ids = &one, .id_count = 1};
        do_ok(fixture, ins_points_delete, &request);
    }
}

/* Writes and searches until a graph that a merge called for began with links. */
static void grow(struct fixture *fixture) {
    uint64_t before = stats_of(fixture).graphs_inherited, next = COUNT + 1;
    for (uint32_t round = 0; stats_of(fixture).graphs_inherited == before; round++) {
        assert_true(round < ROUNDS_MAX);
        fill(fixture, next, next + ADDED, 0);
        next += ADDED;
        uint64_t old = COUNT + 1 + 10 * round; /* rows of the first run of those that are merged */
        fill(fixture, old, old + 5, 1);        /* other values */
        delete_some(fixture, old + 5, old + 8);
        (void)settle(fixture);
        struct answer answer;
        ask(fixture, 5000000 + round, false, &answer);
        assert_int_equal(answer.count, LIMIT);
    }
    (void)settle(fixture);
}

static void merges_with(ins_distance distance) {
    struct fixture fixture;
    begin_filled(&fixture, distance);
    grow(&fixture);
    assert_true(recall_of(&fixture) >= 0.97);
    stop_and_check(&fixture);
    open_small(&fixture); /* what was read of the file */
    assert_true(recall_of(&fixture) >= 0.97);
    fixture_close(&fixture);
}

static void test_merges(void **state) {
    (void)state;
    merges_with(INS_DISTANCE_EUCLID);
    merges_with(INS_DISTANCE_COSINE);
    merges_with(INS_DISTANCE_DOT);
}

/* Goal: a run that is written anew for a field index keeps its links. Method: an index made late;
 * nothing was inserted, so the graph finds the same. */
static void test_renewal(void **state) {
    (void)state;
    struct fixture fixture;
    begin_filled(&fixture, INS_DISTANCE_EUCLID);
    double before = recall_of(&fixture);
    ins_collection_request index = {
        .collection = text("c"), .field = text("group"), .schema = text("{\"type\":\"integer\"}")};
    do_ok(&fixture, ins_index_create, &index);
    while (stats_of(&fixture).extents_renewed == 0) {
        (void)settle(&fixture);
    }
    assert_int_equal(stats_of(&fixture).graphs_inherited, 1);
    assert_true(recall_of(&fixture) >= before - 0.02);
    stop_and_check(&fixture);
    ins_store_close(fixture.store);
}

/* Goal: files that are kept for their graphs go with the collection, an erasure and the end.
 * Method: after merges, each of them; no file may be left that no run is in. */
static void test_files_go(void **state) {
    (void)state;
    struct fixture fixture;
    begin_filled(&fixture, INS_DISTANCE_EUCLID);
    grow(&fixture);
    erase(&fixture);
    ins_stats stats = stats_of(&fixture);
    assert_true(stats.segment_bytes <= stats.live_bytes * 5 / 4);
    ins_collection_request request = {.collection = text("c")};
    do_ok(&fixture, ins_collection_delete, &request);
    erase(&fixture);
    stats = stats_of(&fixture);
    assert_true(stats.segment_bytes < 64u << 10);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_files_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
