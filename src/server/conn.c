/* A connection: bytes in, one request at a time to the API, its answer out.
 *
 * Path: all connections read into one buffer; a request that came whole is handed over from there
 * and answered with one write, so that the usual request costs three system calls and no memory.
 * What is not whole yet, or comes while a request is under way, is kept in `input`.
 * Failure: a malformed head or a body over the limit is answered, then the connection is closed,
 * with a while left for the peer to read the answer. Too much input stops the reading.
 * Invariants: I1 in one list, that of its state.  I2 `body` only in CONN_BODY and CONN_WAIT,
 * `output` only in CONN_WRITE and CONN_LINGER.  I3 freed when its handle is closed and no answer is
 * pending. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "server/server_private.h"

static void conn_feed_input(struct conn *conn);

/* ---- Input ------------------------------------------------------------------------------- */

/* Keeps `size` bytes for later; false when that is more than a connection may keep. */
static bool input_append(struct conn *conn, const char *data, size_t size) {
    struct heap *heap = conn->front->heap;
    size_t needed = conn->input_size + size;
    if (needed > INPUT_BYTES_MAX) {
        return false;
    }
    if (needed > conn->input_capacity) {
        size_t capacity = INPUT_BYTES_MIN;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *input = conn->input == NULL ? heap_alloc(heap, capacity)
                                          : heap_grow(heap, conn->input, conn->input_capacity,
                                                      conn->input_size, capacity);
        if (input == NULL) {
            return false;
        }
        conn->input = input;
        conn->input_capacity = (uint32_t)capacity;
    }
    memcpy(conn->input + conn->input_size, data, size);
    conn->input_size = (uint32_t)needed;
    return true;
}

/* Drops the first `size` bytes; an idle connection keeps no buffer. */
static void input_consume(struct conn *conn, size_t size) {
    INS_ASSERT(size <= conn->input_size);
    conn->input_size -= (uint32_t)size;
    if (conn->input_size == 0) {
        heap_free(conn->front->heap, conn->input, conn->input_capacity);
        conn->input = NULL;
        conn->input_capacity = 0;
    } else if (size != 0) {
        memmove(conn->input, conn->input + size, conn->input_size);
    }
}

void conn_refuse(struct conn *conn, unsigned http, uint32_t retry_after_s, const char *message) {
    body_free(conn->front, conn->body);
    conn->body = NULL;
    conn->keep_alive = false;
    conn->head_method = false;
    conn->pending = true;
    if (conn->state != CONN_BUSY) {
        conn_enter(conn, CONN_BUSY);
    }
    if (http == 429 || http == 503) {
        api_count_refused(conn->front->api,
                          http == 429 ? API_REFUSED_MEMORY : API_REFUSED_CONNECTIONS);
    }
    api_refuse(conn->front->api, conn, http, retry_after_s, message);
}

void conn_dispatch(struct conn *conn, const struct head *head, ins_text body, uint64_t now_ns,
                   uint64_t waited_ns) {
    struct api_request request = {.now_ns = now_ns,
                                  .trace = {.request_id = request_id(&conn->name),
                                            .traceparent = request_traceparent(&conn->name),
                                            .waited_ns = waited_ns},
                                  .method = head->method,
                                  .path = head->path,
                                  .query = head->query,
                                  .body = body,
                                  .user = conn,
                                  .ticket = &conn->ticket};
    conn_enter(conn, CONN_BUSY);
    conn->keep_alive = head->keep_alive;
    conn->head_method = head->is_head_method;
    conn->pending = true;
    if (conn->ended) {
        conn_enter(conn, CONN_LEFT);
    }
    api_dispatch(conn->front->api, &request);
}

/* A page in a browser can post to any server without asking it, but not as JSON: with that asked
 * for, no page of another site can write here. Tools that send another type are let through. */
static bool type_allowed(const struct head *head) {
    bool has_body = head->chunked || head->content_length != 0;
    return !has_body || head->json_type || !head->from_browser;
}

/* A head is there; `rest` bytes follow it. Returns how many of them it took. */
static size_t conn_begin(struct conn *conn, const struct head *head, const char *rest,
                         size_t rest_size) {
    size_t body_max = api_body_max(conn->front->api);
    request_name_set(&conn->front->names, head->request_id, head->traceparent, &conn->name);
    if (!type_allowed(head)) {
        conn_refuse(conn, 400, 0, "Content type error: the body must be application/json");
    } else if (head->content_length > body_max) {
        char message[120];
        (void)snprintf(message, sizeof(message),
                       "Payload too large: the body has %llu bytes, at most %zu are taken",
                       (unsigned long long)head->content_length, body_max);
        conn_refuse(conn, 413, 0, message);
    } else if (!head->chunked && head->content_length <= rest_size) {
        ins_text body = {rest, (size_t)head->content_length};
        door_enter(conn, head, body);
        return body.size;
    } else {
        body_begin(conn, head);
        if (conn->state == CONN_BODY && head->expect_continue && rest_size == 0) {
            write_continue(conn);
        }
    }
    return 0;
}

/* Takes one head from `data`, if it is whole, and starts its request. */
static size_t conn_take_head(struct conn *conn, const char *data, size_t size) {
    struct head_error wrong = {0};
    struct head head;
    llhttp_t parser;
    size_t head_size = 0;
    enum head_result result = head_scan(&conn->scan, data, size, &head_size, &wrong);
    if (result == HEAD_MORE) {
        if (conn->state == CONN_IDLE) {
            conn_enter(conn, CONN_HEAD);
        }
        return 0;
    }
    conn->scan = (struct head_scan){0};
    if (result == HEAD_BAD || !head_parse(&parser, data, head_size, &head, &wrong)) {
        char message[160];
        (void)snprintf(message, sizeof(message), "Bad request: %s", wrong.message);
        conn_refuse(conn, wrong.http, 0, message);
        return size;
    }
    size_t rest_size = size - head_size;
    conn->takes_gzip = head.takes_gzip;
    conn->takes_chunks = head.takes_chunks;
    conn->cors = head.from_browser && conn->front->server->cors;
    if (head.preflight && conn->cors && head.content_length == 0 && !head.chunked) {
        conn_enter(conn, CONN_BUSY);
        conn->keep_alive = head.keep_alive && !conn->front->stopping;
        write_preflight(conn, head.wanted_headers);
        return head_size;
    }
    if (head.chunked) {
        body_begin(conn, &head);
        if (conn->state == CONN_BODY) {
            chunks_init(&conn->body->chunks, &parser, conn->body->chunks.sink, conn->body);
            if (head.expect_continue && rest_size == 0) {
                write_continue(conn);
            }
        }
        return head_size;
    }
    return head_size + conn_begin(conn, &head, data + head_size, rest_size);
}

/* Empty lines before a request: some clients send one behind a body. */
static size_t skip_empty_lines(struct conn *conn, const char *data, size_t size) {
    size_t at = 0;
    if (conn->state == CONN_BODY || conn->scan.line != 0) {
        return 0;
    }
    while (at + 1 < size && data[at] == '\r' && data[at + 1] == '\n') {
        at += 2;
        conn->scan = (struct head_scan){0};
    }
    return at;
}

static bool conn_takes_input(const struct conn *conn) {
    return conn->state == CONN_IDLE || conn->state == CONN_HEAD || conn->state == CONN_BODY;
}

/* A request is under way or its answer on its way. */
static bool conn_answers(const struct conn *conn) {
    return conn->state == CONN_WAIT || conn->state == CONN_BUSY || conn->state == CONN_LEFT ||
           conn->state == CONN_WRITE;
}

/* Works through `data` until it is used up or a request is under way; returns what was taken. */
static size_t conn_feed(struct conn *conn, const char *data, size_t size) {
    size_t at = 0;
    conn->feeding = true;
    while (at < size && conn_takes_input(conn)) {
        if (conn->state == CONN_BODY) {
            at += body_take(conn, data + at, size - at);
            continue;
        }
        at += skip_empty_lines(conn, data + at, size - at);
        size_t taken = at < size ? conn_take_head(conn, data + at, size - at) : 0;
        at += taken;
        if (taken == 0) {
            break; /* not whole yet */
        }
    }
    conn->feeding = false;
    return conn->state == CONN_LINGER || conn->state == CONN_CLOSED ? size : at;
}

static void conn_pause(struct conn *conn) {
    if (!conn->paused && conn->state != CONN_CLOSED) {
        conn->paused = true;
        (void)uv_read_stop((uv_stream_t *)&conn->tcp);
    }
}

/* The input is as large as it may be. While busy, the peer waits; else it has sent a head that
 * never ends, which head_scan() refuses first, or memory is out. */
static void conn_input_full(struct conn *conn) {
    if (conn_answers(conn)) {
        conn_close(conn);
    } else if (conn_takes_input(conn)) {
        conn_refuse(conn, 429, 1, "Rate limiting exceeded: the memory for requests is used up");
    }
}

static void conn_take(struct conn *conn, const char *data, size_t size) {
    if (conn->state == CONN_LINGER) {
        return;
    }
    size_t taken = 0;
    bool waiting = conn->input_size != 0;
    if (!waiting && conn_takes_input(conn)) {
        taken = conn_feed(conn, data, size);
    }
    if (taken < size && !input_append(conn, data + taken, size - taken)) {
        conn_input_full(conn);
        return;
    }
    if (waiting && conn_takes_input(conn)) {
        conn_feed_input(conn);
    }
    if (conn->input_size >= READ_BYTES) {
        conn_pause(conn);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buffer) {
    (void)suggested;
    struct conn *conn = (struct conn *)handle;
    *out_buffer = uv_buf_init(conn->front->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
    struct conn *conn = (struct conn *)stream;
    loop_is_awake(conn->front->loop);
    if (size > 0) {
        conn_take(conn, buffer->base, (size_t)size);
    } else if (size == UV_EOF && conn_answers(conn)) {
        conn->ended = true; /* it may still read the answer */
        if (conn->state == CONN_BUSY) {
            conn_enter(conn, CONN_LEFT);
        }
    } else if (size < 0) {
        conn_close(conn);
    }
}

void conn_read_start(struct conn *conn) {
    (void)uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
}

void conn_unpause(struct conn *conn) {
    if (conn->paused) {
        conn->paused = false;
        conn_read_start(conn);
    }
}

static void conn_feed_input(struct conn *conn) {
    if (conn->input_size == 0) {
        return;
    }
    size_t taken = conn_feed(conn, conn->input, conn->input_size);
    input_consume(conn, taken);
}

/* Goes on after an answer: with what has come meanwhile, then with the socket. */
static void conn_resume(struct conn *conn) {
    conn_feed_input(conn);
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn->ended && conn_takes_input(conn)) {
        conn_close(conn);
    } else if (conn->input_size < READ_BYTES) {
        conn_unpause(conn);
    }
}

void conn_written(struct conn *conn) {
    if (!conn->keep_alive || conn->front->stopping) {
        conn_close(conn);
        return;
    }
    conn_enter(conn, CONN_IDLE);
    conn->name.size = 0;
    if (!conn->feeding) {
        conn_resume(conn);
    }
}

void conn_respond(void *user, struct api_response *response) {
    struct conn *conn = user;
    INS_ASSERT(conn->pending);
    conn->pending = false;
    if (conn->state == CONN_CLOSED) {
        response_free(conn->front, response);
        api_cancel(&conn->ticket); /* of an answer in pieces */
        if (conn->unhandled && !conn->feeding) {
            conn_free(conn);
        }
        return;
    }
    if (response->part != API_WHOLE) {
        write_piece(conn, response);
        return;
    }
    write_response(conn, response, !conn->keep_alive || conn->front->stopping);
}
