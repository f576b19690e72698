/* Flush: a whole memtable generation becomes one segment file.
 *
 * freeze (request lane) -> wait until it is durable -> sort, write, sync the file, its directory
 * and the manifest, truncate the log (background lane) -> land: islands get their runs, the
 * generation goes with its last view (request lane).
 * Merges and cleanings call flush_yield, so a flush never waits for the end of a long one: it is
 * written on their stack, by the same thread, while they stand still. */
#ifndef INS_ENGINE_FLUSH_H
#define INS_ENGINE_FLUSH_H

#include "engine/engine_private.h"

/* Freezes the active generation when no other is frozen, and makes a new active one. False when
 * that is not possible now. */
bool flush_freeze(struct ins_db *db);
/* Gives an active generation back that holds only rows of refused writes: it has nothing to flush,
 * and would be full for ever. False when it holds others, or when memory is out. */
bool flush_recycle(struct ins_db *db);
/* True when no row waits for a flush to begin. */
bool flush_nothing_left(const struct ins_db *db);
/* Begins the flush of the frozen generation when it is durable. A merge or a cleaning may be under
 * way: the flush goes before the rest of it. */
bool flush_begin(struct ins_db *db);
/* Background lane, in the middle of another job: writes the flush that waits, if there is one and
 * the memory for it; and commits pages that are wanted. Cheap when there is neither. */
void flush_yield(struct ins_db *db);
/* Recovery: flushes what is frozen, and lands it, on the calling thread. */
INS_MUST_USE ins_status flush_now(struct ins_db *db, ins_error *error);

#endif
