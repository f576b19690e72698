#include "base/lane.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"

#define NS_PER_S 1000000000ull

uint64_t system_now_ns(void *unused) {
    (void)unused;
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);
    INS_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void system_random(void *unused, void *out, size_t size) {
    (void)unused;
    uint8_t *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        INS_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

static void lane_lock(struct lane_thread *lane) {
    int result = pthread_mutex_lock(&lane->lock);
    INS_ASSERT(result == 0);
}

static void lane_unlock(struct lane_thread *lane) {
    int result = pthread_mutex_unlock(&lane->lock);
    INS_ASSERT(result == 0);
}

/* Runs with the lock held between tasks, so that posting to itself needs no second round. */
static void lane_run_tasks(struct lane_thread *lane) {
    while (lane->first != NULL && !lane->stopping) {
        ins_task *task = lane->first;
        lane->first = task->next;
        if (lane->first == NULL) {
            lane->last = &lane->first;
        }
        task->next = NULL;
        lane_unlock(lane);
        task->run(task);
        lane_lock(lane);
    }
}

static void lane_fire_timers(struct lane_thread *lane) {
    uint64_t now_ns = lane->timers == NULL ? 0 : system_now_ns(NULL);
    while (lane->timers != NULL && lane->timers->due_ns <= now_ns && !lane->stopping) {
        ins_timer *timer = lane->timers;
        lane->timers = timer->next;
        timer->next = NULL;
        timer->armed = false;
        lane_unlock(lane);
        timer->run(timer);
        lane_lock(lane);
    }
}

static void lane_sleep(struct lane_thread *lane) {
    if (lane->timers == NULL) {
        (void)pthread_cond_wait(&lane->wakeup, &lane->lock);
        return;
    }
    uint64_t due_ns = lane->timers->due_ns;
    struct timespec until = {.tv_sec = (time_t)(due_ns / NS_PER_S),
                             .tv_nsec = (long)(due_ns % NS_PER_S)};
    int result = pthread_cond_timedwait(&lane->wakeup, &lane->lock, &until);
    if (result == ETIMEDOUT) {
        lane->woken = true;
    }
}

static void *lane_main(void *argument) {
    struct lane_thread *lane = argument;
    (void)pthread_setname_np(pthread_self(), lane->name);
    if (lane->nice != 0) { /* of this thread alone: Linux keeps nice values per thread */
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), lane->nice);
    }
    lane_lock(lane);
    while (!lane->stopping) {
        if (!lane->woken) {
            lane_sleep(lane);
            continue;
        }
        lane->woken = false;
        lane_run_tasks(lane);
        lane_fire_timers(lane);
        if (lane->first != NULL) {
            lane->woken = true; /* a timer posted */
        }
    }
    lane_unlock(lane);
    return NULL;
}

ins_status lane_thread_start(struct lane_thread *lane, const char *name, int nice,
                             ins_error *error) {
    INS_ASSERT(lane != NULL);
    INS_ASSERT(name != NULL && strlen(name) <= LANE_NAME_MAX);
    INS_ASSERT(nice >= 0 && nice <= 19);

    *lane = (struct lane_thread){.nice = nice};
    (void)snprintf(lane->name, sizeof(lane->name), "%s", name);
    lane->last = &lane->first;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&lane->lock, NULL);
    (void)pthread_cond_init(&lane->wakeup, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int result = pthread_create(&lane->thread, NULL, lane_main, lane);
    if (result != 0) {
        (void)pthread_cond_destroy(&lane->wakeup);
        (void)pthread_mutex_destroy(&lane->lock);
        return ins_fail(error, INS_EXHAUSTED, "cannot start thread %s: %s", name, strerror(result));
    }
    return INS_OK;
}

void lane_stop(struct lane_thread *lane) {
    INS_ASSERT(pthread_equal(pthread_self(), lane->thread) == 0);
    lane_lock(lane);
    lane->stopping = true;
    (void)pthread_cond_signal(&lane->wakeup);
    lane_unlock(lane);
    int result = pthread_join(lane->thread, NULL);
    INS_ASSERT(result == 0);
    /* Lock and condition stay: another lane that still runs may post here. They hold no resource.
     */
}

void lane_post(struct lane_thread *lane, ins_task *task) {
    INS_ASSERT(task->run != NULL);
    task->next = NULL;
    lane_lock(lane);
    *lane->last = task;
    lane->last = &task->next;
    lane_unlock(lane);
}

void lane_wake(struct lane_thread *lane) {
    lane_lock(lane);
    if (!lane->woken) {
        lane->woken = true;
        (void)pthread_cond_signal(&lane->wakeup);
    }
    lane_unlock(lane);
}

static void timer_unlink(struct lane_thread *lane, ins_timer *timer) {
    ins_timer **link = &lane->timers;
    while (*link != NULL && *link != timer) {
        link = &(*link)->next;
    }
    INS_ASSERT(*link == timer);
    *link = timer->next;
    timer->next = NULL;
    timer->armed = false;
}

void lane_timer(struct lane_thread *lane, ins_timer *timer, uint64_t delay_ns) {
    INS_ASSERT(timer->run != NULL);
    uint64_t now_ns = system_now_ns(NULL);
    INS_ASSERT(delay_ns <= UINT64_MAX - now_ns);
    lane_lock(lane);
    if (timer->armed) {
        timer_unlink(lane, timer);
    }
    timer->due_ns = now_ns + delay_ns;
    timer->armed = true;
    ins_timer **link = &lane->timers;
    while (*link != NULL && (*link)->due_ns <= timer->due_ns) {
        link = &(*link)->next;
    }
    timer->next = *link;
    *link = timer;
    if (lane->timers == timer) { /* it may sleep until a later one */
        (void)pthread_cond_signal(&lane->wakeup);
    }
    lane_unlock(lane);
}

void lane_timer_stop(struct lane_thread *lane, ins_timer *timer) {
    lane_lock(lane);
    if (timer->armed) {
        timer_unlink(lane, timer);
    }
    lane_unlock(lane);
}
