/* `cold`: the first query to tenants that nobody asked since the start, beside direct reads of the
 * same extents. A server of one's own is started again; then, for each of some tenants of up to
 * 10,000 points in an order of their own, one query over HTTP, and one read of the tenant's extents
 * (O_DIRECT, whole pages, up to 1 MiB at once) right before or right after it, in turn, so that
 * neither always finds what the device has just read for the other. */
#include <stdlib.h>

#include "extents.h"
#include "suite.h"

#define COLD_POINTS_MAX 10000u
#define COLD_TENANTS_MAX 2000u
#define COLD_LIMIT 10u
#define COLD_WARMUP 20u /* queries to the largest tenant: of the server, not of tenants */

/* By how many points the tenant has at least; small ones are one block, others several. */
static const struct {
    uint32_t points;
    const char *key, *label;
} sizes[] = {{0, "cold_p50_us_1", "cold query: p50, us, tenants of 1 to 99 points"},
             {100, "cold_p50_us_100", "cold query: p50, us, tenants of 100 to 999 points"},
             {1000, "cold_p50_us_1000", "cold query: p50, us, tenants of 1,000 to 10,000 points"}};
#define COLD_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct cold_tenant {
    uint32_t tenant;
    uint64_t incarnation;
};

struct cold {
    struct suite *suite;
    struct extents extents;
    struct cold_tenant tenants[COLD_TENANTS_MAX];
    uint32_t count, at, warmup;
    struct http_load load;
    struct latency query, direct, by_size[COLD_SIZES];
    uint64_t reads, bytes; /* direct */
    float vector[BENCH_DIM];
    struct wire_query asked;
    bool failed;
};

static const double us = 1e-3;

/* ---- Who is asked ---- */

static void choose(struct cold *cold) {
    const struct world *world = &cold->suite->world;
    struct random random = random_of(world->seed, BENCH_TRUTH, 1000, 0);
    uint32_t fit = 0;
    for (uint32_t t = 0; t < world->tenant_count; t++) {
        uint32_t live = tenant_live(&world->tenants[t]);
        if (live == 0 || live > COLD_POINTS_MAX) {
            continue;
        }
        /* Each that fits with the same chance, in random order. */
        uint32_t at = (uint32_t)(random_next(&random) % ++fit);
        if (cold->count < COLD_TENANTS_MAX) {
            cold->tenants[cold->count++] = cold->tenants[at];
            cold->tenants[at].tenant = t;
        } else if (at < COLD_TENANTS_MAX) {
            cold->tenants[at].tenant = t;
        }
    }
}

static bool find_islands(struct cold *cold) {
    const struct suite *suite = cold->suite;
    char path[128], answer[1024];
    for (uint32_t i = 0; i < cold->count; i++) {
        struct cold_tenant *tenant = &cold->tenants[i];
        const char *name = suite->world.names[tenant->tenant];
        (void)snprintf(path, sizeof(path), "/collections/" WIRE_COLLECTION "/tenants/%s", name);
        int status = http_once(&suite->target.server, "GET", path, NULL, answer, sizeof(answer));
        if (status != 200 || !json_find_u64(answer, NULL, "incarnation", &tenant->incarnation)) {
            (void)bench_fail("cold: where tenant %s lies: %d %.200s", name, status, answer);
            return false;
        }
    }
    return true;
}

/* ---- Query and read in turn ---- */

static void read_direct(struct cold *cold, const struct cold_tenant *tenant) {
    uint64_t start_ns = bench_now_ns(), reads = 0;
    if (!extents_read(&cold->extents, tenant->incarnation, &reads, &cold->bytes)) {
        (void)bench_fail("cold: no extents of island %llu",
                         (unsigned long long)tenant->incarnation);
        cold->failed = true;
    }
    cold->reads += reads;
    latency_add(&cold->direct, bench_now_ns() - start_ns);
}

static size_t next_query(void *context, uint32_t connection, char *out) {
    struct cold *cold = context;
    (void)connection;
    bool warms = cold->warmup < COLD_WARMUP;
    if (cold->failed || (!warms && cold->at == cold->count)) {
        return 0;
    }
    uint32_t tenant = warms ? 0 : cold->tenants[cold->at].tenant;
    world_query(&cold->suite->world, tenant, (1ull << 58) + cold->warmup, false, cold->vector);
    cold->asked =
        (struct wire_query){.tenant = tenant, .vector = cold->vector, .limit = COLD_LIMIT};
    size_t size = wire_query(&cold->suite->wire, &cold->asked, out);
    if (!warms && cold->at % 2 == 0) {
        read_direct(cold, &cold->tenants[cold->at]);
    }
    return size;
}

static void count_size(struct cold *cold, uint64_t latency_ns) {
    uint32_t tenant = cold->tenants[cold->at].tenant;
    uint32_t live = tenant_live(&cold->suite->world.tenants[tenant]);
    size_t size = COLD_SIZES - 1;
    while (live < sizes[size].points) {
        size--;
    }
    latency_add(&cold->by_size[size], latency_ns);
}

static void query_done(void *context, uint32_t connection, const struct http_answer *answer) {
    struct cold *cold = context;
    struct hits hits;
    (void)connection;
    if (answer->status != 200 ||
        !answers_check(&cold->suite->answers, &cold->asked, answer, &hits)) {
        cold->failed = true;
    } else if (cold->warmup < COLD_WARMUP) {
        cold->warmup++;
    } else {
        latency_add(&cold->query, answer->latency_ns);
        count_size(cold, answer->latency_ns);
        if (cold->at % 2 == 1) {
            read_direct(cold, &cold->tenants[cold->at]);
        }
        cold->at++;
    }
}

/* ---- Figures ---- */

static void report_ratio(const struct cold *cold, struct report *report, const char *key,
                         const char *label, double quantile, double wanted) {
    double ratio = (double)latency_quantile(&cold->query, quantile) /
                   (double)latency_quantile(&cold->direct, quantile);
    char target[24];
    (void)snprintf(target, sizeof(target), "<= %g", wanted);
    report_number(report, key, label, ratio);
    report_target(report, target, ratio <= wanted);
}

static void report_cold(const struct cold *cold, struct report *report, const char *before,
                        const char *after) {
    static const struct {
        const char *key, *label;
    } counts[] = {{"device_reads", "reads of the device for a cold query"},
                  {"device_bytes", "bytes of the device for a cold query"}};
    double count = (double)cold->count;
    report_number(report, "tenants", "tenants of up to 10,000 points that were asked", count);
    report_number(report, "cold_p50_us", "cold query: p50, us",
                  (double)latency_quantile(&cold->query, 0.5) * us);
    report_number(report, "cold_p99_us", "cold query: p99, us",
                  (double)latency_quantile(&cold->query, 0.99) * us);
    for (size_t i = 0; i < COLD_SIZES; i++) {
        report_number(report, sizes[i].key, sizes[i].label,
                      (double)latency_quantile(&cold->by_size[i], 0.5) * us);
    }
    report_number(report, "direct_p50_us", "direct read of its extents: p50, us",
                  (double)latency_quantile(&cold->direct, 0.5) * us);
    report_number(report, "direct_p99_us", "direct read of its extents: p99, us",
                  (double)latency_quantile(&cold->direct, 0.99) * us);
    report_ratio(cold, report, "p50_ratio", "p50 of cold queries over direct reads", 0.5, 2.0);
    report_ratio(cold, report, "p99_ratio", "p99 of cold queries over direct reads", 0.99, 5.0);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t from, to;
        if (json_find_u64(before, NULL, counts[i].key, &from) &&
            json_find_u64(after, NULL, counts[i].key, &to)) {
            report_number(report, counts[i].key, counts[i].label, (double)(to - from) / count);
        }
    }
    report_number(report, "direct_reads", "direct reads beside it", (double)cold->reads / count);
    report_number(report, "direct_bytes", "bytes of direct reads beside it",
                  (double)cold->bytes / count);
}

/* ---- Run ---- */

static bool ask_all(struct cold *cold) {
    struct suite *suite = cold->suite;
    cold->load = (struct http_load){.server = &suite->target.server,
                                    .connections = 1,
                                    .context = cold,
                                    .next = next_query,
                                    .done = query_done};
    bool good = http_load_run(&cold->load) && !cold->failed;
    if (!good) {
        (void)bench_fail("cold: tenant %u of %u: %s", cold->at, cold->count, cold->load.first_body);
    }
    return good;
}

static bool measure(struct cold *cold, struct report *report) {
    struct suite *suite = cold->suite;
    char before[8192] = "", after[8192] = "";
    (void)target_settle(&suite->target, 60.0);
    choose(cold);
    if (!find_islands(cold) || !target_restart(&suite->target, false) ||
        !extents_open(&cold->extents, suite->target.data)) {
        return false;
    }
    (void)http_once(&suite->target.server, "GET", "/insula/stats", NULL, before, sizeof(before));
    if (!ask_all(cold)) {
        return false;
    }
    (void)http_once(&suite->target.server, "GET", "/insula/stats", NULL, after, sizeof(after));
    report_cold(cold, report, before, after);
    answers_report(&suite->answers, report);
    return true;
}

bool workload_cold(struct suite *suite, struct report *report) {
    if (!suite->target.own || suite->world.style != BENCH_STYLE_KEY) {
        report_absent(report, "p50_ratio", "needs a server of its own (no --url), style key");
        return true;
    }
    struct cold *cold = calloc(1, sizeof(*cold));
    bool good = cold != NULL;
    if (good) {
        cold->suite = suite;
        good = measure(cold, report);
        extents_close(&cold->extents);
    }
    free(cold);
    return good;
}
