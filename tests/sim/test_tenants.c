/* A page of tenants is that of a collection which is there. Goal: one whose collection is deleted
 * while it looks at the islands answers that there is none, never with what was left of them.
 * Method: more islands than a step looks at, a list and a delete under way together, many orders of
 * their tasks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_world.h"

enum { TENANTS = 5000, BATCH = 1000, SEEDS = 40, LIMIT = 3 };

/* In descending order of names by the order of their making. */
static void load(struct world *world) {
    static ins_point points[BATCH];
    static char payloads[BATCH][32];
    ins_collection_request create = {.collection = world_text("c")};
    world_run_ok(world, ins_collection_create, &create);
    create.field = world_text("who");
    create.schema = world_text("\"keyword\"");
    create.is_tenant = true;
    world_run_ok(world, ins_index_create, &create);
    for (uint32_t begin = 0; begin < TENANTS; begin += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t name = world->seed % 2 == 0 ? begin + i : TENANTS - 1 - begin - i;
            (void)snprintf(payloads[i], sizeof(payloads[i]), "{\"who\":\"t%05u\"}", name);
            points[i] = (ins_point){.id = {.low = begin + i}, .payload = world_text(payloads[i])};
        }
        ins_points_request request = {
            .collection = world_text("c"), .points = points, .point_count = BATCH};
        world_run_ok(world, ins_points_upsert, &request);
    }
}

static void check_page(const struct world *world, const ins_call *call) {
    for (size_t i = 0; i < LIMIT; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%05zu", i);
        bool right = i < call->tenant_count && call->tenants[i].name.size == strlen(name) &&
                     memcmp(call->tenants[i].name.data, name, strlen(name)) == 0;
        if (!right) {
            world_fail(world, "a page of tenants lacks some");
        }
    }
}

/* True when the collection went first. */
static bool live(uint64_t seed) {
    struct world world = {.seed = seed, .what = "tenants"};
    bool listed = false, deleted = false;
    world_init(&world);
    world.options.generation_bytes = 16u << 20;
    world_open(&world);
    load(&world);
    ins_tenants_request tenants = {.collection = world_text("c"), .limit = LIMIT};
    ins_collection_request gone = {.collection = world_text("c")};
    ins_call list = {.done = world_call_done, .user = &listed, .lane = INS_LANE_REQUEST};
    ins_call drop = {.done = world_call_done, .user = &deleted, .lane = INS_LANE_REQUEST};
    ins_collection_delete(world.db, &gone, &drop);
    while (world.step < 2 + seed % 4 && sim_step(&world.lanes)) { /* until it is nearly durable */
        world.step++;
    }
    ins_tenants_list(world.db, &tenants, &list);
    bool begun = !listed; /* else it was gone by then */
    while (!listed && (sim_step(&world.lanes) || sim_run_timer(&world.lanes))) {
        world.step++;
    }
    if (list.status == INS_OK) {
        check_page(&world, &list);
    } else if (list.status != INS_NOT_FOUND) {
        world_fail(&world, list.error.message);
    }
    bool lost = begun && list.status == INS_NOT_FOUND;
    ins_call_release(&list);
    world_fini(&world);
    return lost;
}

int main(void) {
    uint32_t lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        lost += live(seed);
    }
    (void)printf("%u lives, the collection went first in %u\n", SEEDS, lost);
    return lost == 0 ? 1 : 0; /* else nothing was tested */
}
