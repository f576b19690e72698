/* Goal: top-k keeps exactly the nearest, by (distance, key), whatever the order of offers.
 * Method: comparison with a sorted copy of all offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/index.h"

#define OFFERS_MAX 2000u

static uint64_t seed = 11;

static uint32_t next_random(uint32_t below) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % below;
}

static int compare_hits(const void *left, const void *right) {
    const struct topk_hit *l = left, *r = right;
    if (l->distance != r->distance) {
        return l->distance < r->distance ? -1 : 1;
    }
    return l->key < r->key ? -1 : l->key > r->key;
}

/* Offers `count` hits and follows what goes in and out; returns nothing, asserts everything. */
static void check_offers(const struct topk_hit *offers, uint32_t count, uint32_t capacity) {
    static struct topk_hit memory[OFFERS_MAX], sorted[OFFERS_MAX];
    struct topk topk;
    topk_init(&topk, memory, capacity);
    assert_true(topk_bound(&topk) == (capacity == 0 ? -INFINITY : INFINITY));
    uint32_t entered = 0, evicted_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        float bound = topk_bound(&topk);
        struct topk_hit evicted = {.slot = 77};
        bool was_full = true;
        bool is_in = topk_offer(&topk, offers[i], &evicted, &was_full);
        assert_true(!is_in || offers[i].distance <= bound);
        assert_true(!was_full || is_in);
        if (was_full) {
            assert_true(compare_hits(&offers[i], &evicted) < 0);
            assert_true(evicted.distance == bound);
        } else {
            assert_int_equal(evicted.slot, 77);
        }
        entered += is_in;
        evicted_count += was_full;
        assert_true(topk_bound(&topk) <= bound);
    }
    uint32_t sorted_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!isnan(offers[i].distance)) {
            sorted[sorted_count++] = offers[i];
        }
    }
    qsort(sorted, sorted_count, sizeof(sorted[0]), compare_hits);
    uint32_t wanted = sorted_count < capacity ? sorted_count : capacity;
    assert_int_equal(topk.count, wanted);
    assert_int_equal(entered - evicted_count, wanted);
    topk_sort(&topk);
    for (uint32_t i = 0; i < wanted; i++) {
        assert_true(topk.heap[i].distance == sorted[i].distance);
        assert_int_equal(topk.heap[i].key, sorted[i].key);
        assert_int_equal(topk.heap[i].slot, sorted[i].slot);
    }
}

/* Goal: random offers with many ties, NaN and infinities. Method: every small capacity, some large;
 * keys are a permutation, so ties come in every order. */
static void test_against_sort(void **state) {
    (void)state;
    static struct topk_hit offers[OFFERS_MAX];
    static const uint32_t capacities[] = {0, 1, 2, 3, 4, 5, 7, 8, 10, 31, 100, 1999, 2000};
    for (int round = 0; round < 60; round++) {
        uint32_t count = round < 5 ? (uint32_t)round : next_random(OFFERS_MAX) + 1;
        uint32_t levels = round % 3 == 0 ? 5 : 100000;
        for (uint32_t i = 0; i < count; i++) {
            float distance = (float)next_random(levels) - (float)(levels / 2);
            switch (next_random(50)) {
            case 0:
                distance = NAN;
                break;
            case 1:
                distance = INFINITY;
                break;
            case 2:
                distance = -0.0f;
                break;
            default:
                break;
            }
            uint64_t key = (uint64_t)(i * 7919u % 10007u) << 40;
            offers[i] = (struct topk_hit){.distance = distance, .slot = i, .key = key};
        }
        for (size_t c = 0; c < sizeof(capacities) / sizeof(capacities[0]); c++) {
            check_offers(offers, count, capacities[c]);
        }
    }
}

/* Goal: sorted inputs, the worst and the best case. Method: ascending, descending, all equal. */
static void test_sorted_offers(void **state) {
    (void)state;
    static struct topk_hit offers[OFFERS_MAX];
    for (int kind = 0; kind < 3; kind++) {
        for (uint32_t i = 0; i < 1000; i++) {
            float distance = kind == 2 ? 1.0f : kind == 0 ? (float)i : -(float)i;
            offers[i] = (struct topk_hit){.distance = distance, .slot = i, .key = 5000 - i};
        }
        check_offers(offers, 1000, 10);
        check_offers(offers, 1000, 1000);
    }
}

/* Goal: an equal distance enters with a smaller key only. Method: one by one. */
static void test_ties(void **state) {
    (void)state;
    struct topk_hit memory[1], evicted;
    struct topk topk;
    bool was_full;
    topk_init(&topk, memory, 1);
    assert_true(topk_offer(&topk, (struct topk_hit){1.0f, 0, 5}, &evicted, &was_full));
    assert_false(was_full);
    assert_false(topk_offer(&topk, (struct topk_hit){1.0f, 1, 6}, &evicted, &was_full));
    assert_false(topk_offer(&topk, (struct topk_hit){1.0f, 1, 5}, &evicted, &was_full));
    assert_true(topk_offer(&topk, (struct topk_hit){1.0f, 2, 4}, &evicted, &was_full));
    assert_true(was_full);
    assert_int_equal(evicted.key, 5);
    assert_false(topk_offer(&topk, (struct topk_hit){NAN, 3, 0}, &evicted, &was_full));
    assert_int_equal(topk.heap[0].slot, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sort),
        cmocka_unit_test(test_sorted_offers),
        cmocka_unit_test(test_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
