/* Measuring for `size`: a database in process, one large tenant, many small ones, searches. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "driver.h"
#include "size.h"

#define BATCH 500u
#define SMALL_TENANTS 2000u
#define SEARCHES 200u
#define SEARCHES_WARM 100u /* before the measured ones */
#define LIMIT 10u
#define QUIET_CHECKS 3000u /* of 0.1 s */

struct bench_size {
    struct driver driver;
    struct vectors vectors;
    uint64_t seed;
};

static const char collection[] = "size";

/* CPU of the whole process so far: what else the machine does counts little. */
static double cpu_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static ins_text text_of(const char *text) {
    return bench_text(text, strlen(text));
}

static bool create(struct bench_size *self) {
    ins_collection_request request = {
        .collection = text_of(collection), .dim = BENCH_DIM, .distance = INS_DISTANCE_COSINE};
    if (!driver_call(&self->driver, ins_collection_create, &request)) {
        return false;
    }
    request.field = text_of("tenant");
    request.schema = text_of("{\"type\":\"keyword\",\"is_tenant\":true}");
    request.is_tenant = true;
    return driver_call(&self->driver, ins_index_create, &request);
}

/* Points [first, first + count) of tenants of `each` points; `dry`: made, and not written. */
static bool fill(struct bench_size *self, uint32_t first, uint32_t count, uint32_t each, bool dry) {
    static float values[BATCH][BENCH_DIM];
    static char payloads[BATCH][64];
    ins_point points[BATCH];
    for (uint32_t done = 0; done < count;) {
        uint32_t batch = count - done < BATCH ? count - done : BATCH;
        for (uint32_t i = 0; i < batch; i++) {
            uint32_t number = first + done + i;
            struct random random = random_of(self->seed, BENCH_VECTOR, 0, number);
            uint32_t row = (uint32_t)(random_next(&random) % self->vectors.count);
            vectors_make(&self->vectors, row, &random, values[i]);
            int size = snprintf(payloads[i], sizeof(payloads[i]), "{\"tenant\":\"t%u\",\"n\":%u}",
                                first / each + (done + i) / each, number);
            points[i] = (ins_point){.id = {.low = number},
                                    .vector = values[i],
                                    .dim = BENCH_DIM,
                                    .payload = bench_text(payloads[i], (size_t)size)};
        }
        ins_points_request request = {
            .collection = text_of(collection), .points = points, .point_count = batch};
        if (!dry && !driver_call(&self->driver, ins_points_upsert, &request)) {
            return false;
        }
        done += batch;
    }
    return true;
}

/* Until no graph and no merge waits; *out_indexed: values that lie in a graph. */
static bool settle(struct bench_size *self, uint64_t *out_indexed) {
    ins_collection_request request = {.collection = text_of(collection)};
    if (!driver_call(&self->driver, ins_flush, NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < QUIET_CHECKS; i++) {
        ins_call call = {.user = NULL};
        if (ins_wait(self->driver.db, ins_collection_get, &request, &call) != INS_OK) {
            (void)bench_fail("%s", call.error.message);
            return false;
        }
        bool quiet = call.info->unindexed_islands == 0 && call.info->queued_islands == 0;
        *out_indexed = call.info->indexed_vectors;
        ins_call_release(&call);
        if (quiet) {
            return true;
        }
        bench_sleep(0.1);
    }
    (void)bench_fail("graphs and merges did not end");
    return false;
}

static void look(struct bench_size *self, ins_stats *out_stats) {
    struct latency latency;
    uint64_t acknowledged, refused;
    driver_look(&self->driver, false, out_stats, &latency, &acknowledged, &refused);
}

static bool search(struct bench_size *self, uint32_t number, ins_explain *out) {
    float query[BENCH_DIM];
    struct random random = random_of(self->seed, BENCH_QUERY, 0, number);
    uint32_t row = (uint32_t)(random_next(&random) % self->vectors.count);
    vectors_make(&self->vectors, row, &random, query);
    vectors_shift(&self->vectors, &random, query);
    ins_value value = {.kind = INS_VALUE_TEXT, .text = text_of("t0")};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text_of("tenant"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = text_of(collection),
                                  .vector = query,
                                  .dim = BENCH_DIM,
                                  .filter = &filter,
                                  .limit = LIMIT};
    memset(out, 0, sizeof(*out));
    ins_call call = {.explain = out};
    ins_status status = ins_wait(self->driver.db, ins_points_query, &request, &call);
    if (status != INS_OK) {
        (void)bench_fail("%s", call.error.message);
    }
    ins_call_release(&call);
    return status == INS_OK;
}

static bool measure_searches(struct bench_size *self, struct size_constants *out) {
    double rows[SEARCHES], bytes[SEARCHES], start_us = 0;
    ins_explain explain;
    for (uint32_t i = 0; i < SEARCHES_WARM + SEARCHES; i++) {
        if (!search(self, i, &explain)) {
            return false;
        }
        if (i == 0) {
            out->cold_ms = (double)(explain.ended_ns - explain.begun_ns) / 1e6;
            out->cold_bytes = (double)explain.cold_bytes;
        }
        start_us = i + 1 == SEARCHES_WARM ? cpu_us() : start_us;
        if (i >= SEARCHES_WARM) {
            rows[i - SEARCHES_WARM] = (double)(explain.total.walked + explain.total.scanned);
            bytes[i - SEARCHES_WARM] = (double)explain.bytes_pinned;
        }
    }
    out->search_us = (cpu_us() - start_us) / SEARCHES;
    out->search_rows = bench_median(rows, SEARCHES);
    out->search_bytes = bench_median(bytes, SEARCHES);
    return true;
}

/* CPU of making points, which is not the engine's: the second time, when neighbours are known. */
static double making_us(struct bench_size *self, uint32_t points) {
    (void)fill(self, 0, points, points, true);
    double start_us = cpu_us();
    (void)fill(self, 0, points, points, true);
    return (cpu_us() - start_us) / points;
}

static bool measure_load(struct bench_size *self, uint32_t points, struct size_constants *out) {
    ins_stats before, after;
    uint64_t indexed = 0;
    double making = making_us(self, points);
    look(self, &before);
    double start_us = cpu_us();
    if (!fill(self, 0, points, points, false) || !settle(self, &indexed)) {
        return false;
    }
    double used_us = cpu_us() - start_us;
    look(self, &after);
    double written = (double)(after.flush_bytes + after.merge_bytes + after.clean_bytes +
                              after.log_bytes - before.log_bytes);
    out->graph = indexed > 0;
    out->points = points;
    out->disk_point = (double)after.live_bytes / points;
    out->log_point = (double)(after.log_bytes - before.log_bytes) / points;
    out->written_point = written / points;
    out->write_us_point = used_us / points - making;
    return true;
}

static bool measure_small(struct bench_size *self, uint32_t first, struct size_constants *out) {
    ins_stats before, after;
    uint64_t indexed = 0;
    look(self, &before);
    if (!fill(self, first, SMALL_TENANTS, 1, false) || !settle(self, &indexed)) {
        return false;
    }
    look(self, &after);
    double more =
        (double)after.mem_used[INS_MEM_CATALOG] - (double)before.mem_used[INS_MEM_CATALOG];
    out->catalog_tenant = more / SMALL_TENANTS;
    return true;
}

/* The cache is empty after a start. */
static bool measure_cache(struct bench_size *self, struct size_constants *out) {
    ins_stats before, after;
    look(self, &before);
    if (!measure_searches(self, out)) {
        return false;
    }
    look(self, &after);
    out->cache_point =
        (double)(after.mem_used[INS_MEM_CACHE] - before.mem_used[INS_MEM_CACHE]) / out->points;
    return true;
}

static bool measure_in(struct bench_size *self, const char *path,
                       const struct bench_options *options, struct size_constants *out) {
    self->driver = (struct driver){.width = 1};
    if (!driver_open(&self->driver, path, options)) {
        return false;
    }
    bool good = create(self) && measure_load(self, options->measured, out) &&
                measure_small(self, options->measured, out);
    driver_close(&self->driver);
    self->driver = (struct driver){.width = 1};
    if (!good || !driver_open(&self->driver, path, options)) {
        return false;
    }
    good = measure_cache(self, out);
    driver_close(&self->driver);
    return good;
}

bool size_measure(const struct bench_options *options, struct size_constants *out) {
    struct bench_size self = {.seed = options->seed};
    struct bench_directory directory;
    if (!vectors_open(&self.vectors, options->sample, true)) {
        return false;
    }
    bool good = directory_open(options, &directory);
    if (good) {
        good = measure_in(&self, directory.path, options, out);
        directory_close(&directory);
    }
    vectors_close(&self.vectors);
    return good;
}
