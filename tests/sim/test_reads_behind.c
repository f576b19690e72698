/* A disk that stands still, and memory that others have. Goal: who waits for it is not forgotten; a
 * search of a tenant whose reads are more than a second behind is refused with when to come again,
 * and costs nothing; tenants that do not wait are not refused; when the disk goes on all are
 * answered. Method: the read lane is held. Two searches' reads fill the batches that may be under
 * way, a third one waits in line; time passes. Writes and a tenant whose rows are in memory go on.
 */
#include <string.h>

#include "sim_world.h"

enum { COLLECTIONS = 5, CALLS = 8 };
static const char *const names[COLLECTIONS] = {"a", "b", "c", "d", "memory"};

struct asked {
    ins_points_request request;
    ins_call call;
    float query[2];
    bool done;
};

static void ask(struct world *world, struct asked *asked, const char *name) {
    *asked = (struct asked){.query = {1, 2}};
    asked->request = (ins_points_request){
        .collection = world_text(name), .vector = asked->query, .dim = 2, .limit = 1};
    asked->call =
        (ins_call){.done = world_call_done, .user = &asked->done, .lane = INS_LANE_REQUEST};
    ins_points_query(world->db, &asked->request, &asked->call);
    while (sim_step(&world->lanes)) {
    }
}

static void write(struct world *world, const char *name) {
    float values[2] = {3, 4};
    ins_point point = {.id = {.low = 7}, .vector = values, .dim = 2};
    ins_points_request upsert = {
        .collection = world_text(name), .points = &point, .point_count = 1};
    world_run_ok(world, ins_points_upsert, &upsert);
}

static void expect(struct world *world, bool what, const char *text) {
    if (!what) {
        world_fail(world, text);
    }
}

static void expect_found(struct world *world, struct asked *asked) {
    expect(world, asked->done && asked->call.status == INS_OK && asked->call.points.count == 1,
           "a search that waited was not answered");
    ins_call_release(&asked->call);
}

/* Goal: a search that finds no memory since others have all of it is refused with when to come
 * again, as early or late as that shows; the next one is answered. Method: of the share for
 * requests all but a little is taken, more and more of it. */
static void check_full(struct world *world) {
    enum { BLOCKS = 4096, BYTES = 65536 };
    static void *blocks[BLOCKS];
    struct arena *arena = world->db->arena;
    uint32_t count = 0, refused = 0;
    struct asked asked;
    while (count < BLOCKS && arena_room(arena, INS_MEM_QUERY) > 2 * BYTES) {
        blocks[count] = arena_alloc(arena, INS_MEM_QUERY, BYTES);
        expect(world, blocks[count++] != NULL, "no memory to begin with");
    }
    expect(world, count < BLOCKS, "too large a share for this test");
    uint32_t large = count;
    for (; count < BLOCKS; count++) {
        ask(world, &asked, "memory");
        expect(world, asked.done, "a search waits");
        if (asked.call.status == INS_OK) {
            expect_found(world, &asked);
        } else {
            bool told = asked.call.status == INS_EXHAUSTED || asked.call.status == INS_UNAVAILABLE;
            expect(world, told && asked.call.error.retry_after_s == 1, asked.call.error.message);
            refused += asked.call.status == INS_EXHAUSTED;
            ins_call_release(&asked.call);
        }
        blocks[count] = arena_alloc(arena, INS_MEM_QUERY, 2048);
        if (blocks[count] == NULL) {
            break;
        }
    }
    expect(world, refused > 0, "nothing was refused");
    for (uint32_t i = 0; i < count; i++) {
        arena_free(arena, INS_MEM_QUERY, blocks[i], i < large ? BYTES : 2048);
    }
    ask(world, &asked, "memory");
    expect_found(world, &asked);
}

/* Goal: while reads bring bytes, pages are committed ahead of use, so that no search waits while
 * the kernel clears one. Method: what is ready is used up; then one cold search, which wants
 * little. */
static void check_ahead(struct world *world) {
    enum { BLOCKS = 256, BYTES = 1u << 20 };
    static void *blocks[BLOCKS];
    struct arena *arena = world->db->arena;
    struct asked asked;
    uint32_t count = 0;
    while (sim_step(&world->lanes)) { /* what the start has left to do */
    }
    while (count < BLOCKS && arena_commit_ahead(arena, 0) == 0) {
        blocks[count] = arena_alloc(arena, INS_MEM_CACHE, BYTES);
        expect(world, blocks[count++] != NULL, "no memory to begin with");
    }
    expect(world, arena_commit_ahead(arena, 0) > 0, "what is ready cannot be used up");
    ask(world, &asked, names[COLLECTIONS - 2]);
    expect_found(world, &asked);
    expect(world, arena_commit_ahead(arena, 0) == 0, "nothing was committed ahead of a cold read");
    for (uint32_t i = 0; i < count; i++) {
        arena_free(arena, INS_MEM_CACHE, blocks[i], BYTES);
    }
}

int main(void) {
    struct world world = {.seed = 3, .what = "the disk stands still"};
    world_init(&world);
    world_open(&world);
    for (int i = 0; i < COLLECTIONS; i++) {
        ins_collection_request create = {
            .collection = world_text(names[i]), .dim = 2, .distance = INS_DISTANCE_DOT};
        world_run_ok(&world, ins_collection_create, &create);
        if (i < COLLECTIONS - 1) {
            write(&world, names[i]);
        }
    }
    world_run_ok(&world, ins_flush, NULL);
    write(&world, "memory");
    world_end(&world, false);
    world_open(&world);

    check_ahead(&world);
    world_end(&world, false);
    world_open(&world);

    struct asked first[3], again, other, present;
    world.lanes.held = 1u << INS_LANE_READ;
    for (int i = 0; i < 3; i++) {
        ask(&world, &first[i], names[i]);
        expect(&world, !first[i].done, "nothing was cold");
    }
    ask(&world, &again, "c");
    expect(&world, !again.done, "refused at once");
    world.lanes.now_ns += 900000000;
    struct asked early;
    ask(&world, &early, "c");
    expect(&world, !early.done, "refused too early");
    world.lanes.now_ns += 200000000;
    struct asked late;
    uint64_t operations = world.db->operations;
    ask(&world, &late, "c");
    expect(&world,
           late.done && late.call.status == INS_EXHAUSTED && late.call.error.retry_after_s == 1,
           "not refused, though a second behind");
    expect(&world, strstr(late.call.error.message, "reads from disk are 1") != NULL,
           late.call.error.message);
    expect(&world, world.db->operations == operations, "a refused one stayed");
    ins_call_release(&late.call);
    ask(&world, &other, "d");
    expect(&world, !other.done, "another one was refused");
    ask(&world, &present, "memory");
    expect_found(&world, &present);
    write(&world, "memory");

    world.lanes.held = 0;
    while (sim_step(&world.lanes)) {
    }
    for (int i = 0; i < 3; i++) {
        expect_found(&world, &first[i]);
    }
    expect_found(&world, &again);
    expect_found(&world, &early);
    expect_found(&world, &other);
    ask(&world, &late, "c");
    expect_found(&world, &late);
    check_full(&world);
    world_fini(&world);
    return 0;
}
