/* Goal: of what a walk found, those that are nearest by their values are left to be ranked, and not
 * many others; products, and limits that are too large for it, are left alone.
 * Method: rows of a normal distribution, of several dimensions; of each query the nearest rows of
 * all that the walk found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/graph.h"

#define ROWS 3000u
#define QUERIES 100u
#define EFFORT 200u
#define LIMIT 10u
#define DIM_MAX 784u

static float rows[ROWS * DIM_MAX];

struct world {
    uint32_t dim;
    struct arena *arena;
    struct graph *graph;
    struct graph_scratch *scratch;
};

static const float *row_of(void *context, uint32_t row) {
    const struct world *world = context;
    return rows + (size_t)row * world->dim;
}

static double uniform(uint64_t *seed) {
    *seed = hash_u64(*seed + 1);
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

static void draw(float *out, uint32_t dim, uint64_t *seed) {
    for (uint32_t i = 0; i < dim; i++) {
        double radius = sqrt(-2 * log(uniform(seed)));
        out[i] = (float)(3 + radius * cos(2 * M_PI * uniform(seed)) * (i % 7 + 1));
    }
}

static void world_open(struct world *world, uint32_t dim, enum index_metric metric) {
    struct arena_options options = {.limit_bytes = 256u << 20, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_CACHE] = 64u << 20;
    options.purpose_limit_bytes[INS_MEM_JOB] = 64u << 20;
    options.purpose_limit_bytes[INS_MEM_QUERY] = 64u << 20;
    const struct graph_options graph = {.dim = dim, .metric = metric, .type = ROW_F32, .seed = 4};
    uint64_t seed = dim;
    *world = (struct world){.dim = dim};
    draw(rows, ROWS * dim, &seed);
    assert_int_equal(arena_open(&options, &world->arena, NULL), INS_OK);
    assert_int_equal(graph_build(&graph, ROWS, row_of, world, world->arena, &world->graph, NULL),
                     INS_OK);
    assert_int_equal(graph_scratch_make(world->graph, EFFORT, &world->scratch, NULL), INS_OK);
}

static void world_close(struct world *world) {
    graph_scratch_free(world->scratch);
    graph_free(world->graph);
    arena_close(world->arena);
}

static const float *by_query; /* of order_rows */
static uint32_t by_dim;

static int order_rows(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    float at_a = kernels_get()->l2_f32(by_query, rows + (size_t)a * by_dim, by_dim);
    float at_b = kernels_get()->l2_f32(by_query, rows + (size_t)b * by_dim, by_dim);
    return at_a != at_b ? (at_a > at_b) - (at_a < at_b) : (a > b) - (a < b);
}

static void check_nearest(uint32_t dim) {
    struct world world;
    uint64_t seed = 77, missed = 0, left = 0;
    float query[DIM_MAX];
    world_open(&world, dim, INDEX_L2);
    for (uint32_t q = 0; q < QUERIES; q++) {
        uint32_t found[EFFORT], nearest[EFFORT];
        draw(query, dim, &seed);
        uint32_t count = graph_candidates(world.graph, world.scratch, query, EFFORT, NULL, found);
        assert_int_equal(count, EFFORT);
        memcpy(nearest, found, sizeof(found));
        by_query = query;
        by_dim = dim;
        qsort(nearest, count, sizeof(uint32_t), order_rows);
        uint32_t kept = graph_cut(world.graph, world.scratch, LIMIT, 3, found, count);
        assert_in_range(kept, LIMIT, count);
        left += kept;
        for (uint32_t i = 0; i < LIMIT; i++) {
            uint32_t at = 0;
            while (at < kept && found[at] != nearest[i]) {
                at++;
            }
            missed += at == kept;
        }
    }
    if (missed > 2 || left > QUERIES * EFFORT * 3 / 4) {
        fail_msg("%u dimensions: %llu missed, %llu left", dim, (unsigned long long)missed,
                 (unsigned long long)left);
    }
    world_close(&world);
}

static void test_nearest(void **state) {
    (void)state;
    static const uint32_t dims[] = {64, 100, 128, 784};
    for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
        check_nearest(dims[i]);
    }
}

static void test_left_alone(void **state) {
    (void)state;
    struct world world;
    uint32_t found[EFFORT], before[EFFORT];
    world_open(&world, 64, INDEX_DOT);
    uint32_t count = graph_candidates(world.graph, world.scratch, rows, EFFORT, NULL, found);
    memcpy(before, found, sizeof(found));
    assert_int_equal(graph_cut(world.graph, world.scratch, LIMIT, 3, found, count), count);
    assert_memory_equal(found, before, count * sizeof(uint32_t));
    world_close(&world);
    world_open(&world, 64, INDEX_L2);
    count = graph_candidates(world.graph, world.scratch, rows, EFFORT, NULL, found);
    assert_int_equal(graph_cut(world.graph, world.scratch, count, 3, found, count), count);
    assert_int_equal(graph_cut(world.graph, world.scratch, GRAPH_CUT_MAX + 1, 3, found, count),
                     count);
    /* Estimates that are sure of themselves leave what they put first. */
    assert_int_equal(graph_cut(world.graph, world.scratch, LIMIT, 0, found, count), LIMIT);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
