#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/queue.h"

#define MS 1000000ull

static struct queue queue;
static struct waiting all[QUEUE_PLACES_MAX + 1];

static int setup(void **state) {
    (void)state;
    queue_init(&queue, QUEUE_PLACES_MAX);
    return 0;
}

static struct waiting *take(uint64_t now_ns, enum queue_verdict wanted) {
    enum queue_verdict verdict = QUEUE_SERVE;
    struct waiting *waiting = queue_take(&queue, now_ns, &verdict);
    assert_int_equal(verdict, waiting == NULL ? QUEUE_SERVE : wanted);
    return waiting;
}

/* Goal: one line is served in the order of coming. Method: three, and one that leaves. */
static void test_order(void **state) {
    (void)state;
    assert_true(queue_is_empty(&queue));
    for (int i = 0; i < 4; i++) {
        assert_true(queue_put(&queue, &all[i], 5, 0, MS));
    }
    queue_leave(&queue, &all[1]);
    assert_ptr_equal(take(MS, QUEUE_SERVE), &all[0]);
    assert_ptr_equal(take(MS, QUEUE_SERVE), &all[2]);
    assert_false(queue_is_empty(&queue));
    assert_ptr_equal(take(MS, QUEUE_SERVE), &all[3]);
    assert_null(take(MS, QUEUE_SERVE));
    assert_true(queue_is_empty(&queue));
}

/* Goal: time is shared by lines, whatever waits in them; a line that comes late has saved up none.
 * Method: a flood of short requests, another line of long ones, then a third line. */
static void test_fair(void **state) {
    (void)state;
    uint64_t time[3] = {0};
    for (int i = 0; i < 1000; i++) {
        assert_true(queue_put(&queue, &all[i], 1, 0, MS));
        assert_true(i >= 100 || queue_put(&queue, &all[1000 + i], 2, 0, MS));
    }
    for (int turn = 0; turn < 220; turn++) {
        struct waiting *waiting = take(MS, QUEUE_SERVE);
        assert_non_null(waiting);
        uint64_t took = waiting->line == 1 ? 1 : 10;
        time[waiting->line] += took;
        queue_charge(&queue, waiting->line, took);
    }
    assert_in_range(time[1], 190, 210); /* 200 short ones beside 20 long ones */
    assert_in_range(time[2], 190, 210);
    assert_true(queue_put(&queue, &all[2000], 0, 0, MS));
    assert_true(queue_put(&queue, &all[2001], 0, 0, MS));
    int turns = 0;
    for (struct waiting *waiting = NULL; waiting != &all[2000]; turns++) {
        waiting = take(MS, QUEUE_SERVE);
        assert_non_null(waiting);
        queue_charge(&queue, waiting->line, 10);
    }
    assert_in_range(turns, 1, 3);                            /* soon */
    assert_ptr_not_equal(take(MS, QUEUE_SERVE), &all[2001]); /* but it has no time in hand */
}

/* Goal: a burst is served whole; what comes while the line has not been empty for long waits for
 * less; writes are given more time than reads; a few are not refused at all. Method: the clock
 * around each limit, beside others that fill the queue. */
static void test_patience(void **state) {
    (void)state;
    static const uint64_t burst[] = {QUEUE_READ_BURST_NS, QUEUE_WRITE_BURST_NS};
    static const uint64_t standing[] = {QUEUE_READ_STANDING_NS, QUEUE_WRITE_STANDING_NS};
    for (uint32_t i = 0; i < QUEUE_FEW; i++) { /* their turn comes after those of lower lines */
        assert_true(queue_put(&queue, &all[100 + i], QUEUE_LINES - 1, 0, 1000 * MS));
    }
    for (int kind = 0; kind < 2; kind++) {
        uint32_t line = queue_line_of(77, kind == 1);
        assert_int_equal(line / QUEUE_SCOPES, kind);
        assert_true(line < QUEUE_LINES - 1);
        uint64_t now = 1000 * MS;
        for (int i = 0; i < 4; i++) {
            assert_true(queue_put(&queue, &all[i], line, 0, now));
        }
        assert_ptr_equal(take(now + burst[kind], QUEUE_SERVE), &all[0]);
        assert_ptr_equal(take(now + burst[kind] + 1, QUEUE_LATE), &all[1]);
        now += burst[kind] + 1; /* a standing queue from here on */
        assert_true(queue_put(&queue, &all[4], line, 0, now));
        assert_true(queue_put(&queue, &all[5], line, 0, now));
        assert_ptr_equal(take(now + standing[kind], QUEUE_LATE), &all[2]);
        assert_ptr_equal(take(now + standing[kind], QUEUE_LATE), &all[3]);
        assert_ptr_equal(take(now + standing[kind], QUEUE_SERVE), &all[4]);
        assert_ptr_equal(take(now + standing[kind] + 1, QUEUE_LATE), &all[5]);
        now += burst[kind];
        assert_true(queue_put(&queue, &all[6], line, 0, now)); /* it was empty: a burst again */
        assert_ptr_equal(take(now + burst[kind], QUEUE_SERVE), &all[6]);
    }
    while (queue.count > 0) { /* these have waited for long, and are few */
        assert_non_null(take(1000000 * MS, QUEUE_SERVE));
    }
}

/* Goal: when no place is left, the longest line gives one up, its newest; among equals who comes
 * last has none. Method: a flood that fills the queue, then others. */
static void test_places(void **state) {
    (void)state;
    queue_init(&queue, 10);
    for (int i = 0; i < 10; i++) {
        assert_true(queue_put(&queue, &all[i], 1, 0, MS));
    }
    assert_false(queue_put(&queue, &all[10], 1, 0, MS));
    for (int i = 0; i < 5; i++) {
        assert_true(queue_put(&queue, &all[20 + i], 2, 0, MS));
        assert_int_equal(queue.count, 10);
    }
    assert_false(queue_put(&queue, &all[25], 2, 0, MS));
    assert_false(queue_put(&queue, &all[10], 1, 0, MS));
    queue_leave(&queue, &all[7]); /* one that lost its place and goes by itself */
    assert_ptr_equal(take(MS, QUEUE_LOST), &all[9]);
    assert_ptr_equal(take(MS, QUEUE_LOST), &all[8]);
    assert_ptr_equal(take(MS, QUEUE_LOST), &all[6]);
    assert_ptr_equal(take(MS, QUEUE_LOST), &all[5]);
    for (int i = 0; i < 10; i++) {
        assert_non_null(take(MS, QUEUE_SERVE));
    }
    assert_true(queue_is_empty(&queue));
}

/* Goal: the tenants of one collection take turns, and refusals of one are not its turns. Method: a
 * tenant with 900 requests that waited for too long and 100 that did not, and one that came last
 * with 50; their shares of the turns. */
static void test_tenants(void **state) {
    (void)state;
    uint64_t now = 1000 * MS;
    for (int i = 0; i < 1000; i++) {
        assert_true(queue_put(&queue, &all[i], 3, 111, i < 900 ? MS : now));
    }
    for (int i = 0; i < 50; i++) {
        assert_true(queue_put(&queue, &all[1000 + i], 3, 222, now));
    }
    int served[2] = {0}, late = 0;
    while (served[0] + served[1] < 100) {
        enum queue_verdict verdict = QUEUE_LOST;
        const struct waiting *waiting = queue_take(&queue, now, &verdict);
        assert_non_null(waiting);
        served[waiting >= &all[1000]] += verdict == QUEUE_SERVE;
        late += verdict == QUEUE_LATE;
        queue_charge(&queue, 3, 1);
    }
    assert_int_equal(late, 900);
    assert_int_equal(served[0], 50);
    assert_int_equal(served[1], 50);
    assert_int_equal(queue.count, 50);
}

/* Goal: who asks seldom does not wait for a turn of everybody, but comes first once a round only.
 * Method: fifty tenants with many requests; another one with a request at a time. */
static void test_seldom(void **state) {
    (void)state;
    for (int i = 0; i < 500; i++) {
        assert_true(queue_put(&queue, &all[i], 3, 100 + (uint64_t)i % 50, MS));
    }
    for (int i = 0; i < 50; i++) {
        assert_ptr_equal(take(MS, QUEUE_SERVE), &all[i]);
    }
    assert_true(queue_put(&queue, &all[1000], 3, 7, MS));
    assert_ptr_equal(take(MS, QUEUE_SERVE), &all[1000]);
    assert_true(queue_put(&queue, &all[1000], 3, 7, MS));
    for (int i = 50; i < 100; i++) {
        assert_ptr_equal(take(MS, QUEUE_SERVE), &all[i]);
    }
    assert_ptr_equal(take(MS, QUEUE_SERVE), &all[1000]);
}

/* Goal: who has most waiting gives up its place to another tenant of the collection; those beyond
 * what is told apart take turns as one, and nobody is lost. Method: a flood of one in ten places;
 * then a tenant for each place there is, at random in and out. */
static void test_many_tenants(void **state) {
    (void)state;
    queue_init(&queue, 10);
    for (int i = 0; i < 10; i++) {
        assert_true(queue_put(&queue, &all[i], 1, 111, MS));
    }
    assert_false(queue_put(&queue, &all[10], 1, 111, MS));
    for (int i = 0; i < 5; i++) {
        assert_true(queue_put(&queue, &all[20 + i], 1, 222, MS));
    }
    assert_false(queue_put(&queue, &all[25], 1, 222, MS));
    for (int i = 9; i >= 5; i--) { /* down to as many as the other has */
        assert_ptr_equal(take(MS, QUEUE_LOST), &all[i]);
    }
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(take(MS, QUEUE_SERVE), &all[i]);
        assert_ptr_equal(take(MS, QUEUE_SERVE), &all[20 + i]);
    }
    assert_true(queue_is_empty(&queue));

    queue_init(&queue, QUEUE_PLACES_MAX);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < QUEUE_PLACES_MAX; i++) {
            assert_true(queue_put(&queue, &all[i], i % 7, 1 + i * 7919u, MS));
        }
        for (uint32_t i = round; i < QUEUE_PLACES_MAX; i += 3) {
            queue_leave(&queue, &all[i]);
        }
        uint32_t left = 0;
        while (take(MS, QUEUE_SERVE) != NULL) {
            left++;
        }
        assert_int_equal(left, QUEUE_PLACES_MAX - (QUEUE_PLACES_MAX - round + 2) / 3);
        assert_true(queue_is_empty(&queue));
    }
    uint32_t flows = 0;
    for (const struct queue_flow *flow = queue.free_flow; flow != NULL; flow = flow->next) {
        flows++;
    }
    assert_int_equal(flows, QUEUE_FLOWS); /* all came back */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, setup),
        cmocka_unit_test_setup(test_fair, setup),
        cmocka_unit_test_setup(test_patience, setup),
        cmocka_unit_test_setup(test_places, setup),
        cmocka_unit_test_setup(test_tenants, setup),
        cmocka_unit_test_setup(test_seldom, setup),
        cmocka_unit_test_setup(test_many_tenants, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
