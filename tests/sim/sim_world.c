#include "sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_fail(const struct world *world, const char *text) {
    (void)fprintf(stderr, "FAILED: seed %llu, %s, end after step %llu: %s\n",
                  (unsigned long long)world->seed, world->what, (unsigned long long)world->step,
                  text);
    exit(1);
}

ins_text world_text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

void world_init(struct world *world) {
    struct store_memory_options options = {.seed = world->seed};
    if (store_memory_open(&options, &world->store) != INS_OK) {
        abort();
    }
    sim_runtime_init(&world->lanes, world->store, world->seed);
    world->options = (ins_options){.memory_budget = INS_MEMORY_BUDGET_MIN,
                                   .log_file_bytes = 256u << 10,
                                   .generation_bytes = 64u << 10,
                                   .change_points = WORLD_CHUNK};
}

void world_fini(struct world *world) {
    sim_drop_all(&world->lanes);
    ins_db_close(world->db);
    ins_store_close(world->store);
}

void world_open(struct world *world) {
    ins_error error = {0};
    if (ins_db_open(&world->options, &world->lanes.runtime, &world->db, &error) != INS_OK) {
        world_fail(world, error.message);
    }
}

void world_end(struct world *world, bool power_cut) {
    sim_drop_all(&world->lanes);
    ins_db_close(world->db);
    world->db = NULL;
    (power_cut ? store_memory_crash : store_memory_kill)(world->store);
}

void world_call_done(ins_call *call) {
    *(bool *)call->user = true;
}

ins_status world_run(struct world *world, ins_start start, const void *request, ins_call *call) {
    bool done = false;
    *call = (ins_call){.done = world_call_done, .user = &done, .lane = INS_LANE_REQUEST};
    start(world->db, request, call);
    while (!done && (sim_step(&world->lanes) || sim_run_timer(&world->lanes))) {
    }
    if (!done) {
        world_fail(world, "a call waits for ever");
    }
    return call->status;
}

void world_run_ok(struct world *world, ins_start start, const void *request) {
    ins_call call;
    if (world_run(world, start, request, &call) != INS_OK) {
        world_fail(world, call.error.message);
    }
    ins_call_release(&call);
}

void world_wait_changes(struct world *world) {
    for (uint64_t steps = 0; world->db->changes > 0; steps++) {
        if ((!sim_step(&world->lanes) && !sim_run_timer(&world->lanes)) || steps > 1000000) {
            world_fail(world, "the change does not go on");
        }
    }
}
