/* Room in the memtables: writers are slowed before they would be refused.
 *
 * While a generation is frozen and waits for its flush, or for the merge before it, the other one
 * may fill only as far as that work has come: half of it at once, the rest in step. Writes beyond
 * that stand in line, first come first served, and are let in as the work goes on; so the price of
 * a flush is spread over all writers instead of stopping everybody when both generations are full.
 * Refused (INS_EXHAUSTED) is who would wait longer than ROOM_WAIT_NS, or finds the line full. */
#ifndef INS_ENGINE_ROOM_H
#define INS_ENGINE_ROOM_H

#include "insula.h"

#define ROOM_WAIT_NS 10000000000ull /* a client's own timeout is seldom shorter than 30 s */
#define ROOM_WAITERS_MAX 16384u     /* each holds its request's memory, which has its own bound */
#define ROOM_TICK_NS 2000000ull     /* how often those in line are looked at */
#define ROOM_FREE_PERCENT 50u       /* of a generation that fills whatever the work is at */
#define ROOM_PACED_PERCENT 45u      /* that fills in step with it; the rest is for who was let in */

struct operation;
struct ins_db;

struct room {
    ins_timer timer;
    struct operation *first, *last; /* in line */
    uint32_t waiting;
    uint64_t granted; /* bytes of those let in that have not come back yet */
    uint32_t paced;   /* thousandths of the work that the frozen generation waits for */
    bool behind;      /* a merge or a cleaning was under way when it was frozen */
    /* Background lane: thousandths of its job. */
    _Atomic uint32_t flush_done, other_done;
};

struct room_ticket { /* of one write */
    uint64_t bytes, since_ns;
    bool waits, admitted;
};

/* Lets a write of so many bytes in, or parks it: INS_AGAIN; ask again first thing when the step
 * runs again. INS_EXHAUSTED as above. */
INS_MUST_USE ins_status room_enter(struct operation *operation, struct room_ticket *ticket,
                                   uint64_t bytes, ins_error *error);
/* Something that those in line wait for may have changed. */
void room_kick(struct ins_db *db);
/* A generation was frozen: its work begins. */
void room_frozen(struct ins_db *db);
void room_stop(struct ins_db *db);

#endif
