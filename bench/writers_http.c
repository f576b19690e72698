/* `writers` over HTTP: one upsert of one point under way on each of C connections, wait=true. */
#include <stdlib.h>

#include "bench.h"
#include "report.h"
#include "rest.h"

#define WRITERS_POINTS 100u
#define COLLECTION "writers"

struct writers {
    const struct bench_options *options;
    struct http_server server;
    struct bench_points points;
    struct http_load load;
    uint32_t ids, created;
    uint64_t written, begin_ns, end_ns; /* nothing starts after end_ns */
};

static const char *collection_of(const struct writers *writers, uint32_t tenant) {
    return writers->options->style == BENCH_STYLE_COLLECTION ? writers->points.names[tenant]
                                                             : COLLECTION;
}

static size_t next_write(void *context, uint32_t connection, char *out) {
    struct writers *writers = context;
    const struct bench_points *points = &writers->points;
    (void)connection;
    if (bench_now_ns() >= writers->end_ns) {
        return 0;
    }
    uint64_t number = writers->written++;
    uint64_t pick = bench_hash(points->seed, BENCH_PICK, 0, number);
    uint32_t tenant = (uint32_t)((pick >> 32) % points->tenant_count);
    uint32_t i = (uint32_t)((pick & UINT32_MAX) % writers->ids);
    struct rest_upsert upsert = {.server = &writers->server,
                                 .points = points,
                                 .style = writers->options->style,
                                 .collection = collection_of(writers, tenant),
                                 .tenant = tenant,
                                 .from = i,
                                 .to = i + 1,
                                 .version = number};
    return rest_upsert(&upsert, out);
}

static size_t next_collection(void *context, uint32_t connection, char *out) {
    struct writers *writers = context;
    (void)connection;
    return writers->created == writers->points.tenant_count
               ? 0
               : rest_collection(&writers->server, writers->points.names[writers->created++], out);
}

static bool make_collections(struct writers *writers) {
    if (writers->options->style == BENCH_STYLE_KEY) {
        return rest_make_key_collection(&writers->server, COLLECTION);
    }
    writers->load.next = next_collection;
    bool good = http_load_run(&writers->load) && writers->load.failed == 0;
    if (!good) {
        (void)bench_fail("cannot make collections: %d %s", writers->load.first_status,
                         writers->load.first_body);
    }
    return good;
}

static bool load_for(struct writers *writers, double seconds) {
    writers->load.next = next_write;
    writers->begin_ns = bench_now_ns();
    writers->end_ns = writers->begin_ns + (uint64_t)(seconds * (double)BENCH_NS);
    if (!http_load_run(&writers->load)) {
        return false;
    }
    if (writers->load.failed > 0) {
        (void)bench_fail("%llu writes failed, first: %d %s",
                         (unsigned long long)writers->load.failed, writers->load.first_status,
                         writers->load.first_body);
    }
    return writers->load.failed == 0;
}

struct measured {
    struct server_stats before, after;
    struct device_counters device_before, device_after;
    struct process_sample process_before, process_after;
    double seconds;
};

static bool measure(struct writers *writers, struct measured *measured) {
    const struct bench_options *options = writers->options;
    if (options->warmup > 0.0 && !load_for(writers, options->warmup)) {
        return false;
    }
    server_stats_read(&writers->server, &measured->before);
    device_read(options->data, &measured->device_before);
    process_read(options->pid, &measured->process_before);
    if (!load_for(writers, options->seconds)) {
        return false;
    }
    measured->seconds = bench_seconds_since(writers->begin_ns);
    process_read(options->pid, &measured->process_after);
    device_read(options->data, &measured->device_after);
    server_stats_read(&writers->server, &measured->after);
    return true;
}

static void report_server(struct report *out, const struct measured *measured) {
    if (!measured->before.available || !measured->after.available) {
        report_absent(out, "syncs", "log syncs, the program's count");
        return;
    }
    double syncs = (double)(measured->after.syncs - measured->before.syncs);
    report_number(out, "syncs", "log syncs, the program's count", syncs);
    report_number(out, "syncs_per_s", "log syncs/s", syncs / measured->seconds);
    report_number(out, "file_syncs", "other syncs",
                  (double)(measured->after.file_syncs - measured->before.file_syncs));
    report_number(out, "flushes", "flushes",
                  (double)(measured->after.flushes - measured->before.flushes));
}

static void report(const struct writers *writers, const struct measured *measured) {
    const struct bench_options *options = writers->options;
    uint64_t acknowledged = writers->load.good;
    struct report out;
    report_begin(&out, options, "writers");
    report_text(&out, "where", "where", "HTTP");
    report_text(&out, "style", "a tenant is",
                options->style == BENCH_STYLE_KEY ? "key" : "collection");
    report_number(&out, "tenants", "tenants", options->tenants);
    report_number(&out, "writers", "connections", options->connections);
    report_number(&out, "writes_per_s", "acknowledged writes/s",
                  (double)acknowledged / measured->seconds);
    report_latency(&out, &writers->load.latency);
    report_number(&out, "refused", "refused for now (429)", (double)writers->load.refused);
    report_server(&out, measured);
    report_device(&out, &measured->device_before, &measured->device_after, acknowledged);
    if (measured->process_before.available) {
        report_number(&out, "cpu_us_per_ack", "the server's CPU us per acknowledged write",
                      (measured->process_after.cpu_s - measured->process_before.cpu_s) * 1e6 /
                          (double)acknowledged);
    }
    report_end(&out);
}

int writers_over_http(const struct bench_options *options) {
    struct writers *writers = calloc(1, sizeof(*writers));
    struct measured measured;
    if (writers == NULL) {
        return bench_fail("no memory");
    }
    writers->options = options;
    writers->ids = options->points == 0 ? WRITERS_POINTS : options->points;
    int result = BENCH_FAILED;
    if (http_server_parse(options->url, &writers->server) &&
        points_open(&writers->points, options, true)) {
        writers->load.server = &writers->server;
        writers->load.connections = options->connections;
        writers->load.context = writers;
        if ((options->no_setup || make_collections(writers)) &&
            (options->setup_only || measure(writers, &measured))) {
            result = BENCH_OK;
            if (!options->setup_only) {
                report(writers, &measured);
            }
        }
        points_close(&writers->points);
    }
    free(writers);
    return result;
}
