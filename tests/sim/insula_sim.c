/* insula-sim: random lives of a database, each from one seed, against a model.
 *
 *   insula-sim --seed N [--ops N] [--seeds COUNT] [--power-cuts] [--twice] [--soak] [--verbose]
 *
 * One life: operations of many tenants in several collections, twelve in flight, on memtables of
 * 64 to 512 KiB, so that flushes, merges and log files turn over all the time; store calls that
 * fail; kills, power cuts in the middle of writes, shutdowns; starts that crash themselves.
 * --power-cuts: many short processes, each ended by one. --twice: each life must be the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "store/store.h"

struct plan {
    uint64_t seed, seeds;
    uint32_t operations; /* of one life */
    bool verbose, power_cuts, twice;
};

/* Damage that heals: while it is there, answers are right or name it. */
static void flip_and_heal(struct sim *sim);

static void end_somehow(struct sim *sim, bool power_cuts) {
    uint32_t dice = power_cuts ? 0 : sim_below(&sim->random, 10);
    if (dice < 5) {
        /* Every write call fails from some point on: the machine has lost its power there, in the
         * middle of whatever was going on. */
        store_memory_fail_at(sim->store, 1 + sim_below(&sim->random, 30), true, INS_IO, true);
        sim->errors_allowed = true;
        sim_operate(sim, sim_below(&sim->random, 60));
        sim_end(sim, SIM_POWER_CUT);
    } else if (dice < 8) {
        sim_end(sim, SIM_KILL);
    } else {
        sim_faults_off(sim);
        sim_quiesce(sim, false);
        sim_end(sim, SIM_SHUTDOWN);
        sim_check_store(sim, "after a shutdown");
    }
}

static void live(struct sim *sim, const struct plan *plan) {
    bool quiet_life = sim_once_in(&sim->random, 4);
    sim_recover(sim, false);
    while (sim->counts.operations < plan->operations) {
        sim_operate(sim, 20 + sim_below(&sim->random, plan->power_cuts ? 100 : 600));
        if (sim_once_in(&sim->random, 3)) {
            flip_and_heal(sim);
        }
        if (sim_once_in(&sim->random, 2)) {
            sim_quiesce(sim, sim_once_in(&sim->random, 2));
            sim_faults_off(sim);
            sim_verify(sim);
        }
        if (sim->stopped || plan->power_cuts || !quiet_life || sim_once_in(&sim->random, 4)) {
            end_somehow(sim, plan->power_cuts);
            sim_recover(sim, sim->config.faults && sim_once_in(&sim->random, 3));
            if (!sim->errors_allowed) {
                sim_verify(sim);
            }
        }
    }
    sim_faults_off(sim);
    sim_quiesce(sim, true);
    sim_verify(sim);
    sim_end(sim, SIM_SHUTDOWN);
    sim_check_store(sim, "after a shutdown");
    sim_recover(sim, false);
    sim_verify(sim);
}

struct pick {
    struct sim *sim;
    uint32_t seen;
    char name[128];
    uint64_t size;
};

static void pick_segment(void *context, const char *name, uint64_t size) {
    struct pick *pick = context;
    if (strncmp(name, "segments/", 9) == 0 && size > 0 &&
        sim_once_in(&pick->sim->random, ++pick->seen)) {
        (void)snprintf(pick->name, sizeof(pick->name), "%s", name);
        pick->size = size;
    }
}

static void flip_and_heal(struct sim *sim) {
    struct pick pick = {.sim = sim};
    (void)store_memory_list_raw(sim->store, pick_segment, &pick);
    if (!sim->config.flips || pick.size == 0) {
        return;
    }
    uint64_t at = sim_next(&sim->random) % pick.size;
    uint8_t mask = (uint8_t)(1u << sim_below(&sim->random, 8));
    sim->errors_allowed = true;
    sim->counts.flips++;
    (void)store_memory_flip(sim->store, pick.name, at, mask);
    sim_operate(sim, 60);
    (void)store_memory_flip(sim->store, pick.name, at, mask); /* if it is still there */
}

static void sum(struct sim_counts *into, const struct sim_counts *from) {
    uint64_t *to = (uint64_t *)into;
    const uint64_t *add = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof(*into) / sizeof(uint64_t); i++) {
        to[i] += add[i];
    }
}

static void print_counts(const struct plan *plan, const struct sim_counts *counts) {
    const uint64_t values[] = {
        counts->operations,      counts->acknowledged, counts->refused,    counts->uncertain,
        counts->unsure_kept,     counts->unsure_lost,  counts->reads,      counts->read_errors,
        counts->inflight_checks, counts->power_cuts,   counts->kills,      counts->restarts,
        counts->failed_opens,    counts->faults,       counts->flips,      counts->flushes,
        counts->merges,          counts->cleanings,    counts->cold_reads, counts->view_checks};
    static const char *const names[] = {"operations",
                                        "acknowledged",
                                        "refused",
                                        "failed with an LSN",
                                        "kept without an answer",
                                        "lost without an answer",
                                        "reads",
                                        "read errors",
                                        "reads among writes",
                                        "power cuts",
                                        "kills",
                                        "starts",
                                        "failed starts",
                                        "faults",
                                        "flips",
                                        "flushes",
                                        "merges",
                                        "cleanings",
                                        "cold reads",
                                        "whole views"};
    (void)printf("seeds %llu..%llu:", (unsigned long long)plan->seed,
                 (unsigned long long)(plan->seed + plan->seeds - 1));
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        (void)printf("%s %llu %s", i == 0 ? "" : ",", (unsigned long long)values[i], names[i]);
    }
    (void)printf("\n");
}

static uint64_t run_seed(const struct plan *plan, uint64_t seed, struct sim_counts *counts) {
    struct sim_random traits = {sim_mix(seed)};
    struct sim_config config = {.seed = seed,
                                .objects = sim_on_objects(seed),
                                .views = sim_once_in(&traits, 3),
                                .faults = !plan->power_cuts && sim_once_in(&traits, 2),
                                .flips = !plan->power_cuts && sim_once_in(&traits, 4),
                                .memory = sim_once_in(&traits, 6),
                                .verbose = plan->verbose,
                                .name_count = 1 + sim_below(&traits, MODEL_NAMES)};
    struct sim *sim = malloc(sizeof(*sim));
    if (sim == NULL) {
        abort();
    }
    sim_init(sim, &config);
    live(sim, plan);
    sum(counts, &sim->counts);
    sim_fini(sim);
    uint64_t digest = sim_mix(sim->lanes.digest) + sim->counts.acknowledged;
    free(sim);
    return digest;
}

static bool number(const char *text, uint64_t *out) {
    char *end;
    *out = strtoull(text, &end, 10);
    return *text != 0 && *end == 0;
}

static bool parse(int argc, char **argv, struct plan *plan) {
    for (int i = 1; i < argc; i++) {
        uint64_t value = 0;
        if (strcmp(argv[i], "--verbose") == 0) {
            plan->verbose = true;
        } else if (strcmp(argv[i], "--power-cuts") == 0) {
            plan->power_cuts = true;
        } else if (strcmp(argv[i], "--twice") == 0) {
            plan->twice = true;
        } else if (strcmp(argv[i], "--soak") == 0) {
            plan->seeds = 5000;
        } else if (i + 1 == argc || !number(argv[i + 1], &value)) {
            return false;
        } else if (strcmp(argv[i], "--seed") == 0) {
            plan->seed = value;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            plan->seeds = value;
            i++;
        } else if (strcmp(argv[i], "--ops") == 0) {
            plan->operations = (uint32_t)value;
            i++;
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    struct plan plan = {.seed = 1, .seeds = 1, .operations = 3000};
    if (!parse(argc, argv, &plan)) {
        (void)fprintf(stderr, "insula-sim --seed N [--ops N] [--seeds COUNT] [--power-cuts] "
                              "[--twice] [--soak] [--verbose]\n");
        return 2;
    }
    struct sim_counts counts = {0};
    uint64_t digest = 0;
    for (uint64_t i = 0; i < plan.seeds; i++) {
        uint64_t life = run_seed(&plan, plan.seed + i, &counts);
        if (plan.twice && run_seed(&plan, plan.seed + i, &counts) != life) {
            (void)fprintf(stderr, "FAILED: seed %llu is not the same twice\n",
                          (unsigned long long)(plan.seed + i));
            return SIM_FAIL_STATUS;
        }
        digest = sim_mix(digest + life);
        if (plan.seeds > 100 && i % 100 == 99) {
            (void)printf("%llu seeds\n", (unsigned long long)(i + 1));
            (void)fflush(stdout);
        }
    }
    print_counts(&plan, &counts);
    (void)printf("digest %016llx\n", (unsigned long long)digest);
    return 0;
}
