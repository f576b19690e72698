#include "base/histogram.h"

const uint64_t duration_bounds_us[INS_DURATION_BUCKETS - 1] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

static void raise(_Atomic uint64_t *counter, uint64_t change) {
    uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + change, memory_order_relaxed);
}

void histogram_note(struct histogram *histogram, uint64_t ns) {
    uint32_t bucket = 0;
    while (bucket < INS_DURATION_BUCKETS - 1 && ns > duration_bounds_us[bucket] * 1000) {
        bucket++;
    }
    raise(&histogram->counts[bucket], 1);
    raise(&histogram->sum_ns, ns);
}

void histogram_add_to(const struct histogram *histogram, ins_durations *sum) {
    for (uint32_t i = 0; i < INS_DURATION_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        sum->counts[i] += count;
        sum->count += count;
    }
    sum->sum_ns += atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
}
