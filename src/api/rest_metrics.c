/* What the server tells about itself to tools: Prometheus text, telemetry, cluster. Only what is
 * true and has a meaning here, under Qdrant's names where it is the same thing, else insula_*. The
 * number of lines is bounded whatever is stored: routes that were asked for, times buckets and
 * codes; classes of tenants; and the INS_HEAVY_SHOWN heaviest tenants of each resource. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api_private.h"
#include "api/metrics_text.h"
#include "base/assert.h"

static void memory_metrics(struct json_writer *metrics, const ins_stats *stats) {
    static const char *const purposes[] = {
#define PURPOSE_LABEL(name, text) "{purpose=\"" text "\"}",
        INS_MEM_PURPOSES(PURPOSE_LABEL)
#undef PURPOSE_LABEL
    };
    metric(metrics, "memory_active_bytes", "gauge", "bytes of the arena that are committed",
           stats->arena_committed);
    metric(metrics, "memory_allocated_bytes", "gauge", "bytes of the arena that are in use",
           stats->arena_used);
    metric(metrics, "insula_memory_budget_bytes", "gauge", "budget of the whole process",
           stats->memory_budget);
    metric(metrics, "insula_memory_held_bytes", "gauge",
           "large bodies and answers, beside the arena", stats->memory_held);
    metric(metrics, "insula_memory_held_limit_bytes", "gauge", "what these may take together",
           stats->memory_hold_most);
    metric(metrics, "insula_memory_above_bytes", "gauge",
           "bytes in use beyond a budget that was lowered", stats->memory_above);
    metric_head(metrics, "insula_memory_used_bytes", "gauge", "bytes in use, by purpose");
    for (size_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        metric_value(metrics, "insula_memory_used_bytes", purposes[i], stats->mem_used[i]);
    }
    metric_head(metrics, "insula_memory_limit_bytes", "gauge", "share of the budget, by purpose");
    for (size_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        metric_value(metrics, "insula_memory_limit_bytes", purposes[i], stats->mem_limit[i]);
    }
}

static void work_metrics(struct json_writer *metrics, const ins_stats *stats) {
    metric(metrics, "insula_log_syncs_total", "counter", "syncs of the log", stats->log_syncs);
    metric(metrics, "insula_log_bytes_total", "counter", "bytes written to the log",
           stats->log_bytes);
    metric(metrics, "insula_log_records_total", "counter", "records written to the log",
           stats->log_records);
    metric(metrics, "insula_lsn_durable", "gauge", "newest LSN on disk", stats->lsn_durable);
    metric(metrics, "insula_lsn_flushed", "gauge", "newest LSN in segments", stats->lsn_flushed);
    metric(metrics, "insula_flushes_total", "counter", "flushes that landed", stats->flushes);
    metric(metrics, "insula_merges_total", "counter", "merges that landed", stats->merges);
    metric(metrics, "insula_graphs_built_total", "counter", "extents written with graphs",
           stats->graphs_built);
    metric(metrics, "insula_graphs_inherited_total", "counter",
           "graphs that began with the links of an older one", stats->graphs_inherited);
    metric(metrics, "insula_graphs_refused_total", "counter",
           "extents that got no graph: no memory, or unreadable", stats->graphs_refused);
    metric(metrics, "insula_graphs_waiting", "gauge", "tenants that wait for a graph, or get one",
           stats->graphs_waiting);
    metric(metrics, "insula_graph_searches_total", "counter", "walks over graphs",
           stats->graph_searches);
    metric(metrics, "insula_graph_fallbacks_total", "counter",
           "graphs that could not be used, scanned instead", stats->graph_fallbacks);
    metric(metrics, "insula_layouts", "gauge", "fast layouts of graphs in memory", stats->layouts);
    metric(metrics, "insula_layout_bytes", "gauge", "bytes that they take", stats->layout_bytes);
    metric(metrics, "insula_layouts_made_total", "counter", "fast layouts of graphs made",
           stats->layouts_made);
    metric(metrics, "insula_layouts_useless_total", "counter",
           "fast layouts whose walks would have had to be too wide", stats->layouts_useless);
    metric(metrics, "insula_layouts_dropped_total", "counter",
           "fast layouts that made room for others", stats->layouts_dropped);
    metric(metrics, "insula_layout_searches_total", "counter", "searches that found a fast layout",
           stats->layout_searches);
    metric(metrics, "insula_extents_damaged_total", "counter",
           "extents whose codes or graph were found damaged", stats->extents_damaged);
    metric(metrics, "insula_extents_renewed_total", "counter",
           "extents written anew for damage or for late field indexes", stats->extents_renewed);
    metric(metrics, "insula_tenants_expired_total", "counter",
           "tenants deleted when their time to live had passed", stats->tenants_expired);
    metric(metrics, "insula_code_scans_total", "counter", "scans over 1-bit codes",
           stats->code_scans);
    metric(metrics, "insula_code_fallbacks_total", "counter",
           "1-bit codes that could not be used: rows were scanned", stats->code_fallbacks);
    metric(metrics, "insula_code_rows_total", "counter", "rows whose 1-bit codes were looked at",
           stats->code_rows);
    metric(metrics, "insula_code_rows_fine_total", "counter",
           "of these, rows that were looked at in 4 bits", stats->code_rows_fine);
    metric(metrics, "insula_code_rows_exact_total", "counter",
           "of these, rows that had to be compared exactly", stats->code_rows_exact);
    metric(metrics, "insula_files", "gauge", "segment files", stats->files);
    metric(metrics, "insula_runs", "gauge", "runs of all islands", stats->runs);
    metric(metrics, "insula_cold_reads_total", "counter", "blocks read from disk",
           stats->cold_reads);
    metric(metrics, "insula_cold_bytes_total", "counter", "bytes read from disk",
           stats->cold_bytes);
    metric(metrics, "insula_cache_hits_total", "counter", "blocks found in the cache",
           stats->cache_hits);
    metric(metrics, "insula_cache_evictions_total", "counter",
           "blocks that went from the cache for others", stats->cache_evictions);
    metric_head(metrics, "insula_log_write_duration_seconds", "histogram",
                "batches of the log: the write and its sync");
    metric_durations(metrics, "insula_log_write_duration_seconds", "", &stats->log_writes);
    metric(metrics, "insula_writes_stopped", "gauge", "1: the log failed, writes are refused",
           stats->writes_stopped);
}

static void refused_metrics(struct json_writer *metrics, const struct api *api) {
    static const char *const labels[] = {
#define REFUSAL_LABEL(name, text) "{reason=\"" text "\"}",
        API_REFUSALS(REFUSAL_LABEL)
#undef REFUSAL_LABEL
    };
    metric_head(metrics, "insula_requests_refused_total", "counter",
                "requests refused for now (429, 503), by what was short");
    for (enum api_refusal why = 0; why < API_REFUSAL_COUNT; why++) {
        metric_value(metrics, "insula_requests_refused_total", labels[why], api_refused(api, why));
    }
}

/* Of all lanes. */
static void request_metrics(struct json_writer *metrics, const struct job *job) {
    struct api_counts sum = {0};
    for (struct api *each = job->api->shared->apis; each != NULL; each = each->next) {
        count_add(&sum.requests, each->counts.requests);
        count_add(&sum.connections, each->counts.connections);
        count_add(&sum.upserts, each->counts.upserts);
        count_add(&sum.upsert_points, each->counts.upsert_points);
    }
    metric(metrics, "insula_requests_total", "counter", "requests of all kinds", sum.requests);
    metric(metrics, "insula_connections_total", "counter", "connections that clients made",
           sum.connections);
    metric(metrics, "insula_upserts_total", "counter", "upsert requests", sum.upserts);
    metric(metrics, "insula_upsert_points_total", "counter", "points in upsert requests",
           sum.upsert_points);
    metric(metrics, "insula_filtered_reads_total", "counter", "reads with a filter",
           job->stats.out_stats->filtered_reads);
    metric(metrics, "insula_filtered_rows_total", "counter",
           "rows that filters looked at one by one", job->stats.out_stats->filtered_rows);
}

/* For `insula doctor`: which process to look at, and what it runs on. */
static void process_metrics(struct json_writer *metrics, const ins_stats *stats) {
    char labels[160];
    (void)snprintf(labels, sizeof(labels), "{pid=\"%d\",isa=\"%s\",arena_pages=\"%s\"}",
                   (int)getpid(), stats->isa == NULL ? "" : stats->isa,
                   stats->arena_pages == NULL ? "" : stats->arena_pages);
    metric_head(metrics, "insula_process_info", "gauge", "the process, and what it runs on");
    metric_value(metrics, "insula_process_info", labels, 1);
}

/* The collection's parameter is called {name} in Qdrant's labels. */
static void route_labels(const struct route *route, char out[LABELS_MAX]) {
    static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OTHER"};
    static const char ours[] = "/collections/{c}";
    char endpoint[160];
    size_t size = 0;
    bool named = strncmp(route->pattern, ours, sizeof(ours) - 1) == 0;
    (void)snprintf(endpoint, sizeof(endpoint), "%s%s", named ? "/collections/{name}" : "",
                   route->pattern + (named ? sizeof(ours) - 1 : 0));
    bool fits = label_add(out, &size, "method", methods[route->method]) &&
                label_add(out, &size, "endpoint", endpoint);
    INS_ASSERT(fits);
}

static uint64_t code_count(const struct api *api, size_t route, size_t code) {
    uint64_t count = 0;
    for (const struct api *each = api->shared->apis; each != NULL; each = each->next) {
        count +=
            atomic_load_explicit(&each->watch->routes[route].codes[code], memory_order_relaxed);
    }
    return count;
}

/* Only what was ever asked for. */
static void response_counts(struct json_writer *metrics, const struct api *api) {
    metric_head(metrics, "rest_responses_total", "counter", "answers by route and code");
    for (size_t route = 0; route < route_count(); route++) {
        char labels[LABELS_MAX], all[LABELS_MAX];
        route_labels(route_at(route), labels);
        for (size_t code = 0; code < WATCH_CODES; code++) {
            uint64_t count = code_count(api, route, code);
            if (count > 0) {
                (void)snprintf(all, sizeof(all), "{%.400s,status=\"%u\"}", labels,
                               watch_codes[code]);
                metric_value(metrics, "rest_responses_total", all, count);
            }
        }
    }
}

static void response_durations(struct json_writer *metrics, const struct api *api) {
    static const char name[] = "rest_responses_duration_seconds";
    metric_head(metrics, name, "histogram",
                "answers 200, from when the request was whole to when its answer was written");
    for (size_t route = 0; route < route_count(); route++) {
        ins_durations sum = {.count = 0};
        char labels[LABELS_MAX], all[LABELS_MAX];
        for (const struct api *each = api->shared->apis; each != NULL; each = each->next) {
            histogram_add_to(&each->watch->routes[route].took, &sum);
        }
        if (sum.count > 0) {
            route_labels(route_at(route), labels);
            (void)snprintf(all, sizeof(all), "%.400s,status=\"200\"", labels);
            metric_durations(metrics, name, all, &sum);
        }
    }
}

static void read_durations(struct json_writer *metrics, const struct api *api) {
    static const char name[] = "insula_read_duration_seconds";
    metric_head(metrics, name, "histogram",
                "reads of points by the rows that their tenant has; of batches each in the engine");
    for (size_t i = 0; i < WATCH_CLASSES; i++) {
        ins_durations sum = {.count = 0};
        char labels[LABELS_MAX];
        size_t size = 0;
        for (const struct api *each = api->shared->apis; each != NULL; each = each->next) {
            histogram_add_to(&each->watch->reads[i], &sum);
        }
        bool fits = label_add(labels, &size, "rows", watch_class_name(i));
        INS_ASSERT(fits);
        metric_durations(metrics, name, labels, &sum);
    }
}

static void slow_metrics(struct json_writer *metrics, const struct api *api) {
    uint64_t seen = 0, dropped = 0;
    for (const struct api *each = api->shared->apis; each != NULL; each = each->next) {
        seen += atomic_load_explicit(&each->slow.seen, memory_order_relaxed);
        dropped += atomic_load_explicit(&each->slow.dropped, memory_order_relaxed);
    }
    metric(metrics, "insula_slow_requests_total", "counter", "requests of --slow-ms or more", seen);
    metric(metrics, "insula_slow_lines_dropped_total", "counter",
           "of these, without a line in the slow log", dropped);
}

static void tenant_value(struct json_writer *metrics, const char *name, const ins_heavy *item,
                         bool seconds) {
    char labels[LABELS_MAX], all[LABELS_MAX + 4];
    size_t size = 0;
    bool fits = label_add(labels, &size, "collection", item->collection) &&
                label_add(labels, &size, "shard", item->shard) &&
                label_add(labels, &size, "tenant", item->tenant);
    INS_ASSERT(fits); /* three names of 255 bytes, each byte escaped */
    (void)snprintf(all, sizeof(all), "{%s}", labels);
    (seconds ? metric_seconds : metric_value)(metrics, name, all, item->count);
}

/* Gauges: a tenant that comes in takes over the count of the one that goes, as its error. */
static void tenant_metrics(struct json_writer *metrics, const ins_heaviest *heaviest) {
    static const struct {
        const char *total, *top, *help;
    } names[INS_HEAVY_RESOURCES] = {
        {"insula_read_time_seconds_total", "insula_top_tenant_time_seconds",
         "time of the engine's lane in reads"},
        {"insula_read_rows_total", "insula_top_tenant_rows", "rows that reads looked at"},
        {"insula_read_cold_bytes_total", "insula_top_tenant_cold_bytes",
         "bytes that reads brought from disk"},
        {"insula_reads_total", "insula_top_tenant_reads", "reads of points"},
        {"insula_written_rows_total", "insula_top_tenant_written_rows", "rows written"},
        {"insula_background_time_seconds_total", "insula_top_tenant_background_seconds",
         "time of the background lane in flushes, merges and graphs"}};
    for (enum ins_heavy_resource i = 0; i < INS_HEAVY_RESOURCES; i++) {
        bool seconds = i == INS_HEAVY_TIME || i == INS_HEAVY_WORK;
        metric_head(metrics, names[i].total, "counter", names[i].help);
        (seconds ? metric_seconds : metric_value)(metrics, names[i].total, "", heaviest->totals[i]);
        metric_head(metrics, names[i].top, "gauge",
                    "the same, of the heaviest tenants: at most so much since the start");
        for (uint32_t k = 0; k < heaviest->counts[i]; k++) {
            tenant_value(metrics, names[i].top, &heaviest->items[i][k], seconds);
        }
    }
}

static void metrics_finish(struct job *job) {
    const ins_stats *stats = job->stats.out_stats;
    struct json_writer text, *metrics = &text;
    answer_text_begin(job->api, metrics);
    metric_head(metrics, "app_info", "gauge", "name and version");
    metric_value(metrics, "app_info", "{name=\"insula\",version=\"" INS_VERSION "\"}", 1);
    metric(metrics, "cluster_enabled", "gauge", "1: many nodes", 0);
    metric(metrics, "collections_total", "gauge", "number of collections", stats->collections);
    metric(metrics, "insula_tenants", "gauge", "tenants of all collections", stats->tenants);
    memory_metrics(metrics, stats);
    work_metrics(metrics, stats);
    refused_metrics(metrics, job->api);
    request_metrics(metrics, job);
    slow_metrics(metrics, job->api);
    process_metrics(metrics, stats);
    response_counts(metrics, job->api);
    response_durations(metrics, job->api);
    read_durations(metrics, job->api);
    tenant_metrics(metrics, job->stats.out_heaviest);
    answer_text_end(job->api, job->user, "text/plain; version=0.0.4; charset=utf-8", metrics);
}

ins_status service_metrics(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_status status = stats_start(job, error);
    if (status != INS_OK) {
        return status;
    }
    ins_heaviest *heaviest = job_alloc(job, sizeof(*heaviest));
    if (heaviest == NULL) {
        return job_no_memory(error);
    }
    memset(heaviest, 0, offsetof(ins_heaviest, items));
    job->stats.out_heaviest = heaviest;
    job->finish = metrics_finish;
    job_start(job, ins_stats_read, &job->stats, NULL);
    return INS_OK;
}

static void encode_telemetry(struct job *job, struct json_writer *writer) {
    const ins_stats *stats = job->stats.out_stats;
    json_write_begin_object(writer);
    json_write_key(writer, "app");
    json_write_begin_object(writer);
    json_write_key(writer, "name");
    json_write_string(writer, "insula");
    json_write_key(writer, "version");
    json_write_string(writer, INS_VERSION);
    json_write_end_object(writer);
    json_write_key(writer, "collections");
    json_write_begin_object(writer);
    write_count(writer, "number_of_collections", stats->collections);
    json_write_end_object(writer);
    json_write_key(writer, "cluster");
    json_write_begin_object(writer);
    json_write_key(writer, "enabled");
    json_write_bool(writer, false);
    json_write_end_object(writer);
    json_write_key(writer, "memory");
    json_write_begin_object(writer);
    write_count(writer, "active_bytes", stats->arena_committed);
    write_count(writer, "allocated_bytes", stats->arena_used);
    json_write_end_object(writer);
    json_write_end_object(writer);
}

ins_status service_telemetry(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_status status = stats_start(job, error);
    if (status == INS_OK) {
        job_start(job, ins_stats_read, &job->stats, encode_telemetry);
    }
    return status;
}

void service_cluster(struct api *api, const struct api_request *request) {
    struct json_writer writer;
    uint64_t start_ns = api->runtime->now_ns(api->runtime->context);
    answer_begin(api, &writer);
    json_write_begin_object(&writer);
    json_write_key(&writer, "status");
    json_write_string(&writer, "disabled");
    json_write_end_object(&writer);
    answer_end(api, request->user, start_ns, &writer);
}
