/* Goal: whichever allocation fails, an operation answers an error or success, keeps nothing, leaves
 * what it should have changed as it was or changes all of it, and works the next time.
 * Method: a collection with tenants and one with shard keys, half in segments, half in memtables;
 * each operation is run again for each allocation that it makes, and that one fails; then every
 * lane comes to rest, what is in use is compared with before, and it runs without a fault.
 *
 *   alloc_faults [STRIDE]: every STRIDE-th allocation only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/directory_view.h"
#include "engine/move.h"
#include "mem/mem_private.h"
#include "sim_world.h"

#define POINTS 48u
#define DIM 8u
#define COUNTDOWN_MAX 100000u /* an operation that makes more allocations is wrong */

/* ---- The collections ---- */

static const float near_all[DIM] = {1, 1, 1, 1, 1, 1, 1, 1};

static void fill_vector(uint32_t id, float out[static DIM]) {
    for (uint32_t i = 0; i < DIM; i++) {
        out[i] = (float)((id * 7 + i * 13) % 17);
    }
}

static void upsert(struct world *world, const char *collection, const ins_shard_key *key,
                   uint32_t first, uint32_t end) {
    for (uint32_t id = first; id < end; id++) {
        char payload[128];
        int size = snprintf(payload, sizeof(payload), "{\"who\":\"t%u\",\"k\":%u,\"x\":[%u,1]}",
                            id % 6, id % 2, id);
        float vector[DIM];
        fill_vector(id, vector);
        ins_point point = {.id = {.low = id},
                           .vector = vector,
                           .dim = DIM,
                           .payload = {.data = payload, .size = (size_t)size}};
        ins_points_request request = {.collection = world_text(collection),
                                      .shard_keys = key,
                                      .shard_key_count = key != NULL,
                                      .points = &point,
                                      .point_count = 1};
        world_run_ok(world, ins_points_upsert, &request);
    }
}

static const ins_shard_key shard_keys[2] = {{.text = {.data = "east", .size = 4}}, {.number = 7}};

/* No tenants: one run of enough rows for a graph. */
static void load_rows(struct world *world) {
    ins_collection_request request = {
        .collection = world_text("g"), .dim = DIM, .distance = INS_DISTANCE_DOT};
    world_run_ok(world, ins_collection_create, &request);
    upsert(world, "g", NULL, 0, POINTS);
    world_run_ok(world, ins_flush, NULL);
}

static void step(struct world *world, const char *what) {
    if (!sim_step(&world->lanes) && !sim_run_timer(&world->lanes)) {
        world_fail(world, what);
    }
}

static void load_graph(struct world *world) {
    load_rows(world);
    while (world->db->graphs.built == 0) {
        step(world, "no graph is made");
    }
}

static void create(struct world *world, const char *name, bool sharded) {
    ins_collection_request request = {.collection = world_text(name),
                                      .dim = DIM,
                                      .distance = INS_DISTANCE_DOT,
                                      .sharded = sharded};
    world_run_ok(world, ins_collection_create, &request);
    request.field = world_text("who");
    request.schema = world_text("\"keyword\"");
    request.is_tenant = true;
    world_run_ok(world, ins_index_create, &request);
    request.field = world_text("k");
    request.schema = world_text("\"integer\"");
    request.is_tenant = false;
    world_run_ok(world, ins_index_create, &request);
    for (int i = 0; i < 2 && sharded; i++) {
        request.shard_key = shard_keys[i];
        world_run_ok(world, ins_shard_key_create, &request);
    }
}

static void load(struct world *world) {
    load_graph(world);
    create(world, "c", false);
    create(world, "s", true);
    for (uint32_t half = 0; half < 2; half++) {
        uint32_t first = half * POINTS / 2, end = (half + 1) * POINTS / 2;
        upsert(world, "c", NULL, first, end);
        upsert(world, "s", &shard_keys[half], first, end);
        if (half == 0) {
            world_run_ok(world, ins_flush, NULL);
        }
    }
}

/* ---- Operations ---- */

static const ins_value k_is_1[] = {{.kind = INS_VALUE_INTEGER, .integer = 1}};
static const ins_value who_is_t1[] = {{.kind = INS_VALUE_TEXT, .text = {.data = "t1", .size = 2}}};
static const ins_condition odd_condition = {
    .kind = INS_MATCH_ANY, .key = {.data = "k", .size = 1}, .values = k_is_1, .value_count = 1};
static const ins_condition t1_condition = {.kind = INS_MATCH_ANY,
                                           .key = {.data = "who", .size = 3},
                                           .values = who_is_t1,
                                           .value_count = 1};
static const ins_filter odd = {.must = &odd_condition, .must_count = 1};
static const ins_filter t1 = {.must = &t1_condition, .must_count = 1};
static const ins_text member_new = {.data = "new", .size = 3};
static const ins_id one_id[] = {{.low = 3}};

#define TEXT(literal)                                                                              \
    { .data = (literal), .size = sizeof(literal) - 1 }
#define BASE .collection = TEXT("c"), .payload = {.kind = INS_SELECT_ALL}, .with_vector = true
#define NEAR .vector = near_all, .dim = DIM, .limit = 10

/* Writes change nothing that another operation looks for, however often they happen. */
static const ins_points_request get = {BASE, .ids = one_id, .id_count = 1};
static const ins_points_request scroll = {BASE, .limit = 20};
static const ins_points_request scroll_odd = {BASE, .limit = 20, .filter = &odd};
static const ins_points_request count_odd = {BASE, .filter = &odd};
static const ins_points_request query = {BASE, NEAR};
static const ins_points_request query_odd = {BASE, NEAR, .filter = &odd};
static const ins_points_request query_t1 = {BASE, NEAR, .filter = &t1};
static const ins_points_request query_exact = {BASE, NEAR, .exact = true};
static const ins_points_request query_graph = {.collection = TEXT("g"), NEAR};
static const ins_points_request query_shards = {.collection = TEXT("s"), NEAR};
static const ins_points_request set_odd = {BASE, .filter = &odd, .change = TEXT("{\"new\":1}")};
static const ins_points_request set_t1 = {BASE, .filter = &t1, .change = TEXT("{\"new\":1}")};
static const ins_points_request set_id = {BASE, .ids = one_id, .id_count = 1,
                                          .change = TEXT("{\"new\":{\"a\":[1,2]}}")};
static const ins_points_request unset_odd = {BASE, .filter = &odd, .keys = &member_new,
                                             .key_count = 1};
static const ins_points_request no_vector_id = {BASE, .ids = one_id, .id_count = 1,
                                                .keys = &(const ins_text){.data = "", .size = 0},
                                                .key_count = 1};
static const ins_points_request move_t1 = {BASE, .filter = &t1, .change = TEXT("{\"who\":\"t1\"}")};
static const ins_points_request set_shards = {.collection = TEXT("s"),
                                              .filter = &odd,
                                              .change = TEXT("{\"new\":1}"),
                                              .shard_keys = shard_keys,
                                              .shard_key_count = 2};
static const ins_point new_points[] = {
    {.id = {.low = 3}, .vector = near_all, .dim = DIM, .payload = TEXT("{\"who\":\"t3\",\"k\":1}")},
    {.id = {.low = 4}, .vector = near_all, .dim = DIM, .payload = TEXT("{\"who\":\"t9\",\"k\":0}")},
};
static const ins_points_request put_two = {BASE, .points = new_points, .point_count = 2};
static const ins_update updates[] = {
    {ins_points_upsert, {BASE, .points = new_points, .point_count = 2}},
    {ins_points_set_payload, {BASE, .ids = one_id, .id_count = 1, .change = TEXT("{\"new\":2}")}},
    {ins_points_set_payload, {BASE, .filter = &odd, .change = TEXT("{\"new\":1}")}}};
static const ins_batch_request batch = {.updates = updates, .update_count = 3};

static const ins_example near_example[] = {{.by_id = true, .id = {.low = 3}},
                                           {.vector = near_all, .dim = DIM}};
#define RANK(...)                                                                                  \
    { .points = {BASE, .limit = 10}, __VA_ARGS__ }
static const ins_rank_request rank_average =
    RANK(.kind = INS_RANK_AVERAGE, .positive = near_example, .positive_count = 2);
static const ins_rank_request rank_best =
    RANK(.kind = INS_RANK_BEST, .positive = near_example, .positive_count = 2,
         .negative = near_example, .negative_count = 1);
static const ins_rank_request rank_discover =
    RANK(.kind = INS_RANK_DISCOVER, .target = &near_example[1], .positive = near_example,
         .positive_count = 1, .negative = &near_example[1], .negative_count = 1);
static const ins_rank_request rank_order = RANK(.kind = INS_RANK_ORDER, .key = TEXT("x"));
static const ins_rank_request rank_sample = RANK(.kind = INS_RANK_SAMPLE);
static const ins_rank_request rank_facet = RANK(.kind = INS_RANK_FACET, .key = TEXT("who"));
static const ins_rank_request rank_groups =
    RANK(.kind = INS_RANK_NEAREST, .positive = &near_example[1], .positive_count = 1,
         .group_size = 2, .group_key = TEXT("who"));
static const ins_rank_request rank_groups_id =
    RANK(.kind = INS_RANK_ID, .group_size = 2, .group_key = TEXT("x"));

static const ins_tenants_request tenants = {.collection = TEXT("c"), .limit = 5};
static const ins_tenants_request tenant_t1 = {.collection = TEXT("c"), .name = TEXT("t1")};
static const ins_tenants_request tenant_none = {.collection = TEXT("s"), .name = TEXT("none")};
static const ins_collection_request shard_new = {.collection = TEXT("s"),
                                                 .shard_key = {.text = TEXT("new")}};
static const ins_collection_request collection_new = {
    .collection = TEXT("new"), .dim = DIM, .distance = INS_DISTANCE_DOT};
static const ins_collection_request collection_info = {.collection = TEXT("s"),
                                                       .with_shards = true};
static const ins_vector_params second = {
    .name = TEXT("second"), .dim = 3, .distance = INS_DISTANCE_COSINE, .datatype = INS_FLOAT32};
static const ins_collection_request vector_new = {
    .collection = TEXT("c"), .vectors = &second, .vector_count = 1};
static const ins_collection_request index_new = {
    .collection = TEXT("c"), .field = TEXT("x"), .schema = TEXT("\"integer\"")};
static const ins_alias_change alias_made[] = {
    {.kind = INS_ALIAS_CREATE, .alias = TEXT("a"), .target = TEXT("c")}};
static const ins_alias_change alias_gone[] = {{.kind = INS_ALIAS_DELETE, .alias = TEXT("a")}};
static const ins_alias_request alias_new = {.changes = alias_made, .change_count = 1};
static const ins_alias_request alias_old = {.changes = alias_gone, .change_count = 1};

struct attempt {
    const char *what;
    ins_start start;
    const void *request;
    bool is_read;   /* nothing but the cache may change */
    ins_start undo; /* of what may have happened once only */
    const void *undo_request;
};

static const struct attempt attempts[] = {
    {"get", ins_points_get, &get, true, NULL, NULL},
    {"scroll", ins_points_scroll, &scroll, true, NULL, NULL},
    {"scroll with a filter", ins_points_scroll, &scroll_odd, true, NULL, NULL},
    {"count with a filter", ins_points_count, &count_odd, true, NULL, NULL},
    {"query", ins_points_query, &query, true, NULL, NULL},
    {"query with a filter", ins_points_query, &query_odd, true, NULL, NULL},
    {"query of a tenant", ins_points_query, &query_t1, true, NULL, NULL},
    {"exact query", ins_points_query, &query_exact, true, NULL, NULL},
    {"query of a graph", ins_points_query, &query_graph, true, NULL, NULL},
    {"query of shard keys", ins_points_query, &query_shards, true, NULL, NULL},
    {"average", ins_points_rank, &rank_average, true, NULL, NULL},
    {"best", ins_points_rank, &rank_best, true, NULL, NULL},
    {"discover", ins_points_rank, &rank_discover, true, NULL, NULL},
    {"order", ins_points_rank, &rank_order, true, NULL, NULL},
    {"sample", ins_points_rank, &rank_sample, true, NULL, NULL},
    {"facet", ins_points_rank, &rank_facet, true, NULL, NULL},
    {"groups", ins_points_rank, &rank_groups, true, NULL, NULL},
    {"groups by id", ins_points_rank, &rank_groups_id, true, NULL, NULL},
    {"tenants", ins_tenants_list, &tenants, true, NULL, NULL},
    {"tenant", ins_tenant_get, &tenant_t1, true, NULL, NULL},
    {"collection", ins_collection_get, &collection_info, true, NULL, NULL},
    {"delete a tenant", ins_tenant_delete, &tenant_none, false, NULL, NULL},
    {"upsert", ins_points_upsert, &put_two, false, NULL, NULL},
    {"set payload by id", ins_points_set_payload, &set_id, false, NULL, NULL},
    {"delete a vector by id", ins_points_delete_vectors, &no_vector_id, false, NULL, NULL},
    {"set payload by filter", ins_points_set_payload, &set_odd, false, NULL, NULL},
    {"set a tenant's payload", ins_points_set_payload, &set_t1, false, NULL, NULL},
    {"delete payload by filter", ins_points_delete_payload, &unset_odd, false, NULL, NULL},
    {"move by filter", ins_points_set_payload, &move_t1, false, NULL, NULL},
    {"set payload in shard keys", ins_points_set_payload, &set_shards, false, NULL, NULL},
    {"batch", ins_points_batch, &batch, false, NULL, NULL},
    {"shard key", ins_shard_key_create, &shard_new, false, ins_shard_key_delete, &shard_new},
    {"create a collection", ins_collection_create, &collection_new, false, ins_collection_delete,
     &collection_new},
    {"vector", ins_vector_create, &vector_new, false, ins_vector_delete, &vector_new},
    {"index", ins_index_create, &index_new, false, ins_index_delete, &index_new},
    {"alias", ins_aliases_change, &alias_new, false, ins_aliases_change, &alias_old},
};

/* ---- Faults ---- */

static void rest(struct world *world) {
    for (uint32_t steps = 0; sim_step(&world->lanes); steps++) {
        if (steps > 1000000) {
            world_fail(world, "the lanes do not come to rest");
        }
    }
    directory_views_close(world->db); /* they stay open on purpose */
}

static void compare_use(struct world *world, const struct attempt *attempt,
                        const struct arena_usage *before) {
    static const enum ins_mem_purpose always[] = {INS_MEM_QUERY, INS_MEM_JOB, INS_MEM_GRAPH};
    static const enum ins_mem_purpose reads[] = {INS_MEM_CATALOG, INS_MEM_MEMTABLE, INS_MEM_LOG};
    struct arena_usage after;
    rest(world);
    arena_get_usage(world->db->arena, &after);
    for (size_t i = 0; i < 3; i++) {
        enum ins_mem_purpose purpose = always[i];
        bool same = after.purpose_used[purpose] == before->purpose_used[purpose];
        purpose = reads[i];
        bool same_read =
            !attempt->is_read || after.purpose_used[purpose] == before->purpose_used[purpose];
        if (!same || !same_read) {
            (void)fprintf(stderr, "%s: purpose %d, before %llu, after %llu\n", attempt->what,
                          same ? (int)reads[i] : (int)always[i],
                          (unsigned long long)before->purpose_used[same ? reads[i] : always[i]],
                          (unsigned long long)after.purpose_used[same ? reads[i] : always[i]]);
            world_fail(world, "memory is kept");
        }
    }
    if (world->db->operations != 0) {
        world_fail(world, "an operation is still under way");
    }
}

static void undo(struct world *world, const struct attempt *attempt) {
    if (attempt->undo != NULL) {
        world_run_ok(world, attempt->undo, attempt->undo_request);
    }
}

/* True when the allocation was made, and failed. */
static bool try_one(struct world *world, const struct attempt *attempt, uint64_t countdown) {
    struct arena_usage before;
    ins_call call;
    rest(world);
    arena_get_usage(world->db->arena, &before);
    arena_fail_at(world->db->arena, countdown);
    ins_status status = world_run(world, attempt->start, attempt->request, &call);
    if (status != INS_OK && call.error.message[0] == 0) {
        world_fail(world, "an error without a message");
    }
    if (status == INS_INVALID || status == INS_UNPROCESSABLE || status == INS_NOT_FOUND) {
        world_fail(world, "a lack of memory, told as the caller's mistake");
    }
    ins_call_release(&call);
    rest(world);
    bool failed = world->db->arena->fail_countdown == 0;
    arena_fail_at(world->db->arena, 0);
    if (status != INS_OK && !failed) {
        world_fail(world, call.error.message);
    }
    compare_use(world, attempt, &before);
    if (status == INS_OK) {
        undo(world, attempt);
    }
    if (failed) {
        world_run_ok(world, attempt->start, attempt->request);
        undo(world, attempt);
    }
    return failed;
}

/* ---- Changes by filter of many records: whole, or not there ---- */

static uint64_t count_value(struct world *world, int64_t value) {
    ins_value is = {.kind = INS_VALUE_INTEGER, .integer = value};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = world_text("new"), .values = &is, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = world_text("c"), .filter = &filter};
    ins_call call;
    if (world_run(world, ins_points_count, &request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    ins_call_release(&call);
    return call.count;
}

/* True when the allocation was made, and failed. */
static bool change_all(struct world *world, bool no_wait, int64_t value) {
    char change[48];
    (void)snprintf(change, sizeof(change), "{\"new\":%lld}", (long long)value);
    ins_points_request request = {.collection = world_text("c"),
                                  .filter = &odd,
                                  .change = world_text(change),
                                  .no_wait = no_wait};
    ins_call call;
    rest(world);
    arena_fail_at(world->db->arena, world->step);
    ins_status status = world_run(world, ins_points_set_payload, &request, &call);
    ins_call_release(&call);
    world_wait_changes(world);
    rest(world);
    bool failed = world->db->arena->fail_countdown == 0;
    arena_fail_at(world->db->arena, 0);
    uint64_t changed = count_value(world, value);
    if (changed != 0 && changed != POINTS / 2) {
        (void)fprintf(stderr, "%llu points, status %d: %s\n", (unsigned long long)changed,
                      (int)status, call.error.message);
        world_fail(world, "a change by filter is half done");
    }
    if (status == INS_OK && changed == 0) {
        world_fail(world, "a change by filter was answered and is lost");
    }
    return failed;
}

static uint64_t try_changes(struct world *world) {
    uint64_t runs = 0;
    int64_t value = 100;
    for (int no_wait = 0; no_wait < 2; no_wait++) {
        world->what = no_wait != 0 ? "a change that does not wait" : "a change that waits";
        world->step = 1;
        while (change_all(world, no_wait != 0, value++)) {
            world->step++;
            runs++;
            world_run_ok(world, ins_flush, NULL);
        }
    }
    return runs;
}

/* ---- Building a graph: it is made, or the run is scanned ---- */

/* True when the allocation was made, and failed. */
static bool build_graph(uint64_t countdown) {
    struct world world = {.seed = 2, .what = "a graph", .step = countdown};
    struct arena_usage before, after;
    ins_call call;
    world_init(&world);
    world.options.graph_bytes_min = 8 * DIM * sizeof(float);
    world_open(&world);
    rest(&world);
    arena_get_usage(world.db->arena, &before);
    load_rows(&world);
    while (world.db->graph_job == NULL) {
        step(&world, "no graph is begun");
    }
    arena_fail_at(world.db->arena, countdown);
    while (world.db->graph_job != NULL) {
        step(&world, "a graph does not end");
    }
    bool failed = world.db->arena->fail_countdown == 0;
    arena_fail_at(world.db->arena, 0);
    rest(&world);
    arena_get_usage(world.db->arena, &after);
    if (world.db->graphs.built + world.db->graphs.refused != 1 ||
        (!failed && world.db->graphs.built == 0)) {
        world_fail(&world, "a graph is neither made nor refused");
    }
    if (after.purpose_used[INS_MEM_GRAPH] != 0 ||
        after.purpose_limit[INS_MEM_CACHE] != before.purpose_limit[INS_MEM_CACHE] ||
        after.purpose_used[INS_MEM_JOB] != before.purpose_used[INS_MEM_JOB]) {
        world_fail(&world, "a graph keeps memory");
    }
    if (world_run(&world, ins_points_query, &query_graph, &call) != INS_OK ||
        call.points.count != query_graph.limit) {
        world_fail(&world, "a query finds too little");
    }
    ins_call_release(&call);
    upsert(&world, "g", NULL, 0, 1); /* writes go on */
    world_fini(&world);
    return failed;
}

static uint64_t try_graphs(void) {
    uint64_t countdown = 1;
    while (build_graph(countdown)) {
        countdown++;
    }
    (void)printf("a graph: %llu allocations\n", (unsigned long long)countdown - 1);
    return countdown - 1;
}

/* ---- Making a fast layout: it is made, or searches go on without it ---- */

static void query_ten(struct world *world) {
    ins_call call;
    if (world_run(world, ins_points_query, &query_graph, &call) != INS_OK ||
        call.points.count != query_graph.limit) {
        world_fail(world, "a query finds too little");
    }
    ins_call_release(&call);
}

/* True when the allocation was made, and failed. */
static bool build_layout(uint64_t countdown) {
    struct world world = {.seed = 2, .what = "a layout", .step = countdown};
    struct arena_usage before, after;
    struct layouts_stats layouts;
    world_init(&world);
    world.options.graph_bytes_min = 8 * DIM * sizeof(float);
    world_open(&world);
    load_graph(&world);
    query_ten(&world); /* what it reads is at hand from here on */
    ins_collection_request always = {.collection = world_text("g"),
                                     .settings =
                                         world_text("{\"hnsw_config\":{\"inline_storage\":true}}")};
    world_run_ok(&world, ins_collection_update, &always);
    rest(&world);
    arena_get_usage(world.db->arena, &before);
    query_ten(&world);
    if (world.db->layout_job == NULL) {
        world_fail(&world, "no layout is begun");
    }
    arena_fail_at(world.db->arena, countdown);
    while (world.db->layout_job != NULL) {
        step(&world, "a layout does not end");
    }
    bool failed = world.db->arena->fail_countdown == 0;
    arena_fail_at(world.db->arena, 0);
    rest(&world);
    arena_get_usage(world.db->arena, &after);
    layouts_get_stats(world.db->cache, &layouts);
    if (layouts.made + failed != 1 ||
        (failed && after.purpose_used[INS_MEM_CACHE] != before.purpose_used[INS_MEM_CACHE]) ||
        after.purpose_used[INS_MEM_JOB] != before.purpose_used[INS_MEM_JOB] ||
        after.purpose_used[INS_MEM_QUERY] != before.purpose_used[INS_MEM_QUERY]) {
        world_fail(&world, "a layout is neither made nor refused, or keeps memory");
    }
    query_ten(&world);
    world_fini(&world);
    return failed;
}

static uint64_t try_layouts(void) {
    uint64_t countdown = 1;
    while (build_layout(countdown)) {
        countdown++;
    }
    (void)printf("a layout: %llu allocations\n", (unsigned long long)countdown - 1);
    return countdown - 1;
}

/* ---- Moving a full collection to islands: it is done in the end, whatever failed ---- */

static void count_points(struct world *world, uint64_t wanted) {
    ins_points_request all = {.collection = world_text("g")};
    ins_call call;
    if (world_run(world, ins_points_count, &all, &call) != INS_OK || call.count != wanted) {
        world_fail(world, "points are lost, or there twice");
    }
    ins_call_release(&call);
}

/* It may be refused for now: then once more. */
static void upsert_while_moving(struct world *world) {
    float vector[DIM] = {1};
    ins_point point = {.id = {.low = POINTS},
                       .vector = vector,
                       .dim = DIM,
                       .payload = world_text("{\"who\":\"new\"}")};
    ins_points_request request = {
        .collection = world_text("g"), .points = &point, .point_count = 1};
    ins_call call;
    ins_status status = world_run(world, ins_points_upsert, &request, &call);
    ins_call_release(&call);
    if (status != INS_OK) {
        world_run_ok(world, ins_points_upsert, &request);
    }
}

/* True when the allocation was made, and failed. */
static bool move_rows(uint64_t countdown) {
    struct world world = {.seed = 4, .what = "a move", .step = countdown};
    ins_call call;
    world_init(&world);
    world_open(&world);
    load_rows(&world);
    ins_collection_request index = {.collection = world_text("g"),
                                    .field = world_text("who"),
                                    .schema = world_text("\"keyword\""),
                                    .is_tenant = true};
    rest(&world);
    arena_fail_at(world.db->arena, countdown);
    ins_status status = world_run(&world, ins_index_create, &index, &call);
    ins_call_release(&call);
    upsert_while_moving(&world);
    while (world.db->move != NULL) {
        step(&world, "a move does not end");
    }
    rest(&world);
    bool failed = world.db->arena->fail_countdown == 0;
    arena_fail_at(world.db->arena, 0);
    count_points(&world, POINTS + 1);
    const struct scope *scope = catalog_find_newest(&world.db->catalog, world_text("g"));
    bool wanted = status == INS_OK && !scope->move_failed && move_field(scope->schema) != NULL;
    if (scope->directory == NULL && wanted) {
        moves_kick(world.db); /* not even begun: for want of memory */
        while (world.db->move != NULL) {
            step(&world, "a move does not end");
        }
        scope = catalog_find_newest(&world.db->catalog, world_text("g"));
    }
    if (status == INS_OK && scope->directory == NULL) {
        world_fail(&world, "an index does not come into force");
    }
    world_end(&world, countdown % 2 == 0);
    world_open(&world);
    rest(&world);
    count_points(&world, POINTS + 1);
    world_fini(&world);
    return failed;
}

static uint64_t try_moves(void) {
    uint64_t countdown = 1;
    while (move_rows(countdown)) {
        countdown++;
    }
    (void)printf("a move: %llu allocations\n", (unsigned long long)countdown - 1);
    return countdown - 1;
}

/* ---- A flush and the jobs behind it: done, or writes stop, and nothing is lost ---- */

static void check_all_there(struct world *world) {
    ins_points_request all = {.collection = world_text("g")};
    ins_call call;
    if (world_run(world, ins_points_count, &all, &call) != INS_OK || call.count != POINTS) {
        world_fail(world, "points are lost");
    }
    ins_call_release(&call);
}

/* True when the allocation was made, and failed. */
static bool flush_rows(uint64_t countdown, uint32_t *stops) {
    struct world world = {.seed = 3, .what = "a flush and what follows", .step = countdown};
    ins_call call;
    world_init(&world);
    world_open(&world);
    load_rows(&world);
    for (uint32_t i = 0; i < INS_RUNS_MERGE; i++) {
        upsert(&world, "g", NULL, 0, POINTS / 2);
        if (i + 1 < INS_RUNS_MERGE) {
            world_run_ok(&world, ins_flush, NULL);
        }
    }
    arena_fail_at(world.db->arena, countdown);
    ins_status status = world_run(&world, ins_flush, NULL, &call);
    ins_call_release(&call);
    rest(&world);
    bool failed = world.db->arena->fail_countdown == 0;
    arena_fail_at(world.db->arena, 0);
    bool stopped = world.db->writes_stopped;
    if ((status != INS_OK || stopped) && !failed) {
        world_fail(&world, call.error.message);
    }
    if (stopped && world.db->failure.message[0] == 0) {
        world_fail(&world, "writes stop without a reason");
    }
    check_all_there(&world);
    world_end(&world, countdown % 2 == 0);
    world_open(&world);
    check_all_there(&world);
    upsert(&world, "g", NULL, 0, 1); /* writes go on */
    world_run_ok(&world, ins_flush, NULL);
    check_all_there(&world);
    world_fini(&world);
    *stops += stopped;
    return failed;
}

static uint64_t try_flushes(void) {
    uint64_t countdown = 1;
    uint32_t stops = 0;
    while (flush_rows(countdown, &stops)) {
        countdown++;
    }
    (void)printf("a flush and what follows: %llu allocations, %u stop writes until a start\n",
                 (unsigned long long)countdown - 1, stops);
    return countdown - 1;
}

int main(int argc, char **argv) {
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t runs = 0;
    struct world world = {.seed = 1, .what = "load"};
    world_init(&world);
    world.options.generation_bytes = 1u << 20; /* jobs have their turns between the operations */
    world.options.graph_bytes_min = 8 * DIM * sizeof(float);
    world_open(&world);
    load(&world);
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        world.what = attempts[i].what;
        world_run_ok(&world, attempts[i].start, attempts[i].request); /* what is cold is read */
        undo(&world, &attempts[i]);
        if (!attempts[i].is_read) {
            world_run_ok(&world, ins_flush, NULL);
        }
        for (world.step = 1; try_one(&world, &attempts[i], world.step); world.step += stride) {
            runs++;
            if (world.step > COUNTDOWN_MAX) {
                world_fail(&world, "too many allocations");
            }
        }
        (void)printf("%s: %llu allocations\n", world.what, (unsigned long long)world.step - 1);
    }
    runs += try_changes(&world) + try_graphs() + try_layouts() + try_moves() + try_flushes();
    world_end(&world, true);
    world_open(&world);
    world.what = "after a power cut";
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        world_run_ok(&world, attempts[i].start, attempts[i].request);
        undo(&world, &attempts[i]);
    }
    world_fini(&world);
    (void)printf("%llu runs\n", (unsigned long long)runs);
    return runs < 100 ? 1 : 0;
}
