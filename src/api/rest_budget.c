/* Insula's own: the memory budget of the process that runs. */
#include "api/settings.h"

static void encode_budget(struct job *job, struct json_writer *writer) {
    const ins_stats *stats = job->stats.out_stats;
    json_write_begin_object(writer);
    write_count(writer, "bytes", stats->memory_budget);
    json_write_key(writer, "asked");
    if (stats->memory_budget_asked == 0) {
        json_write_null(writer);
    } else {
        json_write_u64(writer, stats->memory_budget_asked);
    }
    write_count(writer, "smallest", stats->memory_budget_least);
    write_count(writer, "largest", stats->memory_budget_most);
    write_count(writer, "machine_bytes", stats->machine_bytes);
    write_count(writer, "resident_bytes", ins_resident_bytes());
    write_count(writer, "above_bytes", stats->memory_above);
    json_write_key(writer, "settled");
    json_write_bool(writer, !stats->memory_settling);
    json_write_end_object(writer);
}

ins_status budget_get(struct job *job, const struct api_request *request, ins_error *error) {
    (void)request;
    ins_status status = stats_start(job, error);
    if (status == INS_OK) {
        job_start(job, ins_stats_read, &job->stats, encode_budget);
    }
    return status;
}

/* {"bytes": N}; null: by the machine's memory. Nothing else: a budget that is misspelt would be
 * another one. */
ins_status budget_set(struct job *job, const struct api_request *request, ins_error *error) {
    struct json_value body, value;
    ins_text key;
    ins_status status = body_parse(job, request, &body, error);
    if (status != INS_OK) {
        return status;
    }
    bool given = false;
    struct json_iterator iterator = json_begin(body);
    while (json_next_member(&iterator, &key, &value)) {
        if (!text_equal(key, "bytes")) {
            return ins_fail(error, INS_INVALID,
                            "Format error in JSON body: unknown field `%.*s`, expected `bytes`",
                            (int)(key.size < 64 ? key.size : 64), key.data);
        }
        given = true;
    }
    if (!given) {
        return ins_fail(error, INS_INVALID, "Format error in JSON body: missing field `bytes`");
    }
    status = field_u64(body, "bytes", "bytes", 1, UINT64_MAX, &job->budget.bytes, error);
    if (status == INS_OK) {
        status = stats_start(job, error);
    }
    if (status == INS_OK) {
        job->budget.out_stats = job->stats.out_stats;
        job_start(job, ins_budget_set, &job->budget, encode_budget);
    }
    return status;
}
