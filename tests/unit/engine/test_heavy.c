/* Goal: the sketch of heavy tenants keeps its promise: a count is at most `count` and at least
 * count - error_most, and whoever had more than a HEAVY_SLOTS-th part of all has a slot.
 * Method: random charges of skewed keys against exact counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/hash.h"
#include "engine/heavy.h"

#define KEYS 5000u
#define CHARGES 200000u

static uint64_t key_for(uint64_t seed) {
    uint64_t share = hash_u64(seed) % 1000;
    return share < 300 ? 1 + share / 100 : 4 + hash_u64(seed * 77) % (KEYS - 4);
}

static void test_bounds(void **state) {
    (void)state;
    static struct heavy heavy;
    static uint64_t exact[KEYS];
    uint64_t total = 0;
    for (uint64_t i = 0; i < CHARGES; i++) {
        uint64_t key = key_for(i), amount = hash_u64(i + 1000000) % 50;
        heavy_charge(&heavy, INS_HEAVY_ROWS, key, amount);
        exact[key] += amount;
        total += amount;
    }
    assert_int_equal(heavy.totals[INS_HEAVY_ROWS], total);
    bool kept[KEYS] = {false};
    for (uint32_t i = 0; i < HEAVY_SLOTS; i++) {
        uint64_t key = heavy.keys[INS_HEAVY_ROWS][i];
        const struct heavy_slot *slot = &heavy.slots[INS_HEAVY_ROWS][i];
        assert_true(key > 0 && key < KEYS);
        assert_false(kept[key]);
        kept[key] = true;
        assert_true(exact[key] <= slot->count);
        assert_true(exact[key] >= slot->count - slot->error_most);
    }
    for (uint64_t key = 1; key < KEYS; key++) {
        assert_true(kept[key] || exact[key] <= total / HEAVY_SLOTS);
    }
    assert_true(kept[1] && kept[2] && kept[3]);
    assert_int_equal(heavy.totals[INS_HEAVY_TIME], 0);
}

static void test_nobody(void **state) {
    (void)state;
    static struct heavy heavy;
    heavy_charge(&heavy, INS_HEAVY_COLD, 0, 5); /* of several islands: of the total alone */
    heavy_charge(&heavy, INS_HEAVY_COLD, 9, 0);
    assert_int_equal(heavy.totals[INS_HEAVY_COLD], 5);
    for (uint32_t i = 0; i < HEAVY_SLOTS; i++) {
        assert_int_equal(heavy.keys[INS_HEAVY_COLD][i], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
