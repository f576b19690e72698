/* max_sim against a plain loop in double precision, whatever the steps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "index/max_sim.h"

enum { DIM = 7, ROWS = 600, QUERY_ROWS = 5 };

static float number(uint32_t at) {
    return (float)((int)(at * 2654435761u % 2001) - 1000) / 500.0F;
}

static double row_distance(const struct flat *flat, const float *q, const float *v) {
    double sum = 0;
    for (uint32_t i = 0; i < DIM; i++) {
        double apart = (double)q[i] - (double)v[i];
        sum += flat->metric == KERNEL_DOT  ? -(double)q[i] * (double)v[i]
               : flat->metric == KERNEL_L2 ? apart * apart
                                           : fabs(apart);
    }
    return sum;
}

static double expected(const struct flat *flat, const float *query, uint32_t query_rows,
                       const float *rows, uint32_t count) {
    double sum = 0;
    for (uint32_t q = 0; q < query_rows; q++) {
        double least = INFINITY;
        for (uint32_t r = 0; r < count; r++) {
            least =
                fmin(least, row_distance(flat, query + (size_t)q * DIM, rows + (size_t)r * DIM));
        }
        sum += least;
    }
    return sum;
}

/* Goal: the same distance in one step and in steps of a few comparisons, for values of one row, of
 * less than a batch, and of several; the rows given at once or in two parts, as chunks cut them.
 * Method: every metric of floats against the loop; the budget is what the steps take. */
static void test_steps(void **state) {
    (void)state;
    static const ins_distance distances[] = {INS_DISTANCE_DOT, INS_DISTANCE_EUCLID,
                                             INS_DISTANCE_MANHATTAN};
    static const uint32_t counts[] = {1, 2, 255, 256, 257, ROWS};
    static const uint64_t budgets[] = {UINT64_MAX, 1, 300};
    static float query[QUERY_ROWS * DIM], rows[ROWS * DIM], best[QUERY_ROWS];
    for (uint32_t i = 0; i < QUERY_ROWS * DIM; i++) {
        query[i] = number(i + 99991);
    }
    for (uint32_t i = 0; i < ROWS * DIM; i++) {
        rows[i] = number(i);
    }
    for (uint32_t at = 0; at < 3 * 6 * 3 * 2; at++) {
        uint32_t count = counts[at / 3 % 6], first = at % 2 == 0 ? count : count / 3;
        struct flat flat;
        struct max_sim sim;
        flat_init(&flat, kernels_get(), distances[at % 3], INS_FLOAT32, DIM, query);
        max_sim_init(&sim, &flat, QUERY_ROWS, DIM * sizeof(float), best);
        max_sim_begin(&sim);
        uint32_t steps = 0;
        const uint64_t budget_each = budgets[at / 36];
        for (uint32_t part = 0; part < 2; part++) {
            const float *from = rows + (part == 0 ? 0 : (size_t)first * DIM);
            uint64_t budget = budget_each;
            while (!max_sim_rows(&sim, from, part == 0 ? first : count - first, &budget)) {
                assert_int_equal(budget, 0);
                assert_true(++steps < 100000);
                budget = budget_each;
            }
        }
        assert_true(budget_each == UINT64_MAX ? steps == 0 : count < 255 || steps > 0);
        double want = expected(&flat, query, QUERY_ROWS, rows, count);
        assert_true(fabs((double)max_sim_distance(&sim) - want) <= 1e-4 * (1 + fabs(want)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
