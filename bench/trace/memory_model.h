/* What a program's memory accesses cost: page walks of two levels of TLB, and lines of the cache
 * that a query touches.
 *
 * An access is an address and a size. The first TLB has 64 entries in sets of 4, the second 1,536
 * in sets of 12, both replace the least recently used; what is in neither is a page walk. Two
 * arrangements of pages are counted from the same accesses: all of 4 KiB, and 2 MiB where the
 * program says so (`huge`). The index lies in as many copies, one behind the other, as make
 * MODEL_WORKING_SET; each query goes to the next one, so that no query finds what the one before it
 * left: that is how queries of many tenants, or of a large index, meet a TLB.
 * Threads: one. */
#ifndef INS_BENCH_MEMORY_MODEL_H
#define INS_BENCH_MEMORY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_LINE_SHIFT 6
#define MODEL_WORKING_SET (6ull << 30)
#define MODEL_RANGES_MAX 64u
#define MODEL_LINES_MAX (1u << 20) /* of one query: a walk over 64 MiB is none */

enum model_kind {
    MODEL_INDEX,   /* lies in copies */
    MODEL_SCRATCH, /* does not, though within an index */
    MODEL_HUGE,    /* on 2 MiB pages in the second arrangement */
    MODEL_KINDS
};

enum model_pages { MODEL_SMALL_PAGES, MODEL_HUGE_PAGES, MODEL_ARRANGEMENTS };

struct model_counts { /* sums over all queries */
    uint64_t queries, accesses;
    uint64_t lines, index_lines; /* distinct in a query */
    uint64_t pages;              /* distinct of 4 KiB in a query */
    uint64_t walks[MODEL_ARRANGEMENTS];
    uint64_t first_misses[MODEL_ARRANGEMENTS]; /* of the first TLB */
};

struct model;
struct model *model_make(void); /* NULL: no memory */
void model_free(struct model *model);
/* [begin, end) is of the kind; false when there are too many, or it is empty. To be told before the
 * first query. */
bool model_range(struct model *model, enum model_kind kind, uint64_t begin, uint64_t end);
/* The bytes of the index, where its ranges have holes; else what they hold together. */
void model_size(struct model *model, uint64_t bytes);
/* Copies of the index, at least 1. */
uint64_t model_copies(const struct model *model);
void model_begin(struct model *model); /* a query */
/* Accesses outside of a query are not counted, but go through the TLBs. False when a query
 * touches more than MODEL_LINES_MAX lines. */
bool model_access(struct model *model, uint64_t address, uint64_t size);
void model_end(struct model *model);
struct model_counts model_counts(const struct model *model);

#endif
