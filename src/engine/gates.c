#include "engine/gates.h"

#include "base/assert.h"
#include "engine/text.h"

void gate_enter(struct gate *gate, struct ins_db *db, const struct islands_walk *walk) {
    *gate = (struct gate){
        .db = db, .scope = walk->scope->key, .walk = walk, .ticket = ++db->hold_tickets};
    gate->waiting_tail = &gate->waiting;
    struct gate **link = &db->gates;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = gate;
}

bool gate_settle(struct gate *gate, struct operation *operation) {
    if (gate->settled) {
        return true;
    }
    operation->next_waiting = NULL;
    for (struct gate *other = gate->db->gates; other != gate; other = other->next) {
        if (other->scope == gate->scope) {
            *other->waiting_tail = operation;
            other->waiting_tail = &operation->next_waiting;
            operation->parked = true;
            return false;
        }
    }
    struct holds *earlier = holds_before(gate->db, gate->scope, gate->ticket);
    if (earlier != NULL) {
        holds_wait(earlier, operation);
        return false;
    }
    gate->settled = true;
    return true;
}

void gate_leave(struct gate *gate) {
    if (gate->db == NULL) {
        return;
    }
    struct gate **link = &gate->db->gates;
    while (*link != gate) {
        INS_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = gate->next;
    struct operation *operation = gate->waiting;
    while (operation != NULL) {
        struct operation *next = operation->next_waiting;
        operation->parked = false;
        db_run(gate->db, INS_LANE_REQUEST, &operation->waiter.task);
        operation = next;
    }
    *gate = (struct gate){0};
}

static bool is_later(const struct gate *gate, const struct holds *holds) {
    return holds->ticket == 0 || holds->ticket > gate->ticket;
}

struct gate *gate_for_all(const struct ins_db *db, uint64_t scope, const struct holds *holds) {
    for (struct gate *gate = db->gates; gate != NULL; gate = gate->next) {
        bool holds_all = !gate->settled || gate->closed;
        if (gate->scope == scope && holds_all && is_later(gate, holds)) {
            return gate;
        }
    }
    return NULL;
}

/* The change may reach points of the island: it is not within tenants, or within this one. Points
 * of the common island may have any tenant's value among others. */
static bool covers(const struct gate *gate, const struct island *island) {
    const struct islands_walk *walk = gate->walk;
    bool covered = !walk->pinned || !island_is_tenant(island);
    for (size_t i = 0; i < walk->value_count && !covered; i++) {
        covered = text_equal(walk->values[i], island_newest_name(&gate->db->islands, island));
    }
    return covered;
}

struct gate *gate_for_point(const struct ins_db *db, const struct island *island,
                            const struct holds *holds) {
    for (struct gate *gate = db->gates; gate != NULL; gate = gate->next) {
        if (gate->scope == island->scope->key && is_later(gate, holds) && covers(gate, island)) {
            return gate;
        }
    }
    return NULL;
}

void gate_wait(struct gate *gate, struct holds *holds, struct operation *operation) {
    holds->resolving = false;
    operation->next_waiting = NULL;
    *gate->waiting_tail = operation;
    gate->waiting_tail = &operation->next_waiting;
    operation->parked = true;
}
