/* Feeds bytes to replay as the log's files: as they are, and with ids, salts, sizes, chain and
 * hashes made right, so that what lies behind them is reached. Nothing may crash; what comes back
 * has LSNs without a hole; damage is told in words. Input: one byte of options, one byte after_lsn,
 * then the files' bytes. */
#include <stdlib.h>

#include "base/assert.h"
#include "wal/format.h"
#include "wal/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPTION_REPAIR = 1, OPTION_TWO_FILES = 2 };

#define PAGE ((size_t)INS_LOG_PAGE)
#define SALT 0x1122334455667788ull

struct image {
    struct log_sink sink; /* first */
    size_t count;
    struct log_file files[2];
    uint8_t *bytes[2];
};

static ins_status image_files(struct log_sink *sink, struct log_file *out_files, size_t capacity,
                              size_t *out_count, ins_error *error) {
    const struct image *image = (struct image *)(void *)sink;
    (void)error;
    for (size_t i = 0; i < image->count && i < capacity; i++) {
        out_files[i] = image->files[i];
    }
    *out_count = image->count;
    return INS_OK;
}

static ins_status image_read(struct log_sink *sink, uint64_t file_id, uint64_t offset, void *out,
                             size_t size, ins_error *error) {
    const struct image *image = (struct image *)(void *)sink;
    (void)error;
    for (size_t i = 0; i < image->count; i++) {
        if (image->files[i].file_id == file_id) {
            INS_ASSERT(offset <= image->files[i].size_bytes);
            INS_ASSERT(size <= image->files[i].size_bytes - offset);
            memcpy(out, image->bytes[i] + offset, size);
            return INS_OK;
        }
    }
    INS_ASSERT(false);
    return INS_INTERNAL;
}

static const struct log_sink_ops image_ops = {.files = image_files, .read = image_read};

struct story {
    uint64_t lsn;
    uint64_t sum;
};

static ins_status visit(void *context, uint64_t lsn, uint16_t type, uint64_t scope,
                        struct slice data, ins_error *error) {
    struct story *story = context;
    (void)error;
    INS_ASSERT(lsn == story->lsn + 1);
    story->lsn = lsn;
    story->sum += hash64(data.data, data.size) + type + scope; /* touches every byte */
    return INS_OK;
}

static void put_hash(uint8_t *to, struct hash128 hash) {
    store_u64(to, hash.low);
    store_u64(to + 8, hash.high);
}

/* Makes one file's header and frames verify; *io_chain is the hash of the last batch so far. */
static void repair(uint8_t *file, size_t size, uint64_t id, struct hash128 *io_chain) {
    struct wal_file_header header = {
        .file_id = id,
        .salt = SALT + id,
        .first_lsn = load_u64(file + 40),
        .first_batch = load_u64(file + 48),
        .previous_id = id - 1,
        .previous_hash = *io_chain,
        .file_bytes = size,
    };
    header.first_lsn += header.first_lsn == 0 ? 1 : 0;
    wal_file_header_encode(&header, file);
    size_t at = PAGE;
    while (at + PAGE <= size) {
        uint8_t *frame = file + at;
        size_t bytes = load_u32(frame + 4);
        if (bytes < PAGE || bytes > size - at || bytes > INS_LOG_FRAME_BYTES_MAX ||
            bytes % PAGE != 0) {
            return;
        }
        store_u64(frame + 8, id);
        store_u64(frame + 16, SALT + id);
        size_t batch = load_u32(frame + 32 + 44);
        if (batch >= 88 && batch <= bytes - 48) {
            put_hash(frame + 32 + 48, *io_chain);
            *io_chain = hash128(frame + 32, batch - 16);
            put_hash(frame + 32 + batch - 16, *io_chain);
        }
        put_hash(frame + bytes - 16, hash128(frame, bytes - 16));
        at += bytes;
    }
}

static void replay(struct image *image, uint64_t after_lsn) {
    struct story story = {.lsn = after_lsn};
    struct wal_replay_result result;
    ins_error error = {0};
    ins_status status = wal_check(&image->sink, after_lsn, visit, &story, &result, &error);
    if (status == INS_OK) {
        INS_ASSERT(result.last_lsn == story.lsn);
        INS_ASSERT(result.records == story.lsn - after_lsn);
        return;
    }
    INS_ASSERT(status == INS_CORRUPT);
    INS_ASSERT(error.status == INS_CORRUPT);
    INS_ASSERT(error.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    uint8_t options = data[0], after_lsn = data[1];
    data += 2;
    size -= 2;
    struct image image = {.sink.ops = &image_ops,
                          .count = (options & OPTION_TWO_FILES) != 0 ? 2 : 1};
    struct hash128 chain = {0};
    size_t half = (size / image.count + PAGE - 1) / PAGE * PAGE;
    for (size_t i = 0; i < image.count; i++) {
        size_t left = size < half ? size : half;
        size_t bytes = left < PAGE ? PAGE : (left + PAGE - 1) / PAGE * PAGE;
        image.bytes[i] = calloc(1, bytes);
        if (image.bytes[i] == NULL) {
            abort();
        }
        if (left > 0) {
            memcpy(image.bytes[i], data, left);
        }
        data += left;
        size -= left;
        image.files[i] = (struct log_file){i + 1, bytes};
        if ((options & OPTION_REPAIR) != 0) {
            repair(image.bytes[i], bytes, i + 1, &chain);
        }
    }
    replay(&image, after_lsn);
    for (size_t i = 0; i < image.count; i++) {
        free(image.bytes[i]);
    }
    return 0;
}
