/* Changing parts of points: what each kind brings with it, and what becomes of a point.
 *
 * Every change is "read the old point, write the new row": the payload is put together with its
 * tenant field, changed as text, and stored as if it had been sent, so that a change of the tenant
 * field finds its island the way an upsert does. The row's payload is complete, always; vectors
 * that stay are not read: the row is a patch, which inherits them (decision 0018), unless the point
 * moves, a vector is taken away, or patches lie too deep on each other. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/points_write.h"
#include "engine/text.h"

/* ---- What a kind brings with it ---- */

bool points_need_old(const struct points_write *self) {
    if (self->context.unless_newer != 0) {
        return true;
    }
    if (self->kind == POINTS_UPSERT) {
        return self->context.own_only || self->request->update_mode != INS_MODE_UPSERT ||
               self->condition != NULL;
    }
    return self->kind != POINTS_DELETE;
}

static ins_status check_condition(struct points_write *self, ins_error *error) {
    const struct schema *schema = self->scope->schema;
    bool conditional = self->kind == POINTS_UPSERT || self->kind == POINTS_UPDATE_VECTORS;
    if (!conditional || self->request->update_filter == NULL) {
        return INS_OK;
    }
    return filter_compile(&self->write.operation.pool, self->request->update_filter,
                          schema->has_tenant_field ? &schema->tenant_path : NULL, &self->condition,
                          error);
}

/* The object that was sent, in stored form with its tenant field. */
static ins_status check_object(struct points_write *self, struct payload_stored *out,
                               const struct payload_path *tenant_path, ins_error *error) {
    struct operation *operation = &self->write.operation;
    ins_error reason;
    ins_status status =
        payload_store(operation->db->parser, &operation->pool, self->request->change, tenant_path,
                      self->scope->schema->tenant_is_uuid, out, &reason);
    return status == INS_OK ? INS_OK : ins_fail(error, status, "payload: %.400s", reason.message);
}

static ins_status check_set(struct points_write *self, ins_error *error) {
    struct pool *pool = &self->write.operation.pool;
    struct payload_stored members;
    const struct payload_path *path = NULL;
    ins_status status = check_object(self, &members, NULL, error);
    if (status == INS_OK && self->request->change_path.data != NULL) {
        path = &self->patch_path;
        status = payload_path_parse(self->request->change_path, pool, &self->patch_path, error);
    }
    return status == INS_OK ? payload_patch_create(pool, members.text, path, &self->patch, error)
                            : status;
}

static ins_status check_keys(struct points_write *self, ins_error *error) {
    const ins_points_request *request = self->request;
    struct pool *pool = &self->write.operation.pool;
    if (request->key_count > PAYLOAD_REMOVE_PATHS_MAX) {
        return ins_fail(error, INS_INVALID, "keys: %zu in one request, the limit is %u",
                        request->key_count, PAYLOAD_REMOVE_PATHS_MAX);
    }
    self->removed_paths = pool_alloc(pool, (request->key_count + 1) * sizeof(struct payload_path));
    if (self->removed_paths == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %zu keys", request->key_count);
    }
    for (size_t i = 0; i < request->key_count; i++) {
        ins_status status =
            payload_path_parse(request->keys[i], pool, &self->removed_paths[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

static ins_status check_vector_names(const struct points_write *self, ins_error *error) {
    const ins_points_request *request = self->request;
    if (request->key_count == 0) {
        return ins_fail(error, INS_INVALID, "must specify vector names to delete");
    }
    for (size_t i = 0; i < request->key_count; i++) {
        ins_text name = request->keys[i];
        if (schema_vector_named(self->scope->schema, name) == NULL) {
            return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s",
                            name.size < 255 ? (int)name.size : 255, name.data);
        }
    }
    return INS_OK;
}

ins_status points_check_change(struct points_write *self, ins_error *error) {
    const struct schema *schema = self->scope->schema;
    ins_status status = check_condition(self, error);
    if (status != INS_OK) {
        return status;
    }
    switch (self->kind) {
    case POINTS_SET_PAYLOAD:
        return check_set(self, error);
    case POINTS_OVERWRITE_PAYLOAD:
        return check_object(self, &self->overwriting,
                            schema->has_tenant_field ? &schema->tenant_path : NULL, error);
    case POINTS_DELETE_PAYLOAD:
        return check_keys(self, error);
    case POINTS_DELETE_VECTORS:
        return check_vector_names(self, error);
    case POINTS_UPSERT:
    case POINTS_DELETE:
    case POINTS_CLEAR_PAYLOAD:
    case POINTS_UPDATE_VECTORS:
    case POINTS_KINDS:
        break;
    }
    return INS_OK;
}

/* ---- A point's new payload ---- */

/* The old payload as it was sent, changed, in `aside`. */
static ins_status edit_payload(const struct points_write *self, const struct old_point *old,
                               struct pool *aside, ins_text *out, ins_error *error) {
    ins_text whole = old->payload;
    if (old->tenant_path != NULL) {
        whole = payload_restore(aside, old->payload, old->tenant_path, old->tenant);
        if (whole.data == NULL) {
            return ins_fail(error, INS_FULL, "no memory for a payload of %zu bytes",
                            old->payload.size);
        }
    }
    if (self->kind == POINTS_SET_PAYLOAD) {
        return payload_merge(aside, whole, self->patch, out, error);
    }
    return payload_remove(aside, whole, self->removed_paths, self->request->key_count, out, error);
}

static ins_status store_edited(struct points_write *self, struct target *target,
                               const struct old_point *old, ins_error *error) {
    struct operation *operation = &self->write.operation;
    const struct schema *schema = self->scope->schema;
    struct pool aside;
    ins_error reason = {0};
    ins_text edited = {0};
    pool_init(&aside, operation->pool.arena, operation->pool.purpose, operation->pool.max_bytes);
    ins_status status = edit_payload(self, old, &aside, &edited, &reason);
    if (status == INS_OK) {
        status = payload_store(operation->db->parser, &operation->pool, edited,
                               schema->has_tenant_field ? &schema->tenant_path : NULL,
                               schema->tenant_is_uuid, &target->payload, &reason);
    }
    pool_fini(&aside);
    if (status != INS_OK) {
        char id[ID_TEXT_MAX];
        (void)id_format(&target->id, id);
        return ins_fail(error, status, "point %s, payload: %.380s", id, reason.message);
    }
    return INS_OK;
}

static bool keep_text(struct pool *pool, ins_text text, ins_text *out) {
    *out = (ins_text){0};
    if (text.size > 0) {
        *out = text_copy(pool, text);
    }
    return text.size == 0 || out->data != NULL;
}

/* The point stays where it is. */
static ins_status keep_payload(struct points_write *self, struct target *target,
                               const struct old_point *old, ins_error *error) {
    struct pool *pool = &self->write.operation.pool;
    target->payload = (struct payload_stored){.has_tenant = old->tenant_path != NULL};
    bool kept = keep_text(pool, old->tenant, &target->payload.tenant) &&
                keep_text(pool, old->payload, &target->payload.text);
    return kept ? INS_OK
                : ins_fail(error, INS_TOO_LARGE,
                           "no memory for the payloads of %zu points; send fewer at once",
                           self->target_count);
}

static ins_status change_payload(struct points_write *self, struct target *target,
                                 const struct old_point *old, ins_error *error) {
    switch (self->kind) {
    case POINTS_SET_PAYLOAD:
    case POINTS_DELETE_PAYLOAD:
        return store_edited(self, target, old, error);
    case POINTS_OVERWRITE_PAYLOAD:
        target->payload = self->overwriting;
        return INS_OK;
    case POINTS_CLEAR_PAYLOAD:
        target->payload = (struct payload_stored){0};
        return INS_OK;
    case POINTS_UPDATE_VECTORS:
    case POINTS_DELETE_VECTORS:
        return keep_payload(self, target, old, error);
    case POINTS_UPSERT:
    case POINTS_DELETE:
    case POINTS_KINDS:
        break;
    }
    return INS_OK;
}

/* ---- A point's new vectors ---- */

ins_status points_row_vectors(const struct points_write *self, const struct target *target,
                              struct row_vectors *out, ins_error *error) {
    const ins_points_request *request = self->request;
    row_vectors_begin(out, self->scope->schema);
    out->as_stored = self->context.as_stored;
    if (target->kept_count > 0) {
        struct vector_ref kept[INS_VECTORS_MAX];
        vectors_unpack(target->kept, target->kept_count, kept);
        row_vectors_keep(out, kept, target->kept_count);
    }
    ins_status status = INS_OK;
    for (size_t i = 0; i < target->earlier_count && status == INS_OK; i++) {
        status = row_vectors_take(out, target->earlier[i], error);
    }
    if (target->point != NULL && status == INS_OK) {
        status = row_vectors_take(out, target->point, error);
    }
    for (size_t i = 0; self->kind == POINTS_DELETE_VECTORS && i < request->key_count; i++) {
        const struct schema_vector *vector = schema_vector_named(out->schema, request->keys[i]);
        if (vector != NULL) { /* else it was dropped meanwhile */
            row_vectors_set(out, vector, NULL, 0);
        }
    }
    return status == INS_OK ? row_vectors_check(out, error) : status;
}

/* The new row goes to the island of the old one. */
static bool stays(const struct points_write *self, const struct target *target,
                  const struct old_point *old) {
    bool islands = scope_has_islands(self->scope);
    if (!islands || !target->payload.has_tenant) {
        return !islands || old->tenant_path == NULL;
    }
    ins_text tenant = target->payload.tenant;
    return old->tenant_path != NULL && tenant.size == old->tenant.size &&
           (tenant.size == 0 || memcmp(tenant.data, old->tenant.data, tenant.size) == 0);
}

ins_status points_row_kind(const struct points_write *self, const struct target *target,
                           const struct old_point *old, enum target_row *out, ins_error *error) {
    struct row_vectors row;
    ins_status status = points_row_vectors(self, target, &row, error);
    if (status != INS_OK) {
        return status;
    }
    bool whole = row.count == self->scope->schema->vector_count;
    bool deep = row.count > 0 && old->depth >= MEMROW_PATCH_DEPTH_MAX;
    bool patch = self->kind != POINTS_DELETE_VECTORS && !deep && stays(self, target, old);
    *out = whole ? ROW_WHOLE : patch ? ROW_PATCH : ROW_JOINED;
    return INS_OK;
}

static ins_status copy_vectors(struct points_write *self, struct target *target,
                               const struct old_point *old, ins_error *error) {
    uint32_t bytes = vectors_packed_bytes(old->vectors, old->vector_count);
    void *copy = pool_alloc(&self->write.operation.pool, bytes + 1);
    if (copy == NULL) {
        return ins_fail(error, INS_TOO_LARGE,
                        "no memory for the vectors of %zu points; send fewer at once",
                        self->target_count);
    }
    vectors_pack(old->vectors, old->vector_count, copy);
    target->kept = copy;
    target->kept_count = old->vector_count;
    return INS_OK;
}

ins_status points_keep_vectors(struct points_write *self, struct target *target,
                               const struct old_point *old, enum target_row kind,
                               ins_error *error) {
    struct row_vectors row;
    ins_status status = kind == ROW_JOINED ? copy_vectors(self, target, old, error) : INS_OK;
    if (status == INS_OK) {
        status = points_row_vectors(self, target, &row, error);
    }
    if (status == INS_OK) {
        target->vector_bytes = row.bytes;
        target->patch = kind == ROW_PATCH;
    }
    return status;
}

/* ---- What becomes of a point ---- */

static ins_status absent(const struct points_write *self, struct target *target, ins_error *error) {
    if (self->kind == POINTS_UPSERT) {
        bool makes = self->request->update_mode != INS_MODE_UPDATE_ONLY;
        target->fate = makes ? TARGET_PUT : TARGET_SKIP;
        return INS_OK;
    }
    target->fate = TARGET_SKIP;
    if (self->context.unless_newer != 0 || self->kind == POINTS_DELETE) {
        return INS_OK;
    }
    char id[ID_TEXT_MAX];
    (void)id_format(&target->id, id);
    return ins_fail(error, INS_NOT_FOUND, "No point with id %s found", id);
}

static ins_status refuse_taken(const struct target *target, const struct old_point *old,
                               ins_error *error) {
    char id[ID_TEXT_MAX];
    (void)id_format(&target->id, id);
    return ins_fail(error, INS_EXISTS,
                    "Conflict: point %s is there, of %s%.*s%s: ids are unique within a collection: "
                    "delete that one, give this one another id, or take a collection made with "
                    "insula.point_ids `tenant`",
                    id, old->tenant_path != NULL ? "tenant `" : "no tenant", (int)old->tenant.size,
                    old->tenant_path != NULL ? old->tenant.data : "",
                    old->tenant_path != NULL ? "`" : "");
}

ins_status points_change(struct points_write *self, struct target *target,
                         const struct old_point *old, ins_error *error) {
    target->home_seen = 0; /* its tenant may be another one now */
    if (!old->exists) {
        return absent(self, target, error);
    }
    if (self->context.own_only &&
        (old->tenant_path == NULL || !text_equal(old->tenant, target->payload.tenant))) {
        return refuse_taken(target, old, error);
    }
    bool kept = self->kind == POINTS_UPSERT && self->request->update_mode == INS_MODE_INSERT_ONLY;
    if (kept || !old->passes) {
        target->fate = TARGET_SKIP;
        return INS_OK;
    }
    if (self->kind == POINTS_UPSERT || self->kind == POINTS_DELETE) {
        return INS_OK; /* as it was validated */
    }
    target->fate = TARGET_PUT;
    return change_payload(self, target, old, error);
}
