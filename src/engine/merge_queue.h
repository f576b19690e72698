/* Which islands are merged, when, and which of their runs.
 *
 * Rules (the numbers: decision 0012)
 *   runs    more than INS_RUNS_MERGE, or INS_RUNS_DIRECTORY of an id directory: the adjacent
 *           runs that cost least for the square of the runs that go.
 *           In quiet: down to INS_RUNS_SEARCHED where searches found more.
 *   dead    more rows dead than alive (in quiet: a share of all rows that tidy.h chooses; erasing:
 *           any): all runs. What is dead is known as a bound, island->dead_most. A merge for that
 *           reason counts first and writes only when the rows are really dead; either way the
 *           number is exact afterwards. */
#ifndef INS_ENGINE_MERGE_QUEUE_H
#define INS_ENGINE_MERGE_QUEUE_H

#include "tenant/island.h"

struct ins_db;

#define MERGE_RUNS_MAX (INS_RUNS_MAX + 1) /* inputs of one merge of one island */
#define MERGE_LARGE_MAX 9u /* of them with sections: each has buffers of up to 4 MiB */

enum merge_reason {
    MERGE_NONE = 0,
    MERGE_RUNS,
    MERGE_DEAD,
    MERGE_SETTLE, /* nothing is written now: tidier than in a storm */
    MERGE_ERASE,  /* the erasure deadline: nothing dead stays */
};

struct merge_window {
    uint32_t first, count; /* oldest first; count 0: none */
};

#define MERGE_SHARES 32u /* shares of dead rows are counted in these */

struct merge_plan {
    enum merge_reason reason;
    uint32_t share;              /* of a merge in quiet */
    struct merge_window counted; /* may be dead enough: all runs, but for more than can be read */
    struct merge_window all;     /* to merge then; fewer when many are large */
    struct merge_window some;    /* else; may be none */
};

/* What the island needs now; MERGE_NONE: nothing. `least`: MERGE_SETTLE or MERGE_ERASE ask for
 * more than a storm would; MERGE_NONE else. MERGE_SETTLE: islands of which `share` or more is dead,
 * in MERGE_SHARES. */
enum merge_reason merge_reason_of(const struct island *island, enum merge_reason least,
                                  uint32_t share);
void merge_plan_make(const struct island *island, enum merge_reason reason, uint32_t share,
                     struct merge_plan *out);
/* True when `dead` of `rows` are too many for the reason. */
bool merge_plan_worth(enum merge_reason reason, uint32_t share, uint64_t dead, uint64_t rows);
/* What of the island is dead at most, in MERGE_SHARES, rounded down. */
uint32_t merge_dead_share(const struct island *island);

/* Puts the island into the queue when it needs a merge; it is pinned there. */
void merge_want(struct ins_db *db, struct island *island, enum merge_reason least);
/* The island that waits longest, out of the queue but still pinned and marked; NULL: none. */
struct island *merge_queue_take(struct ins_db *db);
/* Puts it back in front. */
void merge_queue_untake(struct ins_db *db, struct island *island);
/* A search looked at all of the island's runs. */
void merge_note_search(struct ins_db *db, struct island *island);

#endif
