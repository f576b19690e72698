/* Bursts of single writes. Goal: writes that are started one after the other on the request lane
 * take effect in that order, whether they stand in a burst, look at old points or take several
 * points; and single upserts do stand in one. Method: bursts of random operations on few ids among
 * few tenants, all started before the lane runs; then each point is compared with a model that
 * applied them in order. Everything
 * lies in the memtable: writes that wait for bytes or for room may be overtaken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_random.h"
#include "sim_world.h"

#define IDS 12u
#define TENANTS 5u
#define BURST 40u /* and TURNS: together they fit a memtable */
#define TURNS 2u

struct model_point { /* value 0: not there */
    uint32_t tenant, value;
};

enum kind { UPSERT, UPSERT_PAIR, DELETE, SET_PAYLOAD, KINDS };

struct started {
    enum kind kind;
    ins_points_request request;
    ins_point points[2];
    ins_id id;
    float vector[1];
    char payload[64];
    ins_call call;
    bool done;
    ins_status expected;
};

struct life {
    struct world world;
    struct sim_random random;
    struct model_point points[IDS];
    struct started started[BURST];
    uint32_t next_value;
    uint64_t stood; /* operations that were seen to stand in a burst */
};

/* Fills the request of a random operation, and applies it to the model. */
static void make(struct life *life, struct started *one) {
    static const enum kind kinds[] = {UPSERT,      UPSERT, UPSERT,     UPSERT,
                                      UPSERT_PAIR, DELETE, SET_PAYLOAD};
    struct sim_random *random = &life->random;
    memset(one, 0, sizeof(*one));
    one->kind = kinds[sim_below(random, 7)];
    uint32_t id = sim_below(random, IDS), value = ++life->next_value;
    uint32_t tenant = sim_below(random, TENANTS);
    one->id = (ins_id){.low = id};
    one->vector[0] = 1;
    one->request = (ins_points_request){.collection = world_text("c")};
    if (one->kind == DELETE) {
        one->request.ids = &one->id;
        one->request.id_count = 1;
        life->points[id].value = 0;
        return;
    }
    if (one->kind == SET_PAYLOAD) {
        (void)snprintf(one->payload, sizeof(one->payload), "{\"v\":%u}", value);
        one->request.ids = &one->id;
        one->request.id_count = 1;
        one->request.change = world_text(one->payload);
        one->expected = life->points[id].value == 0 ? INS_NOT_FOUND : INS_OK;
        life->points[id].value = life->points[id].value == 0 ? 0 : value;
        return;
    }
    (void)snprintf(one->payload, sizeof(one->payload), "{\"tenant\":\"t%u\",\"v\":%u}", tenant,
                   value);
    one->request.points = one->points;
    one->request.point_count = one->kind == UPSERT ? 1 : 2;
    for (uint32_t i = 0; i < one->request.point_count; i++) {
        uint32_t which = (id + i) % IDS;
        one->points[i] = (ins_point){.id = {.low = which},
                                     .vector = one->vector,
                                     .dim = 1,
                                     .payload = world_text(one->payload)};
        life->points[which] = (struct model_point){tenant, value};
    }
}

static void run_burst(struct life *life) {
    static const ins_start starts[KINDS] = {[UPSERT] = ins_points_upsert,
                                            [UPSERT_PAIR] = ins_points_upsert,
                                            [DELETE] = ins_points_delete,
                                            [SET_PAYLOAD] = ins_points_set_payload};
    struct world *world = &life->world;
    uint32_t count = 1 + sim_below(&life->random, BURST);
    for (uint32_t i = 0; i < count; i++) {
        struct started *one = &life->started[i];
        make(life, one);
        one->call =
            (ins_call){.done = world_call_done, .user = &one->done, .lane = INS_LANE_REQUEST};
        starts[one->kind](world->db, &one->request, &one->call);
        life->stood += one->kind == UPSERT && world->db->burst.count > 1;
        if (one->kind != UPSERT && world->db->burst.count > 0) {
            world_fail(world, "another change began before the burst went on");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        struct started *one = &life->started[i];
        while (!one->done && (sim_step(&world->lanes) || sim_run_timer(&world->lanes))) {
        }
        if (!one->done || one->call.status != one->expected) {
            world_fail(world, one->done ? one->call.error.message : "a call waits for ever");
        }
        ins_call_release(&one->call);
    }
}

static void verify(struct life *life) {
    struct world *world = &life->world;
    struct model_point found[IDS] = {{0}};
    ins_points_request request = {
        .collection = world_text("c"), .limit = 2 * IDS, .payload = {.kind = INS_SELECT_ALL}};
    ins_call call;
    if (world_run(world, ins_points_scroll, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    for (size_t i = 0; i < call.points.count; i++) {
        const ins_point *point = &call.points.items[i];
        char text[64];
        (void)snprintf(text, sizeof(text), "%.*s", (int)point->payload.size, point->payload.data);
        const char *tenant = strstr(text, "\"t"), *value = strstr(text, "\"v\":");
        while (tenant != NULL && (tenant[2] < '0' || tenant[2] > '9')) {
            tenant = strstr(tenant + 1, "\"t");
        }
        if (point->id.low >= IDS || tenant == NULL || value == NULL ||
            found[point->id.low].value != 0) {
            world_fail(world, "a point that nobody wrote, or one twice");
        }
        found[point->id.low] = (struct model_point){(uint32_t)strtoul(tenant + 2, NULL, 10),
                                                    (uint32_t)strtoul(value + 4, NULL, 10)};
    }
    ins_call_release(&call);
    for (uint32_t id = 0; id < IDS; id++) {
        const struct model_point *must = &life->points[id];
        if (found[id].value != must->value ||
            (must->value != 0 && found[id].tenant != must->tenant)) {
            world_fail(world, "a point is not what the last write made it");
        }
    }
}

static uint64_t live(uint64_t seed) {
    static struct life life;
    memset(&life, 0, sizeof(life));
    life.world = (struct world){.seed = seed, .what = "bursts"};
    life.random = (struct sim_random){seed};
    struct world *world = &life.world;
    world_init(world);
    world_open(world);
    ins_collection_request create = {.collection = world_text("c"),
                                     .dim = 1,
                                     .distance = INS_DISTANCE_DOT,
                                     .field = world_text("tenant"),
                                     .schema = world_text("\"keyword\""),
                                     .is_tenant = true};
    world_run_ok(world, ins_collection_create, &create);
    world_run_ok(world, ins_index_create, &create);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        world->step = turn;
        run_burst(&life);
        verify(&life);
    }
    world_fini(world);
    return life.stood;
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 500;
    uint64_t stood = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        stood += live(seed);
    }
    (void)printf("%llu lives, %llu writes stood in a burst\n", (unsigned long long)seeds,
                 (unsigned long long)stood);
    return stood < seeds ? 1 : 0; /* a test of bursts that has none is none */
}
