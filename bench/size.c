/* `size`: what a world of large tenants needs, from constants measured here and now.
 *
 * Measures one tenant of --measured points and many of one point (size_measure.c), then multiplies;
 * every factor that was not measured is printed as an assumption. docs/scale.md shows the same. */
#include "size.h"

#include <math.h>

#include "report.h"

#define TENANTS_DEFAULT 50000u
#define POINTS_DEFAULT 1000000u
#define RATE_DEFAULT 10000.0
/* Assumptions. */
#define NODE_RAM (512.0 * 1073741824.0)
#define NODE_DISK 61.44e12 /* eight drives of 7.68 TB */
#define NODE_CORES 64.0
#define USABLE 0.8       /* of memory and disk: the rest is room to work in */
#define CORE_USE 0.6     /* of a core's time, so that a queue stays short */
#define DISK_READ 12.0e9 /* bytes/s that the drives of a node give together */

struct need {
    double ram, disk, cores, nodes_ram, nodes_disk, nodes_cores, nodes, hot_per_node;
};

struct world {
    double tenants, points, rate, hot;
};

/* A walk over more rows is longer by their logarithm; a scan by their number. */
static double search_us_at(const struct size_constants *constants, double points) {
    double more =
        constants->graph ? log(points) / log(constants->points) : points / constants->points;
    return constants->search_us * (more > 1.0 ? more : 1.0);
}

static struct need need_of(const struct size_constants *constants, const struct world *world) {
    double all = world->tenants * world->points;
    struct need need = {.disk = all * constants->disk_point};
    need.ram =
        world->tenants * constants->catalog_tenant + all * world->hot * constants->cache_point;
    need.cores = world->rate * search_us_at(constants, world->points) / 1e6 / CORE_USE;
    need.nodes_ram = ceil(need.ram / (NODE_RAM * USABLE));
    need.nodes_disk = ceil(need.disk / (NODE_DISK * USABLE));
    need.nodes_cores = ceil(need.cores / NODE_CORES);
    need.nodes = fmax(need.nodes_ram, fmax(need.nodes_disk, need.nodes_cores));
    return need;
}

static void report_constants(struct report *out, const struct size_constants *constants) {
    report_number(out, "measured_points", "measured: points of the large tenant",
                  constants->points);
    report_text(out, "measured_graph", "measured: it got a graph", constants->graph ? "yes" : "no");
    report_number(out, "disk_point", "measured: bytes on disk a point", constants->disk_point);
    report_number(out, "log_point", "measured: bytes of log a point", constants->log_point);
    report_number(out, "written_point",
                  "measured: bytes written a point: log, flush, merge; a graph adds its disk",
                  constants->written_point);
    report_number(out, "write_us_point", "measured: us of CPU a point written, all included",
                  constants->write_us_point);
    report_number(out, "catalog_tenant", "measured: bytes of tables a tenant with one run",
                  constants->catalog_tenant);
    report_number(out, "cache_point", "measured: bytes of cache a point of a hot tenant",
                  constants->cache_point);
    report_number(out, "search_us", "measured: us of CPU a warm search, 10 hits",
                  constants->search_us);
    report_number(out, "search_rows", "measured: rows that it looked at", constants->search_rows);
    report_number(out, "search_bytes", "measured: bytes in chunks that it held",
                  constants->search_bytes);
    report_number(out, "cold_ms", "measured: ms of the first search after a start",
                  constants->cold_ms);
    report_number(out, "cold_bytes", "measured: bytes that it read", constants->cold_bytes);
}

static void report_need(struct report *out, const struct size_constants *constants,
                        struct world world, unsigned percent) {
    char key[56], label[96];
    world.hot = percent / 100.0;
    struct need need = need_of(constants, &world);
    const struct {
        const char *key, *label;
        double value;
    } rows[] = {{"ram_tb", "TB of RAM", need.ram / 1e12},
                {"nodes_ram", "nodes by RAM", need.nodes_ram},
                {"nodes_disk", "nodes by disk", need.nodes_disk},
                {"nodes_cores", "nodes by cores", need.nodes_cores},
                {"nodes", "nodes", need.nodes}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(key, sizeof(key), "hot%u_%s", percent, rows[i].key);
        (void)snprintf(label, sizeof(label), "%u %% of the tenants hot: %s", percent,
                       rows[i].label);
        report_number(out, key, label, rows[i].value);
    }
}

static void report_world(struct report *out, const struct size_constants *constants,
                         const struct world *world) {
    static const unsigned shares[] = {1, 5, 20, 100};
    struct need need = need_of(constants, world);
    double raw = world->tenants * world->points * BENCH_DIM * sizeof(float);
    double cold = constants->cold_bytes / constants->points * world->points;
    report_number(out, "raw_tb", "TB of raw vectors", raw / 1e12);
    report_number(out, "disk_tb", "TB on disk: tenants x points x bytes a point", need.disk / 1e12);
    report_number(out, "search_us_there", "us of a core a search there (walk: by the logarithm)",
                  search_us_at(constants, world->points));
    report_number(out, "cores", "cores for --rate searches/s at 60 % use", need.cores);
    report_number(out, "cold_gb_there", "GB that the first search of a cold tenant reads",
                  cold / 1e9);
    report_number(out, "cold_ms_there", "ms for that at 12 GB/s", cold / DISK_READ * 1e3);
    report_number(out, "catalog_gb", "GB of tables for all tenants, hot or not",
                  world->tenants * constants->catalog_tenant / 1e9);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        report_need(out, constants, *world, shares[i]);
    }
    report_text(out, "assumed", "assumed",
                "a node: 64 cores, 512 GiB, 61.44 TB of NVMe at 12 GB/s; 80 % of it used");
}

int run_size(const struct bench_options *options) {
    struct world world = {
        .tenants = options->tenants > 1 ? options->tenants : TENANTS_DEFAULT,
        .points = options->points > 0 ? options->points : POINTS_DEFAULT,
        .rate = options->rate > 0 ? options->rate : RATE_DEFAULT,
    };
    struct size_constants constants = {.points = 0};
    if (options->measured < 100) {
        return bench_fail("--measured %u: at least 100", options->measured);
    }
    if (!size_measure(options, &constants)) {
        return BENCH_FAILED;
    }
    struct report out;
    report_begin(&out, options, "size");
    report_constants(&out, &constants);
    report_world(&out, &constants, &world);
    report_end(&out);
    return BENCH_OK;
}
