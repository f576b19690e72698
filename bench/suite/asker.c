#include "asker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double ms = 1e-6;

#define MOST_ASKED 64u
#define SLICE_QUERIES_MIN 5000u /* for a p99 of its own */

/* Top 10 (90 %), 100 (8 %), 1000 (2 %); 60 % without a filter, 30 % one condition, 10 % two. */
size_t asker_draw(const struct wire *wire, struct op *op, uint32_t tenant, uint64_t number,
                  char *out) {
    struct random random = random_of(wire->world->seed, BENCH_QUERY, tenant, ~number);
    double limit = random_unit(&random), filter = random_unit(&random);
    op->tenant = op->query.tenant = tenant;
    op->query.limit = limit <= 0.9 ? 10 : limit <= 0.98 ? 100 : 1000;
    op->query.condition_count = filter <= 0.6 ? 0 : filter <= 0.9 ? 1 : 2;
    bool against = false;
    for (uint32_t i = 0; i < op->query.condition_count; i++) {
        op->query.conditions[i] = condition_draw(wire->world, tenant, &random);
        against = against || op->query.conditions[i].kind == CONDITION_FAR;
    }
    world_query(wire->world, tenant, number, against, op->vector);
    return wire_query(wire, &op->query, out);
}

static uint64_t asker_due(struct source *source) {
    struct asker *asker = source->context;
    uint64_t due_ns = arrivals_due(&asker->arrivals);
    while (asker->abandon_ns != 0 && due_ns != HTTP_NEVER &&
           due_ns + asker->abandon_ns < bench_now_ns()) {
        asker->shares[arrivals_take(&asker->arrivals).tenant].offered++;
        asker->abandoned++;
        due_ns = arrivals_due(&asker->arrivals);
    }
    return due_ns;
}

static size_t asker_make(struct source *source, struct op *op, char *out) {
    struct asker *asker = source->context;
    struct arrival arrival = arrivals_take(&asker->arrivals);
    if (asker->stand_ins != NULL) {
        uint32_t stand_in = asker->stand_ins[arrival.tenant];
        return asker_draw(asker->wire, op, stand_in, asker->number++, out);
    }
    struct tenant *tenant = &asker->world->tenants[arrival.tenant];
    op->cold = tenant->last_query_ns == 0 || arrival.at_ns - tenant->last_query_ns > COLD_NS;
    op->probe = arrival.probe;
    tenant->last_query_ns = arrival.at_ns;
    return asker_draw(asker->wire, op, arrival.tenant, asker->number++, out);
}

static void count_second(struct asker *asker, uint32_t tenant, uint64_t at_ns) {
    uint32_t rank = asker->world->tenants[tenant].popularity;
    uint64_t second = (at_ns - asker->begin_ns) / BENCH_NS;
    if (rank < MOST_ASKED && second < ASKER_SECONDS_MAX) {
        asker->seconds[rank * ASKER_SECONDS_MAX + second]++;
        asker->second_count =
            second >= asker->second_count ? (uint32_t)second + 1 : asker->second_count;
    }
}

static void measure(struct asker *asker, const struct op *op, const struct http_answer *answer) {
    uint64_t span_ns = asker->end_ns - asker->begin_ns;
    uint64_t slice = (answer->start_ns - asker->begin_ns) * ASKER_SLICES / span_ns;
    if (op->probe) {
        latency_add(asker->probes, answer->latency_ns);
        return; /* reported apart */
    }
    latency_add(asker->all, answer->latency_ns);
    latency_add(op->cold ? asker->cold : asker->warm, answer->latency_ns);
    latency_add(&asker->classes[size_class(asker->world->tenants[op->tenant].size)],
                answer->latency_ns);
    latency_add(&asker->slices[slice < ASKER_SLICES ? slice : ASKER_SLICES - 1],
                answer->latency_ns);
    count_second(asker, op->tenant, answer->start_ns);
}

static void asker_done(struct source *source, struct op *op, const struct http_answer *answer) {
    struct asker *asker = source->context;
    bool measured = answer->start_ns >= asker->begin_ns && answer->start_ns < asker->end_ns;
    struct hits hits;
    asker->shares[op->tenant].offered += measured;
    asker->shares[op->tenant].good += measured && answer->status == 200;
    if (answer->status == 200) {
        (void)answers_check(asker->answers, &op->query, answer, &hits);
        latency_add(asker->second, answer->latency_ns);
        if (measured) {
            measure(asker, op, answer);
            asker->good++;
        }
    } else if (measured && (answer->status == 429 || answer->status == 503)) {
        asker->refused++;
        asker->retry_after += answer->retry_after;
    } else if (measured) {
        asker->failed++;
    }
}

void asker_tick(struct asker *asker) {
    if (asker->ticks < ASKER_SECONDS_MAX) {
        asker->second_p99[asker->ticks++] = (double)latency_quantile(asker->second, 0.99) * ms;
    }
    memset(asker->second, 0, sizeof(*asker->second));
}

void asker_plot(const struct asker *asker, struct plot_line *line, double from_s) {
    for (uint32_t i = 1; i < asker->ticks; i++) { /* the first tick is at once */
        if (asker->second_p99[i] > 0.0) {
            plot_point(line, from_s + (double)i, asker->second_p99[i]);
        }
    }
}

bool asker_open(struct asker *asker, const struct wire *wire, struct answers *answers,
                const struct asker_plan *plan) {
    *asker = (struct asker){
        .source = {.context = asker, .due = asker_due, .make = asker_make, .done = asker_done},
        .world = wire->world,
        .wire = wire,
        .answers = answers,
        .begin_ns = plan->begin_ns,
        .end_ns = plan->end_ns,
        .stand_ins = plan->stand_ins,
        .number = plan->number << 40,
        .all = calloc(5 + SIZE_CLASSES + ASKER_SLICES, sizeof(struct latency)),
        .seconds = calloc((size_t)MOST_ASKED * ASKER_SECONDS_MAX, sizeof(uint32_t)),
        .second_p99 = calloc(ASKER_SECONDS_MAX, sizeof(double)),
        .shares = calloc(wire->world->tenant_count, sizeof(struct share)),
    };
    const struct arrivals_plan arrivals = {.rate = plan->rate,
                                           .bursts = plan->bursts,
                                           .probes = plan->probes,
                                           .number = plan->number,
                                           .start_ns = plan->start_ns,
                                           .end_ns = plan->end_ns};
    if (asker->all == NULL || asker->seconds == NULL || asker->second_p99 == NULL ||
        asker->shares == NULL || !arrivals_open(&asker->arrivals, wire->world, &arrivals)) {
        asker_close(asker);
        return false;
    }
    asker->warm = asker->all + 1;
    asker->cold = asker->all + 2;
    asker->probes = asker->all + 3;
    asker->second = asker->all + 4;
    asker->classes = asker->all + 5;
    asker->slices = asker->classes + SIZE_CLASSES;
    return true;
}

void asker_close(struct asker *asker) {
    free(asker->all);
    free(asker->seconds);
    free(asker->second_p99);
    free(asker->shares);
    arrivals_close(&asker->arrivals);
    *asker = (struct asker){0};
}

/* ---- Report ---- */

double asker_p99_ms(const struct asker *asker) {
    double values[ASKER_SLICES];
    for (size_t i = 0; i < ASKER_SLICES; i++) {
        if (asker->slices[i].count < SLICE_QUERIES_MIN) {
            return (double)latency_quantile(asker->all, 0.99) * ms;
        }
        values[i] = (double)latency_quantile(&asker->slices[i], 0.99) * ms;
    }
    return bench_median(values, ASKER_SLICES);
}

static void report_quantiles(struct report *report, const char *key, const char *label,
                             const struct latency *latency) {
    static const struct {
        const char *name;
        double quantile;
    } quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};
    char full_key[56], full_label[96];
    (void)snprintf(full_key, sizeof(full_key), "%s_count", key);
    (void)snprintf(full_label, sizeof(full_label), "%s: queries", label);
    report_number(report, full_key, full_label, (double)latency->count);
    for (size_t i = 0; i < 3 && latency->count > 0; i++) {
        (void)snprintf(full_key, sizeof(full_key), "%s_%s_ms", key, quantiles[i].name);
        (void)snprintf(full_label, sizeof(full_label), "%s: %s, ms", label, quantiles[i].name);
        report_number(report, full_key, full_label,
                      (double)latency_quantile(latency, quantiles[i].quantile) * ms);
    }
}

/* Variance over mean of the counts in bins of a second; the median of the most asked tenants. */
static void report_dispersion(const struct asker *asker, struct report *report) {
    double values[MOST_ASKED];
    size_t count = 0;
    for (uint32_t rank = 0; rank < MOST_ASKED; rank++) {
        double sum = 0.0, squares = 0.0, bins = (double)asker->second_count;
        for (uint32_t s = 0; s < asker->second_count; s++) {
            double value = (double)asker->seconds[rank * ASKER_SECONDS_MAX + s];
            sum += value;
            squares += value * value;
        }
        if (sum > 0.0 && bins > 1.0) {
            double mean = sum / bins;
            values[count++] = (squares - bins * mean * mean) / (bins - 1.0) / mean;
        }
    }
    if (count > 0) {
        report_number(report, "dispersion", "index of dispersion, 1 s bins, median tenant",
                      bench_median(values, count));
    }
}

static void plot_quantiles(const struct asker *asker, struct report *report) {
    struct plot *plot =
        report_plot(report, "Latency by share of the queries", "nines (1 = 90 %)", "ms");
    const struct {
        const char *name;
        const struct latency *latency;
    } lines[] = {{"all", asker->all}, {"warm", asker->warm}, {"cold", asker->cold}};
    plot->log_y = true;
    for (size_t i = 0; i < 3; i++) {
        if (lines[i].latency->count < 2) {
            continue;
        }
        struct plot_line *line = plot_line(plot, lines[i].name);
        double most = log10((double)lines[i].latency->count);
        for (int step = 1; step <= 100 && step * 0.05 <= most; step++) {
            double nines = step * 0.05;
            uint64_t value = latency_quantile(lines[i].latency, 1.0 - pow(10.0, -nines));
            plot_point(line, nines, (double)value * ms);
        }
    }
}

void asker_report(struct asker *asker, double rate, struct report *report) {
    double seconds = (double)(asker->end_ns - asker->begin_ns) / (double)BENCH_NS;
    report_number(report, "rate_asked", "queries/s asked, on average over a long time", rate);
    report_number(report, "rate_reached", "queries/s answered", (double)asker->good / seconds);
    report_number(report, "search_refused", "searches refused (429, 503)", (double)asker->refused);
    report_quantiles(report, "search", "search", asker->all);
    report_number(report, "search_max_ms", "search: max, ms", (double)asker->all->max_ns * ms);
    report_quantiles(report, "warm", "warm", asker->warm);
    report_quantiles(report, "cold", "cold (first for 10 minutes, main stream)", asker->cold);
    report_quantiles(report, "probe", "cold probes", asker->probes);
    for (uint32_t class = 0; class < SIZE_CLASSES; class ++) {
        char key[56], label[96];
        if (asker->classes[class].count == 0) {
            continue;
        }
        (void)snprintf(key, sizeof(key), "size%u", class);
        (void)snprintf(label, sizeof(label), "tenants of %s points", size_class_text(class));
        report_quantiles(report, key, label, &asker->classes[class]);
    }
    double slices[ASKER_SLICES];
    for (size_t i = 0; i < ASKER_SLICES; i++) {
        slices[i] = (double)latency_quantile(&asker->slices[i], 0.99) * ms;
    }
    double median = bench_median(slices, ASKER_SLICES);
    report_number(report, "search_p99_slices_ms", "search: p99, median of 7 slices, ms", median);
    report_number(report, "search_p99_slice_min_ms", "  smallest", slices[0]);
    report_number(report, "search_p99_slice_max_ms", "  largest", slices[ASKER_SLICES - 1]);
    report_dispersion(asker, report);
    plot_quantiles(asker, report);
}
