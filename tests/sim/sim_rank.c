/* Queries by other orders than nearness, groups and facets: one at random. */
#include <string.h>

#include "sim.h"

static ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

/* Examples as vectors: the first `positive` of them, then the negative ones, then the target. */
static void fill_examples(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape,
                          uint32_t positive, uint32_t negative, bool target) {
    uint32_t count = positive + negative + target;
    for (uint32_t i = 0; i < count; i++) {
        model_vector(shape, slot->which, ++sim->next_seed, slot->example_vectors[i]);
        slot->examples[i] = (ins_example){.vector = slot->example_vectors[i],
                                          .dim = shape->vectors[slot->which].dim,
                                          .rows = model_rows(shape, slot->which, sim->next_seed)};
    }
    slot->rank.positive = slot->examples;
    slot->rank.positive_count = positive;
    slot->rank.negative = slot->examples + positive;
    slot->rank.negative_count = negative;
    slot->rank.target = target ? slot->examples + positive + negative : NULL;
}

static void fill_scored(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape) {
    struct sim_random *random = &sim->random;
    slot->which = sim_below(random, shape->vector_count);
    slot->filter.vector = (int)slot->which + 1;
    slot->rank.points.vector_name = shape->vectors[slot->which].name;
    uint32_t pairs = 1 + sim_below(random, 2);
    switch (slot->rank.kind) {
    case INS_RANK_NEAREST:
        fill_examples(sim, slot, shape, 1, 0, false);
        break;
    case INS_RANK_DISCOVER:
        fill_examples(sim, slot, shape, pairs, pairs, true);
        break;
    case INS_RANK_CONTEXT:
        fill_examples(sim, slot, shape, pairs, pairs, false);
        break;
    case INS_RANK_AVERAGE:
    case INS_RANK_BEST:
    case INS_RANK_SUM:
    case INS_RANK_ORDER:
    case INS_RANK_SAMPLE:
    case INS_RANK_ID:
    case INS_RANK_FACET:
        fill_examples(sim, slot, shape, pairs, sim_below(random, 3), false);
        break;
    }
}

void sim_fill_rank(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape) {
    struct sim_random *random = &sim->random;
    slot->rank = (ins_rank_request){.points = slot->points_request};
    slot->rank.points.limit = 1 + sim_below(random, sim_once_in(random, 3) ? MODEL_IDS : 12);
    slot->rank.kind = (ins_rank_kind)sim_below(random, INS_RANK_FACET + 1);
    if (slot->rank.kind < INS_RANK_ORDER && shape->vector_count == 0) {
        slot->rank.kind = INS_RANK_SAMPLE;
    }
    if (slot->rank.kind < INS_RANK_ORDER) {
        fill_scored(sim, slot, shape);
    }
    slot->group_key = sim_once_in(random, 2) ? MODEL_KEY_WHO : MODEL_KEY_K;
    ins_text key = text(slot->group_key == MODEL_KEY_WHO ? "who" : "k");
    if (slot->rank.kind == INS_RANK_ORDER) {
        slot->rank.key = text("n");
        slot->rank.descending = sim_once_in(random, 2);
        slot->rank.has_start = sim_once_in(random, 3);
        slot->rank.start = (ins_number){.integer = (int64_t)(sim_next(random) >> 33)};
    } else if (slot->rank.kind == INS_RANK_FACET) {
        slot->rank.key = key;
    } else if (slot->rank.kind != INS_RANK_SAMPLE && sim_once_in(random, 3)) {
        slot->rank.group_key = key;
        slot->rank.group_size = 1 + sim_below(random, 3);
        slot->rank.points.limit = 1 + sim_below(random, 12);
    }
}
