/* What a read did: counted where the work happens. Part of insula.h: include that. */
#ifndef INSULA_EXPLAIN_H
#define INSULA_EXPLAIN_H

#include "insula/values.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a read's time goes, on the engine's lane and waiting for it. */
#define INS_STAGES(X)                                                                              \
    X(WAIT, "wait")   /* for its next turn, while others have the lane */                          \
    X(READ, "read")   /* for bytes from disk, or for room to put them */                           \
    X(RANK, "rank")   /* finds rows: plans, distances, filters */                                  \
    X(FETCH, "fetch") /* copies what the answer carries */

enum ins_stage {
#define INS_STAGE_ENUM(name, text) INS_STAGE_##name,
    INS_STAGES(INS_STAGE_ENUM)
#undef INS_STAGE_ENUM
        INS_STAGE_COUNT
};

/* How the rows of one place were looked for. */
#define INS_LOOKS(X)                                                                               \
    X(MEMTABLE, "memtable")       /* one row after the other, in memory */                         \
    X(SCAN, "scan")               /* the same in an extent */                                      \
    X(INDEX, "field index")       /* the same, but field indexes judged the filter before */       \
    X(PICKS, "picks")             /* only rows that field indexes leave */                         \
    X(GRAPH, "graph")             /* a walk, then what it found by stored values */                \
    X(FAST_GRAPH, "fast graph")   /* the same over its layout in memory, few by stored values */   \
    X(CODES, "codes")             /* a scan of 1-bit codes, then what they leave in doubt */       \
    X(PATCHES, "patches")         /* rows whose vector lies in an older place */                   \
    X(IDS, "ids")                 /* by their ids, in all places of an island */                   \
    X(COUNTED, "counted")         /* nothing: their number is known */                             \
    X(PASSED_OVER, "passed over") /* nothing: no row can be one of the answer */

enum ins_look {
#define INS_LOOK_ENUM(name, text) INS_LOOK_##name,
    INS_LOOKS(INS_LOOK_ENUM)
#undef INS_LOOK_ENUM
        INS_LOOK_COUNT
};

#define INS_EXPLAIN_PLACES_MAX 16u /* described singly; the totals count all */

typedef struct ins_explain_place { /* the memtables of an island, or one of its extents */
    enum ins_look look;
    const char *why;           /* not otherwise; a text of the engine's, or NULL */
    uint32_t island;           /* islands in the order of their visit, from 0 */
    uint64_t rows;             /* it has, all versions */
    uint64_t scanned;          /* a distance was computed, or the filter asked, or it was counted */
    uint64_t walked;           /* by codes alone: met by the walk over a graph, or scanned */
    uint64_t refused_by_index; /* left out unseen */
    uint64_t refused_by_filter; /* looked at, and did not pass */
    uint64_t superseded;        /* a newer place has their id */
} ins_explain_place;

/* Counted where the work happens. A view of an island counts each time that it is opened. */
typedef struct ins_explain {
    bool filtered;
    bool pinned;                    /* the filter names tenants, or */
    uint64_t tenants;               /* so many */
    ins_text tenant;                /* the only one; until ins_call_release() */
    uint64_t islands, directories;  /* views opened of islands, of id directories */
    uint64_t extents, memtables;    /* in the views of islands */
    uint64_t rows_held;             /* in them, all versions */
    uint64_t looks[INS_LOOK_COUNT]; /* places by how they were looked at */
    ins_explain_place total;        /* over all places; `look`, `why` and `island` say nothing */
    uint64_t place_count;           /* may be above what `places` has room for */
    uint64_t chunks_pinned, bytes_pinned; /* of segments, while it looked at them */
    uint64_t cold_reads, cold_bytes;      /* of these, read from disk by this read */
    uint64_t shared_reads;                /* on their way for somebody else already */
    uint64_t bytes_compared;              /* of vectors, for distances */
    uint64_t waits, turns;                /* for bytes; on the engine's lane */
    uint64_t stage_ns[INS_STAGE_COUNT];
    uint64_t begun_ns, ended_ns;                      /* in the engine, on the runtime's clock */
    ins_explain_place places[INS_EXPLAIN_PLACES_MAX]; /* need not be zeroed */
} ins_explain;

#ifdef __cplusplus
}
#endif
#endif
