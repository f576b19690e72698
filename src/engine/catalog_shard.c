/* Shard keys in memory: by collection and name for who asks, and in a list of their collection. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "engine/catalog.h"
#include "engine/text.h"

#define DIGITS_MAX 20u /* of a 64-bit number */

static struct scope *shard_of(struct table_node *node) {
    return (struct scope *)(void *)((char *)node - offsetof(struct scope, name_node));
}

/* A number's name is its digits, and `is_number` tells it from the text of these digits. */
struct shard_text {
    ins_text text;
    bool is_number;
    char digits[DIGITS_MAX + 1];
};

static void shard_text_of(const ins_shard_key *name, struct shard_text *out) {
    out->is_number = name->text.data == NULL;
    out->text = name->text;
    if (out->is_number) {
        int size =
            snprintf(out->digits, sizeof(out->digits), "%llu", (unsigned long long)name->number);
        out->text = (ins_text){.data = out->digits, .size = (size_t)size};
    }
}

static uint64_t shard_hash(const struct scope *collection, const struct shard_text *name) {
    return hash64_seed(name->text.data, name->text.size, 2 * collection->key + name->is_number);
}

struct scope *shard_find(const struct catalog *catalog, const struct scope *collection,
                         const ins_shard_key *name, uint64_t durable_lsn) {
    struct shard_text wanted;
    shard_text_of(name, &wanted);
    uint64_t hash = shard_hash(collection, &wanted);
    for (struct table_node *node = table_first(&catalog->by_shard, hash); node != NULL;
         node = node->next) {
        struct scope *shard = shard_of(node);
        bool seen =
            durable_lsn == UINT64_MAX ? shard->drop_lsn == 0 : scope_readable(shard, durable_lsn);
        if (node->hash == hash && seen && shard->collection == collection &&
            shard->is_number == wanted.is_number && text_equal(scope_name(shard), wanted.text)) {
            return shard;
        }
    }
    return NULL;
}

static void join(struct scope *collection, struct scope *shard) {
    shard->key_previous = collection->keys_last;
    if (collection->keys_last != NULL) {
        collection->keys_last->key_next = shard;
    } else {
        collection->keys = shard;
    }
    collection->keys_last = shard;
    collection->key_count++;
}

void shard_leave(struct scope *shard) {
    struct scope *collection = shard->collection;
    *(shard->key_previous != NULL ? &shard->key_previous->key_next : &collection->keys) =
        shard->key_next;
    *(shard->key_next != NULL ? &shard->key_next->key_previous : &collection->keys_last) =
        shard->key_previous;
}

void shard_unlink(struct catalog *catalog, struct scope *shard) {
    table_remove(&catalog->by_shard, &shard->name_node);
}

/* Both of its islands that have no tenant. */
static bool make_islands(struct catalog *catalog, struct scope *shard) {
    struct islands *islands = catalog->islands;
    shard->common = island_create(islands, shard, shard->key + 1, (ins_text){0}, ISLAND_COMMON);
    if (shard->common != NULL && shard->schema->has_tenant_field) {
        shard->directory =
            island_create(islands, shard, shard->directory_key, (ins_text){0}, ISLAND_DIRECTORY);
    }
    return shard->common != NULL && (shard->directory != NULL || !shard->schema->has_tenant_field);
}

struct scope *shard_create(struct catalog *catalog, struct scope *collection, uint64_t key,
                           const ins_shard_key *name) {
    struct shard_text text;
    shard_text_of(name, &text);
    INS_ASSERT(text.text.size <= INS_NAME_BYTES_MAX);
    struct scope *shard = arena_alloc_zero(catalog->arena, INS_MEM_CATALOG, sizeof(*shard));
    if (shard == NULL) {
        return NULL;
    }
    if (text.text.size > 0) {
        shard->name = arena_alloc(catalog->arena, INS_MEM_CATALOG, text.text.size);
        if (shard->name == NULL) {
            arena_free(catalog->arena, INS_MEM_CATALOG, shard, sizeof(*shard));
            return NULL;
        }
        memcpy(shard->name, text.text.data, text.text.size);
    }
    shard->name_size = (uint16_t)text.text.size;
    shard->is_number = text.is_number;
    shard->key = key;
    shard->directory_key = key + 2;
    shard->collection = collection;
    shard->schema = schema_hold(collection->schema);
    shard->node.hash = hash_u64(key);
    shard->name_node.hash = shard_hash(collection, &text);
    table_insert(&catalog->by_key, &shard->node);
    table_insert(&catalog->by_shard, &shard->name_node);
    join(collection, shard);
    if (!make_islands(catalog, shard)) {
        scope_undo(catalog, shard);
        return NULL;
    }
    return shard;
}

const char *shard_key_text(const ins_shard_key *name, char out[static SHARD_KEY_SHOWN]) {
    struct shard_text text;
    shard_text_of(name, &text);
    int size = (int)(text.text.size < INS_NAME_BYTES_MAX ? text.text.size : INS_NAME_BYTES_MAX);
    (void)snprintf(out, SHARD_KEY_SHOWN, text.is_number ? "%.*s" : "\"%.*s\"", size,
                   text.text.data);
    return out;
}
