#include "server/lanes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"

static struct loop *loop_of(struct lanes *lanes, uint32_t lane) {
    INS_ASSERT(lane >= INS_LANE_REQUEST && lane - INS_LANE_REQUEST < lanes->loop_count);
    return &lanes->loops[lane - INS_LANE_REQUEST];
}

static void lanes_post(void *context, uint32_t lane, ins_task *task) {
    struct lanes *lanes = context;
    if (lane < LANE_THREADS) {
        lane_post(&lanes->threads[lane], task);
    } else {
        loop_post(loop_of(lanes, lane), task);
    }
}

static void lanes_wake(void *context, uint32_t lane) {
    struct lanes *lanes = context;
    if (lane < LANE_THREADS) {
        lane_wake(&lanes->threads[lane]);
    } else {
        loop_wake(loop_of(lanes, lane));
    }
}

static void lanes_timer(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns) {
    struct lanes *lanes = context;
    if (lane < LANE_THREADS) {
        lane_timer(&lanes->threads[lane], timer, delay_ns);
    } else {
        loop_timer(loop_of(lanes, lane), timer, delay_ns);
    }
}

static void lanes_timer_stop(void *context, uint32_t lane, ins_timer *timer) {
    struct lanes *lanes = context;
    if (lane < LANE_THREADS) {
        lane_timer_stop(&lanes->threads[lane], timer);
    } else {
        loop_timer_stop(loop_of(lanes, lane), timer);
    }
}

static ins_status threads_start(struct lanes *lanes, ins_error *error) {
    static const char *const names[LANE_THREADS] = {
        [INS_LANE_LOG] = "insula-log",
        [INS_LANE_READ] = "insula-read",
        [INS_LANE_BACKGROUND] = "insula-back",
    };
    static const int nice[LANE_THREADS] = {[INS_LANE_BACKGROUND] = INS_BACKGROUND_NICE};
    for (uint32_t lane = 0; lane < LANE_THREADS; lane++) {
        ins_status status =
            lane_thread_start(&lanes->threads[lane], names[lane], nice[lane], error);
        if (status != INS_OK) {
            return status;
        }
        lanes->thread_count++;
    }
    return INS_OK;
}

ins_status lanes_open(ins_store *store, uint32_t loop_count, struct lanes **out_lanes,
                      ins_error *error) {
    INS_ASSERT(loop_count != 0 && loop_count <= LOOPS_MAX);
    struct lanes *lanes = calloc(1, sizeof(*lanes) + loop_count * sizeof(lanes->loops[0]));
    if (lanes == NULL) {
        return ins_fail(error, INS_EXHAUSTED, "no memory for %u event loops", loop_count);
    }
    lanes->runtime = (ins_runtime){
        .context = lanes,
        .store = store,
        .now_ns = system_now_ns,
        .random = system_random,
        .post = lanes_post,
        .wake = lanes_wake,
        .timer = lanes_timer,
        .timer_stop = lanes_timer_stop,
        .machine_bytes = ins_machine_bytes,
    };
    ins_status status = INS_OK;
    for (uint32_t i = 0; status == INS_OK && i < loop_count; i++) {
        status = loop_init(&lanes->loops[i], i, error);
        lanes->loop_count += status == INS_OK;
    }
    if (status == INS_OK) {
        status = threads_start(lanes, error);
    }
    if (status != INS_OK) {
        lanes_close(lanes);
        return status;
    }
    *out_lanes = lanes;
    return INS_OK;
}

static void *loop_main(void *argument) {
    struct loop *loop = argument;
    char name[LANE_NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "insula-net-%u", loop->index);
    (void)pthread_setname_np(pthread_self(), name);
    loop_run(loop);
    return NULL;
}

ins_status lanes_start_loops(struct lanes *lanes, ins_error *error) {
    while (lanes->loops_started + 1 < lanes->loop_count) {
        uint32_t index = lanes->loops_started + 1;
        int failure =
            pthread_create(&lanes->loop_threads[index], NULL, loop_main, &lanes->loops[index]);
        if (failure != 0) {
            return ins_fail(error, INS_EXHAUSTED, "cannot start the thread of event loop %u: %s",
                            index, strerrordesc_np(failure));
        }
        lanes->loops_started++;
    }
    return INS_OK;
}

struct stop {
    ins_task task;
    struct loop *loop;
};

static void stop_run(ins_task *task) {
    loop_stop(((struct stop *)(void *)task)->loop);
}

void lanes_stop_loops(struct lanes *lanes) {
    while (lanes->loops_started != 0) {
        uint32_t index = lanes->loops_started--;
        struct stop stop = {.task.run = stop_run, .loop = &lanes->loops[index]};
        loop_post(stop.loop, &stop.task);
        loop_wake(stop.loop);
        INS_ASSERT(pthread_join(lanes->loop_threads[index], NULL) == 0);
    }
}

void lanes_stop_threads(struct lanes *lanes) {
    while (lanes->thread_count != 0) {
        lane_stop(&lanes->threads[--lanes->thread_count]);
    }
}

void lanes_close(struct lanes *lanes) {
    if (lanes == NULL) {
        return;
    }
    lanes_stop_loops(lanes);
    lanes_stop_threads(lanes);
    for (uint32_t i = 0; i < lanes->loop_count; i++) {
        loop_fini(&lanes->loops[i]);
    }
    free(lanes);
}
