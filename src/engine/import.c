/* A tenant's file, written to a collection.
 *
 * Path: import_step -> begin (the head, whose, does it fit) -> look (every block, one a step: that
 * each of its points could be written) -> write (up to IMPORT_POINTS a write, each a call of its
 * own, for which this one waits) -> end.
 * Failure: before the first write nothing has changed; after it points stay that were written, and
 * the same file with `merge` replaces them.
 * Threads: the request lane. */
#include "engine/import.h"
#include "base/assert.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/quotas.h"
#include "engine/tenants.h"
#include "engine/walk.h"

static void import_close(struct operation *operation) {
    struct import *self = container_of(operation, struct import, operation);
    pool_fini(&self->pool);
    schema_release(&operation->db->catalog, self->schema);
    if (self->collection != NULL) {
        self->collection->pins--;
    }
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

/* ---- Whose ---- */

static struct tenant_span span_now(const struct import *self) {
    struct tenant_span span = {0};
    if (self->name.is_tenant) {
        return tenants_span(&self->operation.db->islands, self->collection, self->name.tenant);
    }
    tenant_span_add(&span, self->scope->common);
    return span;
}

static uint64_t incarnation_now(const struct import *self) {
    return span_now(self).highest;
}

/* As writers see it. */
static bool has_points(const struct import *self) {
    return self->name.is_tenant ? incarnation_now(self) != 0 : island_has_rows(self->scope->common);
}

static ins_status find_target(struct import *self, ins_error *error) {
    struct operation *operation = &self->operation;
    const ins_import_request *request = self->request;
    ins_tenants_request named = {.collection = request->collection, .name = request->name};
    struct scope *collection = NULL;
    ins_status status =
        names_find_scope(operation->db, request->collection, true, &collection, error);
    if (status == INS_OK) {
        status = quota_name(operation->db, &named, true, &self->name, error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (request->name.data == NULL && (collection->sharded || scope_has_islands(collection))) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: collection `%.*s` has tenants: name one of them",
                        (int)request->collection.size, request->collection.data);
    }
    struct scope *scope = self->name.is_tenant ? NULL : collection;
    for (struct scope *key = collection->keys; key != NULL; key = key->key_next) {
        scope = key == self->name.scope ? key : scope;
    }
    collection->pins++;
    self->collection = collection;
    if (scope != NULL) {
        scope->pins++;
        self->scope = scope;
    }
    self->schema = schema_hold(collection->schema);
    account_enter(operation, account_open(operation->db, &self->name));
    return INS_OK;
}

static ins_status check_meant(struct import *self, ins_error *error) {
    const ins_import_request *request = self->request;
    ins_text name = request->name.data != NULL ? request->name : request->collection;
    struct tenant_span span = span_now(self);
    uint64_t now = span.highest, meant = request->incarnation;
    if (meant != 0 && !tenant_span_has(&span, meant)) {
        return now == 0 ? tenants_gone(name, meant, error) : tenants_other(name, now, meant, error);
    }
    if (meant == 0 && !request->merge && has_points(self)) {
        return ins_fail(error, INS_EXISTS,
                        "Conflict: Tenant `%.*s` has points: merge=true replaces those of the same "
                        "ids and adds the others",
                        (int)name.size, name.data);
    }
    self->fence = self->collection->sharded || !self->name.is_tenant ? 0 : meant;
    return INS_OK;
}

/* ---- The file ---- */

/* Points of another field's tenant, or of another name's, carry what they were known by. */
static ins_status find_source(struct import *self, ins_error *error) {
    ins_text field = self->head.field;
    if (field.data == NULL) {
        return INS_OK;
    }
    ins_error reason;
    ins_status status =
        payload_path_parse_keys(field, &self->operation.pool, &self->source, &reason);
    if (status == INS_EXHAUSTED) {
        *error = reason;
        return status;
    }
    if (status != INS_OK) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: block 0: its head lacks a valid \"tenant_field\"");
    }
    const struct schema *schema = self->schema;
    self->has_source =
        !(self->name.is_tenant && payload_path_equal(&self->source, &schema->tenant_path));
    return INS_OK;
}

static ins_status import_begin(struct import *self, ins_error *error) {
    struct portable_frame frame;
    const uint8_t *body = NULL;
    bool apart = self->request->head.data != NULL;
    ins_status status = find_target(self, error);
    if (status == INS_OK) {
        status = import_frame(self, apart ? self->request->head : self->request->bytes, 0, &frame,
                              &body, error);
    }
    if (status == INS_OK && frame.kind != PORTABLE_HEAD) {
        status = ins_fail(error, INS_INVALID, "tenant file: block 0 is not a head");
    }
    if (status == INS_OK) {
        ins_text text = {(const char *)body, frame.body_bytes};
        status = portable_head_read(text, self->operation.db->parser, &self->operation.pool,
                                    &self->head, error);
    }
    if (status == INS_OK) {
        status = portable_head_fits(&self->head, self->schema, error);
    }
    if (status == INS_OK) {
        status = find_source(self, error);
    }
    if (status == INS_OK) {
        status = check_meant(self, error);
    }
    if (status != INS_OK) {
        return status;
    }
    self->first = self->at = apart ? 0 : PORTABLE_FRAME_BYTES + frame.body_bytes;
    self->number = 1;
    self->chain = portable_chain(0, frame.hash);
    self->chained = true;
    self->stage = IMPORT_LOOK;
    return INS_OK;
}

/* ---- Writing ---- */

/* The next block of points; self->in_block false: there is none. Every frame is a good one. */
static ins_status enter_block(struct import *self, ins_error *error) {
    ins_text bytes = self->request->bytes;
    while (!self->in_block && self->at < bytes.size) {
        const uint8_t *from = (const uint8_t *)bytes.data + self->at;
        uint32_t body_bytes = load_u32(from + 12);
        self->at += PORTABLE_FRAME_BYTES + body_bytes;
        if (load_u16(from + 6) != PORTABLE_POINTS) {
            continue;
        }
        struct slice body = {from + PORTABLE_FRAME_BYTES, body_bytes};
        ins_status status =
            portable_block_begin(&self->block, &self->head, load_u32(from + 8), body, error);
        if (status != INS_OK) {
            return status;
        }
        self->in_block = true;
    }
    return INS_OK;
}

static ins_status gather(struct import *self, ins_error *error) {
    self->batch_count = 0;
    pool_fini(&self->pool);
    uint32_t most = self->operation.db->options.change_points; /* of tests */
    most = most != 0 && most < IMPORT_POINTS ? most : IMPORT_POINTS;
    while (self->block.next < self->block.count && self->batch_count < most &&
           self->pool.used_bytes < IMPORT_BYTES) {
        ins_point *point = &self->batch[self->batch_count];
        ins_status status = portable_block_next(&self->block, &self->pool, point, error);
        if (status == INS_OK) {
            status = import_payload(self, point->payload, &self->pool, &point->payload, error);
        }
        if (status != INS_OK) {
            return status;
        }
        self->batch_count++;
    }
    self->in_block = self->block.next < self->block.count;
    return INS_OK;
}

static void import_done(ins_call *inner) {
    struct import *self = inner->user;
    self->operation.parked = false;
    if (!self->starting) {
        operation_run(&self->operation);
    }
}

static void start_write(struct import *self) {
    struct operation *operation = &self->operation;
    struct points_context context = {.as_stored = true, .own_only = self->name.is_tenant};
    if (self->scope != NULL && self->scope != self->collection) {
        self->block.key = scope_shard_key(self->scope);
    }
    bool keyed = self->collection->sharded;
    self->upsert = (ins_points_request){.collection = self->request->collection,
                                        .points = self->batch,
                                        .point_count = self->batch_count,
                                        .shard_keys = keyed ? &self->block.key : NULL,
                                        .shard_key_count = keyed ? 1 : 0,
                                        .incarnation_max = self->fence};
    self->inner = (ins_call){.done = import_done, .user = self, .lane = INS_LANE_REQUEST};
    self->stage = IMPORT_WAIT;
    operation->parked = true;
    self->starting = true;
    points_write_start(operation->db, POINTS_UPSERT, &self->upsert, &context, &self->inner);
    self->starting = false;
}

/* The write has ended. */
static ins_status take_write(struct import *self, ins_error *error) {
    ins_status status = self->inner.status;
    *error = self->inner.error;
    self->operation.call->lsn = self->inner.lsn;
    ins_call_release(&self->inner);
    self->stage = IMPORT_WRITE;
    self->operation.call->count += status == INS_OK ? self->batch_count : 0;
    if (status == INS_OK && self->fence == 0 && self->name.is_tenant &&
        !self->collection->sharded) {
        self->fence = incarnation_now(self); /* who deletes it now does not get it back */
    }
    return status;
}

/* *out_end: all is written. */
static ins_status write_next(struct import *self, bool *out_end, ins_error *error) {
    ins_status status = enter_block(self, error);
    *out_end = status == INS_OK && !self->in_block;
    if (status == INS_OK && self->in_block) {
        status = gather(self, error);
        if (status == INS_OK && self->batch_count > 0) {
            start_write(self);
        }
    }
    return status;
}

static ins_status import_end(struct import *self) {
    ins_call *call = self->operation.call;
    self->tenant = (ins_tenant){.name = self->request->name, .incarnation = incarnation_now(self)};
    call->tenants = &self->tenant;
    call->tenant_count = 1;
    return INS_OK;
}

static ins_status import_step(struct operation *operation, ins_error *error) {
    struct import *self = container_of(operation, struct import, operation);
    ins_status status = INS_OK;
    if (self->stage == IMPORT_BEGIN) {
        pool_init(&self->pool, operation->db->arena, INS_MEM_QUERY,
                  operation->db->operation_bytes_max);
        status = import_begin(self, error);
    }
    if (status == INS_OK && self->stage == IMPORT_LOOK) {
        status = import_look(self, error);
    }
    while (status == INS_OK && !operation->parked) {
        bool end = false;
        status =
            self->stage == IMPORT_WAIT ? take_write(self, error) : write_next(self, &end, error);
        if (end) {
            return import_end(self);
        }
    }
    return status == INS_OK ? INS_AGAIN : status;
}

void ins_tenant_import(ins_db *db, const void *import_request, ins_call *call) {
    struct import *self =
        operation_create(db, call, sizeof(*self), import_step, import_close, false);
    if (self != NULL) {
        self->request = import_request;
        operation_run(&self->operation);
    }
}
