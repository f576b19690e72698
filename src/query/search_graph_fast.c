/* Walks over the fast layout of a run's graph, where it is in memory (tenant/layouts.h).
 *
 * Its distances are those of 14 bits a dimension, so hardly more rows than are asked for are ranked
 * by their values. A filter that leaves few rows, or rows that lie apart from the query, is left to
 * the other layout, which steps over what does not pass. */
#include "base/status.h"
#include "query/search_private.h"

#define PASSING_PARTS 4u /* of the rows at least one in so many passes */
/* Rows that are ranked by their values: those that are wanted, and such as lie at the edge. */
#define RANKED_MORE 8u
#define RANKED_PARTS 4u
#define EFFORT_FAST_MAX (2 * EFFORT_WALK_MAX) /* its places take half the time */
#define HOP_COST 4u /* rows of a step's budget: a list of codes, and one row */

static struct layout_key key_of(const struct search *search) {
    const struct extent *extent = &search->reader->runs[search->run].extent;
    return (struct layout_key){
        .file = extent->file, .offset = extent->offset, .vector = search->vector->shape.id};
}

static bool suits(const struct search *search) {
    const struct search_graph *graph = &search->graph;
    return !graph->filtered ||
           (uint64_t)graph->may_count * PASSING_PARTS >= search->run_vector.count;
}

void graph_fast_note(struct search *search, uint64_t looked_at) {
    struct read_context *context = search->reader->context;
    struct layout_key key = key_of(search);
    if (!suits(search)) {
        return; /* a layout would not have spared it */
    }
    if (layouts_note_walk(context->cache, &key, search->vector->graph.layout,
                          search->run_vector.count, looked_at) &&
        context->layouts.wanted != NULL) {
        context->layouts.wanted(context->layouts.context, search->reader->island, &key);
    }
}

static void take_hits(struct search *search, const struct graph_hit *hits, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        search->candidates[i] = hits[i].id;
    }
    search->graph.count = count;
    graph_sort_candidates(search);
}

static ins_status walk(struct search *search, const struct fast_graph *fast,
                       struct fast_scratch *scratch, uint32_t effort, bool *out_walked,
                       ins_error *error) {
    struct alive alive = graph_alive(search);
    const struct graph_filter filter = {.accept = graph_row_counts, .context = &alive};
    uint64_t wanted = search->topk.capacity;
    uint32_t limit = graph_ranked(search, wanted + wanted / RANKED_PARTS + RANKED_MORE);
    limit = limit < effort ? limit : effort;
    const float *query = search_float_query(search);
    struct graph_hit *hits = pool_alloc(search->pool, limit * sizeof(*hits));
    if (query == NULL || hits == NULL || !search_candidate_room(search, limit)) {
        return ins_fail(error, INS_FULL, "no memory for %u candidates", limit);
    }
    uint32_t count = fast_graph_search(fast, scratch, query, limit, effort,
                                       graph_all_count(&alive) ? NULL : &filter, hits);
    uint64_t hops = fast_graph_hops(scratch);
    struct trace *trace = reader_trace(search->reader);
    search->rows_scanned += HOP_COST * hops;
    TRACE_COUNT(trace, walked, hops);
    *out_walked = count > 0;
    if (*out_walked) {
        take_hits(search, hits, count);
        trace_look(trace, INS_LOOK_FAST_GRAPH, NULL);
    }
    return INS_OK;
}

ins_status graph_fast_walk(struct search *search, bool *out_walked, ins_error *error) {
    struct layout_key key = key_of(search);
    struct cache *cache = search->reader->context->cache;
    const struct fast_graph *fast =
        suits(search) ? layouts_find(cache, &key, search->vector->graph.layout) : NULL;
    *out_walked = false;
    if (fast == NULL) {
        return INS_OK;
    }
    struct fast_scratch *scratch;
    uint64_t effort =
        (uint64_t)search->graph.effort * fast_graph_widening(fast) / FAST_WIDENING_ONE;
    effort = effort < search->run_vector.count ? effort : search->run_vector.count;
    effort = effort > search->graph.effort ? effort : search->graph.effort;
    if (effort > EFFORT_FAST_MAX) {
        return INS_OK;
    }
    ins_status status = fast_scratch_make(fast, (uint32_t)effort, &scratch, error);
    if (status == INS_OK) {
        status = walk(search, fast, scratch, (uint32_t)effort, out_walked, error);
        fast_scratch_free(scratch);
    }
    return status;
}
