/* What the files of the log share. */
#ifndef INS_WAL_WAL_PRIVATE_H
#define INS_WAL_WAL_PRIVATE_H

#include <pthread.h>

#include "base/histogram.h"
#include "wal/format.h"
#include "wal/wal.h"

/* ---- Files on disk and what they hold, for truncation -----------------------------------------
 */

/* When there are more files than places, the newest place stands for several: they go together. */
#define WAL_FILE_SPANS_MAX 256u

struct wal_file_span {
    uint64_t file_id;  /* the last file of the span */
    uint64_t last_lsn; /* highest LSN of a record or fragment in it */
};

struct wal_file_spans {
    uint32_t count;
    struct wal_file_span items[WAL_FILE_SPANS_MAX];
};

/* `file_id` above all that are there. */
void wal_spans_add(struct wal_file_spans *spans, uint64_t file_id, uint64_t last_lsn);
/* Takes out the leading spans whose records are all <= lsn and returns the last file id among them,
 * 0 when there is none. */
uint64_t wal_spans_take(struct wal_file_spans *spans, uint64_t lsn);

/* ---- Replay
 * -------------------------------------------------------------------------------------- */

/* Where the log ends, for the writer that goes on. */
struct wal_end {
    uint64_t next_lsn, next_batch, last_file_id;
    struct hash128 previous_hash;
    uint32_t boot; /* of the last opening */
};

struct wal_replay_options {
    struct log_sink *sink;
    uint64_t after_lsn;
    bool every_file;  /* read also files all of whose records are <= after_lsn */
    bool may_be_none; /* no file at all is right whatever after_lsn */
    wal_visit visit;
    void *visit_context;
};

/* Reads the log. `spans` may be NULL, the other results not; all are untouched on failure. */
ins_status wal_replay(const struct wal_replay_options *options,
                      struct wal_replay_result *out_result, struct wal_end *out_end,
                      struct wal_file_spans *out_spans, ins_error *error);

/* ---- The open log
 * -------------------------------------------------------------------------------- */

struct wal {
    /* immutable */
    const ins_runtime *runtime;
    struct arena *arena;
    struct log_sink *sink;
    uint64_t file_bytes, pending_bytes_max;
    size_t frame_bytes_max, fragment_bytes_max;
    struct wal_callbacks callbacks;
    uint8_t *frame_data; /* [frame_bytes_max]; the log lane's */
    uint32_t boot;
    bool drop;

    /* the request lane's */
    uint64_t next_lsn, durable_lsn;
    uint64_t pending_bytes;    /* appended, neither durable nor given back */
    uint64_t prepare_again_ns; /* no try to make a spare on a full disk before */
    struct wal_record *staged_first, **staged_last; /* appended, not yet the log lane's */
    uint64_t staged_bytes;
    uint64_t staged_ns; /* when the first of them came */
    uint32_t staged_count;
    bool publish_posted;
    void (*stop_done)(void *context);
    void *stop_context;
    bool stopped; /* failed() was called */

    /* the log lane's */
    struct wal_record *backlog_first, **backlog_last; /* taken from the queue, not yet durable */
    struct wal_record *piece; /* of the first one: where it goes on; NULL = at its beginning */
    uint64_t file_id, file_salt, file_at;
    uint64_t written_lsn; /* highest LSN of a record or fragment in the current file or before */
    uint64_t whole_lsn;   /* of the last record that is durable whole */
    uint64_t next_batch;
    struct hash128 previous_hash;
    uint64_t last_batch_ns;
    uint32_t cursor; /* bytes of `piece` that are durable already: it goes in fragments */
    bool renew;      /* the next frame begins a new file */
    bool tail_open;  /* no batch lies behind the last one: its damage would pass for a torn tail */
    ins_timer idle_timer;

    /* under lock */
    pthread_mutex_t lock;
    struct wal_record *queue_first, **queue_last;
    struct wal_record *released_first, **released_last;
    uint64_t released_lsn, released_bytes;
    bool drain_posted, complete_posted, prepare_posted;
    bool failed;
    bool no_file; /* opened on a full disk: the first batch begins one */
    ins_error failure;
    ins_error spare_failure;     /* why the next file could not be prepared */
    struct wal_file_spans spans; /* files before the current one */

    ins_task publish_task;      /* request lane */
    ins_task drain_task;        /* log lane */
    ins_task complete_task;     /* request lane */
    ins_task prepare_task;      /* background lane */
    ins_task stop_task;         /* log, background, request lane in turn */
    _Atomic uint64_t file_room; /* bytes left in the current file: reserve reads, log lane writes */
    /* Background lane writes, after spare_failure under lock; reserve reads. */
    _Atomic bool spare_failed;
    _Atomic uint64_t batch_count, record_count, byte_count;
    struct histogram writes; /* the log lane writes, the request lane reads */
};

/* What a record of `size` bytes counts for against pending_bytes_max. */
static inline uint64_t wal_charge(uint64_t size) {
    return WAL_RECORD_HEADER_BYTES + align_up(size, 8);
}

/* Bytes of all pieces of a record. */
static inline uint64_t wal_record_bytes(const struct wal_record *record) {
    uint64_t size = 0;
    for (; record != NULL; record = record->more) {
        size += record->size;
    }
    return size;
}

static inline uint64_t wal_record_charge(const struct wal_record *record) {
    return wal_charge(wal_record_bytes(record));
}

void wal_lock(struct wal *wal);
void wal_unlock(struct wal *wal);

/* ---- writer.c: the log lane
 * ------------------------------------------------------------------------ */

/* Begins file `file_id`, which chains on what was written last. */
ins_status wal_begin_file(struct wal *wal, uint64_t file_id, uint64_t first_lsn, ins_error *error);
void wal_publish_run(ins_task *task); /* wal.c */
void wal_drain_run(ins_task *task);
void wal_idle_run(ins_timer *timer);
void wal_stop_run_log(ins_task *task);
/* Posts the preparation of the next file to the background lane unless it is posted. */
void wal_post_prepare(struct wal *wal);
void wal_prepare_run(ins_task *task);

/* ---- wal.c: the request lane
 * ------------------------------------------------------------------------ */

void wal_complete_run(ins_task *task);
void wal_stop_run_request(ins_task *task);

#endif
