/* The stream of searches of WORKLOADS 4 as a source of traffic: answers checked, latencies by
 * tenant size class, warm and cold, in slices. */
#ifndef INS_BENCH_SUITE_ASKER_H
#define INS_BENCH_SUITE_ASKER_H

#include "arrivals.h"
#include "shares.h"
#include "traffic.h"

#define ASKER_SLICES 7u
#define ASKER_SECONDS_MAX 1200u

struct asker {
    struct source source;
    struct world *world;
    const struct wire *wire;
    struct answers *answers;
    struct arrivals arrivals;
    const uint32_t *stand_ins;
    uint64_t begin_ns, end_ns;                  /* of what is measured; before it is warm-up */
    uint64_t number;                            /* of queries made */
    struct latency *all, *warm, *cold, *probes; /* one each */
    struct latency *classes;                    /* [SIZE_CLASSES] */
    struct latency *slices;                     /* [ASKER_SLICES] */
    uint64_t good, refused, retry_after, failed;
    struct latency *second; /* answers since the last asker_tick */
    double *second_p99;     /* [ASKER_SECONDS_MAX], ms */
    uint32_t ticks;
    uint64_t abandon_ns; /* requests so late are not sent; 0 = all are */
    uint64_t abandoned;
    uint32_t *seconds; /* counts by tenant and second of the 64 most asked, for the dispersion */
    uint32_t second_count;
    struct share *shares; /* [tenant_count]: of the measured requests */
};

struct asker_plan {
    double rate;
    bool bursts, probes; /* else each tenant asks evenly, and nobody on purpose when it is cold */
    const uint32_t *stand_ins; /* [tenant_count]: who is asked instead, always warm; NULL = none */
    uint64_t number;           /* tells streams of one run apart */
    uint64_t start_ns, begin_ns, end_ns; /* measured from begin_ns to end_ns */
};
/* False: said on the standard error. */
bool asker_open(struct asker *asker, const struct wire *wire, struct answers *answers,
                const struct asker_plan *plan);
/* Each second: what p99 was in it. */
void asker_tick(struct asker *asker);
/* p99 by second, from the asker's first one on, `from_s` seconds to the right. */
void asker_plot(const struct asker *asker, struct plot_line *line, double from_s);
void asker_close(struct asker *asker); /* takes a zeroed one */
void asker_report(struct asker *asker, double rate, struct report *report);
/* p99 in ms: the median of the slices' when each has enough, else of all. */
double asker_p99_ms(const struct asker *asker);

/* Fills op with a drawn query of a tenant and writes the request. */
size_t asker_draw(const struct wire *wire, struct op *op, uint32_t tenant, uint64_t number,
                  char *out);

#endif
