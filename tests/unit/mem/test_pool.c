/* Goal: a pool bumps through a few growing blocks, keeps its limit, and gives everything back.
 * Method: an arena of its own whose count shows what the pool holds; patterns in every piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "mem/mem.h"

#define MIB ((size_t)1 << 20)

static struct arena *arena;

static int setup(void **state) {
    (void)state;
    struct arena_options options = {.limit_bytes = 16 * MIB, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_QUERY] = 16 * MIB;
    return arena_open(&options, &arena, NULL) == INS_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    arena_close(arena);
    return 0;
}

static uint64_t used(void) {
    struct arena_usage usage;
    arena_get_usage(arena, &usage);
    return usage.purpose_used[INS_MEM_QUERY];
}

/* Goal: pieces are disjoint and aligned; blocks double from 4 KiB. Method: 5,000 odd pieces. */
static void test_small_pieces(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    static uint8_t *pieces[COUNT];
    struct pool pool;
    pool_init(&pool, arena, INS_MEM_QUERY, 8 * MIB);
    assert_int_equal(used(), 0);
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = 1 + i % 100;
        size_t alignment = (size_t)1 << (i % 7);
        pieces[i] =
            i % 2 == 0 ? pool_alloc(&pool, size) : pool_alloc_aligned(&pool, size, alignment);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % (i % 2 == 0 ? 16 : alignment), 0);
        memset(pieces[i], (int)(i % 251), size);
        if (i == 0) {
            assert_int_equal(used(), 4096);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t b = 0; b < 1 + i % 100; b++) {
            assert_int_equal(pieces[i][b], i % 251);
        }
    }
    assert_int_equal(used(), pool.used_bytes);
    assert_true(pool.used_bytes >= COUNT * 50);
    assert_true(pool.used_bytes <= COUNT * 150); /* doubling: at most twice, and the padding */
    pool_fini(&pool);
    assert_int_equal(used(), 0);
    assert_non_null(pool_alloc(&pool, 10)); /* it may be used again */
    assert_int_equal(used(), 4096);
    pool_fini(&pool);
    pool_fini(&pool);
    assert_int_equal(used(), 0);
}

/* Goal: large pieces get their own block and do not waste the current one.
 * Method: small, large, small: the second small one lies behind the first. */
static void test_large_pieces(void **state) {
    (void)state;
    struct pool pool;
    pool_init(&pool, arena, INS_MEM_QUERY, 8 * MIB);
    uint8_t *first = pool_alloc(&pool, 32);
    uint8_t *large = pool_alloc_aligned(&pool, 100000, 64);
    assert_non_null(large);
    assert_int_equal((uintptr_t)large % 64, 0);
    memset(large, 1, 100000);
    uint8_t *rest = pool_alloc(&pool, 32); /* from whichever block has more left */
    assert_true(rest == first + 32 || (rest > large && rest < large + 140000));
    uint8_t *largest = pool_alloc_zero(&pool, INS_BLOCK_BYTES_MAX - 64);
    assert_non_null(largest);
    assert_int_equal(largest[INS_BLOCK_BYTES_MAX - 65], 0);
    assert_null(pool_alloc(&pool, INS_BLOCK_BYTES_MAX - 63));
    assert_null(pool_alloc(&pool, SIZE_MAX));
    assert_null(pool_alloc_zero(&pool, SIZE_MAX - 64));
    pool_fini(&pool);
    assert_int_equal(used(), 0);
}

/* Goal: a pool never passes its limit, and can use nearly all of it.
 * Method: small pieces until NULL at several limits, odd ones too. */
static void test_limit(void **state) {
    (void)state;
    static const size_t limits[] = {0, 63, 64, 100, 1000, 4096, 5000, 65536, 100001, 300000};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct pool pool;
        pool_init(&pool, arena, INS_MEM_QUERY, limits[i]);
        size_t got = 0;
        void *piece;
        while ((piece = pool_alloc(&pool, 48)) != NULL) {
            memset(piece, 0x5a, 48);
            assert_int_equal((uintptr_t)piece % 16, 0);
            got += 48;
        }
        assert_true(pool.used_bytes <= limits[i]);
        assert_true(limits[i] < 1000 || got * 10 >= limits[i] * 8);
        pool_fini(&pool);
        assert_int_equal(used(), 0);
    }
}

/* Goal: the arena's refusal is the pool's, and leaves the pool whole. Method: the hook. */
static void test_arena_refuses(void **state) {
    (void)state;
    struct pool pool;
    pool_init(&pool, arena, INS_MEM_QUERY, 8 * MIB);
    arena_fail_at(arena, 1);
    assert_null(pool_alloc(&pool, 16));
    assert_int_equal(pool.used_bytes, 0);
    assert_non_null(pool_alloc(&pool, 16));
    arena_fail_at(arena, 1);
    assert_null(pool_copy(&pool, "x", 5000));
    assert_int_equal(pool.used_bytes, 4096);
    assert_non_null(pool_alloc(&pool, 16)); /* the current block goes on */
    arena_fail_at(arena, 0);
    pool_fini(&pool);
}

/* Goal: copies are equal; nothing is a valid size. Method: compare; size 0 twice. */
static void test_copy(void **state) {
    (void)state;
    struct pool pool;
    pool_init(&pool, arena, INS_MEM_QUERY, MIB);
    assert_string_equal(pool_copy(&pool, "insula", 7), "insula");
    assert_non_null(pool_copy(&pool, NULL, 0));
    pool_fini(&pool);
    assert_non_null(pool_alloc(&pool, 0));
    pool_fini(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_pieces), cmocka_unit_test(test_large_pieces),
        cmocka_unit_test(test_limit),        cmocka_unit_test(test_arena_refuses),
        cmocka_unit_test(test_copy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
