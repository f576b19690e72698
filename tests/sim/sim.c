/* The life of a simulated process: open, operate, end, recover. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"
#include "store/store.h"

#define OPEN_TRIES_MAX 20u
#define IDLE_STEPS_MAX 2000000u

void sim_fail(const struct sim *sim, const char *format, ...) {
    (void)fprintf(stderr, "FAILED: seed %llu, %s after %llu operations: ",
                  (unsigned long long)sim->config.seed,
                  sim->config.label != NULL ? sim->config.label : "",
                  (unsigned long long)sim->counts.operations);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "\n");
    exit(SIM_FAIL_STATUS);
}

void sim_say(const struct sim *sim, const char *format, ...) {
    if (!sim->config.verbose) {
        return;
    }
    (void)printf("[%llu] ", (unsigned long long)sim->counts.operations);
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)printf("\n");
}

const char *sim_name(uint32_t name) {
    static const char *const names[MODEL_NAMES] = {"ants", "bees", "cats", "dogs", "eels"};
    return names[name];
}

const char *sim_alias(uint32_t alias) {
    static const char *const names[MODEL_ALIASES] = {"red", "green", "blue"};
    return names[alias];
}

void sim_init(struct sim *sim, const struct sim_config *config) {
    *sim = (struct sim){.config = *config, .random = {config->seed}};
    struct store_memory_options options = {.seed = sim_next(&sim->random),
                                           .objects_only = config->objects};
    if (store_memory_open(&options, &sim->store) != INS_OK) {
        sim_fail(sim, "no memory for a store");
    }
    sim_runtime_init(&sim->lanes, sim->store, sim_next(&sim->random));
    sim->options = (ins_options){
        .no_moves = true, /* the model knows each LSN and version: test_moves has them */
        .memory_budget = INS_MEMORY_BUDGET_MIN,
        .memory_budget_max = INS_MEMORY_BUDGET_MIN * 2,
        .log_file_bytes = (256u << 10) << sim_below(&sim->random, 3),
        .generation_bytes = (64u << 10) << sim_below(&sim->random, 4),
        .change_points = config->seed % 3 == 0 ? 0 : 1 + (uint32_t)(config->seed % 7),
        .piece_bytes_min = sim->config.seed % 4 == 0 ? 1 : 0,
        .graph_bytes_min = sim->config.seed % 2 == 0 ? 256u << (sim->config.seed / 2 % 4) : 0,
    };
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        sim->slots[i].sim = sim;
        sim->slots[i].payloads = malloc((size_t)MODEL_BATCH * MODEL_PAYLOAD_MAX);
        if (sim->slots[i].payloads == NULL) {
            sim_fail(sim, "no memory for payloads");
        }
    }
}

void sim_fini(struct sim *sim) {
    if (sim->db != NULL) {
        sim_end(sim, SIM_KILL);
    }
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        free(sim->slots[i].payloads);
    }
    model_fini(&sim->model);
    ins_store_close(sim->store);
}

/* ---- Operations ---- */

/* While a lane is held the clock may jump: then reads are refused, as they should be
 * (test_reads_behind.c, unit/engine/test_slices.c). */
static bool is_behind(const ins_call *call) {
    return call->status == INS_EXHAUSTED && call->error.retry_after_s == 1 &&
           (strstr(call->error.message, "its reads from disk are") != NULL ||
            strstr(call->error.message, "long reads of") != NULL);
}

static void slot_done(ins_call *call) {
    struct sim_slot *slot = call->user;
    struct sim *sim = slot->sim;
    if (!slot->busy) {
        sim_fail(sim, "a call was answered twice");
    }
    if (sim->deaf) {
        return;
    }
    if (slot->is_flush) {
        /* Without room on the disk or in memory it is tried again by itself. */
        bool put_off = call->status == INS_FULL && (sim->errors_allowed || sim->config.memory);
        bool allowed = put_off || call->status == INS_OK ||
                       (call->status == INS_UNAVAILABLE && sim->errors_allowed);
        if (!allowed) {
            sim_fail(sim, "flush: %d %s", (int)call->status, call->error.message);
        }
        sim->stopped = sim->stopped || (call->status != INS_OK && !put_off);
    } else if (slot->is_write) {
        sim_check_write(sim, slot);
        if (slot->write.kind <= WRITE_DROP && (call->status == INS_OK || call->lsn == 0)) {
            sim->ddl_busy[slot->write.name]--;
            sim->ddl_count[slot->write.name]++;
        }
    } else if (!is_behind(call)) {
        sim_check_read(sim, slot);
    }
    ins_call_release(call);
    slot->busy = false;
}

static struct sim_slot *slot_take(struct sim *sim) {
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        struct sim_slot *slot = &sim->slots[i];
        if (!slot->busy) {
            slot->busy = true;
            slot->call = (ins_call){.done = slot_done, .user = slot, .lane = INS_LANE_REQUEST};
            return slot;
        }
    }
    return NULL;
}

static bool in_flight(const struct sim *sim) {
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        if (sim->slots[i].busy) {
            return true;
        }
    }
    return false;
}

static void set_fault(struct sim *sim) {
    static const ins_status kinds[] = {INS_IO, INS_FULL};
    bool writes = sim_once_in(&sim->random, 2);
    uint64_t countdown = 1 + sim_below(&sim->random, writes ? 40 : 100);
    store_memory_fail_at(sim->store, countdown, writes, kinds[sim_below(&sim->random, 2)],
                         sim_once_in(&sim->random, 3));
    sim->errors_allowed = true;
    sim->counts.faults++;
    sim_say(sim, "a call will fail in %llu", (unsigned long long)countdown);
}

void sim_faults_off(struct sim *sim) {
    store_memory_fail_off(sim->store);
    if (sim->db != NULL) {
        arena_fail_at(sim->db->arena, 0);
    }
}

/* A slow disk or a busy machine: some lanes stand still for a while. */
static void hold_lanes(struct sim *sim) {
    sim->lanes.held = 0;
    if (sim_once_in(&sim->random, 2)) {
        sim->lanes.held = sim_below(&sim->random, 1u << INS_LANE_REQUEST);
    }
}

void sim_operate(struct sim *sim, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (sim_once_in(&sim->random, sim->config.views ? 15 : 50)) {
            hold_lanes(sim);
        }
        if (sim->config.faults && sim_once_in(&sim->random, 400)) {
            set_fault(sim);
        }
        if (sim->config.memory && sim_once_in(&sim->random, 30)) {
            arena_fail_at(sim->db->arena, 1 + sim_below(&sim->random, 60));
            sim->errors_allowed = true;
        }
        if (sim_once_in(&sim->random, 40)) {
            cache_drop_all(sim->db->cache);
        }
        struct sim_slot *slot = slot_take(sim);
        if (slot != NULL) {
            sim_start(sim, slot);
        }
        uint32_t steps = sim_below(&sim->random, sim_once_in(&sim->random, 4) ? 40 : 4);
        for (uint32_t step = 0; step < steps && sim_step(&sim->lanes); step++) {
        }
        if (sim_once_in(&sim->random, 300)) {
            (void)sim_run_timer(&sim->lanes);
        }
    }
    sim->lanes.held = 0;
}

void sim_quiesce(struct sim *sim, bool timers) {
    uint32_t steps = 0;
    while (in_flight(sim)) {
        if (!sim_step(&sim->lanes) && !sim_run_timer(&sim->lanes)) {
            for (uint32_t i = 0; i < SIM_SLOTS; i++) {
                if (sim->slots[i].busy) {
                    (void)fprintf(stderr, "slot %u: write %d kind %d flush %d lsn %llu\n", i,
                                  sim->slots[i].is_write,
                                  sim->slots[i].is_write ? (int)sim->slots[i].write.kind
                                                         : (int)sim->slots[i].kind,
                                  sim->slots[i].is_flush,
                                  (unsigned long long)sim->slots[i].call.lsn);
                }
            }
            sim_fail(sim, "operations wait for ever (%s)",
                     sim_forgotten(&sim->lanes) ? "a task was posted and not woken"
                                                : "nothing is under way for them");
        }
        if (++steps > IDLE_STEPS_MAX) {
            sim_fail(sim, "operations go round and round");
        }
    }
    sim_run_until_idle(&sim->lanes, timers);
    sim_tighten(sim);
    model_settle(&sim->model);
}

bool sim_flush(struct sim *sim) {
    struct sim_slot *slot = slot_take(sim);
    while (slot == NULL && (sim_step(&sim->lanes) || sim_run_timer(&sim->lanes))) {
        slot = slot_take(sim); /* all were in use */
    }
    if (slot == NULL) {
        return false;
    }
    slot->is_flush = true;
    ins_flush(sim->db, NULL, &slot->call);
    while (slot->busy && (sim_step(&sim->lanes) || sim_run_timer(&sim->lanes))) {
    }
    if (slot->busy) {
        sim_fail(sim, "a flush waits for ever");
    }
    return slot->call.status == INS_OK;
}

/* ---- The end of a process ---- */

static void shutdown_done(ins_call *call) {
    *(bool *)call->user = true;
    ins_call_release(call);
}

static void shut_down(struct sim *sim) {
    bool done = false;
    ins_call call = {.done = shutdown_done, .user = &done, .lane = INS_LANE_REQUEST};
    ins_db_shutdown(sim->db, &call);
    for (uint32_t steps = 0; !done; steps++) {
        if ((!sim_step(&sim->lanes) && !sim_run_timer(&sim->lanes)) || steps > IDLE_STEPS_MAX) {
            sim_fail(sim, "the shutdown waits for ever");
        }
    }
    if (call.status != INS_OK && !sim->errors_allowed) {
        sim_fail(sim, "shutdown: %d %s", (int)call.status, call.error.message);
    }
}

static void note_lost_calls(struct sim *sim) {
    for (uint32_t i = 0; i < SIM_SLOTS; i++) {
        struct sim_slot *slot = &sim->slots[i];
        bool written = slot->busy && slot->is_write && !slot->is_flush;
        /* A long write tells its LSN with its answer only: 0 stands for any. */
        if (written && (slot->call.lsn != 0 || model_is_long(slot->write.kind))) {
            sim_note_unsure(sim, slot);
        }
        slot->busy = false;
    }
}

void sim_end(struct sim *sim, enum sim_end how) {
    ins_stats stats;
    ins_db_stats(sim->db, &stats);
    sim->counts.flushes += stats.flushes;
    sim->counts.merges += stats.merges;
    sim->counts.cleanings += stats.cleanings;
    sim->counts.cold_reads += stats.cold_reads;
    sim_say(sim, "end %d: LSN %llu, durable %llu, flushed %llu, %llu files%s%s", (int)how,
            (unsigned long long)stats.lsn_sequenced, (unsigned long long)stats.lsn_durable,
            (unsigned long long)stats.lsn_flushed, (unsigned long long)stats.files,
            stats.writes_stopped ? ", stopped: " : "", stats.reason);
    if (stats.writes_stopped && !sim->errors_allowed) {
        sim_fail(sim, "writes stopped without a fault: %s", stats.reason);
    }
    if (how == SIM_SHUTDOWN) {
        shut_down(sim);
    }
    note_lost_calls(sim);
    sim_drop_all(&sim->lanes);
    ins_db_close(sim->db);
    sim->db = NULL;
    if (how == SIM_POWER_CUT) {
        store_memory_crash(sim->store);
        sim->counts.power_cuts++;
    } else {
        store_memory_kill(sim->store);
        sim->counts.kills += how == SIM_KILL;
    }
}

/* ---- Recovery ---- */

struct findings {
    struct sim *sim;
    const char *when;
};

static void note_finding(void *context, bool is_damage, const char *finding) {
    const struct findings *findings = context;
    if (is_damage) {
        sim_fail(findings->sim, "check %s: %s", findings->when, finding);
    }
}

void sim_check_store(struct sim *sim, const char *when) {
    struct findings findings = {sim, when};
    ins_error error = {0};
    ins_status status = ins_check(sim->store, note_finding, &findings, &error);
    if (status != INS_OK && !(status == INS_NOT_FOUND && sim->model.lsn == 0)) {
        sim_fail(sim, "check %s: %d %s", when, (int)status, error.message);
    }
}

/* A long write has any LSN that nobody else has, and as many as it took records. */
static const struct model_write *unsure_at(const struct sim *sim, uint64_t lsn) {
    const struct model_write *any = NULL;
    for (uint32_t i = 0; i < sim->unsure_count; i++) {
        bool by_filter = model_is_long(sim->unsure[i].kind);
        if (sim->unsure_lsn[i] == lsn && !by_filter) {
            return &sim->unsure[i];
        }
        any = by_filter ? &sim->unsure[i] : any;
    }
    return any;
}

/* How far a long write came whose end nobody heard: the points themselves tell. */
void sim_tighten(struct sim *sim) {
    for (uint32_t name = 0; name < MODEL_NAMES; name++) {
        struct model_collection *collection = sim->model.current[name];
        uint64_t lsns[MODEL_IDS] = {0};
        bool goes_on = sim->db->changes > 0 || sim->db->writes_stopped; /* at the next start */
        bool answered = collection != NULL && collection->loose && !goes_on;
        uint32_t count = answered ? collection->shape.id_count : 0;
        for (uint32_t id = 0; id < count && answered; id++) {
            answered = sim_point_version(sim, name, id, &lsns[id]);
        }
        if (answered) { /* else a store call fails: later */
            model_tighten(&sim->model, collection, lsns);
        }
    }
}

/* Any long write without an answer may have come farther than was known. */
static void loosen(struct sim *sim) {
    for (uint32_t i = 0; i < sim->unsure_count; i++) {
        struct model_collection *collection = sim->model.current[sim->unsure[i].name];
        if (model_is_long(sim->unsure[i].kind) && collection != NULL) {
            collection->loose = true;
            collection->loose_write = sim->unsure[i];
        }
    }
}

/* A change by filter that a failing store has stopped, maybe before anybody could ask, goes on at
 * the next start. */
static void forget_unsure(struct sim *sim) {
    uint32_t kept = 0;
    bool goes_on = sim->db->changes > 0 || sim->db->writes_stopped || sim->errors_allowed;
    for (uint32_t i = 0; i < sim->unsure_count && goes_on; i++) {
        if (model_is_long(sim->unsure[i].kind) && sim->unsure[i].kind != WRITE_BATCH) {
            sim->unsure[kept] = sim->unsure[i];
            sim->unsure_lsn[kept++] = 0;
        }
    }
    sim->unsure_count = kept;
}

/* Changes by filter that were under way go on by themselves, and their records have LSNs that
 * writes had which the log did not keep. */
static void finish_changes(struct sim *sim) {
    ins_stats stats;
    while (sim->db->changes > 0 && !sim->db->writes_stopped &&
           (sim_step(&sim->lanes) || sim_run_timer(&sim->lanes))) {
    }
    if (sim->db->changes > 0 && !sim->errors_allowed) {
        sim_fail(sim, "a change by filter does not go on after a start");
    }
    ins_db_stats(sim->db, &stats);
    if (stats.lsn_durable > sim->model.lsn) {
        loosen(sim);
    }
    sim->model.lsn = stats.lsn_durable;
}

/* What the log kept of the writes that had no answer. */
static void reconcile(struct sim *sim) {
    ins_stats stats;
    ins_db_stats(sim->db, &stats);
    if (stats.lsn_durable < sim->model.lsn) {
        sim_fail(sim, "recovered up to LSN %llu only, LSN %llu was acknowledged",
                 (unsigned long long)stats.lsn_durable, (unsigned long long)sim->model.lsn);
    }
    for (uint64_t lsn = sim->model.lsn + 1; lsn <= stats.lsn_durable; lsn++) {
        const struct model_write *write = unsure_at(sim, lsn);
        const char *reason = "no write had it";
        if (write != NULL && model_is_long(write->kind)) {
            sim->model.lsn = lsn; /* a piece of one of them */
            loosen(sim);
        } else if (write == NULL || !model_apply(&sim->model, write, lsn, &reason)) {
            sim_fail(sim, "LSN %llu came back from the log, but %s", (unsigned long long)lsn,
                     reason);
        }
        sim->counts.unsure_kept++;
    }
    for (uint32_t i = 0; i < sim->unsure_count; i++) {
        sim->counts.unsure_lost += sim->unsure_lsn[i] > stats.lsn_durable;
    }
    finish_changes(sim);
    forget_unsure(sim);
    memset(sim->ddl_busy, 0, sizeof(sim->ddl_busy));
    for (uint32_t name = 0; name < MODEL_NAMES; name++) {
        if (sim->model.current[name] != NULL) {
            sim->model.current[name]->reshaping = false;
        }
    }
    sim_tighten(sim);
    model_settle(&sim->model);
}

bool sim_open(struct sim *sim, bool may_fail) {
    ins_error error = {0};
    ins_status status = ins_db_open(&sim->options, &sim->lanes.runtime, &sim->db, &error);
    if (status == INS_OK) {
        reconcile(sim);
        sim->counts.restarts++;
        sim_say(sim, "started: LSN %llu", (unsigned long long)sim->model.lsn);
        return true;
    }
    sim_say(sim, "open: %d %s", (int)status, error.message);
    if (!may_fail) {
        sim_fail(sim, "open: %d %s", (int)status, error.message);
    }
    sim->db = NULL;
    sim->counts.failed_opens++;
    sim_drop_all(&sim->lanes);
    (sim_once_in(&sim->random, 2) ? store_memory_crash : store_memory_kill)(sim->store);
    sim_check_store(sim, "after a failed start");
    return false;
}

void sim_recover(struct sim *sim, bool faults) {
    sim_check_store(sim, "before a start");
    sim->errors_allowed = false;
    sim->stopped = false;
    for (uint32_t tries = 0;; tries++) {
        bool faulty = faults && tries < OPEN_TRIES_MAX && !sim_once_in(&sim->random, 3);
        if (faulty) {
            store_memory_fail_at(
                sim->store, 1 + sim_below(&sim->random, 30), sim_once_in(&sim->random, 3),
                sim_once_in(&sim->random, 2) ? INS_IO : INS_FULL, sim_once_in(&sim->random, 2));
            sim->errors_allowed = true; /* the fault may come after the start */
        }
        if (sim_open(sim, faulty)) {
            return;
        }
        sim->errors_allowed = false;
    }
}
