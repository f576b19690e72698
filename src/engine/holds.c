#include "engine/holds.h"

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"

#define hold_of_node(pointer) ((struct hold *)(void *)(pointer)) /* node is the first member */

static uint64_t hold_hash(uint64_t scope, const ins_id *id) {
    return hash_u64(id_hash(id) + scope);
}

static struct hold *find(const struct ins_db *db, uint64_t scope, const ins_id *id) {
    uint64_t hash = hold_hash(scope, id);
    for (struct table_node *node = table_first(&db->holds, hash); node != NULL; node = node->next) {
        struct hold *hold = hold_of_node(node);
        if (node->hash == hash && hold->scope == scope && id_equal(&hold->id, id)) {
            return hold;
        }
    }
    return NULL;
}

static const ins_id *id_at(const ins_id *ids, size_t stride, size_t index) {
    return (const ins_id *)(const void *)((const char *)ids + index * stride);
}

/* A later write that only waits gives way. */
static bool goes_first(const struct hold *hold, const struct holds *own) {
    if (hold->owner == own) {
        return false;
    }
    bool earlier = own->ticket == 0 || hold->owner->ticket < own->ticket;
    return earlier || hold->owner->resolving;
}

static struct holds *conflict_with(const struct ins_db *db, const struct holds *own, uint64_t scope,
                                   const ins_id *ids, size_t stride, size_t count) {
    if (db->holds.count == 0) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        struct hold *hold = find(db, scope, id_at(ids, stride, i));
        if (hold != NULL && goes_first(hold, own)) {
            return hold->owner;
        }
    }
    return NULL;
}

bool holds_conflict(const struct ins_db *db, const struct holds *holds, uint64_t scope,
                    const ins_id *ids, size_t stride, size_t count) {
    return conflict_with(db, holds, scope, ids, stride, count) != NULL;
}

static ins_status holds_init(struct holds *holds, struct operation *operation, uint64_t scope,
                             size_t count, ins_error *error) {
    struct ins_db *db = operation->db;
    struct hold *items = pool_alloc_zero(&operation->pool, count * sizeof(struct hold));
    if (items == NULL) {
        return ins_fail(error, INS_TOO_LARGE, "no memory to hold %zu ids; send fewer at once",
                        count);
    }
    *holds = (struct holds){.db = db,
                            .operation = operation,
                            .items = items,
                            .count = count,
                            .scope = scope,
                            .ticket = holds->ticket != 0 ? holds->ticket : ++db->hold_tickets};
    holds->waiting_tail = &holds->waiting;
    holds->next_holder = db->holders;
    holds->holder_link = &db->holders;
    if (db->holders != NULL) {
        db->holders->holder_link = &holds->next_holder;
    }
    db->holders = holds;
    return INS_OK;
}

static void let_go(struct ins_db *db, struct hold *hold) {
    table_remove(&db->holds, &hold->node);
    hold->held = false;
}

static void take_all(struct holds *holds, uint64_t scope, const ins_id *ids, size_t stride) {
    struct ins_db *db = holds->db;
    for (size_t i = 0; i < holds->count; i++) {
        const ins_id *id = id_at(ids, stride, i);
        struct hold *other = find(db, scope, id);
        if (other != NULL && (other->owner == holds || goes_first(other, holds))) {
            continue;
        }
        if (other != NULL) {
            let_go(db, other);
        }
        struct hold *hold = &holds->items[i];
        INS_ASSERT(holds->items != NULL);
        INS_ASSERT(!hold->held);
        *hold = (struct hold){.owner = holds, .scope = scope, .id = *id, .held = true};
        hold->node.hash = hold_hash(scope, id);
        table_insert(&db->holds, &hold->node);
    }
}

ins_status holds_take(struct holds *holds, struct operation *operation, uint64_t scope,
                      const ins_id *ids, size_t stride, size_t count, bool *out_waits,
                      ins_error *error) {
    if (holds->items == NULL) {
        ins_status status = holds_init(holds, operation, scope, count, error);
        if (status != INS_OK) {
            return status;
        }
    }
    INS_ASSERT(holds->count == count);
    take_all(holds, scope, ids, stride);
    struct holds *other = conflict_with(operation->db, holds, scope, ids, stride, count);
    *out_waits = other != NULL;
    holds->resolving = other == NULL;
    if (other != NULL) {
        holds_wait(other, operation);
    }
    return INS_OK;
}

void holds_wait(struct holds *holds, struct operation *operation) {
    operation->next_waiting = NULL;
    *holds->waiting_tail = operation;
    holds->waiting_tail = &operation->next_waiting;
    operation->parked = true;
}

struct holds *holds_before(const struct ins_db *db, uint64_t scope, uint64_t ticket) {
    for (struct holds *holds = db->holders; holds != NULL; holds = holds->next_holder) {
        if (holds->scope == scope && holds->ticket < ticket) {
            return holds;
        }
    }
    return NULL;
}

void holds_release(struct holds *holds) {
    if (holds->db == NULL) {
        return;
    }
    for (size_t i = 0; i < holds->count; i++) {
        if (holds->items[i].held) {
            let_go(holds->db, &holds->items[i]);
        }
    }
    *holds->holder_link = holds->next_holder;
    if (holds->next_holder != NULL) {
        holds->next_holder->holder_link = holds->holder_link;
    }
    struct operation *operation = holds->waiting;
    while (operation != NULL) {
        struct operation *next = operation->next_waiting;
        operation->parked = false;
        db_run(holds->db, INS_LANE_REQUEST, &operation->waiter.task);
        operation = next;
    }
    *holds = (struct holds){0};
}
