/* Points by any order but nearness to one vector alone, groups of points, and values with counts.
 *
 * Path: examples by id are fetched -> every island that the filter leaves is swept, each point is
 * scored and offered to bounded heaps -> the points of the answer are fetched by their ids.
 * The last step reads what is there then: a point that was deleted meanwhile is left out, one that
 * was overwritten comes as it is now, with the score that it had. A group that loses one may have
 * others, and another place: then everything is done again, a few times. Memory: heaps of at most
 * INS_RANK_LIMIT_MAX hits; groups and values as far as the operation's memory goes. */
#include "engine/points_rank.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/field_columns.h"
#include "engine/names.h"
#include "engine/points_own.h"

static struct points_rank *of(struct operation *operation) {
    return container_of(operation, struct points_rank, operation);
}

static void rank_close(struct operation *operation) {
    struct points_rank *self = of(operation);
    walk_sweep_close(&self->over);
    scopes_close(&self->scopes);
    schema_release(&operation->db->catalog, self->schema);
}

/* ---- Begin ---- */

static ins_status check_limits(const ins_rank_request *request, ins_error *error) {
    const ins_points_request *points = &request->points;
    uint64_t each = request->group_size > 0 ? request->group_size : 1;
    uint64_t wanted =
        request->group_size > 0 ? points->limit * each : (uint64_t)points->limit + points->offset;
    if (points->limit == 0 || wanted > INS_RANK_LIMIT_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "limit: %u, offset: %u, group_size: %u; this kind of query answers from 1 "
                        "to %u points, those before the offset included",
                        points->limit, points->offset, request->group_size, INS_RANK_LIMIT_MAX);
    }
    return INS_OK;
}

static ins_status parse_keys(struct points_rank *self, ins_error *error) {
    const ins_rank_request *request = self->request;
    struct pool *pool = &self->operation.pool;
    ins_status status = INS_OK;
    if (request->kind == INS_RANK_ORDER || request->kind == INS_RANK_FACET) {
        status = payload_path_parse(request->key, pool, &self->key, error);
    }
    if (status == INS_OK && request->group_size > 0) {
        status = payload_path_parse(request->group_key, pool, &self->group_key, error);
    }
    bool tallies = request->group_size > 0 || request->kind == INS_RANK_FACET;
    if (status == INS_OK && tallies && !tally_init(&self->tally, pool)) {
        status = ins_fail(error, INS_FULL, "no memory for groups");
    }
    return status;
}

/* Whether the key has an index of UUIDs. */
static bool key_is_uuid(const struct points_rank *self) {
    const ins_text *key = &self->request->key;
    for (uint32_t i = 0; i < self->schema->field_count; i++) {
        const struct schema_field *field = &self->schema->fields[i];
        if (field->name.size == key->size && memcmp(field->name.data, key->data, key->size) == 0) {
            return field_type_is(field->schema, "uuid");
        }
    }
    return false;
}

static void init_order(struct points_rank *self) {
    const ins_rank_request *request = self->request;
    struct ins_db *db = self->operation.db;
    self->order = request->kind != INS_RANK_ORDER ? RANK_SCORE
                  : request->descending           ? RANK_DESCENDING
                                                  : RANK_ASCENDING;
    self->heap.capacity = request->points.limit + request->points.offset;
    if (request->kind == INS_RANK_SAMPLE) {
        db->runtime->random(db->runtime->context, &self->random, sizeof(self->random));
    }
}

static ins_status rank_begin(struct points_rank *self, ins_error *error) {
    const ins_rank_request *request = self->request;
    struct operation *operation = &self->operation;
    ins_status status = scopes_open(&self->scopes, operation, &request->points, error);
    if (status != INS_OK) {
        return status;
    }
    self->schema = schema_hold(self->scopes.collection->schema);
    status = check_limits(request, error);
    if (status == INS_OK) {
        status = parse_keys(self, error);
    }
    if (status == INS_OK) {
        status = islands_walk_init(&self->over.walk, operation, &self->scopes,
                                   request->points.filter, error);
    }
    if (status == INS_OK && request->kind != INS_RANK_FACET) {
        status = own_check_walk(&self->over.walk, &self->tenant, error);
    }
    init_order(self);
    self->uuid_key = request->kind == INS_RANK_FACET && key_is_uuid(self);
    self->stage = RANK_EXAMPLES;
    return status == INS_OK ? rank_examples_begin(self, error) : status;
}

/* ---- Calls of its own ---- */

static void inner_done(ins_call *call) {
    struct points_rank *self = call->user;
    self->inner_busy = false;
    self->operation.parked = false;
    if (!self->starting) {
        db_run(self->operation.db, INS_LANE_REQUEST, &self->operation.waiter.task);
    }
}

static ins_status inner_get(struct points_rank *self) {
    struct operation *operation = &self->operation;
    self->inner = (ins_call){.done = inner_done,
                             .user = self,
                             .lane = operation->call->lane,
                             .explain = operation->call->explain,
                             .deadline_ns = operation->call->deadline_ns};
    trace_turn(operation->waiter.trace, TRACE_NO_STAGE);
    self->inner_busy = true;
    operation->parked = true;
    self->starting = true;
    self->inner_request.tenant = self->tenant;
    points_get_start(operation->db, &self->inner_request, self->fetch_scopes, &self->inner);
    self->starting = false;
    trace_turn(operation->waiter.trace, self->inner_busy ? TRACE_NO_STAGE : INS_STAGE_RANK);
    return self->inner_busy ? INS_AGAIN : INS_OK;
}

static ins_status inner_status(const struct points_rank *self, ins_error *error) {
    if (self->inner.status != INS_OK) {
        *error = self->inner.error;
    }
    return self->inner.status;
}

/* ---- Which points and values the answer has ---- */

static int order_facets(const void *left, const void *right) {
    const struct tally_value *a = *(struct tally_value *const *)left;
    const struct tally_value *b = *(struct tally_value *const *)right;
    int by = (a->count < b->count) - (a->count > b->count);
    return by != 0 ? by : value_compare(&a->value, &b->value);
}

static ins_status finish_facets(struct points_rank *self, ins_error *error) {
    struct tally_value **list = tally_list(&self->tally);
    uint32_t limit = self->request->points.limit;
    uint32_t count = self->tally.count < limit ? self->tally.count : limit;
    ins_facet *facets = pool_alloc(&self->operation.pool, (count + 1) * sizeof(*facets));
    if (list == NULL || facets == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u values", self->tally.count);
    }
    qsort(list, self->tally.count, sizeof(struct tally_value *), order_facets);
    for (uint32_t i = 0; i < count; i++) {
        facets[i] = (ins_facet){.value = list[i]->value, .count = list[i]->count};
    }
    self->operation.call->facets = facets;
    self->operation.call->facet_count = count;
    return INS_OK;
}

static int order_groups(const void *left, const void *right, void *order) {
    const struct tally_value *a = *(struct tally_value *const *)left;
    const struct tally_value *b = *(struct tally_value *const *)right;
    int by = rank_compare(*(enum rank_order *)order, &a->heap.hits[0], &b->heap.hits[0]);
    return by != 0 ? by : value_compare(&a->value, &b->value);
}

static ins_status pick_groups(struct points_rank *self, ins_error *error) {
    self->chosen = tally_list(&self->tally);
    if (self->chosen == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u groups", self->tally.count);
    }
    for (uint32_t i = 0; i < self->tally.count; i++) {
        rank_sort(&self->chosen[i]->heap, self->order);
    }
    qsort_r(self->chosen, self->tally.count, sizeof(struct tally_value *), order_groups,
            &self->order);
    uint32_t limit = self->request->points.limit;
    self->chosen_count = self->tally.count < limit ? self->tally.count : limit;
    return INS_OK;
}

static void want(struct points_rank *self, const struct rank_hit *hit) {
    self->fetch_scopes[self->fetch_count] = hit->scope;
    self->fetch_ids[self->fetch_count++] = hit->id;
}

/* An id may be in several shard keys, and counts once: the sweep is made again with a heap of twice
 * the hits, until enough differ or all came. */
static bool widen(struct points_rank *self, bool was_full) {
    uint32_t wanted = self->request->points.limit + self->request->points.offset;
    uint64_t capacity = 2ull * self->heap.capacity;
    if (self->scopes.one != NULL || self->request->group_size > 0 || !was_full ||
        self->heap.count >= wanted ||
        2 * capacity * sizeof(struct rank_hit) > INS_BLOCK_BYTES_MAX) {
        return false;
    }
    self->heap = (struct rank_heap){.capacity = (uint32_t)capacity};
    return true;
}

static ins_status pick(struct points_rank *self, ins_error *error) {
    uint32_t capacity = self->request->group_size > 0
                            ? self->request->points.limit * self->request->group_size
                            : self->heap.capacity;
    ins_status status = self->request->group_size > 0 ? pick_groups(self, error) : INS_OK;
    if (status != INS_OK) {
        return status;
    }
    self->fetch_ids = pool_alloc(&self->operation.pool, (capacity + 1) * sizeof(ins_id));
    self->fetch_scopes = pool_alloc(&self->operation.pool, (capacity + 1) * sizeof(uint64_t));
    if (self->fetch_ids == NULL || self->fetch_scopes == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u points", capacity);
    }
    for (uint32_t i = self->request->points.offset; i < self->heap.count; i++) {
        want(self, &self->heap.hits[i]);
    }
    for (uint32_t i = 0; i < self->chosen_count; i++) {
        for (uint32_t k = 0; k < self->chosen[i]->heap.count; k++) {
            want(self, &self->chosen[i]->heap.hits[k]);
        }
    }
    self->inner_request = self->request->points;
    self->inner_request.ids = self->fetch_ids;
    self->inner_request.id_count = self->fetch_count;
    self->stage = RANK_FETCH;
    return inner_get(self);
}

/* ---- The answer ---- */

/* The points of some hits, from *at on of those that were fetched, in the same order. */
static ins_status take_points(struct points_rank *self, const struct rank_hit *hits, uint32_t count,
                              size_t *at, ins_points *out, ins_error *error) {
    struct pool *pool = &self->operation.pool;
    ins_point *points = pool_alloc(pool, (count + 1) * sizeof(*points));
    ins_number *values = pool_alloc(pool, (count + 1) * sizeof(*values));
    if (points == NULL || values == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u points", count);
    }
    *out = (ins_points){.items = points};
    for (uint32_t i = 0; i < count && *at < self->inner.points.count; i++) {
        const ins_point *fetched = &self->inner.points.items[*at];
        if (!id_equal(&fetched->id, &hits[i].id)) {
            continue; /* gone since */
        }
        points[out->count] = *fetched;
        points[out->count].score = score_shown(&self->scorer, hits[i].score);
        values[out->count++] = hits[i].order;
        (*at)++;
    }
    out->order_values = self->request->kind == INS_RANK_ORDER ? values : NULL;
    return INS_OK;
}

static ins_status answer(struct points_rank *self, ins_error *error) {
    ins_call *call = self->operation.call;
    size_t at = 0;
    ins_status status = inner_status(self, error);
    if (status != INS_OK) {
        return status;
    }
    if (self->request->group_size == 0) {
        uint32_t offset = self->request->points.offset;
        uint32_t count = self->heap.count > offset ? self->heap.count - offset : 0;
        return take_points(self, self->heap.hits + (count > 0 ? offset : 0), count, &at,
                           &call->points, error);
    }
    ins_group *groups =
        pool_alloc(&self->operation.pool, (self->chosen_count + 1) * sizeof(*groups));
    if (groups == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u groups", self->chosen_count);
    }
    for (uint32_t i = 0; i < self->chosen_count && status == INS_OK; i++) {
        const struct tally_value *chosen = self->chosen[i];
        ins_group *group = &groups[call->group_count];
        group->value = chosen->value;
        status =
            take_points(self, chosen->heap.hits, chosen->heap.count, &at, &group->points, error);
        if (status == INS_OK) {
            call->group_count += group->points.count > 0;
            self->lost += chosen->heap.count - (uint32_t)group->points.count;
        }
    }
    call->groups = groups;
    return status;
}

#define REPEATS_MAX 3u

/* From the sweep on, as things are now. */
static ins_status repeat(struct points_rank *self, ins_error *error) {
    struct operation *operation = &self->operation;
    self->repeats++;
    self->lost = 0;
    self->chosen_count = self->fetch_count = 0;
    operation->call->groups = NULL;
    operation->call->group_count = 0;
    operation->inner = NULL;
    ins_call_release(&self->inner);
    islands_walk_close(&self->over.walk);
    if (!tally_init(&self->tally, &operation->pool)) {
        return ins_fail(error, INS_FULL, "no memory for groups");
    }
    ins_status status = islands_walk_init(&self->over.walk, operation, &self->scopes,
                                          self->request->points.filter, error);
    self->stage = RANK_SWEEP;
    return status == INS_OK ? INS_AGAIN : status;
}

static ins_status rank_step(struct operation *operation, ins_error *error) {
    struct points_rank *self = of(operation);
    ins_status status = INS_OK;
    if (self->stage == RANK_BEGIN) {
        status = rank_begin(self, error);
        if (status == INS_OK && self->id_count > 0) {
            status = inner_get(self);
        }
    }
    if (status == INS_OK && self->stage == RANK_EXAMPLES) {
        status = self->id_count > 0 ? inner_status(self, error) : INS_OK;
        status = status == INS_OK ? rank_examples_end(self, error) : status;
        ins_call_release(&self->inner);
        self->stage = RANK_SWEEP;
    }
    if (status == INS_OK && self->stage == RANK_SWEEP) {
        status = walk_sweep_step(&self->over, &self->operation, self->request->points.collection,
                                 rank_row, self, error);
        if (status == INS_OK && self->request->kind == INS_RANK_FACET) {
            return finish_facets(self, error);
        }
        self->stage = status == INS_OK ? RANK_PICK : RANK_SWEEP;
    }
    if (status == INS_OK && self->stage == RANK_PICK) {
        bool full = self->heap.count == self->heap.capacity;
        rank_sort(&self->heap, self->order);
        if (widen(self, full)) {
            self->stage = RANK_SWEEP;
            islands_walk_close(&self->over.walk);
            status = islands_walk_init(&self->over.walk, operation, &self->scopes,
                                       self->request->points.filter, error);
            return status == INS_OK ? INS_AGAIN : status;
        }
        uint32_t limit = self->request->points.limit + self->request->points.offset;
        self->heap.count = self->heap.count < limit ? self->heap.count : limit;
    }
    if (status == INS_OK && self->stage == RANK_PICK) {
        operation->inner = &self->inner; /* its answer is part of this one */
        status = pick(self, error);
    }
    status = status == INS_OK ? answer(self, error) : status;
    if (status == INS_OK && self->lost > 0 && self->repeats < REPEATS_MAX) {
        status = repeat(self, error);
    }
    return status;
}

void ins_points_rank(ins_db *db, const void *rank_request, ins_call *call) {
    struct points_rank *self =
        operation_create(db, call, sizeof(*self), rank_step, rank_close, true);
    if (self != NULL) {
        self->request = rank_request;
        operation_run(&self->operation);
    }
}

bool ins_moment_parse(ins_text text, int64_t *out_micros) {
    return payload_moment_parse(text, out_micros);
}
