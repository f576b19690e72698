/* Aliases: a list of changes takes effect whole, in one record, or not at all; and lists of them.
 *
 * Path: the changes are played through in order over what writers see (an alias made by one can be
 * renamed by the next); what they come to, one effect for each name, is written. */
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/text.h"
#include "engine/write.h"

struct effect { /* what becomes of one name */
    ins_text name;
    struct alias *before; /* as writers see it; NULL: none */
    struct scope *after;  /* where it will lead; NULL: it is gone */
    struct alias *created;
    uint64_t key;
};

struct alias_write {
    struct write write;
    const ins_alias_request *request;
    struct effect *effects; /* [2 * change_count] */
    size_t effect_count;
};

static struct alias_write *of(struct operation *operation) {
    return container_of(operation, struct alias_write, write.operation);
}

/* ---- What the changes come to ---- */

static struct effect *effect_of(struct alias_write *self, ins_text name) {
    for (size_t i = 0; i < self->effect_count; i++) {
        if (text_equal(self->effects[i].name, name)) {
            return &self->effects[i];
        }
    }
    struct effect *effect = &self->effects[self->effect_count++];
    *effect = (struct effect){
        .name = name, .before = alias_find(&self->write.operation.db->catalog, name, UINT64_MAX)};
    effect->after = effect->before == NULL ? NULL : effect->before->scope;
    return effect;
}

/* A name for an alias: allowed, and not a collection's. */
static ins_status check_new(const struct alias_write *self, const char *field, ins_text name,
                            ins_error *error) {
    ins_status status = names_check(field, name, error);
    if (status == INS_OK && catalog_find_newest(&self->write.operation.db->catalog, name) != NULL) {
        status = ins_fail(error, INS_EXISTS, "Collection `%.*s` already exists!", (int)name.size,
                          name.data);
    }
    return status;
}

static ins_status play_create(struct alias_write *self, const ins_alias_change *change,
                              ins_error *error) {
    struct scope *scope = NULL;
    ins_status status = check_new(self, "alias_name", change->alias, error);
    if (status == INS_OK) {
        scope = change->target.size == 0
                    ? NULL
                    : catalog_find_newest(&self->write.operation.db->catalog, change->target);
        status = scope == NULL ? names_absent(change->target, error) : INS_OK;
    }
    if (status == INS_OK) {
        effect_of(self, change->alias)->after = scope;
    }
    return status;
}

static ins_status play_rename(struct alias_write *self, const ins_alias_change *change,
                              ins_error *error) {
    ins_status status = check_new(self, "new_alias_name", change->target, error);
    if (status != INS_OK) {
        return status;
    }
    struct effect *from = effect_of(self, change->alias);
    struct scope *scope = from->after;
    if (scope == NULL) {
        int shown = change->alias.size < INS_NAME_BYTES_MAX ? (int)change->alias.size
                                                            : (int)INS_NAME_BYTES_MAX;
        return ins_fail(error, INS_NOT_FOUND, "Alias %.*s does not exists!", shown,
                        change->alias.data);
    }
    from->after = NULL;
    effect_of(self, change->target)->after = scope;
    return INS_OK;
}

static ins_status play(struct alias_write *self, ins_error *error) {
    const ins_alias_request *request = self->request;
    if (request->change_count > INS_ALIAS_CHANGES_MAX) {
        return ins_fail(error, INS_INVALID, "actions: %zu in one request, the limit is %u",
                        request->change_count, INS_ALIAS_CHANGES_MAX);
    }
    self->effects = pool_alloc(&self->write.operation.pool,
                               (2 * request->change_count + 1) * sizeof(struct effect));
    if (self->effects == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %zu changes of aliases",
                        request->change_count);
    }
    self->effect_count = 0;
    for (size_t i = 0; i < request->change_count; i++) {
        const ins_alias_change *change = &request->changes[i];
        ins_status status = INS_OK;
        switch (change->kind) {
        case INS_ALIAS_CREATE:
            status = play_create(self, change, error);
            break;
        case INS_ALIAS_DELETE: /* one that is not there is no error, as in Qdrant */
            effect_of(self, change->alias)->after = NULL;
            break;
        case INS_ALIAS_RENAME:
            status = play_rename(self, change, error);
            break;
        }
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

static bool changes(const struct effect *effect) {
    return (effect->before == NULL ? NULL : effect->before->scope) != effect->after;
}

/* A collection takes its aliases along when it is dropped, in one record. */
static ins_status check_counts(const struct alias_write *self, ins_error *error) {
    for (size_t i = 0; i < self->effect_count; i++) {
        const struct scope *scope = self->effects[i].after;
        int64_t count = scope == NULL ? 0 : scope->alias_count;
        for (size_t k = 0; scope != NULL && k < self->effect_count; k++) {
            const struct effect *other = &self->effects[k];
            if (changes(other)) {
                count += other->after == scope;
                count -= other->before != NULL && other->before->scope == scope;
            }
        }
        if (count > INS_ALIASES_MAX) {
            return ins_fail(error, INS_INVALID,
                            "collection %.*s: %lld aliases, one collection may have %u",
                            (int)scope->name_size, scope->name, (long long)count, INS_ALIASES_MAX);
        }
    }
    return INS_OK;
}

/* ---- Writing it ---- */

static ins_status write_effect(struct alias_write *self, struct effect *effect, ins_error *error) {
    struct write *write = &self->write;
    struct catalog *catalog = &write->operation.db->catalog;
    ins_status status = INS_OK;
    if (effect->before != NULL) {
        status = write_catalog_row(write, effect->before->key, (ins_text){0}, error);
    }
    if (status != INS_OK || effect->after == NULL) {
        return status;
    }
    status = write_keys(write, 1, &effect->key, error);
    if (status != INS_OK) {
        return status;
    }
    ins_text row = catalog_row_alias(&write->operation.pool, effect->after->key, effect->name);
    effect->created = alias_create(catalog, effect->after, effect->key, effect->name);
    if (row.data == NULL || effect->created == NULL) {
        return ins_fail(error, INS_FULL,
                        "no room for another alias: the catalog's share of the memory budget is "
                        "used up");
    }
    return write_catalog_row(write, effect->key, row, error);
}

static ins_status write_effects(struct alias_write *self, uint64_t *out_lsn, ins_error *error) {
    struct write *write = &self->write;
    uint64_t bytes = write_catalog_cost(64);
    size_t count = 0;
    for (size_t i = 0; i < self->effect_count; i++) {
        count += changes(&self->effects[i]);
        bytes += write_catalog_cost(0) + write_catalog_cost(64 + 6 * self->effects[i].name.size);
    }
    if (count == 0) {
        return write_settle(write, error);
    }
    ins_status status = write_begin(write, bytes, 2 * count + 2, error);
    for (size_t i = 0; i < self->effect_count && status == INS_OK; i++) {
        if (changes(&self->effects[i])) {
            status = write_effect(self, &self->effects[i], error);
        }
    }
    return status == INS_OK ? write_sequence(write, SYSTEM_SCOPE, out_lsn, error) : status;
}

static ins_status check(struct alias_write *self, ins_error *error) {
    ins_status status = play(self, error);
    return status == INS_OK ? check_counts(self, error) : status;
}

static void undo(struct alias_write *self) {
    write_undo(&self->write);
    for (size_t i = 0; i < self->effect_count; i++) {
        if (self->effects[i].created != NULL) {
            alias_free(&self->write.operation.db->catalog, self->effects[i].created);
            self->effects[i].created = NULL;
        }
    }
}

static ins_status change_step(struct operation *operation, ins_error *error) {
    struct alias_write *self = of(operation);
    struct catalog *catalog = &operation->db->catalog;
    if (self->write.settle_lsn != 0) {
        return write_settle(&self->write, error);
    }
    uint64_t lsn = 0;
    ins_status status = self->write.room.waits ? INS_OK : check(self, error);
    if (status == INS_OK) {
        uint64_t bytes = self->request->change_count * write_catalog_cost(INS_NAME_BYTES_MAX);
        status = room_enter(operation, &self->write.room, bytes, error);
    }
    if (status == INS_AGAIN) {
        return status;
    }
    if (status == INS_OK) {
        status = check(self, error); /* again: it may have waited */
    }
    if (status == INS_OK) {
        status = write_effects(self, &lsn, error);
    }
    if (status != INS_OK || lsn == 0) {
        undo(self);
        return status;
    }
    for (size_t i = 0; i < self->effect_count; i++) {
        struct effect *effect = &self->effects[i];
        if (changes(effect) && effect->before != NULL) {
            alias_drop(catalog, effect->before, lsn);
        }
        if (effect->created != NULL) {
            alias_link(catalog, effect->created, lsn);
        }
    }
    return INS_OK;
}

void ins_aliases_change(ins_db *db, const void *alias_request, ins_call *call) {
    struct alias_write *self = operation_create(db, call, sizeof(*self), change_step, NULL, false);
    if (self != NULL) {
        self->request = alias_request;
        operation_run(&self->write.operation);
    }
}

/* ---- Lists ---- */

struct alias_read {
    struct operation operation;
    const ins_alias_request *request;
};

/* One block; a list of all aliases is one answer. */
#define LIST_MAX (INS_BLOCK_BYTES_MAX / sizeof(ins_alias) - 8)

static ins_status list_one(struct pool *pool, const struct alias *alias, ins_alias *out,
                           ins_error *error) {
    out->alias = text_copy(pool, alias_name(alias));
    out->collection = text_copy(pool, scope_name(alias->scope));
    return out->alias.data == NULL || out->collection.data == NULL
               ? ins_fail(error, INS_FULL, "no memory for a list of aliases")
               : INS_OK;
}

static ins_status list_of_scope(struct operation *operation, const struct scope *scope,
                                ins_alias *list, size_t *out_count, ins_error *error) {
    uint64_t lsn = operation->db->reading.durable_lsn;
    ins_status status = INS_OK;
    for (struct alias *alias = scope->aliases; alias != NULL && status == INS_OK;
         alias = alias->scope_next) {
        if (alias_readable(alias, lsn)) {
            status = list_one(&operation->pool, alias, &list[(*out_count)++], error);
        }
    }
    return status;
}

static ins_status list_all(struct operation *operation, ins_alias *list, size_t *out_count,
                           ins_error *error) {
    const struct table *table = &operation->db->catalog.aliases;
    uint64_t lsn = operation->db->reading.durable_lsn;
    ins_status status = INS_OK;
    for (uint64_t bucket = 0; bucket < table->bucket_count && status == INS_OK; bucket++) {
        for (struct table_node *node = table_bucket(table, bucket);
             node != NULL && status == INS_OK; node = node->next) {
            const struct alias *alias = (struct alias *)(void *)node;
            if (alias_readable(alias, lsn)) {
                status = list_one(&operation->pool, alias, &list[(*out_count)++], error);
            }
        }
    }
    return status;
}

static ins_status list_step(struct operation *operation, ins_error *error) {
    struct alias_read *self = container_of(operation, struct alias_read, operation);
    const struct catalog *catalog = &operation->db->catalog;
    uint64_t capacity = catalog->aliases.count;
    if (capacity > LIST_MAX) {
        return ins_fail(error, INS_UNSUPPORTED, "%llu aliases: this version lists at most %zu",
                        (unsigned long long)capacity, LIST_MAX);
    }
    ins_alias *list = pool_alloc(&operation->pool, (capacity + 1) * sizeof(ins_alias));
    if (list == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %llu aliases",
                        (unsigned long long)capacity);
    }
    size_t count = 0;
    ins_status status = INS_OK;
    ins_text name = self->request->collection;
    if (name.data == NULL) {
        status = list_all(operation, list, &count, error);
    } else {
        struct scope *scope =
            name.size == 0 ? NULL : catalog_find(catalog, name, operation->db->reading.durable_lsn);
        if (scope != NULL) { /* of no collection there are none, as in Qdrant */
            status = list_of_scope(operation, scope, list, &count, error);
        }
    }
    operation->call->aliases = list;
    operation->call->alias_count = count;
    return status;
}

void ins_aliases_list(ins_db *db, const void *alias_request, ins_call *call) {
    struct alias_read *self = operation_create(db, call, sizeof(*self), list_step, NULL, true);
    if (self != NULL) {
        self->request = alias_request;
        operation_run(&self->operation);
    }
}
