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
 * the chunk. A long one that finds no memory pauses and goes on where it was. */
#include "engine/points_filter.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/points_own.h"
#include "engine/tenants.h"
#include "tenant/page.h"

#define FILTER_RETRIES_MAX 16u
#define FILTER_DROPS_MAX 256u /* tenants dropped by one record */
#define FILTER_PAUSE_NS 20000000ull
#define FILTER_PAUSES_MAX                                                                          \
    500u /* without progress; memory that is short for 10 s is short for good */

static struct points_filter *of(struct operation *operation) {
    return container_of(operation, struct points_filter, operation);
}

void filter_leave_island(struct points_filter *self) {
    reader_close(&self->reader);
    if (self->island != NULL) {
        island_unpin(&self->operation.db->islands, self->island);
        self->island = NULL;
    }
}

void filter_close(struct operation *operation) {
    struct points_filter *self = of(operation);
    filter_leave_island(self);
    islands_walk_close(&self->walk);
    gate_leave(&self->gate);
    operation->db->changes -= self->is_long;
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

/* The scope is pinned. */
ins_status filter_take_memory(struct points_filter *self, ins_error *error) {
    struct pool *pool = &self->operation.pool;
    self->scopes = scopes_of(self->scope);
    self->ids = pool_alloc(pool, FILTER_CHUNK * sizeof(ins_id));
    self->places = pool_alloc(pool, PAGE_MAX * sizeof(struct place));
    return self->ids == NULL || self->places == NULL
               ? ins_fail(error, INS_FULL, "no memory for a change by filter")
               : INS_OK;
}

ins_status filter_walk_begin(struct points_filter *self, ins_error *error) {
    islands_walk_close(&self->walk);
    ins_status status = islands_walk_init(&self->walk, &self->operation, &self->scopes,
                                          self->request->filter, error);
    self->walk.for_write = true;
    return status;
}

static ins_status check_writes(struct ins_db *db, const struct account_name *name,
                               ins_error *error) {
    return account_check_write(db, account_open(db, name), name, false, error);
}

static ins_status filter_begin(struct points_filter *self, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status = scopes_home(operation->db, self->request, &self->scope, error);
    if (status != INS_OK) {
        self->scope = NULL;
        return status;
    }
    self->scope->pins++;
    if (self->request->tenant.data != NULL) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: tenant: a change by filter has it in the filter");
    }
    status = filter_take_memory(self, error);
    if (status == INS_OK) {
        status = filter_walk_begin(self, error);
    }
    if (status == INS_OK && self->kind != POINTS_DELETE && self->kind != POINTS_DELETE_VECTORS) {
        /* A payload that must not lose its tenant: refused by all of its points, or by none. */
        ins_text tenant;
        status = own_check_walk(&self->walk, &tenant, error);
    }
    for (size_t i = 0; status == INS_OK && i < self->walk.value_count; i++) {
        struct account_name name =
            account_name_tenant(self->scopes.collection, self->walk.values[i]);
        status = check_writes(operation->db, &name, error);
    }
    if (status == INS_OK && self->walk.value_count == 0) {
        struct account_name name = account_name_of(self->scopes.collection, self->scopes.one);
        status = check_writes(operation->db, &name, error);
    }
    if (status == INS_OK) {
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
    bool more = !walk->common_done;
    ins_status status = self->drop_count > 0 && more ? filter_become_long(self, error) : INS_OK;
    walk->value_next = walk->value_count; /* these tenants' islands are done */
    self->all_seen = !more;
    self->gathered = self->drop_count > 0;
    return status;
}

/* In the step in which it takes its place: later tenants of these names are not reached. */
static ins_status check_meant(const struct points_filter *self, ins_error *error) {
    const struct islands_walk *walk = &self->walk;
    uint64_t most = self->request->incarnation_max;
    if (most != 0 && !walk->pinned) {
        return tenants_unnamed(error);
    }
    for (size_t i = 0; most != 0 && i < walk->value_count; i++) {
        const struct island *island =
            islands_find_newest(&self->operation.db->islands, self->scope, walk->values[i]);
        if (island != NULL && island->incarnation > most) {
            return tenants_other(walk->values[i], island->incarnation, most, error);
        }
    }
    return INS_OK;
}

/* Its collection was moved to islands while it waited at the gate. */
static ins_status start_over(struct points_filter *self, ins_error *error) {
    islands_walk_close(&self->walk);
    gate_leave(&self->gate);
    self->scope->pins--;
    self->scope = NULL;
    return filter_begin(self, error);
}

static ins_status filter_settle(struct points_filter *self, ins_error *error) {
    if (self->scope->moved) {
        ins_status status = start_over(self, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (islands_walk_lost(&self->walk) || scope_dropped(self->scope)) {
        return scopes_gone(self->operation.db, self->request, error);
    }
    if (!gate_settle(&self->gate, &self->operation)) {
        return INS_AGAIN;
    }
    /* Anew: what came before may have written where nothing was. */
    ins_status status = filter_walk_begin(self, error);
    self->start_lsn = wal_next_lsn(self->operation.db->wal) - 1;
    if (status == INS_OK) {
        status = check_meant(self, error);
    }
    return status == INS_OK ? find_drops(self, error) : status;
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
                                         .island = self->chunk_island,
                                         .intent = self->is_long ? &self->intent : NULL};
        self->intent.ends = (self->all_seen && self->sent + self->piece == self->id_count) ||
                            self->failure != INS_OK;
        self->by_ids = *self->request;
        self->by_ids.filter = NULL;
        self->by_ids.incarnation_max = 0; /* checked when it took its place */
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
        self->retries = self->pauses = 0;
        self->again = false;
        if (self->piece == 0) {
            self->id_count = 0;
            self->gathered = false;
        }
        filter_answer_early(self);
        return self->failure;
    }
    if (status == INS_TOO_LARGE && (self->piece > 1 || !self->again)) {
        if (self->again && !self->is_long) {
            self->again = false;
            return filter_become_long(self, error); /* halves are two records */
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
    ins_status status = filter_gather(self, error);
    self->gathered = status == INS_OK;
    self->sent = 0;
    self->piece = self->id_count;
    if (status == INS_OK && !self->all_seen && !self->is_long) {
        return filter_become_long(self, error);
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
    filter_leave_island(self);
    self->failure = status;
    self->failure_error = *error;
    self->id_count = self->sent = self->piece = 0;
    self->gathered = true; /* a record without points */
    return true;
}

static void pause_over(ins_timer *timer) {
    struct points_filter *self = container_of(timer, struct points_filter, timer);
    self->operation.parked = false;
    operation_run(&self->operation);
}

/* A long one must not end for what passes: half of it may be done. True: it goes on later, from the
 * chunk at which it stands. */
static bool pause_instead(struct points_filter *self, ins_status status) {
    struct ins_db *db = self->operation.db;
    bool passes = status == INS_EXHAUSTED || status == INS_UNAVAILABLE ||
                  (status == INS_FULL && self->pauses < FILTER_PAUSES_MAX);
    if (self->intent.key == 0 || self->closed || !passes || db->stopping || db->writes_stopped ||
        scope_dropped(self->scope)) {
        return false;
    }
    reader_close(&self->reader); /* nothing stays pinned; it is opened where it was */
    self->pauses++;
    self->operation.parked = true;
    self->timer.run = pause_over;
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &self->timer, FILTER_PAUSE_NS);
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

ins_status filter_step(struct operation *operation, ins_error *error) {
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
        if (pause_instead(self, status)) {
            return INS_AGAIN;
        }
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
