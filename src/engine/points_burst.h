/* Single writes that arrive together wait for memory together.
 *
 * A write of one point looks up its tenant's island, then that island's memtable, then the rows of
 * the id: each step begins behind an address that the step before has brought. With many tenants
 * each of them waits for memory. So such a write, once it is checked, stands here until the burst
 * is full or the lane comes to the task that was posted for the first of them. Then each step is
 * begun for all of them, and they go on one by one in their order, with what they need at hand.
 * Order: an operation that may change something begins when those that stand here have gone
 * on (operation_create). Reads need not: they see what is durable, which nothing here is.
 * Threads: the request lane. */
#ifndef INS_ENGINE_POINTS_BURST_H
#define INS_ENGINE_POINTS_BURST_H

#include "insula.h"

/* About as many lines as a core fetches at once; what is fetched for all fits its first cache. */
#define POINTS_BURST_MAX 16u

struct ins_db;
struct points_write;

struct points_burst {
    struct points_write *items[POINTS_BURST_MAX]; /* parked */
    uint32_t count, next;
    ins_task task;
    bool posted, running;
};

void points_burst_init(struct points_burst *burst);
/* Parks a checked write of one target. False: a burst is running, it must go on by itself. */
INS_MUST_USE bool points_burst_add(struct points_write *self);
/* Those that stand in it go on; the burst is empty afterwards. */
void points_burst_run(struct ins_db *db);

#endif
