/* Latencies of requests, from when they were whole to when their answer is written: by route and
 * code, and of reads by the size of the tenant that they were about. The number of counters is
 * fixed: routes, codes and classes, never names. Threads: the API's lane writes, any reads. */
#include "api/api_private.h"
#include "base/assert.h"

const unsigned watch_codes[WATCH_CODES] = {200, 400, 404, 405, 408, 409, 413,
                                           422, 429, 500, 501, 503, 507};

static const struct {
    const char *name;
    uint64_t rows_below;
} classes[WATCH_CLASSES] = {{"under 1k", 1000},      {"1k to 10k", 10000},
                            {"10k to 100k", 100000}, {"100k to 1M", 1000000},
                            {"from 1M", UINT64_MAX}, {"several", 0}};

const char *watch_class_name(size_t index) {
    return classes[index].name;
}

/* One tenant, or one collection without tenants, by the rows that it holds. */
static size_t class_of(const ins_explain *explain) {
    bool one = explain->pinned ? explain->tenants == 1 : explain->islands <= 1;
    size_t index = 0;
    while (one && explain->rows_held >= classes[index].rows_below && index < WATCH_CLASSES - 2) {
        index++;
    }
    return one ? index : WATCH_CLASSES - 1;
}

static void note_read(struct watch *watch, const struct job *job, uint64_t took_ns) {
    const ins_explain *explain = job->call.explain;
    if (explain != NULL && explain->ended_ns != 0) {
        histogram_note(&watch->reads[class_of(explain)], took_ns);
    }
}

void watch_note(struct job *job, unsigned http, uint64_t took_ns) {
    struct watch *watch = job->api->watch;
    size_t route = (size_t)(job->route - route_at(0));
    INS_ASSERT(route < ROUTES_MAX);
    size_t code = 0;
    while (code < WATCH_CODES - 1 && watch_codes[code] != http) {
        code++;
    }
    count_add(&watch->routes[route].codes[code], 1);
    if (http != 200) {
        return;
    }
    histogram_note(&watch->routes[route].took, took_ns);
    if (!job->ended) {
        return; /* the engine still works on it */
    }
    note_read(watch, job, took_ns);
    for (size_t i = 0; i < job->part_count; i++) {
        const ins_explain *part = job->parts[i]->call.explain;
        note_read(watch, job->parts[i], part == NULL ? 0 : part->ended_ns - part->begun_ns);
    }
}
