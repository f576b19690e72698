/* Goal: what searches find by codes and by graphs is what comparing every row finds, but for a few:
 * for every metric, datatype, class of dimensions and of sizes, with filters of every selectivity,
 * along the clusters and across them, and after updates.
 * Method: clustered points of a seed that is drawn anew in each run (INSULA_SEED repeats one) in a
 * database on the memory store whose extents get codes, or graphs, however small they are; answers
 * against those of exact searches. Floors are far below what is usual, far above what a fault
 * leaves. */
#include "tests/unit/engine/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"

#define LIMIT 10u
#define QUERIES 20u
#define BATCH 250u
#define CLUSTERS 20u
#define DIM_MOST 768u
#define EFFORT_LOW 32u

enum index_kind {
    BY_CODES,
    BY_GRAPH,
    BY_BOTH /* a graph, and codes for what it does not find; walks with a low effort */
};

struct shape {
    const char *name;
    ins_distance distance;
    ins_datatype datatype;
    uint32_t dim, rows;
    enum index_kind kind;
    bool heavy; /* some dimensions, and some points, are much longer than others */
};

static uint64_t test_seed;

struct bed {
    struct fixture fixture;
    const struct shape *shape;
    uint64_t seed;
    uint64_t right, wanted; /* of all cases so far */
};

/* ---- Data ---- */

static float number(uint64_t seed) {
    return (float)(hash_u64(seed * 0x9e3779b97f4a7c15ull) >> 40) * 0x1p-24f - 0.5f;
}

static uint32_t cluster_of(uint64_t id) {
    return (uint32_t)(hash_u64(id) % CLUSTERS);
}

/* Around a centre, all of it off the origin, as embeddings are. */
static void vector_of(const struct bed *bed, uint64_t id, uint64_t version, float *out) {
    uint64_t own = hash_u64(bed->seed + id * 1000003 + version * 17);
    uint64_t centre = hash_u64(bed->seed + 99 + cluster_of(id));
    for (uint32_t i = 0; i < bed->shape->dim; i++) {
        float value = number(own + i) + number(centre + i) + 0.2f;
        if (bed->shape->heavy) {
            float longer = 1 + 8 * number(own) * number(own);
            value *= longer * (1 + 3 * (float)(i % 16 == 0));
        }
        out[i] = bed->shape->datatype == INS_UINT8 ? (float)(int)((value + 1) * 100) : value;
    }
}

static void open_bed(struct bed *bed) {
    ins_error error = {0};
    bool graph = bed->shape->kind != BY_CODES, codes = bed->shape->kind != BY_GRAPH;
    ins_options options = {.memory_budget = INS_MEMORY_BUDGET_MIN,
                           .log_file_bytes = 1u << 20,
                           .graph_bytes_min = graph ? 4096 : UINT64_MAX,
                           .scan_bytes_min = codes ? 4096 : UINT64_MAX};
    struct fixture *fixture = &bed->fixture;
    assert_int_equal(ins_runtime_open_threads(fixture->store, &fixture->runtime, &error), INS_OK);
    assert_int_equal(ins_db_open(&options, fixture->runtime, &fixture->db, &error), INS_OK);
}

static void create_indexed(struct bed *bed) {
    const struct shape *shape = bed->shape;
    ins_vector_params vector = {
        .dim = shape->dim, .distance = shape->distance, .datatype = shape->datatype};
    ins_collection_request request = {
        .collection = text("c"), .vectors = &vector, .vector_count = 1};
    do_ok(&bed->fixture, ins_collection_create, &request);
    static const char *const fields[] = {"part", "cluster"};
    for (int i = 0; i < 2; i++) {
        ins_collection_request index = {.collection = text("c"),
                                        .field = text(fields[i]),
                                        .schema = text("{\"type\":\"integer\"}")};
        do_ok(&bed->fixture, ins_index_create, &index);
    }
}

/* Every `step`-th point from `first` on, of version `version`. */
static void fill(struct bed *bed, uint64_t first, uint32_t step, uint64_t version) {
    static float values[BATCH * DIM_MOST];
    static char payloads[BATCH][64];
    static ins_point points[BATCH];
    uint32_t dim = bed->shape->dim;
    for (uint64_t id = first; id < bed->shape->rows;) {
        uint32_t count = 0;
        for (; count < BATCH && id < bed->shape->rows; count++, id += step) {
            float *own = values + (size_t)count * dim;
            vector_of(bed, id, version, own);
            (void)snprintf(payloads[count], sizeof(payloads[count]), "{\"part\":%u,\"cluster\":%u}",
                           (unsigned)(hash_u64(id + 5) % 1000), cluster_of(id));
            points[count] = (ins_point){
                .id = {.low = id}, .vector = own, .dim = dim, .payload = text(payloads[count])};
        }
        ins_points_request request = {
            .collection = text("c"), .points = points, .point_count = count};
        do_ok(&bed->fixture, ins_points_upsert, &request);
    }
}

static void settle(struct bed *bed) {
    ins_collection_request request = {.collection = text("c")};
    uint64_t waiting = 1;
    do_ok(&bed->fixture, ins_flush, NULL);
    while (waiting > 0) {
        ins_call call;
        assert_int_equal(run(&bed->fixture, ins_collection_get, &request, &call), INS_OK);
        waiting = call.info->unindexed_islands + call.info->queued_islands;
        ins_call_release(&call);
    }
}

static ins_stats bed_stats(struct bed *bed) {
    ins_stats stats;
    ins_stats_request request = {.out_stats = &stats};
    do_ok(&bed->fixture, ins_stats_read, &request);
    return stats;
}

/* ---- Asking ---- */

enum filter_kind { ALL, PART, IN_CLUSTER, OUT_OF_CLUSTER, FAR_CLUSTERS };

struct filter_class {
    const char *name;
    enum filter_kind kind;
    int64_t part; /* of 1,000; of FAR_CLUSTERS: clusters */
};

static const struct filter_class filters[] = {
    {"all", ALL, 0},
    {"0.1 %", PART, 1},
    {"1 %", PART, 10},
    {"10 %", PART, 100},
    {"50 %", PART, 500},
    {"90 %", PART, 900},
    {"all pass", PART, 1000},
    {"cluster", IN_CLUSTER, 0},
    {"not cluster", OUT_OF_CLUSTER, 0},
    {"1 other", FAR_CLUSTERS, 1},
    {"3 others", FAR_CLUSTERS, 3},
    {"10 others", FAR_CLUSTERS, 10},
};

struct answer {
    uint64_t ids[LIMIT];
    float scores[LIMIT];
    size_t count;
};

static void ask(struct bed *bed, uint64_t which, const struct filter_class *class, bool exact,
                struct answer *out) {
    float query[DIM_MOST];
    uint64_t like = 1000000 + which;
    vector_of(bed, like, 3, query);
    ins_value clusters[CLUSTERS];
    size_t cluster_count = class->kind == FAR_CLUSTERS ? (size_t) class->part : 1;
    for (uint32_t i = 0; i < cluster_count; i++) {
        uint32_t other = cluster_of(like) + i + (class->kind == FAR_CLUSTERS);
        clusters[i] = (ins_value){.kind = INS_VALUE_INTEGER, .integer = other % CLUSTERS};
    }
    ins_condition range = {.kind = INS_RANGE,
                           .key = text("part"),
                           .lt = {.kind = INS_BOUND_INTEGER, .integer = class->part}};
    ins_condition match = {.kind = INS_MATCH_ANY,
                           .key = text("cluster"),
                           .values = clusters,
                           .value_count = cluster_count};
    ins_filter filter = {0};
    if (class->kind == OUT_OF_CLUSTER) {
        filter = (ins_filter){.must_not = &match, .must_not_count = 1};
    } else {
        filter = (ins_filter){.must = class->kind == PART ? &range : &match, .must_count = 1};
    }
    ins_points_request request = {.collection = text("c"),
                                  .vector = query,
                                  .dim = bed->shape->dim,
                                  .limit = LIMIT,
                                  .filter = class->kind == ALL ? NULL : &filter,
                                  .graph_effort = bed->shape->kind == BY_BOTH ? EFFORT_LOW : 0,
                                  .exact = exact};
    ins_call call;
    assert_int_equal(run(&bed->fixture, ins_points_query, &request, &call), INS_OK);
    out->count = call.points.count;
    for (size_t i = 0; i < out->count; i++) {
        out->ids[i] = call.points.items[i].id.low;
        out->scores[i] = call.points.items[i].score;
    }
    ins_call_release(&call);
}

/* Points as near as the last of the exact answers count as right, whichever they are; sums in
 * another order differ in their last bits. */
static uint32_t right_of(const struct shape *shape, const struct answer *near,
                         const struct answer *exact) {
    bool similar = shape->distance == INS_DISTANCE_COSINE || shape->distance == INS_DISTANCE_DOT;
    uint32_t right = 0;
    for (size_t i = 0; i < near->count; i++) {
        float last = exact->scores[exact->count - 1], close = 1e-5f * (1 + fabsf(last));
        right += similar ? near->scores[i] >= last - close : near->scores[i] <= last + close;
    }
    return right;
}

static void recall_is(struct bed *bed, const char *when, double floor) {
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        uint32_t right = 0, wanted = 0;
        for (uint64_t q = 0; q < QUERIES; q++) {
            struct answer near, exact;
            ask(bed, q, &filters[i], false, &near);
            ask(bed, q, &filters[i], true, &exact);
            assert_int_equal(near.count, exact.count);
            wanted += (uint32_t)exact.count;
            right += exact.count == 0 ? 0 : right_of(bed->shape, &near, &exact);
        }
        bed->right += right;
        bed->wanted += wanted;
        double recall = wanted == 0 ? 1 : (double)right / wanted;
        if (getenv("INSULA_RECALL") != NULL) {
            print_message("%s, %s, %s: %.4f\n", bed->shape->name, when, filters[i].name, recall);
        }
        if (recall < floor) {
            fail_msg("%s, %s, %s: recall %.4f is below %.4f (INSULA_SEED=%llu)", bed->shape->name,
                     when, filters[i].name, recall, floor, (unsigned long long)test_seed);
        }
    }
}

/* ---- Shapes ---- */

static void report(void *context, bool damage, const char *message) {
    (void)context;
    if (damage) {
        print_message("%s\n", message);
    }
}

static void shape_works(const struct shape *shape, double floor, double floor_all) {
    struct bed bed = {.shape = shape, .seed = hash_u64(test_seed + shape->dim)};
    struct store_memory_options store = {.seed = 1};
    assert_int_equal(store_memory_open(&store, &bed.fixture.store), INS_OK);
    open_bed(&bed);
    create_indexed(&bed);
    fill(&bed, 0, 1, 0);
    settle(&bed);
    recall_is(&bed, "fresh", floor);
    ins_stats stats = bed_stats(&bed);
    if (shape->kind == BY_CODES) {
        assert_true(stats.code_scans >= QUERIES);
        assert_true(stats.code_rows_exact < stats.code_rows);
        assert_int_equal(stats.code_fallbacks, 0);
    } else {
        assert_true(stats.graph_searches >= QUERIES);
        assert_true((stats.code_scans > 0) == (shape->kind == BY_BOTH)); /* what lies apart */
    }
    fill(&bed, 1, 3, 1); /* in the memtable */
    recall_is(&bed, "with updates in memory", floor);
    settle(&bed); /* and in runs */
    recall_is(&bed, "after updates", floor);
    double all = (double)bed.right / (double)bed.wanted;
    if (all < floor_all) {
        fail_msg("%s: recall of all %.4f is below %.4f (INSULA_SEED=%llu)", shape->name, all,
                 floor_all, (unsigned long long)test_seed);
    }
    ins_error error;
    fixture_stop(&bed.fixture);
    assert_int_equal(ins_check(bed.fixture.store, report, NULL, &error), INS_OK);
    ins_store_close(bed.fixture.store);
}

/* What is missed is missed by chance, and several rows of one query together: rows of a cluster are
 * off alike. In 3,510 cases of 13 seeds the worst was 0.985 by codes, with bounds of three standard
 * deviations, and 0.965 since; with six nothing was missed. So one case may be worse than all of a
 * shape together.
 */
#define CODES_FLOOR 0.94
#define CODES_FLOOR_ALL 0.99
#define GRAPH_FLOOR 0.93
#define GRAPH_FLOOR_ALL 0.98
#define FAR_FLOOR 0.78
#define FAR_FLOOR_ALL 0.97

static void test_codes(void **state) {
    (void)state;
    static const struct shape shapes[] = {
        {"cosine f32 32", INS_DISTANCE_COSINE, INS_FLOAT32, 32, 1200, BY_CODES, false},
        {"cosine f32 128", INS_DISTANCE_COSINE, INS_FLOAT32, 128, 18000, BY_CODES, false},
        {"cosine f16 100", INS_DISTANCE_COSINE, INS_FLOAT16, 100, 3000, BY_CODES, false},
        {"cosine u8 96", INS_DISTANCE_COSINE, INS_UINT8, 96, 3000, BY_CODES, false},
        {"dot f32 128", INS_DISTANCE_DOT, INS_FLOAT32, 128, 3000, BY_CODES, false},
        {"dot f16 768", INS_DISTANCE_DOT, INS_FLOAT16, 768, 1500, BY_CODES, false},
        {"dot u8 128", INS_DISTANCE_DOT, INS_UINT8, 128, 3000, BY_CODES, false},
        {"l2 f32 384", INS_DISTANCE_EUCLID, INS_FLOAT32, 384, 4500, BY_CODES, false},
        {"l2 f16 64", INS_DISTANCE_EUCLID, INS_FLOAT16, 64, 3000, BY_CODES, false},
        {"l2 u8 128", INS_DISTANCE_EUCLID, INS_UINT8, 128, 3000, BY_CODES, false},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        shape_works(&shapes[i], CODES_FLOOR, CODES_FLOOR_ALL);
    }
}

static void test_graphs(void **state) {
    (void)state;
    static const struct shape shapes[] = {
        {"cosine f32 64", INS_DISTANCE_COSINE, INS_FLOAT32, 64, 4000, BY_GRAPH, false},
        {"dot f32 32", INS_DISTANCE_DOT, INS_FLOAT32, 32, 2500, BY_GRAPH, false},
        {"l2 f16 384", INS_DISTANCE_EUCLID, INS_FLOAT16, 384, 1500, BY_GRAPH, false},
        {"l2 u8 128", INS_DISTANCE_EUCLID, INS_UINT8, 128, 2500, BY_GRAPH, false},
        {"cosine u8 32", INS_DISTANCE_COSINE, INS_UINT8, 32, 2500, BY_GRAPH, false},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        shape_works(&shapes[i], GRAPH_FLOOR, GRAPH_FLOOR_ALL);
    }
}

/* In three seeds the worst case was 0.865 (1 %, which outside of tests is picked, not walked to),
 * the worst shape 0.987. A walk of low effort finds all that lies about the query and little of
 * what lies apart from it: the scan in its place does. */
static void test_far_filters(void **state) {
    (void)state;
    static const struct shape shapes[] = {
        {"cosine f32 64 both", INS_DISTANCE_COSINE, INS_FLOAT32, 64, 6000, BY_BOTH, false},
        {"cosine f16 100 both", INS_DISTANCE_COSINE, INS_FLOAT16, 100, 4000, BY_BOTH, true},
        {"dot f32 48 both", INS_DISTANCE_DOT, INS_FLOAT32, 48, 4000, BY_BOTH, true},
        {"l2 f32 32 both", INS_DISTANCE_EUCLID, INS_FLOAT32, 32, 20000, BY_BOTH, true},
        {"l2 u8 128 both", INS_DISTANCE_EUCLID, INS_UINT8, 128, 4000, BY_BOTH, false},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        shape_works(&shapes[i], FAR_FLOOR, FAR_FLOOR_ALL);
    }
}

/* Neither has bounds of sums of absolute differences: every row is compared. */
static void test_manhattan(void **state) {
    (void)state;
    static const struct shape shape = {
        "manhattan f32 64", INS_DISTANCE_MANHATTAN, INS_FLOAT32, 64, 2000, BY_CODES, false};
    struct bed bed = {.shape = &shape, .seed = hash_u64(test_seed)};
    struct store_memory_options store = {.seed = 1};
    assert_int_equal(store_memory_open(&store, &bed.fixture.store), INS_OK);
    open_bed(&bed);
    create_indexed(&bed);
    fill(&bed, 0, 1, 0);
    settle(&bed);
    recall_is(&bed, "fresh", 1);
    assert_int_equal(bed_stats(&bed).code_scans, 0);
    fixture_close(&bed.fixture);
}

int main(void) {
    const char *given = getenv("INSULA_SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    test_seed = given != NULL ? strtoull(given, NULL, 10)
                              : hash_u64((uint64_t)now.tv_sec ^ (uint64_t)now.tv_nsec << 20);
    print_message("INSULA_SEED=%llu\n", (unsigned long long)test_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_far_filters),
        cmocka_unit_test(test_manhattan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
