/* Collections: create, delete, and what every change of one does (collection_change). Writes are
 * rows of the catalog. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/collection_write.h"
#include "engine/graph_job.h"
#include "engine/jobs.h"
#include "engine/move.h"
#include "engine/names.h"
#include "engine/points_own.h"
#include "engine/text.h"

#define CHANGE_BYTES 8192u /* about, of a changed collection's rows in the memtable */

static struct collection_write *of(struct operation *operation) {
    return collection_write_of(operation);
}

static void collection_write_close(struct operation *operation) {
    struct collection_write *self = of(operation);
    reader_close(&self->reader);
    schema_release(&operation->db->catalog, self->schema);
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

struct collection_write *collection_write_create(ins_db *db, const void *request, ins_call *call,
                                                 ins_status (*step)(struct operation *,
                                                                    ins_error *)) {
    struct collection_write *self =
        operation_create(db, call, sizeof(*self), step, collection_write_close, false);
    if (self != NULL) {
        self->request = request;
    }
    return self;
}

/* ---- Create ---- */

/* Of what a creation keeps as text. */
static size_t create_text_bytes(const ins_collection_request *request) {
    size_t bytes = request->settings.size + request->metadata.size;
    for (size_t i = 0; i < request->vector_count; i++) {
        bytes += request->vectors[i].settings.size + 6 * request->vectors[i].name.size + 128;
    }
    return bytes;
}

static ins_status check_create(const struct collection_write *self, ins_error *error) {
    const ins_collection_request *request = self->request;
    ins_status status = names_check("collection_name", request->collection, error);
    if (status != INS_OK) {
        return status;
    }
    size_t text_bytes = create_text_bytes(request);
    if (text_bytes > TEXT_MAX / 4) {
        return ins_fail(error, INS_TOO_LARGE,
                        "settings and metadata: %zu bytes together, the limit is %u", text_bytes,
                        TEXT_MAX / 4);
    }
    if (catalog_find_newest(&self->write.operation.db->catalog, request->collection) != NULL) {
        return ins_fail(error, INS_EXISTS, "Collection `%.*s` already exists!",
                        (int)request->collection.size, request->collection.data);
    }
    if (alias_find(&self->write.operation.db->catalog, request->collection, UINT64_MAX) != NULL) {
        return ins_fail(error, INS_INVALID,
                        "Can't create collection with name %.*s. Alias with the same name already "
                        "exists",
                        (int)request->collection.size, request->collection.data);
    }
    return INS_OK;
}

static ins_status catalog_full(const struct ins_db *db, ins_error *error) {
    return ins_fail(error, INS_FULL,
                    "no room for another collection: %llu collections and %llu tenants use the "
                    "catalog's share of the memory budget",
                    (unsigned long long)db->catalog.collection_count,
                    (unsigned long long)db->catalog.tenant_count);
}

static ins_status draft_vectors(struct collection_write *self, struct schema_draft *draft,
                                ins_error *error) {
    const ins_collection_request *request = self->request;
    struct pool *pool = &self->write.operation.pool;
    ins_status status = INS_OK;
    if (request->dim > 0) {
        ins_vector_params unnamed = {
            .dim = request->dim, .distance = request->distance, .datatype = INS_FLOAT32};
        status = draft_add_vector(draft, &unnamed, pool, error);
    }
    for (size_t i = 0; i < request->vector_count && status == INS_OK; i++) {
        status = draft_add_vector(draft, &request->vectors[i], pool, error);
    }
    return status;
}

static ins_status make_scope(struct collection_write *self, ins_error *error) {
    struct ins_db *db = self->write.operation.db;
    const ins_collection_request *request = self->request;
    struct schema_draft draft = {.settings = request->settings};
    struct schema *schema = NULL;
    uint64_t key = 0;
    ins_status status = draft_vectors(self, &draft, error);
    if (status == INS_OK) {
        status = schema_get(&db->catalog, &draft, &self->write.operation.pool, &schema, error);
    }
    if (status != INS_OK) {
        return status;
    }
    status = own_check_settings(NULL, request->sharded, schema, error);
    if (status == INS_OK) {
        status = write_schema(&self->write, schema, &self->schema_key, error);
    }
    if (status == INS_OK) {
        status = write_keys(&self->write, 2, &key, error);
    }
    if (status == INS_OK) {
        self->scope = scope_create(&db->catalog, key, request->collection, schema);
        status = self->scope == NULL ? catalog_full(db, error) : INS_OK;
    }
    if (self->scope == NULL) {
        schema_release(&db->catalog, schema);
        return status;
    }
    self->scope->pins++;
    self->scope->create_lsn = UINT64_MAX; /* nobody reads it yet */
    self->scope->has_metadata = request->metadata.data != NULL;
    self->scope->sharded = request->sharded;
    self->scope->common =
        island_create(&db->islands, self->scope, key + 1, (ins_text){0}, ISLAND_COMMON);
    return self->scope->common == NULL ? catalog_full(db, error) : INS_OK;
}

/* Told at once what is wrong, and again when it has waited: the name may be taken by then. */
static ins_status admit_create(struct collection_write *self, uint64_t bytes, ins_error *error) {
    struct write *write = &self->write;
    ins_status status = write->room.waits ? INS_OK : check_create(self, error);
    if (status == INS_OK) {
        status = room_enter(&write->operation, &write->room, bytes, error);
    }
    return status == INS_OK ? check_create(self, error) : status;
}

ins_status collection_write_land(struct collection_write *self, ins_status status,
                                 uint64_t incarnation, ins_text metadata, ins_error *error) {
    struct write *write = &self->write;
    struct scope *scope = self->scope;
    if (status == INS_OK) {
        ins_text row = catalog_row_scope(&write->operation.pool, scope, scope_name(scope),
                                         self->schema_key, incarnation, metadata);
        status = row.data == NULL ? ins_fail(error, INS_FULL, "no memory for a catalog row")
                                  : write_catalog_row(write, scope->key, row, error);
    }
    uint64_t lsn = 0;
    if (status == INS_OK) {
        status = write_sequence(write, SYSTEM_SCOPE, &lsn, error);
    }
    if (status == INS_OK) {
        scope->create_lsn = lsn;
        schema_use(scope->schema);
        return INS_OK;
    }
    write_undo(write);
    if (scope != NULL) {
        scope_undo(&write->operation.db->catalog, scope);
        self->scope = NULL;
    }
    return status;
}

static ins_status create_step(struct operation *operation, ins_error *error) {
    struct collection_write *self = of(operation);
    struct write *write = &self->write;
    size_t text = 2 * (create_text_bytes(self->request) + 6 * self->request->collection.size);
    uint64_t bytes = 2 * write_catalog_cost(text + 1024) + write_catalog_cost(64);
    ins_status status = admit_create(self, bytes, error);
    if (status != INS_OK) {
        return status;
    }
    status = write_begin(write, bytes, 6, error);
    if (status == INS_OK) {
        status = make_scope(self, error);
    }
    return collection_write_land(self, status, 0, self->request->metadata, error);
}

void ins_collection_create(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, create_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}

void collection_end_schema(struct catalog *catalog, struct schema *schema) {
    bool ends = schema_row_ends(schema);
    schema_disuse(schema);
    if (ends) {
        schema_forget_key(catalog, schema);
    }
}

/* ---- Delete ---- */

/* The scope's tombstone, its aliases', and its schema's when nobody else has it. */
static ins_status write_drop(struct write *write, const struct scope *scope, uint64_t *out_lsn,
                             ins_error *error) {
    size_t rows = 2 + scope->alias_count;
    ins_status status = write_begin(write, rows * write_catalog_cost(0), rows + 1, error);
    if (status == INS_OK) {
        status = write_catalog_row(write, scope->key, (ins_text){0}, error);
    }
    for (struct alias *alias = scope->aliases; alias != NULL && status == INS_OK;
         alias = alias->scope_next) {
        if (alias->drop_lsn == 0) {
            status = write_catalog_row(write, alias->key, (ins_text){0}, error);
        }
    }
    if (status == INS_OK && schema_row_ends(scope->schema)) {
        status = write_catalog_row(write, scope->schema->key, (ins_text){0}, error);
    }
    return status == INS_OK ? write_sequence(write, SYSTEM_SCOPE, out_lsn, error) : status;
}

static ins_status delete_step(struct operation *operation, ins_error *error) {
    struct collection_write *self = of(operation);
    struct ins_db *db = operation->db;
    if (self->write.settle_lsn != 0) {
        return write_settle(&self->write, error);
    }
    ins_status status = room_enter(operation, &self->write.room, write_catalog_cost(0), error);
    if (status != INS_OK) {
        return status;
    }
    struct scope *scope = catalog_find_newest(&db->catalog, self->request->collection);
    operation->call->found = scope != NULL && scope->key != SYSTEM_SCOPE;
    if (!operation->call->found) {
        return write_settle(&self->write, error);
    }
    uint64_t lsn;
    status = write_drop(&self->write, scope, &lsn, error);
    if (status != INS_OK) {
        write_undo(&self->write);
        return status;
    }
    collection_end_schema(&db->catalog, scope->schema);
    scope_drop(&db->catalog, scope, lsn);
    expiry_kick(db); /* perhaps nothing is left that expires */
    return INS_OK;
}

void ins_collection_delete(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, delete_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}

/* ---- Changes ---- */

static ins_status read_metadata(struct collection_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    struct ins_db *db = operation->db;
    if (!self->reader.open) {
        struct island *system = islands_find(&db->islands, SYSTEM_INCARNATION);
        ins_status status = reader_open(&self->reader, &db->reading, system, UINT64_MAX,
                                        &operation->pool, &operation->waiter, error);
        if (status != INS_OK) {
            return status;
        }
    }
    ins_status status = reader_load(&self->reader, error);
    struct place place;
    ins_id id = id_number(self->scope->key);
    ins_text row;
    if (status == INS_OK && reader_find(&self->reader, &id, &place)) {
        status = reader_payload(&self->reader, &place, &row, error);
        if (status == INS_OK) {
            self->stored = text_copy(&operation->pool, catalog_row_metadata(row));
            if (self->stored.data == NULL) {
                status = ins_fail(error, INS_FULL, "no memory for the collection's metadata");
            }
        }
    }
    return status;
}

/* A scope's metadata lies in its catalog row only; a row that replaces it must carry it on. A step
 * that waited, for bytes or for room, may find it changed by others: it is read again then. */
ins_status collection_load_metadata(struct collection_write *self, ins_error *error) {
    ins_status status = INS_OK;
    if (self->stored_at != self->scope->changes) {
        reader_close(&self->reader);
        self->stored = (ins_text){0};
        self->stored_at = self->scope->changes;
    }
    if (self->scope->has_metadata && self->stored.data == NULL) {
        status = read_metadata(self, error);
    }
    self->metadata = self->stored;
    return status;
}

static ins_status change_begin(struct collection_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    ins_status status =
        names_find_scope(operation->db, self->request->collection, true, &self->scope, error);
    if (status != INS_OK) {
        self->scope = NULL;
        return status;
    }
    self->scope->pins++;
    return INS_OK;
}

/* The schema that the scope will have: *out_forms says that it forms islands. */
static ins_status next_schema(struct collection_write *self, collection_draft draft_change,
                              bool *out_forms, ins_error *error) {
    struct operation *operation = &self->write.operation;
    const struct schema *old = self->scope->schema;
    struct schema_draft draft = {.vectors = old->vectors,
                                 .vector_count = old->vector_count,
                                 .vector_next = old->vector_next,
                                 .settings = old->settings,
                                 .fields = old->fields,
                                 .field_count = old->field_count,
                                 .has_tenant_field = old->has_tenant_field,
                                 .tenant_is_uuid = old->tenant_is_uuid,
                                 .tenant_field = old->tenant_text};
    schema_release(&operation->db->catalog, self->schema); /* of a step that could not end */
    self->schema = NULL;
    ins_status status = draft_change(self, &draft, error);
    *out_forms = draft.has_tenant_field;
    return status == INS_OK
               ? schema_get(&operation->db->catalog, &draft, &operation->pool, &self->schema, error)
               : status;
}

/* A collection that begins to form islands gets its id directory, and so do its shard keys. */
static ins_status make_directories(struct collection_write *self, uint64_t *out_incarnation,
                                   ins_error *error) {
    struct ins_db *db = self->write.operation.db;
    ins_status status = write_keys(&self->write, 1, out_incarnation, error);
    if (status != INS_OK) {
        return status;
    }
    self->directories = true;
    return scope_make_directories(&db->catalog, self->scope, *out_incarnation)
               ? INS_OK
               : catalog_full(db, error);
}

static ins_status write_change(struct collection_write *self, bool forms, ins_error *error) {
    struct write *write = &self->write;
    struct scope *scope = self->scope;
    uint64_t bytes = self->schema->text_size + self->metadata.size + 6ul * scope->name_size + 1024;
    uint64_t directory = scope->directory != NULL ? scope->directory->incarnation : 0, lsn;
    ins_status status =
        write_begin(write, 2 * write_catalog_cost(bytes) + 2 * write_catalog_cost(64), 7, error);
    if (status == INS_OK) {
        status = write_schema(write, self->schema, &self->schema_key, error);
    }
    if (status == INS_OK && forms && directory == 0 && !self->schema->ids_by_tenant) {
        status = make_directories(self, &directory, error);
    }
    if (status == INS_OK) {
        ins_text row = catalog_row_scope(&write->operation.pool, scope, scope_name(scope),
                                         self->schema_key, directory, self->metadata);
        status = row.data == NULL ? ins_fail(error, INS_FULL, "no memory for a catalog row")
                                  : write_catalog_row(write, scope->key, row, error);
    }
    if (status == INS_OK && self->schema != scope->schema && schema_row_ends(scope->schema)) {
        status = write_catalog_row(write, scope->schema->key, (ins_text){0}, error);
    }
    return status == INS_OK ? write_sequence(write, SYSTEM_SCOPE, &lsn, error) : status;
}

ins_status collection_change(struct operation *operation, collection_draft draft,
                             ins_error *error) {
    struct collection_write *self = of(operation);
    bool forms;
    if (self->scope != NULL && self->scope->moved) { /* while it waited: to where it is now */
        reader_close(&self->reader);
        self->stored = (ins_text){0};
        self->scope->pins--;
        self->scope = NULL;
    }
    ins_status status = self->scope == NULL ? change_begin(self, error) : INS_OK;
    if (status == INS_OK) {
        status = room_enter(operation, &self->write.room, CHANGE_BYTES, error);
    }
    if (status == INS_OK) {
        status = collection_load_metadata(self, error);
    }
    if (status == INS_OK && self->scope->drop_lsn != 0) {
        status = names_absent(self->request->collection, error);
    }
    if (status == INS_OK) {
        status = next_schema(self, draft, &forms, error);
    }
    if (status == INS_OK) {
        status = own_check_settings(self->scope->schema, false, self->schema, error);
    }
    if (status != INS_OK) {
        return status;
    }
    status = write_change(self, forms, error);
    if (status != INS_OK) {
        write_undo(&self->write);
        if (self->directories) {
            scope_undo_directories(&operation->db->catalog, self->scope);
            self->directories = false;
        }
        return status;
    }
    /* Writers follow the new schema from here on; the rows before it were written by the old one.
     */
    operation->db->schema_lsn = wal_next_lsn(operation->db->wal) - 1;
    schema_use(self->schema);
    collection_end_schema(&operation->db->catalog, self->scope->schema);
    scope_set_schema(&operation->db->catalog, self->scope, self->schema);
    self->schema = NULL;
    self->scope->has_metadata = self->metadata.data != NULL;
    self->scope->changes++;
    graph_want_scope(operation->db, self->scope);
    graph_job_kick(operation->db);
    moves_kick(operation->db);
    expiry_kick(operation->db);
    return INS_OK;
}
