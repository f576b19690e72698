/* Copies of tenants. Goal: whatever ends the process, a copy that was acknowledged is whole in the
 * end, one that was not is whole or nowhere, the source stays, and no note is left. Method: a copy
 * to another collection in pieces of three points, killed or cut off the power after each step; a
 * start, and on until no copy is under way. */
#include <stdio.h>
#include <string.h>

#include "engine/copy.h"
#include "sim_world.h"

enum { POINTS = 10, STEPS_MAX = 4000, SEEDS = 6 };

struct life {
    struct world world;
    ins_call call;
    bool done;
};

static void load(struct world *world) {
    ins_point points[POINTS];
    ins_collection_request create = {
        .field = world_text("who"), .schema = world_text("\"keyword\""), .is_tenant = true};
    for (int i = 0; i < 2; i++) {
        create.collection = world_text(i == 0 ? "c" : "d");
        world_run_ok(world, ins_collection_create, &create);
        world_run_ok(world, ins_index_create, &create);
    }
    for (uint32_t i = 0; i < POINTS; i++) {
        points[i] = (ins_point){.id = {.low = i}, .payload = world_text("{\"who\":\"a\",\"v\":1}")};
    }
    ins_points_request request = {
        .collection = world_text("c"), .points = points, .point_count = 6};
    world_run_ok(world, ins_points_upsert, &request);
    if (world->seed % 2 == 0) {
        world_run_ok(world, ins_flush, NULL);
    }
    request.points = points + 6;
    request.point_count = POINTS - 6;
    world_run_ok(world, ins_points_upsert, &request);
}

static uint32_t count(struct world *world, const char *collection, char who) {
    ins_call call;
    uint32_t found = 0;
    ins_points_request request = {
        .collection = world_text(collection), .limit = 1000, .payload = {.kind = INS_SELECT_ALL}};
    if (world_run(world, ins_points_scroll, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    for (size_t i = 0; i < call.points.count; i++) {
        char text[64], wanted[16];
        (void)snprintf(text, sizeof(text), "%.*s", (int)call.points.items[i].payload.size,
                       call.points.items[i].payload.data);
        (void)snprintf(wanted, sizeof(wanted), "\"who\":\"%c\"", who);
        if (strstr(text, wanted) == NULL) {
            world_fail(world, "a point of another name");
        }
        found++;
    }
    ins_call_release(&call);
    return found;
}

static bool is_noted(struct world *world) {
    ins_call call;
    ins_collection_request request = {.collection = world_text("d")};
    if (world_run(world, ins_collection_get, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    char text[512];
    (void)snprintf(text, sizeof(text), "%.*s", (int)call.info->settings.size,
                   call.info->settings.data == NULL ? "" : call.info->settings.data);
    ins_call_release(&call);
    return strstr(text, "\"from\"") != NULL;
}

static void wait_copies(struct world *world) {
    /* A start's first task begins those that it found. */
    for (uint64_t steps = 0; world->db->housekeeping_posted || world->db->copies > 0; steps++) {
        if ((!sim_step(&world->lanes) && !sim_run_timer(&world->lanes)) || steps > 1000000) {
            world_fail(world, "the copy does not go on");
        }
    }
}

/* False: everything ended before that step. */
static bool live(struct life *life, uint64_t seed, uint64_t end, bool power_cut) {
    *life = (struct life){.world = {.seed = seed, .what = "copy", .step = end}};
    struct world *world = &life->world;
    world_init(world);
    world->options.change_points = 3;
    world_open(world);
    load(world);
    ins_copy_request copy = {.collection = world_text("c"),
                             .name = world_text("a"),
                             .to_collection = world_text("d"),
                             .to = world_text("b"),
                             .no_wait = true};
    life->call = (ins_call){.done = world_call_done, .user = &life->done, .lane = INS_LANE_REQUEST};
    ins_tenant_copy(world->db, &copy, &life->call);
    bool going = true;
    for (uint64_t step = 0; step < end && going; step++) {
        going = (sim_step(&world->lanes) || sim_run_timer(&world->lanes)) &&
                (!life->done || world->db->copies > 0);
    }
    bool told = life->done;
    if (told && life->call.status != INS_OK) {
        world_fail(world, life->call.error.message);
    }
    if (told) {
        ins_call_release(&life->call);
    }
    world_end(world, power_cut);
    for (int turn = 0; turn < 2; turn++) {
        world_open(world);
        bool noted = is_noted(world);
        wait_copies(world);
        uint32_t copied = count(world, "d", 'b');
        if (count(world, "c", 'a') != POINTS) {
            world_fail(world, "the source has lost points");
        }
        if (copied != 0 && copied != POINTS) {
            world_fail(world, "half a copy");
        }
        if ((told || noted) && copied == 0) {
            world_fail(world, "a copy is lost");
        }
        if (is_noted(world)) {
            world_fail(world, "a note is left");
        }
        if (turn == 0) {
            world_run_ok(world, ins_flush, NULL);
            world_end(world, power_cut);
        }
    }
    world_fini(world);
    return going;
}

/* Two copies to one target begin before either has written: one of them is refused. */
static void two_at_once(void) {
    struct world world = {.seed = 7, .what = "two copies"};
    ins_point point = {.id = {.low = 100}, .payload = world_text("{\"who\":\"z\",\"v\":1}")};
    ins_points_request put = {.collection = world_text("c"), .points = &point, .point_count = 1};
    ins_call calls[2];
    bool done[2] = {false, false};
    world_init(&world);
    world.options.change_points = 3;
    world_open(&world);
    load(&world);
    world_run_ok(&world, ins_points_upsert, &put);
    ins_copy_request copies[2];
    for (int i = 0; i < 2; i++) {
        copies[i] = (ins_copy_request){.collection = world_text("c"),
                                       .name = world_text(i == 0 ? "a" : "z"),
                                       .to_collection = world_text("d"),
                                       .to = world_text("b")};
        calls[i] = (ins_call){.done = world_call_done, .user = &done[i], .lane = INS_LANE_REQUEST};
        ins_tenant_copy(world.db, &copies[i], &calls[i]);
    }
    for (uint64_t steps = 0; !done[0] || !done[1]; steps++) {
        if ((!sim_step(&world.lanes) && !sim_run_timer(&world.lanes)) || steps > 1000000) {
            world_fail(&world, "the copies do not end");
        }
    }
    int first = calls[0].status == INS_OK ? 0 : 1;
    if (calls[first].status != INS_OK || calls[1 - first].status != INS_EXISTS) {
        world_fail(&world, "not one of two copies to the same target is refused");
    }
    if (count(&world, "d", 'b') != (first == 0 ? POINTS : 1) || is_noted(&world)) {
        world_fail(&world, "copies are mixed, or a note is left");
    }
    for (int i = 0; i < 2; i++) {
        ins_call_release(&calls[i]);
    }
    world_fini(&world);
}

enum { MORE = 400, MORE_AT_ONCE = 20 };

static void set_quota(struct world *world, uint64_t stored_bytes) {
    ins_tenants_request request = {.collection = world_text("d"), .name = world_text("b")};
    request.quota.stored_bytes = stored_bytes;
    world_run_ok(world, ins_tenant_quota_set, &request);
}

static void step(struct world *world) {
    if (!sim_step(&world->lanes) && !sim_run_timer(&world->lanes)) {
        world_fail(world, "the copy stands still");
    }
}

/* Goal: a copy that passes its target's stored_bytes in the middle waits for room, and ends with
 * the reason when there is none for long. Method: a flush, which makes bytes count, while it goes
 * on; a quota that is raised after a minute, or not. */
static void over_quota(bool raised) {
    struct world world = {.seed = 9, .what = raised ? "raised quota" : "quota"};
    static ins_point points[MORE];
    for (uint32_t i = 0; i < MORE; i++) {
        points[i] =
            (ins_point){.id = {.low = 100 + i}, .payload = world_text("{\"who\":\"a\",\"v\":1}")};
    }
    ins_points_request put = {
        .collection = world_text("c"), .points = points, .point_count = MORE_AT_ONCE};
    world_init(&world);
    world.options.change_points = 3;
    world_open(&world);
    load(&world);
    for (; put.points < points + MORE; put.points += MORE_AT_ONCE) {
        world_run_ok(&world, ins_points_upsert, &put);
    }
    set_quota(&world, 1);
    ins_copy_request copy = {.collection = world_text("c"),
                             .name = world_text("a"),
                             .to_collection = world_text("d"),
                             .to = world_text("b")};
    bool done = false;
    ins_call call = {.done = world_call_done, .user = &done, .lane = INS_LANE_REQUEST};
    ins_tenant_copy(world.db, &copy, &call);
    while (count(&world, "d", 'b') == 0) {
        step(&world);
    }
    world_run_ok(&world, ins_flush, NULL);
    uint64_t from_ns = world.lanes.now_ns;
    while (!done && world.lanes.now_ns - from_ns < 60000000000ull) {
        step(&world);
    }
    if (done || !is_noted(&world)) {
        world_fail(&world, "it did not wait");
    }
    if (raised) {
        set_quota(&world, 1u << 30);
    }
    while (!done && world.lanes.now_ns - from_ns < 300000000000ull) {
        step(&world);
    }
    bool said = strstr(call.error.message, "stored_bytes is 1") != NULL;
    if (!done || call.status != (raised ? INS_OK : INS_EXHAUSTED) || (!raised && !said)) {
        world_fail(&world, done ? call.error.message : "it waits without an end");
    }
    uint32_t copied = count(&world, "d", 'b');
    if (is_noted(&world) || (raised ? copied != POINTS + MORE : copied >= POINTS + MORE)) {
        world_fail(&world, "a note, or what should not be there");
    }
    ins_call_release(&call);
    world_fini(&world);
}

int main(void) {
    two_at_once();
    over_quota(true);
    over_quota(false);
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
