#include "base/portable.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"

#define HASHED_BYTES 24u

uint64_t portable_frame_write(enum portable_kind kind, uint32_t number, const void *body,
                              uint32_t body_bytes, void *out) {
    uint8_t *at = out;
    store_u32(at, PORTABLE_MAGIC);
    store_u16(at + 4, PORTABLE_VERSION);
    store_u16(at + 6, (uint16_t)kind);
    store_u32(at + 8, number);
    store_u32(at + 12, body_bytes);
    store_u64(at + 16, hash64(body, body_bytes));
    uint64_t hash = hash64(at, HASHED_BYTES);
    store_u64(at + HASHED_BYTES, hash);
    return hash;
}

ins_status portable_frame_read(const void *from, size_t size, uint32_t number,
                               struct portable_frame *out, ins_error *error) {
    const uint8_t *at = from;
    if (size < PORTABLE_FRAME_BYTES) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: it is cut: block %u has %zu bytes of its %u-byte header",
                        number, size, PORTABLE_FRAME_BYTES);
    }
    if (load_u32(at) != PORTABLE_MAGIC) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u does not begin as a block of a tenant's file does",
                        number);
    }
    if (hash64(at, HASHED_BYTES) != load_u64(at + HASHED_BYTES)) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u is damaged: its header's checksum is wrong", number);
    }
    if (load_u16(at + 4) != PORTABLE_VERSION) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u is of format %u, this server reads %u", number,
                        load_u16(at + 4), PORTABLE_VERSION);
    }
    uint16_t kind = load_u16(at + 6);
    uint32_t body_bytes = load_u32(at + 12);
    if (kind < PORTABLE_HEAD || kind > PORTABLE_END || body_bytes > PORTABLE_BODY_BYTES_MAX) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u has the kind %u and %u bytes, at most %u are taken",
                        number, kind, body_bytes, PORTABLE_BODY_BYTES_MAX);
    }
    if (load_u32(at + 8) != number) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u is missing: block %u stands in its place", number,
                        load_u32(at + 8));
    }
    *out = (struct portable_frame){.kind = (enum portable_kind)kind,
                                   .number = number,
                                   .body_bytes = body_bytes,
                                   .body_hash = load_u64(at + 16),
                                   .hash = load_u64(at + HASHED_BYTES)};
    return INS_OK;
}

ins_status portable_body_check(const struct portable_frame *frame, const void *body,
                               ins_error *error) {
    if (hash64(body, frame->body_bytes) != frame->body_hash) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u is damaged: its checksum is wrong", frame->number);
    }
    return INS_OK;
}

uint64_t portable_chain(uint64_t chain, uint64_t frame_hash) {
    uint8_t bytes[8];
    store_u64(bytes, frame_hash);
    return hash64_seed(bytes, sizeof(bytes), chain);
}

void portable_end_write(const struct portable_end *end, void *out) {
    uint8_t *at = out;
    store_u64(at, end->points);
    store_u64(at + 8, end->newer);
    store_u64(at + 16, end->lsn_first);
    store_u64(at + 24, end->lsn_last);
    store_u64(at + 32, end->chain);
}

ins_status portable_end_read(const struct portable_frame *frame, const void *body,
                             struct portable_end *out, ins_error *error) {
    const uint8_t *at = body;
    if (frame->body_bytes != PORTABLE_END_BYTES) {
        return ins_fail(error, INS_INVALID, "tenant file: block %u, its end, has %u bytes, not %u",
                        frame->number, frame->body_bytes, PORTABLE_END_BYTES);
    }
    *out = (struct portable_end){.points = load_u64(at),
                                 .newer = load_u64(at + 8),
                                 .lsn_first = load_u64(at + 16),
                                 .lsn_last = load_u64(at + 24),
                                 .chain = load_u64(at + 32)};
    return INS_OK;
}
