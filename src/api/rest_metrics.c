/* What the server tells about itself to tools: Prometheus text, telemetry, cluster. Only what is
 * true and has a meaning here, under Qdrant's names where it is the same thing, else insula_*. The
 * number of lines is fixed: nothing is counted by collection or tenant. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api_private.h"
#include "base/assert.h"

#define METRICS_BYTES (16u << 10)

struct metrics {
    char text[METRICS_BYTES];
    size_t size;
};

static void metric_head(struct metrics *metrics, const char *name, const char *type,
                        const char *help) {
    int size = snprintf(metrics->text + metrics->size, METRICS_BYTES - metrics->size,
                        "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    metrics->size += (size_t)size;
    INS_ASSERT(metrics->size < METRICS_BYTES);
}

static void metric_value(struct metrics *metrics, const char *name, const char *labels,
                         uint64_t value) {
    int size = snprintf(metrics->text + metrics->size, METRICS_BYTES - metrics->size, "%s%s %llu\n",
                        name, labels, (unsigned long long)value);
    metrics->size += (size_t)size;
    INS_ASSERT(metrics->size < METRICS_BYTES);
}

static void metric(struct metrics *metrics, const char *name, const char *type, const char *help,
                   uint64_t value) {
    metric_head(metrics, name, type, help);
    metric_value(metrics, name, "", value);
}

static void memory_metrics(struct metrics *metrics, const ins_stats *stats) {
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
    metric_head(metrics, "insula_memory_used_bytes", "gauge", "bytes in use, by purpose");
    for (size_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        metric_value(metrics, "insula_memory_used_bytes", purposes[i], stats->mem_used[i]);
    }
    metric_head(metrics, "insula_memory_limit_bytes", "gauge", "share of the budget, by purpose");
    for (size_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        metric_value(metrics, "insula_memory_limit_bytes", purposes[i], stats->mem_limit[i]);
    }
}

static void work_metrics(struct metrics *metrics, const ins_stats *stats) {
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
    metric(metrics, "insula_graphs_refused_total", "counter",
           "extents that got no graph: no memory, or unreadable", stats->graphs_refused);
    metric(metrics, "insula_graph_searches_total", "counter", "walks over graphs",
           stats->graph_searches);
    metric(metrics, "insula_graph_fallbacks_total", "counter",
           "graphs that could not be used, scanned instead", stats->graph_fallbacks);
    metric(metrics, "insula_code_scans_total", "counter", "scans over 1-bit codes",
           stats->code_scans);
    metric(metrics, "insula_code_fallbacks_total", "counter",
           "1-bit codes that could not be used: rows were scanned", stats->code_fallbacks);
    metric(metrics, "insula_code_rows_total", "counter", "rows whose 1-bit codes were looked at",
           stats->code_rows);
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
    metric(metrics, "insula_writes_stopped", "gauge", "1: the log failed, writes are refused",
           stats->writes_stopped);
}

static void refused_metrics(struct metrics *metrics, const struct api *api) {
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
static void request_metrics(struct metrics *metrics, const struct job *job) {
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
static void process_metrics(struct metrics *metrics, const ins_stats *stats) {
    char labels[160];
    (void)snprintf(labels, sizeof(labels), "{pid=\"%d\",isa=\"%s\",arena_pages=\"%s\"}",
                   (int)getpid(), stats->isa == NULL ? "" : stats->isa,
                   stats->arena_pages == NULL ? "" : stats->arena_pages);
    metric_head(metrics, "insula_process_info", "gauge", "the process, and what it runs on");
    metric_value(metrics, "insula_process_info", labels, 1);
}

static void metrics_finish(struct job *job) {
    const ins_stats *stats = job->stats.out_stats;
    struct metrics metrics;
    metrics.size = 0;
    metric_head(&metrics, "app_info", "gauge", "name and version");
    metric_value(&metrics, "app_info", "{name=\"insula\",version=\"" INS_VERSION "\"}", 1);
    metric(&metrics, "cluster_enabled", "gauge", "1: many nodes", 0);
    metric(&metrics, "collections_total", "gauge", "number of collections", stats->collections);
    metric(&metrics, "insula_tenants", "gauge", "tenants of all collections", stats->tenants);
    memory_metrics(&metrics, stats);
    work_metrics(&metrics, stats);
    refused_metrics(&metrics, job->api);
    request_metrics(&metrics, job);
    process_metrics(&metrics, stats);
    answer_fixed(job->api, job->user, 200, "text/plain; version=0.0.4; charset=utf-8", metrics.text,
                 metrics.size);
}

ins_status service_metrics(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_status status = stats_start(job, error);
    if (status == INS_OK) {
        job->finish = metrics_finish;
        job_start(job, ins_stats_read, &job->stats, NULL);
    }
    return status;
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
