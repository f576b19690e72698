/* Ids within tenants. Goal: whatever ends the process, what was acknowledged of one tenant's points
 * is there, what was not is there whole or not at all, and no write of one tenant touches another
 * one's point of the same id. Method: random writes, flushes and deletions of tenants beside a
 * model with ids of its own for each tenant; killed or cut off the power after some step; a start,
 * and every tenant is read again. */
#include <stdio.h>
#include <string.h>

#include "sim_random.h"
#include "sim_world.h"

enum { TENANTS = 3, IDS = 8, WRITES = 30, SEEDS = 60, LIVES = 12, STEPS_MAX = 1200 };

/* What each point's "v" is; 0: it is not there. */
struct model {
    int values[TENANTS][IDS];
};

struct life {
    struct world world;
    struct sim_random random;
    struct model model, next; /* as acknowledged; with the write that is under way */
    ins_call call;
    bool done;
    ins_point points[2 * TENANTS];
    char payloads[2 * TENANTS][48];
    ins_id ids[IDS];
    char change[32];
    ins_value value;
    ins_condition condition;
    ins_filter filter;
    ins_points_request request;
};

static const char *const names[TENANTS] = {"a", "b", "c"};

static uint32_t below(struct life *life, uint32_t limit) {
    return sim_below(&life->random, limit);
}

static void name_tenant(struct life *life, uint32_t tenant) {
    life->value = (ins_value){.kind = INS_VALUE_TEXT, .text = world_text(names[tenant])};
    life->condition = (ins_condition){
        .kind = INS_MATCH_ANY, .key = world_text("who"), .values = &life->value, .value_count = 1};
    life->filter = (ins_filter){.must = &life->condition, .must_count = 1};
}

static ins_start make_upsert(struct life *life, int value) {
    uint32_t count = 1 + below(life, 2 * TENANTS);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tenant = below(life, TENANTS), id = below(life, IDS);
        (void)snprintf(life->payloads[i], sizeof(life->payloads[i]), "{\"who\":\"%s\",\"v\":%d}",
                       names[tenant], value + (int)i);
        life->points[i] = (ins_point){.id = {.low = id}, .payload = world_text(life->payloads[i])};
        life->next.values[tenant][id] = value + (int)i;
    }
    life->request.points = life->points;
    life->request.point_count = count;
    return ins_points_upsert;
}

/* One of a tenant's points by id, or all that it has by filter. */
static ins_start make_change(struct life *life, int value, bool removes, bool by_filter) {
    uint32_t tenant = below(life, TENANTS);
    for (uint32_t id = 0; id < IDS; id++) {
        bool there = life->model.values[tenant][id] != 0;
        bool meant = by_filter || id == life->request.start.low;
        if (there && meant) {
            life->next.values[tenant][id] = removes ? 0 : value;
        }
    }
    if (by_filter) {
        name_tenant(life, tenant);
        life->request.filter = &life->filter;
    } else {
        life->ids[0] = life->request.start;
        life->request.ids = life->ids;
        life->request.id_count = 1;
        life->request.tenant = world_text(names[tenant]);
        if (!removes && life->model.values[tenant][life->request.start.low] == 0) {
            life->request.id_count = 0; /* it would be told that the point is not there */
        }
    }
    (void)snprintf(life->change, sizeof(life->change), "{\"v\":%d}", value);
    life->request.change = removes ? (ins_text){0} : world_text(life->change);
    return removes ? ins_points_delete : ins_points_set_payload;
}

/* All of one tenant's but those with one value, so that its island stays; or of every tenant: one
 * record is of one island. */
static ins_start make_sweep(struct life *life) {
    int spared = life->model.values[below(life, TENANTS)][below(life, IDS)];
    life->value = (ins_value){.kind = INS_VALUE_INTEGER, .integer = spared};
    life->condition = (ins_condition){
        .kind = INS_MATCH_ANY, .key = world_text("v"), .values = &life->value, .value_count = 1};
    life->filter = (ins_filter){.must_not = &life->condition, .must_not_count = 1};
    life->request.filter = &life->filter;
    for (uint32_t tenant = 0; tenant < TENANTS; tenant++) {
        for (uint32_t id = 0; id < IDS; id++) {
            bool stays = life->model.values[tenant][id] == spared;
            life->next.values[tenant][id] = stays ? spared : 0;
        }
    }
    return ins_points_delete;
}

static ins_start make_write(struct life *life, int value) {
    life->next = life->model;
    life->request = (ins_points_request){.collection = world_text("c")};
    life->request.start.low = below(life, IDS);
    uint32_t kind = below(life, 20);
    if (kind < 9) {
        return make_upsert(life, value);
    }
    if (kind < 16) {
        return make_change(life, value, kind % 2 == 0, false);
    }
    if (kind < 19) {
        return make_change(life, value, kind == 18, true);
    }
    return make_sweep(life);
}

static void read_tenant(struct life *life, uint32_t tenant, struct model *out) {
    struct world *world = &life->world;
    ins_call call;
    name_tenant(life, tenant);
    ins_points_request request = {.collection = world_text("c"),
                                  .filter = &life->filter,
                                  .limit = 2 * IDS,
                                  .payload = {.kind = INS_SELECT_ALL}};
    if (world_run(world, ins_points_scroll, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    for (size_t i = 0; i < call.points.count; i++) {
        const ins_point *point = &call.points.items[i];
        char text[64], wanted[16];
        int value = 0;
        (void)snprintf(text, sizeof(text), "%.*s", (int)point->payload.size, point->payload.data);
        (void)snprintf(wanted, sizeof(wanted), "\"who\":\"%s\"", names[tenant]);
        const char *at = strstr(text, "\"v\":");
        if (strstr(text, wanted) == NULL || at == NULL || sscanf(at, "\"v\":%d", &value) != 1 ||
            point->id.low >= IDS || out->values[tenant][point->id.low] != 0) {
            world_fail(world, "another tenant's point, or one twice");
        }
        out->values[tenant][point->id.low] = value;
    }
    ins_call_release(&call);
}

static void verify(struct life *life, bool under_way) {
    struct model found = {0};
    for (uint32_t tenant = 0; tenant < TENANTS; tenant++) {
        read_tenant(life, tenant, &found);
    }
    bool before = memcmp(&found, &life->model, sizeof(found)) == 0;
    bool behind = memcmp(&found, &life->next, sizeof(found)) == 0;
    if (!before && !(under_way && behind)) {
        world_fail(&life->world, "points that nobody wrote, or some are lost");
    }
    life->model = found;
}

static void load(struct world *world) {
    ins_collection_request create = {.collection = world_text("c"),
                                     .settings =
                                         world_text("{\"insula\":{\"point_ids\":\"tenant\"}}")};
    world_run_ok(world, ins_collection_create, &create);
    create.settings = (ins_text){0};
    create.field = world_text("who");
    create.schema = world_text("\"keyword\"");
    create.is_tenant = true;
    world_run_ok(world, ins_index_create, &create);
}

/* Writes until so many steps are done; false when all of them ended before that. */
static bool write_some(struct life *life, uint64_t steps, int *value) {
    struct world *world = &life->world;
    for (uint32_t i = 0; i < WRITES; i++) {
        *value += 10;
        ins_start start = below(life, 6) == 0 ? ins_flush : make_write(life, *value);
        bool flushes = start == ins_flush;
        if (flushes) {
            life->next = life->model;
        }
        life->done = false;
        life->call =
            (ins_call){.done = world_call_done, .user = &life->done, .lane = INS_LANE_REQUEST};
        start(world->db, flushes ? NULL : &life->request, &life->call);
        while (!life->done && steps > 0) {
            steps--;
            if (!sim_step(&world->lanes) && !sim_run_timer(&world->lanes)) {
                world_fail(world, "a write does not end");
            }
        }
        if (!life->done) {
            return true;
        }
        if (life->call.status != INS_OK) {
            world_fail(world, life->call.error.message);
        }
        ins_call_release(&life->call);
        life->model = life->next;
    }
    return false;
}

static void live(struct life *life, uint64_t seed) {
    *life = (struct life){.world = {.seed = seed, .what = "own ids"}};
    struct world *world = &life->world;
    int value = 0;
    life->random.state = seed;
    world_init(world);
    world->options.change_points = WORLD_CHUNK;
    world_open(world);
    load(world);
    for (uint32_t i = 0; i < LIVES; i++) {
        world->step = below(life, STEPS_MAX);
        bool under_way = write_some(life, world->step, &value);
        world_end(world, below(life, 2) == 0);
        world_open(world);
        world_wait_changes(world);
        verify(life, under_way);
        if (below(life, 3) == 0) {
            world_run_ok(world, ins_flush, NULL);
            verify(life, false);
        }
    }
    world_fini(world);
}

int main(void) {
    static struct life life;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        live(&life, seed);
    }
    (void)printf("%d lives\n", SEEDS * LIVES);
    return 0;
}
