/* `explain: true` in the body of a read: the answer says beside its result what the read did. */
#include <stddef.h>
#include <string.h>

#include "api/api_private.h"

bool explain_attach(struct job *job) {
    job->call.explain = job_alloc(job, sizeof(*job->call.explain));
    if (job->call.explain != NULL) {
        memset(job->call.explain, 0, offsetof(ins_explain, places)); /* as far as it must be */
    }
    return job->call.explain != NULL;
}

ins_status explain_decode(struct job *job, struct json_value body, ins_error *error) {
    bool wanted = false;
    ins_status status = field_bool(body, "explain", &wanted, error);
    if (status != INS_OK) {
        return status;
    }
    job->shows_explain = wanted;
    return explain_attach(job) ? INS_OK : job_no_memory(error);
}

static const char *look_name(enum ins_look look) {
    static const char *const names[] = {
#define LOOK_NAME(name, text) text,
        INS_LOOKS(LOOK_NAME)
#undef LOOK_NAME
    };
    return names[look];
}

static void write_rows(const ins_explain_place *place, struct json_writer *writer) {
    write_count(writer, "scanned", place->scanned);
    write_count(writer, "walked", place->walked);
    write_count(writer, "refused_by_index", place->refused_by_index);
    write_count(writer, "refused_by_filter", place->refused_by_filter);
    write_count(writer, "superseded", place->superseded);
}

static void write_place(const ins_explain_place *place, struct json_writer *writer) {
    json_write_begin_object(writer);
    write_count(writer, "island", place->island);
    json_write_key(writer, "how");
    json_write_string(writer, look_name(place->look));
    if (place->why != NULL) {
        json_write_key(writer, "why");
        json_write_string(writer, place->why);
    }
    write_count(writer, "rows", place->rows);
    write_rows(place, writer);
    json_write_end_object(writer);
}

static const char *scope_of(const ins_explain *explain) {
    return !explain->pinned ? "all" : explain->tenants == 1 ? "tenant" : "tenants";
}

static void write_plan(const ins_explain *explain, uint64_t places, struct json_writer *writer) {
    uint64_t shown = explain->place_count < places ? explain->place_count : places;
    json_write_key(writer, "plan");
    json_write_begin_object(writer);
    json_write_key(writer, "scope");
    json_write_string(writer, scope_of(explain));
    if (explain->pinned) {
        write_count(writer, "tenants", explain->tenants);
    }
    json_write_key(writer, "filtered");
    json_write_bool(writer, explain->filtered);
    write_count(writer, "islands", explain->islands);
    write_count(writer, "id_directories", explain->directories);
    write_count(writer, "memtables", explain->memtables);
    write_count(writer, "extents", explain->extents);
    write_count(writer, "rows_held", explain->rows_held);
    json_write_key(writer, "how");
    json_write_begin_object(writer);
    for (enum ins_look look = 0; look < INS_LOOK_COUNT; look++) {
        if (explain->looks[look] != 0) {
            write_count(writer, look_name(look), explain->looks[look]);
        }
    }
    json_write_end_object(writer);
    json_write_key(writer, "places");
    json_write_begin_array(writer);
    for (uint64_t i = 0; i < shown; i++) {
        write_place(&explain->places[i], writer);
    }
    json_write_end_array(writer);
    write_count(writer, "places_not_shown", explain->place_count - shown);
    json_write_end_object(writer);
}

static uint64_t us_between(uint64_t from_ns, uint64_t to_ns) {
    return to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
}

static void write_times(const struct job *job, struct json_writer *writer) {
    static const char *const names[] = {
#define STAGE_NAME(name, text) text,
        INS_STAGES(STAGE_NAME)
#undef STAGE_NAME
    };
    const ins_explain *explain = job->call.explain;
    uint64_t now_ns = job->api->runtime->now_ns(job->api->runtime->context);
    json_write_key(writer, "time_us");
    json_write_begin_object(writer);
    write_count(writer, "door", (job->whole != NULL ? job->whole : job)->trace.waited_ns / 1000);
    write_count(writer, "parse", us_between(job->start_ns, job->handed_ns));
    write_count(writer, "queue", us_between(job->handed_ns, explain->begun_ns));
    for (enum ins_stage stage = 0; stage < INS_STAGE_COUNT; stage++) {
        write_count(writer, names[stage], explain->stage_ns[stage] / 1000);
    }
    write_count(writer, "answer", us_between(explain->ended_ns, now_ns));
    json_write_end_object(writer);
}

void explain_write(const struct job *job, uint64_t places, struct json_writer *writer) {
    const ins_explain *explain = job->call.explain;
    json_write_begin_object(writer);
    write_plan(explain, places, writer);
    json_write_key(writer, "rows");
    json_write_begin_object(writer);
    write_rows(&explain->total, writer);
    json_write_end_object(writer);
    json_write_key(writer, "bytes");
    json_write_begin_object(writer);
    write_count(writer, "compared", explain->bytes_compared);
    write_count(writer, "pinned", explain->bytes_pinned);
    write_count(writer, "cold", explain->cold_bytes);
    json_write_end_object(writer);
    write_count(writer, "chunks_pinned", explain->chunks_pinned);
    write_count(writer, "cold_reads", explain->cold_reads);
    write_count(writer, "shared_reads", explain->shared_reads);
    write_count(writer, "waits", explain->waits);
    write_count(writer, "turns", explain->turns);
    write_times(job, writer);
    json_write_end_object(writer);
}

void explain_answer(const struct job *job, struct json_writer *writer) {
    bool any = job->shows_explain;
    for (size_t i = 0; i < job->part_count; i++) {
        any |= job->parts[i]->shows_explain;
    }
    if (!any) {
        return;
    }
    json_write_key(writer, "explain");
    if (job->part_count == 0) {
        explain_write(job, INS_EXPLAIN_PLACES_MAX, writer);
        return;
    }
    json_write_begin_array(writer);
    for (size_t i = 0; i < job->part_count; i++) {
        if (job->parts[i]->shows_explain) {
            explain_write(job->parts[i], INS_EXPLAIN_PLACES_MAX, writer);
        } else {
            json_write_null(writer);
        }
    }
    json_write_end_array(writer);
}
