/* Reading the log back.
 *
 * Path: the headers of all files are read and verified first; then, from the first file that can
 * hold a record above after_lsn, frame by frame: hash, batch number, hash of the batch before, LSNs
 * without a hole; whole records go to visit, fragments are joined first.
 * The end: the first place without a verified frame. It is the torn tail of a batch that was never
 * acknowledged, unless a verified frame of the same file lies behind it, or a later file chains on
 * to a batch that is not there: a batch is written only when the one before is durable, so then
 * bytes that were acknowledged are damaged. Memory: one window of 4 MiB, and the fragments of one
 * record. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "wal/wal_private.h"

#define WINDOW_BYTES (2 * (size_t)INS_LOG_FRAME_BYTES_MAX)
#define FILES_MAX 65536u /* of 256 KiB at least: 16 GiB of log */

struct replay {
    const struct wal_replay_options *options;
    struct wal_file_header *headers; /* [file_count], ascending id */
    uint64_t *sizes;                 /* [file_count] */
    size_t file_count;
    /* chain */
    uint64_t next_batch, next_lsn;
    struct hash128 previous_hash;
    uint32_t boot;
    /* the file being read */
    const struct wal_file_header *file;
    uint64_t file_size, at;
    uint64_t last_lsn; /* highest LSN of a record or fragment met */
    uint8_t *window;   /* [WINDOW_BYTES] */
    uint64_t window_at;
    size_t window_size;
    /* fragments of the record next_lsn */
    bool joining;
    bool join_skipped; /* they are not wanted: the record is not above after_lsn */
    uint32_t join_boot;
    uint16_t join_type;
    uint64_t join_scope;
    uint8_t *join; /* [join_capacity] */
    size_t join_size, join_capacity;

    struct wal_replay_result result;
};

static ins_status damaged(const struct replay *replay, ins_error *error, const char *what) {
    return ins_fail(error, INS_CORRUPT, "log file %016llx is damaged at offset %llu: %s",
                    (unsigned long long)replay->file->file_id, (unsigned long long)replay->at,
                    what);
}

/* ---- Files
 * --------------------------------------------------------------------------------------- */

static ins_status header_load(struct replay *replay, size_t index, uint64_t file_id,
                              ins_error *error) {
    uint8_t bytes[WAL_FILE_HEADER_BYTES];
    struct log_sink *sink = replay->options->sink;
    const char *reason = "it is shorter than its header";
    struct wal_file_header *header = &replay->headers[index];
    if (replay->sizes[index] >= sizeof(bytes)) {
        ins_status status = sink->ops->read(sink, file_id, 0, bytes, sizeof(bytes), error);
        if (status != INS_OK) {
            return status;
        }
        reason = wal_file_header_decode(bytes, header);
        if (reason == NULL && header->file_id != file_id) {
            reason = "its header names another file";
        }
        if (reason == NULL && header->file_bytes != replay->sizes[index]) {
            reason = "it does not have the size that its header says";
        }
    }
    if (reason != NULL) {
        return ins_fail(error, INS_CORRUPT, "log file %016llx is damaged at offset 0: %s",
                        (unsigned long long)file_id, reason);
    }
    return INS_OK;
}

static ins_status headers_load(struct replay *replay, ins_error *error) {
    struct log_sink *sink = replay->options->sink;
    size_t count = 0, again = 0;
    ins_status status = sink->ops->files(sink, NULL, 0, &count, error);
    if (status != INS_OK || count == 0) {
        return status;
    }
    if (count > FILES_MAX) {
        return ins_fail(error, INS_CORRUPT, "there are %zu log files, more than %u", count,
                        FILES_MAX);
    }
    struct log_file *files = calloc(count, sizeof(*files));
    replay->headers = calloc(count, sizeof(*replay->headers));
    replay->sizes = calloc(count, sizeof(*replay->sizes));
    if (files == NULL || replay->headers == NULL || replay->sizes == NULL) {
        free(files);
        return ins_fail(error, INS_FULL, "no memory to read %zu log files", count);
    }
    status = sink->ops->files(sink, files, count, &again, error);
    if (status == INS_OK && again != count) {
        status = ins_fail(error, INS_IO, "the log's files changed while they were listed");
    }
    for (size_t i = 0; status == INS_OK && i < count; i++) {
        replay->sizes[i] = files[i].size_bytes;
        status = header_load(replay, i, files[i].file_id, error);
    }
    free(files);
    replay->file_count = count;
    return status;
}

/* The first file to read. Files before a gap are left from a truncation that a crash cut short. */
static ins_status first_file(struct replay *replay, size_t *out_first, ins_error *error) {
    uint64_t after_lsn = replay->options->after_lsn;
    size_t first = 0;
    for (size_t i = 1; i < replay->file_count; i++) {
        const struct wal_file_header *header = &replay->headers[i];
        bool gap = header->previous_id != replay->headers[i - 1].file_id;
        if (gap || (!replay->options->every_file && header->first_lsn <= after_lsn)) {
            first = i;
        }
    }
    const struct wal_file_header *header = &replay->headers[first];
    if (header->first_lsn > after_lsn + 1) {
        return ins_fail(
            error, INS_CORRUPT,
            "records %llu to %llu of the log are missing: file %016llx begins with %llu",
            (unsigned long long)after_lsn + 1, (unsigned long long)header->first_lsn - 1,
            (unsigned long long)header->file_id, (unsigned long long)header->first_lsn);
    }
    *out_first = first;
    return INS_OK;
}

/* ---- The window
 * ---------------------------------------------------------------------------------- */

/* `size` bytes at `offset` of the file, which has them. */
static ins_status view(struct replay *replay, uint64_t offset, size_t size,
                       const uint8_t **out_bytes, ins_error *error) {
    INS_ASSERT(size <= WINDOW_BYTES);
    INS_ASSERT(offset + size <= replay->file_size);
    bool inside =
        offset >= replay->window_at && offset + size <= replay->window_at + replay->window_size;
    if (!inside) {
        uint64_t left = replay->file_size - offset;
        size_t want = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        struct log_sink *sink = replay->options->sink;
        replay->window_size = 0;
        ins_status status =
            sink->ops->read(sink, replay->file->file_id, offset, replay->window, want, error);
        if (status != INS_OK) {
            return status;
        }
        replay->window_at = offset;
        replay->window_size = want;
    }
    *out_bytes = replay->window + (offset - replay->window_at);
    return INS_OK;
}

struct frame_view {
    enum wal_frame_state state; /* of its first page */
    bool whole;
    size_t size; /* when whole */
    struct wal_batch_header batch;
    struct hash128 hash;
    struct slice records; /* in the window: until the next view */
};

static ins_status frame_view(struct replay *replay, uint64_t offset, struct frame_view *out,
                             ins_error *error) {
    *out = (struct frame_view){0};
    const uint8_t *bytes;
    ins_status status = view(replay, offset, INS_LOG_PAGE, &bytes, error);
    if (status != INS_OK) {
        return status;
    }
    size_t size;
    out->state = wal_frame_peek(bytes, replay->file, replay->file_size - offset, &size);
    if (out->state == WAL_FRAME_NONE || size == 0) {
        return INS_OK;
    }
    status = view(replay, offset, size, &bytes, error);
    if (status != INS_OK) {
        return status;
    }
    out->size = size;
    out->whole = wal_frame_verify(bytes, size, &out->batch, &out->hash, &out->records);
    return INS_OK;
}

/* ---- Records
 * ------------------------------------------------------------------------------------- */

static ins_status deliver(struct replay *replay, uint16_t type, uint64_t scope, struct slice data,
                          ins_error *error) {
    uint64_t lsn = replay->next_lsn++;
    replay->joining = false;
    if (lsn <= replay->options->after_lsn) {
        return INS_OK;
    }
    replay->result.records++;
    replay->result.bytes += data.size;
    if (replay->options->visit == NULL) {
        return INS_OK;
    }
    return replay->options->visit(replay->options->visit_context, lsn, type, scope, data, error);
}

static ins_status join_append(struct replay *replay, struct slice data, ins_error *error) {
    if (replay->join_skipped) {
        return INS_OK;
    }
    if (data.size > INS_LOG_RECORD_BYTES_MAX - replay->join_size) {
        return damaged(replay, error, "the fragments of a record are larger than any record");
    }
    size_t need = replay->join_size + data.size;
    if (need > replay->join_capacity) {
        size_t capacity = need + need / 2;
        uint8_t *larger = realloc(replay->join, capacity);
        if (larger == NULL) {
            return ins_fail(error, INS_FULL, "no memory to join a log record of %zu bytes", need);
        }
        replay->join = larger;
        replay->join_capacity = capacity;
    }
    memcpy(replay->join + replay->join_size, data.data, data.size);
    replay->join_size = need;
    return INS_OK;
}

/* One fragment. A record's first ones may lie in a file that was released: then the record must be
 * one that nobody wants any more. */
static ins_status fragment_take(struct replay *replay, const struct wal_record_header *header,
                                uint32_t boot, struct slice data, ins_error *error) {
    bool wanted = header->lsn > replay->options->after_lsn;
    if ((header->flags & WAL_FIRST) != 0 || (!replay->joining && !wanted)) {
        replay->joining = true;
        replay->join_skipped = !wanted;
        replay->join_boot = boot;
        replay->join_type = header->type;
        replay->join_scope = header->scope;
        replay->join_size = 0;
    } else if (!replay->joining) {
        return damaged(replay, error, "a record begins with its second fragment");
    }
    if (header->type != replay->join_type || header->scope != replay->join_scope ||
        boot != replay->join_boot) {
        return damaged(replay, error, "fragments of one record contradict each other");
    }
    ins_status status = join_append(replay, data, error);
    if (status != INS_OK || (header->flags & WAL_LAST) == 0) {
        return status;
    }
    return deliver(replay, header->type, header->scope,
                   (struct slice){replay->join, replay->join_size}, error);
}

static ins_status record_take(struct replay *replay, const struct wal_record_header *header,
                              uint32_t boot, struct slice data, ins_error *error) {
    bool whole = header->flags == 0;
    bool first = header->flags == (WAL_FRAGMENT | WAL_FIRST);
    if (!whole && !first && header->flags != WAL_FRAGMENT &&
        header->flags != (WAL_FRAGMENT | WAL_LAST)) {
        return damaged(replay, error, "a record has flags that this program does not know");
    }
    if (header->lsn != replay->next_lsn) {
        return damaged(replay, error, "the LSNs have a hole");
    }
    if (header->shard != 0 || data.size > INS_LOG_FRAGMENT_BYTES_MAX ||
        crc32c(data.data, data.size) != header->crc) {
        return damaged(replay, error, "a record does not verify");
    }
    replay->last_lsn = header->lsn;
    if ((whole || first) && replay->joining && replay->join_boot == boot) {
        return damaged(replay, error, "a record ends before its last fragment");
    }
    if (whole) { /* fragments of an earlier life, whose end was torn off, are dropped */
        return deliver(replay, header->type, header->scope, data, error);
    }
    return fragment_take(replay, header, boot, data, error);
}

static ins_status batch_take(struct replay *replay, const struct frame_view *frame,
                             ins_error *error) {
    const struct wal_batch_header *batch = &frame->batch;
    if (batch->number != replay->next_batch ||
        batch->previous_hash.low != replay->previous_hash.low ||
        batch->previous_hash.high != replay->previous_hash.high) {
        return damaged(replay, error, "a batch does not follow the one before it");
    }
    if (batch->first_lsn != replay->next_lsn) {
        return damaged(replay, error, "the LSNs have a hole");
    }
    struct slice records = frame->records, data;
    struct wal_record_header header;
    uint32_t count = 0;
    while (count < batch->record_count && wal_record_next(&records, &header, &data)) {
        ins_status status = record_take(replay, &header, batch->boot, data, error);
        if (status != INS_OK) {
            return status;
        }
        count++;
    }
    if (count != batch->record_count || records.size != 0) {
        return damaged(replay, error, "a batch does not hold the records that it says");
    }
    replay->next_batch++;
    replay->previous_hash = frame->hash;
    replay->boot = batch->boot;
    return INS_OK;
}

/* ---- One file
 * ------------------------------------------------------------------------------------- */

/* Nothing verified at replay->at: a verified frame behind it makes that damage. */
static ins_status tail_check(struct replay *replay, ins_error *error) {
    for (uint64_t offset = replay->at + INS_LOG_PAGE; offset + INS_LOG_PAGE <= replay->file_size;
         offset += INS_LOG_PAGE) {
        struct frame_view frame;
        ins_status status = frame_view(replay, offset, &frame, error);
        if (status != INS_OK) {
            return status;
        }
        if (frame.whole) {
            return damaged(replay, error,
                           "a batch does not verify, and a later one behind it does");
        }
    }
    return INS_OK;
}

static ins_status file_replay(struct replay *replay, size_t index, ins_error *error) {
    replay->file = &replay->headers[index];
    replay->file_size = replay->sizes[index];
    replay->at = WAL_FILE_HEADER_BYTES;
    replay->window_size = 0;
    replay->boot = replay->file->boot;
    replay->result.torn_tail = false;
    while (replay->at + INS_LOG_PAGE <= replay->file_size) {
        struct frame_view frame;
        ins_status status = frame_view(replay, replay->at, &frame, error);
        if (status != INS_OK) {
            return status;
        }
        if (!frame.whole) {
            replay->result.torn_tail = frame.state == WAL_FRAME_BEGUN;
            return tail_check(replay, error);
        }
        status = batch_take(replay, &frame, error);
        if (status != INS_OK) {
            return status;
        }
        replay->at += frame.size;
    }
    return INS_OK;
}

/* The next file was begun when all that it chains on was durable. LSNs may skip only what is
 * flushed: a log that was lost or not written for a while begins again behind it. */
static ins_status chain_check(struct replay *replay, size_t next, ins_error *error) {
    const struct wal_file_header *header = &replay->headers[next];
    if (header->first_batch != replay->next_batch ||
        header->previous_hash.low != replay->previous_hash.low ||
        header->previous_hash.high != replay->previous_hash.high) {
        return damaged(replay, error,
                       "a batch does not verify, and the next file begins behind it");
    }
    if (header->first_lsn != replay->next_lsn) {
        if (header->first_lsn < replay->next_lsn ||
            header->first_lsn > replay->options->after_lsn + 1) {
            return damaged(replay, error, "the LSNs have a hole before the next file");
        }
        replay->next_lsn = header->first_lsn;
        replay->joining = false;
    }
    return INS_OK;
}

/* ---- All
 * ------------------------------------------------------------------------------------------- */

static ins_status files_replay(struct replay *replay, struct wal_file_spans *spans,
                               ins_error *error) {
    size_t first = 0;
    ins_status status = first_file(replay, &first, error);
    if (status != INS_OK) {
        return status;
    }
    const struct wal_file_header *header = &replay->headers[first];
    replay->next_batch = header->first_batch;
    replay->previous_hash = header->previous_hash;
    replay->next_lsn = header->first_lsn;
    replay->last_lsn = header->first_lsn - 1;
    uint64_t after_lsn = replay->options->after_lsn;
    for (size_t i = 0; spans != NULL && i < first; i++) { /* nothing in them is wanted any more */
        wal_spans_add(spans, replay->headers[i].file_id, after_lsn);
    }
    for (size_t i = first; i < replay->file_count; i++) {
        status = file_replay(replay, i, error);
        if (status == INS_OK && i + 1 < replay->file_count) {
            status = chain_check(replay, i + 1, error);
        }
        if (status != INS_OK) {
            return status;
        }
        if (spans != NULL) {
            wal_spans_add(spans, replay->file->file_id, replay->last_lsn);
        }
    }
    replay->result.last_file_id = replay->headers[replay->file_count - 1].file_id;
    return INS_OK;
}

static ins_status replay_run(struct replay *replay, struct wal_file_spans *spans,
                             ins_error *error) {
    ins_status status = headers_load(replay, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t after_lsn = replay->options->after_lsn;
    replay->next_lsn = after_lsn + 1;
    replay->next_batch = 1;
    if (replay->file_count > 0) {
        replay->window = malloc(WINDOW_BYTES);
        if (replay->window == NULL) {
            return ins_fail(error, INS_FULL, "no memory to read the log");
        }
        return files_replay(replay, spans, error);
    }
    if (after_lsn > 0 && !replay->options->may_be_none) {
        return ins_fail(error, INS_CORRUPT, "all files of the log are missing, behind record %llu",
                        (unsigned long long)after_lsn);
    }
    return INS_OK;
}

ins_status wal_replay(const struct wal_replay_options *options,
                      struct wal_replay_result *out_result, struct wal_end *out_end,
                      struct wal_file_spans *out_spans, ins_error *error) {
    INS_ASSERT(options->sink != NULL);
    INS_ASSERT(options->after_lsn < UINT64_MAX);
    INS_ASSERT(out_result != NULL);
    INS_ASSERT(out_end != NULL);

    struct replay replay = {.options = options};
    if (out_spans != NULL) {
        out_spans->count = 0;
    }
    ins_status status = replay_run(&replay, out_spans, error);
    if (status == INS_OK) {
        uint64_t next_lsn = replay.next_lsn;
        if (next_lsn <= options->after_lsn) {
            next_lsn = options->after_lsn + 1;
        }
        *out_end = (struct wal_end){
            .next_lsn = next_lsn,
            .next_batch = replay.next_batch,
            .last_file_id = replay.result.last_file_id,
            .previous_hash = replay.previous_hash,
            .boot = replay.boot,
        };
        replay.result.last_lsn = next_lsn - 1;
        *out_result = replay.result;
    }
    free(replay.headers);
    free(replay.sizes);
    free(replay.window);
    free(replay.join);
    return status;
}

ins_status wal_check(struct log_sink *sink, uint64_t after_lsn, wal_visit visit,
                     void *visit_context, struct wal_replay_result *out_result, ins_error *error) {
    INS_ASSERT(out_result != NULL);
    struct wal_replay_options options = {
        .sink = sink,
        .after_lsn = after_lsn,
        .every_file = true,
        .visit = visit,
        .visit_context = visit_context,
    };
    struct wal_end end;
    return wal_replay(&options, out_result, &end, NULL, error);
}
