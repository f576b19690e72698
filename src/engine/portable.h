/* A tenant's file: its head and its blocks of points, within the frames of base/portable.h.
 *
 * What is read comes from outside: nothing is believed before it was looked at, and every message
 * names the block. Threads: the request lane. */
#ifndef INS_ENGINE_PORTABLE_H
#define INS_ENGINE_PORTABLE_H

#include "base/bytes.h"
#include "base/portable.h"
#include "engine/engine_private.h"

struct portable_vector {
    ins_text name;
    struct vector_shape shape; /* without an id */
    ins_distance distance;
};

struct portable_head {
    ins_text collection, tenant; /* where it came from; tenant absent: a collection of its own */
    ins_text field;              /* the tenant field, whose value points do not carry, or absent */
    uint64_t incarnation, lsn;
    uint32_t vector_count;
    struct portable_vector *vectors; /* [vector_count] in the pool */
};

/* ---- portable_head.c ---- */

/* The text of a head frame, in the pool; NULL data when memory is out. */
ins_text portable_head_text(struct pool *pool, const struct schema *schema,
                            const struct portable_head *head);
/* Back; everything is copied into the pool. INS_INVALID, INS_FULL. */
INS_MUST_USE ins_status portable_head_read(ins_text text, struct json_parser *parser,
                                           struct pool *pool, struct portable_head *out,
                                           ins_error *error);
/* INS_INVALID says which of the file's vectors the schema lacks, or has otherwise. */
INS_MUST_USE ins_status portable_head_fits(const struct portable_head *head,
                                           const struct schema *schema, ins_error *error);

/* ---- portable_points.c ---- */

/* What begins a block: how many points, and their shard key. */
#define PORTABLE_BLOCK_HEAD_MAX (16u + INS_NAME_BYTES_MAX)
void portable_block_head(struct bytes_writer *writer, const struct scope *scope, uint32_t count);

/* One point; `refs` [count] are of `schema`. */
void portable_point(struct bytes_writer *writer, const struct schema *schema, const ins_id *id,
                    const struct vector_ref *refs, uint32_t count, ins_text payload);

struct portable_block { /* being read */
    const struct portable_head *head;
    struct bytes_reader reader;
    uint32_t number, count, next; /* of the frame; its points; of them looked at */
    bool has_key;
    ins_shard_key key; /* borrowed from the bytes */
};

INS_MUST_USE ins_status portable_block_begin(struct portable_block *block,
                                             const struct portable_head *head, uint32_t number,
                                             struct slice body, ins_error *error);
/* The next point, with vectors as floats in the pool and its payload borrowed from the bytes.
 * INS_INVALID, INS_FULL. */
INS_MUST_USE ins_status portable_block_next(struct portable_block *block, struct pool *pool,
                                            ins_point *out, ins_error *error);
/* After the last point: nothing is left over. */
INS_MUST_USE ins_status portable_block_end(const struct portable_block *block, ins_error *error);

#endif
