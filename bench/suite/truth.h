/* Recall against exact truth: brute force over a tenant's live points, made again. */
#ifndef INS_BENCH_SUITE_TRUTH_H
#define INS_BENCH_SUITE_TRUTH_H

#include "suite.h"

#define TRUTH_K 10u

struct truth {
    struct wire_query query; /* its vector points to `vector` */
    float vector[BENCH_DIM];
    /* out */
    uint32_t matching;     /* live points that the conditions let through */
    float scores[TRUTH_K]; /* the best, falling */
    double recall;         /* of the server's answer, at TRUTH_K */
};

/* All of one tenant in one pass over its points. */
void truth_compute(struct world *world, uint32_t tenant, struct truth *truths, uint32_t count);
/* Asks the server and compares; adds the time of the answer. False: a wrong answer, it is said. */
bool truth_ask(struct suite *suite, struct truth *truth, struct latency *latency);

/* recall@10 by tenant size class: 10 queries in each of up to `tenants` tenants, as many of each
 * class as there are. Lowest of the classes in *out_worst. */
bool truth_classes(struct suite *suite, uint32_t tenants, const char *prefix, struct report *report,
                   double *out_worst);

#endif
