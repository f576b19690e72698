/* Durations in fixed buckets: one writer, any number of readers, no lock.
 *
 * The bounds follow Prometheus' habit (1, 2.5, 5 a decade) from 100 us to 10 s. A reader may see a
 * duration in its bucket and not yet in the sum. */
#ifndef INS_BASE_HISTOGRAM_H
#define INS_BASE_HISTOGRAM_H

#include <stdatomic.h>

#include "insula.h"

struct histogram {
    _Atomic uint64_t counts[INS_DURATION_BUCKETS];
    _Atomic uint64_t sum_ns;
};

/* Microseconds; of the last bucket there is none. */
extern const uint64_t duration_bounds_us[INS_DURATION_BUCKETS - 1];

void histogram_note(struct histogram *histogram, uint64_t ns);
/* Adds what it holds to *sum. */
void histogram_add_to(const struct histogram *histogram, ins_durations *sum);

#endif
