/* Goal: memory ahead of use is committed by the background lane in steps, also in the middle of a
 * long job, and no step does anything when nothing is wanted or the database stops.
 * Method: an arena half of which is in use, and steps by hand; what is missing is the arena's own
 * figure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/flush.h"
#include "engine/jobs.h"

#define MIB (1ull << 20)
#define BLOCKS 64u

static struct {
    struct ins_db db;
    void *blocks[BLOCKS];
} world;

static void begin(void) {
    struct arena_options options = {.limit_bytes = 256 * MIB};
    for (size_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        options.purpose_limit_bytes[i] = i == INS_MEM_QUERY ? 200 * MIB : 0;
    }
    world.db = (struct ins_db){0};
    assert_int_equal(arena_open(&options, &world.db.arena, NULL), INS_OK);
    for (size_t i = 0; i < BLOCKS; i++) {
        world.blocks[i] = arena_alloc(world.db.arena, INS_MEM_QUERY, 2 * MIB);
        assert_non_null(world.blocks[i]);
    }
    assert_true(arena_commit_ahead(world.db.arena, 0) >= 14 * MIB); /* an eighth of 128 */
}

static void end(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        arena_free(world.db.arena, INS_MEM_QUERY, world.blocks[i], 2 * MIB);
    }
    arena_close(world.db.arena);
}

static void test_not_wanted(void **state) {
    (void)state;
    begin();
    uint64_t missing = arena_commit_ahead(world.db.arena, 0);
    flush_yield(&world.db);
    assert_false(jobs_commit_step(&world.db));
    assert_int_equal(arena_commit_ahead(world.db.arena, 0), missing);
    end();
}

static void test_in_the_middle_of_a_job(void **state) {
    (void)state;
    begin();
    uint64_t missing = arena_commit_ahead(world.db.arena, 0);
    world.db.commit_wanted = true;
    flush_yield(&world.db);
    assert_true(arena_commit_ahead(world.db.arena, 0) < missing);
    assert_true(arena_commit_ahead(world.db.arena, 0) > 0); /* a step, not all of it */
    uint32_t steps = 0;
    while (jobs_commit_step(&world.db)) {
        assert_true(++steps < BLOCKS);
    }
    assert_int_equal(arena_commit_ahead(world.db.arena, 0), 0);
    assert_false(world.db.commit_wanted);
    end();
}

static void test_stopping(void **state) {
    (void)state;
    begin();
    uint64_t missing = arena_commit_ahead(world.db.arena, 0);
    world.db.commit_wanted = world.db.stopping = true;
    assert_false(jobs_commit_step(&world.db));
    assert_int_equal(arena_commit_ahead(world.db.arena, 0), missing);
    assert_false(world.db.commit_wanted);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_wanted),
                                       cmocka_unit_test(test_in_the_middle_of_a_job),
                                       cmocka_unit_test(test_stopping)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
