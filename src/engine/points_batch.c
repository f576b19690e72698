/* Updates of points as they are called: one, or many in their order.
 *
 * A batch starts each update when the one before has its place (its rows are in the memtable, where
 * the next one sees them) and not when it is durable, so that all of them share the log's syncs. */
#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"
#include "engine/operation.h"
#include "engine/points.h"

#define BATCH_AHEAD 32u /* updates under way at once: each has memory of its own */

struct batch_item {
    struct points_batch *batch;
    ins_call call;
    size_t number;
};

struct points_batch {
    struct operation operation;
    const ins_batch_request *request;
    struct batch_item *items; /* [BATCH_AHEAD], by number modulo that */
    uint64_t *lsns;           /* [update_count] */
    size_t started, ended;
    bool ordered; /* the newest one that was started has its place */
    bool busy;    /* in its step */
    ins_status status;
    ins_error error; /* of the first that failed */
};

static const struct {
    ins_start start;
    enum points_kind kind;
} kinds[] = {
    {ins_points_upsert, POINTS_UPSERT},
    {ins_points_delete, POINTS_DELETE},
    {ins_points_set_payload, POINTS_SET_PAYLOAD},
    {ins_points_overwrite_payload, POINTS_OVERWRITE_PAYLOAD},
    {ins_points_delete_payload, POINTS_DELETE_PAYLOAD},
    {ins_points_clear_payload, POINTS_CLEAR_PAYLOAD},
    {ins_points_update_vectors, POINTS_UPDATE_VECTORS},
    {ins_points_delete_vectors, POINTS_DELETE_VECTORS},
};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == POINTS_KINDS, "every kind has its function");

static bool kind_of(ins_start start, enum points_kind *out) {
    for (size_t i = 0; i < POINTS_KINDS; i++) {
        if (kinds[i].start == start) {
            *out = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static void start_one(ins_db *db, enum points_kind kind, const ins_points_request *request,
                      const struct points_context *context, ins_call *call) {
    if (kind == POINTS_UPSERT || kind == POINTS_UPDATE_VECTORS) {
        points_write_start(db, kind, request, context, call);
    } else {
        points_filter_start(db, kind, request, context, call);
    }
}

static void start_alone(ins_db *db, enum points_kind kind, const void *request, ins_call *call) {
    static const struct points_context nobody;
    start_one(db, kind, request, &nobody, call);
}

void ins_points_upsert(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_UPSERT, points_request, call);
}

void ins_points_delete(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_DELETE, points_request, call);
}

void ins_points_set_payload(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_SET_PAYLOAD, points_request, call);
}

void ins_points_overwrite_payload(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_OVERWRITE_PAYLOAD, points_request, call);
}

void ins_points_delete_payload(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_DELETE_PAYLOAD, points_request, call);
}

void ins_points_clear_payload(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_CLEAR_PAYLOAD, points_request, call);
}

void ins_points_update_vectors(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_UPDATE_VECTORS, points_request, call);
}

void ins_points_delete_vectors(ins_db *db, const void *points_request, ins_call *call) {
    start_alone(db, POINTS_DELETE_VECTORS, points_request, call);
}

/* ---- Batches ---- */

static void wake(struct points_batch *self) {
    if (self->busy || !self->operation.parked) {
        return;
    }
    self->operation.parked = false;
    if (self->ended == self->request->update_count) {
        operation_run(&self->operation); /* answers in the order of LSNs */
    } else {
        db_run(self->operation.db, INS_LANE_REQUEST, &self->operation.waiter.task);
    }
}

static void item_ordered(void *user) {
    struct batch_item *item = user;
    if (item->number + 1 == item->batch->started) {
        item->batch->ordered = true;
        wake(item->batch);
    }
}

static void item_done(ins_call *call) {
    struct batch_item *item = call->user;
    struct points_batch *self = item->batch;
    self->lsns[item->number] = call->lsn;
    if (call->status != INS_OK && self->status == INS_OK) {
        self->status = call->status;
        self->error = call->error;
    }
    item->batch = NULL; /* free for the next one */
    self->ended++;
    self->ordered |= item->number + 1 == self->started;
    ins_call_release(call);
    wake(self);
}

static ins_status batch_begin(struct points_batch *self, ins_error *error) {
    const ins_batch_request *request = self->request;
    if (request->update_count > INS_BATCH_UPDATES_MAX) {
        return ins_fail(error, INS_INVALID, "operations: %zu in one request, the limit is %u",
                        request->update_count, INS_BATCH_UPDATES_MAX);
    }
    struct pool *pool = &self->operation.pool;
    self->items = pool_alloc_zero(pool, BATCH_AHEAD * sizeof(*self->items));
    self->lsns = pool_alloc_zero(pool, (request->update_count + 1) * sizeof(*self->lsns));
    self->ordered = true;
    return self->items == NULL || self->lsns == NULL
               ? ins_fail(error, INS_FULL, "no memory for a batch of %zu operations",
                          request->update_count)
               : INS_OK;
}

static void start_next(struct points_batch *self) {
    const ins_update *update = &self->request->updates[self->started];
    struct batch_item *item = &self->items[self->started % BATCH_AHEAD];
    struct points_context context = {.ordered = item_ordered, .user = item};
    enum points_kind kind;
    bool known = kind_of(update->start, &kind);
    INS_ASSERT(known);
    *item = (struct batch_item){.batch = self, .number = self->started++};
    item->call = (ins_call){.done = item_done, .user = item, .lane = INS_LANE_REQUEST};
    self->ordered = false;
    start_one(self->operation.db, kind, &update->request, &context, &item->call);
}

static bool may_start(const struct points_batch *self) {
    return self->status == INS_OK && self->ordered && self->started < self->request->update_count &&
           self->items[self->started % BATCH_AHEAD].batch == NULL;
}

static ins_status batch_step(struct operation *operation, ins_error *error) {
    struct points_batch *self = container_of(operation, struct points_batch, operation);
    ins_status status = self->items == NULL ? batch_begin(self, error) : INS_OK;
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(self->items != NULL);
    self->busy = true;
    while (may_start(self)) {
        start_next(self);
    }
    self->busy = false;
    if (self->ended < self->started) {
        operation->parked = true;
        return INS_AGAIN;
    }
    operation->call->lsns = self->lsns;
    operation->call->count = self->ended;
    *error = self->error;
    return self->status;
}

void ins_points_batch(ins_db *db, const void *batch_request, ins_call *call) {
    struct points_batch *self = operation_create(db, call, sizeof(*self), batch_step, NULL, false);
    if (self != NULL) {
        self->request = batch_request;
        operation_run(&self->operation);
    }
}
