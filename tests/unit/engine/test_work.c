/* Goal: the time of background jobs is theirs alone, also where one runs within another, and it is
 * divided by shares; what nobody is to be charged with counts in the totals.
 * Method: a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/engine_private.h"
#include "engine/work.h"

static struct {
    struct ins_db db;
    ins_runtime runtime;
    uint64_t now_ns;
} world;

static uint64_t now_ns(void *context) {
    (void)context;
    return world.now_ns;
}

static void begin(void) {
    world.db = (struct ins_db){.runtime = &world.runtime};
    world.runtime = (ins_runtime){.now_ns = now_ns};
    world.now_ns = 1000;
}

static void test_nested(void **state) {
    (void)state;
    struct work merge = {0}, flush = {0};
    begin();
    work_begin(&world.db, &merge);
    world.now_ns += 300;
    work_begin(&world.db, &flush);
    world.now_ns += 50;
    work_end(&world.db, &flush);
    world.now_ns += 200;
    work_end(&world.db, &merge);
    assert_int_equal(flush.time_ns, 50);
    assert_int_equal(merge.time_ns, 500);
    assert_int_equal(world.db.worked_ns, 550);
    world.now_ns += 1000; /* between slices it is nobody's */
    work_begin(&world.db, &merge);
    world.now_ns += 70;
    work_end(&world.db, &merge);
    assert_int_equal(merge.time_ns, 570);
}

static uint64_t charged_to(uint64_t key) {
    for (size_t i = 0; i < HEAVY_SLOTS; i++) {
        if (world.db.heavy.keys[INS_HEAVY_WORK][i] == key) {
            return world.db.heavy.slots[INS_HEAVY_WORK][i].count;
        }
    }
    return 0;
}

static void test_shares(void **state) {
    (void)state;
    struct work work = {.time_ns = 1000};
    struct scope system = {.key = 0};
    struct island island = {.incarnation = 7, .scope = &system};
    begin();
    work_charge(&world.db, &work, &island, 300, 1000, 64);
    work_charge(&world.db, &work, NULL, 600, 1000, 128);
    assert_int_equal(world.db.accounts.total.work_ns, 900);
    assert_int_equal(world.db.accounts.total.work_bytes, 192);
    assert_int_equal(world.db.heavy.totals[INS_HEAVY_WORK], 900);
    assert_int_equal(charged_to(7), 300);
    island.flags = ISLAND_DROPPED;
    work_charge(&world.db, &work, &island, 1000, 1000, 0); /* gone: the totals alone */
    assert_int_equal(charged_to(7), 300);
    island.flags = 0;
    work_charge(&world.db, &work, &island, 1, WORK_SHARES_MAX + 1, 0); /* too small a share */
    work_charge(&world.db, &work, &island, 0, 0, 0);
    assert_int_equal(charged_to(7), 300);
    assert_int_equal(world.db.accounts.total.work_ns, 1900);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nested),
                                       cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
