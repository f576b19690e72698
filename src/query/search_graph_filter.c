/* A filter over a run that is searched by its graph: which rows pass, by the plan, as bits of all
 * rows; then whether to walk (index/graph_filter.h).
 *
 * A walk with the bits steps over rows that do not pass, two links at a time, and keeps in view
 * rows that pass only, so a place costs about the same at every share of them (decision 0031);
 * where what passes lies apart from the query the walk ends as it begins, and the run is scanned
 * (0039). Rows that only their payload decides are few, else the run is scanned as well. */
#include "base/assert.h"
#include "base/status.h"
#include "index/graph_filter.h"
#include "query/search_private.h"

#define DOUBTFUL_PARTS 8u /* of the rows that may pass at most one in so many is undecided */

static uint32_t groups_of(uint32_t rows) {
    return rows / ROW_GROUP + (rows % ROW_GROUP != 0);
}

static size_t bit_bytes(const struct search *search) {
    uint32_t groups = groups_of(search->run_vector.count);
    return (size_t)groups * ROW_GROUP_WORDS * sizeof(uint64_t);
}

bool graph_filter_possible(struct search *search) {
    size_t bytes = bit_bytes(search);
    if (!search->plan.useful || bytes > INS_BLOCK_BYTES_MAX - 64) {
        return false;
    }
    if (search->bit_bytes < bytes) {
        search->may_pass = pool_alloc(search->pool, bytes);
        search->is_sure = pool_alloc(search->pool, bytes);
        bool made = search->may_pass != NULL && search->is_sure != NULL;
        search->bit_bytes = made ? bytes : 0;
    }
    return search->bit_bytes >= bytes;
}

static uint32_t copy_bits(uint64_t *out, const struct row_bits *bits, uint32_t rows) {
    uint32_t count = 0;
    for (uint32_t word = 0; word < ROW_GROUP_WORDS; word++) {
        uint32_t left = rows > word * 64 ? rows - word * 64 : 0;
        uint64_t mask = left >= 64 ? UINT64_MAX : (1ull << left) - 1;
        out[word] = bits->words[word] & mask;
        count += (uint32_t)__builtin_popcountll(out[word]);
    }
    return count;
}

ins_status graph_filter_judge(struct search *search, uint64_t *budget, ins_error *error) {
    struct search_graph *graph = &search->graph;
    uint32_t rows = search->run_vector.count, groups = groups_of(rows);
    for (; *budget > 0 && graph->group < groups; graph->group++) {
        ins_status status = plan_group(&search->plan, graph->group, error);
        if (status != INS_OK) {
            return status;
        }
        uint32_t first = graph->group * ROW_GROUP;
        uint32_t left = rows - first < ROW_GROUP ? rows - first : ROW_GROUP;
        size_t word = (size_t)graph->group * ROW_GROUP_WORDS;
        graph->may_count += copy_bits(search->may_pass + word, &search->plan.verdict.maybe, left);
        graph->sure_count += copy_bits(search->is_sure + word, &search->plan.verdict.sure, left);
        uint64_t cost = plan_group_cost(&search->plan);
        search->rows_scanned += cost;
        budget_charge(budget, cost);
    }
    graph->judged = graph->group == groups;
    return INS_OK;
}

bool graph_filter_walks(struct search *search) {
    struct search_graph *graph = &search->graph;
    uint64_t doubtful = graph->may_count - graph->sure_count;
    if (graph->may_count == 0 || doubtful * DOUBTFUL_PARTS > graph->may_count) {
        return false;
    }
    const struct graph_filter_ask ask = {.rows = search->run_vector.count,
                                         .passing = graph->may_count,
                                         .dim = search->vector->shape.dim,
                                         .row_bytes = search->run_vector.row_bytes,
                                         .codes = search->codes.on,
                                         .effort = graph->effort,
                                         .effort_max = EFFORT_WALK_MAX,
                                         .always = search->graph_always};
    const struct graph_filter_plan plan = graph_filter_plan(&ask);
    graph->effort = plan.walk ? plan.effort : graph->effort;
    graph->effort_far = plan.walk ? plan.effort_far : graph->effort_far;
    graph->scan_far = plan.scan_far;
    graph->certainty = plan.certainty;
    return plan.walk;
}

bool graph_filter_short(const struct search *search) {
    const struct search_graph *graph = &search->graph;
    uint64_t due = graph->effort < graph->may_count ? graph->effort : graph->may_count;
    return graph->filtered && 2ull * graph->count < due;
}
