/* Named vectors of a collection that lives: adding one, dropping one.
 *
 * Both are another schema and nothing else. A new vector has an id that the collection never gave
 * out, so no row has it yet; a dropped one's values stay where they are until their rows are
 * merged, but no reader asks for that id any more. */
#include "base/status.h"
#include "engine/collection_write.h"
#include "engine/text.h"

static const struct schema_vector *draft_find(const struct schema_draft *draft, ins_text name) {
    for (uint32_t i = 0; i < draft->vector_count; i++) {
        if (text_equal(draft->vectors[i].name, name)) {
            return &draft->vectors[i];
        }
    }
    return NULL;
}

static ins_text shown(ins_text name) {
    size_t size = name.size < INS_VECTOR_NAME_BYTES_MAX ? name.size : INS_VECTOR_NAME_BYTES_MAX;
    return (ins_text){.data = size == 0 ? "" : name.data, .size = size};
}

static ins_status draft_create(struct collection_write *self, struct schema_draft *draft,
                               ins_error *error) {
    const ins_vector_params *params = &self->request->vectors[0];
    ins_text name = shown(params->name);
    if (draft_find(draft, params->name) != NULL) {
        return ins_fail(error, INS_EXISTS, "Vector `%.*s` already exists", (int)name.size,
                        name.data);
    }
    return draft_add_vector(draft, params, &self->write.operation.pool, error);
}

static ins_status draft_delete(struct collection_write *self, struct schema_draft *draft,
                               ins_error *error) {
    ins_text name = shown(self->request->vectors[0].name);
    const struct schema_vector *gone = draft_find(draft, self->request->vectors[0].name);
    if (gone == NULL) {
        return ins_fail(error, INS_INVALID, "Not existing vector name error: %.*s", (int)name.size,
                        name.data);
    }
    struct schema_vector *vectors =
        pool_alloc(&self->write.operation.pool, draft->vector_count * sizeof(*vectors));
    if (vectors == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u vectors", draft->vector_count);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < draft->vector_count; i++) {
        if (&draft->vectors[i] != gone) {
            vectors[kept++] = draft->vectors[i];
        }
    }
    draft->vectors = vectors;
    draft->vector_count = kept;
    return INS_OK;
}

static ins_status create_step(struct operation *operation, ins_error *error) {
    return collection_change(operation, draft_create, error);
}

static ins_status delete_step(struct operation *operation, ins_error *error) {
    return collection_change(operation, draft_delete, error);
}

void ins_vector_create(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, create_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}

void ins_vector_delete(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_write *self =
        collection_write_create(db, collection_request, call, delete_step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}
