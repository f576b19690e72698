/* Bodies that did not come in one piece with their heads.
 *
 * Path: body_begin() reserves what Content-Length says, at most the limit, or a first piece for a
 * chunked one; body_take() fills it; the whole request goes to the door, and waits there in its
 * body. Failure: no memory: 429; over the limit: 413; broken chunks: 400; each with an end of the
 * connection, because what follows cannot be told from a request. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "server/server_private.h"

#define CHUNKED_BYTES_FIRST (16u << 10)

void body_free(struct front *front, struct body *body) {
    if (body == NULL) {
        return;
    }
    heap_free(front->heap, body->data, body->capacity);
    heap_free(front->heap, body, body->bytes);
}

/* Makes room for `size` more bytes of a chunked body. */
static unsigned body_reserve(struct body *body, size_t size) {
    struct front *front = body->conn->front;
    size_t limit = api_body_max(front->api);
    if (size > limit - body->size) {
        return 413;
    }
    size_t needed = body->size + size;
    if (needed <= body->capacity) {
        return 0;
    }
    size_t capacity = body->capacity * 2 > needed ? body->capacity * 2 : needed;
    capacity = capacity > limit ? limit : capacity;
    char *data = heap_grow(front->heap, body->data, body->capacity, body->size, capacity);
    if (data == NULL) {
        return 429;
    }
    body->data = data;
    body->capacity = capacity;
    return 0;
}

static bool chunk_take(void *context, const char *data, size_t size) {
    struct body *body = context;
    body->refused_http = body_reserve(body, size);
    if (body->refused_http != 0) {
        return false;
    }
    memcpy(body->data + body->size, data, size);
    body->size += size;
    return true;
}

/* Keeps what the API needs of a head beyond its bytes. */
static struct body *body_create(struct front *front, const struct head *head) {
    size_t target_size = head->path.size + head->query.size;
    size_t bytes = sizeof(struct body) + target_size;
    struct body *body = heap_alloc(front->heap, bytes);
    if (body == NULL) {
        return NULL;
    }
    memset(body, 0, sizeof(*body));
    body->bytes = bytes;
    body->head = *head;
    body->head.request_id = body->head.traceparent = (ins_text){NULL, 0}; /* they are the conn's */
    memcpy(body->target, head->path.data, head->path.size);
    memcpy(body->target + head->path.size, head->query.data, head->query.size);
    body->head.path.data = body->target;
    body->head.query.data = body->target + head->path.size;
    body->expected = head->content_length;
    body->capacity = head->chunked ? CHUNKED_BYTES_FIRST : (size_t)head->content_length;
    body->data = body->capacity == 0 ? NULL : heap_alloc(front->heap, body->capacity);
    if (body->data == NULL && body->capacity != 0) {
        heap_free(front->heap, body, bytes);
        return NULL;
    }
    return body;
}

static void refuse_memory(struct conn *conn) {
    conn_refuse(conn, 429, 1, "Rate limiting exceeded: the memory for request bodies is used up");
}

void body_begin(struct conn *conn, const struct head *head) {
    INS_ASSERT(conn->body == NULL);
    struct body *body = body_create(conn->front, head);
    if (body == NULL) {
        refuse_memory(conn);
        return;
    }
    body->conn = conn;
    body->chunks.sink = chunk_take;
    conn->body = body;
    conn_enter(conn, CONN_BODY);
}

static void body_refuse(struct conn *conn, unsigned http) {
    char message[120];
    if (http == 429) {
        refuse_memory(conn);
    } else if (http == 413) {
        (void)snprintf(message, sizeof(message),
                       "Payload too large: the body has more than %zu bytes",
                       api_body_max(conn->front->api));
        conn_refuse(conn, 413, 0, message);
    } else {
        conn_refuse(conn, 400, 0, "Bad request: the body is not well chunked");
    }
}

struct body *body_keep(struct conn *conn, const struct head *head, ins_text text) {
    INS_ASSERT(!head->chunked && head->content_length == text.size);
    struct body *body = body_create(conn->front, head);
    if (body != NULL) {
        body->conn = conn;
        body->size = text.size;
        if (text.size != 0) {
            memcpy(body->data, text.data, text.size);
        }
    }
    return body;
}

static void body_complete(struct conn *conn) {
    struct body *body = conn->body;
    door_enter(conn, &body->head, (ins_text){body->data, body->size});
}

static size_t body_take_chunks(struct conn *conn, const char *data, size_t size) {
    struct body *body = conn->body;
    bool malformed = false;
    size_t taken = chunks_feed(&body->chunks, data, size, &malformed);
    if (malformed || body->refused_http != 0) {
        body_refuse(conn, body->refused_http != 0 ? body->refused_http : 400);
        return size;
    }
    if (body->chunks.complete) {
        body_complete(conn);
    }
    return taken;
}

size_t body_take(struct conn *conn, const char *data, size_t size) {
    struct body *body = conn->body;
    if (body->size - body->seen >= BODY_PROGRESS_BYTES) {
        body->seen = body->size;
        conn_enter(conn, CONN_BODY); /* the wait begins again */
    }
    if (body->head.chunked) {
        return body_take_chunks(conn, data, size);
    }
    size_t missing = (size_t)body->expected - body->size;
    size_t taken = size < missing ? size : missing;
    memcpy(body->data + body->size, data, taken);
    body->size += taken;
    if (body->size == body->expected) {
        body_complete(conn);
    }
    return taken;
}
