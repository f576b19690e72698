/* Scores of one row against examples: what recommend, discover and context sort by.
 *
 * A similarity is larger where a row is nearer: the dot product, or the distance below zero (of
 * Euclid its square). Scores are Qdrant's, so that thresholds mean the same. */
#ifndef INS_QUERY_SCORE_H
#define INS_QUERY_SCORE_H

#include "query/query.h"

struct scorer {
    ins_rank_kind kind;
    struct flat flat;                               /* of floats, whatever the rows are stored as */
    const float *const *positive, *const *negative; /* as stored vectors are: normalised */
    uint32_t positive_count, negative_count;
    const float *target; /* NEAREST, AVERAGE, DISCOVER */
};

/* Stored values, loaded as floats, to what is compared: bytes of a cosine have no length of one. */
void score_direct(const struct schema_vector *vector, float *values);
/* Larger is better. `row` [dim]. */
double score_row(const struct scorer *scorer, const float *row);
/* As it is shown: of the nearest to one vector, Qdrant's distance. */
float score_shown(const struct scorer *scorer, double score);
/* True when a shown score passes the threshold. */
bool score_passes(const struct scorer *scorer, float shown, float threshold);

#endif
