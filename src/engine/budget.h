/* The memory budget while the database runs: set by a call, or by the machine's memory.
 *
 * States: settled -> (other budget) -> settling -> settled. While it settles a timer takes steps on
 * the request lane: limits of purposes that use more than their new share come down with what they
 * use, and the cache pays for the difference at once; the cache gives up blocks; free memory goes
 * back to the machine. Nothing under way loses memory that it has, so no read fails; writes stand
 * in the line of room.h while `above` is not 0. Growing takes one step.
 * Invariants: the purposes' limits fit the arena's limit at every step (I3 of mem.h). A budget that
 *   was accepted can be started with: the catalog fits its share. */
#ifndef INS_ENGINE_BUDGET_H
#define INS_ENGINE_BUDGET_H

#include "engine/engine.h"
#include "insula.h"

#define BUDGET_CACHE_MIN (16ull << 20) /* some of the largest blocks pinned at once, and loads */
#define BUDGET_STEP_NS 2000000ull      /* and twice as long each time that nothing came of it, */
#define BUDGET_STEP_NS_MAX 64000000ull /* up to this */
#define BUDGET_LOOK_NS 5000000000ull   /* how often the machine's memory is looked at */

struct ins_db;

struct budget {
    uint64_t asked;          /* by whom started it or changed it; 0 = a share of the machine's */
    uint64_t most;           /* that the address space reserved at the start allows */
    _Atomic uint64_t bytes;  /* in force; written by the request lane */
    uint64_t machine_bytes;  /* as last seen */
    uint64_t machine_before; /* when `asked` was set: a budget asked for then is known to fit */
    struct budget_shares shares;
    bool settling;
    uint64_t above; /* bytes that writes wait for; 0: none */
    uint64_t step_ns;
    ins_timer step_timer, look_timer;
    ins_task look;
    uint64_t look_bytes;      /* what it saw */
    _Atomic uint64_t held;    /* budget_held.c; any thread */
    _Atomic bool held_posted; /* `held_task` is on its way to the request lane */
    ins_task held_task;
    uint64_t held_seen; /* what the shares leave to it; whole pages */
    bool looking; /* `look` is under way: the background lane has it, or the request lane's queue */
};

/* Before anything else of the database: divides the budget and opens the arena. */
INS_MUST_USE ins_status budget_open(struct ins_db *db, ins_error *error);
/* When everything else is open: looks at the machine from now on, where the runtime can. */
void budget_start(struct ins_db *db);
/* A shutdown: no more timers. False: a look is under way, and kicks the jobs when it has ended. */
bool budget_stop(struct ins_db *db);
/* Divides the budget in force once more, less what is held, and takes the first step. */
void budget_divide_again(struct ins_db *db);
/* Takes another step now, if the budget is not settled. */
void budget_step(struct ins_db *db);
/* Takes off the cache's share, and the arena's, what is held, as far as the cache can pay. */
void budget_leave_held(struct budget_shares *shares, uint64_t held);
/* The smallest budget that what is there allows. */
uint64_t budget_least(struct ins_db *db);
uint32_t budget_timers(const struct ins_db *db);

#endif
