/* Changes by filter of many records. Goal: one that was answered, or accepted without waiting, is
 * whole in the end; one that was not is whole or did not happen; what is written after it stays.
 * Method: every kind, with and without tenants' islands, killed or cut off the power after each
 * number of steps; the rest of the life is quiet, so that it ends by itself; then every point is
 * compared with what it was and what it must be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_world.h"

#define POINTS 40u

/* ---- Points: id, k = id % 2, who of six, a vector of the id ---- */

static void upsert(struct world *world, uint32_t first, uint32_t count, const char *extra) {
    for (uint32_t id = first; id < first + count; id++) {
        char payload[128];
        int size = snprintf(payload, sizeof(payload), "{\"who\":\"t%u\",\"k\":%u,\"x\":1%s}",
                            id % 6, id % 2, extra);
        float vector[2] = {(float)id, 1};
        ins_point point = {.id = {.low = id},
                           .vector = vector,
                           .dim = 2,
                           .payload = {.data = payload, .size = (size_t)size}};
        ins_points_request request = {
            .collection = world_text("c"), .points = &point, .point_count = 1};
        world_run_ok(world, ins_points_upsert, &request);
    }
}

static void load(struct world *world, bool tenants, bool flush) {
    ins_collection_request create = {
        .collection = world_text("c"), .dim = 2, .distance = INS_DISTANCE_DOT};
    world_run_ok(world, ins_collection_create, &create);
    create.field = world_text("who");
    create.schema = world_text("\"keyword\"");
    create.is_tenant = true;
    if (tenants) {
        world_run_ok(world, ins_index_create, &create);
    }
    upsert(world, 0, POINTS, "");
    if (flush) {
        world_run_ok(world, ins_flush, NULL);
    }
    upsert(world, 0, POINTS / 4, ""); /* versions of some ids in two places */
}

struct change {
    const char *what;
    ins_start start;
    const char *change; /* payload */
    const char *key;
    const char *after; /* payload of a point that passes, # = who; NULL: it is gone */
    bool loses_vector, tenants_only;
};

static const struct change changes[] = {
    {"delete", ins_points_delete, NULL, NULL, NULL, false, false},
    {"set payload", ins_points_set_payload, "{\"k\":7}", NULL, "{\"who\":\"t#\",\"k\":7,\"x\":1}",
     false, false},
    {"move", ins_points_set_payload, "{\"who\":\"new\"}", NULL, "{\"who\":\"new\",\"k\":1,\"x\":1}",
     false, false},
    {"overwrite", ins_points_overwrite_payload, "{\"y\":2}", NULL, "{\"y\":2}", false, false},
    {"delete payload", ins_points_delete_payload, NULL, "x", "{\"who\":\"t#\",\"k\":1}", false,
     false},
    {"clear", ins_points_clear_payload, NULL, NULL, "{}", false, false},
    {"delete vectors", ins_points_delete_vectors, NULL, "", "{\"who\":\"t#\",\"k\":1,\"x\":1}",
     true, false},
    {"delete tenants", ins_points_delete, NULL, NULL, NULL, false, true},
};

/* ---- One life ---- */

/* Members in any order: islands put the tenant field back as the last one. */
static bool same_payload(ins_text got, const char *want) {
    size_t size = strlen(want);
    char sorted[2][128] = {"", ""};
    if (got.size >= 128 || got.size != size) {
        return false;
    }
    const char *texts[2] = {got.data, want};
    for (int i = 0; i < 2; i++) {
        memcpy(sorted[i], texts[i], size);
        for (size_t a = 1; a < size; a++) { /* as a bag of bytes */
            for (size_t b = a; b > 0 && sorted[i][b - 1] > sorted[i][b]; b--) {
                char swap = sorted[i][b];
                sorted[i][b] = sorted[i][b - 1];
                sorted[i][b - 1] = swap;
            }
        }
    }
    return memcmp(sorted[0], sorted[1], size) == 0;
}

static bool passes(const struct change *change, uint32_t id) {
    return change->tenants_only ? id % 6 == 1 || id % 6 == 2 : id % 2 == 1;
}

/* How many points that pass are changed; everything else must be as it was. `later`: ids from here
 * on were written after the change. */
static uint32_t count_changed(struct world *world, const struct change *change, uint32_t later) {
    uint32_t changed = 0;
    for (uint32_t id = 0; id < POINTS + 6; id++) {
        ins_id wanted = {.low = id};
        ins_points_request request = {.collection = world_text("c"),
                                      .ids = &wanted,
                                      .id_count = 1,
                                      .payload = {.kind = INS_SELECT_ALL},
                                      .with_vector = true};
        ins_call call;
        if (world_run(world, ins_points_get, &request, &call) != INS_OK) {
            world_fail(world, call.error.message);
        }
        const ins_point *point = call.points.count > 0 ? &call.points.items[0] : NULL;
        char before[128], after[128] = "";
        (void)snprintf(before, sizeof(before), "{\"who\":\"t%u\",\"k\":%u,\"x\":1%s}", id % 6,
                       id % 2, id >= later ? ",\"later\":1" : "");
        for (size_t i = 0; change->after != NULL && change->after[i] != 0; i++) {
            after[i] = change->after[i] == '#' ? (char)('0' + id % 6) : change->after[i];
        }
        bool there = id < POINTS || id >= later;
        bool as_before = point == NULL ? !there
                                       : there && same_payload(point->payload, before) &&
                                             point->vector != NULL && point->dim == 2;
        bool as_after =
            passes(change, id) && id < later && id < POINTS &&
            (point == NULL ? change->after == NULL
                           : change->after != NULL && same_payload(point->payload, after) &&
                                 (point->vector == NULL) == change->loses_vector);
        if (!as_before && !as_after) {
            (void)fprintf(stderr, "point %u: %.*s\n", id,
                          point == NULL ? 4 : (int)point->payload.size,
                          point == NULL ? "gone" : point->payload.data);
            world_fail(world, "a point is neither as it was nor as it must be");
        }
        changed += as_after && !as_before;
        ins_call_release(&call);
    }
    return changed;
}

static uint32_t passing(const struct change *change) {
    uint32_t count = 0;
    for (uint32_t id = 0; id < POINTS; id++) {
        count += passes(change, id);
    }
    return count;
}

struct requests { /* of one change: borrowed by the engine */
    ins_text key, change;
    ins_value values[2];
    ins_condition condition;
    ins_filter filter;
    ins_points_request request;
};

static void fill(struct requests *r, const struct change *change, bool no_wait) {
    *r = (struct requests){0};
    if (change->tenants_only) {
        r->values[0] = (ins_value){.kind = INS_VALUE_TEXT, .text = world_text("t1")};
        r->values[1] = (ins_value){.kind = INS_VALUE_TEXT, .text = world_text("t2")};
    } else {
        r->values[0] = (ins_value){.kind = INS_VALUE_INTEGER, .integer = 1};
    }
    r->condition = (ins_condition){.kind = INS_MATCH_ANY,
                                   .key = world_text(change->tenants_only ? "who" : "k"),
                                   .values = r->values,
                                   .value_count = change->tenants_only ? 2 : 1};
    r->filter = (ins_filter){.must = &r->condition, .must_count = 1};
    r->key = change->key != NULL ? world_text(change->key) : (ins_text){0};
    r->request = (ins_points_request){.collection = world_text("c"),
                                      .change = change->change != NULL ? world_text(change->change)
                                                                       : (ins_text){0},
                                      .keys = &r->key,
                                      .key_count = change->key != NULL,
                                      .filter = &r->filter,
                                      .no_wait = no_wait};
}

/* True when the change had ended before its end. */
static bool live(struct world *world, const struct change *change, uint64_t kill_at, bool tenants,
                 bool no_wait, bool twice) {
    world_init(world);
    world_open(world);
    load(world, tenants, world->seed % 2 == 0);
    struct requests requests;
    fill(&requests, change, no_wait);
    bool done = false;
    ins_call call = {.done = world_call_done, .user = &done, .lane = INS_LANE_REQUEST};
    change->start(world->db, &requests.request, &call);
    uint64_t step = 0;
    while (step < kill_at && sim_step(&world->lanes)) {
        step++;
        if (done) { /* what was answered borrows nothing */
            memset(&requests, 0xdd, sizeof(requests));
        }
    }
    bool answered = done, ended = done && world->db->changes == 0;
    if (answered && call.status != INS_OK) {
        world_fail(world, call.error.message);
    }
    world_end(world, kill_at % 2 == 0);
    if (twice) { /* and once more while it goes on */
        world_open(world);
        for (uint64_t i = 0; i < kill_at % 97 && sim_step(&world->lanes); i++) {
        }
        world_end(world, kill_at % 3 == 0);
    }
    world_open(world);
    /* Points that are written now are later than the change, wherever it stands. */
    upsert(world, POINTS, 6, ",\"later\":1");
    world_wait_changes(world);
    uint32_t changed = count_changed(world, change, POINTS);
    if (changed != 0 && changed != passing(change)) {
        world_fail(world, "the change is half done");
    }
    if (answered && changed == 0) {
        world_fail(world, "the change was answered and is lost");
    }
    world_end(world, true);
    world_open(world);
    world_wait_changes(world);
    if (count_changed(world, change, POINTS) != changed) {
        world_fail(world, "a restart changes it");
    }
    world_fini(world);
    return ended;
}

int main(int argc, char **argv) {
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 7;
    uint64_t lives = 0, seed = 0;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        for (int form = 0; form < 4; form++) {
            bool tenants = form % 2 == 1, no_wait = form / 2 == 1, ended = false;
            if (changes[i].tenants_only && !tenants) {
                continue;
            }
            uint64_t kill_at = seed % stride;
            for (; !ended; kill_at += stride) {
                struct world world = {.seed = ++seed, .what = changes[i].what, .step = kill_at};
                ended = live(&world, &changes[i], kill_at, tenants, no_wait, seed % 3 == 0);
                lives++;
            }
        }
    }
    (void)printf("%llu lives\n", (unsigned long long)lives);
    return lives < 100 ? 1 : 0; /* few ends within a change test nothing */
}
