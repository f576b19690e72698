/* A tenant's file, piece by piece: the head, a block of points for each page, the end.
 *
 * Path: export_step -> begin (whose, by the state) -> the head; or next_scope -> load (a page of
 * ids in one scope) -> take (points into the piece) -> seal; or the end. Each piece is a call of
 * its own with a view of its own, so that a slow reader keeps neither files nor generations of the
 * memtable: what is written meanwhile may come, once, as it is then.
 * Failure: nothing but the state is kept, and that changes with INS_OK only.
 * Threads: the request lane. */
#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/portable.h"
#include "engine/quotas.h"
#include "engine/scopes.h"
#include "engine/tenants.h"
#include "engine/text.h"
#include "tenant/page.h"

#define EXPORT_POINTS 1024u             /* of one block: some ms of the lane when they are small */
#define EXPORT_BYTES_FULL (1u << 20)    /* a block ends behind so many, */
#define PIECE_BYTES ((2u << 20) - 128u) /* or before so many, which one allocation has */
_Static_assert(PIECE_BYTES >= PORTABLE_FRAME_BYTES + PORTABLE_BODY_BYTES_MAX, "one frame");
_Static_assert(PORTABLE_BLOCK_HEAD_MAX + 24u + 8u * INS_VECTORS_MAX + INS_VECTOR_BYTES_MAX +
                       INS_PAYLOAD_BYTES_MAX <=
                   PORTABLE_BODY_BYTES_MAX,
               "the largest point fits a block");
_Static_assert(EXPORT_POINTS <= PAGE_MAX, "a page");

struct export_piece {
    struct operation operation;
    const ins_export_request *request;
    ins_export state; /* as it will be */
    struct scopes scopes;
    struct account_name name;
    struct scope *shard;   /* the only scope, where a shard key is the tenant; pinned */
    struct scope *scope;   /* being read; pinned */
    struct schema *schema; /* held */
    struct reader reader;
    uint8_t *piece; /* [PIECE_BYTES] frame and body */
    struct bytes_writer body;
    struct place places[EXPORT_POINTS];
    uint32_t wanted, next, taken;
    bool begun, paged, whole; /* whole: the block is */
};

static void export_close(struct operation *operation) {
    struct export_piece *self = container_of(operation, struct export_piece, operation);
    reader_close(&self->reader);
    if (self->scope != NULL) {
        self->scope->pins--;
    }
    if (self->shard != NULL) {
        self->shard->pins--;
    }
    schema_release(&operation->db->catalog, self->schema);
    scopes_close(&self->scopes);
}

/* ---- Whose ---- */

/* As readers see it; NULL: it has none in this scope. */
static struct island *island_of(const struct export_piece *self, const struct scope *scope) {
    struct ins_db *db = self->operation.db;
    return self->name.is_tenant ? islands_find_tenant(&db->islands, scope, self->name.tenant)
                                : scope->common;
}

/* The scopes that can have points of it, one after the other; `after` NULL: the first. */
static struct scope *scope_behind(const struct export_piece *self, struct scope *after) {
    uint64_t lsn = self->operation.db->reading.durable_lsn;
    struct scope *collection = self->scopes.collection;
    if (self->shard != NULL || !collection->sharded) {
        struct scope *only = self->shard != NULL ? self->shard : collection;
        return after == NULL ? only : NULL;
    }
    struct scope *next = after == NULL ? collection->keys : after->key_next;
    while (next != NULL && !scope_readable(next, lsn)) {
        next = next->key_next;
    }
    return next;
}

static struct tenant_span span_now(const struct export_piece *self) {
    struct tenant_span span = {0};
    for (struct scope *scope = scope_behind(self, NULL); scope != NULL;
         scope = scope_behind(self, scope)) {
        const struct island *island = island_of(self, scope);
        if (island != NULL) {
            tenant_span_add(&span, island);
        }
    }
    return span;
}

/* The name as it is shown: of a collection that is a tenant its own. */
static ins_text shown_name(const struct export_piece *self) {
    return self->request->name.data != NULL ? self->request->name : self->request->collection;
}

/* Blocks name vectors by their place in the head's list. */
static uint64_t shape_of(const struct export_piece *self) {
    uint64_t hash = self->name.is_tenant;
    for (uint32_t i = 0; i < self->schema->vector_count; i++) {
        const struct schema_vector *vector = &self->schema->vectors[i];
        hash = hash64_seed(vector->name.data, vector->name.size, hash);
        hash = hash64_seed(&vector->shape, sizeof(vector->shape), hash + vector->distance);
    }
    return hash;
}

static ins_status check_shape(struct export_piece *self, ins_error *error) {
    uint64_t shape = shape_of(self);
    if (self->state.begun && shape != self->state.shape) {
        return ins_fail(error, INS_EXISTS,
                        "Conflict: the vectors of collection `%.*s` were changed during the export",
                        (int)self->request->collection.size, self->request->collection.data);
    }
    self->state.shape = shape;
    return INS_OK;
}

static ins_status check_meant(struct export_piece *self, ins_error *error) {
    ins_text name = shown_name(self);
    struct tenant_span span = span_now(self);
    uint64_t now = span.highest;
    uint64_t meant = self->state.begun ? self->state.incarnation : self->request->incarnation;
    if (now == 0) {
        return meant != 0
                   ? tenants_gone(name, meant, error)
                   : ins_fail(error, INS_NOT_FOUND, "Not found: Tenant `%.*s` has no points!",
                              (int)name.size, name.data);
    }
    bool same = self->state.begun ? span.lowest <= meant : tenant_span_has(&span, meant);
    if (meant != 0 && !same) {
        return tenants_other(name, now, meant, error);
    }
    if (!self->state.begun) {
        self->state.incarnation = now;
    }
    return INS_OK;
}

static ins_status export_begin(struct export_piece *self, ins_error *error) {
    struct operation *operation = &self->operation;
    const ins_export_request *request = self->request;
    ins_points_request about = {.collection = request->collection};
    ins_tenants_request named = {.collection = request->collection, .name = request->name};
    operation->within = true;
    self->begun = true;
    self->state = *request->state;
    ins_status status = scopes_open(&self->scopes, operation, &about, error);
    if (status == INS_OK) {
        status = quota_name(operation->db, &named, false, &self->name, error);
    }
    if (status != INS_OK) {
        return status;
    }
    const struct scope *collection = self->scopes.collection;
    if (request->name.data == NULL && (collection->sharded || scope_has_islands(collection))) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: collection `%.*s` has tenants: name one of them",
                        (int)request->collection.size, request->collection.data);
    }
    for (struct scope *key = collection->keys; key != NULL; key = key->key_next) {
        if (key == self->name.scope) {
            key->pins++;
            self->shard = key;
        }
    }
    if (self->state.begun) {
        account_enter(operation, account_open(operation->db, &self->name));
    } else {
        status = account_read_begins(operation, &self->name, error);
        if (status != INS_OK) {
            return status;
        }
    }
    self->schema = schema_hold(collection->schema);
    self->piece = pool_alloc(&operation->pool, PIECE_BYTES);
    if (self->piece == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a piece of a tenant's file");
    }
    self->body = (struct bytes_writer){.data = self->piece + PORTABLE_FRAME_BYTES,
                                       .capacity = PORTABLE_BODY_BYTES_MAX};
    status = check_shape(self, error);
    return status == INS_OK ? check_meant(self, error) : status;
}

/* ---- Frames ---- */

static void seal(struct export_piece *self, enum portable_kind kind) {
    ins_call *call = self->operation.call;
    INS_ASSERT(!self->body.overflow);
    uint64_t hash = portable_frame_write(kind, self->state.frames, self->body.data,
                                         (uint32_t)self->body.size, self->piece);
    self->state.chain = portable_chain(self->state.chain, hash);
    self->state.frames++;
    account_charge_scan(&self->operation, self->taken, self->body.size);
    call->bytes = (ins_text){(const char *)self->piece, PORTABLE_FRAME_BYTES + self->body.size};
    call->found = kind != PORTABLE_END;
    *self->request->state = self->state;
}

static ins_status give_head(struct export_piece *self, ins_error *error) {
    const struct ins_db *db = self->operation.db;
    const struct schema *schema = self->schema;
    self->state.begun = true;
    self->state.lsn_first = self->state.lsn_last = db->reading.durable_lsn;
    struct portable_head head = {.collection = scope_name(self->scopes.collection),
                                 .tenant = self->request->name,
                                 .incarnation = self->state.incarnation,
                                 .lsn = self->state.lsn_first};
    if (self->name.is_tenant) {
        head.field = schema->tenant_text;
    }
    ins_text text = portable_head_text(&self->operation.pool, schema, &head);
    if (text.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the head of a tenant's file");
    }
    bytes_put(&self->body, text.data, text.size);
    seal(self, PORTABLE_HEAD);
    return INS_OK;
}

static ins_status give_end(struct export_piece *self) {
    uint8_t bytes[PORTABLE_END_BYTES];
    struct portable_end end = {.points = self->state.points,
                               .newer = self->state.newer,
                               .lsn_first = self->state.lsn_first,
                               .lsn_last = self->state.lsn_last,
                               .chain = self->state.chain};
    portable_end_write(&end, bytes);
    bytes_put(&self->body, bytes, sizeof(bytes));
    seal(self, PORTABLE_END);
    return INS_OK;
}

/* ---- Points ---- */

/* The scope where the state stands, or the first one behind it that has the tenant. *out_end: there
 * is none. */
static void next_scope(struct export_piece *self, bool *out_end) {
    struct scope *scope = scope_behind(self, NULL);
    while (scope != NULL) {
        bool here = self->state.in_scope && scope->key == self->state.scope;
        if ((here || scope->key > self->state.scope) && island_of(self, scope) != NULL) {
            break;
        }
        scope = scope_behind(self, scope);
    }
    *out_end = scope == NULL;
    if (scope == NULL) {
        return;
    }
    if (!self->state.in_scope || self->state.scope != scope->key) {
        self->state.in_scope = true;
        self->state.scope = scope->key;
        self->state.from = id_number(0);
    }
    scope->pins++;
    self->scope = scope;
}

static void leave_scope(struct export_piece *self) {
    reader_close(&self->reader);
    self->scope->pins--;
    self->scope = NULL;
    self->state.in_scope = false;
    self->paged = false;
}

static uint32_t page_size(const struct export_piece *self) {
    uint32_t asked = self->operation.db->options.change_points; /* of tests */
    return asked != 0 && asked < EXPORT_POINTS ? asked : EXPORT_POINTS;
}

static ins_status load(struct export_piece *self, ins_error *error) {
    struct operation *operation = &self->operation;
    struct ins_db *db = operation->db;
    ins_status status = INS_OK;
    if (!self->reader.open) {
        struct island *island = island_of(self, self->scope);
        INS_ASSERT(island != NULL); /* found in this very step */
        status = reader_open(&self->reader, &db->reading, island, db->reading.durable_lsn,
                             &operation->pool, &operation->waiter, error);
    }
    if (status == INS_OK) {
        status = reader_load(&self->reader, error);
    }
    if (status == INS_OK) {
        status = page_points(&self->reader, &self->state.from, self->places, page_size(self),
                             &self->wanted, error);
    }
    self->paged = status == INS_OK;
    self->next = 0;
    if (status == INS_OK) {
        self->state.lsn_last = self->reader.lsn;
        bool keyed = self->name.is_tenant;
        portable_block_head(&self->body, keyed ? self->scope : self->scopes.collection, 0);
    }
    return status;
}

static ins_status take_one(struct export_piece *self, const struct place *place, bool *out_full,
                           ins_error *error) {
    struct vector_ref refs[INS_VECTORS_MAX];
    uint32_t count = 0;
    uint64_t version = 0;
    ins_text payload = {0};
    struct reader *reader = &self->reader;
    ins_status status = reader_vectors(reader, place, self->schema, refs, &count, error);
    if (status == INS_OK) {
        status = reader_version(reader, place, &version, error);
    }
    if (status == INS_OK) {
        status = reader_payload(reader, place, &payload, error);
    }
    if (status != INS_OK) {
        return status;
    }
    ins_id id = reader_id(reader, place);
    struct bytes_writer before = self->body;
    portable_point(&self->body, self->schema, &id, refs, count, payload);
    *out_full = self->body.overflow;
    if (self->body.overflow) {
        INS_ASSERT(self->taken > 0);
        self->body = before;
        return INS_OK;
    }
    self->taken++;
    self->state.newer += version > self->state.lsn_first;
    *out_full = self->body.size >= EXPORT_BYTES_FULL;
    reader_trim(reader, place);
    return INS_OK;
}

/* The page's points, as many as fit. What is left of it comes with the next piece. */
static ins_status take(struct export_piece *self, ins_error *error) {
    bool full = false;
    while (self->next < self->wanted && !full) {
        uint32_t before = self->taken;
        ins_status status = take_one(self, &self->places[self->next], &full, error);
        if (status != INS_OK) {
            return status;
        }
        self->next += self->taken - before;
    }
    if (self->taken == 0) {
        return INS_OK;
    }
    ins_id last = reader_id(&self->reader, &self->places[self->next - 1]);
    bool more = id_after(&last, &self->state.from);
    bool all = self->next == self->wanted && self->wanted < page_size(self);
    self->state.points += self->taken;
    self->whole = true;
    store_u32(self->body.data, self->taken);
    if (!more || all) {
        leave_scope(self);
    }
    return INS_OK;
}

static ins_status export_step(struct operation *operation, ins_error *error) {
    struct export_piece *self = container_of(operation, struct export_piece, operation);
    ins_status status = self->begun ? INS_OK : export_begin(self, error);
    if (status == INS_OK && !self->state.begun) {
        return give_head(self, error);
    }
    while (status == INS_OK && !self->whole) {
        bool end = false;
        if (self->scope == NULL) {
            next_scope(self, &end);
        }
        if (end) {
            return give_end(self);
        }
        status = self->paged ? INS_OK : load(self, error);
        if (status == INS_OK) {
            status = take(self, error);
        }
        if (status == INS_OK && !self->whole) { /* no points are left in this scope */
            leave_scope(self);
            self->body.size = 0;
        }
    }
    if (status == INS_OK) {
        seal(self, PORTABLE_POINTS);
    }
    return status;
}

void ins_tenant_export(ins_db *db, const void *export_request, ins_call *call) {
    struct export_piece *self =
        operation_create(db, call, sizeof(*self), export_step, export_close, true);
    if (self != NULL) {
        self->request = export_request;
        operation_run(&self->operation);
    }
}
