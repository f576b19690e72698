/* The server: a database behind HTTP, on one event loop.
 *
 * Path: server_open() opens the store, recovers the database and listens; server_run() serves until
 * server_stop(); then it takes no more connections, lets requests under way finish, flushes and
 * returns; server_close() frees.
 * Threads: open, run and close on one; stop on any, and from a signal's callback. */
#ifndef INS_SERVER_SERVER_H
#define INS_SERVER_SERVER_H

#include "insula.h"

#define SERVER_CONNECTIONS_MAX 10240u
#define SERVER_CONNECTIONS_LIMIT 1000000u /* what may be asked for */
#define SERVER_DESCRIPTORS_KEPT 128u      /* for files, the loop, libraries */

#define SERVER_LOOPS_MAX 16u

#define SERVER_SLOW_MS_DEFAULT 500u /* ten times what a gate allows at its 99th percentile */
#define SERVER_SLOW_MS_MAX 3600000u

struct server;

/* Milliseconds of silence after which a connection is given up, by what it is doing; 0 = default.
 */
struct server_patience {
    uint32_t idle_ms;   /* between requests: 75 s, and only when places run short; set: always */
    uint32_t head_ms;   /* from the first byte of a head to its last: 10 s */
    uint32_t body_ms;   /* for a body, or for the next MiB of it: 30 s */
    uint32_t write_ms;  /* for an answer to be taken in, or the next MiB of it: 60 s */
    uint32_t linger_ms; /* for a refused peer to read its answer: 2 s */
};

struct server_options {
    const char *data_dir;
    const char *host;           /* an address or "localhost" */
    uint16_t http_port;         /* 0 = any that is free */
    uint64_t memory_budget;     /* 0 = the engine's default, and so is */
    uint64_t memory_budget_max; /* what it may be raised to */
    uint32_t erase_after_hours; /* 0 = the engine's default */
    uint32_t connections_max;   /* 0 = SERVER_CONNECTIONS_MAX or what the descriptors allow */
    struct server_patience patience;
    uint32_t loops;       /* event loops, 1 .. SERVER_LOOPS_MAX; 0 = the default */
    uint32_t inline_max;  /* connections that loop 0 takes before others get any; 0 = default */
    uint32_t waiting_max; /* requests that wait for their turn, each loop; 0 = default */
    uint32_t slow_ms;     /* requests that take so long go to the slow log; 0 = default */
    bool slow_off;        /* none does */
    const char *slow_log; /* its file, appended to; NULL = standard error */
    bool no_cors;         /* pages of other origins may not read answers */
    bool handle_signals;  /* SIGTERM and SIGINT stop; a second one ends the process at once */
};

/* INS_INVALID: address; INS_UNAVAILABLE: port in use; or what opening the store or database says.
 */
INS_MUST_USE ins_status server_open(const struct server_options *options,
                                    struct server **out_server, ins_error *error);
/* INS_OK after a clean shutdown; else what kept the database from flushing. */
INS_MUST_USE ins_status server_run(struct server *server, ins_error *error);
void server_stop(struct server *server);
void server_close(struct server *server); /* takes NULL */

uint16_t server_port(const struct server *server);
/* Before server_run() only. */
void server_stats(struct server *server, ins_stats *out_stats);

#endif
