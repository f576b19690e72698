/* Renaming a tenant. Goal: whatever ends the process, its points have one name, all of them, and
 * the new one when that was told; writes that are under way with it build on one name only; nothing
 * is lost. Method: a rename among writes to the tenant's points, killed or cut off the power after
 * each step, then a look at everything; then the same until it ends, many orders of tasks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_world.h"

enum { POINTS = 9, LATE_ID = 100, STEPS_MAX = 4000, CALLS = 6, SEEDS = 6 };

struct life {
    struct world world;
    ins_call calls[CALLS];
    bool done[CALLS];
    uint32_t count;
    uint32_t named[2]; /* points with either name, without the late one */
    uint32_t marked;   /* with the payload that a write set */
    char late;         /* name of the late point, or 0 */
};

static void start(struct life *life, ins_start call, const void *request) {
    uint32_t at = life->count++;
    life->calls[at] =
        (ins_call){.done = world_call_done, .user = &life->done[at], .lane = INS_LANE_REQUEST};
    call(life->world.db, request, &life->calls[at]);
}

static void upsert(struct world *world, uint32_t begin, uint32_t end) {
    ins_point points[POINTS];
    for (uint32_t i = begin; i < end; i++) {
        points[i - begin] =
            (ins_point){.id = {.low = i}, .payload = world_text("{\"who\":\"a\",\"v\":1}")};
    }
    ins_points_request request = {
        .collection = world_text("c"), .points = points, .point_count = end - begin};
    world_run_ok(world, ins_points_upsert, &request);
}

static void load(struct world *world) {
    ins_collection_request create = {.collection = world_text("c"),
                                     .field = world_text("who"),
                                     .schema = world_text("\"keyword\""),
                                     .is_tenant = true};
    world_run_ok(world, ins_collection_create, &create);
    world_run_ok(world, ins_index_create, &create);
    upsert(world, 0, 6);
    if (world->seed % 2 == 0) {
        world_run_ok(world, ins_flush, NULL);
    }
    upsert(world, 6, POINTS);
}

static void look(struct life *life, const char *after) {
    struct world *world = &life->world;
    ins_call call;
    ins_points_request request = {
        .collection = world_text("c"), .limit = 1000, .payload = {.kind = INS_SELECT_ALL}};
    world->what = after;
    if (world_run(world, ins_points_scroll, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    life->named[0] = life->named[1] = life->marked = 0;
    life->late = 0;
    for (size_t i = 0; i < call.points.count; i++) {
        const ins_point *point = &call.points.items[i];
        char text[64];
        (void)snprintf(text, sizeof(text), "%.*s", (int)point->payload.size, point->payload.data);
        const char *who = strstr(text, "\"who\":\"");
        if (who == NULL || (who[7] != 'a' && who[7] != 'b')) {
            world_fail(world, "a point without a name");
        }
        life->marked += strstr(text, "\"m\":1") != NULL;
        if (point->id.low == LATE_ID) {
            life->late = who[7];
        } else {
            life->named[who[7] == 'b']++;
        }
    }
    ins_call_release(&call);
    if (life->named[0] + life->named[1] != POINTS || (life->named[0] != 0 && life->named[1] != 0)) {
        world_fail(world, "points are lost, or have two names");
    }
}

/* What everyone tells about the tenant must agree with the points. */
static void look_tenants(struct life *life) {
    struct world *world = &life->world;
    ins_tenants_request request = {.collection = world_text("c"), .limit = 10};
    ins_call call;
    if (world_run(world, ins_tenants_list, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    size_t expected = life->late == 'a' && life->named[1] > 0 ? 2 : 1;
    const char *last = life->named[1] > 0 ? "b" : "a";
    if (call.tenant_count != expected ||
        call.tenants[call.tenant_count - 1].name.data[0] != last[0]) {
        world_fail(world, "the list of tenants is not what the points say");
    }
    ins_call_release(&call);
}

/* False: everything ended before that step. */
static bool live(struct life *life, uint64_t seed, uint64_t end, bool power_cut) {
    *life = (struct life){.world = {.seed = seed, .what = "rename", .step = end}};
    struct world *world = &life->world;
    world_init(world);
    world_open(world);
    load(world);
    ins_tenants_request rename = {
        .collection = world_text("c"), .name = world_text("a"), .to = world_text("b")};
    ins_id ids[POINTS];
    for (uint32_t i = 0; i < POINTS; i++) {
        ids[i] = (ins_id){.low = i};
    }
    ins_points_request mark = {.collection = world_text("c"),
                               .ids = ids,
                               .id_count = POINTS,
                               .change = world_text("{\"m\":1}")};
    ins_point late = {.id = {.low = LATE_ID}, .payload = world_text("{\"who\":\"a\",\"v\":2}")};
    ins_points_request upsert_late = {
        .collection = world_text("c"), .points = &late, .point_count = 1};
    start(life, ins_points_set_payload, &mark);
    start(life, ins_tenant_rename, &rename);
    start(life, ins_points_set_payload, &mark);
    start(life, ins_points_upsert, &upsert_late);
    start(life, ins_tenant_rename, &rename);
    uint64_t step = 0;
    bool going = true;
    while (step < end && going) {
        going = sim_step(&world->lanes) || sim_run_timer(&world->lanes);
        bool all = true;
        for (uint32_t i = 0; i < life->count; i++) {
            all = all && life->done[i];
        }
        going = going && !all;
        step++;
    }
    bool renamed = life->done[1] && life->calls[1].status == INS_OK;
    bool told_late = life->done[3] && life->calls[3].status == INS_OK;
    if (life->done[1] && !renamed) {
        world_fail(world, life->calls[1].error.message);
    }
    if (!going) {
        look(life, "at its end");
        look_tenants(life);
        if (life->named[1] != POINTS || life->marked != POINTS || life->late == 0) {
            world_fail(world, "not what the writes make of it");
        }
    }
    for (uint32_t i = 0; i < life->count; i++) {
        if (life->done[i]) {
            ins_call_release(&life->calls[i]);
        }
    }
    world_end(world, power_cut);
    for (int turn = 0; turn < 2; turn++) {
        world_open(world);
        look(life, power_cut ? "after a power cut" : "after a kill");
        look_tenants(life);
        if ((renamed && life->named[1] == 0) || (told_late && life->late == 0)) {
            world_fail(world, "what was told is lost");
        }
        if (turn == 0) { /* from the segments the same as from the log */
            world_run_ok(world, ins_flush, NULL);
            world_end(world, power_cut);
        }
    }
    world_fini(world);
    return going;
}

int main(void) {
    static struct life life;
    uint64_t lives = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t end = 1;
        while (live(&life, seed, end, seed % 3 == 0)) {
            lives++;
            end++;
            if (end == STEPS_MAX) {
                world_fail(&life.world, "it does not end");
            }
        }
        lives++;
    }
    (void)printf("%llu lives\n", (unsigned long long)lives);
    return 0;
}
