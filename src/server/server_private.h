/* What server.c, conn.c and write.c share. */
#ifndef INS_SERVER_SERVER_PRIVATE_H
#define INS_SERVER_SERVER_PRIVATE_H

#include "api/api.h"
#include "server/head.h"
#include "server/loop.h"
#include "server/server.h"

#define READ_BYTES ((size_t)64 << 10) /* one read; the buffer is shared by all connections */
#define INPUT_BYTES_MAX                                                                            \
    (READ_BYTES * 2) /* kept for a connection: a head, or pipelined requests                       \
                      */
#define INPUT_BYTES_MIN ((size_t)1024)

/* Qdrant closes idle connections after 5 s, which breaks clients that pool them. */
#define IDLE_MS 75000u
#define HEAD_MS 10000u
#define BODY_MS 30000u
#define WRITE_MS 60000u
#define LINGER_MS 2000u
#define SWEEP_MS 1000u /* how often expiry is looked at, unless a patience is shorter */
#define STOP_MS 10000u /* for requests under way at shutdown */

/* idle ──> head ──> body ──> busy ──> write ──> idle      any ──> linger ──> closed
 *   └────────┴────────────────^  └───────────────^           └────────────────^   */
enum conn_state {
    CONN_IDLE,   /* nothing received since the last answer */
    CONN_HEAD,   /* part of a head is in `input` */
    CONN_BODY,   /* `body` is being filled */
    CONN_BUSY,   /* the request is with the API */
    CONN_WRITE,  /* the answer waits for the socket */
    CONN_LINGER, /* refused; what still comes is thrown away */
    CONN_CLOSED, /* the handle is closing or closed */
    CONN_STATE_COUNT
};

/* Connections in one state, the longest there first: with one timeout a state, the first is the
 * next to expire, and one timer serves all. */
struct conn_list {
    struct conn *first, *last;
};

/* A request whose body is not all there yet. */
struct body {
    struct head head;  /* path and query point into `target` */
    uint64_t expected; /* content length; 0 when chunked */
    char *data;
    size_t size, capacity;
    struct chunks chunks;
    struct conn *conn;
    unsigned refused_http; /* what chunk_take() has to say */
    size_t bytes;          /* of this allocation */
    char target[];
};

/* The rest of an answer, on its way. */
struct output {
    uv_write_t write;
    struct conn *conn;
    char *memory;
    size_t capacity;
};

struct conn {
    uv_tcp_t tcp; /* first: handles are cast back */
    struct server *server;
    struct conn *previous, *next; /* in server->lists[state] */
    uint64_t since_ms;            /* on the loop's clock */
    char *input;                  /* received, not yet taken; NULL when empty */
    uint32_t input_size, input_capacity;
    struct head_scan scan;
    struct body *body;
    struct output *output;
    uint8_t state; /* enum conn_state */
    bool keep_alive, head_method;
    bool feeding;   /* conn_feed() is on the stack: it goes on by itself */
    bool paused;    /* not reading: too much input while busy */
    bool pending;   /* the API owes an answer */
    bool ended;     /* the peer sends no more */
    bool unhandled; /* the handle is closed: free once nothing is pending */
};

struct server {
    struct loop *loop;
    ins_store *store;
    ins_db *db;
    struct api *api;
    struct heap *heap;
    uv_tcp_t listener;
    uv_tcp_t drop; /* takes connections for which there is no memory */
    uv_timer_t sweep;
    uv_async_t stop;
    uv_signal_t signals[2];
    ins_call shutdown;
    struct conn_list lists[CONN_STATE_COUNT];
    uint32_t timeouts_ms[CONN_STATE_COUNT]; /* 0 = none */
    uint32_t sweep_ms;
    char *read_buffer; /* [READ_BYTES] */
    uint64_t stop_ms;
    uint32_t conn_count, conn_max;
    uint16_t port;
    bool listening, dropping, stopping, shutdown_begun;
};

/* Accepts a connection that the listener announced. */
void conn_accept(struct server *server);
/* The answer of a request: `user` is its connection. */
void conn_respond(void *user, struct api_response *response);
/* Gives up what has been silent for too long. */
void conn_sweep(struct server *server);
void conn_close(struct conn *conn);
/* Those without a request under way. */
void conn_close_waiting(struct server *server);
void conn_close_all(struct server *server);
/* Moves to `state` and, in it, to the end of the waiting. */
void conn_enter(struct conn *conn, enum conn_state state);
void conn_refuse(struct conn *conn, unsigned http, uint32_t retry_after_s, const char *message);
/* Reads again after too much input. */
void conn_unpause(struct conn *conn);
/* After an answer has left whole. */
void conn_written(struct conn *conn);

/* Sends `response` with its head; takes its memory. */
void write_response(struct conn *conn, struct api_response *response, bool close);
void write_continue(struct conn *conn);
void write_free(struct server *server, struct output *output);

/* Bodies (body.c). */
void body_begin(struct conn *conn, const struct head *head);
/* Takes bytes of a body; returns how many. Answers and leaves CONN_BODY when it is complete. */
size_t body_take(struct conn *conn, const char *data, size_t size);
void body_free(struct server *server, struct body *body);
/* Hands a whole request to the API. */
void conn_dispatch(struct conn *conn, const struct head *head, ins_text body);

#endif
