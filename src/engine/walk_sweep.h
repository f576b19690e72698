/* A sweep over a walk: every point of every island that a read visits, in steps. */
#ifndef INS_ENGINE_WALK_SWEEP_H
#define INS_ENGINE_WALK_SWEEP_H

#include "engine/walk.h"
#include "query/sweep.h"

struct walk_sweep {
    struct islands_walk walk;
    struct reader reader; /* of the island at hand */
    struct sweep sweep;
    bool begun, sweeping;
    uint64_t
        *known; /* counts that need no look at points are added there; NULL: all are looked at */
};

/* One step: `match` is called with `context` for each point that passes. INS_OK when every island
 * was swept, INS_AGAIN when there is more; `collection` is what it is called in a message. */
INS_MUST_USE ins_status walk_sweep_step(struct walk_sweep *self, struct operation *operation,
                                        ins_text collection, sweep_match match, void *context,
                                        ins_error *error);
void walk_sweep_close(struct walk_sweep *self); /* takes a zeroed one */

#endif
