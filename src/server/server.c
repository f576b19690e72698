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

/* The first connections stay with loop 0, where a request runs to its end without a hand-off. What
 * comes beyond goes to the loop that has least, where those of loop 0 count more: it has the
 * engine's work besides. */
static struct front *front_choose(struct server *server) {
    struct front *best = &server->fronts[0];
    uint32_t held = atomic_load_explicit(&best->conn_count, memory_order_relaxed);
    uint32_t best_load = held * FRONT_ENGINE_WEIGHT * (server->front_count - 1);
    if (held < server->inline_max) {
        return best;
    }
    for (uint32_t i = 1; i < server->front_count; i++) {
        struct front *front = &server->fronts[i];
        uint32_t load = atomic_load_explicit(&front->conn_count, memory_order_relaxed);
        if (load < best_load) {
            best = front;
            best_load = load;
        }
    }
    return best;
}

static void on_accepted(void *context, int socket) {
    front_give(front_choose(context), socket);
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
    uv_loop_t *uv = &server->lanes->loops[0].uv;
    INS_ASSERT(uv_async_init(uv, &server->stop, on_stop) == 0);
    server->stop.data = server;
    for (size_t i = 0; handle_signals && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        INS_ASSERT(uv_signal_init(uv, &server->signals[i]) == 0);
        server->signals[i].data = server;
        (void)uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
}

static ins_status fronts_open(struct server *server, ins_error *error) {
    ins_status status = INS_OK;
    api_shared_init(&server->shared, server->db);
    server->shared.slow_ns = server->slow_ns;
    server->shared.slow_write = slow_log_write;
    server->shared.slow_context = server;
    for (uint32_t i = 0; status == INS_OK && i < server->lanes->loop_count; i++) {
        status = front_open(&server->fronts[i], server, i, error);
        server->front_count++;
    }
    return status;
}

static void warn(void *context, const char *text) {
    (void)context;
    (void)fprintf(stderr, "insula: warning: %s\n", text);
}

static ins_status engine_open(struct server *server, const struct server_options *options,
                              ins_error *error) {
    uint32_t usual = uv_available_parallelism() >= CORES_FOR_LOOPS ? LOOPS_DEFAULT : 1;
    uint32_t loops = or_default(options->loops, usual);
    ins_options db_options = {.memory_budget = options->memory_budget,
                              .memory_budget_max = options->memory_budget_max,
                              .erase_after_ns = options->erase_after_hours * 3600000000000ull,
                              .warn = warn};
    ins_status status = ins_store_open_directory(options->data_dir, false, &server->store, error);
    if (status == INS_OK) {
        status =
            lanes_open(server->store, loops < LOOPS_MAX ? loops : LOOPS_MAX, &server->lanes, error);
    }
    if (status == INS_OK) {
        handles_init(server, options->handle_signals);
        status = ins_db_open(&db_options, &server->lanes->runtime, &server->db, error);
    }
    return status;
}

ins_status server_open(const struct server_options *options, struct server **out_server,
                       ins_error *error) {
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return ins_fail(error, INS_EXHAUSTED, "no memory for the server");
    }
    server->slow_log = -1;
    (void)signal(SIGPIPE, SIG_IGN); /* a closed connection is an error of its write, no more */
    server->listener.closed = true;
    server->listener.accepted = on_accepted;
    server->listener.context = server;
    server->conn_max = connections_allowed(options->connections_max);
    patience_init(server, &options->patience);
    server->cors = !options->no_cors;
    server->waiting_max = or_default(options->waiting_max, QUEUE_PLACES_MAX);
    server->inline_max = or_default(options->inline_max, INLINE_MAX);
    server->slow_ns =
        options->slow_off ? 0 : or_default(options->slow_ms, SERVER_SLOW_MS_DEFAULT) * 1000000ull;
    ins_status status = slow_log_open(options->slow_log, &server->slow_log, error);
    if (status == INS_OK) {
        status = engine_open(server, options, error);
    }
    if (status == INS_OK) {
        status = fronts_open(server, error);
    }
    if (status == INS_OK) {
        status = listener_open(&server->listener, &server->lanes->loops[0].uv, options->host,
                               options->http_port, error);
    }
    if (status == INS_OK) {
        status = lanes_start_loops(server->lanes, error);
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
    loop_stop(&server->lanes->loops[0]);
}

void server_front_quiet(struct server *server) {
    if (++server->quiet_count != server->front_count) {
        return;
    }
    server->shutdown_begun = true;
    server->shutdown.done = on_shutdown_done;
    server->shutdown.user = server;
    server->shutdown.lane = INS_LANE_REQUEST;
    ins_db_shutdown(server->db, &server->shutdown);
}

static void on_stop(uv_async_t *async) {
    struct server *server = async->data;
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    listener_close(&server->listener);
    for (uint32_t i = 0; i < server->front_count; i++) {
        front_stop(&server->fronts[i]);
    }
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
    loop_run(&server->lanes->loops[0]);
    lanes_stop_loops(server->lanes);
    ins_status status = server->shutdown.status;
    if (status != INS_OK && error != NULL) {
        *error = server->shutdown.error;
    }
    if (server->shutdown_begun) {
        ins_call_release(&server->shutdown);
    }
    return status;
}

void server_close(struct server *server) {
    if (server == NULL) {
        return;
    }
    if (server->lanes != NULL) {
        lanes_stop_loops(server->lanes);
        lanes_stop_threads(server->lanes);
        listener_close(&server->listener);
    }
    for (uint32_t i = 0; i < server->front_count; i++) {
        front_close(&server->fronts[i]);
    }
    ins_db_close(server->db);
    if (server->slow_log >= 0) {
        (void)close(server->slow_log);
    }
    lanes_close(server->lanes);
    ins_store_close(server->store);
    free(server);
}
