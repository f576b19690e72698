#include "engine/operation.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/catalog.h"
#include "engine/jobs.h"

static void call_done(ins_task *task) {
    ins_call *call = container_of(task, ins_call, task);
    call->done(call);
}

/* Calls of the engine within itself name no lane. */
void call_end(struct ins_db *db, ins_call *call, ins_status status, const ins_error *error) {
    call->status = status;
    if (status != INS_OK && error != NULL) {
        call->error = *error;
    }
    if (call->lane < INS_LANE_COUNT) {
        call->done(call);
        return;
    }
    call->task.run = call_done;
    db_run(db, call->lane, &call->task);
}

static void waiter_ready(ins_task *task) {
    struct cache_waiter *waiter = container_of(task, struct cache_waiter, task);
    operation_run(container_of(waiter, struct operation, waiter));
}

void ins_stats_read(ins_db *db, const void *stats_request, ins_call *call) {
    const ins_stats_request *request = stats_request;
    ins_db_stats(db, request->out_stats);
    if (request->out_heaviest != NULL) {
        heavy_list(&db->heavy, &db->islands, request->out_heaviest);
    }
    call->owner = NULL;
    call_end(db, call, INS_OK, NULL);
}

/* All but the text of an error that will hardly come: a quarter of a write's bytes. */
static void clear(struct operation *operation, size_t size) {
    size_t text = offsetof(struct operation, waiter.error.message);
    size_t behind = text + sizeof(operation->waiter.error.message);
    memset(operation, 0, text);
    operation->waiter.error.message[0] = 0;
    memset((char *)operation + behind, 0, size - behind);
}

static void *create(struct ins_db *db, ins_call *call, size_t size,
                    ins_status (*step)(struct operation *, ins_error *),
                    void (*close)(struct operation *), bool is_read) {
    call->owner = NULL;
    ins_error error;
    if (db->stopping) {
        call_end(db, call, ins_fail(&error, INS_UNAVAILABLE, "the server is shutting down"),
                 &error);
        return NULL;
    }
    if (arena_is_short(db->arena)) {
        cache_relieve(db->cache);
    }
    struct operation *operation = arena_alloc(db->arena, INS_MEM_QUERY, size);
    if (operation == NULL) {
        call_end(db, call,
                 ins_fail_retry(&error, INS_UNAVAILABLE, 1,
                                "all of the memory for requests under way is in use: %llu of %llu "
                                "requests' bytes",
                                (unsigned long long)arena_room(db->arena, INS_MEM_QUERY),
                                (unsigned long long)db->operation_bytes_max),
                 &error);
        return NULL;
    }
    clear(operation, size);
    operation->db = db;
    operation->call = call;
    operation->step = step;
    operation->close = close;
    operation->size = size;
    operation->is_read = is_read;
    operation->waiter.task.run = waiter_ready;
    operation->waiter.deadline_ns = call->deadline_ns;
    pool_init(&operation->pool, db->arena, INS_MEM_QUERY, db->operation_bytes_max);
    call->owner = operation;
    if (call->explain != NULL) {
        trace_begin(&operation->trace, call->explain, db->runtime);
        operation->waiter.trace = &operation->trace;
    }
    db->operations++;
    return operation;
}

void *operation_create(struct ins_db *db, ins_call *call, size_t size,
                       ins_status (*step)(struct operation *, ins_error *),
                       void (*close)(struct operation *), bool is_read) {
    if (!is_read) {
        points_burst_run(db);
    }
    return create(db, call, size, step, close, is_read);
}

void *operation_create_joining(struct ins_db *db, ins_call *call, size_t size,
                               ins_status (*step)(struct operation *, ins_error *),
                               void (*close)(struct operation *)) {
    return create(db, call, size, step, close, false);
}

static void detached_done(ins_call *call) {
    ins_call_release(call);
}

void operation_detach(struct operation *operation, ins_call *own) {
    ins_call *call = operation->call;
    *own = (ins_call){.done = detached_done, .owner = operation, .lsn = call->lsn};
    operation->call = own;
    operation->waiter.deadline_ns = 0; /* was the caller's */
    call->owner = NULL;
    call_end(operation->db, call, INS_OK, NULL);
}

/* What a call within another one did is in that one's explanation. */
static void end_trace(struct ins_db *db, struct trace *trace) {
    trace_end(trace);
    if (!trace->inner) {
        heavy_charge_read(&db->heavy, trace->out, trace->several ? 0 : trace->only);
    }
}

/* A read for which there is no memory, since others have it: that passes. What it wants beyond its
 * own limit does not, and stays INS_FULL. */
static ins_status full_for_now(const struct operation *operation, const ins_error *error,
                               ins_error *out_error) {
    struct ins_db *db = operation->db;
    uint64_t much = db->operation_bytes_max / 2;
    if (!operation->is_read || arena_room(db->arena, INS_MEM_QUERY) >= much ||
        operation->pool.used_bytes >= much) {
        return INS_FULL;
    }
    return ins_fail_retry(
        out_error, INS_EXHAUSTED, 1,
        "%.300s: all of the memory for requests under way is in use; try again in "
        "1 s",
        error != NULL ? error->message : "no memory");
}

void operation_end(struct operation *operation, ins_status status, const ins_error *error) {
    INS_ASSERT(status != INS_AGAIN);
    INS_ASSERT(operation->waiter.pending == 0);
    ins_error passing;
    if (status == INS_FULL && full_for_now(operation, error, &passing) != INS_FULL) {
        status = INS_EXHAUSTED;
        error = &passing;
    }
    if (operation->close != NULL) {
        operation->close(operation);
    }
    if (operation->waiter.trace != NULL) {
        end_trace(operation->db, operation->waiter.trace);
    }
    struct ins_db *db = operation->db;
    account_leave(operation);
    if (--db->operations == 0) {
        schemas_bury(&db->catalog);
    }
    call_end(db, operation->call, status, error);
    if (db->stopping) {
        jobs_kick(db); /* a shutdown waits for the last operation */
    }
}

/* Says so, and nothing more: the operation sees it at its next step. */
void ins_call_cancel(ins_call *call) {
    __atomic_store_n(&call->cancelled, true, __ATOMIC_RELAXED);
}

static bool past_deadline(const struct operation *operation) {
    const ins_call *call = operation->call;
    return operation->is_read &&
           (__atomic_load_n(&call->cancelled, __ATOMIC_RELAXED) ||
            (call->deadline_ns != 0 && db_now(operation->db) > call->deadline_ns));
}

/* What time is, from now on. */
static void trace_pause(const struct operation *operation, struct trace *trace) {
    const struct cache_waiter *waiter = &operation->waiter;
    bool reads = waiter->pending > 0 || waiter->starved;
    TRACE_ADD(trace, waits, reads);
    /* Parked, a read waits for a call of its own, which accounts for the time itself. */
    trace_turn(trace, reads ? INS_STAGE_READ : operation->parked ? TRACE_NO_STAGE : INS_STAGE_WAIT);
}

/* Charges the step's own time to its account: what operations took that ran within it is theirs. */
static ins_status run_step(struct operation *operation, uint64_t *inout_ns, ins_error *error) {
    struct ins_db *db = operation->db;
    uint64_t begin_ns = *inout_ns, others_ns = db->accounts.charged_ns;
    ins_status status = operation->step(operation, error);
    *inout_ns = db_now(db);
    uint64_t own_ns = *inout_ns - begin_ns - (db->accounts.charged_ns - others_ns);
    db->accounts.charged_ns += own_ns;
    account_charge_time(db, operation->account != NULL ? operation->account : &db->accounts.others,
                        own_ns);
    return status;
}

void operation_run(struct operation *operation) {
    (void)operation_run_from(operation, db_now(operation->db));
}

uint64_t operation_run_from(struct operation *operation, uint64_t begin_ns) {
    uint64_t now_ns = begin_ns;
    ins_error error = {0};
    ins_status status;
    TRACE_ADD(operation->waiter.trace, turns, 1);
    trace_turn(operation->waiter.trace, INS_STAGE_RANK);
    if (operation->failed) {
        /* Its step is not run again: what it has resolved may be out of date by now. */
        status = operation->waiter.status;
        error = operation->waiter.error;
    } else if (past_deadline(operation)) {
        status = ins_fail(&error, INS_TIMEOUT, "the operation did not end within its timeout");
    } else {
        status = run_step(operation, &now_ns, &error);
    }
    if (status == INS_AGAIN) {
        struct cache_waiter *waiter = &operation->waiter;
        trace_pause(operation, waiter->trace);
        if (waiter->pending > 0) {
            jobs_commit_ahead(operation->db);
        }
        bool gives_way = waiter->pending == 0 && !waiter->starved && !operation->parked;
        operation->slice_run_ns += gives_way ? now_ns - begin_ns : 0;
        if (!gives_way || slices_add(operation, now_ns)) {
            return now_ns;
        }
        status = account_refuse_long(operation, &error);
    }
    if (operation->sequenced && status == INS_OK) {
        return now_ns; /* the log ends it */
    }
    if (operation->waiter.pending > 0 || operation->waiter.starved) {
        /* A failure while other loads are under way: wait for them, then fail. */
        operation->failed = true;
        operation->waiter.status = status;
        operation->waiter.error = error;
        trace_pause(operation, operation->waiter.trace);
        return now_ns;
    }
    operation_end(operation, status, &error);
    return now_ns;
}

void ins_call_release(ins_call *call) {
    struct operation *operation = call->owner;
    if (operation == NULL) {
        return;
    }
    call->owner = NULL;
    struct arena *arena = operation->db->arena;
    if (operation->inner != NULL) {
        ins_call_release(operation->inner);
    }
    pool_fini(&operation->pool);
    arena_free(arena, INS_MEM_QUERY, operation, operation->size);
}
