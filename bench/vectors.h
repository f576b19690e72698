/* Vectors like those of real documents, made from the repository's sample (WORKLOADS 2).
 *
 * Seeds are the sample's rows; a made vector is unit(s + 0.7/sqrt(8) * the sum of 8 neighbours'
 * differences times Gauss); a query is a made vector moved by the difference between a real short
 * query and its real document. Everything follows from the random stream that is passed, so any
 * vector can be made again. The neighbours of a seed are found when it is first used. One thread.
 */
#ifndef INS_BENCH_VECTORS_H
#define INS_BENCH_VECTORS_H

#include "bench.h"

#define NEIGHBOURS 16u
#define VECTOR_TEXT_MAX 1536u /* of BENCH_DIM numbers of six digits as a JSON array */

struct vectors {
    float *rows; /* [count][BENCH_DIM] */
    uint32_t count;
    uint16_t (*near)[NEIGHBOURS]; /* [count] */
    bool *known;                  /* [count]: near is computed */
    float *shifts;                /* [shift_count][BENCH_DIM]: query minus its document */
    uint32_t shift_count;
};

/* Reads sample.f16bin and, `with_queries`, query.f16bin and docquery.f16bin beside it.
 * False: said on the standard error. */
bool vectors_open(struct vectors *vectors, const char *sample, bool with_queries);
void vectors_close(struct vectors *vectors); /* takes a zeroed one */

/* The nearest rows of a row, nearest first. */
const uint16_t *vectors_near(struct vectors *vectors, uint32_t row);
void vectors_make(struct vectors *vectors, uint32_t row, struct random *random, float *out);
/* vector := unit(vector + a random shift). */
void vectors_shift(const struct vectors *vectors, struct random *random, float *vector);

float vectors_dot(const float *left, const float *right);
/* JSON array of six digits a number into out[VECTOR_TEXT_MAX]; returns its length. */
size_t vectors_text(const float *vector, char *out);

#endif
