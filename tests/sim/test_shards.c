/* Shard keys through crashes. Goal: making and dropping keys, writes to one or several of them and
 * a tenant index are whole or did not happen, key by key; nothing of one key is seen in another
 * one. Method: random operations against a model, each run for some steps or to its end; then a
 * kill or a power cut, a start, and every key's points are compared with what they were or must be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_random.h"
#include "sim_world.h"

#define KEYS 4u
#define IDS 12u
#define WHO 3u

struct shard { /* value 0: the point is not there */
    bool there;
    uint32_t values[IDS];
};

enum kind { CREATE, DROP, UPSERT, DELETE, DELETE_FILTER, INDEX, FLUSH, KINDS };

struct change {
    enum kind kind;
    uint32_t keys; /* bit k */
    uint32_t ids;  /* bit i */
    uint32_t value, who;
};

struct life {
    struct world world;
    struct sim_random random;
    struct shard shards[KEYS];
    bool indexed;
    uint32_t next_value;
    uint64_t unanswered, whole; /* of them, those that happened */
};

static ins_shard_key key_of(uint32_t key) {
    static const char *const names[KEYS] = {"a", "5", NULL, "a longer name"};
    return names[key] == NULL ? (ins_shard_key){.number = 5}
                              : (ins_shard_key){.text = world_text(names[key])};
}

static uint32_t who_of(uint32_t id, uint32_t value) {
    return (id + value) % WHO;
}

/* ---- The model ---- */

static void apply(struct shard *shard, const struct change *change) {
    if (change->kind == CREATE || change->kind == DROP) {
        *shard = (struct shard){.there = change->kind == CREATE};
    }
    for (uint32_t id = 0; id < IDS; id++) {
        bool in = (change->ids >> id & 1) != 0;
        bool passes = change->kind == DELETE_FILTER && shard->values[id] != 0 &&
                      who_of(id, shard->values[id]) == change->who;
        if (change->kind == UPSERT && in) {
            shard->values[id] = change->value;
        } else if (passes || (change->kind == DELETE && in)) {
            shard->values[id] = 0;
        }
    }
}

static bool same(const struct shard *left, const struct shard *right) {
    return left->there == right->there &&
           memcmp(left->values, right->values, sizeof(left->values)) == 0;
}

static struct change any_change(struct life *life) {
    struct sim_random *random = &life->random;
    static const enum kind kinds[] = {CREATE, CREATE,        DROP,          UPSERT, UPSERT, UPSERT,
                                      DELETE, DELETE_FILTER, DELETE_FILTER, INDEX,  FLUSH};
    struct change change = {.kind = kinds[sim_below(random, 11)],
                            .ids = sim_below(random, 1u << IDS),
                            .value = ++life->next_value,
                            .who = sim_below(random, WHO)};
    uint32_t there = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        there |= (uint32_t)life->shards[key].there << key;
    }
    change.keys = 1u << sim_below(random, KEYS);
    if (change.kind >= UPSERT && change.kind <= DELETE_FILTER) {
        change.keys = sim_below(random, 1u << KEYS) & there;
    }
    bool possible = change.kind == CREATE          ? (there & change.keys) == 0
                    : change.kind <= DELETE_FILTER ? (there & change.keys) != 0
                                                   : true;
    if (!possible) {
        change.kind = FLUSH;
    }
    return change;
}

/* ---- One operation ---- */

struct requests { /* borrowed by the engine */
    ins_collection_request collection;
    ins_points_request points;
    ins_shard_key keys[KEYS];
    ins_point items[IDS];
    ins_id ids[IDS];
    char payloads[IDS][64];
    float vector[1];
    ins_value value;
    ins_condition condition;
    ins_filter filter;
    char who[8];
};

static void fill_points(struct requests *r, const struct change *change) {
    static const ins_points_request none;
    r->points = none;
    r->points.collection = world_text("c");
    r->points.shard_keys = r->keys;
    for (uint32_t key = 0; key < KEYS; key++) {
        if ((change->keys >> key & 1) != 0) {
            r->keys[r->points.shard_key_count++] = key_of(key);
        }
    }
    r->vector[0] = 1;
    size_t count = 0;
    for (uint32_t id = 0; id < IDS; id++) {
        if ((change->ids >> id & 1) == 0) {
            continue;
        }
        int size = snprintf(r->payloads[count], sizeof(r->payloads[count]),
                            "{\"v\":%u,\"who\":\"w%u\"}", change->value, who_of(id, change->value));
        r->ids[count] = (ins_id){.low = id};
        r->items[count] = (ins_point){.id = r->ids[count],
                                      .vector = r->vector,
                                      .dim = 1,
                                      .payload = {r->payloads[count], (size_t)size}};
        count++;
    }
    if (change->kind == UPSERT) {
        r->points.points = r->items;
        r->points.point_count = count;
    } else if (change->kind == DELETE) {
        r->points.ids = r->ids;
        r->points.id_count = count;
    } else {
        (void)snprintf(r->who, sizeof(r->who), "w%u", change->who);
        r->value = (ins_value){.kind = INS_VALUE_TEXT, .text = world_text(r->who)};
        r->condition = (ins_condition){
            .kind = INS_MATCH_ANY, .key = world_text("who"), .values = &r->value, .value_count = 1};
        r->filter = (ins_filter){.must = &r->condition, .must_count = 1};
        r->points.filter = &r->filter;
    }
}

static void start(struct world *world, const struct change *change, struct requests *r,
                  ins_call *call) {
    static const ins_start starts[KINDS] = {[CREATE] = ins_shard_key_create,
                                            [DROP] = ins_shard_key_delete,
                                            [UPSERT] = ins_points_upsert,
                                            [DELETE] = ins_points_delete,
                                            [DELETE_FILTER] = ins_points_delete,
                                            [INDEX] = ins_index_create,
                                            [FLUSH] = ins_flush};
    bool points = change->kind >= UPSERT && change->kind <= DELETE_FILTER;
    r->collection = (ins_collection_request){.collection = world_text("c"),
                                             .field = world_text("who"),
                                             .schema = world_text("\"keyword\""),
                                             .is_tenant = true};
    for (uint32_t key = 0; key < KEYS && !points; key++) {
        if ((change->keys >> key & 1) != 0) {
            r->collection.shard_key = key_of(key);
        }
    }
    if (points) {
        fill_points(r, change);
    }
    starts[change->kind](world->db, points ? (const void *)&r->points : &r->collection, call);
}

/* ---- What is there ---- */

static void read_keys(struct life *life, struct shard *out) {
    struct world *world = &life->world;
    ins_collection_request request = {.collection = world_text("c"), .with_shards = true};
    ins_call call;
    if (world_run(world, ins_collection_get, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    size_t known = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        ins_shard_key wanted = key_of(key);
        for (size_t i = 0; i < call.info->shard_count; i++) {
            const ins_shard_key *got = &call.info->shards[i].key;
            bool equal = wanted.text.data == NULL
                             ? got->text.data == NULL && got->number == wanted.number
                             : got->text.data != NULL && got->text.size == wanted.text.size &&
                                   memcmp(got->text.data, wanted.text.data, wanted.text.size) == 0;
            out[key].there |= equal;
            known += equal;
        }
    }
    if (known != call.info->shard_count) {
        world_fail(world, "a shard key that nobody made, or one twice");
    }
    ins_call_release(&call);
}

static void read_shard(struct life *life, uint32_t key, struct shard *out) {
    struct world *world = &life->world;
    ins_shard_key name = key_of(key);
    ins_points_request request = {.collection = world_text("c"),
                                  .shard_keys = &name,
                                  .shard_key_count = 1,
                                  .limit = 2 * IDS,
                                  .payload = {.kind = INS_SELECT_ALL}};
    ins_call call;
    if (world_run(world, ins_points_scroll, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    for (size_t i = 0; i < call.points.count; i++) {
        const ins_point *point = &call.points.items[i];
        const char *value = memchr(point->payload.data, 'v', point->payload.size);
        if (point->id.low >= IDS || value == NULL || point->shard_key == NULL) {
            world_fail(world, "a point that nobody wrote");
        }
        out->values[point->id.low] = (uint32_t)strtoul(value + 3, NULL, 10);
    }
    ins_call_release(&call);
}

/* Each key as it was, or as the change makes it. What came about is the model from here on. */
static void compare(struct life *life, const struct change *change, bool answered) {
    struct shard found[KEYS] = {{0}};
    bool some = false;
    read_keys(life, found);
    for (uint32_t key = 0; key < KEYS; key++) {
        if (found[key].there) {
            read_shard(life, key, &found[key]);
        }
        struct shard after = life->shards[key];
        bool touched = (change->keys >> key & 1) != 0;
        if (touched) {
            apply(&after, change);
        }
        bool is_after = same(&found[key], &after);
        bool is_before = same(&found[key], &life->shards[key]);
        if (!is_after && (answered || !is_before)) {
            world_fail(&life->world, "a shard key is neither as it was nor as it must be");
        }
        some |= touched && is_after && !is_before;
        life->shards[key] = found[key];
    }
    life->unanswered += !answered;
    life->whole += !answered && some;
}

static void live(uint64_t seed, uint64_t *unanswered, uint64_t *whole) {
    struct life life = {.world = {.seed = seed, .what = "shards"}, .random = {seed}};
    struct world *world = &life.world;
    world_init(world);
    world_open(world);
    ins_collection_request create = {
        .collection = world_text("c"), .dim = 1, .distance = INS_DISTANCE_DOT, .sharded = true};
    world_run_ok(world, ins_collection_create, &create);
    for (uint32_t turn = 0; turn < 60; turn++) {
        struct change change = any_change(&life);
        struct requests requests;
        memset(&requests, 0, sizeof(requests));
        bool done = false, ends = sim_once_in(&life.random, 3);
        ins_call call = {.done = world_call_done, .user = &done, .lane = INS_LANE_REQUEST};
        start(world, &change, &requests, &call);
        uint64_t steps = ends ? sim_below(&life.random, 12) : UINT64_MAX;
        world->step = turn;
        for (uint64_t i = 0; i < steps && !done; i++) {
            if (!sim_step(&world->lanes) && (ends || !sim_run_timer(&world->lanes))) {
                break;
            }
        }
        if (done && call.status != INS_OK) {
            world_fail(world, call.error.message);
        }
        if (done) {
            ins_call_release(&call);
        }
        if (ends) {
            world_end(world, sim_once_in(&life.random, 2));
            world_open(world);
            world_wait_changes(world);
        } else if (!done) {
            world_fail(world, "an operation waits for ever");
        }
        if (change.kind > DELETE_FILTER) {
            change.keys = 0;
        }
        compare(&life, &change, done);
    }
    *unanswered += life.unanswered;
    *whole += life.whole;
    world_fini(world);
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 60;
    uint64_t unanswered = 0, whole = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        live(seed, &unanswered, &whole);
    }
    (void)printf("%llu lives, %llu operations cut short, %llu of them happened\n",
                 (unsigned long long)seeds, (unsigned long long)unanswered,
                 (unsigned long long)whole);
    return whole == 0 ? 1 : 0;
}
