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
    static const uint64_t steps_ns[] = {SLICES_NS * 3 / 10, SLICES_NS * 5 / 4};
    static const uint32_t steps_a_turn[] = {4, 1};
    for (int i = 0; i < 2; i++) {
        start(steps_ns[i]);
        while (world.posted != NULL) {
            uint64_t before_ns = world.now_ns;
            uint32_t before = world.steps;
            run_turn();
            if (before * steps_ns[i] > SLICES_PATIENCE_NS) {
                assert_true(world.now_ns - before_ns < SLICES_LATE_NS + steps_ns[i]);
                continue; /* test_late */
            }
            assert_true(world.now_ns - before_ns < SLICES_NS + steps_ns[i]);
            assert_true(world.steps - before == steps_a_turn[i] || world.posted == NULL);
        }
        assert_int_equal(world.steps, READS * STEPS);
        assert_int_equal(world.ended, READS);
    }
}

/* Goal: while new requests take the lane's time, turns become longer when reads have waited for
 * long, and short again when those are done. Method: 5 ms of others between two turns. */
static void test_late(void **state) {
    (void)state;
    const uint64_t step_ns = SLICES_NS / 10;
    start(step_ns);
    uint32_t turns = 0, longer = 0;
    while (world.posted != NULL) {
        uint64_t before_ns = world.now_ns;
        run_turn();
        uint64_t took_ns = world.now_ns - before_ns;
        assert_true(took_ns <= SLICES_LATE_NS);
        /* Of 20 reads ten have a step a turn: within 6 turns the first ones have waited for 30 ms.
         */
        assert_true(turns >= 6 || took_ns <= SLICES_NS);
        longer += took_ns > SLICES_NS;
        turns++;
        world.now_ns += 5000000;
    }
    assert_int_equal(world.ended, READS);
    assert_in_range(longer, 1, 8);
    assert_true(world.db.slices.late); /* of the last one, which forgets it at its next turn */
    start(step_ns);
    uint64_t before_ns = world.now_ns;
    run_turn();
    assert_true(world.now_ns - before_ns <= SLICES_NS);
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

/* ---- Fairness ---- */

#define NOISY 50u

static struct account quiet, noisy;
static struct read many[NOISY + 1];
static uint32_t quiet_steps, noisy_steps;

static ins_status endless(struct operation *operation, ins_error *error) {
    (void)error;
    world.now_ns += world.step_ns;
    *(operation->account == &quiet ? &quiet_steps : &noisy_steps) += 1;
    return INS_AGAIN;
}

/* So many reads of the noisy one and one of the quiet one. */
static void start_many(uint32_t reads, uint64_t step_ns, ins_priority priority) {
    memset(&world, 0, sizeof(world));
    memset(&quiet, 0, sizeof(quiet));
    memset(&noisy, 0, sizeof(noisy));
    memset(many, 0, sizeof(many));
    quiet_steps = noisy_steps = 0;
    world.runtime = (ins_runtime){.now_ns = now_ns, .post = post, .wake = wake};
    world.db.runtime = &world.runtime;
    world.step_ns = step_ns;
    world.now_ns = 1;
    slices_init(&world.db.slices);
    quiet.quota.priority = priority;
    for (uint32_t i = 0; i <= reads; i++) {
        struct operation *operation = &many[i].operation;
        *operation = (struct operation){.db = &world.db, .call = &many[i].call, .step = endless};
        account_enter(operation, i == reads ? &quiet : &noisy);
        operation_run(operation);
    }
}

static void start_unequal(uint64_t step_ns, ins_priority priority) {
    start_many(NOISY, step_ns, priority);
}

/* Goal: one read beside fifty of another tenant gets half of the lane's time, or the share that its
 * priority gives it, and what it took is on its account. Method: reads without end, a clock that
 * the steps move, steps shorter and longer than a round's credit. */
static void test_shares(void **state) {
    (void)state;
    static const uint64_t steps_ns[] = {5000, 200000, 3 * SLICES_NS};
    static const struct {
        ins_priority priority;
        double share;
    } shares[] = {{INS_PRIORITY_NORMAL, 0.5}, {INS_PRIORITY_HIGH, 0.8}, {INS_PRIORITY_LOW, 0.2}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++) {
            start_unequal(steps_ns[i], shares[k].priority);
            quiet_steps = noisy_steps = 0;
            while (quiet_steps + noisy_steps < 4000) {
                run_turn();
            }
            double share = (double)quiet_steps / (quiet_steps + noisy_steps);
            assert_true(share > shares[k].share - 0.03);
            assert_true(share < shares[k].share + 0.03);
            assert_int_equal(noisy.waiting, NOISY);
            assert_in_range(quiet.counts.time_ns, quiet_steps * steps_ns[i],
                            (quiet_steps + 1) * steps_ns[i]);
        }
    }
}

/* Goal: a tenant that comes while another one works waits for one round, not for all that wait. */
static void test_newcomer(void **state) {
    (void)state;
    start_unequal(200000, INS_PRIORITY_NORMAL);
    for (int turn = 0; turn < 100; turn++) {
        run_turn();
    }
    struct account newcomer = {.quota.priority = INS_PRIORITY_NORMAL};
    struct read read = {.steps = STEPS - 1};
    world.db.operations = 1;
    read.call.done = done;
    read.operation = (struct operation){.db = &world.db, .call = &read.call, .step = endless};
    account_enter(&read.operation, &newcomer);
    assert_true(slices_add(&read.operation, world.now_ns));
    uint32_t before = noisy_steps;
    while (newcomer.counts.time_ns == 0) {
        run_turn();
    }
    assert_true(noisy_steps - before <= 10);
}

static void refused_done(ins_call *call) {
    assert_int_equal(call->status, INS_EXHAUSTED);
    assert_int_equal(call->error.retry_after_s, 1);
    world.ended++;
}

/* A read of one more step begins in the account: whether it got into line. */
static bool gets_into_line(struct account *account, bool within) {
    static struct read read;
    uint32_t waiting = account->waiting;
    read = (struct read){.call.done = refused_done};
    read.operation = (struct operation){
        .db = &world.db, .call = &read.call, .step = endless, .is_read = true, .within = within};
    world.db.operations = 2;
    account_enter(&read.operation, account);
    operation_run(&read.operation);
    bool got = account->waiting == waiting + 1;
    assert_int_equal(world.ended, !got);
    world.ended = 0;
    if (got) { /* it leaves */
        struct operation **link = &account->first;
        while (*link != &read.operation) {
            account->last = *link;
            link = &(*link)->next_slice;
        }
        *link = NULL;
        account->waiting--;
        account_leave(&read.operation);
    }
    return got;
}

static void run_beside_others(int turns) {
    for (int turn = 0; turn < turns; turn++) {
        run_turn();
        world.now_ns += 5000000;
    }
}

/* Goal: who has fifty long reads in line that wait for hundreds of times as long as they run gets
 * no more of them there, but for what is part of another call; others do, and he does when the line
 * is short again. Method: as above, and 5 ms of others between two turns. */
static void test_refused(void **state) {
    (void)state;
    start_unequal(20000, INS_PRIORITY_NORMAL);
    assert_true(gets_into_line(&noisy, false));
    assert_true(gets_into_line(&quiet, false));
    run_beside_others(60);
    assert_false(gets_into_line(&noisy, false));
    assert_true(gets_into_line(&noisy, true));
    assert_true(gets_into_line(&quiet, false));
    world.now_ns += SLICES_REFUSE_NS;
    assert_true(gets_into_line(&noisy, false));
}

/* Goal: five reads of a tenant are not refused however late they are, on a slow machine beside one
 * other tenant; among many tenants they are. Method: as above,
 * 105 ms of others between two turns. */
static void test_few(void **state) {
    (void)state;
    static struct account others[SLICES_FEW];
    static struct read theirs[SLICES_FEW];
    start_many(5, 20000, INS_PRIORITY_NORMAL);
    for (int turn = 0; turn < 20; turn++) {
        run_beside_others(1);
        world.now_ns += 100000000;
    }
    assert_true(gets_into_line(&noisy, false));
    for (uint32_t i = 0; i < SLICES_FEW; i++) {
        struct operation *operation = &theirs[i].operation;
        others[i] = (struct account){.quota.priority = INS_PRIORITY_NORMAL};
        *operation = (struct operation){.db = &world.db, .call = &theirs[i].call, .step = endless};
        account_enter(operation, &others[i]);
        operation_run(operation);
    }
    run_turn();
    assert_false(gets_into_line(&noisy, false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),    cmocka_unit_test(test_late),
        cmocka_unit_test(test_still),    cmocka_unit_test(test_shares),
        cmocka_unit_test(test_newcomer), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
