/* Runs that a merge has replaced, kept for their graphs: the graph of what came out of the merge
 * takes over their links (index/graph_elder.h), so that a merge that brings a few rows into a large
 * run costs the insertion of those few.
 *
 * A merge that lands notes for the run that it wrote, its heir, the largest of its inputs with a
 * graph; an input that waits for its own graph hands on what it was to inherit. The elder's file
 * stays pinned, and so on the disk, until the heir's graph job took it; an entry goes before that
 * when the heir is gone or gets no graph, when ELDERS_MAX others came after it, when an erasure
 * wants its bytes gone, when there is no room for a flush or merge, and with the process: then the
 * graph is made from nothing.
 * Request lane only. */
#ifndef INS_ENGINE_ELDERS_H
#define INS_ENGINE_ELDERS_H

#include "tenant/island.h"

#define ELDERS_MAX 16u /* files that are kept for it */

struct elder_entry {
    struct island *island; /* pinned */
    struct run heir;       /* as it was written: by its place */
    struct run elder;      /* its file is pinned */
};

struct elders {
    struct elder_entry entries[ELDERS_MAX]; /* [count], oldest first */
    uint32_t count;
};

struct ins_db;
struct merge_item;

/* Where the run stands among the island's; UINT32_MAX: it is gone, or a cleaning has moved it. */
uint32_t elders_find_run(const struct island *island, const struct run *run);
/* The item's merge has landed: item->merged is one of the island's runs now. */
void elders_note(struct ins_db *db, const struct merge_item *item);
/* Whose links a graph of the island's run can take over: NULL: nobody's. One that is written anew
 * for other reasons than damage is its own elder. */
const struct run *elders_of(const struct ins_db *db, const struct island *island,
                            const struct run *run);
/* Lets go of those whose heirs are gone, or wait for no graph any more. */
void elders_sweep(struct ins_db *db);
void elders_drop_all(struct ins_db *db);

#endif
