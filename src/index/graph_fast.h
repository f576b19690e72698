/* A graph whose rows carry their neighbours' codes: a hop reads one contiguous block, which tells
 * how far all neighbours are. Two to three times the bytes of the graph that it is made from, for
 * half the time of a search.
 *
 * A block holds 1-bit codes of the row's neighbours, its links, and the row. The codes' error is a
 * part of the distance between the two rows, not of that to a centre, so it shrinks as the walk
 * comes near. A row's own distance is computed exactly when the walk comes to it, and an answer is
 * ranked by these.
 * Source: code_list.h. Memory: everything from the arena. Threads: a made one is read-only; each
 * search has its own scratch. */
#ifndef INS_INDEX_GRAPH_FAST_H
#define INS_INDEX_GRAPH_FAST_H

#include "index/graph.h"

struct fast_graph;
/* From a built graph and the rows that it was built of. Its type says how rows are kept: bytes as
 * they are, all others as code and rest. Euclidean distances (so unit rows' cosine) alone:
 * INS_INVALID for products. INS_FULL when the arena is. */
INS_MUST_USE ins_status fast_graph_make(const struct graph *graph, graph_row row, void *context,
                                        struct fast_graph **out_fast, ins_error *error);
void fast_graph_free(struct fast_graph *fast); /* takes NULL */
/* Bytes that a search may touch. */
uint64_t fast_graph_bytes(const struct fast_graph *fast);

struct fast_scratch;
INS_MUST_USE ins_status fast_scratch_make(const struct fast_graph *fast, uint32_t effort_max,
                                          struct fast_scratch **out_scratch, ins_error *error);
void fast_scratch_free(struct fast_scratch *scratch); /* takes NULL */
/* The `limit` nearest rows, ascending, into out; returns how many. `effort`: rows that the walk
 * keeps in view, limit .. effort_max: two to three times that of graph_search for the same recall.
 */
uint32_t fast_graph_search(const struct fast_graph *fast, struct fast_scratch *scratch,
                           const float *query, uint32_t limit, uint32_t effort,
                           struct graph_hit *out);

#endif
