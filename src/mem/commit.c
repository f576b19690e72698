/* What the arena holds of the machine's memory: units come from the kernel when they are needed, up
 * to the limit, and go back when the limit was lowered.
 *
 * Path: no free units fit -> units of a page some of which are away, so that it becomes whole again
 * -> else a raw page. arena_give_back: whole free pages, then free units of the others.
 * Failure: what the kernel refuses stays away and is tried again later.
 * Invariants: a unit of a page below `frontier` is in a slab, free, away, or with the one thread
 *   that asks the kernel for it or gives it back; that thread has counted it as committed. A page
 * is on the list of raw pages when all of its units are away, on that of partial ones when some
 * are. Threads: the lock is held at entry and at return and dropped around calls of the kernel. */
#include "base/assert.h"
#include "base/bytes.h"
#include "mem/mem_private.h"

#define PARTIAL_LOOKS_MAX 32u /* pages looked at for a place; the next one asks again */
#define TRADE_CALLS_MAX 64u   /* as many units as the largest slab has */

static uint32_t bit_count(uint64_t bits) {
    return (uint32_t)__builtin_popcountll(bits);
}

static uint64_t units_room(const struct arena *arena) {
    return arena->committed_units < arena->limit_units ? arena->limit_units - arena->committed_units
                                                       : 0;
}

/* ---- Which units are away ------------------------------------------------------------------- */

static void partial_unlink(struct arena *arena, uint32_t page) {
    struct arena_page *here = &arena->pages[page];
    if (here->away_next != ARENA_NONE) {
        arena->pages[here->away_next].away_prev = here->away_prev;
    }
    if (here->away_prev != ARENA_NONE) {
        arena->pages[here->away_prev].away_next = here->away_next;
    } else {
        arena->partial_pages = here->away_next;
    }
}

static void partial_link(struct arena *arena, uint32_t page) {
    struct arena_page *here = &arena->pages[page];
    here->away_prev = ARENA_NONE;
    here->away_next = arena->partial_pages;
    if (here->away_next != ARENA_NONE) {
        arena->pages[here->away_next].away_prev = page;
    }
    arena->partial_pages = page;
}

static void raw_push(struct arena *arena, uint32_t page) {
    arena->pages[page].away_next = arena->raw_pages;
    arena->raw_pages = page;
}

/* The page is on no list of away pages while `away` is ~0 and it is not pushed. */
static void set_away(struct arena *arena, uint32_t page, uint64_t away) {
    struct arena_page *here = &arena->pages[page];
    bool was = here->away != 0 && here->away != ~0ull;
    bool is = away != 0 && away != ~0ull;
    here->away = away;
    if (was && !is) {
        partial_unlink(arena, page);
    } else if (!was && is) {
        partial_link(arena, page);
    }
    if (away == ~0ull) {
        raw_push(arena, page);
    }
}

/* A page of which all is there, or nothing, may be a huge one again. */
static void page_settle(struct arena *arena, uint32_t page) {
    const struct arena_page *here = &arena->pages[page];
    if (here->busy == 0 && (here->away == 0 || here->away == ~0ull)) {
        (void)arena_page_set_small(arena, page, false);
    }
}

/* ---- From the kernel ------------------------------------------------------------------------ */

struct place {
    uint32_t page;
    uint64_t units; /* to be asked for */
};

/* Units that are away beside free ones, so that `count` neighbouring ones are free afterwards. */
static bool find_partial(const struct arena *arena, uint32_t count, uint64_t room,
                         struct place *out_place) {
    uint32_t page = arena->partial_pages;
    for (uint32_t i = 0; i < PARTIAL_LOOKS_MAX && page != ARENA_NONE; i++) {
        const struct arena_page *here = &arena->pages[page];
        uint64_t starts = arena_runs_of(here->free | here->away, count);
        if (starts != 0) {
            uint32_t at = (uint32_t)__builtin_ctzll(starts);
            uint64_t least = here->away & arena_unit_bits(at, count);
            bool all = bit_count(here->away) <= room;
            if (all || bit_count(least) <= room) {
                *out_place = (struct place){page, all ? here->away : least};
                return true;
            }
        }
        page = here->away_next;
    }
    return false;
}

/* A page of which nothing is there; `fresh`: also one that was never asked for. */
static bool find_raw(struct arena *arena, uint32_t count, uint64_t room, bool fresh,
                     struct place *out_place) {
    uint32_t page = arena->raw_pages;
    if (room < count || (page == ARENA_NONE && (!fresh || arena->frontier == arena->page_count))) {
        return false;
    }
    if (page != ARENA_NONE) {
        arena->raw_pages = arena->pages[page].away_next;
    } else {
        page = arena->frontier++;
        arena->pages[page] = (struct arena_page){.away = ~0ull};
    }
    bool whole = room >= ARENA_PAGE_UNITS || arena->pages_kind == ARENA_PAGES_RESERVED;
    *out_place = (struct place){page, whole ? ~0ull : arena_unit_bits(0, count)};
    return true;
}

static bool bring(struct arena *arena, struct place place) {
    struct arena_page *here = &arena->pages[place.page];
    uint32_t count = bit_count(place.units);
    INS_ASSERT((here->away & place.units) == place.units);
    if (!arena_page_set_small(arena, place.page, place.units != ~0ull)) {
        set_away(arena, place.page, here->away); /* back on the list that it came from */
        return false;
    }
    set_away(arena, place.page, here->away & ~place.units);
    arena->committed_units += count;
    here->busy++;
    arena_unlock(arena);
    bool brought = arena_populate(arena, place.page, place.units);
    if (brought) {
        uint8_t *memory = arena->base + (size_t)place.page * INS_PAGE_BYTES;
        for (uint32_t i = 0; i < ARENA_PAGE_UNITS; i++) {
            if ((place.units >> i & 1) != 0) {
                slot_hide(memory + (size_t)i * ARENA_UNIT_BYTES, ARENA_UNIT_BYTES);
            }
        }
    }
    arena_lock(arena);
    here->busy--;
    if (!brought) {
        arena->committed_units -= count;
        set_away(arena, place.page, here->away | place.units);
        return false;
    }
    page_settle(arena, place.page);
    arena_page_free(arena, place.page, place.units);
    return true;
}

static uint64_t give_units(struct arena *arena, uint64_t excess, bool small_first);

/* After the limit was lowered what is in use lies thinly spread: free units here and there, none
 * beside the other. They are changed for neighbours, as many as are wanted; what is committed does
 * not grow. Returns how many may be asked for. */
static uint64_t trade(struct arena *arena, uint32_t count) {
    bool thin = arena->partial_pages != ARENA_NONE || arena->raw_pages != ARENA_NONE;
    if (!thin || arena->free_units < count || arena->pages_kind == ARENA_PAGES_RESERVED) {
        return 0;
    }
    uint64_t room = units_room(arena);
    for (uint32_t i = 0; i < TRADE_CALLS_MAX && room < count; i++) {
        uint64_t given = give_units(arena, count - room, true);
        if (given == 0) {
            return 0;
        }
        room += given;
    }
    return room;
}

bool arena_commit(struct arena *arena, uint32_t count) {
    struct place place;
    uint64_t room = units_room(arena);
    if (find_partial(arena, count, room, &place) || find_raw(arena, count, room, true, &place)) {
        return bring(arena, place);
    }
    room = trade(arena, count);
    return (find_partial(arena, count, room, &place) ||
            find_raw(arena, count, room, false, &place)) &&
           bring(arena, place);
}

/* Bytes of whole free pages that are missing from an eighth of what is used. */
static uint64_t ahead_missing(const struct arena *arena) {
    uint64_t target = arena->used / 8;
    target = target < ARENA_AHEAD_MIN ? ARENA_AHEAD_MIN : target;
    target = target > ARENA_AHEAD_MAX ? ARENA_AHEAD_MAX : target;
    uint64_t ready = (uint64_t)arena->free_page_count * INS_PAGE_BYTES;
    uint64_t room = units_room(arena) / ARENA_PAGE_UNITS * INS_PAGE_BYTES;
    uint64_t missing = ready < target ? align_up(target - ready, INS_PAGE_BYTES) : 0;
    return missing < room ? missing : room;
}

uint64_t arena_commit_ahead(struct arena *arena, uint64_t max_bytes) {
    arena_lock(arena);
    uint64_t missing = ahead_missing(arena);
    for (uint64_t done = 0; missing != 0 && done < max_bytes; done += INS_PAGE_BYTES) {
        struct place place;
        if (!find_raw(arena, ARENA_PAGE_UNITS, units_room(arena), true, &place) ||
            !bring(arena, place)) {
            missing = 0; /* the machine has no more; asking again at once would not help */
            break;
        }
        missing = ahead_missing(arena);
    }
    arena_unlock(arena);
    return missing;
}

/* ---- Back to the kernel --------------------------------------------------------------------- */

/* Free units of one page, at most `excess`. Returns how many went. */
static uint64_t give_units(struct arena *arena, uint64_t excess, bool small_first) {
    if (arena->run_mask == 0 || excess == 0) {
        return 0;
    }
    uint32_t run = (uint32_t)(small_first ? __builtin_ctzll(arena->run_mask)
                                          : 63 - __builtin_clzll(arena->run_mask)) +
                   1;
    uint32_t page = arena->run_pages[run];
    uint64_t units = arena->pages[page].free;
    if (arena->pages_kind == ARENA_PAGES_RESERVED) {
        if (run < ARENA_PAGE_UNITS) {
            return 0;
        }
    } else {
        while (bit_count(units) > excess) {
            units &= units - 1;
        }
    }
    struct arena_page *here = &arena->pages[page];
    if (units != ~0ull && !arena_page_set_small(arena, page, true)) {
        return 0;
    }
    arena_page_take(arena, page, units);
    here->busy++;
    arena_unlock(arena);
    bool gone = arena_release(arena, page, units);
    arena_lock(arena);
    here->busy--;
    if (!gone) {
        arena_page_free(arena, page, units);
        return 0;
    }
    arena->committed_units -= bit_count(units);
    set_away(arena, page, here->away | units);
    page_settle(arena, page);
    return bit_count(units);
}

uint64_t arena_give_back(struct arena *arena, uint32_t calls_max) {
    uint64_t given = 0;
    arena_lock(arena);
    for (uint32_t i = 0; i < calls_max && arena->committed_units > arena->limit_units; i++) {
        uint64_t kept = arena_reserve_units(arena); /* so that requests go on meanwhile */
        uint64_t over = arena->committed_units - arena->limit_units;
        uint64_t spare = arena->free_units > kept ? arena->free_units - kept : 0;
        uint64_t now = give_units(arena, over < spare ? over : spare, false);
        if (now == 0) {
            break;
        }
        given += now;
    }
    arena_unlock(arena);
    return given * ARENA_UNIT_BYTES;
}
