/* Changes by filter of many records: the row in the catalog that outlives the process, and the
 * start that goes on with it. */
#include "base/status.h"
#include "engine/change_text.h"
#include "engine/names.h"
#include "engine/points_filter.h"
#include "engine/text.h"

/* Nothing is borrowed from the request any more. */
static ins_status take_copy(struct points_filter *self, struct slice bytes, ins_error *error) {
    struct pool *pool = &self->operation.pool;
    enum points_kind kind;
    ins_status status = change_decode(pool, bytes, &kind, &self->own, error);
    if (status != INS_OK) {
        return status;
    }
    ins_shard_key *key = pool_alloc_zero(pool, sizeof(*key));
    struct scope *collection = self->scopes.collection;
    self->own.collection = text_copy(pool, scope_name(collection));
    bool copied = key != NULL && self->own.collection.data != NULL;
    if (copied && self->scope != collection) {
        *key = scope_shard_key(self->scope);
        if (!self->scope->is_number) {
            key->text = text_copy(pool, key->text);
            copied = key->text.data != NULL;
        }
        self->own.shard_keys = key;
        self->own.shard_key_count = 1;
    }
    self->own.no_wait = self->request != NULL && self->request->no_wait;
    self->own.if_expired = self->request != NULL && self->request->if_expired;
    self->kind = kind;
    self->request = &self->own;
    return copied ? INS_OK : ins_fail(error, INS_FULL, "no memory for a change by filter");
}

ins_status filter_become_long(struct points_filter *self, ins_error *error) {
    struct ins_db *db = self->operation.db;
    struct pool *pool = &self->operation.pool;
    struct slice bytes;
    if (db->changes == INS_CHANGES_MAX) {
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "%u changes by filter of many points are under way, the limit is %u; "
                              "try again",
                              db->changes, INS_CHANGES_MAX);
    }
    filter_leave_island(self);
    ins_status status = change_encode(pool, self->kind, self->request, &bytes, error);
    if (status == INS_OK) {
        self->intent.row =
            catalog_row_change(pool, self->scope->key, self->start_lsn, bytes.data, bytes.size);
        status = self->intent.row.data == NULL
                     ? ins_fail(error, INS_FULL, "no memory to keep a change by filter")
                     : take_copy(self, bytes, error);
    }
    if (status == INS_OK) {
        status = filter_walk_begin(self, error);
    }
    if (status != INS_OK) {
        return status;
    }
    db->changes++;
    self->is_long = true;
    self->id_count = 0;
    self->all_seen = self->gathered = false;
    return INS_OK;
}

void filter_answer_early(struct points_filter *self) {
    if (self->own.no_wait && self->is_long && self->intent.key != 0 && !self->detached) {
        self->detached = true;
        operation_detach(&self->operation, &self->own_call);
    }
}

/* ---- At a start ---- */

static void nobody(ins_call *call) {
    (void)call;
}

ins_status points_filter_resume(ins_db *db, const struct change_row *row, ins_error *error) {
    struct scope *scope = catalog_find_key(&db->catalog, row->scope_key);
    if (scope == NULL) {
        return INS_OK; /* dropped since: nothing to change */
    }
    ins_call call = {.done = nobody};
    struct points_filter *self =
        operation_create(db, &call, sizeof(*self), filter_step, filter_close, false);
    if (self == NULL) {
        *error = call.error;
        return call.status;
    }
    self->scope = scope;
    scope->pins++;
    self->is_long = true;
    db->changes++;
    self->start_lsn = row->lsn;
    self->intent.key = row->key;
    ins_status status = filter_take_memory(self, error);
    uint8_t *bytes = pool_copy(&self->operation.pool, row->bytes, row->size);
    if (status == INS_OK && bytes == NULL) {
        status = ins_fail(error, INS_FULL, "no memory for a change by filter");
    }
    if (status == INS_OK) {
        status = take_copy(self, (struct slice){.data = bytes, .size = row->size}, error);
    }
    if (status == INS_OK) {
        status = filter_walk_begin(self, error);
    }
    operation_detach(&self->operation, &self->own_call);
    self->detached = true;
    if (status != INS_OK) {
        operation_end(&self->operation, status, error);
        return status;
    }
    gate_enter(&self->gate, db, &self->walk);
    self->gate.settled = true; /* nobody came before */
    self->operation.next_waiting = db->resumed;
    db->resumed = &self->operation;
    return INS_OK;
}

void points_filters_start(ins_db *db) {
    while (db->resumed != NULL) {
        struct operation *operation = db->resumed;
        db->resumed = operation->next_waiting;
        db_run(db, INS_LANE_REQUEST, &operation->waiter.task);
    }
}
