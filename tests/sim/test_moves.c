/* Moves to islands. Goal: while an is_tenant index comes into force on a full collection every
 * answer is that of the points as they are, nothing that was acknowledged is lost, nothing is there
 * twice, and in the end there are islands; whenever the process ends, and whatever else happens to
 * the collection meanwhile.
 * Method: an index is made on a collection with points, while points are written, changed and
 * deleted, by id and by filter; after each number of steps the process is killed or the power cut,
 * then it starts again. After every operation a scroll over everything is compared with a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/move.h"
#include "sim_random.h"
#include "sim_world.h"

#define IDS 48u
#define TENANTS 5u

struct point {
    bool there;
    uint32_t who; /* TENANTS: none */
    uint32_t n;
};

struct life {
    struct world world;
    struct point points[IDS];
    struct sim_random random;
    bool indexed, gone, alias;
    uint32_t writes, vectors;
};

static uint32_t draw(struct life *life, uint32_t below) {
    return sim_below(&life->random, below);
}

/* ---- Operations, each with its effect on the model ---- */

static ins_text payload_of(const struct point *point, char out[64]) {
    int size = point->who == TENANTS
                   ? snprintf(out, 64, "{\"n\":%u}", point->n)
                   : snprintf(out, 64, "{\"n\":%u,\"who\":\"t%u\"}", point->n, point->who);
    return (ins_text){out, (size_t)size};
}

static void upsert(struct life *life, uint32_t count) {
    ins_point points[4];
    float vectors[4][2];
    char texts[4][64];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = draw(life, IDS);
        life->points[id] = (struct point){true, draw(life, TENANTS + 1), ++life->writes};
        vectors[i][0] = (float)life->writes;
        vectors[i][1] = 1;
        points[i] = (ins_point){.id = {.low = id},
                                .vector = vectors[i],
                                .dim = 2,
                                .payload = payload_of(&life->points[id], texts[i])};
    }
    ins_points_request request = {
        .collection = world_text(life->alias ? "a" : "c"), .points = points, .point_count = count};
    world_run_ok(&life->world, ins_points_upsert, &request);
}

static void erase(struct life *life) {
    ins_id id = {.low = draw(life, IDS)};
    life->points[id.low].there = false;
    ins_points_request request = {.collection = world_text("c"), .ids = &id, .id_count = 1};
    world_run_ok(&life->world, ins_points_delete, &request);
}

/* Another tenant for one point, if it is there. */
static void change(struct life *life) {
    ins_id id = {.low = draw(life, IDS)};
    struct point *point = &life->points[id.low];
    char text[64];
    uint32_t who = draw(life, TENANTS);
    int size = snprintf(text, sizeof(text), "{\"who\":\"t%u\"}", who);
    if (!point->there) {
        return;
    }
    point->who = who;
    ins_points_request request = {
        .collection = world_text("c"), .ids = &id, .id_count = 1, .change = {text, (size_t)size}};
    world_run_ok(&life->world, ins_points_set_payload, &request);
}

/* Everything of one tenant. */
static void by_filter(struct life *life, bool removes) {
    char name[8];
    uint32_t who = draw(life, TENANTS);
    int size = snprintf(name, sizeof(name), "t%u", who);
    ins_value value = {.kind = INS_VALUE_TEXT, .text = {name, (size_t)size}};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = world_text("who"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {
        .collection = world_text("c"), .filter = &filter, .change = world_text("{\"n\":7}")};
    for (uint32_t id = 0; id < IDS; id++) {
        struct point *point = &life->points[id];
        if (point->there && point->who == who) {
            point->there = !removes;
            point->n = 7;
        }
    }
    world_run_ok(&life->world, removes ? ins_points_delete : ins_points_set_payload, &request);
}

static void index_on(struct life *life, ins_start start, const char *field, bool is_tenant) {
    ins_collection_request request = {.collection = world_text("c"),
                                      .field = world_text(field),
                                      .schema = world_text("\"keyword\""),
                                      .is_tenant = is_tenant};
    world_run_ok(&life->world, start, &request);
}

static void index_tenants(struct life *life, bool on) {
    index_on(life, on ? ins_index_create : ins_index_delete, "who", true);
    life->indexed = on;
}

static void add_vector(struct life *life) {
    char name[8];
    int size = snprintf(name, sizeof(name), "v%u", life->vectors++);
    ins_vector_params params = {.name = {name, (size_t)size},
                                .dim = 3,
                                .distance = INS_DISTANCE_DOT,
                                .datatype = INS_FLOAT32};
    ins_collection_request request = {
        .collection = world_text("c"), .vectors = &params, .vector_count = 1};
    world_run_ok(&life->world, ins_vector_create, &request);
}

static void make(struct life *life) {
    ins_collection_request request = {.collection = world_text("c"),
                                      .dim = 2,
                                      .distance = INS_DISTANCE_DOT,
                                      .metadata = world_text("{\"kept\":1}")};
    world_run_ok(&life->world, ins_collection_create, &request);
    ins_alias_change alias = {
        .kind = INS_ALIAS_CREATE, .target = world_text("c"), .alias = world_text("a")};
    ins_alias_request aliases = {.changes = &alias, .change_count = 1};
    world_run_ok(&life->world, ins_aliases_change, &aliases);
    life->alias = true;
}

static void make_again(struct life *life) {
    ins_collection_request request = {.collection = world_text("c")};
    world_run_ok(&life->world, ins_collection_delete, &request);
    memset(life->points, 0, sizeof(life->points));
    life->indexed = false;
    make(life);
    upsert(life, 4);
    upsert(life, 4);
}

#define BURST 6u

struct flying { /* one of several operations under way */
    bool done;
    ins_call call;
    ins_points_request request;
    ins_point point;
    float vector[2];
    char text[64];
};

static void start_one(struct life *life, struct flying *flying, uint32_t id) {
    flying->done = false;
    flying->call = (ins_call){.done = world_call_done, .user = &flying->done};
    flying->request = (ins_points_request){
        .collection = world_text("c"), .limit = IDS + 1, .payload = {.kind = INS_SELECT_ALL}};
    if (draw(life, 3) == 0) {
        ins_points_scroll(life->world.db, &flying->request, &flying->call);
        return;
    }
    life->points[id] = (struct point){true, draw(life, TENANTS + 1), ++life->writes};
    flying->vector[0] = 1;
    flying->vector[1] = (float)life->writes;
    flying->point = (ins_point){.id = {.low = id},
                                .vector = flying->vector,
                                .dim = 2,
                                .payload = payload_of(&life->points[id], flying->text)};
    flying->request.points = &flying->point;
    flying->request.point_count = 1;
    ins_points_upsert(life->world.db, &flying->request, &flying->call);
}

/* Of a scroll among writes: each point once at most. */
static void check_flown(struct life *life, struct flying *flying) {
    if (flying->call.status != INS_OK) {
        world_fail(&life->world, flying->call.error.message);
    }
    for (size_t i = 1; i < flying->call.points.count; i++) {
        if (flying->call.points.items[i].id.low <= flying->call.points.items[i - 1].id.low) {
            world_fail(&life->world, "a scroll has a point twice");
        }
    }
    ins_call_release(&flying->call);
}

/* Several at once, of different points: they may meet a gate together. */
static void burst(struct life *life) {
    struct flying flying[BURST];
    uint32_t first = draw(life, IDS);
    for (uint32_t i = 0; i < BURST; i++) {
        start_one(life, &flying[i], (first + i) % IDS);
        for (uint32_t pause = draw(life, 4); pause > 0; pause--) {
            (void)sim_step(&life->world.lanes);
        }
    }
    for (uint32_t i = 0; i < BURST; i++) {
        while (!flying[i].done) {
            if (!sim_step(&life->world.lanes) && !sim_run_timer(&life->world.lanes)) {
                world_fail(&life->world, "a call waits for ever");
            }
        }
        check_flown(life, &flying[i]);
    }
}

static void operate(struct life *life) {
    uint32_t kind = draw(life, 50);
    if (kind >= 40) {
        burst(life);
        return;
    }
    if (kind < 20) {
        upsert(life, 1 + draw(life, 4));
    } else if (kind < 26) {
        erase(life);
    } else if (kind < 32) {
        change(life);
    } else if (kind < 35) {
        by_filter(life, kind == 32);
    } else if (kind == 35) {
        world_run_ok(&life->world, ins_flush, NULL);
    } else if (kind == 36) {
        add_vector(life);
    } else if (kind == 37) {
        index_on(life, ins_index_create, "n", false);
    } else if (kind == 38) {
        index_tenants(life, !life->indexed);
    } else {
        make_again(life);
        index_tenants(life, true);
    }
}

/* ---- What is there ---- */

static void compare(struct life *life, const ins_points *got) {
    uint32_t there = 0;
    for (uint32_t id = 0; id < IDS; id++) {
        there += life->points[id].there;
    }
    if (got->count != there || got->has_next) {
        (void)fprintf(stderr, "%zu points, must be %u\n", got->count, there);
        world_fail(&life->world, "points are missing, or there twice");
    }
    for (size_t i = 0; i < got->count; i++) {
        const ins_point *point = &got->items[i];
        const struct point *wanted = &life->points[point->id.low % IDS];
        char members[2][24], who[16];
        (void)snprintf(members[0], 24, "\"n\":%u", wanted->n);
        (void)snprintf(who, sizeof(who), "\"who\":\"t%u\"", wanted->who);
        char text[128];
        (void)snprintf(text, sizeof(text), "%.*s", (int)point->payload.size, point->payload.data);
        bool right =
            point->id.low < IDS && wanted->there && strstr(text, members[0]) != NULL &&
            (wanted->who == TENANTS ? strstr(text, "who") == NULL : strstr(text, who) != NULL) &&
            point->vector != NULL && point->dim == 2;
        if (!right) {
            (void)fprintf(stderr, "point %llu: %s\n", (unsigned long long)point->id.low, text);
            world_fail(&life->world, "a point is not as it was written");
        }
    }
}

static void look(struct life *life) {
    ins_points_request request = {.collection = world_text(life->writes % 2 == 0 ? "c" : "a"),
                                  .limit = IDS + 1,
                                  .payload = {.kind = INS_SELECT_ALL},
                                  .with_vector = true};
    ins_call call;
    if (world_run(&life->world, ins_points_scroll, &request, &call) != INS_OK) {
        world_fail(&life->world, call.error.message);
    }
    compare(life, &call.points);
    ins_call_release(&call);
    ins_collection_request about = {.collection = world_text("c")};
    if (world_run(&life->world, ins_collection_get, &about, &call) != INS_OK) {
        world_fail(&life->world, call.error.message);
    }
    if (call.info->metadata.data == NULL || strstr(call.info->metadata.data, "kept") == NULL) {
        world_fail(&life->world, "the metadata is lost");
    }
    ins_call_release(&call);
}

static struct scope *scope_now(struct life *life) {
    return catalog_find_newest(&life->world.db->catalog, world_text("c"));
}

static void steps(struct life *life, uint64_t count) {
    for (uint64_t i = 0; i < count && sim_step(&life->world.lanes); i++) {
    }
}

static void end_of_moves(struct life *life) {
    steps(life, 100); /* after an opening its first task must have run */
    for (uint32_t i = 0; life->world.db->move != NULL; i++) {
        bool went = sim_step(&life->world.lanes) || sim_run_timer(&life->world.lanes);
        if (!went || i > 1000000) {
            world_fail(&life->world, "a move does not end");
        }
    }
}

/* ---- One life ---- */

/* True when the last move had ended before its end. */
static bool live(struct life *life, uint64_t kill_at) {
    struct world *world = &life->world;
    world_init(world);
    world_open(world);
    make(life);
    for (uint32_t i = 0; i < 12; i++) {
        upsert(life, 4);
    }
    if (draw(life, 2) == 0) {
        world_run_ok(world, ins_flush, NULL);
    }
    index_tenants(life, true);
    uint64_t pace = 1 + draw(life, 40);
    for (uint64_t step = 0; step < kill_at; step += pace) {
        steps(life, pace);
        operate(life);
        look(life);
    }
    bool ended = world->db->move == NULL;
    world_end(world, kill_at % 2 == 0);
    world_open(world);
    steps(life, kill_at % 31);
    look(life);
    operate(life);
    if (kill_at % 3 == 0) {
        world_end(world, kill_at % 5 == 0);
        world_open(world);
    }
    end_of_moves(life);
    look(life);
    bool islands = scope_now(life)->directory != NULL;
    if (life->indexed && !islands) {
        world_fail(world, "the index is not in force");
    }
    if (move_next(world->db, true) != NULL) {
        world_fail(world, "something of a move is left");
    }
    world_run_ok(world, ins_flush, NULL);
    world_end(world, true);
    world_open(world);
    end_of_moves(life);
    look(life);
    upsert(life, 4);
    look(life);
    world_fini(world);
    return ended;
}

int main(int argc, char **argv) {
    uint64_t lives = argc > 1 ? strtoull(argv[1], NULL, 10) : 150;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, ended = 0;
    for (uint64_t seed = first; seed < first + lives; seed++) {
        uint64_t kill_at = seed * 7 % 120;
        struct life life = {.world = {.seed = seed, .what = "moves", .step = kill_at},
                            .random = {seed}};
        ended += live(&life, kill_at);
    }
    (void)printf("%llu lives, %llu moves had ended before\n", (unsigned long long)lives,
                 (unsigned long long)ended);
    return 0;
}
