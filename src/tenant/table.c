/* Linear hashing after Litwin, "Linear Hashing: A New Tool for File and Table Addressing".
 *
 * A bucket is a word: the address of its first node, and in the 16 bits above it one for each of
 * the hashes' highest 4 bits that a node of it has (a Bloom filter of one function). With a node a
 * bucket, some 15 of 16 hashes that are not there are refused by it. A removal leaves its bit
 * behind: it only costs. */
#include "tenant/table.h"

#include <string.h>

#include "base/assert.h"

#define PIECE_BYTES (TABLE_PIECE_BUCKETS * sizeof(uint64_t))
#define PIECES_BYTES (TABLE_PIECES_MAX * sizeof(uint64_t *))
#define ADDRESS_BITS 48u /* of user space on the processors that we know */
#define ADDRESS_MASK ((1ull << ADDRESS_BITS) - 1)
_Static_assert(sizeof(struct table_node *) == sizeof(uint64_t), "a bucket holds an address");

static uint64_t bucket_of(const struct table *table, uint64_t hash) {
    uint64_t level = 1ull << (63 - __builtin_clzll(table->bucket_count));
    uint64_t bucket = hash & (2 * level - 1);
    return bucket < table->bucket_count ? bucket : bucket - level;
}

static uint64_t *bucket_at(const struct table *table, uint64_t bucket) {
    INS_ASSERT(table->pieces != NULL);
    return &table->pieces[bucket / TABLE_PIECE_BUCKETS][bucket % TABLE_PIECE_BUCKETS];
}

static uint64_t mark_of(uint64_t hash) {
    return 1ull << (ADDRESS_BITS + (hash >> 60));
}

static struct table_node *first_of(uint64_t bucket) {
    struct table_node *node;
    uint64_t address = bucket & ADDRESS_MASK;
    memcpy(&node, &address, sizeof(node));
    return node;
}

/* The same marks, another first node; an empty bucket has none. */
static void set_first(uint64_t *bucket, struct table_node *node) {
    uint64_t address;
    memcpy(&address, &node, sizeof(address));
    INS_ASSERT((address & ~ADDRESS_MASK) == 0);
    *bucket = node == NULL ? 0 : (*bucket & ~ADDRESS_MASK) | address;
}

static bool add_piece(struct table *table) {
    if (table->piece_count == TABLE_PIECES_MAX) {
        return false;
    }
    uint64_t *piece = arena_alloc_zero(table->arena, table->purpose, PIECE_BYTES);
    if (piece == NULL) {
        return false;
    }
    table->pieces[table->piece_count++] = piece;
    return true;
}

ins_status table_init(struct table *table, struct arena *arena, enum ins_mem_purpose purpose) {
    *table = (struct table){.arena = arena, .purpose = purpose, .bucket_count = 1};
    table->pieces = arena_alloc(arena, purpose, PIECES_BYTES);
    if (table->pieces == NULL || !add_piece(table)) {
        table_fini(table);
        return INS_FULL;
    }
    return INS_OK;
}

void table_reserve(struct table *table, uint64_t nodes) {
    INS_ASSERT(table->count == 0);
    while ((uint64_t)table->piece_count * TABLE_PIECE_BUCKETS < nodes && add_piece(table)) {
    }
    uint64_t room = (uint64_t)table->piece_count * TABLE_PIECE_BUCKETS;
    uint64_t wanted = nodes < room ? nodes : room;
    table->bucket_count = wanted > table->bucket_count ? wanted : table->bucket_count;
}

void table_fini(struct table *table) {
    INS_ASSERT(table->piece_count == 0 || table->pieces != NULL);
    for (uint32_t i = 0; i < table->piece_count; i++) {
        arena_free(table->arena, table->purpose, table->pieces[i], PIECE_BYTES);
    }
    if (table->pieces != NULL) {
        arena_free(table->arena, table->purpose, (void *)table->pieces, PIECES_BYTES);
    }
    *table = (struct table){0};
}

#define SPLIT_AHEAD 8u

/* Buckets are split in their order, so the nodes of a later split can be asked for now: the first
 * of a bucket, and behind the first that was asked for earlier the second. */
static void prefetch_split(const struct table *table, uint64_t from, uint64_t level) {
    if (from + SPLIT_AHEAD < level) {
        __builtin_prefetch(first_of(*bucket_at(table, from + SPLIT_AHEAD)));
        const struct table_node *earlier = first_of(*bucket_at(table, from + SPLIT_AHEAD / 2));
        if (earlier != NULL) {
            __builtin_prefetch(earlier->next);
        }
    }
}

/* Moves the nodes of one old bucket that belong to the new last one. Order within both is kept. */
static void split_one(struct table *table) {
    if (table->bucket_count % TABLE_PIECE_BUCKETS == 0 &&
        table->bucket_count / TABLE_PIECE_BUCKETS == table->piece_count && !add_piece(table)) {
        return;
    }
    uint64_t level = 1ull << (63 - __builtin_clzll(table->bucket_count));
    uint64_t from = table->bucket_count - level;
    table->bucket_count++;
    prefetch_split(table, from, level);
    struct {
        struct table_node *first, **last;
        uint64_t marks;
    } halves[2] = {{.last = &halves[0].first}, {.last = &halves[1].first}};
    uint64_t *keep = bucket_at(table, from);
    for (struct table_node *node = first_of(*keep); node != NULL; node = node->next) {
        int half = (node->hash & level) != 0;
        *halves[half].last = node;
        halves[half].last = &node->next;
        halves[half].marks |= mark_of(node->hash);
    }
    for (int half = 0; half < 2; half++) {
        uint64_t *bucket = half == 0 ? keep : bucket_at(table, from + level);
        *halves[half].last = NULL;
        *bucket = halves[half].marks;
        set_first(bucket, halves[half].first);
    }
}

void table_insert(struct table *table, struct table_node *node) {
    if (table->count >= table->bucket_count) {
        split_one(table);
    }
    uint64_t *bucket = bucket_at(table, bucket_of(table, node->hash));
    node->next = first_of(*bucket);
    *bucket |= mark_of(node->hash);
    set_first(bucket, node);
    table->count++;
}

void table_remove(struct table *table, struct table_node *node) {
    uint64_t *bucket = bucket_at(table, bucket_of(table, node->hash));
    struct table_node *before = NULL, *at = first_of(*bucket);
    for (; at != node; at = at->next) {
        INS_ASSERT(at != NULL);
        before = at;
    }
    if (before == NULL) {
        set_first(bucket, node->next);
    } else {
        before->next = node->next;
    }
    node->next = NULL;
    table->count--;
}

struct table_node *table_first(const struct table *table, uint64_t hash) {
    uint64_t bucket = *bucket_at(table, bucket_of(table, hash));
    return (bucket & mark_of(hash)) != 0 ? first_of(bucket) : NULL;
}

void table_prefetch(const struct table *table, uint64_t hash) {
    __builtin_prefetch(bucket_at(table, bucket_of(table, hash)));
}

void table_prefetch_first(const struct table *table, uint64_t hash) {
    __builtin_prefetch(table_first(table, hash));
}

struct table_node *table_bucket(const struct table *table, uint64_t bucket) {
    INS_ASSERT(bucket < table->bucket_count);
    return first_of(*bucket_at(table, bucket));
}
