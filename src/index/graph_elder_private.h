/* What a builder sees of an older graph's links. */
#ifndef INS_INDEX_GRAPH_ELDER_PRIVATE_H
#define INS_INDEX_GRAPH_ELDER_PRIVATE_H

#include "index/graph_elder.h"

#define SLACK 2u /* lists hold so many times the degree while they grow */
#define GROWING (SLACK * GRAPH_DEGREE)

struct graph_elder {
    struct arena *arena;
    enum ins_mem_purpose purpose;
    uint32_t count, stay, turns;
    struct row_blocks rows;  /* uint32_t: where each stands now */
    struct row_blocks links; /* links.h */
};

/* GRAPH_NONE: it is gone. */
static inline uint32_t elder_row(const struct graph_elder *elder, uint32_t old) {
    return *(const uint32_t *)row_at(&elder->rows, old);
}

/* Neighbours for a row that stays, in new numbers: out[GROWING], each once, not the row itself. 0:
 * too many are gone. */
uint32_t elder_list(const struct graph_elder *elder, uint32_t old, uint32_t *out);

#endif
