/* `steady`: the searches of WORKLOADS 4 at a rate, warm-up, then measured; recall by size class.
 *
 * A server of one's own is started again before, so that what counts as cold is cold. */
#include <stdlib.h>

#include "asker.h"
#include "suite.h"
#include "truth.h"

#define RECALL_TENANTS 200u

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

static bool measure(struct suite *suite, struct steady *steady, struct report *report) {
    double rate = suite_rate(suite);
    double warmup = suite_warmup(suite, suite->world.scale->warmup_s);
    double seconds = suite_seconds(suite, suite->world.scale->measure_s);
    struct traffic *traffic = &steady->traffic;
    target_look(&suite->target, &steady->before);
    uint64_t start_ns = bench_now_ns();
    uint64_t begin_ns = start_ns + (uint64_t)(warmup * (double)BENCH_NS);
    uint64_t end_ns = begin_ns + (uint64_t)(seconds * (double)BENCH_NS);
    steady->target = &suite->target;
    const struct asker_plan plan = {.rate = rate,
                                    .bursts = true,
                                    .probes = true,
                                    .number = suite->streams++,
                                    .start_ns = start_ns,
                                    .begin_ns = begin_ns,
                                    .end_ns = end_ns};
    if (!asker_open(&steady->asker, &suite->wire, &suite->answers, &plan)) {
        return false;
    }
    *traffic = (struct traffic){.wire = &suite->wire,
                                .sources = {&steady->asker.source},
                                .source_count = 1,
                                .tick = on_tick,
                                .tick_context = steady,
                                .what = "steady",
                                .start_ns = start_ns,
                                .end_ns = end_ns};
    if (!traffic_run(traffic)) {
        return false;
    }
    target_look(&suite->target, &steady->after);
    report_number(report, "seconds", "seconds measured", seconds);
    report_number(report, "warmup_s", "seconds of warm-up", warmup);
    asker_report(&steady->asker, rate, report);
    asker_plot(&steady->asker,
               plot_line(report_plot(report, "Search p99 by second", "s", "ms"), "p99"), 0.0);
    traffic_report(traffic, report);
    target_report(report, &steady->before, &steady->after);
    return true;
}

bool workload_steady(struct suite *suite, struct report *report) {
    struct steady *steady = calloc(1, sizeof(*steady));
    double worst;
    if (steady == NULL) {
        (void)bench_fail("no memory");
        return false;
    }
    if (suite->target.own && !target_restart(&suite->target, false)) {
        free(steady);
        return false;
    }
    for (uint32_t t = 0; t < suite->world.tenant_count; t++) {
        suite->world.tenants[t].last_query_ns = 0;
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
