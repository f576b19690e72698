/* Operations that gave the lane to others: a ring that gets a bounded time at a turn.
 *
 * A long read works in steps of some 200 us. All that are under way share one task of the lane:
 * each turn it runs steps, one an operation, for SLICES_NS, then it is posted again behind whatever
 * came meanwhile. So a thousand long reads hold up a small one as little as one of them does.
 * Threads: the request lane. */
#ifndef INS_ENGINE_SLICES_H
#define INS_ENGINE_SLICES_H

#include "insula.h"

#define SLICES_NS 1000000ull /* as much as the server gives new requests */
#define SLICES_STEPS_MAX 64u /* of a turn, where steps are far shorter */

struct operation;

struct slices {
    struct operation *first, *last; /* in order of their turns */
    ins_task task;
    bool posted;
};

void slices_init(struct slices *slices);
/* Runs the operation again when its turn comes. */
void slices_add(struct operation *operation);

#endif
