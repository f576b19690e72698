/* One request under way: a step function that is run again until it neither waits nor yields.
 *
 * A step returns INS_AGAIN when it waits for bytes (its waiter has loads pending or stands in line)
 * when it stands in another operation's line (parked), or when it gives the lane to others (none of
 * these: it gets another turn, slices.h). Any other status ends
 * the operation: what it pinned is let go, then the caller's done runs. Memory lives until
 * ins_call_release().
 * A write that was sequenced is ended by the log instead, when it is durable: see write.h. */
#ifndef INS_ENGINE_OPERATION_H
#define INS_ENGINE_OPERATION_H

#include "engine/engine_private.h"

struct operation {
    struct ins_db *db;
    ins_call *call;
    struct pool pool;
    struct cache_waiter waiter;
    struct trace trace; /* where the waiter has one */
    ins_status (*step)(struct operation *operation, ins_error *error);
    void (*close)(struct operation *operation); /* unpins; runs once, before done */
    struct room_ticket *room;                   /* while it stands in line for room */
    struct account *account;                    /* of its tenant, once that is known (accounts.h) */
    struct operation *next_slice;           /* of its account, having given the lane to others: */
    uint64_t slice_since_ns, slice_wait_ns; /* since when; for how long in all */
    uint64_t slice_run_ns;                  /* of the lane, before that, in all */
    struct operation *next_waiting;         /* in a list of operations that wait for another one */
    ins_call *inner;                        /* whose answer is part of this one; released with it */
    size_t size;                            /* of the whole struct, for freeing */
    bool is_read;                           /* deadlines stop reads only */
    bool within;    /* part of another call, or about a tenant: no rate counts it */
    bool sequenced; /* the log ends it */
    bool failed;    /* ends with waiter.error when its loads have ended */
    bool parked;    /* in another operation's line: that one posts it again */
};

/* Allocates `size` bytes that begin with a struct operation, zeroed but for that. When memory is
 * out or the database stops, ends the call itself and returns NULL. */
void *operation_create(struct ins_db *db, ins_call *call, size_t size,
                       ins_status (*step)(struct operation *, ins_error *),
                       void (*close)(struct operation *), bool is_read);
/* The same of a write that may join those that stand in the burst: they stay there. */
void *operation_create_joining(struct ins_db *db, ins_call *call, size_t size,
                               ins_status (*step)(struct operation *, ins_error *),
                               void (*close)(struct operation *));
/* Runs steps until the operation waits or ends. It may be gone afterwards. */
void operation_run(struct operation *operation);
/* The same of several, one right behind the other: its time begins at `begin_ns`, and the next
 * one's at what this returns. */
uint64_t operation_run_from(struct operation *operation, uint64_t begin_ns);
/* Answers a call that has no operation. */
void call_end(struct ins_db *db, ins_call *call, ins_status status, const ins_error *error);
/* Answers the call now, with what it holds; the operation goes on with `own`, a call inside itself,
 * and frees itself at its end. */
void operation_detach(struct operation *operation, ins_call *own);
void operation_end(struct operation *operation, ins_status status, const ins_error *error);

#endif
