/* Admit and sequence: the rows of all targets in one record. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/move.h"
#include "engine/points_own.h"
#include "engine/tenants.h"

uint64_t points_cost(const struct points_write *self) {
    bool directory = self->scope->directory != NULL;
    uint64_t cost = write_catalog_cost(64); /* the allocator's row */
    cost += self->context.drop_count * write_catalog_cost(0);
    if (self->context.intent != NULL) {
        cost += write_catalog_cost(self->context.intent->row.size);
    }
    for (size_t i = 0; i < self->target_count; i++) {
        const struct target *target = &self->targets[i];
        if (target->fate == TARGET_SKIP) {
            continue;
        }
        if (target->fate == TARGET_PUT) {
            cost += memrow_cost(target->vector_bytes, (uint32_t)target->payload.text.size);
        }
        /* A tombstone, a directory entry, and a new tenant's row whose name may be escaped. */
        if (directory || target->fate == TARGET_REMOVE) {
            cost += 2 * memrow_cost(0, 0);
        }
        if (target->payload.has_tenant) {
            cost += write_catalog_cost(64 + 6 * target->payload.tenant.size);
        }
    }
    return cost;
}

/* The log takes at least so much. */
static uint64_t record_floor(const struct points_write *self) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < self->target_count; i++) {
        if (self->targets[i].fate == TARGET_PUT) {
            bytes += self->targets[i].vector_bytes + self->targets[i].payload.text.size;
        }
    }
    return bytes;
}

static ins_status home_of(struct points_write *self, struct target *target,
                          struct island **out_island, ins_error *error) {
    struct scope *scope = self->scope;
    if (!scope_has_islands(scope) || !target->payload.has_tenant) {
        *out_island = scope->common;
        return INS_OK;
    }
    *out_island = points_home(self, target);
    if (*out_island != NULL) {
        return INS_OK;
    }
    if (self->request->incarnation_max != 0) {
        return tenants_gone(target->payload.tenant, self->request->incarnation_max, error);
    }
    return write_island(&self->write, scope, target->payload.tenant, out_island, error);
}

static ins_status put_point(struct points_write *self, const struct target *target,
                            struct island *home, ins_error *error) {
    struct row_vectors vectors;
    ins_status status = points_row_vectors(self, target, &vectors, error);
    return status == INS_OK ? write_point(&self->write, home, target->patch, &target->id, &vectors,
                                          target->payload.text, error)
                            : status;
}

/* Where the id is now, or NULL. Mostly at home: then nothing is looked up. */
static struct island *old_of(const struct points_write *self, const struct target *target,
                             struct island *home) {
    if (!scope_has_islands(self->scope)) {
        return self->scope->common;
    }
    return home != NULL && target->candidate == home->incarnation
               ? home
               : islands_find_undropped(&self->write.operation.db->islands, target->candidate);
}

/* The fence of a write: whose point it puts, or else takes away. */
static ins_status check_meant(const struct points_write *self, const struct island *island,
                              ins_error *error) {
    uint64_t most = self->request->incarnation_max;
    if (most == 0 || island == NULL) {
        return INS_OK;
    }
    if (!island_is_tenant(island)) {
        return tenants_unnamed(error);
    }
    return island->incarnation <= most
               ? INS_OK
               : tenants_other(island_newest_name(&self->write.operation.db->islands, island),
                               island->incarnation, most, error);
}

/* The rows of one id: the point in its home, and what a move needs. */
static ins_status put_target(struct points_write *self, struct target *target, ins_error *error) {
    struct scope *scope = self->scope;
    struct island *home = NULL;
    ins_status status = INS_OK;
    if (target->fate == TARGET_PUT) {
        status = home_of(self, target, &home, error);
    }
    struct island *old = old_of(self, target, home);
    if (status == INS_OK) {
        status = check_meant(self, target->fate == TARGET_PUT ? home : old, error);
    }
    if (status == INS_OK && target->fate == TARGET_PUT) {
        status = own_check_home(self, target, old, home, error);
    }
    if (target->fate == TARGET_PUT) {
        if (status == INS_OK && target->patch && home != old) {
            return ins_fail_retry(error, INS_EXHAUSTED, 1,
                                  "the point's tenant was dropped meanwhile; try again");
        }
        if (status == INS_OK) {
            status = put_point(self, target, home, error);
        }
    }
    if (status == INS_OK && old != NULL && old != home) {
        status = write_row(&self->write, old, MEMROW_TOMBSTONE, &target->id, 0, 0, (ins_text){0}, 0,
                           NULL, error);
    }
    bool moved = home != NULL && scope->directory != NULL && target->candidate != home->incarnation;
    if (status == INS_OK && moved) {
        status = write_row(&self->write, scope->directory, MEMROW_DIRECTORY, &target->id, 0, 0,
                           (ins_text){0}, home->incarnation, NULL, error);
    }
    return status;
}

/* ---- Tenants that are dropped ----
 *
 * The record says that the island's incarnation is gone: its row in the catalog is. Writers do not
 * see the island from here on, a new point of the tenant gets a new one; readers see it until the
 * record is durable. */

/* In the step that sequences the deletion: what was written before it counts. */
static ins_status check_expired(const struct points_write *self, const struct island *island,
                                ins_error *error) {
    const struct ins_db *db = self->write.operation.db;
    const struct scope *scope = self->scope;
    ins_text name = island_newest_name(&db->islands, island);
    uint64_t left;
    bool expired =
        expiry_left(db, scope->collection != NULL ? scope->collection : scope, name, &left) &&
        left == 0;
    return expired ? INS_OK : tenants_unexpired(name, error);
}

static ins_status put_drops(struct points_write *self, ins_error *error) {
    size_t count = self->context.drop_count;
    if (count == 0) {
        return INS_OK;
    }
    self->dropped = pool_alloc(&self->write.operation.pool, count * sizeof(struct island *));
    if (self->dropped == NULL) {
        return ins_fail(error, INS_TOO_LARGE, "no memory to drop %zu tenants at once", count);
    }
    ins_status status = INS_OK;
    for (size_t i = 0; i < count && status == INS_OK; i++) {
        const struct island *island = self->context.drops[i];
        status = self->request->if_expired ? check_expired(self, island, error) : INS_OK;
        if (status == INS_OK) {
            status = write_catalog_row(&self->write, island->incarnation, (ins_text){0}, error);
        }
    }
    return status;
}

/* ---- The row of a change of many records ---- */

static ins_status put_intent(struct points_write *self, uint64_t *out_key, ins_error *error) {
    const struct points_intent *intent = self->context.intent;
    *out_key = intent == NULL ? 0 : intent->key;
    if (intent == NULL || (intent->key == 0 && intent->ends)) {
        return INS_OK; /* one record after all */
    }
    if (intent->key != 0) {
        return intent->ends ? write_catalog_row(&self->write, intent->key, (ins_text){0}, error)
                            : INS_OK;
    }
    ins_status status = write_keys(&self->write, 1, out_key, error);
    return status == INS_OK ? write_catalog_row(&self->write, *out_key, intent->row, error)
                            : status;
}

/* ---- */

static void drops_durable(struct write *write, uint64_t lsn) {
    (void)lsn;
    struct points_write *self = container_of(write, struct points_write, write);
    struct ins_db *db = write->operation.db;
    for (size_t i = 0; i < self->dropped_count; i++) {
        if ((self->dropped[i]->flags & ISLAND_DROPPED) == 0) { /* else its collection is gone */
            db->catalog.tenant_count--;
            island_retire(&db->islands, self->dropped[i]);
        }
    }
}

static void drops_sequenced(struct points_write *self) {
    for (size_t i = 0; i < self->context.drop_count; i++) {
        struct island *island = self->context.drops[i];
        island->flags |= ISLAND_DROPPING;
        island->scope->dropping++;
        self->write.operation.db->islands.tenants_changed++;
        island_pin(island);
        self->dropped[self->dropped_count++] = island;
    }
    self->write.durable = self->dropped_count > 0 ? drops_durable : NULL;
}

void points_close_drops(struct points_write *self) {
    for (size_t i = 0; i < self->dropped_count; i++) {
        island_unpin(&self->write.operation.db->islands, self->dropped[i]);
    }
    self->dropped_count = 0;
}

static int order_rows(const void *left, const void *right) {
    const struct memrow *a = *(struct memrow *const *)left, *b = *(struct memrow *const *)right;
    uint64_t ka = a->owner->incarnation, kb = b->owner->incarnation;
    return (ka > kb) - (ka < kb);
}

/* Rows of one island together, so that they share a part of the record; the catalog's come first.
 */
static void group_rows(struct write *write) {
    for (size_t i = 1; i < write->row_count; i++) {
        if (order_rows(&write->rows[i - 1], &write->rows[i]) > 0) {
            qsort(write->rows, write->row_count, sizeof(*write->rows), order_rows);
            return;
        }
    }
}

static void note_for_move(const struct points_write *self) {
    struct move *move = self->scope->move;
    for (size_t i = 0; move != NULL && i < self->target_count; i++) {
        if (self->targets[i].fate != TARGET_SKIP) {
            move_note(move, &self->targets[i].id);
        }
    }
}

ins_status points_sequence(struct points_write *self, ins_error *error) {
    struct write *write = &self->write;
    size_t rows = 4 * self->target_count + self->context.drop_count + 5;
    uint64_t intent_key = 0;
    /* Before its rows take memory that only a flush gives back. */
    ins_status status = write_check_record(write->operation.db, record_floor(self), error);
    if (status == INS_OK) {
        status = write_begin(write, points_cost(self), rows, error);
    }
    if (status == INS_OK) {
        status = put_drops(self, error);
    }
    if (status == INS_OK) {
        status = put_intent(self, &intent_key, error);
    }
    for (size_t i = 0; i < self->target_count && status == INS_OK; i++) {
        if (self->targets[i].fate != TARGET_SKIP) {
            status = put_target(self, &self->targets[i], error);
        }
    }
    if (status == INS_OK && write->row_count == 0) {
        return write_settle(write, error); /* nothing to change: nothing to write */
    }
    if (status == INS_OK) {
        group_rows(write);
        uint64_t lsn;
        status = write_sequence(write, self->scope->key, &lsn, error);
    }
    if (status == INS_OK) {
        note_for_move(self);
        drops_sequenced(self);
        if (self->context.intent != NULL) {
            self->context.intent->key = intent_key;
        }
    }
    if (status != INS_OK) {
        write_undo(write);
    }
    return status;
}
