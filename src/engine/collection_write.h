/* Writes to collections: rows of the catalog. */
#ifndef INS_ENGINE_COLLECTION_WRITE_H
#define INS_ENGINE_COLLECTION_WRITE_H

#include "engine/write.h"

struct collection_write {
    struct write write;
    const ins_collection_request *request;
    struct scope *scope;   /* created, or changed (pinned) */
    struct schema *schema; /* next one of a changed scope */
    uint64_t schema_key;
    bool directories;  /* were made, by an is_tenant index */
    ins_text metadata; /* the next one */
    ins_text stored;   /* the one that is there, as read at `stored_at` of the scope's changes */
    uint32_t stored_at;
    struct reader reader; /* of the catalog: the scope's row, for its metadata */
};

/* Turns the draft of what the scope has into what it will have; may replace self->metadata. */
typedef ins_status (*collection_draft)(struct collection_write *self, struct schema_draft *draft,
                                       ins_error *error);

static inline struct collection_write *collection_write_of(struct operation *operation) {
    return container_of(operation, struct collection_write, write.operation);
}

struct collection_write *collection_write_create(ins_db *db, const void *request, ins_call *call,
                                                 ins_status (*step)(struct operation *,
                                                                    ins_error *));
/* One step of an operation that gives the scope of request->collection another schema or metadata.
 */
INS_MUST_USE ins_status collection_change(struct operation *operation, collection_draft draft,
                                          ins_error *error);

/* self->metadata: what the scope has, as writers see it. INS_AGAIN. */
INS_MUST_USE ins_status collection_load_metadata(struct collection_write *self, ins_error *error);
/* The end of making self->scope, when what came before it answered `status`: its row, sequenced. On
 * failure the write and the scope, if it is there, are undone. */
INS_MUST_USE ins_status collection_write_land(struct collection_write *self, ins_status status,
                                              uint64_t incarnation, ins_text metadata,
                                              ins_error *error);
/* A collection has the schema no more. */
void collection_end_schema(struct catalog *catalog, struct schema *schema);

#endif
