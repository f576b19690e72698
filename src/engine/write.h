/* Writes: admit and sequence.
 *
 * Path: an operation validates and resolves, adds the rows of its effects (write_row: memory is
 * taken, nobody sees them), then write_sequence encodes the record, takes the LSN and links the
 * rows, in one step in which nothing can fail. The log completes the operation when it is durable.
 * Refused: INS_EXHAUSTED while both memtable generations are full (a flush is under way),
 * INS_TOO_LARGE when the request can never fit, INS_FULL when the catalog's share is used up,
 * INS_UNAVAILABLE when the log has failed. A refused write changes nothing. */
#ifndef INS_ENGINE_WRITE_H
#define INS_ENGINE_WRITE_H

#include "engine/operation.h"

struct write {
    struct operation operation;
    struct wal_record record;
    struct memrow **rows; /* [row_capacity] in the pool */
    size_t row_count, row_capacity;
    struct island **created; /* islands made by this write, undone when it is refused */
    size_t created_count;
    struct schema *schema; /* whose row is new with this write */
    uint64_t schema_key;
    struct room_ticket room;
    uint64_t settle_lsn; /* write_settle: what the answer rests on; 0 = not asked */
    /* Runs on the request lane when the record is durable, before the call ends; may be NULL. */
    void (*durable)(struct write *write, uint64_t lsn);
};

/* INS_UNAVAILABLE when the log has failed. What was sequenced may be lost then: no answer may rest
 * on it. */
INS_MUST_USE ins_status write_check_open(const struct ins_db *db, ins_error *error);
/* INS_TOO_LARGE when a record of so many bytes can never be written. */
INS_MUST_USE ins_status write_check_record(const struct ins_db *db, uint64_t bytes,
                                           ins_error *error);
/* Makes room in the active memtable for rows that cost `bytes`, changing generations if need be,
 * and checks that writes are allowed. `row_max`: capacity of write->rows. */
INS_MUST_USE ins_status write_begin(struct write *write, uint64_t bytes, size_t row_max,
                                    ins_error *error);
/* Prepares one row. With vectors: the caller fills memrow_vectors(*out_row). */
INS_MUST_USE ins_status write_row(struct write *write, struct island *island, enum memrow_kind kind,
                                  const ins_id *id, uint32_t vector_count, uint32_t vector_bytes,
                                  ins_text payload, uint64_t incarnation, struct memrow **out_row,
                                  ins_error *error);
/* A point with these vectors; a patch inherits the others from the island's older version. */
INS_MUST_USE ins_status write_point(struct write *write, struct island *island, bool patch,
                                    const ins_id *id, const struct row_vectors *vectors,
                                    ins_text payload, ins_error *error);
/* A row of the catalog (payload NULL data: its tombstone). */
INS_MUST_USE ins_status write_catalog_row(struct write *write, uint64_t key, ins_text payload,
                                          ins_error *error);
/* `count` keys that were never used; adds the allocator's row when its mark must rise. */
INS_MUST_USE ins_status write_keys(struct write *write, uint64_t count, uint64_t *out_first,
                                   ins_error *error);
/* The schema's own row, unless it has one: *out_key. It counts from write_sequence on. */
INS_MUST_USE ins_status write_schema(struct write *write, struct schema *schema, uint64_t *out_key,
                                     ins_error *error);
/* A new tenant's island with its catalog row. */
INS_MUST_USE ins_status write_island(struct write *write, struct scope *scope, ins_text tenant,
                                     struct island **out_island, ins_error *error);
/* *out_lsn is set before the rows are linked. After INS_OK the operation belongs to the log. */
INS_MUST_USE ins_status write_sequence(struct write *write, uint64_t scope, uint64_t *out_lsn,
                                       ins_error *error);
/* Undoes what write_begin .. write_island did; for a refused write. */
void write_undo(struct write *write);
/* Ends a write that found nothing to write. What it looked at may not be durable yet: the answer
 * waits for that, or a power cut could take back what it told. INS_AGAIN: parked; call it first
 * thing when the step runs again. INS_OK: call->lsn is set. */
INS_MUST_USE ins_status write_settle(struct write *write, ins_error *error);
/* Worst case of a catalog row in the memtable. */
uint64_t write_catalog_cost(size_t payload_bytes);

/* wal callbacks. */
void write_durable(void *context, uint64_t lsn, struct wal_record *released);
void write_failed(void *context, const ins_error *error, struct wal_record *released);

#endif
