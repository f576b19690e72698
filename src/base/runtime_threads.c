/* The library's default runtime: a thread a lane, the system's clock and randomness. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/lane.h"
#include "base/limits.h"
#include "base/status.h"

struct threads_runtime {
    ins_runtime runtime; /* first: the handle outside */
    struct lane_thread lanes[INS_LANE_COUNT];
    uint32_t started;
};

static const char *const lane_names[INS_LANE_COUNT] = {
    [INS_LANE_LOG] = "insula-log",
    [INS_LANE_READ] = "insula-read",
    [INS_LANE_BACKGROUND] = "insula-back",
    [INS_LANE_REQUEST] = "insula-request",
};

static struct lane_thread *lane_of(void *context, uint32_t lane) {
    struct threads_runtime *threads = context;
    INS_ASSERT(lane < INS_LANE_COUNT);
    return &threads->lanes[lane];
}

static void threads_post(void *context, uint32_t lane, ins_task *task) {
    lane_post(lane_of(context, lane), task);
}

static void threads_wake(void *context, uint32_t lane) {
    lane_wake(lane_of(context, lane));
}

static void threads_timer(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns) {
    lane_timer(lane_of(context, lane), timer, delay_ns);
}

static void threads_timer_stop(void *context, uint32_t lane, ins_timer *timer) {
    lane_timer_stop(lane_of(context, lane), timer);
}

static const int lane_nice[INS_LANE_COUNT] = {[INS_LANE_BACKGROUND] = INS_BACKGROUND_NICE};

ins_status ins_runtime_open_threads(ins_store *store, ins_runtime **out_runtime, ins_error *error) {
    INS_ASSERT(store != NULL);
    INS_ASSERT(out_runtime != NULL);

    struct threads_runtime *threads = calloc(1, sizeof(*threads));
    if (threads == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the runtime: %zu bytes", sizeof(*threads));
    }
    threads->runtime = (ins_runtime){
        .context = threads,
        .store = store,
        .now_ns = system_now_ns,
        .random = system_random,
        .post = threads_post,
        .wake = threads_wake,
        .timer = threads_timer,
        .timer_stop = threads_timer_stop,
    };
    for (uint32_t lane = 0; lane < INS_LANE_COUNT; lane++) {
        ins_status status =
            lane_thread_start(&threads->lanes[lane], lane_names[lane], lane_nice[lane], error);
        if (status != INS_OK) {
            ins_runtime_close_threads(&threads->runtime);
            return status;
        }
        threads->started++;
    }
    *out_runtime = &threads->runtime;
    return INS_OK;
}

void ins_runtime_close_threads(ins_runtime *runtime) {
    if (runtime == NULL) {
        return;
    }
    struct threads_runtime *threads = runtime->context;
    for (uint32_t lane = 0; lane < threads->started; lane++) {
        lane_stop(&threads->lanes[lane]);
    }
    free(threads);
}
