/* `collections`: many collections over HTTP; how fast they are made, what one costs.
 *
 * Makes one, then --from, then --collections, and looks at the server's process after each: the
 * slope between the last two is the cost of one. Making takes turns with GET /healthz on as many
 * connections: the ratio of the two rates is the machine's speed taken out. With --points each
 * collection (or with --style key each tenant of one collection) gets so many points. */
#include <stdlib.h>

#include "bench.h"
#include "report.h"
#include "rest.h"

#define SLICES 9u
#define COLLECTION "tenants"

struct collections {
    const struct bench_options *options;
    struct http_server server;
    struct bench_points points;
    struct http_load load;
    uint32_t created, written, wanted; /* written: tenants that have their points */
    uint64_t end_ns;
};

struct look {
    uint32_t collections;
    struct process_sample process;
    struct server_stats stats;
};

/* ---- Requests ---- */

static size_t next_collection(void *context, uint32_t connection, char *out) {
    struct collections *collections = context;
    (void)connection;
    return collections->created == collections->wanted
               ? 0
               : rest_collection(&collections->server,
                                 collections->points.names[collections->created++], out);
}

static size_t next_health(void *context, uint32_t connection, char *out) {
    struct collections *collections = context;
    (void)connection;
    return bench_now_ns() >= collections->end_ns
               ? 0
               : http_format(out, &collections->server, "GET", "/healthz", NULL, 0);
}

/* All points of the next tenant. */
static size_t next_points(void *context, uint32_t connection, char *out) {
    struct collections *collections = context;
    bool key = collections->options->style == BENCH_STYLE_KEY;
    (void)connection;
    if (collections->written == collections->wanted) {
        return 0;
    }
    uint32_t tenant = collections->written++;
    struct rest_upsert upsert = {
        .server = &collections->server,
        .points = &collections->points,
        .style = collections->options->style,
        .collection = key ? COLLECTION : collections->points.names[tenant],
        .tenant = tenant,
        .to = collections->options->points,
    };
    return rest_upsert(&upsert, out);
}

/* ---- Runs ---- */

static bool run(struct collections *collections,
                size_t (*next)(void *context, uint32_t connection, char *out)) {
    struct http_load *load = &collections->load;
    load->next = next;
    if (!http_load_run(load)) {
        return false;
    }
    if (load->failed > 0) {
        (void)bench_fail("%llu requests failed, first: %d %s", (unsigned long long)load->failed,
                         load->first_status, load->first_body);
    }
    return load->failed == 0;
}

static bool make_until(struct collections *collections, uint32_t count, double *out_rate) {
    uint64_t start_ns = bench_now_ns();
    uint32_t before = collections->created;
    collections->wanted = count;
    if (!run(collections, next_collection)) {
        return false;
    }
    *out_rate = (double)(count - before) / bench_seconds_since(start_ns);
    return true;
}

static bool health_for(struct collections *collections, double seconds, double *out_rate) {
    uint64_t start_ns = bench_now_ns();
    collections->end_ns = start_ns + (uint64_t)(seconds * (double)BENCH_NS);
    if (!run(collections, next_health)) {
        return false;
    }
    *out_rate = (double)collections->load.good / bench_seconds_since(start_ns);
    return true;
}

static bool flush(struct collections *collections) {
    return !collections->options->flush ||
           rest_ask(&collections->server, "POST", "/insula/flush", "{}");
}

/* Points of the tenants up to `count`, a flush each --from tenants: the pages that the memtable
 * once needed stay with the process, and their number must be the same at every look. */
static bool fill_until(struct collections *collections, uint32_t count) {
    const struct bench_options *options = collections->options;
    while (options->points > 0 && collections->written < count) {
        uint32_t step = collections->written + options->from;
        collections->wanted = step < count ? step : count;
        if (!run(collections, next_points) || !flush(collections)) {
            return false;
        }
    }
    return true;
}

static bool look(struct collections *collections, uint32_t count, struct look *out_look) {
    const struct bench_options *options = collections->options;
    if (!fill_until(collections, count) || !flush(collections)) {
        return false;
    }
    bench_sleep(1.5); /* the log closes its tail, spare files are made, connections are gone */
    out_look->collections = count;
    process_read(options->pid, &out_look->process);
    server_stats_read(&collections->server, &out_look->stats);
    return true;
}

/* ---- Report ---- */

static double slope(uint64_t from, uint64_t to, const struct look *first, const struct look *last) {
    return ((double)to - (double)from) / (double)(last->collections - first->collections);
}

static void report_rates(struct report *out, double *creates, double *healths, double *ratios,
                         size_t count) {
    report_number(out, "creates_per_s", "created durably/s", bench_median(creates, count));
    report_number(out, "healthz_per_s", "GET /healthz/s", bench_median(healths, count));
    (void)bench_median(ratios, count); /* sorts */
    report_number(out, "ratio", "created over /healthz",
                  bench_median(creates, count) / bench_median(healths, count));
    report_number(out, "ratio_min", "  of the slices, smallest", ratios[0]);
    report_number(out, "ratio_max", "  largest", ratios[count - 1]);
}

static double own_descriptors(const struct look *look) {
    return (double)look->process.descriptors - (double)look->process.segment_descriptors;
}

static void report_process(struct report *out, const struct look *one, const struct look *first,
                           const struct look *last) {
    if (!last->process.available) {
        report_absent(out, "resident_bytes_each", "resident bytes each (--pid)");
        return;
    }
    const double mib = 1048576.0;
    report_number(out, "resident_bytes_each", "resident bytes each",
                  slope(first->process.resident_bytes, last->process.resident_bytes, first, last));
    report_number(out, "resident_one_mib", "resident MiB with one",
                  (double)one->process.resident_bytes / mib);
    report_number(out, "resident_mib", "resident MiB in all",
                  (double)last->process.resident_bytes / mib);
    report_number(out, "descriptors", "descriptors more than with one, but for segments",
                  own_descriptors(last) - own_descriptors(one));
    report_number(out, "segment_descriptors", "segments open (a bounded cache)",
                  (double)last->process.segment_descriptors);
    report_number(out, "mappings", "mappings more than with one",
                  (double)last->process.mappings - (double)one->process.mappings);
    report_number(out, "threads", "threads more than with one",
                  (double)last->process.threads - (double)one->process.threads);
    if (last->stats.available) {
        report_number(out, "timers", "timers more than with one",
                      (double)last->stats.timers - (double)one->stats.timers);
        report_number(out, "catalog_bytes_each", "catalog bytes each, the arena's count",
                      slope(first->stats.catalog_bytes, last->stats.catalog_bytes, first, last));
    }
}

/* ---- The whole ---- */

static bool grow_in_turns(struct collections *collections, struct report *out,
                          struct look *out_last) {
    const struct bench_options *options = collections->options;
    double creates[SLICES], healths[SLICES], ratios[SLICES];
    uint32_t from = collections->created, more = options->collections - from;
    for (uint32_t i = 0; i < SLICES; i++) {
        uint32_t count = from + (uint32_t)((uint64_t)more * (i + 1) / SLICES);
        if (!make_until(collections, count, &creates[i]) ||
            !health_for(collections, options->seconds, &healths[i]) ||
            (options->points > 0 && !flush(collections))) {
            return false;
        }
        ratios[i] = creates[i] / healths[i];
    }
    report_rates(out, creates, healths, ratios, SLICES);
    return look(collections, options->collections, out_last);
}

static bool run_all(struct collections *collections) {
    const struct bench_options *options = collections->options;
    bool key = options->style == BENCH_STYLE_KEY;
    struct look one, first, last;
    struct report out;
    double rate;
    report_begin(&out, options, "collections");
    report_text(&out, "style", "a tenant is", key ? "key" : "collection");
    report_number(&out, "from", "slope from", options->from);
    report_number(&out, "to", "slope to", options->collections);
    report_number(&out, "points", "points in each", options->points);
    if (key ? !rest_make_key_collection(&collections->server, COLLECTION)
            : !make_until(collections, 1, &rate)) {
        return false;
    }
    /* With tenants of one collection there is nothing to make but points. */
    if (!look(collections, 1, &one) || (!key && !make_until(collections, options->from, &rate)) ||
        !look(collections, options->from, &first) ||
        !(key ? look(collections, options->collections, &last)
              : grow_in_turns(collections, &out, &last))) {
        return false;
    }
    report_process(&out, &one, &first, &last);
    report_end(&out);
    return true;
}

int run_collections(const struct bench_options *options) {
    if (options->url == NULL || options->from < 2 ||
        options->collections < options->from + SLICES) {
        return bench_fail("collections: --url is needed, and --collections well above --from");
    }
    if (options->style == BENCH_STYLE_KEY && options->points == 0) {
        return bench_fail("collections: with --style key, --points is needed");
    }
    if (options->points > REST_UPSERT_POINTS_MAX) {
        return bench_fail("collections: --points %u, at most %u", options->points,
                          REST_UPSERT_POINTS_MAX);
    }
    struct collections *collections = calloc(1, sizeof(*collections));
    if (collections == NULL) {
        return bench_fail("no memory");
    }
    struct bench_options made = *options;
    made.tenants = options->collections; /* a name each */
    collections->options = options;
    bool good = http_server_parse(options->url, &collections->server) &&
                points_open(&collections->points, &made, true);
    if (good) {
        collections->load.server = &collections->server;
        collections->load.connections = options->connections;
        collections->load.context = collections;
        good = run_all(collections);
    }
    points_close(&collections->points);
    free(collections);
    return good ? BENCH_OK : BENCH_FAILED;
}
