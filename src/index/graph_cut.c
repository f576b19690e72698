/* Which of the rows that a walk found have to be ranked by their values: those whose error lets
 * them be among the nearest. Error of a 4-bit code: code4_bound.h; here it follows from the code
 * and its factors. */
#include <math.h>

#include "index/graph_private.h"

#define MIDDLE 7.5f
#define ROUNDED 6e-5f /* code4_bound.c */

/* <levels, levels>, in quarters: (2 u - 15)^2. */
static uint32_t levels_square4(const uint8_t *code, uint32_t bytes) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        int32_t low = 2 * (code[i] & 15) - 15, high = 2 * (code[i] >> 4) - 15;
        sum += (uint32_t)(low * low + high * high);
    }
    return sum;
}

/* Of the estimated distance to a query of length one. */
static float error_of(const struct graph *graph, const struct code_factors *factors,
                      const uint8_t *code) {
    uint32_t padded = graph->rotation.padded;
    float scale = factors->scale / 2; /* it is -2 |r|^2 / <levels, r> */
    float square = 0.25f * (float)levels_square4(code, padded / 2);
    float aside = scale * scale * square - factors->norm;
    aside = (aside > 0 ? aside : 0) + ROUNDED * factors->norm;
    return 2 * sqrtf(aside / (float)(padded - 1));
}

uint32_t graph_cut(const struct graph *graph, struct graph_scratch *scratch, uint32_t limit,
                   float certainty, uint32_t *rows, uint32_t count) {
    struct topk_hit memory[GRAPH_CUT_MAX], evicted;
    struct graph_hit *bounds = scratch->hits; /* lower ones; upper ones are in the heap */
    struct topk nearest;
    bool was_full;
    uint32_t padded = graph->rotation.padded, kept = 0;
    if (graph->options.metric != INDEX_L2 || limit >= count || limit > GRAPH_CUT_MAX) {
        return count; /* of products the factors do not tell the row's length */
    }
    float length = sqrtf(graph->kernels->dot_f32(scratch->rotated, scratch->rotated, padded));
    topk_init(&nearest, memory, limit);
    for (uint32_t i = 0; i < count; i++) {
        const struct code_factors *factors = row_at(&graph->factors, rows[i]);
        const uint8_t *code = row_at(&graph->codes, rows[i]);
        int32_t sum;
        graph->kernels->code4_dots(scratch->query.values, &code, 1, padded, &sum);
        float estimate = factors->norm + factors->scale * (scratch->query.step * (float)sum +
                                                           scratch->query.offset);
        float error = certainty * length * error_of(graph, factors, code);
        bounds[i].distance = estimate - error;
        struct topk_hit hit = {.distance = estimate + error, .slot = i, .key = rows[i]};
        if (hit.distance <= topk_bound(&nearest)) {
            (void)topk_offer(&nearest, hit, &evicted, &was_full);
        }
    }
    float most = topk_bound(&nearest);
    for (uint32_t i = 0; i < count; i++) {
        if (!(bounds[i].distance > most)) {
            rows[kept++] = rows[i];
        }
    }
    return kept;
}
