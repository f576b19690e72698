/* Filters: one at random, and the form that the engine takes. */
#include <string.h>

#include "sim.h"

static ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

struct model_filter sim_any_filter(struct sim_random *random, const struct model_shape *shape) {
    struct model_filter filter = {.kind = FILTER_NONE};
    if (!sim_once_in(random, 3)) {
        filter.kind = sim_once_in(random, 2)
                          ? FILTER_WHO
                          : (enum model_filter_kind)sim_below(random, FILTER_KINDS);
    }
    bool ids = filter.kind == FILTER_IDS;
    filter.a = (int)sim_below(random, ids ? shape->id_count : MODEL_WHO);
    filter.b = (int)sim_below(random, ids ? shape->id_count : MODEL_WHO);
    if (filter.kind == FILTER_K || filter.kind == FILTER_WHO_AND_K) {
        filter.b %= 3;
    }
    return filter;
}

static void fill_who(struct sim_slot *slot, const struct model_filter *filter) {
    bool two = filter->kind == FILTER_WHO_ANY;
    for (int i = 0; i < 2; i++) {
        const char *name = model_who_text(i == 0 ? filter->a : filter->b, slot->names[i]);
        slot->values[i] = (ins_value){.kind = INS_VALUE_TEXT, .text = text(name)};
    }
    slot->conditions[0] = (ins_condition){.kind = INS_MATCH_ANY,
                                          .key = text("who"),
                                          .values = slot->values,
                                          .value_count = two ? 2 : 1};
}

static void fill_k(struct sim_slot *slot, const struct model_filter *filter,
                   ins_condition *condition) {
    slot->values[2] = (ins_value){.kind = INS_VALUE_INTEGER, .integer = filter->b};
    *condition = (ins_condition){
        .kind = INS_MATCH_ANY, .key = text("k"), .values = &slot->values[2], .value_count = 1};
}

static void fill_ids(struct sim_slot *slot, const struct model_filter *filter,
                     const struct model_shape *shape) {
    /* The last two places: an upsert or a get does not use a filter. */
    slot->point_ids[MODEL_BATCH - 2] = model_id(shape, (uint32_t)filter->a);
    slot->point_ids[MODEL_BATCH - 1] = model_id(shape, (uint32_t)filter->b);
    slot->conditions[0] = (ins_condition){
        .kind = INS_HAS_ID, .ids = &slot->point_ids[MODEL_BATCH - 2], .id_count = 2};
}

void sim_filter_fill(struct sim_slot *slot, const struct model_filter *filter,
                     const struct model_shape *shape) {
    slot->filter = *filter;
    slot->ins_filter = (ins_filter){.must = slot->conditions, .must_count = 1};
    slot->points_request.filter = &slot->ins_filter;
    switch (filter->kind) {
    case FILTER_NOT_WHO:
        slot->ins_filter = (ins_filter){.must_not = slot->conditions, .must_not_count = 1};
        fill_who(slot, filter);
        break;
    case FILTER_WHO_AND_K:
        slot->ins_filter.must_count = 2;
        fill_k(slot, filter, &slot->conditions[1]);
        fill_who(slot, filter);
        break;
    case FILTER_WHO:
    case FILTER_WHO_ANY:
        fill_who(slot, filter);
        break;
    case FILTER_K:
        fill_k(slot, filter, &slot->conditions[0]);
        break;
    case FILTER_RANGE:
        slot->conditions[0] =
            (ins_condition){.kind = INS_RANGE,
                            .key = text("n"),
                            .gte = {.kind = INS_BOUND_INTEGER, .integer = 1 << 30}};
        break;
    case FILTER_IDS:
        fill_ids(slot, filter, shape);
        break;
    case FILTER_NONE:
    case FILTER_KINDS:
        slot->points_request.filter = NULL;
        break;
    }
}
