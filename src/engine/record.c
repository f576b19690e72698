#include "engine/record.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"

#define PART_HEADER 28u /* incarnation u64, key id u32, nonce 12 bytes, bytes u32 */

#define HEAD_KIND 0x03u
#define HEAD_UUID 0x04u
#define HEAD_PATCH 0x08u /* of a point */
#define HEAD_KNOWN 0x0fu

static size_t varint_size(uint32_t value) {
    size_t size = 1;
    for (; value >= 0x80; value >>= 7) {
        size++;
    }
    return size;
}

static size_t row_size(const struct memrow *row) {
    size_t size = 1 + (row->id_is_uuid ? 16u : 8u);
    if (memrow_is_point(row)) {
        size += varint_size(row->vector_count) + varint_size(row->payload_size);
        size += row->vector_bytes + row->payload_size;
    }
    return row->kind == MEMROW_DIRECTORY ? size + 8 : size;
}

/* Rows [begin, end) belong to one island. */
static size_t part_end(struct memrow *const *rows, size_t begin, size_t count,
                       uint64_t *out_bytes) {
    size_t end = begin;
    *out_bytes = 0;
    for (; end < count && rows[end]->owner == rows[begin]->owner; end++) {
        *out_bytes += row_size(rows[end]);
    }
    return end;
}

uint64_t record_size(struct memrow *const *rows, size_t count) {
    uint64_t size = 0, bytes;
    for (size_t at = 0; at < count;) {
        at = part_end(rows, at, count, &bytes);
        size += PART_HEADER + bytes;
    }
    return size;
}

/* ---- Encoding: a stream over the pieces ---- */

struct piece_writer {
    struct wal_record *piece;
    uint32_t at;
};

static void put(struct piece_writer *writer, const void *from, size_t size) {
    const uint8_t *bytes = from;
    while (size > 0) {
        uint32_t room = writer->piece->size - writer->at;
        size_t step = size < room ? size : room;
        memcpy(writer->piece->data + writer->at, bytes, step);
        writer->at += (uint32_t)step;
        bytes += step;
        size -= step;
        if (writer->at == writer->piece->size && size > 0) {
            writer->piece = writer->piece->more;
            writer->at = 0;
            INS_ASSERT(writer->piece != NULL);
        }
    }
}

static void put_varint(struct piece_writer *writer, uint32_t value) {
    uint8_t bytes[5];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[size++] = (uint8_t)(value | 0x80);
    }
    bytes[size++] = (uint8_t)value;
    put(writer, bytes, size);
}

static void put_row(struct piece_writer *writer, const struct memrow *row) {
    uint32_t kind = row->kind == MEMROW_PATCH ? MEMROW_POINT | HEAD_PATCH : row->kind;
    uint8_t head = (uint8_t)(kind | (row->id_is_uuid ? HEAD_UUID : 0));
    put(writer, &head, 1);
    put(writer, &row->id_low, 8);
    if (row->id_is_uuid) {
        put(writer, &row->id_high, 8);
    }
    if (memrow_is_point(row)) {
        put_varint(writer, row->vector_count);
        put_varint(writer, row->payload_size);
        const uint8_t *tail = (const uint8_t *)(row + 1) + memrow_lead((enum memrow_kind)row->kind);
        put(writer, tail, row->vector_bytes + row->payload_size);
    } else if (row->kind == MEMROW_DIRECTORY) {
        put(writer, row + 1, 8);
    }
}

static void put_part(struct piece_writer *writer, struct memrow *const *rows, size_t begin,
                     size_t end, uint64_t bytes) {
    uint8_t header[PART_HEADER] = {0};
    store_u64(header, rows[begin]->owner->incarnation);
    store_u32(header + 24, (uint32_t)bytes);
    put(writer, header, sizeof(header));
    for (size_t i = begin; i < end; i++) {
        put_row(writer, rows[i]);
    }
}

static bool allocate_pieces(struct arena *arena, struct wal_record *first, uint64_t size) {
    struct wal_record *piece = first;
    for (;;) {
        uint64_t part = size < INS_LOG_FRAGMENT_BYTES_MAX ? size : INS_LOG_FRAGMENT_BYTES_MAX;
        piece->data = arena_alloc(arena, INS_MEM_LOG, part);
        if (piece->data == NULL) {
            return false;
        }
        piece->size = (uint32_t)part;
        size -= part;
        if (size == 0) {
            return true;
        }
        piece->more = arena_alloc_zero(arena, INS_MEM_LOG, sizeof(*piece));
        if (piece->more == NULL) {
            return false;
        }
        piece = piece->more;
    }
}

ins_status record_encode(struct arena *arena, struct memrow *const *rows, size_t count,
                         uint64_t scope, struct wal_record *first, ins_error *error) {
    INS_ASSERT(count > 0);
    *first = (struct wal_record){0};
    if (!allocate_pieces(arena, first, record_size(rows, count))) {
        record_free(arena, first);
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "the log's share of the memory budget is in use; try again");
    }
    struct piece_writer writer = {.piece = first};
    for (size_t at = 0; at < count;) {
        uint64_t bytes;
        size_t end = part_end(rows, at, count, &bytes);
        put_part(&writer, rows, at, end, bytes);
        at = end;
    }
    for (struct wal_record *piece = first; piece != NULL; piece = piece->more) {
        piece->type = WAL_RECORD_EFFECTS;
        piece->scope = scope;
        piece->crc = crc32c(piece->data, piece->size);
    }
    return INS_OK;
}

void record_free(struct arena *arena, struct wal_record *first) {
    struct wal_record *piece = first;
    while (piece != NULL) {
        struct wal_record *more = piece->more;
        arena_free(arena, INS_MEM_LOG, piece->data, piece->size);
        piece->data = NULL;
        piece->more = NULL;
        if (piece != first) {
            arena_free(arena, INS_MEM_LOG, piece, sizeof(*piece));
        }
        piece = more;
    }
}

/* ---- Decoding ---- */

static uint32_t take_varint(struct bytes_reader *reader) {
    uint32_t value = 0;
    for (uint32_t shift = 0; shift < 35; shift += 7) {
        uint8_t byte = bytes_take_u8(reader);
        value |= (uint32_t)(byte & 0x7f) << (shift & 31);
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    reader->short_read = true;
    return 0;
}

/* 0 when there is no such row. */
static enum memrow_kind kind_of(uint8_t head) {
    enum memrow_kind kind = (enum memrow_kind)(head & HEAD_KIND);
    bool patch = (head & HEAD_PATCH) != 0;
    if ((head & ~HEAD_KNOWN) != 0 || (patch && kind != MEMROW_POINT)) {
        return (enum memrow_kind)0;
    }
    return patch ? MEMROW_PATCH : kind;
}

static bool take_row(struct bytes_reader *reader, struct record_row *out) {
    uint8_t head = bytes_take_u8(reader);
    *out = (struct record_row){.kind = kind_of(head)};
    out->id.is_uuid = (head & HEAD_UUID) != 0;
    out->id.low = bytes_take_u64(reader);
    out->id.high = out->id.is_uuid ? bytes_take_u64(reader) : 0;
    if ((uint32_t)out->kind == 0) {
        return false;
    }
    if (out->kind == MEMROW_POINT || out->kind == MEMROW_PATCH) {
        out->vector_count = take_varint(reader);
        uint32_t payload_size = take_varint(reader);
        if (reader->short_read || payload_size > INS_PAYLOAD_BYTES_MAX ||
            !vectors_check(reader->data + reader->at, reader->size - reader->at, out->vector_count,
                           &out->vector_bytes)) {
            return false;
        }
        out->vectors = bytes_take(reader, out->vector_bytes);
        out->payload.data = (const char *)bytes_take(reader, payload_size);
        out->payload.size = payload_size;
    } else if (out->kind == MEMROW_DIRECTORY) {
        out->incarnation = bytes_take_u64(reader);
    }
    return !reader->short_read;
}

ins_status record_decode(struct slice body,
                         ins_status (*visit)(void *context, uint64_t incarnation,
                                             const struct record_row *row, ins_error *error),
                         void *context, ins_error *error) {
    struct bytes_reader reader = {.data = body.data, .size = body.size};
    while (reader.at < reader.size) {
        const uint8_t *header = bytes_take(&reader, PART_HEADER);
        uint64_t bytes = header == NULL ? 0 : load_u32(header + 24);
        const uint8_t *rows = header == NULL ? NULL : bytes_take(&reader, bytes);
        if (rows == NULL || bytes == 0) {
            return ins_fail(error, INS_CORRUPT, "a part of the record is cut short at byte %zu",
                            reader.at);
        }
        struct bytes_reader part = {.data = rows, .size = bytes};
        while (part.at < part.size) {
            struct record_row row;
            if (!take_row(&part, &row)) {
                return ins_fail(error, INS_CORRUPT, "a row of the record is malformed");
            }
            ins_status status = visit(context, load_u64(header), &row, error);
            if (status != INS_OK) {
                return status;
            }
        }
    }
    return INS_OK;
}
