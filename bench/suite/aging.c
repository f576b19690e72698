/* `aging`: ten cycles, each giving a tenth of every tenant's points new vectors and payloads;
 * recall after each against exact truth, memory and disk against those at the beginning. */
#include <stdlib.h>

#include "suite.h"
#include "truth.h"

#define CYCLES 10u
#define CYCLES_TEST 2u /* with --seconds: nobody reads the figures */
#define SHARE 0.1
#define CONNECTIONS 8u
#define RECALL_TENANTS 60u
#define SETTLE_S_MAX 600.0

struct batch {
    uint32_t tenant, count;
    struct wire_point points[WIRE_BATCH_MAX];
    bool again;
};

struct aging {
    struct suite *suite;
    struct report *report;
    struct http_load http;
    struct random random;
    uint32_t tenant, i; /* where the cycle is */
    struct batch batches[CONNECTIONS];
    uint64_t replaced, retried;
    struct progress progress;
    uint32_t cycle, cycles;
};

struct held {
    double resident, disk, recall;
};

/* The next points of one tenant that this cycle replaces. */
static bool next_points(struct aging *aging, struct batch *batch) {
    struct world *world = &aging->suite->world;
    *batch = (struct batch){0};
    while (batch->count == 0 && aging->tenant < world->tenant_count) {
        struct tenant *tenant = &world->tenants[aging->tenant];
        batch->tenant = aging->tenant;
        while (aging->i < tenant->count && batch->count < WIRE_BATCH_MAX) {
            uint32_t i = aging->i++;
            if (!tenant_has(tenant, i) || random_unit(&aging->random) > SHARE) {
                continue;
            }
            uint16_t version = (uint16_t)(tenant_version(tenant, i) % VERSION_MASK + 1);
            tenant->versions[i] = version;
            batch->points[batch->count++] = (struct wire_point){.i = i, .version = version};
        }
        if (aging->i == tenant->count) {
            aging->tenant++;
            aging->i = 0;
        }
    }
    return batch->count > 0;
}

static size_t next_batch(void *context, uint32_t connection, char *out) {
    struct aging *aging = context;
    struct batch *batch = &aging->batches[connection];
    uint64_t bytes = 0;
    if (batch->again) {
        bench_sleep(0.005);
    } else if (!next_points(aging, batch)) {
        return 0;
    }
    batch->again = false;
    return wire_upsert(&aging->suite->wire, batch->tenant, NULL, batch->points, batch->count, out,
                       &bytes);
}

static void batch_done(void *context, uint32_t connection, const struct http_answer *answer) {
    struct aging *aging = context;
    struct batch *batch = &aging->batches[connection];
    batch->again = answer->status == 429;
    aging->retried += batch->again;
    aging->replaced += answer->status == 200 ? batch->count : 0;
}

static void on_tick(void *context) {
    struct aging *aging = context;
    double share = (double)aging->tenant / (double)aging->suite->world.tenant_count;
    progress_show(&aging->progress, aging->replaced, (aging->cycle + share) / aging->cycles);
}

static bool replace(struct aging *aging, uint32_t cycle) {
    struct http_load *http = &aging->http;
    *http = (struct http_load){.server = &aging->suite->target.server,
                               .connections = CONNECTIONS,
                               .context = aging,
                               .next = next_batch,
                               .done = batch_done,
                               .tick = on_tick};
    aging->random = random_of(aging->suite->world.seed, BENCH_WRITE, 1, cycle);
    aging->tenant = aging->i = 0;
    aging->cycle = cycle;
    bool good = http_load_run(http);
    progress_end(&aging->progress);
    if (good && http->failed > 0) {
        (void)bench_fail("aging: %llu requests failed, first: %d %s",
                         (unsigned long long)http->failed, http->first_status, http->first_body);
    }
    return good && http->failed == 0;
}

static bool look(struct aging *aging, const char *prefix, struct held *out_held) {
    struct target_look look;
    (void)target_settle(&aging->suite->target, SETTLE_S_MAX);
    target_look(&aging->suite->target, &look);
    out_held->resident = (double)look.process.resident_bytes / 1048576.0;
    out_held->disk = (double)target_disk(&aging->suite->target) / 1048576.0;
    return truth_classes(aging->suite, RECALL_TENANTS, prefix, aging->report, &out_held->recall);
}

static void report_growth(struct report *report, const char *key, const char *label, double first,
                          double last) {
    if (first <= 0.0) {
        report_absent(report, key, label);
        return;
    }
    report_number(report, key, label, last / first);
    report_target(report, "<= 1.3", last <= 1.3 * first);
}

static bool measure(struct aging *aging) {
    struct report *report = aging->report;
    struct held first, last = {0};
    double worst = 1.0;
    if (!look(aging, "fresh_", &first)) {
        return false;
    }
    struct plot *plot = report_plot(report, "Memory and disk by cycle", "cycle", "MiB");
    struct plot_line *resident = plot_line(plot, "resident"), *disk = plot_line(plot, "disk");
    plot_point(resident, 0.0, first.resident);
    plot_point(disk, 0.0, first.disk);
    progress_begin(&aging->progress, "aging", bench_now_ns(), 0);
    for (uint32_t cycle = 0; cycle < aging->cycles; cycle++) {
        char prefix[24];
        (void)snprintf(prefix, sizeof(prefix), "cycle%u_", cycle + 1);
        if (!replace(aging, cycle) || !look(aging, prefix, &last)) {
            return false;
        }
        worst = last.recall < worst ? last.recall : worst;
        plot_point(resident, (double)cycle + 1.0, last.resident);
        plot_point(disk, (double)cycle + 1.0, last.disk);
    }
    report_number(report, "cycles", "cycles", (double)aging->cycles);
    report_number(report, "replaced", "points replaced", (double)aging->replaced);
    report_number(report, "retried", "batches refused for now and sent again",
                  (double)aging->retried);
    report_number(report, "recall_loss",
                  "recall@10 lost since the beginning, worst class and cycle",
                  first.recall - worst);
    report_target(report, "<= 0.01", first.recall - worst <= 0.01);
    report_growth(report, "resident_growth", "resident after the cycles over before",
                  first.resident, last.resident);
    report_growth(report, "disk_growth",
                  "disk after the cycles over before, settled, log files included", first.disk,
                  last.disk);
    answers_report(&aging->suite->answers, report);
    return true;
}

bool workload_aging(struct suite *suite, struct report *report) {
    struct aging *aging = calloc(1, sizeof(*aging));
    bool good = aging != NULL;
    if (good) {
        aging->suite = suite;
        aging->report = report;
        aging->cycles = suite->options->seconds >= 0.0 ? CYCLES_TEST : CYCLES;
        good = measure(aging);
    }
    free(aging);
    return good;
}
