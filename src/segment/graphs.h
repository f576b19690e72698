/* Graphs of large extents: for one vector a head, 4-bit codes with their factors, and links.
 * Format: docs/FORMATS.md "Graph".
 *
 * Row i of codes, factors and links belongs to value i of the vector's dense section. All of them
 * lie in chunks of a power of two of rows, so that index/graph.h walks over chunks as they are.
 * Damage of a graph hides no row: who meets it scans the values. */
#ifndef INS_SEGMENT_GRAPHS_H
#define INS_SEGMENT_GRAPHS_H

#include "index/graph.h"
#include "segment/segment.h"

/* What a source gives the writer: `graph` is over the values of source->vectors[vector]. */
struct extent_graph {
    uint32_t vector;
    const struct graph *graph;
};

/* Slots of one vector's graph. */
struct graph_slots {
    uint32_t head, codes, factors, links;
};
/* False when the extent has no graph of the vector. */
bool extent_graph(const struct extent *extent, uint32_t vector_id, struct graph_slots *out);
/* Bytes of all four. */
uint64_t extent_graph_bytes(const struct extent *extent, const struct graph_slots *slots);

#define GRAPH_HEAD_BYTES 32u
static inline uint32_t graph_head_bytes(uint32_t dim, uint32_t sample_count) {
    return GRAPH_HEAD_BYTES + (dim + sample_count) * 4;
}
/* `bytes` is the section, aligned to 4, and borrowed. False when it is no head of a graph over
 * `count` values of `dim` numbers. *out_type: of the rows that it was built with. */
bool graph_head_parse(struct slice bytes, uint32_t dim, uint32_t count, struct graph_head *out,
                      enum row_type *out_type);

#endif
