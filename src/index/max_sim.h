/* max_sim: how far a multivector is from a query of one row or more.
 *
 * Of each row of the query the least distance to a row of the value counts; these are added up. Of
 * Euclidean distances it is the squares that are added, as in Qdrant: flat_score() makes the root.
 * A value may have many rows, and so may a query: it is compared in pieces, of which a step does as
 * many as its budget lets it. */
#ifndef INS_INDEX_MAX_SIM_H
#define INS_INDEX_MAX_SIM_H

#include "index/index.h"

struct max_sim {
    struct flat flat; /* of the query's row at hand */
    const uint8_t *query;
    uint32_t query_rows, query_bytes; /* of a row */
    float *best;                      /* [query_rows] least distance so far */
    uint32_t row;  /* of the rows at hand: those before it were compared with all of the query's */
    uint32_t next; /* and those of the piece from `row` on with the query's rows before this */
};

/* `flat`: its query is the first of `query_rows` rows of `query_bytes`, one behind the other;
 * `best` is the caller's. All is borrowed. */
void max_sim_init(struct max_sim *sim, const struct flat *flat, uint32_t query_rows,
                  uint32_t query_bytes, float *best);
/* A new value. */
void max_sim_begin(struct max_sim *sim);
/* Compares `rows` [count] of the value, one behind the other. False when the budget, of which each
 * comparison of two rows takes one, was used up before: the same rows are to be given again. */
bool max_sim_rows(struct max_sim *sim, const void *rows, uint32_t count, uint64_t *budget);
/* Of the rows since max_sim_begin. */
float max_sim_distance(const struct max_sim *sim);

#endif
