/* A database whose extents get graphs from 4 KiB of vectors on, points in it, and what its searches
 * find of the exact answers. */
#ifndef INS_TESTS_GRAPH_WORLD_H
#define INS_TESTS_GRAPH_WORLD_H

#include "tests/unit/engine/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"

#define DIM 24u
#define COUNT 1500u
#define LIMIT 10u
#define QUERIES 25u
#define BATCH 500u

static uint32_t warnings;
static char warning[512];

static inline void note_warning(void *context, const char *text) {
    (void)context;
    warnings++;
    (void)snprintf(warning, sizeof(warning), "%s", text);
}

static inline void open_small(struct fixture *fixture) {
    ins_error error = {0};
    ins_options options = {.memory_budget = INS_MEMORY_BUDGET_MIN,
                           .log_file_bytes = 1u << 20,
                           .graph_bytes_min = 4096,
                           .warn = note_warning};
    assert_int_equal(ins_runtime_open_threads(fixture->store, &fixture->runtime, &error), INS_OK);
    assert_int_equal(ins_db_open(&options, fixture->runtime, &fixture->db, &error), INS_OK);
}

static inline void begin(struct fixture *fixture) {
    struct store_memory_options options = {.seed = 1};
    assert_int_equal(store_memory_open(&options, &fixture->store), INS_OK);
    open_small(fixture);
}

static inline float number(uint64_t seed) {
    return (float)(hash_u64(seed * 0x9e3779b97f4a7c15ull) >> 40) * 0x1p-24f - 0.5f;
}

static inline void vector_of(uint64_t seed, float *out) {
    for (uint32_t i = 0; i < DIM; i++) {
        out[i] = number(seed * 1000 + i) + number(seed % 20 * 77777 + i);
    }
}

static inline void create_with(struct fixture *fixture, ins_distance distance,
                               const char *settings) {
    ins_collection_request request = {
        .collection = text("c"), .dim = DIM, .distance = distance, .settings = text(settings)};
    do_ok(fixture, ins_collection_create, &request);
}

/* Points first .. end - 1, of version `version`. */
static inline void fill(struct fixture *fixture, uint64_t first, uint64_t end, uint64_t version) {
    float *values = malloc(BATCH * DIM * sizeof(float));
    ins_point *points = calloc(BATCH, sizeof(ins_point));
    assert_non_null(values);
    assert_non_null(points);
    while (first < end) {
        uint32_t count = 0;
        for (; count < BATCH && first < end; count++, first++) {
            float *own = values + (size_t)count * DIM;
            vector_of(first + version * 100000, own);
            points[count] = (ins_point){.id = {.low = first}, .vector = own, .dim = DIM};
        }
        ins_points_request request = {
            .collection = text("c"), .points = points, .point_count = count};
        do_ok(fixture, ins_points_upsert, &request);
    }
    free(values);
    free(points);
}

/* Until no island waits for a graph any more; how many values lie in one. */
static inline uint64_t settle(struct fixture *fixture) {
    ins_collection_request request = {.collection = text("c")};
    uint64_t indexed = 0, waiting = 1;
    do_ok(fixture, ins_flush, NULL);
    while (waiting > 0) {
        ins_call call;
        assert_int_equal(run(fixture, ins_collection_get, &request, &call), INS_OK);
        waiting = call.info->unindexed_islands + call.info->queued_islands;
        indexed = call.info->indexed_vectors;
        ins_call_release(&call);
    }
    return indexed;
}

struct answer {
    uint64_t ids[LIMIT];
    float scores[LIMIT];
    size_t count;
};

static inline void ask(struct fixture *fixture, uint64_t seed, bool exact, struct answer *out) {
    float query[DIM];
    vector_of(seed, query);
    ins_points_request request = {.collection = text("c"),
                                  .vector = query,
                                  .dim = DIM,
                                  .limit = LIMIT,
                                  .graph_effort = 60,
                                  .exact = exact};
    ins_call call;
    assert_int_equal(run(fixture, ins_points_query, &request, &call), INS_OK);
    out->count = call.points.count;
    for (size_t i = 0; i < out->count; i++) {
        out->ids[i] = call.points.items[i].id.low;
        out->scores[i] = call.points.items[i].score;
    }
    ins_call_release(&call);
}

/* Of the exact answers those that the walk found; every score is the row's own. */
static inline double recall_of(struct fixture *fixture) {
    uint32_t right = 0, wanted = 0;
    uint64_t before = stats_of(fixture).graph_searches;
    for (uint64_t q = 0; q < QUERIES; q++) {
        struct answer near, exact;
        ask(fixture, 5000000 + q, false, &near);
        uint64_t walked = stats_of(fixture).graph_searches;
        ask(fixture, 5000000 + q, true, &exact);
        assert_int_equal(stats_of(fixture).graph_searches, walked);
        assert_int_equal(near.count, exact.count);
        wanted += (uint32_t)exact.count;
        for (size_t i = 0; i < exact.count; i++) {
            for (size_t j = 0; j < near.count; j++) {
                if (near.ids[j] == exact.ids[i]) {
                    right++;
                    assert_true(near.scores[j] == exact.scores[i]);
                }
            }
        }
    }
    assert_true(stats_of(fixture).graph_searches >= before + QUERIES);
    return (double)right / wanted;
}

/* The nearest points whose `group` is below `most`. */
static inline void ask_below(struct fixture *fixture, uint64_t seed, int64_t most, bool exact,
                             struct answer *out) {
    float query[DIM];
    vector_of(seed, query);
    ins_condition condition = {.kind = INS_RANGE,
                               .key = text("group"),
                               .lt = {.kind = INS_BOUND_INTEGER, .integer = most}};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = text("c"),
                                  .vector = query,
                                  .dim = DIM,
                                  .limit = LIMIT,
                                  .graph_effort = 60,
                                  .filter = &filter,
                                  .exact = exact};
    ins_call call;
    assert_int_equal(run(fixture, ins_points_query, &request, &call), INS_OK);
    out->count = call.points.count;
    for (size_t i = 0; i < out->count; i++) {
        out->ids[i] = call.points.items[i].id.low;
        assert_true((int64_t)(out->ids[i] * 7919 % 100) < most);
    }
    ins_call_release(&call);
}

/* Points 1 .. COUNT with an indexed field of values 0 .. 99. */
static inline void create_groups(struct fixture *fixture) {
    ins_collection_request index = {
        .collection = text("c"), .field = text("group"), .schema = text("{\"type\":\"integer\"}")};
    do_ok(fixture, ins_index_create, &index);
    for (uint64_t id = 1; id <= COUNT; id++) {
        float values[DIM];
        char payload[32];
        vector_of(id, values);
        (void)snprintf(payload, sizeof(payload), "{\"group\":%u}", (unsigned)(id * 7919 % 100));
        ins_point point = {
            .id = {.low = id}, .vector = values, .dim = DIM, .payload = text(payload)};
        ins_points_request request = {.collection = text("c"), .points = &point, .point_count = 1};
        do_ok(fixture, ins_points_upsert, &request);
    }
}

/* Of the exact answers to such questions those that were found; by how many walks. */
static inline double recall_below(struct fixture *fixture, int64_t most, uint64_t *out_walks) {
    uint32_t right = 0, wanted = 0;
    uint64_t before = stats_of(fixture).graph_searches;
    for (uint64_t q = 0; q < QUERIES; q++) {
        struct answer near, exact;
        ask_below(fixture, 5000000 + q, most, false, &near);
        ask_below(fixture, 5000000 + q, most, true, &exact);
        assert_int_equal(near.count, exact.count);
        wanted += (uint32_t)exact.count;
        for (size_t i = 0; i < exact.count; i++) {
            for (size_t j = 0; j < near.count; j++) {
                right += near.ids[j] == exact.ids[i];
            }
        }
    }
    assert_true(wanted >= (most > 0 ? QUERIES * LIMIT : 0));
    *out_walks = stats_of(fixture).graph_searches - before;
    return wanted == 0 ? 1 : (double)right / wanted;
}

#endif
