#include "server/server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "server/server_private.h"

/* ---- Opening ----------------------------------------------------------------------------- */

/* Descriptors are raised as far as they go; connections get what the rest does not need. */
static uint32_t connections_allowed(uint32_t asked) {
    struct rlimit limit;
    uint32_t most = asked == 0 ? SERVER_CONNECTIONS_MAX : asked;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return most;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return most;
    }
    uint64_t kept = SERVER_DESCRIPTORS_KEPT;
    uint64_t room = limit.rlim_cur > 2 * kept ? limit.rlim_cur - kept : kept;
    return room < most ? (uint32_t)room : most;
}

static void on_accepted(void *context, int socket) {
    conn_open(context, socket);
}

static uint32_t or_default(uint32_t value, uint32_t fallback) {
    return value == 0 ? fallback : value;
}

static void patience_init(struct server *server, const struct server_patience *patience) {
    server->timeouts_ms[CONN_IDLE] = or_default(patience->idle_ms, IDLE_MS);
    server->timeouts_ms[CONN_HEAD] = or_default(patience->head_ms, HEAD_MS);
    server->timeouts_ms[CONN_BODY] = or_default(patience->body_ms, BODY_MS);
    server->timeouts_ms[CONN_WRITE] = or_default(patience->write_ms, WRITE_MS);
    server->timeouts_ms[CONN_LEFT] = LEFT_MS;
    server->idle_always = patience->idle_ms != 0;
    server->timeouts_ms[CONN_LINGER] = or_default(patience->linger_ms, LINGER_MS);
    server->sweep_ms = SWEEP_MS;
    for (size_t state = 0; state < CONN_STATE_COUNT; state++) {
        uint32_t timeout_ms = server->timeouts_ms[state];
        server->sweep_ms =
            timeout_ms != 0 && timeout_ms < server->sweep_ms ? timeout_ms : server->sweep_ms;
    }
}

static void on_stop(uv_async_t *async);
static void on_signal(uv_signal_t *handle, int number);

static void handles_init(struct server *server, bool handle_signals) {
    static const int numbers[] = {SIGTERM, SIGINT};
    uv_loop_t *uv = &server->loop->uv;
    INS_ASSERT(uv_timer_init(uv, &server->sweep) == 0);
    INS_ASSERT(uv_async_init(uv, &server->stop, on_stop) == 0);
    server->sweep.data = server->stop.data = server;
    for (size_t i = 0; handle_signals && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        INS_ASSERT(uv_signal_init(uv, &server->signals[i]) == 0);
        server->signals[i].data = server;
        (void)uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
}

static ins_status api_start(struct server *server, ins_error *error) {
    struct api_options options = {
        .db = server->db, .runtime = &server->loop->runtime, .respond = conn_respond};
    ins_status status = api_open(&options, &server->api, error);
    if (status != INS_OK) {
        return status;
    }
    server->heap = api_heap(server->api);
    server->read_buffer = heap_alloc(server->heap, READ_BYTES);
    return server->read_buffer == NULL
               ? ins_fail(error, INS_FULL, "no memory for the read buffer of %zu bytes", READ_BYTES)
               : INS_OK;
}

ins_status server_open(const struct server_options *options, struct server **out_server,
                       ins_error *error) {
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return ins_fail(error, INS_EXHAUSTED, "no memory for the server");
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a closed connection is an error of its write, no more */
    server->listener.closed = true;
    server->conn_max = connections_allowed(options->connections_max);
    patience_init(server, &options->patience);
    server->cors = !options->no_cors;
    ins_options db_options = {.memory_budget = options->memory_budget};
    ins_status status = ins_store_open_directory(options->data_dir, false, &server->store, error);
    if (status == INS_OK) {
        status = loop_open(server->store, &server->loop, error);
    }
    if (status == INS_OK) {
        handles_init(server, options->handle_signals);
        status = ins_db_open(&db_options, &server->loop->runtime, &server->db, error);
    }
    if (status == INS_OK) {
        status = api_start(server, error);
    }
    if (status == INS_OK) {
        server->listener.accepted = on_accepted;
        server->listener.context = server;
        status = listener_open(&server->listener, &server->loop->uv, options->host,
                               options->http_port, error);
    }
    if (status != INS_OK) {
        server_close(server);
        return status;
    }
    *out_server = server;
    return INS_OK;
}

uint16_t server_port(const struct server *server) {
    return listener_port(&server->listener);
}

void server_stats(struct server *server, ins_stats *out_stats) {
    ins_db_stats(server->db, out_stats);
}

/* ---- Stopping: no new connections, requests under way, flush, out ----------------------- */

static void on_shutdown_done(ins_call *call) {
    struct server *server = call->user;
    uv_stop(&server->loop->uv);
}

static void shutdown_when_quiet(struct server *server) {
    if (server->shutdown_begun || api_pending(server->api) != 0) {
        return;
    }
    server->shutdown_begun = true;
    conn_close_all(server);
    server->shutdown.done = on_shutdown_done;
    server->shutdown.user = server;
    server->shutdown.lane = INS_LANE_REQUEST;
    ins_db_shutdown(server->db, &server->shutdown);
}

static void on_stopping(uv_timer_t *timer) {
    struct server *server = timer->data;
    if (uv_now(&server->loop->uv) - server->stop_ms >= STOP_MS) {
        conn_close_all(server); /* their requests still end; the answers go nowhere */
    }
    shutdown_when_quiet(server);
}

static void on_stop(uv_async_t *async) {
    struct server *server = async->data;
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    server->stop_ms = uv_now(&server->loop->uv);
    listener_close(&server->listener);
    conn_close_waiting(server);
    (void)uv_timer_start(&server->sweep, on_stopping, 0, 5);
}

static void on_signal(uv_signal_t *handle, int number) {
    struct server *server = handle->data;
    if (server->stopping) {
        _exit(128 + number);
    }
    on_stop(&server->stop);
}

void server_stop(struct server *server) {
    (void)uv_async_send(&server->stop);
}

ins_status server_run(struct server *server, ins_error *error) {
    loop_run(server->loop);
    ins_status status = server->shutdown.status;
    if (status != INS_OK && error != NULL) {
        *error = server->shutdown.error;
    }
    if (server->shutdown_begun) {
        ins_call_release(&server->shutdown);
    }
    return status;
}

static void close_handle(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void server_close(struct server *server) {
    if (server == NULL) {
        return;
    }
    if (server->loop != NULL) {
        if (server->api != NULL) {
            conn_close_all(server);
        }
        listener_close(&server->listener);
        uv_walk(&server->loop->uv, close_handle, NULL);
        (void)uv_run(&server->loop->uv, UV_RUN_DEFAULT);
        loop_stop_lanes(server->loop);
    }
    if (server->api != NULL) {
        heap_free(server->heap, server->read_buffer, READ_BYTES);
        gzip_close(server);
    }
    api_close(server->api);
    ins_db_close(server->db);
    loop_close(server->loop);
    ins_store_close(server->store);
    free(server);
}
