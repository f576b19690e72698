/* Goal: an arena's limit falls and rises while it is in use: no byte of what is in use changes,
 * nothing is added above the limit, the machine gets memory back (as the kernel counts it), and
 * what was given back can be had again.
 * Method: real arenas on small and on transparent huge pages; a pattern in every live block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/mem_private.h"

#define MIB ((size_t)1 << 20)
#define COUNT 2000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER 1
#endif

static struct arena *open_arena(uint64_t limit, uint64_t ceiling, bool plain) {
    struct arena_options options = {
        .limit_bytes = limit, .ceiling_bytes = ceiling, .plain_pages = plain};
    options.purpose_limit_bytes[INS_MEM_QUERY] = limit / 2;
    options.purpose_limit_bytes[INS_MEM_CACHE] = limit / 2;
    struct arena *arena = NULL;
    ins_error error;
    assert_int_equal(arena_open(&options, &arena, &error), INS_OK);
    return arena;
}

static void set_limits(struct arena *arena, uint64_t limit) {
    uint64_t purposes[INS_MEM_PURPOSE_COUNT] = {0};
    purposes[INS_MEM_QUERY] = limit / 2;
    purposes[INS_MEM_CACHE] = limit / 2;
    arena_set_limits(arena, limit, purposes);
}

static struct arena_usage usage_of(struct arena *arena) {
    struct arena_usage usage;
    arena_get_usage(arena, &usage);
    return usage;
}

static uint64_t resident(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    unsigned long long total = 0, pages = 0;
    assert_int_equal(fscanf(file, "%llu %llu", &total, &pages), 2);
    assert_int_equal(fclose(file), 0);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void give_back_all(struct arena *arena) {
    while (arena_give_back(arena, 8) != 0) {
    }
}

struct block {
    uint8_t *memory;
    size_t size;
};

static void fill(struct block *block, size_t index) {
    memset(block->memory, (int)(index % 251), block->size);
}

static void check(const struct block *block, size_t index) {
    for (size_t i = 0; i < block->size; i += i + 97 < block->size ? 97 : 1) {
        assert_int_equal(block->memory[i], index % 251);
    }
}

/* What is free goes back, resident falls by it; what is used keeps its bytes; then it grows. */
static void shrink_and_grow(bool plain) {
    struct arena *arena = open_arena(128 * MIB, 256 * MIB, plain);
    struct block *blocks = calloc(COUNT, sizeof(*blocks));
    assert_non_null(blocks);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i].size = i % 7 == 0 ? 200 * 1024 : 1 + i * 37 % 30000;
        blocks[i].memory = arena_alloc(
            arena, (enum ins_mem_purpose)(i % 2 ? INS_MEM_QUERY : INS_MEM_CACHE), blocks[i].size);
        if (blocks[i].memory != NULL) {
            fill(&blocks[i], i);
        }
    }
    uint64_t full = usage_of(arena).committed, before = resident();
    assert_true(full > 80 * MIB);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 16 != 3) { /* thinly: no page becomes free as a whole */
            arena_free(arena, (enum ins_mem_purpose)(i % 2 ? INS_MEM_QUERY : INS_MEM_CACHE),
                       blocks[i].memory, blocks[i].size);
            blocks[i].memory = NULL;
        }
    }
    set_limits(arena, 32 * MIB);
    give_back_all(arena);
    assert_true(usage_of(arena).committed <= 32 * MIB);
    assert_int_equal(usage_of(arena).limit, 32 * MIB);
#ifndef WITH_SANITIZER
    assert_true(resident() + (full - usage_of(arena).committed) * 9 / 10 <= before);
#else
    (void)before;
#endif
    /* Runs of any length are to be had, though what is free lies in small pieces. */
    void *large[4];
    for (int i = 0; i < 4; i++) {
        large[i] = arena_alloc(arena, INS_MEM_CACHE, MIB);
        assert_non_null(large[i]);
        memset(large[i], 1, MIB);
        assert_true(usage_of(arena).committed <= 32 * MIB);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (blocks[i].memory != NULL) {
            check(&blocks[i], i);
        }
    }
    set_limits(arena, 256 * MIB); /* above what it began with */
    void *more[64];
    for (int i = 0; i < 64; i++) {
        more[i] = arena_alloc(arena, INS_MEM_QUERY, MIB);
        assert_non_null(more[i]);
        memset(more[i], 2, MIB);
    }
    for (int i = 0; i < 64; i++) {
        arena_free(arena, INS_MEM_QUERY, more[i], MIB);
    }
    for (int i = 0; i < 4; i++) {
        arena_free(arena, INS_MEM_CACHE, large[i], MIB);
    }
    for (size_t i = 0; i < COUNT; i++) {
        arena_free(arena, (enum ins_mem_purpose)(i % 2 ? INS_MEM_QUERY : INS_MEM_CACHE),
                   blocks[i].memory, blocks[i].size);
    }
    assert_int_equal(usage_of(arena).used, 0);
    assert_int_equal(arena->free_units, arena->committed_units);
    set_limits(arena, 2 * MIB); /* all but one page goes */
    give_back_all(arena);
    assert_int_equal(usage_of(arena).committed, 2 * MIB);
    arena_close(arena);
    free(blocks);
}

static void test_shrink_plain(void **state) {
    (void)state;
    shrink_and_grow(true);
}

static void test_shrink_transparent(void **state) {
    (void)state;
    shrink_and_grow(false);
}

/* Below what is used: nothing is added and nothing breaks; room is 0, not huge. */
static void test_below_used(void **state) {
    (void)state;
    struct arena *arena = open_arena(16 * MIB, 0, true);
    void *held[6];
    for (int i = 0; i < 6; i++) {
        held[i] = arena_alloc(arena, INS_MEM_CACHE, MIB);
        assert_non_null(held[i]);
    }
    set_limits(arena, 4 * MIB);
    give_back_all(arena);
    assert_int_equal(usage_of(arena).committed, 6 * MIB);
    assert_int_equal(arena_room(arena, INS_MEM_CACHE), 0);
    assert_null(arena_alloc(arena, INS_MEM_CACHE, 16));
    assert_false(arena_move_limit(arena, INS_MEM_CACHE, INS_MEM_QUERY, 1));
    for (int i = 0; i < 6; i++) {
        arena_free(arena, INS_MEM_CACHE, held[i], MIB);
    }
    give_back_all(arena);
    assert_int_equal(usage_of(arena).committed, 4 * MIB);
    void *again = arena_alloc(arena, INS_MEM_CACHE, 2 * MIB);
    assert_non_null(again);
    arena_free(arena, INS_MEM_CACHE, again, 2 * MIB);
    arena_close(arena);
}

/* The cache leaves to the others what their limits promise them, though its slabs are half empty:
 * it is refused first, and is_short says that it must give up more. */
static void test_reserve(void **state) {
    (void)state;
    struct arena *arena = open_arena(64 * MIB, 0, true);
    enum { SMALL = 4096 };
    void **blocks = calloc(32 * MIB / SMALL + 1, sizeof(*blocks));
    assert_non_null(blocks);
    uint32_t count = 0;
    while ((blocks[count] = arena_alloc(arena, INS_MEM_CACHE, SMALL)) != NULL) {
        count++;
    }
    for (uint32_t i = 0; i < count; i++) { /* every slab keeps one */
        if (i % 8 != 0) {
            arena_free(arena, INS_MEM_CACHE, blocks[i], SMALL);
            blocks[i] = NULL;
        }
    }
    void *large[32];
    uint32_t large_count = 0;
    while (large_count < 32 &&
           (large[large_count] = arena_alloc(arena, INS_MEM_CACHE, MIB)) != NULL) {
        large_count++;
    }
    assert_true(large_count < 32);
    assert_false(arena_is_short(arena));
    void *query[32];
    uint32_t query_count = 0; /* they get at least the reserve, and then it is short */
    while (query_count < 32 &&
           (query[query_count] = arena_alloc(arena, INS_MEM_QUERY, MIB)) != NULL) {
        query_count++;
    }
    assert_true(query_count >= 2);
    assert_true(arena_is_short(arena));
    while (large_count > 0) {
        arena_free(arena, INS_MEM_CACHE, large[--large_count], MIB);
    }
    assert_false(arena_is_short(arena));
    while (query_count > 0) {
        arena_free(arena, INS_MEM_QUERY, query[--query_count], MIB);
    }
    for (uint32_t i = 0; i < count; i++) {
        arena_free(arena, INS_MEM_CACHE, blocks[i], SMALL);
    }
    arena_close(arena);
    free(blocks);
}

enum { THREADS = 3, ROUNDS = 4000, HELD = 40 };

struct worker {
    struct arena *arena;
    pthread_t thread;
    uint32_t number, wrong, had;
};

/* Blocks of many sizes with a pattern that nobody else writes. */
static void *work(void *context) {
    struct worker *worker = context;
    struct block held[HELD] = {{0}};
    uint32_t random = worker->number * 7919 + 1;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        random = random * 1664525u + 1013904223u;
        struct block *block = &held[random >> 8 & 31];
        if (block->memory != NULL) {
            worker->wrong += block->memory[0] != worker->number ||
                             block->memory[block->size - 1] != worker->number;
            arena_free(worker->arena, INS_MEM_QUERY, block->memory, block->size);
            block->memory = NULL;
            continue;
        }
        block->size = 16 + (random >> 12) % (round % 16 == 0 ? 900000 : 20000);
        block->memory = arena_alloc(worker->arena, INS_MEM_QUERY, block->size);
        if (block->memory != NULL) {
            worker->had++;
            block->memory[0] = block->memory[block->size - 1] = (uint8_t)worker->number;
        }
    }
    for (uint32_t i = 0; i < HELD; i++) {
        arena_free(worker->arena, INS_MEM_QUERY, held[i].memory, held[i].size);
    }
    return NULL;
}

/* Limits change and memory goes back while threads take and give: what each has stays its own. */
static void test_threads(void **state) {
    (void)state;
    struct arena *arena = open_arena(64 * MIB, 0, false);
    struct worker workers[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.arena = arena, .number = i + 1};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < 300; i++) {
        set_limits(arena, (4 + i * 37 % 61) / 2 * 2 * MIB);
        (void)arena_give_back(arena, 16);
        (void)arena_commit_ahead(arena, 2 * MIB);
    }
    set_limits(arena, 64 * MIB);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
        assert_true(workers[i].had > 100);
    }
    assert_int_equal(usage_of(arena).used, 0);
    assert_int_equal(arena->free_units, arena->committed_units);
    set_limits(arena, 2 * MIB);
    give_back_all(arena);
    assert_int_equal(usage_of(arena).committed, 2 * MIB);
    arena_close(arena);
}

#ifndef WITH_SANITIZER
/* Without address space for the ceiling the limit is the ceiling. */
static void test_ceiling_refused(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit space = {1024 * MIB, 1024 * MIB};
        bool good = setrlimit(RLIMIT_AS, &space) == 0;
        struct arena *arena = NULL;
        struct arena_options options = {
            .limit_bytes = 64 * MIB, .ceiling_bytes = 4096 * MIB, .plain_pages = true};
        good = good && arena_open(&options, &arena, NULL) == INS_OK;
        good = good && usage_of(arena).ceiling == 64 * MIB && usage_of(arena).limit == 64 * MIB;
        _exit(good ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shrink_plain),    cmocka_unit_test(test_shrink_transparent),
        cmocka_unit_test(test_below_used),      cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_threads),
#ifndef WITH_SANITIZER
        cmocka_unit_test(test_ceiling_refused),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
