#include "engine/run_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define RUN_SET_MAX (4 * INS_RUNS_MAX)

/* An array of these stands in island->runs until it is settled (ISLAND_PLACED). */
struct placed_run {
    struct run run;
    uint64_t low, high;
};

static struct placed_run *placed(const struct island *island) {
    return (struct placed_run *)(void *)island->runs;
}

/* The larger interval hides the smaller; of equal ones the newer file wins, and entries come in the
 * order of their files. */
static bool hides(const struct run_entry *entry, const struct placed_run *run) {
    return entry->version_low <= run->low && run->high <= entry->version_high;
}

static bool hidden(const struct run_entry *entry, const struct placed_run *run) {
    return run->low <= entry->version_low && entry->version_high <= run->high &&
           !(run->low == entry->version_low && run->high == entry->version_high);
}

static ins_status grow(struct islands *islands, struct island *island) {
    uint32_t capacity = island->run_capacity == 0 ? 1 : 2u * island->run_capacity;
    if (capacity > RUN_SET_MAX) {
        return INS_FULL;
    }
    struct placed_run *runs =
        arena_alloc(islands->arena, INS_MEM_JOB, capacity * sizeof(struct placed_run));
    if (runs == NULL) {
        return INS_FULL;
    }
    if (island->run_capacity > 0) {
        memcpy(runs, island->runs, island->run_count * sizeof(struct placed_run));
        arena_free(islands->arena, INS_MEM_JOB, island->runs,
                   island->run_capacity * sizeof(struct placed_run));
    }
    island->flags |= ISLAND_PLACED;
    island->runs = (struct run *)(void *)runs;
    island->run_capacity = (uint8_t)capacity;
    return INS_OK;
}

ins_status run_set_add(struct islands *islands, struct island *island,
                       const struct run_entry *entry) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < island->run_count; i++) {
        if (hidden(entry, &placed(island)[i])) {
            return INS_OK; /* what hides it hides what it would hide */
        }
    }
    for (uint32_t i = 0; i < island->run_count; i++) {
        if (!hides(entry, &placed(island)[i])) {
            placed(island)[kept++] = placed(island)[i];
        }
    }
    island->run_count = (uint8_t)kept;
    if (kept == island->run_capacity && grow(islands, island) != INS_OK) {
        return INS_FULL;
    }
    placed(island)[island->run_count++] = (struct placed_run){
        .run = entry->run, .low = entry->version_low, .high = entry->version_high};
    return INS_OK;
}

static int order_runs(const void *left, const void *right) {
    const struct placed_run *a = left, *b = right;
    return (a->high > b->high) - (a->high < b->high);
}

ins_status run_set_settle(struct islands *islands, struct island *island, uint64_t *out_newest) {
    *out_newest = 0;
    if ((island->flags & ISLAND_PLACED) == 0) {
        return INS_OK;
    }
    struct placed_run *runs = placed(island);
    uint32_t count = island->run_count, capacity = island->run_capacity;
    island->flags &= (uint8_t)~ISLAND_PLACED;
    island->runs = NULL;
    island->run_count = 0;
    island->run_capacity = 0;
    qsort(runs, count, sizeof(*runs), order_runs);
    ins_status status = INS_OK;
    for (uint32_t i = 0; i < count && status == INS_OK; i++) {
        status = island_reserve_run(islands, island);
        if (status == INS_OK) {
            island_add_run(islands, island, &runs[i].run);
            *out_newest = runs[i].high;
        }
    }
    island->dead_most = island_dead_bound(island);
    arena_free(islands->arena, INS_MEM_JOB, runs, capacity * sizeof(*runs));
    return status;
}
