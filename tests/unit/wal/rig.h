/* A log with everything around it, for tests: a deterministic runtime of one queue, records whose
 * bytes follow from their LSN, and what the callbacks told. */
#ifndef TESTS_WAL_RIG_H
#define TESTS_WAL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "wal/format.h"
#include "wal/wal.h"

/* ---- One queue for all lanes, a clock that moves by hand ---------------------------------------
 */

struct queue {
    ins_runtime runtime;
    ins_task *first, **last;
    ins_timer *timers; /* any order */
    uint64_t now_ns, random;
    size_t tasks_run;
};

void queue_init(struct queue *queue, ins_store *store, uint64_t seed);
/* Runs one task; false when there is none. */
bool queue_step(struct queue *queue);
void queue_pump(struct queue *queue);
/* Moves the clock on and fires what is due, then pumps. */
void queue_advance(struct queue *queue, uint64_t ns);
size_t queue_timers(const struct queue *queue);

/* ---- The rig
 * --------------------------------------------------------------------------------------- */

struct rig {
    ins_store *store;
    struct log_sink *sink;
    struct queue queue;
    struct arena *arena;
    struct wal *wal;
    struct wal_options options; /* may be changed before rig_open */
    /* told by callbacks and replay */
    uint64_t durable_lsn;
    size_t durable_calls, failed_calls;
    size_t outstanding; /* records that the log has */
    ins_error failure;
    struct wal_replay_result result;
    uint64_t replayed_lsn; /* of the last record that replay gave */
    size_t replayed;
    uint64_t generation; /* mixed into the bytes: records of a lost life differ */
};

void rig_init(struct rig *rig, ins_store *store, uint64_t seed);
void rig_fini(struct rig *rig); /* not the store */
ins_status rig_open(struct rig *rig, uint64_t after_lsn, ins_error *error);
/* Closes as a crash of the process does: what is queued is forgotten. */
void rig_drop(struct rig *rig);
/* wal_stop, pump, close. */
void rig_stop(struct rig *rig);
/* Reserves and appends a record of `size` bytes; its LSN, 0 when reserve refuses. */
uint64_t rig_write(struct rig *rig, uint32_t size, ins_error *error);
/* One record in pieces of the sizes given. */
uint64_t rig_write_pieces(struct rig *rig, const uint32_t *sizes, size_t count);
/* `count` random sizes below `size_max`. */
void rig_write_many(struct rig *rig, size_t count, uint32_t size_max);

struct wal_record *record_make(uint64_t seed, uint32_t size);
/* Checks a replayed record's bytes against what record_make gives; a wal_visit with a rig. */
ins_status rig_visit(void *context, uint64_t lsn, uint16_t type, uint64_t scope, struct slice data,
                     ins_error *error);

/* ---- An image of a log, to be damaged
 * ------------------------------------------------------------ */

#define IMAGE_FILES_MAX 64

struct image {
    struct log_sink sink; /* first */
    size_t count;
    struct log_file files[IMAGE_FILES_MAX];
    uint8_t *bytes[IMAGE_FILES_MAX];
};

void image_take(struct image *image, struct log_sink *from);
void image_fini(struct image *image);
/* wal_check on the image. */
ins_status image_check(struct image *image, uint64_t after_lsn, struct wal_replay_result *result,
                       ins_error *error);

/* Where the frames of a file lie. */
struct frames {
    size_t count;
    size_t at[1024], size[1024];
};
void image_frames(const struct image *image, size_t file, struct frames *out);

#endif
