/* Operations that gave the lane to others: a ring of tenants that get a bounded time at a turn.
 *
 * A long read works in steps of some 200 us. All that are under way share one task of the lane:
 * each turn it runs steps for SLICES_NS, then it is posted again behind whatever came meanwhile. So
 * a thousand long reads hold up a small one as little as one of them does.
 * Who is next: deficit round robin between accounts (Shreedhar and Varghese, "Efficient Fair
 * Queuing using Deficit Round Robin"). Each account with waiting operations gets SLICES_CREDIT_NS
 * times its weight a round and pays what its steps took, so a tenant with fifty reads under way has
 * as much of the lane as one with a single read. Within an account operations take turns. Threads:
 * the request lane. */
#ifndef INS_ENGINE_SLICES_H
#define INS_ENGINE_SLICES_H

#include "insula.h"

#define SLICES_NS 1000000ull /* half of what the server gives new requests */
/* So much when one has waited for so long in all: while new requests keep the lane busy, long reads
 * would take far longer than those may wait. */
#define SLICES_LATE_NS 3000000ull
#define SLICES_PATIENCE_NS 30000000ull
#define SLICES_STEPS_MAX 64u       /* of a turn, where steps are far shorter */
#define SLICES_CREDIT_NS 50000ull  /* a step of a full scan takes four rounds' at normal weight */
#define SLICES_STEP_NS_MIN 1000ull /* what a step is taken for, at least; */
#define SLICES_STEP_NS_MAX 20000000ull /* and at most: a debt takes a bounded number of rounds */

/* A long read that has waited for more than this, and so many times as long as it ran, is late:
 * those of its tenant that are not yet in line are refused for a while. A tenant with much to do on
 * a machine that others use too waits a few times as long as he runs; hundreds of times it is under
 * overload, where a longer line serves nobody. A few reads of few tenants are no overload however
 * slow the machine is: a tenant that has no more than SLICES_FEW in line, while no more than so
 * many tenants have any, is not refused. */
#define SLICES_LATE_WAIT_NS 60000000ull
#define SLICES_LATE_TIMES 16u
#define SLICES_REFUSE_NS 100000000ull
#define SLICES_FEW 8u

struct operation;
struct account;

struct slices {
    struct account *at; /* whose turn it is; behind it, by turn_next, the others in a ring */
    struct account *last;
    uint32_t accounts; /* in the ring */
    ins_task task;
    bool posted;
    bool late; /* who had the last turn has waited for long */
};

void slices_init(struct slices *slices);
/* Runs the operation again when its turn comes. False, and it does not: it is a read that is here
 * for the first time, and those of its tenant are late. */
INS_MUST_USE bool slices_add(struct operation *operation, uint64_t now_ns);
/* More than one account waits. */
static inline bool slices_shared(const struct slices *slices) {
    return slices->at != slices->last;
}

#endif
