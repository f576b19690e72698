/* `restart`: kill -9 at a random moment of `storm`, and start again. Every acknowledged write must
 * be there, no part of another; how long until the first answer and until searches are as fast as
 * in `steady`; what an idle server holds. With a server of one's own only. */
#include <math.h>
#include <stdlib.h>

#include "asker.h"
#include "suite.h"
#include "truth.h"
#include "writer.h"

struct restart {
    struct suite *suite;
    struct report *report;
    struct writer writer;
    struct asker asker;
    struct traffic traffic;
};

static const double ms = 1e-6;

/* Writes until the server is gone. */
static bool run_until_killed(struct restart *restart) {
    struct suite *suite = restart->suite;
    double seconds = suite_seconds(suite, 20.0);
    uint64_t start_ns = bench_now_ns();
    uint64_t end_ns = start_ns + (uint64_t)(seconds * (double)BENCH_NS);
    struct writer *writer = &restart->writer;
    if (!writer_open(writer, &suite->wire, &suite->answers, suite->streams++, start_ns, end_ns)) {
        return false;
    }
    writer->kill_pid = suite->target.pid;
    writer->kill_ns = start_ns + (uint64_t)((0.4 + 0.5 * random_unit(&writer->random)) * seconds *
                                            (double)BENCH_NS);
    restart->traffic = (struct traffic){.wire = &suite->wire,
                                        .sources = {&writer->source},
                                        .source_count = 1,
                                        .end_on_loss = true,
                                        .what = "restart: writing",
                                        .start_ns = start_ns,
                                        .end_ns = end_ns};
    if (!traffic_run(&restart->traffic)) {
        return false;
    }
    if (!restart->traffic.load.lost) {
        (void)bench_fail("restart: the server outlived kill -9");
    }
    return restart->traffic.load.lost;
}

static bool first_answer(struct restart *restart, uint64_t start_ns) {
    struct suite *suite = restart->suite;
    struct truth truth = {0};
    struct latency *latency = calloc(1, sizeof(*latency));
    struct random random = random_of(suite->world.seed, BENCH_TRUTH, 0, suite->streams++);
    uint32_t tenant = (uint32_t)(random_next(&random) % suite->world.tenant_count);
    truth.query.tenant = tenant;
    world_query(&suite->world, tenant, 1ull << 61, false, truth.vector);
    bool good = latency != NULL && truth_ask(suite, &truth, latency);
    if (good) {
        report_number(restart->report, "first_answer_s",
                      "from the start to the first answer (any tenant), s",
                      bench_seconds_since(start_ns));
    }
    free(latency);
    return good;
}

static void on_tick(void *context) {
    asker_tick(&((struct restart *)context)->asker);
}

/* p99 of `steady` of the same run; 0 when that was not run. */
static double steady_p99(const struct suite *suite) {
    char path[600];
    struct report steady;
    suite_path(suite, "figures/steady.json", path);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0.0;
    }
    (void)fclose(file);
    if (!report_load(&steady, path)) {
        return 0.0;
    }
    const struct figure *figure = report_find(&steady, "search_p99_ms");
    double value = figure == NULL ? 0.0 : figure->value;
    report_free(&steady);
    return value;
}

static bool search_until_steady(struct restart *restart, uint64_t start_ns) {
    struct suite *suite = restart->suite;
    double wanted = steady_p99(suite), from_s = bench_seconds_since(start_ns);
    uint64_t now_ns = bench_now_ns();
    uint64_t end_ns = now_ns + (uint64_t)(suite_seconds(suite, 30.0) * (double)BENCH_NS);
    const struct asker_plan plan = {.rate = suite_rate(suite),
                                    .bursts = true,
                                    .number = suite->streams++,
                                    .start_ns = now_ns,
                                    .begin_ns = now_ns,
                                    .end_ns = end_ns};
    if (!asker_open(&restart->asker, &suite->wire, &suite->answers, &plan)) {
        return false;
    }
    restart->traffic = (struct traffic){.wire = &suite->wire,
                                        .sources = {&restart->asker.source},
                                        .source_count = 1,
                                        .tick = on_tick,
                                        .tick_context = restart,
                                        .what = "restart: searching",
                                        .start_ns = now_ns,
                                        .end_ns = end_ns};
    if (!traffic_run(&restart->traffic)) {
        return false;
    }
    struct plot *plot = report_plot(restart->report, "Search p99 after the restart", "s", "ms");
    asker_plot(&restart->asker, plot_line(plot, "p99"), from_s);
    for (uint32_t i = 1; wanted > 0.0 && i < restart->asker.ticks; i++) {
        if (restart->asker.second_p99[i] > 0.0 && restart->asker.second_p99[i] <= wanted) {
            report_number(restart->report, "steady_again_s",
                          "from the start to a second with the p99 of steady, s",
                          from_s + (double)i);
            return true;
        }
    }
    report_absent(restart->report, "steady_again_s",
                  "from the start to a second with the p99 of steady");
    return true;
}

static bool check_count(struct restart *restart) {
    const struct suite *suite = restart->suite;
    uint64_t count, wanted = world_live(&suite->world);
    if (suite->world.style == BENCH_STYLE_COLLECTION) {
        return true; /* there is no count of all collections */
    }
    if (!wire_count_all(&suite->wire, &count)) {
        (void)bench_fail("restart: no count of all points");
        return false;
    }
    report_number(restart->report, "count_difference", "points counted, more than there should be",
                  (double)count - (double)wanted);
    report_target(restart->report, "0", count == wanted);
    return true;
}

static bool measure(struct restart *restart) {
    struct suite *suite = restart->suite;
    struct report *report = restart->report;
    struct verified verified = {0};
    if (!run_until_killed(restart)) {
        return false;
    }
    report_number(report, "written", "points acknowledged before the kill",
                  (double)restart->writer.points);
    uint64_t start_ns = bench_now_ns();
    if (!target_restart(&suite->target, true)) {
        return false;
    }
    report_number(report, "listen_s", "from the start until it listens, s",
                  suite->target.child.listen_s);
    struct target_look idle, searched;
    target_look(&suite->target, &idle);
    if (!first_answer(restart, start_ns) ||
        !verify_writes(&suite->wire, &suite->answers, restart->writer.begin_number, &verified) ||
        !check_count(restart)) {
        return false;
    }
    verify_report(&verified, report);
    report_number(report, "idle_rss_mib", "resident MiB of the started, idle server",
                  (double)idle.process.resident_bytes / 1048576.0);
    report_number(report, "tenants", "tenants", (double)suite->world.tenant_count);
    target_look(&suite->target, &idle);
    if (!search_until_steady(restart, start_ns)) {
        return false;
    }
    target_look(&suite->target, &searched);
    report_number(report, "search_p99_ms", "search: p99 after the restart, ms",
                  (double)latency_quantile(restart->asker.all, 0.99) * ms);
    traffic_report(&restart->traffic, report);
    answers_report(&suite->answers, report);
    target_report(report, &idle, &searched);
    return true;
}

bool workload_restart(struct suite *suite, struct report *report) {
    if (!suite->target.own) {
        report_absent(report, "lost", "needs a server of its own (no --url)");
        return true;
    }
    struct restart *restart = calloc(1, sizeof(*restart));
    bool good = restart != NULL;
    if (good) {
        restart->suite = suite;
        restart->report = report;
        good = measure(restart);
        writer_close(&restart->writer);
        asker_close(&restart->asker);
    }
    free(restart);
    return good;
}
