/* A graph whose rows carry their neighbours' codes: a hop reads one contiguous block, which tells
 * how far all neighbours are. Two to three times the bytes of the graph that it is made from, for
 * half the time of a search.
 *
 * A block holds 1-bit codes of the row's neighbours, its links, and the row. The codes' error is a
 * part of the distance between the two rows, not of that to a centre, so it shrinks as the walk
 * comes near. A row's own distance is computed to 14 bits a dimension, or exactly, when the walk
 * comes to it, and an answer is ranked by these.
 * Source: code_list.h. Memory: everything from the arena. Threads: a made one is read-only; each
 * search has its own scratch. */
#ifndef INS_INDEX_GRAPH_FAST_H
#define INS_INDEX_GRAPH_FAST_H

#include "index/graph.h"

/* ---- Making (graph_fast_make.c) ---- */

struct fast_graph;
struct fast_builder;
/* In slices: begin, then fast_build_row and fast_build_links of all rows in their order, then
 * fast_build_step until it is done, then fast_build_take. `type`: ROW_U8 keeps rows as bytes, all
 * others are kept as code and rest. `head` is borrowed by this call alone. All memory is there
 * after begin. INS_INVALID when the head contradicts itself; INS_FULL when the arena is. */
INS_MUST_USE ins_status fast_build_begin(const struct graph_head *head, enum row_type type,
                                         struct arena *arena, enum ins_mem_purpose purpose,
                                         struct fast_builder **out_builder, ins_error *error);
/* What that takes, about. */
uint64_t fast_build_bytes(uint32_t dim, enum row_type type, uint64_t count);
void fast_build_row(struct fast_builder *builder, const float *row);
/* Of the next `count` rows, LINKS_BYTES each, whatever they say. */
void fast_build_links(struct fast_builder *builder, const void *links, uint32_t count);
/* Goes on for about `rows` rows. True: it is done. */
bool fast_build_step(struct fast_builder *builder, uint32_t rows);
struct fast_graph *fast_build_take(struct fast_builder *builder); /* frees the builder */
void fast_build_free(struct fast_builder *builder);               /* takes NULL */

/* The same in one go, from a built graph and the rows that it was built of. */
INS_MUST_USE ins_status fast_graph_make(const struct graph *graph, graph_row row, void *context,
                                        struct fast_graph **out_fast, ins_error *error);
void fast_graph_free(struct fast_graph *fast); /* takes NULL */
/* Bytes that a search may touch. */
uint64_t fast_graph_bytes(const struct fast_graph *fast);

/* ---- Searching (graph_fast.c) ---- */

#define FAST_BEAM_TIMES 8u /* the effort: rows near the query, for those that do not count */

struct fast_scratch;
INS_MUST_USE ins_status fast_scratch_make(const struct fast_graph *fast, uint32_t effort_max,
                                          struct fast_scratch **out_scratch, ins_error *error);
void fast_scratch_free(struct fast_scratch *scratch); /* takes NULL */
/* The `limit` nearest rows, ascending, into out; returns how many. `effort`: rows that the walk
 * keeps in view, limit .. effort_max: two to three times that of graph_search for the same recall.
 * `filter`: of it accept alone; rows that do not count are walked over. NULL: all count. 0 where so
 * few count that FAST_BEAM_TIMES the effort is too few rows. */
uint32_t fast_graph_search(const struct fast_graph *fast, struct fast_scratch *scratch,
                           const float *query, uint32_t limit, uint32_t effort,
                           const struct graph_filter *filter, struct graph_hit *out);
/* Rows that the last search came to. */
uint64_t fast_graph_hops(const struct fast_scratch *scratch);

/* ---- Measuring (graph_fast_measure.c) ---- */

/* How much more effort than graph_search this graph takes, by searches near rows of its own: one
 * query a step, so that others get their turn. */
struct fast_measure;
/* `effort`: usual for `limit` hits. INS_FULL. */
INS_MUST_USE ins_status fast_measure_begin(struct fast_graph *fast, uint32_t limit, uint32_t effort,
                                           struct fast_measure **out_measure, ins_error *error);
/* True: it is done. */
bool fast_measure_step(struct fast_measure *measure);
void fast_measure_free(struct fast_measure *measure); /* takes NULL */
/* What it found, in FAST_WIDENING_ONEs; 0 = the widest walk that was tried is not enough. Before:
 * FAST_WIDENING_USUAL. */
#define FAST_WIDENING_ONE 2u
#define FAST_WIDENING_LEAST (3 * FAST_WIDENING_ONE / 2)
#define FAST_WIDENING_USUAL (2 * FAST_WIDENING_ONE)
#define FAST_WIDENING_MOST (8 * FAST_WIDENING_ONE)
uint32_t fast_graph_widening(const struct fast_graph *fast);

#endif
