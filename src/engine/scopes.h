/* The scopes that a request on points is about: a collection's own, or some or all of its shard
 * keys. */
#ifndef INS_ENGINE_SCOPES_H
#define INS_ENGINE_SCOPES_H

#include "engine/operation.h"

struct scopes {
    struct scope *collection;
    struct scope *one;    /* the only one, or NULL */
    struct scope **named; /* [named_count] in the pool; with `one` NULL and this NULL: all */
    size_t named_count;
};

/* As readers see them now; pins them. INS_NOT_FOUND without the collection, INS_INVALID when a
 * shard key is not there. */
INS_MUST_USE ins_status scopes_open(struct scopes *scopes, struct operation *operation,
                                    const ins_points_request *request, ins_error *error);
/* Unpins them. Takes zeroed ones, and those whose opening failed. */
void scopes_close(struct scopes *scopes);
/* For a write: the scope alone, which the caller keeps pinned. */
static inline struct scopes scopes_of(struct scope *scope) {
    return (struct scopes){.collection = scope->collection != NULL ? scope->collection : scope,
                           .one = scope};
}
/* What was asked for is gone: the collection, or the only shard key. */
static inline bool scopes_lost(const struct scopes *scopes) {
    return scopes->collection->unlinked || (scopes->one != NULL && scopes->one->unlinked);
}

/* One after the other. The one on which it stands is pinned. */
struct scope_cursor {
    const struct scopes *scopes;
    struct scope *current;
    size_t next;
    bool begun;
};

/* NULL: no more. Passes over shard keys that were dropped. */
struct scope *scope_cursor_next(struct scope_cursor *cursor, const struct scopes *scopes,
                                uint64_t durable_lsn);
void scope_cursor_close(struct scope_cursor *cursor); /* from the beginning again; takes zeroed */

/* The scope of a write that names at most one shard key, or a fallback. Not pinned. */
INS_MUST_USE ins_status scopes_home(struct ins_db *db, const ins_points_request *request,
                                    struct scope **out_scope, ins_error *error);
/* Says that it was dropped since. */
ins_status scopes_gone(struct ins_db *db, const ins_points_request *request, ins_error *error);
/* All that a write names are there. */
INS_MUST_USE ins_status scopes_check(struct ins_db *db, const ins_points_request *request,
                                     ins_error *error);

#endif
