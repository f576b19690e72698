/* The server's runtime: event loops and threads as the lanes of an ins_runtime.
 *
 * Loop 0 is lane INS_LANE_REQUEST, the engine's, and runs on the thread that opened it. The loops
 * behind it have a thread each and the lanes behind the engine's: loop i is lane
 * INS_LANE_REQUEST + i. The lanes before have a thread each without sockets.
 * Threads: open, start, stop and close on loop 0's. */
#ifndef INS_SERVER_LANES_H
#define INS_SERVER_LANES_H

#include "base/lane.h"
#include "server/loop.h"

#define LANE_THREADS INS_LANE_REQUEST /* lanes without a loop */

_Static_assert(INS_LANE_REQUEST + 1 == INS_LANE_COUNT, "loops' lanes follow the engine's");

struct lanes {
    ins_runtime runtime; /* its context is this struct */
    struct lane_thread threads[LANE_THREADS];
    uint32_t thread_count;
    uint32_t loop_count, loops_started; /* started: those behind loop 0 that have a thread */
    pthread_t loop_threads[LOOPS_MAX];
    struct loop loops[]; /* [loop_count] */
};

/* `store` is borrowed; `loop_count` 1 .. LOOPS_MAX. The threads of lanes run at once, those of
 * loops from lanes_start_loops() on. */
INS_MUST_USE ins_status lanes_open(ins_store *store, uint32_t loop_count, struct lanes **out_lanes,
                                   ins_error *error);
INS_MUST_USE ins_status lanes_start_loops(struct lanes *lanes, ins_error *error);
/* Ends the loops behind loop 0, each after its round, and their threads. */
void lanes_stop_loops(struct lanes *lanes);
/* Ends the threads: after it no lane runs a task, and the database may be closed. */
void lanes_stop_threads(struct lanes *lanes);
/* Takes NULL. */
void lanes_close(struct lanes *lanes);

static inline uint32_t loop_lane(uint32_t index) {
    return INS_LANE_REQUEST + index;
}

#endif
