/* Goal: a lane runs tasks in order, fires timers in time, and ends without running more.
 * Method: real threads; waiting on a semaphore, so that nothing depends on the speed of the
 * machine. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lane.h"
#include "base/limits.h"

#define TASKS 1000

struct job {
    ins_task task; /* first */
    uint32_t value;
};

static uint32_t seen[4 * TASKS];
static _Atomic uint32_t seen_count;
static sem_t done;

static void job_run(ins_task *task) {
    struct job *job = (struct job *)(void *)task;
    seen[seen_count++] = job->value;
    if (seen_count % TASKS == 0) {
        (void)sem_post(&done);
    }
}

static void test_order(void **state) {
    /* Goal: tasks of one poster run in order; post alone does not wake. Method: 1,000 numbered
     * tasks, a pause before the wake. */
    (void)state;
    struct lane_thread lane;
    struct job *jobs = calloc(TASKS, sizeof(*jobs));
    seen_count = 0;
    (void)sem_init(&done, 0, 0);
    assert_int_equal(lane_thread_start(&lane, "test-lane", 0, NULL), INS_OK);
    for (uint32_t i = 0; i < TASKS; i++) {
        jobs[i] = (struct job){.task.run = job_run, .value = i};
        lane_post(&lane, &jobs[i].task);
    }
    (void)usleep(20000);
    assert_int_equal(seen_count, 0);
    lane_wake(&lane);
    (void)sem_wait(&done);
    lane_stop(&lane);
    for (uint32_t i = 0; i < TASKS; i++) {
        assert_int_equal(seen[i], i);
    }
    free(jobs);
}

struct poster {
    struct lane_thread *lane;
    struct job *jobs;
    uint32_t first;
};

static void *poster_main(void *argument) {
    struct poster *poster = argument;
    for (uint32_t i = 0; i < TASKS; i++) {
        poster->jobs[i] = (struct job){.task.run = job_run, .value = poster->first + i};
        lane_post(poster->lane, &poster->jobs[i].task);
        lane_wake(poster->lane);
    }
    return NULL;
}

static void test_many_posters(void **state) {
    /* Goal: posts of several threads all run, each thread's in its order. Method: four threads. */
    (void)state;
    struct lane_thread lane;
    struct job *jobs = calloc(4 * TASKS, sizeof(*jobs));
    struct poster posters[4];
    pthread_t threads[4];
    seen_count = 0;
    (void)sem_init(&done, 0, 0);
    assert_int_equal(lane_thread_start(&lane, "test-lane", 0, NULL), INS_OK);
    for (uint32_t i = 0; i < 4; i++) {
        posters[i] = (struct poster){&lane, jobs + i * TASKS, i * TASKS};
        assert_int_equal(pthread_create(&threads[i], NULL, poster_main, &posters[i]), 0);
    }
    for (uint32_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
        (void)sem_wait(&done);
    }
    lane_stop(&lane);
    assert_int_equal(seen_count, 4 * TASKS);
    uint32_t next[4] = {0};
    for (uint32_t i = 0; i < 4 * TASKS; i++) {
        assert_int_equal(seen[i] % TASKS, next[seen[i] / TASKS]++);
    }
    free(jobs);
}

struct ticker {
    ins_timer timer; /* first */
    struct lane_thread *lane;
    uint32_t left, name;
    uint64_t delay_ns;
};

static char ticks[64];
static _Atomic uint32_t tick_count;

static void ticker_run(ins_timer *timer) {
    struct ticker *ticker = (struct ticker *)(void *)timer;
    assert_false(timer->armed);
    ticks[tick_count++] = (char)('a' + ticker->name);
    if (--ticker->left > 0) {
        lane_timer(ticker->lane, timer, ticker->delay_ns);
    } else if (ticker->name == 0) {
        (void)sem_post(&done);
    }
}

struct arm {
    ins_task task; /* first */
    struct ticker *tickers;
};

static void arm_run(ins_task *task) {
    struct ticker *tickers = ((struct arm *)(void *)task)->tickers;
    lane_timer(tickers[0].lane, &tickers[0].timer, 50000000);
    lane_timer(tickers[1].lane, &tickers[1].timer, 10000000);
    lane_timer(tickers[2].lane, &tickers[2].timer, 1000000);
    lane_timer(tickers[3].lane, &tickers[3].timer, 20000000);
    lane_timer(tickers[3].lane, &tickers[3].timer, 5000000); /* moves it */
    lane_timer_stop(tickers[2].lane, &tickers[2].timer);
    lane_timer_stop(tickers[2].lane, &tickers[2].timer); /* of a disarmed one: nothing */
    assert_false(tickers[2].timer.armed);
}

static void test_timers(void **state) {
    /* Goal: timers fire once each in order of their time, may arm themselves again, can be moved
     * and stopped. Method: four timers, the letters of those that fired. */
    (void)state;
    struct lane_thread lane;
    struct ticker tickers[4] = {
        {.left = 1, .name = 0},
        {.left = 2, .name = 1, .delay_ns = 10000000},
        {.left = 1, .name = 2},
        {.left = 1, .name = 3},
    };
    (void)sem_init(&done, 0, 0);
    tick_count = 0;
    memset(ticks, 0, sizeof(ticks));
    assert_int_equal(lane_thread_start(&lane, "test-lane", 5, NULL), INS_OK);
    for (size_t i = 0; i < 4; i++) {
        tickers[i].timer.run = ticker_run;
        tickers[i].lane = &lane;
    }
    struct arm arm = {.task.run = arm_run, .tickers = tickers};
    uint64_t begin_ns = system_now_ns(NULL);
    lane_post(&lane, &arm.task);
    lane_wake(&lane);
    (void)sem_wait(&done);
    assert_true(system_now_ns(NULL) - begin_ns >= 50000000);
    lane_stop(&lane);
    assert_string_equal(ticks, "dbba");
}

static sem_t entered, leave;

static void block_run(ins_task *task) {
    (void)task;
    (void)sem_post(&entered);
    (void)sem_wait(&leave);
}

static void never_run(ins_task *task) {
    (void)task;
    abort();
}

/* When the lane has been told to stop. */
static void *leave_later(void *argument) {
    struct lane_thread *lane = argument;
    for (bool stopping = false; !stopping;) {
        (void)usleep(100);
        (void)pthread_mutex_lock(&lane->lock);
        stopping = lane->stopping;
        (void)pthread_mutex_unlock(&lane->lock);
    }
    (void)sem_post(&leave);
    return NULL;
}

static void test_stop(void **state) {
    /* Goal: stop waits for the task under way, runs nothing after it, and later posts are harmless.
     * Method: a task that blocks, another behind it that would abort. */
    (void)state;
    struct lane_thread lane;
    ins_task block = {.run = block_run}, never = {.run = never_run}, late = {.run = never_run};
    pthread_t thread;
    (void)sem_init(&entered, 0, 0);
    (void)sem_init(&leave, 0, 0);
    assert_int_equal(lane_thread_start(&lane, "test-lane", 0, NULL), INS_OK);
    lane_post(&lane, &block);
    lane_wake(&lane);
    (void)sem_wait(&entered);
    lane_post(&lane, &never);
    lane_wake(&lane);
    assert_int_equal(pthread_create(&thread, NULL, leave_later, &lane), 0);
    lane_stop(&lane);
    lane_post(&lane, &late);
    lane_wake(&lane);
    (void)pthread_join(thread, NULL);
}

static char lane_name[32];
static int lane_nice;

static void about_run(ins_task *task) {
    (void)task;
    (void)pthread_getname_np(pthread_self(), lane_name, sizeof(lane_name));
    lane_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    (void)sem_post(&done);
}

static void test_runtime(void **state) {
    /* Goal: the default runtime has its lanes on threads of their own, named, the background one
     * as nice as the limit says; its clock rises and its randomness differs. Method: a task on each
     * lane. */
    (void)state;
    static int store_stand_in;
    ins_runtime *runtime = NULL;
    assert_int_equal(ins_runtime_open_threads((ins_store *)(void *)&store_stand_in, &runtime, NULL),
                     INS_OK);
    assert_ptr_equal(runtime->store, &store_stand_in);
    const char *names[] = {"insula-log", "insula-read", "insula-back", "insula-request"};
    (void)sem_init(&done, 0, 0);
    for (uint32_t lane = 0; lane < INS_LANE_COUNT; lane++) {
        ins_task task = {.run = about_run};
        runtime->post(runtime->context, lane, &task);
        runtime->wake(runtime->context, lane);
        (void)sem_wait(&done);
        assert_string_equal(lane_name, names[lane]);
        int base = getpriority(PRIO_PROCESS, 0);
        bool lower = lane == INS_LANE_BACKGROUND && base < INS_BACKGROUND_NICE;
        int expected = lower ? INS_BACKGROUND_NICE : base;
        assert_int_equal(lane_nice, expected);
    }
    uint64_t before = runtime->now_ns(runtime->context);
    assert_true(runtime->now_ns(runtime->context) >= before);
    uint64_t first = 0, second = 0;
    runtime->random(runtime->context, &first, sizeof(first));
    runtime->random(runtime->context, &second, sizeof(second));
    assert_int_not_equal(first, second);
    ins_runtime_close_threads(runtime);
    ins_runtime_close_threads(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),   cmocka_unit_test(test_many_posters),
        cmocka_unit_test(test_timers),  cmocka_unit_test(test_stop),
        cmocka_unit_test(test_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
