/* Fast layouts of graphs in memory (index/graph_fast.h), of runs that are searched much.
 *
 * They are made of what lies in the files and are in none themselves. Who walks over a graph says
 * what it cost (layouts_note_walk); when that is as much as making the layout costs, or at once
 * where the settings ask for it, somebody else makes it, and layouts_add takes it. Room: it may
 * take half of the cache's share, and only room that nobody used of late unless it is asked for;
 * when the cache wants room, layouts go before any block that was used as lately (cache.c).
 * Threads: the request lane. Memory: INS_MEM_CACHE, but pinned by nobody: a walk ends in the step
 * in which it begins. */
#ifndef INS_TENANT_LAYOUTS_H
#define INS_TENANT_LAYOUTS_H

#include "index/graph_fast.h"
#include "tenant/cache.h"
#include "tenant/schema.h"

/* Of an extent's graph. Extents do not change, so a run that is written anew has another key. */
struct layout_key {
    uint64_t file, offset;
    uint32_t vector; /* its id */
};

struct layouts_stats {
    uint64_t count, bytes;                     /* now */
    uint64_t made, useless, dropped, searches; /* useless: too wide walks; dropped: for room */
};

/* NULL: there is none, or none is wished for, and then none is from here on. Stays until the lane
 * does something else. */
const struct fast_graph *layouts_find(struct cache *cache, const struct layout_key *key,
                                      enum layout_wish wish);
/* A walk over the graph of `rows` rows has looked at so many. True: its layout is to be made; there
 * is none. */
INS_MUST_USE bool layouts_note_walk(struct cache *cache, const struct layout_key *key,
                                    enum layout_wish wish, uint64_t rows, uint64_t looked_at);
/* Before one of so many bytes is made: there is room now. False: there is not, or not yet; where
 * there will not be it is not asked for again before as many walks. */
INS_MUST_USE bool layouts_make_room(struct cache *cache, const struct layout_key *key,
                                    enum layout_wish wish, uint64_t bytes);
/* Whether a layout is worth having: its walks are not much wider than others. */
bool layouts_useful(const struct fast_graph *graph, enum layout_wish wish);
/* Takes the graph, of INS_MEM_CACHE, the key's only one; `island`: the incarnation whose run it is
 * of. INS_FULL: it is freed. */
INS_MUST_USE ins_status layouts_add(struct cache *cache, const struct layout_key *key,
                                    enum layout_wish wish, uint64_t island,
                                    struct fast_graph *graph, ins_error *error);
/* It could not be made: the next one when it was walked over as much again. */
void layouts_note_failed(struct cache *cache, const struct layout_key *key);
/* It was made and is of no use: no more of this extent. */
void layouts_note_useless(struct cache *cache, const struct layout_key *key);
/* Forgets those of which `gone` says that their run is. */
void layouts_forget(struct cache *cache,
                    bool (*gone)(void *context, uint64_t island, const struct layout_key *key),
                    void *context);
void layouts_get_stats(const struct cache *cache, struct layouts_stats *out_stats);

#endif
