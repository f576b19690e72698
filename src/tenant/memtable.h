/* The memtable: rows that no segment holds yet, of all tenants, in generations.
 *
 * A generation takes rows until it is full or a flush is asked for; then it is frozen, flushed as a
 * whole, and given back when its last view has gone. At most two live: one active, one frozen.
 * Rows of one island are a list in the order of their LSNs; one table per generation finds a row by
 * (island, id); versions of one id are chained, newest first, so a view at any LSN sees its own.
 * A patch is a point that inherits the vectors it lacks (decision 0018): its base is the newest
 * older version in the generation that has some, so that a point which is patched again and again
 * is no long chain.
 * Rows are there as soon as they are sequenced; readers pass the LSN up to which they may see.
 * Invariants: I1 LSNs rise along a list.  I2 row->newer->lsn >= row->lsn.
 *   I3 nothing is added to a frozen generation.
 * Threads: the request lane; a frozen generation's rows are read by the flush as well, which alone
 * uses sort_next and island_mem.sorted. */
#ifndef INS_TENANT_MEMTABLE_H
#define INS_TENANT_MEMTABLE_H

#include "index/vectors.h"
#include "tenant/table.h"

struct island;
struct schema;
struct generation;

enum memrow_kind {
    MEMROW_POINT = 1,
    MEMROW_TOMBSTONE = 2,
    MEMROW_DIRECTORY = 3, /* id directory: the id's newest home */
    MEMROW_PATCH = 4,     /* a point: the vectors that it lacks are those of its older version */
};

/* Patches with vectors of their own that lie one on another: then the point is written whole. */
#define MEMROW_PATCH_DEPTH_MAX 8u

struct memrow {
    struct table_node node; /* by hash of island and id; newest version only */
    /* What a look-up reads comes first: a row begins anywhere in a line of the cache. */
    struct island_mem *owner;
    uint64_t id_low, id_high;
    uint32_t payload_size;
    uint8_t vector_count;
    uint8_t kind;
    bool id_is_uuid;
    uint8_t depth; /* MEMROW_PATCH: patches with vectors of their own below it */
    uint64_t lsn;
    struct memrow *older, *newer; /* versions of the same id in this generation */
    struct memrow *island_next;
    struct memrow *sort_next;
    uint32_t vector_bytes;
    /* MEMROW_POINT: vector_bytes of packed vectors, then payload_size bytes follow.
     * MEMROW_PATCH: the same behind a pointer to its base, a memrow of this generation or NULL.
     * MEMROW_DIRECTORY: the incarnation of the island where the id lives, u64 */
};
_Static_assert(sizeof(struct memrow) <= 96, "every row of a memtable pays it");

static inline ins_id memrow_id(const struct memrow *row) {
    return (ins_id){.high = row->id_high, .low = row->id_low, .is_uuid = row->id_is_uuid};
}

static inline bool memrow_is_point(const struct memrow *row) {
    return row->kind == MEMROW_POINT || row->kind == MEMROW_PATCH;
}

/* Bytes between the row and its vectors. */
static inline size_t memrow_lead(enum memrow_kind kind) {
    return kind == MEMROW_PATCH ? sizeof(struct memrow *) : 0;
}

/* Of a patch: the older version in its generation; NULL: an older generation or a run has it. */
static inline struct memrow *memrow_base(const struct memrow *row) {
    struct memrow *base = NULL;
    if (row->kind == MEMROW_PATCH) {
        memcpy(&base, row + 1, sizeof(base));
    }
    return base;
}

/* Packed vectors (index/vectors.h): the row's own. */
static inline void *memrow_vectors(struct memrow *row) {
    return (uint8_t *)(row + 1) + memrow_lead((enum memrow_kind)row->kind);
}

/* One of its own vectors' stored values, *out_dim numbers; NULL when the row lacks it. */
static inline const void *memrow_own_vector(const struct memrow *row, uint16_t id,
                                            uint32_t *out_dim) {
    const uint8_t *packed = (const uint8_t *)(row + 1) + memrow_lead((enum memrow_kind)row->kind);
    return vectors_find(packed, row->vector_count, id, out_dim);
}

/* The same, inherited ones of its generation included. At most MEMROW_PATCH_DEPTH_MAX + 2 rows are
 * looked at. */
const void *memrow_vector(const struct memrow *row, uint16_t id, uint32_t *out_dim);
/* True when its generation does not have all of it: what it lacks may lie in older ones or in runs.
 */
bool memrow_is_open(const struct memrow *row);

static inline uint64_t memrow_incarnation(const struct memrow *row) {
    return row->kind == MEMROW_DIRECTORY ? load_u64(row + 1) : 0;
}

static inline ins_text memrow_payload(const struct memrow *row) {
    const char *begin =
        (const char *)(row + 1) + memrow_lead((enum memrow_kind)row->kind) + row->vector_bytes;
    return (ins_text){.data = begin, .size = row->payload_size};
}

/* One island's rows in one generation. */
struct island_mem {
    struct island_mem *next; /* all of the generation */
    struct generation *generation;
    struct island *island; /* NULL once the island is gone */
    uint64_t scope, incarnation;
    struct schema *schema; /* the flush's: held by it; NULL when the island is gone */
    bool directory;
    bool oldest; /* set when frozen: the island had no run, so tombstones need not be written */
    struct memrow *first, *last;
    uint32_t row_count;      /* all versions and tombstones */
    uint32_t prepared_count; /* and those that are not linked, or never will be */
    uint32_t patch_count;    /* all versions; so that a search need not look for them */
    uint32_t block_left;     /* unused bytes of the newest block */
    uint8_t *block_at;
    struct memrow *sorted; /* the flush's: newest versions in id order, linked by sort_next */
};

struct generation {
    struct arena *arena;
    struct table rows;
    struct island_mem *islands;
    struct memblock *blocks;      /* everything, for giving back */
    uint64_t bytes, bytes_max;    /* of blocks, as charged */
    uint64_t first_lsn, last_lsn; /* 0 when empty */
    uint32_t row_count, island_count;
    uint32_t pins; /* views, the flush, and being active */
    bool frozen;
};

/* `rows_expected`: as many as the last one got; if more or fewer come it costs a little. */
INS_MUST_USE ins_status generation_create(struct arena *arena, uint64_t bytes_max,
                                          uint64_t rows_expected,
                                          struct generation **out_generation, ins_error *error);
static inline void generation_pin(struct generation *generation) {
    generation->pins++;
}
/* Frees the generation with its last pin. */
void generation_unpin(struct generation *generation);

/* Bytes that a row of this shape costs in the worst case (fresh blocks, a first row of its island).
 */
uint64_t memrow_cost(uint32_t vector_bytes, uint32_t payload_size);
/* True when rows that cost `bytes` in all fit. */
bool generation_fits(const struct generation *generation, uint64_t bytes);

/* A row in two steps, so that nothing can fail once its LSN is taken. memtable_prepare takes memory
 * and fills everything but the LSN; nobody sees the row. NULL when the share of the arena is used
 * up (what was prepared stays unused until the generation goes). The caller fills
 * memrow_vectors. `slot` is the island's pointer for this generation, made when NULL. */
struct memrow *memtable_prepare(struct generation *generation, struct island *island,
                                struct island_mem **slot, enum memrow_kind kind, const ins_id *id,
                                uint32_t vector_count, uint32_t vector_bytes, ins_text payload,
                                uint64_t incarnation);
/* Asks the processor for the row that memtable_link looks at first. */
void memtable_prefetch_link(const struct memrow *row);
/* Makes it the newest version of its id. LSNs never fall within a generation. */
void memtable_link(struct memrow *row, uint64_t lsn);
/* Newest version of the id with lsn <= up_to, or NULL. `mem` may be NULL. */
struct memrow *memtable_find(const struct island_mem *mem, const ins_id *id, uint64_t up_to);
/* Asks the processor for the place where memtable_find begins. `mem` may be NULL. */
void memtable_prefetch(const struct island_mem *mem, const ins_id *id);
/* The same, and for `mem` itself (may be NULL), of an island that is known by `incarnation`. */
void memtable_prefetch_island(const struct generation *generation, const struct island_mem *mem,
                              uint64_t incarnation, const ins_id *id);
/* For what the island's next row, of so many bytes, is written to and linked behind. `mem` may be
 * NULL. */
void memtable_prefetch_end(const struct island_mem *mem, uint32_t vector_bytes,
                           size_t payload_size);
/* And, when that has come, for the first row there. */
void memtable_prefetch_row(const struct island_mem *mem, const ins_id *id);
/* True when the row is the newest visible version of its id in its generation. */
static inline bool memrow_visible(const struct memrow *row, uint64_t up_to) {
    return row->lsn <= up_to && (row->newer == NULL || row->newer->lsn > up_to);
}

#endif
