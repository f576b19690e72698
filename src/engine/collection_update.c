/* Update of a collection: settings, vectors' settings and metadata are merged into what is kept. */
#include "base/status.h"
#include "engine/collection_write.h"
#include "engine/text.h"

static size_t member_count(ins_text object) {
    struct json_text_iterator members = json_text_begin(object);
    ins_text key, value;
    size_t count = 0;
    while (object.data != NULL && json_text_next_member(&members, &key, &value)) {
        count++;
    }
    return count;
}

static ins_status merge(struct collection_write *self, const char *what, ins_text base,
                        ins_text patch, uint32_t depth, ins_text *out, ins_error *error) {
    if (patch.data == NULL) {
        *out = base;
        return INS_OK;
    }
    if (base.size + patch.size > TEXT_MAX / 4) {
        return ins_fail(error, INS_TOO_LARGE, "%s: %zu bytes with what is there, the limit is %u",
                        what, base.size + patch.size, TEXT_MAX / 4);
    }
    size_t members = member_count(base) + member_count(patch);
    if (members > INS_MERGE_MEMBERS_MAX) {
        return ins_fail(error, INS_TOO_LARGE,
                        "%s: %zu members with those that are there, the limit is %u", what, members,
                        INS_MERGE_MEMBERS_MAX);
    }
    *out = text_merge(&self->write.operation.pool, base, patch, depth);
    return out->data == NULL ? ins_fail(error, INS_FULL, "no memory to merge %s", what) : INS_OK;
}

static ins_status draft_vectors(struct collection_write *self, struct schema_draft *draft,
                                ins_error *error) {
    const ins_collection_request *request = self->request;
    struct schema_vector *vectors =
        pool_alloc(&self->write.operation.pool, (draft->vector_count + 1) * sizeof(*vectors));
    if (vectors == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u vectors", draft->vector_count);
    }
    for (uint32_t i = 0; i < draft->vector_count; i++) {
        vectors[i] = draft->vectors[i];
    }
    draft->vectors = vectors;
    for (size_t k = 0; k < request->vector_count; k++) {
        const ins_vector_params *change = &request->vectors[k];
        uint32_t i = 0;
        while (i < draft->vector_count && !text_equal(vectors[i].name, change->name)) {
            i++;
        }
        if (i == draft->vector_count) {
            return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s",
                            (int)(change->name.size < INS_VECTOR_NAME_BYTES_MAX
                                      ? change->name.size
                                      : INS_VECTOR_NAME_BYTES_MAX),
                            change->name.size == 0 ? "" : change->name.data);
        }
        ins_status status = merge(self, "vectors", vectors[i].settings, change->settings, 2,
                                  &vectors[i].settings, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

static ins_status draft_update(struct collection_write *self, struct schema_draft *draft,
                               ins_error *error) {
    const ins_collection_request *request = self->request;
    ins_status status =
        merge(self, "settings", draft->settings, request->settings, 2, &draft->settings, error);
    if (status == INS_OK && request->vector_count > 0) {
        status = draft_vectors(self, draft, error);
    }
    if (status == INS_OK && request->metadata.data != NULL) {
        status =
            merge(self, "metadata", self->metadata, request->metadata, 1, &self->metadata, error);
    }
    return status;
}

static ins_status update_step(struct operation *operation, ins_error *error) {
    return collection_change(operation, draft_update, error);
}

void ins_collection_update(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, update_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}
