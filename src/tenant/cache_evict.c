/* What leaves the cache, and when: lists by class in the order of last use. */
#include "base/assert.h"
#include "tenant/cache_private.h"

void cache_set_class(struct cache *cache, struct block *block, enum cache_class class) {
    uint64_t size = block->key.size;
    cache->kept_bytes -= block->class == CACHE_KEPT ? size : 0;
    cache->kept_bytes += class == CACHE_KEPT ? size : 0;
    if ((block->class == CACHE_FLOOR) != (class == CACHE_FLOOR)) {
        uint64_t *held = &block->owner->held_bytes;
        cache->floor_bytes =
            class == CACHE_FLOOR ? cache->floor_bytes + size : cache->floor_bytes - size;
        *held = class == CACHE_FLOOR ? *held + size : *held - size;
    }
    block->class = (uint8_t) class;
}

void cache_block_free(struct cache *cache, struct block *block) {
    cache_set_class(cache, block, CACHE_RAW);
    owner_lose(cache, block);
    arena_free(cache->arena, INS_MEM_CACHE, block->data, block->key.size);
    arena_free(cache->arena, INS_MEM_CACHE, block->error, sizeof(ins_error));
    arena_free(cache->arena, INS_MEM_CACHE, block, sizeof(*block));
}

void cache_list_remove(struct cache *cache, struct block *block) {
    struct lru *lru = &cache->lru[block->class];
    *(block->newer != NULL ? &block->newer->older : &lru->newest) = block->older;
    *(block->older != NULL ? &block->older->newer : &lru->oldest) = block->newer;
    block->newer = NULL;
    block->older = NULL;
}

void cache_list_add(struct cache *cache, struct block *block) {
    struct lru *lru = &cache->lru[block->class];
    block->used_at = cache->clock;
    block->newer = NULL;
    block->older = lru->newest;
    *(lru->newest != NULL ? &lru->newest->newer : &lru->oldest) = block;
    lru->newest = block;
}

/* ---- What leaves ---- */

/* Kept blocks that nobody asked for while so many times the cache was read are no longer kept: a
 * merge has replaced their file, or the pin was taken away. The same of those within a floor. */
#define KEPT_ROUNDS 64u

static bool too_old(const struct cache *cache, const struct block *block) {
    return cache->clock - block->used_at > KEPT_ROUNDS * cache->limit_bytes;
}

/* What is too much, or too old, of the kept takes its place among the others. */
static void let_kept_go(struct cache *cache) {
    struct block *block = cache->lru[CACHE_KEPT].oldest;
    while (block != NULL &&
           (cache->kept_bytes > cache_kept_limit(cache) || too_old(cache, block))) {
        cache_list_remove(cache, block);
        cache_set_class(cache, block, CACHE_DATA);
        block->base = CACHE_DATA;
        cache_list_add(cache, block);
        block = cache->lru[CACHE_KEPT].oldest;
    }
    block = cache->lru[CACHE_FLOOR].oldest;
    while (block != NULL &&
           (cache->floor_bytes > cache_floor_limit(cache) || too_old(cache, block))) {
        owner_demote(cache, block);
        block = cache->lru[CACHE_FLOOR].oldest;
    }
}

/* The class whose oldest block is worth least: its age in bytes read since, times how soon the
 * class leaves. Raw vectors go a few times sooner than codes and graphs, and those than indexes of
 * id directories; but nothing stays for ever because of its class. Kept ones go when there is
 * nothing else. */
static struct block *least_worth(const struct cache *cache, uint64_t *out_score) {
    static const uint64_t weights[CACHE_CLASSES] = {
        [CACHE_RAW] = 32, [CACHE_DATA] = 8, [CACHE_INDEX] = 1, [CACHE_KEPT] = 0, [CACHE_FLOOR] = 0};
    struct block *least = NULL;
    uint64_t highest = 0;
    for (int class = CACHE_RAW; class < CACHE_KEPT; class ++) {
        struct block *block = cache->lru[class].oldest;
        uint64_t score = block == NULL ? 0 : (cache->clock - block->used_at + 1) * weights[class];
        if (score > highest) {
            highest = score;
            least = block;
        }
    }
    *out_score = highest;
    return least != NULL ? least : cache->lru[CACHE_KEPT].oldest;
}

void cache_evict(struct cache *cache, struct block *block) {
    cache_list_remove(cache, block);
    owner_list_remove(block);
    table_remove(&cache->blocks, &block->node);
    cache_block_free(cache, block);
    cache->stats.evictions++;
}

/* A layout, or a block. */
bool cache_evict_one(struct cache *cache) {
    let_kept_go(cache);
    uint64_t score;
    struct block *block = least_worth(cache, &score);
    if (layouts_shed(cache, score)) {
        return true;
    }
    if (block != NULL) {
        cache_evict(cache, block);
    }
    return block != NULL;
}

bool cache_evict_stale(struct cache *cache, uint64_t age) {
    let_kept_go(cache);
    uint64_t score;
    struct block *block = least_worth(cache, &score);
    bool stale =
        block != NULL && block->class != CACHE_KEPT && cache->clock - block->used_at >= age;
    if (stale) {
        cache_evict(cache, block);
    }
    return stale;
}

/* ---- Many at once ---- */

#define RELIEF_BLOCKS 64u /* some 20 us of whoever asks */

void cache_drop_all(struct cache *cache) {
    while (cache_evict_one(cache)) {
    }
    while (cache->lru[CACHE_FLOOR].oldest != NULL) {
        cache_evict(cache, cache->lru[CACHE_FLOOR].oldest);
    }
}

uint32_t cache_give_up(struct cache *cache, uint32_t blocks) {
    uint32_t count = 0;
    while (count < blocks && cache_evict_one(cache)) {
        count++;
    }
    return count;
}

uint32_t cache_fit(struct cache *cache, uint32_t blocks) {
    uint32_t count = 0;
    while (count < blocks && arena_is_over(cache->arena, INS_MEM_CACHE) && cache_evict_one(cache)) {
        count++;
    }
    return count;
}

void cache_relieve(struct cache *cache) {
    for (uint32_t i = 0; i < RELIEF_BLOCKS && arena_is_short(cache->arena); i++) {
        if (!cache_evict_one(cache)) {
            return;
        }
    }
}
