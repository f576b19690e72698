/* Tenants of which the cache counts the bytes: those with a floor or a ceiling.
 *
 * A block belongs to the owner for whom it was read, or who first asked for it when nobody had.
 * Floor: of its blocks the last used ones, so many bytes, are of CACHE_FLOOR, which no other takes
 * away; all floors together are a quarter of the cache at most, beyond that the oldest are as any
 * other block. Ceiling: before one more block is read, and when one is let go, its own oldest ones
 * leave until it has no more than that; what its reads hold at the moment stays, so that they come
 * to an end.
 * What was read and not asked for since is in neither of its lists: a read that waits for several
 * blocks must find all of them.
 * Threads: the request lane. */
#ifndef INS_TENANT_CACHE_OWNER_H
#define INS_TENANT_CACHE_OWNER_H

#include "tenant/cache.h"

#define CACHE_OWNERS_MAX 65536u /* 7 MiB; who comes later has neither floor nor ceiling */

/* The owner `id`, with these limits from now on (0: none), until cache_owner_close. NULL when it
 * has no limits, or when there is no room for another one. */
struct cache_owner *cache_owner_open(struct cache *cache, uint64_t id, uint64_t floor,
                                     uint64_t ceiling);
void cache_owner_close(struct cache *cache, struct cache_owner *owner); /* takes NULL */
/* Other limits, if the cache has something of it. */
void cache_owner_set(struct cache *cache, uint64_t id, uint64_t floor, uint64_t ceiling);
/* Its bytes at hand, and how many of them are within its floor. False: it is not counted. */
bool cache_owner_get(const struct cache *cache, uint64_t id, uint64_t *out_bytes,
                     uint64_t *out_held);

#endif
