/* Goal: whichever store call fails, nothing that was acknowledged is lost and nothing is half done.
 * Method: one script of operations, flushes, a crash, a start and a shutdown, from one seed; it is
 * run again for each store call that it makes, and that call fails: with an error or for want of
 * space, a write after any part of its bytes. Then a kill or a power cut, check, recovery, and
 * everything is compared with the simulator's model.
 *
 *   store_faults [SEED [STRIDE]]: every STRIDE-th call only. */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"
#include "store/store.h"

enum phase { PHASE_LIFE, PHASE_START, PHASE_SHUTDOWN, PHASES };

struct fault {
    enum phase phase;
    uint64_t call; /* of the phase; 0 = none */
    ins_status status;
    enum sim_end end;
};

static uint64_t phase_begin(struct sim *sim, const struct fault *fault, enum phase phase) {
    if (fault->phase == phase && fault->call > 0) {
        store_memory_fail_at(sim->store, fault->call, false, fault->status, false);
        sim->errors_allowed = true;
    }
    return store_memory_calls(sim->store, false);
}

static void start_again(struct sim *sim) {
    store_memory_fail_off(sim->store);
    if (sim->db == NULL) {
        sim_recover(sim, false);
    }
}

static void work(struct sim *sim) {
    for (int round = 0; round < 4; round++) {
        sim_operate(sim, 16);
        (void)sim_flush(sim);
    }
    sim_operate(sim, 12);
    sim_quiesce(sim, true);
}

/* Answers are right whether writes were stopped or not. */
static void compare(struct sim *sim) {
    store_memory_fail_off(sim->store);
    sim_verify(sim);
}

/* Runs the script with one fault; the calls that each phase made. */
static void run(uint64_t seed, const struct fault *fault, uint64_t *out_calls) {
    static const char *const names[PHASES] = {"life", "start", "shutdown"};
    char label[64];
    (void)snprintf(label, sizeof(label), "%s call %llu, status %d, end %d,", names[fault->phase],
                   (unsigned long long)fault->call, (int)fault->status, (int)fault->end);
    struct sim_config config = {
        .seed = seed, .objects = sim_on_objects(seed), .name_count = 3, .label = label};
    struct sim *sim = malloc(sizeof(*sim));
    if (sim == NULL) {
        abort();
    }
    sim_init(sim, &config);
    sim->options.log_file_bytes = 256u << 10;
    sim->options.generation_bytes = 256u << 10;
    uint64_t before = phase_begin(sim, fault, PHASE_LIFE);
    (void)sim_open(sim, true);
    if (sim->db == NULL) {
        start_again(sim);
    }
    work(sim);
    out_calls[PHASE_LIFE] = store_memory_calls(sim->store, false) - before;
    compare(sim);
    sim_end(sim, fault->end);
    sim_check_store(sim, "after the crash");
    sim->errors_allowed = false;
    sim->stopped = false;

    before = phase_begin(sim, fault, PHASE_START);
    (void)sim_open(sim, true);
    if (sim->db != NULL) {
        sim_run_until_idle(&sim->lanes, false);
    }
    out_calls[PHASE_START] = store_memory_calls(sim->store, false) - before;
    start_again(sim);
    compare(sim);
    sim_operate(sim, 12);
    sim_quiesce(sim, false);

    before = phase_begin(sim, fault, PHASE_SHUTDOWN);
    sim_end(sim, SIM_SHUTDOWN);
    out_calls[PHASE_SHUTDOWN] = store_memory_calls(sim->store, false) - before;
    store_memory_fail_off(sim->store);
    sim_recover(sim, false);
    compare(sim);
    sim_fini(sim);
    free(sim);
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t stride = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    static const ins_status statuses[] = {INS_IO, INS_FULL};
    struct fault none = {.end = SIM_KILL};
    uint64_t calls[PHASES], ignored[PHASES], runs = 0;
    run(seed, &none, calls);
    for (enum phase phase = PHASE_LIFE; phase < PHASES; phase++) {
        for (uint64_t call = 1; call <= calls[phase]; call += stride) {
            for (int kind = 0; kind < 2; kind++) {
                struct fault fault = {phase, call, statuses[kind],
                                      (call + (uint64_t)kind) % 2 == 0 ? SIM_KILL : SIM_POWER_CUT};
                run(seed, &fault, ignored);
                runs++;
            }
        }
    }
    (void)printf("seed %llu: %llu + %llu + %llu store calls, each failed: %llu runs\n",
                 (unsigned long long)seed, (unsigned long long)calls[PHASE_LIFE],
                 (unsigned long long)calls[PHASE_START], (unsigned long long)calls[PHASE_SHUTDOWN],
                 (unsigned long long)runs);
    return 0;
}
