/* A tenant's file before anything of it is written: frames, blocks, and whether each point could be
 * a point of the tenant's. */
#include <stdio.h>

#include "base/id.h"
#include "base/status.h"
#include "engine/import.h"
#include "engine/text.h"

ins_status import_frame(const struct import *self, ins_text bytes, uint32_t number,
                        struct portable_frame *out, const uint8_t **out_body, ins_error *error) {
    const uint8_t *from = (const uint8_t *)bytes.data + self->at;
    size_t left = bytes.size - self->at;
    ins_status status = portable_frame_read(from, left, number, out, error);
    if (status != INS_OK) {
        return status;
    }
    if (out->body_bytes > left - PORTABLE_FRAME_BYTES) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: it is cut: block %u has %zu of its %u bytes", number,
                        left - PORTABLE_FRAME_BYTES, out->body_bytes);
    }
    *out_body = from + PORTABLE_FRAME_BYTES;
    return portable_body_check(out, *out_body, error);
}

ins_status import_payload(const struct import *self, ins_text payload, struct pool *pool,
                          ins_text *out, ins_error *error) {
    *out = payload;
    if (self->has_source) {
        *out = payload_restore(pool, *out, &self->source, self->head.tenant);
    }
    bool restored = !self->has_source || out->data != NULL; /* else an empty one would go on */
    if (restored && self->name.is_tenant) {
        *out = payload_restore(pool, *out, &self->schema->tenant_path, self->request->name);
        restored = out->data != NULL;
    }
    return restored
               ? INS_OK
               : ins_fail(error, INS_FULL, "no memory for a payload of %zu bytes", payload.size);
}

static ins_status refuse_point(const struct import *self, const ins_id *id, const char *what,
                               ins_error *error) {
    char text[ID_TEXT_MAX];
    (void)id_format(id, text);
    return ins_fail(error, INS_INVALID, "tenant file: block %u, point %s: %.380s",
                    self->block.number, text, what);
}

/* It would lie in the tenant's island, and nowhere else. */
static ins_status check_payload(struct import *self, const ins_point *point, ins_error *error) {
    const struct schema *schema = self->schema;
    const struct payload_path *path = self->name.is_tenant ? &schema->tenant_path : NULL;
    struct payload_stored stored;
    ins_error reason;
    ins_text text;
    ins_status status = import_payload(self, point->payload, &self->pool, &text, error);
    if (status != INS_OK || (text.size == 0 && path == NULL)) {
        return status;
    }
    status = payload_store(self->operation.db->parser, &self->pool, text, path,
                           schema->tenant_is_uuid, &stored, &reason);
    if (status == INS_EXHAUSTED) {
        *error = reason;
        return status;
    }
    if (status != INS_OK) {
        return refuse_point(self, &point->id, reason.message, error);
    }
    if (path != NULL && (!stored.has_tenant || !text_equal(stored.tenant, self->request->name))) {
        char what[160];
        (void)snprintf(what, sizeof(what), "its `%.*s` cannot be the tenant's name",
                       (int)(schema->tenant_text.size < 80 ? schema->tenant_text.size : 80),
                       schema->tenant_text.data);
        return refuse_point(self, &point->id, what, error);
    }
    return INS_OK;
}

/* A block of a tenant that lies in several shard keys names one. */
static ins_status check_key(struct import *self, ins_error *error) {
    bool wants_key = self->name.is_tenant && self->collection->sharded;
    if (wants_key != self->block.has_key) {
        return ins_fail(error, INS_INVALID,
                        wants_key ? "tenant file: block %u names no shard key, the collection has "
                                    "some"
                                  : "tenant file: block %u is of a shard key, the tenant is to "
                                    "have none",
                        self->block.number);
    }
    if (wants_key && shard_find(&self->operation.db->catalog, self->collection, &self->block.key,
                                UINT64_MAX) == NULL) {
        char shown[SHARD_KEY_SHOWN];
        return ins_fail(error, INS_INVALID,
                        "tenant file: block %u is of shard key %s, the collection has none such",
                        self->block.number, shard_key_text(&self->block.key, shown));
    }
    return INS_OK;
}

static ins_status look_at_block(struct import *self, struct slice body, ins_error *error) {
    ins_status status = portable_block_begin(&self->block, &self->head, self->number, body, error);
    if (status == INS_OK) {
        status = check_key(self, error);
    }
    while (status == INS_OK && self->block.next < self->block.count) {
        ins_point point;
        status = portable_block_next(&self->block, &self->pool, &point, error);
        if (status == INS_OK) {
            status = check_payload(self, &point, error);
        }
        if (self->pool.used_bytes >= IMPORT_BYTES) {
            pool_fini(&self->pool);
        }
    }
    self->points += self->block.count;
    pool_fini(&self->pool);
    return status == INS_OK ? portable_block_end(&self->block, error) : status;
}

static ins_status look_at_end(struct import *self, const struct portable_frame *frame,
                              const uint8_t *body, ins_error *error) {
    struct portable_end end;
    ins_status status = portable_end_read(frame, body, &end, error);
    if (status != INS_OK) {
        return status;
    }
    if (self->chained && (end.chain != self->chain || end.points != self->points)) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: its end, block %u, speaks of %llu points, before it stand "
                        "%llu, or other blocks",
                        frame->number, (unsigned long long)end.points,
                        (unsigned long long)self->points);
    }
    self->ended = true;
    return INS_OK;
}

static ins_status look_behind(struct import *self, ins_error *error) {
    if (self->ended && self->at < self->request->bytes.size) {
        return ins_fail(error, INS_INVALID, "tenant file: %zu bytes follow its end",
                        self->request->bytes.size - self->at);
    }
    if (!self->ended && !self->request->part && self->at == self->request->bytes.size) {
        return ins_fail(error, INS_INVALID,
                        "tenant file: it is cut: it ends behind block %u, without its end",
                        self->number - 1);
    }
    return INS_OK;
}

/* The number of the first frame behind the head: of a part whichever it is. */
static void begin_part(struct import *self) {
    ins_text bytes = self->request->bytes;
    if (self->request->part && self->at == self->first &&
        bytes.size - self->at >= PORTABLE_FRAME_BYTES) {
        uint32_t number = load_u32(bytes.data + self->at + 8);
        self->chained = number == 1;
        self->number = number > 1 ? number : 1;
    }
}

/* One frame. All of them: on to writing. */
ins_status import_look(struct import *self, ins_error *error) {
    struct portable_frame frame;
    const uint8_t *body = NULL;
    ins_status status = look_behind(self, error);
    if (status != INS_OK) {
        return status;
    }
    if (self->at == self->request->bytes.size) {
        self->stage = IMPORT_WRITE;
        self->at = self->first;
        return INS_OK;
    }
    begin_part(self);
    status = import_frame(self, self->request->bytes, self->number, &frame, &body, error);
    if (status == INS_OK && frame.kind == PORTABLE_HEAD) {
        status =
            ins_fail(error, INS_INVALID, "tenant file: block %u is a second head", frame.number);
    }
    if (status == INS_OK && frame.kind == PORTABLE_POINTS) {
        status = look_at_block(self, (struct slice){body, frame.body_bytes}, error);
    } else if (status == INS_OK) {
        status = look_at_end(self, &frame, body, error);
    }
    if (status != INS_OK) {
        return status;
    }
    self->chain = portable_chain(self->chain, frame.hash);
    self->number++;
    self->at += PORTABLE_FRAME_BYTES + frame.body_bytes;
    return INS_AGAIN; /* let others pass */
}
