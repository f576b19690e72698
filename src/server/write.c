/* Answers on the wire. The head is written into the free bytes before the body, so that the usual
 * answer leaves with one write and without memory of its own; what the socket does not take at once
 * waits in an output. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "server/server_private.h"

static const char *reason_of(unsigned http) {
    switch (http) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Payload Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Entity";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

struct head_writer {
    char text[API_HEAD_SPACE];
    size_t size;
};

static void put(struct head_writer *writer, const char *text) {
    size_t size = strlen(text);
    INS_ASSERT(size <= sizeof(writer->text) - writer->size);
    memcpy(writer->text + writer->size, text, size);
    writer->size += size;
}

static void put_number(struct head_writer *writer, uint64_t number) {
    char digits[24];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    put(writer, digits + at);
}

/* Writes the head so that it ends where the body begins; returns its size. */
static size_t head_write(const struct conn *conn, const struct api_response *response, bool packed,
                         bool close) {
    struct head_writer writer = {.size = 0};
    put(&writer, "HTTP/1.1 ");
    put_number(&writer, response->http);
    put(&writer, " ");
    put(&writer, reason_of(response->http));
    put(&writer, "\r\nContent-Type: ");
    put(&writer, response->content_type);
    if (response->part == API_WHOLE) {
        put(&writer, "\r\nContent-Length: ");
        put_number(&writer, response->size);
    } else if (conn->takes_chunks) {
        put(&writer, "\r\nTransfer-Encoding: chunked");
    }
    if (response->allow != NULL) {
        put(&writer, "\r\nAllow: ");
        put(&writer, response->allow);
    }
    if (response->retry_after_s != 0) {
        put(&writer, "\r\nRetry-After: ");
        put_number(&writer, response->retry_after_s);
    }
    if (conn->name.size != 0) {
        put(&writer, "\r\nX-Request-Id: ");
        put(&writer, conn->name.id);
    }
    if (packed) {
        put(&writer, "\r\nContent-Encoding: gzip");
    }
    if (response->part == API_WHOLE && (response->size >= GZIP_BYTES_MIN || packed)) {
        put(&writer, "\r\nVary: Accept-Encoding");
    }
    if (conn->cors) {
        put(&writer, "\r\nAccess-Control-Allow-Origin: *");
    }
    put(&writer, close ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n");
    memcpy(response->body - writer.size, writer.text, writer.size);
    return writer.size;
}

void write_free(struct front *front, struct output *output) {
    if (output != NULL) {
        heap_free(front->heap, output->memory, output->capacity);
        heap_free(front->heap, output, sizeof(*output));
    }
}

void response_free(struct front *front, struct api_response *response) {
    if (!response->shared) {
        heap_free(front->heap, response->memory, response->capacity);
    }
}

static void on_shutdown(uv_shutdown_t *request, int status) {
    (void)status;
    struct front *front = request->data;
    heap_free(front->heap, request, sizeof(*request));
}

/* Closing while the peer still sends would reset the connection and could take the answer away
 * before it is read: first only our side ends, and what comes is thrown away for a while. */
static void conn_linger(struct conn *conn) {
    struct heap *heap = conn->front->heap;
    uv_shutdown_t *request = conn->ended ? NULL : heap_alloc(heap, sizeof(*request));
    conn_enter(conn, CONN_LINGER);
    conn_unpause(conn);
    if (request != NULL) {
        request->data = conn->front;
        if (uv_shutdown(request, (uv_stream_t *)&conn->tcp, on_shutdown) == 0) {
            return;
        }
        heap_free(heap, request, sizeof(*request));
    }
    conn_close(conn);
}

/* A piece has left: the next one, when there is one. */
static void conn_continue(struct conn *conn) {
    if (conn->state != CONN_BUSY) {
        conn_enter(conn, CONN_BUSY);
    }
    conn->pending = true;
    api_continue(&conn->ticket);
}

static void response_sent(struct conn *conn, bool refused) {
    if (conn->part == API_FIRST || conn->part == API_NEXT) {
        conn_continue(conn);
    } else if (refused) {
        conn_linger(conn);
    } else {
        conn_written(conn);
    }
}

static void on_written(uv_write_t *write, int status) {
    struct output *output = write->data;
    struct conn *conn = output->conn;
    INS_ASSERT(conn->output == output);
    conn->output = NULL;
    write_free(conn->front, output);
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (status != 0) {
        conn_close(conn);
    } else {
        response_sent(conn, !conn->keep_alive);
    }
}

/* Sends the last `size` bytes, at `rest`, when the socket takes them. */
static void write_later(struct conn *conn, struct api_response *response, char *rest, size_t size) {
    struct heap *heap = conn->front->heap;
    struct output *output = heap_alloc(heap, sizeof(*output));
    char *memory = response->memory;
    size_t capacity = response->capacity;
    if (output != NULL && response->shared) {
        capacity = size;
        memory = heap_alloc(heap, capacity);
        if (memory != NULL) {
            memcpy(memory, rest, size);
            rest = memory;
        }
    }
    if (output == NULL || memory == NULL) {
        heap_free(heap, output, sizeof(*output));
        response_free(conn->front, response);
        conn_close(conn);
        return;
    }
    output->conn = conn;
    output->unsent = size;
    output->memory = memory;
    output->capacity = capacity;
    output->write.data = output;
    conn->output = output;
    conn_enter(conn, CONN_WRITE);
    uv_buf_t buffer = uv_buf_init(rest, (unsigned)size);
    int status = uv_write(&output->write, (uv_stream_t *)&conn->tcp, &buffer, 1, on_written);
    if (status != 0) {
        conn->output = NULL;
        write_free(conn->front, output);
        conn_close(conn);
    }
}

/* Sends `size` bytes at `at`, which lie in the memory of `response`. */
static void write_bytes(struct conn *conn, struct api_response *response, char *at, size_t size) {
    bool refused = !conn->keep_alive;
    uv_buf_t buffer = uv_buf_init(at, (unsigned)size);
    int sent = uv_try_write((uv_stream_t *)&conn->tcp, &buffer, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        response_free(conn->front, response);
        conn_close(conn);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < size) {
        write_later(conn, response, at + done, size - done);
        return;
    }
    response_free(conn->front, response);
    response_sent(conn, refused);
}

/* ---- Answers in pieces -------------------------------------------------------------------- */

/* The size of a chunk stands before it, and its end, or the last chunk, behind it. Returns what
 * stands before. */
static size_t chunk_write(const struct api_response *response, bool last, size_t *out_behind) {
    char before[24];
    int size = snprintf(before, sizeof(before), "%zx\r\n", response->size);
    const char *behind = last ? "\r\n0\r\n\r\n" : "\r\n";
    *out_behind = strlen(behind);
    INS_ASSERT(response->size > 0);
    INS_ASSERT(*out_behind <= API_TAIL_SPACE);
    memcpy(response->body - size, before, (size_t)size);
    memcpy(response->body + response->size, behind, *out_behind);
    return (size_t)size;
}

void write_piece(struct conn *conn, struct api_response *response) {
    INS_ASSERT(conn->output == NULL);
    conn->part = (uint8_t)response->part;
    if (response->part == API_CUT) {
        response_free(conn->front, response);
        conn_close(conn);
        return;
    }
    size_t size = response->size, behind = 0;
    if (conn->takes_chunks) {
        size_t before = chunk_write(response, response->part == API_LAST, &behind);
        response->body -= before;
        size += before;
    }
    if (response->part == API_FIRST) {
        conn->keep_alive = conn->keep_alive && conn->takes_chunks && !conn->front->stopping;
        size_t head_size = head_write(conn, response, false, !conn->keep_alive);
        response->body -= head_size;
        size += head_size;
        if (conn->head_method) { /* that is all of it */
            conn->part = API_WHOLE;
            size = head_size;
            behind = 0;
            api_cancel(&conn->ticket);
        }
    }
    write_bytes(conn, response, response->body, size + behind);
}

void write_response(struct conn *conn, struct api_response *response, bool close) {
    struct front *front = conn->front;
    INS_ASSERT(conn->output == NULL);
    conn->part = API_WHOLE;
    bool packed = conn->takes_gzip && gzip_response(front, response);
    size_t head_size = head_write(conn, response, packed, close);
    size_t size = head_size + (conn->head_method ? 0 : response->size);
    char *at = response->body - head_size;
    if (!close && outbox_take(conn, at, size)) {
        response_free(front, response);
    } else {
        write_bytes(conn, response, at, size);
    }
}

void write_held(struct conn *conn, char *data, size_t size) {
    struct api_response response = {.memory = data, .shared = true};
    write_bytes(conn, &response, data, size);
}

/* Names of headers and commas, nothing that could end the line or the answer. */
static bool header_list_is_plain(ins_text list) {
    for (size_t i = 0; i < list.size; i++) {
        unsigned char byte = (unsigned char)list.data[i];
        if (!isalnum(byte) && strchr("-_, ", byte) == NULL) {
            return false;
        }
    }
    return list.size <= PREFLIGHT_HEADERS_MAX;
}

void write_preflight(struct conn *conn, ins_text wanted_headers) {
    char text[PREFLIGHT_HEADERS_MAX + 512];
    bool plain = wanted_headers.size != 0 && header_list_is_plain(wanted_headers);
    int size = snprintf(
        text, sizeof(text),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAccess-Control-Allow-Origin: *\r\n"
        "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
        "%s%.*s%sVary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
        "%s\r\n",
        plain ? "Access-Control-Allow-Headers: " : "", plain ? (int)wanted_headers.size : 0,
        wanted_headers.data == NULL ? "" : wanted_headers.data, plain ? "\r\n" : "",
        conn->keep_alive ? "" : "Connection: close\r\n");
    INS_ASSERT(size > 0 && (size_t)size < sizeof(text));
    struct api_response response = {.memory = text, .shared = true};
    write_bytes(conn, &response, text, (size_t)size);
}

void write_continue(struct conn *conn) {
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buffer = uv_buf_init(text, sizeof(text) - 1);
    /* When the socket takes nothing the client sends its body after a while all the same. */
    int sent = uv_try_write((uv_stream_t *)&conn->tcp, &buffer, 1);
    if (sent != UV_EAGAIN && sent != (int)sizeof(text) - 1) {
        conn_close(conn);
    }
}
