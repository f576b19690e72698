/* How wide a walk over a fast layout must be. One bit of what lies between two rows tells enough of
 * the distance where rows lie in clusters, and little where they do not; so rows of the graph's own
 * are looked for, by walks of several widths, and what a very wide one finds is taken for right. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "index/graph_fast_private.h"

#define QUERIES 32u      /* right ones within 1 % or so, where ten are asked for */
#define RIGHT_PARTS 100u /* what is enough: of so many */
#define RIGHT_LEAST 99u
#define ONE FAST_WIDENING_ONE

static const uint32_t widths[] = {
    FAST_WIDENING_LEAST, FAST_WIDENING_USUAL, 3 * ONE, 4 * ONE, 6 * ONE, FAST_WIDENING_MOST};
#define WIDTHS (sizeof(widths) / sizeof(widths[0]))
#define TRUTH_TIMES 2u /* of the widest */

struct fast_measure {
    struct fast_graph *fast;
    struct fast_scratch *scratch;
    float *values, *rotated;
    struct graph_hit *truth, *hits; /* [limit] */
    uint32_t limit, effort, query;
    uint64_t wanted, right[WIDTHS];
};

static uint32_t effort_of(const struct fast_measure *measure, uint32_t width) {
    uint64_t effort = (uint64_t)measure->effort * width / ONE;
    effort = effort < measure->fast->count ? effort : measure->fast->count;
    return effort < measure->limit     ? measure->limit
           : effort > GRAPH_EFFORT_MAX ? GRAPH_EFFORT_MAX
                                       : (uint32_t)effort;
}

ins_status fast_measure_begin(struct fast_graph *fast, uint32_t limit, uint32_t effort,
                              struct fast_measure **out_measure, ins_error *error) {
    INS_ASSERT(limit > 0);
    INS_ASSERT(limit <= GRAPH_EFFORT_MAX);
    struct arena *arena = fast->arena;
    struct fast_measure *measure = arena_alloc_zero(arena, INS_MEM_QUERY, sizeof(*measure));
    if (measure == NULL) {
        return ins_fail(error, INS_FULL, "no memory for searches that measure a graph");
    }
    *measure = (struct fast_measure){.fast = fast, .limit = limit, .effort = effort};
    measure->values = arena_alloc(arena, INS_MEM_QUERY, fast->dim * sizeof(float));
    measure->rotated = arena_alloc(arena, INS_MEM_QUERY, fast->rotation.padded * sizeof(float));
    measure->truth = arena_alloc(arena, INS_MEM_QUERY, limit * sizeof(struct graph_hit));
    measure->hits = arena_alloc(arena, INS_MEM_QUERY, limit * sizeof(struct graph_hit));
    ins_status status = INS_FULL;
    if (measure->values != NULL && measure->rotated != NULL && measure->truth != NULL &&
        measure->hits != NULL) {
        uint32_t most = effort_of(measure, FAST_WIDENING_MOST * TRUTH_TIMES);
        status = fast_scratch_make(fast, most, &measure->scratch, error);
    } else {
        (void)ins_fail(error, INS_FULL, "no memory for searches that measure a graph");
    }
    if (status != INS_OK) {
        fast_measure_free(measure);
        return status;
    }
    *out_measure = measure;
    return INS_OK;
}

void fast_measure_free(struct fast_measure *measure) {
    if (measure == NULL) {
        return;
    }
    const struct fast_graph *fast = measure->fast;
    struct arena *arena = fast->arena;
    size_t hits = measure->limit * sizeof(struct graph_hit);
    arena_free(arena, INS_MEM_QUERY, measure->values, fast->dim * sizeof(float));
    arena_free(arena, INS_MEM_QUERY, measure->rotated, fast->rotation.padded * sizeof(float));
    arena_free(arena, INS_MEM_QUERY, measure->truth, hits);
    arena_free(arena, INS_MEM_QUERY, measure->hits, hits);
    fast_scratch_free(measure->scratch);
    arena_free(arena, INS_MEM_QUERY, measure, sizeof(*measure));
}

static uint32_t search(struct fast_measure *measure, uint32_t row, uint32_t width,
                       struct graph_hit *out) {
    return fast_search_row(measure->fast, measure->scratch, row, measure->values, measure->rotated,
                           measure->limit, effort_of(measure, width), out);
}

static void one_query(struct fast_measure *measure) {
    uint32_t row = (uint32_t)(hash_u64(measure->query) % measure->fast->count);
    uint32_t due = search(measure, row, FAST_WIDENING_MOST * TRUTH_TIMES, measure->truth);
    measure->wanted += due;
    for (size_t i = 0; i < WIDTHS && due > 0; i++) {
        uint32_t found = search(measure, row, widths[i], measure->hits);
        for (uint32_t j = 0; j < found; j++) {
            measure->right[i] += measure->hits[j].distance <= measure->truth[due - 1].distance;
        }
    }
}

bool fast_measure_step(struct fast_measure *measure) {
    if (measure->query < QUERIES) {
        one_query(measure);
        measure->query++;
        return false;
    }
    uint32_t least = 0;
    for (size_t i = WIDTHS; i-- > 0;) {
        bool enough = measure->right[i] * RIGHT_PARTS >= measure->wanted * RIGHT_LEAST;
        least = enough ? widths[i] : least;
    }
    measure->fast->widening = least;
    return true;
}
