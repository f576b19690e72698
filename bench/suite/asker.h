/* The stream of searches of WORKLOADS 4 as a source of traffic: answers checked, latencies by
 * tenant size class, warm and cold, in slices. */
#ifndef INS_BENCH_SUITE_ASKER_H
#define INS_BENCH_SUITE_ASKER_H

#include "arrivals.h"
#include "traffic.h"

#define ASKER_SLICES 7u

struct asker {
    struct source source;
    struct world *world;
    const struct wire *wire;
    struct answers *answers;
    struct arrivals arrivals;
    uint64_t begin_ns, end_ns;                  /* of what is measured; before it is warm-up */
    uint64_t number;                            /* of queries made */
    struct latency *all, *warm, *cold, *probes; /* one each */
    struct latency *classes;                    /* [SIZE_CLASSES] */
    struct latency *slices;                     /* [ASKER_SLICES] */
    uint64_t good, refused, retry_after, failed;
    uint32_t *seconds; /* counts by tenant and second of the 64 most asked, for the dispersion */
    uint32_t second_count;
};

/* Searches at `rate` from start_ns; measured from begin_ns to end_ns. `number` tells streams of
 * one run apart. False: said on the standard error. */
bool asker_open(struct asker *asker, const struct wire *wire, struct answers *answers, double rate,
                bool probes, uint64_t number, uint64_t start_ns, uint64_t begin_ns,
                uint64_t end_ns);
void asker_close(struct asker *asker); /* takes a zeroed one */
void asker_report(struct asker *asker, double rate, struct report *report);
/* p99 in ms: the median of the slices' when each has enough, else of all. */
double asker_p99_ms(const struct asker *asker);

/* Fills op with a drawn query of a tenant and writes the request. */
size_t asker_draw(const struct wire *wire, struct op *op, uint32_t tenant, uint64_t number,
                  char *out);

#endif
