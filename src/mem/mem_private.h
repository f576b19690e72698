/* What the files of mem/ share: the arena's inside.
 *
 * Address space -> pages of 2 MiB -> units of 32 KiB -> slabs (1 .. 64 units of one page) -> slots.
 * A slab holds slots of one size class; the largest classes have one slot a slab. Small slabs share
 * pages: with a page for each of the 64 classes, a process of 256 MiB would lose half of it. */
#ifndef INS_MEM_MEM_PRIVATE_H
#define INS_MEM_MEM_PRIVATE_H

#include <pthread.h>

#include "base/assert.h"
#include "mem/mem.h"

#define ARENA_UNIT_BYTES (32u << 10)
#define ARENA_PAGE_UNITS 64u /* the bits of struct arena_page.free */
#define ARENA_CLASS_COUNT 64u
#define ARENA_NONE UINT32_MAX   /* no page, no unit */
#define ARENA_RESERVE_SHARE 32u /* of the limit: what the cache leaves to the others at most */
#define ARENA_AHEAD_MIN INS_PAGE_BYTES
#define ARENA_AHEAD_MAX (64u << 20)

_Static_assert(ARENA_UNIT_BYTES *ARENA_PAGE_UNITS == INS_PAGE_BYTES, "units fill a page");
_Static_assert(INS_BLOCK_BYTES_MAX <= INS_PAGE_BYTES, "a slot lies in one page");

struct arena_class {
    uint32_t slot_bytes, slot_count; /* slot_count of one slab */
    uint32_t unit_count;             /* of one slab */
};

/* One a unit. Only a slab's first unit uses more than `back`. */
struct arena_unit {
    void *free_slots;    /* linked through their first word */
    uint32_t next, prev; /* slabs of the class that have a free slot */
    uint16_t used;       /* slots given out now */
    uint16_t fresh;      /* slots ever given out: those behind were never touched */
    uint8_t class_index;
    uint8_t back; /* units to the slab's first */
    bool is_slab;
};

struct arena_page {
    uint64_t free;                 /* committed units that no slab holds */
    uint64_t away;                 /* units that are not committed */
    uint32_t next, prev;           /* pages with the same `run` */
    uint32_t away_next, away_prev; /* raw pages (all units are away): next only; partial pages */
    uint32_t run;                  /* longest run of free units */
    uint16_t busy;                 /* threads that ask the kernel for units or give some back */
    bool small;                    /* the kernel was told not to put a huge page here */
};

struct arena {
    /* Immutable. */
    uint8_t *base;
    void *mapping, *table;
    size_t mapping_bytes, table_bytes;
    uint32_t page_count; /* of the address space: the limit can be raised up to here */
    enum arena_pages pages_kind;
    struct arena_class classes[ARENA_CLASS_COUNT];
    struct arena_page *pages; /* [page_count], in `table` like `units` */
    struct arena_unit *units; /* [page_count * ARENA_PAGE_UNITS] */

    /* Under `lock`. */
    pthread_mutex_t lock;
    uint64_t purpose_limit[INS_MEM_PURPOSE_COUNT];
    uint64_t purpose_used[INS_MEM_PURPOSE_COUNT], used;
    uint64_t fail_countdown;
    uint32_t class_slabs[ARENA_CLASS_COUNT];   /* first slab with a free slot */
    uint32_t run_pages[ARENA_PAGE_UNITS + 1u]; /* first page whose longest free run is so long */
    uint64_t run_mask;                         /* bit r - 1: run_pages[r] is not empty */
    uint32_t free_page_count;                  /* committed and wholly free */
    uint32_t frontier;                         /* pages from here on were never asked for */
    uint32_t raw_pages;     /* below `frontier`: given back, or committing them failed */
    uint32_t partial_pages; /* some units of them are away */
    uint64_t committed_units, limit_units; /* more than the limit only while it was just lowered */
    uint64_t free_units;                   /* committed, in no slab */
    uint64_t others_limit;                 /* of all purposes but the cache */
    _Atomic bool is_short; /* the cache has not left enough to them; read without the lock */
};

/* Size classes: 16 .. 128 in steps of 16, then four a doubling. */
uint32_t arena_class_index(size_t size);
void arena_classes_init(struct arena_class classes[static ARENA_CLASS_COUNT]);

/* Units that the cache leaves to the others, as far as these may take any; under the lock. */
uint64_t arena_reserve_units(const struct arena *arena);

/* Address space and the kernel. */
ins_status arena_reserve(struct arena *arena, const struct arena_options *options,
                         ins_error *error);
void arena_unreserve(struct arena *arena);
/* Makes these units of a page readable, writable and resident. False, and none is, when the kernel
 * says no. Takes up to milliseconds; called without the lock. */
bool arena_populate(struct arena *arena, uint32_t page, uint64_t units);
/* Their bytes are lost and the kernel has the memory. False: it does not take them back. Called
 * without the lock. */
bool arena_release(struct arena *arena, uint32_t page, uint64_t units);
/* A page of which units are away must stay one of small pages: else the kernel puts a huge one
 * there again by and by, and they are back. Under the lock. False: it cannot be. */
bool arena_page_set_small(struct arena *arena, uint32_t page, bool small);

/* Units of committed pages; under the lock. */
void arena_pages_init(struct arena *arena);
/* Bits of `free` are added to or taken from the page's. */
void arena_page_free(struct arena *arena, uint32_t page, uint64_t free);
void arena_page_take(struct arena *arena, uint32_t page, uint64_t taken);
/* The first of `count` free neighbouring units of one page, or ARENA_NONE. */
uint32_t arena_units_take(struct arena *arena, uint32_t count);
void arena_units_give(struct arena *arena, uint32_t first, uint32_t count);
/* Where `count` neighbouring ones of `bits` begin, and `count` ones from `at` on. */
uint64_t arena_runs_of(uint64_t bits, uint32_t count);
uint64_t arena_unit_bits(uint32_t at, uint32_t count);

/* commit.c: more units of the kernel, so that `count` neighbouring ones are free. The lock is held
 * at entry and at return, and dropped between. False: the limit or the machine's. */
bool arena_commit(struct arena *arena, uint32_t count);

static inline void arena_lock(struct arena *arena) {
    INS_ASSERT(pthread_mutex_lock(&arena->lock) == 0);
}

static inline void arena_unlock(struct arena *arena) {
    INS_ASSERT(pthread_mutex_unlock(&arena->lock) == 0);
}

/* With the address sanitizer a slot's bytes are out of bounds but for those that were asked for. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
static inline void slot_hide(void *slot, size_t size) {
    __asan_poison_memory_region(slot, size);
}
static inline void slot_show(void *slot, size_t size) {
    __asan_unpoison_memory_region(slot, size);
}
static inline bool slot_is_shown(void *slot, size_t size) {
    return __asan_region_is_poisoned(slot, size) == NULL;
}
#else
static inline void slot_hide(void *slot, size_t size) {
    (void)slot;
    (void)size;
}
static inline void slot_show(void *slot, size_t size) {
    (void)slot;
    (void)size;
}
static inline bool slot_is_shown(void *slot, size_t size) {
    (void)slot;
    (void)size;
    return true;
}
#endif

/* mem_machine_bytes() on the trees below `proc` and `cgroup`, for tests. */
uint64_t mem_machine_bytes_at(const char *proc, const char *cgroup);

#endif
