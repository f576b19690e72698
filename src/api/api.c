/* From a request to its handler: split the path, find the route, decode parameters, start the job.
 */
#include "api/api.h"

#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"

void api_shared_init(struct api_shared *shared, ins_db *db) {
    shared->apis = NULL;
    shared->slow_ns = 0;
    shared->slow_write = NULL;
    heap_init(&shared->heap, db);
}

ins_status api_open(const struct api_options *options, struct api **out_api, ins_error *error) {
    INS_ASSERT(options->respond != NULL);
    struct api *api = ins_db_alloc(options->db, sizeof(*api));
    char *scratch = ins_db_alloc(options->db, SCRATCH_BYTES);
    struct watch *watch = ins_db_alloc(options->db, sizeof(*watch));
    if (api == NULL || scratch == NULL || watch == NULL) {
        ins_db_free(options->db, api, sizeof(*api));
        ins_db_free(options->db, scratch, SCRATCH_BYTES);
        ins_db_free(options->db, watch, sizeof(*watch));
        return ins_fail(error, INS_FULL, "no memory for the API within the memory budget");
    }
    memset(watch, 0, sizeof(*watch));
    *api = (struct api){.db = options->db,
                        .runtime = options->runtime,
                        .shared = options->shared,
                        .heap = &options->shared->heap,
                        .next = options->shared->apis,
                        .lane = options->lane,
                        .window = WINDOW_MIN,
                        .watch = watch,
                        .slow = {.tokens = SLOW_LINES_BURST},
                        .respond = options->respond,
                        .scratch = scratch};
    options->shared->apis = api;
    router_init(&api->router);
    jobs_init(api);
    *out_api = api;
    return INS_OK;
}

void api_close(struct api *api) {
    if (api == NULL) {
        return;
    }
    INS_ASSERT(api->pending == 0);
    api->runtime->timer_stop(api->runtime->context, api->lane, &api->late);
    while (api->idle_jobs != NULL) {
        struct job *job = api->idle_jobs;
        api->idle_jobs = job->next;
        heap_free(api->heap, job, JOB_BYTES);
    }
    json_parser_destroy(api->parser);
    ins_db *db = api->db;
    ins_db_free(db, api->scratch, SCRATCH_BYTES);
    ins_db_free(db, api->watch, sizeof(*api->watch));
    ins_db_free(db, api, sizeof(*api));
}

struct heap *api_heap(struct api *api) {
    return api->heap;
}

size_t api_body_max(const struct api *api) {
    uint64_t share = ins_db_memory_budget(api->db) / HEAP_LARGE_SHARE;
    return share < API_BODY_BYTES_MAX && share != 0 ? (size_t)share : API_BODY_BYTES_MAX;
}

void api_connected(struct api *api) {
    count_add(&api->counts.connections, 1);
}

size_t api_pending(const struct api *api) {
    return atomic_load_explicit(&api->pending, memory_order_relaxed);
}

bool api_engine_is_behind(const struct api *api) {
    uint32_t handed = atomic_load_explicit(&api->handed, memory_order_relaxed);
    uint32_t begun = atomic_load_explicit(&api->begun, memory_order_relaxed);
    return handed - begun >= atomic_load_explicit(&api->window, memory_order_relaxed);
}

void api_count_refused(struct api *api, enum api_refusal why) {
    uint64_t count = atomic_load_explicit(&api->refused[why], memory_order_relaxed);
    atomic_store_explicit(&api->refused[why], count + 1, memory_order_relaxed);
}

uint64_t api_refused(const struct api *api, enum api_refusal why) {
    uint64_t count = 0;
    for (const struct api *each = api->shared->apis; each != NULL; each = each->next) {
        count += atomic_load_explicit(&each->refused[why], memory_order_relaxed);
    }
    return count;
}

void api_refuse(struct api *api, void *user, unsigned http, uint32_t retry_after_s,
                const char *message) {
    answer_error(api, user, http, retry_after_s, NULL, 0, message);
}

static ins_status job_params(struct job *job, const struct path *path, ins_error *error) {
    for (size_t i = 0; i < PATH_PARAMS_MAX; i++) {
        ins_text raw = route_param(job->route, path, i);
        if (raw.data == NULL) {
            return INS_OK;
        }
        char *decoded = job_alloc_aligned(job, raw.size, 1);
        if (decoded == NULL) {
            return job_no_memory(error);
        }
        ins_status status = percent_decode(raw, false, decoded, &job->params[i].size, error);
        if (status != INS_OK) {
            return status;
        }
        job->params[i].data = decoded;
    }
    return INS_OK;
}

/* In the other requests that name tenants the filter or the path does. */
static ins_status take_tenant(struct job *job, ins_error *error) {
    ins_text raw = job->query.tenant;
    if (!route_takes_tenant(job->route)) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: tenant: this request does not take it; reads and writes of "
                        "points by ids, upserts and batches of them do");
    }
    char *decoded = job_alloc_aligned(job, raw.size + 1, 1);
    if (decoded == NULL) {
        return job_no_memory(error);
    }
    job->tenant.data = decoded;
    return percent_decode(raw, true, decoded, &job->tenant.size, error);
}

/* The parser grew with a large body: give that memory back. */
static void api_trim(struct api *api) {
    if (api->parser != NULL && json_parser_bytes(api->parser) > PARSER_KEEP_BYTES) {
        json_parser_destroy(api->parser);
        api->parser = NULL;
    }
    if (api->parser_held != 0) {
        ins_db_let_go(api->db, api->parser_held);
        api->parser_held = 0;
    }
}

static void api_start(struct api *api, const struct api_request *request, const struct route *route,
                      const struct path *path) {
    uint64_t start_ns =
        request->now_ns != 0 ? request->now_ns : api->runtime->now_ns(api->runtime->context);
    ins_error error = {.status = INS_OK};
    struct job *job = job_create(api);
    if (job == NULL) {
        (void)job_no_memory(&error);
        api_count_refused(api, API_REFUSED_MEMORY);
        answer_error(api, request->user, 429, error.retry_after_s, NULL, start_ns, error.message);
        return;
    }
    job->user = request->user;
    job->ticket = request->ticket;
    job->route = route;
    job->start_ns = start_ns;
    job->trace = request->trace;
    ins_status status = query_params_parse(request->query, &job->query, &error);
    if (status == INS_OK && job->query.incarnation != 0 && !route_takes_incarnation(route)) {
        status = ins_fail(
            &error, INS_INVALID,
            "Wrong input: incarnation: this request does not take it; writes of points "
            "but batches do, and GET, DELETE, rename, copy, export and import of a tenant");
    }
    if (status == INS_OK && job->query.tenant.data != NULL) {
        status = take_tenant(job, &error);
    }
    if (status == INS_OK) {
        status = job_params(job, path, &error);
    }
    if (status == INS_OK && strncmp(route->pattern, "/collections/{c}", 16) == 0) {
        status = name_length_check(job->params[0], &error);
    }
    if (status == INS_OK) {
        status = route->start(job, request, &error); /* on INS_OK the job is no longer ours */
    }
    if (status != INS_OK) {
        job_observe(job, (unsigned)ins_status_http(status));
        job_destroy(job);
        if (status == INS_EXHAUSTED) {
            api_count_refused(api, API_REFUSED_MEMORY);
        }
        answer_error(api, request->user, (unsigned)ins_status_http(status), error.retry_after_s,
                     NULL, start_ns, error.message);
    }
    api_trim(api);
}

static void answer_unrouted(struct api *api, const struct api_request *request,
                            enum route_found found, const char *allow) {
    char message[240];
    int shown = (int)(request->path.size < 120 ? request->path.size : 120);
    bool plain =
        utf8_valid(request->path.data, request->path.size < 120 ? request->path.size : 120);
    if (found == ROUTE_NO_METHOD) {
        (void)snprintf(message, sizeof(message), "Method not allowed: this path takes %s", allow);
        answer_error(api, request->user, 405, 0, allow, 0, message);
        return;
    }
    (void)snprintf(message, sizeof(message), "Not found: no operation has the path %.*s",
                   plain ? shown : 0, request->path.data);
    answer_error(api, request->user, 404, 0, NULL, 0, message);
}

static void answer_unsupported(struct api *api, const struct api_request *request,
                               const struct route *route) {
    char message[240];
    (void)snprintf(message, sizeof(message),
                   "Not implemented: the operation \"%s\" (%s) is not in this version of Insula",
                   route->operation, route->pattern);
    answer_error(api, request->user, 501, 0, NULL, 0, message);
}

void api_dispatch(struct api *api, const struct api_request *request) {
    struct path path;
    const struct route *route = NULL;
    char allow[ALLOW_MAX] = "";
    count_add(&api->counts.requests, 1);
    enum route_found found = ROUTE_NO_PATH;
    if (path_split(request->path, &path)) {
        found = route_find(&api->router, request->method, &path, &route, allow);
    }
    if (found != ROUTE_FOUND) {
        answer_unrouted(api, request, found, allow);
    } else if (route->answer != NULL) {
        route->answer(api, request);
    } else if (route->start != NULL) {
        api_start(api, request, route, &path);
    } else {
        answer_unsupported(api, request, route);
    }
}
