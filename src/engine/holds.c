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

static struct holds *conflict_with(const struct ins_db *db, const struct holds *own, uint64_t scope,
                                   const ins_id *ids, size_t stride, size_t count) {
    if (db->holds.count == 0) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        struct hold *hold = find(db, scope, id_at(ids, stride, i));
        if (hold != NULL && hold->owner != own) {
            return hold->owner;
        }
    }
    return NULL;
}

bool holds_conflict(const struct ins_db *db, const struct holds *holds, uint64_t scope,
                    const ins_id *ids, size_t stride, size_t count) {
    return conflict_with(db, holds, scope, ids, stride, count) != NULL;
}

ins_status holds_take(struct holds *holds, struct operation *operation, uint64_t scope,
                      const ins_id *ids, size_t stride, size_t count, bool *out_waits,
                      ins_error *error) {
    struct ins_db *db = operation->db;
    if (holds->items == NULL) {
        *holds = (struct holds){.db = db, .operation = operation};
        holds->waiting_tail = &holds->waiting;
        holds->items = pool_alloc(&operation->pool, count * sizeof(struct hold));
        if (holds->items == NULL) {
            return ins_fail(error, INS_TOO_LARGE, "no memory to hold %zu ids; send fewer at once",
                            count);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const ins_id *id = id_at(ids, stride, i);
        if (find(db, scope, id) != NULL) {
            continue;
        }
        INS_ASSERT(holds->count < count);
        struct hold *hold = &holds->items[holds->count++];
        *hold = (struct hold){.owner = holds, .scope = scope, .id = *id};
        hold->node.hash = hold_hash(scope, id);
        table_insert(&db->holds, &hold->node);
    }
    struct holds *other = conflict_with(db, holds, scope, ids, stride, count);
    *out_waits = other != NULL;
    if (other != NULL) {
        operation->next_waiting = NULL;
        *other->waiting_tail = operation;
        other->waiting_tail = &operation->next_waiting;
        operation->parked = true;
    }
    return INS_OK;
}

void holds_release(struct holds *holds) {
    if (holds->db == NULL) {
        return;
    }
    for (size_t i = 0; i < holds->count; i++) {
        table_remove(&holds->db->holds, &holds->items[i].node);
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
