#include "engine/write.h"

#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/flush.h"
#include "engine/jobs.h"
#include "engine/record.h"
#include "engine/text.h"

/* ---- Admission ---- */

ins_status write_check_open(const struct ins_db *db, ins_error *error) {
    if (!db->writes_stopped) {
        return INS_OK;
    }
    return ins_fail(error, INS_UNAVAILABLE, "writes are stopped until a restart: %s",
                    db->failure.message);
}

static ins_status make_room(struct ins_db *db, uint64_t bytes, ins_error *error) {
    struct read_context *reading = &db->reading;
    if (bytes > db->generation_bytes) {
        return ins_fail(
            error, INS_TOO_LARGE,
            "the request needs %llu bytes of memtable, the limit is %llu at this memory "
            "budget; send fewer points at once",
            (unsigned long long)bytes, (unsigned long long)db->generation_bytes);
    }
    if (!generation_fits(reading->generations[reading->active_slot], bytes) && !flush_recycle(db) &&
        !flush_freeze(db)) {
        db->flush_wanted = true;
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "both memtables are full (%llu bytes each) and a flush is under way; "
                              "try again",
                              (unsigned long long)db->generation_bytes);
    }
    if (arena_room(db->arena, INS_MEM_MEMTABLE) < bytes) {
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "memtables of earlier views are still in use; try again");
    }
    return INS_OK;
}

ins_status write_check_record(const struct ins_db *db, uint64_t bytes, ins_error *error) {
    if (bytes <= db->record_bytes_max) {
        return INS_OK;
    }
    return ins_fail(error, INS_TOO_LARGE,
                    "the request needs %llu bytes of log, the limit is %llu at this memory "
                    "budget; send fewer points at once",
                    (unsigned long long)bytes, (unsigned long long)db->record_bytes_max);
}

ins_status write_begin(struct write *write, uint64_t bytes, size_t row_max, ins_error *error) {
    struct ins_db *db = write->operation.db;
    ins_status status = write_check_open(db, error);
    if (status == INS_OK) {
        status = make_room(db, bytes, error);
    }
    if (status != INS_OK) {
        return status;
    }
    write->rows = pool_alloc(&write->operation.pool, row_max * sizeof(*write->rows));
    write->created = pool_alloc(&write->operation.pool, row_max * sizeof(*write->created));
    if (write->rows == NULL || write->created == NULL) {
        return ins_fail(error, INS_TOO_LARGE,
                        "the request has too many rows (%zu) for the memory of one request; send "
                        "fewer points at once",
                        row_max);
    }
    write->row_count = 0;
    write->row_capacity = row_max;
    write->created_count = 0;
    return INS_OK;
}

ins_status write_row(struct write *write, struct island *island, enum memrow_kind kind,
                     const ins_id *id, uint32_t vector_count, uint32_t vector_bytes,
                     ins_text payload, uint64_t incarnation, struct memrow **out_row,
                     ins_error *error) {
    struct read_context *reading = &write->operation.db->reading;
    INS_ASSERT(write->row_count < write->row_capacity);
    uint32_t slot = reading->active_slot;
    struct memrow *row =
        memtable_prepare(reading->generations[slot], island, &island->mem[slot], kind, id,
                         vector_count, vector_bytes, payload, incarnation);
    if (row == NULL) {
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "the memtables' share of the memory budget is in use; try again");
    }
    write->rows[write->row_count++] = row;
    if (out_row != NULL) {
        *out_row = row;
    }
    return INS_OK;
}

ins_status write_point(struct write *write, struct island *island, bool patch, const ins_id *id,
                       const struct row_vectors *vectors, ins_text payload, ins_error *error) {
    struct memrow *row = NULL;
    ins_status status = write_row(write, island, patch ? MEMROW_PATCH : MEMROW_POINT, id,
                                  vectors->count, vectors->bytes, payload, 0, &row, error);
    if (status == INS_OK) {
        INS_ASSERT(row != NULL);
        row_vectors_put(vectors, memrow_vectors(row));
    }
    return status;
}

uint64_t write_catalog_cost(size_t payload_bytes) {
    return memrow_cost(0, (uint32_t)payload_bytes);
}

ins_status write_catalog_row(struct write *write, uint64_t key, ins_text payload,
                             ins_error *error) {
    ins_id id = id_number(key);
    struct island *system = islands_find(&write->operation.db->islands, SYSTEM_INCARNATION);
    enum memrow_kind kind = payload.data == NULL ? MEMROW_TOMBSTONE : MEMROW_POINT;
    return write_row(write, system, kind, &id, 0, 0, payload, 0, NULL, error);
}

ins_status write_keys(struct write *write, uint64_t count, uint64_t *out_first, ins_error *error) {
    struct catalog *catalog = &write->operation.db->catalog;
    INS_ASSERT(count < CATALOG_KEY_STEP);
    uint64_t covered =
        catalog->pending_reserve != 0 ? catalog->pending_reserve : catalog->reserved_key;
    if (catalog->next_key + count > covered) {
        /* The mark may rise without the record being written: keys are plenty, reuse is not. */
        uint64_t reserved = catalog->next_key + count + CATALOG_KEY_STEP;
        ins_text row = catalog_row_allocator(&write->operation.pool, reserved);
        if (row.data == NULL) {
            return ins_fail(error, INS_FULL, "no memory for a catalog row");
        }
        ins_status status = write_catalog_row(write, 0, row, error);
        if (status != INS_OK) {
            return status;
        }
        catalog->pending_reserve = reserved;
    }
    *out_first = catalog->next_key;
    catalog->next_key += count;
    return INS_OK;
}

ins_status write_schema(struct write *write, struct schema *schema, uint64_t *out_key,
                        ins_error *error) {
    *out_key = schema->key;
    if (schema->key != 0) {
        return INS_OK;
    }
    ins_status status = write_keys(write, 1, out_key, error);
    if (status != INS_OK) {
        return status;
    }
    ins_text row = catalog_row_schema(&write->operation.pool, schema);
    if (row.data == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a catalog row");
    }
    write->schema = schema;
    write->schema_key = *out_key;
    return write_catalog_row(write, *out_key, row, error);
}

ins_status write_island(struct write *write, struct scope *scope, ins_text tenant,
                        struct island **out_island, ins_error *error) {
    struct ins_db *db = write->operation.db;
    uint64_t key = 0;
    ins_status status = write_keys(write, 1, &key, error);
    if (status != INS_OK) {
        return status;
    }
    ins_text row = catalog_row_tenant(&write->operation.pool, scope->key, tenant);
    struct island *island =
        row.data == NULL ? NULL : island_create(&db->islands, scope, key, tenant, 0);
    if (island == NULL) {
        return ins_fail(error, INS_FULL,
                        "no room for another tenant: %llu tenants and %llu collections use the "
                        "catalog's share of the memory budget",
                        (unsigned long long)db->catalog.tenant_count,
                        (unsigned long long)db->catalog.collection_count);
    }
    db->catalog.tenant_count++;
    write->created[write->created_count++] = island;
    *out_island = island;
    return write_catalog_row(write, key, row, error);
}

void write_undo(struct write *write) {
    struct ins_db *db = write->operation.db;
    for (size_t i = 0; i < write->created_count; i++) {
        db->catalog.tenant_count--;
        island_drop(&db->islands, write->created[i]);
    }
    write->created_count = 0;
    write->row_count = 0;
    db->catalog.pending_reserve = 0;
}

/* Rows of one island come one behind the other, mostly. */
static void charge_rows(struct ins_db *db, struct memrow *const *rows, size_t count) {
    for (size_t i = 0, first = 0; i < count; i++) {
        bool last = i + 1 == count || rows[i + 1]->owner != rows[i]->owner;
        const struct island_mem *owner = rows[i]->owner;
        if (last && !owner->directory && owner->scope != SYSTEM_SCOPE) {
            heavy_charge(&db->heavy, INS_HEAVY_WRITES, owner->incarnation, i + 1 - first);
        }
        first = last ? i + 1 : first;
    }
}

ins_status write_sequence(struct write *write, uint64_t scope, uint64_t *out_lsn,
                          ins_error *error) {
    struct ins_db *db = write->operation.db;
    INS_ASSERT(write->row_count > 0);
    uint64_t bytes = record_size(write->rows, write->row_count);
    ins_status status = write_check_record(db, bytes, error);
    if (status == INS_OK) {
        status = wal_reserve(db->wal, bytes, error);
    }
    for (size_t i = 0; i < write->row_count; i++) { /* they come while the record is encoded */
        memtable_prefetch_link(write->rows[i]);
    }
    if (status == INS_OK) {
        status =
            record_encode(db->arena, write->rows, write->row_count, scope, &write->record, error);
    }
    if (status != INS_OK) {
        return status;
    }
    wal_append(db->wal, &write->record);
    *out_lsn = write->record.lsn;
    for (size_t i = 0; i < write->row_count; i++) {
        memtable_link(write->rows[i], write->record.lsn);
    }
    charge_rows(db, write->rows, write->row_count);
    if (write->schema != NULL) {
        schema_set_key(&db->catalog, write->schema, write->schema_key);
    }
    if (db->catalog.pending_reserve != 0) {
        db->catalog.reserved_key = db->catalog.pending_reserve;
        db->catalog.pending_reserve = 0;
    }
    write->operation.sequenced = true;
    write->operation.call->lsn = write->record.lsn;
    return INS_OK;
}

ins_status write_settle(struct write *write, ins_error *error) {
    struct operation *operation = &write->operation;
    struct ins_db *db = operation->db;
    if (write->settle_lsn == 0) {
        write->settle_lsn = wal_next_lsn(db->wal) - 1;
    }
    if (db->reading.durable_lsn >= write->settle_lsn) {
        operation->call->lsn = write->settle_lsn;
        return INS_OK;
    }
    ins_status status = write_check_open(db, error);
    if (status != INS_OK) {
        return status;
    }
    operation->next_waiting = db->settling;
    db->settling = operation;
    operation->parked = true;
    return INS_AGAIN;
}

/* ---- What the log tells ---- */

static void wake_settling(struct ins_db *db) {
    struct operation *operation = db->settling;
    db->settling = NULL;
    while (operation != NULL) {
        struct operation *next = operation->next_waiting;
        operation->parked = false;
        db_run(db, INS_LANE_REQUEST, &operation->waiter.task);
        operation = next;
    }
}

/* A thousand writes that waited for the log have left the processor's cache, and a completion that
 * starts the next write takes long enough for them to come back: what ends a write is asked for
 * while the one before it ends, its record while the one before that does. */
static void prefetch_ending(const struct wal_record *record) {
    const struct write *write = container_of(record, struct write, record);
    const struct operation *operation = &write->operation;
    __builtin_prefetch(operation);
    __builtin_prefetch(&operation->waiter.pending);
    __builtin_prefetch(&operation->waiter.trace);
    __builtin_prefetch(&operation->account);
    __builtin_prefetch(&write->durable);
    if (record->next != NULL) {
        __builtin_prefetch(record->next);
    }
}

void write_durable(void *context, uint64_t lsn, struct wal_record *released) {
    struct ins_db *db = context;
    db->reading.durable_lsn = lsn;
    tidy_want_erasure(db);
    while (released != NULL) {
        struct wal_record *next = released->next;
        struct write *write = container_of(released, struct write, record);
        if (next != NULL) {
            prefetch_ending(next);
        }
        record_free(db->arena, released);
        if (write->durable != NULL) {
            write->durable(write, released->lsn);
        }
        operation_end(&write->operation, INS_OK, NULL);
        released = next;
    }
    wake_settling(db);
    jobs_kick(db);
}

void write_failed(void *context, const ins_error *error, struct wal_record *released) {
    struct ins_db *db = context;
    db->writes_stopped = true;
    db->failure = *error;
    ins_error answer;
    (void)ins_fail(
        &answer, INS_UNAVAILABLE,
        "the write is not durable and may be lost: writes are stopped until a restart: %.300s",
        error->message);
    while (released != NULL) {
        struct wal_record *next = released->next;
        struct write *write = container_of(released, struct write, record);
        record_free(db->arena, released);
        operation_end(&write->operation, INS_UNAVAILABLE, &answer);
        released = next;
    }
    wake_settling(db);
    jobs_kick(db);
}
