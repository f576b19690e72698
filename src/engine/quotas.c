/* Quotas in the settings of a collection (quota_text.h): whose they are, and what may be asked. A
 * change is a change of the settings: one record, and the accounts see that their collection has
 * changed. */
#include "engine/quotas.h"

#include <string.h>

#include "base/json_text.h"
#include "base/status.h"
#include "engine/expiry.h"
#include "engine/names.h"
#include "engine/operation.h"
#include "engine/quota_text.h"
#include "engine/text.h"

_Static_assert(INS_NAME_BYTES_MAX <= INS_TENANT_BYTES_MAX, "a shard key fits as well");

static ins_text key_of(const struct account_name *name, char out[static QUOTA_KEY_MAX]) {
    const struct scope *scope = name->scope;
    bool shard = scope != NULL && scope != name->collection;
    ins_text own = name->is_tenant ? name->tenant : shard ? scope_name(scope) : (ins_text){0};
    size_t size = own.size < QUOTA_KEY_MAX - 1 ? own.size : QUOTA_KEY_MAX - 1;
    out[0] = name->is_tenant ? 't' : !shard ? 'd' : scope->is_number ? 'n' : 's';
    if (size > 0) {
        memcpy(out + 1, own.data, size);
    }
    return (ins_text){out, size + 1};
}

/* The default is for tenants; where the collection has some, it is not for the collection. */
static bool takes_default(const struct account_name *name) {
    const struct scope *collection = name->collection;
    bool shard = name->scope != NULL && name->scope != collection;
    return name->is_tenant ||
           (collection->directory == NULL && !collection->schema->has_tenant_field &&
            (shard || !collection->sharded));
}

bool quota_of(const struct account_name *name, ins_quota *out) {
    ins_text quotas, own;
    char key[QUOTA_KEY_MAX];
    *out = (ins_quota){0};
    const struct schema *schema = name->collection->schema;
    if (schema == NULL || !quotas_in(schema->settings, &quotas)) {
        return false;
    }
    ins_text named = key_of(name, key);
    bool found = named.data[0] != 'd' && json_text_get_last(quotas, named, &own);
    if (found || (takes_default(name) && json_text_get_last(quotas, text_of("d"), &own))) {
        quota_parse(own, out);
    }
    return found;
}

/* ---- Names ---- */

/* A shard key by its text, or by its digits. */
static struct scope *find_shard(struct ins_db *db, const struct scope *collection, ins_text name,
                                uint64_t lsn) {
    ins_shard_key key = {.text = name};
    struct scope *scope = shard_find(&db->catalog, collection, &key, lsn);
    uint64_t number;
    if (scope == NULL && json_text_unsigned(name, &number)) {
        key = (ins_shard_key){.number = number};
        scope = shard_find(&db->catalog, collection, &key, lsn);
    }
    return scope;
}

ins_status quota_name(struct ins_db *db, const ins_tenants_request *request, bool for_write,
                      struct account_name *out, ins_error *error) {
    struct scope *scope = NULL;
    ins_status status = names_find_scope(db, request->collection, for_write, &scope, error);
    if (status != INS_OK) {
        return status;
    }
    *out = account_name_of(scope, scope->sharded ? NULL : scope);
    ins_text name = request->name;
    if (name.data == NULL) {
        return INS_OK;
    }
    if (scope_has_islands(scope)) {
        if (name.size > INS_TENANT_BYTES_MAX) {
            return ins_fail(error, INS_INVALID, "Wrong input: tenant: %zu bytes, the limit is %u",
                            name.size, INS_TENANT_BYTES_MAX);
        }
        *out = account_name_tenant(scope, name);
        return INS_OK;
    }
    int size = (int)(request->collection.size < 255 ? request->collection.size : 255);
    if (!scope->sharded) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: collection `%.*s` has neither a field with is_tenant that "
                        "forms tenants nor shard keys",
                        size, request->collection.data);
    }
    out->scope = find_shard(db, scope, name, for_write ? UINT64_MAX : db->reading.durable_lsn);
    return out->scope != NULL
               ? INS_OK
               : ins_fail(error, INS_NOT_FOUND, "Not found: Shard key `%.*s` doesn't exist!",
                          (int)(name.size < 255 ? name.size : 255), name.data);
}

/* ---- Set and clear: a change of the collection's settings ---- */

struct quota_change {
    struct operation operation;
    const ins_tenants_request *request;
    ins_call inner;
    ins_collection_request collection;
    bool begun, starting, clears;
};

static void change_close(struct operation *operation) {
    struct quota_change *self = container_of(operation, struct quota_change, operation);
    if (self->begun) {
        ins_call_release(&self->inner);
    }
}

static void change_done(ins_call *inner) {
    struct quota_change *self = inner->user;
    self->operation.parked = false;
    if (!self->starting) {
        operation_run(&self->operation);
    }
}

/* Bytes on disk of the collection's pinned tenants, but for the one that the key means. */
static uint64_t pinned_bytes(struct ins_db *db, const struct scope *collection, ins_text but) {
    ins_text quotas, raw, value;
    uint64_t bytes = 0;
    char name[QUOTA_KEY_RAW_MAX];
    if (!quotas_in(collection->schema->settings, &quotas)) {
        return 0;
    }
    struct json_text_iterator iterator = json_text_begin(quotas);
    while (json_text_next_member(&iterator, &raw, &value)) {
        ins_quota quota = {0};
        quota_parse(value, &quota);
        size_t size = quota.pin ? quota_key_decode(raw, name) : 0;
        if (size == 0 || json_text_key_equal(raw, but)) {
            continue;
        }
        struct account_name tenant =
            name[0] == 't' ? account_name_tenant(collection, (ins_text){name + 1, size - 1})
                           : account_name_of(collection, collection);
        if (name[0] == 's' || name[0] == 'n') {
            ins_text shard = {name + 1, size - 1};
            ins_shard_key key = {.text = shard};
            uint64_t number;
            if (name[0] == 'n' && json_text_unsigned(shard, &number)) {
                key = (ins_shard_key){.number = number};
            }
            tenant.scope = shard_find(&db->catalog, collection, &key, UINT64_MAX);
        }
        bytes += tenant.is_tenant || tenant.scope != NULL ? account_stored_bytes(db, &tenant) : 0;
    }
    return bytes;
}

/* Pinned tenants may have half of the cache's share, those of a collection together. */
static ins_status check_pin(struct ins_db *db, const struct account_name *name, ins_text key,
                            ins_error *error) {
    if (key.data[0] == 'd' && !takes_default(name)) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: pin: of a tenant, or of a collection without tenants: the "
                        "quota of all tenants cannot pin");
    }
    uint64_t others = pinned_bytes(db, name->collection, key);
    uint64_t own = account_stored_bytes(db, name), limit = cache_kept_limit(db->cache);
    if (own > limit || others > limit - own) {
        return ins_fail(error, INS_FULL,
                        "pin: this tenant has %llu bytes on disk, the pinned ones of the "
                        "collection %llu; together they may have %llu, half of the cache's share",
                        (unsigned long long)own, (unsigned long long)others,
                        (unsigned long long)limit);
    }
    return INS_OK;
}

static ins_status check_ttl(const struct account_name *name, ins_error *error) {
    const struct scope *collection = name->collection;
    ins_text shown = scope_name(collection);
    return collection->directory != NULL || collection->schema->has_tenant_field
               ? INS_OK
               : ins_fail(error, INS_INVALID,
                          "Wrong input: ttl: only tenants that are values of a field expire, and "
                          "collection `%.*s` has no field with is_tenant that forms tenants",
                          (int)shown.size, shown.data);
}

/* Of all collections. Like schemas share one. */
static uint64_t all_floors(const struct catalog *catalog) {
    uint64_t bytes = 0;
    for (uint64_t bucket = 0; bucket < catalog->schemas.bucket_count; bucket++) {
        for (struct table_node *node = table_bucket(&catalog->schemas, bucket); node != NULL;
             node = node->next) {
            const struct schema *schema = (struct schema *)(void *)node; /* its first member */
            bytes += schema->users * schema->floor_bytes;
        }
    }
    return bytes;
}

static ins_status check_floor(struct ins_db *db, const struct account_name *name, bool is_default,
                              const ins_quota *quota, ins_error *error) {
    ins_quota before;
    if (is_default && !takes_default(name)) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: memory_floor: of a tenant, or of a collection without "
                        "tenants: the quota of all tenants can keep nothing");
    }
    if (quota->memory_ceiling != 0 && quota->memory_ceiling < quota->memory_floor) {
        return ins_fail(
            error, INS_INVALID, "Wrong input: memory_floor: %llu bytes, the ceiling is %llu",
            (unsigned long long)quota->memory_floor, (unsigned long long)quota->memory_ceiling);
    }
    bool set = is_default ? quotas_default(name->collection->schema->settings, &before)
                          : quota_of(name, &before);
    uint64_t limit = cache_floor_limit(db->cache);
    uint64_t others = all_floors(&db->catalog) - (set ? before.memory_floor : 0);
    if (quota->memory_floor > limit || others > limit - quota->memory_floor) {
        return ins_fail(error, INS_FULL,
                        "memory_floor: %llu bytes, other tenants have floors of %llu; together "
                        "they may have %llu, a quarter of the cache's share",
                        (unsigned long long)quota->memory_floor, (unsigned long long)others,
                        (unsigned long long)limit);
    }
    return INS_OK;
}

static ins_status check_quota(struct ins_db *db, const struct account_name *name,
                              const ins_quota *quota, ins_error *error) {
    char key[QUOTA_KEY_MAX];
    ins_text member = key_of(name, key);
    ins_status status = quota->ttl_s != 0 ? check_ttl(name, error) : INS_OK;
    if (status == INS_OK && quota->memory_floor != 0) {
        status = check_floor(db, name, member.data[0] == 'd', quota, error);
    }
    return status == INS_OK && quota->pin ? check_pin(db, name, member, error) : status;
}

static ins_status change_begin(struct quota_change *self, ins_error *error) {
    struct operation *operation = &self->operation;
    struct account_name name;
    char key[QUOTA_KEY_MAX];
    struct json_writer writer;
    ins_status status = quota_name(operation->db, self->request, true, &name, error);
    ins_quota quota = self->request->quota;
    quota.ttl_from_s = quota.ttl_s != 0 ? expiry_seconds(operation->db) : 0;
    if (status == INS_OK && !self->clears) {
        status = check_quota(operation->db, &name, &quota, error);
    }
    if (status != INS_OK) {
        return status;
    }
    text_writer(&writer, &operation->pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "quotas");
    json_write_begin_object(&writer);
    json_write_key_text(&writer, key_of(&name, key));
    if (self->clears) {
        json_write_null(&writer);
    } else {
        quota_write(&writer, &quota);
    }
    json_write_end_object(&writer);
    json_write_end_object(&writer);
    self->collection.collection = self->request->collection;
    self->collection.settings = text_written(&writer);
    if (self->collection.settings.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a quota");
    }
    self->inner = (ins_call){.done = change_done, .user = self, .lane = INS_LANE_REQUEST};
    self->begun = operation->parked = self->starting = true;
    ins_collection_update(operation->db, &self->collection, &self->inner);
    self->starting = false;
    return INS_OK;
}

/* What the cache has of the tenant is bound by what counts now, also when it asks nothing more. */
static void limit_memory(const struct quota_change *self) {
    struct ins_db *db = self->operation.db;
    struct account_name name;
    ins_quota quota;
    if (quota_name(db, self->request, true, &name, NULL) == INS_OK) {
        (void)quota_of(&name, &quota);
        cache_owner_set(db->cache, account_id(&name), quota.memory_floor, quota.memory_ceiling);
    }
}

static ins_status change_step(struct operation *operation, ins_error *error) {
    struct quota_change *self = container_of(operation, struct quota_change, operation);
    ins_status status = self->begun ? INS_OK : change_begin(self, error);
    if (status == INS_OK && operation->parked) {
        return INS_AGAIN;
    }
    if (status == INS_OK) {
        operation->call->lsn = self->inner.lsn;
        status = self->inner.status;
        *error = self->inner.error;
    }
    if (status == INS_OK) {
        limit_memory(self);
    }
    return status;
}

static void change_start(ins_db *db, const ins_tenants_request *request, bool clears,
                         ins_call *call) {
    struct quota_change *self =
        operation_create(db, call, sizeof(*self), change_step, change_close, false);
    if (self != NULL) {
        self->request = request;
        self->clears = clears;
        operation_run(&self->operation);
    }
}

void ins_tenant_quota_set(ins_db *db, const void *tenants_request, ins_call *call) {
    change_start(db, tenants_request, false, call);
}

void ins_tenant_quota_clear(ins_db *db, const void *tenants_request, ins_call *call) {
    change_start(db, tenants_request, true, call);
}

/* ---- Get ---- */

struct quota_read {
    struct operation operation;
    const ins_tenants_request *request;
    ins_quota quota;
};

static ins_status get_step(struct operation *operation, ins_error *error) {
    struct quota_read *self = container_of(operation, struct quota_read, operation);
    struct account_name name;
    ins_status status = quota_name(operation->db, self->request, false, &name, error);
    if (status != INS_OK) {
        return status;
    }
    bool own = quota_of(&name, &self->quota);
    if (self->request->name.data == NULL) { /* the default, whoever it is for */
        own = quotas_default(name.collection->schema->settings, &self->quota);
    }
    operation->call->quota = &self->quota;
    operation->call->found = own;
    return INS_OK;
}

void ins_tenant_quota_get(ins_db *db, const void *tenants_request, ins_call *call) {
    struct quota_read *self = operation_create(db, call, sizeof(*self), get_step, NULL, true);
    if (self != NULL) {
        self->request = tenants_request;
        operation_run(&self->operation);
    }
}
