/* Looks for the highest rate that is not too much: doubles until one is, then halves the gap some
 * times. A rate counts as too much when it is twice: a hiccup of the machine is no limit. */
#ifndef INS_BENCH_SUITE_LIMIT_H
#define INS_BENCH_SUITE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_STEPS_MAX 14u
#define LIMIT_HALVINGS 3u

struct limit {
    double rate;      /* to be tried next */
    double low, high; /* not too much, too much; 0 = none yet */
    uint32_t steps;   /* rates that are decided */
    uint32_t halvings;
    bool again; /* `rate` was too much once */
};

struct limit limit_of(double first_rate);
bool limit_is_found(const struct limit *limit);
/* What became of `rate`. */
void limit_tell(struct limit *limit, bool too_much);

#endif
