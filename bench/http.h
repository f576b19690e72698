/* A small HTTP/1.1 client for load: N keep-alive connections, one request under way on each.
 *
 * Path: http_load_run opens the connections; each asks `next` for a request, sends it, reads the
 * answer, tells `done` with its latency, asks again; it ends when every connection's `next` said
 * no. One thread, epoll, no pipelining, no TLS, bodies of known length or chunked. Failure: a
 * connection that ends is opened again and its request counts as failed; more than
 * HTTP_FAILURES_MAX of them end the run. */
#ifndef INS_BENCH_HTTP_H
#define INS_BENCH_HTTP_H

#include <netinet/in.h>

#include "bench.h"

#define HTTP_REQUEST_MAX (64u << 10)
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
    const char *body;
    size_t body_size;
};

struct http_load {
    const struct http_server *server;
    uint32_t connections;
    void *context;
    /* Writes a whole request into out[HTTP_REQUEST_MAX]; 0 = no more on this connection. */
    size_t (*next)(void *context, uint32_t connection, char *out);
    /* May be NULL. The answer is borrowed. */
    void (*done)(void *context, uint32_t connection, const struct http_answer *answer);
    /* out */
    struct latency latency;         /* of answers 200 to 299 */
    uint64_t good, refused, failed; /* refused: 429, asked for less for a while */
    int first_status;               /* of the first that failed */
    char first_body[240];
};

/* False: no connection, or too many failures; said on the standard error. */
bool http_load_run(struct http_load *load);

/* A request's text; `body` NULL = none. Returns its length, at most HTTP_REQUEST_MAX. */
size_t http_format(char *out, const struct http_server *server, const char *method,
                   const char *path, const char *body, size_t body_size);

/* One request on a connection of its own. The body into out[capacity], terminated, cut to fit;
 * `out` may be NULL. Returns the status; 0: no answer. */
int http_once(const struct http_server *server, const char *method, const char *path,
              const char *body, char *out, size_t capacity);

/* ---- For http_load.c and its tests: where an answer ends ---- */

struct http_parser {
    size_t head_size; /* 0: not yet whole */
    size_t body_size; /* of known length, or as decoded so far */
    size_t at;        /* chunked: next chunk's head */
    int status;
    bool chunked, close;
};

enum http_parsed { HTTP_MORE, HTTP_WHOLE, HTTP_BAD };

/* Looks at in[size], all that came so far. Chunked bodies are joined in place behind the head. */
enum http_parsed http_parse(struct http_parser *parser, char *in, size_t size);

/* ---- A server's own counters: GET /insula/stats ---- */

struct server_stats {
    bool available;
    uint64_t syncs, file_syncs, batches, log_bytes, flushes, timers, collections, tenants, runs;
    uint64_t catalog_bytes, arena_used, arena_committed;
};

void server_stats_read(const struct http_server *server, struct server_stats *out_stats);
/* Unsigned number behind "key": in `json`, at or after the first "after": (NULL = the start). */
bool json_find_u64(const char *json, const char *after, const char *key, uint64_t *out);

#endif
