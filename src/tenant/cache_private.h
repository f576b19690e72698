/* What cache.c (blocks, room, waiters) and cache_load.c (bringing them) share. */
#ifndef INS_TENANT_CACHE_PRIVATE_H
#define INS_TENANT_CACHE_PRIVATE_H

#include "tenant/cache.h"
#include "tenant/layouts.h"

#define CACHE_BLOCK_BYTES_MAX (1u << 20)
#define LOAD_BLOCKS_MAX STORE_RANGES_MAX /* blocks of one batch */
/* The largest block and both its page edges; or many small ones. */
#define LOAD_BYTES (CACHE_BLOCK_BYTES_MAX + 2 * STORE_ALIGN)
#define LOAD_BATCHES 2u /* one is read while the other is taken apart */

struct block_wait {
    struct block_wait *next;
    struct cache_waiter *waiter;
};

struct block {
    struct table_node node; /* in cache->blocks */
    struct cache *cache;
    struct block_key key;
    struct block *newer, *older; /* LRU list of its class; `newer` also the queue of loads */
    struct block_wait *waits;
    uint8_t *data;
    uint64_t used_at; /* cache->clock when it was let go last */
    uint32_t pins;
    uint8_t class;
    bool ready;
    ins_status status;
    ins_error *error; /* of a failed load; arena memory */
};

struct lru {
    struct block *newest, *oldest;
};

/* Blocks that are read together. The read lane's between the post and its return. */
struct load_batch {
    ins_task task;
    struct cache *cache;
    struct block *blocks[LOAD_BLOCKS_MAX];
    uint32_t count;
    uint32_t reads; /* that it took */
    uint64_t read_bytes;
    uint8_t *bounce; /* [LOAD_BYTES] */
    bool busy;
};

struct loads {
    struct block *first, **tail; /* wait for a batch, in the order of asking */
    struct load_batch batches[LOAD_BATCHES];
    ins_task pump; /* request lane: what the step under way has asked for goes together */
    bool pumping;
    uint32_t under_way; /* blocks */
};

/* How often pieces of a chunk were read of late: few chunks at a time, by hash. */
#define HEAT_SLOTS 4096u
struct heat {
    uint16_t tag, pieces;
};

/* Which extents' graphs are walked over much: few at a time, by hash. */
#define LAYOUT_HEATS 256u
#define LAYOUTS_MAX 1024u /* they are looked through; a graph that has one has some 10,000 rows */
struct layout_heat {
    uint64_t hash, looked_at;
    bool tried, useless;
};

struct layouts {
    struct layout *first;
    struct layout_heat heat[LAYOUT_HEATS];
    struct layouts_stats stats;
};

struct cache {
    const ins_runtime *runtime;
    struct arena *arena;
    struct table blocks;
    struct lru lru[CACHE_CLASSES];
    struct cache_waiter *starved, **starved_tail;
    ins_timer starved_timer;
    struct loads loads;
    struct heat *heat; /* [HEAT_SLOTS] */
    uint64_t clock;    /* bytes read so far */
    uint64_t limit_bytes, lent_bytes;
    uint64_t kept_bytes; /* of blocks of CACHE_KEPT, pinned ones too */
    struct layouts layouts;
    struct cache_stats stats;
};

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void cache_post(struct cache *cache, uint32_t lane, ins_task *task) {
    cache->runtime->post(cache->runtime->context, lane, task);
    cache->runtime->wake(cache->runtime->context, lane);
}

/* Drops the layout that is worth least, if its score is no less than that of what would go. */
bool layouts_shed(struct cache *cache, uint64_t score);
/* Gives up what is worth least if nobody used it while so many bytes were read. */
INS_MUST_USE bool cache_evict_stale(struct cache *cache, uint64_t age);

/* False: no memory. */
INS_MUST_USE bool loads_init(struct cache *cache);
void loads_fini(struct cache *cache); /* takes what a failed init left */
/* The block's bytes are brought; then cache_block_loaded says so, on the request lane. */
void loads_add(struct cache *cache, struct block *block);
/* block->status is set, and its error; tells who waits. */
void cache_block_loaded(struct cache *cache, struct block *block);

#endif
