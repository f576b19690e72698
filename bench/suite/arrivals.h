/* Who asks, and when (WORKLOADS 4): arrivals in an order that is drawn beforehand.
 *
 * A tenant is ON or OFF; while ON it asks at its rate over its duty cycle. A fifth of the arrivals
 * are an agent's fan-out of 8 to 16 queries at once; rates count queries. Beside them cold probes,
 * 5/s, to tenants that nobody asked for 10 minutes. A heap of the next event of each tenant gives
 * them in order; the same seed gives the same ones. */
#ifndef INS_BENCH_SUITE_ARRIVALS_H
#define INS_BENCH_SUITE_ARRIVALS_H

#include "world.h"

#define COLD_NS (600u * BENCH_NS)

struct arrival_event {
    uint64_t at_ns;
    uint32_t tenant;
    bool is_switch; /* else an arrival of a tenant that is ON */
};

struct arrivals {
    struct world *world;
    double rate;
    bool *on;      /* [tenant_count] */
    bool *pending; /* has an arrival in the heap, which counts only when the tenant is ON then */
    double *duty;
    struct arrival_event *heap;
    uint32_t heap_count, heap_capacity;
    struct random random;
    struct random probe_random; /* the others are the same with probes and without */
    uint64_t end_ns, probe_ns;
    uint32_t burst_tenant, burst_left; /* queries that are still to come at the same time */
    uint64_t burst_ns;
};

struct arrival {
    uint64_t at_ns;
    uint32_t tenant;
    bool probe;
};

struct arrivals_plan {
    double rate;     /* queries/s */
    bool bursts;     /* else all tenants are ON all the time */
    bool probes;     /* with cold ones */
    uint64_t number; /* of the stream */
    uint64_t start_ns, end_ns;
};

bool arrivals_open(struct arrivals *arrivals, struct world *world,
                   const struct arrivals_plan *plan);
void arrivals_close(struct arrivals *arrivals); /* takes a zeroed one */
/* Time of the next one; HTTP_NEVER at the end. */
uint64_t arrivals_due(struct arrivals *arrivals);
/* Takes the one that arrivals_due told of. */
struct arrival arrivals_take(struct arrivals *arrivals);

#endif
