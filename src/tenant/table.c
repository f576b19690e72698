/* Linear hashing after Litwin, "Linear Hashing: A New Tool for File and Table Addressing". */
#include "tenant/table.h"

#include <string.h>

#include "base/assert.h"

#define PIECE_BYTES (TABLE_PIECE_BUCKETS * sizeof(struct table_node *))
#define PIECES_BYTES (TABLE_PIECES_MAX * sizeof(struct table_node **))

static uint64_t bucket_of(const struct table *table, uint64_t hash) {
    uint64_t level = 1ull << (63 - __builtin_clzll(table->bucket_count));
    uint64_t bucket = hash & (2 * level - 1);
    return bucket < table->bucket_count ? bucket : bucket - level;
}

static struct table_node **bucket_at(const struct table *table, uint64_t bucket) {
    INS_ASSERT(table->pieces != NULL);
    return &table->pieces[bucket / TABLE_PIECE_BUCKETS][bucket % TABLE_PIECE_BUCKETS];
}

static bool add_piece(struct table *table) {
    if (table->piece_count == TABLE_PIECES_MAX) {
        return false;
    }
    struct table_node **piece = arena_alloc_zero(table->arena, table->purpose, PIECE_BYTES);
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
        __builtin_prefetch(*bucket_at(table, from + SPLIT_AHEAD));
        const struct table_node *earlier = *bucket_at(table, from + SPLIT_AHEAD / 2);
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
    struct table_node **keep = bucket_at(table, from);
    struct table_node **move = bucket_at(table, from + level);
    struct table_node *node = *keep;
    while (node != NULL) {
        struct table_node ***side = (node->hash & level) != 0 ? &move : &keep;
        **side = node;
        *side = &node->next;
        node = node->next;
    }
    *keep = NULL;
    *move = NULL;
}

void table_insert(struct table *table, struct table_node *node) {
    if (table->count >= table->bucket_count) {
        split_one(table);
    }
    struct table_node **bucket = bucket_at(table, bucket_of(table, node->hash));
    node->next = *bucket;
    *bucket = node;
    table->count++;
}

void table_remove(struct table *table, struct table_node *node) {
    struct table_node **link = bucket_at(table, bucket_of(table, node->hash));
    while (*link != node) {
        INS_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    table->count--;
}

struct table_node *table_first(const struct table *table, uint64_t hash) {
    return *bucket_at(table, bucket_of(table, hash));
}

void table_prefetch(const struct table *table, uint64_t hash) {
    __builtin_prefetch(bucket_at(table, bucket_of(table, hash)));
}

void table_prefetch_first(const struct table *table, uint64_t hash) {
    __builtin_prefetch(table_first(table, hash));
}

struct table_node *table_bucket(const struct table *table, uint64_t bucket) {
    INS_ASSERT(bucket < table->bucket_count);
    return *bucket_at(table, bucket);
}
