/* Order between changes by filter and the writes around them, scope by scope.
 *
 * A change by filter takes effect on what was sequenced when it came, and leaves alone what is
 * written later, though it works for many steps (points_filter.c). Two things would break that
 * order, so they wait at its gate:
 *  - the change itself, until the writes that came before it and are still being resolved have been
 *    sequenced, and changes by filter before it have ended; meanwhile every later write waits;
 *  - afterwards, later writes that look at old points: they would build on a point which the change
 *    has not reached yet. Of a change within named tenants: only where the point is one of theirs.
 * Who waits holds its ids, so nothing overtakes it, but gives way to all that came before it: a
 * wait is always for something earlier, so no two wait for each other. */
#ifndef INS_ENGINE_GATES_H
#define INS_ENGINE_GATES_H

#include "engine/holds.h"
#include "engine/walk.h"

struct gate { /* of one change by filter */
    struct ins_db *db;
    struct gate *next; /* db->gates, oldest first */
    uint64_t scope;
    uint64_t ticket; /* in the order of holds' tickets */
    const struct islands_walk *walk;
    bool settled; /* nothing that came before is under way */
    bool closed;  /* every later write waits to its end, not only until it has settled */
    struct operation *waiting, **waiting_tail;
};

void gate_enter(struct gate *gate, struct ins_db *db, const struct islands_walk *walk);
/* True when nothing that came before is under way; else the operation is parked. */
bool gate_settle(struct gate *gate, struct operation *operation);
/* Posts those who wait. Takes a zeroed gate. */
void gate_leave(struct gate *gate);

/* The gate at which a write with these holds (ticket 0: it comes now) waits whatever it does. */
struct gate *gate_for_all(const struct ins_db *db, uint64_t scope, const struct holds *holds);
/* And the one at which it waits because it looks at a point of `island`. */
struct gate *gate_for_point(const struct ins_db *db, const struct island *island,
                            const struct holds *holds);
/* After holds_take: the operation is parked, and gives way. */
void gate_wait(struct gate *gate, struct holds *holds, struct operation *operation);

#endif
