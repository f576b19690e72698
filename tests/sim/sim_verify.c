/* All is quiet: the whole database equals the model. */
#include <stdio.h>
#include <string.h>

#include "engine/engine_private.h"
#include "sim.h"

static void verify_done(ins_call *call) {
    ((struct sim_slot *)call->user)->busy = false;
}

static void run_read(struct sim *sim, struct sim_slot *slot, ins_start start, const void *request) {
    slot->busy = true;
    slot->call = (ins_call){.done = verify_done, .user = slot, .lane = INS_LANE_REQUEST};
    start(sim->db, request, &slot->call);
    while (slot->busy && (sim_step(&sim->lanes) || sim_run_timer(&sim->lanes))) {
    }
    if (slot->busy) {
        sim_fail(sim, "a read waits for ever");
    }
}

/* Runs one read of slot 0 and compares it. */
static void ask(struct sim *sim, struct sim_slot *slot, enum sim_read_kind kind, ins_start start,
                const void *request) {
    slot->kind = kind;
    slot->from_lsn = sim->model.lsn;
    run_read(sim, slot, start, request);
    sim_check_read(sim, slot);
    ins_call_release(&slot->call);
}

bool sim_point_version(struct sim *sim, uint32_t name, uint32_t id, uint64_t *out_lsn) {
    struct sim_slot *slot = &sim->slots[0];
    slot->point_ids[0] = model_id(&sim->model.current[name]->shape, id);
    slot->points_request = (ins_points_request){
        .collection = {.data = sim_name(name), .size = 4}, .ids = slot->point_ids, .id_count = 1};
    run_read(sim, slot, ins_points_get, &slot->points_request);
    bool answered = slot->call.status == INS_OK;
    *out_lsn = answered && slot->call.points.count > 0 ? slot->call.points.items[0].version : 0;
    ins_call_release(&slot->call);
    return answered;
}

static void verify_filter(struct sim *sim, struct sim_slot *slot,
                          const struct model_filter *filter) {
    const struct model_shape *shape = &slot->collection->shape;
    slot->points_request =
        (ins_points_request){.collection = {.data = sim_name(slot->write.name), .size = 4},
                             .limit = MODEL_IDS + 1,
                             .payload = {.kind = INS_SELECT_ALL},
                             .with_vector = true};
    sim_filter_fill(slot, filter, shape);
    ask(sim, slot, READ_SCROLL, ins_points_scroll, &slot->points_request);
    ask(sim, slot, READ_COUNT, ins_points_count, &slot->points_request);
    struct model_filter plain = slot->filter;
    sim_fill_rank(sim, slot, shape);
    ask(sim, slot, READ_RANK, ins_points_rank, &slot->rank);
    slot->filter = plain;
    if (!sim_query_vector(sim, slot, shape)) {
        return;
    }
    slot->points_request.limit = 1 + sim_below(&sim->random, MODEL_IDS + 10);
    ask(sim, slot, READ_QUERY, ins_points_query, &slot->points_request);
}

static void verify_get(struct sim *sim, struct sim_slot *slot) {
    const struct model_shape *shape = &slot->collection->shape;
    slot->filter = (struct model_filter){0};
    for (uint32_t first = 0; first < shape->id_count; first += slot->id_count) {
        uint32_t left = shape->id_count - first;
        slot->id_count = left < MODEL_BATCH ? left : MODEL_BATCH;
        for (uint32_t i = 0; i < slot->id_count; i++) {
            slot->ids[i] = first + i;
            slot->point_ids[i] = model_id(shape, first + i);
        }
        slot->points_request.filter = NULL;
        slot->points_request.ids = slot->point_ids;
        slot->points_request.id_count = slot->id_count;
        ask(sim, slot, READ_GET, ins_points_get, &slot->points_request);
    }
}

static void verify_collection(struct sim *sim, uint32_t name) {
    struct sim_slot *slot = &sim->slots[0];
    slot->write = (struct model_write){.name = name};
    slot->is_write = slot->is_flush = false;
    slot->filter = (struct model_filter){0};
    slot->points_request = (ins_points_request){0};
    slot->collection = sim->model.current[name];
    slot->collection_request =
        (ins_collection_request){.collection = {.data = sim_name(name), .size = 4}};
    if (slot->collection != NULL && sim_is_shut(slot->collection)) {
        return;
    }
    ask(sim, slot, READ_INFO, ins_collection_get, &slot->collection_request);
    if (slot->collection == NULL) {
        return;
    }
    struct model_filter filter = {.kind = FILTER_NONE};
    verify_filter(sim, slot, &filter);
    verify_get(sim, slot);
    for (int who = 0; who < MODEL_WHO; who++) {
        filter = (struct model_filter){.kind = FILTER_WHO, .a = who};
        verify_filter(sim, slot, &filter);
    }
    for (int kind = FILTER_WHO_ANY; kind < FILTER_KINDS; kind++) {
        filter = (struct model_filter){.kind = (enum model_filter_kind)kind,
                                       .a = (int)sim_below(&sim->random, 6),
                                       .b = (int)sim_below(&sim->random, 3)};
        verify_filter(sim, slot, &filter);
    }
}

/* ins_collection_list names what is there, and nothing else. */
static void verify_names(struct sim *sim) {
    struct sim_slot *slot = &sim->slots[0];
    slot->busy = true;
    slot->call = (ins_call){.done = verify_done, .user = slot, .lane = INS_LANE_REQUEST};
    ins_collection_list(sim->db, NULL, &slot->call);
    while (slot->busy && sim_step(&sim->lanes)) {
    }
    if (slot->busy || slot->call.status != INS_OK) {
        sim_fail(sim, "list: %d %s", (int)slot->call.status, slot->call.error.message);
    }
    size_t there = 0;
    for (uint32_t name = 0; name < MODEL_NAMES; name++) {
        there += sim->model.current[name] != NULL;
        for (size_t i = 0; i < slot->call.name_count; i++) {
            const ins_text *got = &slot->call.names[i];
            if (memcmp(got->data, sim_name(name), 4) == 0 && sim->model.current[name] == NULL) {
                sim_fail(sim, "list: %s should be gone", sim_name(name));
            }
        }
    }
    if (there != slot->call.name_count) {
        sim_fail(sim, "list: %zu names, should be %zu", slot->call.name_count, there);
    }
    ins_call_release(&slot->call);
}

static bool text_is(ins_text got, const char *expect) {
    return got.size == strlen(expect) && memcmp(got.data, expect, got.size) == 0;
}

/* Each alias that the model has leads where it should, and there is no other. */
static void check_aliases(const struct sim *sim, const ins_call *call) {
    size_t there = 0;
    for (uint32_t i = 0; i < MODEL_ALIASES; i++) {
        const struct model_collection *expect = sim->model.aliases[i], *got = NULL;
        there += expect != NULL;
        for (size_t k = 0; k < call->alias_count; k++) {
            for (uint32_t name = 0; name < MODEL_NAMES; name++) {
                if (text_is(call->aliases[k].alias, sim_alias(i)) &&
                    text_is(call->aliases[k].collection, sim_name(name))) {
                    got = sim->model.current[name];
                }
            }
        }
        if (got != expect) {
            sim_fail(sim, "alias %s does not lead where it should", sim_alias(i));
        }
    }
    if (there != call->alias_count) {
        sim_fail(sim, "%zu aliases, should be %zu", call->alias_count, there);
    }
}

static void verify_aliases(struct sim *sim) {
    struct sim_slot *slot = &sim->slots[0];
    slot->busy = true;
    slot->call = (ins_call){.done = verify_done, .user = slot, .lane = INS_LANE_REQUEST};
    slot->alias_request = (ins_alias_request){0};
    ins_aliases_list(sim->db, &slot->alias_request, &slot->call);
    while (slot->busy && sim_step(&sim->lanes)) {
    }
    if (slot->busy || slot->call.status != INS_OK) {
        sim_fail(sim, "aliases: %d %s", (int)slot->call.status, slot->call.error.message);
    }
    check_aliases(sim, &slot->call);
    ins_call_release(&slot->call);
}

void sim_verify(struct sim *sim) {
    islands_check(&sim->db->islands);
    ins_stats stats;
    ins_db_stats(sim->db, &stats);
    for (uint32_t name = 0; name < MODEL_NAMES; name++) {
        const struct model_collection *collection = sim->model.current[name];
        if (collection != NULL && collection->loose && stats.lsn_durable > sim->model.lsn) {
            sim->model.lsn = stats.lsn_durable; /* pieces that its points could not yet tell */
        }
    }
    if (stats.lsn_durable != sim->model.lsn) {
        sim_fail(sim, "durable LSN %llu, the last acknowledged is %llu",
                 (unsigned long long)stats.lsn_durable, (unsigned long long)sim->model.lsn);
    }
    verify_names(sim);
    verify_aliases(sim);
    for (uint32_t name = 0; name < sim->config.name_count; name++) {
        verify_collection(sim, name);
    }
}
