#include "server/loop.h"

#include <string.h>

#include "base/assert.h"
#include "base/lane.h"
#include "base/status.h"

#define NS_PER_MS 1000000ull

/* The loop that this thread runs. */
static _Thread_local struct loop *current;

/* ---- Tasks ------------------------------------------------------------------------------- */

void loop_post(struct loop *loop, ins_task *task) {
    ins_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak(&loop->posted, &head, task)); /* pairs with run_posted */
}

/* Runs all that was posted until now, in the order of posting; what is posted meanwhile waits for
 * the next round, so that sockets get their turn. */
static void run_posted(struct loop *loop) {
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL) {
        return;
    }
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

/* ---- Sleeping and waking ----------------------------------------------------------------- */

static void wake_now(struct loop *loop) {
    if (atomic_exchange(&loop->asleep, false)) { /* pairs with before_sleep */
        (void)uv_async_send(&loop->async);
    }
}

static void wake_deferred(struct loop *loop) {
    for (uint32_t i = 0; loop->wakes != 0 && i < LOOPS_MAX; i++) {
        if (loop->waked[i] != NULL) {
            wake_now(loop->waked[i]);
            loop->waked[i] = NULL;
        }
    }
    loop->wakes = 0;
}

void loop_wake(struct loop *loop) {
    struct loop *waker = current;
    if (waker == NULL) {
        wake_now(loop);
    } else if (waker != loop) {
        waker->waked[loop->index] = loop;
        if (++waker->wakes == WAKES_DEFERRED) {
            wake_deferred(waker);
        }
    } /* its own tasks run before it sleeps */
}

static void on_idle(uv_idle_t *idle) {
    (void)idle;
}

/* Last of a round. A post that this does not see finds `asleep` and wakes: both sides write before
 * they read, in one total order. */
static void end_round(struct loop *loop) {
    if (loop->round_end != NULL) {
        loop->round_end(loop->round_context);
    }
}

static void before_sleep(uv_prepare_t *prepare) {
    struct loop *loop = prepare->data;
    run_posted(loop);
    end_round(loop);
    wake_deferred(loop);
    loop->round_ns = 0;
    loop->rounds++;
    atomic_store(&loop->asleep, true);
    if (atomic_load(&loop->posted) == NULL) {
        (void)uv_idle_stop(&loop->idle);
        return;
    }
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
    (void)uv_idle_start(&loop->idle, on_idle);
}

static void after_sleep(uv_check_t *check) {
    struct loop *loop = check->data;
    loop_is_awake(loop);
    end_round(loop);
    run_posted(loop);
    wake_deferred(loop);
}

static void on_async(uv_async_t *async) {
    (void)async; /* after_sleep() does the work */
}

/* ---- Timers ------------------------------------------------------------------------------ */

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

void loop_timer_stop(struct loop *loop, ins_timer *timer) {
    if (timer->armed) {
        timer_unlink(loop, timer);
        loop_arm(loop);
    }
}

void loop_timer(struct loop *loop, ins_timer *timer, uint64_t delay_ns) {
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

/* ---- Life -------------------------------------------------------------------------------- */

ins_status loop_init(struct loop *loop, uint32_t index, ins_error *error) {
    INS_ASSERT(index < LOOPS_MAX);
    memset(loop, 0, sizeof(*loop));
    if (uv_loop_init(&loop->uv) != 0) {
        return ins_fail(error, INS_EXHAUSTED, "the system gives no event loop");
    }
    loop->index = index;
    loop->rounds = 1;
    atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
    loop->async.data = loop->prepare.data = loop->check.data = loop;
    loop->idle.data = loop->timer.data = loop;
    INS_ASSERT(uv_prepare_init(&loop->uv, &loop->prepare) == 0);
    INS_ASSERT(uv_check_init(&loop->uv, &loop->check) == 0);
    INS_ASSERT(uv_idle_init(&loop->uv, &loop->idle) == 0);
    INS_ASSERT(uv_timer_init(&loop->uv, &loop->timer) == 0);
    (void)uv_prepare_start(&loop->prepare, before_sleep);
    (void)uv_check_start(&loop->check, after_sleep);
    if (uv_async_init(&loop->uv, &loop->async, on_async) != 0) {
        loop_fini(loop);
        return ins_fail(error, INS_EXHAUSTED, "the system gives no eventfd");
    }
    return INS_OK;
}

void loop_run(struct loop *loop) {
    atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
    current = loop;
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    wake_deferred(loop);
    current = NULL;
}

void loop_stop(struct loop *loop) {
    uv_stop(&loop->uv);
}

static void close_handle(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void loop_fini(struct loop *loop) {
    uv_walk(&loop->uv, close_handle, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    INS_ASSERT(uv_loop_close(&loop->uv) == 0);
}
