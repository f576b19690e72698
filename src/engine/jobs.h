/* Background work: what to do next, one job at a time on the background lane.
 *
 * Islands that need a merge (merge_queue.h) stand in a queue; merges and flushes take turns, and
 * nothing is flushed while an island has INS_RUNS_MAX. Files that no run names are taken out of the
 * manifest and removed. */
#ifndef INS_ENGINE_JOBS_H
#define INS_ENGINE_JOBS_H

#include "engine/engine_private.h"

#define MANIFEST_BYTES_MAX (1u << 20) /* INS_FILES_MAX files of 48 bytes, and room */
_Static_assert(INS_FILES_MAX * 48 + 128 <= MANIFEST_BYTES_MAX, "a full manifest fits");
_Static_assert(MANIFEST_BYTES_MAX <= STORE_CELL_BYTES_MAX, "and its cell");

/* Looks whether a flush, a merge or a removal can begin, and whether a shutdown is complete.
 * Cheap; called whenever something that they wait for has changed. */
void jobs_kick(struct ins_db *db);
/* Asks for pages ahead of use as soon as half of what arena_commit_ahead() keeps ready is used up.
 * Cheap; called with jobs, and whenever a read waits for bytes, which take room when they come. */
void jobs_commit_ahead(struct ins_db *db);
/* Background lane, in the middle of a long job: some pages ahead of use, when they are wanted, so
 * that no search or write waits while the kernel clears one. False: nothing is missing. */
bool jobs_commit_step(struct ins_db *db);
/* A job failed for good: writes stop, reads go on. */
void jobs_failed(struct ins_db *db, const char *what, const ins_error *error);
/* A job found no room on the disk or in memory before it changed anything: no job begins for a
 * while, then it is chosen again. False: it failed for another reason. */
INS_MUST_USE bool jobs_put_off(struct ins_db *db, ins_status status, const ins_error *error);
void jobs_went_well(struct ins_db *db); /* one that wrote has ended well */
bool jobs_idle(const struct ins_db *db);

/* Background lane: adds and removes files and puts the manifest on disk. `flushed_lsn` and
 * `log_lsn` 0 = as they are. */
INS_MUST_USE ins_status manifest_land(struct ins_db *db, const struct segment_info *add,
                                      const uint64_t *remove, uint32_t remove_count,
                                      uint64_t flushed_lsn, uint64_t log_lsn, ins_error *error);
/* Background lane: a new file's number and random id. */
uint64_t manifest_next_file(struct ins_db *db, uint8_t out_random_id[16]);

#endif
