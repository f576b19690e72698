/* Goal: a layout has to be paid for by walks, unless it is asked for; it takes room that is there,
 * half of the cache's share at most; it goes before blocks when room is wanted, and where it was of
 * no use it is not tried again. Method: a cache without blocks, and a small graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tenant/layouts.h"

#define SHARE (16ull << 20)
#define DIM 8u
#define ROWS 64u

struct world {
    struct arena *arena;
    struct cache *cache;
    ins_runtime runtime;
};

static void world_open(struct world *world) {
    struct arena_options options = {.limit_bytes = 32ull << 20, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_CACHE] = SHARE;
    *world = (struct world){.arena = NULL};
    assert_int_equal(arena_open(&options, &world->arena, NULL), INS_OK);
    assert_int_equal(cache_open(&world->runtime, world->arena, &world->cache, NULL), INS_OK);
}

static void world_close(struct world *world) {
    cache_close(world->cache);
    struct arena_usage usage;
    arena_get_usage(world->arena, &usage);
    assert_int_equal(usage.used, 0);
    arena_close(world->arena);
}

static struct fast_graph *graph_make(struct world *world) {
    static const float centre[DIM] = {0};
    const uint32_t sample[] = {0};
    const struct graph_head head = {
        .dim = DIM, .count = ROWS, .sample_count = 1, .centre = centre, .sample = sample};
    struct fast_builder *build;
    assert_int_equal(fast_build_begin(&head, ROW_F32, world->arena, INS_MEM_CACHE, &build, NULL),
                     INS_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        float row[DIM] = {(float)i, 1};
        uint8_t links[LINKS_BYTES];
        const uint32_t next = (i + 1) % ROWS;
        links_store(links, &next, 1);
        fast_build_row(build, row);
        fast_build_links(build, links, 1);
    }
    while (!fast_build_step(build, ROWS)) {
    }
    return fast_build_take(build);
}

static void add(struct world *world, const struct layout_key *key, enum layout_wish wish) {
    assert_int_equal(layouts_add(world->cache, key, wish, 7, graph_make(world), NULL), INS_OK);
}

/* Walks of a row each until its layout is wanted. */
static uint64_t walks_until_wanted(struct world *world, const struct layout_key *key,
                                   enum layout_wish wish) {
    uint64_t walks = 1;
    while (!layouts_note_walk(world->cache, key, wish, ROWS, 100) && walks < 10000) {
        walks++;
    }
    return walks;
}

static void test_heat(void **state) {
    (void)state;
    struct world world;
    world_open(&world);
    const struct layout_key key = {.file = 3, .offset = 4096}, other = {.file = 3, .vector = 1};
    assert_int_equal(walks_until_wanted(&world, &other, LAYOUT_NEVER), 10000);
    assert_int_equal(walks_until_wanted(&world, &other, LAYOUT_ALWAYS), 1);
    uint64_t paid = walks_until_wanted(&world, &key, LAYOUT_BY_USE);
    assert_true(paid > 100);
    assert_true(paid < 10000);
    assert_true(
        layouts_note_walk(world.cache, &key, LAYOUT_BY_USE, ROWS, 1)); /* until it is made */
    add(&world, &key, LAYOUT_BY_USE);
    assert_int_equal(walks_until_wanted(&world, &key, LAYOUT_ALWAYS), 10000); /* it is there */
    assert_null(layouts_find(world.cache, &key, LAYOUT_NEVER));
    uint64_t again = walks_until_wanted(&world, &key, LAYOUT_ALWAYS); /* it has gone */
    assert_true(again > 1);
    assert_true(again < paid);
    layouts_note_failed(world.cache, &key);
    assert_int_equal(walks_until_wanted(&world, &key, LAYOUT_BY_USE), paid);
    layouts_note_useless(world.cache, &key);
    assert_int_equal(walks_until_wanted(&world, &key, LAYOUT_ALWAYS), 10000);
    assert_int_equal(walks_until_wanted(&world, &other, LAYOUT_BY_USE) < 10000, 1);
    world_close(&world);
}

static bool of_island(void *context, uint64_t island, const struct layout_key *key) {
    assert_true(key->file > 0);
    return island == *(uint64_t *)context;
}

static void test_room(void **state) {
    (void)state;
    struct world world;
    struct layouts_stats stats;
    struct layout_key key = {.file = 1};
    world_open(&world);
    assert_true(layouts_make_room(world.cache, &key, LAYOUT_BY_USE, SHARE / 4));
    assert_false(layouts_make_room(world.cache, &key, LAYOUT_ALWAYS, SHARE / 2 + 1));
    for (; key.file <= 3; key.file++) {
        add(&world, &key, key.file == 2 ? LAYOUT_ALWAYS : LAYOUT_BY_USE);
        assert_non_null(layouts_find(world.cache, &key, LAYOUT_BY_USE));
    }
    layouts_get_stats(world.cache, &stats);
    assert_int_equal(stats.count, 3);
    assert_int_equal(stats.made, 3);
    assert_int_equal(stats.bytes % 3, 0);
    key.file = 2;
    assert_non_null(layouts_find(world.cache, &key, LAYOUT_ALWAYS));
    assert_int_equal(cache_give_up(world.cache, 2), 2); /* the one that is asked for goes last */
    assert_non_null(layouts_find(world.cache, &key, LAYOUT_ALWAYS));
    key.file = 3;
    assert_null(layouts_find(world.cache, &key, LAYOUT_BY_USE));
    uint64_t island = 8;
    layouts_forget(world.cache, of_island, &island);
    layouts_get_stats(world.cache, &stats);
    assert_int_equal(stats.count, 1);
    assert_int_equal(stats.dropped, 2);
    key.file = 2;
    assert_null(layouts_find(world.cache, &key, LAYOUT_NEVER)); /* and it is gone */
    assert_null(layouts_find(world.cache, &key, LAYOUT_ALWAYS));
    add(&world, &key, LAYOUT_ALWAYS);
    island = 7;
    layouts_forget(world.cache, of_island, &island);
    layouts_get_stats(world.cache, &stats);
    assert_int_equal(stats.count, 0);
    assert_int_equal(stats.bytes, 0);
    add(&world, &key, LAYOUT_ALWAYS); /* cache_close takes it down */
    world_close(&world);
}

static void test_no_memory(void **state) {
    (void)state;
    struct world world;
    world_open(&world);
    const struct layout_key key = {.file = 1};
    struct fast_graph *graph = graph_make(&world);
    arena_fail_at(world.arena, 1);
    assert_int_equal(layouts_add(world.cache, &key, LAYOUT_ALWAYS, 7, graph, NULL), INS_FULL);
    assert_null(layouts_find(world.cache, &key, LAYOUT_ALWAYS));
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_heat), cmocka_unit_test(test_room),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
