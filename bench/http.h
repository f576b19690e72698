/* A small HTTP/1.1 client for load: N keep-alive connections, one request under way on each.
 *
 * Closed loop: each connection asks `next` for a request, sends it, reads the answer, tells `done`
 * with its latency, asks again; it ends when every connection's `next` said no.
 * Open loop (`due` is set): requests have their times. At the time that `due` names, or as soon
 * after it as a connection is free, `next` gives the request; its latency counts from that time,
 * so that waiting for the server is never left out. Connections are opened as they are needed.
 * One thread, epoll, no pipelining, no TLS, bodies of known length or chunked.
 * Failure: a connection that ends is opened again and its request counts as failed; more than
 * HTTP_FAILURES_MAX of them end the run, the first one when `end_on_loss` is set. */
#ifndef INS_BENCH_HTTP_H
#define INS_BENCH_HTTP_H

#include <netinet/in.h>

#include "bench.h"

#define HTTP_REQUEST_MAX (512u << 10) /* an upsert of 100 points is some 170 KiB */
#define HTTP_ANSWER_MAX (4u << 20)
#define HTTP_FAILURES_MAX 1000u

struct http_server {
    struct sockaddr_in address;
    char host[128]; /* HOST:PORT, for the head */
};

/* "http://HOST:PORT" with an IPv4 address or localhost. False: said on the standard error. */
bool http_server_parse(const char *url, struct http_server *out_server);

struct http_answer {
    int status; /* 0: the connection failed */
    bool retry_after;
    const char *body;
    size_t body_size;
    uint64_t start_ns; /* intended (open loop) or real */
    uint64_t sent_ns, latency_ns;
};

#define HTTP_NEVER UINT64_MAX

struct http_load {
    const struct http_server *server;
    uint32_t connections;
    void *context;
    /* Writes a whole request into out[HTTP_REQUEST_MAX]; 0 = no more on this connection. In an
     * open loop it takes the request that `due` told of, and may not say 0. */
    size_t (*next)(void *context, uint32_t connection, char *out);
    /* Open loop: when the next request is to be sent, rising; HTTP_NEVER = there is no more. */
    uint64_t (*due)(void *context);
    /* Open loop, may be NULL: a request to send on this connection before any other; 0 = none. */
    size_t (*follow)(void *context, uint32_t connection, char *out);
    void (*tick)(void *context); /* each second; may be NULL */
    bool end_on_loss, excused;
    /* May be NULL. The answer is borrowed. It may set `excused`: this status was wanted. */
    void (*done)(void *context, uint32_t connection, const struct http_answer *answer);
    /* out */
    struct latency latency;         /* of answers 200 to 299 */
    struct latency lateness;        /* open loop: what the client itself added to the latency */
    uint64_t good, refused, failed; /* refused: 429, asked for less for a while */
    uint64_t waited;                /* open loop: requests that waited for a connection */
    bool lost;                      /* ended by end_on_loss */
    int first_status;               /* of the first that failed */
    char first_body[240];
};

/* False: no connection, or too many failures; said on the standard error. */
bool http_load_run(struct http_load *load);

/* A request's text; `body` NULL = none. Returns its length, at most HTTP_REQUEST_MAX. */
size_t http_format(char *out, const struct http_server *server, const char *method,
                   const char *path, const char *body, size_t body_size);

/* One request on a connection of its own: a whole text, or made of parts. The body into
 * out[capacity], terminated, cut to fit; `out` may be NULL. Returns the status; 0: no answer. */
int http_send(const struct http_server *server, const char *request, size_t request_size, char *out,
              size_t capacity);
int http_once(const struct http_server *server, const char *method, const char *path,
              const char *body, char *out, size_t capacity);

/* ---- For http_load.c and its tests: where an answer ends ---- */

struct http_parser {
    size_t head_size; /* 0: not yet whole */
    size_t body_size; /* of known length, or as decoded so far */
    size_t at;        /* chunked: next chunk's head */
    int status;
    bool chunked, close, retry_after;
};

enum http_parsed { HTTP_MORE, HTTP_WHOLE, HTTP_BAD };

/* Looks at in[size], all that came so far. Chunked bodies are joined in place behind the head. */
enum http_parsed http_parse(struct http_parser *parser, char *in, size_t size);

/* ---- A server's own counters: GET /insula/stats ---- */

struct server_stats {
    bool available;
    uint64_t syncs, file_syncs, batches, log_bytes, flushes, merges, timers, collections, tenants;
    uint64_t runs, pending;
    uint64_t graphs_waiting; /* 0 where the server does not tell */
    uint64_t catalog_bytes, arena_used, arena_committed;
    bool has_file_bytes; /* tells the next three apart */
    uint64_t flush_bytes, merge_bytes, clean_bytes;
};

void server_stats_read(const struct http_server *server, struct server_stats *out_stats);
/* Unsigned number behind "key": in `json`, at or after the first "after": (NULL = the start). */
bool json_find_u64(const char *json, const char *after, const char *key, uint64_t *out);

#endif
