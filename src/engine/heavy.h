/* The islands that take most of a resource, since the start: a space-saving sketch for each
 * resource, so that its size does not depend on the number of tenants.
 *
 * An island without a slot takes that of the one with the least, and inherits its count as its
 * possible error: a true count is at least count - error_most and at most count. Whatever had more
 * than total / HEAVY_SLOTS has a slot. Threads: the request lane.
 * Paper: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in
 * Data Streams", the algorithm Space-Saving. */
#ifndef INS_ENGINE_HEAVY_H
#define INS_ENGINE_HEAVY_H

#include "insula.h"

#define HEAVY_SLOTS 64u

struct heavy_slot {
    uint64_t count, error_most;
};

struct heavy {
    uint64_t keys[INS_HEAVY_RESOURCES][HEAVY_SLOTS]; /* incarnations; 0 = free */
    struct heavy_slot slots[INS_HEAVY_RESOURCES][HEAVY_SLOTS];
    uint64_t totals[INS_HEAVY_RESOURCES];
    uint64_t least[INS_HEAVY_RESOURCES]; /* no slot has a smaller count */
    uint32_t hand[INS_HEAVY_RESOURCES];  /* slots from here on were not looked at since then */
};

struct island;

/* `key` took `amount` more of it. Cost: a look at HEAVY_SLOTS numbers. */
void heavy_charge(struct heavy *heavy, enum ins_heavy_resource resource, uint64_t key,
                  uint64_t amount);
/* A read has ended: of one island its costs are charged to it, else to nobody but the totals. */
void heavy_charge_read(struct heavy *heavy, const ins_explain *explain, uint64_t key);
struct islands;
/* The heaviest of each, the most first, by the names that they have now. */
void heavy_list(const struct heavy *heavy, const struct islands *islands, ins_heaviest *out);

#endif
