/* A hash table of nodes that their owners embed: linear hashing, so it grows one bucket at a time
 * and never stops the lane for a rehash of everything. A bucket knows something of the hashes in
 * it, so that most look-ups of what is not there touch no node: of a node that is not in the
 * processor's cache that is the price of the look-up.
 * Threads: one lane. Memory: bucket pieces from the arena, under the purpose given. */
#ifndef INS_TENANT_TABLE_H
#define INS_TENANT_TABLE_H

#include "mem/mem.h"

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

#define TABLE_PIECE_BUCKETS 512u /* 4 KiB a piece: a small table is small */
#define TABLE_PIECES_MAX 8192u   /* 4 M buckets; beyond that chains grow */

struct table {
    struct arena *arena;
    enum ins_mem_purpose purpose;
    uint64_t **pieces; /* [TABLE_PIECES_MAX] of buckets: table.c */
    uint32_t piece_count;
    uint64_t bucket_count; /* a power of two below it is the level; the rest is split so far */
    uint64_t count;
};

/* INS_FULL when the share is used up. */
INS_MUST_USE ins_status table_init(struct table *table, struct arena *arena,
                                   enum ins_mem_purpose purpose);
/* Buckets for so many nodes beforehand, as far as there is memory: then none is split while they
 * come. The table is empty. */
void table_reserve(struct table *table, uint64_t nodes);
/* Nodes stay their owners'. Takes a zeroed table. */
void table_fini(struct table *table);
/* Puts the node in front of its bucket: of nodes with equal keys the newest is met first.
 * Cannot fail: without memory for a bucket the chains grow instead. node->hash must be set. */
void table_insert(struct table *table, struct table_node *node);
/* The node must be in the table. */
void table_remove(struct table *table, struct table_node *node);
/* First node of the bucket of `hash`, or NULL when none in it has that hash; the caller follows
 * `next` and compares hash, then key. */
struct table_node *table_first(const struct table *table, uint64_t hash);
/* Asks the processor for the bucket of `hash`. */
void table_prefetch(const struct table *table, uint64_t hash);
/* And, when the bucket has come, for its first node if table_first returns it. */
void table_prefetch_first(const struct table *table, uint64_t hash);
/* Buckets by number, for walks over everything: 0 .. bucket_count-1. */
struct table_node *table_bucket(const struct table *table, uint64_t bucket);

#endif
