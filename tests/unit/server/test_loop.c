#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "server/lanes.h"

struct probe {
    ins_task task;
    ins_timer timer;
    struct lanes *lanes;
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
        probe->lanes->runtime.post(probe->lanes, INS_LANE_REQUEST, &probe->again->task);
        probe->lanes->runtime.wake(probe->lanes, INS_LANE_REQUEST);
    }
    if (probe->stop) {
        loop_stop(&probe->lanes->loops[0]);
    }
}

static void timer_run(ins_timer *timer) {
    task_run(&((struct probe *)(void *)((char *)timer - offsetof(struct probe, timer)))->task);
}

static struct lanes *open_lanes(void) {
    struct lanes *lanes = NULL;
    ins_error error;
    static ins_store *const none = NULL;
    assert_int_equal(lanes_open(none, 1, &lanes, &error), INS_OK);
    return lanes;
}

/* Goal: tasks run in the order of posting, also one that a task posts. Method: three posted before
 * the loop runs, the second posts the last. */
static void test_order(void **state) {
    (void)state;
    struct lanes *lanes = open_lanes();
    int order[8] = {0};
    struct probe last = {
        .task.run = task_run, .lanes = lanes, .order = order, .number = 4, .stop = true};
    struct probe probes[3];
    for (int i = 0; i < 3; i++) {
        probes[i] =
            (struct probe){.task.run = task_run, .lanes = lanes, .order = order, .number = i + 1};
    }
    probes[1].again = &last;
    for (int i = 0; i < 3; i++) {
        lanes->runtime.post(lanes, INS_LANE_REQUEST, &probes[i].task);
    }
    lanes->runtime.wake(lanes, INS_LANE_REQUEST);
    loop_run(&lanes->loops[0]);
    assert_int_equal(order[0], 4);
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(order[i], i);
    }
    lanes_close(lanes);
}

static void bounce_run(ins_task *task) {
    struct probe *probe = (struct probe *)(void *)task;
    assert_false(pthread_equal(pthread_self(), probe->lanes->loops[0].thread));
    probe->lanes->runtime.post(probe->lanes, INS_LANE_REQUEST, &probe->again->task);
    probe->lanes->runtime.wake(probe->lanes, INS_LANE_REQUEST);
}

/* Goal: another lane's thread can wake the loop. Method: a task on lane LOG posts one back. */
static void test_other_thread(void **state) {
    (void)state;
    struct lanes *lanes = open_lanes();
    int order[8] = {0};
    struct probe back = {
        .task.run = task_run, .lanes = lanes, .order = order, .number = 7, .stop = true};
    struct probe away = {.task.run = bounce_run, .lanes = lanes, .again = &back};
    lanes->runtime.post(lanes, INS_LANE_LOG, &away.task);
    lanes->runtime.wake(lanes, INS_LANE_LOG);
    loop_run(&lanes->loops[0]);
    assert_int_equal(order[1], 7);
    lanes_close(lanes);
}

/* Goal: timers ring in the order of their due times, not before, a moved one at its new time and a
 * stopped one never. Method: four timers, armed out of order. */
static void test_timers(void **state) {
    (void)state;
    struct lanes *lanes = open_lanes();
    int order[8] = {0};
    struct probe probes[4];
    for (int i = 0; i < 4; i++) {
        probes[i] =
            (struct probe){.timer.run = timer_run, .lanes = lanes, .order = order, .number = i + 1};
    }
    probes[3].stop = true;
    uint64_t start = system_now_ns(NULL);
    lanes->runtime.timer(lanes, INS_LANE_REQUEST, &probes[3].timer, 30000000);
    lanes->runtime.timer(lanes, INS_LANE_REQUEST, &probes[0].timer, 25000000);
    lanes->runtime.timer(lanes, INS_LANE_REQUEST, &probes[1].timer, 10000000);
    lanes->runtime.timer(lanes, INS_LANE_REQUEST, &probes[2].timer, 20000000);
    lanes->runtime.timer(lanes, INS_LANE_REQUEST, &probes[0].timer, 1000000); /* moved */
    lanes->runtime.timer_stop(lanes, INS_LANE_REQUEST, &probes[2].timer);
    assert_false(probes[2].timer.armed);
    lanes->runtime.timer_stop(lanes, INS_LANE_REQUEST, &probes[2].timer); /* no harm twice */
    loop_run(&lanes->loops[0]);
    assert_true(system_now_ns(NULL) - start >= 30000000);
    assert_int_equal(order[0], 3);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 2);
    assert_int_equal(order[3], 4);
    lanes_close(lanes);
}

/* A task that goes between two lanes until its hops are used up. */
struct traveller {
    ins_task task;
    struct lanes *lanes;
    uint32_t lane, hops;
    _Atomic uint32_t *arrived;
};

enum { TRAVELLERS = 50, HOPS = 2000 };

static void travel_run(ins_task *task) {
    struct traveller *traveller = (struct traveller *)(void *)task;
    struct lanes *lanes = traveller->lanes;
    if (traveller->hops == 0 && traveller->lane == loop_lane(0)) {
        if (atomic_fetch_add(traveller->arrived, 1) + 1 == TRAVELLERS) {
            loop_stop(&lanes->loops[0]);
        }
        return;
    }
    traveller->hops -= traveller->hops != 0;
    traveller->lane = traveller->lane + 1 == loop_lane(lanes->loop_count) ? INS_LANE_LOG
                      : traveller->lane == INS_LANE_LOG                   ? loop_lane(0)
                                                                          : traveller->lane + 1;
    uint32_t lane = traveller->lane; /* once posted, it is the other's */
    lanes->runtime.post(lanes, lane, task);
    lanes->runtime.wake(lanes, lane);
}

/* Goal: no wake is lost between loops and threads, however they fall asleep. Method: tasks travel
 * round three loops and a thread, many at once and then one alone; a lost wake ends in a timeout.
 */
static void test_travel(void **state) {
    (void)state;
    struct lanes *lanes = NULL;
    static ins_store *const none = NULL;
    assert_int_equal(lanes_open(none, 3, &lanes, NULL), INS_OK);
    assert_int_equal(lanes_start_loops(lanes, NULL), INS_OK);
    static struct traveller travellers[TRAVELLERS];
    _Atomic uint32_t arrived = 0;
    for (int i = 0; i < TRAVELLERS; i++) {
        travellers[i] = (struct traveller){.task.run = travel_run,
                                           .lanes = lanes,
                                           .lane = loop_lane(0),
                                           .hops = i == 0 ? HOPS * 3 : HOPS / (uint32_t)i,
                                           .arrived = &arrived};
        lanes->runtime.post(lanes, loop_lane(0), &travellers[i].task);
    }
    lanes->runtime.wake(lanes, loop_lane(0));
    loop_run(&lanes->loops[0]);
    assert_int_equal(arrived, TRAVELLERS);
    lanes_stop_loops(lanes);
    lanes_close(lanes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_other_thread),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_travel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
