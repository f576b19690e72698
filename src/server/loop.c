#include "server/loop.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"

#define NS_PER_MS 1000000ull

static void loop_post(void *context, uint32_t lane, ins_task *task) {
    struct loop *loop = context;
    INS_ASSERT(lane < INS_LANE_COUNT);
    if (lane != INS_LANE_REQUEST) {
        lane_post(&loop->lanes[lane], task);
        return;
    }
    ins_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task,
                                                    memory_order_release, memory_order_relaxed));
}

/* Runs all that was posted until now, in the order of posting; what is posted meanwhile waits for
 * its own wake, so that sockets get their turn. */
static void loop_run_posted(struct loop *loop) {
    ins_task *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    ins_task *first = NULL;
    while (newest != NULL) {
        ins_task *next = newest->next;
        newest->next = first;
        first = newest;
        newest = next;
    }
    while (first != NULL) {
        ins_task *task = first;
        first = task->next; /* the task may be posted again by its own run */
        task->run(task);
    }
}

static void on_async(uv_async_t *async) {
    loop_run_posted(async->data);
}

static void on_idle(uv_idle_t *idle) {
    (void)uv_idle_stop(idle);
    loop_run_posted(idle->data);
}

static void loop_wake(void *context, uint32_t lane) {
    struct loop *loop = context;
    INS_ASSERT(lane < INS_LANE_COUNT);
    if (lane != INS_LANE_REQUEST) {
        lane_wake(&loop->lanes[lane]);
    } else if (pthread_equal(pthread_self(),
                             atomic_load_explicit(&loop->thread, memory_order_relaxed))) {
        (void)uv_idle_start(&loop->idle, on_idle);
    } else {
        (void)uv_async_send(&loop->async);
    }
}

static void on_timer(uv_timer_t *timer);

/* libuv counts milliseconds from its cached time, so it may ring early: on_timer looks again. */
static void loop_arm(struct loop *loop) {
    if (loop->timers == NULL) {
        (void)uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t now_ns = system_now_ns(NULL);
    uint64_t due_ns = loop->timers->due_ns;
    uint64_t wait_ms = due_ns <= now_ns ? 0 : (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    (void)uv_timer_start(&loop->timer, on_timer, wait_ms, 0);
}

static void on_timer(uv_timer_t *uv_timer) {
    struct loop *loop = uv_timer->data;
    uint64_t now_ns = system_now_ns(NULL);
    while (loop->timers != NULL && loop->timers->due_ns <= now_ns) {
        ins_timer *timer = loop->timers;
        loop->timers = timer->next;
        timer->armed = false;
        timer->run(timer);
    }
    loop_arm(loop);
}

static void timer_unlink(struct loop *loop, ins_timer *timer) {
    ins_timer **link = &loop->timers;
    while (*link != timer) {
        INS_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = timer->next;
    timer->armed = false;
}

static void loop_timer_stop(void *context, uint32_t lane, ins_timer *timer) {
    struct loop *loop = context;
    if (lane != INS_LANE_REQUEST) {
        lane_timer_stop(&loop->lanes[lane], timer);
    } else if (timer->armed) {
        timer_unlink(loop, timer);
        loop_arm(loop);
    }
}

static void loop_timer(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns) {
    struct loop *loop = context;
    if (lane != INS_LANE_REQUEST) {
        lane_timer(&loop->lanes[lane], timer, delay_ns);
        return;
    }
    if (timer->armed) {
        timer_unlink(loop, timer);
    }
    timer->due_ns = system_now_ns(NULL) + delay_ns;
    timer->armed = true;
    ins_timer **link = &loop->timers;
    while (*link != NULL && (*link)->due_ns <= timer->due_ns) {
        link = &(*link)->next;
    }
    timer->next = *link;
    *link = timer;
    loop_arm(loop);
}

static ins_status loop_start_lanes(struct loop *loop, ins_error *error) {
    static const char *const names[LOOP_THREADS] = {
        [INS_LANE_LOG] = "insula-log",
        [INS_LANE_READ] = "insula-read",
        [INS_LANE_BACKGROUND] = "insula-back",
    };
    static const int nice[LOOP_THREADS] = {[INS_LANE_BACKGROUND] = INS_BACKGROUND_NICE};
    for (uint32_t lane = 0; lane < LOOP_THREADS; lane++) {
        ins_status status = lane_thread_start(&loop->lanes[lane], names[lane], nice[lane], error);
        if (status != INS_OK) {
            return status;
        }
        loop->started++;
    }
    return INS_OK;
}

ins_status loop_open(ins_store *store, struct loop **out_loop, ins_error *error) {
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL || uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return ins_fail(error, INS_EXHAUSTED, "the system gives no event loop");
    }
    atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
    loop->async.data = loop->idle.data = loop->timer.data = loop;
    INS_ASSERT(uv_idle_init(&loop->uv, &loop->idle) == 0);
    INS_ASSERT(uv_timer_init(&loop->uv, &loop->timer) == 0);
    loop->runtime = (ins_runtime){
        .context = loop,
        .store = store,
        .now_ns = system_now_ns,
        .random = system_random,
        .post = loop_post,
        .wake = loop_wake,
        .timer = loop_timer,
        .timer_stop = loop_timer_stop,
    };
    ins_status status = uv_async_init(&loop->uv, &loop->async, on_async) == 0
                            ? loop_start_lanes(loop, error)
                            : ins_fail(error, INS_EXHAUSTED, "the system gives no eventfd");
    if (status != INS_OK) {
        loop_close(loop);
        return status;
    }
    *out_loop = loop;
    return INS_OK;
}

void loop_run(struct loop *loop) {
    atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void close_handle(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void loop_stop_lanes(struct loop *loop) {
    while (loop->started != 0) {
        lane_stop(&loop->lanes[--loop->started]);
    }
}

void loop_close(struct loop *loop) {
    if (loop == NULL) {
        return;
    }
    loop_stop_lanes(loop);
    uv_walk(&loop->uv, close_handle, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    INS_ASSERT(uv_loop_close(&loop->uv) == 0);
    free(loop);
}
