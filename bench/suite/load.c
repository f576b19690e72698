/* `load`: all points in batches of 100, each of a tenant drawn by size among the unfinished, over 8
 * connections; then until it is searchable, and until flush and merge are idle.
 *
 * A batch that is refused for now (429) is sent again; nothing else may fail. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "suite.h"

#define CONNECTIONS 8u
#define RETRY_S 0.005
#define SETTLE_S_MAX 1200.0
#define GRAPHS_S_MAX 3600.0
#define SAMPLES_MAX 4000u

struct batch {
    uint32_t tenant, from, count;
    bool again;
};

struct sample { /* each second */
    double at_s, points, tenants, resident, disk;
};

struct load {
    struct suite *suite;
    struct report *report;
    struct http_load http;
    uint64_t *tree; /* Fenwick: points left, by tenant */
    uint64_t left, sent, retried, bytes, batches;
    uint32_t begun; /* tenants that have a point */
    uint32_t created;
    struct batch batches_of[CONNECTIONS];
    struct random random;
    struct baseline baseline;
    struct progress progress;
    uint64_t start_ns;
    struct sample *samples;
    uint32_t sample_count;
};

/* ---- Which tenant is next ---- */

static void tree_add(struct load *load, uint32_t tenant, uint64_t value) {
    for (uint32_t at = tenant + 1; at <= load->suite->world.tenant_count; at += at & (~at + 1)) {
        load->tree[at] += value; /* a subtraction wraps */
    }
}

/* The tenant that holds the place-th of the points that are left. */
static uint32_t tree_find(const struct load *load, uint64_t place) {
    uint32_t count = load->suite->world.tenant_count, at = 0, step = 1;
    while (step * 2 <= count) {
        step *= 2;
    }
    for (; step > 0; step /= 2) {
        if (at + step <= count && load->tree[at + step] <= place) {
            at += step;
            place -= load->tree[at];
        }
    }
    return at;
}

static struct batch draw_batch(struct load *load) {
    struct world *world = &load->suite->world;
    uint32_t index = tree_find(load, random_next(&load->random) % load->left);
    struct tenant *tenant = &world->tenants[index];
    uint32_t left = tenant->size - tenant->count;
    struct batch batch = {.tenant = index,
                          .from = tenant->count,
                          .count = left < WIRE_BATCH_MAX ? left : WIRE_BATCH_MAX};
    load->begun += tenant->count == 0;
    tenant_grow(tenant, tenant->count + batch.count);
    for (uint32_t n = 0; n < batch.count; n++) {
        tenant->versions[batch.from + n] = 1;
    }
    /* By size of the tenant, not by what is left of it: it counts whole until it is finished. */
    if (tenant->count == tenant->size) {
        tree_add(load, index, ~(uint64_t)tenant->size + 1);
        load->left -= tenant->size;
    }
    return batch;
}

/* ---- Requests ---- */

static size_t next_batch(void *context, uint32_t connection, char *out) {
    struct load *load = context;
    struct batch *batch = &load->batches_of[connection];
    struct wire_point points[WIRE_BATCH_MAX];
    uint64_t bytes = 0;
    if (!batch->again) {
        if (load->left == 0) {
            return 0;
        }
        *batch = draw_batch(load);
    } else {
        bench_sleep(RETRY_S);
    }
    for (uint32_t n = 0; n < batch->count; n++) {
        points[n] = (struct wire_point){.i = batch->from + n, .version = 1};
    }
    size_t size =
        wire_upsert(&load->suite->wire, batch->tenant, NULL, points, batch->count, out, &bytes);
    if (!batch->again && load->batches++ % 16 == 0) {
        const char *body = memmem(out, size, "\r\n\r\n", 4);
        INS_ASSERT(body != NULL);
        baseline_keep(&load->baseline, body + 4, size - (size_t)(body + 4 - out));
    }
    load->bytes += batch->again ? 0 : bytes;
    batch->again = false;
    return size;
}

static void batch_done(void *context, uint32_t connection, const struct http_answer *answer) {
    struct load *load = context;
    struct batch *batch = &load->batches_of[connection];
    if (answer->status == 429) {
        batch->again = true;
        load->retried++;
    } else if (answer->status == 200) {
        load->sent += batch->count;
    }
}

static size_t next_tenant(void *context, uint32_t connection, char *out) {
    struct load *load = context;
    (void)connection;
    struct world *world = &load->suite->world;
    if (load->created == world->tenant_count) {
        return 0;
    }
    world->tenants[load->created].made = true;
    return wire_make_tenant(&load->suite->wire, world->names[load->created++], out);
}

/* ---- Samples ---- */

static void take_sample(struct load *load) {
    const struct target *target = &load->suite->target;
    struct process_sample process;
    if (load->sample_count == SAMPLES_MAX) {
        return;
    }
    process_read(target->pid, &process);
    load->samples[load->sample_count++] = (struct sample){
        .at_s = bench_seconds_since(load->start_ns),
        .points = (double)load->sent,
        .tenants = (double)load->begun,
        .resident = (double)process.resident_bytes,
        .disk = (double)target_disk(target),
    };
}

static void on_tick(void *context) {
    struct load *load = context;
    const struct world *world = &load->suite->world;
    progress_show(&load->progress, load->sent, (double)load->sent / (double)world->point_count);
    take_sample(load);
}

static void plot_samples(const struct load *load) {
    const double mib = 1048576.0;
    struct plot *plot = report_plot(load->report, "Points loaded", "s", "points");
    struct plot_line *points = plot_line(plot, "acknowledged");
    plot = report_plot(load->report, "Memory and disk while loading", "s", "MiB");
    struct plot_line *resident = plot_line(plot, "resident"), *disk = plot_line(plot, "disk");
    for (uint32_t i = 0; i < load->sample_count; i++) {
        const struct sample *sample = &load->samples[i];
        plot_point(points, sample->at_s, sample->points);
        plot_point(resident, sample->at_s, sample->resident / mib);
        plot_point(disk, sample->at_s, sample->disk / mib);
    }
}

/* ---- Phases ---- */

static bool run_http(struct load *load, size_t (*next)(void *, uint32_t, char *),
                     void (*done)(void *, uint32_t, const struct http_answer *)) {
    struct http_load *http = &load->http;
    http->next = next;
    http->done = done;
    if (!http_load_run(http)) {
        return false;
    }
    if (http->failed > 0) {
        (void)bench_fail("%llu requests failed, first: %d %s", (unsigned long long)http->failed,
                         http->first_status, http->first_body);
    }
    return http->failed == 0;
}

static bool make_tenants(struct load *load) {
    const struct world *world = &load->suite->world;
    uint64_t start_ns = bench_now_ns();
    if (world->style == BENCH_STYLE_KEY) {
        return true;
    }
    if (!run_http(load, next_tenant, NULL)) {
        return false;
    }
    report_number(load->report, "tenants_made_per_s", "tenants made/s (collections, shard keys)",
                  (double)world->tenant_count / bench_seconds_since(start_ns));
    return true;
}

/* From the last acknowledgement until all points are counted. */
static bool wait_searchable(struct load *load) {
    const struct suite *suite = load->suite;
    const struct world *world = &suite->world;
    uint64_t start_ns = bench_now_ns(), count = 0;
    static char request[HTTP_REQUEST_MAX];
    char answer[400];
    uint64_t wanted = world->point_count;
    if (world->style == BENCH_STYLE_COLLECTION) { /* the largest stands for all */
        wanted = world->tenants[0].size;
        size_t size = wire_count(&suite->wire, 0, NULL, request);
        (void)(wire_ask(&suite->wire, request, size, answer, sizeof(answer)) == 200 &&
               json_find_u64(answer, NULL, "count", &count));
    } else {
        (void)wire_count_all(&suite->wire, &count);
    }
    if (count != wanted) {
        (void)bench_fail("%llu points were acknowledged, the server counts %llu",
                         (unsigned long long)wanted, (unsigned long long)count);
        return false;
    }
    report_number(load->report, "searchable_s", "until all are counted, after the last answer, s",
                  bench_seconds_since(start_ns));
    return true;
}

/* ---- Report ---- */

/* Least squares of bytes on disk over tenants and points while it grew: what one of each costs,
 * above what lies there at the beginning (log files made beforehand). */
static void report_fit(const struct load *load) {
    double tt = 0, tp = 0, pp = 0, td = 0, pd = 0;
    double begin = load->sample_count == 0 ? 0.0 : load->samples[0].disk;
    for (uint32_t i = 0; i < load->sample_count; i++) {
        const struct sample *s = &load->samples[i];
        tt += s->tenants * s->tenants;
        tp += s->tenants * s->points;
        pp += s->points * s->points;
        td += s->tenants * (s->disk - begin);
        pd += s->points * (s->disk - begin);
    }
    double determinant = tt * pp - tp * tp;
    double tenant = (td * pp - pd * tp) / determinant, point = (pd * tt - td * tp) / determinant;
    if (load->sample_count < 30 || determinant < 1e-3 * tt * pp || tenant < 0.0 || point < 0.0) {
        report_absent(load->report, "disk_fit_tenant",
                      "disk bytes a tenant, fitted (too few samples, or no fit)");
        return;
    }
    report_number(load->report, "disk_fit_tenant", "disk bytes a tenant, fitted while it grew",
                  tenant);
    report_number(load->report, "disk_fit_point", "disk bytes a point, fitted while it grew",
                  point);
}

static void report_cpu(const struct load *load, const struct target_look *before,
                       const struct target_look *acked, const struct target_look *settled) {
    struct report *report = load->report;
    double points = (double)load->sent, baseline = baseline_us(&load->baseline);
    report_number(report, "baseline_us", "CPU us a point: parse + normalise + 3 copies + checksum",
                  baseline);
    if (!acked->process.available || !before->process.available) {
        report_absent(report, "cpu_us", "server's CPU us a point (--pid)");
        return;
    }
    double cpu = (acked->process.cpu_s - before->process.cpu_s) * 1e6 / points;
    double whole = (settled->process.cpu_s - before->process.cpu_s) * 1e6 / points;
    report_number(report, "cpu_us", "server's CPU us a point, until the last answer", cpu);
    report_number(report, "cpu_settled_us", "server's CPU us a point, until settled", whole);
    report_number(report, "cpu_ratio", "gate: CPU a point until settled over that",
                  whole / baseline);
    report_target(report, "<= 1.6", baseline > 0.0 && whole / baseline <= 1.6);
}

static void report_size(const struct load *load, const struct target_look *before,
                        const struct target_look *settled) {
    struct report *report = load->report;
    const double mib = 1048576.0;
    double bytes = (double)load->bytes, disk = (double)target_disk(&load->suite->target), peak = 0;
    report_number(report, "point_bytes", "bytes a point: id, vector, payload",
                  bytes / (double)load->sent);
    for (uint32_t i = 0; i < load->sample_count; i++) {
        peak = load->samples[i].resident > peak ? load->samples[i].resident : peak;
    }
    report_number(report, "resident_peak_mib", "resident MiB, highest sample", peak / mib);
    report_number(report, "resident_settled_mib", "resident MiB, settled",
                  (double)settled->process.resident_bytes / mib);
    if (disk > 0) {
        report_number(report, "disk_mib", "MiB on disk, settled (log files included)", disk / mib);
        report_number(report, "disk_ratio", "disk over bytes of the points", disk / bytes);
    }
    report_fit(load);
    if (settled->process.available) {
        report_number(report, "write_amplification", "bytes sent to disk over bytes of the points",
                      (double)(settled->process.write_bytes - before->process.write_bytes) / bytes);
    }
}

static bool measure(struct load *load) {
    struct suite *suite = load->suite;
    struct report *report = load->report;
    struct target_look before, acked, settled;
    target_look(&suite->target, &before);
    load->start_ns = bench_now_ns();
    progress_begin(&load->progress, "load", load->start_ns, 0);
    load->http.tick = on_tick;
    bool good = run_http(load, next_batch, batch_done);
    progress_end(&load->progress);
    if (!good) {
        return false;
    }
    double seconds = bench_seconds_since(load->start_ns);
    target_look(&suite->target, &acked);
    take_sample(load);
    report_number(report, "points", "points", (double)load->sent);
    report_number(report, "tenants", "tenants", (double)suite->world.tenant_count);
    report_number(report, "seconds", "seconds", seconds);
    report_number(report, "points_per_s", "points/s", (double)load->sent / seconds);
    report_latency(report, &load->http.latency);
    report_number(report, "retried", "batches refused for now and sent again",
                  (double)load->retried);
    if (!wait_searchable(load)) {
        return false;
    }
    uint64_t settle_ns = bench_now_ns();
    bool told = target_settle(&suite->target, SETTLE_S_MAX);
    take_sample(load);
    target_look(&suite->target, &settled);
    if (told) {
        report_number(report, "settle_s", "until flush and merge are idle, s",
                      bench_seconds_since(settle_ns) - 1.0);
    } else {
        report_absent(report, "settle_s", "until flush and merge are idle");
    }
    report_cpu(load, &before, &acked, &settled);
    report_size(load, &before, &settled);
    target_report(report, &before, &acked);
    plot_samples(load);
    uint64_t graphs_ns = bench_now_ns();
    if (target_index_idle(&suite->target, GRAPHS_S_MAX)) {
        report_number(report, "graphs_s", "from then on until all graphs are built, s",
                      bench_seconds_since(graphs_ns));
    } else {
        report_absent(report, "graphs_s", "from then on until all graphs are built");
    }
    return true;
}

static bool load_open(struct load *load, struct suite *suite, struct report *report) {
    struct world *world = &suite->world;
    load->suite = suite;
    load->report = report;
    load->tree = calloc((size_t)world->tenant_count + 1, sizeof(*load->tree));
    load->samples = calloc(SAMPLES_MAX, sizeof(*load->samples));
    load->random = random_of(world->seed, BENCH_PICK, 0, 0);
    load->http.server = &suite->target.server;
    load->http.connections = CONNECTIONS;
    load->http.context = load;
    if (load->tree == NULL || load->samples == NULL) {
        (void)bench_fail("no memory to load %u tenants", world->tenant_count);
        return false;
    }
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        tree_add(load, t, world->tenants[t].size);
    }
    load->left = world->point_count;
    return true;
}

bool workload_load(struct suite *suite, struct report *report) {
    struct load *load = calloc(1, sizeof(*load));
    if (load == NULL) {
        (void)bench_fail("no memory");
        return false;
    }
    world_reset(&suite->world);
    bool good = load_open(load, suite, report) && wire_make(&suite->wire) && make_tenants(load) &&
                measure(load);
    baseline_free(&load->baseline);
    free(load->samples);
    free(load->tree);
    free(load);
    return good;
}
