/* Indexes of fields: one more in a collection's schema, or one fewer (collections.c writes it). */
#include "base/status.h"
#include "engine/collection_write.h"
#include "engine/text.h"

static bool island_is_empty(const struct island *island) {
    bool empty = island->run_count == 0;
    for (int slot = 0; slot < 2 && empty; slot++) {
        /* A write that was refused may have left a table without rows. */
        empty = island->mem[slot] == NULL || island->mem[slot]->row_count == 0;
    }
    return empty;
}

static bool has_files(const struct scope *scope) {
    for (const struct scope *shard = scope->keys; shard != NULL; shard = shard->key_next) {
        if (has_files(shard)) {
            return true;
        }
    }
    for (const struct island *island = scope->islands; island != NULL;
         island = island->scope_next) {
        if (island->run_count > 0) {
            return true;
        }
    }
    return false;
}

static bool is_empty(const struct scope *scope) {
    bool empty = island_is_empty(scope->common);
    for (const struct scope *shard = scope->keys; shard != NULL && empty; shard = shard->key_next) {
        empty = island_is_empty(shard->common);
    }
    return empty;
}

static ins_status draft_fields(struct collection_write *self, struct schema_draft *draft,
                               bool remove, ins_error *error) {
    const struct schema *old = self->scope->schema;
    const ins_collection_request *request = self->request;
    struct schema_field *fields = pool_alloc(&self->write.operation.pool,
                                             (old->field_count + 1) * sizeof(struct schema_field));
    if (fields == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u fields", old->field_count);
    }
    draft->fields = fields;
    draft->field_count = 0;
    for (uint32_t i = 0; i < old->field_count; i++) {
        if (!text_equal(old->fields[i].name, request->field)) {
            fields[draft->field_count++] = old->fields[i];
        }
    }
    if (remove) {
        return INS_OK;
    }
    if (draft->field_count == INS_FIELDS_MAX) {
        return ins_fail(error, INS_INVALID,
                        "Collection already has the maximum number of payload indices (%d). Help: "
                        "Please delete an existing index before creating a new one.",
                        INS_FIELDS_MAX);
    }
    struct schema_field *field = &fields[draft->field_count++];
    *field = (struct schema_field){.name = request->field,
                                   .schema = request->schema,
                                   .is_tenant = request->is_tenant,
                                   .late = has_files(self->scope)};
    bool same_path = draft->has_tenant_field && text_equal(draft->tenant_field, request->field);
    bool first = request->is_tenant && !draft->has_tenant_field && is_empty(self->scope);
    if (first) {
        draft->has_tenant_field = true;
        draft->tenant_field = request->field;
        draft->tenant_is_uuid = request->is_uuid;
    }
    field->islands = request->is_tenant && (first || same_path);
    return INS_OK;
}

static ins_status check_path(struct collection_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    struct payload_path path;
    /* Tenants' islands hang on one value of a point: no place in an array has that. */
    return self->request->is_tenant
               ? payload_path_parse_keys(self->request->field, &operation->pool, &path, error)
               : payload_path_parse(self->request->field, &operation->pool, &path, error);
}

static ins_status draft_add_field(struct collection_write *self, struct schema_draft *draft,
                                  ins_error *error) {
    ins_status status = check_path(self, error);
    return status == INS_OK ? draft_fields(self, draft, false, error) : status;
}

static ins_status draft_remove_field(struct collection_write *self, struct schema_draft *draft,
                                     ins_error *error) {
    ins_status status = check_path(self, error);
    return status == INS_OK ? draft_fields(self, draft, true, error) : status;
}

static ins_status index_create_step(struct operation *operation, ins_error *error) {
    return collection_change(operation, draft_add_field, error);
}

static ins_status index_delete_step(struct operation *operation, ins_error *error) {
    return collection_change(operation, draft_remove_field, error);
}

void ins_index_create(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, index_create_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}

void ins_index_delete(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, index_delete_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}
