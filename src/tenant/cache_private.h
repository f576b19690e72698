/* What cache.c (blocks, room, waiters) and cache_load.c (bringing them) share. */
#ifndef INS_TENANT_CACHE_PRIVATE_H
#define INS_TENANT_CACHE_PRIVATE_H

#include "tenant/cache_owner.h"
#include "tenant/layouts.h"
#include "tenant/load_lines.h"

#define CACHE_BLOCK_BYTES_MAX (1u << 20)
#define LOAD_BLOCKS_MAX STORE_RANGES_MAX /* blocks of one batch */
/* The largest block and both its page edges; or many small ones. */
#define LOAD_BYTES (CACHE_BLOCK_BYTES_MAX + 2 * STORE_ALIGN)
#define LOAD_BATCHES 2u /* one is read while the other is taken apart */

struct block_wait {
    struct block_wait *next;
    struct cache_waiter *waiter;
    bool unasked; /* cache_bring(): a failure is nobody's */
};

struct block {
    struct table_node node; /* in cache->blocks */
    struct cache *cache;
    struct block_key key;
    struct block *newer, *older; /* LRU list of its class; `newer` also a line of loads */
    struct cache_owner *owner;   /* NULL: nobody's */
    struct block *owner_newer, *owner_older; /* while `listed`: in one of the owner's lists */
    struct block_wait *waits;
    uint8_t *data;
    uint64_t used_at; /* cache->clock when it was let go last; in a line of loads: since when, ns */
    uint32_t pins;
    uint8_t class, base; /* base: what it is of without its owner's floor */
    bool ready;
    bool listed, held; /* in a list of its owner's; in which */
    ins_status status;
    ins_error *error; /* of a failed load; arena memory */
};

struct lru {
    struct block *newest, *oldest;
};

struct cache_owner {
    struct table_node node; /* by id */
    uint64_t id, floor, ceiling;
    uint64_t bytes, held_bytes; /* of its blocks; of those that are of CACHE_FLOOR */
    uint32_t blocks, uses;
    struct lru lists[2]; /* blocks that nobody holds: beyond the floor, within it */
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
    struct load_lines lines; /* wait for a batch */
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
    uint64_t floor_bytes;
    struct table owners; /* made with the first */
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

/* Between cache.c, cache_evict.c and cache_owner.c. */
void cache_set_class(struct cache *cache, struct block *block, enum cache_class class);
void cache_evict(struct cache *cache, struct block *block); /* one that nobody holds */
/* The one that is worth least; false: none can go. */
bool cache_evict_one(struct cache *cache);
void cache_block_free(struct cache *cache, struct block *block); /* in no list or table */
/* In the list of its class, as used last. */
void cache_list_add(struct cache *cache, struct block *block);
void cache_list_remove(struct cache *cache, struct block *block);
/* Before a block of so many bytes is read for it: its oldest ones leave as its ceiling says. */
void owner_make_room(struct cache *cache, struct cache_owner *owner, uint64_t bytes);
void owner_take(struct cache_owner *owner, struct block *block);
/* The block goes. It may be the last thing that was known of its owner. */
void owner_lose(struct cache *cache, struct block *block);
/* It was let go, and is in no list yet: the class that it is of from now on. */
void owner_let_go(struct cache *cache, struct block *block);
void owner_list_remove(struct block *block);
void owner_demote(struct cache *cache, struct block *block); /* listed, of CACHE_FLOOR */
void owners_fini(struct cache *cache);

/* False: no memory. */
INS_MUST_USE bool loads_init(struct cache *cache);
void loads_fini(struct cache *cache); /* takes what a failed init left */
/* The block's bytes are brought; then cache_block_loaded says so, on the request lane. `who`: a
 * hash of whoever asked, whose turn it is. */
void loads_add(struct cache *cache, struct block *block, uint64_t who);
uint64_t load_pages_bytes(const struct block *block); /* whole pages of its file */
/* block->status is set, and its error; tells who waits. */
void cache_block_loaded(struct cache *cache, struct block *block);

#endif
