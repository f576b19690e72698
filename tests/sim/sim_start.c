/* One operation at random: what it asks for, and the request that the engine borrows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define MIB (1ull << 20)

static ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

static int any_who(struct sim_random *random) {
    return sim_once_in(random, 6) ? -1 - (int)sim_below(random, 5)
                                  : (int)sim_below(random, MODEL_WHO);
}

/* ---- Writes ---- */

static ins_vector_params any_vector(struct sim_random *random, const char *name) {
    /* Without a number of its own: seeds that found bugs go on as they did. */
    bool multi = sim_mix(random->state + 1) % 4 == 0;
    return (ins_vector_params){
        .name = text(name),
        .dim = 1 + sim_below(random, MODEL_DIM_MAX),
        .distance = (ins_distance)(1 + sim_below(random, 4)),
        .datatype = sim_once_in(random, 2) ? INS_FLOAT32 : (ins_datatype)(1 + sim_below(random, 3)),
        .multi = multi};
}

static struct model_shape any_shape(struct sim_random *random) {
    static const uint32_t counts[] = {6, 20, 60, MODEL_IDS};
    static const uint32_t pads[] = {0, 200, 2000, MODEL_PAYLOAD_MAX - 400};
    static const char *const names[MODEL_VECTORS] = {"", "text", "image"};
    struct model_shape shape = {
        .lacking = sim_once_in(random, 3),
        .id_count = counts[sim_below(random, 4)],
        .pad_max = pads[sim_below(random, 4)],
        .uuids = sim_once_in(random, 3),
    };
    /* The unnamed vector alone in half of the cases; none in a tenth. */
    uint32_t count = sim_once_in(random, 2) ? 1 : sim_below(random, MODEL_VECTORS + 1);
    uint32_t first = count < MODEL_VECTORS && count > 1 ? sim_below(random, 2) : 0;
    shape.vector_count = sim_once_in(random, 10) ? 0 : count;
    for (uint32_t i = 0; i < shape.vector_count; i++) {
        shape.vectors[i] = any_vector(random, names[first + i]);
    }
    return shape;
}

static bool name_has_write(const struct sim *sim, uint32_t name, bool by_filter) {
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *slot = &sim->slots[i];
        if (slot->busy && slot->is_write &&
            ((!by_filter && slot->write.name == name) ||
             (by_filter && model_is_long(slot->write.kind) &&
              (name == UINT32_MAX || slot->write.name == name)))) {
            return true;
        }
    }
    return false;
}

/* The shape that a writer believes the collection to have: the newest create's. */
static const struct model_shape *believed_shape(const struct sim *sim, uint32_t name) {
    const struct model_shape *shape =
        sim->model.current[name] != NULL ? &sim->model.current[name]->shape : NULL;
    uint64_t newest = 0;
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *slot = &sim->slots[i];
        if (slot->busy && slot->is_write && slot->write.kind == WRITE_CREATE &&
            slot->write.name == name && slot->call.lsn > newest) {
            shape = &slot->write.shape;
            newest = slot->call.lsn;
        }
    }
    return shape;
}

static bool name_is_busy(const struct sim *sim, uint32_t name, bool alone) {
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *slot = &sim->slots[i];
        bool same = slot->busy && slot->started && !slot->is_flush && slot->write.name == name;
        if (same && (!alone || (slot->is_write && model_is_alone(slot->write.kind)))) {
            return true;
        }
    }
    return false;
}

/* One that has the collection to itself; an upsert when others are there. */
static enum model_kind kind_alone(struct sim *sim, uint32_t name) {
    static const enum model_kind kinds[] = {WRITE_CHANGE_FILTER, WRITE_BATCH,
                                            WRITE_BATCH,         WRITE_VECTOR_ADD,
                                            WRITE_VECTOR_DROP,   WRITE_CHANGE_FILTER};
    const struct model_collection *collection = sim->model.current[name];
    enum model_kind kind = kinds[sim_below(&sim->random, 6)];
    if (collection == NULL || name_is_busy(sim, name, false)) {
        return WRITE_UPSERT;
    }
    uint32_t vectors = collection->shape.vector_count;
    bool fits = kind == WRITE_VECTOR_ADD ? vectors < MODEL_VECTORS
                : kind == WRITE_VECTOR_DROP
                    ? vectors > 1
                    : !collection->loose && !name_has_write(sim, UINT32_MAX, true);
    return fits ? kind : WRITE_UPSERT;
}

static enum model_kind any_kind(struct sim *sim, uint32_t name, bool there) {
    struct sim_random *random = &sim->random;
    if (!there) {
        return sim_once_in(random, 10) ? WRITE_DROP : WRITE_CREATE;
    }
    uint32_t dice = sim_below(random, 100);
    if (dice < 2) {
        return WRITE_DROP;
    }
    if (dice < 4) {
        return sim_once_in(random, 2) ? WRITE_CREATE : WRITE_INDEX_DROP;
    }
    if (dice < 6) {
        return WRITE_ALIAS;
    }
    const struct model_collection *collection = sim->model.current[name];
    bool young = collection == NULL || sim->model.lsn < collection->create_lsn + 3;
    if (dice < (young ? 60 : 8)) {
        return WRITE_INDEX;
    }
    bool loose = collection != NULL && collection->loose;
    if (dice < 14 && collection != NULL && !loose && !name_has_write(sim, name, false) &&
        !name_has_write(sim, UINT32_MAX, true)) {
        return WRITE_DELETE_FILTER; /* its effect is exact only when nobody else writes there */
    }
    if (dice < 42) {
        return (enum model_kind)(WRITE_SET_WHO + sim_below(random, 5));
    }
    if (dice >= 90) {
        return dice >= 98 ? WRITE_PATCH : kind_alone(sim, name);
    }
    return dice < 52 ? WRITE_DELETE : WRITE_UPSERT;
}

/* The vectors of point number `at`, as the version has them. */
static void fill_vectors(struct sim_slot *slot, uint32_t at, const struct model_shape *shape) {
    const struct model_version *version = &slot->write.versions[at];
    ins_point *point = &slot->points[at];
    point->vectors = slot->named[at];
    for (uint32_t which = 0; which < shape->vector_count; which++) {
        const ins_vector_params *params = &shape->vectors[which];
        float *values = slot->vectors[at][which];
        if ((version->vectors >> which & 1) == 0) {
            continue;
        }
        uint32_t rows = model_rows(shape, which, version->vector_seeds[which]);
        model_vector(shape, which, version->vector_seeds[which], values);
        if (params->name.size == 0) {
            point->vector = values;
            point->dim = params->dim;
            point->rows = rows;
        } else {
            slot->named[at][point->vector_count++] = (ins_vector){
                .name = params->name, .values = values, .dim = params->dim, .rows = rows};
        }
    }
}

static void fill_versions(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape) {
    struct model_write *write = &slot->write;
    for (uint32_t i = 0; i < write->count; i++) {
        struct model_version *version = &write->versions[i];
        *version =
            (struct model_version){.seed = ++sim->next_seed,
                                   .vector_seeds = {sim->next_seed, sim->next_seed, sim->next_seed},
                                   .who = any_who(&sim->random),
                                   .vectors = shape->lacking ? sim_below(&sim->random, 8) : 7,
                                   .pad = sim_below(&sim->random, shape->pad_max + 1),
                                   .live = true};
        char *payload = slot->payloads + (size_t)i * MODEL_PAYLOAD_MAX;
        size_t size = model_payload(version, payload, MODEL_PAYLOAD_MAX);
        slot->points[i] = (ins_point){.id = model_id(shape, write->ids[i]),
                                      .payload = {.data = payload, .size = size}};
        fill_vectors(slot, i, shape);
    }
}

/* {"who": ...}; a null would take it out, which the model says by "missing". */
static void fill_set_who(struct sim *sim, struct sim_slot *slot) {
    struct model_version *version = &slot->write.versions[0];
    version->who = any_who(&sim->random);
    version->who = version->who == WHO_NULL ? WHO_MISSING : version->who;
    size_t size = model_who_object(version, slot->payloads, MODEL_PAYLOAD_MAX);
    slot->points_request.change = (ins_text){.data = slot->payloads, .size = size};
}

static void fill_points_write(struct sim *sim, struct sim_slot *slot,
                              const struct model_shape *shape) {
    struct model_write *write = &slot->write;
    struct sim_random *random = &sim->random;
    bool many = sim_once_in(random, 4) && shape->id_count > 6;
    write->count = 1 + sim_below(random, many ? MODEL_BATCH - 2 : 3);
    for (uint32_t i = 0; i < write->count; i++) {
        write->ids[i] = sim_below(random, shape->id_count);
        slot->point_ids[i] = model_id(shape, write->ids[i]);
    }
    fill_versions(sim, slot, shape);
    bool insert = write->kind == WRITE_INSERT_ONLY, update = write->kind == WRITE_UPDATE_ONLY;
    if (write->kind == WRITE_UPSERT || write->kind == WRITE_UPDATE_VECTORS || insert || update) {
        slot->points_request.points = slot->points;
        slot->points_request.point_count = write->count;
        slot->points_request.update_mode = insert   ? INS_MODE_INSERT_ONLY
                                           : update ? INS_MODE_UPDATE_ONLY
                                                    : INS_MODE_UPSERT;
        return;
    }
    slot->points_request.ids = slot->point_ids;
    slot->points_request.id_count = write->count;
    if (write->kind == WRITE_SET_WHO) {
        fill_set_who(sim, slot);
    } else if (write->kind == WRITE_OVERWRITE_PAYLOAD) {
        slot->points_request.change = slot->points[0].payload;
    }
}

/* Ids that follow each other, cut into updates. */
static void fill_batch(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape) {
    struct model_write *write = &slot->write;
    struct sim_random *random = &sim->random;
    write->parts = 2 + sim_below(random, MODEL_PARTS - 1);
    uint32_t most = shape->id_count < MODEL_BATCH - 2 ? shape->id_count : MODEL_BATCH - 2;
    uint32_t each = 1 + sim_below(random, most / write->parts);
    uint32_t first = sim_below(random, shape->id_count);
    write->count = write->parts * each;
    for (uint32_t i = 0; i < write->count; i++) {
        write->ids[i] = (first + i) % shape->id_count;
    }
    fill_versions(sim, slot, shape);
    for (uint32_t part = 0; part < write->parts; part++) {
        write->part_ends[part] = (part + 1) * each;
        slot->updates[part] = (ins_update){.start = ins_points_upsert,
                                           .request = {.collection = text(sim_name(write->name)),
                                                       .points = slot->points + part * (size_t)each,
                                                       .point_count = each}};
    }
    slot->batch = (ins_batch_request){.updates = slot->updates, .update_count = write->parts};
}

static void start_points_write(struct sim *sim, struct sim_slot *slot,
                               const struct model_shape *shape) {
    slot->points_request.collection = text(sim_name(slot->write.name));
    static const ins_start starts[] = {
        [WRITE_UPSERT] = ins_points_upsert,
        [WRITE_DELETE] = ins_points_delete,
        [WRITE_DELETE_FILTER] = ins_points_delete,
        [WRITE_SET_WHO] = ins_points_set_payload,
        [WRITE_OVERWRITE_PAYLOAD] = ins_points_overwrite_payload,
        [WRITE_UPDATE_VECTORS] = ins_points_update_vectors,
        [WRITE_INSERT_ONLY] = ins_points_upsert,
        [WRITE_UPDATE_ONLY] = ins_points_upsert,
        [WRITE_CHANGE_FILTER] = ins_points_set_payload,
        [WRITE_BATCH] = ins_points_batch,
    };
    struct model_collection *collection = sim->model.current[slot->write.name];
    if (slot->write.kind == WRITE_BATCH) {
        fill_batch(sim, slot, shape);
        collection->loose = true;
        collection->loose_write = slot->write;
        ins_points_batch(sim->db, &slot->batch, &slot->call);
        return;
    }
    if (slot->write.kind == WRITE_CHANGE_FILTER) {
        fill_set_who(sim, slot);
    }
    if (model_is_long(slot->write.kind)) {
        slot->write.filter = sim_any_filter(&sim->random, shape);
        if (slot->write.filter.kind == FILTER_NONE) {
            slot->write.filter.kind = FILTER_WHO;
        }
        sim_filter_fill(slot, &slot->write.filter, shape);
        collection->loose = true;
        collection->loose_write = slot->write;
    } else {
        fill_points_write(sim, slot, shape);
    }
    starts[slot->write.kind](sim->db, &slot->points_request, &slot->call);
}

static void start_alias(struct sim *sim, struct sim_slot *slot) {
    struct model_write *write = &slot->write;
    write->alias = sim_below(&sim->random, MODEL_ALIASES);
    write->alias_delete = sim_once_in(&sim->random, 3);
    slot->alias = (ins_alias_change){
        .kind = write->alias_delete ? INS_ALIAS_DELETE : INS_ALIAS_CREATE,
        .alias = text(sim_alias(write->alias)),
        .target = write->alias_delete ? (ins_text){0} : text(sim_name(write->name))};
    slot->alias_request = (ins_alias_request){.changes = &slot->alias, .change_count = 1};
    ins_aliases_change(sim->db, &slot->alias_request, &slot->call);
}

static void start_vector(struct sim *sim, struct sim_slot *slot) {
    static const char *const names[] = {"text", "image", "extra"};
    const struct model_shape *shape = &sim->model.current[slot->write.name]->shape;
    ins_vector_params *params = &slot->write.shape.vectors[0];
    slot->collection_request.vector_count = 1;
    slot->collection_request.vectors = params;
    if (slot->write.kind == WRITE_VECTOR_DROP) {
        *params = shape->vectors[shape->vector_count - 1];
        ins_vector_delete(sim->db, &slot->collection_request, &slot->call);
        return;
    }
    *params = any_vector(&sim->random, "");
    bool taken = true;
    for (uint32_t i = 0; i < 3 && taken; i++) {
        params->name = text(names[i]);
        taken = false;
        for (uint32_t k = 0; k < shape->vector_count; k++) {
            taken |= shape->vectors[k].name.size == params->name.size &&
                     memcmp(shape->vectors[k].name.data, names[i], params->name.size) == 0;
        }
    }
    ins_vector_create(sim->db, &slot->collection_request, &slot->call);
}

/* Of metadata, or, when its number is odd, of the quota of all tenants. */
static void start_patch(struct sim *sim, struct sim_slot *slot) {
    slot->write.patch = ++sim->next_seed;
    if (slot->write.patch % 2 == 1) { /* as ins_tenant_quota_set makes it of its own request */
        int quota = snprintf(slot->payloads, MODEL_PAYLOAD_MAX,
                             "{\"quotas\":{\"d\":{\"stored_bytes\":%llu}}}",
                             MODEL_QUOTA + (unsigned long long)slot->write.patch);
        slot->collection_request.settings = (ins_text){slot->payloads, (size_t)quota};
        ins_collection_update(sim->db, &slot->collection_request, &slot->call);
        return;
    }
    int size = snprintf(slot->payloads, MODEL_PAYLOAD_MAX, "{\"patch\":%llu}",
                        (unsigned long long)slot->write.patch);
    slot->collection_request.metadata = (ins_text){slot->payloads, (size_t)size};
    ins_collection_update(sim->db, &slot->collection_request, &slot->call);
}

static void start_collection_write(struct sim *sim, struct sim_slot *slot) {
    ins_collection_request *request = &slot->collection_request;
    *request = (ins_collection_request){.collection = text(sim_name(slot->write.name))};
    if (slot->write.kind <= WRITE_DROP) {
        slot->ddl_from = ++sim->ddl_count[slot->write.name];
        sim->ddl_busy[slot->write.name]++;
    }
    switch (slot->write.kind) {
    case WRITE_CREATE:
        slot->write.shape = any_shape(&sim->random);
        request->vectors = slot->write.shape.vectors;
        request->vector_count = slot->write.shape.vector_count;
        if (sim_once_in(&sim->random, 2)) {
            request->settings = text("{\"hnsw_config\":{\"m\":0,\"payload_m\":16}}");
            request->metadata = text("{\"made\":\"by the simulator\"}");
        } else if (sim->config.seed % 4 < 2) {
            request->settings = text("{\"hnsw_config\":{\"inline_storage\":true}}");
        }
        ins_collection_create(sim->db, request, &slot->call);
        break;
    case WRITE_DROP:
        ins_collection_delete(sim->db, request, &slot->call);
        break;
    case WRITE_INDEX:
        request->field = text("who");
        request->schema = text("{\"type\":\"keyword\",\"is_tenant\":true}");
        request->is_tenant = true;
        ins_index_create(sim->db, request, &slot->call);
        break;
    case WRITE_ALIAS:
        start_alias(sim, slot);
        break;
    case WRITE_PATCH:
        start_patch(sim, slot);
        break;
    case WRITE_VECTOR_ADD:
    case WRITE_VECTOR_DROP:
        start_vector(sim, slot);
        break;
    case WRITE_INDEX_DROP:
    case WRITE_UPSERT:
    case WRITE_DELETE:
    case WRITE_DELETE_FILTER:
    case WRITE_SET_WHO:
    case WRITE_OVERWRITE_PAYLOAD:
    case WRITE_UPDATE_VECTORS:
    case WRITE_INSERT_ONLY:
    case WRITE_UPDATE_ONLY:
    case WRITE_CHANGE_FILTER:
    case WRITE_BATCH:
        request->field = text(sim_once_in(&sim->random, 2) ? "k" : "who");
        ins_index_delete(sim->db, request, &slot->call);
        break;
    }
}

static void start_write(struct sim *sim, struct sim_slot *slot, uint32_t name) {
    const struct model_shape *believed = believed_shape(sim, name);
    struct model_shape shape = believed == NULL ? (struct model_shape){0} : *believed;
    slot->write = (struct model_write){.kind = any_kind(sim, name, believed != NULL), .name = name};
    slot->is_write = true;
    slot->ddl_from = sim->ddl_count[name];
    if (slot->write.kind >= WRITE_UPSERT) {
        start_points_write(sim, slot, &shape);
    } else {
        start_collection_write(sim, slot);
    }
}

/* ---- Reads ---- */

bool sim_query_vector(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape) {
    ins_points_request *request = &slot->points_request;
    slot->which = 0;
    if (shape->vector_count == 0) {
        return false;
    }
    slot->which = sim_below(&sim->random, shape->vector_count);
    slot->filter.vector = (int)slot->which + 1;
    model_vector(shape, slot->which, ++sim->next_seed, slot->vector);
    slot->vector_rows = model_rows(shape, slot->which, sim->next_seed);
    request->rows = slot->vector_rows;
    request->vector = slot->vector;
    request->dim = shape->vectors[slot->which].dim;
    request->vector_name = shape->vectors[slot->which].name;
    return true;
}

static void fill_query(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape) {
    struct sim_random *random = &sim->random;
    ins_points_request *request = &slot->points_request;
    uint64_t seed = ++sim->next_seed;
    request->limit = 1 + sim_below(random, sim->config.views ? 400 : 12);
    request->graph_effort = 2 * MODEL_IDS; /* walks find all that is there */
    request->offset = sim_once_in(random, 4) ? sim_below(random, 5) : 0;
    if (!sim_query_vector(sim, slot, shape)) {
        request->vector = slot->vector; /* refused: there is no such vector */
        request->dim = 1;
        return;
    }
    if (sim_once_in(random, 5)) {
        slot->ids[0] = sim_below(random, shape->id_count);
        const struct model_version *own = model_newest(&slot->collection->points[slot->ids[0]]);
        bool quiet = !name_has_write(sim, slot->write.name, false);
        bool has = own != NULL && (own->vectors >> slot->which & 1) != 0;
        if (quiet && has) { /* else its vector may change under the query */
            request->by_id = true;
            request->query_id = model_id(shape, slot->ids[0]);
            request->vector = NULL;
            model_vector(shape, slot->which, own->vector_seeds[slot->which], slot->vector);
            slot->vector_rows = model_rows(shape, slot->which, own->vector_seeds[slot->which]);
        }
    }
    if (sim_once_in(random, 5)) {
        request->has_score_threshold = true;
        request->score_threshold =
            (float)model_score(shape, slot->which, slot->vector, slot->vector_rows, seed + 7);
    }
}

static void fill_read(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape) {
    struct sim_random *random = &sim->random;
    ins_points_request *request = &slot->points_request;
    request->collection = text(sim_name(slot->write.name));
    request->payload.kind = sim_once_in(random, 3) ? INS_SELECT_NONE : INS_SELECT_ALL;
    request->with_vector = sim_once_in(random, 2);
    if (slot->kind == READ_GET) {
        slot->id_count = 1 + sim_below(random, 4);
        uint32_t first = sim_below(random, shape->id_count);
        for (uint32_t i = 0; i < slot->id_count; i++) {
            slot->ids[i] = (first + i) % shape->id_count;
            slot->point_ids[i] = model_id(shape, slot->ids[i]);
        }
        slot->id_count = slot->id_count > shape->id_count ? shape->id_count : slot->id_count;
        request->ids = slot->point_ids;
        request->id_count = slot->id_count;
        return;
    }
    struct model_filter filter = sim_any_filter(random, shape);
    sim_filter_fill(slot, &filter, shape);
    if (slot->kind == READ_RANK) {
        sim_fill_rank(sim, slot, shape);
    } else if (slot->kind == READ_SCROLL) {
        request->limit = 1 + sim_below(random, sim->config.views ? 400 : 40);
        request->has_start = !sim->config.views && sim_once_in(random, 2);
        request->start = model_id(shape, sim_below(random, shape->id_count));
    } else if (slot->kind == READ_QUERY) {
        fill_query(sim, slot, shape);
    }
}

static void start_read(struct sim *sim, struct sim_slot *slot, uint32_t name) {
    static const ins_start starts[READ_KINDS] = {
        ins_points_get, ins_points_scroll, ins_points_count, ins_points_query,
        NULL,           ins_points_rank};
    static const struct model_shape nothing = {
        .vector_count = 1,
        .vectors = {{.dim = 4, .distance = INS_DISTANCE_COSINE, .datatype = INS_FLOAT32}},
        .id_count = 6};
    slot->write = (struct model_write){.name = name};
    slot->kind = (enum sim_read_kind)sim_below(&sim->random, READ_KINDS);
    slot->collection = sim->model.current[name];
    if (slot->collection == NULL && (slot->kind == READ_QUERY || slot->kind == READ_RANK)) {
        slot->kind = READ_COUNT;
    }
    if (sim_once_in(&sim->random, 20)) {
        slot->call.deadline_ns = sim->lanes.now_ns + sim_below(&sim->random, 200000);
    }
    if (slot->kind == READ_INFO) {
        slot->collection_request = (ins_collection_request){.collection = text(sim_name(name))};
        ins_collection_get(sim->db, &slot->collection_request, &slot->call);
        return;
    }
    fill_read(sim, slot, slot->collection == NULL ? &nothing : &slot->collection->shape);
    const void *request = &slot->points_request;
    starts[slot->kind](sim->db, slot->kind == READ_RANK ? &slot->rank : request, &slot->call);
}

static void budget_done(ins_call *call) {
    struct sim *sim = call->user;
    if (call->status != INS_OK) {
        sim_fail(sim, "another budget: %d %s", (int)call->status, call->error.message);
    }
}

/* Now and then another budget, which changes no answer. By the number of the operation, so that the
 * seeds that found bugs do what they did. */
static void change_budget(struct sim *sim) {
    uint64_t dice = sim_mix(sim->config.seed * 31 + sim->counts.operations);
    if (dice % 64 == 0) {
        ins_budget_request request = {.bytes = INS_MEMORY_BUDGET_MIN + (dice >> 32) % 256 * MIB};
        ins_call call = {.done = budget_done, .user = sim, .lane = INS_LANE_REQUEST};
        ins_budget_set(sim->db, &request, &call);
    }
}

void sim_start(struct sim *sim, struct sim_slot *slot) {
    change_budget(sim);
    uint32_t name = sim_below(&sim->random, sim->config.name_count);
    slot->started = false; /* not yet one of those that are under way */
    /* A delete by filter has the name to itself, and nobody builds on a half-done one. */
    bool loose = sim->model.current[name] != NULL && sim->model.current[name]->loose;
    bool waits = loose || name_has_write(sim, name, true);
    bool shut = name_is_busy(sim, name, true) ||
                (sim->model.current[name] != NULL && sim_is_shut(sim->model.current[name]));
    slot->started = true;
    slot->from_lsn = sim->model.lsn;
    slot->is_write = slot->is_flush = false;
    slot->points_request = (ins_points_request){0};
    slot->filter = (struct model_filter){0};
    sim->counts.operations++;
    if (shut || sim_once_in(&sim->random, 60)) {
        slot->is_flush = true;
        ins_flush(sim->db, NULL, &slot->call);
    } else if (!waits && !sim_once_in(&sim->random, 3)) {
        start_write(sim, slot, name);
    } else {
        start_read(sim, slot, name);
    }
}
