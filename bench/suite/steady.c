/* `steady`: the searches of WORKLOADS 4 at a rate, warm-up, then measured; recall by size class. */
#include <stdlib.h>

#include "asker.h"
#include "suite.h"
#include "truth.h"

#define RECALL_TENANTS 200u
#define TURNS_MAX 4u

struct steady {
    struct asker asker;
    struct traffic traffic;
    struct target_look before, after;
    const struct target *target;
    bool looked;
};

/* The counters are read when the warm-up is over. Reading them blocks the loop for a moment. */
static void on_tick(void *context) {
    struct steady *steady = context;
    asker_tick(&steady->asker);
    if (!steady->looked && bench_now_ns() >= steady->asker.begin_ns) {
        target_look(steady->target, &steady->before);
        steady->looked = true;
    }
}

static double lateness_ms(const struct steady *steady) {
    return (double)latency_quantile(&steady->traffic.load.lateness, 0.99) * 1e-6;
}

static bool run(struct suite *suite, struct steady *steady, double warmup, double seconds) {
    target_look(&suite->target, &steady->before);
    uint64_t start_ns = bench_now_ns();
    uint64_t begin_ns = start_ns + (uint64_t)(warmup * (double)BENCH_NS);
    uint64_t end_ns = begin_ns + (uint64_t)(seconds * (double)BENCH_NS);
    const struct asker_plan plan = {.rate = suite_rate(suite),
                                    .bursts = true,
                                    .probes = true,
                                    .number = suite->streams++,
                                    .start_ns = start_ns,
                                    .begin_ns = begin_ns,
                                    .end_ns = end_ns};
    for (uint32_t t = 0; t < suite->world.tenant_count; t++) {
        suite->world.tenants[t].last_query_ns = 0;
    }
    steady->target = &suite->target;
    steady->looked = false;
    asker_close(&steady->asker);
    if (!asker_open(&steady->asker, &suite->wire, &suite->answers, &plan)) {
        return false;
    }
    steady->traffic = (struct traffic){.wire = &suite->wire,
                                       .sources = {&steady->asker.source},
                                       .source_count = 1,
                                       .tick = on_tick,
                                       .tick_context = steady,
                                       .what = "steady",
                                       .start_ns = start_ns,
                                       .end_ns = end_ns};
    if (!traffic_run(&steady->traffic)) {
        return false;
    }
    target_look(&suite->target, &steady->after);
    return true;
}

/* A server of one's own is started again before, so that what counts as cold is cold. A run that
 * the generator was late in is void and is repeated, three times at most; a run that was cut short
 * by hand is a test, and counts as it is. */
static bool measure(struct suite *suite, struct steady *steady, struct report *report) {
    double warmup = suite_warmup(suite, suite->world.scale->warmup_s);
    double seconds = suite_seconds(suite, suite->world.scale->measure_s);
    uint32_t turns = suite->options->seconds >= 0.0 ? 1 : TURNS_MAX, turn = 0;
    do {
        if ((suite->target.own && !target_restart(&suite->target, false)) ||
            !run(suite, steady, warmup, seconds)) {
            return false;
        }
        turn++;
    } while (turn < turns && lateness_ms(steady) > 1.0);
    report_number(report, "seconds", "seconds measured", seconds);
    report_number(report, "warmup_s", "seconds of warm-up", warmup);
    report_number(report, "turns", "runs until the generator was in time (or the last)",
                  (double)turn);
    asker_report(&steady->asker, suite_rate(suite), report);
    asker_plot(&steady->asker,
               plot_line(report_plot(report, "Search p99 by second", "s", "ms"), "p99"), 0.0);
    traffic_report(&steady->traffic, report);
    target_report(report, &steady->before, &steady->after);
    uint64_t indexed;
    if (wire_indexed(&suite->wire, &indexed)) {
        report_number(report, "indexed_share", "points in graphs at the end, of all",
                      (double)indexed / (double)suite->world.point_count);
    }
    return true;
}

bool workload_steady(struct suite *suite, struct report *report) {
    struct steady *steady = calloc(1, sizeof(*steady));
    double worst;
    if (steady == NULL) {
        (void)bench_fail("no memory");
        return false;
    }
    suite_answers_reset(suite);
    bool good =
        measure(suite, steady, report) && truth_classes(suite, RECALL_TENANTS, "", report, &worst);
    if (good) {
        answers_report(&suite->answers, report);
    }
    asker_close(&steady->asker);
    free(steady);
    return good;
}
