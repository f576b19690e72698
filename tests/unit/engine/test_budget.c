/* Goal: a budget that is lowered makes the process smaller: the kernel counts at most the new
 * budget and 5 % of it, in seconds, while reads go on and none fails; raised again it takes more
 * again. Method: a directory with more data than the small budget; /proc/self/statm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "insula.h"

enum { DIM = 1024, POINTS = 75000, BATCH = 100, TRIES_MAX = 20000 };
#define LARGE (768 * INS_MIB)
#define SMALL INS_MEMORY_BUDGET_MIN

struct world {
    char path[64];
    ins_store *store;
    ins_runtime *runtime;
    ins_db *db;
};

static ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

static uint64_t resident(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    unsigned long long total = 0, pages = 0;
    assert_int_equal(fscanf(file, "%llu %llu", &total, &pages), 2);
    assert_int_equal(fclose(file), 0);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void pause_ms(long ms) {
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void run(struct world *world, ins_start start, const void *request, ins_call *call) {
    for (uint32_t i = 0; i < TRIES_MAX; i++) { /* a write that is refused for now is tried again */
        *call = (ins_call){0};
        if (ins_wait(world->db, start, request, call) != INS_EXHAUSTED) {
            break;
        }
        ins_call_release(call);
        pause_ms(5);
    }
    if (call->status != INS_OK) {
        print_message("%s\n", call->error.message);
    }
    assert_int_equal(call->status, INS_OK);
}

static void do_ok(struct world *world, ins_start start, const void *request) {
    ins_call call;
    run(world, start, request, &call);
    ins_call_release(&call);
}

static void world_open(struct world *world) {
    ins_error error = {0};
    const char *folder = getenv("TMPDIR");
    (void)snprintf(world->path, sizeof(world->path), "%.40s/insula-budget-XXXXXX",
                   folder != NULL ? folder : "/tmp");
    assert_non_null(mkdtemp(world->path));
    assert_int_equal(ins_store_open_directory(world->path, false, &world->store, &error), INS_OK);
    assert_int_equal(ins_runtime_open_threads(world->store, &world->runtime, &error), INS_OK);
    ins_options options = {.memory_budget = LARGE, .memory_budget_max = LARGE};
    assert_int_equal(ins_db_open(&options, world->runtime, &world->db, &error), INS_OK);
}

static void world_close(struct world *world) {
    ins_runtime_close_threads(world->runtime);
    ins_db_close(world->db);
    ins_store_close(world->store);
    DIR *folder = opendir(world->path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    assert_int_equal(closedir(folder), 0);
    (void)rmdir(world->path);
}

static void write_all(struct world *world) {
    static float vectors[BATCH][DIM];
    static ins_point points[BATCH];
    ins_collection_request create = {
        .collection = text("c"), .dim = DIM, .distance = INS_DISTANCE_DOT};
    do_ok(world, ins_collection_create, &create);
    for (uint64_t first = 0; first < POINTS; first += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            for (uint32_t d = 0; d < DIM; d++) {
                vectors[i][d] = (float)((first + i) * 7 + d % 31);
            }
            points[i] = (ins_point){.id = {.low = first + i}, .vector = vectors[i], .dim = DIM};
        }
        ins_points_request request = {
            .collection = text("c"), .points = points, .point_count = BATCH};
        do_ok(world, ins_points_upsert, &request);
    }
    do_ok(world, ins_flush, NULL);
}

/* Reads so many points here and there, each right. */
static void read_some(struct world *world, uint64_t count, uint64_t stride) {
    for (uint64_t i = 0; i < count; i++) {
        ins_id id = {.low = i * stride % POINTS};
        ins_points_request request = {
            .collection = text("c"), .ids = &id, .id_count = 1, .with_vector = true};
        ins_call call;
        run(world, ins_points_get, &request, &call);
        assert_int_equal(call.points.count, 1);
        assert_true(call.points.items[0].vector[3] == (float)(id.low * 7 + 3));
        ins_call_release(&call);
    }
}

static void set(struct world *world, uint64_t bytes, ins_stats *out_stats) {
    ins_budget_request request = {.bytes = bytes, .out_stats = out_stats};
    do_ok(world, ins_budget_set, &request);
    assert_int_equal(out_stats->memory_budget, bytes);
}

static void test_smaller(void **state) {
    (void)state;
    struct world world;
    ins_stats stats;
    ins_stats_request read_stats = {.out_stats = &stats};
    world_open(&world);
    write_all(&world);
    read_some(&world, POINTS, 1);
    uint64_t before = resident();
    do_ok(&world, ins_stats_read, &read_stats);
    print_message("resident %llu MiB, cache %llu MiB of %llu MiB\n",
                  (unsigned long long)(before / INS_MIB),
                  (unsigned long long)(stats.mem_used[INS_MEM_CACHE] / INS_MIB),
                  (unsigned long long)(stats.mem_limit[INS_MEM_CACHE] / INS_MIB));
    assert_true(before > SMALL + SMALL / 20 + 20 * INS_MIB);
    assert_true(before <= LARGE + LARGE / 20);
    set(&world, SMALL, &stats);
    uint32_t turns = 0;
    do {
        read_some(&world, 50, 997);
        do_ok(&world, ins_stats_read, &read_stats);
        assert_true(++turns < 2000);
    } while (stats.memory_settling);
    assert_int_equal(stats.memory_above, 0);
    uint64_t after = resident();
    print_message("resident %llu MiB, then %llu MiB after %u turns\n",
                  (unsigned long long)(before / INS_MIB), (unsigned long long)(after / INS_MIB),
                  turns);
    if (strcmp(stats.arena_pages, "reserved 2 MiB") != 0) {
        assert_true(after <= SMALL + SMALL / 20);
    }
    read_some(&world, 3000, 7919); /* from disk where it has to be: it stays small */
    assert_true(resident() <= SMALL + SMALL / 20);
    set(&world, LARGE, &stats);
    read_some(&world, POINTS, 1);
    do_ok(&world, ins_stats_read, &read_stats);
    assert_true(stats.mem_used[INS_MEM_CACHE] > 150 * INS_MIB);
    world_close(&world);
}

int main(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0; /* what a sanitizer keeps beside it is not ours to bound */
#endif
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_smaller)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
