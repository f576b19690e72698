/* The server's runtime: lane REQUEST is a libuv loop, the others are threads.
 *
 * Path: any thread posts a task and wakes the lane; from another thread that costs one write to the
 * loop's eventfd, from the loop itself nothing. Timers are one sorted list behind one uv_timer.
 * Threads: post and wake any; everything else the thread that runs the loop. */
#ifndef INS_SERVER_LOOP_H
#define INS_SERVER_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/lane.h"
#include "insula.h"

#define LOOP_THREADS INS_LANE_REQUEST /* the lanes before it have a thread each */

struct loop {
    ins_runtime runtime;
    uv_loop_t uv;
    uv_async_t async; /* wakes from other threads */
    uv_idle_t idle;   /* wakes from the loop itself */
    uv_timer_t timer;
    ins_timer *timers;          /* ascending due_ns */
    _Atomic pthread_t thread;   /* that runs the loop; other threads ask in wake() */
    _Atomic(ins_task *) posted; /* newest first; pairs with loop_run_posted */
    struct lane_thread lanes[LOOP_THREADS];
    uint32_t started;
};

/* `store` is borrowed. The calling thread is the loop's until loop_run(). */
INS_MUST_USE ins_status loop_open(ins_store *store, struct loop **out_loop, ins_error *error);
/* Runs until uv_stop(). */
void loop_run(struct loop *loop);
/* Ends the threads: after it no lane runs a task, and the database may be closed. */
void loop_stop_lanes(struct loop *loop);
/* Every handle on the loop must be closing. Takes NULL. */
void loop_close(struct loop *loop);

#endif
