/* The listening socket: takes connections as they come and hands each to the server as a socket.
 *
 * Not libuv's listener: there a connection that cannot be kept stops all later ones, and sockets
 * cannot be given to another loop.
 * Failure: when descriptors are out, one that is kept in reserve is given up to take the connection
 * and close it, so that its client learns at once and the queue does not stand; after other
 * failures the listening rests for a second. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "server/server_private.h"

#define BACKLOG 1024
#define RETRY_MS 1000  /* after a failure that is not a client's */
#define ACCEPTS_MAX 64 /* at a time: then those that are open get their turn */

union address {
    struct sockaddr_storage any;
    struct sockaddr plain;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static void reserve_take(struct listener *listener) {
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor is left: the one in reserve serves to turn one connection away. */
static bool turn_away(struct listener *listener) {
    if (listener->reserve < 0) {
        return false;
    }
    (void)close(listener->reserve);
    int socket = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC);
    if (socket >= 0) {
        (void)close(socket);
    }
    reserve_take(listener);
    return socket >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_retry(uv_timer_t *timer) {
    struct listener *listener = timer->data;
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* The queue stays readable: asking again at once would keep the loop busy for nothing. */
static void listener_pause(struct listener *listener) {
    (void)uv_poll_stop(&listener->poll);
    (void)uv_timer_start(&listener->retry, on_retry, RETRY_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct listener *listener = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int socket = accept4(listener->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            listener->accepted(listener->context, socket);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE || errno == ENFILE) {
            if (!turn_away(listener)) {
                listener_pause(listener);
                return;
            }
        } else if (errno != EINTR && errno != ECONNABORTED) {
            listener_pause(listener);
            return;
        }
    }
}

/* Of the listener: Linux gives them to every socket that it accepts, without a call for each. */
static void set_options(int socket) {
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        (void)setsockopt(socket, options[i].level, options[i].name, &options[i].value, sizeof(int));
    }
}

static ins_status address_parse(const char *host, uint16_t port, union address *out,
                                ins_error *error) {
    const char *text = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    memset(out, 0, sizeof(*out));
    if (uv_ip4_addr(text, port, &out->v4) == 0 || uv_ip6_addr(text, port, &out->v6) == 0) {
        return INS_OK;
    }
    return ins_fail(error, INS_INVALID, "host: \"%.100s\" is not an IPv4 or IPv6 address", host);
}

static int socket_listen(const union address *address) {
    bool v6 = address->any.ss_family == AF_INET6;
    int listening = socket(address->any.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listening < 0) {
        return -1;
    }
    set_options(listening);
    socklen_t size = v6 ? sizeof(address->v6) : sizeof(address->v4);
    if (bind(listening, &address->plain, size) != 0 || listen(listening, BACKLOG) != 0) {
        int failure = errno;
        (void)close(listening);
        errno = failure;
        return -1;
    }
    return listening;
}

uint16_t listener_port(const struct listener *listener) {
    union address address;
    socklen_t size = sizeof(address);
    memset(&address, 0, sizeof(address));
    if (getsockname(listener->socket, &address.plain, &size) != 0) {
        return 0;
    }
    return ntohs(address.any.ss_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

ins_status listener_open(struct listener *listener, uv_loop_t *uv, const char *host, uint16_t port,
                         ins_error *error) {
    union address address;
    ins_status status = address_parse(host, port, &address, error);
    if (status != INS_OK) {
        return status;
    }
    int listening = socket_listen(&address);
    if (listening < 0) {
        return ins_fail(error, INS_UNAVAILABLE, "cannot listen on %.100s port %u: %s", host, port,
                        strerrordesc_np(errno));
    }
    if (uv_poll_init(uv, &listener->poll, listening) != 0) {
        (void)close(listening);
        return ins_fail(error, INS_EXHAUSTED, "cannot watch the listening socket");
    }
    INS_ASSERT(uv_timer_init(uv, &listener->retry) == 0);
    listener->poll.data = listener->retry.data = listener;
    listener->socket = listening;
    listener->closed = false;
    reserve_take(listener);
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    return INS_OK;
}

void listener_close(struct listener *listener) {
    if (listener->closed) {
        return;
    }
    listener->closed = true;
    uv_close((uv_handle_t *)&listener->poll, NULL);
    uv_close((uv_handle_t *)&listener->retry, NULL);
    (void)close(listener->socket);
    if (listener->reserve >= 0) {
        (void)close(listener->reserve);
    }
}
