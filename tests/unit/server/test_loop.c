#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "server/loop.h"

struct probe {
    ins_task task;
    ins_timer timer;
    struct loop *loop;
    int *order;
    int number;
    struct probe *again; /* posted by this one's run */
    bool stop;
};

static void task_run(ins_task *task) {
    struct probe *probe = (struct probe *)(void *)task;
    probe->order[*probe->order + 1] = probe->number;
    (*probe->order)++;
    if (probe->again != NULL) {
        probe->loop->runtime.post(probe->loop, INS_LANE_REQUEST, &probe->again->task);
        probe->loop->runtime.wake(probe->loop, INS_LANE_REQUEST);
    }
    if (probe->stop) {
        uv_stop(&probe->loop->uv);
    }
}

static void timer_run(ins_timer *timer) {
    task_run(&((struct probe *)(void *)((char *)timer - offsetof(struct probe, timer)))->task);
}

static struct loop *open_loop(void) {
    struct loop *loop = NULL;
    ins_error error;
    static ins_store *const none = NULL;
    assert_int_equal(loop_open(none, &loop, &error), INS_OK);
    return loop;
}

/* Goal: tasks run in the order of posting, also one that a task posts. Method: three posted before
 * the loop runs, the second posts the last. */
static void test_order(void **state) {
    (void)state;
    struct loop *loop = open_loop();
    int order[8] = {0};
    struct probe last = {
        .task.run = task_run, .loop = loop, .order = order, .number = 4, .stop = true};
    struct probe probes[3];
    for (int i = 0; i < 3; i++) {
        probes[i] =
            (struct probe){.task.run = task_run, .loop = loop, .order = order, .number = i + 1};
    }
    probes[1].again = &last;
    for (int i = 0; i < 3; i++) {
        loop->runtime.post(loop, INS_LANE_REQUEST, &probes[i].task);
    }
    loop->runtime.wake(loop, INS_LANE_REQUEST);
    loop_run(loop);
    assert_int_equal(order[0], 4);
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(order[i], i);
    }
    loop_close(loop);
}

static void bounce_run(ins_task *task) {
    struct probe *probe = (struct probe *)(void *)task;
    assert_false(pthread_equal(pthread_self(), probe->loop->thread));
    probe->loop->runtime.post(probe->loop, INS_LANE_REQUEST, &probe->again->task);
    probe->loop->runtime.wake(probe->loop, INS_LANE_REQUEST);
}

/* Goal: another lane's thread can wake the loop. Method: a task on lane LOG posts one back. */
static void test_other_thread(void **state) {
    (void)state;
    struct loop *loop = open_loop();
    int order[8] = {0};
    struct probe back = {
        .task.run = task_run, .loop = loop, .order = order, .number = 7, .stop = true};
    struct probe away = {.task.run = bounce_run, .loop = loop, .again = &back};
    loop->runtime.post(loop, INS_LANE_LOG, &away.task);
    loop->runtime.wake(loop, INS_LANE_LOG);
    loop_run(loop);
    assert_int_equal(order[1], 7);
    loop_close(loop);
}

/* Goal: timers ring in the order of their due times, not before, a moved one at its new time and a
 * stopped one never. Method: four timers, armed out of order. */
static void test_timers(void **state) {
    (void)state;
    struct loop *loop = open_loop();
    int order[8] = {0};
    struct probe probes[4];
    for (int i = 0; i < 4; i++) {
        probes[i] =
            (struct probe){.timer.run = timer_run, .loop = loop, .order = order, .number = i + 1};
    }
    probes[3].stop = true;
    uint64_t start = system_now_ns(NULL);
    loop->runtime.timer(loop, INS_LANE_REQUEST, &probes[3].timer, 30000000);
    loop->runtime.timer(loop, INS_LANE_REQUEST, &probes[0].timer, 25000000);
    loop->runtime.timer(loop, INS_LANE_REQUEST, &probes[1].timer, 10000000);
    loop->runtime.timer(loop, INS_LANE_REQUEST, &probes[2].timer, 20000000);
    loop->runtime.timer(loop, INS_LANE_REQUEST, &probes[0].timer, 1000000); /* moved */
    loop->runtime.timer_stop(loop, INS_LANE_REQUEST, &probes[2].timer);
    assert_false(probes[2].timer.armed);
    loop->runtime.timer_stop(loop, INS_LANE_REQUEST, &probes[2].timer); /* no harm twice */
    loop_run(loop);
    assert_true(system_now_ns(NULL) - start >= 30000000);
    assert_int_equal(order[0], 3);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 2);
    assert_int_equal(order[3], 4);
    loop_close(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_other_thread),
        cmocka_unit_test(test_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
