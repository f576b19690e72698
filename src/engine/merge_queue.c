#include "engine/merge_queue.h"

#include "base/assert.h"
#include "engine/engine_private.h"

#define RUNS_FREE_MIN                                                                              \
    4u /* while a graph is made of the others: fewer cost too much for what goes */

/* ---- What to merge ---- */

static uint32_t runs_allowed(const struct island *island) {
    return (island->flags & ISLAND_DIRECTORY) != 0 ? INS_RUNS_DIRECTORY : INS_RUNS_MERGE;
}

/* Of those that no graph is made of, some are worth a merge. */
static bool too_many_runs(const struct island *island) {
    uint32_t free_runs = (uint32_t)island->run_count - island->runs_held;
    return island->run_count > runs_allowed(island) &&
           (island->runs_held == 0 || free_runs >= RUNS_FREE_MIN);
}

bool merge_plan_worth(enum merge_reason reason, uint32_t share, uint64_t dead, uint64_t rows) {
    switch (reason) {
    case MERGE_NONE:
        return false;
    case MERGE_RUNS:
    case MERGE_DEAD:
        return dead > rows - dead;
    case MERGE_SETTLE:
        return dead > 0 && MERGE_SHARES * dead >= share * rows;
    case MERGE_ERASE:
        return dead > 0;
    }
    return false;
}

uint32_t merge_dead_share(const struct island *island) {
    uint64_t rows = island_row_count(island);
    return rows == 0 ? 0 : (uint32_t)(MERGE_SHARES * (uint64_t)island->dead_most / rows);
}

static bool is_searched(const struct island *island) {
    return (island->flags & ISLAND_READ) != 0 && island->run_count > INS_RUNS_SEARCHED;
}

enum merge_reason merge_reason_of(const struct island *island, enum merge_reason least,
                                  uint32_t share) {
    uint64_t rows = island_row_count(island);
    INS_ASSERT(island->dead_most <= rows);
    if (too_many_runs(island)) {
        return MERGE_RUNS;
    }
    if (island->runs_held > 0) {
        return MERGE_NONE; /* they are looked at when the graph is made */
    }
    if (merge_plan_worth(MERGE_DEAD, 0, island->dead_most, rows)) {
        return MERGE_DEAD;
    }
    bool tidied = is_searched(island) || merge_plan_worth(least, share, island->dead_most, rows);
    return least != MERGE_NONE && tidied ? least : MERGE_NONE;
}

/* The longest window from `first` on that one merge can take. */
static struct merge_window window_from(const struct island *island, uint32_t first) {
    struct merge_window window = {.first = first};
    uint32_t large = 0;
    while (first + window.count < island->run_count && window.count < MERGE_RUNS_MAX) {
        large += (island->runs[first + window.count].flags & RUN_SMALL) == 0;
        if (large > MERGE_LARGE_MAX) {
            break;
        }
        window.count++;
    }
    return window;
}

static uint64_t square(uint32_t runs) {
    return (uint64_t)runs * runs;
}

/* Of all windows of adjacent runs the one with the fewest bytes for the square of the runs that go;
 * of equal ones the longest. An island's runs become like tiers: runs of like size are merged
 * together, and a large old one is left alone until those above it have grown. The square, since
 * room for one more run alone is soon used up: what was merged for it would be merged again.
 * `least`: of so many runs or more. */
static struct merge_window cheapest_window(const struct island *island, uint32_t least) {
    struct merge_window best = {0};
    uint64_t best_bytes = 0;
    for (uint32_t first = island->runs_held; first + 1 < island->run_count; first++) {
        uint32_t longest = window_from(island, first).count;
        uint64_t bytes = run_bytes(&island->runs[first]);
        for (uint32_t count = 2; count <= longest; count++) {
            bytes += run_bytes(&island->runs[first + count - 1]);
            if (count < least) {
                continue;
            }
            /* bytes / (count - 1)^2 against the best one's, without fractions */
            uint64_t cost = bytes * square(best.count - 1);
            uint64_t best_cost = best_bytes * square(count - 1);
            if (best.count == 0 || cost < best_cost || (cost == best_cost && count > best.count)) {
                best = (struct merge_window){.first = first, .count = count};
                best_bytes = bytes;
            }
        }
    }
    return best;
}

void merge_plan_make(const struct island *island, enum merge_reason reason, uint32_t share,
                     struct merge_plan *out) {
    *out = (struct merge_plan){.reason = reason, .share = share};
    if (island->runs_held == 0 &&
        merge_plan_worth(reason, share, island->dead_most, island_row_count(island))) {
        out->all = window_from(island, 0);
        out->counted.count =
            island->run_count < MERGE_RUNS_MAX ? island->run_count : MERGE_RUNS_MAX;
    }
    if (reason >= MERGE_SETTLE && is_searched(island)) {
        out->some = cheapest_window(island, island->run_count - INS_RUNS_SEARCHED + 1);
    } else if (too_many_runs(island)) {
        out->some = cheapest_window(island, 2);
    }
}

/* ---- The queue ---- */

void merge_want(struct ins_db *db, struct island *island, enum merge_reason least) {
    if ((island->flags & (ISLAND_MERGING | ISLAND_DROPPED)) != 0) {
        return;
    }
    enum merge_reason reason = merge_reason_of(island, least, db->tidy.share);
    if (reason == MERGE_NONE) {
        return;
    }
    island->flags |= ISLAND_MERGING;
    island->merge_reason = (uint8_t)reason;
    island_pin(island);
    island->merge_next = NULL;
    if (db->merge_last != NULL) {
        db->merge_last->merge_next = island;
    } else {
        db->merge_first = island;
    }
    db->merge_last = island;
}

struct island *merge_queue_take(struct ins_db *db) {
    struct island *island = db->merge_first;
    if (island != NULL) {
        db->merge_first = island->merge_next;
        db->merge_last = db->merge_first == NULL ? NULL : db->merge_last;
        island->merge_next = NULL;
    }
    return island;
}

void merge_queue_untake(struct ins_db *db, struct island *island) {
    island->merge_next = db->merge_first;
    db->merge_first = island;
    db->merge_last = db->merge_last == NULL ? island : db->merge_last;
}

void merge_note_search(struct ins_db *db, struct island *island) {
    if (island->run_count <= INS_RUNS_SEARCHED || (island->flags & ISLAND_READ) != 0) {
        return;
    }
    island->flags |= ISLAND_READ;
    merge_want(db, island, MERGE_NONE);
    if (db->tidy.stage == TIDY_DONE) {
        tidy_want(db);
    }
}
