/* Tenants that expire. Goal: none goes before its time to live has passed since its last write, as
 * time passed while the server ran, whatever ended the server meanwhile and however its clock
 * jumped; each goes some time after, with a receipt; what is written while a tenant is about to go
 * stays. Method: random lives in virtual time against a model of last writes; then writes at each
 * step of a deletion, many orders of tasks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_world.h"

enum { TENANTS = 6, OPERATIONS = 120, SEEDS = 40, RACES = 300, NEVER = 0 };

#define SECOND 1000000000ull
#define YEAR (365 * 86400 * SECOND)
#define TICK_MAX (EXPIRY_TICK_S_MAX * SECOND)

struct life {
    struct world world;
    struct sim_random random;
    uint64_t seen_ns;          /* at least what the server can have seen */
    uint64_t looked_ns;        /* the clock, when that was counted */
    uint64_t written[TENANTS]; /* seen_ns after the last write; */
    bool there[TENANTS];       /* it has points, as far as the model knows */
    uint32_t expired, early_checks;
};

/* Tenants 0 and 1 have their own, 2 has a quota without one, the others the collection's. */
static const uint64_t ttl_s[TENANTS] = {100, 4000, NEVER, 900, 900, 900};

static const char *name_of(uint32_t tenant) {
    static const char *const names[TENANTS] = {"own", "longer", "never", "", "d\u00e9faut", "x\"y"};
    return names[tenant];
}

static const char *payload_of(uint32_t tenant) {
    static const char *const payloads[TENANTS] = {
        "{\"who\":\"own\"}", "{\"who\":\"longer\"}",      "{\"who\":\"never\"}",
        "{\"who\":\"\"}",    "{\"who\":\"d\u00e9faut\"}", "{\"who\":\"x\\\"y\"}"};
    return payloads[tenant];
}

static void count_time(struct life *life) {
    life->seen_ns += life->world.lanes.now_ns - life->looked_ns;
    life->looked_ns = life->world.lanes.now_ns;
}

static void set_ttl(struct life *life, const char *tenant, uint64_t seconds) {
    ins_tenants_request request = {.collection = world_text("c"), .quota.ttl_s = seconds};
    if (tenant != NULL) {
        request.name = world_text(tenant);
    }
    request.quota.stored_bytes = 1u << 30;
    world_run_ok(&life->world, ins_tenant_quota_set, &request);
    count_time(life);
}

static void write_point(struct life *life, uint32_t tenant, uint64_t id) {
    ins_point point = {.id = {.low = id}, .payload = world_text(payload_of(tenant))};
    ins_points_request request = {
        .collection = world_text("c"), .points = &point, .point_count = 1};
    world_run_ok(&life->world, ins_points_upsert, &request);
    count_time(life);
    life->written[tenant] = life->seen_ns;
    life->there[tenant] = true;
}

static bool exists(struct life *life, uint32_t tenant, uint64_t *out_left) {
    ins_tenants_request request = {.collection = world_text("c"),
                                   .name = world_text(name_of(tenant))};
    ins_call call;
    ins_status status = world_run(&life->world, ins_tenant_get, &request, &call);
    if (status != INS_OK && status != INS_NOT_FOUND) {
        world_fail(&life->world, call.error.message);
    }
    *out_left = 0;
    if (status == INS_OK) {
        if (call.tenants[0].expires != (ttl_s[tenant] != NEVER)) {
            world_fail(&life->world, "what expires is told wrongly");
        }
        *out_left = call.tenants[0].expires_in_s;
    }
    ins_call_release(&call);
    count_time(life);
    return status == INS_OK;
}

static void check(struct life *life) {
    for (uint32_t i = 0; i < TENANTS; i++) {
        uint64_t left;
        bool there = exists(life, i, &left);
        uint64_t idle = life->seen_ns - life->written[i];
        if (there && (!life->there[i] || left > ttl_s[i])) {
            world_fail(&life->world, "a tenant is there again, or has more time than it got");
        }
        if (there || !life->there[i]) {
            continue;
        }
        if (ttl_s[i] == NEVER || idle < ttl_s[i] * SECOND) {
            world_fail(&life->world, "a tenant went too early");
        }
        life->there[i] = false;
        life->expired++;
    }
}

static void advance(struct life *life, uint64_t ns) {
    struct sim_runtime *lanes = &life->world.lanes;
    uint64_t end = lanes->now_ns + ns;
    while (lanes->now_ns < end) {
        if (!sim_step(lanes) && !sim_run_timer(lanes)) {
            world_fail(&life->world, "nothing ticks");
        }
    }
    count_time(life);
}

static void restart(struct life *life, bool power_cut) {
    world_end(&life->world, power_cut);
    life->world.lanes.now_ns += sim_below(&life->random, 2) * YEAR; /* it was down */
    life->looked_ns = life->world.lanes.now_ns;
    world_open(&life->world);
}

static void jump(struct life *life) {
    struct sim_runtime *lanes = &life->world.lanes;
    count_time(life);
    if (sim_once_in(&life->random, 2)) {
        lanes->now_ns += 3 * YEAR;
        life->seen_ns += 2 * TICK_MAX; /* as much may count */
    } else {
        lanes->now_ns /= 2;
    }
    life->looked_ns = lanes->now_ns;
}

static void begin(struct life *life, uint64_t seed) {
    *life = (struct life){.world = {.seed = seed, .what = "expiry"}, .random = {seed * 77 + 1}};
    struct world *world = &life->world;
    world_init(world);
    world_open(world);
    ins_collection_request create = {.collection = world_text("c"),
                                     .field = world_text("who"),
                                     .schema = world_text("\"keyword\""),
                                     .is_tenant = true};
    world_run_ok(world, ins_collection_create, &create);
    world_run_ok(world, ins_index_create, &create);
    life->looked_ns = world->lanes.now_ns;
}

static void one_operation(struct life *life, uint64_t id) {
    switch (sim_below(&life->random, 8)) {
    case 0:
        restart(life, sim_once_in(&life->random, 2));
        break;
    case 1:
        world_run_ok(&life->world, ins_flush, NULL);
        break;
    case 2:
        if (sim_once_in(&life->random, 3)) {
            jump(life);
        }
        break;
    case 3:
    case 4:
        advance(life, (1 + sim_below(&life->random, 700)) * SECOND);
        break;
    default:
        write_point(life, sim_below(&life->random, TENANTS), id);
        break;
    }
    check(life);
}

static uint32_t live(uint64_t seed) {
    struct life life;
    begin(&life, seed);
    for (uint32_t i = 0; i < TENANTS; i++) {
        write_point(&life, i, i);
    }
    set_ttl(&life, NULL, 900);
    set_ttl(&life, "own", 100);
    set_ttl(&life, "longer", 4000);
    set_ttl(&life, "never", 0);
    for (uint64_t i = 0; i < OPERATIONS; i++) {
        one_operation(&life, 100 + i);
    }
    advance(&life, 2 * 4000 * SECOND);
    check(&life);
    for (uint32_t i = 0; i < TENANTS; i++) {
        if (life.there[i] && ttl_s[i] != NEVER) {
            world_fail(&life.world, "a tenant stays when its time is over");
        }
    }
    uint32_t expired = life.expired;
    world_fini(&life.world);
    return expired;
}

/* A write while the deletion is on its way: it is told only of points that stay. */
static bool race(uint64_t seed) {
    struct life life;
    uint64_t left;
    bool told = false;
    begin(&life, seed);
    set_ttl(&life, "own", 100);
    write_point(&life, 0, 1);
    if (seed % 2 == 0) {
        world_run_ok(&life.world, ins_flush, NULL);
    }
    ins_point point = {.id = {.low = 2}, .payload = world_text(payload_of(0))};
    ins_points_request request = {
        .collection = world_text("c"), .points = &point, .point_count = 1};
    ins_call call = {.done = world_call_done, .user = &told, .lane = INS_LANE_REQUEST};
    while (!life.world.db->expiry.sweeping || !exists(&life, 0, &left) || left > 0) {
        if (!sim_step(&life.world.lanes) && !sim_run_timer(&life.world.lanes)) {
            world_fail(&life.world, "nothing ticks");
        }
        if (life.world.db->expiry.expired > 0) {
            break;
        }
    }
    for (uint64_t i = 0; i < sim_below(&life.random, 30); i++) {
        (void)sim_step(&life.world.lanes);
    }
    ins_points_upsert(life.world.db, &request, &call);
    while (!told) {
        if (!sim_step(&life.world.lanes) && !sim_run_timer(&life.world.lanes)) {
            world_fail(&life.world, "a write waits for ever");
        }
    }
    bool refused = call.status != INS_OK;
    ins_call_release(&call);
    if (refused) {
        world_fail(&life.world, "a write was refused");
    }
    advance(&life, 50 * SECOND);
    if (!exists(&life, 0, &left)) {
        world_fail(&life.world, "what was written went with what expired");
    }
    bool expired = life.world.db->expiry.expired > 0;
    world_fini(&life.world);
    return expired;
}

static void check_ticks(struct life *life, bool ticks) {
    if (life->world.db->expiry.timer.armed != ticks) {
        world_fail(&life->world, ticks ? "nothing ticks" : "it ticks, and nothing can expire");
    }
}

/* The clock, which writes a record at each tick, rests when nothing is left that can expire. */
static void rest(uint64_t seed) {
    struct life life;
    begin(&life, seed);
    check_ticks(&life, false);
    set_ttl(&life, "own", 100);
    check_ticks(&life, true);
    if (seed % 2 == 0) {
        restart(&life, false);
        while (sim_step(&life.world.lanes)) { /* its first task begins it */
        }
        check_ticks(&life, true);
    }
    if (seed % 3 == 0) {
        set_ttl(&life, "own", 0);
    } else {
        ins_collection_request request = {.collection = world_text("c")};
        world_run_ok(&life.world, ins_collection_delete, &request);
    }
    check_ticks(&life, false);
    world_fini(&life.world);
}

int main(void) {
    uint32_t expired = 0, deleted = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        expired += live(seed);
    }
    for (uint64_t seed = 1; seed <= RACES; seed++) {
        deleted += race(seed);
    }
    for (uint64_t seed = 1; seed <= 6; seed++) {
        rest(seed);
    }
    (void)printf("%u tenants expired; of %u races the deletion won %u\n", expired, RACES, deleted);
    return expired > SEEDS && deleted > 0 && deleted < RACES ? 0 : 1;
}
