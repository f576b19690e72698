/* The links of an older graph over many of the same rows: a builder that has them inserts the other
 * rows only.
 * A row keeps its neighbours that are still there. Those that are gone are made up for by theirs
 * (after Singh et al., "FreshDiskANN", 2021), as many as a growing list holds, which is pruned like
 * any; a row that lost more than a quarter of its links is inserted anew.
 * Memory: 100 bytes a row of the older graph, from the arena, taken at once. */
#ifndef INS_INDEX_GRAPH_ELDER_H
#define INS_INDEX_GRAPH_ELDER_H

#include "index/graph.h"

/* Links may come through so many graphs one after the other: each time some recall at low efforts
 * is lost (decision 0041). */
#define GRAPH_TURNS_MAX 6u

struct graph_elder;

uint64_t graph_elder_bytes(uint32_t count);
/* Of a graph of `count` rows, all of them gone as long as nobody says otherwise. INS_FULL. */
INS_MUST_USE ins_status graph_elder_make(uint32_t count, uint32_t turns, struct arena *arena,
                                         enum ins_mem_purpose purpose,
                                         struct graph_elder **out_elder, ins_error *error);
void graph_elder_free(struct graph_elder *elder); /* takes NULL */
/* Row `old` of the older graph is row `row` of the new one, with the same values. */
void graph_elder_row(struct graph_elder *elder, uint32_t old, uint32_t row);
/* `links`: LINKS_BYTES as links.h has them, of every row, with whatever numbers. */
void graph_elder_links(struct graph_elder *elder, uint32_t old, const void *links);
/* True: enough rows stay for a graph of `count` rows to begin with their links. */
bool graph_elder_worth(const struct graph_elder *elder, uint32_t count);

/* Behind the last graph_build_add, before the first step: the elder is the builder's from here on;
 * it is used if it is worth it. */
void graph_build_elder(struct graph_builder *builder, struct graph_elder *elder);

#endif
