/* Upsert and delete of points.
 *
 * Upsert: validate (names, dimensions, finiteness, payload to stored form) -> resolve (which island
 * holds the id now? only scopes with a tenant field ask) -> admit -> sequence. A point whose tenant
 * value changed moves: the same record holds its row in the new island and a tombstone in the old
 * one. A scope without a tenant field needs no resolving: newer rows win, so writes are blind. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/directory_view.h"
#include "engine/holds.h"
#include "engine/jobs.h"
#include "engine/names.h"
#include "engine/points.h"
#include "engine/text.h"

struct target { /* one id of a write */
    ins_id id;
    const ins_point *point; /* upsert; NULL: delete */
    struct payload_stored payload;
    uint32_t vector_bytes; /* of its row */
    uint64_t candidate;    /* island that the id directory names; 0 = none */
    bool resolved;
    size_t order; /* place in the request */
};

struct points_write {
    struct write write;
    const ins_points_request *request;
    struct scope *scope; /* pinned */
    struct target *targets;
    size_t target_count;
    struct holds holds;
    struct reader directory; /* open while this write waits for bytes of the id directory */
    uint64_t unless_newer;   /* delete by filter: ids written above this LSN stay */
    bool is_upsert, validated;
};

static struct points_write *of(struct operation *operation) {
    return container_of(operation, struct points_write, write.operation);
}

static void points_write_close(struct operation *operation) {
    struct points_write *self = of(operation);
    reader_close(&self->directory);
    holds_release(&self->holds);
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
    return status == INS_OK ? point_vectors_finite(target->point, error) : status;
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

/* Of an id that comes several times the last one counts, as if they had been sent one by one. */
static void drop_repeated(struct points_write *self) {
    struct target *targets = self->targets;
    if (ids_ascend(targets, self->target_count)) {
        return;
    }
    qsort(targets, self->target_count, sizeof(*targets), order_targets);
    size_t kept = 0;
    for (size_t i = 0; i < self->target_count; i++) {
        bool last = i + 1 == self->target_count || !id_equal(&targets[i].id, &targets[i + 1].id);
        if (last) {
            targets[kept++] = targets[i];
        }
    }
    self->target_count = kept;
    qsort(targets, kept, sizeof(*targets), order_request);
}

static ins_status validate(struct points_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    ins_status status =
        names_find_scope(operation->db, self->request->collection, true, &self->scope, error);
    if (status != INS_OK) {
        return status;
    }
    self->scope->pins++;
    size_t count = self->is_upsert ? self->request->point_count : self->request->id_count;
    if (count > INS_BATCH_POINTS_MAX) {
        return ins_fail(error, INS_INVALID, "points: %zu in one request, the limit is %u", count,
                        INS_BATCH_POINTS_MAX);
    }
    self->targets = pool_alloc(&operation->pool, (count + 1) * sizeof(struct target));
    if (self->targets == NULL) {
        return ins_fail(error, INS_TOO_LARGE,
                        "no memory for a request of %zu points; send fewer at once", count);
    }
    for (size_t i = 0; i < count; i++) {
        struct target *target = &self->targets[self->target_count++];
        *target = (struct target){.order = i};
        target->point = self->is_upsert ? &self->request->points[i] : NULL;
        target->id = self->is_upsert ? target->point->id : self->request->ids[i];
        if (self->scope->directory != NULL) {
            directory_view_prefetch(operation->db, self->scope, &target->id);
        }
        if (self->is_upsert) {
            status = check_vectors(self, target, error);
            if (status == INS_OK) {
                status = check_payload(self, target, error);
            }
        }
        if (status != INS_OK) {
            return status;
        }
    }
    drop_repeated(self);
    self->validated = true;
    return INS_OK;
}

/* ---- Resolve ---- */

/* An id whose newest row in the memtables of its tenant's island is a point lives there: a move
 * would have left a tombstone. So most overwrites of late rows ask no directory. */
static bool known_at_home(const struct points_write *self, struct target *target) {
    const struct read_context *reading = &self->write.operation.db->reading;
    if (!target->payload.has_tenant) {
        return false;
    }
    const struct island *home =
        islands_find_tenant(reading->islands, self->scope, target->payload.tenant);
    for (uint32_t which = 0; which < 2 && home != NULL; which++) {
        uint32_t slot = which == 0 ? reading->active_slot : 1 - reading->active_slot;
        const struct memrow *row = memtable_find(home->mem[slot], &target->id, UINT64_MAX);
        if (row != NULL) {
            target->candidate = home->incarnation;
            return row->kind == MEMROW_POINT;
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
    for (size_t i = 0; i < self->target_count; i++) {
        struct target *target = &self->targets[i];
        if (target->resolved || known_at_home(self, target)) {
            target->resolved = true;
            continue;
        }
        ins_status status = ask_one(self, target, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        target->resolved = status == INS_OK;
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

static ins_status resolve(struct points_write *self, ins_error *error) {
    if (self->scope->directory == NULL || self->target_count == 0) {
        return INS_OK;
    }
    struct operation *operation = &self->write.operation;
    const ins_id *ids = &self->targets[0].id;
    uint64_t scope = self->scope->key;
    bool conflict = holds_conflict(operation->db, &self->holds, scope, ids, sizeof(struct target),
                                   self->target_count);
    if (!conflict) {
        ins_status status = ask_directory(self, error);
        if (status != INS_AGAIN) {
            return status;
        }
    }
    bool waits;
    ins_status status = holds_take(&self->holds, operation, scope, ids, sizeof(struct target),
                                   self->target_count, &waits, error);
    return status == INS_OK ? INS_AGAIN : status;
}

/* ---- Admit and sequence ---- */

static uint64_t cost_of(const struct points_write *self) {
    bool directory = self->scope->directory != NULL;
    uint64_t cost = write_catalog_cost(64); /* the allocator's row */
    for (size_t i = 0; i < self->target_count; i++) {
        const struct target *target = &self->targets[i];
        if (target->point != NULL) {
            cost += memrow_cost(target->vector_bytes, (uint32_t)target->payload.text.size);
        }
        /* A tombstone, a directory entry, and a new tenant's row whose name may be escaped. */
        if (directory || target->point == NULL) {
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
    for (size_t i = 0; i < self->target_count && self->is_upsert; i++) {
        bytes += self->targets[i].vector_bytes + self->targets[i].payload.text.size;
    }
    return bytes;
}

static ins_status home_of(struct points_write *self, const struct target *target,
                          struct island **out_island, ins_error *error) {
    struct scope *scope = self->scope;
    if (scope->directory == NULL || !target->payload.has_tenant) {
        *out_island = scope->common;
        return INS_OK;
    }
    struct islands *islands = &self->write.operation.db->islands;
    *out_island = islands_find_tenant(islands, scope, target->payload.tenant);
    if (*out_island != NULL) {
        return INS_OK;
    }
    return write_island(&self->write, scope, target->payload.tenant, out_island, error);
}

/* By the schema that counts now: it may have changed while the request waited. */
static ins_status put_point(struct points_write *self, const struct target *target,
                            struct island *home, ins_error *error) {
    struct row_vectors vectors;
    row_vectors_begin(&vectors, self->scope->schema);
    ins_status status = row_vectors_take(&vectors, target->point, error);
    return status == INS_OK
               ? write_point(&self->write, home, &target->id, &vectors, target->payload.text, error)
               : status;
}

static bool written_above(const struct island *island, const struct target *target, uint64_t lsn) {
    for (int slot = 0; slot < 2 && lsn != UINT64_MAX; slot++) {
        const struct memrow *row = memtable_find(island->mem[slot], &target->id, UINT64_MAX);
        if (row != NULL && row->lsn > lsn) {
            return true;
        }
    }
    return false;
}

/* The rows of one id: the point in its home, and what a move needs. */
static ins_status put_target(struct points_write *self, const struct target *target,
                             ins_error *error) {
    struct ins_db *db = self->write.operation.db;
    struct scope *scope = self->scope;
    struct island *home = NULL;
    ins_status status = INS_OK;
    if (target->point != NULL) {
        status = home_of(self, target, &home, error);
        if (status == INS_OK) {
            status = put_point(self, target, home, error);
        }
    }
    struct island *old = scope->directory == NULL ? scope->common
                         : target->candidate == 0 ? NULL
                                                  : islands_find(&db->islands, target->candidate);
    bool newer =
        old != NULL && target->point == NULL && written_above(old, target, self->unless_newer);
    if (status == INS_OK && old != NULL && old != home && !newer) {
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

static ins_status sequence(struct points_write *self, ins_error *error) {
    struct write *write = &self->write;
    if (self->unless_newer != UINT64_MAX && write->operation.db->landed_lsn > self->unless_newer) {
        /* Rows that came after the sweep may lie in a segment now, where they are not looked for.
         */
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "a flush ended while the filter was evaluated; try again");
    }
    size_t rows = 4 * self->target_count + 4;
    /* Before its rows take memory that only a flush gives back. */
    ins_status status = write_check_record(write->operation.db, record_floor(self), error);
    if (status == INS_OK) {
        status = write_begin(write, cost_of(self), rows, error);
    }
    for (size_t i = 0; i < self->target_count && status == INS_OK; i++) {
        status = put_target(self, &self->targets[i], error);
    }
    if (status == INS_OK && write->row_count == 0) {
        return write_settle(write, error); /* nothing to delete: nothing to write */
    }
    if (status == INS_OK) {
        group_rows(write);
        uint64_t lsn;
        status = write_sequence(write, self->scope->key, &lsn, error);
    }
    if (status != INS_OK) {
        write_undo(write);
    }
    return status;
}

static ins_status points_write_step(struct operation *operation, ins_error *error) {
    struct points_write *self = of(operation);
    if (self->write.settle_lsn != 0) {
        return write_settle(&self->write, error);
    }
    ins_status status = self->validated ? INS_OK : validate(self, error);
    if (status == INS_OK && self->scope->drop_lsn != 0) {
        /* Dropped while it waited; its islands may be gone. */
        status = names_absent(self->request->collection, error);
    }
    if (status == INS_OK) {
        status = resolve(self, error);
    }
    if (status == INS_OK) {
        status = sequence(self, error);
    }
    if (status == INS_OK || self->write.settle_lsn != 0) {
        /* Later writes may go on before this one is durable: its rows are there for them. */
        reader_close(&self->directory);
        holds_release(&self->holds);
    }
    return status;
}

static void start(ins_db *db, const ins_points_request *request, ins_call *call, bool is_upsert,
                  uint64_t unless_newer) {
    struct points_write *self =
        operation_create(db, call, sizeof(*self), points_write_step, points_write_close, false);
    if (self != NULL) {
        self->request = request;
        self->is_upsert = is_upsert;
        self->unless_newer = unless_newer;
        operation_run(&self->write.operation);
    }
}

void ins_points_upsert(ins_db *db, const void *points_request, ins_call *call) {
    start(db, points_request, call, true, UINT64_MAX);
}

void points_delete_ids(ins_db *db, const ins_points_request *request, uint64_t unless_newer,
                       ins_call *call) {
    start(db, request, call, false, unless_newer);
}
