/* A second server that holds six of the made world's tenants, one of each size class at the class's
 * median size, as the world's own server holds them. Any tenant's queries can be put to the one of
 * its class there: what the same searches cost where the others do not exist. */
#ifndef INS_BENCH_SUITE_FEW_H
#define INS_BENCH_SUITE_FEW_H

#include "suite.h"

struct few {
    struct target target;
    struct wire wire;
    uint32_t *stand_ins; /* [tenant_count]: of each tenant, the one of its class */
    uint32_t tenants[SIZE_CLASSES];
    uint32_t count; /* fewer than six where the world has no tenant of a class */
    uint64_t points;
    char data[600];
};

/* The median tenant of each class that the world has, and who stands in for whom; how many. */
uint32_t few_choose(const struct world *world, uint32_t *out_stand_ins,
                    uint32_t out_tenants[SIZE_CLASSES]);

/* Points of the tenant that a search asks, on average over a long time; `stand_ins` NULL: of the
 * tenants themselves. Those asked most are the large ones of their classes, so it is more. */
double few_points_asked(const struct world *world, const uint32_t *stand_ins);

/* Starts the server, gives it the tenants' points and waits until its jobs are done. False: said
 * on the standard error. */
bool few_open(struct few *few, struct suite *suite);
void few_close(struct few *few); /* takes a zeroed one */

#endif
