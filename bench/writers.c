/* `writers` in process: W upserts of one point under way over T tenants, on the thread runtime.
 *
 * Most writes overwrite: each picks a tenant uniformly and one of its --points ids. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "driver.h"
#include "report.h"

#define WRITERS_POINTS 100u /* ids of a tenant when --points does not say */
#define COLLECTION "writers"
#define FETCH_AHEAD 3u /* writes: some microseconds */

struct writers {
    const struct bench_options *options;
    struct bench_points points;
    struct driver driver;
    uint32_t ids; /* of a tenant */
    uint64_t written;
    uint32_t created; /* collections, while they are being made */
};

static ins_text collection_of(const struct writers *writers, uint32_t tenant) {
    return writers->options->style == BENCH_STYLE_COLLECTION
               ? bench_text(writers->points.names[tenant], NAME_BYTES - 1)
               : bench_text(COLLECTION, sizeof(COLLECTION) - 1);
}

struct pick { /* what write `number` writes */
    uint32_t tenant, i, pool_index;
};

static struct pick pick_of(const struct writers *writers, uint64_t number) {
    const struct bench_points *points = &writers->points;
    uint64_t hash = bench_hash(points->seed, BENCH_PICK, 0, number);
    struct pick pick = {.tenant = (uint32_t)((hash >> 32) % points->tenant_count),
                        .i = (uint32_t)((hash & UINT32_MAX) % writers->ids)};
    pick.pool_index = points_pool_index(points, pick.tenant, pick.i, number);
    return pick;
}

/* A program that embeds the engine hands over what it has just made, which its processor has at
 * hand. These points come from a pool of 2.5 MB instead: fetched ahead, so that waiting for it is
 * not counted as the engine's work. */
static void fetch(const struct writers *writers, uint64_t number) {
    const struct bench_points *points = &writers->points;
    struct pick pick = pick_of(writers, number);
    const char *vector = (const char *)(points->vectors + (size_t)pick.pool_index * BENCH_DIM);
    for (size_t at = 0; at < BENCH_DIM * sizeof(float); at += 64) {
        __builtin_prefetch(vector + at);
    }
    __builtin_prefetch(&points->payloads[pick.pool_index]);
    __builtin_prefetch(points->payloads[pick.pool_index].text + 63);
    __builtin_prefetch(points->names[pick.tenant]);
}

static bool next_write(void *context, struct driver_slot *slot) {
    struct writers *writers = context;
    const struct bench_points *points = &writers->points;
    uint64_t number = writers->written++;
    struct pick pick = pick_of(writers, number);
    fetch(writers, number + FETCH_AHEAD);
    uint32_t tenant = pick.tenant;
    enum bench_style style = writers->options->style;
    size_t payload_size = points_payload(points, style, tenant, pick.pool_index, slot->payload);
    slot->point = (ins_point){.id = point_id(points->seed, style, tenant, pick.i),
                              .vector = points->vectors + (size_t)pick.pool_index * BENCH_DIM,
                              .dim = BENCH_DIM,
                              .payload = bench_text(slot->payload, payload_size)};
    slot->points_request = (ins_points_request){
        .collection = collection_of(writers, tenant), .points = &slot->point, .point_count = 1};
    slot->request = &slot->points_request;
    slot->start = ins_points_upsert;
    return true;
}

static bool next_collection(void *context, struct driver_slot *slot) {
    struct writers *writers = context;
    if (writers->created == writers->points.tenant_count) {
        return false;
    }
    slot->collection_request =
        (ins_collection_request){.collection = collection_of(writers, writers->created++),
                                 .dim = BENCH_DIM,
                                 .distance = INS_DISTANCE_COSINE};
    slot->request = &slot->collection_request;
    slot->start = ins_collection_create;
    return true;
}

static bool make_key_collection(struct writers *writers) {
    static const char schema[] = "{\"type\":\"keyword\",\"is_tenant\":true}";
    ins_collection_request request = {
        .collection = collection_of(writers, 0), .dim = BENCH_DIM, .distance = INS_DISTANCE_COSINE};
    if (!driver_call(&writers->driver, ins_collection_create, &request)) {
        return false;
    }
    request.field = bench_text("tenant", 6);
    request.schema = bench_text(schema, sizeof(schema) - 1);
    request.is_tenant = true;
    return driver_call(&writers->driver, ins_index_create, &request);
}

static bool make_collections(struct writers *writers) {
    if (writers->options->style == BENCH_STYLE_KEY) {
        return make_key_collection(writers);
    }
    writers->driver.next = next_collection;
    driver_start(&writers->driver);
    driver_wait(&writers->driver);
    if (writers->driver.failed > 0) {
        (void)bench_fail("%s", writers->driver.first_error.message);
    }
    return writers->driver.failed == 0;
}

struct measured {
    ins_stats before, after;
    struct device_counters device_before, device_after;
    struct process_sample process_before, process_after;
    struct latency latency;
    uint64_t acknowledged, refused;
    double seconds;
};

static void measure(struct writers *writers, const char *path, struct measured *measured) {
    struct driver *driver = &writers->driver;
    const struct bench_options *options = writers->options;
    driver->next = next_write;
    driver_start(driver);
    bench_sleep(options->warmup);
    device_read(path, &measured->device_before);
    process_read(getpid(), &measured->process_before);
    driver_mark(driver, &measured->before);
    uint64_t start_ns = bench_now_ns();
    bench_sleep(options->seconds);
    driver_look(driver, true, &measured->after, &measured->latency, &measured->acknowledged,
                &measured->refused);
    measured->seconds = bench_seconds_since(start_ns);
    process_read(getpid(), &measured->process_after);
    device_read(path, &measured->device_after);
    driver_wait(driver);
}

static void report(const struct writers *writers, const struct measured *measured) {
    const struct bench_options *options = writers->options;
    double acks = (double)measured->acknowledged, seconds = measured->seconds;
    double syncs = (double)(measured->after.log_syncs - measured->before.log_syncs);
    struct report out;
    report_begin(&out, options, "writers");
    report_text(&out, "where", "where", "in process");
    report_text(&out, "style", "a tenant is",
                options->style == BENCH_STYLE_KEY ? "key" : "collection");
    report_text(&out, "log", "log", options->drop_log ? "dropped" : "durable");
    report_number(&out, "tenants", "tenants", options->tenants);
    report_number(&out, "writers", "writes under way", options->writers);
    report_number(&out, "writes_per_s", "acknowledged writes/s", acks / seconds);
    report_latency(&out, &measured->latency);
    report_number(&out, "refused", "refused for now and asked again", (double)measured->refused);
    report_number(&out, "syncs", "log syncs, the program's count", syncs);
    report_number(&out, "syncs_per_s", "log syncs/s", syncs / seconds);
    report_number(&out, "file_syncs", "other syncs",
                  (double)(measured->after.file_syncs - measured->before.file_syncs));
    report_number(&out, "log_bytes_per_ack", "log bytes per acknowledged write",
                  (double)(measured->after.log_bytes - measured->before.log_bytes) / acks);
    report_number(&out, "flushes", "flushes",
                  (double)(measured->after.flushes - measured->before.flushes));
    report_device(&out, &measured->device_before, &measured->device_after, measured->acknowledged);
    report_number(&out, "cpu_us_per_ack", "CPU us per acknowledged write, load included",
                  (measured->process_after.cpu_s - measured->process_before.cpu_s) * 1e6 / acks);
    report_number(&out, "resident_mib", "resident MiB",
                  (double)measured->process_after.resident_bytes / 1048576.0);
    report_end(&out);
}

static int run_open(struct writers *writers, const char *path) {
    struct measured measured;
    if (!make_collections(writers)) {
        return BENCH_FAILED;
    }
    measure(writers, path, &measured);
    if (writers->driver.failed > 0) {
        return bench_fail("%llu writes failed, first: %s",
                          (unsigned long long)writers->driver.failed,
                          writers->driver.first_error.message);
    }
    if (measured.acknowledged == 0) {
        return bench_fail("no write was acknowledged in %.1f s", measured.seconds);
    }
    report(writers, &measured);
    return BENCH_OK;
}

int writers_in_process(const struct bench_options *options) {
    struct writers writers = {.options = options,
                              .ids = options->points == 0 ? WRITERS_POINTS : options->points};
    writers.driver = (struct driver){.context = &writers, .width = options->writers};
    struct bench_directory directory;
    if (!points_open(&writers.points, options, false)) {
        return BENCH_FAILED;
    }
    int result = BENCH_FAILED;
    if (directory_open(options, &directory)) {
        if (driver_open(&writers.driver, directory.path, options)) {
            result = run_open(&writers, directory.path);
            driver_close(&writers.driver);
        }
        directory_close(&directory);
    }
    points_close(&writers.points);
    return result;
}

int run_writers(const struct bench_options *options) {
    return options->url == NULL ? writers_in_process(options) : writers_over_http(options);
}
