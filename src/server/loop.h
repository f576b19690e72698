/* An event loop: libuv for sockets, and a lane for tasks and timers.
 *
 * Path: any thread posts a task and wakes the loop. Tasks run before the loop sleeps and after it
 * woke, so a loop that is awake is not told; only one that sleeps costs its waker a write to its
 * eventfd. Loops that wake each other do so once for many posts, at the end of a round.
 * Invariants: I1 tasks of one poster run in the order of posting.  I2 `asleep` is true only between
 * the last look at `posted` and the loop's next round; whoever makes it false writes the eventfd.
 * Threads: post and wake any; everything else the thread that runs the loop. */
#ifndef INS_SERVER_LOOP_H
#define INS_SERVER_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "insula.h"

#define LOOPS_MAX 16u /* one engine cannot feed more */
#define WAKES_DEFERRED                                                                             \
    16u /* posts to sleeping loops before they are woken in the middle of a round */

struct loop {
    uv_loop_t uv;
    uint32_t index; /* among the loops that wake each other, below LOOPS_MAX */
    /* the loop's thread */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active: there are tasks, do not sleep */
    uv_timer_t timer;
    uint64_t round_ns;             /* when its first request came; 0 = none came in this round */
    uint64_t rounds;               /* how often it has looked at its sockets, from 1 on */
    ins_timer *timers;             /* ascending due_ns */
    struct loop *waked[LOOPS_MAX]; /* others to wake at the end of the round, by index */
    uint32_t wakes;
    void (*round_end)(void *context); /* all sockets were looked at, or all tasks run; or NULL */
    void *round_context;
    /* any thread */
    _Atomic pthread_t thread; /* that runs the loop */
    uv_async_t async;
    _Atomic(ins_task *) posted; /* newest first */
    _Atomic bool asleep;
};

/* The calling thread is the loop's until loop_run(). INS_EXHAUSTED when the system gives no loop.
 */
INS_MUST_USE ins_status loop_init(struct loop *loop, uint32_t index, ins_error *error);
/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
/* On its own thread. */
void loop_stop(struct loop *loop);
/* Closes every handle that is left. No thread may run it. */
void loop_fini(struct loop *loop);

void loop_post(struct loop *loop, ins_task *task);
void loop_wake(struct loop *loop);
void loop_timer(struct loop *loop, ins_timer *timer, uint64_t delay_ns);
void loop_timer_stop(struct loop *loop, ins_timer *timer);

/* The loop has something to do and will look at its tasks: no need to wake it. */
static inline void loop_is_awake(struct loop *loop) {
    if (atomic_load_explicit(&loop->asleep, memory_order_relaxed)) {
        atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
    }
}

#endif
