/* `squeeze`: the searches of `steady` while the server's memory budget is changed under them.
 *
 * A run at the budget that the server was started with says how much it keeps resident. Then the
 * budget falls, while searches go on, to 50, 25 and 12 % of that, and comes back. At each: p99 warm
 * and cold, what failed (the change itself is part of it), how long it took until the server said
 * that the budget holds, and the most that was resident from then on. The smallest budget that a
 * server takes may lie above a percentage of little data: then that is measured, and said. */
#include <stdlib.h>

#include "asker.h"
#include "suite.h"

#define LEVELS 5u
#define WARMUP_S 30.0
#define MEASURE_S 60.0
#define SETTLE_S_MAX 30.0

struct level {
    const char *key, *label;
    double share; /* of what was resident at first; 0: the budget of the start */
};

static const struct level levels[LEVELS] = {{"at100", "at 100 %", 0.0},
                                            {"at50", "at 50 %", 0.5},
                                            {"at25", "at 25 %", 0.25},
                                            {"at12", "at 12 %", 0.12},
                                            {"again", "at 100 % again", 0.0}};

struct squeeze {
    struct suite *suite;
    struct asker asker;
    struct traffic traffic;
    uint64_t budget; /* that this level is to have; 0 = it stays */
    uint64_t changed_ns, settled_ns, resident_max;
    bool refused; /* the server does not take it */
    double p99_first, failures, over_max;
};

/* Blocks the loop for a moment, which the generator's lateness shows. */
static bool set_budget(struct squeeze *squeeze) {
    char body[64], answer[512];
    (void)snprintf(body, sizeof(body), "{\"bytes\":%llu}", (unsigned long long)squeeze->budget);
    return http_once(&squeeze->suite->target.server, "PUT", "/insula/budget", body, answer,
                     sizeof(answer)) == 200;
}

static bool has_settled(const struct squeeze *squeeze) {
    char answer[512];
    uint64_t above = 1;
    return http_once(&squeeze->suite->target.server, "GET", "/insula/budget", NULL, answer,
                     sizeof(answer)) == 200 &&
           json_find_u64(answer, NULL, "above_bytes", &above) && above == 0;
}

static void on_tick(void *context) {
    struct squeeze *squeeze = context;
    struct process_sample sample;
    asker_tick(&squeeze->asker);
    if (squeeze->changed_ns == 0) { /* a second of searches at the budget before */
        squeeze->changed_ns = bench_now_ns();
        squeeze->refused = squeeze->budget != 0 && !set_budget(squeeze);
    }
    if (squeeze->settled_ns == 0 && (squeeze->budget == 0 || has_settled(squeeze))) {
        squeeze->settled_ns = bench_now_ns();
    }
    process_read(squeeze->suite->target.pid, &sample);
    if (squeeze->settled_ns != 0 && sample.available &&
        sample.resident_bytes > squeeze->resident_max) {
        squeeze->resident_max = sample.resident_bytes;
    }
}

static bool run(struct squeeze *squeeze) {
    struct suite *suite = squeeze->suite;
    double warmup = suite_warmup(suite, WARMUP_S), seconds = suite_seconds(suite, MEASURE_S);
    uint64_t start_ns = bench_now_ns();
    uint64_t begin_ns = start_ns + (uint64_t)(warmup * (double)BENCH_NS);
    uint64_t end_ns = begin_ns + (uint64_t)(seconds * (double)BENCH_NS);
    const struct asker_plan plan = {.rate = suite_rate(suite),
                                    .bursts = true,
                                    .number = suite->streams++,
                                    .start_ns = start_ns,
                                    .begin_ns = begin_ns,
                                    .end_ns = end_ns};
    squeeze->changed_ns = squeeze->settled_ns = squeeze->resident_max = 0;
    asker_close(&squeeze->asker);
    if (!asker_open(&squeeze->asker, &suite->wire, &suite->answers, &plan)) {
        return false;
    }
    squeeze->traffic = (struct traffic){.wire = &suite->wire,
                                        .sources = {&squeeze->asker.source},
                                        .source_count = 1,
                                        .tick = on_tick,
                                        .tick_context = squeeze,
                                        .what = "squeeze",
                                        .start_ns = start_ns,
                                        .end_ns = end_ns};
    if (!traffic_run(&squeeze->traffic)) {
        return false;
    }
    if (squeeze->changed_ns == 0 || squeeze->settled_ns == 0) {
        on_tick(squeeze); /* too short for a tick, or busy until now */
    }
    while (squeeze->settled_ns == 0 && bench_seconds_since(squeeze->changed_ns) < SETTLE_S_MAX) {
        bench_sleep(0.05);
        on_tick(squeeze);
    }
    return true;
}

/* ---- Report --------------------------------------------------------------------------------- */

static void number(struct report *report, const struct level *level, const char *key,
                   const char *label, double value) {
    char full_key[56], full_label[96];
    (void)snprintf(full_key, sizeof(full_key), "%s_%s", level->key, key);
    (void)snprintf(full_label, sizeof(full_label), "%s: %s", level->label, label);
    report_number(report, full_key, full_label, value);
}

static double p99_ms(const struct latency *latency) {
    return (double)latency_quantile(latency, 0.99) * 1e-6;
}

static void report_level(struct squeeze *squeeze, const struct level *level, uint64_t budget,
                         struct report *report) {
    const double mib = 1048576.0;
    const struct asker *asker = &squeeze->asker;
    double failures = (double)(asker->failed + asker->refused) + (squeeze->settled_ns == 0);
    double warm = p99_ms(asker->warm), over = (double)squeeze->resident_max / (double)budget;
    number(report, level, "budget_mib", "budget, MiB", (double)budget / mib);
    number(report, level, "warm_p50_ms", "warm p50, ms",
           (double)latency_quantile(asker->warm, 0.5) * 1e-6);
    number(report, level, "warm_p99_ms", "warm p99, ms", warm);
    number(report, level, "cold_p99_ms", "cold p99, ms", p99_ms(asker->cold));
    number(report, level, "failures", "searches that failed or were refused", failures);
    if (squeeze->settled_ns != 0) {
        number(report, level, "settle_s", "seconds until the budget held (looked at each second)",
               (double)(squeeze->settled_ns - squeeze->changed_ns) / (double)BENCH_NS);
    }
    number(report, level, "resident_mib", "most that was resident then, MiB",
           (double)squeeze->resident_max / mib);
    squeeze->failures += failures;
    const struct http_load *load = &squeeze->traffic.load;
    if (load->failed > 0) {
        (void)fprintf(stderr, "squeeze, %s: status %d: %s\n", level->label, load->first_status,
                      load->first_body);
    }
    squeeze->over_max = over > squeeze->over_max ? over : squeeze->over_max;
    if (level == &levels[0]) {
        squeeze->p99_first = warm;
    }
    if (level != &levels[LEVELS - 2]) {
        return;
    }
    if (warm <= 0.0 || squeeze->p99_first <= 0.0) {
        report_absent(report, "warm_p99_ratio", "warm p99 at 12 %: nobody asked in time");
    } else {
        double ratio = warm / squeeze->p99_first;
        report_number(report, "warm_p99_ratio", "warm p99 at 12 % over that at 100 %", ratio);
        report_target(report, "<= 3", ratio <= 3.0);
    }
}

static bool measure(struct squeeze *squeeze, struct report *report) {
    struct suite *suite = squeeze->suite;
    uint64_t most = suite->options->memory_budget, resident = 0, smallest = INS_MEMORY_BUDGET_MIN;
    for (uint32_t i = 0; i < LEVELS; i++) {
        uint64_t wanted = (uint64_t)((double)resident * levels[i].share);
        uint64_t budget = levels[i].share > 0.0 ? (wanted < smallest ? smallest : wanted) : most;
        squeeze->budget = i == 0 ? 0 : budget;
        if (!run(squeeze)) {
            return false;
        }
        if (squeeze->refused) {
            report_absent(report, "warm_p99_ratio", "the server takes no other budget");
            return true;
        }
        resident = i == 0 ? squeeze->resident_max : resident;
        report_level(squeeze, &levels[i], budget, report);
    }
    report_number(report, "failures", "searches that failed or were refused, in all",
                  squeeze->failures);
    report_target(report, "0", squeeze->failures == 0.0);
    report_number(report, "resident_over", "most that was resident, over its budget",
                  squeeze->over_max);
    report_target(report, "<= 1.05", squeeze->over_max <= 1.05);
    return true;
}

bool workload_squeeze(struct suite *suite, struct report *report) {
    struct squeeze *squeeze = calloc(1, sizeof(*squeeze));
    if (squeeze == NULL) {
        (void)bench_fail("no memory");
        return false;
    }
    squeeze->suite = suite;
    for (uint32_t t = 0; t < suite->world.tenant_count; t++) {
        suite->world.tenants[t].last_query_ns = 0;
    }
    suite_answers_reset(suite);
    bool good = true;
    if (!suite->target.own) {
        report_absent(report, "warm_p99_ratio", "needs a server of its own (no --url)");
    } else {
        good = target_restart(&suite->target, false) && measure(squeeze, report);
    }
    if (good) {
        answers_report(&suite->answers, report);
    }
    asker_close(&squeeze->asker);
    free(squeeze);
    return good;
}
