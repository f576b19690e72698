/* What a graph job reads of an elder (elders.h): which of its rows are still there with the same
 * values, and their links. Whatever goes wrong with it, the graph is made without. Background lane.
 *
 * Path: heritage_open; of each vector heritage_begin, heritage_row for each of the run's rows in
 * the order of their ids, heritage_links until it is done, heritage_take. */
#ifndef INS_ENGINE_HERITAGE_H
#define INS_ENGINE_HERITAGE_H

#include "index/graph_elder.h"
#include "segment/graphs.h"
#include "segment/row_stream.h"

struct heritage {
    struct run run; /* the elder; its file is pinned; size_64 0: there is none */
    uint64_t file;
    struct arena *arena;
    struct row_stream *stream; /* of the elder */
    uint32_t value_bytes;
    struct graph_slots slots;
    struct graph_elder *elder; /* NULL: nothing is inherited */
    struct extent_row row;     /* of the elder, next to be compared */
    uint32_t value;            /* its number among those that have the vector */
    uint32_t values, next;     /* of the elder's graph; whose links are read next */
    bool end;
};

/* `shapes` [shape_count] are borrowed until heritage_close. */
void heritage_open(struct heritage *heritage, ins_store *store, struct arena *arena,
                   uint64_t incarnation, const struct vector_shape *shapes, uint32_t shape_count);
/* For a graph with these options of shapes[vector]. */
void heritage_begin(struct heritage *heritage, const struct vector_shape *shapes, uint32_t vector,
                    const struct graph_options *options);
/* The run's row has `values`, and will be number `row` of the graph. */
void heritage_row(struct heritage *heritage, const ins_id *id, const void *values, uint32_t row);
/* Reads about so many rows' links; true: all are read. */
bool heritage_links(struct heritage *heritage, uint32_t rows);
/* The caller's; NULL: there is nothing. */
struct graph_elder *heritage_take(struct heritage *heritage);
void heritage_close(struct heritage *heritage);

#endif
