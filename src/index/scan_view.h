/* A query over 1-bit codes that lie elsewhere, such as in chunks of a file: bounds of their rows;
 * and over 4-bit codes of the rows that those leave in doubt.
 *
 * What scan.h does with rows of its own, in the pieces that an engine needs, which has to wait for
 * bytes, to share its time, and to know of every row whether it counts.
 * Threads: a query is read-only once made. */
#ifndef INS_INDEX_SCAN_VIEW_H
#define INS_INDEX_SCAN_VIEW_H

#include "index/code4_bound.h"

struct scan_head {
    uint32_t dim, count;
    enum index_metric metric;
    uint64_t seed;
    const float *centre; /* [dim] */
};

struct scan_query {
    const struct kernels *kernels;
    struct code1_query code;
    struct code4_bound_query fine; /* after scan_query_refine */
    float shift;                   /* exact distance = estimate + shift */
    size_t words;
};

/* Of the memory that scan_query_make uses, and scan_query borrows. */
size_t scan_query_bytes(uint32_t dim);
/* The first so many of them are still looked at once the query is made; a multiple of 8. */
size_t scan_query_kept_bytes(uint32_t dim);
/* `values` [dim] floats; `memory` [scan_query_bytes] aligned to 8. False when the numbers are too
 * large for bounds in floats: the rows must be compared themselves. */
bool scan_query_make(const struct scan_head *head, const float *values, float certainty,
                     void *memory, struct scan_query *out);
/* `blocks`: of CODE1_ROWS rows each, one behind the other; `allowed`, `first`: as of
 * code1_bounds_allowed. out [block_count * CODE1_ROWS]: a lower bound, but for chance, of each
 * row's distance (squared Euclidean, or the negated product) less `shift`. */
void scan_query_bounds(const struct scan_query *query, const void *blocks, uint32_t block_count,
                       const uint64_t *allowed, uint32_t first, float *out);
/* Readies it for 4-bit codes of the same rotation and centre: in `memory`, what scan_query_make
 * had, right after it. */
void scan_query_refine(struct scan_query *query, uint32_t dim, float certainty, void *memory);
/* `rows`: their 4-bit codes, at most CODE4_BOUND_ROWS. out [count]: as scan_query_bounds, nearer.
 */
void scan_query_fine_bounds(const struct scan_query *query, const uint8_t *const *rows,
                            uint32_t count, uint32_t dim, float *out);
/* What a bound has to be at most, for the distance to be at most that. Never infinity. */
float scan_query_to_beat(const struct scan_query *query, float distance);

#endif
