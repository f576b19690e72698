/* Pages: address space, what the kernel puts behind it, and which units of a page are free.
 *
 * Path: reserve once without access -> populate pages when they are needed -> hand out runs of
 * units, best fit by the longest free run of a page, so that small slabs gather in full pages and
 * whole pages stay whole for large blocks.
 * Failure: the kernel may refuse a page at any time; the caller keeps it for another try.
 * Invariants: a page is on the list of its `run`, or on none when that is 0; bit r - 1 of run_mask
 *   says whether list r has a page. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/status.h"
#include "mem/mem_private.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#define SMALL_PAGE_BYTES 4096u

/* ---- The kernel ---------------------------------------------------------------------------- */

/* The first line of a small file of /sys; "" when it cannot be read. */
static void read_line(const char *path, char *out, int capacity) {
    out[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fgets(out, capacity, file) == NULL) {
        out[0] = '\0';
    }
    (void)fclose(file);
}

static bool transparent_pages_allowed(void) {
    char line[128];
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line));
    return strstr(line, "[madvise]") != NULL || strstr(line, "[always]") != NULL;
}

static void *map_nothing(size_t bytes, int flags) {
    void *memory =
        mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* All of the limit or nothing: the kernel sets the huge pages aside now, so that none can be
 * missing later, when a touch would be a SIGBUS. Hence no MAP_NORESERVE. */
static bool reserve_huge(struct arena *arena, uint64_t limit_bytes) {
    void *memory = mmap(NULL, limit_bytes, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT), -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    arena->mapping = memory;
    arena->mapping_bytes = limit_bytes;
    arena->base = memory;
    arena->pages_kind = ARENA_PAGES_RESERVED;
    return true;
}

static bool reserve_small(struct arena *arena, uint64_t limit_bytes, bool plain_pages) {
    arena->mapping_bytes = limit_bytes + INS_PAGE_BYTES; /* to align the base */
    arena->mapping = map_nothing(arena->mapping_bytes, 0);
    if (arena->mapping == NULL) {
        return false;
    }
    uintptr_t start = (uintptr_t)arena->mapping;
    arena->base = (uint8_t *)arena->mapping + (align_up(start, INS_PAGE_BYTES) - start);
    bool transparent = !plain_pages && transparent_pages_allowed() &&
                       madvise(arena->base, limit_bytes, MADV_HUGEPAGE) == 0;
    if (!transparent) {
        (void)madvise(arena->base, limit_bytes,
                      MADV_NOHUGEPAGE); /* a kernel without them is fine */
    }
    arena->pages_kind = transparent ? ARENA_PAGES_TRANSPARENT : ARENA_PAGES_PLAIN;
    return true;
}

static ins_status reserve_tables(struct arena *arena, uint64_t bytes, ins_error *error) {
    arena->page_count = (uint32_t)(bytes / INS_PAGE_BYTES);
    size_t pages_bytes = arena->page_count * sizeof(struct arena_page);
    size_t units_bytes = (size_t)arena->page_count * ARENA_PAGE_UNITS * sizeof(struct arena_unit);
    arena->table_bytes = pages_bytes + units_bytes;
    arena->table = map_nothing(arena->table_bytes, 0);
    if (arena->table == NULL ||
        mprotect(arena->table, arena->table_bytes, PROT_READ | PROT_WRITE)) {
        return ins_fail(error, INS_FULL,
                        "memory: no address space for the arena's tables: %zu bytes",
                        arena->table_bytes);
    }
    arena->units = arena->table; /* first: its fields need 8-byte alignment, and so do the pages' */
    arena->pages = (void *)((uint8_t *)arena->table + units_bytes);
    return INS_OK;
}

ins_status arena_reserve(struct arena *arena, const struct arena_options *options,
                         ins_error *error) {
    uint64_t limit = options->limit_bytes;
    if (!options->plain_pages && reserve_huge(arena, limit)) {
        return reserve_tables(arena, limit, error);
    }
    if (options->ceiling_bytes > limit) {
        if (reserve_tables(arena, options->ceiling_bytes, NULL) == INS_OK &&
            reserve_small(arena, options->ceiling_bytes, options->plain_pages)) {
            return INS_OK;
        }
        arena_unreserve(arena);
    }
    ins_status status = reserve_tables(arena, limit, error);
    if (status == INS_OK && !reserve_small(arena, limit, options->plain_pages)) {
        status = ins_fail(error, INS_FULL, "memory: no address space for an arena of %llu bytes",
                          (unsigned long long)limit);
    }
    return status;
}

void arena_unreserve(struct arena *arena) {
    if (arena->mapping != NULL) {
        INS_ASSERT(munmap(arena->mapping, arena->mapping_bytes) == 0);
        arena->mapping = NULL;
    }
    if (arena->table != NULL) {
        INS_ASSERT(munmap(arena->table, arena->table_bytes) == 0);
        arena->table = NULL;
    }
}

static uint8_t *page_memory(const struct arena *arena, uint32_t page) {
    INS_ASSERT(page < arena->page_count);
    return arena->base + (size_t)page * INS_PAGE_BYTES;
}

/* Takes the next run of neighbouring units off `units`. */
static void *next_units(uint8_t *memory, uint64_t *units, size_t *out_bytes) {
    uint32_t at = (uint32_t)__builtin_ctzll(*units);
    uint64_t from = ~(*units >> at);
    uint32_t count = from == 0 ? ARENA_PAGE_UNITS : (uint32_t)__builtin_ctzll(from);
    *units &= ~arena_unit_bits(at, count);
    *out_bytes = (size_t)count * ARENA_UNIT_BYTES;
    return memory + (size_t)at * ARENA_UNIT_BYTES;
}

static bool populate_bytes(uint8_t *memory, size_t bytes) {
    if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) {
        return true;
    }
    if (errno != EINVAL) { /* ENOMEM, EHWPOISON, EFAULT: nothing usable there now */
        return false;
    }
    for (size_t at = 0; at < bytes; at += SMALL_PAGE_BYTES) { /* a kernel before 5.14 */
        *(volatile uint8_t *)(memory + at) = 0;
    }
    return true;
}

bool arena_populate(struct arena *arena, uint32_t page, uint64_t units) {
    uint8_t *memory = page_memory(arena, page);
    if (mprotect(memory, INS_PAGE_BYTES, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    for (uint64_t left = units; left != 0;) {
        size_t bytes;
        uint8_t *run = next_units(memory, &left, &bytes);
        if (!populate_bytes(run, bytes)) {
            (void)arena_release(arena, page, units);
            return false;
        }
    }
    return true;
}

bool arena_release(struct arena *arena, uint32_t page, uint64_t units) {
    uint8_t *memory = page_memory(arena, page);
    for (uint64_t left = units; left != 0;) {
        size_t bytes;
        uint8_t *run = next_units(memory, &left, &bytes);
        if (madvise(run, bytes, MADV_DONTNEED) != 0) {
            return false; /* reserved huge pages before Linux 5.18 */
        }
    }
    return true;
}

bool arena_page_set_small(struct arena *arena, uint32_t page, bool small) {
    struct arena_page *here = &arena->pages[page];
    if (arena->pages_kind != ARENA_PAGES_TRANSPARENT || here->small == small) {
        return true;
    }
    int advice = small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE;
    if (madvise(page_memory(arena, page), INS_PAGE_BYTES, advice) != 0) {
        return false; /* the limit of mappings, say */
    }
    here->small = small;
    return true;
}

/* ---- Units ----------------------------------------------------------------------------------*/

/* Where `count` neighbouring ones begin: bit i of the result is set when bits i .. i + count - 1 of
 * `bits` are. Halving: a run of n is two runs that overlap. */
uint64_t arena_runs_of(uint64_t bits, uint32_t count) {
    while (count > 1) {
        uint32_t half = count / 2;
        bits &= bits >> half;
        count -= half;
    }
    return bits;
}

static uint32_t longest_run(uint64_t bits) {
    uint32_t length = 0;
    while (bits != 0) {
        bits &= bits >> 1;
        length++;
    }
    return length;
}

uint64_t arena_unit_bits(uint32_t at, uint32_t count) {
    uint64_t ones = count == ARENA_PAGE_UNITS ? ~0ull : (1ull << count) - 1;
    return ones << at;
}

static void page_unlink(struct arena *arena, uint32_t page) {
    struct arena_page *here = &arena->pages[page];
    if (here->run == 0) {
        return;
    }
    if (here->next != ARENA_NONE) {
        arena->pages[here->next].prev = here->prev;
    }
    if (here->prev != ARENA_NONE) {
        arena->pages[here->prev].next = here->next;
    } else {
        arena->run_pages[here->run] = here->next;
        if (here->next == ARENA_NONE) {
            arena->run_mask &= ~(1ull << (here->run - 1));
        }
    }
    arena->free_page_count -= here->run == ARENA_PAGE_UNITS;
    here->run = 0;
}

static void page_link(struct arena *arena, uint32_t page) {
    struct arena_page *here = &arena->pages[page];
    here->run = longest_run(here->free);
    if (here->run == 0) {
        return;
    }
    here->prev = ARENA_NONE;
    here->next = arena->run_pages[here->run];
    if (here->next != ARENA_NONE) {
        arena->pages[here->next].prev = page;
    }
    arena->run_pages[here->run] = page;
    arena->run_mask |= 1ull << (here->run - 1);
    arena->free_page_count += here->run == ARENA_PAGE_UNITS;
}

void arena_pages_init(struct arena *arena) {
    for (uint32_t run = 0; run <= ARENA_PAGE_UNITS; run++) {
        arena->run_pages[run] = ARENA_NONE;
    }
    arena->raw_pages = ARENA_NONE;
    arena->partial_pages = ARENA_NONE;
}

void arena_page_free(struct arena *arena, uint32_t page, uint64_t free) {
    struct arena_page *here = &arena->pages[page];
    INS_ASSERT((here->free & free) == 0);
    page_unlink(arena, page);
    here->free |= free;
    arena->free_units += (uint32_t)__builtin_popcountll(free);
    page_link(arena, page);
}

void arena_page_take(struct arena *arena, uint32_t page, uint64_t taken) {
    struct arena_page *here = &arena->pages[page];
    INS_ASSERT((here->free & taken) == taken);
    page_unlink(arena, page);
    here->free &= ~taken;
    arena->free_units -= (uint32_t)__builtin_popcountll(taken);
    page_link(arena, page);
}

uint32_t arena_units_take(struct arena *arena, uint32_t count) {
    INS_ASSERT(count >= 1);
    INS_ASSERT(count <= ARENA_PAGE_UNITS);
    uint64_t fitting = arena->run_mask & (~0ull << (count - 1));
    if (fitting == 0) {
        return ARENA_NONE;
    }
    uint32_t page = arena->run_pages[(uint32_t)__builtin_ctzll(fitting) + 1];
    uint64_t starts = arena_runs_of(arena->pages[page].free, count);
    INS_ASSERT(starts != 0);
    uint32_t at = (uint32_t)__builtin_ctzll(starts);
    arena_page_take(arena, page, arena_unit_bits(at, count));
    return page * ARENA_PAGE_UNITS + at;
}

void arena_units_give(struct arena *arena, uint32_t first, uint32_t count) {
    uint32_t page = first / ARENA_PAGE_UNITS;
    arena_page_free(arena, page, arena_unit_bits(first % ARENA_PAGE_UNITS, count));
}
