/* Requests that wait for their turn, when a loop has more of them than it can serve at once.
 *
 * Each scope (a collection) has lines of its own, one for reads and one for writes, found by a
 * hash; so a flood waits behind itself. The next request is the oldest of the line that has had
 * least time (start-time fair queueing over hashed lines).
 * Within a line the tenants take turns, one request each, whatever each of them has waiting; what
 * names no tenant counts as one. A refusal is no turn. Who comes anew goes first, once a round: who
 * asks seldom does not wait for a turn of all others.
 * How long a request may wait is decided when its turn comes: as long as QUEUE_BURST_NS where its
 * line was empty within that time, so that a burst is served; else QUEUE_STANDING_NS, so that under
 * lasting overload the wait is short for those who are served, and the others are told at once.
 * While no more than QUEUE_FEW wait nobody is late: a handful of clients is never refused because
 * the machine was busy with something else.
 * Bounds: places in all. When they are taken, the newest of the longest line's longest tenant loses
 * its place. Tenants told apart at a time: QUEUE_FLOWS; those beyond take turns as one.
 * Threads: the loop's. Ideas: CoDel's (Nichols, Jacobson) in the form of Maurer's "Fail at Scale";
 * McKenney's stochastic fairness queueing; Goyal's start-time fair queueing. */
#ifndef INS_SERVER_QUEUE_H
#define INS_SERVER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define QUEUE_SCOPES 64u /* lines for each kind; two collections share one in 1 of 64 cases */
#define QUEUE_LINES (2 * QUEUE_SCOPES)

#define QUEUE_PLACES_MAX 4096u /* more than can be served in a burst's time at 40,000/s */
#define QUEUE_FEW 16u
#define QUEUE_FLOWS 1024u /* 64 KiB a loop */
#define QUEUE_BUCKETS 1024u
#define QUEUE_READ_BURST_NS 60000000ull
#define QUEUE_READ_STANDING_NS 30000000ull
/* A write that is refused has to be sent again whole, and its client waits for a disk anyway. */
#define QUEUE_WRITE_BURST_NS 500000000ull
#define QUEUE_WRITE_STANDING_NS 250000000ull

struct queue_flow;

struct waiting {
    struct waiting *previous, *next; /* in its flow, the oldest first */
    struct queue_flow *flow;
    uint64_t since_ns;
    uint32_t line;
};

/* What waits of one tenant in one line. */
struct queue_flow {
    struct waiting *first, *last;
    struct queue_flow *previous,
        *next;                /* the line's ring, in the order of turns; next: free ones */
    struct queue_flow *chain; /* of its bucket */
    uint64_t tenant;
    uint32_t line, count;
    bool is_fresh; /* in the ring of those that had no turn yet */
};

struct queue_line {
    struct queue_flow common;   /* of no tenant */
    struct queue_flow *fresh;   /* the first ring: who had no turn since it came */
    struct queue_flow *turn;    /* the second: the others; the first one has something waiting */
    struct queue_flow *longest; /* or nearly so, since it shrinks unseen; NULL: not known */
    uint32_t count;
    uint64_t filled_ns; /* since when it has not been empty */
    uint64_t served_ns; /* time it has had, on the clock of queue.served_ns */
};

enum queue_verdict {
    QUEUE_SERVE,
    QUEUE_LATE, /* it has waited for too long */
    QUEUE_LOST, /* its place went to a shorter line */
};

struct queue {
    struct queue_line lines[QUEUE_LINES]; /* reads, then writes */
    struct queue_flow lost;
    struct queue_flow flows[QUEUE_FLOWS];
    struct queue_flow *free_flow, *buckets[QUEUE_BUCKETS];
    uint64_t filled[QUEUE_LINES / 64]; /* a bit a line that is not empty */
    uint64_t served_ns;                /* of the line that was served last, when its turn came */
    uint32_t count, places;            /* without those that lost theirs */
};

/* `places` <= QUEUE_PLACES_MAX. */
void queue_init(struct queue *queue, uint32_t places);
/* The line of a scope, by the hash of its name. */
uint32_t queue_line_of(uint64_t scope, bool is_write);
/* Gives `waiting` a place in `line`, behind others of its tenant (a hash; 0: none is named); if
 * need be that of the newest of a longer line or tenant, which is then the next to be taken. False:
 * there is no place for it. */
bool queue_put(struct queue *queue, struct waiting *waiting, uint32_t line, uint64_t tenant,
               uint64_t since_ns);
/* Whom queue_take() would give a turn; NULL: nobody, or one that lost its place. */
const struct waiting *queue_next(const struct queue *queue);
/* The next one, which has no place any more; NULL: none. Only QUEUE_SERVE is to be served. */
struct waiting *queue_take(struct queue *queue, uint64_t now_ns, enum queue_verdict *out_verdict);
/* Time that a request of `line` took. */
void queue_charge(struct queue *queue, uint32_t line, uint64_t took_ns);
/* Gives up its place. */
void queue_leave(struct queue *queue, struct waiting *waiting);

static inline bool queue_is_empty(const struct queue *queue) {
    return queue->count == 0 && queue->lost.count == 0;
}

#endif
