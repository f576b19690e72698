/* Nearest rows in one block of rows: exact flat search and top-k.
 * This slice has the flat index only; codes and graph come behind the same door. */
#ifndef INS_INDEX_INDEX_H
#define INS_INDEX_INDEX_H

#include "insula.h"
#include "kernel/kernel.h"

enum index_metric { INDEX_DOT, INDEX_L2 }; /* "distance": smaller is nearer; dot is negated */

static inline enum index_metric index_metric_of(ins_distance distance) {
    return distance == INS_DISTANCE_EUCLID ? INDEX_L2 : INDEX_DOT;
}

/* The `capacity` nearest of what was offered, as a max-heap on (distance, ties by `key`). */
struct topk_hit {
    float distance;
    uint32_t slot; /* the caller's handle */
    uint64_t key;  /* breaks ties: smaller first */
};

struct topk {
    struct topk_hit *heap; /* [capacity], the caller's */
    uint32_t capacity, count;
};

void topk_init(struct topk *topk, struct topk_hit *memory, uint32_t capacity);
/* Distance that a new hit must be below (or equal, with ties decided by key) to enter: +inf until
 * the heap is full. Never NaN. */
float topk_bound(const struct topk *topk);
/* True when the hit entered. When a hit was pushed out it is in *out_evicted and *out_was_full is
 * true. A NaN distance never enters. */
bool topk_offer(struct topk *topk, struct topk_hit hit, struct topk_hit *out_evicted,
                bool *out_was_full);
/* Sorts ascending by (distance, key) in place; the heap is then an array and takes no more offers.
 */
void topk_sort(struct topk *topk);

#define FLAT_BATCH 256u

/* Distances of `count` <= FLAT_BATCH rows, `stride` floats apart, by `metric` (dot negated):
 * out[count]. */
void flat_distances(const struct kernels *kernels, enum index_metric metric, const float *query,
                    const float *rows, size_t stride, uint32_t count, uint32_t dim, float *out);
void flat_distances_gather(const struct kernels *kernels, enum index_metric metric,
                           const float *query, const float *const *rows, uint32_t count,
                           uint32_t dim, float *out);
/* Positions i with distances[i] <= bound, ascending, into out[count]; returns how many. NaN is out.
 * This is what keeps the per-row cost of a scan small: most rows end here. */
uint32_t flat_select(const float *distances, uint32_t count, float bound, uint16_t *out);

#endif
