/* Ids whose write is being resolved (its id directory is being read): a later write to one of them
 * waits behind it, others pass. So writes to one id take effect in the order in which they came.
 * A write that waits holds its own other ids as well, so nothing overtakes it either; but a write
 * that came earlier takes them over, or two that want each other's ids would wait for ever. So a
 * write waits only for earlier ones, or for one that is being resolved, which waits for bytes only.
 */
#ifndef INS_ENGINE_HOLDS_H
#define INS_ENGINE_HOLDS_H

#include "engine/write.h"

struct hold {
    struct table_node node;
    struct holds *owner;
    uint64_t scope;
    ins_id id;
    bool held;
};

struct holds { /* of one write */
    struct ins_db *db;
    struct holds *next_holder, **holder_link; /* db->holders */
    uint64_t scope;
    struct operation *operation;
    struct hold *items; /* [count] in the pool, in the order of the write's ids */
    size_t count;
    uint64_t ticket; /* rises in the order in which writes first came here; may be set before */
    bool resolving;  /* all of its ids are held, and its id directory is being read */
    struct operation *waiting, **waiting_tail; /* run again when these holds are released */
};

/* Holds the ids that no earlier write holds. When one does, the operation is put in its line
 * (parked) and *out_waits is true: the step returns INS_AGAIN. Ids: distinct, and the same at every
 * call for one write. */
INS_MUST_USE ins_status holds_take(struct holds *holds, struct operation *operation, uint64_t scope,
                                   const ins_id *ids, size_t stride, size_t count, bool *out_waits,
                                   ins_error *error);
/* True when some id is held by a write that must go first; takes nothing. */
bool holds_conflict(const struct ins_db *db, const struct holds *holds, uint64_t scope,
                    const ins_id *ids, size_t stride, size_t count);
/* A write of the scope that holds ids and came before `ticket`, or NULL. */
struct holds *holds_before(const struct ins_db *db, uint64_t scope, uint64_t ticket);
/* Puts the operation in the line of these holds: parked until they are released. */
void holds_wait(struct holds *holds, struct operation *operation);
/* Lets go and posts those who wait, in their order. Takes zeroed holds. */
void holds_release(struct holds *holds);

#endif
