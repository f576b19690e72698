#include "engine/catalog.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/status.h"
#include "engine/text.h"

#define scope_of_key(pointer) ((struct scope *)(void *)(pointer)) /* node is the first member */
#define scope_of_name(pointer)                                                                     \
    ((struct scope *)(void *)((char *)(pointer)-offsetof(struct scope, name_node)))

ins_status catalog_init(struct catalog *catalog, struct arena *arena, struct islands *islands) {
    *catalog = (struct catalog){.arena = arena, .islands = islands};
    if (table_init(&catalog->by_key, arena, INS_MEM_CATALOG) != INS_OK ||
        table_init(&catalog->by_name, arena, INS_MEM_CATALOG) != INS_OK ||
        table_init(&catalog->by_shard, arena, INS_MEM_CATALOG) != INS_OK ||
        table_init(&catalog->schemas, arena, INS_MEM_CATALOG) != INS_OK ||
        table_init(&catalog->schemas_by_key, arena, INS_MEM_CATALOG) != INS_OK ||
        table_init(&catalog->aliases, arena, INS_MEM_CATALOG) != INS_OK ||
        table_init(&catalog->aliases_by_key, arena, INS_MEM_CATALOG) != INS_OK) {
        catalog_fini(catalog);
        return INS_FULL;
    }
    return INS_OK;
}

static void scope_free(struct catalog *catalog, struct scope *scope) {
    INS_ASSERT(scope->islands == NULL);
    INS_ASSERT(scope->aliases == NULL);
    INS_ASSERT(scope->keys == NULL);
    if (scope->collection != NULL) {
        shard_leave(scope);
    }
    schema_release(catalog, scope->schema);
    if (scope->name_size > 0) {
        arena_free(catalog->arena, INS_MEM_CATALOG, scope->name, scope->name_size);
    }
    arena_free(catalog->arena, INS_MEM_CATALOG, scope, sizeof(*scope));
}

static void scope_unlink(struct catalog *catalog, struct scope *scope) {
    if (scope->unlinked) {
        return;
    }
    scope->unlinked = true;
    table_remove(&catalog->by_key, &scope->node);
    if (scope->collection != NULL) {
        shard_unlink(catalog, scope);
    } else {
        table_remove(&catalog->by_name, &scope->name_node);
    }
}

/* True when no island is left. */
static bool drop_islands(struct catalog *catalog, struct scope *scope, uint32_t *budget) {
    while (scope->islands != NULL && *budget > 0) {
        bool retired = (scope->islands->flags & ISLAND_DROPPED) != 0;
        bool tenant = island_is_tenant(scope->islands) && !retired;
        catalog->tenant_count -= tenant;
        catalog->garbage_rows += tenant;
        island_drop(catalog->islands, scope->islands);
        (*budget)--;
    }
    return scope->islands == NULL;
}

static void table_end(struct table *table) {
    if (table->arena != NULL) {
        table_fini(table);
    }
}

void catalog_fini(struct catalog *catalog) {
    changes_forget(catalog);
    aliases_reap(catalog, UINT64_MAX);
    /* Shard keys before their collections, and what was dropped before what was not. */
    struct scope *collections = NULL;
    while (catalog->dropped != NULL) {
        struct scope *scope = catalog->dropped;
        catalog->dropped = scope->dropped_next;
        if (scope->collection != NULL) {
            scope_undo(catalog, scope);
        } else {
            scope->dropped_next = collections;
            collections = scope;
        }
    }
    while (collections != NULL) {
        struct scope *scope = collections;
        collections = scope->dropped_next;
        scope_undo(catalog, scope);
    }
    if (catalog->by_key.arena != NULL) {
        for (uint64_t bucket = 0; bucket < catalog->by_key.bucket_count; bucket++) {
            struct table_node *node;
            while ((node = table_bucket(&catalog->by_key, bucket)) != NULL) {
                struct scope *scope = scope_of_key(node);
                scope->drop_lsn = 1; /* counted as gone */
                scope_undo(catalog, scope);
            }
        }
        table_fini(&catalog->by_key);
    }
    schemas_bury(catalog);
    table_end(&catalog->by_name);
    table_end(&catalog->by_shard);
    table_end(&catalog->schemas);
    table_end(&catalog->schemas_by_key);
    table_end(&catalog->aliases);
    table_end(&catalog->aliases_by_key);
}

/* ---- Finding ---- */

static struct scope *find_name(const struct catalog *catalog, ins_text name, bool newest,
                               uint64_t durable_lsn) {
    uint64_t hash = hash64(name.data, name.size);
    for (struct table_node *node = table_first(&catalog->by_name, hash); node != NULL;
         node = node->next) {
        struct scope *scope = scope_of_name(node);
        bool seen = newest ? scope->drop_lsn == 0 : scope_readable(scope, durable_lsn);
        if (node->hash == hash && seen && text_equal(scope_name(scope), name)) {
            return scope;
        }
    }
    return NULL;
}

struct scope *catalog_find(const struct catalog *catalog, ins_text name, uint64_t durable_lsn) {
    return find_name(catalog, name, false, durable_lsn);
}

struct scope *catalog_find_newest(const struct catalog *catalog, ins_text name) {
    return find_name(catalog, name, true, 0);
}

struct scope *catalog_find_key(const struct catalog *catalog, uint64_t key) {
    uint64_t hash = hash_u64(key);
    for (struct table_node *node = table_first(&catalog->by_key, hash); node != NULL;
         node = node->next) {
        if (scope_of_key(node)->key == key) {
            return scope_of_key(node);
        }
    }
    return NULL;
}

/* ---- Making and dropping ---- */

struct scope *scope_create(struct catalog *catalog, uint64_t key, ins_text name,
                           struct schema *schema) {
    struct scope *scope = arena_alloc_zero(catalog->arena, INS_MEM_CATALOG, sizeof(*scope));
    if (scope == NULL) {
        return NULL;
    }
    if (name.size > 0) {
        scope->name = arena_alloc(catalog->arena, INS_MEM_CATALOG, name.size);
        if (scope->name == NULL) {
            arena_free(catalog->arena, INS_MEM_CATALOG, scope, sizeof(*scope));
            return NULL;
        }
        memcpy(scope->name, name.data, name.size);
    }
    scope->name_size = (uint16_t)name.size;
    scope->key = key;
    scope->schema = schema;
    scope->node.hash = hash_u64(key);
    scope->name_node.hash = hash64(name.data, name.size);
    table_insert(&catalog->by_key, &scope->node);
    table_insert(&catalog->by_name, &scope->name_node);
    catalog->collection_count += key != 0;
    return scope;
}

void scope_set_schema(struct catalog *catalog, struct scope *scope, struct schema *schema) {
    for (struct scope *shard = scope->keys; shard != NULL; shard = shard->key_next) {
        schema_release(catalog, shard->schema);
        shard->schema = schema_hold(schema);
    }
    schema_release(catalog, scope->schema);
    scope->schema = schema;
}

static bool make_directory(struct catalog *catalog, struct scope *scope, uint64_t incarnation) {
    if (scope->directory == NULL) {
        scope->directory =
            island_create(catalog->islands, scope, incarnation, (ins_text){0}, ISLAND_DIRECTORY);
    }
    return scope->directory != NULL;
}

bool scope_make_directories(struct catalog *catalog, struct scope *scope, uint64_t directory) {
    bool made = make_directory(catalog, scope, directory);
    for (struct scope *shard = scope->keys; shard != NULL && made; shard = shard->key_next) {
        made = make_directory(catalog, shard, shard->directory_key);
    }
    return made;
}

static void undo_directory(struct catalog *catalog, struct scope *scope) {
    if (scope->directory != NULL) {
        island_drop(catalog->islands, scope->directory);
        scope->directory = NULL;
    }
}

void scope_undo_directories(struct catalog *catalog, struct scope *scope) {
    undo_directory(catalog, scope);
    for (struct scope *shard = scope->keys; shard != NULL; shard = shard->key_next) {
        undo_directory(catalog, shard);
    }
}

void scope_undo(struct catalog *catalog, struct scope *scope) {
    uint32_t all = UINT32_MAX;
    while (scope->keys != NULL) {
        scope_undo(catalog, scope->keys);
    }
    if (scope->drop_lsn == 0 && scope->collection != NULL) {
        scope->collection->key_count--;
    } else if (scope->drop_lsn == 0) {
        catalog->collection_count -= scope->key != 0;
    }
    scope_unlink(catalog, scope);
    aliases_undo(catalog, scope);
    (void)drop_islands(catalog, scope, &all);
    scope_free(catalog, scope);
}

void scope_drop(struct catalog *catalog, struct scope *scope, uint64_t lsn) {
    INS_ASSERT(scope->drop_lsn == 0);
    scope->drop_lsn = lsn;
    scope->dropped_next = catalog->dropped;
    catalog->dropped = scope;
    if (scope->collection != NULL) {
        scope->collection->key_count--;
    } else {
        catalog->collection_count--;
    }
    for (struct alias *alias = scope->aliases; alias != NULL; alias = alias->scope_next) {
        if (alias->drop_lsn == 0) {
            alias_drop(catalog, alias, lsn);
        }
    }
}

/* The shard keys of a collection that is gone go first. True when some are left. */
static bool drop_keys(struct catalog *catalog, struct scope *scope, uint32_t *budget) {
    for (struct scope *shard = scope->keys; shard != NULL && *budget > 0; shard = shard->key_next) {
        if (shard->drop_lsn == 0) {
            scope_drop(catalog, shard, scope->drop_lsn);
            catalog->garbage_rows++;
            (*budget)--;
        }
    }
    return scope->keys != NULL;
}

bool catalog_reap(struct catalog *catalog, uint64_t durable_lsn, uint32_t islands_max) {
    uint32_t budget = islands_max;
    bool keys_left = false;
    aliases_reap(catalog, durable_lsn);
    struct scope **link = &catalog->dropped;
    while (*link != NULL && budget > 0) {
        struct scope *scope = *link;
        if (scope->drop_lsn > durable_lsn) {
            link = &scope->dropped_next;
            continue;
        }
        scope_unlink(catalog, scope);
        uint32_t before = budget;
        if (drop_keys(catalog, scope, &budget)) {
            keys_left |= budget < before; /* some were dropped only now */
            /* Those stand in front of it in the list, whose head may be what `link` was. */
            link = &scope->dropped_next;
            continue;
        }
        if (!drop_islands(catalog, scope, &budget) || scope->pins > 0) {
            link = &scope->dropped_next;
            continue;
        }
        *link = scope->dropped_next;
        scope_free(catalog, scope);
    }
    return budget == 0 || keys_left;
}

/* ---- Rows ---- */

ins_text catalog_row_allocator(struct pool *pool, uint64_t next_key) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "a");
    json_write_key(&writer, "n");
    json_write_u64(&writer, next_key);
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_schema(struct pool *pool, const struct schema *schema) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "s");
    json_write_key(&writer, "c");
    json_write_value(&writer, (ins_text){.data = schema->text, .size = schema->text_size});
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_scope(struct pool *pool, const struct scope *scope, uint64_t schema_key,
                           uint64_t directory, ins_text metadata) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "c");
    json_write_key(&writer, "n");
    json_write_text(&writer, scope_name(scope));
    json_write_key(&writer, "i");
    json_write_u64(&writer, scope->common->incarnation);
    json_write_key(&writer, "d");
    json_write_u64(&writer, directory);
    json_write_key(&writer, "s");
    json_write_u64(&writer, schema_key);
    if (scope->sharded) {
        json_write_key(&writer, "h");
        json_write_bool(&writer, true);
    }
    if (metadata.data != NULL) {
        json_write_key(&writer, "m");
        json_write_value(&writer, metadata);
    }
    json_write_end_object(&writer);
    return text_written(&writer);
}

/* A name that belongs to a scope. */
static ins_text row_name(struct pool *pool, const char *kind, uint64_t scope_key, ins_text name) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, kind);
    json_write_key(&writer, "s");
    json_write_u64(&writer, scope_key);
    json_write_key(&writer, "n");
    json_write_text(&writer, name);
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_shard(struct pool *pool, const struct scope *shard) {
    struct json_writer writer;
    ins_shard_key name = scope_shard_key(shard);
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "h");
    json_write_key(&writer, "s");
    json_write_u64(&writer, shard->collection->key);
    json_write_key(&writer, "n");
    if (name.text.data == NULL) {
        json_write_u64(&writer, name.number);
    } else {
        json_write_text(&writer, name.text);
    }
    json_write_key(&writer, "i");
    json_write_u64(&writer, shard->common->incarnation);
    json_write_key(&writer, "d");
    json_write_u64(&writer, shard->directory_key);
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_tenant(struct pool *pool, uint64_t scope_key, ins_text tenant) {
    return row_name(pool, "t", scope_key, tenant);
}

ins_text catalog_row_alias(struct pool *pool, uint64_t scope_key, ins_text name) {
    return row_name(pool, "l", scope_key, name);
}

ins_text catalog_row_metadata(ins_text payload) {
    ins_text metadata;
    if (!json_text_get_last(payload, text_of("m"), &metadata)) {
        return (ins_text){0};
    }
    return metadata;
}

/* ---- Recovery ---- */

static ins_status row_damaged(uint64_t key, const char *what, ins_error *error) {
    return ins_fail(error, INS_CORRUPT, "catalog: row %llu has no valid \"%s\"",
                    (unsigned long long)key, what);
}

static bool get_u64(struct json_value object, const char *name, uint64_t *out) {
    struct json_value value;
    if (!json_get(object, name, &value) ||
        !(json_type_of(value) == JSON_UNSIGNED ||
          (json_type_of(value) == JSON_INTEGER && json_integer(value) >= 0))) {
        return false;
    }
    *out = json_unsigned(value);
    return true;
}

static bool get_text(struct json_value object, const char *name, ins_text *out) {
    struct json_value value;
    if (!json_get(object, name, &value) || json_type_of(value) != JSON_STRING) {
        return false;
    }
    *out = json_string(value);
    return true;
}

static ins_status catalog_full(ins_error *error) {
    return ins_fail(error, INS_FULL,
                    "the catalog does not fit its share of the memory budget: start with a larger "
                    "--memory-budget");
}

static struct schema *find_schema_key(const struct catalog *catalog, uint64_t key) {
    uint64_t hash = hash_u64(key);
    for (struct table_node *node = table_first(&catalog->schemas_by_key, hash); node != NULL;
         node = node->next) {
        struct schema *schema =
            (struct schema *)(void *)((char *)node - offsetof(struct schema, key_node));
        if (schema->key == key) {
            return schema;
        }
    }
    return NULL;
}

static ins_status apply_schema(struct catalog *catalog, struct json_parser *parser, uint64_t key,
                               ins_text payload, ins_error *error) {
    ins_text text;
    struct schema *schema;
    if (find_schema_key(catalog, key) != NULL) {
        return INS_OK;
    }
    if (!json_text_get_last(payload, text_of("c"), &text)) {
        return row_damaged(key, "c", error);
    }
    ins_status status = schema_get_text(catalog, parser, text, &schema, error);
    if (status != INS_OK) {
        return status;
    }
    if (schema->key != 0) {
        status = row_damaged(key, "c", error); /* a schema has one row */
    } else {
        schema_set_key(catalog, schema, key);
    }
    schema_release(catalog, schema);
    return status;
}

enum catalog_row_kind catalog_row_kind(ins_text payload, uint64_t *out_scope) {
    static const char letters[] = "schtl";
    ins_text kind, scope;
    *out_scope = 0;
    if (!json_text_get_last(payload, text_of("k"), &kind) || kind.size != 3) {
        return CATALOG_ROW_OTHER;
    }
    const char *letter = memchr(letters, kind.data[1], sizeof(letters) - 1);
    if (letter == NULL) {
        return CATALOG_ROW_OTHER;
    }
    if (json_text_get_last(payload, text_of("s"), &scope)) {
        for (size_t i = 0; i < scope.size; i++) {
            *out_scope = 10 * *out_scope + (uint64_t)(scope.data[i] - '0');
        }
    }
    return CATALOG_ROW_SCHEMA + (enum catalog_row_kind)(letter - letters);
}

/* A row for a scope that is there already changes its schema (an index was made or dropped). */
static ins_status apply_scope(struct catalog *catalog, uint64_t key, struct json_value root,
                              ins_text payload, ins_error *error) {
    ins_text name;
    uint64_t common, directory, schema_key;
    if (!get_text(root, "n", &name) || name.size > INS_NAME_BYTES_MAX) {
        return row_damaged(key, "n", error);
    }
    if (!get_u64(root, "i", &common) || !get_u64(root, "d", &directory) ||
        !get_u64(root, "s", &schema_key)) {
        return row_damaged(key, "i", error);
    }
    struct schema *schema = find_schema_key(catalog, schema_key);
    if (schema == NULL) {
        return row_damaged(key, "s", error);
    }
    schema = schema_hold(schema);
    struct scope *scope = catalog_find_key(catalog, key);
    if (scope == NULL) {
        struct json_value sharded;
        scope = scope_create(catalog, key, name, schema);
        if (scope == NULL) {
            schema_release(catalog, schema);
            return catalog_full(error);
        }
        scope->sharded = json_get(root, "h", &sharded) && json_type_of(sharded) == JSON_BOOL &&
                         json_bool(sharded);
        scope->common =
            island_create(catalog->islands, scope, common, (ins_text){0}, ISLAND_COMMON);
        if (scope->common == NULL) {
            return catalog_full(error);
        }
    } else {
        schema_disuse(scope->schema);
        scope_set_schema(catalog, scope, schema);
    }
    schema_use(schema);
    if (directory != 0 && !scope_make_directories(catalog, scope, directory)) {
        return catalog_full(error);
    }
    scope->has_metadata = catalog_row_metadata(payload).data != NULL;
    return INS_OK;
}

static ins_status apply_shard(struct catalog *catalog, uint64_t key, struct json_value root,
                              ins_error *error) {
    ins_shard_key name = {0};
    uint64_t collection_key, common, directory;
    bool named = get_text(root, "n", &name.text) ? name.text.size <= INS_NAME_BYTES_MAX
                                                 : get_u64(root, "n", &name.number);
    if (!get_u64(root, "s", &collection_key) || !named) {
        return row_damaged(key, "n", error);
    }
    if (!get_u64(root, "i", &common) || !get_u64(root, "d", &directory) || common != key + 1 ||
        directory != key + 2) {
        return row_damaged(key, "i", error);
    }
    struct scope *collection = catalog_find_key(catalog, collection_key);
    if (collection == NULL || catalog_find_key(catalog, key) != NULL) {
        catalog->garbage_rows += collection == NULL;
        return INS_OK; /* its collection was dropped */
    }
    if (!collection->sharded) {
        return row_damaged(key, "s", error);
    }
    return shard_create(catalog, collection, key, &name) == NULL ? catalog_full(error) : INS_OK;
}

static ins_status apply_tenant(struct catalog *catalog, uint64_t key, struct json_value root,
                               ins_error *error) {
    ins_text name;
    uint64_t scope_key;
    if (!get_u64(root, "s", &scope_key) || !get_text(root, "n", &name) ||
        name.size > INS_TENANT_BYTES_MAX) {
        return row_damaged(key, "n", error);
    }
    struct scope *scope = catalog_find_key(catalog, scope_key);
    bool known = islands_find(catalog->islands, key) != NULL;
    if (scope == NULL || known) {
        catalog->garbage_rows += scope == NULL;
        return INS_OK; /* its collection was dropped: garbage until a merge of the catalog */
    }
    if (island_create(catalog->islands, scope, key, name, 0) == NULL) {
        return catalog_full(error);
    }
    catalog->tenant_count++;
    return INS_OK;
}

static ins_status apply_alias(struct catalog *catalog, uint64_t key, struct json_value root,
                              ins_error *error) {
    ins_text name;
    uint64_t scope_key;
    if (!get_u64(root, "s", &scope_key) || !get_text(root, "n", &name) ||
        name.size > INS_NAME_BYTES_MAX) {
        return row_damaged(key, "n", error);
    }
    struct scope *scope = catalog_find_key(catalog, scope_key);
    if (scope == NULL || alias_find_key(catalog, key) != NULL) {
        catalog->garbage_rows += scope == NULL;
        return INS_OK; /* its collection was dropped */
    }
    struct alias *alias = alias_create(catalog, scope, key, name);
    if (alias == NULL) {
        return catalog_full(error);
    }
    alias_link(catalog, alias, 0);
    return INS_OK;
}

static void apply_tombstone(struct catalog *catalog, uint64_t key) {
    struct island *island = islands_find(catalog->islands, key);
    if (island != NULL && island_is_tenant(island) && island->scope->key != 0) {
        catalog->tenant_count--;
        island_drop(catalog->islands, island);
        return;
    }
    struct scope *scope = catalog_find_key(catalog, key);
    struct alias *alias = alias_find_key(catalog, key);
    change_forget(catalog, key);
    struct schema *schema = find_schema_key(catalog, key);
    if (schema != NULL) {
        schema_forget_key(catalog, schema);
    }
    if (scope != NULL) {
        if (scope->collection == NULL) {
            schema_disuse(scope->schema);
        }
        scope_undo(catalog, scope);
    }
    if (alias != NULL) {
        alias_drop(catalog, alias, 1);
        aliases_reap(catalog, UINT64_MAX);
    }
}

ins_status catalog_apply(struct catalog *catalog, struct json_parser *parser, uint64_t key,
                         ins_text payload, bool deleted, ins_error *error) {
    if (deleted) {
        apply_tombstone(catalog, key);
        return INS_OK;
    }
    struct json_value root;
    ins_text kind;
    ins_status status = json_parse(parser, payload.data, payload.size, &root, error);
    if (status != INS_OK || json_type_of(root) != JSON_OBJECT || !get_text(root, "k", &kind)) {
        return row_damaged(key, "k", error);
    }
    if (text_is(kind, "c")) {
        return apply_scope(catalog, key, root, payload, error);
    }
    if (text_is(kind, "h")) {
        return apply_shard(catalog, key, root, error);
    }
    if (text_is(kind, "t")) {
        return apply_tenant(catalog, key, root, error);
    }
    if (text_is(kind, "l")) {
        return apply_alias(catalog, key, root, error);
    }
    if (text_is(kind, "o")) {
        return change_apply(catalog, key, root, error);
    }
    if (text_is(kind, "s")) {
        return apply_schema(catalog, parser, key, payload, error);
    }
    uint64_t next;
    if (!text_is(kind, "a") || !get_u64(root, "n", &next)) {
        return row_damaged(key, "k", error);
    }
    catalog->next_key = next > catalog->next_key ? next : catalog->next_key;
    catalog->reserved_key = catalog->next_key;
    return INS_OK;
}
