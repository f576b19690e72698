/* Another name for an island. Goal: who writes and who reads find it by the right name before,
 * while and after it is renamed, beside another of the old name and while it is dropped; a name
 * that is borrowed stays; the limits are kept. Method: islands of one scope, each state made by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tenant/island.h"

#define LIMIT_BYTES (64ull << 20)

struct bed {
    struct arena *arena;
    struct files files;
    struct islands islands;
    struct scope scope;
    uint64_t next;
};

static int setup(void **state) {
    static struct bed bed;
    bed = (struct bed){.scope = {.key = 7}, .next = 1};
    struct arena_options options = {.limit_bytes = LIMIT_BYTES, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_CATALOG] = LIMIT_BYTES / 2;
    assert_int_equal(arena_open(&options, &bed.arena, NULL), INS_OK);
    files_init(&bed.files, bed.arena);
    assert_int_equal(islands_init(&bed.islands, bed.arena, &bed.files), INS_OK);
    *state = &bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    while (bed->scope.islands != NULL) {
        island_drop(&bed->islands, bed->scope.islands);
    }
    assert_int_equal(bed->islands.rename_count, 0);
    assert_int_equal(bed->islands.old_name_count, 0);
    islands_fini(&bed->islands);
    arena_close(bed->arena);
    return 0;
}

static ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

static struct island *make(struct bed *bed, const char *name) {
    struct island *island = island_create(&bed->islands, &bed->scope, bed->next++, text(name), 0);
    assert_non_null(island);
    return island;
}

static void begin(struct bed *bed, struct island *island, const char *name) {
    struct island_rename *rename = NULL;
    assert_int_equal(island_rename_make(&bed->islands, island, text(name), &rename, NULL), INS_OK);
    island_rename_begin(&bed->islands, rename);
}

static void expect(struct bed *bed, const char *name, const struct island *writers,
                   const struct island *readers) {
    assert_ptr_equal(islands_find_newest(&bed->islands, &bed->scope, text(name)), writers);
    assert_ptr_equal(islands_find_tenant(&bed->islands, &bed->scope, text(name)), readers);
}

static void test_states(void **state) {
    struct bed *bed = *state;
    struct island *first = make(bed, "a");
    uint64_t changed = bed->islands.tenants_changed;
    begin(bed, first, "b");
    assert_true(bed->islands.tenants_changed > changed);
    expect(bed, "a", NULL, first);
    expect(bed, "b", first, NULL);
    struct island *second = make(bed, "a");
    expect(bed, "a", second, first);
    ins_text borrowed = island_name(first);
    island_pin(first);
    island_rename_land(&bed->islands, first->incarnation);
    expect(bed, "a", second, second);
    expect(bed, "b", first, first);
    assert_memory_equal(borrowed.data, "a", 1);
    assert_int_equal(bed->islands.old_name_count, 1);
    island_unpin(&bed->islands, first);
    assert_int_equal(bed->islands.old_name_count, 0);
    island_rename_land(&bed->islands, first->incarnation); /* there is none any more */
    expect(bed, "b", first, first);
}

/* Dropped by writers who know the new name, before readers do. */
static void test_dropped(void **state) {
    struct bed *bed = *state;
    struct island *first = make(bed, "a");
    begin(bed, first, "b");
    first->flags |= ISLAND_DROPPING;
    bed->scope.dropping++;
    expect(bed, "a", NULL, first);
    expect(bed, "b", NULL, NULL);
    struct island *second = make(bed, "b");
    expect(bed, "b", second, second);
    island_rename_land(&bed->islands, first->incarnation);
    expect(bed, "a", NULL, NULL);
    expect(bed, "b", second, first);
    island_pin(first);
    island_retire(&bed->islands, first);
    expect(bed, "b", second, second);
    island_unpin(&bed->islands, first);
}

static void test_goes_while_renamed(void **state) {
    struct bed *bed = *state;
    struct island *island = make(bed, "a");
    begin(bed, island, "b");
    island_drop(&bed->islands, island);
    expect(bed, "a", NULL, NULL);
    expect(bed, "b", NULL, NULL);
}

static void test_limits(void **state) {
    struct bed *bed = *state;
    struct island_rename *rename = NULL;
    struct island *island = make(bed, "a");
    ins_error error;
    begin(bed, island, "b");
    assert_int_equal(island_rename_make(&bed->islands, island, text("c"), &rename, &error),
                     INS_EXHAUSTED);
    for (uint32_t i = 1; i < ISLAND_RENAMES_MAX; i++) {
        begin(bed, make(bed, "x"), "y");
    }
    island = make(bed, "z");
    assert_int_equal(island_rename_make(&bed->islands, island, text("c"), &rename, &error),
                     INS_EXHAUSTED);
    assert_non_null(strstr(error.message, "256"));
    assert_null(rename);
    expect(bed, "z", island, island);
}

static void test_old_names(void **state) {
    struct bed *bed = *state;
    struct island_rename *rename = NULL;
    struct island *island = make(bed, "0");
    island_pin(island);
    for (uint32_t i = 0; i < ISLAND_OLD_NAMES_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%u", i + 1);
        begin(bed, island, name);
        island_rename_land(&bed->islands, island->incarnation);
    }
    assert_int_equal(island_rename_make(&bed->islands, island, text("c"), &rename, NULL),
                     INS_EXHAUSTED);
    island_unpin(&bed->islands, island);
    begin(bed, island, ""); /* a name may be empty */
    island_rename_land(&bed->islands, island->incarnation);
    expect(bed, "", island, island);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_states, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_while_renamed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
