/* The arena: slots of size classes, counted by purpose, under a hard limit.
 *
 * Path: arena_alloc -> charge the purpose -> a slab of the class with a free slot -> else a new
 * slab from free units -> else one more page from the kernel. arena_free goes back the same way: an
 * empty slab gives its units back, and the units of any class make a whole page again.
 * Failure: NULL, and nothing is charged. A page that the kernel refused is tried again later.
 * Threads: one lock, held for some tens of nanoseconds; dropped while the kernel populates a page
 * (1 to 6 ms for 2 MiB), which is why arena_commit_ahead() should do that beforehand. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/status.h"
#include "mem/mem_private.h"

/* ---- Slabs ---------------------------------------------------------------------------------- */

static void slab_link(struct arena *arena, uint32_t slab) {
    struct arena_unit *here = &arena->units[slab];
    uint32_t *head = &arena->class_slabs[here->class_index];
    here->prev = ARENA_NONE;
    here->next = *head;
    if (here->next != ARENA_NONE) {
        arena->units[here->next].prev = slab;
    }
    *head = slab;
}

static void slab_unlink(struct arena *arena, uint32_t slab) {
    struct arena_unit *here = &arena->units[slab];
    if (here->next != ARENA_NONE) {
        arena->units[here->next].prev = here->prev;
    }
    if (here->prev != ARENA_NONE) {
        arena->units[here->prev].next = here->next;
    } else {
        arena->class_slabs[here->class_index] = here->next;
    }
}

uint64_t arena_reserve_units(const struct arena *arena) {
    uint64_t others = arena->used - arena->purpose_used[INS_MEM_CACHE];
    uint64_t wanted = others < arena->others_limit ? arena->others_limit - others : 0;
    wanted = (wanted + ARENA_UNIT_BYTES - 1) / ARENA_UNIT_BYTES;
    uint64_t most = arena->limit_units / ARENA_RESERVE_SHARE;
    return wanted < most ? wanted : most;
}

/* Half used slabs cost more than is charged. The cache pays for that: it leaves units to the
 * others, as far as these may take any, and gives up blocks when there are fewer. */
static bool leaves_enough(const struct arena *arena, uint64_t count) {
    uint64_t left = arena->free_units;
    left += arena->committed_units < arena->limit_units
                ? arena->limit_units - arena->committed_units
                : 0;
    return left >= arena_reserve_units(arena) + count;
}

static void note_shortage(struct arena *arena) {
    atomic_store_explicit(&arena->is_short, !leaves_enough(arena, 0), memory_order_relaxed);
}

static bool slab_make(struct arena *arena, uint32_t class_index) {
    uint32_t unit_count = arena->classes[class_index].unit_count;
    uint32_t slab = arena_units_take(arena, unit_count);
    if (slab == ARENA_NONE) {
        return false;
    }
    for (uint32_t i = 0; i < unit_count; i++) {
        arena->units[slab + i].back = (uint8_t)i;
    }
    struct arena_unit *here = &arena->units[slab];
    INS_ASSERT(!here->is_slab);
    *here = (struct arena_unit){.class_index = (uint8_t)class_index, .is_slab = true};
    slab_link(arena, slab);
    note_shortage(arena);
    return true;
}

static uint8_t *slab_memory(const struct arena *arena, uint32_t slab) {
    return arena->base + (size_t)slab * ARENA_UNIT_BYTES;
}

/* A slab that has a free slot, made when there is none. ARENA_NONE when memory is used up. */
static uint32_t slab_find(struct arena *arena, enum ins_mem_purpose purpose, uint32_t class_index) {
    while (arena->class_slabs[class_index] == ARENA_NONE) {
        if (purpose == INS_MEM_CACHE &&
            !leaves_enough(arena, arena->classes[class_index].unit_count)) {
            return ARENA_NONE;
        }
        /* Bounded: each turn but the last commits units, of which there are limit_units. */
        if (!slab_make(arena, class_index) &&
            !arena_commit(arena, arena->classes[class_index].unit_count)) {
            return ARENA_NONE;
        }
    }
    return arena->class_slabs[class_index];
}

static void *slot_take(struct arena *arena, uint32_t slab) {
    struct arena_unit *here = &arena->units[slab];
    const struct arena_class *class = &arena->classes[here->class_index];
    void *slot = here->free_slots;
    if (slot != NULL) {
        slot_show(slot, sizeof(void *));
        memcpy(&here->free_slots, slot, sizeof(void *));
    } else {
        INS_ASSERT(here->fresh < class->slot_count);
        slot = slab_memory(arena, slab) + (size_t)here->fresh * class->slot_bytes;
        here->fresh++;
    }
    here->used++;
    if (here->used == class->slot_count) {
        slab_unlink(arena, slab);
    }
    return slot;
}

static void slot_give(struct arena *arena, void *slot, uint32_t class_index) {
    size_t offset = (size_t)((uint8_t *)slot - arena->base);
    INS_ASSERT(offset < (size_t)arena->page_count * INS_PAGE_BYTES);
    uint32_t unit = (uint32_t)(offset / ARENA_UNIT_BYTES);
    uint32_t slab = unit - arena->units[unit].back;
    struct arena_unit *here = &arena->units[slab];
    const struct arena_class *class = &arena->classes[class_index];
    /* A wrong size, a pointer into a block, a second free of the last block of a slab. */
    INS_ASSERT(here->is_slab);
    INS_ASSERT(here->class_index == class_index);
    INS_ASSERT(here->used != 0);
    uint32_t within = (uint32_t)(offset - (size_t)slab * ARENA_UNIT_BYTES);
    INS_ASSERT(within % class->slot_bytes == 0);

    memcpy(slot, &here->free_slots, sizeof(void *));
    here->free_slots = slot;
    slot_hide(slot, class->slot_bytes);
    if (here->used == class->slot_count) {
        slab_link(arena, slab);
    }
    here->used--;
    if (here->used == 0) {
        slab_unlink(arena, slab);
        here->is_slab = false;
        arena_units_give(arena, slab, class->unit_count);
        note_shortage(arena);
    }
}

/* ---- The door ------------------------------------------------------------------------------- */

/* 0 while a limit that was lowered is exceeded. */
static uint64_t purpose_room(const struct arena *arena, enum ins_mem_purpose purpose) {
    uint64_t limit = arena->purpose_limit[purpose], used = arena->purpose_used[purpose];
    return used < limit ? limit - used : 0;
}

/* I1: used <= limit. */
static bool charge(struct arena *arena, enum ins_mem_purpose purpose, uint64_t bytes) {
    if (arena->fail_countdown != 0 && --arena->fail_countdown == 0) {
        return false;
    }
    if (bytes > purpose_room(arena, purpose)) {
        return false;
    }
    arena->purpose_used[purpose] += bytes;
    arena->used += bytes;
    return true;
}

static void discharge(struct arena *arena, enum ins_mem_purpose purpose, uint64_t bytes) {
    INS_ASSERT(arena->purpose_used[purpose] >= bytes);
    INS_ASSERT(arena->used >= bytes);
    arena->purpose_used[purpose] -= bytes;
    arena->used -= bytes;
}

void *arena_alloc(struct arena *arena, enum ins_mem_purpose purpose, size_t size) {
    INS_ASSERT(arena != NULL);
    INS_ASSERT((unsigned)purpose < INS_MEM_PURPOSE_COUNT);
    uint32_t class_index = arena_class_index(size);
    uint32_t slot_bytes = arena->classes[class_index].slot_bytes;
    void *slot = NULL;

    arena_lock(arena);
    if (charge(arena, purpose, slot_bytes)) {
        uint32_t slab = slab_find(arena, purpose, class_index);
        if (slab != ARENA_NONE) {
            slot = slot_take(arena, slab);
        } else {
            discharge(arena, purpose, slot_bytes);
        }
    }
    arena_unlock(arena);
    if (slot != NULL) {
        slot_hide(slot, slot_bytes);
        slot_show(slot, size);
    }
    return slot;
}

void *arena_alloc_zero(struct arena *arena, enum ins_mem_purpose purpose, size_t size) {
    void *memory = arena_alloc(arena, purpose, size);
    return memory == NULL ? NULL : memset(memory, 0, size);
}

void arena_free(struct arena *arena, enum ins_mem_purpose purpose, void *memory, size_t size) {
    if (memory == NULL) {
        return;
    }
    INS_ASSERT((unsigned)purpose < INS_MEM_PURPOSE_COUNT);
    INS_ASSERT(slot_is_shown(memory, size)); /* the sanitizer's build knows a second free */
    uint32_t class_index = arena_class_index(size);
    uint32_t slot_bytes = arena->classes[class_index].slot_bytes;
    slot_show(memory, slot_bytes); /* a slot may be smaller than the link in it */
    arena_lock(arena);
    discharge(arena, purpose, slot_bytes);
    slot_give(arena, memory, class_index);
    arena_unlock(arena);
}

static void sum_others(struct arena *arena) {
    arena->others_limit = 0;
    for (uint32_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        arena->others_limit += i == INS_MEM_CACHE ? 0 : arena->purpose_limit[i];
    }
}

static bool purposes_fit(uint64_t limit_bytes, const uint64_t *purpose_limit_bytes) { /* I3 */
    uint64_t rest = limit_bytes;
    for (uint32_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        if (purpose_limit_bytes[i] > rest) {
            return false;
        }
        rest -= purpose_limit_bytes[i];
    }
    return true;
}

static ins_status check_options(const struct arena_options *options, ins_error *error) {
    const struct {
        const char *name;
        uint64_t bytes;
    } sizes[] = {{"limit", options->limit_bytes}, {"ceiling", options->ceiling_bytes}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if ((sizes[i].bytes == 0 && i == 0) || sizes[i].bytes % INS_PAGE_BYTES != 0) {
            return ins_fail(error, INS_INVALID,
                            "memory: the arena's %s of %llu bytes is not a multiple of 2 MiB",
                            sizes[i].name, (unsigned long long)sizes[i].bytes);
        }
        if (sizes[i].bytes / ARENA_UNIT_BYTES >= ARENA_NONE) {
            return ins_fail(error, INS_INVALID, "memory: the arena's %s of %llu bytes is too large",
                            sizes[i].name, (unsigned long long)sizes[i].bytes);
        }
    }
    if (!purposes_fit(options->limit_bytes, options->purpose_limit_bytes)) {
        return ins_fail(error, INS_INVALID,
                        "memory: the purposes' limits are more than the arena's %llu bytes",
                        (unsigned long long)options->limit_bytes);
    }
    return INS_OK;
}

/* The first page now, so that a machine without memory says so here. */
static ins_status commit_first(struct arena *arena, ins_error *error) {
    arena_lock(arena);
    bool is_committed = arena_commit(arena, ARENA_PAGE_UNITS);
    arena_unlock(arena);
    return is_committed ? INS_OK
                        : ins_fail(error, INS_FULL, "memory: the machine has no free page");
}

ins_status arena_open(const struct arena_options *options, struct arena **out_arena,
                      ins_error *error) {
    INS_ASSERT(options != NULL);
    INS_ASSERT(out_arena != NULL);
    ins_status status = check_options(options, error);
    if (status != INS_OK) {
        return status;
    }
    struct arena *arena = calloc(1, sizeof(*arena));
    if (arena == NULL) {
        return ins_fail(error, INS_FULL, "memory: no memory for the arena itself");
    }
    INS_ASSERT(pthread_mutex_init(&arena->lock, NULL) == 0);
    arena->limit_units = options->limit_bytes / ARENA_UNIT_BYTES;
    memcpy(arena->purpose_limit, options->purpose_limit_bytes, sizeof(arena->purpose_limit));
    sum_others(arena);
    arena_classes_init(arena->classes);
    arena_pages_init(arena);
    for (uint32_t i = 0; i < ARENA_CLASS_COUNT; i++) {
        arena->class_slabs[i] = ARENA_NONE;
    }
    status = arena_reserve(arena, options, error);
    if (status != INS_OK) {
        goto fail;
    }
    status = commit_first(arena, error);
    if (status != INS_OK) {
        goto fail;
    }
    *out_arena = arena;
    return INS_OK;

fail:
    arena_close(arena);
    return status;
}

void arena_close(struct arena *arena) {
    if (arena == NULL) {
        return;
    }
    if (arena->base != NULL) { /* another mapping may come to lie here */
        slot_show(arena->base, (size_t)arena->frontier * INS_PAGE_BYTES);
    }
    arena_unreserve(arena);
    INS_ASSERT(pthread_mutex_destroy(&arena->lock) == 0);
    free(arena);
}

void arena_get_usage(struct arena *arena, struct arena_usage *out_usage) {
    arena_lock(arena);
    *out_usage = (struct arena_usage){
        .pages = arena->pages_kind,
        .ceiling = (uint64_t)arena->page_count * INS_PAGE_BYTES,
        .limit = arena->limit_units * ARENA_UNIT_BYTES,
        .committed = arena->committed_units * ARENA_UNIT_BYTES,
        .used = arena->used,
    };
    memcpy(out_usage->purpose_used, arena->purpose_used, sizeof(arena->purpose_used));
    memcpy(out_usage->purpose_limit, arena->purpose_limit, sizeof(arena->purpose_limit));
    arena_unlock(arena);
}

void arena_set_limits(struct arena *arena, uint64_t limit_bytes,
                      const uint64_t purpose_limit_bytes[static INS_MEM_PURPOSE_COUNT]) {
    INS_ASSERT(limit_bytes != 0);
    INS_ASSERT(limit_bytes % INS_PAGE_BYTES == 0);
    INS_ASSERT(limit_bytes <= (uint64_t)arena->page_count * INS_PAGE_BYTES);
    INS_ASSERT(purposes_fit(limit_bytes, purpose_limit_bytes));
    arena_lock(arena);
    arena->limit_units = limit_bytes / ARENA_UNIT_BYTES;
    memcpy(arena->purpose_limit, purpose_limit_bytes, sizeof(arena->purpose_limit));
    sum_others(arena);
    note_shortage(arena);
    arena_unlock(arena);
}

bool arena_is_over(struct arena *arena, enum ins_mem_purpose purpose) {
    INS_ASSERT((unsigned)purpose < INS_MEM_PURPOSE_COUNT);
    arena_lock(arena);
    bool over = arena->purpose_used[purpose] > arena->purpose_limit[purpose];
    arena_unlock(arena);
    return over;
}

bool arena_is_short(const struct arena *arena) {
    return atomic_load_explicit(&arena->is_short, memory_order_relaxed);
}

bool arena_move_limit(struct arena *arena, enum ins_mem_purpose from, enum ins_mem_purpose to,
                      uint64_t bytes) {
    INS_ASSERT((unsigned)from < INS_MEM_PURPOSE_COUNT);
    INS_ASSERT((unsigned)to < INS_MEM_PURPOSE_COUNT);
    arena_lock(arena);
    bool possible = bytes <= purpose_room(arena, from);
    if (possible) {
        arena->purpose_limit[from] -= bytes;
        arena->purpose_limit[to] += bytes;
        sum_others(arena);
    }
    arena_unlock(arena);
    return possible;
}

uint64_t arena_room(struct arena *arena, enum ins_mem_purpose purpose) {
    INS_ASSERT((unsigned)purpose < INS_MEM_PURPOSE_COUNT);
    arena_lock(arena);
    uint64_t room = purpose_room(arena, purpose);
    arena_unlock(arena);
    return room;
}

const char *arena_pages_text(enum arena_pages pages) {
    switch (pages) {
    case ARENA_PAGES_RESERVED:
        return "reserved 2 MiB";
    case ARENA_PAGES_TRANSPARENT:
        return "transparent 2 MiB";
    case ARENA_PAGES_PLAIN:
        return "4 KiB";
    }
    return "unknown";
}

void arena_fail_at(struct arena *arena, uint64_t countdown) {
    arena_lock(arena);
    arena->fail_countdown = countdown;
    arena_unlock(arena);
}
