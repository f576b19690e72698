/* Goal: heaps keep exactly the best hits in every order, tallies count and find every value.
 * Method: comparison with sorted copies of all offers; tables that grow many times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "query/tally.h"

static uint64_t seed = 5;

static uint32_t next_random(uint32_t below) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % below;
}

static struct arena *open_arena(void) {
    struct arena *arena;
    struct arena_options options = {.limit_bytes = 64u << 20};
    options.purpose_limit_bytes[INS_MEM_QUERY] = 60u << 20;
    assert_int_equal(arena_open(&options, &arena, NULL), INS_OK);
    return arena;
}

static enum rank_order sorting;

static int compare(const void *left, const void *right) {
    return rank_compare(sorting, left, right);
}

static struct rank_hit any_hit(void) {
    struct rank_hit hit = {.id = id_number(next_random(200)), .score = next_random(50) / 7.0};
    hit.order.is_real = next_random(2) == 0;
    hit.order.integer = (int64_t)next_random(20) - 10;
    hit.order.real = (double)hit.order.integer + (next_random(2) == 0 ? 0.5 : 0.0);
    return hit;
}

static void check_order(struct pool *pool, enum rank_order order, uint32_t capacity) {
    static struct rank_hit offers[500];
    struct rank_heap heap = {.capacity = capacity};
    uint32_t count = next_random(500);
    for (uint32_t i = 0; i < count; i++) {
        offers[i] = any_hit();
        if (order == RANK_SCORE) {
            offers[i].score = (double)(offers[i].id.low * 31 % 97); /* equal ids: equal scores */
        }
        assert_true(rank_offer(&heap, order, &offers[i], pool));
    }
    sorting = order;
    qsort(offers, count, sizeof(offers[0]), compare);
    uint32_t kept = count < capacity ? count : capacity;
    assert_int_equal(heap.count, kept);
    rank_sort(&heap, order);
    uint32_t at = 0;
    for (uint32_t i = 0; i < kept; i++) {
        if (i > 0 && rank_compare(order, &offers[i - 1], &offers[i]) == 0) {
            continue; /* once */
        }
        assert_int_equal(rank_compare(order, &heap.hits[at++], &offers[i]), 0);
    }
    assert_int_equal(heap.count, at);
}

static void test_heaps(void **state) {
    (void)state;
    struct arena *arena = open_arena();
    for (int round = 0; round < 300; round++) {
        struct pool pool;
        pool_init(&pool, arena, INS_MEM_QUERY, 16u << 20);
        check_order(&pool, (enum rank_order)(round % 3), 1 + next_random(round % 2 == 0 ? 5 : 600));
        pool_fini(&pool);
    }
    arena_close(arena);
}

/* An integer and a real are compared by what they are, also where a double cannot tell integers
 * apart. */
static void test_numbers(void **state) {
    (void)state;
    struct rank_hit left = {.order = {.integer = (1ll << 53) + 1}};
    struct rank_hit right = {.order = {.integer = 1ll << 53}};
    assert_true(rank_compare(RANK_ASCENDING, &left, &right) > 0);
    assert_true(rank_compare(RANK_DESCENDING, &left, &right) < 0);
    right.order = (ins_number){.is_real = true, .real = 3.5};
    left.order = (ins_number){.integer = 3};
    assert_true(rank_compare(RANK_ASCENDING, &left, &right) < 0);
}

static void test_values(void **state) {
    (void)state;
    struct arena *arena = open_arena();
    struct pool pool;
    struct tally tally;
    pool_init(&pool, arena, INS_MEM_QUERY, 48u << 20);
    assert_true(tally_init(&tally, &pool));
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 30000; i++) {
            char text[16];
            int size = snprintf(text, sizeof(text), "%u", i);
            ins_value value = {.kind = INS_VALUE_INTEGER, .integer = i};
            if (i % 2 == 1) {
                value = (ins_value){.kind = INS_VALUE_TEXT, .text = {text, (size_t)size}};
            }
            struct tally_value *entry = tally_get(&tally, &value);
            assert_non_null(entry);
            entry->count++;
        }
    }
    ins_value yes = {.kind = INS_VALUE_BOOL, .boolean = true};
    ins_value empty = {.kind = INS_VALUE_TEXT, .text = {"", 0}};
    assert_non_null(tally_get(&tally, &yes));
    assert_non_null(tally_get(&tally, &empty));
    assert_int_equal(tally.count, 30002);
    struct tally_value **list = tally_list(&tally);
    assert_non_null(list);
    for (uint32_t i = 0; i < tally.count; i++) {
        bool counted = value_compare(&list[i]->value, &yes) != 0 &&
                       value_compare(&list[i]->value, &empty) != 0;
        assert_int_equal(list[i]->count, counted ? 3 : 0);
    }
    assert_true(value_compare(&yes, &empty) < 0);
    pool_fini(&pool);
    arena_close(arena);
}

/* Memory that is out is told, and nothing is torn. */
static void test_no_memory(void **state) {
    (void)state;
    struct arena *arena = open_arena();
    struct pool pool;
    struct tally tally;
    pool_init(&pool, arena, INS_MEM_QUERY, 256u << 10);
    assert_true(tally_init(&tally, &pool));
    uint32_t made = 0;
    for (ins_value value = {.kind = INS_VALUE_INTEGER}; value.integer < 100000; value.integer++) {
        if (tally_get(&tally, &value) == NULL) {
            break;
        }
        made++;
    }
    assert_true(made > 100 && made < 100000);
    assert_int_equal(tally.count, made);
    struct rank_heap heap = {.capacity = 1u << 20};
    struct rank_hit hit = {.score = 1};
    while (rank_offer(&heap, RANK_SCORE, &hit, &pool)) {
        hit.id.low++;
    }
    assert_true(heap.count < 1u << 20);
    pool_fini(&pool);
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heaps),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
