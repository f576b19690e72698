/* How rows that pass a filter are searched, where there is a graph and bits of them are at hand.
 *
 * Three ways: picking all that pass; a scan over the 1-bit codes of all rows, which misses next to
 * nothing; a walk that steps over rows that do not pass (graph_candidates), whose cost hardly
 * depends on how many rows there are. What each costs is foretold in nanoseconds (decision 0051).
 * A walk finds less where few rows pass, for its links lead to too few of them, and where those
 * that pass lie apart from the query, for then many are about equally near, in no one place. The
 * first is known beforehand; the second the walk tells when it begins, by a sample of them. */
#ifndef INS_INDEX_GRAPH_FILTER_H
#define INS_INDEX_GRAPH_FILTER_H

#include <stdbool.h>
#include <stdint.h>

struct graph_filter_ask {
    uint64_t rows, passing;  /* 0 < passing <= rows */
    uint32_t dim, row_bytes; /* of a row as it is compared */
    bool codes;              /* 1-bit ones are at hand */
    uint32_t effort;         /* of a walk without a filter */
    uint32_t effort_max;     /* wider ones are not walked */
    bool always;             /* tests: to walk, whatever it costs */
};

struct graph_filter_plan {
    bool walk;           /* else: whichever of scan and picking is cheaper */
    bool scan_far;       /* where what passes lies apart, it is scanned, or picked */
    uint32_t effort;     /* of the walk */
    uint32_t effort_far; /* where what passes lies apart: effort .. effort_max */
    float certainty; /* of the scan, in standard deviations: it finds more than the walk would */
};

struct graph_filter_plan graph_filter_plan(const struct graph_filter_ask *ask);

/* Whether rows that pass, of so many, are rather picked and compared than all bounded by codes. */
bool graph_filter_picks(uint32_t dim, uint32_t row_bytes, uint64_t rows, uint64_t passing);

/* ---- Where a walk begins ---- */

#define GRAPH_FILTER_STARTS 64u
/* Rows that pass, from all over the bits: those that a sample of all rows has of a rare kind may
 * lie apart. `out` [GRAPH_FILTER_STARTS]; returns how many. */
uint32_t graph_filter_starts(const uint64_t *passing, uint32_t rows, uint32_t *out);

#define GRAPH_FILTER_NEAREST 16u
/* Whether what passes lies apart from the query: farther than chance would have it.
 *   sample   [sample_count] distances of rows drawn from all
 *   nearest  [nearest_count] those of the nearest, ascending, of `drawn` random rows that pass */
bool graph_filter_far(const float *sample, uint32_t sample_count, const float *nearest,
                      uint32_t nearest_count, uint32_t drawn);

#endif
