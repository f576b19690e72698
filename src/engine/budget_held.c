/* Memory of the caller's that is not the arena's: large bodies and answers, parsers.
 *
 * Path: ins_db_hold() counts, on any thread, and when whole pages more or fewer are held a task
 * goes to the request lane, which divides the budget again: the cache's share and the arena are
 * smaller by what is held, and the budget settles as after any change (budget_change.c). Whoever is
 * on the request lane has that done at once (ins_db_make_room). Bounded: HOLD_SHARE; the cache
 * keeps BUDGET_CACHE_MIN. */
#include <stdatomic.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "engine/operation.h"

#define HOLD_SHARE 4u /* of the budget */
#define STEPS_MAX 32u /* of some 200 us each: what is to be read takes as long */

void budget_leave_held(struct budget_shares *shares, uint64_t held) {
    uint64_t cache = shares->purpose[INS_MEM_CACHE];
    uint64_t most = cache > BUDGET_CACHE_MIN ? cache - BUDGET_CACHE_MIN : 0;
    uint64_t less = held < most ? held : most / INS_PAGE_BYTES * INS_PAGE_BYTES;
    shares->purpose[INS_MEM_CACHE] -= less;
    shares->arena_bytes -= less;
}

static uint64_t whole_pages(uint64_t bytes) {
    return align_up(bytes, INS_PAGE_BYTES);
}

static void look(struct ins_db *db) {
    struct budget *budget = &db->budget;
    uint64_t held = whole_pages(ins_db_held(db));
    if (held != budget->held_seen && !db->stopping) {
        budget->held_seen = held;
        budget_divide_again(db);
    }
}

static void held_run(ins_task *task) {
    struct budget *budget = container_of(task, struct budget, held_task);
    atomic_store(&budget->held_posted, false); /* what is held from here on posts it again */
    look(container_of(budget, struct ins_db, budget));
}

/* It was `before` and is `after`. */
static void changed(struct ins_db *db, uint64_t before, uint64_t after) {
    struct budget *budget = &db->budget;
    if (whole_pages(before) != whole_pages(after) && !atomic_exchange(&budget->held_posted, true)) {
        budget->held_task.run = held_run;
        db_run(db, INS_LANE_REQUEST, &budget->held_task);
    }
}

uint64_t ins_db_hold_max(const ins_db *db) {
    return ins_db_memory_budget(db) / HOLD_SHARE;
}

uint64_t ins_db_held(const ins_db *db) {
    return atomic_load(&db->budget.held);
}

bool ins_db_hold(ins_db *db, uint64_t bytes) {
    uint64_t most = ins_db_hold_max(db), held = ins_db_held(db);
    do {
        if (held > most || bytes > most - held) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&db->budget.held, &held, held + bytes));
    changed(db, held, held + bytes);
    return true;
}

void ins_db_let_go(ins_db *db, uint64_t bytes) {
    uint64_t held = atomic_fetch_sub(&db->budget.held, bytes);
    INS_ASSERT(held >= bytes);
    changed(db, held, held - bytes);
}

void ins_db_make_room(ins_db *db) {
    look(db);
    for (uint32_t i = 0; i < STEPS_MAX && db->budget.above > 0; i++) {
        budget_step(db);
    }
}
