/* A tenant copied on the server: what an export gives goes into an import, a piece after the other.
 *
 * Path: copy_step -> HEAD (of the source) -> CHECK (may the target be written) -> NOTE (the copy in
 * the settings of the target's collection, in one record: from here on it cannot be lost) -> READ,
 * WRITE ... -> FORGET (the note goes).
 * Failure: what passes (memory, a rate) is tried again for a while, FORGET however long: a copy
 * that was told to be done must not begin anew and write over what came since. Else the copy ends
 * with its reason and leaves what it has written. A process that ends in between leaves the note,
 * and the next start begins the copy anew: the points that are there are written again. Threads:
 * the request lane. */
#include "engine/copy.h"

#include "base/assert.h"
#include "base/status.h"
#include "engine/catalog.h"
#include "engine/names.h"
#include "engine/operation.h"
#include "engine/text.h"

#define COPY_PAUSE_NS 200000000ull    /* until what was refused is tried again, */
#define COPY_STALL_NS 120000000000ull /* for so long: a rate is even again in half of it */
_Static_assert(COPY_STALL_NS >= 2 * ACCOUNT_DEBT_NS, "a rate that is overdrawn ends no copy");

enum copy_stage { COPY_HEAD, COPY_CHECK, COPY_NOTE, COPY_READ, COPY_WRITE, COPY_FORGET };

struct tenant_copy {
    struct operation operation;
    struct tenant_copy *next; /* in db->copying */
    ins_call own_call;
    enum copy_stage stage;
    ins_text from_collection, from, to_collection, to; /* in the pool */
    bool no_wait, resumed, running, ended, starting;
    bool stalls;           /* it was refused last time, and first at: */
    uint64_t stalls_since; /* ns */
    bool forgets;          /* `noting` has no note: made once, however often it is tried */
    ins_call inner;
    ins_call piece; /* what is being written; kept until it is */
    ins_export state;
    ins_export_request reading;
    ins_import_request writing;
    ins_collection_request noting;
    ins_text head;
    ins_timer timer;
    ins_status status; /* of the copy: why it ended */
    ins_error error;
    uint64_t points, incarnation; /* of the target */
    ins_tenant tenant;
};

static struct tenant_copy *of(struct operation *operation) {
    return container_of(operation, struct tenant_copy, operation);
}

/* ---- Calls within this one ---- */

static void inner_done(ins_call *inner) {
    struct tenant_copy *self = inner->user;
    self->ended = true;
    if (!self->starting) {
        self->operation.parked = false;
        operation_run(&self->operation);
    }
}

static void begin(struct tenant_copy *self, ins_call *call, ins_start start, const void *request) {
    *call = (ins_call){.done = inner_done, .user = self, .lane = INS_LANE_REQUEST};
    self->running = self->starting = true;
    self->ended = false;
    start(self->operation.db, request, call);
    self->starting = false;
}

/* The settings with the copy in them, or without it. */
static bool make_note(struct tenant_copy *self, bool there) {
    if (self->forgets) {
        return true;
    }
    const ins_copy_request note = {.collection = self->from_collection,
                                   .name = self->from,
                                   .to = self->to,
                                   .incarnation = self->state.incarnation};
    self->noting.collection = self->to_collection;
    self->noting.settings = copy_note_settings(&self->operation.pool, &note, there);
    bool made = self->noting.settings.data != NULL;
    self->forgets = made && !there;
    return made;
}

/* ---- Stages ---- */

static void pause_over(ins_timer *timer) {
    struct tenant_copy *self = container_of(timer, struct tenant_copy, timer);
    self->operation.parked = false;
    operation_run(&self->operation);
}

static void pause_for(struct tenant_copy *self) {
    const struct ins_db *db = self->operation.db;
    self->operation.parked = true;
    self->timer.run = pause_over;
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &self->timer, COPY_PAUSE_NS);
}

static bool ends_now(const struct tenant_copy *self) {
    return self->operation.db->stopping || self->operation.db->writes_stopped;
}

static bool passes(ins_status status) {
    return status == INS_EXHAUSTED || status == INS_UNAVAILABLE || status == INS_FULL;
}

/* The copy ends so; its note goes, unless the process does. */
static void give_up(struct tenant_copy *self, ins_status status, const ins_error *error) {
    self->status = status;
    self->error = *error;
    self->stage = COPY_FORGET;
}

static void start_write(struct tenant_copy *self, ins_text bytes) {
    self->writing = (ins_import_request){.collection = self->to_collection,
                                         .name = self->to,
                                         .head = self->head,
                                         .bytes = bytes,
                                         .part = true,
                                         .merge = self->incarnation == 0,
                                         .incarnation = self->incarnation};
    if (self->stage == COPY_CHECK) {
        self->writing.merge = self->resumed;
    }
    begin(self, &self->inner, ins_tenant_import, &self->writing);
}

/* A point has one tenant: under its id it would leave the source. */
static ins_status check_apart(const struct tenant_copy *self, ins_error *error) {
    struct scope *from = NULL, *to = NULL;
    struct ins_db *db = self->operation.db;
    ins_status status = names_find_scope(db, self->from_collection, true, &from, error);
    if (status == INS_OK) {
        status = names_find_scope(db, self->to_collection, true, &to, error);
    }
    if (status == INS_OK && from == to && from->directory != NULL) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: ids are unique within a collection: a tenant is copied to "
                        "another collection than `%.*s`, or within one made with "
                        "insula.point_ids `tenant`",
                        (int)self->from_collection.size, self->from_collection.data);
    }
    return status;
}

static bool has_target(const struct tenant_copy *self, const struct scope *collection,
                       ins_text to) {
    struct scope *scope = NULL;
    ins_error unused;
    return (self->to.data == NULL) == (to.data == NULL) && text_equal(self->to, to) &&
           names_find_scope(self->operation.db, self->to_collection, true, &scope, &unused) ==
               INS_OK &&
           scope == collection;
}

/* Two sources would be mixed in the target, which has points of neither yet; and a target has one
 * note. */
static ins_status check_alone(const struct tenant_copy *self, ins_error *error) {
    struct ins_db *db = self->operation.db;
    struct scope *collection = NULL;
    ins_status status = names_find_scope(db, self->to_collection, true, &collection, error);
    for (struct tenant_copy *other = db->copying; status == INS_OK && other != NULL;
         other = other->next) {
        bool counts = other != self && (other->resumed || other->stage >= COPY_CHECK);
        if (counts && has_target(other, collection, self->to)) {
            ins_text name = self->to.data != NULL ? self->to : self->to_collection;
            status =
                ins_fail(error, INS_EXISTS, "Conflict: another copy to Tenant `%.*s` is under way",
                         (int)name.size, name.data);
        }
    }
    return status;
}

static ins_status start_check(struct tenant_copy *self, ins_error *error) {
    ins_status status = self->resumed ? INS_OK : check_apart(self, error);
    status = status == INS_OK && !self->resumed ? check_alone(self, error) : status;
    if (status == INS_OK) {
        start_write(self, (ins_text){"", 0});
    }
    return status;
}

static ins_status start_stage(struct tenant_copy *self, ins_error *error) {
    switch (self->stage) {
    case COPY_HEAD:
    case COPY_READ:
        begin(self, &self->piece, ins_tenant_export, &self->reading);
        return INS_OK;
    case COPY_CHECK:
        return start_check(self, error);
    case COPY_WRITE:
        start_write(self, self->piece.bytes);
        return INS_OK;
    case COPY_NOTE:
    case COPY_FORGET:
        if (!make_note(self, self->stage == COPY_NOTE)) {
            return ins_fail(error, INS_FULL, "no memory for the note of a copy");
        }
        begin(self, &self->inner, ins_collection_update, &self->noting);
        return INS_OK;
    }
    return INS_OK;
}

/* A call within has ended well: what it brought, and what comes next. */
static ins_status go_on(struct tenant_copy *self, ins_error *error) {
    struct operation *operation = &self->operation;
    self->stalls =
        self->stalls && self->stage == COPY_READ; /* only a piece that is written counts */
    switch (self->stage) {
    case COPY_HEAD:
        self->head = text_copy(&operation->pool, self->piece.bytes);
        ins_call_release(&self->piece);
        self->stage = COPY_CHECK;
        return self->head.data != NULL
                   ? INS_OK
                   : ins_fail(error, INS_FULL, "no memory for the head of a copy");
    case COPY_CHECK:
        self->incarnation = self->inner.tenants[0].incarnation;
        self->stage = self->resumed ? COPY_READ : COPY_NOTE;
        break;
    case COPY_NOTE:
        self->stage = COPY_READ;
        if (self->no_wait) {
            operation->call->lsn = self->inner.lsn;
            ins_call_release(&self->inner);
            operation_detach(operation, &self->own_call);
            return INS_OK;
        }
        break;
    case COPY_READ:
        self->stage = self->piece.found ? COPY_WRITE : COPY_FORGET;
        if (!self->piece.found) {
            ins_call_release(&self->piece);
        }
        return INS_OK;
    case COPY_WRITE:
        self->points += self->inner.count;
        self->incarnation = self->inner.tenants[0].incarnation;
        self->stage = COPY_READ;
        ins_call_release(&self->piece);
        break;
    case COPY_FORGET:
        break;
    }
    operation->call->lsn = self->inner.lsn;
    ins_call_release(&self->inner);
    return INS_OK;
}

/* Refused for so long it will not pass by itself: its target stores as much as it may. */
static bool has_stalled(struct tenant_copy *self) {
    uint64_t now = db_now(self->operation.db);
    self->stalls_since = self->stalls ? self->stalls_since : now;
    self->stalls = true;
    return now - self->stalls_since >= COPY_STALL_NS;
}

/* True: what failed so is tried again, after a while. The note goes in the end, however long. */
static bool tries_again(struct tenant_copy *self, ins_status status) {
    bool noted = self->resumed || self->stage > COPY_NOTE;
    bool again = noted && passes(status) && !ends_now(self) &&
                 (self->stage == COPY_FORGET || !has_stalled(self));
    if (again) {
        pause_for(self);
    }
    return again;
}

static ins_status stopped(ins_error *error) {
    return ins_fail(error, INS_UNAVAILABLE, "the copy was stopped; it goes on at the next start");
}

/* The note could not be taken away: its collection has gone, and the note with it; or writes have
 * stopped, and the next start does all of it again. */
static void end_noted(struct tenant_copy *self) {
    if (self->status == INS_OK && ends_now(self)) {
        self->status = stopped(&self->error);
    }
}

/* INS_AGAIN: it is tried again after a while, or the note has to go. Else the copy ends so. */
static ins_status after_failure(struct tenant_copy *self, ins_call *call, ins_error *error) {
    ins_status status = call->status;
    bool noted = self->resumed || self->stage > COPY_NOTE;
    *error = call->error;
    ins_call_release(call);
    if (tries_again(self, status)) {
        return INS_AGAIN;
    }
    if (!noted || self->stage == COPY_FORGET || ends_now(self)) {
        return status;
    }
    if (call == &self->inner && self->stage == COPY_WRITE) {
        ins_call_release(&self->piece);
    }
    if (passes(status)) {
        ins_error reason = *error;
        status = ins_fail_retry(
            error, status, reason.retry_after_s,
            "the copy ended, with %llu points written: for %llu s it was refused: "
            "%.360s",
            (unsigned long long)self->points, COPY_STALL_NS / 1000000000ull, reason.message);
    }
    give_up(self, status, error);
    return INS_AGAIN;
}

/* The call that the stage waits for has ended. */
static ins_status take_inner(struct tenant_copy *self, bool *out_end, ins_error *error) {
    bool reads = self->stage == COPY_HEAD || self->stage == COPY_READ;
    ins_call *call = reads ? &self->piece : &self->inner;
    bool forgets = self->stage == COPY_FORGET;
    self->running = false;
    if (call->status == INS_OK) {
        *out_end = forgets;
        return go_on(self, error);
    }
    ins_status status = after_failure(self, call, error);
    *out_end = forgets && status != INS_AGAIN;
    if (*out_end) {
        end_noted(self);
    }
    return *out_end || status == INS_AGAIN ? INS_OK : status;
}

static ins_status copy_end(struct tenant_copy *self, ins_error *error) {
    ins_call *call = self->operation.call;
    if (self->status != INS_OK && (self->no_wait || self->resumed)) {
        copy_tell(self->operation.db, &self->reading, self->to_collection, &self->error);
    }
    self->tenant = (ins_tenant){.name = self->to, .incarnation = self->incarnation};
    call->tenants = &self->tenant;
    call->tenant_count = 1;
    call->count = self->points;
    *error = self->error;
    return self->status;
}

static ins_status copy_step(struct operation *operation, ins_error *error) {
    struct tenant_copy *self = of(operation);
    ins_status status = INS_OK;
    while (status == INS_OK && !operation->parked) {
        bool end = false;
        if (self->running && !self->ended) {
            operation->parked = true;
        } else if (self->running) {
            status = take_inner(self, &end, error);
        } else if (ends_now(self)) {
            status = stopped(error);
        } else {
            status = start_stage(self, error);
            status = status != INS_OK && tries_again(self, status) ? INS_OK : status;
        }
        if (end) {
            return copy_end(self, error);
        }
    }
    return status == INS_OK ? INS_AGAIN : status;
}

static void copy_close(struct operation *operation) {
    struct tenant_copy *self = of(operation);
    if (self->stage == COPY_WRITE) {
        ins_call_release(&self->piece);
    }
    struct tenant_copy **link = &operation->db->copying;
    while (*link != self) {
        link = &(*link)->next;
    }
    *link = self->next;
    operation->db->copies--;
}

/* ---- Start ---- */

static bool keep_text(struct tenant_copy *self, ins_text text, ins_text *out) {
    *out = (ins_text){0};
    if (text.data != NULL) {
        *out = text_copy(&self->operation.pool, text);
    }
    return text.data == NULL || out->data != NULL;
}

/* NULL: the call has its end. */
static struct tenant_copy *copy_create(struct ins_db *db, const ins_copy_request *request,
                                       ins_call *call) {
    struct tenant_copy *self =
        operation_create(db, call, sizeof(*self), copy_step, copy_close, false);
    if (self == NULL) {
        return NULL;
    }
    ins_error error;
    db->copies++;
    self->next = db->copying;
    db->copying = self;
    ins_text target =
        request->to_collection.data != NULL ? request->to_collection : request->collection;
    bool kept = keep_text(self, request->collection, &self->from_collection) &&
                keep_text(self, request->name, &self->from) &&
                keep_text(self, target, &self->to_collection) &&
                keep_text(self, request->to, &self->to);
    if (!kept || db->copies > COPIES_MAX) {
        operation_end(&self->operation,
                      kept ? ins_fail_retry(&error, INS_EXHAUSTED, 10,
                                            "%u copies of tenants are under way", COPIES_MAX)
                           : ins_fail(&error, INS_FULL, "no memory for a copy"),
                      &error);
        return NULL;
    }
    self->no_wait = request->no_wait;
    self->reading = (ins_export_request){.collection = self->from_collection,
                                         .name = self->from,
                                         .incarnation = request->incarnation,
                                         .state = &self->state};
    return self;
}

void ins_tenant_copy(ins_db *db, const void *copy_request, ins_call *call) {
    struct tenant_copy *self = copy_create(db, copy_request, call);
    if (self != NULL) {
        operation_run(&self->operation);
    }
}

static void nobody(ins_call *call) {
    ins_call_release(call); /* of a copy that could not begin */
}

void copy_resume(struct ins_db *db, const struct scope *scope, ins_text note) {
    struct pool pool;
    ins_copy_request request = {.to_collection = scope_name(scope)};
    pool_init(&pool, db->arena, INS_MEM_QUERY, db->operation_bytes_max);
    bool good = copy_note_read(note, &pool, &request);
    ins_call call = {.done = nobody};
    struct tenant_copy *self = good ? copy_create(db, &request, &call) : NULL;
    if (self != NULL) {
        self->resumed = true;
        operation_detach(&self->operation, &self->own_call);
        db_run(db, INS_LANE_REQUEST, &self->operation.waiter.task);
    }
    pool_fini(&pool);
}
