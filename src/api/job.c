/* The job of one request: its memory, the engine's call, and what happens at its completion.
 *
 * A job is one piece of JOB_BYTES, taken from a list of idle ones; what it needs beyond comes in
 * blocks and goes back with it. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/id.h"

/* This lane alone writes it, so no locked instruction is needed. */
static void pending_add(struct api *api, size_t change) {
    size_t pending = atomic_load_explicit(&api->pending, memory_order_relaxed);
    atomic_store_explicit(&api->pending, pending + change, memory_order_relaxed);
}

struct job *job_create(struct api *api) {
    struct job *job = api->idle_jobs;
    if (job != NULL) {
        api->idle_jobs = job->next;
        api->idle_count--;
    } else {
        job = heap_alloc(api->heap, JOB_BYTES);
        if (job == NULL) {
            return NULL;
        }
    }
    memset(job, 0, sizeof(*job));
    job->api = api;
    job->at = (uint8_t *)job->memory;
    job->end = (uint8_t *)job + JOB_BYTES;
    pending_add(api, 1);
    return job;
}

struct job_mark job_mark(const struct job *job) {
    return (struct job_mark){.blocks = job->blocks, .at = job->at, .end = job->end};
}

void job_release(struct job *job, struct job_mark mark) {
    while (job->blocks != mark.blocks) {
        struct job_block *block = job->blocks;
        job->blocks = block->next;
        heap_free(job->api->heap, block, block->size);
    }
    job->at = mark.at;
    job->end = mark.end;
}

void job_trim(struct job *job, void *unused) {
    INS_ASSERT((uint8_t *)unused <= job->at);
    job->at = unused;
}

void job_destroy(struct job *job) {
    struct api *api = job->api;
    for (size_t i = 0; i < job->part_count; i++) { /* parts have none of their own */
        ins_call_release(&job->parts[i]->call);
        job_destroy(job->parts[i]);
    }
    job_release(job, (struct job_mark){.blocks = NULL});
    pending_add(api, (size_t)-1);
    if (api->idle_count < JOBS_CACHED) {
        job->next = api->idle_jobs;
        api->idle_jobs = job;
        api->idle_count++;
    } else {
        heap_free(api->heap, job, JOB_BYTES);
    }
}

/* Takes a fresh block with room for `size` bytes: 64 KiB, or what a larger request needs. */
static bool job_add_block(struct job *job, size_t size) {
    size_t bytes = size + 64 + sizeof(struct job_block);
    bytes = bytes < JOB_BLOCK_BYTES_MIN ? JOB_BLOCK_BYTES_MIN : align_up(bytes, 4096);
    struct job_block *block = heap_alloc(job->api->heap, bytes);
    if (block == NULL) {
        return false;
    }
    block->next = job->blocks;
    block->size = bytes;
    job->blocks = block;
    job->at = (uint8_t *)block + sizeof(*block);
    job->end = (uint8_t *)block + bytes;
    return true;
}

void *job_alloc_aligned(struct job *job, size_t size, size_t alignment) {
    INS_ASSERT(alignment != 0 && alignment <= 64 && (alignment & (alignment - 1)) == 0);
    uintptr_t start = align_up((uintptr_t)job->at, alignment);
    if (start > (uintptr_t)job->end || size > (uintptr_t)job->end - start) {
        if (size > API_BODY_BYTES_MAX * 8ull || !job_add_block(job, size)) {
            return NULL;
        }
        start = align_up((uintptr_t)job->at, alignment);
    }
    uint8_t *memory = job->at + (start - (uintptr_t)job->at);
    job->at = memory + size;
    return memory;
}

void *job_alloc(struct job *job, size_t size) {
    return job_alloc_aligned(job, size, 16);
}

ins_status job_no_memory(ins_error *error) {
    return ins_fail_retry(error, INS_EXHAUSTED, 1,
                          "Rate limiting exceeded: the memory for requests is used up");
}

ins_status job_copy_text(struct job *job, ins_text text, ins_text *out_text, ins_error *error) {
    char *copy = job_alloc_aligned(job, text.size + 1, 1);
    if (copy == NULL) {
        return job_no_memory(error);
    }
    if (text.size != 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    *out_text = (ins_text){copy, text.size};
    return INS_OK;
}

static void *job_writer_grow(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    void *memory = job_alloc(context, new_capacity);
    if (memory != NULL && old != NULL) {
        memcpy(memory, old, old_capacity);
    }
    return memory; /* the old piece goes with the job */
}

void job_writer_init(struct job *job, struct json_writer *writer) {
    json_write_init(writer, API_BODY_BYTES_MAX, job, job_writer_grow);
}

const char *status_prefix(ins_status status) {
    switch (status) {
    case INS_INVALID:
    case INS_EXISTS:
    case INS_TOO_LARGE:
        return "Wrong input: ";
    case INS_UNPROCESSABLE:
        return "Validation error in body: ";
    case INS_NOT_FOUND:
        return "Not found: ";
    case INS_EXHAUSTED:
        return "Rate limiting exceeded: ";
    case INS_FULL:
        return "Insufficient storage: ";
    case INS_UNAVAILABLE:
        return "Service temporarily unavailable: ";
    case INS_TIMEOUT:
        return "Timeout: ";
    case INS_UNSUPPORTED:
        return "Not implemented: ";
    case INS_OK:
    case INS_CORRUPT:
    case INS_IO:
    case INS_INTERNAL:
    case INS_AGAIN:
        break;
    }
    return "Service internal error: ";
}

static void job_answer_error(struct job *job, const ins_call *call) {
    char message[INS_ERROR_MESSAGE_MAX + 64];
    const char *prefix = status_prefix(call->status);
    size_t prefix_size = strlen(prefix);
    size_t size = strnlen(call->error.message, INS_ERROR_MESSAGE_MAX);
    memcpy(message, prefix, prefix_size);
    memcpy(message + prefix_size, call->error.message, size);
    message[prefix_size + size] = '\0';
    if (call->status == INS_EXHAUSTED || call->status == INS_UNAVAILABLE) {
        api_count_refused(job->api, API_REFUSED_ENGINE);
    }
    job_observe(job, (unsigned)ins_status_http(call->status));
    answer_error(job->api, job->user, (unsigned)ins_status_http(call->status),
                 call->error.retry_after_s, NULL, job->start_ns, message);
}

void job_observe(struct job *job, unsigned http) {
    const ins_runtime *runtime = job->api->runtime;
    uint64_t now_ns = runtime->now_ns(runtime->context);
    uint64_t took_ns = now_ns > job->start_ns ? now_ns - job->start_ns : 0;
    watch_note(job, http, took_ns + job->trace.waited_ns);
    slow_look(job, http, took_ns, now_ns);
}

/* GET of one point: an absent one is an error there, while a list of ids leaves it out. */
static bool job_point_absent(struct job *job) {
    return job->encode == encode_record && job->call.points.count == 0;
}

static void job_answer_absent(struct job *job) {
    char id[ID_TEXT_MAX], message[96];
    id_format(job->points.ids, id);
    (void)snprintf(message, sizeof(message), "Not found: No point with id %s found", id);
    job_observe(job, 404);
    answer_error(job->api, job->user, 404, 0, NULL, job->start_ns, message);
}

/* ---- Timeouts ----------------------------------------------------------------------------
 * A request may name the seconds that its client waits. The engine ends a read at its deadline
 * when it gets to look; what waits longer, for a disk or as a write for the log, is answered by
 * the timer here. Such a job goes on without a client. */

static void job_answer_timeout(struct job *job) {
    char message[160];
    uint32_t timeout_s = job->query.has_timeout ? job->query.timeout_s : READ_DEADLINE_S;
    (void)snprintf(message, sizeof(message), "Timeout: Operation '%s' timed out after %u seconds",
                   job->route->operation, timeout_s);
    job_observe(job, 408);
    answer_error(job->api, job->user, 408, 0, NULL, job->start_ns, message);
}

static void job_answer_wait_timeout(struct job *job) {
    struct json_writer writer;
    answer_begin(job->api, &writer);
    encode_wait_timeout(job, &writer);
    job_observe(job, 200);
    answer_end(job->api, job->user, job->start_ns, &writer);
}

/* From now on the request is answered: its ticket and its place among the timed are free. */
void job_detach(struct job *job) {
    job->answered = true;
    if (job->ticket != NULL) {
        job->ticket->job = NULL;
    }
    if (job->late_link != NULL) {
        *job->late_link = job->late_next;
        if (job->late_next != NULL) {
            job->late_next->late_link = job->late_link;
        }
        job->late_link = NULL;
    }
}

static void job_late(struct job *job) {
    job_detach(job);
    if (job->encode == encode_update || job->encode == encode_updates ||
        job->encode == encode_deleted) {
        job_answer_wait_timeout(job);
    } else {
        ins_call_cancel(&job->call); /* when it is a read */
        job_answer_timeout(job);
    }
}

static void timed_arm(struct api *api) {
    api->runtime->timer(api->runtime->context, api->lane, &api->late, LATE_CHECK_NS);
}

static void timed_check(ins_timer *timer) {
    struct api *api = (struct api *)(void *)((char *)timer - offsetof(struct api, late));
    uint64_t now_ns = api->runtime->now_ns(api->runtime->context);
    for (struct job *job = api->timed, *next; job != NULL; job = next) {
        next = job->late_next;
        if (job->call.deadline_ns < now_ns) {
            job_late(
                job); /* an answer may start the connection's next request: never before `job` */
        }
    }
    if (api->timed != NULL && !timer->armed) {
        timed_arm(api);
    }
}

void jobs_init(struct api *api) {
    api->late.run = timed_check;
}

static void timed_add(struct job *job) {
    struct api *api = job->api;
    job->late_next = api->timed;
    job->late_link = &api->timed;
    if (api->timed != NULL) {
        api->timed->late_link = &job->late_next;
    }
    api->timed = job;
    if (!api->late.armed) {
        timed_arm(api);
    }
}

void api_cancel(struct api_ticket *ticket) {
    struct job *job = ticket->job;
    if (job != NULL && job->paused) {
        job_detach(job);
        job_end(job);
    } else if (job != NULL) {
        ins_call_cancel(&job->call);
    }
}

/* ---- Start and completion ---------------------------------------------------------------- */

void job_end(struct job *job) {
    stream_leave(job);
    ins_call_release(&job->call);
    job_destroy(job);
}

static void job_answer_ok(struct job *job) {
    struct json_writer writer;
    answer_begin(job->api, &writer);
    job->encode(job, &writer);
    explain_answer(job, &writer);
    job_observe(job, 200);
    answer_end(job->api, job->user, job->start_ns, &writer);
}

void job_answer_failure(struct job *job) {
    if (job->call.status == INS_TIMEOUT) {
        job_answer_timeout(job);
    } else {
        job_answer_error(job, &job->call);
    }
}

static void job_done(ins_call *call) {
    struct job *job = call->user;
    if (job->answered) {
        job_end(job);
        return;
    }
    if (job->piece != NULL) {
        stream_done(job);
        return;
    }
    job_detach(job);
    job->ended = true;
    if (call->status != INS_OK) {
        job_answer_failure(job);
    } else if (job_point_absent(job)) {
        job_answer_absent(job);
    } else if (job->finish != NULL) {
        job_observe(job, 200);
        job->finish(job);
    } else {
        job_answer_ok(job);
    }
    job_end(job);
}

/* On the engine's lane, which alone writes `begun` and `window`. */
static void count_begun(struct api *api, uint64_t handed_ns) {
    uint64_t took_ns = api->runtime->now_ns(api->runtime->context) - handed_ns;
    uint32_t begun = atomic_load_explicit(&api->begun, memory_order_relaxed);
    uint32_t window = atomic_load_explicit(&api->window, memory_order_relaxed);
    if (took_ns < WINDOW_SOON_NS) {
        window += window < WINDOW_MAX;
    } else if (took_ns > WINDOW_LATE_NS) {
        window = window / 2 > WINDOW_MIN ? window / 2 : WINDOW_MIN;
    }
    atomic_store_explicit(&api->window, window, memory_order_relaxed);
    atomic_store_explicit(&api->begun, begun + 1, memory_order_relaxed);
}

static void submit_run(ins_task *task) {
    struct job *job = (struct job *)(void *)((char *)task - offsetof(struct job, submit));
    count_begun(job->api, job->handed_ns);
    job->start(job->api->db, job->request, &job->call);
}

void job_submit(struct job *job) {
    const ins_runtime *runtime = job->api->runtime;
    if (job->api->lane == INS_LANE_REQUEST) {
        if (job->call.explain != NULL) {
            job->handed_ns = runtime->now_ns(runtime->context);
        }
        job->start(job->api->db, job->request, &job->call);
        return;
    }
    uint32_t handed = atomic_load_explicit(&job->api->handed, memory_order_relaxed);
    atomic_store_explicit(&job->api->handed, handed + 1, memory_order_relaxed);
    job->handed_ns = runtime->now_ns(runtime->context);
    job->submit.run = submit_run;
    runtime->post(runtime->context, INS_LANE_REQUEST, &job->submit);
    runtime->wake(runtime->context, INS_LANE_REQUEST);
}

/* From now on it may be cancelled and may be late. */
static void job_arm(struct job *job) {
    uint64_t timeout_s = job->query.has_timeout ? job->query.timeout_s : READ_DEADLINE_S;
    job->call.deadline_ns = job->start_ns + timeout_s * 1000000000ull;
    if (job->ticket != NULL) {
        job->ticket->job = job;
    }
    if (job->query.has_timeout) {
        timed_add(job);
    }
}

/* ---- Batches ----------------------------------------------------------------------------- */

ins_status job_add_parts(struct job *job, size_t count, ins_error *error) {
    if (count > BATCH_PARTS_MAX) {
        return ins_fail(error, INS_INVALID, "Wrong input: searches: %zu in one batch, at most %u",
                        count, BATCH_PARTS_MAX);
    }
    job->parts = job_alloc(job, (count + 1) * sizeof(struct job *));
    if (job->parts == NULL) {
        return job_no_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        struct job *part = job_create(job->api);
        if (part == NULL) {
            return job_no_memory(error);
        }
        part->whole = job;
        part->route = job->route;
        part->body = job->body;
        part->params[0] = job->params[0];
        job->parts[job->part_count++] = part;
    }
    return INS_OK;
}

static void encode_parts(struct job *job, struct json_writer *writer) {
    json_write_begin_array(writer);
    for (size_t i = 0; i < job->part_count; i++) {
        job->parts[i]->encode(job->parts[i], writer);
    }
    json_write_end_array(writer);
}

static void parts_end(struct job *job, const ins_call *failed) {
    if (!job->answered) {
        job_detach(job);
        job->ended = true;
        if (failed != NULL && failed->status == INS_TIMEOUT) {
            job_answer_timeout(job);
        } else if (failed != NULL) {
            job_answer_error(job, failed);
        } else {
            job_answer_ok(job);
        }
    }
    job_end(job);
}

static void part_start(struct job *job);

static void part_done(ins_call *call) {
    struct job *part = call->user;
    struct job *job = part->whole;
    bool unwanted = job->answered || __atomic_load_n(&job->call.cancelled, __ATOMIC_RELAXED);
    if (call->status == INS_OK && job->part_next < job->part_count && !unwanted) {
        part_start(job);
    } else {
        parts_end(job, call->status == INS_OK ? NULL : call);
    }
}

static void part_start(struct job *job) {
    struct job *part = job->parts[job->part_next++];
    part->call.done = part_done;
    part->call.user = part;
    part->call.lane = job->api->lane;
    part->call.deadline_ns = job->call.deadline_ns;
    job_submit(part);
}

void job_start_parts(struct job *job) {
    job_arm(job);
    job->encode = encode_parts;
    if (job->part_count == 0) {
        parts_end(job, NULL);
    } else {
        part_start(job);
    }
}

/* ---- */

void job_start(struct job *job, ins_start start, const void *request, job_encode encode) {
    job_arm(job);
    job->encode = encode;
    job->call.done = job_done;
    job->call.user = job;
    job->call.lane = job->api->lane;
    job->start = start;
    job->request = request;
    job_submit(job);
}
