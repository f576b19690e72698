/* Writes of points: upsert, delete, and changes of what is there.
 *
 * Path: validate (names, dimensions, finiteness, payload to stored form) -> resolve (which island
 * holds the id now? only scopes with a tenant field ask; writes that change a part of a point or
 * have a condition look at it) -> admit -> sequence. A point whose tenant value changed moves: the
 * same record holds its row in the new island and a tombstone in the old one. An upsert without
 * conditions, or a delete, into a scope without a tenant field needs no resolving: newer rows win,
 * so such writes are blind. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/directory_view.h"
#include "engine/names.h"
#include "engine/points_own.h"
#include "engine/points_write.h"

static void points_write_close(struct operation *operation) {
    struct points_write *self = points_write_of(operation);
    reader_close(&self->directory);
    reader_close(&self->reader);
    holds_release(&self->holds);
    points_close_drops(self);
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

/* ---- Validate ---- */

static ins_status check_vectors(struct points_write *self, struct target *target,
                                ins_error *error) {
    struct row_vectors vectors;
    row_vectors_begin(&vectors, self->scope->schema);
    ins_status status = row_vectors_take(&vectors, target->point, error);
    target->vector_bytes = vectors.bytes;
    return status == INS_OK ? point_vectors_check(self->scope->schema, target->point, error)
                            : status;
}

static ins_status check_payload(struct points_write *self, struct target *target,
                                ins_error *error) {
    const struct schema *schema = self->scope->schema;
    const struct payload_path *path = schema->has_tenant_field ? &schema->tenant_path : NULL;
    ins_error reason;
    ins_status status = payload_store(self->write.operation.db->parser, &self->write.operation.pool,
                                      target->point->payload, path, schema->tenant_is_uuid,
                                      &target->payload, &reason);
    if (status != INS_OK) {
        char id[ID_TEXT_MAX];
        (void)id_format(&target->id, id);
        return ins_fail(error, status, "point %s, payload: %.380s", id, reason.message);
    }
    return INS_OK;
}

static int order_targets(const void *left, const void *right) {
    const struct target *a = left, *b = right;
    int order = id_compare(&a->id, &b->id);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static int order_request(const void *left, const void *right) {
    const struct target *a = left, *b = right;
    return (a->order > b->order) - (a->order < b->order);
}

static bool ids_ascend(const struct target *targets, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (id_compare(&targets[i - 1].id, &targets[i].id) >= 0) {
            return false;
        }
    }
    return true;
}

/* An update of vectors that comes after another one of the same point leaves that one's other
 * vectors standing. */
static ins_status keep_earlier(struct points_write *self, struct target *last, size_t count,
                               ins_error *error) {
    if (self->kind != POINTS_UPDATE_VECTORS || count == 0) {
        return INS_OK;
    }
    last->earlier = pool_alloc(&self->write.operation.pool, count * sizeof(*last->earlier));
    if (last->earlier == NULL) {
        return ins_fail(error, INS_TOO_LARGE, "no memory for a point that comes %zu times", count);
    }
    for (size_t i = 0; i < count; i++) {
        last->earlier[i] = (last - count + i)->point;
    }
    last->earlier_count = count;
    return INS_OK;
}

/* Of an id that comes several times the last one counts, as if they had been sent one by one. */
static ins_status drop_repeated(struct points_write *self, ins_error *error) {
    struct target *targets = self->targets;
    ins_status status = INS_OK;
    if (ids_ascend(targets, self->target_count)) {
        return INS_OK;
    }
    bool own = self->scope->schema->ids_by_tenant;
    qsort(targets, self->target_count, sizeof(*targets), own ? own_order : order_targets);
    for (size_t i = 0, first = 0; i < self->target_count && status == INS_OK; i++) {
        targets[i].repeated =
            i + 1 < self->target_count && (own ? own_same(&targets[i], &targets[i + 1])
                                               : id_equal(&targets[i].id, &targets[i + 1].id));
        if (!targets[i].repeated) {
            status = keep_earlier(self, &targets[i], i - first, error);
            first = i + 1;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < self->target_count; i++) {
        if (!targets[i].repeated) {
            targets[kept++] = targets[i];
        }
    }
    self->target_count = kept;
    qsort(targets, kept, sizeof(*targets), order_request);
    return status;
}

/* Targets from points or from ids. */
static bool by_points(const struct points_write *self) {
    return self->kind == POINTS_UPSERT || self->kind == POINTS_UPDATE_VECTORS;
}

static ins_status make_targets(struct points_write *self, ins_error *error) {
    const ins_points_request *request = self->request;
    size_t count = by_points(self) ? request->point_count : request->id_count;
    if (count > INS_BATCH_POINTS_MAX) {
        return ins_fail(error, INS_INVALID, "points: %zu in one request, the limit is %u", count,
                        INS_BATCH_POINTS_MAX);
    }
    self->targets = pool_alloc(&self->write.operation.pool, (count + 1) * sizeof(struct target));
    if (self->targets == NULL) {
        return ins_fail(error, INS_TOO_LARGE,
                        "no memory for a request of %zu points; send fewer at once", count);
    }
    for (size_t i = 0; i < count; i++) {
        struct target *target = &self->targets[self->target_count++];
        *target = (struct target){.order = i};
        if (by_points(self)) {
            target->point = &request->points[i];
            target->id = target->point->id;
        } else {
            target->id = request->ids[i];
            target->fate = self->kind == POINTS_DELETE ? TARGET_REMOVE : TARGET_PUT;
        }
        if (self->scope->directory != NULL) {
            directory_view_prefetch(self->write.operation.db, self->scope, &target->id);
        }
    }
    return INS_OK;
}

static ins_status validate(struct points_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    ins_status status = scopes_home(operation->db, self->request, &self->scope, error);
    if (status != INS_OK) {
        self->scope = NULL;
        return status;
    }
    self->scope->pins++;
    status = make_targets(self, error);
    for (size_t i = 0; status == INS_OK && by_points(self) && i < self->target_count; i++) {
        status = check_vectors(self, &self->targets[i], error);
        if (status == INS_OK && self->kind == POINTS_UPSERT) {
            status = check_payload(self, &self->targets[i], error);
        }
    }
    if (status == INS_OK) {
        status = own_check(self, error);
    }
    if (status == INS_OK) {
        status = points_check_change(self, error);
    }
    if (status == INS_OK) {
        status = drop_repeated(self, error);
    }
    self->validated = status == INS_OK;
    return status;
}

/* ---- Resolve ---- */

static const struct island *home_of_target(const struct points_write *self, struct target *target) {
    return target->payload.has_tenant ? points_home(self, target) : NULL;
}

/* Asks the processor for what the look-ups of all targets begin with, so that they wait for memory
 * together: first the buckets, then the rows in them. Those of the directory were asked for when
 * the targets were made. */
static void prefetch_rows(const struct points_write *self) {
    const struct island *directory = self->scope->directory;
    for (size_t i = 0; i < self->target_count; i++) {
        const struct island *home = home_of_target(self, &self->targets[i]);
        for (uint32_t slot = 0; slot < 2 && home != NULL; slot++) {
            memtable_prefetch(home->mem[slot], &self->targets[i].id);
        }
    }
    for (size_t i = 0; i < self->target_count; i++) {
        const struct island *home = home_of_target(self, &self->targets[i]);
        for (uint32_t slot = 0; slot < 2; slot++) {
            memtable_prefetch_row(directory->mem[slot], &self->targets[i].id);
            memtable_prefetch_row(home == NULL ? NULL : home->mem[slot], &self->targets[i].id);
        }
    }
}

/* An id whose newest row in the memtables of its tenant's island is a point lives there: a move
 * would have left a tombstone. So most overwrites of late rows ask no directory. */
static bool known_at_home(const struct points_write *self, const struct island *home,
                          struct target *target) {
    const struct read_context *reading = &self->write.operation.db->reading;
    for (uint32_t which = 0; which < 2 && home != NULL; which++) {
        uint32_t slot = which == 0 ? reading->active_slot : 1 - reading->active_slot;
        const struct memrow *row = memtable_find(home->mem[slot], &target->id, UINT64_MAX);
        if (row != NULL) {
            target->candidate = home->incarnation;
            return memrow_is_point(row);
        }
    }
    return false;
}

static ins_status ask_one(struct points_write *self, struct target *target, ins_error *error) {
    struct operation *operation = &self->write.operation;
    ins_status status = INS_AGAIN;
    if (!self->directory.open) {
        status =
            directory_view_find(operation->db, self->scope, &target->id, &target->candidate, error);
    }
    if (status != INS_AGAIN) {
        return status;
    }
    if (!self->directory.open) {
        status = reader_open(&self->directory, &operation->db->reading, self->scope->directory,
                             UINT64_MAX, &operation->pool, &operation->waiter, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return directory_find(&self->directory, &target->id, &target->candidate, error);
}

/* Asks the directory for every id; goes on past those that wait, so that one wait brings them all.
 */
static ins_status ask_directory(struct points_write *self, ins_error *error) {
    ins_status result = INS_OK;
    if (!self->joined) {
        prefetch_rows(self);
    }
    for (size_t i = 0; i < self->target_count; i++) {
        struct target *target = &self->targets[i];
        if (target->located || known_at_home(self, home_of_target(self, target), target)) {
            target->located = true;
            continue;
        }
        ins_status status = ask_one(self, target, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        target->located = status == INS_OK;
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

/* A change by filter that came before may not have reached one of the points yet. */
static struct gate *gate_in_the_way(const struct points_write *self) {
    const struct ins_db *db = self->write.operation.db;
    struct gate *gate = NULL;
    for (size_t i = 0; db->gates != NULL && gate == NULL && i < self->target_count; i++) {
        const struct island *island =
            !scope_has_islands(self->scope)
                ? self->scope->common
                : islands_find_undropped(&db->islands, self->targets[i].candidate);
        gate = island == NULL ? NULL : gate_for_point(db, island, &self->holds);
    }
    return gate;
}

/* INS_AGAIN with self->gate: it waits there, and looks again. */
static ins_status look(struct points_write *self, ins_error *error) {
    bool need_old = points_need_old(self);
    ins_status status = need_old ? write_check_open(self->write.operation.db, error) : INS_OK;
    if (status == INS_OK && self->scope->directory != NULL) {
        status = ask_directory(self, error);
    } else if (status == INS_OK && scope_has_islands(self->scope)) {
        own_locate(self);
    }
    self->gate = status == INS_OK && need_old ? gate_in_the_way(self) : NULL;
    if (self->gate != NULL) {
        return INS_AGAIN;
    }
    return status == INS_OK && need_old ? points_take_old(self, error) : status;
}

/* What was found may not be so any more when the gate opens. */
static void forget(struct points_write *self) {
    reader_close(&self->directory);
    for (size_t i = 0; i < self->target_count; i++) {
        self->targets[i].located = false;
        self->targets[i].candidate = 0;
        self->targets[i].changed = false;
    }
}

static ins_status resolve(struct points_write *self, ins_error *error) {
    if (self->target_count == 0) {
        return INS_OK;
    }
    struct operation *operation = &self->write.operation;
    const ins_id *ids = &self->targets[0].id;
    uint64_t scope = self->scope->key;
    bool conflict = holds_conflict(operation->db, &self->holds, scope, ids, sizeof(struct target),
                                   self->target_count);
    self->gate = gate_for_all(operation->db, scope, &self->holds);
    if (!conflict && self->gate == NULL) {
        ins_status status = look(self, error);
        if (status != INS_AGAIN) {
            return status;
        }
    }
    bool waits;
    ins_status status = holds_take(&self->holds, operation, scope, ids, sizeof(struct target),
                                   self->target_count, &waits, error);
    if (status != INS_OK) {
        return status;
    }
    if (!waits && self->gate != NULL) {
        forget(self);
        gate_wait(self->gate, &self->holds, operation);
    }
    return INS_AGAIN;
}

/* ---- The operation ---- */

/* Later writes may go on before this one is durable: its rows are there for them. */
static void end_resolving(struct points_write *self) {
    reader_close(&self->directory);
    reader_close(&self->reader);
    holds_release(&self->holds);
    if (self->context.ordered != NULL) {
        self->context.ordered(self->context.user);
    }
}

/* True: it stands in the burst, and goes on from there. */
static bool join(struct points_write *self) {
    self->may_join = false;
    self->joined = self->target_count == 1 && !points_need_old(self) && points_burst_add(self);
    if (!self->joined) {
        points_burst_run(self->write.operation.db); /* those that came before */
    }
    return self->joined;
}

/* Its collection was moved to islands while it waited: to where it is now. */
static ins_status start_over(struct points_write *self, ins_error *error) {
    uint64_t ticket = self->context.ticket;
    reader_close(&self->directory);
    reader_close(&self->reader);
    holds_release(&self->holds);
    self->holds.ticket = ticket;
    self->scope->pins--;
    self->scope = NULL;
    self->target_count = self->next = 0;
    self->by_island = NULL;
    self->joined = false;
    return validate(self, error);
}

static ins_status points_write_step(struct operation *operation, ins_error *error) {
    struct points_write *self = points_write_of(operation);
    if (self->write.settle_lsn != 0) {
        return write_settle(&self->write, error);
    }
    ins_status status = self->validated ? INS_OK : validate(self, error);
    if (status == INS_OK && self->may_join && join(self)) {
        return INS_AGAIN;
    }
    if (status == INS_OK) {
        status = room_enter(operation, &self->write.room, points_cost(self), error);
    }
    if (status == INS_OK && self->scope->moved) {
        status = start_over(self, error);
    }
    if (status == INS_OK && scope_dropped(self->scope)) {
        /* Dropped while it waited; its islands may be gone. */
        status = scopes_gone(operation->db, self->request, error);
    }
    if (status == INS_OK) {
        status = resolve(self, error);
    }
    if (status == INS_OK) {
        status = points_account(self, error);
    }
    if (status == INS_OK) {
        status = points_sequence(self, error);
    }
    if (status == INS_OK || self->write.settle_lsn != 0) {
        end_resolving(self);
    }
    if (status == INS_OK && operation->sequenced && self->dropped_count == 0) {
        /* What it took to come here: the next write finds it in the processor's cache, rather than
         * as much again for each that waits for the log. */
        pool_fini(&operation->pool);
    }
    return status;
}

void points_write_start(ins_db *db, enum points_kind kind, const ins_points_request *request,
                        const struct points_context *context, ins_call *call) {
    bool alone = context->ticket == 0 && context->ordered == NULL && context->intent == NULL &&
                 context->drop_count == 0;
    bool may_join = kind == POINTS_UPSERT && request->point_count == 1 && alone;
    struct points_write *self =
        may_join ? operation_create_joining(db, call, sizeof(*self), points_write_step,
                                            points_write_close)
                 : operation_create(db, call, sizeof(*self), points_write_step, points_write_close,
                                    false);
    if (self != NULL) {
        self->may_join = may_join;
        self->request = request;
        self->kind = kind;
        self->context = *context;
        self->holds.ticket = context->ticket;
        operation_run(&self->write.operation);
    }
}
