/* Views: what an answer holds of one island is that island's state at one moment.
 *
 * Not only is every point right by itself: there is an LSN between the read's first and last at
 * which the island held exactly these versions. Islands are looked at one after the other, so each
 * may have a moment of its own, and a point that moves meanwhile may be met in both (it is given
 * out once) or in neither. */
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define ISLAND_NONE (-2)
#define COUNT_MAX (2 * MODEL_IDS)

static const struct model_version *version_at(const struct sim_slot *slot, uint32_t id,
                                              uint64_t lsn) {
    const struct model_version *version;
    bool absent;
    uint32_t count = model_window(&slot->collection->points[id], lsn, lsn, &version, &absent);
    bool in = count > 0 && version->live && model_matches(&slot->filter, id, version);
    return in ? version : NULL;
}

static int island_of_version(const struct sim_slot *slot, uint32_t id, uint64_t lsn) {
    const struct model_point *point = &slot->collection->points[id];
    for (uint32_t i = 0; i < point->count && lsn != 0; i++) {
        if (point->versions[i].lsn == lsn) {
            return model_island(slot->collection, &point->versions[i]);
        }
    }
    return ISLAND_NONE;
}

/* `got` [MODEL_IDS]: LSN of the version that the answer holds, 0 = none. */
static bool holds_at(const struct sim_slot *slot, const uint64_t *got, int island, uint64_t lsn) {
    for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
        const struct model_version *version = version_at(slot, id, lsn);
        bool in = version != NULL && model_island(slot->collection, version) == island;
        int met = island_of_version(slot, id, got[id]);
        bool same = in && (got[id] == version->lsn || (met != island && met != ISLAND_NONE));
        if (in ? !same : met == island) {
            return false;
        }
    }
    return true;
}

/* What speaks against each moment. */
static void describe_island(const struct sim *sim, const struct sim_slot *slot, const uint64_t *got,
                            int island) {
    for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
        bool may_differ = false;
        for (uint64_t lsn = slot->from_lsn; lsn <= sim->model.lsn; lsn++) {
            const struct model_version *version = version_at(slot, id, lsn);
            bool in = version != NULL && model_island(slot->collection, version) == island;
            may_differ |=
                in ? got[id] != version->lsn : island_of_version(slot, id, got[id]) == island;
        }
        if (may_differ) {
            sim_describe_point(sim, slot, id);
            (void)fprintf(stderr, "  the answer has LSN %llu of it\n", (unsigned long long)got[id]);
        }
    }
}

static void check_sets(const struct sim *sim, const struct sim_slot *slot, const uint64_t *got) {
    for (int island = -1; island < MODEL_WHO; island++) {
        bool found = false;
        for (uint64_t lsn = slot->from_lsn; lsn <= sim->model.lsn && !found; lsn++) {
            found = holds_at(slot, got, island, lsn);
        }
        if (!found) {
            describe_island(sim, slot, got, island);
            sim_fail(sim, "a read did not see island %d as it was at any one moment", island);
        }
    }
}

/* Whether `count` is the sum of the islands' sizes, each at a moment of its own. */
static bool count_possible(const struct sim *sim, const struct sim_slot *slot, uint64_t count) {
    bool sums[COUNT_MAX + 1] = {true};
    for (int island = -1; island < MODEL_WHO; island++) {
        bool sizes[MODEL_IDS + 1] = {false}, next[COUNT_MAX + 1] = {false};
        for (uint64_t lsn = slot->from_lsn; lsn <= sim->model.lsn; lsn++) {
            uint32_t size = 0;
            for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
                const struct model_version *version = version_at(slot, id, lsn);
                size += version != NULL && model_island(slot->collection, version) == island;
            }
            sizes[size] = true;
        }
        for (uint32_t sum = 0; sum <= COUNT_MAX; sum++) {
            for (uint32_t size = 0; sums[sum] && size <= MODEL_IDS; size++) {
                next[sum + size <= COUNT_MAX ? sum + size : COUNT_MAX] |= sizes[size];
            }
        }
        memcpy(sums, next, sizeof(sums));
    }
    return count <= COUNT_MAX && sums[count];
}

/* The read looked at each island once, and its answer was not cut off. */
static bool is_whole(const struct sim_slot *slot) {
    const ins_points_request *request = &slot->points_request;
    bool pinned = slot->filter.kind == FILTER_WHO || slot->filter.kind == FILTER_WHO_ANY ||
                  slot->filter.kind == FILTER_WHO_AND_K;
    if (slot->kind == READ_SCROLL) {
        /* Along the id directory an island is looked at whenever an id leads there. */
        return !request->has_start && !slot->call.points.has_next &&
               (pinned || !slot->collection->islands);
    }
    return slot->kind == READ_QUERY && !request->by_id && !request->has_score_threshold &&
           request->offset == 0 &&
           slot->call.points.count + sim_moved_points(slot) < request->limit;
}

/* The model's LSN of the version that an answer holds. */
static uint64_t lsn_of(const struct model_point *point, uint64_t version) {
    for (uint32_t i = 0; i < point->count; i++) {
        if (model_is_version(&point->versions[i], version)) {
            return point->versions[i].lsn;
        }
    }
    return version;
}

void sim_check_view(struct sim *sim, const struct sim_slot *slot) {
    if (slot->collection->drop_lsn != 0 || slot->from_lsn == sim->model.lsn ||
        slot->collection->loose || slot->collection->tight_lsn > slot->from_lsn) {
        return; /* quiet: the other checks are exact; a delete by filter has many moments */
    }
    if (slot->kind == READ_COUNT && !count_possible(sim, slot, slot->call.count)) {
        sim_fail(sim, "count: %llu is no sum of what the islands held",
                 (unsigned long long)slot->call.count);
    }
    if (!is_whole(slot)) {
        return;
    }
    sim->counts.view_checks++;
    uint64_t got[MODEL_IDS] = {0};
    for (size_t i = 0; i < slot->call.points.count; i++) {
        const ins_point *point = &slot->call.points.items[i];
        uint32_t id = model_id_number(&slot->collection->shape, &point->id);
        got[id] = lsn_of(&slot->collection->points[id], point->version);
    }
    check_sets(sim, slot, got);
}
