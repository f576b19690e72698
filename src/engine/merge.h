/* Merge: the islands that have too many runs get one run each, many islands to a file.
 *
 * begin (request lane): takes islands from the queue, notes their runs -> write, sync, manifest
 * (background lane) -> land by compare-and-swap of the run list (request lane): only when the
 * island still has those runs as its oldest ones; else the output is garbage.
 * The island's oldest run is among them, so tombstones end here. Islands not involved are not
 * copied.
 */
#ifndef INS_ENGINE_MERGE_H
#define INS_ENGINE_MERGE_H

#include "engine/engine_private.h"

/* Begins a merge when the queue is not empty and no job runs. */
bool merge_begin(struct ins_db *db);

#endif
