/* Rankings, groups and facets against the model.
 *
 * Quiet answers are equal to the model's. Among writes: a hit is a version that was current at some
 * moment, its score that of any version of the time (it was ranked before it was fetched); those
 * that passed all the time are there, but for as many as changed meanwhile and may have taken their
 * places. */
#include <math.h>
#include <string.h>

#include "sim.h"

#define VALUES MODEL_VALUES

static bool smaller_is_better(const struct sim_slot *slot) {
    const ins_rank_request *rank = &slot->rank;
    if (rank->kind == INS_RANK_ORDER) {
        return !rank->descending;
    }
    return (rank->kind == INS_RANK_NEAREST || rank->kind == INS_RANK_AVERAGE) &&
           slot->collection->shape.vectors[slot->which].distance >= INS_DISTANCE_EUCLID;
}

static double slack(double score) {
    return 1e-3 * (1 + fabs(score));
}

/* ---- Scores ---- */

/* Larger is nearer: the dot product, or the distance below zero, of Euclid its square. */
static double similarity(const struct sim_slot *slot, const ins_example *example, uint64_t seed) {
    const struct model_shape *shape = &slot->collection->shape;
    double score = model_score(shape, slot->which, example->vector, example->rows, seed);
    ins_distance distance = shape->vectors[slot->which].distance;
    return distance == INS_DISTANCE_EUCLID      ? -score * score
           : distance == INS_DISTANCE_MANHATTAN ? -score
                                                : score;
}

static double sigmoid(double x) {
    return x / (1 + fabs(x));
}

static double scaled(double x) {
    return 0.5 * (sigmoid(x) + 1);
}

/* Of multivectors: to all rows of the examples, those of negative ones turned round. */
static double gathered_score(const struct sim_slot *slot, uint64_t seed) {
    const ins_rank_request *rank = &slot->rank;
    const struct model_shape *shape = &slot->collection->shape;
    uint32_t dim = shape->vectors[slot->which].dim, rows = 0;
    float all[MODEL_EXAMPLES * MODEL_NUMBERS_MAX] = {0};
    for (size_t i = 0; i < rank->positive_count + rank->negative_count; i++) {
        const ins_example *example = &slot->examples[i];
        for (uint32_t at = 0; at < example->rows * dim; at++) {
            all[rows * dim + at] = example->vector[at] * (i < rank->positive_count ? 1 : -1);
        }
        rows += example->rows;
    }
    return model_score(shape, slot->which, all, rows, seed);
}

/* Nearest to the mean of the positive, moved away from that of the negative. */
static double average_score(const struct sim_slot *slot, uint64_t seed) {
    const ins_rank_request *rank = &slot->rank;
    const struct model_shape *shape = &slot->collection->shape;
    float mean[MODEL_DIM_MAX] = {0};
    if (shape->vectors[slot->which].multi) {
        return gathered_score(slot, seed);
    }
    for (uint32_t d = 0; d < shape->vectors[slot->which].dim; d++) {
        double to = 0, from = 0;
        for (size_t i = 0; i < rank->positive_count; i++) {
            to += (double)rank->positive[i].vector[d] / (double)rank->positive_count;
        }
        for (size_t i = 0; i < rank->negative_count; i++) {
            from += (double)rank->negative[i].vector[d] / (double)rank->negative_count;
        }
        mean[d] = (float)(rank->negative_count > 0 ? to + to - from : to);
    }
    return model_score(shape, slot->which, mean, 0, seed);
}

static double pair_score(const struct sim_slot *slot, uint64_t seed, bool *out_sure) {
    const ins_rank_request *rank = &slot->rank;
    double ranks = 0, loss = 0;
    for (size_t i = 0; i < rank->positive_count; i++) {
        double gain =
            similarity(slot, &rank->positive[i], seed) - similarity(slot, &rank->negative[i], seed);
        double scale = similarity(slot, &rank->positive[i], seed);
        *out_sure = *out_sure && (rank->kind == INS_RANK_CONTEXT || fabs(gain) > slack(scale));
        ranks += gain > 0 ? 1 : -1;
        loss += sigmoid(fmin(gain, 0));
    }
    return rank->kind == INS_RANK_CONTEXT ? loss
                                          : ranks + scaled(similarity(slot, rank->target, seed));
}

/* *out_sure false: the score turns on the last bit. */
static double score_of(const struct sim_slot *slot, const struct model_version *version,
                       bool *out_sure) {
    const ins_rank_request *rank = &slot->rank;
    uint64_t seed = version->vector_seeds[slot->which];
    double best[2] = {-INFINITY, -INFINITY}, sum = 0;
    *out_sure = true;
    if (rank->kind == INS_RANK_ORDER) {
        return model_number(version);
    }
    if (rank->kind > INS_RANK_ORDER) {
        *out_sure = false;
        return 0;
    }
    if (rank->kind == INS_RANK_NEAREST || rank->kind == INS_RANK_AVERAGE) {
        return average_score(slot, seed);
    }
    if (rank->kind == INS_RANK_DISCOVER || rank->kind == INS_RANK_CONTEXT) {
        return pair_score(slot, seed, out_sure);
    }
    for (size_t i = 0; i < rank->positive_count + rank->negative_count; i++) {
        bool negative = i >= rank->positive_count;
        double own = similarity(slot, &slot->examples[i], seed);
        best[negative] = fmax(best[negative], own);
        sum += negative ? -own : own;
    }
    if (rank->kind == INS_RANK_SUM) {
        return sum;
    }
    *out_sure = fabs(best[0] - best[1]) > slack(best[0]);
    return best[0] > best[1] ? scaled(best[0]) : -scaled(best[1]);
}

static bool better(const struct sim_slot *slot, double a, double b) {
    return smaller_is_better(slot) ? a < b : a > b;
}

/* Before the first value of an ORDER: never an answer. */
static bool begins(const struct sim_slot *slot, const struct model_version *version) {
    const ins_rank_request *rank = &slot->rank;
    double start = (double)rank->start.integer;
    return rank->kind != INS_RANK_ORDER || !rank->has_start ||
           !better(slot, model_number(version), start);
}

static bool same_score(double got, double expect) {
    return fabs(got - expect) <= slack(expect);
}

static double shown_score(const struct sim_slot *slot, const ins_points *points, size_t i) {
    return slot->rank.kind == INS_RANK_ORDER ? (double)points->order_values[i].integer
                                             : (double)points->items[i].score;
}

/* ---- Hits ---- */

/* Each is right by itself, in the order of scores; `seen` [MODEL_IDS] is added to. */
static void check_hits(const struct sim *sim, const struct sim_slot *slot, const ins_points *hits,
                       bool *seen) {
    for (size_t i = 0; i < hits->count; i++) {
        uint32_t id = sim_check_point(sim, slot, &hits->items[i]);
        struct sim_span span = sim_span_of(slot, id);
        double got = shown_score(slot, hits, i), expect = 0;
        bool found = false, sure = true;
        for (uint32_t j = 0; j < span.count && !found; j++) {
            expect = score_of(slot, &span.versions[j], &sure);
            found = begins(slot, &span.versions[j]) && (!sure || same_score(got, expect));
        }
        /* By value a point comes with each of its values: also with two that it had one after the
         * other, when it moved meanwhile. */
        bool twice = seen[id] && !(slot->rank.kind == INS_RANK_ORDER && span.islands > 1);
        if (!found || twice) {
            sim_describe_point(sim, slot, id);
            sim_fail(sim, "rank %d: point %u came %s, or has score %.9g, should be %.9g",
                     (int)slot->rank.kind, id, seen[id] ? "twice" : "once", got, expect);
        }
        bool ordered = slot->rank.kind <= INS_RANK_ORDER;
        if (ordered && i > 0 && better(slot, got, shown_score(slot, hits, i - 1))) {
            sim_fail(sim, "rank %d: scores are not in order", (int)slot->rank.kind);
        }
        seen[id] = true;
    }
}

/* Points that must be ranked, of those with `value` (VALUES: all); those that may be; and of the
 * first, how many stand before `score` for sure. */
struct field {
    uint32_t certain, possible, before;
};

static struct field field_of(const struct sim_slot *slot, uint32_t value, double score) {
    struct field field = {0};
    for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
        struct sim_span span = sim_span_of(slot, id);
        bool some = false, all = span.always, before = true, sure;
        for (uint32_t i = 0; i < span.count && span.possible; i++) {
            const struct model_version *version = &span.versions[i];
            bool in = version->live && begins(slot, version) &&
                      (value == VALUES || model_has_value(version, slot->group_key, value));
            double own = in ? score_of(slot, version, &sure) : 0;
            before = before && in && sure && better(slot, own, score) && !same_score(own, score);
            some = some || in;
            all = all && in;
        }
        field.certain += all;
        field.possible += some;
        field.before += all && before;
    }
    return field;
}

static void check_list(const struct sim *sim, const struct sim_slot *slot, const ins_points *hits,
                       uint32_t limit, uint32_t value) {
    bool full = hits->count == limit;
    struct field field = field_of(slot, value, full ? shown_score(slot, hits, hits->count - 1) : 0);
    uint32_t changed = field.possible - field.certain;
    uint32_t least = field.certain < limit ? field.certain : limit;
    bool before = full && slot->rank.kind <= INS_RANK_ORDER && field.before > hits->count + changed;
    uint32_t most = field.possible;
    most += slot->rank.kind == INS_RANK_ORDER ? sim_moved_points(slot) : 0; /* see check_hits */
    if (hits->count > limit || hits->count > most || hits->count + changed < least || before) {
        for (uint32_t id = 0; id < slot->collection->shape.id_count; id++) {
            sim_describe_point(sim, slot, id);
        }
        sim_fail(sim,
                 "rank %d: %zu hits of %u to %u points (value %u), limit %u, %u before the last",
                 (int)slot->rank.kind, hits->count, field.certain, field.possible, value, limit,
                 field.before);
    }
}

/* ---- Groups and facets ---- */

static uint32_t value_number(const struct sim *sim, const struct sim_slot *slot,
                             const ins_value *value) {
    for (uint32_t number = 0; number < VALUES; number++) {
        ins_value same;
        char buffer[MODEL_VALUE_BYTES];
        if (model_value(slot->group_key, number, buffer, &same) && same.kind == value->kind &&
            same.integer == value->integer && same.text.size == value->text.size &&
            (same.text.size == 0 ||
             memcmp(same.text.data, value->text.data, same.text.size) == 0)) {
            return number;
        }
    }
    sim_fail(sim, "rank: a value that no point has");
}

/* Values that some point must have, and that some may have. */
static void count_values(const struct sim_slot *slot, uint32_t *out_certain,
                         uint32_t *out_possible) {
    *out_certain = *out_possible = 0;
    for (uint32_t number = 0; number < VALUES; number++) {
        struct field field = field_of(slot, number, 0);
        *out_certain += field.certain > 0;
        *out_possible += field.possible > 0;
    }
}

static void check_number(const struct sim *sim, const struct sim_slot *slot, size_t count) {
    uint32_t certain, possible, limit = slot->rank.points.limit;
    count_values(slot, &certain, &possible);
    uint32_t changed = possible - certain;
    if (count > limit || count > possible ||
        count + changed < (certain < limit ? certain : limit)) {
        sim_fail(sim, "rank %d: %zu values of %u to %u, limit %u", (int)slot->rank.kind, count,
                 certain, possible, limit);
    }
}

static void check_groups(const struct sim *sim, const struct sim_slot *slot) {
    bool quiet = slot->from_lsn == sim->model.lsn;
    bool met[VALUES] = {false};
    for (size_t i = 0; i < slot->call.group_count; i++) {
        const ins_group *group = &slot->call.groups[i];
        uint32_t number = value_number(sim, slot, &group->value);
        bool seen[MODEL_IDS] = {false};
        check_hits(sim, slot, &group->points, seen);
        if (met[number] || group->points.count == 0) {
            sim_fail(sim, "groups: one came twice or is empty");
        }
        met[number] = true;
        if (quiet) {
            check_list(sim, slot, &group->points, slot->rank.group_size, number);
        }
        const ins_group *before = i > 0 ? group - 1 : group;
        if (quiet && slot->rank.kind < INS_RANK_ORDER &&
            better(slot, shown_score(slot, &group->points, 0),
                   shown_score(slot, &before->points, 0))) {
            sim_fail(sim, "groups: not in the order of their best");
        }
    }
    if (quiet) {
        check_number(sim, slot, slot->call.group_count);
    }
}

static void check_facets(const struct sim *sim, const struct sim_slot *slot) {
    bool met[VALUES] = {false};
    for (size_t i = 0; i < slot->call.facet_count; i++) {
        const ins_facet *facet = &slot->call.facets[i];
        uint32_t number = value_number(sim, slot, &facet->value);
        struct field field = field_of(slot, number, 0);
        /* One that moves may be counted at both places. */
        uint64_t most = field.possible + sim_moved_points(slot);
        if (met[number] || facet->count < field.certain || facet->count > most ||
            (i > 0 && facet->count > facet[-1].count)) {
            sim_fail(sim, "facet: value %u %s, %llu points, must be %u to %llu", number,
                     met[number] ? "came twice" : "came once", (unsigned long long)facet->count,
                     field.certain, (unsigned long long)most);
        }
        met[number] = true;
    }
    check_number(sim, slot, slot->call.facet_count);
}

void sim_check_rank(const struct sim *sim, const struct sim_slot *slot) {
    bool seen[MODEL_IDS] = {false};
    if (slot->rank.kind == INS_RANK_FACET) {
        check_facets(sim, slot);
    } else if (slot->rank.group_size > 0) {
        check_groups(sim, slot);
    } else {
        check_hits(sim, slot, &slot->call.points, seen);
        check_list(sim, slot, &slot->call.points, slot->rank.points.limit, VALUES);
    }
}
