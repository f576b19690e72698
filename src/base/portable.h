/* Frames of a tenant's file: what an export gives and an import takes ("Tenant file" in
 * docs/FORMATS.md). A file is a head, blocks of points and an end, a frame each, so it can be sent
 * in parts that begin and end with a frame. Any thread; no memory. */
#ifndef INS_BASE_PORTABLE_H
#define INS_BASE_PORTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "insula.h"

#define PORTABLE_MAGIC 0x46544e49u /* "INTF" */
#define PORTABLE_VERSION 1u
#define PORTABLE_FRAME_BYTES 32u                    /* before the body of each */
#define PORTABLE_BODY_BYTES_MAX ((2u << 20) - 256u) /* the largest point alone, or many */
#define PORTABLE_END_BYTES 40u

enum portable_kind { PORTABLE_HEAD = 1, PORTABLE_POINTS = 2, PORTABLE_END = 3 };

struct portable_frame {
    enum portable_kind kind;
    uint32_t number; /* from 0, which is the head's */
    uint32_t body_bytes;
    uint64_t body_hash;
    uint64_t hash; /* of the bytes before it: it stands for the frame in a chain */
};

/* What the last frame says of all before it. */
struct portable_end {
    uint64_t points, newer, lsn_first, lsn_last, chain;
};

/* out[PORTABLE_FRAME_BYTES] before `body`. Returns the frame's hash. */
uint64_t portable_frame_write(enum portable_kind kind, uint32_t number, const void *body,
                              uint32_t body_bytes, void *out);
/* The header alone, of `size` bytes from a file. INS_INVALID names the block and what is wrong;
 * `number`: the one that is expected. */
INS_MUST_USE ins_status portable_frame_read(const void *from, size_t size, uint32_t number,
                                            struct portable_frame *out, ins_error *error);
/* `body` [frame->body_bytes] is the frame's. */
INS_MUST_USE ins_status portable_body_check(const struct portable_frame *frame, const void *body,
                                            ins_error *error);
/* Of all frames from the head on; of none it is 0. */
uint64_t portable_chain(uint64_t chain, uint64_t frame_hash);

void portable_end_write(const struct portable_end *end, void *out);
INS_MUST_USE ins_status portable_end_read(const struct portable_frame *frame, const void *body,
                                          struct portable_end *out, ins_error *error);

#endif
