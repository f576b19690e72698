/* The time that the server has seen pass, and what had been written by when.
 *
 * `seconds` counts while the server runs and something in it can expire; it stands still while it
 * is down, and no clock of the day moves it. A mark says: all records up to `lsn` were sequenced
 * when so many seconds had been seen. So the age of a record is known to within a part of itself,
 * for 24 bytes of memory a mark and not one for a tenant.
 * Both are a row of the catalog, written anew at each tick of expiry.c ("Catalog" in
 * docs/FORMATS.md).
 * Invariants: I1 marks ascend strictly in lsn and not strictly in seconds. I2 what seen_of() tells
 * is never before the record was sequenced, but for time that the server has not noted yet.
 * Threads: the request lane. */
#ifndef INS_ENGINE_SEEN_H
#define INS_ENGINE_SEEN_H

#include "base/json.h"
#include "mem/mem.h"

/* 128 marks over ten years: each stands for at most about a sixth of its age. */
#define SEEN_MARKS_MAX 128u
#define SEEN_KEY 2u /* of its row; below CATALOG_KEY_FIRST */

struct seen_mark {
    uint64_t lsn, seconds;
};

struct seen {
    uint64_t seconds; /* in all */
    uint64_t rest_ns; /* and this, not a second yet; is lost at a restart */
    uint32_t count;
    struct seen_mark marks[SEEN_MARKS_MAX + 1]; /* room for one more before one goes */
};

/* So much more was seen. */
void seen_pass(struct seen *seen, uint64_t ns);
/* Everything up to `lsn` is sequenced now. */
void seen_mark(struct seen *seen, uint64_t lsn);
/* Seconds that had been seen when the record was sequenced, rounded up; what no mark covers is of
 * now. */
uint64_t seen_of(const struct seen *seen, uint64_t lsn);

/* Payload of its row; data NULL when the pool has no memory. */
ins_text seen_row(struct pool *pool, const struct seen *seen);
#define SEEN_ROW_BYTES_MAX (64u + SEEN_MARKS_MAX * 42u)
/* False when that is no such row; `seen` is as it was then. */
bool seen_apply(struct seen *seen, struct json_value root);

#endif
