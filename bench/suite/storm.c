/* `storm`: small writes to many tenants beside searches; before and after it the same searches
 * alone, so that what the writes cost them is seen in one run. Then every write is read back. */
#include <stdlib.h>
#include <string.h>

#include "asker.h"
#include "suite.h"
#include "writer.h"

#define SETTLE_S_MAX 600.0

struct storm {
    struct suite *suite;
    struct report *report;
    struct asker before, beside, after;
    struct writer writer;
    struct asker *asking; /* of the three */
    bool writing;
    uint64_t stream;
    double *write_p99; /* [ASKER_SECONDS_MAX], ms */
    uint32_t ticks;
    struct traffic traffic;
    struct target_look begun, ended, settled;
};

static const double ms = 1e-6;

static void on_tick(void *context) {
    struct storm *storm = context;
    asker_tick(storm->asking);
    if (storm->writing && storm->ticks < ASKER_SECONDS_MAX) {
        storm->write_p99[storm->ticks++] =
            (double)latency_quantile(storm->writer.second, 0.99) * ms;
        memset(storm->writer.second, 0, sizeof(*storm->writer.second));
    }
}

/* Searches at a fifth of the rate for some seconds, beside the writes or alone. */
static bool run_phase(struct storm *storm, struct asker *asker, const char *what, double seconds,
                      bool writing) {
    struct suite *suite = storm->suite;
    uint64_t start_ns = bench_now_ns();
    uint64_t end_ns = start_ns + (uint64_t)(seconds * (double)BENCH_NS);
    const struct asker_plan plan = {.rate = suite_rate(suite) / 5.0,
                                    .bursts = true,
                                    .number = storm->stream, /* the same tenants in each phase */
                                    .start_ns = start_ns,
                                    .begin_ns = start_ns,
                                    .end_ns = end_ns};
    storm->asking = asker;
    storm->writing = writing;
    if (!asker_open(asker, &suite->wire, &suite->answers, &plan) ||
        (writing && !writer_open(&storm->writer, &suite->wire, &suite->answers, suite->streams++,
                                 start_ns, end_ns))) {
        return false;
    }
    storm->traffic = (struct traffic){.wire = &suite->wire,
                                      .sources = {&asker->source, &storm->writer.source},
                                      .source_count = writing ? 2 : 1,
                                      .tick = on_tick,
                                      .tick_context = storm,
                                      .what = what,
                                      .start_ns = start_ns,
                                      .end_ns = end_ns};
    return traffic_run(&storm->traffic);
}

/* ---- Report ---- */

static void report_writes(struct storm *storm, double seconds) {
    struct report *report = storm->report;
    const struct writer *writer = &storm->writer;
    report_number(report, "seconds", "seconds of writing", seconds);
    report_number(report, "points_per_s", "points written/s, acknowledged",
                  (double)writer->points / seconds);
    report_number(report, "overwritten", "points overwritten", (double)writer->overwritten);
    report_number(report, "made", "points made", (double)writer->made);
    report_number(report, "deleted", "points deleted", (double)writer->deleted);
    report_number(report, "write_refused", "writes refused for now (429)", (double)writer->refused);
    report_number(report, "write_p50_ms", "write: p50, ms",
                  (double)latency_quantile(writer->latency, 0.5) * ms);
    report_number(report, "write_p99_ms", "write: p99, ms",
                  (double)latency_quantile(writer->latency, 0.99) * ms);
    report_number(report, "write_max_ms", "write: max, ms", (double)writer->latency->max_ns * ms);
    report_number(report, "read_back", "writes searched for at once", (double)writer->read_back);
    report_number(report, "read_back_wrong",
                  "writes searched for at once and not seen as they should",
                  (double)writer->read_back_wrong);
    report_target(report, "0", writer->read_back_wrong == 0);
}

static void report_ratio(struct report *report, const char *key, const char *label, uint64_t bytes,
                         uint64_t points_bytes, double limit, const char *target) {
    double ratio = (double)bytes / (double)points_bytes;
    report_number(report, key, label, ratio);
    report_target(report, target, ratio <= limit);
}

/* Bytes over the bytes of the points that were acknowledged, until flush and merge are idle. */
static void report_amplification(const struct storm *storm) {
    struct report *report = storm->report;
    const struct server_stats *before = &storm->begun.stats, *after = &storm->settled.stats;
    uint64_t bytes = storm->writer.bytes;
    report_number(report, "write_mib", "MiB of points written: ids, vectors, payloads",
                  (double)bytes / 1048576.0);
    if (bytes == 0 || !before->available || !after->available) {
        report_absent(report, "amplification_log", "write amplification");
        return;
    }
    uint64_t log = after->log_bytes - before->log_bytes;
    report_ratio(report, "amplification_log", "gate: log over bytes of points", log, bytes, 1.15,
                 "<= 1.15");
    if (before->has_file_bytes && after->has_file_bytes) {
        uint64_t flush = after->flush_bytes - before->flush_bytes;
        uint64_t merge =
            after->merge_bytes - before->merge_bytes + after->clean_bytes - before->clean_bytes;
        report_ratio(report, "amplification_flush", "gate: log + flush over bytes of points",
                     log + flush, bytes, 2.5, "<= 2.5");
        report_ratio(report, "amplification_counted", "log + flush + merges by the server's count",
                     log + flush + merge, bytes, 4.0, "<= 4");
    } else {
        report_absent(report, "amplification_flush",
                      "gate: log + flush over bytes of points (not told)");
    }
    if (storm->begun.process.available && storm->settled.process.available) {
        report_ratio(report, "amplification_all",
                     "gate: all that the process sent to disk over bytes of points",
                     storm->settled.process.write_bytes - storm->begun.process.write_bytes, bytes,
                     4.0, "<= 4");
    }
}

static void report_searches(struct storm *storm) {
    struct report *report = storm->report;
    latency_merge(storm->before.all, storm->after.all);
    double alone = (double)latency_quantile(storm->before.all, 0.99) * ms;
    double beside = (double)latency_quantile(storm->beside.all, 0.99) * ms;
    report_number(report, "search_alone_count", "searches alone, before and after",
                  (double)storm->before.all->count);
    report_number(report, "search_alone_p99_ms", "  p99, ms", alone);
    report_number(report, "search_beside_count", "searches beside the writes",
                  (double)storm->beside.all->count);
    report_number(report, "search_beside_p50_ms", "  p50, ms",
                  (double)latency_quantile(storm->beside.all, 0.5) * ms);
    report_number(report, "search_beside_p99_ms", "  p99, ms", beside);
    report_number(report, "search_ratio", "gate: search p99 beside writes over alone",
                  beside / alone);
    report_target(report, "<= 2", alone > 0.0 && beside <= 2.0 * alone);
}

static void plot(struct storm *storm) {
    struct plot *plot = report_plot(storm->report, "p99 by second while writing", "s", "ms");
    plot->log_y = true;
    asker_plot(&storm->beside, plot_line(plot, "searches"), 0.0);
    struct plot_line *writes = plot_line(plot, "writes");
    for (uint32_t i = 1; i < storm->ticks; i++) {
        if (storm->write_p99[i] > 0.0) {
            plot_point(writes, (double)i, storm->write_p99[i]);
        }
    }
}

static bool measure(struct storm *storm) {
    struct suite *suite = storm->suite;
    const struct target *target = &suite->target;
    double seconds = suite_seconds(suite, suite->world.scale->storm_s);
    struct verified verified = {0};
    if (!run_phase(storm, &storm->before, "storm: searches alone", seconds / 2.0, false)) {
        return false;
    }
    target_look(target, &storm->begun);
    if (!run_phase(storm, &storm->beside, "storm", seconds, true)) {
        return false;
    }
    target_look(target, &storm->ended);
    report_writes(storm, seconds);
    traffic_report(&storm->traffic, storm->report);
    (void)target_settle(target, SETTLE_S_MAX);
    target_look(target, &storm->settled);
    if (!run_phase(storm, &storm->after, "storm: searches alone", seconds / 2.0, false) ||
        !verify_writes(&suite->wire, &suite->answers, storm->writer.begin_number, &verified)) {
        return false;
    }
    report_amplification(storm);
    report_searches(storm);
    verify_report(&verified, storm->report);
    answers_report(&suite->answers, storm->report);
    target_report(storm->report, &storm->begun, &storm->ended);
    plot(storm);
    return true;
}

bool workload_storm(struct suite *suite, struct report *report) {
    struct storm *storm = calloc(1, sizeof(*storm));
    bool good = storm != NULL;
    if (good) {
        storm->suite = suite;
        storm->report = report;
        storm->stream = suite->streams++;
        storm->write_p99 = calloc(ASKER_SECONDS_MAX, sizeof(double));
        good = storm->write_p99 != NULL && measure(storm);
        asker_close(&storm->before);
        asker_close(&storm->beside);
        asker_close(&storm->after);
        writer_close(&storm->writer);
        free(storm->write_p99);
    }
    free(storm);
    return good;
}
