/* Where an id lives, as writers see it: one reader on a scope's id directory, kept open from write
 * to write, so that a write pays for the look-up and not for a view.
 *
 * A view pins files and memtables: whoever freezes or lands calls directory_views_close first, and
 * the next write opens it again. Threads: the request lane. */
#ifndef INS_ENGINE_DIRECTORY_VIEW_H
#define INS_ENGINE_DIRECTORY_VIEW_H

#include "engine/operation.h"
#include "tenant/directory.h"

/* Brings what a look-up of `id` will touch into the processor's caches; changes nothing. */
void directory_view_prefetch(const struct ins_db *db, const struct scope *scope, const ins_id *id);
/* As directory_find, at the newest LSN, with what is at hand. INS_AGAIN: it is not; the operation
 * opens a reader of its own, whose pins keep files there while it waits. */
INS_MUST_USE ins_status directory_view_find(struct ins_db *db, const struct scope *scope,
                                            const ins_id *id, uint64_t *out_incarnation,
                                            ins_error *error);
/* Unpins everything. */
void directory_views_close(struct ins_db *db);
void directory_views_free(struct ins_db *db);

#endif
