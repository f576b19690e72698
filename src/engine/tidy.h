/* Tidying: what a storm leaves for later, done when nothing is written.
 *
 * A flush makes the database untidy and arms a timer. When no record has been sequenced for a
 * whole TIDY_QUIET_NS, all islands are looked at in slices (dead rows above a quarter of the live
 * ones merge), then files of which less than 90 % lives are cleaned. The next write ends it. The
 * timer rests while there is nothing to tidy. */
#ifndef INS_ENGINE_TIDY_H
#define INS_ENGINE_TIDY_H

#include "insula.h"

#define CLEAN_TOTAL_PERCENT                                                                        \
    250u                        /* of what lives: what the files may take while there are writes   \
                                 */
#define CLEAN_PERCENT_BUSY 75u  /* of a file that must live so that it is not cleaned, then, */
#define CLEAN_PERCENT_QUIET 90u /* and in quiet */
#define TIDY_QUIET_NS 10000000000ull /* longer than the pauses of a bulk load */

enum tidy_stage {
    TIDY_DONE,  /* nothing to do before the next flush */
    TIDY_WAIT,  /* the timer looks for quiet */
    TIDY_SWEEP, /* islands are looked at */
    TIDY_MERGE, /* what the sweep found is merged, then */
    TIDY_CLEAN, /* files are cleaned */
};

struct tidy {
    ins_timer timer;
    enum tidy_stage stage;
    uint64_t lsn;    /* sequenced when the timer was armed, or when the quiet began */
    uint64_t bucket; /* of the table of islands, while sweeping */
};

struct ins_db;

/* Something may be untidy now: after a flush has landed, and after recovery. */
void tidy_want(struct ins_db *db);
/* Goes on when its stage is complete. True: call again soon, there is more to sweep. */
bool tidy_step(struct ins_db *db);
void tidy_stop(struct ins_db *db);

#endif
