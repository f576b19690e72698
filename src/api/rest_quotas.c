/* Insula's own: what tenants may use, what they did, and what of them is in memory. */
#include "api/settings.h"

static const char *const priorities[] = {
    [INS_PRIORITY_NORMAL] = "normal", [INS_PRIORITY_LOW] = "low", [INS_PRIORITY_HIGH] = "high"};
#define PRIORITY_COUNT (sizeof(priorities) / sizeof(priorities[0]))

/* Of "/collections/{c}/..." all tenants, of "/collections/{c}/tenants/{t}/..." this one. */
static void name_tenant(struct job *job) {
    job->tenants = (ins_tenants_request){.collection = job->params[0], .name = job->params[1]};
}

/* ---- Quotas ---- */

static void write_limit(struct json_writer *writer, const char *key, uint64_t limit) {
    json_write_key(writer, key);
    if (limit == 0) {
        json_write_null(writer);
    } else {
        json_write_u64(writer, limit);
    }
}

static void encode_quota(struct job *job, struct json_writer *writer) {
    const ins_quota *quota = job->call.quota;
    json_write_begin_object(writer);
    write_limit(writer, "queries_per_second", quota->queries_per_second);
    write_limit(writer, "writes_per_second", quota->writes_per_second);
    write_limit(writer, "scan_bytes_per_second", quota->scan_bytes_per_second);
    write_limit(writer, "stored_bytes", quota->stored_bytes);
    write_limit(writer, "memory_floor", quota->memory_floor);
    write_limit(writer, "memory_ceiling", quota->memory_ceiling);
    write_limit(writer, "ttl", quota->ttl_s);
    json_write_key(writer, "priority");
    json_write_string(writer, priorities[quota->priority]);
    json_write_key(writer, "pin");
    json_write_bool(writer, quota->pin);
    json_write_key(writer, "own");
    json_write_bool(writer, job->call.found);
    json_write_end_object(writer);
}

static ins_status decode_priority(struct json_value body, ins_priority *out, ins_error *error) {
    static const char expected[] = "\"high\", \"normal\" or \"low\"";
    struct json_value value;
    if (!field_get(body, "priority", &value)) {
        return INS_OK;
    }
    for (size_t i = 0; json_type_of(value) == JSON_STRING && i < PRIORITY_COUNT; i++) {
        if (text_equal(json_string(value), priorities[i])) {
            *out = (ins_priority)i;
            return INS_OK;
        }
    }
    return type_error(error, "priority", expected, value);
}

/* A limit that is misspelt would be none. */
static ins_status refuse_unknown(struct json_value body, ins_error *error) {
    static const char *const known[] = {
        "queries_per_second", "writes_per_second", "scan_bytes_per_second",
        "stored_bytes",       "priority",          "pin",
        "memory_floor",       "memory_ceiling",    "ttl"};
    struct json_iterator iterator = json_begin(body);
    struct json_value value;
    ins_text key;
    while (json_next_member(&iterator, &key, &value)) {
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            found = found || text_equal(key, known[i]);
        }
        if (!found) {
            return ins_fail(
                error, INS_INVALID,
                "Format error in JSON body: unknown field `%.*s`, expected one of "
                "`queries_per_second`, `writes_per_second`, `scan_bytes_per_second`, "
                "`stored_bytes`, `priority`, `pin`, `memory_floor`, `memory_ceiling`, `ttl`",
                (int)(key.size < 64 ? key.size : 64), key.data);
        }
    }
    return INS_OK;
}

ins_status quota_set(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body;
    name_tenant(job);
    ins_quota *quota = &job->tenants.quota;
    const struct {
        const char *key;
        uint64_t *out;
        uint64_t min, max;
    } limits[] = {{"queries_per_second", &quota->queries_per_second, 1, INS_QUOTA_MAX},
                  {"writes_per_second", &quota->writes_per_second, 1, INS_QUOTA_MAX},
                  {"scan_bytes_per_second", &quota->scan_bytes_per_second, 1, INS_QUOTA_MAX},
                  {"stored_bytes", &quota->stored_bytes, 1, INS_QUOTA_MAX},
                  {"memory_floor", &quota->memory_floor, 1, INS_QUOTA_MAX},
                  {"memory_ceiling", &quota->memory_ceiling, INS_CEILING_MIN, INS_QUOTA_MAX},
                  {"ttl", &quota->ttl_s, 1, INS_TTL_S_MAX}};
    ins_status status = body_parse(job, request, &body, error);
    if (status == INS_OK) {
        status = refuse_unknown(body, error);
    }
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && status == INS_OK; i++) {
        status = field_u64(body, limits[i].key, limits[i].key, limits[i].min, limits[i].max,
                           limits[i].out, error);
    }
    if (status == INS_OK) {
        status = decode_priority(body, &quota->priority, error);
    }
    if (status == INS_OK) {
        status = field_bool(body, "pin", &quota->pin, error);
    }
    if (status == INS_OK) {
        job_start(job, ins_tenant_quota_set, &job->tenants, encode_true);
    }
    return status;
}

ins_status quota_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    name_tenant(job);
    job_start(job, ins_tenant_quota_get, &job->tenants, encode_quota);
    return INS_OK;
}

ins_status quota_delete(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    name_tenant(job);
    job_start(job, ins_tenant_quota_clear, &job->tenants, encode_true);
    return INS_OK;
}

/* ---- Usage ---- */

static void encode_usage(struct job *job, struct json_writer *writer) {
    const ins_tenant_usage *usage = job->call.usage;
    json_write_begin_object(writer);
    write_count(writer, "points", usage->points);
    write_count(writer, "points_max", usage->points_max);
    write_count(writer, "memory_rows", usage->memory_rows);
    write_count(writer, "runs", usage->runs);
    write_count(writer, "disk_bytes", usage->disk_bytes);
    write_count(writer, "live_bytes_min", usage->live_bytes_min);
    json_write_key(writer, "activity");
    if (!usage->active) {
        json_write_null(writer);
        json_write_end_object(writer);
        return;
    }
    json_write_begin_object(writer);
    write_count(writer, "since_s", usage->since_s);
    write_count(writer, "queries", usage->queries);
    write_count(writer, "writes", usage->writes);
    write_count(writer, "points_written", usage->points_written);
    write_count(writer, "rows_scanned", usage->rows_scanned);
    write_count(writer, "bytes_scanned", usage->bytes_scanned);
    write_count(writer, "time_us", usage->time_ns / 1000);
    write_count(writer, "background_us", usage->background_ns / 1000);
    write_count(writer, "background_bytes", usage->background_bytes);
    write_count(writer, "refused", usage->refused);
    json_write_end_object(writer);
    json_write_end_object(writer);
}

ins_status usage_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    name_tenant(job);
    job_start(job, ins_tenant_usage_get, &job->tenants, encode_usage);
    return INS_OK;
}

/* ---- Warming ---- */

static void encode_warmed(struct job *job, struct json_writer *writer) {
    const ins_warmed *warmed = job->call.warmed;
    json_write_begin_object(writer);
    json_write_key(writer, "status");
    json_write_string(writer, warmed == NULL ? "acknowledged" : "completed");
    if (warmed != NULL) {
        write_count(writer, "islands", warmed->islands);
        write_count(writer, "extents", warmed->extents);
        write_count(writer, "bytes", warmed->bytes);
        write_count(writer, "loaded_bytes", warmed->loaded_bytes);
        write_count(writer, "limit_bytes", warmed->limit_bytes);
        json_write_key(writer, "complete");
        json_write_bool(writer, warmed->complete);
    }
    json_write_end_object(writer);
}

ins_status tenant_warm(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    (void)error;
    name_tenant(job);
    job->tenants.no_wait = !job->query.wait;
    job_start(job, ins_tenant_warm, &job->tenants, encode_warmed);
    return INS_OK;
}
