/* Answers in pieces: of a request whose answer is larger than memory should be.
 *
 * Path: job_stream -> the call -> stream_done: a piece, of which the engine keeps nothing -> the
 * server, and the job waits -> api_continue, when the socket has taken it -> the call again, on the
 * lane's next turn, so that other requests go in between.
 * Failure: before the first piece an error as ever; behind it the answer is cut, and the connection
 * ends without the last chunk.
 * Threads: the API's lane. */
#include "api/api_private.h"
#include "base/assert.h"

/* `*streams` of all lanes. */
static bool enter(struct job *job) {
    struct api_shared *shared = job->api->shared;
    uint32_t before = atomic_fetch_add_explicit(&shared->streams, 1, memory_order_relaxed);
    job->streams = true;
    return before < API_STREAMS_MAX;
}

void stream_leave(struct job *job) {
    if (job->streams) {
        job->streams = false;
        (void)atomic_fetch_sub_explicit(&job->api->shared->streams, 1, memory_order_relaxed);
    }
}

static void cut(struct job *job) {
    struct api_response response = {.http = 500, .shared = true, .part = API_CUT};
    job_detach(job);
    job_observe(job, 500);
    job->api->respond(job->user, &response);
    job_end(job);
}

static void fail(struct job *job) {
    if (job->begun) {
        cut(job);
        return;
    }
    job_detach(job);
    job_answer_failure(job);
    job_end(job);
}

void stream_done(struct job *job) {
    ins_call *call = &job->call;
    struct api_response response = {.http = 200, .content_type = "application/octet-stream"};
    if (call->status == INS_OK && !job->piece(job, &response)) {
        call->status = job_no_memory(&call->error);
    }
    if (call->status != INS_OK) {
        fail(job);
        return;
    }
    bool more = call->found;
    INS_ASSERT(more || job->begun); /* nobody streams what is one piece */
    response.part = !job->begun ? API_FIRST : more ? API_NEXT : API_LAST;
    ins_call_release(call);
    job->begun = true;
    job->paused = more;
    if (!more) {
        job_detach(job);
        job_observe(job, 200);
    }
    struct api *api = job->api;
    void *user = job->user;
    if (!more) {
        job_end(job);
    }
    api->respond(user, &response); /* the job may be gone afterwards */
}

static void submit_again(ins_task *task) {
    struct job *job = (struct job *)(void *)((char *)task - offsetof(struct job, submit));
    job_submit(job);
}

void api_continue(struct api_ticket *ticket) {
    struct job *job = ticket->job;
    INS_ASSERT(job != NULL);
    INS_ASSERT(job->paused);
    const ins_runtime *runtime = job->api->runtime;
    void (*done)(ins_call *) = job->call.done;
    void *user = job->call.user;
    job->paused = false;
    job->call = (ins_call){.done = done, .user = user, .lane = job->api->lane};
    job->call.deadline_ns =
        runtime->now_ns(runtime->context) + READ_DEADLINE_S * 1000000000ull; /* of one piece */
    job->submit.run = submit_again;
    runtime->post(runtime->context, job->api->lane, &job->submit);
    runtime->wake(runtime->context, job->api->lane);
}

ins_status job_stream(struct job *job, ins_start start, const void *request,
                      bool (*piece)(struct job *job, struct api_response *out), ins_error *error) {
    if (!enter(job)) {
        stream_leave(job);
        return ins_fail_retry(error, INS_EXHAUSTED, 5,
                              "Rate limiting exceeded: %u answers in pieces are under way",
                              API_STREAMS_MAX);
    }
    job->query.has_timeout = false; /* of the whole there is none, of a piece the usual one */
    job->piece = piece;
    job_start(job, start, request, NULL);
    return INS_OK;
}
