/* Goal: whichever allocation fails while a tenant is copied, no point of the copy lacks a part of
 * what it was, a copy that was told to be done is done for good (its note is gone: what is written
 * to its target afterwards is not written over by the next start), lack of memory is never told as
 * damage, and nothing keeps memory.
 * Method: a copy between collections of different tenant fields, with payloads large enough to be
 * allocations of their own, once for each allocation that it makes. */
#include <stdio.h>
#include <string.h>

#include "engine/directory_view.h"
#include "mem/mem_private.h"
#include "sim_world.h"

enum { POINTS = 5, LONG_BYTES = 20000 };

static char payload[LONG_BYTES + 64];

static void rest(struct world *world) {
    for (uint32_t steps = 0; sim_step(&world->lanes); steps++) {
        if (steps > 1000000) {
            world_fail(world, "the lanes do not come to rest");
        }
    }
    directory_views_close(world->db); /* they stay open on purpose */
}

static void load(struct world *world) {
    static const char *const names[] = {"c", "d"}, *const fields[] = {"who", "owner"};
    for (int i = 0; i < 2; i++) {
        ins_collection_request create = {.collection = world_text(names[i]),
                                         .field = world_text(fields[i]),
                                         .schema = world_text("\"keyword\""),
                                         .is_tenant = true};
        world_run_ok(world, ins_collection_create, &create);
        world_run_ok(world, ins_index_create, &create);
    }
    int size = snprintf(payload, sizeof(payload), "{\"who\":\"a\",\"long\":\"");
    memset(payload + size, 'x', LONG_BYTES);
    memcpy(payload + size + LONG_BYTES, "\"}", 3);
    for (uint32_t id = 0; id < POINTS; id++) {
        ins_point point = {.id = {.low = id}, .payload = world_text(payload)};
        ins_points_request request = {
            .collection = world_text("c"), .points = &point, .point_count = 1};
        world_run_ok(world, ins_points_upsert, &request);
    }
}

/* Points of the copy, each of them whole. */
static uint64_t count_whole(struct world *world) {
    ins_call call;
    ins_points_request request = {
        .collection = world_text("d"), .limit = 100, .payload = {.kind = INS_SELECT_ALL}};
    if (world_run(world, ins_points_scroll, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    for (size_t i = 0; i < call.points.count; i++) {
        ins_text text = call.points.items[i].payload;
        if (text.size < LONG_BYTES || memmem(text.data, text.size, "\"owner\":\"b\"", 11) == NULL ||
            memmem(text.data, text.size, "\"who\":\"a\"", 9) == NULL) {
            world_fail(world, "a copied point has lost a part of its payload");
        }
    }
    uint64_t count = call.points.count;
    ins_call_release(&call);
    return count;
}

static bool is_noted(struct world *world) {
    ins_call call;
    ins_collection_request request = {.collection = world_text("d")};
    if (world_run(world, ins_collection_get, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    ins_text settings = call.info->settings;
    bool noted = settings.data != NULL && memmem(settings.data, settings.size, "from", 4) != NULL;
    ins_call_release(&call);
    return noted;
}

static void check(struct world *world, ins_status status, const ins_call *call) {
    if (status == INS_INVALID || status == INS_UNPROCESSABLE || status == INS_NOT_FOUND) {
        (void)fprintf(stderr, "%s\n", call->error.message);
        world_fail(world, "a lack of memory, told as the caller's mistake");
    }
    uint64_t there = count_whole(world);
    if (status == INS_OK && there != POINTS) {
        world_fail(world, "a copy was told to be done and is not");
    }
    bool stays = status != INS_OK && world->db->writes_stopped; /* the next start goes on */
    if (is_noted(world) && !stays) {
        (void)fprintf(stderr, "status %d: %s\n", (int)status,
                      status == INS_OK ? "" : call->error.message);
        world_fail(world, "a note is left: the next start would write over what comes now");
    }
}

/* True when the allocation was made, and failed. */
static bool copy_once(uint64_t countdown) {
    struct world world = {.seed = 5, .what = "a copy", .step = countdown};
    struct arena_usage before, after;
    ins_copy_request copy = {.collection = world_text("c"),
                             .name = world_text("a"),
                             .to_collection = world_text("d"),
                             .to = world_text("b")};
    ins_call call;
    world_init(&world);
    world.options.change_points = 2;
    world_open(&world);
    load(&world);
    world_run_ok(&world, ins_tenant_copy, &copy); /* what stays once there is there before */
    (void)count_whole(&world);
    ins_tenants_request target = {.collection = world_text("d"), .name = world_text("b")};
    world_run_ok(&world, ins_tenant_delete, &target);
    rest(&world);
    arena_get_usage(world.db->arena, &before);
    arena_fail_at(world.db->arena, countdown);
    ins_status status = world_run(&world, ins_tenant_copy, &copy, &call);
    bool failed = world.db->arena->fail_countdown == 0;
    arena_fail_at(world.db->arena, 0);
    if (status != INS_OK && !failed) {
        world_fail(&world, call.error.message);
    }
    check(&world, status, &call);
    ins_call_release(&call);
    rest(&world);
    arena_get_usage(world.db->arena, &after);
    if (after.purpose_used[INS_MEM_QUERY] != before.purpose_used[INS_MEM_QUERY] ||
        world.db->copies != 0) {
        (void)fprintf(stderr, "%llu bytes before, %llu after, %u copies, status %d: %s\n",
                      (unsigned long long)before.purpose_used[INS_MEM_QUERY],
                      (unsigned long long)after.purpose_used[INS_MEM_QUERY], world.db->copies,
                      (int)status, call.error.message);
        world_fail(&world, "a copy keeps memory");
    }
    world_fini(&world);
    return failed;
}

int main(void) {
    uint64_t countdown = 1;
    while (copy_once(countdown)) {
        countdown++;
    }
    (void)printf("a copy: %llu allocations\n", (unsigned long long)countdown - 1);
    return countdown < 100 ? 1 : 0;
}
