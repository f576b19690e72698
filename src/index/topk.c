/* Top-k: a max-heap of the nearest hits so far; its root is what a new hit has to beat.
 *
 * Order: by distance, ties by key, smaller first; keys differ, so the order is total and the
 * answer does not depend on the order of offers.
 * Invariant: every parent is worse than or equal to its children. */
#include <math.h>

#include "base/assert.h"
#include "index/index.h"

static inline bool hit_is_worse(const struct topk_hit *left, const struct topk_hit *right) {
    if (left->distance != right->distance) {
        return left->distance > right->distance;
    }
    return left->key > right->key;
}

void topk_init(struct topk *topk, struct topk_hit *memory, uint32_t capacity) {
    INS_ASSERT(memory != NULL || capacity == 0);
    *topk = (struct topk){.heap = memory, .capacity = capacity};
}

float topk_bound(const struct topk *topk) {
    if (topk->count < topk->capacity) {
        return INFINITY;
    }
    return topk->capacity == 0 ? -INFINITY : topk->heap[0].distance;
}

/* Puts `hit` where the hole at `at` ends after worse children moved up. */
static void sift_down(struct topk_hit *heap, uint32_t count, uint32_t at, struct topk_hit hit) {
    for (uint64_t child = 2 * (uint64_t)at + 1; child < count; child = 2 * (uint64_t)at + 1) {
        if (child + 1 < count && hit_is_worse(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!hit_is_worse(&heap[child], &hit)) {
            break;
        }
        heap[at] = heap[child];
        at = (uint32_t)child;
    }
    heap[at] = hit;
}

static void sift_up(struct topk_hit *heap, uint32_t at, struct topk_hit hit) {
    while (at != 0) {
        uint32_t parent = (at - 1) / 2;
        if (!hit_is_worse(&hit, &heap[parent])) {
            break;
        }
        heap[at] = heap[parent];
        at = parent;
    }
    heap[at] = hit;
}

bool topk_offer(struct topk *topk, struct topk_hit hit, struct topk_hit *out_evicted,
                bool *out_was_full) {
    *out_was_full = false;
    if (isnan(hit.distance)) {
        return false;
    }
    if (topk->count < topk->capacity) {
        sift_up(topk->heap, topk->count, hit);
        topk->count++;
        return true;
    }
    if (topk->capacity == 0 || !hit_is_worse(&topk->heap[0], &hit)) {
        return false;
    }
    *out_evicted = topk->heap[0];
    *out_was_full = true;
    sift_down(topk->heap, topk->count, 0, hit);
    return true;
}

void topk_sort(struct topk *topk) {
    for (uint32_t end = topk->count; end > 1; end--) {
        struct topk_hit last = topk->heap[end - 1];
        topk->heap[end - 1] = topk->heap[0]; /* the worst of those left */
        sift_down(topk->heap, end - 1, 0, last);
    }
}
