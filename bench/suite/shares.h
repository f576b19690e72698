/* Who got how much of what he asked for, and whether that was fair.
 *
 * The fair share is that of max-min: everybody gets what he asks for up to a level, at which all
 * that was answered is given out; so a small tenant gets all, and the large ones alike. Shares are
 * of requests, whatever each costs. */
#ifndef INS_BENCH_SUITE_SHARES_H
#define INS_BENCH_SUITE_SHARES_H

#include <stddef.h>
#include <stdint.h>

struct share {
    uint32_t offered, good; /* requests of one tenant */
};

/* The level at which the fair shares of all are `good` in sum; the largest offer when nobody had to
 * be refused. */
double shares_level(const struct share *shares, size_t count);
/* The smallest part that a tenant got of its fair share, of tenants whose fair share is at least
 * `least` requests; 1 when there is none. How many those are in *out_judged. */
double shares_worst(const struct share *shares, size_t count, double least, size_t *out_judged);

#endif
