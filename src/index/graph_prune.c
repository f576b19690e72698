/* Which of many candidates become a row's links: those that no nearer one covers, then those that
 * are covered least.
 *
 * A link covers another where it leads nearer to that one's end (Toussaint's relative neighbourhood
 * graph, as in Malkov, Yashunin, "HNSW", TPAMI 2020). What is left of the list is filled with the
 * candidates that were covered by the smallest part of their length, as Gou et al., "SymphonyQG"
 * (SIGMOD 2025), do by angles: the nearest ones instead would be rows that many lists have already,
 * while others are in none. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/graph_build_private.h"

/* Of the squared length: what is covered by more is not looked at further. It may be linked where
 * little else is there. */
#define COVERED_WELL 0.75f
#define COUNTED_MAX 128u /* candidates that are sorted by counting */

float graph_build_distance(const struct graph_builder *build, const float *values, uint32_t of,
                           uint32_t row) {
    const struct graph *graph = build->graph;
    const void *query = graph->options.type == ROW_U8 ? row_at(&graph->rows, of) : values;
    float distance = row_distance(graph, INDEX_L2, query, row);
    if (build->augment.blocks != NULL) {
        float added = augment_of(&build->augment, of) - augment_of(&build->augment, row);
        distance += added * added;
    }
    return distance;
}

static int order_candidates(const void *left, const void *right) {
    const struct graph_hit *a = left, *b = right;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

/* Ascending; equal ones stay in order. Each goes behind as many as are less, counted without a
 * branch, eight at a time: of a hundred that takes a third of the time of a merge sort. */
static void sort_candidates(struct graph_hit *candidates, uint32_t count) {
    float distances[COUNTED_MAX];
    struct graph_hit sorted[COUNTED_MAX];
    if (count > COUNTED_MAX) {
        qsort(candidates, count, sizeof(*candidates), order_candidates);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        distances[i] = candidates[i].distance;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t before = 0;
        for (uint32_t j = 0; j < i; j++) {
            before += distances[j] <= distances[i];
        }
        for (uint32_t j = i + 1; j < count; j++) {
            before += distances[j] < distances[i];
        }
        sorted[before] = candidates[i];
    }
    memcpy(candidates, sorted, count * sizeof(*sorted));
}

/* Squared distances from the candidate to the kept rows of a group, kept[0 .. count). */
static void distances_to(const struct graph_builder *build, const void *values, uint32_t id,
                         const void *group, const uint32_t *kept, uint32_t count, float *out) {
    const struct graph *graph = build->graph;
    uint32_t dim = graph->options.dim;
    if (graph->options.type == ROW_U8) {
        graph->kernels->u8_rows[KERNEL_L2](values, group, dim, count, dim, out);
    } else {
        graph->kernels->f32_rows[KERNEL_L2](values, group, dim, count, dim, out);
    }
    for (uint32_t i = 0; build->augment.blocks != NULL && i < count; i++) {
        float added = augment_of(&build->augment, id) - augment_of(&build->augment, kept[i]);
        out[i] += added * added;
    }
}

/* The way left from the kept row that is nearest to the candidate, over the candidate's distance
 * (both squared, and alpha): below 1 it is covered. Below COVERED_WELL it is of the first such rows
 * alone. */
static float way_left(const struct graph_builder *build, const void *values, const uint32_t *kept,
                      uint32_t kept_count, const struct graph_hit *candidate) {
    float least = INFINITY;
    for (uint32_t at = 0; at < kept_count && least >= COVERED_WELL; at += KEPT_GROUP) {
        uint32_t count = kept_count - at < KEPT_GROUP ? kept_count - at : KEPT_GROUP;
        float between[KEPT_GROUP];
        distances_to(build, values, candidate->id, build->kept[at / KEPT_GROUP], kept + at, count,
                     between);
        for (uint32_t i = 0; i < count; i++) {
            float left = between[i] * build->alpha_squared;
            /* A candidate that lies where the row lies is covered by nothing. */
            float ratio = left < candidate->distance ? left / candidate->distance : 1;
            least = ratio < least ? ratio : least;
        }
    }
    return least;
}

/* The candidate's values as kept ones are: borrowed, until the next call. */
static const void *values_of(const struct graph_builder *build, uint32_t id) {
    if (build_type(&build->graph->options) != ROW_F16) {
        return row_at(&build->graph->rows, id);
    }
    graph_stored_row(build->graph, id, build->candidate);
    return build->candidate;
}

static void keep_values(const struct graph_builder *build, const void *values, uint32_t at) {
    const struct graph_options *options = &build->graph->options;
    size_t size = options->dim * (options->type == ROW_U8 ? sizeof(uint8_t) : sizeof(float));
    memcpy((char *)build->kept[at / KEPT_GROUP] + at % KEPT_GROUP * size, values, size);
}

uint32_t graph_prune(struct graph_builder *build, struct graph_hit *candidates, uint32_t count,
                     uint32_t *out) {
    uint32_t kept = 0, covered = 0;
    sort_candidates(candidates, count);
    for (uint32_t i = 0; i < count && kept < GRAPH_DEGREE; i++) {
        uint32_t id = candidates[i].id;
        const void *values = values_of(build, id);
        float left = way_left(build, values, out, kept, &candidates[i]);
        if (left >= 1) {
            keep_values(build, values, kept);
            out[kept++] = id;
        } else {
            candidates[covered++] = (struct graph_hit){.id = id, .distance = -left};
        }
    }
    sort_candidates(candidates, covered);
    for (uint32_t i = 0; i < covered && kept < GRAPH_DEGREE; i++) {
        out[kept++] = candidates[i].id;
    }
    return kept;
}

void graph_prune_list(struct graph_builder *build, uint32_t row) {
    struct growing *list = graph_list_of(build, row);
    struct graph_hit candidates[GROWING] = {{0}};
    uint32_t kept[GRAPH_DEGREE];
    graph_stored_row(build->graph, row, build->decoded);
    for (uint32_t i = 0; i < list->count; i++) {
        candidates[i] = (struct graph_hit){
            .id = list->ids[i],
            .distance = graph_build_distance(build, build->decoded, row, list->ids[i])};
    }
    list->count = graph_prune(build, candidates, list->count, kept);
    memcpy(list->ids, kept, list->count * sizeof(uint32_t));
}
