/* A lane of its own thread: runs posted tasks in order, and timers.
 *
 * Path: any thread posts tasks and then wakes the lane; the lane takes all that was posted, runs
 * it, fires the timers that are due, and sleeps until the next wake or timer. Invariants: I1 tasks
 * of one poster run in the order of posting.  I2 nothing runs after lane_stop has begun, but the
 * task or timer that was under way: what is left may point into freed memory. Threads: post, wake:
 * any. timer, timer_stop: the lane itself, or any thread while the lane has nothing to run (opening
 * and closing). start, stop: one thread that is not the lane. */
#ifndef INS_BASE_LANE_H
#define INS_BASE_LANE_H

#include <pthread.h>

#include "insula.h"

#define LANE_NAME_MAX 15 /* the kernel's limit for names of threads */

struct lane_thread {
    /* immutable between start and stop */
    pthread_t thread;
    char name[LANE_NAME_MAX + 1];
    int nice;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t wakeup;
    ins_task *first, **last; /* posted */
    ins_timer *timers;       /* ascending due_ns */
    bool woken, stopping;
};

/* Starts the thread. `name` is what top and gdb show, at most 15 bytes; `nice` 0 .. 19.
 * INS_EXHAUSTED when the system gives no thread. */
INS_MUST_USE ins_status lane_thread_start(struct lane_thread *lane, const char *name, int nice,
                                          ins_error *error);
/* Ends the thread after the task under way. Tasks and timers that are left are forgotten, and so is
 * what is posted later. */
void lane_stop(struct lane_thread *lane);

void lane_post(struct lane_thread *lane, ins_task *task);
void lane_wake(struct lane_thread *lane);
void lane_timer(struct lane_thread *lane, ins_timer *timer, uint64_t delay_ns);
void lane_timer_stop(struct lane_thread *lane, ins_timer *timer);

/* The system's monotonic clock and its randomness, as an ins_runtime wants them. */
uint64_t system_now_ns(void *unused);
void system_random(void *unused, void *out, size_t size);

#endif
