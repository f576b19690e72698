/* The slow log: a line of JSON for a request that took longer than wanted, with what it did.
 *
 * Never in it: vectors, payloads, filters. Names are: of the collection and of the only tenant.
 * Bounds: a line is at most SLOW_LINE_MAX bytes, which a pipe takes whole; some lines a second for
 * each loop, the others are counted and told by the next line. Threads: the API's lane. */
#include <stdio.h>
#include <time.h>

#include "api/api_private.h"

#define SLOW_PLACES 6u /* of the explanation, so that a line stays short */

static bool take_token(struct slow *slow, uint64_t now_ns) {
    uint64_t earned = (now_ns - slow->refilled_ns) / (1000000000u / SLOW_LINES_A_SECOND);
    if (earned > 0) {
        slow->tokens =
            slow->tokens + earned < SLOW_LINES_BURST ? slow->tokens + earned : SLOW_LINES_BURST;
        slow->refilled_ns = now_ns;
    }
    if (slow->tokens == 0) {
        return false;
    }
    slow->tokens--;
    return true;
}

/* Wall clock, which nothing but a reader of the log looks at. */
static void write_moment(struct json_writer *writer) {
    struct timespec now;
    struct tm utc;
    char text[40];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + size, sizeof(text) - size, ".%03uZ", (unsigned)(now.tv_nsec / 1000000));
    json_write_key(writer, "time");
    json_write_string(writer, text);
}

static const char *method_name(enum api_method method) {
    static const char *const names[] = {"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OTHER"};
    return names[method];
}

static void write_optional(struct json_writer *writer, const char *key, ins_text text) {
    if (text.size != 0) {
        json_write_key(writer, key);
        json_write_text(writer, text);
    }
}

/* Of a batch the search that took longest. */
static const struct job *slowest_part(const struct job *job) {
    const struct job *slowest = job;
    uint64_t most = 0;
    for (size_t i = 0; i < job->part_count; i++) {
        const ins_explain *explain = job->parts[i]->call.explain;
        if (explain != NULL && explain->ended_ns - explain->begun_ns >= most &&
            explain->ended_ns != 0) {
            most = explain->ended_ns - explain->begun_ns;
            slowest = job->parts[i];
        }
    }
    return slowest;
}

static void write_line(const struct job *job, unsigned http, uint64_t took_ns, uint64_t dropped,
                       bool whole, struct json_writer *writer) {
    const struct job *part = job->ended ? slowest_part(job) : job;
    /* Of a request that is answered early the engine still writes. */
    const ins_explain *explain = job->ended ? part->call.explain : NULL;
    json_write_begin_object(writer);
    write_moment(writer);
    json_write_key(writer, "slow");
    json_write_string(writer, job->route->operation);
    write_optional(writer, "request_id", job->trace.request_id);
    write_optional(writer, "traceparent", job->trace.traceparent);
    json_write_key(writer, "method");
    json_write_string(writer, method_name(job->route->method));
    json_write_key(writer, "route");
    json_write_string(writer, job->route->pattern);
    write_optional(writer, "collection", job->params[0]);
    if (explain != NULL && explain->ended_ns != 0) {
        write_optional(writer, "tenant", explain->tenant);
    }
    write_count(writer, "status", http);
    write_count(writer, "took_us", took_ns / 1000);
    write_count(writer, "door_us", job->trace.waited_ns / 1000);
    if (job->part_count > 0) {
        write_count(writer, "searches", job->part_count);
    }
    if (dropped > 0) {
        write_count(writer, "lines_dropped_before", dropped);
    }
    if (whole && explain != NULL && explain->ended_ns != 0) {
        json_write_key(writer, "explain");
        explain_write(part, SLOW_PLACES, writer);
    }
    json_write_end_object(writer);
    json_write_raw(writer, "\n", 1);
}

static void *no_more(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    (void)context, (void)old, (void)old_capacity, (void)new_capacity;
    return NULL;
}

void slow_look(struct job *job, unsigned http, uint64_t took_ns, uint64_t now_ns) {
    struct api *api = job->api;
    struct api_shared *shared = api->shared;
    uint64_t all_ns = took_ns + job->trace.waited_ns;
    if (shared->slow_ns == 0 || all_ns < shared->slow_ns || shared->slow_write == NULL) {
        return;
    }
    count_add(&api->slow.seen, 1);
    char line[SLOW_LINE_MAX];
    bool written = false;
    if (take_token(&api->slow, now_ns)) {
        for (int whole = 1; whole >= 0 && !written; whole--) {
            struct json_writer writer;
            json_write_init(&writer, sizeof(line), NULL, no_more);
            writer.data = line;
            writer.capacity = sizeof(line);
            write_line(job, http, all_ns, api->slow.dropped_since, whole != 0, &writer);
            written = !writer.failed && shared->slow_write(shared->slow_context, line, writer.size);
        }
    }
    api->slow.dropped_since = written ? 0 : api->slow.dropped_since + 1;
    count_add(&api->slow.dropped, !written);
}
