/* Moves: the hidden collection, and the record that puts it in the other one's place. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/collection_write.h"
#include "engine/field_columns.h"
#include "engine/graph_job.h"
#include "engine/jobs.h"
#include "engine/move.h"
#include "engine/names.h"
#include "engine/text.h"

#define ROW_BYTES 2048u /* about, of a row of the catalog beside its texts */

const struct schema_field *move_field(const struct schema *schema) {
    for (uint32_t i = 0; !schema->has_tenant_field && i < schema->field_count; i++) {
        if (schema->fields[i].is_tenant) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

/* Schemas are few, collections many. */
static bool any_wants(const struct catalog *catalog) {
    for (uint64_t bucket = 0; bucket < catalog->schemas.bucket_count; bucket++) {
        for (struct table_node *node = table_bucket(&catalog->schemas, bucket); node != NULL;
             node = node->next) {
            const struct schema *schema = (struct schema *)(void *)node; /* its first member */
            if (schema->users > 0 && move_field(schema) != NULL) {
                return true;
            }
        }
    }
    return false;
}

static bool is_next(const struct scope *scope, bool hidden) {
    if (scope->key == SYSTEM_SCOPE || scope->drop_lsn != 0 || scope->collection != NULL) {
        return false;
    }
    return hidden ? scope_is_hidden(scope)
                  : !scope_is_hidden(scope) && !scope->sharded && !scope->move_failed &&
                        move_field(scope->schema) != NULL;
}

struct scope *move_next(const struct ins_db *db, bool hidden) {
    const struct catalog *catalog = &db->catalog;
    if (hidden ? catalog->hidden_count == 0 : !any_wants(catalog)) {
        return NULL;
    }
    for (uint64_t bucket = 0; bucket < catalog->by_key.bucket_count; bucket++) {
        for (struct table_node *node = table_bucket(&catalog->by_key, bucket); node != NULL;
             node = node->next) {
            struct scope *scope = (struct scope *)(void *)node; /* its first member */
            if (is_next(scope, hidden)) {
                return scope;
            }
        }
    }
    return NULL;
}

/* ---- Schemas ---- */

static bool has_field(const struct schema *schema, ins_text name) {
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (text_equal(schema->fields[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The collection's schema with the tenant field in force. `made`: what extents were written by so
 * far; NULL: none were. */
static ins_status schema_with_islands(struct collection_write *self, const struct schema *old,
                                      const struct schema *made, struct schema **out,
                                      ins_error *error) {
    struct operation *operation = &self->write.operation;
    const struct schema_field *tenant = move_field(old);
    struct schema_field *fields =
        pool_alloc(&operation->pool, (old->field_count + 1) * sizeof(*fields));
    if (fields == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u fields", old->field_count);
    }
    INS_ASSERT(tenant != NULL);
    for (uint32_t i = 0; i < old->field_count; i++) {
        fields[i] = old->fields[i];
        fields[i].islands = &old->fields[i] == tenant;
        fields[i].late = made != NULL && !has_field(made, fields[i].name);
    }
    struct schema_draft draft = {.vectors = old->vectors,
                                 .vector_count = old->vector_count,
                                 .vector_next = old->vector_next,
                                 .settings = old->settings,
                                 .fields = fields,
                                 .field_count = old->field_count,
                                 .has_tenant_field = true,
                                 .tenant_is_uuid = field_type_is(tenant->schema, "uuid"),
                                 .tenant_field = tenant->name};
    return schema_get(&operation->db->catalog, &draft, &operation->pool, out, error);
}

bool move_fits(const struct move *move) {
    const struct schema *from = move->source->schema, *to = move->target->schema;
    const struct schema_field *field = move_field(from);
    return field != NULL && text_equal(field->name, to->tenant_text) &&
           from->vector_count == to->vector_count && from->vector_next == to->vector_next;
}

/* ---- The hidden collection ---- */

static struct move *move_of(const struct collection_write *self) {
    return container_of(self->request, struct move, asked);
}

static ins_status make_scope(struct collection_write *self, ins_error *error) {
    struct ins_db *db = self->write.operation.db;
    uint64_t key = 0;
    char name[24];
    ins_status status = write_schema(&self->write, self->schema, &self->schema_key, error);
    if (status == INS_OK) {
        status = write_keys(&self->write, 3, &key, error);
    }
    if (status != INS_OK) {
        return status;
    }
    int size = snprintf(name, sizeof(name), "%c%llu", SCOPE_HIDDEN, (unsigned long long)key);
    self->scope = scope_create(&db->catalog, key, (ins_text){name, (size_t)size}, self->schema);
    if (self->scope != NULL) {
        self->schema = NULL; /* the scope's */
        self->scope->pins++;
        self->scope->create_lsn = UINT64_MAX;
        self->scope->common =
            island_create(&db->islands, self->scope, key + 1, (ins_text){0}, ISLAND_COMMON);
    }
    return self->scope != NULL && self->scope->common != NULL &&
                   scope_make_directories(&db->catalog, self->scope, key + 2)
               ? INS_OK
               : ins_fail(error, INS_FULL, "no room in the catalog to move a collection");
}

static ins_status make_step(struct operation *operation, ins_error *error) {
    struct collection_write *self = collection_write_of(operation);
    struct move *move = move_of(self);
    struct write *write = &self->write;
    uint64_t bytes = 2 * write_catalog_cost(move->source->schema->text_size + ROW_BYTES) +
                     write_catalog_cost(64);
    ins_status status = room_enter(operation, &write->room, bytes, error);
    if (status == INS_OK &&
        (move->source->drop_lsn != 0 || move_field(move->source->schema) == NULL)) {
        status = names_absent(scope_name(move->source), error);
    }
    if (status == INS_OK) {
        status = schema_with_islands(self, move->source->schema, NULL, &self->schema, error);
    }
    if (status != INS_OK) {
        return status;
    }
    status = write_begin(write, bytes, 6, error);
    if (status == INS_OK) {
        status = make_scope(self, error);
    }
    uint64_t incarnation = status == INS_OK ? self->scope->directory->incarnation : 0;
    status = collection_write_land(self, status, incarnation, (ins_text){0}, error);
    if (status == INS_OK) {
        move->target = self->scope;
        move->target->pins++;
    }
    return status;
}

static void begin(struct move *move, ins_call *call,
                  ins_status (*step)(struct operation *, ins_error *)) {
    struct collection_write *self =
        collection_write_create(move->operation.db, &move->asked, call, step);
    if (self != NULL) {
        operation_run(&self->write.operation);
    }
}

void move_make(struct move *move, ins_call *call) {
    begin(move, call, make_step);
}

/* ---- The flip ---- */

struct aliases {          /* made for the target; dropped ones are the source's */
    struct alias **items; /* [count] */
    size_t count;
};

static ins_status write_aliases(struct collection_write *self, const struct move *move,
                                struct aliases *out, ins_error *error) {
    struct write *write = &self->write;
    struct pool *pool = &write->operation.pool;
    struct catalog *catalog = &write->operation.db->catalog;
    uint64_t key = 0;
    size_t count = move->source->alias_count;
    if (count == 0) {
        return INS_OK;
    }
    out->items = pool_alloc(pool, count * sizeof(struct alias *));
    if (out->items == NULL) {
        return ins_fail(error, INS_FULL, "no memory for aliases");
    }
    ins_status status = write_keys(write, count, &key, error);
    for (struct alias *alias = move->source->aliases; alias != NULL && status == INS_OK;
         alias = alias->scope_next) {
        if (alias->drop_lsn != 0) {
            continue;
        }
        ins_text row = catalog_row_alias(pool, move->target->key, alias_name(alias));
        struct alias *made = alias_create(catalog, move->target, key, alias_name(alias));
        if (row.data == NULL || made == NULL) {
            if (made != NULL) {
                alias_free(catalog, made);
            }
            return ins_fail(error, INS_FULL, "no memory for aliases");
        }
        INS_ASSERT(out->count < count);
        out->items[out->count++] = made;
        status = write_catalog_row(write, alias->key, (ins_text){0}, error);
        if (status == INS_OK) {
            status = write_catalog_row(write, key++, row, error);
        }
    }
    return status;
}

/* The source's tombstone comes first: at a recovery the name is free then. */
static ins_status write_flip(struct collection_write *self, const struct move *move,
                             struct aliases *aliases, uint64_t *out_lsn, ins_error *error) {
    struct write *write = &self->write;
    const struct scope *from = move->source, *to = move->target;
    size_t aliases_bytes = from->alias_count * (write_catalog_cost(0) + write_catalog_cost(2048));
    uint64_t bytes =
        2 * write_catalog_cost(self->schema->text_size + self->metadata.size + ROW_BYTES) +
        5 * write_catalog_cost(64) + aliases_bytes;
    ins_status status = write_begin(write, bytes, 8 + 2ul * from->alias_count, error);
    if (status == INS_OK) {
        status = write_catalog_row(write, from->key, (ins_text){0}, error);
    }
    if (status == INS_OK) {
        status = write_schema(write, self->schema, &self->schema_key, error);
    }
    if (status == INS_OK) {
        ins_text row =
            catalog_row_scope(&write->operation.pool, to, scope_name(from), self->schema_key,
                              to->directory->incarnation, self->metadata);
        status = row.data == NULL ? ins_fail(error, INS_FULL, "no memory for a catalog row")
                                  : write_catalog_row(write, to->key, row, error);
    }
    if (status == INS_OK) {
        status = write_aliases(self, move, aliases, error);
    }
    if (status == INS_OK && schema_row_ends(from->schema)) {
        status = write_catalog_row(write, from->schema->key, (ins_text){0}, error);
    }
    if (status == INS_OK && self->schema != to->schema && schema_row_ends(to->schema)) {
        status = write_catalog_row(write, to->schema->key, (ins_text){0}, error);
    }
    return status == INS_OK ? write_sequence(write, SYSTEM_SCOPE, out_lsn, error) : status;
}

/* In memory, after which nothing can fail. Readers see the source until the record is durable. */
static void flip(struct collection_write *self, const struct move *move,
                 const struct aliases *aliases, char *name, uint64_t lsn) {
    struct ins_db *db = self->write.operation.db;
    struct scope *from = move->source, *to = move->target;
    db->schema_lsn = lsn;
    if (self->schema != to->schema) {
        schema_use(self->schema);
        collection_end_schema(&db->catalog, to->schema);
        scope_set_schema(&db->catalog, to, self->schema);
        self->schema = NULL;
    }
    collection_end_schema(&db->catalog, from->schema);
    from->moved = true;
    scope_drop(&db->catalog, from, lsn);
    scope_rename(&db->catalog, to, scope_name(from), name);
    to->create_lsn = lsn;
    to->has_metadata = self->metadata.data != NULL;
    to->changes++;
    for (size_t i = 0; i < aliases->count; i++) {
        alias_link(&db->catalog, aliases->items[i], lsn);
    }
    graph_want_scope(db, to);
    graph_job_kick(db);
}

static ins_status flip_step(struct operation *operation, ins_error *error) {
    struct collection_write *self = collection_write_of(operation);
    struct move *move = move_of(self);
    if (self->scope == NULL) {
        self->scope = move->source;
        self->scope->pins++;
    }
    ins_status status = room_enter(operation, &self->write.room, 4 * ROW_BYTES, error);
    if (status == INS_OK) {
        status = collection_load_metadata(self, error);
    }
    if (status == INS_OK && (move->source->drop_lsn != 0 || !move_fits(move) || move->notes_lost)) {
        status = ins_fail(error, INS_EXISTS, "the collection changed while it was moved");
    }
    if (status == INS_OK && self->schema == NULL) {
        status = schema_with_islands(self, move->source->schema, move->target->schema,
                                     &self->schema, error);
    }
    if (status != INS_OK) {
        return status;
    }
    struct catalog *catalog = &operation->db->catalog;
    struct aliases aliases = {0};
    uint64_t lsn = 0;
    char *name = arena_alloc(catalog->arena, INS_MEM_CATALOG, move->source->name_size);
    status = name == NULL ? ins_fail(error, INS_FULL, "no room in the catalog to move a collection")
                          : write_flip(self, move, &aliases, &lsn, error);
    if (status == INS_OK) {
        flip(self, move, &aliases, name, lsn);
        return INS_OK;
    }
    write_undo(&self->write);
    if (name != NULL) {
        arena_free(catalog->arena, INS_MEM_CATALOG, name, move->source->name_size);
    }
    for (size_t i = 0; i < aliases.count; i++) {
        alias_free(catalog, aliases.items[i]);
    }
    return status;
}

void move_flip(struct move *move, ins_call *call) {
    begin(move, call, flip_step);
}
