/* insula check: everything that recovery relies on, verified without changing anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "engine/engine.h"
#include "engine/engine_private.h"
#include "engine/jobs.h"
#include "engine/record.h"

struct check_run {
    ins_store *store;
    struct arena *arena;
    ins_check_report report;
    void *context;
    struct manifest manifest;
    uint8_t *buffer;
    bool damaged;
};

static void tell(struct check_run *check, bool damage, const char *text) {
    check->damaged |= damage;
    check->report(check->context, damage, text);
}

static void note_damage(void *context, bool is_damage, const char *text) {
    tell(context, is_damage, text);
}

static ins_status check_manifest(struct check_run *check, ins_error *error) {
    ins_error damage = {0};
    size_t size;
    uint64_t version;
    ins_status status =
        check->store->ops->cell_load(check->store, MANIFEST_CELL, check->buffer, MANIFEST_BYTES_MAX,
                                     &size, &version, &damage, error);
    if (status != INS_OK) {
        return status;
    }
    if (version == 0) {
        return ins_fail(error, INS_NOT_FOUND, "there is no manifest: not a database");
    }
    if (damage.status != INS_OK) {
        char text[INS_ERROR_MESSAGE_MAX + 64];
        (void)snprintf(text, sizeof(text), "manifest: the other copy is older, or: %s",
                       damage.message);
        tell(check, false, text);
    }
    return manifest_decode(check->buffer, size, check->manifest.files, INS_FILES_MAX,
                           &check->manifest, error);
}

static ins_status check_row(void *context, uint64_t incarnation, const struct record_row *row,
                            ins_error *error) {
    (void)context;
    (void)row;
    return incarnation != 0 ? INS_OK : ins_fail(error, INS_CORRUPT, "log: a row of island 0");
}

static ins_status check_record(void *context, uint64_t lsn, uint16_t type, uint64_t scope,
                               struct slice data, ins_error *error) {
    (void)scope;
    if (type != WAL_RECORD_EFFECTS) {
        return ins_fail(error, INS_CORRUPT, "log: record %llu has an unknown type %u",
                        (unsigned long long)lsn, type);
    }
    return record_decode(data, check_row, context, error);
}

static void check_log(struct check_run *check) {
    ins_error error;
    struct wal_replay_result result;
    struct log_sink *sink = check->store->ops->log_sink(check->store);
    ins_status status =
        wal_check(sink, check->manifest.flushed_lsn, check_record, check, &result, &error);
    char text[INS_ERROR_MESSAGE_MAX + 64];
    if (status != INS_OK) {
        tell(check, true, error.message);
        return;
    }
    if (result.last_lsn < check->manifest.log_lsn) {
        (void)snprintf(text, sizeof(text),
                       "log: it ends at record %llu, but the manifest was written when record "
                       "%llu was in it",
                       (unsigned long long)result.last_lsn,
                       (unsigned long long)check->manifest.log_lsn);
        tell(check, true, text);
        return;
    }
    (void)snprintf(text, sizeof(text), "log: %llu records to replay, last LSN %llu%s",
                   (unsigned long long)result.records, (unsigned long long)result.last_lsn,
                   result.torn_tail ? "; a torn tail is dropped at the next start" : "");
    tell(check, false, text);
}

static void check_segments(struct check_run *check) {
    for (uint32_t i = 0; i < check->manifest.file_count; i++) {
        bool before = check->damaged;
        ins_error error = {0};
        ins_status status = segment_check(check->store, check->arena, &check->manifest.files[i],
                                          note_damage, check, &error);
        if (status != INS_OK && check->damaged == before) {
            tell(check, true, error.message);
        }
    }
}

static ins_status open_memory(struct check_run *check, ins_error *error) {
    struct budget_shares shares;
    budget_divide(INS_MEMORY_BUDGET_MIN, 0, &shares);
    struct arena_options options = {.limit_bytes = shares.arena_bytes};
    memcpy(options.purpose_limit_bytes, shares.purpose, sizeof(shares.purpose));
    ins_status status = arena_open(&options, &check->arena, error);
    if (status != INS_OK) {
        return status;
    }
    check->manifest.files =
        arena_alloc(check->arena, INS_MEM_JOB, INS_FILES_MAX * sizeof(struct segment_info));
    check->buffer = arena_alloc(check->arena, INS_MEM_JOB, MANIFEST_BYTES_MAX);
    return check->manifest.files == NULL || check->buffer == NULL
               ? ins_fail(error, INS_FULL, "no memory to check")
               : INS_OK;
}

ins_status ins_check(ins_store *store, ins_check_report report, void *context, ins_error *error) {
    struct check_run check = {.store = store, .report = report, .context = context};
    ins_status status = open_memory(&check, error);
    if (status == INS_OK) {
        status = check_manifest(&check, error);
    }
    if (status == INS_OK) {
        check_segments(&check);
        check_log(&check);
    } else if (status == INS_CORRUPT) {
        tell(&check, true, error != NULL ? error->message : "manifest: damaged");
    }
    arena_close(check.arena);
    if (status == INS_OK && check.damaged) {
        status = ins_fail(error, INS_CORRUPT, "the database is damaged: see the findings");
    }
    return status;
}
