/* Updates of points as they are called: one, or many in their order. One that names several shard
 * keys is many as well: one for each of them.
 *
 * A batch starts each update when the one before has its place (its rows are in the memtable, where
 * the next one sees them) and not when it is durable, so that all of them share the log's syncs. */
#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"
#include "engine/operation.h"
#include "engine/points.h"
#include "engine/scopes.h"
#include "engine/text.h"

#define BATCH_AHEAD 32u /* updates under way at once: each has memory of its own */

struct batch_item {
    struct points_batch *batch;
    ins_call call;
    size_t number;
};

struct points_batch {
    struct operation operation;
    const ins_update *updates; /* [update_count] */
    size_t update_count;
    /* Of one update over several shard keys: it, and for whom it works. */
    const ins_points_request *spread;
    enum points_kind spread_kind;
    struct points_context context;
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

static void spread_start(ins_db *db, enum points_kind kind, const ins_points_request *request,
                         const struct points_context *context, ins_call *call);

static void start_one(ins_db *db, enum points_kind kind, const ins_points_request *request,
                      const struct points_context *context, ins_call *call) {
    bool one_scope = request->shard_key_count <= 1 || request->shard_fallback;
    if (!one_scope || (request->shard_keys != NULL && request->shard_key_count == 0)) {
        spread_start(db, kind, request, context, call);
    } else if (kind == POINTS_UPSERT || kind == POINTS_UPDATE_VECTORS) {
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
    if (self->ended == self->update_count) {
        operation_run(&self->operation); /* answers in the order of LSNs */
    } else {
        db_run(self->operation.db, INS_LANE_REQUEST, &self->operation.waiter.task);
    }
}

/* Of a spread update: who waits for its place behind those before it may go on. */
static void tell_ordered(struct points_batch *self) {
    bool all = self->ordered && self->started == self->update_count && self->status == INS_OK;
    if (all && self->context.ordered != NULL) {
        self->context.ordered(self->context.user);
        self->context.ordered = NULL;
    }
}

static void item_ordered(void *user) {
    struct batch_item *item = user;
    if (item->number + 1 == item->batch->started) {
        item->batch->ordered = true;
        tell_ordered(item->batch);
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
    tell_ordered(self);
    ins_call_release(call);
    wake(self);
}

static bool is_repeated(const ins_shard_key *keys, size_t index) {
    const ins_shard_key *key = &keys[index];
    for (size_t i = 0; i < index; i++) {
        bool number = key->text.data == NULL;
        if (number == (keys[i].text.data == NULL) &&
            (number ? key->number == keys[i].number : text_equal(key->text, keys[i].text))) {
            return true;
        }
    }
    return false;
}

/* One update for each shard key; nothing is begun unless all are there. */
static ins_status spread_begin(struct points_batch *self, ins_error *error) {
    const ins_points_request *request = self->spread;
    if (request->shard_key_count == 0) {
        return ins_fail(error, INS_INVALID, "shard_key: an update names at least one");
    }
    ins_status status = scopes_check(self->operation.db, request, error);
    if (status != INS_OK) {
        return status;
    }
    ins_update *updates =
        pool_alloc(&self->operation.pool, request->shard_key_count * sizeof(*updates));
    if (updates == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %zu shard keys", request->shard_key_count);
    }
    for (size_t i = 0; i < request->shard_key_count; i++) {
        if (is_repeated(request->shard_keys, i)) {
            continue;
        }
        ins_update *update = &updates[self->update_count++];
        *update = (ins_update){.start = kinds[self->spread_kind].start, .request = *request};
        update->request.shard_keys = &request->shard_keys[i];
        update->request.shard_key_count = 1;
    }
    self->updates = updates;
    return INS_OK;
}

static ins_status batch_begin(struct points_batch *self, ins_error *error) {
    ins_status status = self->spread != NULL ? spread_begin(self, error) : INS_OK;
    if (status != INS_OK) {
        return status;
    }
    if (self->update_count > INS_BATCH_UPDATES_MAX) {
        return ins_fail(error, INS_INVALID, "operations: %zu in one request, the limit is %u",
                        self->update_count, INS_BATCH_UPDATES_MAX);
    }
    struct pool *pool = &self->operation.pool;
    self->items = pool_alloc_zero(pool, BATCH_AHEAD * sizeof(*self->items));
    self->lsns = pool_alloc_zero(pool, (self->update_count + 1) * sizeof(*self->lsns));
    self->ordered = true;
    return self->items == NULL || self->lsns == NULL
               ? ins_fail(error, INS_FULL, "no memory for a batch of %zu operations",
                          self->update_count)
               : INS_OK;
}

static void start_next(struct points_batch *self) {
    const ins_update *update = &self->updates[self->started];
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
    return self->status == INS_OK && self->ordered && self->started < self->update_count &&
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
    for (size_t i = 0; i < self->ended && self->spread != NULL; i++) {
        operation->call->lsn =
            self->lsns[i] > operation->call->lsn ? self->lsns[i] : operation->call->lsn;
    }
    operation->call->lsns = self->spread == NULL ? self->lsns : NULL;
    operation->call->count = self->spread == NULL ? self->ended : 0;
    *error = self->error;
    return self->status;
}

static void spread_start(ins_db *db, enum points_kind kind, const ins_points_request *request,
                         const struct points_context *context, ins_call *call) {
    struct points_batch *self = operation_create(db, call, sizeof(*self), batch_step, NULL, false);
    if (self != NULL) {
        self->spread = request;
        self->spread_kind = kind;
        self->context = *context;
        operation_run(&self->operation);
    }
}

void ins_points_batch(ins_db *db, const void *batch_request, ins_call *call) {
    const ins_batch_request *request = batch_request;
    struct points_batch *self = operation_create(db, call, sizeof(*self), batch_step, NULL, false);
    if (self != NULL) {
        self->updates = request->updates;
        self->update_count = request->update_count;
        operation_run(&self->operation);
    }
}
