#include "engine/move.h"

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/catalog.h"

#define MOVE_PAUSE_NS 50000000ull /* when memory is short for the moment */

static ins_status move_step(struct operation *operation, ins_error *error);

static struct move *of(struct operation *operation) {
    return container_of(operation, struct move, operation);
}

/* ---- Calls within this one ---- */

static void inner_done(ins_call *inner) {
    struct move *move = inner->user;
    move->ended = true;
    if (!move->starting) {
        move->operation.parked = false;
        db_run(move->operation.db, INS_LANE_REQUEST, &move->operation.waiter.task);
    }
}

static void begin_inner(struct move *move, enum move_inner kind, void (*start)(struct move *)) {
    move->inner_kind = kind;
    move->inner = (ins_call){.done = inner_done, .user = move, .lane = INS_LANE_REQUEST};
    move->ended = false;
    move->starting = true;
    start(move);
    move->starting = false;
}

static const struct points_context plainly;

static void start_upsert(struct move *move) {
    move->request = (ins_points_request){.collection = scope_name(move->target),
                                         .points = move->points + move->sent,
                                         .point_count = move->piece};
    points_write_start(move->operation.db, POINTS_UPSERT, &move->request, &plainly, &move->inner);
}

static void start_delete(struct move *move) {
    move->request = (ins_points_request){
        .collection = scope_name(move->target), .ids = move->gone, .id_count = move->gone_count};
    points_write_start(move->operation.db, POINTS_DELETE, &move->request, &plainly, &move->inner);
}

static void start_make(struct move *move) {
    move_make(move, &move->inner);
}

static void start_flip(struct move *move) {
    move_flip(move, &move->inner);
}

/* move->target alone knows the hidden name. */
static void start_drop(struct move *move) {
    move->asked = (ins_collection_request){.collection = scope_name(move->target)};
    ins_collection_delete(move->operation.db, &move->asked, &move->inner);
}

/* The end of one. INS_AGAIN: not yet. */
static ins_status take_inner(struct move *move, enum move_inner *out_kind, ins_error *error) {
    *out_kind = move->inner_kind;
    if (!move->ended) {
        move->operation.parked = true;
        return INS_AGAIN;
    }
    ins_status status = move->inner.status;
    *error = move->inner.error;
    ins_call_release(&move->inner);
    move->inner_kind = MOVE_NOTHING;
    return status;
}

/* The batch's next write; false when all of it is written. */
static bool begin_write(struct move *move) {
    if (move->sent < move->point_count) {
        begin_inner(move, MOVE_UPSERT, start_upsert);
        return true;
    }
    if (move->gone_count > 0) {
        begin_inner(move, MOVE_DELETE, start_delete);
        return true;
    }
    return false;
}

/* ---- Stages ---- */

static void leave_source(struct move *move) {
    move_batch_end(move);
    move_notes_forget(move);
    gate_leave(&move->gate);
    schema_release(&move->operation.db->catalog, move->schema);
    move->schema = NULL;
    if (move->source != NULL) {
        move->source->move = NULL;
        move->source->pins--;
        move->source = NULL;
    }
}

static void leave_target(struct move *move) {
    if (move->target != NULL) {
        move->target->pins--;
        move->target = NULL;
    }
}

static void enter_stage(struct move *move, enum move_stage stage) {
    if (stage == MOVE_SWEEP) {
        leave_source(move);
        leave_target(move);
    }
    if (stage == MOVE_ABANDON) {
        leave_source(move);
    }
    move->stage = stage;
}

static uint64_t count_rows(const struct island *island) {
    uint64_t rows = island_row_count(island);
    for (int slot = 0; slot < 2; slot++) {
        rows += island->mem[slot] != NULL ? island->mem[slot]->row_count : 0;
    }
    return rows;
}

/* INS_OK with a stage of MOVE_SWEEP: nothing is left to do. */
static ins_status sweep(struct move *move) {
    struct ins_db *db = move->operation.db;
    move->target = move_next(db, true);
    if (move->target != NULL) {
        move->target->pins++;
        enter_stage(move, MOVE_ABANDON);
        return INS_OK;
    }
    move->source = move_next(db, false);
    if (move->source == NULL) {
        return INS_OK;
    }
    move->source->pins++;
    move->source->move = move;
    move->from = id_number(0);
    move->all_read = false;
    move->copied = 0;
    move->total = count_rows(move->source->common);
    enter_stage(move, MOVE_MAKE);
    begin_inner(move, MOVE_CATALOG, start_make);
    return INS_OK;
}

/* What points carry, by the schema of the moment. */
static ins_status take_fields(struct move *move, ins_error *error) {
    static const ins_points_request all = {.payload = {.kind = INS_SELECT_ALL},
                                           .with_vector = true};
    if (move->schema == move->source->schema) {
        return INS_OK;
    }
    struct ins_db *db = move->operation.db;
    move_batch_end(move);
    schema_release(&db->catalog, move->schema);
    move->schema = schema_hold(move->source->schema);
    ins_status status =
        point_fields_init(&move->fields, move->schema, &all, &move->operation.pool, error);
    if (status != INS_OK) { /* once more, then */
        schema_release(&db->catalog, move->schema);
        move->schema = NULL;
    }
    return status;
}

/* Writes wait from here on, so the notes come to an end. */
static bool close_gate(struct move *move) {
    struct operation *operation = &move->operation;
    if (move->gate.db == NULL) {
        move->scopes = scopes_of(move->source);
        move->walk = (struct islands_walk){
            .db = operation->db, .scopes = &move->scopes, .scope = move->source};
        gate_enter(&move->gate, operation->db, &move->walk);
        move->gate.closed = true;
    }
    return gate_settle(&move->gate, operation);
}

/* One batch after the other. INS_OK: all is copied, and writes wait. */
static ins_status copy(struct move *move, ins_error *error) {
    for (;;) {
        if (move->source->drop_lsn != 0 || !move_fits(move) || move->notes_lost) {
            enter_stage(move, MOVE_ABANDON);
            return INS_OK;
        }
        bool crowded = move->noted >= MOVE_CROWDED;
        bool closes = crowded || (move->all_read && move->noted <= MOVE_REST);
        if (!move->gathered && !move->reader.open && (closes || move->gate.db != NULL)) {
            if (!close_gate(move)) {
                return INS_AGAIN;
            }
            if (move->noted == 0 && move->all_read) {
                enter_stage(move, MOVE_FLIP);
                begin_inner(move, MOVE_CATALOG, start_flip);
                return INS_OK;
            }
            if (move->noted == 0) {
                gate_leave(&move->gate); /* it was crowded: on with the pages */
            }
        }
        ins_status status = take_fields(move, error);
        if (status == INS_OK && !move->gathered) {
            bool notes =
                move->reader.open ? !move->is_page : move->all_read || move->gate.db != NULL;
            move->is_page = !notes;
            status = move_batch_begin(move, notes, error);
        }
        if (status == INS_OK) {
            status = move_batch_take(move, error);
        }
        if (status != INS_OK) {
            return status;
        }
        move_batch_close(move);
        if (begin_write(move)) {
            return INS_OK;
        }
        move_batch_end(move);
    }
}

static void pause_over(ins_timer *timer) {
    struct move *move = container_of(timer, struct move, timer);
    move->operation.parked = false;
    operation_run(&move->operation);
}

static ins_status pause_for(struct move *move) {
    struct ins_db *db = move->operation.db;
    move->operation.parked = true;
    move->timer.run = pause_over;
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &move->timer, MOVE_PAUSE_NS);
    return INS_AGAIN;
}

/* A call within has ended well. */
static void go_on(struct move *move, enum move_inner kind) {
    switch (kind) {
    case MOVE_UPSERT:
        move->sent += move->piece;
        move->piece = move->point_count - move->sent;
        break;
    case MOVE_DELETE:
        move->gone_count = 0;
        break;
    case MOVE_CATALOG:
        enter_stage(move, move->stage == MOVE_MAKE ? MOVE_COPY : MOVE_SWEEP);
        return;
    case MOVE_NOTHING:
        return;
    }
    if (!begin_write(move)) {
        move_batch_end(move);
    }
}

static bool passes(const struct move *move, ins_status status) {
    const struct ins_db *db = move->operation.db;
    return !db->stopping && !db->writes_stopped &&
           (status == INS_EXHAUSTED || status == INS_UNAVAILABLE || status == INS_FULL ||
            status == INS_TOO_LARGE);
}

/* What failed is tried again when it may pass; else the move ends, until the next start. */
static ins_status after_failure(struct move *move, enum move_inner kind, ins_status status,
                                ins_error *error) {
    if (move->source != NULL && move->source->drop_lsn != 0) {
        enter_stage(move, move->target != NULL ? MOVE_ABANDON : MOVE_SWEEP);
        return INS_OK;
    }
    if (kind == MOVE_CATALOG && status == INS_EXISTS) { /* it changed: all over again */
        enter_stage(move, MOVE_ABANDON);
        return INS_OK;
    }
    if (passes(move, status)) {
        if (kind == MOVE_CATALOG && move->stage == MOVE_FLIP) {
            gate_leave(&move->gate); /* nobody waits for memory that only others can free */
            move->stage = MOVE_COPY;
        } else if (kind == MOVE_CATALOG && move->stage == MOVE_MAKE) {
            enter_stage(move, MOVE_SWEEP);
        } else if (kind == MOVE_UPSERT && status == INS_TOO_LARGE && move->piece > 1) {
            move->piece /= 2;
        }
        return pause_for(move);
    }
    bool goes_on = !move->operation.db->stopping && !move->operation.db->writes_stopped;
    if (goes_on && move->source != NULL) {
        move->source->move_failed = true;
        enter_stage(move, move->target != NULL ? MOVE_ABANDON : MOVE_SWEEP);
        return INS_OK;
    }
    return status != INS_OK ? status : ins_fail(error, INS_UNAVAILABLE, "the move was stopped");
}

static ins_status run_stage(struct move *move, ins_error *error) {
    switch (move->stage) {
    case MOVE_SWEEP:
        return sweep(move);
    case MOVE_COPY:
        return copy(move, error);
    case MOVE_ABANDON:
        if (move->target->drop_lsn == 0) {
            begin_inner(move, MOVE_CATALOG, start_drop);
        } else {
            enter_stage(move, MOVE_SWEEP);
        }
        return INS_OK;
    case MOVE_MAKE:
    case MOVE_FLIP:
        break;
    }
    return INS_OK;
}

/* After a pause: the write that was refused once more, else the stage. */
static bool resumes_write(struct move *move) {
    return move->stage == MOVE_COPY && move->gathered && !move->reader.open && begin_write(move);
}

static ins_status move_step(struct operation *operation, ins_error *error) {
    struct move *move = of(operation);
    ins_status status = INS_OK;
    for (;;) {
        enum move_inner kind = MOVE_NOTHING;
        if (move->inner_kind != MOVE_NOTHING) {
            status = take_inner(move, &kind, error);
        } else if (move->operation.db->stopping || move->operation.db->writes_stopped) {
            return ins_fail(error, INS_UNAVAILABLE, "the move was stopped");
        } else if (!resumes_write(move)) {
            status = run_stage(move, error);
            if (status == INS_OK && move->stage == MOVE_SWEEP && move->source == NULL) {
                return INS_OK; /* nothing is left */
            }
        }
        if (status == INS_AGAIN) {
            return status;
        }
        if (status == INS_OK) {
            go_on(move, kind);
            continue;
        }
        if (operation->waiter.pending > 0 || operation->waiter.starved) {
            return status; /* ends when nothing is on its way */
        }
        status = after_failure(move, kind, status, error);
        if (status != INS_OK) {
            return status;
        }
    }
}

static void move_close(struct operation *operation) {
    struct move *move = of(operation);
    leave_source(move);
    leave_target(move);
    operation->db->move = NULL;
}

static void nobody(ins_call *call) {
    (void)call;
}

void moves_kick(struct ins_db *db) {
    if (db->move != NULL || db->options.no_moves || db->stopping || db->writes_stopped ||
        (move_next(db, true) == NULL && move_next(db, false) == NULL)) {
        return;
    }
    ins_call call = {.done = nobody};
    struct move *move = operation_create(db, &call, sizeof(*move), move_step, move_close, false);
    if (move == NULL) {
        return;
    }
    pool_init(&move->pool, db->arena, INS_MEM_QUERY, db->operation_bytes_max);
    db->move = move;
    operation_detach(&move->operation, &move->own_call);
    db_run(db, INS_LANE_REQUEST, &move->operation.waiter.task);
}
