/* Bringing what searches of a tenant read into memory before they ask.
 *
 * Path: the tenant's islands are walked twice: first for what every search reads (headers, ids,
 * versions, codes, graphs, field indexes), then for values and payloads, so that of what does not
 * fit the better half is there. A few chunks are asked for at once, and let go when they are there:
 * they stay in the cache as anything that was read. Others' reads stand in line behind no more than
 * those.
 * Bounded: half of the cache's share, so that a warming never turns out everybody else; the number
 * of those in the background. Failure: as of any read; a chunk that is damaged ends it. */
#include "base/assert.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/tenant_about.h"
#include "engine/walk.h"

#define ISLANDS_A_STEP 64u
#define CHUNKS_A_STEP 256u /* that are at hand already */
#define CHUNKS_AT_ONCE 2u  /* a batch of the read lane */

enum warm_pass { WARM_INDEXES, WARM_VALUES, WARM_PASSES };

struct warm {
    struct operation operation;
    const ins_tenants_request *request; /* until the call is answered */
    ins_call own_call;
    struct tenant_about about;
    struct scopes scopes;
    struct islands_walk walks[WARM_PASSES];
    enum warm_pass pass;
    struct reader reader;
    uint32_t run, section, chunk; /* where it stands in the reader's island */
    uint32_t chunks;              /* of this step */
    ins_warmed warmed;
    bool counted; /* its run's header */
    bool begun, detached;
};

static void warm_close(struct operation *operation) {
    struct warm *self = container_of(operation, struct warm, operation);
    reader_close(&self->reader);
    for (int pass = 0; pass < WARM_PASSES; pass++) {
        islands_walk_close(&self->walks[pass]);
    }
    scopes_close(&self->scopes);
    if (self->detached) {
        operation->db->warmings--;
    }
}

/* ---- One island ---- */

static enum warm_pass pass_of(const struct section *section) {
    bool values = section->kind == SECTION_DENSE || section->kind == SECTION_PAYLOAD;
    return values ? WARM_VALUES : WARM_INDEXES;
}

/* Counts `bytes` that are about to be asked for. False: they would be too many. */
static bool count(struct warm *self, uint64_t bytes) {
    if (bytes > self->warmed.limit_bytes - self->warmed.bytes) {
        self->warmed.complete = false;
        return false;
    }
    self->warmed.bytes += bytes;
    return true;
}

/* The section's chunks from self->chunk on, as far as they may be brought. */
static ins_status warm_section(struct warm *self, uint32_t slot, ins_error *error) {
    const struct extent *extent = &self->reader.runs[self->run].extent;
    uint32_t chunk_count = extent_slot_section(extent, slot).chunk_count;
    while (self->chunk < chunk_count) {
        uint32_t left = chunk_count - self->chunk;
        uint32_t end = self->chunk + (left < CHUNKS_AT_ONCE ? left : CHUNKS_AT_ONCE);
        ins_status result = INS_OK;
        uint64_t bytes = 0;
        if (self->chunks++ >= CHUNKS_A_STEP) {
            return INS_AGAIN; /* let others pass */
        }
        for (uint32_t chunk = self->chunk; chunk < end; chunk++) {
            const uint8_t *data;
            bytes += extent_chunk(extent, slot, chunk).size;
            if (bytes > self->warmed.limit_bytes - self->warmed.bytes) {
                break; /* count() will say so */
            }
            ins_status status = reader_chunk(&self->reader, self->run, slot, chunk, &data, error);
            if (status != INS_OK && status != INS_AGAIN) {
                return status;
            }
            result = status == INS_AGAIN ? INS_AGAIN : result;
        }
        if (result != INS_OK) {
            return result;
        }
        reader_release_chunks(&self->reader, self->run, slot, UINT32_MAX);
        if (!count(self, bytes)) {
            return INS_OK;
        }
        self->chunk = end;
    }
    return INS_OK;
}

/* Its header is at hand; that, or the whole of a small one, counts in the first pass. */
static ins_status warm_run(struct warm *self, ins_error *error) {
    const struct reader_run *run = &self->reader.runs[self->run];
    const struct extent *extent = &run->extent;
    struct block_key first;
    if (!run->loaded) {
        return INS_OK; /* an entry without bytes */
    }
    if (self->pass == WARM_INDEXES && !self->counted) {
        self->counted = true;
        self->warmed.extents++;
        if (run_first_block(&run->run, extent->file, &first) && !count(self, first.size)) {
            return INS_OK;
        }
    }
    while (!extent->small && self->section < extent->section_count) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + self->section);
        uint32_t slot = extent_slot(extent, (enum section_kind)section.kind, section.number);
        if (pass_of(&section) == self->pass && slot != SLOT_NONE) {
            ins_status status = warm_section(self, slot, error);
            if (status != INS_OK || !self->warmed.complete) {
                return status;
            }
        }
        self->section++;
        self->chunk = 0;
    }
    return INS_OK;
}

static ins_status warm_island(struct warm *self, ins_error *error) {
    ins_status status = reader_load_headers(&self->reader, error);
    while (status == INS_OK && self->warmed.complete && self->run < self->reader.run_count) {
        status = warm_run(self, error);
        if (status == INS_OK) {
            self->run++;
            self->section = self->chunk = 0;
            self->counted = false;
        }
    }
    return status;
}

/* ---- All ---- */

static ins_status warm_begin(struct warm *self, ins_error *error) {
    struct operation *operation = &self->operation;
    struct ins_db *db = operation->db;
    struct account_name name;
    operation->within = true;
    ins_status status = quota_name(db, self->request, false, &name, error);
    if (status == INS_OK) {
        status = tenant_about_init(&self->about, &operation->pool, self->request, &name, error);
    }
    if (status == INS_OK) {
        status = scopes_open(&self->scopes, operation, &self->about.points, error);
    }
    for (int pass = 0; pass < WARM_PASSES && status == INS_OK; pass++) {
        status = islands_walk_init(&self->walks[pass], operation, &self->scopes,
                                   self->about.points.filter, error);
    }
    self->warmed.limit_bytes = cache_limit(db->cache) / 2;
    self->warmed.complete = true;
    self->begun = true;
    if (status != INS_OK || !self->request->no_wait) {
        return status;
    }
    if (db->warmings >= INS_WARMINGS_MAX) {
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "%u tenants are being warmed in the background, the limit is %u",
                              db->warmings, INS_WARMINGS_MAX);
    }
    db->warmings++;
    self->detached = true;
    operation->waiter.trace = NULL; /* it counts into the caller's memory */
    operation_detach(operation, &self->own_call);
    return INS_OK;
}

/* *out_end: there is none. */
static ins_status open_next(struct warm *self, bool *out_end, ins_error *error) {
    struct operation *operation = &self->operation;
    const struct filter *filter;
    const struct payload_path *path;
    *out_end = true;
    if (islands_walk_lost(&self->walks[self->pass])) {
        return names_absent(self->about.points.collection, error);
    }
    struct island *island = islands_walk_next(&self->walks[self->pass], &filter, &path);
    if (island == NULL) {
        self->pass++;
        *out_end = self->pass == WARM_PASSES;
        return INS_OK;
    }
    *out_end = false;
    self->run = self->section = self->chunk = 0;
    self->counted = false;
    self->warmed.islands += self->pass == WARM_INDEXES;
    return reader_open(&self->reader, &operation->db->reading, island,
                       operation->db->reading.durable_lsn, &operation->pool, &operation->waiter,
                       error);
}

static ins_status warm_end(struct warm *self) {
    self->warmed.loaded_bytes = self->operation.waiter.loaded_bytes;
    self->operation.call->warmed = &self->warmed;
    return INS_OK;
}

static ins_status warm_step(struct operation *operation, ins_error *error) {
    struct warm *self = container_of(operation, struct warm, operation);
    ins_status status = self->begun ? INS_OK : warm_begin(self, error);
    self->chunks = 0;
    for (uint32_t i = 0; status == INS_OK && i < ISLANDS_A_STEP; i++) {
        bool end = false;
        if (!self->reader.open) {
            status = open_next(self, &end, error);
        }
        if (status == INS_OK && self->reader.open) {
            status = warm_island(self, error);
            end = status == INS_OK && !self->warmed.complete;
        }
        if (status == INS_OK) {
            reader_close(&self->reader); /* takes one that is closed */
        }
        if (status == INS_OK && end) {
            return warm_end(self);
        }
    }
    return status == INS_OK ? INS_AGAIN : status;
}

void ins_tenant_warm(ins_db *db, const void *tenants_request, ins_call *call) {
    struct warm *self = operation_create(db, call, sizeof(*self), warm_step, warm_close, true);
    if (self != NULL) {
        self->request = tenants_request;
        operation_run(&self->operation);
    }
}
