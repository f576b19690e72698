/* What the files of mem/ share: the arena's inside.
 *
 * Address space -> pages of 2 MiB -> units of 32 KiB -> slabs (1 .. 64 units of one page) -> slots.
 * A slab holds slots of one size class; the largest classes have one slot a slab. Small slabs share
 * pages: with a page for each of the 64 classes, a process of 256 MiB would lose half of it. */
#ifndef INS_MEM_MEM_PRIVATE_H
#define INS_MEM_MEM_PRIVATE_H

#include <pthread.h>

#include "mem/mem.h"

#define ARENA_UNIT_BYTES (32u << 10)
#define ARENA_PAGE_UNITS 64u /* the bits of struct arena_page.free */
#define ARENA_CLASS_COUNT 64u
#define ARENA_NONE UINT32_MAX /* no page, no unit */
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
    uint64_t free;       /* units that no slab holds */
    uint32_t next, prev; /* committed pages with the same `run`; raw pages: next only */
    uint32_t run;        /* longest run of free units */
};

struct arena {
    /* Immutable. */
    uint8_t *base;
    void *mapping, *table;
    size_t mapping_bytes, table_bytes;
    uint32_t page_count;
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
    uint32_t committed_count, frontier;        /* pages from `frontier` on were never asked for */
    uint32_t raw_pages;                        /* below `frontier`, not committed: that failed */
};

/* Size classes: 16 .. 128 in steps of 16, then four a doubling. */
uint32_t arena_class_index(size_t size);
void arena_classes_init(struct arena_class classes[static ARENA_CLASS_COUNT]);

/* Address space and the kernel. */
ins_status arena_reserve(struct arena *arena, uint64_t limit_bytes, bool plain_pages,
                         ins_error *error);
void arena_unreserve(struct arena *arena);
/* Makes `count` pages from `first` on readable, writable and resident. False when the kernel says
 * no. Takes milliseconds; called without the lock. */
bool arena_populate(struct arena *arena, uint32_t first, uint32_t count);

/* Units of committed pages; under the lock. */
void arena_pages_init(struct arena *arena);
void arena_page_add(struct arena *arena, uint32_t page);
/* The first of `count` free neighbouring units of one page, or ARENA_NONE. */
uint32_t arena_units_take(struct arena *arena, uint32_t count);
void arena_units_give(struct arena *arena, uint32_t first, uint32_t count);

/* mem_machine_bytes() on the trees below `proc` and `cgroup`, for tests. */
uint64_t mem_machine_bytes_at(const char *proc, const char *cgroup);

#endif
