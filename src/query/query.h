/* One search: exact over an island's memtables and runs, top-k shared over islands.
 *
 * Path: search_init once; for each island search_begin_island, then search_step until it is done
 * (INS_AGAIN: wait; not done: yield and call again); search_finish sorts and cuts.
 * Per batch of rows: distances by one kernel call, the few below the bound are checked by id
 * against newer sources, then by the filter, then offered. A batch either happens whole or, when
 * bytes are missing, not at all, so that a repeated step offers nothing twice.
 * Threads: the request lane. Knows islands, no tenants' names but to put the tenant field back. */
#ifndef INS_QUERY_QUERY_H
#define INS_QUERY_QUERY_H

#include "index/max_sim.h"
#include "payload/payload.h"
#include "query/patches.h"
#include "query/plan.h"
#include "segment/graphs.h"
#include "segment/scans.h"
#include "tenant/reader.h"

/* What answers carry of a point. */
struct point_fields {
    const ins_selector *selector;
    const struct schema *schema; /* held by the operation */
    uint64_t vectors;            /* bit i: schema->vectors[i] */
    const ins_text *names;       /* of schema->vectors, in the pool: answers outlive the schema */
};

/* INS_INVALID when the request names a vector that the schema lacks. */
INS_MUST_USE ins_status point_fields_init(struct point_fields *fields, const struct schema *schema,
                                          const ins_points_request *request, struct pool *pool,
                                          ins_error *error);

struct search_hit {
    struct place place;
    ins_id id;
    uint32_t island; /* number of the island in the order of search_begin_island */
    uint64_t scope;  /* key of that island's */
    bool taken;      /* point is filled */
    ins_point point;
};

/* The walk over the graph of the run being searched. */
struct search_graph {
    bool on;               /* the run is searched by it; not yet done */
    const char *why;       /* not by it */
    bool walked;           /* candidates are those of the run */
    bool filtered, judged; /* may_pass and is_sure are those of the run */
    struct graph_slots slots;
    uint32_t effort, effort_far;    /* far: of a filter whose rows lie apart from the query */
    bool scan_far, far;             /* such rows are scanned; they do lie so */
    float certainty;                /* of a scan in place of the walk; 0: as of any scan */
    uint32_t group;                 /* that is judged next */
    uint32_t may_count, sure_count; /* rows that may pass, that do */
    uint32_t count, next;           /* of the candidates, and the first that is not ranked */
};

/* The multivector that is being compared. */
struct search_value {
    bool open;
    bool sure; /* its point passes the filter */
    struct place place;
    ins_id id;
    uint32_t rows;
    const void *data; /* [rows] in memory, or */
    uint32_t at, end; /* positions in search->run: of the next row, and behind the last */
};

/* The scan over the codes of the run being searched, a tile of rows after the other. */
struct search_codes {
    bool on;      /* the run is scanned by them; not yet done */
    bool begun;   /* the query is made */
    bool damaged; /* codes are not looked at any more */
    struct scan_slots slots;
    struct scan_query query;
    struct scan_layout layout;
    bool fine;              /* there are 4-bit codes, for a second look */
    bool refining, seeding; /* at the candidates; these are the first ones by bound */
    uint32_t refined, kept; /* of them were looked at again; are still in doubt */
    uint32_t first, rows;   /* the tile */
    uint32_t bounded;       /* of its rows have bounds */
    bool seeded;            /* the first ones by bound are ranked, or need not be */
    uint32_t next;          /* of its rows the first that was not looked at */
    uint32_t count, ranked; /* of the candidates, and those that are dealt with */
};

struct codes_tile;
struct multi_codes;

struct search {
    /* Set by search_init, the same for all islands. */
    struct flat flat;
    struct max_sim max_sim;             /* near a multivector */
    const struct schema_vector *vector; /* that is searched */
    uint32_t limit, offset;
    bool has_threshold;
    float threshold; /* as a distance */
    const ins_id *exclude;
    struct pool *pool;
    struct json_parser *parser;
    const struct point_fields *fields;
    /* Results so far. */
    struct topk topk;
    struct search_hit *hits; /* [capacity], slots of the heap */
    uint32_t hit_count;
    uint32_t free_slot;
    bool short_of_hits; /* of search_finish */
    /* How the request wants the nearest to be looked for. */
    bool exact, indexed_only, ignore_codes;
    bool rough;               /* codes need not be as sure */
    double oversampling;      /* of walks; 0: any */
    bool graph_always;        /* tests: whatever it costs */
    bool codes_always;        /* the same of codes */
    uint32_t graph_effort;    /* as it is asked for; 0 = by the limit */
    uint64_t graph_bytes_due; /* of a vector in an extent that is to have a graph */
    uint32_t *candidates;     /* [candidate_room] of walks, in the pool */
    uint32_t candidate_room;
    uint64_t *may_pass, *is_sure; /* [bit_bytes] a bit a row of the run, in the pool */
    size_t bit_bytes;
    float *graph_query;      /* where it is not flat.query; in the pool */
    struct codes_tile *tile; /* of scans over codes, and what their query takes; in the pool */
    void *codes_query;
    struct multi_codes *multi_codes; /* the same near a multivector */
    /* The island being searched. */
    struct reader *reader;
    const struct filter *filter;
    const struct payload_path *tenant_path; /* to put back; NULL for the common island */
    uint32_t island;
    enum { SEARCH_LOAD, SEARCH_MEMTABLES, SEARCH_RUNS, SEARCH_PATCHES, SEARCH_TAKE } stage;
    uint32_t which;
    const struct memrow *next_row;
    uint32_t run;
    bool in_run, has_vector;         /* values are those of the run, which has some */
    bool group_dense;                /* most rows of the plan's group may pass */
    struct extent_vector run_vector; /* of search->run */
    uint32_t position;               /* of the next of its values */
    struct plan plan;                /* of the filter */
    struct search_graph graph;       /* of the run */
    struct search_codes codes;       /* of the run */
    struct patches patches;
    struct search_value value; /* near a multivector */
    uint64_t rows_scanned;
};

/* `request` gives limit, offset, threshold; `query`: `query_rows` rows as vector_query() makes
 * them, 1 but near multivectors. `row_bound`: no more hits than this can come. INS_FULL when the
 * pool is. */
INS_MUST_USE ins_status search_init(struct search *search, const ins_points_request *request,
                                    const struct schema_vector *vector, const void *query,
                                    uint32_t query_rows, const struct point_fields *fields,
                                    uint64_t row_bound, const ins_id *exclude, struct pool *pool,
                                    struct json_parser *parser, ins_error *error);
/* `filter` NULL: every row. The reader is open on the island. */
void search_begin_island(struct search *search, struct reader *reader, const struct filter *filter,
                         const struct payload_path *tenant_path);
/* Works through at most `row_budget` rows. *out_done: the island is finished and may be closed. */
INS_MUST_USE ins_status search_step(struct search *search, uint64_t row_budget, bool *out_done,
                                    ins_error *error);
/* Points in order of nearness, without `offset` first ones; in the pool. search->short_of_hits: a
 * point that moved was met twice and took the place of another one, which is missing. */
INS_MUST_USE ins_status search_finish(struct search *search, ins_points *out_points,
                                      ins_error *error);

/* A stored point as an answer: id, version, payload with its tenant field, vectors by `fields`.
 * Everything is copied into the pool. INS_AGAIN as in reader.h. Shared with get and scroll. */
INS_MUST_USE ins_status point_take(struct reader *reader, const struct place *place,
                                   const struct payload_path *tenant_path,
                                   const struct point_fields *fields, struct pool *pool,
                                   ins_point *out, ins_error *error);

/* True when the place's row passes. INS_AGAIN when its payload is on its way; INS_INVALID when the
 * row takes too much work. */
INS_MUST_USE ins_status place_matches(struct reader *reader, const struct place *place,
                                      const struct filter *filter,
                                      const struct payload_path *tenant_path,
                                      struct json_parser *parser, bool *out_match,
                                      ins_error *error);
/* What the matches since the last call cost, in rows of a step's budget. */
uint64_t filter_rows_worth(struct reader *reader);
/* Takes `rows` from what is left of a step's budget. */
static inline void budget_charge(uint64_t *budget, uint64_t rows) {
    *budget -= rows < *budget ? rows : *budget;
}

/* Brings what filters on vectors look at of a run. */
INS_MUST_USE ins_status run_bring_vector_rows(struct reader *reader, uint32_t run,
                                              ins_error *error);

#endif
