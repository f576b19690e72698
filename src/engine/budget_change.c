#include "engine/budget.h"

#include <stdatomic.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/status.h"
#include "engine/graph_job.h"
#include "engine/jobs.h"
#include "engine/operation.h"

#define EVICTIONS_A_STEP 256u   /* some 100 us of the request lane */
#define GIVE_BACK_CALLS 32u     /* of the kernel, likewise */
#define SLACK_SHARE 4u          /* of a share: what a purpose above it may still take, */
#define SLACK_MIN (2 * INS_MIB) /* at least this: a fresh memtable, say */

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static bool works(const struct budget_shares *shares, uint64_t catalog_bytes) {
    return shares->purpose[INS_MEM_CACHE] >= BUDGET_CACHE_MIN &&
           shares->purpose[INS_MEM_CATALOG] >= catalog_bytes;
}

/* ---- Opening -------------------------------------------------------------------------------- */

static void take_shares(struct ins_db *db) {
    const struct budget_shares *shares = &db->budget.shares;
    db->generation_bytes = shares->generation_bytes;
    uint64_t half_log = shares->purpose[INS_MEM_LOG] / 3;
    db->record_bytes_max = smaller(half_log, shares->generation_bytes);
    db->operation_bytes_max = shares->purpose[INS_MEM_QUERY] / 2;
}

static uint64_t machine_bytes(const struct ins_db *db) {
    const ins_runtime *runtime = db->runtime;
    return runtime->machine_bytes == NULL ? mem_machine_bytes()
                                          : runtime->machine_bytes(runtime->context);
}

ins_status budget_open(struct ins_db *db, ins_error *error) {
    struct budget *budget = &db->budget;
    budget->asked = db->options.memory_budget;
    budget->machine_bytes = machine_bytes(db);
    budget->machine_before = budget->machine_bytes;
    uint64_t bytes = budget->asked != 0 ? budget->asked : budget->machine_bytes / 2;
    uint64_t most = db->options.memory_budget_max;
    if (bytes < INS_MEMORY_BUDGET_MIN) {
        return ins_fail(error, INS_INVALID, "memory budget: %llu bytes, at least %llu are needed",
                        (unsigned long long)bytes, (unsigned long long)INS_MEMORY_BUDGET_MIN);
    }
    if (most != 0 && most < bytes) {
        return ins_fail(error, INS_INVALID,
                        "memory budget: its largest value, %llu bytes, is below the budget of %llu",
                        (unsigned long long)most, (unsigned long long)bytes);
    }
    budget_divide(bytes, db->options.generation_bytes, &budget->shares);
    if (budget->shares.purpose[INS_MEM_CACHE] < BUDGET_CACHE_MIN) {
        return ins_fail(
            error, INS_INVALID, "memory generation: %llu bytes leave no room in a budget of %llu",
            (unsigned long long)budget->shares.generation_bytes, (unsigned long long)bytes);
    }
    struct budget_shares ceiling;
    most = larger(most != 0 ? most : mem_total_bytes(), bytes);
    budget_divide(most, db->options.generation_bytes, &ceiling);
    struct arena_options options = {.limit_bytes = budget->shares.arena_bytes,
                                    .ceiling_bytes = ceiling.arena_bytes};
    for (int purpose = 0; purpose < INS_MEM_PURPOSE_COUNT; purpose++) {
        options.purpose_limit_bytes[purpose] = budget->shares.purpose[purpose];
    }
    ins_status status = arena_open(&options, &db->arena, error);
    if (status != INS_OK) {
        return status;
    }
    struct arena_usage usage;
    arena_get_usage(db->arena, &usage);
    budget->most = usage.ceiling < ceiling.arena_bytes ? bytes : most;
    atomic_init(&budget->bytes, bytes);
    take_shares(db);
    return INS_OK;
}

uint64_t budget_least(struct ins_db *db) {
    struct arena_usage usage;
    struct budget_shares shares;
    arena_get_usage(db->arena, &usage);
    uint64_t low = INS_MEMORY_BUDGET_MIN / INS_MIB, high = db->budget.most / INS_MIB;
    while (low < high) { /* larger budgets have larger shares */
        uint64_t middle = (low + high) / 2;
        budget_divide(middle * INS_MIB, db->options.generation_bytes, &shares);
        if (works(&shares, usage.purpose_used[INS_MEM_CATALOG])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low * INS_MIB;
}

uint64_t ins_db_memory_budget(const ins_db *db) {
    return atomic_load_explicit(&db->budget.bytes, memory_order_relaxed);
}

uint64_t ins_machine_bytes(void *unused) {
    (void)unused;
    return mem_machine_bytes();
}

uint64_t ins_resident_bytes(void) {
    return mem_resident_bytes();
}

/* ---- Steps ---------------------------------------------------------------------------------- */

/* What a purpose other than the cache may take now: its share, or a little more than it uses while
 * that is above, and never more than before. */
static uint64_t limit_now(const struct ins_db *db, const struct arena_usage *usage, int purpose) {
    uint64_t share = db->budget.shares.purpose[purpose], used = usage->purpose_used[purpose];
    uint64_t slack = larger(share / SLACK_SHARE, SLACK_MIN);
    if (purpose == INS_MEM_GRAPH) {
        return cache_lent(db->cache);
    }
    if (used <= share) {
        return share;
    }
    return larger(smaller(used + slack, usage->purpose_limit[purpose]), share);
}

static void lower_limits(struct ins_db *db) {
    struct arena_usage usage;
    uint64_t limits[INS_MEM_PURPOSE_COUNT], others = 0;
    arena_get_usage(db->arena, &usage);
    for (int purpose = 0; purpose < INS_MEM_PURPOSE_COUNT; purpose++) {
        limits[purpose] = purpose == INS_MEM_CACHE ? 0 : limit_now(db, &usage, purpose);
        others += limits[purpose];
    }
    uint64_t total =
        align_up(larger(db->budget.shares.arena_bytes, others + BUDGET_CACHE_MIN), INS_PAGE_BYTES);
    total = smaller(total, usage.ceiling);
    if (others > total) {
        return; /* too much is above its share for now: what is in force stays for this step */
    }
    uint64_t share = db->budget.shares.purpose[INS_MEM_CACHE], lent = limits[INS_MEM_GRAPH];
    limits[INS_MEM_CACHE] = smaller(total - others, share > lent ? share - lent : 0);
    arena_set_limits(db->arena, total, limits);
    cache_set_limit(db->cache, limits[INS_MEM_CACHE] + lent);
}

static bool limits_settled(const struct ins_db *db, const struct arena_usage *usage) {
    const struct budget_shares *shares = &db->budget.shares;
    for (int purpose = 0; purpose < INS_MEM_PURPOSE_COUNT; purpose++) {
        bool paired = purpose == INS_MEM_CACHE || purpose == INS_MEM_GRAPH; /* one lends */
        if (!paired && usage->purpose_limit[purpose] > shares->purpose[purpose]) {
            return false;
        }
    }
    return usage->limit <= shares->arena_bytes &&
           usage->purpose_used[INS_MEM_CACHE] <= usage->purpose_limit[INS_MEM_CACHE];
}

/* Bytes over what the budget allows; with reserved huge pages what is committed stays the kernel's
 * for this process whatever we do, so what is used counts. */
static uint64_t bytes_above(const struct ins_db *db, const struct arena_usage *usage) {
    uint64_t limit = db->budget.shares.arena_bytes;
    uint64_t held = usage->pages == ARENA_PAGES_RESERVED ? usage->used : usage->committed;
    uint64_t share = db->budget.shares.purpose[INS_MEM_MEMTABLE];
    uint64_t rows = usage->purpose_used[INS_MEM_MEMTABLE];
    return larger(held > limit ? held - limit : 0, rows > share ? rows - share : 0);
}

/* The active memtable has more than fits from now on: it goes to a file. */
static void fit_memtable(struct ins_db *db) {
    struct generation *active = db->reading.generations[db->reading.active_slot];
    active->bytes_max = db->generation_bytes;
    struct arena_usage usage;
    arena_get_usage(db->arena, &usage);
    bool over = active->bytes > active->bytes_max ||
                usage.purpose_used[INS_MEM_MEMTABLE] > db->budget.shares.purpose[INS_MEM_MEMTABLE];
    db->flush_wanted = db->flush_wanted || (over && active->row_count > 0);
}

static void step(struct ins_db *db);

static void step_ring(ins_timer *timer) {
    struct budget *budget = container_of(timer, struct budget, step_timer);
    step(container_of(budget, struct ins_db, budget));
}

static void arm_step(struct ins_db *db, bool progress) {
    struct budget *budget = &db->budget;
    budget->step_ns = progress ? BUDGET_STEP_NS : smaller(budget->step_ns * 2, BUDGET_STEP_NS_MAX);
    budget->step_timer.run = step_ring;
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &budget->step_timer,
                       budget->step_ns);
}

static void step(struct ins_db *db) {
    struct budget *budget = &db->budget;
    struct arena_usage usage;
    lower_limits(db);
    bool progress = cache_fit(db->cache, EVICTIONS_A_STEP) > 0;
    progress = arena_give_back(db->arena, GIVE_BACK_CALLS) > 0 || progress;
    arena_get_usage(db->arena, &usage);
    budget->above = bytes_above(db, &usage);
    if (!progress && budget->above > 0 && usage.pages != ARENA_PAGES_RESERVED &&
        usage.committed > usage.limit) {
        /* Nothing is free any more: what is used lies in half used slabs. */
        progress = cache_give_up(db->cache, EVICTIONS_A_STEP) > 0;
    }
    if (cache_lent(db->cache) > budget->shares.purpose[INS_MEM_CACHE] / 2) {
        graph_job_cancel(db);
    }
    fit_memtable(db);
    graph_want_denied(db);
    budget->settling = budget->above > 0 || !limits_settled(db, &usage);
    if (budget->settling && !db->stopping) {
        arm_step(db, progress);
    }
    jobs_kick(db);
}

/* ---- Another budget ------------------------------------------------------------------------- */

static void change(struct ins_db *db, uint64_t bytes) {
    struct budget *budget = &db->budget;
    if (bytes == ins_db_memory_budget(db)) {
        return;
    }
    atomic_store_explicit(&budget->bytes, bytes, memory_order_relaxed);
    budget_divide_again(db);
}

void budget_divide_again(struct ins_db *db) {
    struct budget *budget = &db->budget;
    budget_divide(ins_db_memory_budget(db), db->options.generation_bytes, &budget->shares);
    budget_leave_held(&budget->shares, budget->held_seen);
    take_shares(db);
    wal_set_pending_max(db->wal, budget->shares.purpose[INS_MEM_LOG] / 2);
    budget->settling = true;
    budget->step_ns = BUDGET_STEP_NS;
    budget_step(db);
}

void budget_step(struct ins_db *db) {
    if (db->budget.settling) {
        db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->budget.step_timer);
        step(db);
    }
}

/* Half of what the machine has, unless somebody asked for a number; that number holds unless the
 * machine has got too small for it since. */
static uint64_t wanted(struct ins_db *db) {
    const struct budget *budget = &db->budget;
    uint64_t machine = budget->machine_bytes;
    uint64_t bytes = budget->asked;
    if (bytes == 0) {
        bytes = machine / 2;
    } else if (machine < budget->machine_before) {
        bytes = smaller(bytes, machine - machine / 8);
    }
    return smaller(larger(bytes / INS_MIB * INS_MIB, budget_least(db)), budget->most);
}

void ins_budget_set(ins_db *db, const void *budget_request, ins_call *call) {
    const ins_budget_request *request = budget_request;
    ins_error error = {0};
    ins_status status = INS_OK;
    uint64_t least = budget_least(db);
    if (db->stopping) {
        status = ins_fail(&error, INS_UNAVAILABLE, "the server is shutting down");
    } else if (request->bytes != 0 && request->bytes < least) {
        status = ins_fail(
            &error, INS_INVALID,
            "bytes: %llu is below the smallest budget that works with the %llu "
            "tenants and %llu collections that are here: %llu",
            (unsigned long long)request->bytes, (unsigned long long)db->catalog.tenant_count,
            (unsigned long long)db->catalog.collection_count, (unsigned long long)least);
    } else if (request->bytes > db->budget.most) {
        status = ins_fail(&error, INS_INVALID,
                          "bytes: %llu is above the largest budget that this process can take, "
                          "%llu; start it with a larger --memory-budget-max",
                          (unsigned long long)request->bytes, (unsigned long long)db->budget.most);
    } else {
        db->budget.asked = request->bytes;
        db->budget.machine_before = db->budget.machine_bytes;
        change(db, request->bytes != 0 ? request->bytes : wanted(db));
    }
    if (status == INS_OK && request->out_stats != NULL) {
        ins_db_stats(db, request->out_stats);
    }
    call->owner = NULL;
    call_end(db, call, status, &error);
}

/* ---- The machine's memory ------------------------------------------------------------------- */

static void look_ring(ins_timer *timer);

static void arm_look(struct ins_db *db) {
    db->budget.look_timer.run = look_ring;
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &db->budget.look_timer,
                       BUDGET_LOOK_NS);
}

static void looked(ins_task *task) {
    struct budget *budget = container_of(task, struct budget, look);
    struct ins_db *db = container_of(budget, struct ins_db, budget);
    budget->looking = false;
    if (db->stopping) {
        jobs_kick(db); /* a shutdown waits for this */
        return;
    }
    if (budget->look_bytes != 0 && budget->look_bytes != budget->machine_bytes) {
        budget->machine_bytes = budget->look_bytes;
        change(db, wanted(db));
    }
    arm_look(db);
}

static void look_run(ins_task *task) { /* background lane: it reads files */
    struct budget *budget = container_of(task, struct budget, look);
    struct ins_db *db = container_of(budget, struct ins_db, budget);
    budget->look_bytes = machine_bytes(db);
    task->run = looked;
    db_run(db, INS_LANE_REQUEST, task);
}

static void look_ring(ins_timer *timer) {
    struct budget *budget = container_of(timer, struct budget, look_timer);
    struct ins_db *db = container_of(budget, struct ins_db, budget);
    budget->looking = true;
    budget->look.run = look_run;
    db_run(db, INS_LANE_BACKGROUND, &budget->look);
}

void budget_start(struct ins_db *db) {
    if (db->runtime->machine_bytes != NULL) {
        arm_look(db);
    }
}

bool budget_stop(struct ins_db *db) {
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->budget.step_timer);
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->budget.look_timer);
    return !db->budget.looking;
}

uint32_t budget_timers(const struct ins_db *db) {
    return (uint32_t)db->budget.step_timer.armed + db->budget.look_timer.armed;
}
