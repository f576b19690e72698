/* The arena: slots of size classes, counted by purpose, under a hard limit.
 *
 * Path: arena_alloc -> charge the purpose -> a slab of the class with a free slot -> else a new
 * slab from free units -> else one more page from the kernel. arena_free goes back the same way: an
 * empty slab gives its units back, and the units of any class make a whole page again.
 * Failure: NULL, and nothing is charged. A page that the kernel refused is tried again later.
 * Threads: one lock, held for some tens of nanoseconds; dropped while the kernel populates a page
 * (1 to 6 ms for 2 MiB), which is why arena_commit_ahead() should do that beforehand. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/status.h"
#include "mem/mem_private.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif

/* With the address sanitizer a slot's bytes are out of bounds but for those that were asked for. */
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
static void slot_hide(void *slot, size_t size) {
    __asan_poison_memory_region(slot, size);
}
static void slot_show(void *slot, size_t size) {
    __asan_unpoison_memory_region(slot, size);
}
static bool slot_is_shown(void *slot, size_t size) {
    return __asan_region_is_poisoned(slot, size) == NULL;
}
#else
static void slot_hide(void *slot, size_t size) {
    (void)slot;
    (void)size;
}
static void slot_show(void *slot, size_t size) {
    (void)slot;
    (void)size;
}
static bool slot_is_shown(void *slot, size_t size) {
    (void)slot;
    (void)size;
    return true;
}
#endif

static void arena_lock(struct arena *arena) {
    INS_ASSERT(pthread_mutex_lock(&arena->lock) == 0);
}

static void arena_unlock(struct arena *arena) {
    INS_ASSERT(pthread_mutex_unlock(&arena->lock) == 0);
}

/* ---- Pages from the kernel ------------------------------------------------------------------ */

/* A page that is not committed: one that failed before, else the next of the address space. */
static uint32_t raw_page_take(struct arena *arena) {
    uint32_t page = arena->raw_pages;
    if (page != ARENA_NONE) {
        arena->raw_pages = arena->pages[page].next;
        return page;
    }
    return arena->frontier < arena->page_count ? arena->frontier++ : ARENA_NONE;
}

/* One more page; the lock is held at entry and at return, and dropped between. */
static bool commit_page(struct arena *arena) {
    uint32_t page = raw_page_take(arena);
    if (page == ARENA_NONE) {
        return false;
    }
    arena_unlock(arena);
    bool is_populated = arena_populate(arena, page, 1);
    if (is_populated) {
        slot_hide(arena->base + (size_t)page * INS_PAGE_BYTES, INS_PAGE_BYTES);
    }
    arena_lock(arena);
    if (!is_populated) {
        arena->pages[page].next = arena->raw_pages;
        arena->raw_pages = page;
        return false;
    }
    arena->committed_count++;
    INS_ASSERT(arena->committed_count <= arena->page_count);
    arena_page_add(arena, page);
    return true;
}

/* Bytes of whole free pages that are missing from an eighth of what is used. */
static uint64_t ahead_missing(const struct arena *arena) {
    uint64_t target = arena->used / 8;
    target = target < ARENA_AHEAD_MIN ? ARENA_AHEAD_MIN : target;
    target = target > ARENA_AHEAD_MAX ? ARENA_AHEAD_MAX : target;
    uint64_t ready = (uint64_t)arena->free_page_count * INS_PAGE_BYTES;
    uint64_t room = (uint64_t)(arena->page_count - arena->committed_count) * INS_PAGE_BYTES;
    uint64_t missing = ready < target ? align_up(target - ready, INS_PAGE_BYTES) : 0;
    return missing < room ? missing : room;
}

uint64_t arena_commit_ahead(struct arena *arena, uint64_t max_bytes) {
    arena_lock(arena);
    uint64_t missing = ahead_missing(arena);
    for (uint64_t done = 0; missing != 0 && done < max_bytes; done += INS_PAGE_BYTES) {
        if (!commit_page(arena)) {
            missing = 0; /* the machine has no more; asking again at once would not help */
            break;
        }
        missing = ahead_missing(arena);
    }
    arena_unlock(arena);
    return missing;
}

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
    return true;
}

static uint8_t *slab_memory(const struct arena *arena, uint32_t slab) {
    return arena->base + (size_t)slab * ARENA_UNIT_BYTES;
}

/* A slab that has a free slot, made when there is none. ARENA_NONE when memory is used up. */
static uint32_t slab_find(struct arena *arena, uint32_t class_index) {
    while (arena->class_slabs[class_index] == ARENA_NONE) {
        /* Bounded: each turn but the last commits a page, of which there are page_count. */
        if (!slab_make(arena, class_index) && !commit_page(arena)) {
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
    }
}

/* ---- The door ------------------------------------------------------------------------------- */

/* I1: used <= limit. */
static bool charge(struct arena *arena, enum ins_mem_purpose purpose, uint64_t bytes) {
    if (arena->fail_countdown != 0 && --arena->fail_countdown == 0) {
        return false;
    }
    if (bytes > arena->purpose_limit[purpose] - arena->purpose_used[purpose]) {
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
        uint32_t slab = slab_find(arena, class_index);
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

static ins_status check_options(const struct arena_options *options, ins_error *error) {
    uint64_t limit = options->limit_bytes;
    if (limit == 0 || limit % INS_PAGE_BYTES != 0) {
        return ins_fail(error, INS_INVALID,
                        "memory: the arena's limit of %llu bytes is not a multiple of 2 MiB",
                        (unsigned long long)limit);
    }
    if (limit / ARENA_UNIT_BYTES >= ARENA_NONE) {
        return ins_fail(error, INS_INVALID, "memory: the arena's limit of %llu bytes is too large",
                        (unsigned long long)limit);
    }
    uint64_t rest = limit;
    for (uint32_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        if (options->purpose_limit_bytes[i] > rest) { /* I3 */
            return ins_fail(error, INS_INVALID,
                            "memory: the purposes' limits are more than the arena's %llu bytes",
                            (unsigned long long)limit);
        }
        rest -= options->purpose_limit_bytes[i];
    }
    return INS_OK;
}

/* The first page now, so that a machine without memory says so here. */
static ins_status commit_first(struct arena *arena, ins_error *error) {
    arena_lock(arena);
    bool is_committed = commit_page(arena);
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
    arena->page_count = (uint32_t)(options->limit_bytes / INS_PAGE_BYTES);
    memcpy(arena->purpose_limit, options->purpose_limit_bytes, sizeof(arena->purpose_limit));
    arena_classes_init(arena->classes);
    arena_pages_init(arena);
    for (uint32_t i = 0; i < ARENA_CLASS_COUNT; i++) {
        arena->class_slabs[i] = ARENA_NONE;
    }
    status = arena_reserve(arena, options->limit_bytes, options->plain_pages, error);
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
        slot_show(arena->base, (size_t)arena->page_count * INS_PAGE_BYTES);
    }
    arena_unreserve(arena);
    INS_ASSERT(pthread_mutex_destroy(&arena->lock) == 0);
    free(arena);
}

void arena_get_usage(struct arena *arena, struct arena_usage *out_usage) {
    arena_lock(arena);
    *out_usage = (struct arena_usage){
        .pages = arena->pages_kind,
        .limit = (uint64_t)arena->page_count * INS_PAGE_BYTES,
        .committed = (uint64_t)arena->committed_count * INS_PAGE_BYTES,
        .used = arena->used,
    };
    memcpy(out_usage->purpose_used, arena->purpose_used, sizeof(arena->purpose_used));
    memcpy(out_usage->purpose_limit, arena->purpose_limit, sizeof(arena->purpose_limit));
    arena_unlock(arena);
}

bool arena_move_limit(struct arena *arena, enum ins_mem_purpose from, enum ins_mem_purpose to,
                      uint64_t bytes) {
    INS_ASSERT((unsigned)from < INS_MEM_PURPOSE_COUNT);
    INS_ASSERT((unsigned)to < INS_MEM_PURPOSE_COUNT);
    arena_lock(arena);
    bool possible = bytes <= arena->purpose_limit[from] - arena->purpose_used[from];
    if (possible) {
        arena->purpose_limit[from] -= bytes;
        arena->purpose_limit[to] += bytes;
    }
    arena_unlock(arena);
    return possible;
}

uint64_t arena_room(struct arena *arena, enum ins_mem_purpose purpose) {
    INS_ASSERT((unsigned)purpose < INS_MEM_PURPOSE_COUNT);
    arena_lock(arena);
    uint64_t room = arena->purpose_limit[purpose] - arena->purpose_used[purpose];
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
