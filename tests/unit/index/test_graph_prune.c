/* Goal: lists are full, and no row is in very many of them while others are in almost none.
 * Method: rows of heavy tails, whose lists drew towards few rows when they were filled with what is
 * nearest; links are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "index/graph_private.h"

#define ROWS 4000u
#define DIM 40u

static float normal(uint64_t *seed) {
    double sum = -6; /* of twelve uniform ones: near enough */
    for (int i = 0; i < 12; i++) {
        *seed = hash_u64(*seed + 1);
        sum += (double)(*seed >> 11) * 0x1p-53;
    }
    return (float)sum;
}

/* Around one place, one in four much nearer to it than the others. */
static float *draw(void) {
    float *rows = malloc(ROWS * DIM * sizeof(float));
    uint64_t seed = 1;
    assert_non_null(rows);
    for (uint32_t row = 0; row < ROWS; row++) {
        float size = expf(normal(&seed) / 2);
        for (uint32_t d = 0; d < DIM; d++) {
            rows[row * DIM + d] = size * normal(&seed);
        }
    }
    return rows;
}

static const float *row_of(void *context, uint32_t row) {
    return (const float *)context + (size_t)row * DIM;
}

static int descending(const void *left, const void *right) {
    const uint32_t *a = left, *b = right;
    return (*a < *b) - (*a > *b);
}

/* How many lists each row is in: out [ROWS]. */
static void count_links(const struct graph *graph, uint32_t *out) {
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t links[GRAPH_DEGREE];
        links_load(links_of(graph, row), links);
        for (uint32_t i = 0; i < GRAPH_DEGREE; i++) {
            assert_true(links[i] < ROWS); /* none is missing */
            assert_int_not_equal(links[i], row);
            for (uint32_t j = 0; j < i; j++) {
                assert_int_not_equal(links[i], links[j]);
            }
            out[links[i]]++;
        }
    }
}

static void test_lists(void **state) {
    (void)state;
    struct arena_options memory = {.limit_bytes = 64u << 20, .plain_pages = true};
    memory.purpose_limit_bytes[INS_MEM_CACHE] = 32u << 20;
    memory.purpose_limit_bytes[INS_MEM_QUERY] = 32u << 20;
    struct graph_options options = {.dim = DIM, .metric = INDEX_L2, .type = ROW_F32, .seed = 1};
    struct arena *arena;
    struct graph *graph = NULL;
    uint32_t counts[ROWS] = {0}, most = 0;
    float *rows = draw();
    assert_int_equal(arena_open(&memory, &arena, NULL), INS_OK);
    assert_int_equal(graph_build(&options, ROWS, row_of, rows, arena, &graph, NULL), INS_OK);
    count_links(graph, counts);
    qsort(counts, ROWS, sizeof(counts[0]), descending);
    for (uint32_t i = 0; i < ROWS / 100; i++) {
        most += counts[i];
    }
    print_message("of the links %.1f %% lead to 1 %% of the rows, at most %u to one, at least %u\n",
                  100.0 * most / (ROWS * GRAPH_DEGREE), counts[0], counts[ROWS - 1]);
    assert_true(most < 0.05 * ROWS * GRAPH_DEGREE); /* filled with the nearest: 8.7 %, and 0 */
    assert_true(counts[ROWS - 1] >= 3);
    graph_free(graph);
    arena_close(arena);
    free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
