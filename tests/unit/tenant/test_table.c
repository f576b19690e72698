/* Goal: the table finds every node that is in it and none that is not, in the order of insertion
 * turned round, while buckets are split and nodes come and go. Method: thousands of keys, some with
 * the same hash, inserted and removed at random, against a flag for each; hashes that differ in one
 * bit only, so that some share a bucket or its marks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/hash.h"
#include "tenant/table.h"

#define LIMIT_BYTES (64ull << 20)
#define KEYS 6000u
#define STEPS 60000u

struct item {
    struct table_node node; /* first */
    uint32_t key;
    bool in;
};

static uint64_t seed = 1;

static uint64_t draw(void) {
    seed = hash_u64(seed + 0x9e3779b97f4a7c15ull);
    return seed;
}

static struct table open_table(struct arena **out_arena) {
    struct arena_options options = {.limit_bytes = LIMIT_BYTES, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_MEMTABLE] = LIMIT_BYTES / 2;
    assert_int_equal(arena_open(&options, out_arena, NULL), INS_OK);
    struct table table = {0};
    assert_int_equal(table_init(&table, *out_arena, INS_MEM_MEMTABLE), INS_OK);
    return table;
}

static void close_table(struct table *table, struct arena *arena) {
    table_fini(table);
    arena_close(arena);
}

/* Kind 0: spread; 1: the highest bits differ; 2: the lowest ones; three keys have the same hash. */
static uint64_t hash_of(uint32_t kind, uint32_t key) {
    uint64_t group = key / 3;
    return kind == 0 ? hash_u64(group) : kind == 1 ? group << 50 : group;
}

static struct item *find(const struct table *table, uint64_t hash, uint32_t key) {
    struct table_node *node = table_first(table, hash);
    while (node != NULL && (node->hash != hash || ((struct item *)(void *)node)->key != key)) {
        node = node->next;
    }
    return (struct item *)(void *)node;
}

/* `reserved`: buckets are there for so many nodes before the first one comes. */
static void check_finds(uint64_t reserved) {
    struct item *items = calloc(KEYS, sizeof(*items));
    assert_non_null(items);
    for (uint32_t kind = 0; kind < 3; kind++) {
        struct arena *arena = NULL;
        struct table table = open_table(&arena);
        uint64_t count = 0;
        table_reserve(&table, reserved);
        assert_in_range(table.bucket_count, reserved, reserved + 1);
        for (uint32_t step = 0; step < STEPS; step++) {
            uint32_t key = (uint32_t)(draw() % KEYS);
            struct item *item = &items[key];
            uint64_t hash = hash_of(kind, key);
            assert_ptr_equal(find(&table, hash, key), item->in ? item : NULL);
            if (!item->in) {
                *item = (struct item){.node.hash = hash, .key = key};
                table_insert(&table, &item->node);
                assert_ptr_equal(table_first(&table, hash), &item->node);
            } else {
                table_remove(&table, &item->node);
            }
            item->in = !item->in;
            count = item->in ? count + 1 : count - 1;
            assert_int_equal(table.count, count);
        }
        uint64_t met = 0;
        for (uint64_t bucket = 0; bucket < table.bucket_count; bucket++) {
            for (struct table_node *node = table_bucket(&table, bucket); node; node = node->next) {
                met++;
            }
        }
        assert_int_equal(met, count);
        for (uint32_t key = 0; key < KEYS; key++) {
            items[key].in = false;
        }
        close_table(&table, arena);
    }
    free(items);
}

static void finds_what_is_there(void **state) {
    (void)state;
    check_finds(0);
    check_finds(KEYS / 7); /* no power of two, and fewer than come */
    check_finds(4 * KEYS);
}

/* Memory for less than was asked: what there is serves. */
static void reserves_what_it_can(void **state) {
    (void)state;
    struct arena *arena = NULL;
    struct table table = open_table(&arena);
    struct item item = {.node.hash = draw()};
    table_reserve(&table, LIMIT_BYTES / 2);
    assert_in_range(table.bucket_count, 512, LIMIT_BYTES / 16);
    table_insert(&table, &item.node);
    assert_ptr_equal(table_first(&table, item.node.hash), &item.node);
    close_table(&table, arena);
}

/* The point of the marks: what is not there is mostly refused without a node being looked at. */
static void refuses_what_is_not(void **state) {
    (void)state;
    struct arena *arena = NULL;
    struct table table = open_table(&arena);
    struct item *items = calloc(KEYS, sizeof(*items));
    assert_non_null(items);
    for (uint32_t key = 0; key < KEYS; key++) {
        items[key].node.hash = draw();
        table_insert(&table, &items[key].node);
    }
    uint32_t met = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        met += table_first(&table, draw()) != NULL;
    }
    assert_in_range(met, 1, KEYS / 10);
    for (uint32_t key = 0; key < KEYS; key++) {
        table_remove(&table, &items[key].node);
        assert_ptr_not_equal(table_first(&table, items[key].node.hash), &items[key].node);
    }
    assert_int_equal(table.count, 0);
    free(items);
    close_table(&table, arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_there),
        cmocka_unit_test(reserves_what_it_can),
        cmocka_unit_test(refuses_what_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
