/* The order in which a flush writes a generation: islands by (scope, incarnation), and of an island
 * its newest versions by id.
 *
 * Rows lie where they were written, so going through them in the order of ids waits for memory at
 * each. Hence the keys are copied beside each other and sorted there (a radix sort by the bytes in
 * which they differ), at most ROW_KEYS_MAX at a time; of a larger island such pieces are merged as
 * lists. Whoever then goes through the rows is told which come next, and asks for them ahead.
 * Memory: 4 MiB of INS_MEM_JOB; without it pieces are small, and all else is the same.
 * Threads: the background lane; frozen generations only. */
#ifndef INS_TENANT_MEMTABLE_SORT_H
#define INS_TENANT_MEMTABLE_SORT_H

#include "tenant/memtable.h"

#define ROW_KEYS_FEW 64u
#define ROW_KEYS_BYTES (2u << 20)
#define ROW_AHEAD 8u /* rows are asked for so many before they are used */

struct row_key {
    uint64_t high, low;
    uintptr_t row; /* bit 0: the id is a UUID */
};
#define ROW_KEYS_MAX (ROW_KEYS_BYTES / sizeof(struct row_key))

struct row_order {
    struct arena *arena;
    struct row_key *keys, *spare; /* [capacity] */
    uint32_t capacity;
    uintptr_t *rows; /* in one of the two: the island's rows in order, the first row_count */
    uint32_t row_count;
    struct row_key few[2][ROW_KEYS_FEW];
};

void row_order_init(struct row_order *order, struct arena *arena);
void row_order_fini(struct row_order *order);

/* False when the flush has nothing to write of it: no newest version, or needless tombstones. */
bool island_mem_has_rows(const struct island_mem *mem);
/* Links mem->sorted by sort_next, and fills order->rows. */
void island_mem_sort(struct island_mem *mem, struct row_order *order);
/* Asks the processor for the row that comes ROW_AHEAD behind number `index`. */
static inline void row_order_prefetch(const struct row_order *order, uint32_t index) {
    if (index + ROW_AHEAD < order->row_count) {
        const uint8_t *row = (const uint8_t *)order->rows[index + ROW_AHEAD];
        __builtin_prefetch(row);
        __builtin_prefetch(row + 64);
    }
}

/* Sorts the list of islands. */
void generation_sort(struct generation *generation);

#endif
