/* Goal: a graph finds what is near, for every metric, type of row, dimension and size.
 * Method: clustered rows and queries drawn by seed, recall against brute force over the same rows;
 * tiny and degenerate sets; every allocation made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/graph_fast.h"

#define LIMIT 10u
#define QUERIES 40u

struct world {
    uint32_t count, dim;
    float *rows, *queries;
    struct arena *arena;
};

static double uniform(uint64_t *seed) {
    *seed = hash_u64(*seed + 1);
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

static float normal(uint64_t *seed) {
    return (float)(sqrt(-2 * log(uniform(seed))) * cos(2 * M_PI * uniform(seed)));
}

/* Points around some 30 places on a subspace; bytes: 0 .. 255 and whole. */
static void draw(float *out, uint32_t dim, bool bytes, bool unit, uint64_t *seed) {
    uint64_t place = hash_u64((uint64_t)(uniform(seed) * 30) + 1);
    for (uint32_t i = 0; i < dim; i++) {
        float value = 0.7f * normal(&place) + 0.5f * normal(seed);
        out[i] = bytes ? roundf(fminf(255, fmaxf(0, 128 + 50 * value))) : value;
    }
    if (unit) {
        kernel_normalize_f32(out, dim, out);
    }
}

static void world_open(struct world *world, uint32_t count, uint32_t dim, bool bytes, bool unit,
                       uint64_t seed) {
    struct arena_options options = {.limit_bytes = 256u << 20, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_CACHE] = 64u << 20;
    options.purpose_limit_bytes[INS_MEM_JOB] = 64u << 20;
    options.purpose_limit_bytes[INS_MEM_QUERY] = 64u << 20;
    *world = (struct world){.count = count, .dim = dim};
    world->rows = malloc((size_t)count * dim * sizeof(float));
    world->queries = malloc((size_t)QUERIES * dim * sizeof(float));
    assert_non_null(world->rows);
    assert_non_null(world->queries);
    assert_int_equal(arena_open(&options, &world->arena, NULL), INS_OK);
    for (uint32_t i = 0; i < count; i++) {
        draw(world->rows + (size_t)i * dim, dim, bytes, unit, &seed);
    }
    for (uint32_t i = 0; i < QUERIES; i++) {
        draw(world->queries + (size_t)i * dim, dim, bytes, unit, &seed);
    }
}

static void world_close(struct world *world) {
    struct arena_usage usage;
    arena_get_usage(world->arena, &usage);
    assert_int_equal(usage.used, 0); /* everything was given back */
    arena_close(world->arena);
    free(world->rows);
    free(world->queries);
}

static const float *row_of(void *context, uint32_t row) {
    const struct world *world = context;
    return world->rows + (size_t)row * world->dim;
}

static double distance(const struct world *world, enum index_metric metric, const float *query,
                       uint32_t row) {
    double dot = 0, l2 = 0;
    for (uint32_t i = 0; i < world->dim; i++) {
        double a = (double)query[i], b = (double)world->rows[(size_t)row * world->dim + i];
        dot += a * b;
        l2 += (a - b) * (a - b);
    }
    return metric == INDEX_DOT ? -dot : l2;
}

static int order_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* A graph in one of its layouts. */
struct subject {
    struct graph *graph;
    struct graph_scratch *scratch;
    struct fast_graph *fast;
    struct fast_scratch *fast_scratch;
};

static void subject_open(struct subject *subject, struct world *world,
                         const struct graph_options *options, uint32_t effort, bool fast) {
    *subject = (struct subject){0};
    assert_int_equal(
        graph_build(options, world->count, row_of, world, world->arena, &subject->graph, NULL),
        INS_OK);
    if (fast) {
        assert_int_equal(fast_graph_make(subject->graph, row_of, world, &subject->fast, NULL),
                         INS_OK);
        assert_int_equal(fast_scratch_make(subject->fast, effort, &subject->fast_scratch, NULL),
                         INS_OK);
    } else {
        assert_int_equal(graph_scratch_make(subject->graph, effort, &subject->scratch, NULL),
                         INS_OK);
    }
}

static uint32_t subject_search(const struct subject *subject, const float *query, uint32_t effort,
                               struct graph_hit *hits) {
    return subject->fast != NULL ? fast_graph_search(subject->fast, subject->fast_scratch, query,
                                                     LIMIT, effort, NULL, hits)
                                 : graph_search(subject->graph, subject->scratch, query, LIMIT,
                                                effort, 0, NULL, hits);
}

static void subject_close(struct subject *subject) {
    fast_scratch_free(subject->fast_scratch);
    fast_graph_free(subject->fast);
    graph_scratch_free(subject->scratch);
    graph_free(subject->graph);
}

static double recall_of(struct world *world, const struct graph_options *options, uint32_t effort,
                        bool fast) {
    struct subject subject;
    subject_open(&subject, world, options, effort, fast);
    double *all = malloc(world->count * sizeof(double));
    assert_non_null(all);
    uint32_t limit = world->count < LIMIT ? world->count : LIMIT, right = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = world->queries + (size_t)q * world->dim;
        struct graph_hit hits[LIMIT];
        for (uint32_t i = 0; i < world->count; i++) {
            all[i] = distance(world, options->metric, query, i);
        }
        qsort(all, world->count, sizeof(double), order_doubles);
        uint32_t found = subject_search(&subject, query, effort, hits);
        assert_int_equal(found, limit);
        double tolerance = fabs(all[limit - 1]) * 2e-3 + 1e-6; /* half floats */
        for (uint32_t i = 0; i < found; i++) {
            double exact = distance(world, options->metric, query, hits[i].id);
            right += exact <= all[limit - 1] + tolerance;
            assert_true(fabs(exact - (double)hits[i].distance) <= fabs(exact) * 0.01 + 0.02);
            assert_true(i == 0 || hits[i - 1].distance <= hits[i].distance);
            for (uint32_t j = 0; j < i; j++) {
                assert_int_not_equal(hits[i].id, hits[j].id);
            }
        }
    }
    free(all);
    subject_close(&subject);
    return (double)right / (QUERIES * limit);
}

static void expect_recall(uint32_t count, uint32_t dim, enum index_metric metric, bool unit,
                          enum row_type type, double floor_recall) {
    struct world world;
    world_open(&world, count, dim, type == ROW_U8, unit, count * 31 + dim);
    struct graph_options options = {.dim = dim, .metric = metric, .type = type, .seed = dim};
    for (int fast = 0; fast < 2; fast++) {
        double recall = recall_of(&world, &options, 100, fast != 0);
        if (recall < floor_recall - (fast != 0 ? 0.01 : 0)) { /* a row can be in its beam twice */
            fail_msg(
                "%u rows of %u, metric %d, type %d, %s: recall %.3f, at least %.3f is asked for",
                count, dim, (int)metric, (int)type, fast != 0 ? "fast" : "compact", recall,
                floor_recall);
        }
    }
    world_close(&world);
}

static void test_recall(void **state) {
    (void)state;
    static const uint32_t dims[] = {2, 7, 33, 100, 128};
    for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
        for (int type = 0; type < 3; type++) {
            expect_recall(1500, dims[i], INDEX_L2, false, (enum row_type)type, 0.97);
        }
        expect_recall(1500, dims[i], INDEX_L2, true, ROW_F16, 0.97);
        expect_recall(1500, dims[i], INDEX_L2, true, ROW_REST, 0.97);
        expect_recall(1500, dims[i], INDEX_DOT, false, ROW_REST, 0.93);
        expect_recall(1500, dims[i], INDEX_DOT, false, ROW_F32, 0.93);
    }
    expect_recall(600, 784, INDEX_L2, false, ROW_U8, 0.97);
    expect_recall(400, 1536, INDEX_L2, true, ROW_F32, 0.97);
}

/* Sets that fit into the beam are found whole. */
static void test_small(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 9, 10, 31, 33, 64, 65, 100};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        expect_recall(counts[i], 16, INDEX_L2, false, ROW_F32, 1.0);
        expect_recall(counts[i], 5, INDEX_DOT, false, ROW_F32, 1.0);
    }
    expect_recall(50, 1, INDEX_L2, false, ROW_F32, 1.0);
    expect_recall(50, 1, INDEX_L2, false, ROW_REST, 1.0);
}

/* Goal: equal rows, and rows of zeros, do no harm. Method: three values for 300 rows. */
static void test_equal(void **state) {
    (void)state;
    struct world world;
    world_open(&world, 300, 24, false, false, 3);
    for (uint32_t i = 0; i < 300; i++) {
        for (uint32_t d = 0; d < 24; d++) {
            world.rows[i * 24 + d] = (float)(i % 3);
        }
    }
    struct graph_options options = {.dim = 24, .metric = INDEX_L2, .type = ROW_F32, .seed = 1};
    assert_true(recall_of(&world, &options, 100, false) == 1.0);
    assert_true(recall_of(&world, &options, 100, true) == 1.0);
    world_close(&world);
}

/* Goal: more effort finds what estimates cannot tell apart. Method: places of 150 rows that lie a
 * hundredth of the places' distance from each other. */
static void test_close(void **state) {
    (void)state;
    struct world world;
    struct subject subject;
    struct graph_hit hits[LIMIT];
    uint64_t seed = 9;
    uint32_t found = 0;
    world_open(&world, 3000, 32, false, false, 4);
    for (uint32_t i = 0; i < world.count + QUERIES; i++) {
        uint64_t place = hash_u64(i % 20 + 1);
        bool query = i >= world.count;
        float *row = query ? world.queries + (i - world.count) * 32ul : world.rows + i * 32ul;
        for (uint32_t d = 0; d < 32; d++) {
            row[d] = normal(&place) + 0.01f * normal(&seed);
        }
    }
    struct graph_options options = {.dim = 32, .metric = INDEX_L2, .type = ROW_F32, .seed = 1};
    subject_open(&subject, &world, &options, 400, false);
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = world.queries + q * 32ul;
        uint32_t count = graph_search(subject.graph, subject.scratch, query, LIMIT, 400,
                                      (uint32_t)graph_rerank(LIMIT, 400), NULL, hits);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t nearer = 0;
            double own = distance(&world, INDEX_L2, query, hits[i].id);
            for (uint32_t row = 0; row < world.count; row++) {
                nearer += distance(&world, INDEX_L2, query, row) < own;
            }
            found += nearer < LIMIT;
        }
    }
    assert_true(found >= 0.98 * QUERIES * LIMIT);
    subject_close(&subject);
    world_close(&world);
}

static void test_same_twice(void **state) {
    (void)state;
    struct world world;
    world_open(&world, 500, 40, false, false, 11);
    struct graph_options options = {.dim = 40, .metric = INDEX_L2, .type = ROW_F16, .seed = 5};
    struct graph *graphs[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(graph_build(&options, 500, row_of, &world, world.arena, &graphs[i], NULL),
                         INS_OK);
    }
    for (uint32_t row = 0; row < 500; row++) {
        assert_memory_equal(row_at(&graphs[0]->links, row), row_at(&graphs[1]->links, row),
                            LINKS_BYTES);
        assert_memory_equal(row_at(&graphs[0]->codes, row), row_at(&graphs[1]->codes, row), 24);
    }
    graph_free(graphs[0]);
    graph_free(graphs[1]);
    world_close(&world);
}

static void test_no_memory(void **state) {
    (void)state;
    struct world world;
    world_open(&world, 200, 20, false, false, 13);
    struct graph_options options = {.dim = 20, .metric = INDEX_DOT, .type = ROW_F32, .seed = 5};
    struct graph *graph = NULL;
    ins_status status = INS_FULL;
    for (uint64_t at = 1; status != INS_OK; at++) {
        struct arena_usage usage;
        assert_true(at < 100);
        arena_fail_at(world.arena, at);
        status = graph_build(&options, 200, row_of, &world, world.arena, &graph, NULL);
        arena_fail_at(world.arena, 0);
        assert_true(status == INS_OK || status == INS_FULL);
        arena_get_usage(world.arena, &usage);
        assert_true(status == INS_OK || usage.used == 0);
    }
    struct graph_scratch *scratch = NULL;
    status = INS_FULL;
    for (uint64_t at = 1; status != INS_OK; at++) {
        arena_fail_at(world.arena, at);
        status = graph_scratch_make(graph, 50, &scratch, NULL);
        arena_fail_at(world.arena, 0);
        assert_true(at < 20);
    }
    graph_scratch_free(scratch);
    graph_free(graph);
    world_close(&world);
}

static void test_fast_no_memory(void **state) {
    (void)state;
    struct world world;
    world_open(&world, 200, 20, false, false, 13);
    struct graph_options options = {.dim = 20, .metric = INDEX_L2, .type = ROW_REST, .seed = 5};
    struct subject subject;
    subject_open(&subject, &world, &options, 50, false);
    struct arena_usage before, after;
    arena_get_usage(world.arena, &before);
    ins_status status = INS_FULL;
    for (uint64_t at = 1; status != INS_OK; at++) {
        assert_true(at < 30);
        arena_fail_at(world.arena, at);
        status = fast_graph_make(subject.graph, row_of, &world, &subject.fast, NULL);
        arena_fail_at(world.arena, 0);
        arena_get_usage(world.arena, &after);
        assert_true(status == INS_OK || (status == INS_FULL && after.used == before.used));
    }
    status = INS_FULL;
    for (uint64_t at = 1; status != INS_OK; at++) {
        assert_true(at < 20);
        arena_fail_at(world.arena, at);
        status = fast_scratch_make(subject.fast, 50, &subject.fast_scratch, NULL);
        arena_fail_at(world.arena, 0);
    }
    struct fast_measure *measure = NULL;
    status = INS_FULL;
    for (uint64_t at = 1; status != INS_OK; at++) {
        assert_true(at < 20);
        arena_fail_at(world.arena, at);
        status = fast_measure_begin(subject.fast, LIMIT, 50, &measure, NULL);
        arena_fail_at(world.arena, 0);
    }
    fast_measure_free(measure);
    subject_close(&subject);
    world_close(&world);
}

struct part {
    uint32_t parts, asked;
};

static bool in_part(void *context, uint32_t row) {
    struct part *part = context;
    part->asked++;
    return row % part->parts == 0;
}

/* Goal: rows that do not count take no place; where hardly any does, it is said. Method: one row in
 * `parts` counts, against all distances. */
static void test_fast_filter(void **state) {
    (void)state;
    struct world world;
    struct subject subject;
    world_open(&world, 3000, 24, false, false, 17);
    struct graph_options options = {.dim = 24, .metric = INDEX_L2, .type = ROW_REST, .seed = 5};
    subject_open(&subject, &world, &options, 200, true);
    for (uint32_t parts = 2; parts <= 3; parts++) {
        struct part part = {.parts = parts};
        const struct graph_filter filter = {.accept = in_part, .context = &part};
        uint32_t right = 0;
        for (uint32_t q = 0; q < QUERIES; q++) {
            const float *query = world.queries + (size_t)q * world.dim;
            struct graph_hit hits[LIMIT];
            uint32_t found = fast_graph_search(subject.fast, subject.fast_scratch, query, LIMIT,
                                               200, &filter, hits);
            assert_int_equal(found, LIMIT);
            uint32_t nearer = 0;
            for (uint32_t i = 0; i < world.count; i += parts) {
                nearer += distance(&world, INDEX_L2, query, i) < (double)hits[LIMIT - 1].distance;
            }
            right += nearer <= LIMIT ? LIMIT : LIMIT - (nearer - LIMIT);
            for (uint32_t i = 0; i < found; i++) {
                assert_int_equal(hits[i].id % parts, 0);
            }
        }
        assert_true(part.asked > 0);
        assert_true(right >= QUERIES * LIMIT * 97 / 100);
    }
    struct part rare = {.parts = 1500};
    const struct graph_filter filter = {.accept = in_part, .context = &rare};
    struct graph_hit hits[LIMIT];
    assert_int_equal(fast_graph_search(subject.fast, subject.fast_scratch, world.queries, LIMIT,
                                       200, &filter, hits),
                     0);
    assert_true(fast_graph_hops(subject.fast_scratch) >= 200);
    subject_close(&subject);
    world_close(&world);
}

/* Goal: a walk as wide as the graph misses no row that links lead to. Method: all rows, of which
 * some are equal, against the other layout. */
static void test_fast_all(void **state) {
    (void)state;
    struct world world;
    struct subject subject;
    world_open(&world, 300, 16, false, false, 23);
    for (uint32_t i = 0; i < 100; i++) {
        memcpy(world.rows + (size_t)(3 * i) * world.dim, world.rows, world.dim * sizeof(float));
    }
    struct graph_options options = {.dim = 16, .metric = INDEX_L2, .type = ROW_REST, .seed = 5};
    subject_open(&subject, &world, &options, 300, true);
    struct graph_hit hits[300];
    uint32_t found =
        fast_graph_search(subject.fast, subject.fast_scratch, world.queries, 300, 300, NULL, hits);
    struct graph_scratch *scratch;
    struct graph_hit others[300];
    assert_int_equal(graph_scratch_make(subject.graph, 300, &scratch, NULL), INS_OK);
    assert_true(found > 200);
    assert_int_equal(
        found, graph_search(subject.graph, scratch, world.queries, 300, 300, 0, NULL, others));
    graph_scratch_free(scratch);
    subject_close(&subject);
    world_close(&world);
}

static uint32_t widening_of(struct world *world, const struct graph_options *options,
                            uint32_t effort) {
    struct subject subject;
    struct fast_measure *measure;
    subject_open(&subject, world, options, 16, true);
    assert_int_equal(fast_graph_widening(subject.fast), FAST_WIDENING_USUAL);
    assert_int_equal(fast_measure_begin(subject.fast, LIMIT, effort, &measure, NULL), INS_OK);
    uint32_t steps = 1;
    while (!fast_measure_step(measure)) {
        steps++;
    }
    assert_true(steps > 8);
    uint32_t widening = fast_graph_widening(subject.fast);
    fast_measure_free(measure);
    subject_close(&subject);
    return widening;
}

/* Goal: a walk that is wide enough needs no more; one of as many places as hits is not, and even
 * less where rows lie in no clusters. */
static void test_fast_measure(void **state) {
    (void)state;
    struct world world;
    struct graph_options options = {.dim = 64, .metric = INDEX_L2, .type = ROW_U8, .seed = 5};
    world_open(&world, 4000, 64, true, false, 19);
    assert_int_equal(widening_of(&world, &options, 300), FAST_WIDENING_LEAST);
    world_close(&world);
    world_open(&world, 4000, 64, false, false, 19);
    uint64_t seed = 3;
    for (size_t i = 0; i < (size_t)world.count * world.dim; i++) {
        world.rows[i] = normal(&seed);
    }
    options.type = ROW_REST;
    for (int metric = 0; metric < 2; metric++) {
        options.metric = metric == 0 ? INDEX_L2 : INDEX_DOT;
        assert_int_equal(widening_of(&world, &options, LIMIT), 0);
        assert_true(widening_of(&world, &options, 100) > FAST_WIDENING_LEAST);
        assert_int_equal(widening_of(&world, &options, 4000), FAST_WIDENING_LEAST);
    }
    world_close(&world);
}

/* Goal: nothing that a head or links from outside say is trusted. */
static void test_fast_hostile(void **state) {
    (void)state;
    struct world world;
    struct fast_builder *build;
    struct fast_scratch *scratch;
    struct graph_hit hits[LIMIT];
    ins_error error;
    float centre[20] = {0};
    uint32_t sample[] = {0, 150};
    uint8_t links[LINKS_BYTES];
    world_open(&world, 100, 20, false, false, 13);
    struct graph_head head = {
        .dim = 20, .count = 100, .sample_count = 2, .centre = centre, .sample = sample};
    assert_int_equal(fast_build_begin(&head, ROW_F32, world.arena, INS_MEM_CACHE, &build, &error),
                     INS_INVALID);
    sample[1] = 99;
    assert_int_equal(fast_build_begin(&head, ROW_F32, world.arena, INS_MEM_CACHE, &build, &error),
                     INS_OK);
    for (uint32_t i = 0; i < 100; i++) {
        const uint32_t to[] = {(i + 1) % 100, i, 100 + i, (i + 50) % 100};
        links_store(links, to, i % 5); /* lists end where they lead nowhere */
        fast_build_row(build, row_of(&world, i));
        fast_build_links(build, links, 1);
    }
    while (!fast_build_step(build, 7)) {
    }
    struct fast_graph *fast = fast_build_take(build);
    assert_true(fast_graph_bytes(fast) <= fast_build_bytes(20, ROW_F32, 100));
    assert_int_equal(fast_scratch_make(fast, 50, &scratch, NULL), INS_OK);
    uint32_t found = fast_graph_search(fast, scratch, world.queries, LIMIT, 50, NULL, hits);
    assert_true(found > 0);
    for (uint32_t i = 0; i < found; i++) {
        assert_true(hits[i].id < 100);
    }
    fast_scratch_free(scratch);
    fast_graph_free(fast);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall),         cmocka_unit_test(test_small),
        cmocka_unit_test(test_equal),          cmocka_unit_test(test_close),
        cmocka_unit_test(test_same_twice),     cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_fast_no_memory), cmocka_unit_test(test_fast_filter),
        cmocka_unit_test(test_fast_all),       cmocka_unit_test(test_fast_measure),
        cmocka_unit_test(test_fast_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
