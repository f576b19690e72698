/* Aliases in memory: by name for who asks, by key for recovery, and in a list of their scope. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "engine/catalog.h"
#include "engine/text.h"

static struct alias *alias_of_key(struct table_node *node) {
    return (struct alias *)(void *)((char *)node - offsetof(struct alias, key_node));
}

struct alias *alias_find(const struct catalog *catalog, ins_text name, uint64_t durable_lsn) {
    uint64_t hash = hash64(name.data, name.size);
    for (struct table_node *node = table_first(&catalog->aliases, hash); node != NULL;
         node = node->next) {
        struct alias *alias = (struct alias *)(void *)node; /* node is the first member */
        bool seen =
            durable_lsn == UINT64_MAX ? alias->drop_lsn == 0 : alias_readable(alias, durable_lsn);
        if (node->hash == hash && seen && text_equal(alias_name(alias), name)) {
            return alias;
        }
    }
    return NULL;
}

struct alias *alias_find_key(const struct catalog *catalog, uint64_t key) {
    uint64_t hash = hash_u64(key);
    for (struct table_node *node = table_first(&catalog->aliases_by_key, hash); node != NULL;
         node = node->next) {
        if (alias_of_key(node)->key == key) {
            return alias_of_key(node);
        }
    }
    return NULL;
}

struct alias *alias_create(struct catalog *catalog, struct scope *scope, uint64_t key,
                           ins_text name) {
    INS_ASSERT(name.size <= INS_NAME_BYTES_MAX);
    struct alias *alias =
        arena_alloc_zero(catalog->arena, INS_MEM_CATALOG, sizeof(*alias) + name.size);
    if (alias == NULL) {
        return NULL;
    }
    alias->scope = scope;
    alias->key = key;
    alias->name_size = (uint16_t)name.size;
    memcpy(alias->name, name.data, name.size);
    return alias;
}

void alias_free(struct catalog *catalog, struct alias *alias) {
    arena_free(catalog->arena, INS_MEM_CATALOG, alias, sizeof(*alias) + alias->name_size);
}

void alias_link(struct catalog *catalog, struct alias *alias, uint64_t lsn) {
    INS_ASSERT(alias->scope->drop_lsn == 0);
    alias->create_lsn = lsn;
    alias->node.hash = hash64(alias->name, alias->name_size);
    alias->key_node.hash = hash_u64(alias->key);
    table_insert(&catalog->aliases, &alias->node);
    table_insert(&catalog->aliases_by_key, &alias->key_node);
    alias->scope_next = alias->scope->aliases;
    alias->scope->aliases = alias;
    alias->scope->alias_count++;
}

void alias_drop(struct catalog *catalog, struct alias *alias, uint64_t lsn) {
    INS_ASSERT(alias->drop_lsn == 0);
    alias->drop_lsn = lsn;
    alias->dropped_next = catalog->dropped_aliases;
    catalog->dropped_aliases = alias;
    alias->scope->alias_count--;
}

static void alias_unlink(struct catalog *catalog, struct alias *alias) {
    struct alias **link = &alias->scope->aliases;
    while (*link != alias) {
        link = &(*link)->scope_next;
    }
    *link = alias->scope_next;
    table_remove(&catalog->aliases, &alias->node);
    table_remove(&catalog->aliases_by_key, &alias->key_node);
    alias_free(catalog, alias);
}

void aliases_reap(struct catalog *catalog, uint64_t durable_lsn) {
    struct alias **link = &catalog->dropped_aliases;
    while (*link != NULL) {
        struct alias *alias = *link;
        if (alias->drop_lsn > durable_lsn) {
            link = &alias->dropped_next;
            continue;
        }
        *link = alias->dropped_next;
        alias_unlink(catalog, alias);
    }
}

void aliases_undo(struct catalog *catalog, struct scope *scope) {
    for (struct alias *alias = scope->aliases; alias != NULL; alias = alias->scope_next) {
        if (alias->drop_lsn == 0) {
            alias_drop(catalog, alias, 1);
        } else {
            alias->drop_lsn = 1;
        }
    }
    if (scope->aliases != NULL) {
        aliases_reap(catalog, 1);
    }
}
