/* Work of the background lane: what it took, and whose it was.
 *
 * Path: work_begin, work_end around a job, or around each slice of one (background lane); a flush
 * within a merge is the flush's alone. When the job lands, work_charge for each island that it
 * wrote (request lane): its account, if the tenant has one now, and the list of heavy tenants. A
 * job's time is divided by bytes. Accounts are not opened for it: a flush of very many tenants
 * would take the places of those that ask now. */
#ifndef INS_ENGINE_WORK_H
#define INS_ENGINE_WORK_H

#include <stdint.h>

/* Islands with a smaller share of a job than this count in the totals alone, so that the landing of
 * one with 50,000 islands does not look that many accounts up in one step of the lane. */
#define WORK_SHARES_MAX 4096u

struct ins_db;
struct island;

struct work {
    uint64_t begin_ns, others_ns; /* of what runs now */
    uint64_t time_ns;             /* so far */
};

void work_begin(struct ins_db *db, struct work *work);
void work_end(struct ins_db *db, struct work *work);

/* `part` of `all` units of the job were for this island, NULL = for one that is gone, and `bytes`
 * of what it wrote. */
void work_charge(struct ins_db *db, const struct work *work, const struct island *island,
                 uint64_t part, uint64_t all, uint64_t bytes);

#endif
