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

static bool read_answer(struct client *client) {
    char head[HEAD_MAX];
    size_t size = 0, body = 0;
    if (!read_head(client, head, &size, &body)) {
        return false;
    }
    const char *length = strcasestr(head, "\r\nContent-Length:");
    const char *space = strchr(head, ' ');
    if (strncmp(head, "HTTP/1.", 7) != 0 || space == NULL || length == NULL) {
        return fail(client, "the answer is not what a server of this kind sends");
    }
    client->http = (unsigned)strtoul(space, NULL, 10);
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

bool client_call(struct client *client, const char *method, const char *path, const char *body,
                 size_t body_size) {
    char head[512];
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
