/* Model test of views: random overwrites, deletes and moves of few points among few tenants, with
 * flushes and merges under the readers' feet; each reader sees of every island the state of one
 * moment between its start and its end, and of an id under constant overwrite exactly one version.
 *
 *   test_views [SEEDS [FIRST]] */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

/* One life without faults: readers stay open while lanes are held back; kills make bytes cold. */
static uint64_t live(uint64_t seed) {
    struct sim_config config = {.seed = seed, .views = true, .name_count = 1 + seed % 2};
    struct sim *sim = malloc(sizeof(*sim));
    if (sim == NULL) {
        abort();
    }
    sim_init(sim, &config);
    sim_recover(sim, false);
    for (int round = 0; round < 6; round++) {
        sim_operate(sim, 400);
        sim_quiesce(sim, false);
        sim_verify(sim);
        sim_end(sim, round % 2 == 0 ? SIM_KILL : SIM_SHUTDOWN);
        sim_recover(sim, false);
    }
    uint64_t checks = sim->counts.view_checks;
    sim_fini(sim);
    free(sim);
    return checks;
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 40;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t checks = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        checks += live(seed);
    }
    (void)printf("%llu seeds, %llu whole views among writes\n", (unsigned long long)seeds,
                 (unsigned long long)checks);
    return checks < seeds ? 1 : 0; /* a test that looks at nothing is none */
}
