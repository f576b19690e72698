/* A tenant's file, written to a collection.
 *
 * Path: import_step -> begin (the head, whose, does it fit) -> look (every block, one a step: that
 * each of its points could be written) -> write (up to IMPORT_POINTS a write, each a call of its
 * own, for which this one waits) -> end.
 * Failure: before the first write nothing has changed; after it points stay that were written, and
 * the same file with `merge` replaces them.
 * Threads: the request lane. */
#include <stdio.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/points.h"
#include "engine/portable.h"
#include "engine/quotas.h"
#include "engine/tenants.h"
#include "engine/text.h"
#include "engine/walk.h"

#define IMPORT_POINTS 256u        /* of one write */
#define IMPORT_BYTES (1ull << 20) /* and about their bytes as floats */

enum import_stage { IMPORT_BEGIN, IMPORT_LOOK, IMPORT_WRITE, IMPORT_WAIT };

struct import {
    struct operation operation;
    const ins_import_request *request;
    enum import_stage stage;
    struct account_name name;
    struct scope *collection, *scope; /* pinned; `scope`: of a tenant without a field, else NULL */
    struct schema *schema;            /* held */
    struct portable_head head;
    struct payload_path source; /* the file's tenant field, where the points are to have it */
    bool has_source;
    /* Where in the file. */
    size_t at, first; /* `first`: behind the head */
    uint32_t number;
    uint64_t chain, points;
    bool chained, ended;
    struct portable_block block;
    bool in_block;
    /* A write. */
    struct pool pool; /* of its points */
    ins_point batch[IMPORT_POINTS];
    uint32_t batch_count;
    ins_points_request upsert;
    ins_call inner;
    bool starting;
    uint64_t fence;
    ins_tenant tenant;
};

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

static uint64_t incarnation_now(const struct import *self) {
    if (self->name.is_tenant) {
        return tenants_incarnation(&self->operation.db->islands, self->collection,
                                   self->name.tenant);
    }
    return self->scope->common->incarnation;
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
    if (request->name.data == NULL && (collection->sharded || collection->directory != NULL)) {
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
    uint64_t now = incarnation_now(self), meant = request->incarnation;
    if (meant != 0 && now != meant) {
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

/* The frame at self->at, whose number is `number`. */
static ins_status read_frame(const struct import *self, uint32_t number, struct portable_frame *out,
                             const uint8_t **out_body, ins_error *error) {
    ins_text bytes = self->request->bytes;
    const uint8_t *from = (const uint8_t *)bytes.data + self->at;
    size_t left = bytes.size - self->at;
    ins_status status = portable_frame_read(from, left, number, out, error);
    if (status != INS_OK) {
        return status;
    }
    if (out->body_bytes > left - PORTABLE_FRAME_BYTES) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: it is cut: block %u has %zu of its %u bytes", number,
                        left - PORTABLE_FRAME_BYTES, out->body_bytes);
    }
    *out_body = from + PORTABLE_FRAME_BYTES;
    return portable_body_check(out, *out_body, error);
}

/* Points of another field's tenant, or of another name's, carry what they were known by. */
static ins_status find_source(struct import *self, ins_error *error) {
    ins_text field = self->head.field;
    if (field.data == NULL) {
        return INS_OK;
    }
    ins_error reason;
    if (payload_path_parse_keys(field, &self->operation.pool, &self->source, &reason) != INS_OK) {
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
    ins_status status = find_target(self, error);
    if (status == INS_OK) {
        status = read_frame(self, 0, &frame, &body, error);
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
    self->first = self->at = PORTABLE_FRAME_BYTES + frame.body_bytes;
    self->number = 1;
    self->chain = portable_chain(0, frame.hash);
    self->chained = true;
    self->stage = IMPORT_LOOK;
    return INS_OK;
}

/* ---- Looking ---- */

/* The payload that the point will have here; size 0: none. */
static ins_status compose(const struct import *self, ins_text payload, struct pool *pool,
                          ins_text *out, ins_error *error) {
    *out = payload;
    if (self->has_source) {
        *out = payload_restore(pool, *out, &self->source, self->head.tenant);
    }
    if (self->name.is_tenant && (out->data != NULL || out->size == 0)) {
        *out = payload_restore(pool, *out, &self->schema->tenant_path, self->request->name);
    }
    bool none = out->data == NULL && (self->has_source || self->name.is_tenant);
    return none ? ins_fail(error, INS_FULL, "no memory for a payload of %zu bytes", payload.size)
                : INS_OK;
}

static ins_status refuse_point(const struct import *self, const ins_id *id, const char *what,
                               ins_error *error) {
    char text[ID_TEXT_MAX];
    (void)id_format(id, text);
    return ins_fail(error, INS_INVALID, "tenant file: block %u, point %s: %.380s",
                    self->block.number, text, what);
}

/* It would lie in the tenant's island, and nowhere else. */
static ins_status check_payload(struct import *self, const ins_point *point, ins_error *error) {
    const struct schema *schema = self->schema;
    const struct payload_path *path = self->name.is_tenant ? &schema->tenant_path : NULL;
    struct payload_stored stored;
    ins_error reason;
    ins_text text;
    ins_status status = compose(self, point->payload, &self->pool, &text, error);
    if (status != INS_OK || (text.size == 0 && path == NULL)) {
        return status;
    }
    status = payload_store(self->operation.db->parser, &self->pool, text, path,
                           schema->tenant_is_uuid, &stored, &reason);
    if (status == INS_EXHAUSTED) {
        *error = reason;
        return status;
    }
    if (status != INS_OK) {
        return refuse_point(self, &point->id, reason.message, error);
    }
    if (path != NULL && (!stored.has_tenant || !text_equal(stored.tenant, self->request->name))) {
        char what[160];
        (void)snprintf(what, sizeof(what), "its `%.*s` cannot be the tenant's name",
                       (int)(schema->tenant_text.size < 80 ? schema->tenant_text.size : 80),
                       schema->tenant_text.data);
        return refuse_point(self, &point->id, what, error);
    }
    return INS_OK;
}

/* A block of a tenant that lies in several shard keys names one. */
static ins_status check_key(struct import *self, ins_error *error) {
    bool wants_key = self->name.is_tenant && self->collection->sharded;
    if (wants_key != self->block.has_key) {
        return ins_fail(error, INS_INVALID,
                        wants_key ? "tenant file: block %u names no shard key, the collection has "
                                    "some"
                                  : "tenant file: block %u is of a shard key, the tenant is to "
                                    "have none",
                        self->block.number);
    }
    if (wants_key && shard_find(&self->operation.db->catalog, self->collection, &self->block.key,
                                UINT64_MAX) == NULL) {
        char shown[SHARD_KEY_SHOWN];
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u is of shard key %s, the collection has none such",
                        self->block.number, shard_key_text(&self->block.key, shown));
    }
    return INS_OK;
}

static ins_status look_at_block(struct import *self, struct slice body, ins_error *error) {
    ins_status status = portable_block_begin(&self->block, &self->head, self->number, body, error);
    if (status == INS_OK) {
        status = check_key(self, error);
    }
    while (status == INS_OK && self->block.next < self->block.count) {
        ins_point point;
        status = portable_block_next(&self->block, &self->pool, &point, error);
        if (status == INS_OK) {
            status = check_payload(self, &point, error);
        }
        if (self->pool.used_bytes >= IMPORT_BYTES) {
            pool_fini(&self->pool);
        }
    }
    self->points += self->block.count;
    pool_fini(&self->pool);
    return status == INS_OK ? portable_block_end(&self->block, error) : status;
}

static ins_status look_at_end(struct import *self, const struct portable_frame *frame,
                              const uint8_t *body, ins_error *error) {
    struct portable_end end;
    ins_status status = portable_end_read(frame, body, &end, error);
    if (status != INS_OK) {
        return status;
    }
    if (self->chained && (end.chain != self->chain || end.points != self->points)) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: its end, block %u, speaks of %llu points, before it stand "
                        "%llu, or other blocks",
                        frame->number, (unsigned long long)end.points,
                        (unsigned long long)self->points);
    }
    self->ended = true;
    return INS_OK;
}

static ins_status look_behind(struct import *self, ins_error *error) {
    if (self->ended && self->at < self->request->bytes.size) {
        return ins_fail(error, INS_INVALID, "tenant file: %zu bytes follow its end",
                        self->request->bytes.size - self->at);
    }
    if (!self->ended && !self->request->part && self->at == self->request->bytes.size) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: it is cut: it ends behind block %u, without its end",
                        self->number - 1);
    }
    return INS_OK;
}

/* The number of the first frame behind the head: of a part whichever it is. */
static void begin_part(struct import *self) {
    ins_text bytes = self->request->bytes;
    if (self->request->part && self->at == self->first &&
        bytes.size - self->at >= PORTABLE_FRAME_BYTES) {
        uint32_t number = load_u32(bytes.data + self->at + 8);
        self->chained = number == 1;
        self->number = number > 1 ? number : 1;
    }
}

/* One frame. All of them: on to writing. */
static ins_status look(struct import *self, ins_error *error) {
    struct portable_frame frame;
    const uint8_t *body = NULL;
    ins_status status = look_behind(self, error);
    if (status != INS_OK) {
        return status;
    }
    if (self->at == self->request->bytes.size) {
        self->stage = IMPORT_WRITE;
        self->at = self->first;
        return INS_OK;
    }
    begin_part(self);
    status = read_frame(self, self->number, &frame, &body, error);
    if (status == INS_OK && frame.kind == PORTABLE_HEAD) {
        status =
            ins_fail(error, INS_INVALID, "tenant file: block %u is a second head", frame.number);
    }
    if (status == INS_OK && frame.kind == PORTABLE_POINTS) {
        status = look_at_block(self, (struct slice){body, frame.body_bytes}, error);
    } else if (status == INS_OK) {
        status = look_at_end(self, &frame, body, error);
    }
    if (status != INS_OK) {
        return status;
    }
    self->chain = portable_chain(self->chain, frame.hash);
    self->number++;
    self->at += PORTABLE_FRAME_BYTES + frame.body_bytes;
    return INS_AGAIN; /* let others pass */
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
    while (self->block.next < self->block.count && self->batch_count < IMPORT_POINTS &&
           self->pool.used_bytes < IMPORT_BYTES) {
        ins_point *point = &self->batch[self->batch_count];
        ins_status status = portable_block_next(&self->block, &self->pool, point, error);
        if (status == INS_OK) {
            status = compose(self, point->payload, &self->pool, &point->payload, error);
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
    static const struct points_context as_stored = {.as_stored = true};
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
    points_write_start(operation->db, POINTS_UPSERT, &self->upsert, &as_stored, &self->inner);
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
        status = look(self, error);
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
