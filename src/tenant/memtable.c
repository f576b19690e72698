#include "tenant/memtable.h"

#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "tenant/island.h"

/* A dirty tenant has three rows in the median: its first blocks hold one row each, later ones a
 * quarter of what it has already. So a single write costs little, a bulk load allocates seldom, and
 * what is reserved and not used stays below a fifth: the fuller the memtables, the fewer flushes.
 */
#define BLOCK_GROWTH 4u
#define BLOCK_LARGEST (64u << 10)
#define CACHE_LINE 64u
#define PREFETCH_MOST (16u * CACHE_LINE) /* of a row: the processor goes on by itself then */
#define TABLE_SHARE 32u /* of a generation's bytes, for buckets that may not be needed */

struct memblock {
    struct memblock *next;
    size_t size;
};

ins_status generation_create(struct arena *arena, uint64_t bytes_max, uint64_t rows_expected,
                             struct generation **out_generation, ins_error *error) {
    struct generation *generation = arena_alloc_zero(arena, INS_MEM_MEMTABLE, sizeof(*generation));
    if (generation == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a memtable");
    }
    generation->arena = arena;
    generation->bytes_max = bytes_max;
    generation->pins = 1;
    if (table_init(&generation->rows, arena, INS_MEM_MEMTABLE) != INS_OK) {
        arena_free(arena, INS_MEM_MEMTABLE, generation, sizeof(*generation));
        return ins_fail(error, INS_FULL, "no memory for a memtable");
    }
    uint64_t most = bytes_max / sizeof(struct table_node *) / TABLE_SHARE;
    table_reserve(&generation->rows, rows_expected < most ? rows_expected : most);
    *out_generation = generation;
    return INS_OK;
}

void generation_unpin(struct generation *generation) {
    INS_ASSERT(generation->pins > 0);
    if (--generation->pins > 0) {
        return;
    }
    struct memblock *block = generation->blocks;
    while (block != NULL) {
        struct memblock *next = block->next;
        arena_free(generation->arena, INS_MEM_MEMTABLE, block, block->size);
        block = next;
    }
    table_fini(&generation->rows);
    arena_free(generation->arena, INS_MEM_MEMTABLE, generation, sizeof(*generation));
}

static void *block_alloc(struct generation *generation, size_t size) {
    struct memblock *block = arena_alloc(generation->arena, INS_MEM_MEMTABLE, size);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct memblock){.next = generation->blocks, .size = size};
    generation->blocks = block;
    generation->bytes += arena_class_size(size);
    return block + 1;
}

/* `tail`: all that follows the row. */
static size_t row_bytes(uint64_t tail) {
    return (size_t)align_up(sizeof(struct memrow) + tail, 16);
}

uint64_t memrow_cost(uint32_t vector_bytes, uint32_t payload_size) {
    uint64_t tail = memrow_lead(MEMROW_PATCH) + (uint64_t)vector_bytes + payload_size;
    size_t block = row_bytes(tail) + sizeof(struct memblock);
    return arena_class_size(block) + arena_class_size(sizeof(struct island_mem)) +
           2 * sizeof(struct table_node *);
}

bool generation_fits(const struct generation *generation, uint64_t bytes) {
    return generation->bytes + bytes <= generation->bytes_max;
}

static struct island_mem *island_mem_of(struct generation *generation, struct island *island,
                                        struct island_mem **slot) {
    if (*slot != NULL) {
        return *slot;
    }
    struct island_mem *mem =
        block_alloc(generation, sizeof(struct memblock) + sizeof(struct island_mem));
    if (mem == NULL) {
        return NULL;
    }
    *mem = (struct island_mem){.next = generation->islands,
                               .generation = generation,
                               .island = island,
                               .scope = island->scope->key,
                               .incarnation = island->incarnation,
                               .directory = (island->flags & ISLAND_DIRECTORY) != 0};
    generation->islands = mem;
    generation->island_count++;
    *slot = mem;
    return mem;
}

/* For the next row of that size and some more like it: all of the class that the arena gives. */
static size_t block_size(const struct island_mem *mem, size_t size) {
    size_t least = size + sizeof(struct memblock);
    size_t want = size * (1 + mem->prepared_count / BLOCK_GROWTH) + sizeof(struct memblock);
    want = want < BLOCK_LARGEST ? want : BLOCK_LARGEST;
    return arena_class_size(want > least ? want : least);
}

static void *row_alloc(struct generation *generation, struct island_mem *mem, size_t size) {
    if (size > mem->block_left) {
        size_t block = block_size(mem, size);
        uint8_t *memory = block_alloc(generation, block);
        if (memory == NULL) {
            return NULL;
        }
        mem->block_at = memory;
        mem->block_left = (uint32_t)(block - sizeof(struct memblock));
    }
    mem->prepared_count++;
    void *row = mem->block_at;
    mem->block_at += size;
    mem->block_left -= (uint32_t)size;
    return row;
}

static uint64_t row_hash(uint64_t incarnation, const ins_id *id) {
    return hash_u64(id_hash(id) ^ (incarnation * 0x9e3779b97f4a7c15ull));
}

static struct memrow *find_newest(const struct island_mem *mem, const ins_id *id, uint64_t hash) {
    struct table_node *node = table_first(&mem->generation->rows, hash);
    for (; node != NULL; node = node->next) {
        struct memrow *row = (struct memrow *)node; /* node is the first member */
        if (node->hash == hash && row->owner == mem && row->id_low == id->low &&
            row->id_high == id->high && row->id_is_uuid == id->is_uuid) {
            return row;
        }
    }
    return NULL;
}

struct memrow *memtable_prepare(struct generation *generation, struct island *island,
                                struct island_mem **slot, enum memrow_kind kind, const ins_id *id,
                                uint32_t vector_count, uint32_t vector_bytes, ins_text payload,
                                uint64_t incarnation) {
    INS_ASSERT(!generation->frozen);
    struct island_mem *mem = island_mem_of(generation, island, slot);
    if (mem == NULL) {
        return NULL;
    }
    size_t lead = memrow_lead(kind);
    uint64_t tail = kind == MEMROW_DIRECTORY ? sizeof(uint64_t) : vector_bytes + payload.size;
    struct memrow *row = row_alloc(generation, mem, row_bytes(lead + tail));
    if (row == NULL) {
        return NULL;
    }
    *row = (struct memrow){.owner = mem,
                           .id_high = id->high,
                           .id_low = id->low,
                           .id_is_uuid = id->is_uuid,
                           .payload_size = (uint32_t)payload.size,
                           .vector_bytes = vector_bytes,
                           .vector_count = (uint8_t)vector_count,
                           .kind = (uint8_t)kind};
    row->node.hash = row_hash(mem->incarnation, id);
    table_prefetch(&generation->rows, row->node.hash); /* for memtable_link */
    if (kind == MEMROW_DIRECTORY) {
        store_u64(row + 1, incarnation);
    }
    if (payload.size > 0) {
        memcpy((char *)(row + 1) + lead + vector_bytes, payload.data, payload.size);
    }
    return row;
}

/* `older` is the version before it in its generation, or NULL. */
static void set_base(struct memrow *row, struct memrow *older) {
    bool pass = older != NULL && older->kind == MEMROW_PATCH && older->vector_count == 0;
    struct memrow *base = pass ? memrow_base(older) : older;
    memcpy(row + 1, &base, sizeof(base));
    if (base != NULL && base->kind == MEMROW_PATCH) {
        row->depth = base->depth < UINT8_MAX ? (uint8_t)(base->depth + 1) : UINT8_MAX;
    }
}

void memtable_prefetch_link(const struct memrow *row) {
    table_prefetch_first(&row->owner->generation->rows, row->node.hash);
}

void memtable_link(struct memrow *row, uint64_t lsn) {
    struct island_mem *mem = row->owner;
    struct generation *generation = mem->generation;
    INS_ASSERT(!generation->frozen);
    INS_ASSERT(lsn >= generation->last_lsn);
    row->lsn = lsn;
    ins_id id = memrow_id(row);
    struct memrow *older = find_newest(mem, &id, row->node.hash);
    if (older != NULL) {
        table_remove(&generation->rows, &older->node);
        row->older = older;
        older->newer = row;
    }
    if (row->kind == MEMROW_PATCH) {
        set_base(row, older);
        mem->patch_count++;
    }
    table_insert(&generation->rows, &row->node);
    *(mem->last != NULL ? &mem->last->island_next : &mem->first) = row;
    mem->last = row;
    mem->row_count++;
    generation->row_count++;
    generation->first_lsn = generation->first_lsn == 0 ? lsn : generation->first_lsn;
    generation->last_lsn = lsn;
}

struct memrow *memtable_find(const struct island_mem *mem, const ins_id *id, uint64_t up_to) {
    if (mem == NULL) {
        return NULL;
    }
    struct memrow *row = find_newest(mem, id, row_hash(mem->incarnation, id));
    while (row != NULL && row->lsn > up_to) {
        row = row->older;
    }
    return row;
}

const void *memrow_vector(const struct memrow *row, uint16_t id, uint32_t *out_dim) {
    const void *vector = NULL;
    while (row != NULL && vector == NULL && memrow_is_point(row)) {
        vector = memrow_own_vector(row, id, out_dim);
        row = memrow_base(row);
    }
    return vector;
}

bool memrow_is_open(const struct memrow *row) {
    while (row != NULL && row->kind == MEMROW_PATCH) {
        row = memrow_base(row);
    }
    return row == NULL;
}

void memtable_prefetch(const struct island_mem *mem, const ins_id *id) {
    if (mem != NULL) {
        table_prefetch(&mem->generation->rows, row_hash(mem->incarnation, id));
    }
}

void memtable_prefetch_row(const struct island_mem *mem, const ins_id *id) {
    if (mem != NULL) {
        table_prefetch_first(&mem->generation->rows, row_hash(mem->incarnation, id));
    }
}

void memtable_prefetch_island(const struct generation *generation, const struct island_mem *mem,
                              uint64_t incarnation, const ins_id *id) {
    table_prefetch(&generation->rows, row_hash(incarnation, id));
    if (mem != NULL) {
        __builtin_prefetch(mem);
        __builtin_prefetch(&mem->block_at);
    }
}

void memtable_prefetch_end(const struct island_mem *mem, uint32_t vector_bytes,
                           size_t payload_size) {
    if (mem == NULL) {
        return;
    }
    __builtin_prefetch(mem->last, 1);
    size_t size = row_bytes((uint64_t)vector_bytes + payload_size);
    if (size > mem->block_left) {
        return; /* it gets a block that nobody knows yet */
    }
    size = size < PREFETCH_MOST ? size : PREFETCH_MOST;
    for (size_t at = 0; at < size; at += CACHE_LINE) {
        __builtin_prefetch(mem->block_at + at, 1);
    }
}
