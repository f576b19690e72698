/* Tidying: what a storm leaves for later.
 *
 * In quiet: a flush makes the database untidy and arms a timer. When no record has been sequenced
 * for a whole TIDY_QUIET_NS, all islands are weighed in slices: how much of them is dead. Those
 * with the largest shares are merged until dead rows are a small part of the whole; then files are
 * cleaned, the emptiest first, until they take hardly more than what lives. The next write ends it.
 *
 * For erasure: a write arms a second timer at half of the deadline. What is dead when it rings is
 * gone from all files when the pass ends: the log begins a new file, all rows are flushed, every
 * island with dead rows is merged and every file with dead extents cleaned, and log files that may
 * hold old records are deleted instead of used again. Writes go on meanwhile.
 *
 * When a pass has left nothing out, that is known of its LSN (erased_lsn) kept in the manifest,
 * and told to whoever has a receipt of a deletion (erasure.c). What it could not take (a view held
 * a file, an island could not be merged whole, a log file stayed) leaves the LSN where it was, and
 * another pass is armed.
 *
 * The timers rest while there is nothing to do. */
#ifndef INS_ENGINE_TIDY_H
#define INS_ENGINE_TIDY_H

#include "insula.h"

/* Percent of what runs name: what the files may take. Settled data takes at most 1.15 * 1.12 times
 * what it would alone. */
#define CLEAN_TOTAL_BUSY 250u
#define CLEAN_TOTAL_QUIET 112u
#define CLEAN_TOTAL_ERASE 0u         /* every file with something dead is cleaned */
#define TIDY_DEAD_PERCENT 15u        /* of the live bytes that dead rows may take in quiet */
#define TIDY_PASSES_MAX 4u           /* in quiet: what was weighed by bounds is weighed again */
#define TIDY_QUIET_NS 10000000000ull /* longer than the pauses of a bulk load */
#define ERASE_AFTER_NS_DEFAULT (24 * 3600 * 1000000000ull)
#define ERASE_SWEEPS_MAX                                                                           \
    3u /* islands that were in the queue for less are found by the next one                        \
        */

#define TIDY_SHARES 32u /* MERGE_SHARES */

enum tidy_stage {
    TIDY_DONE,   /* nothing to do before the next flush */
    TIDY_WAIT,   /* the timer looks for quiet */
    TIDY_RENEW,  /* erasure: the log begins a new file */
    TIDY_FLUSH,  /* and everything before that is flushed */
    TIDY_WEIGH,  /* in quiet: which share of dead rows is too much */
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
    uint64_t lsn;     /* sequenced when the pass of erasure began */
    uint64_t changes; /* then, or when the timer was armed: records without those of ticks; and */
    uint64_t erased_changes; /* when the last whole pass of erasure began */
    uint64_t bucket;         /* of the table of islands, while weighing or sweeping */
    uint32_t share; /* MERGE_SETTLE: islands of which that much is dead; MERGE_SHARES + 1: none */
    uint64_t named_bytes, dead_bytes[TIDY_SHARES + 1]; /* of islands, by their share */
    uint64_t last_file; /* erasure: newer files hold nothing that was dead when it began */
    uint32_t sweeps, found;
    uint32_t missed;     /* islands with dead rows that the last sweep's merges do not all take */
    bool files_erased;   /* no file of the pass has anything dead */
    bool log_renewed;    /* records go to a new file. Set on the log lane, as the next is */
    bool log_forgotten;  /* old log files are gone. Set on the background lane by the pass's task */
    ins_status noted;    /* that the pass was whole, in the manifest. Set there too, and */
    ins_error error;     /* why it was not */
    bool again;          /* another pass was asked for meanwhile */
    uint64_t erased_lsn; /* what was dead at this LSN is in no file; 0: not known of any */
};

struct ins_db;

/* Something may be untidy now: after a flush has landed, and after recovery. */
void tidy_want(struct ins_db *db);
/* Something may be dead now: after writes, and after recovery. */
void tidy_want_erasure(struct ins_db *db);
/* Goes on when its stage is complete. True: call again soon, there is more to sweep. */
bool tidy_step(struct ins_db *db);
/* A pass begins now, or when the one that is under way has ended. */
void tidy_erase_now(struct ins_db *db);
void tidy_stop(struct ins_db *db);

#endif
