/* Tenants that expire: to which nothing was written for as long as their quota's "ttl" says.
 *
 * While some collection has such a quota a timer ticks. Each tick counts the time that the server
 * saw since the one before, at most twice what the timer was set to, marks what had been written by
 * now (seen.h), writes both to the log, and starts a sweep, unless one is under way: an operation
 * that looks at the tenants of those collections, in slices, and deletes those whose time has
 * passed, one after the other, at most a hundred a second. A deletion is what ins_tenant_delete
 * does; that nothing was written meanwhile is checked in the step that sequences it.
 * When a tenant was last written: the newest row of its islands in memory; of flushed ones what the
 * flush noted (tenant/island_written.c), or, after a start, the end of the newest run's interval.
 * Decision 0037. Threads: the request lane. */
#ifndef INS_ENGINE_EXPIRY_H
#define INS_ENGINE_EXPIRY_H

#include "tenant/island.h"

#define EXPIRY_TICK_S_MIN 1u
#define EXPIRY_TICK_S_MAX 60u
#define EXPIRY_TICKS_A_TTL 16u      /* of the shortest one */
#define EXPIRY_PAUSE_NS 10000000ull /* after each deletion */
#define EXPIRY_ISLANDS_A_STEP 2048u /* looked at: some 100 us */

struct expiry {
    ins_timer timer;
    uint64_t tick_ns; /* 0: nothing can expire, the timer rests */
    uint64_t rang_ns; /* up to then time is counted */
    uint64_t own_lsn; /* of the newest tick's record */
    uint64_t records; /* of ticks, since the start */
    bool ticking, sweeping;
    uint64_t expired; /* tenants, since the start */
};

struct ins_db;

/* Settings of a collection may have changed, or it was dropped; after recovery. */
void expiry_kick(struct ins_db *db);
void expiry_stop(struct ins_db *db);
/* Seconds that the server has seen, rounded up. */
uint64_t expiry_seconds(const struct ins_db *db);
/* What is left of a tenant's time to live; false: it has none. 0: it may be deleted. */
bool expiry_left(const struct ins_db *db, const struct scope *collection, ins_text tenant,
                 uint64_t *out_seconds);
/* A flush has landed rows of the island, the newest of this LSN; or a start has found that its
 * newest run covers it. */
void expiry_note_flushed(struct ins_db *db, const struct island *island, uint64_t lsn);

#endif
