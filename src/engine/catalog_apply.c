/* Recovery: the catalog from its rows. catalog_rows.c writes them. */
#include "engine/catalog.h"

#include <string.h>

#include "base/hash.h"
#include "base/json_text.h"
#include "base/status.h"
#include "engine/text.h"

static ins_status row_damaged(uint64_t key, const char *what, ins_error *error) {
    return ins_fail(error, INS_CORRUPT, "catalog: row %llu has no valid \"%s\"",
                    (unsigned long long)key, what);
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

/* A move's hidden collection takes the other one's name. False when the share is used up. */
static bool rename_scope(struct catalog *catalog, struct scope *scope, ins_text name) {
    if (text_equal(scope_name(scope), name)) {
        return true;
    }
    char *memory = name.size == 0 ? NULL : arena_alloc(catalog->arena, INS_MEM_CATALOG, name.size);
    if (memory != NULL) {
        scope_rename(catalog, scope, name, memory);
    }
    return memory != NULL;
}

/* A row for a scope that is there already changes its schema (an index was made or dropped). */
static ins_status apply_scope(struct catalog *catalog, uint64_t key, struct json_value root,
                              ins_text payload, ins_error *error) {
    ins_text name;
    uint64_t common, directory, schema_key;
    if (!json_get_string(root, "n", &name) || name.size > INS_NAME_BYTES_MAX) {
        return row_damaged(key, "n", error);
    }
    if (!json_get_u64(root, "i", &common) || !json_get_u64(root, "d", &directory) ||
        !json_get_u64(root, "s", &schema_key)) {
        return row_damaged(key, "i", error);
    }
    struct schema *schema = find_schema_key(catalog, schema_key);
    if (schema == NULL) {
        return row_damaged(key, "s", error);
    }
    if (schema->ids_by_tenant && directory != 0) {
        return row_damaged(key, "d", error);
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
        if (!rename_scope(catalog, scope, name)) {
            return catalog_full(error);
        }
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
    bool named = json_get_string(root, "n", &name.text) ? name.text.size <= INS_NAME_BYTES_MAX
                                                        : json_get_u64(root, "n", &name.number);
    if (!json_get_u64(root, "s", &collection_key) || !named) {
        return row_damaged(key, "n", error);
    }
    if (!json_get_u64(root, "i", &common) || !json_get_u64(root, "d", &directory) ||
        common != key + 1 || directory != key + 2) {
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

/* A row for an island that is there already gives it the tenant's next name. */
static ins_status apply_rename(struct catalog *catalog, struct island *island, uint64_t key,
                               const struct scope *scope, ins_text name, ins_error *error) {
    if (island->scope != scope || !island_is_tenant(island)) {
        return row_damaged(key, "s", error);
    }
    struct island_rename *rename = NULL;
    ins_text old = island_name(island);
    if (text_equal(name, old)) {
        return INS_OK; /* the log holds what a segment has as well */
    }
    ins_status status = island_rename_make(catalog->islands, island, name, &rename, error);
    if (status == INS_OK) {
        island_rename_begin(catalog->islands, rename);
        island_rename_land(catalog->islands, key);
    }
    return status;
}

static ins_status apply_tenant(struct catalog *catalog, uint64_t key, struct json_value root,
                               ins_error *error) {
    ins_text name;
    uint64_t scope_key;
    if (!json_get_u64(root, "s", &scope_key) || !json_get_string(root, "n", &name) ||
        name.size > INS_TENANT_BYTES_MAX) {
        return row_damaged(key, "n", error);
    }
    struct scope *scope = catalog_find_key(catalog, scope_key);
    struct island *known = islands_find(catalog->islands, key);
    if (scope == NULL) {
        catalog->garbage_rows++;
        return INS_OK; /* its collection was dropped: garbage until a merge of the catalog */
    }
    if (known != NULL) {
        return apply_rename(catalog, known, key, scope, name, error);
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
    if (!json_get_u64(root, "s", &scope_key) || !json_get_string(root, "n", &name) ||
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
    if (status != INS_OK || json_type_of(root) != JSON_OBJECT ||
        !json_get_string(root, "k", &kind)) {
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
    if (text_is(kind, "e")) {
        return key == SEEN_KEY && seen_apply(&catalog->seen, root) ? INS_OK
                                                                   : row_damaged(key, "m", error);
    }
    uint64_t next;
    if (!text_is(kind, "a") || !json_get_u64(root, "n", &next)) {
        return row_damaged(key, "k", error);
    }
    catalog->next_key = next > catalog->next_key ? next : catalog->next_key;
    catalog->reserved_key = catalog->next_key;
    return INS_OK;
}
