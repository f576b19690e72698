/* `promise`: does a tenant notice that the others exist? The made world's server beside one of the
 * same build that holds six tenants only (few.h), under the same arrivals: each search of the
 * world is put to the six tenants' server too, to the tenant of its size class there.
 *
 * First both take turns at the scale's rate: p50 and p99 of warm searches, and CPU a search, as
 * ratios of the medians. Then the highest rate at which the warm p99 is below 50 ms is looked for
 * on both, in turns as well. All steps of that draw the same stream of arrivals, so that who is ON
 * is the same at all rates and on both. Cold probes go to the world's server only: the six are all
 * warm. */
#include <stdlib.h>

#include "asker.h"
#include "few.h"
#include "limit.h"

#define P99_MS 50.0
#define TURNS 7u
#define SLICE_S 10.0
#define WARMUP_S 30.0
#define ABANDON_NS (2u * BENCH_NS)
#define RATE_RATIO_MIN 0.6
#define P50_RATIO_MAX 1.3
#define P99_RATIO_MAX 3.0

enum { MANY, FEW, SIDES };

struct step {
    double p50_ms, p99_ms, reached, cpu_us, late_ms;
    uint64_t good, refused, failed, abandoned;
};

struct side {
    const char *key, *text;
    const struct wire *wire;
    const uint32_t *stand_ins;
    struct step slices[TURNS]; /* at the scale's rate */
    struct limit limit;
    double reached; /* searches answered a second at limit.low */
};

struct promise {
    struct suite *suite;
    struct report *report;
    struct few few;
    struct side sides[SIDES];
    struct asker asker;
    struct traffic traffic;
};

static const double ms = 1e-6;

/* ---- One step ---- */

static void on_tick(void *context) {
    asker_tick(&((struct promise *)context)->asker);
}

static struct step step_of(const struct promise *promise, double seconds, double cpu_s) {
    const struct asker *asker = &promise->asker;
    uint64_t answered = asker->all->count + asker->probes->count;
    return (struct step){
        .p50_ms = (double)latency_quantile(asker->warm, 0.5) * ms,
        .p99_ms = (double)latency_quantile(asker->warm, 0.99) * ms,
        .reached = (double)asker->good / seconds,
        .cpu_us = answered > 0 ? cpu_s * 1e6 / (double)answered : 0.0,
        .late_ms = (double)latency_quantile(&promise->traffic.load.lateness, 0.99) * ms,
        .good = asker->good,
        .refused = asker->refused,
        .failed = asker->failed,
        .abandoned = asker->abandoned,
    };
}

static bool run_step(struct promise *promise, const struct side *side, double rate, double seconds,
                     uint64_t stream, struct step *out_step) {
    struct process_sample before, after;
    uint64_t start_ns = bench_now_ns();
    uint64_t end_ns = start_ns + (uint64_t)(seconds * (double)BENCH_NS);
    const struct asker_plan plan = {.rate = rate,
                                    .bursts = true,
                                    .probes = side->stand_ins == NULL,
                                    .number = stream,
                                    .stand_ins = side->stand_ins,
                                    .start_ns = start_ns,
                                    .begin_ns = start_ns,
                                    .end_ns = end_ns};
    asker_close(&promise->asker);
    if (!asker_open(&promise->asker, side->wire, &promise->suite->answers, &plan)) {
        return false;
    }
    promise->asker.abandon_ns = ABANDON_NS;
    promise->traffic = (struct traffic){.wire = side->wire,
                                        .sources = {&promise->asker.source},
                                        .source_count = 1,
                                        .tick = on_tick,
                                        .tick_context = promise,
                                        .what = side->text,
                                        .start_ns = start_ns,
                                        .end_ns = end_ns};
    process_read(side->wire->target->pid, &before);
    if (!traffic_run(&promise->traffic)) {
        return false;
    }
    process_read(side->wire->target->pid, &after);
    *out_step = step_of(promise, seconds, after.cpu_s - before.cpu_s);
    return true;
}

/* ---- Turns at the scale's rate ---- */

static bool run_turns(struct promise *promise) {
    struct suite *suite = promise->suite;
    double rate = suite_rate(suite), warmup = suite_warmup(suite, WARMUP_S);
    double seconds = suite_seconds(suite, SLICE_S);
    struct step ignored;
    uint64_t stream = suite->streams++;
    for (uint32_t s = 0; s < SIDES && warmup > 0.0; s++) {
        if (!run_step(promise, &promise->sides[s], rate, warmup, stream, &ignored)) {
            return false;
        }
    }
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        stream = suite->streams++;
        for (uint32_t s = 0; s < SIDES; s++) {
            struct side *side = &promise->sides[s];
            if (!run_step(promise, side, rate, seconds, stream, &side->slices[turn])) {
                return false;
            }
        }
    }
    return true;
}

enum which { P50, P99, CPU };

static double value_of(const struct step *step, enum which which) {
    return which == P50 ? step->p50_ms : which == P99 ? step->p99_ms : step->cpu_us;
}

static double median_of(const struct side *side, enum which which) {
    double values[TURNS];
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        values[turn] = value_of(&side->slices[turn], which);
    }
    return bench_median(values, TURNS);
}

static void number(struct report *report, const char *key, const char *label, const char *which,
                   const char *what, double value) {
    char full_key[56], full_label[96];
    (void)snprintf(full_key, sizeof(full_key), "%s_%s", key, which);
    (void)snprintf(full_label, sizeof(full_label), "%s: %s", label, what);
    report_number(report, full_key, full_label, value);
}

/* `most` 0: no target. */
static void report_ratio(const struct promise *promise, enum which which, const char *name,
                         const char *what, double most) {
    struct report *report = promise->report;
    const struct side *many = &promise->sides[MANY], *few = &promise->sides[FEW];
    double least_turn = 0.0, most_turn = 0.0;
    char key[56], target[24];
    for (uint32_t s = 0; s < SIDES; s++) {
        const struct side *side = &promise->sides[s];
        number(report, side->key, side->text, name, what, median_of(side, which));
    }
    (void)snprintf(key, sizeof(key), "%s_ratio", name);
    if (median_of(few, which) <= 0.0) {
        report_absent(report, key, what);
        return;
    }
    double ratio = median_of(many, which) / median_of(few, which);
    number(report, name,
           most > 0.0 ? "gate, the world's over the six's" : "the world's over the six's", "ratio",
           what, ratio);
    if (most > 0.0) {
        (void)snprintf(target, sizeof(target), "<= %g", most);
        report_target(report, target, ratio <= most);
    }
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        double below = value_of(&few->slices[turn], which);
        double each = below > 0.0 ? value_of(&many->slices[turn], which) / below : 0.0;
        least_turn = turn == 0 || each < least_turn ? each : least_turn;
        most_turn = each > most_turn ? each : most_turn;
    }
    number(report, name, "  smallest of a turn", "ratio_min", what, least_turn);
    number(report, name, "  largest of a turn", "ratio_max", what, most_turn);
}

static void report_turns(const struct promise *promise) {
    struct report *report = promise->report;
    uint64_t bad = 0, good[SIDES] = {0};
    double late = 0.0;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        for (uint32_t s = 0; s < SIDES; s++) {
            const struct step *step = &promise->sides[s].slices[turn];
            bad += step->refused + step->failed + step->abandoned;
            good[s] += step->good;
            late = step->late_ms > late ? step->late_ms : late;
        }
    }
    report_number(report, "rate_asked", "searches/s asked in the turns",
                  suite_rate(promise->suite));
    report_number(report, "many_count", "searches answered by the world's server in the turns",
                  (double)good[MANY]);
    report_number(report, "few_count", "searches answered by the six tenants' server",
                  (double)good[FEW]);
    report_number(report, "unanswered", "searches refused, failed or not sent in the turns",
                  (double)bad);
    report_target(report, "0", bad == 0);
    report_ratio(promise, P50, "p50_ms", "warm p50, ms", P50_RATIO_MAX);
    report_ratio(promise, P99, "p99_ms", "warm p99, ms", P99_RATIO_MAX);
    report_ratio(promise, CPU, "cpu_us", "server's CPU a search, us", 0.0);
    report_number(report, "lateness_p99_ms", "generator: lateness p99, the worst slice's, ms",
                  late);
    report_target(report, "<= 1", late <= 1.0);
}

/* ---- The highest rate ---- */

static bool is_too_much(const struct step *step) {
    return step->p99_ms >= P99_MS || step->refused + step->failed + step->abandoned > 0;
}

static bool try_side(struct promise *promise, struct side *side, double seconds, uint64_t stream) {
    struct step step;
    double rate = side->limit.rate;
    if (!run_step(promise, side, rate, seconds, stream, &step)) {
        return false;
    }
    if (!is_too_much(&step)) {
        side->reached = step.reached; /* rates that are not too much only rise */
    }
    limit_tell(&side->limit, is_too_much(&step));
    return true;
}

static bool find_limits(struct promise *promise) {
    struct suite *suite = promise->suite;
    double seconds = suite_seconds(suite, SLICE_S);
    uint64_t stream = suite->streams++;
    struct side *many = &promise->sides[MANY], *few = &promise->sides[FEW];
    many->limit = few->limit = limit_of(2.0 * suite_rate(suite));
    while (!limit_is_found(&many->limit) || !limit_is_found(&few->limit)) {
        for (uint32_t s = 0; s < SIDES; s++) {
            struct side *side = &promise->sides[s];
            if (!limit_is_found(&side->limit) && !try_side(promise, side, seconds, stream)) {
                return false;
            }
        }
    }
    return true;
}

static void report_limits(const struct promise *promise) {
    struct report *report = promise->report;
    for (uint32_t s = 0; s < SIDES; s++) {
        const struct side *side = &promise->sides[s];
        number(report, side->key, side->text, "rate",
               "most searches/s asked with a warm p99 below 50 ms", side->limit.low);
        number(report, side->key, side->text, "reached", "searches/s answered at that",
               side->reached);
    }
    double many = promise->sides[MANY].limit.low, few = promise->sides[FEW].limit.low;
    if (few <= 0.0) { /* the machine does not let even the six be asked */
        report_absent(report, "rate_ratio", "gate: the world's rate over the six tenants'");
        return;
    }
    report_number(report, "rate_ratio", "gate: the world's rate over the six tenants'", many / few);
    report_target(report, ">= 0.6", many / few >= RATE_RATIO_MIN);
}

/* ---- All ---- */

static bool measure(struct promise *promise) {
    struct suite *suite = promise->suite;
    struct report *report = promise->report;
    if (!few_open(&promise->few, suite)) {
        return false;
    }
    promise->sides[MANY] =
        (struct side){.key = "many", .text = "promise, all tenants", .wire = &suite->wire};
    promise->sides[FEW] = (struct side){.key = "few",
                                        .text = "promise, six tenants",
                                        .wire = &promise->few.wire,
                                        .stand_ins = promise->few.stand_ins};
    report_number(report, "few_tenants", "tenants of the other server, one of each size class",
                  (double)promise->few.count);
    report_number(report, "few_points", "points of those", (double)promise->few.points);
    for (uint32_t s = 0; s < SIDES; s++) {
        const struct side *side = &promise->sides[s];
        number(report, side->key, side->text, "points_asked", "points of who is asked, on average",
               few_points_asked(&suite->world, side->stand_ins));
    }
    if (!run_turns(promise)) {
        return false;
    }
    report_turns(promise);
    if (!find_limits(promise)) {
        return false;
    }
    report_limits(promise);
    answers_report(&suite->answers, report);
    return true;
}

/* The other server is of the same build, so the world's must be the run's own as well. */
bool workload_promise(struct suite *suite, struct report *report) {
    if (!suite->target.own) {
        report_absent(report, "rate_ratio", "gate: needs a server that the run starts itself");
        return true;
    }
    struct promise *promise = calloc(1, sizeof(*promise));
    if (promise == NULL) {
        (void)bench_fail("no memory");
        return false;
    }
    promise->suite = suite;
    promise->report = report;
    bool good = measure(promise);
    asker_close(&promise->asker);
    few_close(&promise->few);
    free(promise);
    return good;
}
