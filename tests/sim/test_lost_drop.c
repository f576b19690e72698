/* A vector's drop that the log loses. Goal: after the start the collection has the vector, so its
 * points must have their values, though a flush went on while the drop was not durable.
 * Method: a generation is frozen and its flush put off; then the log stands still, the vector is
 * dropped, the flush's time comes, and the process is killed. */
#include "sim_world.h"

static void run_tasks(struct world *world, uint64_t until_ns) {
    while (sim_step(&world->lanes) ||
           (world->lanes.now_ns < until_ns && sim_run_timer(&world->lanes))) {
    }
}

static void load(struct world *world) {
    ins_collection_request create = {
        .collection = world_text("c"), .dim = 2, .distance = INS_DISTANCE_DOT};
    world_run_ok(world, ins_collection_create, &create);
    ins_vector_params params = {
        .name = world_text("v"), .dim = 3, .distance = INS_DISTANCE_DOT, .datatype = INS_FLOAT32};
    ins_collection_request add = {
        .collection = world_text("c"), .vectors = &params, .vector_count = 1};
    world_run_ok(world, ins_vector_create, &add);
    float unnamed[2] = {1, 2}, values[3] = {3, 4, 5};
    ins_vector named = {.name = world_text("v"), .values = values, .dim = 3};
    ins_point point = {
        .id = {.low = 7}, .vector = unnamed, .dim = 2, .vectors = &named, .vector_count = 1};
    ins_points_request upsert = {.collection = world_text("c"), .points = &point, .point_count = 1};
    world_run_ok(world, ins_points_upsert, &upsert);
}

int main(void) {
    struct world world = {.seed = 5, .what = "a vector's drop is lost"};
    world_init(&world);
    world_open(&world);
    load(&world);
    world.db->put_off.status = INS_FULL; /* as if a flush had found the disk full */
    world.db->put_off_until_ns = world.lanes.now_ns + 1000000000;
    ins_call call;
    (void)world_run(&world, ins_flush, NULL, &call);
    ins_call_release(&call);
    run_tasks(&world, 0);
    if (world.db->reading.generations[1 - world.db->reading.active_slot] == NULL) {
        world_fail(&world, "nothing is frozen");
    }
    world.lanes.held = 1u << INS_LANE_LOG;
    bool done = false;
    ins_vector_params params = {.name = world_text("v")};
    ins_collection_request drop = {
        .collection = world_text("c"), .vectors = &params, .vector_count = 1};
    ins_call dropping = {.done = world_call_done, .user = &done, .lane = INS_LANE_REQUEST};
    ins_vector_delete(world.db, &drop, &dropping);
    run_tasks(&world, world.db->put_off_until_ns + 1000000000);
    if (done) {
        world_fail(&world, "the log did not stand still");
    }
    world.lanes.held = 0;
    world_end(&world, false);
    world_open(&world);
    ins_id id = {.low = 7};
    ins_points_request get = {
        .collection = world_text("c"), .ids = &id, .id_count = 1, .with_vector = true};
    if (world_run(&world, ins_points_get, &get, &call) != INS_OK || call.points.count != 1) {
        world_fail(&world, "the point is lost");
    }
    const ins_point *point = &call.points.items[0];
    if (point->vector_count != 1 || point->vectors[0].dim != 3) {
        world_fail(&world, "its values are lost");
    }
    ins_call_release(&call);
    world_fini(&world);
    return 0;
}
