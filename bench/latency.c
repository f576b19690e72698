/* Latencies in buckets: 64 an octave, so each is at most 1.6 % wide. */
#include <math.h>

#include "bench.h"

#define OCTAVE 64u

static size_t latency_bucket(uint64_t ns) {
    if (ns < OCTAVE) {
        return (size_t)ns;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 6u; /* leaves 7 bits, the first set */
    size_t bucket = (size_t)(shift + 1) * OCTAVE + (size_t)((ns >> shift) - OCTAVE);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static uint64_t bucket_end(size_t bucket) {
    if (bucket < OCTAVE) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket / OCTAVE) - 1;
    return ((bucket % OCTAVE + OCTAVE + 1) << shift) - 1;
}

void latency_add(struct latency *latency, uint64_t ns) {
    latency->count++;
    latency->max_ns = ns > latency->max_ns ? ns : latency->max_ns;
    latency->buckets[latency_bucket(ns)]++;
}

uint64_t latency_quantile(const struct latency *latency, double quantile) {
    uint64_t wanted = (uint64_t)ceil(quantile * (double)latency->count), seen = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (seen >= wanted && seen > 0) {
            uint64_t end = bucket_end(i);
            return end < latency->max_ns ? end : latency->max_ns;
        }
    }
    return 0;
}

void latency_merge(struct latency *into, const struct latency *from) {
    into->count += from->count;
    into->max_ns = from->max_ns > into->max_ns ? from->max_ns : into->max_ns;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}
