/* Bytes of segments at hand: a cache of verified blocks with asynchronous loads.
 *
 * Path: a reader asks for a block by key. At hand: pinned at once. Else INS_AGAIN: the load goes to
 * the read lane with what else the step asks for (cache_load.c; tenants take turns), and when
 * everything that the reader's waiter asked for has arrived its task runs on the request lane; the
 * reader then asks again from the start of its step. Failure: a read or a checksum that fails is
 * told to every waiter; the block is forgotten, so the next request tries again. No room: unpinned
 * blocks go, by class and by how long nobody used them; when all are pinned the waiter stands in
 * line until an unpin or its deadline (INS_UNAVAILABLE with the number). Invariants: I1 a block is
 * on the LRU list exactly when it is ready and unpinned. I2 bytes held = charged to INS_MEM_CACHE.
 * Threads: the request lane, but for the read itself. */
#ifndef INS_TENANT_CACHE_H
#define INS_TENANT_CACHE_H

#include "segment/segment.h"
#include "tenant/table.h"
#include "tenant/trace.h"

struct cache;
struct block;

/* What an operation waits on. Zeroed, then task.run set, by the operation. */
struct cache_waiter {
    ins_task task;     /* posted to the request lane when pending falls to 0 */
    uint32_t pending;  /* loads under way that it asked for */
    ins_status status; /* first failure of a load; reset by the operation when it has seen it */
    ins_error error;
    uint64_t deadline_ns; /* 0 = CACHE_WAIT_NS from when it began to stand in line */
    struct cache_waiter *next_starved;
    bool starved;
    uint64_t starved_bytes;
    uint64_t starved_until_ns;
    uint64_t loaded_bytes; /* that were not at hand, so far */
    bool keeps;            /* a pinned tenant's: what it reads of its own is of CACHE_KEPT */
    bool owns;             /* what is asked for now is its tenant's own: set with each request */
    struct cache_owner *owner; /* cache_owner.h; NULL: its bytes are not counted */
    struct trace *trace;       /* NULL: nobody asked */
    uint64_t who;              /* a hash of its tenant: those take turns in reading */
};

#define CACHE_WAIT_NS (10ull * 1000 * 1000 * 1000)

/* In the order of leaving: raw vectors and payload; ids, codes, graphs, small extents; what says
 * where others lie; what pinned tenants read. What is within a tenant's floor does not leave. */
enum cache_class {
    CACHE_RAW = 0,
    CACHE_DATA = 1,
    CACHE_INDEX = 2,
    CACHE_KEPT = 3,
    CACHE_FLOOR = 4, /* given by the cache alone (cache_owner.h) */
    CACHE_CLASSES = 5
};

struct cache_stats {
    uint64_t loads, load_bytes, hits, evictions, blocks;
    uint64_t reads, read_bytes; /* of the store: near blocks together, whole pages */
    uint64_t timers;            /* armed now */
    uint64_t kept_bytes;        /* of CACHE_KEPT, now */
    uint64_t floor_bytes;       /* of CACHE_FLOOR, now */
};

INS_MUST_USE ins_status cache_open(const ins_runtime *runtime, struct arena *arena,
                                   struct cache **out_cache, ins_error *error);
/* No pins, no loads under way on any lane. Takes NULL. */
void cache_close(struct cache *cache);

/* INS_OK: *out_block is pinned, its bytes at *out_data, until cache_unpin. INS_AGAIN: see above;
 * waiter->pending rose, or the waiter stands in line. Else the waiter's failure, which is taken
 * from it. `waiter` NULL: only what is at hand, else INS_AGAIN and nothing is started. */
INS_MUST_USE ins_status cache_pin(struct cache *cache, const struct block_key *key,
                                  enum cache_class class, struct cache_waiter *waiter,
                                  struct block **out_block, const uint8_t **out_data,
                                  ins_error *error);
/* Asks for a block that nobody needs yet, since it lies beside what somebody waits for. True: it
 * was not at hand, and waiter->pending rose, so its operation has to wait; should the block turn
 * out unreadable, nobody is told before somebody pins it. False: it is here, on its way, or has no
 * room. */
INS_MUST_USE bool cache_bring(struct cache *cache, const struct block_key *key,
                              enum cache_class class, struct cache_waiter *waiter);
/* For how long, ns, the first block of this `who` (cache_waiter) waits for its read to begin; 0:
 * none does. */
uint64_t cache_reads_behind(const struct cache *cache, uint64_t who);
/* Less than an eighth of its share is free. */
bool cache_is_short(const struct cache *cache);
/* `pieces` of a chunk that is not at hand are wanted. True when the whole chunk is to be asked for
 * instead: it is on its way, or they, and those of late, would take longer to read. */
INS_MUST_USE bool cache_chunk_worth(struct cache *cache, const struct block_key *chunk,
                                    uint32_t pieces);
void cache_unpin(struct cache *cache, struct block *block);
/* Forgets unpinned blocks of a file that is gone (its number is never used again, so leaving them
 * would only waste room). */
void cache_drop_all(struct cache *cache);
/* Before a database is taken down with operations under way: nobody who stands in line is told any
 * more. */
void cache_abandon(struct cache *cache);
/* Lends `bytes` of its share to INS_MEM_GRAPH, blocks that nobody holds go for it. False, and
 * nothing is lent, when more than half of the share would be, or too much of it is held. */
INS_MUST_USE bool cache_lend(struct cache *cache, uint64_t bytes);
/* `bytes` as lent; everything charged to them is freed. */
void cache_take_back(struct cache *cache, uint64_t bytes);
/* Of the share, what is not lent. */
uint64_t cache_limit(const struct cache *cache);
/* Of that, what may be of CACHE_KEPT; what is more counts as CACHE_DATA, the oldest first. */
static inline uint64_t cache_kept_limit(const struct cache *cache) {
    return cache_limit(cache) / 2;
}
/* What all floors may hold together. */
static inline uint64_t cache_floor_limit(const struct cache *cache) {
    return cache_limit(cache) / 4;
}
uint64_t cache_lent(const struct cache *cache);
/* Another share, lent bytes included; the arena's limits say the same. It may be below what is
 * held: cache_fit() is to be called until it returns 0. */
void cache_set_limit(struct cache *cache, uint64_t bytes);
/* Gives up blocks that nobody holds, at most so many, while it holds more than its limit; the other
 * gives them up in any case. Return how many went. */
uint32_t cache_fit(struct cache *cache, uint32_t blocks);
uint32_t cache_give_up(struct cache *cache, uint32_t blocks);
/* Gives up some while arena_is_short(). */
void cache_relieve(struct cache *cache);
void cache_get_stats(const struct cache *cache, struct cache_stats *out_stats);

#endif
