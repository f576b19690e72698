/* Cleaning: the live extents of files that are mostly dead are copied out, and the files go.
 *
 * Path: choose files (request lane) -> read their directories (background lane) -> keep what run
 * lists name (request lane, in slices) -> copy it byte for byte into one new file, sync, manifest
 * (background lane) -> the runs move there (request lane); what was left without runs is removed.
 * Copies cover the same versions as the originals, so it does not matter which of them a recovery
 * finds, or both. */
#ifndef INS_ENGINE_CLEAN_H
#define INS_ENGINE_CLEAN_H

#include "engine/engine_private.h"

/* Begins to clean when files are due and no job runs. */
bool clean_begin(struct ins_db *db);

#endif
