/* The log's bytes: file header, frame, batch, record. Encoding and verifying, nothing else.
 *
 *   file   header 4 KiB, then frames, each a multiple of 4 KiB; behind the last frame lies what the
 *          file held in an earlier life, or zeros
 *   frame  the file sink's wrapping of one batch: file id and salt, padding, a hash over all of it
 *   batch  what one sync made durable: header, shards, records, its own hash; it knows nothing of
 *          files, and names the hash of the batch before it
 * Format: docs/FORMATS.md "Log". */
#ifndef INS_WAL_FORMAT_H
#define INS_WAL_FORMAT_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "insula.h"

#define WAL_FILE_HEADER_BYTES 4096u
#define WAL_FRAME_HEADER_BYTES 32u
#define WAL_FRAME_HASH_BYTES 16u
#define WAL_BATCH_HEADER_BYTES 72u /* 64, and the list of shards: one, padded to 8 */
#define WAL_BATCH_HASH_BYTES 16u
#define WAL_RECORD_HEADER_BYTES 32u
/* What a frame adds to its records, padding apart. */
#define WAL_FRAME_OVERHEAD                                                                         \
    (WAL_FRAME_HEADER_BYTES + WAL_BATCH_HEADER_BYTES + WAL_BATCH_HASH_BYTES + WAL_FRAME_HASH_BYTES)

_Static_assert(WAL_FRAME_OVERHEAD + WAL_RECORD_HEADER_BYTES + INS_LOG_FRAGMENT_BYTES_MAX <=
                   INS_LOG_FRAME_BYTES_MAX,
               "a fragment fits a frame");
_Static_assert(WAL_FRAME_HEADER_BYTES + WAL_FRAME_HASH_BYTES + INS_LOG_BATCH_BYTES_MAX <=
                   INS_LOG_FRAME_BYTES_MAX,
               "a batch fits a frame");

struct wal_file_header {
    uint32_t node, boot;
    uint64_t file_id, salt;
    uint64_t first_lsn;           /* of the first record or fragment in this file */
    uint64_t first_batch;         /* number of the first batch in this file */
    uint64_t previous_id;         /* 0 = this is the first file */
    struct hash128 previous_hash; /* of the last whole batch before this file */
    uint64_t file_bytes;
};

struct wal_batch_header {
    uint32_t node, boot;
    uint64_t lease_epoch;
    uint64_t number;
    uint64_t first_lsn; /* of the first record or fragment; of the next record in an empty batch */
    uint32_t record_count;
    uint32_t bytes; /* the whole batch, hash included */
    struct hash128 previous_hash;
};

enum wal_record_flags {
    WAL_FRAGMENT = 1, /* a piece of a record */
    WAL_FIRST = 2,    /* its first piece */
    WAL_LAST = 4,     /* its last piece */
};

struct wal_record_header {
    uint32_t size; /* of the data in this piece */
    uint32_t crc;  /* CRC32C of the data in this piece */
    uint16_t type, flags, shard;
    uint64_t lsn, scope;
};

/* ---- File header ----------------------------------------------------------------------------- */

void wal_file_header_encode(const struct wal_file_header *header,
                            uint8_t out[static WAL_FILE_HEADER_BYTES]);
/* NULL when it verifies, else what is wrong with it. */
const char *wal_file_header_decode(const uint8_t bytes[static WAL_FILE_HEADER_BYTES],
                                   struct wal_file_header *out_header);

/* ---- Frames, writing ------------------------------------------------------------------------- */

/* A frame being filled: records first, headers and hashes at the end. */
struct wal_frame {
    uint8_t *data; /* [capacity], aligned to 4 KiB */
    size_t capacity;
    size_t size; /* of headers and records so far */
    uint32_t record_count;
};

void wal_frame_begin(struct wal_frame *frame, uint8_t *data, size_t capacity);
/* True when one more record or fragment with `size` bytes of data fits. */
bool wal_frame_fits(const struct wal_frame *frame, size_t size);
/* The largest size that fits; 0 also when not even that does. */
size_t wal_frame_room(const struct wal_frame *frame);
/* Copies one record or fragment, which fits, and returns where its data are now. */
const uint8_t *wal_frame_add(struct wal_frame *frame, const struct wal_record_header *header,
                             const uint8_t *data);
/* Bytes of the frame once it is sealed. */
size_t wal_frame_bytes(const struct wal_frame *frame);
/* Fills in headers, padding and hashes; `batch` gives all but count and bytes, which are set. */
struct hash128 wal_frame_seal(struct wal_frame *frame, uint64_t file_id, uint64_t salt,
                              struct wal_batch_header *batch);

/* ---- Frames, reading ---------------------------------------------------------------------------
 */

enum wal_frame_state {
    WAL_FRAME_NONE,  /* not a frame of this file: zeros, or of an earlier life */
    WAL_FRAME_BEGUN, /* begins like one; wants *out_bytes bytes to be verified, or is torn */
};

/* Looks at the first 4 KiB of where a frame may be. `room`: bytes up to the file's end. BEGUN with
 * *out_bytes 0: torn, or damaged, in its first bytes. */
enum wal_frame_state wal_frame_peek(const uint8_t *bytes, const struct wal_file_header *file,
                                    uint64_t room, size_t *out_bytes);
/* Verifies a frame of `size` bytes, as peek gave them, and the batch in it but its records'
 * headers. */
bool wal_frame_verify(const uint8_t *bytes, size_t size, struct wal_batch_header *out_batch,
                      struct hash128 *out_hash, struct slice *out_records);
/* Takes the next record; false at the end or when it does not fit: *records is empty only at the
 * end. */
bool wal_record_next(struct slice *records, struct wal_record_header *out_header,
                     struct slice *out_data);

#endif
