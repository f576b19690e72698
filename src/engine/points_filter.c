/* Deletes and changes by filter.
 *
 * Path: island after island, page after page in the order of ids, the points that pass are
 * gathered; each chunk of them is a write of its own (points_write.c), and the next page is read
 * when that one is durable. Nothing stays pinned meanwhile, and memory is that of one chunk,
 * however many points pass.
 * What the filter sees is everything sequenced; points written after the operation began stay as
 * they are. One chunk is all or nothing, the whole is not: what fails on the way ends it, and sent
 * again it goes on with what is left, since every change by filter may be made twice.
 * Refused for the moment (a memtable is full): a flush, then the chunk again. Too large: half of
 * the chunk. */
#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/gates.h"
#include "engine/names.h"
#include "engine/points.h"
#include "engine/walk.h"
#include "tenant/page.h"

#define FILTER_STEP 1024u  /* points looked at; then others get the lane */
#define FILTER_CHUNK 4096u /* points of one write: 96 KiB of ids, a record of some 100 KiB */
#define FILTER_RETRIES_MAX 16u
#define FILTER_DROPS_MAX 256u /* tenants dropped by one record */

enum inner_call { INNER_NONE, INNER_WRITE, INNER_FLUSH };

struct points_filter {
    struct operation operation;
    const ins_points_request *request;
    enum points_kind kind;
    struct points_context context;
    struct scope *scope; /* pinned */
    struct scopes scopes;
    struct islands_walk walk;
    struct gate gate;
    uint64_t start_lsn;    /* what was sequenced when its gate had settled; 0 = not yet */
    struct island **drops; /* [drop_count]: tenants that go as a whole, before anything else */
    size_t drop_count;
    /* The island being looked at. */
    struct island *island; /* pinned */
    const struct filter *filter;
    const struct payload_path *path;
    struct reader reader; /* closed while a write is under way */
    ins_id from;          /* first id not looked at */
    bool island_end;      /* no id is left */
    struct place *places; /* [PAGE_MAX] */
    uint32_t page_count, page_next;
    bool page_last;
    /* The chunk, written piece by piece: all of it, unless that is too large. */
    ins_id *ids; /* [FILTER_CHUNK] */
    size_t id_count, sent, piece;
    bool gathered;
    bool all_seen; /* no island is left */
    enum inner_call inner_kind;
    ins_call inner;
    ins_points_request by_ids;
    uint32_t retries;
    bool starting, ended, wrote, again;
};

static struct points_filter *of(struct operation *operation) {
    return container_of(operation, struct points_filter, operation);
}

static void leave_island(struct points_filter *self) {
    reader_close(&self->reader);
    if (self->island != NULL) {
        island_unpin(&self->operation.db->islands, self->island);
        self->island = NULL;
    }
}

static void filter_close(struct operation *operation) {
    struct points_filter *self = of(operation);
    leave_island(self);
    islands_walk_close(&self->walk);
    gate_leave(&self->gate);
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

static ins_status filter_begin(struct points_filter *self, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status = scopes_home(operation->db, self->request, &self->scope, error);
    if (status != INS_OK) {
        self->scope = NULL;
        return status;
    }
    self->scope->pins++;
    self->scopes = scopes_of(self->scope); /* pinned by the line above */
    self->ids = pool_alloc(&operation->pool, FILTER_CHUNK * sizeof(ins_id));
    self->places = pool_alloc(&operation->pool, PAGE_MAX * sizeof(struct place));
    if (self->ids == NULL || self->places == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a change by filter");
    }
    status = islands_walk_init(&self->walk, operation, &self->scopes, self->request->filter, error);
    if (status == INS_OK) {
        self->walk.for_write = true;
        gate_enter(&self->gate, operation->db, &self->walk);
    }
    return status;
}

/* A delete of everything that tenants have drops their islands: one row of the catalog each. It is
 * the first thing that is sequenced, at the moment from which later writes count as later. */
static ins_status find_drops(struct points_filter *self, ins_error *error) {
    struct islands_walk *walk = &self->walk;
    if (self->kind != POINTS_DELETE || !walk->pinned || walk->residual != NULL ||
        walk->value_count > FILTER_DROPS_MAX) {
        return INS_OK;
    }
    self->drops =
        pool_alloc(&self->operation.pool, (walk->value_count + 1) * sizeof(struct island *));
    if (self->drops == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a delete by filter");
    }
    while (walk->value_next < walk->value_count) {
        struct island *island = islands_find_newest(&self->operation.db->islands, self->scope,
                                                    walk->values[walk->value_next++]);
        if (island != NULL) {
            self->drops[self->drop_count++] = island;
        }
    }
    self->all_seen = walk->common_done;
    self->gathered = self->drop_count > 0;
    return INS_OK;
}

static ins_status filter_settle(struct points_filter *self, ins_error *error) {
    if (islands_walk_lost(&self->walk) || scope_dropped(self->scope)) {
        return scopes_gone(self->operation.db, self->request, error);
    }
    if (!gate_settle(&self->gate, &self->operation)) {
        return INS_AGAIN;
    }
    /* Anew: what came before may have written where nothing was. */
    islands_walk_close(&self->walk);
    ins_status status = islands_walk_init(&self->walk, &self->operation, &self->scopes,
                                          self->request->filter, error);
    self->walk.for_write = true;
    self->start_lsn = wal_next_lsn(self->operation.db->wal) - 1;
    return status == INS_OK ? find_drops(self, error) : status;
}

/* ---- Points that pass ---- */

static ins_status open_page(struct points_filter *self, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status = INS_OK;
    self->page_count = self->page_next = 0;
    if (!self->reader.open) {
        status = reader_open(&self->reader, &operation->db->reading, self->island,
                             wal_next_lsn(operation->db->wal) - 1, &operation->pool,
                             &operation->waiter, error);
    }
    if (status == INS_OK) {
        status = reader_load(&self->reader, error);
    }
    if (status == INS_OK) {
        status = page_points(&self->reader, &self->from, self->places, PAGE_MAX, &self->page_count,
                             error);
    }
    self->page_last = status == INS_OK && self->page_count < PAGE_MAX;
    return status;
}

static ins_status look(struct points_filter *self, const struct place *place, ins_error *error) {
    bool match = true;
    if (self->filter != NULL) {
        ins_status status = place_matches(&self->reader, place, self->filter, self->path,
                                          self->operation.db->parser, &match, error);
        if (status != INS_OK) {
            return status;
        }
    }
    ins_id id = reader_id(&self->reader, place);
    reader_trim(&self->reader, place);
    if (match) {
        self->ids[self->id_count++] = id;
    }
    self->island_end = !id_after(&id, &self->from);
    return INS_OK;
}

/* INS_OK when the chunk is full or the island at its end. */
static ins_status gather_island(struct points_filter *self, ins_error *error) {
    for (uint32_t done = 0; self->id_count < FILTER_CHUNK && !self->island_end; done++) {
        ins_status status = INS_OK;
        if (!self->reader.open || self->page_next == self->page_count) {
            status = done < FILTER_STEP ? open_page(self, error) : INS_AGAIN;
        }
        if (status == INS_OK && self->page_next < self->page_count) {
            status = look(self, &self->places[self->page_next], error);
            self->page_next += status == INS_OK;
        }
        if (status != INS_OK) {
            return status;
        }
        self->island_end |= self->page_next == self->page_count && self->page_last;
    }
    return INS_OK;
}

static void enter_island(struct points_filter *self, struct island *island) {
    self->island = island;
    island_pin(island);
    self->from = id_number(0);
    self->island_end = false;
    self->page_count = self->page_next = 0;
}

/* INS_OK when there is a chunk to write, or nothing is left. */
static ins_status gather(struct points_filter *self, ins_error *error) {
    for (uint32_t islands = 0; !self->all_seen && self->id_count < FILTER_CHUNK; islands++) {
        if (islands_walk_lost(&self->walk)) {
            return scopes_gone(self->operation.db, self->request, error);
        }
        if (islands == FILTER_STEP) {
            return INS_AGAIN;
        }
        if (self->island == NULL) {
            struct island *island = islands_walk_next(&self->walk, &self->filter, &self->path);
            self->all_seen = island == NULL;
            if (island == NULL) {
                break;
            }
            enter_island(self, island);
        }
        ins_status status = gather_island(self, error);
        if (status != INS_OK) {
            return status;
        }
        if (self->island_end) {
            leave_island(self);
        }
    }
    return INS_OK;
}

/* ---- Their write ---- */

static void inner_done(ins_call *inner) {
    struct points_filter *self = inner->user;
    self->ended = true;
    if (self->starting) {
        return; /* the step that is running goes on */
    }
    self->operation.parked = false;
    bool last = self->all_seen && self->sent + self->piece == self->id_count;
    if (last || inner->status != INS_OK) {
        operation_run(&self->operation); /* answers in the order of LSNs */
    } else {
        db_run(self->operation.db, INS_LANE_REQUEST, &self->operation.waiter.task);
    }
}

static void begin_inner(struct points_filter *self, enum inner_call kind) {
    self->inner_kind = kind;
    self->inner = (ins_call){.done = inner_done, .user = self, .lane = INS_LANE_REQUEST};
    self->ended = false;
    self->starting = true;
    if (kind == INNER_FLUSH) {
        ins_flush(self->operation.db, NULL, &self->inner);
    } else {
        struct points_context context = {.unless_newer = self->start_lsn,
                                         .ticket = self->gate.ticket,
                                         .drops = self->drops,
                                         .drop_count = self->drop_count};
        self->by_ids = *self->request;
        self->by_ids.filter = NULL;
        self->by_ids.ids = self->ids + self->sent;
        self->by_ids.id_count = self->piece;
        points_write_start(self->operation.db, self->kind, &self->by_ids, &context, &self->inner);
    }
    self->starting = false;
}

/* What the inner call's end means: INS_OK, go on. */
static ins_status take_inner(struct points_filter *self, ins_error *error) {
    enum inner_call kind = self->inner_kind;
    ins_status status = self->inner.status;
    if (kind == INNER_WRITE &&
        self->inner.lsn != 0) { /* also of a write that failed: it may have happened */
        self->operation.call->lsn = self->inner.lsn;
    }
    *error = self->inner.error;
    ins_call_release(&self->inner);
    self->inner_kind = INNER_NONE;
    if (kind == INNER_FLUSH) {
        return status;
    }
    if (status == INS_OK) {
        self->wrote = true;
        self->drop_count = 0;
        self->sent += self->piece;
        self->piece = self->id_count - self->sent;
        self->retries = 0;
        self->again = false;
        if (self->piece == 0) {
            self->id_count = 0;
            self->gathered = false;
        }
        return INS_OK;
    }
    if (status == INS_TOO_LARGE && (self->piece > 1 || !self->again)) {
        /* Memory may have been short for the moment: the same once more, then half of it. */
        self->piece /= self->again ? 2 : 1;
        self->again = !self->again;
        return INS_OK;
    }
    if (status == INS_EXHAUSTED && self->retries++ < FILTER_RETRIES_MAX) {
        if (self->drop_count > 0) {
            self->gate.settled = false; /* nobody may write into what is to be dropped */
        }
        begin_inner(self, INNER_FLUSH);
        return INS_OK;
    }
    return status;
}

/* The next chunk. INS_OK: there is one, or *out_end. */
static ins_status next_chunk(struct points_filter *self, bool *out_end, ins_error *error) {
    ins_status status = gather(self, error);
    self->gathered = status == INS_OK;
    self->sent = 0;
    self->piece = self->id_count;
    /* A write also when nothing passes: what was looked at must be durable before the answer. */
    *out_end = self->id_count == 0 && self->wrote;
    return status;
}

static ins_status filter_step(struct operation *operation, ins_error *error) {
    struct points_filter *self = of(operation);
    ins_status status = self->scope == NULL ? filter_begin(self, error) : INS_OK;
    if (status == INS_OK && self->start_lsn == 0) {
        status = filter_settle(self, error);
    }
    while (status == INS_OK) {
        if (self->inner_kind != INNER_NONE) {
            if (!self->ended) {
                operation->parked = true;
                return INS_AGAIN;
            }
            status = take_inner(self, error);
            continue;
        }
        bool end = false;
        if (!self->gathered) {
            status = next_chunk(self, &end, error);
        }
        if (status != INS_OK || end) {
            break;
        }
        reader_close(&self->reader);
        begin_inner(self, INNER_WRITE);
    }
    return status;
}

void points_filter_start(ins_db *db, enum points_kind kind, const ins_points_request *request,
                         const struct points_context *context, ins_call *call) {
    if (request->filter == NULL) {
        points_write_start(db, kind, request, context, call);
        return;
    }
    struct points_filter *self =
        operation_create(db, call, sizeof(*self), filter_step, filter_close, false);
    if (self != NULL) {
        self->request = request;
        self->kind = kind;
        self->context = *context;
        operation_run(&self->operation);
    }
}
