#include "wal/format.h"

#include "base/assert.h"

#define FILE_MAGIC 0x31474f4c534e49ull /* "INSLOG1" */
#define FRAME_MAGIC 0x464c4e49u        /* "INLF" */
#define BATCH_MAGIC 0x424c4e49u        /* "INLB" */
#define FORMAT_VERSION 1u
#define SHARD_COUNT 1u

static void store_hash(uint8_t *to, struct hash128 hash) {
    store_u64(to, hash.low);
    store_u64(to + 8, hash.high);
}

static struct hash128 load_hash(const uint8_t *from) {
    return (struct hash128){.low = load_u64(from), .high = load_u64(from + 8)};
}

static bool hash_equal(struct hash128 left, struct hash128 right) {
    return left.low == right.low && left.high == right.high;
}

static bool all_zero(const uint8_t *data, size_t size) {
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* ---- File header ----------------------------------------------------------------------------- */

enum {
    FILE_AT_MAGIC = 0,
    FILE_AT_VERSION = 8,
    FILE_AT_NODE = 12,
    FILE_AT_BOOT = 16, /* 4 zero bytes behind it */
    FILE_AT_ID = 24,
    FILE_AT_SALT = 32,
    FILE_AT_FIRST_LSN = 40,
    FILE_AT_FIRST_BATCH = 48,
    FILE_AT_PREVIOUS_ID = 56,
    FILE_AT_PREVIOUS_HASH = 64,
    FILE_AT_FILE_BYTES = 80,
    FILE_USED = 88,
    FILE_AT_HASH = WAL_FILE_HEADER_BYTES - 16,
};

void wal_file_header_encode(const struct wal_file_header *header,
                            uint8_t out[static WAL_FILE_HEADER_BYTES]) {
    INS_ASSERT(header->file_id > header->previous_id);
    INS_ASSERT(header->first_lsn > 0);
    memset(out, 0, WAL_FILE_HEADER_BYTES);
    store_u64(out + FILE_AT_MAGIC, FILE_MAGIC);
    store_u32(out + FILE_AT_VERSION, FORMAT_VERSION);
    store_u32(out + FILE_AT_NODE, header->node);
    store_u32(out + FILE_AT_BOOT, header->boot);
    store_u64(out + FILE_AT_ID, header->file_id);
    store_u64(out + FILE_AT_SALT, header->salt);
    store_u64(out + FILE_AT_FIRST_LSN, header->first_lsn);
    store_u64(out + FILE_AT_FIRST_BATCH, header->first_batch);
    store_u64(out + FILE_AT_PREVIOUS_ID, header->previous_id);
    store_hash(out + FILE_AT_PREVIOUS_HASH, header->previous_hash);
    store_u64(out + FILE_AT_FILE_BYTES, header->file_bytes);
    store_hash(out + FILE_AT_HASH, hash128(out, FILE_AT_HASH));
}

const char *wal_file_header_decode(const uint8_t bytes[static WAL_FILE_HEADER_BYTES],
                                   struct wal_file_header *out_header) {
    if (!hash_equal(load_hash(bytes + FILE_AT_HASH), hash128(bytes, FILE_AT_HASH))) {
        return "its header does not verify";
    }
    if (load_u64(bytes + FILE_AT_MAGIC) != FILE_MAGIC) {
        return "it is not a log file";
    }
    if (load_u32(bytes + FILE_AT_VERSION) != FORMAT_VERSION) {
        return "its format version is not known to this program";
    }
    *out_header = (struct wal_file_header){
        .node = load_u32(bytes + FILE_AT_NODE),
        .boot = load_u32(bytes + FILE_AT_BOOT),
        .file_id = load_u64(bytes + FILE_AT_ID),
        .salt = load_u64(bytes + FILE_AT_SALT),
        .first_lsn = load_u64(bytes + FILE_AT_FIRST_LSN),
        .first_batch = load_u64(bytes + FILE_AT_FIRST_BATCH),
        .previous_id = load_u64(bytes + FILE_AT_PREVIOUS_ID),
        .previous_hash = load_hash(bytes + FILE_AT_PREVIOUS_HASH),
        .file_bytes = load_u64(bytes + FILE_AT_FILE_BYTES),
    };
    if (out_header->file_id <= out_header->previous_id || out_header->first_lsn == 0 ||
        out_header->file_bytes % INS_LOG_PAGE != 0) {
        return "its header contradicts itself";
    }
    return NULL;
}

/* ---- Frames, writing ------------------------------------------------------------------------- */

enum {
    FRAME_AT_MAGIC = 0,
    FRAME_AT_BYTES = 4,
    FRAME_AT_FILE = 8,
    FRAME_AT_SALT = 16, /* 8 zero bytes behind it */
    FRAME_AT_ZERO = 24,
};

enum {
    BATCH_AT_MAGIC = 0,
    BATCH_AT_VERSION = 4,
    BATCH_AT_SHARD_COUNT = 6,
    BATCH_AT_NODE = 8,
    BATCH_AT_BOOT = 12,
    BATCH_AT_EPOCH = 16,
    BATCH_AT_NUMBER = 24,
    BATCH_AT_FIRST_LSN = 32,
    BATCH_AT_COUNT = 40,
    BATCH_AT_BYTES = 44,
    BATCH_AT_PREVIOUS_HASH = 48,
    BATCH_AT_SHARDS = 64, /* u16 each, padded with zeros to 8 */
};

enum {
    RECORD_AT_SIZE = 0,
    RECORD_AT_CRC = 4,
    RECORD_AT_TYPE = 8,
    RECORD_AT_FLAGS = 10,
    RECORD_AT_SHARD = 12,
    RECORD_AT_ZERO = 14,
    RECORD_AT_LSN = 16,
    RECORD_AT_SCOPE = 24,
};

void wal_frame_begin(struct wal_frame *frame, uint8_t *data, size_t capacity) {
    INS_ASSERT(capacity % INS_LOG_PAGE == 0);
    INS_ASSERT(capacity <= INS_LOG_FRAME_BYTES_MAX);
    *frame = (struct wal_frame){.data = data,
                                .capacity = capacity,
                                .size = WAL_FRAME_HEADER_BYTES + WAL_BATCH_HEADER_BYTES};
}

bool wal_frame_fits(const struct wal_frame *frame, size_t size) {
    size_t taken =
        frame->size + WAL_RECORD_HEADER_BYTES + WAL_BATCH_HASH_BYTES + WAL_FRAME_HASH_BYTES;
    return frame->record_count < INS_LOG_BATCH_RECORDS_MAX && taken <= frame->capacity &&
           align_up(size, 8) <= frame->capacity - taken;
}

size_t wal_frame_room(const struct wal_frame *frame) {
    size_t taken =
        frame->size + WAL_RECORD_HEADER_BYTES + WAL_BATCH_HASH_BYTES + WAL_FRAME_HASH_BYTES;
    /* Everything here is a multiple of 8, so that the padding of the data fits too. */
    return wal_frame_fits(frame, 0) ? frame->capacity - taken : 0;
}

const uint8_t *wal_frame_add(struct wal_frame *frame, const struct wal_record_header *header,
                             const uint8_t *data) {
    INS_ASSERT(wal_frame_fits(frame, header->size));
    uint8_t *at = frame->data + frame->size;
    store_u32(at + RECORD_AT_SIZE, header->size);
    store_u32(at + RECORD_AT_CRC, header->crc);
    store_u16(at + RECORD_AT_TYPE, header->type);
    store_u16(at + RECORD_AT_FLAGS, header->flags);
    store_u16(at + RECORD_AT_SHARD, header->shard);
    store_u16(at + RECORD_AT_ZERO, 0);
    store_u64(at + RECORD_AT_LSN, header->lsn);
    store_u64(at + RECORD_AT_SCOPE, header->scope);
    at += WAL_RECORD_HEADER_BYTES;
    size_t padded = (size_t)align_up(header->size, 8);
    if (header->size > 0) {
        memcpy(at, data, header->size);
        memset(at + header->size, 0, padded - header->size);
    }
    frame->size += WAL_RECORD_HEADER_BYTES + padded;
    frame->record_count++;
    return at;
}

size_t wal_frame_bytes(const struct wal_frame *frame) {
    return (size_t)align_up(frame->size + WAL_BATCH_HASH_BYTES + WAL_FRAME_HASH_BYTES,
                            INS_LOG_PAGE);
}

static void batch_header_store(uint8_t *to, const struct wal_batch_header *batch) {
    store_u32(to + BATCH_AT_MAGIC, BATCH_MAGIC);
    store_u16(to + BATCH_AT_VERSION, FORMAT_VERSION);
    store_u16(to + BATCH_AT_SHARD_COUNT, SHARD_COUNT);
    store_u32(to + BATCH_AT_NODE, batch->node);
    store_u32(to + BATCH_AT_BOOT, batch->boot);
    store_u64(to + BATCH_AT_EPOCH, batch->lease_epoch);
    store_u64(to + BATCH_AT_NUMBER, batch->number);
    store_u64(to + BATCH_AT_FIRST_LSN, batch->first_lsn);
    store_u32(to + BATCH_AT_COUNT, batch->record_count);
    store_u32(to + BATCH_AT_BYTES, batch->bytes);
    store_hash(to + BATCH_AT_PREVIOUS_HASH, batch->previous_hash);
    memset(to + BATCH_AT_SHARDS, 0, WAL_BATCH_HEADER_BYTES - BATCH_AT_SHARDS); /* shard 0 */
}

struct hash128 wal_frame_seal(struct wal_frame *frame, uint64_t file_id, uint64_t salt,
                              struct wal_batch_header *batch) {
    size_t bytes = wal_frame_bytes(frame);
    INS_ASSERT(bytes <= frame->capacity);
    size_t batch_bytes = frame->size - WAL_FRAME_HEADER_BYTES; /* without its hash */
    batch->record_count = frame->record_count;
    batch->bytes = (uint32_t)(batch_bytes + WAL_BATCH_HASH_BYTES);

    store_u32(frame->data + FRAME_AT_MAGIC, FRAME_MAGIC);
    store_u32(frame->data + FRAME_AT_BYTES, (uint32_t)bytes);
    store_u64(frame->data + FRAME_AT_FILE, file_id);
    store_u64(frame->data + FRAME_AT_SALT, salt);
    store_u64(frame->data + FRAME_AT_ZERO, 0);

    uint8_t *at = frame->data + WAL_FRAME_HEADER_BYTES;
    batch_header_store(at, batch);
    struct hash128 hash = hash128(at, batch_bytes);
    store_hash(at + batch_bytes, hash);

    size_t used = frame->size + WAL_BATCH_HASH_BYTES;
    size_t hashed = bytes - WAL_FRAME_HASH_BYTES;
    memset(frame->data + used, 0, hashed - used);
    store_hash(frame->data + hashed, hash128(frame->data, hashed));
    return hash;
}

/* ---- Frames, reading ---------------------------------------------------------------------------
 */

enum wal_frame_state wal_frame_peek(const uint8_t *bytes, const struct wal_file_header *file,
                                    uint64_t room, size_t *out_bytes) {
    bool file_matches = load_u64(bytes + FRAME_AT_FILE) == file->file_id;
    bool salt_matches = load_u64(bytes + FRAME_AT_SALT) == file->salt;
    *out_bytes = 0;
    if (!salt_matches && !(file_matches && load_u32(bytes + FRAME_AT_MAGIC) == FRAME_MAGIC)) {
        return WAL_FRAME_NONE;
    }
    uint64_t size = load_u32(bytes + FRAME_AT_BYTES);
    if (file_matches && salt_matches && load_u32(bytes + FRAME_AT_MAGIC) == FRAME_MAGIC &&
        size % INS_LOG_PAGE == 0 && size >= INS_LOG_PAGE && size <= INS_LOG_FRAME_BYTES_MAX &&
        size <= room) {
        *out_bytes = (size_t)size;
    }
    return WAL_FRAME_BEGUN;
}

bool wal_frame_verify(const uint8_t *bytes, size_t size, struct wal_batch_header *out_batch,
                      struct hash128 *out_hash, struct slice *out_records) {
    INS_ASSERT(size >= INS_LOG_PAGE);
    size_t hashed = size - WAL_FRAME_HASH_BYTES;
    if (!hash_equal(load_hash(bytes + hashed), hash128(bytes, hashed)) ||
        load_u64(bytes + FRAME_AT_ZERO) != 0) {
        return false;
    }
    const uint8_t *at = bytes + WAL_FRAME_HEADER_BYTES;
    size_t batch_bytes = load_u32(at + BATCH_AT_BYTES);
    if (batch_bytes < WAL_BATCH_HEADER_BYTES + WAL_BATCH_HASH_BYTES ||
        batch_bytes > hashed - WAL_FRAME_HEADER_BYTES) {
        return false;
    }
    size_t records_end = batch_bytes - WAL_BATCH_HASH_BYTES;
    struct hash128 hash = hash128(at, records_end);
    if (!hash_equal(load_hash(at + records_end), hash) ||
        !all_zero(at + batch_bytes, hashed - WAL_FRAME_HEADER_BYTES - batch_bytes) ||
        load_u32(at + BATCH_AT_MAGIC) != BATCH_MAGIC ||
        load_u16(at + BATCH_AT_VERSION) != FORMAT_VERSION ||
        load_u16(at + BATCH_AT_SHARD_COUNT) != SHARD_COUNT ||
        !all_zero(at + BATCH_AT_SHARDS, WAL_BATCH_HEADER_BYTES - BATCH_AT_SHARDS)) {
        return false;
    }
    *out_batch = (struct wal_batch_header){
        .node = load_u32(at + BATCH_AT_NODE),
        .boot = load_u32(at + BATCH_AT_BOOT),
        .lease_epoch = load_u64(at + BATCH_AT_EPOCH),
        .number = load_u64(at + BATCH_AT_NUMBER),
        .first_lsn = load_u64(at + BATCH_AT_FIRST_LSN),
        .record_count = load_u32(at + BATCH_AT_COUNT),
        .bytes = (uint32_t)batch_bytes,
        .previous_hash = load_hash(at + BATCH_AT_PREVIOUS_HASH),
    };
    *out_hash = hash;
    *out_records =
        (struct slice){at + WAL_BATCH_HEADER_BYTES, records_end - WAL_BATCH_HEADER_BYTES};
    return out_batch->record_count <= INS_LOG_BATCH_RECORDS_MAX;
}

bool wal_record_next(struct slice *records, struct wal_record_header *out_header,
                     struct slice *out_data) {
    if (records->size < WAL_RECORD_HEADER_BYTES) {
        return false;
    }
    const uint8_t *at = records->data;
    *out_header = (struct wal_record_header){
        .size = load_u32(at + RECORD_AT_SIZE),
        .crc = load_u32(at + RECORD_AT_CRC),
        .type = load_u16(at + RECORD_AT_TYPE),
        .flags = load_u16(at + RECORD_AT_FLAGS),
        .shard = load_u16(at + RECORD_AT_SHARD),
        .lsn = load_u64(at + RECORD_AT_LSN),
        .scope = load_u64(at + RECORD_AT_SCOPE),
    };
    uint64_t padded = align_up(out_header->size, 8);
    if (padded > records->size - WAL_RECORD_HEADER_BYTES || load_u16(at + RECORD_AT_ZERO) != 0) {
        return false;
    }
    at += WAL_RECORD_HEADER_BYTES;
    if (!all_zero(at + out_header->size, (size_t)padded - out_header->size)) {
        return false;
    }
    *out_data = (struct slice){at, out_header->size};
    records->data = at + padded;
    records->size -= WAL_RECORD_HEADER_BYTES + (size_t)padded;
    return true;
}
