/* The points as they are: writes that change a part of a point, or that have a condition, look at
 * everything sequenced before they decide.
 *
 * Path: the targets are put in the order of their islands; for each island one view, in which its
 * targets are found, read and changed. A step that waits or yields leaves the ids held, so that
 * what was decided for the targets before stays true until all are sequenced. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/points_write.h"
#include "engine/walk.h"

#define OLD_STEP 256u /* points; then others get the lane */
#define OLD_AHEAD 8u  /* points that wait for their bytes at once; each may pin a chunk or two */

static int order_islands(const void *left, const void *right) {
    const struct target *a = *(struct target *const *)left, *b = *(struct target *const *)right;
    int order = (a->candidate > b->candidate) - (a->candidate < b->candidate);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static ins_status sort_targets(struct points_write *self, ins_error *error) {
    size_t count = self->target_count;
    self->by_island =
        pool_alloc(&self->write.operation.pool, (count + 1) * sizeof(struct target *));
    if (self->by_island == NULL) {
        return ins_fail(error, INS_TOO_LARGE,
                        "no memory for a request of %zu points; send fewer at once", count);
    }
    for (size_t i = 0; i < count; i++) {
        self->by_island[i] = &self->targets[i];
    }
    if (scope_has_islands(self->scope)) {
        qsort(self->by_island, count, sizeof(struct target *), order_islands);
    }
    return INS_OK;
}

/* The island that may hold the target's point, or NULL. */
static struct island *island_of(const struct points_write *self, const struct target *target) {
    if (!scope_has_islands(self->scope)) {
        return self->scope->common;
    }
    return islands_find_undropped(&self->write.operation.db->islands, target->candidate);
}

static bool needs_payload(const struct points_write *self) {
    return self->kind == POINTS_SET_PAYLOAD || self->kind == POINTS_DELETE_PAYLOAD ||
           self->kind == POINTS_UPDATE_VECTORS || self->kind == POINTS_DELETE_VECTORS;
}

/* Of every point. A point that moves needs its vectors as well: take_vectors. */
static bool needs_vectors(const struct points_write *self) {
    return self->kind == POINTS_DELETE_VECTORS;
}

/* Asks for all that is missing before it waits. */
static ins_status read_old(struct points_write *self, const struct place *place,
                           struct old_point *out, ins_error *error) {
    struct reader *reader = &self->reader;
    uint64_t version = 0;
    ins_status status = reader_version(reader, place, &version, error), other = INS_OK;
    if (needs_vectors(self) && (status == INS_OK || status == INS_AGAIN)) {
        other = reader_vectors(reader, place, self->scope->schema, out->vectors, &out->vector_count,
                               error);
        status = other != INS_OK ? other : status;
    }
    if (self->condition != NULL && (status == INS_OK || status == INS_AGAIN)) {
        other = place_matches(reader, place, self->condition, out->tenant_path,
                              self->write.operation.db->parser, &out->passes, error);
        status = other != INS_OK ? other : status;
    }
    if (needs_payload(self) && (status == INS_OK || status == INS_AGAIN)) {
        other = reader_payload(reader, place, &out->payload, error);
        status = other != INS_OK ? other : status;
    }
    /* Written since the filter was evaluated: by a request that came later. */
    uint64_t limit = self->context.unless_newer;
    out->passes = out->passes && (limit == 0 || version <= limit);
    return status;
}

/* The vectors of the new row: most often none, and those that stay are inherited. */
static ins_status take_vectors(struct points_write *self, struct target *target,
                               const struct place *place, struct old_point *old, ins_error *error) {
    enum target_row row;
    ins_status status = points_row_kind(self, target, old, &row, error);
    if (status == INS_OK && row == ROW_JOINED && !needs_vectors(self)) {
        status = reader_vectors(&self->reader, place, self->scope->schema, old->vectors,
                                &old->vector_count, error);
    }
    return status == INS_OK ? points_keep_vectors(self, target, old, row, error) : status;
}

static ins_status take_one(struct points_write *self, struct target *target, ins_error *error) {
    struct vector_ref vectors[INS_VECTORS_MAX];
    struct old_point old = {.passes = true, .vectors = vectors};
    struct place place;
    old.exists = self->reader.open && reader_find(&self->reader, &target->id, &place);
    if (!old.exists) {
        return points_change(self, target, &old, error);
    }
    old.tenant_path = tenant_path_of(self->reader.island);
    old.tenant = self->reader.tenant;
    ins_status status = read_old(self, &place, &old, error);
    if (status != INS_OK) {
        return status;
    }
    old.depth = place.row != NULL ? place.row->depth : 0;
    status = target->changed ? INS_OK : points_change(self, target, &old, error);
    target->changed = status == INS_OK;
    bool put = target->fate == TARGET_PUT && self->kind >= POINTS_SET_PAYLOAD;
    if (status == INS_OK && put) {
        status = take_vectors(self, target, &place, &old, error);
    }
    if (status == INS_AGAIN) {
        return status;
    }
    reader_trim(&self->reader, &place);
    return status;
}

/* A view of the next target's island; no view when it has none. */
static ins_status open_island(struct points_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    struct island *island = island_of(self, self->by_island[self->next]);
    if (self->reader.open && self->reader.island != island) {
        reader_close(&self->reader);
    }
    if (island == NULL) {
        return INS_OK;
    }
    ins_status status = INS_OK;
    if (!self->reader.open) {
        status = reader_open(&self->reader, &operation->db->reading, island, UINT64_MAX,
                             &operation->pool, &operation->waiter, error);
    }
    return status == INS_OK ? reader_load(&self->reader, error) : status;
}

/* The targets behind one that waits: their bytes are on their way by then. */
static ins_status ask_ahead(struct points_write *self, ins_error *error) {
    uint64_t candidate = self->by_island[self->next]->candidate;
    size_t end =
        self->next + OLD_AHEAD < self->target_count ? self->next + OLD_AHEAD : self->target_count;
    for (size_t i = self->next + 1; i < end && self->by_island[i]->candidate == candidate; i++) {
        struct vector_ref vectors[INS_VECTORS_MAX];
        struct old_point ignored = {.passes = true, .vectors = vectors};
        struct place place;
        if (!self->reader.open || !reader_find(&self->reader, &self->by_island[i]->id, &place)) {
            continue;
        }
        ignored.tenant_path = tenant_path_of(self->reader.island);
        ins_status status = read_old(self, &place, &ignored, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
    }
    return INS_AGAIN;
}

ins_status points_take_old(struct points_write *self, ins_error *error) {
    ins_status status = self->by_island == NULL ? sort_targets(self, error) : INS_OK;
    for (uint32_t done = 0; status == INS_OK && self->next < self->target_count; done++) {
        if (done == OLD_STEP) {
            return INS_AGAIN;
        }
        status = open_island(self, error);
        if (status != INS_OK) {
            return status;
        }
        status = take_one(self, self->by_island[self->next], error);
        if (status == INS_AGAIN) {
            return ask_ahead(self, error);
        }
        self->next += status == INS_OK;
    }
    if (status == INS_OK) {
        reader_close(&self->reader);
    }
    return status;
}
