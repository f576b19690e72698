/* Scores of one row against examples: what recommend, discover and context sort by.
 *
 * A similarity is larger where a row is nearer: the dot product, or the distance below zero (of
 * Euclid its square). Scores are Qdrant's, so that thresholds mean the same. */
#ifndef INS_QUERY_SCORE_H
#define INS_QUERY_SCORE_H

#include "query/query.h"

struct score_vector { /* one row of floats, or of a multivector several, as stored ones are */
    const float *values;
    uint32_t rows;
};

/* Numbers of one point that are compared with those of examples, of multivectors: some 20 ms. */
#define SCORE_WORK_MAX (1ull << 28)

struct scorer {
    ins_rank_kind kind;
    struct flat flat;                               /* of floats, whatever the rows are stored as */
    const struct score_vector *positive, *negative; /* as stored vectors are: normalised */
    uint32_t positive_count, negative_count;
    struct score_vector target; /* NEAREST, AVERAGE, DISCOVER */
    uint64_t rows;              /* of all that a point is compared with */
};

/* Stored values of `rows` rows, loaded as floats, to what is compared: bytes of a cosine have no
 * length of one. */
void score_direct(const struct schema_vector *vector, float *values, uint32_t rows);
/* Larger is better. Cost: scorer->rows * row->rows comparisons. */
double score_row(const struct scorer *scorer, const struct score_vector *row);
/* As it is shown: of the nearest to one vector, Qdrant's distance. */
float score_shown(const struct scorer *scorer, double score);
/* True when a shown score passes the threshold. */
bool score_passes(const struct scorer *scorer, float shown, float threshold);

#endif
