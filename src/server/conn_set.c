/* The connections of one loop: their coming, their states, their going.
 *
 * Path: conn_open() takes a socket; conn_enter() moves a connection between the lists of states;
 * the sweep gives up who has been in one state for too long; conn_close() ends the handle, and the
 * memory goes when the handle is closed and no answer is pending.
 * Invariant: in each list the longest waiting comes first, so the first is the next to expire. */
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "server/server_private.h"

static void list_remove(struct conn *conn) {
    struct conn_list *list = &conn->front->lists[conn->state];
    *(conn->previous == NULL ? &list->first : &conn->previous->next) = conn->next;
    *(conn->next == NULL ? &list->last : &conn->next->previous) = conn->previous;
}

static void list_append(struct conn *conn) {
    struct conn_list *list = &conn->front->lists[conn->state];
    conn->previous = list->last;
    conn->next = NULL;
    *(list->last == NULL ? &list->first : &list->last->next) = conn;
    list->last = conn;
}

/* Which moves are allowed; a bit a target. */
static const uint16_t moves[CONN_STATE_COUNT] = {
    [CONN_IDLE] = 1u << CONN_IDLE | 1u << CONN_HEAD | 1u << CONN_BODY | 1u << CONN_WAIT |
                  1u << CONN_BUSY | 1u << CONN_LINGER | 1u << CONN_WRITE | 1u << CONN_CLOSED,
    [CONN_HEAD] = 1u << CONN_BODY | 1u << CONN_WAIT | 1u << CONN_BUSY | 1u << CONN_LINGER |
                  1u << CONN_WRITE | 1u << CONN_CLOSED,
    [CONN_BODY] = 1u << CONN_BODY | 1u << CONN_WAIT | 1u << CONN_BUSY | 1u << CONN_LINGER |
                  1u << CONN_WRITE | 1u << CONN_CLOSED,
    [CONN_WAIT] = 1u << CONN_BUSY | 1u << CONN_CLOSED,
    [CONN_BUSY] = 1u << CONN_IDLE | 1u << CONN_LEFT | 1u << CONN_WRITE | 1u << CONN_LINGER |
                  1u << CONN_CLOSED,
    [CONN_LEFT] = 1u << CONN_IDLE | 1u << CONN_BUSY | 1u << CONN_WRITE | 1u << CONN_LINGER |
                  1u << CONN_CLOSED,
    [CONN_WRITE] = 1u << CONN_IDLE | 1u << CONN_BUSY | 1u << CONN_WRITE | 1u << CONN_LINGER |
                   1u << CONN_CLOSED,
    [CONN_LINGER] = 1u << CONN_CLOSED,
    [CONN_CLOSED] = 0,
};

void conn_enter(struct conn *conn, enum conn_state state) {
    INS_ASSERT((moves[conn->state] >> state & 1u) != 0);
    list_remove(conn);
    conn->state = (uint8_t)state;
    conn->since_ms = uv_now(&conn->front->loop->uv);
    list_append(conn);
}

void conn_free(struct conn *conn) {
    struct front *front = conn->front;
    list_remove(conn);
    heap_free(front->heap, conn->input, conn->input_capacity);
    body_free(front, conn->body);
    write_free(front, conn->output);
    heap_free(front->heap, conn, sizeof(*conn));
    (void)atomic_fetch_sub_explicit(&front->server->conn_count, 1, memory_order_relaxed);
    if (atomic_fetch_sub_explicit(&front->conn_count, 1, memory_order_relaxed) == 1 &&
        !front->stopping) {
        (void)uv_timer_stop(&front->sweep);
    }
}

static void on_closed(uv_handle_t *handle) {
    struct conn *conn = (struct conn *)handle;
    conn->unhandled = true;
    if (!conn->pending && !conn->feeding) {
        conn_free(conn);
    }
}

void conn_close(struct conn *conn) {
    if (conn->state != CONN_CLOSED) {
        if (conn->state == CONN_WAIT) {
            door_leave(conn);
        }
        outbox_forget(conn);
        conn_enter(conn, CONN_CLOSED);
        api_cancel(&conn->ticket);
        uv_close((uv_handle_t *)&conn->tcp, on_closed);
    }
}

/* ---- Coming, and being given up ---- */

/* Places are short: idle connections are given up after a while. */
static bool conn_places_short(const struct front *front) {
    const struct server *server = front->server;
    return atomic_load_explicit(&server->conn_count, memory_order_relaxed) >
           server->conn_max - server->conn_max / 4;
}

/* Gives the place of the connection that has been idle longest to a new one. */
static bool conn_evict(struct front *front) {
    struct conn *idle = front->lists[CONN_IDLE].first;
    if (idle == NULL || uv_now(&front->loop->uv) - idle->since_ms < IDLE_EVICT_MS) {
        return false;
    }
    conn_close(idle);
    return true;
}

static void on_sweep(uv_timer_t *timer) {
    conn_sweep(timer->data);
}

static void conn_count_in(struct front *front) {
    uint32_t sweep_ms = front->server->sweep_ms;
    (void)atomic_fetch_add_explicit(&front->server->conn_count, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&front->conn_count, 1, memory_order_relaxed) == 0) {
        (void)uv_timer_start(&front->sweep, on_sweep, sweep_ms, sweep_ms);
    }
}

/* Takes `socket`: at the limit an idle connection gives its place, here or at another front, else
 * the client is told; far above it, or without memory, the socket is closed. */
void conn_open(struct front *front, int socket, uint32_t passes) {
    const struct server *server = front->server;
    uint32_t count = atomic_load_explicit(&server->conn_count, memory_order_relaxed);
    bool full = !front->stopping && count >= server->conn_max && !conn_evict(front);
    if (full && passes + 1 < server->front_count && front_pass(front, socket, passes + 1)) {
        return;
    }
    bool closed = front->stopping || (full && count >= server->conn_max + REFUSED_MAX);
    struct conn *conn = closed ? NULL : heap_alloc(front->heap, sizeof(*conn));
    if (conn == NULL) {
        (void)close(socket);
        return;
    }
    memset(conn, 0, sizeof(*conn));
    conn->front = front;
    conn->since_ms = uv_now(&front->loop->uv);
    INS_ASSERT(uv_tcp_init(&front->loop->uv, &conn->tcp) == 0);
    conn_count_in(front);
    api_connected(front->api);
    list_append(conn);
    if (uv_tcp_open(&conn->tcp, socket) != 0) {
        (void)close(socket);
        conn_close(conn);
        return;
    }
    conn_read_start(conn);
    if (full) {
        conn_refuse(conn, 503, 1, "Service temporarily unavailable: too many connections");
    }
}

/* A large answer is taken in slowly: the wait begins again. */
static bool write_progressed(struct conn *conn) {
    if (conn->output == NULL) { /* it was to leave long ago */
        return false;
    }
    size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
    if (conn->output->unsent - unsent < WRITE_PROGRESS_BYTES) {
        return false;
    }
    conn->output->unsent = unsent;
    conn_enter(conn, CONN_WRITE);
    return true;
}

static void conn_expire(struct conn *conn) {
    if (conn->state == CONN_HEAD || conn->state == CONN_BODY) {
        conn_refuse(conn, 408, 0, "Timeout: the request did not come whole in time");
    } else if (conn->state == CONN_LEFT) {
        conn_enter(conn, CONN_BUSY); /* for its answer, which comes soon now */
        api_cancel(&conn->ticket);
    } else if (conn->state != CONN_WRITE || !write_progressed(conn)) {
        conn_close(conn);
    }
}

void conn_sweep(struct front *front) {
    const struct server *server = front->server;
    uint64_t now_ms = uv_now(&front->loop->uv);
    for (enum conn_state state = 0; state < CONN_STATE_COUNT; state++) {
        uint32_t timeout_ms = server->timeouts_ms[state];
        bool unhurried = state == CONN_IDLE && !server->idle_always && !conn_places_short(front);
        struct conn *conn;
        if (timeout_ms == 0 || unhurried) {
            continue;
        }
        while ((conn = front->lists[state].first) != NULL &&
               now_ms - conn->since_ms >= timeout_ms) {
            conn_expire(conn);
        }
    }
}

static void close_list(struct conn_list *list) {
    while (list->first != NULL) {
        conn_close(list->first); /* leaves the list */
    }
}

void conn_close_waiting(struct front *front) {
    close_list(&front->lists[CONN_IDLE]);
    close_list(&front->lists[CONN_HEAD]);
    close_list(&front->lists[CONN_BODY]);
}

void conn_close_all(struct front *front) {
    for (enum conn_state state = 0; state < CONN_CLOSED; state++) {
        close_list(&front->lists[state]);
    }
}
