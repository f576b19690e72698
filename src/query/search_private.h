/* What the files of one search share: search.c (memtables, answers), search_run.c (scanning runs),
 * search_codes.c (scanning 1-bit codes), search_graph.c (walking graphs), search_rank.c. */
#ifndef INS_QUERY_SEARCH_PRIVATE_H
#define INS_QUERY_SEARCH_PRIVATE_H

#include "query/query.h"

struct batch {
    float distances[FLAT_BATCH];
    uint16_t selected[FLAT_BATCH];
    struct place places[FLAT_BATCH];
    ins_id ids[FLAT_BATCH]; /* of runs' rows */
    uint32_t count;
    /* Of runs. */
    uint32_t superseded;            /* of the selected: a newer source has the id */
    bool gathered;                  /* items stand at `positions`, else one behind the other */
    uint32_t positions[FLAT_BATCH]; /* of the vector's values */
    bool sure[FLAT_BATCH];          /* places that pass the filter by its plan alone */
};

/* Distance that a hit must not be above. */
float search_bound(const struct search *search);
/* So many distances were computed. */
static inline void search_count_rows(const struct search *search, uint64_t rows) {
    struct trace *trace = reader_trace(search->reader);
    TRACE_COUNT(trace, scanned, rows);
    TRACE_ADD(trace, bytes_compared, rows * vector_bytes(&search->vector->shape));
}
void search_offer(struct search *search, float distance, const ins_id *id,
                  const struct place *place);

/* ---- Runs (search_run.c) ---- */

/* Goes on with the island's runs. search->run = reader->run_count: all are done. */
INS_MUST_USE ins_status search_runs(struct search *search, uint64_t *budget, ins_error *error);
/* Scans values from search->position on, or picks those that the plan leaves. `end`: of the run, or
 * of the plan's group. */
INS_MUST_USE ins_status search_scan_to(struct search *search, uint32_t end, uint64_t *budget,
                                       ins_error *error);
/* Items of the batch, whose distances are known, that are near enough, newest and pass the filter
 * are offered. *out_items: as many of them as are dealt with; the others want to be tried again. */
INS_MUST_USE ins_status search_take_batch(struct search *search, struct batch *batch,
                                          uint32_t *out_items, ins_error *error);

/* ---- Multivectors (search_multi.c): the same three scans ---- */

INS_MUST_USE ins_status multi_memtables(struct search *search, uint64_t *budget, ins_error *error);
INS_MUST_USE ins_status multi_run(struct search *search, uint64_t *budget, ins_error *error);
INS_MUST_USE ins_status multi_patches(struct search *search, uint64_t *budget, bool *out_end,
                                      ins_error *error);
/* A point of a run: the values [at, end) are its. */
struct multi_point {
    uint32_t row, at, end;
    bool sure; /* it passes the filter */
};
/* What the useful plan of the filter says of the row. */
INS_MUST_USE ins_status multi_ask_plan(struct search *search, uint32_t row, uint64_t *budget,
                                       bool *out_may, bool *out_sure, ins_error *error);
/* Compares the point, if it counts, and offers it. *out_done false: the budget is used up, and the
 * same point is to be given again; as it is when INS_AGAIN. */
INS_MUST_USE ins_status multi_rank(struct search *search, const struct multi_point *point,
                                   uint64_t *budget, bool *out_done, ins_error *error);

/* ---- Multivectors by 1-bit codes (search_multi_codes.c) ---- */

/* Room for it in the pool; false when it is not possible, or not worth it. */
bool multi_codes_room(struct search *search);
/* As codes_run, of a run of multivectors for which codes_enter said so. */
INS_MUST_USE ins_status multi_codes_run(struct search *search, uint64_t *budget, ins_error *error);

/* ---- Candidates (search_rank.c) ---- */

/* The query as floats, of length one for a cosine: as graphs and codes know rows. In the pool, or
 * as it is. NULL: no memory. */
const float *search_float_query(struct search *search);
/* Room for so many in search->candidates; false: no memory. */
bool search_candidate_room(struct search *search, uint32_t count);
/* Ranks those from *next on, ascending positions of the run's values, by their values. *next: the
 * first that is not dealt with; not `count` when the budget is used up. */
INS_MUST_USE ins_status search_rank(struct search *search, uint32_t count, uint32_t *next,
                                    uint64_t *budget, ins_error *error);

/* ---- 1-bit codes (search_codes.c) ---- */

#define CODES_SEEDS_MAX 2048u /* first ones by bound that are ranked, at most: two a hit */
#define CODES_TILE 16384u     /* rows whose bounds are held at once */
/* What a scan over codes keeps of the tile that it is at. In the pool. */
struct codes_tile {
    float bounds[CODES_TILE];
    uint64_t may_pass[CODES_TILE / 64], is_sure[CODES_TILE / 64];
    float fine[CODES_SEEDS_MAX]; /* nearer bounds of the candidates */
};

/* Whether the run just entered can be scanned by its codes: search->codes.on. */
void codes_enter(struct search *search);
/* Goes on with it. search->codes.on false when it is done, or when the rest of the run, from
 * search->position on, must be scanned row by row. */
INS_MUST_USE ins_status codes_run(struct search *search, uint64_t *budget, ins_error *error);
/* ---- The second look, in 4 bits (search_codes_fine.c) ---- */

/* The candidates are new. */
void codes_refine_begin(struct search *search);
/* Leaves those of them whose bound is not above `to_beat`; codes.refining false when it is done. */
INS_MUST_USE ins_status codes_refine(struct search *search, float to_beat, uint64_t *budget,
                                     ins_error *error);
/* Leaves at most so many, the first by that bound; the others' bounds in the tile are theirs. */
void codes_choose_seeds(struct search *search, uint32_t most);

/* What the scans of plain vectors' and of multivectors' codes share: */
#define CODES_NO_QUERY "there is no memory, or numbers are too large for bounds"
/* The head of the run's codes. INS_CORRUPT; INS_AGAIN. */
INS_MUST_USE ins_status codes_head(struct search *search, struct scan_head *out, ins_error *error);
/* It is not needed any more. */
void codes_head_done(struct search *search);
/* Standard deviations by which estimates are lowered. */
float codes_certainty(const struct search *search);
/* `distance`, as vectors are compared, as codes estimate it: the sum over so many rows. */
float codes_distance(const struct search *search, float distance, float rows);
/* Codes could not be read, or are wrong: they are not looked at any more. */
void codes_note_damage(struct search *search, ins_status status, const ins_error *error);
/* The rest of the run is compared row by row. */
void codes_scan_instead(struct search *search, const char *why);

/* ---- Graphs (search_graph.c) ---- */

#define EFFORT_WALK_MAX                                                                            \
    2048u /* a walk goes in one go, some 5 us a place; wider ones are scans, which take turns */
/* Whether the run just entered is searched by its graph: search->graph.on. */
void graph_enter(struct search *search);
/* Walks, then ranks what it found; search->graph.on false when it is done, or when the run must be
 * scanned after all: then search->position is 0. */
INS_MUST_USE ins_status graph_run(struct search *search, uint64_t *budget, ins_error *error);
/* Which rows a walk finds: those that pass the filter and have no newer version. */
struct alive {
    struct search *search;
    struct chunks ids;
    bool check; /* a newer source may have ids of the run */
};
struct alive graph_alive(struct search *search);
/* As graph_filter.accept; the context is struct alive. */
bool graph_row_counts(void *context, uint32_t position);
/* All rows do. */
static inline bool graph_all_count(const struct alive *alive) {
    return !alive->check && !alive->search->graph.filtered;
}
/* How many of the nearest by estimate are ranked by their values, `wanted` of them if nothing asks
 * for more; where only payloads decide whether some pass: all in view. */
uint32_t graph_ranked(const struct search *search, uint64_t wanted);
/* Values that lie together are looked at together. */
void graph_sort_candidates(struct search *search);

/* ---- The fast layout (search_graph_fast.c) ---- */

/* Walks over it, if it is in memory and suits the filter: search->candidates, graph.count. The
 * graph need not have been read. *out_walked false: the other layout is to be walked over.
 * INS_FULL. */
INS_MUST_USE ins_status graph_fast_walk(struct search *search, bool *out_walked, ins_error *error);
/* The other layout was walked over, looking at so many rows: where the fast one would have suited,
 * but is not there, it may be made. */
void graph_fast_note(struct search *search, uint64_t looked_at);

/* ---- Filters of graphs (search_graph_filter.c) ---- */

/* Whether the run's indexes decide the filter, at least in part, and there is memory. */
bool graph_filter_possible(struct search *search);
/* Fills search->may_pass and is_sure, a group of rows after the other; graph.judged: all. */
INS_MUST_USE ins_status graph_filter_judge(struct search *search, uint64_t *budget,
                                           ins_error *error);
/* Then: whether a walk is worth it, and how many places it keeps in view: graph.effort, effort_far.
 * Else the run is scanned. */
bool graph_filter_walks(struct search *search);
/* After the walk: it found too few for what passes; the run is scanned. */
bool graph_filter_short(const struct search *search);
/* Of the run's rows while graph.on, of the tile's while codes.on, else of the plan's group. */
static inline bool search_may_pass(const struct search *search, uint32_t row) {
    if (search->graph.on) {
        return (search->may_pass[row / 64] >> (row % 64) & 1) != 0;
    }
    uint32_t in_tile = row % CODES_TILE;
    return search->codes.on ? (search->tile->may_pass[in_tile / 64] >> (in_tile % 64) & 1) != 0
                            : plan_may_pass(&search->plan, row);
}
static inline bool search_is_sure(const struct search *search, uint32_t row) {
    if (search->graph.on) {
        return (search->is_sure[row / 64] >> (row % 64) & 1) != 0;
    }
    uint32_t in_tile = row % CODES_TILE;
    return search->codes.on ? (search->tile->is_sure[in_tile / 64] >> (in_tile % 64) & 1) != 0
                            : plan_is_sure(&search->plan, row);
}

/* True when nothing of the run is to be looked at: it is to have a graph and has none. */
bool graph_passes_over(const struct search *search);

#endif
