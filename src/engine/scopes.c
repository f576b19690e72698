#include "engine/scopes.h"

#include "base/assert.h"
#include "base/status.h"
#include "engine/names.h"

#define KEYS_NAMED_MAX INS_BATCH_UPDATES_MAX

static ins_status shard_absent(const ins_shard_key *key, ins_error *error) {
    char shown[SHARD_KEY_SHOWN];
    return ins_fail(error, INS_INVALID, "Shard key %s not found", shard_key_text(key, shown));
}

static ins_status find_fallback(struct ins_db *db, const struct scope *collection,
                                const ins_shard_key *keys, uint64_t lsn, struct scope **out,
                                ins_error *error) {
    char target[SHARD_KEY_SHOWN], fallback[SHARD_KEY_SHOWN];
    for (int i = 0; i < 2; i++) {
        *out = collection->sharded ? shard_find(&db->catalog, collection, &keys[i], lsn) : NULL;
        if (*out != NULL) {
            return INS_OK;
        }
    }
    return ins_fail(error, INS_NOT_FOUND,
                    "Neither target shard key %.200s nor fallback shard key %.200s exist",
                    shard_key_text(&keys[0], target), shard_key_text(&keys[1], fallback));
}

static ins_status find_shard(struct ins_db *db, const struct scope *collection,
                             const ins_shard_key *key, uint64_t lsn, struct scope **out,
                             ins_error *error) {
    *out = collection->sharded ? shard_find(&db->catalog, collection, key, lsn) : NULL;
    return *out != NULL ? INS_OK : shard_absent(key, error);
}

static ins_status too_many(size_t count, ins_error *error) {
    return ins_fail(error, INS_INVALID, "shard_key: %zu keys in one request, the limit is %u",
                    count, KEYS_NAMED_MAX);
}

/* ---- Reads ---- */

static bool is_named(const struct scopes *scopes, const struct scope *scope) {
    for (size_t i = 0; i < scopes->named_count; i++) {
        if (scopes->named[i] == scope) {
            return true;
        }
    }
    return false;
}

static ins_status open_named(struct scopes *scopes, struct operation *operation,
                             const ins_points_request *request, ins_error *error) {
    struct ins_db *db = operation->db;
    size_t count = request->shard_key_count;
    if (count > KEYS_NAMED_MAX) {
        return too_many(count, error);
    }
    scopes->named = pool_alloc(&operation->pool, (count + 1) * sizeof(struct scope *));
    if (scopes->named == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %zu shard keys", count);
    }
    for (size_t i = 0; i < count; i++) {
        struct scope *scope = NULL;
        ins_status status = find_shard(db, scopes->collection, &request->shard_keys[i],
                                       db->reading.durable_lsn, &scope, error);
        if (status != INS_OK) {
            return status;
        }
        INS_ASSERT(scope != NULL);
        if (!is_named(scopes, scope)) {
            scope->pins++;
            scopes->named[scopes->named_count++] = scope;
        }
    }
    return INS_OK;
}

ins_status scopes_open(struct scopes *scopes, struct operation *operation,
                       const ins_points_request *request, ins_error *error) {
    struct ins_db *db = operation->db;
    struct scope *scope = NULL;
    *scopes = (struct scopes){0};
    ins_status status = names_find_scope(db, request->collection, false, &scope, error);
    if (status != INS_OK) {
        return status;
    }
    scopes->collection = scope;
    scope->pins++;
    uint64_t lsn = db->reading.durable_lsn;
    if (request->shard_keys == NULL) {
        scopes->one = scope->sharded ? NULL : scope;
    } else if (request->shard_fallback) {
        status = find_fallback(db, scope, request->shard_keys, lsn, &scopes->one, error);
    } else if (request->shard_key_count == 1) {
        status = find_shard(db, scope, request->shard_keys, lsn, &scopes->one, error);
    } else {
        status = open_named(scopes, operation, request, error);
    }
    if (scopes->one != NULL) {
        scopes->one->pins++;
    }
    return status;
}

void scopes_close(struct scopes *scopes) {
    if (scopes->one != NULL) {
        scopes->one->pins--;
    }
    for (size_t i = 0; i < scopes->named_count; i++) {
        scopes->named[i]->pins--;
    }
    if (scopes->collection != NULL) {
        scopes->collection->pins--;
    }
    *scopes = (struct scopes){0};
}

/* ---- One after the other ---- */

static struct scope *next_named(struct scope_cursor *cursor) {
    const struct scopes *scopes = cursor->scopes;
    return cursor->next < scopes->named_count ? scopes->named[cursor->next++] : NULL;
}

/* A shard key that is pinned stays in the list of its collection, dropped or not. */
static struct scope *next_of_all(const struct scope_cursor *cursor) {
    return cursor->current != NULL ? cursor->current->key_next : cursor->scopes->collection->keys;
}

static struct scope *step(struct scope_cursor *cursor) {
    const struct scopes *scopes = cursor->scopes;
    if (scopes->one != NULL) {
        return cursor->begun ? NULL : scopes->one;
    }
    if (scopes->named != NULL) {
        return next_named(cursor);
    }
    return cursor->begun && cursor->current == NULL ? NULL : next_of_all(cursor);
}

struct scope *scope_cursor_next(struct scope_cursor *cursor, const struct scopes *scopes,
                                uint64_t durable_lsn) {
    cursor->scopes = scopes;
    bool seen = false;
    while (!seen) {
        struct scope *scope = step(cursor);
        cursor->begun = true;
        seen = scope == NULL || scopes->one != NULL || scope_readable(scope, durable_lsn);
        if (scope != NULL) {
            scope->pins++;
        }
        if (cursor->current != NULL) {
            cursor->current->pins--;
        }
        cursor->current = scope;
    }
    return cursor->current;
}

void scope_cursor_close(struct scope_cursor *cursor) {
    if (cursor->current != NULL) {
        cursor->current->pins--;
    }
    *cursor = (struct scope_cursor){0};
}

/* ---- Writes ---- */

ins_status scopes_home(struct ins_db *db, const ins_points_request *request,
                       struct scope **out_scope, ins_error *error) {
    struct scope *scope;
    ins_status status = names_find_scope(db, request->collection, true, &scope, error);
    if (status != INS_OK) {
        return status;
    }
    if (request->shard_fallback) {
        return find_fallback(db, scope, request->shard_keys, UINT64_MAX, out_scope, error);
    }
    if (request->shard_key_count > 0) {
        INS_ASSERT(request->shard_key_count == 1);
        return find_shard(db, scope, request->shard_keys, UINT64_MAX, out_scope, error);
    }
    if (scope->sharded) {
        return ins_fail(error, INS_INVALID, "Shard key not specified");
    }
    *out_scope = scope;
    return INS_OK;
}

ins_status scopes_check(struct ins_db *db, const ins_points_request *request, ins_error *error) {
    struct scope *collection, *ignored;
    ins_status status = names_find_scope(db, request->collection, true, &collection, error);
    if (status == INS_OK && request->shard_key_count > KEYS_NAMED_MAX) {
        return too_many(request->shard_key_count, error);
    }
    for (size_t i = 0; i < request->shard_key_count && status == INS_OK; i++) {
        status = find_shard(db, collection, &request->shard_keys[i], UINT64_MAX, &ignored, error);
    }
    return status;
}

ins_status scopes_gone(struct ins_db *db, const ins_points_request *request, ins_error *error) {
    struct scope *newer;
    ins_status status = scopes_home(db, request, &newer, error);
    return status != INS_OK ? status : names_absent(request->collection, error);
}
