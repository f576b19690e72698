/* Floors and ceilings of tenants in the cache. Goal: what is within a floor stays whatever others
 * read, and no more than that; above its ceiling a tenant loses its own blocks and nobody else's,
 * and its reads still come to an end; all floors together are bounded; a changed limit counts at
 * once; sums are right at each step. Method: a cache on the memory store, every block asked for by
 * hand; loads and evictions counted; then random requests against those rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/store.h"
#include "tenant/cache_private.h"

#define OBJECT_FILE 7u
#define BLOCK (64u << 10)
#define BLOCKS 512u              /* of the object */
#define CACHE_BLOCKS 64u         /* as many as the cache has room for, about */
#define MANY (4u * CACHE_BLOCKS) /* more than that */

struct fixture {
    ins_runtime runtime;
    ins_task *first, **last;
    ins_store *store;
    struct arena *arena;
    struct cache *cache;
    uint8_t *bytes;
};

static void post(void *context, uint32_t lane, ins_task *task) {
    (void)lane;
    struct fixture *fixture = context;
    task->next = NULL;
    *fixture->last = task;
    fixture->last = &task->next;
}

static void wake(void *context, uint32_t lane) {
    (void)context;
    (void)lane;
}

static uint64_t now(void *context) {
    (void)context;
    return 1;
}

static void timer(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns) {
    (void)context;
    (void)lane;
    (void)delay_ns;
    timer->armed = true;
}

static void timer_stop(void *context, uint32_t lane, ins_timer *timer) {
    (void)context;
    (void)lane;
    timer->armed = false;
}

static void run_all(struct fixture *fixture) {
    while (fixture->first != NULL) {
        ins_task *task = fixture->first;
        fixture->first = task->next;
        if (fixture->first == NULL) {
            fixture->last = &fixture->first;
        }
        task->run(task);
    }
}

static void write_object(struct fixture *fixture) {
    const struct store_ops *ops = fixture->store->ops;
    struct store_writer *writer = NULL;
    char name[SEGMENT_NAME_MAX];
    fixture->bytes = aligned_alloc(STORE_ALIGN, (size_t)BLOCKS * BLOCK);
    assert_non_null(fixture->bytes);
    for (size_t i = 0; i < (size_t)BLOCKS * BLOCK; i++) {
        fixture->bytes[i] = (uint8_t)(i / 3 + i / 4099);
    }
    segment_name(OBJECT_FILE, name);
    assert_int_equal(ops->put_begin(fixture->store, name, &writer, NULL), INS_OK);
    for (size_t at = 0; at < (size_t)BLOCKS * BLOCK; at += BLOCK) {
        assert_int_equal(ops->put_append(writer, fixture->bytes + at, BLOCK, NULL), INS_OK);
    }
    assert_int_equal(ops->put_commit(writer, NULL), INS_OK);
}

static int fixture_open(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    struct store_memory_options store = {.seed = 1};
    struct arena_options arena = {.limit_bytes = 64 * INS_PAGE_BYTES};
    fixture->last = &fixture->first;
    assert_int_equal(store_memory_open(&store, &fixture->store), INS_OK);
    write_object(fixture);
    arena.purpose_limit_bytes[INS_MEM_CACHE] = (uint64_t)CACHE_BLOCKS * BLOCK + (3u << 20);
    assert_int_equal(arena_open(&arena, &fixture->arena, NULL), INS_OK);
    fixture->runtime = (ins_runtime){.context = fixture,
                                     .store = fixture->store,
                                     .now_ns = now,
                                     .post = post,
                                     .wake = wake,
                                     .timer = timer,
                                     .timer_stop = timer_stop};
    assert_int_equal(cache_open(&fixture->runtime, fixture->arena, &fixture->cache, NULL), INS_OK);
    *state = fixture;
    return 0;
}

static int fixture_close(void **state) {
    struct fixture *fixture = *state;
    cache_close(fixture->cache);
    arena_close(fixture->arena);
    ins_store_close(fixture->store);
    free(fixture->bytes);
    free(fixture);
    return 0;
}

static void nothing(ins_task *task) {
    (void)task;
}

static struct block_key key_of(const struct fixture *fixture, uint32_t number) {
    uint64_t at = (uint64_t)number * BLOCK;
    return (struct block_key){.file = OBJECT_FILE,
                              .offset = at,
                              .size = BLOCK,
                              .hash = hash64(fixture->bytes + at, BLOCK)};
}

static struct block *hold(struct fixture *fixture, struct cache_owner *owner, uint32_t number) {
    struct cache_waiter waiter = {.task.run = nothing, .owner = owner, .owns = owner != NULL};
    struct block_key key = key_of(fixture, number);
    struct block *block = NULL;
    const uint8_t *data = NULL;
    ins_status status = INS_AGAIN;
    for (uint32_t i = 0; i < 3 && status == INS_AGAIN; i++) {
        status = cache_pin(fixture->cache, &key, CACHE_DATA, &waiter, &block, &data, NULL);
        run_all(fixture);
    }
    assert_int_equal(status, INS_OK);
    assert_memory_equal(data, fixture->bytes + key.offset, 64);
    return block;
}

/* Loads that it took: 0 or 1. */
static uint32_t ask(struct fixture *fixture, struct cache_owner *owner, uint32_t number) {
    uint64_t before = fixture->cache->stats.loads;
    cache_unpin(fixture->cache, hold(fixture, owner, number));
    return (uint32_t)(fixture->cache->stats.loads - before);
}

static uint32_t ask_many(struct fixture *fixture, struct cache_owner *owner, uint32_t begin,
                         uint32_t count) {
    uint32_t loads = 0;
    for (uint32_t i = 0; i < count; i++) {
        loads += ask(fixture, owner, begin + i);
    }
    return loads;
}

static void test_floor(void **state) {
    struct fixture *fixture = *state;
    struct cache *cache = fixture->cache;
    struct cache_owner *owner = cache_owner_open(cache, 5, 8 * BLOCK, 0);
    assert_non_null(owner);
    assert_int_equal(ask_many(fixture, owner, 0, 12), 12);
    assert_int_equal(owner->held_bytes, 8 * BLOCK);
    assert_int_equal(cache->floor_bytes, 8 * BLOCK);
    cache_owner_close(cache, owner); /* it asks nothing for a while */
    assert_int_equal(ask_many(fixture, NULL, 100, MANY), MANY);
    assert_true(cache->stats.evictions > 4);
    owner = cache_owner_open(cache, 5, 8 * BLOCK, 0);
    assert_int_equal(owner->bytes, 8 * BLOCK);
    assert_int_equal(ask_many(fixture, owner, 4, 8), 0); /* the last used ones are there */
    assert_int_equal(ask_many(fixture, owner, 0, 4), 4); /* and no more */
    cache_owner_set(cache, 5, 2 * BLOCK, 0);
    assert_int_equal(cache->floor_bytes, 2 * BLOCK);
    assert_int_equal(ask_many(fixture, NULL, 100, MANY), MANY);
    assert_int_equal(owner->bytes, 2 * BLOCK);
    assert_int_equal(ask_many(fixture, owner, 2, 2), 0);
    cache_owner_close(cache, owner);
    assert_null(cache_owner_open(cache, 5, 0, 0)); /* taken away: as everybody's */
    assert_int_equal(cache->floor_bytes, 0);
    assert_int_equal(ask_many(fixture, NULL, 100, MANY), MANY);
    assert_int_equal(cache->owners.count, 0);
}

static void test_ceiling(void **state) {
    struct fixture *fixture = *state;
    struct cache *cache = fixture->cache;
    struct cache_owner *owner = cache_owner_open(cache, 5, 0, 6 * BLOCK);
    struct cache_owner *other = cache_owner_open(cache, 6, 0, 1000 * BLOCK);
    struct block *held[10];
    assert_int_equal(ask_many(fixture, other, 300, 20), 20);
    uint64_t before = cache->stats.evictions;
    assert_int_equal(ask_many(fixture, owner, 0, 30), 30);
    assert_int_equal(owner->bytes, 6 * BLOCK);
    assert_int_equal(cache->stats.evictions - before, 24); /* its own, each as the next came */
    assert_int_equal(ask_many(fixture, owner, 24, 6), 0);
    assert_int_equal(ask_many(fixture, other, 300, 20), 0);
    for (uint32_t i = 0; i < 10; i++) { /* a read that needs more at once gets it */
        held[i] = hold(fixture, owner, 40 + i);
    }
    assert_int_equal(owner->bytes, 10 * BLOCK);
    for (uint32_t i = 0; i < 10; i++) {
        cache_unpin(cache, held[i]);
    }
    assert_int_equal(owner->bytes, 6 * BLOCK);
    assert_int_equal(ask_many(fixture, owner, 44, 6), 0);
    cache_owner_set(cache, 5, 0, 2 * BLOCK);
    assert_int_equal(owner->bytes, 2 * BLOCK);
    /* What nobody had asked for alone becomes its own with its first request. */
    assert_int_equal(ask_many(fixture, NULL, 200, 4), 4);
    assert_int_equal(ask_many(fixture, owner, 200, 4), 0);
    assert_int_equal(owner->bytes, 2 * BLOCK);
    assert_int_equal(ask_many(fixture, other, 300, 20), 0);
    cache_owner_close(cache, owner);
    cache_owner_close(cache, other);
}

/* A read that waits for several blocks finds all of them, however many others of its tenant do. */
static void test_waits_for_several(void **state) {
    struct fixture *fixture = *state;
    struct cache *cache = fixture->cache;
    struct cache_owner *owner = cache_owner_open(cache, 5, 0, 2 * BLOCK);
    struct cache_waiter waiters[3];
    for (uint32_t w = 0; w < 3; w++) {
        waiters[w] = (struct cache_waiter){.task.run = nothing, .owner = owner, .owns = true};
        for (uint32_t i = 0; i < 5; i++) {
            struct block_key key = key_of(fixture, 10 * w + i);
            struct block *block;
            const uint8_t *data;
            assert_int_equal(cache_pin(cache, &key, CACHE_DATA, &waiters[w], &block, &data, NULL),
                             INS_AGAIN);
        }
    }
    run_all(fixture);
    for (uint32_t w = 0; w < 3; w++) {
        struct block *blocks[5];
        for (uint32_t i = 0; i < 5; i++) {
            struct block_key key = key_of(fixture, 10 * w + i);
            const uint8_t *data;
            assert_int_equal(
                cache_pin(cache, &key, CACHE_DATA, &waiters[w], &blocks[i], &data, NULL), INS_OK);
        }
        for (uint32_t i = 0; i < 5; i++) {
            cache_unpin(cache, blocks[i]);
        }
    }
    assert_true(owner->bytes <= 2 * BLOCK);
    cache_owner_close(cache, owner);
}

static void test_all_floors(void **state) {
    struct fixture *fixture = *state;
    struct cache *cache = fixture->cache;
    struct cache_owner *owners[4];
    for (uint64_t i = 0; i < 4; i++) {
        owners[i] = cache_owner_open(cache, i, 1000 * BLOCK, 0);
        assert_int_equal(ask_many(fixture, owners[i], (uint32_t)i * 10, 10), 10);
    }
    assert_int_equal(cache->floor_bytes, 40 * BLOCK);
    assert_int_equal(ask_many(fixture, NULL, 100, MANY), MANY);
    uint64_t limit = cache_floor_limit(cache);
    assert_in_range(cache->floor_bytes, limit - BLOCK, limit);
    cache_set_limit(cache, cache->limit_bytes / 4); /* another budget: they follow it */
    assert_int_equal(ask_many(fixture, NULL, 100, MANY), MANY);
    assert_in_range(cache->floor_bytes, limit / 4 - BLOCK, limit / 4);
    for (uint32_t i = 0; i < 4; i++) {
        cache_owner_close(cache, owners[i]);
    }
}

static void check_sums(const struct fixture *fixture, struct cache_owner *const *owners,
                       size_t count) {
    uint64_t held = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(owners[i]->held_bytes <= owners[i]->floor);
        assert_true(owners[i]->held_bytes <= owners[i]->bytes);
        assert_int_equal(owners[i]->bytes, owners[i]->blocks * BLOCK);
        assert_true(owners[i]->ceiling == 0 || owners[i]->bytes <= owners[i]->ceiling);
        held += owners[i]->held_bytes;
    }
    assert_int_equal(held, fixture->cache->floor_bytes);
}

static void test_random(void **state) {
    struct fixture *fixture = *state;
    struct cache *cache = fixture->cache;
    struct cache_owner *owners[3];
    for (uint64_t i = 0; i < 3; i++) {
        owners[i] = cache_owner_open(cache, i, i * 4 * BLOCK, i == 1 ? 0 : 9 * BLOCK);
    }
    for (uint64_t step = 0; step < 20000; step++) {
        uint64_t chance = hash_u64(step);
        uint32_t who = (uint32_t)(chance % 5), number = (uint32_t)(chance >> 20) % 60;
        if (who < 3) {
            (void)ask(fixture, owners[who], 100 * who + number);
        } else {
            (void)ask(fixture, NULL, (uint32_t)(chance >> 30) % 450);
        }
        if (chance >> 56 == 0) {
            cache_owner_set(cache, 1, (chance >> 40) % 9 * BLOCK, (9 + (chance >> 44) % 9) * BLOCK);
        }
        check_sums(fixture, owners, 3);
    }
    for (uint32_t i = 0; i < 3; i++) {
        cache_owner_close(cache, owners[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_floor, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_ceiling, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_waits_for_several, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_all_floors, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_random, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
