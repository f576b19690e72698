/* A proximity graph over 4-bit codes, with exact rows for the last word.
 *
 * One level, bounded degree. A search scans the codes of a small random sample for places to begin,
 * walks by estimated distances (one cache line of code at 128 dimensions), and ranks what it found
 * by the rows themselves.
 * Source: beam search and robust pruning after Subramanya et al., "DiskANN" (NeurIPS 2019); rows
 * are inserted one by one after Malkov, Yashunin, "HNSW"; codes: codes.h. Memory: everything from
 * the arena, in blocks of at most 2 MiB, under INS_MEM_CACHE. Threads: a built graph is read-only;
 * each search has its own scratch. */
#ifndef INS_INDEX_GRAPH_H
#define INS_INDEX_GRAPH_H

#include "index/codes.h"
#include "index/index.h"
#include "mem/mem.h"

enum row_type { ROW_F32, ROW_F16, ROW_U8 };

#define GRAPH_DEGREE 32u
#define GRAPH_NONE UINT32_MAX /* an unused place in a list of neighbours */
#define GRAPH_SAMPLE_MAX 256u
#define GRAPH_EFFORT_MAX 65536u

/* Rows of one size in blocks of a power of two of them. */
struct row_blocks {
    uint8_t **blocks;
    uint32_t block_count, shift;
    size_t stride, block_bytes;
};

static inline void *row_at(const struct row_blocks *rows, uint32_t row) {
    size_t in_block = row & ((1u << rows->shift) - 1);
    return rows->blocks[row >> rows->shift] + in_block * rows->stride;
}

struct graph_options {
    uint32_t dim;
    enum index_metric metric; /* cosine: rows come normalised, INDEX_L2 (the order is the same) */
    enum row_type type;       /* of the rows that are kept */
    uint32_t build_effort;    /* beam of an insertion; 0 = the default */
    float alpha;              /* pruning keeps a longer edge unless a kept one is alpha times
                                 nearer; 0 = the default */
    uint64_t seed;
};

struct graph {
    struct graph_options options;
    struct arena *arena;
    const struct kernels *kernels;
    const struct code_kernels *code_kernels;
    struct rotation rotation;
    float *signs;
    float *centre; /* [dim] */
    uint32_t count, capacity;
    struct row_blocks rows;    /* as they were given */
    struct row_blocks codes;   /* 4-bit */
    struct row_blocks factors; /* struct code_factors; scale made ready for the metric */
    struct row_blocks links;   /* [GRAPH_DEGREE] ids */
    uint32_t sample[GRAPH_SAMPLE_MAX];
    uint32_t sample_count;
};

struct graph_hit {
    float distance; /* squared Euclidean, or the negated dot product */
    uint32_t id;
};

/* `rows`: row i is `row(context, i)`, [dim] floats, valid until the next call. INS_FULL when the
 * arena is. Builds with the calling thread. */
typedef const float *(*graph_row)(void *context, uint32_t row);
INS_MUST_USE ins_status graph_build(const struct graph_options *options, uint32_t count,
                                    graph_row row, void *context, struct arena *arena,
                                    struct graph **out_graph, ins_error *error);
void graph_free(struct graph *graph); /* takes NULL */
/* Bytes that a search may touch: rows, codes, factors, links. */
uint64_t graph_bytes(const struct graph *graph);

struct graph_scratch;
INS_MUST_USE ins_status graph_scratch_make(const struct graph *graph, uint32_t effort_max,
                                           struct graph_scratch **out_scratch, ins_error *error);
void graph_scratch_free(struct graph_scratch *scratch);
/* The `limit` nearest rows, ascending, into out; returns how many. `effort`: width of the beam,
 * limit .. effort_max; `rerank`: how many of it are ranked exactly, 0 = all. */
uint32_t graph_search(const struct graph *graph, struct graph_scratch *scratch, const float *query,
                      uint32_t limit, uint32_t effort, uint32_t rerank, struct graph_hit *out);

#endif
