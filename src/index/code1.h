/* Rotated 1-bit codes of rows with a bound of their error: for a scan that leaves out, without
 * looking at them, the rows that cannot be among the nearest.
 *
 * A row is moved by the centre, rotated, and keeps the signs of its dimensions; what it multiplies
 * makes the estimate of a product with the query unbiased, and how well the signs keep its
 * direction gives the standard deviation of that estimate, over random rotations.
 * Source: Gao, Long, "RaBitQ" (SIGMOD 2024). Layout: kernel/codes.h. */
#ifndef INS_INDEX_CODE1_H
#define INS_INDEX_CODE1_H

#include "index/codes.h"
#include "index/index.h"

/* Standard deviations by which bounds lie below estimates. Of rows that are just near enough one in
 * some 700, 40, or 15 is missed, of all others fewer (decisions 0024, 0051). */
#define CODE1_SURE 3.0f
#define CODE1_ROUGH 2.0f
#define CODE1_ROUGHER 1.5f

/* Rows and queries of a squared length above this are too large for bounds in floats. */
#define CODE1_NORM_MAX 1e30f

/* Writes row `row` of a block (0 .. CODE1_ROWS - 1) from `rotated` [padded]. Its factors make
 * kernels->code1_bounds give the square of the Euclidean distance less that of the query, or the
 * negated product, less `slack` standard deviations of it. A row above CODE1_NORM_MAX gets factors
 * -FLT_MAX, 0, 0: the least of all bounds. */
void code1_encode(const float *rotated, uint32_t padded, enum index_metric metric, void *block,
                  uint32_t row);
/* `planes` [CODE1_PLANES * code1_words(padded)] is filled and kept. `certainty`: by how many
 * standard deviations an estimate is lowered. */
void code1_query_make(const float *rotated, uint32_t padded, float certainty, uint64_t *planes,
                      struct code1_query *out);
/* kernels->code1_bounds of blocks whose first row is bit `first` (a multiple of CODE1_ROWS) of
 * `allowed`; NULL: all are. Where few are, blocks without any are not read: the bounds of rows that
 * are not allowed may be anything. */
void code1_bounds_allowed(const struct kernels *kernels, const struct code1_query *query,
                          const void *blocks, uint32_t block_count, size_t words,
                          const uint64_t *allowed, uint32_t first, float *out);

#endif
