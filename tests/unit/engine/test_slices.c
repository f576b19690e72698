#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/operation.h"
#include "engine/slices.h"

#define READS 20u
#define STEPS 5u

/* A lane and a clock that the test moves, and operations that only take time. */
static struct {
    struct ins_db db;
    ins_runtime runtime;
    uint64_t now_ns, step_ns;
    ins_task *posted;
    struct read {
        struct operation operation;
        ins_call call;
        uint32_t steps;
    } reads[READS];
    uint32_t steps, ended;
} world;

static uint64_t now_ns(void *context) {
    (void)context;
    return world.now_ns;
}

static void post(void *context, uint32_t lane, ins_task *task) {
    (void)context;
    assert_int_equal(lane, INS_LANE_REQUEST);
    assert_null(world.posted); /* one task for all */
    world.posted = task;
}

static void wake(void *context, uint32_t lane) {
    (void)context;
    (void)lane;
}

static void done(ins_call *call) {
    assert_int_equal(call->status, INS_OK);
    world.ended++;
}

static ins_status step(struct operation *operation, ins_error *error) {
    struct read *self = container_of(operation, struct read, operation);
    (void)error;
    world.now_ns += world.step_ns;
    world.steps++;
    assert_in_range(self->steps, (world.steps - 1) / READS, (world.steps - 1) / READS + 1);
    return ++self->steps == STEPS ? INS_OK : INS_AGAIN;
}

static void start(uint64_t step_ns) {
    memset(&world, 0, sizeof(world));
    world.runtime = (ins_runtime){.now_ns = now_ns, .post = post, .wake = wake};
    world.step_ns = step_ns;
    world.now_ns = 1;
    world.db.runtime = &world.runtime;
    world.db.operations = READS;
    slices_init(&world.db.slices);
    for (uint32_t i = 0; i < READS; i++) {
        struct read *self = &world.reads[i];
        self->call.done = done;
        self->operation.db = &world.db;
        self->operation.call = &self->call;
        self->operation.step = step;
        operation_run(&self->operation);
    }
    assert_int_equal(world.ended, 0);
}

static void run_turn(void) {
    ins_task *task = world.posted;
    world.posted = NULL;
    task->run(task);
}

/* Goal: long reads take turns, and together hold the lane for a bounded time. Method: twenty reads
 * of five steps; the time of each turn, with steps of 300 us, and of longer than a turn. */
static void test_turns(void **state) {
    (void)state;
    static const uint64_t steps_ns[] = {SLICES_NS * 3 / 10, SLICES_NS * 2};
    static const uint32_t steps_a_turn[] = {4, 1};
    for (int i = 0; i < 2; i++) {
        start(steps_ns[i]);
        while (world.posted != NULL) {
            uint64_t before_ns = world.now_ns;
            uint32_t before = world.steps;
            run_turn();
            assert_true(world.now_ns - before_ns < SLICES_NS + steps_ns[i]);
            assert_true(world.steps - before == steps_a_turn[i] || world.posted == NULL);
        }
        assert_int_equal(world.steps, READS * STEPS);
        assert_int_equal(world.ended, READS);
    }
}

/* Goal: steps that take no time end a turn as well. Method: a clock that stands still. */
static void test_still(void **state) {
    (void)state;
    start(0);
    run_turn();
    assert_int_equal(world.steps, READS + SLICES_STEPS_MAX);
    assert_non_null(world.posted);
    run_turn();
    assert_int_equal(world.ended, READS);
    assert_null(world.posted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
