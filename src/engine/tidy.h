/* Tidying: what a storm leaves for later.
 *
 * In quiet: a flush makes the database untidy and arms a timer. When no record has been sequenced
 * for a whole TIDY_QUIET_NS, all islands are looked at in slices (dead rows above a quarter of the
 * live ones merge), then files of which less than 90 % lives are cleaned. The next write ends it.
 *
 * For erasure: a write arms a second timer at half of the deadline. What is dead when it rings is
 * gone from all files when the pass ends: the log begins a new file, all rows are flushed, every
 * island with dead rows is merged and every file with dead extents cleaned, and log files that may
 * hold old records are deleted instead of used again. Writes go on meanwhile.
 *
 * The timers rest while there is nothing to do. */
#ifndef INS_ENGINE_TIDY_H
#define INS_ENGINE_TIDY_H

#include "insula.h"

#define CLEAN_TOTAL_PERCENT                                                                        \
    250u                        /* of what lives: what the files may take while there are writes   \
                                 */
#define CLEAN_PERCENT_BUSY 75u  /* of a file that must live so that it is not cleaned, then, */
#define CLEAN_PERCENT_QUIET 90u /* and in quiet */
#define CLEAN_PERCENT_ERASE 100u
#define TIDY_QUIET_NS 10000000000ull /* longer than the pauses of a bulk load */
#define ERASE_AFTER_NS_DEFAULT (24 * 3600 * 1000000000ull)
#define ERASE_SWEEPS_MAX                                                                           \
    3u /* islands that were in the queue for less are found by the next one                        \
        */

enum tidy_stage {
    TIDY_DONE,   /* nothing to do before the next flush */
    TIDY_WAIT,   /* the timer looks for quiet */
    TIDY_RENEW,  /* erasure: the log begins a new file */
    TIDY_FLUSH,  /* and everything before that is flushed */
    TIDY_SWEEP,  /* islands are looked at */
    TIDY_MERGE,  /* what the sweep found is merged, then */
    TIDY_CLEAN,  /* files are cleaned */
    TIDY_FORGET, /* erasure: old log files go */
};

struct tidy {
    ins_timer timer, erase_timer;
    ins_task task; /* of the log lane or the background lane */
    enum tidy_stage stage;
    bool erasing, task_posted;
    uint64_t lsn;       /* sequenced when the timer was armed, or when the pass began */
    uint64_t bucket;    /* of the table of islands, while sweeping */
    uint64_t last_file; /* erasure: newer files hold nothing that was dead when it began */
    uint32_t sweeps, found;
};

struct ins_db;

/* Something may be untidy now: after a flush has landed, and after recovery. */
void tidy_want(struct ins_db *db);
/* Something may be dead now: after writes, and after recovery. */
void tidy_want_erasure(struct ins_db *db);
/* Goes on when its stage is complete. True: call again soon, there is more to sweep. */
bool tidy_step(struct ins_db *db);
void tidy_stop(struct ins_db *db);

#endif
