/* Another name for a tenant: a row of the catalog in each shard key, whatever its size.
 *
 * Path: its quota is given to the new name (as a change of the settings) -> the rename itself, one
 * record -> the quota of the old name is taken away. A process that ends in between leaves a quota
 * for a name that has no points, and no more.
 * The rename takes its place like a change by filter (gates.h): it waits for the writes that came
 * before and look at points, and later ones wait for it, so each of them sees one name only. What
 * writers and readers see meanwhile: tenant/island_rename.c. Points that lie outside of the
 * tenant's island (their field is an array, say) keep what they have: it is their payload. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/gates.h"
#include "engine/names.h"
#include "engine/quotas.h"
#include "engine/tenants.h"
#include "engine/text.h"

struct rename_part {          /* of the collection, or of one shard key */
    struct scope *scope;      /* pinned */
    struct islands_walk walk; /* for the gate: it is about everything */
    struct gate gate;
    struct island_rename *rename; /* until it begins */
    uint64_t incarnation;         /* 0: the tenant has no island here */
};

struct rename_write {
    struct write write;
    ins_text collection, name, to;
    uint64_t meant;      /* its incarnation; 0: any */
    struct scope *scope; /* the collection's own, pinned */
    struct rename_part *parts;
    uint32_t part_count, shown; /* shown: parts with an island */
};

static struct rename_write *of(struct operation *operation) {
    return container_of(operation, struct rename_write, write.operation);
}

static void leave_gates(struct rename_write *self) {
    for (uint32_t i = 0; i < self->part_count; i++) {
        gate_leave(&self->parts[i].gate);
    }
}

static void rename_close(struct operation *operation) {
    struct rename_write *self = of(operation);
    leave_gates(self);
    for (uint32_t i = 0; i < self->part_count; i++) {
        island_rename_free(&operation->db->islands, self->parts[i].rename);
        self->parts[i].scope->pins--;
    }
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

static void rename_durable(struct write *write, uint64_t lsn) {
    (void)lsn;
    struct rename_write *self = container_of(write, struct rename_write, write);
    for (uint32_t i = 0; i < self->part_count; i++) {
        if (self->parts[i].incarnation != 0) {
            island_rename_land(&write->operation.db->islands, self->parts[i].incarnation);
        }
    }
}

/* ---- Who is meant ---- */

static ins_status name_taken(const struct rename_write *self, ins_error *error) {
    return ins_fail(error, INS_EXISTS, "Tenant `%.*s` already exists!", (int)self->to.size,
                    self->to.data);
}

static ins_status name_absent(const struct rename_write *self, ins_error *error) {
    return ins_fail(error, INS_NOT_FOUND, "Not found: Tenant `%.*s` has no points!",
                    (int)self->name.size, self->name.data);
}

/* As it would come in a payload. */
static ins_status check_name(struct rename_write *self, const struct schema *schema,
                             ins_error *error) {
    if (self->to.size > INS_TENANT_BYTES_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE, "to: %zu bytes, the limit is %u", self->to.size,
                        INS_TENANT_BYTES_MAX);
    }
    if (!schema->tenant_is_uuid) {
        return INS_OK;
    }
    ins_id uuid;
    char text[ID_TEXT_MAX];
    if (!id_parse_uuid(self->to.data, self->to.size, &uuid)) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "to: `%.*s` is no UUID, as the values of the tenant field are",
                        (int)(self->to.size < 64 ? self->to.size : 64), self->to.data);
    }
    size_t size = id_format(&uuid, text);
    self->to = text_copy(&self->write.operation.pool, (ins_text){.data = text, .size = size});
    return self->to.data == NULL ? ins_fail(error, INS_FULL, "no memory for a name") : INS_OK;
}

static struct scope *next_part(const struct scope *collection, const struct scope *scope) {
    if (!collection->sharded) {
        return scope == NULL ? (struct scope *)(uintptr_t)collection : NULL;
    }
    struct scope *next = scope == NULL ? collection->keys : scope->key_next;
    while (next != NULL && scope_dropped(next)) {
        next = next->key_next;
    }
    return next;
}

/* As writers see it now. */
static ins_status check_islands(const struct rename_write *self, const struct scope *collection,
                                ins_error *error) {
    const struct islands *islands = &self->write.operation.db->islands;
    uint64_t incarnation = tenants_incarnation(islands, collection, self->name);
    uint32_t found = 0;
    if (self->meant != 0 && incarnation != 0 && incarnation != self->meant) {
        return tenants_other(self->name, incarnation, self->meant, error);
    }
    for (struct scope *scope = next_part(collection, NULL); scope != NULL;
         scope = next_part(collection, scope)) {
        if (islands_find_newest(islands, scope, self->to) != NULL) {
            return name_taken(self, error);
        }
        found += islands_find_newest(islands, scope, self->name) != NULL;
    }
    return found == 0 ? name_absent(self, error) : INS_OK;
}

static ins_status enter_gates(struct rename_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    uint32_t count = self->scope->sharded ? self->scope->key_count : 1;
    self->parts = pool_alloc_zero(&operation->pool, (count + 1) * sizeof(*self->parts));
    if (self->parts == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u shard keys", count);
    }
    for (struct scope *scope = next_part(self->scope, NULL);
         scope != NULL && self->part_count < count; scope = next_part(self->scope, scope)) {
        struct rename_part *part = &self->parts[self->part_count++];
        part->scope = scope;
        scope->pins++;
        part->walk.scope = scope;
        gate_enter(&part->gate, operation->db, &part->walk);
    }
    return INS_OK;
}

static ins_status rename_begin(struct rename_write *self, ins_error *error) {
    struct ins_db *db = self->write.operation.db;
    struct scope *collection = NULL;
    ins_status status = names_find_scope(db, self->collection, true, &collection, error);
    if (status != INS_OK) {
        return status;
    }
    if (tenants_field(collection->schema) == NULL) {
        return tenants_none(self->collection, error);
    }
    status = check_name(self, collection->schema, error);
    if (status == INS_OK) {
        status = check_islands(self, collection, error);
    }
    if (status == INS_OK) {
        self->scope = collection;
        collection->pins++;
    }
    return status;
}

/* ---- The record ---- */

static ins_status add_row(struct rename_write *self, struct rename_part *part, ins_error *error) {
    struct islands *islands = &self->write.operation.db->islands;
    struct island *island = islands_find_newest(islands, part->scope, self->name);
    part->incarnation = 0;
    if (scope_dropped(part->scope) || island == NULL) {
        return INS_OK;
    }
    ins_text row = catalog_row_tenant(&self->write.operation.pool, part->scope->key, self->to);
    if (row.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a catalog row");
    }
    ins_status status = island_rename_make(islands, island, self->to, &part->rename, error);
    if (status == INS_OK) {
        part->incarnation = island->incarnation;
        status = write_catalog_row(&self->write, island->incarnation, row, error);
    }
    return status;
}

static ins_status rename_sequence(struct rename_write *self, uint64_t bytes, ins_error *error) {
    uint64_t lsn;
    ins_status status = write_begin(&self->write, bytes, self->part_count + 1, error);
    for (uint32_t i = 0; i < self->part_count && status == INS_OK; i++) {
        status = add_row(self, &self->parts[i], error);
    }
    if (status == INS_OK) {
        status = write_sequence(&self->write, SYSTEM_SCOPE, &lsn, error);
    }
    if (status != INS_OK) {
        write_undo(&self->write);
        return status;
    }
    for (uint32_t i = 0; i < self->part_count; i++) {
        if (self->parts[i].rename != NULL) {
            island_rename_begin(&self->write.operation.db->islands, self->parts[i].rename);
            self->parts[i].rename = NULL;
        }
    }
    leave_gates(self);
    return INS_OK;
}

static ins_status rename_step(struct operation *operation, ins_error *error) {
    struct rename_write *self = of(operation);
    ins_status status = self->scope == NULL ? rename_begin(self, error) : INS_OK;
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(self->scope != NULL);
    uint32_t keys = self->scope->sharded ? self->scope->key_count : 1;
    uint64_t bytes = (keys + 1) * write_catalog_cost(6 * self->to.size + 64);
    status = self->parts == NULL ? room_enter(operation, &self->write.room, bytes, error) : INS_OK;
    if (status == INS_OK && self->parts == NULL) {
        status = scope_dropped(self->scope) ? names_absent(self->collection, error)
                                            : enter_gates(self, error);
    }
    for (uint32_t i = 0; i < self->part_count && status == INS_OK; i++) {
        status = gate_settle(&self->parts[i].gate, operation) ? INS_OK : INS_AGAIN;
    }
    if (status == INS_OK) {
        status = scope_dropped(self->scope) ? names_absent(self->collection, error)
                                            : check_islands(self, self->scope, error);
    }
    return status == INS_OK ? rename_sequence(self, bytes, error) : status;
}

static void rename_start(ins_db *db, const void *tenants_request, ins_call *call) {
    const ins_tenants_request *request = tenants_request;
    struct rename_write *self =
        operation_create(db, call, sizeof(*self), rename_step, rename_close, false);
    if (self != NULL) {
        self->collection = request->collection;
        self->name = request->name;
        self->to = request->to;
        self->meant = request->incarnation;
        self->write.durable = rename_durable;
        operation_run(&self->write.operation);
    }
}

/* ---- With its quota ---- */

enum rename_stage { RENAME_LOOK, RENAME_QUOTA_SET, RENAME_WRITE, RENAME_QUOTA_CLEAR, RENAME_END };

struct tenant_rename {
    struct operation operation;
    const ins_tenants_request *request;
    ins_tenants_request part; /* of the inner call */
    ins_call inner;
    enum rename_stage stage; /* that is under way */
    bool has_quota, begun, starting;
    ins_status status; /* of the rename itself */
    ins_error error;
    uint64_t lsn;
};

static void outer_close(struct operation *operation) {
    struct tenant_rename *self = container_of(operation, struct tenant_rename, operation);
    if (self->begun) {
        ins_call_release(&self->inner);
    }
}

static void inner_done(ins_call *inner) {
    struct tenant_rename *self = inner->user;
    self->operation.parked = false;
    if (!self->starting) {
        operation_run(&self->operation);
    }
}

static void begin_inner(struct tenant_rename *self, enum rename_stage stage, ins_start start) {
    if (self->begun) {
        ins_call_release(&self->inner);
    }
    self->stage = stage;
    self->inner = (ins_call){.done = inner_done, .user = self, .lane = INS_LANE_REQUEST};
    self->begun = self->starting = self->operation.parked = true;
    start(self->operation.db, &self->part, &self->inner);
    self->starting = false;
}

/* A quota that the new name has already stays. */
static ins_status look(struct tenant_rename *self, ins_error *error) {
    struct account_name name, to;
    ins_quota ignored;
    struct ins_db *db = self->operation.db;
    ins_tenants_request target = *self->request;
    target.name = self->request->to;
    ins_status status = quota_name(db, self->request, true, &name, error);
    if (status == INS_OK && name.is_tenant && self->request->to.size <= INS_TENANT_BYTES_MAX) {
        status = quota_name(db, &target, true, &to, error);
        self->has_quota =
            status == INS_OK && quota_of(&name, &self->part.quota) && !quota_of(&to, &ignored);
    }
    return status;
}

/* What ended leads to what is next. */
static ins_status go_on(struct tenant_rename *self, ins_error *error) {
    ins_status status = self->stage == RENAME_LOOK ? INS_OK : self->inner.status;
    switch (self->stage) {
    case RENAME_LOOK:
        self->part = *self->request;
        status = look(self, error);
        self->part.name = self->request->to;
        if (status == INS_OK && self->has_quota) {
            begin_inner(self, RENAME_QUOTA_SET, ins_tenant_quota_set);
            return INS_OK;
        }
        break;
    case RENAME_QUOTA_SET:
        *error = self->inner.error;
        break;
    case RENAME_WRITE:
        self->status = self->inner.status;
        self->error = self->inner.error;
        self->lsn = self->inner.lsn;
        self->part.name = self->status == INS_OK ? self->request->name : self->request->to;
        if (self->has_quota) {
            begin_inner(self, RENAME_QUOTA_CLEAR, ins_tenant_quota_clear);
            return INS_OK;
        }
        self->stage = RENAME_END;
        return INS_OK;
    case RENAME_QUOTA_CLEAR: /* a quota that is left over is no failure of the rename */
    case RENAME_END:
        self->stage = RENAME_END;
        return INS_OK;
    }
    if (status == INS_OK) {
        self->part = *self->request;
        begin_inner(self, RENAME_WRITE, rename_start);
    }
    return status;
}

static ins_status outer_step(struct operation *operation, ins_error *error) {
    struct tenant_rename *self = container_of(operation, struct tenant_rename, operation);
    ins_status status = INS_OK;
    while (status == INS_OK && !operation->parked && self->stage != RENAME_END) {
        status = go_on(self, error);
    }
    if (status == INS_OK && operation->parked) {
        return INS_AGAIN;
    }
    if (status == INS_OK) {
        operation->call->lsn = self->lsn;
        *error = self->error;
        status = self->status;
    }
    return status;
}

void ins_tenant_rename(ins_db *db, const void *tenants_request, ins_call *call) {
    struct tenant_rename *self =
        operation_create(db, call, sizeof(*self), outer_step, outer_close, false);
    if (self != NULL) {
        self->request = tenants_request;
        operation_run(&self->operation);
    }
}
