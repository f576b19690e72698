/* Tenants as a table: a page of their names and sizes, one of them, and its deletion.
 *
 * Path of a list: islands_walk_next() over all islands, in no order; the `limit` first names are
 * kept, sorted, in `best`. What is told is resident: nothing is read from disk. */
#include "engine/tenants.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/points.h"
#include "engine/text.h"
#include "engine/walk.h"

#define LIST_ISLANDS_A_STEP 2048u /* some 100 us */

struct tenants_read {
    struct operation operation;
    const ins_tenants_request *request;
    ins_points_request about; /* all of the collection */
    struct scopes scopes;
    struct islands_walk walk;
    uint32_t limit;
    bool by_shard;    /* a shard key is a tenant: without a tenant field */
    ins_tenant *best; /* [limit + 1], the first `count` ascending by name */
    size_t count;
    bool more;
};

static void tenants_close(struct operation *operation) {
    struct tenants_read *self = container_of(operation, struct tenants_read, operation);
    islands_walk_close(&self->walk);
    scopes_close(&self->scopes);
}

static int name_compare(ins_text left, ins_text right) {
    size_t size = left.size < right.size ? left.size : right.size;
    int order = size == 0 ? 0 : memcmp(left.data, right.data, size);
    return order != 0 ? order : left.size < right.size ? -1 : left.size > right.size;
}

static bool begins_with(ins_text name, ins_text prefix) {
    return prefix.size <= name.size &&
           (prefix.size == 0 || memcmp(name.data, prefix.data, prefix.size) == 0);
}

static ins_text name_of(const struct tenants_read *self, const struct island *island) {
    return self->by_shard ? scope_name(island->scope) : island_name(island);
}

static bool is_wanted(const struct tenants_read *self, const struct island *island) {
    const ins_tenants_request *request = self->request;
    ins_text name = name_of(self, island);
    if (island_is_tenant(island) == self->by_shard || (island->flags & ISLAND_DROPPING) != 0) {
        return false;
    }
    if (request->name.data != NULL) {
        return text_equal(name, request->name);
    }
    return begins_with(name, request->prefix) &&
           (request->after.data == NULL || name_compare(name, request->after) > 0);
}

/* The place of the first that is not before `name`. */
static size_t place_of(const struct tenants_read *self, ins_text name) {
    size_t low = 0, high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (name_compare(self->best[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_sizes(ins_tenant *tenant, const struct island *island) {
    struct tenant_sizes sizes = {0};
    tenant_sizes_add(&sizes, island);
    tenant->points_max += sizes.points_max;
    tenant->memory_rows += sizes.memory_rows;
    tenant->runs += sizes.runs;
    tenant->incarnation =
        island->incarnation > tenant->incarnation ? island->incarnation : tenant->incarnation;
    tenant->disk_bytes += sizes.disk_bytes;
}

static ins_status take(struct tenants_read *self, const struct island *island, ins_error *error) {
    ins_text name = name_of(self, island);
    size_t place = place_of(self, name);
    if (place < self->count && text_equal(self->best[place].name, name)) {
        add_sizes(&self->best[place], island); /* under another shard key */
        return INS_OK;
    }
    if (place == self->limit) {
        self->more = true;
        return INS_OK;
    }
    ins_tenant tenant = {.name = text_copy(&self->operation.pool, name)};
    if (tenant.name.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the names of %u tenants", self->limit);
    }
    add_sizes(&tenant, island);
    memmove(&self->best[place + 1], &self->best[place],
            (self->count - place) * sizeof(self->best[0]));
    self->best[place] = tenant;
    self->more = self->more || self->count == self->limit;
    self->count += self->count < self->limit;
    return INS_OK;
}

/* ---- Which one is meant ---- */

ins_status tenants_other(ins_text name, uint64_t incarnation, uint64_t meant, ins_error *error) {
    return ins_fail(error, INS_EXISTS,
                    "Conflict: Tenant `%.*s` has incarnation %llu, %llu was meant: it was deleted "
                    "or renamed, and made again",
                    (int)name.size, name.data, (unsigned long long)incarnation,
                    (unsigned long long)meant);
}

ins_status tenants_gone(ins_text name, uint64_t meant, ins_error *error) {
    return ins_fail(
        error, INS_EXISTS,
        "Conflict: Tenant `%.*s` has no points, incarnation %llu was meant: it was deleted "
        "or renamed",
        (int)name.size, name.data, (unsigned long long)meant);
}

ins_status tenants_unexpired(ins_text name, ins_error *error) {
    return ins_fail(error, INS_EXISTS,
                    "Conflict: Tenant `%.*s` was to be deleted as expired, and has time to live",
                    (int)name.size, name.data);
}

ins_status tenants_unnamed(ins_error *error) {
    return ins_fail(
        error, INS_INVALID,
        "Wrong input: incarnation: the write names no tenant that it could be meant for");
}

struct tenant_span tenants_span(const struct islands *islands, const struct scope *collection,
                                ins_text name) {
    struct tenant_span span = {0};
    const struct scope *scope = collection->sharded ? collection->keys : collection;
    while (scope != NULL) {
        const struct island *island =
            scope_dropped(scope) ? NULL : islands_find_newest(islands, scope, name);
        if (island != NULL) {
            tenant_span_add(&span, island);
        }
        scope = collection->sharded ? scope->key_next : NULL;
    }
    return span;
}

uint64_t tenants_incarnation(const struct islands *islands, const struct scope *collection,
                             ins_text name) {
    return tenants_span(islands, collection, name).highest;
}

/* ---- The steps ---- */

const struct schema_field *tenants_field(const struct schema *schema) {
    for (uint32_t i = 0; i < schema->field_count && schema->has_tenant_field; i++) {
        if (schema->fields[i].islands) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

ins_status tenants_none(ins_text collection, ins_error *error) {
    return ins_fail(
        error, INS_INVALID,
        "Wrong input: collection `%.*s` has no field with is_tenant that forms tenants (a "
        "shard key goes with POST .../shards/delete)",
        (int)collection.size, collection.data);
}

static ins_status tenants_begin(struct tenants_read *self, ins_error *error) {
    struct operation *operation = &self->operation;
    const ins_tenants_request *request = self->request;
    self->limit = request->name.data != NULL ? 1 : request->limit;
    if (self->limit == 0 || self->limit > INS_TENANTS_LIMIT_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE, "limit: value %u invalid, must be from 1 to %u",
                        request->limit, INS_TENANTS_LIMIT_MAX);
    }
    self->about.collection = request->collection;
    self->operation.within = true;
    ins_status status = scopes_open(&self->scopes, operation, &self->about, error);
    if (status != INS_OK) {
        return status;
    }
    const struct scope *collection = self->scopes.collection;
    self->by_shard = collection->sharded && !collection->schema->has_tenant_field;
    if (!self->by_shard && tenants_field(collection->schema) == NULL) {
        return tenants_none(request->collection, error);
    }
    self->best = pool_alloc(&operation->pool, (self->limit + 1) * sizeof(self->best[0]));
    if (self->best == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u tenants", self->limit);
    }
    return islands_walk_init(&self->walk, operation, &self->scopes, NULL, error);
}

static ins_status tenants_end(struct tenants_read *self, ins_error *error) {
    ins_call *call = self->operation.call;
    ins_text name = self->request->name;
    if (name.data != NULL && self->count == 0) {
        return ins_fail(error, INS_NOT_FOUND, "Not found: Tenant `%.*s` has no points!",
                        (int)name.size, name.data);
    }
    uint64_t meant = self->request->incarnation;
    if (meant != 0 && self->best[0].incarnation != meant) {
        return tenants_other(name, self->best[0].incarnation, meant, error);
    }
    if (name.data != NULL && !self->by_shard) {
        self->best[0].expires = expiry_left(self->operation.db, self->scopes.collection,
                                            self->best[0].name, &self->best[0].expires_in_s);
    }
    call->tenants = self->best;
    call->tenant_count = self->count;
    call->found = self->more;
    return INS_OK;
}

static ins_status tenants_step(struct operation *operation, ins_error *error) {
    struct tenants_read *self = container_of(operation, struct tenants_read, operation);
    ins_status status = self->best == NULL ? tenants_begin(self, error) : INS_OK;
    for (uint32_t i = 0; i < LIST_ISLANDS_A_STEP && status == INS_OK; i++) {
        const struct filter *filter = NULL;
        const struct payload_path *path = NULL;
        if (islands_walk_lost(&self->walk)) { /* dropped meanwhile: its islands are being freed */
            return names_absent(self->request->collection, error);
        }
        struct island *island = islands_walk_next(&self->walk, &filter, &path);
        if (island == NULL) {
            return tenants_end(self, error);
        }
        status = is_wanted(self, island) ? take(self, island, error) : INS_OK;
    }
    return status == INS_OK ? INS_AGAIN : status; /* let others pass */
}

static void tenants_start(ins_db *db, const ins_tenants_request *request, ins_call *call) {
    struct tenants_read *self =
        operation_create(db, call, sizeof(*self), tenants_step, tenants_close, true);
    if (self != NULL) {
        self->request = request;
        operation_run(&self->operation);
    }
}

void ins_tenants_list(ins_db *db, const void *tenants_request, ins_call *call) {
    tenants_start(db, tenants_request, call);
}

void ins_tenant_get(ins_db *db, const void *tenants_request, ins_call *call) {
    tenants_start(db, tenants_request, call);
}

/* ---- Delete ---- */

/* As a delete whose filter names the tenant alone, which takes its islands as a whole: a call of
 * its own, for which this one waits. */
struct tenant_delete {
    struct operation operation;
    const ins_tenants_request *request;
    ins_call inner;
    ins_points_request points;
    ins_filter filter;
    ins_condition condition;
    ins_value value;
    ins_tenant tenant; /* what is being deleted */
    bool begun, starting;
};

static void delete_close(struct operation *operation) {
    struct tenant_delete *self = container_of(operation, struct tenant_delete, operation);
    if (self->begun) {
        ins_call_release(&self->inner);
    }
}

static void delete_done(ins_call *inner) {
    struct tenant_delete *self = inner->user;
    self->operation.parked = false;
    if (!self->starting) {
        operation_run(&self->operation);
    }
}

/* A write to a sharded collection says in which: in all. */
static ins_status name_shards(struct tenant_delete *self, const struct scope *collection,
                              ins_error *error) {
    struct operation *operation = &self->operation;
    ins_shard_key *keys = pool_alloc(&operation->pool, (collection->key_count + 1) * sizeof(*keys));
    size_t count = 0;
    for (const struct scope *each = collection->keys; each != NULL && keys != NULL;
         each = each->key_next) {
        if (each->drop_lsn != 0 || count == collection->key_count) {
            continue;
        }
        ins_shard_key key = scope_shard_key(each);
        bool named = key.text.data != NULL;
        key.text = named ? text_copy(&operation->pool, key.text) : key.text;
        if (named && key.text.data == NULL) {
            return ins_fail(error, INS_FULL, "no memory for %u shard keys", collection->key_count);
        }
        keys[count++] = key;
    }
    if (keys == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u shard keys", collection->key_count);
    }
    self->points.shard_keys = keys;
    self->points.shard_key_count = count;
    return INS_OK;
}

static ins_status delete_begin(struct tenant_delete *self, ins_error *error) {
    struct operation *operation = &self->operation;
    const ins_tenants_request *request = self->request;
    struct scope *scope = NULL;
    ins_status status = names_find_scope(operation->db, request->collection, true, &scope, error);
    if (status != INS_OK) {
        return status;
    }
    const struct schema_field *field = tenants_field(scope->schema);
    if (field == NULL) {
        return tenants_none(request->collection, error);
    }
    uint64_t incarnation = tenants_incarnation(&operation->db->islands, scope, request->name);
    if (request->incarnation != 0 && incarnation != 0 && incarnation != request->incarnation) {
        return tenants_other(request->name, incarnation, request->incarnation, error);
    }
    self->tenant = (ins_tenant){.name = request->name, .incarnation = incarnation};
    struct account_name name = account_name_tenant(scope, request->name);
    struct account *account = account_find(&operation->db->accounts, &name);
    if (account != NULL) {
        account->writes_at = 0; /* who goes owes nothing: its rate does not refuse this */
    }
    self->condition = (ins_condition){.kind = INS_MATCH_ANY,
                                      .key = text_copy(&operation->pool, field->name),
                                      .values = &self->value,
                                      .value_count = 1};
    if (self->condition.key.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the name of a field");
    }
    self->value = (ins_value){.kind = INS_VALUE_TEXT, .text = request->name};
    self->filter = (ins_filter){.must = &self->condition, .must_count = 1};
    self->points = (ins_points_request){.collection = request->collection,
                                        .filter = &self->filter,
                                        .incarnation_max = request->incarnation,
                                        .if_expired = request->if_expired};
    status = scope->sharded ? name_shards(self, scope, error) : INS_OK;
    if (status != INS_OK || (scope->sharded && self->points.shard_key_count == 0)) {
        return status; /* without a shard key there are no points */
    }
    self->inner = (ins_call){.done = delete_done, .user = self, .lane = INS_LANE_REQUEST};
    self->begun = true;
    operation->parked = true;
    self->starting = true;
    ins_points_delete(operation->db, &self->points, &self->inner);
    self->starting = false;
    return INS_OK;
}

static ins_status delete_step(struct operation *operation, ins_error *error) {
    struct tenant_delete *self = container_of(operation, struct tenant_delete, operation);
    ins_status status = self->begun ? INS_OK : delete_begin(self, error);
    if (status == INS_OK && operation->parked) {
        return INS_AGAIN;
    }
    if (status == INS_OK && self->begun) {
        operation->call->lsn = self->inner.lsn;
        status = self->inner.status;
        *error = self->inner.error;
    }
    operation->call->tenants = &self->tenant;
    operation->call->tenant_count = 1;
    return status;
}

void ins_tenant_delete(ins_db *db, const void *tenants_request, ins_call *call) {
    struct tenant_delete *self =
        operation_create(db, call, sizeof(*self), delete_step, delete_close, false);
    if (self != NULL) {
        self->request = tenants_request;
        operation_run(&self->operation);
    }
}
