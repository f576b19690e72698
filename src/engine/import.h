/* An import: what its files share. import.c: whose, and the writes; import_look.c: the file before
 * the first of them. */
#ifndef INS_ENGINE_IMPORT_H
#define INS_ENGINE_IMPORT_H

#include "engine/operation.h"
#include "engine/points.h"
#include "engine/portable.h"

#define IMPORT_POINTS 256u        /* of one write */
#define IMPORT_BYTES (1ull << 20) /* and about their bytes as floats */

enum import_stage { IMPORT_BEGIN, IMPORT_LOOK, IMPORT_WRITE, IMPORT_WAIT };

struct import {
    struct operation operation;
    const ins_import_request *request;
    enum import_stage stage;
    bool starting;
    struct account_name name;
    struct scope *collection, *scope; /* pinned; `scope`: of a tenant without a field, else NULL */
    struct schema *schema;            /* held */
    struct portable_head head;
    struct payload_path source; /* the file's tenant field, where the points are to have it */
    /* Where in the file. */
    size_t at, first; /* `first`: behind the head */
    uint64_t chain, points;
    uint32_t number;
    bool has_source, chained, ended, in_block;
    struct portable_block block;
    /* A write. */
    struct pool pool; /* of its points */
    ins_point batch[IMPORT_POINTS];
    ins_points_request upsert;
    ins_call inner;
    uint64_t fence;
    ins_tenant tenant;
    uint32_t batch_count;
};

/* The frame at self->at of `bytes`, whose number is `number`. INS_INVALID. */
INS_MUST_USE ins_status import_frame(const struct import *self, ins_text bytes, uint32_t number,
                                     struct portable_frame *out, const uint8_t **out_body,
                                     ins_error *error);
/* The next frame behind the head; INS_OK: all were looked at, every point could be written, and
 * self->at is the first again. INS_AGAIN: there are more. */
INS_MUST_USE ins_status import_look(struct import *self, ins_error *error);
/* The payload that the point will have here; size 0: none. */
INS_MUST_USE ins_status import_payload(const struct import *self, ins_text payload,
                                       struct pool *pool, ins_text *out, ins_error *error);

#endif
