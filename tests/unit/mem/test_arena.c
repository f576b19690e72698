/* Goal: the arena gives aligned, disjoint memory, counts it exactly, keeps its limits, gives memory
 * back between classes, and survives refusals.
 * Method: real arenas of some MiB on plain pages; a shadow of every live block with a pattern in
 * it; limits and refusals are made to happen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/mem_private.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif

#define MIB ((size_t)1 << 20)

static struct arena *open_arena(uint64_t limit, uint64_t query_limit, uint64_t cache_limit) {
    struct arena_options options = {.limit_bytes = limit, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_QUERY] = query_limit;
    options.purpose_limit_bytes[INS_MEM_CACHE] = cache_limit;
    struct arena *arena = NULL;
    ins_error error;
    assert_int_equal(arena_open(&options, &arena, &error), INS_OK);
    return arena;
}

static struct arena_usage usage_of(struct arena *arena) {
    struct arena_usage usage;
    arena_get_usage(arena, &usage);
    return usage;
}

/* Goal: classes waste at most 15 bytes or 25 %, rise strictly, and are their own class.
 * Method: every size up to 64 KiB, then the neighbourhood of every class. */
static void test_classes(void **state) {
    (void)state;
    size_t before = 0;
    for (size_t size = 1; size <= INS_BLOCK_BYTES_MAX; size += size < 65536 ? 1 : 509) {
        size_t class_bytes = arena_class_size(size);
        assert_true(class_bytes >= size);
        assert_true(class_bytes - size <= 15 || (class_bytes - size) * 4 <= size);
        assert_true(class_bytes >= before);
        assert_int_equal(arena_class_size(class_bytes), class_bytes);
        before = class_bytes;
    }
    assert_int_equal(arena_class_size(INS_BLOCK_BYTES_MAX), INS_BLOCK_BYTES_MAX);
    struct arena_class classes[ARENA_CLASS_COUNT];
    arena_classes_init(classes);
    for (uint32_t i = 0; i < ARENA_CLASS_COUNT; i++) {
        assert_int_equal(arena_class_index(classes[i].slot_bytes), i);
        size_t slab = (size_t)classes[i].unit_count * ARENA_UNIT_BYTES;
        size_t filled = (size_t)classes[i].slot_count * classes[i].slot_bytes;
        assert_true(filled <= slab);
        assert_true((slab - filled) * 16 <= slab);
    }
}

/* Goal: options that break an invariant are refused in words. Method: one of each. */
static void test_open_refuses(void **state) {
    (void)state;
    struct arena *arena = NULL;
    ins_error error;
    struct arena_options options = {.limit_bytes = 0, .plain_pages = true};
    assert_int_equal(arena_open(&options, &arena, &error), INS_INVALID);
    options.limit_bytes = 2 * MIB + 4096;
    assert_int_equal(arena_open(&options, &arena, &error), INS_INVALID);
    assert_non_null(strstr(error.message, "2101248"));
    options.limit_bytes = 1ull << 50;
    assert_int_equal(arena_open(&options, &arena, NULL), INS_INVALID);
    options.limit_bytes = 4 * MIB;
    options.purpose_limit_bytes[INS_MEM_LOG] = 3 * MIB;
    options.purpose_limit_bytes[INS_MEM_JOB] = 2 * MIB;
    assert_int_equal(arena_open(&options, &arena, &error), INS_INVALID);
    options.purpose_limit_bytes[INS_MEM_JOB] = UINT64_MAX; /* the sum would wrap */
    assert_int_equal(arena_open(&options, &arena, &error), INS_INVALID);
    assert_null(arena);
    arena_close(NULL);
}

/* Goal: without address space arena_open says INS_FULL. Method: all that a process can have. */
static void test_open_without_address_space(void **state) {
    (void)state;
    struct arena_options options = {.limit_bytes = (1ull << 47) - 2 * MIB, .plain_pages = true};
    struct arena *arena = NULL;
    ins_error error;
    assert_int_equal(arena_open(&options, &arena, &error), INS_FULL);
    assert_non_null(strstr(error.message, "address space"));
    assert_null(arena);
}

/* Goal: the same for the arena's tables. Method: RLIMIT_AS below their size. */
static void test_open_without_tables(void **state) {
    (void)state;
#ifdef WITH_SANITIZER
    skip(); /* its shadow needs the address space */
#endif
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    struct rlimit tight = {.rlim_cur = 1024 * MIB, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    struct arena_options options = {.limit_bytes = 1ull << 44, .plain_pages = true};
    struct arena *arena = NULL;
    ins_error error;
    ins_status status = arena_open(&options, &arena, &error);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(status, INS_FULL);
    assert_non_null(strstr(error.message, "tables"));
}

/* Goal: alignment as promised. Method: sizes around every class; three blocks of each. */
static void test_alignment(void **state) {
    (void)state;
    struct arena *arena = open_arena(16 * MIB, 16 * MIB, 0);
    for (size_t size = 1; size <= INS_BLOCK_BYTES_MAX; size += size < 40000 ? 7 : 4096 - 7) {
        void *blocks[3];
        for (int i = 0; i < 3; i++) {
            blocks[i] = arena_alloc(arena, INS_MEM_QUERY, size);
            assert_non_null(blocks[i]);
            uintptr_t at = (uintptr_t)blocks[i];
            assert_int_equal(at % 16, 0);
            assert_true((size % 64 != 0 && size <= 224) || at % 64 == 0);
            assert_true((size % 4096 != 0 && size <= 14336) || at % 4096 == 0);
        }
        for (int i = 0; i < 3; i++) {
            arena_free(arena, INS_MEM_QUERY, blocks[i], size);
        }
    }
    for (size_t size = 64; size <= 4096; size += 64) {
        void *block = arena_alloc(arena, INS_MEM_QUERY, size);
        assert_int_equal((uintptr_t)block % 64, 0);
        arena_free(arena, INS_MEM_QUERY, block, size);
    }
    assert_int_equal(usage_of(arena).used, 0);
    arena_close(arena);
}

struct shadow {
    uint8_t *memory;
    size_t size;
    uint8_t pattern;
};

static uint64_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 33;
}

static void shadow_check(const struct shadow *shadow) {
    for (size_t i = 0; i < shadow->size; i += shadow->size < 512 ? 1 : 61) {
        assert_int_equal(shadow->memory[i], shadow->pattern);
    }
    assert_int_equal(shadow->memory[shadow->size - 1], shadow->pattern);
}

/* Goal: blocks never overlap and the counts are exact, over any order of calls.
 * Method: 60,000 random allocations and frees of all sizes; every block holds its own pattern and
 * is compared before it goes. */
static void test_random_against_shadow(void **state) {
    (void)state;
    enum { COUNT = 600 };
    static struct shadow shadows[COUNT];
    memset(shadows, 0, sizeof(shadows));
    struct arena *arena = open_arena(32 * MIB, 32 * MIB, 0);
    uint64_t seed = 7, used = 0, refused = 0;
    for (int step = 0; step < 60000; step++) {
        struct shadow *shadow = &shadows[next_random(&seed) % COUNT];
        if (shadow->memory != NULL) {
            shadow_check(shadow);
            used -= arena_class_size(shadow->size);
            arena_free(arena, INS_MEM_QUERY, shadow->memory, shadow->size);
            shadow->memory = NULL;
        } else {
            shadow->size = 1 + next_random(&seed) % (1ull << (next_random(&seed) % 22));
            shadow->memory = arena_alloc(arena, INS_MEM_QUERY, shadow->size);
            if (shadow->memory == NULL) {
                refused++;
                continue;
            }
            used += arena_class_size(shadow->size);
            shadow->pattern = (uint8_t)next_random(&seed);
            memset(shadow->memory, shadow->pattern, shadow->size);
        }
        if (step % 64 == 0) {
            assert_int_equal(usage_of(arena).used, used);
            assert_int_equal(usage_of(arena).purpose_used[INS_MEM_QUERY], used);
        }
    }
    assert_true(refused > 0); /* the limit was met, and met often enough to matter */
    for (int i = 0; i < COUNT; i++) {
        if (shadows[i].memory != NULL) {
            shadow_check(&shadows[i]);
        }
        arena_free(arena, INS_MEM_QUERY, shadows[i].memory, shadows[i].size);
    }
    struct arena_usage usage = usage_of(arena);
    assert_int_equal(usage.used, 0);
    assert_int_equal((uint64_t)arena->free_page_count * INS_PAGE_BYTES, usage.committed);
    arena_close(arena);
}

/* Goal: a purpose cannot pass its limit nor take another's share; room says what is left.
 * Method: fill one purpose to the brim, then the other still gets all of its own. */
static void test_purpose_limits(void **state) {
    (void)state;
    struct arena *arena = open_arena(8 * MIB, 2 * MIB, 6 * MIB);
    void *query[2], *cache[3];
    assert_null(arena_alloc(arena, INS_MEM_JOB, 16)); /* a purpose without a share has none */
    for (int i = 0; i < 2; i++) {
        query[i] = arena_alloc(arena, INS_MEM_QUERY, MIB);
        assert_non_null(query[i]);
    }
    assert_int_equal(arena_room(arena, INS_MEM_QUERY), 0);
    assert_null(arena_alloc(arena, INS_MEM_QUERY, 1));
    assert_int_equal(arena_room(arena, INS_MEM_CACHE), 6 * MIB);
    for (int i = 0; i < 3; i++) {
        cache[i] = arena_alloc(arena, INS_MEM_CACHE, 2 * MIB);
        assert_non_null(cache[i]);
    }
    assert_null(arena_alloc(arena, INS_MEM_CACHE, 1));
    struct arena_usage usage = usage_of(arena);
    assert_int_equal(usage.used, 8 * MIB);
    assert_int_equal(usage.committed, 8 * MIB);
    assert_int_equal(usage.limit, 8 * MIB);
    assert_int_equal(usage.purpose_limit[INS_MEM_CACHE], 6 * MIB);
    assert_int_equal(usage.pages, ARENA_PAGES_PLAIN);
    arena_free(arena, INS_MEM_QUERY, query[0], MIB);
    assert_int_equal(arena_room(arena, INS_MEM_QUERY), MIB);
    query[0] = arena_alloc_zero(arena, INS_MEM_QUERY, MIB);
    assert_non_null(query[0]);
    for (size_t i = 0; i < MIB; i += 97) {
        assert_int_equal(((uint8_t *)query[0])[i], 0);
    }
    for (int i = 0; i < 2; i++) {
        arena_free(arena, INS_MEM_QUERY, query[i], MIB);
    }
    for (int i = 0; i < 3; i++) {
        arena_free(arena, INS_MEM_CACHE, cache[i], 2 * MIB);
    }
    arena_close(arena);
}

/* Goal: room is lent only where it is free, and the sum of the limits stays. */
static void test_move_limit(void **state) {
    (void)state;
    struct arena *arena = open_arena(16 * MIB, 4 * MIB, 8 * MIB);
    void *held = arena_alloc(arena, INS_MEM_CACHE, 2 * MIB);
    assert_non_null(held);
    assert_false(arena_move_limit(arena, INS_MEM_CACHE, INS_MEM_JOB, 6 * MIB + 1));
    assert_true(arena_move_limit(arena, INS_MEM_CACHE, INS_MEM_JOB, 6 * MIB));
    assert_int_equal(arena_room(arena, INS_MEM_CACHE), 0);
    assert_int_equal(arena_room(arena, INS_MEM_JOB), 6 * MIB);
    assert_null(arena_alloc(arena, INS_MEM_CACHE, 16));
    void *lent = arena_alloc(arena, INS_MEM_JOB, 1 * MIB);
    assert_non_null(lent);
    assert_false(arena_move_limit(arena, INS_MEM_JOB, INS_MEM_CACHE, 6 * MIB));
    arena_free(arena, INS_MEM_JOB, lent, 1 * MIB);
    assert_true(arena_move_limit(arena, INS_MEM_JOB, INS_MEM_CACHE, 6 * MIB));
    assert_int_equal(arena_room(arena, INS_MEM_CACHE), 6 * MIB);
    arena_free(arena, INS_MEM_CACHE, held, 2 * MIB);
    arena_close(arena);
}

/* Goal: memory of one class serves every other after it was freed.
 * Method: fill all of the arena with each of several sizes in turn; committed never grows. */
static void test_reuse_between_classes(void **state) {
    (void)state;
    static const size_t sizes[] = {48, 2 * MIB, 512, 10240, MIB / 2, 100, 160 * 1024, 2 * MIB};
    struct arena *arena = open_arena(8 * MIB, 8 * MIB, 0);
    void **blocks = malloc(sizeof(void *) * 8 * MIB / 48);
    assert_non_null(blocks);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        size_t count = 0;
        void *block;
        while ((block = arena_alloc(arena, INS_MEM_QUERY, sizes[s])) != NULL) {
            blocks[count++] = block;
        }
        assert_true(count * arena_class_size(sizes[s]) >= 8 * MIB * 15 / 16 - MIB / 4);
        for (size_t i = 0; i < count; i++) { /* from both ends, to mix the lists */
            size_t at = i % 2 == 0 ? i / 2 : count - 1 - i / 2;
            arena_free(arena, INS_MEM_QUERY, blocks[at], sizes[s]);
        }
        assert_int_equal(usage_of(arena).used, 0);
        assert_int_equal(arena->free_page_count, 4);
    }
    free(blocks);
    arena_close(arena);
}

/* Goal: small objects of many classes share pages. Method: one object of each class to 4 KiB. */
static void test_small_classes_share_a_page(void **state) {
    (void)state;
    struct arena *arena = open_arena(8 * MIB, 8 * MIB, 0);
    void *blocks[ARENA_CLASS_COUNT];
    uint32_t count = 0;
    for (; arena->classes[count].slot_bytes <= 4096; count++) {
        blocks[count] = arena_alloc(arena, INS_MEM_QUERY, arena->classes[count].slot_bytes);
    }
    assert_int_equal(usage_of(arena).committed, 2 * MIB);
    for (uint32_t i = 0; i < count; i++) {
        arena_free(arena, INS_MEM_QUERY, blocks[i], arena->classes[i].slot_bytes);
    }
    arena_close(arena);
}

/* Goal: the hook fails exactly the Nth call, once. Method: N = 3; then off. */
static void test_fail_at(void **state) {
    (void)state;
    struct arena *arena = open_arena(2 * MIB, 2 * MIB, 0);
    arena_fail_at(arena, 3);
    for (int i = 1; i <= 5; i++) {
        void *block = arena_alloc(arena, INS_MEM_QUERY, 100);
        assert_int_equal(block == NULL, i == 3);
        arena_free(arena, INS_MEM_QUERY, block, 100);
    }
    arena_fail_at(arena, 1);
    arena_fail_at(arena, 0);
    void *block = arena_alloc_zero(arena, INS_MEM_QUERY, 100);
    assert_non_null(block);
    arena_free(arena, INS_MEM_QUERY, block, 100);
    arena_fail_at(arena, 1);
    assert_null(arena_alloc_zero(arena, INS_MEM_QUERY, 100));
    assert_int_equal(usage_of(arena).used, 0);
    arena_close(arena);
}

/* Goal: committing ahead follows its rule, in steps, and is resident.
 * Method: 64 MiB arena; the target is 2 MiB when little is used and an eighth when much is. */
static void test_commit_ahead(void **state) {
    (void)state;
    struct arena *arena = open_arena(64 * MIB, 64 * MIB, 0);
    assert_int_equal(usage_of(arena).committed, 2 * MIB);
    assert_int_equal(arena_commit_ahead(arena, UINT64_MAX), 0); /* the first page is ready */
    assert_int_equal(usage_of(arena).committed, 2 * MIB);
    void *blocks[24];
    for (int i = 0; i < 24; i++) {
        blocks[i] = arena_alloc(arena, INS_MEM_QUERY, 2 * MIB);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(usage_of(arena).committed, 48 * MIB);
    uint64_t before = mem_resident_bytes();
    assert_int_equal(arena_commit_ahead(arena, 0), 6 * MIB);
    assert_int_equal(arena_commit_ahead(arena, 1), 4 * MIB);
    assert_int_equal(usage_of(arena).committed, 50 * MIB);
    assert_int_equal(arena_commit_ahead(arena, UINT64_MAX), 0);
    assert_int_equal(usage_of(arena).committed, 54 * MIB);
    assert_true(mem_resident_bytes() >= before + 5 * MIB);
    for (int i = 0; i < 24; i++) {
        arena_free(arena, INS_MEM_QUERY, blocks[i], 2 * MIB);
    }
    assert_int_equal(arena_commit_ahead(arena, UINT64_MAX), 0);
    assert_int_equal(usage_of(arena).committed, 54 * MIB);
    arena_close(arena);

    arena = open_arena(2 * MIB, 2 * MIB, 0); /* at the limit nothing is missing */
    void *all = arena_alloc(arena, INS_MEM_QUERY, 2 * MIB);
    assert_non_null(all);
    assert_int_equal(arena_commit_ahead(arena, UINT64_MAX), 0);
    arena_free(arena, INS_MEM_QUERY, all, 2 * MIB);
    arena_close(arena);
}

/* Goal: a page that the kernel refuses is NULL, charges nothing, and is tried again later.
 * Method: RLIMIT_DATA, which counts private writable pages, refuses; then it is lifted. */
static void test_kernel_refuses(void **state) {
    (void)state;
    struct arena *arena = open_arena(64 * MIB, 64 * MIB, 0);
    void *first = arena_alloc(arena, INS_MEM_QUERY, 2 * MIB);
    assert_non_null(first);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_DATA, &old), 0);
    struct rlimit tight = {.rlim_cur = 1, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_DATA, &tight), 0);
    void *second = arena_alloc(arena, INS_MEM_QUERY, 2 * MIB);
    uint64_t missing = arena_commit_ahead(arena, UINT64_MAX);
    struct arena_usage usage = usage_of(arena);
    assert_int_equal(setrlimit(RLIMIT_DATA, &old), 0);
    assert_null(second);
    assert_int_equal(missing, 0);
    assert_int_equal(usage.used, 2 * MIB);
    assert_int_equal(usage.committed, 2 * MIB);
    void *blocks[31];
    for (int i = 0; i < 31; i++) { /* every page is still to be had, the refused one too */
        blocks[i] = arena_alloc(arena, INS_MEM_QUERY, 2 * MIB);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(usage_of(arena).committed, 64 * MIB);
    for (int i = 0; i < 31; i++) {
        arena_free(arena, INS_MEM_QUERY, blocks[i], 2 * MIB);
    }
    arena_free(arena, INS_MEM_QUERY, first, 2 * MIB);
    arena_close(arena);
}

/* Goal: the default pages work and say what they are. Method: whatever this machine has. */
static void test_huge_pages(void **state) {
    (void)state;
    struct arena_options options = {.limit_bytes = 8 * MIB};
    options.purpose_limit_bytes[INS_MEM_CACHE] = 8 * MIB;
    struct arena *arena = NULL;
    assert_int_equal(arena_open(&options, &arena, NULL), INS_OK);
    void *blocks[4];
    for (int i = 0; i < 4; i++) {
        blocks[i] = arena_alloc_zero(arena, INS_MEM_CACHE, 2 * MIB);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % (2 * MIB), 0);
    }
    print_message("pages here: %s\n", arena_pages_text(usage_of(arena).pages));
    for (int i = 0; i < 4; i++) {
        arena_free(arena, INS_MEM_CACHE, blocks[i], 2 * MIB);
    }
    arena_close(arena);
    assert_string_equal(arena_pages_text(ARENA_PAGES_RESERVED), "reserved 2 MiB");
    assert_string_equal(arena_pages_text(ARENA_PAGES_TRANSPARENT), "transparent 2 MiB");
    assert_string_equal(arena_pages_text(ARENA_PAGES_PLAIN), "4 KiB");
}

enum mistake { MISTAKE_SIZE, MISTAKE_INSIDE, MISTAKE_PURPOSE, MISTAKE_TWICE, MISTAKE_COUNT };

static void make_mistake(struct arena *arena, enum mistake mistake) {
    uint8_t *block = arena_alloc(arena, INS_MEM_QUERY, 1000);
    switch (mistake) {
    case MISTAKE_SIZE:
        arena_free(arena, INS_MEM_QUERY, block, 2000);
        break;
    case MISTAKE_INSIDE:
        arena_free(arena, INS_MEM_QUERY, block + 16, 900);
        break;
    case MISTAKE_PURPOSE:
        arena_free(arena, INS_MEM_CACHE, block, 1000);
        break;
    case MISTAKE_TWICE:
        arena_free(arena, INS_MEM_QUERY, block, 1000);
        arena_free(arena, INS_MEM_QUERY, block, 1000);
        break;
    case MISTAKE_COUNT:
        break;
    }
}

/* Goal: a wrong free stops the program. Method: one of each in a child process. */
static void test_wrong_free_stops(void **state) {
    (void)state;
    struct arena *arena = open_arena(4 * MIB, 2 * MIB, 2 * MIB);
    for (enum mistake mistake = 0; mistake < MISTAKE_COUNT; mistake++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)signal(SIGABRT, SIG_DFL); /* without cmocka's report */
            (void)close(STDERR_FILENO);
            make_mistake(arena, mistake);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
    arena_close(arena);
}

static void *hammer(void *argument) {
    struct arena *arena = argument;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    struct shadow shadows[64] = {0};
    for (int step = 0; step < 20000; step++) {
        struct shadow *shadow = &shadows[next_random(&seed) % 64];
        if (shadow->memory != NULL) {
            shadow_check(shadow);
            arena_free(arena, INS_MEM_QUERY, shadow->memory, shadow->size);
            shadow->memory = NULL;
            continue;
        }
        shadow->size = 1 + next_random(&seed) % 20000;
        shadow->memory = arena_alloc(arena, INS_MEM_QUERY, shadow->size);
        if (shadow->memory != NULL) {
            shadow->pattern = (uint8_t)next_random(&seed);
            memset(shadow->memory, shadow->pattern, shadow->size);
        }
    }
    for (int i = 0; i < 64; i++) {
        arena_free(arena, INS_MEM_QUERY, shadows[i].memory, shadows[i].size);
    }
    return NULL;
}

/* Goal: any thread may call. Method: four threads with shadows, one arena that is a bit too small.
 */
static void test_threads(void **state) {
    (void)state;
    struct arena *arena = open_arena(4 * MIB, 4 * MIB, 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, arena), 0);
    }
    for (int i = 0; i < 100; i++) {
        (void)usage_of(arena);
        (void)arena_commit_ahead(arena, 1);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(usage_of(arena).used, 0);
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_open_refuses),
        cmocka_unit_test(test_open_without_address_space),
        cmocka_unit_test(test_open_without_tables),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_random_against_shadow),
        cmocka_unit_test(test_purpose_limits),
        cmocka_unit_test(test_move_limit),
        cmocka_unit_test(test_reuse_between_classes),
        cmocka_unit_test(test_small_classes_share_a_page),
        cmocka_unit_test(test_fail_at),
        cmocka_unit_test(test_commit_ahead),
        cmocka_unit_test(test_kernel_refuses),
        cmocka_unit_test(test_huge_pages),
        cmocka_unit_test(test_wrong_free_stops),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
