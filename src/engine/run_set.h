/* Run lists while they are recovered: with the intervals that decide which extent hides which. */
#ifndef INS_ENGINE_RUN_SET_H
#define INS_ENGINE_RUN_SET_H

#include "tenant/island.h"

/* Entries come in ascending order of their files. Drops those that the new one hides. INS_FULL when
 * memory is out or the island has too many runs at once. */
INS_MUST_USE ins_status run_set_add(struct islands *islands, struct island *island,
                                    const struct run_entry *entry);
/* Turns the island's list into plain runs, oldest first, and counts them in their files. Does
 * nothing to an island without recovered entries. INS_FULL when memory is out. */
INS_MUST_USE ins_status run_set_settle(struct islands *islands, struct island *island,
                                       uint64_t *out_newest);

#endif
