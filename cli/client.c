#include "cli/client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_MAX 8192u
#define ANSWER_MAX (256u << 20)

static bool fail(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(struct client *client, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE: clang 14 misses va_start */
    (void)vsnprintf(client->error, CLIENT_ERROR_MAX, format, arguments);
    va_end(arguments);
    if (client->socket >= 0) {
        (void)close(client->socket);
        client->socket = -1;
    }
    return false;
}

static bool url_split(struct client *client, const char *url) {
    static const char scheme[] = "http://";
    if (strncasecmp(url, scheme, sizeof(scheme) - 1) != 0) {
        return fail(client, "\"%s\" is not http://HOST:PORT", url);
    }
    const char *host = url + sizeof(scheme) - 1;
    const char *host_end = host[0] == '[' ? strchr(host, ']') : host + strcspn(host, ":/");
    if (host_end == NULL || host_end == host || (size_t)(host_end - host) >= sizeof(client->host)) {
        return fail(client, "\"%s\" names no host", url);
    }
    const char *after = host[0] == '[' ? host_end + 1 : host_end;
    const char *port = after[0] == ':' ? after + 1 : "6333";
    size_t port_size = strspn(port, "0123456789");
    if (port_size == 0 || port_size >= sizeof(client->port)) {
        return fail(client, "\"%s\" has no port", url);
    }
    host += host[0] == '[';
    (void)snprintf(client->host, sizeof(client->host), "%.*s", (int)(host_end - host), host);
    (void)snprintf(client->port, sizeof(client->port), "%.*s", (int)port_size, port);
    return true;
}

static bool client_connect(struct client *client) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int failure = getaddrinfo(client->host, client->port, &hints, &found);
    if (failure != 0) {
        return fail(client, "%s: %s", client->host, gai_strerror(failure));
    }
    for (struct addrinfo *each = found; each != NULL && client->socket < 0; each = each->ai_next) {
        client->socket = socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0);
        if (client->socket >= 0 && connect(client->socket, each->ai_addr, each->ai_addrlen) != 0) {
            int error_number = errno;
            (void)close(client->socket);
            client->socket = -1;
            errno = error_number;
        }
    }
    freeaddrinfo(found);
    if (client->socket < 0) {
        return fail(client, "cannot reach %s port %s: %s", client->host, client->port,
                    strerror(errno));
    }
    int on = 1;
    (void)setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return true;
}

bool client_open(struct client *client, const char *url) {
    *client = (struct client){.socket = -1};
    return url_split(client, url) && client_connect(client);
}

void client_close(struct client *client) {
    if (client->socket >= 0) {
        (void)close(client->socket);
    }
    client->socket = -1;
    free(client->answer);
    client->answer = NULL;
}

static bool send_all(struct client *client, struct iovec *pieces, size_t count) {
    while (count != 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
        ssize_t sent = sendmsg(client->socket, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            return fail(client, "sending: %s", strerror(errno));
        }
        for (size_t left = (size_t)sent; count != 0;) {
            size_t part = left < pieces->iov_len ? left : pieces->iov_len;
            pieces->iov_base = (char *)pieces->iov_base + part;
            pieces->iov_len -= part;
            left -= part;
            if (pieces->iov_len != 0) {
                break;
            }
            pieces++;
            count--;
        }
    }
    return true;
}

/* Reads until the head is whole; *out_size bytes are in `head`, the body begins at *out_body. */
static bool read_head(struct client *client, char head[static HEAD_MAX], size_t *out_size,
                      size_t *out_body) {
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(client->socket, head + size, HEAD_MAX - 1 - size, 0);
        if (got <= 0) {
            return fail(client, "the server closed the connection");
        }
        size += (size_t)got;
        head[size] = '\0';
        const char *end = strstr(head, "\r\n\r\n");
        if (end != NULL) {
            *out_size = size;
            *out_body = (size_t)(end + 4 - head);
            return true;
        }
        if (size == HEAD_MAX - 1) {
            return fail(client, "the answer's head is too large");
        }
    }
}

static bool reserve(struct client *client, size_t size) {
    if (size <= client->answer_capacity) {
        return true;
    }
    char *answer = size > ANSWER_MAX ? NULL : realloc(client->answer, size);
    if (answer == NULL) {
        return fail(client, "no memory for an answer of %zu bytes", size);
    }
    client->answer = answer;
    client->answer_capacity = size;
    return true;
}

/* The code; false when it is no answer. */
static bool read_code(struct client *client, const char *head) {
    const char *space = strchr(head, ' ');
    if (strncmp(head, "HTTP/1.", 7) != 0 || space == NULL) {
        return fail(client, "the answer is not what a server of this kind sends");
    }
    client->http = (unsigned)strtoul(space, NULL, 10);
    return true;
}

/* The body of an answer whose head, and perhaps more, is in head[size]. */
static bool read_body(struct client *client, const char *head, size_t size, size_t body) {
    const char *length = strcasestr(head, "\r\nContent-Length:");
    if (length == NULL) {
        return fail(client, "the answer is not what a server of this kind sends");
    }
    size_t expected = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    size_t have = size - body < expected ? size - body : expected;
    if (!reserve(client, expected + 1)) {
        return false;
    }
    memcpy(client->answer, head + body, have);
    while (have < expected) {
        ssize_t got = recv(client->socket, client->answer + have, expected - have, 0);
        if (got <= 0) {
            return fail(client, "the server closed the connection");
        }
        have += (size_t)got;
    }
    client->answer[expected] = '\0';
    client->answer_size = expected;
    return true;
}

static bool read_answer(struct client *client) {
    char head[HEAD_MAX];
    size_t size = 0, body = 0;
    return read_head(client, head, &size, &body) && read_code(client, head) &&
           read_body(client, head, size, body);
}

bool client_call(struct client *client, const char *method, const char *path, const char *body,
                 size_t body_size) {
    char head[HEAD_MAX];
    if (client->socket < 0 && !client_connect(client)) {
        return false;
    }
    int size = snprintf(head, sizeof(head),
                        "%s %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        method, path, client->host, client->port, body_size);
    if (size < 0 || (size_t)size >= sizeof(head)) {
        return fail(client, "the path is too long: %s", path);
    }
    union {
        const char *text;
        void *memory;
    } shared = {body}; /* sendmsg only reads it */
    struct iovec pieces[2] = {{head, (size_t)size}, {shared.memory, body_size}};
    return send_all(client, pieces, body_size == 0 ? 1 : 2) && read_answer(client);
}

/* ---- Answers in pieces ---- */

/* Chunks as they come: their sizes in hexadecimal, then so many bytes, each with an end of line. */
struct chunked {
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_LINE, CHUNK_LAST_LINE, CHUNK_END } state;
    uint64_t left;
    uint32_t digits;
};

static int digit_of(char byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    int lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* One byte that is not data; false: it does not belong there. */
static bool chunk_byte(struct chunked *chunked, char byte) {
    int digit = digit_of(byte);
    if (chunked->state == CHUNK_SIZE && digit >= 0) {
        chunked->left = chunked->left * 16 + (uint64_t)digit;
        return ++chunked->digits <= 8;
    }
    if (byte == '\r') {
        return true;
    }
    if (byte != '\n' || (chunked->state == CHUNK_SIZE && chunked->digits == 0)) {
        return false;
    }
    if (chunked->state == CHUNK_SIZE) {
        chunked->state = chunked->left > 0 ? CHUNK_DATA : CHUNK_LAST_LINE;
    } else {
        chunked->state = chunked->state == CHUNK_LINE ? CHUNK_SIZE : CHUNK_END;
    }
    chunked->digits = 0;
    return true;
}

static bool chunks_take(struct client *client, struct chunked *chunked, const char *data,
                        size_t size, bool (*sink)(void *, const char *, size_t), void *context) {
    for (size_t at = 0; at < size && chunked->state != CHUNK_END;) {
        if (chunked->state != CHUNK_DATA) {
            if (!chunk_byte(chunked, data[at++])) {
                return fail(client, "the answer is not well chunked");
            }
            continue;
        }
        size_t part = size - at < chunked->left ? size - at : (size_t)chunked->left;
        if (!sink(context, data + at, part)) {
            return fail(client, "writing: %s", strerror(errno));
        }
        at += part;
        chunked->left -= part;
        chunked->state = chunked->left == 0 ? CHUNK_LINE : CHUNK_DATA;
    }
    return true;
}

bool client_download(struct client *client, const char *path,
                     bool (*sink)(void *context, const char *data, size_t size), void *context) {
    static char buffer[1u << 16];
    char head[HEAD_MAX];
    size_t size = 0, body = 0;
    struct chunked chunked = {.state = CHUNK_SIZE};
    int written = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", path,
                           client->host, client->port);
    if (written < 0 || (size_t)written >= sizeof(head)) {
        return fail(client, "the path is too long: %s", path);
    }
    struct iovec piece = {head, (size_t)written};
    if (!send_all(client, &piece, 1) || !read_head(client, head, &size, &body) ||
        !read_code(client, head)) {
        return false;
    }
    if (client->http != 200) {
        return read_body(client, head, size, body);
    }
    if (strcasestr(head, "\r\nTransfer-Encoding: chunked") == NULL) {
        return fail(client, "the answer is not what a server of this kind sends");
    }
    bool good = chunks_take(client, &chunked, head + body, size - body, sink, context);
    while (good && chunked.state != CHUNK_END) {
        ssize_t got = recv(client->socket, buffer, sizeof(buffer), 0);
        if (got <= 0) {
            return fail(client, "the server cut the answer: the tenant was deleted or renamed "
                                "meanwhile, or the server has ended");
        }
        good = chunks_take(client, &chunked, buffer, (size_t)got, sink, context);
    }
    return good;
}
