/* Memory: one arena on huge pages under a hard budget, and pools inside it.
 *
 * Path: a caller names a purpose and a size; the arena takes a slot of the size class from a 2 MiB
 * page, or a fresh page, or says no. The caller turns "no" into eviction, waiting, 429 or 507.
 * Invariants: I1 used[purpose] <= limit[purpose].  I2 committed memory <= arena limit.
 *   I3 the sum of the purposes' limits <= arena limit, so one purpose cannot starve another.
 *   After arena_set_limits() has lowered them, I1 and I2 hold again when enough was freed and given
 *   back; until then nothing is added.
 * Threads: any thread; a lock around page lists, held for some tens of nanoseconds. */
#ifndef INS_MEM_MEM_H
#define INS_MEM_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "insula.h"

struct arena;

enum arena_pages { ARENA_PAGES_RESERVED, ARENA_PAGES_TRANSPARENT, ARENA_PAGES_PLAIN };

struct arena_options {
    uint64_t limit_bytes;   /* committed at most; a multiple of 2 MiB */
    uint64_t ceiling_bytes; /* what the limit can be raised to; 0 = limit_bytes */
    uint64_t purpose_limit_bytes[INS_MEM_PURPOSE_COUNT];
    bool plain_pages; /* tests: skip huge pages */
};

/* Reserves address space of ceiling_bytes (PROT_NONE) once and commits the first 2 MiB page. Where
 * that much address space cannot be had, and with reserved huge pages, which are set aside for as
 * long as the arena lives, the ceiling is the limit.
 * INS_INVALID when limit_bytes is not a multiple of 2 MiB or 0, or less than the sum of the
 * purposes' limits (I3); INS_FULL when the address space or the first page cannot be had. */
INS_MUST_USE ins_status arena_open(const struct arena_options *options, struct arena **out_arena,
                                   ins_error *error);
/* Everything allocated is gone. Takes NULL. */
void arena_close(struct arena *arena);

/* Commits pages ahead of use until whole free pages amount to an eighth of what is used, at least
 * 2 MiB, at most 64 MiB. At most `max_bytes` in this call (rounded up to 2 MiB); returns the bytes
 * that are still missing, 0 also when the machine refuses. A page takes 1 to 6 ms: for a background
 * lane, a page or two a step. arena_alloc() that finds nothing ready commits one page itself. */
uint64_t arena_commit_ahead(struct arena *arena, uint64_t max_bytes);

/* `size` bytes, 1 .. INS_BLOCK_BYTES_MAX. Not zeroed. Aligned to 16; to 64 when `size` is a
 * multiple of 64 or above 224; to 4 KiB when `size` is a multiple of 4 KiB or above 14 KiB. NULL
 * when the purpose's limit, the arena's limit or the machine's memory is used up. What is charged
 * is the size class: at most 15 bytes or 25 % above `size`, see arena_class_size(). */
void *arena_alloc(struct arena *arena, enum ins_mem_purpose purpose, size_t size);
void *arena_alloc_zero(struct arena *arena, enum ins_mem_purpose purpose, size_t size);
/* `size` and `purpose` as at allocation. Takes NULL. */
void arena_free(struct arena *arena, enum ins_mem_purpose purpose, void *memory, size_t size);
size_t arena_class_size(size_t size);

struct arena_usage {
    enum arena_pages pages;
    uint64_t limit, committed, used; /* used: size classes in use; committed - used is ready */
    uint64_t ceiling;
    uint64_t purpose_used[INS_MEM_PURPOSE_COUNT], purpose_limit[INS_MEM_PURPOSE_COUNT];
};
void arena_get_usage(struct arena *arena, struct arena_usage *out_usage);
/* Other limits; I3 holds, `limit_bytes` is a multiple of 2 MiB, not 0 and at most the ceiling. They
 * may be below what is used: then arena_alloc() says no until they are not. */
void arena_set_limits(struct arena *arena, uint64_t limit_bytes,
                      const uint64_t purpose_limit_bytes[static INS_MEM_PURPOSE_COUNT]);
/* Gives free memory back to the machine while more is committed than the limit, in at most
 * `calls_max` calls of the kernel (some microseconds each). Whole pages first; else free units of
 * 32 KiB, whose page is then made of small pages until it is whole again; with reserved huge pages
 * only whole ones. What the other purposes than the cache may want stays. Returns the bytes given
 * back: 0 = nothing had to be, or could be. */
uint64_t arena_give_back(struct arena *arena, uint32_t calls_max);
/* It uses more than its limit, which was lowered. */
bool arena_is_over(struct arena *arena, enum ins_mem_purpose purpose);
/* Hardly any memory is left for others than the cache, though their limits may allow some: it is
 * spread over half used slabs. The cache should give up blocks. Any thread, no lock. */
bool arena_is_short(const struct arena *arena);
/* Takes `bytes` off the limit of `from` and adds them to that of `to`, so that I3 stays: room that
 * is lent to a job, and given back. False, and nothing is changed, when `from` uses more than would
 * be left to it. */
INS_MUST_USE bool arena_move_limit(struct arena *arena, enum ins_mem_purpose from,
                                   enum ins_mem_purpose to, uint64_t bytes);
/* Bytes that the purpose can still take. */
uint64_t arena_room(struct arena *arena, enum ins_mem_purpose purpose);
const char *arena_pages_text(enum arena_pages pages);

/* The machine's memory or the cgroup's (v1 or v2) limit, whichever is smaller; bytes. */
uint64_t mem_machine_bytes(void);
/* The machine's memory alone; bytes. */
uint64_t mem_total_bytes(void);
/* Resident set of this process as the kernel counts it (VmRSS + HugetlbPages + VmPTE). */
uint64_t mem_resident_bytes(void);

/* Test hook: the allocation number `countdown` from now fails, once (1 = the next). 0 = off. */
void arena_fail_at(struct arena *arena, uint64_t countdown);

/* A pool: many small allocations that die together (one request, one operation). One thread. */
struct pool {
    struct arena *arena;
    enum ins_mem_purpose purpose;
    size_t max_bytes; /* of all blocks; a pool never grows past it */
    size_t used_bytes;
    struct pool_block *blocks;
    uint8_t *at, *end;
};

void pool_init(struct pool *pool, struct arena *arena, enum ins_mem_purpose purpose,
               size_t max_bytes);
/* Gives every block back; the pool may be used again. */
void pool_fini(struct pool *pool);
/* Aligned to 16; vectors: pool_alloc_aligned. NULL when the pool's or the arena's limit is reached
 * or size > INS_BLOCK_BYTES_MAX - 64. First block 4 KiB, then doubling to 256 KiB. */
void *pool_alloc(struct pool *pool, size_t size);
void *pool_alloc_zero(struct pool *pool, size_t size);
/* `alignment`: a power of two up to 64. */
void *pool_alloc_aligned(struct pool *pool, size_t size, size_t alignment);
void *pool_copy(struct pool *pool, const void *from, size_t size);

#endif
