#include "engine/room.h"

#include "base/assert.h"
#include "base/status.h"
#include "engine/jobs.h"
#include "engine/operation.h"

/* Thousandths of the work before the frozen generation is gone. Merge and flush count the same: a
 * merge job takes about as long. */
static uint32_t progress(struct ins_db *db) {
    struct room *room = &db->room;
    uint32_t now = room->paced;
    if (db->flush != NULL) {
        now = room->behind ? 500 + room->flush_done / 2 : room->flush_done;
    } else if (db->merge != NULL || db->clean != NULL) {
        room->behind = true;
        now = room->other_done / 2;
    }
    room->paced = now > room->paced ? now : room->paced;
    return room->paced;
}

static bool open_for(struct ins_db *db, uint64_t bytes) {
    if (db->budget.above > 0 && !db->writes_stopped && !db->stopping) {
        return false;
    }
    const struct read_context *reading = &db->reading;
    const struct generation *active = reading->generations[reading->active_slot];
    if (reading->generations[1 - reading->active_slot] == NULL || db->writes_stopped) {
        return true;
    }
    uint64_t percent = ROOM_FREE_PERCENT + ROOM_PACED_PERCENT * progress(db) / 1000;
    return active->bytes + db->room.granted + bytes <= db->generation_bytes / 100 * percent;
}

static void tick(ins_timer *timer) {
    struct room *room = container_of(timer, struct room, timer);
    struct ins_db *db = container_of(room, struct ins_db, room);
    jobs_kick(db); /* what had no memory to begin tries again; it comes back here */
}

static void arm(struct ins_db *db) {
    struct room *room = &db->room;
    if (room->first != NULL && !room->timer.armed) {
        room->timer.run = tick;
        db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &room->timer, ROOM_TICK_NS);
    }
}

static void stand_in_line(struct operation *operation, struct room_ticket *ticket) {
    struct room *room = &operation->db->room;
    ticket->waits = true;
    ticket->since_ns = db_now(operation->db);
    operation->room = ticket;
    operation->next_waiting = NULL;
    operation->parked = true;
    if (room->last != NULL) {
        room->last->next_waiting = operation;
    } else {
        room->first = operation;
    }
    room->last = operation;
    room->waiting++;
}

static ins_status refuse(const struct ins_db *db, ins_error *error) {
    if (db->put_off.status != INS_OK) {
        return ins_fail_retry(error, INS_FULL, 1,
                              "both memtables are full (%llu bytes each) and cannot be written to "
                              "files: %s",
                              (unsigned long long)db->generation_bytes, db->put_off.message);
    }
    if (db->budget.above > 0) {
        return ins_fail_retry(error, INS_FULL, 1,
                              "memory: %llu bytes more are in use than the budget of %llu bytes, "
                              "which was lowered, allows; writes wait until they are given back",
                              (unsigned long long)db->budget.above,
                              (unsigned long long)ins_db_memory_budget(db));
    }
    return ins_fail_retry(error, INS_EXHAUSTED, 1,
                          "both memtables are full (%llu bytes each) and %u writes wait for the "
                          "flush; try again",
                          (unsigned long long)db->generation_bytes, db->room.waiting);
}

ins_status room_enter(struct operation *operation, struct room_ticket *ticket, uint64_t bytes,
                      ins_error *error) {
    struct ins_db *db = operation->db;
    if (ticket->admitted) {
        return INS_OK;
    }
    if (ticket->waits) { /* was let in, or has waited too long */
        db->room.granted -= ticket->bytes;
        ticket->waits = false;
        ticket->admitted = true;
        return db_now(db) - ticket->since_ns > ROOM_WAIT_NS ? refuse(db, error) : INS_OK;
    }
    /* One that can never fit is told so at once, by who takes the memory. */
    ticket->bytes = bytes < db->generation_bytes / 2 ? bytes : db->generation_bytes / 2;
    if (db->room.first == NULL && open_for(db, ticket->bytes)) {
        ticket->admitted = true;
        return INS_OK;
    }
    if (db->room.waiting == ROOM_WAITERS_MAX) {
        return refuse(db, error);
    }
    stand_in_line(operation, ticket);
    arm(db);
    return INS_AGAIN;
}

void room_kick(struct ins_db *db) {
    struct room *room = &db->room;
    while (room->first != NULL) {
        struct operation *operation = room->first;
        bool late = db_now(db) - operation->room->since_ns > ROOM_WAIT_NS;
        if (!late && !open_for(db, operation->room->bytes)) {
            break;
        }
        room->granted += operation->room->bytes;
        room->first = operation->next_waiting;
        room->last = room->first == NULL ? NULL : room->last;
        room->waiting--;
        operation->parked = false;
        db_run(db, INS_LANE_REQUEST, &operation->waiter.task);
    }
    arm(db);
}

void room_frozen(struct ins_db *db) {
    db->room.paced = 0;
    db->room.behind = false;
    db->room.flush_done = 0;
}

void room_stop(struct ins_db *db) {
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->room.timer);
}
