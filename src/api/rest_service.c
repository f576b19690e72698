/* The server about itself: version, health, statistics, flush. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

/* Clients read the version and check that it is one they know; the commit only has to be 40 hex
 * digits, and this is no commit of Qdrant. */
#define COMMIT "0000000000000000000000000000000000000000"

/* Not in the envelope: clients look for `title` and `version` at the top. */
void service_root(struct api *api, const struct api_request *request) {
    static const char text[] =
        "{\"title\":\"insula - vector search engine\",\"version\":\"" INS_QDRANT_VERSION
        "\",\"commit\":\"" COMMIT "\",\"insula\":\"" INS_VERSION "\"}";
    answer_fixed(api, request->user, 200, "application/json", text, sizeof(text) - 1);
}

void service_health(struct api *api, const struct api_request *request) {
    static const char text[] = "healthz check passed";
    answer_fixed(api, request->user, 200, "text/plain; charset=utf-8", text, sizeof(text) - 1);
}

ins_status stats_start(struct job *job, ins_error *error) {
    ins_stats *stats = job_alloc(job, sizeof(*stats));
    if (stats == NULL) {
        return job_no_memory(error);
    }
    job->stats.out_stats = stats;
    return INS_OK;
}

static void ready_finish(struct job *job) {
    static const char plain[] = "text/plain; charset=utf-8";
    const ins_stats *stats = job->stats.out_stats;
    if (!stats->writes_stopped) {
        static const char text[] = "all shards are ready";
        answer_fixed(job->api, job->user, 200, plain, text, sizeof(text) - 1);
        return;
    }
    char text[INS_ERROR_MESSAGE_MAX + 64];
    int size = snprintf(text, sizeof(text), "degraded: writes are stopped, reads go on: %.*s",
                        INS_ERROR_MESSAGE_MAX - 1, stats->reason);
    answer_fixed(job->api, job->user, 503, plain, text, (size_t)size);
}

ins_status service_ready(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_status status = stats_start(job, error);
    if (status == INS_OK) {
        job->finish = ready_finish;
        job_start(job, ins_stats_read, &job->stats, NULL);
    }
    return status;
}

static void write_memory(const ins_stats *stats, struct json_writer *writer) {
    static const char *const purposes[] = {
#define PURPOSE_TEXT(name, text) text,
        INS_MEM_PURPOSES(PURPOSE_TEXT)
#undef PURPOSE_TEXT
    };
    json_write_key(writer, "memory");
    json_write_begin_object(writer);
    write_count(writer, "budget", stats->memory_budget);
    write_count(writer, "above", stats->memory_above);
    write_count(writer, "held", stats->memory_held);
    write_count(writer, "held_limit", stats->memory_hold_most);
    write_count(writer, "arena_limit", stats->arena_limit);
    write_count(writer, "arena_used", stats->arena_used);
    write_count(writer, "arena_committed", stats->arena_committed);
    json_write_key(writer, "arena_pages");
    json_write_string(writer, stats->arena_pages == NULL ? "" : stats->arena_pages);
    for (size_t i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        json_write_key(writer, purposes[i]);
        json_write_begin_object(writer);
        write_count(writer, "used", stats->mem_used[i]);
        write_count(writer, "limit", stats->mem_limit[i]);
        json_write_end_object(writer);
    }
    json_write_end_object(writer);
}

static void write_log(const ins_stats *stats, struct json_writer *writer) {
    json_write_key(writer, "log");
    json_write_begin_object(writer);
    write_count(writer, "lsn_sequenced", stats->lsn_sequenced);
    write_count(writer, "lsn_durable", stats->lsn_durable);
    write_count(writer, "lsn_flushed", stats->lsn_flushed);
    write_count(writer, "syncs", stats->log_syncs);
    write_count(writer, "batches", stats->log_batches);
    write_count(writer, "bytes", stats->log_bytes);
    write_count(writer, "records", stats->log_records);
    json_write_end_object(writer);
}

/* Of all lanes, without the one that asks. */
static uint64_t requests_pending(const struct api *api) {
    uint64_t pending = 0;
    for (const struct api *each = api->shared->apis; each != NULL; each = each->next) {
        pending += api_pending(each);
    }
    return pending - 1;
}

static void encode_stats(struct job *job, struct json_writer *writer) {
    const ins_stats *stats = job->stats.out_stats;
    json_write_begin_object(writer);
    json_write_key(writer, "version");
    json_write_string(writer, INS_VERSION);
    json_write_key(writer, "isa");
    json_write_string(writer, stats->isa == NULL ? "" : stats->isa);
    write_count(writer, "collections", stats->collections);
    write_count(writer, "tenants", stats->tenants);
    write_count(writer, "runs", stats->runs);
    write_count(writer, "files", stats->files);
    write_count(writer, "file_syncs", stats->file_syncs);
    write_count(writer, "flushes", stats->flushes);
    write_count(writer, "merges", stats->merges);
    write_count(writer, "graphs_built", stats->graphs_built);
    write_count(writer, "graphs_inherited", stats->graphs_inherited);
    write_count(writer, "graphs_refused", stats->graphs_refused);
    write_count(writer, "graphs_waiting", stats->graphs_waiting);
    write_count(writer, "graph_searches", stats->graph_searches);
    write_count(writer, "graph_fallbacks", stats->graph_fallbacks);
    write_count(writer, "layouts", stats->layouts);
    write_count(writer, "layout_bytes", stats->layout_bytes);
    write_count(writer, "layouts_made", stats->layouts_made);
    write_count(writer, "layouts_useless", stats->layouts_useless);
    write_count(writer, "layouts_dropped", stats->layouts_dropped);
    write_count(writer, "layout_searches", stats->layout_searches);
    write_count(writer, "extents_damaged", stats->extents_damaged);
    write_count(writer, "extents_renewed", stats->extents_renewed);
    write_count(writer, "tenants_expired", stats->tenants_expired);
    write_count(writer, "code_scans", stats->code_scans);
    write_count(writer, "code_fallbacks", stats->code_fallbacks);
    write_count(writer, "code_rows", stats->code_rows);
    write_count(writer, "code_rows_fine", stats->code_rows_fine);
    write_count(writer, "code_rows_exact", stats->code_rows_exact);
    json_write_key(writer, "graph_damage");
    json_write_string(writer, stats->graph_damage);
    write_count(writer, "cold_reads", stats->cold_reads);
    write_count(writer, "cold_bytes", stats->cold_bytes);
    write_count(writer, "kept_bytes", stats->kept_bytes);
    write_count(writer, "floor_bytes", stats->floor_bytes);
    write_count(writer, "device_reads", stats->device_reads);
    write_count(writer, "device_bytes", stats->device_bytes);
    write_count(writer, "cache_hits", stats->cache_hits);
    write_count(writer, "timers", stats->timers);
    write_count(writer, "requests_pending", requests_pending(job->api));
    write_log(stats, writer);
    write_memory(stats, writer);
    json_write_key(writer, "writes_stopped");
    json_write_bool(writer, stats->writes_stopped);
    json_write_key(writer, "reason");
    json_write_string(writer, stats->writes_stopped ? stats->reason : "");
    json_write_end_object(writer);
}

ins_status service_stats(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_status status = stats_start(job, error);
    if (status == INS_OK) {
        job_start(job, ins_stats_read, &job->stats, encode_stats);
    }
    return status;
}

ins_status service_flush(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    job_start(job, ins_flush, NULL, encode_true);
    return INS_OK;
}
