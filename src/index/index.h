/* Nearest rows in one block of rows: exact flat search and top-k.
 * This slice has the flat index only; codes and graph come behind the same door. */
#ifndef INS_INDEX_INDEX_H
#define INS_INDEX_INDEX_H

#include "insula.h"
#include "kernel/kernel.h"

enum index_metric { INDEX_DOT, INDEX_L2 }; /* of a graph; dot is negated */

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

/* One query against rows of one kind. "Distance": smaller is nearer; dot and cosine are negated. */
struct flat {
    const struct kernels *kernels;
    enum kernel_metric metric;
    ins_datatype datatype; /* of the rows */
    uint32_t dim;
    const void *query; /* as vector_query() makes it */
};

void flat_init(struct flat *flat, const struct kernels *kernels, ins_distance distance,
               ins_datatype datatype, uint32_t dim, const void *query);
/* Distances of `count` <= FLAT_BATCH rows, `stride` values apart: out[count]. */
void flat_distances(const struct flat *flat, const void *rows, size_t stride, uint32_t count,
                    float *out);
void flat_distances_gather(const struct flat *flat, const void *const *rows, uint32_t count,
                           float *out);
/* What an answer says of a distance, and the reverse. */
float flat_score(const struct flat *flat, float distance);
float flat_distance_of(const struct flat *flat, float score);
/* Positions i with distances[i] <= bound, ascending, into out[count]; returns how many. NaN is out.
 * This is what keeps the per-row cost of a scan small: most rows end here. */
uint32_t flat_select(const float *distances, uint32_t count, float bound, uint16_t *out);

#endif
