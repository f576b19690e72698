#include "tenant/layouts.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "tenant/cache_private.h"

/* Making one row's block takes as long as looking at so many rows' codes: what was spent on walks
 * until then at most doubles. */
#define MAKING_COST 512u
#define MAKING_COST_AGAIN 64u /* what is asked for, and went, or found no room */
/* Of the cache's share what all layouts may take; what room must be left; and how many bytes must
 * have been read since somebody used what goes for one that nobody asked for. */
#define SHARE_PARTS 2u
#define LEFT_PARTS 16u
#define STALE_PARTS 4u
#define ROOM_BLOCKS 1024u /* go at a time: the next walk goes on with it */
/* Beside those of cache.c: they leave before raw values, those that are asked for with codes. */
#define WEIGHT_BY_USE 64u
#define WEIGHT_ALWAYS 8u

struct layout {
    struct layout *next;
    struct layout_key key;
    uint64_t island, bytes, used_at;
    bool always;
    struct fast_graph *graph;
};

static bool same(const struct layout_key *a, const struct layout_key *b) {
    return a->file == b->file && a->offset == b->offset && a->vector == b->vector;
}

/* The link that leads to the key's layout, or to the end of the list. */
static struct layout **link_of(struct cache *cache, const struct layout_key *key) {
    struct layout **link = &cache->layouts.first;
    while (*link != NULL && !same(&(*link)->key, key)) {
        link = &(*link)->next;
    }
    return link;
}

/* ---- Heat ---- */

static uint64_t hash_of(const struct layout_key *key) {
    uint64_t place = hash_u64(key->file * 0x9e3779b97f4a7c15ull + key->offset);
    return hash_u64(place + key->vector);
}

/* NULL: another one is there, and is hotter. */
static struct layout_heat *heat_of(struct cache *cache, const struct layout_key *key) {
    uint64_t hash = hash_of(key);
    struct layout_heat *heat = &cache->layouts.heat[hash % LAYOUT_HEATS];
    if (heat->hash == hash) {
        return heat;
    }
    heat->looked_at /= 2; /* whoever was there cools down, and goes in the end */
    if (heat->looked_at > 0) {
        return NULL;
    }
    *heat = (struct layout_heat){.hash = hash};
    return heat;
}

bool layouts_note_walk(struct cache *cache, const struct layout_key *key, enum layout_wish wish,
                       uint64_t rows, uint64_t looked_at) {
    struct layout_heat *heat = wish == LAYOUT_NEVER ? NULL : heat_of(cache, key);
    if (heat == NULL || heat->useless || *link_of(cache, key) != NULL) {
        return false; /* or it is there, and did not suit the walk */
    }
    heat->looked_at += looked_at;
    if (wish == LAYOUT_ALWAYS) {
        return !heat->tried || heat->looked_at >= rows * MAKING_COST_AGAIN;
    }
    return heat->looked_at >= rows * MAKING_COST;
}

static void note_tried(struct cache *cache, const struct layout_key *key, bool useless) {
    struct layout_heat *heat = heat_of(cache, key);
    if (heat != NULL) {
        heat->looked_at = 1; /* not nothing, so that it is known a while */
        heat->tried = true;
        heat->useless = useless;
    }
}

void layouts_note_failed(struct cache *cache, const struct layout_key *key) {
    note_tried(cache, key, false);
}

void layouts_note_useless(struct cache *cache, const struct layout_key *key) {
    note_tried(cache, key, true);
    cache->layouts.stats.useless++;
}

bool layouts_useful(const struct fast_graph *graph, enum layout_wish wish) {
    uint32_t widening = fast_graph_widening(graph);
    return widening != 0 && (wish == LAYOUT_ALWAYS || widening <= FAST_WIDENING_USUAL);
}

/* ---- The list ---- */

static void drop(struct cache *cache, struct layout **link) {
    struct layout *layout = *link;
    *link = layout->next;
    cache->layouts.stats.count--;
    cache->layouts.stats.bytes -= layout->bytes;
    fast_graph_free(layout->graph);
    arena_free(cache->arena, INS_MEM_CACHE, layout, sizeof(*layout));
}

const struct fast_graph *layouts_find(struct cache *cache, const struct layout_key *key,
                                      enum layout_wish wish) {
    struct layout **link = link_of(cache, key);
    if (*link == NULL) {
        return NULL;
    }
    if (wish == LAYOUT_NEVER) {
        drop(cache, link);
        return NULL;
    }
    struct layout *layout = *link;
    layout->used_at = cache->clock;
    layout->always = wish == LAYOUT_ALWAYS;
    cache->layouts.stats.searches++;
    return layout->graph;
}

ins_status layouts_add(struct cache *cache, const struct layout_key *key, enum layout_wish wish,
                       uint64_t island, struct fast_graph *graph, ins_error *error) {
    struct layout *layout = NULL;
    if (cache->layouts.stats.count < LAYOUTS_MAX) {
        layout = arena_alloc(cache->arena, INS_MEM_CACHE, sizeof(*layout));
    }
    INS_ASSERT(*link_of(cache, key) == NULL);
    note_tried(cache, key, false);
    if (layout == NULL) {
        fast_graph_free(graph);
        return ins_fail(error, INS_FULL, "no memory for one more layout of a graph");
    }
    *layout = (struct layout){.next = cache->layouts.first,
                              .key = *key,
                              .island = island,
                              .bytes = fast_graph_bytes(graph),
                              .used_at = cache->clock,
                              .always = wish == LAYOUT_ALWAYS,
                              .graph = graph};
    cache->layouts.first = layout;
    cache->layouts.stats.count++;
    cache->layouts.stats.made++;
    cache->layouts.stats.bytes += layout->bytes;
    return INS_OK;
}

void layouts_forget(struct cache *cache,
                    bool (*gone)(void *context, uint64_t island, const struct layout_key *key),
                    void *context) {
    struct layout **link = &cache->layouts.first;
    while (*link != NULL) {
        if (gone(context, (*link)->island, &(*link)->key)) {
            drop(cache, link);
        } else {
            link = &(*link)->next;
        }
    }
}

void layouts_get_stats(const struct cache *cache, struct layouts_stats *out_stats) {
    *out_stats = cache->layouts.stats;
}

/* ---- Room ---- */

static uint64_t score_of(const struct cache *cache, const struct layout *layout) {
    uint64_t weight = layout->always ? WEIGHT_ALWAYS : WEIGHT_BY_USE;
    return (cache->clock - layout->used_at + 1) * weight;
}

bool layouts_shed(struct cache *cache, uint64_t score) {
    struct layout **least = NULL;
    uint64_t highest = score;
    for (struct layout **link = &cache->layouts.first; *link != NULL; link = &(*link)->next) {
        if (score_of(cache, *link) >= highest) {
            highest = score_of(cache, *link);
            least = link;
        }
    }
    if (least == NULL) {
        return false;
    }
    drop(cache, least);
    cache->layouts.stats.dropped++;
    return true;
}

bool layouts_make_room(struct cache *cache, const struct layout_key *key, enum layout_wish wish,
                       uint64_t bytes) {
    uint64_t limit = cache_limit(cache), wanted = bytes + limit / LEFT_PARTS;
    uint64_t age = wish == LAYOUT_ALWAYS ? 0 : limit / STALE_PARTS;
    bool possible = cache->layouts.stats.bytes + bytes <= limit / SHARE_PARTS;
    bool fits = false;
    for (uint32_t i = 0; possible && !fits && i < ROOM_BLOCKS; i++) {
        fits = arena_room(cache->arena, INS_MEM_CACHE) >= wanted;
        possible = fits || cache_evict_stale(cache, age);
    }
    if (!possible) {
        note_tried(cache, key, false);
    }
    return fits;
}
