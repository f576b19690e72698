/* The engine's runtime on one thread: a queue of tasks a lane, virtual time, chance from a seed.
 *
 * sim_step takes the next task of a lane that chance picks, so every order that real lanes could
 * show may come up, and the same seed shows it again. Tasks that were posted without a wake run
 * early at times, as real lanes that are awake anyway would run them; what still lies unwoken when
 * all is quiet was forgotten: sim_forgotten says so.
 * Time moves a little with each task and jumps to the next timer when there is nothing else to do.
 */
#ifndef INS_SIM_RUNTIME_H
#define INS_SIM_RUNTIME_H

#include "insula.h"
#include "sim_random.h"

struct sim_queue {
    ins_task *first, **last;
};

struct sim_lane {
    struct sim_queue posted, woken;
    ins_timer *timers;
};

struct sim_runtime {
    ins_runtime runtime; /* for ins_db_open */
    struct sim_lane lanes[INS_LANE_COUNT];
    struct sim_random scheduler, engine;
    uint32_t held; /* lanes that do not run now: bit 1 << lane */
    uint64_t now_ns, steps;
    uint64_t digest; /* of the schedule: equal seeds, equal digests */
};

void sim_runtime_init(struct sim_runtime *sim, ins_store *store, uint64_t seed);
/* Runs one task; false when none is woken. Timers that are due count as woken tasks. */
bool sim_step(struct sim_runtime *sim);
/* Jumps to the next timer and runs it; false when no timer is armed. */
bool sim_run_timer(struct sim_runtime *sim);
/* Steps until nothing is woken; `timers`: and no timer is armed. */
void sim_run_until_idle(struct sim_runtime *sim, bool timers);
/* Tasks that were posted and never woken. */
bool sim_forgotten(const struct sim_runtime *sim);
/* The crash of a process: every queue and timer is gone. */
void sim_drop_all(struct sim_runtime *sim);

#endif
