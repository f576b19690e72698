/* Pools: bump allocation from a few arena blocks that die together.
 *
 * Path: take from the current block; when that is full, a new one: 4 KiB, then doubling to 256 KiB.
 * What is larger than half of the next block gets a block of its own and the current one stays.
 * Invariant: used_bytes is the sum of the blocks' sizes and <= max_bytes. */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "mem/mem.h"

#define BLOCK_FIRST_BYTES 4096u
#define BLOCK_BYTES_MAX (256u << 10)
#define ALIGNMENT_DEFAULT 16u
#define ALIGNMENT_MAX 64u

struct pool_block {
    struct pool_block *next;
    size_t size;
    _Alignas(ALIGNMENT_MAX) uint8_t data[];
};

_Static_assert(sizeof(struct pool_block) == ALIGNMENT_MAX, "data begins aligned");

void pool_init(struct pool *pool, struct arena *arena, enum ins_mem_purpose purpose,
               size_t max_bytes) {
    INS_ASSERT(arena != NULL);
    *pool = (struct pool){.arena = arena, .purpose = purpose, .max_bytes = max_bytes};
}

void pool_fini(struct pool *pool) {
    struct pool_block *block = pool->blocks;
    while (block != NULL) {
        struct pool_block *next = block->next;
        pool->used_bytes -= block->size;
        arena_free(pool->arena, pool->purpose, block, block->size);
        block = next;
    }
    INS_ASSERT(pool->used_bytes == 0);
    pool->blocks = NULL;
    pool->at = NULL;
    pool->end = NULL;
}

/* The next block of the doubling row, cut to what the pool's limit leaves. */
static size_t next_block_size(const struct pool *pool) {
    size_t size = BLOCK_FIRST_BYTES;
    while (size < BLOCK_BYTES_MAX && size <= pool->used_bytes) {
        size *= 2;
    }
    size_t left = pool->max_bytes - pool->used_bytes;
    left -= left % ALIGNMENT_MAX; /* the arena aligns such sizes */
    return size < left ? size : left;
}

static struct pool_block *block_add(struct pool *pool, size_t size) {
    size_t class_bytes = arena_class_size(size);
    if (class_bytes > pool->max_bytes - pool->used_bytes) {
        class_bytes = size; /* the last bytes of the limit need not be a whole class */
    }
    struct pool_block *block = arena_alloc(pool->arena, pool->purpose, class_bytes);
    if (block == NULL) {
        return NULL;
    }
    block->size = class_bytes;
    block->next = pool->blocks;
    pool->blocks = block;
    pool->used_bytes += class_bytes;
    return block;
}

static void *alloc_slow(struct pool *pool, size_t size) {
    if (size > INS_BLOCK_BYTES_MAX - sizeof(struct pool_block)) {
        return NULL;
    }
    size_t need =
        align_up(size + sizeof(struct pool_block), ALIGNMENT_MAX); /* aligned in any case */
    if (need > pool->max_bytes - pool->used_bytes) {
        return NULL;
    }
    size_t next = next_block_size(pool);
    bool is_alone = need > next / 2;
    struct pool_block *block = block_add(pool, is_alone ? need : next);
    if (block == NULL) {
        return NULL;
    }
    uint8_t *end = (uint8_t *)block + block->size;
    if (!is_alone || end - (block->data + size) > pool->end - pool->at) {
        pool->at = block->data + size;
        pool->end = end;
    }
    return block->data;
}

void *pool_alloc_aligned(struct pool *pool, size_t size, size_t alignment) {
    INS_ASSERT(alignment >= 1);
    INS_ASSERT(alignment <= ALIGNMENT_MAX);
    INS_ASSERT((alignment & (alignment - 1)) == 0);
    size_t padding = (size_t)(-(uintptr_t)pool->at & (alignment - 1));
    size_t left = (size_t)(pool->end - pool->at);
    if (pool->at == NULL || padding > left || size > left - padding) {
        return alloc_slow(pool, size);
    }
    uint8_t *memory = pool->at + padding;
    pool->at = memory + size;
    return memory;
}

void *pool_alloc(struct pool *pool, size_t size) {
    return pool_alloc_aligned(pool, size, ALIGNMENT_DEFAULT);
}

void *pool_alloc_zero(struct pool *pool, size_t size) {
    void *memory = pool_alloc(pool, size);
    return memory == NULL ? NULL : memset(memory, 0, size);
}

void *pool_copy(struct pool *pool, const void *from, size_t size) {
    void *memory = pool_alloc(pool, size);
    if (memory != NULL && size != 0) {
        memcpy(memory, from, size);
    }
    return memory;
}
