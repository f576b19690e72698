/* Searching a run by its graph: a walk over codes and links, then the values of what it found.
 *
 * Path: graph_enter decides; graph_run brings the graph's chunks (INS_AGAIN meanwhile), walks in
 * one go, lets them go, and ranks the candidates by their stored values, batch by batch, as scanned
 * rows are. Rows that a newer source has are walked over and take no place.
 * Failure: a graph that cannot be read, or contradicts itself, costs nothing but time: the run is
 * scanned, and the damage is noted in the statistics. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "query/explain.h"
#include "query/search_private.h"

/* A walk looks at some rows for each one that it keeps in view, here and there, which takes longer
 * than one behind the other: below so many rows for each the run is scanned. */
#define ROWS_A_PLACE 16u
/* The same in rows whose codes are scanned: sure ones, and rough ones (decision 0042). */
#define CODES_A_PLACE 180u
#define CODES_A_PLACE_ROUGH 350u
/* Of the cache's share the chunks of one graph may take while it is walked. */
#define CACHE_PARTS 4u
/* Places kept in view when the request does not say: recall of some 0.98 for the nearest 10. */
#define EFFORT_BASE 168u
#define EFFORT_A_HIT 4u

#define DAMAGED "the graph, or codes beside it, are damaged"

/* ---- Deciding ---- */

static uint64_t effort_for(const struct search *search) {
    uint64_t wanted = search->topk.capacity;
    uint64_t effort = search->graph_effort;
    if (effort == 0) {
        effort = EFFORT_BASE + EFFORT_A_HIT * wanted;
    }
    double preselected = search->oversampling * (double)wanted;
    if (preselected > (double)effort) {
        effort = preselected < (double)UINT32_MAX ? (uint64_t)preselected : UINT32_MAX;
    }
    return effort < wanted ? wanted : effort;
}

/* Rows of the extent that are scanned in the time of a walk. Codes are scanned with less certainty
 * where that makes the difference: it still finds more than the walk would. */
static bool is_scanned(struct search *search, uint64_t effort) {
    uint64_t rows = search->run_vector.count;
    bool asked = search->vector->graph.layout == LAYOUT_ALWAYS; /* its walks take half the time */
    if (search->graph_always) {
        return false;
    }
    if (!search->codes.on || asked) {
        return rows < effort * (search->codes.on ? CODES_A_PLACE : ROWS_A_PLACE);
    }
    search->graph.certainty =
        rows >= effort * CODES_A_PLACE && rows < effort * CODES_A_PLACE_ROUGH ? CODE1_ROUGH : 0;
    return rows < effort * CODES_A_PLACE_ROUGH;
}

/* NULL: by the graph, whose slots are set. */
static const char *why_not(struct search *search, uint64_t effort) {
    const struct extent *extent = &search->reader->runs[search->run].extent;
    struct search_graph *graph = &search->graph;
    if (search->exact) {
        return "exact was asked for";
    }
    if ((search->reader->runs[search->run].run.flags & RUN_DAMAGED) != 0) {
        return DAMAGED;
    }
    if (search->run_vector.multi) {
        return "multivectors have no graphs";
    }
    if (!extent_graph(extent, search->vector->shape.id, &graph->slots)) {
        return "the extent has no graph";
    }
    if (effort > EFFORT_WALK_MAX) {
        return "a walk for so many hits takes longer than a scan";
    }
    if (is_scanned(search, effort)) {
        return "for so few rows a walk takes longer than a scan";
    }
    uint64_t room = cache_limit(search->reader->context->cache) / CACHE_PARTS;
    if (extent_graph_bytes(extent, &graph->slots) > room) {
        return "the graph is too large for the cache";
    }
    if (search->filter != NULL && !graph_filter_possible(search)) {
        return "field indexes do not decide the filter";
    }
    return NULL;
}

void graph_enter(struct search *search) {
    struct search_graph *graph = &search->graph;
    *graph = (struct search_graph){.on = false};
    if (!search->has_vector) {
        return;
    }
    uint64_t effort = effort_for(search);
    graph->why = why_not(search, effort);
    graph->filtered = search->filter != NULL;
    graph->effort = graph->effort_far = (uint32_t)effort;
    graph->on = graph->why == NULL;
}

bool graph_passes_over(const struct search *search) {
    const struct extent *extent = &search->reader->runs[search->run].extent;
    const struct extent_vector *values = &search->run_vector;
    struct graph_slots slots;
    return search->indexed_only && search->has_vector &&
           (uint64_t)values->count * values->row_bytes >= search->graph_bytes_due &&
           !extent_graph(extent, search->vector->shape.id, &slots);
}

/* ---- Bringing ---- */

static void release(struct search *search) {
    const struct graph_slots *slots = &search->graph.slots;
    reader_release_chunks(search->reader, search->run, slots->head, UINT32_MAX);
    reader_release_chunks(search->reader, search->run, slots->codes, UINT32_MAX);
    reader_release_chunks(search->reader, search->run, slots->factors, UINT32_MAX);
    reader_release_chunks(search->reader, search->run, slots->links, UINT32_MAX);
}

/* Asks for all chunks even when one has to wait, so that one wait brings them all. */
static ins_status bring(struct search *search, ins_error *error) {
    const struct graph_slots *slots = &search->graph.slots;
    const uint32_t parts[] = {slots->head, slots->codes, slots->factors, slots->links};
    ins_status result = INS_OK;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        ins_status status = reader_load_slot(search->reader, search->run, parts[i], error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

static void scan_instead(struct search *search, const char *why) {
    search->graph.on = false;
    search->position = 0;
    struct trace *trace = reader_trace(search->reader);
    if (trace != NULL) {
        /* Its groups are judged once more, and counted then. */
        TRACE_COUNT(trace, refused_by_index, 0 - trace->place->refused_by_index);
        trace_change_look(trace, explain_scan_look(search), why);
    }
}

/* The run is scanned. */
static void give_up(struct search *search, const char *why) {
    struct read_context *context = search->reader->context;
    release(search);
    scan_instead(search, why);
    context->graphs.fallbacks++;
}

/* ---- Walking ---- */

bool graph_row_counts(void *context, uint32_t position) {
    const struct alive *alive = context;
    const struct search *search = alive->search;
    const struct extent *extent = &search->reader->runs[search->run].extent;
    uint32_t row = position;
    ins_error error;
    if (search->graph.filtered && !search_may_pass(search, position)) {
        return false; /* a planned vector has a value in every row */
    }
    if (!alive->check) {
        return true;
    }
    if (search->run_vector.rows_slot != SLOT_NONE &&
        reader_vector_row(search->reader, search->run, &search->run_vector, position, &row,
                          &error) != INS_OK) {
        return false;
    }
    ins_id id = extent_id(extent, &alive->ids, row);
    return !reader_superseded(search->reader, search->run, &id);
}

static bool may_be_superseded(const struct reader *reader, uint32_t run) {
    const struct reader_run *one = &reader->runs[run];
    return reader->mem[0] != NULL || reader->mem[1] != NULL || !one->overlaps_known ||
           one->overlaps != 0;
}

struct alive graph_alive(struct search *search) {
    return (struct alive){.search = search,
                          .ids = reader_ids(search->reader, search->run),
                          .check = may_be_superseded(search->reader, search->run)};
}

static int order_rows(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

void graph_sort_candidates(struct search *search) {
    qsort(search->candidates, search->graph.count, sizeof(uint32_t), order_rows);
}

uint32_t graph_ranked(const struct search *search, uint64_t wanted) {
    const struct search_graph *graph = &search->graph;
    double preselected = search->oversampling * (double)search->topk.capacity;
    if ((double)wanted < preselected) {
        wanted = preselected < GRAPH_EFFORT_MAX ? (uint64_t)preselected : GRAPH_EFFORT_MAX;
    }
    bool doubtful = graph->filtered && graph->may_count != graph->sure_count;
    uint32_t all = graph->effort > graph->effort_far ? graph->effort : graph->effort_far;
    return doubtful || wanted > all ? all : (uint32_t)wanted;
}

/* Of what the walk found, nearest first. Who asks for more to be ranked gets that. */
static void keep_nearest(struct search *search, const struct graph *view,
                         struct graph_scratch *scratch) {
    uint32_t wanted = search->topk.capacity;
    uint64_t usual = graph_rerank(wanted, search->graph.effort);
    uint32_t most = graph_ranked(search, usual);
    struct search_graph *graph = &search->graph;
    graph->count = graph->count < most ? graph->count : most;
    if (most <= usual) {
        graph->count =
            graph_cut(view, scratch, wanted, CODE1_SURE, search->candidates, graph->count);
    }
    graph_sort_candidates(search);
}

static ins_status walk_view(struct search *search, const struct graph *view, ins_error *error) {
    struct search_graph *graph = &search->graph;
    struct graph_scratch *scratch;
    const float *query = search_float_query(search);
    struct alive alive = graph_alive(search);
    const struct graph_filter filter = {.accept = graph_row_counts,
                                        .context = &alive,
                                        .passing = graph->filtered ? search->may_pass : NULL,
                                        .effort_far = graph->effort_far,
                                        .stop_far = graph->scan_far};
    bool all = graph_all_count(&alive);
    if (query == NULL || !search_candidate_room(search, graph->effort_far)) {
        return ins_fail(error, INS_FULL, "no memory for %u candidates", graph->effort_far);
    }
    ins_status status = graph_scratch_make(view, graph->effort_far, &scratch, error);
    if (status == INS_OK) {
        graph->count = graph_candidates(view, scratch, query, graph->effort, all ? NULL : &filter,
                                        search->candidates);
        keep_nearest(search, view, scratch);
        graph->far = graph_was_far(scratch);
        search->rows_scanned += graph_cost(scratch);
        TRACE_COUNT(reader_trace(search->reader), walked, graph_cost(scratch));
        graph_fast_note(search, graph_cost(scratch));
        graph_scratch_free(scratch);
    }
    return status;
}

/* All chunks are at hand. INS_CORRUPT when they contradict the values. */
static ins_status walk(struct search *search, ins_error *error) {
    const struct search_graph *graph = &search->graph;
    struct reader *reader = search->reader;
    const struct extent *extent = &reader->runs[search->run].extent;
    struct section section = extent_slot_section(extent, graph->slots.head);
    struct slice bytes = {.data =
                              reader_slot_chunks(reader, search->run, graph->slots.head).chunks[0],
                          .size = (size_t)section.size};
    const struct graph_blocks blocks = {
        .codes = reader_slot_chunks(reader, search->run, graph->slots.codes).chunks,
        .factors = reader_slot_chunks(reader, search->run, graph->slots.factors).chunks,
        .links = reader_slot_chunks(reader, search->run, graph->slots.links).chunks};
    struct graph_head head;
    enum row_type type;
    struct graph *view;
    enum index_metric metric = search->vector->distance == INS_DISTANCE_DOT ? INDEX_DOT : INDEX_L2;
    if (!graph_head_parse(bytes, search->vector->shape.dim, search->run_vector.count, &head,
                          &type) ||
        head.metric != metric) {
        return ins_fail(error, INS_CORRUPT,
                        "file %llu, extent at %llu: the head of a graph contradicts its values",
                        (unsigned long long)extent->file, (unsigned long long)extent->offset);
    }
    ins_status status = graph_view(&head, &blocks, reader->context->arena, &view, error);
    if (status == INS_OK) {
        status = walk_view(search, view, error);
        graph_free(view);
    }
    return status == INS_INVALID ? INS_CORRUPT : status;
}

static ins_status find_candidates(struct search *search, uint64_t *budget, ins_error *error) {
    ins_error wrong = {0};
    uint64_t before = search->rows_scanned;
    bool walked;
    ins_status status = graph_fast_walk(search, &walked, &wrong);
    if (status == INS_OK && !walked) {
        status = bring(search, &wrong);
        status = status == INS_OK ? walk(search, &wrong) : status;
    }
    switch ((unsigned)status) {
    case INS_OK:
        release(search);
        search->graph.walked = true;
        if (search->graph.far && search->graph.scan_far) {
            scan_instead(search, "what passes the filter lies apart from the query");
        } else if (graph_filter_short(search)) {
            scan_instead(search, "a walk met too few rows that pass the filter");
        }
        search->reader->context->graphs.searches++;
        budget_charge(budget, search->rows_scanned - before);
        return INS_OK;
    case INS_CORRUPT:
        reader_note_damage(search->reader, search->run, wrong.message);
        give_up(search, DAMAGED);
        return INS_OK;
    case INS_IO:
        give_up(search, "the graph could not be read");
        return INS_OK;
    case INS_FULL:
        give_up(search, "no memory for a walk");
        return INS_OK;
    default:
        if (error != NULL) {
            *error = wrong;
        }
        return status;
    }
}

/* ---- The whole ---- */

/* *out_ready: the filter, if there is one, is judged. */
static ins_status judge(struct search *search, uint64_t *budget, bool *out_ready,
                        ins_error *error) {
    struct search_graph *graph = &search->graph;
    ins_status status = INS_OK;
    *out_ready = !graph->filtered || graph->judged;
    if (!*out_ready) {
        status = graph_filter_judge(search, budget, error);
        *out_ready = status == INS_OK && graph->judged;
        if (*out_ready && !graph_filter_walks(search)) {
            scan_instead(search, "the filter leaves too few rows, or leaves it to payloads");
        }
    }
    return status;
}

ins_status graph_run(struct search *search, uint64_t *budget, ins_error *error) {
    bool ready;
    ins_status judged = judge(search, budget, &ready, error);
    if (judged != INS_OK || !ready || !search->graph.on) {
        return judged;
    }
    struct search_graph *graph = &search->graph;
    ins_status status = graph->walked ? INS_OK : find_candidates(search, budget, error);
    if (status == INS_OK && graph->on) {
        status = search_rank(search, graph->count, &graph->next, budget, error);
        if (status == INS_OK && graph->next == graph->count) {
            graph->on = false;
            search->position = search->run_vector.count; /* nothing is left to scan */
        }
    }
    return status;
}
