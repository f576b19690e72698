/* A proximity graph over 4-bit codes, with exact rows for the last word.
 *
 * One level, bounded degree. A search scans the codes of a small random sample for places to begin,
 * walks by estimated distances (one cache line of code at 128 dimensions), and ranks what it found
 * by the rows themselves.
 * What a search reads may be the graph's own memory, or parts that lie elsewhere, such as in chunks
 * of a file (graph_view); then the caller ranks what the walk found by rows of its own.
 * Source: beam search and robust pruning after Subramanya et al., "DiskANN" (NeurIPS 2019); rows
 * are inserted one by one after Malkov, Yashunin, "HNSW"; codes: codes.h. Memory: everything from
 * the arena, in blocks of at most GRAPH_BLOCK_BYTES. Threads: a built graph is read-only; each
 * search has its own scratch. */
#ifndef INS_INDEX_GRAPH_H
#define INS_INDEX_GRAPH_H

#include "index/codes.h"
#include "index/index.h"
#include "index/links.h"
#include "index/row_blocks.h"

enum row_type {
    ROW_F32,
    ROW_F16,
    ROW_U8,
    ROW_REST /* as the rests of their codes: 1.25 bytes a dimension */
};

#define GRAPH_NONE UINT32_MAX /* no row */
#define GRAPH_SAMPLE_MAX 256u
#define GRAPH_EFFORT_MAX 65536u
#define GRAPH_ROWS_MAX LINK_NONE /* a search has a bit a row, in one block of the arena */
#define GRAPH_BLOCK_BYTES ROW_BLOCK_BYTES

struct graph_options {
    uint32_t dim;
    enum index_metric metric; /* cosine: rows come normalised, INDEX_L2 (the order is the same) */
    enum row_type type;       /* of the rows that are kept */
    uint32_t build_effort;    /* beam of an insertion; 0 = the default */
    float alpha;              /* pruning keeps a longer edge unless a kept one is alpha times
                                 nearer; 0 = the default */
    uint64_t seed;
};

struct graph {
    struct graph_options options;
    struct arena *arena;
    enum ins_mem_purpose purpose; /* what its memory is charged to */
    const struct kernels *kernels;
    struct rotation rotation;
    float *signs;
    float *own_centre;         /* NULL of a view */
    const float *centre;       /* [dim] */
    uint32_t count, capacity;  /* of links no row is followed that is not below the capacity */
    struct row_blocks rows;    /* as they were given; rests of codes when it is done */
    struct row_blocks codes;   /* 4-bit */
    struct row_blocks factors; /* struct code_factors; scale made ready for the metric */
    struct row_blocks links;   /* links.h */
    uint32_t sample[GRAPH_SAMPLE_MAX];
    uint32_t sample_count;
    uint32_t turns; /* graphs that some links came through before (graph_elder.h) */
};

struct graph_hit {
    float distance; /* squared Euclidean, or the negated dot product */
    uint32_t id;
};

/* ---- Building ---- */

/* In slices: begin, then graph_build_add for each of `count` rows in order, then graph_build_step
 * until it is done, then graph_build_take. INS_FULL when the arena is. All memory is there after
 * begin. The graph does not depend on how the slices are cut. */
struct graph_builder;
INS_MUST_USE ins_status graph_build_begin(const struct graph_options *options, uint32_t count,
                                          struct arena *arena, enum ins_mem_purpose purpose,
                                          struct graph_builder **out_builder, ins_error *error);
/* The beam of an insertion. */
uint32_t graph_build_effort(const struct graph_options *options);
/* What graph_build_begin takes for each row, about: to refuse before it is tried. */
uint64_t graph_build_bytes(const struct graph_options *options, uint64_t count);
void graph_build_add(struct graph_builder *builder, const float *row);
/* Goes on for about `rows` insertions. True: it is done. */
bool graph_build_step(struct graph_builder *builder, uint32_t rows);
/* Done, 0 .. 1000. */
uint32_t graph_build_progress(const struct graph_builder *builder);
/* The graph, the caller's from here on; frees the builder. */
struct graph *graph_build_take(struct graph_builder *builder);
void graph_build_free(struct graph_builder *builder); /* takes NULL */

/* The same in one go, charged to INS_MEM_CACHE. `rows`: row i is `row(context, i)`, [dim] floats,
 * valid until the next call. */
typedef const float *(*graph_row)(void *context, uint32_t row);
INS_MUST_USE ins_status graph_build(const struct graph_options *options, uint32_t count,
                                    graph_row row, void *context, struct arena *arena,
                                    struct graph **out_graph, ins_error *error);
void graph_free(struct graph *graph); /* takes NULL */
/* Frees the rows: enough for writing the rest. */
void graph_drop_rows(struct graph *graph);
/* Bytes that a search may touch: rows, codes, factors, links. */
uint64_t graph_bytes(const struct graph *graph);

/* ---- A graph that lies elsewhere ---- */

/* What it takes to search a graph beside its codes, factors and links; may be kept. */
struct graph_head {
    uint32_t dim, count, sample_count;
    enum index_metric metric;
    uint32_t turns, build_effort; /* of the graph that was made */
    uint64_t seed;
    const float *centre;    /* [dim] */
    const uint32_t *sample; /* [sample_count], rows */
};

void graph_head_of(const struct graph *graph, struct graph_head *out);
/* Codes, factors and links as the head's graph has them, in blocks of 1 << row_blocks_shift(stride)
 * rows; all borrowed, and read as far as `count` rows go, whatever they hold. `arena`: for the view
 * itself and the scratch of searches, INS_MEM_QUERY. Such a graph has no rows: graph_candidates
 * alone works on it. INS_INVALID when the head contradicts itself; INS_FULL. */
struct graph_blocks {
    const uint8_t *const *codes, *const *factors, *const *links;
};
INS_MUST_USE ins_status graph_view(const struct graph_head *head, const struct graph_blocks *blocks,
                                   struct arena *arena, struct graph **out_graph, ins_error *error);

/* ---- Searching ---- */

struct graph_scratch;
INS_MUST_USE ins_status graph_scratch_make(const struct graph *graph, uint32_t effort_max,
                                           struct graph_scratch **out_scratch, ins_error *error);
void graph_scratch_free(struct graph_scratch *scratch);
/* Of the beam's rows so many are ranked exactly for `limit` hits: with more of them next to nothing
 * is found that estimates of 4 bits a dimension put behind (decision 0042). A part of the effort at
 * least: of rows that lie closer together than estimates can tell, more effort finds more. */
static inline uint64_t graph_rerank(uint64_t limit, uint64_t effort) {
    uint64_t least = 2 * limit + 24;
    return effort / 2 > least ? effort / 2 : least;
}

/* Which rows count; others are walked over, and take no place among those that do. */
struct graph_filter {
    bool (*accept)(void *context, uint32_t row); /* asked for those that come near, some twice */
    void *context;
    /* A bit a row, set where `accept` is to be asked at all. The walk steps over rows without it,
     * over two links in one step, and keeps none of them: they cost a look at their links (Patel et
     * al., "ACORN", SIGMOD 2024). NULL: rows that do not count are walked over. */
    const uint64_t *passing;
    /* With `passing`: the effort where rows that pass lie farther from the query than chance would
     * have them, so that many are about as near; effort .. effort_max, 0 = effort. */
    uint32_t effort_far;
    bool stop_far; /* with `passing`: such a walk ends before its first step, with none */
};
/* The `limit` nearest rows, ascending, into out; returns how many. `effort`: width of the beam,
 * limit .. effort_max; `rerank`: how many of it are ranked exactly, 0 = all; `filter`: NULL when
 * all rows count. */
uint32_t graph_search(const struct graph *graph, struct graph_scratch *scratch, const float *query,
                      uint32_t limit, uint32_t effort, uint32_t rerank,
                      const struct graph_filter *filter, struct graph_hit *out);

/* The rows that count which the walk found nearest, ascending by estimate: out[effort, or
 * effort_far] and how many. `filter` NULL: all count. Where hardly any does the walk ends early,
 * with few or none: it has a bound, GRAPH_BEAM_MAX rows near the query. */
#define GRAPH_BEAM_MAX 8192u
uint32_t graph_candidates(const struct graph *graph, struct graph_scratch *scratch,
                          const float *query, uint32_t effort, const struct graph_filter *filter,
                          uint32_t *out);
/* Of the rows that the last graph_candidates found, `count` of them, nearest first: leaves those
 * that may be among the `limit` nearest of them, though estimates be wrong by so many standard
 * deviations, and returns how many. For Euclidean distances and at most GRAPH_CUT_MAX; else all. */
#define GRAPH_CUT_MAX 256u
uint32_t graph_cut(const struct graph *graph, struct graph_scratch *scratch, uint32_t limit,
                   float certainty, uint32_t *rows, uint32_t count);
/* Of the last search: what passes its filter lay apart from the query. */
bool graph_was_far(const struct graph_scratch *scratch);
/* Rows whose estimates the last search made: what it cost. */
uint64_t graph_cost(const struct graph_scratch *scratch);

#endif
