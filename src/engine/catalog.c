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
    catalog->hidden_count -= scope_is_hidden(scope) && scope->drop_lsn == 0;
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
        seen = seen && (!scope_is_hidden(scope) || name.data == scope->name);
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
    catalog->hidden_count += scope_is_hidden(scope);
    return scope;
}

void scope_rename(struct catalog *catalog, struct scope *scope, ins_text name, char *memory) {
    INS_ASSERT(name.size > 0 && scope->name_size > 0);
    table_remove(&catalog->by_name, &scope->name_node);
    catalog->hidden_count -= scope_is_hidden(scope);
    arena_free(catalog->arena, INS_MEM_CATALOG, scope->name, scope->name_size);
    memcpy(memory, name.data, name.size);
    scope->name = memory;
    scope->name_size = (uint16_t)name.size;
    scope->name_node.hash = hash64(name.data, name.size);
    catalog->hidden_count += scope_is_hidden(scope);
    table_insert(&catalog->by_name, &scope->name_node);
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
    catalog->hidden_count -= scope_is_hidden(scope);
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
        /* Who reads one that was moved goes on to its end: its points are somewhere else, not gone.
         */
        if (scope->drop_lsn > durable_lsn || (scope->moved && scope->pins > 0)) {
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
