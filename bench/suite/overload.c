/* `overload`: when the index is idle and after a warm-up, finds the rate R at which the p99 of
 * searches is 50 ms, then offers twice as much for a minute: what is still answered, how fast, how
 * the rest is refused, how long until all is normal.
 *
 * Tenants ask evenly here (no bursts), so that the offered rate is the asked one. A request that no
 * connection was free for within two seconds is not sent any more; it counts as offered. */
#include <stdlib.h>

#include "asker.h"
#include "limit.h"
#include "suite.h"

#define P99_MS 50.0
#define CONNECTIONS 2048u
#define FAIR_REQUESTS 100.0 /* a tenant with a smaller fair share is not judged: chance is */
#define ABANDON_NS (2u * BENCH_NS)
#define GRAPHS_S_MAX 3600.0

struct step {
    double rate, offered, good, p99_ms, late_ms;
};

struct overload {
    struct suite *suite;
    struct report *report;
    struct asker asker;
    struct traffic traffic;
    struct step steps[LIMIT_STEPS_MAX];
    uint32_t step_count;
};

static const double ms = 1e-6;

static void on_tick(void *context) {
    asker_tick(&((struct overload *)context)->asker);
}

static bool run_at(struct overload *overload, double rate, double seconds, const char *what,
                   struct step *out_step) {
    struct suite *suite = overload->suite;
    uint64_t start_ns = bench_now_ns();
    uint64_t end_ns = start_ns + (uint64_t)(seconds * (double)BENCH_NS);
    const struct asker_plan plan = {.rate = rate,
                                    .number = suite->streams++,
                                    .start_ns = start_ns,
                                    .begin_ns = start_ns,
                                    .end_ns = end_ns};
    asker_close(&overload->asker);
    if (!asker_open(&overload->asker, &suite->wire, &suite->answers, &plan)) {
        return false;
    }
    overload->asker.abandon_ns = ABANDON_NS;
    overload->traffic = (struct traffic){.wire = &suite->wire,
                                         .sources = {&overload->asker.source},
                                         .source_count = 1,
                                         .connections = CONNECTIONS,
                                         .tick = on_tick,
                                         .tick_context = overload,
                                         .what = what,
                                         .start_ns = start_ns,
                                         .end_ns = end_ns};
    if (!traffic_run(&overload->traffic)) {
        return false;
    }
    const struct asker *asker = &overload->asker;
    double took = bench_seconds_since(start_ns);
    *out_step = (struct step){
        .rate = rate,
        .offered =
            (double)(asker->good + asker->refused + asker->failed + asker->abandoned) / seconds,
        .good = (double)asker->good / (took > seconds ? took : seconds),
        .p99_ms = (double)latency_quantile(asker->all, 0.99) * ms,
        .late_ms = (double)latency_quantile(&overload->traffic.load.lateness, 0.99) * ms,
    };
    return true;
}

static bool is_too_much(const struct overload *overload, const struct step *step) {
    return step->p99_ms > P99_MS || overload->asker.refused > 0 || overload->asker.abandoned > 0 ||
           overload->asker.failed > 0;
}

static bool find_limit(struct overload *overload, double *out_rate) {
    double seconds = suite_seconds(overload->suite, 5.0);
    struct limit limit = limit_of(4.0 * suite_rate(overload->suite));
    while (!limit_is_found(&limit)) {
        struct step *step = &overload->steps[limit.steps];
        if (!run_at(overload, limit.rate, seconds, "overload: looking for the limit", step)) {
            return false;
        }
        limit_tell(&limit, is_too_much(overload, step));
    }
    overload->step_count = limit.steps;
    *out_rate = limit.low > 0.0 ? limit.low : suite_rate(overload->suite) / 2.0;
    return true;
}

static double peak_goodput(const struct overload *overload) {
    double peak = 0.0;
    for (uint32_t i = 0; i < overload->step_count; i++) {
        peak = overload->steps[i].good > peak ? overload->steps[i].good : peak;
    }
    return peak;
}

static void report_overload(struct overload *overload, const struct step *step, double rate) {
    struct report *report = overload->report;
    const struct asker *asker = &overload->asker;
    double peak = peak_goodput(overload);
    report_number(report, "rate_p99_50ms", "R: searches/s with a p99 below 50 ms", rate);
    report_number(report, "peak", "most searches/s answered on the way there", peak);
    report_number(report, "offered", "searches/s offered, twice R", step->offered);
    report_number(report, "goodput", "searches/s answered", step->good);
    report_number(report, "goodput_ratio", "gate: answered over the peak",
                  peak > 0.0 ? step->good / peak : 0.0);
    report_target(report, ">= 0.9", peak > 0.0 && step->good >= 0.9 * peak);
    report_number(report, "accepted_p99_ms", "gate: p99 of the answered ones, ms", step->p99_ms);
    report_target(report, "<= 100", step->p99_ms <= 100.0);
    report_number(report, "refused", "refused (429, 503)", (double)asker->refused);
    report_number(report, "refused_told", "refused ones that were told when to retry",
                  (double)asker->retry_after);
    report_target(report, "all", asker->retry_after == asker->refused);
    report_number(report, "failed", "failed otherwise", (double)asker->failed);
    report_target(report, "0", asker->failed == 0);
    report_number(report, "abandoned", "not sent: no connection was free for 2 s",
                  (double)asker->abandoned);
    report_number(report, "lateness_p99_ms", "generator: lateness p99, ms", step->late_ms);
}

static void report_fairness(const struct overload *overload) {
    struct report *report = overload->report;
    size_t judged, count = overload->suite->world.tenant_count;
    double worst = shares_worst(overload->asker.shares, count, FAIR_REQUESTS, &judged);
    report_number(report, "fair_judged", "tenants with a fair share of 100 searches or more",
                  (double)judged);
    if (judged == 0) {
        report_absent(report, "fair_worst", "gate: least part that a tenant got of its fair share");
        return;
    }
    report_number(report, "fair_worst", "gate: least part that a tenant got of its fair share",
                  worst);
    report_target(report, ">= 0.5", worst >= 0.5);
}

static void plot_steps(const struct overload *overload) {
    struct plot *plot = report_plot(overload->report, "p99 by rate asked", "searches/s", "ms");
    struct plot_line *line = plot_line(plot, "p99");
    bool drawn[LIMIT_STEPS_MAX] = {false};
    plot->log_y = true;
    for (uint32_t n = 0; n < overload->step_count; n++) { /* in order of rate */
        uint32_t next = LIMIT_STEPS_MAX;
        for (uint32_t i = 0; i < overload->step_count; i++) {
            if (!drawn[i] &&
                (next == LIMIT_STEPS_MAX || overload->steps[i].rate < overload->steps[next].rate)) {
                next = i;
            }
        }
        INS_ASSERT(next < LIMIT_STEPS_MAX); /* one of them is left in each turn */
        drawn[next] = true;
        plot_point(line, overload->steps[next].rate, overload->steps[next].p99_ms);
    }
}

/* Half of R right after it: the first second with a p99 below 50 ms. */
static bool measure_recovery(struct overload *overload, double rate) {
    struct step step;
    double seconds = suite_seconds(overload->suite, 10.0);
    if (!run_at(overload, rate / 2.0, seconds, "overload: after it", &step)) {
        return false;
    }
    const struct asker *asker = &overload->asker;
    for (uint32_t i = 1; i < asker->ticks; i++) {
        if (asker->second_p99[i] > 0.0 && asker->second_p99[i] <= P99_MS) {
            report_number(overload->report, "recovery_s", "seconds until p99 is below 50 ms again",
                          (double)i);
            return true;
        }
    }
    report_absent(overload->report, "recovery_s", "seconds until p99 is below 50 ms again");
    return true;
}

static bool measure(struct overload *overload) {
    struct suite *suite = overload->suite;
    struct target_look before, after;
    struct step step;
    double rate = 0.0, warmup = suite_warmup(suite, suite->world.scale->warmup_s);
    (void)target_index_idle(&suite->target, GRAPHS_S_MAX);
    if ((warmup > 0.0 &&
         !run_at(overload, suite_rate(suite), warmup, "overload: warm-up", &step)) ||
        !find_limit(overload, &rate)) {
        return false;
    }
    target_look(&suite->target, &before);
    if (!run_at(overload, 2.0 * rate, suite_seconds(suite, 60.0), "overload", &step)) {
        return false;
    }
    target_look(&suite->target, &after);
    report_overload(overload, &step, rate);
    report_fairness(overload);
    plot_steps(overload);
    struct plot *plot = report_plot(overload->report, "p99 by second at twice R", "s", "ms");
    asker_plot(&overload->asker, plot_line(plot, "p99"), 0.0);
    if (!measure_recovery(overload, rate)) {
        return false;
    }
    answers_report(&suite->answers, overload->report);
    target_report(overload->report, &before, &after);
    return true;
}

bool workload_overload(struct suite *suite, struct report *report) {
    struct overload *overload = calloc(1, sizeof(*overload));
    bool good = overload != NULL;
    if (good) {
        overload->suite = suite;
        overload->report = report;
        good = measure(overload);
        asker_close(&overload->asker);
    }
    free(overload);
    return good;
}
