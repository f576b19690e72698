/* What writes leave behind goes away. Goal: in quiet, files take hardly more than what lives; while
 * there are writes, not more than a bound; what was copied and merged answers as before, also after
 * a restart. Method: few tenants overwritten and deleted on small memtables, virtual time. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine_private.h"
#include "sim.h"

static void expect(const struct sim *sim, bool what, const char *text) {
    if (!what) {
        sim_fail(sim, "%s", text);
    }
}

static ins_stats stats_of(const struct sim *sim) {
    ins_stats stats;
    ins_db_stats(sim->db, &stats);
    return stats;
}

/* Headers, tables and pages that are not full: for few small islands more than their bytes. */
static uint64_t overhead(const ins_stats *stats) {
    return stats->files * 16384;
}

/* By what the engine knows, which is a bound. */
static bool few_dead(const struct sim *sim) {
    const struct table *table = &sim->db->islands.by_incarnation;
    double bytes = 0, dead = 0;
    for (uint64_t bucket = 0; bucket < table->bucket_count; bucket++) {
        for (const struct table_node *node = table_bucket(table, bucket); node != NULL;
             node = node->next) {
            const struct island *island = (const struct island *)(const void *)node;
            double island_bytes = 0, rows = (double)island_row_count(island);
            for (uint32_t i = 0; i < island->run_count; i++) {
                island_bytes += (double)run_bytes(&island->runs[i]);
            }
            bytes += island_bytes;
            dead += rows > 0 ? island_bytes * island->dead_most / rows : 0;
        }
    }
    return 100 * dead <= TIDY_DEAD_PERCENT * (bytes - dead);
}

static void live(uint64_t seed, uint64_t *cleanings) {
    struct sim_config config = {.seed = seed, .name_count = 3};
    struct sim *sim = malloc(sizeof(*sim));
    if (sim == NULL) {
        abort();
    }
    sim_init(sim, &config);
    sim_recover(sim, false);
    for (int round = 0; round < 4; round++) {
        sim_operate(sim, 1500);
        sim_quiesce(sim, false);
        expect(sim, sim_flush(sim), "the flush failed");
        sim_quiesce(sim, true);
        ins_stats stats = stats_of(sim);
        expect(sim, stats.live_bytes <= stats.segment_bytes, "more lives than there is");
        expect(sim, sim->db->tidy.stage == TIDY_DONE, "not tidy in quiet");
        expect(sim, stats.timers == 1, "a timer is armed although there is nothing to do");
        expect(sim,
               100 * stats.segment_bytes <=
                   CLEAN_TOTAL_QUIET * stats.live_bytes + 100 * overhead(&stats),
               "files are not clean in quiet");
        expect(sim, few_dead(sim), "too many dead rows are left in quiet");
        sim_verify(sim);
        sim_end(sim, round % 2 == 0 ? SIM_KILL : SIM_SHUTDOWN);
        sim_check_store(sim, "after tidying");
        sim_recover(sim, false);
        sim_verify(sim);
    }
    sim_end(sim, SIM_KILL);
    *cleanings += sim->counts.cleanings;
    sim_fini(sim);
    free(sim);
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 12;
    uint64_t cleanings = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        live(seed, &cleanings);
    }
    (void)printf("%llu seeds, %llu cleanings\n", (unsigned long long)seeds,
                 (unsigned long long)cleanings);
    return cleanings < seeds ? 1 : 0; /* a test that cleans nothing is none */
}
