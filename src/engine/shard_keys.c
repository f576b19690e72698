/* Shard keys of a collection: create and delete. Each is one row of the catalog. */
#include "base/status.h"
#include "engine/collection_write.h"
#include "engine/names.h"

static struct collection_write *of(struct operation *operation) {
    return collection_write_of(operation);
}

static ins_status find_collection(const struct collection_write *self, const char *verb,
                                  struct scope **out, ins_error *error) {
    struct ins_db *db = self->write.operation.db;
    ins_status status = names_find_scope(db, self->request->collection, true, out, error);
    if (status == INS_OK && !(*out)->sharded) {
        char shown[SHARD_KEY_SHOWN];
        status = ins_fail(error, INS_INVALID, "Shard Key %s cannot be %s with Auto sharding method",
                          shard_key_text(&self->request->shard_key, shown), verb);
    }
    return status;
}

static ins_status check_create(const struct collection_write *self, const struct scope *collection,
                               ins_error *error) {
    const ins_shard_key *key = &self->request->shard_key;
    if (key->text.data != NULL && (key->text.size == 0 || key->text.size > INS_NAME_BYTES_MAX)) {
        return ins_fail(error, INS_UNPROCESSABLE,
                        "shard_key: %zu bytes, must be from 1 to %d bytes", key->text.size,
                        INS_NAME_BYTES_MAX);
    }
    if (shard_find(&self->write.operation.db->catalog, collection, key, UINT64_MAX) == NULL) {
        return INS_OK;
    }
    char shown[SHARD_KEY_SHOWN];
    int size = (int)(collection->name_size < 150 ? collection->name_size : 150);
    return ins_fail(error, INS_INVALID, "Sharding key %s already exists for collection %.*s",
                    shard_key_text(key, shown), size, collection->name);
}

static ins_status find_new(const struct collection_write *self, struct scope **out_collection,
                           ins_error *error) {
    ins_status status = find_collection(self, "created", out_collection, error);
    return status == INS_OK ? check_create(self, *out_collection, error) : status;
}

static ins_status make_shard(struct collection_write *self, struct scope *collection,
                             ins_error *error) {
    struct ins_db *db = self->write.operation.db;
    uint64_t key = 0;
    ins_status status = write_keys(&self->write, 3, &key, error);
    if (status != INS_OK) {
        return status;
    }
    self->scope = shard_create(&db->catalog, collection, key, &self->request->shard_key);
    if (self->scope == NULL) {
        return ins_fail(error, INS_FULL,
                        "no room for another shard key: %llu collections and %llu tenants use the "
                        "catalog's share of the memory budget",
                        (unsigned long long)db->catalog.collection_count,
                        (unsigned long long)db->catalog.tenant_count);
    }
    self->scope->pins++;
    self->scope->create_lsn = UINT64_MAX; /* nobody reads it yet */
    ins_text row = catalog_row_shard(&self->write.operation.pool, self->scope);
    return row.data == NULL ? ins_fail(error, INS_FULL, "no memory for a catalog row")
                            : write_catalog_row(&self->write, key, row, error);
}

static ins_status create_step(struct operation *operation, ins_error *error) {
    struct collection_write *self = of(operation);
    struct write *write = &self->write;
    struct scope *collection = NULL;
    uint64_t bytes =
        write_catalog_cost(6 * self->request->shard_key.text.size + 256) + write_catalog_cost(64);
    ins_status status = write->room.waits ? INS_OK : find_new(self, &collection, error);
    if (status == INS_OK) {
        status = room_enter(operation, &write->room, bytes, error);
    }
    if (status == INS_OK) {
        status = find_new(self, &collection, error); /* again: it may have waited */
    }
    if (status == INS_OK) {
        status = write_begin(write, bytes, 2, error);
    }
    if (status != INS_OK) {
        return status;
    }
    uint64_t lsn;
    status = make_shard(self, collection, error);
    if (status == INS_OK) {
        status = write_sequence(write, SYSTEM_SCOPE, &lsn, error);
    }
    if (status == INS_OK) {
        self->scope->create_lsn = lsn;
        return INS_OK;
    }
    write_undo(write);
    if (self->scope != NULL) {
        self->scope->pins--;
        scope_undo(&operation->db->catalog, self->scope);
        self->scope = NULL;
    }
    return status;
}

void ins_shard_key_create(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, create_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}

static ins_status delete_step(struct operation *operation, ins_error *error) {
    struct collection_write *self = of(operation);
    struct ins_db *db = operation->db;
    struct scope *collection = NULL;
    ins_status status = room_enter(operation, &self->write.room, write_catalog_cost(0), error);
    if (status == INS_OK) {
        status = find_collection(self, "removed", &collection, error);
    }
    if (status != INS_OK) {
        return status;
    }
    const ins_shard_key *key = &self->request->shard_key;
    struct scope *shard = shard_find(&db->catalog, collection, key, UINT64_MAX);
    if (shard == NULL) {
        char shown[SHARD_KEY_SHOWN];
        int size = (int)(collection->name_size < 150 ? collection->name_size : 150);
        return ins_fail(error, INS_INVALID, "Sharding key %s does not exists for collection %.*s",
                        shard_key_text(key, shown), size, collection->name);
    }
    uint64_t lsn;
    status = write_begin(&self->write, write_catalog_cost(0), 2, error);
    if (status == INS_OK) {
        status = write_catalog_row(&self->write, shard->key, (ins_text){0}, error);
    }
    if (status == INS_OK) {
        status = write_sequence(&self->write, SYSTEM_SCOPE, &lsn, error);
    }
    if (status != INS_OK) {
        write_undo(&self->write);
        return status;
    }
    scope_drop(&db->catalog, shard, lsn);
    return INS_OK;
}

void ins_shard_key_delete(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, delete_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}
