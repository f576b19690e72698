/* Goal: of an island's rows the newest versions come out by id, whatever the ids are, with memory
 * to sort them in and without, in one piece and in many; and the rows that are asked for ahead are
 * the same, in the same order. Method: islands of random ids (numbers that are close, far, UUIDs
 * that share a word), some rows superseded, some tombstones; the list is compared with a sort of
 * the ids that are left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/id.h"
#include "tenant/memtable_sort.h"

#define ROWS_MAX ((uint32_t)(2 * ROW_KEYS_MAX))

static uint64_t seed = 1;
static struct memrow *rows;
static ins_id *ids;

static uint64_t draw(void) {
    seed = hash_u64(seed + 0x9e3779b97f4a7c15ull);
    return seed;
}

static ins_id draw_id(uint32_t kind, uint32_t i) {
    switch (kind % 4) {
    case 0:
        return id_number(i ^ 0x55); /* close */
    case 1:
        return id_number(hash_u64(i));
    case 2:
        return (ins_id){.high = 7, .low = hash_u64(i), .is_uuid = true};
    default:
        return i % 2 == 0 ? id_number(hash_u64(i))
                          : (ins_id){.high = hash_u64(i), .low = i, .is_uuid = true};
    }
}

static int order_ids(const void *left, const void *right) {
    return id_compare(left, right);
}

/* An island of `count` rows with different ids; returns how many are to be written, in `ids`. */
static uint32_t make(struct island_mem *mem, uint32_t count, uint32_t kind, bool oldest) {
    uint32_t left = 0;
    *mem = (struct island_mem){.oldest = oldest, .row_count = count};
    for (uint32_t i = 0; i < count; i++) {
        ins_id id = draw_id(kind, i);
        rows[i] = (struct memrow){
            .id_high = id.high, .id_low = id.low, .id_is_uuid = id.is_uuid, .kind = MEMROW_POINT};
        rows[i].newer = draw() % 5 == 0 ? &rows[0] : NULL;
        rows[i].kind = draw() % 5 == 0 ? MEMROW_TOMBSTONE : MEMROW_POINT;
        rows[i].sort_next = &rows[i]; /* what an earlier flush left */
        if (rows[i].newer == NULL && (rows[i].kind == MEMROW_POINT || !oldest)) {
            ids[left++] = id;
        }
    }
    for (uint32_t i = 0; i < count; i++) { /* not in the order of their addresses */
        uint32_t at = (i * 7919u + 13u) % count;
        *(mem->last != NULL ? &mem->last->island_next : &mem->first) = &rows[at];
        mem->last = &rows[at];
    }
    qsort(ids, left, sizeof(*ids), order_ids);
    return left;
}

static void check(struct island_mem *mem, struct row_order *order, uint32_t left) {
    assert_int_equal(island_mem_has_rows(mem), left > 0);
    island_mem_sort(mem, order);
    const struct memrow *row = mem->sorted;
    uint32_t known = left < order->row_count ? left : order->row_count;
    for (uint32_t i = 0; i < left; i++, row = row->sort_next) {
        assert_non_null(row);
        ins_id id = memrow_id(row);
        assert_true(id_equal(&id, &ids[i]));
        assert_true(i >= known || order->rows[i] == (uintptr_t)row);
        row_order_prefetch(order, i);
    }
    assert_null(row);
    assert_int_equal(order->row_count, known);
}

static void run(struct row_order *order, uint32_t most) {
    for (uint32_t turn = 0; turn < 200; turn++) {
        struct island_mem mem;
        uint32_t count = (uint32_t)(draw() % (turn % 50 == 0 ? most : 300)) + 1;
        count += count % 7919 == 0; /* the step above must reach all */
        uint32_t left = make(&mem, count, turn, turn % 3 == 0);
        check(&mem, order, left);
    }
    struct island_mem none = {0};
    check(&none, order, 0);
}

static struct arena *open_arena(uint64_t job_bytes) {
    struct arena_options options = {.limit_bytes = 64u << 20};
    struct arena *arena = NULL;
    options.purpose_limit_bytes[INS_MEM_JOB] = job_bytes;
    assert_int_equal(arena_open(&options, &arena, NULL), INS_OK);
    return arena;
}

static void test_memory(void **state) {
    (void)state;
    struct arena *arena = open_arena(16u << 20);
    struct row_order order;
    struct arena_usage usage;
    row_order_init(&order, arena);
    assert_true(order.capacity == ROW_KEYS_MAX);
    run(&order, ROWS_MAX);
    struct island_mem mem; /* more than one piece */
    uint32_t left = make(&mem, 2 * ROW_KEYS_MAX, 1, false);
    assert_true(left > ROW_KEYS_MAX);
    check(&mem, &order, left);
    row_order_fini(&order);
    arena_get_usage(arena, &usage);
    assert_true(usage.purpose_used[INS_MEM_JOB] == 0);
    arena_close(arena);
}

/* One of the two halves cannot be had: pieces are small, and nothing is left behind. */
static void test_no_memory(void **state) {
    (void)state;
    struct arena *arena = open_arena(2u << 20);
    struct row_order order;
    struct arena_usage usage;
    row_order_init(&order, arena);
    assert_true(order.capacity == ROW_KEYS_FEW);
    arena_get_usage(arena, &usage);
    assert_true(usage.purpose_used[INS_MEM_JOB] == 0);
    run(&order, 20000);
    row_order_fini(&order);
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_no_memory),
    };
    rows = calloc(ROWS_MAX + 1, sizeof(*rows));
    ids = calloc(ROWS_MAX + 1, sizeof(*ids));
    int failed = rows == NULL || ids == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    free(rows);
    free(ids);
    return failed;
}
