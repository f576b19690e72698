#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "tenant/cache_private.h"

static void starved_check(ins_timer *timer);

ins_status cache_open(const ins_runtime *runtime, struct arena *arena, struct cache **out_cache,
                      ins_error *error) {
    struct cache *cache = arena_alloc_zero(arena, INS_MEM_CACHE, sizeof(*cache));
    if (cache == NULL) {
        return ins_fail(error, INS_FULL, "no memory for the block cache");
    }
    cache->runtime = runtime;
    cache->arena = arena;
    struct arena_usage usage;
    arena_get_usage(arena, &usage);
    cache->limit_bytes = usage.purpose_limit[INS_MEM_CACHE];
    cache->starved_tail = &cache->starved;
    cache->starved_timer.run = starved_check;
    cache->heat = arena_alloc_zero(arena, INS_MEM_CACHE, HEAT_SLOTS * sizeof(*cache->heat));
    if (cache->heat == NULL || !loads_init(cache) ||
        table_init(&cache->blocks, arena, INS_MEM_CACHE) != INS_OK) {
        cache_close(cache);
        return ins_fail(error, INS_FULL, "no memory for the block cache");
    }
    *out_cache = cache;
    return INS_OK;
}

static void *alloc_evicting(struct cache *cache, size_t size) {
    void *memory = arena_alloc(cache->arena, INS_MEM_CACHE, size);
    while (memory == NULL && cache_evict_one(cache)) {
        memory = arena_alloc(cache->arena, INS_MEM_CACHE, size);
    }
    return memory;
}

void cache_abandon(struct cache *cache) {
    cache->starved = NULL;
    cache->starved_tail = &cache->starved;
}

void cache_close(struct cache *cache) {
    if (cache == NULL) {
        return;
    }
    INS_ASSERT(cache->loads.under_way == 0);
    if (cache->starved_timer.armed) {
        cache->runtime->timer_stop(cache->runtime->context, INS_LANE_REQUEST,
                                   &cache->starved_timer);
    }
    cache_drop_all(cache);
    if (cache->blocks.arena != NULL) {
        INS_ASSERT(cache->blocks.count == 0);
        table_fini(&cache->blocks);
    }
    owners_fini(cache);
    loads_fini(cache);
    arena_free(cache->arena, INS_MEM_CACHE, cache->heat, HEAT_SLOTS * sizeof(*cache->heat));
    arena_free(cache->arena, INS_MEM_CACHE, cache, sizeof(*cache));
}

static uint64_t key_hash(const struct block_key *key) {
    return hash_u64(key->file * 0x9e3779b97f4a7c15ull + key->offset);
}

static struct block *find(const struct cache *cache, const struct block_key *key, uint64_t hash) {
    for (struct table_node *node = table_first(&cache->blocks, hash); node != NULL;
         node = node->next) {
        struct block *block = container_of(node, struct block, node);
        if (node->hash == hash && block->key.file == key->file &&
            block->key.offset == key->offset && block->key.size == key->size) {
            return block;
        }
    }
    return NULL;
}

/* ---- Standing in line for room ---- */

static void starved_remove_all(struct cache *cache) {
    struct cache_waiter *waiter = cache->starved;
    cache->starved = NULL;
    cache->starved_tail = &cache->starved;
    while (waiter != NULL) {
        struct cache_waiter *next = waiter->next_starved;
        waiter->starved = false;
        if (waiter->pending == 0) {
            cache_post(cache, INS_LANE_REQUEST, &waiter->task);
        }
        waiter = next;
    }
}

/* Those whose time is up are told; the rest go on waiting. */
static void starved_check(ins_timer *timer) {
    struct cache *cache = container_of(timer, struct cache, starved_timer);
    uint64_t now = cache->runtime->now_ns(cache->runtime->context);
    struct cache_waiter **link = &cache->starved;
    while (*link != NULL) {
        struct cache_waiter *waiter = *link;
        if (waiter->starved_until_ns > now) {
            link = &waiter->next_starved;
            continue;
        }
        *link = waiter->next_starved;
        waiter->starved = false;
        waiter->status = ins_fail_retry(
            &waiter->error, INS_UNAVAILABLE, 1,
            "no room to read %llu bytes: all of the cache's share (%llu bytes) is in use by other "
            "requests; raise the memory budget or ask less at once",
            (unsigned long long)waiter->starved_bytes, (unsigned long long)cache_limit(cache));
        if (waiter->pending == 0) {
            cache_post(cache, INS_LANE_REQUEST, &waiter->task);
        }
    }
    cache->starved_tail = link;
    if (cache->starved != NULL) {
        cache->runtime->timer(cache->runtime->context, INS_LANE_REQUEST, timer, 100000000ull);
    }
}

static void starve(struct cache *cache, struct cache_waiter *waiter, uint64_t bytes) {
    if (waiter->starved) {
        return;
    }
    uint64_t now = cache->runtime->now_ns(cache->runtime->context);
    waiter->starved = true;
    waiter->starved_bytes = bytes;
    waiter->starved_until_ns = waiter->deadline_ns != 0 ? waiter->deadline_ns : now + CACHE_WAIT_NS;
    waiter->next_starved = NULL;
    *cache->starved_tail = waiter;
    cache->starved_tail = &waiter->next_starved;
    if (!cache->starved_timer.armed) {
        cache->runtime->timer(cache->runtime->context, INS_LANE_REQUEST, &cache->starved_timer,
                              100000000ull);
    }
}

/* ---- Loading ---- */

void cache_block_loaded(struct cache *cache, struct block *block) {
    struct block_wait *wait = block->waits;
    block->waits = NULL;
    while (wait != NULL) {
        struct block_wait *next = wait->next;
        struct cache_waiter *waiter = wait->waiter;
        if (block->status != INS_OK && waiter->status == INS_OK && !wait->unasked) {
            waiter->status = block->status;
            waiter->error = *block->error;
        }
        INS_ASSERT(waiter->pending > 0);
        waiter->pending--;
        if (waiter->pending == 0 && !waiter->starved) {
            cache_post(cache, INS_LANE_REQUEST, &waiter->task);
        }
        arena_free(cache->arena, INS_MEM_CACHE, wait, sizeof(*wait));
        wait = next;
    }
    if (block->status == INS_OK) {
        block->ready = true;
        cache_list_add(cache, block);
    } else {
        table_remove(&cache->blocks, &block->node);
        cache_block_free(cache, block);
    }
    if (cache->starved != NULL) {
        starved_remove_all(cache);
    }
}

static bool add_wait(struct cache *cache, struct block *block, struct cache_waiter *waiter,
                     bool unasked) {
    struct block_wait *wait = alloc_evicting(cache, sizeof(*wait));
    if (wait == NULL) {
        return false;
    }
    *wait = (struct block_wait){.next = block->waits, .waiter = waiter, .unasked = unasked};
    block->waits = wait;
    waiter->pending++;
    return true;
}

static struct block *block_create(struct cache *cache, const struct block_key *key, uint64_t hash,
                                  enum cache_class class, struct cache_owner *owner) {
    if (owner != NULL) {
        owner_make_room(cache, owner, key->size);
    }
    struct block *block = alloc_evicting(cache, sizeof(*block));
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.cache = cache, .key = *key, .base = (uint8_t) class};
    cache_set_class(cache, block, class);
    owner_take(owner, block);
    block->node.hash = hash;
    block->error = alloc_evicting(cache, sizeof(ins_error));
    block->data = alloc_evicting(cache, key->size);
    if (block->error == NULL || block->data == NULL) {
        cache_block_free(cache, block);
        return NULL;
    }
    return block;
}

/* A block with its first wait goes to the read lane. */
static void load(struct cache *cache, struct block *block, struct cache_waiter *waiter) {
    uint32_t size = block->key.size;
    TRACE_ADD(waiter->trace, cold_reads, 1);
    TRACE_ADD(waiter->trace, cold_bytes, size);
    waiter->loaded_bytes += size;
    table_insert(&cache->blocks, &block->node);
    cache->stats.loads++;
    cache->stats.load_bytes += size;
    cache->clock += size;
    loads_add(cache, block, waiter->who);
}

bool cache_bring(struct cache *cache, const struct block_key *key, enum cache_class class,
                 struct cache_waiter *waiter) {
    INS_ASSERT(key->size > 0);
    INS_ASSERT(key->size <= CACHE_BLOCK_BYTES_MAX);
    uint64_t hash = key_hash(key);
    if (find(cache, key, hash) != NULL) {
        return false;
    }
    struct block *block =
        block_create(cache, key, hash, class, waiter->owns ? waiter->owner : NULL);
    if (block == NULL || !add_wait(cache, block, waiter, true)) {
        if (block != NULL) {
            cache_block_free(cache, block);
        }
        return false;
    }
    load(cache, block, waiter);
    return true;
}

bool cache_is_short(const struct cache *cache) {
    return arena_room(cache->arena, INS_MEM_CACHE) <= cache_limit(cache) / 8;
}

/* A pinned tenant has asked for it. */
static void keep(struct cache *cache, struct block *block) {
    block->base = CACHE_KEPT;
    if (block->class != CACHE_FLOOR && block->class != CACHE_KEPT) {
        cache_set_class(cache, block, CACHE_KEPT);
    }
}

ins_status cache_pin(struct cache *cache, const struct block_key *key, enum cache_class class,
                     struct cache_waiter *waiter, struct block **out_block,
                     const uint8_t **out_data, ins_error *error) {
    INS_ASSERT(key->size > 0);
    INS_ASSERT(key->size <= CACHE_BLOCK_BYTES_MAX);
    if (waiter != NULL && waiter->status != INS_OK) {
        ins_status status = waiter->status;
        if (error != NULL) {
            *error = waiter->error;
        }
        waiter->status = INS_OK;
        return status;
    }
    uint64_t hash = key_hash(key);
    struct block *block = find(cache, key, hash);
    struct cache_owner *owner = waiter != NULL && waiter->owns ? waiter->owner : NULL;
    if (block != NULL && block->ready) {
        if (block->pins++ == 0) {
            cache_list_remove(cache, block);
            owner_list_remove(block);
        }
        if (class == CACHE_KEPT) {
            keep(cache, block);
        }
        if (block->owner == NULL) {
            owner_take(owner, block);
        }
        cache->stats.hits++;
        if (waiter != NULL) {
            TRACE_ADD(waiter->trace, chunks_pinned, 1);
            TRACE_ADD(waiter->trace, bytes_pinned, key->size);
        }
        *out_block = block;
        *out_data = block->data;
        return INS_OK;
    }
    if (waiter == NULL) {
        return INS_AGAIN;
    }
    bool fresh = block == NULL;
    if (fresh) {
        block = block_create(cache, key, hash, class, owner);
    }
    if (block == NULL || !add_wait(cache, block, waiter, false)) {
        if (fresh && block != NULL) {
            cache_block_free(cache, block);
        }
        starve(cache, waiter, key->size);
        return INS_AGAIN;
    }
    TRACE_ADD(waiter->trace, shared_reads, !fresh);
    if (fresh) {
        load(cache, block, waiter);
    }
    return INS_AGAIN;
}

void cache_unpin(struct cache *cache, struct block *block) {
    INS_ASSERT(block->pins > 0);
    if (--block->pins == 0) {
        if (block->owner != NULL) {
            owner_let_go(cache, block);
        }
        cache_list_add(cache, block);
        if (block->owner != NULL) {
            owner_make_room(cache, block->owner, 0); /* the block may be gone then */
        }
        if (cache->starved != NULL) {
            starved_remove_all(cache);
        }
    }
}

/* ---- Whole chunks or pieces ---- */

/* A chunk is read in the time of some HEAT_READS pieces (8 in flight), so from there on it would
 * have been the cheaper one; it displaces far more of others, so where memory is short it has to be
 * asked for more often. */
#define HEAT_READS 16u
#define HEAT_READS_SHORT 64u
/* All chunks of a run grow warm alike, and would be due in one search: it takes those that may be
 * read beside so few others, the next searches take the rest. */
#define HEAT_UNDER_WAY 4u

bool cache_chunk_worth(struct cache *cache, const struct block_key *chunk, uint32_t pieces) {
    uint64_t hash = key_hash(chunk);
    if (find(cache, chunk, hash) != NULL) {
        return true; /* it is on its way */
    }
    struct heat *heat = &cache->heat[hash % HEAT_SLOTS];
    uint16_t tag = (uint16_t)(hash >> 48);
    if (heat->tag != tag) { /* whoever was there cools down, and goes in the end */
        heat->pieces /= 2;
        if (heat->pieces > 0) {
            return pieces >= HEAT_READS_SHORT;
        }
        heat->tag = tag;
    }
    uint32_t sum = heat->pieces + pieces;
    heat->pieces = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
    if (sum < HEAT_READS) {
        return false;
    }
    if (sum < (cache_is_short(cache) ? HEAT_READS_SHORT : HEAT_READS)) {
        return false;
    }
    if (pieces < HEAT_READS && cache->loads.under_way >= HEAT_UNDER_WAY) {
        return false; /* its turn comes */
    }
    heat->pieces = 0; /* it is at hand now; when it goes it begins anew */
    return true;
}

/* ---- Lending ---- */

bool cache_lend(struct cache *cache, uint64_t bytes) {
    uint64_t most = cache->limit_bytes / 2; /* it may have come down below what is lent */
    if (most < cache->lent_bytes || bytes > most - cache->lent_bytes) {
        return false;
    }
    while (!arena_move_limit(cache->arena, INS_MEM_CACHE, INS_MEM_GRAPH, bytes)) {
        if (!cache_evict_one(cache)) {
            return false;
        }
    }
    cache->lent_bytes += bytes;
    return true;
}

void cache_take_back(struct cache *cache, uint64_t bytes) {
    INS_ASSERT(bytes <= cache->lent_bytes);
    bool moved = arena_move_limit(cache->arena, INS_MEM_GRAPH, INS_MEM_CACHE, bytes);
    INS_ASSERT(moved);
    cache->lent_bytes -= bytes;
    if (cache->starved != NULL) {
        starved_remove_all(cache);
    }
}

uint64_t cache_limit(const struct cache *cache) {
    return cache->limit_bytes < cache->lent_bytes ? 0 : cache->limit_bytes - cache->lent_bytes;
}

uint64_t cache_lent(const struct cache *cache) {
    return cache->lent_bytes;
}

/* ---- Another limit ---- */

void cache_set_limit(struct cache *cache, uint64_t bytes) {
    bool more = bytes > cache->limit_bytes;
    cache->limit_bytes = bytes;
    if (more && cache->starved != NULL) {
        starved_remove_all(cache);
    }
}

void cache_get_stats(const struct cache *cache, struct cache_stats *out_stats) {
    *out_stats = cache->stats;
    out_stats->blocks = cache->blocks.count;
    out_stats->kept_bytes = cache->kept_bytes;
    out_stats->floor_bytes = cache->floor_bytes;
    out_stats->timers = cache->starved_timer.armed;
}
