/* Deletes and changes by filter.
 *
 * Path: island after island, page after page in the order of ids, the points that pass are
 * gathered; each chunk of them is a write of its own (points_write.c), and the next page is read
 * when that one is durable. Nothing stays pinned meanwhile, and memory is that of one chunk,
 * however many points pass.
 * What the filter sees is everything sequenced; points written after the operation began stay as
 * they are. Changes within one chunk are one record: all or nothing. When more turn out to pass,
 * before anything was written, the operation becomes a long one: it takes a copy of its request and
 * starts again; its first record carries a row of the catalog that says what is to be done, its
 * last one takes that row out. After a crash it begins anew (points_filter_resume): what it has
 * changed is newer than its place, so it is passed over.
 * Refused for the moment (a memtable is full): a flush, then the chunk again. Too large: half of
 * the chunk. */
#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/catalog.h"
#include "engine/change_text.h"
#include "engine/gates.h"
#include "engine/names.h"
#include "engine/points.h"
#include "engine/text.h"
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
    /* A long one. */
    bool is_long, closed; /* its last record is written */
    bool detached;        /* its call was answered */
    struct points_intent intent;
    ins_points_request own; /* in the pool */
    ins_call own_call;
    ins_status late; /* it failed, and loads are still under way */
    ins_error late_error;
    ins_status failure; /* it failed for good: its row goes, then it ends with this */
    ins_error failure_error;
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
    operation->db->changes -= self->is_long;
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

static uint32_t chunk_of(const struct points_filter *self) {
    uint32_t asked = self->operation.db->options.change_points;
    return asked > 0 && asked < FILTER_CHUNK ? asked : FILTER_CHUNK;
}

/* The scope is pinned. */
static ins_status take_memory(struct points_filter *self, ins_error *error) {
    struct pool *pool = &self->operation.pool;
    self->scopes = scopes_of(self->scope);
    self->ids = pool_alloc(pool, FILTER_CHUNK * sizeof(ins_id));
    self->places = pool_alloc(pool, PAGE_MAX * sizeof(struct place));
    return self->ids == NULL || self->places == NULL
               ? ins_fail(error, INS_FULL, "no memory for a change by filter")
               : INS_OK;
}

static ins_status walk_begin(struct points_filter *self, ins_error *error) {
    islands_walk_close(&self->walk);
    ins_status status = islands_walk_init(&self->walk, &self->operation, &self->scopes,
                                          self->request->filter, error);
    self->walk.for_write = true;
    return status;
}

static ins_status filter_begin(struct points_filter *self, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status = scopes_home(operation->db, self->request, &self->scope, error);
    if (status != INS_OK) {
        self->scope = NULL;
        return status;
    }
    self->scope->pins++;
    status = take_memory(self, error);
    if (status == INS_OK) {
        status = walk_begin(self, error);
    }
    if (status == INS_OK) {
        gate_enter(&self->gate, operation->db, &self->walk);
    }
    return status;
}

/* ---- Long ones ---- */

/* Nothing is borrowed from the request any more. */
static ins_status take_copy(struct points_filter *self, struct slice bytes, ins_error *error) {
    struct pool *pool = &self->operation.pool;
    enum points_kind kind;
    ins_status status = change_decode(pool, bytes, &kind, &self->own, error);
    if (status != INS_OK) {
        return status;
    }
    ins_shard_key *key = pool_alloc_zero(pool, sizeof(*key));
    struct scope *collection = self->scopes.collection;
    self->own.collection = text_copy(pool, scope_name(collection));
    bool copied = key != NULL && self->own.collection.data != NULL;
    if (copied && self->scope != collection) {
        *key = scope_shard_key(self->scope);
        if (!self->scope->is_number) {
            key->text = text_copy(pool, key->text);
            copied = key->text.data != NULL;
        }
        self->own.shard_keys = key;
        self->own.shard_key_count = 1;
    }
    self->own.no_wait = self->request != NULL && self->request->no_wait;
    self->kind = kind;
    self->request = &self->own;
    return copied ? INS_OK : ins_fail(error, INS_FULL, "no memory for a change by filter");
}

/* More than one record will be needed, and none is written yet: once more from the beginning, with
 * a row that outlives the process. */
static ins_status become_long(struct points_filter *self, ins_error *error) {
    struct ins_db *db = self->operation.db;
    struct pool *pool = &self->operation.pool;
    struct slice bytes;
    if (db->changes == INS_CHANGES_MAX) {
        return ins_fail_retry(error, INS_EXHAUSTED, 1,
                              "%u changes by filter of many points are under way, the limit is %u; "
                              "try again",
                              db->changes, INS_CHANGES_MAX);
    }
    leave_island(self);
    ins_status status = change_encode(pool, self->kind, self->request, &bytes, error);
    if (status == INS_OK) {
        self->intent.row =
            catalog_row_change(pool, self->scope->key, self->start_lsn, bytes.data, bytes.size);
        status = self->intent.row.data == NULL
                     ? ins_fail(error, INS_FULL, "no memory to keep a change by filter")
                     : take_copy(self, bytes, error);
    }
    if (status == INS_OK) {
        status = walk_begin(self, error);
    }
    if (status != INS_OK) {
        return status;
    }
    db->changes++;
    self->is_long = true;
    self->id_count = 0;
    self->all_seen = self->gathered = false;
    return INS_OK;
}

/* The answer is not waited for, and the change cannot be lost any more. */
static void answer_early(struct points_filter *self) {
    if (self->own.no_wait && self->is_long && self->intent.key != 0 && !self->detached) {
        self->detached = true;
        operation_detach(&self->operation, &self->own_call);
    }
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
    bool more = !walk->common_done;
    ins_status status = self->drop_count > 0 && more ? become_long(self, error) : INS_OK;
    walk->value_next = walk->value_count; /* these tenants' islands are done */
    self->all_seen = !more;
    self->gathered = self->drop_count > 0;
    return status;
}

static ins_status filter_settle(struct points_filter *self, ins_error *error) {
    if (islands_walk_lost(&self->walk) || scope_dropped(self->scope)) {
        return scopes_gone(self->operation.db, self->request, error);
    }
    if (!gate_settle(&self->gate, &self->operation)) {
        return INS_AGAIN;
    }
    /* Anew: what came before may have written where nothing was. */
    ins_status status = walk_begin(self, error);
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
    for (uint32_t done = 0; self->id_count < chunk_of(self) && !self->island_end; done++) {
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
    for (uint32_t islands = 0; !self->all_seen && self->id_count < chunk_of(self); islands++) {
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
                                         .drop_count = self->drop_count,
                                         .intent = self->is_long ? &self->intent : NULL};
        self->intent.ends = (self->all_seen && self->sent + self->piece == self->id_count) ||
                            self->failure != INS_OK;
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
    struct ins_db *db = self->operation.db;
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
        self->closed = self->intent.ends;
        self->drop_count = 0;
        self->sent += self->piece;
        self->piece = self->id_count - self->sent;
        self->retries = 0;
        self->again = false;
        if (self->piece == 0) {
            self->id_count = 0;
            self->gathered = false;
        }
        answer_early(self);
        return self->failure;
    }
    if (status == INS_TOO_LARGE && (self->piece > 1 || !self->again)) {
        if (self->again && !self->is_long) {
            self->again = false;
            return become_long(self, error); /* halves are two records */
        }
        /* Memory may have been short for the moment: the same once more, then half of it. */
        self->piece /= self->again ? 2 : 1;
        self->again = !self->again;
        return INS_OK;
    }
    bool kept = self->intent.key != 0; /* it must go on, and has all the time */
    bool short_of =
        status == INS_EXHAUSTED || (kept && status == INS_UNAVAILABLE &&
                                    write_check_open(db, NULL) == INS_OK && !db->stopping);
    if (short_of && (kept || self->retries++ < FILTER_RETRIES_MAX)) {
        if (self->drop_count > 0) {
            self->gate.settled = false; /* nobody may write into what is to be dropped */
        }
        begin_inner(self, INNER_FLUSH);
        return INS_OK;
    }
    return status;
}

/* The next chunk. INS_OK: there is one, or *out_end, or it is to be gathered again. */
static ins_status next_chunk(struct points_filter *self, bool *out_end, ins_error *error) {
    ins_status status = gather(self, error);
    self->gathered = status == INS_OK;
    self->sent = 0;
    self->piece = self->id_count;
    if (status == INS_OK && !self->all_seen && !self->is_long) {
        return become_long(self, error);
    }
    /* A write also when nothing passes: what was looked at must be durable before the answer. */
    *out_end = self->id_count == 0 && self->wrote && (self->closed || !self->is_long);
    return status;
}

/* What it cannot go on with ends it: the row in the catalog must go first. When it may go on after
 * a restart the row stays: the process stops, or the log has failed. */
static bool give_up(struct points_filter *self, ins_status status, const ins_error *error) {
    struct ins_db *db = self->operation.db;
    if (self->intent.key == 0 || self->closed || self->failure != INS_OK || db->stopping ||
        db->writes_stopped || scope_dropped(self->scope)) {
        return false;
    }
    leave_island(self);
    self->failure = status;
    self->failure_error = *error;
    self->id_count = self->sent = self->piece = 0;
    self->gathered = true; /* a record without points */
    return true;
}

static ins_status filter_work(struct points_filter *self, ins_error *error) {
    ins_status status = INS_OK;
    while (status == INS_OK) {
        if (self->inner_kind != INNER_NONE) {
            if (!self->ended) {
                self->operation.parked = true;
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
        if (self->gathered) {
            reader_close(&self->reader);
            begin_inner(self, INNER_WRITE);
        }
    }
    return status;
}

static ins_status filter_step(struct operation *operation, ins_error *error) {
    struct points_filter *self = of(operation);
    ins_status status = self->scope == NULL ? filter_begin(self, error) : INS_OK;
    if (status == INS_OK && self->start_lsn == 0) {
        status = filter_settle(self, error);
    }
    while (status == INS_OK) {
        status = self->late != INS_OK ? self->late : filter_work(self, error);
        if (status == INS_OK || status == INS_AGAIN) {
            break;
        }
        if (self->late != INS_OK) {
            *error = self->late_error;
        }
        bool waits = operation->waiter.pending > 0 || operation->waiter.starved;
        if (waits && self->intent.key != 0) {
            self->late = status; /* its row goes when nothing is on its way any more */
            self->late_error = *error;
            return INS_AGAIN;
        }
        self->late = INS_OK;
        if (!give_up(self, status, error)) {
            break;
        }
        status = INS_OK;
    }
    if (self->failure != INS_OK && status != INS_AGAIN) {
        *error = self->failure_error;
        status = self->failure;
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

static void nobody(ins_call *call) {
    (void)call;
}

ins_status points_filter_resume(ins_db *db, const struct change_row *row, ins_error *error) {
    struct scope *scope = catalog_find_key(&db->catalog, row->scope_key);
    if (scope == NULL) {
        return INS_OK; /* dropped since: nothing to change */
    }
    ins_call call = {.done = nobody};
    struct points_filter *self =
        operation_create(db, &call, sizeof(*self), filter_step, filter_close, false);
    if (self == NULL) {
        *error = call.error;
        return call.status;
    }
    self->scope = scope;
    scope->pins++;
    self->is_long = true;
    db->changes++;
    self->start_lsn = row->lsn;
    self->intent.key = row->key;
    ins_status status = take_memory(self, error);
    uint8_t *bytes = pool_copy(&self->operation.pool, row->bytes, row->size);
    if (status == INS_OK && bytes == NULL) {
        status = ins_fail(error, INS_FULL, "no memory for a change by filter");
    }
    if (status == INS_OK) {
        status = take_copy(self, (struct slice){.data = bytes, .size = row->size}, error);
    }
    if (status == INS_OK) {
        status = walk_begin(self, error);
    }
    operation_detach(&self->operation, &self->own_call);
    self->detached = true;
    if (status != INS_OK) {
        operation_end(&self->operation, status, error);
        return status;
    }
    gate_enter(&self->gate, db, &self->walk);
    self->gate.settled = true; /* nobody came before */
    self->operation.next_waiting = db->resumed;
    db->resumed = &self->operation;
    return INS_OK;
}

void points_filters_start(ins_db *db) {
    while (db->resumed != NULL) {
        struct operation *operation = db->resumed;
        db->resumed = operation->next_waiting;
        db_run(db, INS_LANE_REQUEST, &operation->waiter.task);
    }
}
