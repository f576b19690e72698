/* The log: one for all tenants, group commit.
 *
 * Path: the request lane encodes a record, reserves room, takes its LSN by wal_append and puts the
 * rows into the memtable in the same step. The log lane drains the queue into one batch (its frame
 * <= 2 MiB, <= 4,096 records), writes one frame, syncs it, and posts one task to the request lane,
 * which sets the durable LSN and completes the calls that waited. The next batch forms meanwhile.
 * Failure: a failed write or sync stops the log for good; `failed` is called once on the request
 * lane with the reason; no sync is retried. Reads go on.
 * Invariants: I1 durable <= sequenced.  I2 one frame is in flight.  I3 LSNs have no holes.
 * Threads: append, reserve and callbacks: request lane. Drain: log lane.
 * Format: docs/FORMATS.md "Log". */
#ifndef INS_WAL_WAL_H
#define INS_WAL_WAL_H

#include "mem/mem.h"
#include "store/store.h"

struct wal;

/* Bytes of one record as the engine encodes it: behind the record header that the log adds. */
struct wal_record {
    struct wal_record *next; /* the log's own until released */
    uint64_t lsn;            /* out */
    uint64_t scope;          /* main scope, for readers; 0 = system */
    uint32_t crc; /* CRC32C over data, computed by the maker and verified by the log lane */
    uint32_t size;
    uint16_t type;
    uint8_t *data; /* owned by the maker until released() */
    /* Further pieces of the same record: same LSN, joined at replay. A record of several pieces has
     * pieces of at most INS_LOG_FRAGMENT_BYTES_MAX. NULL = this is the last. `next` links records.
     */
    struct wal_record *more;
};

enum wal_record_type { WAL_RECORD_EFFECTS = 1 };

struct wal_callbacks {
    void *context;
    /* Durable LSN rose (request lane). Records up to it are released: their memory is the maker's
     * again; `released` is their chain in LSN order. */
    void (*durable)(void *context, uint64_t lsn, struct wal_record *released);
    /* The log stopped. `released`: the records that never became durable. Once. */
    void (*failed)(void *context, const ins_error *error, struct wal_record *released);
};

struct wal_options {
    const ins_runtime *runtime;
    struct arena *arena;
    struct log_sink *sink;
    uint64_t file_bytes;
    uint64_t pending_bytes_max; /* sequenced and not yet durable; reserve refuses above it */
    bool drop;                  /* no writing at all: an ablation */
    struct wal_callbacks callbacks;
};

/* Replay: calls `visit` for every whole record with lsn > after_lsn, in LSN order, fragments
 * joined. `data` is borrowed. An error of visit ends the replay. */
typedef ins_status (*wal_visit)(void *context, uint64_t lsn, uint16_t type, uint64_t scope,
                                struct slice data, ins_error *error);

struct wal_replay_result {
    uint64_t last_lsn; /* of the last whole record; after_lsn when there was none */
    uint64_t last_file_id;
    uint64_t records, bytes;
    bool torn_tail; /* bytes behind the last whole batch were dropped */
};

/* Opens after replay: reads all files, verifies chain and checksums, then begins a new file.
 * INS_CORRUPT: a bad batch has a valid later one behind it, or LSNs above after_lsn are missing;
 * the message names file and offset. When the disk has no space for the new file the log opens all
 * the same, and wal_reserve refuses until it has. */
INS_MUST_USE ins_status wal_open(const struct wal_options *options, uint64_t after_lsn,
                                 wal_visit visit, void *visit_context,
                                 struct wal_replay_result *out_result, struct wal **out_wal,
                                 ins_error *error);
/* Reads and verifies only; for check. Never writes. */
INS_MUST_USE ins_status wal_check(struct log_sink *sink, uint64_t after_lsn, wal_visit visit,
                                  void *visit_context, struct wal_replay_result *out_result,
                                  ins_error *error);
/* Writes what was appended, closes the tail with an empty batch, stops the log's timer and waits
 * for its background task; then calls `done` on the request lane: no lane holds anything of the log
 * any more, and wal_close may follow. Nothing may be appended after it. Request lane. */
void wal_stop(struct wal *wal, void (*done)(void *context), void *context);
/* No lane may run a task of the log, nor hold its timer: after wal_stop, or when the lanes
 * themselves are gone or thrown away (a simulated crash). Takes NULL. */
void wal_close(struct wal *wal);

/* Another pending_bytes_max; what is pending stays. */
void wal_set_pending_max(struct wal *wal, uint64_t bytes);
/* INS_EXHAUSTED when `bytes` more would pass pending_bytes_max (a single record larger than that is
 * let through when nothing is pending), INS_UNAVAILABLE after a failure, INS_TOO_LARGE above
 * INS_LOG_RECORD_BYTES_MAX, INS_FULL when the disk has no space for the log's next file and the
 * current one is nearly used up. Nothing to give back: the
 * reservation is used by the append that follows in the same task, or forgotten. */
INS_MUST_USE ins_status wal_reserve(struct wal *wal, uint64_t bytes, ins_error *error);
/* Takes the next LSN (record->lsn) and queues the record; the log lane gets it, with all that was
 * appended meanwhile, behind the tasks that the request lane has now. Cannot fail. */
void wal_append(struct wal *wal, struct wal_record *record);
/* The next record's LSN. */
uint64_t wal_next_lsn(const struct wal *wal);
uint64_t wal_durable_lsn(const struct wal *wal);
/* Every record <= lsn lies in a segment: files whose records are all older are released. Background
 * lane. The manifest that says so must be durable. */
INS_MUST_USE ins_status wal_truncate(struct wal *wal, uint64_t lsn, ins_error *error);

/* For erasure. Log lane: what lies in the log's files when this returns is followed by a file that
 * never held anything; they go when a later wal_truncate releases them, and wal_forget deletes what
 * that keeps for use again. False: no such file could be made, records go on where they went. */
INS_MUST_USE bool wal_renew(struct wal *wal);
/* Background lane: deletes the spare files, whose bytes are of earlier lives; makes a new one.
 * False: some may still be there. */
bool wal_forget(struct wal *wal);

struct wal_stats {
    uint64_t batches, records, bytes, syncs;
    ins_durations writes; /* of batches: the write and its sync */
};
void wal_get_stats(const struct wal *wal, struct wal_stats *out_stats);

#endif
