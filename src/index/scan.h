/* A flat search over 1-bit codes: all codes are read, in order, and only the rows whose bound says
 * that they may be among the nearest are ranked exactly.
 *
 * For extents that are too large to scan whole rows and too small, or too young, for a graph:
 * nothing is trained, a row costs its encoding. Queries of one call share the pass over the codes.
 * Path of a tile of some thousand rows: bounds of all its rows, but for blocks of which the filter
 * lets none pass; as long as too few are known the first ones by bound are ranked, for a distance
 * to beat; then, in order, every row that passes and whose bound is below that.
 * Rows themselves are the caller's, who ranks them (scan_rank). Memory: from the arena. Threads:
 * codes that are not added to are read-only; each search has its own scratch. */
#ifndef INS_INDEX_SCAN_H
#define INS_INDEX_SCAN_H

#include "index/code1.h"
#include "index/row_blocks.h"

/* Rows whose bounds are held at once, by a search, for each query: as few as leave most of them
 * behind the first ones that are ranked, so that they stay in L1. */
#define SCAN_TILE_MIN 1024u
#define SCAN_TILE_MAX 65536u
#define SCAN_QUERIES_MAX 16u
#define SCAN_LIMIT_MAX 65536u
#define SCAN_CERTAINTY_DEFAULT 2.0f

struct scan_options {
    uint32_t dim;
    enum index_metric metric; /* cosine: rows come normalised, INDEX_L2 (the order is the same) */
    uint64_t seed;
};

struct scan {
    struct scan_options options;
    struct arena *arena;
    enum ins_mem_purpose purpose;
    const struct kernels *kernels;
    struct rotation rotation;
    float *signs;
    float *centre;  /* [dim], or NULL: the origin */
    float *rotated; /* [padded], of the row being added */
    uint32_t count, capacity;
    struct row_blocks codes; /* blocks of CODE1_ROWS rows */
};

/* No rows yet. `centre` [dim], copied, or NULL; a mean of rows makes the bounds tight. */
INS_MUST_USE ins_status scan_open(const struct scan_options *options, uint32_t capacity,
                                  const float *centre, struct arena *arena,
                                  enum ins_mem_purpose purpose, struct scan **out_scan,
                                  ins_error *error);
void scan_close(struct scan *scan); /* takes NULL */
/* The next row, [dim] finite floats; count < capacity. */
void scan_add(struct scan *scan, const float *row);
uint64_t scan_bytes(const struct scan *scan);

/* Exact distances of `count` <= SCAN_RANK_MAX rows to the query: squared Euclidean, or the negated
 * product. */
#define SCAN_RANK_MAX 64u
typedef void (*scan_rank)(void *context, uint32_t query, const uint32_t *rows, uint32_t count,
                          float *out);

struct scan_ask {
    const float *const *queries; /* [query_count], each [dim] */
    uint32_t query_count, limit;
    float certainty;         /* standard deviations by which a row's estimate is lowered: 2 misses
                                one of some 50 rows that are just near enough, 0 half of them */
    const uint64_t *allowed; /* a bit a row; NULL: all rows */
    scan_rank rank;
    void *context;
    struct topk_hit *out; /* [query_count][limit], ascending; slot and key are the row */
    uint32_t *out_counts; /* [query_count] */
};

struct scan_scratch;
INS_MUST_USE ins_status scan_scratch_make(const struct scan *scan, uint32_t query_max,
                                          uint32_t limit_max, struct scan_scratch **out_scratch,
                                          ins_error *error);
void scan_scratch_free(struct scan_scratch *scratch); /* takes NULL */
void scan_search(const struct scan *scan, struct scan_scratch *scratch, const struct scan_ask *ask);
/* Rows that the last search ranked, of all its queries. */
uint64_t scan_ranked(const struct scan_scratch *scratch);

#endif
