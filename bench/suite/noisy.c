/* `noisy`: 50 tenants ask five times a second each; beside them one tenant takes what it can, in
 * five ways (aggressor.h). Do they see it?
 *
 * Quiet slices and slices with the aggressor take turns, so that a change of the machine hits both.
 * The victims' p99 beside it is compared with the larger of their p99 without it and of what a
 * control process got meanwhile (echo.h). A refused victim is an error: it did nothing. */
#include <stdlib.h>
#include <string.h>

#include "aggressor.h"
#include "asker.h"
#include "echo.h"
#include "suite.h"

#define VICTIMS 50u
#define VICTIM_RATE 5.0
#define VICTIM_SIZE_MAX 20000u
#define SECONDS 70.0 /* with each aggressor, and as long without */
#define WARMUP_S 10.0
#define TURNS_MAX 7u
#define TURN_S_MIN 2.0 /* a p99 of 500 searches */
#define SETTLE_S_MAX 30.0
#define RATIO_MAX 1.5

struct slice {
    struct latency victims, echo;
    uint64_t errors, refused;
    double late_ms;
};

struct noisy {
    struct suite *suite;
    struct report *report;
    struct source source; /* the victims */
    struct echo echo;
    uint32_t victims[VICTIMS];
    uint32_t victim_count;
    struct random random;
    uint64_t number, due_ns, end_ns;
    struct slice *slice; /* that runs now */
    struct slice slices[2][TURNS_MAX];
    struct aggressor_counts counts; /* of all turns of a kind */
    int first_status;               /* of a victim that got no answer */
};

static const double ms = 1e-6;

/* ---- Victims ---- */

static uint64_t victims_due(struct source *source) {
    const struct noisy *noisy = source->context;
    return noisy->due_ns < noisy->end_ns ? noisy->due_ns : HTTP_NEVER;
}

static size_t victims_make(struct source *source, struct op *op, char *out) {
    struct noisy *noisy = source->context;
    uint32_t victim = (uint32_t)(random_next(&noisy->random) % noisy->victim_count);
    double gap_s =
        random_exponential(&noisy->random, 1.0 / (VICTIM_RATE * (double)noisy->victim_count));
    noisy->due_ns += (uint64_t)(gap_s * (double)BENCH_NS);
    return asker_draw(&noisy->suite->wire, op, noisy->victims[victim], noisy->number++, out);
}

static void victims_done(struct source *source, struct op *op, const struct http_answer *answer) {
    struct noisy *noisy = source->context;
    struct hits hits;
    if (answer->status == 200) {
        (void)answers_check(&noisy->suite->answers, &op->query, answer, &hits);
        latency_add(&noisy->slice->victims, answer->latency_ns);
        return;
    }
    noisy->first_status = noisy->first_status == 0 ? answer->status : noisy->first_status;
    noisy->slice->errors++;
    noisy->slice->refused += answer->status == 429;
}

/* The largest ones that are not too large, but for the first: its searches are the aggressor's. */
static void choose_victims(struct noisy *noisy) {
    const struct world *world = &noisy->suite->world;
    for (uint32_t t = 1; t < world->tenant_count && noisy->victim_count < VICTIMS; t++) {
        if (world->tenants[t].size <= VICTIM_SIZE_MAX) {
            noisy->victims[noisy->victim_count++] = t;
        }
    }
    INS_ASSERT(noisy->victim_count > 0);
    report_number(noisy->report, "victims", "victims, 5 searches/s each",
                  (double)noisy->victim_count);
    report_number(noisy->report, "victim_most", "points of the largest victim",
                  (double)world->tenants[noisy->victims[0]].size);
    report_number(noisy->report, "victim_least", "points of the smallest victim",
                  (double)world->tenants[noisy->victims[noisy->victim_count - 1]].size);
}

/* ---- Slices ---- */

static bool run_slice(struct noisy *noisy, struct slice *slice, const char *what) {
    struct traffic traffic = {.wire = &noisy->suite->wire,
                              .sources = {&noisy->source},
                              .source_count = 1,
                              .what = what,
                              .start_ns = bench_now_ns(),
                              .end_ns = noisy->end_ns};
    memset(slice, 0, sizeof(*slice));
    noisy->slice = slice;
    noisy->due_ns = traffic.start_ns;
    bool good = echo_measure(&noisy->echo, &slice->echo) && traffic_run(&traffic);
    slice->late_ms = (double)latency_quantile(&traffic.load.lateness, 0.99) * ms;
    return echo_measure(&noisy->echo, NULL) && good;
}

static void add_counts(struct aggressor_counts *into, const struct aggressor_counts *from) {
    into->seconds += from->seconds;
    into->answered += from->answered;
    into->refused += from->refused;
    into->told += from->told;
    into->failed += from->failed;
    into->points += from->points;
    into->first_status = into->first_status == 0 ? from->first_status : into->first_status;
}

/* Without it, then beside it. */
static bool run_turn(struct noisy *noisy, const struct aggressor *aggressor, uint32_t turn,
                     double seconds) {
    uint64_t span_ns = (uint64_t)(seconds * (double)BENCH_NS);
    struct aggressor_counts counts;
    char what[64];
    (void)snprintf(what, sizeof(what), "noisy, before %s", aggressor_text(aggressor->kind));
    noisy->end_ns = bench_now_ns() + span_ns;
    if (!run_slice(noisy, &noisy->slices[0][turn], what)) {
        return false;
    }
    (void)snprintf(what, sizeof(what), "noisy, beside %s", aggressor_text(aggressor->kind));
    noisy->end_ns = bench_now_ns() + span_ns;
    if (!aggressor_begin(aggressor, noisy->end_ns) ||
        !run_slice(noisy, &noisy->slices[1][turn], what) || !aggressor_end(aggressor, &counts)) {
        return false;
    }
    add_counts(&noisy->counts, &counts);
    return true;
}

/* ---- Report ---- */

enum which { OF_VICTIMS, OF_ECHO };

static double p99_ms(const struct slice *slice, enum which which) {
    return (double)latency_quantile(which == OF_ECHO ? &slice->echo : &slice->victims, 0.99) * ms;
}

static double median_ms(const struct slice *slices, uint32_t turns, enum which which) {
    double values[TURNS_MAX];
    for (uint32_t i = 0; i < turns; i++) {
        values[i] = p99_ms(&slices[i], which);
    }
    return bench_median(values, turns);
}

static void number(struct noisy *noisy, enum aggressor_kind kind, const char *key,
                   const char *label, double value) {
    char full_key[56], full_label[96];
    (void)snprintf(full_key, sizeof(full_key), "%s_%s", aggressor_text(kind), key);
    (void)snprintf(full_label, sizeof(full_label), "%s: %s", aggressor_text(kind), label);
    report_number(noisy->report, full_key, full_label, value);
}

static void report_ratio(struct noisy *noisy, enum aggressor_kind kind, uint32_t turns) {
    double before = median_ms(noisy->slices[0], turns, OF_VICTIMS);
    double during = median_ms(noisy->slices[1], turns, OF_VICTIMS);
    double echo = median_ms(noisy->slices[1], turns, OF_ECHO);
    double ratio = during / (before > echo ? before : echo), least = 0.0, most = 0.0;
    for (uint32_t i = 0; i < turns; i++) {
        double own = p99_ms(&noisy->slices[0][i], OF_VICTIMS);
        double control = p99_ms(&noisy->slices[1][i], OF_ECHO);
        double each = p99_ms(&noisy->slices[1][i], OF_VICTIMS) / (own > control ? own : control);
        least = i == 0 || each < least ? each : least;
        most = each > most ? each : most;
    }
    number(noisy, kind, "before_p99_ms", "victims' p99 without it, ms", before);
    number(noisy, kind, "p99_ms", "victims' p99 beside it, ms", during);
    number(noisy, kind, "echo_p99_ms", "the control process's p99 beside it, ms", echo);
    number(noisy, kind, "ratio", "gate: p99 over the larger of the other two", ratio);
    report_target(noisy->report, "<= 1.5", ratio <= RATIO_MAX);
    number(noisy, kind, "ratio_min", "  smallest of a turn", least);
    number(noisy, kind, "ratio_max", "  largest of a turn", most);
}

static void report_kind(struct noisy *noisy, enum aggressor_kind kind, uint32_t turns) {
    const struct aggressor_counts *counts = &noisy->counts;
    uint64_t errors = 0, queries = 0;
    double late = 0.0;
    for (uint32_t i = 0; i < 2 * turns; i++) {
        const struct slice *slice = &noisy->slices[i % 2][i / 2];
        errors += slice->errors;
        queries += slice->victims.count;
        late = slice->late_ms > late ? slice->late_ms : late;
    }
    number(noisy, kind, "victim_queries", "searches of victims answered", (double)queries);
    report_ratio(noisy, kind, turns);
    number(noisy, kind, "victim_errors", "gate: searches of victims refused or failed",
           (double)errors);
    report_target(noisy->report, "0", errors == 0);
    number(noisy, kind, "answered_per_s", "aggressor's requests answered a second",
           (double)counts->answered / counts->seconds);
    number(noisy, kind, "points_per_s", "aggressor's points written a second",
           (double)counts->points / counts->seconds);
    number(noisy, kind, "refused", "aggressor's requests refused (429)", (double)counts->refused);
    number(noisy, kind, "refused_untold", "gate: of those, not told when to come again",
           (double)(counts->refused - counts->told));
    report_target(noisy->report, "0", counts->refused == counts->told);
    number(noisy, kind, "failed", "aggressor's requests that failed", (double)counts->failed);
    number(noisy, kind, "lateness_p99_ms", "generator: lateness p99, the worst slice's, ms", late);
}

/* ---- All kinds ---- */

/* What it wrote is not to be flushed and merged beside a slice without it. */
static void settle(const struct noisy *noisy, enum aggressor_kind kind) {
    if (aggressor_writes(kind)) {
        (void)target_settle(&noisy->suite->target, SETTLE_S_MAX);
    }
}

/* A creation is one whole, since what it makes is built when all is written: one long turn. */
static bool measure_kind(struct noisy *noisy, enum aggressor_kind kind, double seconds) {
    struct aggressor aggressor;
    double turns_fit = seconds / TURN_S_MIN;
    uint32_t turns = kind == AGGRESSOR_CREATE || turns_fit < 1.0 ? 1
                     : turns_fit >= TURNS_MAX                    ? TURNS_MAX
                                                                 : (uint32_t)turns_fit;
    noisy->counts = (struct aggressor_counts){0};
    bool good = aggressor_open(&aggressor, &noisy->suite->wire, kind);
    for (uint32_t turn = 0; good && turn < turns; turn++) {
        good = run_turn(noisy, &aggressor, turn, seconds / turns);
        settle(noisy, kind);
    }
    aggressor_close(&aggressor);
    if (!good || !aggressor_clean(&aggressor, &noisy->suite->wire)) {
        return false;
    }
    settle(noisy, kind);
    report_kind(noisy, kind, turns);
    return true;
}

static bool measure(struct noisy *noisy) {
    struct suite *suite = noisy->suite;
    const char *only = suite->options->kind;
    struct target_look before, after;
    double seconds = suite_seconds(suite, SECONDS);
    choose_victims(noisy);
    noisy->end_ns = bench_now_ns() + (uint64_t)(suite_warmup(suite, WARMUP_S) * (double)BENCH_NS);
    if (!run_slice(noisy, &noisy->slices[0][0], "noisy, warm-up")) {
        return false;
    }
    target_look(&suite->target, &before);
    for (enum aggressor_kind kind = 0; kind < AGGRESSOR_KINDS; kind++) {
        bool wanted = only == NULL || strcmp(only, aggressor_text(kind)) == 0;
        if (wanted && !measure_kind(noisy, kind, seconds)) {
            return false;
        }
    }
    target_look(&suite->target, &after);
    if (noisy->first_status != 0) {
        report_number(noisy->report, "first_status", "status of the first victim without an answer",
                      (double)noisy->first_status);
    }
    answers_report(&suite->answers, noisy->report);
    target_report(noisy->report, &before, &after);
    return true;
}

/* Whether --kind, where it is told, names one. */
static bool knows(const char *only) {
    bool known = only == NULL;
    for (enum aggressor_kind kind = 0; kind < AGGRESSOR_KINDS && !known; kind++) {
        known = strcmp(only, aggressor_text(kind)) == 0;
    }
    if (!known) {
        (void)bench_fail("--kind %s: want queries, upserts, filtered, create or slow", only);
    }
    return known;
}

bool workload_noisy(struct suite *suite, struct report *report) {
    struct noisy *noisy = calloc(1, sizeof(*noisy));
    bool good = noisy != NULL && knows(suite->options->kind);
    if (good) {
        noisy->suite = suite;
        noisy->report = report;
        noisy->source = (struct source){
            .context = noisy, .due = victims_due, .make = victims_make, .done = victims_done};
        noisy->random = random_of(suite->world.seed, BENCH_ARRIVAL, 1, suite->streams++);
        good = echo_open(&noisy->echo, suite->target.pid) && measure(noisy);
        echo_close(&noisy->echo);
    }
    free(noisy);
    return good;
}
