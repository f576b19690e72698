/* A log record's body: the effects of one request, one part per island ("Record" in
 * docs/FORMATS.md). Effects are rows, complete or patches: replay is blind, reads no segment. */
#ifndef INS_ENGINE_RECORD_H
#define INS_ENGINE_RECORD_H

#include "tenant/memtable.h"
#include "wal/wal.h"

/* Bytes that the rows take as one record body. Rows of one island that stand together share a part.
 */
uint64_t record_size(struct memrow *const *rows, size_t count);

/* Encodes into a chain of pieces of at most INS_LOG_FRAGMENT_BYTES_MAX, each with its CRC32C;
 * memory from INS_MEM_LOG. `first` is the caller's (zeroed, embedded); further ones are allocated.
 * INS_EXHAUSTED when the share is used up: nothing is left allocated then. */
INS_MUST_USE ins_status record_encode(struct arena *arena, struct memrow *const *rows, size_t count,
                                      uint64_t scope, struct wal_record *first, ins_error *error);
/* Frees the data of all pieces, and the pieces behind the first. */
void record_free(struct arena *arena, struct wal_record *first);

struct record_row {
    enum memrow_kind kind;
    ins_id id;
    uint32_t vector_count, vector_bytes;
    const uint8_t *vectors; /* packed, as index/vectors.h says; unaligned */
    ins_text payload;
    uint64_t incarnation; /* MEMROW_DIRECTORY */
};

/* Visits every row in order. The bytes may be hostile: INS_CORRUPT when they do not parse whole. */
INS_MUST_USE ins_status record_decode(struct slice body,
                                      ins_status (*visit)(void *context, uint64_t incarnation,
                                                          const struct record_row *row,
                                                          ins_error *error),
                                      void *context, ins_error *error);

#endif
