#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

#define IN_FIRST (16u << 10)
#define EVENTS 256

struct connection {
    int fd; /* -1 = not open */
    uint32_t number;
    bool busy, wants_out;
    uint64_t start_ns, sent_ns;
    struct connection *next_idle; /* open loop */
    size_t out_size, out_at, in_size, in_capacity;
    struct http_parser parser;
    char *out; /* [HTTP_REQUEST_MAX] */
    char *in;  /* [in_capacity] */
};

struct run {
    struct http_load *load;
    struct connection *connections;
    struct connection *idle; /* open loop: last used first, so that few stay in use */
    int epoll;
    uint32_t busy;
    bool stalled; /* the due request waits for a connection */
    uint64_t tick_ns, heard_ns;
};

/* ---- Addresses and requests ---- */

bool http_server_parse(const char *url, struct http_server *out_server) {
    static const char scheme[] = "http://";
    char host[96];
    unsigned port = 80;
    *out_server = (struct http_server){.address = {.sin_family = AF_INET}};
    const char *from =
        strncmp(url, scheme, sizeof(scheme) - 1) == 0 ? url + sizeof(scheme) - 1 : url;
    if (sscanf(from, "%95[^:/]:%u", host, &port) < 1 || port > UINT16_MAX) {
        (void)bench_fail("--url %s: want http://HOST:PORT", url);
        return false;
    }
    const char *ip = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (inet_pton(AF_INET, ip, &out_server->address.sin_addr) != 1) {
        (void)bench_fail("--url %s: \"%s\" is no IPv4 address", url, host);
        return false;
    }
    out_server->address.sin_port = htons((uint16_t)port);
    (void)snprintf(out_server->host, sizeof(out_server->host), "%s:%u", host, port);
    return true;
}

size_t http_format(char *out, const struct http_server *server, const char *method,
                   const char *path, const char *body, size_t body_size) {
    int head;
    if (body == NULL) {
        head = snprintf(out, HTTP_REQUEST_MAX, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, path,
                        server->host);
        body_size = 0;
    } else {
        head = snprintf(out, HTTP_REQUEST_MAX,
                        "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        method, path, server->host, body_size);
    }
    INS_ASSERT(head > 0);
    INS_ASSERT((size_t)head + body_size <= HTTP_REQUEST_MAX);
    if (body_size > 0) {
        memcpy(out + head, body, body_size);
    }
    return (size_t)head + body_size;
}

/* ---- One connection ---- */

static int connect_to(const struct http_server *server) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&server->address, sizeof(server->address)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool connection_open(struct run *run, struct connection *connection) {
    connection->fd = connect_to(run->load->server);
    if (connection->fd < 0) {
        return false;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->wants_out = false;
    return epoll_ctl(run->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0;
}

static void connection_close(struct connection *connection) {
    if (connection->fd >= 0) {
        (void)close(connection->fd);
    }
    connection->fd = -1;
}

static void want_out(struct run *run, struct connection *connection, bool wanted) {
    if (wanted == connection->wants_out) {
        return;
    }
    struct epoll_event event = {.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.ptr = connection};
    INS_ASSERT(epoll_ctl(run->epoll, EPOLL_CTL_MOD, connection->fd, &event) == 0);
    connection->wants_out = wanted;
}

static bool connection_send(struct run *run, struct connection *connection) {
    while (connection->out_at < connection->out_size) {
        ssize_t sent = send(connection->fd, connection->out + connection->out_at,
                            connection->out_size - connection->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) {
                break;
            }
            return false;
        }
        connection->out_at += (size_t)sent;
    }
    want_out(run, connection, connection->out_at < connection->out_size);
    return true;
}

/* Sends what was written into connection->out. */
static bool connection_begin(struct run *run, struct connection *connection, size_t size,
                             uint64_t start_ns) {
    connection->out_size = size;
    connection->out_at = connection->in_size = 0;
    connection->parser = (struct http_parser){0};
    connection->sent_ns = bench_now_ns();
    connection->start_ns = start_ns == 0 ? connection->sent_ns : start_ns;
    run->busy += !connection->busy;
    connection->busy = true;
    return connection_send(run, connection);
}

static void connection_rest(struct run *run, struct connection *connection) {
    run->busy -= connection->busy;
    connection->busy = false;
    if (run->load->due != NULL) {
        connection->next_idle = run->idle;
        run->idle = connection;
    }
}

/* The connection's next request, when there is one for it now. */
static bool connection_next(struct run *run, struct connection *connection) {
    struct http_load *load = run->load;
    size_t size = 0;
    if (load->due == NULL) {
        size = load->next(load->context, connection->number, connection->out);
    } else if (load->follow != NULL) {
        size = load->follow(load->context, connection->number, connection->out);
    }
    if (size == 0) {
        connection_rest(run, connection);
        return true;
    }
    return connection_begin(run, connection, size, 0);
}

static void count_failure(struct http_load *load, const struct http_answer *answer) {
    if (load->failed++ == 0) {
        load->first_status = answer->status;
        (void)snprintf(load->first_body, sizeof(load->first_body), "%.*s",
                       (int)(answer->body_size < 230 ? answer->body_size : 230),
                       answer->body_size == 0 ? "" : answer->body);
    }
}

static void finish(struct run *run, struct connection *connection, bool whole) {
    struct http_load *load = run->load;
    struct http_answer answer = {.start_ns = connection->start_ns, .sent_ns = connection->sent_ns};
    answer.latency_ns = bench_now_ns() - connection->start_ns;
    if (whole) {
        answer.status = connection->parser.status;
        answer.retry_after = connection->parser.retry_after;
        answer.body = connection->in + connection->parser.head_size;
        answer.body_size = connection->parser.body_size;
    }
    load->excused = false;
    if (load->done != NULL) {
        load->done(load->context, connection->number, &answer);
    }
    if ((answer.status >= 200 && answer.status < 300) || load->excused) {
        load->good++;
        latency_add(&load->latency, answer.latency_ns);
    } else if (answer.status == 429) {
        load->refused++;
    } else {
        count_failure(load, &answer);
    }
}

static bool grow_in(struct connection *connection) {
    size_t capacity = connection->in_capacity == 0 ? IN_FIRST : connection->in_capacity * 2;
    char *in = capacity > 2 * HTTP_ANSWER_MAX ? NULL : realloc(connection->in, capacity);
    if (in == NULL) {
        return false;
    }
    connection->in = in;
    connection->in_capacity = capacity;
    return true;
}

/* False: the connection ended or makes no sense. */
static bool connection_receive(struct run *run, struct connection *connection) {
    if (connection->in_size == connection->in_capacity && !grow_in(connection)) {
        return false;
    }
    ssize_t got = recv(connection->fd, connection->in + connection->in_size,
                       connection->in_capacity - connection->in_size, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    connection->in_size += (size_t)got;
    enum http_parsed parsed = http_parse(&connection->parser, connection->in, connection->in_size);
    if (parsed != HTTP_WHOLE) {
        return parsed == HTTP_MORE;
    }
    bool closes = connection->parser.close;
    finish(run, connection, true);
    if (closes) {
        connection_close(connection);
        if (!connection_open(run, connection)) {
            return false;
        }
    }
    return connection_next(run, connection);
}

/* ---- All of them ---- */

/* The request that was under way is lost; a new connection goes on with the next one. */
static bool connection_replace(struct run *run, struct connection *connection) {
    struct http_load *load = run->load;
    connection_close(connection);
    if (connection->busy) {
        finish(run, connection, false);
        load->lost = load->end_on_loss;
    }
    return !load->lost && load->failed < HTTP_FAILURES_MAX && connection_open(run, connection) &&
           connection_next(run, connection);
}

static bool handle(struct run *run, const struct epoll_event *event) {
    struct connection *connection = event->data.ptr;
    bool alive = true;
    if (!connection->busy) { /* closed by the server while at rest: opened when it is needed */
        connection_close(connection);
        return true;
    }
    if ((event->events & EPOLLOUT) != 0) {
        alive = connection_send(run, connection);
    }
    if (alive && (event->events & ~(uint32_t)EPOLLOUT) != 0) {
        alive = connection_receive(run, connection);
    }
    return alive || connection_replace(run, connection);
}

/* ---- The open loop's schedule ---- */

/* Sends all that is due, as long as connections are free. */
static bool send_due(struct run *run, uint64_t *out_due_ns) {
    struct http_load *load = run->load;
    uint64_t due_ns = load->due(load->context), now_ns = bench_now_ns();
    while (due_ns <= now_ns && run->idle != NULL) {
        struct connection *connection = run->idle;
        run->idle = connection->next_idle;
        if (connection->fd < 0 && !connection_open(run, connection)) {
            return false;
        }
        size_t size = load->next(load->context, connection->number, connection->out);
        INS_ASSERT(size > 0);
        /* A request that waited for a connection waited for the server, not for the client. */
        if (run->stalled) {
            load->waited++;
        } else {
            latency_add(&load->lateness, bench_now_ns() - due_ns);
        }
        if (!connection_begin(run, connection, size, due_ns) &&
            !connection_replace(run, connection)) {
            return false;
        }
        due_ns = load->due(load->context);
        now_ns = bench_now_ns();
    }
    run->stalled = due_ns <= now_ns;
    *out_due_ns = due_ns;
    return true;
}

/* ---- All of them ---- */

#define SILENCE_NS (60u * BENCH_NS) /* without any answer; then the server counts as dead */

/* Waits for answers, at most until `due_ns` or the next tick. */
static int wait_events(const struct run *run, uint64_t due_ns, struct epoll_event *events) {
    uint64_t now_ns = bench_now_ns();
    uint64_t until_ns = run->heard_ns + SILENCE_NS;
    if (run->idle != NULL && due_ns < until_ns) {
        until_ns = due_ns;
    }
    if (run->load->tick != NULL && run->tick_ns < until_ns) {
        until_ns = run->tick_ns;
    }
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / BENCH_NS),
                            .tv_nsec = (long)(left_ns % BENCH_NS)};
    int count = epoll_pwait2(run->epoll, events, EVENTS, &left, NULL);
    return count < 0 && errno == EINTR ? 0 : count;
}

static void tick(struct run *run) {
    if (run->load->tick != NULL && bench_now_ns() >= run->tick_ns) {
        run->load->tick(run->load->context);
        run->tick_ns = bench_now_ns() + BENCH_NS;
    }
}

static bool handle_events(struct run *run, const struct epoll_event *events, int count) {
    for (int i = 0; i < count; i++) {
        if (!handle(run, &events[i])) {
            if (!run->load->lost) {
                (void)bench_fail("%s: connection lost: %s", run->load->server->host,
                                 strerror(errno));
            }
            return run->load->lost;
        }
    }
    run->heard_ns = count > 0 || run->busy == 0 ? bench_now_ns() : run->heard_ns;
    return true;
}

static bool run_loop(struct run *run) {
    struct epoll_event events[EVENTS];
    bool open = run->load->due != NULL;
    uint64_t due_ns = HTTP_NEVER;
    run->heard_ns = run->tick_ns = bench_now_ns();
    while (!run->load->lost) {
        if (open && !send_due(run, &due_ns)) {
            run->load->lost = run->load->end_on_loss; /* nobody listens any more */
            if (run->load->lost) {
                return true;
            }
            (void)bench_fail("cannot send to %s: %s", run->load->server->host, strerror(errno));
            return false;
        }
        if (run->busy == 0 && due_ns == HTTP_NEVER) {
            return true;
        }
        int count = wait_events(run, due_ns, events);
        if (count < 0 || !handle_events(run, events, count)) {
            return false;
        }
        tick(run);
        if (run->busy > 0 && bench_now_ns() - run->heard_ns > SILENCE_NS) {
            (void)bench_fail("no answer from %s for a minute", run->load->server->host);
            return false;
        }
    }
    return true;
}

static bool run_open(struct run *run) {
    bool open = run->load->due != NULL;
    for (uint32_t i = run->load->connections; i-- > 0;) {
        struct connection *connection = &run->connections[i];
        connection->number = i;
        connection->out = malloc(HTTP_REQUEST_MAX);
        if (connection->out == NULL) {
            (void)bench_fail("no memory for %u connections", run->load->connections);
            return false;
        }
        connection_rest(run, connection);
    }
    for (uint32_t i = 0; i < run->load->connections && !open; i++) {
        if (!connection_open(run, &run->connections[i])) {
            (void)bench_fail("cannot connect to %s: %s", run->load->server->host, strerror(errno));
            return false;
        }
    }
    for (uint32_t i = 0; i < run->load->connections && !open; i++) {
        if (!connection_next(run, &run->connections[i])) {
            (void)bench_fail("cannot send to %s: %s", run->load->server->host, strerror(errno));
            return false;
        }
    }
    return true;
}

bool http_load_run(struct http_load *load) {
    struct run run = {.load = load,
                      .connections = calloc(load->connections, sizeof(struct connection)),
                      .epoll = epoll_create1(EPOLL_CLOEXEC)};
    memset(&load->latency, 0, sizeof(load->latency));
    memset(&load->lateness, 0, sizeof(load->lateness));
    load->good = load->refused = load->failed = load->waited = 0;
    load->lost = false;
    bool good = run.connections != NULL && run.epoll >= 0;
    for (uint32_t i = 0; good && i < load->connections; i++) {
        run.connections[i].fd = -1;
    }
    good = good && run_open(&run) && run_loop(&run);
    for (uint32_t i = 0; run.connections != NULL && i < load->connections; i++) {
        connection_close(&run.connections[i]);
        free(run.connections[i].out);
        free(run.connections[i].in);
    }
    free(run.connections);
    if (run.epoll >= 0) {
        (void)close(run.epoll);
    }
    return good;
}

/* ---- One request ---- */

struct once {
    const char *request;
    size_t request_size;
    char *out;
    size_t capacity;
    int status;
};

static size_t once_next(void *context, uint32_t connection, char *out) {
    struct once *once = context;
    (void)connection;
    size_t size = once->request_size;
    memcpy(out, once->request, size);
    once->request_size = 0;
    return size;
}

static void once_done(void *context, uint32_t connection, const struct http_answer *answer) {
    struct once *once = context;
    (void)connection;
    once->status = answer->status;
    if (once->out != NULL) {
        (void)snprintf(once->out, once->capacity, "%.*s", (int)answer->body_size,
                       answer->body_size == 0 ? "" : answer->body);
    }
}

int http_send(const struct http_server *server, const char *request, size_t request_size, char *out,
              size_t capacity) {
    struct once once = {
        .request = request, .request_size = request_size, .out = out, .capacity = capacity};
    struct http_load *load = calloc(1, sizeof(*load));
    if (load == NULL) {
        return 0;
    }
    load->server = server;
    load->connections = 1;
    load->context = &once;
    load->next = once_next;
    load->done = once_done;
    bool good = http_load_run(load);
    free(load);
    return good ? once.status : 0;
}

int http_once(const struct http_server *server, const char *method, const char *path,
              const char *body, char *out, size_t capacity) {
    static char request[HTTP_REQUEST_MAX]; /* one thread */
    size_t size = http_format(request, server, method, path, body, body == NULL ? 0 : strlen(body));
    return http_send(server, request, size, out, capacity);
}
