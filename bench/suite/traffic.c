#include "traffic.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Progress ---- */

void progress_begin(struct progress *progress, const char *what, uint64_t start_ns,
                    uint64_t end_ns) {
    *progress = (struct progress){
        .what = what, .start_ns = start_ns, .end_ns = end_ns, .last_ns = start_ns};
}

void progress_show(struct progress *progress, uint64_t count, double share) {
    uint64_t now_ns = bench_now_ns();
    bool terminal = isatty(STDERR_FILENO) == 1;
    if (progress->what == NULL || now_ns - progress->last_ns < (terminal ? 1u : 10u) * BENCH_NS) {
        return;
    }
    double seconds = (double)(now_ns - progress->last_ns) / (double)BENCH_NS;
    double passed = (double)(now_ns - progress->start_ns) / (double)BENCH_NS;
    int left = share > 0.0 ? (int)(passed / share - passed) : 0;
    (void)fprintf(stderr, "%s%s: %3.0f %%, %.0f/s, %d:%02d left%s", terminal ? "\r" : "",
                  progress->what, share * 100.0, (double)(count - progress->last_count) / seconds,
                  left / 60, left % 60, terminal ? "   " : "\n");
    progress->last_ns = now_ns;
    progress->last_count = count;
}

void progress_end(struct progress *progress) {
    if (progress->what != NULL && isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
    }
}

/* ---- The loop's callbacks ---- */

static uint64_t on_due(void *context) {
    struct traffic *traffic = context;
    uint64_t first_ns = HTTP_NEVER;
    for (uint32_t i = 0; i < traffic->source_count; i++) {
        uint64_t due_ns = traffic->sources[i]->due(traffic->sources[i]);
        if (due_ns < first_ns) {
            first_ns = due_ns;
            traffic->chosen = traffic->sources[i];
        }
    }
    return first_ns;
}

static size_t on_next(void *context, uint32_t connection, char *out) {
    struct traffic *traffic = context;
    struct op *op = &traffic->ops[connection];
    *op = (struct op){.source = traffic->chosen};
    op->due_ns = op->source->due(op->source);
    op->query.vector = op->vector;
    return op->source->make(op->source, op, out);
}

static void on_done(void *context, uint32_t connection, const struct http_answer *answer) {
    struct traffic *traffic = context;
    struct op *op = &traffic->ops[connection];
    op->excused = false;
    op->source->done(op->source, op, answer);
    traffic->load.excused = op->excused;
}

static size_t on_follow(void *context, uint32_t connection, char *out) {
    struct traffic *traffic = context;
    struct op *op = &traffic->ops[connection];
    return op->source == NULL || op->source->follow == NULL
               ? 0
               : op->source->follow(op->source, op, out);
}

static void on_tick(void *context) {
    struct traffic *traffic = context;
    uint64_t now_ns = bench_now_ns();
    double share =
        (double)(now_ns - traffic->start_ns) / (double)(traffic->end_ns - traffic->start_ns + 1);
    progress_show(&traffic->progress, traffic->load.good, share < 1.0 ? share : 1.0);
    if (traffic->tick != NULL) {
        traffic->tick(traffic->tick_context);
    }
}

bool traffic_run(struct traffic *traffic) {
    struct http_load *load = &traffic->load;
    uint32_t connections = traffic->connections == 0 ? TRAFFIC_CONNECTIONS : traffic->connections;
    *load = (struct http_load){
        .server = &traffic->wire->target->server,
        .connections = connections,
        .context = traffic,
        .next = on_next,
        .due = on_due,
        .done = on_done,
        .follow = on_follow,
        .tick = on_tick,
        .end_on_loss = traffic->end_on_loss,
    };
    traffic->ops = calloc(connections, sizeof(*traffic->ops));
    if (traffic->ops == NULL) {
        (void)bench_fail("no memory for %u requests", connections);
        return false;
    }
    progress_begin(&traffic->progress, traffic->what, traffic->start_ns, traffic->end_ns);
    bool good = http_load_run(load);
    progress_end(&traffic->progress);
    free(traffic->ops);
    traffic->ops = NULL;
    if (good && load->failed > 0 && !load->lost) {
        (void)bench_fail("%llu requests failed, first: %d %s", (unsigned long long)load->failed,
                         load->first_status, load->first_body);
    }
    return good;
}

void traffic_report(const struct traffic *traffic, struct report *report) {
    const struct http_load *load = &traffic->load;
    const double ms = 1e-6;
    report_number(report, "requests_failed", "requests that failed", (double)load->failed);
    report_target(report, "0", load->failed == 0);
    report_number(report, "requests_refused", "requests refused for now (429)",
                  (double)load->refused);
    double lateness = (double)latency_quantile(&load->lateness, 0.99) * ms;
    report_number(report, "lateness_p99_ms", "generator: lateness p99, ms (above 1: void)",
                  lateness);
    report_target(report, "<= 1", lateness <= 1.0);
    report_number(report, "waited_for_connection", "requests that waited for a free connection",
                  (double)load->waited);
}
