#include "arrivals.h"

#include <math.h>
#include <stdlib.h>

#define ON_MEDIAN_S 36.0
#define PROBES_PER_S 5.0
#define FAN_OUT_SHARE 0.2
#define FAN_OUT_MIN 8u
#define FAN_OUT_MAX 16u
/* Queries that an arrival brings: what turns a rate of queries into one of arrivals. */
#define QUERIES_EACH (1.0 - FAN_OUT_SHARE + FAN_OUT_SHARE * (FAN_OUT_MIN + FAN_OUT_MAX) / 2.0)

/* ---- Heap: the earliest event first ---- */

static bool before(const struct arrival_event *left, const struct arrival_event *right) {
    return left->at_ns < right->at_ns;
}

static void heap_push(struct arrivals *arrivals, struct arrival_event event) {
    INS_ASSERT(arrivals->heap_count < arrivals->heap_capacity);
    uint32_t at = arrivals->heap_count++;
    while (at > 0 && before(&event, &arrivals->heap[(at - 1) / 2])) {
        arrivals->heap[at] = arrivals->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    arrivals->heap[at] = event;
}

static struct arrival_event heap_pop(struct arrivals *arrivals) {
    struct arrival_event first = arrivals->heap[0];
    struct arrival_event moved = arrivals->heap[--arrivals->heap_count];
    uint32_t at = 0;
    while (2 * at + 1 < arrivals->heap_count) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < arrivals->heap_count &&
            before(&arrivals->heap[child + 1], &arrivals->heap[child])) {
            child++;
        }
        if (!before(&arrivals->heap[child], &moved)) {
            break;
        }
        arrivals->heap[at] = arrivals->heap[child];
        at = child;
    }
    arrivals->heap[at] = moved;
    return first;
}

/* ---- ON and OFF ---- */

static double duty_of(const struct world *world, uint32_t popularity) {
    double place = ((double)popularity + 0.5) / (double)world->tenant_count;
    return place < 0.01 ? 0.5 : place < 0.5 ? 0.05 : 0.005;
}

static uint64_t after(uint64_t from_ns, double seconds) {
    return from_ns + (uint64_t)(seconds * (double)BENCH_NS);
}

static double on_mean_s(void) {
    return ON_MEDIAN_S * exp(0.5);
}

static void push_switch(struct arrivals *arrivals, uint32_t tenant, uint64_t from_ns,
                        double seconds) {
    heap_push(arrivals, (struct arrival_event){
                            .at_ns = after(from_ns, seconds), .tenant = tenant, .is_switch = true});
}

/* What is left of an exponential time is drawn like the whole, so one that is pending stands. */
static void push_arrival(struct arrivals *arrivals, uint32_t tenant, uint64_t from_ns) {
    if (arrivals->pending[tenant]) {
        return;
    }
    arrivals->pending[tenant] = true;
    double rate = arrivals->rate * arrivals->world->tenants[tenant].share / arrivals->duty[tenant] /
                  QUERIES_EACH;
    heap_push(arrivals,
              (struct arrival_event){
                  .at_ns = after(from_ns, random_exponential(&arrivals->random, 1.0 / rate)),
                  .tenant = tenant});
}

/* As if it had gone on for ever: a span that is found ON at a random moment is longer than most
 * (of a lognormal one the median is e^(sigma^2) times as long), and partly over. */
static void begin_tenant(struct arrivals *arrivals, uint32_t tenant, uint64_t start_ns) {
    double duty = arrivals->duty[tenant];
    arrivals->on[tenant] = random_unit(&arrivals->random) <= duty;
    if (duty >= 1.0) { /* always on */
        push_arrival(arrivals, tenant, start_ns);
    } else if (arrivals->on[tenant]) {
        double span = random_lognormal(&arrivals->random, ON_MEDIAN_S * exp(1.0), 1.0);
        push_switch(arrivals, tenant, start_ns, span * random_unit(&arrivals->random));
        push_arrival(arrivals, tenant, start_ns);
    } else {
        double mean = on_mean_s() * (1.0 - duty) / duty;
        push_switch(arrivals, tenant, start_ns, random_exponential(&arrivals->random, mean));
    }
}

static void switch_tenant(struct arrivals *arrivals, uint32_t tenant, uint64_t at_ns) {
    double duty = arrivals->duty[tenant];
    arrivals->on[tenant] = !arrivals->on[tenant];
    if (arrivals->on[tenant]) {
        double span = random_lognormal(&arrivals->random, ON_MEDIAN_S, 1.0);
        push_switch(arrivals, tenant, at_ns, span);
        push_arrival(arrivals, tenant, at_ns);
    } else {
        double mean = on_mean_s() * (1.0 - duty) / duty;
        push_switch(arrivals, tenant, at_ns, random_exponential(&arrivals->random, mean));
    }
}

/* ---- Outward ---- */

bool arrivals_open(struct arrivals *arrivals, struct world *world,
                   const struct arrivals_plan *plan) {
    uint32_t count = world->tenant_count;
    *arrivals = (struct arrivals){
        .world = world,
        .rate = plan->rate,
        .on = calloc(count, sizeof(bool)),
        .pending = calloc(count, sizeof(bool)),
        .duty = calloc(count, sizeof(double)),
        .heap = calloc(2 * (size_t)count, sizeof(struct arrival_event)),
        .heap_capacity = 2 * count, /* a switch and an arrival each */
        .random = random_of(world->seed, BENCH_ARRIVAL, 0, plan->number),
        .probe_random = random_of(world->seed, BENCH_ARRIVAL, 2, plan->number),
        .end_ns = plan->end_ns,
        .probe_ns = UINT64_MAX,
    };
    if (arrivals->on == NULL || arrivals->pending == NULL || arrivals->duty == NULL ||
        arrivals->heap == NULL) {
        (void)bench_fail("no memory for the arrivals of %u tenants", count);
        arrivals_close(arrivals);
        return false;
    }
    for (uint32_t tenant = 0; tenant < count; tenant++) {
        double duty = duty_of(world, world->tenants[tenant].popularity);
        arrivals->duty[tenant] = plan->bursts ? duty : 1.0;
        begin_tenant(arrivals, tenant, plan->start_ns);
    }
    if (plan->probes) {
        arrivals->probe_ns =
            after(plan->start_ns, random_exponential(&arrivals->probe_random, 1.0 / PROBES_PER_S));
    }
    return true;
}

void arrivals_close(struct arrivals *arrivals) {
    free(arrivals->on);
    free(arrivals->pending);
    free(arrivals->duty);
    free(arrivals->heap);
    *arrivals = (struct arrivals){0};
}

uint64_t arrivals_due(struct arrivals *arrivals) {
    if (arrivals->burst_left > 0) {
        return arrivals->burst_ns;
    }
    while (arrivals->heap_count > 0) {
        struct arrival_event *first = &arrivals->heap[0];
        bool useless = first->is_switch || !arrivals->on[first->tenant];
        if (!useless || first->at_ns > arrivals->probe_ns || first->at_ns > arrivals->end_ns) {
            break;
        }
        struct arrival_event event = heap_pop(arrivals);
        if (!event.is_switch) {
            arrivals->pending[event.tenant] = false;
        } else {
            switch_tenant(arrivals, event.tenant, event.at_ns);
        }
    }
    uint64_t due_ns = arrivals->heap_count > 0 ? arrivals->heap[0].at_ns : UINT64_MAX;
    due_ns = due_ns < arrivals->probe_ns ? due_ns : arrivals->probe_ns;
    return due_ns >= arrivals->end_ns ? UINT64_MAX : due_ns;
}

static bool is_cold(const struct tenant *tenant, uint64_t now_ns) {
    return tenant->last_query_ns == 0 || now_ns - tenant->last_query_ns > COLD_NS;
}

/* A cold tenant, uniform among them; when a hundred tries find none, any. */
static struct arrival take_probe(struct arrivals *arrivals) {
    struct arrival arrival = {.at_ns = arrivals->probe_ns};
    for (int tries = 0; tries < 100 && !arrival.probe; tries++) {
        arrival.tenant =
            (uint32_t)(random_next(&arrivals->probe_random) % arrivals->world->tenant_count);
        arrival.probe = is_cold(&arrivals->world->tenants[arrival.tenant], arrival.at_ns);
    }
    arrivals->probe_ns =
        after(arrivals->probe_ns, random_exponential(&arrivals->probe_random, 1.0 / PROBES_PER_S));
    return arrival;
}

struct arrival arrivals_take(struct arrivals *arrivals) {
    if (arrivals->burst_left > 0) {
        arrivals->burst_left--;
        return (struct arrival){.at_ns = arrivals->burst_ns, .tenant = arrivals->burst_tenant};
    }
    if (arrivals->heap_count == 0 || arrivals->probe_ns < arrivals->heap[0].at_ns) {
        return take_probe(arrivals);
    }
    struct arrival_event event = heap_pop(arrivals);
    INS_ASSERT(!event.is_switch);
    if (random_unit(&arrivals->random) <= FAN_OUT_SHARE) {
        uint32_t more = FAN_OUT_MAX - FAN_OUT_MIN + 1;
        arrivals->burst_left = FAN_OUT_MIN + (uint32_t)(random_next(&arrivals->random) % more) - 1;
        arrivals->burst_tenant = event.tenant;
        arrivals->burst_ns = event.at_ns;
    }
    arrivals->pending[event.tenant] = false;
    push_arrival(arrivals, event.tenant, event.at_ns);
    return (struct arrival){.at_ns = event.at_ns, .tenant = event.tenant};
}
