/* What a server cannot do without for an upsert: parse the body, normalise, three copies, checksum.
 *
 * Timed over bodies that `load` sent, in the same run: the measure that its CPU a point is
 * compared with. The three copies are those of any engine: into the log, into memory, to disk. */
#ifndef INS_BENCH_SUITE_BASELINE_H
#define INS_BENCH_SUITE_BASELINE_H

#include "bench.h"

#define BASELINE_BODIES 48u

struct baseline {
    char *bodies[BASELINE_BODIES];
    size_t sizes[BASELINE_BODIES];
    uint32_t count;
};

/* Keeps a copy; when there are enough, does nothing. */
void baseline_keep(struct baseline *baseline, const char *body, size_t size);
void baseline_free(struct baseline *baseline);
/* CPU of one point in us, the median of several turns; 0 when it cannot be timed. */
double baseline_us(const struct baseline *baseline);

#endif
