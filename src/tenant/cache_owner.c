#include "tenant/cache_owner.h"

#include "base/assert.h"
#include "base/hash.h"
#include "tenant/cache_private.h"

/* ---- Its lists ---- */

static void list_add(struct block *block) {
    struct lru *list = &block->owner->lists[block->class == CACHE_FLOOR];
    block->listed = true;
    block->held = block->class == CACHE_FLOOR;
    block->owner_newer = NULL;
    block->owner_older = list->newest;
    *(list->newest != NULL ? &list->newest->owner_newer : &list->oldest) = block;
    list->newest = block;
}

void owner_list_remove(struct block *block) {
    if (!block->listed) {
        return;
    }
    struct lru *list = &block->owner->lists[block->held];
    *(block->owner_newer != NULL ? &block->owner_newer->owner_older : &list->newest) =
        block->owner_older;
    *(block->owner_older != NULL ? &block->owner_older->owner_newer : &list->oldest) =
        block->owner_newer;
    block->owner_newer = block->owner_older = NULL;
    block->listed = false;
}

void owner_demote(struct cache *cache, struct block *block) {
    bool listed = block->listed;
    cache_list_remove(cache, block);
    owner_list_remove(block);
    cache_set_class(cache, block, (enum cache_class)block->base);
    cache_list_add(cache, block);
    if (listed) {
        list_add(block);
    }
}

/* ---- Floor and ceiling ---- */

static void demote_down_to(struct cache *cache, struct cache_owner *owner, uint64_t bytes) {
    while (owner->held_bytes > bytes && owner->lists[true].oldest != NULL) {
        owner_demote(cache, owner->lists[true].oldest);
    }
}

void owner_let_go(struct cache *cache, struct block *block) {
    struct cache_owner *owner = block->owner;
    uint64_t size = block->key.size;
    if (block->class == CACHE_FLOOR) {
        cache_set_class(cache, block, (enum cache_class)block->base);
    }
    if (size <= owner->floor) {
        demote_down_to(cache, owner, owner->floor - size);
        if (owner->held_bytes <= owner->floor - size) { /* else its reads hold the rest */
            cache_set_class(cache, block, CACHE_FLOOR);
        }
    }
    list_add(block);
}

void owner_make_room(struct cache *cache, struct cache_owner *owner, uint64_t bytes) {
    owner->uses++; /* its last block may go */
    while (owner->ceiling != 0 && owner->bytes + bytes > owner->ceiling) {
        struct block *oldest = owner->lists[false].oldest;
        oldest = oldest != NULL ? oldest : owner->lists[true].oldest;
        if (oldest == NULL) {
            break;
        }
        cache_evict(cache, oldest);
    }
    cache_owner_close(cache, owner);
}

/* ---- Owners ---- */

static struct cache_owner *find(const struct cache *cache, uint64_t id) {
    if (cache->owners.count == 0) {
        return NULL;
    }
    uint64_t hash = hash_u64(id);
    for (struct table_node *node = table_first(&cache->owners, hash); node != NULL;
         node = node->next) {
        struct cache_owner *owner = (struct cache_owner *)(void *)node; /* its first member */
        if (owner->id == id) {
            return owner;
        }
    }
    return NULL;
}

static struct cache_owner *make(struct cache *cache, uint64_t id) {
    struct table *owners = &cache->owners;
    bool room =
        owners->count < CACHE_OWNERS_MAX &&
        (owners->arena != NULL || table_init(owners, cache->arena, INS_MEM_CACHE) == INS_OK);
    struct cache_owner *owner =
        room ? arena_alloc_zero(cache->arena, INS_MEM_CACHE, sizeof(*owner)) : NULL;
    if (owner != NULL) {
        owner->id = id;
        owner->node.hash = hash_u64(id);
        table_insert(owners, &owner->node);
    }
    return owner;
}

static void forget_unused(struct cache *cache, struct cache_owner *owner) {
    if (owner->uses == 0 && owner->blocks == 0) {
        INS_ASSERT(owner->bytes == 0);
        INS_ASSERT(owner->held_bytes == 0);
        table_remove(&cache->owners, &owner->node);
        arena_free(cache->arena, INS_MEM_CACHE, owner, sizeof(*owner));
    }
}

static void set_limits(struct cache *cache, struct cache_owner *owner, uint64_t floor,
                       uint64_t ceiling) {
    owner->floor = floor;
    owner->ceiling = ceiling;
    demote_down_to(cache, owner, floor);
    owner_make_room(cache, owner, 0); /* the owner may be gone then */
}

struct cache_owner *cache_owner_open(struct cache *cache, uint64_t id, uint64_t floor,
                                     uint64_t ceiling) {
    struct cache_owner *owner = find(cache, id);
    bool limited = floor != 0 || ceiling != 0;
    if (owner == NULL && limited) {
        owner = make(cache, id);
    }
    if (owner == NULL) {
        return NULL;
    }
    owner->uses += limited;
    if (owner->floor != floor || owner->ceiling != ceiling) {
        set_limits(cache, owner, floor, ceiling);
    }
    return limited ? owner : NULL;
}

void cache_owner_close(struct cache *cache, struct cache_owner *owner) {
    if (owner != NULL) {
        INS_ASSERT(owner->uses > 0);
        owner->uses--;
        forget_unused(cache, owner);
    }
}

void cache_owner_set(struct cache *cache, uint64_t id, uint64_t floor, uint64_t ceiling) {
    struct cache_owner *owner = find(cache, id);
    if (owner != NULL) {
        set_limits(cache, owner, floor, ceiling);
    }
}

bool cache_owner_get(const struct cache *cache, uint64_t id, uint64_t *out_bytes,
                     uint64_t *out_held) {
    const struct cache_owner *owner = find(cache, id);
    if (owner != NULL) {
        *out_bytes = owner->bytes;
        *out_held = owner->held_bytes;
    }
    return owner != NULL;
}

void owner_take(struct cache_owner *owner, struct block *block) {
    if (owner != NULL) {
        block->owner = owner;
        owner->bytes += block->key.size;
        owner->blocks++;
    }
}

void owner_lose(struct cache *cache, struct block *block) {
    struct cache_owner *owner = block->owner;
    if (owner != NULL) {
        block->owner = NULL;
        owner->bytes -= block->key.size;
        owner->blocks--;
        forget_unused(cache, owner);
    }
}

void owners_fini(struct cache *cache) {
    if (cache->owners.arena != NULL) {
        INS_ASSERT(cache->owners.count == 0);
        table_fini(&cache->owners);
    }
}
